"""``forget``: what was recorded is pending again. ``adopt`` takes that back."""

from __future__ import annotations

from pathlib import Path

import pytest

from raw_trigger.adopt import adopt, forget, require_files
from raw_trigger.errors import UsageError
from raw_trigger.explain import AssetExplanation, Explainer
from raw_trigger.model.plan import Narrowing
from raw_trigger.planner import Wishes
from tests.conftest import Repo
from tests.git.test_tracked import dvc, two
from tests.support.dvc import DvcRepo
from tests.support.one_rule import ROWS, START, Ground

__all__ = ["dvc"]
R = b"data/1_raw/"


@pytest.fixture
def ground(repo: Repo) -> Ground:
    """Two files, of which two assets are made."""
    repo.write({"data/1_raw/b.csv": "b"})
    made = Ground(repo, "assets: [whole, all]", "[ab].csv", "a")
    (repo.top / "data/1_raw/[ab].csv").rename(repo.top / "data/1_raw/a.csv")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "two files")
    adopt(made.trigger().planner, repo.git("rev-parse", "HEAD^{tree}"))
    return made


@pytest.mark.parametrize(
    ("narrowing", "forgotten"),
    [
        (Narrowing(), {"a": {"all", "whole"}, "b": {"all", "whole"}}),
        (Narrowing(paths=("a.csv",)), {"a": {"all", "whole"}}),
        (Narrowing(assets=("whole",)), {"a": {"whole"}, "b": {"whole"}}),
        (Narrowing(paths=("data/1_raw/b*",), assets=("all",)), {"b": {"all"}}),
    ],
)
def test_what_is_forgotten_is_pending(
    ground: Ground, narrowing: Narrowing, forgotten: dict[str, set[str]]
) -> None:
    assert ground.due() == []
    found = forget(ground.trigger(Wishes(narrowing)).planner)
    assert found == {R + f"{name}.csv".encode(): frozenset(t) for name, t in forgotten.items()}
    assert ground.due() == sorted(set().union(*forgotten.values()))
    assert [planned.change.path for planned in ground.plan().changes] == sorted(found)
    assert ground.run()[0] == sorted(set().union(*forgotten.values()))
    assert ground.due() == []


def test_what_is_no_raw_file_is_told_as_adopt_does(ground: Ground) -> None:
    head = ground.repo.git("rev-parse", "HEAD^{tree}")
    said = "no raw file matches data/1_raw or sub/"
    with pytest.raises(UsageError, match=f"^{said}\n"):
        forget(ground.trigger(Wishes(Narrowing(paths=("data/1_raw", "sub/")))).planner)
    with pytest.raises(UsageError, match=f"^{said}\n"):
        require_files(ground.trigger().planner, head, ("data/1_raw", "sub/"))


def test_it_is_pending_whatever_becomes_of_the_file(ground: Ground) -> None:
    """Of UNKNOWN nobody can say that it is the file's absence."""
    forget(ground.trigger(Wishes(Narrowing(assets=("whole",)))).planner)
    for name in "ab":
        (ground.repo.top / f"data/1_raw/{name}.csv").unlink()
    assert {t.target.text for t in ground.plan().targets} == {"all", "whole"}
    ground.repo.git("checkout", "-q", "--", ".")
    assert ground.due() == ["whole"]
    adopt(ground.trigger().planner, ground.repo.git("rev-parse", "HEAD^{tree}"))
    assert ground.due() == []


def test_what_fails_afterwards_stays_pending(ground: Ground) -> None:
    forget(ground.trigger().planner)
    assert ground.run("all")[0] == ["all", "whole"]
    assert ground.due() == ["all"]


def test_where_nothing_is_recorded_yet(ground: Ground) -> None:
    """HEAD would be taken for what is materialized."""
    ground.repo.git("update-ref", "-d", "refs/raw-trigger/local")
    assert ground.due() == []
    forget(ground.trigger().planner)
    assert ground.due() == ["all", "whole"]


@pytest.mark.parametrize(
    "narrowing", [Narrowing(assets=("concepts",)), Narrowing(paths=("a.csv",), assets=("concepts",))]
)
def test_nothing_that_was_asked_for(ground: Ground, narrowing: Narrowing) -> None:
    with pytest.raises(UsageError, match="nothing that was asked for is recorded for 'local'"):
        forget(ground.trigger(Wishes(narrowing)).planner)


def test_one_partition_of_a_table(repo: Repo) -> None:
    ground = Ground(repo, f"asset: concepts, {ROWS}", "concepts.csv", START)
    forget(ground.trigger(Wishes(Narrowing(assets=("concepts",), partitions=(("B", "B"),)))).planner)
    assert ground.due() == ["concepts|B"]
    forget(ground.trigger().planner)
    assert ground.due() == ["concepts|A", "concepts|B", "concepts|C"]


def test_what_is_made_from_an_external_asset(repo: Repo) -> None:
    """It reads the file itself, so it can be forgotten, explained and made by itself."""
    ground = Ground(repo, "asset: seen, partition: A", "seen.csv", "1\n")
    only = Wishes(Narrowing(assets=("all",)))
    assert forget(ground.trigger(only).planner) == {R + b"seen.csv": frozenset({"all"})}
    assert ground.due() == ["all"]
    [file] = explained(ground, "all").files
    assert (file.path, file.pending, file.again) == ("data/1_raw/seen.csv", True, "unknown")
    assert ground.run(wishes=only)[0] == ["all"]
    assert ground.due() == []
    assert explained(ground, "all").files == ()
    assert ground.run(wishes=only, everything=True)[0] == ["all"]


def explained(ground: Ground, name: str) -> AssetExplanation:
    found = Explainer(ground.trigger().planner).explain(name, ground.repo.top)
    assert isinstance(found, AssetExplanation)
    return found


def test_what_dvc_has(dvc: DvcRepo) -> None:
    two(dvc, "1\n", "1\n")
    dvc.git("add", "-A")
    dvc.commit()
    dvc.adopt()
    assert forget(dvc.trigger("b.csv").planner) == {R + b"b.csv": frozenset({"b"})}
    assert [t.target.text for t in dvc.plan().actionable] == ["b"]
    assert dvc.run().made == ["b"]
    assert dvc.settled()


def test_the_processes_do_not_grow_with_the_files(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write({f"data/1_raw/{number}.csv": "1" for number in range(200)})
    ground = Ground(repo, "asset: whole", "*.csv", "1")
    monkeypatch.setenv("GIT_TRACE2", str(tmp_path / "trace"))
    assert len(forget(ground.trigger().planner)) == 201
    started = [line for line in (tmp_path / "trace").read_text().splitlines() if " start " in line]
    assert len(started) < 50
    assert ground.due() == ["whole"]
