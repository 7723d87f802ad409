"""The instance: its storages, what its event log knows of assets, and events that belong to no run."""

from __future__ import annotations

from typing import Any

from dagster import AssetCheckSeverity, AssetMaterialization, AssetObservation, DagsterInstance

try:
    from dagster import AssetCheckEvaluation
except ImportError:  # before 1.10
    from dagster._core.definitions.asset_check_evaluation import AssetCheckEvaluation

DATA_VERSION_TAG = "dagster/data_version"


def open_instance() -> Any:
    """Returns the instance of ``$DAGSTER_HOME``."""
    return DagsterInstance.get()


def create_schema(instance: Any) -> None:
    """Makes every storage create its tables now.

    Otherwise each storage does at its first use, and two processes collide.
    """
    instance.get_runs_count()
    instance.all_asset_keys()
    instance.all_instigator_state()
    instance.get_dynamic_partitions("raw-trigger")


def dynamic_keys(instance: Any, name: str) -> list[str]:
    """Returns the keys of a dynamic definition."""
    return [str(key) for key in instance.get_dynamic_partitions(name)]


def never_materialized(instance: Any, keys: list[Any]) -> list[Any]:
    """Returns the assets of which the event log has no materialization."""
    records = instance.get_asset_records(keys) if keys else []
    made = {one.asset_entry.asset_key for one in records if one.asset_entry.last_materialization is not None}
    return [key for key in keys if key not in made]


def made_partitions(instance: Any, key: Any) -> frozenset[str]:
    """Returns the partitions of an asset of which the event log has a materialization."""
    return frozenset(str(one) for one in instance.get_materialized_partitions(key))


def failed_partitions(instance: Any, key: Any, definition: Any, partitions: list[str]) -> set[str]:
    """Returns the partitions whose last run failed."""
    found = instance.get_status_by_partition(key, partitions, definition) or {}
    return {str(one) for one, status in found.items() if status is not None and status.name == "FAILED"}


def report_asset_event(
    instance: Any,
    key: Any,
    *,
    partition: str | None,
    data_version: str | None,
    metadata: dict[str, Any],
    as_observation: bool,
) -> None:
    """Reports to the instance, without a run, that something outside Dagster changed the asset."""
    kind = AssetObservation if as_observation else AssetMaterialization
    tags = {DATA_VERSION_TAG: data_version} if data_version is not None else None
    instance.report_runless_asset_event(
        kind(asset_key=key, partition=partition, metadata=metadata, tags=tags)
    )


def latest_checks(instance: Any, keys: list[Any]) -> dict[Any, Any]:
    """Returns the newest evaluations of asset checks, by their keys; none of those that are running."""
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    return {key: one for key, one in found.items() if one.status.value in ("SUCCEEDED", "FAILED")}


def current_checks(instance: Any, keys: list[Any]) -> dict[Any, tuple[bool, str | None]]:
    """Returns whether asset checks passed and their descriptions, by their keys.

    An evaluation from before the newest materialization is left out, as on Dagster's pages.
    """
    found = latest_checks(instance, keys)
    records = instance.get_asset_records([key.asset_key for key in found]) if found else []
    entries = {one.asset_entry.asset_key: one.asset_entry.last_materialization for one in records}
    told = {}
    for key, one in found.items():
        made = entries.get(key.asset_key)
        # Pages compare it with the time of the storage, which may have no fractions of a second.
        if made is None or made.run_id == one.run_id or made.timestamp + 1 < one.event.timestamp:
            evaluation = one.event.dagster_event.event_specific_data
            told[key] = bool(evaluation.passed), evaluation.description
    return told


def report_check(instance: Any, key: Any, *, passed: bool, description: str) -> None:
    """Reports to the instance, without a run, what an asset check came to; a failure is a warning."""
    instance.report_runless_asset_event(
        AssetCheckEvaluation(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=passed,
            severity=AssetCheckSeverity.WARN,
            description=description,
            metadata={},
        )
    )
