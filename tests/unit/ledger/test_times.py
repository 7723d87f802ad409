"""What a person means by a time, and when a partition begins."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from raw_trigger.errors import UsageError
from raw_trigger.ledger import parse_since, partition_time
from raw_trigger.model.assets import Partitions
from tests.unit.conftest import DAILY, REGIONS

TOKYO = timezone(timedelta(hours=9))
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=TOKYO)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2d", datetime(2026, 11, 18, 12, tzinfo=TOKYO)),
        ("30m", datetime(2026, 11, 20, 11, 30, tzinfo=TOKYO)),
        ("12h", datetime(2026, 11, 20, tzinfo=TOKYO)),
        ("1w", datetime(2026, 11, 13, 12, tzinfo=TOKYO)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=TOKYO)),
        ("2026-11-01T08:30", datetime(2026, 11, 1, 8, 30, tzinfo=TOKYO)),
        ("2026-11-01T08:30:00+02:00", datetime(2026, 11, 1, 6, 30, tzinfo=timezone.utc)),
        ("2026-11-01T08:30:00Z", datetime(2026, 11, 1, 8, 30, tzinfo=timezone.utc)),
    ],
)
def test_since(text: str, expected: datetime) -> None:
    assert parse_since(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "2", "d", "2y", "-2d", "yesterday", "2026-13-01", "999999w"])
def test_no_point_in_time(text: str) -> None:
    with pytest.raises(UsageError, match="is no point in time"):
        parse_since(text, NOW)


BERLIN = Partitions("time", format="%Y-%m-%d-%H:%M", timezone="Europe/Berlin")
MULTI = Partitions("multi", dimensions=(("region", REGIONS), ("day", DAILY)))


@pytest.mark.parametrize(
    ("partitions", "key", "expected"),
    [
        (DAILY, "2026-11-20", datetime(2026, 11, 20, tzinfo=timezone.utc)),
        (BERLIN, "2026-11-20-08:00", datetime(2026, 11, 20, 7, tzinfo=timezone.utc)),
        (MULTI, "2026-11-20|eu", datetime(2026, 11, 20, tzinfo=timezone.utc)),
        (MULTI, "eu", None),
        (REGIONS, "eu", None),
        (DAILY, "today", None),
        (Partitions("time", format="%Y", timezone="Nowhere/Town"), "2026", None),
        (DAILY, None, None),
        (None, "2026-11-20", None),
    ],
)
def test_partition_time(partitions: Partitions | None, key: str | None, expected: datetime | None) -> None:
    assert partition_time(partitions, key) == expected
