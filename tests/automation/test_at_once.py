"""Hook, sensor, watcher and CI at the same time, on one record and one instance, on files that never rest."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.automation.test_daemon import RUNNING, daemon
from tests.ci.ground import Ground, command, pushed
from tests.conftest import SOAK
from tests.support.forks import Program
from tests.support.programs import started
from tests.support.ticking import ROOT, Ticking

SECONDS = 60
FILES = ("a", "b", "part__x", "part__y", "ext")


class Everybody(Ground):
    """A working tree with hooks, and workflows that record in its repository."""

    def __init__(self, shop: Ticking) -> None:
        self.top, self.venv, self.home, self.origin = shop.top.parent, Path(sys.prefix), shop.home, shop
        self.cache, self.jobs, self.pushed = self.top / "cache", 0, shop.git("rev-parse", "HEAD")
        self.running: list[subprocess.Popen[bytes]] = []

    def workflow(self) -> None:
        """Begin a job for what was committed since the last one."""
        before, self.pushed = self.pushed, self.origin.git("rev-parse", "HEAD")
        where = f"runner-{self.jobs}"
        event = pushed(before, self.pushed)
        clone = self.checkout(event, where=where)
        environ = self.environ(event, where)
        self.running.append(started(command(), clone.top, self.top / f"{where}.log", environ))


@pytest.fixture
def shop_of_all(tmp_path: Path, new_home: Callable[[Path], Path], program: Program) -> Ticking:
    found = Ticking(tmp_path / "work", program)
    found.top.mkdir()
    found.git("init", "-q", "-b", "main")
    found.home = tmp_path / "home"
    new_home(found.home)
    dagster = {"python": sys.executable, "python_file": "definitions.py", "home": str(found.home)}
    found.lay(RUNNING, dagster=dagster, ci={"environments": {"local": ["main"]}})
    assert found.tool("install").returncode == 0
    return found


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1 + min(SOAK, 1000) // 1000))
def test_for_a_minute(shop_of_all: Ticking, seed: int) -> None:
    shop, draw = shop_of_all, random.Random(seed)
    every = Everybody(shop)
    watch = [sys.executable, "-m", "raw_trigger", "watch", "--settle", "2", "--every", "5"]
    with daemon(shop) as running:
        shop.raw(b="5\n")
        running.await_record()
        watcher = started(watch, shop.top, every.top / "watch.log")
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            for file in draw.sample(FILES, draw.randint(1, 2)):
                shop.raw(**{file: f"{draw.choice('1234')}\n"})
            if draw.random() < 0.6:
                shop.git("add", "-A", ROOT)
                # As a graphical client does that knows no hooks; a workflow finds what they would have made.
                hooks = [] if draw.random() < 0.5 else ["-c", "core.hooksPath=/dev/null"]
                shop.try_git(*hooks, "commit", "-q", "-m", "edited")
            if draw.random() < 0.7 and sum(one.poll() is None for one in every.running) < 2:
                every.workflow()
            time.sleep(draw.uniform(0, 3))
        for one in every.running:
            one.wait(timeout=300)
        time.sleep(5)
        watcher.terminate()
        assert watcher.wait(timeout=120) == 0, (every.top / "watch.log").read_text()
    settle(shop)
    for target, file in (
        ("a", "a"),
        ("b", "b"),
        ("part|x", "part/x"),
        ("part|y", "part/y"),
        ("under", "ext"),
    ):
        content = (shop.top / f"{ROOT}/{file}.csv").read_text()
        assert shop.last_read(target) == {f"{file}.csv": content}, target
    faces = {run["face"] for run in shop.history("--limit", "1000")}
    assert {"sensor", "watch"} <= faces
    assert "pre-commit" in faces or "post-commit" in faces


def settle(shop: Ticking) -> None:
    """What the daemon was still to make is given up; then everything is made once, and nothing again."""
    shop.age_history(3 * 3600)
    assert shop.tool("run").returncode in (0, 1)
    done = shop.tool("run")
    assert done.returncode == 0, done.stdout + done.stderr
    shop.made()
    assert shop.tool("run").returncode == 0
    assert shop.made() == []
    assert shop.plan()["targets"] == []
