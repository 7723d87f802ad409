"""Tells which targets have to be made before others. Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.model.assets import Catalog
from raw_trigger.model.plan import Target
from raw_trigger.planning.downstream import partitions_below

_Node = TypeVar("_Node")


class Order:
    """Knows the order of planned targets: each waits for those of all assets upstream of its own."""

    def __init__(self, catalog: Catalog, planned: Iterable[Target], keys: PartitionKeys) -> None:
        self._catalog = catalog
        self._keys = keys
        self._planned: dict[str, dict[str | None, Target]] = {}
        for target in planned:
            self._planned.setdefault(target.asset, {})[target.partition] = target
        self._ancestors = _Ancestors(catalog, frozenset(self._planned))
        self._edges: dict[tuple[str, str], Mapping[str | None, set[Target]]] = {}

    def before(self, target: Target) -> set[Target]:
        """Returns the planned targets that this one has to wait for."""
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
            return set()  # the assets between them wait for it
        return set(planned.values())

    def _below(self, key: str, child: str) -> Mapping[str | None, set[Target]]:
        """Returns for each partition of the child the planned targets of its parent that it is made from."""
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
    """Knows the planned assets upstream of an asset; memoized."""

    def __init__(self, catalog: Catalog, planned: frozenset[str]) -> None:
        self._catalog = catalog
        self._planned = planned
        self._known: dict[str, frozenset[str]] = {}

    def of(self, key: str) -> frozenset[str]:
        for asset in upstream_first(key, self._parents, self._known):
            parents = self._parents(asset)
            found = {parent for parent in parents if parent in self._planned}
            found.update(*(self._known.get(parent, frozenset()) for parent in parents))
            self._known[asset] = frozenset(found - {asset})
        return self._known[key]

    def _parents(self, key: str) -> Sequence[str]:
        asset = self._catalog.assets.get(key)
        return asset.parents if asset is not None else ()


def upstream_first(
    start: _Node, upstream: Callable[[_Node], Iterable[_Node]], done: Container[_Node]
) -> Iterator[_Node]:
    """Yields everything that the node depends on, and then the node, each after its own dependencies.

    It does not recurse, because graphs are deep; a circle is cut somewhere.

    Args:
        done: Nodes to leave out, with what is upstream of them; the caller adds to it what this yields.
    """
    opened: set[_Node] = set()
    stack = [start]
    while stack:
        node = stack.pop()
        if node in done:
            continue
        if node in opened:
            yield node
            continue
        opened.add(node)
        stack.append(node)
        stack.extend(one for one in upstream(node) if one not in done and one not in opened)
