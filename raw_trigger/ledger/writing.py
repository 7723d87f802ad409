"""Writes the rows of launches that start and of launches that end."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, bindparam, select

from raw_trigger.ledger import documents, tables
from raw_trigger.ledger.documents import Document
from raw_trigger.model.history import LaunchRecord, TargetRecord
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import Target

Row = dict[str, Any]

PROVIDER = "git"
BACKEND = "dagster"
"""The storage that a run writes to, as far as we know: Dagster decides which."""


@dataclass(frozen=True)
class Ending:
    """Says how a launch ended; :meth:`raw_trigger.ledger.Ledger.finish` describes the fields."""

    outcomes: Sequence[TargetOutcome]
    ended: datetime
    told: Mapping[Target, datetime]
    error: BaseException | None = None
    log: str | None = None
    first: Sequence[TargetRecord] = ()

    def known_at(self, target: Target) -> datetime:
        """Returns when the target's outcome was known."""
        return self.told.get(target, self.ended)


def started_rows(launch: LaunchRecord, app_version: str, place: str) -> list[Row]:
    """Returns one row for every batch of a launch that is about to start."""
    return [
        {
            "run_id": batch.run_id,
            "parent_run_id": batch.dagster_run_id,
            "job_name": batch.kind,
            "triggered_by": launch.face,
            "status": "started",
            "started_at": launch.started,
            "provider": PROVIDER,
            "storage_backend": BACKEND,
            "args_json": documents.args_of(launch, batch, place),
            "git_sha": launch.git_sha,
            "app_version": app_version,
        }
        for batch in launch.batches
    ]


def insert_runs(connection: Connection, rows: list[Row]) -> None:
    """Writes the rows of a launch."""
    connection.execute(tables.runs.insert(), rows)


def close(connection: Connection, launch_id: str, ending: Ending) -> None:
    """Writes the outcomes of the open batches of a launch."""
    runs = tables.runs
    wanted = (
        select(runs)
        .where(
            runs.c.status == "started",
            runs.c.provider == PROVIDER,
            runs.c.args_json["launch"].as_string() == launch_id,
        )
        .order_by(runs.c.started_at)
    )
    if connection.dialect.name == "postgresql":
        # Two processes may close the same dead launch. SQLite and DuckDB let one of them write at a time.
        wanted = wanted.with_for_update()
    by_target = {documents.key_of(outcome.target): outcome for outcome in ending.outcomes}
    newest: dict[str, dict[str, tuple[datetime, Row]]] = {}
    open_rows = [dict(found) for found in connection.execute(wanted).mappings().all()]
    rows = [row for one in open_rows for row in _split(connection, one, by_target)]
    for row in (*_further(connection, open_rows[:1], by_target, ending.first), *rows):
        _close_run(connection, row, by_target, ending, newest)
    for scope, marks in newest.items():
        _raise_watermarks(connection, scope, marks)


def _split(connection: Connection, row: Row, by_target: Mapping[Target, TargetOutcome]) -> list[Row]:
    """Returns the row, and one more for every further Dagster run that the batch needed."""
    members: list[tuple[Document, str | None]] = []
    for document in row["args_json"]["targets"]:
        outcome = by_target.get(Target(document["asset"], document["partition"]))
        members.append((document, None if outcome is None else outcome.run_id))
    used = [run_id for _, run_id in members if run_id is not None]
    first = used[0] if used and row["parent_run_id"] not in used else row["parent_run_id"]
    groups: dict[str | None, list[Document]] = {first: []}
    for document, run_id in members:
        groups.setdefault(run_id or first, []).append(document)
    rows = []
    for run_id, targets in groups.items():
        part = {**row, "parent_run_id": run_id, "args_json": {**row["args_json"], "targets": targets}}
        if run_id != first:
            part["run_id"] = str(uuid.uuid4())
            insert_runs(connection, [part])
        rows.append(part)
    return rows


def _further(
    connection: Connection,
    like: Sequence[Row],
    by_target: Mapping[Target, TargetOutcome],
    records: Sequence[TargetRecord],
) -> list[Row]:
    """Returns new rows for the Dagster runs of targets outside the launch's plan, each like an old row."""
    groups: dict[str | None, list[Document]] = {}
    for record in records:
        outcome = by_target[documents.key_of(record.target)]
        groups.setdefault(outcome.run_id, []).append(documents.document_of(record))
    rows = [
        {
            **row,
            "run_id": str(uuid.uuid4()),
            "parent_run_id": run_id,
            "job_name": "materialize",
            "args_json": {**row["args_json"], "targets": targets},
        }
        for row in like
        for run_id, targets in groups.items()
    ]
    if rows:
        insert_runs(connection, rows)
    return rows


