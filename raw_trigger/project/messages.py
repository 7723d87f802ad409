"""The runner's requests and events as frozen values; on the way they are JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from raw_trigger.model.changes import to_bytes
from raw_trigger.model.outcome import CheckResult, Lack, Reads

_TERMINALS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
"""Control sequences: colours, links and titles, single ones (ECMA-48)."""

Identity = tuple[tuple[str, ...], str | None]
"""The parts of an asset's key, and a partition key or None."""


@dataclass(frozen=True, slots=True)
class RunTarget:
    """Describes one target of a batch.

    Args:
        asset: The parts of its key.
        partition: Its partition key; None for an asset without partitions.
        after: Targets of the same request that have to succeed before it.
        data_version: For a report: the asset's new data version.
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
        """Returns the form that the runner reads."""
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
    """Describes one Dagster run. A batch without a run has no ``run_id``.

    It has at most one partition key, unless ``is_range``: then the keys of its targets are one range, in its
    order, and the runner makes one run of them if it can. ``job`` names the job of a job's run; its one
    target stands for the whole run. ``fed`` are assets that raw files feed: the run does not make them first.
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
        """Returns the form that the runner reads."""
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
    """Says why a target failed or was skipped. ``message`` reads ``ValueError: sales.csv line 3: …``.

    ``cls`` is the exception's class name and ``traceback`` its frames in the user's own files; both are None
    if no exception was raised.
    """

    message: str
    cls: str | None = None
    traceback: str | None = None

    @property
    def words(self) -> str:
        """Returns the message and the frames that led to it."""
        frames = (self.traceback or "").rstrip().removesuffix(self.message).rstrip()
        return f"{self.message}\n{frames}" if frames else self.message


@dataclass(frozen=True, slots=True)
class Loaded:
    """Says that the definitions are loaded; it took ``seconds``."""

    seconds: float
    dagster: str


@dataclass(frozen=True, slots=True)
class BatchStarted:
    """Says that a run begins; without a ``run_id`` it is a report. A batch with several runs has several."""

    batch: int
    run_id: str | None


@dataclass(frozen=True, slots=True)
class TargetFinished:
    """Says what became of one target.

    ``asset`` is the key's text form; ``seconds`` is None if no step ran. ``first``: the target was not asked
    for, but one that was is made from it.
    """

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
    materialized: bool = False
    first: bool = False


@dataclass(frozen=True, slots=True)
class BatchFinished:
    """Says that a run has ended; ``success`` means that all of its targets succeeded."""

    batch: int
    run_id: str | None
    success: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Left:
    """Says that a target needs a parent that was never made and is not made first either."""

    lack: Lack


RunnerEvent = Loaded | BatchStarted | TargetFinished | BatchFinished | Left


def parse_event(document: Mapping[str, Any]) -> RunnerEvent | None:
    """Returns the event of one line; None for ``done`` and ``load-failed``, which concern no target."""
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
                CheckResult(
                    one["name"],
                    one["passed"],
                    one["severity"],
                    one["message"] and without_colours(one["message"]),
                )
                for one in document["checks"]
            ),
            reads=parse_reads(document["reads"]),
            materialized=bool(document["materialized"]),
            first=document["first"],
        )
    if kind == "left":
        return Left(
            Lack(
                "/".join(document["asset"]),
                tuple(document["partitions"]),
                document["why"],
                "/".join(document["below"]),
            )
        )
    if kind == "loaded":
        return Loaded(document["seconds"], document["dagster"])
    if kind == "batch-started":
        return BatchStarted(document["batch"], document["run_id"])
    if kind == "batch-finished":
        return BatchFinished(document["batch"], document["run_id"], document["success"], document["seconds"])
    return None


def parse_reads(document: Mapping[str, Any] | None) -> Reads | None:
    """Returns the part of an event about the files that were read; None if it does not."""
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
    """Returns the error of an event; None if it has none."""
    if document is None:
        return None
    frames = document["traceback"]
    return RunError(without_colours(document["message"]), document["cls"], frames and without_colours(frames))


def without_colours(text: str) -> str:
    """Leaves out control sequences: dbt and others put what they have coloured into their exceptions."""
    return _TERMINALS.sub("", text) if "\x1b" in text else text
