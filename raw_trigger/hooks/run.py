"""Does what a git hook is configured to do: look, then report, run or start a run in the background."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from raw_trigger.adopt import ensure_record
from raw_trigger.hooks import background
from raw_trigger.hooks.background import Job
from raw_trigger.hooks.event import HookEvent
from raw_trigger.hooks.projects import Projects
from raw_trigger.install import forget_seen
from raw_trigger.install.atomic import replace_file
from raw_trigger.launch.base import Launcher
from raw_trigger.model.changes import ChangeSet, show
from raw_trigger.model.outcome import Outcome
from raw_trigger.model.plan import STILL_FAILS, Plan, Target
from raw_trigger.planner import Planner
from raw_trigger.record import moving
from raw_trigger.repo.repository import Revision
from raw_trigger.revisions import recorded, revision_desired
from raw_trigger.trigger import Listener, Trigger
from raw_trigger.workspace.workspace import Workspace

_FRAMEWORK = ("PRE_COMMIT", "PRE_COMMIT_RUNNING_LEGACY", "PREK_RUNNING_LEGACY")
"""Variables that the frameworks set for the hooks that they call."""


@dataclass(frozen=True, slots=True)
class HookResult:
    """Says what a hook did. ``plan`` is None if there was nothing to look at.

    ``unsteady`` are the warnings about something that is still pending. ``job`` is the work that was left to
    the background, None if none was; ``joined`` says that it had begun already. ``own`` are the targets that
    the commit brings, None if there were no others.
    """

    event: HookEvent | None = None
    plan: Plan | None = None
    outcome: Outcome | None = None
    warnings: Sequence[str] = ()
    unsteady: Sequence[str] = ()
    refused: str | None = None
    job: Job | None = None
    joined: bool = False
    own: frozenset[Target] | None = None

    @property
    def ran_badly(self) -> bool:
        """Says whether something that should have been made was not."""
        return self.outcome is not None and self.outcome.status in ("failed", "partial")

    @property
    def failed(self) -> bool:
        """Says whether git's command should be refused or, after it, whether something was left undone."""
        if self.own is not None and self.outcome is not None:
            return any(one.status == "failed" and one.target in self.own for one in self.outcome.targets)
        return self.refused is not None or self.ran_badly


def run_hook(
    workspace: Workspace,
    name: str,
    event: HookEvent,
    *,
    environ: Mapping[str, str],
    launcher: Launcher,
    listener: Listener,
    detached: Callable[[Path], Sequence[str]],
) -> HookResult:
    """Does what the hook is configured to do.

    Args:
        name: The hook that git has called.
        detached: Returns the command of the background work, which calls :func:`reconcile`, given its log.

    Raises:
        RawTriggerError: it cannot be known what to do.
    """
    action = workspace.config.hooks.get(event.name, "run")
    if action == "background" and under_framework(environ):
        action, listener = "run", _saying(listener)
    if action == "off" or (name == "pre-commit" and action == "background"):
        return HookResult()
    planner = Planner(workspace)
    if action != "notify" and workspace.config.launcher == "graphql":
        later = _later(workspace, event)
        if later is not None:
            is_said = (
                workspace.config.dagster.files == "commit" and event.name == "pre-commit"
            )  # by post-commit
            if not is_said and planner.detect(event.base, event.desired, event.pushed).changes:
                listener.say(f"{event.name}: {later}")
            return HookResult(event)
    # Before the record is read: a background process may be about to change it.
    at_work = action == "background" and background.at_work(workspace.repo)
    if event.starts_anew or action == "background":
        # Only this hook knows the commit before; a later command would believe that HEAD is materialized.
        ensure_record(planner, event.base, planner.rules_now())
    if action == "notify":
        plan = planner.plan(planner.detect(event.base, event.desired, event.pushed), launching=True)
        if plan.changes:
            listener.planned(planner.counted(plan))
        return HookResult(event, plan)
    if action == "background":
        if not at_work and not _may_have_work(planner, event):
            return HookResult(event)
        if event.base.reason:
            listener.say(event.base.reason)
        job, started = background.start(workspace.repo, name, detached)
        return HookResult(event, job=job, joined=not started)
    return _carry_out(planner, event, launcher, listener)


def reconcile(
    workspace: Workspace,
    name: str,
    *,
    launcher: Launcher,
    listener: Listener,
) -> HookResult:
    """Brings the record up to HEAD: the work that a hook left to the background.

    Raises:
        RawTriggerError: it cannot be known what to do.
    """
    repo = workspace.repo
    head = repo.head()
    if head is None:
        return HookResult()
    # A rebase began before this process looked. Its end calls post-rewrite, or the user aborts it; then the
    # next hook has to look at what is left undone here. In post-rewrite itself the rebase is over.
    if repo.hooks_busy() and name != "post-rewrite":
        forget_seen(repo.git_dir)
        return HookResult()
    base = recorded(repo, workspace.environment)
    if base is None:
        raise moving.no_more(workspace.environment)
    event = HookEvent(name, base, revision_desired(head))
    return _carry_out(Planner(workspace), event, launcher, listener)


def under_framework(environ: Mapping[str, str]) -> bool:
    """Says whether pre-commit or prek calls the hook, or calls the hook that was there before its own.

    They put unstaged edits away while hooks run and restore them afterwards, so nothing may go on reading.
    """
    return any(environ.get(name) for name in _FRAMEWORK)


def _later(workspace: Workspace, event: HookEvent) -> str | None:
    """Why a hook has nothing to do for a deployment, in words; None: it asks for what is due."""
    if workspace.config.dagster.files == "commit":
        return "the deployment makes it when it holds this commit: `raw-trigger run` asks for it then, or CI"
    # What is not committed is not there, and post-commit comes.
    return "nothing is refused, the deployment is asked afterwards" if event.refuses else None


