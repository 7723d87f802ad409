"""The same behaviour on every database."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

import pytest

from raw_trigger.errors import LedgerError, UsageError
from raw_trigger.ledger import Ledger
from raw_trigger.model.history import FailedContent, HistoryFilter, Rows
from raw_trigger.model.outcome import CheckResult, TargetOutcome
from raw_trigger.model.plan import Target
from tests.ledger.conftest import NOON, A, B, at, batch, launch, outcome, record, rows


def test_nothing_is_known_of_a_ledger_that_was_never_written(ledger: Ledger) -> None:
    assert ledger.runs() == []
    assert ledger.open_launches("local") == []
    assert ledger.failed_contents("local") == frozenset()
    assert ledger.durations() == {}
    with pytest.raises(UsageError, match="no run's id begins with 'abcd'"):
        ledger.run("abcd")


def test_a_launch_is_read_back_as_it_was_begun(ledger: Ledger) -> None:
    first = launch(
        batch(
            record("raw/a", (b"data/1_raw/a.csv", A), rows=Rows(1, 2, 3)),
            record("raw/b|2026-11-19", (b"data/\xff\xc3\xa9.csv", None), time=at(-86400)),
        ),
        batch(record("raw/ext"), number=2, kind="report", dagster_run_id=None),
    )
    second = launch(batch(record("raw/c"), submitted=True), started=at(1), committed=None, git_sha=None)
    ledger.begin(second)
    ledger.begin(first)
    assert ledger.open_launches("local") == [first, second]
    assert ledger.open_launches("production") == []
    assert Ledger(ledger.url, app_version="1", place="elsewhere").open_launches("local") == []


def test_the_row_of_a_run_while_it_is_on_and_after(ledger: Ledger) -> None:
    started = launch(batch(record("raw/a", (b"data/1_raw/a.csv", A))), face="post-merge")
    ledger.begin(started)
    run = started.batches[0]
    expected: dict[str, Any] = {
        "run_id": run.run_id,
        "parent_run_id": run.dagster_run_id,
        "job_name": "materialize",
        "triggered_by": "post-merge",
        "status": "started",
        "started_at": NOON,
        "ended_at": None,
        "duration_ms": None,
        "provider": "git",
        "storage_backend": "dagster",
        "args_json": {
            "launch": started.launch_id,
            "environment": "local",
            "place": "here",
            "batch": 1,
            "batches": 1,
            "fingerprint": "f1",
            "log": "/logs/1.log",
            "launched_at": "2026-11-20T12:00:00+00:00",
            "committed_at": "2026-11-20T11:00:00+00:00",
            "owner": {"host": "host", "namespace": "pid:[1]", "pid": 42, "started": "boot/7"},
            "targets": [
                {
                    "asset": "raw/a",
                    "partition": None,
                    "kind": "materializable",
                    "action": "materialize",
                    "files": [{"path": "data/1_raw/a.csv", "oid": A}],
                }
            ],
        },
        "git_sha": "c" * 40,
        "app_version": "1.2.3",
        "error_type": None,
        "error_message": None,
        "error_stack_hash": None,
    }
    assert [plain(row) for row in rows(ledger, "ingestion_runs")] == [expected]
    assert rows(ledger, "ingestion_run_assets") == []

    ledger.finish(
        started.launch_id, [outcome("raw/a", "success", run.dagster_run_id, 1.5)], ended=at(3), log="/logs/2"
    )
    expected["args_json"]["log"] = "/logs/2"
    expected |= {"status": "success", "started_at": at(1.5), "ended_at": at(3), "duration_ms": 1500}
    assert [plain(row) for row in rows(ledger, "ingestion_runs")] == [expected]
    assert [plain(row) for row in rows(ledger, "ingestion_run_assets")] == [
        {
            "run_id": run.run_id,
            "asset_key": "raw/a",
            "asset_kind": "materializable",
            "partition_key": None,
            "status": "success",
            "rows_inserted": None,
            "rows_updated": None,
            "rows_deleted": None,
            "bytes_written": None,
            "min_event_ts": None,
            "max_event_ts": None,
            "extra_json": None,
            "started_at": at(1.5),
            "ended_at": at(3),
            "duration_ms": 1500,
        }
    ]
    assert ledger.open_launches("local") == []


def test_what_was_made_first_is_a_run_of_its_own(ledger: Ledger) -> None:
    """It has its own Dagster run, and no files; that it failed does not make the other one fail."""
    started = launch(batch(record("raw/a", (b"data/1_raw/a.csv", A))))
    ledger.begin(started)
    day = replace(record("api|x", time=at(-86400)), reason="made first: never materialized here")
    none = replace(record("none"), reason="could not be made first: never materialized here")
    run_id, other = str(uuid4()), str(uuid4())
    ledger.finish(
        started.launch_id,
        [outcome("api|x", "success", run_id, 1.0), outcome("none", "failed", other), outcome("raw/a")],
        ended=at(9),
        first=[day, none],
    )
    assert {
        run.dagster_run_id: (run.status, [(t.target.text, t.reason, t.files) for t in run.targets])
        for run in ledger.runs()
    } == {
        started.batches[0].dagster_run_id: ("success", [("raw/a", None, ((b"data/1_raw/a.csv", A),))]),
        run_id: ("success", [("api|x", day.reason, ())]),
        other: ("failed", [("none", none.reason, ())]),
    }
    assert ledger.failed_contents("local") == frozenset()
    marks = {row["asset_key"]: str(row["watermark_ts"])[:10] for row in rows(ledger, "asset_watermarks")}
    assert marks["api"] == "2026-11-19"


def test_a_partial_run_is_failed_and_says_why(ledger: Ledger) -> None:
    started = launch(
        batch(
            record("raw/a", (b"a.csv", A), rows=Rows(5, 6, 7)),
            record("raw/b|x", (b"b.csv", B), rows=Rows(1, 1, 1), time=at(-86400)),
            record("mart"),
            record("never"),
        )
    )
    ledger.begin(started)
    error = 'ValueError: line 3\n  File "/p/raw.py", line 9, in load\nValueError: line 3'
    ledger.finish(
        started.launch_id,
        [
            outcome("raw/a", "success", None, 1.0, None, CheckResult("rows", False, "WARN", "few")),
            outcome("raw/b|x", "failed", None, 0.25, error, CheckResult("keys", True, "ERROR")),
            outcome("mart", "skipped", None, None, "upstream raw/b failed"),
        ],
        ended=at(9),
        told={Target("raw/a"): at(2), Target("raw/b", "x"): at(4), Target("mart"): at(5)},
        error=KeyboardInterrupt(),
    )
    (run,) = rows(ledger, "ingestion_runs")
    assert (run["status"], run["error_type"], run["error_message"]) == ("failed", "ValueError", error)
    assert len(run["error_stack_hash"]) == 64
    assert (instant(run["started_at"]), instant(run["ended_at"])) == (at(1), at(9))
    found = {row["asset_key"]: plain(row) for row in rows(ledger, "ingestion_run_assets")}
    assert {key: row["status"] for key, row in found.items()} == {
        "raw/a": "success",
        "raw/b": "failed",
        "mart": "skipped",
        "never": "skipped",
    }
    counted = {k: [v[f"rows_{n}"] for n in ("inserted", "updated", "deleted")] for k, v in found.items()}
    assert counted["raw/a"] == [5, 6, 7]
    assert counted["raw/b"] == [None, None, None]
    assert found["raw/b"]["min_event_ts"] == found["raw/b"]["max_event_ts"] == at(-86400)
    assert found["raw/b"]["extra_json"] == {"error": error}
    assert found["mart"]["extra_json"] == {"error": "upstream raw/b failed"}
    assert found["never"]["extra_json"] == {"reached": False}
    assert (found["raw/b"]["started_at"], found["raw/b"]["duration_ms"]) == (at(3.75), 250)
    checks = sorted((plain(row) for row in rows(ledger, "asset_checks")), key=lambda row: row["check_name"])
    assert [{k: v for k, v in row.items() if k != "check_id"} for row in checks] == [
        {
            "asset_key": "raw/b",
            "partition_key": "x",
            "check_name": "keys",
            "severity": "error",
            "status": "pass",
            "checked_at": at(4),
            "metrics_json": None,
            "message": None,
            "run_id": run["run_id"],
        },
        {
            "asset_key": "raw/a",
            "partition_key": None,
            "check_name": "rows",
            "severity": "warn",
            "status": "fail",
            "checked_at": at(2),
            "metrics_json": None,
            "message": "few",
            "run_id": run["run_id"],
        },
    ]


def test_what_ended_a_launch_early_is_the_error_of_the_batches_it_did_not_reach(ledger: Ledger) -> None:
    started = launch(batch(record("raw/a")), batch(record("raw/b"), number=2))
    ledger.begin(started)
    ledger.finish(
        started.launch_id,
        [outcome("raw/a", "success", None, 1.0)],
        ended=at(2),
        error=RuntimeError("the server went away"),
    )
    found = {run.batch: (run.status, run.error_type, run.error) for run in ledger.runs()}
    assert found == {1: ("success", None, None), 2: ("failed", "RuntimeError", "the server went away")}


def test_a_submitted_batch_stays_open_until_its_targets_are_told(ledger: Ledger) -> None:
    started = launch(batch(record("raw/a"), record("raw/b"), record("raw/c")))
    ledger.begin(started)
    ledger.finish(
        started.launch_id,
        [outcome("raw/a", "submitted"), outcome("raw/b", "failed", None, 1.0, "ValueError: no")],
        ended=at(1),
    )
    (run,) = ledger.runs()
    assert (run.status, run.submitted, run.ended) == ("started", True, None)
    assert [target.status for target in run.targets] == ["started", "failed", "started"]
    (found,) = ledger.open_launches("local")
    assert found.batches[0].submitted
    ledger.finish(started.launch_id, [outcome("raw/a"), outcome("raw/c")], ended=at(60))
    (run,) = ledger.runs()
    assert (run.status, run.submitted, run.seconds) == ("failed", False, 60.0)
    assert [target.status for target in run.targets] == ["success", "failed", "success"]
    assert ledger.open_launches("local") == []


def test_finishing_again_changes_nothing(ledger: Ledger) -> None:
    started = launch(batch(record("raw/a")))
    ledger.begin(started)
    ledger.finish(started.launch_id, [outcome("raw/a")], ended=at(1))
    before = rows(ledger, "ingestion_runs"), rows(ledger, "ingestion_run_assets")
    ledger.finish(started.launch_id, [outcome("raw/a", "failed")], ended=at(9))
    ledger.finish("unknown", [outcome("raw/a", "failed")], ended=at(9))
    assert (rows(ledger, "ingestion_runs"), rows(ledger, "ingestion_run_assets")) == before


def test_a_batch_that_needed_two_dagster_runs_becomes_two_rows(ledger: Ledger) -> None:
    started = launch(batch(record("raw/a"), record("raw/b"), record("raw/c"), dagster_run_id="one"))
    ledger.begin(started)
    ledger.finish(
        started.launch_id,
        [
            outcome("raw/a", "success", "one"),
            outcome("raw/b", "failed", "two"),
            outcome("raw/c", "skipped"),
        ],
        ended=at(1),
    )
    found = {run.dagster_run_id: (run.status, [t.target.asset for t in run.targets]) for run in ledger.runs()}
    assert found == {"one": ("failed", ["raw/a", "raw/c"]), "two": ("failed", ["raw/b"])}
    assert {run.launch_id for run in ledger.runs()} == {started.launch_id}


def test_the_dagster_run_that_really_was_takes_the_place_of_the_planned_one(ledger: Ledger) -> None:
    started = launch(batch(record("raw/a"), record("raw/b"), dagster_run_id="planned"))
    ledger.begin(started)
    ledger.finish(
        started.launch_id, [outcome("raw/a", "success", "real"), outcome("raw/b", "skipped")], ended=at(1)
    )
    (run,) = ledger.runs()
    assert (run.dagster_run_id, len(run.targets)) == ("real", 2)


def test_a_launch_without_batches_is_not_written(ledger: Ledger) -> None:
    ledger.begin(launch())
    assert ledger.runs() == []


def test_a_watermark_is_the_newest_partition_or_the_commits_time_and_never_falls(ledger: Ledger) -> None:
    def run(*targets: Any, failed: bool = False, **more: Any) -> str:
        made = launch(batch(*targets), **more)
        ledger.begin(made)
        told = [outcome(t.target.text, "failed" if failed else "success") for t in targets]
        ledger.finish(made.launch_id, told, ended=at(100))
        return made.batches[0].run_id

    def marks() -> dict[tuple[str, str], tuple[datetime, str]]:
        return {
            (row["asset_key"], row["scope_key"]): (instant(row["watermark_ts"]), row["last_run_id"])
            for row in rows(ledger, "asset_watermarks")
        }

    first = run(record("raw/p|1", time=at(-20)), record("raw/p|2", time=at(-10)), record("raw/a"))
    assert marks() == {("raw/p", "local"): (at(-10), first), ("raw/a", "local"): (at(-3600), first)}
    run(record("raw/p|0", time=at(-99)), record("raw/a"), committed=at(-7200))
    assert marks()["raw/p", "local"] == (at(-10), first)
    assert marks()["raw/a", "local"] == (at(-3600), first)
    run(record("raw/p|3", time=at(-5)), failed=True)
    assert marks()["raw/p", "local"] == (at(-10), first)
    newer = run(record("raw/p|4", time=at(-1)), record("raw/a"), committed=None, started=at(7))
    assert marks()["raw/p", "local"] == (at(-1), newer)
    assert marks()["raw/a", "local"] == (at(7), newer)
    other = run(record("raw/a"), environment="production")
    assert marks()["raw/a", "production"] == (at(-3600), other)


def test_failed_contents_are_those_of_the_latest_run(ledger: Ledger) -> None:
    def run(oid: str, when: int, **statuses: str) -> None:
        made = launch(batch(*(record(name, (b"\xff.csv", oid), (b"b.csv", None)) for name in statuses)))
        ledger.begin(made)
        told = [outcome(name, status) for name, status in statuses.items() if status != "untold"]
        ledger.finish(made.launch_id, told, ended=at(when))

    def failed() -> set[tuple[str, bytes, str | None, str]]:
        return {(f.target.asset, f.path, f.oid, f.status) for f in ledger.failed_contents("local")}

    run(A, 1, a="failed", b="success", c="skipped")
    assert failed() == {
        ("a", b"\xff.csv", A, "failed"),
        ("a", b"b.csv", None, "failed"),
        ("c", b"\xff.csv", A, "skipped"),
        ("c", b"b.csv", None, "skipped"),
    }
    run(B, 2, a="failed", c="success")
    assert failed() == {("a", b"\xff.csv", B, "failed"), ("a", b"b.csv", None, "failed")}
    [why] = ledger.failures("local")
    assert (why.target, why.ended, why.status, why.error) == (Target("a"), at(2), "failed", "it failed")
    assert why.files == {(b"\xff.csv", B), (b"b.csv", None)}
    assert [run.run_id for run in ledger.run(why.run_id[:8])] == [why.run_id]
    assert ledger.failed_contents("production") == frozenset()
    assert Ledger(ledger.url, app_version="1", place="there").failed_contents("local") == frozenset()
    run(A, 3, a="success", d="untold")
    assert failed() == set()


def test_what_was_interrupted_did_not_fail(ledger: Ledger) -> None:
    made = launch(batch(*(record(name, (b"a.csv", A)) for name in "abc")))
    ledger.begin(made)
    told = [
        outcome("a", "failed", None, 1.0, "interrupted while it ran"),
        outcome("b", "skipped", None, None, "interrupted before it ran"),
        outcome("c", "failed", None, 1.0, "InterruptedError: interrupted while it ran"),
    ]
    ledger.finish(made.launch_id, told, ended=at(1), error=KeyboardInterrupt())
    assert ledger.failed_contents("local") == {FailedContent(Target("c"), b"a.csv", A, "failed")}


def test_durations_are_the_average_of_the_last_five_successes(ledger: Ledger) -> None:
    for number, seconds in enumerate([100.0, 1.0, 2.0, 3.0, 4.0, 5.0]):
        made = launch(batch(record("raw/a"), record("raw/b|x"), record("raw/c")))
        ledger.begin(made)
        told = [outcome("raw/a", "success", None, seconds), outcome("raw/b|x", "failed", None, 9.0)]
        ledger.finish(made.launch_id, [*told, outcome("raw/c")], ended=at(number))
    assert ledger.durations() == {Target("raw/a"): 3.0}
    assert Ledger(ledger.url, app_version="1", place="there").durations() == {}


def test_runs_newest_first_and_filtered(ledger: Ledger) -> None:
    launches = [launch(batch(record(f"raw/{n}")), started=at(n)) for n in range(4)]
    for made in launches:
        ledger.begin(made)
    ledger.finish(launches[0].launch_id, [outcome("raw/0")], ended=at(10))
    ledger.finish(launches[1].launch_id, [outcome("raw/1", "failed", None, None, "x")], ended=at(10))

    def names(**wanted: Any) -> list[str]:
        return [run.targets[0].target.asset for run in ledger.runs(HistoryFilter(**wanted))]

    assert names() == ["raw/3", "raw/2", "raw/1", "raw/0"]
    assert names(limit=2) == ["raw/3", "raw/2"]
    assert names(limit=None) == names()
    assert names(status="failed") == ["raw/1"]
    assert names(status="started") == ["raw/3", "raw/2"]
    assert names(asset="raw/0") == ["raw/0"]
    assert names(asset="raw/3") == ["raw/3"]
    assert names(asset="raw") == []
    assert names(since=at(2)) == ["raw/3", "raw/2"]
    assert names(since=at(1).astimezone(timezone.max), status="failed") == ["raw/1"]


def test_a_run_is_found_by_the_beginning_of_any_of_its_ids(ledger: Ledger) -> None:
    made = launch(batch(record("raw/a")), batch(record("raw/b"), number=2))
    other = launch(batch(record("raw/c")))
    ledger.begin(made)
    ledger.begin(other)
    first, second = made.batches
    assert [run.batch for run in ledger.run(made.launch_id[:13])] == [1, 2]
    assert [run.run_id for run in ledger.run(second.run_id)] == [second.run_id]
    assert first.dagster_run_id is not None
    assert [run.run_id for run in ledger.run(first.dagster_run_id[:13].upper())] == [first.run_id]
    for word in ("abc", "%%%%", "raw/a", ""):
        with pytest.raises(UsageError, match="is not the beginning of a run's id"):
            ledger.run(word)


def test_a_beginning_that_several_launches_share_is_refused(ledger: Ledger) -> None:
    one, two = (
        launch(batch(record("raw/a"), dagster_run_id=f"12345678-000{n}-4000-8000-000000000000"))
        for n in (1, 2)
    )
    ledger.begin(one)
    ledger.begin(two)
    with pytest.raises(UsageError) as raised:
        ledger.run("12345678")
    ids = ", ".join(sorted((one.batches[0].run_id, two.batches[0].run_id)))
    assert str(raised.value) == f"several runs' ids begin with '12345678': {ids}\n  give more characters"
    assert len(ledger.run("12345678-0002")) == 1


def test_what_a_database_refuses_is_written_as_an_escape(ledger: Ledger) -> None:
    odd = "x\0\udcff 'quoted' ☃ \\u0000 %s :name"
    made = launch(batch(record(f"raw/{odd}|{odd}", (b"\xff\\u0000 '%s.csv", A))), log=odd, git_sha="c")
    ledger.begin(made)
    ledger.finish(
        made.launch_id,
        [outcome(f"raw/{odd}|{odd}", "failed", None, 1.0, odd, CheckResult(odd, False, "ERROR", odd))],
        ended=at(1),
    )
    (run,) = ledger.runs()
    shown = "x\\x00\\udcff 'quoted' ☃ \\u0000 %s :name"
    (target,) = run.targets
    assert (run.log, run.error, target.error) == (shown, shown, shown)
    assert target.target == Target(f"raw/{shown}", shown)
    assert target.files == ((b"\xff\\u0000 '%s.csv", A),)
    assert target.checks == (CheckResult(shown, False, "ERROR", shown),)
    assert ledger.failed_contents("local")


def test_rows_of_other_programs_are_passed_over(ledger: Ledger) -> None:
    from sqlalchemy import create_engine, text

    ledger.begin(launch(batch(record("raw/a"))))
    engine = create_engine(ledger.url)
    table = "ingestion_runs" if engine.dialect.name == "sqlite" else "meta.ingestion_runs"
    with engine.begin() as connection:
        for number, (provider, args) in enumerate([("sftp", None), ("git", '{"x": 1}'), (None, "[]")]):
            connection.execute(
                text(
                    f"INSERT INTO {table} (run_id, status, started_at, provider, args_json)"
                    " VALUES (:id, 'started', '2026-11-20 13:00:00', :provider, :args)"
                    if engine.dialect.name != "postgresql"
                    else f"INSERT INTO {table} (run_id, status, started_at, provider, args_json)"
                    " VALUES (:id, 'started', '2026-11-20 13:00:00', :provider, CAST(:args AS jsonb))"
                ),
                {"id": f"other{number}", "provider": provider, "args": args},
            )
    engine.dispose()
    assert [run.targets[0].target.asset for run in ledger.runs()] == ["raw/a"]
    assert len(ledger.open_launches("local")) == 1
    ledger.finish("other", [], ended=at(1))


def test_a_row_that_somebody_edited_is_an_error_not_a_crash(ledger: Ledger) -> None:
    from sqlalchemy import create_engine, text

    ledger.begin(launch(batch(record("raw/a"))))
    engine = create_engine(ledger.url)
    table = "ingestion_runs" if engine.dialect.name == "sqlite" else "meta.ingestion_runs"
    with engine.begin() as connection:
        connection.execute(text(f'UPDATE {table} SET args_json = \'{{"launch": "x"}}\''))
    engine.dispose()
    with pytest.raises(LedgerError, match=r"a row in it cannot be understood \(KeyError\('targets'\)\)"):
        ledger.runs()


def test_many_targets_and_files(ledger: Ledger) -> None:
    targets = [record(f"raw/t|{n}", (b"%d.csv" % n, A), time=at(n)) for n in range(1200)]
    made = launch(*(batch(*targets[i : i + 400], number=i // 400 + 1) for i in range(0, 1200, 400)))
    ledger.begin(made)
    ledger.finish(made.launch_id, [outcome(t.target.text, "failed") for t in targets], ended=at(1))
    assert len(ledger.failed_contents("local")) == 1200
    assert [len(run.targets) for run in ledger.run(made.launch_id)] == [400, 400, 400]


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its times and JSON as values, whatever the driver gives."""
    return {
        name: json.loads(value) if name.endswith("_json") and isinstance(value, str) else instant(value, name)
        for name, value in row.items()
    }


