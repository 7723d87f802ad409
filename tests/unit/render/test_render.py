"""Whole outputs, as text."""

from __future__ import annotations

import html
import io
import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from raw_trigger.ci import summary
from raw_trigger.explain import PathExplanation
from raw_trigger.model.changes import Base, Change, ChangeSet, Desired, Entry
from raw_trigger.model.history import Failure
from raw_trigger.model.outcome import CheckResult, Outcome, TargetOutcome
from raw_trigger.model.plan import Narrowing, Options, Plan, PlannedChange, PlannedTarget, Target
from raw_trigger.planning.plan import make_plan
from raw_trigger.render import json as as_json
from raw_trigger.render import markdown, words
from raw_trigger.render.text import TextRenderer
from tests.unit.conftest import REGIONS, book, catalog, plan, rule

ASSETS = catalog(
    raw__users={},
    raw__regions={"partitions": REGIONS},
    out={"kind": "external"},
    child={"parents": ("out",)},
)
BOOK = book(rule("*.txt"), rule("r/{r}", "raw/regions", partition="{r}"), rule("out", "out"), assets=ASSETS)
PLAN = plan(BOOK, "~users.csv", "+a.txt", "+r/eu", "+r/mars", "~out", "-gone.csv")
OUTCOME = Outcome(
    "partial",
    (
        TargetOutcome(Target("out"), "success"),
        TargetOutcome(
            Target("raw/users"),
            "failed",
            "run-1",
            0.31,
            'ValueError: users.csv line 3: no number\n  File "raw.py", line 7',
            (
                CheckResult("unique", False, "ERROR", "2 twice"),
                CheckResult("prices", False, "WARN"),
                CheckResult("fine", True, "WARN"),
            ),
        ),
        TargetOutcome(Target("child"), "skipped", None, None, "upstream out failed"),
    ),
    ("run-1",),
    1.234,
    "/logs/1.log",
)


def text(draw: str, made: Plan = PLAN, outcome: Outcome = OUTCOME, **options: Any) -> str:
    out = io.StringIO()
    renderer = TextRenderer(Console(file=out, width=40, highlight=False, markup=False, emoji=False))
    if draw == "plan":
        renderer.plan(made, **options)
    else:
        with renderer.progress(0) as finished:
            for done in outcome.targets:
                finished(done)
        renderer.outcome(made, outcome)
    return out.getvalue()


def test_a_plan_as_text() -> None:
    assert text("plan") == (
        "6 raw files changed  A → B\n"
        "  A data/1_raw/a.txt → ignored\n"
        "  D data/1_raw/gone.csv → unmapped: no rule, metadata or convention maps it to an asset\n"
        "  M data/1_raw/out → out\n"
        "  A data/1_raw/r/eu → raw/regions|eu\n"
        "  A data/1_raw/r/mars → raw/regions|mars\n"
        "  M data/1_raw/users.csv → raw/users\n"
        "4 assets to materialize or report\n"
        "  report out\n"
        "  materialize raw/users\n"
        "  materialize raw/regions|eu\n"
        "  materialize child  (downstream of out)\n"
        "  skip raw/regions|mars  (it has no partition 'mars')\n"
    )
    assert text("plan", brief=True).endswith("warning: raw/regions|mars: it has no partition 'mars'\n")


def test_a_file_that_nothing_is_made_from_is_told_while_it_is_there() -> None:
    told = "warning: nothing is made from data/1_raw/lost.csv; add a rule or `ignore: true`\n"
    assert text("plan", plan(BOOK, "+lost.csv", "-gone.csv")).endswith(told)


def test_an_outcome_as_text() -> None:
    assert text("outcome") == (
        "  ✔ out\n"
        "  ✘ raw/users  0.3 s\n"
        "      check unique failed: 2 twice\n"
        "      check prices failed\n"
        "      ValueError: users.csv line 3: no number\n"
        '        File "raw.py", line 7\n'
        "  – child\n"
        "      upstream out failed\n"
        "1 reported, 1 failed, 1 skipped in 1.2 s\n"
        "what it printed: /logs/1.log\n"
    )


