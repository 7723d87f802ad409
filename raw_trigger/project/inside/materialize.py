"""Runs that materialize assets: what of a batch goes into which run, and what to do if one does not begin."""

from __future__ import annotations

import signal
import uuid
from typing import Any

from .above import Above, turns
from .channel import Channel
from .compat.assets import asset_key
from .compat.runs import FIRST_RUN_TAG, execute
from .errors import error_of
from .groups import next_run
from .halves import halves
from .interruption import Interrupted
from .outcomes import Outcomes
from .project import Project
from .reading import Reading
from .run import Run
from .targets import Document, Identity, identity


class Materializer:
    """Carries out batches that materialize assets.

    Args:
        request: The request, for its ``tags`` and the targets of all its batches.
    """

    def __init__(
        self, channel: Channel, project: Project, outcomes: Outcomes, reading: Reading, request: Document
    ) -> None:
        self._channel = channel
        self._project = project
        self._outcomes = outcomes
        self._reading = reading
        self._tags: dict[str, str] = request.get("tags") or {}
        self._planned = {identity(one) for batch in request["batches"] for one in batch["targets"]}
        self._above = Above(project.instance, project.node_of)
        self._run_id: str | None = None
        """The id for the next run, as the request chose it; None for one of its own."""

    def carry_out(self, batch: Document) -> None:
        """Makes the targets, and first what is upstream of them and was never made.

        Raises:
            Interrupted: a signal arrived while a run was on.
        """
        fed = {asset_key(parts) for parts in batch["fed"]}
        look = self._above.look(batch["targets"], fed, self._planned | self._outcomes.states.keys())
        for (key, why), (partitions, (below, _)) in look.left.items():
            self._channel.send(
                {
                    "event": "left",
                    "asset": list(key.path),
                    "partitions": list(partitions),
                    "why": why,
                    "below": list(below),
                }
            )
        first = look.documents()
        self._run_id = batch["run_id"]
        for targets in turns(first, batch["targets"], look.behind, self._unit_of):
            if targets and targets[0].get("first"):
                chosen, self._run_id = self._run_id, None
                self._in_runs({**batch, "run_id": None, "is_range": False, "partition": None}, targets)
                self._run_id = chosen
            else:
                self._in_runs(batch, targets)

    def _unit_of(self, target: Document) -> Identity:
        """Returns the same identity for targets that can only be made together."""
        node = self._project.find(target)
        paths = [tuple(key.path) for key in node.execution_set] if node is not None else []
        return min(paths, default=tuple(target["asset"])), target["partition"]

    def _in_runs(self, batch: Document, targets: list[Document]) -> None:
        waiting = list(targets)
        statuses: list[str] = []  # statuses of targets that were in no run
        while True:
            waiting = self._outcomes.after_the_failed(batch["number"], waiting, statuses)
            partition, ready, waiting = next_run(self._project, self._outcomes, batch, waiting, statuses)
            if not ready:
                if waiting:
                    continue
                return
            self._in_a_run(batch, partition, ready, statuses, {})
            statuses = []

    def _in_a_run(
        self,
        batch: Document,
        partition: Any,
        ready: list[Document],
        statuses: list[str],
        refused: dict[frozenset[str], str],
    ) -> None:
        """Carries out one run, or several if nothing of it began.

        Then only the part that cannot begin fails.

        Args:
            statuses: The statuses of targets that are reported already.
        """
        number = batch["number"]
        # If the batch has to be split, the next run needs an id of its own.
        run_id, self._run_id = self._run_id, None
        tags = {} if run_id or not batch["run_id"] else {FIRST_RUN_TAG: batch["run_id"]}
        run_id = run_id or str(uuid.uuid4())
        with self._outcomes.bracket(number, run_id) as told:
            told.extend(statuses)
            parts = self._run(batch, run_id, partition, ready, told, tags, refused)
        for part in parts:
            dropped: list[str] = []
            rest = self._outcomes.after_the_failed(number, part, dropped)
            if rest:
                self._in_a_run(batch, partition, rest, dropped, refused)

    def _run(
        self,
        batch: Document,
        run_id: str,
        partition: Any,
        ready: list[Document],
        statuses: list[str],
        tags: dict[str, str],
        refused: dict[frozenset[str], str],
    ) -> list[list[Document]]:
        """Runs the targets; returns groups to try apart, in this order, because nothing of them began."""
        project = self._project
        keys: dict[Any, list[Document]] = {}
        for target in ready:
            keys.setdefault(asset_key(target["asset"]), []).append(target)
        run = Run(self._outcomes, self._reading, batch["number"], run_id, keys)
        error = None
        try:
            execute(
                project.repo_of[next(iter(keys))],
                project.instance,
                keys=list(keys),
                partition=partition,
                run_id=run_id,
                tags={**self._tags, **(batch.get("tags") or {}), **tags},
                run_config=batch.get("run_config") or {},
                listener=run.on_event,
            )
        except KeyboardInterrupt:
            run.interrupted = True
        except (Exception, SystemExit) as raised:
            error = error_of(raised, whole=False)
        parts: list[list[Document]] = []
        if (error or run.error is not None) and not run.has_begun and not run.interrupted:
            parts = halves(project, keys, error, refused)
        if not parts:
            run.finish(project.parents, error)
        statuses.extend(run.statuses)
        if run.interrupted:  # Dagster has closed the run and reports nothing more about it
            raise Interrupted(signal.SIGINT)
        return parts
