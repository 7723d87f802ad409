"""The user's repository: where it is, what its revisions mean, what differs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from raw_trigger.errors import GitError, UsageError
from raw_trigger.repo.git import Git, words
from raw_trigger.repo.objects import Objects
from raw_trigger.repo.refs import Refs

_BETWEEN = "-//"
"""An option that ``git rev-parse`` does not know and therefore repeats; no path of git contains it."""
_OFFLINE = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
"""Git knows the former since 2.45; with the latter the attempt of an older git fails at once."""


@dataclass(frozen=True)
class Revision:
    """Holds a revision as the user named it, and its object. ``commit`` is None if it names a tree."""

    name: str
    tree: str
    commit: str | None


class Repository:
    """Holds one working tree and its git directory.

    Attributes:
        top: Top of the working tree, absolute.
        git_dir: This working tree's git directory (a linked worktree has its own).
        common_dir: The git directory that all working trees share.
    """

    def __init__(self, top: Path, git_dir: Path, common_dir: Path, environ: Mapping[str, str]) -> None:
        self.top = top
        self.git_dir = git_dir
        self.common_dir = common_dir
        self.git = Git(top, environ, git_dir)

    @classmethod
    def discover(cls, start: Path, environ: Mapping[str, str] | None = None) -> Repository:
        """Returns the repository that ``start`` is in.

        Raises:
            GitError: there is none, it is bare, or git refuses to use it.
        """
        environ = os.environ if environ is None else environ
        git = Git(start, environ)
        done = git.attempt(
            "rev-parse", "--absolute-git-dir", _BETWEEN, "--git-common-dir", _BETWEEN, "--show-toplevel"
        )
        if done.returncode != 0:
            _explain_no_worktree(git, start, done.stderr)
        git_dir, common_dir, top = os.fsdecode(done.stdout.removesuffix(b"\n")).split(f"\n{_BETWEEN}\n")
        return cls(Path(top), Path(git_dir), (start / common_dir).resolve(), environ)

    @property
    def private_dir(self) -> Path:
        """Returns our folder in this working tree's git directory, for caches, logs and markers.

        The record is never there.
        """
        return self.git_dir / "raw-trigger"

    @property
    def shared_dir(self) -> Path:
        """Returns our folder in the git directory that all working trees share."""
        return self.common_dir / "raw-trigger"

    @property
    def state_dir(self) -> Path:
        """Returns the folder of the history and of what is known of large files: `$RAW_STATE_DIR`, or ours.

        Each repository has a folder of its own there. A relative one is beside the main working tree's files.

        Raises:
            UsageError: the variable names no folder that can be.
        """
        named = self.git.environ.get("RAW_STATE_DIR", "").strip()
        if not named:
            return self.shared_dir
        try:
            folder = (self.common_dir.parent / Path(named).expanduser()).resolve()
            str(folder).encode()
        except (RuntimeError, UnicodeEncodeError):
            raise UsageError(f"RAW_STATE_DIR is {named!r}", "name a folder") from None
        place = hashlib.sha256(os.fsencode(self.common_dir)).hexdigest()[:8]
        return folder / f"{self.common_dir.parent.name}-{place}"

    @cached_property
    def reads_all(self) -> bool:
        """Says whether every file is read at each look, as `$RAW_SCAN_HASH_MODE` says.

        Else git takes a file for unchanged by its times, size and inode; some network drives keep none.

        Raises:
            UsageError: the variable has another value.
        """
        mode = self.git.environ.get("RAW_SCAN_HASH_MODE", "").strip()
        if mode not in ("", "mtime_size", "content_hash"):
            raise UsageError(
                f"RAW_SCAN_HASH_MODE is {mode!r}", "write mtime_size, or content_hash to read every file"
            )
        return mode == "content_hash"

    @property
    def worktree_name(self) -> str | None:
        """Returns the name of a linked worktree; None in the main one."""
        return None if self.git_dir.resolve() == self.common_dir else self.git_dir.name

    @cached_property
    def objects(self) -> Objects:
        """Returns the repository's objects; a partial clone fetches what it lacks of them."""
        return Objects(self.git)

    @cached_property
    def objects_here(self) -> Objects:
        """Returns the repository's objects without fetching any: what a partial clone lacks is missing.

        It would fetch them one at a time.
        """
        return Objects(self.offline, offline=True) if self._may_fetch() else self.objects

    @cached_property
    def refs(self) -> Refs:
        """Returns what moves the repository's refs."""
        return Refs(self.git)

    def close(self) -> None:
        """Closes the processes of git that are kept open; the next question starts others."""
        for name in ("objects", "objects_here", "refs"):
            if name in self.__dict__:
                self.__dict__[name].close()

    @cached_property
    def offline(self) -> Git:
        """Returns the repository's git so that it fetches nothing that a partial clone lacks."""
        return Git(self.top, {**self.git.environ, **_OFFLINE}, self.git_dir)

    def _may_fetch(self) -> bool:
        """Whether git may lack objects that it fetches when they are asked for.

        It has noted with a pack that something which the pack refers to was not fetched.
        """
        folder = self.common_dir / "objects"
        elsewhere = {"GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"} & self.git.environ.keys()
        if elsewhere or (folder / "info" / "alternates").exists():
            return True
        return any((folder / "pack").glob("*.promisor"))

    @cached_property
    def empty_tree(self) -> str:
        """Returns the id of the empty tree in this repository's object format."""
        return self.git.run("mktree", "-z").decode().strip()

    @cached_property
    def tells_modes(self) -> bool:
        """Says whether the disk tells which files are executable: on many shares all of them are."""
        return self.git.line("config", "--type=bool", "core.fileMode") != "false"

    def resolve(self, *names: str) -> list[Revision]:
        """Returns the revisions' trees and commits, in one call of git.

        Raises:
            UsageError: one of them is unknown, ambiguous or a file's content.
        """
        for name in names:
            if not name or "\n" in name or "\0" in name:
                raise UsageError(f"{name!r} is not a revision")
        asked = "".join(f"{n}^{{commit}}\n{n}^{{tree}}\n{n}\n" for n in names)
        out = self.git.run(
            "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=os.fsencode(asked)
        ).decode("utf-8", "surrogateescape")
        answers = [line.split(" ") for line in out.split("\n")]
        found = []
        for i, name in enumerate(names):
            commit, tree, plain = answers[3 * i : 3 * i + 3]
            if tree[-1] != "tree":
                # Git reads `HEAD:folder^{tree}` as a path that ends in ^{tree}.
                tree = plain
            if tree[-1] != "tree":
                raise self._unknown(name)
            found.append(Revision(name, tree[0], commit[0] if commit[-1] == "commit" else None))
        return found

    def _unknown(self, name: str) -> UsageError:
        if name == "HEAD":
            return UsageError("there is no commit yet", "commit something first, or use --all")
        said = words(self.git.attempt("rev-parse", "--verify", f"{name}^{{tree}}").stderr)
        hint = "see `git log --oneline` and `git branch -a`"
        if (self.git_dir / "shallow").exists():
            hint = "this is a shallow clone: fetch it with `git fetch --depth=1 origin <commit>`"
        return UsageError(f"the revision {name!r} is not here: {said}", hint)

    def head(self) -> Revision | None:
        """Returns the checked-out commit; None before the first one."""
        commit, tree = self.objects.look("HEAD^{commit}", "HEAD^{tree}")
        return None if commit is None or tree is None else Revision("HEAD", tree.oid, commit.oid)

    def merge_base(self, a: str, b: str) -> str | None:
        """Returns the best common ancestor of two commits; None if they have none here."""
        return self.git.line("merge-base", a, b)

    def hooks_busy(self) -> bool:
        """Says whether a rebase or ``git am`` is under way."""
        return any((self.git_dir / name).is_dir() for name in ("rebase-merge", "rebase-apply"))


def _explain_no_worktree(git: Git, start: Path, stderr: bytes) -> NoReturn:
    said = words(stderr)
    if git.line("rev-parse", "--is-bare-repository") == "true":
        raise GitError(
            f"{start} is a bare repository: there are no files that Dagster could read",
            "run raw-trigger in a clone or in a worktree (`git worktree add`)",
        )
    if "not a git repository" in said:
        raise GitError(
            f"{start} is not in a git repository",
            "run raw-trigger inside one, or make one with `git init`",
        )
    if "must be run in a work tree" in said:
        raise GitError(f"{start} is inside the git directory", "go to the top of the working tree")
    raise GitError(f"git cannot use this repository: {said}")
