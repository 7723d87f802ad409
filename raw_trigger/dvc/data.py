"""Says whether the disk has the content that DVC's pointer files name, at the paths that assets read."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

from raw_trigger.documents import load_json, read_bytes
from raw_trigger.dvc.cache import cache_of
from raw_trigger.dvc.outs import DvcOut
from raw_trigger.model.changes import is_below, show
from raw_trigger.repo.repository import Repository

_CHUNK = 1 << 20
_MD5 = re.compile(r"[0-9a-f]{32}")


def missing_content(repo: Repository, out: DvcOut) -> str | None:
    """Returns why assets cannot read the file or folder, and the command that helps; None if they can."""
    wrong = _wrong(repo, out)
    if wrong is None:
        return None
    return f"{wrong}: {fetched_by(repo, out)} {shlex.quote(show(out.path))}"


def fetched_by(repo: Repository, out: DvcOut) -> Literal["dvc pull", "dvc checkout"]:
    """Returns the command that puts the file or folder in its place."""
    return "dvc checkout" if _cached(repo, out) else "dvc pull"


def unknown_files(repo: Repository, out: DvcOut) -> str | None:
    """Returns a sentence on files in a folder that DVC does not know; None if there are none."""
    known = listing(repo, out) if out.folder else None
    if known is None:
        return None
    folder = out.path + b"/"
    # Files that DVC ignores do not count. Files that git ignores do: DVC makes git ignore the whole folder.
    flags = ("--others", "--exclude-per-directory=.dvcignore", "-z")
    listed = repo.git.run("ls-files", *flags, "--", os.fsdecode(out.path), index=True)
    extra = sorted(set(listed.split(b"\0")) - {b""} - {folder + os.fsencode(name) for name in known})
    if not extra:
        return None
    name = show(extra[0].removeprefix(folder))
    more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
    return f"has files that DVC does not know, {name}{more}: dvc add {shlex.quote(show(out.path))}"


def content(repo: Repository, path: bytes, md5: str) -> Path | None:
    """Returns a file with this content: one in DVC's cache, else the path's own; None if neither has it."""
    for file in _cached_at(repo, path, md5):
        if file.is_file():
            return file
    there = _path(repo, path)
    return there if there.is_file() and _is(there, md5, as_unix=False) else None


def listing(repo: Repository, out: DvcOut) -> dict[str, str] | None:
    """Returns the files of a folder with their MD5; None if they are unknown.

    DVC's cache has the list. Without it the files on disk count if their list has the id that the pointer
    file
    names.
    """
    if out.md5 is None:
        return None
    for file in _objects(repo, out):
        try:
            found = {str(one["relpath"]): str(one["md5"]) for one in load_json(read_bytes(file))}
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if all(is_below(name) and _MD5.fullmatch(md5) for name, md5 in found.items()):
            return found
    if out.as_unix:
        return None
    found = _on_disk(repo, out)
    return found if found and list_id(found) == out.md5 else None


def list_id(files: Mapping[str, str]) -> str:
    """Returns the id of a folder with these files: the MD5 of their list as DVC writes it.

    Args:
        files: The MD5 of each path.
    """
    listed = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    text = json.dumps(listed, sort_keys=True).encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest() + ".dir"


def _on_disk(repo: Repository, out: DvcOut) -> dict[str, str]:
    folder = _path(repo, out.path)
    found: dict[str, str] = {}
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above, name)
            try:
                found[path.relative_to(folder).as_posix()] = _md5(str(path), _stamp(path), False)[0]
            except OSError:
                return {}
    return found


def _wrong(repo: Repository, out: DvcOut) -> str | None:
    """Returns the difference between the disk and the pointer file; None if there is none."""
    path, name = _path(repo, out.path), show(out.path)
    if not path.exists() or path.is_dir() != out.folder:
        return f"{name} is not here"
    if out.md5 is None:
        return None
    if out.folder:
        return _wrong_in(path, name, listing(repo, out), out.as_unix)
    return None if _is(path, out.md5, out.as_unix, out.size) else f"{name} has other content than DVC's"


def _wrong_in(folder: Path, shown: str, known: Mapping[str, str] | None, as_unix: bool) -> str | None:
    if known is None:
        return f"what is in {shown} is not known here"
    for name, md5 in known.items():
        if not (folder / name).is_file():
            return f"{shown} lacks {name}"
        if not _is(folder / name, md5, as_unix):
            return f"{shown} has other content than DVC's in {name}"
    return None


def _cached(repo: Repository, out: DvcOut) -> bool:
    """Says whether DVC's own cache has all of the content, so that nothing has to be fetched."""
    objects = [_objects(repo, out)]
    if out.folder:
        known = listing(repo, out) or {}
        objects += [_cached_at(repo, out.path, md5) for md5 in known.values()]
    return all(any(file.exists() for file in files) for files in objects)


def _objects(repo: Repository, out: DvcOut) -> list[Path]:
    return [] if out.md5 is None else _cached_at(repo, out.path, out.md5)


def _cached_at(repo: Repository, path: bytes, md5: str) -> list[Path]:
    """Returns the paths of the content in the cache of DVC 3, and in that of older versions."""
    folder = _path(repo, path).parent
    for above in (folder, *folder.parents):
        if (above / ".dvc").is_dir():
            cache = cache_of(above / ".dvc")
            return [folder / md5[:2] / md5[2:] for folder in (cache / "files/md5", cache)]
        if above == repo.top:
            break
    return []


def _is(path: Path, md5: str, as_unix: bool, size: int | None = None) -> bool:
    """Says whether the file has this content."""
    try:
        if size is not None and not as_unix and path.stat().st_size != size:
            return False
        return md5 in _md5(os.fspath(path), _stamp(path), as_unix)
    except OSError:
        return False


def _stamp(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


@lru_cache(maxsize=100_000)
def _md5(path: str, stamp: tuple[int, ...], as_unix: bool) -> tuple[str, ...]:
    """Returns the MD5 of a file, and with ``as_unix`` that of its text with Unix line ends.

    The file is read again only when its stamp changes: a command asks before a run, when it has the lock, and
    after it.
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
