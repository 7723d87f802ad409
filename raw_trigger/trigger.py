"""The use case: detect, plan, launch, record. Every face calls these; nothing here prints."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from raw_trigger import unmade
from raw_trigger.content.feeding import Feeding, content_of, desired_paths
from raw_trigger.dvc.pointer_files import PointerFiles
from raw_trigger.errors import ProjectError, RawTriggerError, UsageError
from raw_trigger.launch.base import Launcher, Order, Report
from raw_trigger.ledger.owner import this_process
from raw_trigger.lock import locked
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.mapping.rules import RuleBook
from raw_trigger.model.changes import NOTHING, WORKTREE, Base, Change, ChangeSet, Desired, Entry, show
from raw_trigger.model.outcome import Outcome, TargetOutcome, summarize
from raw_trigger.model.plan import NOT_ASKED, FailedContents, Narrowing, Plan, Target
from raw_trigger.model.record import (
    Assumptions,
    Launch,
    Learnt,
    Record,
    Results,
    edited_between,
)
from raw_trigger.model.rules import tells_catalog
from raw_trigger.planner import Planner, Wishes
from raw_trigger.planning import is_wanted, made_from, make_plan, path_filter
from raw_trigger.project import Watching
from raw_trigger.record import tree as recorded_tree
from raw_trigger.record.run import Fate, Run, fate_of, feeding, pointers, settled, unsteady
from raw_trigger.repo import diff
from raw_trigger.repo.room import require_room
from raw_trigger.workspace.workspace import Workspace

if TYPE_CHECKING:
    from raw_trigger.bookkeeping import Bookkeeper
    from raw_trigger.model.history import Failure

Waiting = Callable[[str], None]
"""Told whom a command waits for."""


class Trigger(Planner):
    """Carries plans out in one workspace.

    Args:
        records: Whether what ran is recorded; else the run leaves no trace but in Dagster and the ledger.
        thorough: Whether to watch for what is read in every folder, however many there are.

    Attributes:
        warnings: What the user should be told at the end.
        unsteady: Those of them that are about files which changed while they were read.
        results: What the run came to, as it was recorded here; None if nothing was.
        begun: Whether anything of a plan was launched.
    """

    def __init__(
        self,
        workspace: Workspace,
        wishes: Wishes | None = None,
        *,
        records: bool = True,
        thorough: bool = False,
    ) -> None:
        super().__init__(workspace, wishes)
        self.warnings: list[str] = []
        self.unsteady: list[str] = []
        self.results: Results | None = None
        self.begun = False
        self._records = records
        self._thorough = thorough

    @cached_property
    def _books(self) -> Bookkeeper:
        # Imported here: planning is in a hurry and keeps no books.
        from raw_trigger.bookkeeping import Bookkeeper

        return Bookkeeper(self.workspace, self.warnings.append)

    def failed(self) -> FailedContents:
        """Returns what failed when it was last run."""
        return self._books.failed()

    def failures(self) -> Sequence[Failure]:
        """Says why what failed when it was last run did so; nothing where finding that out takes its time."""
        return self._books.failures()

    def assumptions(self) -> Assumptions:
        """Returns what is recorded only because adopt, install or a first hook said so.

        Raises:
            RecordError: the record cannot be read.
        """
        record = self.record
        if record is None or record.assumed is None:
            return Assumptions()
        said = self.tracked.files(record.assumed, recorded=True)
        now = dict(self.tracked.files(record.tree))
        files = {path: frozenset((entry.oid, now.get(path, entry).oid)) for path, entry in said}
        made = {target.text: contents for target, contents in self._books.made().items()}
        return Assumptions(files, made)

    def fed(self, among: Container[bytes] | None = None) -> Iterator[tuple[bytes, Target]]:
        """Yields the raw files that are there with everything that is made from each, downstream included.

        Args:
            among: Only these files; None: all.
        """
        catalog = self.known_catalog()
        rules = self.rules(catalog)
        options = Planner(self.workspace)._options()
        made: dict[Target, list[Target]] = {}

        def made_of(target: Target) -> list[Target]:
            wanted = rules.below([target.asset])
            every = made_from(target, catalog, options.downstream, options.now) if wanted else [target]
            return [one for one in every if one == target or one.asset in wanted]

        with self.contents(NOTHING, rules) as contents:
            for path, entry in desired_paths(self.workspace.repo, self.tracked, NOTHING.desired):
                match = rules.match(path) if among is None or path in among else None
                if match is None:
                    continue
                for target in contents(path, match, None, entry).targets if match.by_row else match.targets:
                    if target not in made:
                        made[target] = made_of(target)
                    yield from ((path, one) for one in made[target])

    def never_made(self, paths: Iterable[bytes] | None = None) -> tuple[str, ...]:
        """Returns the assets that are made from raw files and that Dagster has never materialized.

        Args:
            paths: The raw files; None: all that are there.

        Raises:
            ProjectError: the project cannot be loaded, or the instance not be used.
        """
        if paths is None:
            here = Desired("worktree", WORKTREE)
            paths = [path for path, _ in desired_paths(self.workspace.repo, self.tracked, here)]
        catalog = self.known_catalog()
        rules = self.rules(catalog)
        matches = map(rules.match, paths)
        fed = {target.asset for match in matches if match is not None for target in match.targets}
        mapped = (catalog.assets[key] for key in sorted((fed | rules.below(fed)) & catalog.assets.keys()))
        assets = [asset for asset in mapped if asset.kind == "materializable"]
        return self.workspace.project.never_materialized(assets)

    def without_failed(self, spared: Set[bytes] = frozenset()) -> Trigger:
        """Returns one that does not try again what failed last time with the same content.

        Args:
            spared: Paths whose targets are tried again all the same.
        """
        failed = frozenset(one for one in self.failed() if one[1] not in spared)
        return self.narrowed(replace(self.wishes.narrowing, not_again=failed))

    def only_failed(self) -> Trigger:
        """Returns one that tries again what failed last time, and nothing else."""
        return self.narrowed(replace(self.wishes.narrowing, failed=self.failed()))

    def narrowed(self, narrowing: Narrowing) -> Trigger:
        """Returns one that wants this of the plan."""
        other = Trigger(self.workspace, replace(self.wishes, narrowing=narrowing))
        other.warnings += self.warnings
        other._known, other._fresh, other.launch = self._known, self._fresh, self.launch
        other.checks_instance = self.checks_instance
        return other

    # Running

    @contextmanager
    def planned(
        self,
        base: Base,
        desired: Desired,
        *,
        face: str,
        only: frozenset[bytes] | None = None,
        found: ChangeSet | None = None,
        waiting: Waiting = lambda _: None,
        ready: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> Iterator[Plan]:
        """Yields the plan to be carried out inside the block.

        Where something is to be done, it is made under the environment's lock, after what was killed before
        is settled.

        Args:
            face: Who asks, for others to see.
            found: What was detected just now of these sides; None: that is done here.
            waiting: Told whom this waits for.
            ready: Entered for the block where something will be to do: see :meth:`Launcher.ready`.

        Raises:
            LockError: the lock was not had in time.
            RecordError: what is settled cannot be recorded.
        """
        from raw_trigger import interrupted

        if found is None:
            found = self.detect(base, desired, only)
        plan = self._fetched(self.plan(found, launching=True), only)
        if not plan.actionable:
            yield plan
            return
        waits: list[str] = []

        def wait(whom: str) -> None:
            waits.append(whom)
            waiting(whom)

        with locked(self.workspace.locks, self.workspace.environment, face, wait):
            soon, before = self.wishes.use_catalog, self.record
            catalog = None if self._is_certain() else self._known
            interrupted.settle(self, self.warnings.append)
            # Others were at work meanwhile, perhaps on the code too.
            self.look_again()
            now = None if self.record is None else self.record.tree
            if not waits and catalog is not None and _is_about(plan, before, now):
                # Or nobody was, and the plan is of just now: loading the project takes longer than the rest.
                self._known = catalog
                with ready() if soon else nullcontext():
                    yield plan
                return
            if base.kind == "recorded" and now is not None:
                base = replace(base, oid=now)
            if soon:
                self.known_catalog()  # with the interpreter that it was read with it will be run
            with ready() if soon else nullcontext():
                yield self.plan(self.detect(base, desired, only), launching=True)

    def _fetched(self, plan: Plan, only: frozenset[bytes] | None) -> Plan:
        """The plan after the content that it lacks was fetched, where that is wanted."""
        missing = {path for planned in plan.changes for path in planned.absent}
        if not missing or not self.workspace.config.fetch:
            return plan
        from raw_trigger.content.pulling import pull

        self.unfetched = pull(self.workspace.repo, self.tracked, missing, self._beside_python)
        return self.plan(self.detect(plan.base, plan.desired, only), launching=True)

    def _beside_python(self) -> Path | None:
        """The folder of the programs of the project's environment."""
        try:
            return Path(self.workspace.project.interpreter().command[0]).parent
        except ProjectError:
            return None

    def run(
        self,
        plan: Plan,
        launcher: Launcher,
        *,
        face: str,
        on_target: Callable[[TargetOutcome], None] = lambda _: None,
    ) -> Outcome:
        """Carries the plan out and records what the assets reflect then.

        What succeeded is recorded even if the launch ended early, also by an interrupt.

        Raises:
            RawTriggerError: the launch could not be carried to its end, or not be recorded.
        """
        nothing_to_run = settled(plan, certain=self._is_certain(), whole=self._sees_all())
        if not plan.actionable:
            if self._records and self.record is not None:
                # Without the environment's lock: whoever recorded something meanwhile knows better.
                with_record = plan.record or self.record
                learnt = {**pointers(plan), **nothing_to_run}
                self._promote(learnt, plan, launch=self.launch, only_on=with_record.tree)
            return Outcome("nothing")
        if self._records:
            require_room(self.workspace.repo)
            self.ensure_record(plan.base, self.rules(self.known_catalog()))
        started = time.monotonic()
        launch = self.launch or str(uuid.uuid4())
        run: Run | None = None
        order: Order | None = None
        told = _Told(on_target)

        def prepare() -> Order:
            nonlocal run, order
            if self._records:
                run = self._begin(plan, launch, face)
            order = self._order(plan, face)
            self._books.begin(launch, order, face)
            return order

        report = Report()
        problem: BaseException | None = None
        try:
            report = launcher.launch(prepare, told.finished, told.batches.add)
            problem = report.problem
        except BaseException as error:
            problem = error
            if not isinstance(error, RawTriggerError):  # what the runner said last was not heard any more
                told.batches.update(one.batch for one in plan.actionable)
            raise
        finally:
            known = {**told.outcomes, **self._unopened(plan, told.outcomes)}
            if run is not None:
                self._learn(run, plan, launch, {**told.fates(plan), **_fates(known)}, nothing_to_run)
            if order is not None:
                self._books.finish(
                    launch,
                    tuple(known.values()),
                    told=told.times,
                    error=problem,
                    log=report.log,
                    catalog=order.catalog,
                )
        if report.problem is not None:
            raise report.problem
        outcomes = self._outcomes(plan, told.outcomes)
        self.warnings += self.unsteady
        if report.lacks and order is not None:
            failed = any(outcome.status != "success" for outcome in outcomes)
            self.warnings += unmade.warnings(report.lacks, order.fed, failed=failed)
        self._compare(outcomes)
        seconds = time.monotonic() - started
        return Outcome(summarize(outcomes), outcomes, report.run_ids, seconds, report.log)

    def _begin(self, plan: Plan, launch: str, face: str) -> Run:
        """Looks at the disk, and records that nobody knows what the targets reflect until this is over."""
        # What the record was not asked about may be as recorded, and fail all the same.
        asked = [p.change.path for p in plan.changes if p.disposition == "planned"]
        run = Run(
            self.working_tree(asked if plan.record is None else ()), [one.target for one in plan.actionable]
        )
        self.begun = True
        now = datetime.now(timezone.utc).isoformat()
        mark = Launch(run.unknown, face, now, this_process())
        recorded_tree.begin(self.workspace.repo, self.workspace.environment, launch, mark, self.instance())
        return run

    def _learn(
        self,
        run: Run,
        plan: Plan,
        launch: str,
        fates: Mapping[Target, Fate],
        nothing_to_run: Mapping[bytes, Learnt],
    ) -> None:
        """Record what the run taught."""
        after = run.after(fates)
        learnt = {**pointers(run.plan), **nothing_to_run, **after.learnt}
        made = [target.text for target, fate in fates.items() if fate != "not made"]
        self._promote(learnt, plan, launch=launch, made=made)
        self.unsteady += unsteady(after.moved, self.rules(self.known_catalog()).relative)

    def _outcomes(self, plan: Plan, done: Mapping[Target, TargetOutcome]) -> tuple[TargetOutcome, ...]:
        """What came of the plan, after what the launcher found lacking above it and made first."""
        outcomes = tuple(done[t.target] for t in plan.actionable if t.target in done)
        first = tuple(outcome for outcome in done.values() if outcome.first)
        failed = ", ".join(sorted(outcome.target.text for outcome in first if outcome.status != "success"))
        if failed:
            self.warnings.append(f"never materialized here, and could not be made first: {failed}")
        return (*(outcome for outcome in first if outcome.status == "success"), *outcomes)

    def _unopened(self, plan: Plan, done: Mapping[Target, TargetOutcome]) -> dict[Target, TargetOutcome]:
        """What ran and cannot have read the files that it is said to be made from, which the user is told.

        As it stays pending, it is a failure for the history, and no hook tries it again by itself.
        """
        from raw_trigger import checkouts, edges

        if not any(outcome.reads is not None for outcome in done.values()):
            return {}
        top, catalog = self.workspace.repo.top, self.known_catalog()
        found = edges.unopened(plan, done, self.rules(catalog), lambda path: checkouts.is_plain(top, path))
        self.warnings += [*checkouts.others(catalog.code, top), *edges.unopened_warnings(found)]
        return {
            target: replace(done[target], status="failed", error=edges.unread(paths))
            for target, paths in found.items()
        }

    def _compare(self, outcomes: tuple[TargetOutcome, ...]) -> None:
        """Warn of what was read and feeds nothing of it by the rules, and keep what was read."""
        from raw_trigger import edges, reads

        repo, readings = self.workspace.repo, reads.readings(outcomes)
        if readings:
            reads.remember(self.workspace.project.cache_dir, readings)
        if self._thorough:  # whoever asked for that is told the whole of it
            return
        made = (outcome for outcome in outcomes if outcome.status == "success")
        found = edges.missed(made, self.rules(self.known_catalog()), self._options().downstream)
        with suppress(RawTriggerError):  # what ran is recorded by now
            self.warnings += edges.warnings(found, lambda paths: reads.visible(repo, paths))

    def _order(self, plan: Plan, face: str) -> Order:
        workspace, catalog = self.workspace, self.known_catalog()
        nothing = ChangeSet(plan.base, plan.desired, ())
        rules = self.rules(catalog)
        changed = {planned.change.path: planned.change for planned in plan.changes}
        with self.contents(nothing, rules) as compare:
            feeding = Feeding(workspace.repo, self.tracked, nothing, rules, compare)
            contents = {
                planned.target: content_of(planned, changed, feeding.paths(planned.target), plan.desired)
                for planned in plan.actionable
                if planned.action == "report"
            }
            made = [planned.target for planned in plan.actionable if planned.action == "materialize"]
            # A whole asset that is made now is there for what is made from it.
            whole = {target.asset for target in made if target.partition is None}
            above = catalog.made_above(target.asset for target in made) - whole
            fed = feeding.of(above) if above else frozenset()
        tags = self._tags(plan, face)
        jobs = {}
        for planned in plan.actionable:
            if planned.target.job is not None:
                there = [path for path in planned.paths if changed[path].new is not None]
                jobs[planned.target] = rules.job_run(
                    planned.paths, there, commit=tags["raw_commit"], top=str(workspace.repo.top)
                )
        return Order(
            plan=plan,
            catalog=catalog,
            tags=tags,
            jobs=jobs,
            run_ids={t.batch: str(uuid.uuid4()) for t in plan.actionable if t.action == "materialize"},
            data_versions={target: version for target, (version, _) in contents.items()},
            metadata={target: metadata for target, (_, metadata) in contents.items()},
            report_as=workspace.config.report_as,
            watching=Watching(workspace.roots, self._thorough),
            fed=fed,
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

    def ensure_record(self, base: Base, rules: RuleBook) -> None:
        """Records the event's own base as what the assets reflect, if nothing is recorded yet.

        Args:
            rules: Those in force: what is newly fed by edited ones is pending then.

        Raises:
            RecordError: the record cannot be written.
        """
        if self.record is not None:
            return
        repo = self.workspace.repo
        base_tree = base.oid or repo.empty_tree
        tree = recorded_tree.raw_tree(repo, base_tree, self.tracked.watched(base_tree))
        data = self.tracked.to_record(base_tree)
        recorded_tree.adopt(
            repo, self.workspace.environment, tree, rules.describe(), None, data, self.instance()
        )
        self.look_again()

    def _promote(
        self,
        learnt: Mapping[bytes, Learnt],
        plan: Plan,
        *,
        launch: str | None = None,
        made: Iterable[str] = (),
        only_on: str | None = None,
    ) -> None:
        record = self.record
        assert record is not None
        seen = plan.record or record
        if plan.errors:  # rules that somebody still has to mend are not in force
            seen = record
        elif (plan.actionable or self._known is not None or self._fresh is not None) and (
            plan.record is None or not _are_whole(seen.rules)
        ):
            seen = self.record_under(self.rules(self.known_catalog()), record)
        results = Results(
            planned_with=record.tree,
            learnt=recorded_tree.kept_contents(self.workspace.repo, learnt),
            launch=launch,
            made=dict.fromkeys(made, record.tree),
            rules_before=record.rules,
            rules=seen.rules,
            edited=edited_between(record, seen),
        )
        if self._record(results, only_on=only_on):
            self.results = results

    def _record(self, results: Results, *, only_on: str | None = None, assume: bool = False) -> bool:
        workspace = self.workspace
        return recorded_tree.promote(
            workspace.repo,
            workspace.environment,
            results,
            pointer_files=PointerFiles(workspace.repo, workspace.roots),
            only_on=only_on,
            assume=assume,
        )

    def _sees_all(self) -> bool:
        """Whether plans have everything that the configuration wants made from a path."""
        wanted = self.wishes.downstream
        return self.wishes.use_catalog and wanted in (None, self.workspace.config.downstream)

    def record_made(self, made: set[Target], before: Mapping[bytes, Entry]) -> None:
        """Records what targets reflect that were made just now, by rules that were not there yet then.

        Args:
            before: Paths, and what was there before the targets were made. What is another one now is left.

        Raises:
            RecordError: it cannot be written.
        """
        record = self.record
        if record is None:
            return
        run = Run(self.working_tree(before.keys()), made)
        fates: dict[Target, Fate] = dict.fromkeys(made, "made")
        learnt = {
            path: one
            for path, one in run.after(fates).learnt.items()
            if path in before and before[path] == one.entry
        } | pointers(run.plan)
        seen = self.record_under(self.rules(self.known_catalog()), record)
        results = Results(
            record.tree,
            recorded_tree.kept_contents(self.workspace.repo, learnt),
            rules_before=record.rules,
            rules=seen.rules,
            edited=edited_between(record, seen),
        )
        self._record(results)

    def adopt(self, tree: str, globs: tuple[str, ...] = ()) -> dict[bytes, frozenset[str]]:
        """Records a tree's raw files as materialized, without running anything.

        Args:
            tree: A tree or commit.
            globs: Only the paths that match one of them; everything else keeps what it had.

        Returns:
            The paths that the record changed in; with ``globs`` each with its targets.

        Raises:
            RecordError: the record cannot be written.
        """
        repo, environment = self.workspace.repo, self.workspace.environment
        rules = self.rules(self.known_catalog() if self.wishes.use_catalog else None)
        old = repo.empty_tree if self.record is None else self.record.tree
        differ = diff.between_trees(repo, old, tree, self.tracked.watched(old, tree))
        seen, moved = self.tracked.changes(differ, old, tree)
        base, desired = Base("recorded", "", old, ""), Desired("revision", "", tree)
        changes = ChangeSet(base, desired, seen, pointers=moved)
        record = self.record
        if record is not None:
            changes = self._with_exceptions(changes, record, rules)
        if globs:
            if record is None:  # then nothing else counts as materialized
                self.ensure_record(Base("empty", "", None, ""), rules)
            plan = make_plan(changes, rules, replace(self._options(), narrowing=Narrowing(paths=globs)))
            fed = feeding(plan)
            chosen = {c.path: fed.get(c.path, frozenset()) for c in (p.change for p in plan.changes)}
            entries = {planned.change.path: planned.change.new for planned in plan.changes}
            done = {
                path: Learnt(entries[path], names, dict.fromkeys(names, entries[path]))
                for path, names in chosen.items()
            }
            with self.contents(changes, rules, record) as contents:
                everything = make_plan(changes, rules, self._options(), compare=contents, record=record)
            known = {p.change.path for p in everything.changes if p.disposition == "unchanged"}
            same = settled(everything, certain=False, whole=self._sees_all())
            done |= {path: same[path] for path in (known & same.keys()) - done.keys()}
            done |= pointers(everything)
            only_on = None if record is None else record.tree
            if not self._record(Results(old, done), only_on=only_on, assume=True):
                raise _moved()
            return chosen
        new = recorded_tree.raw_tree(repo, tree, self.tracked.watched(tree))
        data, told = self.tracked.to_record(tree), rules.describe()
        if not recorded_tree.adopt(repo, environment, new, told, self.record, data, self.instance()):
            raise _moved()
        return {change.path: frozenset() for change in changes.changes}

    def require_files(self, tree: str, globs: tuple[str, ...]) -> None:
        """Raises an error where no raw file, recorded or of the tree, matches one of the globs.

        Raises:
            UsageError: none does.
        """
        wanted = path_filter(globs, self.rules(None))
        for side in (tree, *(() if self.record is None else (self.record.tree,))):
            if any(wanted(path) for path, _ in self.tracked.files(side)):
                return
        raise UsageError(
            f"no raw file matches {' or '.join(globs)}",
            "a glob is relative to a root or to the repository's top, and * stays inside one folder; "
            "`FOLDER/**` is all that is in one",
        )

    def forget(self) -> dict[bytes, frozenset[str]]:
        """Records that nobody knows what the targets reflect that are asked for: they are pending then.

        Returns:
            The recorded paths that they are made from, each with the targets as text.

        Raises:
            RecordError: the record cannot be written.
            UsageError: nothing is recorded that was asked for.
        """
        repo, environment = self.workspace.repo, self.workspace.environment
        head = repo.head()
        if self.record is None and head is not None:
            self.ensure_record(Base("revision", "HEAD", head.tree, ""), self.rules(self.known_catalog()))
        record = self.record
        tree = repo.empty_tree if record is None else record.tree
        changes = tuple(Change(path, None, entry) for path, entry in self.tracked.files(tree))
        plan = self.plan(ChangeSet(Base("empty", "", None, ""), Desired("revision", "", tree), changes))
        found: dict[bytes, set[str]] = {}
        catalog, keys = self.rules(self.known_catalog()).catalog, PartitionKeys(None)
        for target in plan.targets:
            # What is above it need not be asked for: nothing is made.
            wanted = is_wanted(target.target, self.wishes.narrowing, catalog, keys)
            if (wanted or target.reason != NOT_ASKED) and not target.settles:
                for path in target.paths:
                    found.setdefault(path, set()).add(target.target.text)
        forgotten = {path: frozenset(targets) for path, targets in found.items()}
        if record is None or not forgotten:
            if self.wishes.narrowing.paths:
                self.require_files(tree, self.wishes.narrowing.paths)
            raise UsageError(
                f"nothing that was asked for is recorded for '{environment}'",
                "`raw-trigger explain PATH` says what is made from a file, and what is recorded of it",
            )
        learnt = {path: Learnt.unknown(names) for path, names in forgotten.items()}
        if not self._record(Results(record.tree, learnt), only_on=record.tree):
            raise _moved()
        return forgotten


class _Told:
    """Takes what the launcher tells of a plan."""

    def __init__(self, on_target: Callable[[TargetOutcome], None]) -> None:
        self._on_target = on_target
        self.outcomes: dict[Target, TargetOutcome] = {}
        self.times: dict[Target, datetime] = {}
        self.batches: set[int] = set()

    def finished(self, outcome: TargetOutcome) -> None:
        """Takes the outcome of a target."""
        self.outcomes[outcome.target] = outcome
        self.times[outcome.target] = datetime.now(timezone.utc)
        self._on_target(outcome)

    def fates(self, plan: Plan) -> dict[Target, Fate]:
        """Returns the fates of the targets without an outcome: some of a begun batch may have been made."""
        return {one.target: "broken" if one.batch in self.batches else "not made" for one in plan.actionable}


def _is_about(plan: Plan, before: Record | None, now: str | None) -> bool:
    """Whether the plan was made with the recorded tree that there is now."""
    made_with = None if before is None else before.tree
    return now is not None and made_with == now and (plan.base.kind != "recorded" or plan.base.oid == now)


def _fates(outcomes: Mapping[Target, TargetOutcome]) -> dict[Target, Fate]:
    return {target: fate_of(outcome) for target, outcome in outcomes.items()}


def _are_whole(rules: str | None) -> bool:
    return rules is not None and tells_catalog(rules)


def _moved() -> UsageError:
    return UsageError("the record was moved by another command meanwhile", "run it again")
