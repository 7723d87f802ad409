"""The ids that git would give to files on disk which its index does not have; large ones are hashed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from raw_trigger.errors import GitError
from raw_trigger.repo.git import quoted
from raw_trigger.repo.repository import Repository

LARGE = 1 << 20
"""Bytes from which a file is worth an entry: smaller ones are read while git starts."""
_MOST = 10_000
"""Entries that are kept before all of them are forgotten: most are of files that are gone."""
_WHOLE = ("-c", "core.bigFileThreshold=1024g")
"""Beyond 512 MB git would deflate what it only has to hash: fifteen times as slow (2.39)."""
_PLAIN = ("-c", "core.splitIndex=false", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false")
"""An index of our own, and nothing beside it."""


def hashed(repo: Repository, sizes: Mapping[bytes, int]) -> dict[bytes, str]:
    """Returns the ids of regular files, with the filters that git would apply.

    Git's own index remembers what it has hashed by the file's stat data. So does one of ours for large files
    that git does not know.

    Args:
        sizes: The files, each with its bytes.

    Raises:
        GitError: one of them cannot be read.
    """
    large = [] if repo.reads_all else [path for path, size in sizes.items() if size >= LARGE]
    known = _remembered(repo, large)
    rest = [path for path in sizes if path not in known]
    if rest:
        out = repo.git.run(*_WHOLE, "hash-object", "--stdin-paths", stdin=quoted(rest), index=True)
        known |= dict(zip(rest, out.decode().split(), strict=True))
    return known


def _remembered(repo: Repository, paths: Sequence[bytes]) -> dict[bytes, str]:
    """The ids of those files that our index can take; it hashes what has changed since it was asked last."""
    if not paths:
        return {}
    tree = "" if repo.worktree_name is None else f"-{repo.worktree_name}"
    index = repo.state_dir / "cache" / f"large{tree}.index"
    names = b"".join(path + b"\0" for path in paths)
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        # Another process may have it open: then the files are hashed as if there were none.
        repo.git.run(
            *_WHOLE,
            *_PLAIN,
            "update-index",
            "--add",
            "--replace",
            "--info-only",
            "-z",
            "--stdin",
            stdin=names,
            index=index,
        )
        out = repo.git.run(*_PLAIN, "ls-files", "-s", "-z", index=index)
    except (GitError, OSError):
        return {}
    records = out.split(b"\0")[:-1]
    if len(records) > _MOST + len(paths):
        with suppress(OSError):
            index.unlink()
    wanted = frozenset(paths)
    found = (record.split(b"\t", 1) for record in records)
    return {path: meta.split(b" ")[1].decode() for meta, path in found if path in wanted}
