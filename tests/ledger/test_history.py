"""``raw-trigger history``, its text compared exactly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from raw_trigger.cli.app import options
from raw_trigger.cli.errors import handled
from raw_trigger.cli.history import history
from raw_trigger.ledger import Ledger, this_process
from raw_trigger.model.history import LaunchRecord, Rows
from raw_trigger.model.outcome import CheckResult
from tests.conftest import Repo
from tests.e2e.test_completion import proposed
from tests.ledger.conftest import A, B, at, batch, launch, outcome, record

TRACEBACK = (
    "ValueError: sales.csv line 3: 'x' is not a number\n"
    '  File "raw.py", line 9, in sales\n'
    "ValueError: sales.csv line 3: 'x' is not a number\n"
)


def uuid(digit: str, number: int) -> str:
    return f"{digit * 8}-{number:04}-4000-8000-000000000000"


def fixed(made: LaunchRecord, digit: str) -> LaunchRecord:
    """With ids that can be compared."""
    batches = tuple(
        replace(one, run_id=uuid(digit, n), dagster_run_id=one.dagster_run_id and uuid(digit, 10 + n))
        for n, one in enumerate(made.batches, 1)
    )
    return replace(made, launch_id=uuid(digit, 99), batches=batches)


@pytest.fixture
def past(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A repository with three launches in its ledger: a success, a failure and one that was killed."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    repo.commit({"data/1_raw/a.csv": "a\n"})
    ledger = Ledger(Ledger.url_for("sqlite", repo.open().private_dir), app_version="1.2.3", place="here")
    first = fixed(launch(batch(record("raw/a", (b"data/1_raw/a.csv", A), rows=Rows(1, 2, 3)))), "a")
    ledger.begin(first)
    ledger.finish(first.launch_id, [outcome("raw/a", "success", None, 1.25)], ended=at(1.25))
    second = fixed(
        launch(
            batch(
                record("raw/sales|2026-11-19", (b"data/1_raw/sales.csv", B), (b"data/1_raw/\xff.csv", None)),
                record("raw/b"),
            ),
            batch(record("raw/external"), number=2, kind="report", dagster_run_id=None),
            started=at(60),
            face="pre-commit",
            git_sha="c" * 40 + "+staged",
        ),
        "b",
    )
    ledger.begin(second)
    ledger.finish(
        second.launch_id,
        [
            outcome(
                "raw/sales|2026-11-19",
                "failed",
                None,
                2.0,
                TRACEBACK,
                CheckResult("few_rows", True, "WARN", "12 rows"),
                CheckResult("keys", False, "ERROR", "2 duplicates"),
            ),
            outcome("raw/b", "skipped", None, None, "upstream raw/sales failed"),
        ],
        ended=at(63),
        error=KeyboardInterrupt(),
    )
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    killed = fixed(
        launch(
            batch(record("raw/a"), record("raw/b"), record("raw/c"), record("raw/d")),
            started=at(3600),
            environment="production",
            owner=replace(this_process(), pid=dead.pid, host=os.uname().nodename),
            log=None,
        ),
        "d",
    )
    ledger.begin(killed)
    yield repo
    monkeypatch.undo()
    time.tzset()


def run(repo: Repo, *args: str) -> str:
    done = invoke(repo.top, *args)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def invoke(folder: Path, *args: str) -> Any:
    app = typer.Typer()
    app.callback()(options)
    app.command("history")(handled(history))
    return CliRunner().invoke(app, ["-C", str(folder), "history", *args])


def test_overview(past: Repo) -> None:
    assert run(past) == (
        "dddddddd  2026-11-20 13:00:00  started         cli (production)    raw/a, raw/b, raw/c and 1 more\n"
        "          its process is gone\n"
        "bbbbbbbb  2026-11-20 12:01:00  failed   3.0 s  pre-commit (local)  3 assets in 2 runs\n"
        "  bbbbbbbb  failed   2.0 s  raw/sales|2026-11-19, raw/b\n"
        "            ValueError: sales.csv line 3: 'x' is not a number\n"
        "  bbbbbbbb  failed   3.0 s  raw/external\n"
        "            KeyboardInterrupt\n"
        "aaaaaaaa  2026-11-20 12:00:00  success  1.2 s  cli (local)         raw/a\n"
    )


def test_a_run_that_was_split(repo: Repo) -> None:
    """What kept its run from beginning was run apart, so there are more runs than were planned."""
    ledger = Ledger(Ledger.url_for("sqlite", repo.open().private_dir), app_version="1.2.3", place="here")
    made = fixed(launch(batch(record("raw/a"), record("raw/b"))), "a")
    ledger.begin(made)
    runs = [outcome("raw/a", "success", uuid("e", 1), 1.0), outcome("raw/b", "success", uuid("f", 1), 1.0)]
    ledger.finish(made.launch_id, runs, ended=at(2))
    assert "2 assets in 2 runs" in run(repo)


def test_what_was_made_first(repo: Repo) -> None:
    """It is a run of the launch, and says why; its failure is not that of the launch."""
    ledger = Ledger(Ledger.url_for("sqlite", repo.open().private_dir), app_version="1.2.3", place="here")
    made = fixed(launch(batch(record("raw/a", (b"data/1_raw/a.csv", A)))), "a")
    ledger.begin(made)
    first = replace(record("api"), reason="could not be made first: never materialized here")
    told = [outcome("raw/a", "success", None, 1.0), outcome("api", "failed", uuid("b", 11), 1.0, "E: x")]
    ledger.finish(made.launch_id, told, ended=at(5), first=[first])
    lines = run(repo).splitlines()
    assert lines[0].split() == [
        *("aaaaaaaa", "2026-11-20", "12:00:04", "success", "1.0", "s", "cli", "(local)"),
        *("2", "assets", "in", "2", "runs"),
    ]
    assert sorted(line.split()[1] for line in lines[1:] if " E: x" not in line) == ["failed", "success"]
    assert "  ✘ api  1.0 s  could not be made first: never materialized here\n      E: x\n" in run(
        repo, "bbbb"
    )


def test_runs_are_proposed_to_the_shell(past: Repo) -> None:
    ids = ["aaaaaaaa", "bbbbbbbb", "dddddddd"]
    assert sorted(set(proposed(past.top, "raw-trigger history "))) == ids
    assert set(proposed(past.top, "raw-trigger history b")) == {"bbbbbbbb"}


def test_filters(past: Repo) -> None:
    def ids(*args: str) -> list[str]:
        return [line[:8] for line in run(past, *args).splitlines() if line[0] != " "]

    assert ids("--status", "failed") == ["bbbbbbbb"]
    assert ids("--status", "success") == ["aaaaaaaa"]
    assert ids("--asset", "raw/a") == ["dddddddd", "aaaaaaaa"]
    assert ids("--since", "2026-11-20T12:30") == ["dddddddd"]
    assert ids("--limit", "1") == ["dddddddd"]
    assert run(past, "--asset", "raw/nothing") == "No such run.\n"


def test_a_run_in_detail(past: Repo) -> None:
    host = "process 42 on host"
    assert run(past, "bbbb") == (
        f"run {uuid('b', 1)}  failed in 2.0 s\n"
        f"  launch   {uuid('b', 99)}\n"
        "  batch    1 of 2, materialize\n"
        f"  Dagster  {uuid('b', 11)}\n"
        f"  by       pre-commit, environment local, {host}\n"
        "  started  2026-11-20 12:01:01\n"
        "  ended    2026-11-20 12:01:03\n"
        "  commit   cccccccccccccccccccccccccccccccccccccccc+staged\n"
        "  printed  /logs/1.log\n"
        "  ✘ raw/sales|2026-11-19  2.0 s\n"
        "      data/1_raw/sales.csv  bbbbbbbbbbbb\n"
        '      "data/1_raw/\\xff.csv"  deleted\n'
        "      check few_rows passed: 12 rows\n"
        "      check keys failed: 2 duplicates\n"
        "      ValueError: sales.csv line 3: 'x' is not a number\n"
        '        File "raw.py", line 9, in sales\n'
        "      ValueError: sales.csv line 3: 'x' is not a number\n"
        "  – raw/b\n"
        "      upstream raw/sales failed\n"
        "\n"
        f"run {uuid('b', 2)}  failed in 3.0 s\n"
        f"  launch   {uuid('b', 99)}\n"
        "  batch    2 of 2, report\n"
        f"  by       pre-commit, environment local, {host}\n"
        "  started  2026-11-20 12:01:00\n"
        "  ended    2026-11-20 12:01:03\n"
        "  commit   cccccccccccccccccccccccccccccccccccccccc+staged\n"
        "  printed  /logs/1.log\n"
        "  – raw/external\n"
        "      not reached\n"
        "  KeyboardInterrupt\n"
    )


def test_a_killed_run_in_detail(past: Repo) -> None:
    lines = run(past, "dddd").splitlines()
    assert lines[0] == f"run {uuid('d', 1)}  started, and its process is gone"
    assert lines[-4:] == ["  … raw/a", "  … raw/b", "  … raw/c", "  … raw/d"]


def test_json(past: Repo) -> None:
    text = run(past, "--format", "json", "--status", "failed")
    assert text.isascii()
    found = json.loads(text)
    assert found["version"] == 1
    first, second = found["runs"]
    assert first == {
        "run_id": uuid("b", 1),
        "launch_id": uuid("b", 99),
        "dagster_run_id": uuid("b", 11),
        "batch": 1,
        "batches": 2,
        "kind": "materialize",
        "face": "pre-commit",
        "environment": "local",
        "status": "failed",
        "submitted": False,
        "alive": None,
        "started_at": "2026-11-20T12:01:01+00:00",
        "ended_at": "2026-11-20T12:01:03+00:00",
        "seconds": 2.0,
        "commit": "c" * 40 + "+staged",
        "fingerprint": "f1",
        "log": "/logs/1.log",
        "app_version": "1.2.3",
        "host": "host",
        "pid": 42,
        "error_type": "ValueError",
        "error": TRACEBACK,
        "targets": [
            {
                "asset": "raw/sales",
                "partition": "2026-11-19",
                "kind": "materializable",
                "action": "materialize",
                "reason": None,
                "status": "failed",
                "seconds": 2.0,
                "error": TRACEBACK,
                "rows": None,
                "files": [
                    {"path": "data/1_raw/sales.csv", "oid": B},
                    {"path": "data/1_raw/\udcff.csv", "oid": None},
                ],
                "checks": [
                    {"name": "few_rows", "status": "pass", "severity": "WARN", "message": "12 rows"},
                    {"name": "keys", "status": "fail", "severity": "ERROR", "message": "2 duplicates"},
                ],
            },
            {
                "asset": "raw/b",
                "partition": None,
                "kind": "materializable",
                "action": "materialize",
                "reason": None,
                "status": "skipped",
                "seconds": None,
                "error": "upstream raw/sales failed",
                "rows": None,
                "files": [],
                "checks": [],
            },
        ],
    }
    assert (second["dagster_run_id"], second["error_type"]) == (None, "KeyboardInterrupt")
    (killed,) = json.loads(run(past, "--format", "json", "--status", "started"))["runs"]
    assert killed["alive"] is False
    (done,) = json.loads(run(past, "--format", "json", "aaaa"))["runs"]
    assert done["targets"][0]["rows"] == {"added": 1, "removed": 3, "changed": 2}


def test_no_history_yet(repo: Repo) -> None:
    repo.commit({"data/1_raw/a.csv": "a\n"})
    assert run(repo) == "Nothing has run yet.\n"
    assert run(repo, "--format", "json") == '{"version": 1,\n "runs": []}\n'
    assert not (repo.open().private_dir / "ledger.sqlite").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--since", "soon"], "--since 'soon' is no point in time"),
        (["abcd", "--status", "failed"], "a RUN and filters exclude each other"),
        (["zzzz"], "'zzzz' is not the beginning of a run's id"),
        (["abcd"], "no run's id begins with 'abcd'"),
    ],
)
def test_mistakes(args: list[str], message: str, repo: Repo) -> None:
    repo.commit({"data/1_raw/a.csv": "a\n"})
    done = invoke(repo.top, *args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == f"raw-trigger: {message}"
