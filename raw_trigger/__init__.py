"""Materialize exactly the Dagster assets whose raw files changed in git."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raw_trigger.model.plan import Plan

__version__ = "0.1.0"
__all__ = ["plan"]


def plan(
    folder: str | Path = ".",
    *revisions: str,
    environment: str | None = None,
    assets: Sequence[str] = (),
    paths: Sequence[str] = (),
    staged: bool = False,
) -> Plan:
    """Returns what changed and what it would materialize, as `raw-trigger diff` shows it.

    `plan().actionable` are the targets: each has `target.asset`, `target.partition` and `paths`, which are
    bytes relative to the repository's top. Nothing is written.

    Args:
        folder: A folder of the project.
        revisions: As for `raw-trigger diff`: nothing (what is recorded, and the working tree), `REV`, `A`
            and `B`, `A..B` or `A...B`.
        environment: Whose record to use; None: as raw-trigger.yaml says.
        assets: Only these.
        paths: Only the files that match one of these globs.
        staged: Whether to compare with what is staged.

    Raises:
        RawTriggerError: it cannot be known; its text says what to do.
    """
    from raw_trigger.model.plan import Narrowing
    from raw_trigger.planner import Planner, Wishes
    from raw_trigger.revisions import from_arguments
    from raw_trigger.workspace.workspace import open_workspace

    workspace = open_workspace(Path(folder), environment=environment)
    planner = Planner(workspace, Wishes(Narrowing(tuple(assets), tuple(paths))))
    base, desired = from_arguments(workspace.repo, workspace.environment, revisions, staged=staged)
    return planner.plan(planner.detect(base, desired), launching=True)
