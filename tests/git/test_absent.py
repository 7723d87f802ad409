"""What git names and what is not on disk, or not as git has it: it waits, with the command that helps."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from raw_trigger.adopt import adopt
from raw_trigger.model.changes import show
from tests.conftest import Repo
from tests.support.dvc import DvcRepo, pointer
from tests.support.two_assets import RULES, Ground, R

LFS = b"version https://git-lfs.github.com/spec/v1\r\noid sha256:" + b"a" * 64 + b"\r\nsize 12\r\n"
ANNEX = b"/annex/objects/SHA256E-s3000--" + b"a" * 64 + b".csv\n"


@pytest.fixture
def ground(repo: Repo) -> Ground:
    made = Ground(repo.top)
    made.commit({"raw-trigger.yaml": RULES, R + "a.csv": "1\n"})
    adopt(made.trigger().planner, "HEAD")
    return made


# In the place of a file


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (LFS, f"only its Git LFS pointer is here: git lfs pull --include={R}a.csv"),
        (ANNEX, f"only its git-annex pointer is here: git annex get {R}a.csv"),
        (b"\0GITCRYPT\0\1\2\3" * 1000, "it is encrypted by git-crypt: git-crypt unlock"),
    ],
)
def test_what_stands_for_content(ground: Ground, content: bytes, reason: str) -> None:
    ground.commit({R + "a.csv": content})
    (ground.top / R / "a2.csv").symlink_to("a.csv")
    ground.git("add", "-A")
    ground.commit()
    for arguments in ([], ["HEAD~2", "HEAD"], ["--staged", "HEAD~2"]):
        assert ground.waiting(*arguments) == dict.fromkeys(("a.csv", "a2.csv"), ("missing-content", reason))
    assert ground.waiting(launching=False) == ground.waiting(), "diff says the same as run"
    assert ground.run() == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nowhere.csv", "it is a link to nowhere.csv, which is not there"),
        ("a3.csv", "it is a link to a3.csv, which is not there"),
        (
            "../../.git/annex/objects/W/g/KEY/KEY",
            f"its content is in git-annex, not here: git annex get {R}a3.csv",
        ),
    ],
)
def test_a_link_that_leads_nowhere(ground: Ground, text: str, reason: str) -> None:
    (ground.top / R / "a3.csv").symlink_to(text)
    assert ground.waiting() == {"a3.csv": ("missing-content", reason)}
    ground.git("add", "-A")
    assert ground.waiting("--staged") == ground.waiting()
    ground.commit()
    assert ground.waiting("HEAD~1", "HEAD") == ground.waiting()
    assert ground.run() == []


def test_what_the_sparse_checkout_leaves_out(ground: Ground) -> None:
    ground.git("config", "core.sparseCheckoutCone", "false")
    ground.commit({R + "a.csv": "2\n", R + "b.csv": "2\n"})
    ground.git("sparse-checkout", "set", "--no-cone", "/*", f"!{R}a.csv")
    told = f"the sparse checkout leaves it out: git sparse-checkout add /{R}a.csv"
    assert ground.waiting() == {"a.csv": ("missing-content", told)}
    assert ground.run() == ["b"]
    assert ground.waiting() == {"a.csv": ("missing-content", told)}


def test_what_is_also_made_from_a_file_that_the_sparse_checkout_leaves_out(ground: Ground) -> None:
    """It would be made without that file, as if it had been deleted."""
    ground.commit({R + "a.csv": "1\n", R + "a2.csv": "1\n", R + "a3.csv": "1\n"})
    ground.run()
    ground.git("sparse-checkout", "set", "--no-cone", "/*", f"!{R}a2.csv", f"!{R}a3.csv")
    assert ground.plan().changes == ()
    ground.write({R + "a.csv": "2\n"})
    told = (
        f"what is made from it also reads {R}a2.csv, {R}a3.csv, whose content is not here: "
        f"git sparse-checkout add /{R}a2.csv /{R}a3.csv"
    )
    assert ground.waiting() == {"a.csv": ("missing-content", told)}
    assert ground.run() == []
    ground.git("sparse-checkout", "add", f"/{R}a2.csv", f"/{R}a3.csv")
    assert ground.run() == ["a"]


@pytest.mark.parametrize("how", ["--cone", "--no-cone"])
@pytest.mark.parametrize("folder", ["plain", "s[1] *é", "!x", "#x"])
def test_the_command_that_brings_back_what_the_sparse_checkout_leaves_out(
    ground: Ground, how: str, folder: str
) -> None:
    ground.commit({"raw-trigger.yaml": "assets: [{path: '**', asset: a}]\n", R + f"{folder}/x?.csv": "1\n"})
    ground.commit({R + "b.csv": "1\n"})
    rest = ["elsewhere"] if how == "--cone" else ["/*", f"!{R}*/"]
    ground.git("sparse-checkout", "set", how, *rest)
    [waiting] = [one for one in ground.plan().waiting if one.change.path.endswith(b"x?.csv")]
    assert waiting.reason is not None
    subprocess.run(waiting.reason.partition(": ")[2], shell=True, cwd=ground.top, check=True)
    assert (ground.top / R / folder / "x?.csv").exists()


def test_a_pipe_in_the_place_of_a_file(ground: Ground) -> None:
    (ground.top / R / "a.csv").unlink()
    os.mkfifo(ground.top / R / "a.csv")
    os.mkfifo(ground.top / R / "a2.csv")
    assert ground.waiting() == {"a.csv": ("dirty", "it is deleted in what git knows, but still on disk")}


# Submodules


@pytest.fixture
def sub(ground: Ground, tmp_path: Path) -> Ground:
    """One that came since what is recorded, with another one in it."""
    for name, inner in (("inner", None), ("other", "inner")):
        made = Repo(tmp_path / name)
        made.top.mkdir()
        made.git("init", "-q")
        made.commit({"f.csv": "1\n"})
        if inner is not None:
            made.git("submodule", "add", "-q", f"../{inner}", "nested")
            made.commit(None, "-a")
    ground.git("submodule", "add", "-q", str(tmp_path / "other"), R + "sub")
    ground.git("submodule", "update", "--init", "--recursive", "-q")
    ground.commit(None, "-a")
    return ground


UPDATE = f"git submodule update --init --recursive {R}sub"
OUT = ("missing-content", f"its submodule is not checked out: {UPDATE}")
AWAY = f"with git -C {R}sub stash --include-untracked"


def test_a_submodule_that_is_not_checked_out(sub: Ground, tmp_path: Path) -> None:
    top = tmp_path / "clone"
    sub.git("clone", "-q", str(sub.top), str(top))
    clone = Ground(top)
    adopt(clone.trigger().planner, "HEAD~1")
    for arguments in ([], ["HEAD~1"], ["HEAD~1", "HEAD"], ["--staged", "HEAD~1"]):
        assert clone.waiting(*arguments) == {"sub": OUT}, arguments
    (top / R / "sub").rmdir()
    assert clone.waiting("HEAD~1", "HEAD") == {"sub": OUT}
    assert clone.run() == []
    clone.git("submodule", "update", "-q", "--init")
    told = f"the submodule nested in it is not here: {UPDATE}"
    assert clone.waiting() == {"sub": ("missing-content", told)}
    clone.write({"raw-trigger.yaml": "fetch: true\n" + RULES})
    assert clone.run() == ["b"]
    assert (top / R / "sub/nested/f.csv").read_text() == "1\n"
    assert clone.waiting() == {} == clone.waiting("--staged")


def test_what_is_made_also_reads_a_submodule(sub: Ground, tmp_path: Path) -> None:
    top = tmp_path / "clone"
    sub.git("clone", "-q", str(sub.top), str(top))
    clone = Ground(top)
    adopt(clone.trigger().planner, "HEAD")
    clone.commit({R + "b.csv": "1\n"})
    told = f"what is made from it also reads {R}sub, whose content is not here: {UPDATE}"
    assert clone.waiting() == {"b.csv": ("missing-content", told)}
    clone.write({"raw-trigger.yaml": "fetch: true\n" + RULES})
    assert clone.run() == ["b"]


def test_a_link_that_leads_nowhere_keeps_nothing_else_from_running(sub: Ground) -> None:
    assert sub.run() == ["b"]
    (sub.top / R / "b2.csv").symlink_to("nowhere")
    sub.write({R + "b.csv": "1\n"})
    assert sub.run() == ["b"]
    assert list(sub.waiting()) == ["b2.csv"]


def test_a_submodule_with_edits(sub: Ground) -> None:
    inside = Repo(sub.top / R / "sub")
    tip = inside.git("rev-parse", "HEAD")
    for edit, name in (
        ({"f.csv": "2\n"}, "f.csv"),
        ({"f.csv": "1\n", "new.csv": "1\n"}, "new.csv"),
        ({"new.csv": None, "nested/f.csv": "2\n"}, "nested"),
    ):
        inside.write(edit)
        told = (
            f"the submodule has edits that are not committed, of {name}: commit them, or put them away {AWAY}"
        )
        for arguments in ([], ["HEAD~1", "HEAD"]):
            assert sub.waiting(*arguments) == {"sub": ("dirty", told)}
        assert sub.run() == []
    inside.write({"nested/f.csv": "1\n"})
    inside.git("checkout", "-q", "HEAD~1")
    before = inside.git("rev-parse", "HEAD")
    told = (
        f"{before[:12]} of the submodule is checked out, not {tip[:12]}: "
        f"git submodule update {R}sub, or git add {R}sub"
    )
    assert sub.waiting("HEAD~1", "HEAD") == {"sub": ("dirty", told)} == sub.waiting("--staged", "HEAD~1")
    shutil.rmtree(inside.top / "nested")  # git leaves it there
    assert sub.run() == ["b"], "what is checked out is what Dagster reads"
    assert sub.git("rev-parse", f"refs/raw-trigger/local:{R}sub") == before


def test_edits_in_a_submodule_while_something_else_of_it_is_due(sub: Ground) -> None:
    """What ran has read them, and once they are gone it has to run again."""
    assert sub.run() == ["b"]
    inside = Repo(sub.top / R / "sub")
    inside.write({"f.csv": "2\n"})
    assert sub.waiting() == {}
    sub.write({R + "b.csv": "1\n"})
    assert sub.run() == ["b"]
    assert list(sub.waiting()) == ["sub"]
    assert sub.run() == []
    inside.write({"f.csv": "1\n"})
    assert sub.run() == ["b"]
    assert sub.run() == []
    sub.write({R + "b.csv": "2\n"})
    assert sub.run(during=lambda: inside.write({"f.csv": "3\n"})) == ["b"]
    assert list(sub.waiting()) == ["sub"]


def test_a_submodule_that_is_gone_but_for_its_folder(sub: Ground) -> None:
    assert sub.run() == ["b"]
    before = sub.git("rev-parse", "HEAD")
    sub.git("rm", "-q", "--cached", R + "sub")
    sub.commit()
    assert sub.waiting("HEAD~1", "HEAD") == {"sub": ("dirty", "it is deleted in HEAD, but still on disk")}, (
        before
    )
    shutil.rmtree(sub.top / R / "sub")
    assert sub.waiting("HEAD~1", "HEAD") == {}


def test_pointers_in_a_submodule(sub: Ground) -> None:
    inside = Repo(sub.top / R / "sub")
    inside.commit({"x/f.csv": LFS, "x/g.csv": "1\n"})
    told = f"in it, of x/f.csv: only its Git LFS pointer is here: git -C {R}sub lfs pull --include=x/f.csv"
    assert sub.waiting() == {"sub": ("missing-content", told)}


# As the real programs have it


@pytest.mark.skipif(shutil.which("git-annex") is None, reason="git-annex is not installed")
def test_git_annex(ground: Ground, tmp_path: Path) -> None:
    ground.git("annex", "init", "-q", "origin")
    ground.write({R + "a.csv": "locked\n" * 10, R + "b.csv": "unlocked\n" * 10})
    ground.git("annex", "add", "-q", "--force-large", R + "a.csv", R + "b.csv")
    ground.git("annex", "unlock", "-q", R + "b.csv")
    ground.commit(None, "-a")
    assert sorted(ground.run()) == ["a", "b"]
    assert ground.waiting() == {}
    top = tmp_path / "clone"
    ground.git("clone", "-q", str(ground.top), str(top))
    clone = Ground(top)
    adopt(clone.trigger().planner, "HEAD~1")
    told = {
        "a.csv": ("missing-content", f"its content is in git-annex, not here: git annex get {R}a.csv"),
        "b.csv": ("missing-content", f"only its git-annex pointer is here: git annex get {R}b.csv"),
    }
    assert clone.waiting() == told == clone.waiting("HEAD~1", "HEAD")
    subprocess.run(["git", "annex", "get", "-q", R + "b.csv"], cwd=top, check=True, capture_output=True)
    assert clone.run() == ["b"]
    clone.write({"raw-trigger.yaml": "fetch: true\n" + RULES})
    assert clone.run() == ["a"]
    assert (top / R / "a.csv").read_text() == "locked\n" * 10
    assert clone.waiting() == {}


# DVC


@pytest.mark.parametrize("left_out", [False, True])
def test_what_is_also_made_from_data_of_dvc_that_is_not_here(tmp_path: Path, left_out: bool) -> None:
    """Also where the sparse checkout leaves out its pointer file."""
    repo = DvcRepo(tmp_path)
    repo.write({"raw-trigger.yaml": 'assets: [{path: "*.csv", asset: whole}]\n'})
    repo.data({"a.csv": "1", "b.csv": "1"})
    repo.write({R + "a.csv.dvc": pointer("a.csv", "1"), ".gitignore": f"/{R}a.csv\n"})
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "start")
    repo.adopt()
    repo.data({"a.csv": None, "b.csv": "2"})
    command = f"dvc pull {R}a.csv"
    if left_out:
        repo.git("sparse-checkout", "set", "--no-cone", "/*", f"!{R}a.csv.dvc")
        command = f"git sparse-checkout add /{R}a.csv.dvc"
    told = f"what is made from it also reads {R}a.csv, whose content is not here: {command}"
    [waiting] = repo.plan(launching=True).waiting
    assert (show(waiting.change.path), waiting.reason) == (R + "b.csv", told)
    assert repo.run().made == []
    if left_out:
        repo.git("sparse-checkout", "disable")
    repo.data({"a.csv": "1"})
    assert repo.run().made == ["whole"]
