"""Partitions from file to Dagster: ranges, months from days, keys that come, go and come back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from dagster import AssetKey

from tests.support.tables import Project, instance

Make = Callable[..., Project]
R = "data/1_raw/"

DEFINITIONS = """
from pathlib import Path
import dagster as dg

RAW = Path(__file__).parent / "data" / "1_raw"

def read(context, folder):
    for key in context.partition_keys:
        file = RAW / folder / f"{key}.csv"
        if file.exists():
            file.read_text()

days = dg.DailyPartitionsDefinition("2024-01-01")
months = dg.MonthlyPartitionsDefinition("2024-01-01")
files = dg.DynamicPartitionsDefinition(name="files")
far_years = dg.TimeWindowPartitionsDefinition(
    start="2024", fmt="%Y", cron_schedule="0 0 1 1 *", end_offset=-900)
at_once = dg.BackfillPolicy.single_run()

@dg.asset(key_prefix="raw", partitions_def=days, backfill_policy=at_once)
def days_(context) -> None:
    context.log.info(f"made {list(context.partition_keys)}")
    read(context, "days")
@dg.asset(partitions_def=months, deps=[days_])
def monthly() -> None: ...
@dg.asset(partitions_def=far_years, deps=[days_])
def late() -> None: ...
@dg.asset(key_prefix="raw", partitions_def=files)
def files_(context) -> None: read(context, "files")
@dg.asset(partitions_def=files, deps=[files_])
def below() -> None: ...
@dg.asset(deps=[below])
def total() -> None: ...

defs = dg.Definitions([days_, monthly, late, files_, below, total, dg.AssetSpec("outside")])
"""
CONFIG = """
downstream: all
assets:
  - path: "days/{day:%Y-%m-%d}.csv"
    asset: raw/days_
    partition: "{day}"
  - path: "files/{name}.csv"
    asset: raw/files_
    partition: "{name}"
  - path: outside.csv
    asset: outside
"""


def keys(shop: Project) -> list[str]:
    with instance(shop.home) as opened:
        return sorted(opened.get_dynamic_partitions("files"))


def runs(shop: Project) -> int:
    with instance(shop.home) as opened:
        return opened.get_runs_count()


def data_version(shop: Project, key: str) -> str | None:
    with instance(shop.home) as opened:
        event = opened.get_latest_materialization_event(AssetKey(key))
    assert event is not None
    assert event.asset_materialization is not None
    return (event.asset_materialization.tags or {}).get("dagster/data_version")


@pytest.mark.dagster
def test_partitions_from_file_to_dagster(project: Make) -> None:
    shop = project(CONFIG)
    shop.commit({"definitions.py": DEFINITIONS})
    days = ("2024-01-30", "2024-01-31", "2024-02-01", "2999-01-01")
    shop.write(
        {**{f"{R}days/{day}.csv": day for day in days}, R + "files/a.csv": "a", R + "outside.csv": "o"}
    )

    done = shop.tool("run")
    assert done.returncode == 0, done.stderr
    assert shop.materialized() == [
        *("below|a", "monthly|2024-01-01", "monthly|2024-02-01", "outside"),
        *(f"raw/days_|{day}" for day in days[:3]),
        *("raw/files_|a", "total"),
    ]
    # The three days at once, two months, the file with what is below it, and the total.
    assert runs(shop) == 5
    assert keys(shop) == ["a"]
    # A window that is still open is said, and stays pending.
    open_ = "waits for partitions whose time window is open, the first until 2999-01-02 00:00 UTC"
    assert f"\n  {R}days/2999-01-01.csv {open_}\n" in done.stdout
    why = shop.tool("explain", f"{R}days/2999-01-01.csv").stdout
    reason = "'2999-01-01' is no partition yet: its window ends 2999-01-02 00:00 UTC"
    assert f"raw/days_|2999-01-01: {reason}" in why
    targets = shop.plan()["targets"]
    assert {(t["asset"], t["partition"], t["action"]) for t in targets} == {  # type: ignore[attr-defined]
        ("raw/days_", "2999-01-01", "skip"),
        ("monthly", "2999-01-01", "skip"),
        ("late", "2024", "skip"),
        ("late", "2999", "skip"),
    }
    told = shop.tool("diff").stdout
    assert "raw file changed" not in told
    assert told.startswith(
        "4 files wait for partitions whose time window is open, the first until 2925-01-01"
    )
    assert (
        "\n  skip late|2024  ('2024' is no partition yet: it is one from 2925-01-01 00:00 UTC on)\n" in told
    )

    for name in ("files/a.csv", "outside.csv"):
        (shop.top / R / name).unlink()
    assert "1 materialized, 1 reported, 1 partition deleted" in shop.tool("run").stdout
    assert (shop.materialized(), keys(shop)) == (["outside", "total"], [])
    assert data_version(shop, "outside") == "deleted"
    assert not shop.tool("run", "--path", "files/*").returncode
    assert (shop.materialized(), runs(shop)) == ([], 6)

    shop.write({R + "files/a.csv": "a"})
    assert shop.tool("run").returncode == 0
    assert (shop.materialized(), keys(shop)) == (["below|a", "raw/files_|a", "total"], ["a"])
    assert shop.tool("history").returncode == 0

    # The hook of a commit says it once a day.
    shop.git("add", "-A")
    said = []
    for day in ("2999-01-01", "2999-01-01", "2999-01-02"):
        shop.commit({f"{R}days/{day}.csv": f"edited {len(said)}"})
        said.append(shop.tool("hook", "post-commit").stdout)
    assert ["for partitions whose time window is open" in one for one in said] == [True, False, True]
    assert said[1] == ""


NEVER_MADE = """
from pathlib import Path
import dagster as dg

