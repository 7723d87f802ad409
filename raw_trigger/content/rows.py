"""Compares two versions of a table row by row, whatever the order of rows and columns.

A row is a mapping of its columns' names to values. So a new or renamed column changes every row, unless the
comparison knows which columns count. Values count as they are written (``1`` is not ``1.0``), after
unquoting, in JSON Lines as canonical JSON; see :mod:`raw_trigger.content.tables` for how files are read.

Both sides are read once, in step. Rows that are equal at the same place cost only their reading; after an
edit the place where the sides agree again is searched nearby. All other rows wait, as digests, for their
counterpart; more than :data:`_WAITING` of them go into a temporary file, in parts that are compared one after
the other. If a key has to be unique, 8 bytes are kept of each row.
"""

from __future__ import annotations

import difflib
import hashlib
import marshal
import tempfile
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from operator import itemgetter
from typing import Any, Literal

from raw_trigger.content.tables import (
    DOCUMENT_LIMIT,
    JSON,
    Cells,
    Label,
    Records,
    Table,
    binary,
    bytes_of,
    canonical,
    guarded,
    read_otherwise,
    reading,
    text_of,
    told,
)
from raw_trigger.errors import TableError
from raw_trigger.model.rows import RowCounts
from raw_trigger.model.text import sample

Fingerprint = Literal["bytes", "text", "json", "table"]
Captures = tuple["str | None", ...]
"""A row's values of the captured columns; None: it has none there."""

_WAITING = 50_000
"""The most rows without a counterpart that are held in memory, some 20 MB."""
_PARTS = 64
_WINDOWS = (4, 64, 512)
"""How many rows ahead to search for the place where both sides agree again."""
_SHOWN = 3
_COLUMNS_SHOWN = 20
_CELL_SHOWN = 80
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Keyed:
    """Says how rows are identified and which of their columns count.

    Attributes:
        key: The columns that identify a row.
        columns: The columns that count besides the key; None: all.
        captures: The columns whose values are wanted of each row that counts, such as those that a partition
            names. They count too: a row that moves has left one partition for another.
    """

    key: tuple[str, ...]
    columns: tuple[str, ...] | None = None
    captures: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """Returns all columns that are named, each once."""
        return tuple(dict.fromkeys((*self.key, *self.captures, *(self.columns or ()))))


@dataclass(frozen=True, slots=True)
class RowChanges:
    """Holds how many rows differ, and the distinct captures of all of them, old and new, sorted."""

    counts: RowCounts
    captures: tuple[Captures, ...]


def count_rows(old: Table | None, new: Table | None) -> RowCounts:
    """Returns how many rows differ, without a given key. None stands for a missing file.

    If the first column identifies the rows of both versions (no value is empty or occurs twice), a row whose
    other values differ is changed; otherwise it is one row removed and one added.

    Raises:
        TableError: a side cannot be read at all.
    """
    if old is None or new is None:
        rows = _number(old or new)
        return RowCounts(0, rows, 0) if new is None else RowCounts(rows, 0, 0)
    with ExitStack() as stack:
        sides = [stack.enter_context(reading(table)) for table in (replace(old, side="old"), new)]
        labels, whole = _union(sides)
        name = _first_column(sides)
        if sides[0].labels is None and name is not None:
            labels = [(name, 0)]
        at = labels.index((name, 0)) if name is not None else None
        comparison = _Comparison([] if at is None else [at], [], sides[1].empty)
        comparison.run(*(guarded(side, side.rows(labels, whole=whole)) for side in sides))
        counts, _ = comparison.result()
    if comparison.distinct("old") and comparison.distinct("new"):
        return counts
    return RowCounts(counts.added + counts.changed, counts.removed + counts.changed, 0)


