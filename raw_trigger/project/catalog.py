"""The asset graph: asked of the project, and kept as long as nothing it depends on has changed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from raw_trigger.model.assets import Asset, Catalog, PartitionMapping, Partitions
from raw_trigger.project.interpreter import Interpreter, interpreter_as_json, interpreter_from_json

VERSION = 1
FILE = "catalog.json"
INSIDE = Path(__file__).resolve().parent / "inside"
RACY_NS = 2_000_000_000
"""A file changed this shortly before it was looked at may change again without a new time stamp."""
_MODULE_SUFFIXES = (".py", ".so", ".pyd", ".pth")


class Cached:
    """A cache file that could be read. Nothing in it is trusted before :meth:`valid` said so."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self.interpreter = interpreter_from_json(document["interpreter"])
        self.restamped = False

    def valid(self, request: Mapping[str, Any], interpreter: Interpreter) -> bool:
        """Whether a fresh load would give the same."""
        known = self._document
        return bool(
            known["request"] == request
            and known["interpreter"] == interpreter_as_json(interpreter)
            and known["scripts"] == _stamps(_scripts())
            and known["libraries"] == _stamps(known["libraries"])
            and self._folders_same("folders", _names)
            and self._folders_same("modules", _module_names)
            and self._files_same()
        )

    def _files_same(self) -> bool:
        """By size and time, or by content where these differ or came too soon to tell."""
        looked_at = self._document["looked_at"]
        for path, (stamp, digest) in self._document["files"].items():
            now = _stamp(path)
            if now == stamp and _settled(now, looked_at):
                continue
            if _digest(path) != digest:
                return False
            self._document["files"][path] = [now, digest]
            self._note(now)
        return True

    def _folders_same(self, kind: str, names_of: Any) -> bool:
        looked_at = self._document["looked_at"]
        for path, (stamp, names) in self._document[kind].items():
            now = _stamp(path)
            if now == stamp and _settled(now, looked_at):
                continue
            if names_of(path) != names:
                return False
            self._document[kind][path] = [now, names]
            self._note(now)
        return True

    def _note(self, now: list[int] | None) -> None:
        self.restamped = self.restamped or _settled(now, time.time_ns())

    def restamp(self, cache_dir: Path, looked_at: int) -> None:
        """Keep what the content had to tell, so that next time the stamps do."""
        self._document["looked_at"] = looked_at
        write(cache_dir, self._document)

    def catalog(self) -> Catalog:
        """The graph itself."""
        return decode(self._document["answer"], fresh=False)


def read(cache_dir: Path) -> Cached | None:
    """The cache, or None: there is none, or it cannot be understood."""
    try:
        document = json.loads((cache_dir / FILE).read_bytes())
        return Cached(document) if document["version"] == VERSION else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def valid_catalog(
    cached: Cached, cache_dir: Path, request: Mapping[str, Any], interpreter: Interpreter
) -> Catalog | None:
    """The cached graph if it is still right; None if not, or if the cache is damaged."""
    looked_at = time.time_ns()
    try:
        if not cached.valid(request, interpreter):
            return None
        catalog = cached.catalog()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None
    if cached.restamped:
        with suppress(OSError):
            cached.restamp(cache_dir, looked_at)
    return catalog


def remember(
    cache_dir: Path,
    request: Mapping[str, Any],
    interpreter: Interpreter,
    answer: Mapping[str, Any],
    began: int,
) -> None:
    """Write the cache, unless something was edited while the project was being loaded.

    Args:
        cache_dir: Where the cache is.
        request: What the probe was asked.
        interpreter: What it ran in.
        answer: What the probe said.
        began: When it was started, nanoseconds since the epoch.
    """
    looked_at = time.time_ns()
    watched = answer["watched"]
    stamps = _stamps(watched["files"])
    if any(stamp is not None and max(stamp[1:]) >= began for stamp in stamps.values()):
        with suppress(OSError):
            (cache_dir / FILE).unlink()
        return
    document = {
        "version": VERSION,
        "request": request,
        "interpreter": interpreter_as_json(interpreter),
        "scripts": _stamps(_scripts()),
        "libraries": _stamps(answer["libraries"]),
        "looked_at": looked_at,
        "files": {path: [stamp, _digest(path)] for path, stamp in stamps.items()},
        "folders": {path: [_stamp(path), _names(path)] for path in watched["folders"]},
        "modules": {path: [_stamp(path), _module_names(path)] for path in watched["modules"]},
        "answer": {
            key: answer[key]
            for key in ("dagster", "python", "assets", "partitions", "jobs", "unread", "code")
        },
    }
    with suppress(OSError):  # a full or read-only disk makes the next start slower, not this one wrong
        write(cache_dir, document)


