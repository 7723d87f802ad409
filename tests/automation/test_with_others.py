"""The sensor and everything else that works on the same record do not do each other's work."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.automation.test_sensor import QUIET, asked
from tests.support.ticking import Ticking


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.05)


def status(shop: Ticking) -> Any:
    done = shop.tool("status", "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_is_in_flight_is_shown_and_not_run_again(shop: Ticking) -> None:
    shop.raw(a="2\n", b="2\n")
    requests = shop.tick().run_requests
    assert sorted(one["asset"] for one in status(shop)["in_flight"]) == ["a", "b"]
    done = shop.tool("run")
    assert (done.returncode, shop.made()) == (0, []), done.stdout
    assert "a, b: the sensor is making it" in done.stdout
    shop.carry_out(requests)
    assert shop.made() == ["a", "b"]
    assert status(shop)["in_flight"] == [], "whoever looks first records what came of it"
    assert shop.tick().skip_message == QUIET
    assert shop.made() == []


def test_a_commit_waits_for_the_run_that_makes_its_file(shop: Ticking) -> None:
    assert shop.tool("install").returncode == 0
    shop.raw(a="2\n")
    requests = shop.tick().run_requests
    shop.git("add", "-A")
    commit = shop.start("hook", "pre-commit")
    wait_for(lambda: "waiting for the sensor to make a" in commit.told())
    shop.carry_out(requests)
    done = commit.wait()
    assert done.returncode == 0, done.stderr
    assert shop.made() == ["a"]
    assert shop.tick().skip_message == QUIET


def test_a_commit_of_what_the_run_failed_with_is_refused(shop: Ticking) -> None:
    shop.raw(a="bad\n")
    requests = shop.tick().run_requests
    shop.git("add", "-A")
    commit = shop.start("hook", "pre-commit")
    wait_for(lambda: "waiting for the sensor" in commit.told())
    shop.carry_out(requests)
    assert commit.wait().returncode == 1
    assert shop.made() == ["a", "a"]


def test_a_tick_while_a_command_is_at_work_is_skipped(shop: Ticking) -> None:
    shop.raw(a="2\n")
    from raw_trigger.lock import locked

    with locked(shop.top / ".git/raw-trigger/locks", "local", "pre-commit", lambda _: None):
        result = shop.tick()
    assert asked(result) == []
    assert result.skip_message.startswith("raw-trigger pre-commit (process ")
    assert "is at work on 'local'" in result.skip_message
    assert shop.ticked() == ["a"]


def test_runs_of_a_launch_are_recorded_as_they_end(shop: Ticking) -> None:
    shop.raw(part__x="2\n", part__y="2\n", a="bad\n")
    requests = {asked_one(one): one for one in shop.tick().run_requests}
    shop.carry_out([requests["part|x"], requests["a"]])
    assert sorted(one["asset"] for one in status(shop)["in_flight"]) == ["part"]
    assert asked(shop.tick()) == []
    shop.carry_out([requests["part|y"]])
    result = shop.tick()
    assert result.skip_message.startswith("a: it failed with this content")
    assert shop.made() == ["a", "part|x", "part|y"]
    shop.raw(a="1\n")
    assert shop.tick().skip_message == QUIET, "it reflects what it did before"


def asked_one(request: Any) -> str:
    return asked(type("Result", (), {"run_requests": [request]}))[0]


def test_what_a_run_read_is_judged_by_its_own_beginning(shop: Ticking) -> None:
    """The file is another one by the time that the daemon comes to it."""
    shop.raw(a="2\n")
    requests = shop.tick().run_requests
    time.sleep(0.2)
    shop.raw(a="3\n")
    time.sleep(0.2)
    shop.carry_out(requests)
    assert shop.tick().skip_message == QUIET
    assert shop.made() == ["a"]


def test_what_is_written_while_its_run_is_on_is_due_again(shop: Ticking) -> None:
    shop.raw(a="2\n")
    requests = shop.tick().run_requests
    shop.carry_out(requests)
    shop.raw(a="3\n")
    assert asked(shop.tick()) == ["a"]


def test_a_lost_ledger_loses_no_change(shop: Ticking) -> None:
    shop.raw(a="2\n")
    requests = shop.tick().run_requests
    (shop.top / ".git/raw-trigger/ledger.sqlite").unlink()
    shop.carry_out(requests)
    assert shop.ticked() == ["a", "a"], "nobody knows what was made"
    assert shop.tick().skip_message == QUIET


def test_a_run_that_comes_when_nobody_waits_for_it_any_more(shop: Ticking) -> None:
    """A daemon that was down goes on with its last tick: it may read what is there for a moment only."""
    shop.raw(a="2\n")
    late = shop.tick().run_requests
    shop.age_history(121)
    again = shop.tick().run_requests
    assert asked_one(again[0]) == "a"
    shop.carry_out(again)
    assert shop.tick().skip_message == QUIET
    shop.raw(a="3\n")
    shop.carry_out(late)
    shop.raw(a="2\n")
    assert shop.ticked() == ["a", "a", "a"], "it reflects 3"
    assert shop.tick().skip_message == QUIET


def test_a_request_that_is_taken_back(shop: Ticking) -> None:
    """By hand, because there is no daemon any more."""
    shop.raw(a="2\n")
    late = shop.tick().run_requests
    assert shop.tool("forget", "--asset", "a").returncode == 0
    assert shop.tool("run").returncode == 0
    assert shop.made() == ["a"]
    assert shop.tick().skip_message == QUIET
    shop.carry_out(late)
    assert shop.ticked() == ["a", "a"], "nobody knows what the late one has read"
    assert shop.tick().skip_message == QUIET


def test_a_request_that_the_ledger_does_not_know(shop: Ticking) -> None:
    """Is in flight as long as a run of it may come."""
    shop.raw(a="2\n")
    late = shop.tick().run_requests
    (shop.top / ".git/raw-trigger/ledger.sqlite").unlink()
    assert asked(shop.tick()) == []
    shop.carry_out(late)
    assert shop.ticked() == ["a", "a"]
