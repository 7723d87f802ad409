"""What becomes of each changed path, and which targets it feeds. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from raw_trigger.mapping.rules import Match, unknown_asset
from raw_trigger.model.changes import Change, show
from raw_trigger.model.plan import NO_CATALOG, UNLISTED, UNREAD, PlannedChange, Target
from raw_trigger.model.record import EVERY, UNKNOWN, Reflected
from raw_trigger.planning.drafts import Draft, Drafts


def planned_paths(drafts: Drafts) -> tuple[PlannedChange, ...]:
    """Returns what becomes of the changed paths, and drafts the targets that they feed."""
    every = [_change(drafts, change) for change in drafts.changes.values()]
    return tuple(one for one in every if not _is_beside(drafts, one))


def _change(drafts: Drafts, change: Change) -> PlannedChange:
    match = drafts.rules.match(change.path)
    if match is None and change.new is not None and change.new.is_folder:
        # A rule for one of its files may well know it.
        return PlannedChange(change, "missing-content", None, UNLISTED)
    if match is None:
        return _unmapped(drafts, change)
    if match.ignore:
        return PlannedChange(change, "ignored", match.rule)
    unknown = _unknown(drafts, match)
    if unknown is not None:
        drafts.errors.append(f"{show(change.path)}: {match.rule}: {unknown}")
        return PlannedChange(change, "unmapped", match.rule, unknown)
    obstacle = drafts.disk.obstacle(change.path)
    if obstacle is not None:
        lacks = drafts.disk.lacks.get(change.path, ())
        drafts.waiting.update(match.targets)
        return PlannedChange(change, obstacle[0], match.rule, obstacle[1], match.targets, lacks=lacks)
    planned = PlannedChange(change, "planned", match.rule, None, match.targets)
    if match.clause is not None:
        planned = _by_content(drafts, change, match)
        if planned.disposition in ("missing-content", "unmapped"):
            drafts.waiting.update(match.targets)
    for target in planned.targets if planned.disposition == "planned" else ():
        draft = drafts.by_target.get(target)
        if draft is None:
            draft = drafts.by_target[target] = Draft(target, "raw")
        drafts.feed(draft, change.path, frozenset((target,)))
        draft.reads.add(change.path)
        draft.living = draft.living or change.new is not None
        draft.dimensions = match.dimensions
        if change.new is None:
            draft.on_delete = match.on_delete or drafts.options.on_delete
    return planned


def _by_content(drafts: Drafts, change: Change, match: Match) -> PlannedChange:
    """A change of which the content says what it is about."""
    drafts.clauses[change.path] = match
    affected = drafts.files.compare(change.path, match, change.old, change.new)
    if affected.problem is not None:
        drafts.errors.append(f"{affected.place}: {affected.problem} ({match.rule})")
        line = affected.place.removeprefix(f"{show(change.path)}:")
        reason = f"line {line}: {affected.problem}" if line != affected.place else affected.problem
        return PlannedChange(change, "unmapped", match.rule, reason, match.targets)
    if affected.missing is not None:
        return PlannedChange(change, "missing-content", match.rule, affected.missing, match.targets)
    if change.old == change.new and _unread(drafts, change, match):
        return PlannedChange(change, "missing-content", match.rule, UNREAD, match.targets)
    if affected.note is not None:
        drafts.warnings.append(f"{show(change.path)}: {affected.note}")
    # What reflects another content than the rest may be due though nothing differs from the record.
    others = {*affected.targets, *_apart(drafts, change, match), *_between(drafts, change, match)}
    if not others:
        return PlannedChange(change, "unchanged", match.rule, affected.nothing, rows=affected.counts)
    targets = tuple(sorted(others, key=attrgetter("sort_key")))
    return PlannedChange(change, "planned", match.rule, None, targets, affected.counts)


def _unread(drafts: Drafts, change: Change, match: Match) -> bool:
    """Whether nobody knows yet which partitions a rule newly feeds from it."""
    apart = () if drafts.record is None else drafts.record.exceptions_of(change.path)
    if not match.by_row or all(target.text not in apart for target in match.targets):
        return False
    # Without the catalog the record was not asked.
    whole = drafts.files.compare(change.path, match, None, change.new)
    return whole.missing is not None or any(target.text not in apart for target in whole.targets)


def _apart(drafts: Drafts, change: Change, match: Match) -> Iterable[Target]:
    """The path's targets whose content the record has other than that of the path."""
    names = {} if drafts.record is None else drafts.record.exceptions_of(change.path)
    if _is_open(drafts, change, match, names):
        for old, new in ((None, change.new), (change.old, None)) if match.by_row else ():
            yield from drafts.files.compare(change.path, match, old, new).targets
        yield from () if match.by_row else match.targets
    for name in names:
        for target in match.targets:
            if name == target.text:
                if not match.by_row:
                    yield target
            elif match.by_row and name.startswith(f"{target.asset}|"):
                yield Target(target.asset, name[len(target.asset) + 1 :])


def _is_open(drafts: Drafts, change: Change, match: Match, names: Reflected) -> bool:
    """Whether everything that is made from the path has to be looked at, though the path may not differ."""
    if EVERY in names or (drafts.made and change.old == change.new):
        return True
    own = {target.asset for target in match.targets}
    # Of something downstream nobody knows what it reflects.
    return any(told == UNKNOWN and name.partition("|")[0] not in own for name, told in names.items())


def _between(drafts: Drafts, change: Change, match: Match) -> Iterable[Target]:
    """What differs from other contents that something downstream may reflect, made by itself.

    Where everything is made that is there, this is also what was there when it was recorded.
    """
    if drafts.before is not None and change.path in drafts.before:
        yield from drafts.files.compare(change.path, match, drafts.before[change.path], change.new).targets
    seen = () if drafts.record is None else drafts.record.exceptions_of(change.path).values()
    contents = {told.oid: told for told in seen if told is not None and told != UNKNOWN}
    for _, reflected in sorted(contents.items()):
        yield from drafts.files.compare(change.path, match, reflected, change.new).targets


def _unmapped(drafts: Drafts, change: Change) -> PlannedChange:
    if drafts.catalog is None:
        return PlannedChange(change, "unmapped", None, NO_CATALOG)
    reason = "no rule, metadata or convention maps it to an asset"
    if drafts.options.unmapped == "fail":
        drafts.errors.append(f"{show(change.path)}: {reason}, and unmapped is fail")
    return PlannedChange(change, "unmapped", None, reason)


def _unknown(drafts: Drafts, match: Match) -> str | None:
    if drafts.catalog is None:
        return None
    for target in match.targets:
        if not drafts.catalog.has(target.asset):
            return unknown_asset(target.asset, drafts.catalog)
    return None


def _is_beside(drafts: Drafts, planned: PlannedChange) -> bool:
    """Whether it has to wait, and only what was not asked for has to wait for it."""
    wanted = drafts.options.narrowing.assets
    if not wanted or not planned.targets or planned.disposition not in ("dirty", "missing-content"):
        return False
    made = map(drafts.lineage.made_from, planned.targets)
    return all(one.asset not in wanted for each in made for one in each)
