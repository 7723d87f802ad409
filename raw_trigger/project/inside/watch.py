"""What the project's code looks at while it loads: the catalog is valid until something of it changes."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from .errors import HERE, is_installed

NOISE = frozenset({".venv", ".git", "__pycache__", "site-packages", "dist-packages", "node_modules"})
SEARCHERS = ("<frozen importlib", "/importlib/", "/pkg_resources/")
"""Code that lists the folders of sys.path to find modules and installed packages."""
HEARD = frozenset(("open", "os.listdir", "os.scandir"))
PROJECT_FILES = (
    "pyproject.toml",
    "workspace.yaml",
    "workspace.yml",
    "setup.cfg",
    "setup.py",
    "dg.toml",
    ".env",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "pixi.lock",
    "requirements.txt",
)


class Watch:
    """Collects what the code looks at while it loads.

    These are files it reads, folders it lists, and folders it searches for modules.
    """

    def __init__(self) -> None:
        self.active = False
        self.read: set[Any] = set()
        self.written: set[Any] = set()
        self.listed: set[Any] = set()
        self.searched: set[Any] = set()

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        """Handles an audit event.

        Python calls this for every event, so the common case returns first.
        """
        if not self.active or event not in HEARD:
            return
        # An error here would be raised in the watched code.
        with suppress(Exception):
            self._hear(event, args)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = args
            if isinstance(path, int):
                return
            writes = flags & (os.O_WRONLY | os.O_RDWR) if isinstance(flags, int) else False
            if writes or (isinstance(mode, str) and mode.strip("rbtU")):
                self.written.add(path)
            else:
                self.read.add(path)
        else:
            path = args[0]
            if isinstance(path, int):
                return
            caller = sys._getframe(2).f_code.co_filename
            searching = any(name in caller for name in SEARCHERS)
            (self.searched if searching else self.listed).add("." if path is None else path)

    def result(self, project: dict[str, Any]) -> dict[str, list[str]]:
        """Returns the absolute paths that the code looked at.

        These are ``files``, ``folders``, ``modules`` (folders in which only modules count), and ``outside``,
        code that is neither the repository's nor installed.
        """
        directory = project["directory"]
        named = {directory, project.get("top") or directory}
        roots = named | {os.path.realpath(root) for root in named}  # the code may use both names
        home = os.environ["DAGSTER_HOME"] + os.sep

        def inside(path: str) -> bool:
            if path.startswith(home) or is_installed(path):
                return False
            for root in roots:
                if path == root or path.startswith(root + os.sep):
                    return NOISE.isdisjoint(Path(path[len(root) :]).parts)
            return False

        def below(paths: set[Any]) -> set[str]:
            return {path for path in map(_absolute, paths) if inside(path)}

        files = {
            path
            for path in below(self.read) - below(self.written)
            if not path.endswith(".pyc") and not Path(path).is_dir()
        }
        own = HERE + os.sep
        outside = set()
        for module in list(sys.modules.values()):
            name = None
            with suppress(Exception):  # a lazy module that fails when it is asked
                name = getattr(module, "__file__", None)
            if isinstance(name, str):
                path = _absolute(name)
                if not is_installed(path) and not path.startswith(own):
                    files.add(path)
                    if not any(path.startswith(root + os.sep) for root in roots):
                        outside.add(path)
        files.update(str(Path(root, name)) for root in named for name in PROJECT_FILES)
        files.update(_absolute(name) for name in project["workspace"])
        config = Path(sys.prefix, "pyvenv.cfg")
        if config.exists():
            files.add(str(config))
        return {
            "files": sorted(files),
            "folders": sorted(below(self.listed)),
            "modules": sorted(below(self.searched)),
            "outside": sorted(outside),
        }


def _absolute(path: Any) -> str:
    return os.path.abspath(os.fsdecode(path))  # noqa: PTH100  (a link is watched under its own name)
