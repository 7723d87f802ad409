"""Reads the contents of blobs as streams, without fetching any.

A partial clone would fetch what it lacks from its remote, one object at a time; here such a blob counts as
missing.
"""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, cast

from raw_trigger.errors import GitError
from raw_trigger.model.changes import SUBMODULE_MODE, SYMLINK_MODE, Entry
from raw_trigger.repo.git import Git, quoted
from raw_trigger.repo.objects import Found, Objects
from raw_trigger.repo.pointers import LFS_SIZE, lfs_pointer
from raw_trigger.repo.repository import Repository

_SMALL = 1 << 20
_HELD = 32 << 20
"""The most bytes of small blobs that are kept in memory."""


class _Place(NamedTuple):
    """Holds an object directory: what git writes there, and what is read of it."""

    git: Git
    objects: Objects


class Blobs:
    """Reads blobs for as long as the block lasts.

    Contents that only the working tree has are stored by git (with its line ends and filters) in an object
    directory of their own: the repository's stays as it is.
    """

    def __init__(self, repo: Repository) -> None:
        self._repo = repo
        self._main = _Place(repo.offline, repo.objects_here)
        self._apart: _Place | None = None
        self._taken_in: set[str] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._sizes: dict[str, int | None] = {}
        self._held: dict[str, bytes] = {}

    def __enter__(self) -> Blobs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._apart is not None:
            self._apart.objects.close()
        if self._folder is not None:
            self._folder.cleanup()

    def size(self, oid: str) -> int | None:
        """Returns the blob's size in bytes; None if it is not here."""
        self.look(oid)
        return self._sizes[oid]

    def look(self, *oids: str) -> None:
        """Reads the sizes of many blobs at once."""
        unknown = [oid for oid in dict.fromkeys(oids) if oid not in self._sizes]
        self._sizes.update(zip(unknown, map(_size, self._main.objects.look(*unknown)), strict=True))

    def hold(self, oids: Iterable[str]) -> None:
        """Reads many small blobs at once and keeps them, up to a limit."""
        room = _HELD - sum(map(len, self._held.values()))
        wanted: dict[_Place, list[str]] = {}
        for oid in dict.fromkeys(oids):
            size = self.size(oid)
            if size is None or size > _SMALL or oid in self._held:
                continue
            room -= size
            if room < 0:
                break
            wanted.setdefault(self._place_of(oid), []).append(oid)
        for place, some in wanted.items():
            with suppress(GitError):
                self._held.update(zip(some, place.objects.contents(some), strict=True))

    def take_in(self, entries: Mapping[bytes, Entry], limit: int | None = None) -> None:
        """Makes the contents of these working tree files readable, unless they have changed since.

        Args:
            limit: The most bytes of one; larger files are left out. None: there is none.
        """
        wanted = {
            path: entry
            for path, entry in entries.items()
            if entry.mode not in (SYMLINK_MODE, SUBMODULE_MODE) and self.size(entry.oid) is None
        }
        files = [path for path in wanted if _is_file(self._repo, path, limit)]
        if not files:
            return
        apart = self._apart or self._set_apart()
        done = apart.git.attempt(
            "-c",
            "core.looseCompression=1",
            "hash-object",
            "-w",
            "--stdin-paths",
            stdin=quoted(files),
            index=True,
        )
        self._taken_in.update(done.stdout.decode().split())
        fresh = sorted({entry.oid for entry in wanted.values()} & self._taken_in)
        self._sizes.update(zip(fresh, map(_size, apart.objects.look(*fresh)), strict=True))

    def _set_apart(self) -> _Place:
        self._folder = tempfile.TemporaryDirectory(prefix="raw-trigger-")
        environ = dict(self._main.git.environ)
        real = environ.get("GIT_OBJECT_DIRECTORY") or str(self._repo.common_dir / "objects")
        others = environ.get("GIT_ALTERNATE_OBJECT_DIRECTORIES")
        alternates = _alternate(str(Path(self._repo.top, real)))
        environ["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = alternates if not others else f"{alternates}:{others}"
        environ["GIT_OBJECT_DIRECTORY"] = self._folder.name
        git = Git(self._repo.top, environ, self._repo.git_dir)
        self._apart = _Place(git, Objects(git, offline=True))
        return self._apart

    def open(self, oid: str) -> BinaryIO:
        """Returns the blob's content as a stream.

        Raises:
            GitError: the blob is not here; while it is read: it is damaged.
        """
        size = self.size(oid)
        if size is None:
            raise GitError(f"the object {oid} is missing", "see `git fsck`")
        if oid in self._held:
            return io.BytesIO(self._held[oid])
        place = self._place_of(oid)
        if size <= _SMALL:
            return io.BytesIO(place.objects.contents([oid])[0])
        return cast("BinaryIO", io.BufferedReader(_Piped(place.git, oid)))

    def _place_of(self, oid: str) -> _Place:
        return self._apart if self._apart is not None and oid in self._taken_in else self._main

    def lfs(self, oid: str) -> Path | None:
        """Returns the path of the content that a Git LFS pointer stands for, even if nothing is there.

        None if the blob is no pointer.
        """
        size = self.size(oid)
        if size is None or size > LFS_SIZE:
            return None
        with self.open(oid) as stream:
            pointer = lfs_pointer(stream.read())
        if pointer is None:
            return None
        return self._lfs_storage() / "objects" / pointer.oid[:2] / pointer.oid[2:4] / pointer.oid

    def _lfs_storage(self) -> Path:
        named = self._main.git.line("config", "--type=path", "lfs.storage")
        return self._repo.common_dir / (named or "lfs")


class _Piped(io.RawIOBase):
    """Reads the output of ``git cat-file`` from its pipe."""

    def __init__(self, git: Git, oid: str) -> None:
        self._oid = oid
        self._process = git.open("cat-file", "blob", oid, quiet=True)
        assert self._process.stdin is not None
        self._process.stdin.close()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        assert self._process.stdout is not None
        data = self._process.stdout.read(len(buffer))
        if not data and self._process.wait() != 0:
            raise GitError(f"the object {self._oid} cannot be read", "see `git fsck`")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process.wait()
        super().close()


def _size(found: Found | None) -> int | None:
    return found.size if found is not None and found.kind == "blob" else None


def _is_file(repo: Repository, path: bytes, limit: int | None) -> bool:
    try:
        found = os.lstat(os.fsencode(repo.top) + b"/" + path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and (limit is None or found.st_size <= limit)


def _alternate(path: str) -> str:
    """Returns the path as git reads it in a list separated by colons."""
    if ":" not in path and not path.startswith('"'):
        return path
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
