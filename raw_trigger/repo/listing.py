"""Lists what git's index has and what is on disk beside it, asked of git once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from raw_trigger.model.changes import SUBMODULE_MODE, SYMLINK_MODE, Entry
from raw_trigger.repo.repository import Repository

_LINKS = (SYMLINK_MODE.encode(), SUBMODULE_MODE.encode())


class Indexed(NamedTuple):
    """Holds one entry of the index; ``stage`` is not 0 for one side of a merge conflict.

    ``unwatched`` says that git does not look at the file, as it was told (assume-unchanged, skip-worktree).
    """

    path: bytes
    entry: Entry
    stage: int
    unwatched: bool


class Listing:
    """Holds what the index has under some roots, and the files on disk that git neither knows nor ignores.

    Each is read when it is first needed, and then stays as it was.
    """

    def __init__(self, repo: Repository, roots: Sequence[str]) -> None:
        self._repo = repo
        self.roots = tuple(roots)
        self._untracked: list[bytes] | None = None
        self._special: list[Indexed] | None = None

    def read(self) -> Listing:
        """Reads all of it now, with one process, and returns it."""
        self._untracked, self._special = [], []
        for record in self._files("-v", "-s", "-c", "-o", "--exclude-standard"):
            if record.startswith(b"? "):
                self._untracked.append(record[2:])
            elif (found := _special(record)) is not None:
                self._special.append(found)
        return self

    @property
    def untracked(self) -> list[bytes]:
        """Returns the files on disk that git does not know and does not ignore."""
        if self._untracked is None:
            self._untracked = self._files("-o", "--exclude-standard")
        # What ends in a slash is another repository.
        return [path for path in self._untracked if not path.endswith(b"/")]

    @property
    def special(self) -> list[Indexed]:
        """Returns the entries of the index but for plain files, of which there may be very many."""
        found = self._special if self._special is not None else self.read()._special
        return found or []

    def _files(self, *options: str) -> list[bytes]:
        out = self._repo.git.run("ls-files", *options, "-z", "--", *self.roots, index=True)
        return out.split(b"\0")[:-1]


def _special(record: bytes) -> Indexed | None:
    tab = record.index(b"\t")
    if record[:1] == b"H" and record[2:8] not in _LINKS and record[tab - 1 : tab] == b"0":
        return None
    tag, mode, oid, stage = record[:tab].decode().split(" ")
    return Indexed(record[tab + 1 :], Entry(mode, oid), int(stage), tag.islower() or tag == "S")
