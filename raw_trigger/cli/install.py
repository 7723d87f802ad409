"""``raw-trigger install`` and ``raw-trigger uninstall``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from raw_trigger.cli.session import text_renderer, trigger_of, workspace_of

if TYPE_CHECKING:
    from raw_trigger.install import Written


def install(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[HOOK...]", help="Which hooks. Default: all.")
    ] = None,
) -> None:
    """Put the git hooks in place. Hooks that are already there are kept and called first."""
    from raw_trigger.events.revisions import head_base
    from raw_trigger.hooking import mark_seen, shim_settings
    from raw_trigger.install import HOOKS, hooks_folder, install_hooks

    trigger = trigger_of(context)
    workspace = trigger.workspace
    repo = workspace.repo
    folder = hooks_folder(repo.top, repo.git_dir)
    first = trigger.record is None
    trigger.ensure_record(head_base(repo))
    written = install_hooks(repo.top, repo.git_dir, folder, shim_settings(workspace), tuple(names or HOOKS))
    mark_seen(workspace)
    _tell(written)
    actions = workspace.config.hooks
    told = ", ".join(f"{name} {action}" for name, action in actions.items() if not names or name in names)
    text = text_renderer()
    text.say(f"Installed in {folder}: {told}.")
    if first:
        text.say(
            "Nothing was recorded yet: HEAD's raw files are now taken as what is materialized. If they are "
            "not, run `raw-trigger run --all`."
        )


def uninstall(context: typer.Context) -> None:
    """Take the git hooks away, and put back what was there before."""
    from raw_trigger.install import hooks_folder, uninstall_hooks

    repo = workspace_of(context).repo
    folder = hooks_folder(repo.top, repo.git_dir)
    written = uninstall_hooks(folder)
    _tell(written)
    if not written:
        text_renderer().say(f"There is nothing of raw-trigger's in {folder}.")


def _tell(written: Iterable[Written]) -> None:
    text = text_renderer()
    for one in written:
        if one.action != "unchanged" or one.note:
            text.say(f"  {one.action:<9}", str(one.path), f"  ({one.note})" if one.note else "")
