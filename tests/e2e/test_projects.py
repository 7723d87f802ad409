"""Several projects in one repository, with the hooks and the command as a user has them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Repo
from tests.support.tables import DEFINITIONS, Project

CONFIG = "raw-trigger.yaml"
NOTHING = "assets: [{path: '**', ignore: true}]\n"
"""Rules that need no Dagster project: what is ignored is told, and recorded."""


def of_dagster(folder: str) -> dict[str | bytes, str | bytes | None]:
    return {
        f"{folder}/definitions.py": DEFINITIONS % "table('x', 'x.csv')",
        f"{folder}/pyproject.toml": '[tool.dagster]\nmodule_name = "definitions"\n',
        f"{folder}/{CONFIG}": "root: data/1_raw\n",
        f"{folder}/data/1_raw/x.csv": "1\n",
    }


def of_nothing(folder: str) -> dict[str | bytes, str | bytes | None]:
    return {f"{folder}/{CONFIG}": NOTHING, f"{folder}/data/1_raw/x.csv": "1\n"}


@pytest.fixture
def empty(tmp_path: Path, project_class: type[Project]) -> Project:
    """A repository without a Dagster instance of the user's: each project has its own."""
    top = tmp_path / "repo"
    top.mkdir()
    made = project_class(top, tmp_path / "none")
    made.git("init", "-q")
    made.commit({".gitignore": "__pycache__/\n"})
    return made


def commit(repo: Repo, files: dict[str, str | None], *args: str) -> subprocess.CompletedProcess[str]:
    repo.stage(dict(files))
    return repo.try_git("commit", "-q", "-m", "change", *args)


