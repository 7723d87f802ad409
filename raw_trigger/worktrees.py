"""The linked worktrees that may have records of their own, and what becomes of these when a worktree is gone.

A record's name has that of its worktree in it, and git gives the name to the next one that wants it. The
folder of ours in a worktree's git directory goes with it: where a name is noted in the shared folder and that
folder is not there, the record was another worktree's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from raw_trigger import state
from raw_trigger.model.settings import is_of_worktree
from raw_trigger.repo.repository import Repository


def tidy(repo: Repository) -> None:
    """Drop the records of worktrees that are gone, and note this one."""
    for note in _notes(repo):
        if not (_git_dir(repo, note.name) / repo.private_dir.name).is_dir():
            for environment in state.environments(repo):
                if is_of_worktree(environment, note.name):
                    repo.git.attempt("update-ref", "-d", f"{state.PREFIX}{environment}")
            note.unlink(missing_ok=True)
    name = repo.worktree_name
    # Where nothing can be written nothing can be recorded either.
    with suppress(OSError):
        if name is not None:
            repo.private_dir.mkdir(exist_ok=True)
            _folder(repo).mkdir(parents=True, exist_ok=True)
            (_folder(repo) / name).touch()


def of_missing_worktrees(repo: Repository) -> Callable[[str], bool]:
    """Says of an environment's name whether it is that of a worktree which was deleted behind git's back."""
    gone = [note.name for note in _notes(repo) if not _is_there(_git_dir(repo, note.name))]
    return lambda environment: any(is_of_worktree(environment, name) for name in gone)


def _is_there(git_dir: Path) -> bool:
    try:
        # As git reads it: the path of the file `.git` in the working tree.
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
