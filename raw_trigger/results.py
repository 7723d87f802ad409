"""What runs came to, as files that travel from job to job, and put together again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from raw_trigger.documents import load_json
from raw_trigger.errors import RecordError
from raw_trigger.model.changes import DVC_MODE, Entry, is_pointer, show, to_bytes
from raw_trigger.model.record import Results, Verdict

_VERSION = 1
_MODES = frozenset({"100644", "100755", "120000", "160000"})
_OID = re.compile(r"(?!0+\Z)([0-9a-f]{40}|[0-9a-f]{64})\Z")
_DVC = re.compile(r"[0-9a-f]{32}(\.dir)?\Z")

Fed = Mapping[bytes, frozenset[str]]


def dumps(results: Results) -> str:
    """The results as ASCII JSON; paths as in ``--format json``."""
    document = {
        "version": _VERSION,
        "planned_with": results.planned_with,
        "rules": results.rules,
        "verdicts": [
            {
                "path": show(path),
                "mode": verdict.entry.mode if verdict.entry else None,
                "oid": verdict.entry.oid if verdict.entry else None,
                "targets": sorted(verdict.targets),
                "succeeded": sorted(verdict.succeeded),
                "alike": sorted(verdict.alike),
            }
            for path, verdict in sorted(results.verdicts.items())
        ],
        "unsure": _listed(results.unsure),
        "newly_fed": _listed(results.newly_fed),
        "planned": _listed(results.planned),
    }
    return json.dumps(document, indent=1) + "\n"


def loads(text: str | bytes, name: str, roots: Sequence[str]) -> Results:
    """The inverse of :func:`dumps`. Nothing in the file is believed that can be looked at.

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
        verdicts: dict[bytes, Verdict] = {}
        for item in _of(list, document["verdicts"], "verdicts"):
            path = _path(_of(dict, item, "a verdict")["path"], roots)
            if path in verdicts:
                raise ValueError(f"the path {item['path']!r} is there twice")  # noqa: TRY301
            verdicts[path] = _verdict(item)
        rules = document["rules"]
        return Results(
            planned_with=_oid(document["planned_with"]),
            verdicts=verdicts,
            unsure=_fed(document["unsure"], roots),
            rules=None if rules is None else _of(str, rules, "rules"),
            newly_fed=_fed(document["newly_fed"], roots),
            planned=_fed(document["planned"], roots),
        )
    except KeyError as error:
        raise _refused(name, f"{error} is missing") from error
    except (ValueError, TypeError) as error:
        raise _refused(name, str(error)) from error


def united(results: Iterable[Results]) -> list[Results]:
    """The results of several jobs as one, or as one for each record that they were planned with.

    Each job carried out other targets of a path, so a path is wholly reflected if all its targets succeeded
    in one job or another. Where jobs do not agree on what a path's content was, nobody knows what its
    targets reflect.
    """
    groups: dict[tuple[str, str | None], list[Results]] = {}
    for one in results:
        groups.setdefault((one.planned_with, one.rules), []).append(one)
    return [_one(group) for group in groups.values()]


def _one(group: list[Results]) -> Results:
    said: dict[bytes, list[Verdict]] = {}
    for one in group:
        for path, verdict in one.verdicts.items():
            said.setdefault(path, []).append(verdict)
    verdicts, unsure = {}, _joined(one.unsure for one in group)
    for path, each in said.items():
        targets = frozenset[str]().union(*(verdict.targets for verdict in each))
        succeeded = frozenset[str]().union(*(verdict.succeeded for verdict in each))
        if len({verdict.entry for verdict in each}) == 1:
            alike = frozenset[str]().union(*(verdict.alike for verdict in each))
            verdicts[path] = Verdict(each[0].entry, targets, succeeded, alike)
        else:
            unsure[path] = unsure.get(path, frozenset()) | succeeded
    return Results(
        planned_with=group[0].planned_with,
        verdicts=verdicts,
        unsure=unsure,
        rules=group[0].rules,
        newly_fed=_joined(one.newly_fed for one in group),
        planned=_joined(one.planned for one in group),
    )


def _joined(each: Iterable[Fed]) -> dict[bytes, frozenset[str]]:
    found: dict[bytes, frozenset[str]] = {}
    for fed in each:
        for path, targets in fed.items():
            found[path] = found.get(path, frozenset()) | targets
    return found


def _listed(fed: Fed) -> list[dict[str, Any]]:
    return [{"path": show(path), "targets": sorted(targets)} for path, targets in sorted(fed.items())]


def _fed(value: object, roots: Sequence[str]) -> dict[bytes, frozenset[str]]:
    found: dict[bytes, frozenset[str]] = {}
    for item in _of(list, value, "a list of paths"):
        path = _path(_of(dict, item, "one of its paths")["path"], roots)
        found[path] = found.get(path, frozenset()) | _targets(item["targets"])
    return found


def _verdict(item: dict[str, Any]) -> Verdict:
    targets, succeeded, alike = (_targets(item[name]) for name in ("targets", "succeeded", "alike"))
    if not succeeded | alike <= targets:
        raise ValueError(f"a target of {item['path']!r} succeeded that is none of its targets")
    if item["oid"] is None:
        return Verdict(None, targets, succeeded, alike)
    return Verdict(_entry(item), targets, succeeded, alike)


def _entry(item: dict[str, Any]) -> Entry:
    if item["mode"] == DVC_MODE and isinstance(item["oid"], str) and _DVC.match(item["oid"]):
        return Entry(DVC_MODE, item["oid"])
    if item["mode"] not in _MODES:
        raise ValueError(f"{item['mode']!r} is not the mode of a file")
    return Entry(item["mode"], _oid(item["oid"]))


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
