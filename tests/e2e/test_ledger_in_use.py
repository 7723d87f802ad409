"""What stands in the history after runs, and what is done with it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tables import Project

Make = Callable[..., Project]
R = "data/1_raw/"


@pytest.fixture
def tmp_path(one_place: Path) -> Path:
    return one_place


@pytest.fixture
def shop(project: Make) -> Project:
    made = project(a=["a.csv"], b=["b.csv"])
    assert made.tool("install").returncode == 0
    return made


def history(project: Project, *args: str) -> list[dict[str, object]]:
    done = project.tool("history", "--format", "json", *args)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    runs = document["runs"]
    assert isinstance(runs, list)
    return runs


def test_every_run_stands_in_the_history(shop: Project) -> None:
    shop.stage({R + "a.csv": "broken", R + "b.csv": "2"})
    assert shop.try_git("commit", "-m", "x").returncode == 1
    [run] = history(shop)
    assert (run["face"], run["status"]) == ("pre-commit", "failed")
    shop.stage({R + "a.csv": "mended"})
    assert shop.try_git("commit", "-m", "x").returncode == 0
    assert [one["status"] for one in history(shop)] == ["success", "failed"]
    assert [one["status"] for one in history(shop, "--status", "failed", "--asset", "raw/a")] == ["failed"]
    shown = shop.tool("history", str(run["run_id"])[:8]).stdout
    assert "ValueError: a.csv line 1: 'broken' is not a number" in shown
    assert R + "a.csv" in shown


def test_a_hook_does_not_try_again_what_fails_with_the_same_content(shop: Project) -> None:
    shop.stage({R + "a.csv": "broken"})
    done = shop.try_git("commit", "--no-verify", "-m", "x")
    assert "it stays pending: mend it, then `raw-trigger run`" in done.stderr
    shop.stage({R + "b.csv": "2"})
    done = shop.try_git("commit", "-m", "y")
    assert done.returncode == 0, done.stderr
    assert "it still fails with this content: `raw-trigger run` tries again" in done.stderr
    assert shop.materialized() == ["raw/b"]
    assert [one["face"] for one in history(shop)] == ["pre-commit", "post-commit"]
    shop.stage({R + "a.csv": "mended"})
    assert shop.try_git("commit", "--no-verify", "-m", "z").returncode == 0
    assert shop.materialized() == ["raw/a"]


@pytest.mark.soak
def test_a_hook_tries_again_once_the_file_that_failed_is_mended(project: Make) -> None:
    """Taken back, it is no change any more: what is left to do is a part of what failed."""
    made = project("assets: [{path: 'a*.csv', asset: raw/a}]\n", a=["a.csv", "a2.csv"])
    assert made.tool("install").returncode == 0
    for contents in ("1", "1"), ("2", "broken"), ("2", "1"):
        made.materialized()
        made.stage(dict(zip((R + "a.csv", R + "a2.csv"), contents, strict=True)))
        done = made.try_git("commit", "--no-verify", "-m", "x")
        assert ("1 failed" in done.stderr) == ("broken" in contents), done.stderr
    assert made.materialized() == ["raw/a"]


@pytest.mark.soak
def test_only_what_failed(shop: Project) -> None:
    shop.write({R + "a.csv": "broken"})
    assert shop.tool("run").returncode == 1
    shop.write({R + "b.csv": "2"})
    assert shop.tool("run", "--failed").returncode == 1
    assert shop.materialized() == []
    assert shop.tool("run").returncode == 1
    assert shop.materialized() == ["raw/b"]


@pytest.mark.soak
@pytest.mark.parametrize(
    "harm",
    ["garbage", "folder", "url"],
)
def test_a_ledger_that_cannot_be_used_is_a_warning(shop: Project, harm: str) -> None:
    path = shop.top / ".git/raw-trigger/ledger.sqlite"
    if harm == "garbage":
        path.write_bytes(b"no database at all, but long enough to be looked at as one" * 40)
    elif harm == "folder":
        path.mkdir()
    else:
        shop.write({"raw-trigger.yaml": "ledger: postgresql+psycopg://127.0.0.1:1/none\n"})
    shop.write({R + "a.csv": "2"})
    done = shop.tool("run")
    assert done.returncode == 0, done.stderr
    assert "warning: the run is not in the history" in done.stderr
    assert shop.materialized() == ["raw/a"]
    assert shop.plan()["changes"] == []


@pytest.mark.soak
def test_its_tables_are_those_that_dashboards_read(shop: Project) -> None:
    shop.write({R + "a.csv": "2"})
    assert shop.tool("run").returncode == 0
    with sqlite3.connect(shop.top / ".git/raw-trigger/ledger.sqlite") as database:
        [row] = database.execute("SELECT status, triggered_by, parent_run_id FROM ingestion_runs").fetchall()
        assets = database.execute("SELECT asset_key, status FROM ingestion_run_assets").fetchall()
    assert row[:2] == ("success", "cli")
    assert len(row[2]) == 36
    assert assets == [("raw/a", "success")]
