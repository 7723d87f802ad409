"""Finds content that git names and the disk lacks, and the command that fetches it."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from raw_trigger.model.changes import SUBMODULE_MODE, show
from raw_trigger.repo.lfs import uses_lfs
from raw_trigger.repo.listing import Listing
from raw_trigger.repo.pointers import CRYPT, LFS_SIZE, is_annex_pointer, lfs_pointer
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.submodules import checked_out, git_in

Tool = Literal["lfs", "annex", "submodule", "git-crypt", "sparse-checkout", "dvc pull", "dvc checkout"]
_GLOB = re.compile(rb"[][*?!#\\]")
"""What means something in a pattern of a sparse checkout."""
_CONE = ("config", "--type=bool", "core.sparseCheckoutCone")
_LEFT_OUT = "the sparse checkout leaves it out"


@dataclass(frozen=True, slots=True)
class Absent:
    """Says why a path's content is not here.

    Attributes:
        why: What is there instead.
        tool: The tool that fetches it; None if there is none.
        path: The path to ask the tool for, relative to the repository's top.
        inside: The submodule that contains the path; empty if none does.
    """

    why: str
    tool: Tool | None
    path: bytes
    inside: bytes = b""

    @property
    def reason(self) -> str:
        """Says why, and what to do."""
        return f"{self.why}: {commands((self,))}" if self.tool is not None else self.why


def commands(absent: Iterable[Absent]) -> str:
    """Returns the shell commands that fetch all of them."""
    found: dict[tuple[Tool, bytes], list[bytes]] = {}
    for one in absent:
        if one.tool is not None:
            found.setdefault((one.tool, one.inside), []).append(one.path)
    return " && ".join(_command(tool, inside, paths) for (tool, inside), paths in found.items())


def _command(tool: Tool, inside: bytes, paths: list[bytes]) -> str:
    folder = f" -C {shlex.quote(show(inside))}" if inside else ""
    names = [show(path.removeprefix(inside + b"/") if inside else path) for path in paths]
    listed = " ".join(map(shlex.quote, dict.fromkeys(names)))
    # Else git takes the name of a folder for a pattern.
    unchecked = "--skip-checks " if any(map(_GLOB.search, paths)) else ""
    return {
        "lfs": f"git{folder} lfs pull --include={shlex.quote(','.join(names))}",
        "annex": f"git{folder} annex get {listed}",
        "submodule": f"git{folder} submodule update --init --recursive {listed}",
        "sparse-checkout": f"git sparse-checkout add {unchecked}{listed}",
        "dvc pull": f"dvc pull {listed}",
        "dvc checkout": f"dvc checkout {listed}",
        "git-crypt": f"cd {shlex.quote(show(inside))} && git-crypt unlock" if inside else "git-crypt unlock",
    }[tool]


def may_lack(repo: Repository) -> bool:
    """Says whether the repository keeps content elsewhere at all, so that it is worth looking for it."""
    if (repo.top / ".gitmodules").exists() or (repo.common_dir / "annex").is_dir() or uses_lfs(repo):
        return True
    # A clone of a git-annex repository in which git-annex was never used has only its branch.
    return bool(
        repo.git.line("for-each-ref", "--count=1", "refs/heads/git-annex", "refs/remotes/*/git-annex")
    )


def left_out(repo: Repository, listing: Listing) -> dict[bytes, Absent]:
    """Returns the files that a sparse checkout leaves out."""
    if not (repo.git_dir / "info" / "sparse-checkout").exists():
        return {}
    if repo.git.line("config", "--type=bool", "core.sparseCheckout") != "true":
        return {}
    top, by_folder = os.fsencode(repo.top) + b"/", repo.git.line(*_CONE) != "false"
    gone = (one.path for one in listing.special if one.unwatched and not os.path.lexists(top + one.path))
    return {path: Absent(_LEFT_OUT, "sparse-checkout", _pattern(path, by_folder)) for path in gone}


def _pattern(path: bytes, by_folder: bool) -> bytes:
    """Returns what has to be added to the sparse checkout, which is a list of folders or one of patterns."""
    return os.path.dirname(path) if by_folder else b"/" + _GLOB.sub(rb"\\\g<0>", path)  # noqa: PTH120


def absent(repo: Repository, path: bytes, mode: str) -> Absent | None:
    """Returns what the disk has instead of the path's content; None if the content is there.

    Args:
        mode: The mode of the path in git.
    """
    return _absent(repo, path, mode)


def _absent(repo: Repository, path: bytes, mode: str, inside: bytes = b"") -> Absent | None:
    if mode == SUBMODULE_MODE:
        return _in_submodule(repo, path)
    full = os.fsencode(repo.top) + b"/" + path
    try:
        status = os.lstat(full)
        if stat.S_ISLNK(status.st_mode):
            return _behind_link(os.fsencode(repo.top), path, inside)
        if stat.S_ISREG(status.st_mode):
            return _in_place(full, path, inside)
    except OSError:
        return None
    return None


def _in_place(full: bytes, path: bytes, inside: bytes) -> Absent | None:
    """Returns what the file is a pointer to, or how it is encrypted; None for plain content."""
    with open(full, "rb") as file:  # noqa: PTH123
        begin = file.read(LFS_SIZE + 1)
    if begin.startswith(CRYPT):
        return Absent("it is encrypted by git-crypt", "git-crypt", path, inside)
    if is_annex_pointer(begin):
        return Absent("only its git-annex pointer is here", "annex", path, inside)
    if len(begin) <= LFS_SIZE and lfs_pointer(begin) is not None:
        return Absent("only its Git LFS pointer is here", "lfs", path, inside)
    return None


def _behind_link(top: bytes, path: bytes, inside: bytes) -> Absent | None:
    full = top + b"/" + path
    text = os.readlink(full)  # noqa: PTH115
    if os.path.isfile(full):  # noqa: PTH113
        real = os.path.realpath(full)
        within = os.path.realpath(top) + b"/"
        # The link may lead to a pointer.
        return _in_place(full, real.removeprefix(within), inside) if real.startswith(within) else None
    if os.path.exists(full):  # noqa: PTH110
        return None
    if b"annex/objects/" in text:
        return Absent("its content is in git-annex, not here", "annex", path, inside)
    return Absent(f"it is a link to {show(text)}, which is not there", None, path)


def _in_submodule(repo: Repository, path: bytes) -> Absent | None:
    """Returns the missing part of a submodule: all of it, one of its own, or some of its files."""
    if checked_out(repo, path) is None:
        return Absent("its submodule is not checked out", "submodule", path)
    listed = git_in(repo, path).attempt("ls-files", "-s", "-z", index=True).stdout
    for record in listed.split(b"\0")[:-1]:
        meta, name = record.split(b"\t", 1)
        mode = meta[:6].decode()
        inner = path + b"/" + name
        if mode == SUBMODULE_MODE:
            if _in_submodule(repo, inner) is not None:
                return Absent(f"the submodule {show(name)} in it is not here", "submodule", path)
        elif (found := _absent(repo, inner, mode, inside=path)) is not None:
            return Absent(f"in it, of {show(name)}: {found.why}", found.tool, inner, path)
    return None
