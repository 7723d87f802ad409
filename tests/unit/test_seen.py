"""Which of several projects is not as it was last looked at."""

from __future__ import annotations

import pytest

from raw_trigger.install import is_touched

A, A2, A_CONFIG = b"tree 1\ta/raw\n", b"tree 2\ta/raw\n", b"blob 1\ta/raw-trigger.yaml\n"
B, B2 = b"tree 1\tb/raw\n", b"tree 2\tb/raw\n"


@pytest.mark.parametrize(
    ("seen", "a", "b", "touched"),
    [
        (None, A + A_CONFIG, B, "a b"),
        (b"", A + A_CONFIG, B, "a b"),
        (A + A_CONFIG + B, A + A_CONFIG, B, ""),
        (A + A_CONFIG + B, A2 + A_CONFIG, B, "a"),
        (A + A_CONFIG + B, A + A_CONFIG, B2, "b"),
        (A + A_CONFIG + B, A2 + A_CONFIG, B2, "a b"),
        # A configuration or all raw data is gone; whose it was is known by what is lacking.
        (A + A_CONFIG + B, A, B, "a"),
        (A + A_CONFIG + B, A + A_CONFIG, b"", "b"),
        # What was never there is not gone.
        (A + B, A, B2, "b"),
        # A project came.
        (A + A_CONFIG, A + A_CONFIG, B, "b"),
    ],
)
def test_is_touched(seen: bytes | None, a: bytes, b: bytes, touched: str) -> None:
    found = [
        name
        for name, listing, wanted in (("a", a, ("a/raw", "a/raw-trigger.yaml")), ("b", b, ("b/raw",)))
        if is_touched(listing, a + b, seen, wanted)
    ]
    assert " ".join(found) == touched


def test_the_top_as_a_root_holds_whatever_is_gone() -> None:
    assert is_touched(A, A, A + B, (".",))
    assert not is_touched(A, A, A, (".",))
