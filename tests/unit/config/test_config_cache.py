"""A file that did not change is not parsed again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import raw_trigger
from raw_trigger.config import cache, load_config
from raw_trigger.errors import ConfigError

TEXT = """\
root: [a, b]
dagster: {python: [uv, run, python], module_name: m}
downstream: 2
on_failure: notify-send raw-trigger failed
hooks: {pre-push: off}
assets:
  - {path: x.csv, assets: [raw/x, raw/y], partition: {region: ä, date: "{stem}"}, on_delete: fail}
  - {path: y.csv, asset: raw/y, partition: "{stem}"}
  - {path: z.csv, ignore: true}
"""

PROBE = """\
import sys
from pathlib import Path
from raw_trigger.config import load_config
config = load_config(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
print(len(config.rules), sorted({"yaml", "pydantic", "pydantic_core", "jsonschema"} & set(sys.modules)))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "raw-trigger.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def probe(file: Path, folder: Path) -> str:
    package = Path(raw_trigger.__file__).parents[1]
    command = [sys.executable, "-c", PROBE, str(file), str(file.parent), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(package)}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_a_hit_loads_neither_parser_nor_models(file: Path, tmp_path: Path) -> None:
    """They cost more than everything else that a hook does."""
    assert probe(file, tmp_path / "cache") == "3 ['pydantic', 'pydantic_core', 'yaml']\n"
    assert probe(file, tmp_path / "cache") == "3 []\n"


def test_a_hit_is_equal_to_a_miss(file: Path, tmp_path: Path) -> None:
    """Tuples, positions and all."""
    fresh = load_config(file, tmp_path)
    assert load_config(file, tmp_path, tmp_path / "cache") == fresh
    (kept,) = entries(tmp_path / "cache")
    assert cache.read(kept) == fresh
    assert load_config(file, tmp_path, tmp_path / "cache") == fresh
    assert repr(cache.read(kept)) == repr(fresh)


def test_what_it_is_made_from_is_its_address(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes, the name that is shown, the folder and the version of the program."""
    folder = tmp_path / "cache"
    names = {
        cache.entry(folder, b"root: a", "raw-trigger.yaml", ""),
        cache.entry(folder, b"root: b", "raw-trigger.yaml", ""),
        cache.entry(folder, b"root: a", "raw-trigger.yml", ""),
        cache.entry(folder, b"root: a", "raw-trigger.yaml", "p"),
        cache.entry(folder, b"root: araw-trigger", ".yaml", ""),
    }
    monkeypatch.setattr(cache, "__version__", "99")
    names.add(cache.entry(folder, b"root: a", "raw-trigger.yaml", ""))
    assert len(names) == 6


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"3", b"null", b"\xff\xfe", b'{"dagster": {"x": 1}}', b"[" * 100_000]
)
def test_a_corrupt_entry_is_none(file: Path, tmp_path: Path, content: bytes) -> None:
    """It is parsed and written again."""
    fresh = load_config(file, tmp_path, tmp_path / "cache")
    (kept,) = entries(tmp_path / "cache")
    whole = kept.read_bytes()
    for broken in (content, whole[:-20]):
        kept.write_bytes(broken)
        assert load_config(file, tmp_path, tmp_path / "cache") == fresh
        assert kept.read_bytes() == whole


def test_only_what_is_correct_is_kept(file: Path, tmp_path: Path) -> None:
    """A wrong file is reported every time."""
    file.write_text("rot: a\n")
    for _ in range(2):
        with pytest.raises(ConfigError):
            load_config(file, tmp_path, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_the_newest_entries_stay(file: Path, tmp_path: Path) -> None:
    """And nothing else of the folder is touched."""
    count = cache.KEPT + 4
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "other.json").write_text("mine")
    for i in range(count):
        file.write_text(f"batch_size: {i + 1}\n")
        load_config(file, tmp_path, folder)
        for path in folder.glob("config-*"):
            if path.stat().st_mtime_ns > 10**12:
                os.utime(path, ns=(i, i))
    kept = [config for path in folder.glob("config-*.json") if (config := cache.read(path)) is not None]
    assert sorted(config.batch_size for config in kept) == list(range(5, count + 1))
    assert len(entries(folder)) == cache.KEPT + 1


def test_a_folder_that_cannot_be_made_is_no_error(file: Path, tmp_path: Path) -> None:
    """The cache saves time and nothing more."""
    (tmp_path / "cache").write_text("a file")
    assert load_config(file, tmp_path, tmp_path / "cache") == load_config(file, tmp_path)
