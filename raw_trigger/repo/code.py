"""Tells whether the code of a project is another one in another commit."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence

from raw_trigger.model.changes import Entry, to_bytes
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository

_FOR_PEOPLE = (b".github", b"docs")


def code_of(repo: Repository, commit: str, folder: str, roots: Sequence[str]) -> str:
    """Returns a digest of what the project's folder has besides raw data and documentation.

    Args:
        folder: The project's folder relative to the repository's top; empty for the top.
        roots: The raw roots, relative to the top.

    Raises:
        GitError: git cannot read the commit.
    """
    digest = hashlib.sha256()
    raw = {to_bytes(root) for root in roots}
    for path, entry in _outside(repo, commit, to_bytes(folder), raw):
        name = path.rpartition(b"/")[2]
        if name not in _FOR_PEOPLE and not name.lower().endswith(b".md"):
            digest.update(path + f"\0{entry.mode} {entry.oid}\0".encode())
    return digest.hexdigest()


def _outside(
    repo: Repository, commit: str, folder: bytes, raw: Collection[bytes]
) -> Iterator[tuple[bytes, Entry]]:
    """Yields what is in a folder; of one that has raw data below it, what is in that one."""
    below = folder + b"/" if folder else b""
    listing = repo.git.run("ls-tree", "-z", "--full-tree", commit, *([below] if below else []))
    for path, entry in diff.listed(listing):
        if any(root.startswith(path + b"/") for root in raw):
            yield from _outside(repo, commit, path, raw)
        elif path not in raw:
            yield path, entry
