"""The use case: detect, plan, launch, record. Every face calls these; nothing here prints."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from raw_trigger import state
from raw_trigger.errors import ConfigError, RawTriggerError, UsageError
from raw_trigger.launch.base import Launcher, Order
from raw_trigger.mapping.rules import RuleBook, unknown_asset
from raw_trigger.model.assets import Catalog
from raw_trigger.model.changes import Base, Change, ChangeSet, Desired, Entry, show
from raw_trigger.model.outcome import Outcome, TargetOutcome, summarize
from raw_trigger.model.plan import Narrowing, Plan, PlannedChange, PlannedTarget, Target
from raw_trigger.planning import Disk, Options, make_plan
from raw_trigger.repo import diff
from raw_trigger.workspace import Workspace

_LFS = b"version https://git-lfs.github.com/spec/v1"
_LFS_SIZE = 1024
"""A pointer file is smaller than this, says the Git LFS specification."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller wants different from the configuration."""

    narrowing: Narrowing = field(default_factory=Narrowing)
    downstream: str | int | None = None
    use_catalog: bool = True


class Trigger:
    """Plans and runs in one workspace."""

    def __init__(self, workspace: Workspace, wishes: Wishes | None = None) -> None:
        self.workspace = workspace
        self.wishes = wishes or Wishes()
        self._fresh: Catalog | None = None

    # Detecting

    def detect(self, base: Base, desired: Desired) -> ChangeSet:
        """What differs under the raw roots.

        Raises:
            UsageError: a raw root is neither on disk nor in one of the two sides.
            GitError: git cannot tell.
        """
        repo, roots = self.workspace.repo, self.workspace.roots
        old = base.oid or repo.empty_tree
        if desired.kind == "revision":
            assert desired.oid is not None
            changes = diff.between_trees(repo, old, desired.oid, roots)
        elif desired.kind == "index":
            changes = diff.to_index(repo, old, roots)
        else:
            changes = diff.to_worktree(repo, old, roots)
        if not changes:
            self._require_roots(base, desired)
        return ChangeSet(base, desired, changes)

    def _require_roots(self, base: Base, desired: Desired) -> None:
        """An empty answer about a folder that is nowhere would be a lie."""
        repo, config = self.workspace.repo, self.workspace.config
        missing = [root for root in config.roots if not os.path.lexists(repo.top / root)]
        for side in (base.oid, desired.oid):
            if missing and side is not None:
                out = repo.git.run("ls-tree", "-z", "--name-only", "--full-tree", side, "--", *missing)
                there = {show(name) for name in out.split(b"\0")}
                missing = [root for root in missing if root not in there]
        if missing:
            where = config.file or "there is no raw-trigger.yaml, so the default applies"
            raise UsageError(
                f"the raw root '{missing[0]}' is not there ({where})",
                "put the raw files there, or set `root:` in raw-trigger.yaml",
            )

    # Planning

    def plan(self, changes: ChangeSet, *, launching: bool = False) -> Plan:
        """The plan for these changes.

        The catalog is taken from the cache where that is enough. That a path is mapped to
        nothing, or an asset or partition unknown, is concluded only from one loaded just now.

        Args:
            launching: Also look at the disk: only what is there as desired can be launched.

        Raises:
            ConfigError: a rule names an asset that is not in the project.
            ProjectError: the project cannot be loaded.
        """
        disk = self._disk(changes) if launching or changes.desired.kind == "index" else Disk()
        narrowed = self.wishes.narrowing.assets
        if not self.wishes.use_catalog or not changes.changes:
            return self._made(changes, None, disk)
        if not narrowed and self._all_ignored(changes):
            return self._made(changes, None, disk)
        catalog = self._fresh or self.workspace.project.catalog()
        try:
            plan = self._made(changes, catalog, disk)
            certain = catalog.fresh or not _doubtful(plan)
        except RawTriggerError:
            if catalog.fresh:
                raise
            certain = False
        if certain:
            return plan
        return self._made(changes, self.catalog(), disk)

    def _all_ignored(self, changes: ChangeSet) -> bool:
        """Whether the file's rules alone say that nothing is made from any of the changed paths."""
        rules = self.rules(None)
        matches = (rules.match(change.path) for change in changes.changes)
        return all(match is not None and match.ignore for match in matches)

    def catalog(self) -> Catalog:
        """The catalog, loaded afresh once."""
        if self._fresh is None:
            self._fresh = self.workspace.project.catalog(fresh=True)
        return self._fresh

    def rules(self, catalog: Catalog | None) -> RuleBook:
        """The rules in force."""
        return RuleBook(self.workspace.config, catalog, str(self.workspace.repo.top))

    def _made(self, changes: ChangeSet, catalog: Catalog | None, disk: Disk) -> Plan:
        rules = self.rules(catalog)
        config = self.workspace.config
        if catalog is not None:
            _require_known(rules, catalog, self.wishes.narrowing)
        options = Options(
            environment=self.workspace.environment,
            downstream=config.downstream if self.wishes.downstream is None else self.wishes.downstream,
            on_delete=config.on_delete,
            unmapped=config.unmapped,
            batch_size=config.batch_size,
            narrowing=self.wishes.narrowing,
        )
        return make_plan(changes, rules, options, disk=disk, feeds=_Feeding(self, changes, rules))

    def desired_paths(self, desired: Desired) -> list[tuple[bytes, Entry]]:
        """Every raw file of the desired side."""
        repo, roots = self.workspace.repo, self.workspace.roots
        if desired.kind == "revision" and desired.oid is not None:
            return diff.all_paths(repo, desired.oid, roots)
        return (diff.index_paths if desired.kind == "index" else diff.worktree_paths)(repo, roots)

    def _disk(self, changes: ChangeSet) -> Disk:
        """What on disk is not what is desired."""
        repo, roots = self.workspace.repo, self.workspace.roots
        changed = {c.path: c for c in changes.changes}
        dirty: dict[bytes, str] = {}
        if not changed:
            return Disk()
        unmerged = diff.unmerged(repo, roots)
        if changes.desired.kind != "worktree":
            base = changes.desired.oid if changes.desired.kind == "revision" else None
            name = "what is staged" if base is None else changes.desired.name
            for edited in diff.to_worktree(repo, base, roots):
                if edited.path in changed:
                    dirty[edited.path] = f"the file on disk is not {name}"
            for path, change in changed.items():
                if change.new is None and self._is_file(path):
                    dirty[path] = f"it is deleted in {name}, but still on disk"
        for path in unmerged & changed.keys():
            dirty[path] = "its merge conflict is not resolved"
        present = (p for p, c in changed.items() if c.new is not None and p not in dirty)
        return Disk(dirty, {p: reason for p in present if (reason := self._missing(p))})

    def _missing(self, path: bytes) -> str | None:
        full = self._full(path)
        try:
            status = os.lstat(full)
            if not stat.S_ISREG(status.st_mode) or not len(_LFS) < status.st_size < _LFS_SIZE:
                return None
            with open(full, "rb") as file:  # noqa: PTH123
                if file.read(len(_LFS)) != _LFS:
                    return None
        except OSError:
            return None
        return f"only its Git LFS pointer is here: git lfs pull --include={show(path)!r}"

    def _is_file(self, path: bytes) -> bool:
        full = self._full(path)
        return os.path.lexists(full) and not stat.S_ISDIR(os.lstat(full).st_mode)

    def _full(self, path: bytes) -> bytes:
        return os.fsencode(self.workspace.repo.top) + b"/" + path

    # Running

    def run(
        self,
        plan: Plan,
        launcher: Launcher,
        *,
        face: str,
        on_target: Callable[[TargetOutcome], None] = lambda _: None,
    ) -> Outcome:
        """Carry the plan out and record what the assets reflect then.

        What succeeded is recorded even if the launch ended early, also by an interrupt.

        Raises:
            RawTriggerError: the launch could not be carried to its end, or not be recorded.
        """
        self.ensure_record(plan.base)
        if not plan.actionable:
            self._promote(self._settled(plan))
            return Outcome("nothing")
        started = time.monotonic()
        recorder = _Recorder(self, plan)
        done: dict[Target, TargetOutcome] = {}

        def finished(outcome: TargetOutcome) -> None:
            done[outcome.target] = outcome
            on_target(outcome)

        try:
            report = launcher.launch(self._order(plan, face), finished)
        finally:
            succeeded = {target for target, outcome in done.items() if outcome.status == "success"}
            self._promote({**self._settled(plan), **recorder.entries(succeeded)})
        outcomes = tuple(done[t.target] for t in plan.actionable if t.target in done)
        status = summarize(outcomes)
        if report.problem is not None:
            raise report.problem
        return Outcome(status, outcomes, report.run_ids, time.monotonic() - started, report.log)

    def _order(self, plan: Plan, face: str) -> Order:
        reported = [t for t in plan.actionable if t.action == "report"]
        feeding = _Feeding(self, ChangeSet(plan.base, plan.desired, ()), self.rules(self._known()))
        changed = {planned.change.path: planned.change for planned in plan.changes}
        versions, metadata = {}, {}
        for target in reported:
            versions[target.target], metadata[target.target] = _content(
                target, changed, feeding.paths(target.target), plan.desired
            )
        return Order(
            plan=plan,
            catalog=self._known(),
            tags=self._tags(plan, face),
            data_versions=versions,
            metadata=metadata,
            report_as=self.workspace.config.report_as,
        )

    def _known(self) -> Catalog:
        return self._fresh or self.workspace.project.catalog()

    def _tags(self, plan: Plan, face: str) -> dict[str, str]:
        planned = [p.change for p in plan.changes if p.disposition == "planned"]
        kinds = {s: str(sum(c.status == s for c in planned)) for s in ("added", "modified", "deleted")}
        head = self.workspace.repo.head()
        commit = plan.desired.oid or (head.commit if head and head.commit else "none")
        if plan.desired.kind != "revision":
            commit += "+staged" if plan.desired.kind == "index" else "+worktree"
        return {
            "trigger": f"raw-trigger/{face}",
            "raw_fingerprint": plan.fingerprint,
            "raw_changed_count": str(len(planned)),
            "raw_added": kinds["added"],
            "raw_modified": kinds["modified"],
            "raw_removed": kinds["deleted"],
            "raw_changed_files": ", ".join(
                show(c.path).encode("utf-8", "replace").decode() for c in planned[:5]
            ),
            "raw_commit": commit,
        }

    # Recording

    def ensure_record(self, base: Base) -> None:
        """With nothing recorded yet, the event's own base is what the assets reflect.

        Raises:
            RecordError: the record cannot be written.
        """
        repo, environment = self.workspace.repo, self.workspace.environment
        if state.read(repo, environment) is not None:
            return
        tree = repo.empty_tree if base.oid is None else state.raw_tree(repo, base.oid, self.workspace.roots)
        state.write(repo, environment, tree, None)

    def _settled(self, plan: Plan) -> dict[bytes, Entry | None]:
        """Paths there is nothing to run for."""
        skipped = {t.target for t in plan.targets if t.action == "skip" and t.settles}
        needed = _needed(plan)
        out = {}
        for planned in plan.changes:
            nothing = planned.disposition == "ignored" or (
                planned.disposition == "unmapped" and planned.rule is None and self._fresh is not None
            )
            skip = planned.disposition == "planned" and skipped.issuperset(needed[planned.change.path])
            if nothing or skip:
                out[planned.change.path] = planned.change.new
        return out

    def _promote(self, entries: Mapping[bytes, Entry | None]) -> None:
        stored = diff.store(self.workspace.repo, entries)
        if stored:
            state.promote(self.workspace.repo, self.workspace.environment, stored)

    def adopt(self, tree: str, *, paths: Narrowing | None = None) -> int:
        """Record a tree's raw files as materialized, without running anything.

        Args:
            tree: A tree or commit.
            paths: Only the paths of its globs; everything else keeps what it had.

        Returns:
            How many paths the record changed in.
        """
        repo, environment = self.workspace.repo, self.workspace.environment
        new = state.raw_tree(repo, tree, self.workspace.roots)
        old = state.read(repo, environment)
        changes = diff.between_trees(repo, old or repo.empty_tree, new, self.workspace.roots)
        if paths is not None and paths.paths:
            options = Options(environment=environment, narrowing=paths)
            base, desired = Base("revision", "", old, ""), Desired("revision", "", new)
            plan = make_plan(ChangeSet(base, desired, changes), self.rules(None), options)
            changes = tuple(planned.change for planned in plan.changes)
            self._promote({c.path: c.new for c in changes})
        elif not state.write(repo, environment, new, old):
            raise UsageError("the record was moved by another command meanwhile", "run it again")
        return len(changes)


