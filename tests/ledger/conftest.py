"""The three databases, for real, and short ways to say launches and outcomes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from raw_trigger.ledger import Ledger
from raw_trigger.model.history import BatchRecord, LaunchRecord, TargetRecord
from raw_trigger.model.outcome import CheckResult, TargetOutcome
from raw_trigger.model.owner import Owner
from raw_trigger.model.plan import Target
from tests.support.postgres import postgres_server

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)
OWNER = Owner("host", "pid:[1]", 42, "boot/7")
A, B = "a" * 40, "b" * 40


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Gives the URL of a new, empty database."""
    with postgres_server() as database:
        yield database


@pytest.fixture(params=["sqlite", "duckdb", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "postgres":
        new_database: Callable[[], str] = request.getfixturevalue("postgres")
        return new_database()
    if request.param == "duckdb":
        pytest.importorskip("duckdb_engine")
        return f"duckdb:///{tmp_path}/private/ledger.duckdb"
    return Ledger.url_for("sqlite", tmp_path / "private")


@pytest.fixture
def ledger(url: str) -> Ledger:
    return Ledger(url, app_version="1.2.3", place="here")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def record(name: str, *files: tuple[bytes, str | None], **more: Any) -> TargetRecord:
    """``raw/a`` or ``raw/a|partition``."""
    asset, _, partition = name.partition("|")
    return TargetRecord(Target(asset, partition or None), "materializable", "materialize", files, **more)


def batch(*targets: TargetRecord, number: int = 1, **more: Any) -> BatchRecord:
    fields = {"kind": "materialize", "dagster_run_id": str(uuid.uuid4()), **more}
    return BatchRecord(str(uuid.uuid4()), number, targets=targets, **fields)


def launch(*batches: BatchRecord, **more: Any) -> LaunchRecord:
    fields = {
        "environment": "local",
        "face": "cli",
        "git_sha": "c" * 40,
        "fingerprint": "f1",
        "log": "/logs/1.log",
        "owner": OWNER,
        "started": NOON,
        "committed": at(-3600),
        **more,
    }
    return LaunchRecord(str(uuid.uuid4()), batches=batches, **fields)


def outcome(
    name: str,
    status: Any = "success",
    run_id: str | None = None,
    seconds: float | None = None,
    error: str | None = None,
    *checks: CheckResult,
) -> TargetOutcome:
    asset, _, partition = name.partition("|")
    return TargetOutcome(Target(asset, partition or None), status, run_id, seconds, error, checks)


Rows = list[dict[str, Any]]


def rows(ledger: Ledger, table: str) -> Rows:
    """What is in a table, as a dashboard sees it."""
    from sqlalchemy import create_engine, text

    engine = create_engine(ledger.url)
    prefix = "" if engine.dialect.name == "sqlite" else "meta."
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM {prefix}{table}")).mappings().all()
    engine.dispose()
    return [dict(row) for row in found]
