"""Writes every launch into the ledger before it starts, closes it afterwards, and reads what ran.

The record does not depend on it: a ledger that cannot be used is a warning.
"""

from __future__ import annotations

import platform
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from raw_trigger import __version__
from raw_trigger.errors import LedgerError
from raw_trigger.launch.base import Order
from raw_trigger.ledger import Ledger, partition_time, this_process
from raw_trigger.model.assets import Asset, Catalog
from raw_trigger.model.history import BatchRecord, Failure, HistoryFilter, LaunchRecord, Repeat, TargetRecord
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import FailedContents, Target, kind_of
from raw_trigger.repo.commits import committed
from raw_trigger.workspace.workspace import Workspace

_NEWEST = 50
"""Runs of which a deployment has to know one, to be the one that has made them."""


def open_ledger(workspace: Workspace) -> Ledger:
    """Returns the ledger that the configuration names; nothing is read or written yet."""
    repo = workspace.repo
    url = Ledger.url_for(workspace.config.ledger, repo.state_dir, workspace.project.directory)
    return Ledger(url, app_version=__version__, place=f"{platform.node()}:{repo.common_dir}")


class History:
    """Reads the ledger of one workspace.

    Args:
        warn: Called with what could not be read.
    """

    def __init__(self, workspace: Workspace, warn: Callable[[str], None]) -> None:
        self._workspace = workspace
        self._warn = warn
        self._ledger = open_ledger(workspace)

    def failed(self) -> FailedContents:
        """Returns what failed, or was left out after a failure, in its last run; empty if unknown."""
        try:
            found = self._ledger.failed_contents(self._workspace.environment)
        except LedgerError as error:
            self._warn(f"the history cannot be read, so what failed last is not known: {error.line}")
            return frozenset()
        return frozenset((one.target.text, one.path, one.oid) for one in found)

    def failures(self) -> Sequence[Failure]:
        """Returns the failures of targets whose last run failed; empty if that would take asking a server."""
        try:
            return self._ledger.failures(self._workspace.environment) if self._ledger.has_file else ()
        except LedgerError as error:
            self._warn(f"the history cannot be read, so what failed last is not known: {error.line}")
            return ()

    def repeats(self, assets: Sequence[str]) -> Mapping[Target, Repeat]:
        """Returns the targets of these assets whose last run was in vain; empty if unknown."""
        try:
            found = self._ledger.repeats(self._workspace.environment, assets)
        except LedgerError as error:
            self._warn(f"the history cannot be read, so what was tried before is not known: {error.line}")
            return {}
        return {one.target: one for one in found}

    def run_ids(self) -> Sequence[str]:
        """Returns the ids of the newest runs of Dagster that were launched here; empty if unknown."""
        environment = self._workspace.environment
        try:
            found = self._ledger.runs(HistoryFilter(limit=_NEWEST)) if self._ledger.has_file else []
        except LedgerError:
            return []
        known = (one.dagster_run_id for one in found if one.environment == environment)
        return [run_id for run_id in known if run_id is not None]

    def made(self) -> Mapping[Target, Mapping[bytes, str | None]]:
        """Returns what succeeded in its last run, as :meth:`Ledger.made` does; empty if unknown."""
        try:
            return self._ledger.made(self._workspace.environment)
        except LedgerError as error:
            self._warn(f"the history cannot be read, so what ran here is not known: {error.line}")
            return {}


class Bookkeeper:
    """Keeps the ledger of one workspace.

    Args:
        warn: Called with what could not be written.
    """

    def __init__(self, workspace: Workspace, warn: Callable[[str], None]) -> None:
        self._workspace = workspace
        self._warn = warn
        self._ledger = open_ledger(workspace)

    def begin(self, launch_id: str, order: Order, face: str, *, submitted: bool = False) -> None:
        """Records that the order is about to be carried out.

        Args:
            submitted: Whether by others, so that it goes on without this process.
        """
        plan = order.plan
        commit = order.tags["raw_commit"]
        launch = LaunchRecord(
            launch_id=launch_id,
            environment=plan.environment,
            face=face,
            git_sha=commit,
            fingerprint=plan.fingerprint,
            batches=_submitted(_batches(order)) if submitted else _batches(order),
            log=None,
            owner=this_process(),
            started=datetime.now(timezone.utc),
            committed=committed(self._workspace.repo, commit.partition("+")[0]),
        )
        try:
            self._ledger.begin(launch)
        except LedgerError as error:
            self._warn(f"the run is not in the history: {error.line}")

    def finish(
        self,
        launch_id: str,
        outcomes: Sequence[TargetOutcome],
        *,
        told: Mapping[Target, datetime],
        error: BaseException | None,
        log: str | None,
        catalog: Catalog,
    ) -> None:
        """Records how the launch ended.

        Args:
            told: When each outcome came.
            error: What ended the launch early; None if nothing did.
            log: The file with its output; None if there is none.
            catalog: Describes the assets that were not in the launch's plan.
        """
        ended = datetime.now(timezone.utc)
        first = [_made_first(outcome, catalog) for outcome in outcomes if outcome.first]
        try:
            self._ledger.finish(
                launch_id, outcomes, ended=ended, told=told, error=error, log=log, first=first
            )
        except LedgerError as problem:
            self._warn(f"how the run ended is not in the history: {problem.line}")


def _kind(target: Target, asset: Asset | None) -> str:
    if target.job is not None:
        return "job"
    return "unknown" if asset is None else asset.kind


def _made_first(outcome: TargetOutcome, catalog: Catalog) -> TargetRecord:
    target = outcome.target
    asset = catalog.assets.get(target.asset)
    time = None if asset is None else partition_time(asset.partitions, target.partition)
    return TargetRecord(target, _kind(target, asset), "materialize", time=time, reason=outcome.reason)


def _submitted(batches: Sequence[BatchRecord]) -> tuple[BatchRecord, ...]:
    """Returns the batches as those of runs whose ids others choose."""
    return tuple(replace(batch, submitted=True, dagster_run_id=None) for batch in batches)


def _batches(order: Order) -> tuple[BatchRecord, ...]:
    contents = order.plan.contents
    found = []
    for number, members in order.plan.batches.items():
        targets = []
        for planned in members:
            asset = order.catalog.assets.get(planned.target.asset)
            targets.append(
                TargetRecord(
                    target=planned.target,
                    kind=_kind(planned.target, asset),
                    action=planned.action,
                    files=tuple((path, contents[path]) for path in planned.paths),
                    time=None
                    if asset is None
                    else partition_time(asset.partitions, planned.target.partition),
                )
            )
        found.append(
            BatchRecord(
                run_id=str(uuid.uuid4()),
                number=number,
                dagster_run_id=order.run_ids.get(number),
                kind=kind_of(members),
                targets=tuple(targets),
            )
        )
    return tuple(found)