class _Feeding:
    """Which files of the desired side feed a target; all are listed and mapped once, when first asked."""

    def __init__(self, trigger: Trigger, changes: ChangeSet, rules: RuleBook) -> None:
        self._trigger = trigger
        self._changes = changes
        self._rules = rules

    def __call__(self, target: Target) -> bool:
        return bool(self.paths(target))

    def paths(self, target: Target) -> list[tuple[bytes, Entry]]:
        return self._by_target.get(target, [])

    @cached_property
    def _by_target(self) -> dict[Target, list[tuple[bytes, Entry]]]:
        gone = {c.path for c in self._changes.changes if c.new is None}
        found: dict[Target, list[tuple[bytes, Entry]]] = {}
        for path, entry in self._trigger.desired_paths(self._changes.desired):
            match = None if path in gone else self._rules.match(path)
            for target in match.targets if match is not None else ():
                found.setdefault(target, []).append((path, entry))
        return found


class _Recorder:
    """What was on disk before a run, to be compared with what is there after it."""

    def __init__(self, trigger: Trigger, plan: Plan) -> None:
        self._trigger = trigger
        self._plan = plan
        self._before = self._snapshot()

    def _snapshot(self) -> dict[bytes, Change]:
        workspace = self._trigger.workspace
        recorded = state.read(workspace.repo, workspace.environment)
        changes = diff.to_worktree(workspace.repo, recorded or workspace.repo.empty_tree, workspace.roots)
        return {change.path: change for change in changes}

    def entries(self, succeeded: set[Target]) -> dict[bytes, Entry | None]:
        """The content of every file that differs from the record and whose every target succeeded with it.

        A file that changed while the run was on is left out: nobody knows what was read.
        """
        if not succeeded:
            return {}
        after = self._snapshot()
        steady = tuple(
            replace(change, old_path=None)
            for path, change in self._before.items()
            if path in after and after[path].new == change.new
        )
        everything = Trigger(self._trigger.workspace, replace(self._trigger.wishes, narrowing=Narrowing()))
        everything._fresh = self._trigger._known()
        whole = everything.plan(ChangeSet(self._plan.base, Desired("worktree", ""), steady), launching=True)
        needed = _needed(whole)
        planned = (p.change for p in whole.changes if p.disposition == "planned")
        return {c.path: c.new for c in planned if needed[c.path] <= succeeded}


