"""Materializes and reports the targets of the request, and sends the outcome of each.

Runs by path in the user's interpreter. The request comes on standard input, the events go as JSON lines to
the channel that it names; standard output and error belong to user code and Dagster.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Python puts this folder first on sys.path; nothing in it may hide a module of the user.
sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != HERE]

import contextlib  # noqa: E402
import fcntl  # noqa: E402
import gc  # noqa: E402
import importlib.util  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import uuid  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from types import FrameType, ModuleType  # noqa: E402
from typing import Any  # noqa: E402

Document = dict[str, Any]
Identity = tuple[tuple[str, ...], "str | None"]

LOAD_FAILED = 3
READ_KINDS = ("files", "unsure", "folders", "around")
LOOK_SECONDS = 0.5
"""Seconds between two looks for the process that started this one."""
LOADED_OBJECTS = 100_000
"""So many new objects are allocated, while the project loads, before Python searches for cycles."""


class UnfitError(Exception):
    """Says why the request does not fit the project."""


class Interrupted(KeyboardInterrupt):
    """Says that a signal arrived; the value is its number."""


def _session() -> ModuleType:
    spec = importlib.util.spec_from_file_location("_raw_trigger_session", HERE / "session.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["_raw_trigger_session"] = module
    spec.loader.exec_module(module)
    return module


def _on_signal(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)


def _on_hangup(number: int, frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGTERM)  # Dagster handles SIGTERM


def _identity(target: Document) -> Identity:
    return tuple(target["asset"]), target["partition"]


def _text(parts: list[str] | tuple[str, ...]) -> str:
    return "/".join(parts)


class Run:
    """Tells what one Dagster run does to its targets, from its events."""

    def __init__(self, runner: Runner, batch: int, run_id: str, targets: dict[Any, list[Document]]) -> None:
        self.runner = runner
        self.batch = batch
        self.run_id = run_id
        self.targets = targets
        self.step_of: dict[Any, str] = {}
        self.assets_of: dict[str, set[Any]] = {}
        self.check_steps: dict[Any, dict[str, str]] = {}
        self.checks: dict[Any, dict[str, Document]] = {}
        self.materialized: set[Any] = set()
        self.partitions: set[tuple[Any, str | None]] = set()
        self.ended: dict[str, str] = {}
        self.errors: dict[str, Any] = {}
        self.began: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self.error: Any = None
        self.interrupted = False
        self.status: dict[Any, str] = {}
        self.statuses: list[str] = []
        self.read: dict[str, list[Document]] = {}

    @property
    def has_begun(self) -> bool:
        """Says whether a step of it has begun."""
        return bool(self.began or self.ended)

    def on_event(self, event: Document) -> None:
        """Takes in one event, and reports every target to which nothing more can happen."""
        kind, step = event["type"], event["step"]
        self.interrupted = self.interrupted or event.get("interrupted", False)
        if kind == "ASSET_MATERIALIZATION_PLANNED":
            self.step_of[event["asset"]] = step
            self.assets_of.setdefault(step, set()).add(event["asset"])
        elif kind == "ASSET_CHECK_EVALUATION_PLANNED":
            self.check_steps.setdefault(event["asset"], {})[event["check"]] = step
            self.assets_of.setdefault(step, set()).add(event["asset"])
        elif kind == "STEP_START":
            self.began[step] = event["time"]
            self.runner.reading.begin()
        elif kind in ("ASSET_MATERIALIZATION", "ASSET_OBSERVATION"):
            self.materialized.add(event["asset"])
            self.partitions.add((event["asset"], event.get("partition")))
            if step is not None and event["asset"] not in self.step_of:  # observable sources are not planned
                self.step_of[event["asset"]] = step
                self.assets_of.setdefault(step, set()).add(event["asset"])
        elif kind == "ASSET_CHECK_EVALUATION":
            self.checks.setdefault(event["asset"], {})[event["check"]] = {
                "name": event["check"],
                "passed": event["passed"],
                "severity": event["severity"],
                "message": event["message"],
            }
        elif kind == "PIPELINE_FAILURE":
            self.error = event["error"]
        else:
            self._step_ended(kind, step, event)

    def _step_ended(self, kind: str, step: str, event: Document) -> None:
        self.ended[step] = kind
        read = self.runner.reading.end()
        if read is not None:
            self.read.setdefault(_node_of(step), []).append(read)
        if kind == "STEP_FAILURE":
            self.errors[step] = event["error"]
        self.seconds[step] = event.get("seconds", event["time"] - self.began.get(step, event["time"]))
        for key in sorted(self.assets_of.get(step, ()), key=lambda one: list(one.path)):
            waits_for = {self.step_of.get(key), *self.check_steps.get(key, {}).values()}
            if key in self.targets and key not in self.status and waits_for <= self.ended.keys():
                self._settle(key)

    def _settle(self, key: Any) -> None:
        step = self.step_of[key]
        end = self.ended[step]
        alone = sum(1 for other in self.assets_of[step] if self.step_of.get(other) == step) == 1
        if end == "STEP_FAILURE" and (alone or key not in self.materialized):
            self._tell(key, "failed", self._step_error(step))
        elif end == "STEP_SKIPPED":
            self._tell(key, "skipped", self.runner.plain("its step was skipped: nothing came from upstream"))
        else:
            failure = self._failed_check(key)
            self._tell(key, "failed" if failure else "success", failure)

    def _failed_check(self, key: Any) -> Document | None:
        evaluated = self.checks.get(key, {})
        for check in sorted(evaluated.values(), key=lambda one: str(one["name"])):
            if not check["passed"] and check["severity"] == "ERROR":
                why = check["message"] or "no description"
                return self.runner.plain(f"asset check {check['name']} failed: {why}")
        for name, step in sorted(self.check_steps.get(key, {}).items()):
            if name not in evaluated and step in self.errors:
                cause = self._step_error(step)
                evaluated = self.checks.setdefault(key, {})
                evaluated[name] = {
                    "name": name,
                    "passed": False,
                    "severity": "ERROR",
                    "message": cause["message"],
                }
                return {**cause, "message": f"asset check {name} failed: {cause['message']}"}
        return None

    def _step_error(self, step: str) -> Document:
        if self.interrupted:
            return self.runner.plain("interrupted while it ran")
        info = self.errors.get(step)
        return self.runner.info(info) if info is not None else self.runner.plain("the step failed")

    def _tell(self, key: Any, status: str, error: Document | None) -> None:
        """Reports an asset; of a run over several partitions, each of them."""
        self.status[key] = status
        step = self.step_of.get(key)
        seconds = self.seconds.get(step) if step is not None else None
        targets, reads = self.targets[key], self._reads(key)
        made = [(key, target["partition"]) in self.partitions for target in targets]
        for target, is_made in zip(targets, made):  # noqa: B905  (Python 3.9)
            status_of, error_of = status, error
            if status == "success" and any(made) and not is_made and len(targets) > 1:
                status_of, error_of = (
                    "skipped",
                    self.runner.plain("the run did not materialize this partition"),
                )
            self.statuses.append(status_of)
            self.runner.tell(
                self.batch,
                target,
                status_of,
                run_id=self.run_id,
                seconds=None if seconds is None else seconds / len(targets),
                error=error_of,
                checks=[one for _, one in sorted(self.checks.get(key, {}).items())],
                reads=reads,
                materialized=is_made if any(made) else key in self.materialized,
            )

    def _reads(self, key: Any) -> Document | None:
        """Returns what was read for the asset, by its own step or ops and by those of its checks."""
        own = self.step_of.get(key)
        steps = {
            _node_of(step) for step in (own, *self.check_steps.get(key, {}).values()) if step is not None
        }
        found = [one for step in steps for one in self.read.get(step, ())]
        if own is None or not found:
            return None
        names = {kind: sorted({path for one in found for path in one[kind]}) for kind in READ_KINDS}
        return {**names, "complete": all(one["complete"] for one in found), "step": _node_of(own)}

    def finish(self, parents: dict[Any, frozenset[Any]], error: Document | None) -> None:
        """Reports the targets that no event was about.

        Args:
            error: What ended the run from outside a step; None if nothing did.
        """
        if error is None and self.error is not None:
            error = self.runner.info(self.error)
        for key in self.targets:
            self._finish_one(key, parents, error, set())

    def _finish_one(
        self,
        key: Any,
        parents: dict[Any, frozenset[Any]],
        error: Document | None,
        visiting: set[Any],
    ) -> None:
        if key in self.status or key in visiting:
            return
        visiting.add(key)
        step = self.step_of.get(key)
        if step in self.ended:  # a check of the asset never ran
            self._settle(key)
            return
        inner = [one for one in self.errors if step is not None and _node_of(one) == _node_of(step)]
        if inner:  # an earlier op of the graph that makes the asset failed
            self._tell(key, "failed", self._step_error(inner[0]))
            return
        upstream = sorted(parents.get(key, ()), key=lambda other: list(other.path))
        for other in upstream:
            if other in self.targets:
                self._finish_one(other, parents, error, visiting)
        failed = [other for other in upstream if self.status.get(other) in ("failed", "skipped")]
        if failed and not self.interrupted:
            self._tell(key, "skipped", self.runner.plain(f"upstream {_text(failed[0].path)} failed"))
        elif self.interrupted:
            self._tell(key, "skipped", self.runner.plain("interrupted before it ran"))
        else:
            self._tell(key, "failed", error or self.runner.plain("Dagster did not run it"))


class JobRun:
    """Tells how the run of a named job ended, from its events."""

    def __init__(self) -> None:
        self.interrupted = False
        self.materialized = False
        self.error: Any = None
        self.step_error: Any = None

    def on_event(self, event: Document) -> None:
        """Takes in one event; the first step that failed says why the run failed."""
        self.interrupted = self.interrupted or event.get("interrupted", False)
        self.materialized = self.materialized or event["type"] == "ASSET_MATERIALIZATION"
        if event["type"] == "STEP_FAILURE" and self.step_error is None:
            self.step_error = event["error"]
        elif event["type"] == "PIPELINE_FAILURE":
            self.error = event["error"]

    def told(self, runner: Runner) -> Document:
        """Returns why the run failed."""
        error = self.step_error or self.error
        return runner.info(error) if error is not None else runner.plain("Dagster says that it failed")


def _node_of(step: str) -> str:
    """Returns the top-level node of a step key: ``graph`` of ``graph.op[2]``."""
    return step.partition(".")[0].partition("[")[0]


class Runner:
    """Carries the batches of one request out, in order."""

    def __init__(self, session: ModuleType, channel: Any, request: Document) -> None:
        self.session = session
        self.channel = channel
        self.request = request
        self.states: dict[Identity, str] = {}
        self.planned = {_identity(one) for batch in request["batches"] for one in batch["targets"]}
        self.run_id: str | None = None
        opened = session.sibling("opened")
        self.reading = session.sibling("reading").Reading(request.get("reading"), opened)

    def plain(self, message: str) -> Document:
        """Returns an error without a traceback."""
        return dict(self.session.plain_error(message))

    def info(self, error: Any) -> Document:
        """Returns an error from Dagster's event log."""
        return dict(self.session.error_of_info(error))

    def load(self) -> None:
        """Loads Dagster and the project, and opens the instance."""
        began = time.monotonic()
        thresholds = gc.get_threshold()
        # Loaded objects stay alive; searching them for cycles would take a tenth of the time.
        gc.set_threshold(LOADED_OBJECTS)
        self.compat = self.session.start(self.request)
        try:
            self.instance = _open_instance(self.compat)
        except Exception as error:
            self.session.refuse_home(error)
            raise
        self.reading.start()
        self.repo_of: dict[Any, tuple[str, Any]] = {}
        self.node_of: dict[Any, Any] = {}
        self.repos = list(self.compat.load_repositories(self.request["project"]))
        for location, repo in self.repos:
            for node in self.compat.nodes(repo):
                known = self.node_of.get(node.key)
                if known is None or self.compat.KIND_RANK[known.kind] < self.compat.KIND_RANK[node.kind]:
                    self.node_of[node.key] = node
                    self.repo_of[node.key] = (location, repo)
        gc.freeze()
        gc.set_threshold(*thresholds)
        self.parents = {key: node.parents for key, node in self.node_of.items()}
        above = self.session.sibling("above")
        self.above = above.Above(self.compat, self.instance, self.node_of)
        self.turns = above.turns
        seconds = round(time.monotonic() - began, 3)
        self.channel.send({"event": "loaded", "seconds": seconds, "dagster": self.compat.VERSION})

    def tell(
        self,
        batch: int,
        target: Document,
        status: str,
        *,
        run_id: str | None = None,
        seconds: float | None = None,
        error: Document | None = None,
        checks: list[Document] | None = None,
        reads: Document | None = None,
        materialized: bool = False,
    ) -> None:
        """Sends the outcome of one target, and remembers it for later targets."""
        self.states[_identity(target)] = status
        self.channel.send(
            {
                "event": "target",
                "batch": batch,
                "asset": target["asset"],
                "partition": target["partition"],
                "status": status,
                "first": target.get("first", False),
                "run_id": run_id,
                "seconds": None if seconds is None else round(seconds, 3),
                "error": error,
                "checks": checks or [],
                "reads": reads,
                "materialized": materialized,
            }
        )

    def run_all(self) -> None:
        """Runs every batch; a failure does not keep the next one from running."""
        for batch in self.request["batches"]:
            if self.channel.gone:
                raise SystemExit("nobody listens any more")
            if batch["kind"] == "report":
                self._report(batch)
            elif batch["kind"] == "job":
                self._launch(batch)
            elif batch["kind"] == "delete-partition":
                self._delete(batch)
            else:
                self._materialize(batch)

    # What is no run -------------------------------------------------------------------------------

    def _report(self, batch: Document) -> None:
        number = batch["number"]
        with self._bracket(number, None) as statuses:
            for target in self._after_the_failed(number, batch["targets"], statuses):
                key = self.compat.asset_key(target["asset"])
                error, tried = None, False  # what fails late may be stored all the same
                if key not in self.node_of:  # Dagster would add an asset of this name
                    error = self.plain(f"{_text(target['asset'])} is not in the Dagster project")
                else:
                    try:
                        self.compat.report(
                            self.instance,
                            key,
                            partition=target["partition"],
                            data_version=target.get("data_version"),
                            metadata=target.get("metadata") or {},
                            as_observation=target.get("report_as") == "observation",
                        )
                    except Exception as raised:
                        error = self.session.error_of(raised)
                        tried = True
                status = "failed" if error else "success"
                statuses.append(status)
                self.tell(number, target, status, error=error, materialized=tried)

    def _delete(self, batch: Document) -> None:
        number = batch["number"]
        with self._bracket(number, None) as statuses:
            for target in self._after_the_failed(number, batch["targets"], statuses):
                error, tried = None, False
                node = self.node_of.get(self.compat.asset_key(target["asset"]))
                if node is None:
                    error = self.plain(f"{_text(target['asset'])} is not in the Dagster project")
                elif not self.compat.is_dynamic(node.partitions):
                    error = self.plain(f"the partitions of {_text(target['asset'])} are not dynamic")
                else:
                    try:
                        self.compat.delete_partition(self.instance, node.partitions, target["partition"])
                    except Exception as raised:
                        error = self.session.error_of(raised)
                        tried = True
                status = "failed" if error else "success"
                statuses.append(status)
                self.tell(number, target, status, error=error, materialized=tried)

    # Runs -----------------------------------------------------------------------------------------

    def _materialize(self, batch: Document) -> None:
        fed = {self.compat.asset_key(parts) for parts in batch["fed"]}
        look = self.above.look(batch["targets"], fed, self.planned | self.states.keys())
        for (key, why), (partitions, (below, _)) in look.left.items():
            self.channel.send(
                {
                    "event": "left",
                    "asset": list(key.path),
                    "partitions": list(partitions),
                    "why": why,
                    "below": list(below),
                }
            )
        first = look.documents()
        self.run_id = batch["run_id"]
        for targets in self.turns(first, batch["targets"], look.behind, self._unit_of):
            if targets and targets[0].get("first"):
                chosen, self.run_id = self.run_id, None
                self._materialize_all(
                    {**batch, "run_id": None, "is_range": False, "partition": None}, targets
                )
                self.run_id = chosen
            else:
                self._materialize_all(batch, targets)

    def _unit_of(self, target: Document) -> Identity:
        """Returns the same identity for targets that can only be made together."""
        node = self.node_of.get(self.compat.asset_key(target["asset"]))
        paths = [tuple(key.path) for key in node.execution_set] if node is not None else []
        return min(paths, default=tuple(target["asset"])), target["partition"]

    def _materialize_all(self, batch: Document, targets: list[Document]) -> None:
        number = batch["number"]
        waiting = list(targets)
        statuses: list[str] = []  # statuses of targets that were in no run
        while True:
            waiting = self._after_the_failed(number, waiting, statuses)
            partition, ready, waiting = self._next_run(batch, waiting, statuses)
            if not ready:
                if waiting:
                    continue
                return
            self._carry_out(batch, partition, ready, statuses, {})
            statuses = []

    def _carry_out(
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
        run_id, self.run_id = self.run_id, None
        tags = {} if run_id or not batch["run_id"] else {self.compat.FIRST_RUN_TAG: batch["run_id"]}
        run_id = run_id or str(uuid.uuid4())
        with self._bracket(number, run_id) as told:
            told.extend(statuses)
            parts = self._run(batch, run_id, partition, ready, told, tags, refused)
        for part in parts:
            dropped: list[str] = []
            rest = self._after_the_failed(number, part, dropped)
            if rest:
                self._carry_out(batch, partition, rest, dropped, refused)

    def _after_the_failed(self, number: int, targets: list[Document], statuses: list[str]) -> list[Document]:
        """Returns the targets without those that come after a failed one; it reports these."""
        rest = targets
        while True:
            dropped: dict[Identity, str] = {}
            for target in rest:
                for parts, partition in target.get("after") or ():
                    if self.states.get((tuple(parts), partition)) in ("failed", "skipped"):
                        dropped[_identity(target)] = f"upstream {_text(parts)} failed"
                        break
            self._with_their_set(rest, dropped)
            if not dropped:
                return rest
            rest = self._drop(number, rest, dropped, "skipped", statuses)

    def _with_their_set(self, targets: list[Document], dropped: dict[Identity, str]) -> None:
        """Drops a multi-asset that can only run as a whole if one of its assets is dropped."""
        reasons = {self.compat.asset_key(list(parts)): reason for (parts, _), reason in dropped.items()}
        for target in targets:
            node = self.node_of.get(self.compat.asset_key(target["asset"]))
            if node is None or not node.execution_set - {node.key}:
                continue
            for other in node.execution_set & reasons.keys():
                dropped.setdefault(_identity(target), reasons[other])

    def _drop(
        self,
        number: int,
        targets: list[Document],
        dropped: dict[Identity, str],
        status: str,
        statuses: list[str],
    ) -> list[Document]:
        rest = []
        for target in targets:
            reason = dropped.get(_identity(target))
            if reason is None:
                rest.append(target)
            else:
                statuses.append(status)
                self.tell(number, target, status, error=self.plain(reason))
        return rest

    def _next_run(
        self, batch: Document, waiting: list[Document], statuses: list[str]
    ) -> tuple[Any, list[Document], list[Document]]:
        """Returns the targets that can go into one run: one location, one partition. The rest waits.

        Returns:
            The partition key for Dagster (a tuple: first and last one), the targets of the run, those left.
        """
        number = batch["number"]
        bad: dict[Identity, str] = {}
        for target in waiting:
            node = self.node_of.get(self.compat.asset_key(target["asset"]))
            if node is None:
                bad[_identity(target)] = f"{_text(target['asset'])} is not in the Dagster project"
            elif node.kind == "external":
                bad[_identity(target)] = f"{_text(target['asset'])} is external, it can only be reported"
            elif node.partitions is not None and self._partition_of(batch, target) is None:
                bad[_identity(target)] = f"{_text(target['asset'])} is partitioned, no partition is given"
        waiting = self._drop(number, waiting, bad, "failed", statuses)
        if not waiting:
            return None, [], []
        if batch.get("is_range"):
            ends = self._range(waiting)
            if ends is not None:
                return ends, waiting, []
        place, definition, text = self._place_of(batch, waiting)
        ready = self._ready(batch, waiting, place, definition, text)
        chosen = {_identity(target) for target in ready}
        rest = [target for target in waiting if _identity(target) not in chosen]
        partition = None
        if any(self._node(target).partitions is not None for target in ready):
            status, problem, cause = "skipped", "is no partition of", ""
            try:
                partition = self.compat.prepare_partition(self.instance, definition, text)
            except Exception as raised:  # for example a key that the database refuses
                status, problem = "failed", "cannot be a partition of"
                cause = f": {self.session.error_of(raised, whole=False)['message']}"
            if partition is None:
                unusable = {
                    _identity(target): f"{text!r} {problem} {_text(target['asset'])}{cause}"
                    for target in ready
                    if self._node(target).partitions is not None
                }
                ready = self._drop(number, ready, unusable, status, statuses)
                return None, [], [*ready, *rest]
        return partition, ready, rest

    def _range(self, waiting: list[Document]) -> tuple[str, str] | None:
        """Returns the first and the last key if one run can make these targets as a range; else None."""
        keys: dict[tuple[str, ...], list[str]] = {}
        for target in waiting:
            keys.setdefault(tuple(target["asset"]), []).append(target["partition"])
        nodes = [self._node({"asset": list(parts)}) for parts in keys]
        first = next(iter(keys.values()))
        if len(first) == 1 or any(other != first for other in keys.values()):
            return None
        alike = all(
            node.partitions is not None
            and node.partitions == nodes[0].partitions
            and (not node.per_run or node.per_run >= len(first))
            and self._place({"asset": list(node.key.path)}) == self._place(waiting[0])
            for node in nodes
        )
        if alike and self.compat.is_range(self.instance, nodes[0].partitions, first):
            return first[0], first[-1]
        return None

    def _partition_of(self, batch: Document, target: Document) -> str | None:
        key: str | None = target["partition"]
        return batch.get("partition") if key is None else key

    def _node(self, target: Document) -> Any:
        return self.node_of[self.compat.asset_key(target["asset"])]

    def _place(self, target: Document) -> tuple[int, str]:
        key = self.compat.asset_key(target["asset"])
        return id(self.repo_of[key][1]), self.compat.company(self.node_of[key])

    def _place_of(self, batch: Document, waiting: list[Document]) -> tuple[tuple[int, str], Any, str | None]:
        """Returns where the next run is: that of the first target which waits for no other one elsewhere."""
        pending = {_identity(target): self._place(target) for target in waiting}
        first = waiting[0]
        for target in waiting:
            place = self._place(target)
            after = [(tuple(parts), key) for parts, key in target.get("after") or ()]
            if all(pending.get(one, place) == place for one in after):
                first = target
                break
        place = self._place(first)
        for target in [first, *waiting]:
            definition = self._node(target).partitions
            if definition is not None and self._place(target) == place:
                return place, definition, self._partition_of(batch, target)
        return place, None, None

    def _ready(
        self,
        batch: Document,
        waiting: list[Document],
        place: tuple[int, str],
        definition: Any,
        text: str | None,
    ) -> list[Document]:
        """Returns the targets that fit in and whose predecessors are done or in the same run."""
        fitting = {}
        for target in waiting:
            own = self._node(target).partitions
            alike = own is None or (own == definition and self._partition_of(batch, target) == text)
            if self._place(target) == place and alike:
                fitting[_identity(target)] = target
        pending = {_identity(target) for target in waiting}
        while True:
            early = [
                one
                for one, target in fitting.items()
                if any(
                    (tuple(parts), key) in pending and (tuple(parts), key) not in fitting
                    for parts, key in target.get("after") or ()
                )
            ]
            if not early or len(early) == len(fitting):
                return list(fitting.values())
            for one in early:
                del fitting[one]

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
        keys: dict[Any, list[Document]] = {}
        for target in ready:
            keys.setdefault(self.compat.asset_key(target["asset"]), []).append(target)
        run = Run(self, batch["number"], run_id, keys)
        error = None
        try:
            self.compat.execute(
                self.repo_of[next(iter(keys))][1],
                self.instance,
                keys=list(keys),
                partition=partition,
                run_id=run_id,
                tags={**(self.request.get("tags") or {}), **(batch.get("tags") or {}), **tags},
                run_config=batch.get("run_config") or {},
                listener=run.on_event,
            )
        except KeyboardInterrupt:
            run.interrupted = True
        except (Exception, SystemExit) as raised:
            error = self.session.error_of(raised, whole=False)
        parts: list[list[Document]] = []
        if (error or run.error is not None) and not run.has_begun and not run.interrupted:
            parts = self._apart(keys, error, refused)
        if not parts:
            run.finish(self.parents, error)
        statuses.extend(run.statuses)
        if run.interrupted:  # Dagster has closed the run and reports nothing more about it
            raise Interrupted(signal.SIGINT)
        return parts

    def _apart(
        self, keys: dict[Any, list[Document]], error: Document | None, refused: dict[frozenset[str], str]
    ) -> list[list[Document]]:
        """Returns two halves of the targets that did not begin; none if a split is of no use: then all fail.

        Args:
            error: What kept Dagster from making a run; None if a resource kept its first step from beginning.
        """
        repo = self.repo_of[next(iter(keys))][1]
        needs = {}
        for unit in self.compat.units(repo, list(keys)):
            above = {parent for key in unit for parent in self.parents.get(key, ())}
            needs[tuple(unit)] = self.compat.resources_of(repo, [*unit, *above])
        alike = len(set(needs.values())) == 1
        first = next(iter(needs.values()))
        if len(needs) == 1 and error is not None:
            refused[first] = error["message"]
        if len(needs) == 1 or (alike and (error is None or refused.get(first) == error["message"])):
            return []
        groups: list[list[tuple[Any, ...]]] = []
        for unit in self._in_order(needs, keys):
            if alike or not groups or needs[groups[-1][0]] != needs[unit]:
                groups.append([])
            groups[-1].append(unit)
        if len(groups) == 1:  # assets that are made from each other in a circle
            return []
        middle = len(groups) // 2
        return [
            [target for group in half for unit in group for key in unit for target in keys[key]]
            for half in (groups[:middle], groups[middle:])
        ]

    def _in_order(
        self, needs: dict[tuple[Any, ...], frozenset[str]], keys: dict[Any, list[Document]]
    ) -> list[tuple[Any, ...]]:
        """Returns the units, each after those it is made from.

        Otherwise units that use the same resources are neighbours.
        """
        unit_of = {key: unit for unit in needs for key in unit}
        above = {}
        for unit in needs:
            before = {parent for key in unit for parent in self.parents.get(key, ())}
            for target in (target for key in unit for target in keys[key]):
                before.update(self.compat.asset_key(list(parts)) for parts, _ in target.get("after") or ())
            above[unit] = {unit_of[key] for key in before if key in unit_of} - {unit}
        ordered: dict[tuple[Any, ...], None] = {}
        last: frozenset[str] = frozenset()
        while len(ordered) < len(needs):
            free = [unit for unit in needs if unit not in ordered and above[unit] <= ordered.keys()]
            if not free:
                return [tuple(key for unit in needs for key in unit)]
            found = next((unit for unit in free if needs[unit] == last), free[0])
            ordered[found] = None
            last = needs[found]
        return list(ordered)

    # Named jobs -----------------------------------------------------------------------------------

    def _launch(self, batch: Document) -> None:
        """Runs a named job; its target stands for the whole run."""
        target, name, run_id = batch["targets"][0], batch["job"], batch["run_id"]
        began = time.monotonic()
        run = JobRun()
        error = None
        with self._bracket(batch["number"], run_id) as statuses:
            try:
                repo = self._repo_with(name)
                success = self.compat.execute(
                    repo,
                    self.instance,
                    keys=name,
                    partition=self._job_partition(repo, name, batch["partition"]),
                    run_id=run_id,
                    tags={**(self.request.get("tags") or {}), **(batch.get("tags") or {})},
                    run_config=batch.get("run_config") or {},
                    listener=run.on_event,
                )
                error = None if success else run.told(self)
            except KeyboardInterrupt:
                run.interrupted = True
            except UnfitError as raised:
                error = self.plain(str(raised))
            except (Exception, SystemExit) as raised:
                error = self.session.error_of(raised, whole=False)
            if run.interrupted:
                error = self.plain("interrupted while it ran")
            statuses.append("failed" if error else "success")
            self.tell(
                batch["number"],
                target,
                statuses[-1],
                run_id=run_id,
                seconds=time.monotonic() - began,
                error=error,
                materialized=run.materialized,
            )
        if run.interrupted:
            raise Interrupted(signal.SIGINT)

    def _repo_with(self, job: str) -> Any:
        """Returns the first repository that has a job of this name."""
        for _, repo in self.repos:
            if job in self.compat.job_names(repo):
                return repo
        raise UnfitError(f"job {job!r} is not in the Dagster project")

    def _job_partition(self, repo: Any, job: str, text: str | None) -> Any:
        """Returns the partition key for Dagster; None if the job is not partitioned."""
        definition = self.compat.job_partitions(repo, job)
        if definition is None and text is None:
            return None
        if definition is None:
            raise UnfitError(f"job {job!r} is not partitioned")
        if text is None:
            raise UnfitError(f"job {job!r} is partitioned: its rule has to say `partition:`")
        key = self.compat.prepare_partition(self.instance, definition, text)
        if key is None:
            raise UnfitError(f"{text!r} is no partition of job {job!r}")
        return key

    @contextlib.contextmanager
    def _bracket(self, number: int, run_id: str | None) -> Iterator[list[str]]:
        """Sends ``batch-started`` and ``batch-finished`` around one run; gives the list of its statuses."""
        began = time.monotonic()
        statuses: list[str] = []
        ended = False
        self.channel.send({"event": "batch-started", "batch": number, "run_id": run_id})
        try:
            yield statuses
            ended = True
        finally:
            self.channel.send(
                {
                    "event": "batch-finished",
                    "batch": number,
                    "run_id": run_id,
                    "success": ended and set(statuses) <= {"success"},
                    "seconds": round(time.monotonic() - began, 3),
                }
            )


def _open_instance(compat: ModuleType) -> Any:
    """Returns the instance. One process at a time creates the tables of a new home."""
    home = Path(os.environ["DAGSTER_HOME"])
    if (home / "history" / "runs.db").exists() and (home / "schedules" / "schedules.db").exists():
        return compat.open_instance()
    lock = os.open(home, os.O_RDONLY)  # locks the folder itself, so that no lock file is left behind
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        instance = compat.open_instance()
        compat.create_schema(instance)
        return instance
    finally:
        os.close(lock)


def _hold(session: ModuleType, path: str | None) -> int | None:
    """Takes the lock that says that a run is on: the process that started us may be killed meanwhile.

    Returns:
        The handle that keeps the lock; it is held until this process ends, but not by its forks.

    Raises:
        RefusedError: the file cannot be locked.
    """
    if path is None:
        return None
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        fcntl.lockf(lock, fcntl.LOCK_SH)
    except OSError as error:
        raise session.RefusedError(f"{path} cannot be locked: {error.strerror}") from error
    return lock


def _watch(channel: Any, patience: float) -> None:
    """Ends this process as SIGTERM would, once nobody reads its answers: its parent was killed.

    Runs in a thread.
    """
    while channel.is_read():
        time.sleep(LOOK_SECONDS)
    # To the main thread: a signal for the process can arrive in another thread, and then wakes no sleep.
    signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)  # type: ignore[arg-type]
    time.sleep(patience)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    """Reads a request, carries it out, and sends events.

    Returns:
        0 when every batch was handled, whatever the outcome of its targets.
    """
    session = _session()
    # The import takes most of the time until the request comes. If it fails, it fails again where that is
    # reported.
    with contextlib.suppress(Exception):
        import dagster  # noqa: F401
    request = session.read_request()
    channel = session.Channel(request["channel"])
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, _on_signal)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` has it
        signal.signal(signal.SIGHUP, _on_hangup)
    try:
        runner = Runner(session, channel, request)
        try:
            _hold(session, request.get("lock"))
            # Looked at after the lock: whoever finds the lock free then knows that nothing more will run.
            if not channel.is_read():
                return 128 + signal.SIGTERM
            watch = threading.Thread(target=_watch, args=(channel, request["patience"]), daemon=True)
            watch.start()
            runner.load()
        except (Exception, SystemExit) as error:
            channel.send({"event": "load-failed", "error": session.error_of(error)})
            return LOAD_FAILED
        runner.run_all()
        channel.send({"event": "done"})
        runner.instance.dispose()
    except Interrupted as interrupted:
        return 128 + int(interrupted.args[0])
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
