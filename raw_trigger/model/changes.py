"""What differs between two trees of raw files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Status = Literal["added", "modified", "deleted", "type-changed", "remapped"]
Content = Literal["blob", "lfs", "dvc", "symlink", "submodule"]

WORKTREE = ":WORKTREE:"
INDEX = ":INDEX:"
"""Names of the two trees that are no revisions; git allows no ref to begin with a colon."""

SYMLINK_MODE = "120000"
SUBMODULE_MODE = "160000"


@dataclass(frozen=True, slots=True)
class Entry:
    """What git knows of one path: its mode (six octal digits) and its object id (hexadecimal)."""

    mode: str
    oid: str

    @property
    def content(self) -> Content:
        """What kind of thing the object is, as far as the mode tells."""
        if self.mode == SYMLINK_MODE:
            return "symlink"
        if self.mode == SUBMODULE_MODE:
            return "submodule"
        return "blob"


@dataclass(frozen=True, slots=True)
class Change:
    """One path whose entry differs. ``path`` is relative to the repository's top, exact bytes.

    ``old_path`` is where exactly the same content went away in the same diff (a rename).
    """

    path: bytes
    old: Entry | None
    new: Entry | None
    old_path: bytes | None = None

    @property
    def status(self) -> Status:
        if self.new is None:
            return "deleted"
        if self.old == self.new:
            return "remapped"
        if self.old is None:
            return "added"
        if self.old.content != self.new.content:
            return "type-changed"
        return "modified"


@dataclass(frozen=True, slots=True)
class Base:
    """The side that is compared with. ``oid`` is a tree's or commit's id, or None where there is none."""

    kind: Literal["recorded", "revision", "empty"]
    name: str
    oid: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Desired:
    """The side that should be reflected. ``name`` is a revision, :data:`INDEX` or :data:`WORKTREE`."""

    kind: Literal["worktree", "index", "revision"]
    name: str
    oid: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Every changed path under the raw roots, sorted by path.

    ``only`` are the paths that are looked at at all; None: all of them.
    """

    base: Base
    desired: Desired
    changes: tuple[Change, ...]
    only: frozenset[bytes] | None = None

    def narrowed(self, only: frozenset[bytes]) -> ChangeSet:
        """The changes of these paths."""
        kept = tuple(change for change in self.changes if change.path in only)
        return ChangeSet(self.base, self.desired, kept, only)

    def overlaid(self, hidden: Mapping[bytes, tuple[Entry, Entry | None]]) -> ChangeSet:
        """With what is on disk on the new side, of paths that git takes for something else.

        Args:
            hidden: What git takes a path for, and what is on disk.
        """
        if not hidden:
            return self
        known = {change.path: change for change in self.changes}
        for path, (taken_for, entry) in hidden.items():
            known[path] = Change(path, known[path].old if path in known else taken_for, entry)
        return ChangeSet(self.base, self.desired, tuple(known[path] for path in sorted(known)), self.only)

    def extended(self, further: Mapping[bytes, Entry | None]) -> ChangeSet:
        """With these paths, whose content is the same on both sides, as remapped ones."""
        known = {change.path for change in self.changes}
        new = [
            Change(path, entry, entry)
            for path, entry in further.items()
            if path not in known and (self.only is None or path in self.only)
        ]
        if not new:
            return self
        ordered = tuple(sorted((*self.changes, *new), key=lambda change: change.path))
        return ChangeSet(self.base, self.desired, ordered, self.only)


NOTHING = ChangeSet(Base("empty", "", None, ""), Desired("worktree", WORKTREE), ())
"""No change of what is on disk: for whoever looks at all files."""


def show(path: bytes) -> str:
    """The path as text. Bytes that are no UTF-8 become lone surrogates, so it can be had back."""
    return path.decode("utf-8", "surrogateescape")


def to_bytes(path: str) -> bytes:
    """The inverse of :func:`show`."""
    return path.encode("utf-8", "surrogateescape")
