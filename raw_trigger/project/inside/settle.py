"""Asks the Dagster instance about runs, the keys of dynamic partitions, and never materialized assets.

The user's definitions are not loaded. A sensor asks the same in its own process.
"""

from __future__ import annotations

from typing import Any

from .channel import Channel, read_request
from .errors import error_of
from .past import (
    BACKFILL,
    BATCH_TAG,
    LAUNCH_TAG,
    PARTITION_TAG,
    RETRY_TAG,
    Document,
    PastRun,
    together,
)
from .session import refuse_home, start


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
        filled: dict[tuple[str | None, tuple[tuple[str, ...], ...]], int] = {}
        for run_id, tags, selection in tagged_runs(instance, LAUNCH_TAG, launch):
            number = tags.get(BATCH_TAG, "").partition("/")[0]
            if number == BACKFILL:
                part = (tags.get(PARTITION_TAG), tuple(sorted(selection)))
                number = str(-1 - filled.setdefault(part, len(filled)))
            batches.setdefault(number, []).append(run_id)
        # Dagster may have tried a run again, with the same tags.
        launches[launch] = {
            number: together([_document(instance, run_id) for run_id in run_ids])
            for number, run_ids in batches.items()
        }
        for (partition, parts), n in filled.items():
            launches[launch][str(-1 - n)].update(partition=partition, selection=parts)
    keys = [asset_key(parts) for parts in request.get("assets", ())]
    return {
        "runs": runs,
        "launches": launches,
        "dynamic": {name: dynamic_keys(instance, name) for name in request.get("dynamic", ())},
        "never": [list(key.path) for key in never_materialized(instance, keys)],
    }


def _document(instance: Any, run_id: str) -> Document:
    from .compat.runs import past_events, run_state

    # Looked at first: what happens meanwhile is heard of next time.
    status, end, tags = run_state(instance, run_id)
    run = PastRun()
    for event in past_events(instance, run_id):
        run.on_event(event)
    retries = status == "FAILURE" and tags.get(RETRY_TAG) == "true"
    return {"run_id": run_id, "ended": end, "retries": retries, **run.document(status, end)}


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
