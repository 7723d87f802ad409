"""The sensor under Dagster's own daemon, which makes the runs."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from dagster import DagsterRunStatus, RunsFilter

from tests.support.programs import started
from tests.support.ticking import CODE, ROOT, RULES, Ticking

RUNNING = CODE.replace(
    "settle=0)", "settle=0, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)"
)


class Daemon:
    """A daemon that is on, with a code server of its own."""

    def __init__(self, shop: Ticking) -> None:
        self.shop = shop
        self.log = shop.top.parent / "daemon.log"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "dagster._daemon", "run", "-f", "definitions.py"]
        environ = {**os.environ, "DAGSTER_HOME": str(self.shop.home)}
        self.process = started(command, self.shop.top, self.log, environ)

    def kill(self) -> None:
        """As the machine's end does: with all that it has started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def await_all(self, condition: Callable[[], bool], seconds: float = 90) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < until, self.log.read_text()[-3000:]
            time.sleep(0.2)

    def await_record(self, seconds: float = 90) -> None:
        """Until the record is what is on disk, as git alone tells."""

        def differs() -> str:
            return self.shop.git("diff", "--name-only", "refs/raw-trigger/local", "--", "data/1_raw")

        def marks() -> str:
            return self.shop.git("ls-tree", "refs/raw-trigger/local", ".raw-trigger/launches/")

        self.await_all(lambda: not differs() and not marks(), seconds)


@pytest.fixture
def shop_that_runs(shop: Ticking) -> Ticking:
    shop.lay_again(RUNNING)
    shop.adopt()
    return shop


@contextmanager
def daemon(shop: Ticking) -> Iterator[Daemon]:
    found = Daemon(shop)
    try:
        yield found
    finally:
        found.kill()


@pytest.mark.soak
def test_a_dropped_file_is_one_run_and_recorded(shop_that_runs: Ticking) -> None:
    shop = shop_that_runs
    with daemon(shop) as running:
        shop.raw(a="2\n")
        running.await_record()
    assert shop.made() == ["a"]
    assert [run["face"] for run in shop.history()] == ["sensor"]


@pytest.mark.soak
def test_there_and_back_again(shop_that_runs: Ticking) -> None:
    with daemon(shop_that_runs) as running:
        there_and_back_again(running)
    assert shop_that_runs.plan()["targets"] == []


def there_and_back_again(running: Daemon) -> None:
    """Three changes, the last of which is the first one again, are made three times."""
    shop, made = running.shop, list[str]()
    for content in ("2\n", "1\n", "2\n"):
        shop.raw(a=content, part__x=content, ext=content)
        running.await_record()
        made += shop.made()
    assert made == ["a", "part|x", "under"] * 3


@pytest.mark.soak
def test_a_commit_while_the_run_is_in_flight(shop_that_runs: Ticking) -> None:
    with daemon(shop_that_runs) as running:
        commit_while_it_runs(running)


def commit_while_it_runs(running: Daemon) -> None:
    """Git's hook waits for the run, and makes nothing again."""
    shop = running.shop
    assert shop.tool("install").returncode == 0
    shop.raw(a="slow\n")
    running.await_all(lambda: "making it" in shop.tool("status").stdout)
    shop.git("add", "-A")
    shop.git("commit", "-q", "-m", "while it runs")
    running.await_record()
    assert shop.made() == ["a"]
    assert [run["face"] for run in shop.history()] == ["sensor"]


@pytest.mark.soak
def test_a_daemon_that_is_killed_again_and_again(shop_that_runs: Ticking) -> None:
    """Nothing is lost: what it had begun is made by the next one, or by hand."""
    shop = shop_that_runs
    for number in range(6):
        with daemon(shop):
            shop.raw(a=f"{number} slow\n", b=f"{number}\n", part__x=f"{number}\n", ext=f"{number}\n")
            time.sleep(6 + 1.5 * number)
    with daemon(shop) as running:
        time.sleep(5)
        shop.change_runs(end_all)  # as a person does in the UI: Dagster never ends them itself
        shop.age_history(200)
        running.await_record()
    assert shop.plan()["targets"] == []
    assert set(shop.made()) == {"a", "b", "part|x", "under"}


def end_all(instance: Any) -> None:
    """Those that the dead daemon had started, and whose processes are gone with it."""
    for run in instance.get_runs(
        filters=RunsFilter(statuses=[DagsterRunStatus.STARTING, DagsterRunStatus.STARTED])
    ):
        instance.report_run_failed(run)


@pytest.mark.soak
def test_a_file_that_takes_longer_than_a_tick(shop: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon gives the first tick up; what it has hashed the next one knows."""
    shop.lay_again(RUNNING, RULES + "{path: huge.bin, asset: a}\n")
    shop.adopt()
    monkeypatch.setenv("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "3")
    with daemon(shop) as running:
        running.await_all(lambda: "every raw file is reflected" in running.log.read_text())
        with (shop.top / ROOT / "huge.bin").open("wb") as huge:
            huge.truncate(3 << 30)
        running.await_all(lambda: bool(shop.truth()), 240)
        running.await_all(lambda: not shop.plan()["targets"])
        assert "Unable to reach the user code server" in running.log.read_text()
    assert shop.made() == ["a"]
    assert [run["face"] for run in shop.history()] == ["sensor"]
