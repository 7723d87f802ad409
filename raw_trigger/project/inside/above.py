"""Finds the parents of targets that Dagster never made, and decides which of them are made first."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Set
from typing import Any

from .compat.assets import Node, asset_key
from .compat.instance import failed_partitions, made_partitions, never_materialized
from .compat.mappings import partitions_above, takes_all
from .compat.partitions import every_partition, has_partition, prepare_partition
from .targets import Document, Identity, identity, predecessors

Key = Any
"""Dagster's key of an asset."""

MOST = 50
"""The most targets that are made first because of one that is made from them."""


class Above:
    """Asks the event log and the partition mappings about the assets, each once.

    Args:
        node_of: The assets by key.
    """

    def __init__(self, instance: Any, node_of: dict[Key, Node]) -> None:
        self.instance = instance
        self.node_of = node_of
        self._made: dict[Key, Set[str | None]] = {}
        self._every: dict[Key, list[str]] = {}

    def look(self, targets: list[Document], fed: set[Key], here: Set[Identity]) -> Look:
        """Finds the parents that have to be made before these targets.

        Args:
            fed: Assets that raw files feed: the plan says which of their partitions are made.
            here: Targets that this very request made or will make.
        """
        found = Look(self, fed, here)
        asked = [(asset_key(target["asset"]), target["partition"]) for target in targets]
        parents = {parent for key, _ in asked if key in self.node_of for parent in self.node_of[key].parents}
        self._ask([key for key in parents if self.is_whole(key) and key not in self._made])
        for key, partition in asked:
            if self._is_asked(key, partition):
                found.before(key, partition)
        return found

    def _is_asked(self, key: Key, partition: str | None) -> bool:
        node = self.node_of.get(key)
        if node is None or node.kind != "materializable" or (node.partitions is None) != (partition is None):
            return False
        with contextlib.suppress(Exception):  # the target's run will report it
            # A dynamic key has to be added first: a parent with the same definition needs it too.
            return partition is None or bool(prepare_partition(self.instance, node.partitions, partition))
        return False

    def is_whole(self, key: Key) -> bool:
        """Says whether the asset has code and no partitions."""
        node = self.node_of.get(key)
        return node is not None and node.kind == "materializable" and node.partitions is None

    def unit(self, key: Key) -> Set[Key]:
        """Returns the keys of the assets that can only be made together with this one, itself included."""
        return {key, *(one for one in self.node_of[key].execution_set if one in self.node_of)}

    def identity(self, key: Key, partition: str | None) -> Identity:
        """Returns the asset, with the partition if it has partitions."""
        return tuple(key.path), None if self.node_of[key].partitions is None else partition

    def edges(self, key: Key, partition: str | None) -> list[tuple[Key, list[Any]]]:
        """Returns a partition's parents that have code, by partition; none if Dagster cannot tell."""
        found: list[tuple[Key, list[Any]]] = []
        unit = self.unit(key)
        for member in sorted(unit, key=_path):
            node = self.node_of[member]
            for parent in sorted(node.parents - unit, key=_path):
                above = self.node_of.get(parent)
                if above is None or above.kind != "materializable":
                    continue
                if above.partitions is None:
                    found.append((parent, [None]))
                elif parent in node.mappings:
                    with contextlib.suppress(Exception):  # a mapping of the user's own class
                        found.append((parent, self._mapped(node, parent, partition)))
        return found

    def _mapped(self, node: Node, parent: Key, partition: str | None) -> list[str]:
        mapping, above = node.mappings[parent], self.node_of[parent].partitions
        if takes_all(mapping):
            if parent not in self._every:
                self._every[parent] = every_partition(self.instance, above)
            return self._every[parent]
        key = None if node.partitions is None else partition
        named = partitions_above(self.instance, mapping, node.partitions, above, key)
        return [one for one in named if has_partition(self.instance, above, one)]

    def is_made(self, key: Key, partition: str | None) -> bool:
        """Says whether the event log has a materialization of it."""
        if key not in self._made and self.node_of[key].partitions is None:
            self._ask([key])
        elif key not in self._made:
            self._made[key] = made_partitions(self.instance, key)
        return partition in self._made[key]

    def _ask(self, keys: list[Key]) -> None:
        never = set(never_materialized(self.instance, keys))
        self._made.update({key: frozenset() if key in never else frozenset((None,)) for key in keys})

    def without_failed(self, key: Key, partitions: list[str]) -> list[str]:
        """Returns the partitions whose last run did not fail."""
        with contextlib.suppress(Exception):  # the status comes from a cache of Dagster
            failed = failed_partitions(self.instance, key, self.node_of[key].partitions, partitions)
            return [one for one in partitions if one not in failed]
        return partitions


