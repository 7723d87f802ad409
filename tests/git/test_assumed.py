"""What adopt and install only assume is told from what ran."""

from __future__ import annotations

import pytest

from raw_trigger.adopt import adopt, forget
from raw_trigger.assumed import assumptions
from raw_trigger.coverage import grids
from raw_trigger.model.changes import WORKTREE, Base, Desired, show
from raw_trigger.model.plan import Narrowing
from raw_trigger.planner import Wishes
from raw_trigger.status import status_of
from tests.conftest import Repo
from tests.git.test_forget import ground
from tests.git.test_tracked import dvc, two
from tests.support.dvc import DvcRepo, R
from tests.support.one_rule import ROWS, START, Ground
from tests.support.pretended import PretendedLauncher

__all__ = ["dvc", "ground"]
FOLDER = ".raw-trigger/assumed"


def assumed(ground: Ground) -> list[str]:
    return [target.text for target in status_of(ground.trigger().planner).assumed]


def files(repo: Repo) -> list[str]:
    tree = f"refs/raw-trigger/local:{FOLDER}"
    return repo.git("ls-tree", "-r", "--name-only", tree).splitlines() if FOLDER in listed(repo) else []


def listed(repo: Repo) -> str:
    return repo.git("ls-tree", "-r", "--name-only", "refs/raw-trigger/local")


def run_all(ground: Ground, *failing: str, wishes: Wishes | None = None) -> None:
    """What ``run --all`` does."""
    trigger = ground.trigger(wishes)
    with trigger.planned(Base("empty", "", None, ""), Desired("worktree", WORKTREE), face="cli") as plan:
        trigger.run(plan, PretendedLauncher(failing), face="cli")


def test_it_is_assumed_until_it_ran(ground: Ground) -> None:
    assert assumed(ground) == ["all", "whole"]
    run_all(ground, wishes=Wishes(Narrowing(assets=("whole",))))
    assert (assumed(ground), ground.due()) == (["all"], [])
    run_all(ground)
    assert (assumed(ground), ground.due()) == ([], [])
    assert files(ground.repo) == []


def test_what_is_made_downstream_is_assumed_too(repo: Repo) -> None:
    ground = Ground(repo, "asset: seen, partition: k", "c.csv", "1")
    assert assumed(ground) == ["all", "child|k", "seen|k"]
    assert [grid.as_json() for grid in grids(ground.trigger().planner)] == [
        {"asset": name, "partitions": [{"partition": "k", "state": "assumed"}]} for name in ("child", "seen")
    ]
    assert ground.trigger().planner.rules(ground.trigger().planner.catalog.fresh()).below(["seen"]) == {
        "all",
        "child",
    }
    run_all(ground)
    assert assumed(ground) == []


def test_what_is_forgotten_is_not_assumed(ground: Ground) -> None:
    forget(ground.trigger(Wishes(Narrowing(assets=("all",)))).planner)
    assert assumed(ground) == ["whole"]


def test_a_file_that_moves_on_is_not_assumed_any_more(ground: Ground) -> None:
    (ground.repo.top / "data/1_raw/a.csv").write_text("2")
    # What is pending is not listed as assumed, too.
    assert assumed(ground) == []
    ground.run()
    assert files(ground.repo) == ["data/1_raw/b.csv"]
    (ground.repo.top / "data/1_raw/a.csv").write_text("a")
    ground.run()
    assert files(ground.repo) == ["data/1_raw/b.csv"]


def test_what_fails_is_pending_and_not_assumed(ground: Ground) -> None:
    run_all(ground, "all")
    assert (assumed(ground), ground.due()) == ([], ["all"])
    assert ground.run()[0] == ["all"]
    assert ground.due() == []


@pytest.mark.parametrize(("content", "taken_for"), [("2", ["all"]), ("a", ["whole"])])
def test_what_ran_and_failed_later_with_another_content(
    ground: Ground, content: str, taken_for: list[str]
) -> None:
    """What failed reflects what it ran with before, unless it failed with just that."""
    run_all(ground)
    forget(ground.trigger().planner)
    ground.repo.write({"data/1_raw/a.csv": content})
    assert sorted(ground.run("whole")[0]) == ["all", "whole"]
    ground.repo.write({"data/1_raw/a.csv": "a"})
    forget(ground.trigger().planner)
    adopt(ground.trigger().planner, ground.repo.git("rev-parse", "HEAD^{tree}"))
    assert assumed(ground) == taken_for


def test_what_is_adopted_on_top_is_assumed_and_what_ran_is_not(ground: Ground) -> None:
    run_all(ground)
    ground.repo.commit({"data/1_raw/a.csv": "2"})
    adopt(ground.trigger().planner, ground.repo.git("rev-parse", "HEAD^{tree}"))
    assert files(ground.repo) == ["data/1_raw/a.csv"]
    assert assumed(ground) == ["all", "whole"]
    ground.repo.commit({"data/1_raw/b.csv": "2"})
    adopt(ground.trigger().planner, ground.repo.git("rev-parse", "HEAD^{tree}"), ("b.csv",))
    assert files(ground.repo) == ["data/1_raw/a.csv", "data/1_raw/b.csv"]


def test_partitions_of_a_table(repo: Repo) -> None:
    concepts = Ground(repo, f"asset: concepts, {ROWS}", "c.csv", START)

    def cells() -> dict[str, str]:
        (grid,) = grids(concepts.trigger().planner)
        return {cell.partition: cell.state for cell in grid.cells}

    assert cells() == {"A": "assumed", "B": "assumed", "C": "assumed"}
    run_all(concepts, wishes=Wishes(Narrowing(partitions=(("B", "B"),))))
    assert cells() == {"A": "assumed", "B": "recorded", "C": "assumed"}
    concepts.write(START.replace("A,1,x", "A,1,y"))
    concepts.run()
    assert cells() == {"A": "assumed", "B": "recorded", "C": "assumed"}
    concepts.write(START.replace("A,1", "A,0"))
    assert cells() == {"A": "pending", "B": "recorded", "C": "assumed"}


def test_what_dvc_has(dvc: DvcRepo) -> None:
    two(dvc, "1\n", "1\n")
    dvc.git("add", "-A")
    dvc.commit()
    dvc.adopt()

    def said() -> list[str]:
        return sorted(show(path).removeprefix(R) for path in assumptions(dvc.trigger().planner).files)

    assert said() == ["a.csv", "b.csv", "keep.txt"]
    two(dvc, "2\n", "1\n")
    dvc.run()
    assert said() == ["b.csv", "keep.txt"]
    dvc.adopt("HEAD", "a.csv")
    assert said() == ["b.csv", "keep.txt"]
    two(dvc, "3\n", "1\n")
    dvc.adopt("HEAD", "a.csv")
    assert said() == ["a.csv", "b.csv", "keep.txt"]
