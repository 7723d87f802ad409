"""Which rule decides, and what it says."""

from __future__ import annotations

import pytest

from raw_trigger.errors import ConfigError
from raw_trigger.mapping.rules import Match, RuleBook
from raw_trigger.model.changes import to_bytes
from raw_trigger.model.plan import Target
from raw_trigger.model.settings import Config
from tests.unit.conftest import book, catalog, rule

PROJECT = catalog(
    raw__users={},
    raw__eu__orders={},
    other__deep={"group": "raw"},
    raw__named={"metadata": (("path", "data/1_raw/odd name.csv"), ("note", "users and more"))},
    raw__folder={"metadata": (("path", "data/1_raw/notes/"),)},
    raw__globbed={"metadata": (("dagster/uri", "file:///top/data/1_raw/g/%20*.json"),)},
    raw__absolute={"metadata": (("path", "/top/data/1_raw/abs.csv"),)},
    raw__both={"metadata": (("path", "data/1_raw/odd name.csv"),)},
    made={},
)


@pytest.mark.parametrize(
    ("path", "rule_name", "targets"),
    [
        ("users.csv", "convention", ["raw/users"]),
        ("sub/users.csv", "convention", ["raw/users"]),
        ("eu/orders.csv", "convention", ["raw/eu/orders"]),
        ("raw/eu/orders", "convention", ["raw/eu/orders"]),
        ("deep.txt", "convention", ["other/deep"]),
        ("named.csv", None, []),
        ("made.csv", None, []),
        ("odd name.csv", "metadata of raw/both, raw/named", ["raw/both", "raw/named"]),
        ("notes/a/b.txt", "metadata of raw/folder", ["raw/folder"]),
        ("notes", "metadata of raw/folder", ["raw/folder"]),
        ("g/ 1.json", "metadata of raw/globbed", ["raw/globbed"]),
        ("abs.csv", "metadata of raw/absolute", ["raw/absolute"]),
        ("other.csv", None, []),
    ],
)
def test_what_the_catalog_tells(path: str, rule_name: str | None, targets: list[str]) -> None:
    match = book(assets=PROJECT).match(f"data/1_raw/{path}".encode())
    assert (match.rule if match else None) == rule_name
    assert [t.asset for t in (match.targets if match else ())] == targets


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("data/1_raw/x.csv", "x.csv"),
        ("./data//1_raw/x.csv", "x.csv"),
        ("data/1_raw", "any/where.csv"),
        ("data/1_raw/*/x?.csv", "a/x1.csv"),
        ("data/1_raw/**/*.csv", "a/b/x.csv"),
        ("file:data/1_raw/x.csv", "x.csv"),
        ("file:/top/data/1_raw/x.csv", "x.csv"),
        ("file:///top/data/1_raw/x.csv", "x.csv"),
        ("file://localhost/top/data/1_raw/x.csv", "x.csv"),
        ("file:////top/data/1_raw/x.csv", "x.csv"),
        ("file:///top/data/1_raw/x?.csv#sheet", "x1.csv"),
        ("file:///top/data/1_raw/%FF%3f.csv", "\udcff?.csv"),
        ("file:///elsewhere/data/1_raw/x.csv", None),
        ("s3://bucket/data/1_raw/x.csv", None),
        ("data/1_rawer/x.csv", None),
        ("nothing but\ndata/1_raw/x.csv", None),
    ],
)
def test_ways_to_name_a_path_in_metadata(value: str, path: str | None) -> None:
    rules = book(assets=catalog(a={"metadata": (("dagster/uri", value),)}))
    fed = [name for name in ("x.csv", path) if name and rules.feeds(to_bytes(f"data/1_raw/{name}"))]
    assert (path in fed) if path else not fed


def test_the_first_rule_of_the_file_decides_before_all_others() -> None:
    rules = book(
        rule("users.csv", "special"),
        rule("**/*.csv", "raw/{stem}"),
        rule("users.csv", "never"),
        rule("x/users.csv", "never"),
        rule("**", ignore=True),
        assets=PROJECT,
    )
    assert rules.match(b"data/1_raw/users.csv") == Match("raw-trigger.yaml:1", (Target("special"),))
    assert rules.match(b"data/1_raw/x/users.csv") == Match("raw-trigger.yaml:2", (Target("raw/users"),))
    assert rules.match(b"data/1_raw/odd name.txt") == Match("raw-trigger.yaml:5", (), ignore=True)
    assert rules.match(b"data/2_other/users.csv") is None
    assert [r.path for r in rules.unused_rules([b"data/1_raw/users.csv", b"data/1_raw/a"])] == [
        "**/*.csv",
        "users.csv",
        "x/users.csv",
    ]


def test_captures_give_assets_and_partitions() -> None:
    rules = book(
        rule("sales/{region}/{date:%Y-%m-%d}.csv", "raw/sales_{region}", "all", partition="{date}"),
        rule("multi/{d}/{r}", "m", partition=(("region", "{r}"), ("date", "{d}"))),
    )
    assert rules.match(b"data/1_raw/sales/eu/2026-01-31.csv") == Match(
        "raw-trigger.yaml:1", (Target("all", "2026-01-31"), Target("raw/sales_eu", "2026-01-31"))
    )
    assert rules.match(b"data/1_raw/multi/1/2") == Match(
        "raw-trigger.yaml:2", (Target("m", "1|2"),), dimensions=("date", "region")
    )


def test_several_roots() -> None:
    rules = book(rule("{name}.csv", "raw/{name}"), roots=("a", "b/c"))
    assert rules.relative(b"a/x.csv") == rules.relative(b"b/c/x.csv") == "x.csv"
    assert rules.relative(b"b/x.csv") is None
    assert book(rule("x", "y"), roots=(".",)).match(b"x") == Match("raw-trigger.yaml:1", (Target("y"),))


def test_a_pattern_error_says_where() -> None:
    with pytest.raises(ConfigError, match=r"^raw-trigger.yaml:2:5: '\{x\}' is not captured by the path"):
        book(rule("a", "b"), rule("a", "{x}"))


def test_paths_of_a_project_folder_are_tried_from_there_first() -> None:
    assets = catalog(a={"metadata": (("path", "data/1_raw/a.csv"),)}, b={"metadata": (("p", "../x/b.csv"),)})
    config = Config(folder="sub", roots=("sub/data/1_raw", "x"))
    rules = RuleBook(config, assets, "/top")
    assert rules.match(b"sub/data/1_raw/a.csv") is not None
    assert rules.match(b"x/b.csv") is not None
    assert rules.match(b"x/c.csv") is None
