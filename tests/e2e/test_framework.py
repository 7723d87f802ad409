"""The hooks through pre-commit and prek, installed by them into an environment of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY_TOP, Repo
from tests.e2e.operations import Operation, Workshop, begin, judge, through_a_framework
from tests.support.forks import Program
from tests.support.project import StandInProject
from tests.support.tables import Project

R = "data/1_raw/"
STAGES = ("pre-commit", "post-commit", "post-merge", "post-rewrite", "post-checkout")
TOOLS = Path(sys.executable).parent


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project as a repository that a framework can clone: the files as they are now."""
    top = tmp_path_factory.mktemp("published") / "raw-trigger"
    top.mkdir()
    listed = subprocess.run(
        ["git", "-C", str(REPOSITORY_TOP), "ls-files", "-z", "-c", "-o", "--exclude-standard"],
        check=True,
        capture_output=True,
    )
    for name in os.fsdecode(listed.stdout).split("\0")[:-1]:
        if (REPOSITORY_TOP / name).is_file():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY_TOP / name, top / name)
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "all"], ["tag", "v0"]):
        subprocess.run(["git", *command], cwd=top, check=True)
    return top


@pytest.fixture(scope="session")
def frameworks_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the frameworks keep their environments: built once for all tests."""
    return tmp_path_factory.mktemp("frameworks")


def configuration(published: Path) -> str:
    """``.pre-commit-config.yaml`` with our hooks."""
    hooks = "".join(f"      - id: raw-trigger{'' if s == 'pre-commit' else '-' + s}\n" for s in STAGES)
    return f"repos:\n  - repo: {published}\n    rev: v0\n    hooks:\n{hooks}"


def install(project: Repo, tool: str) -> None:
    """Install the framework's hooks and the environment they run in."""
    done = subprocess.run(
        [TOOLS / tool, "install", "--install-hooks", *(f"--hook-type={stage}" for stage in STAGES)],
        cwd=project.top,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def shop(
    request: pytest.FixtureRequest,
    project: Callable[..., Project],
    published: Path,
    frameworks_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Project:
    tool = str(request.param)
    monkeypatch.setenv("PRE_COMMIT_HOME", str(frameworks_home / tool))
    monkeypatch.setenv("PREK_HOME", str(frameworks_home / tool))
    made = project(a=["a.csv"], b=["b.csv"])
    # The environment of the project; that of the framework has no Dagster.
    (made.top / ".venv").symlink_to(os.environ["VIRTUAL_ENV"])
    (made.top / ".git/info").mkdir(exist_ok=True)
    (made.top / ".git/info/exclude").write_text(".venv\n")
    made.commit({".pre-commit-config.yaml": configuration(published)})
    install(made, tool)
    made.tool("adopt")
    return made


@pytest.mark.parametrize("shop", ["pre-commit", pytest.param("prek", marks=pytest.mark.soak)], indirect=True)
def test_a_whole_day(shop: Project) -> None:
    """One test of many steps: each framework builds an environment, which takes its time."""
    shop.stage({R + "a.csv": "2"})
    done = shop.try_git("commit", "-m", "data")
    assert done.returncode == 0, done.stderr
    assert shop.materialized() == ["raw/a"]

    shop.stage({"README": "x"})
    assert shop.try_git("commit", "-m", "no data").returncode == 0
    assert shop.materialized() == []

    shop.stage({R + "a.csv": "broken"})
    done = shop.try_git("commit", "-m", "broken")
    assert done.returncode == 1
    assert "ValueError: a.csv line 1: 'broken' is not a number" in done.stdout + done.stderr
    assert shop.materialized() == []

    shop.stage({R + "a.csv": "staged"})
    shop.write({R + "a.csv": "broken", R + "b.csv": "edited"})
    done = shop.try_git("commit", "-m", "the staged content runs, the edit is put away meanwhile")
    assert done.returncode == 0, done.stdout + done.stderr
    assert shop.materialized() == ["raw/a"]
    assert (shop.top / R / "a.csv").read_text() == "broken"
    shop.git("restore", ".")
    assert shop.plan()["changes"] == []

    shop.git("checkout", "-q", "-b", "side")
    shop.stage({R + "b.csv": "side"})
    assert shop.try_git("commit", "-m", "side", env={"RAW_TRIGGER_SKIP": "1"}).returncode == 0
    shop.git("checkout", "-q", "main")
    assert shop.materialized() == []
    done = shop.try_git("merge", "--no-edit", "side")
    assert done.returncode == 0, done.stdout + done.stderr
    assert shop.materialized() == ["raw/b"]

    shop.stage({R + "b.csv": None})
    assert shop.try_git("commit", "-m", "a commit that only deletes").returncode == 0
    assert shop.plan()["changes"] == []

    shop.stage({R + "b.csv": "back"})
    done = shop.try_git("commit", "-q", "--no-verify", "-m", "left to post-commit")
    assert shop.materialized() == ["raw/b"]

    shop.commit({"raw-trigger.yaml": "hooks: {pre-commit: background}\n"})
    shop.stage({R + "b.csv": "not in the background"})
    done = shop.try_git("commit", "-m", "the framework puts edits away while a hook runs")
    assert "raw-trigger: run now, not in the background" in done.stdout + done.stderr
    assert shop.materialized() == ["raw/b"]
    assert not (shop.top / ".git/raw-trigger/background").exists()


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, program: Program) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("framework"), program)


@through_a_framework
def test_operations(
    workshop: Workshop,
    operation: Operation,
    published: Path,
    frameworks_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of each operation of git nothing is missed, and nothing is materialized that should not be."""
    monkeypatch.setenv("PRE_COMMIT_HOME", str(frameworks_home / "pre-commit"))

    def through_pre_commit(made: StandInProject) -> None:
        made.write({".pre-commit-config.yaml": configuration(published)})
        begin(made)
        install(made, "pre-commit")

    judge(workshop.anew(monkeypatch, through_pre_commit), operation)


@pytest.mark.soak
@pytest.mark.parametrize("shop", ["pre-commit", "prek"], indirect=True)
def test_both_ways_at_once_run_once(shop: Project) -> None:
    assert shop.tool("install").returncode == 0
    shop.stage({R + "a.csv": "2"})
    done = shop.try_git("commit", "-m", "data")
    assert done.returncode == 0, done.stdout + done.stderr
    assert shop.materialized() == ["raw/a"]


def test_the_package_is_whole(published: Path, tmp_path: Path) -> None:
    """What the frameworks install is what a wheel holds: shims and example included."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(published)],
        check=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    names = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(wheel)], check=True, capture_output=True, text=True
    ).stdout
    for name in (
        "raw_trigger/_shipped/hooks/raw-trigger.sh",
        "raw_trigger/_shipped/examples/webshop/raw-trigger.yaml",
        "raw_trigger/project/inside/__main__.py",
        "raw_trigger/project/inside/runner.py",
        "raw_trigger/config/raw-trigger.schema.json",
        "raw_trigger/py.typed",
    ):
        assert name in names
