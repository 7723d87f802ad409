"""A plan as run requests: Dagster's daemon makes the runs, and what needs no run is done at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, Literal, cast

from dagster import AssetKey, RunRequest

from raw_trigger.automation.checks import own_checks
from raw_trigger.automation.first import FIRST_TAG, FirstRun, content_of, divided, first_runs, without
from raw_trigger.launch.base import Order, Report
from raw_trigger.launch.batches import outcome_of, run_batches
from raw_trigger.model.history import Repeat
from raw_trigger.model.outcome import Lack, TargetOutcome, Why
from raw_trigger.model.plan import PlannedTarget, Target
from raw_trigger.project.inside import runless
from raw_trigger.project.inside.above import Above, Look
from raw_trigger.project.inside.compat.assets import asset_key
from raw_trigger.project.inside.compat.jobs import job_partitions
from raw_trigger.project.inside.compat.partitions import is_dynamic, is_range, prepare_partition
from raw_trigger.project.inside.compat.runs import runs_for
from raw_trigger.project.inside.outcomes import Outcomes
from raw_trigger.project.inside.past import RANGE_END_TAG, RANGE_START_TAG
from raw_trigger.project.inside.project import Project
from raw_trigger.project.inside.targets import Identity, identity, joined
from raw_trigger.project.messages import RunBatch, TargetFinished, parse_event


class RequestLauncher:
    """Asks Dagster's daemon for the runs of a plan.

    Args:
        repository: Dagster's definition of the repository that is loaded here.
        dry: Whether it is only shown what would be asked for: nothing is reported, no partition added.

    Attributes:
        own_checks: As of :func:`raw_trigger.automation.checks.own_checks`.
        instance: Dagster's.
        dry: As given.
        requests: What the daemon is asked for.
        partitions: Where it is only shown: the dynamic partitions that would be added first.
    """

    submits = True

    def __init__(self, repository: Any, instance: Any, *, dry: bool = False) -> None:
        self._project = Project(instance, [("", repository)])
        self.instance = instance
        self._above = Above(instance, self._project.node_of)
        own = self.own_checks = own_checks(repository)
        self._own_checked = {one.asset_key for one in own}
        self._checks = [one for one in repository.asset_graph.asset_check_keys if one not in own]
        self.dry = dry
        self.requests: list[RunRequest] = []
        self.partitions: list[Any] = []

    def takes(self, target: PlannedTarget) -> bool:
        """Says whether it is for this code location: another one may only name the asset."""
        node = self._project.node_of.get(asset_key(target.target.asset.split("/")))
        return node is not None and (node.kind != "external" or target.action != "materialize")

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
        lacks: list[Lack] = []

        def heard(document: Mapping[str, Any]) -> None:
            event = parse_event(document)
            if isinstance(event, TargetFinished):
                if event.status != "success":
                    failed.add((event.parts, event.partition))
                on_target(outcome_of(event))

        outcomes = Outcomes(_Heard(heard), self._project)  # type: ignore[arg-type]
        batches = run_batches(order)
        planned = {identity(one.as_json()) for batch in batches for one in batch.targets}
        for batch in batches:
            on_batch(batch.number)
            if self.dry and batch.kind in ("report", "delete-partition"):
                continue
            if batch.kind == "report":
                runless.report(self._project, outcomes, batch.as_json())
            elif batch.kind == "delete-partition":
                runless.delete(self._project, outcomes, batch.as_json())
            else:
                above = sorted(
                    failed.intersection(one for target in batch.targets for one in target.after), key=repr
                )
                # It would add the dynamic partitions to ask about them.
                is_asked = batch.job is None and not self.dry
                first, left = self._never_made(batch, planned) if is_asked else ([], [])
                lacks += left
                problem = f"upstream {'/'.join(above[0][0])} failed" if above else None
                problem = problem or self._request(order, batch, first)
                status: Literal["submitted", "skipped", "failed"] = (
                    "submitted" if problem is None else "skipped" if above else "failed"
                )
                for one in batch.targets:
                    target = Target("/".join(one.asset), one.partition)
                    on_target(TargetOutcome(target, status, error=problem))
        return Report(lacks=tuple(lacks))

    def put_first(self, order: Order, repeats: Mapping[Target, Repeat], most: int) -> Mapping[Target, str]:
        """Asks for the runs that have to come before some of an order; returns what waits for them, and why.

        A run that has ended, however, is waited for no more: the target tells what it lacks.

        Args:
            repeats: How the targets were last run in vain: after that, all is tried again.
            most: The most requests.
        """
        batches, members = run_batches(order), order.plan.batches
        planned = {identity(one.as_json()) for batch in batches for one in batch.targets}
        outcomes = Outcomes(_Heard(lambda _: None), self._project)  # type: ignore[arg-type]
        waits: dict[Target, str] = {}
        busy: set[Identity] | None = None
        for batch in batches:
            look = self._look(batch, planned) if batch.kind == "materialize" else None
            apart = [] if look is None else divided(self._project, batch, look)[1]
            if look is None or not apart:
                continue
            own = members[batch.number]
            content = content_of(own, order.plan)
            since = max((repeats[one.target].ended for one in own if one.target in repeats), default=None)
            open_yet = without(look.documents(), self._tried_first(content, since))
            left = {identity(one) for one in open_yet} & {identity(one) for one in apart}
            if not left:
                continue
            text = min(joined(parts) + ("" if key is None else f"|{key}") for parts, key in left)
            waits |= dict.fromkeys((one.target for one in own), f"it waits for {text}, which was never made")
            if busy is None:
                busy = {one for targets, _ in runs_for(self.instance, FIRST_TAG) for one in targets}
            for run in first_runs(self._project, outcomes, open_yet):
                made = {identity(one) for one in run.targets}
                if len(self.requests) < most and busy.isdisjoint(made) and not left.isdisjoint(made):
                    self._request_first(order, run, content)
                    busy |= made
        return waits

    def _tried_first(self, content: str, since: datetime | None) -> set[Identity]:
        """What had runs that have ended, later than this."""
        after = 0.0 if since is None else since.timestamp()
        runs = runs_for(self.instance, FIRST_TAG, content)
        return {one for targets, ended in runs if ended is not None and ended > after for one in targets}

    def _request_first(self, order: Order, run: FirstRun, content: str) -> None:
        tags = {name: value for name, value in order.tags.items() if name != "raw_launch"}
        keys = [asset_key(one["asset"]) for one in run.targets]
        self.requests.append(
            RunRequest(
                run_key=f"first-{order.tags['raw_launch'][:8]}-{len(self.requests)}",
                partition_key=None if run.partition is None else str(run.partition),
                tags={**tags, FIRST_TAG: content},
                **self._selection(keys),
            )
        )

    def _selection(self, keys: Sequence[AssetKey]) -> dict[str, Any]:
        """What a request has to name for these assets: also their checks, where that are not all of them."""
        if self._own_checked.isdisjoint(keys):
            return {"asset_selection": keys}
        checks = [one for one in self._checks if one.asset_key in keys]
        return {"asset_selection": keys, "asset_check_keys": checks}

    def _look(self, batch: RunBatch, planned: set[Identity]) -> Look:
        fed = {asset_key(list(parts)) for parts in batch.fed}
        return self._above.look([one.as_json() for one in batch.targets], fed, planned)

    def _never_made(self, batch: RunBatch, planned: set[Identity]) -> tuple[list[AssetKey], list[Lack]]:
        """What the batch's run has to make first, because it was never made, and what it cannot make."""
        look = self._look(batch, planned)
        left = [
            Lack("/".join(key.path), tuple(partitions), cast(Why, why), "/".join(below))
            for (key, why), (partitions, (below, _)) in look.left.items()
        ]
        own, apart = divided(self._project, batch, look)
        below = min("/".join(one.asset) for one in batch.targets)
        # They had runs of their own, in vain: else this batch would still wait for them.
        left += [Lack("/".join(one["asset"]), (one["partition"],), "failed", below) for one in apart]
        keys = {asset_key(one["asset"]) for one in own}
        return sorted(keys, key=lambda one: list(one.path)), left

    def _request(self, order: Order, batch: RunBatch, first: Sequence[AssetKey]) -> str | None:
        """Adds the request for a batch; returns what is wrong with it: one that is keeps all others away.

        Args:
            first: What the run makes beside the targets.
        """
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
        keys = [*first, *dict.fromkeys(AssetKey(list(one.asset)) for one in batch.targets)]
        named = self._selection(keys) if batch.job is None else {"job_name": batch.job}
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
            if not is_range(self.instance, definition, keys):
                return f"no single run can make the partitions from {keys[0]!r} to {keys[-1]!r}", None
            return None, (keys[0], keys[-1])
        return self._prepared(definition, batch.partition, "/".join(batch.targets[0].asset))

    def _prepared(self, definition: Any, key: str | None, what: str) -> tuple[str | None, Any]:
        if key is None or definition is None:
            return None, key
        if self.dry:
            if is_dynamic(definition):
                self.partitions.append(definition.build_add_request([key]))
            return None, key
        found = prepare_partition(self.instance, definition, key)
        return (f"{key!r} is no partition of {what}", None) if found is None else (None, found)


class _Heard:
    """Takes the place of the channel of a process: the answers are heard here."""

    def __init__(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        self.send = send
