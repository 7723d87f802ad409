"""Writes and reads plans and outcomes that go from job to job, in version 1 of the JSON format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from raw_trigger.documents import load_json
from raw_trigger.errors import UsageError
from raw_trigger.model.changes import SUBMODULE_MODE, SYMLINK_MODE, Base, Change, Desired, Entry, to_bytes
from raw_trigger.model.outcome import CheckResult, Outcome, TargetOutcome, summarize
from raw_trigger.model.plan import Plan, PlannedChange, PlannedTarget, Target
from raw_trigger.model.record import Results
from raw_trigger.model.rows import RowCounts
from raw_trigger.record import results as travelling
from raw_trigger.render import json as rendered

_AGAIN = "run the whole workflow again"
_MODES = {"symlink": SYMLINK_MODE, "submodule": SUBMODULE_MODE}


@dataclass(frozen=True, slots=True)
class Part:
    """Holds what one job of a matrix did.

    ``batch`` is its number; ``results`` is None if there is nothing to record.
    """

    batch: int
    plan: Plan
    outcome: Outcome | None
    results: Results | None


def write_part(part: Part) -> str:
    """Returns the part as JSON."""
    plan = "".join(with_told(rendered.render(part.plan, part.outcome), part.plan))
    kept = "null" if part.results is None else travelling.dumps(part.results)
    return f'{{"version": 1, "batch": {part.batch}, "plan": {plan}, "results": {kept}}}\n'


def with_told(document: Iterable[str], plan: Plan) -> Iterator[str]:
    """Yields the pieces of a plan's JSON document with its ``errors`` and ``warnings`` added."""
    held = ""
    for piece in document:
        yield held
        held = piece
    end = held.rfind("}")
    told = {"errors": plan.errors, "warnings": plan.warnings}
    more = "".join(f",\n {json.dumps(key)}: {json.dumps(value)}" for key, value in told.items())
    yield held[:end] + more + held[end:]


def read_part(text: bytes, name: str, roots: Sequence[str]) -> Part:
    """Returns the part that :func:`write_part` wrote.

    Args:
        name: The file's name, for messages.

    Raises:
        UsageError: the text is no such file.
        RecordError: it contains something that cannot be recorded.
    """
    try:
        document = load_json(text)
        if document["version"] != 1 or type(document["batch"]) is not int:
            raise ValueError("it is of another version")  # noqa: TRY301
        plan, outcome = _plan(document["plan"])
        kept = document["results"]
        results = None if kept is None else travelling.loads(json.dumps(kept), name, roots)
        return Part(document["batch"], plan, outcome, results)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{name} is not what a job of the matrix wrote: {error!r}", _AGAIN) from None


def read_plan(text: bytes, name: str) -> Plan:
    """Returns the plan of a plan file.

    Raises:
        UsageError: the text is no plan file.
    """
    try:
        return _plan(load_json(text))[0]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"the plan file {name} cannot be read: {error!r}", _AGAIN) from None


def united(plan: Plan, parts: Iterable[Part]) -> tuple[Plan, Outcome | None]:
    """Returns the whole plan, corrected by the parts as the jobs planned them, and the outcome of all jobs.

    Args:
        plan: The plan that the workflow began with, perhaps without the catalog.
    """
    known = sorted(parts, key=lambda part: part.batch)
    if not known:
        return plan, None
    changes = {planned.change.path: planned for planned in plan.changes}
    targets: dict[Target, PlannedTarget] = {}
    done: list[TargetOutcome] = []
    run_ids: list[str] = []
    for part in known:
        changes |= {planned.change.path: planned for planned in part.plan.changes}
        targets |= {planned.target: planned for planned in part.plan.targets}
        if part.outcome is not None:
            done += part.outcome.targets
            run_ids += part.outcome.run_ids
    plans = [plan, *(part.plan for part in known)]
    whole = replace(
        plan,
        errors=tuple(dict.fromkeys(error for one in plans for error in one.errors)),
        warnings=tuple(dict.fromkeys(warning for one in plans for warning in one.warnings)),
        changes=tuple(changes[path] for path in sorted(changes)),
        targets=tuple(targets[t] for t in sorted(targets, key=lambda t: t.text)),
    )
    seconds = max((part.outcome.seconds for part in known if part.outcome is not None), default=0.0)
    outcome = Outcome(summarize(tuple(done)), tuple(done), tuple(run_ids), seconds)
    return whole, outcome


def _plan(document: Mapping[str, Any]) -> tuple[Plan, Outcome | None]:
    base, desired = document["base"], document["target"]
    plan = Plan(
        environment=document["environment"],
        base=Base(base["kind"], base["name"], base["oid"], base["reason"]),
        desired=Desired(desired["kind"], desired["name"], desired["oid"]),
        changes=tuple(_change(item) for item in document["changes"]),
        targets=tuple(_target(item) for item in document["targets"]),
        fingerprint=document["fingerprint"],
        errors=_sentences(document["errors"]),
        warnings=_sentences(document["warnings"]),
    )
    return plan, None if document["outcome"] is None else _outcome(document["outcome"])


def _sentences(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("there is no list of sentences")
    return tuple(value)


def _change(item: Mapping[str, Any]) -> PlannedChange:
    mode = _MODES.get(item["content"], "100644")
    old, new = (None if oid is None else Entry(mode, oid) for oid in (item["old_oid"], item["new_oid"]))
    if item["status"] == "type-changed" and old is not None:
        old = replace(old, mode="100644" if mode != "100644" else SYMLINK_MODE)
    origin = item["old_path"]
    return PlannedChange(
        Change(to_bytes(item["path"]), old, new, None if origin is None else to_bytes(origin)),
        item["disposition"],
        item["rule"],
        item["reason"],
        tuple(_named(target) for target in item["targets"]),
        None if item["rows"] is None else RowCounts(**item["rows"]),
    )


def _target(item: Mapping[str, Any]) -> PlannedTarget:
    return PlannedTarget(
        target=_named(item),
        action=item["action"],
        origin=item["origin"],
        batch=item["batch"] or 0,
        reason=item["reason"],
        paths=tuple(to_bytes(path) for path in item["paths"]),
    )


def _named(item: Mapping[str, Any]) -> Target:
    return Target(item["asset"], item["partition"])


def _outcome(item: Mapping[str, Any]) -> Outcome:
    done = tuple(
        TargetOutcome(
            target=_named(one),
            status=one["status"],
            run_id=one["run_id"],
            seconds=one["seconds"],
            error=one["error"],
            checks=tuple(
                CheckResult(check["name"], check["status"] == "pass", check["severity"], check["message"])
                for check in one["checks"]
            ),
            first=one["reason"] is not None,
        )
        for one in item["targets"]
    )
    return Outcome(item["status"], done, tuple(item["run_ids"]), item["seconds"])
