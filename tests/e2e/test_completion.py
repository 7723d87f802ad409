"""What the shell proposes, asked for as bash and zsh do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from raw_trigger.project import catalog as cache
from tests.conftest import Repo
from tests.support.tables import Project

DEFINITIONS = """
from dagster import DailyPartitionsDefinition, Definitions, StaticPartitionsDefinition, asset

@asset(key=["raw", "day"], partitions_def=DailyPartitionsDefinition("2026-01-01", end_date="2026-01-04"))
def day(): ...

@asset(key=["raw", "region"], partitions_def=StaticPartitionsDefinition(["eu", "us"]))
def region(): ...

@asset
def report(): ...

defs = Definitions(assets=[day, region, report])
"""


def proposed(folder: Path, line: str, **environ: str) -> list[str]:
    """What bash is told where the cursor is behind the line."""
    words = line.split(" ")
    asked = {"_RAW_TRIGGER_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "raw_trigger"],
        cwd=folder,
        env={**os.environ, **asked, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def test_what_is_known_is_proposed_without_dagster(
    project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = project("ci: {environments: {production: [main]}}\n", a=["a.csv"])
    shop.commit({"definitions.py": DEFINITIONS})
    assert shop.tool("check").returncode == 0, "the catalog is cached"
    shop.git("update-ref", "refs/raw-trigger/pr-12", "HEAD^{tree}")
    # Even where it does not load any more.
    shop.write({"definitions.py": "raise SystemExit"})
    top = shop.top
    assert proposed(top, "raw-trigger diff --asset raw/") == ["raw/day", "raw/region"]
    assert proposed(top, "raw-trigger run re") == ["report"]
    assert proposed(top / "data", "raw-trigger explain raw/d") == ["raw/day"]
    assert proposed(tmp_path, f"raw-trigger -C {top} history --asset rep") == ["report"]
    assert proposed(top, "raw-trigger run --partition e") == ["eu"]
    days = ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert proposed(top, "raw-trigger run --asset raw/day --partition ") == days
    assert proposed(top, "raw-trigger run --asset raw/day --partition 2026-01-01..2026-01-03") == [
        "2026-01-01..2026-01-03"
    ]
    assert proposed(top, "raw-trigger diff --environment ") == ["local", "pr-12", "production"]
    zsh = {"_RAW_TRIGGER_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "raw-trigger forget --asset rep"}
    assert proposed(top, "", **zsh) == ["""_arguments '*: :(("report"))'"""]


@pytest.mark.parametrize("line", ["diff --asset r", "run --environment ", "history ", "run --partition 2"])
def test_whatever_is_wrong_nothing_is_proposed(tmp_path: Path, line: str) -> None:
    assert proposed(tmp_path, f"raw-trigger {line}") == []
    broken = Repo(tmp_path / "broken")
    broken.top.mkdir()
    broken.git("init", "-q")
    broken.write({"raw-trigger.yaml": "rot: x\n", f".git/raw-trigger/cache/{cache.FILE}": "{"})
    assert proposed(broken.top, f"raw-trigger {line}") == []
