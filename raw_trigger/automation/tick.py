"""One look at the raw files from inside Dagster: settles what was asked for before, asks for what is due."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from math import inf
from pathlib import Path
from typing import Any

from dagster import RunRequest

from raw_trigger import launches
from raw_trigger.automation.loaded import edited_module, loaded_workspace
from raw_trigger.automation.requests import RequestLauncher
from raw_trigger.automation.settings import AT_ONCE, SETTLE_SECONDS, enabled
from raw_trigger.content.disk import last_change
from raw_trigger.errors import RawTriggerError
from raw_trigger.lock import locked
from raw_trigger.model.changes import show
from raw_trigger.model.history import Failure
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import Plan, PlannedTarget, Target
from raw_trigger.planner import Planner
from raw_trigger.repo.repository import Repository
from raw_trigger.revisions import from_arguments
from raw_trigger.trigger import Trigger

_FIRST_PAUSE, _LONGEST_PAUSE = 60.0, 3600.0
"""Seconds after a failure, doubled with each further one, until the same content is tried again."""
_NAMED = 3
"""Targets that the message of a tick names."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Says what a sensor or schedule is for.

    Attributes:
        project: A folder of the repository; None: the working directory.
        environment: As of the configuration; None: what that says.
        branches: The branches whose files are materialized; empty: all of them.
        settle_seconds: For so long a file must have been left alone.
        most: The most runs that one tick asks for.
        jobs: The jobs whose rules it is for; None: it is for assets.
    """

    project: Path | None = None
    environment: str | None = None
    branches: tuple[str, ...] = ()
    settle_seconds: float = SETTLE_SECONDS
    most: int = AT_ONCE
    jobs: frozenset[str] | None = None

    def has(self, target: PlannedTarget, known: Collection[str]) -> bool:
        """Says whether it may ask for the target.

        Args:
            known: The assets of the code location.
        """
        job = target.target.job
        if self.jobs is None:
            return job is None and target.target.asset in known
        return job in self.jobs


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
    try:
        if enabled() is False:
            return Tick((), "RAW_SCHEDULE_ENABLED is false")
        return look(
            wanted,
            face=face,
            repository=context.repository_def,
            instance=context.instance,
            location=_location(context),
            warn=context.log.warning,
            dry=is_dry(context),
        )
    except RawTriggerError as error:
        return Tick((), error.line)


def is_dry(context: Any) -> bool:
    """Says whether somebody only tries it: the UI's "Test sensor", `dagster sensor preview`.

    The log key of a daemon's tick ends in the tick's number; where there is none Dagster makes one of the
    time (1.7 to 1.13).
    """
    key = getattr(context, "log_key", None) or ["-"]
    return not str(key[-1]).isdigit()


def _location(context: Any) -> str:
    """Returns the name of the code location; empty where Dagster does not tell."""
    origin = getattr(context, "code_location_origin", None)
    return "" if origin is None else str(origin.location_name)


def look(
    wanted: Wanted,
    *,
    face: str,
    repository: Any,
    instance: Any,
    location: str,
    warn: Callable[[str], None],
    dry: bool = False,
) -> Tick:
    """Returns what is asked for now, after what was asked for before is settled.

    Args:
        face: Who looks.
        repository: Dagster's definition of the repository, as it is loaded here.
        warn: Told what the user should know.
        dry: Whether nothing is written.

    Raises:
        RawTriggerError: it cannot be known what to do, or somebody else is doing it.
    """
    workspace = loaded_workspace(
        wanted.project or Path.cwd(),
        environment=wanted.environment,
        repository=repository,
        instance=instance,
        location=location,
    )
    reason = _stays_away(workspace.repo, wanted)
    if reason is not None:
        return Tick((), reason)
    locks, environment = workspace.locks, workspace.environment
    with nullcontext() if dry else locked(locks, environment, face, lambda _: None, patience=0):
        planner = Planner(workspace)
        if not dry:
            launches.settle(planner, warn, ticks=True)
            planner.look_again()
        plan = _planned(planner, wanted)
        trigger, launcher = Trigger(planner), RequestLauncher(repository, instance, dry=dry)
        known = {asset.key for asset in planner.known_catalog().assets.values()}
        chosen = ready(plan, lambda one: wanted.has(one, known), wanted.most)
        if dry:
            launcher.launch(
                lambda: trigger.order(chosen, face, str(uuid.uuid4())), lambda _: None, lambda _: None
            )
            return Tick(launcher.requests, _told(plan, ()), launcher.partitions)
        outcome = trigger.run(chosen, launcher, face=face)
    for text in (*plan.errors, *trigger.warnings):
        warn(text)
    return Tick(launcher.requests, _told(plan, outcome.targets))


def _stays_away(repo: Repository, wanted: Wanted) -> str | None:
    """Returns why nothing is looked at now; None if nothing stands in the way."""
    if repo.hooks_busy():
        return "git is in the middle of a rebase"
    head = repo.head()
    branch = repo.git.line("symbolic-ref", "--quiet", "--short", "HEAD") if wanted.branches else None
    if wanted.branches and branch not in wanted.branches:
        here = "no branch is checked out" if branch is None else f"'{branch}' is checked out"
        return f"{here}, and only {', '.join(wanted.branches)} is materialized"
    if head is None:
        return "the repository has no commit yet"
    edited = edited_module(repo.top)
    if edited is not None:
        return f"{edited} was edited after it was loaded here: reload the code location"
    return None


def _planned(planner: Planner, wanted: Wanted) -> Plan:
    """Returns the plan, without what has to wait: what is still being written, and what failed just now."""
    workspace = planner.workspace
    base, desired = from_arguments(workspace.repo, workspace.environment, [])
    found = planner.detect(base, desired)
    plan = planner.plan(found, launching=True)
    if not plan.actionable:
        return plan
    young = _young(workspace.repo, plan, wanted.settle_seconds)
    failures = {one.target: one for one in planner.history.failures_in_a_row()}
    planner.held = held(plan, young, failures, datetime.now(timezone.utc))
    return planner.plan(found, launching=True) if planner.held else plan


def _young(repo: Repository, plan: Plan, seconds: float) -> frozenset[bytes]:
    """Returns the changed files that were written to so recently that they may not be whole yet."""
    since = time.time() - seconds
    paths = {path for one in plan.actionable for path in one.feeds}
    # What is in a submodule may have changed at any time: that is no reason to wait for ever.
    return frozenset(path for path in paths if since < last_change(repo, path) < inf)


def held(
    plan: Plan, young: Collection[bytes], failures: Mapping[Target, Failure], now: datetime
) -> dict[str, str]:
    """Returns the targets of a plan, as text, that have to wait, and why.

    Args:
        young: Files that may still be written to.
        failures: How the last runs failed, by target.
        now: The time, with a time zone.
    """
    contents = {
        one.change.path: None if one.change.new is None else one.change.new.oid for one in plan.changes
    }
    found: dict[str, str] = {}
    for one in plan.actionable:
        writing = sorted(path for path in one.feeds if path in young)
        failure = failures.get(one.target)
        if writing:
            found[one.target.text] = f"{show(writing[0])} is still being written"
        elif failure is not None and failure.files == {(path, contents.get(path)) for path in one.paths}:
            reason = _again(failure, now)
            if reason is not None:
                found[one.target.text] = reason
    return found


def _again(failure: Failure, now: datetime) -> str | None:
    """Returns why what has failed is not tried again yet; None if it is."""
    if failure.canceled:
        return "its run was canceled: it waits for another content, or for `raw-trigger run`"
    pause = min(_FIRST_PAUSE * 2 ** (failure.times - 1), _LONGEST_PAUSE)
    left = pause - (now - failure.ended).total_seconds()
    return f"it failed with this content: again in {left:.0f} s" if left > 0 else None


def ready(plan: Plan, wanted: Callable[[PlannedTarget], bool], most: int) -> Plan:
    """Returns the plan with only those batches that nothing else has to be made for first.

    Args:
        wanted: Says of a target whether it may be asked for.
        most: The most runs.
    """
    batches: dict[int, list[PlannedTarget]] = {}
    for one in plan.actionable:
        batches.setdefault(one.batch, []).append(one)
    made = {one.target for one in plan.actionable if one.action == "materialize"}
    numbers: dict[int, int] = {}
    runs = 0
    for number, members in sorted(batches.items()):
        own = {one.target for one in members}
        waits = any(not made.isdisjoint(set(one.after) - own) for one in members)
        is_run = members[0].action == "materialize"
        if waits or not all(map(wanted, members)) or (is_run and runs == most):
            continue
        runs += is_run
        numbers[number] = len(numbers) + 1
    kept = (one for one in plan.targets if one.action == "skip" or one.batch in numbers)
    return replace(plan, targets=tuple(replace(one, batch=numbers.get(one.batch, 0)) for one in kept))


def _told(plan: Plan, outcomes: Sequence[TargetOutcome]) -> str:
    """Returns what a tick came to, in one line."""
    failed = [f"{one.target.text}: {one.error}" for one in outcomes if one.status == "failed"]
    waiting = [one.sentence for one in plan.held]
    later = [one.sentence for one in plan.targets if one.waits]
    disk = [f"{show(one.change.path)}: {one.reason}" for one in plan.waiting]
    lines = [*plan.errors, *failed, *waiting, *disk, *later]
    if not lines:
        return f"{len(plan.actionable)} due" if plan.actionable else "every raw file is reflected"
    rest = len(lines) - _NAMED
    return "; ".join(lines[:_NAMED]) + (f"; and {rest} more" if rest > 0 else "")
