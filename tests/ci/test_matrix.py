"""Every path in one batch, every component in one piece, whatever the second plan knows."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raw_trigger.ci import matrix
from raw_trigger.errors import UsageError
from raw_trigger.model.plan import Plan, PlannedTarget, Target
from raw_trigger.render import json as as_json
from tests.ci.plans import paths, plans
from tests.unit.conftest import book, catalog, plan, rule

RULES = (rule("{name}.csv", "raw/{name}"), rule("p/{d}", "raw/p", partition="{d}"), rule("*.txt"))


def assignment(batches: tuple[matrix.Batch, ...]) -> matrix.Assignment:
    numbers = {path: batch.number for batch in batches for path in batch.paths}
    return matrix.Assignment(len(batches), numbers)


def named(batches: tuple[matrix.Batch, ...]) -> dict[str, list[str]]:
    return {b.name: [path.decode().removeprefix("data/1_raw/") for path in b.paths] for b in batches}


def test_by_past_durations() -> None:
    """Heaviest first; an unknown partition takes as long as the others, an unknown asset the mean."""
    made = plan(book(*RULES), "~a.csv", "~b.csv", "~c.csv", "~d.csv", "~p/3", "~x.txt")
    seconds = {
        "raw/a": 10.0,
        "raw/b": 4.0,
        "raw/c": 3.0,
        "raw/p|1": 2.0,
        "raw/p|2": 4.0,
        "raw/x": float("nan"),
    }
    batches = matrix.assign(made, 3, seconds)
    assert named(batches) == {
        "raw/a": ["a.csv", "x.txt"],
        "raw/d and 1 more": ["d.csv", "p/3"],
        "raw/b and 1 more": ["b.csv", "c.csv"],
    }
    assert [round(b.weight, 1) for b in batches] == [10.0, 7.6, 7.0]


@pytest.mark.parametrize(
    ("words", "most", "expected"),
    [
        ((), 3, {}),
        (("~x.txt",), 3, {}),
        (("~a.csv",), 3, {"raw/a": ["a.csv"]}),
        (("~p/1", "~p/2", "~x.txt"), 1, {"raw/p (2 partitions)": ["p/1", "p/2", "x.txt"]}),
        (("~p/1",), 1, {"raw/p|1": ["p/1"]}),
        (("~un", "~known.csv"), 2, {"raw/known": ["known.csv"], "un": ["un"]}),
        (("~a/b/un", "~un2"), 1, {"un and 1 more": ["a/b/un", "un2"]}),
    ],
)
def test_as_many_as_there_is_work_for(
    words: tuple[str, ...], most: int, expected: dict[str, list[str]]
) -> None:
    """A file that no rule covers is work for a runner that knows the catalog; an ignored one is none."""
    assert named(matrix.assign(plan(book(*RULES), *words), most, {})) == expected


def test_an_error_goes_to_a_runner() -> None:
    """Nothing can be materialized, but the error must be met by somebody."""
    made = plan(book(rule("a", "raw/none"), assets=catalog(other={})), "~a")
    assert named(matrix.assign(made, 3, {})) == {"a": ["a"]}


def test_what_belongs_together() -> None:
    """A shared downstream asset, a function that makes two, a file that feeds two."""
    known = catalog(
        out1={"kind": "external"},
        out2={"kind": "external"},
        child={"parents": ("out1", "out2")},
        m1={"execution_set": ("m1", "m2")},
        m2={"execution_set": ("m1", "m2")},
        one={},
        two={},
        three={},
    )
    rules = (
        *(rule(name, name) for name in ("out1", "out2", "m1", "m2")),
        *(rule("f", "one", "two"), rule("g", "two"), rule("h", "three")),
    )
    made = plan(book(*rules, assets=known), "~out1", "~out2", "~m1", "~m2", "~f", "~g", "~h")
    assert [[p.decode()[11:] for p in c.paths] for c in matrix.components(made, known)] == [
        ["f", "g"],
        ["h"],
        ["m1", "m2"],
        ["out1", "out2"],
    ]


def test_one_function_makes_what_is_due_for_different_files() -> None:
    """Only the catalog tells: of the two, each reflects the other's file already."""
    known = catalog(m1={"execution_set": ("m1", "m2")}, m2={"execution_set": ("m1", "m2")})
    made = plan(book(rule("m1", "m1"), rule("m2", "m2"), assets=known), "~m1", "~m2")
    due = tuple(replace(t, paths=(b"data/1_raw/" + t.target.asset.encode(),)) for t in made.targets)
    apart = replace(made, targets=due)
    assert len(matrix.components(apart)) == 2
    assert len(matrix.components(apart, known)) == 1


@given(st.data(), st.integers(1, 6))
def test_each_path_and_component_once(data: st.DataObject, most: int) -> None:
    made = data.draw(plans())
    batches = matrix.assign(made, most, {"a0": 5.0, "a1|x": 2.0})
    if not batches:
        assert not made.pending
        return
    assert len(batches) <= most
    assert [b.number for b in batches] == list(range(1, len(batches) + 1))
    assert all(b.paths for b in batches)
    given_out = [path for b in batches for path in b.paths]
    assert sorted(given_out) == [p.change.path for p in made.changes]
    numbers = assignment(batches).numbers
    for target in made.targets:
        assert len({numbers[path] for path in target.paths}) <= 1
    owner = {t.target: numbers[t.paths[0]] for t in made.targets}
    assert all(owner[before] == owner[t.target] for t in made.targets for before in t.after)
    for b in batches:
        assert matrix.share(made, assignment(batches), b.number) == frozenset(b.paths)


