"""The asset graph, as the project's own interpreter tells it."""

from __future__ import annotations

import pytest

from raw_trigger.model.assets import KEY, Asset, PartitionMapping, Partitions

DEFS = """
    import datetime
    from pathlib import Path
    import dagster as dg

    static = dg.StaticPartitionsDefinition(["eu", "us"])
    daily = dg.DailyPartitionsDefinition("2024-01-05", timezone="Europe/Berlin", end_offset=1)
    hourly = dg.TimeWindowPartitionsDefinition(
        start="2024-01", end="2025-01", fmt="%Y-%m", cron_schedule="0 0 1 * *")
    files = dg.DynamicPartitionsDefinition(name="files")
    both = dg.MultiPartitionsDefinition({"region": static, "day": daily})

    @dg.asset(partitions_def=static)
    def by_region(): ...
    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["eu", "us"]))
    def by_region_too(): ...
    @dg.asset(partitions_def=daily)
    def by_day(context):
        "Of days.csv, one file a day."
        (RAW / f"{context.partition_key}.csv").read_text()
    @dg.asset(partitions_def=hourly)
    def by_month(): ...
    @dg.asset(partitions_def=files)
    def by_file(): ...
    @dg.asset(partitions_def=both)
    def by_both(): ...
    @dg.asset(partitions_def=dg.DynamicPartitionsDefinition(lambda now=None: ["a"]))
    def by_code(): ...

    @dg.asset(
        partitions_def=dg.WeeklyPartitionsDefinition("2024-01-01", timezone="Europe/Berlin"),
        deps=[dg.AssetDep("by_day", partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1))],
        backfill_policy=dg.BackfillPolicy.single_run())
    def by_week(): ...
    @dg.asset(
        partitions_def=static, backfill_policy=dg.BackfillPolicy.multi_run(5),
        deps=[dg.AssetDep("by_region", partition_mapping=dg.StaticPartitionMapping({"eu": ["us"]})), "by_region_too",
              "seen"])
    def moved(): ...
    @dg.asset(deps=["by_region"])
    def all_regions(): ...

    @dg.asset(
        key_prefix=["raw", "shop"], group_name="raw", deps=["outside"],
        metadata={
            "path": dg.MetadataValue.path("data/1_raw/a.csv"),
            "url": dg.MetadataValue.url("data/1_raw/b.csv"),
            "text": "data/1_raw/c.csv", "many": ["d.csv", "e.csv"], "number": 3,
            "json": dg.MetadataValue.json({"paths": ["f.csv", {"sheet": "g.csv"}], "rows": 3}),
            "home": Path("data/1_raw/h.csv"), "dagster/uri": "file:data/1_raw/i.csv",
        })
    def sales(): ...

    M = dg.MetadataValue
    schema = dg.TableSchema([dg.TableColumn("column.csv")])
    lineage = dg.TableColumnLineage({"column.csv": [dg.TableColumnDep(dg.AssetKey("a.csv"), "b.csv")]})
    @dg.asset(metadata={
        "md": M.md("x.csv"), "int": M.int(3), "float": M.float(float("nan")), "bool": M.bool(True), "null": M.null(),
        "timestamp": M.timestamp(0.0), "notebook": M.notebook("x.csv"), "artifact": M.python_artifact(Path),
        "asset": M.asset(dg.AssetKey("x.csv")), "run": M.dagster_run("x.csv"), "job": M.job("x.csv", "y.csv"),
        "table": M.table([dg.TableRecord({"column.csv": "x.csv"})], schema), "schema": schema, "lineage": lineage,
        "pool": M.pool("x.csv"), "code": dg.CodeReferencesMetadataValue(
            code_references=[dg.LocalFileCodeReference(file_path="x.csv"), dg.UrlCodeReference(url="https://x.csv")]),
        "class": Path, "path": M.path("data/1_raw/j.csv")})
    def documented(): ...

    class TextMetadataValue(dg.TextMetadataValue):
        @property
        def value(self): raise ConnectionError("no route to host")
    @dg.asset(metadata={"asked": TextMetadataValue("x.csv"), "path": "data/1_raw/k.csv"})
    def far_away(): ...

    @dg.asset_check(asset=sales)
    def not_empty(): return dg.AssetCheckResult(passed=True)

    RAW = Path(__file__).parent / "data"
    @dg.multi_asset(outs={"left": dg.AssetOut(), "right": dg.AssetOut()})
    def pair():
        return (RAW / "pair.csv").read_text(), 1
    @dg.op
    def reading():
        return open("data/graph.csv").read()
    @dg.graph_asset
    def graph():
        return reading()
    @dg.multi_asset(outs={n: dg.AssetOut(is_required=False) for n in ("l", "r")}, can_subset=True)
    def free(): ...

    class Sheet(dg.Config):
        number: int
        name: str = "x"
    @dg.asset
    def configured(config: Sheet): ...
    @dg.op
    def needs_sheet(config: Sheet): ...
    @dg.graph_asset
    def graph_configured(): return needs_sheet()
    class Database(dg.ConfigurableResource):
        url: str
    @dg.asset
    def launched(late: Database): ...
    @dg.asset
    def connected(early: Database): ...
    @dg.job
    def sheets(): needs_sheet()
    @dg.job(config={"ops": {"needs_sheet": {"config": {"number": 1}}}})
    def preset(): needs_sheet()

    @dg.observable_source_asset
    def seen(): return dg.DataVersion("1")

    defs = dg.Definitions(
        [by_week, moved, all_regions, by_region, by_region_too, by_day, by_month, by_file, by_both, by_code, sales, documented, far_away, configured, graph_configured, launched, connected, pair, graph, free,
         seen,
         dg.AssetSpec("outside", metadata={"path": "x.csv"}), dg.SourceAsset("old_style")],
        asset_checks=[not_empty], jobs=[sheets, preset],
        resources={"early": Database(url="x"), "late": Database.configure_at_launch()})
"""

