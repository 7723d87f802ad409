"""Annotations and the log, read back as the runner reads them."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raw_trigger.ci import annotations
from raw_trigger.ci.annotations import Annotation
from raw_trigger.model.changes import show
from raw_trigger.model.outcome import CheckResult, Outcome, TargetOutcome
from raw_trigger.model.plan import NO_CATALOG, PlannedChange, PlannedTarget, Target
from tests.ci import runner
from tests.ci.plans import ALL, change, hostile, paths, plan_of
from tests.unit.conftest import book, catalog, plan, rule

BOOK = book(rule("{n}.csv", "raw/{n}"), assets=catalog(raw__a={}, raw__b={}))
B = b"data/1_raw/b.csv"


def read(lines: list[str]) -> list[runner.Command]:
    return runner.commands("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))


def test_what_is_annotated() -> None:
    made = plan(BOOK, "~a.csv", "~b.csv", "+what")
    checks = (CheckResult("few", False, "WARN", "only 3"), CheckResult("null", False, "ERROR"))
    outcome = Outcome(
        "partial",
        (
            TargetOutcome(Target("raw/a"), "success", checks=checks),
            TargetOutcome(
                Target("raw/b"), "failed", error="ValueError: b.csv, line 12: no number\n  in raw.py"
            ),
            TargetOutcome(Target("down"), "skipped", error="upstream raw/b failed"),
        ),
    )
    assert read(annotations.commands(annotations.remarks(made, outcome))) == [
        runner.Command(
            "error",
            {"file": "data/1_raw/a.csv", "title": "raw/a: check null failed"},
            "the check gives no reason",
        ),
        runner.Command(
            "error",
            {"file": "data/1_raw/b.csv", "line": "12", "title": "raw/b failed"},
            "ValueError: b.csv, line 12: no number\n  in raw.py",
        ),
        runner.Command("warning", {"file": "data/1_raw/a.csv", "title": "raw/a: check few failed"}, "only 3"),
        runner.Command(
            "warning",
            {"file": "data/1_raw/what", "title": "nothing is made from this file"},
            "no rule, metadata or convention maps it to an asset; add a rule or `ignore: true`",
        ),
    ]
    assert not list(annotations.remarks(plan(BOOK, "+what"), unmapped=False))


def test_errors_and_warnings_of_the_plan() -> None:
    """An error is put on its file, also where the file's name holds what ends the name in the sentence."""
    made = plan(BOOK, "~none: x.csv", "~what", "-b.csv", unmapped="fail")
    lines = annotations.commands(annotations.remarks(made))
    assert [(c.name, c.properties.get("file"), c.data.partition(",")[0]) for c in read(lines)] == [
        (
            "error",
            "data/1_raw/none: x.csv",
            "raw-trigger.yaml:1: asset 'raw/none: x' is not in the Dagster project",
        ),
        ("error", "data/1_raw/what", "no rule"),
        ("warning", None, made.warnings[0]),
    ]


def test_one_failure_of_several_assets_is_annotated_once() -> None:
    """What one function makes fails with it; the other files are of another failure."""
    made = plan(book(rule("a.csv", "raw/a", "raw/b", "raw/c"), rule("d.csv", "raw/d")), "~a.csv", "~d.csv")
    failed = [TargetOutcome(Target(f"raw/{n}"), "failed", error="ValueError: x\n  in raw.py") for n in "abcd"]
    assert [
        (command.properties, command.data)
        for command in read(annotations.commands(annotations.remarks(made, Outcome("failed", tuple(failed)))))
    ] == [
        ({"file": f"data/1_raw/{name}.csv", "title": title}, "ValueError: x\n  in raw.py")
        for name, title in (("a", "raw/a, raw/b, raw/c failed"), ("d", "raw/d failed"))
    ]


def test_what_the_catalog_would_tell_is_no_warning() -> None:
    undecided = plan_of([PlannedChange(change(b"a"), "unmapped", None, NO_CATALOG)])
    assert not list(annotations.remarks(undecided))


