"""The asset graph of the project as one JSON document."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from .compat.assets import KIND_RANK, Node, description, functions, nodes, texts
from .compat.jobs import config_problem, job_names
from .compat.mappings import describe_mapping
from .compat.partitions import describe_partitions
from .compat.resources import needs_config, unconfigured_resources
from .errors import error_of
from .source.names import Sources

MOST_TOLD = 20
"""The most names from a description: with more of them it is not about the asset's source."""


def describe(sources: Sources, repositories: list[tuple[str, Any]], run_configs: list[Any]) -> dict[str, Any]:
    """Returns every asset once: if several locations name it, the one that can execute it counts.

    Args:
        run_configs: Jobs, each with a configuration to check.
    """
    chosen: dict[Any, tuple[str, Any, Node]] = {}
    parents: dict[Any, set[Any]] = {}
    for location, repo in repositories:
        for node in nodes(repo):
            parents.setdefault(node.key, set()).update(node.parents)
            known = chosen.get(node.key)
            if known is None or KIND_RANK[known[2].kind] < KIND_RANK[node.kind]:
                chosen[node.key] = (location, repo, node)
    described = _Described(sources)
    assets = [
        {"location": location, **described.asset(repo, node, parents[key])}
        for key, (location, repo, node) in sorted(chosen.items(), key=lambda one: list(one[0].path))
    ]
    problems = []
    for job, run_config in run_configs:
        repo = next((repo for _, repo in repositories if job in job_names(repo)), None)
        problems.append(None if repo is None else config_problem(repo, job, run_config))
    jobs = {name: location for location, repo in reversed(repositories) for name in job_names(repo)}
    return {
        "assets": assets,
        "partitions": described.partitions,
        "jobs": jobs,
        "unread": described.unread,
        "problems": problems,
    }


class _Described:
    """Describes the assets one by one, and collects what they share.

    ``partitions`` are the partitions definitions, each once. ``unread`` is what could not be read of an asset
    that can do without it: that must not keep all others from being read.
    """

    def __init__(self, sources: Sources) -> None:
        self.partitions: list[dict[str, Any]] = []
        self.unread: list[list[Any]] = []
        self._sources = sources
        self._definitions: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._unconfigured: dict[int, frozenset[str]] = {}

    def asset(self, repo: Any, node: Node, parents: set[Any]) -> dict[str, Any]:
        """Returns the document of an asset.

        Args:
            parents: Its parents in all locations.
        """
        key = node.key
        metadata = [
            [name, text]
            for name, value in node.metadata.items()
            for text in self._read(key, f"its metadata {name!r}", [], texts, value)
        ]
        mappings = []
        for parent, how in sorted(node.mappings.items(), key=lambda one: list(one[0].path)):
            what = f"its partition mapping from {'/'.join(parent.path)}"
            told = self._read(key, what, _other(how), describe_mapping, how)
            mappings.append([list(parent.path), told])
        return {
            "key": list(key.path),
            "group": node.group,
            "kind": node.kind,
            "partitions": self._number(key, node.partitions),
            "parents": sorted(list(parent.path) for parent in parents if parent != key),
            "execution_set": sorted(list(other.path) for other in node.execution_set)
            if len(node.execution_set) > 1
            else [],
            "metadata": metadata,
            "checks": list(node.checks),
            "mappings": mappings,
            "per_run": node.per_run,
            **self._names(repo, node),
            "needs_config": self._read(key, "its configuration", False, self._needs_config, repo, node),
        }

    def _read(self, key: Any, what: str, instead: Any, ask: Callable[..., Any], *about: Any) -> Any:
        try:
            return ask(*about)
        except Exception as error:
            self.unread.append([list(key.path), f"{what} cannot be read: {error_of(error)['message']}"])
            return instead

    def _number(self, key: Any, definition: Any) -> int | None:
        """Returns the index in ``partitions``; None if the asset has no partitions."""
        if definition is None:
            return None
        if id(definition) not in self._numbers:
            self._definitions.append(definition)  # keeps it alive, so that no other object gets its id
            document = self._read(key, "its partitions", _other(definition), describe_partitions, definition)
            if document["kind"] == "other":  # two of them cannot be compared
                document["name"] += f" {len(self.partitions)}"
            if document not in self.partitions:
                self.partitions.append(document)
            self._numbers[id(definition)] = self.partitions.index(document)
        return self._numbers[id(definition)]

    def _names(self, repo: Any, node: Node) -> dict[str, list[str]]:
        """Returns texts that may name files, from the code of an asset and from its description."""
        found: dict[str, list[str]] = {}
        if node.kind == "materializable":
            with contextlib.suppress(Exception):  # only a hint is missing then
                makers = functions(repo, node.key)
                named = [name for one in makers for name in self._sources.names(one)]
                found["named"] = list(dict.fromkeys(named))
        with contextlib.suppress(Exception):
            told = self._sources.as_names(description(repo, node.key) or "")
            found["told"] = list(dict.fromkeys(told))[:MOST_TOLD]
        return {kind: names for kind, names in found.items() if names}

    def _needs_config(self, repo: Any, node: Node) -> bool:
        if node.kind != "materializable":
            return False
        if id(repo) not in self._unconfigured:
            self._unconfigured[id(repo)] = unconfigured_resources(repo)
        return needs_config(repo, node.key, self._unconfigured[id(repo)])


def _other(value: Any) -> dict[str, Any]:
    return {"kind": "other", "name": type(value).__name__}
