"""What is to be done and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from raw_trigger.model.assets import JOB
from raw_trigger.model.changes import Base, Change, Desired, Entry
from raw_trigger.model.record import Record
from raw_trigger.model.rows import RowCounts

Disposition = Literal["planned", "ignored", "unmapped", "unchanged", "dirty", "missing-content"]
Action = Literal["materialize", "report", "delete-partition", "skip"]
Origin = Literal["raw", "downstream"]

NO_CATALOG = "no rule of the file covers it, and the Dagster project was not asked"
"""The reason of a path that is unmapped only because the catalog was left out: it stays pending."""

UNLISTED = "the files in this folder of DVC's are not known here: dvc pull"
"""The reason of a folder that only rules for its files could map."""


UNREAD = "its rows feed something else since its rule was edited, and its content is not here"
"""The reason of a table whose newly fed partitions are unknown."""

STILL_FAILS = "it still fails with this content: `raw-trigger run` tries again"
"""The reason of a target that no hook tries again by itself."""

NOT_ASKED = "not asked for"
"""The reason of a target that is left out because the user asked for others."""


@dataclass(frozen=True, slots=True)
class Target:
    """Identifies an asset and, for a partitioned one, a partition.

    A named job is a target too: ``job:NAME``, and what distinguishes its runs if each has its own
    configuration.
    """

    asset: str
    partition: str | None = None

    @property
    def job(self) -> str | None:
        """Returns the name of the job; None for an asset."""
        return self.asset[len(JOB) :] if self.asset.startswith(JOB) else None

    @property
    def text(self) -> str:
        """Returns ``raw/sales`` or ``raw/sales|2026-01-31``."""
        return self.asset if self.partition is None else f"{self.asset}|{self.partition}"

    @property
    def sort_key(self) -> tuple[str, str]:
        """Returns what targets are listed by: asset, then partition."""
        return (self.asset, self.partition or "")


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """Holds a change and what becomes of it. ``rule`` is the place of the decision (``raw-trigger.yaml:14``).

    ``rows`` is what it does to the rows of a table; None if they were not counted. ``lacks`` are other files
    that one of its targets reads, and whose content is not here.
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
        """Returns the files whose content it waits for."""
        return () if self.disposition != "missing-content" else self.lacks or (self.change.path,)

    @property
    def waits(self) -> bool:
        """Says whether it cannot be launched because its content is not on disk."""
        return self.disposition in ("dirty", "missing-content")

    @property
    def unreadable(self) -> bool:
        """Says whether its file has to be corrected before its affected targets are known."""
        return self.disposition == "unmapped" and bool(self.targets)


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """Describes one target of a plan. ``after`` are the plan's targets that have to be done before it.

    ``paths`` are those changed paths that it is made from and does not reflect; ``feeds`` all of them, and
    ``reads`` those of these that it is made from directly, not only through something above it.
    ``above`` are those of its plan that it is directly made from, also those that are skipped for now.
    ``settles`` says of a skipped target that nothing is left to do for its paths, ``unknown`` that its asset
    has no such partition, ``ready`` at which moment it will have (seconds since 1970), ``held`` that it is
    not to be made now, or something that it is made from: others are making it, or a file is being written.
    """

    target: Target
    action: Action
    origin: Origin
    batch: int
    reason: str | None = None
    paths: tuple[bytes, ...] = ()
    feeds: tuple[bytes, ...] = ()
    reads: frozenset[bytes] = frozenset()
    after: tuple[Target, ...] = ()
    above: tuple[Target, ...] = ()
    settles: bool = False
    unknown: bool = False
    ready: float | None = None
    held: bool = False

    @property
    def sentence(self) -> str:
        """Returns the target with its reason, as a warning of the plan."""
        return f"{self.target.text}: {self.reason}"

    @property
    def waits(self) -> bool:
        """Says whether it will be made when a time window is over."""
        return self.action == "skip" and self.ready is not None and self.reason != NOT_ASKED


def kind_of(batch: Sequence[PlannedTarget]) -> Literal["materialize", "report", "delete-partition"]:
    """Returns what a batch does: all of its targets have the same action."""
    action = batch[0].action
    return "materialize" if action == "skip" else action