def write(cache_dir: Path, document: Mapping[str, Any]) -> None:
    """Replace the cache file in one step.

    Raises:
        OSError: It cannot be written.
    """
    import tempfile

    cache_dir.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=cache_dir, prefix=FILE + ".")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            json.dump(document, file, separators=(",", ":"))
        Path(name).replace(cache_dir / FILE)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


# What it depends on ------------------------------------------------------------------------------


def _scripts() -> list[str]:
    return [str(INSIDE / name) for name in ("compat.py", "probe.py", "session.py", "source.py")]


def _stamps(paths: Any) -> dict[str, list[int] | None]:
    return {path: _stamp(path) for path in paths}


def _stamp(path: str) -> list[int] | None:
    """Size, and when content and inode changed; None if it is not there.

    The inode's time betrays an edit that put the other one back, as ``cp -p`` does.
    """
    try:
        found = os.stat(path)  # noqa: PTH116  (a third of the time)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _settled(stamp: list[int] | None, when: int) -> bool:
    """Whether a change after ``when`` would have shown in the stamp."""
    return stamp is None or max(stamp[1:]) < when - RACY_NS


def _digest(path: str) -> str | None:
    import hashlib

    try:
        return hashlib.blake2b(Path(path).read_bytes(), digest_size=20).hexdigest()
    except OSError:
        return None


def _names(path: str) -> list[str] | None:
    """What a listing of the folder shows, without what tools leave in a folder of code."""
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208
    except OSError:
        return None
    code = any(name.endswith(".py") for name in names)
    return [
        name
        for name in names
        if name != "__pycache__" and not name.endswith(".pyc") and not (code and name.startswith("."))
    ]


def _module_names(path: str) -> list[str] | None:
    names = _names(path)
    return None if names is None else [name for name in names if name.endswith(_MODULE_SUFFIXES)]


# The graph ---------------------------------------------------------------------------------------


def decode(answer: Mapping[str, Any], *, fresh: bool) -> Catalog:
    """The probe's answer as a catalog. Keys take their text form.

    Raises:
        KeyError, TypeError, IndexError: It is no such answer.
    """
    partitions = [decode_partitions(one) for one in answer["partitions"]]
    assets: dict[str, Asset] = {}
    same: dict[PartitionMapping, PartitionMapping] = {}

    def mapping(how: Mapping[str, Any]) -> PartitionMapping:
        made = decode_mapping(how)
        return same.setdefault(made, made)  # one object for equal ones: what is known of it is known by that

    for one in answer["assets"]:
        parts = tuple(one["key"])
        number = one["partitions"]
        key = "/".join(parts)
        assets[key] = Asset(
            key=key,
            parts=parts,
            location=one["location"],
            kind=one["kind"],
            group=one["group"],
            partitions=None if number is None else partitions[number],
            parents=_keys(one["parents"]),
            execution_set=_keys(one["execution_set"]),
            metadata=tuple((name, value) for name, value in one["metadata"]),
            checks=tuple(one["checks"]),
            mappings=tuple(("/".join(parts), mapping(how)) for parts, how in one["mappings"]),
            partitions_per_run=one["per_run"],
            named=tuple(one.get("named", ())),
            told=tuple(one.get("told", ())),
            needs_config=one["needs_config"],
        )
    unread = tuple(("/".join(parts), message) for parts, message in answer["unread"])
    return Catalog(assets, fresh, answer["dagster"], dict(answer["jobs"]), unread, tuple(answer["code"]))


def _keys(keys: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple("/".join(parts) for parts in keys)


def decode_partitions(document: Mapping[str, Any]) -> Partitions:
    """A partitions definition from the probe's description of it."""
    return Partitions(
        kind=document["kind"],
        keys=tuple(document.get("keys") or ()),
        name=document.get("name"),
        format=document.get("format"),
        start=document.get("start"),
        end=document.get("end"),
        cron=document.get("cron"),
        timezone=document.get("timezone"),
        end_offset=document.get("end_offset") or 0,
        exclusions=tuple(document.get("exclusions") or ()),
        dimensions=tuple((name, decode_partitions(one)) for name, one in document.get("dimensions") or ()),
    )


def decode_mapping(document: Mapping[str, Any]) -> PartitionMapping:
    """A partition mapping from the probe's description of it."""
    return PartitionMapping(
        kind=document["kind"],
        keys=tuple(document.get("keys") or ()),
        pairs=tuple((up, tuple(downs)) for up, downs in document.get("pairs") or ()),
        start_offset=document.get("start_offset") or 0,
        end_offset=document.get("end_offset") or 0,
        dimension=document.get("dimension"),
        dimensions=tuple(
            (up, down, decode_mapping(how)) for up, down, how in document.get("dimensions") or ()
        ),
        name=document.get("name"),
    )
