"""SIGKILL at every point of a run: nothing is lost, and nothing that Dagster had finished is run again."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support.tables import Project, instance
from tests.support.waiting import wait_for

Make = Callable[..., Project]
R = "data/1_raw/"

HALTING = """
import os
import time
from pathlib import Path
from dagster import AssetKey, Definitions, StaticPartitionsDefinition, asset

HERE = Path(__file__).parent
RAW = HERE / "data" / "1_raw"

def halt(name):
    flag, running = HERE / ".git" / f"halt-{name}", HERE / ".git" / f"{name}-is-running"
    running.with_suffix(".new").write_text(str(os.getpid()))
    running.with_suffix(".new").replace(running)
    while flag.exists() and flag.read_text() in ("", str(os.getpid())):
        time.sleep(0.02)

@asset(key=AssetKey(["raw", "a"]))
def a():
    halt("a")
    return (RAW / "a.csv").read_text()

@asset(key=AssetKey(["raw", "b"]), deps=[a]%s)
def b():
    halt("b")
    return (RAW / "b.csv").read_text()

defs = Definitions(assets=[a, b])
"""
SPLIT = """
from dagster import repository

del defs

@repository
def one():
    return [a]

@repository
def two():
    return [b]
"""
"""What is in two repositories is one batch, but cannot be one Dagster run."""
JOBS = (
    HALTING.partition("@asset")[0]
    + """
from dagster import Config, job, op

class File(Config):
    name: str

@op
def read(config: File):
    halt(config.name)
    with (HERE / ".git" / "seen").open("a") as seen:
        seen.write(config.name)

@job
def one():
    read()

defs = Definitions(jobs=[one])
"""
)
ONE_JOB = 'assets: [{path: "{name}.csv", job: one, run_config: {ops: {read: {config: {name: "{name}"}}}}}]\n'
PARTITIONED = ', partitions_def=StaticPartitionsDefinition(["x"])'
RULES = """
assets:
  - {path: a.csv, asset: raw/a}
  - {path: b.csv, asset: raw/b, partition: x}
"""


@pytest.fixture
def shop(project: Make) -> Project:
    """Two assets, one after the other in one run, that stop where a test wants them to."""
    return halting(project(a=["a.csv"], b=["b.csv"]), "")


def halting(made: Project, partitions: str) -> Project:
    return prepared(made, HALTING % partitions)


def prepared(made: Project, definitions: str) -> Project:
    made.commit({"definitions.py": definitions})
    assert made.tool("adopt", "HEAD").returncode == 0
    return made


def start(project: Project, *args: str) -> subprocess.Popen[bytes]:
    """raw-trigger in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "raw_trigger", *(args or ("run",))],
        cwd=project.top,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@contextmanager
def running(project: Project, *args: str) -> Iterator[subprocess.Popen[bytes]]:
    """raw-trigger in a process group of its own; at the end of the block all of it is killed."""
    child = start(project, *args)
    try:
        yield child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def kill_while_running(project: Project, name: str) -> None:
    flag, running_now = (project.top / ".git" / word for word in (f"halt-{name}", f"{name}-is-running"))
    running_now.unlink(missing_ok=True)
    flag.touch()
    with running(project):
        wait_for(running_now.exists, seconds=180)
        time.sleep(0.1)
    flag.unlink()


def kill_the_parent_alone(project: Project, name: str) -> subprocess.Popen[bytes]:
    """SIGKILL for raw-trigger while its runner is at work on an asset; the runner is not told.

    Returns:
        The next raw-trigger, started at once. Its own runner does not halt.
    """
    flag, running_now = (project.top / ".git" / word for word in (f"halt-{name}", f"{name}-is-running"))
    flag.touch()
    child = start(project)
    wait_for(running_now.exists, seconds=180)
    flag.write_text(running_now.read_text())
    child.kill()
    child.wait()
    return start(project)


def kill_before_the_ref_moves(project: Project, runs: int = 1) -> Path:
    """Returns the ref's lock file, which an interrupted git would leave behind too."""
    lock, before = project.top / ".git/refs/raw-trigger/local.lock", launches(project)
    with running(project):
        wait_for(lambda: launches(project) - before, seconds=180)
        lock.touch()
        wait_for(lambda: project.runs() == ["SUCCESS"] * runs, seconds=180)
    return lock


def launches(project: Project) -> set[str]:
    """Those that are not over, by the record."""
    listed = project.try_git("ls-tree", "--name-only", "refs/raw-trigger/local", ".raw-trigger/launches/")
    return set(listed.stdout.split())


