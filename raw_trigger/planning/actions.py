"""What is done with each target: made, reported, deleted or skipped. Pure."""

from __future__ import annotations

from raw_trigger.mapping.partitions import target_problem
from raw_trigger.model.plan import Target
from raw_trigger.planning.deletions import Deletion, on_deletion, on_job_deletion, shown
from raw_trigger.planning.drafts import Draft, Drafts


def decide(drafts: Drafts) -> None:
    """Decides what is done with the targets that changed paths feed."""
    for draft in list(drafts.by_target.values()):
        _decide(drafts, draft)
        if draft.settles and draft.target in drafts.made:
            draft.action, draft.settles = "materialize", False


def _decide(drafts: Drafts, draft: Draft) -> None:
    if draft.target.job is not None:
        if not draft.living:
            gone = shown(draft.paths)
            _delete(drafts, draft, on_job_deletion(draft.on_delete, draft.target, gone))
        return
    asset = drafts.asset(draft.target.asset)
    if asset is None:
        return
    problem = target_problem(asset, draft.target.partition, drafts.keys, draft.dimensions)
    if problem is not None:
        draft.action, draft.reason, draft.ready = "skip", problem.message, problem.ready
        draft.unknown = problem.ready is None
        key, has = draft.target.partition, asset.partitions
        if has is not None and key is not None and not _is_there(drafts, draft):
            # What was never made leaves nothing behind; but a rule may be at fault.
            draft.settles = problem == drafts.keys.problem(has, key)
            draft.ready = None
        drafts.said.append((draft.target, f"{draft.target.text}: {problem.message}"))
        return
    if asset.kind != "materializable":
        draft.action = "report"
    if draft.living:
        return
    assert drafts.catalog is not None

    def feeds(target: Target) -> bool:
        # A file that waits may be one that is still on disk, where the asset has read it.
        return target in drafts.waiting or drafts.files.feeds(target)

    policy, gone = draft.on_delete, shown(draft.paths)
    what = on_deletion(policy, asset, draft.target, gone, feeds=feeds, catalog=drafts.catalog)
    _delete(drafts, draft, what)


def _delete(drafts: Drafts, draft: Draft, what: Deletion) -> None:
    draft.action, draft.reason, draft.settles = what.action, what.reason, what.stale
    if what.error is not None:
        drafts.errors.append(what.error)
    elif what.stale:
        drafts.said.append((draft.target, f"{draft.target.text}: {what.reason}"))


def _is_there(drafts: Drafts, draft: Draft) -> bool:
    """Whether a file that is there feeds it; where rows name what they feed, one of these."""
    there = [drafts.rows_of(path) for path in draft.via if drafts.changes[path].new is not None]
    return any(rows is None or draft.target in rows for rows in there)


def complete_sets(drafts: Drafts) -> None:
    """Adds the assets that one function makes together with a planned one."""
    for draft in list(drafts.by_target.values()):
        asset = drafts.asset(draft.target.asset)
        if asset is None or draft.action != "materialize":
            continue
        for key in asset.execution_set:
            mate = Target(key, draft.target.partition)
            together = drafts.by_target.get(mate)
            reason = f"made by one function with {asset.key}"
            if together is None:
                together = drafts.by_target[mate] = Draft(mate, draft.origin, reason=reason)
            for path, via in draft.via.items():
                drafts.feed(together, path, via)
            together.reads |= draft.reads
            due = draft.due or together.due & draft.via.keys()
            if together.action == "skip" and due:
                together.action, together.settles, together.reason = "materialize", False, reason
