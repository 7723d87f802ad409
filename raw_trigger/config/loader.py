"""Finds and reads ``raw-trigger.yaml``, from the cache if possible."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path

from raw_trigger.config import cache
from raw_trigger.errors import ConfigError
from raw_trigger.model.settings import Config

NAMES = ("raw-trigger.yaml", "raw-trigger.yml")

MAX_BYTES = 1024 * 1024
"""Far above what people write. A larger file is some other file, and would take minutes to parse."""


def load_config(path: Path, top: Path, cache_dir: Path | None = None) -> Config:
    """Returns the configuration that the file contains.

    Args:
        path: The file, inside the repository.
        top: The repository's top.
        cache_dir: A folder for parsed configurations, created if needed; None parses every time.

    Raises:
        ConfigError: the file cannot be read, or is wrong. The message has one line for each problem, in the
            order of the file, each beginning with ``file:line:column:``.
    """
    shown = _shown(path, top)
    folder = posixpath.dirname(shown)
    data = _read(path, shown)
    entry = None if cache_dir is None else cache.entry(cache_dir, data, shown, folder)
    config = None if entry is None else cache.read(entry)
    if config is None:
        from raw_trigger.config.parsing import parse

        config = parse(data, shown)
        if entry is not None:
            cache.write(entry, config)
    return config


def require_readable(data: bytes, shown: str) -> None:
    """Raises the error with which a file of this content would be refused.

    Args:
        data: The content of a configuration, which need not be on disk.
        shown: Its name relative to the repository's top.

    Raises:
        ConfigError: the configuration is wrong.
    """
    from raw_trigger.config.parsing import parse

    _require_small(data, shown)
    parse(data, shown)


def find_config(start: Path, top: Path) -> Path | None:
    """Returns the nearest ``raw-trigger.yaml`` (or ``.yml``) in ``start`` or above it, up to ``top``.

    None if there is none.

    Args:
        start: A folder. If it is outside the repository, only ``top`` is searched.
        top: The repository's top.

    Raises:
        ConfigError: one folder has both names.
    """
    top = top.resolve()
    start = start.resolve()
    folders = [start, *start.parents] if start.is_relative_to(top) else [top]
    for folder in folders:
        # A dangling link counts as found: reading it later reports the error.
        found = [folder / name for name in NAMES if os.path.lexists(folder / name)]
        if len(found) > 1:
            where = _shown(found[1], top)
            raise ConfigError(f"{where}:1:1: {NAMES[0]} is in the same folder; keep one of them")
        if found:
            return found[0]
        if folder == top:
            break
    return None


def _shown(path: Path, top: Path) -> str:
    """Returns the path relative to the top, with ``/``. The file itself may be a link to anywhere."""
    absolute = path.parent.resolve() / path.name
    try:
        return absolute.relative_to(top.resolve()).as_posix()
    except ValueError:
        raise ConfigError(
            f"{path}:1:1: the file is outside the repository; move it to {top} or a folder below"
        ) from None


def _read(path: Path, shown: str) -> bytes:
    if path.is_fifo() or path.is_char_device():  # a link may lead to what never ends
        raise ConfigError(f"{shown}:1:1: this is no regular file; a file of this name is wanted")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise ConfigError(f"{shown}:1:1: this is a folder; a file of this name is wanted") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{shown}:1:1: cannot be read: {reason}; check the path and its rights") from error
    _require_small(data, shown)
    return data


def _require_small(data: bytes, shown: str) -> None:
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{shown}:1:1: larger than {MAX_BYTES} bytes; use patterns instead of single paths")
