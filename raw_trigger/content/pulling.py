"""Fetches the content of single files into the working tree, by Git LFS, git-annex, DVC and git itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from raw_trigger.content.absent import Tool, absent
from raw_trigger.dvc.outs import DVC_FOLDER
from raw_trigger.dvc.tracked import Out, Tracked
from raw_trigger.errors import GitError
from raw_trigger.repo import diff
from raw_trigger.repo.environment import scrubbed
from raw_trigger.repo.git import Git, words
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.submodules import git_in

_ARGUMENTS = 400
_LENGTH = 300
"""The most characters that are shown of a program's message."""
_SPECIAL = str.maketrans(dict.fromkeys(",*?[]\\!#", "?"))
"""Characters with a meaning in a list of patterns; each is replaced by ``?``, any one character."""


def pull(
    repo: Repository, tracked: Tracked, paths: Iterable[bytes], folder: Callable[[], Path | None]
) -> dict[bytes, str]:
    """Fetches the content of these files.

    Args:
        tracked: Knows which of them belong to DVC.
        folder: Returns the folder that has DVC if it is not on PATH; called only then.

    Returns:
        Path → the program's message, of the files that it was called for in vain.
    """
    outs: dict[Path, dict[bytes, Out]] = {}
    others = []
    for path in paths:
        out = tracked.out(path)
        if out is None:
            others.append(path)
        else:
            outs.setdefault(_project(repo, out), {})[path] = out
    failed: dict[bytes, str] = {}
    for (tool, inside), asked in _by_tool(repo, others).items():
        git = git_in(repo, inside) if inside else repo.git
        failed |= _pull(git, tool, asked)
    for place, wanted in outs.items():
        failed |= _pull_dvc(repo, place, wanted, folder)
    return failed


def _by_tool(repo: Repository, paths: Sequence[bytes]) -> dict[tuple[Tool, bytes], dict[bytes, bytes]]:
    """Returns the path to ask for by path, grouped by the tool and the submodule it works in."""
    modes: dict[bytes, str] = {}
    for start in range(0, len(paths), _ARGUMENTS):
        some = [os.fsdecode(path) for path in paths[start : start + _ARGUMENTS]]
        modes |= {path: entry.mode for path, entry in diff.index_paths(repo, some)}
    found: dict[tuple[Tool, bytes], dict[bytes, bytes]] = {}
    for path in paths:
        one = absent(repo, path, modes.get(path, ""))
        if one is not None and one.tool is not None:
            asked = one.path.removeprefix(one.inside + b"/") if one.inside else one.path
            found.setdefault((one.tool, one.inside), {})[path] = asked
    return found


def _pull(git: Git, tool: Tool, asked: Mapping[bytes, bytes]) -> dict[bytes, str]:
    listed = sorted(asked)
    failed: dict[bytes, str] = {}
    for start in range(0, len(listed), _ARGUMENTS):
        some = listed[start : start + _ARGUMENTS]
        names = [os.fsdecode(asked[path]) for path in some]
        patterns = ",".join("/" + name.translate(_SPECIAL) for name in names)
        arguments: dict[Tool, tuple[str, ...]] = {
            "lfs": ("lfs", "pull", f"--include={patterns}", "--exclude="),
            "annex": ("annex", "get", "--quiet", "--", *names),
            "submodule": ("submodule", "--quiet", "update", "--init", "--recursive", "--", *names),
        }
        if tool not in arguments:
            return {}  # git-crypt: only the user has the key
        try:
            done = git.attempt(*arguments[tool], index=True, literal=tool == "lfs")
        except GitError as error:
            return {**failed, **dict.fromkeys(listed[start:], error.message)}
        if done.returncode != 0:
            program = " ".join(arguments[tool][:2])
            failed |= dict.fromkeys(some, f"git {program}: {_short(done.stderr or done.stdout)}")
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
            # What DVC fetched before the error is here all the same: the caller looks again.
            return dict.fromkeys(wanted, f"dvc pull: {_short(done.stderr or done.stdout)}")
    return {}


def _project(repo: Repository, out: Out) -> Path:
    """Returns the folder of the DVC project that the file belongs to."""
    folder = (repo.top / os.fsdecode(out.pointer)).parent
    for above in (folder, *folder.parents):
        if (above / DVC_FOLDER).is_dir() or above == repo.top:
            return above
    return repo.top


def _short(said: bytes) -> str:
    text = words(said)
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"
