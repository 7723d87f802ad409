"""The use case: detect, plan, launch, record. Every face calls these; nothing here prints."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from raw_trigger import state
from raw_trigger.errors import ConfigError, LedgerError, ProjectError, RawTriggerError, UsageError
from raw_trigger.feeding import Feeding, content_of
from raw_trigger.launch.base import Launcher, Order, Report
from raw_trigger.lock import locked
from raw_trigger.mapping.rules import RuleBook, unknown_asset
from raw_trigger.model.assets import Catalog
from raw_trigger.model.changes import WORKTREE, Base, ChangeSet, Desired, show
from raw_trigger.model.outcome import Outcome, TargetOutcome, summarize
from raw_trigger.model.plan import Narrowing, Plan, Target
from raw_trigger.model.record import Record, Verdict
from raw_trigger.planning import Disk, Options, made_from, make_plan
from raw_trigger.recording import Recorder, settled
from raw_trigger.repo import diff
from raw_trigger.repo.disk import in_the_way, not_the_content
from raw_trigger.roots import require_roots
from raw_trigger.workspace import Workspace

if TYPE_CHECKING:
    from raw_trigger.bookkeeping import Bookkeeper
    from raw_trigger.settling import Attempt

Waiting = Callable[[str], None]
"""Told whom a command waits for."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller wants different from the configuration."""

    narrowing: Narrowing = field(default_factory=Narrowing)
    downstream: str | int | None = None
    use_catalog: bool = True


