"""Decides which targets share a run, and in which order the runs are. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.model.assets import Asset, Partitions
from raw_trigger.model.plan import Action, Target
from raw_trigger.planning.order import upstream_first

_Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """Holds a target with something to do; it waits for those in ``after``."""

    target: Target
    action: Action
    after: Collection[Target]
    asset: Asset | None


def batch_numbers(items: Iterable[Item], size: int, keys: PartitionKeys) -> dict[Target, int]:
    """Returns the number of each target's batch, from 1; no batch needs a later one.

    A batch is one kind of action and one partition key, or one range of keys if the backfill policy of its
    assets says that a run can make several.

    Args:
        size: The most targets of a batch; targets that are made together may be more.
    """
    return _Batches({item.target: item for item in items}, size, keys).numbered()


class _Batches:
    def __init__(self, items: Mapping[Target, Item], size: int, keys: PartitionKeys) -> None:
        self._items = items
        self._size = size
        self._keys = keys
        self._names: dict[int, tuple[Partitions, str]] = {}
        # A unit is made at once: a target with those of the same function, or a range of its partitions.
        self._unit: dict[Target, Target] = {target: target for target in items}
        self._members: dict[Target, list[Target]] = {target: [target] for target in items}
        self._group: dict[Target, _Group] = {target: self._group_of(item) for target, item in items.items()}
        self._mates: dict[Target, list[Target]] = {}
        self._waited: dict[Target, set[Target]] = {}
        for target, item in items.items():
            if item.asset is not None and item.action == "materialize":
                self._mates[target] = [Target(key, target.partition) for key in item.asset.execution_set]
        self._join_mates()
        self._join_ranges()

    def numbered(self) -> dict[Target, int]:
        levels = self._levels()
        grouped: dict[tuple[int, _Group], list[Target]] = {}
        for target in self._items:
            unit = self._unit[target]
            grouped.setdefault((levels[unit], self._group[unit]), []).append(target)
        numbers: dict[Target, int] = {}
        number = 0
        for _, members in sorted(grouped.items()):
            for chunk in self._chunks(members):
                number += 1
                numbers.update(dict.fromkeys(chunk, number))
        return numbers

    # Groups

    def _group_of(self, item: Item) -> _Group:
        if item.action == "delete-partition":  # is no run, so one batch can hold any number of them
            return (item.action, "", "", "")
        kind: str = "run" if item.action == "materialize" else item.action
        if item.target.job is not None:
            kind = item.target.text
        location = item.asset.location if item.asset is not None else ""
        return (kind, location, self._name(item.asset), item.target.partition or "")

    def _name(self, asset: Asset | None) -> str:
        """Returns the same text for equal definitions."""
        if asset is None or asset.partitions is None:
            return ""
        known = self._names.get(id(asset.partitions))
        if known is None:
            known = self._names[id(asset.partitions)] = (asset.partitions, repr(asset.partitions))
        return known[1]

    # What one function makes

    def _join_mates(self) -> None:
        """Joins what one function makes: if some of it waits for more than the rest, all of it waits."""
        for target, mates in self._mates.items():
            members = sorted({target, *(mate for mate in mates if mate in self._mates)}, key=_order)
            if len(members) > 1 and members[0] == target:
                self._unit.update(dict.fromkeys(members, target))
                self._members[target] = members

    # Ranges

    def _join_ranges(self) -> None:
        """Joins consecutive partitions into one unit if one run can make them."""
        by_asset: dict[str, list[Item]] = {}
        for item in self._items.values():
            if item.action == "materialize" and item.asset is not None and self._ranged(item.asset):
                by_asset.setdefault(item.asset.key, []).append(item)
        done: set[str] = set()
        for key, items in sorted(by_asset.items()):
            asset = items[0].asset
            assert asset is not None
            together = sorted({key, *asset.execution_set})
            if key in done or not all(
                {i.target.partition for i in by_asset.get(other, ())} == {i.target.partition for i in items}
                for other in together
            ):
                continue
            done.update(together)
            self._join(together, asset, [item.target.partition or "" for item in items])

    def _ranged(self, asset: Asset) -> bool:
        kinds = asset.partitions is not None and asset.partitions.kind in ("static", "time")
        return kinds and asset.partitions_per_run != 1

    def _join(self, together: list[str], asset: Asset, partitions: list[str]) -> None:
        assert asset.partitions is not None
        definition = asset.partitions
        ordered = sorted(partitions, key=lambda key: self._keys.order(definition, key))
        most = max(1, self._size // len(together))
        if asset.partitions_per_run:
            most = min(most, asset.partitions_per_run)
        ranges: list[list[str]] = [ordered[:1]]
        for before, key in pairwise(ordered):
            if len(ranges[-1]) < most and self._keys.follows(definition, key, before):
                ranges[-1].append(key)
            else:
                ranges.append([key])
        for found in ranges:
            if len(found) == 1:
                continue
            members = [Target(key, partition) for key in together for partition in found]
            unit = members[0]
            for member in members:
                self._unit[member] = unit
            self._members[unit] = members
            kind, location, name, _ = self._group[unit]
            self._group[unit] = (kind, location, name, found[0], found[-1])

    # Levels

    def _levels(self) -> dict[Target, int]:
        """Returns the longest chain of group changes above each unit. Dagster orders the steps of a run."""
        levels: dict[Target, int] = {}
        for start in self._items:
            for unit in upstream_first(self._unit[start], self._waits, levels):
                group = self._group[unit]
                levels[unit] = max(
                    (levels.get(u, 0) + (self._group[u] != group) for u in self._waits(unit)), default=0
                )
        return levels

    def _waits(self, unit: Target) -> set[Target]:
        """Returns the units that this one waits for."""
        known = self._waited.get(unit)
        if known is None:
            after = (t for member in self._members[unit] for t in self._items[member].after)
            known = self._waited[unit] = {self._unit[t] for t in after if t in self._items} - {unit}
        return known

    # Sizes

    def _chunks(self, members: list[Target]) -> Iterable[list[Target]]:
        """Splits into at most ``size`` targets each, but keeps units and dependent targets together."""
        if len(members) <= self._size:
            return [members]
        inside = set(members)
        parent = {t: t for t in members}

        def find(t: Target) -> Target:
            while parent[t] != t:
                parent[t] = parent[parent[t]]
                t = parent[t]
            return t

        for target in members:
            near = (*self._items[target].after, *self._mates.get(target, ()), self._unit[target])
            for other in near:
                if other in inside:
                    parent[find(other)] = find(target)
        islands: dict[Target, list[Target]] = {}
        for target in members:
            islands.setdefault(find(target), []).append(target)
        chunks: list[list[Target]] = [[]]
        for island in islands.values():
            if chunks[-1] and len(chunks[-1]) + len(island) > self._size:
                chunks.append([])
            chunks[-1].extend(island)
        return chunks


def _order(target: Target) -> tuple[str, str]:
    return (target.asset, target.partition or "")
