"""Reads the raw files as typed rows, with errors that name the file, the line and the column.

An asset that loads a wrong file fails, with a sentence that the person who edited
the file understands.
"""

import csv
import io
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

RAW = Path(__file__).resolve().parents[1] / "data" / "1_raw"

Row = TypeVar("Row", bound="tuple[Any, ...]")


def read_csv(
    name: str,
    row: type[Row],
    *,
    delimiter: str = ",",
    decimal: str = ".",
    rename: dict[str, str] | None = None,
) -> list[Row]:
    """Returns the rows of a raw file, each column parsed as the type of its field in ``row``.

    Args:
        name: Path relative to ``data/1_raw``.
        row: A ``NamedTuple``. Columns that it does not name are left alone.
        delimiter: What separates the columns.
        decimal: What separates the fraction in a number.
        rename: Heading in the file for each field that is called something else there.

    Raises:
        ValueError: The file, a column or a value is missing, or a value is not what it should be.
    """
    types = get_type_hints(row)
    # Exchanges the two marks: if the comma is the decimal mark, 1.250 must not read as a number.
    to_point = str.maketrans(f"{decimal}.", f".{decimal}")
    headings = {field: (rename or {}).get(field, field) for field in types}
    reader = csv.reader(io.StringIO(_text(name), newline=""), delimiter=delimiter, strict=True)

    def fail(problem: str) -> ValueError:
        return ValueError(f"{name} line {max(reader.line_num, 1)}: {problem}")

    rows = []
    try:
        header = next(reader, [])
        for heading in headings.values():
            if heading not in header:
                raise fail(f"there is no column {heading} (there is: {', '.join(header) or 'nothing'})")
        position = {field: header.index(heading) for field, heading in headings.items()}

        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise fail(f"the heading has {len(header)} columns and this line {len(cells)}")
            values = []
            for field, type_ in types.items():
                text = cells[position[field]].strip()
                expected, parse = PARSERS[type_]
                if not text:
                    raise fail(f"column {headings[field]} is empty")
                try:
                    values.append(parse(text.translate(to_point) if type_ is Decimal else text))
                except (ValueError, InvalidOperation):
                    raise fail(f"{text!r} is not {expected} (column {headings[field]})") from None
            rows.append(row(*values))
    except csv.Error as error:
        raise fail(str(error)) from None
    return rows


def read_numbers(name: str) -> dict[str, Decimal]:
    """Returns the numbers of a raw JSON file that holds one flat object.

    Raises:
        ValueError: It is no JSON, no object, or one of its values is no number.
    """
    try:
        content = json.loads(_text(name), parse_float=Decimal, parse_int=Decimal)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} line {error.lineno}: {error.msg}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{name}: the names and their numbers belong between {{ and }}")
    for key, value in content.items():
        if not isinstance(value, Decimal):
            raise ValueError(f"{name}: {value!r} is not a number ({key})")
    return content


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(text)
    return number


PARSERS: dict[type, tuple[str, Callable[[str], Any]]] = {
    str: ("text", str),
    int: ("a whole number", int),
    Decimal: ("a number", _number),
    date: ("a date like 2025-03-31", date.fromisoformat),
}


def _text(name: str) -> str:
    try:
        # A spreadsheet puts a byte order mark in front; it is no part of the first heading.
        return (RAW / name).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ValueError(f"{name}: there is no such file in data/1_raw") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(f"{name} line {line}: not UTF-8; save the file as UTF-8") from None