@pytest.mark.parametrize(
    ("keys", "doing", "done"),
    [
        ("a b", "2 assets to materialize or report", "2 materialized in 0.0 s"),
        (
            "a job:j",
            "1 asset to materialize or report, 1 job to launch",
            "1 materialized, 1 job launched in 0.0 s",
        ),
        ("job:i job:j", "2 jobs to launch", "2 jobs launched in 0.0 s"),
    ],
)
def test_jobs_are_launched_not_materialized(keys: str, doing: str, done: str) -> None:
    targets = [Target(key) for key in keys.split()]
    planned = tuple(PlannedTarget(target, "materialize", "raw", 1) for target in targets)
    made = replace(PLAN, targets=planned, warnings=())
    outcome = Outcome("success", tuple(TargetOutcome(target, "success") for target in targets))
    told = text("plan", made)
    assert doing in told
    assert (
        told.count("  launch job:")
        == "".join(markdown.render(made)).count(" | launch | ")
        == keys.count("job")
    )
    assert words.summary(made, outcome) == done
    assert f", {doing}\n" in summary.render(summary.Report(made))


NOW = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
FAILURE = Failure(
    Target("raw/users"),
    "a3561c2f-9f1e",
    NOW - timedelta(minutes=5),
    "failed",
    "ValueError: users.csv line 3: no number\n  File ...",
    frozenset([(b"data/1_raw/users.csv", "1users.csv"), (b"data/1_raw/other.csv", "1")]),
)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, True),
        ({"files": frozenset([(b"data/1_raw/users.csv", "0users.csv")])}, False),
        ({"files": frozenset([(b"data/1_raw/other.csv", "1")])}, False),
        ({"target": Target("raw/regions", "eu")}, False),
    ],
)
def test_a_failure_is_told_where_the_same_content_is_due(change: dict[str, Any], told: bool) -> None:
    failure = replace(FAILURE, **change)
    shown = words.failed_before(PLAN, [failure])
    assert shown == ({failure.target: failure} if told else {})
    lines = text("plan", failures=[failure]).splitlines()
    after = [lines[at + 1] for at, line in enumerate(lines) if line == f"  materialize {failure.target.text}"]
    assert [" ago: " in line for line in after] == [told]


@pytest.mark.parametrize(
    ("status", "error", "age", "said"),
    [
        ("failed", FAILURE.error, 5 * 60, "failed 5 min ago: ValueError: users.csv line 3: no number"),
        ("skipped", "upstream a failed", 3600, "left out 1 h ago: upstream a failed"),
        ("failed", "", 59, "failed just now: it failed"),
        ("failed", "\n\n x", -5, "failed just now: x"),
        ("failed", "x", 86400, "failed 1 day ago: x"),
        ("failed", "x", 86400 * 30, "failed 30 days ago: x"),
    ],
)
def test_a_failure_as_text(status: str, error: str, age: int, said: str) -> None:
    failure = replace(FAILURE, status=status, error=error, ended=NOW - timedelta(seconds=age))
    assert words.failure(failure, NOW) == f"{said} (`raw-trigger history a3561c2f`)"


def test_one_failure_of_several_assets_is_told_once() -> None:
    """What one function makes fails with it, in the same words; short ones are told again."""
    long, short = 'ValueError: x\n  File "raw.py"', "upstream a failed"
    told = [("a", long), ("b", long), ("c", short), ("d", short), ("e", long)]
    failed = Outcome("failed", tuple(TargetOutcome(Target(n), "failed", error=e) for n, e in told))
    assert text("outcome", outcome=failed) == (
        '  ✘ a\n      ValueError: x\n        File "raw.py"\n'
        "  ✘ b\n      the same error as a\n"
        "  ✘ c\n      upstream a failed\n"
        "  ✘ d\n      upstream a failed\n"
        "  ✘ e\n      the same error as a\n"
        "5 failed in 0.0 s\n"
    )
    assert words.left_undone(PLAN, words.failed_by_now(PLAN, failed, {})).startswith(
        "a, b, e: ValueError: x, c, d: upstream a failed, "
    )
    assert "".join(markdown.render(PLAN, failed)).count("ValueError") == 1


def test_nothing_to_do_is_said() -> None:
    nothing = plan(BOOK)
    assert text("plan", nothing) == "Nothing to do: no raw file differs (A → B).\n"