def attended(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The hooks and the projects that were told of."""
    begin = "raw-trigger "
    return [
        line[len(begin) :] for line in done.stderr.splitlines() if line.startswith(begin) and "  " in line
    ]


def recorded(repo: Repo, folder: str) -> str:
    return repo.git("cat-file", "blob", f"refs/raw-trigger/local.{folder}:{folder}/data/1_raw/x.csv")


def test_each_is_run_by_itself(empty: Project) -> None:
    """In its own folder, on its own instance: the assets have the same key."""
    empty.commit(of_dagster("a") | of_dagster("b"))
    assert empty.tool("install").returncode == 0

    done = commit(empty, {"a/data/1_raw/x.csv": "broken\n", "b/data/1_raw/x.csv": "2\n"})
    assert done.returncode == 1
    assert attended(done) == ["pre-commit  a", "pre-commit  b"]
    assert done.stderr.count("the commit is refused") == 1
    assert "ValueError: x.csv line 1" in done.stderr
    assert (recorded(empty, "a"), recorded(empty, "b")) == ("1", "2")

    empty.git("restore", "--staged", "--worktree", "a")
    done = commit(empty, {})
    assert (done.returncode, attended(done)) == (0, []), "b has been materialized, and a is as it was"

    homes = empty.top / ".git/raw-trigger/projects"
    made = {path.relative_to(homes).parts[0]: path.read_text() for path in homes.glob("**/events.jsonl")}
    assert {name for name, log in made.items() if '"made"' in log} == {"b"}
    assert "raw/x" in empty.tool("explain", "b/data/1_raw/x.csv").stdout
    done = empty.tool("diff", "--format", "json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there are 2 projects here: a, b" in done.stderr
    assert json.loads(empty.tool("--project", "a", "diff", "--format", "json").stdout)["changes"] == []


def test_who_is_attended(empty: Project) -> None:
    """Those that were touched; one that is new is noticed however it comes."""
    empty.commit(of_nothing("a"))
    assert empty.tool("install").returncode == 0
    empty.commit({"other": "1\n"})

    # One project has no need of a name.
    done = commit(empty, {"a/data/1_raw/x.csv": "2\n"})
    assert "raw-trigger pre-commit\n" in done.stderr
    assert recorded(empty, "a") == "2"

    assert commit(empty, {str(k): str(v) for k, v in of_nothing("b").items()}).returncode == 0
    assert "b/" in (empty.top / ".git/raw-trigger/seen").read_text()
    assert empty.tool("--project", "b", "adopt", "--no-catalog").returncode == 0
    done = commit(empty, {"b/data/1_raw/x.csv": "2\n"})
    assert attended(done) == ["pre-commit  b"]
    assert (recorded(empty, "a"), recorded(empty, "b")) == ("2", "2")

    empty.git("switch", "-q", "-c", "side")
    assert commit(empty, {str(k): str(v) for k, v in of_nothing("c").items()}, "--no-verify").returncode == 0
    done = commit(empty, {"c/data/1_raw/x.csv": "2\n", "a/data/1_raw/x.csv": "3\n"}, "--no-verify")
    assert attended(done) == ["post-commit  a", "post-commit  c"]

    empty.git("switch", "-q", "main")
    assert "c/" not in (empty.top / ".git/raw-trigger/seen").read_text()
    done = empty.try_git("merge", "-q", "side")
    assert attended(done) == ["post-merge  c"]
    assert "c/" in (empty.top / ".git/raw-trigger/seen").read_text()

    # What cannot be read keeps none of the others from being attended, and matters to its own files only.
    empty.write({"b/" + CONFIG: "nonsense: 1\n"})
    done = commit(empty, {"a/data/1_raw/x.csv": "4\n"}, "--no-verify")
    assert recorded(empty, "a") == "4"
    assert "b/raw-trigger.yaml:1:1" in done.stderr
    done = commit(empty, {"a/data/1_raw/x.csv": "5\n"})
    assert recorded(empty, "a") == "5"
    assert empty.git("log", "-1", "--format=%s", "--", "a/data") == "change"
    done = commit(empty, {"b/data/1_raw/x.csv": "3\n"})
    assert done.returncode == 1
    assert "b/raw-trigger.yaml:1:1" in done.stderr
    assert "the commit is refused" in done.stderr


def test_commands_at_the_top_go_through_all(empty: Project) -> None:
    empty.commit(of_nothing("a") | of_nothing("b"))
    done = empty.tool("adopt", "--no-catalog")
    assert done.stdout.splitlines()[::3] == ["a:", "b:"], done
    empty.write({"b/data/1_raw/x.csv": "2\n"})
    done = empty.tool("diff", "--exit-code")
    first, second = done.stdout.split("\nb:\n")
    assert first.startswith("a:\nNothing to do")
    assert "M b/data/1_raw/x.csv → ignored" in second
    assert empty.tool("run").returncode == 0
    assert (recorded(empty, "a"), recorded(empty, "b")) == ("1", "2")
    done = empty.tool("explain", "b/data/1_raw/x.csv", "a/data/1_raw/x.csv")
    assert "there are 2 projects here: a, b" in done.stderr
    done = empty.tool("status")
    assert [line for line in done.stdout.splitlines() if line.endswith(":")] == ["a:", "b:"]

    (empty.top / "a" / CONFIG).write_text("nonsense: 1\n")
    done = empty.tool("run")
    assert done.returncode == 2
    assert "a/raw-trigger.yaml:1:1" in done.stderr
    assert "b:\nNothing to do" in done.stdout
    assert empty.tool("run", "--environment", "dev").returncode == 2
    empty.git("restore", "a")
    assert empty.tool("history").stdout == "Nothing has run yet.\n"


def test_the_workflow_is_one_for_all(empty: Project) -> None:
    """And what each of them records has a name of its own."""
    empty.commit(of_nothing("a") | of_nothing("b"))
    assert empty.tool("-C", "a", "init", "--github").returncode == 0
    text = (empty.top / ".github/workflows/raw-data.yml").read_text()
    assert "refs/raw-trigger/production-a." in text
    assert "working-directory" not in text
    assert "environments: {production-a: [main]}" in (empty.top / "a" / CONFIG).read_text()
    done = empty.tool("-C", "b", "init", "--github")
    assert done.returncode == 2
    assert "environments: {production-b: [main]}" in done.stderr
