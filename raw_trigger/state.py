"""The recorded tree: what the assets of an environment reflect, as a git tree behind one ref.

``refs/raw-trigger/<environment>`` points straight at a tree that holds the raw files, under
their full paths, as they were last materialized. Moving it is one compare-and-swap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raw_trigger.errors import RecordError
from raw_trigger.model.changes import Entry
from raw_trigger.repo.git import words
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.trees import TREE_MODE, rewrite

PREFIX = "refs/raw-trigger/"
_TRIES = 5


def read(repo: Repository, environment: str) -> str | None:
    """The id of the environment's recorded tree; None if nothing is recorded.

    Raises:
        RecordError: the ref is there but names no tree of this repository.
    """
    ref = PREFIX + environment
    out = repo.git.run("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=f"{ref}\n".encode())
    oid, _, kind = out.decode("utf-8", "replace").strip().partition(" ")
    if kind == "tree":
        return oid
    exists = repo.git.attempt("show-ref", "--verify", "--quiet", ref).returncode == 0
    loose = (repo.common_dir / ref).exists()
    if not exists and not loose:
        return None
    raise RecordError(
        f"{ref} does not name a tree of this repository",
        "delete it with "
        f"`git update-ref -d {ref}` and record anew with `raw-trigger adopt REV`, or run everything "
        "with `raw-trigger run --all`",
    )


def environments(repo: Repository) -> dict[str, str]:
    """Every recorded environment and its tree's id."""
    out = repo.git.run("for-each-ref", "--format=%(refname) %(objectname)", PREFIX).decode()
    pairs = (line.split(" ") for line in out.splitlines())
    return {ref.removeprefix(PREFIX): oid for ref, oid in pairs}


def raw_tree(repo: Repository, tree: str, roots: Sequence[str]) -> str:
    """A tree that holds nothing of ``tree`` but its raw roots, under their full paths."""
    out = repo.git.run("ls-tree", "-z", "--full-tree", tree, "--", *roots)
    edits: dict[bytes, Entry | None] = {}
    for record in out.split(b"\0")[:-1]:
        meta, path = record.split(b"\t", 1)
        mode, _, oid = meta.decode().split(" ")
        edits[path] = Entry(mode, oid)
    if any(root == "." for root in roots):
        return tree
    return rewrite(repo, repo.empty_tree, edits)


def write(repo: Repository, environment: str, new: str, old: str | None) -> bool:
    """Move the ref from ``old`` (None: it is not there yet) to ``new``; False if it stood elsewhere.

    Raises:
        RecordError: the ref cannot be written at all.
    """
    ref = PREFIX + environment
    done = repo.git.attempt("update-ref", "--no-deref", ref, new, old or "")
    if done.returncode == 0:
        return True
    if read(repo, environment) != old:
        return False
    raise RecordError(f"{ref} cannot be written: {words(done.stderr)}", "what ran is still pending")


def promote(repo: Repository, environment: str, entries: Mapping[bytes, Entry | None]) -> str:
    """Record that the assets reflect these entries (None: that the path is gone). Returns the new tree.

    Raises:
        RecordError: it cannot be written, or others moved it again and again.
    """
    for _ in range(_TRIES):
        old = read(repo, environment)
        new = rewrite(repo, old or repo.empty_tree, entries)
        if new == old or write(repo, environment, new, old):
            return new
    raise RecordError(
        f"{PREFIX}{environment} is being moved by others all the time", "run `raw-trigger run` again"
    )


__all__ = ["PREFIX", "TREE_MODE", "environments", "promote", "raw_tree", "read", "write"]
