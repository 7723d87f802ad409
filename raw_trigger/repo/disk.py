"""What is on disk in the place of what should be read."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable

from raw_trigger.model.changes import ChangeSet, show
from raw_trigger.planning import Disk
from raw_trigger.repo import diff
from raw_trigger.repo.pointers import DVC_SUFFIX, LFS_SIZE, LFS_VERSION, lfs_pointer
from raw_trigger.repo.repository import Repository

Feeds = Callable[[bytes], bool]
"""Whether anything is made from a path."""


def in_the_way(
    repo: Repository, roots: tuple[str, ...], changes: ChangeSet, feeds: Feeds = lambda _: True
) -> Disk:
    """The changed paths that Dagster would not read as desired, each with the reason.

    Args:
        feeds: Asked before large contents are read.
    """
    changed = {change.path: change for change in changes.changes}
    dirty: dict[bytes, str] = {}
    if not changed:
        return Disk()
    desired = changes.desired
    name = {"index": "what is staged", "worktree": "what git knows"}.get(desired.kind, desired.name)
    if desired.kind != "worktree":
        for edited in diff.to_worktree(repo, None if desired.kind == "index" else desired.oid, roots):
            if edited.path in changed:
                dirty[edited.path] = f"the file on disk is not {name}"
    for path, change in changed.items():
        if change.new is None and _is_file(repo, path):
            dirty[path] = f"it is deleted in {name}, but still on disk"
    for path in diff.hidden(repo, roots).keys() & changed.keys():
        dirty[path] = "git is told not to look at it (assume-unchanged or sparse); on disk it is different"
    unreadable = not_the_content(repo, roots, changes, lambda path: path not in dirty and feeds(path))
    missing = {path: reason for path, reason in unreadable.missing.items() if path not in dirty}
    return Disk({**dirty, **unreadable.dirty}, missing)


def not_the_content(
    repo: Repository, roots: tuple[str, ...], changes: ChangeSet, feeds: Feeds = lambda _: True
) -> Disk:
    """The changed paths at which something is on disk that is nobody's content: conflicts and pointers."""
    changed = {change.path for change in changes.changes if change.new is not None}
    if not changed:
        return Disk()
    conflicts = dict.fromkeys(diff.unmerged(repo, roots) & changed, "its merge conflict is not resolved")
    rest = (path for path in changed if path not in conflicts)
    return Disk(conflicts, {path: reason for path in rest if (reason := _missing(repo, path, feeds))})


def _missing(repo: Repository, path: bytes, feeds: Feeds) -> str | None:
    """Why the content is not there, though a file is."""
    if path.endswith(DVC_SUFFIX) and feeds(path):
        from raw_trigger.repo.dvc import missing_content

        return missing_content(repo, path)
    full = _full(repo, path)
    try:
        status = os.lstat(full)
        if not stat.S_ISREG(status.st_mode) or not len(LFS_VERSION) < status.st_size < LFS_SIZE:
            return None
        with open(full, "rb") as file:  # noqa: PTH123
            if lfs_pointer(file.read(LFS_SIZE)) is None:
                return None
    except OSError:
        return None
    return f"only its Git LFS pointer is here: git lfs pull --include={shlex.quote(show(path))}"


def _is_file(repo: Repository, path: bytes) -> bool:
    """Whether a file is at the very path; one behind a linked folder is another file."""
    full = _full(repo, path)
    if not os.path.lexists(full) or stat.S_ISDIR(os.lstat(full).st_mode):
        return False
    folder = os.path.dirname(full)  # noqa: PTH120
    inside = os.path.realpath(os.fsencode(repo.top))
    return os.path.realpath(folder) == os.path.join(inside, os.path.dirname(path)).rstrip(b"/")  # noqa: PTH118, PTH120


def _full(repo: Repository, path: bytes) -> bytes:
    return os.fsencode(repo.top) + b"/" + path
