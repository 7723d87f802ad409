"""The sentences that text and Markdown share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from raw_trigger.model.changes import Desired, show
from raw_trigger.model.outcome import Outcome
from raw_trigger.model.plan import NOT_ASKED, STILL_FAILS, Plan, PlannedChange, PlannedTarget, Target
from raw_trigger.model.record import Again
from raw_trigger.model.text import sample

if TYPE_CHECKING:
    from raw_trigger.hooks.background import Job
    from raw_trigger.model.history import Failure

_LETTERS = {"added": "A", "modified": "M", "deleted": "D", "type-changed": "T", "remapped": "="}
_MOST_KEYS = 5
AGAIN: Mapping[Again, str] = {
    "new rule": "same file, new rule",
    "unknown": "same file, not known to be made",
    "other content": "same file, made from another content last",
}
_NAMES = {"worktree": "the working tree", "index": "what is staged"}


@dataclass(frozen=True, slots=True)
class Line:
    """Holds one changed file as a person reads it; a rename is one line.

    ``was`` is the former path of a renamed file, else None. ``targets`` are empty if the file is not planned.
    ``note`` says why the file is listed although its content is as recorded; empty for a changed file.
    """

    letter: str
    path: str
    fate: str
    planned: PlannedChange
    targets: tuple[str, ...]
    was: str | None = None
    note: str = ""

    @property
    def name(self) -> str:
        """Returns the path and the former one in parentheses.

        There is no arrow between the two: an arrow always leads to what is made from a file.
        """
        return self.path if self.was is None else f"{self.path} (was {self.was})"

    @property
    def rows(self) -> str:
        """Returns the change of a table's rows, ``+3 −1 rows``; empty if there is none or it is unknown."""
        counts = self.planned.rows
        if counts is None:
            return ""
        total = counts.added + counts.removed + counts.changed
        return f"{counts.text} rows" if total > 1 else f"{counts.text} row" if total else ""


def asked(plan: Plan) -> tuple[PlannedChange, ...]:
    """Returns the changes that feed a target that was asked for, with such targets only.

    If the plan left nothing out, these are all changes.
    """
    left = {one.target for one in plan.targets if one.reason == NOT_ASKED}
    if not left:
        return plan.changes
    feeding = {path for one in plan.targets if one.target not in left for path in one.paths}
    found = []
    for planned in plan.changes:
        targets = tuple(target for target in planned.targets if target not in left)
        if planned.disposition != "planned":
            # A change that cannot be planned fails the run, also if another target was asked for.
            found += [planned] if planned.targets and planned.disposition != "unchanged" else []
        elif planned.change.path in feeding:
            found.append(replace(planned, targets=targets or planned.targets))
    return tuple(found)


def not_asked(plan: Plan) -> int:
    """Returns how many changed files feed nothing that was asked for."""
    return plan.left_out + len(plan.changes) - len(asked(plan))


def lines(plan: Plan) -> list[Line]:
    """Returns the lines of the changed files that were asked for and are not asleep.

    A rename is one line, under its new path.
    """
    asleep, changes = plan.asleep, asked(plan)
    renamed = {p.change.old_path for p in changes if p.change.old_path is not None}
    left = {p.change.path: p for p in changes if p.change.path in renamed}
    due = plan.due
    out = []
    for planned in changes:
        change = planned.change
        if change.path in left or change.path in asleep:
            continue
        path = printable(change.path)
        if change.old_path in left:
            both = (left[change.old_path], planned)
            before, now = map(fate, both)
            names = dict.fromkeys(name for one in both for name in _targets(one))
            whole = all(one.disposition == "planned" for one in both)
            apart = now if now == before else f"{now}; under its old name {before}"
            said = sample(list(names)) if whole else apart
            out.append(
                Line("R", path, said, planned, tuple(names) if whole else (), printable(change.old_path))
            )
        else:
            letter, note = _LETTERS[change.status], _note(plan, planned, due)
            out.append(Line(letter, path, fate(planned), planned, _targets(planned), note=note))
    return out


def _targets(planned: PlannedChange) -> tuple[str, ...]:
    known = planned.targets if planned.disposition == "planned" else ()
    return tuple(printable(target.text) for target in known)


def _note(plan: Plan, planned: PlannedChange, due: Mapping[bytes, Sequence[str]]) -> str:
    """Returns why a file is planned although it did not change; empty if it changed."""
    change = planned.change
    if change.status != "remapped" or plan.record is None or change.path not in due:
        return ""
    return AGAIN[plan.record.again(change.path, due[change.path])]


