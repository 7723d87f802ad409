"""Completes a command in the shell without starting Dagster."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from raw_trigger.model.assets import Catalog
    from raw_trigger.workspace.workspace import Workspace

_MOST = 500
"""The most proposals."""
_MOST_LOOKED_AT = 100_000
_RUNS = 50
_SHORT = 8

Proposals = Iterable["str | tuple[str, str]"]


def assets(ctx: typer.Context, incomplete: str) -> Proposals:
    """Proposes the keys of assets, and named jobs."""
    return _quietly(lambda: _keys(ctx, incomplete))


def partitions(ctx: typer.Context, incomplete: str) -> Proposals:
    """Proposes partition keys, or the end of a range; with ``--asset`` those of its assets only."""
    return _quietly(lambda: _partitions(ctx, incomplete))


def environments(ctx: typer.Context, incomplete: str) -> Proposals:
    """Proposes the recorded environments, those that CI records, and that of this clone."""
    return _quietly(lambda: _environments(ctx))


def runs(ctx: typer.Context, incomplete: str) -> Proposals:
    """Proposes the latest runs."""
    return _quietly(lambda: _runs(ctx))


def _quietly(propose: Callable[[], Proposals]) -> Proposals:
    # An error would appear in the middle of the line that the user types.
    with suppress(Exception):
        return sorted(set(islice(propose(), _MOST)), key=str)
    return []


def _workspaces(ctx: typer.Context) -> Iterator[Workspace]:
    from raw_trigger.repo.repository import Repository
    from raw_trigger.workspace.workspace import open_place, places_of

    given = ctx.find_root().params
    start = Path(given.get("directory") or os.curdir).absolute()
    config, folder = (
        None if given.get(name) is None else Path(given[name]).absolute() for name in ("config", "project")
    )
    repo = Repository.discover(start)
    for place in places_of(repo, start, config_file=config, folder=folder):
        with suppress(Exception):
            yield open_place(repo, place)


def _catalogs(ctx: typer.Context) -> Iterator[Catalog]:
    from raw_trigger.project import catalog

    for workspace in _workspaces(ctx):
        # An old catalog will do: the user looks at the proposals.
        cached = catalog.read(workspace.project.cache_dir)
        if cached is not None:
            yield cached.catalog()


def _keys(ctx: typer.Context, incomplete: str) -> Proposals:
    for one in _catalogs(ctx):
        yield from (key for key in one.assets if key.startswith(incomplete))


def _partitions(ctx: typer.Context, incomplete: str) -> Proposals:
    from raw_trigger.mapping.partitions import PartitionKeys

    first, dots, last = incomplete.rpartition("..")
    named = ctx.params.get("asset") or ()
    keys = PartitionKeys(time.time())
    for one in _catalogs(ctx):
        for asset in one.assets.values():
            if asset.partitions is None or (named and asset.key not in named):
                continue
            every = islice(keys.every(asset.partitions) or (), _MOST_LOOKED_AT)
            # The last keys are those that the user most likely means, such as the last days of a year.
            for key in deque((key for key in every if key.startswith(last)), _MOST):
                yield f"{first}{dots}{key}"


def _environments(ctx: typer.Context) -> Proposals:
    from raw_trigger.record import tree as recorded_tree

    for workspace in _workspaces(ctx):
        yield workspace.environment
        yield from (name for name, _ in workspace.config.ci_environments)
        yield from recorded_tree.environments(workspace.repo)


def _runs(ctx: typer.Context) -> Proposals:
    from raw_trigger.bookkeeping import open_ledger
    from raw_trigger.model.history import HistoryFilter
    from raw_trigger.model.text import sample

    for workspace in _workspaces(ctx):
        # A remote database may take seconds to answer.
        if workspace.config.ledger == "sqlite":
            for run in open_ledger(workspace).runs(HistoryFilter(limit=_RUNS)):
                made = sample([target.target.text for target in run.targets], 2)
                yield run.run_id[:_SHORT], f"{run.status}: {made}"