DAILY = Partitions(
    "time",
    format="%Y-%m-%d",
    start="2024-01-05T00:00:00+01:00",
    cron="0 0 * * *",
    timezone="Europe/Berlin",
    end_offset=1,
)
STATIC = Partitions("static", ("eu", "us"))


@pytest.fixture(scope="module")
def project(sandbox_factory):
    return sandbox_factory({"defs.py": DEFS}).project(python_file=("defs.py",))


@pytest.fixture(scope="module")
def catalog(project):
    return project.catalog()


def test_one_asset_exactly(catalog):
    assert catalog.assets["raw/shop/sales"] == Asset(
        key="raw/shop/sales",
        parts=("raw", "shop", "sales"),
        location="defs.py",
        kind="materializable",
        group="raw",
        partitions=None,
        parents=("outside",),
        execution_set=(),
        metadata=(
            ("path", "data/1_raw/a.csv"),
            ("url", "data/1_raw/b.csv"),
            ("text", "data/1_raw/c.csv"),
            ("many", "d.csv"),
            ("many", "e.csv"),
            ("json", "f.csv"),
            ("json", "g.csv"),
            ("home", "data/1_raw/h.csv"),
            ("dagster/uri", "file:data/1_raw/i.csv"),
        ),
        checks=("not_empty",),
    )
    assert catalog.children["outside"] == ["raw/shop/sales"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("by_region", STATIC),
        ("by_region_too", STATIC),
        ("by_day", DAILY),
        (
            "by_month",
            Partitions(
                "time",
                format="%Y-%m",
                start="2024-01-01T00:00:00+00:00",
                end="2025-01-01T00:00:00+00:00",
                cron="0 0 1 * *",
                timezone="UTC",
            ),
        ),
        ("by_file", Partitions("dynamic", name="files")),
        ("by_both", Partitions("multi", dimensions=(("day", DAILY), ("region", STATIC)))),
        ("raw/shop/sales", None),
    ],
)
def test_partitions(catalog, key, expected):
    assert catalog.assets[key].partitions == expected


def test_what_cannot_be_read_of_one_asset_is_left_out_with_a_note(catalog):
    assert catalog.assets["documented"].metadata == (("path", "data/1_raw/j.csv"),)
    assert catalog.assets["far_away"].metadata == (("path", "data/1_raw/k.csv"),)
    message = "its metadata 'asked' cannot be read: ConnectionError: no route to host"
    assert catalog.unread == (("far_away", message),)


def test_partitions_made_by_code_are_other(catalog):
    assert catalog.assets["by_code"].partitions.kind == "other"


@pytest.mark.parametrize(
    ("key", "kind", "together"),
    [
        ("left", "materializable", ("left", "right")),
        ("right", "materializable", ("left", "right")),
        ("l", "materializable", ()),
        ("seen", "observable", ()),
        ("outside", "external", ()),
        ("old_style", "external", ()),
    ],
)
def test_kinds_and_execution_sets(catalog, key, kind, together):
    assert (catalog.assets[key].kind, catalog.assets[key].execution_set) == (kind, together)


def test_how_partitions_are_made_from_others(catalog):
    all_, identity = PartitionMapping("all"), PartitionMapping("identity")
    moved = PartitionMapping("static", pairs=(("eu", ("us",)),))
    assert {key: asset.mappings for key, asset in catalog.assets.items() if asset.mappings} == {
        "all_regions": (("by_region", all_),),
        "by_week": (("by_day", PartitionMapping("time", start_offset=-1)),),
        "moved": (("by_region", moved), ("by_region_too", identity), ("seen", all_)),
    }
    assert {key: a.partitions_per_run for key, a in catalog.assets.items() if a.partitions_per_run != 1} == {
        "by_week": 0,
        "moved": 5,
    }


def test_names_of_files_in_the_code_and_in_what_is_said(catalog):
    assert {
        key: (asset.named, asset.told) for key, asset in catalog.assets.items() if asset.named or asset.told
    } == {
        "by_day": ((f"/data/{KEY}.csv",), ("days.csv",)),
        "graph": (("data/graph.csv",), ()),
        "left": (("/data/pair.csv",), ()),
        "right": (("/data/pair.csv",), ()),
    }


def test_what_cannot_be_run_without_a_configuration(catalog):
    needing = [key for key, asset in sorted(catalog.assets.items()) if asset.needs_config]
    assert needing == ["configured", "graph_configured", "launched"]


def test_run_configurations_are_held_against_their_jobs(project):
    def sheet(**config):
        return {"ops": {"needs_sheet": {"config": config}}}

    asked = [("sheets", sheet(number=1)), ("preset", {}), ("sheets", sheet(number="x")), ("sheets", {})]
    right, own, wrong, missing = project.config_problems(asked)
    assert (right, own) == (None, None)
    assert wrong.startswith("Invalid scalar at path root:ops:needs_sheet:config:number.")
    assert missing.startswith('Missing required config entry "ops" at the root.')
    assert project.config_problems([]) == []


def test_everything_is_there(catalog):
    assert sorted(catalog.assets) == [
        *("all_regions", "by_both", "by_code", "by_day", "by_file", "by_month", "by_region", "by_region_too"),
        *("by_week", "configured", "connected", "documented", "far_away", "graph", "graph_configured", "l"),
        *("launched", "left", "moved", "old_style", "outside", "r"),
        *("raw/shop/sales", "right", "seen"),
    ]
    assert catalog.dagster_version is not None
