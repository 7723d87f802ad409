"""Shows the ledger to a person and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from raw_trigger.model.changes import show
from raw_trigger.model.history import FileVersion, PastRun, PastTarget, RunStatus
from raw_trigger.model.text import sample
from raw_trigger.render import words
from raw_trigger.render.text import TextRenderer

VERSION = 1

Alive = Mapping[str, bool | None]
"""Launch id → whether the process of an open launch still exists; None if that cannot be told."""

_STYLES = {"success": "green", "failed": "red", "started": "cyan", "skipped": "yellow"}
_SIGNS = {"success": "✔", "failed": "✘", "started": "…", "skipped": "–"}
_SHORT = 8
_SHORT_OID = 12


@dataclass(frozen=True, slots=True)
class _Launch:
    """Holds the runs of one launch, which is one line; the line of a single run has the run's own id."""

    runs: Sequence[PastRun]

    @property
    def name(self) -> str:
        alone = len(self.runs) == 1
        return (self.runs[0].run_id if alone else self.runs[0].launch_id)[:_SHORT]

    @property
    def started(self) -> datetime:
        return min(run.started for run in self.runs)

    @property
    def status(self) -> RunStatus:
        # What was made first and failed kept nothing from being made.
        asked = [run for run in self.runs if not all(target.reason for target in run.targets)]
        known = {run.status for run in asked or self.runs}
        return "failed" if "failed" in known else "started" if "started" in known else "success"

    @property
    def took(self) -> str:
        ends = [run.ended for run in self.runs if run.ended is not None]
        if len(self.runs) == 1 or len(ends) < len(self.runs):
            return _seconds(self.runs[0].seconds if len(self.runs) == 1 else None)
        return _seconds((max(ends) - self.started).total_seconds())

    @property
    def face(self) -> str:
        return f"{self.runs[0].face} ({self.runs[0].environment})"

    @property
    def what(self) -> str:
        if len(self.runs) == 1:
            return _names(self.runs[0])
        shown, every = len(self.runs), self.runs[0].batches
        targets = [target.target for run in self.runs for target in run.targets]
        return f"{words.amount(targets)} in {shown if shown >= every else f'{shown} of {every}'} runs"


def _names(run: PastRun) -> str:
    return sample([words.printable(target.target.text) for target in run.targets], 3)


def overview(text: TextRenderer, runs: Sequence[PastRun], alive: Alive) -> None:
    """Writes a line for every launch, below it one for each of several runs and the beginning of errors."""
    launches: dict[str, list[PastRun]] = {}
    for run in runs:
        launches.setdefault(run.launch_id, []).append(run)
    rows = [_Launch(sorted(some, key=lambda run: run.batch)) for some in launches.values()]
    spent = (cell for row in rows for cell in (row.took, *(_seconds(run.seconds) for run in row.runs)))
    took = max(map(len, spent), default=0)
    faces = max((len(row.face) for row in rows), default=0)
    for row in rows:
        text.say(
            (row.name, "yellow"),
            f"  {_local(row.started)}  ",
            (f"{row.status:<7}", _STYLES[row.status]),
            f"  {row.took:>{took}}  {row.face:<{faces}}  {row.what}",
        )
        for run in row.runs:
            indent = " " * _SHORT + "  "
            if len(row.runs) > 1:
                text.say(
                    "  ",
                    (run.run_id[:_SHORT], "yellow"),
                    "  ",
                    (f"{run.status:<7}", _STYLES[run.status]),
                    f"  {_seconds(run.seconds):>{took}}  {_names(run)}",
                )
                indent += "  "
            if run.error:
                text.say(indent, (run.error.splitlines()[0], "red"))
            elif _is_lost(run, alive):
                text.say(indent, ("its process is gone", "red"))


def details(text: TextRenderer, runs: Sequence[PastRun], alive: Alive) -> None:
    """Writes everything that is known of some runs."""
    for number, run in enumerate(runs):
        if number:
            text.say("")
        _detail(text, run, alive)


