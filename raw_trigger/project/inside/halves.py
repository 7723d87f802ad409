"""Runs that did not begin: their targets are tried in halves, until only those fail that cannot begin."""

from __future__ import annotations

from typing import Any

from .compat.assets import asset_key, units
from .compat.resources import resources_of
from .project import Project
from .targets import Document, predecessors

Unit = tuple[Any, ...]
"""Keys of assets that one function makes."""
Resources = frozenset[str]


def halves(
    project: Project,
    keys: dict[Any, list[Document]],
    error: Document | None,
    refused: dict[Resources, str],
) -> list[list[Document]]:
    """Returns two halves of the targets that did not begin; none if a split is of no use: then all fail.

    Args:
        error: What kept Dagster from making a run; None if a resource kept its first step from beginning.
        refused: Takes the message for resources that alone keep Dagster from making a run.
    """
    repo = project.repo_of[next(iter(keys))]
    needs: dict[Unit, Resources] = {}
    for unit in units(repo, list(keys)):
        above = {parent for key in unit for parent in project.parents.get(key, ())}
        needs[tuple(unit)] = resources_of(repo, [*unit, *above])
    alike = len(set(needs.values())) == 1
    first = next(iter(needs.values()))
    if len(needs) == 1 and error is not None:
        refused[first] = error["message"]
    if len(needs) == 1 or (alike and (error is None or refused.get(first) == error["message"])):
        return []
    groups: list[list[Unit]] = []
    for one in _in_order(project, needs, keys):
        if alike or not groups or needs[groups[-1][0]] != needs[one]:
            groups.append([])
        groups[-1].append(one)
    if len(groups) == 1:  # assets that are made from each other in a circle
        return []
    middle = len(groups) // 2
    return [
        [target for group in half for unit in group for key in unit for target in keys[key]]
        for half in (groups[:middle], groups[middle:])
    ]


def _in_order(project: Project, needs: dict[Unit, Resources], keys: dict[Any, list[Document]]) -> list[Unit]:
    """Returns the units, each after those it is made from.

    Otherwise units that use the same resources are neighbours.
    """
    unit_of = {key: unit for unit in needs for key in unit}
    above = {}
    for unit in needs:
        before = {parent for key in unit for parent in project.parents.get(key, ())}
        for target in (target for key in unit for target in keys[key]):
            before.update(asset_key(list(parts)) for parts, _ in predecessors(target))
        above[unit] = {unit_of[key] for key in before if key in unit_of} - {unit}
    ordered: dict[Unit, None] = {}
    last: Resources = frozenset()
    while len(ordered) < len(needs):
        free = [unit for unit in needs if unit not in ordered and above[unit] <= ordered.keys()]
        if not free:
            return [tuple(key for unit in needs for key in unit)]
        found = next((unit for unit in free if needs[unit] == last), free[0])
        ordered[found] = None
        last = needs[found]
    return list(ordered)
