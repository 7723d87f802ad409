"""Tells what is pending, for each environment, and what works on it in the background."""

from __future__ import annotations

from dataclasses import dataclass

from raw_trigger.assumed import assumptions, fed_files
from raw_trigger.hooks import background
from raw_trigger.hooks.background import Job
from raw_trigger.install import missing_warning
from raw_trigger.model.changes import show
from raw_trigger.model.plan import Plan, Target
from raw_trigger.planner import Planner
from raw_trigger.record import tree as recorded_tree
from raw_trigger.repo import diff
from raw_trigger.repo.commits import headline
from raw_trigger.workspace.places import environments_of_others
from raw_trigger.workspace.worktrees import of_missing_worktrees


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """Holds one recorded environment. ``behind`` counts the raw files that differ between it and HEAD."""

    name: str
    tree: str
    behind: int


@dataclass(frozen=True, slots=True)
class Status:
    """Holds the current environment's plan against the working tree, and all records. ``head`` names HEAD.

    ``job`` is background work that has not ended, or that left undone what is still pending; None if there is
    none. ``hooks`` says that git no longer runs the installed hooks; None if it does. ``assumed`` are targets
    that are recorded as made although nothing ran here.
    """

    head: str | None
    plan: Plan
    environments: tuple[EnvironmentStatus, ...]
    job: Job | None = None
    hooks: str | None = None
    assumed: tuple[Target, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Returns the status as JSON values; the plan's pending paths and targets by name."""
        return {
            "version": 1,
            "environment": self.plan.environment,
            "head": self.head,
            "recorded": any(e.name == self.plan.environment for e in self.environments),
            "pending": [
                {"path": show(c.change.path), "disposition": c.disposition, "reason": c.reason}
                for c in self.plan.changes
            ],
            "targets": [
                {"asset": t.target.asset, "partition": t.target.partition} for t in self.plan.actionable
            ],
            "in_flight": [
                {"asset": t.target.asset, "partition": t.target.partition, "reason": t.reason}
                for t in self.plan.held
            ],
            "environments": [
                {"name": e.name, "tree": e.tree, "changed_files_to_head": e.behind} for e in self.environments
            ],
            "assumed": [{"asset": t.asset, "partition": t.partition} for t in self.assumed],
            "background": None if self.job is None else _job(self.job),
            "hooks": self.hooks,
        }


def _behind(planner: Planner, tree: str, tip: str) -> int:
    watched = planner.tracked.watched(tree, tip)
    differ = diff.between_trees(planner.workspace.repo, tree, tip, watched)
    return len(planner.tracked.changes(differ, tree, tip)[0])


def _job(job: Job) -> dict[str, object]:
    return {
        "state": job.fate,
        "face": job.face,
        "pid": job.owner.pid,
        "started": job.started.isoformat(),
        "ended": None if job.ended is None else job.ended.isoformat(),
        "message": job.message,
        "log": job.log,
    }


def status_of(planner: Planner) -> Status:
    """Returns the state of the working tree and of every environment's record.

    Raises:
        RawTriggerError: a record or the Dagster project cannot be read.
    """
    workspace = planner.workspace
    repo = workspace.repo
    plan = planner.pending()
    head = repo.head()
    tip = repo.empty_tree if head is None else head.tree
    is_foreign, is_gone = environments_of_others(repo, workspace.config), of_missing_worktrees(repo)
    found = tuple(
        EnvironmentStatus(name, tree, _behind(planner, tree, tip))
        for name, tree in sorted(recorded_tree.environments(repo).items())
        if name == workspace.environment or not (is_foreign(name) or is_gone(name))
    )
    name = None if head is None or head.commit is None else headline(repo, head.commit)
    job = background.read(repo)
    if job is not None and (job.fate == "done" or (job.fate in ("failed", "lost") and not plan.changes)):
        job = None
    hooks = missing_warning(repo.top, repo.git_dir)
    return Status(name, plan, found, job, hooks, _assumed(planner, plan))


def _assumed(planner: Planner, plan: Plan) -> tuple[Target, ...]:
    """Returns the targets that are recorded as made although they did not run here, without pending ones."""
    assumed = assumptions(planner)
    if not assumed.files:
        return ()
    made = {target for path, target in fed_files(planner, assumed.files) if assumed.covers(path, target.text)}
    due = {planned.target for planned in plan.targets if not planned.settles}
    return tuple(sorted(made - due, key=lambda target: target.text))
