"""Everything that depends on Dagster's version or on what Dagster keeps private.

It runs inside the user's interpreter (Python 3.9 and later, Dagster 1.5 to 1.13). The scripts beside this
file see plain values only: :class:`Node` for an asset, dictionaries for events and partitions.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster
from dagster import AssetKey, AssetMaterialization, AssetObservation, DagsterInstance

from .errors import ProjectNotFoundError

VERSION: str = dagster.__version__
DATA_VERSION_TAG = "dagster/data_version"
FIRST_RUN_TAG = "raw_first_run"
"""A tag of the second and later runs of a batch: the id of its first run, which may not exist."""
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
INTERRUPTED = "DagsterExecutionInterruptedError"
MOST_VALUES = 1000
"""The most texts in one metadata value: more are data, not names of files."""


# Finding and loading the project -----------------------------------------------------------------


def env_file(directory: str) -> dict[str, str]:
    """Returns the variables of the folder's ``.env``, as Dagster reads it."""
    try:
        from dagster._core.secrets.env_file import get_env_var_dict
    except ImportError:
        return {}
    return dict(get_env_var_dict(directory))


def load_repositories(project: dict[str, Any]) -> list[tuple[str, Any]]:
    """Loads the code and returns ``[(code location name, RepositoryDefinition)]``.

    The working directory has to be the project's folder.

    Raises:
        ProjectNotFoundError: there is no target, or one that no Python process can load.
        Exception: whatever the user's code raises.
    """
    _begin_definitions_load()
    out: list[tuple[str, Any]] = []
    seen: dict[str, str] = {}
    for origin in _origins(project):
        if type(origin).__name__ == "GrpcServerCodeLocationOrigin":
            raise ProjectNotFoundError(
                f"code location {origin.location_name!r} is a gRPC server, it cannot be loaded here"
            )
        target = origin.loadable_target_origin
        directory = str(Path(target.working_directory or Path.cwd()).resolve())
        _forget_namesake(target, directory, seen)
        # While Dagster loads the code, it removes the first entry as the script's folder, and restores the
        # path afterwards. Assets need this entry for what they import when they run.
        sys.path.insert(0, directory)
        out.extend((origin.location_name, repo) for repo in _repositories(target, directory))
    return out


def _origins(project: dict[str, Any]) -> list[Any]:
    from dagster._core.workspace import load_target as targets

    directory = project["working_directory"] or str(Path.cwd())
    attribute = project["attribute"]
    found: list[Any] = []
    if project["workspace"]:
        found.append(targets.WorkspaceFileTarget(paths=list(project["workspace"])))
    found.extend(
        targets.PythonFileTarget(
            python_file=name, attribute=attribute, working_directory=directory, location_name=None
        )
        for name in project["python_file"]
    )
    found.extend(
        targets.ModuleTarget(
            module_name=name, attribute=attribute, working_directory=directory, location_name=None
        )
        for name in project["module_name"]
    )
    found.extend(
        targets.PackageTarget(
            package_name=name, attribute=attribute, working_directory=directory, location_name=None
        )
        for name in project["package_name"]
    )
    if found:
        return [origin for target in found for origin in target.create_origins()]
    if Path("pyproject.toml").exists():
        origins = list(targets.PyProjectFileTarget("pyproject.toml").create_origins())
        if origins:
            return origins
    for name in ("workspace.yaml", "workspace.yml"):
        if Path(name).exists():
            return list(targets.WorkspaceFileTarget(paths=[name]).create_origins())
    raise ProjectNotFoundError(
        "no Dagster project here: no module in [tool.dagster] or [tool.dg.project] of pyproject.toml, "
        "no workspace.yaml"
    )


def _repositories(target: Any, directory: str) -> list[Any]:
    from dagster._core.code_pointer import CodePointer
    from dagster._core.definitions.reconstruct import def_from_pointer, repository_def_from_target_def
    from dagster._core.workspace import autodiscovery

    autoload = getattr(target, "autoload_defs_module_name", None)
    if autoload:
        from dagster._core.code_pointer import AutoloadDefsModuleCodePointer

        pointer = AutoloadDefsModuleCodePointer(module=autoload, working_directory=directory)
        definitions = [pointer.load_target()]
    elif target.attribute:
        if target.python_file:
            pointer = CodePointer.from_python_file(target.python_file, target.attribute, directory)
        elif target.module_name:
            pointer = CodePointer.from_module(target.module_name, target.attribute, directory)
        else:
            pointer = CodePointer.from_python_package(target.package_name, target.attribute, directory)
        definitions = [def_from_pointer(pointer)]
    else:
        if target.python_file:
            found = autodiscovery.loadable_targets_from_python_file(target.python_file, directory)
        elif target.module_name:
            found = autodiscovery.loadable_targets_from_python_module(target.module_name, directory)
        else:
            found = autodiscovery.loadable_targets_from_python_package(target.package_name, directory)
        definitions = [one.target_definition for one in found]
    repositories = [repository_def_from_target_def(one) for one in definitions]
    if None in repositories:
        raise ProjectNotFoundError(f"{target.attribute or 'the target'} is no Definitions, repository or job")
    return repositories


def _begin_definitions_load() -> None:
    try:
        from dagster._core.definitions import definitions_load_context as context
    except ImportError:  # before 1.9
        return
    context.DefinitionsLoadContext.set(
        context.DefinitionsLoadContext(load_type=context.DefinitionsLoadType.INITIALIZATION)
    )


