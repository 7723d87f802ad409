"""Keeps parsed configurations on disk, so that an unchanged file is not parsed again.

The name of an entry is a digest of everything it was made from, so an entry is never out of date. One that
cannot be read is treated as missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raw_trigger import __version__
from raw_trigger.model.project import DagsterOptions
from raw_trigger.model.settings import Config, Position, Rows, Rule

KEPT = 64
"""How many entries stay: a few branches' worth of several projects."""


def entry(cache_dir: Path, data: bytes, shown: str, folder: str) -> Path:
    """Returns the path of the cache entry for these bytes under this name."""
    digest = hashlib.sha256()
    for part in (data, *(text.encode("utf-8", "surrogateescape") for text in (shown, folder, __version__))):
        digest.update(b"%d\0" % len(part) + part)
    return cache_dir / f"config-{digest.hexdigest()}.json"


def read(path: Path) -> Config | None:
    """Returns the configuration at the path; None if there is none or it cannot be read."""
    try:
        return _from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def write(path: Path, config: Config) -> None:
    """Stores the configuration and deletes the oldest entries.

    Errors of the disk are ignored: without a cache the file is parsed each time.
    """
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(json.dumps(asdict(config), separators=(",", ":")).encode("ascii"))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _prune(path)


def _prune(newest: Path) -> None:
    others = [p for p in newest.parent.glob("config-*.json") if p != newest]
    others.sort(key=lambda p: p.stat().st_mtime_ns, reverse=True)
    for path in others[KEPT - 1 :]:
        path.unlink(missing_ok=True)


def _from_json(data: dict[str, Any]) -> Config:
    dagster = data["dagster"]
    options = DagsterOptions(**{key: _frozen(value) for key, value in dagster.items()})
    simple = {
        **data,
        "dagster": options,
        "roots": tuple(data["roots"]),
        "on_failure": _frozen(data["on_failure"]),
        "ci_environments": _frozen(data["ci_environments"]),
    }
    return Config(**{**simple, "rules": tuple(_rule(rule) for rule in data["rules"])})


def _rule(data: dict[str, Any]) -> Rule:
    at, rows = data["partition_position"], data["rows"]
    return Rule(
        path=data["path"],
        assets=tuple(data["assets"]),
        ignore=data["ignore"],
        partition=_frozen(data["partition"]),
        on_delete=data["on_delete"],
        position=Position(**data["position"]),
        asset_positions=tuple(Position(**position) for position in data["asset_positions"]),
        partition_position=None if at is None else Position(**at),
        fingerprint=data["fingerprint"],
        rows=None if rows is None else _rows(rows),
        run_config=data["run_config"],
    )


def _rows(data: dict[str, Any]) -> Rows:
    at = data["partition_position"]
    plain = {name: _frozen(value) for name, value in data.items()}
    return Rows(**{**plain, "partition_position": None if at is None else Position(**at)})


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
