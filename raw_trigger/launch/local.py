"""Carries a plan out on this machine, in the project's own interpreter: one process for the whole plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

from raw_trigger.errors import ProjectError
from raw_trigger.launch.base import Order, Report
from raw_trigger.launch.batches import outcome_of, run_batches
from raw_trigger.lock import runner_lock
from raw_trigger.model.outcome import Lack, TargetOutcome
from raw_trigger.project import BatchStarted, DagsterProject, Execute, Left, RunnerEvent, TargetFinished


class LocalLauncher:
    """Runs batches in one process on the user's Dagster instance.

    Args:
        locks: The folder of the environments' locks; None if none is held.
    """

    submits = False

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
            on_target(outcome_of(event))

        started, self._started = self._started, None
        with self._project.starting() if started is None else nullcontext(started) as execute:
            order = prepare()
            lock = None if self._locks is None else runner_lock(self._locks, order.plan.environment)
            result = execute(run_batches(order), heard, order.tags, lock, order.watching)
        return Report(tuple(run_ids), str(result.log), result.problem, tuple(lacks))
