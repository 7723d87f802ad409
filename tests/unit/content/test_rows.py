"""Two versions of a table, row by row: examples, and against a reference that is slow and plainly right."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raw_trigger.content import rows as tabular
from raw_trigger.content import tables
from raw_trigger.content.rows import Keyed, compare_rows, count_rows, fingerprint
from raw_trigger.content.tables import Form, Table
from raw_trigger.errors import TableError
from raw_trigger.mapping.formats import Kind, kind_of
from raw_trigger.model.rows import RowCounts


def table(content: str | bytes, kind: Kind = "csv", **form: str) -> Table:
    data = content if isinstance(content, bytes) else content.encode()
    return Table("t", lambda: io.BytesIO(data), Form(kind, **form))


def counts(old: str | bytes, new: str | bytes, kind: Kind = "csv") -> tuple[int, int, int]:
    found = count_rows(table(old, kind), table(new, kind))
    return found.added, found.removed, found.changed


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.csv", "csv"),
        ("A.CSV", "csv"),
        ("a.csv.gz", "csv"),
        ("a.tsv", "tsv"),
        ("a.Tab", "tsv"),
        ("x/a.jsonl", "jsonl"),
        ("a.ndjson.GZ", "jsonl"),
        ("a.json", None),
        ("a.csv.dvc", None),
        ("csv", None),
        ("a.gz", None),
    ],
)
def test_what_is_a_table(path: str, kind: str | None) -> None:
    assert kind_of(path) == kind


UNKEYED = [
    ("the same", "id,a\n1,x\n", "id,a\n1,x\n", (0, 0, 0)),
    ("a row more", "id,a\n1,x\n", "id,a\n1,x\n2,y\n", (1, 0, 0)),
    ("a row less", "id,a\n1,x\n2,y\n", "id,a\n2,y\n", (0, 1, 0)),
    ("a cell differs, the first column tells", "id,a\n1,x\n", "id,a\n1,y\n", (0, 0, 1)),
    ("a cell differs, the first column is not unique", "id,a\n1,x\n1,z\n", "id,a\n1,y\n1,z\n", (1, 1, 0)),
    ("a cell differs, the first column has a gap", "id,a\n,x\n2,z\n", "id,a\n,x\n2,y\n", (1, 1, 0)),
    ("order of rows", "id,a\n1,x\n2,y\n", "id,a\n2,y\n1,x\n", (0, 0, 0)),
    ("order of columns", "id,a\n1,x\n", "a,id\nx,1\n", (0, 0, 0)),
    ("how often a row is there", "a\nx\nx\n", "a\nx\n", (0, 1, 0)),
    ("a new column", "id\n1\n2\n", "id,a\n1,\n2,\n", (0, 0, 2)),
    ("a new column in front", "id,a\n1,x\n", "n,id,a\n7,1,x\n", (0, 0, 1)),
    ("a column renamed", "id,a\n1,x\n", "id,b\n1,x\n", (0, 0, 1)),
    ("the first column renamed", "id,a\n1,x\n", "key,a\n1,x\n", (1, 1, 0)),
    ("line ends", "id,a\n1,x\n", "id,a\r\n1,x\r\n", (0, 0, 0)),
    ("old Macintosh", "id,a\n1,x\n", "id,a\r1,x\r", (0, 0, 0)),
    ("line ends inside quotes", 'id,a\n1,"x\ny"\n', 'id,a\r\n1,"x\r\ny"\r\n', (0, 0, 0)),
    ("no newline at the end", "id,a\n1,x\n", "id,a\n1,x", (0, 0, 0)),
    ("blank lines", "id,a\n1,x\n", "\n\nid,a\n\n1,x\n\n", (0, 0, 0)),
    ("a byte order mark", "id,a\n1,x\n", "\ufeffid,a\n1,x\n", (0, 0, 0)),
    ("UTF-16", "id,a\n1,ä\n", "id,a\n1,ä\n".encode("utf-16"), (0, 0, 0)),
    ("UTF-32", "id,a\n1,ä\n", "id,a\n1,ä\n".encode("utf-32"), (0, 0, 0)),
    ("latin-1", "id,a\n1,ä\n".encode("latin-1"), "id,a\n1,ä\n2,ö\n".encode("latin-1"), (1, 0, 0)),
    ("gzip", "id,a\n1,x\n", gzip.compress(b"id,a\n1,x\n", mtime=0), (0, 0, 0)),
    ("quoting", 'id,a\n1,"x"\n', "id,a\n1,x\n", (0, 0, 0)),
    ("another delimiter", "id;a\n1;x,y\n", 'id,a\n1,"x,y"\n', (0, 0, 0)),
    ("a delimiter inside a quoted name", '"a,b,c";d\n1;2\n', '"a,b,c";d\n1;3\n', (0, 0, 1)),
    ("a number written otherwise", "id,a\n1,1\n", "id,a\n1,1.0\n", (0, 0, 1)),
    ("a space", "id,a\n1,x\n", "id,a\n1, x\n", (0, 0, 1)),
    ("a missing cell is not an empty one", "id,a\n1\n", "id,a\n1,\n", (0, 0, 1)),
    ("a cell beyond the last column", "id,a\n1,x\n", "id,a\n1,x,\n", (0, 0, 1)),
    ("which is not one of a new column", "id\n1,x\n", "id,a\n1,x\n", (0, 0, 1)),
    ("two columns of one name", "id,a,a\n1,x,y\n", "id,a,a\n1,y,x\n", (0, 0, 1)),
    ("NUL", "id,a\n1,x\0y\n", "id,a\n1,x\0z\n", (0, 0, 1)),
    ("a long cell", f"id,a\n1,{'x' * 200_000}\n", f"id,a\n1,{'x' * 200_001}\n", (0, 0, 1)),
    ("from nothing", "", "id,a\n1,x\n", (1, 0, 0)),
    ("to nothing", "id,a\n1,x\n", "", (0, 1, 0)),
    ("header only", "id,a\n", "id,a\n1,x\n", (1, 0, 0)),
    ("another header only", "id,a\n", "id,b\n", (0, 0, 0)),
    ("only blank lines", "\n\n", "", (0, 0, 0)),
]


@pytest.mark.parametrize(
    ("old", "new", "wanted"), [row[1:] for row in UNKEYED], ids=[row[0] for row in UNKEYED]
)
def test_counts(old: str | bytes, new: str | bytes, wanted: tuple[int, int, int]) -> None:
    assert counts(old, new) == wanted
    added, removed, changed = wanted
    assert counts(new, old) == (removed, added, changed)


JSON_LINES = [
    ("order of names, spaces", '{"id":1,"a":2}\n', '{"a": 2, "id": 1}\n', (0, 0, 0)),
    ("nested", '{"id":1,"a":{"x":[1],"y":2}}\n', '{"id":1,"a":{"y":2,"x":[1]}}\n', (0, 0, 0)),
    ("the order of a list", '{"id":1,"a":[1,2]}\n', '{"id":1,"a":[2,1]}\n', (0, 0, 1)),
    ("1 and 1.0", '{"id":1,"a":1}\n', '{"id":1,"a":1.0}\n', (0, 0, 1)),
    ("1.0 and 1.00", '{"id":1,"a":1.0}\n', '{"id":1,"a":1.00}\n', (0, 0, 0)),
    ("1.0 and 10e-1", '{"id":1,"a":1.0}\n', '{"id":1,"a":10E-1}\n', (0, 0, 0)),
    ("1.0 and 1.0…1", '{"id":1,"a":1.0}\n', '{"id":1,"a":1.00000000000000000001}\n', (0, 0, 1)),
    ("0.1 and 0.10", '{"id":1,"a":0.1}\n', '{"id":1,"a":0.10}\n', (0, 0, 0)),
    ("0.0 and -0.0", '{"id":1,"a":0.0}\n', '{"id":1,"a":-0.0}\n', (0, 0, 1)),
    ("0.0 and 0e7", '{"id":1,"a":0.0}\n', '{"id":1,"a":0e7}\n', (0, 0, 0)),
    ("too large for a double", '{"id":1,"a":1e400}\n', '{"id":1,"a":2e400}\n', (0, 0, 1)),
    ("the same one", '{"id":1,"a":[1e400]}\n', '{"id":1,"a":[10.0e+399]}\n', (0, 0, 0)),
    ("too large and Infinity", '{"id":1,"a":1e400}\n', '{"id":1,"a":Infinity}\n', (0, 0, 1)),
    ("too small for a double", '{"id":1,"a":1e-400}\n', '{"id":1,"a":-2e-400}\n', (0, 0, 1)),
    ("too small and nothing", '{"id":1,"a":1e-400}\n', '{"id":1,"a":0.0}\n', (0, 0, 1)),
    ("too many digits", '{"id":1,"a":9007199254740993.0}\n', '{"id":1,"a":9007199254740992.0}\n', (0, 0, 1)),
    ("two large integers", '{"id":1,"a":9007199254740993}\n', '{"id":1,"a":9007199254740992}\n', (0, 0, 1)),
    ("an exponent without end", '{"id":1,"a":1e' + "9" * 5000 + "}\n", '{"id":1,"a":1}\n', (1, 1, 0)),
    ("a name like a number", '{"id":1,"a":{"\\u0000number":"1e400"}}\n', '{"id":1,"a":1e400}\n', (1, 1, 0)),
    ("1 and a text", '{"id":1,"a":1}\n', '{"id":1,"a":"1"}\n', (0, 0, 1)),
    ("null and missing", '{"id":1}\n', '{"id":1,"a":null}\n', (0, 0, 1)),
    ("escapes", '{"id":1,"a":"\\u00e4"}\n', '{"id":1,"a":"ä"}\n', (0, 0, 0)),
    ("no JSON", "garbage\n", "garbage\n\nother\n", (1, 0, 0)),
    ("no objects", "[1]\n2\n", "2\n[ 1 ]\n", (0, 0, 0)),
    ("too large a number", "1" * 5000 + "\n", "1" * 5000 + "\n2\n", (1, 0, 0)),
    ("nested without end", "[" * 100_000 + "\n", "[" * 100_000 + "\n2\n", (1, 0, 0)),
]


@pytest.mark.parametrize(
    ("old", "new", "wanted"), [row[1:] for row in JSON_LINES], ids=[row[0] for row in JSON_LINES]
)
def test_counts_of_json_lines(old: str, new: str, wanted: tuple[int, int, int]) -> None:
    assert counts(old, new, "jsonl") == wanted


def test_a_number_that_no_double_holds_is_a_key() -> None:
    line = '{{"id": {}}}\n'
    old, new = (table(line.format("1e400") + line.format(n), "jsonl") for n in ("2e400", "0.50"))
    found = compare_rows(old, new, Keyed(("id",), None, ("id",)))
    assert (found.counts, found.captures) == (RowCounts(1, 1, 0), (("0.5",), ("2e400",)))


def test_a_file_that_came_or_went() -> None:
    assert count_rows(None, table("id\n1\n2\n")) == RowCounts(2, 0, 0)
    assert count_rows(table("id\n1\n2\n"), None) == RowCounts(0, 2, 0)
    assert count_rows(None, None) == RowCounts(0, 0, 0)
    keyed = Keyed(("id",), captures=("id",))
    came = compare_rows(None, table("id\n1\n2\n"), keyed)
    assert (came.counts, came.captures) == (RowCounts(2, 0, 0), (("1",), ("2",)))
    went = compare_rows(table("id\n1\n2\n"), None, keyed)
    assert (went.counts, went.captures) == (RowCounts(0, 2, 0), (("1",), ("2",)))
    assert compare_rows(None, None, keyed).counts == RowCounts(0, 0, 0)


OLD = "id,active,note,region\na,1,x,eu\nb,1,y,us\n"
ID, ACTIVE = Keyed(("id",), captures=("id",)), Keyed(("id",), ("active",), ("id",))
BY_KEY = [
    ("the same", OLD, OLD, ACTIVE, (0, 0, 0), []),
    ("a column that does not count", OLD, OLD.replace("x", "z"), ACTIVE, (0, 0, 0), []),
    ("one that does", OLD, OLD.replace("a,1", "a,0"), ACTIVE, (0, 0, 1), [("a",)]),
    ("all count", OLD, OLD.replace("x", "z"), ID, (0, 0, 1), [("a",)]),
    ("another key", OLD, OLD.replace("a,1", "c,1"), ACTIVE, (1, 1, 0), [("a",), ("c",)]),
    ("a removed row", OLD, OLD.replace("b,1,y,us\n", ""), ACTIVE, (0, 1, 0), [("b",)]),
    ("any order", OLD, "active,id,region\n1,b,us\n1,a,eu\n", ACTIVE, (0, 0, 0), []),
    ("a new column", OLD, OLD.replace("\n", ",\n"), ID, (0, 0, 2), [("a",), ("b",)]),
    ("is left out", OLD, "new," + OLD.replace("\n", "\n7,").removesuffix("7,"), ACTIVE, (0, 0, 0), []),
    (
        "a row that moves",
        OLD,
        OLD.replace("x,eu", "x,us"),
        Keyed(("id",), ("active",), ("region",)),
        (0, 0, 1),
        [("eu",), ("us",)],
    ),
    (
        "a list of columns is the key",
        "a,b,c\n1,1,x\n1,2,y\n",
        "a,b,c\n1,2,z\n1,1,x\n",
        Keyed(("a", "b"), None, ("b", "a")),
        (0, 0, 1),
        [("2", "1")],
    ),
    ("a part of which may be empty", "a,b\n1,\n", "a,b\n1,\n1,2\n", Keyed(("a", "b")), (1, 0, 0), [()]),
    ("nothing captured", OLD, OLD.replace("a,1", "a,0"), Keyed(("id",), ("active",)), (0, 0, 1), [()]),
    ("a capture that is not there", "id\n1\n", "id,r\n1,eu\n", Keyed(("id",), (), ("r",)), (0, 0, 1), [(None,), ("eu",)]),
    ("the old key is not unique", "id,a\n1,x\n1,y\n2,z\n", "id,a\n1,y\n2,z\n", ID, (0, 1, 0), [("1",)]),
    ("the old key is missing", "id,a\n,x\n2,z\n", "id,a\n1,x\n2,z\n", ID, (1, 1, 0), [("",), ("1",)]),
    ("the old column has another name", "key,a\n1,x\n", "id,a\n1,x\n", ID, (1, 1, 0), [(None,), ("1",)]),
    ("the old file is latin-1", "id,a\n1,ä\n".encode("latin-1"), "id,a\n1,ä\n", ID, (0, 0, 1), [("1",)]),
    ("the old file is empty", "", "id,a\n1,x\n", ID, (1, 0, 0), [("1",)]),
    ("the new file is empty", "id,a\n1,x\n", "", ID, (0, 1, 0), [("1",)]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "keyed", "wanted", "captures"), [row[1:] for row in BY_KEY], ids=[row[0] for row in BY_KEY]
)
def test_by_key(
    old: str | bytes,
    new: str,
    keyed: Keyed,
    wanted: tuple[int, int, int],
    captures: list[tuple[str | None, ...]],
) -> None:
    found = compare_rows(table(old), table(new), keyed)
    assert (found.counts, list(found.captures)) == (RowCounts(*wanted), captures)


def test_json_lines_by_key() -> None:
    old = '{"id": 1, "tags": ["x"]}\n{"id": 2, "tags": []}\n{"id": "3"}\n'
    new = '{"id": 1, "tags": ["x"], "n": 1}\n{"tags": [1], "id": 2}\n{"id": "3", "tags": null}\n'
    keyed = Keyed(("id",), ("tags",), ("id", "tags"))
    found = compare_rows(table(old, "jsonl"), table(new, "jsonl"), keyed)
    assert found.counts == RowCounts(0, 0, 2)
    assert found.captures == (("2", "[1]"), ("2", "[]"), ("3", None))
    all_columns = compare_rows(table(old, "jsonl"), table(new, "jsonl"), Keyed(("id",), None, ("id",)))
    assert all_columns.captures == (("1",), ("2",), ("3",))


REPEATED = "".join(f"{i},x\n{i},y\n" for i in range(2, 8))
ERRORS = [
    ("csv", "id,a\n1,x\n2,y\n1,z\n", "t:4: the key id is not unique: '1' is in lines 2 and 4"),
    (
        "csv",
        "id,a\n" + REPEATED,
        "t:3: the key id is not unique: '2' is in lines 2 and 3; '3' is in lines 4 and 5; "
        "'4' is in lines 6 and 7; and 3 more",
    ),
    ("csv", "id,a\n" + "1,x\n" * 9, "t:3: the key id is not unique: '1' is in lines 2, 3, 4 and 6 more"),
    ("csv", '\nid,a\n"1","x\ny"\n1,z\n', "t:5: the key id is not unique: '1' is in lines 3 and 5"),
    ("csv", "id,a\n,x\n2,x\n,y\n", "t:2: the key id has no value in lines 2 and 4"),
    ("csv", "a,id\n1,1\n2\n", "t:3: the key id has no value in line 3"),
    ("csv", "idd,a\n1,x\n", "t: there is no column 'id'; its columns are 'idd', 'a'"),
    ("csv", "id\n", "t: there is no column 'a'; its columns are 'id'"),
    ("csv", "id,a,a\n1,x,y\n", "t: there are two columns 'a'"),
    ("csv", b"id,a\n1,x\n2,\xfc\n", "t:3: this line is not utf-8"),
    ("csv", b"id,\xfc\n1,x\n", "t:1: this line is not utf-8"),
    ("csv", "id,a\n1,ä".encode("utf-16")[:-1], "t:2: this line is not utf-16"),
    ("csv", gzip.compress(b"id,a\n1,x\n", mtime=0)[:-9], "t: cannot be unpacked: "),
    ("csv", b"\x1f\x8b nothing", "t: cannot be unpacked: "),
    ("csv", 'id,a\n1,"' + "x\n" * (9 << 20), "t:8388610: a cell that ends about here has more than 16 Mi characters"),
    ("jsonl", '{"id": 1, "a": 1}\n{\n', "t:2: this line is no JSON ("),
    ("jsonl", '{"id": 1, "a": 1}\n[1]\n', "t:2: this line is no JSON object"),
    ("jsonl", '{"id": 1, "a": 1, "a": 2}\n', "t:1: this line is no JSON (the name 'a' is in one object twice)"),
    ("jsonl", '{"id": 1, "a": 1}\n{"id": null}\n', "t:2: the key id has no value in line 2"),
    ("jsonl", '{"id": 1, "a": 1}\n\n{"id": 1}\n', "t:3: the key id is not unique: '1' is in lines 1 and 3"),
    ("jsonl", '{"ID": 1, "a": 1}\n', "t: there is no column 'id'; its columns are 'ID', 'a'"),
    ("jsonl", '{"id": 1, "b": 1}\n', "t: there is no column 'a'; its columns are 'id', 'b'"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "content", "message"), ERRORS, ids=[row[2][:60] for row in ERRORS])
def test_what_is_wrong_with_the_new_side_is_named(kind: Kind, content: str | bytes, message: str) -> None:
    for old in (None, table("id,a\n" if kind == "csv" else "", kind)):
        with pytest.raises(TableError) as caught:
            compare_rows(old, table(content, kind), Keyed(("id",), ("a",)))
        assert caught.value.message.startswith(message)
        if not message.endswith((": ", "(")):
            assert caught.value.message == message
        assert caught.value.side == "new"


SAY = "; say how it is written: `delimiter: "
WRITTEN = [
    ("csv", "id~a\n1~x\n", {}, f"columns are 'id~a'{SAY}\"~\"`"),
    ("csv", '"id"; "a";a\n', {"delimiter": ","}, f"""columns are 'id; "a";a'{SAY}";"`"""),
    ("csv", "id,a\n", {"delimiter": ";"}, f"columns are 'id,a'{SAY}\",\"`"),
    ("csv", "id a\n", {}, f"columns are 'id a'{SAY}\" \"`"),
    ("csv", "a;id;b||||\n", {}, f"{SAY}\";\"`"),
    ("tsv", "id,a\n", {}, f"columns are 'id,a'{SAY}\",\"`"),
    ("csv", "id\ta\n".encode("utf-16-le"), {}, f"{SAY}\"\\t\"`, `encoding: utf-16-le`"),
    ("csv", "id,a\n".encode("utf-16-be"), {"encoding": "utf-16-le"}, f"{SAY}\",\"`, `encoding: utf-16-be`"),
    ("csv", "id;a\n\n", {"encoding": "utf-16"}, "this line is not utf-16; say how it is written with `encoding:` (latin-1, cp1252, utf-16 …), or save it as UTF-8"),
    ("csv", "ID;b\n", {"delimiter": ","}, "columns are 'ID;b'; if there are more, say what is between them with `delimiter:`"),
    ("csv", b"id,a\nxn--\xff,1\n", {"encoding": "idna"}, "this line is not idna; say how it is written with `encoding:` (latin-1, cp1252, utf-16 …), or save it as UTF-8"),
    ("jsonl", '{"id": 1}\n'.encode("utf-16-be"), {}, "; is it UTF-16? then say `encoding: utf-16-le`"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "content", "form", "ending"), WRITTEN)
