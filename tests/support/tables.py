"""Projects of a few tables, written in Python, with Dagster or with its stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conftest import Repo
from tests.support.forks import tool

if TYPE_CHECKING:
    from dagster import DagsterInstance

DEFINITIONS = """
import csv
from pathlib import Path
from dagster import AssetKey, Definitions, asset

RAW = Path(__file__).parent / "data" / "1_raw"

def table(name, *paths):
    @asset(key=AssetKey(["raw", name]))
    def loaded():
        for path in paths:
            text = (RAW / path).read_text()
            if "broken" in text:
                raise ValueError(f"{path} line 1: 'broken' is not a number")
        return [(RAW / path).read_text() for path in paths]
    return loaded

defs = Definitions(assets=[%s])
"""
GRAPH = ".git/raw-trigger/cache/catalog.json"


class Project(Repo):
    """A repository with a Dagster project at its top, and what Dagster's event log says of it."""

    def __init__(self, top: Path, home: Path) -> None:
        super().__init__(top)
        self.home = home
        self._cursor = -1

    def tool(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run raw-trigger as a user does."""
        if not self.inside:
            return tool(self.top, *args)
        return subprocess.run(
            [*self.inside, sys.executable, "-m", "raw_trigger", *args],
            cwd=self.top,
            env={**os.environ, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def plan(self, *args: str) -> dict[str, object]:
        """What ``raw-trigger diff --format json`` says."""
        done = self.tool("diff", "--format", "json", *args)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    def materialized(self) -> list[str]:
        """What Dagster's event log says was materialized since this was last asked, sorted."""
        if not (self.home / "history").exists():
            return []
        from dagster import DagsterEventType, EventRecordsFilter

        with instance(self.home) as opened, warnings.catch_warnings():
            # fetch_materializations wants one asset; this is the one way to ask for all, in their order.
            warnings.simplefilter("ignore")
            records = opened.get_event_records(
                EventRecordsFilter(DagsterEventType.ASSET_MATERIALIZATION, after_cursor=self._cursor)
            )
        found = []
        for record in records:
            self._cursor = max(self._cursor, record.storage_id)
            key = record.asset_key
            assert key is not None
            partition = record.partition_key
            found.append("/".join(key.path) + (f"|{partition}" if partition else ""))
        return sorted(found)

    def runs(self) -> list[str]:
        """The status of each Dagster run, the newest first."""
        with instance(self.home) as opened:
            return [one.status.value for one in opened.get_runs()]


class Pretended(Project):
    """The same, with the stand-in for Dagster."""

    def runs(self) -> list[str]:
        """The status of each run, the newest first."""
        found: dict[str, str] = {}
        for one in self._events():
            if one["type"] in ("run", "run ended"):
                found[one["run"]] = one.get("status", "STARTED")
        return list(found.values())[::-1]

    def _events(self) -> list[dict[str, Any]]:
        log = self.home / "events.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def materialized(self) -> list[str]:
        """What the stand-in's event log says was materialized since this was last asked, sorted."""
        events = self._events()
        new = events[max(self._cursor, 0) :]
        self._cursor = len(events)
        made = [(one["asset"], one["partition"]) for one in new if one["type"] == "made"]
        return sorted(asset + (f"|{partition}" if partition else "") for asset, partition in made)


def instance(home: Path) -> DagsterInstance:
    """The Dagster instance of a home folder."""
    from dagster import DagsterInstance

    return DagsterInstance.from_config(str(home))


def write_project(made: Project, config: str | None = None, **assets: list[str]) -> None:
    """Make and commit it: one asset per ``name=[paths]``, mapped by convention or by rules."""
    made.top.mkdir()
    made.git("init", "-q")
    listed = ", ".join(f"table({name!r}, {', '.join(map(repr, paths))})" for name, paths in assets.items())
    made.write(
        {
            "definitions.py": DEFINITIONS % listed,
            "pyproject.toml": '[tool.dagster]\nmodule_name = "definitions"\n',
            ".gitignore": "__pycache__/\n",
            **{f"data/1_raw/{path}": f"{path}\n" for paths in assets.values() for path in paths},
        }
    )
    if config is not None:
        made.write({"raw-trigger.yaml": config})
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "start")
