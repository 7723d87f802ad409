"""Plans, row by row."""

from __future__ import annotations

import itertools
import random

import pytest

from raw_trigger.mapping.clauses import Affected
from raw_trigger.mapping.rules import Match
from raw_trigger.model.assets import Catalog, Partitions
from raw_trigger.model.changes import Entry, show
from raw_trigger.model.plan import Disk, Narrowing, Options, Target
from raw_trigger.model.record import Record
from raw_trigger.model.settings import Rows
from raw_trigger.planning.files import NoFiles
from raw_trigger.planning.plan import make_plan
from tests.unit.conftest import DAILY, REGIONS, book, catalog, changes, plan, rule, summary

SHOP = catalog(
    raw__users={},
    raw__orders={},
    raw__days={"partitions": DAILY},
    raw__regions={"partitions": REGIONS},
    out__external={"kind": "external"},
    child={"parents": ("out/external",)},
    grandchild={"parents": ("child",)},
    joined={"parents": ("raw/users", "raw/orders")},
    daily={"parents": ("raw/days",), "partitions": DAILY},
    total={"parents": ("daily",)},
    raw__left={"execution_set": ("raw/left", "raw/right")},
    raw__right={"execution_set": ("raw/left", "raw/right")},
)
RULES = [
    rule("days/{d:%Y-%m-%d}", "raw/days", partition="{d}"),
    rule("regions/{r}", "raw/regions", partition="{r}"),
    rule("external", "out/external"),
    rule("joint", "raw/users", "raw/orders"),
    rule("*.txt"),
    rule("wrong/{x}", "raw/{x}"),
]
BOOK = book(*RULES, assets=SHOP)


@pytest.mark.parametrize(
    ("words", "options", "expected"),
    [
        ("", {}, []),
        ("~users.csv", {}, ["1:materialize:raw/users"]),
        ("~a.txt", {}, []),
        ("~unknown.csv", {}, []),
        ("~users.csv +orders.csv", {}, ["1:materialize:raw/orders", "1:materialize:raw/users"]),
        ("~joint", {}, ["1:materialize:raw/orders", "1:materialize:raw/users"]),
        (
            "~users.csv +orders.csv",
            {"downstream": "all"},
            ["1:materialize:joined", "1:materialize:raw/orders", "1:materialize:raw/users"],
        ),
        (
            "~days/2026-01-02 ~days/2026-01-01",
            {},
            ["1:materialize:raw/days|2026-01-01", "2:materialize:raw/days|2026-01-02"],
        ),
        (
            "~days/2026-01-02",
            {"downstream": "all"},
            ["1:materialize:daily|2026-01-02", "1:materialize:raw/days|2026-01-02", "2:materialize:total"],
        ),
        (
            "~days/2026-01-02",
            {"downstream": 1},
            ["1:materialize:daily|2026-01-02", "1:materialize:raw/days|2026-01-02"],
        ),
        ("~external", {}, ["1:report:out/external", "2:materialize:child"]),
        ("~external", {"downstream": "none"}, ["1:report:out/external"]),
        (
            "~external",
            {"downstream": 2},
            ["1:report:out/external", "2:materialize:child", "2:materialize:grandchild"],
        ),
        ("-external", {"on_delete": "auto"}, ["1:report:out/external", "2:materialize:child"]),
        ("~regions/eu", {}, ["1:materialize:raw/regions|eu"]),
        ("~regions/mars", {}, ["0:skip:raw/regions|mars"]),
        ("~left.csv", {}, ["1:materialize:raw/left", "1:materialize:raw/right"]),
        ("-users.csv", {}, ["0:skip:raw/users"]),
        ("-users.csv", {"on_delete": "materialize"}, ["1:materialize:raw/users"]),
        ("-users.csv", {"on_delete": "report"}, ["1:report:raw/users"]),
        ("-users.csv", {"on_delete": "fail"}, ["0:skip:raw/users"]),
        ("-users.csv", {"on_delete": "skip", "feeds": True}, ["0:skip:raw/users"]),
        ("-users.csv", {"feeds": True}, ["1:materialize:raw/users"]),
        ("-users.csv +x/users.csv", {}, ["1:materialize:raw/users"]),
        (
            "~users.csv ~orders.csv",
            {"narrowing": Narrowing(("raw/users",))},
            ["0:skip:raw/orders", "1:materialize:raw/users"],
        ),
        ("~users.csv ~orders.csv", {"narrowing": Narrowing((), ("us*.csv",))}, ["1:materialize:raw/users"]),
        (
            "~left.csv",
            {"narrowing": Narrowing(("raw/right",))},
            ["1:materialize:raw/left", "1:materialize:raw/right"],
        ),
        (
            "~users.csv ~orders.csv ~left.csv",
            {"batch_size": 2},
            [
                "1:materialize:raw/left",
                "1:materialize:raw/right",
                "2:materialize:raw/orders",
                "2:materialize:raw/users",
            ],
        ),
    ],
)
def test_targets(words: str, options: dict[str, object], expected: list[str]) -> None:
    assert summary(plan(BOOK, *words.split(), **options)) == expected


