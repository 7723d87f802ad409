"""What is written into the ledger can be read back, or is shown as near to it as a database allows."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raw_trigger.ledger.documents import (
    MAX_ERROR,
    args_of,
    clean,
    error_type,
    extra_of,
    has_failed,
    shortened,
    stack_hash,
    targets_of,
)
from raw_trigger.model.plan import Target
from tests.ledger.conftest import batch, launch, outcome, record


@given(st.lists(st.tuples(st.binary(min_size=1), st.none() | st.just("a" * 64))))
def test_every_path_survives(files: list[tuple[bytes, str | None]]) -> None:
    made = batch(record("raw/a", *files))
    text = json.dumps(args_of(launch(made), made, "here"))
    assert targets_of(json.loads(text)) == list(made.targets)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_text_that_every_database_takes_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_the_middle_of_a_very_long_error_is_left_out() -> None:
    text = shortened("begin" + "x" * 100_000 + "end")
    assert text.startswith("beginxxx")
    assert text.endswith("xxxend")
    assert len(text) == MAX_ERROR + 3


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("ValueError: no", "ValueError"),
        ("pandas.errors.ParserError: Error tokenizing data", "pandas.errors.ParserError"),
        ("asset check rows failed: ValueError: no", "AssetCheckFailed"),
        ("upstream raw/a failed", None),
        ("", None),
    ],
)
def test_error_type(error: str, expected: str | None) -> None:
    assert error_type(error) == expected


ERROR = """ValueError: line 3: 'x' is not a number
  File "/home/anna/project/raw.py", line 9, in sales
ValueError: line 3: 'x' is not a number"""


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (ERROR.replace("line 3", "line 77").replace("'x'", "'why'"), True),
        (ERROR.replace("/home/anna/", "/work/").replace("line 9", "line 12"), True),
        (ERROR.replace("in sales", "in customers"), False),
        (ERROR.replace("raw.py", "mart.py"), False),
        (ERROR.replace("ValueError", "KeyError"), False),
    ],
)
def test_the_hash_is_of_the_place_not_of_the_data(other: str, same: bool) -> None:
    assert (stack_hash(other) == stack_hash(ERROR)) == same


def test_without_a_traceback_the_words_count() -> None:
    assert stack_hash("3 rows of 'a.csv' at 0x7f11 are bad") == stack_hash("4 rows of 'b.csv' at 0x8 are bad")
    assert stack_hash("3 rows are bad") != stack_hash("3 rows are missing")


def test_who_had_a_chance_to_fail() -> None:
    assert has_failed(extra_of(outcome("a", "failed", None, None, "ValueError: no")))
    assert has_failed(extra_of(outcome("a", "failed")))
    assert not has_failed(extra_of(outcome("a", "failed", None, None, "interrupted while it ran")))
    assert not has_failed(extra_of(None))
    assert extra_of(outcome("a")) is None


def test_times_and_keys_of_targets() -> None:
    made = batch(record("raw/\udcff"))
    (read,) = targets_of(args_of(launch(made), made, ""))
    assert read.target == Target("raw/\\udcff")
