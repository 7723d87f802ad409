"""One look at the raw files from inside Dagster: settles what was asked for before, asks for what is due."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster import RunRequest

from raw_trigger import launches
from raw_trigger.automation import checks
from raw_trigger.automation.first import ready
from raw_trigger.automation.loaded import edited_module, loaded_workspace
from raw_trigger.automation.requests import RequestLauncher
from raw_trigger.automation.settings import AT_ONCE, enabled, tick_seconds
from raw_trigger.errors import RawTriggerError
from raw_trigger.lock import LockError, locked
from raw_trigger.model.changes import show
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import Plan, PlannedTarget, Target
from raw_trigger.planner import Planner
from raw_trigger.revisions import from_arguments
from raw_trigger.trigger import Trigger
from raw_trigger.unattended import planned, remarks, settle_time, stays_away
from raw_trigger.workspace.workspace import Workspace

_PART = 0.75
"""Of the time that a tick has, what may be over when it asks for runs: asking takes some, too."""
_TOO_LATE = (
    "looking at the files took almost as long as Dagster waits for a tick: the next one, which knows them,"
    " asks for what is due. If it never does, raise DAGSTER_{}_GRPC_TIMEOUT_SECONDS"
)
_NAMED = 3
"""Targets that the message of a tick names."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Says what a sensor or schedule is for.

    Attributes:
        project: A folder of the repository; None: the working directory.
        environment: As of the configuration; None: what that says.
        branches: The branches whose files are materialized; empty: all of them.
        settle: For so many seconds a file must have been left alone; None: `$RAW_SCAN_COOLDOWN_SEC`.
        most: The most runs that one tick asks for.
        jobs: The jobs whose rules it is for; None: it is for assets.
    """

    project: Path | None = None
    environment: str | None = None
    branches: tuple[str, ...] = ()
    settle: float | None = None
    most: int = AT_ONCE
    jobs: frozenset[str] | None = None

    def has(self, target: PlannedTarget) -> bool:
        """Says whether it is for the target."""
        job = target.target.job
        return job is None if self.jobs is None else job in self.jobs


@dataclass(frozen=True, slots=True)
class Tick:
    """Says what one look has come to. ``told`` is one line for a person.

    ``partitions`` are what would be added first, where it is only shown.
    """

    requests: Sequence[RunRequest]
    told: str
    partitions: Sequence[Any] = ()


def evaluate(context: Any, wanted: Wanted, face: str) -> Tick:
    """Returns what a tick has come to: what goes wrong is told in words, so that no tick fails.

    Args:
        context: Dagster's, of a sensor or a schedule.
        face: Which of the two.
    """
    until = time.monotonic() + _PART * tick_seconds(face)
    try:
        if enabled() is False:
            return Tick((), "RAW_SCHEDULE_ENABLED is false")
        workspace = loaded_workspace(
            wanted.project or Path.cwd(),
            environment=wanted.environment,
            repository=context.repository_def,
            instance=context.instance,
        )
        launcher = RequestLauncher(context.repository_def, context.instance, dry=is_dry(context))
        with closing(workspace.repo):
            return look(wanted, workspace, launcher, face=face, warn=context.log.warning, until=until)
    except LockError as error:
        return Tick((), f"{error.message}; the next tick looks again")
    except RawTriggerError as error:
        return Tick((), error.line)


def is_dry(context: Any) -> bool:
    """Says whether somebody only tries it: the UI's "Test sensor", `dagster sensor preview`.

    The log key of a daemon's tick ends in the tick's number; where there is none Dagster makes one of the
    time (1.7 to 1.13).
    """
    key = getattr(context, "log_key", None) or ["-"]
    return not str(key[-1]).isdigit()


def look(
    wanted: Wanted,
    workspace: Workspace,
    launcher: RequestLauncher,
    *,
    face: str,
    warn: Callable[[str], None],
    until: float = math.inf,
) -> Tick:
    """Returns what is asked for now, after what was asked for before is settled.

    Args:
        workspace: Where it looks.
        launcher: Asked for what is due; where it is dry, nothing is written.
        face: Who looks.
        warn: Told what the user should know.
        until: When it is too late to ask for anything, by :func:`time.monotonic`: nobody would hear it.

    Raises:
        RawTriggerError: it cannot be known what to do, or somebody else is doing it.
    """
    seconds = settle_time(wanted.settle)
    reason = stays_away(workspace, seconds, wanted.branches)
    edited = edited_module(workspace.repo.top)
    if edited is not None:
        reason = reason or f"{edited} was edited after it was loaded here: reload the code location"
    if reason is not None:
        return Tick((), reason)
    planner = Planner(workspace)
    locks, environment = workspace.locks, workspace.environment
    with nullcontext() if launcher.dry else locked(locks, environment, face, lambda _: None, patience=0):
        return _asked(wanted, planner, launcher, seconds, face=face, warn=warn, until=until)


def _asked(
    wanted: Wanted,
    planner: Planner,
    launcher: RequestLauncher,
    seconds: float,
    *,
    face: str,
    warn: Callable[[str], None],
    until: float,
) -> Tick:
    """What is asked for of the launcher; :func:`look` has the other arguments.

    Args:
        seconds: For so long a file must have been left alone.
    """
    if not launcher.dry:
        launches.settle(planner, warn, ticks=True)
        planner.look_again()
    base, desired = from_arguments(planner.workspace.repo, planner.workspace.environment, [])
    plan, holds = planned(planner, base, desired, seconds)
    trigger = Trigger(planner)

    def is_mine(target: PlannedTarget) -> bool:
        return wanted.has(target) and (target.target.job is not None or launcher.takes(target))

    chosen = ready(plan, is_mine, wanted.most)
    if wanted.jobs is not None and not chosen.actionable:
        return Tick((), _told(plan, (), wanted, launcher, {}))  # the assets' sensor tells what else there is
    if chosen.actionable and time.monotonic() > until:
        return Tick((), _TOO_LATE.format(face.upper()))
    if launcher.dry:
        shown: list[TargetOutcome] = []
        launcher.launch(lambda: trigger.order(chosen, face, str(uuid.uuid4())), shown.append, lambda _: None)
        return Tick(launcher.requests, _told(plan, shown, wanted, launcher, {}), launcher.partitions)
    waits: Mapping[Target, str] = {}
    made = {one.target.asset for one in chosen.actionable if one.action == "materialize"}
    # Most assets of raw files are made from nothing else: an order costs a walk over the files.
    if wanted.jobs is None and planner.catalog.known().made_above(made):
        repeats = planner.history.repeats(sorted(made))
        waits = launcher.put_first(trigger.order(chosen, face, str(uuid.uuid4())), repeats, wanted.most)
        left = wanted.most - len(launcher.requests)
        chosen = ready(chosen, lambda one: one.target not in waits, left)
    outcome = trigger.run(chosen, launcher, face=face)
    if wanted.jobs is None:
        failed = {one.target for one in outcome.targets if one.status in ("failed", "skipped")}
        due = {one.target for one in plan.actionable if is_mine(one)}
        try:
            checks.report(planner, plan, holds, due - failed, launcher.own_checks, launcher.instance)
        except Exception as error:  # what is asked for must be heard
            warn(f"the asset checks are not told: {type(error).__name__}: {error}")
    for text in (*remarks(plan), *trigger.warnings):
        warn(text)
    return Tick(launcher.requests, _told(plan, outcome.targets, wanted, launcher, waits))


def _told(
    plan: Plan,
    outcomes: Sequence[TargetOutcome],
    wanted: Wanted,
    launcher: RequestLauncher,
    waits: Mapping[Target, str],
) -> str:
    """Returns what a tick came to, in one line.

    Args:
        waits: The targets that something else is made for first, and why.
    """
    done = {one.target: one for one in outcomes}
    mine = [one for one in plan.targets if wanted.jobs is None or wanted.has(one)]
    failed = [f"{one.target.text}: {one.error}" for one in outcomes if one.status in ("failed", "skipped")]
    reported = [f"{one.target.text}: reported" for one in outcomes if one.status == "success"]
    held = [one.sentence for one in mine if one.held]
    open_yet = [
        one.sentence for one in mine if one.action == "skip" and one.reason and not (one.held or one.settles)
    ]
    disk = [f"{show(one.change.path)}: {one.reason}" for one in plan.waiting]
    first = [f"{target.text}: {why}" for target, why in waits.items()]
    left = [
        _left(one, launcher)
        for one in mine
        if one.action != "skip" and one.target not in done and one.target not in waits
    ]
    unmapped = [f"nothing is made from {show(one.change.path)}" for one in plan.unmapped]
    lines = [*plan.errors, *failed, *held, *disk, *open_yet, *first, *left, *reported, *unmapped]
    if not lines and wanted.jobs is not None and not outcomes:
        return "no job is due"
    if not lines:
        asked = "would be asked for" if launcher.dry else "asked for"
        return f"{len(outcomes)} {asked}" if outcomes else plan.base.reason or "every raw file is reflected"
    rest = len(lines) - _NAMED
    return "; ".join(lines[:_NAMED]) + (f"; and {rest} more" if rest > 0 else "")


def _left(one: PlannedTarget, launcher: RequestLauncher) -> str:
    """Returns why a target that is due was not asked for."""
    if one.target.job is not None:
        return f"{one.target.text}: a sensor of build_raw_job_sensor asks for it"
    if not launcher.takes(one):
        return f"{one.target.text}: a sensor of its own code location asks for it"
    if launcher.dry and one.action != "materialize":
        return f"{one.target.text}: a tick would {one.action} it"
    return f"{one.target.text}: it is asked for later"
