"""The sensor asks for what has changed, once, and records what came of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, DagsterRunStatus

from tests.support.ticking import Ticking

QUIET = "every raw file is reflected"


def asked(result: Any) -> list[str]:
    """What the runs of a tick are to make."""
    return sorted(map(made_by, result.run_requests or ()))


def made_by(request: Any) -> str:
    """What one run is to make."""
    keys = ("/".join(key.path) for key in request.asset_selection or ())
    partition = f"|{request.partition_key}" if request.partition_key else ""
    return ("+".join(sorted(keys)) or request.job_name) + partition


def test_one_file_gives_one_run(shop: Ticking) -> None:
    assert shop.tick().skip_message == QUIET
    shop.raw(a="2\n")
    result = shop.tick()
    assert asked(result) == ["a"]
    again = shop.tick()
    assert (again.run_requests, again.skip_message) == ([], "a: the sensor is making it")
    shop.carry_out(result.run_requests)
    assert shop.tick().skip_message == QUIET
    assert shop.plan()["targets"] == []
    assert shop.made() == ["a"]


def test_a_tick_that_takes_too_long_asks_for_nothing(shop: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would hear it, and what it asks for would count as being made."""
    shop.raw(a="2\n")
    monkeypatch.setenv("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "0")
    result = shop.tick()
    assert asked(result) == []
    assert result.skip_message.endswith("raise DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS")
    assert [target["action"] for target in shop.plan()["targets"]] == ["materialize"]
    monkeypatch.setenv("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "60")
    assert asked(shop.tick()) == ["a"]


def test_the_same_content_may_come_again(shop: Ticking) -> None:
    """A run key is used up for ever."""
    keys = []
    for content in ("2\n", "1\n", "2\n"):
        shop.raw(a=content)
        result = shop.tick()
        keys += [one.run_key for one in result.run_requests]
        shop.carry_out(result.run_requests)
    assert shop.tick().skip_message == QUIET
    assert shop.made() == ["a", "a", "a"]
    assert len(set(keys)) == 3


def test_what_is_taken_back_while_it_is_in_flight(shop: Ticking) -> None:
    """The run reads what is there when it begins."""
    shop.raw(a="2\n")
    result = shop.tick()
    shop.raw(a="1\n")
    shop.carry_out(result.run_requests)
    assert shop.tick().skip_message == QUIET
    shop.raw(a="2\n")
    assert asked(shop.tick()) == ["a"]


def test_every_kind_of_target(shop: Ticking) -> None:
    shop.raw(part__x="2\n", part__y="2\n", dyn__new="1\n", b="2\n", **{"daily__2026-02-03": "1\n"})
    result = shop.tick()
    assert asked(result) == ["b", "dyn|new", "part|x", "part|y"]
    assert asked(shop.tick()) == [], "it is made from all of the parts"
    shop.carry_out(result.run_requests)
    assert shop.made() == ["b", "dyn|new", "part|x", "part|y"]
    assert shop.ticked() == ["daily|2026-02-03"]
    assert shop.tick().skip_message == QUIET


def test_an_asset_without_code_is_reported_and_its_child_made(shop: Ticking) -> None:
    shop.raw(ext="2\n")
    result = shop.tick()
    assert asked(result) == ["under"]
    with shop.instance() as instance:
        [found] = instance.fetch_materializations(AssetKey("ext"), limit=5).records
        event = found.asset_materialization
        oid = shop.git("hash-object", "data/1_raw/ext.csv")
        assert event.tags["dagster/data_version"] == oid
    shop.carry_out(result.run_requests)
    assert shop.made() == ["under"]
    assert shop.tick().skip_message == QUIET


def test_a_job_has_a_sensor_of_its_own(shop: Ticking) -> None:
    shop.write({"data/1_raw/job/x.txt": "1\n"})
    assert asked(shop.tick()) == []
    result = shop.tick("raw_job_sensor")
    assert [one.job_name for one in result.run_requests] == ["nightly"]
    shop.carry_out(result.run_requests)
    assert shop.tick("raw_job_sensor").skip_message == "no job is due"
    assert shop.made() == ["job:nightly"]


def test_a_deletion(shop: Ticking, capfd: pytest.CaptureFixture[str]) -> None:
    """Is told once."""
    shop.raw(a=None)
    assert asked(shop.tick()) == []
    assert "stale" in capfd.readouterr().err
    shop.tick()
    assert "stale" not in capfd.readouterr().err
    assert shop.plan()["targets"] == [] or shop.plan()["targets"][0]["action"] == "skip"


def test_a_dry_run_writes_nothing(shop: Ticking, capfd: pytest.CaptureFixture[str]) -> None:
    shop.raw(a="2\n", dyn__new="1\n", ext="2\n")
    before = shop.git("for-each-ref"), shop.history()
    result = shop.tick(dry=True)
    assert asked(result) == ["a", "dyn|new", "under"]
    assert "ext: a tick would report it" in capfd.readouterr().err
    assert (shop.git("for-each-ref"), shop.history()) == before
    with shop.instance() as instance:
        assert instance.get_dynamic_partitions("names") == []
        assert instance.get_runs() == []


@pytest.mark.parametrize("committed", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_a_failure_is_tried_again_with_growing_delay(shop: Ticking, committed: bool) -> None:
    shop.raw(a="bad\n")
    if committed:
        shop.git("add", "-A")
        shop.git("commit", "-q", "-m", "bad")
    assert shop.ticked() == ["a"]
    result = shop.tick()
    assert asked(result) == []
    assert result.skip_message == "a: it failed with this content: again in 60 s"
    [run] = shop.history("--status", "failed")
    assert run["targets"][0]["error"].startswith("ValueError: cannot read")
    shop.age_history(61)
    assert shop.ticked() == ["a"]
    assert shop.tick().skip_message == "a: it failed with this content: again in 120 s"
    shop.raw(a="good\n")
    assert shop.ticked() == ["a"]
    assert shop.tick().skip_message == QUIET


def test_one_that_was_canceled_waits(shop: Ticking) -> None:
    shop.raw(a="2\n")
    [request] = shop.tick().run_requests
    shop.submit(request, DagsterRunStatus.CANCELED)
    shop.age_history(100_000)
    assert shop.tick().skip_message == (
        "a: its run was canceled: it waits for another content, or for `raw-trigger run`"
    )
    assert shop.tool("run").returncode == 0
    assert shop.made() == ["a"]
    assert shop.tick().skip_message == QUIET


def test_a_request_that_came_to_no_run_is_lost_after_a_while(shop: Ticking) -> None:
    """Such as that of a daemon which died in between."""
    shop.raw(a="2\n")
    assert asked(shop.tick()) == ["a"]
    assert shop.tick().skip_message == "a: the sensor is making it"
    shop.age_history(601)
    assert asked(shop.tick()) == ["a"]


def test_a_file_that_nothing_is_made_from_is_told(shop: Ticking) -> None:
    shop.write({"data/1_raw/unknown.csv": "1\n"})
    assert shop.tick().skip_message == "nothing is made from data/1_raw/unknown.csv"
    assert shop.tick().skip_message == QUIET


def test_no_process_of_git_is_left(shop: Ticking) -> None:
    def children() -> set[str]:
        me = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        return {pid for pid in me if "git" in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]}

    before = children()
    shop.raw(a="2\n")
    kept = [shop.tick() for _ in range(3)]
    assert asked(kept[0]) == ["a"]
    assert children() <= before
