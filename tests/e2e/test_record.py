"""The record under two commands at once, gc, and every kind of repository; what harms it is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Repo
from tests.e2e.test_init import at_terminal
from tests.support.tables import Project

Make = Callable[..., Project]
R = "data/1_raw/"

SLOW = """
import time
from pathlib import Path
from dagster import AssetKey, Definitions, asset

HERE = Path(__file__).parent

@asset(key=AssetKey(["raw", "a"]))
def a():
    (HERE / "data/1_raw/a.csv").read_text()
    (HERE / "started").touch()
    until = time.monotonic() + 60
    while not (HERE / "go_on").exists() and time.monotonic() < until:
        time.sleep(0.05)

defs = Definitions(assets=[a])
"""


def start(project: Project, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "raw_trigger", *args],
        cwd=project.top,
        env={**os.environ, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.dagster
def test_two_at_once_run_once_and_the_second_says_for_whom_it_waits(project: Make) -> None:
    shop = project(a=["a.csv"])
    shop.commit({"definitions.py": SLOW, ".gitignore": "__pycache__/\nstarted\ngo_on\n"})
    shop.tool("adopt")
    shop.write({R + "a.csv": "2"})
    first = start(shop, "run")
    while not (shop.top / "started").exists():
        assert first.poll() is None
    second = start(shop, "run")
    assert second.stderr is not None
    line = second.stderr.readline()
    assert line == (
        f"raw-trigger: waiting for raw-trigger run (process {first.pid}), which is at work on 'local'\n"
    )
    (shop.top / "go_on").touch()
    said = first.communicate(timeout=60)
    assert first.returncode == 0, said
    said = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert "Nothing to do" in said[0]
    assert shop.materialized() == ["raw/a"]


def test_a_lock_whose_owner_is_gone_blocks_nobody(project: Make) -> None:
    shop = project(a=["a.csv"])
    shop.commit({"definitions.py": SLOW, ".gitignore": "__pycache__/\nstarted\ngo_on\n"})
    shop.tool("adopt")
    shop.write({R + "a.csv": "2"})
    first = start(shop, "run")
    while not (shop.top / "started").exists():
        assert first.poll() is None
    first.kill()
    first.communicate()
    (shop.top / "go_on").touch()
    assert shop.tool("run").returncode == 0
    assert shop.plan()["changes"] == []


def test_gc_in_any_worktree_keeps_every_record(repo: Repo, tmp_path: Path) -> None:
    repo.commit({R + "a.csv": "committed"})
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "side")
    linked = Project(tmp_path / "linked", tmp_path)
    linked.write({R + "a.csv": "only recorded in the linked worktree"})
    linked.git("add", "-A")
    tree = linked.git("write-tree")
    main = Project(repo.top, tmp_path)
    assert main.tool("adopt", "--no-catalog").returncode == 0
    assert linked.tool("adopt", "--no-catalog", tree).returncode == 0
    linked.git("reset", "-q", "--hard")
    for each in (repo, linked):
        each.git("reflog", "expire", "--expire=now", "--all")
        each.git("gc", "-q", "--prune=now")
    assert repo.git("fsck", "--connectivity-only", "--no-dangling") == ""
    content = repo.git("cat-file", "-p", f"refs/raw-trigger/local-linked:{R}a.csv")
    assert content == "only recorded in the linked worktree"


@pytest.mark.parametrize("kind", ["sha256", "shallow", "submodule", "detached"])
def test_every_kind_of_repository(tmp_path: Path, repo: Repo, kind: str) -> None:
    repo.commit({R + "a.csv": "1"})
    repo.commit({R + "a.csv": "2"})
    top = tmp_path / "other"
    if kind == "sha256":
        top.mkdir()
        Repo(top).git("init", "-q", "--object-format=sha256")
        Repo(top).commit({R + "a.csv": "2"})
    elif kind == "shallow":
        subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{repo.top}", str(top)], check=True)
    elif kind == "submodule":
        outer = tmp_path / "outer"
        outer.mkdir()
        Repo(outer).git("init", "-q")
        Repo(outer).git("submodule", "--quiet", "add", str(repo.top), "sub")
        top = outer / "sub"
    else:
        subprocess.run(["git", "clone", "-q", str(repo.top), str(top)], check=True)
        Repo(top).git("checkout", "-q", "--detach")
    opened = Project(top, tmp_path)
    (top / "raw-trigger.yaml").write_text("assets: [{path: '*.txt', ignore: true}]\n")
    assert opened.tool("adopt", "--no-catalog").returncode == 0
    assert opened.plan("--no-catalog")["changes"] == []
    opened.write({R + "note.txt": "x"})
    assert [c["disposition"] for c in opened.plan()["changes"]] == ["ignored"]  # type: ignore[attr-defined]
    done = opened.tool("run")
    assert done.returncode == 0, done.stderr
    assert opened.plan()["changes"] == []


@pytest.mark.parametrize(
    "harm",
    ["garbage", "deleted", "moved to a commit", pytest.param("locked", marks=pytest.mark.soak)],
)
def test_what_harms_the_record_is_told_and_loses_nothing(project: Make, harm: str) -> None:
    shop = project(a=["a.csv"], b=["b.csv"])
    shop.tool("adopt")
    shop.write({R + "a.csv": "2"})
    ref = shop.top / ".git/refs/raw-trigger/local"
    if harm == "garbage":
        ref.write_text("garbage\n")
    elif harm == "deleted":
        ref.unlink()
    elif harm == "locked":
        ref.with_name("local.lock").touch()
    else:
        shop.git("update-ref", "refs/raw-trigger/local", "HEAD")
    done = shop.tool("run")
    if harm == "deleted":
        assert done.returncode == 0
        assert "nothing is recorded yet, so HEAD is taken as what is materialized" in done.stdout
        return
    assert done.returncode == 3
    assert "refs/raw-trigger/local" in done.stderr
    assert "Traceback" not in done.stderr
    ref.with_name("local.lock").unlink(missing_ok=True)
    if harm != "locked":
        shop.git("update-ref", "-d", "refs/raw-trigger/local", check=False)
        ref.unlink(missing_ok=True)
        shop.tool("adopt")
    assert [c["path"] for c in shop.plan()["changes"]] == [R + "a.csv"]  # type: ignore[attr-defined]


CHECKED = """
from pathlib import Path
from dagster import AssetCheckResult, AssetKey, Definitions, asset, asset_check