def compare_rows(old: Table | None, new: Table | None, keyed: Keyed) -> RowChanges:
    """Returns the rows that differ, identified by their key. None stands for a missing file.

    The new side has to be in order. The old one is taken as it is, since nobody can edit it any more: rows
    without a key, rows with the same key, invalid bytes and missing columns make removed or changed rows.

    Raises:
        TableError: the new side's key is missing or not unique, it lacks a named column or has it twice, or a
            line of it cannot be understood; or a side cannot be read at all.
    """
    with ExitStack() as stack:
        before = None if old is None else stack.enter_context(reading(replace(old, side="old")))
        after = None if new is None else stack.enter_context(reading(new, strict=True))
        sides = [side for side in (before, after) if side is not None]
        if not sides:
            return RowChanges(RowCounts(0, 0, 0), ())
        if after is not None:
            _check_header(after, keyed)
        named = keyed.named
        labels: list[Label] = [(name, 0) for name in named]
        whole = False
        if keyed.columns is None:
            union, whole = _union(sides)
            labels += [label for label in union if label not in labels]
        comparison = _Comparison(
            [named.index(name) for name in keyed.key],
            [named.index(name) for name in keyed.captures],
            sides[-1].empty,
        )
        comparison.run(*(_rows(side, labels, whole=whole) for side in (before, after)))
        if new is not None and after is not None:
            if not comparison.distinct("new"):
                _explain_key(new, keyed, comparison)
            _check_names(after, before, keyed)
        counts, found = comparison.result()
        plain = {tuple(sides[-1].plain(cell) for cell in cells) for cells in found}
    order = sorted(plain, key=lambda cells: [(cell is not None, cell or "") for cell in cells])
    return RowChanges(counts, tuple(order))


def fingerprint(kind: Fingerprint, table: Table) -> str:
    """Returns a text that is the same for two contents if they differ only in parts that do not count.

    * ``bytes``: everything counts.
    * ``text``: line ends, one newline at the very end, a byte order mark and gzip do not count. A file with
    NUL near its beginning is no text.
    * ``json``: the order of names, spaces and other formatting do not count; the order of lists does. The
    document is read into memory, unless it is too large for that.
    * ``table``: the order of rows and columns, quoting, the delimiter and blank lines do not count either.

    A file that cannot be read as its kind counts by its bytes.
    """
    kinds = {"text": _text_digest, "json": _json_digest, "table": _table_digest}
    if kind in kinds:
        try:
            return f"{kind}:{kinds[kind](table)}"
        except (TableError, ValueError):
            pass
    digest = hashlib.sha256()
    with table.open() as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return f"bytes:{digest.hexdigest()}"


class _Comparison:
    """Cancels the rows of two sides against each other."""

    def __init__(self, key: Sequence[int], captures: Sequence[int], empty: frozenset[str | None]) -> None:
        self._empty = empty
        self._key: Callable[[Any], Any] = itemgetter(*key) if key else lambda _: None
        self._composite = len(key) > 1
        self._captures = _picker(captures)
        self._waiting = _Waiting()
        self._keys = {"both": _Keys(), "old": _Keys(), "new": _Keys()}

    def run(self, old: Iterator[Cells], new: Iterator[Cells]) -> None:
        """Reads both sides to their ends."""
        key, empty, composite = self._key, self._empty, self._composite
        both, only = self._keys["both"].add, {-1: self._keys["old"].add, 1: self._keys["new"].add}
        put, captured = self._waiting.put, self._captures
        for sign, row in _in_step(old, new):
            name = key(row)
            if name in empty if not composite else not self._valid(name):
                name = None
            if sign == 0:
                both(name)
            else:
                only[sign](name)
                put(name, row, captured(row), sign)

    def _valid(self, name: Any) -> bool:
        if self._composite:
            return None not in name and any(cell not in self._empty for cell in name)
        return name not in self._empty

    def distinct(self, side: str) -> bool:
        """Says whether each row of this side has a key of its own."""
        return not self.repeated(side)[0] and not self.keyless(side)

    def keyless(self, side: str) -> bool:
        """Says whether a row of this side has no key."""
        return any(keys.missing for keys in self._of(side))

    def repeated(self, side: str) -> tuple[bool, set[int]]:
        """Says whether keys occur twice on this side, with the hashes of the first such keys."""
        return _repeated(*self._of(side))

    def _of(self, side: str) -> tuple[_Keys, _Keys]:
        return self._keys["both"], self._keys[side]

    def result(self) -> tuple[RowCounts, set[Captures]]:
        """Returns the remaining differences: rows of one key on both sides count as changed, in pairs."""
        added = removed = changed = 0
        captures: set[Captures] = set()
        for part in self._waiting.parts():
            by_key: dict[Any, list[int]] = {}
            for (key, _), (balance, cells) in part.items():
                if balance == 0:
                    continue
                captures.add(cells)
                by_key.setdefault(key, [0, 0])[balance > 0] += abs(balance)
            for key, (gone, come) in by_key.items():
                same = 0 if key is None else min(gone, come)
                removed, added, changed = removed + gone - same, added + come - same, changed + same
        return RowCounts(added, removed, changed), captures


