"""An order as the batches that the runner understands, and its events as outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from raw_trigger.launch.base import Order
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import PlannedTarget, Target, kind_of
from raw_trigger.project import RunBatch, RunTarget, TargetFinished


def outcome_of(event: TargetFinished) -> TargetOutcome:
    """Returns what became of a target."""
    return TargetOutcome(
        target=Target(event.asset, event.partition),
        status=event.status,
        run_id=event.run_id,
        seconds=event.seconds,
        error=None if event.error is None else event.error.words,
        checks=event.checks,
        reads=event.reads,
        materialized=event.materialized,
        first=event.first,
    )


def run_batches(order: Order) -> list[RunBatch]:
    """Returns the batches of an order, in the words of the runner."""
    batches = order.plan.batches
    return [_batch(order, number, len(batches), members) for number, members in batches.items()]


def _batch(order: Order, number: int, count: int, members: Sequence[PlannedTarget]) -> RunBatch:
    job = members[0].target.job
    partition, config = order.jobs.get(members[0].target, (members[0].target.partition, {}))
    kind = kind_of(members)
    is_range = kind == "materialize" and len({planned.target.partition for planned in members}) > 1
    if is_range:
        members = _in_order(order, members)
    return RunBatch(
        number=number,
        kind=kind if job is None else "job",
        job=job,
        run_id=order.run_ids.get(number),
        partition=None if is_range else partition,
        is_range=is_range,
        run_config=config,
        tags={"raw_batch": f"{number}/{count}"},
        fed=tuple(_parts(order, Target(asset)) for asset in sorted({one.asset for one in order.fed})),
        targets=tuple(
            RunTarget(
                asset=_parts(order, planned.target),
                partition=planned.target.partition,
                after=tuple((_parts(order, target), target.partition) for target in planned.after),
                data_version=order.data_versions.get(planned.target),
                metadata=order.metadata.get(planned.target, {}),
                report_as=cast(Literal["materialization", "observation"], order.report_as),
            )
            for planned in members
        ),
    )


def _in_order(order: Order, members: Sequence[PlannedTarget]) -> list[PlannedTarget]:
    """Returns the targets of a range in the order of its keys."""
    keys = PartitionKeys()

    def position(planned: PlannedTarget) -> float | str:
        definition = order.catalog.assets[planned.target.asset].partitions
        assert definition is not None
        return keys.order(definition, planned.target.partition or "")

    return sorted(members, key=position)


def _parts(order: Order, target: Target) -> tuple[str, ...]:
    asset = order.catalog.assets.get(target.asset)
    return tuple(target.asset.split("/")) if asset is None else asset.parts
