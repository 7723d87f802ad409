"""What runs came to, as files that travel from job to job, and put together again."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from raw_trigger.documents import load_json
from raw_trigger.errors import RecordError
from raw_trigger.model.changes import Entry, is_pointer, show, to_bytes
from raw_trigger.model.record import UNKNOWN, Learnt, Results, content_text, read_content

_VERSION = 1
_OID = re.compile(r"(?!0+\Z)([0-9a-f]{40}|[0-9a-f]{64})\Z")


def dumps(results: Results) -> str:
    """Returns the results as ASCII JSON; paths as in ``--format json``."""
    document = {
        "version": _VERSION,
        "planned_with": results.planned_with,
        "launch": results.launch,
        "made": dict(sorted(results.made.items())),
        "rules_before": results.rules_before,
        "rules": results.rules,
        "code": results.code,
        "learnt": [
            {
                "path": show(path),
                "content": content_text(one.entry),
                "targets": None if one.targets is None else sorted(one.targets),
                "reflects": {name: content_text(told) for name, told in sorted(one.reflects.items())},
                "equivalent": {name: content_text(told) for name, told in sorted(one.equivalent.items())},
            }
            for path, one in sorted(results.learnt.items())
        ],
        "edited": [
            {"path": show(path), "targets": sorted(targets)}
            for path, targets in sorted(results.edited.items())
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def loads(text: str | bytes, name: str, roots: Sequence[str]) -> Results:
    """Returns what :func:`dumps` wrote. Nothing in the file is believed that can be looked at.

    Args:
        name: What the file is called, for messages.
        roots: The raw roots: a path that is not below one is refused.

    Raises:
        RecordError: it is no such file.
    """
    try:
        document = load_json(text)
        if _of(dict, document, "the document").get("version") != _VERSION:
            raise ValueError(f"its version is {document.get('version')!r}, not {_VERSION}")  # noqa: TRY301
        learnt: dict[bytes, Learnt] = {}
        for item in _of(list, document["learnt"], "what was learnt"):
            path = _path(_of(dict, item, "one of its paths")["path"], roots)
            if path in learnt:
                raise ValueError(f"the path {item['path']!r} is there twice")  # noqa: TRY301
            learnt[path] = _learnt(item)
        edited = {
            _path(item["path"], roots): _targets(item["targets"])
            for item in _of(list, document["edited"], "what was edited")
        }
        return Results(
            planned_with=_oid(document["planned_with"]),
            learnt=learnt,
            launch=_text(document["launch"], "the launch"),
            made={
                _of(str, name, "a target"): _oid(tree)
                for name, tree in _of(dict, document["made"], "what was made").items()
            },
            rules_before=_text(document["rules_before"], "rules"),
            rules=_text(document["rules"], "rules"),
            edited=edited,
            code=None if document["code"] is None else _oid(document["code"]),
        )
    except KeyError as error:
        raise _refused(name, f"{error} is missing") from error
    except (ValueError, TypeError) as error:
        raise _refused(name, str(error)) from error


def united(results: Sequence[Results]) -> Results:
    """Returns the results of several jobs of one launch as one.

    Each job carried out other targets of a path. Where they do not agree on what the path's content was,
    nobody knows what its targets reflect.
    """
    first = results[0]
    said: dict[bytes, list[Learnt]] = {}
    edited: dict[bytes, frozenset[str]] = {}
    for one in results:
        for path, learnt in one.learnt.items():
            said.setdefault(path, []).append(learnt)
        for path, targets in one.edited.items():
            edited[path] = edited.get(path, frozenset()) | targets
    return replace(
        first,
        learnt={path: _together(each) for path, each in said.items()},
        made={name: tree for one in results for name, tree in one.made.items()},
        edited=edited,
    )


def _together(each: Sequence[Learnt]) -> Learnt:
    whole = [one for one in each if one.targets is not None]
    reflects: dict[str, Entry | None] = {}
    for one in each:
        reflects |= {
            name: told if reflects.get(name, told) == told else UNKNOWN for name, told in one.reflects.items()
        }
    if len({one.entry for one in whole}) != 1:
        return Learnt.unknown(reflects) if whole else Learnt(None, None, reflects)
    targets = frozenset[str]().union(*(one.targets or () for one in whole))
    equivalent = {
        name: told for one in whole for name, told in one.equivalent.items() if name not in reflects
    }
    return Learnt(whole[0].entry, targets, reflects, equivalent)


def _learnt(item: dict[str, Any]) -> Learnt:
    targets = None if item["targets"] is None else _targets(item["targets"])
    reflects, equivalent = (
        {_of(str, name, "a target"): read_content(told) for name, told in _of(dict, item[key], key).items()}
        for key in ("reflects", "equivalent")
    )
    if targets is not None and not reflects.keys() | equivalent.keys() <= targets:
        raise ValueError(f"something is said of {item['path']!r} of a target that is none of it")
    entry = read_content(item["content"])
    if entry == UNKNOWN:
        raise ValueError(f"the content of {item['path']!r} is not known")
    return Learnt(entry, targets, reflects, equivalent)


def _text(value: object, what: str) -> str | None:
    return None if value is None else str(_of(str, value, what))


def _targets(value: object) -> frozenset[str]:
    return frozenset(_of(str, target, "a target") for target in _of(list, value, "targets"))


def _oid(value: object) -> str:
    if not isinstance(value, str) or not _OID.match(value):
        raise ValueError(f"{value!r} is not an object id")
    return value


def _path(value: object, roots: Sequence[str]) -> bytes:
    """A path under a root, or of a pointer file of DVC's in a folder above one."""
    path = to_bytes(_of(str, value, "a path"))
    parts = path.split(b"/")
    if b"\0" in path or any(part.lower() in (b"", b".", b"..", b".git") for part in parts):
        raise ValueError(f"{value!r} is not a path of a repository")
    folder = path.rpartition(b"/")[0]
    around = is_pointer(path) and any(
        not folder or to_bytes(root).startswith(folder + b"/") for root in roots
    )
    inside = around or any(
        root == "." or path.startswith(to_bytes(root) + b"/") or path == to_bytes(root) for root in roots
    )
    if not inside or parts[0] == b".raw-trigger":
        raise ValueError(f"the path {value!r} is under no raw root")
    return path


def _of(kind: type[Any], value: object, what: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{what} is {value!r:.40}")  # noqa: TRY004
    return value


def _refused(name: str, why: str) -> RecordError:
    return RecordError(
        f"{name} does not hold the results of a run: {why}",
        "results are written by `raw-trigger ci` of the same version; what they were for is still pending",
    )
