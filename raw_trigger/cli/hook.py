"""``raw-trigger hook``: what the git hooks call."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raw_trigger.cli.errors import tell
from raw_trigger.cli.session import Globals, tell_stderr, text_renderer, workspace_of
from raw_trigger.errors import RawTriggerError

if TYPE_CHECKING:
    from raw_trigger.background import Job
    from raw_trigger.hooking import Attended
    from raw_trigger.model.plan import Plan
    from raw_trigger.render.text import TextRenderer

REFUSED = "the commit is refused; `git commit --no-verify` commits all the same"


def hook(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The hook's name, such as pre-commit.")],
    args: Annotated[list[str] | None, typer.Argument(help="What git passes to it.")] = None,
    detached: Annotated[
        Path | None, typer.Option("--detached", metavar="LOG", hidden=True, help="Do its background work.")
    ] = None,
) -> None:
    """What the git hooks call; not for people."""
    if detached is not None:
        _work(context, name, detached)
        return
    if os.environ.get("RAW_TRIGGER_SKIP", "0") not in ("", "0"):
        typer.echo(f"raw-trigger: {name} skipped (RAW_TRIGGER_SKIP)", err=True)
        return
    from raw_trigger.hooking import attend, is_seen, mark_seen, untold
    from raw_trigger.launch.local import LocalLauncher

    workspace = workspace_of(context)
    text = text_renderer()
    job = untold(workspace)
    if job is not None:
        _tell_of(text, job)
        # It was started to tell this and nothing else: what failed is not tried again by itself.
        if name.startswith("post-") and is_seen(workspace):
            return
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
                launcher=LocalLauncher(workspace.project, workspace.locks),
                on_plan=told,
                on_target=finished,
                tell=tell_stderr,
                detached=partial(_command, context.obj, name),
            )
    except RawTriggerError as error:
        if name == "pre-commit":
            error.hint = f"{error.hint}\n  {REFUSED}" if error.hint else REFUSED
        raise
    finally:
        if name != "pre-commit":
            mark_seen(workspace, rebased=[name, *(args or [])][:2] == ["post-rewrite", "rebase"])
    _conclude(text, name, done)


def _conclude(text: TextRenderer, name: str, done: Attended) -> None:
    """The last lines, and the exit code."""
    _tell_end(text, done)
    if done.job is not None:
        pid = f"process {done.job.owner.pid}"
        how = f"is taken along by {pid}" if done.joined else f"goes on in {pid}"
        text.say(f"raw-trigger {name}: {how}; its log is {done.job.log}")
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


def _tell_end(text: TextRenderer, done: Attended) -> None:
    if done.outcome is not None and done.plan is not None and done.plan.changes:
        text.outcome(done.plan, done.outcome)
    for warning in done.warnings:
        tell_stderr(f"warning: {warning}")


def _tell_of(text: TextRenderer, job: Job) -> None:
    from raw_trigger.render.words import background

    text.say((f"raw-trigger: {background(job)}", "bold red"))
    text.say("  it stays pending until `raw-trigger run`, or a commit that mends it")


def _command(chosen: Globals, name: str, log: Path) -> list[str]:
    """The command that does the hook's background work."""
    from raw_trigger.install import program

    return [*program(), *chosen.arguments(), "hook", "--detached", str(log), name]


def _work(context: typer.Context, name: str, log: Path) -> None:
    """What the hook has left to a process of its own."""
    from raw_trigger.background import work
    from raw_trigger.repo.repository import Repository

    chosen: Globals = context.obj
    work(Repository.discover(chosen.directory), name, log, lambda: _reconcile(context, name))


def _reconcile(context: typer.Context, name: str) -> str | None:
    """Says what was left undone."""
    from raw_trigger.hooking import reconcile
    from raw_trigger.launch.local import LocalLauncher
    from raw_trigger.render.words import left_undone

    text = text_renderer()
    progress = text.progress(0)

    def told(plan: Plan) -> None:
        text.plan(plan, brief=True)
        progress.expect(len(plan.actionable))

    try:
        # Read anew each time: what is committed meanwhile may be the configuration.
        workspace = workspace_of(context)
        text.say(f"raw-trigger {name}, in the background as process {os.getpid()}")
        with progress as finished:
            done = reconcile(
                workspace,
                name,
                launcher=LocalLauncher(workspace.project, workspace.locks),
                on_plan=told,
                on_target=finished,
                tell=tell_stderr,
            )
    except RawTriggerError as error:
        tell(error)
        return error.message.splitlines()[0]
    _tell_end(text, done)
    return None if done.plan is None else left_undone(done.plan, done.outcome)
