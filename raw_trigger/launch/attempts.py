"""What became of the targets of a launch that has not told it, from Dagster's event log. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from raw_trigger.model.history import BatchRecord, LaunchRecord, TargetRecord
from raw_trigger.model.outcome import CheckResult, TargetOutcome, TargetStatus
from raw_trigger.model.owner import Owner
from raw_trigger.model.plan import Plan, Target
from raw_trigger.model.record import Launch
from raw_trigger.project.project import DagsterRun, Materialized

_TICK = 0.05
"""Seconds by which a file system's clock can be behind ours."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Says what became of one target of a launch.

    ``made`` is when it was materialized, in seconds since 1970; None: it was cut off, or a check of it did
    not pass. A report leaves no trace that could be told from another's, and is cheap to repeat.
    ``begun`` says whether Dagster had come to it and may have made something. ``since`` is when it began,
    where its run was submitted: what it read was there then, whatever it was launched for. ``ended`` is when
    its run ended. ``unsteady`` says that it is not known from what it was made. ``seconds`` is how long that
    took. ``overtaken`` says that another run has made it since, or may be making it. ``commit`` is the commit
    whose files its run has read, where that was a deployment's.
    """

    launch: LaunchRecord
    record: TargetRecord
    run_id: str | None
    made: float | None
    begun: bool = True
    since: float | None = None
    error: str | None = None
    canceled: bool = False
    ended: float | None = None
    unsteady: bool = False
    seconds: float | None = None
    overtaken: bool = False
    commit: str | None = None
    checks: tuple[CheckResult, ...] = ()

    @property
    def name(self) -> str:
        """Returns the target as text."""
        return self.record.target.text


@dataclass(frozen=True, slots=True)
class Ending:
    """Says what is known of a launch. ``in_flight``: the targets that may still be made, with their runs."""

    tried: Sequence[Attempt] = ()
    in_flight: Mapping[Target, str | None] = field(default_factory=dict)


def run_ids(launches: Iterable[LaunchRecord]) -> list[str]:
    """Returns the Dagster runs of the launches. Reports have none: they are cheap and can be repeated."""
    return [
        batch.dagster_run_id
        for launch in launches
        for batch in launch.batches
        if batch.dagster_run_id is not None
    ]


def from_mark(launch_id: str, mark: Launch, runs: Mapping[int, DagsterRun]) -> LaunchRecord:
    """Returns a launch that the ledger has lost, as far as its mark and its runs tell.

    What it was for is not known then: what it has read is judged by the beginning of its run. Targets that no
    run has made are put into a batch without a run: they are waited for until the launch is given up.

    Args:
        runs: Its runs, by their batches.
    """
    left = {name: Target(*name.split("|", 1)) for name in sorted(mark.targets)}
    made: dict[int, list[Target]] = {number: [] for number in runs}
    for number, run in runs.items():
        for one in run.materialized:
            target = left.pop(Target(one.asset, one.partition).text, None)
            made[number] += [] if target is None else [target]
    made[max(runs, default=0) + 1] = list(left.values())
    batches = []
    for number, targets in made.items():
        records = tuple(TargetRecord(target, "unknown", "materialize") for target in targets)
        batches.append(BatchRecord("", number, None, "materialize", records, submitted=True))
    started = datetime.fromisoformat(mark.started)
    owner = mark.owner or Owner("", "", 0, "")
    return LaunchRecord(launch_id, "", mark.face, None, "", tuple(batches), None, owner, started)


def ending(launch: LaunchRecord, runs: Mapping[int, DagsterRun], *, lost: bool = False) -> Ending:
    """Returns what is known of a submitted launch.

    Args:
        runs: Its runs, by their batches.
        lost: Whether a batch that has no run will have none.
    """
    tried: list[Attempt] = []
    in_flight: dict[Target, str | None] = {}
    for batch in launch.batches:
        run = runs.get(batch.number) or _of_backfill(batch, runs)
        if (run is None and not lost) or (run is not None and not run.has_ended):
            run_id = None if run is None else run.run_id
            in_flight |= dict.fromkeys((one.target for one in batch.targets), run_id)
        else:
            run_id = None if run is None else run.run_id
            known = {} if run is None or run_id is None else {run_id: run}
            one = replace(launch, batches=(replace(batch, dagster_run_id=run_id),))
            tried += attempts(one, known)
    return Ending([replace(one, launch=launch) for one in tried], in_flight)


def _of_backfill(batch: BatchRecord, runs: Mapping[int, DagsterRun]) -> DagsterRun | None:
    """The run of a backfill that makes a batch."""
    assets = {one.target.asset for one in batch.targets}
    partitions = {one.target.partition for one in batch.targets} - {None}
    fits = (one for number, one in runs.items() if number < 0 and {one.partition} == partitions)
    return next((one for one in fits if assets <= one.selection), None)


def attempts(launch: LaunchRecord, found: Mapping[str, DagsterRun]) -> list[Attempt]:
    """Returns what became of every target of the launch.

    Args:
        found: What Dagster knows of its runs.
    """
    out: list[Attempt] = []
    for batch in launch.batches:
        run_id = batch.dagster_run_id
        if run_id is None:
            out.extend(Attempt(launch, record, None, None) for record in batch.targets)
            continue
        run = found.get(run_id, DagsterRun(None))
        times = {Target(one.asset, one.partition): one for one in run.materialized}
        for record in batch.targets:
            begun, made, since = _came_to(record.target, run, times)
            own = times.get(record.target) or times.get(Target(record.target.asset))
            out.append(
                Attempt(
                    launch,
                    record,
                    run_id,
                    made,
                    begun,
                    # By another clock it would be compared with the times of files.
                    since=since if launch.submitted and not run.is_remote else None,
                    error=run.errors.get(record.target.asset) or run.error,
                    canceled=run.was_canceled,
                    ended=run.ended,
                    seconds=None if made is None or since is None else max(0.0, made - since),
                    overtaken=own is not None and own.overtaken,
                    commit=run.commit,
                    checks=run.checks.get(record.target.asset, ()),
                )
            )
    return out


def _came_to(
    target: Target, run: DagsterRun, times: Mapping[Target, Materialized]
) -> tuple[bool, float | None, float | None]:
    """Whether the run had begun with the target, when it was made, and when that began."""
    if target.job is not None:  # it stands for its run as a whole
        begun = run.broken_off or run.materialized or run.cut_off or run.succeeded is not None
        return bool(begun), run.succeeded, run.began
    # What does not name the partitions of a range has made all of them.
    made = times.get(target) or times.get(Target(target.asset))
    if made is None:
        return target.asset in run.cut_off, None, None
    return True, None if target.asset in run.failed_checks else made.time, made.began


def certain(
    tried: Sequence[Attempt],
    plan: Plan,
    *,
    feeding: Callable[[Target], Iterable[bytes]],
    changed_at: Callable[[bytes], float],
    launched_at: float | None = None,
) -> set[Target]:
    """Returns the targets of which it is known from which contents they were made.

    Args:
        tried: One attempt for each target.
        plan: Of what is on disk other than recorded.
        feeding: The files on disk that a target is made from.
        changed_at: When a path was last changed, put in place or taken away, in seconds since 1970.
        launched_at: When the launch began by the same clock; None: by another one, as the launch tells.
    """
    now = {planned.change.path: planned.change.new for planned in plan.changes}
    fed = {one.target: one.feeds for one in plan.made_from_changes}
    relatives, by_target = _relatives(tried), {attempt.record.target: attempt for attempt in tried}

    def is_known(attempt: Attempt, path: bytes, files: Mapping[bytes, str | None]) -> bool:
        """Whether what is at the path now was there when the target was made."""
        changed, launched = changed_at(path) + _TICK, start(attempt)
        # What was touched since may be as it was, and have been another one meanwhile.
        if changed >= began(attempt):
            return False
        entry = now.get(path)
        as_launched = path in now and (None if entry is None else entry.oid) == files.get(path)
        return changed >= launched or path not in files or as_launched

    def began(attempt: Attempt) -> float:
        """When the first of the relatives that were made began; for a killed launch when that began."""
        near = (by_target[one] for one in relatives(attempt) if one in by_target)
        if not attempt.record.files:  # the ledger was lost: everything that its run made may be a relative
            near = (one for one in tried if one.run_id == attempt.run_id)
        known = (one.since for one in near if one.since is not None)
        return min(known, default=start(attempt))

    def start(attempt: Attempt) -> float:
        return attempt.launch.started.timestamp() if launched_at is None else launched_at

    def is_certain(attempt: Attempt) -> bool:
        if attempt.made is None or attempt.overtaken:
            return False
        files = dict(attempt.record.files)
        # What is downstream was made from the files of what is above it, which the launch was for too.
        near = {path for target in relatives(attempt) for path in feeding(target)}
        return all(
            is_known(attempt, path, files) for path in {*files, *near, *fed.get(attempt.record.target, ())}
        )

    return {attempt.record.target for attempt in tried if is_certain(attempt)}


def certain_in(tried: Iterable[Attempt], commit: str) -> set[Target]:
    """Returns the targets of which it is known that they were made from the files of a commit."""
    return {
        one.record.target
        for one in tried
        if one.made is not None and not one.overtaken and is_same(one.commit, commit)
    }


def is_same(name: str | None, commit: str) -> bool:
    """Says whether a commit's name, which may be shortened, is that of a commit."""
    return name is not None and commit.startswith(name)


