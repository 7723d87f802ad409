"""Which launcher carries plans out, as the configuration says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from raw_trigger.launch.base import Launcher
from raw_trigger.launch.local import LocalLauncher
from raw_trigger.project import DagsterProject


def launcher_for(
    project: DagsterProject,
    locks: Path | None,
    *,
    wait: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Launcher:
    """Returns the launcher of a project.

    Args:
        locks: The folder of the environments' locks; None if none is held.
        wait: Whether to wait for what a deployment makes: what is made here is always waited for.
        say: Told with whom it waits.
    """
    # Imported here: most projects have no deployment.
    from raw_trigger.remote.project import DeployedProject

    if isinstance(project, DeployedProject):
        from raw_trigger.launch.graphql import GraphqlLauncher

        return GraphqlLauncher(project, wait=wait, say=say)
    return LocalLauncher(project, locks)
