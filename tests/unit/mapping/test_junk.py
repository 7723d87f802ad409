"""What programs leave beside the data."""

from __future__ import annotations

import pytest

from raw_trigger.mapping.junk import junk
from raw_trigger.mapping.rules import Match
from raw_trigger.model.plan import Target
from tests.unit.conftest import book, catalog, rule

ASSETS = catalog(raw___DS_Store={}, raw__x={"metadata": (("path", "data/1_raw"),)}, a={})


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("~$x.xlsx", "~$*"),
        ("2026/.~lock.x.ods#", ".~lock.*#"),
        (".DS_Store", ".DS_Store"),
        ("a/b/Thumbs.db", "Thumbs.db"),
        ("THUMBS.DB", "Thumbs.db"),
        ("desktop.ini", "desktop.ini"),
        (".x.csv.swp", ".*.sw[a-p]"),
        ("x.swp", "*.swp"),
        (".x.csv.swo", ".*.sw[a-p]"),
        ("x.csv~", "*~"),
        ("#x.csv#", "#*#"),
        (".#x.csv", ".#*"),
        ("._x.csv", "._*"),
        (".gitignore", ".gitignore"),
        ("a/.gitkeep", ".gitkeep"),
        ("__MACOSX/x.csv", "__MACOSX/"),
        ("a/.ipynb_checkpoints/b/x.csv", ".ipynb_checkpoints/"),
        # Data, whatever it looks like.
        ("x.csv", None),
        ("x~y.csv", None),
        ("$x.csv", None),
        ("x.swp.csv", None),
        ("#1.csv", None),
        (".hidden.csv", None),
        ("x.bak", None),
        ("x.tmp", None),
        ("__MACOSX", None),
        ("new\nline~", "*~"),
        ("\udcff~", "*~"),
        ("", None),
    ],
)
def test_what_is_junk(path: str, pattern: str | None) -> None:
    assert junk(path) == pattern


IGNORED = Match("no data (~$*)", ignore=True)


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        ((), "~$x.xlsx", IGNORED),
        ((), "x.xlsx", Match("metadata of raw/x", (Target("raw/x"),))),
        (("**",), "~$x.xlsx", IGNORED),
        (("{name}.xlsx",), "~$x.xlsx", IGNORED),
        (("*.xlsx", "~$*.xlsx"), "~$x.xlsx", Match("raw-trigger.yaml:2", (Target("a"),))),
        (("~$x.xlsx",), "~$x.xlsx", Match("raw-trigger.yaml:1", (Target("a"),))),
        (("**/.git*", "*"), ".gitkeep", Match("no data (.gitkeep)", ignore=True)),
        (("*", "**/.gitkeep"), ".gitkeep", Match("raw-trigger.yaml:2", (Target("a"),))),
        (("*", "{x}.swp"), "x.swp", Match("raw-trigger.yaml:2", (Target("a"),))),
        (("__MACOSX/*",), "__MACOSX/x.csv", Match("raw-trigger.yaml:1", (Target("a"),))),
    ],
)
def test_a_rule_of_the_file_overrules_it_only_by_name(
    patterns: tuple[str, ...], path: str, expected: Match
) -> None:
    rules = book(*(rule(pattern, "a") for pattern in patterns), assets=ASSETS)
    assert rules.match(f"data/1_raw/{path}".encode()) == expected


def test_junk_makes_no_rules_overlap() -> None:
    rules = book(rule("**/.DS_Store"), rule("**", "a"), assets=ASSETS)
    paths = [b"data/1_raw/.DS_Store", b"data/1_raw/x.csv"]
    assert rules.overlaps(paths) == {}
    assert rules.unused_rules(paths) == []
