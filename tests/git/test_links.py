"""Links that lead to raw files: an edit of such a file counts for the link."""

from __future__ import annotations

import json

import pytest

from raw_trigger.adopt import adopt
from raw_trigger.model.changes import show
from raw_trigger.repo.links import Links, hops, leading
from tests.conftest import Repo
from tests.support.two_assets import Ground, R

RULES = "assets: [{path: 'a*', asset: a}, {path: 'b*', asset: b}, {path: 'old/*', ignore: true}]\n"


@pytest.mark.parametrize(
    ("texts", "link", "expected"),
    [
        ({"r/l": "x"}, "r/l", ["r/x"]),
        ({"r/l": "./d/../x"}, "r/l", ["r/x"]),
        ({"r/d/l": "../../s/x"}, "r/d/l", ["s/x"]),
        ({"r/l": "../../x"}, "r/l", []),
        ({"r/l": "/r/x"}, "r/l", []),
        ({"r/l": ".."}, "r/l", []),
        ({"r/l": "m", "r/m": "x"}, "r/l", ["r/m", "r/x"]),
        ({"r/l": "m/x", "r/m": "d"}, "r/l", ["r/m", "r/d/x"]),
        ({"r/l": "m/x", "r/m": "../../d"}, "r/l", ["r/m"]),
        ({"r/l": "m", "r/m": "l"}, "r/l", ["r/m", "r/l"] * 20),
        ({"r/l": "d"}, "r/l", ["r/d"]),
    ],
)
def test_where_a_link_leads(texts: dict[str, str], link: str, expected: list[str]) -> None:
    found = hops(link.encode(), {name.encode(): text.encode() for name, text in texts.items()})
    assert [show(path) for path in found] == expected


def test_what_leads_somewhere() -> None:
    texts = {b"r/l": b"m", b"r/m": b"d/x", b"r/n": b"d"}
    assert leading(texts) == {b"r/m": (b"r/l",), b"r/d/x": (b"r/l", b"r/m"), b"r/d": (b"r/n",)}


@pytest.fixture
def ground(repo: Repo) -> Ground:
    """``b.csv`` is the newest of the files in ``old``, from which nothing is made by themselves."""
    made = Ground(repo.top)
    made.write(
        {"raw-trigger.yaml": RULES, R + "a.csv": "1\n", R + "old/1.csv": "1\n", R + "old/2.csv": "1\n"}
    )
    (made.top / R / "b.csv").symlink_to("old/2.csv")
    made.git("add", "-A")
    made.commit()
    adopt(made.trigger().planner, "HEAD")
    return made


SIDES = ([], ["--staged"], ["HEAD~1", "HEAD"])


def due(ground: Ground, *arguments: str) -> list[str]:
    return [one.target.text for one in ground.plan(*arguments).actionable]


def test_an_edit_of_the_file_counts(ground: Ground) -> None:
    ground.commit({R + "old/1.csv": "2\n"})
    for side in SIDES:
        assert due(ground, *side) == []
    ground.commit({R + "old/2.csv": "2\n"})
    for side in SIDES:
        assert due(ground, *side) == ["b"]
    [change] = [one for one in ground.plan().changes if one.targets]
    assert (show(change.change.path), change.rule) == (
        f"{R}old/2.csv",
        f"raw-trigger.yaml:1, through the link {R}b.csv",
    )
    assert ground.run() == ["b"]
    assert ground.run() == []
    ground.write({R + "old/2.csv": "3\n"})
    assert ground.run() == ["b"]
    ground.git("commit", "-qam", "3")
    assert due(ground) == []


def test_a_link_that_leads_elsewhere_now(ground: Ground) -> None:
    link = ground.top / R / "b.csv"
    link.unlink()
    link.symlink_to("old/1.csv")
    assert ground.run() == ["b"]
    ground.write({R + "old/2.csv": "2\n"})
    assert ground.run() == []
    ground.write({R + "old/1.csv": "2\n"})
    assert ground.run() == ["b"]
    ground.git("add", "-A")
    ground.commit()
    link.unlink()
    assert ground.run() == []
    ground.write({R + "old/1.csv": "3\n"})
    assert ground.run() == []


def test_a_file_that_feeds_something_by_itself_too(ground: Ground) -> None:
    (ground.top / R / "b2.csv").symlink_to("a.csv")
    (ground.top / R / "b3").symlink_to("old")
    assert ground.run() == ["b"]
    ground.write({R + "a.csv": "2\n"})
    assert sorted(ground.run()) == ["a", "b"]
    ground.write({R + "old/new.csv": "2\n"})
    assert ground.run() == ["b"]
    assert ground.run() == []


def test_an_edit_that_is_told_of_a_link(ground: Ground) -> None:
    ground.write({R + "a.csv": "2\n"})
    (ground.top / R / "a2").symlink_to("old/1.csv")
    assert ground.run(during=lambda: ground.write({R + "old/1.csv": "5\n"})) == ["a"]
    assert due(ground) == ["a"]


def test_links_of_commits_are_found_by_what_differs(ground: Ground) -> None:
    links = Links(ground.open(), ["data/1_raw"])
    ground.commit({R + "old/2.csv": "2\n"})
    trigger = ground.trigger()
    plans = [ground.plan("HEAD~1", "HEAD")]
    [kept] = (ground.top / ".git/raw-trigger/cache").glob("links-*.json")
    assert json.loads(kept.read_text())["links"] == {f"{R}b.csv": "old/2.csv"}
    (ground.top / R / "c").symlink_to("a.csv")
    (ground.top / R / "b.csv").unlink()
    ground.git("add", "-A")
    ground.commit()
    plans.append(ground.plan("HEAD~1", "HEAD"))
    assert json.loads(kept.read_text())["links"] == {f"{R}c": "a.csv"}
    kept.write_text('{"tree": "0123456789012345678901234567890123456789", "links": {"x": "y"}}')
    plans.append(ground.plan("HEAD~2", "HEAD~1"))
    assert json.loads(kept.read_text())["links"] == {f"{R}b.csv": "old/2.csv"}
    assert [[one.target.text for one in plan.actionable] for plan in plans] == [["b"], [], ["b"]]
    assert links.texts() == {f"{R}c".encode(): b"a.csv"}
    assert trigger.planner.links.to(f"{R}a.csv".encode()) == (f"{R}c".encode(),)
