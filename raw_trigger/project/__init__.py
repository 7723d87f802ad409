"""The user's Dagster project: which interpreter it has, its asset graph, and runs in it."""

from typing import TYPE_CHECKING, Any

from raw_trigger.project.project import Busy, DagsterProject, Execute, ExecutionResult, Watching

if TYPE_CHECKING:
    from raw_trigger.project.messages import (
        BatchFinished,
        BatchStarted,
        Loaded,
        RunBatch,
        RunError,
        RunnerEvent,
        RunTarget,
        TargetFinished,
    )

__all__ = [
    "BatchFinished",
    "BatchStarted",
    "Busy",
    "DagsterProject",
    "Execute",
    "ExecutionResult",
    "Loaded",
    "RunBatch",
    "RunError",
    "RunTarget",
    "RunnerEvent",
    "TargetFinished",
    "Watching",
]


def __getattr__(name: str) -> Any:
    """What only a run needs is imported when it is asked for: planning is in a hurry."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from raw_trigger.project import messages

    return getattr(messages, name)
