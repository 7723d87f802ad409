"""Carries a plan out on this machine, in the project's own interpreter: one process for the whole plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Literal, cast

from raw_trigger.errors import ProjectError
from raw_trigger.launch.base import Order, Report
from raw_trigger.lock import runner_lock
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.model.outcome import Lack, TargetOutcome
from raw_trigger.model.plan import PlannedTarget, Target, kind_of
from raw_trigger.project import (
    BatchStarted,
    DagsterProject,
    Execute,
    Left,
    RunBatch,
    RunError,
    RunnerEvent,
    RunTarget,
    TargetFinished,
)


class LocalLauncher:
    """Runs batches in one process on the user's Dagster instance.

    Args:
        locks: The folder of the environments' locks; None if none is held.
    """

    def __init__(self, project: DagsterProject, locks: Path | None) -> None:
        self._project = project
        self._locks = locks
        self._started: Execute | None = None

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Starts the project's interpreter, which imports Dagster.

        See :class:`raw_trigger.launch.base.Launcher`.
        """
        with ExitStack() as stack:
            with suppress(ProjectError):  # the launch tries again, and reports it
                self._started = stack.enter_context(self._project.starting())
            try:
                yield
            finally:
                self._started = None

    def launch(
        self,
        prepare: Callable[[], Order],
        on_target: Callable[[TargetOutcome], None],
        on_batch: Callable[[int], None],
    ) -> Report:
        """Carries out the order; see :class:`raw_trigger.launch.base.Launcher`.

        Raises:
            ProjectError: the project cannot be loaded; nothing has run.
            KeyboardInterrupt: interrupted; every finished target was reported.
        """
        run_ids: list[str] = []
        lacks: list[Lack] = []

        def heard(event: RunnerEvent) -> None:
            if isinstance(event, BatchStarted):
                on_batch(event.batch)
            if isinstance(event, Left):
                lacks.append(event.lack)
            if not isinstance(event, TargetFinished):
                return
            if event.run_id is not None and event.run_id not in run_ids:
                run_ids.append(event.run_id)
            on_target(
                TargetOutcome(
                    target=Target(event.asset, event.partition),
                    status=event.status,
                    run_id=event.run_id,
                    seconds=event.seconds,
                    error=None if event.error is None else _words(event.error),
                    checks=event.checks,
                    reads=event.reads,
                    materialized=event.materialized,
                    first=event.first,
                )
            )

        started, self._started = self._started, None
        with self._project.starting() if started is None else nullcontext(started) as execute:
            order = prepare()
            lock = None if self._locks is None else runner_lock(self._locks, order.plan.environment)
            result = execute(_batches(order), heard, order.tags, lock, order.watching)
        return Report(tuple(run_ids), str(result.log), result.problem, tuple(lacks))


def _words(error: RunError) -> str:
    """Returns the message and the frames that led to it."""
    frames = (error.traceback or "").rstrip().removesuffix(error.message).rstrip()
    return f"{error.message}\n{frames}" if frames else error.message


def _batches(order: Order) -> list[RunBatch]:
    by_number: dict[int, list[PlannedTarget]] = {}
    for planned in order.plan.actionable:
        by_number.setdefault(planned.batch, []).append(planned)
    return [_batch(order, number, len(by_number), members) for number, members in sorted(by_number.items())]


def _batch(order: Order, number: int, count: int, members: list[PlannedTarget]) -> RunBatch:
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


def _in_order(order: Order, members: list[PlannedTarget]) -> list[PlannedTarget]:
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
