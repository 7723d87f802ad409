"""Runs batches in the user's project: sends the request to the runner and passes on its events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from raw_trigger.errors import ROOM, ProjectError
from raw_trigger.project.child import Child
from raw_trigger.project.interpreter import NAME_ANOTHER, NAME_IT, Interpreter
from raw_trigger.project.messages import (
    Identity,
    RunBatch,
    RunnerEvent,
    TargetFinished,
    parse_event,
    without_colours,
)

LOAD_HINT = "`dagster definitions validate` in the project's folder shows the same"

_TAIL = 20_000
"""Bytes: a log may be of any size."""


def load_error(error: Mapping[str, Any], interpreter: Interpreter, log: Path) -> ProjectError:
    """Returns the error of a project that does not load: the user's own error, its traceback as detail."""
    words = without_colours(error["message"]).strip()
    first = next(iter(words.splitlines()), "")
    if error.get("cls") == "ModuleNotFoundError" and words.endswith("'dagster'"):
        return ProjectError(f"{interpreter.named} has no dagster installed", NAME_IT)
    if error.get("cls") == "HomeRefusedError":
        return ProjectError(first, ROOM)
    if error.get("traceback") is None:
        return ProjectError(first, "see `dagster:` in raw-trigger.yaml")
    return ProjectError(
        f"the Dagster project does not load: {first}",
        f"its Python is {interpreter.named}; {NAME_ANOTHER}; {LOAD_HINT}; what it printed is in {log}",
        detail=without_colours(error["traceback"]),
    )


def silence(code: int, interpreter: Interpreter, log: Path, what: str) -> ProjectError:
    """Returns the error of a child that ended without saying how it went."""
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return ProjectError(
        f"{interpreter.named} {how} {what}",
        f"what it printed is in {log}",
        detail=tail(log),
    )


def tail(log: Path, lines: int = 15) -> str | None:
    """Returns the last lines of a log; None if there are none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL))
            text = file.read(_TAIL).decode("utf-8", "replace")
    except OSError:
        return None
    return without_colours("\n".join(text.rstrip().split("\n")[-lines:])) or None


def run_batches(
    child: Child,
    request: Mapping[str, Any],
    batches: Sequence[RunBatch],
    interpreter: Interpreter,
    *,
    log: Path,
    on_event: Callable[[RunnerEvent], None],
) -> tuple[int, ProjectError | None, tuple[Identity, ...]]:
    """Carries the batches out.

    Returns:
        The runner's exit code; why it ended early, or None; the targets without an event.

    Raises:
        ProjectError: the project does not load.
    """
    untold = dict.fromkeys((one.asset, one.partition) for batch in batches for one in batch.targets)
    failure: list[Mapping[str, Any]] = []
    done: list[bool] = []

    def on_document(document: dict[str, Any]) -> None:
        if document["event"] == "load-failed":
            failure.append(document["error"])
        elif document["event"] == "done":
            done.append(True)
        event = parse_event(document)
        if isinstance(event, TargetFinished):
            untold.pop((event.parts, event.partition), None)
        if event is not None:
            on_event(event)

    code = child.converse(request, on_document)
    if failure:
        raise load_error(failure[0], interpreter, log)
    problem = None
    if not done or untold:
        missing = f"before {len(untold)} of its targets" if untold else "before it was done"
        problem = silence(code, interpreter, log, missing)
    return code, problem, tuple(untold)
