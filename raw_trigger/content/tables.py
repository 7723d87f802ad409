r"""Reads CSV, TSV and JSON Lines, record by record, from streams of bytes.

* Gzip is recognised by its first bytes, whatever the file's name.
* Encoding: a byte order mark decides, then the given encoding, then UTF-8. Invalid bytes are kept as
surrogate escapes, one to one, so that any superset of ASCII can be compared; if values have to be understood
(``strict``) they are an error.
* ``\n``, ``\r\n`` and ``\r`` are the same, inside quotes too. Blank lines are no rows.
* Delimiter: the given one, a tab for TSV, else the most frequent of ``, tab ; |`` in the first line outside
of quotes (the comma if there is none). Quoting is RFC 4180's: ``"``, doubled inside.
* The first row names the columns. Two columns of one name are distinguished by their order. A row that is too
short lacks its last cells, which differs from empty ones; cells beyond the last column have no name.
* A line of JSON Lines that is no JSON counts as its text; with ``strict`` it is an error.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from operator import itemgetter
from typing import Any, BinaryIO, Literal

from raw_trigger.errors import TableError
from raw_trigger.mapping.formats import READABLE, Kind

Side = Literal["old", "new"]
Cells = tuple["str | None", ...]
"""The values of the wanted columns; None: the row has none there."""
Label = tuple[str, int]
"""A column's name, and the number of columns of the same name before it."""

_BEGINNINGS = (
    (b"PK\x03\x04", "Excel, or another ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel"),
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow"),
    (b"ORC", "ORC"),
    (b"Obj\x01", "Avro"),
    (b"SQLite format 3\0", "a database"),
    (b"BZh", "packed otherwise than with gzip"),
    (b"\xfd7zXZ\0", "packed otherwise than with gzip"),
    (b"\x28\xb5\x2f\xfd", "packed otherwise than with gzip"),
    (b"7z\xbc\xaf", "packed otherwise than with gzip"),
)
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\f\r\x1b")
_HEAD = 8000
"""The bytes at the beginning in which git, too, searches for NUL to tell whether a file is text."""
FIELD_LIMIT = 16 << 20
"""The most characters of a cell. More means an unclosed quote, which would take all the rest into memory."""
RECORD_LIMIT = 2 * FIELD_LIMIT
"""The most bytes of a record, on any number of lines: a few kilobytes of gzip can unpack to gigabytes."""
DOCUMENT_LIMIT = 4 * FIELD_LIMIT
"""The most bytes of a document that is read as a whole."""
_MOST_COLUMNS = 100_000

_DELIMITERS = ",\t;|"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "cp1252")
_GZIP = b"\x1f\x8b"
_NUL = "\udc00"
"""Replaces NUL for :mod:`csv` of Python 3.10, which refuses it; no decoder gives this character."""
_CHUNK = 1 << 16
_SHOWN = 100
"""The most records of JSON Lines whose names are kept for messages."""


