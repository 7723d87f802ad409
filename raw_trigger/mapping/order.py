"""Which targets have to be made before others. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from raw_trigger.mapping.downstream import partitions_below
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.model.assets import Catalog
from raw_trigger.model.plan import Target


class Order:
    """The order of planned targets: each waits for those of the assets above its own, however far up."""

    def __init__(self, catalog: Catalog, planned: Iterable[Target], keys: PartitionKeys) -> None:
        self._catalog = catalog
        self._keys = keys
        self._planned: dict[str, dict[str | None, Target]] = {}
        for target in planned:
            self._planned.setdefault(target.asset, {})[target.partition] = target
        self._ancestors = _Ancestors(catalog, frozenset(self._planned))
        self._edges: dict[tuple[str, str], Mapping[str | None, set[Target]]] = {}

    def before(self, target: Target) -> set[Target]:
        """The planned targets that this one has to wait for."""
        found: set[Target] = set()
        if target.asset not in self._catalog.assets:
            return found
        for key in self._ancestors.of(target.asset):
            found |= self._of(key, target)
        found.discard(target)
        return found

    def _of(self, key: str, target: Target) -> set[Target]:
        planned = self._planned[key]
        upper, lower = self._catalog.assets[key].partitions, self._catalog.assets[target.asset].partitions
        if lower is None or target.partition is None:
            return set(planned.values())
        if upper is None:
            return {planned[None]} if None in planned else set()
        if key in self._catalog.assets[target.asset].parents:
            return self._below(key, target.asset).get(target.partition, set())
        if upper == lower:
            return {planned[target.partition]} if target.partition in planned else set()
        between = self._ancestors.of(target.asset) - {key}
        if any(key in self._ancestors.of(one) for one in between):
            return set()  # what is between them waits for it
        return set(planned.values())

    def _below(self, key: str, child: str) -> Mapping[str | None, set[Target]]:
        """Partition of the child → the planned targets of its parent that it is made from."""
        known = self._edges.get((key, child))
        if known is None:
            found: dict[str | None, set[Target]] = {}
            assets = self._catalog.assets
            for target in self._planned[key].values():
                below = partitions_below(assets[key], assets[child], target.partition, self._keys)
                partitions = below.partitions if below.unknown is None else self._planned.get(child, ())
                for partition in partitions:
                    found.setdefault(partition, set()).add(target)
            known = self._edges[key, child] = found
        return known


class _Ancestors:
    """The planned assets above an asset; memoized, without recursion into deep graphs."""

    def __init__(self, catalog: Catalog, planned: frozenset[str]) -> None:
        self._catalog = catalog
        self._planned = planned
        self._known: dict[str, frozenset[str]] = {}

    def of(self, key: str) -> frozenset[str]:
        stack = [key]
        on_stack = {key}
        while stack:
            top = stack[-1]
            asset = self._catalog.assets.get(top)
            parents = asset.parents if asset is not None else ()
            missing = [p for p in parents if p not in self._known and p not in on_stack]
            if top in self._known or not missing:
                found: set[str] = set()
                for parent in parents:
                    found |= self._known.get(parent, frozenset())
                    if parent in self._planned:
                        found.add(parent)
                self._known.setdefault(top, frozenset(found - {top}))
                stack.pop()
                on_stack.discard(top)
            else:
                stack.extend(missing)
                on_stack.update(missing)
        return self._known[key]
