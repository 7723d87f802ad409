"""The Dagster project whose code is loaded in this very process: that of a tick."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from raw_trigger.documents import read_text
from raw_trigger.model.assets import Catalog
from raw_trigger.project.catalog import decode
from raw_trigger.project.project import DagsterProject
from raw_trigger.workspace.workspace import Workspace, open_workspace

_PROJECT = re.compile(r"^\s*\[\s*tool\s*\.\s*(dagster|dg)\b", re.MULTILINE)
"""Where a pyproject.toml names the definitions, Dagster reads no workspace.yaml."""
_BEGAN = time.time()
"""The code of the project was not loaded before: it imports this."""


@dataclass(frozen=True)
class LoadedProject(DagsterProject):
    """Asks the repository and the instance of a tick, so that no process has to be started.

    Args:
        repository: Dagster's definition of the repository.
        instance: Dagster's instance.
    """

    repository: Any = field(default=None, repr=False)
    instance: Any = field(default=None, repr=False)

    def catalog(self, fresh: bool = False) -> Catalog:
        """Returns the asset graph; where the project has other code locations too, that of all of them."""
        if self.has_others:
            return super().catalog(fresh)
        return _described(self.repository, str(self.top))

    @property
    def has_others(self) -> bool:
        """Says whether the project may have further code locations."""
        options = self.options
        named = (*options.module_name, *options.python_file, *options.package_name)
        if options.workspace or len(named) > 1:
            return True
        is_project = bool(named) or bool(_PROJECT.search(read_text(self.folder / "pyproject.toml")))
        return not is_project and any((self.folder / f"workspace.{end}").exists() for end in ("yaml", "yml"))

    def home(self) -> Path:
        """Returns the folder of the instance that the tick belongs to."""
        named = self.environ.get("DAGSTER_HOME")
        return Path(named or self.instance.root_directory)

    def _ask_instance(self, **wanted: list[Any]) -> Mapping[str, Any]:
        from raw_trigger.project.inside.settle import answer

        found: Mapping[str, Any] = answer(self.instance, wanted)
        return found


def loaded_workspace(start: Path, *, environment: str | None, repository: Any, instance: Any) -> Workspace:
    """Returns the workspace that a folder is in, with the project as it is loaded here.

    Raises:
        RawTriggerError: there is none.
    """
    found = workspace_here(start, environment)
    known = {one.name: getattr(found.project, one.name) for one in fields(DagsterProject)}
    project = LoadedProject(**known, repository=repository, instance=instance)
    return replace(found, project=project)


def workspace_here(start: Path, environment: str | None) -> Workspace:
    """Returns the workspace that a folder is in, as hooks see it, in a process of Dagster's.

    Raises:
        RawTriggerError: there is none.
    """
    # A hook that started the daemon may have left its own variables.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    named = environ.pop("DAGSTER_HOME", None)
    found = open_workspace(start, environment=environment, environ=environ)
    # Dagster always names its home here, also where the hooks have none: in a worktree with a home of its own
    # theirs is another environment.
    if named is not None and Path(named).resolve() != found.project.home().resolve():
        environ["DAGSTER_HOME"] = named
        found = open_workspace(start, environment=environment, environ=environ)
    return found


@lru_cache(maxsize=4)
def _described(repository: Any, top: str) -> Catalog:
    """The asset graph; the code server keeps the repository from tick to tick."""
    from raw_trigger.project.inside import graph
    from raw_trigger.project.inside.compat import VERSION
    from raw_trigger.project.inside.errors import is_installed
    from raw_trigger.project.inside.source.names import Sources

    sources = Sources(top, lambda path: not is_installed(path))
    document = graph.describe(sources, [("", repository)], [])
    return decode({"dagster": VERSION, "code": [], **document}, fresh=True)


_SEEN: dict[str, tuple[float, str]] = {}
"""The modules, each with the time and the content of its file when it was seen first."""


def edited_module(top: Path) -> str | None:
    """Returns a module below a folder whose file was edited since it was loaded; None if there is none."""
    from raw_trigger.project.inside.errors import is_installed

    is_first = not _SEEN
    below, now = str(top) + os.sep, time.time()
    for name, module in [*sys.modules.items()]:
        file = getattr(module, "__file__", None)
        if not file or not file.startswith(below) or is_installed(file):
            continue
        try:
            changed = Path(file).stat().st_mtime
            if name not in _SEEN:
                # What was there when this process began, and is younger, was edited before the first look. A
                # time in the future says nothing.
                edited = is_first and _BEGAN < changed <= now
                _SEEN[name] = (0.0, "") if edited else (changed, _content(file))
            at, content = _SEEN[name]
            # An edit that was taken back, or another branch and this one again, is the code that is loaded.
            if changed != at and _content(file) != content:
                return name
            _SEEN[name] = (changed, content)
        except OSError:
            return name
    return None


def _content(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
