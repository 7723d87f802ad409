"""What is on disk in the place of what should be read."""

from __future__ import annotations

import os
import stat

from raw_trigger.model.changes import ChangeSet, show
from raw_trigger.planning import Disk
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository

_LFS = b"version https://git-lfs.github.com/spec/v1"
_LFS_SIZE = 1024
"""A pointer file is smaller than this, says the Git LFS specification."""


def in_the_way(repo: Repository, roots: tuple[str, ...], changes: ChangeSet) -> Disk:
    """The changed paths that Dagster would not read as desired, each with the reason."""
    changed = {change.path: change for change in changes.changes}
    dirty: dict[bytes, str] = {}
    if not changed:
        return Disk()
    desired = changes.desired
    if desired.kind != "worktree":
        name = "what is staged" if desired.kind == "index" else desired.name
        for edited in diff.to_worktree(repo, None if desired.kind == "index" else desired.oid, roots):
            if edited.path in changed:
                dirty[edited.path] = f"the file on disk is not {name}"
        for path, change in changed.items():
            if change.new is None and _is_file(_full(repo, path)):
                dirty[path] = f"it is deleted in {name}, but still on disk"
    for path in diff.unmerged(repo, roots) & changed.keys():
        dirty[path] = "its merge conflict is not resolved"
    present = (path for path, change in changed.items() if change.new is not None and path not in dirty)
    return Disk(dirty, {path: reason for path in present if (reason := _missing(repo, path))})


def _missing(repo: Repository, path: bytes) -> str | None:
    """Why the content is not there, though a file is."""
    full = _full(repo, path)
    try:
        status = os.lstat(full)
        if not stat.S_ISREG(status.st_mode) or not len(_LFS) < status.st_size < _LFS_SIZE:
            return None
        with open(full, "rb") as file:  # noqa: PTH123
            if file.read(len(_LFS)) != _LFS:
                return None
    except OSError:
        return None
    return f"only its Git LFS pointer is here: git lfs pull --include={show(path)!r}"


def _is_file(full: bytes) -> bool:
    return os.path.lexists(full) and not stat.S_ISDIR(os.lstat(full).st_mode)


def _full(repo: Repository, path: bytes) -> bytes:
    return os.fsencode(repo.top) + b"/" + path
