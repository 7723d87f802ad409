"""Content that is not here, of Git LFS and of DVC: it waits, and the command that fetches it is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tables import Project

Make = Callable[..., Project]
R = "data/1_raw/"
RULES = "assets: [{path: 'a.csv.dvc', asset: raw/a}, {path: 'dir/*', asset: raw/b}]\n"


def waiting(shop: Project, *args: str) -> dict[str, str]:
    """Path → why it waits."""
    done = shop.tool("run", "--format", "json", *args)
    assert done.returncode == 1, done.stderr
    import json

    changes = json.loads(done.stdout)["changes"]
    assert {change["disposition"] for change in changes} == {"missing-content"}
    return {change["path"]: change["reason"] for change in changes}


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
def test_lfs_objects_that_were_not_pulled(
    project: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = "assets: [{path: 'c*', asset: raw/c}]\n"
    origin = project(config=rules, a=["a.csv"], b=["b.csv"], c=["c[1], d.csv"])
    origin.git("lfs", "install")
    origin.git("lfs", "track", R + "*.csv")
    origin.git("add", "--renormalize", "-A")
    origin.commit({".gitattributes": (origin.top / ".gitattributes").read_text()})
    before = origin.git("rev-parse", "HEAD")
    origin.commit({R + "a.csv": "2\n", R + "b.csv": "3\n"})
    top = tmp_path / "clone"
    monkeypatch.setenv("GIT_LFS_SKIP_SMUDGE", "1")
    origin.git("clone", "-q", f"file://{origin.top}", str(top))
    monkeypatch.delenv("GIT_LFS_SKIP_SMUDGE")
    clone = type(origin)(top, origin.home)
    assert (top / R / "a.csv").read_text().startswith("version https://git-lfs")
    assert clone.git("status", "--porcelain") == ""
    assert clone.tool("adopt", before).returncode == 0
    assert waiting(clone) == {
        f"{R}{name}.csv": f"only its Git LFS pointer is here: git lfs pull --include={R}{name}.csv"
        for name in "ab"
    }
    assert clone.materialized() == []
    clone.git("lfs", "pull", f"--include={R}a.csv")
    done = clone.tool("run")
    assert done.returncode == 1, "b is not here yet"
    assert clone.materialized() == ["raw/a"]
    store = origin.top / ".git/lfs"
    store.rename(tmp_path / "away")
    clone.write({"raw-trigger.yaml": "fetch: true\n" + rules})
    told = waiting(clone)[R + "b.csv"]
    assert told.startswith(
        f"only its Git LFS pointer is here: git lfs pull --include={R}b.csv (git lfs pull: "
    )
    shutil.rmtree(store, ignore_errors=True)
    (tmp_path / "away").rename(store)
    assert [change["content"] for change in clone.plan()["changes"]] == ["lfs"]  # type: ignore[attr-defined]
    assert clone.tool("run").returncode == 0
    assert clone.materialized() == ["raw/b"]
    assert (top / R / "b.csv").read_text() == "3\n"
    rest = top / R / "c[1], d.csv"
    assert rest.read_text().startswith("version"), "nobody asked for it"
    # What is made from this file reads that one, too.
    clone.write({R + "c.txt": "1\n"})
    assert clone.tool("run").returncode == 0
    assert clone.materialized() == ["raw/c"]
    assert rest.read_text() == "c[1], d.csv\n"
    assert clone.git("status", "--porcelain") == f" M raw-trigger.yaml\n?? {R}c.txt"
    assert clone.plan()["changes"] == []


@pytest.fixture
def dvc(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs DVC in a folder."""
    found = shutil.which("dvc", path=os.pathsep.join([f"{sys.prefix}/dvc/bin", os.environ["PATH"]]))
    if found is None:
        pytest.skip(
            "DVC is not installed: `make test` does it, `pip install --group dvc` elsewhere on PATH too"
        )
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")

    def run(top: Path, *args: str) -> None:
        done = subprocess.run([found, *args], cwd=top, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return run


def cloned(origin: Project, top: Path, recorded: str) -> Project:
    """A clone of what is there now, in which an earlier commit is recorded."""
    origin.git("add", "-A")
    origin.commit()
    origin.git("clone", "-q", str(origin.top), str(top))
    clone = type(origin)(top, origin.home)
    assert clone.tool("adopt", recorded).returncode == 0
    return clone


@pytest.mark.soak
def test_dvc_content_that_is_not_here(project: Make, tmp_path: Path, dvc: Callable[..., None]) -> None:
    origin = project(config=RULES, a=["a.csv"], b=["b.csv"])
    origin.git("rm", "-q", "--cached", R + "a.csv")
    dvc(origin.top, "init", "-q")
    dvc(origin.top, "remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    origin.write({R + "dir/x": "1\n", R + "dir/y": "1\n"})
    dvc(origin.top, "add", "-q", R + "a.csv", R + "dir")
    origin.git("add", "-A")
    before = origin.commit()
    origin.write({R + "a.csv": "2\n", R + "dir/y": "2\n"})
    dvc(origin.top, "add", "-q", R + "a.csv", R + "dir")
    dvc(origin.top, "push", "-q")
    clone = cloned(origin, tmp_path / "clone", before)
    unlisted = "the files in this folder of DVC's are not known here: dvc pull"
    assert waiting(clone) == {f"{R}a.csv": f"{R}a.csv is not here: dvc pull {R}a.csv", f"{R}dir": unlisted}
    dvc(clone.top, "pull", "-q", R + "dir.dvc")
    clone.write({R + "dir/y": "3\n"})
    told = f"{R}dir has other content than DVC's in y: dvc checkout {R}dir"
    assert waiting(clone, "--path", "dir/*") == {f"{R}dir/x": told, f"{R}dir/y": told}, "before is not known"
    (clone.top / R / "dir/y").unlink()
    told = f"{R}dir lacks y: dvc checkout {R}dir"
    assert waiting(clone, "--path", "dir/*") == {f"{R}dir/x": told, f"{R}dir/y": told}
    dvc(clone.top, "checkout", "-q", R + "dir")
    dvc(clone.top, "pull", "-q", R + "a.csv")
    clone.write({R + "a.csv": "9\n"})
    assert waiting(clone, "--path", "a.csv") == {
        f"{R}a.csv": f"{R}a.csv has other content than DVC's: dvc checkout {R}a.csv"
    }
    assert clone.materialized() == []
    dvc(clone.top, "checkout", "-q", "--force", R + "a.csv")
    clone.write({R + "b.csv": "1\n"})
    done = clone.tool("run")
    assert done.returncode == 0, done.stderr
    assert clone.materialized() == ["raw/a", "raw/b"]
    assert [c["path"] for c in clone.plan()["changes"]] == []  # type: ignore[attr-defined]
    recorded = clone.git("rev-parse", f"refs/raw-trigger/local:{R}dir.dvc")
    assert recorded == clone.git("rev-parse", f"HEAD:{R}dir.dvc")


@pytest.mark.soak
def test_dvc_content_is_fetched(
    project: Make, tmp_path: Path, dvc: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a folder and of a pipeline's file, each under a root beside or below their pointer files."""
    rules = "fetch: true\nassets: [{path: 'a.csv', asset: raw/a}, {path: 'b/*', asset: raw/b}]\n"
    origin = project(config=rules, a=["a.csv"], b=["b/x", "b/y"], c=["c.csv"])
    origin.git("rm", "-q", "-r", "--cached", "data")
    dvc(origin.top, "init", "-q")
    dvc(origin.top, "remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    stage = "stages:\n  a:\n    cmd: cp in data/1_raw/a.csv\n    deps: [in]\n    outs: [data/1_raw/a.csv]\n"
    origin.write({"in": "1\n", "dvc.yaml": stage})
    dvc(origin.top, "repro", "-q")
    dvc(origin.top, "add", "-q", R + "b", R + "c.csv")
    origin.git("add", "-A")
    before = origin.commit()
    origin.write({"in": "2\n", R + "b/y": "2\n"})
    dvc(origin.top, "repro", "-q")
    dvc(origin.top, "add", "-q", R + "b")
    dvc(origin.top, "push", "-q")
    clone = cloned(origin, tmp_path / "clone", before)
    found = shutil.which("dvc", path=os.pathsep.join([f"{sys.prefix}/dvc/bin", os.environ["PATH"]]))
    assert found is not None
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "dvc").symlink_to(found)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "store").rename(tmp_path / "away")
    told = waiting(clone)[R + "a.csv"]
    assert told.startswith(f"{R}a.csv is not here: dvc pull {R}a.csv (dvc pull: ")
    (tmp_path / "away").rename(tmp_path / "store")
    done = clone.tool("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert clone.materialized() == ["raw/a", "raw/b"]
    assert ((clone.top / R / "a.csv").read_text(), (clone.top / R / "b/y").read_text()) == ("2\n", "2\n")
    assert not (clone.top / R / "c.csv").exists(), "nobody asked for it"
    assert clone.git("status", "--porcelain") == ""
    assert clone.plan()["changes"] == []


@pytest.mark.soak
def test_yaml_is_not_read_where_no_dvc_file_changed(project: Make) -> None:
    shop = project(a=["a.csv"])
    shop.tool("adopt")
    shop.commit({R + "a.csv": "2"})
    shop.tool("diff", "HEAD~1", "HEAD")
    code = "import sys; from raw_trigger.cli import main\ntry: main()\nexcept SystemExit: print('yaml' in sys.modules)"
    for command in (["diff"], ["run"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *command], cwd=shop.top, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "False"
