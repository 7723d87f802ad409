"""Writes and reads ``args_json`` and ``extra_json``, which hold what has no column of its own.

Their form is one that each of the three databases takes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from raw_trigger.model.history import BatchRecord, FileVersion, LaunchRecord, Rows, TargetRecord
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.owner import Owner
from raw_trigger.model.plan import Target

Document = dict[str, Any]

MAX_ERROR = 20_000
"""The most characters that are kept of an error; the log has all of them."""

_FRAME = re.compile(r'^[ \t]*File "(?:.*[/\\])?([^/\\"]+)", line \d+, in (.+)$', re.MULTILINE)
_CLASS = re.compile(r"([A-Za-z_][\w.]*): ")
_VARYING = re.compile(r"0x[0-9a-fA-F]+|[0-9a-fA-F]{7,}|\d+|'[^']*'|\"[^\"]*\"")


def clean(text: str) -> str:
    """Returns the text with NUL and lone surrogates as escapes: PostgreSQL and UTF-8 refuse them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def cleaned(text: str | None) -> str | None:
    """Returns the cleaned text; None for None."""
    return None if text is None else clean(text)


def args_of(launch: LaunchRecord, batch: BatchRecord, place: str) -> Document:
    """Returns the values of a batch that are stored before it starts."""
    owner = launch.owner
    document: Document = {
        "launch": launch.launch_id,
        "environment": clean(launch.environment),
        "place": clean(place),
        "batch": batch.number,
        "batches": len(launch.batches),
        "fingerprint": launch.fingerprint,
        "log": cleaned(launch.log),
        "launched_at": launch.started.isoformat(),
        "committed_at": None if launch.committed is None else launch.committed.isoformat(),
        "owner": {
            "host": clean(owner.host),
            "namespace": owner.namespace,
            "pid": owner.pid,
            "started": owner.started,
        },
        "targets": [document_of(record) for record in batch.targets],
    }
    if batch.submitted:
        document["submitted"] = True
    return document


def owner_of(args: Document) -> Owner:
    """Returns the owner that :func:`args_of` stored."""
    owner = args["owner"]
    return Owner(owner["host"], owner["namespace"], owner["pid"], owner["started"])


def document_of(record: TargetRecord) -> Document:
    """Returns the document of one target."""
    document: Document = {
        "asset": clean(record.target.asset),
        "partition": cleaned(record.target.partition),
        "kind": record.kind,
        "action": record.action,
        "files": [_file(path, oid) for path, oid in record.files],
    }
    if record.time is not None:
        document["time"] = record.time.isoformat()
    if record.reason is not None:
        document["reason"] = record.reason
    if record.rows is not None:
        document["rows"] = [record.rows.inserted, record.rows.updated, record.rows.deleted]
    return document


def target_of(document: Document) -> TargetRecord:
    """Returns the target that :func:`args_of` stored as this document."""
    time = document.get("time")
    rows = document.get("rows")
    return TargetRecord(
        Target(document["asset"], document["partition"]),
        document["kind"],
        document["action"],
        tuple(_file_of(file) for file in document["files"]),
        None if time is None else datetime.fromisoformat(time),
        None if rows is None else Rows(*rows),
        document.get("reason"),
    )


def targets_of(args: Document) -> list[TargetRecord]:
    """Returns all targets that :func:`args_of` stored."""
    return [target_of(document) for document in args["targets"]]


def _file(path: bytes, oid: str | None) -> Document:
    try:
        return {"path": path.decode("utf-8"), "oid": oid}
    except UnicodeDecodeError:
        return {"path": path.decode("utf-8", "replace"), "path_hex": path.hex(), "oid": oid}


def _file_of(document: Document) -> FileVersion:
    exact = document.get("path_hex")
    return document["path"].encode() if exact is None else bytes.fromhex(exact), document["oid"]


def key_of(target: Target) -> Target:
    """Returns the target as the columns spell it."""
    return Target(clean(target.asset), cleaned(target.partition))


def extra_of(outcome: TargetOutcome | None) -> Document | None:
    """Returns the values of a target that have no column of their own.

    Args:
        outcome: None for a target that the launch did not reach.
    """
    if outcome is None:
        return {"reached": False}
    extra: Document = {}
    if outcome.error is not None:
        extra["error"] = shortened(outcome.error)
        # The runner's error of the step that was cut off, and of those that waited for it, begins so.
        if outcome.error.startswith("interrupted "):
            extra["interrupted"] = True
    extra |= {name: True for name in ("canceled", "unsteady") if getattr(outcome, name)}
    return extra or None


def has_failed(extra: Mapping[str, Any] | None) -> bool:
    """Says whether a target without success was really run: it was reached and not interrupted."""
    return extra is None or (extra.get("reached", True) and not extra.get("interrupted", False))


def shortened(error: str) -> str:
    """Returns an error as it is stored: its beginning and its end."""
    text = clean(error)
    if len(text) <= MAX_ERROR:
        return text
    return f"{text[: MAX_ERROR // 2]}\n…\n{text[-MAX_ERROR // 2 :]}"


def error_type(error: str) -> str | None:
    """Returns the class that an error's text begins with, as Python shows errors; None if there is none."""
    if error.startswith("asset check "):
        return "AssetCheckFailed"
    named = _CLASS.match(error)
    return None if named is None else named[1]


def stack_hash(error: str) -> str:
    """Returns one hash for all errors from the same place: SHA-256 in hexadecimal.

    Files, functions and the error's class count. Without a traceback the words count, without numbers and
    names.
    """
    frames = ["in ".join(found) for found in _FRAME.findall(error)]
    told = [error_type(error) or "", *frames] if frames else [_VARYING.sub("*", error)]
    return hashlib.sha256("\n".join(told).encode("utf-8", "replace")).hexdigest()