def asleep(plan: Plan) -> str | None:
    """Returns which files wait for time windows to end and until when; None if none do."""
    paths = plan.asleep
    if not paths:
        return None
    who = f"{printable(next(iter(paths)))} waits" if len(paths) == 1 else f"{plural(len(paths), 'file')} wait"
    # A target without a moment of its own waits together with one that has a moment.
    ready = {t.ready for t in plan.targets if t.waits and t.ready and not paths.isdisjoint(t.paths)}
    until = f"{datetime.fromtimestamp(min(ready), timezone.utc):%Y-%m-%d %H:%M} UTC"
    when = f"until {until}" if len(ready) == 1 else f"the first until {until}"
    return f"{who} for partitions whose time window is open, {when}"


def remarks(plan: Plan, *, listed: bool) -> list[str]:
    """Returns the plan's warnings that the output does not show elsewhere.

    Args:
        listed: Whether the skipped targets are listed with their reasons.
    """
    resting = plan.asleep
    told = {
        one.sentence
        for one in plan.targets
        if one.action == "skip" and (listed or (one.waits and resting.issuperset(one.paths)))
    }
    failing = {one.sentence for one in plan.targets if one.reason == STILL_FAILS} - told
    rest = [warning for warning in plan.warnings if warning not in told and warning not in failing]
    rest += [] if listed else _held(plan)
    return [_failing(plan), *rest] if failing else rest


def _held(plan: Plan) -> list[str]:
    """Returns what is not to be made now, with the reason: that others are making it."""
    names: dict[str, list[str]] = {}
    for one in plan.held:
        names.setdefault(one.reason or "", []).append(printable(one.target.text))
    return [f"{sample(targets, 3)}: {reason}" for reason, targets in names.items()]


def skipped(plan: Plan) -> list[tuple[PlannedTarget, bool]]:
    """Returns the skipped targets that were asked for, and whether the user should look at each."""
    warned = set(plan.warnings)
    asked = (one for one in plan.targets if one.action == "skip" and one.reason != NOT_ASKED)
    return [(one, one.sentence in warned and not one.waits) for one in asked]


def standing(plan: Plan) -> str | None:
    """Returns on one line why nothing can be made before time passes or somebody mends it.

    None if the plan has more to tell.
    """
    idle = []
    for one, eye in skipped(plan):
        if one.waits or one.reason == STILL_FAILS or (one.unknown and not one.settles):
            idle.append(one)
        elif eye or not one.settles:
            return None
    if (
        not idle
        or plan.actionable
        or plan.errors
        or not {one.sentence for one in idle}.issuperset(plan.warnings)
    ):
        return None
    if any(planned.disposition != "planned" for planned in plan.changes):
        return None
    rules = {target: planned.rule for planned in plan.changes for target in planned.targets}
    said = [f"{one.sentence} ({rules.get(one.target)})" for one in idle if one.unknown]
    parts = (_failing(plan), sample([printable(one) for one in said], 2), asleep(plan))
    return "; ".join(part for part in parts if part)


def _failing(plan: Plan) -> str:
    """Returns on one line what no hook tries again; empty if nothing."""
    names = [printable(one.target.text) for one in plan.targets if one.reason == STILL_FAILS]
    return f"{sample(names)}: {STILL_FAILS}" if names else ""


def without_failing(plan: Plan, found: list[Line]) -> list[Line]:
    """Leaves out files that only feed targets that still fail, unless there are no others."""
    still = {one.target for one in plan.targets if one.reason == STILL_FAILS}
    left = [one for one in found if not one.planned.targets or not still.issuperset(one.planned.targets)]
    return left or found


def printable(path: bytes | str) -> str:
    """Returns a path on one line without anything that a terminal would obey; quoted if necessary."""
    text = show(path) if isinstance(path, bytes) else path
    if text.isprintable() and not text.startswith(" ") and not text.endswith(" "):
        return text
    shown = []
    for char in text:
        if char.isprintable() and char not in '"\\':
            shown.append(char)
        elif "\udc80" <= char <= "\udcff":
            shown.append(f"\\x{ord(char) - 0xDC00:02x}")
        else:
            shown.append(char.encode("unicode_escape").decode() if char != '"' else '\\"')
    return '"' + "".join(shown) + '"'