@dataclass(frozen=True, slots=True)
class Form:
    """Says how a table is written; None: it is detected. A delimiter is one character."""

    kind: Kind
    delimiter: str | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Holds one version of a table.

    Attributes:
        name: Its name in messages.
        open: Opens its bytes; called once more if an error has to name lines.
        limit: The most bytes when unpacked; None: any number.
        side: Set by the comparison.
    """

    name: str
    open: Callable[[], BinaryIO]
    form: Form
    limit: int | None = None
    side: Side = "new"

    def error(self, what: str, hint: str | None = None, line: int | None = None) -> TableError:
        """Returns an error that names this table, its side, and the line."""
        place = self.name if line is None else f"{self.name}:{line}"
        version = " in the version compared with" if self.side == "old" else ""
        return TableError(place, f"{what}{version}", hint, self.side)


class Records:
    """Reads the records of an open table, as the cells of the wanted columns.

    Attributes:
        labels: The columns; None for JSON Lines, whose records each have their own.
        names: The columns' names, as far as they are known by now.
        line: Where the last record begins, from 1.
    """

    empty: frozenset[str | None]
    """Cells that count as without a value."""

    def __init__(self, table: Table, text: io.TextIOWrapper, *, strict: bool) -> None:
        self.table = table
        self.line = 0
        self._text = text
        self._bytes = bytes_of(text)
        self._strict = strict

    labels: Sequence[Label] | None = None

    @property
    def names(self) -> list[str]:
        raise NotImplementedError

    def rows(self, wanted: Sequence[Label], *, whole: bool) -> Iterator[Cells]:
        """Yields the wanted cells of each record.

        Args:
            whole: Whether the other cells follow after these.
        """
        raise NotImplementedError

    def last_line(self) -> int:
        """Returns the number of the last line that was read."""
        return self.line

    def plain(self, cell: str | None) -> str | None:
        """Returns the value as a person or a partition key writes it; None if there is none."""
        return cell


class _Separated(Records):
    """Reads CSV and TSV."""

    empty = frozenset({None, ""})

    def __init__(self, table: Table, text: io.TextIOWrapper, *, strict: bool) -> None:
        super().__init__(table, text, strict=strict)
        if csv.field_size_limit() < FIELD_LIMIT:
            # A setting of the whole process: it is only raised, so that no other reader breaks.
            csv.field_size_limit(FIELD_LIMIT)
        self._before = 0
        first = ""
        for first in text:
            if first != "\n":
                break
            self._before += 1
        delimiter = table.form.delimiter or ("\t" if table.form.kind == "tsv" else _sniffed(first))
        self._reader = csv.reader(_lines(first, text), delimiter=delimiter)
        header = next(self._reader, [])
        self._at = self._reader.line_num
        if len(header) > _MOST_COLUMNS:
            raise table.error(f"has more than {_MOST_COLUMNS} columns", "is the delimiter right?")
        seen: dict[str, int] = {}
        labels = []
        for name in header:
            labels.append((name, seen.get(name, 0)))
            seen[name] = seen.get(name, 0) + 1
        self.labels = labels

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.labels or ()]

    def rows(self, wanted: Sequence[Label], *, whole: bool) -> Iterator[Cells]:
        at = {label: place for place, label in enumerate(self.labels or ())}
        width = len(at)
        places = [at.get(label, -1) for label in wanted]
        complete = bool(places) and min(places) >= 0
        quick: Callable[[list[str]], Cells] = tuple
        if complete and places != list(range(width)):
            quick = itemgetter(*places) if len(places) > 1 else lambda row: (row[places[0]],)
        reader, before, end, bytes_ = self._reader, self._before, self._at, self._bytes
        for row in reader:
            bytes_.held = 0
            self.line, end = before + end + 1, reader.line_num
            if complete and len(row) == width:
                yield quick(row)
            elif row:
                cells: Cells = tuple(row[place] if 0 <= place < len(row) else None for place in places)
                yield (*cells, *row[width:]) if whole else cells

    def plain(self, cell: str | None) -> str | None:
        return cell and cell.replace(_NUL, "\0")

    def last_line(self) -> int:
        return self._before + self._reader.line_num


class _JsonLines(Records):
    """Reads JSON Lines. A cell is its value's canonical JSON."""

    empty = frozenset({None, '""', "null"})

    def __init__(self, table: Table, text: io.TextIOWrapper, *, strict: bool) -> None:
        super().__init__(table, text, strict=strict)
        self._names: dict[str, None] = {}

    @property
    def names(self) -> list[str]:
        return list(self._names)

    def rows(self, wanted: Sequence[Label], *, whole: bool) -> Iterator[Cells]:
        names = [name for name, _ in wanted]
        asked = set(names)
        shown = 0
        for at, line in enumerate(self._text, 1):
            self._bytes.held = 0
            self.line = at
            if line.isspace():
                continue
            record = self._parsed(line)
            if isinstance(record, dict):
                if shown < _SHOWN or not self._names.keys() >= asked:
                    shown += 1
                    self._names.update(dict.fromkeys(record))
                cells: Cells = tuple(canonical(record[name]) if name in record else None for name in names)
            else:
                cells = (None,) * len(names)
            if not whole:
                yield cells
            else:
                yield (*cells, line.strip() if record is _NO_JSON else canonical(record))

    def _parsed(self, line: str) -> object:
        try:
            record = JSON.decode(line)
        except (ValueError, RecursionError) as error:
            if self._strict:
                said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                hint = "is it UTF-16? then say `encoding: utf-16-le`" if "\0" in line else None
                raise self.table.error(f"this line is no JSON ({said})", hint, self.line) from error
            return _NO_JSON
        if self._strict and not isinstance(record, dict):
            raise self.table.error("this line is no JSON object", line=self.line)
        return record

    def plain(self, cell: str | None) -> str | None:
        if cell is None or cell == "null":
            return None
        value = json.loads(cell)
        if isinstance(value, dict) and _EXACT in value:
            return str(value[_EXACT])
        return str(value) if isinstance(value, str) else cell


