"""One job of a CI workflow: what it compares, does, and leaves to the next one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from raw_trigger.adopt import ensure_record
from raw_trigger.ci import documents, handover, matrix
from raw_trigger.ci.comparison import Comparison, Request, compare
from raw_trigger.ci.event import read_event
from raw_trigger.content.counting import FILES_LIMIT
from raw_trigger.documents import read_bytes
from raw_trigger.dvc.pointer_files import PointerFiles
from raw_trigger.dvc.tracked import Tracked
from raw_trigger.errors import GitError, LedgerError, RecordError, UsageError
from raw_trigger.launch.base import Launcher
from raw_trigger.mapping.formats import kind_of
from raw_trigger.model.changes import Base, show
from raw_trigger.model.outcome import Outcome, judged
from raw_trigger.model.plan import Plan
from raw_trigger.model.record import EVERY, Launch, Learnt, Results
from raw_trigger.model.text import sample
from raw_trigger.planner import Planner, Wishes
from raw_trigger.record import origin as shared
from raw_trigger.record import tree as recorded_tree
from raw_trigger.render import words
from raw_trigger.repo import diff, publishing
from raw_trigger.repo.fetching import REMOTE, Origin
from raw_trigger.revisions import recorded
from raw_trigger.trigger import Listener, Trigger
from raw_trigger.workspace.workspace import Workspace

FACE = "ci"
_TRIES = 3
"""Times that what is recorded may turn out to be another run's."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """Says what the job did.

    Attributes:
        plan: A plan without changes if there was nothing to do; the comparison's ``reason`` says why.
        missing: Sentences about batches that left no results.
        unplanned: There is no plan to record the results of.
        comment: The comment that another step left for the pull request.
    """

    comparison: Comparison
    plan: Plan
    outcome: Outcome | None = None
    batches: Sequence[matrix.Batch] = ()
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unplanned: bool = False
    comment: handover.Comment | None = None

    @property
    def failed(self) -> bool:
        """Says whether something was left undone."""
        ran_badly = self.outcome is not None and self.outcome.status in ("failed", "partial")
        return ran_badly or self.unplanned or bool(self.missing or self.plan.errors)


def run_job(
    workspace: Workspace,
    request: Request,
    environ: Mapping[str, str],
    wishes: Wishes,
    launcher: Launcher,
    *,
    on_comparison: Callable[[Comparison], None],
    listener: Listener,
) -> JobResult:
    """Does what the job was asked for.

    Args:
        on_comparison: Called with what is compared, and why, before anything is planned.

    Raises:
        RawTriggerError: the job cannot find out what to do, or cannot do it.
    """
    if workspace.config.launcher == "graphql" and workspace.config.dagster.files == "here":
        raise UsageError(
            "`files: here` says that the deployment reads this disk, and this one is a runner's",
            "say `files: commit` under `dagster:` in raw-trigger.yaml, and deploy what is pushed",
        )
    if request.step == "fetch":
        _handover_file(workspace).unlink(missing_ok=True)
    if request.step == "work":
        found = _handed(workspace, request, environ)
    else:
        found = compare(workspace, request, environ)
    if request.step == "publish":
        return _published(found, request)
    on_comparison(found)
    if request.step == "fetch":
        return _fetched(found, request, wishes)
    if found.base is None:
        # Later jobs read the plan file in this case too.
        if request.mode == "plan":
            _write_plan(request.plan_file, nothing(found), None, (), None)
        return JobResult(found, nothing(found), None if request.mode == "plan" else Outcome("nothing"))
    if request.mode == "record":
        return _record(found, request)
    if request.step == "all" and request.batch is None:
        found = _begun(found, request, wishes)
    planner = _planner(found, request, wishes)
    planner.warnings += found.warnings
    if request.mode == "plan":
        return _plan(found, planner, request, listener)
    return _run(found, planner, request, launcher, listener)


def nothing(found: Comparison) -> Plan:
    """Returns a plan without changes."""
    base = found.base or Base("empty", "nothing", None, found.reason)
    return Plan(found.workspace.environment, base, found.desired)


def _planner(found: Comparison, request: Request, wishes: Wishes) -> Planner:
    planner = Planner(found.workspace, wishes)
    planner.obtain = partial(_obtain, found, request)
    planner.launch = found.launch
    planner.checks_instance = False  # a runner's instance may be thrown away with it
    return planner


# In steps of their own


def _fetched(found: Comparison, request: Request, wishes: Wishes) -> JobResult:
    """Fetches everything for the next step, which has no token, and hands the plan's inputs on to it."""
    repo = found.workspace.repo
    head = repo.head()
    assert head is not None
    assert head.commit is not None
    if found.base is not None and request.mode != "record" and request.batch is None:
        found = _begun(found, request, wishes)
    handed = handover.Handover(
        head.commit,
        found.workspace.environment,
        found.base,
        found.desired,
        found.reason,
        found.unrecorded,
        found.only,
        found.warnings,
        found.launch,
    )
    handover.write(handed, _handover_file(found.workspace))
    return JobResult(found, nothing(found))


