"""Which file applies in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from raw_trigger.config import find_config, load_config
from raw_trigger.errors import ConfigError


@pytest.mark.parametrize(
    ("files", "start", "found"),
    [
        (["raw-trigger.yaml"], "", "raw-trigger.yaml"),
        (["raw-trigger.yaml"], "a/b", "raw-trigger.yaml"),
        (["raw-trigger.yml"], "a/b", "raw-trigger.yml"),
        (["raw-trigger.yaml", "a/raw-trigger.yml"], "a/b", "a/raw-trigger.yml"),
        (["raw-trigger.yaml", "a/raw-trigger.yaml"], "c", "raw-trigger.yaml"),
        (["a/raw-trigger.yaml"], "", None),
        (["../raw-trigger.yaml"], "a", None),
        ([], "a/b", None),
        (["raw-trigger.yaml"], "..", "raw-trigger.yaml"),
    ],
)
def test_the_nearest_one(tmp_path: Path, files: list[str], start: str, found: str | None) -> None:
    """At the start or above, never above the repository."""
    top = tmp_path / "repo"
    for folder in ("a/b", "c"):
        (top / folder).mkdir(parents=True)
    for name in files:
        (top / name).write_text("")
    assert find_config(top / start, top) == (None if found is None else top / found)


def test_both_names_in_one_folder(tmp_path: Path) -> None:
    """Nobody can know which is meant."""
    (tmp_path / "p").mkdir()
    for name in ("raw-trigger.yaml", "raw-trigger.yml"):
        (tmp_path / "p" / name).write_text("")
    with pytest.raises(ConfigError) as caught:
        find_config(tmp_path / "p", tmp_path)
    assert str(caught.value) == (
        "p/raw-trigger.yml:1:1: raw-trigger.yaml is in the same folder; keep one of them"
    )


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    """And reported when it is read, instead of being passed over."""
    (tmp_path / "raw-trigger.yaml").symlink_to("gone")
    path = find_config(tmp_path, tmp_path)
    assert path == tmp_path / "raw-trigger.yaml"
    with pytest.raises(ConfigError) as caught:
        load_config(path, tmp_path)
    assert str(caught.value) == (
        "raw-trigger.yaml:1:1: cannot be read: No such file or directory; check the path and its rights"
    )
