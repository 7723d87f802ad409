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
from types import MappingProxyType
from typing import TYPE_CHECKING

from raw_trigger import state, unmade
from raw_trigger.errors import ProjectError, RawTriggerError, UsageError
from raw_trigger.feeding import Feeding, content_of, desired_paths
from raw_trigger.launch.base import Launcher, Order, Report
from raw_trigger.lock import left_behind, locked
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.mapping.rules import RuleBook, tells_catalog
from raw_trigger.model.changes import NOTHING, WORKTREE, Base, Change, ChangeSet, Desired, Entry, show
from raw_trigger.model.outcome import Outcome, TargetOutcome, summarize
from raw_trigger.model.plan import NOT_ASKED, FailedContents, Narrowing, Plan, Target
from raw_trigger.model.record import Assumptions, Results, Verdict
from raw_trigger.planning import is_wanted, made_from, make_plan, path_filter
from raw_trigger.project import Watching
from raw_trigger.promotion import pointers, promote
from raw_trigger.recording import Recorder, needed, settled, unsteady
from raw_trigger.repo import diff
from raw_trigger.repo.room import require_room
from raw_trigger.survey import Survey, Wishes
from raw_trigger.workspace import Workspace

if TYPE_CHECKING:
    from raw_trigger.bookkeeping import Bookkeeper
    from raw_trigger.model.history import Failure

Waiting = Callable[[str], None]
"""Told whom a command waits for."""


