"""What is written about launches, before they start and after they end, and how it is read later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from raw_trigger.model.outcome import CheckResult
from raw_trigger.model.owner import Owner
from raw_trigger.model.plan import Action, Target

RunStatus = Literal["started", "success", "failed"]
TargetState = Literal["started", "success", "failed", "skipped"]
FileVersion = tuple[bytes, str | None]
"""A path relative to the repository's top, and the id of its content; None for a deleted file."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Holds how many rows of its files a target is made for, as far as they were counted."""

    inserted: int
    updated: int
    deleted: int


@dataclass(frozen=True, slots=True)
class TargetRecord:
    """Describes a target that is about to run. ``kind`` is that of the asset.

    ``files`` are the changed files that it runs for; ``reason`` says why it runs without any. ``time`` is the
    start of its time partition, with a time zone.
    """

    target: Target
    kind: str
    action: Action
    files: tuple[FileVersion, ...] = ()
    time: datetime | None = None
    rows: Rows | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """Describes one row of the ledger: a Dagster run, or a batch without one (``dagster_run_id`` None).

    ``run_id`` is the ledger's own, a UUID. ``number`` counts from 1. ``submitted`` says that a deployment has
    taken it over, so that it goes on without its owner.
    """

    run_id: str
    number: int
    dagster_run_id: str | None
    kind: Literal["materialize", "report", "delete-partition"]
    targets: tuple[TargetRecord, ...]
    submitted: bool = False


@dataclass(frozen=True, slots=True)
class LaunchRecord:
    """Describes a plan that is about to be carried out. Times have a time zone.

    ``launch_id`` is a UUID, ``face`` the command or hook that launches, ``git_sha`` the commit whose files
    are used (with ``+staged`` or ``+worktree`` if not exactly these), ``committed`` that commit's time, and
    ``log`` the file with the output of the runs.
    """

    launch_id: str
    environment: str
    face: str
    git_sha: str | None
    fingerprint: str
    batches: tuple[BatchRecord, ...]
    log: str | None
    owner: Owner
    started: datetime
    committed: datetime | None = None

    @property
    def submitted(self) -> bool:
        """Says whether it goes on without its owner."""
        return any(batch.submitted for batch in self.batches)


@dataclass(frozen=True, slots=True)
class FailedContent:
    """Holds a file's content that a target could not be made from in its last run.

    ``status`` is ``skipped`` if the target failed only because one before it did.
    """

    target: Target
    path: bytes
    oid: str | None
    status: Literal["failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Holds how a target's last run ended, if that was no success.

    ``status`` is as of :class:`FailedContent`; ``files`` are the changed files that it ran for.
    """

    target: Target
    run_id: str
    ended: datetime
    status: Literal["failed", "skipped"]
    error: str
    files: frozenset[FileVersion]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Says how a target was last run in vain, and how often in a row with the same files' contents.

    ``canceled`` says that somebody ended its run.
    """

    target: Target
    failed: bool
    canceled: bool
    ended: datetime
    files: frozenset[FileVersion]
    times: int


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Says which runs are asked for; None means all. ``since`` has a time zone and means the run's start.

    ``limit`` is how many runs there are at most, but for those that belong to the same launches.
    """

    asset: str | None = None
    status: RunStatus | None = None
    since: datetime | None = None
    limit: int | None = 20


@dataclass(frozen=True, slots=True)
class PastTarget:
    """Says what became of a target. ``started`` means that nothing is known of it yet."""

    target: Target
    kind: str
    action: str
    status: TargetState
    seconds: float | None = None
    error: str | None = None
    files: tuple[FileVersion, ...] = ()
    rows: Rows | None = None
    checks: tuple[CheckResult, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PastRun:
    """Holds one row of the ledger as it is read later. Times are in UTC; ``batch`` is one of ``batches``.

    ``submitted`` says of a started run that a deployment has taken it over, so that ``owner`` may be gone.
    """

    run_id: str
    launch_id: str
    dagster_run_id: str | None
    batch: int
    batches: int
    kind: str
    face: str
    environment: str
    status: RunStatus
    started: datetime
    ended: datetime | None
    seconds: float | None
    git_sha: str | None
    fingerprint: str
    log: str | None
    app_version: str | None
    owner: Owner
    error_type: str | None
    error: str | None
    targets: tuple[PastTarget, ...]
    submitted: bool = False
