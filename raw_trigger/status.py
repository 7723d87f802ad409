"""What is pending, per environment."""

from __future__ import annotations

from dataclasses import dataclass

from raw_trigger import state
from raw_trigger.events.revisions import from_arguments
from raw_trigger.model.changes import show
from raw_trigger.model.plan import Plan
from raw_trigger.repo import diff
from raw_trigger.repo.commits import headline
from raw_trigger.trigger import Trigger


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """One recorded environment. ``behind`` counts the raw files in which HEAD differs from its record."""

    name: str
    tree: str
    behind: int


@dataclass(frozen=True, slots=True)
class Status:
    """The current environment's plan against the working tree, and all records. ``head`` names HEAD."""

    head: str | None
    plan: Plan
    environments: tuple[EnvironmentStatus, ...]

    def as_json(self) -> dict[str, object]:
        """The status as JSON values; the plan's pending paths and targets by name."""
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
            "environments": [
                {"name": e.name, "tree": e.tree, "changed_files_to_head": e.behind} for e in self.environments
            ],
        }


def status_of(trigger: Trigger) -> Status:
    """Look at the working tree and at every environment's record.

    Raises:
        RawTriggerError: a record or the Dagster project cannot be read.
    """
    workspace = trigger.workspace
    repo, roots = workspace.repo, workspace.roots
    base, desired = from_arguments(repo, workspace.environment, [])
    plan = trigger.plan(trigger.detect(base, desired), launching=True)
    head = repo.head()
    tip = repo.empty_tree if head is None else head.tree
    found = tuple(
        EnvironmentStatus(name, tree, len(diff.between_trees(repo, tree, tip, roots)))
        for name, tree in sorted(state.environments(repo).items())
    )
    name = None if head is None or head.commit is None else headline(repo, head.commit)
    return Status(name, plan, found)
