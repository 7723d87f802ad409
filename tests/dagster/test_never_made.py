"""A partition of a parent that was never materialized is made first: the asset below reads it."""

from __future__ import annotations

from tests.dagster.sandbox import batch, target

DEFS = """
import dagster as dg

days = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-03-01")
weeks = dg.WeeklyPartitionsDefinition("2023-12-31", end_date="2024-03-03")

@dg.asset(partitions_def=days)
def top(context): return f"/data/{context.partition_key}"

@dg.asset(partitions_def=days)
def middle(top): return top

@dg.asset(partitions_def=days)
def below(middle): return middle

@dg.asset(partitions_def=weeks)
def week(top): assert top

@dg.asset(partitions_def=days)
def broken(): raise ValueError("no data of that day")

@dg.asset(partitions_def=days)
def below_broken(broken): return broken

@dg.asset(partitions_def=days, deps=[dg.AssetSpec("outside", partitions_def=days)])
def below_outside(): ...

@dg.asset(partitions_def=weeks, deps=[top])
def partial(): ...

@dg.asset
def summary(top): ...

@dg.asset(partitions_def=days, deps=[dg.AssetDep("grows", partition_mapping=dg.TimeWindowPartitionMapping(
    start_offset=-1, end_offset=-1))])
def grows(): ...

defs = dg.Definitions([top, middle, below, week, broken, below_broken, below_outside, partial, summary, grows])
"""


def test_what_was_never_made_is_made_first(sandbox_factory) -> None:
    sandbox = sandbox_factory({"defs.py": DEFS})
    ran = sandbox.run(
        batch(1, "below|2024-01-05", partition="2024-01-05"),
        batch(2, "below|2024-01-05", "middle|2024-01-06", "below|2024-01-06"),
        batch(3, "below|2024-01-07", target("middle|2024-01-07")),
        batch(4, "week|2024-01-14", partition="2024-01-14"),
        batch(5, "below_broken|2024-01-05", partition="2024-01-05"),
        batch(6, "below_outside|2024-01-05", partition="2024-01-05"),
        batch(7, "grows|2024-01-05", partition="2024-01-05"),
        batch(10, "below|2024-01-08", partition="2024-01-08", fed=(("middle",),)),
        batch(9, "partial|2023-12-31", partition="2023-12-31"),
        batch(8, *(f"below|2024-02-0{n}" for n in (1, 2))),
    )
    told = [(event.asset, event.partition, event.status) for event in ran.targets]
    assert told[:3] == [(key, "2024-01-05", "success") for key in ("top", "middle", "below")]
    assert [one for one in told if one[1] == "2024-01-06"] == [
        (key, "2024-01-06", "success") for key in ("top", "middle", "below")
    ]
    assert sorted(one[0] for one in told if one[1] == "2024-01-07") == ["below", "middle", "top"]
    week = [one for one in told if "2024-01-14" <= one[1] <= "2024-01-20"]
    assert week == [("top", f"2024-01-{n}", "success") for n in range(14, 21)] + [
        ("week", "2024-01-14", "success")
    ]
    after = told[told.index(week[-1]) + 1 :]
    assert after == [
        ("broken", "2024-01-05", "failed"),
        ("below_broken", "2024-01-05", "failed"),
        ("below_outside", "2024-01-05", "success"),
        ("grows", "2024-01-05", "success"),
        ("below", "2024-01-08", "failed"),  # raw files feed what it is made from: the plan says what is made
        ("partial", "2023-12-31", "success"),
        *((key, f"2024-02-0{n}", "success") for n in (1, 2) for key in ("top", "middle")),
        *(("below", f"2024-02-0{n}", "success") for n in (1, 2)),
    ]
