"""What is made downstream of a file only since `downstream:` or the graph was edited is pending."""

from __future__ import annotations

import pytest

from raw_trigger.model.assets import Asset
from tests.conftest import Repo
from tests.support.one_rule import CATALOG, Ground


def below(ground: Ground, value: str) -> None:
    """Edit `downstream:`."""
    file = ground.repo.top / "raw-trigger.yaml"
    rules = file.read_text()
    file.write_text(f"downstream: {value}\n" + rules[rules.index("assets:") :])


def test_an_edited_downstream(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, parent in (("child", "whole"), ("grandchild", "child")):
        monkeypatch.setitem(CATALOG, key, Asset(key, (key,), "here", parents=(parent,)))
    ground = Ground(repo, "asset: whole", "c.csv", "1")
    seen = []
    for value in ("auto", "1", "1", "all", "none"):
        below(ground, value)
        due = ground.due()
        assert ground.run()[0] == due
        seen.append(due)
    assert seen == [[], ["child"], [], ["grandchild"], []]


def test_a_new_child_in_the_code(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an external asset it is made, with what its function makes too; of another one it is not."""
    monkeypatch.setitem(CATALOG, "outside", Asset("outside", ("outside",), "here", kind="external"))
    ground = Ground(repo, "assets: [outside, whole]", "c.csv", "1")
    assert ground.due() == []
    monkeypatch.setitem(CATALOG, "of_whole", Asset("of_whole", ("of_whole",), "here", parents=("whole",)))
    assert ground.due() == []
    pair = ("child", "twin")
    for key in pair:
        parents = ("outside",) if key == "child" else ()
        monkeypatch.setitem(CATALOG, key, Asset(key, (key,), "here", parents=parents, execution_set=pair))
    assert sorted(ground.due()) == ["child", "twin"]
    ground.run()
    assert ground.due() == []


def test_a_new_parent_on_the_way(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made of an asset that gets a new parent is made again with it, also if it saw the file before.

    It saw the file by another way, not by this one; what lies beside the new way is left alone.
    """

    def parents(**every: tuple[str, ...]) -> None:
        for key, above in every.items():
            monkeypatch.setitem(CATALOG, key, Asset(key, (key,), "here", parents=above))

    parents(x=(), child=("whole", "x"), grandchild=("child",), beside=("whole",))
    ground = Ground(repo, "asset: whole", "c.csv", "1")
    below(ground, "all")
    assert sorted(ground.due()) == ["beside", "child", "grandchild"]
    ground.run()
    assert ground.due() == []
    parents(x=("whole",))
    assert sorted(ground.due()) == ["child", "grandchild", "x"]
    ground.run()
    parents(beside=("whole", "x"))
    assert ground.due() == ["beside"], "it saw the file, but not through this parent"
    ground.run()
    parents(beside=("whole",), x=())
    assert ground.due() == []


def test_a_new_parent_above_what_the_file_feeds_itself(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CATALOG, "x", Asset("x", ("x",), "here"))
    monkeypatch.setitem(CATALOG, "direct", Asset("direct", ("direct",), "here", parents=("x",)))
    ground = Ground(repo, "assets: [whole, direct]", "c.csv", "1")
    below(ground, "all")
    assert ground.due() == []
    monkeypatch.setitem(CATALOG, "x", Asset("x", ("x",), "here", parents=("whole",)))
    assert sorted(ground.due()) == ["direct", "x"]
    ground.run()
    assert ground.due() == []


def test_a_new_parent_further_down_than_is_looked(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, parent in (("x", "whole"), ("direct", "other")):
        monkeypatch.setitem(CATALOG, key, Asset(key, (key,), "here", parents=(parent,)))
    ground = Ground(repo, "assets: [whole, direct]", "c.csv", "1")
    below(ground, "1")
    ground.run()
    monkeypatch.setitem(CATALOG, "direct", Asset("direct", ("direct",), "here", parents=("x",)))
    assert ground.due() == []
