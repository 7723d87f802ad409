"""From changes to a plan: which targets, in which order, and why. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from raw_trigger.mapping.asked import fed_above, left_behind, none_due, unfed, unmet
from raw_trigger.mapping.batches import Item, batch_numbers
from raw_trigger.mapping.clauses import Affected
from raw_trigger.mapping.deletions import Deletion, Feeds, on_deletion, on_job_deletion, shown
from raw_trigger.mapping.downstream import partitions_below
from raw_trigger.mapping.order import Order
from raw_trigger.mapping.partitions import KeyProblem, PartitionKeys, target_problem
from raw_trigger.mapping.patterns import compile_glob
from raw_trigger.mapping.rules import Match, RuleBook, unknown_asset
from raw_trigger.model.assets import Asset, Catalog, Partitions
from raw_trigger.model.changes import Base, Change, ChangeSet, Entry, show
from raw_trigger.model.plan import (
    NO_CATALOG,
    NOT_ASKED,
    STILL_FAILS,
    UNLISTED,
    UNREAD,
    Action,
    Disposition,
    Narrowing,
    Origin,
    Plan,
    PlannedChange,
    PlannedTarget,
    Target,
)
from raw_trigger.model.record import EVERY, UNKNOWN, Record


@dataclass(frozen=True, slots=True)
class Options:
    """Says how to plan. ``downstream`` is auto, none, all or a depth.

    ``now`` is the moment that decides which time windows are past, in seconds since 1970; None: all are.
    """

    environment: str
    downstream: str | int = "auto"
    on_delete: str = "auto"
    unmapped: str = "warn"
    batch_size: int = 200
    narrowing: Narrowing = field(default_factory=Narrowing)
    now: float | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """Holds paths that cannot be launched because of what is on disk, each with the reason.

    ``lacks`` are those of which a target reads other files, too, whose content is not here, with these.
    """

    dirty: Mapping[bytes, str] = field(default_factory=dict)
    missing: Mapping[bytes, str] = field(default_factory=dict)
    lacks: Mapping[bytes, tuple[bytes, ...]] = field(default_factory=dict)

    def obstacle(self, path: bytes) -> tuple[Disposition, str] | None:
        """Returns what stands in the way of a path, and the reason."""
        if path in self.dirty:
            return "dirty", self.dirty[path]
        return ("missing-content", self.missing[path]) if path in self.missing else None


Compare = Callable[[bytes, Match, "Entry | None", "Entry | None"], Affected]
"""What two versions of a path make of its targets, where its rule says what of the content counts."""


def make_plan(
    changes: ChangeSet,
    rules: RuleBook,
    options: Options,
    *,
    disk: Disk | None = None,
    feeds: Feeds = lambda _: False,
    fed: Callable[[], Collection[str]] = frozenset,
    compare: Compare = lambda _path, match, _old, _new: Affected(match.targets),
    record: Record | None = None,
    made: Collection[Target] = (),
) -> Plan:
    """Makes the plan for these changes. The same inputs give the same plan, in whatever order they come.

    Args:
        disk: What about the files on disk stands in the way; None where nothing will be launched.
        feeds: Asked for targets whose only changed files are deleted.
        fed: Asked for the assets that some file feeds, where nothing is due of what was asked for.
        compare: Asked of paths whose rule has a clause about the content.
        record: What the changes are compared with, where that is a record: what reflects a path's
            content already is left out for it. None: nothing is known to.
        made: What runs even where deletions leave nothing to make it from.
    """
    return _Planner(rules, options, disk or Disk(), feeds, fed, compare, record, made).plan(changes)


@dataclass(slots=True)
class _Draft:
    """A target while the plan is being made.

    ``via`` are its paths, each with the targets that the path itself feeds and this one is made for;
    ``reads`` are those of them that it is made from directly, not through something above it;
    ``due`` are those of its paths that it does not reflect, ``asked`` says that it was not narrowed away;
    ``alone`` that it was asked for, but nothing of what it is made from; ``joins`` that it reflects
    everything, and is made only because one function makes it with what does not.
    """

    target: Target
    origin: Origin
    via: dict[bytes, frozenset[Target]] = field(default_factory=dict)
    reads: set[bytes] = field(default_factory=set)
    due: set[bytes] = field(default_factory=set)
    action: Action = "materialize"
    reason: str | None = None
    settles: bool = False
    living: bool = False
    on_delete: str = "auto"
    dimensions: tuple[str, ...] = ()
    ready: float | None = None
    waits: bool = False
    unknown: bool = False
    asked: bool = True
    alone: bool = False
    joins: bool = False
    after: set[Target] = field(default_factory=set)
    above: set[Target] = field(default_factory=set)

    @property
    def paths(self) -> list[bytes]:
        """The changed paths that it is made from."""
        return list(self.via)


class _Planner:
    def __init__(
        self,
        rules: RuleBook,
        options: Options,
        disk: Disk,
        feeds: Feeds,
        fed: Callable[[], Collection[str]],
        compare: Compare,
        record: Record | None,
        made: Collection[Target],
    ) -> None:
        self.rules = rules
        self.catalog: Catalog | None = rules.catalog
        self.options = options
        self.disk = disk
        self.feeds = feeds
        self.fed = fed
        self.compare = compare
        self.record = record
        self.made = made
        self.clauses: dict[bytes, Match] = {}
        self.rows: dict[bytes, frozenset[Target] | None] = {}
        self.differing: dict[tuple[bytes, Entry | None], frozenset[Target] | None] = {}
        self.keys = PartitionKeys(options.now)
        self.changes: dict[bytes, Change] = {}
        self.before: Mapping[bytes, Entry] | None = None
        self.drafts: dict[Target, _Draft] = {}
        self.reflecting: list[_Draft] = []
        self.lost: set[Target] = set()
        self.warnings: list[str] = []
        self.said: list[tuple[Target, str]] = []
        self.errors: list[str] = []

    def plan(self, changes: ChangeSet) -> Plan:
        wanted = path_filter(self.options.narrowing.paths, self.rules)
        ordered = sorted(changes.changes, key=lambda change: change.path)
        self.changes = {change.path: change for change in ordered if wanted(change.path)}
        self.before = changes.recorded
        every = [self._change(change) for change in self.changes.values()]
        planned = tuple(one for one in every if not self._is_beside(one))
        left_out = len(changes.changes) - len(planned)
        for draft in list(self.drafts.values()):
            self._decide(draft)
            if draft.settles and draft.target in self.made:
                draft.action, draft.settles = "materialize", False
        self._complete_sets()
        self._narrow()
        self._add_downstream()
        self._leave_out()
        self._drop_reflected()
        self.warnings += self._said_of()
        self.warnings += unmet(self.options.narrowing.partitions, self._partitions(), self.keys)
        self._narrow_by_failure()
        planned = self._without_reflected(planned)
        self._tell_of_none(changes.base, planned)
        self._order()
        targets = self._batched(self.drafts.values())
        return Plan(
            environment=self.options.environment,
            record=self.record,
            base=changes.base,
            desired=changes.desired,
            changes=planned,
            targets=targets,
            reflecting=self._batched(self.reflecting),
            fingerprint=_fingerprint(planned, targets),
            warnings=tuple(self.warnings),
            errors=tuple(self.errors),
            left_out=left_out,
            pointers=changes.pointers,
        )

    def _change(self, change: Change) -> PlannedChange:
        match = self.rules.match(change.path)
        if match is None and change.new is not None and change.new.is_folder:
            # A rule for one of its files may well know it.
            return PlannedChange(change, "missing-content", None, UNLISTED)
        if match is None:
            return self._unmapped(change)
        if match.ignore:
            return PlannedChange(change, "ignored", match.rule)
        unknown = self._unknown(match)
        if unknown is not None:
            self.errors.append(f"{show(change.path)}: {match.rule}: {unknown}")
            return PlannedChange(change, "unmapped", match.rule, unknown)
        obstacle = self.disk.obstacle(change.path)
        if obstacle is not None:
            lacks = self.disk.lacks.get(change.path, ())
            return PlannedChange(change, obstacle[0], match.rule, obstacle[1], match.targets, lacks=lacks)
        planned = PlannedChange(change, "planned", match.rule, None, match.targets)
        if match.clause is not None:
            planned = self._by_content(change, match)
        for target in planned.targets if planned.disposition == "planned" else ():
            draft = self.drafts.get(target)
            if draft is None:
                draft = self.drafts[target] = _Draft(target, "raw")
            self._feed(draft, change.path, frozenset((target,)))
            draft.reads.add(change.path)
            draft.living = draft.living or change.new is not None
            draft.dimensions = match.dimensions
            if change.new is None:
                draft.on_delete = match.on_delete or self.options.on_delete
        return planned

    def _by_content(self, change: Change, match: Match) -> PlannedChange:
        """A change of which the content says what it is about."""
        self.clauses[change.path] = match
        affected = self.compare(change.path, match, change.old, change.new)
        if affected.problem is not None:
            self.errors.append(f"{affected.place}: {affected.problem} ({match.rule})")
            line = affected.place.removeprefix(f"{show(change.path)}:")
            reason = f"line {line}: {affected.problem}" if line != affected.place else affected.problem
            return PlannedChange(change, "unmapped", match.rule, reason, match.targets)
        if affected.missing is not None:
            return PlannedChange(change, "missing-content", match.rule, affected.missing, match.targets)
        if change.old == change.new and self._unread(change, match):
            return PlannedChange(change, "missing-content", match.rule, UNREAD, match.targets)
        if affected.note is not None:
            self.warnings.append(f"{show(change.path)}: {affected.note}")
        # What reflects another content than the rest may be due though nothing differs from the record.
        others = {*affected.targets, *self._apart(change, match), *self._between(change, match)}
        if not others:
            return PlannedChange(change, "unchanged", match.rule, affected.nothing, rows=affected.counts)
        targets = tuple(sorted(others, key=_sort_key))
        return PlannedChange(change, "planned", match.rule, None, targets, affected.counts)

    def _unread(self, change: Change, match: Match) -> bool:
        """Whether nobody knows yet which partitions a rule newly feeds from it."""
        apart = () if self.record is None else self.record.exceptions_of(change.path)
        if not match.by_row or all(target.text not in apart for target in match.targets):
            return False
        # Without the catalog the record was not asked.
        whole = self.compare(change.path, match, None, change.new)
        return whole.missing is not None or any(target.text not in apart for target in whole.targets)

    def _apart(self, change: Change, match: Match) -> Iterable[Target]:
        """The path's targets whose content the record has other than that of the path."""
        names = () if self.record is None else self.record.exceptions_of(change.path)
        if EVERY in names:
            for old, new in ((None, change.new), (change.old, None)) if match.by_row else ():
                yield from self.compare(change.path, match, old, new).targets
            yield from () if match.by_row else match.targets
        for name in names:
            for target in match.targets:
                if name == target.text:
                    if not match.by_row:
                        yield target
                elif match.by_row and name.startswith(f"{target.asset}|"):
                    yield Target(target.asset, name[len(target.asset) + 1 :])

    def _between(self, change: Change, match: Match) -> Iterable[Target]:
        """What differs from other contents that something downstream may reflect, made by itself.

        Where everything is made that is there, this is also what was there when it was recorded.
        """
        if self.before is not None and change.path in self.before:
            yield from self.compare(change.path, match, self.before[change.path], change.new).targets
        seen = () if self.record is None else self.record.exceptions_of(change.path).values()
        contents = {told.oid: told for told in seen if told is not None and told != UNKNOWN}
        for _, reflected in sorted(contents.items()):
            yield from self.compare(change.path, match, reflected, change.new).targets

    def _feed(self, draft: _Draft, path: bytes, via: frozenset[Target]) -> None:
        """Add a path to a draft, as one that it is due for unless it reflects its content.

        Args:
            via: The targets that the path itself feeds, through which it feeds this one.
        """
        draft.via[path] = draft.via[path] | via if path in draft.via else via
        if path not in draft.due and not self._reflects(draft.target, path, via):
            draft.due.add(path)

    def _reflects(self, target: Target, path: bytes, via: frozenset[Target]) -> bool:
        """Whether the target has been made from all of the path's content that counts for it."""
        change, record, match = self.changes[path], self.record, self.clauses.get(path)
        if record is None or self.before is not None:
            return False
        reflected = record.reflected(path, target.text, change.old)
        if reflected == change.new or match is None or reflected == UNKNOWN:
            return reflected == change.new
        key = (path, reflected)
        if key not in self.differing:
            affected = self.compare(path, match, reflected, change.new)
            unknown = affected.problem is not None or affected.missing is not None or affected.alone
            self.differing[key] = None if unknown else frozenset(affected.targets)
        differing = self.differing[key]
        return differing is not None and via.isdisjoint(differing)

    def _fed(self, target: Target, via: Mapping[bytes, frozenset[Target]], reason: str) -> _Draft:
        draft = _Draft(target, "downstream", reason=reason)
        for path, through in via.items():
            self._feed(draft, path, through)
        return draft

    def _drop_reflected(self) -> None:
        """Leave out what reflects everything already, unless it is made together with what does not."""
        due = [draft for draft in self.drafts.values() if draft.due]
        kept = {draft.target: draft for draft in due}
        for draft in due:
            asset = self._asset(draft.target.asset)
            for key in asset.execution_set if asset is not None and draft.action == "materialize" else ():
                mate = self.drafts.get(Target(key, draft.target.partition))
                if mate is not None and not mate.due:
                    mate.due, mate.joins = set(draft.due), True
                if mate is not None:
                    kept[mate.target] = mate
        self.reflecting = [draft for draft in self.drafts.values() if draft.target not in kept]
        self.drafts = kept

    def _said_of(self) -> Iterable[str]:
        """The warnings about what is left; of what is downstream only where something above it is made."""
        made = {path for draft in self.drafts.values() if draft.action != "skip" for path in draft.due}
        for target, text in self.said:
            draft = self.drafts.get(target)
            if draft is None or not draft.asked:
                continue
            if draft.origin == "raw" or not made.isdisjoint(draft.due):
                yield text

    def _without_reflected(self, planned: Iterable[PlannedChange]) -> tuple[PlannedChange, ...]:
        """A planned change that nothing is due for is none."""
        due = {path for draft in self.drafts.values() for path in draft.due}
        reason = "everything that is made from it reflects it"
        return tuple(
            replace(one, disposition="unchanged", reason=reason)
            if one.disposition == "planned" and one.change.path not in due
            else one
            for one in planned
        )

    def _unmapped(self, change: Change) -> PlannedChange:
        if self.catalog is None:
            return PlannedChange(change, "unmapped", None, NO_CATALOG)
        reason = "no rule, metadata or convention maps it to an asset"
        if self.options.unmapped == "fail":
            self.errors.append(f"{show(change.path)}: {reason}, and unmapped is fail")
        return PlannedChange(change, "unmapped", None, reason)

    def _unknown(self, match: Match) -> str | None:
        if self.catalog is None:
            return None
        for target in match.targets:
            if not self.catalog.has(target.asset):
                return unknown_asset(target.asset, self.catalog)
        return None

    def _asset(self, key: str) -> Asset | None:
        return None if self.catalog is None else self.catalog.assets.get(key)

    def _decide(self, draft: _Draft) -> None:
        if draft.target.job is not None:
            if not draft.living:
                gone = shown(draft.paths)
                self._delete(draft, on_job_deletion(draft.on_delete, draft.target, gone))
            return
        asset = self._asset(draft.target.asset)
        if asset is None:
            return
        problem = target_problem(asset, draft.target.partition, self.keys, draft.dimensions)
        if problem is not None:
            draft.action, draft.reason, draft.ready = "skip", problem.message, problem.ready
            draft.unknown = problem.ready is None
            key, has = draft.target.partition, asset.partitions
            if has is not None and key is not None and not self._is_there(draft):
                # What was never made leaves nothing behind; but a rule may be at fault.
                draft.settles = problem == self.keys.problem(has, key)
                draft.ready = None
            self.said.append((draft.target, f"{draft.target.text}: {problem.message}"))
            return
        if asset.kind != "materializable":
            draft.action = "report"
        if draft.living:
            return
        assert self.catalog is not None
        gone = shown(draft.paths)
        what = on_deletion(draft.on_delete, asset, draft.target, gone, feeds=self.feeds, catalog=self.catalog)
        self._delete(draft, what)

    def _delete(self, draft: _Draft, what: Deletion) -> None:
        draft.action, draft.reason, draft.settles = what.action, what.reason, what.stale
        if what.error is not None:
            self.errors.append(what.error)
        elif what.stale:
            self.said.append((draft.target, f"{draft.target.text}: {what.reason}"))

    def _is_there(self, draft: _Draft) -> bool:
        """Whether a file that is there feeds it; where rows name what they feed, one of these."""
        there = [self._rows_of(path) for path in draft.via if self.changes[path].new is not None]
        return any(rows is None or draft.target in rows for rows in there)

    def _rows_of(self, path: bytes) -> frozenset[Target] | None:
        """What the rows of a changed file feed; None where they do not tell it, or cannot be read."""
        if path not in self.rows:
            match, new = self.clauses.get(path), self.changes[path].new
            told = None if match is None or not match.by_row else self.compare(path, match, None, new)
            known = told is not None and told.problem is None and told.missing is None
            self.rows[path] = frozenset(told.targets) if told is not None and known else None
        return self.rows[path]

    def _complete_sets(self) -> None:
        """Add the assets that one function makes together with a planned one."""
        for draft in list(self.drafts.values()):
            asset = self._asset(draft.target.asset)
            if asset is None or draft.action != "materialize":
                continue
            for key in asset.execution_set:
                mate = Target(key, draft.target.partition)
                together = self.drafts.get(mate)
                reason = f"made by one function with {asset.key}"
                if together is None:
                    together = self.drafts[mate] = _Draft(mate, draft.origin, reason=reason)
                for path, via in draft.via.items():
                    self._feed(together, path, via)
                together.reads |= draft.reads
                due = draft.due or together.due & draft.via.keys()
                if together.action == "skip" and due:
                    together.action, together.settles, together.reason = "materialize", False, reason

    def _tell_of_none(self, base: Base, changes: Iterable[PlannedChange]) -> None:
        """That nothing is due of what was asked for by name, where it may be made all the same."""
        wanted = self.options.narrowing
        behind = self._left_behind()
        self.warnings += [left_behind(key, above) for key, above in sorted(behind.items())]
        is_record = base.kind == "recorded" or (base.kind == "revision" and bool(base.reason))
        if not is_record or wanted.partitions or not (wanted.assets or wanted.paths):
            return
        told = ("dirty", "missing-content", *(("unmapped", "ignored") if wanted.paths else ()))
        if any(change.disposition in told for change in changes):
            return
        if all(draft.reason == NOT_ASKED for draft in self.drafts.values()):
            never = self._unfed(key for key in wanted.assets if key not in behind)
            self.warnings += [unfed(key, above) for key, above in sorted(never.items())]
            rest = [key for key in wanted.assets if key not in behind and key not in never]
            if rest or not wanted.assets:
                self.warnings.append(none_due(rest, wanted.paths))

    def _left_behind(self) -> dict[str, list[str]]:
        """What was asked for and waits for what was not: each with what files feed of that."""
        found: dict[str, set[str]] = {}
        for draft in self.drafts.values() if self.options.narrowing.assets else ():
            if draft.asked or draft.settles or not self._is_wanted(draft.target):
                continue
            seen: set[Target] = set()
            frontier = set(draft.above)
            while frontier:
                seen |= frontier
                drafts = [self.drafts[target] for target in frontier if target in self.drafts]
                raw = {one.target.asset for one in drafts if one.due and one.origin == "raw"}
                if raw:
                    found.setdefault(draft.target.asset, set()).update(raw)
                frontier = {above for one in drafts for above in one.above} - seen
        return {key: sorted(above) for key, above in found.items()}

    def _unfed(self, asked: Iterable[str]) -> dict[str, list[str]]:
        """What was asked for and no file feeds: each with the nearest above it that one feeds."""
        catalog, keys = self.catalog, list(asked)
        if catalog is None or not keys:
            return {}
        fed = frozenset(self.fed())
        made = fed | self.rules.below(fed)
        return {key: fed_above(key, catalog, fed) for key in keys if key not in made}

    def _narrow(self) -> None:
        for draft in self.drafts.values():
            draft.asked = self._is_wanted(draft.target)

    def _is_wanted(self, target: Target) -> bool:
        return is_wanted(target, self.options.narrowing, self.catalog, self.keys)

    def _is_beside(self, planned: PlannedChange) -> bool:
        """Whether it has to wait, and only what was not asked for has to wait for it."""
        wanted = self.options.narrowing.assets
        if not wanted or not planned.targets or planned.disposition not in ("dirty", "missing-content"):
            return False
        options = self.options
        made = (made_from(one, self.catalog, options.downstream, options.now) for one in planned.targets)
        return all(one.asset not in wanted for each in made for one in each)

    def _partitions(self) -> Iterable[tuple[Partitions | None, str | None]]:
        """The partitions of what is asked for by its key."""
        wanted = self.options.narrowing.assets
        for target in self.drafts:
            asset = self._asset(target.asset)
            if not wanted or target.asset in wanted:
                yield (None if asset is None else asset.partitions), target.partition

    def _leave_out(self) -> None:
        """What was not asked for is not done, but stays due."""
        for draft in self.drafts.values():
            if not draft.asked:
                draft.action, draft.settles = "skip", False
                draft.reason = NOT_ASKED

    def _narrow_by_failure(self) -> None:
        """Keep only what failed last time, or leave it out, where it is due for the same contents again."""
        wanted, unwanted = self.options.narrowing.failed, self.options.narrowing.not_again
        before: dict[str, set[tuple[str, bytes, str | None]]] = {}
        for one in unwanted:
            before.setdefault(one[0], set()).add(one)
        by_themselves = [draft for draft in self.drafts.values() if not draft.joins]
        for draft in by_themselves:
            if draft.action == "skip" or (wanted is None and not unwanted):
                continue
            due = {(draft.target.text, path, self._oid(path)) for path in draft.due}
            if wanted is not None and not due & wanted:
                draft.action, draft.reason = "skip", "it did not fail last time"
            elif due and due == before.get(draft.target.text):
                draft.action = "skip"
                draft.reason = STILL_FAILS
                self.warnings.append(f"{draft.target.text}: {draft.reason}")
        made = {draft.target for draft in by_themselves if draft.action == "materialize"}
        for draft in self.drafts.values():
            asset = self._asset(draft.target.asset)
            mates = asset.execution_set if asset is not None and draft.joins else ()
            if draft.joins and made.isdisjoint(Target(key, draft.target.partition) for key in mates):
                draft.action, draft.reason = "skip", "it reflects everything, and its mates are left out"

    def _oid(self, path: bytes) -> str | None:
        new = self.changes[path].new
        return None if new is None else new.oid

    def _add_downstream(self) -> None:
        if self.catalog is None or self.options.downstream == "none":
            return
        children = self.catalog.children
        depth = {"auto": 1, "all": len(self.catalog.assets)}.get(
            str(self.options.downstream), self.options.downstream
        )
        # What is made only later takes along what is made from it.
        frontier = [d for d in self.drafts.values() if d.action != "skip" or d.ready is not None]
        frontier = [d for d in frontier if d.target.job is None]
        if self.options.downstream == "auto":
            frontier = [d for d in frontier if self.catalog.assets[d.target.asset].kind != "materializable"]
        for _ in range(int(depth)):
            frontier = [new for draft in frontier for new in self._children(draft, children)]
            if not frontier:
                break

    def _children(self, draft: _Draft, children: Mapping[str, Sequence[str]]) -> Iterable[_Draft]:
        """The drafts of what is directly made from one, as far as they are new or have learnt of more."""
        assert self.catalog is not None
        parent = self.catalog.assets[draft.target.asset]
        for key in children.get(draft.target.asset, ()):
            asset = self.catalog.assets[key]
            if asset.kind != "materializable":
                continue
            if draft.action == "delete-partition" and asset.partitions == parent.partitions:
                # It loses the partition too, and what is made from all of its partitions is made without.
                lost = Target(key, draft.target.partition)
                if lost not in self.lost:
                    self.lost.add(lost)
                    gone = _Draft(lost, "downstream", via=dict(draft.via), action="delete-partition")
                    yield replace(gone, asked=draft.asked)
                continue
            below = partitions_below(parent, asset, draft.target.partition, self.keys)
            if below.unknown is not None:
                self._left(Target(key), draft, below.unknown)
            for partition in below.partitions:
                has = asset.partitions
                problem = None if has is None or partition is None else self.keys.problem(has, partition)
                if problem is None or problem.ready is not None:
                    yield from self._child(Target(key, partition), draft, problem)

    def _child(self, target: Target, draft: _Draft, problem: KeyProblem | None) -> Iterable[_Draft]:
        """Add what is made from a draft. It waits with it, and while its own time window is open."""
        assert self.catalog is not None
        asset = self.catalog.assets[target.asset]
        known = self.drafts.get(target)
        # By itself it can be made where what it is made from is up to date; or has no code, where nobody asks
        # what is up to date, as with --all.
        codeless = self.catalog.assets[draft.target.asset].kind != "materializable"
        late = bool(draft.due) and not (codeless and (self.record is None or self.before is not None))
        if known is not None:
            known.above.add(draft.target)
            further = {p: via for p, via in draft.via.items() if not via <= known.via.get(p, frozenset())}
            freed = known.waits and problem is None and draft.ready is None
            asked = draft.asked and not known.asked
            if known.alone and late and not draft.asked:
                known.asked = known.alone = False
            if not (further or freed or asked):
                return
            known.asked = known.asked or asked
            for path, via in further.items():
                self._feed(known, path, via)
            if known.settles and known.origin == "raw" and problem is None and draft.action == "materialize":
                # Its own files are gone, but what it is made from besides them is another one now.
                known.action, known.settles = "materialize", False
                known.reason = f"downstream of {draft.target.asset}"
                self.said = [one for one in self.said if one[0] != target]
            if freed:
                known.action, known.ready, known.waits = "materialize", None, False
                known.reason = f"downstream of {draft.target.asset}"
            yield known
            return
        new = self._fed(target, draft.via, f"downstream of {draft.target.asset}")
        new.above.add(draft.target)
        new.alone = not draft.asked and not late and self._is_wanted(target)
        new.asked = draft.asked or new.alone
        if problem is not None:
            new.action, new.ready, new.reason = "skip", problem.ready, problem.message
        elif draft.ready is not None:
            new.action, new.ready, new.waits = "skip", draft.ready, True
            new.reason = f"it waits for {draft.target.text}"
        self.drafts[target] = new
        for mate in asset.execution_set:
            together = Target(mate, target.partition)
            if together not in self.drafts:
                mate_of = self._fed(together, draft.via, f"made by one function with {target.asset}")
                self.drafts[together] = replace(
                    mate_of,
                    action=new.action,
                    ready=new.ready,
                    waits=new.waits,
                    asked=new.asked,
                    above=new.above,
                )
                yield self.drafts[together]
        yield new

    def _left(self, target: Target, draft: _Draft, why: str) -> None:
        """Say once of an asset that it is not made again though something above it is."""
        known = self.drafts.get(target)
        if known is None:
            reason = f"downstream of {draft.target.asset}, but {why}: materialize it by hand"
            known = self.drafts[target] = _Draft(target, "downstream", reason=reason)
            known.action, known.settles, known.asked = "skip", True, draft.asked
            self.said.append((target, f"{target.text}: {reason}"))
        known.asked = known.asked or draft.asked
        for path, via in draft.via.items():
            self._feed(known, path, via)

    def _order(self) -> None:
        """Which planned targets each has to wait for: those of the assets it depends on, however far up."""
        if self.catalog is None:
            return
        planned = [draft.target for draft in self.drafts.values() if draft.action != "skip"]
        order = Order(self.catalog, planned, self.keys)
        for draft in self.drafts.values():
            draft.after = order.before(draft.target)

    def _batched(self, drafts: Iterable[_Draft]) -> tuple[PlannedTarget, ...]:
        drafts = sorted(drafts, key=lambda d: _sort_key(d.target))
        items = (
            Item(d.target, d.action, d.after, self._asset(d.target.asset))
            for d in drafts
            if d.action != "skip"
        )
        numbers = batch_numbers(items, self.options.batch_size, self.keys)
        return tuple(
            PlannedTarget(
                target=draft.target,
                action=draft.action,
                origin=draft.origin,
                batch=numbers.get(draft.target, 0),
                reason=draft.reason,
                paths=tuple(sorted(draft.due)),
                feeds=tuple(sorted(draft.via)),
                reads=frozenset(draft.reads),
                after=tuple(sorted(draft.after, key=_sort_key)),
                above=tuple(sorted(draft.above, key=_sort_key)),
                settles=draft.settles,
                ready=draft.ready,
                unknown=draft.unknown,
            )
            for draft in drafts
        )


