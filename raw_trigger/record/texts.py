"""The small files of a recorded tree: what they are called, how they are written and read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from raw_trigger.documents import load_json
from raw_trigger.model.changes import is_below, show, to_bytes
from raw_trigger.model.owner import Owner
from raw_trigger.model.record import Fed, Launch, Reflected, content_text, read_content
from raw_trigger.record.data import DATA, FOLDER

EXCEPTIONS = f"{FOLDER}/exceptions"
CONTENTS = f"{FOLDER}/contents"
RULES = f"{FOLDER}/rules"
ASSUMED = f"{FOLDER}/assumed"
LAUNCHES = f"{FOLDER}/launches"
INSTANCE = f"{FOLDER}/instance"
CODE = f"{FOLDER}/code"
OWN = frozenset(
    name.encode() for name in (EXCEPTIONS, CONTENTS, RULES, DATA, ASSUMED, LAUNCHES, INSTANCE, CODE)
)
"""What this version knows the meaning of; what else a record holds was written by a newer one."""
TEXTS = (RULES.encode(), INSTANCE.encode(), CODE.encode())


def read_rules(text: bytes) -> str:
    """Returns the rules as text.

    Raises:
        ValueError: these are none, or a newer version's.
    """
    try:
        document = load_json(text)
        if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
            raise ValueError("it has no list of rules")  # noqa: TRY301, TRY004
        if document.get("version") != 1:
            raise ValueError(f"its version is {document.get('version')!r}, not 1")  # noqa: TRY301
        return text.decode()
    except ValueError as error:
        raise ValueError(f"{RULES}: {error}") from error


def read_line(name: str, told: Mapping[bytes, bytes]) -> str | None:
    """Returns the one line that a file holds; None if it is not there.

    Raises:
        ValueError: it is no text.
    """
    text = told.get(name.encode())
    try:
        return None if text is None else text.decode().strip()
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def read_exception(name: bytes, text: bytes) -> tuple[bytes, Reflected]:
    """Returns the path that a file of exceptions is about, and what its targets reflect.

    Raises:
        ValueError: it is no such file.
        TypeError: the same.
    """
    document = load_json(text)
    if not isinstance(document, dict) or document.keys() != {"path", "targets"}:
        raise ValueError("it is no object of a path and targets")
    path, targets = _raw_path(document["path"]), document["targets"]
    if exception_path(path) != name:
        raise ValueError("it is about another path than it is named after")
    if not isinstance(targets, dict):
        raise TypeError(f"{str(targets)[:100]!r} is no content")
    return path, {target: read_content(value) for target, value in targets.items()}


def _raw_path(path: object) -> bytes:
    if not isinstance(path, str) or not is_below(path) or is_own(to_bytes(path)):
        raise ValueError(f"{str(path)[:200]!r} is no path of a file")
    return to_bytes(path)


def launch_of(path: bytes) -> str:
    """Returns the id of the launch that a file is about.

    Raises:
        ValueError: it is not named after one.
    """
    name = show(path).removeprefix(f"{LAUNCHES}/")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}\.json", name):
        raise ValueError("it is not named after a launch")
    return name.removesuffix(".json")


def read_launch(text: bytes) -> Launch:
    """Returns the launch that a file holds.

    Raises:
        ValueError: it is no such file.
        KeyError: the same.
        TypeError: the same.
        AttributeError: the same.
    """
    document: Any = load_json(text)
    owner, started = document["owner"], document["started"]
    if datetime.fromisoformat(started).tzinfo is None:
        raise ValueError(f"{started!r} has no time zone")
    return Launch(
        paths=_fed(document["unknown"]),
        face=str(document["face"]),
        started=started,
        owner=None
        if owner is None
        else Owner(str(owner["host"]), str(owner["namespace"]), int(owner["pid"]), str(owner["started"])),
        contested=_fed(document["contested"]),
        submitted=document["submitted"] is True,
        top=str(document["top"]),
        commit=str(document["commit"]),
        moment=None if document["moment"] is None else float(document["moment"]),
    )


def launch_text(launch: Launch) -> str:
    """Returns what :func:`read_launch` reads."""
    document = {
        "face": launch.face,
        "started": launch.started,
        "owner": None if launch.owner is None else asdict(launch.owner),
        "submitted": launch.submitted,
        "top": launch.top,
        "commit": launch.commit,
        "moment": launch.moment,
        "unknown": _grouped(launch.paths),
        "contested": _grouped(launch.contested),
    }
    return json.dumps(document, indent=1) + "\n"


def _fed(groups: Any) -> Fed:
    found: dict[bytes, frozenset[str]] = {}
    for group in groups:
        targets = frozenset(map(str, group["targets"]))
        found |= dict.fromkeys(map(_raw_path, group["paths"]), targets)
    return found


def _grouped(fed: Fed) -> list[dict[str, list[str]]]:
    """Paths with the same targets together: a launch of everything may have very many of them."""
    groups: dict[frozenset[str], list[str]] = {}
    for path, targets in sorted(fed.items()):
        groups.setdefault(targets, []).append(show(path))
    return [{"targets": sorted(targets), "paths": paths} for targets, paths in groups.items()]


def is_own(path: bytes) -> bool:
    """Says whether a path of the recorded tree is no raw file."""
    return path.startswith(FOLDER.encode() + b"/")


def exception_path(path: bytes) -> bytes:
    """Returns where the exceptions of a path are."""
    return f"{EXCEPTIONS}/{hashlib.sha256(path).hexdigest()}.json".encode()


def exception_text(path: bytes, exceptions: Reflected) -> str:
    """Returns what :func:`read_exception` reads."""
    targets = {target: content_text(told) for target, told in exceptions.items()}
    return json.dumps({"path": show(path), "targets": targets}, sort_keys=True, indent=1) + "\n"
