"""Stores the data of DVC in a recorded tree: ``.raw-trigger/dvc/<path>`` is a git link with DVC's MD5.

The MD5 is padded with zeros to the length of git's ids. Each file of a folder has an entry. The id of their
list has one more, under a name that no file has. If the list is unknown, this entry stands alone for the
folder as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from raw_trigger.errors import RecordError
from raw_trigger.model.changes import DVC_MODE, SUBMODULE_MODE, Entry, is_below, show
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository

FOLDER = ".raw-trigger"
DATA = f"{FOLDER}/dvc"
EMPTY = "d751713988987e9331980363e24189ce.dir"
"""The list of a folder without files."""
_START = f"{DATA}/".encode()
_LIST = b"/.dir"
_MD5 = 32
# git refuses .git, .gitmodules and .gitattributes in trees, however Windows and macOS may spell them
# (fsck.c, path.c): with bytes that are skipped before the dot, as git~1, or behind a backslash.
_REFUSED = re.compile(rb"[%~\\]|(?:(?<=/)|^)(?:[\x80-\xff]*\.)")


Edits = Mapping[bytes, "Entry | None"]
"""What a tree is to have at paths; None: nothing."""


@dataclass(frozen=True, slots=True)
class Held:
    """Says what a recorded tree holds of DVC's data.

    Attributes:
        files: By path; also folders, as a whole, whose files nobody knew.
        lists: The folders whose files are all there, each with the id of its list.
    """

    files: Mapping[bytes, Entry] = field(default_factory=dict)
    lists: Mapping[bytes, Entry] = field(default_factory=dict)


def place(path: bytes, *, whole: bool = False) -> bytes:
    """Returns where the tree has the file, or with ``whole`` the folder."""
    quoted = _REFUSED.sub(lambda found: b"".join(b"%%%02X" % byte for byte in found[0]), path)
    return _START + quoted + (_LIST if whole else b"")


def edit(path: bytes, entry: Entry, width: int) -> tuple[bytes, Entry]:
    """Returns where the tree has the entry of a file or folder of DVC's, and as which git link.

    Args:
        width: Of the repository's ids.
    """
    link = Entry(SUBMODULE_MODE, entry.oid[:_MD5].ljust(width, "0"))
    return place(path, whole=entry.is_folder), link


def placed(repo: Repository, moved: Edits, *, beside: bool) -> dict[bytes, Entry | None]:
    """Returns the edits of a recorded tree that record these files.

    Args:
        beside: Whether the tree holds data of DVC: a path that DVC had may be git's now.
    """
    edits: dict[bytes, Entry | None] = {}
    for path, entry in moved.items():
        is_data = entry is not None and entry.mode == DVC_MODE
        edits[path] = None if is_data else entry
        if beside or is_data:
            edits |= dict.fromkeys((place(path), place(path, whole=True)))
        if entry is not None and is_data:
            edits.update([edit(path, entry, len(repo.empty_tree))])
    return edits


def held(listed: Iterable[tuple[bytes, Entry]]) -> Held | None:
    """Returns what a tree holds of DVC's data; None: it is no record, or one without any.

    Args:
        listed: Paths of the tree and what it has there.

    Raises:
        RecordError: what is there is no record.
    """
    read = dict(_read(one for one in listed if one[0].startswith(_START)))
    if not read:
        return None
    files = {path: entry for path, entry in read.items() if not entry.is_folder}
    lists = {path: entry for path, entry in read.items() if entry.is_folder}
    known = {above for path in files for above in parents(path)} | {
        p for p, e in lists.items() if e.oid == EMPTY
    }
    whole = {path: entry for path, entry in lists.items() if path not in known}
    return Held({**files, **whole}, {path: entry for path, entry in lists.items() if path in known})


def entries_at(repo: Repository, tree: str, paths: Sequence[bytes]) -> dict[bytes, Entry]:
    """Returns what a recorded tree holds of DVC's data at these paths."""
    places = [place(path, whole=whole) for path in paths for whole in (False, True)]
    return dict(_read(diff.entries_at(repo, tree, places).items()))


def parents(path: bytes) -> Iterator[bytes]:
    """Yields the folders that a path is in."""
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path


def _read(links: Iterable[tuple[bytes, Entry]]) -> Iterator[tuple[bytes, Entry]]:
    for name, link in links:
        whole = name.endswith(_LIST)
        path = name[len(_START) : -len(_LIST) if whole else None]
        if b"%" in path:
            path = unquote_to_bytes(path)
        if link.mode != SUBMODULE_MODE or (b"%" in name and not is_below(show(path))):
            raise damaged("refs/raw-trigger/ENVIRONMENT", f"cannot be read: {show(name)} is no file of DVC's")
        yield path, Entry(DVC_MODE, link.oid[:_MD5] + (".dir" if whole else ""))


def damaged(ref: str, what: str) -> RecordError:
    """Returns the error of a record that cannot be used."""
    return RecordError(
        f"{ref} {what}",
        f"delete it with `git update-ref -d {ref}` and record anew with `raw-trigger adopt REV`, or run "
        "everything with `raw-trigger run --all`",
    )
