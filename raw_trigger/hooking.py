"""Does what a git hook is configured to do: look, then report, run or start a run in the background."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from raw_trigger import background
from raw_trigger.background import Job
from raw_trigger.config.loader import NAMES, require_readable
from raw_trigger.errors import RawTriggerError
from raw_trigger.events.hooks import NAMES as NAMES_OF_HOOKS
from raw_trigger.events.hooks import HookEvent
from raw_trigger.events.revisions import recorded, revision_desired
from raw_trigger.install import (
    HOOKS,
    ShimSettings,
    forget_seen,
    hooks_folder,
    is_touched,
    program,
    read_seen,
    rebake,
    seen_now,
    write_seen,
)
from raw_trigger.install.atomic import replace_file
from raw_trigger.launch.base import Launcher
from raw_trigger.model.changes import show
from raw_trigger.model.outcome import Outcome, TargetOutcome
from raw_trigger.model.plan import STILL_FAILS, Plan, Target
from raw_trigger.model.settings import below
from raw_trigger.project.presence import has_project
from raw_trigger.record import tree as recorded_tree
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository, Revision
from raw_trigger.trigger import Trigger
from raw_trigger.workspace.places import Place, all_places, staged_configurations
from raw_trigger.workspace.workspace import Workspace, open_place, places_of

_FRAMEWORK = ("PRE_COMMIT", "PRE_COMMIT_RUNNING_LEGACY", "PREK_RUNNING_LEGACY")
"""Variables that the frameworks set for the hooks that they call."""


@dataclass(frozen=True, slots=True)
class Attended:
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


def attend(
    workspace: Workspace,
    name: str,
    event: HookEvent,
    *,
    environ: Mapping[str, str],
    launcher: Launcher,
    on_plan: Callable[[Plan], None],
    on_target: Callable[[TargetOutcome], None],
    tell: Callable[[str], None],
    detached: Callable[[Path], Sequence[str]],
) -> Attended:
    """Does what the hook is configured to do.

    Args:
        name: The hook that git has called.
        on_plan: Called with the plan before anything runs, unless it is empty.
        on_target: Called with every finished target.
        tell: Called with one line about what goes on: whom this waits for, or why.
        detached: Returns the command of the background work, which calls :func:`reconcile`, given its log.

    Raises:
        RawTriggerError: it cannot be known what to do.
    """
    action = workspace.config.hooks.get(event.name, "run")
    if action == "background" and under_framework(environ):
        action, on_plan = "run", _saying(on_plan, tell)
    if action == "off" or (name == "pre-commit" and action == "background"):
        return Attended()
    trigger = Trigger(workspace)
    # Before the record is read: a background process may be about to change it.
    at_work = action == "background" and background.at_work(workspace.repo)
    if event.starts_anew or action == "background":
        # Only this hook knows the commit before; a later command would believe that HEAD is materialized.
        trigger.ensure_record(event.base, trigger.rules_now())
    if action == "notify":
        plan = trigger.plan(trigger.detect(event.base, event.desired, event.pushed), launching=True)
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
    """Brings the record up to HEAD: the work that a hook left to the background.

    Raises:
        RawTriggerError: it cannot be known what to do.
    """
    repo = workspace.repo
    head = repo.head()
    if head is None:
        return Attended()
    # A rebase began before this process looked. Its end calls post-rewrite, or the user aborts it; then the
    # next hook has to look at what is left undone here. In post-rewrite itself the rebase is over.
    if repo.hooks_busy() and name != "post-rewrite":
        forget_seen(repo.git_dir)
        return Attended()
    base = recorded(repo, workspace.environment)
    if base is None:
        raise recorded_tree.no_more(workspace.environment)
    event = HookEvent(name, base, revision_desired(head))
    return _carry_out(Trigger(workspace), event, launcher, on_plan, on_target, tell)


def under_framework(environ: Mapping[str, str]) -> bool:
    """Says whether pre-commit or prek calls the hook, or calls the hook that was there before its own.

    They put unstaged edits away while hooks run and restore them afterwards, so nothing may go on reading.
    """
    return any(environ.get(name) for name in _FRAMEWORK)


def _saying(on_plan: Callable[[Plan], None], tell: Callable[[str], None]) -> Callable[[Plan], None]:
    def told(plan: Plan) -> None:
        tell("run now, not in the background: the framework puts unstaged edits away while hooks run")
        on_plan(plan)

    return told


def _may_have_work(trigger: Trigger, event: HookEvent) -> bool:
    """Says whether a process has to be started at all, without asking the Dagster project."""
    record = trigger.record
    if record is None or record.doubtful or trigger.detect(event.base, event.desired).changes:
        return True
    return record.rules is not None and not trigger.rules(None).same_file(record.rules)


def _carry_out(
    trigger: Trigger,
    event: HookEvent,
    launcher: Launcher,
    on_plan: Callable[[Plan], None],
    on_target: Callable[[TargetOutcome], None],
    tell: Callable[[str], None],
) -> Attended:
    mine, pending = _of_the_commit(trigger, event), _pending(trigger, event)
    if not pending <= mine:
        trigger = trigger.without_failed(mine)
    with trigger.planned(
        event.base, event.desired, face=event.name, only=event.pushed, waiting=tell, ready=launcher.ready
    ) as plan:
        own = plan
        if event.staged is not None and not mine.issuperset(one.change.path for one in plan.changes):
            own = trigger.plan(trigger.detect(plan.base, event.desired, event.staged), launching=True)
        refused = _refusal(own, event) if event.refuses else None
        told = plan if refused is None else own
        if told.changes:
            on_plan(trigger.counted(told))
        if refused is not None:
            return Attended(event, own, refused=refused)
        outcome = trigger.run(plan, launcher, face=event.name, on_target=on_target)
        targets = None if own is plan else frozenset(one.target for one in own.actionable)
        return Attended(event, plan, outcome, trigger.warnings, unsteady=trigger.unsteady, own=targets)


def _of_the_commit(trigger: Trigger, event: HookEvent) -> frozenset[bytes]:
    """Returns the paths that a commit brings, as plans name them."""
    if event.staged is None:
        return frozenset()
    return event.staged | {c.path for c in trigger.detect(event.base, event.desired, event.staged).changes}


def _pending(trigger: Trigger, event: HookEvent) -> frozenset[bytes]:
    """Returns all pending paths, as far as they are known without the Dagster project."""
    changed = {c.path for c in trigger.detect(event.base, event.desired, event.pushed).changes}
    record = trigger.record
    return frozenset(changed if record is None else changed.union(record.doubtful))


@dataclass(frozen=True, slots=True)
class Projects:
    """Holds the projects of a repository that a hook is about.

    Attributes:
        broken: Projects whose configuration cannot be used, and why.
        options: Options that name the one project to a hook, which runs at the top; empty if all are meant.
        whole: Whether these are all projects that the installed hooks look after.
    """

    repo: Repository
    workspaces: tuple[Workspace, ...]
    broken: tuple[tuple[Place, RawTriggerError], ...] = ()
    options: tuple[str, ...] = ()
    whole: bool = True


def find_projects(start: Path, *, config_file: Path | None = None, folder: Path | None = None) -> Projects:
    """Returns every project of the repository, or the one that the user named.

    Raises:
        RawTriggerError: there is no repository, or the only project cannot be used.
    """
    repo = Repository.discover(start)
    named = config_file is not None or folder is not None
    every = all_places(repo)
    places = every or places_of(repo, start)
    whole = True
    options: tuple[str, ...] = ()
    if named:
        places = places_of(repo, start, config_file=config_file, folder=folder)
        file = places[0].file
        others = [
            place for place in every if place.file is None or file is None or not _same(place.file, file)
        ]
        # A configuration of another name is not found by the search: the hook needs its path.
        own = file is not None and file.name not in NAMES
        whole = own or not others
    if len(places) == 1:
        workspace = open_place(repo, places[0])
        config = workspace.config
        if config.file is not None and config.file.rpartition("/")[2] not in NAMES:
            options = ("--config", config.file)
        elif config.file is None and config.folder:
            options = ("--project", config.folder)
        return Projects(repo, (workspace,), options=options, whole=whole)
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


def wrong_configurations(start: Path, config_file: Path | None = None) -> list[RawTriggerError]:
    """Returns the problems of configurations that are about to be committed, as the index has them.

    Raises:
        GitError: git cannot tell.
    """
    repo = Repository.discover(start)
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
    if projects.broken or not projects.whole:
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
    if not projects.broken and projects.whole:
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
    return _may_have_work(Trigger(workspace), HookEvent("", base, revision_desired(head)))


def _refusal(plan: Plan, event: HookEvent) -> str | None:
    """Returns why a commit or push has to be refused before anything runs; None if it need not."""
    pushed = event.name == "pre-push"
    if plan.waiting and event.pushed is None:
        first = plan.waiting[0]
        what = "pushed" if pushed else "staged"
        if first.disposition == "missing-content":
            return f"the content of a {what} file is not here, so Dagster cannot read it"
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