class _Keys:
    """Holds the keys of some rows: a hash of each, and whether one is missing."""

    def __init__(self) -> None:
        self.missing = False
        self.parts = [array("q") for _ in range(_PARTS)]
        self._append = [part.append for part in self.parts]

    def add(self, key: Any) -> None:
        if key is None:
            self.missing = True
        else:
            number = hash(key)
            self._append[number % _PARTS](number)


def _repeated(*keys: _Keys) -> tuple[bool, set[int]]:
    found: set[int] = set()
    for parts in zip(*(one.parts for one in keys), strict=True):
        if len(set(chain(*parts))) == sum(map(len, parts)):
            continue
        seen: set[int] = set()
        for number in chain(*parts):
            if number in seen:
                found.add(number)
                if len(found) >= _REMEMBERED:
                    return True, found
            seen.add(number)
    return bool(found), found


_Part = dict[tuple[Any, bytes], "tuple[int, Captures]"]
"""Key and digest of a row → its number on the new side minus that on the old side; its captures."""


class _Waiting:
    """Holds rows that wait for the same row of the other side."""

    def __init__(self) -> None:
        self._rows: _Part = {}
        self._file: Any = None
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(_PARTS)]

    def put(self, key: Any, row: Cells, captures: Captures, sign: int) -> None:
        slot = (key, _digest(row))
        balance = self._rows.get(slot, (0,))[0] + sign
        if balance:
            self._rows[slot] = (balance, captures)
            if len(self._rows) > _WAITING:
                self._put_away()
        else:
            del self._rows[slot]

    def _put_away(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115
        parts: list[list[Any]] = [[] for _ in range(_PARTS)]
        for slot, value in self._rows.items():
            parts[hash(slot[0] or slot) % _PARTS].append((*slot, *value))
        for places, part in zip(self._places, parts, strict=True):
            data = marshal.dumps(part)
            places.append((self._file.tell(), len(data)))
            self._file.write(data)
        self._rows = {}

    def parts(self) -> Iterator[_Part]:
        """Yields all remaining rows; rows of one key are in the same part. Call it once."""
        if self._file is None:
            yield self._rows
            return
        self._put_away()
        with self._file as file:
            for places in self._places:
                part: _Part = {}
                for at, size in places:
                    file.seek(at)
                    for key, digest, balance, captures in marshal.loads(file.read(size)):  # our own file
                        slot = (key, digest)
                        part[slot] = (part.get(slot, (0,))[0] + balance, captures)
                yield part


def _digest(row: Cells) -> bytes:
    try:
        text = "\0".join(row)  # type: ignore[arg-type]
    except TypeError:
        text = ""
    if not 0 < text.count("\0") == len(row) - 1:
        # Joined, missing cells, cells with NUL and single cells would be ambiguous; `repr` gives no NUL.
        text = repr(row)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _in_step(old: Iterator[Cells], new: Iterator[Cells]) -> Iterator[tuple[int, Cells]]:
    """Yields each row once, with 0 if both sides have it at the same place, else -1 (old) or 1 (new)."""
    left: deque[Cells] = deque()
    right: deque[Cells] = deque()
    while True:
        for a, b in zip_longest(_drained(left, old), _drained(right, new)):
            if a == b:
                yield 0, a
            elif a is None:
                yield 1, b
            elif b is None:
                yield -1, a
            else:
                left.appendleft(a)
                right.appendleft(b)
                break
        else:
            return
        skipped = _agreement(left, old, right, new)
        for _ in range(skipped[0]):
            yield -1, left.popleft()
        for _ in range(skipped[1]):
            yield 1, right.popleft()


def _drained(held: deque[Cells], rest: Iterator[Cells]) -> Iterator[Cells]:
    while held:
        yield held.popleft()
    # Not `yield from`: that would close the rest when the caller stops early.
    for row in rest:  # noqa: UP028
        yield row


def _agreement(
    left: deque[Cells], old: Iterator[Cells], right: deque[Cells], new: Iterator[Cells]
) -> tuple[int, int]:
    """Returns how many rows of each side come before the next shared one; all held rows if none is near."""
    for size in _WINDOWS:
        for held, rest in ((left, old), (right, new)):
            while len(held) < size and (row := next(rest, None)) is not None:
                held.append(row)
        places: dict[Cells, int] = {}
        for at, row in enumerate(left):
            places.setdefault(row, at)
        for at, row in enumerate(right):
            if row in places:
                return places[row], at
    return len(left), len(right)


def _picker(places: Sequence[int]) -> Callable[[Cells], Captures]:
    if not places:
        return lambda _: ()
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: tuple(row[place] for place in places)


def _rows(side: Records | None, labels: Sequence[Label], *, whole: bool) -> Iterator[Cells]:
    return iter(()) if side is None else guarded(side, side.rows(labels, whole=whole))


def _union(sides: Iterable[Records]) -> tuple[list[Label], bool]:
    """Returns the columns of all sides, sorted, and whether rows may have more than these."""
    labels: set[Label] = set()
    for side in sides:
        labels.update(side.labels or ())
    return sorted(labels), True


def _number(table: Table | None) -> int:
    if table is None:
        return 0
    with reading(table) as records:
        return sum(1 for _ in guarded(records, records.rows((), whole=False)))


def _first_column(sides: Sequence[Records]) -> str | None:
    """Returns the column that may identify rows, if both sides have it.

    It is the first of the new side, else that of the old one.
    """
    old, new = (side.names or _peeked(side) for side in sides)
    both = [name for name in (*new[:1], *old[:1]) if name in old and name in new]
    return both[0] if both else None


def _peeked(side: Records) -> list[str]:
    """Returns the names in the first record of JSON Lines."""
    with reading(side.table) as records:
        for _ in guarded(records, records.rows((), whole=False)):
            break
        return records.names


def _check_header(side: Records, keyed: Keyed) -> None:
    """Raises an error unless a CSV or TSV file has each named column exactly once.

    A file without a header has no rows either.
    """
    if not side.labels:
        return
    _require(side.table, keyed, side.names)
    for name in keyed.named:
        if (name, 1) in side.labels:
            raise side.table.error(f"there are two columns {name!r}", "rename one of them")


def _check_names(side: Records, other: Records | None, keyed: Keyed) -> None:
    """Raises an error if no record of JSON Lines has a named column: then its name is wrong."""
    if side.labels is None and side.names:
        _require(side.table, keyed, [*side.names, *(() if other is None else other.names)])


def _require(table: Table, keyed: Keyed, names: Sequence[str]) -> None:
    for name in keyed.named:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]!r}?" if near else None
            if table.form.kind != "jsonl":
                hint = read_otherwise(table, keyed.named) or hint
            if hint is None and len(names) == 1:
                hint = "if there are more, say what is between them with `delimiter:`"
            raise table.error(f"there is no column {name!r}; its columns are {_listed(names)}", hint)


