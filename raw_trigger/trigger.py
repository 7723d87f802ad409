"""Carries a plan out: launch, then record. Every face calls this; nothing here prints."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from raw_trigger import unmade
from raw_trigger.adopt import ensure_record, promote, results_of
from raw_trigger.content.deployed import commit_here
from raw_trigger.content.feeding import content_of
from raw_trigger.errors import ProjectError, RawTriggerError
from raw_trigger.launch.base import Launcher, Order, Report
from raw_trigger.ledger.owner import this_process
from raw_trigger.lock import locked
from raw_trigger.mapping.rules import RuleBook
from raw_trigger.model.changes import Base, ChangeSet, Desired, show
from raw_trigger.model.outcome import Outcome, TargetOutcome, summarize
from raw_trigger.model.plan import Plan, Target
from raw_trigger.model.record import Launch, Learnt, Record, Results
from raw_trigger.model.rules import tells_catalog
from raw_trigger.planner import Planner
from raw_trigger.project import Watching
from raw_trigger.record import moving
from raw_trigger.record.run import Fate, Run, fate_of, pointers, settled, unsteady
from raw_trigger.repo.room import require_room
from raw_trigger.working_tree import CommitTree, DiskTree

if TYPE_CHECKING:
    from raw_trigger.bookkeeping import Bookkeeper


@dataclass(frozen=True, slots=True)
class Listener:
    """Hears what goes on.

    Attributes:
        planned: Called with the plan before anything runs, unless it is empty.
        finished: Called with the outcome of every target.
        say: Called with one line: whom this waits for, or why something is done otherwise.
    """

    planned: Callable[[Plan], None] = lambda _: None
    finished: Callable[[TargetOutcome], None] = lambda _: None
    say: Callable[[str], None] = lambda _: None


class Trigger:
    """Carries the plans of a planner out, and moves the record.

    Args:
        records: Whether what ran is recorded; else the run leaves no trace but in Dagster and the ledger.
        thorough: Whether to watch for what is read in every folder, however many there are.

    Attributes:
        unsteady: The warnings about files which changed while they were read.
        results: What the run came to, as it was recorded here; None if nothing was.
        begun: Whether anything of a plan was launched.
    """

    def __init__(self, planner: Planner, *, records: bool = True, thorough: bool = False) -> None:
        self.planner = planner
        self.workspace = planner.workspace
        self.warnings = planner.warnings
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
        waiting: Callable[[str], None] = lambda _: None,
        ready: Callable[[], AbstractContextManager[None]] = nullcontext,
        patient: bool = False,
    ) -> Iterator[Plan]:
        """Yields the plan to be carried out inside the block.

        Where something is to be done, it is made under the environment's lock, after what was killed before
        is settled.

        Args:
            face: Who asks, for others to see.
            found: What was detected just now of these sides; None: that is done here.
            waiting: Told whom this waits for.
            ready: Entered for the block where something will be to do: see :meth:`Launcher.ready`.
            patient: Whether to wait for the ends of submitted runs that make something of the plan.

        Raises:
            LockError: the lock was not had in time.
            RecordError: what is settled cannot be recorded.
        """
        from raw_trigger import launches

        planner = self.planner
        if found is None:
            found = planner.detect(base, desired, only)
        plan = self._fetched(planner.plan(found, launching=True), only)
        if not plan.actionable and not plan.held:
            yield plan
            return
        waits: list[str] = []

        def wait(whom: str) -> None:
            waits.append(whom)
            waiting(whom)

        with locked(self.workspace.locks, self.workspace.environment, face, wait):
            before, soon = planner.record, planner.wishes.use_catalog
            # Others were at work meanwhile, perhaps on the code too. What was read before says that they are.
            planner.look_again(at_code=bool(waits))
            launches.settle(planner, self.warnings.append)
            record = planner.record
            now = not waits and not plan.held
            if now and planner.catalog.is_cached and _is_about(plan, before, record):
                # Or nobody was, and the plan is of just now: loading the project takes longer than the rest.
                with ready() if soon else nullcontext():
                    yield plan
                return
            if patient and plan.held:
                with suppress(ProjectError):  # what is not known is pending
                    launches.await_submitted(planner, self.warnings.append, waiting)
                record = planner.record
            planner.look_again()
            if base.kind == "recorded" and record is not None:
                base = replace(base, oid=record.tree)
            if soon:
                planner.catalog.known()  # with the interpreter that it was read with it will be run
            with ready() if soon else nullcontext():
                yield planner.plan(planner.detect(base, desired, only), launching=True)

    def _fetched(self, plan: Plan, only: frozenset[bytes] | None) -> Plan:
        """The plan after the content that it lacks was fetched, where that is wanted."""
        missing = {path for planned in plan.changes for path in planned.absent}
        if not missing or not self.workspace.config.fetch:
            return plan
        from raw_trigger.content.pulling import pull

        self.planner.unfetched = pull(self.workspace.repo, self.planner.tracked, missing, self._beside_python)
        return self.planner.plan(self.planner.detect(plan.base, plan.desired, only), launching=True)

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
        nothing_to_run = settled(
            plan, certain=self.planner.catalog.is_certain, sees_all=self.planner.sees_all()
        )
        if not plan.actionable:
            if self._records and self.planner.record is not None:
                # Without the environment's lock: whoever recorded something meanwhile knows better.
                with_record = plan.record or self.planner.record
                learnt = {**pointers(plan), **nothing_to_run}
                self._promote(learnt, plan, launch=self.planner.launch, only_on=with_record.tree)
            return Outcome("nothing")
        if self._records:
            require_room(self.workspace.repo)
            ensure_record(self.planner, plan.base, self.planner.known_rules())
        started = time.monotonic()
        launch = self.planner.launch or str(uuid.uuid4())
        run: Run | None = None
        order: Order | None = None
        told = _Told(on_target)

        def prepare() -> Order:
            nonlocal run, order
            if self._records:
                run = self._begin(plan, launch, face, submitted=launcher.submits)
            order = self.order(plan, face, launch)
            self._books.begin(launch, order, face, submitted=launcher.submits)
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
                moved = self._learn(run, plan, launch, told, known, nothing_to_run)
                touched = [target for target in known if target.text in moved]
                known |= {target: replace(known[target], unsteady=True) for target in touched}
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
        outcomes = self._outcomes(plan, known)
        self.warnings += (*self.unsteady, *report.warnings)
        if report.lacks and order is not None:
            failed = any(outcome.status != "success" for outcome in outcomes)
            self.warnings += unmade.warnings(report.lacks, order.fed, failed=failed)
        self._compare(outcomes)
        seconds = time.monotonic() - started
        return Outcome(summarize(outcomes), outcomes, report.run_ids, seconds, report.log)

    def _begin(self, plan: Plan, launch: str, face: str, *, submitted: bool) -> Run:
        """Looks at the disk, and records that nobody knows what the targets reflect until this is over."""
        # What the record was not asked about may be as recorded, and fail all the same.
        asked = [p.change.path for p in plan.changes if p.disposition == "planned"]
        project = self.workspace.project
        commit = None if project.commit is None else commit_here(self.workspace.repo, project.commit)
        further = asked if plan.record is None else ()
        tree = (
            DiskTree(self.planner, further) if commit is None else CommitTree(self.planner, commit, further)
        )
        run = Run(tree, [one.target for one in plan.actionable])
        self.begun = True
        now = datetime.now(timezone.utc).isoformat()
        top = str(self.workspace.repo.top) if project.files == "here" else ""
        mark = Launch(
            run.unknown,
            face,
            now,
            this_process(),
            submitted=submitted,
            top=top,
            commit=commit or "",
            moment=tree.moment,
        )
        moving.begin(self.workspace.repo, self.workspace.environment, launch, mark, self.planner.instance())
        return run

    def _learn(
        self,
        run: Run,
        plan: Plan,
        launch: str,
        told: _Told,
        known: Mapping[Target, TargetOutcome],
        nothing_to_run: Mapping[bytes, Learnt],
    ) -> frozenset[str]:
        """Record what the run taught; returns the targets, as text, whose files were touched meanwhile."""
        fates = told.fates(plan, known)
        after = run.after(fates)
        learnt = {**pointers(run.plan), **nothing_to_run, **after.learnt}
        made = [target.text for target, fate in fates.items() if fate != "not made"]
        submitted = frozenset(one.target.text for one in known.values() if one.status == "submitted")
        self._promote(learnt, plan, launch=launch, made=made, in_flight=submitted)
        self.unsteady += unsteady(after.moved, self.planner.known_rules().relative)
        return frozenset[str]().union(*after.moved.values())

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
        from raw_trigger import checkouts, reads

        if not any(outcome.reads is not None for outcome in done.values()):
            return {}
        top, catalog = self.workspace.repo.top, self.planner.catalog.known()
        found = reads.unopened(
            plan, done, self.planner.rules(catalog), lambda path: checkouts.is_plain(top, path)
        )
        self.warnings += [*checkouts.others(catalog.code, top), *reads.unopened_warnings(found)]
        return {
            target: replace(done[target], status="failed", error=reads.unread(paths))
            for target, paths in found.items()
        }

    def _compare(self, outcomes: tuple[TargetOutcome, ...]) -> None:
        """Warn of what was read and feeds nothing of it by the rules, and keep what was read."""
        from raw_trigger import reads

        repo, readings = self.workspace.repo, reads.readings(outcomes)
        if readings:
            reads.remember(self.workspace.project.cache_dir, readings)
        if self._thorough:  # whoever asked for that is told the whole of it
            return
        made = (outcome for outcome in outcomes if outcome.status == "success")
        found = reads.missed(made, self.planner.known_rules(), self.planner.options().downstream)
        with suppress(RawTriggerError):  # what ran is recorded by now
            self.warnings += reads.warnings(found, lambda paths: reads.visible(repo, paths))

    def order(self, plan: Plan, face: str, launch: str) -> Order:
        """Returns what a launcher needs to carry the plan out.

        Args:
            launch: The launch's id.
        """
        workspace, catalog = self.workspace, self.planner.catalog.known()
        nothing = ChangeSet(plan.base, plan.desired, ())
        rules = self.planner.rules(catalog)
        changed = {planned.change.path: planned.change for planned in plan.changes}
        with self.planner.feeding(nothing, rules) as feeding:
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
        tags = {**self._tags(plan, face), "raw_launch": launch}
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

    def _promote(
        self,
        learnt: Mapping[bytes, Learnt],
        plan: Plan,
        *,
        launch: str | None = None,
        made: Iterable[str] = (),
        only_on: str | None = None,
        in_flight: frozenset[str] = frozenset(),
    ) -> None:
        planner, record = self.planner, self.planner.record
        assert record is not None
        has_catalog = planner.catalog.is_read
        by, seen = planner.rules(planner.catalog.known() if has_catalog else None), plan.record or record
        # Of what was made by today's rules, those that are recorded do not know what it was made from.
        if launch is None and plan.errors and _has_to_be_mended(plan, by, record):
            seen = record
        elif (plan.actionable or has_catalog) and not (
            plan.record is not None and planner.wishes.use_catalog and _are_whole(seen.rules)
        ):
            by = planner.known_rules()
            seen = planner.record_under(by, record)
        read = planner.catalog.is_read and _are_whole(seen.rules) and not plan.errors
        code = planner.code(plan.desired) if read else None
        results = results_of(
            planner, record, seen, learnt, by=by, launch=launch, made=made, code=code, in_flight=in_flight
        )
        if promote(planner, results, only_on=only_on):
            self.results = results


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

    def fates(self, plan: Plan, known: Mapping[Target, TargetOutcome]) -> dict[Target, Fate]:
        """Returns the fates of the plan's targets that are known: what is submitted has none yet.

        Without an outcome, some of a begun batch may be made.
        """
        begun = self.batches
        untold: dict[Target, Fate] = {
            one.target: "broken" if one.batch in begun else "not made" for one in plan.actionable
        }
        told = {
            target: fate_of(outcome) for target, outcome in known.items() if outcome.status != "submitted"
        }
        return {target: fate for target, fate in untold.items() if target not in known} | told


def _is_about(plan: Plan, before: Record | None, now: Record | None) -> bool:
    """Whether the plan was made with the recorded tree that there is now."""
    if before is None or now is None or before.tree != now.tree:
        return False
    return plan.base.kind != "recorded" or plan.base.oid == now.tree


def _has_to_be_mended(plan: Plan, rules: RuleBook, record: Record) -> bool:
    """Whether these rules know nothing of a file that is an error now, and that the recorded ones knew."""
    errors = [one.change.path for one in plan.changes if one.disposition == "unmapped" and not one.targets]
    return record.rules is not None and rules.were_mapped(RuleBook.described(record.rules), errors)


def _are_whole(rules: str | None) -> bool:
    return rules is not None and tells_catalog(rules)