class Look:
    """Chooses the parents that are made before some targets.

    Attributes:
        chosen: The parents that are made first, each after its own parents.
        behind: The targets that need some of them, each with those that it needs.
        left: Parents that are not made and why, with their partitions and a target that is made from them.
    """

    def __init__(self, above: Above, fed: set[Key], here: Set[Identity]) -> None:
        self._above = above
        self._fed = fed
        self._here = here
        self._known: dict[Identity, dict[tuple[Key, str | None], None] | None] = {}
        self.chosen: dict[tuple[Key, str | None], None] = {}
        self.behind: dict[Identity, set[Identity]] = {}
        self.left: dict[tuple[Key, str], tuple[dict[str | None, None], Identity]] = {}

    def before(self, key: Key, partition: str | None) -> None:
        """Chooses what is made before a target. The target runs in any case: it may not need all of it."""
        own = self._above.identity(key, partition)
        for parent, partitions in self._above.edges(key, partition):
            found = self._of_parent(parent, partitions, own) or {}
            self.chosen.update(found)
            if found:
                self.behind.setdefault(own, set()).update(self._above.identity(*one) for one in found)

    def documents(self) -> list[Document]:
        """Returns the parents to make first, as the targets of a batch."""
        ours = {self._above.identity(*one) for one in self.chosen}
        found = []
        for key, partition in self.chosen:
            edges = self._above.edges(key, partition)
            above = [self._above.identity(parent, one) for parent, many in edges for one in many]
            after = [[list(parts), one] for parts, one in above if (parts, one) in ours | self._here]
            parts, own = self._above.identity(key, partition)
            found.append({"asset": list(parts), "partition": own, "after": after, "first": True})
        return found

    def _of_parent(
        self, parent: Key, partitions: list[Any], child: Identity
    ) -> dict[tuple[Key, str | None], None] | None:
        """Returns the partitions to make of a parent and of the assets upstream of it.

        None if nothing exists or can be made.
        """
        above, unit = self._above, self._above.unit(parent)
        missing = [one for one in partitions if not self._is_there(unit, one)]
        if not missing:
            return {}
        nothing: dict[tuple[Key, str | None], None] | None = {} if len(missing) < len(partitions) else None
        if not unit.isdisjoint(self._fed):
            self._leave(parent, "fed", missing, child)
            return nothing
        if nothing is not None:  # it may be usual that some are missing, as for days without trade
            again = above.without_failed(parent, missing)
            self._leave(parent, "failed", [one for one in missing if one not in again], child)
            missing = again
        found: dict[tuple[Key, str | None], None] = {}
        for one in missing if len(missing) <= MOST else ():
            before = self._needs(parent, one)
            if before is not None:
                found.update(before)
                found.update(dict.fromkeys((member, one) for member in sorted(unit, key=_path)))
        if len(missing) > MOST or len(found) > MOST:
            self._leave(parent, "many", missing, child)
            return nothing
        return found or nothing

    def _needs(self, key: Key, partition: str | None) -> dict[tuple[Key, str | None], None] | None:
        """Returns the parents that have to be made before it; None if it cannot be made."""
        one = self._above.identity(key, partition)
        if one not in self._known:
            self._known[one] = {}  # ends the recursion if assets are made from each other in a circle
            found: dict[tuple[Key, str | None], None] | None = {}
            for parent, partitions in self._above.edges(key, partition):
                needed = self._of_parent(parent, partitions, one)
                if needed is None or found is None:
                    found = None
                else:
                    found.update(needed)
            self._known[one] = found
        return self._known[one]

    def _is_there(self, unit: Set[Key], partition: str | None) -> bool:
        """Says whether it is made or will be; one of the assets that are made together is enough."""
        own = [(key, self._above.identity(key, partition)) for key in unit]
        return any(one in self._here or self._above.is_made(key, one[1]) for key, one in own)

    def _leave(self, key: Key, why: str, partitions: Iterable[str | None], child: Identity) -> None:
        for one in partitions:
            self.left.setdefault((key, why), ({}, child))[0][one] = None


def _path(key: Key) -> list[str]:
    return list(key.path)


def turns(
    first: list[Document],
    targets: list[Document],
    behind: dict[Identity, set[Identity]],
    unit_of: Callable[[Document], Identity],
) -> list[list[Document]]:
    """Returns the parents to make first and the targets in turns, each after its own parents.

    Targets that nothing waits for come last.

    Args:
        behind: The parents that have to be made before each target.
        unit_of: Returns the same identity for targets that can only be made together.
    """
    if not first:
        return [targets]
    units: dict[Identity, list[Document]] = {}
    for one in (*first, *targets):
        units.setdefault(unit_of(one), []).append(one)
    unit_by = {identity(one): unit for unit, ones in units.items() for one in ones}
    needs: dict[Identity, set[Identity]] = {unit: set() for unit in units}
    for unit, ones in units.items():
        for one in ones:
            above = (*predecessors(one), *behind.get(identity(one), ()))
            needs[unit].update(unit_by[other] for other in above if other in unit_by)
    early = list(dict.fromkeys(map(unit_of, first)))
    for unit in early:  # it grows
        early += [other for other in needs[unit] if other not in early]
    is_first = {unit: bool(ones[0].get("first")) for unit, ones in units.items()}
    turn = dict.fromkeys(early, 0)
    for _ in early:  # no path is longer than this
        known = dict(turn)
        for unit in early:
            turn[unit] = max((turn[up] + (is_first[up] != is_first[unit]) for up in needs[unit]), default=0)
        if turn == known:
            break
    last = len(units)
    found: dict[tuple[int, bool], list[Document]] = {}
    for unit, ones in units.items():
        found.setdefault((turn.get(unit, last), is_first[unit]), []).extend(ones)
    return [found[one] for one in sorted(found)]
