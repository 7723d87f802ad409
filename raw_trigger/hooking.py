"""What a git hook does: look, and according to the configuration tell or run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from raw_trigger.events.hooks import HookEvent, hook_event
from raw_trigger.install import ShimSettings, hooks_folder, program, rebake, seen_command, write_seen
from raw_trigger.launch.base import Launcher
from raw_trigger.model.outcome import Outcome, TargetOutcome
from raw_trigger.model.plan import Plan
from raw_trigger.trigger import Trigger, Waiting
from raw_trigger.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Attended:
    """What a hook came to. ``plan`` is None where there was nothing to look at."""

    event: HookEvent | None = None
    plan: Plan | None = None
    outcome: Outcome | None = None
    warnings: Sequence[str] = ()
    refused: str | None = None

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
    waiting: Waiting,
) -> Attended:
    """Do what the hook is configured to do.

    Args:
        on_plan: Told the plan before anything runs, unless it is empty.
        on_target: Told every finished target.
        waiting: Told whom this waits for.

    Raises:
        RawTriggerError: it cannot be known what to do.
    """
    action = workspace.config.hooks.get(name, "run")
    if action == "off":
        return Attended()
    event = hook_event(workspace, name, args, stdin, environ)
    if event is None:
        return Attended()
    trigger = Trigger(workspace)
    if event.starts_anew:
        trigger.ensure_record(event.base)
    if action == "notify":
        plan = trigger.plan(trigger.detect(event.base, event.desired, event.only), launching=True)
        if plan.changes:
            on_plan(plan)
        return Attended(event, plan)
    if not event.refuses and trigger.detect(event.base, event.desired).changes:
        trigger = trigger.without_failed()
    with trigger.planned(event.base, event.desired, face=name, only=event.only, waiting=waiting) as plan:
        if plan.changes:
            on_plan(plan)
        refused = _refusal(plan) if event.refuses else None
        if refused is not None:
            return Attended(event, plan, refused=refused)
        outcome = trigger.run(plan, launcher, face=name, on_target=on_target)
        return Attended(event, plan, outcome, trigger.warnings)


def shim_settings(workspace: Workspace) -> ShimSettings:
    """What the installed hooks have to know of this workspace."""
    config = workspace.config
    off = frozenset(name for name, action in config.hooks.items() if action == "off")
    # Hooks run at the top, where a configuration further down is not found.
    options = ("--config", config.file) if config.file and config.folder else ()
    return ShimSettings(program(), config.roots, config.file or "raw-trigger.yaml", off, options)


def mark_seen(workspace: Workspace) -> None:
    """Tell the installed hooks what was looked at, and what the configuration says by now.

    Also where something is left undone: that does not make every later commit slow.

    Raises:
        RawTriggerError: the hooks folder cannot be written.
    """
    repo = workspace.repo
    settings = shim_settings(workspace)
    done = repo.git.attempt(*seen_command(settings.roots, settings.config_file))
    if done.returncode == 0 and not repo.hooks_busy():
        write_seen(repo.git_dir, done.stdout)
    rebake(hooks_folder(repo.top, repo.git_dir), settings)


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
