"""A plan as run requests: Dagster's daemon makes the runs, and what needs no run is done at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

from dagster import AssetKey, RunRequest

from raw_trigger.launch.base import Order, Report
from raw_trigger.launch.batches import outcome_of, run_batches
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import Target
from raw_trigger.project.inside import runless
from raw_trigger.project.inside.compat.assets import asset_key
from raw_trigger.project.inside.compat.jobs import job_partitions
from raw_trigger.project.inside.compat.partitions import is_dynamic, is_range, prepare_partition
from raw_trigger.project.inside.compat.runs import RANGE_END_TAG, RANGE_START_TAG
from raw_trigger.project.inside.outcomes import Outcomes
from raw_trigger.project.inside.project import Project
from raw_trigger.project.messages import Identity, RunBatch, TargetFinished, parse_event


class RequestLauncher:
    """Asks Dagster's daemon for the runs of a plan.

    Args:
        repository: Dagster's definition of the repository that is loaded here.
        dry: Whether it is only shown what would be asked for: nothing is reported, no partition added.

    Attributes:
        requests: What the daemon is asked for.
        partitions: Where it is only shown: the dynamic partitions that would be added first.
    """

    submits = True

    def __init__(self, repository: Any, instance: Any, *, dry: bool = False) -> None:
        self._project = Project(instance, [("", repository)])
        self._instance = instance
        self._dry = dry
        self.requests: list[RunRequest] = []
        self.partitions: list[Any] = []

    def ready(self) -> AbstractContextManager[None]:
        """Returns at once: see :class:`raw_trigger.launch.base.Launcher`."""
        return nullcontext()

    def launch(
        self,
        prepare: Callable[[], Order],
        on_target: Callable[[TargetOutcome], None],
        on_batch: Callable[[int], None],
    ) -> Report:
        """Reports what needs no run, and keeps the requests for the rest.

        See :class:`raw_trigger.launch.base.Launcher`.
        """
        order = prepare()
        failed: set[Identity] = set()

        def heard(document: Mapping[str, Any]) -> None:
            event = parse_event(document)
            if isinstance(event, TargetFinished):
                if event.status != "success":
                    failed.add((event.parts, event.partition))
                on_target(outcome_of(event))

        outcomes = Outcomes(_Heard(heard), self._project)  # type: ignore[arg-type]
        for batch in run_batches(order):
            on_batch(batch.number)
            if self._dry and batch.kind in ("report", "delete-partition"):
                continue
            if batch.kind == "report":
                runless.report(self._project, outcomes, batch.as_json())
            elif batch.kind == "delete-partition":
                runless.delete(self._project, outcomes, batch.as_json())
            else:
                above = sorted(
                    failed.intersection(one for target in batch.targets for one in target.after), key=repr
                )
                problem = f"upstream {'/'.join(above[0][0])} failed" if above else self._request(order, batch)
                status: Literal["submitted", "skipped", "failed"] = (
                    "submitted" if problem is None else "skipped" if above else "failed"
                )
                for one in batch.targets:
                    target = Target("/".join(one.asset), one.partition)
                    on_target(TargetOutcome(target, status, error=problem))
        return Report()

    def _request(self, order: Order, batch: RunBatch) -> str | None:
        """Adds the request for a batch; returns what is wrong with it: one that is keeps all others away."""
        try:
            problem, partition = self._partition(batch)
        except Exception as error:  # whatever a definition of the user's raises
            problem, partition = f"{type(error).__name__}: {error}", None
        if problem is not None:
            return problem
        tags = {**order.tags, **batch.tags}
        if isinstance(partition, tuple):
            tags |= {RANGE_START_TAG: partition[0], RANGE_END_TAG: partition[1]}
            partition = None
        named = {"job_name": batch.job} if batch.job is not None else {"asset_selection": _keys(batch)}
        # The same content may come again: Dagster makes no second run of a key, ever.
        key = f"{order.plan.fingerprint[:16]}-{order.tags['raw_launch'][:8]}-{batch.number}"
        self.requests.append(
            RunRequest(
                run_key=key,
                partition_key=None if partition is None else str(partition),
                run_config=dict(batch.run_config),
                tags=tags,
                **named,
            )
        )
        return None

    def _partition(self, batch: RunBatch) -> tuple[str | None, Any]:
        """What keeps the batch away, and its partition: a key, a first and a last one, or None."""
        if batch.job is not None:
            definition = job_partitions(self._project.repo_with(batch.job), batch.job)
            return self._prepared(definition, batch.partition, f"job {batch.job!r}")
        definition = None
        for one in batch.targets:
            node = self._project.node_of.get(asset_key(list(one.asset)))
            if node is None or node.kind == "external":
                return f"{'/'.join(one.asset)} is not executable in this code location", None
            definition = node.partitions if one.partition is not None else definition
        if batch.is_range:
            keys = list(dict.fromkeys(one.partition for one in batch.targets if one.partition is not None))
            if not is_range(self._instance, definition, keys):
                return f"no single run can make the partitions from {keys[0]!r} to {keys[-1]!r}", None
            return None, (keys[0], keys[-1])
        return self._prepared(definition, batch.partition, "/".join(batch.targets[0].asset))

    def _prepared(self, definition: Any, key: str | None, what: str) -> tuple[str | None, Any]:
        if key is None or definition is None:
            return None, key
        if self._dry:
            if is_dynamic(definition):
                self.partitions.append(definition.build_add_request([key]))
            return None, key
        found = prepare_partition(self._instance, definition, key)
        return (f"{key!r} is no partition of {what}", None) if found is None else (None, found)


class _Heard:
    """Takes the place of the channel of a process: the answers are heard here."""

    def __init__(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        self.send = send


def _keys(batch: RunBatch) -> list[AssetKey]:
    return list(dict.fromkeys(AssetKey(list(one.asset)) for one in batch.targets))
