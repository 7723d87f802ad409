"""What a sensor has to ask for first; what is made from it is asked for by a later tick.

A run that is asked for has one partition. Parents that were never made may need others: other runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from raw_trigger.model.plan import Plan, PlannedTarget
from raw_trigger.project.inside.above import Look
from raw_trigger.project.inside.compat.assets import asset_key
from raw_trigger.project.inside.groups import next_run
from raw_trigger.project.inside.outcomes import Outcomes
from raw_trigger.project.inside.project import Project
from raw_trigger.project.inside.targets import Document, Identity, identity, predecessors
from raw_trigger.project.messages import RunBatch

FIRST_TAG = "raw_first"
"""A tag of these runs: what needs them, and from which contents."""


@dataclass(frozen=True, slots=True)
class FirstRun:
    """Holds what one run makes: targets of one partition, as Dagster has it."""

    partition: Any
    targets: tuple[Document, ...]


def divided(project: Project, batch: RunBatch, look: Look) -> tuple[list[Document], list[Document]]:
    """Returns the parents that the own run of a batch makes, and those that it cannot."""
    nodes = [project.node(one.as_json()) for one in batch.targets]
    definition = next((node.partitions for node in nodes if node.partitions is not None), None)
    key = None if batch.is_range else batch.partition

    def fits(one: Document) -> bool:
        own = project.node(one).partitions
        return own is None or (own == definition and one["partition"] == key)

    documents = look.documents()
    fitting = [one for one in documents if fits(one)]
    above = {parent for node in nodes for parent in node.parents}
    own: list[Document] = []
    # What is only needed for a run of its own is made there.
    while more := [one for one in fitting if one not in own and asset_key(one["asset"]) in above]:
        own += more
        above |= {parent for one in more for parent in project.node(one).parents}
    return own, [one for one in documents if one not in fitting]


def first_runs(project: Project, outcomes: Outcomes, waiting: list[Document]) -> Iterator[FirstRun]:
    """Yields the runs of targets that can be made now: none of them waits for another.

    Args:
        outcomes: Told what cannot be made.
        waiting: The targets.
    """
    while waiting:
        partition, ready, left = next_run(project, outcomes, {"number": 0, "partition": None}, waiting, [])
        if ready:
            yield FirstRun(partition, tuple(ready))
        waiting = without(left, {identity(one) for one in ready})


def without(documents: list[Document], dropped: set[Identity]) -> list[Document]:
    """Returns those of the targets that are none of these, nor made from one of these."""
    gone, left = {*dropped}, documents
    while True:
        kept = [one for one in left if identity(one) not in gone and gone.isdisjoint(predecessors(one))]
        if len(kept) == len(left):
            return kept
        gone |= {identity(one) for one in left} - {identity(one) for one in kept}
        left = kept


def content_of(targets: Sequence[PlannedTarget], plan: Plan) -> str:
    """Returns what stands for targets and the contents that they are to be made from, as a tag."""
    contents = [
        (one.target.text, [(path, plan.contents.get(path)) for path in sorted(one.paths)]) for one in targets
    ]
    return hashlib.sha256(repr(sorted(contents)).encode()).hexdigest()[:16]


def ready(plan: Plan, wanted: Callable[[PlannedTarget], bool], most: int) -> Plan:
    """Returns the plan with only those batches that nothing else has to be made for first.

    Args:
        wanted: Says of a target whether it may be asked for.
        most: The most runs.
    """
    made = {one.target for one in plan.actionable if one.action == "materialize"}
    numbers: dict[int, int] = {}
    runs = 0
    for number, members in plan.batches.items():
        own = {one.target for one in members}
        waits = any(not made.isdisjoint(set(one.after) - own) for one in members)
        is_run = members[0].action == "materialize"
        if waits or not all(map(wanted, members)) or (is_run and runs == most):
            continue
        runs += is_run
        numbers[number] = len(numbers) + 1
    kept = (one for one in plan.targets if one.action == "skip" or one.batch in numbers)
    return replace(plan, targets=tuple(replace(one, batch=numbers.get(one.batch, 0)) for one in kept))
