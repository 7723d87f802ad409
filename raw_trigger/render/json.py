"""Version 1 of the JSON format, written piece by piece: a large plan is never in memory twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from raw_trigger.model.changes import Change, show
from raw_trigger.model.outcome import Outcome
from raw_trigger.model.plan import Plan, PlannedChange, PlannedTarget, Target

VERSION = 1


def render(plan: Plan, outcome: Outcome | None = None) -> Iterator[str]:
    """Yields the pieces of one JSON document: valid ASCII for all file names, all keys always present."""
    base, desired = plan.base, plan.desired
    yield "{" + f'"version": {VERSION},\n "environment": {json.dumps(plan.environment)},\n "base": '
    yield json.dumps({"kind": base.kind, "name": base.name, "oid": base.oid, "reason": base.reason})
    yield ',\n "target": ' + json.dumps({"kind": desired.kind, "name": desired.name, "oid": desired.oid})
    yield ',\n "changes": ['
    yield from _items(_change(planned) for planned in plan.changes)
    yield '],\n "targets": ['
    yield from _items(_target(target) for target in plan.targets)
    yield f'],\n "fingerprint": {json.dumps(plan.fingerprint)},\n "outcome": '
    yield json.dumps(None if outcome is None else _outcome(outcome))
    yield "}\n"


def render_outcome(environment: str, outcome: Outcome) -> Iterator[str]:
    """Yields the pieces of a document with what became of earlier launches."""
    document = {"version": VERSION, "environment": environment, "outcome": _outcome(outcome)}
    yield json.dumps(document, indent=1) + "\n"


def _items(items: Iterable[dict[str, object]]) -> Iterator[str]:
    separator = "\n  "
    for item in items:
        yield separator + json.dumps(item)
        separator = ",\n  "


def _named(target: Target) -> dict[str, object]:
    return {"asset": target.asset, "partition": target.partition}


def _change(planned: PlannedChange) -> dict[str, object]:
    change = planned.change
    return {
        "status": change.status,
        "path": show(change.path),
        "old_path": None if change.old_path is None else show(change.old_path),
        "old_oid": None if change.old is None else change.old.oid,
        "new_oid": None if change.new is None else change.new.oid,
        "content": content(change),
        "rule": planned.rule,
        "disposition": planned.disposition,
        "reason": planned.reason,
        "rows": None if planned.rows is None else asdict(planned.rows),
        "targets": [_named(target) for target in planned.targets],
    }


def content(change: Change) -> str:
    """Returns the kind of content that is, or was, at the path."""
    entry = change.new or change.old
    return "blob" if entry is None else entry.content


def _target(planned: PlannedTarget) -> dict[str, object]:
    return {
        **_named(planned.target),
        "job": planned.target.job,
        "action": planned.action,
        "reason": planned.reason,
        "paths": [show(path) for path in planned.paths],
        "origin": planned.origin,
        "batch": planned.batch or None,
    }


def _outcome(outcome: Outcome) -> dict[str, object]:
    return {
        "status": outcome.status,
        "run_ids": list(outcome.run_ids),
        "seconds": round(outcome.seconds, 3),
        "targets": [
            {
                **_named(done.target),
                "status": done.status,
                "reason": done.reason,
                "run_id": done.run_id,
                "seconds": None if done.seconds is None else round(done.seconds, 3),
                "error": done.error,
                "checks": [
                    {
                        "name": check.name,
                        "status": "pass" if check.passed else "fail",
                        "severity": check.severity,
                        "message": check.message,
                    }
                    for check in done.checks
                ],
            }
            for done in outcome.targets
        ],
    }
