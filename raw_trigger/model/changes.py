"""What differs between two trees of raw files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Status = Literal["added", "modified", "deleted", "type-changed", "remapped"]
Content = Literal["blob", "lfs", "dvc", "symlink", "submodule"]

WORKTREE = ":WORKTREE:"
INDEX = ":INDEX:"
"""Names of the two trees that are no revisions; git allows no ref to begin with a colon."""

SYMLINK_MODE = "120000"
SUBMODULE_MODE = "160000"
DVC_MODE = "dvc"
"""In a mode's place: git has only a pointer file, and the id is DVC's MD5 of the content."""
_FOLDER = ".dir"
DVC_SUFFIX = b".dvc"
DVC_LOCK = b"dvc.lock"


@dataclass(frozen=True, slots=True)
class Entry:
    """What git knows of one path: its mode (six octal digits) and its object id (hexadecimal).

    ``lfs`` says that the object is a pointer of Git LFS, as far as anybody looked.
    """

    mode: str
    oid: str
    lfs: bool = field(default=False, compare=False)

    @property
    def content(self) -> Content:
        """What kind of thing the object is, as far as the mode tells."""
        if self.mode == SYMLINK_MODE:
            return "symlink"
        if self.mode == SUBMODULE_MODE:
            return "submodule"
        if self.mode == DVC_MODE:
            return "dvc"
        return "lfs" if self.lfs else "blob"

    @property
    def is_folder(self) -> bool:
        """Whether it is a whole folder of DVC's, of which it is not known here what files are in it."""
        return self.mode == DVC_MODE and self.oid.endswith(_FOLDER)


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
        if _type(self.old) != _type(self.new):
            return "type-changed"
        return "modified"

    def as_lfs(self) -> Change:
        """The same, of files that are Git LFS's."""
        old, new = (None if entry is None else replace(entry, lfs=True) for entry in (self.old, self.new))
        return replace(self, old=old, new=new)


@dataclass(frozen=True, slots=True)
class Pointed:
    """A pointer file that differs; what changed is recorded with it.

    Attributes:
        path: The pointer file.
        new: As git has it on the new side; None: it is gone.
        outs: What it stands for, as far as that differs → what it is on the new side.
        paths: The same → the changed paths by which it is shown.
    """

    path: bytes
    new: Entry | None
    outs: Mapping[bytes, Entry | None]
    paths: Mapping[bytes, frozenset[bytes]]


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

    ``only`` are the paths that are looked at at all; None: all of them. ``pointed`` are pointer files in
    whose place the changes of what they stand for are listed. ``recorded``, where everything is taken: what
    is recorded of those paths that are something else by now; None: the base is what counts.
    """

    base: Base
    desired: Desired
    changes: tuple[Change, ...]
    only: frozenset[bytes] | None = None
    pointed: tuple[Pointed, ...] = ()
    recorded: Mapping[bytes, Entry] | None = None

    def narrowed(self, only: frozenset[bytes]) -> ChangeSet:
        """The changes of these paths."""
        kept = tuple(change for change in self.changes if change.path in only)
        return replace(self, changes=kept, only=only)

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
        return replace(self, changes=tuple(known[path] for path in sorted(known)))

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
        return replace(self, changes=ordered)


def _type(entry: Entry) -> str:
    """Whatever has a content of its own is a file."""
    return entry.content if entry.content in ("symlink", "submodule") else "file"


def is_pointer(path: bytes) -> bool:
    """Whether a file of this name may be one of DVC's that stands for data."""
    return path.endswith(DVC_SUFFIX) or path.rpartition(b"/")[2] == DVC_LOCK


NOTHING = ChangeSet(Base("empty", "", None, ""), Desired("worktree", WORKTREE), ())
"""No change of what is on disk: for whoever looks at all files."""


def show(path: bytes) -> str:
    """The path as text. Bytes that are no UTF-8 become lone surrogates, so it can be had back."""
    return path.decode("utf-8", "surrogateescape")


def is_below(path: str) -> bool:
    """Whether a path is that of something below what it is relative to, as git has it."""
    parts = path.split("/")
    whole = not any("\ud800" <= char <= "\udc7f" or (char > "\udcff" and char <= "\udfff") for char in path)
    return whole and "\0" not in path and not any(part in ("", ".", "..") for part in parts)


def to_bytes(path: str) -> bytes:
    """The inverse of :func:`show`."""
    return path.encode("utf-8", "surrogateescape")
