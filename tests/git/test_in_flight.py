"""What another process is making at this moment is not planned again, and not taken for made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.project import ROOT, StandInProject, name
from tests.support.waiting import wait_for

ASSETS: dict[str, dict[str, Any]] = {
    "a": {},
    "b": {},
    "child": {"parents": ["a"]},
    "both": {"parents": ["b", "child"]},
}
RULES = "{path: a.csv, asset: a}\n{path: b.csv, asset: b}"


@pytest.fixture
def shop(standin: Callable[..., StandInProject]) -> StandInProject:
    """Everything is made."""
    project = standin()
    project.define(ASSETS)
    project.configure(RULES, downstream="all")
    project.commit_raw({"a.csv": "1", "b.csv": "1"})
    assert project.tool("run", "--all").returncode == 0
    project.made()
    return project


@contextmanager
def at_work(project: StandInProject, *args: str) -> Iterator[None]:
    """A run that has begun, and ends with the block."""
    begun, go_on = project.control / "begun", project.control / "go on"
    wait = f"touch '{begun}'; while [ ! -e '{go_on}' ]; do sleep 0.05; done"
    project.behave({"target": "*", "when": "before", "do": "run", "arg": wait, "times": 1})
    run = project.start("run", *args)
    wait_for(begun.exists)
    try:
        yield
    finally:
        go_on.touch()
        assert run.wait().returncode == 0
        project.behave()


def test_every_face_says_who_makes_it(shop: StandInProject) -> None:
    shop.raw({"a.csv": "2"})
    with at_work(shop):
        plan = shop.plan()
        assert {(name(one), one["action"]) for one in plan["targets"]} == {
            ("a", "skip"),
            ("both", "skip"),
            ("child", "skip"),
        }
        reasons = {one["reason"].partition(" (process ")[0] for one in plan["targets"]}
        assert reasons == {"raw-trigger run"}
        assert shop.tool("diff", "--exit-code").returncode == 1, "it is not made yet"
        status = json.loads(shop.tool("status", "--format", "json").stdout)
        assert status["targets"] == []
        assert sorted(map(name, status["in_flight"])) == ["a", "both", "child"]
        [told] = json.loads(shop.tool("explain", f"{ROOT}/a.csv", "--format", "json").stdout)
        assert told["pending"]
    assert shop.made() == ["a", "both", "child"]
    assert shop.plan()["targets"] == []


def test_what_is_made_from_it_waits_for_it(shop: StandInProject) -> None:
    """The run was not asked for what else has changed meanwhile."""
    shop.raw({"a.csv": "2"})
    with at_work(shop, "--asset", "a", "--downstream", "none"):
        shop.raw({"b.csv": "2"})
        reasons = {name(one): one["reason"] for one in shop.plan()["targets"]}
        assert reasons["b"] is None
        assert reasons["a"].endswith(" is making it")
        assert reasons["child"] == "it waits for a"
        assert reasons["both"] == "it waits for a"
    assert shop.made() == ["a"]
    assert shop.tool("run").returncode == 0
    assert shop.made() == ["b", "both", "child"]


def test_a_run_waits_for_it(shop: StandInProject) -> None:
    shop.raw({"a.csv": "2"})
    with at_work(shop):
        second = shop.start("run")
        wait_for(lambda: "waiting for raw-trigger run (process" in second.told())
    assert second.wait().returncode == 0
    assert shop.made() == ["a", "both", "child"]


def killed_at_b(shop: StandInProject) -> None:
    """A run that made ``a`` and is killed with ``b``."""
    shop.raw({"a.csv": "2", "b.csv": "2"})
    shop.behave({"target": "b", "when": "read", "do": "kill all", "times": 1})
    assert shop.tool("run", "--asset", "a", "--asset", "b", "--downstream", "none").returncode < 0
    assert shop.made() == ["a"]


@pytest.mark.parametrize("args", ["diff --exit-code", "status", f"explain {ROOT}/a.csv"])
def test_every_face_finds_out_what_a_killed_run_had_finished(shop: StandInProject, args: str) -> None:
    """As the next run would: what it says is pending is what that would make."""
    killed_at_b(shop)
    assert shop.tool(*args.split()).stderr == ""
    starts = (shop.control / "starts").read_text()
    assert shop.pending() == ["b", "both", "child"]
    assert (shop.control / "starts").read_text() == starts, "it is known from then on"
    assert shop.tool("run").returncode == 0
    assert shop.made() == ["b", "both", "child"]


def test_what_a_killed_run_had_finished_is_left_while_another_is_at_work(shop: StandInProject) -> None:
    killed_at_b(shop)
    with at_work(shop):
        assert shop.pending() == []
    assert shop.made() == ["b", "both", "child"]


def test_what_a_killed_run_was_making_is_nobodys(shop: StandInProject) -> None:
    shop.raw({"a.csv": "2"})
    shop.behave({"target": "a", "when": "read", "do": "kill all", "times": 1})
    shop.tool("run")
    assert shop.pending() == ["a", "both", "child"]
