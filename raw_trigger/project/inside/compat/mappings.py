"""Partition mappings: which partitions of a parent a partition is made from."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def mappings_of(graph: Any, key: Any, partitions: Any, parents: Any) -> dict[Any, Any]:
    """Returns the mapping from each parent's partitions, if the asset or the parent has some."""
    found = {}
    for parent in parents:
        if parent == key:
            continue
        try:
            above = (
                graph.get(parent).partitions_def
                if hasattr(graph, "get")
                else graph.get_partitions_def(parent)
            )
            if above is not None or partitions is not None:
                found[parent] = graph.get_partition_mapping(key, parent)
        except Exception:  # (a parent in no code location, a definition that Dagster refuses)
            continue
    return found


def describe_mapping(mapping: Any) -> dict[str, Any]:
    """Returns a partition mapping as JSON; ``other`` is one that only its own code understands.

    Raises:
        Exception: whatever a class raises that was derived from one of Dagster's.
    """
    name = type(mapping).__name__
    describe = _MAPPINGS.get(name)
    if describe is None or not type(mapping).__module__.startswith("dagster."):
        return {"kind": "other", "name": name}
    return dict(describe(mapping))


def _static_pairs(mapping: Any) -> list[Any]:
    pairs = mapping.downstream_partition_keys_by_upstream_partition_key.items()
    return [[up, [down] if isinstance(down, str) else sorted(down)] for up, down in pairs]


def _dimensions(mapping: Any) -> list[Any]:
    pairs = mapping.downstream_mappings_by_upstream_dimension.items()
    return [[up, down.dimension_name, describe_mapping(down.partition_mapping)] for up, down in pairs]


_MAPPINGS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "IdentityPartitionMapping": lambda _: {"kind": "identity"},
    "AllPartitionMapping": lambda _: {"kind": "all"},
    "LastPartitionMapping": lambda _: {"kind": "last"},
    "SpecificPartitionsPartitionMapping": lambda one: {
        "kind": "specific",
        "keys": [str(key) for key in one.partition_keys],
    },
    "TimeWindowPartitionMapping": lambda one: {
        "kind": "time",
        "start_offset": one.start_offset,
        "end_offset": one.end_offset,
    },
    "StaticPartitionMapping": lambda one: {"kind": "static", "pairs": _static_pairs(one)},
    "MultiToSingleDimensionPartitionMapping": lambda one: {
        "kind": "single",
        "dimension": one.partition_dimension_name,
    },
    "MultiPartitionMapping": lambda one: {"kind": "multi", "dimensions": _dimensions(one)},
}


def takes_all(mapping: Any) -> bool:
    """Says whether each partition is made from all partitions of the parent."""
    return type(mapping).__name__ == "AllPartitionMapping"


def partitions_above(instance: Any, mapping: Any, below: Any, above: Any, key: str | None) -> list[str]:
    """Returns the parent's partitions that a partition is made from.

    Args:
        key: The partition of the asset; None if it has no partitions.

    Raises:
        Exception: whatever a mapping raises that does not fit.
    """
    ask = mapping.get_upstream_mapped_partitions_result_for_partitions
    subset = None if key is None else below.empty_subset().with_partition_keys([key])
    told = inspect.signature(ask).parameters
    given = (subset, below, above) if "downstream_partitions_def" in told else (subset, above)
    found = ask(*given, dynamic_partitions_store=instance).partitions_subset
    return sorted(str(one) for one in found.get_partition_keys())