days = dg.DailyPartitionsDefinition("2024-01-01")

@dg.asset(partitions_def=days)
def paths(context) -> str: return str(Path(__file__).parent / f"data/1_raw/{context.partition_key}.csv")
@dg.asset
def rates() -> int: return 1
@dg.asset(partitions_def=days)
def sales(paths: str, rates: int) -> None: Path(paths).read_text()
@dg.asset(deps=["outside"])
def clean() -> int: return 1
@dg.asset(deps=[clean])
def board() -> None: (Path(__file__).parent / "data/1_raw/board.csv").read_text()

defs = dg.Definitions([paths, rates, sales, clean, board, dg.AssetSpec("outside")])
"""
NEVER_MADE_RULES = """
assets:
  - {path: "{day:%Y-%m-%d}.csv", asset: sales, partition: "{day}"}
  - {path: "{name}.csv", asset: "{name}"}
"""


@pytest.mark.dagster
def test_what_was_never_made_is_made_first_and_told(project: Make) -> None:
    """What raw files feed is not: `clean` reads the file of the external asset above it."""
    shop = project(NEVER_MADE_RULES)
    shop.commit({"definitions.py": NEVER_MADE, R + "outside.csv": "o", R + "board.csv": "b"})
    assert shop.tool("adopt").returncode == 0
    shop.write({R + "2024-01-05.csv": "s", R + "board.csv": "c"})
    done = shop.tool("run")
    assert re.sub(r"  \d+\.\d s| in \d+\.\d s", "", done.stdout).splitlines()[3:] == [
        "  ✔ board",
        "  ✔ paths|2024-01-05  made first: never materialized here",
        "  ✔ rates  made first: never materialized here",
        "  ✔ sales|2024-01-05",
        "4 materialized",
    ]
    assert done.stderr == (
        "raw-trigger: warning: never materialized here: clean, which board is made from; `raw-trigger run --all"
        " --asset clean` makes it\n"
    )
    first = [
        (target["asset"], target["reason"])
        for past in json.loads(shop.tool("history", "--format", "json").stdout)["runs"]
        for target in past["targets"]
        if target["reason"] is not None
    ]
    assert sorted(first) == [(name, "made first: never materialized here") for name in ("paths", "rates")]
