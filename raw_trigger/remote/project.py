"""The Dagster project as a deployment has it: it is asked, and nothing of it has to be here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from raw_trigger.errors import DeploymentError
from raw_trigger.model.assets import Catalog
from raw_trigger.model.project import Files
from raw_trigger.project.project import DagsterProject, Execute
from raw_trigger.remote.deployment import Deployment
from raw_trigger.remote.server import Server


@dataclass(frozen=True)
class DeployedProject(DagsterProject):
    """Asks a deployment.

    Args:
        deployment: It is connected to when it is first asked.
        is_linked: Whether this is a linked worktree.
    """

    deployment: Deployment = field(kw_only=True, repr=False, compare=False)
    is_linked: bool = False

    def catalog(self, fresh: bool = False) -> Catalog:
        """Returns the asset graph of the deployment's code location.

        Raises:
            DeploymentError: it cannot be had.
        """
        with self.busy(f"asking {self.deployment.url}"):
            if fresh:
                self.deployment.look_again()
            return self.deployment.catalog

    def config_problems(self, run_configs: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str | None]:
        """Returns what is wrong with each configuration of a job; None for one that is right.

        Raises:
            DeploymentError: the deployment cannot tell.
        """
        return [self.deployment.config_problem(job, one) for job, one in run_configs]

    @contextmanager
    def starting(self) -> Iterator[Execute]:
        """Raises an error: nothing of the project runs here.

        Raises:
            DeploymentError: always.
        """
        raise DeploymentError(
            "that runs the project on this machine, and launcher: graphql leaves it to a deployment",
            "do it where the launcher is local",
        )
        yield  # pragma: no cover

    def cancel(self, run_id: str) -> str | None:
        """Cancels a run; returns why it could not be ended, None if it was.

        Raises:
            DeploymentError: the deployment cannot be asked.
        """
        return self.deployment.cancel(run_id)

    @property
    def files(self) -> Files | None:
        """Returns whose files the deployment reads, as configured.

        None in a linked worktree, too, where it reads the files of a working tree: that is another one.
        """
        return None if self.is_linked and self.options.files == "here" else self.options.files

    @property
    def commit(self) -> str | None:
        """Returns the commit that the deployment's code is from, as it says; None: it does not say.

        None, too, where it is not the commit's files that are read.
        """
        return self.deployment.location.commit if self.files == "commit" else None

    def knows(self, run_ids: Sequence[str]) -> bool:
        """Says whether the deployment has one of these runs.

        Raises:
            DeploymentError: it cannot be asked.
        """
        return bool(run_ids) and self.deployment.knows(run_ids)

    def worry(self) -> str | None:
        """Returns what is wrong with the deployment's daemon; None: nothing is.

        Raises:
            DeploymentError: it cannot be asked.
        """
        return self.deployment.worry()

    @property
    def shown(self) -> str:
        """Returns the deployment's address."""
        return self.deployment.url

    def has_private_home(self) -> bool:
        """Returns False: everybody who asks the deployment asks about the same assets."""
        return False

    def _has_instance(self) -> bool:
        return True

    def _ask_instance(self, **wanted: list[Any]) -> Mapping[str, Any]:
        deployment = self.deployment
        with self.busy(f"asking {deployment.url}"):
            never = deployment.never_materialized([tuple(parts) for parts in wanted.get("assets", ())])
            return {
                # What was launched here, before a deployment did it, is not in its event log.
                "runs": {},
                "launches": deployment.documents(wanted.get("launches", ())),
                "dynamic": deployment.dynamic_keys(wanted.get("dynamic", ())),
                "never": [list(parts) for parts in never],
            }


def deployed(project: DagsterProject, *, is_linked: bool) -> DeployedProject:
    """Returns the project as the deployment has it that its options name."""
    known = {one.name: getattr(project, one.name) for one in fields(DagsterProject)}
    deployment = Deployment(Server(project.options, project.environ), project.options.location)
    return DeployedProject(**known, deployment=deployment, is_linked=is_linked)
