"""Partitions definitions and their keys."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import dagster


def partitions_kind(definition: Any) -> str:
    """Returns ``static``, ``time``, ``dynamic``, ``multi`` or ``other``."""
    if isinstance(definition, dagster.MultiPartitionsDefinition):
        return "multi"
    if isinstance(definition, dagster.TimeWindowPartitionsDefinition):
        return "time"
    if isinstance(definition, dagster.StaticPartitionsDefinition):
        return "static"
    if isinstance(definition, dagster.DynamicPartitionsDefinition) and definition.name:
        return "dynamic"
    return "other"


def describe_partitions(definition: Any) -> dict[str, Any]:
    """Returns a partitions definition as JSON. Moments are ISO 8601 with their offset.

    Raises:
        Exception: whatever a class raises that was derived from one of Dagster's.
    """
    kind = partitions_kind(definition)
    if kind == "multi":
        dimensions = [
            [one.name, describe_partitions(one.partitions_def)] for one in definition.partitions_defs
        ]
        return {"kind": kind, "dimensions": dimensions}
    if kind == "time":
        return {
            "kind": kind,
            "exclusions": [_exclusion(one) for one in getattr(definition, "exclusions", None) or ()],
            "format": definition.fmt,
            "start": definition.start.isoformat(),
            "end": definition.end.isoformat() if definition.end else None,
            "cron": definition.cron_schedule,
            "timezone": definition.timezone,
            "end_offset": definition.end_offset,
        }
    if kind == "static":
        return {"kind": kind, "keys": list(definition.get_partition_keys())}
    if kind == "dynamic":
        return {"kind": kind, "name": definition.name}
    return {"kind": kind, "name": type(definition).__name__}


def _exclusion(one: Any) -> str:
    """Returns a cron schedule as it is, a moment in ISO 8601."""
    if isinstance(one, str):
        return one
    return datetime.fromtimestamp(one.timestamp, timezone.utc).isoformat()


def is_dynamic(definition: Any) -> bool:
    """Says whether the instance has the definition's keys."""
    return definition is not None and partitions_kind(definition) == "dynamic"


def prepare_partition(instance: Any, definition: Any, key: str) -> Any:
    """Returns the key in the form that a run takes, or None if it is unknown; adds a missing dynamic key."""
    kind = partitions_kind(definition)
    if kind == "multi":
        try:
            parsed = definition.get_partition_key_from_str(key)
        except Exception:  # each version of Dagster raises another class
            return None
        wanted = parsed.keys_by_dimension
        dimensions = [(one.partitions_def, wanted[one.name]) for one in definition.partitions_defs]
        if not all(has_partition(instance, part, one) for part, one in dimensions):
            return None
        for part, one in dimensions:
            _add_dynamic(instance, part, one)
        return parsed
    if not has_partition(instance, definition, key):
        return None
    _add_dynamic(instance, definition, key)
    return key


def has_partition(instance: Any, definition: Any, key: str) -> bool:
    """Says whether the definition has the key; a dynamic one has every key, which is added when needed."""
    kind = partitions_kind(definition)
    if kind == "dynamic":
        return bool(key)
    if kind == "time":
        try:
            return bool(definition.has_partition_key(key))
        except Exception:  # a key that cannot be parsed raises in some versions
            return False
    return key in every_partition(instance, definition)


def every_partition(instance: Any, definition: Any) -> list[str]:
    """Returns all present keys of a definition, in its order."""
    try:
        return [str(key) for key in definition.get_partition_keys(dynamic_partitions_store=instance)]
    except TypeError:
        return [str(key) for key in definition.get_partition_keys()]


def _add_dynamic(instance: Any, definition: Any, key: str) -> None:
    if partitions_kind(definition) == "dynamic" and not instance.has_dynamic_partition(definition.name, key):
        instance.add_dynamic_partitions(definition.name, [key])


def delete_partition(instance: Any, definition: Any, key: str) -> None:
    """Deletes a key of a dynamic definition, if it exists."""
    if instance.has_dynamic_partition(definition.name, key):
        instance.delete_dynamic_partition(definition.name, key)


def is_range(instance: Any, definition: Any, keys: list[str]) -> bool:
    """Says whether these keys are all keys from the first to the last one, in this order."""
    try:
        from dagster import PartitionKeyRange

        wanted = PartitionKeyRange(keys[0], keys[-1])
        try:
            return list(definition.get_partition_keys_in_range(wanted)) == keys
        except TypeError:
            found = definition.get_partition_keys_in_range(wanted, dynamic_partitions_store=instance)
            return list(found) == keys
    except Exception:  # a key that the definition lacks, a version that cannot tell
        return False
