"""What raw-trigger costs, side by side with what it is compared with. ``make bench``.

Each row is a ratio (or a difference) measured in one run on this machine, against its limit.
Nothing here is a test: the machine may be busy. Exits 1 if a limit is passed.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.deployment import Deployment

ROUNDS = 9
TOOL = [sys.executable, "-m", "raw_trigger"]
CONFIG = 'assets:\n  - path: "{name}.csv"\n    asset: "raw/{name}"\n  - path: "**"\n    asset: raw/all\n'
SMALL = """
import typer

def main(name: str, format: str = "text") -> None: ...

typer.run(main)
"""
"""One argument and one option: what Typer needs to parse them, it imports only then."""
PROJECT = """
from dagster import AssetKey, Definitions, asset

def table(name):
    @asset(key=AssetKey(["raw", name]))
    def loaded():
        # What does not open its file is not taken for made from it.
        return open(f"data/1_raw/{{name}}.csv").read()
    return loaded

defs = Definitions(assets=[table(name) for name in {names!r}])
"""

TICKS = """
import logging, statistics, sys, time
sys.path.insert(0, {top!r})
from pathlib import Path
from types import SimpleNamespace
from dagster import DagsterInstance
from definitions import defs
from raw_trigger.automation.tick import Wanted, evaluate

repository, wanted, took = defs.get_repository_def(), Wanted(project=Path({top!r})), []
with DagsterInstance.from_config({top!r} + "/.git/raw-trigger/dagster_home") as instance:
    for _ in range({rounds}):
        context = SimpleNamespace(
            repository_def=repository, instance=instance, log=logging.getLogger(), log_key=["1"]
        )
        began = time.perf_counter()
        told = evaluate(context, wanted, "sensor").told
        took.append(time.perf_counter() - began)
        assert told == "every raw file is reflected", told
print(statistics.median(took))
"""


def seconds(command: Sequence[str], cwd: Path, before: Callable[[], object] = lambda: None) -> float:
    """The median time of a command that has to succeed."""
    times = []
    for _ in range(ROUNDS):
        before()
        start = time.perf_counter()
        subprocess.run(command, cwd=cwd, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def git(cwd: Path, *args: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(["git", *args], cwd=cwd, check=True, input=stdin, capture_output=True)
    return done.stdout.decode().strip()


def repository(top: Path, files: int, names: Sequence[str] = ("all",)) -> None:
    """A committed project whose tree holds ``files`` raw files; they are not on disk."""
    top.mkdir()
    git(top, "init", "-q", "-b", "main")
    for key, value in (("user.name", "Bench"), ("user.email", "bench@example.com"), ("gc.auto", "0")):
        git(top, "config", key, value)
    (top / "definitions.py").write_text(PROJECT.format(names=list(names)))
    (top / "pyproject.toml").write_text('[tool.dagster]\nmodule_name = "definitions"\n')
    (top / "raw-trigger.yaml").write_text(CONFIG)
    git(top, "add", "-A")
    blob = git(top, "hash-object", "-w", "--stdin", stdin=b"content")
    entries = (f"100644 {blob}\tdata/1_raw/{i % 100:02}/{i}.csv\n" for i in range(files))
    git(top, "update-index", "--index-info", stdin="".join(entries).encode())
    git(top, "commit", "-q", "-m", "start")


def change(top: Path, count: int) -> None:
    """A commit that changes ``count`` of the raw files."""
    blob = git(top, "hash-object", "-w", "--stdin", stdin=os.urandom(8))
    entries = (f"100644 {blob}\tdata/1_raw/{i % 100:02}/{i}.csv\n" for i in range(count))
    git(top, "update-index", "--index-info", stdin="".join(entries).encode())
    git(top, "commit", "-q", "-m", "change")


class Report:
    """Rows of name, measured, limit."""

    def __init__(self) -> None:
        self.failed = False

    def row(self, name: str, measured: float, limit: float, unit: str) -> None:
        ok = measured <= limit
        self.failed = self.failed or not ok
        print(f"{'ok  ' if ok else 'OVER'} {measured:8.2f} {unit:<12} limit {limit:6.2f}  {name}", flush=True)


def bench_diff(report: Report, folder: Path) -> None:
    """``diff A B --format json`` with the catalog cached."""
    top = folder / "diff"
    repository(top, 1_000)
    change(top, 10)
    diff = [*TOOL, "diff", "HEAD~1", "HEAD", "--format", "json"]
    plain = seconds([sys.executable, "-c", "import typer"], top)
    (folder / "small.py").write_text(SMALL)
    small = seconds([sys.executable, str(folder / "small.py"), "a", "--format", "b"], top)
    own = seconds(["git", "diff", "--raw", "HEAD~1", "HEAD"], top)
    took = seconds(diff, top)
    report.row("diff of 10 files, against the smallest Typer program", took / (small + own), 2.5, "times")
    print(f"     {took / (plain + own):8.2f} times                     against `import typer` alone")
    large = folder / "large"
    repository(large, 100_000)
    change(large, 1)
    one = seconds(diff, large)
    change(large, 100_000)
    many = seconds(diff, large)
    report.row("each further changed file", (many - one) / 99_999 * 1e6, 40, "µs")
    subprocess.run(diff, cwd=large, check=True, stdout=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    report.row("peak memory of 100,000 changed files", peak, 250, "MB")


def bench_size(report: Report, folder: Path) -> None:
    """Commit to commit, the size of the tree does not matter."""
    times = []
    for files in (1_000, 1_000_000):
        top = folder / f"size{files}"
        repository(top, files)
        change(top, 1)
        times.append(seconds([*TOOL, "diff", "HEAD~1", "HEAD", "--format", "json"], top))
    report.row("one changed file of 1,000,000, against one of 1,000", times[1] / times[0], 1.15, "times")


def bench_commit(report: Report, folder: Path) -> None:
    """A commit without raw data, with the hooks and without."""
    top = folder / "commit"
    repository(top, 1_000)
    subprocess.run([*TOOL, "install"], cwd=top, check=True, capture_output=True)
    commit = ["git", "commit", "-q", "--allow-empty", "-m", "x"]
    without = ["git", "-c", f"core.hooksPath={os.devnull}", *commit[1:]]
    times: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(40):
        for name, command in (("with", commit), ("without", without)):
            start = time.perf_counter()
            subprocess.run(command, cwd=top, check=True, capture_output=True)
            times[name].append(time.perf_counter() - start)
    added = statistics.median(times["with"]) - statistics.median(times["without"])
    report.row("hooks on a commit without raw data", added * 1000, 10, "ms more")


IN_PROCESS = """
import definitions
from dagster import AssetKey, DagsterInstance
repo = definitions.defs.get_repository_def()
keys = [AssetKey(["raw", f"a{i}"]) for i in range(10)]
job = repo.get_implicit_job_def_for_assets(keys)
with DagsterInstance.get() as instance:
    assert job.execute_in_process(instance=instance, asset_selection=keys).success