def _needed(plan: Plan) -> dict[bytes, set[Target]]:
    """Planned path → every target that it has to have been used for, downstream included."""
    out: dict[bytes, set[Target]] = {p.change.path: set(p.targets) for p in plan.changes}
    for target in plan.targets:
        for path in target.paths:
            if not target.settles:
                out[path].add(target.target)
    return out


def _doubtful(plan: Plan) -> bool:
    """Whether the plan concludes from its catalog that something is not there."""
    unknown = any(p.disposition == "unmapped" for p in plan.changes)
    return unknown or any(t.action == "skip" and not t.settles for t in plan.targets)


def _require_known(rules: RuleBook, catalog: Catalog, narrowing: Narrowing) -> None:
    unknown = [f"{position}: {unknown_asset(key, catalog)}" for position, key in rules.unknown_assets()]
    if unknown:
        raise ConfigError("\n".join(unknown), "`raw-trigger check` lists the assets there are")
    for key in narrowing.assets:
        if key not in catalog.assets:
            raise UsageError(unknown_asset(key, catalog), "an asset key's parts are joined by '/'")


def _content(
    target: PlannedTarget,
    changed: Mapping[bytes, Change],
    feeding: Iterable[tuple[bytes, Entry]],
    desired: Desired,
) -> tuple[str, dict[str, str | int]]:
    """The data version of a reported target, and what its event says about the files."""
    entries: dict[bytes, Entry] = dict(feeding)
    for path in target.paths:
        new = changed[path].new if path in changed else None
        if new is None:
            entries.pop(path, None)
        else:
            entries[path] = new
    metadata: dict[str, str | int] = {"raw_files": len(entries)}
    metadata["raw_paths"] = ", ".join(
        show(p).encode("utf-8", "replace").decode() for p in sorted(entries)[:5]
    )
    if desired.oid is not None:
        metadata["raw_commit"] = desired.oid
    if not entries:
        return "deleted", metadata
    if len(entries) == 1:
        return next(iter(entries.values())).oid, metadata
    digest = hashlib.sha256()
    for path, entry in sorted(entries.items()):
        digest.update(path + b"\0" + entry.oid.encode() + b"\0")
    return digest.hexdigest(), metadata


__all__ = ["PlannedChange", "Trigger", "Wishes"]
