"""What was on disk before a run and after it, and what the run taught: from what its targets were made."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from raw_trigger.model.changes import Change, ChangeSet, Entry, show
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import Plan, PlannedTarget, Target
from raw_trigger.model.record import UNKNOWN, Fed, Learnt, Record
from raw_trigger.model.text import sample
from raw_trigger.planning.order import upstream_first

Fate = Literal["made", "broken", "not made"]
"""``broken``: something of the target was made, and it is not known to be what it should be."""

_TOLD = 5
"""Files, and targets of each, that are named."""


def fate_of(outcome: TargetOutcome) -> Fate:
    """Returns what became of a target's materialization."""
    if outcome.status == "success":
        return "broken" if outcome.refuted or outcome.unsteady else "made"
    return "broken" if outcome.materialized else "not made"


class WorkingTree(Protocol):
    """Reads the files that Dagster reads."""

    def now(self) -> ChangeSet:
        """Returns every path that is on disk other than recorded, or that some targets do not reflect."""

    def touched(self, seen: ChangeSet) -> Mapping[bytes, Change]:
        """Returns what was written since this was made, or put in its place or taken away from it.

        Args:
            seen: What is on disk other than recorded.
        """

    def plan(self, seen: ChangeSet, made: Collection[Target]) -> Plan:
        """Returns the plan for what was seen, where these targets run though nothing may be left of it."""

    def below(self, target: Target) -> Callable[[Target], bool]:
        """Returns what says of others whether they may be made from a target that a path feeds, or are it."""


class Run:
    """Holds what was on disk before a run, to be compared with what is there after it.

    Args:
        tree: Looks at the disk.
        targets: What is to be made.

    Attributes:
        plan: Of all that is on disk other than recorded, whatever of it is to be made.
    """

    def __init__(self, tree: WorkingTree, targets: Collection[Target]) -> None:
        self._tree = tree
        self._targets = frozenset(targets)
        self._before = tree.now()
        self.plan = tree.plan(self._before, self._targets)

    @property
    def unknown(self) -> dict[bytes, frozenset[str]]:
        """Returns the paths of which nobody knows what the targets reflect while they are being made."""
        names = {target.text for target in self._targets}
        fed = {path: targets & names for path, targets in feeding(self.plan).items()}
        return {path: targets for path, targets in fed.items() if targets}

    def after(self, fates: Mapping[Target, Fate]) -> AfterRun:
        """Returns what the targets reflect now: of *every* file that feeds them, what was on disk.

        Args:
            fates: What became of targets; of the others nothing is known.
        """
        made = {target for target, fate in fates.items() if fate != "not made"}
        moving = self._moving() if made else None
        moved = {} if moving is None else feeding(moving)
        learnt = learnt_from(self.plan, fates, moved.keys())
        names = {target.text for target in made}
        moved = {path: targets & names for path, targets in moved.items() if not targets.isdisjoint(names)}
        unknown = {path: targets for path, targets in moved.items() if path not in learnt}
        for planned in (*(() if moving is None else moving.changes), *self.plan.changes) if made else ():
            # One with targets that is unmapped is a table that cannot be read as one.
            if planned.disposition in ("dirty", "missing-content", "unmapped"):
                below = [self._tree.below(target) for target in planned.targets]
                read = frozenset(one.text for one in made if any(is_below(one) for is_below in below))
                if read:
                    unknown[planned.change.path] = unknown.get(planned.change.path, frozenset()) | read
        learnt |= {path: Learnt.unknown(targets) for path, targets in unknown.items()}
        return AfterRun(learnt, moved)

    def _moving(self) -> Plan | None:
        """What changed, or was touched, while the run was on; None if nothing was."""
        before = {change.path: change for change in self._before.changes}
        seen = self._tree.now()
        after = {change.path: change for change in seen.changes}
        moving = {
            path: replace(change, old_path=None)
            for path, change in {**after, **before}.items()
            if path not in before or path not in after or before[path].new != after[path].new
        }
        moving = {**self._tree.touched(self._before), **moving}
        if not moving:
            return None
        changes = tuple(moving[path] for path in sorted(moving))
        return self._tree.plan(replace(seen, changes=changes), self._targets)


@dataclass(frozen=True, slots=True)
class AfterRun:
    """Says what a run taught.

    Attributes:
        learnt: What its targets reflect now.
        moved: The files that changed while the run was on, each with what was made from it meanwhile.
    """

    learnt: Mapping[bytes, Learnt]
    moved: Fed


def learnt_from(
    plan: Plan, fates: Mapping[Target, Fate], moved: Set[bytes] = frozenset()
) -> dict[bytes, Learnt]:
    """Returns what the targets of a run reflect now, by path.

    A target that was made reflects of a path what it read itself and what each target above it reflects, if
    that is one and the same; else nobody knows what it reflects.

    Args:
        plan: Of all that was on disk other than recorded when the run began, with the record of then.
        fates: What became of targets; of the others nothing is known.
        moved: The paths that were touched while the run was on.
    """
    lineage = _Lineage(plan, fates, moved)
    fed: dict[bytes, list[PlannedTarget]] = {}
    for one in lineage.targets.values():
        for path in one.feeds if not one.settles else ():
            fed.setdefault(path, []).append(one)
    found = {}
    for path, targets in fed.items():
        reflects = {one.target.text: lineage.value(one.target, path) for one in targets if lineage.tells(one)}
        if reflects:
            equivalent = {
                one.target.text: lineage.before(one.target, path)
                for one in targets
                if one.target.text not in reflects and path not in one.paths
            }
            names = frozenset(one.target.text for one in targets)
            found[path] = Learnt(lineage.content(path), names, reflects, equivalent)
    return found


