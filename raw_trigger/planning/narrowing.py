"""Which part of the plan is wanted, and what there is to tell of the rest. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from raw_trigger.model.assets import Partitions
from raw_trigger.model.changes import Base
from raw_trigger.model.plan import NOT_ASKED, STILL_FAILS, PlannedChange, Target
from raw_trigger.planning.asked import fed_above, left_behind, none_due, unfed, unmet
from raw_trigger.planning.drafts import Drafts


def narrow(drafts: Drafts) -> None:
    """Notes which targets were asked for."""
    for draft in drafts.by_target.values():
        draft.asked = drafts.is_wanted(draft.target)


def leave_out(drafts: Drafts) -> None:
    """Leaves undone what was not asked for; it stays due."""
    for draft in drafts.by_target.values():
        if not draft.asked:
            draft.action, draft.settles = "skip", False
            draft.reason = NOT_ASKED


def narrow_by_failure(drafts: Drafts) -> None:
    """Keeps only what failed last time, or leaves it out, where it is due for the same contents again."""
    wanted, unwanted = drafts.options.narrowing.failed, drafts.options.narrowing.not_again
    before: dict[str, set[tuple[str, bytes, str | None]]] = {}
    for one in unwanted:
        before.setdefault(one[0], set()).add(one)
    by_themselves = [draft for draft in drafts.by_target.values() if not draft.joins]
    for draft in by_themselves:
        if draft.action == "skip" or (wanted is None and not unwanted):
            continue
        due = {(draft.target.text, path, drafts.oid(path)) for path in draft.due}
        if wanted is not None and not due & wanted:
            draft.action, draft.reason = "skip", "it did not fail last time"
        elif due and due == before.get(draft.target.text):
            draft.action = "skip"
            draft.reason = STILL_FAILS
            drafts.warnings.append(f"{draft.target.text}: {draft.reason}")
    made = {draft.target for draft in by_themselves if draft.action == "materialize"}
    for draft in drafts.by_target.values():
        asset = drafts.asset(draft.target.asset)
        mates = asset.execution_set if asset is not None and draft.joins else ()
        if draft.joins and made.isdisjoint(Target(key, draft.target.partition) for key in mates):
            draft.action, draft.reason = "skip", "it reflects everything, and its mates are left out"


def tell_of_rest(drafts: Drafts) -> None:
    """Warns about what is left undone, and about partitions that were asked for and are not due."""
    made = {path for draft in drafts.by_target.values() if draft.action != "skip" for path in draft.due}
    for target, text in drafts.said:
        draft = drafts.by_target.get(target)
        # Of what is downstream only where something above it is made.
        if draft is not None and draft.asked and (draft.origin == "raw" or not made.isdisjoint(draft.due)):
            drafts.warnings.append(text)
    drafts.warnings += unmet(drafts.options.narrowing.partitions, _partitions(drafts), drafts.keys)


def _partitions(drafts: Drafts) -> Iterable[tuple[Partitions | None, str | None]]:
    """The partitions of what is asked for by its key."""
    wanted = drafts.options.narrowing.assets
    for target in drafts.by_target:
        asset = drafts.asset(target.asset)
        if not wanted or target.asset in wanted:
            yield (None if asset is None else asset.partitions), target.partition


def tell_of_none(drafts: Drafts, base: Base, changes: Iterable[PlannedChange]) -> None:
    """Warns that nothing is due of what was asked for by name, and how it is made all the same."""
    wanted = drafts.options.narrowing
    behind = _left_behind(drafts)
    drafts.warnings += [left_behind(key, above) for key, above in sorted(behind.items())]
    is_record = base.kind == "recorded" or (base.kind == "revision" and bool(base.reason))
    if not is_record or wanted.partitions or not (wanted.assets or wanted.paths):
        return
    told = ("dirty", "missing-content", *(("unmapped", "ignored") if wanted.paths else ()))
    if any(change.disposition in told for change in changes):
        return
    if all(draft.reason == NOT_ASKED for draft in drafts.by_target.values()):
        never = _unfed(drafts, (key for key in wanted.assets if key not in behind))
        drafts.warnings += [unfed(key, above) for key, above in sorted(never.items())]
        rest = [key for key in wanted.assets if key not in behind and key not in never]
        if rest or not wanted.assets:
            drafts.warnings.append(none_due(rest, wanted.paths))


def _left_behind(drafts: Drafts) -> dict[str, list[str]]:
    """What was asked for and waits for what was not: each with what files feed of that."""
    found: dict[str, set[str]] = {}
    for draft in drafts.by_target.values() if drafts.options.narrowing.assets else ():
        if draft.asked or draft.settles or not drafts.is_wanted(draft.target):
            continue
        seen: set[Target] = set()
        frontier = set(draft.above)
        while frontier:
            seen |= frontier
            known = [drafts.by_target[target] for target in frontier if target in drafts.by_target]
            raw = {one.target.asset for one in known if one.due and one.origin == "raw"}
            if raw:
                found.setdefault(draft.target.asset, set()).update(raw)
            frontier = {above for one in known for above in one.above} - seen
    return {key: sorted(above) for key, above in found.items()}


def _unfed(drafts: Drafts, asked: Iterable[str]) -> dict[str, list[str]]:
    """What was asked for and no file feeds: each with the nearest above it that one feeds."""
    catalog, keys = drafts.catalog, list(asked)
    if catalog is None or not keys:
        return {}
    fed = frozenset(drafts.files.fed())
    made = fed | drafts.rules.below(fed)
    return {key: fed_above(key, catalog, fed) for key in keys if key not in made}
