"""The asset graph: asked of the project, and cached until something that it depends on changes."""

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
"""A file that changed so shortly before it was looked at may change again without a new time stamp."""
_MODULE_SUFFIXES = (".py", ".so", ".pyd", ".pth")


class Cached:
    """Holds a cache file that could be read. Do not trust it before :meth:`valid` is true."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self.interpreter = interpreter_from_json(document["interpreter"])
        self.restamped = False

    def valid(self, request: Mapping[str, Any], interpreter: Interpreter) -> bool:
        """Says whether loading the project would give the same graph."""
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
        """Says whether the files are the same, by size and time, or by content if these are not certain."""
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
        """Writes the present time stamps, so that next time the contents need not be compared."""
        self._document["looked_at"] = looked_at
        write(cache_dir, self._document)

    def catalog(self) -> Catalog:
        """Returns the graph."""
        return decode(self._document["answer"], fresh=False)


def read(cache_dir: Path) -> Cached | None:
    """Returns the cache; None if there is none or it cannot be read."""
    try:
        document = json.loads((cache_dir / FILE).read_bytes())
        return Cached(document) if document["version"] == VERSION else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def valid_catalog(
    cached: Cached, cache_dir: Path, request: Mapping[str, Any], interpreter: Interpreter
) -> Catalog | None:
    """Returns the cached graph; None if it is out of date or damaged."""
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
    """Writes the cache, unless something was edited while the project was being loaded.

    Args:
        cache_dir: The folder of the cache.
        request: The probe's request.
        interpreter: The interpreter that the probe ran in.
        answer: The probe's answer.
        began: When the probe was started, in nanoseconds since 1970.
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
    """Replaces the cache file in one step.

    Raises:
        OSError: it cannot be written.
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
    """Returns the files of the package that makes the graph, those of its other programs included."""
    folders = (INSIDE, INSIDE / "compat", INSIDE / "source")
    return [entry.path for one in folders for entry in os.scandir(one) if entry.name.endswith(".py")]


def _stamps(paths: Any) -> dict[str, list[int] | None]:
    return {path: _stamp(path) for path in paths}


def _stamp(path: str) -> list[int] | None:
    """Returns the size and the times of content and inode in nanoseconds; None if there is no file.

    The inode's time changes even if an edit restores the content's time, as ``cp -p`` does.
    """
    try:
        found = os.stat(path)  # noqa: PTH116  (a third of the time)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _settled(stamp: list[int] | None, when: int) -> bool:
    """Says whether a change after ``when`` would have changed the stamp."""
    return stamp is None or max(stamp[1:]) < when - RACY_NS


def _digest(path: str) -> str | None:
    import hashlib

    try:
        return hashlib.blake2b(Path(path).read_bytes(), digest_size=20).hexdigest()
    except OSError:
        return None


def _names(path: str) -> list[str] | None:
    """Returns the names in the folder, without those that tools leave in a folder of code."""
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
    """Returns the probe's answer as a catalog. Keys take their text form.

    Raises:
        KeyError, TypeError, IndexError: it is no such answer.
    """
    partitions = [decode_partitions(one) for one in answer["partitions"]]
    assets: dict[str, Asset] = {}
    same: dict[PartitionMapping, PartitionMapping] = {}

    def mapping(how: Mapping[str, Any]) -> PartitionMapping:
        made = decode_mapping(how)
        # One object for equal mappings: what is computed of a mapping is cached by its identity.
        return same.setdefault(made, made)

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
    """Returns a partitions definition from the probe's description."""
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
    """Returns a partition mapping from the probe's description."""
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
