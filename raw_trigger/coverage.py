"""Tells which partitions of an asset are recorded, assumed, pending, failed, or have no file."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

from raw_trigger.assumed import assumptions, fed_files
from raw_trigger.errors import UsageError
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.mapping.rules import unknown_asset
from raw_trigger.model.assets import Partitions
from raw_trigger.model.plan import Plan, Target
from raw_trigger.planner import Planner

CellState = Literal["recorded", "assumed", "pending", "failed", "no file", "no partition"]


@dataclass(frozen=True, slots=True)
class Cell:
    """Holds one partition and its state.

    ``assumed``: it is recorded, but was not made here. ``no partition``: a file names it, but the definition
    lacks it.
    """

    partition: str
    state: CellState


@dataclass(frozen=True, slots=True)
class Grid:
    """Holds all partitions of an asset in their order; of a dynamic definition those that files name."""

    asset: str
    definition: Partitions
    cells: tuple[Cell, ...]

    @property
    def counts(self) -> dict[CellState, int]:
        """Returns the number of partitions by state."""
        return dict(Counter(cell.state for cell in self.cells))

    def as_json(self) -> dict[str, object]:
        """Returns the grid as JSON values."""
        cells = [{"partition": cell.partition, "state": cell.state} for cell in self.cells]
        return {"asset": self.asset, "partitions": cells}


def grids(planner: Planner, assets: Collection[str] = ()) -> list[Grid]:
    """Returns the grids of the partitioned assets that are made from files, or of the named ones.

    Raises:
        UsageError: a named asset does not exist or is not partitioned.
    """
    catalog = planner.catalog.fresh()
    for key in assets:
        if key not in catalog.assets:
            raise UsageError(unknown_asset(key, catalog), "an asset key's parts are joined by '/'")
        if catalog.assets[key].partitions is None:
            raise UsageError(f"asset '{key}' is not partitioned", "name one that is")
    plan = planner.pending()
    known = assumptions(planner)
    fed: dict[str, set[str]] = {}
    assumed: dict[str, set[str]] = {}
    for path, target in fed_files(planner):
        if target.partition is not None:
            fed.setdefault(target.asset, set()).add(target.partition)
            if known.covers(path, target.text):
                assumed.setdefault(target.asset, set()).add(target.partition)
    failed = {name for name, _, _ in planner.history.failed()}
    keys = PartitionKeys(time.time())
    found = []
    for key in sorted(assets or fed):
        definition = catalog.assets[key].partitions if key in catalog.assets else None
        if definition is not None:
            named = _Named(fed.get(key, set()), assumed.get(key, set()), _pending(plan, key))
            found.append(_grid(key, definition, named, failed, keys))
    return found


class _Named(NamedTuple):
    """Holds partitions of one asset: those that files name, the assumed ones of these, and pending ones."""

    fed: set[str]
    assumed: set[str]
    pending: set[str]


def _pending(plan: Plan, asset: str) -> set[str]:
    """Returns the partitions of the asset that are still to be made, or to be made again."""
    planned = {one.target for one in plan.targets if one.action != "skip" or not one.settles}
    waiting = {target for change in plan.waiting for target in change.targets}
    return {one.partition for one in planned | waiting if one.asset == asset and one.partition is not None}


def _grid(
    asset: str,
    definition: Partitions,
    named: _Named,
    failed: set[str],
    keys: PartitionKeys,
) -> Grid:
    def state(key: str, *, known: bool) -> CellState:
        if not known:
            return "no partition"
        if key in named.pending:
            return "failed" if Target(asset, key).text in failed else "pending"
        if key in named.assumed:
            return "assumed"
        return "recorded" if key in named.fed else "no file"

    every = keys.every(definition)
    told = sorted(named.fed | named.pending)
    if every is None:
        return Grid(asset, definition, tuple(Cell(key, state(key, known=True)) for key in told))
    listed = list(every)
    known = set(listed)
    cells = [Cell(key, state(key, known=True)) for key in listed]
    # A window that is still open will be a partition soon, so a file for it is no fault.
    others = [key for key in told if key not in known]
    open_ones = {key for key in others if (problem := keys.problem(definition, key)) and problem.begun}
    cells += [Cell(key, state(key, known=key in open_ones)) for key in others]
    return Grid(asset, definition, tuple(cells))