def harmless(text: str, *, lines: bool = False) -> str:
    """Returns the text with control characters escaped, except tabs and, with ``lines``, newlines."""
    if text.isprintable():
        return text
    kept = "\t\n" if lines else "\t"
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


def fate(planned: PlannedChange) -> str:
    """Returns what becomes of a change: its targets, or why it has none."""
    if planned.disposition == "planned":
        return sample(_targets(planned))
    if planned.unreadable:
        return f"{', '.join(printable(t.text) for t in planned.targets)}: not planned, see the error"
    reason = f": {planned.reason}" if planned.reason else ""
    return f"{planned.disposition}{reason}"


def desired_name(desired: Desired) -> str:
    """Returns ``the working tree``, ``what is staged`` or the revision."""
    return _NAMES.get(desired.kind, desired.name)


def comparison(plan: Plan) -> str:
    """Returns the two sides that the plan compares."""
    what = {"recorded": f"what '{plan.environment}' reflects", "empty": "nothing"}.get(
        plan.base.kind, plan.base.name
    )
    return f"{what} → {desired_name(plan.desired)}"


def nothing(plan: Plan) -> str:
    """Returns why there is nothing to do."""
    left_out = not_asked(plan)
    if left_out:
        return f"Nothing to do: {plural(left_out, 'changed raw file')}, but none that was asked for"
    return f"Nothing to do: no raw file differs ({comparison(plan)})"


def todo(plan: Plan) -> list[PlannedTarget]:
    """Returns the targets that will run, in the order of the batches."""
    return sorted(plan.actionable, key=lambda t: (t.batch, t.target.asset, t.target.partition or ""))


def by_asset(targets: Iterable[PlannedTarget]) -> list[list[PlannedTarget]]:
    """Returns the targets in groups of the same asset, action and reason."""
    groups: dict[tuple[str, str, str | None], list[PlannedTarget]] = {}
    for one in targets:
        groups.setdefault((one.target.asset, one.action, one.reason), []).append(one)
    return list(groups.values())


def partitions(group: Sequence[PlannedTarget]) -> str:
    """Returns how many partitions these are, and which; empty for a single target."""
    keys = sorted(printable(one.target.partition or "") for one in group)
    if len(keys) == 1:
        return ""
    listed = ", ".join(keys) if len(keys) <= _MOST_KEYS else f"{keys[0]} … {keys[-1]}"
    return f"{len(keys)} partitions: {listed}"


def amount(targets: Sequence[Target]) -> str:
    """Returns how many targets these are: ``2 assets``, ``1 job``, ``2 assets and 1 job``."""
    jobs = sum(target.job is not None for target in targets)
    said = [plural(len(targets) - jobs, "asset")] if jobs < len(targets) or not jobs else []
    return " and ".join([*said, plural(jobs, "job")] if jobs else said)


def doing(targets: Sequence[Target]) -> str:
    """Returns what will be done: ``2 assets to materialize or report, 1 job to launch``."""
    assets = [target for target in targets if target.job is None]
    jobs = len(targets) - len(assets)
    said = [f"{amount(assets)} to materialize or report"] if assets or not jobs else []
    return ", ".join([*said, f"{plural(jobs, 'job')} to launch"] if jobs else said)


def action(planned: PlannedTarget) -> str:
    """Returns what is done with the target, in one word."""
    launched = planned.action == "materialize" and planned.target.job is not None
    return "launch" if launched else planned.action


