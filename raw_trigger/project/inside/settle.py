"""Asks the Dagster instance about runs, the keys of dynamic partitions, and never materialized assets.

The user's definitions are not loaded. A sensor asks the same in its own process.
"""

from __future__ import annotations

from typing import Any

from .channel import Channel, read_request
from .errors import error_of, error_of_info
from .session import refuse_home, start

Document = dict[str, Any]

SUCCESS = "SUCCESS"
ENDED = (SUCCESS, "FAILURE", "CANCELED")
LAUNCH_TAG = "raw_launch"
"""A tag of the runs that others were asked for: the launch."""
BATCH_TAG = "raw_batch"
"""A tag of every run: the number of its batch, and how many there are, as ``2/5``."""


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
            "failed_checks": [{"asset": list(key.path), "check": name} for key, name in bad],
            "cut_off": [list(key.path) for key in cut - whole],
        }

    def _is_whole(self, key: Any) -> bool:
        """Says whether the asset is complete.

        An asset that shares its step with others is; one alone needs its step to have succeeded.
        """
        step = self.step_of[key]
        alone = sum(1 for other in self.step_of.values() if other == step) == 1
        return not alone or self.ended.get(step) == "STEP_SUCCESS"


def _answer(request: Document) -> Document:
    start(request)
    from .compat.instance import open_instance

    try:
        instance = open_instance()
    except Exception as error:
        refuse_home(error)
        raise
    found = answer(instance, request)
    instance.dispose()
    return found


def answer(instance: Any, request: Document) -> Document:
    """Returns what the instance knows of what the request asks for: each kind of it may be left out."""
    from .compat.assets import asset_key
    from .compat.instance import dynamic_keys, never_materialized
    from .compat.runs import further_runs, tagged_runs

    runs = {}
    for run_id in request.get("run_ids", ()):
        # A batch may have had several runs, each with other assets.
        parts = (run_id, *further_runs(instance, run_id))
        runs[run_id] = together([_document(instance, part) for part in parts])
    launches: dict[str, dict[str, Document]] = {}
    for launch in request.get("launches", ()):
        batches: dict[str, list[str]] = {}
        for run_id, tags in tagged_runs(instance, LAUNCH_TAG, launch):
            batches.setdefault(tags.get(BATCH_TAG, "").partition("/")[0], []).append(run_id)
        # Dagster may have tried a run again, with the same tags.
        launches[launch] = {
            number: together([_document(instance, run_id) for run_id in run_ids])
            for number, run_ids in batches.items()
        }
    keys = [asset_key(parts) for parts in request.get("assets", ())]
    return {
        "runs": runs,
        "launches": launches,
        "dynamic": {name: dynamic_keys(instance, name) for name in request.get("dynamic", ())},
        "never": [list(key.path) for key in never_materialized(instance, keys)],
    }


def _document(instance: Any, run_id: str) -> Document:
    from .compat.runs import RETRY_TAG, past_events, run_state

    # Looked at first: what happens meanwhile is heard of next time.
    status, end, tags = run_state(instance, run_id)
    run = PastRun()
    for event in past_events(instance, run_id):
        run.on_event(event)
    retries = status == "FAILURE" and tags.get(RETRY_TAG) == "true"
    return {"run_id": run_id, "ended": end, "retries": retries, **run.document(status, end)}


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


def main() -> int:
    """Reads a request and answers it."""
    request = read_request()
    channel = Channel(request["channel"])
    try:
        channel.send({"version": 1, **_answer(request)})
    except (Exception, SystemExit) as error:
        channel.send({"error": error_of(error)})
        return 3
    return 0
