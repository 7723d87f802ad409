"""Settles launches whose process was killed.

What Dagster had finished is found in its event log, so that it is not run again. A target counts as
finished only where it is certain from which contents it was made; else it stays pending, whatever is on
disk by now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from raw_trigger.adopt import promote, results_of
from raw_trigger.bookkeeping import open_ledger
from raw_trigger.content.disk import last_change
from raw_trigger.content.feeding import Feeding
from raw_trigger.errors import LedgerError, ProjectError, RawTriggerError
from raw_trigger.ledger import Ledger, owner_alive
from raw_trigger.model.changes import NOTHING
from raw_trigger.model.history import LaunchRecord, TargetRecord
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.owner import Owner
from raw_trigger.model.plan import Plan, Target
from raw_trigger.model.record import Launch
from raw_trigger.planner import Planner
from raw_trigger.project.project import DagsterRun
from raw_trigger.record.run import Fate, Run, pointers
from raw_trigger.working_tree import DiskTree
from raw_trigger.workspace.workspace import Workspace

FORGOTTEN = timedelta(days=7)
"""A launch of which nobody can tell whether it still runs is given up after this time."""
_TICK = 0.05
"""Seconds by which a file system's clock can be behind ours."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Says what became of one target of a launch that was killed.

    ``made`` is when it was materialized, in seconds since 1970; None: it was cut off, or a check of it did
    not pass. A report leaves no trace that could be told from another's, and is cheap to repeat.
    ``begun`` says whether Dagster had come to it and may have made something.
    """

    launch: LaunchRecord
    record: TargetRecord
    run_id: str | None
    made: float | None
    begun: bool = True

    @property
    def name(self) -> str:
        """Returns the target as text."""
        return self.record.target.text


def settle(planner: Planner, warn: Callable[[str], None]) -> None:
    """Records what launches had finished whose process was killed; what else they were for is pending.

    Args:
        warn: Told if that could not be found out.

    Raises:
        RecordError: it cannot be written; to run anything would be in vain.
    """
    workspace = planner.workspace
    killed = {} if planner.record is None else interrupted(planner.record.launches)
    try:
        ledger = open_ledger(workspace)
        # One without a mark had recorded all it came to, and was killed before it told the ledger.
        launches = [
            one
            for one in ledger.open_launches(workspace.environment)
            if one.launch_id in killed or owner_alive(one.owner) is False
        ]
        found = workspace.project.materialized(run_ids(launches)) if launches else {}
    except (LedgerError, ProjectError) as error:
        if killed:
            warn(f"what an interrupted run had finished is not known and may run again: {error.line}")
        return
    attempted = {launch.launch_id: attempts(launch, found) for launch in launches}
    here = reads_here(workspace)
    for launch_id, mark in sorted(killed.items(), key=lambda one: one[1].started):
        _record(planner, launch_id, mark, attempted.get(launch_id, []) if here else [])
        planner.look_again()
    # Only now: what the ledger has closed nobody would ask Dagster for again.
    try:
        for launch in launches:
            _close(ledger, launch, attempted[launch.launch_id])
    except LedgerError as error:
        warn(f"how an interrupted run ended is not in the history: {error.line}")


def _close(ledger: Ledger, launch: LaunchRecord, tried: Sequence[Attempt]) -> None:
    done, told = outcomes(tried)
    # When it ended nobody has told: not before the last of what it made.
    ended = max([launch.started, *told.values()])
    error = RawTriggerError("the process that ran it was killed, or the machine went down")
    ledger.finish(launch.launch_id, done, ended=ended, told=told, error=error)


def _record(planner: Planner, launch_id: str, launch: Launch, tried: Sequence[Attempt]) -> None:
    """Records what became of one of them."""
    repo, record = planner.workspace.repo, planner.record
    assert record is not None
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
        if any(launch.has(path, one.target.text) for path in one.feeds)
    }
    for one in tried:
        target = one.record.target
        fates[target] = "not made" if not one.begun else "made" if target in known else "broken"
    learnt = {**pointers(run.plan), **run.after(fates).learnt}
    under = planner.record_under(rules, record)
    promote(planner, results_of(planner, record, under, learnt, by=rules, launch=launch_id))


def interrupted(launches: Mapping[str, Launch]) -> dict[str, Launch]:
    """Returns those of the launches whose process is gone."""
    return {
        launch_id: launch
        for launch_id, launch in launches.items()
        if launch.owner is not None and _is_gone(launch.owner, datetime.fromisoformat(launch.started))
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
        times = {Target(one.asset, one.partition): one.time for one in run.materialized}
        for record in batch.targets:
            begun, made = _came_to(record.target, run, times)
            out.append(Attempt(launch, record, run_id, made, begun))
    return out


def _came_to(target: Target, run: DagsterRun, times: Mapping[Target, float]) -> tuple[bool, float | None]:
    """Whether the run had begun with the target, and when it was made."""
    if target.job is not None:  # it stands for its run as a whole
        return run.broken_off or run.succeeded is not None, run.succeeded
    made = times.get(target)
    passed = target.asset not in run.failed_checks
    return made is not None or target.asset in run.cut_off, made if passed else None


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
    relatives = _relatives(tried)

    def is_known(attempt: Attempt, path: bytes, files: Mapping[bytes, str | None]) -> bool:
        """Whether what is at the path now was there when the target was made."""
        entry = now.get(path)
        if path in files and (path not in now or (None if entry is None else entry.oid) != files[path]):
            return False
        # What was touched since may be as it was, and have been another one meanwhile.
        return changed_at(path) < attempt.launch.started.timestamp() - _TICK

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
