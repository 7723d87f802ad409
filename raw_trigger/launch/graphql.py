"""Carries a plan out on a deployment of Dagster: asks for its runs, and waits for them if that is wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from raw_trigger.errors import DeploymentError, RawTriggerError, UnreachableError
from raw_trigger.launch.attempts import Attempt, ending, is_same, outcome_of
from raw_trigger.launch.base import Order, Report
from raw_trigger.launch.batches import run_batches
from raw_trigger.model.history import BatchRecord, LaunchRecord, TargetRecord
from raw_trigger.model.outcome import TargetOutcome, TargetStatus
from raw_trigger.model.owner import Owner
from raw_trigger.model.plan import Target
from raw_trigger.model.text import sample
from raw_trigger.project import RunBatch
from raw_trigger.remote.deployment import Deployment, Parts
from raw_trigger.remote.project import DeployedProject
from raw_trigger.remote.runs import RemoteRun
from raw_trigger.remote.server import RefusedError

_MANY = 5
"""From so many partitions on of the same assets, these are one backfill."""
_FIND = 20.0
"""Seconds in which a run is looked for whose answer was cut off."""
_PAUSE, _LONGEST_PAUSE = 1.0, 10.0
"""Seconds between two looks at runs that are waited for."""
_WORRY = 90.0
"""Seconds between two looks at the daemon while runs are waited for."""
_COME_BACK = "the runs go on there: `raw-trigger wait` waits for them, `raw-trigger cancel` ends them"
_UNTOLD = (
    "nobody knows from which files the deployment made it, so nothing is recorded: say `files: here` or "
    "`files: commit` under `dagster:` (in a linked worktree the latter: a deployment reads one working tree)"
)


class GraphqlLauncher:
    """Asks a deployment for the runs of a plan.

    Args:
        wait: Whether to follow the runs to their ends; else they are reported as submitted.
        say: Told with whom this waits, and why.
    """

    submits = True

    def __init__(self, project: DeployedProject, *, wait: bool, say: Callable[[str], None]) -> None:
        self._project = project
        self._deployment = project.deployment
        self._wait = wait
        self._say = say

    def ready(self) -> AbstractContextManager[None]:
        """Returns at once: see :class:`raw_trigger.launch.base.Launcher`."""
        return nullcontext()

    def launch(
        self,
        prepare: Callable[[], Order],
        on_target: Callable[[TargetOutcome], None],
        on_batch: Callable[[int], None],
    ) -> Report:
        """Carries out the order; see :class:`raw_trigger.launch.base.Launcher`.

        Raises:
            DeploymentError: the deployment would not carry it out; nothing was sent.
            KeyboardInterrupt: interrupted; the runs go on.
        """
        self._deployment.require_health()
        busy = self._deployment.unfinished()
        order = prepare()
        own = _Launch(self._project, order, busy, on_target, on_batch, self._say)
        try:
            problem = own.carry_out(wait=self._wait)
        except DeploymentError as error:  # it will not tell what it makes
            own.leave(f"it was not sent: {error.message}")
            problem = error
        except KeyboardInterrupt:
            if own.flying:
                self._say(_COME_BACK)
            own.leave("interrupted before it was sent")
            raise
        untold = [_UNTOLD] if self._project.files is None and (own.flying or own.run_ids) else []
        warnings = tuple(dict.fromkeys((*own.warnings, *untold)))
        return Report(tuple(own.run_ids), problem=problem, warnings=warnings)


@dataclass
class _Launch:
    """Holds one launch while it goes on.

    Attributes:
        todo: The batches that were not sent yet.
        flying: The batches that were or are being sent, and have not ended as far as is known, each with its
            run.
        ended: The runs that were looked into.
    """

    project: DeployedProject
    order: Order
    busy: Sequence[RemoteRun]
    on_target: Callable[[TargetOutcome], None]
    on_batch: Callable[[int], None]
    say: Callable[[str], None]
    todo: dict[int, RunBatch] = field(init=False)
    flying: dict[int, str | None] = field(default_factory=dict)
    states: dict[Target, TargetStatus] = field(default_factory=dict)
    run_ids: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    said: str = ""

    def __post_init__(self) -> None:
        batches = run_batches(self.order)
        self.todo = {one.number: one for one in batches}
        self._batches = dict(self.todo)
        self._launch = self.order.tags["raw_launch"]
        self._commit = self.project.commit

    @property
    def _deployment(self) -> Deployment:
        return self.project.deployment

    def carry_out(self, *, wait: bool) -> RawTriggerError | None:
        """Sends every batch as soon as it can be made; returns what kept some from being sent."""
        problem: RawTriggerError | None = None
        pause, worry = _PAUSE, time.monotonic() + _WORRY
        while True:
            try:
                while self.todo and (ready := self._next(wait=wait)) is not None:
                    alike = self._alike(ready)
                    if len(alike) < _MANY or not self._deployment.fills:
                        alike = [ready]
                        self._send(self.todo[ready])
                    else:
                        self._fill([self.todo[number] for number in alike])
                    for number in alike:
                        del self.todo[number]
            except DeploymentError as error:
                problem = error
                self._rest(f"it was not sent: {error.message}")
            if not wait or not self._is_worth_waiting():
                break
            time.sleep(pause)
            pause = pause if self._look() else min(2 * pause, _LONGEST_PAUSE)
            if time.monotonic() > worry:
                worry = time.monotonic() + _WORRY
                self._tell_worry()
        self.leave("it waits for what is made first: do it again when that has ended")
        return problem

    def leave(self, why: str) -> None:
        """Tells of what is still being made that it is, and of the rest why it is not."""
        for number, run_id in self.flying.items():
            for target in _targets(self._batches[number]):
                if target not in self.states:
                    self._tell(TargetOutcome(target, "submitted", run_id))
        self._rest(why)

    def _rest(self, why: str) -> None:
        for number, batch in self.todo.items():
            if number not in self.flying:
                self._skip(batch, why)
        self.todo.clear()

    # Sending

    def _next(self, *, wait: bool) -> int | None:
        """The number of a batch that can be sent now; those that never can be are told of."""
        for number, batch in list(self.todo.items()):
            own = set(_targets(batch))
            above = {Target("/".join(parts), key) for one in batch.targets for parts, key in one.after} - own
            bad = [one for one in above if self.states.get(one) in ("failed", "skipped")]
            if bad:
                del self.todo[number]
                self._skip(batch, f"upstream {min(one.text for one in bad)} failed")
                continue
            if any(self.states.get(one) != "success" for one in above):
                continue
            others = [run for run in self.busy if self._is_in_the_way(run, batch)]
            if not others:
                return number
            run = f"run {others[0].run_id[:8]} of the deployment"
            if not wait:
                del self.todo[number]
                self._skip(batch, f"{run} is making it")
            else:
                self._say_once(f"waiting for {run} to make {_text(batch)}")
        return None

    def _alike(self, number: int) -> list[int]:
        """The batches that one backfill can make with this one: the same assets, in other partitions."""
        first = self.todo[number]
        assets = {one.asset for one in first.targets}

        def fits(other: RunBatch) -> bool:
            above = {one for target in other.targets for one in target.after if one[0] not in assets}
            assets_here = self.order.catalog.assets
            return (
                other.kind == "materialize"
                and not other.is_range
                and all(assets_here["/".join(one)].partitions_per_run == 1 for one in assets)
                and {one.asset for one in other.targets} == assets
                and all(one.partition is not None for one in other.targets)
                and all(self.states.get(Target("/".join(parts), key)) == "success" for parts, key in above)
                and not any(self._is_in_the_way(run, other) for run in self.busy)
            )

        return [one for one, other in self.todo.items() if fits(other)] if fits(first) else [number]

    def _is_in_the_way(self, run: RemoteRun, batch: RunBatch) -> bool:
        if batch.job is not None:
            return run.job == batch.job
        places = self._deployment.location.places
        for one in batch.targets:
            place = places.get("/".join(one.asset))
            if place is not None and run.makes(one.asset, one.partition, place.jobs):
                return True
        return False

    def _fill(self, batches: Sequence[RunBatch]) -> None:
        """Sends many partitions as one backfill."""
        fit: list[RunBatch] = []
        for batch in batches:
            self.on_batch(batch.number)
            problem = self._problem(batch)
            if problem is None:
                fit.append(batch)
            else:
                self._skip(batch, problem)
        if not fit:
            return
        with self._being_sent(*fit):
            try:
                known = self._deployment.backfill(fit, self.order.tags)
                self.flying |= {batch.number: known for batch in fit}
            except UnreachableError as error:
                if not error.arrived:
                    raise
                self.warnings.append(f"{error.message}; whether it is being made is not known yet")

    def _send(self, batch: RunBatch) -> None:
        self.on_batch(batch.number)
        if batch.kind in ("report", "delete-partition"):
            self._at_once(batch)
            return
        problem = self._problem(batch)
        if problem is not None:
            self._skip(batch, problem)
            return
        first = self._never_made(batch)
        with self._being_sent(batch):
            self.flying[batch.number] = self._launched(batch, first)

    @contextmanager
    def _being_sent(self, *batches: RunBatch) -> Iterator[None]:
        """Counts the batches as sent, whatever happens in the block but that the deployment refuses them."""
        numbers = [batch.number for batch in batches]
        self.flying |= dict.fromkeys(numbers)
        try:
            yield
        except DeploymentError as error:
            is_refused = isinstance(error, RefusedError)
            if not is_refused and not (isinstance(error, UnreachableError) and not error.arrived):
                raise  # it may be there all the same
            for number in numbers:
                del self.flying[number]
            if not is_refused:
                raise
            for target in (target for batch in batches for target in _targets(batch)):
                self._tell(TargetOutcome(target, "failed", error=error.message))

    def _at_once(self, batch: RunBatch) -> None:
        """Does what needs no run."""
        for one in batch.targets:
            target = Target("/".join(one.asset), one.partition)
            asset = self.order.catalog.assets[target.asset]
            error = None
            try:
                if batch.kind == "report":
                    version, kind = one.data_version or "", one.report_as
                    self._deployment.report(asset, one.partition, version, one.metadata, kind)
                else:
                    self._deployment.delete_partition(asset, one.partition or "")
            except DeploymentError as problem:  # reports can be repeated
                error = problem.message
            self._tell(TargetOutcome(target, "success" if error is None else "failed", error=error))

    def _problem(self, batch: RunBatch) -> str | None:
        """Why a batch would fail there: the deployment takes any key, and finds out when it runs."""
        for one in batch.targets if batch.job is None else ():
            asset = self.order.catalog.assets["/".join(one.asset)]
            if one.partition is None:
                continue
            if self._deployment.lacks_partition(asset, one.partition):
                return f"the deployment has no partition '{one.partition}' of {asset.key}"
            try:
                self._deployment.add_partitions(asset, one.partition)
            except RefusedError as error:
                return error.message
        return None

    def _launched(self, batch: RunBatch, first: Iterable[Parts]) -> str | None:
        """The run of a batch that was asked for; None if nobody knows whether there will be one."""
        try:
            run_id = self._deployment.launch(batch, self.order.tags, first)
        except DeploymentError as error:
            if isinstance(error, UnreachableError) and not error.arrived:
                raise
            # Dagster may have made the run before something went wrong, or before the answer got lost.
            is_refused = isinstance(error, RefusedError)
            found = self._found(batch.number, 0.0 if is_refused else _FIND)
            if found is None:
                if is_refused:
                    raise
                self.warnings.append(f"whether {_text(batch)} is being made is not known yet")
                if not isinstance(error, UnreachableError):
                    raise
                self.warnings.append(error.message)
                return None
            run_id = found
        self.run_ids.append(run_id)
        return run_id

    def _found(self, number: int, patience: float) -> str | None:
        """The run of a batch, looked for by its tags."""
        until = time.monotonic() + patience
        while True:
            try:
                for run in self._deployment.launched(self._launch):
                    if run.batch == str(number):
                        return run.run_id
            except DeploymentError:
                pass
            if time.monotonic() > until:
                return None
            time.sleep(_PAUSE)

    def _never_made(self, batch: RunBatch) -> list[Parts]:
        """The assets above a batch that were never made, and that its run can make first."""
        catalog, planned = self.order.catalog, {one.target.asset for one in self.order.plan.actionable}
        kept = {one.asset for one in self.order.fed} | planned
        found: list[str] = []
        level = ["/".join(one.asset) for one in batch.targets]
        while level:
            above = {
                key
                for one in level
                for key in (catalog.assets[one].parents if one in catalog.assets else ())
                if key not in kept and key in catalog.assets
            }
            kept |= above
            whole = [
                catalog.assets[key]
                for key in sorted(above)
                if catalog.assets[key].kind == "materializable" and catalog.assets[key].partitions is None
            ]
            never = self._deployment.never_materialized([one.parts for one in whole])
            units = (catalog.assets["/".join(parts)] for parts in never)
            level = sorted({key for one in units for key in (one.key, *one.execution_set)})
            found += level
        return [catalog.assets[key].parts for key in found]

    # Waiting

    def _look(self) -> bool:
        """Looks at what is being made; returns whether something has ended."""
        try:
            return self._looked()
        except UnreachableError as error:
            self._say_once(f"{error.message}; waiting goes on")
            return False

    def _tell_worry(self) -> None:
        """Says if it may wait in vain."""
        with suppress(UnreachableError):
            worry = self._deployment.worry()
            if worry is not None:
                self._say_once(f"{worry}: what is queued waits for it")

    def _looked(self) -> bool:
        done = False
        if any(not run.has_ended for run in self.busy):
            self.busy = self._deployment.unfinished()
        runs = self._deployment.launched(self._launch) if self.flying else []
        ended = {run.run_id for run in runs if run.has_ended}
        # A backfill may end without having made its runs.
        if ended - self.ended or any(_is_backfill(one) for one in self.flying.values()):
            self.ended |= ended
            found = self.project.submitted([self._launch])[self._launch]
            own = [self._batches[number] for number in self.flying]
            known = ending(_as_launched(self._launch, own), found)
            for attempt in known.tried:
                self._tell(self._judged(attempt))
                done = True
        names = {_number(run): run.run_id for run in runs}
        self.flying = {
            number: run_id or names.get(number)
            for number, run_id in self.flying.items()
            if any(target not in self.states for target in _targets(self._batches[number]))
        }
        return done

    def _judged(self, attempt: Attempt) -> TargetOutcome:
        """The outcome of a target, which is no certain one if nobody knows what it was made from."""
        outcome = outcome_of(attempt)
        if outcome.status != "success":
            return replace(outcome, materialized=attempt.begun)
        name, run = attempt.name, f"run {(attempt.run_id or '')[:8]}"
        doubt = None
        if attempt.overtaken:
            doubt = f"{name} was made by another run since, or is being made by one: it stays pending"
        elif self.project.files is None:
            doubt = _UNTOLD
        elif self._commit is not None and not is_same(attempt.commit, self._commit):
            held = f"tells commit {attempt.commit}" if attempt.commit else "does not tell its commit"
            doubt = f"{name}: {run} {held}, not {self._commit[:12]}: it stays pending"
        if doubt is not None and doubt not in self.warnings:
            self.warnings.append(doubt)
        return replace(outcome, unsteady=doubt is not None)

    def _is_worth_waiting(self) -> bool:
        """Whether there is a run that ends some time: nobody may ever hear of one that was not found."""
        if any(run_id is not None for run_id in self.flying.values()):
            return True
        blocked = (self._is_in_the_way(run, batch) for batch in self.todo.values() for run in self.busy)
        return any(blocked)

    # Telling

    def _tell(self, outcome: TargetOutcome) -> None:
        self.states[outcome.target] = outcome.status
        self.on_target(outcome)

    def _skip(self, batch: RunBatch, why: str) -> None:
        for target in _targets(batch):
            self._tell(TargetOutcome(target, "skipped", error=why))

    def _say_once(self, text: str) -> None:
        if text != self.said:
            self.say(text)
            self.said = text


def _number(run: RemoteRun) -> int:
    return int(run.batch) if run.batch.isdecimal() else 0


def _is_backfill(run_id: str | None) -> bool:
    return run_id is not None and "-" not in run_id


def _targets(batch: RunBatch) -> list[Target]:
    return [Target("/".join(one.asset), one.partition) for one in batch.targets]


def _text(batch: RunBatch) -> str:
    """What a batch makes, for a person."""
    return sample([target.text for target in _targets(batch)])


def _as_launched(launch: str, batches: Iterable[RunBatch]) -> LaunchRecord:
    """A launch as its batches tell it: what it read is judged by whoever has launched it."""
    records: list[BatchRecord] = []
    for one in batches:
        members = tuple(TargetRecord(target, "unknown", "materialize") for target in _targets(one))
        records.append(BatchRecord("", one.number, None, "materialize", members, submitted=True))
    now = datetime.now(timezone.utc)
    return LaunchRecord(launch, "", "", None, "", tuple(records), None, Owner("", "", 0, ""), now)