"""


def bench_run(report: Report, folder: Path) -> None:
    """Ten changed assets of 1,000."""
    top = folder / "run"
    names = [f"a{i}" for i in range(1_000)]
    repository(top, 0, [*names, "all"])
    home = folder / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").touch()
    os.environ["DAGSTER_HOME"] = str(home)
    raw = top / "data/1_raw"
    raw.mkdir(parents=True)

    def edit() -> None:
        for name in names[:10]:
            (raw / f"{name}.csv").write_text(str(time.time()))

    edit()
    run = [*TOOL, "run"]
    subprocess.run(run, cwd=top, check=True, capture_output=True)
    ours = seconds(run, top, edit)
    floor = seconds([sys.executable, "-c", IN_PROCESS], top)
    report.row(
        "10 of 1,000 assets, against loading and executing them in one process", ours / floor, 1.15, "times"
    )
    script = str(Path(sys.executable).parent / "dagster")
    keys = ",".join(f"raw/a{i}" for i in range(10))
    start = time.perf_counter()
    materialize = [script, "asset", "materialize", "-m", "definitions", "--select", keys]
    subprocess.run(materialize, cwd=top, check=True, capture_output=True)
    command = time.perf_counter() - start
    report.row("… against one `dagster asset materialize`", ours / command, 0.2, "times")
    print(f"     {ours:8.2f} seconds here, {command:.2f} by `dagster asset materialize`")
    with on_deployment(top, home) as config:
        there = [*TOOL, "--config", str(config), "run", "--wait"]
        subprocess.run(there, cwd=top, check=True, capture_output=True)
        took = seconds(there, top, edit)
        report.row("… on a deployment, against one `dagster asset materialize`", took / command, 2.0, "times")
        plan = seconds([*TOOL, "--config", str(config), "diff"], top)
        print(
            f"     {took:8.2f} seconds on a deployment; {plan:.2f} to plan with its catalog of 1,000 assets"
        )
    del os.environ["DAGSTER_HOME"]  # what is measured next has a home of its own


@contextmanager
def on_deployment(top: Path, home: Path) -> Iterator[Path]:
    """A webserver and a daemon that make the project's assets; gives a configuration that leaves these to them."""
    deployment = Deployment(home, {"here": top / "definitions.py"}, cwd=top)
    config = top / "deployment.yaml"
    config.write_text(f"launcher: graphql\ndagster: {{url: '{deployment.url}', files: here}}\n{CONFIG}")
    try:
        deployment.start("webserver", "daemon")
        yield config
    finally:
        deployment.stop()


def bench_tick(report: Report, folder: Path) -> None:
    """A tick of the sensor with nothing to do, against git's own look at the same files.

    A process that begins, as git does, is not in it: the code server is there already.
    """
    for files, limit in ((1_000, 10.0), (100_000, 4.0)):
        top = folder / f"tick{files}"
        repository(top, files)
        git(top, "checkout", "--", ".")
        subprocess.run([*TOOL, "adopt"], cwd=top, check=True, capture_output=True)
        script = folder / "tick.py"
        script.write_text(TICKS.format(top=str(top), rounds=ROUNDS))
        done = subprocess.run(
            [sys.executable, str(script)], cwd=top, check=True, capture_output=True, text=True
        )
        took = float(done.stdout)
        own = seconds(["git", "diff-files", "--quiet", "--", "data/1_raw"], top)
        report.row(f"an idle tick over {files:,} files, against `git diff-files`", took / own, limit, "times")
        print(f"     {took:8.2f} seconds")


def main() -> int:
    """Measure everything."""
    # With these every start compiles what is compiled once where it is installed, and every line is a write.
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
        os.environ.pop(name, None)
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for bench in (bench_commit, bench_diff, bench_run, bench_tick, bench_size):
            bench(report, folder)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
