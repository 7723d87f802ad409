"""Definitions of every kind whose graph a webserver has to tell as the project itself does."""

import dagster as dg

WEEKLY = dg.WeeklyPartitionsDefinition("2026-01-01", day_offset=1)
DAILY = dg.DailyPartitionsDefinition("2026-01-01")
LATE = dg.DailyPartitionsDefinition("2026-01-01", hour_offset=2)
HOURLY = dg.HourlyPartitionsDefinition("2026-11-01-00:00", timezone="Asia/Shanghai")
MONTHLY = dg.MonthlyPartitionsDefinition("2026-01-01", end_offset=1)
CRON = dg.TimeWindowPartitionsDefinition(start="2026-01-01", cron_schedule="0 0 * * 1-5", fmt="%Y-%m-%d")
OVER = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01")
STATIC = dg.StaticPartitionsDefinition(["a", "b", "c'd"])
MULTI = dg.MultiPartitionsDefinition({"day": DAILY, "who": STATIC})
NAMES = dg.DynamicPartitionsDefinition(name="names")


@dg.asset(partitions_def=DAILY)
def daily():
    return 1


@dg.asset(
    partitions_def=WEEKLY,
    deps=[daily],
    metadata={
        "path": "data/1_raw/w.csv",
        "address": dg.MetadataValue.url("file:///x"),
        "file": dg.MetadataValue.path("data/1_raw/x.csv"),
        "several": dg.MetadataValue.json({"files": ["a.csv", "b.csv"]}),
        "number": 3,
    },
)
def weekly():
    return 1


@dg.asset(partitions_def=DAILY, deps=[daily])
def same():
    return 1


@dg.asset(
    partitions_def=DAILY,
    deps=[
        dg.AssetDep("daily", partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1))
    ],
)
def yesterday():
    return 1


@dg.asset(partitions_def=STATIC, deps=[dg.AssetDep("daily", partition_mapping=dg.AllPartitionMapping())])
def everything():
    return 1


@dg.asset(deps=[dg.AssetDep("daily", partition_mapping=dg.LastPartitionMapping())])
def newest():
    return 1


@dg.asset(
    partitions_def=STATIC,
    deps=[
        dg.AssetDep(
            "everything",
            partition_mapping=dg.StaticPartitionMapping({"a": "b", "b": ["a", "c'd"], "c'd": "a"}),
        )
    ],
)
def swapped():
    return 1


@dg.asset(
    partitions_def=STATIC,
    deps=[dg.AssetDep("everything", partition_mapping=dg.SpecificPartitionsPartitionMapping(["a"]))],
)
def special():
    return 1


@dg.asset(partitions_def=HOURLY)
def hourly():
    return 1


@dg.asset(partitions_def=MONTHLY)
def monthly():
    return 1


@dg.asset(partitions_def=CRON)
def workdays():
    return 1


@dg.asset(partitions_def=OVER)
def over():
    return 1


@dg.asset(partitions_def=LATE)
def late():
    return 1


@dg.asset(partitions_def=MULTI, deps=[daily])
def multi():
    return 1


@dg.asset(partitions_def=NAMES, backfill_policy=dg.BackfillPolicy.multi_run(3))
def named():
    return 1


@dg.asset(partitions_def=DAILY, backfill_policy=dg.BackfillPolicy.single_run())
def ranged():
    return 1


@dg.multi_asset(outs={"left": dg.AssetOut(), "right": dg.AssetOut()})
def both():
    return 1, 2


@dg.multi_asset(
    specs=[dg.AssetSpec("one", skippable=True), dg.AssetSpec("two", skippable=True)], can_subset=True
)
def either(context):
    for key in context.selected_asset_keys:
        yield dg.MaterializeResult(asset_key=key)


@dg.op
def part_of_it():
    return 1


@dg.graph_asset(group_name="graphs")
def from_graph():
    return part_of_it()


class Sheet(dg.Config):
    number: int


@dg.asset(key_prefix=["deep", "deeper"])
def configured(config: Sheet):
    return config.number


@dg.observable_source_asset
def observed():
    return dg.DataVersion("1")


@dg.asset(deps=["nowhere", observed])
def below():
    return 1


@dg.asset_check(asset=daily)
def plausible():
    return dg.AssetCheckResult(passed=True)


@dg.op(config_schema={"files": [str]})
def work():
    pass


@dg.job
def nightly():
    work()


ASSETS = [
    daily, weekly, same, yesterday, everything, newest, swapped, special, hourly, monthly, workdays, over, late,
    multi, named, ranged, both, either, from_graph, configured, observed, below, dg.AssetSpec("alone"),
]  # fmt: skip
defs = dg.Definitions(assets=ASSETS, jobs=[nightly], asset_checks=[plausible])
