"""Finds the Dagster project of a repository if nothing in the folder names one. Pure."""

from __future__ import annotations

import os
import posixpath
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from raw_trigger.errors import UsageError

_FILES = ("definitions.py", "__init__.py", "defs.py", "repository.py")
"""Usual names of the file with the definitions, best first."""

_NO_PROJECT = frozenset(
    {"build", "dist", "doc", "docs", "example", "examples", "node_modules", "site-packages", "test", "tests"}
)

_DEFINES = re.compile(
    r"^(?:\w+[ \t]*(?::[^=\n]+)?=[ \t]*(?:\w+\.)*(?:Definitions(?:\.\w+)?|load_defs|load_from_defs_folder)\("
    r"|@(?:\w+\.)*(?:definitions|repository)\b)",
    re.MULTILINE,
)
_IMPORTED = re.compile(r"^(?:from[ \t]+(\.*\w*)|import[ \t]+(\w+))", re.MULTILINE)

_MOST_FILES = 2000
"""The most files with other names that are read."""


@dataclass(frozen=True, slots=True)
class Code:
    """Says where definitions are.

    ``folder`` is the folder that the file is imported from. ``module`` is None if it is in no package.
    """

    file: str
    folder: str
    module: str | None


def is_likely(name: str) -> bool:
    """Says whether a file may be the project's own code, by the folders it is in."""
    return _NO_PROJECT.isdisjoint(name.split("/"))


def definitions(names: Sequence[str], read: Callable[[str], str]) -> list[Code]:
    """Returns the files that hold the definitions of a project, without those that another one imports.

    Args:
        names: Every file, relative to the repository's top.
        read: Returns the text of a file.
    """
    known = set(names)
    likely = [name for name in names if name.endswith(".py") and is_likely(name)]
    usual = [name for name in likely if posixpath.basename(name) in _FILES]
    other = [name for name in likely if posixpath.basename(name) not in _FILES]
    for some in (usual, other[:_MOST_FILES]):
        found = {name: text for name in some if _DEFINES.search(text := read(name))}
        if found:
            return [code(name, text, known) for name, text in found.items() if not _is_part(name, found)]
    return []


def _is_part(name: str, others: Iterable[str]) -> bool:
    """Says whether the file is in or below the folder of another one that takes it in."""
    folder, file = posixpath.split(name)

    def rank(file: str) -> int:
        return _FILES.index(file) if file in _FILES else len(_FILES)

    for other in others:
        above, known = posixpath.split(other)
        if known in _FILES and (
            (folder == above and rank(known) < rank(file))
            or (folder != above and f"{folder}/".startswith(f"{above}/" if above else ""))
        ):
            return True
    return False


def code(file: str, text: str, names: Collection[str]) -> Code:
    """Returns how a file is imported: as a module of its package, which may lack ``__init__.py``."""
    parts = file.removesuffix(".py").split("/")
    at = len(parts) - 1
    while at > 0 and f"{'/'.join(parts[:at])}/__init__.py" in names:
        at -= 1
    folder = posixpath.dirname(file)
    imported = {one or other for one, other in _IMPORTED.findall(text)}
    beside = f"{folder}/" if folder else ""
    sibling = any(f"{beside}{one}.py" in names or f"{beside}{one}/__init__.py" in names for one in imported)
    if at == len(parts) - 1 and not sibling:
        if any(one.startswith(".") for one in imported):
            at -= 1
        at = next((n for n, one in enumerate(parts[:at]) if one in imported), at)
    if at < 0 or at == len(parts) - 1:
        return Code(file, folder if sibling else "", None)
    module = [one for one in parts[at:] if one != "__init__"]
    return Code(file, "/".join(parts[:at]), ".".join(module))


def folder_of(module: str, names: Sequence[str], start: str) -> str | None:
    """Returns the folder that a module is imported from, the nearest to where the command was started.

    None if the repository has no such module, or has it in several folders that are equally near.
    """
    path = module.replace(".", "/")
    found: dict[str, tuple[int, int]] = {}
    for name in names:
        for end in (f"{path}.py", f"{path}/__init__.py"):
            if name == end or name.endswith(f"/{end}"):
                folder = name[: -len(end)].rstrip("/")
                found[folder] = _nearness(folder, start), folder.count("/")
    best = min(found.values(), default=None)
    nearest = [folder for folder, near in found.items() if near == best]
    return nearest[0] if len(nearest) == 1 else None


def _nearness(folder: str, start: str) -> int:
    if not start or f"{folder}/".startswith(f"{start}/"):
        return 0
    return 1 if not folder or f"{start}/".startswith(f"{folder}/") else 2


def several(folders: Sequence[str], found: Sequence[Code], start: str) -> UsageError:
    """Returns the error that lists the projects and the command that chooses each."""
    shown = [folder or "." for folder in folders] + [one.file for one in found]
    modules = [one.module for one in found]
    commands = [f"`raw-trigger {_in(folder, start)}init`" for folder in folders]
    for one in found:
        apart = _in(one.folder, start) if modules.count(one.module) > 1 else ""
        named = f"{apart}-m {one.module}" if one.module else f"-f {shlex.quote(_relative(one.file, start))}"
        commands.append(f"`raw-trigger {named} init`")
    return UsageError(
        f"there are several Dagster projects: {', '.join(shown)}", "choose one:\n  " + "\n  ".join(commands)
    )


def _in(folder: str, start: str) -> str:
    """Returns the ``-C`` option for the folder; empty if the command was started there."""
    relative = _relative(folder or ".", start)
    return "" if relative == "." else f"-C {shlex.quote(relative)} "


def _relative(path: str, start: str) -> str:
    return os.path.relpath(path, start or ".")
