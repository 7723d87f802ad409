"""``raw-trigger hook``: what the git hooks call."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from raw_trigger.cli.errors import tell
from raw_trigger.cli.session import Globals, as_named, tell_stderr, text_renderer, waited_for
from raw_trigger.errors import ConfigError, RawTriggerError

P = ParamSpec("P")
FAILED = 1
ALONE = "."
"""The name of the only project."""

if TYPE_CHECKING:
    from raw_trigger.hooks.background import Job
    from raw_trigger.hooks.event import HookEvent
    from raw_trigger.hooks.projects import Projects
    from raw_trigger.hooks.run import HookResult
    from raw_trigger.model.plan import Plan, Target
    from raw_trigger.render.text import TextRenderer
    from raw_trigger.repo.repository import Repository
    from raw_trigger.workspace.workspace import Workspace

REFUSED = {
    "pre-commit": "the commit is refused; `git commit --no-verify` commits all the same",
    "pre-push": "the push is refused; `git push --no-verify` pushes all the same",
}
"""What to say when a hook fails whose exit code git obeys."""


def gently(verb: Callable[P, None]) -> Callable[P, None]:
    """Returns the command so that its exit code is one that git's own command can live with.

    Any exit code but 0 makes a checkout fail, so post-checkout always returns 0. Other hooks that run after a
    command return only ``FAILED``: git ignores it, but frameworks show it. If a commit or push is refused,
    the user is told how to do it all the same.
    """

    @functools.wraps(verb)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            verb(*args, **kwargs)
        except typer.Exit as ended:
            name, code = str(kwargs["name"]), ended.exit_code
            if code and name in REFUSED:
                text_renderer().say(f"raw-trigger: {REFUSED[name]}")
            after = name.startswith("post-") and (name == "post-checkout" or code != FAILED)
            raise typer.Exit(0 if after else code) from None

    return wrapper


def hook(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The hook's name, such as pre-commit.")],
    args: Annotated[list[str] | None, typer.Argument(help="What git passes to it.")] = None,
    detached: Annotated[
        Path | None, typer.Option("--detached", metavar="LOG", hidden=True, help="Do its background work.")
    ] = None,
) -> None:
    """Do the work of a git hook, with the arguments and the standard input that git gave it."""
    if detached is not None:
        _work(context, name, detached)
        return
    if os.environ.get("RAW_TRIGGER_SKIP", "0") not in ("", "0"):
        tell_stderr(f"{name} skipped (RAW_TRIGGER_SKIP)")
        return
    from raw_trigger.hooks.projects import is_seen, mark_known, mark_seen, wrong_configurations
    from raw_trigger.hooks.run import untold
    from raw_trigger.repo.repository import Repository

    text, repo = text_renderer(), Repository.discover(context.obj.directory)
    wrong = wrong_configurations(repo, context.obj.config) if name == "pre-commit" else []
    if wrong:
        raise typer.Exit(max(map(_told, wrong)))
    try:
        projects = _projects(context, repo)
    except RawTriggerError as error:
        raise typer.Exit(_told_after(name, error)) from error
    text = text.within(projects.repo.top)
    job = untold(projects)
    if job is not None:
        _tell_of(text, projects, job)
        # The hook was started to report this failure only: failed work is not repeated by itself.
        if name.startswith("post-") and is_seen(projects):
            return
    reads = name in ("post-rewrite", "pre-push") and sys.stdin is not None and not sys.stdin.isatty()
    stdin = sys.stdin.buffer.read() if reads else b""
    passed = args or []
    try:
        code = _attend_each(context.obj, projects, text, name, passed, stdin)
    finally:
        try:
            if name in REFUSED:
                # These hooks looked at the index or at pushed commits, which may differ from HEAD.
                mark_known(projects)
            else:
                mark_seen(projects, rebased=[name, *passed][:2] == ["post-rewrite", "rebase"])
        except RawTriggerError as error:
            # The folder may be read-only, or somebody else's: the hook has done its work all the same.
            tell_stderr(f"warning: {error.line}")
    if code:
        raise typer.Exit(code)


def _attend_each(
    chosen: Globals, projects: Projects, text: TextRenderer, name: str, args: list[str], stdin: bytes
) -> int:
    """Handles the event for each project concerned; an error in one does not keep the others from it.

    Returns:
        The worst exit code.
    """
    from raw_trigger.hooks.event import hook_events
    from raw_trigger.hooks.projects import concerned, has_none, has_raw_data

    if name.startswith("post-") and has_none(projects):
        if has_raw_data(projects):
            tell_stderr(f"{name}: there is no Dagster project here, so the raw data is not looked at")
        return 0
    found = concerned(projects, name, args)
    codes = [0, *(_told_after(name, problem) for _, problem in found.broken)]
    for workspace in found.workspaces:
        try:
            for event in hook_events(workspace, name, args, stdin, os.environ):
                codes.append(_attended(chosen, workspace, text, name, event))
        except RawTriggerError as error:
            if workspace.title is not None:
                error.message = f"{workspace.title}: {error.message}"
            codes.append(_told(error))
    return max(codes)


def _projects(context: typer.Context, repo: Repository) -> Projects:
    from raw_trigger.hooks.projects import projects_of

    chosen: Globals = context.obj
    found = projects_of(repo, chosen.directory, config_file=chosen.config, folder=chosen.project)
    workspaces = found.workspaces
    if len(workspaces) == 1:
        workspaces = (as_named(chosen, workspaces[0]),)
    return dataclasses.replace(found, workspaces=tuple(map(waited_for, workspaces)))


def _told(error: RawTriggerError) -> int:
    """Prints the error; returns its exit code."""
    tell(error)
    return error.exit_code


def _told_after(name: str, error: RawTriggerError) -> int:
    """Tells the error; returns its exit code.

    After git's own command a broken configuration is one line: a branch may have been like that for years.
    """
    if not name.startswith("post-") or not isinstance(error, ConfigError):
        return _told(error)
    from raw_trigger.render.words import harmless

    first, *more = error.lines
    rest = f" (and {len(more)} more: `raw-trigger check`)" if more else ""
    tell_stderr(harmless(f"{name}: the raw data is not looked at: {first}{rest}"))
    return error.exit_code


def _attended(chosen: Globals, workspace: Workspace, text: TextRenderer, name: str, event: HookEvent) -> int:
    """Handles one event of one project; returns the exit code."""
    from datetime import date

    from raw_trigger.hooks.run import is_news, run_hook
    from raw_trigger.launch.choosing import launcher_for
    from raw_trigger.render.words import asleep, standing
    from raw_trigger.trigger import Listener

    progress = text.progress(0)

    def told(plan: Plan) -> None:
        sleeping = asleep(plan)
        again = sleeping is not None and not is_news(workspace, plan.asleep, date.today())
        idle = standing(plan)
        if again and idle == sleeping:
            return
        if idle is not None:
            text.say(("raw-trigger", "bold"), f" {_titled(name, workspace)}: {idle}")
            return
        text.say(("raw-trigger", "bold"), f" {_titled(name, workspace)}")
        text.plan(plan, brief=True, asleep=not again)
        progress.expect(len(plan.actionable))

    with progress as finished:
        done = run_hook(
            workspace,
            name,
            event,
            environ=os.environ,
            launcher=launcher_for(workspace.project, workspace.locks, say=tell_stderr),
            listener=Listener(told, finished, tell_stderr),
            detached=partial(_command, chosen, name),
        )
    return _conclude(text, name, workspace, done)


def _titled(name: str, workspace: Workspace) -> str:
    return name if workspace.title is None else f"{name}  {workspace.title}"


def _conclude(text: TextRenderer, name: str, workspace: Workspace, done: HookResult) -> int:
    """Writes the last lines; returns the exit code."""
    _tell_end(text, done)
    if done.job is not None:
        pid = f"process {done.job.owner.pid}"
        how = f"{pid}, at work already, does this too" if done.joined else f"goes on in {pid}"
        text.say(f"raw-trigger {_titled(name, workspace)}: {how}; its log is {text.near(done.job.log)}")
    if done.refused is not None:
        text.say(("raw-trigger: ", "bold red"), done.refused)
    elif done.plan is not None and done.plan.actionable and done.outcome is None:
        jobs = any(one.target.job is not None for one in done.plan.actionable)
        text.say(f"run `raw-trigger run` to materialize {'or launch ' if jobs else ''}them")
    if (
        done.event is not None
        and done.event.pushed is not None
        and done.plan is not None
        and done.plan.waiting
    ):
        name = done.event.desired.name
        text.say(
            f"that is not what is checked out here: `git switch {name}`, then `raw-trigger run`, makes it"
        )
    if done.ran_badly and (name != "pre-commit" or not done.failed):
        text.say("it stays pending: mend it, then `raw-trigger run`")
    return FAILED if done.failed else 0


def _tell_end(text: TextRenderer, done: HookResult) -> None:
    from raw_trigger.render.words import standing

    plan = done.plan
    if done.outcome is not None and plan is not None and plan.changes and standing(plan) is None:
        text.outcome(plan, done.outcome)
    for warning in done.warnings:
        tell_stderr(f"warning: {warning}")


def _tell_of(text: TextRenderer, projects: Projects, job: Job) -> None:
    from raw_trigger.render.words import background

    text.say((f"raw-trigger: {text.near(background(job))}", "bold red"))
    lost = "what it had not made is pending: the next commit of raw data makes it, or `raw-trigger run`"
    mend = "it stays pending until `raw-trigger run`, or a commit that mends it"
    text.say(f"  {lost if job.fate == 'lost' else mend}")
    if job.fate == "lost":
        # Any other failed job has told the command itself, from its own process.
        _tell_command(projects.workspaces, job)


def _tell_command(workspaces: Iterable[Workspace | None], job: Job) -> None:
    from raw_trigger.hooks.run import tell_failure
    from raw_trigger.render.words import background, harmless

    for problem in tell_failure(filter(None, workspaces), job, harmless(background(job))):
        tell_stderr(harmless(problem))


def _command(chosen: Globals, name: str, log: Path) -> list[str]:
    """Returns the command that does the hook's background work."""
    from raw_trigger.install import program

    return [*program(), *chosen.arguments(), "hook", "--detached", str(log), name]


