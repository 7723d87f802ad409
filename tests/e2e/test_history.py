"""A real history of raw data, replayed commit by commit with the hooks on.

After every commit the materialized assets, as the stand-in's event log has them, are exactly
those whose files git says changed.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY_TOP, SOAK
from tests.support.tables import Project

HISTORIES = Path(os.environ.get("RAW_TRIGGER_HISTORIES", REPOSITORY_TOP.parent / "shared" / "histories"))
BUNDLE = HISTORIES / "daydreaming-raw.bundle"
ROOT = "data/1_raw/"
PARTS = 2 if SOAK else 1
NEWEST = 7
"""How many commits the gate replays; `make soak` takes the whole history."""

CONFIG = """\
on_delete: materialize
assets:
  - path: "**/{name}.csv"
    asset: "csv/{name}"
"""

FOLDER_RULE = """\
  - path: "{0}/*"
    asset: folder/{1}
"""

DEFINITIONS = """
from pathlib import Path
from dagster import AssetKey, Definitions, asset

RAW = Path(__file__).parent / "data" / "1_raw"

def table(name):
    @asset(key=AssetKey(["csv", name]))
    def loaded():
        found = sorted(RAW.rglob(name + ".csv"))
        return [path.read_bytes() for path in found]
    return loaded

def folder(name):
    @asset(key=AssetKey(["folder", name.replace("/", "__")]))
    def loaded():
        return [path.read_bytes() for path in sorted((RAW / name).glob("*.*")) if path.suffix != ".csv"]
    return loaded

defs = Definitions(assets=[*map(table, {tables!r}), *map(folder, {folders!r})])
"""


def asset_of(path: str) -> str:
    """The asset of a file, found without raw-trigger: the rules above in other words."""
    relative = Path(path.removeprefix(ROOT))
    if relative.suffix == ".csv":
        return f"csv/{relative.stem}"
    return "folder/" + str(relative.parent).replace("/", "__")


def changed(project: Project, old: str, new: str) -> list[str]:
    out = project.git("diff", "--name-only", "--no-renames", "-z", old, new, "--", ROOT)
    return sorted({asset_of(path) for path in out.split("\0") if path})


@pytest.mark.skipif(
    not BUNDLE.is_file(), reason=f"no recorded history at {BUNDLE}: set RAW_TRIGGER_HISTORIES"
)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_commit_materializes_what_it_changed(
    part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project_class: type[Project]
) -> None:
    home = tmp_path / "dagster_home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    top = tmp_path / "replay"
    subprocess.run(["git", "clone", "-q", "--no-checkout", str(BUNDLE), "-b", "main", str(top)], check=True)
    project = project_class(top, home)
    commits = project.git("rev-list", "--reverse", "main").split()
    assert len(commits) == 116
    commits = commits if SOAK else commits[-NEWEST:]
    paths = set(project.git("log", "--format=", "--name-only", "--no-renames", "-z", "main").split("\0"))
    keys = {asset_of(path) for path in paths if path.startswith(ROOT)}
    tables = sorted(key.removeprefix("csv/") for key in keys if key.startswith("csv/"))
    folders = sorted(
        {path.removeprefix(ROOT).rpartition("/")[0] for path in paths if path and not path.endswith(".csv")}
    )
    assert len(tables) + len(folders) == len(keys) > 20

    size = len(commits) // PARTS
    first, own = commits[part * size], commits[part * size + 1 : (part + 1) * size + (part == PARTS - 1)]
    project.git("checkout", "-q", "--orphan", "replay")
    project.git("restore", f"--source={first}", "--staged", "--worktree", "--", ".")
    project.write(
        {
            "definitions.py": DEFINITIONS.format(tables=tables, folders=folders),
            "pyproject.toml": '[tool.dagster]\nmodule_name = "definitions"\n',
            "raw-trigger.yaml": CONFIG
            + "".join(FOLDER_RULE.format(path, path.replace("/", "__")) for path in folders),
            ".gitignore": "__pycache__/\n",
        }
    )
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "start")
    assert project.tool("install").returncode == 0
    assert project.tool("adopt").returncode == 0

    for old, new in zip([first, *own], own, strict=False):
        project.git("restore", f"--source={new}", "--staged", "--worktree", "--", ROOT)
        done = project.try_git("commit", "-q", "--allow-empty", "-m", new)
        assert done.returncode == 0, done.stdout + done.stderr
        assert project.materialized() == changed(project, old, new), f"{new}\n{done.stdout}{done.stderr}"
    assert project.tool("diff", "--exit-code").returncode == 0
