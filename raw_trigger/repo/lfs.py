"""Finds the changed files for which git has a Git LFS pointer."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from raw_trigger.documents import read_bytes
from raw_trigger.model.changes import Change
from raw_trigger.repo.pointers import LFS_SIZE, lfs_pointer
from raw_trigger.repo.repository import Repository


def lfs_paths(repo: Repository, changes: Collection[Change]) -> set[bytes]:
    """Returns the paths at which a pointer is, or was before it was deleted.

    Nothing is read if no ``.gitattributes`` above a change mentions LFS.
    """
    if not _in_use(repo, {change.path.rpartition(b"/")[0] for change in changes}):
        return set()
    entries = {change.path: change.new or change.old for change in changes}
    blobs = {
        path: entry.oid for path, entry in entries.items() if entry is not None and entry.content == "blob"
    }
    if not blobs:
        return set()
    known = dict(zip(blobs, repo.objects.look(*blobs.values()), strict=True))
    small = [path for path, one in known.items() if one is not None and one.size <= LFS_SIZE]
    texts = repo.objects.contents([blobs[path] for path in small])
    found = {path for path, text in zip(small, texts, strict=True) if lfs_pointer(text) is not None}
    # The blob of a file that is only on disk cannot be read: git would have to store it first.
    unstored = [path for path, one in known.items() if one is None]
    if unstored:
        stdin = b"".join(path + b"\0" for path in unstored)
        done = repo.git.attempt("check-attr", "-z", "--stdin", "filter", stdin=stdin, index=True)
        fields = done.stdout.split(b"\0")
        found |= {path for path, value in zip(fields[::3], fields[2::3], strict=False) if value == b"lfs"}
    return found


def uses_lfs(repo: Repository) -> bool:
    """Says whether the repository's attributes mention LFS."""
    if _in_use(repo, [b""]):
        return True
    done = repo.git.attempt("ls-files", "-z", "--", ":(top,glob)**/.gitattributes", index=True, literal=False)
    return _in_use(repo, {path.rpartition(b"/")[0] for path in done.stdout.split(b"\0")})


def _in_use(repo: Repository, folders: Iterable[bytes]) -> bool:
    """Says whether attributes that apply to these folders mention LFS."""
    top = Path(repo.top)
    above: set[bytes] = set()
    for one in folders:
        folder = one
        while folder not in above:
            above.add(folder)
            folder = os.path.dirname(folder)  # noqa: PTH120
    files = [repo.common_dir / "info/attributes"]
    files += [top / os.fsdecode(folder) / ".gitattributes" for folder in above]
    return any(_speaks_of_lfs(file) for file in files)


def _speaks_of_lfs(file: Path) -> bool:
    try:
        return b"filter=lfs" in read_bytes(file)
    except (OSError, ValueError):
        return False
