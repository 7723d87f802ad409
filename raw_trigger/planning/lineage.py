"""What may be made from a target, however far downstream. Pure."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.model.assets import Catalog
from raw_trigger.model.plan import Target
from raw_trigger.planning.downstream import partitions_below


class Lineage:
    """Follows what is made from what, as far as a change of it may start it.

    Rather too far than not far enough: it says what has seen nothing yet of a path that newly feeds a target.

    Args:
        catalog: None: the Dagster project was not asked, and a target stands for itself alone.
        downstream: As configured; any depth counts as all.
        now: Decides which time windows are past, in seconds since 1970; None: all are.
    """

    def __init__(self, catalog: Catalog | None, downstream: str | int, now: float | None = None) -> None:
        self.catalog = catalog
        self._downstream = downstream
        self._keys = PartitionKeys(now)

    def made_from(self, target: Target) -> list[Target]:
        """Returns the target, its mates of one function, and what a change of it may start downstream."""
        catalog = self.catalog
        asset = None if catalog is None else catalog.assets.get(target.asset)
        if catalog is None or asset is None:
            return [target]
        frontier = [target, *(Target(key, target.partition) for key in asset.execution_set)]
        found = set(frontier)
        while frontier and self._goes_below(target):
            one = frontier.pop()
            for key in catalog.children.get(one.asset, ()) if one.asset in catalog.assets else ():
                child = catalog.assets[key]
                below = partitions_below(catalog.assets[one.asset], child, one.partition, self._keys)
                mates = {key, *child.execution_set}
                new = {Target(mate, partition) for partition in below.partitions for mate in mates} - found
                found |= new
                frontier += new
        return sorted(found, key=attrgetter("sort_key"))

    def test_of(self, target: Target) -> Callable[[Target], bool]:
        """Returns a test for being the target or made from it; without a partition it stands for all."""
        if target.partition is not None:
            return frozenset(self.made_from(target)).__contains__
        catalog = self.catalog
        if catalog is None or target.asset not in catalog.assets:
            return lambda other: other.asset == target.asset
        found: set[str] = set()
        frontier = [target.asset, *catalog.assets[target.asset].execution_set]
        while frontier:
            key = frontier.pop()
            if key in found:
                continue
            found.add(key)
            for child in catalog.children.get(key, ()) if self._goes_below(target) else ():
                frontier += [child, *catalog.assets[child].execution_set]
        return lambda other: other.asset in found

    def _goes_below(self, target: Target) -> bool:
        """Whether a change of it starts anything downstream."""
        if self.catalog is None or self._downstream == "none":
            return False
        return self._downstream != "auto" or self.catalog.assets[target.asset].kind != "materializable"