def _handed(workspace: Workspace, request: Request, environ: Mapping[str, str]) -> Comparison:
    """Returns the comparison as the step that fetches found it."""
    handed = handover.read(_handover_file(workspace), workspace.repo, workspace.roots)
    return Comparison(
        read_event(environ, base=request.base, head=request.head),
        replace(workspace, environment=handed.environment),
        handed.base,
        handed.desired,
        handed.reason,
        handed.unrecorded,
        handed.only,
        handed.warnings,
        handed.launch,
    )


def _published(found: Comparison, request: Request) -> JobResult:
    """Publishes the results of the step before, which has no token."""
    workspace = found.workspace
    file = _handover_file(workspace)
    handed = handover.read(file, workspace.repo, workspace.roots)
    told: list[str] = []
    if handed.results is not None:
        if handed.environment != workspace.environment or not found.records:
            raise UsageError(
                f"what ran is for the environment '{handed.environment}', and this step records "
                + (f"'{workspace.environment}'" if found.records else f"nothing: {found.unrecorded}"),
                "give the same --environment and --base to each step",
            )
        told = _publish(found, request, [handed.results])
    file.unlink()
    return JobResult(found, nothing(found), warnings=tuple(told), comment=handed.comment)


def _handover_file(workspace: Workspace) -> Path:
    return handover.place(workspace.repo, workspace.config.folder)


def leave_comment(found: Comparison, comment: handover.Comment) -> None:
    """Leaves the comment to the step that has the token."""
    _leave_to_publish(found, comment=comment)


def _leave_to_publish(found: Comparison, **known: Any) -> None:
    workspace = found.workspace
    handover.leave(_handover_file(workspace), workspace.repo, workspace.roots, **known)


# The work


def _plan(found: Comparison, planner: Planner, request: Request, listener: Listener) -> JobResult:
    assert found.base is not None
    plan = planner.plan(planner.detect(found.base, found.desired, found.only))
    plan = _counted(found, planner, request, plan)
    listener.planned(plan)
    batches: Sequence[matrix.Batch] = ()
    if request.most is not None:
        catalog = planner.catalog.known() if planner.wishes.use_catalog and plan.changes else None
        batches = matrix.assign(plan, request.most, _seconds(found.workspace), catalog=catalog)
        if not batches and not planner.wishes.use_catalog and _has_to_look(found, planner):
            batches = (matrix.LOOK,)
    if found.launch is not None and not plan.pending and not batches:  # no job comes after this one
        _leave_nothing(found, planner, request)
        found = replace(found, launch=None)
    _write_plan(request.plan_file, plan, None, batches, found.launch)
    return JobResult(found, plan, batches=batches, warnings=tuple(planner.warnings))


def _has_to_look(found: Comparison, planner: Planner) -> bool:
    """Whether only who loads the project can tell if something is pending.

    An asset may be new in the code. Or nobody knows what some target reflects, which may be one further
    downstream of a file than the file's rules tell.
    """
    record = planner.record
    if not found.records or record is None:
        return False
    return record.code != planner.code(found.desired) or bool(record.in_doubt(planner.workspace.roots))


def _counted(found: Comparison, planner: Planner, request: Request, plan: Plan) -> Plan:
    """Returns the plan with the counts of rows."""
    _obtain_tables(found, request, plan)
    return planner.counted(plan)


