"""Moves the record: by what a run came to, by a first record, and by word alone (adopt, forget)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from raw_trigger.dvc.pointer_files import PointerFiles
from raw_trigger.errors import UsageError
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.mapping.rules import RuleBook
from raw_trigger.model.changes import Base, Change, ChangeSet, Desired, Entry
from raw_trigger.model.plan import NOT_ASKED, Narrowing, Target
from raw_trigger.model.record import Learnt, Record, Results, edited_between
from raw_trigger.model.rules import agree
from raw_trigger.planner import Planner
from raw_trigger.planning.asked import is_wanted, path_filter
from raw_trigger.planning.plan import make_plan
from raw_trigger.record import moving
from raw_trigger.record import tree as recorded_tree
from raw_trigger.record.run import Fate, Run, feeding, pointers, settled
from raw_trigger.repo import diff
from raw_trigger.working_tree import DiskTree


def ensure_record(planner: Planner, base: Base, rules: RuleBook) -> None:
    """Records the event's own base as what the assets reflect, if nothing is recorded yet.

    Args:
        rules: Those in force: what is newly fed by edited ones is pending then.

    Raises:
        RecordError: the record cannot be written.
    """
    if planner.record is not None:
        return
    repo = planner.workspace.repo
    base_tree = base.oid or repo.empty_tree
    tree = recorded_tree.raw_tree(repo, base_tree, planner.tracked.watched(base_tree))
    data = planner.tracked.to_record(base_tree)
    moving.adopt(repo, planner.workspace.environment, tree, rules.describe(), None, data, planner.instance())
    planner.look_again()


def results_of(
    planner: Planner,
    record: Record,
    seen: Record,
    learnt: Mapping[bytes, Learnt],
    *,
    by: RuleBook,
    launch: str | None = None,
    made: Iterable[str] = (),
    code: str | None = None,
    in_flight: frozenset[str] = frozenset(),
) -> Results:
    """Returns what was learnt as results that can be put into the record.

    Args:
        record: What was planned with.
        seen: The same under the rules that are to be recorded.
        by: The rules that told what each path feeds. Where others are recorded, that is not everything.
        launch: Whose outcome it is; None: no launch's.
        made: The targets that the launch has made, as text.
        code: The project's code that the rules were read from; None: not known.
        in_flight: Targets of the launch, as text, that nothing was learnt of yet.
    """
    if not agree(by.describe(), seen.rules):
        learnt = {path: replace(one, targets=None) for path, one in learnt.items()}
    return Results(
        planned_with=record.tree,
        learnt=moving.kept_contents(planner.workspace.repo, learnt),
        launch=launch,
        made=dict.fromkeys(made, record.tree),
        rules_before=record.rules,
        rules=seen.rules,
        edited=edited_between(record, seen),
        code=code,
        in_flight=in_flight,
    )


def promote(planner: Planner, results: Results, *, only_on: str | None = None, assume: bool = False) -> bool:
    """Records results; returns whether they are in the record now.

    Args:
        only_on: The recorded tree that they are about; None: whatever is recorded by now.
        assume: Nothing ran: somebody said so.

    Raises:
        RecordError: the record cannot be written.
    """
    workspace = planner.workspace
    return moving.promote(
        workspace.repo,
        workspace.environment,
        results,
        pointer_files=PointerFiles(workspace.repo, workspace.roots),
        only_on=only_on,
        assume=assume,
    )


def record_made(planner: Planner, made: set[Target], before: Mapping[bytes, Entry]) -> None:
    """Records what targets reflect that were made just now, by rules that were not there yet then.

    Args:
        before: Paths, and what was there before the targets were made. What is another one now is left.

    Raises:
        RecordError: it cannot be written.
    """
    record = planner.record
    if record is None:
        return
    run = Run(DiskTree(planner, before.keys()), made)
    fates: dict[Target, Fate] = dict.fromkeys(made, "made")
    learnt = {
        path: one
        for path, one in run.after(fates).learnt.items()
        if path in before and before[path] == one.entry
    } | pointers(run.plan)
    rules = planner.known_rules()
    seen = planner.record_under(rules, record)
    promote(planner, results_of(planner, record, seen, learnt, by=rules))


def adopt(planner: Planner, tree: str, globs: tuple[str, ...] = ()) -> dict[bytes, frozenset[str]]:
    """Records a tree's raw files as materialized, without running anything.

    Args:
        tree: A tree or commit.
        globs: Only the paths that match one of them; everything else keeps what it had.

    Returns:
        The paths that the record changed in; with ``globs`` each with its targets.

    Raises:
        RecordError: the record cannot be written.
    """
    repo, environment = planner.workspace.repo, planner.workspace.environment
    rules = planner.rules(planner.catalog.known() if planner.wishes.use_catalog else None)
    old = repo.empty_tree if planner.record is None else planner.record.tree
    differ = diff.between_trees(repo, old, tree, planner.tracked.watched(old, tree))
    seen, moved = planner.tracked.changes(differ, old, tree)
    base, desired = Base("recorded", "", old, ""), Desired("revision", "", tree)
    changes = ChangeSet(base, desired, seen, pointers=moved)
    record = planner.record
    if record is not None:
        changes = planner.with_exceptions(changes, record, rules)
    if globs:
        if record is None:  # then nothing else counts as materialized
            ensure_record(planner, Base("empty", "", None, ""), rules)
        plan = make_plan(changes, rules, replace(planner.options(), narrowing=Narrowing(paths=globs)))
        fed = feeding(plan)
        chosen = {c.path: fed.get(c.path, frozenset()) for c in (p.change for p in plan.changes)}
        entries = {planned.change.path: planned.change.new for planned in plan.changes}
        done = {
            path: Learnt(entries[path], names, dict.fromkeys(names, entries[path]))
            for path, names in chosen.items()
        }
        with planner.feeding(changes, rules, record) as files:
            everything = make_plan(changes, rules, planner.options(), files=files, record=record)
        known = {p.change.path for p in everything.changes if p.disposition == "unchanged"}
        same = settled(everything, certain=False, sees_all=planner.sees_all())
        done |= {path: same[path] for path in (known & same.keys()) - done.keys()}
        done |= pointers(everything)
        now = planner.record
        assert now is not None
        results = results_of(planner, now, planner.record_under(rules, now), done, by=rules)
        if not promote(planner, results, only_on=now.tree, assume=True):
            raise _moved()
        return chosen
    new = recorded_tree.raw_tree(repo, tree, planner.tracked.watched(tree))
    data, told = planner.tracked.to_record(tree), rules.describe()
    if not moving.adopt(repo, environment, new, told, planner.record, data, planner.instance()):
        raise _moved()
    return {change.path: frozenset() for change in changes.changes}


def require_files(planner: Planner, tree: str, globs: tuple[str, ...]) -> None:
    """Raises an error where no raw file, recorded or of the tree, matches one of the globs.

    Raises:
        UsageError: none does.
    """
    wanted = path_filter(globs, planner.rules(None))
    for side in (tree, *(() if planner.record is None else (planner.record.tree,))):
        if any(wanted(path) for path, _ in planner.tracked.files(side)):
            return
    raise UsageError(
        f"no raw file matches {' or '.join(globs)}",
        "a glob is relative to a root or to the repository's top, and * stays inside one folder; "
        "`FOLDER/**` is all that is in one",
    )


def forget(planner: Planner) -> dict[bytes, frozenset[str]]:
    """Records that nobody knows what the targets reflect that are asked for: they are pending then.

    Returns:
        The recorded paths that they are made from, each with the targets as text.

    Raises:
        RecordError: the record cannot be written.
        UsageError: nothing is recorded that was asked for.
    """
    repo, environment = planner.workspace.repo, planner.workspace.environment
    head = repo.head()
    if planner.record is None and head is not None:
        ensure_record(planner, Base("revision", "HEAD", head.tree, ""), planner.known_rules())
    record = planner.record
    if record is not None:
        planner.require_instance(record)
    tree = repo.empty_tree if record is None else record.tree
    changes = tuple(Change(path, None, entry) for path, entry in planner.tracked.files(tree))
    plan = planner.plan(ChangeSet(Base("empty", "", None, ""), Desired("revision", "", tree), changes))
    found: dict[bytes, set[str]] = {}
    catalog, keys = planner.known_rules().catalog, PartitionKeys(None)
    for target in plan.targets:
        # What is above it need not be asked for: nothing is made.
        wanted = is_wanted(target.target, planner.wishes.narrowing, catalog, keys)
        if (wanted or target.reason != NOT_ASKED) and not target.settles:
            for path in target.paths:
                found.setdefault(path, set()).add(target.target.text)
    forgotten = {path: frozenset(targets) for path, targets in found.items()}
    if record is None or not forgotten:
        if planner.wishes.narrowing.paths:
            require_files(planner, tree, planner.wishes.narrowing.paths)
        raise UsageError(
            f"nothing that was asked for is recorded for '{environment}'",
            "`raw-trigger explain PATH` says what is made from a file, and what is recorded of it",
        )
    learnt = {path: Learnt.unknown(names) for path, names in forgotten.items()}
    if not promote(planner, Results(record.tree, learnt), only_on=record.tree):
        raise _moved()
    return forgotten


def _moved() -> UsageError:
    return UsageError("the record was moved by another command meanwhile", "run it again")