def made_from(
    target: Target, catalog: Catalog | None, downstream: str | int, now: float | None = None
) -> list[Target]:
    """Returns the target, what one function makes with it, and what a change of it may start downstream.

    Rather too much than too little: it says what has seen nothing yet of a path that newly feeds the target.
    """
    asset = None if catalog is None else catalog.assets.get(target.asset)
    if catalog is None or asset is None:
        return [target]
    keys = PartitionKeys(now)
    found = {target}
    frontier = [target, *(Target(key, target.partition) for key in asset.execution_set)]
    found.update(frontier)
    deeper = downstream != "none" and (downstream != "auto" or asset.kind != "materializable")
    while frontier and deeper:
        one = frontier.pop()
        parent = catalog.assets.get(one.asset)
        if parent is None:
            continue
        for key in catalog.children.get(one.asset, ()):
            child = catalog.assets[key]
            below = partitions_below(parent, child, one.partition, keys)
            new = {Target(mate, p) for p in below.partitions for mate in {key, *child.execution_set}} - found
            found |= new
            frontier += new
    return sorted(found, key=_sort_key)


def may_be_made_from(
    target: Target, catalog: Catalog | None, downstream: str | int, now: float | None = None
) -> Callable[[Target], bool]:
    """Returns a test for being the target or made from it; without a partition it stands for all."""
    if target.partition is not None:
        return frozenset(made_from(target, catalog, downstream, now)).__contains__
    asset = None if catalog is None else catalog.assets.get(target.asset)
    if catalog is None or asset is None:
        return lambda other: other.asset == target.asset
    found: set[str] = set()
    frontier = [asset.key, *asset.execution_set]
    deeper = downstream != "none" and (downstream != "auto" or asset.kind != "materializable")
    while frontier:
        key = frontier.pop()
        if key in found:
            continue
        found.add(key)
        for child in catalog.children.get(key, ()) if deeper else ():
            frontier += [child, *catalog.assets[child].execution_set]
    return lambda other: other.asset in found