def renamed(new_rule: str | None) -> Plan:
    entry = Entry("100644", "1")
    changes = (
        Change(b"data/1_raw/new.csv", None, entry, b"data/1_raw/users.csv"),
        Change(b"data/1_raw/users.csv", entry, None),
    )
    rules = book(*([rule("new.csv", new_rule)] if new_rule else []), assets=ASSETS)
    return make_plan(
        ChangeSet(Base("revision", "A", "a", ""), Desired("revision", "B", "b"), changes),
        rules,
        Options("local"),
    )


@pytest.mark.parametrize(("asset", "fates"), [("raw/users", "raw/users"), ("out", "raw/users, out")])
def test_a_rename_is_one_line_with_everything_it_touches(asset: str, fates: str) -> None:
    [line] = words.lines(renamed(asset))
    name = "data/1_raw/new.csv (was data/1_raw/users.csv)"
    assert (line.letter, line.name, line.fate) == ("R", name, fates)
    assert f"  R {name} → {fates}\n" in text("plan", renamed(asset))
    feeds = ", ".join(f"`{key}`" for key in fates.split(", "))
    row = f"| R | `data/1_raw/new.csv` (was `data/1_raw/users.csv`) | {feeds} |\n"
    assert row in "".join(markdown.render(renamed(asset)))


def test_a_rename_tells_what_becomes_of_either_name() -> None:
    [line] = words.lines(renamed(None))
    now = "unmapped: no rule, metadata or convention maps it to an asset"
    assert (line.letter, line.fate, line.targets) == ("R", f"{now}; under its old name raw/users", ())


@pytest.mark.parametrize("pending", [True, False])
def test_what_nothing_is_made_from_is_not_said_to_be_recorded_as_materialized(pending: bool) -> None:
    out = io.StringIO()
    found = PathExplanation("data/1_raw/lost.csv", None, None, (), (), "1" * 40, "1" * 40, pending)
    TextRenderer(Console(file=out)).explanations([found])
    assert out.getvalue().splitlines()[-1] == "  state    nothing is made from it"


def test_a_plan_as_json() -> None:
    document = json.loads("".join(as_json.render(PLAN, OUTCOME)))
    assert list(document) == [
        "version",
        "environment",
        "base",
        "target",
        "changes",
        "targets",
        "fingerprint",
        "outcome",
    ]
    assert document["base"] == {"kind": "revision", "name": "A", "oid": "a", "reason": ""}
    assert document["target"] == {"kind": "revision", "name": "B", "oid": "b"}
    assert document["changes"][3] == {
        "status": "added",
        "path": "data/1_raw/r/eu",
        "old_path": None,
        "old_oid": None,
        "new_oid": "1r/eu",
        "content": "blob",
        "rule": "raw-trigger.yaml:2",
        "disposition": "planned",
        "reason": None,
        "rows": None,
        "targets": [{"asset": "raw/regions", "partition": "eu"}],
    }
    assert document["targets"][0] == {
        "asset": "child",
        "partition": None,
        "job": None,
        "action": "materialize",
        "reason": "downstream of out",
        "paths": ["data/1_raw/out"],
        "origin": "downstream",
        "batch": 4,
    }
    assert document["outcome"]["targets"][1] == {
        "asset": "raw/users",
        "partition": None,
        "status": "failed",
        "reason": None,
        "run_id": "run-1",
        "seconds": 0.31,
        "error": 'ValueError: users.csv line 3: no number\n  File "raw.py", line 7',
        "checks": [
            {"name": "unique", "status": "fail", "severity": "ERROR", "message": "2 twice"},
            {"name": "prices", "status": "fail", "severity": "WARN", "message": None},
            {"name": "fine", "status": "pass", "severity": "WARN", "message": None},
        ],
    }
    assert json.loads("".join(as_json.render(PLAN)))["outcome"] is None


def test_a_plan_as_markdown() -> None:
    assert "".join(markdown.render(plan(BOOK, "~users.csv", "+r/mars"))) == (
        "### Raw data: A → B\n\n"
        "| | file | feeds |\n|---|---|---|\n"
        "| A | `data/1_raw/r/mars` | `raw/regions\\|mars` |\n"
        "| M | `data/1_raw/users.csv` | `raw/users` |\n"
        "\n| asset | action | why |\n|---|---|---|\n"
        "| `raw/regions\\|mars` | skip | it has no partition 'mars' |\n"
        "| `raw/users` | materialize | `data/1_raw/users.csv` |\n"
    )


