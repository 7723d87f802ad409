"""What `check` says of the project, beside what it says of the rules."""

from __future__ import annotations

from dataclasses import replace

from raw_trigger.check import Finding, check
from raw_trigger.model.changes import Entry
from tests.unit.conftest import book, catalog, rule

FILES = {b"data/1_raw/a.csv": Entry("100644", "1" * 40)}


def test_what_could_not_be_read_of_an_asset_is_a_note() -> None:
    project = replace(catalog(a={}), unread=(("a", "its metadata 'x' cannot be read: OSError: gone"),))
    assert check(book(rule("a.csv", "a"), assets=project), project, FILES, None) == [
        Finding("note", "a", "its metadata 'x' cannot be read: OSError: gone")
    ]