@dataclass(frozen=True, slots=True)
class Plan:
    """Says what to materialize, what to report, what to skip, each with its reason.

    ``reflecting`` are the targets that are made from a changed path and reflect all that there is already.
    ``left_out`` counts the changed paths that were not asked for. ``record`` is what it was
    compared with, where that was a record. ``errors`` are what keeps a path from being planned
    until somebody acts: they fail a run.
    ``pointers`` are DVC's files that stand for some of the changes, as desired.
    ``fingerprint`` is the same for the same contents, rules and targets, whatever the commits' names.
    """

    environment: str
    base: Base
    desired: Desired
    changes: tuple[PlannedChange, ...] = ()
    targets: tuple[PlannedTarget, ...] = ()
    reflecting: tuple[PlannedTarget, ...] = ()
    fingerprint: str = ""
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    record: Record | None = None
    left_out: int = 0
    pointers: Mapping[bytes, Entry | None] = field(default_factory=dict)

    def without(self, paths: frozenset[bytes]) -> Plan:
        """Returns the plan that says nothing of these paths, but for those that something is made from."""
        used = {path for one in self.targets if not one.settles for path in one.paths}
        kept = (one for one in self.changes if one.change.path not in paths or one.change.path in used)
        return replace(self, changes=tuple(kept))

    @property
    def made_from_changes(self) -> tuple[PlannedTarget, ...]:
        """Returns the targets that are made from a changed path, whether or not they reflect it already."""
        return (*self.targets, *self.reflecting)

    @property
    def actionable(self) -> tuple[PlannedTarget, ...]:
        """Returns the targets with something to do."""
        return tuple(t for t in self.targets if t.action != "skip")

    @property
    def batches(self) -> Mapping[int, Sequence[PlannedTarget]]:
        """Returns the targets with something to do by the numbers of their batches, in this order."""
        found: dict[int, list[PlannedTarget]] = {}
        for target in self.actionable:
            found.setdefault(target.batch, []).append(target)
        return dict(sorted(found.items()))

    @property
    def contents(self) -> Mapping[bytes, str | None]:
        """Returns the ids of the changed files' contents, as desired; None where the file is gone."""
        return {
            one.change.path: None if one.change.new is None else one.change.new.oid for one in self.changes
        }

    @property
    def held(self) -> tuple[PlannedTarget, ...]:
        """Returns the targets that others are making, or that are held back for another reason."""
        return tuple(t for t in self.targets if t.held)

    @property
    def due(self) -> Mapping[bytes, Sequence[str]]:
        """Returns the targets with something to do, as text, by the paths that they are due for."""
        found: dict[bytes, list[str]] = {}
        for target in self.actionable:
            for path in target.paths:
                found.setdefault(path, []).append(target.target.text)
        return found

    @property
    def waiting(self) -> tuple[PlannedChange, ...]:
        """Returns the changes that cannot be launched because their content is not on disk."""
        return tuple(c for c in self.changes if c.waits)

    @property
    def unmapped(self) -> tuple[PlannedChange, ...]:
        """Returns the changes of files that are there, and from which nothing is made."""
        there = (c for c in self.changes if c.change.new is not None)
        return tuple(c for c in there if c.disposition == "unmapped" and c.reason != NO_CATALOG)

    @property
    def pending_paths(self) -> frozenset[bytes]:
        """Returns the paths with something left to make, however long that has to wait."""
        made = {path for target in self.targets if not target.settles for path in target.paths}
        unsettled = {
            one.change.path for one in self.changes if one.waits or one.unreadable or one.reason == NO_CATALOG
        }
        return frozenset(made | unsettled)

    @property
    def asleep(self) -> frozenset[bytes]:
        """Returns the paths for which only targets are left that wait for a time window to end."""
        waits: set[bytes] = set()
        others: set[bytes] = set()
        for target in self.targets:
            if target.waits or not target.settles:
                (waits if target.waits else others).update(target.paths)
        return frozenset(waits - others)

    @property
    def pending(self) -> bool:
        """Says whether these changes still need an action, and not only a time window to end."""
        undecided = any(c.reason == NO_CATALOG for c in self.changes)
        unknown = any(target.unknown and not target.settles for target in self.targets)
        return bool(self.actionable or self.held or self.waiting or self.errors or undecided or unknown)

    @property
    def counts(self) -> Mapping[str, int]:
        """Returns the number of changes by disposition."""
        out: dict[str, int] = {}
        for planned in self.changes:
            out[planned.disposition] = out.get(planned.disposition, 0) + 1
        return out


FailedContents = frozenset[tuple[str, bytes, "str | None"]]
"""Targets whose last run failed: target as text, path, object id (None: deleted)."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Says which part of the plan is wanted, by asset keys, path globs and ranges of partition keys.

    An empty field means everything. ``failed`` keeps only targets that failed last time with the content they
    are due for now. ``not_again`` leaves out targets that are due for exactly the contents they failed with:
    after one of these is taken back or deleted, they may well succeed.
    """

    assets: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    partitions: tuple[tuple[str, str], ...] = ()
    failed: FailedContents | None = None
    not_again: FailedContents = frozenset()


@dataclass(frozen=True, slots=True)
class Options:
    """Says how to plan. ``downstream`` is auto, none, all or a depth.

    ``now`` is the moment that decides which time windows are past, in seconds since 1970; None: all are.
    """

    environment: str
    downstream: str | int = "auto"
    on_delete: str = "auto"
    unmapped: str = "warn"
    batch_size: int = 200
    narrowing: Narrowing = field(default_factory=Narrowing)
    now: float | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """Holds paths that cannot be launched because of what is on disk, each with the reason.

    ``lacks`` are those of which a target reads other files, too, whose content is not here, with these.
    """

    dirty: Mapping[bytes, str] = field(default_factory=dict)
    missing: Mapping[bytes, str] = field(default_factory=dict)
    lacks: Mapping[bytes, tuple[bytes, ...]] = field(default_factory=dict)

    def obstacle(self, path: bytes) -> tuple[Disposition, str] | None:
        """Returns what stands in the way of a path, and the reason."""
        if path in self.dirty:
            return "dirty", self.dirty[path]
        return ("missing-content", self.missing[path]) if path in self.missing else None
