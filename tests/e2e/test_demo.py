"""The demo: five acts, each held against Dagster's event log."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from raw_trigger.demo import ACTS, Act, DemoResult, run_demo
from raw_trigger.errors import ProjectError, UsageError

pytest.importorskip("dagster")


def git(repository: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoResult, str]:
    lines: list[str] = []
    # A space and a quote: every path has to survive the shell, YAML and the hooks.
    folder = tmp_path_factory.mktemp("demo") / "it's a demo"
    with pytest.MonkeyPatch.context() as patch:
        # Made once for the module, so before the fixture that isolates each test.
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        return run_demo(folder, say=lines.append), "\n".join(lines)


def test_every_act_is_as_it_should_be(demo: tuple[DemoResult, str]) -> None:
    result, text = demo
    assert [(act.title, act.problems) for act in result.acts if not act.ok] == [], text
    assert len(result.acts) == 1 + len(ACTS), text
    assert result.ok


def test_only_what_changed_ran(demo: tuple[DemoResult, str]) -> None:
    result, _ = demo
    assert [act.seen for act in result.acts[1:]] == [
        ("raw/customers",),
        (),
        ("raw/sales|2025-03-05",),
        (),
        ("raw/returns",),
    ]


def test_the_commands_are_shown_as_they_are_typed(demo: tuple[DemoResult, str]) -> None:
    _, text = demo
    assert [line for line in text.splitlines() if line.startswith("  $ ")] == [
        "  $ raw-trigger run --all",
        "  $ raw-trigger install",
        "  $ git commit -am 'Diego has moved to Portugal'",
        "  $ git commit -am 'It is the only one'",
        "  $ git merge --no-edit corrected-sales",
        "  $ git commit -am 'Chloé had her birthday'",
        "  $ git checkout HEAD -- data/1_raw/customers.csv",
        "  $ raw-trigger diff --exit-code",
        "  $ git commit -am 'A sensor looks, too'",
        "  $ RAW_SCHEDULE_ENABLED=true dagster-daemon run &",
        "  $ raw-trigger history --limit 1",
        "  $ git commit -am 'The refund was higher'",
    ]


def test_the_repository_is_left_in_order(demo: tuple[DemoResult, str]) -> None:
    result, _ = demo
    assert git(result.repository, "status", "--porcelain") == ""
    assert git(result.repository, "log", "--format=%s", "--first-parent") == (
        "The refund was higher\nA sensor looks, too\n"
        "Merge branch 'corrected-sales'\nIt is the only one\nDiego has moved to Portugal\nThe shop"
    )
    assert sorted(path.name for path in result.folder.iterdir()) == ["dagster_home", "webshop"]


def test_it_says_how_to_look_at_it(demo: tuple[DemoResult, str]) -> None:
    result, text = demo
    assert "DAGSTER_HOME=" in text
    assert " dev" in text.splitlines()[-2]
    assert str(result.folder.name).replace("'", "'\"'\"'") in text.splitlines()[-1]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        run_demo(tmp_path, say=lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_dagster_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ProjectError) as raised:
        run_demo(tmp_path, say=lambda _: None)
    assert raised.value.hint == "pip install 'raw-trigger[dagster]'"
    assert list(tmp_path.iterdir()) == []


def test_a_result_is_good_only_if_every_act_took_place_and_was() -> None:
    good, bad = Act("good", (), ()), Act("bad", (), ("raw/a",), ("ran too much",))

    def ok(*acts: Act) -> bool:
        return DemoResult(Path(), Path(), Path(), acts).ok

    assert ok(good, *[good] * len(ACTS))
    assert not ok(good, *[good] * (len(ACTS) - 1), bad)
    assert not ok(good)
    assert not ok()
