"""Texts that are no keys, and why."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from raw_trigger.mapping.partitions import PartitionKeys, target_problem
from raw_trigger.mapping.windows import parse_cron
from raw_trigger.model.assets import Asset, Partitions

UTC_DAYS = Partitions("time", format="%Y-%m-%d", start="2026-01-05", cron="0 0 * * *", timezone="UTC")
DAYS = Partitions(
    "time",
    format="%Y-%m-%d",
    start="2026-01-05T00:00:00+01:00",
    end="2027-01-01T00:00:00+01:00",
    cron="0 0 * * *",
    timezone="Europe/Berlin",
)
AHEAD = Partitions("time", format="%Y-%m-%d", start="2026-01-05", cron="0 0 * * *", end_offset=1)
HOURS = Partitions("time", format="%Y-%m-%d-%H:%M", start="2026-01-05", cron="0 * * * *", timezone="UTC")
WEEKS = Partitions("time", format="%Y-%m-%d", start="2026-01-05", cron="0 0 * * 1", timezone="UTC")
ODD = Partitions("time", format="%Y-%m-%d", start="2026-01-05", cron="0 0 L * *", timezone="UTC")
REGIONS = Partitions("static", keys=("europe", "america"))
FILES = Partitions("dynamic", name="files")
BOTH = Partitions("multi", dimensions=(("date", DAYS), ("region", REGIONS)))
NOW = datetime(2026, 11, 21, 16, 0, tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize(
    ("definition", "key", "message"),
    [
        (DAYS, "2026-11-20", None),
        (DAYS, "20.11.2026", "it has no partition '20.11.2026': it is not written as %Y-%m-%d"),
        (DAYS, "2026-2-30", "it has no partition '2026-2-30': it is not written as %Y-%m-%d"),
        (DAYS, "2026-2-3", "it has no partition '2026-2-3': it would be written '2026-02-03'"),
        (
            DAYS,
            "2026-01-04",
            "it has no partition '2026-01-04': its first one begins 2026-01-05 00:00 Europe/Berlin",
        ),
        (DAYS, "2027-01-01", "it has no partition '2027-01-01': it ends 2027-01-01 00:00 Europe/Berlin"),
        (
            DAYS,
            "2026-11-21",
            "'2026-11-21' is no partition yet: its window ends 2026-11-22 00:00 Europe/Berlin",
        ),
        (AHEAD, "2026-11-21", None),
        (AHEAD, "2026-11-22", "'2026-11-22' is no partition yet: it is one from 2026-11-22 00:00 UTC on"),
        (
            HOURS,
            "2026-11-20-10:30",
            "it has no partition '2026-11-20-10:30': no window begins then, the schedule is 0 * * * *",
        ),
        (
            WEEKS,
            "2026-11-11",
            "it has no partition '2026-11-11': no window begins then, the schedule is 0 0 * * 1",
        ),
        (WEEKS, "2026-11-09", None),
        (ODD, "2026-11-11", None),
        (REGIONS, "europe", None),
        (REGIONS, "erope", "it has no partition 'erope'; did you mean 'europe'?"),
        (REGIONS, "mars", "it has no partition 'mars'"),
        (FILES, "a.csv", None),
        (FILES, "", "a partition's key cannot be empty"),
        (FILES, "a...b", "'a...b' cannot be a partition: Dagster allows no '...' in a key"),
        (FILES, "a\nb", "'a\\nb' cannot be a partition: Dagster allows no '\\n' in a key"),
        (FILES, "a\udcff", "'a\\udcff' cannot be a partition: it is no text"),
        (BOTH, "2026-11-20|europe", None),
        (
            BOTH,
            "europe|2026-11-20",
            "dimension date: it has no partition 'europe': it is not written as %Y-%m-%d",
        ),
        (BOTH, "2026-11-21|mars", "dimension region: it has no partition 'mars'"),
        (
            BOTH,
            "2026-11-21|europe",
            "dimension date: '2026-11-21' is no partition yet: its window ends 2026-11-22 00:00 Europe/Berlin",
        ),
        (BOTH, "2026-11-20", "'2026-11-20' is none of its partitions: they have the dimensions date, region"),
    ],
)
def test_why_a_text_is_no_key(definition: Partitions, key: str, message: str | None) -> None:
    problem = PartitionKeys(NOW).problem(definition, key)
    assert (None if problem is None else problem.message) == message
    waits = message is not None and "no partition yet" in message
    assert (problem is not None and problem.ready is not None) == waits


@pytest.mark.parametrize(
    "key", ["0001-01-01", "0001-01-02", "0002-12-31", "9998-12-31", "9999-12-30", "9999-12-31"]
)
@pytest.mark.parametrize("definition", [DAYS, UTC_DAYS, AHEAD, WEEKS, HOURS, ODD])
def test_the_ends_of_the_calendar(definition: Partitions, key: str) -> None:
    """Whatever is said of such a key, it is said."""
    text = key + "-00:00" if definition is HOURS else key
    problem = PartitionKeys(NOW).problem(definition, text)
    assert (problem is None) == (definition is ODD)


def test_without_a_clock_every_window_is_past() -> None:
    assert PartitionKeys().problem(UTC_DAYS, "2999-01-01") is None
    assert PartitionKeys().every(UTC_DAYS) is None


@pytest.mark.parametrize(
    ("definition", "dimensions", "message"),
    [
        (BOTH, ("date", "region"), None),
        (
            BOTH,
            ("day", "region"),
            "its dimensions are date, region, but the rule gives the partition by day, region",
        ),
        (
            DAYS,
            ("date", "region"),
            "it has only one dimension, but the rule gives the partition by date, region",
        ),
        (
            None,
            ("date", "region"),
            "it is not partitioned, but the rule gives the partition '2026-11-20|europe'",
        ),
    ],
)
def test_the_dimensions_of_a_rule(
    definition: Partitions | None, dimensions: tuple[str, ...], message: str | None
) -> None:
    asset = Asset("a", ("a",), "here", partitions=definition)
    problem = target_problem(asset, "2026-11-20|europe", PartitionKeys(NOW), dimensions)
    assert (None if problem is None else problem.message) == message


UNKNOWN = ["", "* * * *", "0 0 * * * *", "0 0 L * *", "60 * * * *", "0 0 * * 5#2", "a b c d e", "*/0 * * * *"]


@pytest.mark.parametrize("text", [*UNKNOWN, "5-1 * * * *"])
def test_a_schedule_that_is_not_understood(text: str) -> None:
    assert parse_cron(text) is None