def _forget_namesake(target: Any, directory: str, seen: dict[str, str]) -> None:
    """Removes a module of the same name that another code location, in another folder, has imported.

    Both are loaded into this one process.
    """
    name = target.module_name or target.package_name or getattr(target, "autoload_defs_module_name", None)
    if not name:
        return
    top = name.split(".")[0]
    if seen.get(top, directory) != directory:
        for module in [m for m in sys.modules if m == top or m.startswith(top + ".")]:
            del sys.modules[module]
    seen[top] = directory


# Assets ------------------------------------------------------------------------------------------


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


KIND_RANK = {"materializable": 2, "observable": 1, "external": 0}


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
        mappings=_mappings(graph, node.key, node.partitions_def, parents),
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
                mappings=_mappings(graph, key, graph.get_partitions_def(key), graph.get_parents(key)),
                per_run=_per_run(graph, key, graph.get_partitions_def(key)),
            )
        )
    return out


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


# Partitions --------------------------------------------------------------------------------------


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


def _mappings(graph: Any, key: Any, partitions: Any, parents: Any) -> dict[Any, Any]:
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


def is_dynamic(definition: Any) -> bool:
    """Says whether the instance has the definition's keys."""
    return definition is not None and partitions_kind(definition) == "dynamic"


def dynamic_keys(instance: Any, name: str) -> list[str]:
    """Returns the keys of a dynamic definition."""
    return [str(key) for key in instance.get_dynamic_partitions(name)]


def never_materialized(instance: Any, keys: list[Any]) -> list[Any]:
    """Returns the assets of which the event log has no materialization."""
    records = instance.get_asset_records(keys) if keys else []
    made = {one.asset_entry.asset_key for one in records if one.asset_entry.last_materialization is not None}
    return [key for key in keys if key not in made]


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


def made_partitions(instance: Any, key: Any) -> frozenset[str]:
    """Returns the partitions of an asset of which the event log has a materialization."""
    return frozenset(str(one) for one in instance.get_materialized_partitions(key))


def failed_partitions(instance: Any, key: Any, definition: Any, partitions: list[str]) -> set[str]:
    """Returns the partitions whose last run failed."""
    found = instance.get_status_by_partition(key, partitions, definition) or {}
    return {str(one) for one, status in found.items() if status is not None and status.name == "FAILED"}


def delete_partition(instance: Any, definition: Any, key: str) -> None:
    """Deletes a key of a dynamic definition, if it exists."""
    if instance.has_dynamic_partition(definition.name, key):
        instance.delete_dynamic_partition(definition.name, key)


# The instance and runs ---------------------------------------------------------------------------


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


def asset_key(parts: list[str]) -> Any:
    """Returns Dagster's key of these parts."""
    return AssetKey(parts)


def job_names(repo: Any) -> list[str]:
    """Returns the named jobs, without those that Dagster makes for assets."""
    return [name for name in repo.job_names if not name.startswith("__ASSET_JOB")]


def job_partitions(repo: Any, name: str) -> Any:
    """Returns the partitions definition of a named job; None if it has none."""
    return repo.get_job(name).partitions_def


def units(repo: Any, keys: list[Any]) -> list[list[Any]]:
    """Returns the assets in groups that one function makes."""
    found: dict[int, list[Any]] = {}
    for key in keys:
        found.setdefault(id(repo.assets_defs_by_key.get(key, key)), []).append(key)
    return list(found.values())


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


def config_problem(repo: Any, name: str, run_config: dict[str, Any]) -> str | None:
    """Returns what Dagster finds wrong with the configuration of a named job; None if it is right."""
    job = repo.get_job(name)
    if not run_config and (job.partitioned_config is not None or getattr(job, "run_config", None)):
        return None  # the job has a configuration of its own
    try:
        dagster.validate_run_config(job, run_config)
    except dagster.DagsterInvalidConfigError as error:
        return "; ".join(" ".join(one.message.split()) for one in error.errors) or str(error)
    return None


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

    def relay(entry: Any) -> None:
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


def read_event(entry: Any) -> dict[str, Any] | None:
    """Returns the relevant part of an event log's entry; None if nothing in it is relevant.

    The part has ``type``, ``step``, and depending on the type ``asset``, ``error``…
    """
    event = entry.dagster_event
    if event is None:
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


def past_events(instance: Any, run_id: str) -> list[dict[str, Any]]:
    """Returns the events that the event log has of a run, in order; none if there is no such run."""
    found = (read_event(entry) for entry in instance.all_logs(run_id))
    return [event for event in found if event is not None]


def further_runs(instance: Any, run_id: str) -> list[str]:
    """Returns the ids of the runs that have this id in :data:`FIRST_RUN_TAG`, oldest first."""
    found = instance.get_runs(filters=dagster.RunsFilter(tags={FIRST_RUN_TAG: run_id}))
    return [run.run_id for run in reversed(found)]


def run_status(instance: Any, run_id: str) -> str | None:
    """Returns the instance's status of a run, such as ``STARTED``; None if it does not know the run."""
    run = instance.get_run_by_id(run_id)
    return None if run is None else str(run.status.value)


def run_end(instance: Any, run_id: str) -> float | None:
    """Returns when a run ended, in seconds since 1970; None if it has not, or is unknown."""
    records = instance.get_run_records(filters=dagster.RunsFilter(run_ids=[run_id]), limit=1)
    return records[0].end_time if records else None


def _check_message(data: Any) -> str | None:
    description = getattr(data, "description", None)
    if description:
        return str(description)
    words = [f"{name}: {getattr(value, 'value', value)}" for name, value in (data.metadata or {}).items()]
    return ", ".join(words) or None


def report(
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
