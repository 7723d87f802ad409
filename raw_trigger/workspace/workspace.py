"""Where a command works: the repository, its configuration, its Dagster project, the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from raw_trigger.config import Config, default_config, find_config, load_config
from raw_trigger.config.loader import NAMES
from raw_trigger.errors import UsageError
from raw_trigger.model.settings import ENVIRONMENT_HINT, ENVIRONMENT_NAME, folder_name, own_environment
from raw_trigger.project import DagsterProject
from raw_trigger.repo.repository import Repository
from raw_trigger.workspace.places import (
    Place,
    named_instance,
    named_place,
    places_from,
    require_own_environment,
    several,
)
from raw_trigger.workspace.worktrees import tidy


@dataclass(frozen=True)
class Workspace:
    """Holds everything that stays the same while a command runs.

    Attributes:
        title: The project's name if there are several; None if there is only one.
    """

    repo: Repository
    config: Config
    project: DagsterProject
    environment: str
    title: str | None = None

    @property
    def roots(self) -> tuple[str, ...]:
        return self.config.roots

    @property
    def instance(self) -> str:
        """Returns what a record names the Dagster instance by whose assets it is about."""
        url = self.config.dagster.url if self.config.launcher == "graphql" else None
        if url is None:
            return named_instance(self.repo, self.project.home())
        from raw_trigger.remote.server import address

        return address(url)

    @property
    def locks(self) -> Path:
        """Returns the folder of the environments' locks."""
        return self.repo.shared_dir / "locks"


def open_workspace(
    start: Path,
    *,
    config_file: Path | None = None,
    folder: Path | None = None,
    environment: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Workspace:
    """Finds the repository that ``start`` is in and reads its configuration.

    Args:
        config_file: The configuration; None for the nearest ``raw-trigger.yaml`` at or above ``start``, or
            the only one below it.
        folder: The project's folder, in place of both.
        environment: Overrides the configured one.

    Raises:
        GitError: there is no usable repository.
        ConfigError: the configuration is wrong, or ``config_file`` is outside the repository.
        UsageError: ``config_file`` or a project in ``folder`` does not exist, several projects could be
            meant, or ``environment`` is no valid name.
    """
    repo = Repository.discover(start, os.environ if environ is None else environ)
    places = places_of(repo, start, config_file=config_file, folder=folder)
    if len(places) > 1:
        raise several(places)
    return open_place(repo, places[0], environment=environment, environ=environ)


def places_of(
    repo: Repository, start: Path, *, config_file: Path | None = None, folder: Path | None = None
) -> tuple[Place, ...]:
    """Returns the projects that a command is about; :func:`open_workspace` describes arguments and errors."""
    if config_file is not None and folder is not None:
        raise UsageError("--config and --project name a project both", "leave one of them away")
    if folder is not None:
        return (named_place(repo, folder),)
    if config_file is None:
        return places_from(repo, start)
    if not os.path.lexists(config_file):
        raise UsageError(f"there is no file {config_file}", "leave --config away to take the nearest one")
    return (Place("", config_file.absolute(), single=True),)


def open_place(
    repo: Repository,
    place: Place,
    *,
    environment: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Workspace:
    """Reads a project's configuration.

    Raises:
        ConfigError: it is wrong, or names an environment of another project.
        UsageError: ``environment`` is no valid name.
    """
    if environment is not None and not ENVIRONMENT_NAME.fullmatch(environment):
        raise UsageError(f"the environment {environment!r} cannot be part of a git ref", ENVIRONMENT_HINT)
    environ = os.environ if environ is None else environ
    tidy(repo)
    top = repo.top
    if place.file is None:
        config = default_config(place.folder)
    else:
        if place.file.name in NAMES:
            find_config(place.file.parent, top)
        config = load_config(place.file, top, repo.shared_dir / "cache")
    state = repo.state_dir
    roots = [] if state.is_relative_to(repo.common_dir) else config.roots
    if any(state.is_relative_to((top / root).resolve()) for root in roots):
        raise UsageError(f"RAW_STATE_DIR is {state}, among the raw files", "name a folder outside of them")
    config = replace(config, batch_size=_batch_size(environ) or config.batch_size)
    if config.environment is not None:
        require_own_environment(repo, config, (config.environment,))
    project = DagsterProject(
        directory=top / config.folder,
        options=config.dagster,
        default_home=repo.private_dir / "dagster_home",
        cache_dir=repo.private_dir / "cache",
        top=top,
        environ=environ,
    )
    if config.launcher == "graphql":
        # Imported here: most projects have no deployment.
        from raw_trigger.remote.project import deployed

        project = deployed(project, is_linked=repo.worktree_name is not None)
    own = config.environment or _own_local(repo, config, project)
    if config.folder:
        name = folder_name(config.folder)
        project = replace(project, cache_dir=project.cache_dir / name)
        if own == _own_local(repo, config, project):
            # Two projects may have assets of the same key, which one instance would store in the same place.
            project = replace(project, default_home=repo.private_dir / "projects" / name / "dagster_home")
    title = None if place.single else place.name
    return Workspace(repo, config, project, environment or own, title)


def _batch_size(environ: Mapping[str, str]) -> int | None:
    """The most assets of a run that `$RAW_BATCH_SIZE` says; None: nothing."""
    text = environ.get("RAW_BATCH_SIZE", "").strip()
    if text and not re.fullmatch("0*[1-9][0-9]{0,4}", text):
        raise UsageError(f"RAW_BATCH_SIZE is {text!r}", "write how many assets a run makes at most")
    return int(text) if text else None


def _own_local(repo: Repository, config: Config, project: DagsterProject) -> str:
    """Returns the environment of a project's folder, or the linked worktree's if its assets are its own."""
    return own_environment(config, repo.worktree_name if project.has_private_home() else None)
