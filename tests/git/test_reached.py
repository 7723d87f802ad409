"""What is made downstream of a file only since `downstream:` or the graph was edited is pending."""

from __future__ import annotations

import pytest

from raw_trigger.model.assets import Asset
from tests.conftest import Repo
from tests.git.test_contents import CATALOG, Ground


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
