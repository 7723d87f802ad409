"""Finds DVC's cache: in the ``.dvc`` folder, or where its configuration says."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from raw_trigger.documents import MOST_TEXT, read_bytes

FILES = ("config.local", "config")
"""The configuration of the clone, which takes precedence, and that of the repository."""


def cache_of(folder: Path) -> Path:
    """Returns the cache of a DVC project.

    Args:
        folder: Its ``.dvc``. A relative ``cache.dir`` is relative to the file that contains it (DVC's
            ``config.py``, ``Config._resolve``). The configurations of a user or a machine are not read.
    """
    return _found(folder, tuple(_stamp(folder / name) for name in FILES))


@lru_cache(maxsize=100)
def _found(folder: Path, stamps: tuple[tuple[int, int] | None, ...]) -> Path:
    """Returns the cache; the stamps make a changed configuration another call of this cached function."""
    for name, stamp in zip(FILES, stamps, strict=True):
        said = None if stamp is None else _directory(folder / name)
        if said is not None:
            return Path(os.path.normpath(folder / Path(said).expanduser()))
    return folder / "cache"


def _directory(file: Path) -> str | None:
    """Returns ``cache.dir`` of one file; None if the file does not set it or cannot be read."""
    try:
        text = read_bytes(file, MOST_TEXT).decode()
    except (OSError, ValueError):
        return None
    if "cache" not in text:
        return None
    import configparser

    parser = configparser.RawConfigParser(
        strict=False, allow_no_value=True, inline_comment_prefixes=("#",), empty_lines_in_values=False
    )
    try:
        # DVC indents the lines of a section; configparser would take such a line for a continuation.
        parser.read_string("\n".join(line.strip() for line in text.splitlines()))
        said = parser.get("cache", "dir", fallback=None)
    except configparser.Error:
        return None
    if said and said[0] == said[-1] and said[0] in "'\"":
        said = said[1:-1]
    # A cache such as `s3://…` is no folder and has no content on this machine.
    return said if said and "://" not in said else None


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
