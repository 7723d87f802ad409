"""What an asset is made from and was never materialized is made first, and what is not made is told."""

from __future__ import annotations

import sys

import pytest

from raw_trigger.project import Left, TargetFinished
from tests.dagster.sandbox import batch, target
from tests.dagster.test_versions import PYTHONS

DEFS = """
import dagster as dg

months = dg.MonthlyPartitionsDefinition("2019-01-01", end_date="2024-07-01")
late = dg.MonthlyPartitionsDefinition("2024-02-01", end_date="2024-07-01")
quarters = dg.TimeWindowPartitionsDefinition(
    start="2024-01-01", fmt="%Y-%m-%d", cron_schedule="0 0 1 */3 *", end="2024-07-01")
years = dg.TimeWindowPartitionsDefinition(start="2023", fmt="%Y", cron_schedule="0 0 1 1 *", end="2025")
regions = dg.StaticPartitionsDefinition(["eu", "us", "apac"])
cities = dg.StaticPartitionsDefinition(["rome", "bonn"])
files = dg.DynamicPartitionsDefinition(name="files")
both = dg.MultiPartitionsDefinition({"month": months, "region": regions})

def of(parent, mapping):
    return dg.AssetDep(parent, partition_mapping=mapping)

@dg.asset(partitions_def=months)
def top(context): return f"/data/{context.partition_key}"

@dg.asset(partitions_def=months)
def middle(top): return top

@dg.asset(partitions_def=months)
def below(middle): return middle

@dg.asset(partitions_def=quarters)
def quarter(top): assert top

@dg.asset(partitions_def=months)
def broken(): raise ValueError("no data of that day")

@dg.asset(partitions_def=months)
def below_broken(broken): return broken

@dg.asset(partitions_def=months, deps=["outside"])
def below_outside(): ...

@dg.asset(partitions_def=quarters, deps=[top])
def partial(): ...

@dg.asset(partitions_def=months)
def moody(context):
    if context.partition_key == "2024-02-01": raise ValueError("no trade")

@dg.asset(partitions_def=quarters, deps=[moody])
def traded(): ...

@dg.asset(partitions_def=months, deps=[of("grows", dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1))])
def grows(): ...

@dg.asset(partitions_def=months, deps=[of("grows", dg.TimeWindowPartitionMapping(start_offset=-2))])
def shifted(): ...

@dg.asset(partitions_def=late)
def by_month(): ...

@dg.asset(partitions_def=quarters, deps=[by_month])
def by_quarter(): ...

@dg.asset(partitions_def=years, deps=[by_quarter])
def by_year(): ...

@dg.asset
def summary(top): ...

@dg.asset(partitions_def=regions)
def region(): ...

@dg.asset(deps=[region])
def whole(): ...

@dg.asset(partitions_def=regions, deps=[whole])
def share(): ...

@dg.asset(partitions_def=cities, deps=[of("region", dg.StaticPartitionMapping({"eu": {"rome", "bonn"}}))])
def city(): ...

@dg.asset(deps=[of("by_last", dg.LastPartitionMapping())])
def newest(): ...

@dg.asset(partitions_def=regions)
def by_last(): ...

@dg.asset(partitions_def=files)
def by_file(): ...

@dg.asset(partitions_def=files, deps=[by_file])
def by_file_too(): ...

@dg.asset(partitions_def=both)
def cell(): ...

@dg.asset(partitions_def=months, deps=[cell])
def row(): ...

@dg.asset
def first(): return 1

@dg.asset(deps=["outside"])
def second(first): return first

@dg.asset
def third(second): return second

@dg.asset
def raw(): return 1

@dg.asset
def clean(raw): return raw

@dg.asset
def report(clean): return clean

@dg.asset
def raw_too(): return 1

@dg.asset
def clean_too(raw_too): return raw_too

@dg.asset
def report_too(clean_too): return clean_too

@dg.asset
def raw_bad(): raise ValueError("line 3")

@dg.asset(deps=[raw_bad])
def clean_bad(): ...

@dg.asset(deps=[clean_bad])
def report_bad(): ...

@dg.multi_asset(outs={"left": dg.AssetOut(), "right": dg.AssetOut()})
def pair(): return 1, 2

@dg.asset(deps=["left"])
def under_left(): ...

class Strange(dg.IdentityPartitionMapping):
    def get_upstream_mapped_partitions_result_for_partitions(self, *args, **kwargs): raise RuntimeError("who knows")

@dg.asset(partitions_def=regions, deps=[of("by_last", Strange())])
def strange(): ...

def link(number):
    @dg.asset(name=f"link_{number}", deps=[f"link_{number - 1}"] if number else [])
    def made(): ...
    return made

links = [link(number) for number in range(53)]

defs = dg.Definitions([
    top, middle, below, quarter, broken, below_broken, below_outside, partial, moody, traded, grows, shifted, by_month,
    by_quarter, by_year, summary, region, whole, share, city, newest, by_last, by_file, by_file_too, cell, row, first,
    second, third, raw, clean, report, raw_too, clean_too, report_too, raw_bad, clean_bad, report_bad, pair,
    under_left, strange, *links, dg.SourceAsset("outside", partitions_def=months)])
"""