def run(project: Project) -> subprocess.CompletedProcess[str]:
    done = project.tool("run")
    assert done.returncode == 0, done.stderr
    return done


def assert_settled(project: Project) -> None:
    """A further run does nothing, and no launch is open."""
    project.materialized()
    run(project)
    assert project.materialized() == []
    assert project.plan()["changes"] == []
    assert "started" not in {status for status, _ in history(project)}


def history(project: Project) -> list[tuple[str, list[str]]]:
    done = project.tool("history", "--format", "json")
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout)["runs"]
    return [(one["status"], sorted(t["status"] for t in one["targets"])) for one in runs]


CHECKED = """
from dagster import AssetCheckResult, AssetKey, Definitions, asset, asset_check

@asset(key=AssetKey(["raw", "a"]))
def a(): ...

@asset_check(asset=a)
def rows():
    return AssetCheckResult(passed=False)

defs = Definitions(assets=[a], asset_checks=[rows])
"""
EXTERNAL = """
from dagster import AssetKey, AssetSpec, Definitions, asset

@asset(key=AssetKey("child"), deps=[AssetKey(["raw", "a"])])
def child(): ...

defs = Definitions(assets=[AssetSpec(AssetKey(["raw", "a"])), child])
"""


@pytest.mark.parametrize("batches", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_killed_while_the_second_of_two_runs(project: Make, batches: int) -> None:
    rules = RULES if batches == 2 else None
    shop = halting(project(rules, a=["a.csv"], b=["b.csv"]), PARTITIONED if batches == 2 else "")
    b = "raw/b|x" if batches == 2 else "raw/b"
    shop.write({R + "a.csv": "2", R + "b.csv": "2"})
    kill_while_running(shop, "b")
    assert shop.materialized() == ["raw/a"]
    done = run(shop)
    assert "warning" not in done.stderr
    assert shop.materialized() == [b]
    assert len(history(shop)) == batches + 1
    assert_settled(shop)


@pytest.mark.soak
@pytest.mark.dagster
@pytest.mark.parametrize("halted", ["a", "b"])
def test_the_parent_alone_is_killed_and_the_next_starts_at_once(shop: Project, halted: str) -> None:
    """The runner ends, its run is closed, and the next one waits for that before it settles."""
    shop.write({R + "a.csv": "2", R + "b.csv": "2"})
    assert kill_the_parent_alone(shop, halted).wait(180) == 0
    assert shop.materialized() == ["raw/a", "raw/b"]
    with instance(shop.home) as opened:
        second, first = opened.get_run_records(limit=2)
    assert shop.runs() == ["SUCCESS", "FAILURE"]
    assert first.end_time <= second.start_time
    assert_settled(shop)


@pytest.mark.parametrize("halted", [pytest.param("a", marks=pytest.mark.dagster), "b"])
def test_the_parent_alone_is_killed_and_its_runner_notices(shop: Project, halted: str) -> None:
    """Also if nobody comes after it."""
    shop.write({R + "a.csv": "2", R + "b.csv": "2"})
    flag, running_now = (shop.top / ".git" / word for word in (f"halt-{halted}", f"{halted}-is-running"))
    flag.touch()
    with running(shop) as child:
        wait_for(running_now.exists, seconds=180)
        child.kill()
        wait_for(lambda: shop.runs() == ["FAILURE"], seconds=180)
    flag.unlink()
    run(shop)
    assert shop.materialized() == ["raw/a", "raw/b"]
    assert_settled(shop)


@pytest.mark.soak
def test_killed_before_anything_is_finished(shop: Project) -> None:
    shop.write({R + "a.csv": "2"})
    kill_while_running(shop, "a")
    run(shop)
    assert shop.materialized() == ["raw/a"]
    assert history(shop) == [("success", ["success"]), ("failed", ["skipped"])]
    assert_settled(shop)


def test_killed_before_the_ref_moves(shop: Project) -> None:
    shop.write({R + "a.csv": "2", R + "b.csv": "2"})
    kill_before_the_ref_moves(shop).unlink()
    assert shop.materialized() == ["raw/a", "raw/b"]
    run(shop)
    assert shop.materialized() == []
    assert history(shop) == [("success", ["success", "success"])]
    assert_settled(shop)


@pytest.mark.soak
@pytest.mark.dagster
@pytest.mark.parametrize("killed", ["in the second run", "after both"])
def test_a_batch_of_two_dagster_runs(project: Make, killed: str) -> None:
    """Only the id of the first one was known before it started."""
    shop = prepared(project(a=["a.csv"], b=["b.csv"]), HALTING % "" + SPLIT)
    shop.write({R + "a.csv": "2", R + "b.csv": "2"})
    if killed == "after both":
        kill_before_the_ref_moves(shop, runs=2).unlink()
    else:
        kill_while_running(shop, "b")
    assert len(shop.runs()) == 2
    assert shop.materialized() == (["raw/a", "raw/b"] if killed == "after both" else ["raw/a"])
    run(shop)
    assert shop.materialized() == ([] if killed == "after both" else ["raw/b"])
    assert_settled(shop)


@pytest.mark.soak
@pytest.mark.dagster
def test_killed_while_git_moves_the_ref(shop: Project) -> None:
    """Its lock file stays: nothing can be recorded, so nothing is run either, until it is taken away."""
    shop.write({R + "a.csv": "2"})
    lock = kill_before_the_ref_moves(shop)
    assert shop.materialized() == ["raw/a"]
    done = shop.tool("run")
    assert done.returncode == 3
    assert "refs/raw-trigger/local" in done.stderr
    lock.unlink()
    run(shop)
    assert shop.materialized() == []
    assert_settled(shop)


@pytest.mark.soak
def test_killed_before_the_ledgers_row(shop: Project) -> None:
    shop.write({R + "a.csv": "2"})
    locks = shop.top / ".git/raw-trigger/locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / "local.lock"), running(shop) as child:
        time.sleep(1.5)
        assert child.poll() is None
    assert history(shop) == []
    run(shop)
    assert shop.materialized() == ["raw/a"]
    assert_settled(shop)


@pytest.mark.soak
@pytest.mark.dagster
def test_killed_after_the_ref_moved(shop: Project) -> None:
    """Only the ledger was not told any more."""
    shop.write({R + "a.csv": "2"})
    run(shop)
    with sqlite3.connect(shop.top / ".git/raw-trigger/ledger.sqlite") as database:
        database.execute("UPDATE ingestion_runs SET status = 'started', ended_at = NULL")
        database.execute("DELETE FROM ingestion_run_assets")
    shop.materialized()
    run(shop)
    assert shop.materialized() == []
    shop.write({R + "b.csv": "2"})
    run(shop)
    assert shop.materialized() == ["raw/b"]
    assert [targets for _, targets in history(shop)] == [["success"], ["success"]]
    assert_settled(shop)


@pytest.mark.soak
def test_a_hook_settles_too(shop: Project) -> None:
    assert shop.tool("install").returncode == 0
    shop.stage({R + "a.csv": "2", R + "b.csv": "2"})
    kill_while_running(shop, "b")
    shop.materialized()
    assert shop.try_git("commit", "-m", "x").returncode == 0
    assert shop.materialized() == ["raw/b"]
    assert_settled(shop)


@pytest.mark.soak
def test_a_file_that_was_changed_since_is_read_again(shop: Project) -> None:
    shop.write({R + "a.csv": "2", R + "b.csv": "2"})
    kill_while_running(shop, "b")
    shop.write({R + "a.csv": "3"})
    shop.materialized()
    run(shop)
    assert shop.materialized() == ["raw/a", "raw/b"]
    assert_settled(shop)


def test_a_file_that_was_changed_while_it_was_read_is_read_again(shop: Project) -> None:
    """It is now what it was at the start, but nobody knows whether that was what the asset saw."""
    shop.write({R + "a.csv": "2"})
    flag, running_now = (shop.top / ".git" / word for word in ("halt-a", "a-is-running"))
    flag.touch()
    lock = shop.top / ".git/refs/raw-trigger/local.lock"
    with running(shop):
        wait_for(running_now.exists, seconds=180)
        lock.touch()
        shop.write({R + "a.csv": "other"})
        shop.write({R + "a.csv": "2"})
        flag.unlink()
        wait_for(lambda: shop.runs() == ["SUCCESS"], seconds=180)
    lock.unlink()
    shop.materialized()
    run(shop)
    assert shop.materialized() == ["raw/a"]
    assert_settled(shop)


@pytest.mark.soak
@pytest.mark.parametrize("halted", ["a", "b"])
@pytest.mark.dagster
def test_a_file_that_was_changed_back_since_is_read_again(shop: Project, halted: str) -> None:
    """Nothing differs from the record, but the asset was, or may have been, made from something else."""
    shop.write({R + "a.csv": "2", R + "b.csv": "2"})
    kill_while_running(shop, halted)
    shop.git("checkout", "-q", "--", R)
    assert len(shop.plan()["changes"]) == 2, "every command says so"  # type: ignore[arg-type]
    shop.materialized()
    run(shop)
    assert shop.materialized() == ["raw/a", "raw/b"]
    assert_settled(shop)


def test_one_that_is_still_running_is_not_settled(shop: Project) -> None:
    """Until it is over nobody knows what the asset reflects, also where its file is as it was before."""
    shop.write({R + "a.csv": "2"})
    flag, running_now = (shop.top / ".git" / word for word in ("halt-a", "a-is-running"))
    flag.touch()
    with running(shop) as child:
        wait_for(running_now.exists, seconds=180)
        shop.write({R + "a.csv": "a.csv\n"})
        assert shop.tool("diff", "--exit-code").returncode == 1
        assert [status for status, _ in history(shop)] == ["started"]
        shop.write({R + "a.csv": "2"})
        flag.unlink()
        assert child.wait(60) == 0
    assert shop.materialized() == ["raw/a"]


@pytest.mark.soak
@pytest.mark.parametrize("where", ["project", "other"])
def test_of_files_in_another_worktree_nothing_is_known(shop: Project, tmp_path: Path, where: str) -> None:
    """They share the Dagster home and so the record; what the asset read is known where it was read."""
    shop.write({R + "a.csv": "2"})
    kill_before_the_ref_moves(shop).unlink()
    shop.git("worktree", "add", "-q", str(tmp_path / "other"))
    told = type(shop)(tmp_path / where, shop.home).tool("diff", "--exit-code")
    expected = (
        "data/1_raw/a.csv → raw/a  same file, not known to be made" if where == "other" else "Nothing to do"
    )
    assert (told.returncode, expected in told.stdout) == (int(where == "other"), True), told.stdout


def test_what_a_check_failed_for_is_not_finished(project: Make) -> None:
    made = prepared(project(a=["a.csv"]), CHECKED)
    made.write({R + "a.csv": "2"})
    kill_before_the_ref_moves(made).unlink()
    made.materialized()
    assert made.tool("run").returncode == 1
    assert made.materialized() == ["raw/a"]


@pytest.mark.soak
@pytest.mark.dagster
def test_a_report_is_repeated_with_what_is_below_it(project: Make) -> None:
    """No run of Dagster tells of it, so nobody knows which version of it what is below it has seen."""
    made = prepared(project(a=["a.csv"]), EXTERNAL)
    made.write({R + "a.csv": "2"})
    kill_before_the_ref_moves(made).unlink()
    assert made.materialized() == ["child", "raw/a"]
    run(made)
    assert made.materialized() == ["child", "raw/a"]
    assert_settled(made)


@pytest.mark.soak
@pytest.mark.dagster
def test_killed_while_the_second_of_two_jobs_runs(project: Make) -> None:
    """Its file is changed back since: nobody knows what of it the job has done."""
    made = prepared(project(ONE_JOB, a=["a.csv"], b=["b.csv"]), JOBS)
    made.write({R + "a.csv": "2", R + "b.csv": "2"})
    kill_while_running(made, "b")
    made.git("checkout", "-q", "--", R + "b.csv")
    seen = made.top / ".git/seen"
    assert seen.read_text() == "a"
    run(made)
    assert seen.read_text() == "ab"
    assert sorted(history(made)[1:]) == [("failed", ["skipped"]), ("success", ["success"])]
    assert_settled(made)
    assert seen.read_text() == "ab"


@pytest.mark.soak
def test_a_ledger_damaged_meanwhile_is_a_warning(shop: Project) -> None:
    shop.write({R + "a.csv": "2", R + "b.csv": "2"})
    kill_while_running(shop, "b")
    (shop.top / ".git/raw-trigger/ledger.sqlite").write_bytes(b"no database at all, but long enough" * 60)
    shop.materialized()
    done = run(shop)
    assert "warning: what an interrupted run had finished is not known" in done.stderr
    assert shop.materialized() == ["raw/a", "raw/b"]
    assert shop.plan()["changes"] == []


@pytest.mark.soak
@pytest.mark.dagster
def test_an_instance_that_cannot_be_read_is_a_warning(shop: Project) -> None:
    """Its event log is gone with the whole home; what was in it has to be made again."""
    shop.write({R + "a.csv": "2", R + "b.csv": "2"})
    kill_while_running(shop, "b")
    (shop.home / "history" / "runs.db").unlink()
    for left in (shop.home / "history" / "runs").iterdir():
        left.unlink()
    shop._cursor = -1
    run(shop)
    assert shop.materialized() == ["raw/a", "raw/b"]
    assert_settled(shop)