def _obtain_tables(found: Comparison, request: Request, plan: Plan) -> None:
    """Fetches a few old contents of tables that a shallow clone lacks."""
    tables = [p.change for p in plan.changes if kind_of(show(p.change.path)) is not None][:FILES_LIMIT]
    old = [change.old.oid for change in tables if change.old is not None and change.old.content == "blob"]
    if old:
        _obtain(found, request, old)


def _obtain(found: Comparison, request: Request, oids: list[str]) -> None:
    """Fetches contents that a shallow clone lacks.

    Without them rows are not counted, or all of them count as changed.
    """
    origin = Origin(publishing.connected(found.workspace.repo, REMOTE, request.token))
    with suppress(GitError):
        origin.fetch_blobs(oids)


def _run(
    found: Comparison,
    planner: Planner,
    request: Request,
    launcher: Launcher,
    listener: Listener,
) -> JobResult:
    assert found.base is not None
    only, number = found.only, None
    warnings: list[str] = planner.warnings
    if request.batch is not None:
        text = _read(request.plan_file)
        _require_same(found, documents.read_plan(text, request.plan_file.name), request.plan_file.name)
        assigned = matrix.read_assignment(text)
        number = matrix.number_of(request.batch, assigned)
        _require_own(found, request, assigned, number)
        planner.launch = assigned.launch
        whole = planner.plan(planner.detect(found.base, found.desired, only))
        catalog = planner.catalog.known() if whole.changes else None
        only = matrix.share(whole, assigned, number, catalog=catalog)
    outcome: Outcome | None = None
    trigger = Trigger(planner, records=found.records)
    with trigger.planned(
        found.base, found.desired, face=FACE, only=only, waiting=listener.say, ready=launcher.ready
    ) as made:
        plan = _counted(found, planner, request, made)
        listener.planned(plan)
        try:
            outcome = judged(plan, trigger.run(plan, launcher, face=FACE, on_target=listener.finished))
        finally:
            # What had succeeded before a failure, or before the job was cancelled, is not to be lost.
            if trigger.results is None and found.launch is not None and not trigger.begun:
                _leave_nothing(found, planner, request)
            if number is not None:
                _leave(request, documents.Part(number, plan, outcome, trigger.results))
            elif trigger.results is not None and request.step == "work":
                _leave_to_publish(found, results=trigger.results)
            elif trigger.results is not None:
                warnings += _publish(found, request, [trigger.results])
    if number is None:
        _write_plan(request.plan_file, plan, outcome, (), None)
    return JobResult(found, plan, outcome, warnings=tuple(dict.fromkeys(warnings)))


def _require_own(found: Comparison, request: Request, assigned: matrix.Assignment, number: int) -> None:
    """Raises an error where another workflow has begun meanwhile to make something from the batch's files.

    What this batch made would come last, and who records it might not know that. It leaves that nothing ran.

    Raises:
        RecordError: one has.
    """
    record = recorded_tree.read(found.workspace.repo, found.workspace.environment) if found.records else None
    mark = None if record is None or assigned.launch is None else record.launches.get(assigned.launch)
    if record is None or mark is None:  # its own last job has recorded
        return
    own = [path for path, batch in assigned.numbers.items() if batch == number]
    taken = [words.printable(path) for path in own if path not in mark.paths]
    if taken:
        results = Results(record.tree, launch=assigned.launch)
        _leave(request, documents.Part(number, nothing(found), Outcome("failed"), results))
        raise RecordError(
            f"a workflow that began later makes what is made from {sample(taken)}",
            "let it end; if this is its branch's last commit, run all jobs of this workflow again then",
        )


