"""The tables are exactly those of the contract, as the database itself describes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from raw_trigger.ledger import Ledger
from tests.ledger.conftest import batch, launch, outcome, record

TYPES = {
    "sqlite": {"text": "TEXT", "number": "BIGINT", "time": "DATETIME", "json": "JSON"},
    "duckdb": {"text": "VARCHAR", "number": "BIGINT", "time": "TIMESTAMP WITH TIME ZONE", "json": "JSON"},
    "postgresql": {
        "text": "text",
        "number": "bigint",
        "time": "timestamp with time zone",
        "json": "jsonb",
    },
}

TABLES = {
    "ingestion_runs": """
        run_id text, parent_run_id text, job_name text, triggered_by text, status text, started_at time,
        ended_at time, duration_ms number, provider text, storage_backend text, args_json json, git_sha text,
        app_version text, error_type text, error_message text, error_stack_hash text""",
    "ingestion_run_assets": """
        run_id text, asset_key text, asset_kind text, partition_key text, status text, rows_inserted number,
        rows_updated number, rows_deleted number, bytes_written number, min_event_ts time, max_event_ts time,
        extra_json json, started_at time, ended_at time, duration_ms number""",
    "asset_watermarks": """
        asset_key text, scope_key text, watermark_ts time, updated_at time, last_run_id text""",
    "asset_checks": """
        check_id text, asset_key text, partition_key text, check_name text, severity text, status text,
        checked_at time, metrics_json json, message text, run_id text""",
}

KEYS = {
    "ingestion_runs": ["run_id"],
    "ingestion_run_assets": [],
    "asset_watermarks": ["asset_key", "scope_key"],
    "asset_checks": ["check_id"],
}

_SCHEMA = """
SELECT table_name, column_name, data_type FROM information_schema.columns
WHERE table_schema = 'meta' ORDER BY table_name, ordinal_position
"""
_KEYS = {
    "duckdb": """
SELECT table_name, unnest(constraint_column_names) FROM duckdb_constraints()
WHERE constraint_type = 'PRIMARY KEY' AND schema_name = 'meta'
""",
    "postgresql": """
SELECT k.table_name, k.column_name FROM information_schema.key_column_usage k
JOIN information_schema.table_constraints t USING (constraint_name, table_schema)
WHERE t.constraint_type = 'PRIMARY KEY' AND table_schema = 'meta' ORDER BY 1, k.ordinal_position
""",
}


def test_tables_columns_types_and_keys(ledger: Ledger) -> None:
    ledger.begin(launch(batch(record("raw/a"))))
    engine = create_engine(ledger.url)
    kind = engine.dialect.name
    found: dict[str, dict[str, str]] = {}
    keys: dict[str, list[str]] = {name: [] for name in TABLES}
    with engine.connect() as connection:
        if kind == "sqlite":
            for name in connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'table'")
            ).scalars():
                columns = connection.execute(text(f"PRAGMA table_info({name})")).all()
                found[name] = {column[1]: column[2] for column in columns}
                keys[name] = [c[1] for c in sorted(columns, key=lambda c: c[5]) if c[5]]
        else:
            for table, column, type_ in connection.execute(text(_SCHEMA)):
                found.setdefault(table, {})[column] = type_
            for table, column in connection.execute(text(_KEYS[kind])):
                keys[table].append(column)
    engine.dispose()
    expected = {
        table: {
            name: TYPES[kind][type_]
            for name, type_ in (column.split() for column in columns.strip().split(","))
        }
        for table, columns in TABLES.items()
    }
    assert found == expected
    assert {table: list(columns) for table, columns in found.items()} == {
        table: list(columns) for table, columns in expected.items()
    }
    assert keys == KEYS


@pytest.mark.parametrize("what", ["schema", "tables"])
def test_what_somebody_else_made_is_used_as_it_is(url: str, what: str) -> None:
    """Without our keys, and with a column of theirs."""
    engine = create_engine(url)
    kind = engine.dialect.name
    if kind == "sqlite" and what == "schema":
        pytest.skip("SQLite has no schemas")
    prefix = "" if kind == "sqlite" else "meta."
    Path(engine.url.database or "").parent.mkdir(exist_ok=True)
    with engine.begin() as connection:
        if prefix:
            connection.execute(text("CREATE SCHEMA meta"))
        for table, columns in TABLES.items() if what == "tables" else ():
            pairs = (column.split() for column in columns.strip().split(","))
            made = ", ".join(f"{name} {TYPES[kind][type_]}" for name, type_ in pairs)
            connection.execute(text(f"CREATE TABLE {prefix}{table} (theirs INTEGER, {made})"))
    engine.dispose()
    ledger = Ledger(url, app_version="1")
    made_now = launch(batch(record("raw/a")))
    for _ in range(2):
        ledger.begin(made_now)
        ledger.finish(made_now.launch_id, [outcome("raw/a")], ended=made_now.started)
        made_now = launch(batch(record("raw/a")))
    assert [run.status for run in ledger.runs()] == ["success", "success"]
