"""``raw-trigger watch``: files that are dropped without a commit."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.project import ROOT, StandInProject


class Watch:
    """A watch that is on.

    Args:
        options: Of the command.
    """

    def __init__(self, project: StandInProject, *options: str) -> None:
        self.log = project.control / "watch.log"
        # A session of its own: what is interrupted is it, not the test.
        with self.log.open("a") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "raw_trigger", "watch", "--settle", "0.3", "--every", "60", *options],
                cwd=project.top,
                env=project.environ(),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def lines(self) -> list[str]:
        """What it has said, without times."""
        return [line.partition(" ")[2] for line in self.log.read_text().splitlines()]

    def await_line(self, start: str, times: int = 1) -> None:
        until = time.monotonic() + 60
        while sum(line.startswith(start) for line in self.lines()) < times:
            assert self.process.poll() is None or start == "stopped", self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def shop(standin: Callable[..., StandInProject]) -> StandInProject:
    """Everything is made."""
    project = standin()
    project.define({"a": {}, "b": {}})
    project.configure("{path: a.csv, asset: a}\n{path: b.csv, asset: b}")
    project.commit_raw({"a.csv": "1", "b.csv": "1"})
    assert project.tool("run", "--all").returncode == 0
    project.made()
    return project


@contextmanager
def started(project: StandInProject, *options: str) -> Iterator[Watch]:
    found = Watch(project, *options)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.wait()


@contextmanager
def watching(project: StandInProject, *options: str) -> Iterator[Watch]:
    with started(project, *options) as found:
        found.await_line("watching ")
        yield found


def test_a_file_that_is_dropped_gives_one_run(shop: StandInProject) -> None:
    with watching(shop) as watch:
        shop.raw({"a.csv": "2"})
        watch.await_line("a success")
        shop.raw({"b.csv": "2"})
        watch.await_line("b success")
        assert watch.stop() == 0
        assert watch.lines()[-1] == "stopped"
    assert shop.made() == ["a", "b"]
    assert shop.plan()["targets"] == []


def test_what_was_changed_before_it_began(shop: StandInProject) -> None:
    shop.raw({"a.csv": "2"})
    with watching(shop) as watch:
        watch.await_line("a success")


def test_a_slow_writer_gives_one_run(shop: StandInProject) -> None:
    with watching(shop, "--settle", "1") as watch:
        for number in range(8):
            shop.raw({"a.csv": f"{number}"})
            time.sleep(0.2)
        watch.await_line("a success")
        assert watch.stop() == 0
    assert shop.made() == ["a"]


@pytest.mark.soak
def test_a_root_that_is_removed_and_made_again(shop: StandInProject) -> None:
    with watching(shop) as watch:
        (shop.top / ROOT).rename(shop.top / "elsewhere")
        time.sleep(1)
        (shop.top / "elsewhere").rename(shop.top / ROOT)
        time.sleep(1)
        shop.raw({"a.csv": "2"})
        watch.await_line("a success")


def test_the_run_that_is_on_is_ended_first(shop: StandInProject) -> None:
    begun, go_on = shop.control / "begun", shop.control / "go on"
    wait = f"touch '{begun}'; while [ ! -e '{go_on}' ]; do sleep 0.05; done"
    shop.behave({"target": "a", "when": "before", "do": "run", "arg": wait})
    with watching(shop) as watch:
        shop.raw({"a.csv": "2"})
        while not begun.exists():
            time.sleep(0.02)
        watch.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        go_on.touch()
        assert watch.process.wait(60) == 0
        assert watch.lines()[-1] == "stopped"
    assert shop.made() == ["a"]
    assert shop.plan()["targets"] == []


def test_a_failure_is_not_tried_again_at_once(shop: StandInProject) -> None:
    shop.behave({"target": "a", "when": "read", "do": "fail"})
    with watching(shop, "--every", "1") as watch:
        shop.raw({"a.csv": "2"})
        watch.await_line("a failed")
        watch.await_line("a: it failed with this content")
        time.sleep(1.5)
        shop.behave()
        shop.raw({"a.csv": "3"})
        watch.await_line("a success")
        assert sum(line.startswith("a failed") for line in watch.lines()) == 1


@pytest.mark.soak
def test_a_deletion_is_said_once(shop: StandInProject) -> None:
    with watching(shop, "--every", "1") as watch:
        shop.raw({"a.csv": None})
        watch.await_line("warning: ")
        time.sleep(1.5)
        shop.raw({"b.csv": "2"})
        watch.await_line("b success")
        assert sum("stale" in line for line in watch.lines()) == 1


def test_an_error_is_said_once_and_mended(shop: StandInProject) -> None:
    right = (shop.top / "raw-trigger.yaml").read_text()
    with watching(shop, "--every", "1") as watch:
        shop.write({"raw-trigger.yaml": "assets: 3\n"})
        watch.await_line("error: raw-trigger.yaml:1:9: ")
        time.sleep(1.5)
        shop.write({"raw-trigger.yaml": right})
        shop.raw({"a.csv": "2"})
        watch.await_line("a success")
        assert sum(line.startswith("error: ") for line in watch.lines()) == 1


def test_one_for_each_environment(shop: StandInProject) -> None:
    with watching(shop):
        second = shop.tool("watch")
        assert second.returncode == 3
        assert "'local' is being watched already" in second.stderr


def test_a_unit_for_systemd(shop: StandInProject) -> None:
    variables = {"DAGSTER_HOME": "/srv/home", "RAW_BATCH_SIZE": "7", "RAW_SCAN_COOLDOWN_SEC": "5"}
    done = shop.tool("watch", "--print-unit", **variables)
    assert done.returncode == 0
    assert 'Environment="RAW_BATCH_SIZE=7"\n' in done.stdout
    assert 'Environment="DAGSTER_HOME=/srv/home"\n' in done.stdout
    assert f"WorkingDirectory={shop.top}\n" in done.stdout
    assert " watch --settle 5 --every 60\n" in done.stdout


def test_a_settle_time_that_is_none(shop: StandInProject) -> None:
    done = shop.tool("watch", RAW_SCAN_COOLDOWN_SEC="soon")
    assert (done.returncode, done.stdout) == (2, "")
    assert "RAW_SCAN_COOLDOWN_SEC is 'soon'" in done.stderr


def test_a_log_that_rotates(shop: StandInProject) -> None:
    log = shop.control / "rotating.log"
    with started(shop, "--log", str(log)) as watch:
        shop.raw({"a.csv": "2"})
        until = time.monotonic() + 60
        while "a success" not in (log.read_text() if log.exists() else ""):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert watch.stop(signal.SIGINT) == 0
    assert log.read_text().splitlines()[-1].endswith("stopped")
