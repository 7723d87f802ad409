"""A commit of one raw file starts few git processes: a process takes longer to start than to answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.project import StandInProject

MOST = 30
"""Of git's own, the shims' and raw-trigger's together."""


def started(project: StandInProject, log: Path, *args: str) -> list[list[str]]:
    """The command lines of all git processes that a git command starts, itself among them."""
    log.mkdir()
    project.git(*args, env={"GIT_TRACE2_EVENT": str(log)})
    lines = (line for file in log.iterdir() for line in file.read_text().splitlines())
    events = (json.loads(line) for line in lines)
    return [event["argv"] for event in events if event["event"] == "start"]


@pytest.mark.parametrize("format_", ["sha1", "sha256"])
def test_git_processes_of_one_commit(
    standin: Callable[[], StandInProject], tmp_path: Path, format_: str
) -> None:
    project = standin()
    if format_ != "sha1":
        (project.top / ".git").rename(tmp_path / "unused")
        project.git("init", "-q", f"--object-format={format_}")
    project.configure("{path: '{name}.csv', asset: 'raw/{name}'}")
    project.define({"raw/a": {}, "raw/b": {}, "raw/c": {"parents": ["raw/a"]}})
    project.commit_raw({"a.csv": "1", "b.csv": "1"})
    assert project.tool("install").returncode == 0
    project.commit_raw({"a.csv": "2"})
    assert project.made() == ["raw/a"]

    project.raw({"a.csv": "3"})
    project.git("add", "-A")
    calls = started(project, tmp_path / "trace", "commit", "-q", "-m", "change")
    assert project.made() == ["raw/a"]
    assert project.pending() == []
    count = Counter(" ".join(call) for call in calls)
    assert len(calls) <= MOST, "\n".join(f"{number} {call}" for call, number in count.most_common())
    looks = [call for call in calls if "ls-files" in call and "-v" in call]
    assert len(looks) == 3, "the plan looks at the disk, and so does the run before and after"


def test_git_processes_of_a_commit_without_raw_data(
    standin: Callable[[], StandInProject], tmp_path: Path
) -> None:
    project = standin()
    project.configure("{path: '{name}.csv', asset: 'raw/{name}'}")
    project.define({"raw/a": {}})
    project.commit_raw({"a.csv": "1"})
    assert project.tool("install").returncode == 0
    project.commit_raw({"a.csv": "2"})
    project.write({"README": "x"})
    project.git("add", "-A")
    assert len(started(project, tmp_path / "trace", "commit", "-q", "-m", "change")) <= 5