def _work(context: typer.Context, name: str, log: Path) -> None:
    """Does the work that the hook left to a background process."""
    from raw_trigger.hooks.background import work
    from raw_trigger.repo.repository import Repository

    chosen: Globals = context.obj
    left: dict[str, _Left] = {}
    work(
        Repository.discover(chosen.directory),
        name,
        log,
        lambda: _reconcile(context, name, left),
        lambda job: _tell_command(
            [one.workspace for one in left.values() if one.said and one.workspace], job
        ),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Left:
    """Holds what the background work left undone of a project, and the errors of all passes."""

    workspace: Workspace | None = None
    said: str | None = None
    failed: Mapping[Target, str] = dataclasses.field(default_factory=dict)

    def and_then(self, error: RawTriggerError) -> _Left:
        """Returns the same, and an error that kept this pass from knowing more."""
        line = error.lines[0]
        known = self.said is not None and (self.said == line or self.said.endswith(f"; {line}"))
        return (
            self if known else dataclasses.replace(self, said=f"{self.said}; {line}" if self.said else line)
        )


def _reconcile(context: typer.Context, name: str, left: dict[str, _Left]) -> str | None:
    """Returns what all passes have left undone; None if nothing.

    Args:
        left: By project, ``""`` where none could be found; brought up to date.
    """
    from raw_trigger.hooks.projects import has_none
    from raw_trigger.repo.repository import Repository

    text = text_renderer()
    try:
        # Read again each time: the configuration may have been committed meanwhile.
        projects = _projects(context, Repository.discover(context.obj.directory))
    except RawTriggerError as error:
        tell(error)
        left[""] = left.get("", _Left()).and_then(error)
        return _all_said(left)
    text = text.within(projects.repo.top)
    if has_none(projects):
        return _all_said(left)
    before = dict(left)
    left.clear()
    for place, problem in projects.broken:
        tell(problem)
        left[place.name] = before.get(place.name, _Left()).and_then(problem)
    for workspace in projects.workspaces:
        if workspace.title is not None and "background" not in workspace.config.hooks.values():
            continue
        own = workspace.title or ALONE
        known = dataclasses.replace(before.get(own, _Left()), workspace=workspace)
        try:
            left[own] = _reconciled(workspace, text, name, known)
        except RawTriggerError as error:
            tell(error)
            left[own] = known.and_then(error)
    return _all_said(left)


def _all_said(left: Mapping[str, _Left]) -> str | None:
    return "; ".join(dict.fromkeys(one.said for one in left.values() if one.said)) or None


def _reconciled(workspace: Workspace, text: TextRenderer, name: str, before: _Left) -> _Left:
    from raw_trigger.hooks.run import reconcile
    from raw_trigger.launch.choosing import launcher_for
    from raw_trigger.render.words import failed_by_now, left_undone
    from raw_trigger.trigger import Listener

    progress = text.progress(0)

    def told(plan: Plan) -> None:
        text.plan(plan, brief=True)
        progress.expect(len(plan.actionable))

    text.say(f"raw-trigger {_titled(name, workspace)}, in the background as process {os.getpid()}")
    with progress as finished:
        done = reconcile(
            workspace,
            name,
            launcher=launcher_for(workspace.project, workspace.locks, say=tell_stderr),
            listener=Listener(told, finished, tell_stderr),
        )
    _tell_end(text, done)
    if done.plan is None:
        return before
    failed = failed_by_now(done.plan, done.outcome, before.failed)
    return _Left(workspace, left_undone(done.plan, failed, done.unsteady), failed)
