"""Tells which checkout the project's code was loaded from."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path


def others(code: Iterable[str], top: Path) -> list[str]:
    """Returns one sentence for each other checkout of this repository that code was loaded from.

    An editable install in an environment that two checkouts share names one of them.

    Args:
        code: The files that the code locations were loaded from.
        top: The top of the working tree.
    """
    here = top.resolve()
    found: dict[Path, str] = {}
    for name in code:
        file = Path(name).resolve()
        if file.is_relative_to(here):
            continue
        other = next((folder for folder in file.parents if (folder / ".git").exists()), None)
        if other is None or other in found or here.is_relative_to(other):
            continue
        if (here / file.relative_to(other)).exists():
            found[other] = (
                f"the code is loaded from {file}, another checkout than {top}: it reads the files there. Make"
                " an environment here, with the project installed in it (`uv sync`, or `python -m venv .venv`"
                " and `.venv/bin/pip install -e .`), and deactivate the other one"
            )
    return list(found.values())


def is_plain(top: Path, path: bytes) -> bool | None:
    """Says whether a path is a file that is opened by this name, so no link, folder or code.

    None if it is gone.
    """
    name = os.fsencode(os.path.realpath(top)) + b"/" + path
    try:
        mode = os.lstat(name).st_mode
    except OSError:
        return None
    return stat.S_ISREG(mode) and os.path.realpath(name) == name and not path.endswith((b".py", b".pyc"))