def _detail(text: TextRenderer, run: PastRun, alive: Alive) -> None:
    errors = words.Errors()
    state = "started, and its process is gone" if _is_lost(run, alive) else run.status
    spent = "" if run.seconds is None else f" in {_seconds(run.seconds)}"
    text.say(("run ", "bold"), (run.run_id, "yellow"), "  ", (state, _STYLES[run.status]), spent)
    rows = [
        ("launch", run.launch_id),
        ("batch", f"{run.batch} of {run.batches}, {run.kind}"),
        ("Dagster", run.dagster_run_id),
        ("by", f"{run.face}, environment {run.environment}, process {run.owner.pid} on {run.owner.host}"),
        ("started", _local(run.started)),
        ("ended", None if run.ended is None else _local(run.ended)),
        ("commit", run.git_sha),
        ("printed", None if run.log is None else text.near(run.log)),
    ]
    for name, value in rows:
        if value is not None:
            text.say("  ", (f"{name:<9}", "dim"), value)
    for target in run.targets:
        _target(text, target, errors)
    if run.error and not any(target.error == run.error for target in run.targets):
        _lines(text, "  ", text.near(run.error), "red")


def _target(text: TextRenderer, target: PastTarget, errors: words.Errors) -> None:
    seconds = "" if target.seconds is None else f"  {_seconds(target.seconds)}"
    sign, style = _SIGNS[target.status], _STYLES[target.status]
    reason = "" if target.reason is None else f"  {target.reason}"
    name = words.printable(target.target.text)
    text.say("  ", (sign, style), f" {name}", (f"{seconds}{reason}", "dim"))
    for path, oid in target.files:
        text.say(f"      {words.printable(path)}  ", ((oid or "deleted")[:_SHORT_OID], "dim"))
    for check in target.checks:
        result = "passed" if check.passed else "failed"
        message = f": {check.message}" if check.message else ""
        text.say(f"      check {check.name} ", (result, "green" if check.passed else style), message)
    if target.error:
        _lines(text, "      ", text.near(errors.words(target.target, target.error)), style)


def _lines(text: TextRenderer, indent: str, many: str, style: str) -> None:
    for line in many.rstrip().splitlines():
        text.say(indent, (line, style))


def _is_lost(run: PastRun, alive: Alive) -> bool:
    return run.status == "started" and not run.submitted and alive.get(run.launch_id) is False


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"


def _local(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def as_json(runs: Sequence[PastRun], alive: Alive) -> Iterator[str]:
    """Yields the pieces of one JSON document: valid ASCII, all keys always present, times in UTC."""
    yield f'{{"version": {VERSION},\n "runs": ['
    separator = "\n  "
    for run in runs:
        yield separator + json.dumps(_run(run, alive))
        separator = ",\n  "
    yield "]}\n"


def _run(run: PastRun, alive: Alive) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "launch_id": run.launch_id,
        "dagster_run_id": run.dagster_run_id,
        "batch": run.batch,
        "batches": run.batches,
        "kind": run.kind,
        "face": run.face,
        "environment": run.environment,
        "status": run.status,
        "submitted": run.submitted,
        "alive": alive.get(run.launch_id) if run.status == "started" else None,
        "started_at": run.started.isoformat(),
        "ended_at": None if run.ended is None else run.ended.isoformat(),
        "seconds": run.seconds,
        "commit": run.git_sha,
        "fingerprint": run.fingerprint,
        "log": run.log,
        "app_version": run.app_version,
        "host": run.owner.host,
        "pid": run.owner.pid,
        "error_type": run.error_type,
        "error": run.error,
        "targets": [_past_target(target) for target in run.targets],
    }


def _past_target(past: PastTarget) -> dict[str, object]:
    rows = past.rows
    return {
        "asset": past.target.asset,
        "partition": past.target.partition,
        "kind": past.kind,
        "action": past.action,
        "reason": past.reason,
        "status": past.status,
        "seconds": past.seconds,
        "error": past.error,
        "rows": None
        if rows is None
        else {"added": rows.inserted, "removed": rows.deleted, "changed": rows.updated},
        "files": [_file(file) for file in past.files],
        "checks": [
            {
                "name": check.name,
                "status": "pass" if check.passed else "fail",
                "severity": check.severity,
                "message": check.message,
            }
            for check in past.checks
        ],
    }


def _file(file: FileVersion) -> dict[str, object]:
    path, oid = file
    return {"path": show(path), "oid": oid}