def _saying(listener: Listener) -> Listener:
    def planned(plan: Plan) -> None:
        listener.say("run now, not in the background: the framework puts unstaged edits away while hooks run")
        listener.planned(plan)

    return replace(listener, planned=planned)


def _may_have_work(planner: Planner, event: HookEvent) -> bool:
    """Says whether a process has to be started at all, without asking the Dagster project."""
    record = planner.record
    if (
        record is None
        or record.in_doubt(planner.workspace.roots)
        or planner.detect(event.base, event.desired).changes
    ):
        return True
    return record.rules is not None and not planner.rules(None).same_file(record.rules)


def _carry_out(
    planner: Planner,
    event: HookEvent,
    launcher: Launcher,
    listener: Listener,
) -> HookResult:
    found = planner.detect(event.base, event.desired, event.pushed)
    mine = _of_the_commit(planner, event, found)
    others = not _pending(planner, found) <= mine
    if others:
        planner = planner.without_failed(mine)
    trigger = Trigger(planner)
    with trigger.planned(
        event.base,
        event.desired,
        face=event.name,
        only=event.pushed,
        found=None if others else found,
        waiting=listener.say,
        ready=launcher.ready,
        patient=event.refuses,
    ) as plan:
        own = plan
        if event.staged is not None and not mine.issuperset(one.change.path for one in plan.changes):
            own = planner.plan(planner.detect(plan.base, event.desired, event.staged), launching=True)
        refused = _refusal(own, event) if event.refuses else None
        told = plan if refused is None else own
        if told.changes:
            listener.planned(planner.counted(told))
        if refused is not None:
            return HookResult(event, own, refused=refused)
        outcome = trigger.run(plan, launcher, face=event.name, on_target=listener.finished)
        targets = None if own is plan else frozenset(one.target for one in own.actionable)
        return HookResult(event, plan, outcome, trigger.warnings, unsteady=trigger.unsteady, own=targets)


def _of_the_commit(planner: Planner, event: HookEvent, found: ChangeSet) -> frozenset[bytes]:
    """Returns the paths that a commit brings, as plans name them."""
    if event.staged is None:
        return frozenset()
    return event.staged | {change.path for change in planner.only(found, event.staged).changes}


def _pending(planner: Planner, found: ChangeSet) -> frozenset[bytes]:
    """Returns all pending paths, as far as they are known without the Dagster project."""
    changed = frozenset(change.path for change in found.changes)
    return (
        changed if planner.record is None else changed.union(planner.record.in_doubt(planner.workspace.roots))
    )


def untold(projects: Projects) -> Job | None:
    """Returns background work that went wrong, once; None if there is none or all of it is done by now.

    Raises:
        RawTriggerError: the report cannot be noted, or the record cannot be read.
    """
    repo = projects.repo
    job = background.take_untold(repo)
    if job is None:
        return None
    head = repo.head()
    return job if projects.broken or any(_is_behind(one, head) for one in projects.workspaces) else None


def tell_failure(workspaces: Iterable[Workspace], job: Job, summary: str) -> list[str]:
    """Starts the configured failure commands, each once, with the work left undone in the background.

    Returns:
        What went wrong with them.
    """
    folders: dict[tuple[str, ...], Path] = {}
    for workspace in workspaces:
        if workspace.config.on_failure is not None:
            folders.setdefault(workspace.config.on_failure, workspace.project.directory)
    problems = []
    for command, folder in folders.items():
        problem = background.notify(command, folder, job, summary)
        if problem is not None:
            problems.append(f"on_failure: {shlex.join(command)} {problem}")
    return problems


def is_news(workspace: Workspace, asleep: Collection[bytes], today: date) -> bool:
    """Says whether a file that waits for a time window was not reported today, and notes it as reported.

    Such files wait for the clock: a report with every commit would help nobody.
    """
    file = workspace.repo.private_dir / "told" / f"{workspace.environment}.json"
    names = {show(path) for path in asleep}
    told: set[str] = set()
    with suppress(OSError, ValueError, TypeError, AttributeError):
        known = json.loads(file.read_bytes())
        if known.get("day") == today.isoformat():
            told = set(known["files"])
    if names <= told:
        return False
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        document = {"day": today.isoformat(), "files": sorted(names | told)}
        replace_file(file, json.dumps(document).encode() + b"\n", 0o644)
    return True


def _is_behind(workspace: Workspace, head: Revision | None) -> bool:
    base = recorded(workspace.repo, workspace.environment)
    if head is None or base is None:
        return True
    return _may_have_work(Planner(workspace), HookEvent("", base, revision_desired(head)))


def _refusal(plan: Plan, event: HookEvent) -> str | None:
    """Returns why a commit or push has to be refused before anything runs; None if it need not."""
    pushed = event.name == "pre-push"
    if plan.waiting and event.pushed is None:
        first = plan.waiting[0]
        what = "pushed" if pushed else "staged"
        if first.disposition == "missing-content":
            return "the content of a file is not here, so Dagster cannot read it"
        hint = (
            "put them away with `git stash`"
            if pushed
            else ("stage them with `git add`, or put them away with `git stash --keep-index`")
        )
        return f"Dagster reads the files on disk, and these are not what is {what}: {hint}"
    if any(planned.unreadable for planned in plan.changes):
        return "a file cannot be read as its rule says: mend the file and commit it, or mend the rule"
    if plan.errors:
        return "see the errors above: mend the files or raw-trigger.yaml"
    if pushed and any(target.reason == STILL_FAILS for target in plan.targets):
        return "what is pushed has failed with this content: mend it, or try again with `raw-trigger run`"
    return None
