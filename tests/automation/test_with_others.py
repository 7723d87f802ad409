"""The sensor and everything else that works on the same record do not do each other's work."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from dagster import DagsterRunStatus

from tests.automation.test_sensor import QUIET, asked, made_by
from tests.support.ticking import CODE, RULES, Ticking
from tests.support.waiting import wait_for


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


def commit_that_waits(shop: Ticking, content: str) -> Any:
    """A commit of the content that the sensor has asked for, and that is made while the hook waits."""
    shop.raw(a=content)
    requests = shop.tick().run_requests
    shop.git("add", "-A")
    commit = shop.start("hook", "pre-commit")
    wait_for(lambda: "waiting for the sensor to make a" in commit.told())
    shop.carry_out(requests)
    return commit.wait()


def test_a_commit_waits_for_the_run_that_makes_its_file(shop: Ticking) -> None:
    assert shop.tool("install").returncode == 0
    done = commit_that_waits(shop, "2\n")
    assert done.returncode == 0, done.stderr
    assert shop.made() == ["a"]
    assert shop.tick().skip_message == QUIET


@pytest.mark.soak
def test_a_commit_of_what_the_run_failed_with_is_refused(shop: Ticking) -> None:
    assert commit_that_waits(shop, "bad\n").returncode == 1
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
    requests = {made_by(one): one for one in shop.tick().run_requests}
    shop.carry_out([requests["part|x"], requests["a"]])
    assert sorted(one["asset"] for one in status(shop)["in_flight"]) == ["part"]
    assert asked(shop.tick()) == []
    shop.carry_out([requests["part|y"]])
    result = shop.tick()
    assert result.skip_message.startswith("a: it failed with this content")
    assert shop.made() == ["a", "part|x", "part|y"]
    shop.raw(a="1\n")
    assert shop.tick().skip_message == QUIET, "it reflects what it did before"


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


@pytest.mark.parametrize(
    "how",
    [
        "given up",
        *(pytest.param(one, marks=pytest.mark.soak) for one in ("run HEAD", "forget --asset a", "adopt")),
    ],
)
def test_a_run_that_comes_late(shop: Ticking, how: str) -> None:
    """It may read what is there for a moment only."""
    shop.raw(a="2\n")
    late = shop.tick().run_requests
    if how == "given up":
        shop.age_history(601)
        again = shop.tick().run_requests
        assert made_by(again[0]) == "a"
        shop.carry_out(again)
    else:
        assert shop.tool(*how.split()).returncode == 0
        assert asked(shop.tick()) == [], "its run is still to come"
    shop.raw(a="3\n")
    time.sleep(0.1)
    shop.carry_out(late)
    shop.raw(a="2\n")
    time.sleep(0.1)
    settle_down(shop)
    assert shop.last_read("a") == {"a.csv": "2\n"}


def settle_down(shop: Ticking, sensor: str = "raw_sensor") -> None:
    """Tick until nothing is due, with time in between for what is to be tried again."""
    for _ in range(6):
        shop.carry_out(shop.tick(sensor).run_requests or ())
        shop.age_history(4000)
    assert shop.tick(sensor).skip_message == (QUIET if sensor == "raw_sensor" else "no job is due")


def test_another_sensor_gives_nothing_up_too_early(shop: Ticking) -> None:
    """The daemon takes its time for many requests."""
    shop.raw(a="2\n")
    requests = shop.tick().run_requests
    shop.age_history(300)
    shop.tick("raw_job_sensor")
    shop.carry_out(requests)
    settle_down(shop)
    assert shop.made() == ["a"]


def test_a_run_that_dagster_tries_again(shop: Ticking) -> None:
    """Between the failure and its new run."""
    shop.raw(a="2\n")
    [request] = shop.tick().run_requests
    failed = shop.submit(request, DagsterRunStatus.FAILURE)
    shop.change_runs(lambda instance: instance.add_run_tags(failed, {"dagster/will_retry": "true"}))
    assert asked(shop.tick()) == []
    shop.carry_out([request])
    assert shop.tick().skip_message == QUIET
    shop.raw(a="1\n")
    settle_down(shop)
    assert shop.last_read("a") == {"a.csv": "1\n"}
    assert shop.made() == ["a", "a"]


RANGE = """
@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-01-01"), backfill_policy=dg.BackfillPolicy.single_run())
def daily(context) -> None:
    keys = context.partition_keys
    with open(HERE / "../truth.jsonl", "a") as file:
        for key in keys:
            content = (RAW / f"daily/{key}.csv").read_text()
            file.write(json.dumps({"target": f"daily|{key}", "read": {"file": content}}) + "\\n")
