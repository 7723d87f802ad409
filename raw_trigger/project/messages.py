"""What goes to the runner and what comes back, as frozen values; JSON on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from raw_trigger.model.changes import to_bytes
from raw_trigger.model.outcome import CheckResult, Reads

Identity = tuple[tuple[str, ...], str | None]
"""The parts of an asset's key, and a partition key or None."""


@dataclass(frozen=True, slots=True)
class RunTarget:
    """One target of a batch.

    Args:
        asset: The parts of its key.
        partition: Its partition key; None for an asset without partitions.
        after: Targets of the same request that it may only follow if they succeeded.
        data_version: For a report: what the asset's new data version is.
        metadata: For a report: shown with the event.
        report_as: For a report: the kind of event.
    """

    asset: tuple[str, ...]
    partition: str | None = None
    after: tuple[Identity, ...] = ()
    data_version: str | None = None
    metadata: Mapping[str, str | int] = field(default_factory=dict)
    report_as: Literal["materialization", "observation"] = "materialization"

    def as_json(self) -> dict[str, Any]:
        """The runner's form of it."""
        return {
            "asset": list(self.asset),
            "partition": self.partition,
            "after": [[list(parts), partition] for parts, partition in self.after],
            "data_version": self.data_version,
            "metadata": dict(self.metadata),
            "report_as": self.report_as,
        }


@dataclass(frozen=True, slots=True)
class RunBatch:
    """What goes into one Dagster run. What is no run has no ``run_id``.

    It has one partition key at most, unless ``is_range``: then the keys of its targets are one range, in its
    order, and the runner makes one run of them where it can. ``job`` is the name of the job where the run is
    one's; its one target stands for the run as a whole. ``fed``: assets that are not made first, as raw files
    feed them.
    """

    number: int
    targets: tuple[RunTarget, ...]
    kind: Literal["materialize", "report", "job", "delete-partition"] = "materialize"
    run_id: str | None = None
    partition: str | None = None
    is_range: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    run_config: Mapping[str, Any] = field(default_factory=dict)
    job: str | None = None
    fed: tuple[tuple[str, ...], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The runner's form of it."""
        return {
            "number": self.number,
            "kind": self.kind,
            "run_id": self.run_id,
            "partition": self.partition,
            "is_range": self.is_range,
            "tags": dict(self.tags),
            "run_config": dict(self.run_config),
            "job": self.job,
            "fed": [list(parts) for parts in self.fed],
            "targets": [target.as_json() for target in self.targets],
        }


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a target failed or was skipped. ``message`` reads ``ValueError: sales.csv line 3: …``.

    ``cls`` is the exception's class name and ``traceback`` its frames in the user's own files; both are
    None where no exception was raised.
    """

    message: str
    cls: str | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """The definitions are loaded; it took ``seconds``."""

    seconds: float
    dagster: str


@dataclass(frozen=True, slots=True)
class BatchStarted:
    """A run begins (``run_id`` None: a report). A batch that needs several runs has one pair for each."""

    batch: int
    run_id: str | None


@dataclass(frozen=True, slots=True)
class TargetFinished:
    """What became of one target. ``asset`` is the key's text form; ``seconds`` None where no step ran."""

    batch: int
    asset: str
    parts: tuple[str, ...]
    partition: str | None
    status: Literal["success", "failed", "skipped"]
    run_id: str | None = None
    seconds: float | None = None
    error: RunError | None = None
    checks: tuple[CheckResult, ...] = ()
    reads: Reads | None = None


@dataclass(frozen=True, slots=True)
class BatchFinished:
    """A run has ended; ``success`` is that of all of its targets."""

    batch: int
    run_id: str | None
    success: bool
    seconds: float


RunnerEvent = Loaded | BatchStarted | TargetFinished | BatchFinished


def parse_event(document: Mapping[str, Any]) -> RunnerEvent | None:
    """The event of one line; None for those that are no news to the caller (``done``, ``load-failed``)."""
    kind = document["event"]
    if kind == "target":
        return TargetFinished(
            batch=document["batch"],
            asset="/".join(document["asset"]),
            parts=tuple(document["asset"]),
            partition=document["partition"],
            status=document["status"],
            run_id=document["run_id"],
            seconds=document["seconds"],
            error=parse_error(document["error"]),
            checks=tuple(
                CheckResult(one["name"], one["passed"], one["severity"], one["message"])
                for one in document["checks"]
            ),
            reads=parse_reads(document["reads"]),
        )
    if kind == "loaded":
        return Loaded(document["seconds"], document["dagster"])
    if kind == "batch-started":
        return BatchStarted(document["batch"], document["run_id"])
    if kind == "batch-finished":
        return BatchFinished(document["batch"], document["run_id"], document["success"], document["seconds"])
    return None


def parse_reads(document: Mapping[str, Any] | None) -> Reads | None:
    """The part of an event that says what was read."""
    if document is None:
        return None

    def paths(kind: str) -> tuple[bytes, ...]:
        return tuple(map(to_bytes, document[kind]))

    return Reads(
        document["step"],
        paths("files"),
        paths("unsure"),
        paths("folders"),
        bool(document["complete"]),
        paths("around"),
    )


def parse_error(document: Mapping[str, Any] | None) -> RunError | None:
    """The error part of an event."""
    if document is None:
        return None
    return RunError(document["message"], document["cls"], document["traceback"])
