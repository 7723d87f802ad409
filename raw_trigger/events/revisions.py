"""What the arguments of ``diff`` and ``run`` compare, as `git diff` would read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from raw_trigger import state
from raw_trigger.errors import UsageError
from raw_trigger.model.changes import INDEX, WORKTREE, Base, Desired
from raw_trigger.repo.repository import Repository, Revision

EMPTY = Base("empty", "nothing", None, "every file, whatever is recorded")


def from_arguments(
    repo: Repository,
    environment: str,
    revisions: Sequence[str],
    *,
    staged: bool = False,
    everything: bool = False,
) -> tuple[Base, Desired]:
    """The two sides: nothing, ``REV``, ``A B``, ``A..B`` or ``A...B``; ``staged`` asks for the index.

    Raises:
        UsageError: a revision is unknown, or the arguments make no sense together.
    """
    base_name, desired_name = _sides(repo, revisions)
    if staged and desired_name is not None:
        raise UsageError("--staged compares with the index: give one revision at most")
    if everything and desired_name is not None:
        raise UsageError("--all compares with nothing: give one revision at most")
    if everything:
        base, desired_name = EMPTY, base_name
    elif base_name is None:
        base = recorded(repo, environment) or head_base(repo)
    else:
        base = revision_base(repo.resolve(base_name)[0], "")
        if "..." in revisions[0]:
            base = replace(base, name=f"the merge base of {revisions[0].replace('...', ' and ')}")
    if staged:
        return base, Desired("index", INDEX)
    if desired_name is not None:
        return base, revision_desired(repo.resolve(desired_name)[0])
    return base, Desired("worktree", WORKTREE)


def is_revision(repo: Repository, word: str) -> bool:
    """Says whether it is a revision or a range of two."""
    if word == "..":  # the folder above, for git too
        return False
    ends = re.split(r"\.\.\.?", word, maxsplit=1)
    try:
        repo.resolve(*(end or "HEAD" for end in ends) if len(ends) > 1 else ends)
    except UsageError:
        return False
    return True


def recorded(repo: Repository, environment: str) -> Base | None:
    """The recorded tree as a base; None if nothing is recorded."""
    record = state.read(repo, environment)
    if record is None:
        return None
    return Base("recorded", state.PREFIX + environment, record.tree, "")


def revision_base(revision: Revision, reason: str) -> Base:
    """A revision as a base."""
    return Base("revision", revision.name, revision.commit or revision.tree, reason)


def revision_desired(revision: Revision) -> Desired:
    """A revision as what should be reflected."""
    return Desired("revision", revision.name, revision.commit or revision.tree)


def head_base(repo: Repository) -> Base:
    """HEAD as a base; nothing where there is no commit yet."""
    head = repo.head()
    if head is None:
        return Base(
            "empty", "nothing", None, "nothing is recorded and there is no commit yet: every file is new"
        )
    return revision_base(head, "nothing is recorded yet, so HEAD is taken as what is materialized")


def _sides(repo: Repository, revisions: Sequence[str]) -> tuple[str | None, str | None]:
    if not revisions:
        return None, None
    if len(revisions) == 1:
        one = revisions[0]
        if "..." in one:
            left, _, right = one.partition("...")
            return repo.merge_base(left or "HEAD", right or "HEAD"), right or "HEAD"
        if ".." in one:
            left, _, right = one.partition("..")
            return left or "HEAD", right or "HEAD"
        return one, None
    if len(revisions) > 2:  # noqa: PLR2004
        raise UsageError("two revisions at most: raw-trigger diff A B")
    if any(".." in revision for revision in revisions):
        raise UsageError("give either A..B or A B")
    return revisions[0], revisions[1]
