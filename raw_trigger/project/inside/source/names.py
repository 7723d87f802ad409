"""The names of files in functions and in other texts."""

from __future__ import annotations

import ast
import itertools
import os
import posixpath
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .statements import Walk
from .values import HOLE, KEY

MOST_NAMES = 60
"""The most names of an asset: more name no file in particular."""
_LONGEST = 300
_SECONDS = 2.0
"""Seconds for all assets of a project: a hint must not make loading it slow."""
_TOKEN = re.compile(rf"[\w{HOLE}{KEY}@+~$./*?-]*[\w{HOLE}{KEY}*]\.\w{{1,10}}(?![\w.])")
_QUOTED = re.compile(r"'([^'\n]+)'|\"([^\"\n]+)\"")


class Sources:
    """Reads the source of functions.

    Args:
        top: The repository's top: paths below it are given relative to it, with a ``/`` in front.
        is_own: Says whether a file belongs to the project and not to an installed package.
    """

    def __init__(self, top: str, is_own: Callable[[str], bool]) -> None:
        self._tops = sorted({top, os.path.realpath(top)})
        self._is_own = is_own
        self._until = time.monotonic() + _SECONDS
        self._modules: dict[str, dict[int, ast.AST]] = {}
        self._known: dict[int, tuple[Any, list[str]]] = {}

    def names(self, function: Any) -> list[str]:
        """Returns texts that may name files, in a function and in the project's functions that it calls."""
        if id(function) not in self._known:
            found: list[str] = []
            try:
                if time.monotonic() < self._until:
                    walk = Walk(self.tree)
                    walk.function(function, {}, 0)
                    found = list(dict.fromkeys(itertools.chain.from_iterable(map(self.as_names, walk.noted))))
            except Exception:  # (an unknown decorator, source that is gone: only a hint is missing then)
                found = []
            self._known[id(function)] = (function, found[:MOST_NAMES])
        return self._known[id(function)][1]

    def as_names(self, text: str) -> Iterator[str]:
        """Yields the text if it may be the name of a file, or the names in it if it is longer."""
        quoted = [one or other for one, other in _QUOTED.findall(text)]
        parts = (
            quoted + _TOKEN.findall(_QUOTED.sub(" ", text)) if quoted or re.search(r"[\s`,;()]", text) else []
        )
        if not quoted:
            parts.append(text)
        for part in parts:
            name = self._relative(part)
            if name is not None:
                yield name

    def _relative(self, text: str) -> str | None:
        """Returns the name relative to the top; None if it is no file's name."""
        if len(text) > _LONGEST or "\n" in text or ("://" in text and not text.startswith("file:")):
            return None
        text = re.sub(r"^file:(//)?", "", text)
        absolute = text.startswith("/")
        name = posixpath.normpath(text)
        while name.startswith("../"):
            name = name[3:]
        if absolute:
            inside = [top for top in self._tops if name.startswith(top + "/")]
            name = name[len(max(inside, key=len)) :] if inside else posixpath.basename(name)
        body, suffix = posixpath.splitext(name)
        if not re.search(r"[^\W_]", body.replace(HOLE, "")) or not (
            "/" in name or re.search("[a-zA-Z]", suffix)
        ):
            return None
        return name

    def tree(self, function: Any) -> ast.AST | None:
        """Returns the definition of a function of the project; None if it is not the project's."""
        code = getattr(function, "__code__", None)
        if code is None or not self._is_own(os.path.abspath(code.co_filename)):  # noqa: PTH100
            return None
        file = code.co_filename
        if file not in self._modules:
            self._modules[file] = {}
            tree = ast.parse(Path(file).read_bytes())
            for node in ast.walk(tree):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    for line in (node.lineno, *(one.lineno for one in node.decorator_list)):
                        self._modules[file].setdefault(line, node)
        return self._modules[file].get(code.co_firstlineno)