def test_how_it_is_written_is_said(
    kind: Kind, content: str | bytes, form: dict[str, str], ending: str
) -> None:
    with pytest.raises(TableError) as caught:
        compare_rows(None, table(content, kind, **form), Keyed(("id",), ("a",)))
    assert f"{caught.value.message}; {caught.value.hint}".endswith(ending)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04\x14\0\6\0", "Excel, or another ZIP archive"),
        (b"PAR1\x15\x04\x15", "Parquet"),
        (gzip.compress(b"SQLite format 3\0", mtime=0), "a database"),
    ],
)
def test_what_holds_no_rows_is_named(content: bytes, what: str) -> None:
    with pytest.raises(TableError, match=f"is no text but {what}"):
        compare_rows(None, table(content), Keyed(("id",)))
    assert counts("PAR1,a\n1,2\n", "PAR1,a\n1,3\n") == (0, 0, 1), "a column may be called so"


def test_the_side_that_cannot_be_read_is_named() -> None:
    broken = table(gzip.compress(b"id\n1\n", mtime=0)[:-9])
    for compare in (count_rows, lambda a, b: compare_rows(a, b, Keyed(("id",)))):
        with pytest.raises(TableError, match="in the version compared with") as caught:
            compare(broken, table("id\n1\n"))
        assert caught.value.side == "old"


