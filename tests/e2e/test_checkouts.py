"""A worktree whose environment has the project of the main checkout installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Repo

ASSETS = """
from pathlib import Path
from dagster import Definitions, asset

RAW = Path(__file__).parents[1] / "data" / "1_raw"
KEPT = (RAW / "kept.csv").read_text()

@asset(key_prefix="raw")
def a():
    return (RAW / "a.csv").read_text()

@asset(key_prefix="raw")
def kept():
    return KEPT

defs = Definitions([a, kept])
"""


@pytest.mark.soak
def test_code_that_reads_the_files_of_another_checkout(tmp_path: Path) -> None:
    """What its step did not open is not recorded; what is read when the project is loaded is."""
    main, side = Repo(tmp_path / "main"), Repo(tmp_path / "side")
    main.top.mkdir()
    main.git("init", "-q")
    main.commit(
        {
            "src/shop.py": ASSETS,
            "pyproject.toml": '[tool.dagster]\nmodule_name = "shop"\n',
            ".gitignore": "__pycache__/\n",
            "data/1_raw/a.csv": "1\n",
            "data/1_raw/kept.csv": "1\n",
        }
    )
    main.git("worktree", "add", "-q", str(side.top))

    def tool(repo: Repo, *args: str, code: Repo) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "raw_trigger", *args],
            cwd=repo.top,
            # What an editable install comes to.
            env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(code.top / "src")},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    assert tool(side, "adopt", "--no-catalog", code=main).returncode == 0
    side.commit({"data/1_raw/a.csv": "2\n", "data/1_raw/kept.csv": "2\n"})
    ran = tool(side, "run", code=main)
    said = " ".join(ran.stderr.split())
    assert f"the code is loaded from {main.top}/src/shop.py, another checkout than {side.top}" in said
    assert "`raw/a` ran but did not open data/1_raw/a.csv, so it is not recorded" in said
    assert ran.returncode == 1, "as the history and every later command say"
    pending = tool(side, "diff", "--exit-code", code=main)
    assert pending.returncode == 1
    assert "✘ failed just now: ran but did not open data/1_raw/a.csv, so it is not recorded" in pending.stdout
    assert tool(side, "hook", "post-commit", code=main).stdout == (
        "raw-trigger post-commit: raw/a, raw/kept: it still fails with this content: "
        "`raw-trigger run` tries again\n"
    )
    checked = tool(side, "check", code=main)
    assert f"the code is loaded from {main.top}/src/shop.py" in " ".join(checked.stdout.split())
    ran = tool(side, "run", code=side)
    assert (ran.returncode, "not recorded" in ran.stderr) == (0, False), ran.stderr
    assert tool(side, "diff", "--exit-code", code=side).returncode == 0