def _begun(found: Comparison, request: Request, wishes: Wishes) -> Comparison:
    """Records on origin that nobody knows what reflects the changed files until the launch is over.

    So whatever fails, is cancelled or killed is still to do then. The project's code is not asked what is
    made from them. Where nothing was recorded, the base of the event is recorded with it, unless another run
    was the first: then what that one has recorded is the base.
    """
    launch = str(uuid.uuid4())
    for _ in range(_TRIES):
        assert found.base is not None
        planner = _planner(found, request, replace(wishes, use_catalog=False))
        plan = planner.plan(planner.detect(found.base, found.desired, found.only))
        if request.step == "fetch":  # only this step can
            _obtain_tables(found, request, plan)
        changed = [one.change.path for one in plan.changes if one.disposition != "ignored"]
        known = planner.record
        looks = not changed and request.mode == "plan" and _has_to_look(found, planner)
        if not found.records or (known is not None and not changed and not looks):
            return found
        # The file's rules alone: the project's code is not asked.
        ensure_record(planner, found.base, planner.rules(None))
        assert planner.record is not None
        now = datetime.now(timezone.utc).isoformat()
        begun = shared.begin(
            found.workspace.repo,
            found.workspace.environment,
            REMOTE,
            launch,
            Launch(dict.fromkeys(changed, frozenset({EVERY})), FACE, now),
            None if known is not None else planner.record.tree,
            pointer_files=partial(PointerFiles, roots=found.workspace.roots),
            token=request.token,
        )
        found = replace(found, warnings=(*found.warnings, *_published_as(found, begun)))
        if begun.status != "done":
            return found
        found = replace(found, launch=launch if changed or looks else None)
        base = recorded(found.workspace.repo, found.workspace.environment)
        if known is not None or base is None or _same_files(found, base):
            return found
        found = replace(found, base=replace(base, reason=found.reason))
    return found


def _leave_nothing(found: Comparison, planner: Planner, request: Request) -> None:
    """Takes back that a launch was begun which has not come to anything."""
    if planner.record is None:
        return
    results = Results(planner.record.tree, launch=found.launch)
    if request.step == "work":
        _leave_to_publish(found, results=results)
    else:
        planner.warnings += _publish(found, request, [results])


def _same_files(found: Comparison, known: Base) -> bool:
    """Whether what is recorded is what the event compares with: no other run was the first."""
    repo, base = found.workspace.repo, found.base
    assert base is not None
    assert known.oid is not None
    watched = Tracked(repo, found.workspace.roots).watched(known.oid, base.oid)
    return not diff.between_trees(repo, base.oid or repo.empty_tree, known.oid, watched)


def _record(found: Comparison, request: Request) -> JobResult:
    if not request.plan_file.exists():
        return JobResult(found, nothing(found), unplanned=True, warnings=tuple(_first_record(found, request)))
    text = _read(request.plan_file)
    assigned = matrix.read_assignment(text)
    parts = []
    for file in sorted((request.results or Path()).glob("*.json")):
        parts.append(documents.read_part(_read(file), file.name, found.workspace.roots))
    planned = documents.read_plan(text, request.plan_file.name)
    _require_same(found, planned, request.plan_file.name)
    for part in parts:
        _require_same(found, part.plan, f"what batch {part.batch} left")
    plan, outcome = documents.united(planned, parts)
    # What has no outcome came to its end before anything ran.
    ended = {part.batch for part in parts if part.outcome is not None}
    missing = tuple(sorted(set(range(1, assigned.count + 1)) - ended))
    outcome = judged(plan, outcome or Outcome("nothing"), missing=bool(missing))
    warnings: list[str] = []
    results = [part.results for part in parts if part.results is not None]
    if found.records and found.base is not None and assigned.launch is not None:
        record = recorded_tree.read(found.workspace.repo, found.workspace.environment)
        # Somebody may have deleted it meanwhile: then it begins with what was planned with.
        trees = [one.planned_with for one in results] if record is None else [record.tree]
        if missing:  # what is new in the code may have been theirs
            results = [replace(one, code=None) for one in results]
        if trees:
            results.append(Results(trees[0], _unknown(planned, assigned, missing), assigned.launch))
            warnings = _publish(found, request, results)
    lost_words = _lost(missing, assigned.count)
    return JobResult(found, plan, outcome, missing=lost_words, warnings=tuple(warnings))


def _first_record(found: Comparison, request: Request) -> list[str]:
    """Records the event's base where nothing is recorded: the next event's would be this one's head."""
    if not found.records or found.base is None:
        return []
    planner = _planner(found, request, Wishes(use_catalog=False))
    if planner.record is not None:
        return []
    ensure_record(planner, found.base, planner.rules(None))
    return [] if planner.record is None else _publish(found, request, [Results(planner.record.tree)])


