"""Runs: carrying one out, and what the event log knows of earlier ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import dagster
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from ..past import OWN_CHECKS, PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG
from . import VERSION
from .loading import repository_origin

FIRST_RUN_TAG = "raw_first_run"
"""A tag of the second and later runs of a batch: the id of its first run, which may not exist."""
_REPOSITORY_TAG = ".dagster/repository"
_NO_RETRIES = {"dagster/max_retries": "0"}
"""A daemon tries again what failed, if it knows where that is from; nobody would record what it makes."""
INTERRUPTED = "DagsterExecutionInterruptedError"


def execute(
    repo: Any,
    instance: Any,
    *,
    keys: list[Any] | str,
    partition: Any,
    run_id: str,
    tags: dict[str, str],
    run_config: dict[str, Any],
    listener: Callable[[dict[str, Any]], None],
) -> bool:
    """Runs one Dagster run in this process, and calls the listener with each event as it happens.

    Args:
        keys: The assets to materialize, or the name of a job.
        partition: A key; a tuple of the first and the last key for a run over a range; or None.

    Returns:
        Whether Dagster says that the run succeeded.

    Raises:
        Exception: what keeps the run from being created, or tears it down.
    """
    named = isinstance(keys, str)
    job = repo.get_job(keys) if named else repo.get_implicit_job_def_for_assets(keys)
    if job is None and not isinstance(
        keys, str
    ):  # before 1.8, if the assets have different partitions definitions
        names = ", ".join(key.to_user_string() for key in keys)
        raise ValueError(f"Dagster {VERSION} cannot run these assets together: {names}")

    origin = repository_origin(repo)
    if origin is not None:
        tags = {**tags, _REPOSITORY_TAG: origin.get_label(), **_NO_RETRIES}

    def relay(entry: Any) -> None:
        nonlocal origin
        if origin is not None:
            _place(instance, run_id, origin.get_job_origin(job.name))
            origin = None
        event = read_event(entry)
        if event is not None:
            listener(event)

    instance.add_event_listener(run_id, relay)
    if isinstance(partition, tuple):
        tags = {**tags, RANGE_START_TAG: partition[0], RANGE_END_TAG: partition[1]}
        partition = None
    try:
        result = job.execute_in_process(
            instance=instance,
            asset_selection=None if named else keys,
            partition_key=partition,
            run_id=run_id,
            tags=tags,
            run_config=run_config,
            raise_on_error=False,
        )
        return bool(result.success)
    finally:
        getattr(instance, "_subscribers", {}).pop(run_id, None)


def _place(instance: Any, run_id: str, origin: Any) -> None:
    """Says of a run to which code location it belongs: pages link to it, and can execute it again."""
    # Dagster keeps this private. That a page lacks a link must not keep anything from being made.
    with contextlib.suppress(Exception):
        instance.run_storage.replace_job_origin(instance.get_run_by_id(run_id), origin)


def read_event(entry: Any) -> dict[str, Any] | None:
    """Returns the relevant part of an event log's entry; None if nothing in it is relevant.

    The part has ``type``, ``step``, and depending on the type ``asset``, ``error``…
    """
    event = entry.dagster_event
    if event is None or (event.step_key or "").startswith(OWN_CHECKS):
        return None
    kind = event.event_type_value
    data = event.event_specific_data
    out: dict[str, Any] = {"type": kind, "step": event.step_key}
    if kind in ("ASSET_MATERIALIZATION_PLANNED", "ASSET_MATERIALIZATION", "ASSET_OBSERVATION"):
        out["asset"] = event.asset_key
        if kind == "ASSET_MATERIALIZATION":
            out["partition"] = data.materialization.partition
    elif kind == "ASSET_CHECK_EVALUATION_PLANNED":
        out.update(asset=data.asset_key, check=data.check_name)
    elif kind == "ASSET_CHECK_EVALUATION":
        out.update(
            asset=data.asset_key,
            check=data.check_name,
            passed=bool(data.passed),
            severity=data.severity.value,
            message=_check_message(data),
        )
    elif kind == "STEP_SUCCESS":
        out["seconds"] = data.duration_ms / 1000
    elif kind in ("STEP_FAILURE", "PIPELINE_FAILURE"):
        out["error"] = data.error if data is not None else None
        out["interrupted"] = out["error"] is not None and out["error"].cls_name == INTERRUPTED
    elif kind not in ("STEP_START", "STEP_SKIPPED"):
        return None
    out["time"] = entry.timestamp
    return out


def _check_message(data: Any) -> str | None:
    description = getattr(data, "description", None)
    if description:
        return str(description)
    words = [f"{name}: {getattr(value, 'value', value)}" for name, value in (data.metadata or {}).items()]
    return ", ".join(words) or None


def past_events(instance: Any, run_id: str) -> list[dict[str, Any]]:
    """Returns the events that the event log has of a run, in order; none if there is no such run."""
    found = (read_event(entry) for entry in instance.all_logs(run_id))
    return [event for event in found if event is not None]


def further_runs(instance: Any, run_id: str) -> list[str]:
    """Returns the ids of the runs that have this id in :data:`FIRST_RUN_TAG`, oldest first."""
    found = instance.get_runs(filters=dagster.RunsFilter(tags={FIRST_RUN_TAG: run_id}))
    return [run.run_id for run in reversed(found)]


def tagged_runs(
    instance: Any, name: str, value: str
) -> list[tuple[str, dict[str, str], list[tuple[str, ...]]]]:
    """Returns the ids of the runs with this tag, oldest first, each with its tags and its selected assets."""
    found = instance.get_runs(filters=dagster.RunsFilter(tags={name: value}))
    return [
        (run.run_id, dict(run.tags), [tuple(key.path) for key in run.asset_selection or ()])
        for run in reversed(found)
    ]


def runs_for(
    instance: Any, name: str, value: str | None = None
) -> list[tuple[set[tuple[tuple[str, ...], str | None]], float | None]]:
    """Returns what the runs with this tag are to make, each with when it ended.

    Args:
        value: Of the tag; None: any, and only runs that have not ended.

    Returns:
        Assets by the parts of their keys, each with the run's partition and once more without one; and
        seconds since 1970, None if the run has not ended.
    """
    open_yet = [one for one in dagster.DagsterRunStatus if one not in FINISHED_STATUSES]
    wanted: dict[str, Any] = {"statuses": open_yet} if value is None else {"tags": {name: value}}
    found = []
    for record in instance.get_run_records(filters=dagster.RunsFilter(**wanted)):
        run = record.dagster_run
        if name in run.tags:
            keys = [tuple(key.path) for key in run.asset_selection or ()]
            targets = {(key, one) for key in keys for one in (None, run.tags.get(PARTITION_TAG))}
            ended = None if run.status in open_yet else record.end_time or record.start_time or 0.0
            found.append((targets, ended))
    return found


def run_state(instance: Any, run_id: str) -> tuple[str | None, float | None, dict[str, str]]:
    """Returns what the instance knows of a run: its status, when it ended, and its tags.

    The status is a word such as ``STARTED``, None if there is no such run; the end is in seconds since 1970,
    None if it has not ended.
    """
    records = instance.get_run_records(filters=dagster.RunsFilter(run_ids=[run_id]), limit=1)
    if not records:
        return None, None, {}
    run = records[0].dagster_run
    return str(run.status.value), records[0].end_time, dict(run.tags)
