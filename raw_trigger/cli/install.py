"""``raw-trigger install`` and ``raw-trigger uninstall``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raw_trigger.cli.session import Globals, tell_never_made, text_renderer

if TYPE_CHECKING:
    from raw_trigger.install import Written
    from raw_trigger.model.changes import Base
    from raw_trigger.planner import Planner


def install(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[HOOK...]", help="Which hooks. Default: all.")
    ] = None,
) -> None:
    """Install the git hooks. Hooks that are there already are kept and called first."""
    from raw_trigger.hooks.projects import find_projects, mark_seen, shim_settings
    from raw_trigger.install import HOOKS, hooks_folder, install_hooks
    from raw_trigger.planner import Planner
    from raw_trigger.revisions import head_base

    chosen: Globals = context.obj
    projects = find_projects(chosen.directory, **_own(chosen))
    for _, error in projects.broken:
        raise error
    repo = projects.repo
    folder = hooks_folder(repo.top, repo.git_dir)
    first = [planner for planner in map(Planner, projects.workspaces) if planner.record is None]
    for planner in first:
        _take_as_made(planner, head_base(repo))
    written = install_hooks(repo.top, repo.git_dir, folder, shim_settings(projects), tuple(names or HOOKS))
    mark_seen(projects)
    _tell(written)
    text = text_renderer()
    for workspace in projects.workspaces:
        actions = workspace.config.hooks.items()
        told = ", ".join(f"{name} {action}" for name, action in actions if not names or name in names)
        whose = "" if workspace.title is None else f" for {workspace.title}"
        text.say(f"Installed in {folder}{whose}: {told}.")
    if first:
        text.say(
            "Nothing was recorded yet: HEAD's raw files are now taken as what is materialized. If they are "
            "not, run `raw-trigger run --all`."
        )
    for planner in first:
        tell_never_made(planner)


def _take_as_made(planner: Planner, base: Base) -> None:
    """Records the base's files as materialized, with the rules in force if Dagster can be asked for them.

    A file that an edited rule newly maps is pending then.
    """
    from raw_trigger.adopt import adopt, ensure_record
    from raw_trigger.errors import ProjectError

    try:
        adopt(planner, base.oid or planner.workspace.repo.empty_tree)
    except ProjectError:  # whatever asks Dagster later reports it
        ensure_record(planner, base, planner.rules(None))


def _own(chosen: Globals) -> dict[str, Path | None]:
    """Returns the one project that the hooks look after; empty for all that have a configuration.

    Only a configuration that is not found by its name has to be named.
    """
    from raw_trigger.config.loader import NAMES

    if chosen.config is None or chosen.config.name in NAMES:
        return {}
    return {"config_file": chosen.config}


def uninstall(context: typer.Context) -> None:
    """Remove the git hooks, and put back what was there before."""
    from raw_trigger.install import hooks_folder, uninstall_hooks
    from raw_trigger.repo.repository import Repository

    repo = Repository.discover(context.obj.directory)
    folder = hooks_folder(repo.top, repo.git_dir)
    written = uninstall_hooks(folder, repo.git_dir)
    _tell(written)
    if not written:
        text_renderer().say(f"There is nothing of raw-trigger's in {folder}.")


def _tell(written: Iterable[Written]) -> None:
    text = text_renderer()
    for one in written:
        if one.action != "unchanged" or one.note:
            text.say(f"  {one.action:<9}", str(one.path), f"  ({one.note})" if one.note else "")
