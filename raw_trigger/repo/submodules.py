"""Looks at submodules on disk: which commit is checked out, and whether it was edited since."""

from __future__ import annotations

import os
from pathlib import Path

from raw_trigger.errors import GitError
from raw_trigger.repo.environment import scrubbed
from raw_trigger.repo.git import Git
from raw_trigger.repo.repository import Repository


def git_in(repo: Repository, path: bytes) -> Git:
    """Returns the git of the submodule at a path."""
    return Git(Path(os.fsdecode(_full(repo, path))), scrubbed(repo.git.environ))


def checked_out(repo: Repository, path: bytes) -> str | None:
    """Returns the commit that is checked out in the submodule at a path; None if none is."""
    # In an empty folder git would answer for the repository around it.
    if not os.path.lexists(_full(repo, path) + b"/.git"):
        return None
    return git_in(repo, path).line("rev-parse", "--verify", "HEAD")


def edited(repo: Repository, path: bytes) -> bytes | None:
    """Returns a path in the submodule that is edited or untracked; None if all is clean.

    Raises:
        GitError: git cannot tell.
    """
    flags = ("--porcelain", "-z", "--untracked-files=normal", "--ignore-submodules=none")
    done = git_in(repo, path).attempt("status", *flags, index=True)
    if done.returncode != 0:
        raise GitError(f"git cannot tell what was edited in the submodule {os.fsdecode(path)}")
    first = done.stdout.split(b"\0", 1)[0]
    return first[3:] or None


def _full(repo: Repository, path: bytes) -> bytes:
    return os.fsencode(repo.top) + b"/" + path
