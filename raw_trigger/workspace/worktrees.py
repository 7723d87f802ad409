"""Keeps track of the linked worktrees that have records of their own, and deletes these with the worktree.

A record's name contains the name of its worktree, and git gives that name to the next worktree that wants it.
Our folder in a worktree's git directory is deleted with the worktree. So a name that is noted in the shared
folder without such a folder means that the record was another worktree's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from raw_trigger.model.settings import is_of_worktree
from raw_trigger.record import tree as recorded_tree
from raw_trigger.repo.repository import Repository


def tidy(repo: Repository) -> None:
    """Deletes the records of worktrees that are gone, and notes this one."""
    for note in _notes(repo):
        if not (_git_dir(repo, note.name) / repo.private_dir.name).is_dir():
            for environment in recorded_tree.environments(repo):
                if is_of_worktree(environment, note.name):
                    repo.git.attempt("update-ref", "-d", f"{recorded_tree.PREFIX}{environment}")
            note.unlink(missing_ok=True)
    name = repo.worktree_name
    # An error is ignored: if nothing can be written, nothing can be recorded either.
    with suppress(OSError):
        if name is not None:
            repo.private_dir.mkdir(exist_ok=True)
            _folder(repo).mkdir(parents=True, exist_ok=True)
            (_folder(repo) / name).touch()


def of_missing_worktrees(repo: Repository) -> Callable[[str], bool]:
    """Returns a function that says whether an environment is that of a worktree deleted without git."""
    gone = [note.name for note in _notes(repo) if not _is_there(_git_dir(repo, note.name))]
    return lambda environment: any(is_of_worktree(environment, name) for name in gone)


def _is_there(git_dir: Path) -> bool:
    try:
        # The file contains the path of the file `.git` in the working tree (gitrepository-layout(5)).
        named = (git_dir / "gitdir").read_text("utf-8", "surrogateescape").rstrip("\n")
    except OSError:
        return False
    return (git_dir / named).exists()


def _folder(repo: Repository) -> Path:
    return repo.shared_dir / "worktrees"


def _notes(repo: Repository) -> list[Path]:
    try:
        return sorted(_folder(repo).iterdir())
    except OSError:
        return []


def _git_dir(repo: Repository, name: str) -> Path:
    return repo.common_dir / "worktrees" / name
