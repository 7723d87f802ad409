"""What is said where nothing is to be done of what was asked for by name."""

from __future__ import annotations

import pytest

from raw_trigger.adopt import adopt
from raw_trigger.model.assets import Asset
from raw_trigger.model.plan import Narrowing
from raw_trigger.planner import Wishes
from raw_trigger.revisions import from_arguments
from tests.conftest import Repo
from tests.support.one_rule import CATALOG, Ground

BELOW = {
    "deep": Asset("deep", ("deep",), "here", parents=("all",)),
    "of_whole": Asset("of_whole", ("of_whole",), "here", parents=("whole",)),
    "deepest": Asset("deepest", ("deepest",), "here", parents=("of_whole",)),
    "alone": Asset("alone", ("alone",), "here"),
}
SEEN = "assets: [seen, whole], partition: k"
DUE = "; `--all` takes what is recorded too"


@pytest.mark.parametrize(
    ("asked", "downstream", "edited", "told"),
    [
        ("whole", "auto", False, [f"nothing is pending of whole{DUE}"]),
        ("all", "auto", False, [f"nothing is pending of all{DUE}"]),
        (
            "all",
            "auto",
            True,
            ["all is pending, but only with seen, which it is made from: add `--asset seen`"],
        ),
        (
            "child",
            "auto",
            True,
            ["child is pending, but only with seen, which it is made from: add `--asset seen`"],
        ),
        (
            "deep",
            "all",
            True,
            ["deep is pending, but only with seen, which it is made from: add `--asset seen`"],
        ),
        (
            "of_whole",
            "all",
            True,
            ["of_whole is pending, but only with whole, which it is made from: add `--asset whole`"],
        ),
        (
            "deepest",
            "auto",
            True,
            [
                "no raw file feeds deepest, but whole, which it is made from: "
                "`raw-trigger run --all --asset whole --downstream all` makes it, too"
            ],
        ),
        (
            "of_whole",
            "none",
            False,
            [
                "no raw file feeds of_whole, but whole, which it is made from: "
                "`raw-trigger run --all --asset whole --downstream all` makes it, too"
            ],
        ),
        (
            "alone",
            "auto",
            False,
            [
                "no raw file feeds alone, nor what it is made from: give it a rule, or materialize it in Dagster"
            ],
        ),
        ("seen", "auto", True, []),
    ],
)
def test_what_is_said(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, asked: str, downstream: str, edited: bool, told: list[str]
) -> None:
    for key, asset in BELOW.items():
        monkeypatch.setitem(CATALOG, key, asset)
    ground = Ground(repo, "assets: [seen], partition: k", "c.csv", "1")
    file = repo.top / "raw-trigger.yaml"
    file.write_text(f"downstream: {downstream}\n{file.read_text()}  - {{path: w.csv, asset: whole}}\n")
    (repo.top / "data/1_raw/w.csv").write_text("1")
    repo.commit({"data/1_raw/w.csv": "1"})
    adopt(ground.trigger().planner, repo.git("rev-parse", "HEAD^{tree}"))
    if edited:
        ground.write("2")
        repo.write({"data/1_raw/w.csv": "2"})
    trigger = ground.trigger(Wishes(Narrowing(assets=(asked,))))
    plan = trigger.planner.plan(trigger.planner.detect(*from_arguments(repo.open(), "local", [])))
    assert list(plan.warnings) == told
    assert bool(plan.actionable) == (not told)
    if told and "--downstream all" in told[0]:
        advised = Wishes(Narrowing(assets=("whole",)), downstream="all")
        assert asked in ground.run(wishes=advised, everything=True)[0]
    if told and "add `" in told[0]:
        further = told[0].split()[-1].strip("`")
        ran, _ = ground.run(wishes=Wishes(Narrowing(assets=(asked, further))))
        assert asked in {name.partition("|")[0] for name in ran}