def _explain_key(table: Table, keyed: Keyed, comparison: _Comparison) -> None:
    """Reads the new side once more, to name the rows that have no key or share one.

    Raises:
        TableError: as said; none if only the hashes of two keys were the same.
    """
    _, hashes = comparison.repeated("new")
    missing: list[int] = []
    lines: dict[Any, list[int]] = {}
    labels = [(name, 0) for name in keyed.key]
    with reading(table, strict=True) as records:
        for row in guarded(records, records.rows(labels, whole=False)):
            key = row[0] if len(row) == 1 else row
            if not comparison._valid(key):
                missing.append(records.line)
            elif hash(key) in hashes:
                lines.setdefault(key, []).append(records.line)
        known = records.names
        plain = records.plain
    if known:
        _require(table, replace(keyed, columns=None, captures=()), known)
    name = ", ".join(keyed.key)
    if missing:
        what = f"the key {name} has no value in {_in_lines(missing)}"
        raise table.error(what, "give these rows a key, or name another column as `key`", missing[0])
    twice = {key: at for key, at in lines.items() if len(at) > 1}
    if not twice:
        return
    shown = [f"{_shown(key, plain)} is in {_in_lines(at)}" for key, at in list(twice.items())[:_SHOWN]]
    more = len(twice) - len(shown)
    at_least = "at least " if len(hashes) >= _REMEMBERED else ""
    rest = f"; and {at_least}{more} more" if more else ""
    what = f"the key {name} is not unique: {'; '.join(shown)}{rest}"
    raise table.error(
        what, "remove the repeated rows, or name further columns in `key`", min(twice.values())[1]
    )


