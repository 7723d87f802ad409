"""Documents that anybody may have written: what they are, or one ValueError, whatever is in them."""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from raw_trigger.config import load_config
from raw_trigger.documents import MOST_TEXT, load_json, load_yaml, read_bytes, read_text
from raw_trigger.errors import ConfigError
from raw_trigger.model.project import DagsterOptions
from raw_trigger.project import DagsterProject
from raw_trigger.project.presence import has_project


def aliases(first: str, each: str) -> bytes:
    lines = [f"a: &a {first}"]
    lines += [f"{new}: &{new} {each % ', '.join(['*' + old] * 9)}" for old, new in pairwise("abcdefgh")]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (aliases("[1, 2, 3, 4, 5, 6, 7, 8, 9]", "[%s]"), "it stands for more than 1000000 values"),
        (aliases("{x: 1, y: 2}", "{<<: [%s]}"), "it stands for more than 1000000 values"),
        (b"a: &a [*a]", "it contains itself by an alias"),
        (b"[" * 200 + b"]" * 200, "it is nested in more than 100 levels"),
        (b"[" * 100_000, "nest"),
        (b"? " * 100_000, "nest"),
        (b"a: " + b"9" * 5000, "it has a number of more than 100 digits"),
        (b"a: 0x" + b"f" * 5000, "it has a number of more than 100 digits"),
        (b"a: " + b"1:" * 5000 + b"1", "it has a number of more than 100 digits"),
        (b"a: 1\nb: 2\na: 3", "the name 'a' is there twice, again on line 3"),
        (b"#" * (MOST_TEXT + 1), "it is larger than 4 MB"),
        (b"a: 2026-99-99", "month must be in"),
        (b"a: \xff", "invalid"),
        (b"? {a: 1}\n: 2", "unhashable key"),
        (b"a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        (b"a: !!int x", "invalid literal"),
        (b"a: !!int ''", "a value that is none"),
        (b"a: !!bool x", "a value that is none"),
        (b"a: !!timestamp x", "a value that is none"),
        (b'a: "\\UFFFFFFFF"', "escape code"),
        (b"--- 1\n--- 2", "another document"),
    ],
    ids=str,
)
def test_yaml_that_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_yaml(text)


def test_yaml() -> None:
    assert load_yaml(b"a: &x [1, b]\nc: *x\n") == {"a": [1, "b"], "c": [1, "b"]}
    assert load_yaml(b"") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"a":' * 100_000, "it is nested too deeply"),
        (b'{"b": {"a": 1, "a": 2}}', "the name 'a' is there twice"),
        (b"[NaN]", "NaN is no number"),
        (b"9" * 5000, "limit"),
        (b'"\xff"', "invalid"),
        (b"", "Expecting value"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_json_that_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_json(text)


def test_a_file_that_is_none_or_too_large(tmp_path: Path) -> None:
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "large").write_bytes(b"12345")
    with pytest.raises(ValueError, match="it is no regular file"):
        read_bytes(tmp_path / "zero")
    with pytest.raises(ValueError, match="it is larger than 0 MB"):
        read_bytes(tmp_path / "large", 4)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none")
    assert read_bytes(tmp_path / "large", 5) == b"12345"


def test_the_text_of_a_small_file(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"a\xff")
    (tmp_path / "large").write_bytes(b"#" * (MOST_TEXT + 1))
    (tmp_path / "zero").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    names = ("good", "large", "zero", "pipe", "none", ".")
    assert [read_text(tmp_path / name) for name in names] == ["a\N{REPLACEMENT CHARACTER}", *[""] * 5]


# Each of these comes with a pull request.
@pytest.mark.parametrize(
    "name", [".env", ".pdm-python", "environment.yml", "pyproject.toml", "raw-trigger.yaml"]
)
def test_a_file_of_the_project_that_never_ends(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/dev/zero")
    (tmp_path / "pdm.lock").touch()
    environ = {"PATH": "/nowhere", "CONDA_EXE": "/conda/bin/conda"}
    project = DagsterProject(tmp_path, DagsterOptions(), tmp_path / "home", tmp_path, tmp_path, environ)
    assert (project.home(), has_project(tmp_path)) == (tmp_path / "home", False)
    assert project.interpreter().command == (sys.executable,)
    if name == "raw-trigger.yaml":
        with pytest.raises(ConfigError, match=r"^raw-trigger\.yaml:1:1: this is no regular file"):
            load_config(tmp_path / name, tmp_path)