class Trigger(Survey):
    """Plans and runs in one workspace.

    Args:
        records: Whether what ran is recorded; else the run leaves no trace but in Dagster and the ledger.
        thorough: Whether to watch for what is read in every folder, however many there are.

    Attributes:
        warnings: What the user should be told at the end.
        unsteady: Those of them that are about files which changed while they were read.
        results: What the run came to, as it was recorded here; None if nothing was.
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
        self._records = records
        self._thorough = thorough

    @cached_property
    def _books(self) -> Bookkeeper:
        # Imported here: planning is in a hurry and keeps no books.
        from raw_trigger.bookkeeping import Bookkeeper

        return Bookkeeper(self.workspace, self.warnings.append)

    def failed(self) -> FailedContents:
        """What failed when it was last run."""
        return self._books.failed()

    def failures(self) -> Sequence[Failure]:
        """Why what failed when it was last run did so; nothing where finding that out takes its time."""
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
        options = Survey(self.workspace)._options()
        made: dict[Target, list[Target]] = {}

        def made_of(target: Target) -> list[Target]:
            asset = catalog.assets.get(target.asset)
            wanted = rules.below([target.asset]) | set(asset.execution_set if asset is not None else ())
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
        """One that does not try again what failed last time with the same content.

        Args:
            spared: Paths whose targets are tried again all the same.
        """
        failed = frozenset(one for one in self.failed() if one[1] not in spared)
        return self.narrowed(replace(self.wishes.narrowing, not_again=failed))

    def only_failed(self) -> Trigger:
        """One that tries again what failed last time, and nothing else."""
        return self.narrowed(replace(self.wishes.narrowing, failed=self.failed()))

    def narrowed(self, narrowing: Narrowing) -> Trigger:
        """Returns one that wants this of the plan."""
        other = Trigger(self.workspace, replace(self.wishes, narrowing=narrowing))
        other.warnings += self.warnings
        other._known, other._fresh = self._known, self._fresh
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
        waiting: Waiting = lambda _: None,
        ready: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> Iterator[Plan]:
        """The plan to be carried out inside the block: where something is to be done, under the
        environment's lock, and made after that was had and what was interrupted before is settled.

        Args:
            face: Who asks, for others to see.
            waiting: Told whom this waits for.
            ready: Entered for the block where something will be to do: see :meth:`Launcher.ready`.

        Raises:
            LockError: the lock was not had in time.
            RecordError: what is settled cannot be recorded.
        """
        from raw_trigger import settling

        plan = self._fetched(self.plan(self.detect(base, desired, only), launching=True), only)
        # Where a file was changed back after the interruption only the ledger knows that something is due.
        if not plan.actionable and not self._was_interrupted():
            yield plan
            return
        with locked(self.workspace.locks, self.workspace.environment, face, waiting):
            settling.settle(self, self.warnings.append)
            # Others were at work meanwhile, perhaps on the code too.
            self.look_again()
            if base.kind == "recorded" and self.record is not None:
                base = replace(base, oid=self.record.tree)
            soon = bool(plan.actionable) and self.wishes.use_catalog
            if soon:
                self.known_catalog()  # with the interpreter that it was read with it will be run
            with ready() if soon else nullcontext():
                yield self.plan(self.detect(base, desired, only), launching=True)

    def _fetched(self, plan: Plan, only: frozenset[bytes] | None) -> Plan:
        """The plan after the content that it lacks was fetched, where that is wanted."""
        missing = {path for planned in plan.changes for path in planned.absent}
        if not missing or not self.workspace.config.fetch:
            return plan
        from raw_trigger.repo.pulling import pull

        self.unfetched = pull(self.workspace.repo, self.tracked, missing, self._beside_python)
        return self.plan(self.detect(plan.base, plan.desired, only), launching=True)

    def _beside_python(self) -> Path | None:
        """The folder of the programs of the project's environment."""
        try:
            return Path(self.workspace.project.interpreter().command[0]).parent
        except ProjectError:
            return None

    def _was_interrupted(self) -> bool:
        """Whether a launch was cut off, as far as that can be told without asking a database elsewhere."""
        from raw_trigger import settling

        found = settling.has_interrupted(self.workspace)
        workspace = self.workspace
        return left_behind(workspace.locks, workspace.environment) if found is None else found

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
        nothing_to_run = settled(plan, certain=self._is_certain(), whole=self._sees_all())
        if not plan.actionable:
            if self._records and self.record is not None:
                # Without the environment's lock: whoever recorded something meanwhile knows better.
                with_record = plan.record or self.record
                self._promote(nothing_to_run, plan, only_on=with_record.tree)
            return Outcome("nothing")
        if self._records:
            require_room(self.workspace.repo)
            self.ensure_record(plan.base, self.rules(self.known_catalog()))
        started = time.monotonic()
        recorder: Recorder | None = None
        launch: str | None = None
        order: Order | None = None
        done: dict[Target, TargetOutcome] = {}
        told: dict[Target, datetime] = {}

        def prepare() -> Order:
            nonlocal recorder, launch, order
            # What the record was not asked about may be as recorded, and fail all the same.
            asked = [p.change.path for p in plan.changes if p.disposition == "planned"]
            further = asked if plan.record is None else ()
            recorder = self.recorder(further) if self._records else None
            order = self._order(plan, face)
            launch = self._books.begin(order, face)
            return order

        def finished(outcome: TargetOutcome) -> None:
            done[outcome.target] = outcome
            told[outcome.target] = datetime.now(timezone.utc)
            on_target(outcome)

        report = Report()
        problem: BaseException | None = None
        try:
            report = launcher.launch(prepare, finished)
            problem = report.problem
        except BaseException as error:
            problem = error
            raise
        finally:
            unopened = {} if recorder is None else self._learn(recorder, plan, done, nothing_to_run)
            if launch is not None:
                outcomes = tuple({**done, **unopened}.values())
                catalog = self.known_catalog()
                self._books.finish(
                    launch, outcomes, told=told, error=problem, log=report.log, catalog=catalog
                )
        if report.problem is not None:
            raise report.problem
        outcomes = self._outcomes(plan, done)
        self.warnings += self.unsteady
        if report.lacks and order is not None:
            failed = any(outcome.status != "success" for outcome in outcomes)
            self.warnings += unmade.warnings(report.lacks, order.fed, failed=failed)
        self._compare(outcomes)
        seconds = time.monotonic() - started
        return Outcome(summarize(outcomes), outcomes, report.run_ids, seconds, report.log)

    def _learn(
        self,
        recorder: Recorder,
        plan: Plan,
        done: Mapping[Target, TargetOutcome],
        nothing_to_run: Mapping[bytes, Verdict],
    ) -> dict[Target, TargetOutcome]:
        """Record what the run made; returns what succeeded and cannot have read its files, as failed."""
        unopened = self._unopened(plan, done)
        succeeded = {target for target, outcome in done.items() if outcome.status == "success"}
        succeeded -= unopened.keys()
        made = recorder.after(succeeded, _unmade(plan, succeeded) if plan.record is None else {})
        unsure = _with_refuted(made.unsure, plan, done)
        self._promote({**nothing_to_run, **made.verdicts}, plan, unsure, made.whole)
        self.unsteady += unsteady(made.moved, self.rules(self.known_catalog()).relative)
        return unopened

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
        """With nothing recorded yet, the event's own base is what the assets reflect.

        Args:
            rules: Those in force: what is newly fed by edited ones is pending then.

        Raises:
            RecordError: the record cannot be written.
        """
        if self.record is not None:
            return
        repo = self.workspace.repo
        base_tree = base.oid or repo.empty_tree
        tree = state.raw_tree(repo, base_tree, self.tracked.watched(base_tree))
        data = self.tracked.to_record(base_tree)
        state.adopt(repo, self.workspace.environment, tree, rules.describe(), None, data)
        self.look_again()

    def _promote(
        self,
        verdicts: Mapping[bytes, Verdict],
        plan: Plan,
        unsure: Mapping[bytes, frozenset[str]] = MappingProxyType({}),
        whole: Plan | None = None,
        *,
        only_on: str | None = None,
    ) -> None:
        seen = plan.record or self.record
        if plan.errors:  # rules that somebody still has to mend are not in force
            seen = self.record
        elif (
            seen is not None
            and (plan.actionable or self._known is not None or self._fresh is not None)
            and (plan.record is None or not _are_whole(seen.rules))
        ):
            rules = self.rules(self.known_catalog())
            seen = replace(self._by_todays(rules, seen), rules=rules.describe())
        made = promote(self, verdicts, whole or plan, seen, unsure, only_on=only_on)
        if made is not None and self.record is not None:
            first = {} if plan.base.kind == "recorded" else needed(plan)
            self.results = Results.of(self.record, seen, made, unsure, first)

    def _sees_all(self) -> bool:
        """Whether plans have everything that the configuration wants made from a path."""
        wanted = self.wishes.downstream
        return self.wishes.use_catalog and wanted in (None, self.workspace.config.downstream)

    def record_made(self, made: set[Target], before: Mapping[bytes, Entry]) -> None:
        """Record what targets reflect that were made just now, by rules that were not there yet then.

        Args:
            before: Paths, and what was there before the targets were made. What is another one now is left.

        Raises:
            RecordError: it cannot be written.
        """
        if self.record is None:
            return
        now = self.recorder(before.keys()).after(made)
        verdicts = {
            path: verdict
            for path, verdict in now.verdicts.items()
            if path not in now.unsure and path in before and before[path] == verdict.entry
        }
        seen = self._by_todays(self.rules(self.known_catalog()), self.record)
        promote(self, verdicts, now.whole, seen)

    def adopt(self, tree: str, globs: tuple[str, ...] = ()) -> dict[bytes, frozenset[str]]:
        """Record a tree's raw files as materialized, without running anything.

        Args:
            tree: A tree or commit.
            globs: Only the paths that match one of them; everything else keeps what it had.

        Returns:
            The paths that the record changed in; with ``globs`` each with its targets.

        Raises:
            RecordError: the record cannot be written.
        """
        repo, environment, roots = self.workspace.repo, self.workspace.environment, self.workspace.roots
        rules = self.rules(self.known_catalog() if self.wishes.use_catalog else None)
        old = repo.empty_tree if self.record is None else self.record.tree
        differ = diff.between_trees(repo, old, tree, self.tracked.watched(old, tree))
        seen, moved = self.tracked.changes(differ, old, tree)
        base, desired = Base("recorded", "", old, ""), Desired("revision", "", tree)
        changes = ChangeSet(base, desired, seen, pointers=moved)
        record = self.record
        if record is not None:
            changes = self._with_exceptions(changes, record)
        if globs:
            if record is None:  # then nothing else counts as materialized
                self.ensure_record(Base("empty", "", None, ""), rules)
            plan = make_plan(changes, rules, replace(self._options(), narrowing=Narrowing(paths=globs)))
            fed = needed(plan)
            chosen = {c.path: fed.get(c.path, frozenset()) for c in (p.change for p in plan.changes)}
            entries = {planned.change.path: planned.change.new for planned in plan.changes}
            done = {path: Verdict(entries[path], targets, targets) for path, targets in chosen.items()}
            with self.contents(changes, rules, record) as contents:
                everything = make_plan(changes, rules, self._options(), compare=contents, record=record)
            known = {p.change.path for p in everything.changes if p.disposition == "unchanged"}
            same = settled(everything, certain=False, whole=self._sees_all())
            done |= {path: same[path] for path in (known & same.keys()) - done.keys()}
            done |= pointers(everything)
            only_on = None if record is None else record.tree
            if not state.promote(repo, environment, done, roots=roots, only_on=only_on, assume=True):
                raise _moved()
            return chosen
        new, data = state.raw_tree(repo, tree, self.tracked.watched(tree)), self.tracked.to_record(tree)
        if not state.adopt(repo, environment, new, rules.describe(), self.record, data):
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
        """Record that nobody knows what the targets reflect that are asked for: they are pending then.

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
        if not state.promote(repo, environment, {}, unsure=forgotten, only_on=record.tree):
            raise _moved()
        return forgotten


def _unmade(plan: Plan, succeeded: Set[Target]) -> dict[bytes, frozenset[str]]:
    """Returns the planned paths with the targets that were to be made from them and were not."""
    found: dict[bytes, frozenset[str]] = {}
    for planned in plan.actionable:
        for path in () if planned.target in succeeded else planned.paths:
            found[path] = found.get(path, frozenset()) | {planned.target.text}
    return found


def _with_refuted(
    unsure: Mapping[bytes, frozenset[str]], plan: Plan, done: Mapping[Target, TargetOutcome]
) -> dict[bytes, frozenset[str]]:
    """Of which files nobody knows what the targets have read, with those whose checks failed."""
    found = dict(unsure)
    for planned in plan.targets:
        outcome = done.get(planned.target)
        for path in planned.paths if outcome is not None and outcome.refuted else ():
            found[path] = found.get(path, frozenset()) | {planned.target.text}
    return found


def _are_whole(rules: str | None) -> bool:
    return rules is not None and tells_catalog(rules)


def _moved() -> UsageError:
    return UsageError("the record was moved by another command meanwhile", "run it again")
