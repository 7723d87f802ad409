"""Reads from the ledger. Rows that other programs wrote into the same tables are skipped."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice, takewhile
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Subquery, Table, and_, func, or_, select

from raw_trigger.errors import UsageError
from raw_trigger.ledger import documents, tables
from raw_trigger.ledger.writing import PROVIDER
from raw_trigger.model.history import (
    BatchRecord,
    FailedContent,
    Failure,
    HistoryFilter,
    LaunchRecord,
    PastRun,
    PastTarget,
    Repeat,
    TargetRecord,
)
from raw_trigger.model.outcome import CheckResult
from raw_trigger.model.plan import Target

_PREFIX = re.compile(r"[0-9a-fA-F-]{4,36}")
_AT_ONCE = 500
"""The most ids in one query: old versions of SQLite take at most 999 parameters."""
_LAST_FEW = 5
MOST_TIMES = 8
"""So many runs in a row are counted."""


def _said(name: str) -> Any:
    return tables.runs.c.args_json[name].as_string()


def _ours() -> ColumnElement[bool]:
    return and_(tables.runs.c.provider == PROVIDER, _said("launch").is_not(None))


def _here(environment: str, place: str) -> ColumnElement[bool]:
    environment, place = documents.clean(environment), documents.clean(place)
    return and_(_ours(), _said("environment") == environment, _said("place") == place)


def open_launches(connection: Connection, environment: str, place: str) -> list[LaunchRecord]:
    """Returns the answer of :meth:`raw_trigger.ledger.Ledger.open_launches`."""
    runs = tables.runs
    query = select(runs).where(runs.c.status == "started", _here(environment, place))
    grouped: dict[str, list[RowMapping]] = {}
    for row in connection.execute(query.order_by(runs.c.started_at, runs.c.run_id)).mappings():
        grouped.setdefault(row["args_json"]["launch"], []).append(row)
    return [_launch(launch_id, rows) for launch_id, rows in grouped.items()]


def _launch(launch_id: str, rows: Sequence[RowMapping]) -> LaunchRecord:
    row, args = rows[0], rows[0]["args_json"]
    committed = args["committed_at"]
    batches = sorted((_batch(one) for one in rows), key=lambda batch: batch.number)
    return LaunchRecord(
        launch_id=launch_id,
        environment=args["environment"],
        face=row["triggered_by"],
        git_sha=row["git_sha"],
        fingerprint=args["fingerprint"],
        batches=tuple(batches),
        log=args["log"],
        owner=documents.owner_of(args),
        started=row["started_at"],
        committed=None if committed is None else datetime.fromisoformat(committed),
    )


def _batch(row: RowMapping) -> BatchRecord:
    args = row["args_json"]
    return BatchRecord(
        run_id=row["run_id"],
        number=args["batch"],
        dagster_run_id=row["parent_run_id"],
        kind=row["job_name"],
        targets=tuple(documents.targets_of(args)),
        submitted=args.get("submitted", False),
    )


def failed_contents(connection: Connection, environment: str, place: str) -> frozenset[FailedContent]:
    """Returns the answer of :meth:`raw_trigger.ledger.Ledger.failed_contents`."""
    return frozenset(
        FailedContent(one.target, path, oid, one.status)
        for one in failures(connection, environment, place)
        for path, oid in one.files
    )


def failures(connection: Connection, environment: str, place: str) -> list[Failure]:
    """Returns the answer of :meth:`raw_trigger.ledger.Ledger.failures`."""
    rows = _latest(connection, environment, place, ("failed", "skipped"))
    failed = {
        (row["run_id"], Target(row["asset_key"], row["partition_key"])): row
        for row in rows
        if documents.has_failed(row["extra_json"])
    }
    return [
        Failure(
            target=record.target,
            run_id=run["run_id"],
            ended=row["ended_at"],
            status=row["status"],
            error=_why(row["extra_json"]) or run["error_message"] or "it failed",
            files=frozenset(record.files),
        )
        for run, record in _records(connection, failed)
        for row in (failed[run["run_id"], record.target],)
    ]


def repeats(connection: Connection, environment: str, place: str, assets: Sequence[str]) -> list[Repeat]:
    """Returns the answer of :meth:`raw_trigger.ledger.Ledger.repeats`."""
    by_target: dict[Target, list[RowMapping]] = {}
    for some in _at_once(assets):
        aged = _aged(environment, place, tables.assets.c.asset_key.in_(map(documents.clean, some)))
        query = select(aged).where(aged.c.age <= MOST_TIMES).order_by(aged.c.age)
        for row in connection.execute(query).mappings():
            # A run that was interrupted says nothing about the content.
            if row["status"] == "success" or documents.has_failed(row["extra_json"]):
                by_target.setdefault(Target(row["asset_key"], row["partition_key"]), []).append(row)
    for target, rows in by_target.items():
        by_target[target] = list(takewhile(_was_in_vain, rows))
    wanted = {(row["run_id"], target) for target, rows in by_target.items() for row in rows}
    files = {
        (run["run_id"], record.target): frozenset(record.files)
        for run, record in _records(connection, wanted)
    }
    found = []
    for target, rows in by_target.items():
        if not rows:
            continue
        last = rows[0]
        same = files[last["run_id"], target]
        alike = takewhile(lambda row: files[row["run_id"], target] == same, rows)  # noqa: B023
        extra = last["extra_json"] or {}
        failed, canceled = last["status"] != "success", bool(extra.get("canceled"))
        times = sum(1 for _ in alike)
        found.append(Repeat(target, failed, canceled, last["ended_at"], same, times))
    return found


def _was_in_vain(row: RowMapping) -> bool:
    """Says whether a run left its target as it was due before."""
    return row["status"] != "success" or bool((row["extra_json"] or {}).get("unsteady"))


def made(connection: Connection, environment: str, place: str) -> dict[Target, dict[bytes, str | None]]:
    """Returns the answer of :meth:`raw_trigger.ledger.Ledger.made`."""
    rows = _latest(connection, environment, place, ("success",), among=("success",))
    wanted = {(row["run_id"], Target(row["asset_key"], row["partition_key"])) for row in rows}
    found = {record.target: dict(record.files) for _, record in _records(connection, wanted)}
    for failure in failures(connection, environment, place):
        if failure.files <= found.get(failure.target, {}).items():
            del found[failure.target]
    return found


def _latest(
    connection: Connection,
    environment: str,
    place: str,
    statuses: Sequence[str],
    among: Sequence[str] = (),
) -> Sequence[RowMapping]:
    """Returns the last row of each target, if its status is one of these.

    Args:
        among: The last one with one of these; none: the last of all.
    """
    wanted = (tables.assets.c.status.in_(among),) if among else ()
    aged = _aged(environment, place, *wanted)
    query = select(aged).where(aged.c.age == 1, aged.c.status.in_(statuses))
    return connection.execute(query).mappings().all()


def _aged(environment: str, place: str, *wanted: ColumnElement[bool]) -> Subquery:
    """Returns the rows of targets, each with its age: 1 is the last one of the target."""
    runs, assets = tables.runs, tables.assets
    return (
        select(
            assets.c.run_id,
            assets.c.asset_key,
            assets.c.partition_key,
            assets.c.status,
            assets.c.ended_at,
            assets.c.extra_json,
            func.row_number()
            .over(
                partition_by=(assets.c.asset_key, assets.c.partition_key),
                order_by=(assets.c.ended_at.desc(), assets.c.run_id),
            )
            .label("age"),
        )
        .join(runs, runs.c.run_id == assets.c.run_id)
        .where(_here(environment, place), *wanted)
        .subquery()
    )


def _records(
    connection: Connection, wanted: Collection[tuple[str, Target]]
) -> Iterator[tuple[RowMapping, TargetRecord]]:
    """Yields the records of these targets, each with the row of its run.

    Args:
        wanted: Pairs of a run's id and a target.
    """
    for run in _by_ids(connection, dict.fromkeys(run_id for run_id, _ in wanted)):
        for record in documents.targets_of(run["args_json"]):
            if (run["run_id"], record.target) in wanted:
                yield run, record


def durations(connection: Connection, place: str) -> dict[Target, float]:
    """Returns the answer of :meth:`raw_trigger.ledger.Ledger.durations`."""
    runs, assets = tables.runs, tables.assets
    timed = (
        select(
            assets.c.asset_key,
            assets.c.partition_key,
            assets.c.duration_ms,
            func.row_number()
            .over(
                partition_by=(assets.c.asset_key, assets.c.partition_key),
                order_by=assets.c.ended_at.desc(),
            )
            .label("age"),
        )
        .join(runs, runs.c.run_id == assets.c.run_id)
        .where(assets.c.status == "success", assets.c.duration_ms.is_not(None))
        .where(_ours(), _said("place") == documents.clean(place))
        .subquery()
    )
    query = (
        select(timed.c.asset_key, timed.c.partition_key, func.avg(timed.c.duration_ms))
        .where(timed.c.age <= _LAST_FEW)
        .group_by(timed.c.asset_key, timed.c.partition_key)
    )
    return {
        Target(asset, partition): float(average) / 1000
        for asset, partition, average in connection.execute(query)
    }


def runs(connection: Connection, wanted: HistoryFilter) -> list[PastRun]:
    """Returns the answer of :meth:`raw_trigger.ledger.Ledger.runs`."""
    table, assets = tables.runs, tables.assets
    query = select(table).where(_ours())
    if wanted.status is not None:
        query = query.where(table.c.status == wanted.status)
    if wanted.since is not None:
        query = query.where(table.c.started_at >= wanted.since)
    if wanted.asset is not None:
        done = select(assets.c.run_id).where(assets.c.asset_key == wanted.asset)
        query = query.where(or_(table.c.status == "started", table.c.run_id.in_(done)))
    elif wanted.limit is not None:
        query = query.limit(wanted.limit)
    query = query.order_by(table.c.started_at.desc(), table.c.run_id)
    rows = connection.execute(query).mappings()
    # An open run has no rows of assets yet: its arguments name them.
    matching = (row for row in rows if wanted.asset is None or _is_for(row, wanted.asset))
    found = list(islice(matching, wanted.limit))
    return _past(connection, [*found, *_rest(connection, query, found)])


def _rest(connection: Connection, query: Select[Any], found: Sequence[RowMapping]) -> list[RowMapping]:
    """Returns the rows of these launches that a limit has cut off: half of one would say how it went."""
    launches = sorted({row["args_json"]["launch"] for row in found})
    known = {row["run_id"] for row in found}
    left = []
    for some in _at_once(launches):
        rows = connection.execute(query.where(_said("launch").in_(some)).limit(None)).mappings()
        left += [row for row in rows if row["run_id"] not in known]
    return left


def _is_for(row: RowMapping, asset: str) -> bool:
    return any(target["asset"] == asset for target in row["args_json"]["targets"])


def require_prefix(prefix: str) -> None:
    """Raises an error if the text cannot be the beginning of an id.

    Raises:
        UsageError: it has characters that no id has, or too few.
    """
    if not _PREFIX.fullmatch(prefix):
        raise UsageError(
            f"{prefix!r} is not the beginning of a run's id",
            "give at least its first four characters; `raw-trigger history` shows them",
        )


def by_prefix(connection: Connection, prefix: str) -> list[PastRun]:
    """Returns the runs with an id that begins so, in the order of their batches."""
    table = tables.runs
    ids = (table.c.run_id, table.c.parent_run_id, _said("launch"))
    query = select(table).where(_ours(), or_(*(one.startswith(prefix, autoescape=True) for one in ids)))
    found = _past(connection, connection.execute(query).mappings().all())
    return sorted(found, key=lambda run: (run.launch_id, run.batch, run.run_id))


def of_one_launch(prefix: str, found: list[PastRun]) -> list[PastRun]:
    """Returns the runs if all belong to one launch.

    Raises:
        UsageError: there are none, or they belong to several launches.
    """
    if not found:
        raise UsageError(f"no run's id begins with {prefix!r}", "`raw-trigger history` lists the runs")
    if len({run.launch_id for run in found}) > 1:
        named = ", ".join(sorted({run.run_id for run in found})[:5])
        raise UsageError(f"several runs' ids begin with {prefix!r}: {named}", "give more characters")
    return found


def _past(connection: Connection, rows: Sequence[RowMapping]) -> list[PastRun]:
    ids = [row["run_id"] for row in rows]
    done: dict[str, dict[Target, RowMapping]] = {}
    for row in _of_runs(connection, tables.assets, ids):
        done.setdefault(row["run_id"], {})[Target(row["asset_key"], row["partition_key"])] = row
    checks: dict[str, dict[Target, list[CheckResult]]] = {}
    for row in _of_runs(connection, tables.checks, ids):
        target = Target(row["asset_key"], row["partition_key"])
        checks.setdefault(row["run_id"], {}).setdefault(target, []).append(_check(row))
    return [_run(row, done.get(row["run_id"], {}), checks.get(row["run_id"], {})) for row in rows]


def _run(row: RowMapping, done: dict[Target, RowMapping], checks: dict[Target, list[CheckResult]]) -> PastRun:
    args = row["args_json"]
    milliseconds = row["duration_ms"]
    targets = []
    for record in documents.targets_of(args):
        told = done.get(record.target)
        took = None if told is None else told["duration_ms"]
        targets.append(
            PastTarget(
                target=record.target,
                kind=record.kind,
                action=record.action,
                status="started" if told is None else told["status"],
                seconds=None if took is None else took / 1000,
                error=None if told is None else _why(told["extra_json"]),
                files=record.files,
                rows=record.rows,
                checks=tuple(sorted(checks.get(record.target, ()), key=lambda check: check.name)),
                reason=record.reason,
            )
        )
    return PastRun(
        run_id=row["run_id"],
        launch_id=args["launch"],
        dagster_run_id=row["parent_run_id"],
        batch=args["batch"],
        batches=args["batches"],
        kind=row["job_name"],
        face=row["triggered_by"],
        environment=args["environment"],
        status=row["status"],
        started=row["started_at"],
        ended=row["ended_at"],
        seconds=None if milliseconds is None else milliseconds / 1000,
        git_sha=row["git_sha"],
        fingerprint=args["fingerprint"],
        log=args["log"],
        app_version=row["app_version"],
        owner=documents.owner_of(args),
        error_type=row["error_type"],
        error=row["error_message"],
        targets=tuple(targets),
        submitted=args.get("submitted", False),
    )


def _why(extra: dict[str, Any] | None) -> str | None:
    if extra is None:
        return None
    error: str | None = extra.get("error")
    return "not reached" if error is None and extra.get("reached") is False else error


def _check(row: RowMapping) -> CheckResult:
    severity: Literal["ERROR", "WARN"] = "ERROR" if row["severity"] == "error" else "WARN"
    return CheckResult(row["check_name"], row["status"] != "fail", severity, row["message"])


def _by_ids(connection: Connection, ids: Iterable[str]) -> Iterator[RowMapping]:
    return _of_runs(connection, tables.runs, list(ids))


def _of_runs(connection: Connection, table: Table, ids: Sequence[str]) -> Iterator[RowMapping]:
    for some in _at_once(ids):
        yield from connection.execute(select(table).where(table.c.run_id.in_(some))).mappings()


def _at_once(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yields so many names at a time as one query can take."""
    for first in range(0, len(names), _AT_ONCE):
        yield names[first : first + _AT_ONCE]
