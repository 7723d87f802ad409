"""The assets of a repository."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from dagster import AssetKey

from . import VERSION
from .mappings import mappings_of

MOST_VALUES = 1000
"""The most texts in one metadata value: more are data, not names of files."""
KIND_RANK = {"materializable": 2, "observable": 1, "external": 0}


@dataclass(frozen=True)
class Node:
    """Describes one asset; keys are Dagster's, ``partitions`` is the definition itself.

    ``mappings`` are the partition mappings by parent; ``per_run`` says how many partitions one run may make,
    0 any number.
    """

    key: Any
    kind: str
    group: str | None = None
    partitions: Any = None
    parents: frozenset[Any] = frozenset()
    execution_set: frozenset[Any] = frozenset()
    metadata: dict[str, Any] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    mappings: dict[Any, Any] = field(default_factory=dict)
    per_run: int = 1


def asset_key(parts: list[str]) -> Any:
    """Returns Dagster's key of these parts."""
    return AssetKey(parts)


def company(node: Node) -> str:
    """Returns what has to be equal for assets that run together.

    Before Dagster 1.8 a job observes or materializes, but not both.
    """
    major, minor = VERSION.split(".")[:2]
    return node.kind if (int(major), int(minor)) < (1, 8) else ""


def nodes(repo: Any) -> list[Node]:
    """Returns the assets of a repository."""
    graph = repo.asset_graph
    if hasattr(graph, "asset_nodes"):
        return [_node(graph, node) for node in graph.asset_nodes]
    return _old_nodes(repo, graph)


def _node(graph: Any, node: Any) -> Node:
    parents = getattr(node, "parent_keys", None)
    if parents is None:
        parents = graph.get(node.key).parent_keys
    if node.is_materializable:
        kind = "materializable"
    else:
        kind = "observable" if node.is_observable and node.is_executable else "external"
    return Node(
        key=node.key,
        kind=kind,
        group=node.group_name,
        partitions=node.partitions_def,
        parents=frozenset(parents),
        execution_set=frozenset(node.execution_set_asset_keys),
        metadata=dict(node.metadata or {}),
        checks=tuple(sorted(key.name for key in node.check_keys)),
        mappings=mappings_of(graph, node.key, node.partitions_def, parents),
        per_run=_per_run(graph, node.key, node.partitions_def),
    )


def _old_nodes(repo: Any, graph: Any) -> list[Node]:  # before 1.6.14
    checks: dict[Any, list[str]] = {}
    found = set(getattr(graph, "asset_check_keys", ()))
    for name in repo.job_names:
        if name.startswith("__ASSET_JOB"):
            layer = repo.get_job(name).asset_layer
            found.update(getattr(layer, "node_output_handles_by_asset_check_key", ()))
    for key in found:
        checks.setdefault(key.asset_key, []).append(key.name)
    out = []
    for key in graph.all_asset_keys:
        definition = repo.assets_defs_by_key.get(key)
        source = repo.source_assets_by_key.get(key)
        if definition is not None:
            kind = "materializable" if definition.is_asset_executable(key) else "external"
            metadata = definition.metadata_by_key.get(key)
        else:
            kind = "observable" if source is not None and source.is_observable else "external"
            metadata = getattr(source, "metadata", None)
        together: Any = ()
        if kind == "materializable":
            together = graph.get_required_multi_asset_keys(key)
        out.append(
            Node(
                key=key,
                kind=kind,
                group=graph.group_names_by_key.get(key) or getattr(source, "group_name", None),
                partitions=graph.get_partitions_def(key),
                parents=frozenset(graph.get_parents(key)),
                execution_set=frozenset(together),
                metadata=dict(metadata or {}),
                checks=tuple(sorted(checks.get(key, ()))),
                mappings=mappings_of(graph, key, graph.get_partitions_def(key), graph.get_parents(key)),
                per_run=_per_run(graph, key, graph.get_partitions_def(key)),
            )
        )
    return out


def _per_run(graph: Any, key: Any, partitions: Any) -> int:
    """Returns how many partitions of the asset one run may make; 0 for any number."""
    if partitions is None:
        return 1
    try:
        node = graph.get(key) if hasattr(graph, "get") else None
        policy = node.backfill_policy if node is not None else graph.get_backfill_policy(key)
    except Exception:
        return 1
    if policy is None:
        return 1
    return policy.max_partitions_per_run or 0


def texts(value: Any) -> list[str]:
    """Returns the strings in a metadata value that may name files: text, paths, URLs, and those in JSON.

    Raises:
        Exception: whatever a value raises that is not what it looks like.
    """
    if type(value).__name__ in (
        "TextMetadataValue",
        "PathMetadataValue",
        "UrlMetadataValue",
        "JsonMetadataValue",
    ):
        value = value.value
    elif hasattr(type(value), "_fields"):
        # All other values, and their parts, are named tuples; some versions forbid to look inside.
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, os.PathLike):
        return [os.fsdecode(value)]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [text for one in value[:MOST_VALUES] for text in texts(one)][:MOST_VALUES]
    return []


def description(repo: Any, key: Any) -> str | None:
    """Returns the description of an asset, usually the docstring of its function; None if there is none."""
    definition = repo.assets_defs_by_key.get(key)
    found = getattr(definition, "descriptions_by_key", {}).get(key)
    if found is None and definition is not None and hasattr(definition, "specs_by_key"):
        found = definition.specs_by_key[key].description
    return str(found) if found else None


def functions(repo: Any, key: Any) -> list[Any]:
    """Returns the functions that make an asset: one, or those of the ops in a graph."""
    definition = repo.assets_defs_by_key.get(key)
    found: list[Any] = []
    left: list[Any] = [] if definition is None else [definition.node_def]
    while left:
        node = left.pop()
        if hasattr(node, "node_defs"):
            left += node.node_defs
        else:
            function = getattr(node, "compute_fn", None)
            found.append(getattr(function, "decorated_fn", function))
    return [one for one in found if one is not None]


def units(repo: Any, keys: list[Any]) -> list[list[Any]]:
    """Returns the assets in groups that one function makes."""
    found: dict[int, list[Any]] = {}
    for key in keys:
        found.setdefault(id(repo.assets_defs_by_key.get(key, key)), []).append(key)
    return list(found.values())
