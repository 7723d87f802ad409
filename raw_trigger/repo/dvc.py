"""Whether the content that a ``.dvc`` file names is on disk, where assets read it."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from functools import lru_cache
from pathlib import Path

from raw_trigger.model.changes import show
from raw_trigger.repo.pointers import DvcOut, dvc_outs
from raw_trigger.repo.repository import Repository

_CHUNK = 1 << 20


def missing_content(repo: Repository, pointer: bytes) -> str | None:
    """Why what this ``.dvc`` file on disk stands for cannot be read, and the command that fetches it.

    None if it is there, or if the file stands for nothing that has to be.

    Args:
        pointer: Relative to the repository's top.
    """
    try:
        content = _path(repo, pointer).read_bytes()
    except OSError:
        return None
    for out in dvc_outs(content, pointer):
        wrong = _wrong(repo, out)
        if wrong is not None:
            verb = "checkout" if _cached(repo, out) else "pull"
            return f"{show(out.path)}, which it stands for, {wrong}: dvc {verb} {shlex.quote(show(pointer))}"
    return None


def _wrong(repo: Repository, out: DvcOut) -> str | None:
    """What is wrong with the file or folder that it stands for."""
    path = _path(repo, out.path)
    if not path.exists() or path.is_dir() != out.folder:
        return "is not here"
    if out.md5 is None:
        return None
    if not out.folder:
        return None if _is(path, out.md5, out.as_unix, out.size) else "has other content"
    for name, md5 in _members(repo, out).items():
        if not (path / name).is_file():
            return f"lacks {name}"
        if not _is(path / name, md5, out.as_unix):
            return f"has other content in {name}"
    return None


def _members(repo: Repository, out: DvcOut) -> dict[str, str]:
    """The files of a folder with their MD5, as far as DVC's cache tells."""
    for file in _objects(repo, out):
        try:
            return {str(one["relpath"]): str(one["md5"]) for one in json.loads(file.read_bytes())}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return {}


def _cached(repo: Repository, out: DvcOut) -> bool:
    """Whether DVC's own cache has all of it, so that nothing has to be fetched."""
    members = [] if not out.folder else list(_members(repo, out).values())
    wanted = [out, *(DvcOut(out.path, md5, None, False, out.as_unix) for md5 in members)]
    return all(any(file.exists() for file in _objects(repo, one)) for one in wanted)


def _objects(repo: Repository, out: DvcOut) -> list[Path]:
    """Where the cache would have it: since DVC 3, and before. One that is configured is not looked for."""
    if out.md5 is None:
        return []
    folder = _path(repo, out.path).parent
    for above in (folder, *folder.parents):
        if (above / ".dvc").is_dir():
            caches = (above / ".dvc/cache/files/md5", above / ".dvc/cache")
            return [cache / out.md5[:2] / out.md5[2:] for cache in caches]
        if above == repo.top:
            break
    return []


def _is(path: Path, md5: str, as_unix: bool, size: int | None = None) -> bool:
    """Whether the file has this content."""
    try:
        found = path.stat()
        if size is not None and not as_unix and found.st_size != size:
            return False
        stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        return md5 in _md5(os.fspath(path), stamp, as_unix)
    except OSError:
        return False


@lru_cache(maxsize=100_000)
def _md5(path: str, stamp: tuple[int, ...], as_unix: bool) -> tuple[str, ...]:
    """The MD5 of a file, and of its text with Unix line ends; it is read again when its stamp changes.

    A command asks before a run, when it has the lock, and after it.
    """
    plain = hashlib.md5(usedforsecurity=False)
    unix = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:  # noqa: PTH123
        while chunk := file.read(_CHUNK):
            plain.update(chunk)
            if as_unix:
                unix.update(chunk.replace(b"\r\n", b"\n"))
    return (plain.hexdigest(), unix.hexdigest()) if as_unix else (plain.hexdigest(),)


def _path(repo: Repository, path: bytes) -> Path:
    return repo.top / os.fsdecode(path)
