"""A file that changes while something is made from it is still pending, and that is told."""

from __future__ import annotations

import pytest

from raw_trigger.adopt import adopt
from raw_trigger.hooks.run import reconcile
from raw_trigger.model.changes import show
from raw_trigger.record.run import unsteady
from raw_trigger.render.words import failed_by_now, left_undone
from raw_trigger.revisions import from_arguments
from raw_trigger.trigger import Listener
from tests.conftest import Repo
from tests.support.pretended import PretendedLauncher
from tests.support.two_assets import Ground, R

RULES = "assets: [{path: 'a*', asset: a}, {path: 'both*', assets: [a, b]}, {path: 'b*', asset: b}]\n"


@pytest.fixture
def ground(repo: Repo) -> Ground:
    made = Ground(repo.top)
    made.commit({"raw-trigger.yaml": RULES, R + "a.csv": "1\n", R + "b.csv": "1\n", R + "both.csv": "1\n"})
    adopt(made.trigger().planner, "HEAD")
    return made


def told(path: str, who: str, which: str) -> str:
    return (
        f"{R}{path} changed while {who} ran, so it is not recorded; if {which} writes it, ignore it: "
        f'{{path: "{path}", ignore: true}}'
    )


@pytest.mark.parametrize(
    ("before", "during", "expected"),
    [
        ({"a.csv": "2\n"}, {"a.csv": "3\n"}, [told("a.csv", "a", "a")]),
        # It was as recorded, or not there.
        ({"a.csv": "2\n"}, {"a2.csv": "3\n"}, [told("a2.csv", "a", "a")]),
        ({"both.csv": "2\n"}, {"a.csv": "2\n"}, [told("a.csv", "a", "a")]),
        ({"a.csv": "2\n"}, {"a.csv": None}, [told("a.csv", "a", "a")]),
        ({"both.csv": "2\n"}, {"both.csv": "3\n"}, [told("both.csv", "a, b", "one of them")]),
        # b was not made.
        ({"a.csv": "2\n"}, {"b.csv": "3\n"}, []),
        # It is as before; but what was there meanwhile, nobody knows.
        ({"a.csv": "2\n"}, {"a.csv": "2\n"}, [told("a.csv", "a", "a")]),
    ],
)
def test_it_is_told(
    ground: Ground, before: dict[str, str], during: dict[str, str | None], expected: list[str]
) -> None:
    ground.write({R + name: content for name, content in before.items()})
    launcher = PretendedLauncher(
        meanwhile=lambda: ground.write({R + name: content for name, content in during.items()})
    )
    trigger = ground.trigger()
    base, desired = from_arguments(trigger.workspace.repo, "local", [])
    with trigger.planned(base, desired, face="cli") as plan:
        outcome = trigger.run(plan, launcher, face="cli")
    assert trigger.warnings == trigger.unsteady == expected
    failed = failed_by_now(plan, outcome, {})
    assert left_undone(plan, failed, trigger.unsteady) == ("; ".join(expected) or None)
    pending = {show(one.change.path).removeprefix(R) for one in ground.plan().changes}
    assert pending == set(during)


def test_it_is_told_of_work_in_the_background(ground: Ground) -> None:
    ground.commit({R + "a.csv": "2\n"})
    launcher = PretendedLauncher(meanwhile=lambda: ground.write({R + "a.csv": "3\n"}))
    done = reconcile(ground.trigger().workspace, "post-commit", launcher=launcher, listener=Listener())
    assert done.unsteady == [told("a.csv", "a", "a")] == done.warnings


def test_not_all_of_many_are_named() -> None:
    moved = {f"raw/{i}".encode(): frozenset("abcdefg") for i in range(7)}
    lines = unsteady(moved, lambda path: show(path)[4:])
    assert [line.split(";")[0] for line in lines] == [
        *(f"raw/{i} changed while a, b, c, d, e and 2 more ran, so it is not recorded" for i in range(5)),
        "2 more files changed while something was made from them",
    ]
