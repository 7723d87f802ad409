"""What assets need from a run: resources and their configuration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def resources_of(repo: Any, keys: Iterable[Any]) -> frozenset[str]:
    """Returns the resources that these assets name, their I/O managers included."""
    found: set[str] = set()
    for key in keys:
        definition = repo.assets_defs_by_key.get(key) or repo.source_assets_by_key.get(key)
        found.update(getattr(definition, "required_resource_keys", None) or ())
        found.add(getattr(definition, "io_manager_key", None) or "io_manager")
    return frozenset(found)


def unconfigured_resources(repo: Any) -> frozenset[str]:
    """Returns the resources that need a configuration from the run."""
    return frozenset(key for key, one in repo.get_top_level_resources().items() if _is_required(one))


def needs_config(repo: Any, key: Any, resources: frozenset[str]) -> bool:
    """Says whether the asset needs a configuration from the run.

    Args:
        resources: The resources of :func:`unconfigured_resources`.
    """
    waiting = [repo.assets_defs_by_key[key].node_def]
    while waiting:
        made = waiting.pop()
        if hasattr(made, "node_defs"):
            if made.config_mapping is None:
                waiting += made.node_defs
            elif _is_required(made.config_mapping):
                return True
        elif _is_required(made):
            return True
    return bool(resources_of(repo, [key]) & resources)


def _is_required(configurable: Any) -> bool:
    schema = configurable.config_schema.as_field() if configurable.config_schema is not None else None
    return bool(schema is not None and schema.is_required)
