"""Definitions from the sentences in which Dagster describes them."""

from __future__ import annotations

import pytest

from raw_trigger.remote.partitions import time_windows

NOW = 1795600000.0
"""25 November 2026, 10:26 UTC."""


@pytest.mark.parametrize(
    ("sentence", "form", "keys", "expected"),
    [
        (
            "Daily, starting 2026-01-01 UTC.",
            "%Y-%m-%d",
            ["2026-01-01", "2026-01-02", "2026-11-23", "2026-11-24"],
            ("0 0 * * *", "2026-01-01T00:00:00", "UTC", 0),
        ),
        (
            "Daily, starting 2026-01-01 UTC.",
            None,
            ["2026-01-01", "2026-11-23"],  # another clock, or another hour
            ("0 0 * * *", "2026-01-01T00:00:00", "UTC", 0),
        ),
        (
            "Weekly, starting 2026-01-01 Europe/Berlin.",
            "%Y-%m-%d",
            ["2026-01-05", "2026-01-12", "2026-11-16"],
            ("0 0 * * 1", "2026-01-01T00:00:00", "Europe/Berlin", 0),
        ),
        (
            "Monthly, starting 2026-01-01 UTC. End offsetted by 1 partition.",
            "%Y-%m-%d",
            ["2026-01-01", "2026-11-01"],
            ("0 0 1 * *", "2026-01-01T00:00:00", "UTC", 1),
        ),
        (
            "Hourly, starting 2026-11-25-00:15 UTC.",
            None,
            ["2026-11-25-00:15", "2026-11-25-08:15"],
            ("15 * * * *", "2026-11-25T00:15:00", "UTC", 0),
        ),
        (
            "0 0 * * 1-5, starting 2026-01-01 UTC.",
            "%Y-%m-%d",
            ["2026-01-01", "2026-01-02", "2026-11-23", "2026-11-24"],
            ("0 0 * * 1-5", "2026-01-01T00:00:00", "UTC", 0),
        ),
        ("Daily, starting 2026-01-01 UTC.", "%Y-%m-%d", ["2026-01-01", "2026-01-31"], None),  # it had an end
        ("Daily, starting 2026-01-01 UTC.", "%Y/%m/%d", ["2026-01-01"], None),
        ("Daily, starting 2026-01-01 UTC.", "%Y-%m-%d", [], None),
        ("Daily, starting 2026-01-01 UTC.", "%Y-%m-%d", ["2026-01-02", "2026-11-24"], None),
        ("Daily, starting 2026-01-01 Nowhere/Land.", "%Y-%m-%d", ["2026-01-01", "2026-11-24"], None),
        ("Whenever, starting 2026-01-01 UTC.", "%Y-%m-%d", ["2026-01-01", "2026-11-24"], None),
        ("of a class of its own", None, ["a", "b"], None),
    ],
)
def test_time_windows(
    sentence: str, form: str | None, keys: list[str], expected: tuple[str, str, str, int] | None
) -> None:
    """What does not fit the keys is left to the deployment."""
    found = time_windows(sentence, form, keys, NOW)
    if expected is None:
        assert found == {"kind": "other", "name": sentence}
    else:
        assert (found["cron"], found["start"], found["timezone"], found["end_offset"]) == expected
