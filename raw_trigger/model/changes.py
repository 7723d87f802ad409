"""The differences between two trees of raw files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Status = Literal["added", "modified", "deleted", "type-changed", "remapped"]
Content = Literal["blob", "lfs", "dvc", "symlink", "submodule"]

WORKTREE = ":WORKTREE:"
INDEX = ":INDEX:"
"""Names of the two sides that are no revisions; git allows no ref to begin with a colon."""

SYMLINK_MODE = "120000"
FILE_MODE = "100644"
SUBMODULE_MODE = "160000"
DVC_MODE = "dvc"
"""Instead of a mode: git has only a pointer file, and the id is DVC's MD5 of the content."""
_FOLDER = ".dir"
DVC_SUFFIX = b".dvc"
DVC_LOCK = b"dvc.lock"


@dataclass(frozen=True, slots=True)
class Entry:
    """Holds what git knows of one path: its mode (six octal digits) and its object id (hexadecimal).

    ``lfs`` says that the object is known to be a pointer of Git LFS.
    """

    mode: str
    oid: str
    lfs: bool = field(default=False, compare=False)

    @property
    def content(self) -> Content:
        """Returns the kind of content, as far as the mode tells."""
        if self.mode == SYMLINK_MODE:
            return "symlink"
        if self.mode == SUBMODULE_MODE:
            return "submodule"
        if self.mode == DVC_MODE:
            return "dvc"
        return "lfs" if self.lfs else "blob"

    @property
    def is_folder(self) -> bool:
        """Says whether it is a whole folder of DVC, whose files are unknown here."""
        return self.mode == DVC_MODE and self.oid.endswith(_FOLDER)

    @property
    def unlisted(self) -> Entry:
        """Returns a file of such a folder, nobody knows which: it equals no other."""
        return Entry(self.mode, self.oid.removesuffix(_FOLDER))


@dataclass(frozen=True, slots=True)
class Change:
    """Holds one path whose entry differs. ``path`` is relative to the repository's top, exact bytes.

    ``old_path`` is the path that lost exactly the same content in the same diff (a rename), else None.
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
        """Returns the change with its entries marked as Git LFS pointers."""
        old, new = (None if entry is None else replace(entry, lfs=True) for entry in (self.old, self.new))
        return replace(self, old=old, new=new)


@dataclass(frozen=True, slots=True)
class Base:
    """Holds the side that is compared with. ``oid`` is a tree's or commit's id; None for the empty base."""

    kind: Literal["recorded", "revision", "empty"]
    name: str
    oid: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Desired:
    """Holds the side that should be reflected. ``name`` is a revision, :data:`INDEX` or :data:`WORKTREE`."""

    kind: Literal["worktree", "index", "revision"]
    name: str
    oid: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Holds every changed path under the raw roots, sorted by path.

    ``only`` are the paths that were looked at; None: all. ``pointers`` are files of DVC that differ, as on
    the new side; the changes of the files that they stand for are listed in place of them. ``recorded`` is
    set if every file counts as changed: recorded entries of the paths that differ; None: the base counts.
    """

    base: Base
    desired: Desired
    changes: tuple[Change, ...]
    only: frozenset[bytes] | None = None
    pointers: Mapping[bytes, Entry | None] = field(default_factory=dict)
    recorded: Mapping[bytes, Entry] | None = None

    def narrowed(self, only: frozenset[bytes]) -> ChangeSet:
        """Returns the changes of these paths."""
        kept = tuple(change for change in self.changes if change.path in only)
        return replace(self, changes=kept, only=only)

    def overlaid(self, hidden: Mapping[bytes, tuple[Entry, Entry | None]]) -> ChangeSet:
        """Returns the changes with the content on disk as the new side of paths that git misjudges.

        Args:
            hidden: For each path git's entry for it, and the entry on disk.
        """
        if not hidden:
            return self
        known = {change.path: change for change in self.changes}
        for path, (taken_for, entry) in hidden.items():
            known[path] = Change(path, known[path].old if path in known else taken_for, entry)
        return replace(self, changes=tuple(known[path] for path in sorted(known)))

    def extended(self, further: Mapping[bytes, Entry | None]) -> ChangeSet:
        """Returns the changes with these paths added as remapped: both sides have the same content."""
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
    """Returns the entry's type; everything with a content of its own is a file."""
    return entry.content if entry.content in ("symlink", "submodule") else "file"


def is_pointer(path: bytes) -> bool:
    """Says whether a file of this name may be DVC's and stand for data."""
    return path.endswith(DVC_SUFFIX) or path.rpartition(b"/")[2] == DVC_LOCK


NOTHING = ChangeSet(Base("empty", "", None, ""), Desired("worktree", WORKTREE), ())
"""No change of the working tree: for callers that look at all files."""


def show(path: bytes) -> str:
    """Returns the path as text, with lone surrogates for invalid UTF-8; :func:`to_bytes` inverts it."""
    return path.decode("utf-8", "surrogateescape")


def is_below(path: str) -> bool:
    """Says whether a relative path stays below its base and is spelt as git spells paths."""
    parts = path.split("/")
    whole = not any("\ud800" <= char <= "\udc7f" or (char > "\udcff" and char <= "\udfff") for char in path)
    return whole and "\0" not in path and not any(part in ("", ".", "..") for part in parts)


def to_bytes(path: str) -> bytes:
    """Returns the path that :func:`show` made this text of."""
    return path.encode("utf-8", "surrogateescape")
