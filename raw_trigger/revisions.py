"""Reads the arguments of ``diff`` and ``run`` as `git diff` would."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from raw_trigger.errors import GitError, UsageError
from raw_trigger.model.changes import INDEX, WORKTREE, Base, Desired
from raw_trigger.record import tree as recorded_tree
from raw_trigger.repo.repository import Repository, Revision

if TYPE_CHECKING:
    from raw_trigger.repo.fetching import Origin

EMPTY = Base("empty", "nothing", None, "every file, whatever is recorded")


def from_arguments(
    repo: Repository,
    environment: str,
    revisions: Sequence[str],
    *,
    staged: bool = False,
    everything: bool = False,
) -> tuple[Base, Desired]:
    """Returns the two sides of nothing, ``REV``, ``A B``, ``A..B`` or ``A...B``.

    Args:
        staged: Whether to compare with the index.
        everything: Whether to compare with nothing.

    Raises:
        UsageError: a revision is unknown, or the arguments contradict each other.
    """
    base_name, desired_name = _sides(revisions)
    resolved = _Resolved(repo)
    if staged and desired_name is not None:
        raise UsageError("--staged compares with the index: give one revision at most")
    if everything and desired_name is not None:
        raise UsageError("--all compares with nothing: give one revision at most")
    if everything:
        base, desired_name = EMPTY, base_name
    elif base_name is None:
        base = recorded(repo, environment) or head_base(repo)
    elif desired_name is not None and "..." in revisions[0]:
        base = _merge_base(resolved, base_name, desired_name)
        base = replace(base, name=f"the merge base of {revisions[0].replace('...', ' and ')}")
    else:
        base = revision_base(resolved(base_name), "")
    if staged:
        return base, Desired("index", INDEX)
    if desired_name is not None:
        return base, revision_desired(resolved(desired_name))
    return base, Desired("worktree", WORKTREE)


def is_revision(repo: Repository, word: str) -> bool:
    """Says whether the word is a revision or a range of two."""
    if word == "..":  # the folder above, for git too
        return False
    ends = re.split(r"\.\.\.?", word, maxsplit=1)
    try:
        repo.resolve(*(end or "HEAD" for end in ends) if len(ends) > 1 else ends)
    except UsageError:
        return False
    return True


def recorded(repo: Repository, environment: str) -> Base | None:
    """Returns the recorded tree as a base; None if nothing is recorded."""
    record = recorded_tree.read(repo, environment)
    if record is None:
        return None
    return Base("recorded", recorded_tree.PREFIX + environment, record.tree, "")


def revision_base(revision: Revision, reason: str) -> Base:
    """Returns a revision as a base."""
    return Base("revision", revision.name, revision.commit or revision.tree, reason)


def revision_desired(revision: Revision) -> Desired:
    """Returns a revision as the desired side."""
    return Desired("revision", revision.name, revision.commit or revision.tree)


def head_base(repo: Repository) -> Base:
    """Returns HEAD as a base; the empty one before the first commit."""
    head = repo.head()
    if head is None:
        return Base(
            "empty", "nothing", None, "nothing is recorded and there is no commit yet: every file is new"
        )
    return revision_base(head, "nothing is recorded yet, so HEAD is taken as what is materialized")


class _Resolved:
    """Resolves revisions, and fetches what a shallow clone lacks of them."""

    def __init__(self, repo: Repository) -> None:
        self.repo = repo

    def __call__(self, name: str) -> Revision:
        try:
            return self.repo.resolve(name)[0]
        except UsageError:
            if self.origin is None:
                raise
        return replace(self.repo.resolve(self.origin.revision(name))[0], name=name)

    @cached_property
    def origin(self) -> Origin | None:
        """Returns origin if the clone's history is cut off; else None."""
        if not (self.repo.common_dir / "shallow").exists():
            return None
        from raw_trigger.repo.fetching import Origin

        return Origin(self.repo)


def _merge_base(resolved: _Resolved, left: str, right: str) -> Base:
    one, other = resolved(left), resolved(right)
    if one.commit is None or other.commit is None:
        raise UsageError(f"{left}...{right} needs two commits")
    origin = resolved.origin
    if origin is None:
        found = resolved.repo.merge_base(one.commit, other.commit)
    else:
        found = origin.merge_base(one.commit, other.commit)
        if found is not None and not origin.obtain(found):
            raise GitError(f"origin does not give {found}, the merge base of {left} and {right}")
    if found is None:
        raise UsageError(f"{left} and {right} have no common ancestor", f"compare them with {left}..{right}")
    return revision_base(resolved(found), "")


def _sides(revisions: Sequence[str]) -> tuple[str | None, str | None]:
    if not revisions:
        return None, None
    if len(revisions) == 1:
        one = revisions[0]
        if "..." in one:
            left, _, right = one.partition("...")
            return left or "HEAD", right or "HEAD"
        if ".." in one:
            left, _, right = one.partition("..")
            return left or "HEAD", right or "HEAD"
        return one, None
    if len(revisions) > 2:  # noqa: PLR2004
        raise UsageError("two revisions at most: raw-trigger diff A B")
    if any(".." in revision for revision in revisions):
        raise UsageError("give either A..B or A B")
    return revisions[0], revisions[1]
