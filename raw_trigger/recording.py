"""From a plan and what succeeded of it to what is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType

from raw_trigger.model.changes import Change, ChangeSet, show
from raw_trigger.model.plan import Plan, PlannedTarget, Target
from raw_trigger.model.record import Verdict

Snapshot = Callable[[], ChangeSet]
"""Every path that is on disk other than recorded, or that has exceptions."""

Fed = Mapping[bytes, frozenset[str]]
"""Path → targets, as text."""

_TOLD = 5
"""Files, and targets of each, that are named."""

Due = Callable[[ChangeSet, Set[Target]], Mapping[bytes, frozenset[str]]]
"""Of what was seen, the targets that do not reflect it, where these others were made."""


class Recorder:
    """What was on disk before a run, to be compared with what is there after it.

    Args:
        snapshot: Looks at the disk.
        plan: Plans for what was seen, as if nothing reflected it, where these targets were made.
        due: Asked where not every target of a path reflects just its content or not.
        late: Asked for all paths.
        below: Says what may be made from a target that a path feeds, itself included.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        plan: Callable[[ChangeSet, Set[Target]], Plan],
        due: Due = lambda *_: {},
        late: Due = lambda *_: {},
        below: Callable[[Target], Callable[[Target], bool]] = lambda target: target.__eq__,
    ) -> None:
        self.snapshot = snapshot
        self.plan = plan
        self.due = due
        self.late = late
        self.below = below
        self.before = snapshot()

    def after(self, succeeded: Set[Target], unmade: Fed = MappingProxyType({})) -> Made:
        """Judges what the targets reflect after a run.

        Args:
            succeeded: The targets that the run made.
            unmade: Paths, and targets that the run was to make from them whatever they reflect, and did not.
        """
        return Made(self, succeeded, unmade)


class Made:
    """What targets reflect that succeeded in a run which is over now.

    Args:
        recorder: Looked at the disk before it.
        unmade: As :meth:`Recorder.after` takes it.
    """

    def __init__(self, recorder: Recorder, succeeded: Set[Target], unmade: Fed) -> None:
        self._recorder = recorder
        self._before = recorder.before
        self._succeeded = succeeded
        self._unmade = unmade
        self._names = {target.text for target in succeeded}

    @cached_property
    def _after(self) -> ChangeSet:
        return self._recorder.snapshot()

    @cached_property
    def whole(self) -> Plan:
        """Everything that was there before the run, as if nothing reflected it."""
        return self._planned(self._before.changes)

    def _planned(self, changes: tuple[Change, ...]) -> Plan:
        return self._recorder.plan(replace(self._before, changes=changes), self._succeeded)

    @cached_property
    def verdicts(self) -> dict[bytes, Verdict]:
        """What the targets reflect now: of *every* file that feeds them, what was on disk.

        A file that changed while the run was on is left out: nobody knows what was read.
        """
        if not self._succeeded:
            return {}
        after = {change.path: change.new for change in self._after.changes}
        steady = tuple(
            replace(change, old_path=None)
            for change in self._before.changes
            if change.path in after and after[change.path] == change.new
        )
        whole = self.whole if len(steady) == len(self._before.changes) else self._planned(steady)
        entries = {planned.change.path: planned.change.new for planned in whole.changes}
        due = self._recorder.due(replace(self._before, changes=steady), self._succeeded)
        early = self._early(whole)
        done = {
            path: targets & self._names - early.get(path, set()) for path, targets in needed(whole).items()
        }
        return {
            path: Verdict(entries[path], targets, done[path], targets - due.get(path, targets))
            for path, targets in needed(whole).items()
            if done[path]
        }

    def _early(self, whole: Plan, *, apart: bool = False) -> dict[bytes, set[str]]:
        """For each path the targets that were made before something above them that is due for it.

        They have seen of it what that reflects.

        Args:
            apart: Only where that reflects another content than is recorded.
        """
        of = {one.target: one for one in whole.targets}
        found: dict[bytes, set[str]] = {}
        late: Mapping[bytes, frozenset[str]] | None = None
        for target in self._succeeded & of.keys():
            for above in _all_above(of, target) - self._succeeded:
                if of[above].action == "report" or of[above].settles:
                    continue
                if late is None:
                    changes = tuple(planned.change for planned in whole.changes)
                    late = self._recorder.late(replace(self._before, changes=changes), self._succeeded)
                for path in of[above].paths:
                    seen = {} if whole.record is None else whole.record.apart(path)
                    if above.text in late.get(path, ()) and (above.text in seen or not apart):
                        found.setdefault(path, set()).add(target.text)
        return found

    @cached_property
    def _moving(self) -> Plan | None:
        """What changed while the run was on; None if nothing did."""
        before = {change.path: change for change in self._before.changes}
        after = {change.path: change for change in self._after.changes}
        changed = tuple(
            replace(change, old_path=None)
            for path, change in {**after, **before}.items()
            if path not in before or path not in after or before[path].new != after[path].new
        )
        return self._planned(changed) if changed else None

    @cached_property
    def moved(self) -> dict[bytes, frozenset[str]]:
        """Returns the files that changed while the run was on, each with what was made from it meanwhile."""
        if not self._succeeded or self._moving is None:
            return {}
        moved = {path: targets & self._names for path, targets in needed(self._moving).items()}
        return {path: targets for path, targets in moved.items() if targets}

    @cached_property
    def unsure(self) -> dict[bytes, frozenset[str]]:
        """Of which files nobody knows what the targets have read, though they succeeded.

        The file changed while the run was on, or held a conflict or a pointer instead of its content.
        """
        if not self._succeeded:
            return self._disproved()
        found = dict(self.moved)
        for path, early in self._early(self.whole, apart=True).items():
            found[path] = found.get(path, frozenset()) | early
        for planned in (*(() if self._moving is None else self._moving.changes), *self.whole.changes):
            # One with targets that is unmapped is a table that cannot be read as one.
            if planned.disposition in ("dirty", "missing-content", "unmapped"):
                below = [self._recorder.below(target) for target in planned.targets]
                made = frozenset(
                    one.text for one in self._succeeded if any(is_below(one) for is_below in below)
                )
                found[planned.change.path] = found.get(planned.change.path, frozenset()) | made
        for path, targets in self._disproved().items():
            found[path] = found.get(path, frozenset()) | targets
        return {path: targets for path, targets in found.items() if targets}

    def _disproved(self) -> dict[bytes, frozenset[str]]:
        """Returns the unmade targets that the record says reflect the very content they failed with.

        A failure disproves what was only assumed, and outdates what an earlier run has shown.
        """
        if not self._unmade or self.whole.record is None:
            return {}
        found = {}
        for planned in self.whole.changes:
            change, record = planned.change, self.whole.record
            targets = self._unmade.get(change.path, frozenset())
            held = frozenset(
                name for name in targets if record.reflects(change.path, name, change.old, change.new)
            )
            if held:
                found[change.path] = held
        return found