class Trigger:
    """Plans and runs in one workspace. ``warnings`` is what the user should be told at the end."""

    def __init__(self, workspace: Workspace, wishes: Wishes | None = None) -> None:
        self.workspace = workspace
        self.wishes = wishes or Wishes()
        self.warnings: list[str] = []
        self._fresh: Catalog | None = None
        self._known: Catalog | None = None

    @cached_property
    def _books(self) -> Bookkeeper:
        # Imported here: planning is in a hurry and keeps no books.
        from raw_trigger.bookkeeping import Bookkeeper

        return Bookkeeper(self.workspace, self.warnings.append)

    @cached_property
    def record(self) -> Record | None:
        """What is recorded for the environment; None if nothing is.

        Raises:
            RecordError: the ref names no recorded tree.
        """
        return state.read(self.workspace.repo, self.workspace.environment)

    def without_failed(self) -> Trigger:
        """One that does not try again what failed last time with the same content."""
        return self._narrowed(replace(self.wishes.narrowing, not_again=self._books.failed()))

    def only_failed(self) -> Trigger:
        """One that tries again what failed last time, and nothing else."""
        return self._narrowed(replace(self.wishes.narrowing, failed=self._books.failed()))

    def _narrowed(self, narrowing: Narrowing) -> Trigger:
        other = Trigger(self.workspace, replace(self.wishes, narrowing=narrowing))
        other.warnings += self.warnings
        return other

    # Detecting

    def detect(self, base: Base, desired: Desired, only: frozenset[bytes] | None = None) -> ChangeSet:
        """What differs under the raw roots.

        Args:
            only: The paths that are looked at; None: all.

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
            require_roots(repo, self.workspace.config, [side for side in (base.oid, desired.oid) if side])
        if "." in roots:
            own = state.FOLDER.encode() + b"/"
            changes = tuple(change for change in changes if not change.path.startswith(own))
        found = ChangeSet(base, desired, changes)
        return found if only is None else found.narrowed(only)

    # Planning

    def plan(self, changes: ChangeSet, *, launching: bool = False) -> Plan:
        """The plan for these changes, and for what edited rules newly map.

        The catalog is taken from the cache where that is enough. That a path is mapped to
        nothing, or an asset or partition unknown, is concluded only from one loaded just now.

        Args:
            launching: Also look at the disk: only what is there as desired can be launched.

        Raises:
            ConfigError: a rule names an asset that is not in the project.
            ProjectError: the project cannot be loaded.
        """
        record = self.record if changes.base.kind == "recorded" else None
        if not self.wishes.use_catalog or not self._needs_catalog(changes, record):
            return self._made(changes, None, record, launching)
        catalog = self.known_catalog()
        try:
            plan = self._made(changes, catalog, record, launching)
            certain = catalog.fresh or not _doubtful(plan)
        except RawTriggerError:
            if catalog.fresh:
                raise
            certain = False
        return plan if certain else self._made(changes, self.catalog(), record, launching)

    def catalog(self) -> Catalog:
        """The catalog, loaded afresh once."""
        if self._fresh is None:
            self._fresh = self.workspace.project.catalog(fresh=True)
        return self._fresh

    def known_catalog(self) -> Catalog:
        """The catalog, from the cache where that is still valid; read once."""
        if self._fresh is not None:
            return self._fresh
        if self._known is None:
            self._known = self.workspace.project.catalog()
        return self._known

    def rules(self, catalog: Catalog | None) -> RuleBook:
        """The rules in force."""
        return RuleBook(self.workspace.config, catalog, str(self.workspace.repo.top))

    def _needs_catalog(self, changes: ChangeSet, record: Record | None) -> bool:
        """Whether the file's rules alone do not settle it: that nothing is made from any changed path."""
        if self.wishes.narrowing.assets or (record is not None and record.exceptions):
            return True
        rules = self.rules(None)
        if record is not None and record.rules is not None and not rules.same_file(record.rules):
            return True
        matches = (rules.match(change.path) for change in changes.changes)
        return not all(match is not None and match.ignore for match in matches)

    def _made(
        self, changes: ChangeSet, catalog: Catalog | None, record: Record | None, launching: bool
    ) -> Plan:
        workspace = self.workspace
        rules = self.rules(catalog)
        if catalog is not None:
            _require_known(rules, catalog, self.wishes.narrowing)
        if record is not None:
            record = self._by_todays(rules, record)
            changes = self._with_exceptions(changes, record)
        looks = launching or changes.desired.kind == "index"
        return make_plan(
            changes,
            rules,
            self._options(),
            disk=in_the_way(workspace.repo, workspace.roots, changes) if looks else Disk(),
            feeds=Feeding(workspace.repo, workspace.roots, changes, rules),
            record=record,
        )

    def _options(self) -> Options:
        config, wishes = self.workspace.config, self.wishes
        return Options(
            environment=self.workspace.environment,
            downstream=config.downstream if wishes.downstream is None else wishes.downstream,
            on_delete=config.on_delete,
            unmapped=config.unmapped,
            batch_size=config.batch_size,
            narrowing=wishes.narrowing,
        )

    def _by_todays(self, rules: RuleBook, record: Record) -> Record:
        """The record under today's rules: what a path newly feeds has seen nothing of it yet."""
        if rules.catalog is None and record.rules is not None and rules.same_file(record.rules):
            return record
        today = rules.describe()
        if record.rules is not None and record.rules != today:
            before = RuleBook.described(record.rules)
            files = diff.all_paths(self.workspace.repo, record.tree, self.workspace.roots)
            newly = rules.newly_fed(before, (path for path, _ in files))
            downstream = self._options().downstream
            record = record.with_new_targets(
                {
                    path: [t.text for target in targets for t in made_from(target, rules.catalog, downstream)]
                    for path, targets in newly.items()
                }
            )
        return record if rules.catalog is None else replace(record, rules=today)

    def _with_exceptions(self, changes: ChangeSet, record: Record) -> ChangeSet:
        """Also the paths whose content is as recorded, but not all of whose targets reflect it."""
        known = {change.path for change in changes.changes}
        further = [path for path in record.exceptions if path not in known]
        if not further:
            return changes
        entries = diff.entries_at(self.workspace.repo, record.tree, further)
        return changes.extended({path: entries.get(path) for path in further})

    # Running

    @contextmanager
    def planned(
        self,
        base: Base,
        desired: Desired,
        *,
        face: str,
        only: frozenset[bytes] | None = None,
        waiting: Waiting = lambda _: None,
    ) -> Iterator[Plan]:
        """The plan to be carried out inside the block: where something is to be done, under the
        environment's lock, and made after that was had and what was interrupted before is settled.

        Args:
            face: Who asks, for others to see.
            waiting: Told whom this waits for.

        Raises:
            LockError: the lock was not had in time.
            RecordError: what is settled cannot be recorded.
        """
        from raw_trigger import settling

        plan = self.plan(self.detect(base, desired, only), launching=True)
        # Where a file was changed back after the interruption only the ledger knows that something is due.
        if not plan.actionable and not settling.has_interrupted(self.workspace):
            yield plan
            return
        with locked(self.workspace.repo.shared_dir / "locks", self.workspace.environment, face, waiting):
            self._settle()
            # Others were at work meanwhile, perhaps on the code too.
            self.__dict__.pop("record", None)
            self._known = None
            if base.kind == "recorded" and self.record is not None:
                base = replace(base, oid=self.record.tree)
            yield self.plan(self.detect(base, desired, only), launching=True)

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
        nothing_to_run = settled(plan, certain=self._fresh is not None)
        if not plan.actionable:
            if self.record is not None:
                self._promote(nothing_to_run, plan)
            return Outcome("nothing")
        self.ensure_record(plan.base)
        started = time.monotonic()
        recorder = self._recorder()
        done: dict[Target, TargetOutcome] = {}
        told: dict[Target, datetime] = {}

        def finished(outcome: TargetOutcome) -> None:
            done[outcome.target] = outcome
            told[outcome.target] = datetime.now(timezone.utc)
            on_target(outcome)

        order = self._order(plan, face)
        launch = self._books.begin(order, face)
        report = Report()
        problem: BaseException | None = None
        try:
            report = launcher.launch(order, finished)
            problem = report.problem
        except BaseException as error:
            problem = error
            raise
        finally:
            succeeded = {target for target, outcome in done.items() if outcome.status == "success"}
            unsure = recorder.unsure(succeeded)
            for planned in plan.targets:
                outcome = done.get(planned.target)
                for path in planned.paths if outcome is not None and outcome.refuted else ():
                    unsure[path] = unsure.get(path, frozenset()) | {planned.target.text}
            self._promote({**nothing_to_run, **recorder.verdicts(succeeded)}, plan, unsure)
            self._books.finish(launch, tuple(done.values()), told=told, error=problem, log=report.log)
        if report.problem is not None:
            raise report.problem
        outcomes = tuple(done[t.target] for t in plan.actionable if t.target in done)
        seconds = time.monotonic() - started
        return Outcome(summarize(outcomes), outcomes, report.run_ids, seconds, report.log)

    def _order(self, plan: Plan, face: str) -> Order:
        workspace, catalog = self.workspace, self.known_catalog()
        nothing = ChangeSet(plan.base, plan.desired, ())
        feeding = Feeding(workspace.repo, workspace.roots, nothing, self.rules(catalog))
        changed = {planned.change.path: planned.change for planned in plan.changes}
        contents = {
            planned.target: content_of(planned, changed, feeding.paths(planned.target), plan.desired)
            for planned in plan.actionable
            if planned.action == "report"
        }
        return Order(
            plan=plan,
            catalog=catalog,
            tags=self._tags(plan, face),
            run_ids={t.batch: str(uuid.uuid4()) for t in plan.actionable if t.action != "report"},
            data_versions={target: version for target, (version, _) in contents.items()},
            metadata={target: metadata for target, (_, metadata) in contents.items()},
            report_as=workspace.config.report_as,
        )

    def _tags(self, plan: Plan, face: str) -> dict[str, str]:
        planned = [p.change for p in plan.changes if p.disposition == "planned"]
        kinds = {s: str(sum(c.status == s for c in planned)) for s in ("added", "modified", "deleted")}
        names = [show(change.path).encode("utf-8", "replace").decode() for change in planned[:5]]
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
            "raw_changed_files": ", ".join(names),
            "raw_commit": commit,
        }

    # Recording

    def ensure_record(self, base: Base) -> None:
        """With nothing recorded yet, the event's own base is what the assets reflect.

        Raises:
            RecordError: the record cannot be written.
        """
        if self.record is not None:
            return
        repo = self.workspace.repo
        tree = repo.empty_tree if base.oid is None else state.raw_tree(repo, base.oid, self.workspace.roots)
        state.adopt(repo, self.workspace.environment, tree, None, None)
        del self.__dict__["record"]

    def _settle(self) -> None:
        """Record what launches had finished whose process was killed; what else they were for is pending.

        Raises:
            RecordError: it cannot be written; to run anything would be in vain.
        """
        from raw_trigger import settling
        from raw_trigger.bookkeeping import open_ledger

        workspace = self.workspace
        if settling.has_interrupted(workspace) is False:
            return
        ledger = open_ledger(workspace)
        try:
            launches = settling.interrupted(ledger, workspace.environment)
            if not launches:
                return
            found = workspace.project.materialized(settling.run_ids(launches))
            every = settling.attempts(launches, found)
            tried = settling.last_word(ledger, every)
            if not settling.reads_here(workspace):
                tried = [replace(attempt, made=None) for attempt in tried]
            self.__dict__.pop("record", None)
            if tried and self.record is not None:
                self._record_attempts(tried)
            for launch in launches:
                outcomes, told = settling.outcomes(launch, every)
                ended = datetime.now(timezone.utc)
                ledger.finish(launch.launch_id, outcomes, ended=ended, told=told)
        except (LedgerError, ProjectError) as error:
            self.warnings.append(
                f"what an interrupted run had finished is not known and may run again: {error}"
            )

    def _record_attempts(self, tried: Sequence[Attempt]) -> None:
        from raw_trigger.settling import last_change, settlement

        repo, roots = self.workspace.repo, self.workspace.roots
        paths = {path for attempt in tried for path, _ in attempt.record.files}
        verdicts = self._recorder(paths).verdicts({attempt.record.target for attempt in tried})
        nothing = ChangeSet(Base("empty", "", None, ""), Desired("worktree", WORKTREE), ())
        feeding = Feeding(repo, roots, nothing, self.rules(self.known_catalog()))
        found = settlement(
            tried,
            verdicts,
            feeding=lambda target: [path for path, _ in feeding.paths(target)],
            changed_at=lambda path: last_change(repo, path),
        )
        for part in (found.unknown, found.certain):
            stored = diff.store(repo, {path: verdict.entry for path, verdict in part.items()})
            kept = {path: verdict for path, verdict in part.items() if path in stored}
            state.promote(repo, self.workspace.environment, kept)

    def _recorder(self, further: Collection[bytes] = ()) -> Recorder:
        """Compares the disk before and after a run with the record, under today's rules.

        Args:
            further: Paths to be looked at even if they are as recorded.
        """
        catalog = self.known_catalog()
        rules = self.rules(catalog)
        record = self._by_todays(rules, self.record) if self.record is not None else None
        base = Base("recorded", "", None if record is None else record.tree, "")

        def snapshot() -> ChangeSet:
            seen = self.detect(base, Desired("worktree", WORKTREE))
            seen = seen.overlaid(diff.hidden(self.workspace.repo, self.workspace.roots))
            if record is not None and further:
                entries = diff.entries_at(self.workspace.repo, record.tree, list(further))
                seen = seen.extended({path: entries.get(path) for path in further})
            return seen if record is None else self._with_exceptions(seen, record)

        def whole(seen: ChangeSet) -> Plan:
            workspace = self.workspace
            options = Trigger(workspace)._options()
            disk = not_the_content(workspace.repo, workspace.roots, seen)
            feeds = Feeding(workspace.repo, workspace.roots, seen, rules)
            return make_plan(seen, rules, options, disk=disk, feeds=feeds)

        return Recorder(snapshot, whole)

    def _promote(
        self,
        verdicts: Mapping[bytes, Verdict],
        plan: Plan,
        unsure: Mapping[bytes, frozenset[str]] = MappingProxyType({}),
    ) -> None:
        repo = self.workspace.repo
        stored = diff.store(repo, {path: verdict.entry for path, verdict in verdicts.items()})
        kept = {path: verdict for path, verdict in verdicts.items() if path in stored}
        # Rules that somebody still has to mend are not in force.
        seen = self.record if plan.errors or plan.record is None else plan.record
        if seen is not None and seen.rules is None and plan.actionable and not plan.errors:
            seen = replace(seen, rules=self.rules(self.known_catalog()).describe())
        state.promote(repo, self.workspace.environment, kept, seen, unsure)

    def adopt(self, tree: str, globs: tuple[str, ...] = ()) -> int:
        """Record a tree's raw files as materialized, without running anything.

        Args:
            tree: A tree or commit.
            globs: Only the paths that match one of them; everything else keeps what it had.

        Returns:
            How many paths the record changed in.

        Raises:
            RecordError: the record cannot be written.
        """
        repo, environment, roots = self.workspace.repo, self.workspace.environment, self.workspace.roots
        rules = self.rules(self.known_catalog() if self.wishes.use_catalog else None)
        new = state.raw_tree(repo, tree, roots)
        old = repo.empty_tree if self.record is None else self.record.tree
        between = diff.between_trees(repo, old, new, roots)
        changes = ChangeSet(Base("recorded", "", old, ""), Desired("revision", "", new), between)
        if self.record is not None:
            changes = self._with_exceptions(changes, self.record)
        if globs:
            plan = make_plan(changes, rules, replace(self._options(), narrowing=Narrowing(paths=globs)))
            chosen = tuple(planned.change for planned in plan.changes)
            state.promote(repo, environment, {change.path: Verdict(change.new) for change in chosen})
            return len(chosen)
        described = rules.describe() if rules.catalog is not None else None
        if not state.adopt(repo, environment, new, described, self.record):
            raise UsageError("the record was moved by another command meanwhile", "run it again")
        return len(changes.changes)


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
