"""Finds the Dagster project that the file is for, and how the file names it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from raw_trigger.documents import read_text
from raw_trigger.initialize.finding import definitions, folder_of, is_likely, several
from raw_trigger.model.project import DagsterOptions
from raw_trigger.project.presence import NAMES, has_project, module_of


@dataclass(frozen=True, slots=True)
class Project:
    """Describes a Dagster project; its paths are relative to the repository's top, which is the empty text.

    ``folder`` is the project's folder, ``imports`` the folder that its modules are imported from (None: any).
    ``bare`` says that Dagster finds by itself what to load in the folder.
    """

    folder: str
    imports: str | None = None
    bare: bool = False
    module_name: tuple[str, ...] = ()
    python_file: tuple[str, ...] = ()
    workspace: tuple[str, ...] = ()

    def options(self, home: str) -> DagsterOptions:
        """Returns the options that a file in this folder has to contain."""
        working = None if self.imports is None or self.imports == home else _below(self.imports, home)
        return DagsterOptions(
            module_name=() if self.bare and working is None else self.module_name,
            python_file=tuple(_below(name, home) for name in self.python_file),
            workspace=tuple(_below(name, home) for name in self.workspace),
            working_directory=working,
        )


def named_project(named: DagsterOptions, names: Sequence[str], top: Path, start: Path) -> Project:
    """Returns the project that ``-m``, ``-f`` and ``-w`` name.

    Args:
        names: Every file, relative to the top: modules are looked for among them.
        start: The folder the command was started in.
    """
    where = relative(start, top)
    files, workspaces = (
        tuple(relative(start / name, top) for name in some) for some in (named.python_file, named.workspace)
    )
    folders = {folder_of(module, names, where) for module in named.module_name}
    imports = folders.pop() if len(folders) == 1 else None
    if imports is None:
        imports = posixpath.dirname(workspaces[0]) if workspaces else where
    return Project(where, imports, False, named.module_name, files, workspaces)


def find_project(top: Path, start: Path, names: Sequence[str], *, ask: bool) -> Project | None:
    """Returns the nearest project above, else the only one below or anywhere in the repository.

    None if there is none.

    Args:
        names: Every file, relative to the top.
        start: The folder the command was started in.
        ask: Whether the project will be loaded.

    Raises:
        UsageError: there are several, and one will be loaded.
    """
    where = relative(start, top)

    def inside(path: str) -> bool:
        return not where or f"{path}/".startswith(f"{where}/")

    for folder in (start, *start.parents):
        if folder.is_relative_to(top) and has_project(folder):
            return _bare(relative(folder, top), top)
    likely = [name for name in names if posixpath.basename(name) in NAMES and is_likely(name)]
    found = [folder for folder in sorted(set(map(posixpath.dirname, likely))) if has_project(top / folder)]
    found = [folder for folder in found if inside(folder)] or found
    if len(found) == 1:
        return _bare(found[0], top)
    code = [] if found else definitions(names, lambda name: read_text(top / name))
    code = [one for one in code if inside(one.file)] or code
    if ask and len(found) + len(code) > 1:
        raise several(found, code, where)
    if len(code) != 1:
        return None
    (one,) = code
    if one.module is None:
        return Project(one.folder, one.folder or None, python_file=(one.file,))
    above = posixpath.dirname(one.folder) if posixpath.basename(one.folder) == "src" else one.folder
    return Project(above, one.folder, module_name=(one.module,))


def _bare(folder: str, top: Path) -> Project:
    module = module_of(top / folder)
    return Project(folder, folder, bare=True, module_name=() if module is None else (module,))


def relative(path: Path, top: Path) -> str:
    """Returns the path relative to the top; empty for the top itself."""
    found = os.path.relpath(path, top)
    return "" if found == "." else found


def _below(path: str, home: str) -> str:
    return os.path.relpath(path or ".", home or ".")