@pytest.mark.parametrize(
    ("word", "disposition", "rule_name", "reason"),
    [
        ("~users.csv", "planned", "convention", None),
        ("~a.txt", "ignored", "raw-trigger.yaml:5", None),
        ("~unknown.csv", "unmapped", None, "no rule, metadata or convention maps it to an asset"),
        (
            "~wrong/user",
            "unmapped",
            "raw-trigger.yaml:6",
            "asset 'raw/user' is not in the Dagster project; did you mean 'raw/users'?",
        ),
    ],
)
def test_dispositions(word: str, disposition: str, rule_name: str | None, reason: str | None) -> None:
    [change] = plan(BOOK, word).changes
    assert (change.disposition, change.rule, change.reason) == (disposition, rule_name, reason)


def test_what_is_on_disk_stands_in_the_way_of_a_mapped_file_only() -> None:
    paths = [f"data/1_raw/{name}".encode() for name in ("users.csv", "a.txt", "unknown.csv")]
    disk = Disk(dirty=dict.fromkeys(paths, "edited"), missing={b"data/1_raw/orders.csv": "git lfs pull"})
    made = plan(BOOK, "~users.csv", "~a.txt", "~unknown.csv", "~orders.csv", disk=disk)
    assert [c.disposition for c in made.changes] == ["ignored", "missing-content", "unmapped", "dirty"]
    assert made.targets == ()
    assert [c.reason for c in made.waiting] == ["git lfs pull", "edited"]


@pytest.mark.parametrize(
    ("asked", "downstream", "waiting"),
    [
        ("raw/orders", "auto", []),
        ("raw/users", "auto", ["users.csv"]),
        # `joined` is made from users too, and is not up to date without them.
        ("joined", "all", ["users.csv"]),
        ("joined", "none", []),
    ],
)
def test_only_what_is_asked_for_waits(asked: str, downstream: str, waiting: list[str]) -> None:
    disk = Disk(missing={b"data/1_raw/users.csv": "git lfs pull"})
    narrowing = Narrowing((asked,))
    made = plan(BOOK, "~users.csv", "~orders.csv", disk=disk, downstream=downstream, narrowing=narrowing)
    assert [show(one.change.path)[len("data/1_raw/") :] for one in made.waiting] == waiting
    assert made.left_out == 1 - len(waiting)


def test_without_a_catalog_only_the_files_rules_are_known() -> None:
    made = plan(book(*RULES, assets=None), "~users.csv", "~joint", "~wrong/user")
    assert [c.disposition for c in made.changes] == ["planned", "unmapped", "planned"]
    assert summary(made) == ["1:materialize:raw/orders", "1:materialize:raw/user", "1:materialize:raw/users"]
    assert made.errors == ()


def test_a_batch_waits_for_those_before_it() -> None:
    made = plan(BOOK, "~external", "~days/2026-01-02", downstream="all")
    waits = {t.target.text: [a.text for a in t.after] for t in made.targets}
    assert waits == {
        "child": ["out/external"],
        "daily|2026-01-02": ["raw/days|2026-01-02"],
        "grandchild": ["child", "out/external"],
        "out/external": [],
        "raw/days|2026-01-02": [],
        "total": ["daily|2026-01-02", "raw/days|2026-01-02"],
    }


@pytest.mark.parametrize("names", [range(1100), range(1100, 0, -1)], ids=["first to last", "last to first"])
def test_a_long_chain_of_assets(names: range) -> None:
    """Longer than Python's stack is deep."""
    keys = [f"a{i:04}" for i in names]
    chain = {key: {"parents": (above,)} for above, key in itertools.pairwise(keys)}
    assets = catalog(**{keys[0]: {"group": "raw"}, **chain})
    made = plan(book(assets=assets), f"~{keys[0]}.csv", downstream="all", batch_size=5000)
    assert len(made.targets) == 1100
    assert {t.batch for t in made.targets} == {1}


def test_what_is_above_by_way_of_two_is_waited_for() -> None:
    """`raw/middle` is above the last one by itself too, and is not planned."""
    assets = catalog(
        raw__a={"parents": ("raw/middle", "raw/b")},
        raw__b={"parents": ("raw/middle",)},
        raw__middle={"parents": ("raw/first",)},
        raw__first={},
    )
    made = plan(book(assets=assets), "~a.csv", "~b.csv", "~first.csv")
    waits = {t.target.asset: [one.asset for one in t.after] for t in made.targets}
    assert waits == {"raw/a": ["raw/b", "raw/first"], "raw/b": ["raw/first"], "raw/first": []}