def test_what_was_given_is_used() -> None:
    found = compare_rows(
        table("id^a\nä^1\n".encode("latin-1"), delimiter="^", encoding="latin-1"),
        table("id|a\nä|2\n".encode("latin-1"), encoding="latin-1"),
        Keyed(("id",), ("a",), ("id",)),
    )
    assert (found.counts, found.captures) == (RowCounts(0, 0, 1), (("ä",),))
    with pytest.raises(TableError, match="there is no encoding 'latin-x'"):
        count_rows(None, table("id\n", encoding="latin-x"))


class Endless(io.RawIOBase):
    """What a few kilobytes of gzip may unpack to."""

    def __init__(self, begin: bytes, again: bytes) -> None:
        self._left = begin
        self._again = again * (1 << 16 if len(again) < 3 else 1)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = self._again
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


RECORD = "a record that ends about here has more than 32 MiB; is there a quote that is not closed?"


@pytest.mark.parametrize(
    ("kind", "begin", "again", "message"),
    [
        ("csv", b"", b"x", f"t:1: {RECORD}"),
        ("csv", b"id\n", b"x", f"t:2: {RECORD}"),
        ("csv", b"id,a\n", b'"' + b"x" * 10_000 + b'\nx",', "t:[0-9]+: " + RECORD),
        ("csv", b"id,a\n1,", b'"', f"t:2: {RECORD}"),
        ("tsv", b"", b"x\t", f"t:1: {RECORD}"),
        ("jsonl", b'{"a": "', b"x", f"t:1: {RECORD}"),
        ("jsonl", b'{"a": 1}\n', b"[", f"t:2: {RECORD}"),
    ],
)
def test_memory_is_bounded_whatever_there_is_to_read(
    kind: Kind, begin: bytes, again: bytes, message: str
) -> None:
    endless = Table("t", lambda: Endless(begin, again), Form(kind))  # type: ignore[arg-type, return-value]
    with pytest.raises(TableError) as caught:
        compare_rows(table("", kind), endless, Keyed(("id",)))
    assert re.match(message, f"{caught.value.message}; {caught.value.hint}")


