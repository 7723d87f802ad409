"""Has Git LFS and DVC fetch the content of single files into the working tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from raw_trigger.errors import GitError
from raw_trigger.repo.environment import scrubbed
from raw_trigger.repo.git import words
from raw_trigger.repo.pointers import DVC_FOLDER
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.tracked import Out, Tracked

_ARGUMENTS = 400
_LENGTH = 300
"""Characters of what a program says that are told."""
_SPECIAL = str.maketrans(dict.fromkeys(",*?[]\\!#", "?"))
"""What means something else in a list of patterns: any one character stands in its place."""


def pull(
    repo: Repository, tracked: Tracked, paths: Iterable[bytes], folder: Callable[[], Path | None]
) -> dict[bytes, str]:
    """Fetch the content of these files.

    Args:
        tracked: Knows which of them DVC has; all others are Git LFS's.
        folder: Where DVC is, if it is not on PATH; asked only then.

    Returns:
        Path → the program's own words, of those files that it was called in vain for.
    """
    outs: dict[Path, dict[bytes, Out]] = {}
    lfs = []
    for path in paths:
        out = tracked.out(path)
        if out is None:
            lfs.append(path)
        else:
            outs.setdefault(_project(repo, out), {})[path] = out
    failed = _pull_lfs(repo, lfs)
    for place, wanted in outs.items():
        failed |= _pull_dvc(repo, place, wanted, folder)
    return failed


def _pull_lfs(repo: Repository, paths: Collection[bytes]) -> dict[bytes, str]:
    listed = sorted(paths)
    failed: dict[bytes, str] = {}
    for start in range(0, len(listed), _ARGUMENTS):
        some = listed[start : start + _ARGUMENTS]
        patterns = ",".join("/" + os.fsdecode(path).translate(_SPECIAL) for path in some)
        try:
            done = repo.git.attempt("lfs", "pull", f"--include={patterns}", "--exclude=", index=True)
        except GitError as error:
            return {**failed, **dict.fromkeys(listed[start:], error.message)}
        if done.returncode != 0:
            failed |= dict.fromkeys(some, f"git lfs pull: {_short(done.stderr or done.stdout)}")
    return failed


def _pull_dvc(
    repo: Repository, place: Path, wanted: dict[bytes, Out], folder: Callable[[], Path | None]
) -> dict[bytes, str]:
    environ = scrubbed(repo.git.environ)
    program = shutil.which("dvc", path=environ.get("PATH"))
    if program is None:
        beside = folder()
        program = None if beside is None else shutil.which("dvc", path=str(beside))
    if program is None:
        return dict.fromkeys(wanted, "dvc is neither on PATH nor beside the project's Python")
    targets = sorted(
        {os.path.relpath(repo.top / os.fsdecode(out.dvc.path), place) for out in wanted.values()}
    )
    for start in range(0, len(targets), _ARGUMENTS):
        some = targets[start : start + _ARGUMENTS]
        try:
            done = subprocess.run(
                [program, "pull", "--quiet", "--", *some],
                cwd=place,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            return dict.fromkeys(wanted, f"dvc cannot be started: {error.strerror}")
        if done.returncode != 0:
            # What it had fetched before is here all the same, and looked at again.
            return dict.fromkeys(wanted, f"dvc pull: {_short(done.stderr or done.stdout)}")
    return {}


def _project(repo: Repository, out: Out) -> Path:
    """The folder that DVC is set up in."""
    folder = (repo.top / os.fsdecode(out.pointer)).parent
    for above in (folder, *folder.parents):
        if (above / DVC_FOLDER).is_dir() or above == repo.top:
            return above
    return repo.top


def _short(said: bytes) -> str:
    text = words(said)
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"