def test_no_batch_needs_anything_of_a_later_one() -> None:
    """A chain between two locations, the last of which sorts first."""
    keys = [f"a{i}" for i in range(9, 0, -1)]
    chain = {
        key: {"parents": (above,), "location": f"number {n % 2}"}
        for n, (above, key) in enumerate(itertools.pairwise(keys))
    }
    assets = catalog(**{keys[0]: {"group": "raw"}, **chain})
    made = plan(book(assets=assets), "~a9.csv", downstream="all")
    assert {t.target.asset: t.batch for t in made.targets} == {key: n for n, key in enumerate(keys, 1)}


def test_a_downstream_asset_that_is_partitioned_differently_is_said_to_be_left() -> None:
    assets = catalog(raw__days={"partitions": DAILY}, other={"parents": ("raw/days",), "partitions": REGIONS})
    made = plan(book(RULES[0], assets=assets), "~days/2026-01-02", downstream="all")
    assert summary(made) == ["0:skip:other", "1:materialize:raw/days|2026-01-02"]
    assert made.warnings == (
        "other: downstream of raw/days, but it is partitioned differently: materialize it by hand",
    )


@pytest.mark.parametrize(
    ("word", "options", "warnings", "errors"),
    [
        ("~users.csv", {}, [], []),
        ("~regions/mars", {}, ["raw/regions|mars: it has no partition 'mars'"], []),
        (
            "-users.csv",
            {},
            [
                "raw/users: data/1_raw/users.csv is deleted and nothing else feeds it: "
                "its last materialization is now stale"
            ],
            [],
        ),
        (
            "-users.csv",
            {"on_delete": "fail"},
            [],
            ["data/1_raw/users.csv is deleted, and on_delete is fail for raw/users"],
        ),
        (
            "~unknown.csv",
            {"unmapped": "fail"},
            [],
            [
                "data/1_raw/unknown.csv: no rule, metadata or convention maps it to an asset, and unmapped is fail"
            ],
        ),
    ],
)
def test_what_somebody_has_to_know(
    word: str, options: dict[str, object], warnings: list[str], errors: list[str]
) -> None:
    made = plan(BOOK, word, **options)
    assert (list(made.warnings), list(made.errors)) == (warnings, errors)


def test_a_plan_is_the_same_whatever_the_order_of_the_changes() -> None:
    words = [
        "~users.csv",
        "-orders.csv",
        "~external",
        "~days/2026-01-01",
        "~days/2026-01-02",
        "~left.csv",
        "+a.txt",
    ]
    expected = plan(BOOK, *words, downstream="all")
    shuffled = list(changes(*words).changes)
    random.Random(7).shuffle(shuffled)
    made = make_plan(
        changes(*words),
        book(*RULES, assets=Catalog(dict(reversed(SHOP.assets.items())))),
        Options("local", downstream="all"),
    )
    assert made == expected
    assert plan(BOOK, *reversed(words), downstream="all").fingerprint == expected.fingerprint


def test_the_fingerprint_tells_contents_apart() -> None:
    assert plan(BOOK, "~users.csv").fingerprint == plan(BOOK, "+users.csv").fingerprint
    assert (
        plan(BOOK, "~users.csv").fingerprint != plan(BOOK, "-users.csv", on_delete="materialize").fingerprint
    )
    assert plan(BOOK, "~users.csv").fingerprint != plan(BOOK, "~orders.csv").fingerprint


def test_two_versions_of_a_table_are_compared_once_and_not_for_each_row() -> None:
    keys = catalog(keys={"partitions": Partitions("dynamic", name="keys")})
    rules = book(rule("table", "keys", rows=Rows(("id",), partition="{id}")), assets=keys)
    targets = tuple(Target("keys", str(n)) for n in range(50))
    compared = []

    class Table(NoFiles):
        def compare(self, path: bytes, match: Match, old: Entry | None, new: Entry | None) -> Affected:
            compared.append((old, new))
            return Affected(targets)

    made = make_plan(changes("~table"), rules, Options("local"), files=Table(), record=Record("1" * 40))
    assert len(made.actionable) == len(targets)
    assert len(compared) <= 2


@pytest.mark.parametrize("size", [200, 1])
def test_what_one_function_makes_is_one_unit_though_only_some_of_it_waits(size: int) -> None:
    """One of three is made from what is only reported, in a batch of its own; one run makes all three."""
    mates = ("m/a", "m/b", "m/c")
    made_together = {"execution_set": mates}
    assets = catalog(
        raw__ext={"kind": "external"},
        m__a=made_together,
        m__b={**made_together, "parents": ("raw/ext",)},
        m__c=made_together,
        below={"parents": ("m/a",)},
    )
    made = plan(book(assets=assets), "~ext.csv", downstream="all", batch_size=size)
    numbers = {t.target.asset: t.batch for t in made.targets}
    assert numbers == {"raw/ext": 1, "m/a": 2, "m/b": 2, "m/c": 2, "below": 2}