@pytest.mark.parametrize(
    ("error", "file", "line"),
    [
        ("bad", b"d/a.csv", None),
        ("d/b.csv:7: bad", b"d/b.csv", 7),
        ("cannot read '/work/d/b.csv', line 7", b"d/b.csv", 7),
        ("b.csv is bad, see page 3", b"d/b.csv", None),
        ("bb.csv:7 is bad", b"d/a.csv", None),
        ("b.csv.gz:7 is bad", b"d/b.csv", None),
    ],
)
def test_the_file_that_the_error_names(error: str, file: bytes, line: int | None) -> None:
    """Where an asset is made from several, the one that is named, else the first."""
    made = plan_of([], [PlannedTarget(Target("x"), "materialize", "raw", 1, None, (b"d/a.csv", b"d/b.csv"))])
    (found,) = annotations.remarks(
        made, Outcome("failed", (TargetOutcome(Target("x"), "failed", error=error),))
    )
    assert (found.path, found.line) == (file, line)


@pytest.mark.parametrize(("count", "shown", "more"), [(10, 10, 0), (11, 9, 2), (500, 9, 491)])
def test_ten_of_each_kind(count: int, shown: int, more: int) -> None:
    many = [Annotation(level, "t", str(n)) for n in range(count) for level in ("warning", "error")]  # type: ignore[arg-type]
    found = read(annotations.commands(many))
    for level in ("error", "warning"):
        data = [c.data for c in found if c.name == level]
        last = [f"… and {more} more {level}s: see the summary of the step"] if more else []
        assert data == [str(n) for n in range(shown)] + last


def assert_read_back(path: bytes) -> None:
    """One command for one remark, on the very file, whatever it is called."""
    made, outcome = hostile([path])
    remarks = list(annotations.remarks(made, outcome))
    lines = annotations.commands(remarks, 1000)
    found = read(lines)
    assert len(found) == len(lines) == len(remarks)
    for command in found:
        assert command.name in ("error", "warning")
        assert set(command.properties) <= {"file", "line", "title"}
        assert command.properties["title"]
        if "file" in command.properties:
            assert command.properties["file"].encode() == path
    failed = [c for c in found if c.properties["title"].endswith(" failed") and c.name == "error"]
    try:
        path.decode()
        expressible = not path.startswith(b"=")
    except UnicodeDecodeError:
        expressible = False
    assert failed
    assert all(("file" in c.properties) == expressible for c in failed)


@pytest.mark.parametrize("path", ALL, ids=lambda path: repr(path[:40]))
def test_names_that_mean_harm(path: bytes) -> None:
    assert_read_back(path)


@given(paths)
def test_any_name(path: bytes) -> None:
    assert_read_back(path)


@given(st.text(), st.text())
def test_escaped_and_back(message: str, title: str) -> None:
    """Every text comes back as it was, but for the white space that the runner strips."""
    data, value = annotations.escape_data(message), annotations.escape_property(title)
    command = runner._parse(f"::error file=f,title={value}::{data}", set(runner.REGISTERED))
    assert command is not None
    assert command.data == message
    kept = runner._properties(f"file=f,title={value}".strip(), ",", runner.PROPERTY).get("title", "")
    assert command.properties.get("title", "") == kept
    assert kept == title.lstrip("=") or title != title.strip() or title.startswith("=")


@given(st.lists(paths))
def test_nothing_in_a_stopped_log_is_a_command(names: list[bytes]) -> None:
    out = io.StringIO()
    with annotations.stopped(out):
        for name in names:
            out.write(show(name))
    out.write("::error::after\n")
    log = out.getvalue().encode("utf-8", "surrogateescape")
    assert [c.data for c in runner.commands(log)] == ["after"]


def test_resumed_after_an_error() -> None:
    out = io.StringIO()
    with pytest.raises(KeyError), annotations.stopped(out, "word"):
        raise KeyError
    assert out.getvalue() == "::stop-commands::word\n\n::word::\n"
