"""What a run taught: from which contents its targets were made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from raw_trigger.model.changes import Base, Change, ChangeSet, Entry
from raw_trigger.model.outcome import CheckResult, TargetOutcome
from raw_trigger.model.plan import Narrowing, Options, Plan, Target
from raw_trigger.model.record import UNKNOWN, Record, Reflected
from raw_trigger.planning.plan import make_plan
from raw_trigger.record.run import Fate, Run, fate_of, settled
from tests.unit.conftest import DAILY, book, catalog, changes, rule

NOW = datetime(2026, 1, 10, 12, 0, tzinfo=timezone.utc).timestamp()
ASSETS = catalog(
    a={},
    b={},
    child={"parents": ("a", "b")},
    grandchild={"parents": ("child",)},
    days={"partitions": DAILY},
    total={"parents": ("days",)},
)
BOOK = book(
    rule("{name}.csv", "{name}"),
    rule("days/{d}", "days", partition="{d}"),
    assets=ASSETS,
)
OPTIONS = Options("local", downstream="all", now=NOW)
A, B = b"data/1_raw/a.csv", b"data/1_raw/b.csv"
ELSE = Entry("100644", "else")


class Tree:
    """A working tree of which all is known, before a run and after it."""

    def __init__(
        self, record: Record, *seen: ChangeSet, touched: Mapping[bytes, Change] | None = None
    ) -> None:
        self.record = record
        self.seen = list(seen)
        self.written = touched or {}

    def now(self) -> ChangeSet:
        return self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]

    def touched(self, seen: ChangeSet) -> Mapping[bytes, Change]:
        return self.written

    def plan(self, seen: ChangeSet, made: Collection[Target]) -> Plan:
        return make_plan(seen, BOOK, OPTIONS, record=self.record, made=made)

    def below(self, target: Target) -> Callable[[Target], bool]:
        return target.__eq__


def recorded(*words: str) -> ChangeSet:
    return replace(changes(*words), base=Base("recorded", "", "tree", ""))


SEEN = recorded("~a.csv", "~b.csv")
OLD = {change.path: change.old for change in SEEN.changes}
NEW = {change.path: change.new for change in SEEN.changes}


def learnt(tree: Tree, **fates: Fate) -> dict[bytes, Reflected]:
    """What is known after a run of these targets, in words: of the file before and after, or else."""
    targets = {Target(name): fate for name, fate in fates.items()}
    found = Run(tree, targets.keys()).after(targets).learnt
    return {path: one.reflects for path, one in found.items()}


CHAINS: Mapping[str, tuple[Mapping[bytes, Mapping[str, str]], Mapping[str, Fate], str, str]] = {
    "all": (
        {},
        {"a": "made", "b": "made", "child": "made", "grandchild": "made"},
        "a child grandchild",
        "b child grandchild",
    ),
    # b still has its old content, and so have they.
    "one parent": (
        {},
        {"a": "made", "child": "made", "grandchild": "made"},
        "a child grandchild",
        "=child =grandchild",
    ),
    # b has another one, which is recorded of b alone.
    "the other parent has a third": ({B: {"b": "else"}}, {"a": "made", "child": "made"}, "a child", "!child"),
    # b was made from it before.
    "the other parent has it": ({B: {"b": "new"}}, {"a": "made", "child": "made"}, "a child", "child"),
    "nobody knows of the other parent": (
        {B: {"b": "?"}},
        {"a": "made", "child": "made"},
        "a child",
        "?child",
    ),
    "no parent": ({}, {"grandchild": "made"}, "=grandchild", "=grandchild"),
    "the parent is broken": ({}, {"a": "broken", "child": "made"}, "?a ?child", "=child"),
    "the parent fails": ({}, {"a": "not made", "b": "made"}, "", "b"),
    "one is broken": ({}, {"a": "broken", "b": "made"}, "?a", "b"),
    "it fails with what it is recorded with": (
        {A: {"a": "new", "child": "new", "grandchild": "new"}},
        {"a": "not made", "b": "not made"},
        "?a",
        "",
    ),
}


def told(path: bytes, words: str) -> Reflected:
    """``=`` what the target reflected before, ``!`` another one, ``?`` unknown, else what is on disk."""
    values = {"=": OLD[path], "!": ELSE, "?": UNKNOWN}
    return {word.lstrip("=!?"): values.get(word[0], NEW[path]) for word in words.split()}


@pytest.mark.parametrize(("exceptions", "fates", "of_a", "of_b"), CHAINS.values(), ids=CHAINS)
def test_what_is_made_of_what(
    exceptions: Mapping[bytes, Mapping[str, str]], fates: Mapping[str, Fate], of_a: str, of_b: str
) -> None:
    contents = {"else": lambda _: ELSE, "?": lambda _: UNKNOWN, "new": NEW.get}
    kept = {
        path: {name: contents[word](path) for name, word in names.items()}
        for path, names in exceptions.items()
    }
    found = learnt(Tree(Record("tree", kept), SEEN), **fates)
    assert (found.get(A, {}), found.get(B, {})) == (told(A, of_a), told(B, of_b))


def test_a_child_of_two_parents_with_different_contents_reflects_none() -> None:
    """In a diamond: one way down was made anew, the other was not."""
    assets = catalog(
        top={}, left={"parents": ("top",)}, right={"parents": ("top",)}, end={"parents": ("left", "right")}
    )
    rules = book(rule("a.csv", "top"), assets=assets)

    class Diamond(Tree):
        def plan(self, seen: ChangeSet, made: Collection[Target]) -> Plan:
            return make_plan(seen, rules, OPTIONS, record=self.record, made=made)

    found = learnt(Diamond(Record("tree"), recorded("~a.csv")), top="made", left="made", end="made")
    assert found == {A: {"top": NEW[A], "left": NEW[A], "end": UNKNOWN}}


def test_what_is_made_while_a_day_above_it_is_not_over() -> None:
    seen = recorded("+days/2026-01-09", "+days/2026-01-10")
    fates: dict[Target, Fate] = {Target("days", "2026-01-09"): "made", Target("total"): "made"}
    found = Run(Tree(Record("tree"), seen), fates).after(fates).learnt
    first, second = (change.path for change in seen.changes)
    assert found[first].ran
    assert found[second].reflects == {"total": None}, "it was made without"


def test_what_changes_while_a_run_is_on_is_not_known_of_what_was_made() -> None:
    third = replace(SEEN, changes=(replace(SEEN.changes[0], new=ELSE), *SEEN.changes[1:]))
    run = Run(Tree(Record("tree"), SEEN, third), [Target("a"), Target("b")])
    assert run.unknown == {A: frozenset("a"), B: frozenset("b")}
    after = run.after({Target("a"): "made", Target("b"): "not made"})
    assert {path: one.reflects for path, one in after.learnt.items()} == {A: {"a": UNKNOWN}}
    assert after.moved == {A: frozenset("a")}


def test_what_is_touched_and_is_as_before_is_not_known_either() -> None:
    """It may have been another one while it was read, as with `git stash` and `git stash pop`."""
    entry = NEW[A]
    assert entry is not None
    tree = Tree(Record("tree"), SEEN, touched={A: SEEN.changes[0]})
    assert learnt(tree, a="made", b="made") == {A: {"a": UNKNOWN}, B: {"b": NEW[B]}}
    # Also where it is as recorded.
    only_b = replace(SEEN, changes=SEEN.changes[1:])
    tree = Tree(Record("tree"), only_b, touched={A: Change(A, entry, entry)})
    found = learnt(tree, a="made", b="made", child="made")
    assert found == {A: {"a": UNKNOWN, "child": UNKNOWN}, B: {"b": NEW[B], "child": NEW[B]}}


def test_what_is_due_downstream_of_what_is_not_asked_for_stays_due() -> None:
    record = Record("tree", {A: {"a": NEW[A]}})
    for narrowing in (Narrowing(assets=("b",)), Narrowing(partitions=(("x", "x"),))):
        options = replace(OPTIONS, narrowing=narrowing)
        made = make_plan(recorded("~a.csv"), BOOK, options, record=record)
        assert [(one.target.text, one.reason) for one in made.targets] == [
            ("child", "not asked for"),
            ("grandchild", "not asked for"),
        ]
        assert settled(made, certain=True) == {}


def test_what_is_downstream_and_has_lost_its_own_file_is_made_all_the_same() -> None:
    """Its own deletion alone would leave it as it is."""
    rules = book(rule("a.csv", "a"), rule("c.csv", "child"), assets=ASSETS)
    gone = Change(b"data/1_raw/c.csv", ELSE, None)
    seen = replace(SEEN, changes=(SEEN.changes[0], gone))
    plan = make_plan(seen, rules, OPTIONS, record=Record("tree"))
    assert [(one.target.text, one.action, one.paths) for one in plan.targets] == [
        ("a", "materialize", (A,)),
        ("child", "materialize", (A, gone.path)),
        ("grandchild", "materialize", (A, gone.path)),
    ]
    assert plan.warnings == ()


FAILED_CHECK = CheckResult("c", passed=False, severity="ERROR")


@pytest.mark.parametrize(
    ("outcome", "fate"),
    [
        (TargetOutcome(Target("a"), "success", materialized=True), "made"),
        (TargetOutcome(Target("a"), "failed"), "not made"),
        (TargetOutcome(Target("a"), "skipped"), "not made"),
        (TargetOutcome(Target("a"), "failed", materialized=True), "broken"),
        (TargetOutcome(Target("a"), "failed", materialized=True, checks=(FAILED_CHECK,)), "broken"),
    ],
)
def test_what_becomes_of_a_target(outcome: TargetOutcome, fate: Fate) -> None:
    assert fate_of(outcome) == fate