def plural(count: int, noun: str) -> str:
    """Returns the number with its noun: ``1 file``, ``2 files``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def summary(plan: Plan | None, outcome: Outcome) -> str:
    """Returns one line with the number of targets by outcome, and the time.

    Args:
        plan: Says what was to be done with them; None: all were to be made.
    """
    done = {"report": 0, "delete-partition": 0, "materialize": 0, "launch": 0}
    actions = {} if plan is None else {planned.target: action(planned) for planned in plan.targets}
    for one in outcome.targets:
        if one.status == "success":
            what = actions.get(one.target, "materialize")
            done["materialize" if what == "skip" else what] += 1
    counts = {s: sum(t.status == s for t in outcome.targets) for s in ("failed", "skipped", "submitted")}
    canceled = sum(one.canceled for one in outcome.targets)
    said = [
        f"{done['materialize']} materialized" if done["materialize"] else "",
        f"{done['report']} reported" if done["report"] else "",
        f"{plural(done['launch'], 'job')} launched" if done["launch"] else "",
        f"{plural(done['delete-partition'], 'partition')} deleted" if done["delete-partition"] else "",
        f"{counts['submitted']} handed over" if counts["submitted"] else "",
        f"{counts['failed'] - canceled} failed" if counts["failed"] > canceled else "",
        f"{canceled} canceled" if canceled else "",
        f"{counts['skipped']} skipped" if counts["skipped"] else "",
    ]
    return (
        f"{', '.join(s for s in said if s)} in {outcome.seconds:.1f} s" if any(said) else "Nothing was run."
    )


class Errors:
    """Remembers the errors that were shown, so that one error of many targets is shown once."""

    def __init__(self) -> None:
        self._told: dict[str, Target] = {}

    def words(self, target: Target, error: str) -> str:
        """Returns the error, or a reference to the target of which the same long error was shown."""
        first = self._told.setdefault(error, target)
        if first == target or "\n" not in error.strip():
            return error
        return f"the same error as {printable(first.text)}"


def failed_by_now(plan: Plan, outcome: Outcome | None, before: Mapping[Target, str]) -> dict[Target, str]:
    """Returns the error of each target that failed, in this run or one before without another try since.

    Args:
        before: The texts that were returned for the run before.
    """
    again = [one.target for one in plan.targets if one.reason == STILL_FAILS and one.target in before]
    found = {target: before[target] for target in again}
    for done in outcome.targets if outcome is not None else ():
        if done.status == "failed":
            found[done.target] = done.error or "it failed"
    return found


def left_undone(plan: Plan, failed: Mapping[Target, str], unsteady: Sequence[str] = ()) -> str | None:
    """Returns on one line what a run left undone; None if nothing.

    Args:
        failed: The targets that failed, with their errors.
        unsteady: What ran but is not recorded, because its file changed during the run.
    """
    said = list(plan.errors)
    alike: dict[str, list[str]] = {}
    for target, error in failed.items():
        alike.setdefault(error, []).append(target.text)
    said += [f"{sample(names, 3)}: {error.splitlines()[0]}" for error, names in alike.items()]
    said += [t.sentence for t in plan.targets if _is_open(t) and t.target not in failed]
    said += [f"{show(change.change.path)} has to wait: {change.reason}" for change in plan.waiting]
    said += unsteady
    return sample([printable(one) for one in said], 3) if said else None


def _is_open(target: PlannedTarget) -> bool:
    """Says whether the target was skipped but is still to be made, for another reason than time."""
    return target.action == "skip" and not (target.settles or target.waits or target.held)


def background(job: Job) -> str:
    """Returns one line about the work that a hook left to a background process."""
    pid, since = f"process {job.owner.pid}", clock(job.started)
    said = {
        "waiting": f"{job.face} is about to go on in the background: {pid}, since {since}",
        "running": f"{job.face} goes on in the background: {pid}, since {since}",
        "done": f"{job.face} was done in the background: {pid}, {since}",
        "failed": f"{job.face} left something undone in the background: {job.message}",
        "lost": f"{job.face} did not come to its end in the background: {pid}, begun {since}, is gone"
        + (f"; before that it left undone: {job.message}" if job.message else ""),
    }
    return f"{said[job.fate]}; log {job.log}"


def failed_before(plan: Plan, failures: Iterable[Failure]) -> dict[Target, Failure]:
    """Returns the planned targets whose last run failed with the present content, each with that failure."""
    now = plan.contents
    paths = {target.target: target.paths for target in plan.actionable}
    return {
        one.target: one
        for one in failures
        if any((path, now[path]) in one.files for path in paths.get(one.target, ()) if path in now)
    }


def failure(one: Failure, now: datetime) -> str:
    """Returns when the target failed, the first line of its error, and where the rest is."""
    how = "failed" if one.status == "failed" else "left out"
    first = (one.error.strip() or "it failed").splitlines()[0]
    return f"{how} {ago(now - one.ended)}: {first} (`raw-trigger history {one.run_id[:8]}`)"


def ago(since: timedelta) -> str:
    """Returns how long ago that is in the largest unit that fits: ``5 min ago``."""
    for seconds, unit in ((86400, "day"), (3600, "h"), (60, "min")):
        if (count := int(since.total_seconds()) // seconds) > 0:
            return f"{plural(count, unit) if unit == 'day' else f'{count} {unit}'} ago"
    return "just now"


def clock(moment: datetime) -> str:
    """Returns the moment in local time, to the second."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
