"""What a git hook does: look, and according to the configuration tell, run or have it run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raw_trigger import background, settling
from raw_trigger.background import Job
from raw_trigger.errors import RecordError
from raw_trigger.events.hooks import HookEvent, hook_event
from raw_trigger.events.revisions import recorded, revision_desired
from raw_trigger.install import (
    ShimSettings,
    forget_seen,
    hooks_folder,
    program,
    read_seen,
    rebake,
    seen_command,
    write_seen,
)
from raw_trigger.launch.base import Launcher
from raw_trigger.model.outcome import Outcome, TargetOutcome
from raw_trigger.model.plan import Plan
from raw_trigger.trigger import Trigger
from raw_trigger.workspace import Workspace

_FRAMEWORK = ("PRE_COMMIT", "PRE_COMMIT_RUNNING_LEGACY", "PREK_RUNNING_LEGACY")
"""Set by the frameworks for the hooks that they call."""


@dataclass(frozen=True, slots=True)
class Attended:
    """What a hook came to. ``plan`` is None where there was nothing to look at.

    ``job`` is the work that was left to the background, ``joined`` whether it was at work already.
    """

    event: HookEvent | None = None
    plan: Plan | None = None
    outcome: Outcome | None = None
    warnings: Sequence[str] = ()
    refused: str | None = None
    job: Job | None = None
    joined: bool = False

    @property
    def failed(self) -> bool:
        """Whether what git is about to do should not happen, or what it did left something undone."""
        ran_badly = self.outcome is not None and self.outcome.status in ("failed", "partial")
        return self.refused is not None or ran_badly


def attend(
    workspace: Workspace,
    name: str,
    args: Sequence[str],
    *,
    stdin: bytes,
    environ: Mapping[str, str],
    launcher: Launcher,
    on_plan: Callable[[Plan], None],
    on_target: Callable[[TargetOutcome], None],
    tell: Callable[[str], None],
    detached: Callable[[Path], Sequence[str]],
) -> Attended:
    """Do what the hook is configured to do.

    Args:
        on_plan: Told the plan before anything runs, unless it is empty.
        on_target: Told every finished target.
        tell: Told in one line what goes on: whom this waits for, or why it does.
        detached: The command that does in the background what :func:`reconcile` does, given its log.

    Raises:
        RawTriggerError: it cannot be known what to do.
    """
    event = hook_event(workspace, name, args, stdin, environ)
    action = "off" if event is None else workspace.config.hooks.get(event.name, "run")
    if action == "background" and under_framework(environ):
        action, on_plan = "run", _saying(on_plan, tell)
    if event is None or action == "off" or (name == "pre-commit" and action == "background"):
        return Attended()
    trigger = Trigger(workspace)
    # Asked before the record is read: what is at work may be about to change it.
    at_work = action == "background" and background.at_work(workspace.repo)
    if event.starts_anew or action == "background":
        # Only here is it known what was there before.
        trigger.ensure_record(event.base)
    if action == "notify":
        plan = trigger.plan(trigger.detect(event.base, event.desired, event.only), launching=True)
        if plan.changes:
            on_plan(trigger.counted(plan))
        return Attended(event, plan)
    if action == "background":
        if not at_work and not _may_have_work(trigger, event):
            return Attended(event)
        if event.base.reason:
            tell(event.base.reason)
        job, started = background.start(workspace.repo, name, detached)
        return Attended(event, job=job, joined=not started)
    return _carry_out(trigger, event, launcher, on_plan, on_target, tell)


def reconcile(
    workspace: Workspace,
    name: str,
    *,
    launcher: Launcher,
    on_plan: Callable[[Plan], None],
    on_target: Callable[[TargetOutcome], None],
    tell: Callable[[str], None],
) -> Attended:
    """Make the record what HEAD is by now: what a hook has left to the background.

    Raises:
        RawTriggerError: it cannot be known what to do.
    """
    repo = workspace.repo
    head = repo.head()
    if head is None:
        return Attended()
    # A rebase was begun before this came to look. Its end calls a hook, or the user gives it up, and then
    # the next hook has to look at what is left here. post-rewrite is called by the end itself.
    if repo.hooks_busy() and name != "post-rewrite":
        forget_seen(repo.git_dir)
        return Attended()
    base = recorded(repo, workspace.environment)
    if base is None:
        raise RecordError(
            f"nothing is recorded for '{workspace.environment}' any more",
            "run everything with `raw-trigger run --all`, or record with `raw-trigger adopt REV`",
        )
    event = HookEvent(name, base, revision_desired(head))
    return _carry_out(Trigger(workspace), event, launcher, on_plan, on_target, tell)


def under_framework(environ: Mapping[str, str]) -> bool:
    """Whether pre-commit or prek calls the hook, or calls the hook that was there before its own.

    They put unstaged edits away while hooks run and bring them back after, so nothing may go on reading.
    """
    return any(environ.get(name) for name in _FRAMEWORK)


def _saying(on_plan: Callable[[Plan], None], tell: Callable[[str], None]) -> Callable[[Plan], None]:
    def told(plan: Plan) -> None:
        tell("run now, not in the background: the framework puts unstaged edits away while hooks run")
        on_plan(plan)

    return told


def _may_have_work(trigger: Trigger, event: HookEvent) -> bool:
    """Whether a process has to be started at all; without asking the Dagster project."""
    record = trigger.record
    if record is None or record.exceptions or trigger.detect(event.base, event.desired).changes:
        return True
    edited = record.rules is not None and not trigger.rules(None).same_file(record.rules)
    return edited or settling.has_interrupted(trigger.workspace) is not False


def _carry_out(
    trigger: Trigger,
    event: HookEvent,
    launcher: Launcher,
    on_plan: Callable[[Plan], None],
    on_target: Callable[[TargetOutcome], None],
    tell: Callable[[str], None],
) -> Attended:
    if not event.refuses and trigger.detect(event.base, event.desired).changes:
        trigger = trigger.without_failed()
    with trigger.planned(event.base, event.desired, face=event.name, only=event.only, waiting=tell) as plan:
        if plan.changes:
            on_plan(trigger.counted(plan))
        refused = _refusal(plan) if event.refuses else None
        if refused is not None:
            return Attended(event, plan, refused=refused)
        outcome = trigger.run(plan, launcher, face=event.name, on_target=on_target)
        return Attended(event, plan, outcome, trigger.warnings)


def shim_settings(workspace: Workspace) -> ShimSettings:
    """What the installed hooks have to know of this workspace."""
    config = workspace.config
    off = frozenset(name for name, action in config.hooks.items() if action == "off")
    if config.hooks.get("pre-commit") == "background":
        # There is no commit yet whose files could be materialized after this: post-commit does it.
        off |= {"pre-commit"}
    # Hooks run at the top, where a configuration further down is not found.
    options = ("--config", config.file) if config.file and config.folder else ()
    return ShimSettings(program(), config.roots, config.file or "raw-trigger.yaml", off, options)


def mark_seen(workspace: Workspace, *, rebased: bool = False) -> None:
    """Tell the installed hooks what was looked at, and what the configuration says by now.

    Also where something is left undone: that does not make every later commit slow.

    Args:
        rebased: Whether a rebase has just ended, though git has not yet put away what it kept for it.

    Raises:
        RawTriggerError: the hooks folder cannot be written.
    """
    repo = workspace.repo
    settings = shim_settings(workspace)
    done = repo.git.attempt(*seen_command(settings.roots, settings.config_file))
    if done.returncode == 0 and (rebased or not repo.hooks_busy()):
        write_seen(repo.git_dir, done.stdout)
    rebake(hooks_folder(repo.top, repo.git_dir), settings)


def is_seen(workspace: Workspace) -> bool:
    """Whether HEAD is what was last looked at."""
    settings = shim_settings(workspace)
    done = workspace.repo.git.attempt(*seen_command(settings.roots, settings.config_file))
    return done.returncode == 0 and done.stdout == read_seen(workspace.repo.git_dir)


def untold(workspace: Workspace) -> Job | None:
    """Work in the background that went wrong, to be told once; None too if all of it is done by now.

    Raises:
        RawTriggerError: it cannot be noted that it is told, or the record cannot be read.
    """
    repo = workspace.repo
    job = background.take_untold(repo)
    if job is None:
        return None
    head, base = repo.head(), recorded(repo, workspace.environment)
    if head is None or base is None:
        return job
    trigger = Trigger(workspace)
    return job if _may_have_work(trigger, HookEvent("", base, revision_desired(head))) else None


def _refusal(plan: Plan) -> str | None:
    """Why a commit cannot go on before anything was run."""
    if plan.waiting:
        first = plan.waiting[0]
        if first.disposition == "missing-content":
            return "the content of a staged file is not here, so Dagster cannot read it"
        return (
            "Dagster reads the files on disk, and these are not what is staged: stage them with `git add`, "
            "put them away with `git stash --keep-index`, or commit with --no-verify"
        )
    if plan.errors:
        return "some staged files cannot be mapped: mend raw-trigger.yaml, or commit with --no-verify"
    return None
