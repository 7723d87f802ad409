"""Counts how a change affects the rows of a table, with the contents from git."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from raw_trigger.content.rows import Fingerprint, Keyed, RowChanges, compare_rows, count_rows, fingerprint
from raw_trigger.content.tables import Form, Table
from raw_trigger.dvc.data import content
from raw_trigger.errors import GitError, TableError
from raw_trigger.mapping.formats import kind_of
from raw_trigger.model.changes import Change, ChangeSet, Entry, show
from raw_trigger.model.plan import Plan
from raw_trigger.model.rows import RowCounts
from raw_trigger.repo.blobs import Blobs
from raw_trigger.repo.lfs import lfs_paths
from raw_trigger.repo.repository import Repository

FILE_LIMIT = 16 << 20
"""The most bytes of one side, unpacked, whose rows are counted unasked: this takes about a second."""
FILES_LIMIT = 200
"""The most files of one plan whose rows are counted unasked: a plan should appear at once."""
TOTAL_LIMIT = 64 << 20
"""The most bytes of all sides together whose rows are counted unasked for one plan."""

_NONE = RowCounts(0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Side:
    """Holds the size of a version whose content is here, and how it is opened. None: there is no file."""

    size: int
    open: Callable[[], BinaryIO] | None


def counted(repo: Repository, plan: Plan) -> Plan:
    """Returns the plan with what there is to tell of the changes' contents.

    That is what they do to the rows of tables, if it is quickly counted, and which are Git LFS's.
    """
    changes = ChangeSet(plan.base, plan.desired, tuple(planned.change for planned in plan.changes))
    with Counting(repo, changes) as counting:
        rows = counting.counts()
    lfs = lfs_paths(repo, changes.changes)
    told = (replace(p, rows=rows[p.change.path]) if p.change.path in rows else p for p in plan.changes)
    every = (replace(p, change=p.change.as_lfs()) if p.change.path in lfs else p for p in told)
    return replace(plan, changes=tuple(every))


class Counting:
    """Compares the rows of a change set's files, for as long as the block lasts.

    The content is what git has stored or would store; for a Git LFS pointer, what it stands for; for DVC's
    files, what its cache or the disk has. Nothing is fetched: missing content cannot be counted, and the
    answer is None.
    """

    def __init__(self, repo: Repository, changes: ChangeSet) -> None:
        self._repo = repo
        self._changes = changes
        self._blobs = Blobs(repo)

    def __enter__(self) -> Counting:
        self._blobs.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._blobs.__exit__(kind, error, trace)

    def counts(self, changes: Iterable[Change] | None = None) -> dict[bytes, RowCounts]:
        """Returns the row counts of the tabular files, as far as they are cheap.

        Counted are the first :data:`FILES_LIMIT` files, small ones first, up to :data:`TOTAL_LIMIT` bytes. A
        rename counts as a file that went and one that came. A path is left out if its content is missing, too
        large or no table.
        """
        given = self._changes.changes if changes is None else changes
        found = {change.path: _NONE for change in given if _same(change) and _is_table(change)}
        differing = (change for change in given if not _same(change) and _is_table(change))
        rest = list(islice(differing, FILES_LIMIT))
        self._prepare(rest, FILE_LIMIT)
        self._blobs.hold(e.oid for c in rest for e in (c.old, c.new) if e is not None and e.content == "blob")
        sized = []
        for change in rest:
            old, new = self._side(change.path, change.old), self._side(change.path, change.new)
            if old is not None and new is not None and max(old.size, new.size) <= FILE_LIMIT:
                sized.append((old.size + new.size, change.path, old, new))
        left = TOTAL_LIMIT
        for size, path, old, new in sorted(sized, key=lambda one: one[:2]):
            left -= size
            if left < 0:
                break
            try:
                form = form_of(path)
                found[path] = count_rows(
                    _table(path, old, form, FILE_LIMIT), _table(path, new, form, FILE_LIMIT)
                )
            except (TableError, GitError, OSError):
                continue
        return found

    def compare(self, change: Change, keyed: Keyed, form: Form | None = None) -> RowChanges | None:
        """Returns the rows of one file that differ, of any size; None if a side's content is missing.

        Raises:
            TableError: see :func:`raw_trigger.content.rows.compare_rows`.
        """
        if _same(change):
            return RowChanges(_NONE, ())
        self._prepare([change])
        old, new = self._side(change.path, change.old), self._side(change.path, change.new)
        if old is None or new is None:
            return None
        form = form or form_of(change.path)
        try:
            return compare_rows(_table(change.path, old, form), _table(change.path, new, form), keyed)
        except (GitError, OSError):
            return None

    def unchanged(self, change: Change, kind: Fingerprint, form: Form | None = None) -> bool | None:
        """Says whether nothing that counts differs; None if a side's content is missing.

        A file that came, went or changed its type has changed.
        """
        if _same(change):
            return True
        if change.status != "modified":
            return False
        self._prepare([change])
        form = form or form_of(change.path)
        prints = []
        for entry in (change.old, change.new):
            side = self._side(change.path, entry)
            table = None if side is None else _table(change.path, side, form)
            if table is None:
                return None
            try:
                prints.append(fingerprint(kind, table))
            except (GitError, OSError):
                return None
        return prints[0] == prints[1]

    def is_here(self, path: bytes, entry: Entry) -> bool:
        """Says whether the content can be read."""
        self._prepare([Change(path, None, entry)])
        return self._side(path, entry) is not None

    def _prepare(self, changes: Iterable[Change], limit: int | None = None) -> None:
        changes = list(changes)
        entries = [entry for change in changes for entry in (change.old, change.new) if entry is not None]
        self._blobs.look(*(entry.oid for entry in entries if entry.content == "blob"))
        if self._changes.desired.kind == "worktree":
            news = ((change.path, change.new) for change in changes)
            self._blobs.take_in(
                {path: new for path, new in news if new is not None and new.content == "blob"}, limit
            )

    def _side(self, path: bytes, entry: Entry | None) -> _Side | None:
        """Returns one side; None if the content is missing, or is not a file's."""
        if entry is None:
            return _Side(0, None)
        size = self._blobs.size(entry.oid) if entry.content == "blob" else None
        if entry.content == "dvc":
            pointed = content(self._repo, path, entry.oid)
        else:
            pointed = None if size is None else self._blobs.lfs(entry.oid)
        if pointed is None:
            return None if size is None else _Side(size, partial(self._blobs.open, entry.oid))
        try:
            return _Side(pointed.stat().st_size, partial(_opened, pointed))
        except OSError:
            return None


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def _same(change: Change) -> bool:
    """Says whether the content is the same; the mode may differ."""
    return (
        change.old is not None
        and change.new is not None
        and change.old.oid == change.new.oid
        and change.old.content == change.new.content
    )


def _is_table(change: Change) -> bool:
    return kind_of(show(change.path)) is not None


def form_of(path: bytes, delimiter: str | None = None, encoding: str | None = None) -> Form:
    """Returns how the file is written, as far as its name tells."""
    return Form(kind_of(show(path)) or "csv", delimiter, encoding)


def _table(path: bytes, side: _Side, form: Form, limit: int | None = None) -> Table | None:
    return None if side.open is None else Table(show(path), side.open, form, limit)
