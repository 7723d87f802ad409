"""Finds the projects that a hook is about, and notes what it looked at, for the shims to compare."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raw_trigger.config.loader import NAMES, require_readable
from raw_trigger.errors import RawTriggerError
from raw_trigger.hooks.event import NAMES as NAMES_OF_HOOKS
from raw_trigger.install import (
    HOOKS,
    ShimSettings,
    hooks_folder,
    is_touched,
    program,
    read_seen,
    rebake,
    seen_now,
    write_seen,
)
from raw_trigger.model.settings import below
from raw_trigger.project.presence import has_project
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository
from raw_trigger.workspace.places import Place, all_places, staged_configurations
from raw_trigger.workspace.workspace import Workspace, open_place, places_of


@dataclass(frozen=True, slots=True)
class Projects:
    """Holds the projects of a repository that a hook is about.

    Attributes:
        broken: Projects whose configuration cannot be used, and why.
        options: Options that name the one project to a hook, which runs at the top; empty if all are meant.
        complete: Whether these are all projects that the installed hooks look after.
    """

    repo: Repository
    workspaces: tuple[Workspace, ...]
    broken: tuple[tuple[Place, RawTriggerError], ...] = ()
    options: tuple[str, ...] = ()
    complete: bool = True


def find_projects(start: Path, *, config_file: Path | None = None, folder: Path | None = None) -> Projects:
    """Returns every project of the repository that ``start`` is in, or the one that the user named.

    Raises:
        RawTriggerError: there is no repository, or the only project cannot be used.
    """
    return projects_of(Repository.discover(start), start, config_file=config_file, folder=folder)


def projects_of(
    repo: Repository, start: Path, *, config_file: Path | None = None, folder: Path | None = None
) -> Projects:
    """Returns every project of the repository, or the one that the user named.

    Raises:
        RawTriggerError: the only project cannot be used.
    """
    named = config_file is not None or folder is not None
    every = all_places(repo)
    places = every or places_of(repo, start)
    complete = True
    options: tuple[str, ...] = ()
    if named:
        places = places_of(repo, start, config_file=config_file, folder=folder)
        file = places[0].file
        others = [
            place for place in every if place.file is None or file is None or not _same(place.file, file)
        ]
        # A configuration of another name is not found by the search: the hook needs its path.
        own = file is not None and file.name not in NAMES
        complete = own or not others
    if len(places) == 1:
        workspace = open_place(repo, places[0])
        config = workspace.config
        if config.file is not None and config.file.rpartition("/")[2] not in NAMES:
            options = ("--config", config.file)
        elif config.file is None and config.folder:
            options = ("--project", config.folder)
        return Projects(repo, (workspace,), options=options, complete=complete)
    opened: list[Workspace] = []
    broken: list[tuple[Place, RawTriggerError]] = []
    for place in places:
        try:
            opened.append(open_place(repo, place))
        except RawTriggerError as error:
            broken.append((place, error))
    return Projects(repo, tuple(opened), tuple(broken))


def has_none(projects: Projects) -> bool:
    """Says whether nothing that is checked out is a project, as on an orphan branch for web pages.

    The records of other branches stay as they are.
    """
    found = projects.workspaces
    named = any(one.config.file is not None or has_project(one.project.directory) for one in found)
    return not named and not projects.broken


def has_raw_data(projects: Projects) -> bool:
    """Says whether there is a folder that raw data would be in."""
    return any((projects.repo.top / root).is_dir() for one in projects.workspaces for root in one.roots)


def wrong_configurations(repo: Repository, config_file: Path | None = None) -> list[RawTriggerError]:
    """Returns the problems of configurations that are about to be committed, as the index has them.

    Raises:
        GitError: git cannot tell.
    """
    further = () if config_file is None else (os.path.relpath(config_file.resolve(), repo.top.resolve()),)
    wrong: list[RawTriggerError] = []
    for name, content in staged_configurations(repo, *further).items():
        try:
            require_readable(content, name)
        except RawTriggerError as error:
            wrong.append(error)
    return wrong


def _same(one: Path, other: Path) -> bool:
    return one.parent.resolve() / one.name == other.parent.resolve() / other.name


def concerned(projects: Projects, name: str, args: Sequence[str]) -> Projects:
    """Returns the projects that the event may have changed.

    Raises:
        GitError: git cannot tell.
    """
    repo = projects.repo
    if len(projects.workspaces) + len(projects.broken) == 1:
        return projects
    if name == "pre-commit":
        # A broken project counts if the commit changes its folder; the others look at the index themselves.
        head = repo.head()
        tree = repo.empty_tree if head is None else head.tree
        broken = [one for one in projects.broken if diff.to_index(repo, tree, (one[0].folder or ".",))]
        return replace(projects, broken=tuple(broken))
    # With git's apply backend, post-checkout has marked the beginning of a rebase as seen, but only reported
    # it: at the end the marker does not tell what has to run.
    if name not in NAMES_OF_HOOKS or name == "pre-push" or [name, *args][:2] == ["post-rewrite", "rebase"]:
        return projects
    seen, everything = read_seen(repo.git_dir), _listing(repo, shim_settings(projects)) or b""
    touched = []
    for workspace in projects.workspaces:
        own = shim_settings(replace(projects, workspaces=(workspace,)))
        listing = _listing(repo, own)
        wanted = (*own.roots, *own.config_files)
        if listing is not None and is_touched(listing, everything, seen, wanted):
            touched.append(workspace)
    return replace(projects, workspaces=tuple(touched))


def shim_settings(projects: Projects) -> ShimSettings:
    """Returns the settings of the installed hooks for these projects."""
    configs = [workspace.config for workspace in projects.workspaces]
    off: frozenset[str] = frozenset(HOOKS) if configs else frozenset()
    for config in configs:
        idle = {name for name, action in config.hooks.items() if action == "off"}
        if config.hooks.get("pre-commit") == "background":
            # Before the commit exists nothing can go on in the background: post-commit does it.
            idle.add("pre-commit")
        off &= idle
    roots = dict.fromkeys(root for config in configs for root in config.roots)
    files = (config.file or below(config.folder, NAMES[0]) for config in configs)
    return ShimSettings(program(), tuple(roots), tuple(files), off, projects.options)


def mark_seen(projects: Projects, *, rebased: bool = False) -> None:
    """Marks HEAD as looked at even if something is pending, so that later commits stay fast.

    If a configuration is broken the next hook must look again. If these are not all projects, the others were
    not looked at. The configurations' present settings are written too.

    Args:
        rebased: Whether a rebase has just ended, although git still has its state folder.

    Raises:
        RawTriggerError: the hooks folder cannot be written.
    """
    if projects.broken or not projects.complete:
        return
    repo = projects.repo
    listing = _listing(repo, shim_settings(projects))
    if listing is not None and (rebased or not repo.hooks_busy()):
        write_seen(repo.git_dir, listing)
    mark_known(projects)


def mark_known(projects: Projects) -> None:
    """Writes into the installed hooks which projects there are now.

    Raises:
        RawTriggerError: the hooks folder cannot be written.
    """
    if not projects.broken and projects.complete:
        repo = projects.repo
        rebake(hooks_folder(repo.top, repo.git_dir), shim_settings(projects))


def is_seen(projects: Projects) -> bool:
    """Says whether raw data and configuration in HEAD are as they were when they were last looked at."""
    listing = _listing(projects.repo, shim_settings(projects))
    return listing is not None and listing == read_seen(projects.repo.git_dir)


def _listing(repo: Repository, settings: ShimSettings) -> bytes | None:
    def run(args: Sequence[str]) -> bytes | None:
        done = repo.git.attempt(*args)
        return done.stdout if done.returncode == 0 else None

    return seen_now(repo.top, settings.roots, settings.config_files, run)
