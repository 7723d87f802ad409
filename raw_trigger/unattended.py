"""Plans where nobody sits and looks: what has to wait is held back, and asked about again later."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from math import inf

from raw_trigger.content.disk import last_change
from raw_trigger.model.changes import Base, Desired, show
from raw_trigger.model.history import Failure
from raw_trigger.model.plan import Plan, PlannedTarget, Target
from raw_trigger.planner import Planner
from raw_trigger.repo.repository import Repository

_FIRST_PAUSE, _LONGEST_PAUSE = 60.0, 3600.0
"""Seconds after a failure, doubled with each further one, until the same content is tried again."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Says why a target is not to be made now. ``seconds``: after so many it may be; None: not by waiting."""

    reason: str
    seconds: float | None


def stays_away(repo: Repository, branches: Collection[str] = ()) -> str | None:
    """Returns why nothing is to be done in the repository now; None if nothing stands in the way.

    Args:
        branches: The only branches whose files are materialized; empty: all.
    """
    if repo.hooks_busy():
        return "git is in the middle of a rebase"
    if repo.head() is None:
        return "the repository has no commit yet"
    branch = repo.git.line("symbolic-ref", "--quiet", "--short", "HEAD") if branches else None
    if branches and branch not in branches:
        here = "no branch is checked out" if branch is None else f"'{branch}' is checked out"
        return f"{here}, and only {', '.join(branches)} is materialized"
    return None


def planned(
    planner: Planner, base: Base, desired: Desired, settle_seconds: float
) -> tuple[Plan, Mapping[str, Hold]]:
    """Returns the plan, and the targets, as text, that are due and have to wait: the planner knows them then.

    Args:
        settle_seconds: For so long a file must have been left alone.

    Raises:
        RawTriggerError: it cannot be planned.
    """
    found = planner.detect(base, desired)
    planner.held = {}
    plan = planner.plan(found, launching=True)
    if not plan.actionable:
        return plan, {}
    failures = {one.target: one for one in planner.history.failures_in_a_row()}
    young = _young(planner.workspace.repo, plan, settle_seconds)
    holds = held(plan, young, failures, datetime.now(timezone.utc))
    planner.held = {name: one.reason for name, one in holds.items()}
    return planner.plan(found, launching=True) if holds else plan, holds


def _young(repo: Repository, plan: Plan, seconds: float) -> dict[bytes, float]:
    """The changed files that were written to so recently that they may not be whole, and for how long yet."""
    now = time.time()
    paths = {path for one in plan.actionable for path in one.feeds}
    left = {path: seconds - (now - last_change(repo, path)) for path in paths}
    # What is in a submodule may have changed at any time: that is no reason to wait for ever.
    return {path: one for path, one in left.items() if 0 < one < inf}


def held(
    plan: Plan, young: Mapping[bytes, float], failures: Mapping[Target, Failure], now: datetime
) -> dict[str, Hold]:
    """Returns the targets of a plan, as text, that have to wait.

    Args:
        young: Files that may still be written to, and for how many seconds that is assumed.
        failures: How the last runs failed.
        now: The time, with a time zone.
    """
    contents = {
        one.change.path: None if one.change.new is None else one.change.new.oid for one in plan.changes
    }
    found = {}
    for one in plan.actionable:
        hold = _written(one, young) or _failed(one, failures.get(one.target), contents, now)
        if hold is not None:
            found[one.target.text] = hold
    return found


def _written(target: PlannedTarget, young: Mapping[bytes, float]) -> Hold | None:
    writing = sorted(path for path in target.feeds if path in young)
    if not writing:
        return None
    return Hold(f"{show(writing[0])} is still being written", max(young[path] for path in writing))


def _failed(
    target: PlannedTarget, failure: Failure | None, contents: Mapping[bytes, str | None], now: datetime
) -> Hold | None:
    if failure is None or failure.files != {(path, contents.get(path)) for path in target.paths}:
        return None
    if failure.canceled:
        return Hold("its run was canceled: it waits for another content, or for `raw-trigger run`", None)
    pause = min(_FIRST_PAUSE * 2 ** (failure.times - 1), _LONGEST_PAUSE)
    left = pause - (now - failure.ended).total_seconds()
    return Hold(f"it failed with this content: again in {left:.0f} s", left) if left > 0 else None
