"""Tells which raw files a step reads. Python reports what it opens, the kernel what other code opens.

A process runs one step at a time, so everything that it opens meanwhile is the step's. What another process
opens may be a child's of the step or a stranger's (an editor, a backup, git): it counts as ``unsure``, and
only while there are children.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from .opened import Kernel, Opening, OverflowedError, watch

Document = dict[str, Any]

MOST_FOLDERS = 500
MOST_ENTRIES = 10_000
"""The most entries of a tree that are searched for folders to watch: that takes 30 ms."""
MOST_FILES = 10_000
"""The most files of one step that are reported."""
_NO_DATA = (".git", ".dvc", "__pycache__")
_CODE = (".py", ".pyc")
_HEARD = frozenset(("open", "os.listdir", "os.scandir"))
_WRITES = os.O_WRONLY | os.O_TRUNC | os.O_CREAT


class Reading:
    """Watches the raw roots while a step runs.

    Args:
        request: ``top`` and, relative to it, ``roots``; ``thorough``: watch every folder, of any number.
            None: watch nothing.
    """

    def __init__(self, request: Document | None) -> None:
        self._active = False
        self._thorough = bool(request and request["thorough"])
        self._top = os.path.realpath(request["top"]) if request else ""
        self._roots = [os.path.realpath(f"{self._top}/{root}") for root in (request or {}).get("roots", ())]
        self._kernel: Kernel | None = None
        self._complete = True
        self._children = 0
        self._heard: set[tuple[str, str]] = set()
        self._around: set[str] = set()
        self._real: dict[str, str | None] = {}

    def start(self) -> None:
        """Begins to watch: a step may use data that was read while the project loaded."""
        if self._roots:
            self._set_up()

    def begin(self) -> None:
        """Begins a step."""
        if not self._roots:
            return
        self._around.update(
            real for _, path in self._heard for real in [self._inside(path)] if real is not None
        )
        self._heard = set()
        self._children = _reaped()
        with suppress(OverflowedError):
            for one in self._kernel.take() if self._kernel is not None else ():
                self._around.add(one.path)
        self._active = True

    def end(self) -> Document | None:
        """Returns what the step has read, and forgets it; None if no step had begun.

        ``files`` it did read, ``unsure`` perhaps, ``folders`` it listed, all relative to the top; ``around``
        is what this process opened since the last step or for writing, or another process meanwhile.
        ``complete`` says that nothing else can have been read.
        """
        if not self._active:
            return None
        self._active = False
        heard: dict[str, set[str]] = {"read": set(), "written": set(), "listed": set()}
        for kind, path in self._heard:
            real = self._inside(path)
            if real is not None:
                heard[kind].add(real)
        self._heard = set()
        read, written, listed = heard.values()
        unsure: set[str] = set()
        complete = self._complete and self._kernel is not None
        others = _reaped() != self._children or _has_children()
        openings: list[Opening] = []
        try:
            for opening in self._kernel.take() if self._kernel is not None else ():
                openings.append(opening)
        except OverflowedError:
            complete = False
        written |= {one.path for one in openings if one.written and one.path not in read}
        for one in openings:
            if one.own:
                (listed if one.listed else read).add(one.path)
            elif not one.listed and (others or one.own is None):
                unsure.add(one.path)
        around = self._around | written | {one.path for one in openings if one.own is not True}
        self._around = set()
        read = {path for path in read - written if not path.endswith(_CODE) and os.path.isfile(path)}  # noqa: PTH113
        unsure = {path for path in unsure - written - read if os.path.isfile(path)}  # noqa: PTH113
        return {
            "files": self._told(read),
            "unsure": self._told(unsure),
            "folders": self._told(listed),
            "around": self._told(around - read - unsure),
            "complete": complete and len(read) <= MOST_FILES and len(unsure) <= MOST_FILES,
        }

    def _set_up(self) -> None:
        sys.addaudithook(self._hook)
        if not sys.platform.startswith("linux"):
            return
        folders: list[str] = []
        for folder in self._folders():
            if not self._thorough and len(folders) == MOST_FOLDERS:
                self._complete = False
                break
            folders.append(folder)
        self._kernel, all_of_them = watch(folders)
        self._complete = self._complete and all_of_them

    def _folders(self) -> Iterator[str]:
        """Yields the folders that contain files, the upper ones first; if thorough, also those without."""
        waiting, entries = list(self._roots), 0
        for folder in waiting:
            holds = False
            try:
                with os.scandir(folder) as found:
                    for entry in found:
                        entries += 1
                        if entry.is_dir(follow_symlinks=False):
                            if entry.name not in _NO_DATA:
                                waiting.append(entry.path)
                        else:
                            holds = True
                        if entries > MOST_ENTRIES and not self._thorough:
                            self._complete = False
                            break
            except OSError:
                continue
            if holds or self._thorough or folder in self._roots:
                yield folder
            if entries > MOST_ENTRIES and not self._thorough:
                # The folders found so far are watched: that costs little compared with finding them.
                yield from waiting[waiting.index(folder) + 1 :]
                return

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        """Handles an audit event.

        Python calls this for every event, so the common case returns first.
        """
        if event not in _HEARD:
            return
        # An error here would be raised in the watched code.
        with suppress(Exception):
            path = args[0]
            if isinstance(path, int):
                return
            text = "." if path is None else os.fsdecode(path)
            if not text.startswith("/"):
                text = os.path.join(os.getcwd(), text)  # noqa: PTH109, PTH118
            if text.endswith(_CODE):
                return
            kind = "listed"
            if event == "open":
                kind = "written" if isinstance(args[2], int) and args[2] & _WRITES else "read"
            self._heard.add((kind, text))

    def _inside(self, path: str) -> str | None:
        """Returns the path by its real name; None if it is below no root."""
        folder, name = os.path.split(path.rstrip("/") or "/")
        if name in ("..", "."):
            folder, name = path, ""
        if folder not in self._real:
            real = os.path.realpath(folder)
            below = any(
                f"{real}/".startswith(f"{root}/") or root.startswith(f"{real}/") for root in self._roots
            )
            self._real[folder] = real if below else None
        found = self._real[folder]
        if found is None:
            return None
        whole = os.path.join(found, name).rstrip("/")  # noqa: PTH118
        return whole if any(f"{whole}/".startswith(f"{root}/") for root in self._roots) else None

    def _told(self, paths: set[str]) -> list[str]:
        """Returns the paths relative to the top.

        Invalid UTF-8 becomes lone surrogates, whatever the system's encoding is.
        """
        cut = len(os.fsencode(self._top)) + 1
        names = (os.fsencode(path)[cut:] for path in sorted(paths)[:MOST_FILES])
        return [name.decode("utf-8", "surrogateescape") for name in names]


def _reaped() -> int:
    """Returns a number that grows with every child process that has ended and was waited for."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt


def _has_children() -> bool:
    """Says whether any thread has child processes."""
    with suppress(OSError):
        for thread in os.listdir("/proc/self/task"):  # noqa: PTH208
            with open(f"/proc/self/task/{thread}/children") as file:  # noqa: PTH123
                if file.read().strip():
                    return True
    return False
