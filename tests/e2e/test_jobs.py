"""A rule that launches a named job instead of materializing assets."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.tables import Project, instance

DEFINITIONS = """
import json
from pathlib import Path
from dagster import Config, Definitions, StaticPartitionsDefinition, job, op

RAW = Path(__file__).parent / "data" / "1_raw"
SEEN = Path(__file__).parent / "seen.jsonl"

class Files(Config):
    root: str
    files: list[str] = []
    sheet: float = 0.0
    commit: str = ""

def note(context, config):
    texts = [Path(config.root, name).read_text() for name in config.files]
    with SEEN.open("a") as seen:
        seen.write(json.dumps([context.job_name, context.has_partition_key and context.partition_key, config.files,
                               config.sheet, config.commit]) + "\\n")
    if any("broken" in text for text in texts):
        raise ValueError("broken is no number")

@op
def read(context, config: Files):
    note(context, config)

@job
def many():
    read()

@job
def one():
    read()

@job(partitions_def=StaticPartitionsDefinition(["eu", "us"]))
def regional():
    read()

defs = Definitions(jobs=[many, one, regional])
"""
CONFIG = """\
assets:
  - path: "trustee/**/*.csv"
    job: many
    run_config: {ops: {read: {config: {root: "{root}", files: "{paths}", sheet: 0.5, commit: "{commit}"}}}}
  - path: "single/{name}.csv"
    job: one
    run_config: {ops: {read: {config: {root: "{root}", files: ["{path}"]}}}}
  - path: "{region}.csv"
    job: regional
    partition: "{region}"
    run_config: {ops: {read: {config: {root: "{root}", files: "{paths}"}}}}
"""


def seen(project: Project) -> list[list[object]]:
    """What the jobs were given since this was last asked, sorted."""
    file = project.top / "seen.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return sorted(json.loads(line) for line in lines)


@pytest.mark.dagster
def test_named_jobs(project: Callable[..., Project]) -> None:
    shop = project(CONFIG)
    shop.write({"definitions.py": DEFINITIONS, ".gitignore": "seen.jsonl\n__pycache__/\n"})
    shop.commit({"data/1_raw/trustee/keep.csv": "0\n"})
    assert shop.tool("adopt").returncode == 0
    head = shop.git("rev-parse", "HEAD")

    shop.write(
        {
            "data/1_raw/trustee/a.csv": "1\n",
            "data/1_raw/trustee/x/b.csv": "1\n",
            "data/1_raw/single/c.csv": "1\n",
            "data/1_raw/single/d.csv": "broken\n",
            "data/1_raw/eu.csv": "1\n",
            "data/1_raw/mars.csv": "1\n",
        }
    )
    planned = [(t["asset"], t["partition"], t["job"]) for t in shop.plan()["targets"]]  # type: ignore[attr-defined]
    assert planned == [
        ("job:many", None, "many"),
        ("job:one", "single/c.csv", "one"),
        ("job:one", "single/d.csv", "one"),
        ("job:regional", "eu", "regional"),
        ("job:regional", "mars", "regional"),
    ]
    done = shop.tool("run")
    assert done.returncode == 1
    assert "ValueError: broken is no number" in done.stdout
    assert "'mars' is no partition of job 'regional'" in done.stdout
    assert seen(shop) == [
        ["many", False, ["trustee/a.csv", "trustee/x/b.csv"], 0.5, f"{head}+worktree"],
        ["one", False, ["single/c.csv"], 0.0, ""],
        ["one", False, ["single/d.csv"], 0.0, ""],
        ["regional", "eu", ["eu.csv"], 0.0, ""],
    ]
    with instance(shop.home) as opened:
        [run] = [run for run in opened.get_runs() if run.job_name == "many"]
        assert run.tags["trigger"] == "raw-trigger/cli"

    # What failed is still to do, and nothing else; a deletion launches nothing.
    shop.write({"data/1_raw/single/d.csv": "1\n", "data/1_raw/mars.csv": None, "data/1_raw/eu.csv": None})
    done = shop.tool("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "job:regional|eu: data/1_raw/eu.csv is deleted: what the job made from it is now stale" in done.stdout
    )
    assert seen(shop) == [["one", False, ["single/d.csv"], 0.0, ""]]
    assert shop.plan()["changes"] == []

    assert "0 errors, 1 warning" in shop.tool("check").stdout
    (shop.top / "raw-trigger.yaml").write_text('assets: [{path: "**", job: mny}]\n')
    checked = shop.tool("check")
    assert checked.returncode == 2
    assert "job 'mny' is not in the Dagster project; did you mean 'many'?" in checked.stdout
