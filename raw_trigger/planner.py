"""What is there, what is recorded, and the plan that follows from both. Nothing here changes anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from raw_trigger.content.compared import Contents, Told
from raw_trigger.content.disk import obstacles
from raw_trigger.content.feeding import Feeding, desired_paths
from raw_trigger.dvc.tracked import Tracked
from raw_trigger.errors import ProjectError, RawTriggerError, RecordError
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.mapping.rules import RuleBook
from raw_trigger.model.assets import Catalog
from raw_trigger.model.changes import DVC_MODE, Base, Change, ChangeSet, Desired
from raw_trigger.model.owner import making, named, of_run
from raw_trigger.model.plan import Disk, Narrowing, Options, Plan, PlannedChange
from raw_trigger.model.record import UNKNOWN, Record
from raw_trigger.model.rules import tells_catalog
from raw_trigger.planning.asked import require_known
from raw_trigger.planning.lineage import Lineage
from raw_trigger.planning.plan import make_plan
from raw_trigger.project.known import KnownCatalog
from raw_trigger.record import tree as recorded_tree
from raw_trigger.record.rules import record_under
from raw_trigger.recorded_files import RecordedFiles
from raw_trigger.repo import diff
from raw_trigger.repo.code import code_of
from raw_trigger.repo.links import Links
from raw_trigger.repo.listing import Listing
from raw_trigger.revisions import from_arguments
from raw_trigger.workspace.places import is_address, shown_instance
from raw_trigger.workspace.roots import require_roots
from raw_trigger.workspace.workspace import Workspace

if TYPE_CHECKING:
    from raw_trigger.bookkeeping import History


@dataclass(frozen=True, slots=True)
class Wishes:
    """Says what the caller wants different from the configuration."""

    narrowing: Narrowing = field(default_factory=Narrowing)
    downstream: str | int | None = None
    use_catalog: bool = True


class Planner:
    """Knows one workspace; what it read of record and catalog is kept until :meth:`look_again`."""

    def __init__(self, workspace: Workspace, wishes: Wishes | None = None) -> None:
        self.workspace = workspace
        self.wishes = wishes or Wishes()
        self.catalog = KnownCatalog(workspace.project)
        self._book: RuleBook | None = None
        self._told: Told = {}
        self.listing = Listing(workspace.repo, workspace.roots)
        self.obtain: Callable[[list[str]], None] = lambda _: None
        """Fetches contents, by their ids, that a shallow clone lacks; without it they are as good as gone."""
        self.tracked = Tracked(workspace.repo, workspace.roots, self._obtain, self._recorded)
        self.links = Links(workspace.repo, workspace.roots)
        self.checks_instance = True
        """Whether it is an error that the record is about the assets of another Dagster instance."""
        self.held: Mapping[str, str] = {}
        """Targets, as text, that are not to be made now, and why."""
        self.unsettled: frozenset[bytes] = frozenset()
        """Files that are not taken for what they are now, unless something is made from them."""
        self.runs: dict[str, str] = {}
        """The runs of the targets, as text, that were submitted and may still be made."""
        self.launch: str | None = None
        """The launch, begun by another process, that this is a part of."""
        self.warnings: list[str] = []
        """What the user should be told at the end."""
        self.unfetched: Mapping[bytes, str] = {}
        """Files whose content was fetched in vain, and why."""

    def _recorded(self) -> str | None:
        return None if self.record is None or self.record.data is None else self.record.tree

    def _obtain(self, oids: list[str]) -> None:
        self.obtain(oids)

    @cached_property
    def record(self) -> Record | None:
        """Returns what is recorded for the environment; None if nothing is.

        Raises:
            RecordError: the ref names no recorded tree.
        """
        found = recorded_tree.read(self.workspace.repo, self.workspace.environment)
        return None if found is None else found.without(self.launch)

    def look_again(self, *, at_code: bool = True) -> None:
        """Removes from memory what may have changed meanwhile: the record, and if wanted the code."""
        self.__dict__.pop("record", None)
        if at_code:
            self.catalog.forget()

    # Detecting

    def detect(
        self,
        base: Base,
        desired: Desired,
        only: frozenset[bytes] | None = None,
        listing: Listing | None = None,
    ) -> ChangeSet:
        """Returns what differs under the raw roots.

        Args:
            only: The paths that are looked at; None: all.
            listing: What was listed just now, of what :meth:`listed` lists; None: it is asked for.

        Raises:
            UsageError: a raw root is neither on disk nor in one of the two sides.
            GitError: git cannot tell.
        """
        repo = self.workspace.repo
        # The plan that follows looks at the same.
        self.listing = listing or self.listed(base, desired)
        changes = self._since(base.oid, desired)
        if not changes:
            sides = [side for side in (base.oid, desired.oid) if side]
            config = self.workspace.config
            require_roots(repo, config, sides, lambda: self._has_outs(desired), lambda: self.record)
        self.links.look_at(desired, self.listing)
        # What is recorded and gone is nowhere in what is there, and still has to be done.
        record = self.record if base.kind == "empty" else None
        since = () if record is None else self._since(record.tree, desired)
        old = None if record is None else record.tree
        before, further = self.tracked.changes(since, old, desired.oid)
        seen, pointers = self.tracked.changes(changes, base.oid, desired.oid, beside=True)
        found = ChangeSet(base, desired, seen, pointers={**pointers, **further})
        if record is not None:
            found = self._with_recorded(found, before, record)
        return found if only is None else self.only(found, only)

    def only(self, found: ChangeSet, paths: frozenset[bytes]) -> ChangeSet:
        """Returns what of the last detected changes is at these paths, or in data that they stand for."""
        # Git knows of nothing but pointer files.
        data = {change.path for change in found.changes if self.tracked.pointer_of(change.path) in paths}
        return found.narrowed(paths | data)

    def listed(self, base: Base, desired: Desired) -> Listing:
        """Returns a listing of the index and the disk, yet to be read, for these two sides."""
        return Listing(self.workspace.repo, self.tracked.watched(base.oid, desired))

    def _since(self, base: str | None, desired: Desired) -> tuple[Change, ...]:
        """What git says differs under the raw roots."""
        repo, watched = self.workspace.repo, self.tracked.watched(base, desired)
        return diff.between(repo, base or repo.empty_tree, desired, watched, self.listing)

    def _with_recorded(self, found: ChangeSet, since: Iterable[Change], record: Record) -> ChangeSet:
        """Everything that is there, with what is recorded and is not.

        Args:
            since: What differs from what is recorded.
        """
        before = {change.path: change for change in since if change.old is not None}
        gone = [replace(change, old_path=None) for change in before.values() if change.new is None]
        every = tuple(sorted((*found.changes, *gone), key=lambda change: change.path))
        recorded = {path: change.old for path, change in before.items() if change.old is not None}
        found = replace(found, changes=every, recorded=recorded)
        return self.with_exceptions(found, record, self.rules_now())

    def _has_outs(self, desired: Desired) -> bool:
        """Whether DVC has files under a root of which git knows nothing there."""
        return bool(desired_paths(self.workspace.repo, self.tracked, desired))

    # Planning

    def plan(self, changes: ChangeSet, *, launching: bool = False) -> Plan:
        """Makes the plan for these changes, and for what edited rules newly map.

        The catalog is taken from the cache where that is enough. That a path is mapped to
        nothing, or an asset or partition unknown, is concluded only from one loaded just now.

        Args:
            launching: Also look at the disk: only what is there as desired can be launched.

        Raises:
            ConfigError: a rule names an asset that is not in the project.
            ProjectError: the project cannot be loaded.
        """
        is_about = changes.base.kind == "recorded" or changes.recorded is not None
        record = self.record if is_about else None
        if record is not None:
            self.require_instance(record)
        if not self.wishes.use_catalog or not self._needs_catalog(changes, record):
            return self._made(changes, None, record, launching)
        catalog = self.catalog.known()
        try:
            plan = self._made(changes, catalog, record, launching)
            certain = catalog.fresh or not _doubtful(plan)
        except RawTriggerError:
            if catalog.fresh:
                raise
            certain = False
        return plan if certain else self._made(changes, self.catalog.fresh(), record, launching)

    def pending(self) -> Plan:
        """Returns the plan for what differs on disk from what is recorded; without a record, from HEAD."""
        workspace = self.workspace
        base, desired = from_arguments(workspace.repo, workspace.environment, [])
        return self.plan(self.detect(base, desired), launching=True)

    def require_instance(self, record: Record) -> None:
        """Raises an error where the record is about the assets of another Dagster instance.

        Raises:
            RecordError: it is.
        """
        workspace = self.workspace
        if not self.checks_instance or record.instance in (None, self.instance()):
            return
        assert record.instance is not None
        recorded, here = shown_instance(workspace.repo, record.instance), workspace.project.shown
        is_moved = workspace.config.launcher == "graphql" and is_address(recorded)
        if is_moved and workspace.project.knows(self.history.run_ids()):
            return  # the same deployment has another address
        is_here = workspace.config.launcher == "local" and not is_address(recorded)
        advice = "give this instance an --environment of its own, or say with "
        raise RecordError(
            f"'{workspace.environment}' is recorded for the Dagster instance at {recorded}, not at {here}",
            "mend dagster.url, or give this deployment an --environment of its own: it knows none of the runs"
            if is_moved
            else (f"set DAGSTER_HOME={recorded}, " if is_here else "")
            + f"{advice}`raw-trigger adopt` that everything is materialized there",
        )

    def instance(self) -> str | None:
        """Returns what the record names the Dagster instance by; None where that is not recorded."""
        workspace = self.workspace
        return workspace.instance if self.checks_instance else None

    def counted(self, plan: Plan) -> Plan:
        """Returns the plan with what there is to tell of the changes' contents."""
        if not plan.changes:
            return plan
        # Imported here: most plans are over before anything has to be counted.
        from raw_trigger.content.counting import counted

        return counted(self.workspace.repo, plan)

    def code(self, desired: Desired) -> str | None:
        """Returns an id of the project's code in a commit, for comparison; None for anything but a commit.

        See :func:`raw_trigger.repo.code.code_of` for what counts.
        """
        if desired.kind != "revision" or desired.oid is None:
            return None
        repo, config = self.workspace.repo, self.workspace.config
        return code_of(repo, desired.oid, config.folder, config.roots)

    def rules(self, catalog: Catalog | None) -> RuleBook:
        """Returns the rules in force."""
        if self._book is None or self._book.catalog is not catalog:
            top = str(self.workspace.repo.top)
            config, pointer_of = self.workspace.config, self.tracked.pointer_of
            self._book = RuleBook(config, catalog, top, pointer_of, self.links.to)
        return self._book

    def _needs_catalog(self, changes: ChangeSet, record: Record | None) -> bool:
        """Whether the file's rules alone do not settle it: that nothing is made from any changed path."""
        narrowing = self.wishes.narrowing
        if (
            narrowing.assets
            or narrowing.partitions
            or (record is not None and record.in_doubt(self.workspace.roots))
        ):
            return True
        rules = self.rules(None)
        before = None if record is None else record.rules
        # An asset that is new in the code may be made from files that are as recorded.
        if before is not None and (tells_catalog(before) or not rules.same_file(before)):
            return True
        matches = (rules.match(change.path) for change in changes.changes)
        return not all(match is not None and match.ignore for match in matches)

    def _made(
        self, changes: ChangeSet, catalog: Catalog | None, record: Record | None, launching: bool
    ) -> Plan:
        rules = self.rules(catalog)
        if catalog is not None:
            require_known(rules, catalog, self.wishes.narrowing, PartitionKeys(time.time()))
        if record is not None:
            record = self.record_under(rules, record)
            changes = self.with_exceptions(changes, record, rules)
        disk = Disk()
        if launching or changes.desired.kind != "revision":
            disk = self._obstacles(changes, rules)
        with self.feeding(changes, rules, record) as files:
            plan = make_plan(
                changes,
                rules,
                self.options(),
                disk=disk,
                files=files,
                record=record,
                held={**self.held, **self.at_work},
            )
        if self.unsettled:
            plan = plan.without(self.unsettled)
        if changes.recorded is not None:  # it is what the changes are added to, not what they are due for
            plan = replace(plan, record=None)
        return plan if not self.unfetched else self._with_words(plan)

    def _obstacles(self, changes: ChangeSet, rules: RuleBook) -> Disk:
        """What cannot be launched because something else is where Dagster reads."""
        workspace = self.workspace
        if workspace.project.files == "commit" and self.wishes.use_catalog:
            # Imported here: most projects have no deployment.
            from raw_trigger.content.deployed import undeployed

            return undeployed(workspace.repo, self.tracked, changes, workspace.project.commit)
        if workspace.project.files != "here":
            return Disk()
        made_from = self.lineage(rules).made_from
        return obstacles(workspace.repo, self.tracked, changes, self.listing, rules, made_from)

    def _with_words(self, plan: Plan) -> Plan:
        """The plan with why content that is not here could not be fetched."""

        def told(planned: PlannedChange) -> PlannedChange:
            why = [self.unfetched[path] for path in planned.absent if path in self.unfetched]
            return replace(planned, reason=f"{planned.reason} ({why[0]})") if why else planned

        return replace(plan, changes=tuple(map(told, plan.changes)))

    @property
    def at_work(self) -> Mapping[str, str]:
        """Returns the targets, as text, that others are making at this moment; the reason names these."""
        record = self.record
        if record is None or not record.launches:
            return {}
        # Imported here: hardly ever is anybody at work.
        from raw_trigger.ledger.owner import owner_alive, this_process

        here, found = this_process(), dict[str, str]()
        for launch in record.launches.values():
            if launch.submitted:
                found |= {name: making(of_run(launch.face, self.runs.get(name))) for name in launch.targets}
            elif launch.owner is not None and launch.owner != here and owner_alive(launch.owner):
                who = named(launch.face, launch.owner.pid)
                found |= dict.fromkeys(launch.targets, making(who))
        return found

    def contents(self, changes: ChangeSet, rules: RuleBook, record: Record | None = None) -> Contents:
        """Compares the contents of these changes, of those files whose rules ask for it.

        Args:
            record: What reflects another content than the rest is compared with that too.
        """
        asked = [change for change in changes.changes if rules.looks_inside(change.path)]
        recorded = changes.recorded or {}
        before = (entry for change in asked for entry in (change.old, recorded.get(change.path)))
        old = {entry.oid for entry in before if entry is not None and entry.mode != DVC_MODE}
        if record is not None:
            seen = (told for change in asked for told in record.exceptions_of(change.path).values())
            old.update(t.oid for t in seen if t is not None and t != UNKNOWN and t.mode != DVC_MODE)
        if old:
            self.obtain(sorted(old))
        return Contents(self.workspace.repo, changes, self._told)

    @contextmanager
    def feeding(self, changes: ChangeSet, rules: RuleBook, record: Record | None = None) -> Iterator[Feeding]:
        """Yields what tells the files of the desired side by target; see :meth:`contents`."""
        with self.contents(changes, rules, record) as contents:
            yield Feeding(self.workspace.repo, self.tracked, changes, rules, contents)

    def options(self) -> Options:
        """Returns how to plan: as configured, and as the caller wishes."""
        config, wishes = self.workspace.config, self.wishes
        return Options(
            environment=self.workspace.environment,
            downstream=config.downstream if wishes.downstream is None else wishes.downstream,
            on_delete=config.on_delete,
            unmapped=config.unmapped,
            batch_size=config.batch_size,
            narrowing=wishes.narrowing,
            now=time.time(),
        )

    def lineage(self, rules: RuleBook) -> Lineage:
        """Returns what may be made from what, as far downstream as was asked for."""
        options = self.options()
        return Lineage(rules.catalog, options.downstream, options.now)

    def sees_all(self) -> bool:
        """Says whether plans have everything that the configuration wants made from a path."""
        wanted = self.wishes.downstream
        return self.wishes.use_catalog and wanted in (None, self.workspace.config.downstream)

    def known_rules(self) -> RuleBook:
        """Returns the rules in force, with the catalog as far as it is known.

        Raises:
            ProjectError: the project cannot be loaded.
        """
        return self.rules(self.catalog.known())

    def rules_now(self) -> RuleBook:
        """Returns the rules in force.

        Those of the file alone where the Dagster project is not asked or does not load.
        """
        try:
            return self.known_rules() if self.wishes.use_catalog else self.rules(None)
        except ProjectError:  # told by what plans
            return self.rules(None)

    # What ran here

    @cached_property
    def history(self) -> History:
        """Returns what the ledger knows."""
        # Imported here: planning is in a hurry and reads no history.
        from raw_trigger.bookkeeping import History

        return History(self.workspace, self.warnings.append)

    # Other planners

    def without_failed(self, spared: Set[bytes] = frozenset()) -> Planner:
        """Returns one that does not try again what failed last time with the same content.

        Args:
            spared: Paths whose targets are tried again all the same.
        """
        failed = frozenset(one for one in self.history.failed() if one[1] not in spared)
        return self.narrowed(replace(self.wishes.narrowing, not_again=failed))

    def only_failed(self) -> Planner:
        """Returns one that tries again what failed last time, and nothing else."""
        return self.narrowed(replace(self.wishes.narrowing, failed=self.history.failed()))

    def narrowed(self, narrowing: Narrowing) -> Planner:
        """Returns one that wants this of the plan."""
        other = Planner(self.workspace, replace(self.wishes, narrowing=narrowing))
        other.warnings += self.warnings
        other.catalog, other.launch, other.runs = self.catalog, self.launch, self.runs
        other.checks_instance, other.obtain = self.checks_instance, self.obtain
        return other

    # The record under today's rules

    def record_under(self, rules: RuleBook, record: Record) -> Record:
        """Returns the record as these rules read it: see :func:`raw_trigger.record.rules.record_under`."""
        lineage = Lineage(rules.catalog, self.workspace.config.downstream, time.time())
        return record_under(record, rules, lineage, self._recorded_files(record))

    def with_exceptions(self, changes: ChangeSet, record: Record, rules: RuleBook) -> ChangeSet:
        """Returns the changes with the paths that are as recorded and not reflected by all targets."""
        return self.with_paths(
            changes,
            record,
            (path for path in record.in_doubt(self.workspace.roots) if self._may_feed(path, rules)),
        )

    def with_paths(self, changes: ChangeSet, record: Record, paths: Iterable[bytes]) -> ChangeSet:
        """Returns the changes with these paths too, as they are recorded."""
        known = {change.path for change in changes.changes}
        further = [path for path in paths if path not in known]
        if not further:
            return changes
        entries = self._recorded_files(record).at(further)
        return changes.extended({path: entries.get(path) for path in further})

    def _recorded_files(self, record: Record) -> RecordedFiles:
        return RecordedFiles(self.workspace.repo, self.tracked, record, self.contents)

    def _may_feed(self, path: bytes, rules: RuleBook) -> bool:
        """Whether anything may be made from it by these rules: of what else nobody asks who has seen it."""
        match = rules.match(path)
        return rules.catalog is None if match is None else not match.ignore

    def plain(self) -> Planner:
        """Returns one that wants nothing in particular, and knows what this one has read."""
        other = Planner(self.workspace)
        other.catalog, other.obtain = self.catalog, self.obtain
        other.__dict__["record"] = self.record
        return other


def _doubtful(plan: Plan) -> bool:
    """Whether the plan concludes from its catalog that something is not there."""
    unknown = any(p.disposition == "unmapped" for p in plan.changes)
    # That a window is still open says the clock, not the catalog.
    skipped = (t for t in plan.targets if t.action == "skip" and t.ready is None)
    return unknown or any(t.unknown or not (t.settles or t.held) for t in skipped)
