"""Settles launches that nobody has told the end of: those whose process was killed, and submitted ones.

What Dagster had finished is found in its event log, so that it is not run again. A target counts as
finished only where it is certain from which contents it was made; else it stays pending, whatever is on
disk by now.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from raw_trigger.adopt import promote, results_of
from raw_trigger.bookkeeping import open_ledger
from raw_trigger.content.disk import last_change
from raw_trigger.content.feeding import Feeding
from raw_trigger.errors import LedgerError, ProjectError, RawTriggerError
from raw_trigger.ledger import Ledger, owner_alive
from raw_trigger.lock import PATIENCE
from raw_trigger.model.changes import NOTHING
from raw_trigger.model.history import LaunchRecord, TargetRecord
from raw_trigger.model.outcome import TargetOutcome, TargetStatus
from raw_trigger.model.owner import Owner
from raw_trigger.model.plan import Plan, Target
from raw_trigger.model.record import Launch
from raw_trigger.model.text import sample
from raw_trigger.planner import Planner
from raw_trigger.project.project import DagsterRun, Materialized
from raw_trigger.record.run import Fate, Run, pointers
from raw_trigger.working_tree import DiskTree
from raw_trigger.workspace.workspace import Workspace

FORGOTTEN = timedelta(days=7)
"""A launch of which nobody can tell whether it still runs is given up after this time."""
RUNLESS = timedelta(minutes=2)
"""A daemon has made the run that it was asked for by then, or it never will."""
_RUNLESS_FOR_ALL = timedelta(hours=24)
"""A daemon that was down goes on with its last tick for so long."""
_PAUSE = 1.0
"""Seconds between two looks at a run that is waited for."""
_TICK = 0.05
"""Seconds by which a file system's clock can be behind ours."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Says what became of one target of a launch.

    ``made`` is when it was materialized, in seconds since 1970; None: it was cut off, or a check of it did
    not pass. A report leaves no trace that could be told from another's, and is cheap to repeat.
    ``begun`` says whether Dagster had come to it and may have made something. ``since`` is when it began,
    where its run was submitted: what it read was there then, whatever it was launched for.
    """

    launch: LaunchRecord
    record: TargetRecord
    run_id: str | None
    made: float | None
    begun: bool = True
    since: float | None = None
    error: str | None = None
    canceled: bool = False

    @property
    def name(self) -> str:
        """Returns the target as text."""
        return self.record.target.text


@dataclass(frozen=True, slots=True)
class Ending:
    """Says what is known of a launch. ``in_flight``: the targets that may still be made, with their runs."""

    tried: Sequence[Attempt] = ()
    in_flight: Mapping[Target, str | None] = field(default_factory=dict)


def settle(planner: Planner, warn: Callable[[str], None], *, ticks: bool = False) -> None:
    """Records what launches had finished; what else they were for is pending, or still in flight.

    Args:
        warn: Told if that could not be found out.
        ticks: Whether a daemon asks: what it was to make a run of, and did not, is lost.

    Raises:
        RecordError: it cannot be written; to run anything would be in vain.
    """
    workspace = planner.workspace
    marks = {} if planner.record is None else planner.record.launches
    killed, submitted = interrupted(marks), [name for name, mark in marks.items() if mark.submitted]
    try:
        ledger = open_ledger(workspace)
        # One without a mark had recorded all it came to, and was killed before it told the ledger.
        known = {
            one.launch_id: one
            for one in ledger.open_launches(workspace.environment)
            if one.launch_id in killed or one.submitted or owner_alive(one.owner) is False
        }
        submitted = [*dict.fromkeys((*submitted, *(name for name, one in known.items() if one.submitted)))]
        gone = [one for one in known.values() if one.launch_id not in submitted]
        found = workspace.project.materialized(run_ids(gone)) if gone else {}
        runs = workspace.project.submitted(submitted) if submitted else {}
    except (LedgerError, ProjectError) as error:
        if killed:
            warn(f"what an interrupted run had finished is not known and may run again: {error.line}")
        elif submitted:
            warn(f"what became of the runs that were submitted is not known: {error.line}")
        return
    endings = {one.launch_id: Ending(attempts(one, found)) for one in gone}
    for name in submitted:
        mark, launch = marks.get(name), known.get(name)
        endings[name] = (
            _without_history(mark, runs.get(name, {}).values())
            if launch is None
            else ending(launch, runs.get(name, {}), lost=_is_lost(launch.started, ticks))
        )
    here = reads_here(workspace)
    for name, mark in sorted(marks.items(), key=lambda one: one[1].started):
        if name in killed or mark.submitted:
            _record(planner, name, mark, endings.get(name, Ending()), here=here)
            planner.look_again()
    # Only now: what the ledger has closed nobody would ask Dagster for again.
    try:
        for launch in known.values():
            _close(ledger, launch, endings[launch.launch_id])
    except LedgerError as error:
        warn(f"how an interrupted run ended is not in the history: {error.line}")


def await_submitted(planner: Planner, warn: Callable[[str], None], say: Callable[[str], None]) -> None:
    """Returns when what was submitted is made, as far as that is sure to end.

    Nobody waits for a request that came to no run: there may be no daemon.

    Args:
        warn: Told if it could not be found out.
        say: Told whom this waits for.

    Raises:
        RecordError: it cannot be written what became of them.
    """
    until = time.monotonic() + PATIENCE
    told = ""
    while time.monotonic() < until:
        submitted = {} if planner.record is None else planner.record.launches
        names = {name for one in submitted.values() if one.submitted for name in one.targets}
        runs = {run_id for name, run_id in planner.runs.items() if name in names}
        young = [one for one in submitted.values() if one.submitted and _is_young(one)]
        if not runs and not young:
            return
        who = ", ".join(f"run {run_id[:8]}" for run_id in sorted(runs)) or f"the {young[0].face}"
        if who != told:
            say(f"waiting for {who} to make {sample(sorted(names))}")
            told = who
        time.sleep(_PAUSE)
        planner.runs.clear()
        settle(planner, warn)
        planner.look_again(at_code=False)


def _is_young(mark: Launch) -> bool:
    """Whether a daemon may still make the runs of a launch that has none."""
    return datetime.now(timezone.utc) - datetime.fromisoformat(mark.started) <= RUNLESS


def _is_lost(started: datetime, ticks: bool) -> bool:
    """Whether nobody will make a run any more that there is not yet."""
    return datetime.now(timezone.utc) - started > (RUNLESS if ticks else _RUNLESS_FOR_ALL)


def _without_history(mark: Launch | None, runs: Iterable[DagsterRun]) -> Ending:
    """Returns the ending of a launch that is not in the ledger."""
    open_runs = [run for run in runs if not run.has_ended]
    names = frozenset[str]() if mark is None or not open_runs else mark.targets
    return Ending((), {Target(*name.split("|", 1)): open_runs[0].run_id for name in names})


def _close(ledger: Ledger, launch: LaunchRecord, known: Ending) -> None:
    done, told = outcomes(known.tried)
    # When it ended nobody has told: not before the last of what it made.
    ended = max([launch.started, *told.values()])
    if not launch.submitted:
        error = RawTriggerError("the process that ran it was killed, or the machine went down")
        ledger.finish(launch.launch_id, done, ended=ended, told=told, error=error)
        return
    made = {one.target for one in done}
    done += [not_made(one) for one in known.tried if one.record.target not in made]
    done += [TargetOutcome(target, "submitted", run_id) for target, run_id in known.in_flight.items()]
    if known.tried or any(run_id is not None for run_id in known.in_flight.values()):
        now = datetime.now(timezone.utc)
        ledger.finish(launch.launch_id, done, ended=now, told=told)


def not_made(attempt: Attempt) -> TargetOutcome:
    """Returns what the ledger is told of a target of a submitted launch that was not made."""
    if attempt.run_id is None:
        error = "interrupted before it ran: Dagster has made no run of it"
        return TargetOutcome(attempt.record.target, "failed", error=error)
    run = f"run {attempt.run_id[:8]}"
    error = f"{run} was canceled" if attempt.canceled else attempt.error or f"{run} did not make it"
    status: TargetStatus = "failed" if attempt.error or attempt.begun or attempt.canceled else "skipped"
    return TargetOutcome(
        attempt.record.target, status, attempt.run_id, error=error, canceled=attempt.canceled
    )


def _record(planner: Planner, launch_id: str, launch: Launch, ended: Ending, *, here: bool) -> None:
    """Records what became of one of them.

    Args:
        here: Whether it read the files of this working tree.
    """
    repo, record = planner.workspace.repo, planner.record
    assert record is not None
    in_flight = frozenset(target.text for target in ended.in_flight)
    planner.runs |= {target.text: run_id for target, run_id in ended.in_flight.items() if run_id is not None}
    if launch.targets <= in_flight:
        return
    tried = ended.tried if here else []
    tried = [one for one in tried if any(launch.has(path, one.name) for path, _ in one.record.files)]
    run = Run(
        DiskTree(planner, launch.paths, without=launch_id),
        [one.record.target for one in tried if one.begun],
    )
    rules = planner.rules(planner.known_catalog())
    with planner.contents(NOTHING, rules) as contents:
        feeding = Feeding(repo, planner.tracked, NOTHING, rules, contents)
        known = certain(
            [one for one in tried if one.begun],
            run.plan,
            feeding=lambda target: [path for path, _ in feeding.paths(target)],
            changed_at=lambda path: last_change(repo, path),
        )
    fates: dict[Target, Fate] = {
        one.target: "broken"
        for one in run.plan.made_from_changes
        if any(launch.has(path, one.target.text) for path in one.feeds) and one.target.text not in in_flight
    }
    for one in tried:
        target = one.record.target
        fates[target] = "not made" if not one.begun else "made" if target in known else "broken"
    learnt = {**pointers(run.plan), **run.after(fates).learnt}
    under = planner.record_under(rules, record)
    results = results_of(
        planner, record, under, learnt, by=rules, launch=launch_id, in_flight=in_flight & launch.targets
    )
    promote(planner, results)


def are_to_settle(launches: Mapping[str, Launch]) -> bool:
    """Says whether one of the launches may have ended without telling."""
    return any(one.submitted for one in launches.values()) or bool(interrupted(launches))


def interrupted(launches: Mapping[str, Launch]) -> dict[str, Launch]:
    """Returns those of the launches whose process is gone, and nobody goes on with them."""
    return {
        launch_id: launch
        for launch_id, launch in launches.items()
        if launch.owner is not None
        and not launch.submitted
        and _is_gone(launch.owner, datetime.fromisoformat(launch.started))
    }


def _is_gone(owner: Owner, started: datetime) -> bool:
    alive = owner_alive(owner)
    return not alive if alive is not None else datetime.now(timezone.utc) - started > FORGOTTEN


def run_ids(launches: Iterable[LaunchRecord]) -> list[str]:
    """Returns the Dagster runs of the launches. Reports have none: they are cheap and can be repeated."""
    return [
        batch.dagster_run_id
        for launch in launches
        for batch in launch.batches
        if batch.dagster_run_id is not None
    ]


def ending(launch: LaunchRecord, runs: Mapping[int, DagsterRun], *, lost: bool = False) -> Ending:
    """Returns what is known of a submitted launch.

    Args:
        runs: Its runs, by their batches.
        lost: Whether a batch that has no run will have none.
    """
    tried: list[Attempt] = []
    in_flight: dict[Target, str | None] = {}
    for batch in launch.batches:
        run = runs.get(batch.number)
        if (run is None and not lost) or (run is not None and not run.has_ended):
            run_id = None if run is None else run.run_id
            in_flight |= dict.fromkeys((one.target for one in batch.targets), run_id)
        else:
            run_id = None if run is None else run.run_id
            known = {} if run is None or run_id is None else {run_id: run}
            one = replace(launch, batches=(replace(batch, dagster_run_id=run_id),))
            tried += attempts(one, known)
    return Ending([replace(one, launch=launch) for one in tried], in_flight)


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
            since = since if launch.submitted else None
            error = run.errors.get(record.target.asset) or run.error
            out.append(Attempt(launch, record, run_id, made, begun, since, error, run.was_canceled))
    return out


def _came_to(
    target: Target, run: DagsterRun, times: Mapping[Target, Materialized]
) -> tuple[bool, float | None, float | None]:
    """Whether the run had begun with the target, when it was made, and when that began."""
    if target.job is not None:  # it stands for its run as a whole
        return run.broken_off or run.succeeded is not None, run.succeeded, run.began
    made = times.get(target)
    if made is None:
        return target.asset in run.cut_off, None, None
    return True, None if target.asset in run.failed_checks else made.time, made.began


def reads_here(workspace: Workspace) -> bool:
    """Says whether the environment's launches read the files of this working tree, not of another's."""
    repo = workspace.repo
    if not any((repo.common_dir / "worktrees").glob("*")):
        return True
    own = "local" if repo.worktree_name is None else f"local-{repo.worktree_name}"
    by_default = workspace.config.environment is None and workspace.project.has_private_home()
    return by_default and workspace.environment == own


def certain(
    tried: Sequence[Attempt],
    plan: Plan,
    *,
    feeding: Callable[[Target], Iterable[bytes]],
    changed_at: Callable[[bytes], float],
) -> set[Target]:
    """Returns the targets of which it is known from which contents they were made.

    Args:
        tried: One attempt for each target.
        plan: Of what is on disk other than recorded.
        feeding: The files on disk that a target is made from.
        changed_at: When a path was last changed, put in place or taken away, in seconds since 1970.
    """
    now = {planned.change.path: planned.change.new for planned in plan.changes}
    fed = {one.target: one.feeds for one in plan.made_from_changes}
    relatives, by_target = _relatives(tried), {attempt.record.target: attempt for attempt in tried}

    def is_known(attempt: Attempt, path: bytes, files: Mapping[bytes, str | None]) -> bool:
        """Whether what is at the path now was there when the target was made."""
        changed, launched = changed_at(path) + _TICK, attempt.launch.started.timestamp()
        # What was touched since may be as it was, and have been another one meanwhile.
        if changed >= began(attempt):
            return False
        entry = now.get(path)
        as_launched = path in now and (None if entry is None else entry.oid) == files.get(path)
        return changed >= launched or path not in files or as_launched

    def began(attempt: Attempt) -> float:
        """When the first of the relatives that were made began; for a killed launch when that began."""
        near = (by_target[one].since for one in relatives(attempt) if one in by_target)
        return min((one for one in near if one is not None), default=attempt.launch.started.timestamp())

    def is_certain(attempt: Attempt) -> bool:
        if attempt.made is None:
            return False
        files = dict(attempt.record.files)
        # What is downstream was made from the files of what is above it, which the launch was for too.
        near = {path for target in relatives(attempt) for path in feeding(target)}
        return all(
            is_known(attempt, path, files) for path in {*files, *near, *fed.get(attempt.record.target, ())}
        )

    return {attempt.record.target for attempt in tried if is_certain(attempt)}


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
    """Returns what the ledger is told of an interrupted launch, and when each target was made."""
    made = {
        attempt.record.target: (attempt.run_id, datetime.fromtimestamp(attempt.made, timezone.utc))
        for attempt in tried
        if attempt.made is not None
    }
    done = [TargetOutcome(target, "success", run_id) for target, (run_id, _) in made.items()]
    return done, {target: moment for target, (_, moment) in made.items()}