def test_bytes_that_are_not_of_the_encoding_far_into_a_table() -> None:
    far = table(b"id\n" + (b"1" * 999_999 + b"\n") * 34 + b"\xff\n")
    with pytest.raises(TableError, match="t:36: this line is not utf-8"):
        compare_rows(table("id\n"), far, Keyed(("id",)))


def test_a_document_that_is_too_large_counts_by_its_bytes() -> None:
    packed = gzip.compress(b"1" * (tables.DOCUMENT_LIMIT + 1), 1, mtime=0)
    assert fingerprint("json", table(packed)) == fingerprint("bytes", table(packed))


def test_a_table_has_so_many_columns() -> None:
    with pytest.raises(TableError, match="t: has more than 100000 columns"):
        count_rows(table("a\n"), table("," * 100_001 + "\n"))


def test_a_limit_is_of_what_is_unpacked() -> None:
    packed = gzip.compress(b"id\n" + b"1\n" * 1000)
    limited = Table("t", lambda: io.BytesIO(packed), Form("csv"), limit=1000)
    with pytest.raises(TableError, match="is larger than 1000 bytes"):
        count_rows(None, limited)


def test_fields_longer_than_the_reader_s_own_limit_leave_a_higher_one_alone() -> None:
    before = csv.field_size_limit(tables.FIELD_LIMIT * 2)
    try:
        count_rows(None, table("id\n1\n"))
        assert csv.field_size_limit() == tables.FIELD_LIMIT * 2
    finally:
        csv.field_size_limit(before)


