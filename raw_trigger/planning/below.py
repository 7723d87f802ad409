"""What is made downstream of the targets that changed paths feed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from raw_trigger.mapping.partitions import KeyProblem
from raw_trigger.model.plan import Target
from raw_trigger.planning.downstream import partitions_below
from raw_trigger.planning.drafts import Draft, Drafts


def add_downstream(drafts: Drafts) -> None:
    """Adds what is made from the drafted targets, as far down as was asked for."""
    catalog, wanted = drafts.catalog, drafts.options.downstream
    if catalog is None or wanted == "none":
        return
    depth = {"auto": 1, "all": len(catalog.assets)}.get(str(wanted), wanted)
    # What is made only later takes along what is made from it.
    frontier = [d for d in drafts.by_target.values() if d.action != "skip" or d.ready is not None]
    frontier = [d for d in frontier if d.target.job is None]
    if wanted == "auto":
        frontier = [d for d in frontier if catalog.assets[d.target.asset].kind != "materializable"]
    for _ in range(int(depth)):
        frontier = [new for draft in frontier for new in _children(drafts, draft)]
        if not frontier:
            break


def _children(drafts: Drafts, draft: Draft) -> Iterable[Draft]:
    """The drafts of what is directly made from one, as far as they are new or have learnt of more."""
    assert drafts.catalog is not None
    parent = drafts.catalog.assets[draft.target.asset]
    for key in drafts.catalog.children.get(draft.target.asset, ()):
        asset = drafts.catalog.assets[key]
        if asset.kind != "materializable":
            continue
        if draft.action == "delete-partition" and asset.partitions == parent.partitions:
            # It loses the partition too, and what is made from all of its partitions is made without.
            lost = Target(key, draft.target.partition)
            if lost not in drafts.lost:
                drafts.lost.add(lost)
                gone = Draft(lost, "downstream", via=dict(draft.via), action="delete-partition")
                yield replace(gone, asked=draft.asked)
            continue
        below = partitions_below(parent, asset, draft.target.partition, drafts.keys)
        if below.unknown is not None:
            _left(drafts, Target(key), draft, below.unknown)
        for partition in below.partitions:
            has = asset.partitions
            problem = None if has is None or partition is None else drafts.keys.problem(has, partition)
            if problem is None or problem.ready is not None:
                yield from _child(drafts, Target(key, partition), draft, problem)


def _child(drafts: Drafts, target: Target, draft: Draft, problem: KeyProblem | None) -> Iterable[Draft]:
    """Add what is made from a draft. It waits with it, and while its own time window is open."""
    assert drafts.catalog is not None
    # By itself it can be made where what it is made from is up to date; or has no code, where nobody asks
    # what is up to date, as with --all.
    codeless = drafts.catalog.assets[draft.target.asset].kind != "materializable"
    late = bool(draft.due) and not (codeless and (drafts.record is None or drafts.before is not None))
    known = drafts.by_target.get(target)
    if known is None:
        yield from _new_child(drafts, target, draft, problem, late=late)
    elif _learns(drafts, known, draft, problem, late=late):
        yield known


def _learns(drafts: Drafts, known: Draft, above: Draft, problem: KeyProblem | None, *, late: bool) -> bool:
    """Whether a draft learns anything new from one that it is made from too."""
    known.above.add(above.target)
    further = {p: via for p, via in above.via.items() if not via <= known.via.get(p, frozenset())}
    freed = known.waits and problem is None and above.ready is None
    asked = above.asked and not known.asked
    if known.alone and late and not above.asked:
        known.asked = known.alone = False
    if not (further or freed or asked):
        return False
    known.asked = known.asked or asked
    for path, via in further.items():
        drafts.feed(known, path, via)
    if known.settles and known.origin == "raw" and problem is None and above.action == "materialize":
        # Its own files are gone, but what it is made from besides them is another one now.
        known.action, known.settles = "materialize", False
        known.reason = f"downstream of {above.target.asset}"
        drafts.said = [one for one in drafts.said if one[0] != known.target]
    if freed:
        known.action, known.ready, known.waits = "materialize", None, False
        known.reason = f"downstream of {above.target.asset}"
    return True


def _new_child(
    drafts: Drafts, target: Target, above: Draft, problem: KeyProblem | None, *, late: bool
) -> Iterable[Draft]:
    """Draft a target, and its mates of one function."""
    assert drafts.catalog is not None
    new = drafts.fed_below(target, above.via, f"downstream of {above.target.asset}")
    new.above.add(above.target)
    new.alone = not above.asked and not late and drafts.is_wanted(target)
    new.asked = above.asked or new.alone
    if problem is not None:
        new.action, new.ready, new.reason = "skip", problem.ready, problem.message
    elif above.ready is not None:
        new.action, new.ready, new.waits = "skip", above.ready, True
        new.reason = f"it waits for {above.target.text}"
    drafts.by_target[target] = new
    for key in drafts.catalog.assets[target.asset].execution_set:
        mate = Target(key, target.partition)
        if mate not in drafts.by_target:
            together = drafts.fed_below(mate, above.via, f"made by one function with {target.asset}")
            drafts.by_target[mate] = replace(
                together,
                action=new.action,
                ready=new.ready,
                waits=new.waits,
                asked=new.asked,
                above=new.above,
            )
            yield drafts.by_target[mate]
    yield new


def _left(drafts: Drafts, target: Target, draft: Draft, why: str) -> None:
    """Say once of an asset that it is not made again though something above it is."""
    known = drafts.by_target.get(target)
    if known is None:
        reason = f"downstream of {draft.target.asset}, but {why}: materialize it by hand"
        known = drafts.by_target[target] = Draft(target, "downstream", reason=reason)
        known.action, known.settles, known.asked = "skip", True, draft.asked
        drafts.said.append((target, f"{target.text}: {reason}"))
    known.asked = known.asked or draft.asked
    for path, via in draft.via.items():
        drafts.feed(known, path, via)
