"""Explains path → rule → targets → recorded? pending? and the way back from an asset."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from raw_trigger.content.feeding import desired_paths
from raw_trigger.errors import UsageError
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.mapping.rules import RuleBook, target_named, unknown_asset
from raw_trigger.model.assets import Catalog
from raw_trigger.model.changes import (
    WORKTREE,
    Base,
    Change,
    ChangeSet,
    Desired,
    Entry,
    is_pointer,
    show,
    to_bytes,
)
from raw_trigger.model.plan import Plan, PlannedChange, Target
from raw_trigger.model.record import Again
from raw_trigger.planner import Planner
from raw_trigger.planning.asked import no_key
from raw_trigger.repo import diff
from raw_trigger.workspace.roots import spellings

# The path is planned as if it had just been added; then only a file without rows is unchanged.
_REASONS = {"ignored": "ignored by its rule", "unchanged": "nothing, as it has no row"}


_TOLD = ("unchanged", "dirty", "missing-content")
"""Dispositions of a file that differs from the record although nothing is made from it now."""


@dataclass(frozen=True, slots=True)
class PathExplanation:
    """Holds what is known of one path.

    ``pending`` is None if there is no record to compare with; ``kept`` says why each target is not made for
    now; ``again`` says why the path is pending although it did not change, else None.
    """

    path: str
    rule: str | None
    reason: str | None
    targets: tuple[Target, ...]
    downstream: tuple[Target, ...]
    recorded_oid: str | None
    oid: str | None
    pending: bool | None
    kept: tuple[str, ...] = ()
    again: Again | None = None


@dataclass(frozen=True, slots=True)
class AssetExplanation:
    """Holds what is known of one asset or job: Dagster's view of it, and every file that feeds it.

    ``behind`` are the upstream assets that files feed.
    """

    asset: str
    kind: str
    group: str | None
    partitioned: bool
    files: tuple[PathExplanation, ...]
    behind: tuple[str, ...]


class Explainer:
    """Explains paths and assets of one workspace, compared with the working tree."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._repo = planner.workspace.repo
        self._look(planner.catalog.known())

    def _look(self, catalog: Catalog) -> None:
        planner = self._planner
        self._catalog = catalog
        self._rules: RuleBook = planner.rules(self._catalog)
        record = planner.record
        self._recorded = None if record is None else planner.record_under(self._rules, record)
        base = self._recorded.tree if self._recorded else self._repo.empty_tree
        watched = planner.tracked.watched(base, Desired("worktree", WORKTREE))
        self._plan = planner.pending()
        self._due = self._plan.due
        changes, _ = planner.tracked.changes(diff.to_worktree(self._repo, base, watched), base)
        self._changes = {change.path: change for change in changes}
        self._files = dict(desired_paths(self._repo, planner.tracked, Desired("worktree", WORKTREE)))
        # What is gone, and is not known to be gone for every target.
        gone = (one.change for one in self._plan.changes if one.change.path not in self._files)
        self._changes = {**{change.path: change for change in gone}, **self._changes}

    def explain(self, name: str, cwd: Path) -> PathExplanation | AssetExplanation:
        """Explains a path (relative to ``cwd`` or to the repository's top), an asset key or a named job.

        Raises:
            UsageError: the name is neither a raw file, now or as recorded, nor an asset, nor a job.
        """
        try:
            found = self._explained(name, cwd)
            certain = isinstance(found, PathExplanation) or bool(found.files or found.behind)
        except UsageError:
            if self._catalog.fresh:
                raise
            certain = False
        # A cached catalog does not prove that something is missing. A plan would also have loaded it afresh.
        catalog = self._planner.catalog.known() if certain else self._planner.catalog.fresh()
        if catalog is self._catalog:
            return found
        self._look(catalog)
        return self._explained(name, cwd)

    def _explained(self, name: str, cwd: Path) -> PathExplanation | AssetExplanation:
        top, roots = self._repo.top, self._planner.workspace.roots
        for candidate in map(to_bytes, spellings(self._repo, roots, name, cwd)):
            if candidate in self._files or candidate in self._changes:
                return self._path(candidate)
            behind = (path for path in self._files if self._planner.tracked.pointer_of(path) == candidate)
            if is_pointer(candidate) and (data := next(behind, None)) is not None:
                return self._path(data)
        target = target_named(name, self._catalog)
        if target is not None:
            return self._target(target)
        if os.path.lexists(cwd / name) or os.path.lexists(top / name):
            raise UsageError(
                f"'{name}' is no raw file (the raw roots are {', '.join(roots)})",
                "name a file below one of them that git does not ignore",
            )
        raise UsageError(
            f"'{name}' is neither a raw file nor an asset: {unknown_asset(name, self._catalog)}",
            "name a file below a raw root, or an asset key with its parts joined by '/'",
        )

    def _path(self, path: bytes) -> PathExplanation:
        planned, plan = self._planned(path)
        downstream = tuple(t.target for t in plan.targets if t.origin == "downstream")
        change = self._changes.get(path)
        entry = self._files.get(path)
        old = change.old if change is not None else entry if self._recorded else None
        # Only the plan decides: `diff` and `explain` must not disagree about a file.
        pending = path in self._plan.pending_paths if self._recorded is not None else None
        again = None
        if self._recorded is not None and pending and change is None:
            again = self._recorded.again(path, self._due.get(path, ()))
        idle = [one for one in plan.targets if (one.waits or one.unknown) and pending is not False]
        # What is left behind by a deletion is not pending, and not up to date either.
        idle += [one for one in self._plan.targets if one.settles and path in one.paths]
        now = next((one for one in self._plan.changes if one.change.path == path), None)
        reason = _REASONS.get(planned.disposition, planned.reason)
        if now is not None and now.disposition in _TOLD and planned.targets:
            reason = now.reason
        return PathExplanation(
            path=show(path),
            rule=planned.rule,
            reason=reason,
            targets=planned.targets,
            downstream=downstream,
            recorded_oid=None if old is None else old.oid,
            oid=None if entry is None else entry.oid,
            pending=pending,
            kept=tuple(one.sentence for one in idle),
            again=again,
        )

    def _planned(self, path: bytes) -> tuple[PlannedChange, Plan]:
        """Returns the path as if it had just been added, and the plan for this change."""
        entry: Entry | None = self._files.get(path)
        old = self._changes[path].old if entry is None else None
        changes = ChangeSet(
            Base("empty", "", None, ""), Desired("worktree", WORKTREE), (Change(path, old, entry),)
        )
        plan = self._planner.plan(changes)
        return plan.changes[0], plan

    def _target(self, target: Target) -> AssetExplanation:
        if target.job is not None:
            return AssetExplanation(target.text, "job", None, False, self._feeding(target), ())
        asset = self._catalog.assets[target.asset]
        if target.partition is not None:
            ends = (target.partition, target.partition)
            wrong = no_key([ends], [target.asset], self._catalog, PartitionKeys(time.time()))
            if wrong is not None:
                raise UsageError(wrong, "`raw-trigger status --partitions` draws those there are")
        fed = {one.asset for path in self._paths() for one in self._targets(path)}
        return AssetExplanation(
            asset=target.text,
            kind=asset.kind,
            group=asset.group,
            partitioned=asset.partitions is not None,
            files=self._feeding(target),
            behind=tuple(sorted(self._above(target.asset) & fed)),
        )

    def _feeding(self, target: Target) -> tuple[PathExplanation, ...]:
        """Returns the files that feed the target, and those that it is pending for further downstream.

        With a file that feeds a partition only the wanted targets are shown.
        """
        found = []
        wanted = {target, Target(target.asset)}
        for path in self._paths():
            one = self._path(path) if self._may_feed(path, target) else None
            if one is not None and target.partition is not None:
                one = replace(one, targets=tuple(t for t in one.targets if t in wanted))
            if one is None or not (one.targets or target.partition is None):
                one = self._path(path) if self._is_due(path, target) else None
            if one is not None:
                found.append(self._about(target, path, one))
        return tuple(found)

    def _about(self, target: Target, path: bytes, told: PathExplanation) -> PathExplanation:
        """What is told of a file, if it is pending only for others than the target."""
        pending = [one.target for one in self._plan.targets if path in one.paths and not one.settles]
        if not pending or target in pending:
            return told
        if target.partition is None and any(one.asset == target.asset for one in pending):
            return told
        return replace(told, pending=False, recorded_oid=told.oid, again=None)

    def _is_due(self, path: bytes, target: Target) -> bool:
        due = self._due.get(path, ())
        return target.text in due or (
            target.partition is None and any(name.startswith(f"{target.text}|") for name in due)
        )

    def _may_feed(self, path: bytes, target: Target) -> bool:
        """Says whether the path's rule allows it: which partitions rows feed only the file itself tells."""
        match = self._rules.match(path)
        return match is not None and any(
            one.asset == target.asset and (match.by_row or target.partition in (None, one.partition))
            for one in match.targets
        )

    def _paths(self) -> list[bytes]:
        return sorted({*self._files, *self._changes})

    def _targets(self, path: bytes) -> tuple[Target, ...]:
        match = self._rules.match(path)
        return () if match is None else match.targets

    def _above(self, key: str) -> set[str]:
        """Returns every asset that this one depends on, however far up."""
        found: set[str] = set()
        frontier = [key]
        while frontier:
            asset = self._catalog.assets.get(frontier.pop())
            new = set(asset.parents if asset is not None else ()) - found
            found |= new
            frontier += new
        return found
