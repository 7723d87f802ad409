"""What is on disk in the place of what should be read."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Sequence

from raw_trigger.model.changes import ChangeSet, show
from raw_trigger.planning import Disk
from raw_trigger.repo import diff
from raw_trigger.repo.pointers import LFS_SIZE, LFS_VERSION, lfs_pointer
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.tracked import Out, Tracked

Feeds = Callable[[bytes], bool]
"""Whether anything is made from a path."""


def in_the_way(repo: Repository, tracked: Tracked, changes: ChangeSet, feeds: Feeds = lambda _: True) -> Disk:
    """The changed paths that Dagster would not read as desired, each with the reason.

    Args:
        feeds: Asked before large contents are read.
    """
    changed = {change.path: change for change in changes.changes}
    dirty: dict[bytes, str] = {}
    if not changed:
        return Disk()
    desired = changes.desired
    watched = tracked.watched(changes.base.oid, desired)
    name = {"index": "what is staged", "worktree": "what git knows"}.get(desired.kind, desired.name)
    if desired.kind != "worktree":
        raw = diff.to_worktree(repo, None if desired.kind == "index" else desired.oid, watched)
        edited = {change.path for change in (*tracked.anew().changes(raw)[0], *raw)}
        other = (path for path in changed if not edited.isdisjoint((path, tracked.out_of(path))))
        dirty |= dict.fromkeys(other, f"the file on disk is not {name}")
    for path, change in changed.items():
        if change.new is None and _is_file(repo, path):
            dirty[path] = f"it is deleted in {name}, but still on disk"
    hidden = diff.hidden(repo, watched)
    reason = "git is told not to look at it (assume-unchanged or sparse); on disk it is different"
    behind = changed if hidden else ()
    dirty |= {path: reason for path in behind if path in hidden or tracked.pointer_of(path) in hidden}
    unreadable = not_the_content(repo, tracked, changes, lambda path: path not in dirty and feeds(path))
    missing = {path: reason for path, reason in unreadable.missing.items() if path not in dirty}
    return Disk({**dirty, **unreadable.dirty}, missing)


def not_the_content(
    repo: Repository, tracked: Tracked, changes: ChangeSet, feeds: Feeds = lambda _: True
) -> Disk:
    """The changed paths at which something is on disk that is nobody's content: conflicts and pointers."""
    changed = {change.path: change.new for change in changes.changes if change.new is not None}
    if not changed:
        return Disk()
    unmerged = diff.unmerged(repo, tracked.watched(changes.base.oid, changes.desired))
    dirty, missing, wrong = {}, {}, _Wrong(repo)
    for path, entry in changed.items():
        out = tracked.out(path) if entry.content == "dvc" else None
        if path in unmerged or (out is not None and out.pointer in unmerged):
            dirty[path] = "its merge conflict is not resolved"
        elif out is None:
            if is_pointer_on_disk(repo, path):
                missing[path] = f"only its Git LFS pointer is here: {lfs_pull((path,))}"
        elif feeds(path):
            # A folder is recorded as a whole, and so it is here as a whole or not at all.
            reasons = wrong.of(out)
            if reasons[0] is not None:
                missing[path] = reasons[0]
            elif reasons[1] is not None:
                dirty[path] = reasons[1]
    return Disk(dirty, missing)


class _Wrong:
    """What is wrong with files and folders of DVC's, each looked at once."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo
        self._found: dict[tuple[bytes, str], tuple[str | None, str | None]] = {}

    def of(self, out: Out) -> tuple[str | None, str | None]:
        """Why its content is not here, and why what is here is more than that."""
        key = (out.dvc.path, out.dvc.identity)
        if key not in self._found:
            from raw_trigger.repo.dvc import missing_content, unknown_files

            missing = missing_content(self._repo, out.dvc)
            self._found[key] = missing, None if missing else unknown_files(self._repo, out.dvc)
        return self._found[key]


def is_pointer_on_disk(repo: Repository, path: bytes) -> bool:
    """Whether the pointer of Git LFS is on disk in the place of the content."""
    full = _full(repo, path)
    try:
        status = os.lstat(full)
        if not stat.S_ISREG(status.st_mode) or not len(LFS_VERSION) < status.st_size < LFS_SIZE:
            return False
        with open(full, "rb") as file:  # noqa: PTH123
            return lfs_pointer(file.read(LFS_SIZE)) is not None
    except OSError:
        return False


def lfs_pull(paths: Sequence[bytes]) -> str:
    """The command that fetches the content."""
    return f"git lfs pull --include={shlex.quote(','.join(show(path) for path in paths))}"


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
