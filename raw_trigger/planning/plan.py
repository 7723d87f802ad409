"""From changes to a plan: which targets, in which order, and why. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

from raw_trigger.mapping.rules import RuleBook
from raw_trigger.model.changes import ChangeSet
from raw_trigger.model.plan import Disk, Options, Plan, PlannedChange, PlannedTarget, Target
from raw_trigger.model.record import Record
from raw_trigger.planning.actions import complete_sets, decide
from raw_trigger.planning.batches import Item, batch_numbers
from raw_trigger.planning.below import add_downstream
from raw_trigger.planning.drafts import Draft, Drafts
from raw_trigger.planning.files import Files, NoFiles
from raw_trigger.planning.narrowing import leave_out, narrow, narrow_by_failure, tell_of_none, tell_of_rest
from raw_trigger.planning.order import Order
from raw_trigger.planning.paths import planned_paths


def make_plan(
    changes: ChangeSet,
    rules: RuleBook,
    options: Options,
    *,
    disk: Disk | None = None,
    files: Files | None = None,
    record: Record | None = None,
    made: Collection[Target] = (),
    held: Mapping[str, str] | None = None,
) -> Plan:
    """Makes the plan for these changes. The same inputs give the same plan, in whatever order they come.

    Args:
        disk: What about the files on disk stands in the way; None where nothing will be launched.
        files: None: every change counts, and no other file is there.
        record: What the changes are compared with, where that is a record: what reflects a path's
            content already is left out for it. None: nothing is known to.
        made: What runs even where deletions leave nothing to make it from.
        held: The targets, as text, that are not to be made now, and why.
    """
    drafts = Drafts(changes, rules, options, disk or Disk(), files or NoFiles(), record, made)
    every = planned_paths(drafts)
    decide(drafts)
    complete_sets(drafts)
    narrow(drafts)
    add_downstream(drafts)
    leave_out(drafts)
    drop_reflected(drafts)
    tell_of_rest(drafts)
    narrow_by_failure(drafts)
    hold_back(drafts, held or {})
    planned = without_reflected(drafts, every)
    tell_of_none(drafts, changes.base, planned)
    order(drafts)
    targets = _batched(drafts, drafts.by_target.values())
    return Plan(
        environment=options.environment,
        record=record,
        base=changes.base,
        desired=changes.desired,
        changes=planned,
        targets=targets,
        reflecting=_batched(drafts, drafts.reflecting),
        fingerprint=_fingerprint(planned, targets),
        warnings=tuple(drafts.warnings),
        errors=tuple(drafts.errors),
        left_out=len(changes.changes) - len(every),
        pointers=changes.pointers,
    )


def drop_reflected(drafts: Drafts) -> None:
    """Leaves out what reflects everything already, unless it is made together with what does not."""
    due = [draft for draft in drafts.by_target.values() if draft.due]
    kept = {draft.target: draft for draft in due}
    for draft in due:
        asset = drafts.asset(draft.target.asset)
        for key in asset.execution_set if asset is not None and draft.action == "materialize" else ():
            mate = drafts.by_target.get(Target(key, draft.target.partition))
            if mate is not None and not mate.due:
                mate.due, mate.joins = set(draft.due), True
            if mate is not None:
                kept[mate.target] = mate
    drafts.reflecting = [draft for draft in drafts.by_target.values() if draft.target not in kept]
    drafts.by_target = kept


def without_reflected(drafts: Drafts, planned: Iterable[PlannedChange]) -> tuple[PlannedChange, ...]:
    """Returns the changes; what is planned of them and due for nothing is unchanged."""
    due = {path for draft in drafts.by_target.values() for path in draft.due}
    reason = "everything that is made from it reflects it"
    return tuple(
        replace(one, disposition="unchanged", reason=reason)
        if one.disposition == "planned" and one.change.path not in due
        else one
        for one in planned
    )


def hold_back(drafts: Drafts, reasons: Mapping[str, str]) -> None:
    """Leaves out what is not to be made now, and what is made from that or together with it.

    Args:
        reasons: These targets, as text, and why.
    """
    planned = {draft.target: draft for draft in drafts.by_target.values() if draft.action != "skip"}
    held = {target: reasons[target.text] for target in planned if target.text in reasons}
    if not held:
        return
    # What is due because of a file of its own waits too: it would be made from the old version.
    known = None if drafts.catalog is None else Order(drafts.catalog, planned, drafts.keys)
    left = planned.keys() - held.keys()
    newly: Mapping[Target, str] = held
    while newly:
        mates = {mate: reason for one, reason in newly.items() for mate in _mates(drafts, one) & left}
        held |= mates
        left -= held.keys()
        above = {} if known is None else {one: held.keys() & known.before(one) for one in left}
        newly = {
            one: f"it waits for {min(found, key=attrgetter('sort_key')).text}"
            for one, found in above.items()
            if found
        }
        held |= newly
        left -= newly.keys()
    for target, reason in held.items():
        planned[target].action, planned[target].held, planned[target].reason = "skip", True, reason


def _mates(drafts: Drafts, target: Target) -> set[Target]:
    """Returns what one function makes together with the target."""
    asset = drafts.asset(target.asset)
    return set() if asset is None else {Target(key, target.partition) for key in asset.execution_set}


def order(drafts: Drafts) -> None:
    """Finds the targets that each has to wait for: those of the assets it depends on, however far up."""
    if drafts.catalog is None:
        return
    planned = [draft.target for draft in drafts.by_target.values() if draft.action != "skip"]
    known = Order(drafts.catalog, planned, drafts.keys)
    for draft in drafts.by_target.values():
        draft.after = known.before(draft.target)


def _batched(drafts: Drafts, which: Iterable[Draft]) -> tuple[PlannedTarget, ...]:
    ordered = sorted(which, key=lambda draft: draft.target.sort_key)
    items = (
        Item(d.target, d.action, d.after, drafts.asset(d.target.asset)) for d in ordered if d.action != "skip"
    )
    numbers = batch_numbers(items, drafts.options.batch_size, drafts.keys)
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
            after=tuple(sorted(draft.after, key=attrgetter("sort_key"))),
            above=tuple(sorted(draft.above, key=attrgetter("sort_key"))),
            settles=draft.settles,
            ready=draft.ready,
            unknown=draft.unknown,
            held=draft.held,
        )
        for draft in ordered
    )


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