# --- against a reference -------------------------------------------------------------------------

cells = st.sampled_from(["", "1", "2", "a,b", 'say "x"', "two\nlines", "ü", " ", "\0"])
names = st.sampled_from(["id", "a", "b", "a"])


@st.composite
def grids(draw: st.DrawFn) -> list[list[str]]:
    header = draw(st.lists(names, min_size=1, max_size=4))
    rows = draw(st.lists(st.lists(cells, min_size=1, max_size=5), max_size=8))
    return [header, *rows]


def written(grid: list[list[str]], ends: str = "\n") -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator=ends, quoting=csv.QUOTE_ALL).writerows(grid)
    return out.getvalue()


def mapped(grid: list[list[str]]) -> list[frozenset[tuple[object, str]]]:
    """Each row as what its columns map to."""
    header: list[object] = []
    for name in grid[0]:
        header.append((name, sum(1 for other in header if other[0] == name)))  # type: ignore[index]
    rows = []
    for row in grid[1:]:
        names: list[object] = [*header, *(("beyond", i, None) for i in range(len(row)))]
        rows.append(frozenset(zip(names, row, strict=False)))
    return rows


def reference_counts(old: list[list[str]], new: list[list[str]]) -> RowCounts:
    before, after = Counter(mapped(old)), Counter(mapped(new))
    gone, come = before - after, after - before
    first = next((n for n in (new[0][0], old[0][0]) if n in old[0] and n in new[0]), None)

    def identities(rows: Counter[frozenset[tuple[object, str]]]) -> list[str | None]:
        return [dict(row).get((first, 0)) for row in rows.elements()]

    changed = 0
    if all(
        all(values) and len(set(values)) == len(values) for values in (identities(before), identities(after))
    ):
        changed = len(set(identities(gone)) & set(identities(come)))
    return RowCounts(come.total() - changed, gone.total() - changed, changed)