def instant(value: Any, name: str = "_at") -> Any:
    if isinstance(value, str) and name.endswith(("_at", "_ts")):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        value = value.replace(tzinfo=value.tzinfo or timezone.utc).astimezone(timezone.utc)
    return value


def test_how_often_it_was_run_with_the_same_content(ledger: Ledger) -> None:
    """One that was interrupted says nothing; another content begins anew."""

    def run(status: str, oid: str, seconds: int, error: str = "ValueError: x") -> None:
        started = launch(batch(record("raw/a", (b"a.csv", oid)), record("raw/b")), started=at(seconds))
        ledger.begin(started)
        ended = "success" if status == "unsteady" else status
        told = outcome("raw/a", ended, error=error if status == "failed" else None)
        told = replace(told, unsteady=status == "unsteady")
        ledger.finish(started.launch_id, [told, outcome("raw/b")], ended=at(seconds + 1))

    def times() -> list[tuple[str, bool, int]]:
        return [(one.target.text, one.failed, one.times) for one in ledger.repeats("local", ["raw/a"])]

    assert times() == []
    run("failed", A, 0)
    assert times() == [("raw/a", True, 1)]
    run("success", A, 10)
    assert times() == []
    run("unsteady", A, 12)
    run("unsteady", A, 14)
    assert times() == [("raw/a", False, 2)]
    run("failed", B, 20)
    run("failed", A, 30)
    run("failed", A, 40, "interrupted while it ran")
    assert times() == [("raw/a", True, 1)]
    run("failed", A, 50)
    assert times() == [("raw/a", True, 2)]
    for more in range(20):
        run("failed", A, 60 + more)
    assert times() == [("raw/a", True, 8)]
    assert ledger.repeats("local", []) == []


def test_a_run_that_somebody_ended(ledger: Ledger) -> None:
    started = launch(batch(record("raw/a", (b"a.csv", A))))
    ledger.begin(started)
    told = TargetOutcome(Target("raw/a"), "failed", error="run 1 was canceled", canceled=True)
    ledger.finish(started.launch_id, [told], ended=at(1))
    assert [one.canceled for one in ledger.repeats("local", ["raw/a"])] == [True]


def test_a_limit_cuts_no_launch_in_two(ledger: Ledger) -> None:
    """Half of it would tell how all of it went."""
    for seconds in (0, 10):
        started = launch(
            batch(record("raw/a")),
            batch(record("raw/b"), number=2),
            batch(record("raw/c"), number=3),
            started=at(seconds),
        )
        ledger.begin(started)
        done = [outcome("raw/a"), outcome("raw/b", "failed", error="ValueError: x"), outcome("raw/c")]
        ledger.finish(started.launch_id, done, ended=at(seconds + 1))
    found = ledger.runs(HistoryFilter(limit=1))
    assert {run.launch_id for run in found} == {started.launch_id}
    assert sorted(run.status for run in found) == ["failed", "success", "success"]
    assert len(ledger.runs(HistoryFilter(limit=4))) == 6