def _close_run(
    connection: Connection,
    row: Row,
    by_target: Mapping[Target, TargetOutcome],
    ending: Ending,
    newest: dict[str, dict[str, tuple[datetime, Row]]],
) -> None:
    args: Document = row["args_json"]
    records = {record.target: record for record in documents.targets_of(args)}
    before = _written(connection, row["run_id"])
    told = {target: by_target[target] for target in records if target in by_target and target not in before}
    submitted = any(outcome.status == "submitted" for outcome in told.values())
    new = [
        _asset_row(row["run_id"], records[target], told.get(target), ending)
        for target in records
        if target not in before and (told[target].status != "submitted" if target in told else not submitted)
    ]
    if new:
        connection.execute(tables.assets.insert(), new)
    checks = [check for outcome in told.values() for check in _check_rows(row["run_id"], outcome, ending)]
    if checks:
        connection.execute(tables.checks.insert(), checks)
    _note_watermarks(row, [r for r in new if r["status"] == "success"], records, newest)
    succeeded = all(status == "success" for status in (*before.values(), *(r["status"] for r in new)))
    args = {**args, "log": documents.cleaned(ending.log) or args.get("log")}
    args.pop("submitted", None)
    if submitted:
        values: Row = {"args_json": {**args, "submitted": True}}
    else:
        begun = [r["started_at"] for r in new if r["duration_ms"] is not None]
        started = min(begun) if begun and not before else row["started_at"]
        ended = max((r["ended_at"] for r in new), default=ending.ended)
        values = {
            "args_json": args,
            "status": "success" if succeeded else "failed",
            "started_at": started,
            "ended_at": ended,
            "duration_ms": max(0, _milliseconds(ended - started)),
            **({} if succeeded else _errors(told.values(), ending.error)),
        }
    values["parent_run_id"] = row["parent_run_id"]
    update = tables.runs.update().where(tables.runs.c.run_id == row["run_id"])
    connection.execute(update.values(values))


def _written(connection: Connection, run_id: str) -> dict[Target, str]:
    """Returns the closed targets of a run with their status: those of a submitted run end one by one."""
    assets = tables.assets
    query = select(assets.c.asset_key, assets.c.partition_key, assets.c.status).where(
        assets.c.run_id == run_id
    )
    return {Target(asset, partition): status for asset, partition, status in connection.execute(query)}


def _asset_row(run_id: str, record: TargetRecord, outcome: TargetOutcome | None, ending: Ending) -> Row:
    ended = ending.ended if outcome is None else ending.known_at(outcome.target)
    seconds = None if outcome is None else outcome.seconds
    succeeded = outcome is not None and outcome.status == "success"
    rows = record.rows if succeeded else None
    return {
        "run_id": run_id,
        "asset_key": record.target.asset,
        "asset_kind": record.kind,
        "partition_key": record.target.partition,
        "status": "skipped" if outcome is None else outcome.status,
        "rows_inserted": None if rows is None else rows.inserted,
        "rows_updated": None if rows is None else rows.updated,
        "rows_deleted": None if rows is None else rows.deleted,
        "min_event_ts": record.time,
        "max_event_ts": record.time,
        "extra_json": documents.extra_of(outcome),
        "started_at": ended if seconds is None else ended - timedelta(seconds=seconds),
        "ended_at": ended,
        "duration_ms": None if seconds is None else round(seconds * 1000),
    }


def _check_rows(run_id: str, outcome: TargetOutcome, ending: Ending) -> list[Row]:
    target = documents.key_of(outcome.target)
    return [
        {
            "check_id": str(uuid.uuid4()),
            "asset_key": target.asset,
            "partition_key": target.partition,
            "check_name": documents.clean(check.name),
            "severity": check.severity.lower(),
            "status": "pass" if check.passed else "fail",
            "checked_at": ending.known_at(outcome.target),
            "message": None if check.message is None else documents.shortened(check.message),
            "run_id": run_id,
        }
        for check in outcome.checks
    ]


def _errors(outcomes: Iterable[TargetOutcome], ended_by: BaseException | None) -> Row:
    """Returns the error columns of a failed run.

    They describe the error of its first failed target, else what ended the launch.
    """
    failed = [o.error for o in outcomes if o.status == "failed" and o.error is not None]
    if failed:
        text, kind = failed[0], documents.error_type(failed[0])
    elif ended_by is not None:
        text, kind = str(ended_by) or type(ended_by).__name__, type(ended_by).__name__
    else:
        return {}
    return {
        "error_type": kind,
        "error_message": documents.shortened(text),
        "error_stack_hash": documents.stack_hash(text),
    }


def _note_watermarks(
    row: Row,
    succeeded: Iterable[Row],
    records: Mapping[Target, TargetRecord],
    newest: dict[str, dict[str, tuple[datetime, Row]]],
) -> None:
    args: Document = row["args_json"]
    otherwise = datetime.fromisoformat(args["committed_at"] or args["launched_at"])
    marks = newest.setdefault(args["environment"], {})
    for asset in succeeded:
        key = asset["asset_key"]
        moment = records[Target(key, asset["partition_key"])].time or otherwise
        if key not in marks or marks[key][0] <= moment:
            marks[key] = (moment, asset)


def _raise_watermarks(connection: Connection, scope: str, marks: Mapping[str, tuple[datetime, Row]]) -> None:
    """Writes the watermarks that are newer than the stored ones: a watermark never falls."""
    table: Table = tables.watermarks
    query = select(table.c.asset_key, table.c.watermark_ts).where(table.c.scope_key == scope)
    before = {row.asset_key: row.watermark_ts for row in connection.execute(query)}
    rows = [
        {
            "asset": key,
            "watermark_ts": moment,
            "updated_at": asset["ended_at"],
            "last_run_id": asset["run_id"],
        }
        for key, (moment, asset) in sorted(marks.items())
        if before.get(key) is None or before[key] <= moment
    ]
    known = [row for row in rows if row["asset"] in before]
    fresh = [row for row in rows if row["asset"] not in before]
    if known:
        update = table.update().where(table.c.asset_key == bindparam("asset"), table.c.scope_key == scope)
        connection.execute(
            update.values({name: bindparam(name) for name in ("watermark_ts", "updated_at", "last_run_id")}),
            known,
        )
    if fresh:
        connection.execute(
            table.insert(),
            [{**row, "asset_key": row["asset"], "scope_key": scope} for row in fresh],
        )


def _milliseconds(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)