def _all_above(of: Mapping[Target, PlannedTarget], target: Target) -> set[Target]:
    """What of the plan a target is made from, however far up."""
    found: set[Target] = set()
    stack = [target]
    while stack:
        new = [one for one in of[stack.pop()].above if one in of and one not in found]
        found.update(new)
        stack += new
    return found - {target}


def unsteady(moved: Mapping[bytes, frozenset[str]], relative: Callable[[bytes], str | None]) -> list[str]:
    """Says of files that changed while something was made from them that they are still pending.

    Args:
        relative: The path as a rule names it.
    """
    told = []
    for path, targets in sorted(moved.items())[:_TOLD]:
        names = sorted(targets)
        made = ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")
        who = made if len(names) == 1 else "one of them"
        rule = f"{{path: {json.dumps(relative(path), ensure_ascii=False)}, ignore: true}}"
        told.append(
            f"{show(path)} changed while {made} ran, so it is not recorded; "
            f"if {who} writes it, ignore it: {rule}"
        )
    if len(moved) > _TOLD:
        told.append(f"{len(moved) - _TOLD} more files changed while something was made from them")
    return told


def settled(plan: Plan, *, certain: bool, whole: bool = True) -> dict[bytes, Verdict]:
    """Paths there is nothing to run for.

    Args:
        whole: Whether everything was looked for that is made from a path. Where it was not, what some
            targets do not reflect is left as it is.
        certain: Whether the whole catalog was looked at afresh, so that a path is known to be unmapped.
    """
    # Where it is an error that nothing is made from a file, it has to stay one until it is mended.
    known = certain and not plan.errors
    skipped = {t.target.text for t in plan.targets if t.action == "skip" and t.settles}
    everything = {p.change.path: frozenset(t.text for t in p.targets) for p in plan.changes}
    waiting = needed(plan)
    found = {}
    for planned in plan.changes:
        path = planned.change.path
        nothing = (
            planned.disposition == "ignored"
            or (planned.disposition == "unmapped" and planned.rule is None and known)
            or (
                planned.disposition == "planned"
                and everything[path] <= skipped
                and waiting.get(path, frozenset()) <= skipped
            )
        )
        if nothing:
            found[path] = Verdict(planned.change.new)
        elif (
            planned.disposition == "unchanged"
            # Compared with something else it says nothing of what is recorded.
            and plan.record is not None
            and (whole or not plan.record.apart(path))
        ):
            found[path] = Verdict(planned.change.new, everything[path], alike=everything[path])
    return found


def needed(plan: Plan) -> dict[bytes, frozenset[str]]:
    """Planned path → every target that has to be made from it, downstream included."""
    found: dict[bytes, set[str]] = {}
    for planned in plan.changes:
        if planned.disposition == "planned":
            found[planned.change.path] = set()
    for target in plan.targets:
        for path in target.paths:
            if not target.settles and path in found:
                found[path].add(target.target.text)
    return {path: frozenset(names) for path, names in found.items()}
