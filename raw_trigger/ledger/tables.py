"""The four tables, with the names that dashboards expect."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "meta"
"""The schema of the tables, except in SQLite, which has no schemas."""


class Instant(TypeDecorator[datetime]):
    """Stores a point in time in UTC, independent of the time zone of database and session."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Returns the moment in UTC; for SQLite, which stores no zone, without one."""
        if value is None:
            return None
        moment = value.astimezone(timezone.utc)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Returns the moment with a time zone."""
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


def _json() -> Any:
    return JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


metadata = MetaData(schema=SCHEMA)

runs = Table(
    "ingestion_runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("parent_run_id", Text),
    Column("job_name", Text),
    Column("triggered_by", Text),
    Column("status", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("duration_ms", BigInteger),
    Column("provider", Text),
    Column("storage_backend", Text),
    Column("args_json", _json()),
    Column("git_sha", Text),
    Column("app_version", Text),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("error_stack_hash", Text),
)

assets = Table(
    "ingestion_run_assets",
    metadata,
    Column("run_id", Text, nullable=False),
    Column("asset_key", Text, nullable=False),
    Column("asset_kind", Text),
    Column("partition_key", Text),
    Column("status", Text, nullable=False),
    Column("rows_inserted", BigInteger),
    Column("rows_updated", BigInteger),
    Column("rows_deleted", BigInteger),
    Column("bytes_written", BigInteger),
    Column("min_event_ts", Instant),
    Column("max_event_ts", Instant),
    Column("extra_json", _json()),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("duration_ms", BigInteger),
)

watermarks = Table(
    "asset_watermarks",
    metadata,
    Column("asset_key", Text),
    Column("scope_key", Text),
    Column("watermark_ts", Instant),
    Column("updated_at", Instant),
    Column("last_run_id", Text),
    PrimaryKeyConstraint("asset_key", "scope_key"),
)

checks = Table(
    "asset_checks",
    metadata,
    Column("check_id", Text, primary_key=True),
    Column("asset_key", Text, nullable=False),
    Column("partition_key", Text),
    Column("check_name", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("checked_at", Instant),
    Column("metrics_json", _json()),
    Column("message", Text),
    Column("run_id", Text),
)

# No indexes in DuckDB: it scans columns fast, and its indexes hinder updates.
for _dialect in ("sqlite", "postgresql"):
    for _name, *_columns in (
        ("ingestion_runs_started_at", runs.c.started_at),
        ("ingestion_run_assets_run_id", assets.c.run_id),
        ("ingestion_run_assets_asset", assets.c.asset_key, assets.c.partition_key),
        ("asset_checks_run_id", checks.c.run_id),
    ):
        Index(_name, *_columns).ddl_if(dialect=_dialect)
