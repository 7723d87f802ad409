"""Hooks, a sensor, commands and somebody at a page of Dagster's, on one record and one deployment with PostgreSQL."""

from __future__ import annotations

import json
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import SOAK
from tests.remote.conftest import CODE, ROOT, Shop
from tests.remote.test_in_flight import launched
from tests.support.deployment import ENDED, Deployment
from tests.support.forks import Program
from tests.support.postgres import postgres_server

PYTHON = Path(sys.prefix) / "deployment/bin/python"
SECONDS = 600 if SOAK >= 2000 else 60
FILES = {
    "a": "a.csv",
    "b": "b.csv",
    "part|x": "part/x.csv",
    "part|y": "part/y.csv",
    "dyn|new": "dyn/new.csv",
    "daily|2026-11-01": "daily/2026-11-01.csv",
    "under": "ext.csv",
}


@pytest.fixture
def busy(tmp_path: Path, program: Program) -> Iterator[Shop]:
    """A repository that a sensor of the deployment watches, with hooks."""
    top, home = tmp_path / "work", tmp_path / "home"
    top.mkdir()
    home.mkdir()
    shutil.copyfile(CODE, tmp_path / "definitions.py")
    with postgres_server() as database:
        storage = database().replace("+psycopg:", "+psycopg2:")
        (home / "dagster.yaml").write_text(
            f"storage: {{postgres: {{postgres_url: {json.dumps(storage)}}}}}\n"
            "run_coordinator: {module: dagster.core.run_coordinator, class: QueuedRunCoordinator,"
            " config: {max_concurrent_runs: 3}}\n"
        )
        environ = {"SENSOR": "1", "DAGSTER_DISABLE_TELEMETRY": "1"}
        deployment = Deployment(
            home, {"shop": tmp_path / "definitions.py"}, python=str(PYTHON), environ=environ
        )
        shop = Shop(top, program, deployment)
        shop.git("init", "-q", "-b", "main")
        shop.configure(location=None)
        shop.raw({"keep.txt": "1"})
        shop.git("add", "-A")
        shop.git("commit", "-q", "-m", "one")
        deployment.start("webserver")
        assert shop.tool("adopt").returncode == 0
        assert shop.tool("install").returncode == 0
        deployment.start("daemon")
        yield shop
        deployment.stop()


def is_quiet(shop: Shop) -> bool:
    """Whether nothing is being made, and nothing is pending."""
    unfinished = any(one["status"] not in ENDED for one in shop.deployment.runs())
    return (
        not unfinished and shop.tool("wait", "--timeout", "1").returncode in (0, 1) and shop.pending() == []
    )


@pytest.mark.soak
def test_all_of_them_at_once(busy: Shop) -> None:
    """In the end every target was made last from what is there."""
    shop, chance, until = busy, random.Random(SOAK), time.monotonic() + SECONDS
    number, done = 0, dict[str, int]()

    def commit() -> None:
        shop.git("add", "-A")
        shop.try_git("commit", "-q", "--allow-empty", "-m", "change")

    steps: dict[str, Callable[[], object]] = {
        "commit": commit,
        "run": lambda: shop.tool("run"),
        "run --wait": lambda: shop.tool("run", "--wait"),
        "wait": lambda: shop.tool("wait", "--timeout", "5"),
        "status": lambda: shop.tool("status"),
        "by hand": lambda: launched(shop.deployment, chance.choice(["a", "b"])),
        "killed": lambda: shop.start("run", "--wait").kill(),
    }
    while time.monotonic() < until:
        for target in chance.sample(sorted(FILES), chance.randint(1, 3)):
            number += 1
            shop.raw({FILES[target]: f"{number if chance.random() < 0.7 else number % 3}\n"})
        name = chance.choice([*steps, "run", "commit"])
        steps[name]()
        done[name] = done.get(name, 0) + 1
        time.sleep(chance.random() * 3)
    print(done, len(shop.deployment.runs()), "runs")
    shop.deployment.await_all(lambda: is_quiet(shop), 400)
    reads = {
        target: shop.last_read(target)
        for target in FILES
        if any(one["target"] == target for one in shop.truth())
    }
    there = {target: (shop.top / ROOT / FILES[target]).read_text() for target in reads}
    assert {target: read[FILES[target]] for target, read in reads.items()} == there