@given(st.binary(min_size=1, max_size=30).filter(lambda b: b"\0" not in b))
def test_no_name_breaks_any_format(name: bytes) -> None:
    change = Change(b"data/1_raw/" + name, None, Entry("100644", "1"))
    made = Plan(
        "local", Base("empty", "", None, ""), Desired("worktree", ""), (PlannedChange(change, "unmapped"),)
    )
    out = "".join(as_json.render(made))
    assert out.isascii()
    path = json.loads(out)["changes"][0]["path"]
    assert path.encode("utf-8", "surrogateescape") == change.path
    shown = text("plan", made)
    assert len(shown.splitlines()) == 3
    assert all(line.isprintable() for line in shown.splitlines())
    table = "".join(markdown.render(made)).splitlines()
    assert len(table) == 5
    "".join(table).encode()
    [cell] = cells(f"| x |\n|---|\n| {markdown.code(words.printable(change.path))} |\n")
    assert cell == words.printable(change.path)


@given(st.text("`|\\ <&a*", min_size=1).map(str.strip).filter(bool))
def test_a_code_span_holds_every_name(name: str) -> None:
    assert cells(f"| x | y |\n|---|---|\n| {markdown.code(name)} | {markdown.code(name)} |\n") == [name] * 2


def cells(table: str) -> list[str]:
    """The text of a table's cells, but for those of its head, as GitHub shows it."""
    shown = MarkdownIt("commonmark", {"html": True}).enable("table").render(table)
    return [html.unescape(re.sub("</?code>", "", cell)) for cell in re.findall("(?s)<td>(.*?)</td>", shown)]


def test_of_the_partitions_of_an_asset_the_first_few_failures_are_told() -> None:
    rules = book(rule("{r}.csv", "raw/regions", partition="{r}"), assets=ASSETS)
    made = plan(rules, "~eu.csv", "~us.csv")
    found = [
        replace(
            FAILURE,
            target=target.target,
            files=frozenset((path, f"1{path.decode().rpartition('/')[2]}") for path in target.paths),
        )
        for target in made.targets
    ]
    lines = text("plan", made, failures=found).splitlines()
    failed = [line.split(":")[0].split(" failed")[0] for line in lines if "✘" in line]
    assert failed == [f"      ✘ {target.target.partition}" for target in made.targets]


def test_what_is_not_tried_again_is_one_line_however_much_it_is() -> None:
    keys = [f"r/{region}" for region in ("eu", "us")]
    failed = frozenset((f"raw/regions|{k[2:]}", f"data/1_raw/{k}".encode(), f"1{k}") for k in keys)
    again = Narrowing(not_again=failed)
    still = "raw/regions|eu, raw/regions|us: it still fails with this content: `raw-trigger run` tries again"
    alone = plan(BOOK, *(f"~{key}" for key in keys), narrowing=again)
    assert words.standing(alone) == still
    beside = plan(BOOK, *(f"~{key}" for key in keys), "~users.csv", narrowing=again)
    assert words.standing(beside) is None
    assert text("plan", beside, brief=True) == (
        f"1 raw file changed  A → B\n  M data/1_raw/users.csv → raw/users\nwarning: {still}\n"
    )


def test_what_passes_of_background_work_left_undone() -> None:
    """The words of a pass before stay those of what was not tried again."""
    keys = {"eu": "no number", "us": "no name"}
    failed = frozenset((f"raw/regions|{k}", f"data/1_raw/r/{k}".encode(), f"1r/{k}") for k in keys)
    second = plan(BOOK, "~r/eu", "~r/us", "~users.csv", narrowing=Narrowing(not_again=failed))
    before = {Target("raw/regions", k): f"ValueError: {why}" for k, why in keys.items()}
    before[Target("raw/mended")] = "ValueError: of old"
    found = words.failed_by_now(second, OUTCOME, before)
    assert words.left_undone(second, found) == (
        "raw/regions|eu: ValueError: no number, raw/regions|us: ValueError: no name, "
        "raw/users: ValueError: users.csv line 3: no number"
    )
