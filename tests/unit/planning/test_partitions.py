"""Plans whose targets are partitions."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from rich.console import Console

from raw_trigger.check import check
from raw_trigger.model.assets import PartitionMapping, Partitions
from raw_trigger.model.changes import Base, Change, ChangeSet, Desired, Entry
from raw_trigger.model.plan import Narrowing, Options, Plan, Target
from raw_trigger.model.record import Record
from raw_trigger.planning.lineage import Lineage
from raw_trigger.planning.plan import make_plan
from raw_trigger.render import markdown, words
from raw_trigger.render.text import TextRenderer
from tests.unit.conftest import DAILY, REGIONS, Feeding, book, catalog, changes, plan, rule, summary

NOW = datetime(2026, 1, 10, 12, 0, tzinfo=timezone.utc).timestamp()
BOTH = Partitions("multi", dimensions=(("date", DAILY), ("region", REGIONS)))

SHOP = catalog(raw__days={"partitions": DAILY}, raw__both={"partitions": BOTH})
BOOK = book(
    rule("days/{d}", "raw/days", partition="{d}"),
    rule("both/{r}/{d}", "raw/both", partition=(("region", "{r}"), ("date", "{d}"))),
    rule("wrong/{r}/{d}", "raw/both", partition=(("region", "{r}"), ("day", "{d}"))),
    assets=SHOP,
)

OPEN = "'2026-01-10' is no partition yet: its window ends 2026-01-11 00:00 UTC"


@pytest.mark.parametrize(
    ("word", "target", "reason", "state"),
    [
        ("+days/2026-01-09", "1:materialize:raw/days|2026-01-09", None, ""),
        ("+days/2026-01-10", "0:skip:raw/days|2026-01-10", OPEN, "waits"),
        (
            "+days/2025-12-31",
            "0:skip:raw/days|2025-12-31",
            "it has no partition '2025-12-31': its first one begins 2026-01-01 00:00 UTC",
            "unknown",
        ),
        (
            "-days/2025-12-31",
            "0:skip:raw/days|2025-12-31",
            "it has no partition '2025-12-31': its first one begins 2026-01-01 00:00 UTC",
            "unknown settles",
        ),
        ("+both/eu/2026-01-09", "1:materialize:raw/both|2026-01-09|eu", None, ""),
        ("+both/eu/2026-01-10", "0:skip:raw/both|2026-01-10|eu", f"dimension date: {OPEN}", "waits"),
        (
            "+wrong/eu/2026-01-09",
            "0:skip:raw/both|2026-01-09|eu",
            "its dimensions are date, region, but the rule gives the partition by day, region",
            "unknown",
        ),
    ],
)
def test_keys_that_are_none(word: str, target: str, reason: str | None, state: str) -> None:
    made = plan(BOOK, word, now=NOW)
    (one,) = made.targets
    assert summary(made) == [target]
    assert one.reason == reason
    assert made.warnings == (() if reason is None else (f"{one.target.text}: {reason}",))
    flags = {"unknown": one.unknown, "settles": one.settles, "waits": one.ready is not None}
    assert {name for name, is_so in flags.items() if is_so} == set(state.split())


def test_a_file_that_only_waits_is_not_told_every_time() -> None:
    """Its content is recorded, its month is not over."""
    path = b"data/1_raw/days/2026-01-08"
    entry = Entry("100644", "1")
    reflecting = ("days|2026-01-08", "weekly|2026-01-05", "two_days|2026-01-08", "two_days|2026-01-09")
    record = Record("tree", {path: dict.fromkeys((*reflecting, "both", "after_weekly"), entry)})
    seen = ChangeSet(Base("recorded", "", "tree", ""), Desired("worktree", ""), (Change(path, None, entry),))
    made = make_plan(seen, PARTS, Options("local", downstream="all", now=NOW), record=record)
    assert {t.target.text: t.action for t in made.targets} == {
        "monthly|2026-01-01": "skip",
        "of_month|2026-01-01": "skip",
        "mine": "skip",
    }
    assert made.asleep == {path}
    out = io.StringIO()
    TextRenderer(Console(file=out)).plan(made, brief=True)
    waits = "data/1_raw/days/2026-01-08 waits for partitions whose time window is open, until 2026-02-01 00:00 UTC"
    assert out.getvalue() == f"{waits}\n"
    assert words.standing(made) == waits
    assert words.left_undone(made, {}) is None
    later = make_plan(seen, PARTS, Options("local", downstream="all", now=NOW + 30 * 86400), record=record)
    assert summary(later)[1:] == ["1:materialize:monthly|2026-01-01", "1:materialize:of_month|2026-01-01"]
    assert not later.asleep


@pytest.mark.parametrize(
    ("changed", "brief", "full"),
    [
        (
            "+days/2026-01-10",
            "data/1_raw/days/2026-01-10 waits for partitions whose time window is open, until 2026-01-11 00:00 UTC",
            f"  skip raw/days|2026-01-10  ({OPEN})",
        ),
        (
            "+days/2026-01-10 +both/eu/2026-01-11",
            "2 files wait for partitions whose time window is open, the first until 2026-01-11 00:00 UTC",
            "  skip raw/days|2026-01-10",
        ),
        (
            "+both/mars/2026-01-09 +days/2026-01-10",
            "raw/both|2026-01-09|mars: dimension region: it has no partition 'mars' (raw-trigger.yaml:2); "
            "data/1_raw/days/2026-01-10 waits for partitions whose time window is open, until 2026-01-11 00:00 UTC",
            "  skip raw/both|2026-01-09|mars  (dimension region: it has no partition 'mars')",
        ),
        ("+days/2026-01-10 +days/2026-01-09", None, f"  skip raw/days|2026-01-10  ({OPEN})"),
        ("-days/2025-12-31", None, "  skip raw/days|2025-12-31"),
        ("+days/2026-01-10 +lost", None, f"  skip raw/days|2026-01-10  ({OPEN})"),
    ],
)
def test_keys_that_are_none_are_told_once(changed: str, brief: str | None, full: str) -> None:
    """A hook that has nothing else to tell does so on one line."""
    made = plan(BOOK, *changed.split(), now=NOW)
    assert words.standing(made) == brief
    out = io.StringIO()
    TextRenderer(Console(file=out)).plan(made)
    told = out.getvalue()
    assert full in told
    assert told.count("is no partition yet") + told.count("has no partition") == len(
        [t for t in made.targets if t.action == "skip"]
    )


def test_check_tells_of_keys_that_the_definition_does_not_have() -> None:
    names = [
        "days/2026-01-09",
        "days/2026-01-10",
        "days/2026-02-01",
        "days/2025-12-31",
        "wrong/eu/2026-01-09",
    ]
    paths = [f"data/1_raw/{name}".encode() for name in names]
    found = check(BOOK, SHOP, dict.fromkeys(paths, Entry("100644", "0")), "raw-trigger.yaml", now=NOW)
    told = [(f.severity, f.where, f.message) for f in found if f.where in {p.decode() for p in paths}]
    assert told == [
        (
            "error",
            "data/1_raw/days/2025-12-31",
            "asset 'raw/days': it has no partition '2025-12-31': its first one begins 2026-01-01 00:00 UTC"
            " (raw-trigger.yaml:1)",
        ),
        (
            "error",
            "data/1_raw/wrong/eu/2026-01-09",
            "asset 'raw/both': its dimensions are date, region, but the rule gives the partition by day, region"
            " (raw-trigger.yaml:3)",
        ),
        (
            "warning",
            "data/1_raw/days/2026-02-01",
            "asset 'raw/days': '2026-02-01' is no partition yet: its window ends 2026-02-02 00:00 UTC"
            " (raw-trigger.yaml:1)",
        ),
    ]


FILES = Partitions("dynamic", name="files")
DELETED = catalog(
    raw__users={},
    raw__regions={"partitions": REGIONS},
    raw__files={"partitions": FILES},
    raw__names={"partitions": FILES},
    outside={"kind": "external"},
    below={"parents": ("raw/files",), "partitions": FILES},
    total={"parents": ("raw/files",)},
    far_total={"parents": ("below",)},
)
DELETIONS = book(
    rule("users", "raw/users"),
    rule("outside", "outside"),
    rule("regions/{r}", "raw/regions", partition="{r}"),
    rule("files/{f}", "raw/files", partition="{f}"),
    rule("names/{f}", "raw/names", partition="{f}"),
    assets=DELETED,
)


@pytest.mark.parametrize(
    ("path", "policy", "fed", "expected"),
    [
        ("users", "auto", "", "0:skip:raw/users data/1_raw/users is deleted and nothing else feeds it:"),
        ("users", "auto", "raw/users", "1:materialize:raw/users a file that fed it is deleted"),
        (
            "users",
            "delete-partition",
            "",
            "0:skip:raw/users data/1_raw/users is deleted, but it has no partitions:",
        ),
        (
            "regions/eu",
            "delete-partition",
            "",
            "0:skip:raw/regions|eu data/1_raw/regions/eu is deleted, but its partitions are not dynamic:",
        ),
        (
            "regions/eu",
            "delete-partition",
            "raw/regions|eu",
            "1:materialize:raw/regions|eu a file that fed it is deleted",
        ),
        ("outside", "auto", "", "1:report:outside deleted"),
        ("outside", "auto", "outside", "1:report:outside deleted"),
        (
            "files/a",
            "auto",
            "",
            "1:delete-partition:raw/files|a data/1_raw/files/a is deleted and nothing else feeds it",
        ),
        (
            "files/a",
            "delete-partition",
            "",
            "1:delete-partition:raw/files|a data/1_raw/files/a is deleted and nothing else feeds it",
        ),
        ("files/a", "auto", "raw/files|a", "1:materialize:raw/files|a a file that fed it is deleted"),
        (
            "files/a",
            "auto",
            "raw/names|a",
            "0:skip:raw/files|a data/1_raw/files/a is deleted, but partition 'a' stays: a file feeds it in raw/names:",
        ),
        (
            "files/a",
            "skip",
            "",
            "0:skip:raw/files|a data/1_raw/files/a is deleted and nothing else feeds it:",
        ),
        ("files/a", "materialize", "", "1:materialize:raw/files|a a file that fed it is deleted"),
    ],
)
def test_deletions(path: str, policy: str, fed: str, expected: str) -> None:
    made = make_plan(
        changes("-" + path),
        DELETIONS,
        Options("local", on_delete=policy, downstream="none"),
        files=Feeding(lambda target: target.text == fed),
    )
    (one,) = made.targets
    stale = ": its last materialization is now stale"
    said = f"{summary(made)[0]} {one.reason}"
    assert said == (expected.removesuffix(":") + stale if expected.endswith(":") else expected)
    assert one.settles == (one.action == "skip")
    assert made.warnings == ((f"{one.target.text}: {one.reason}",) if one.action == "skip" else ())


def test_what_is_downstream_of_a_deleted_partition() -> None:
    """What has the same partitions loses it too; what is made from all of them is made without it."""
    made = plan(DELETIONS, "-files/a", "-files/b", "+files/c", downstream="all")
    assert summary(made) == [
        "1:delete-partition:raw/files|a",
        "1:delete-partition:raw/files|b",
        "2:materialize:below|c",
        "2:materialize:raw/files|c",
        "3:materialize:far_total",
        "3:materialize:total",
    ]
    assert summary(plan(DELETIONS, "-files/a", downstream="all")) == [
        "1:delete-partition:raw/files|a",
        "2:materialize:far_total",
        "2:materialize:total",
    ]


WEEKLY = Partitions("time", format="%Y-%m-%d", start="2025-12-29", cron="0 0 * * 1", timezone="UTC")
MONTHLY = Partitions("time", format="%Y-%m-%d", start="2025-12-01", cron="0 0 1 * *", timezone="UTC")
OWN = PartitionMapping("other", name="Mine")
BEFORE = PartitionMapping("time", start_offset=-1)

TIMES = catalog(
    days={"partitions": DAILY, "group": "raw"},
    weekly={"partitions": WEEKLY, "parents": ("days",)},
    monthly={"partitions": MONTHLY, "parents": ("days",)},
    of_month={"partitions": MONTHLY, "parents": ("monthly",)},
    both={"parents": ("monthly", "days")},
    two_days={"partitions": DAILY, "parents": ("days",), "mappings": (("days", BEFORE),)},
    mine={"partitions": WEEKLY, "parents": ("days",), "mappings": (("days", OWN),)},
    after_weekly={"parents": ("weekly",)},
    whole={"group": "raw"},
    every_day={"partitions": DAILY, "parents": ("whole",)},
    regions={"partitions": REGIONS, "group": "raw"},
    grid={"partitions": BOTH, "parents": ("regions",)},
    outside={"kind": "external", "group": "raw", "partitions": DAILY},
    outside_weekly={"partitions": WEEKLY, "parents": ("outside",)},
)
PARTS = book(
    *(rule(f"{key}/{{d}}", key, partition="{d}") for key in ("days", "regions", "outside")), assets=TIMES
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "+days/2026-01-03 +days/2026-01-04 +days/2026-01-08",
            [
                "skip:mine",
                "skip:monthly|2026-01-01",
                "skip:of_month|2026-01-01",
                "skip:weekly|2026-01-05",
                "materialize:days|2026-01-03",
                "materialize:days|2026-01-04",
                "materialize:days|2026-01-08",
                "materialize:after_weekly",
                "materialize:both",
                "materialize:two_days|2026-01-03",
                "materialize:two_days|2026-01-04",
                "materialize:two_days|2026-01-05",
                "materialize:two_days|2026-01-08",
                "materialize:two_days|2026-01-09",
                "materialize:weekly|2025-12-29",
            ],
        ),
        (
            "+whole.csv",
            ["materialize:whole", *(f"materialize:every_day|2026-01-{n:02}" for n in range(1, 10))],
        ),
        (
            "+regions/eu",
            [
                "materialize:regions|eu",
                *(f"materialize:grid|2026-01-{n:02}|eu" for n in range(1, 10)),
            ],
        ),
    ],
)
def test_what_is_downstream_of_partitions(words: str, expected: list[str]) -> None:
    made = plan(PARTS, *words.split(), downstream="all", now=NOW)
    actions = {f"{t.action}:{t.target.text}" for t in made.targets}
    assert actions == set(expected)
    assert made.warnings == tuple(one.sentence for one in made.targets if one.settles)
    assert all(warning.endswith(": materialize it by hand") for warning in made.warnings)
    numbers = {t.target: t.batch for t in made.targets}
    for one in made.actionable:
        assert all(numbers[before] <= one.batch for before in one.after)


def test_what_waits_and_why() -> None:
    made = plan(PARTS, "+days/2026-01-08", "+days/2026-01-10", downstream="all", now=NOW)
    by_name = {t.target.text: t for t in made.targets}
    open_ = {name: (t.reason, t.settles) for name, t in by_name.items() if t.action == "skip"}
    month = "'2026-01-01' is no partition yet: its window ends 2026-02-01 00:00 UTC"
    week = "'2026-01-05' is no partition yet: its window ends 2026-01-12 00:00 UTC"
    assert open_ == {
        "days|2026-01-10": (OPEN, False),
        "two_days|2026-01-10": (OPEN, False),
        "two_days|2026-01-11": (OPEN.replace("10", "11").replace("01-11 00", "01-12 00"), False),
        "monthly|2026-01-01": (month, False),
        "of_month|2026-01-01": (month, False),
        "weekly|2026-01-05": (week, False),
        "after_weekly": ("it waits for weekly|2026-01-05", False),
        "mine": (
            "downstream of days, but only Mine knows which of its partitions are made from it: "
            "materialize it by hand",
            True,
        ),
    }
    assert by_name["both"].action == "materialize"
    assert made.warnings[0] == f"days|2026-01-10: {OPEN}"
    waits = {name: [t.text for t in one.after] for name, one in by_name.items()}
    assert waits["two_days|2026-01-09"] == ["days|2026-01-08"]
    assert waits["both"] == ["days|2026-01-08"]


def test_a_week_waits_for_its_own_days_only() -> None:
    made = plan(
        PARTS, "+days/2026-01-01", "+days/2026-01-02", "+days/2026-01-06", downstream="all", now=NOW + 9e5
    )
    waits = {t.target.text: [a.text for a in t.after] for t in made.targets}
    assert waits["weekly|2025-12-29"] == ["days|2026-01-01", "days|2026-01-02"]
    assert waits["weekly|2026-01-05"] == ["days|2026-01-06"]


def test_below_an_external_asset() -> None:
    made = plan(PARTS, "+outside/2026-01-02", now=NOW)
    assert summary(made) == ["1:report:outside|2026-01-02", "2:materialize:outside_weekly|2025-12-29"]


def test_what_newly_feeds_a_day() -> None:
    found = Lineage(TIMES, "all", NOW).made_from(Target("days", "2026-01-02"))
    assert [t.text for t in found] == [
        "after_weekly",
        "both",
        "days|2026-01-02",
        "monthly|2026-01-01",
        "of_month|2026-01-01",
        "two_days|2026-01-02",
        "two_days|2026-01-03",
        "weekly|2025-12-29",
    ]
    assert Lineage(TIMES, "auto").made_from(Target("days", "2026-01-02")) == [Target("days", "2026-01-02")]


RANGES = catalog(
    one={"partitions": DAILY, "partitions_per_run": 0},
    two={"partitions": DAILY, "partitions_per_run": 0, "parents": ("one",)},
    pairs={"partitions": DAILY, "partitions_per_run": 2},
    each={"partitions": DAILY, "parents": ("one",)},
    above={"partitions": DAILY},
    below={"partitions": DAILY, "partitions_per_run": 0, "parents": ("above",)},
    left={"partitions": DAILY, "partitions_per_run": 0, "execution_set": ("left", "right")},
    right={"partitions": DAILY, "partitions_per_run": 0, "execution_set": ("left", "right")},
    letters={"partitions": Partitions("static", keys=("c", "a", "b", "d")), "partitions_per_run": 0},
    files={"partitions": FILES, "partitions_per_run": 0},
)
EACH = book(*(rule(f"{key}/{{d}}", key, partition="{d}") for key in RANGES.assets), assets=RANGES)


def batches(*words: str, **options: Any) -> list[list[str]]:
    """The batches of a plan, in their order; days of January by their numbers."""
    made = plan(EACH, *words, now=NOW, **options)
    found: dict[int, list[str]] = {}
    for one in made.actionable:
        text = one.target.text.replace("2026-01-0", "")
        found.setdefault(one.batch, []).append(text)
    return [sorted(members) for _, members in sorted(found.items())]


def days(key: str, numbers: str) -> list[str]:
    return [f"+{key}/2026-01-0{n}" for n in numbers]


@pytest.mark.parametrize(
    ("words", "options", "expected"),
    [
        (days("one", "123"), {}, ["one|1 one|2 one|3"]),
        (days("one", "12467"), {}, ["one|1 one|2", "one|4", "one|6 one|7"]),
        (days("one", "12345"), {"batch_size": 2}, ["one|1 one|2", "one|3 one|4", "one|5"]),
        (days("pairs", "12345"), {}, ["pairs|1 pairs|2", "pairs|3 pairs|4", "pairs|5"]),
        (days("left", "123"), {}, ["left|1 left|2 left|3 right|1 right|2 right|3"]),
        (days("left", "123"), {"batch_size": 4}, ["left|1 left|2 right|1 right|2", "left|3 right|3"]),
        (days("one", "12"), {"downstream": 1}, ["one|1 one|2 two|1 two|2", "each|1", "each|2"]),
        ([*days("one", "123"), *days("two", "12")], {}, ["one|1 one|2 one|3", "two|1 two|2"]),
        # The third day of below has to wait for above: so has the whole range.
        ([*days("below", "123"), *days("above", "3")], {}, ["above|3", "below|1 below|2 below|3"]),
        (["+letters/a", "+letters/b", "+letters/c"], {}, ["letters|a letters|b letters|c"]),
        (["+letters/a", "+letters/c", "+letters/d"], {}, ["letters|a letters|c", "letters|d"]),
        (["+files/a", "+files/b"], {}, ["files|a", "files|b"]),
    ],
)
def test_partitions_that_one_run_makes(
    words: list[str], options: dict[str, Any], expected: list[str]
) -> None:
    assert batches(*words, **options) == [one.split() for one in expected]


def test_only_what_was_asked_for_is_shown() -> None:
    words_ = ["+days/2026-01-08", "+days/2026-01-09", "+both/eu/2026-01-08", "+lost", "+both/mars/2026-01-08"]
    ranges = (("2026-01-09", "2026-01-09"),)
    made = plan(BOOK, *words_, now=NOW, narrowing=Narrowing(partitions=ranges))
    assert told(made, brief=True) == [
        "1 raw file changed  A → B",
        "  A data/1_raw/days/2026-01-09 → raw/days|2026-01-09",
        "  4 more changed, but not asked for",
    ]
    assert told(made)[3:] == [
        "1 asset to materialize or report",
        "  materialize raw/days|2026-01-09",
    ]
    # What waits was not asked for either.
    assert told(plan(BOOK, *words_, "+days/2026-01-10", now=NOW, narrowing=Narrowing(partitions=ranges)))[
        2:3
    ] == ["  5 more changed, but not asked for"]
    none = plan(BOOK, *words_, now=NOW, narrowing=Narrowing(partitions=(("2026-01-07", "2026-01-07"),)))
    pending = "pending are 2026-01-08, 2026-01-08|eu, 2026-01-08|mars, 2026-01-09"
    assert told(none) == [
        "Nothing to do: 5 changed raw files, but none that was asked for.",
        f"warning: nothing is pending for the partition '2026-01-07': {pending}; `--all` takes what is recorded too",
    ]
    assert pending.replace("|", "&#124;").replace("-", "&#45;") in "".join(markdown.render(none))


@pytest.mark.parametrize(
    ("days", "line"),
    [
        (1, "|2026-01-01"),
        (2, "  2 partitions: 2026-01-01, 2026-01-02"),
        (9, "  9 partitions: 2026-01-01 … 2026-01-09"),
    ],
)
def test_the_partitions_of_one_asset_are_one_line(days: int, line: str) -> None:
    made = plan(
        BOOK, *(f"+days/2026-01-{day:02}" for day in range(1, days + 1)), "+both/eu/2026-01-09", now=NOW
    )
    assert told(made)[-2:] == ["  materialize raw/both|2026-01-09|eu", f"  materialize raw/days{line}"]
    table = "".join(markdown.render(made)).split("| asset |")[1]
    assert table.count("`raw/days") == 1


def test_a_file_that_feeds_many_partitions_names_the_first() -> None:
    made = plan(BOOK, "+days/2026-01-09", now=NOW)
    targets = tuple(Target("raw/days", f"2026-01-0{day}") for day in range(1, 9))
    [line] = words.lines(replace(made, changes=(replace(made.changes[0], targets=targets),)))
    assert line.fate.endswith("raw/days|2026-01-05 and 3 more")
    assert line.targets == tuple(target.text for target in targets)


def told(made: Plan, *, brief: bool = False) -> list[str]:
    out = io.StringIO()
    TextRenderer(Console(file=out)).plan(made, brief=brief)
    return out.getvalue().splitlines()
