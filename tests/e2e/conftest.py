"""Dagster projects in real repositories, with the hooks as a user has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dagster import DagsterEventType, DagsterInstance, EventRecordsFilter

from tests.conftest import Repo

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


def instance(home: Path) -> DagsterInstance:
    """The Dagster instance of a home folder."""
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


@pytest.fixture(scope="session")
def graphs() -> dict[str, bytes]:
    """The asset graph of each ``definitions.py`` that was loaded at the one place."""
    return {}


@pytest.fixture
def one_place(tmp_path_factory: pytest.TempPathFactory, graphs: dict[str, bytes]) -> Iterator[Path]:
    """A ``tmp_path`` that is the same for one test after the other, none of which may leave a process there.

    The asset graph is cached by the paths it came from, and loading it takes Dagster two seconds.
    """
    place = tmp_path_factory.getbasetemp() / "place"
    place.mkdir()
    yield place
    definitions, graph = place / "project/definitions.py", place / "project" / GRAPH
    if definitions.is_file() and graph.is_file():
        graphs[definitions.read_text()] = graph.read_bytes()
    place.rename(tmp_path_factory.mktemp("left") / "place")


@pytest.fixture
def project(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    new_home: Callable[[Path], Path],
    graphs: dict[str, bytes],
) -> Callable[..., Project]:
    """Makes a committed project, see :func:`write_project`."""

    def make(config: str | None = None, **assets: list[str]) -> Project:
        home = new_home(tmp_path / "dagster_home")
        monkeypatch.setenv("DAGSTER_HOME", str(home))
        made = Project(tmp_path / "project", home)
        write_project(made, config, **assets)
        graph = graphs.get((made.top / "definitions.py").read_text())
        if graph is not None:
            made.write({GRAPH: graph})
        return made

    return make
