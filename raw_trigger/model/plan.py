"""What is to be done and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from raw_trigger.model.assets import JOB
from raw_trigger.model.changes import Base, Change, Desired, Pointed
from raw_trigger.model.record import Record
from raw_trigger.model.rows import RowCounts

Disposition = Literal["planned", "ignored", "unmapped", "unchanged", "dirty", "missing-content"]
Action = Literal["materialize", "report", "delete-partition", "skip"]
Origin = Literal["raw", "downstream"]

NO_CATALOG = "no rule of the file covers it, and the Dagster project was not asked"
"""The reason of a path that is unmapped only because the catalog was left out: it stays pending."""

UNLISTED = "the files in this folder of DVC's are not known here: dvc pull"
"""The reason of a folder that nothing but rules for its files can map."""


UNREAD = "its rows feed something else since its rule was edited, and its content is not here"
"""The reason of a table of which it is not known which partitions it newly feeds."""

STILL_FAILS = "it still fails with this content: `raw-trigger run` tries again"
"""The reason of a target that no hook tries again by itself."""

NOT_ASKED = "not asked for"
"""The reason of a target that is left out because something else was asked for."""


@dataclass(frozen=True, slots=True)
class Target:
    """An asset key and, for a partitioned asset, a partition key.

    A named job is one too: ``job:NAME``, and what tells its runs apart where each has its own configuration.
    """

    asset: str
    partition: str | None = None

    @property
    def job(self) -> str | None:
        """The name of the job; None for an asset."""
        return self.asset[len(JOB) :] if self.asset.startswith(JOB) else None

    @property
    def text(self) -> str:
        """``raw/sales`` or ``raw/sales|2026-01-31``."""
        return self.asset if self.partition is None else f"{self.asset}|{self.partition}"


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """A change and what became of it. ``rule`` says where the decision stands (``raw-trigger.yaml:14``).

    ``rows`` is what it does to the rows of a table; None where they were not or could not be counted.
    ``lacks`` are other files that one of its targets reads, and whose content is not here.
    """

    change: Change
    disposition: Disposition
    rule: str | None = None
    reason: str | None = None
    targets: tuple[Target, ...] = ()
    rows: RowCounts | None = None
    lacks: tuple[bytes, ...] = ()

    @property
    def absent(self) -> tuple[bytes, ...]:
        """The files whose content it waits for."""
        return () if self.disposition != "missing-content" else self.lacks or (self.change.path,)

    @property
    def unreadable(self) -> bool:
        """Whether it is a file that has to be mended before it is known which of its targets are affected."""
        return self.disposition == "unmapped" and bool(self.targets)


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """One thing to do. ``after`` are targets of this plan that have to be done before it.

    ``above`` are those of its plan that it is directly made from, also those that are skipped for now.
    ``settles`` says of a skipped target that nothing is left to do for its paths, ``unknown`` that its asset
    has no such partition, ``ready`` from which moment on it will (seconds since 1970).
    """

    target: Target
    action: Action
    origin: Origin
    batch: int
    reason: str | None = None
    paths: tuple[bytes, ...] = ()
    after: tuple[Target, ...] = ()
    above: tuple[Target, ...] = ()
    settles: bool = False
    unknown: bool = False
    ready: float | None = None

    @property
    def sentence(self) -> str:
        """Its reason, as a warning of the plan says it where somebody should know it."""
        return f"{self.target.text}: {self.reason}"

    @property
    def waits(self) -> bool:
        """Whether it will be made once a time window is over."""
        return self.action == "skip" and self.ready is not None and self.reason != NOT_ASKED


def kind_of(batch: Sequence[PlannedTarget]) -> Literal["materialize", "report", "delete-partition"]:
    """What a batch does: all of its targets want the same."""
    action = batch[0].action
    return "materialize" if action == "skip" else action


@dataclass(frozen=True, slots=True)
class Plan:
    """What to materialize, what to report, what to skip, each with its reason.

    ``left_out`` counts the changed paths that were not asked for. ``record`` is what it was
    compared with, where that was a record. ``errors`` are what keeps a path from being planned
    until somebody acts: they fail a run.
    ``pointed`` are the pointer files with which some of the changes are recorded.
    ``fingerprint`` is the same for the same contents, rules and targets, whatever the commits' names.
    """

    environment: str
    base: Base
    desired: Desired
    changes: tuple[PlannedChange, ...] = ()
    targets: tuple[PlannedTarget, ...] = ()
    fingerprint: str = ""
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    record: Record | None = None
    left_out: int = 0
    pointed: tuple[Pointed, ...] = ()

    @property
    def actionable(self) -> tuple[PlannedTarget, ...]:
        """The targets that something will be done for."""
        return tuple(t for t in self.targets if t.action != "skip")

    @property
    def due(self) -> Mapping[bytes, Sequence[str]]:
        """Returns what something will be done for, as text, by the paths that it is due for."""
        found: dict[bytes, list[str]] = {}
        for target in self.actionable:
            for path in target.paths:
                found.setdefault(path, []).append(target.target.text)
        return found

    @property
    def waiting(self) -> tuple[PlannedChange, ...]:
        """The changes that cannot be launched because of what is on disk."""
        return tuple(c for c in self.changes if c.disposition in ("dirty", "missing-content"))

    @property
    def pending_paths(self) -> frozenset[bytes]:
        """Returns the paths of which something is left to be made, however long that has to wait."""
        made = {path for target in self.targets if not target.settles for path in target.paths}
        unsettled = {
            one.change.path
            for one in self.changes
            if one in self.waiting or one.unreadable or one.reason == NO_CATALOG
        }
        return frozenset(made | unsettled)

    @property
    def asleep(self) -> frozenset[bytes]:
        """Paths that everything is made from but what waits for its time window to end."""
        waits: set[bytes] = set()
        others: set[bytes] = set()
        for target in self.targets:
            if target.waits or not target.settles:
                (waits if target.waits else others).update(target.paths)
        return frozenset(waits - others)

    @property
    def pending(self) -> bool:
        """Whether somebody or something still has to act on these changes, not only time to pass."""
        undecided = any(c.reason == NO_CATALOG for c in self.changes)
        unknown = any(target.unknown and not target.settles for target in self.targets)
        return bool(self.actionable or self.waiting or self.errors or undecided or unknown)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many changes ended in each disposition."""
        out: dict[str, int] = {}
        for planned in self.changes:
            out[planned.disposition] = out.get(planned.disposition, 0) + 1
        return out


FailedContents = frozenset[tuple[str, bytes, "str | None"]]
"""What failed when it was last run: target as text, path, object id (None: deleted)."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What of the plan is wanted: asset keys, path globs, ranges of partition keys; empty means everything.

    ``failed`` keeps only targets that failed last time with the content they are due for now;
    ``not_again`` leaves out what is due for just the contents it failed with: with one of them taken back
    or deleted it may well succeed.
    """

    assets: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    partitions: tuple[tuple[str, str], ...] = ()
    failed: FailedContents | None = None
    not_again: FailedContents = frozenset()
