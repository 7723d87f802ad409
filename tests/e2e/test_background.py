"""Hooks that leave their work to a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from raw_trigger.hooks.background import at_work, read
from tests.conftest import Repo
from tests.e2e.test_kills import halting, wait_for
from tests.support.tables import Project

Make = Callable[..., Project]
R = "data/1_raw/"
HOOKS = (
    "{pre-commit: background, post-merge: background, post-rewrite: background, post-checkout: background}"
)


# It fails, which harms nobody.
TOLD = """on_failure:
- sh
- -c
- >-
  cat > .git/told; printf '%s\\n' "$RAW_TRIGGER_HOOK" "$RAW_TRIGGER_LOG" "$RAW_TRIGGER_SUMMARY" >> .git/told;
  echo "heard, GIT_DIR=$GIT_DIR"; exit 3
"""


@pytest.fixture
def shop(project: Make) -> Iterator[Project]:
    """Two assets that stop where a test wants them to; the hooks are installed."""
    made = halting(project(f"{TOLD}hooks: {HOOKS}\n", a=["a.csv"], b=["b.csv"]), "")
    install(made)
    yield made
    for path in (made.top / ".git").glob("halt-*"):
        path.unlink()
    if at_work(made.open()):
        ended(made)


@pytest.fixture
def plain(project: Make) -> Project:
    """Two assets that fail for the word broken."""
    made = project(f"{TOLD}hooks: {HOOKS}\n", a=["a.csv"], b=["b.csv"])
    install(made)
    assert made.tool("adopt").returncode == 0
    return made


def install(project: Repo, **environ: str) -> None:
    """Install hooks that start a Python for each: what goes on in the background is known by its process."""
    command = [sys.executable, "-m", "raw_trigger", "install"]
    subprocess.run(command, cwd=project.top, env={**os.environ, **environ}, capture_output=True, check=True)


def commit(
    project: Repo, files: dict[str, str | None], *args: str, **env: str
) -> subprocess.CompletedProcess[str]:
    project.stage(files)
    done = project.try_git("commit", "-q", "-m", "change", *args, env={"NO_COLOR": "1", **env})
    assert done.returncode == 0, done.stderr
    return done


def job(project: Project) -> dict[str, Any]:
    """What is written about the last background work."""
    return json.loads(folder(project).joinpath("background/job.json").read_text())  # type: ignore[no-any-return]


def folder(project: Project) -> Path:
    return Path(project.git("rev-parse", "--absolute-git-dir")) / "raw-trigger"


def ended(project: Project) -> dict[str, Any]:
    """The last background work, once it has ended."""
    wait_for(lambda: job(project)["state"] in ("done", "failed"))
    return job(project)


def told(project: Project) -> list[str]:
    """What the command of on_failure was told, once it was."""
    heard = project.top / ".git/told"
    wait_for(lambda: heard.exists() and len(heard.read_text().splitlines()) == 4)
    return heard.read_text().splitlines()


def is_lost(project: Project) -> bool:
    known = read(project.open())
    return known is not None and known.fate == "lost"


def status(project: Project) -> dict[str, Any] | None:
    done = project.tool("status", "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["background"]  # type: ignore[no-any-return]


def halt(project: Project, name: str) -> Path:
    """The asset stops until this file is gone."""
    flag = project.top / ".git" / f"halt-{name}"
    flag.touch()
    return flag


def near(project: Project, log: str) -> str:
    """The log's path as it is shown: relative to the repository's top."""
    return Path(log).relative_to(project.top).as_posix()


def is_at(project: Project, name: str) -> None:
    """Wait until the asset is being made."""
    wait_for((project.top / ".git" / f"{name}-is-running").exists)


def test_the_commit_is_there_before_its_assets_are(shop: Project) -> None:
    flag = halt(shop, "a")
    done = commit(shop, {R + "a.csv": "2"})
    [line] = done.stderr.splitlines()
    known = job(shop)
    assert line == (
        f"raw-trigger post-commit: goes on in process {known['owner']['pid']}; its log is {near(shop, known['log'])}"
    )
    is_at(shop, "a")
    now = status(shop)
    assert now is not None
    assert (now["state"], now["face"], now["pid"]) == ("running", "post-commit", known["owner"]["pid"])
    assert (now["ended"], now["message"]) == (None, None)
    assert f"goes on in the background: process {now['pid']}, since 2" in shop.tool("status").stdout
    assert os.getsid(now["pid"]) == now["pid"] != os.getsid(0), "the terminal's end is not its own"
    assert shop.materialized() == []
    flag.unlink()
    assert ended(shop)["message"] is None
    assert shop.materialized() == ["raw/a"]
    assert shop.plan()["changes"] == []
    assert status(shop) is None
    log = Path(known["log"]).read_text()
    assert "M data/1_raw/a.csv → raw/a" in log
    assert "1 materialized in" in log
    [run] = json.loads(shop.tool("history", "--format", "json").stdout)["runs"]
    assert run["face"] == "post-commit"


@pytest.mark.parametrize("args", [["-a"], pytest.param(["--amend"], marks=pytest.mark.soak)])
def test_the_index_of_one_commit_is_not_handed_on(shop: Project, args: list[str]) -> None:
    """Its file is gone as soon as the commit is made."""
    flag = halt(shop, "a")
    shop.write({R + "a.csv": "2"})
    if args == ["--amend"]:
        shop.git("add", "-A")
    commit(shop, {}, *args)
    is_at(shop, "a")
    given = Path(f"/proc/{job(shop)['owner']['pid']}/environ").read_bytes().split(b"\0")
    named = {name.decode(): value.decode() for name, _, value in (one.partition(b"=") for one in given)}
    ours = {name: value for name, value in named.items() if name.startswith("GIT_")}
    assert "GIT_INDEX_FILE" not in ours
    assert (ours["GIT_DIR"], ours["GIT_WORK_TREE"]) == (str(shop.top / ".git"), str(shop.top))
    flag.unlink()
    assert ended(shop)["message"] is None
    assert shop.materialized() == ["raw/a"]
    assert shop.plan()["changes"] == []


def test_commits_that_are_made_meanwhile_are_taken_along(shop: Project) -> None:
    flag = halt(shop, "a")
    commit(shop, {R + "a.csv": "2"})
    is_at(shop, "a")
    first = job(shop)["owner"]
    for content in ("2", "3"):
        done = commit(shop, {R + "b.csv": content})
        assert f"post-commit: process {first['pid']}, at work already, does this too" in done.stderr
    assert job(shop)["again"] is True
    flag.unlink()
    assert ended(shop)["owner"] == first
    assert shop.materialized() == ["raw/a", "raw/b"], "of the two commits only what is there now is made"
    assert shop.plan()["changes"] == []
    assert len(list(folder(shop).glob("logs/*.log"))) == 1


@pytest.mark.soak
def test_what_each_of_two_passes_left_undone_is_told(shop: Project) -> None:
    """Of the first one its own words, though the second says no more than that it still fails."""
    definitions = (shop.top / "definitions.py").read_text()
    shop.commit(
        {"definitions.py": definitions.replace("return (RAW", "return int((RAW").replace("()\n\n", "())\n\n")}
    )
    flag = halt(shop, "a")
    commit(shop, {R + "a.csv": "x"})
    is_at(shop, "a")
    commit(shop, {R + "b.csv": "y"})
    flag.unlink()
    a, b = (f"raw/{n}: ValueError: invalid literal for int() with base 10: '{c}'" for n, c in ("ax", "by"))
    assert ended(shop)["message"] == f"{a}, {b}"
    assert f"post-commit left something undone in the background: {a}, {b}; log " in told(shop)[0]
    assert f"{a}, {b}" in shop.tool("status").stdout


@pytest.mark.soak
def test_a_change_that_is_taken_back_meanwhile(shop: Project) -> None:
    """By then nothing differs from the record, but it is about to."""
    flag = halt(shop, "a")
    commit(shop, {R + "a.csv": "2"})
    is_at(shop, "a")
    commit(shop, {R + "a.csv": "a.csv\n"})
    assert job(shop)["again"] is True
    flag.unlink()
    assert ended(shop)["message"] is None
    assert shop.materialized() == ["raw/a", "raw/a"]
    assert shop.plan()["changes"] == []


@pytest.mark.soak
def test_one_that_has_not_looked_yet_is_enough(shop: Project) -> None:
    """However fast commits follow one another, the last of them is materialized."""
    for content in "23456":
        commit(shop, {R + "a.csv": content, R + "b.csv": content})
    wait_for(lambda: job(shop)["state"] == "done")
    assert shop.plan()["changes"] == []
    made = shop.materialized()
    assert {"raw/a", "raw/b"} == set(made)
    assert len(made) < 10


def test_a_commit_without_raw_data_starts_nothing_meanwhile(shop: Project) -> None:
    flag = halt(shop, "a")
    commit(shop, {R + "a.csv": "2"})
    is_at(shop, "a")
    before = job(shop)
    done = commit(shop, {"README": "x"})
    assert done.stderr == ""
    assert job(shop) == before
    flag.unlink()
    ended(shop)
    assert commit(shop, {"README": "y"}).stderr == ""


@pytest.mark.soak
def test_a_file_that_is_edited_meanwhile(shop: Project) -> None:
    """What was read of it is not known, so it stays pending; nothing else does."""
    flag = halt(shop, "b")
    commit(shop, {R + "a.csv": "2", R + "b.csv": "2"})
    is_at(shop, "b")
    shop.write({R + "b.csv": "edited while it was read"})
    flag.unlink()
    ended(shop)
    assert shop.materialized() == ["raw/a", "raw/b"]
    plan = shop.plan()
    assert [change["path"] for change in plan["changes"]] == [R + "b.csv"]  # type: ignore[attr-defined]
    commit(shop, {R + "b.csv": "edited while it was read"})
    assert ended(shop)["message"] is None
    assert shop.materialized() == ["raw/b"]
    assert shop.plan()["changes"] == []


def test_a_failure_is_told_once_by_the_next_hook(plain: Project) -> None:
    commit(plain, {R + "a.csv": "broken", R + "b.csv": "2"})
    known = ended(plain)
    said = "raw/a: ValueError: a.csv line 1: 'broken' is not a number"
    assert known["message"] == said
    assert plain.materialized() == ["raw/b"]
    now = status(plain)
    assert now is not None
    assert (now["state"], now["message"], now["log"]) == ("failed", said, known["log"])
    log = Path(known["log"])
    assert said.removeprefix("raw/a: ") in log.read_text()
    summary = f"post-commit left something undone in the background: {said}; log {log}"
    assert told(plain) == [summary, "post-commit", str(log), summary]
    wait_for(lambda: "exit code 3" in log.read_text())
    [heard, problem] = log.read_text().splitlines()[-2:]
    assert heard == "heard, GIT_DIR="
    assert problem.startswith("raw-trigger: on_failure: sh -c 'cat > .git/told; ")
    assert problem.endswith(" exit 3' ended with exit code 3")
    done = commit(plain, {"README": "no raw data"})
    assert done.stderr.splitlines() == [
        f"raw-trigger: {summary.replace(str(log), near(plain, str(log)))}",
        "  it stays pending until `raw-trigger run`, or a commit that mends it",
    ]
    assert job(plain) == known, "what failed is not tried again by itself"
    assert commit(plain, {"README": "again"}).stderr == ""
    done = commit(plain, {R + "b.csv": "3"})
    assert "left something undone" not in done.stderr
    assert ended(plain)["message"] == (
        "raw/a: it still fails with this content: `raw-trigger run` tries again"
    )
    done = commit(plain, {R + "a.csv": "mended"})
    assert "raw/a: it still fails with this content" in done.stderr
    wait_for(lambda: job(plain)["state"] == "done")
    assert status(plain) is None
    assert plain.materialized() == ["raw/a", "raw/b"]
    assert plain.plan()["changes"] == []


@pytest.mark.soak
def test_a_failure_that_was_mended_meanwhile_is_not_told(plain: Project) -> None:
    commit(plain, {R + "a.csv": "broken"})
    assert ended(plain)["state"] == "failed"
    plain.write({"definitions.py": (plain.top / "definitions.py").read_text().replace('"broken"', '"wrong"')})
    assert plain.tool("run").returncode == 0
    assert status(plain) is None
    assert commit(plain, {"README": "x"}).stderr == ""


@pytest.mark.soak
def test_what_had_to_wait_is_told(plain: Project) -> None:
    plain.stage({R + "a.csv": "staged"})
    plain.write({R + "a.csv": "and edited"})
    plain.git("commit", "-q", "-m", "x")
    assert ended(plain)["message"] == f"{R}a.csv has to wait: the file on disk is not HEAD"
    done = commit(plain, {"README": "x"})
    assert "has to wait: the file on disk is not HEAD" in done.stderr
    assert plain.materialized() == []
    commit(plain, {R + "a.csv": "and edited"})
    assert ended(plain)["message"] is None
    assert plain.materialized() == ["raw/a"]


@pytest.mark.soak
def test_a_project_that_does_not_load_is_told(plain: Project) -> None:
    good = (plain.top / "definitions.py").read_text()
    commit(plain, {R + "a.csv": "2", "definitions.py": "import no_such_module\n"})
    message = ended(plain)["message"]
    assert (
        "the Dagster project does not load: ModuleNotFoundError: No module named 'no_such_module'" in message
    )
    assert "raw-trigger: the Dagster project does not load" in Path(job(plain)["log"]).read_text()
    done = commit(plain, {R + "a.csv": "3", "definitions.py": good})
    assert message in done.stderr
    assert ended(plain)["message"] is None
    assert plain.materialized() == ["raw/a"]


def test_one_that_is_killed_is_told_and_nothing_is_lost(shop: Project) -> None:
    flag = halt(shop, "b")
    commit(shop, {R + "a.csv": "2", R + "b.csv": "2"})
    is_at(shop, "b")
    known = job(shop)
    os.killpg(known["owner"]["pid"], signal.SIGKILL)
    flag.unlink()
    wait_for(lambda: is_lost(shop))
    assert f"process {known['owner']['pid']}, begun 2" in shop.tool("status").stdout
    done = commit(shop, {R + "new.csv": "nothing is made from it"})
    assert "post-commit did not come to its end in the background" in done.stderr
    assert near(shop, known["log"]) in done.stderr
    assert "post-commit did not come to its end in the background" in told(shop)[0]
    assert ended(shop)["owner"] != known["owner"]
    assert shop.materialized() == ["raw/a", "raw/b"], "raw/a was finished and is not made again"
    assert [t["asset"] for t in shop.plan()["targets"]] == []  # type: ignore[index, attr-defined]
    assert status(shop) is None
    assert "did not come to its end" not in commit(shop, {R + "new.csv": "2"}).stderr


@pytest.mark.soak
def test_one_that_is_gone_is_told_by_a_commit_without_raw_data(shop: Project) -> None:
    """As after a restart of the machine: its number stands for nothing."""
    flag = halt(shop, "a")
    commit(shop, {R + "a.csv": "2"})
    is_at(shop, "a")
    known = job(shop)
    os.killpg(known["owner"]["pid"], signal.SIGKILL)
    flag.unlink()
    wait_for(lambda: is_lost(shop))
    # Not waited for by anybody it can still be there as a zombie, which the shell takes for alive.
    (folder(shop) / "background/untold").write_text("99999999\n")
    assert "did not come to its end" in commit(shop, {"README": "x"}).stderr
    assert commit(shop, {"README": "y"}).stderr == ""
    assert shop.materialized() == []
    assert shop.tool("run").returncode == 0
    assert shop.materialized() == ["raw/a"]


@pytest.mark.soak
@pytest.mark.parametrize(
    ("commands", "face"),
    [
        ("merge -q --ff-only side", "post-merge"),
        ("rebase -q side", "post-rewrite"),
        ("checkout -q side", "post-checkout"),
    ],
)
def test_however_a_change_arrives(plain: Project, commands: str, face: str) -> None:
    plain.git("checkout", "-q", "-b", "side")
    commit(plain, {R + "b.csv": "from the side"}, RAW_TRIGGER_SKIP="1")
    plain.git("checkout", "-q", "main")
    if "ff-only" not in commands:
        plain.commit({"README": "so that there is something to merge"})
    if (folder(plain) / "background/job.json").exists():
        ended(plain)
    plain.materialized()
    plain.git(*commands.split())
    wait_for(lambda: job(plain)["face"] == face and job(plain)["state"] == "done")
    assert plain.materialized() == ["raw/b"]
    assert plain.plan()["changes"] == []


@pytest.mark.soak
def test_a_rebase_that_is_begun_before_it_looks(shop: Project) -> None:
    """Nothing is made of a commit in the middle; given up, the next hook looks at what is left."""
    flag = halt(shop, "a")
    commit(shop, {R + "a.csv": "2"})
    is_at(shop, "a")
    commit(shop, {R + "b.csv": "2"})
    done = shop.try_git("rebase", "-q", "--exec", "false", "HEAD~1")
    assert done.returncode != 0
    assert (shop.top / ".git/rebase-merge").is_dir()
    flag.unlink()
    ended(shop)
    assert shop.materialized() == ["raw/a"]
    shop.git("rebase", "--abort")
    commit(shop, {"README": "without raw data"})
    wait_for(lambda: job(shop)["face"] == "post-commit" and job(shop)["state"] == "done")
    assert shop.materialized() == ["raw/b"]
    assert shop.plan()["changes"] == []


@pytest.mark.soak
def test_first_use_takes_what_was_there_before_the_commit(plain: Project) -> None:
    plain.git("update-ref", "-d", "refs/raw-trigger/local")
    done = commit(plain, {R + "a.csv": "2"})
    assert "nothing is recorded yet, so what was there before is taken" in done.stderr
    assert ended(plain)["message"] is None
    assert plain.materialized() == ["raw/a"]


@pytest.mark.soak
def test_a_linked_worktree_has_a_process_of_its_own(project: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = project(f"hooks: {HOOKS}\n", a=["a.csv"], b=["b.csv"])
    monkeypatch.delenv("DAGSTER_HOME")
    install(shop)
    assert shop.tool("adopt").returncode == 0
    linked = Project(shop.top.parent / "linked", shop.home)
    shop.git("worktree", "add", "-q", str(linked.top), "-b", "side")
    commit(linked, {R + "b.csv": "2"}, "-a")
    commit(shop, {R + "a.csv": "2"})
    for tree, asset in ((linked, "raw/b"), (shop, "raw/a")):
        known = ended(tree)
        assert known["message"] is None
        assert Path(known["log"]).is_relative_to(folder(tree))
        assert f"→ {asset}" in Path(known["log"]).read_text()
        assert tree.plan()["changes"] == []


@pytest.mark.soak
def test_a_git_directory_elsewhere(project: Make, tmp_path: Path) -> None:
    """From the working tree alone it would not be found."""
    made = project(f"hooks: {HOOKS}\n", a=["a.csv"], b=["b.csv"])
    elsewhere = tmp_path / "elsewhere.git"
    (made.top / ".git").rename(elsewhere)
    where = {"GIT_DIR": str(elsewhere), "GIT_WORK_TREE": str(made.top)}
    install(made, **where)
    made.write({R + "a.csv": "2"})
    made.git("commit", "-q", "-a", "-m", "x", env=where)
    path = elsewhere / "raw-trigger/background/job.json"
    wait_for(lambda: json.loads(path.read_text())["state"] == "done")
    assert made.materialized() == ["raw/a"]


@pytest.mark.parametrize(
    "name", ["PRE_COMMIT", pytest.param("PRE_COMMIT_RUNNING_LEGACY", marks=pytest.mark.soak)]
)
def test_under_a_framework_it_is_run_at_once(plain: Project, name: str) -> None:
    done = commit(plain, {R + "a.csv": "2"}, **{name: "1"})
    assert "raw-trigger: run now, not in the background: the framework puts unstaged edits" in done.stderr
    assert "1 materialized in" in done.stderr
    assert plain.materialized() == ["raw/a"]
    assert not (folder(plain) / "background/job.json").exists()


def test_where_nothing_can_be_started(plain: Project) -> None:
    """It is said, and stays pending."""
    (folder(plain) / "logs").write_text("in the way")
    done = commit(plain, {R + "a.csv": "2"})
    assert "raw-trigger: nothing can go on in the background" in done.stderr
    assert "Traceback" not in done.stderr
    assert [t["asset"] for t in plain.plan()["targets"]] == ["raw/a"]  # type: ignore[index, attr-defined]


@pytest.mark.soak
def test_only_the_last_logs_are_kept(plain: Project) -> None:
    logs = folder(plain) / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    for number in range(30):
        (logs / f"20000101T0000{number:02}.000-post-commit.log").touch()
    commit(plain, {R + "a.csv": "2"})
    ended(plain)
    assert len(list(logs.iterdir())) == 10
    assert Path(job(plain)["log"]).read_text()
