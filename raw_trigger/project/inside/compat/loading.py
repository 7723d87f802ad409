"""Finding and loading the project."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ..errors import ProjectNotFoundError


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
        for repo in _repositories(target, directory):
            out.append((origin.location_name, repo))
            _ORIGINS[id(repo)] = origin
    return out


_ORIGINS: dict[int, Any] = {}
"""Where the repositories came from that were loaded here; they live as long as the process."""


def repository_origin(repo: Any) -> Any:
    """Returns Dagster's name for the place of a repository; None if it was not loaded by this module."""
    origin = _ORIGINS.get(id(repo))
    if origin is None:
        return None
    module = sys.modules[type(origin).__module__]
    make = getattr(module, "RemoteRepositoryOrigin", None) or module.ExternalRepositoryOrigin  # before 1.7
    return make(origin, repo.name)


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
