"""The targets that go into one run: one location, one partition or a range of them."""

from __future__ import annotations

from typing import Any

from .compat.partitions import is_range, prepare_partition
from .errors import error_of
from .outcomes import Outcomes
from .project import Project
from .targets import Document, Identity, identity, joined, predecessors

Place = tuple[int, str]


def next_run(
    project: Project, outcomes: Outcomes, batch: Document, waiting: list[Document], statuses: list[str]
) -> tuple[Any, list[Document], list[Document]]:
    """Returns the targets that can go into one run: one location, one partition. The rest waits.

    Returns:
        The partition key for Dagster (a tuple: first and last one), the targets of the run, those left.
    """
    number = batch["number"]
    waiting = outcomes.drop(number, waiting, _unfit(project, batch, waiting), "failed", statuses)
    if not waiting:
        return None, [], []
    if batch.get("is_range"):
        ends = _range(project, waiting)
        if ends is not None:
            return ends, waiting, []
    place, definition, text = _place_of(project, batch, waiting)
    ready = _ready(project, batch, waiting, place, definition, text)
    chosen = {identity(target) for target in ready}
    rest = [target for target in waiting if identity(target) not in chosen]
    partition = None
    if text is not None and any(project.node(target).partitions is not None for target in ready):
        status, problem, cause = "skipped", "is no partition of", ""
        try:
            partition = prepare_partition(project.instance, definition, text)
        except Exception as raised:  # for example a key that the database refuses
            status, problem = "failed", "cannot be a partition of"
            cause = f": {error_of(raised, whole=False)['message']}"
        if partition is None:
            unusable = {
                identity(target): f"{text!r} {problem} {joined(target['asset'])}{cause}"
                for target in ready
                if project.node(target).partitions is not None
            }
            ready = outcomes.drop(number, ready, unusable, status, statuses)
            return None, [], [*ready, *rest]
    return partition, ready, rest


def _unfit(project: Project, batch: Document, targets: list[Document]) -> dict[Identity, str]:
    """Returns the targets that no run can make, and why."""
    bad: dict[Identity, str] = {}
    for target in targets:
        node = project.find(target)
        name = joined(target["asset"])
        if node is None:
            bad[identity(target)] = f"{name} is not in the Dagster project"
        elif node.kind == "external":
            bad[identity(target)] = f"{name} is external, it can only be reported"
        elif node.partitions is not None and _partition_of(batch, target) is None:
            bad[identity(target)] = f"{name} is partitioned, no partition is given"
    return bad


def _range(project: Project, waiting: list[Document]) -> tuple[str, str] | None:
    """Returns the first and the last key if one run can make these targets as a range; else None."""
    keys: dict[tuple[str, ...], list[str]] = {}
    for target in waiting:
        keys.setdefault(tuple(target["asset"]), []).append(target["partition"])
    nodes = [project.node({"asset": list(parts)}) for parts in keys]
    first = next(iter(keys.values()))
    if len(first) == 1 or any(other != first for other in keys.values()):
        return None
    alike = all(
        node.partitions is not None
        and node.partitions == nodes[0].partitions
        and (not node.per_run or node.per_run >= len(first))
        and project.place(node) == project.place(nodes[0])
        for node in nodes
    )
    if alike and is_range(project.instance, nodes[0].partitions, first):
        return first[0], first[-1]
    return None


def _partition_of(batch: Document, target: Document) -> str | None:
    key: str | None = target["partition"]
    return batch.get("partition") if key is None else key


def _place_of(project: Project, batch: Document, waiting: list[Document]) -> tuple[Place, Any, str | None]:
    """Returns where the next run is: that of the first target which waits for no other one elsewhere."""
    pending = {identity(target): project.place(project.node(target)) for target in waiting}
    first = waiting[0]
    for target in waiting:
        place = pending[identity(target)]
        if all(pending.get(one, place) == place for one in predecessors(target)):
            first = target
            break
    place = pending[identity(first)]
    for target in [first, *waiting]:
        definition = project.node(target).partitions
        if definition is not None and pending[identity(target)] == place:
            return place, definition, _partition_of(batch, target)
    return place, None, None


def _ready(
    project: Project,
    batch: Document,
    waiting: list[Document],
    place: Place,
    definition: Any,
    text: str | None,
) -> list[Document]:
    """Returns the targets that fit in and whose predecessors are done or in the same run."""
    fitting = {}
    for target in waiting:
        node = project.node(target)
        own = node.partitions
        alike = own is None or (own == definition and _partition_of(batch, target) == text)
        if project.place(node) == place and alike:
            fitting[identity(target)] = target
    pending = {identity(target) for target in waiting}
    while True:
        early = [
            one
            for one, target in fitting.items()
            if any(other in pending and other not in fitting for other in predecessors(target))
        ]
        if not early or len(early) == len(fitting):
            return list(fitting.values())
        for one in early:
            del fitting[one]
