"""The same with other Dagsters: ``RAW_TRIGGER_DAGSTER_PYTHONS=/a/bin/python:/b/bin/python``."""

from __future__ import annotations

import os

import pytest

from raw_trigger.model.assets import PartitionMapping
from tests.dagster.sandbox import batch, target

PYTHONS = [path for path in os.environ.get("RAW_TRIGGER_DAGSTER_PYTHONS", "").split(os.pathsep) if path]

DEFS = """
    import dagster as dg
    static = dg.StaticPartitionsDefinition(["eu", "us"])
    days = dg.DailyPartitionsDefinition("2024-01-05")
    files = dg.DynamicPartitionsDefinition(name="files")
    @dg.asset(key_prefix="raw", metadata={
        "path": dg.MetadataValue.path("data/1_raw/good.csv"), "md": dg.MetadataValue.md("x.csv"), "int": 3,
        "schema": dg.TableSchema([dg.TableColumn("x.csv")])})
    def good():
        import lazily
    @dg.asset(key_prefix="raw")
    def bad(): raise ValueError("line 3")
    @dg.asset(deps=[bad])
    def below(): ...
    @dg.asset
    def checked(): return 1
    @dg.asset_check(asset=checked)
    def has_rows(): return dg.AssetCheckResult(passed=False, metadata={"rows": 0})
    @dg.asset(partitions_def=static)
    def region(): ...
    @dg.asset(partitions_def=files)
    def by_file(): ...
    @dg.asset(partitions_def=dg.MultiPartitionsDefinition({"region": static, "day": days}))
    def both(): ...
    @dg.asset(partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run())
    def series(context) -> None: context.log.info(str(context.partition_key_range))
    @dg.asset(
        partitions_def=dg.WeeklyPartitionsDefinition("2024-01-07"),
        deps=[dg.AssetDep(series, partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1))])
    def weekly(): ...
    @dg.multi_asset(outs={"left": dg.AssetOut(), "right": dg.AssetOut()})
    def pair(): return 1, 2
    @dg.observable_source_asset
    def seen(): return dg.DataVersion("1")
    defs = dg.Definitions(
        [series, weekly, good, bad, below, checked, region, by_file, both, pair, seen, dg.SourceAsset("outside")],
        asset_checks=[has_rows])
"""

ORIGINS = """
    def origin(run):
        return getattr(run, "remote_job_origin", None) or getattr(run, "external_job_origin", None)
    found = [origin(run) for run in instance.get_runs()]
    out = sorted({one.repository_origin.code_location_origin.location_name for one in found})
"""


@pytest.mark.skipif(not PYTHONS, reason="RAW_TRIGGER_DAGSTER_PYTHONS names no interpreters")
@pytest.mark.parametrize("python", PYTHONS)
def test_probe_and_run(sandbox_factory, python):
    sandbox = sandbox_factory(
        {
            "pyproject.toml": '[tool.dagster]\nmodule_name = "shop.defs"\n',
            "shop/__init__.py": "",
            "shop/defs.py": DEFS,
            "lazily.py": "",
        }
    )
    project = sandbox.project(python=python)
    catalog = project.catalog()
    assert {key: asset.kind for key, asset in catalog.assets.items()} == {
        **dict.fromkeys(
            (
                *("below", "both", "by_file", "checked", "left", "raw/bad", "raw/good", "region", "right"),
                *("series", "weekly"),
            ),
            "materializable",
        ),
        "outside": "external",
        "seen": "observable",
    }
    assert catalog.assets["left"].execution_set == ("left", "right")
    assert catalog.assets["below"].parents == ("raw/bad",)
    assert catalog.assets["checked"].checks == ("has_rows",)
    assert catalog.assets["raw/good"].metadata == (("path", "data/1_raw/good.csv"),)
    days = dict(catalog.assets["both"].partitions.dimensions)["day"]
    assert (days.kind, days.start, days.cron) == ("time", "2024-01-05T00:00:00+00:00", "0 0 * * *")
    assert catalog.assets["weekly"].mappings == (("series", PartitionMapping("time", start_offset=-1)),)
    assert catalog.assets["series"].partitions_per_run == 0
    assert not project.catalog().fresh
    ran = sandbox.run(
        batch(1, "raw/good", "raw/bad", "below", "checked", "left", "right", "seen"),
        batch(2, "region|eu", "left", "right", partition="eu"),
        batch(3, "region|mars"),
        batch(4, "by_file|new.csv"),
        batch(5, "both|2024-01-05|us"),
        batch(6, target("outside", data_version="abc"), kind="report"),
        batch(7, "by_file|new.csv.gz", "by_file|never", kind="delete-partition"),
        batch(8, "series|2024-01-06", "series|2024-01-07", is_range=True),
        project=project,
    )
    assert ran.result.problem is None
    assert {f"{e.batch} {e.asset}": e.status for e in ran.targets} == {
        "1 raw/good": "success",
        "1 raw/bad": "failed",
        "1 below": "skipped",
        "1 checked": "failed",
        "1 left": "success",
        "1 right": "success",
        "1 seen": "success",
        "2 region": "success",
        "2 left": "success",
        "2 right": "success",
        "3 region": "skipped",
        "4 by_file": "success",
        "5 both": "success",
        "6 outside": "success",
        "7 by_file": "success",
        "8 series": "success",
    }
    assert ran.target("series", "2024-01-06").run_id == ran.target("series", "2024-01-07").run_id
    assert ran.target("raw/bad").error.message == "ValueError: line 3"
    assert ran.target("below").error.message == "upstream raw/bad failed"
    assert ran.target("checked").error.message == "asset check has_rows failed: rows: 0"
    out = sandbox.dagster(ORIGINS, python=python)
    assert out == ["shop.defs"], "pages show the runs under the code location"
