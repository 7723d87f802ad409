"""What a person sees at a real terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tables import GRAPH, Project
from tests.terminal import Seen, at_terminal

pytestmark = pytest.mark.dagster

Make = Callable[..., Project]
R = "data/1_raw/"
RAW_TRIGGER = [sys.executable, "-m", "raw_trigger"]


@pytest.fixture
def tmp_path(one_place: Path) -> Path:
    return one_place


def lines(seen: Seen) -> list[str]:
    """What is on the screen at the end, but for what differs from run to run."""
    text = re.sub(r"\d+\.\d s\b", "N s", "\n".join(seen.lines))
    return re.sub(r"\d{8}T[-.\d\s]+\s*log", "N.log", text).splitlines()


@pytest.mark.parametrize(
    ("columns", "screen"),
    [
        pytest.param(
            80,
            """\
raw-trigger pre-commit
2 raw files changed  what 'local' reflects → what is staged
  M data/1_raw/a.csv → raw/a
  M data/1_raw/b.csv → raw/b
  ✘ raw/a  N s
      ValueError: a.csv line 1: 'broken' is not a number
        File "definitions.py", line 14, in loaded
          raise ValueError(f"{path} line 1: 'broken' is not a number")
  ✔ raw/b  N s
1 materialized, 1 failed in N s
what it printed: .git/raw-trigger/cache/logs/N.log
raw-trigger: the commit is refused; `git commit --no-verify` commits all the
  same
""",
            marks=pytest.mark.soak,
        ),
        (
            40,
            """\
raw-trigger pre-commit
2 raw files changed  what 'local'
  reflects → what is staged
  M data/1_raw/a.csv → raw/a
  M data/1_raw/b.csv → raw/b
  ✘ raw/a  N s
      ValueError: a.csv line 1: 'broken'
        is not a number
        File "definitions.py", line 14,
          in loaded
          raise ValueError(f"{path} line
            1: 'broken' is not a
            number")
  ✔ raw/b  N s
1 materialized, 1 failed in N s
what it printed:
  .git/raw-trigger/cache/logs/N.log
raw-trigger: the commit is refused; `git
  commit --no-verify` commits all the
  same
""",
        ),
    ],
)
def test_a_hook_leaves_lines_that_fit_and_no_bar(columns: int, screen: str, project: Make) -> None:
    made = project(a=["a.csv"], b=["b.csv"])
    assert made.tool("install").returncode == 0
    assert made.tool("adopt").returncode == 0
    made.stage({R + "a.csv": "broken", R + "b.csv": "2"})
    seen = at_terminal(["git", "commit", "-q", "-m", "change"], columns=columns, cwd=made.top)
    assert lines(seen) == screen.splitlines()
    assert b"starting Dagster" in seen.raw


@pytest.mark.soak
@pytest.mark.parametrize("columns", [40, 80])
def test_so_do_run_and_learn(columns: int, project: Make) -> None:
    made = project(a=["a.csv"], b=["b.csv"])
    for command in ("run --all", "learn --yes"):
        seen = at_terminal([*RAW_TRIGGER, *command.split()], columns=columns, cwd=made.top)
        assert seen.returncode == 0
        assert b"starting Dagster" in seen.raw
        assert not [line for line in seen.lines if "\N{BOX DRAWINGS HEAVY HORIZONTAL}" in line]
        assert [line for line in lines(seen) if "✔ raw/" in line] == ["  ✔ raw/a  N s", "  ✔ raw/b  N s"]


def test_who_waits_for_dagster_is_told_what_is_loaded(project: Make) -> None:
    made = project(a=["a.csv"])
    waited = b"loading the Dagster project"
    (made.top / GRAPH).unlink(missing_ok=True)
    first, second = (
        at_terminal([*RAW_TRIGGER, "explain", R + "a.csv"], columns=40, cwd=made.top) for _ in range(2)
    )
    assert (waited in first.raw, waited in second.raw) == (True, False), "the second time from the cache"
    assert first.lines == second.lines
    assert first.lines[:2] == ["data/1_raw/a.csv", "  rule     convention"]


@pytest.mark.soak
@pytest.mark.parametrize(
    "command", ["check", "status --partitions", "learn --yes", "init", "adopt", "diff", "run"]
)
def test_so_is_who_waits_for_another_command(command: str, project: Make) -> None:
    made = project(a=["a.csv"])
    (made.top / GRAPH).unlink(missing_ok=True)
    made.write({R + "a.csv": "2"})
    [word, *args] = command.split()
    args += ["--yes"] if word == "init" else []
    seen = at_terminal([*RAW_TRIGGER, word, *args], columns=80, cwd=made.top)
    assert b"loading the Dagster project" in seen.raw
    assert not [line for line in seen.lines if "loading" in line]
    again = made.tool("check")
    assert "loading" not in again.stdout + again.stderr