@settings(max_examples=400, deadline=None)
@given(old=grids(), new=grids(), same_header=st.booleans(), order=st.randoms(use_true_random=False))
def test_counts_are_those_of_multisets(
    old: list[list[str]], new: list[list[str]], same_header: bool, order: random.Random
) -> None:
    if same_header:
        new = [old[0], *new[1:], *old[2:]]
        order.shuffle(body := new[1:])
        new = [new[0], *body]
    found = count_rows(table(written(old)), table(written(new, "\r\n")))
    assert found == reference_counts(old, new)


tables_by_key = st.dictionaries(
    st.sampled_from([f"k{i}" for i in range(12)]),
    st.tuples(st.sampled_from(["0", "1", ""]), st.sampled_from(["x", "y"]), st.sampled_from(["eu", "us"])),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(
    old=tables_by_key,
    new=tables_by_key,
    shared=tables_by_key,
    columns=st.sampled_from([None, (), ("active",), ("active", "note")]),
    captures=st.sampled_from([(), ("id",), ("region",), ("region", "id")]),
    kind=st.sampled_from(["csv", "tsv", "jsonl"]),
    order=st.randoms(use_true_random=False),
    small=st.booleans(),
)
def test_by_key_is_what_dictionaries_say(
    old: dict[str, tuple[str, str, str]],
    new: dict[str, tuple[str, str, str]],
    shared: dict[str, tuple[str, str, str]],
    columns: tuple[str, ...] | None,
    captures: tuple[str, ...],
    kind: Kind,
    order: random.Random,
    small: bool,
) -> None:
    names = ("id", "active", "note", "region")
    before, after = (
        [dict(zip(names, (k, *v), strict=True)) for k, v in {**shared, **d}.items()] for d in (old, new)
    )
    counting = set(names if columns is None else columns) | {"id"} | set(captures)
    a, b = ({row["id"]: row for row in rows} for rows in (before, after))
    changed = {k for k in a.keys() & b.keys() if any(a[k][n] != b[k][n] for n in counting)}
    touched = [a[k] for k in (a.keys() - b.keys()) | changed] + [
        b[k] for k in (b.keys() - a.keys()) | changed
    ]

    def text(rows: list[dict[str, str]]) -> str:
        order.shuffle(rows)
        order.shuffle(shown := list(names))
        if kind == "jsonl":
            return "".join(json.dumps({n: row[n] for n in shown}) + "\n" for row in rows)
        out = io.StringIO()
        writer = csv.DictWriter(out, shown, delimiter="\t" if kind == "tsv" else ";")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()

    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(tabular, "_WAITING", 2)
            patch.setattr(tabular, "_WINDOWS", (1, 2))
        found = compare_rows(
            table(text(before), kind), table(text(after), kind), Keyed(("id",), columns, captures)
        )
    assert found.counts == RowCounts(len(b.keys() - a.keys()), len(a.keys() - b.keys()), len(changed))
    assert found.captures == tuple(sorted({tuple(row[n] for n in captures) for row in touched}))


@settings(max_examples=200, deadline=None)
@given(
    rows=st.integers(0, 300),
    edits=st.lists(st.tuples(st.integers(0, 299), st.sampled_from(["drop", "edit", "add"])), max_size=20),
    block=st.integers(0, 200),
)
def test_sides_that_agree_but_for_edits(rows: int, edits: list[tuple[int, str]], block: int) -> None:
    """Insertions shift the rest; whatever the shift, only what was edited is found."""
    old = {str(i): "x" for i in range(rows)}
    new = dict(old)
    body: list[str] = list(old)
    for at, what in edits:
        if what == "drop" and at < len(body):
            new.pop(body.pop(at))
        elif what == "edit" and at < len(body):
            new[body[at]] = "y"
        elif what == "add":
            name = f"n{len(new)}-{at}"
            if name not in new:
                new[name] = "z"
                body.insert(at, name)
    for i in range(block):
        new[f"b{i}"] = "z"
        body.insert(len(body) // 2, f"b{i}")
    before = "id,v\n" + "".join(f"{k},{v}\n" for k, v in old.items())
    after = "id,v\n" + "".join(f"{k},{new[k]}\n" for k in body)
    changed = sum(1 for k in old.keys() & new.keys() if old[k] != new[k])
    wanted = (len(new.keys() - old.keys()), len(old.keys() - new.keys()), changed)
    assert counts(before, after) == wanted
    assert compare_rows(table(before), table(after), Keyed(("id",))).counts == RowCounts(*wanted)


@settings(max_examples=500, deadline=None)
@given(
    rows=st.lists(
        st.lists(
            st.one_of(st.none(), st.sampled_from(["", "\0", "a", "\0a", "(None,)", "('a',)", "\udcff"])),
            max_size=3,
        ).map(tuple),
        min_size=2,
        max_size=2,
    )
)
def test_digests_differ_where_rows_do(rows: list[tuple[str | None, ...]]) -> None:
    one, other = rows
    assert (tabular._digest(one) == tabular._digest(other)) is (one == other)


# --- fingerprints --------------------------------------------------------------------------------

FINGERPRINTS = [
    ("bytes", b"a\n", b"a\r\n", False),
    ("text", b"a\nb\n", b"a\r\nb", True),
    ("text", b"a\n", b"\xef\xbb\xbfa\n", True),
    ("text", b"a\n", b"a\n\n", False),
    ("text", b"a b\n", b"a  b\n", False),
    ("text", b"a\n", gzip.compress(b"a\n", mtime=0), True),
    ("text", b"\xff\n", b"\xff\r\n", True),
    ("text", b"\xff\n", b"\xfe\n", False),
    ("text", b"", b"\n", True),
    ("text", b"\0\r\n", b"\0\n", False),
    ("text", b"PK\x03\x04\r\n", b"PK\x03\x04\n", False),
    ("text", "ä".encode("utf-16"), "ä".encode(), True),
    ("text", "ä".encode("utf-16")[:-1], "ä".encode("utf-16")[:-1], True),
    ("json", b'{"a": 1, "b": [1, 2]}', b'{"b":[1,2],\n"a":1}\n', True),
    ("json", b"[1, 2]", b"[2, 1]", False),
    ("json", b"1", b"1.0", False),
    ("json", b"{", b"{ ", False),
    ("json", b'{"a": 1, "a": 2}', b'{"a": 3, "a": 2}', False),
    ("json", b"[1e999]", b"[1e1000]", False),
    ("json", b"[1e999]", b"[ 10e998 ]", True),
    ("json", b"[" * 100_000, b"[" * 100_000, True),
    ("table", b"id,a\n1,x\n2,y\n", b"a;id\r\ny;2\r\n\r\nx;1", True),
    ("table", b"id\n1\n1\n", b"id\n1\n", False),
    ("table", b"id\n1\n", b"id\n2\n", False),
    ("table", b"id\n", b"key\n", False),
    ("table", b"id\n", b"", False),
    ("table", b"id,a\n1\n", b"id,a\n1,\n", False),
]


@pytest.mark.parametrize(("kind", "one", "other", "same"), FINGERPRINTS)
def test_fingerprints(kind: tabular.Fingerprint, one: bytes, other: bytes, same: bool) -> None:
    assert (fingerprint(kind, table(one)) == fingerprint(kind, table(other))) is same


@settings(max_examples=200, deadline=None)
@given(old=grids(), new=grids())
def test_tables_of_one_fingerprint_have_the_same_rows(old: list[list[str]], new: list[list[str]]) -> None:
    one, other = (fingerprint("table", table(written(grid))) for grid in (old, new))
    if one == other:
        assert reference_counts(old, new) == RowCounts(0, 0, 0)
    shuffled = [old[0], *reversed(old[1:])]
    assert fingerprint("table", table(written(shuffled))) == one


# --- memory --------------------------------------------------------------------------------------

MEASURE = """
import io, resource, sys
from raw_trigger.content.tables import Form, Table
from raw_trigger.content.rows import Keyed, compare_rows
old, new = (Table(p, lambda p=p: open(p, "rb"), Form("csv")) for p in sys.argv[1:3])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
counts = compare_rows(old, new, Keyed(("id",), None, ("kind",))).counts
print(counts.added, counts.removed, counts.changed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("shuffled", [False, True])
def test_memory_does_not_follow_the_size_of_the_files(tmp_path: Path, shuffled: bool) -> None:
    """Ten times the rows need less than twice the memory, and far less than the rows themselves."""
    peaks = []
    for rows in (15_000, 150_000):
        lines = [f"{i},kind{i % 7},{'some text ' * 20}{i * 3}\n" for i in range(rows)]
        (tmp_path / "old.csv").write_text("id,kind,text\n" + "".join(lines))
        lines[rows // 2] = f"{rows // 2},kind0,other\n"
        if shuffled:
            random.Random(1).shuffle(lines)
        (tmp_path / "new.csv").write_text("id,kind,text\n" + "".join(lines))
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, tmp_path / "old.csv", tmp_path / "new.csv"],
            capture_output=True,
            text=True,
            check=True,
        )
        added, removed, changed, peak = map(int, done.stdout.split())
        assert (added, removed, changed) == (0, 0, 1)
        peaks.append(peak * 1024)
    size = (tmp_path / "old.csv").stat().st_size + (tmp_path / "new.csv").stat().st_size
    assert peaks[1] < max(2 * peaks[0], size), f"{peaks} for {size} bytes"
    assert peaks[1] < size * 0.75
