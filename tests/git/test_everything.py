"""``run --all`` does what ``run`` would do, and all the rest: also for what is recorded and gone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from raw_trigger.adopt import adopt
from raw_trigger.model.plan import Narrowing
from raw_trigger.planner import Wishes
from tests.conftest import Repo
from tests.git.test_tracked import dvc, folder
from tests.support.dvc import DvcRepo, pointer, shown
from tests.support.one_rule import ROWS, START, Ground

__all__ = ["dvc"]
R = "data/1_raw/"
ONE_MORE = "  - {path: keep.csv, asset: whole}\n"


def gone(ground: Ground) -> None:
    ground.write(None)


def gone_in_git(ground: Ground) -> None:
    gone(ground)
    ground.repo.git("commit", "-qam", "gone")


def gone_for_one(ground: Ground) -> None:
    gone(ground)
    assert ground.run("all")[0] == ["all", "whole"]


def less_for_one(ground: Ground) -> None:
    ground.write(START.replace("A,1", "A,0").replace("B,1,x\n", ""))
    assert ground.run("concepts|B")[0] == ["concepts|A", "concepts|B"]


MADE = "on_delete: materialize"
CASES: dict[str, tuple[str, str, Callable[[Ground], object], list[str]]] = {
    "as recorded": ("asset: all", "1", lambda g: None, ["all", "whole"]),
    "gone": (f"asset: all, {MADE}", "1", gone, ["all", "whole"]),
    "gone in git too": (f"asset: all, {MADE}", "1", gone_in_git, ["all", "whole"]),
    "gone, and nothing is done": ("asset: all, on_delete: skip", "1", gone, ["whole"]),
    "gone, and it is reported": (
        "asset: seen, partition: k",
        "1",
        gone,
        ["all", "child|k", "seen|k", "whole"],
    ),
    "a partition that goes": ("asset: concepts, partition: k", "1", gone, ["concepts|k", "whole"]),
    "gone, what else feeds it": ("asset: whole", "1", gone, ["whole"]),
    "ignored and gone": ("ignore: true", "1", gone, ["whole"]),
    "gone, and one has failed": (f"assets: [all, whole], {MADE}", "1", gone_for_one, ["all", "whole"]),
    "a row less": (
        f"asset: concepts, {ROWS}",
        START,
        lambda g: g.write(START.replace("B,1,x\n", "")),
        ["concepts|A", "concepts|B", "concepts|C", "whole"],
    ),
    "a row less, and it has failed": (
        f"asset: concepts, {ROWS}",
        START,
        less_for_one,
        ["concepts|A", "concepts|B", "concepts|C", "whole"],
    ),
    "no row is left": (
        f"asset: concepts, {ROWS}",
        START,
        lambda g: g.write("id,active,note\n"),
        ["concepts|A", "concepts|B", "concepts|C", "whole"],
    ),
    "a table that is gone": (
        f"asset: concepts, {ROWS}",
        START,
        gone,
        ["concepts|A", "concepts|B", "concepts|C", "whole"],
    ),
}


@pytest.mark.parametrize(("rule", "content", "edit", "ran"), CASES.values(), ids=CASES)
def test_nothing_is_left(
    repo: Repo, rule: str, content: str, edit: Callable[[Ground], object], ran: list[str]
) -> None:
    ground = started(repo, rule, content)
    edit(ground)
    pending = set(ground.due())
    made, _ = ground.run(everything=True)
    assert made == ran
    assert pending <= set(made)
    assert ground.due() == []
    assert [one.disposition for one in ground.plan().changes] == []


def started(repo: Repo, rule: str, content: str) -> Ground:
    """A file that stays, and one of which the rule is."""
    repo.write({R + "keep.csv": "1"})
    ground = Ground(repo, rule, "sub/c.csv", content)
    file = repo.top / "raw-trigger.yaml"
    file.write_text(file.read_text() + ONE_MORE)
    adopt(ground.trigger().planner, repo.git("rev-parse", "HEAD^{tree}"))
    return ground


@pytest.mark.parametrize(
    ("narrowing", "made"),
    [
        (Narrowing(paths=("sub/**",)), ["all"]),
        (Narrowing(assets=("all",)), ["all"]),
        (Narrowing(paths=("keep.csv",)), ["whole"]),
    ],
)
def test_what_is_asked_for(repo: Repo, narrowing: Narrowing, made: list[str]) -> None:
    ground = started(repo, f"asset: all, {MADE}", "1")
    gone(ground)
    assert ground.run(wishes=Wishes(narrowing), everything=True)[0] == made
    assert ground.due() == ([] if made == ["all"] else ["all"])


def test_all_of_it_is_gone(repo: Repo) -> None:
    ground = started(repo, f"asset: all, {MADE}", "1")
    repo.git("rm", "-qr", "data")
    assert ground.run(everything=True)[0] == ["all"]
    assert [one.change.path for one in ground.plan().changes] == []


DVC: dict[str, tuple[Callable[[DvcRepo], object], list[str]]] = {
    "a file": (
        lambda d: remove(d, "a.csv.dvc", "a.csv"),
        ["D a.csv a", "A folder/b.txt b", "A folder/c.txt c"],
    ),
    "one of a folder": (
        lambda d: folder(d, {"b.txt": "1"}),
        ["A a.csv a", "A folder/b.txt b", "D folder/c.txt c"],
    ),
    "a folder": (
        lambda d: remove(d, "folder.dvc", "folder/b.txt", "folder/c.txt"),
        ["A a.csv a", "D folder/b.txt b", "D folder/c.txt c"],
    ),
}


@pytest.mark.parametrize(("edit", "changes"), DVC.values(), ids=DVC)
def test_what_dvc_has(dvc: DvcRepo, edit: Callable[[DvcRepo], object], changes: list[str]) -> None:
    file = dvc.top / "raw-trigger.yaml"
    file.write_text(f"{MADE}\n" + file.read_text())
    dvc.data({"a.csv": "1"})
    dvc.commit({R + "a.csv.dvc": pointer("a.csv", "1")})
    folder(dvc, {"b.txt": "1", "c.txt": "1"})
    dvc.git("add", "-A")
    dvc.commit()
    dvc.adopt()
    edit(dvc)
    plan = dvc.plan(launching=True, everything=True)
    assert [line for line in shown(plan) if "keep" not in line] == changes
    assert dvc.run(everything=True).made == ["a", "b", "c"]
    assert dvc.plan().changes == ()
    assert dvc.settled()


def remove(dvc: DvcRepo, *names: str) -> None:
    pointer_file, *data = names
    dvc.data(dict.fromkeys(data))
    dvc.commit({R + pointer_file: None})
