"""The user's Dagster project: its interpreter, its asset graph, and runs in it."""

from typing import TYPE_CHECKING, Any

from raw_trigger.project.project import Busy, DagsterProject, Execute, ExecutionResult, Watching

if TYPE_CHECKING:
    from raw_trigger.project.messages import (
        BatchFinished,
        BatchStarted,
        Left,
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
    "Left",
    "Loaded",
    "RunBatch",
    "RunError",
    "RunTarget",
    "RunnerEvent",
    "TargetFinished",
    "Watching",
]


def __getattr__(name: str) -> Any:
    """Imports what only a run needs when it is first used: planning does without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from raw_trigger.project import messages

    return getattr(messages, name)
