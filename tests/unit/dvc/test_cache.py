"""Where DVC's cache is. What is expected is what `dvc cache dir` of DVC 3.67 says of the same files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raw_trigger.dvc.cache import cache_of


@pytest.mark.parametrize(
    ("config", "local", "expected"),
    [
        (None, None, ".dvc/cache"),
        ("", "", ".dvc/cache"),
        ("[core]\n    remote = store\n['remote \"store\"']\n    url = ../cache\n", None, ".dvc/cache"),
        ("[cache]\n    dir = ../../shared\n", None, "../shared"),
        ("[cache]\n    dir = /else/where\n", None, "/else/where"),
        ("[cache]\n    dir = ~/cache\n", None, "~/cache"),
        ("[cache]\n    dir = ../one\n", "[cache]\n    dir = ../two\n", "two"),
        ("[cache]\n    dir = ../one\n", "[cache]\n    type = symlink\n", "one"),
        (
            "[core]\n    analytics = false\n[cache]\n    type = hardlink\n    dir = 'my, cache'\n",
            None,
            ".dvc/my, cache",
        ),
        ("[cache]\n    dir = 50%  # of it\n", None, ".dvc/50%"),
        ("[cache]\n    dir = s3://bucket/cache\n", None, ".dvc/cache"),
        ("[cache\nno configuration", None, ".dvc/cache"),
    ],
)
def test_where_the_cache_is(tmp_path: Path, config: str | None, local: str | None, expected: str) -> None:
    folder = tmp_path / "repo/.dvc"
    folder.mkdir(parents=True)
    for name, text in (("config", config), ("config.local", local)):
        if text is not None:
            (folder / name).write_text(text)
    assert cache_of(folder) == Path(os.path.normpath(tmp_path / "repo" / Path(expected).expanduser()))


def test_a_cache_that_moves_is_found(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[cache]\ndir = one\n")
    assert cache_of(tmp_path).name == "one"
    config.write_text("[cache]\ndir = another\n")
    assert cache_of(tmp_path).name == "another"
