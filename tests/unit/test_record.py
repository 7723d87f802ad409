"""What is recorded after somebody came to know something: before, learnt, after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from raw_trigger.model.changes import DVC_MODE, Entry
from raw_trigger.model.record import (
    EVERY,
    UNKNOWN,
    Launch,
    Learnt,
    Record,
    Reflected,
    Results,
    content_text,
    edited_between,
    read_content,
)

PATH, OTHER = b"raw/p", b"raw/q"
OLD, NEW, THIRD = (Entry("100644", digit * 40) for digit in "123")
RUNNABLE = replace(OLD, mode="100755")
AB = frozenset("ab")
MADE = dict.fromkeys(AB, "planned")
WHOLE = Learnt(NEW, AB, {"a": NEW, "b": NEW})
A_ONLY = Learnt(NEW, AB, {"a": NEW})

Row = tuple[Entry | None, Reflected, Learnt, Entry | None, Reflected]

PATHS: Mapping[str, Row] = {
    "everything was made": (OLD, {}, WHOLE, NEW, {}),
    "everything was made, and gone": (OLD, {}, Learnt(None, AB, {"a": None, "b": None}), None, {}),
    "a new file": (None, {}, WHOLE, NEW, {}),
    "one was made": (OLD, {}, A_ONLY, OLD, {"a": NEW}),
    "one was made of a new file": (None, {}, A_ONLY, None, {"a": NEW}),
    "one was made without a deleted one": (OLD, {}, Learnt(None, AB, {"a": None}), OLD, {"a": None}),
    "the other follows": (OLD, {"a": NEW}, Learnt(NEW, AB, {"b": NEW}), NEW, {}),
    "the other follows with a third one": (
        OLD,
        {"a": NEW},
        Learnt(THIRD, AB, {"b": THIRD}),
        OLD,
        {"a": NEW, "b": THIRD},
    ),
    "what was made alone goes back": (OLD, {"a": NEW}, Learnt(OLD, AB, {"a": OLD}), OLD, {}),
    "one is not known": (OLD, {}, Learnt(NEW, AB, {"a": NEW, "b": UNKNOWN}), OLD, {"a": NEW, "b": UNKNOWN}),
    "none is known": (OLD, {}, Learnt(NEW, AB, {"a": UNKNOWN}), OLD, {"a": UNKNOWN}),
    "what nobody knew is made": (OLD, {"a": UNKNOWN}, Learnt(OLD, AB, {"a": OLD}), OLD, {}),
    "what nobody knew stays": (OLD, {"b": UNKNOWN}, A_ONLY, OLD, {"a": NEW, "b": UNKNOWN}),
    "the other is equivalent": (OLD, {}, Learnt(NEW, AB, {"a": NEW}, {"b": OLD}), NEW, {}),
    "the other was equivalent, and was made since": (
        OLD,
        {"b": THIRD},
        Learnt(NEW, AB, {"a": NEW}, {"b": OLD}),
        OLD,
        {"a": NEW, "b": THIRD},
    ),
    "the other was equivalent, and nobody knows it any more": (
        OLD,
        {"b": UNKNOWN},
        Learnt(NEW, AB, {"a": NEW}, {"b": OLD}),
        OLD,
        {"a": NEW, "b": UNKNOWN},
    ),
    "both are equivalent": (OLD, {"b": THIRD}, Learnt(NEW, AB, {}, {"a": OLD, "b": THIRD}), NEW, {}),
    "there is nothing to make": (OLD, {"a": THIRD}, Learnt(NEW), NEW, {}),
    "there is nothing to make of what is gone": (OLD, {"a": THIRD}, Learnt(None), None, {}),
    "it feeds a target less": (OLD, {"c": NEW}, WHOLE, NEW, {}),
    "it feeds a target less, and one is due": (OLD, {"c": NEW}, A_ONLY, OLD, {"a": NEW}),
    "not all that it feeds is known": (
        OLD,
        {"c": NEW},
        Learnt(NEW, None, {"a": NEW}),
        OLD,
        {"a": NEW, "c": NEW},
    ),
    "not all is known, and it is as recorded": (OLD, {"a": NEW}, Learnt(OLD, None, {"a": OLD}), OLD, {}),
    "only its mode differs": (OLD, {}, Learnt(RUNNABLE, AB, {"a": RUNNABLE}), OLD, {"a": RUNNABLE}),
    "only its mode differed": (
        OLD,
        {"a": RUNNABLE},
        Learnt(RUNNABLE, AB, {"b": RUNNABLE}),
        RUNNABLE,
        {},
    ),
    "nobody knows of any": (OLD, {EVERY: UNKNOWN}, A_ONLY, OLD, {"a": NEW, "b": UNKNOWN}),
    "nobody knew of any": (OLD, {EVERY: UNKNOWN}, WHOLE, NEW, {}),
}


@pytest.mark.parametrize(("entry", "seen", "learnt", "then", "exceptions"), PATHS.values(), ids=PATHS)
def test_a_path(
    entry: Entry | None, seen: Reflected, learnt: Learnt, then: Entry | None, exceptions: Reflected
) -> None:
    assert learnt.after(entry, seen) == (then, exceptions)
    record = Record("tree", {PATH: seen} if seen else {})
    after, moved = record.after(Results("tree", {PATH: learnt}), {} if entry is None else {PATH: entry})
    assert after == Record("tree", {PATH: exceptions} if exceptions else {})
    assert moved == ({} if then == entry else {PATH: then})
    again = replace(record, kept=after.kept)
    entries = {} if then is None else {PATH: then}
    assert again.after(Results("tree", {PATH: replace(learnt, equivalent={})}), entries)[0].kept.keys() <= {
        PATH
    }


def mark(*targets: str, **more: object) -> Launch:
    return Launch({PATH: frozenset(targets)}, **more)  # type: ignore[arg-type]


def launched(*targets: str) -> Record:
    return Record("tree").launching("mine", mark(*targets))


def test_while_a_launch_is_on_nobody_knows() -> None:
    record = launched("a")
    for content in (OLD, NEW, None):
        assert record.reflected(PATH, "a", content) == UNKNOWN
    assert record.reflected(PATH, "b", OLD) == OLD
    assert list(record.doubtful) == [PATH]
    assert record.without("mine").reflected(PATH, "a", OLD) == OLD
    assert launched(EVERY).reflected(PATH, "b", OLD) == UNKNOWN


FENCED: Mapping[str, tuple[Record, Learnt, Reflected]] = {
    "it is alone": (launched("a"), A_ONLY, {"a": NEW}),
    "it failed": (launched("a"), Learnt(NEW, AB), {}),
    "it fed everything": (launched(EVERY), A_ONLY, {"a": NEW}),
    # `late` has not seen the record since.
    "its mark is gone": (Record("later"), A_ONLY, {"a": UNKNOWN}),
    "its mark is gone, and another made the same": (Record("later", {PATH: {"a": NEW}}), A_ONLY, {"a": NEW}),
    "another took over": (launched("a").launching("other", mark("a")), A_ONLY, {"a": NEW}),
    "another took over another target": (launched("a").launching("other", mark("b")), A_ONLY, {"a": NEW}),
    "another took over everything": (
        launched("a").launching("other", mark(EVERY)),
        A_ONLY,
        {"a": NEW},
    ),
}


@pytest.mark.parametrize(("record", "learnt", "kept"), FENCED.values(), ids=FENCED)
def test_what_two_launches_make_at_the_same_time_is_not_known(
    record: Record, learnt: Learnt, kept: Reflected
) -> None:
    after, _ = record.after(Results("planned", {PATH: learnt}, "mine", MADE), {PATH: OLD})
    assert {name: told for name, told in after.kept.get(PATH, {}).items() if name != EVERY} == kept
    assert "mine" not in after.launches
    if after.launches:
        assert after.reflected(PATH, "a", OLD) == (UNKNOWN if after.launches["other"].has(PATH, "a") else NEW)


def test_the_launch_that_took_over_is_told_of_what_the_other_made_meanwhile() -> None:
    record = launched("a").launching("other", mark("a"))
    assert list(record.launches) == ["other"]
    record, _ = record.after(Results("planned", {PATH: A_ONLY}, "mine", MADE), {PATH: OLD})
    for content, known in ((THIRD, UNKNOWN), (NEW, NEW)):
        results = Results("planned", {PATH: Learnt(content, AB, {"a": content})}, "other", MADE)
        last, _ = record.after(results, {PATH: OLD})
        assert (last.kept, last.launches) == ({PATH: {"a": known}}, {})


def test_what_is_taken_over_stays_unknown_whatever_becomes_of_the_launch() -> None:
    record = launched("a").launching("other", mark("a"))
    assert record.without("other").reflected(PATH, "a", OLD) == UNKNOWN
    failed, _ = record.after(Results("tree", {}, "other"), {PATH: OLD})
    assert (failed.kept, failed.launches) == ({PATH: {"a": UNKNOWN}}, {})


def test_a_launch_takes_over_all_paths_of_its_targets() -> None:
    earlier = Launch({PATH: frozenset("a"), OTHER: frozenset("ab")})
    record = Record("tree").launching("mine", earlier).launching("other", mark("a"))
    assert record.launches["mine"].paths == {OTHER: frozenset("b")}
    assert record.launches["other"].paths == {PATH: frozenset("a"), OTHER: frozenset("a")}


def test_a_launch_goes_on_with_its_own_mark() -> None:
    record = launched(EVERY).launching("mine", mark("a"))
    assert record.launches["mine"].paths == {PATH: frozenset({EVERY, "a"})}
    assert record.kept == {}


def test_who_says_it_otherwise_takes_it_from_a_launch() -> None:
    """`adopt` and `forget` are no launches."""
    record, _ = launched("a").after(Results("tree", {PATH: WHOLE}), {PATH: OLD})
    assert (record.kept, record.launches) == ({}, {})
    record, _ = launched(EVERY).after(Results("tree", {PATH: WHOLE}), {PATH: OLD})
    assert record.launches == {}
    record, _ = launched("b").after(Results("tree", {PATH: A_ONLY}), {PATH: OLD})
    assert record.launches["mine"].paths == {PATH: frozenset("b")}


@pytest.mark.parametrize(
    ("rules", "before", "now", "after"),
    [
        (None, None, None, (None, {}, NEW)),
        (None, "1", None, (None, {}, NEW)),
        # Which rows its table has was not known before.
        ("1", "1", "1", ("1", {OTHER: {"c": UNKNOWN}}, NEW)),
        ("1", "1", "2", ("2", {OTHER: {"c": UNKNOWN}}, NEW)),
        ("2", "1", "2", ("2", {}, NEW)),
        # Others' rules stay in force, and by them other targets may be made from a path.
        ("3", "1", "2", ("3", {PATH: {"a": NEW, "b": NEW}}, OLD)),
        (None, None, "2", ("2", {OTHER: {"c": UNKNOWN}}, NEW)),
    ],
)
def test_rules(
    rules: str | None, before: str | None, now: str | None, after: tuple[str | None, Reflected, Entry]
) -> None:
    results = Results(
        "tree", {PATH: WHOLE}, rules_before=before, rules=now, edited={OTHER: frozenset("c")} if now else {}
    )
    found, moved = Record("tree", rules=rules).after(results, {PATH: OLD})
    assert (found.rules, found.kept, moved.get(PATH, OLD)) == after


def test_what_edited_rules_leave_unknown() -> None:
    record = Record("tree", {PATH: {"a": NEW, "b": UNKNOWN}})
    seen = record.under("2", {PATH: ["c"], OTHER: ["a"]})
    assert edited_between(record, seen) == {PATH: frozenset("c"), OTHER: frozenset("a")}
    assert [seen.again(PATH, ["c"]), seen.again(OTHER, ["a"])] == ["new rule", "new rule"]
    assert [record.again(PATH, ["a", "b"]), record.again(PATH, ["b"])] == ["other content", "unknown"]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (None, None),
        (UNKNOWN, "0" * 40),
        (OLD, "1" * 40),
        (RUNNABLE, f"100755 {'1' * 40}"),
        (Entry("120000", "1" * 64), f"120000 {'1' * 64}"),
        (Entry("160000", "1" * 40), f"160000 {'1' * 40}"),
        (Entry(DVC_MODE, "1" * 32), "1" * 32),
        (Entry(DVC_MODE, f"{'1' * 32}.dir"), f"{'1' * 32}.dir"),
    ],
)
def test_a_content_as_text(entry: Entry | None, text: str | None) -> None:
    assert (content_text(entry), read_content(text)) == (text, entry)


@pytest.mark.parametrize(
    "text", ["", "1", "100664 " + "1" * 40, "1" * 41, 1, f" {'1' * 40}", "1" * 40 + "\n"]
)
def test_what_is_no_content(text: object) -> None:
    with pytest.raises(ValueError, match="is no content"):
        read_content(text)
