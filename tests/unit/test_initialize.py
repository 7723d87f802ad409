"""What is proposed for which files and assets, and that the written file always means what it says."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from raw_trigger.check import check
from raw_trigger.config.parsing import parse
from raw_trigger.initialize import Draft, Findings, draft
from raw_trigger.initialize.text import DOUBTFUL
from raw_trigger.mapping.clauses import Affected
from raw_trigger.mapping.rules import RuleBook
from raw_trigger.model.assets import HOLE, KEY, Asset, Catalog, Partitions
from raw_trigger.model.changes import Entry, to_bytes

DAYS = Partitions("time", format="%Y-%m-%d", start="2025-01-01T00:00:00+00:00", cron="0 0 * * *")
MONTHS = Partitions("time", format="%Y-%m-%d", start="2024-01-01T00:00:00+00:00", cron="0 0 1 * *")
WEEKS = Partitions("time", format="%Y-%m-%d", start="2024-01-01T00:00:00+00:00", cron="0 0 * * 0")
HOURS = Partitions("time", format="%Y-%m-%d-%H:%M", start="2025-01-01T00:00:00+00:00", cron="0 * * * *")
REGIONS = Partitions("static", keys=("eu", "north-america", "us"))
NAMES = Partitions("dynamic", name="customers")
BOTH = Partitions("multi", dimensions=(("day", DAYS), ("region", REGIONS)))


ENTRY = Entry("100644", "0" * 40)


def asset(key: str, partitions: Partitions | None = None, **rest: Any) -> Asset:
    return Asset(key, tuple(key.split("/")), "here", partitions=partitions, **rest)


def drafted(files: Sequence[str], assets: Sequence[Asset], **rest: Any) -> Draft:
    """The draft, after the file was held against the loader, the rules and `check`."""
    values = {"file": "raw-trigger.yaml", "folder": "", "root": "data", "top": "/repo", **rest}
    below = posixpath.normpath(posixpath.join(values["folder"], values["root"]))
    prefix = "" if below == "." else below + "/"
    full = [to_bytes(prefix + name) for name in sorted(files)]
    catalog = Catalog({one.key: one for one in assets})
    findings = Findings(files=tuple(full), catalog=catalog, **values)
    made = draft(findings)
    config = parse(made.text.encode(), findings.file)
    book = RuleBook(config, catalog, findings.top)
    found = check(book, catalog, dict.fromkeys(full, ENTRY), findings.file, lambda *_: Affected())
    told = "Not among its partitions" in made.text
    assert told or len([f for f in found if f.severity == "error"]) <= len(made.problems), found
    assert {f.where for f in found if f.message == "no asset is made from it"} == {
        prefix + name for name in made.leftover
    }
    assert len(files) == sum((made.found, made.ruled, made.ignored, len(made.leftover), len(made.problems)))
    return made


def rules(made: Draft) -> list[dict[str, Any]]:
    return yaml.safe_load(made.text).get("assets") or []


PROPOSED: dict[str, tuple[list[str], list[Asset], list[dict[str, Any]], int]] = {
    "stem and suffix": (
        ["concepts_metadata.csv"],
        [asset("raw_source/concepts_metadata_csv")],
        [{"path": "concepts_metadata.csv", "asset": "raw_source/concepts_metadata_csv"}],
        0,
    ),
    "case and separators": (
        ["Concepts Metadata.CSV"],
        [asset("source/concepts_metadata")],
        [{"path": "Concepts Metadata.CSV", "asset": "source/concepts_metadata"}],
        0,
    ),
    "the whole path": (
        ["crm/customers.csv", "shop/customers.csv"],
        [asset("in/crm/customers"), asset("in/shop/customers")],
        [
            {"path": "crm/customers.csv", "asset": "in/crm/customers"},
            {"path": "shop/customers.csv", "asset": "in/shop/customers"},
        ],
        0,
    ),
    "a template where there are many": (
        ["a.csv", "b.csv", "c.csv"],
        [asset(f"raw_source/{name}_csv") for name in "abc"],
        [{"path": "*.csv", "asset": "raw_source/{stem}_csv"}],
        0,
    ),
    "no template where one file does not follow it": (
        ["a.csv", "b.csv", "c.csv", "other.csv"],
        [asset(f"source/{name}") for name in "abc"],
        [{"path": f"{name}.csv", "asset": f"source/{name}"} for name in "abc"],
        0,
    ),
    "no template over a file that needs no rule": (
        ["a.csv", "b.csv", "c.csv", "known.csv"],
        [*(asset(f"source/{name}") for name in "abc"), asset("raw/known")],
        [{"path": f"{name}.csv", "asset": f"source/{name}"} for name in "abc"],
        0,
    ),
    "what is made from others is no candidate": (
        ["orders.csv"],
        [asset("base"), asset("mart/orders", parents=("base",))],
        [],
        0,
    ),
    "two assets of one name": (["a.csv"], [asset("one/a"), asset("two/a")], [], 0),
    "two files for one asset": (
        ["old/a.csv", "new/a.csv"],
        [asset("source/a")],
        [{"path": "new/a.csv", "asset": "source/a"}, {"path": "old/a.csv", "asset": "source/a"}],
        2,
    ),
    "nearly the same": (
        ["custommers.csv"],
        [asset("source/customers")],
        [{"path": "custommers.csv", "asset": "source/customers"}],
        1,
    ),
    "one name in the other": (
        ["customers export.xlsx"],
        [asset("source/customers")],
        [{"path": "customers export.xlsx", "asset": "source/customers"}],
        1,
    ),
    "alike to two": (["sales.csv"], [asset("source/sales_eu"), asset("source/sales_us")], [], 0),
    "a folder": (
        ["orders/a.csv", "orders/deep/b.csv"],
        [asset("source/orders")],
        [{"path": "orders/**", "asset": "source/orders"}],
        0,
    ),
    "dated files of one asset": (
        ["orders_20250301.csv", "orders_20250302.csv"],
        [asset("source/orders")],
        [{"path": "orders_{date:%Y%m%d}.csv", "asset": "source/orders"}],
        0,
    ),
    "days": (
        ["sales/2025-03-03.csv", "sales/2025-03-04.csv"],
        [asset("raw/sales", DAYS)],
        [{"path": "sales/{date:%Y-%m-%d}.csv", "asset": "raw/sales", "partition": "{date}"}],
        0,
    ),
    "days written otherwise": (
        ["sales_20250303.csv"],
        [asset("raw/sales", DAYS)],
        [
            {
                "path": "sales_{year:%Y}{month:%m}{day:%d}.csv",
                "asset": "raw/sales",
                "partition": "{year}-{month}-{day}",
            }
        ],
        0,
    ),
    "days in folders": (
        ["sales/2025/03/04.csv", "sales/2025/03/03.csv"],
        [asset("raw/sales", DAYS)],
        [
            {
                "path": "sales/{year:%Y}/{month:%m}/{day:%d}.csv",
                "asset": "raw/sales",
                "partition": "{year}-{month}-{day}",
            }
        ],
        0,
    ),
    "months whose keys are days": (
        ["sales/2025-03.csv", "sales/2025-04.csv"],
        [asset("raw/sales", MONTHS)],
        [{"path": "sales/{date:%Y-%m}.csv", "asset": "raw/sales", "partition": "{date}-01"}],
        0,
    ),
    "days that make up months": (
        ["sales/2025-03-15.csv", "sales/2025-03-16.csv"],
        [asset("raw/sales", MONTHS)],
        [{"path": "sales/{date:%Y-%m}-{day:%d}.csv", "asset": "raw/sales", "partition": "{date}-01"}],
        0,
    ),
    "months are too coarse for days": (["sales/2025-03.csv"], [asset("raw/sales", DAYS)], [], 0),
    "weeks begin on Sundays": (
        ["sales/2025-03-02.csv", "other/2025-03-03.csv"],
        [asset("raw/sales", WEEKS), asset("raw/other", WEEKS)],
        [{"path": "sales/{date:%Y-%m-%d}.csv", "asset": "raw/sales", "partition": "{date}"}],
        0,
    ),
    "hours": (
        ["clicks/2025-03-03T14.json"],
        [asset("raw/clicks", HOURS)],
        [
            {
                "path": "clicks/{date:%Y-%m-%d}T{hour:%H}.json",
                "asset": "raw/clicks",
                "partition": "{date}-{hour}:00",
            }
        ],
        0,
    ),
    "regions": (
        ["sales/eu.csv", "sales/north-america.csv"],
        [asset("raw/sales", REGIONS)],
        [{"path": "sales/{name}.csv", "asset": "raw/sales", "partition": "{name}"}],
        0,
    ),
    "regions at the end of the name": (
        ["sales_eu.csv", "sales_us.csv"],
        [asset("raw/sales", REGIONS)],
        [{"path": "sales_{name}.csv", "asset": "raw/sales", "partition": "{name}"}],
        0,
    ),
    "regions as folders": (
        ["eu/sales.csv", "us/sales.csv"],
        [asset("raw/sales", REGIONS)],
        [{"path": "{name}/sales.csv", "asset": "raw/sales", "partition": "{name}"}],
        0,
    ),
    "regions beside something else": (
        ["sales/eu.csv", "sales/us.csv", "sales/mars.csv"],
        [asset("raw/sales", REGIONS)],
        [
            {
                "path": "sales/{name:eu|north-america|us}.csv",
                "asset": "raw/sales",
                "partition": "{name}",
            }
        ],
        0,
    ),
    "the only ones that fit": (
        ["shops/eu.csv", "shops/us.csv"],
        [asset("raw/turnover", REGIONS)],
        [{"path": "shops/{name}.csv", "asset": "raw/turnover", "partition": "{name}"}],
        1,
    ),
    "dynamic": (
        ["orders/acme.csv", "orders/bolt.csv"],
        [asset("raw/orders", NAMES)],
        [{"path": "orders/{name}.csv", "asset": "raw/orders", "partition": "{name}"}],
        0,
    ),
    "a definition that has the keys beats a dynamic one": (
        ["shops/eu.csv", "shops/us.csv"],
        [asset("raw/orders", NAMES), asset("raw/turnover", REGIONS)],
        [{"path": "shops/{name}.csv", "asset": "raw/turnover", "partition": "{name}"}],
        1,
    ),
    "but not of some of the files that have a dynamic asset's name": (
        ["orders/acme.csv", "orders/eu.csv"],
        [asset("raw/orders", NAMES), asset("raw/turnover", REGIONS)],
        [{"path": "orders/{name}.csv", "asset": "raw/orders", "partition": "{name}"}],
        0,
    ),
    "dynamic, with the name of the definition": (
        ["customer/acme.csv", "customer/bolt.csv"],
        [asset("raw/orders", NAMES)],
        [{"path": "customer/{name}.csv", "asset": "raw/orders", "partition": "{name}"}],
        1,
    ),
    "dynamic, with keys that are there": (
        ["in/orders_acme.csv", "in/orders_coyote.csv"],
        [asset("raw/orders", Partitions("dynamic", name="customers", keys=("acme", "bolt")))],
        [{"path": "in/orders_{name}.csv", "asset": "raw/orders", "partition": "{name}"}],
        0,
    ),
    "named in the code": (
        ["a/x.csv", "b/y.csv", "c/x.csv"],
        [asset("one", named=("y.csv",)), asset("two", named=("/data/c/x.csv",)), asset("three", named=("a/x.csv",))],
        [
            {"path": "a/x.csv", "asset": "three"},
            {"path": "b/y.csv", "asset": "one"},
            {"path": "c/x.csv", "asset": "two"},
        ],
        0,
    ),
    "a name in the code that is there twice": (
        ["a/x.csv", "c/x.csv"], [asset("one", named=("x.csv", "/data/c/x.csv"))], [{"path": "c/x.csv", "asset": "one"}], 0
    ),
    "named by two, one of them made from others": (
        ["x.csv"],
        [asset("one", named=("/data/x.csv",)), asset("two", parents=("one",), named=("data/x.csv",))],
        [{"path": "x.csv", "assets": ["one", "two"]}],
        0,
    ),
    "named by what is made together": (
        ["x.csv"],
        [
            asset("one", named=("x.csv",), execution_set=("one", "two")),
            asset("two", execution_set=("one", "two")),
        ],
        [{"path": "x.csv", "assets": ["one", "two"]}],
        0,
    ),
    "code goes before names": (
        ["one.csv", "two.csv"],
        [asset("in/one", named=(f"{HOLE}/two.csv",)), asset("in/two", named=("one.csv",))],
        [{"path": "one.csv", "asset": "in/two"}, {"path": "two.csv", "asset": "in/one"}],
        0,
    ),
    "a factory": (
        ["olist_a_dataset.csv", "olist_b_dataset.csv", "olist_c_dataset.csv"],
        [asset(f"load_{one}", named=(f"/data/olist_{one}_dataset.csv",)) for one in "abc"],
        [{"path": "olist_{name}_dataset.csv", "asset": "load_{name}"}],
        0,
    ),
    "listed in the code": (
        ["notes/a.txt", "notes/b.txt", "notes/c.md"],
        [asset("texts", named=("/data/notes/*.txt",))],
        [{"path": "notes/*.txt", "asset": "texts"}],
        0,
    ),
    "a folder in the code": (
        ["notes/a.txt", "notes/b.txt", "notes/c.md"],
        [asset("texts", named=("/data/notes",))],
        [{"path": "notes/**", "asset": "texts"}],
        1,
    ),
    "the root in the code says nothing": (
        ["x.csv"], [asset("one", named=("/data", "data", f"/data/{HOLE}.csv", "/data/other.csv"))], [], 0
    ),
    "days in the code": (
        ["days/2025-03-03.csv", "days/2025-03-04.csv", "old/2025-03-05.csv"],
        [asset("visits", DAYS, named=(f"/data/days/{KEY}.csv",))],
        [{"path": "days/{date:%Y-%m-%d}.csv", "asset": "visits", "partition": "{date}"}],
        0,
    ),
    "days in the code of two": (
        ["days/2025-03-03.csv"],
        [asset(one, DAYS, named=(f"/data/days/{HOLE}.csv",)) for one in ("visits", "visitors")],
        [{"path": "days/{date:%Y-%m-%d}.csv", "assets": ["visitors", "visits"], "partition": "{date}"}],
        0,
    ),
    "a dynamic key in the code": (
        ["in/acme.csv"],
        [asset("orders_by", NAMES, named=(f"/data/in/{KEY}.csv",))],
        [{"path": "in/{name}.csv", "asset": "orders_by", "partition": "{name}"}],
        0,
    ),
    "regions by a table in the code": (
        ["north_eu.csv", "north_us.csv"],
        [asset("sales", REGIONS, named=("/data/north_eu.csv", "/data/north_us.csv"))],
        [{"path": "north_{name}.csv", "asset": "sales", "partition": "{name}"}],
        0,
    ),
    "apart from what all of them share": (
        [*(f"olist_{one}_dataset.csv" for one in ("customers", "orders", "order_items")), "translation.csv"],
        [asset(f"raw_{one}_to_postgres") for one in ("customers", "orders", "order_items")],
        [{"path": "olist_{name}_dataset.csv", "asset": "raw_{name}_to_postgres"}],
        0,
    ),
    "apart from what one side shares": (
        ["customers.csv", "orders.csv"],
        [asset("stg_customers"), asset("stg_orders")],
        [{"path": "customers.csv", "asset": "stg_customers"}, {"path": "orders.csv", "asset": "stg_orders"}],
        2,
    ),
    "compressed": (
        ["customers.csv.gz", "orders.csv.gz", "items.json.zst"],
        [asset("in/customers"), asset("in/orders"), asset("in/items")],
        [
            {"path": "customers.csv.gz", "asset": "in/customers"},
            {"path": "items.json.zst", "asset": "in/items"},
            {"path": "orders.csv.gz", "asset": "in/orders"},
        ],
        0,
    ),
    "many compressed ones": (
        [f"{one}.csv.gz" for one in "abc"],
        [asset(f"in/{one}") for one in "abc"],
        [{"path": "{name}.csv.gz", "asset": "in/{name}"}],
        0,
    ),
    "a key like a path": (
        ["orders.csv", "shop/items.csv"],
        [asset("file_/_data_orders/csv"), asset("file_/_data_shop_items/csv")],
        [
            {"path": "orders.csv", "asset": "file_/_data_orders/csv"},
            {"path": "shop/items.csv", "asset": "file_/_data_shop_items/csv"},
        ],
        0,
    ),
    "the whole name is a static key": (
        ["in/a.csv", "in/b.csv"],
        [asset("loaded", Partitions("static", keys=("a.csv", "b.csv")))],
        [{"path": "in/{name}", "asset": "loaded", "partition": "{name}"}],
        1,
    ),
    "a name in the metadata": (
        ["deep/x 1.csv"],
        [asset("one", metadata=(("source", "s3://bucket/x 1.csv"),))],
        [{"path": "deep/x 1.csv", "asset": "one"}],
        0,
    ),
    "a name in the description": (
        ["deep/x.csv", "y.csv"],
        [asset("one", told=("x.csv", "y.csv")), asset("two", told=("y.csv",))],
        [{"path": "deep/x.csv", "asset": "one"}],
        1,
    ),
    "two dimensions": (
        ["sales/eu/2025-03-03.csv", "sales/us/2025-03-03.csv"],
        [asset("raw/sales", BOTH)],
        [
            {
                "path": "sales/{region}/{date:%Y-%m-%d}.csv",
                "asset": "raw/sales",
                "partition": {"day": "{date}", "region": "{region}"},
            }
        ],
        0,
    ),
    "the metadata names the folder": (
        ["x/2025-03-03.csv", "x/2025-03-04.csv"],
        [asset("visits", DAYS, metadata=(("path", "data/x"),))],
        [{"path": "x/{date:%Y-%m-%d}.csv", "asset": "visits", "partition": "{date}"}],
        0,
    ),
    "what is no data": (
        [".gitkeep", "a/README.md", "b/.gitkeep", "b/~$raw.xlsx"],
        [asset("raw/a")],
        [{"path": "**/README*", "ignore": True}],
        0,
    ),
    "pattern characters": (
        ["a[1]*?{x}}.csv", "b{{.csv"],
        [asset("source/a_1_x"), asset("source/b{")],
        [
            {"path": "a[[]1][*][?]{{x}}}}.csv", "asset": "source/a_1_x"},
            {"path": "b{{{{.csv", "asset": "source/b{{"},
        ],
        0,
    ),
    "a path that begins like the root": (
        ["data/a.csv"],
        [asset("source/a")],
        [{"path": "[d]ata/a.csv", "asset": "source/a"}],
        0,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "assets", "expected", "guesses"), PROPOSED.values(), ids=PROPOSED)
def test_proposed(
    files: list[str], assets: list[Asset], expected: list[dict[str, Any]], guesses: int
) -> None:
    made = drafted(files, assets)
    assert rules(made) == expected
    assert made.guesses == guesses
    assert made.text.count("# Guess: ") == min(guesses, 1)
    assert made.rules == len([rule for rule in expected if "ignore" not in rule])


DOUBTED: dict[str, tuple[list[str], list[Asset], list[str]]] = {
    "no key is there yet": (
        ["a.csv", "b.csv"],
        [asset("raw/orders", NAMES)],
        [
            '{path: "{name}.csv", asset: raw/orders, partition: "{name}"}  # 2 files; customers has no keys yet'
        ],
    ),
    "a word in common is no reason": (
        ["order_files/a.csv"],
        [asset("raw/all_files", Partitions("dynamic", name="releases"))],
        [
            '{path: "order_files/{name}.csv", asset: raw/all_files, partition: "{name}"}  # 1 file; '
            "releases has no keys yet"
        ],
    ),
    "other keys are there": (
        ["orders/a.csv", "orders/b.csv"],
        [asset("raw/orders", Partitions("dynamic", name="customers", keys=("acme", "bolt")))],
        [
            '{path: "orders/{name}.csv", asset: raw/orders, partition: "{name}"}  # 2 files; '
            "its keys are other ones: acme, bolt"
        ],
    ),
    "a name in the code that is no partition's key": (
        ["in/acme.csv"],
        [asset("orders_by", NAMES, named=(f"/data/in/{HOLE}.csv",))],
        [
            '{path: "in/{name}.csv", asset: orders_by, partition: "{name}"}  # 1 file; customers has no keys yet'
        ],
    ),
    "one dimension of two": (
        ["acme/2025-03-03.csv"],
        [asset("tables", Partitions("multi", dimensions=(("day", DAYS), ("who", NAMES))))],
        [
            '{path: "{who}/{date:%Y-%m-%d}.csv", asset: tables, partition: {day: "{date}", who: '
            '"{who}"}}  # 1 file; customers has no keys yet'
        ],
    ),
}


@pytest.mark.parametrize(("files", "assets", "expected"), DOUBTED.values(), ids=DOUBTED)
def test_any_text_is_a_dynamic_key_so_a_rule_needs_a_reason(
    files: list[str], assets: list[Asset], expected: list[str]
) -> None:
    """`run --all` would add every one of them to the instance."""
    made = drafted(files, assets)
    assert rules(made) == []
    assert f"  {DOUBTFUL}\n" in made.text
    assert re.findall(r"^  # - (\{.*)$", made.text, re.MULTILINE) == expected
    assert set(made.leftover) == set(files)


def test_a_file_outside_the_partitions_is_named() -> None:
    made = drafted(["sales/2019-01-01.csv", "sales/2025-03-03.csv"], [asset("raw/sales", DAYS)])
    assert "2 files. Not among its partitions: sales/2019-01-01.csv." in made.text


def test_a_name_that_leads_to_a_partitioned_asset_is_a_problem() -> None:
    made = drafted(["sales.csv"], [asset("raw/sales", DAYS)])
    assert made.problems == (
        "sales.csv → raw/sales (convention): it is partitioned: its rule has to say `partition:`",
    )
    assert made.leftover == ()


def test_choices_are_for_the_user() -> None:
    made = drafted(["a.csv"], [asset("one/a"), asset("two/a")])
    assert "  # - path: a.csv\n  #   asset: one/a  # or two/a\n" in made.text


def test_without_a_catalog_the_files_are_listed() -> None:
    files = tuple(f"data/{name}".encode() for name in ("a.csv", "b/1.csv", "b/2.csv", "b/3.csv", "b/4.csv"))
    made = draft(Findings("raw-trigger.yaml", "", "data", "/repo", files))
    assert made.text.endswith(
        "assets:\n"
        "  # The files. Give each an asset, or ignore it:\n"
        "  # - path: a.csv\n"
        "  #   asset: KEY\n"
        '  # - path: "b/*.csv"  # 4 files\n'
        "  #   asset: KEY\n"
    )


@pytest.mark.parametrize("root", ["sub/raw", "."])
def test_below_a_project_folder(root: str) -> None:
    made = drafted(["a.csv"], [asset("source/a")], folder="app", file="app/raw-trigger.yaml", root=root)
    assert rules(made) == [{"path": "a.csv", "asset": "source/a"}]


def test_very_many_files_make_a_short_file() -> None:
    made = drafted(
        [f"{n % 100}/{n}.bin" for n in range(20_000)] + [f"x{n}.csv" for n in range(2_000)],
        [asset("raw/other")],
    )
    assert len(made.leftover) == 22_000
    assert len(made.text.splitlines()) < 120


NAMED = st.text(
    st.one_of(
        st.sampled_from("ab1 '\"\\{}[]*?:#%&-|>!@`,~\t\n\r\x00\x1b\x85\u2028\ufeff\udcff/2025-0301_.csv"),
        st.characters(codec="utf-8"),
    ),
    min_size=1,
    max_size=12,
).filter(lambda name: "\0" not in name and not {"", ".", ".."} & set(name.split("/")))


@settings(max_examples=300, deadline=None)
@given(
    st.sets(NAMED, max_size=8),
    st.dictionaries(NAMED, st.sampled_from([None, DAYS, MONTHS, REGIONS, NAMES, BOTH]), max_size=6),
)
def test_no_name_breaks_the_file(files: set[str], keys: dict[str, Partitions | None]) -> None:
    """Whatever files and assets are called: it loads, and `check` agrees with what is said."""
    files = {name for name in files if not any(other.startswith(name + "/") for other in files)}
    drafted(sorted(files), [asset(key, partitions) for key, partitions in keys.items()])