class _Lineage:
    """Tells which content of a path each target was made from, directly or through what is above it."""

    def __init__(self, plan: Plan, fates: Mapping[Target, Fate], moved: Set[bytes]) -> None:
        assert plan.record is not None
        self.targets = {one.target: one for one in plan.made_from_changes}
        self._record: Record = plan.record
        self._fates = fates
        self._moved = moved
        self._changes = {one.change.path: one.change for one in plan.changes}
        self._values: dict[tuple[Target, bytes], Entry | None] = {}

    def content(self, path: bytes) -> Entry | None:
        """Returns what was on disk when the run began."""
        return self._changes[path].new

    def before(self, target: Target, path: bytes) -> Entry | None:
        """Returns what the target reflected when the run began."""
        return self._record.reflected(path, target.text, self._changes[path].old)

    def tells(self, one: PlannedTarget) -> bool:
        """Whether the run has shown something about the target."""
        fate = self._fates.get(one.target)
        # That it failed with the very contents that it is recorded with disproves the record.
        return fate is not None and (fate != "not made" or not one.paths)

    def value(self, target: Target, path: bytes) -> Entry | None:
        """Returns what the target reflects of the path now."""
        for one in upstream_first((target, path), self._above, self._values):
            self._values[one] = self._value(*one)
        return self._values[target, path]

    def _above(self, node: tuple[Target, bytes]) -> Iterable[tuple[Target, bytes]]:
        target, path = node
        above = (self.targets[one] for one in self.targets[target].above if one in self.targets)
        return ((one.target, path) for one in above if path in one.feeds)

    def _value(self, target: Target, path: bytes) -> Entry | None:
        one, content = self.targets[target], self.content(path)
        if self._fates.get(target) != "made":
            if self.tells(one):
                return UNKNOWN
            # A report changes nothing of what is made from the file, and what is left as it is has been so.
            as_it_is = one.settles or one.action == "report" or path not in one.paths
            return content if as_it_is else self.before(target, path)
        if path in self._moved:
            return UNKNOWN
        read = {self._values[above] for above in self._above((target, path)) if above in self._values}
        if path in one.reads or not read:
            read.add(content)
        return read.pop() if len(read) == 1 else UNKNOWN


def feeding(plan: Plan) -> dict[bytes, frozenset[str]]:
    """Returns every target that is made from each path of the plan, downstream included."""
    found: dict[bytes, set[str]] = {}
    for one in plan.made_from_changes:
        for path in one.feeds if not one.settles else ():
            found.setdefault(path, set()).add(one.target.text)
    return {path: frozenset(names) for path, names in found.items()}


def pointers(plan: Plan) -> dict[bytes, Learnt]:
    """Returns DVC's files that differ, which are recorded as soon as the data is that they stand for."""
    return {path: Learnt(entry) for path, entry in plan.pointers.items()}


def settled(plan: Plan, *, certain: bool, sees_all: bool = True) -> dict[bytes, Learnt]:
    """Returns the paths that there is nothing to run for.

    Args:
        sees_all: Whether everything was looked for that is made from a path. Where it was not, what some
            targets do not reflect is left as it is.
        certain: Whether the whole catalog was looked at afresh, so that a path is known to be unmapped.
    """
    # Where it is an error that nothing is made from a file, it has to stay one until it is mended.
    known = certain and not plan.errors
    idle = {one.target for one in plan.targets if one.action == "skip" and one.settles}
    fed = feeding(plan)
    found = {}
    for planned in plan.changes:
        path, new = planned.change.path, planned.change.new
        if planned.disposition == "ignored" or (
            planned.disposition == "unmapped" and planned.rule is None and known
        ):
            found[path] = Learnt(new)
        elif planned.disposition == "planned" and idle.issuperset(planned.targets) and path not in fed:
            names = frozenset(target.text for target in planned.targets)
            found[path] = Learnt(new, names, dict.fromkeys(names, new))
        elif (
            planned.disposition == "unchanged"
            # Compared with something else it says nothing of what is recorded.
            and plan.record is not None
            and (sees_all or not plan.record.exceptions_of(path))
        ):
            names = fed.get(path, frozenset())
            equivalent = {name: plan.record.reflected(path, name, planned.change.old) for name in names}
            found[path] = Learnt(new, names, equivalent=equivalent)
    return found


def unsteady(moved: Fed, relative: Callable[[bytes], str | None]) -> list[str]:
    """Says which files are still pending because they changed while something was made from them.

    Args:
        relative: The path as a rule names it.
    """
    told = []
    for path, targets in sorted(moved.items())[:_TOLD]:
        names = sorted(targets)
        made = sample(names, _TOLD)
        who = made if len(names) == 1 else "one of them"
        rule = f"{{path: {json.dumps(relative(path), ensure_ascii=False)}, ignore: true}}"
        told.append(
            f"{show(path)} changed while {made} ran, so it is not recorded; "
            f"if {who} writes it, ignore it: {rule}"
        )
    if len(moved) > _TOLD:
        told.append(f"{len(moved) - _TOLD} more files changed while something was made from them")
    return told
