"""What past runs did, from their events; who asks an instance and who asks a webserver share it.

Nothing here needs Dagster.
"""

from __future__ import annotations

from typing import Any

from .errors import error_of_info

Document = dict[str, Any]

SUCCESS = "SUCCESS"
ENDED = (SUCCESS, "FAILURE", "CANCELED")
LAUNCH_TAG = "raw_launch"
"""A tag of the runs that others were asked for: the launch."""
BATCH_TAG = "raw_batch"
"""A tag of every run: the number of its batch, and how many there are, as ``2/5``."""
BACKFILL = "0"
"""In a batch's place: the run is one of many that a backfill has made, and its partition tells its batch."""
PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
RETRY_TAG = "dagster/will_retry"
"""Dagster's own, on a run that failed and that it will try again (from 1.8 on)."""
OWN_CHECKS = "raw_trigger_checks"
"""How the steps of our own asset checks are called; they tell nothing in a run of ours."""


class PastRun:
    """Tells what one run did, from its events."""

    def __init__(self) -> None:
        self.step_of: dict[Any, str] = {}
        self.made: dict[tuple[Any, str | None], Document] = {}
        self.begun: dict[str, float] = {}
        self.ended: dict[str, str] = {}
        self.errors: dict[str, Document] = {}
        self.error: Document | None = None
        self.checks: dict[tuple[Any, str], bool] = {}
        self.told: dict[tuple[Any, str], str | None] = {}

    def on_event(self, event: Document) -> None:
        """Takes in one event."""
        kind, step = event["type"], event["step"]
        if kind == "ASSET_MATERIALIZATION_PLANNED":
            self.step_of[event["asset"]] = step
        elif kind == "ASSET_MATERIALIZATION":
            self.step_of.setdefault(event["asset"], step)
            self.made[event["asset"], event["partition"]] = event
        elif kind == "ASSET_CHECK_EVALUATION_PLANNED":
            self.checks.setdefault((event["asset"], event["check"]), False)
        elif kind == "ASSET_CHECK_EVALUATION":
            fine = event["passed"] or event["severity"] != "ERROR"
            self.checks[event["asset"], event["check"]] = fine
            self.told[event["asset"], event["check"]] = event.get("message")
        elif kind == "STEP_START":
            self.begun.setdefault(step, event["time"])
        elif kind.startswith("STEP_"):
            self.ended[step] = kind
            if event.get("error") is not None:
                self.errors[step] = error_of_info(event["error"])
        elif kind == "PIPELINE_FAILURE" and event["error"] is not None:
            self.error = error_of_info(event["error"])

    def document(self, status: str | None, end: float | None) -> Document:
        """Returns the answer about the run.

        Args:
            status: Dagster's status of the run.
            end: When it ended, in seconds since 1970; None if it has not.
        """
        made = {one: event for one, event in self.made.items() if self._is_whole(one[0])}
        bad = [(key, name) for (key, name), fine in self.checks.items() if not fine]
        open_steps = self.begun.keys() - self.ended.keys()
        whole = {key for key, _ in made}
        cut = {key for key, step in self.step_of.items() if step in open_steps} | {
            key for key, _ in self.made
        }
        return {
            "status": status,
            "succeeded": end if status == SUCCESS else None,
            "broken_off": bool(open_steps) or (bool(self.begun) and status not in ENDED),
            "began": min(self.begun.values(), default=None),
            "error": self.error,
            "errors": [
                {"asset": list(key.path), "error": self.errors[step]}
                for key, step in self.step_of.items()
                if step in self.errors
            ],
            "materialized": [
                {
                    "asset": list(key.path),
                    "partition": event["partition"],
                    "time": event["time"],
                    "began": self.begun.get(self.step_of[key]),
                }
                for (key, _), event in made.items()
            ],
            "failed_checks": [
                {
                    "asset": list(key.path),
                    "check": name,
                    "message": self.told.get((key, name)),
                    "evaluated": (key, name) in self.told,
                }
                for key, name in bad
            ],
            "cut_off": [list(key.path) for key in cut - whole],
        }

    def _is_whole(self, key: Any) -> bool:
        """Says whether the asset is complete.

        An asset that shares its step with others is; one alone needs its step to have succeeded.
        """
        step = self.step_of[key]
        alone = sum(1 for other in self.step_of.values() if other == step) == 1
        return not alone or self.ended.get(step) == "STEP_SUCCESS"


def together(documents: list[Document]) -> Document:
    """Returns the answer about several runs, with id and status of the last one that Dagster knows."""
    lists = ("materialized", "failed_checks", "cut_off", "errors")
    known = [one for one in documents if one["status"] is not None] or documents[-1:]
    return {
        "run_id": known[-1]["run_id"],
        "status": known[-1]["status"],
        "ended": known[-1]["ended"],
        "retries": known[-1]["retries"],
        "began": min((one["began"] for one in documents if one["began"] is not None), default=None),
        "error": known[-1]["error"],
        "succeeded": documents[-1]["succeeded"],
        "broken_off": any(one["broken_off"] for one in documents),
        **{name: [item for one in documents for item in one[name]] for name in lists},
    }
