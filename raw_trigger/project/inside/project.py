"""The loaded project: its assets, the repositories that have them, and the instance."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from .compat.assets import KIND_RANK, Node, asset_key, company, nodes
from .compat.instance import create_schema, open_instance
from .compat.jobs import job_names
from .errors import UnfitError
from .targets import Document


class Project:
    """Holds every asset once: if several locations name it, the one that can execute it counts.

    Attributes:
        node_of: The assets by Dagster's key.
        repo_of: The repository that executes each of them.
        parents: The keys of the assets that each of them is made from.
    """

    def __init__(self, instance: Any, repositories: list[tuple[str, Any]]) -> None:
        self.instance = instance
        self.node_of: dict[Any, Node] = {}
        self.repo_of: dict[Any, Any] = {}
        self._repos = [repo for _, repo in repositories]
        for repo in self._repos:
            for node in nodes(repo):
                known = self.node_of.get(node.key)
                if known is None or KIND_RANK[known.kind] < KIND_RANK[node.kind]:
                    self.node_of[node.key] = node
                    self.repo_of[node.key] = repo
        self.parents = {key: node.parents for key, node in self.node_of.items()}

    def find(self, target: Document) -> Node | None:
        """Returns the asset of a target; None if the project has none of this name."""
        return self.node_of.get(asset_key(target["asset"]))

    def node(self, target: Document) -> Node:
        """Returns the asset of a target that the project has."""
        return self.node_of[asset_key(target["asset"])]

    def place(self, node: Node) -> tuple[int, str]:
        """Returns what has to be equal for assets that one run can make."""
        return id(self.repo_of[node.key]), company(node)

    def repo_with(self, job: str) -> Any:
        """Returns the first repository that has a job of this name.

        Raises:
            UnfitError: none has.
        """
        for repo in self._repos:
            if job in job_names(repo):
                return repo
        raise UnfitError(f"job {job!r} is not in the Dagster project")


def prepared_instance() -> Any:
    """Returns the instance. One process at a time creates the tables of a new home."""
    home = Path(os.environ["DAGSTER_HOME"])
    if (home / "history" / "runs.db").exists() and (home / "schedules" / "schedules.db").exists():
        return open_instance()
    lock = os.open(home, os.O_RDONLY)  # locks the folder itself, so that no lock file is left behind
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        instance = open_instance()
        create_schema(instance)
        return instance
    finally:
        os.close(lock)
