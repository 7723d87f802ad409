"""What the words after diff and run mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raw_trigger.adopt import adopt
from raw_trigger.arguments import Asked, Words, understood
from raw_trigger.cli.app import app
from raw_trigger.errors import UsageError
from raw_trigger.model.assets import Asset, Partitions
from raw_trigger.trigger import Trigger
from tests.conftest import Repo
from tests.git.test_explain import R
from tests.support.pretended import opened

DAYS = Partitions("static", ("1", "2"))
KEYS = ("raw/lines", "raw/b", "dev", "with space", "job", "data/1_raw/both.csv")
CATALOG = {key: Asset(key, tuple(key.split("/")), "here", partitions=DAYS) for key in KEYS}
FILES = (
    "lines.csv",
    "sub/deep/x.csv",
    "sub/y.csv",
    "[x]*.csv",
    "with space.csv",
    "dev",
    "both.csv",
    "größe.csv",
    "gone.csv",
    "gone/z.csv",
)


@pytest.fixture
def shop(repo: Repo) -> Repo:
    """On `main`, with the branches `dev`, which is a file too, and `feature`; two files are gone from the disk."""
    repo.commit({"raw-trigger.yaml": "", "code.py": "", **{R + name: "1\n" for name in FILES}})
    for branch in ("dev", "feature"):
        repo.git("branch", branch)
    adopt(trigger(repo).planner, repo.git("rev-parse", "HEAD^{tree}"))
    repo.commit({"README": "x"})
    repo.write({R + "gone.csv": None, R + "gone/z.csv": None})
    return repo


def trigger(repo: Repo) -> Trigger:
    return opened(repo.top, CATALOG)


def ask(repo: Repo, words: Sequence[str], folder: str = ".") -> Asked:
    """The words as a shell has split them."""
    first, named = tuple(words), None
    if "--" in words:
        at = list(words).index("--")
        first, named = tuple(words[:at]), tuple(words[at + 1 :])
    return understood(trigger(repo).planner, Words(first, named), repo.top / folder)


@pytest.mark.parametrize(
    ("words", "folder", "base", "paths", "assets"),
    [
        ("", ".", "recorded", [], []),
        ("HEAD~1", ".", "HEAD~1", [], []),
        ("feature", ".", "feature", [], []),
        ("feature..", ".", "feature", [], []),
        ("feature main", ".", "feature", [], []),
        # files
        (R + "lines.csv", ".", "recorded", ["data/1_raw/lines.csv"], []),
        ("lines.csv", ".", "recorded", ["data/1_raw/lines.csv"], []),
        ("./data/../data/1_raw/lines.csv", ".", "recorded", ["data/1_raw/lines.csv"], []),
        ("lines.csv", R, "recorded", ["data/1_raw/lines.csv"], []),
        ("../lines.csv", R + "sub", "recorded", ["data/1_raw/lines.csv"], []),
        (R + "lines.csv", R + "sub", "recorded", ["data/1_raw/lines.csv"], []),
        ("größe.csv", ".", "recorded", ["data/1_raw/größe.csv"], []),
        ("[x]*.csv", R, "recorded", ["data/1_raw/[[]x][*].csv"], []),
        (R + "gone.csv", ".", "recorded", ["data/1_raw/gone.csv", "data/1_raw/gone.csv/**"], []),
        (R + "gone", ".", "recorded", ["data/1_raw/gone", "data/1_raw/gone/**"], []),
        # folders
        (R + "sub", ".", "recorded", ["data/1_raw/sub", "data/1_raw/sub/**"], []),
        (R + "sub/", ".", "recorded", ["data/1_raw/sub", "data/1_raw/sub/**"], []),
        (".", R + "sub", "recorded", ["data/1_raw/sub", "data/1_raw/sub/**"], []),
        ("..", R + "sub", "recorded", ["data/1_raw", "data/1_raw/**"], []),
        ("data", ".", "recorded", ["data", "data/**"], []),
        (".", ".", "recorded", ["**"], []),
        # globs
        (R + "*.csv", ".", "recorded", ["data/1_raw/*.csv"], []),
        ("**/*.csv", R, "recorded", ["data/1_raw/**/*.csv"], []),
        ("../l?nes.csv", R + "sub", "recorded", ["data/1_raw/l?nes.csv"], []),
        # assets
        ("raw/lines", ".", "recorded", [], ["raw/lines"]),
        ("raw/lines raw/b", ".", "recorded", [], ["raw/lines", "raw/b"]),
        ("raw/lines", R + "sub", "recorded", [], ["raw/lines"]),
        ("nightly", ".", "recorded", [], ["job:nightly"]),
        ("job:nightly", ".", "recorded", [], ["job:nightly"]),
        ("with\N{NO-BREAK SPACE}space", ".", "recorded", [], ["with space"]),
        # both
        ("HEAD~1 raw/lines", ".", "HEAD~1", [], ["raw/lines"]),
        ("feature main raw/b", ".", "feature", [], ["raw/b"]),
        ("feature..main " + R + "sub", ".", "feature", ["data/1_raw/sub", "data/1_raw/sub/**"], []),
        ("HEAD " + R + "lines.csv raw/b", ".", "HEAD", ["data/1_raw/lines.csv"], ["raw/b"]),
        # said with --
        ("dev", ".", "dev", [], []),
        ("dev --", R, "dev", [], []),
        ("-- lines.csv", R, "recorded", ["data/1_raw/lines.csv"], []),
        ("feature -- raw/b", ".", "feature", [], ["raw/b"]),
        ("--", ".", "recorded", [], []),
    ],
)
def test_words(shop: Repo, words: str, folder: str, base: str, paths: list[str], assets: list[str]) -> None:
    # A space that no shell splits at.
    asked = ask(shop, [word.replace("\N{NO-BREAK SPACE}", " ") for word in words.split(" ") if word], folder)
    assert (asked.base.kind if base == "recorded" else asked.base.name) == base
    assert (list(asked.narrowing.paths), list(asked.narrowing.assets)) == (paths, assets)


@pytest.mark.parametrize("absolute", [True, False])
def test_a_path_through_a_link_to_the_repository(shop: Repo, tmp_path: Path, absolute: bool) -> None:
    link = tmp_path / "link"
    link.symlink_to(shop.top)
    name = f"{link}/{R}lines.csv" if absolute else "lines.csv"
    asked = understood(trigger(shop).planner, Words((name,)), link / R)
    assert asked.narrowing.paths == ("data/1_raw/lines.csv",)


def test_a_partition(shop: Repo) -> None:
    asked = ask(shop, ["raw/b|1", "raw/b|2"])
    assert asked.narrowing.assets == ("raw/b",)
    assert asked.narrowing.partitions == (("1", "1"), ("2", "2"))
    for words in (["raw/b|1", "raw/lines|2"], ["raw/b|1", "raw/lines"]):
        with pytest.raises(UsageError, match="partitions of several assets"):
            ask(shop, words)


@pytest.mark.parametrize(
    ("words", "folder", "said"),
    [
        ("dev", R, "'dev' is both a revision and a raw file or folder"),
        ("HEAD dev", R, "'dev' is both a revision and a raw file or folder"),
        (R + "both.csv", ".", "'data/1_raw/both.csv' is both a raw file or folder and an asset"),
        ("code.py", ".", "'code.py' is no raw file (the raw roots are data/1_raw)"),
        ("/etc", ".", "'/etc' is no revision, no raw file and no asset"),
        ("nowhere", ".", "'nowhere' is no revision, no raw file and no asset"),
        ("raw/line", ".", "did you mean 'raw/lines'?"),
        ("raw/line", ".", "did you mean 'raw/lines'?"),
        ("-- feature", ".", "'feature' is no raw file and no asset"),
        ("nowhere --", ".", "the revision 'nowhere' is not here"),
        ("HEAD~9", ".", "the revision 'HEAD~9' is not here"),
        ("feature..nowhere", ".", "the revision 'nowhere' is not here"),
        ("1234567", ".", "the revision '1234567' is not here"),
        ("raw/b feature", ".", "the revision 'feature' comes after a name"),
        (R + "lines.csv feature", ".", "the revision 'feature' comes after a name"),
        ("feature main dev", ".", "two revisions at most"),
        ("*.xlsx", R, "'*.xlsx' is no revision, no raw file and no asset"),
    ],
)
def test_what_cannot_be_told_is_an_error(shop: Repo, words: str, folder: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        ask(shop, words.split(), folder)
    assert said in str(caught.value)


def test_an_empty_word(shop: Repo) -> None:
    with pytest.raises(UsageError, match="'' is no revision"):
        ask(shop, [""])


def test_a_command_without_the_dagster_project(shop: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after `--` is never a revision, also where an option comes before."""
    monkeypatch.chdir(shop.top / R)
    shop.write({R + "lines.csv": "2\n", R + "sub/y.csv": "2\n"})

    def shown(*args: str) -> list[str]:
        done = CliRunner().invoke(app, ["diff", "--no-catalog", *args], prog_name="raw-trigger")
        assert done.exit_code == 0, done.stderr
        return [line.split(" → ")[0] for line in done.stdout.splitlines() if line.startswith("  M ")]

    assert shown("--", "lines.csv") == ["  M data/1_raw/lines.csv"]
    assert shown("sub/") == shown("feature", "sub") == ["  M data/1_raw/sub/y.csv"]
    assert shown("feature", "--", "lines.csv", "sub") == shown("dev", "--") == shown()


def test_a_file_of_one_of_several_projects(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    config = "assets: [{path: '*.csv', asset: a}]\n"
    for folder in ("shop/", "mail/"):
        repo.commit({f"{folder}raw-trigger.yaml": config, f"{folder}{R}x.csv": "1\n"})
        repo.write({f"{folder}{R}x.csv": "2\n"})
    monkeypatch.chdir(repo.top)
    for words in (["shop/data/1_raw/x.csv"], ["--", "shop/data"], ["HEAD", "shop"]):
        done = CliRunner().invoke(app, ["diff", "--no-catalog", *words], prog_name="raw-trigger")
        assert done.exit_code == 0, done.stderr
        assert [line for line in done.stdout.splitlines() if "x.csv" in line] == [
            "  M shop/data/1_raw/x.csv → a"
        ]