_NO_JSON = object()
_EXACT = "\0number"


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if _EXACT in found:
        raise ValueError(f"the name {_EXACT!r} cannot be told from a number")
    if len(found) < len(pairs):
        (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the name {name!r} is in one object twice")
    return found


@dataclass(frozen=True, slots=True)
class _Exact:
    """Holds a number that no double represents, as digits and an exponent."""

    text: str


def _number(text: str) -> float | _Exact:
    """Returns a number with a fraction or an exponent, with exactly the written value."""
    number = float(text)
    short = repr(number)
    if text == short:
        return number
    exact = _digits(text)
    return number if isfinite(number) and exact == _digits(short) else _Exact(exact)


def _digits(text: str) -> str:
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    sign, digits = whole[:1].strip("0123456789"), whole.lstrip("-") + fraction
    kept = digits.rstrip("0")
    if not kept:
        return f"{sign}0"
    return f"{sign}{kept.lstrip('0')}e{int(exponent or 0) - len(fraction) + len(digits) - len(kept)}"


JSON = json.JSONDecoder(object_pairs_hook=_once, parse_float=_number)
"""Reads JSON. A name that occurs twice is an error: some readers take its first value, some its last."""


def canonical(value: object) -> str:
    """Returns JSON that is the same for the same value: names sorted, no spaces, ASCII.

    ``1``, ``1.0`` and ``-0.0``, ``0.0`` are four values; ``1.0``, ``1.00`` and ``10e-1`` are one. Numbers
    that no double represents stay exact.

    Raises:
        RecursionError: it is nested too deeply.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain_number)


def _plain_number(number: _Exact) -> dict[str, str]:
    # No JSON that was read contains such a name: `_once` refuses it.
    return {_EXACT: number.text}


@contextmanager
def reading(table: Table, *, strict: bool = False) -> Iterator[Records]:
    """Opens a table.

    Args:
        strict: Whether bytes and lines that cannot be understood are an error.

    Raises:
        TableError: its encoding is unknown, or its beginning cannot be read.
    """
    with text_of(table, strict=strict) as text:
        made = _JsonLines if table.form.kind == "jsonl" else _Separated
        with told(table):
            records = made(table, text, strict=strict)
        yield records


def guarded(records: Records, rows: Iterator[Cells]) -> Iterator[Cells]:
    """Yields the rows, and turns errors of reading into the table's error."""
    with told(records.table, records):
        yield from rows


@contextmanager
def told(table: Table, records: Records | None = None) -> Iterator[None]:
    """Turns errors of reading the table inside the block into the table's error."""
    try:
        yield
    except UnicodeError as error:
        line, encoding = _undecodable(table)
        what = f"this line is not {encoding.removesuffix('-sig')}"
        hint = "say how it is written with `encoding:` (latin-1, cp1252, utf-16 …), or save it as UTF-8"
        raise table.error(what, hint, line) from error
    except csv.Error as error:
        line = records.last_line() if isinstance(records, _Separated) else 1
        what = f"a cell that ends about here has more than {FIELD_LIMIT >> 20} Mi characters"
        if "limit" not in str(error):
            what = f"cannot be read as {table.form.kind}: {error}"
        raise table.error(what, "is there a quote that is not closed?", line) from error
    except _TooMuchError as error:
        line = records.last_line() + 1 if records is not None else 1
        what = f"a record that ends about here has more than {RECORD_LIMIT >> 20} MiB"
        raise table.error(what, "is there a quote that is not closed?", line) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise table.error(f"cannot be unpacked: {error}", "is the .gz file complete?") from error
    except RecursionError as error:
        raise table.error("a value is nested too deeply") from error


@contextmanager
def text_of(table: Table, *, strict: bool = False) -> Iterator[io.TextIOWrapper]:
    """Opens the table's text, unpacked and decoded, with a single newline character after each line.

    Raises:
        TableError: the given encoding does not exist.
    """
    with unpacked(table) as stream:
        with told(table):
            head = stream.peek(_HEAD)
        for beginning, what in _BEGINNINGS:
            # The name of a text's first column may be ORC.
            if head.startswith(beginning) and not _CONTROLS.isdisjoint(head[:64]):
                raise table.error(f"is no text but {what}", READABLE)
        encoding = _encoding(table, stream)
        errors = "strict" if strict else "surrogateescape"
        try:
            text = io.TextIOWrapper(stream, encoding, errors=errors, newline=None)
        except LookupError as error:
            raise table.error(f"there is no encoding {encoding!r}", "see Python's list of codecs") from error
        with text:
            yield text


@contextmanager
def unpacked(table: Table) -> Iterator[io.BufferedReader]:
    """Opens the table's bytes, unpacked. Broken gzip raises an error when it is read."""
    with table.open() as raw:
        head = raw.read(len(_GZIP))
        inner: Any = Bytes(raw, head)
        if head == _GZIP:
            inner = gzip.GzipFile(fileobj=io.BufferedReader(inner))
        limited: Any = Bytes(inner, b"", table)
        with io.BufferedReader(limited, _CHUNK) as stream:
            yield stream


class _TooMuchError(Exception):
    """Says that a record or document does not fit into memory."""


def bytes_of(text: io.TextIOWrapper) -> Bytes:
    """Returns the bytes that the text is decoded from."""
    raw: Bytes = text.buffer.raw  # type: ignore[attr-defined]
    return raw


class Bytes(io.RawIOBase):
    """Reads a stream with some bytes put back before it, and with limits.

    Attributes:
        held: The bytes read since the reader finished a record; the reader sets it back to 0. Nobody asks for
            a whole record at once: lines and quoted cells are read to their ends, however far.
        most: The most bytes for ``held``.
    """

    def __init__(self, inner: Any, head: bytes, table: Table | None = None) -> None:
        self._inner = inner
        self._head = head
        self._table = table
        self.held = 0
        self.most = sys.maxsize if table is None else RECORD_LIMIT
        self._left = sys.maxsize if table is None or table.limit is None else table.limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data, self._head = self._head, b""
        while len(data) < len(buffer) and (more := self._inner.read(len(buffer) - len(data))):
            # Fills the buffer: a byte order mark must not be cut in two.
            data += more
        self.held += len(data)
        if self.held > self.most:
            raise _TooMuchError
        self._left -= len(data)
        if self._left < 0 and self._table is not None:
            raise self._table.error(f"is larger than {self._table.limit} bytes")
        buffer[: len(data)] = data
        return len(data)


def _encoding(table: Table, stream: io.BufferedReader) -> str:
    with told(table):
        head = stream.peek(4)
    return next((name for mark, name in _MARKS if head.startswith(mark)), table.form.encoding or "utf-8")


def _undecodable(table: Table) -> tuple[int, str]:
    """Returns the first line with bytes that are invalid in the encoding, and the encoding."""
    with unpacked(table) as stream:
        stream.raw.most = sys.maxsize  # type: ignore[attr-defined]
        encoding = _encoding(table, stream)
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
        line = 1
        while True:
            chunk = stream.read(_CHUNK)
            state = decoder.getstate()
            try:
                line += decoder.decode(chunk, final=not chunk).count("\n")
            except UnicodeError:
                decoder.setstate(state)
                break
            if not chunk:
                return line, encoding
        try:
            for at in range(len(chunk)):
                line += decoder.decode(chunk[at : at + 1]).count("\n")
        except UnicodeError:
            pass
        return line, encoding


def read_otherwise(table: Table, wanted: Sequence[str]) -> str | None:
    """Returns how to describe a CSV or TSV file so that it has these columns; None if nothing helps."""
    with unpacked(table) as stream:
        encoding = _encoding(table, stream)
        head = stream.read(_CHUNK)
    for other in dict.fromkeys((encoding, *_ENCODINGS)):
        text = codecs.getincrementaldecoder(other)("ignore").decode(head).replace("\0", _NUL)
        line = next(iter(text.strip("\r\n").splitlines()), "")
        further = (char for char in line if char.isprintable() and not char.isalnum() and char not in '_"')
        for mark in dict.fromkeys((*_DELIMITERS, *further)):
            if set(wanted) <= set(next(csv.reader([line], delimiter=mark), [])):
                said = f"say how it is written: `delimiter: {json.dumps(mark)}`"
                return said if other == encoding else f"{said}, `encoding: {other}`"
    return None


def binary(table: Table) -> bool:
    """Says whether the file is no text, by git's rule."""
    with unpacked(table) as stream, told(table):
        head = stream.peek(_HEAD)
    return b"\0" in head[:_HEAD] and not head.startswith(tuple(mark for mark, _ in _MARKS))


def _lines(first: str, rest: Iterator[str]) -> Iterator[str]:
    if sys.version_info >= (3, 11):
        yield first
        yield from rest
    else:
        yield first.replace("\0", _NUL)
        for line in rest:
            yield line.replace("\0", _NUL)


def _sniffed(line: str) -> str:
    outside = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=outside.count)
