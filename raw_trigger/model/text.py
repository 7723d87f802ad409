"""Words a list for a message."""

from __future__ import annotations

from collections.abc import Sequence


def sample(items: Sequence[str], most: int = 5) -> str:
    """Returns the first few items, and how many more there are."""
    rest = len(items) - most
    return ", ".join(items[:most]) + (f" and {rest} more" if rest > 0 else "")


def from_nothing(paths: Sequence[str]) -> str:
    """Returns a warning about files that nothing is made from."""
    return f"nothing is made from {sample(paths)}; add a rule or `ignore: true`"
