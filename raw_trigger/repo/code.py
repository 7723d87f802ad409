"""Tells whether the code of a project is another one in another commit."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence

from raw_trigger.model.changes import Entry, to_bytes
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.trees import TREE_MODE

_NO_CODE = b".github"


def code_of(repo: Repository, commit: str, folder: str, roots: Sequence[str]) -> str:
    """Returns a digest of what the project's folder has besides raw data, Markdown and workflows.

    Args:
        folder: The project's folder relative to the repository's top; empty for the top.
        roots: The raw roots, relative to the top.

    Raises:
        GitError: git cannot read the commit.
    """
    digest = hashlib.sha256()
    raw = {to_bytes(root) for root in roots}
    at = to_bytes(folder) + b"/" if folder else b""
    for path, entry in _outside(repo, commit, b"", at, raw):
        name = path.rpartition(b"/")[2]
        if path != _NO_CODE and not name.lower().endswith(b".md"):
            digest.update(path + f"\0{entry.mode} {entry.oid}\0".encode())
    return digest.hexdigest()


def _outside(
    repo: Repository, tree: str, prefix: bytes, folder: bytes, raw: Collection[bytes]
) -> Iterator[tuple[bytes, Entry]]:
    """Yields what is in a folder; of one that has raw data below it, what is in that one."""
    for name, entry in repo.objects.tree(tree).items():
        path = prefix + name
        below = path + b"/"
        if folder.startswith(below) or any(root.startswith(below) for root in raw):
            if entry.mode == TREE_MODE:
                yield from _outside(repo, entry.oid, below, folder, raw)
        elif path.startswith(folder) and path not in raw:
            yield path, entry