@given(st.data(), st.integers(1, 6))
def test_shares_of_another_plan(data: st.DataObject, most: int) -> None:
    """A plan with other connections, other files too: the shares are disjoint, whole and cover everything."""
    assigned = assignment(matrix.assign(data.draw(plans()), most, {}))
    old = list(assigned.numbers)
    files = data.draw(
        st.lists(st.one_of(paths, st.sampled_from(old)) if old else paths, unique=True, max_size=12)
    )
    second = data.draw(plans(over=files))
    shares = [matrix.share(second, assigned, n) for n in range(1, assigned.count + 1)]
    if not shares:
        return
    assert sum(map(len, shares)) == len(second.changes)
    assert frozenset().union(*shares) == {p.change.path for p in second.changes}
    for component in matrix.components(second):
        assert sum(set(component.paths) <= part for part in shares) == 1


def test_a_coarser_plan_goes_by_its_smallest_path() -> None:
    """The plan job knew of no connection; the runners do."""
    first = plan(book(*RULES), "~a.csv", "~b.csv", "~c.csv")
    assigned = assignment(matrix.assign(first, 3, {}))
    assert sorted(assigned.numbers.values()) == [1, 2, 3]
    joined = PlannedTarget(
        Target("x"), "materialize", "downstream", 2, None, (b"data/1_raw/b.csv", b"data/1_raw/c.csv")
    )
    second = replace(first, targets=(*first.targets, joined))
    shares = [matrix.share(second, assigned, number) for number in (1, 2, 3)]
    assert shares == [{b"data/1_raw/a.csv"}, {b"data/1_raw/b.csv", b"data/1_raw/c.csv"}, frozenset()]


def document(made: Plan, batches: tuple[matrix.Batch, ...]) -> str:
    return "".join(matrix.with_matrix(as_json.render(made), batches))


@given(plans())
def test_written_and_read_back(made: Plan) -> None:
    batches = matrix.assign(made, 3, {})
    text = document(made, batches)
    assert text.isascii()
    assert matrix.read_assignment(text) == matrix.read_assignment(text.encode()) == assignment(batches)
    loaded = json.loads(text)
    assert list(loaded) == [*json.loads("".join(as_json.render(made))), "launch", "matrix"]


def test_as_text() -> None:
    batches = (matrix.Batch(1, "x", (b"a\xff", b"b"), (), 1.0), matrix.Batch(2, "y", (b"c",), (), 1.0))
    assert document(plan(book()), batches).endswith(
        ' "outcome": null,\n "launch": null,\n "matrix": [\n'
        '  {"batch": 1, "paths": ["a\\udcff", "b"]},\n  {"batch": 2, "paths": ["c"]}]}\n'
    )


GARBAGE: list[tuple[Any, str]] = [
    ("", "it is no JSON (Expecting value: line 1 column 1 (char 0))"),
    (b"\xff\xff\xff", "it is no JSON ("),
    ("[" * 100_000, "it is no JSON ("),
    ([], "it is no JSON object of version 1"),
    ({"version": 2, "matrix": []}, "it is no JSON object of version 1"),
    ({"version": 1}, "it has no list 'matrix'"),
    ({"version": 1, "matrix": {"batch": 1}}, "it has no list 'matrix'"),
    ({"version": 1, "matrix": [1]}, "matrix[0] is not batch 1"),
    ({"version": 1, "matrix": [{"batch": 2, "paths": ["a"]}]}, "matrix[0] is not batch 1"),
    ({"version": 1, "matrix": [{"batch": True, "paths": ["a"]}]}, "matrix[0] is not batch 1"),
    (
        {"version": 1, "matrix": [{"batch": 1, "paths": []}, {"batch": 2, "paths": ["a"]}]},
        "matrix[0] has no list of paths",
    ),
    ({"version": 1, "matrix": [{"batch": 1, "paths": "abc"}]}, "matrix[0] has no list of paths"),
    (
        {"version": 1, "matrix": [{"batch": 1, "paths": [1]}]},
        "matrix[0] has something in its list that is no path",
    ),
    ({"version": 1, "matrix": [{"batch": 1, "paths": ["\ud800"]}]}, "matrix[0] has something in its list"),
    ({"version": 1, "matrix": [{"batch": 1, "paths": ["a", "a"]}]}, "a is in it twice"),
]


@pytest.mark.parametrize(("found", "why"), GARBAGE, ids=range(len(GARBAGE)))
def test_a_plan_file_that_is_none(found: Any, why: str) -> None:
    text = found if isinstance(found, (str, bytes)) else json.dumps(found)
    with pytest.raises(UsageError) as caught:
        matrix.read_assignment(text)
    assert caught.value.message.startswith(f"the plan file cannot be used: {why}")
    assert "--mode plan" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ("", " is no batch"),
        ("1", "1 is no batch"),
        ("1/x", "1/x is no batch"),
        ("-1/2", "-1/2 is no batch"),
        ("1/99999", "1/99999 is no batch"),
        ("\u0661/2", "\u0661/2 is no batch"),
        ("0/2", "batch 0/2 is not in the plan file, which has 2"),
        ("3/2", "batch 3/2 is not in the plan file, which has 2"),
        ("1/3", "batch 1/3 is not in the plan file, which has 2"),
    ],
)
def test_no_such_batch(batch: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        matrix.number_of(batch, matrix.Assignment(2, {}))
    assert caught.value.message == message


def test_batch_numbers() -> None:
    assert matrix.number_of("2/2", matrix.Assignment(2, {})) == 2
    with pytest.raises(UsageError, match="no batch 3"):
        matrix.share(plan(book()), matrix.Assignment(2, {}), 3)
    for most in (0, 257):
        with pytest.raises(UsageError, match="1 to 256"):
            matrix.assign(plan(book()), most, {})
