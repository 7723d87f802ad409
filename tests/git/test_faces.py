"""Every face that says "pending" says it of the same files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from raw_trigger.adopt import forget
from raw_trigger.coverage import grids
from raw_trigger.explain import Explainer, PathExplanation
from raw_trigger.render.json import render
from raw_trigger.status import status_of
from tests.conftest import Repo
from tests.support.one_rule import ROWS, START, Ground

Edit = Callable[[Ground], object]
FILE = "data/1_raw/c.csv"
ONE = "asset: whole"
TWO = "assets: [whole, all]"


def deleted(ground: Ground) -> None:
    (ground.repo.top / FILE).unlink()


def ran_but_one(ground: Ground) -> None:
    ground.write("2")
    ground.run("all")


CASES: dict[str, tuple[str, str, Edit, list[str]]] = {
    "as recorded": (ONE, "1", lambda g: None, []),
    "touched": (ONE, "1", lambda g: g.write("1"), []),
    "edited": (ONE, "1", lambda g: g.write("2"), ["whole"]),
    "reformatted": (f"{ONE}, fingerprint: json", '{"a": 1}', lambda g: g.write('{\n"a":1}'), []),
    "another value": (f"{ONE}, fingerprint: json", '{"a": 1}', lambda g: g.write('{"a": 2}'), ["whole"]),
    "line ends": (f"{ONE}, fingerprint: text", "1\n", lambda g: g.write("1\r\n"), []),
    "a row": (
        f"asset: concepts, {ROWS}",
        START,
        lambda g: g.write(START.replace("B,1", "B,0")),
        ["concepts|B"],
    ),
    "no row": (f"asset: concepts, {ROWS}", START, lambda g: g.write(START.replace("B,1,x", "B,1,y")), []),
    "no table": (f"asset: concepts, {ROWS}", START, lambda g: g.write("active\n1\n"), []),
    "ignored": ("ignore: true", "1", lambda g: g.write("2"), []),
    "deleted": ("assets: [whole], on_delete: materialize", "1", deleted, ["whole"]),
    "deleted, and nothing to do": ("assets: [whole], on_delete: skip", "1", deleted, []),
    "one of two failed": (TWO, "1", ran_but_one, ["all"]),
    "one of two failed, and back": (TWO, "1", lambda g: (ran_but_one(g), g.write("1")), ["whole"]),
    "a rule that is new": (ONE, "1", lambda g: g.rule(TWO), ["all"]),
    "a rule that ignores": (ONE, "1", lambda g: (g.write("2"), g.rule("ignore: true")), []),
    "forgotten": (ONE, "1", lambda g: forget(g.trigger().planner), ["whole"]),
}


@pytest.mark.parametrize(("rule", "content", "edit", "due"), CASES.values(), ids=CASES)
def test_they_agree(repo: Repo, rule: str, content: str, edit: Edit, due: list[str]) -> None:
    ground = Ground(repo, rule, "c.csv", content)
    edit(ground)
    plan = ground.plan()
    assert [one.target.text for one in plan.actionable] == due
    pending = bool(due) or bool(plan.errors)
    assert plan.pending is pending
    document = json.loads("".join(render(plan)))
    assert [one["asset"] for one in document["targets"] if one["action"] != "skip"] == [
        name.partition("|")[0] for name in due
    ]
    assert (FILE.encode() in plan.pending_paths) is pending
    explained = Explainer(ground.trigger().planner).explain(FILE, Path(repo.top))
    assert isinstance(explained, PathExplanation)
    assert explained.pending is pending
    status = status_of(ground.trigger().planner)
    assert [one.target.text for one in status.plan.actionable] == due
    drawn = {cell.partition for grid in grids(ground.trigger().planner) for cell in grid.cells}
    partitions = [name.partition("|")[2] for name in due if "|" in name]
    assert set(partitions) <= drawn
    states = {c.partition: c.state for grid in grids(ground.trigger().planner) for c in grid.cells}
    assert sorted(name for name, state in states.items() if state in ("pending", "failed")) == partitions
    ran, _ = ground.run()
    assert ran == due