def _relatives(tried: Iterable[Attempt]) -> Callable[[Attempt], set[Target]]:
    """The targets that a launch was to make from one of the same files, the attempt's own among them."""
    by_file: dict[tuple[str, bytes], set[Target]] = {}
    for launch in {attempt.launch.launch_id: attempt.launch for attempt in tried}.values():
        for batch in launch.batches:
            for record in batch.targets:
                for path, _ in record.files:
                    by_file.setdefault((launch.launch_id, path), set()).add(record.target)

    def relatives(attempt: Attempt) -> set[Target]:
        files = (path for path, _ in attempt.record.files)
        found = (by_file[attempt.launch.launch_id, path] for path in files)
        return {attempt.record.target}.union(*found)

    return relatives


def outcomes(tried: Iterable[Attempt]) -> tuple[list[TargetOutcome], dict[Target, datetime]]:
    """Returns what the ledger is told of what an interrupted launch made, and when each target was made."""
    made = [(one, one.made) for one in tried if one.made is not None]
    return [outcome_of(one) for one, _ in made], {
        one.record.target: datetime.fromtimestamp(at, timezone.utc) for one, at in made
    }


def outcome_of(attempt: Attempt) -> TargetOutcome:
    """Returns what became of a target of a launch that others have carried out."""
    target, run_id = attempt.record.target, attempt.run_id
    if attempt.made is not None:
        seconds = attempt.seconds if attempt.launch.submitted else None
        return TargetOutcome(target, "success", run_id, seconds, unsteady=attempt.unsteady)
    if run_id is None:
        error = "interrupted before it ran: Dagster has made no run of it"
        return TargetOutcome(target, "failed", error=error)
    run = f"run {run_id[:8]}"
    error = f"{run} was canceled" if attempt.canceled else attempt.error or f"{run} did not make it"
    status: TargetStatus = "failed" if attempt.error or attempt.begun or attempt.canceled else "skipped"
    return TargetOutcome(
        target, status, run_id, error=error, checks=attempt.checks, canceled=attempt.canceled
    )
