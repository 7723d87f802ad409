"""Asks the Dagster instance about runs, the keys of dynamic partitions, and never materialized assets.

The user's definitions are not loaded.
"""

from __future__ import annotations

from typing import Any

from .channel import Channel, read_request
from .errors import error_of
from .session import refuse_home, start

Document = dict[str, Any]

SUCCESS = "SUCCESS"
ENDED = (SUCCESS, "FAILURE", "CANCELED")


class PastRun:
    """Tells what one run did, from its events. Each asset has one partition at most in a run."""

    def __init__(self) -> None:
        self.step_of: dict[Any, str] = {}
        self.made: dict[Any, Document] = {}
        self.begun: set[str] = set()
        self.ended: dict[str, str] = {}
        self.checks: dict[tuple[Any, str], bool] = {}

    def on_event(self, event: Document) -> None:
        """Takes in one event."""
        kind, step = event["type"], event["step"]
        if kind == "ASSET_MATERIALIZATION_PLANNED":
            self.step_of[event["asset"]] = step
        elif kind == "ASSET_MATERIALIZATION":
            self.step_of.setdefault(event["asset"], step)
            self.made[event["asset"]] = event
        elif kind == "ASSET_CHECK_EVALUATION_PLANNED":
            self.checks.setdefault((event["asset"], event["check"]), False)
        elif kind == "ASSET_CHECK_EVALUATION":
            fine = event["passed"] or event["severity"] != "ERROR"
            self.checks[event["asset"], event["check"]] = fine
        elif kind == "STEP_START":
            self.begun.add(step)
        elif kind.startswith("STEP_"):
            self.ended[step] = kind

    def document(self, status: str | None, end: float | None) -> Document:
        """Returns the answer about the run.

        Args:
            status: Dagster's status of the run.
            end: When it ended, in seconds since 1970; None if it has not.
        """
        made = {key: event for key, event in self.made.items() if self._is_whole(key)}
        bad = [(key, name) for (key, name), fine in self.checks.items() if not fine]
        open_steps = self.begun - self.ended.keys()
        cut = {key for key, step in self.step_of.items() if step in open_steps} | self.made.keys()
        return {
            "status": status,
            "succeeded": end if status == SUCCESS else None,
            "broken_off": bool(open_steps) or (bool(self.begun) and status not in ENDED),
            "materialized": [
                {"asset": list(key.path), "partition": event["partition"], "time": event["time"]}
                for key, event in made.items()
            ],
            "failed_checks": [{"asset": list(key.path), "check": name} for key, name in bad],
            "cut_off": [list(key.path) for key in cut - made.keys()],
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
    from .compat.assets import asset_key
    from .compat.instance import dynamic_keys, never_materialized, open_instance
    from .compat.runs import further_runs, past_events, run_end, run_status

    try:
        instance = open_instance()
    except Exception as error:
        refuse_home(error)
        raise
    found = {}
    for run_id in request["run_ids"]:
        documents = []
        # A batch may have had several runs, each with other assets.
        for part in (run_id, *further_runs(instance, run_id)):
            run = PastRun()
            for event in past_events(instance, part):
                run.on_event(event)
            documents.append(run.document(run_status(instance, part), run_end(instance, part)))
        found[run_id] = together(documents)
    dynamic = {name: dynamic_keys(instance, name) for name in request["dynamic"]}
    keys = [asset_key(parts) for parts in request["assets"]]
    never = [list(key.path) for key in never_materialized(instance, keys)]
    instance.dispose()
    return {"runs": found, "dynamic": dynamic, "never": never}


def together(documents: list[Document]) -> Document:
    """Returns the answer about several runs, with the status of the last one that Dagster knows."""
    lists = ("materialized", "failed_checks", "cut_off")
    statuses = [one["status"] for one in documents if one["status"] is not None]
    return {
        "status": statuses[-1] if statuses else None,
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