RAW = (("raw",), ("raw_too",), ("raw_bad",))
JAN, FEB, MARCH, APRIL, MAY, JUNE = (f"2024-{month:02}-01" for month in range(1, 7))
CASES = [
    # The parent's partition, and that of its parent.
    ([f"below|{JAN}"], {}, [f"top|{JAN}", f"middle|{JAN}", f"below|{JAN}"], []),
    # What the same batch makes, and what another has made, is there.
    (
        [f"below|{JAN}", f"middle|{FEB}", f"below|{FEB}"],
        {},
        [f"top|{FEB}", f"below|{JAN}", f"middle|{FEB}", f"below|{FEB}"],
        [],
    ),
    ([f"quarter|{APRIL}"], {}, [*(f"top|{one}" for one in (APRIL, MAY, JUNE)), f"quarter|{APRIL}"], []),
    # Some of it are there, the others are made.
    ([f"partial|{JAN}"], {}, [f"top|{MARCH}", f"partial|{JAN}"], []),
    ([f"below_broken|{JAN}"], {}, [f"broken|{JAN} failed", f"below_broken|{JAN} failed"], []),
    ([f"below_outside|{JAN}"], {}, [f"below_outside|{JAN}"], []),
    ([f"grows|{JAN}"], {}, [f"grows|{JAN}"], []),
    (["shifted|2019-02-01"], {}, ["grows|2019-01-01", "grows|2019-02-01", "shifted|2019-02-01"], []),
    # Raw files feed what it is made from: the plan says what of that is made.
    ([f"below|{MARCH}"], {"fed": (("middle",),)}, [f"below|{MARCH} failed"], [f"middle fed {MARCH}"]),
    # Nor is anything made from what of them is not there.
    (["below|2023-09-01"], {"fed": (("top",),)}, ["below|2023-09-01 failed"], ["top fed 2023-09-01"]),
    (
        [f"traded|{JAN}"],
        {},
        [f"moody|{JAN}", f"moody|{FEB} failed", f"moody|{MARCH}", f"traded|{JAN}"],
        [],
    ),
    # Each level has partitions of its own; by_month begins in February.
    (
        ["by_year|2024"],
        {},
        [
            *(f"by_month|{one}" for one in (FEB, MARCH)),
            f"by_quarter|{JAN}",
            *(f"by_month|{one}" for one in (APRIL, MAY, JUNE)),
            f"by_quarter|{APRIL}",
            "by_year|2024",
        ],
        [],
    ),
    (["summary"], {}, ["summary failed"], ["top many 60"]),
    (["region|us", "whole"], {}, ["region|eu", "region|apac", "region|us", "whole"], []),
    (["share|eu"], {}, ["share|eu"], []),
    (["city|rome"], {}, ["city|rome"], []),
    (["newest"], {}, ["by_last|apac", "newest"], []),
    (["by_file_too|new.csv"], {}, ["by_file|new.csv", "by_file_too|new.csv"], []),
    ([f"row|{JAN}"], {}, [*(f"cell|{JAN}|{one}" for one in ("apac", "eu", "us")), f"row|{JAN}"], []),
    (["third"], {}, ["first", "second", "third"], []),
    # Nothing was ever made of the file, and nobody asks for it now.
    (["report"], {"fed": RAW}, ["report failed"], ["raw fed"]),
    # It is made by the same batch, and before what is made of it.
    (["report_too", "raw_too"], {"fed": RAW}, ["raw_too", "clean_too", "report_too"], []),
    (
        [target("report_bad", ["raw_bad"]), "raw_bad"],
        {"fed": RAW},
        ["raw_bad failed", "clean_bad skipped", "report_bad skipped"],
        [],
    ),
    (["under_left"], {}, ["left", "right", "under_left"], []),
    # A mapping that raises is the run's to tell.
    (["strange|eu"], {}, ["strange|eu failed"], []),
    (["link_52"], {}, ["link_52"], ["link_50 many"]),
]


@pytest.mark.parametrize("python", [pytest.param(sys.executable, marks=pytest.mark.soak), *PYTHONS])
def test_what_was_never_made_is_made_first(python: str, sandbox_factory) -> None:
    sandbox = sandbox_factory({"defs.py": DEFS})
    project = sandbox.project(python=python, python_file=("defs.py",))
    batches = [batch(n, *targets, **options) for n, (targets, options, _, _) in enumerate(CASES)]
    ran = sandbox.run(*batches, project=project)
    told: list[tuple[list[str], list[str]]] = [([], []) for _ in CASES]
    left: list[str] = []
    for event in ran.events:
        if isinstance(event, Left):
            lack = event.lack
            some = [one for one in lack.partitions if one is not None]
            what = [str(len(some))] if len(some) > 1 else some
            left.append(" ".join([lack.asset, lack.why, *what]))
        elif isinstance(event, TargetFinished):
            name = event.asset + ("" if event.partition is None else f"|{event.partition}")
            told[event.batch][0].append(name if event.status == "success" else f"{name} {event.status}")
            told[event.batch][1].extend(left)
            left = []
    for (targets, _, expected, lacking), found in zip(CASES, told, strict=True):
        assert found == (expected, lacking), (targets, ran.log[-3000:])
