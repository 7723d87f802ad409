"""Tells by a file's name whether it is a table, or has no text at all. Pure."""

from __future__ import annotations

from typing import Literal

Kind = Literal["csv", "tsv", "jsonl"]

SUFFIXES: dict[str, Kind] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
NO_TEXT = {
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls"), "Excel"),
    ".ods": "OpenDocument",
    **dict.fromkeys((".parquet", ".pq"), "Parquet"),
    **dict.fromkeys((".arrow", ".feather"), "Arrow"),
    ".orc": "ORC",
    ".avro": "Avro",
    **dict.fromkeys((".sqlite", ".sqlite3", ".db", ".duckdb"), "a database"),
    **dict.fromkeys((".zip", ".bz2", ".xz", ".zst", ".7z"), "packed otherwise than with gzip"),
}
"""Suffixes of files that contain neither lines nor rows, with what these files are."""
READABLE = "rows are those of CSV, TSV and JSON Lines, also as .gz"


def kind_of(path: str) -> Kind | None:
    """Returns the kind of table by a file's suffix without ``.gz``, in any case; None if it is none."""
    name = path.lower().removesuffix(".gz")
    return next((kind for suffix, kind in SUFFIXES.items() if name.endswith(suffix)), None)


def no_text(path: str) -> str | None:
    """Returns what a file without text is, by its suffix; None if it may contain text."""
    name = path.lower().removesuffix(".gz")
    return next((what for end, what in NO_TEXT.items() if name.endswith(end)), None)
