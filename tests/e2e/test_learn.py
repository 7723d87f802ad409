"""`raw-trigger learn` on assets that read in every way there is."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.tables import Project

DEFS = """
import os, subprocess
from pathlib import Path
import dagster as dg

RAW = Path(__file__).parent / "data" / "1_raw"

def raw(function):
    return dg.asset(key_prefix="in")(function)

@raw
def with_open():
    open(RAW / "open.csv").close()
@raw
def with_os():
    os.chdir(RAW)
    os.close(os.open("os.csv", os.O_RDONLY))
@raw
def with_pathlib():
    [path.read_text() for path in sorted((RAW / "notes").glob("*.txt"))]
@raw
def with_gzip():
    import gzip
    gzip.open(RAW / "zip.csv.gz").read()
@raw
def with_pandas():
    import pandas
    pandas.read_csv(RAW / "pandas.csv")
@raw
def with_pyarrow():
    from pyarrow import csv, parquet
    csv.read_csv(RAW / "pyarrow.csv")
    parquet.read_table(RAW / "pyarrow.parquet", memory_map=True)
@raw
def with_polars():
    import polars
    polars.read_csv(RAW / "polars.csv")
    polars.scan_parquet(RAW / "lake" / "*" / "*.parquet").collect()
@raw
def with_duckdb():
    import duckdb
    duckdb.sql(f"select * from '{RAW}/duckdb.csv' join '{RAW}/pyarrow.parquet' using (a)").fetchall()
@raw
def with_cat():
    subprocess.run(["cat", RAW / "cat.csv"], check=True)
@raw
def fails():
    raise ValueError(open(RAW / "fails.csv").read())
@raw
def writes():
    (RAW / "written.csv").write_text("a\\n")
@dg.op
def first():
    return (RAW / "op.csv").read_text()
@dg.op
def second(text):
    return text
@dg.graph_asset
def graph():
    return second(first())
@dg.multi_asset(outs={"left": dg.AssetOut(), "right": dg.AssetOut()})
def pair():
    return (RAW / "pair.csv").read_text(), 2
@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2025-01-01"))
def daily(context):
    (RAW / "days" / f"{context.partition_key}.csv").read_text()
@raw
def checked():
    return 1
@dg.asset_check(asset=checked)
def check():
    return dg.AssetCheckResult(passed=(RAW / "expected.txt").read_text() == "1\\n")
@raw
def known():
    (RAW / "known.csv").read_text()
@dg.asset(key_prefix="in", deps=[known])
def below():
    (RAW / "below.csv").read_text()

defs = dg.Definitions(
    [below, with_open, with_os, with_pathlib, with_gzip, with_pandas, with_pyarrow, with_polars, with_duckdb,
     with_cat, fails, writes, graph, pair, daily, checked, known], asset_checks=[check])
"""
CONFIG = """\
# by hand
assets:
  - path: known.csv
    asset: in/known

  # whatever else there is
  - path: "**/*.md"
    ignore: true
"""
LEARNED = """\
# by hand
assets:
  - path: known.csv
    asset: in/known

  # whatever else there is
  - path: "**/*.md"
    ignore: true
  - path: below.csv
    asset: in/below
  - path: cat.csv
    asset: in/with_cat
  - path: duckdb.csv
    asset: in/with_duckdb
  - path: expected.txt
    asset: in/checked
  - path: fails.csv
    asset: in/fails
  - path: op.csv
    asset: graph
  - path: open.csv
    asset: in/with_open
  - path: os.csv
    asset: in/with_os
  - path: pair.csv
    assets: [left, right]
  - path: pandas.csv
    asset: in/with_pandas
  - path: polars.csv
    asset: in/with_polars
  - path: pyarrow.csv
    asset: in/with_pyarrow
  - path: pyarrow.parquet
    assets: [in/with_duckdb, in/with_pyarrow]
  - path: zip.csv.gz
    asset: in/with_gzip
  - path: "days/{date:%Y-%m-%d}.csv"
    asset: daily
    partition: "{date}"
  - path: "lake/**/*.parquet"
    asset: in/with_polars
  - path: "notes/*.txt"
    asset: in/with_pathlib