def _shown(key: Any, plain: Callable[[str | None], str | None]) -> str:
    parts = [plain(cell) or "" for cell in (key if isinstance(key, tuple) else (key,))]
    return ", ".join(repr(part[:_CELL_SHOWN] + "…" * (len(part) > _CELL_SHOWN)) for part in parts)


def _in_lines(lines: Sequence[int]) -> str:
    if len(lines) == 1:
        return f"line {lines[0]}"
    shown = [str(line) for line in lines]
    if len(lines) > _SHOWN:
        return f"lines {sample(shown, _SHOWN)}"
    return f"lines {', '.join(shown[:-1])} and {shown[-1]}"


def _listed(names: Sequence[str]) -> str:
    return sample([repr(name) for name in names], _COLUMNS_SHOWN)


def _text_digest(table: Table) -> str:
    if binary(table):
        raise table.error("is no text")
    digest = hashlib.sha256()
    held = ""
    with text_of(table) as text, told(table):
        while chunk := text.read(1 << 16):
            bytes_of(text).held = 0
            chunk, held = held + chunk, ""
            if chunk.endswith("\n"):
                chunk, held = chunk[:-1], "\n"
            digest.update(chunk.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _json_digest(table: Table) -> str:
    with text_of(table, strict=True) as text, told(table):
        bytes_of(text).most = DOCUMENT_LIMIT
        return hashlib.sha256(canonical(JSON.decode(text.read())).encode()).hexdigest()


def _table_digest(table: Table) -> str:
    """Returns a digest of the columns and of the sum of the rows' digests: a sum has no order."""
    total = 0
    with reading(table) as records:
        labels, whole = _union([records])
        for row in guarded(records, records.rows(labels, whole=whole)):
            data = repr(row).encode("utf-8", "surrogatepass")
            total += int.from_bytes(hashlib.sha256(data).digest(), "big")
    content = repr((labels, total % (1 << 256))).encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).hexdigest()
