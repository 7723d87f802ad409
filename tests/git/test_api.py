"""The plan for code of one's own is that of `raw-trigger diff`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

import raw_trigger
from raw_trigger.errors import RawTriggerError
from raw_trigger.workspace.workspace import open_workspace
from tests.conftest import Repo
from tests.support.project import ROOT, StandInProject, name


@pytest.fixture
def shop(standin: Callable[..., StandInProject]) -> StandInProject:
    project = standin()
    project.define({"a": {}, "b": {}, "child": {"parents": ["a"]}})
    project.configure("{path: a.csv, asset: a}\n{path: b.csv, asset: b}", downstream="all")
    project.commit_raw({"a.csv": "1", "b.csv": "1"})
    assert project.tool("adopt").returncode == 0
    return project


def targets(plan: object) -> list[str]:
    return [one.target.text for one in plan.actionable]  # type: ignore[attr-defined]


def test_it_is_what_diff_shows(shop: StandInProject) -> None:
    assert targets(raw_trigger.plan(shop.top)) == []
    shop.commit_raw({"a.csv": "2"})
    shop.raw({"b.csv": "2"})
    found = raw_trigger.plan(shop.top)
    assert targets(found) == sorted(map(name, shop.plan()["targets"])) == ["a", "b", "child"]
    assert [one.paths for one in found.actionable][:1] == [(f"{ROOT}/a.csv".encode(),)]
    assert targets(raw_trigger.plan(shop.top, "HEAD~1", "HEAD")) == ["a", "child"]
    assert targets(raw_trigger.plan(shop.top / ROOT, assets=["b"])) == ["b"]
    assert targets(raw_trigger.plan(shop.top, paths=["b*"])) == ["b"]
    assert targets(raw_trigger.plan(shop.top, staged=True)) == ["a", "child"]


def test_an_error_says_what_to_do(shop: StandInProject) -> None:
    with pytest.raises(RawTriggerError, match="the revision 'nowhere' is not here"):
        raw_trigger.plan(shop.top, "nowhere")


def test_dagster_dev_with_the_recorded_home(shop: StandInProject) -> None:
    """With the project's interpreter, its code and what else is asked for."""
    workspace = open_workspace(shop.top)
    command, environ = workspace.project.dev(("-p", "3001"))
    assert command[-7:] == ["-m", "dagster", "dev", "-f", str(shop.top / "definitions.json"), "-p", "3001"]
    assert command[:-7] == list(workspace.project.interpreter().command)
    assert environ["DAGSTER_HOME"] == str(workspace.project.home())
    assert (workspace.project.home()).is_dir()


def test_the_most_assets_of_a_run(shop: StandInProject, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.raw({"a.csv": "2", "b.csv": "2"})
    monkeypatch.setenv("RAW_BATCH_SIZE", "1")
    batches = raw_trigger.plan(shop.top).batches.values()
    assert [[one.target.text for one in members] for members in batches] == [["a", "child"], ["b"]]
    for wrong in ("0", "-1", "many", "²", "9" * 5000):
        monkeypatch.setenv("RAW_BATCH_SIZE", wrong)
        with pytest.raises(RawTriggerError, match=f"RAW_BATCH_SIZE is '{wrong[:9]}"):
            raw_trigger.plan(shop.top)


def test_the_history_in_another_folder(shop: StandInProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAW_STATE_DIR", "../state")
    shop.raw({"a.csv": "2"})
    assert shop.tool("run").returncode == 0
    assert len(list((shop.top.parent / "state").glob("*/ledger.sqlite"))) == 1
    assert not (shop.top / ".git/raw-trigger/ledger.sqlite").exists()
    assert len(json.loads(shop.tool("history", "--format", "json").stdout)["runs"]) == 1


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("~nobody-has-this-name/x", "name a folder"),
        ("\udcff", "name a folder"),
        (ROOT, "among the raw files"),
    ],
)
def test_a_folder_that_cannot_be(
    shop: StandInProject, monkeypatch: pytest.MonkeyPatch, folder: str, told: str
) -> None:
    monkeypatch.setenv("RAW_STATE_DIR", folder)
    for command in ("diff", "run", "status", "history"):
        done = shop.tool(command)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr


def test_a_relative_folder_is_that_of_all_worktrees(
    shop: StandInProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAW_STATE_DIR", "../state")
    shop.git("worktree", "add", "-q", "../deep/linked")
    here, there = open_workspace(shop.top), open_workspace(shop.top.parent / "deep/linked")
    assert here.repo.state_dir.resolve() == there.repo.state_dir.resolve()


@pytest.mark.parametrize("folder", [None, "../state", ".git/state"])
def test_the_whole_repository_is_raw_data(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, folder: str | None
) -> None:
    """What is in the git directory is none of it."""
    if folder is not None:
        monkeypatch.setenv("RAW_STATE_DIR", folder)
    repo.commit({"raw-trigger.yaml": "root: .\nassets: []\n", "a.csv": "1\n"})
    assert open_workspace(repo.top).roots == (".",)
