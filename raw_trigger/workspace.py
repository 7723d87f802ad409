"""Where a command works: the repository, its configuration, its Dagster project, the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from raw_trigger.config import Config, default_config, find_config, load_config
from raw_trigger.errors import UsageError
from raw_trigger.model.settings import ENVIRONMENT_HINT, ENVIRONMENT_NAME
from raw_trigger.project import DagsterProject
from raw_trigger.repo.repository import Repository


@dataclass(frozen=True)
class Workspace:
    """Everything that stays the same while a command runs."""

    repo: Repository
    config: Config
    project: DagsterProject
    environment: str

    @property
    def roots(self) -> tuple[str, ...]:
        return self.config.roots

    @property
    def locks(self) -> Path:
        """The folder of the environments' locks."""
        return self.repo.shared_dir / "locks"


def open_workspace(
    start: Path,
    *,
    config_file: Path | None = None,
    environment: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Workspace:
    """Find the repository that ``start`` is in and read its configuration.

    Args:
        config_file: The configuration; otherwise the nearest ``raw-trigger.yaml`` at or above ``start``.
        environment: Overrides the configured one.

    Raises:
        GitError: there is no usable repository.
        ConfigError: the configuration is wrong, or ``config_file`` outside the repository.
        UsageError: ``config_file`` is not there, or ``environment`` cannot be one's name.
    """
    if environment is not None and not ENVIRONMENT_NAME.fullmatch(environment):
        raise UsageError(f"the environment {environment!r} cannot be part of a git ref", ENVIRONMENT_HINT)
    if config_file is not None and not os.path.lexists(config_file):
        raise UsageError(f"there is no file {config_file}", "leave --config away to take the nearest one")
    environ = os.environ if environ is None else environ
    repo = Repository.discover(start, environ)
    top = repo.top
    found = config_file.absolute() if config_file is not None else find_config(start.resolve(), top)
    if found is None:
        config = default_config(_default_folder(start.resolve(), top))
    else:
        config = load_config(found, top, repo.shared_dir / "cache")
    project = DagsterProject(
        directory=top / config.folder,
        options=config.dagster,
        default_home=repo.private_dir / "dagster_home",
        cache_dir=repo.private_dir / "cache",
        top=top,
        environ=environ,
    )
    return Workspace(repo, config, project, environment or _environment(repo, config, project))


def _default_folder(start: Path, top: Path) -> str:
    """The project folder where no file names one: the nearest with ``data/1_raw``, else the top."""
    for folder in (start, *start.parents):
        if (folder / "data" / "1_raw").is_dir():
            relative = folder.relative_to(top).as_posix() if folder.is_relative_to(top) else ""
            return "" if relative == "." else relative
        if folder == top:
            break
    return ""


def _environment(repo: Repository, config: Config, project: DagsterProject) -> str:
    """``local``, or ``local-<worktree>`` in a linked worktree whose assets are stored on their own."""
    if config.environment is not None:
        return config.environment
    if repo.worktree_name is not None and project.has_private_home():
        return f"local-{repo.worktree_name}"
    return "local"
