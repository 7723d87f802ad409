"""Plans where nobody sits and looks: what has to wait is held back, and asked about again later."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from raw_trigger.content.disk import last_change
from raw_trigger.errors import UsageError
from raw_trigger.model.changes import Base, Desired, show
from raw_trigger.model.history import Repeat
from raw_trigger.model.plan import Plan, PlannedTarget, Target
from raw_trigger.model.text import from_nothing
from raw_trigger.planner import Planner
from raw_trigger.repo.repository import Repository
from raw_trigger.workspace.workspace import Workspace

SETTLE_SECONDS = 3.0
_FIRST_PAUSE, _LONGEST_PAUSE = 60.0, 3600.0
"""Seconds after a run, doubled with each further one, until the same content is tried again."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Says why a target is not to be made now.

    Attributes:
        reason: Why, in words that stay the same as long as it is so.
        seconds: After so many it may be; None: not by waiting.
        is_repeat: Whether it is tried again then.
    """

    reason: str
    seconds: float | None
    is_repeat: bool = False

    @property
    def words(self) -> str:
        """Returns why, and when it is tried again."""
        return f"{self.reason}: again in {self.seconds:.0f} s" if self.is_repeat else self.reason


def settle_time(given: float | None) -> float:
    """Returns for how many seconds a file must have been left alone before it is read.

    Args:
        given: What was asked for; None: `$RAW_SCAN_COOLDOWN_SEC`, else three.

    Raises:
        UsageError: the variable is no number of seconds.
    """
    if given is not None:
        return given
    text = os.environ.get("RAW_SCAN_COOLDOWN_SEC", "").strip()
    try:
        found = float(text) if text else SETTLE_SECONDS
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise UsageError(f"RAW_SCAN_COOLDOWN_SEC is {text!r}", "write a number of seconds")
    return found


def stays_away(workspace: Workspace, settle_seconds: float, branches: Collection[str] = ()) -> str | None:
    """Returns why nothing is to be done in the repository now; None if nothing stands in the way.

    Args:
        settle_seconds: For so long a file must have been left alone, also the configuration.
        branches: The only branches whose files are materialized; empty: all.
    """
    repo, config = workspace.repo, workspace.config
    if repo.hooks_busy():
        return "git is in the middle of a rebase"
    if repo.head() is None:
        return "the repository has no commit yet"
    branch = repo.git.line("symbolic-ref", "--quiet", "--short", "HEAD") if branches else None
    if branches and branch not in branches:
        here = "no branch is checked out" if branch is None else f"'{branch}' is checked out"
        return f"{here}, and only {', '.join(branches)} is materialized"
    # Of a disk that is not mounted all files would be gone.
    away = [root for root in workspace.roots if not (repo.top / root).exists()]
    if away:
        return f"the raw root {away[0]} is not there"
    if config.file is not None and _left(repo, config.file.encode(), settle_seconds) > 0:
        return f"{config.file} is still being written"
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
    planner.held, planner.unsettled = {}, frozenset()
    plan = planner.plan(found, launching=True)
    if not plan.changes:
        return plan, {}
    repo = planner.workspace.repo
    paths = {path for one in plan.actionable for path in one.feeds} | {p.change.path for p in plan.changes}
    left = {path: _left(repo, path, settle_seconds) for path in paths}
    young = {path: seconds for path, seconds in left.items() if seconds > 0}
    assets = sorted({one.target.asset for one in plan.actionable})
    repeats = planner.history.repeats(assets) if assets else {}
    holds = held(plan, young, repeats, datetime.now(timezone.utc))
    planner.held = {name: one.words for name, one in holds.items()}
    planner.unsettled = frozenset(young)
    return planner.plan(found, launching=True) if holds or young else plan, holds


def remarks(plan: Plan) -> tuple[str, ...]:
    """Returns what somebody should know of a plan, in words."""
    paths = [show(one.change.path) for one in plan.unmapped]
    return (*plan.errors, *plan.warnings, *([from_nothing(paths)] if paths else []))


def _left(repo: Repository, path: bytes, seconds: float) -> float:
    """For how many seconds a file may not be whole yet, or come back."""
    return seconds - (time.time() - last_change(repo, path))


def held(
    plan: Plan, young: Mapping[bytes, float], repeats: Mapping[Target, Repeat], now: datetime
) -> dict[str, Hold]:
    """Returns the targets of a plan, as text, that have to wait.

    Args:
        young: Files that may still be written to, and for how many seconds that is assumed.
        repeats: How the targets were last run.
        now: The time, with a time zone.
    """
    contents, found = plan.contents, {}
    for one in plan.actionable:
        hold = _written(one, young, contents) or _again(one, repeats.get(one.target), contents, now)
        if hold is not None:
            found[one.target.text] = hold
    return found


def _written(
    target: PlannedTarget, young: Mapping[bytes, float], contents: Mapping[bytes, str | None]
) -> Hold | None:
    writing = sorted(path for path in target.feeds if path in young)
    if not writing:
        return None
    is_gone = contents.get(writing[0], "") is None
    why = f"{show(writing[0])} " + ("was deleted just now" if is_gone else "is still being written")
    return Hold(why, max(young[path] for path in writing))


def _again(
    target: PlannedTarget, last: Repeat | None, contents: Mapping[bytes, str | None], now: datetime
) -> Hold | None:
    if last is None or last.files != {(path, contents.get(path)) for path in target.paths}:
        return None
    if last.canceled:
        return Hold("its run was canceled: it waits for another content, or for `raw-trigger run`", None)
    pause = min(_FIRST_PAUSE * 2 ** (last.times - 1), _LONGEST_PAUSE)
    left = pause - (now - last.ended).total_seconds()
    how = "it failed" if last.failed else "it was made, and nobody knows what it has read,"
    return Hold(f"{how} with this content", left, is_repeat=True) if left > 0 else None
