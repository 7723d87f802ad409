"""How to name a Dagster project that nothing in the folder names. Pure."""

from __future__ import annotations

import os
import posixpath
import shlex
from collections.abc import Collection, Sequence

_FILES = ("definitions.py", "defs.py", "repository.py")
_NO_PROJECT = frozenset({"doc", "docs", "examples", "node_modules", "site-packages", "test", "tests"})


def name_it(names: Sequence[str], start: str) -> str:
    """The command that names the project which the files look like.

    Args:
        names: Every file, relative to the repository's top.
        start: Where the command was started, likewise.
    """
    usual = [name for name in names if posixpath.basename(name) in _FILES]
    likely = [name for name in usual if _NO_PROJECT.isdisjoint(name.split("/"))]
    if not likely:
        return "name it: `raw-trigger -m my_project.definitions init`, or `-f` with a file"
    file = min(likely, key=lambda one: (one.count("/"), _FILES.index(posixpath.basename(one)), one))
    return as_module(names, file, start) or f"name it: `raw-trigger {_by_file(file, start)} init`"


def as_module(names: Collection[str], file: str, start: str) -> str | None:
    """The command that names a file of a package by its module; None: it is in no package."""
    above, module = posixpath.dirname(file), [posixpath.basename(file).removesuffix(".py")]
    while above and f"{above}/__init__.py" in names:
        module.insert(0, posixpath.basename(above))
        above = posixpath.dirname(above)
    if len(module) == 1:
        return None
    command = f"name it by its module: `raw-trigger {_in(above, start)}-m {'.'.join(module)} init`"
    if posixpath.basename(above) == "src":
        command = f"name it by its module: `raw-trigger -m {'.'.join(module)} init`"
        return f"{command}, where the project is installed (`pip install -e .`)"
    return command


def _by_file(file: str, start: str) -> str:
    return f"{_in(posixpath.dirname(file), start)}-f {shlex.quote(posixpath.basename(file))}"


def _in(folder: str, start: str) -> str:
    """``-C`` with the folder, where the command was not started there."""
    relative = os.path.relpath(folder or ".", start or ".")
    return "" if relative == "." else f"-C {shlex.quote(relative)} "
