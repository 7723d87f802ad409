"""What is recorded of targets that were made before something above them."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial

import pytest

from raw_trigger.model.changes import Base, ChangeSet
from raw_trigger.model.plan import Narrowing, Plan, Target
from raw_trigger.model.record import Record, Results
from raw_trigger.planning import Options, make_plan
from raw_trigger.recording import Recorder, needed, settled
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


def recorder(seen: ChangeSet, record: Record) -> Recorder:
    def planned(seen: ChangeSet, made: Set[Target], *, everything: bool) -> Plan:
        return make_plan(seen, BOOK, OPTIONS, record=record, everything=everything, made=made)

    def late(seen: ChangeSet, made: Set[Target]) -> Mapping[bytes, frozenset[str]]:
        return needed(planned(seen, made, everything=False))

    return Recorder(lambda: seen, partial(planned, everything=True), late=late)


def recorded(*words: str) -> ChangeSet:
    return replace(changes(*words), base=Base("recorded", "", "tree", ""))


@pytest.mark.parametrize(
    ("exceptions", "made", "done", "unknown"),
    [
        (
            {},
            ["a", "b", "child", "grandchild"],
            {A: {"a", "child", "grandchild"}, B: {"b", "child", "grandchild"}},
            {},
        ),
        # b still has its old content, and so have they.
        ({}, ["a", "child", "grandchild"], {A: {"a", "child", "grandchild"}}, {}),
        # b has another one, which is recorded of b alone.
        ({B: {"b": "2"}}, ["a", "child"], {A: {"a", "child"}}, {B: {"child"}}),
        # b was made from it before.
        ({B: {"b": "1b.csv"}}, ["a", "child"], {A: {"a", "child"}, B: {"child"}}, {}),
    ],
)
def test_what_is_made_before_what_is_above_it(
    exceptions: Mapping[bytes, Mapping[str, str]],
    made: list[str],
    done: Mapping[bytes, set[str]],
    unknown: Mapping[bytes, set[str]],
) -> None:
    before = recorder(recorded("~a.csv", "~b.csv"), Record("tree", exceptions))
    found = before.after({Target(name) for name in made})
    assert {path: one.succeeded for path, one in found.verdicts.items()} == done
    assert found.unsure == unknown


def test_what_is_made_while_a_day_above_it_is_not_over() -> None:
    before = recorder(recorded("+days/2026-01-09", "+days/2026-01-10"), Record("tree", {}))
    found = before.after({Target("days", "2026-01-09"), Target("total")})
    assert {path: one.succeeded for path, one in found.verdicts.items()} == {
        b"data/1_raw/days/2026-01-09": {"days|2026-01-09", "total"}
    }


def test_what_is_due_downstream_of_what_is_not_asked_for_stays_due() -> None:
    record = Record("tree", {A: {"a": "1a.csv"}})
    for narrowing in (Narrowing(assets=("b",)), Narrowing(partitions=(("x", "x"),))):
        options = replace(OPTIONS, narrowing=narrowing)
        made = make_plan(recorded("~a.csv"), BOOK, options, record=record)
        assert [(one.target.text, one.reason) for one in made.targets] == [
            ("child", "not asked for"),
            ("grandchild", "not asked for"),
        ]
        assert settled(made, certain=True) == {}


def test_what_edited_rules_have_made_of_exceptions_travels_with_the_results() -> None:
    path = b"data/1_raw/c.csv"
    record = Record("1" * 40, {path: {"a": "2" * 40, "b": "2" * 40}}, "rules 1")
    seen = Record("1" * 40, {path: {"a": "0" * 40, "b": "2" * 40, "c": None}}, "rules 2")
    assert Results.of(record, seen, {}, {}).newly_fed == {path: {"a", "c"}}