RAW = Path(__file__).parent / "data" / "1_raw"

@asset(key=AssetKey(["raw", "a"]))
def a():
    return (RAW / "a.csv").read_text()

@asset_check(asset=a)
def is_good():
    return AssetCheckResult(passed="bad" not in (RAW / "a.csv").read_text())

defs = Definitions(assets=[a], asset_checks=[is_good])
"""


def test_what_a_check_refuted_is_made_again_also_from_what_was_there_before(project: Make) -> None:
    shop = project(a=["a.csv"])
    shop.commit({"definitions.py": CHECKED})
    shop.tool("adopt")
    shop.write({R + "a.csv": "bad"})
    done = shop.tool("run")
    assert done.returncode == 1
    assert "check is_good failed" in done.stdout
    assert shop.materialized() == ["raw/a"]
    shop.write({R + "a.csv": "a.csv\n"})
    assert [c["status"] for c in shop.plan()["changes"]] == ["remapped"]  # type: ignore[attr-defined]
    assert shop.tool("run").returncode == 0
    assert shop.materialized() == ["raw/a"]
    assert shop.plan()["changes"] == []


def test_adopt_and_forget_say_what_they_did(project: Make) -> None:
    shop = project(a=["a.csv"], b=["b.csv"])
    assert shop.tool("adopt").returncode == 0
    shop.commit({R + "a.csv": "2", R + "new/x\n.csv": ""})
    said = []
    for line in (
        "adopt --path [!b].csv --path new/*",
        "adopt --path a.csv",
        "adopt --path c.csv",
        "forget --path c.csv",
        "forget --asset raw/a",
        "forget",
    ):
        done = shop.tool(*line.split(" "))
        said += [f"{line}: {done.returncode}", *(done.stdout + done.stderr).splitlines()]
    head = shop.git("rev-parse", "--short", "HEAD") + " change"
    assert (
        "\n".join(said)
        == rf"""adopt --path [!b].csv --path new/*: 0
'local' now reflects 2 files as of {head}:
  data/1_raw/a.csv → raw/a
  "data/1_raw/new/x\n.csv" → nothing
never materialized: raw/a; `raw-trigger run --all` does it
adopt --path a.csv: 0
'local' reflects these files as of {head} already.
adopt --path c.csv: 2
raw-trigger: no raw file matches c.csv
  a glob is relative to a root or to the repository's top, and * stays inside one folder; `FOLDER/**` is all that is in one
forget --path c.csv: 2
raw-trigger: no raw file matches c.csv
  a glob is relative to a root or to the repository's top, and * stays inside one folder; `FOLDER/**` is all that is in one
forget --asset raw/a: 0
'local' has forgotten what was made from 1 file; `raw-trigger run` makes it again:
  data/1_raw/a.csv → raw/a
forget: 0
'local' has forgotten everything that was made from 2 files; `raw-trigger run` makes it again:
  data/1_raw/a.csv → raw/a
  data/1_raw/b.csv → raw/b"""
    )


BOTH = {"good": ["good.csv"], "bad": ["bad.csv"]}


def test_what_fails_with_content_that_was_only_assumed_is_pending(project: Make) -> None:
    shop = project(**BOTH)
    shop.commit({R + "bad.csv": "broken"})
    installed = shop.tool("install")
    assert installed.stdout.endswith(
        "never materialized: raw/bad, raw/good; `raw-trigger run --all` does it\n"
    ), installed
    assert shop.tool("status").stdout.splitlines()[1:] == [
        "'local' reflects every raw file.",
        "assumed, not run here: raw/bad, raw/good; `raw-trigger run --all` makes it",
    ]
    assert shop.tool("run", "--all").returncode == 1
    assert shop.materialized() == ["raw/good"]
    assert "assumed" not in shop.tool("status").stdout
    assert shop.tool("adopt").stdout.splitlines()[1:] == [
        "never materialized: raw/bad; `raw-trigger run --all` does it"
    ]
    shop.tool("forget", "--path", "bad.csv")
    assert [change["path"] for change in shop.plan()["changes"]] == [R + "bad.csv"]
    assert shop.tool("diff", "--exit-code").returncode == 1
    assert shop.tool("run", "--failed").returncode == 1
    assert "'broken' is not a number" in shop.tool("run").stderr + shop.tool("run").stdout
    shop.write({R + "bad.csv": "whole"})
    assert shop.tool("run").returncode == 0
    assert shop.materialized() == ["raw/bad"]
    shop.write({R + "bad.csv": "broken"})
    assert [change["path"] for change in shop.plan()["changes"]] == [R + "bad.csv"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_a_run_of_everything_was_cut_off_from_is_pending(project: Make, how: signal.Signals) -> None:
    shop = project(a=["a.csv"], b=["b.csv"])
    slow = SLOW.replace(
        "defs = Definitions(assets=[a])",
        '@asset(key=AssetKey(["raw", "b"]), deps=[a])\ndef b():\n    (HERE / "data/1_raw/b.csv").read_text()\n\ndefs = Definitions(assets=[a, b])',
    )
    shop.commit({"definitions.py": slow, ".gitignore": "__pycache__/\nstarted\ngo_on\n"})
    shop.tool("adopt")
    first = start(shop, "run", "--all")
    while not (shop.top / "started").exists():
        assert first.poll() is None
    os.killpg(first.pid, how)  # as a terminal's Ctrl-C does: whatever the command has started gets it too
    first.communicate()
    assert shop.materialized() == []
    (shop.top / "go_on").touch()
    assert shop.tool("run").returncode == 0
    assert shop.materialized() == ["raw/a", "raw/b"]
    assert shop.plan()["changes"] == []


def test_a_run_of_everything_takes_the_rules_in_force_along(project: Make) -> None:
    rules = "assets:\n  - {path: a.csv, asset: raw/a}\n"
    shop = project(rules, a=["a.csv"], b=["other.csv"])
    assert shop.tool("run", "--all").returncode == 0
    shop.write({"raw-trigger.yaml": rules + "  - {path: other.csv, assets: [raw/b, raw/a]}\n"})
    assert shop.tool("run", "--all").returncode == 0
    assert shop.materialized() == ["raw/a", "raw/a", "raw/b"]
    assert shop.plan()["changes"] == []


def test_what_a_rule_newly_feeds_is_pending_after_the_installation(project: Make) -> None:
    rules = "assets:\n  - {path: a.csv, asset: raw/a}\n"
    shop = project(rules, a=["a.csv"], b=["other.csv"])
    assert shop.tool("install").returncode == 0
    assert shop.plan()["changes"] == []
    shop.write({"raw-trigger.yaml": rules + "  - {path: other.csv, asset: raw/b}\n"})
    assert [one["asset"] for one in shop.plan()["targets"]] == ["raw/b"]  # type: ignore[attr-defined, index]


@pytest.mark.dagster
def test_learn_runs_what_was_agreed_to_and_records_nothing_else(project: Make) -> None:
    """Where nothing was recorded HEAD would count as materialized: also all that `learn` did not run."""
    shop = project("root: data/1_raw\n", a=["a.csv"], b=["b.csv"], c=["c.csv"])
    refused = shop.tool("learn")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "raw-trigger: learn would materialize raw/a, raw/b, raw/c, and nobody is there to be asked\n"
        "  `--yes` runs them, `--asset KEY` only some, `--watch-runs` none\n"
    )
    code, shown = at_terminal(shop.top, "learn", answers=[("Materialize them now? [y/N]: ", "\n")])
    assert code == 0
    assert "with everything that they do" in shown
    assert "  raw/a\n  raw/b\n  raw/c\n" in shown.replace("\r", "")
    assert shown.replace("\r", "").endswith(
        "nothing was run; `--asset KEY` runs only some, `--watch-runs` none\n"
    )
    assert (shop.materialized(), shop.try_git("show-ref").stdout.count("refs/raw-trigger/")) == ([], 0)
    done = shop.tool("learn", "--asset", "raw/a", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-3:] == [
        "raw-trigger: nothing is to be added: the rules say as much",
        "raw-trigger: nothing was recorded in 'local' before, so now it has only raw/a as materialized",
        "raw-trigger: `raw-trigger run --all` makes the rest, `raw-trigger adopt` takes it as materialized",
    ]
    assert [one["asset"] for one in shop.plan()["targets"]] == ["raw/b", "raw/c"]  # type: ignore[attr-defined, index]
