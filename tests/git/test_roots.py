"""A raw root with nothing in it: empty by now, or misspelt."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from raw_trigger.adopt import adopt, forget
from raw_trigger.errors import UsageError
from tests.conftest import Repo
from tests.support.two_assets import RULES, Ground, R


@pytest.fixture
def ground(repo: Repo) -> Ground:
    made = Ground(repo.top)
    made.commit({"raw-trigger.yaml": RULES, R + "a.csv": "1\n"})
    return made


@pytest.mark.parametrize("recorded", [True, False])
def test_the_last_file_is_deleted(ground: Ground, recorded: bool) -> None:
    if recorded:
        adopt(ground.trigger().planner, "HEAD")
    ground.git("rm", "-q", R + "a.csv")
    ground.commit()
    assert not (ground.top / R).exists()
    if recorded:
        assert [one.action for one in ground.plan().targets] == ["skip"]
    assert ground.run() == []
    for arguments in ([], ["--staged"], ["HEAD", "HEAD"]):
        assert ground.plan(*arguments).changes == ()
    ground.commit({R + "a.csv": "2\n"})
    assert ground.run() == (["a"] if recorded else [])
    assert ground.plan("HEAD~1", "HEAD").targets


def test_the_record_knows_a_root_that_a_shallow_clone_does_not(ground: Ground, tmp_path: Path) -> None:
    adopt(ground.trigger().planner, "HEAD")
    ground.commit({R + "a.csv": None})
    assert ground.run() == []
    ground.commit({"other": "1\n"})
    top = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{ground.top}", str(top)], check=True)
    clone = Ground(top)
    with pytest.raises(UsageError, match="the raw root 'data/1_raw' is not there"):
        clone.plan()
    clone.git("fetch", "-q", "origin", "refs/raw-trigger/*:refs/raw-trigger/*")
    assert clone.plan().changes == ()


def test_a_root_that_never_was(ground: Ground) -> None:
    adopt(ground.trigger().planner, "HEAD")
    ground.git("rm", "-q", R + "a.csv")
    ground.commit()
    assert ground.run() == []
    ground.write({"raw-trigger.yaml": "root: data/1_rwa\n" + RULES})
    with pytest.raises(UsageError, match="the raw root 'data/1_rwa' is not there"):
        ground.plan("HEAD", "HEAD")


def test_a_root_in_a_submodule(repo: Repo, tmp_path: Path) -> None:
    inner = Repo(tmp_path / "inner")
    inner.top.mkdir()
    inner.git("init", "-q")
    inner.commit({R + "a.csv": "1\n"})
    repo.git("submodule", "add", "-q", str(inner.top), "sub")
    repo.commit({"raw-trigger.yaml": f"root: sub/{R}\n" + RULES})
    with pytest.raises(UsageError, match="in another repository, 'sub'") as told:
        Ground(repo.top).plan()
    assert told.value.hint == "run raw-trigger there: raw-trigger -C sub …"
    repo.git("submodule", "deinit", "-q", "--force", "sub")
    with pytest.raises(UsageError, match="in the submodule 'sub', which is not checked out here"):
        Ground(repo.top).plan()


def test_what_is_recorded_of_a_folder_that_was_a_root_once(repo: Repo) -> None:
    """Nobody is to be told of it, nor is a hook to look for work because of it."""
    ground = Ground(repo.top)
    rules = "assets: [{path: 'a*', asset: a}, {path: 'b*', asset: b}]\n"
    ground.commit(
        {"raw-trigger.yaml": f"root: [data/1_raw, old]\n{rules}", R + "a.csv": "1", "old/b.csv": "1"}
    )
    adopt(ground.trigger().planner, "HEAD")
    forget(ground.trigger().planner)
    ground.commit({"raw-trigger.yaml": f"root: data/1_raw\n{rules}"})
    assert ground.run() == ["a"]
    planner = ground.trigger().planner
    assert planner.record is not None
    assert (list(planner.record.doubtful), planner.record.in_doubt(planner.workspace.roots)) == (
        [b"old/b.csv"],
        [],
    )
    assert ground.plan().changes == ()