def is_wanted(target: Target, narrowing: Narrowing, catalog: Catalog | None, keys: PartitionKeys) -> bool:
    """Says whether it was asked for by its key and its partition."""
    asset, ranges = None if catalog is None else catalog.assets.get(target.asset), narrowing.partitions
    if ranges:
        definition, key = (None if asset is None else asset.partitions), target.partition
        if key is None or not any(keys.within(definition, key, *ends) for ends in ranges):
            return False
    wanted = set(narrowing.assets)
    mates = asset.execution_set if asset is not None else ()
    return not wanted or target.asset in wanted or not wanted.isdisjoint(mates)


def path_filter(globs: Sequence[str], rules: RuleBook) -> Callable[[bytes], bool]:
    """Returns a test for paths that one of the globs matches: the whole path, or from its root on."""
    if not globs:
        return lambda _: True
    patterns = [compile_glob(glob) for glob in globs]

    def wanted(path: bytes) -> bool:
        names = (show(path), rules.relative(path) or "")
        return any(p.match(name) is not None for p in patterns for name in names)

    return wanted


def _sort_key(target: Target) -> tuple[str, str]:
    return (target.asset, target.partition or "")


def _fingerprint(changes: Sequence[PlannedChange], targets: Sequence[PlannedTarget]) -> str:
    digest = hashlib.sha256()
    for planned in changes:
        if planned.disposition == "planned":
            new = planned.change.new
            digest.update(
                planned.change.path + b"\0" + (f"{new.mode} {new.oid}" if new else "").encode() + b"\0"
            )
    for target in targets:
        digest.update(f"{target.action} {target.target.text}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
