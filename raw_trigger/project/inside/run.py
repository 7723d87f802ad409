"""What one Dagster run does to its targets."""

from __future__ import annotations

from typing import Any

from .errors import error_of_info, plain_error
from .outcomes import Outcomes
from .reading import Reading
from .targets import Document, joined

READ_KINDS = ("files", "unsure", "folders", "around")


class Run:
    """Tells what one Dagster run does to its targets, from its events."""

    def __init__(
        self,
        outcomes: Outcomes,
        reading: Reading,
        batch: int,
        run_id: str,
        targets: dict[Any, list[Document]],
    ) -> None:
        self.outcomes = outcomes
        self.reading = reading
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
            self.reading.begin()
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
        read = self.reading.end()
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
            self._tell(key, "skipped", plain_error("its step was skipped: nothing came from upstream"))
        else:
            failure = self._failed_check(key)
            self._tell(key, "failed" if failure else "success", failure)

    def _failed_check(self, key: Any) -> Document | None:
        evaluated = self.checks.get(key, {})
        for check in sorted(evaluated.values(), key=lambda one: str(one["name"])):
            if not check["passed"] and check["severity"] == "ERROR":
                why = check["message"] or "no description"
                return plain_error(f"asset check {check['name']} failed: {why}")
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
            return plain_error("interrupted while it ran")
        info = self.errors.get(step)
        return error_of_info(info) if info is not None else plain_error("the step failed")

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
                    plain_error("the run did not materialize this partition"),
                )
            self.statuses.append(status_of)
            self.outcomes.tell(
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
            error = error_of_info(self.error)
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
            self._tell(key, "skipped", plain_error(f"upstream {joined(failed[0].path)} failed"))
        elif self.interrupted:
            self._tell(key, "skipped", plain_error("interrupted before it ran"))
        else:
            self._tell(key, "failed", error or plain_error("Dagster did not run it"))


def _node_of(step: str) -> str:
    """Returns the top-level node of a step key: ``graph`` of ``graph.op[2]``."""
    return step.partition(".")[0].partition("[")[0]