"""
CSV = (
    "open",
    "os",
    "pandas",
    "pyarrow",
    "polars",
    "duckdb",
    "cat",
    "fails",
    "op",
    "pair",
    "known",
    "unread",
    "below",
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    home = tmp_path / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").touch()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    top = tmp_path / "project"
    top.mkdir()
    made = Project(top, home)
    made.git("init", "-q")
    raw = "data/1_raw"
    made.write(
        {
            "defs.py": DEFS,
            "pyproject.toml": '[tool.dagster]\nmodule_name = "defs"\n',
            "raw-trigger.yaml": CONFIG,
            ".gitignore": "__pycache__/\nwritten.csv\n",
            **{f"{raw}/{name}.csv": "a,b\n1,2\n" for name in CSV},
            **{f"{raw}/days/2025-02-0{day}.csv": "a\n" for day in range(1, 5)},
            **{f"{raw}/notes/{name}.txt": "text\n" for name in "ab"},
            f"{raw}/notes/README.md": "text\n",
            f"{raw}/expected.txt": "1\n",
            f"{raw}/zip.csv.gz": gzip.compress(b"a\n1\n"),
        }
    )
    for name in ("pyarrow", "lake/eu/1", "lake/us/1"):
        (top / raw / name).parent.mkdir(parents=True, exist_ok=True)
        duckdb.sql("select 1 as a").write_parquet(str(top / raw / f"{name}.parquet"))
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "start")
    return made


def test_the_rules_are_learned_from_what_the_assets_read(project: Project) -> None:
    done = project.tool("learn", "--all", "--yes", "--write", "--format", "json")
    assert done.returncode == 1, done.stderr  # one of the assets fails
    told = json.loads(done.stdout)
    assert (project.top / "raw-trigger.yaml").read_text() == LEARNED
    assert project.git("diff", "--stat", "--", "raw-trigger.yaml") and told["written"]
    assert [(one["asset"], one["error"].split("\n")[0]) for one in told["failed"]] == [
        ("in/fails", "ValueError: a,b")
    ]
    read: dict[str, Any] = {f"{one['asset']}|{one['partition'] or ''}": one for one in told["read"]}
    assert {key: one["folders"] for key, one in read.items() if one["folders"]} == {
        "in/with_pathlib|": ["data/1_raw/notes"],
        "in/with_polars|": ["data/1_raw/lake", "data/1_raw/lake/eu", "data/1_raw/lake/us"],
    }
    assert {"in/writes|", "daily|2025-02-03", "daily|2025-02-04"} <= set(read)
    assert read["in/fails|"]["files"] == ["data/1_raw/fails.csv"]
    assert read["in/writes|"]["files"] == read["in/writes|"]["unsure"] == []
    assert read["in/with_cat|"]["unsure"] == ["data/1_raw/cat.csv"]
    # What ran is recorded under the new rules: only what did not succeed, or did not run, is pending.
    pending = project.plan()
    assert [f"{one['asset']}|{one['partition']}" for one in pending["targets"]] == [  # type: ignore[attr-defined, index]
        "daily|2025-02-01",
        "daily|2025-02-02",
        "in/fails|None",
    ]
    left = {one["path"]: one["disposition"] for one in pending["changes"] if one["disposition"] != "planned"}  # type: ignore[attr-defined, index]
    assert left == {"data/1_raw/notes/README.md": "ignored", "data/1_raw/unread.csv": "unmapped"}

    # What was read is known from then on, whatever became of the file.
    project.write({"raw-trigger.yaml": CONFIG})
    done = project.tool("learn", "--watch-runs")
    assert (done.returncode, done.stdout) == (0, told["diff"]), done.stderr
    assert (project.top / "raw-trigger.yaml").read_text() == CONFIG
