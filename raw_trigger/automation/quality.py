"""A sensor that only looks: at raw files without rows, and at what materializations tell of themselves."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal

import dagster as dg

from raw_trigger.automation.settings import folder, status
from raw_trigger.content.counting import form_of
from raw_trigger.content.rows import count_rows
from raw_trigger.content.tables import Table
from raw_trigger.errors import RawTriggerError
from raw_trigger.mapping.formats import kind_of
from raw_trigger.model.changes import show
from raw_trigger.project.inside.compat.instance import latest_checks
from raw_trigger.repo.diff import worktree_paths
from raw_trigger.workspace.workspace import Workspace, open_workspace

INTERVAL = 600
"""Seconds between two ticks."""
MAX_DROP = 0.5
"""The part of the rows that may be missing."""
ROW_COUNTS = ("dagster/row_count", "num_rows", "row_count", "rows")
"""What the metadata of a materialization calls its number of rows; the first one that is there counts."""
_HEADER = 4096
"""A file of more bytes has more than a header."""

Kind = Literal["no rows", "fewer rows", "failed check", "stale"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Holds something that somebody should look at.

    Attributes:
        subject: The asset's key, or the file's path.
        kind: What is wrong with it.
        text: The same in words.
        since: What it was found in, so that one and the same is told once: an event, or a file's content.
    """

    subject: str
    kind: Kind
    text: str
    since: str


def build_raw_quality_sensor(
    *,
    name: str = "raw_quality_sensor",
    project: str | os.PathLike[str] | None = None,
    assets: Iterable[Any] | None = None,
    max_drop: float = MAX_DROP,
    max_age: timedelta | None = None,
    alert: Callable[[Finding], object] | None = None,
    minimum_interval_seconds: int = INTERVAL,
    default_status: dg.DefaultSensorStatus | None = None,
) -> dg.SensorDefinition:
    """Returns a sensor that tells of suspicious data, each time once. It runs nothing and changes nothing.

    It tells of tables among the raw files that have no rows; of assets whose newest materialization has no
    rows, or far fewer than the one before it; of checks that failed; and of assets that were not made for too
    long. The number of rows is what the materialization's metadata says: see :data:`ROW_COUNTS`.

    Args:
        name: The sensor's name.
        project: A folder of the project; None: the folder in which Dagster was started.
        assets: The keys of the assets; None: all that have code.
        max_drop: The part of the rows that may be missing: 0.5 is half of them.
        max_age: How old a materialization may be; None: as old as it is.
        alert: Called with each finding; None: it is a warning in the tick's log.
        minimum_interval_seconds: Seconds between two ticks.
        default_status: Whether it runs without being switched on; None: as `$RAW_SCHEDULE_ENABLED` says.
    """
    start = folder(project)
    keys = None if assets is None else [dg.AssetKey.from_coercible(one) for one in assets]

    def raw_quality(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        wanted = keys if keys is not None else _with_code(context.repository_def)
        found = [*in_assets(context.instance, context.repository_def, wanted, max_drop, max_age)]
        try:
            found += in_files(open_workspace(start or Path.cwd()))
        except RawTriggerError as error:
            context.log.warning("the raw files cannot be looked at: %s", error.line)
        known: Mapping[str, str] = json.loads(context.cursor or "{}")
        for one in found:
            if known.get(f"{one.kind}: {one.subject}") == one.since:
                continue
            if alert is None:
                context.log.warning("%s %s", one.subject, one.text)
            else:
                alert(one)
        told = "; ".join(f"{one.subject} {one.text}" for one in found) or "nothing is suspicious"
        cursor = json.dumps({f"{one.kind}: {one.subject}": one.since for one in found})
        return dg.SensorResult(skip_reason=told, cursor=cursor)

    decorate = dg.sensor(
        name=name,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=status(default_status, dg.DefaultSensorStatus),
        description="Tells of suspicious data; runs nothing.",
    )
    return decorate(raw_quality)


def _with_code(repository: Any) -> list[Any]:
    from raw_trigger.project.inside.compat.assets import nodes

    return sorted((node.key for node in nodes(repository) if node.kind == "materializable"), key=str)


def in_files(workspace: Workspace) -> Iterator[Finding]:
    """Yields the tables among the raw files that have no rows."""
    top = os.fsencode(workspace.repo.top)
    for path, entry in worktree_paths(workspace.repo, workspace.roots):
        full = Path(os.fsdecode(top + b"/" + path))
        if kind_of(show(path)) is None or not full.is_file() or full.stat().st_size > _HEADER:
            continue
        try:
            rows = count_rows(None, Table(show(path), partial(_opened, full), form_of(path)))
        except (RawTriggerError, OSError):
            continue  # what it cannot be read as is told by whoever reads it
        if rows.added == 0:
            yield Finding(show(path), "no rows", "has no rows", entry.oid)


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def in_assets(
    instance: Any, repository: Any, keys: Sequence[Any], max_drop: float, max_age: timedelta | None
) -> Iterator[Finding]:
    """Yields what the event log says of these assets; :func:`build_raw_quality_sensor` has the arguments."""
    for key in keys:
        name = "/".join(key.path)
        newest = instance.fetch_materializations(key, limit=1).records
        if newest:
            yield from _in_rows(instance, key, name, newest[0], max_drop)
            age = timedelta(seconds=time.time() - newest[0].timestamp)
            if max_age is not None and age > max_age:
                old = timedelta(seconds=int(age.total_seconds()))
                text = f"was made {old} ago, which is more than {max_age}"
                yield Finding(name, "stale", text, str(newest[0].storage_id))
    wanted = set(keys)
    checks = [one for one in repository.asset_graph.asset_check_keys if one.asset_key in wanted]
    for check, record in sorted(latest_checks(instance, checks).items(), key=str) if checks else ():
        if record.status.value == "FAILED":
            name = "/".join(check.asset_key.path)
            yield Finding(name, "failed check", f"failed its check {check.name}", str(record.id))


def _in_rows(instance: Any, key: Any, name: str, newest: Any, max_drop: float) -> Iterator[Finding]:
    rows, since = row_count(newest.asset_materialization), str(newest.storage_id)
    partition = newest.asset_materialization.partition
    which = "" if partition is None else f" in {partition}"
    if rows == 0:
        yield Finding(name, "no rows", f"has no rows{which}", since)
    if not rows:
        return
    before = _before(instance, key, partition)
    if before and rows < before * (1 - max_drop):
        yield Finding(name, "fewer rows", f"has {rows:g} rows{which}, and had {before:g} before", since)


def _before(instance: Any, key: Any, partition: str | None) -> float | None:
    """The rows of the materialization before the newest one, of the same partition."""
    asked = key
    if partition is not None:
        asked = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition])
    records = instance.fetch_materializations(asked, limit=2).records
    return row_count(records[1].asset_materialization) if len(records) > 1 else None


def row_count(materialization: Any) -> float | None:
    """Returns the number of rows that a materialization's metadata tells; None if it tells none."""
    for name in ROW_COUNTS:
        value = getattr((materialization.metadata or {}).get(name), "value", None)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
    return None