def _unknown(planned: Plan, assigned: matrix.Assignment, missing: Sequence[int]) -> dict[bytes, Learnt]:
    """What the batches without results leave unknown."""
    due = planned.due
    found = (path for path, number in assigned.numbers.items() if number in missing)
    return {path: Learnt.unknown(due.get(path) or [EVERY]) for path in found}


def _lost(missing: Sequence[int], count: int) -> tuple[str, ...]:
    """Returns sentences about batches that left no results."""
    if len(missing) == count > 1:
        return (f"None of the {count} batches left results: they failed, or were cancelled.",)
    return tuple(f"Batch {number} left no results: it failed, or was cancelled." for number in missing)


def _require_same(found: Comparison, plan: Plan, what: str) -> None:
    """Raises an error unless all steps are for one environment and commit: others would be recorded.

    Raises:
        UsageError: they are not.
    """
    own = found.workspace.environment
    if plan.environment != own:
        raise UsageError(
            f"{what} is for the environment '{plan.environment}', this job for '{own}'",
            "give the same --environment to each step",
        )
    commit, here = plan.desired.oid, found.desired.oid
    if None not in (commit, here) and commit != here:
        raise UsageError(
            f"{what} is for another commit, {(commit or '')[:12]}, than this job, {(here or '')[:12]}",
            "check the same commit out in each step, and hand on the files of this workflow's own jobs",
        )


def _publish(found: Comparison, request: Request, results: Sequence[Results]) -> list[str]:
    """Pushes the results of the runs; returns sentences about it.

    Raises:
        RawTriggerError: they cannot be pushed, although that should be possible.
    """
    if not found.records:
        return []
    workspace = found.workspace
    if found.only is not None and not any(one.is_about_targets for one in results):
        # The rules may be older than the recorded ones: it is as if others had recorded these meanwhile.
        results = [replace(one, rules_before=one.rules, code=None) for one in results]
    done = shared.publish(
        workspace.repo,
        workspace.environment,
        REMOTE,
        results,
        pointer_files=partial(PointerFiles, roots=workspace.roots),
        token=request.token,
    )
    told = _published_as(found, done)
    if not told and done.pending:
        named = sample([words.printable(path) for path in done.pending])
        told = [f"another run recorded something else of the same files, which stay pending: {named}"]
    return told


def _published_as(found: Comparison, done: shared.Publication) -> list[str]:
    """What is to be told of a publication.

    Raises:
        GitError: origin could not be reached.
    """
    if done.status == "unreachable":
        raise GitError(
            f"what was materialized could not be recorded on {REMOTE}: {done.words}",
            "the next run compares with the older record, and runs it again",
        )
    if done.status == "refused":
        return [
            f"what was materialized is not recorded: {REMOTE} does not let this job push "
            f"refs/raw-trigger/{found.workspace.environment} ({done.words}); give the job `contents: write`. "
            "Until then each event's own range is compared"
        ]
    return []


def _seconds(workspace: Workspace) -> dict[str, float]:
    """Returns how many seconds targets took lately, as far as the history knows."""
    from raw_trigger.bookkeeping import open_ledger

    try:
        return {target.text: took for target, took in open_ledger(workspace).durations().items()}
    except LedgerError:
        return {}


def _write_plan(
    file: Path, plan: Plan, outcome: Outcome | None, batches: Sequence[matrix.Batch], launch: str | None
) -> None:
    from raw_trigger.render.json import render

    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="ascii") as stream:
        told = documents.with_told(render(plan, outcome), plan)
        stream.writelines(matrix.with_matrix(told, batches, launch))


def _leave(request: Request, part: documents.Part) -> None:
    if request.results is None:
        return
    request.results.mkdir(parents=True, exist_ok=True)
    file = request.results / f"raw-trigger-{part.batch}.json"
    file.write_text(documents.write_part(part), encoding="ascii")


def _read(file: Path) -> bytes:
    try:
        return read_bytes(file)
    except ValueError as error:
        raise UsageError(f"{file} cannot be read: {error}", "plan fewer files in one workflow") from None
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}",
            "hand on the plan file that `raw-trigger ci --mode plan` wrote, as an artifact",
        ) from error