"""


@pytest.mark.filterwarnings("ignore")
def test_a_run_over_a_range(shop: Ticking) -> None:
    """Counts for each of its partitions."""
    code = CODE.replace(
        '@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-01-01"), deps=[part])\n'
        'def daily(context): read(context, f"daily/{context.partition_key}.csv")\n',
        RANGE,
    )
    assert RANGE in code
    shop.lay_again(code)
    days = ["2026-02-03", "2026-02-04", "2026-02-05"]
    shop.raw(**{f"daily__{day}": "1\n" for day in days})
    requests = shop.tick().run_requests
    assert len(requests) == 1
    shop.carry_out(requests)
    assert shop.tick().skip_message == QUIET
    assert shop.made() == [f"daily|{day}" for day in days]
    shop.raw(**{f"daily__{day}": "2\n" for day in days[:2]})
    settle_down(shop)
    assert shop.made() == [f"daily|{day}" for day in days[:2]]


@pytest.mark.soak
def test_a_home_that_worktrees_share(shop: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run reads the files of the working tree that asked for it, and only there can be told which."""
    monkeypatch.setenv("DAGSTER_HOME", str(shop.home))
    shop.git("worktree", "add", "-q", "../other", "-b", "other")
    shop.raw(a="2\n")
    requests = shop.tick().run_requests
    other = Ticking(shop.top.parent / "other", shop.program)
    assert "the sensor is making it" in other.tool("run").stdout
    shop.carry_out(requests)
    other.tool("status")
    assert shop.tick().skip_message == QUIET
    assert shop.made() == ["a"]


def test_an_asset_that_touches_its_file(shop: Ticking) -> None:
    """Is not made every thirty seconds, and its message says why."""
    code = CODE.replace(
        'def a(context): read(context, "a.csv")',
        'def a(context):\n    read(context, "a.csv")\n    time.sleep(.1)\n    os.utime(RAW / "a.csv")',
    )
    shop.lay_again(code)
    shop.raw(a="2\n")
    assert shop.ticked() == ["a"]
    result = shop.tick()
    assert asked(result) == []
    assert result.skip_message.startswith(
        "a: it was made, and nobody knows what it has read, with this content: "
    )


def test_a_submodule(shop: Ticking) -> None:
    """What is in it has a time, too."""
    sub = shop.top.parent / "sub"
    sub.mkdir()
    inner = Ticking(sub, shop.program)
    inner.git("init", "-q")
    inner.commit({"f.csv": "1\n"})
    shop.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(sub), "data/1_raw/subm")
    shop.lay_again(rules=RULES.strip() + '\n{path: "subm", asset: b}\n')
    shop.adopt()
    inner.commit({"f.csv": "2\n"})
    shop.git("-C", "data/1_raw/subm", "-c", "protocol.file.allow=always", "pull", "-q")
    settle_down(shop)
    assert shop.made() == ["b"]


def test_a_job_that_fails_half_way(shop: Ticking) -> None:
    """What it has made by then may be of the new content."""
    code = CODE.replace(
        "@dg.job\ndef nightly(): work()\n",
        "@dg.op\ndef check(context, made):\n"
        "    if (RAW / 'job/bad.txt').exists(): raise ValueError('bad')\n"
        "@dg.op\ndef make(context):\n"
        "    content = (RAW / 'job/x.txt').read_text()\n"
        "    with open(HERE / '../truth.jsonl', 'a') as file:\n"
        "        file.write(json.dumps({'target': 'job:nightly', 'read': {'x': content}}) + '\\n')\n"
        "    context.log_event(dg.AssetMaterialization('made'))\n"
        "@dg.job\ndef nightly(): check(make())\n",
    )
    shop.write({"data/1_raw/job/x.txt": "1\n"})
    shop.lay_again(code, RULES.replace('path: "job/**"', 'path: "job/x.txt"'))
    shop.adopt()
    shop.write({"data/1_raw/job/x.txt": "2\n", "data/1_raw/job/bad.txt": "1"})
    shop.carry_out(shop.tick("raw_job_sensor").run_requests)
    assert shop.tick("raw_job_sensor").skip_message.startswith("job:nightly: it failed with this content")
    shop.write({"data/1_raw/job/x.txt": "1\n", "data/1_raw/job/bad.txt": None})
    settle_down(shop, "raw_job_sensor")
    assert shop.last_read("job:nightly") == {"x": "1\n"}


def test_a_request_that_the_ledger_does_not_know(shop: Ticking) -> None:
    """Is in flight as long as a run of it may come."""
    shop.raw(a="2\n")
    late = shop.tick().run_requests
    (shop.top / ".git/raw-trigger/ledger.sqlite").unlink()
    assert asked(shop.tick()) == []
    shop.carry_out(late)
    settle_down(shop)
    assert shop.made() == ["a"]


def test_a_ledger_that_cannot_be_read(shop: Ticking) -> None:
    """What is pending does not depend on it."""
    ledger = shop.top / ".git/raw-trigger/ledger.sqlite"
    ledger.unlink(missing_ok=True)
    ledger.write_bytes(b"garbage" * 1000)
    for content in ("2\n", "3\n"):
        shop.raw(a=content)
        assert shop.ticked() == ["a"]
    assert shop.tick().skip_message == QUIET
