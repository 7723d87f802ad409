"""``raw-trigger hook``: what the git hooks call."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from raw_trigger.cli.session import tell_stderr, text_renderer, workspace_of
from raw_trigger.errors import RawTriggerError

if TYPE_CHECKING:
    from raw_trigger.model.plan import Plan

REFUSED = "the commit is refused; `git commit --no-verify` commits all the same"


def hook(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The hook's name, such as pre-commit.")],
    args: Annotated[list[str] | None, typer.Argument(help="What git passes to it.")] = None,
) -> None:
    """What the git hooks call; not for people."""
    if os.environ.get("RAW_TRIGGER_SKIP", "0") not in ("", "0"):
        typer.echo(f"raw-trigger: {name} skipped (RAW_TRIGGER_SKIP)", err=True)
        return
    from raw_trigger.hooking import attend, mark_seen
    from raw_trigger.launch.local import LocalLauncher

    workspace = workspace_of(context)
    text = text_renderer()
    stdin = (
        b"" if sys.stdin is None or sys.stdin.isatty() or name != "post-rewrite" else sys.stdin.buffer.read()
    )
    progress = text.progress(0)

    def told(plan: Plan) -> None:
        text.say(("raw-trigger", "bold"), f" {name}")
        text.plan(plan, brief=True)
        progress.expect(len(plan.actionable))

    try:
        with progress as finished:
            done = attend(
                workspace,
                name,
                args or [],
                stdin=stdin,
                environ=os.environ,
                launcher=LocalLauncher(workspace.project),
                on_plan=told,
                on_target=finished,
                waiting=tell_stderr,
            )
    except RawTriggerError as error:
        if name == "pre-commit":
            error.hint = f"{error.hint}\n  {REFUSED}" if error.hint else REFUSED
        raise
    finally:
        if name != "pre-commit":
            mark_seen(workspace)
    if done.outcome is not None and done.plan is not None and done.plan.changes:
        text.outcome(done.plan, done.outcome)
    for warning in done.warnings:
        tell_stderr(f"warning: {warning}")
    if done.refused is not None:
        text.say(("raw-trigger: ", "bold red"), done.refused)
    elif done.plan is not None and done.plan.actionable and done.outcome is None:
        text.say("run `raw-trigger run` to materialize them")
    if done.failed:
        if name == "pre-commit":
            text.say(f"raw-trigger: {REFUSED}")
        elif done.outcome is not None:
            text.say("it stays pending: mend it, then `raw-trigger run`")
        raise typer.Exit(0 if name == "post-checkout" else 1)
