"""Settles launches that nobody has told the end of: those whose process was killed, and submitted ones.

What Dagster had finished is found in its event log, so that it is not run again. A target counts as
finished only where it is certain from which contents it was made; else it stays pending, whatever is on
disk by now.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from raw_trigger.adopt import promote, results_of
from raw_trigger.bookkeeping import open_ledger
from raw_trigger.content.deployed import commit_here
from raw_trigger.content.disk import last_change
from raw_trigger.errors import LedgerError, ProjectError, RawTriggerError, UnreachableError
from raw_trigger.launch.attempts import (
    Attempt,
    Ending,
    attempts,
    certain,
    certain_in,
    ending,
    from_mark,
    outcome_of,
    outcomes,
    run_ids,
)
from raw_trigger.ledger import Ledger, owner_alive
from raw_trigger.lock import PATIENCE
from raw_trigger.model.changes import NOTHING
from raw_trigger.model.history import LaunchRecord
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.owner import Owner
from raw_trigger.model.plan import Target
from raw_trigger.model.record import Launch, Learnt, Results
from raw_trigger.model.text import sample
from raw_trigger.planner import Planner
from raw_trigger.record.run import Fate, Run, pointers
from raw_trigger.working_tree import CommitTree, DiskTree
from raw_trigger.workspace.workspace import Workspace

FORGOTTEN = timedelta(days=7)
"""A launch of which nobody can tell whether it still runs is given up after this time."""
RUNLESS = timedelta(minutes=10)
"""A daemon that is not down has made the run that it was asked for by then."""
_RUNLESS_FOR_ALL = timedelta(hours=1)
"""For so long nobody else gives it up: the daemon may be down."""
_OF_DAEMONS = ("sensor", "schedule")
_PROMPT = timedelta(minutes=2)
"""A deployment has made the run by then that it was asked for, or never heard of it."""
_LATE = timedelta(hours=24)
"""A daemon that was down goes on with its last tick for so long: its run has to be noticed then."""
_WORRY = 90.0
"""Seconds between two looks at whether this waits in vain."""
_PAUSE, _LONGEST_PAUSE = 1.0, 10.0
"""Seconds between two looks at a run that is waited for, which grow: each look starts a process."""


def settle(planner: Planner, warn: Callable[[str], None], *, ticks: bool = False) -> list[TargetOutcome]:
    """Records what launches had finished; what else they were for is pending, or still in flight.

    Args:
        warn: Told if that could not be found out.
        ticks: Whether a daemon asks: what it was to make a run of, and did not, is lost.

    Returns:
        What became of targets that were submitted, as far as nobody was told of it before.

    Raises:
        RecordError: it cannot be written; to run anything would be in vain.
    """
    try:
        return settle_surely(planner, warn, ticks=ticks)
    except ProjectError as error:
        marks = {} if planner.record is None else planner.record.launches
        if are_to_settle(marks):
            warn(f"what became of earlier runs is not known, so they may be repeated: {error.line}")
        return []


def settle_surely(
    planner: Planner, warn: Callable[[str], None], *, ticks: bool = False
) -> list[TargetOutcome]:
    """Records what launches had finished, as :func:`settle` does, or raises why that is not known.

    Raises:
        ProjectError: Dagster cannot be asked; nothing was recorded.
    """
    workspace = planner.workspace
    marks = {} if planner.record is None else planner.record.launches
    killed = interrupted(marks)
    # Those of another working tree read its files: only there can be told which.
    away = {name for name, mark in marks.items() if mark.submitted and _is_elsewhere(mark, workspace)}
    ledger, known = _open(workspace, killed, warn)
    known = {name: one for name, one in known.items() if name not in away}
    names = [name for name, mark in marks.items() if mark.submitted and name not in away]
    submitted = [*dict.fromkeys((*names, *(name for name, one in known.items() if one.submitted)))]
    gone = [one for one in known.values() if one.launch_id not in submitted]
    found = workspace.project.materialized(run_ids(gone)) if gone else {}
    runs = workspace.project.submitted(submitted) if submitted else {}
    told: list[TargetOutcome] = []
    endings = {one.launch_id: Ending(attempts(one, found)) for one in gone}
    for name in submitted:
        own = runs.get(name, {})
        launch = known.get(name) or from_mark(name, marks[name], own)
        patience = RUNLESS if ticks else _RUNLESS_FOR_ALL
        if workspace.config.launcher == "graphql" and launch.face not in _OF_DAEMONS:
            patience = _PROMPT
        endings[name] = ending(launch, own, lost=_is_lost(launch.started, patience))
        _forget_strays(planner, marks.get(name, Launch({})), endings[name].tried)
    for name, mark in sorted(marks.items(), key=lambda one: one[1].started):
        if name in killed or name in submitted:
            endings[name] = _recorded(planner, name, mark, endings.get(name, Ending()))
            planner.look_again()
        if name in submitted:
            told += [outcome_of(one) for one in endings[name].tried if one.name in mark.targets]
    # Only now: what the ledger has closed nobody would ask Dagster for again.
    try:
        for launch in known.values():
            _close(ledger, launch, endings[launch.launch_id])
    except LedgerError as error:
        warn(f"how an interrupted run ended is not in the history: {error.line}")
    return told


def _open(
    workspace: Workspace, killed: Collection[str], warn: Callable[[str], None]
) -> tuple[Ledger, dict[str, LaunchRecord]]:
    """The ledger, and the launches that it has open and that nobody else is going to close."""
    ledger = open_ledger(workspace)
    try:
        # One without a mark had recorded all it came to, and was killed before it told the ledger.
        return ledger, {
            one.launch_id: one
            for one in ledger.open_launches(workspace.environment)
            if one.launch_id in killed or one.submitted or owner_alive(one.owner) is False
        }
    except LedgerError as error:
        if killed:
            warn(f"what an interrupted run had finished is not known and may run again: {error.line}")
        return ledger, {}


def await_submitted(
    planner: Planner,
    warn: Callable[[str], None],
    say: Callable[[str], None],
    *,
    patience: float = PATIENCE,
    known: bool = True,
    finished: Callable[[TargetOutcome], None] = lambda _: None,
    alone: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> bool:
    """Returns when what was submitted is made, as far as that is sure to end.

    Nobody waits for a request that came to no run: there may be no daemon.

    Args:
        warn: Told if it could not be found out.
        say: Told whom this waits for.
        patience: Seconds to wait.
        known: Whether the planner knows the runs already.
        finished: Told what became of each target.
        alone: Entered for each look, where nobody holds the environment's lock for the whole of it.

    Returns:
        Whether it is made.

    Raises:
        RecordError: it cannot be written what became of them.
        ProjectError: Dagster will not tell.
    """
    until = time.monotonic() + patience
    told, pause = "", _PAUSE if known else 0.0
    worry = time.monotonic() + _WORRY
    while True:
        submitted = {} if planner.record is None else planner.record.launches
        names = {name for one in submitted.values() if one.submitted for name in one.targets}
        runs = {run_id for name, run_id in planner.runs.items() if name in names}
        young = [one for one in submitted.values() if one.submitted and _is_young(one)]
        if not names or (known and not runs and not young):
            return True
        if time.monotonic() > until:
            return False
        who = ", ".join(f"run {run_id[:8]}" for run_id in sorted(runs))
        who = who or (f"the {young[0].face}" if young else "")
        words = f"waiting for {who} to make {sample(sorted(names))}"
        if known and words != told:
            say(words)
            told = words
        time.sleep(min(pause, max(0.0, until - time.monotonic())))
        pause = min(max(2 * pause, _PAUSE), _LONGEST_PAUSE)
        try:
            with alone():
                planner.look_again(at_code=False)
                planner.runs.clear()
                for one in settle_surely(planner, warn):
                    finished(one)
                planner.look_again(at_code=False)
            known = True
            if time.monotonic() > worry:
                worry = time.monotonic() + _WORRY
                problem = planner.workspace.project.worry()
                if problem is not None:
                    say(f"{problem}: what is queued waits for it")
        except UnreachableError as error:  # it comes back, or the patience ends
            if error.message != told:
                say(f"{error.message}; waiting goes on")
                told = error.message


def _is_young(mark: Launch) -> bool:
    """Whether a daemon may still make the runs of a launch that has none."""
    return datetime.now(timezone.utc) - datetime.fromisoformat(mark.started) <= RUNLESS


def _is_lost(started: datetime, patience: timedelta) -> bool:
    """Whether nobody will make a run any more that there is not yet."""
    return datetime.now(timezone.utc) - started > patience


def _forget_strays(planner: Planner, mark: Launch, tried: Iterable[Attempt]) -> None:
    """Records that nobody knows what the targets reflect that were made when nobody waited for it any more.

    Their run came after somebody had given it up, or taken its place: it may have been the last one.
    """
    strays = [one for one in tried if one.run_id is not None and one.begun and one.name not in mark.targets]
    if not strays or planner.record is None:
        return
    rules, unknown = planner.known_rules(), dict[bytes, set[str]]()
    with planner.feeding(NOTHING, rules) as feeding:
        for one in strays:
            files = {path for path, _ in (*one.record.files, *feeding.paths(one.record.target))}
            for path in files:
                unknown.setdefault(path, set()).add(one.name)
    learnt = {path: Learnt.unknown(names) for path, names in unknown.items()}
    promote(planner, Results(planner.record.tree, learnt))
    planner.look_again()


def _close(ledger: Ledger, launch: LaunchRecord, known: Ending) -> None:
    done, told = outcomes(known.tried)
    if not launch.submitted:
        # When it ended nobody has told: not before the last of what it made.
        ended = max([launch.started, *told.values()])
        error = RawTriggerError("the process that ran it was killed, or the machine went down")
        ledger.finish(launch.launch_id, done, ended=ended, told=told, error=error)
        return
    made = {one.target for one in done}
    waits = datetime.now(timezone.utc) - launch.started < _LATE
    for one in known.tried:
        if one.run_id is None and waits:
            done.append(TargetOutcome(one.record.target, "submitted"))
        elif one.record.target not in made:
            done.append(outcome_of(one))
            if one.ended is not None:
                told[one.record.target] = datetime.fromtimestamp(one.ended, timezone.utc)
    done += [TargetOutcome(target, "submitted", run_id) for target, run_id in known.in_flight.items()]
    if any(one.status != "submitted" or one.run_id is not None for one in done):
        is_known = all(one.target in told for one in done)
        ended = max([launch.started, *told.values()]) if is_known else datetime.now(timezone.utc)
        ledger.finish(launch.launch_id, done, ended=ended, told=told)


def _recorded(planner: Planner, launch_id: str, launch: Launch, ended: Ending) -> Ending:
    """Records what became of one of them; returns it with what is known by then of what was read."""
    repo, record = planner.workspace.repo, planner.record
    assert record is not None
    in_flight = frozenset(target.text for target in ended.in_flight)
    planner.runs |= {target.text: run_id for target, run_id in ended.in_flight.items() if run_id is not None}
    if launch.targets <= in_flight:
        return ended
    commit = commit_here(repo, launch.commit) if launch.commit else None
    is_known = commit is not None or reads_here(planner.workspace, launch)
    tried = [one for one in ended.tried if one.name in launch.targets] if is_known else []
    run = Run(
        DiskTree(planner, launch.paths, without=launch_id)
        if commit is None
        else CommitTree(planner, commit, launch.paths, without=launch_id),
        [one.record.target for one in tried if one.begun],
    )
    rules = planner.known_rules()
    with planner.feeding(NOTHING, rules) as feeding:
        begun = [one for one in tried if one.begun]
        known = (
            certain(
                begun,
                run.plan,
                feeding=lambda target: [path for path, _ in feeding.paths(target)],
                changed_at=lambda path: last_change(repo, path),
                launched_at=launch.moment,
            )
            if commit is None
            else certain_in(begun, commit)
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
    tried = [replace(one, unsteady=one.record.target not in known) for one in ended.tried]
    return replace(ended, tried=tried)


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


def reads_here(workspace: Workspace, launch: Launch) -> bool:
    """Says whether a launch read the files of this working tree, not of another's."""
    return launch.top == str(workspace.repo.top)


def _is_elsewhere(launch: Launch, workspace: Workspace) -> bool:
    """Whether another working tree that is still there has to settle it."""
    return bool(launch.top) and not reads_here(workspace, launch) and Path(launch.top).is_dir()
