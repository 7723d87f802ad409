"""Partition keys and mappings, held against Dagster's own, in this process."""

from __future__ import annotations

import warnings
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.model.assets import Asset
from raw_trigger.planning.downstream import partitions_below
from raw_trigger.project.catalog import decode_mapping, decode_partitions

pytestmark = pytest.mark.filterwarnings("ignore")

dg = pytest.importorskip("dagster")
context = pytest.importorskip("dagster._core.definitions.partitions.context")
definitions = pytest.importorskip("raw_trigger.project.inside.compat.partitions")
mappings = pytest.importorskip("raw_trigger.project.inside.compat.mappings")

HOUR = "%Y-%m-%d-%H:%M"
NEW_YORK, BERLIN, HAVANA = "America/New_York", "Europe/Berlin", "America/Havana"


def window(cron: str, start: str, fmt: str = "%Y-%m-%d", **options: Any) -> Any:
    return dg.TimeWindowPartitionsDefinition(cron_schedule=cron, start=start, fmt=fmt, **options)


def moment(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


TIME = {
    "daily": (dg.DailyPartitionsDefinition("2024-01-30"), "2024-03-02T00:00"),
    "daily, one minute early": (dg.DailyPartitionsDefinition("2024-01-30"), "2024-03-01T23:59"),
    "daily from noon on": (window("0 12 * * *", "2024-01-30"), "2024-02-02T11:00"),
    "daily with the hour": (window("0 7 * * *", "2024-01-30-00", "%Y-%m-%d-%H"), "2024-02-02T07:00"),
    "daily, an end": (dg.DailyPartitionsDefinition("2024-01-30", "2024-02-03"), "2024-03-01T00:00"),
    "daily, tomorrow too": (dg.DailyPartitionsDefinition("2024-01-30", end_offset=1), "2024-02-03T05:00"),
    "daily, three days late": (dg.DailyPartitionsDefinition("2024-01-20", end_offset=-3), "2024-02-03T05:00"),
    "daily, an end and ahead": (
        dg.DailyPartitionsDefinition("2024-01-30", "2024-02-04", end_offset=3),
        "2024-02-03T05:00",
    ),
    "daily, clocks forward": (
        dg.DailyPartitionsDefinition("2024-03-08", timezone=NEW_YORK),
        "2024-03-12T04:30",
    ),
    "daily, clocks back": (dg.DailyPartitionsDefinition("2024-11-01", timezone=NEW_YORK), "2024-11-05T04:59"),
    "daily at the hour that is skipped": (
        window("30 2 * * *", "2024-03-08-00:00", HOUR, timezone=NEW_YORK),
        "2024-03-12T12:00",
    ),
    "daily at the hour that comes twice": (
        window("30 1 * * *", "2024-11-01-00:00", HOUR, timezone=NEW_YORK),
        "2024-11-05T12:00",
    ),
    "daily where midnight is skipped": (
        dg.DailyPartitionsDefinition("2024-03-08", timezone=HAVANA),
        "2024-03-12T12:00",
    ),
    "hourly": (dg.HourlyPartitionsDefinition("2024-01-31-20:00"), "2024-02-01T03:59"),
    "hourly, clocks forward": (
        dg.HourlyPartitionsDefinition("2024-03-09-22:00", timezone=NEW_YORK),
        "2024-03-10T12:00",
    ),
    "hourly, clocks back": (
        dg.HourlyPartitionsDefinition("2024-11-02-22:00", timezone=NEW_YORK),
        "2024-11-03T12:00",
    ),
    "hourly with the offset": (
        window("0 * * * *", "2024-10-26-22:00+0200", "%Y-%m-%d-%H:%M%z", timezone=BERLIN),
        "2024-10-27T06:00",
    ),
    "every quarter of an hour": (window("*/15 * * * *", "2024-01-31-22:00", HOUR), "2024-02-01T00:40"),
    "every six hours": (
        window("0 */6 * * *", "2024-03-09-00:00", HOUR, timezone=NEW_YORK),
        "2024-03-11T12:00",
    ),
    "at two hours of a day": (window("15 6,18 * * *", "2024-01-30-00:00", HOUR), "2024-02-02T07:00"),
    "weekly": (dg.WeeklyPartitionsDefinition("2024-01-01"), "2024-02-20T00:00"),
    "weekly from Monday on": (dg.WeeklyPartitionsDefinition("2024-01-03", day_offset=1), "2024-02-20T00:00"),
    "weekly on Sundays by seven": (window("0 0 * * 7", "2024-01-03"), "2024-02-20T00:00"),
    "on weekdays by name": (window("0 0 * * MON-FRI", "2024-01-03"), "2024-01-20T00:00"),
    "monthly": (dg.MonthlyPartitionsDefinition("2023-11-02"), "2024-06-01T00:00"),
    "monthly by month": (dg.MonthlyPartitionsDefinition("2023-11", fmt="%Y-%m"), "2024-06-01T00:00"),
    "monthly from the fifth on": (
        dg.MonthlyPartitionsDefinition("2023-11-02", day_offset=5),
        "2024-06-05T00:00",
    ),
    "on the 31st": (window("0 0 31 * *", "2024-01-01"), "2024-12-01T00:00"),
    "quarterly": (window("0 0 1 */3 *", "2023-02-01"), "2024-12-01T00:00"),
    "on the first and on Mondays": (window("0 0 1 * 1", "2024-01-02"), "2024-03-06T00:00"),
    "@weekly": (window("@weekly", "2024-01-02"), "2024-03-06T00:00"),
    "without weekends": (window("0 0 * * *", "2024-01-03", exclusions=["0 0 * * 0,6"]), "2024-01-21T00:00"),
    "without weekends, ahead": (
        window("0 0 * * *", "2024-01-03", exclusions=["0 0 * * 0,6"], end_offset=1),
        "2024-01-20T12:00",
    ),
    "without a day": (
        window("0 0 * * *", "2024-01-03", timezone=BERLIN, exclusions=[datetime(2024, 1, 6)]),
        "2024-01-10T00:00",
    ),
    "nothing yet": (dg.DailyPartitionsDefinition("2024-01-30"), "2024-01-30T12:00"),
}


def candidates(definition: Any, around: list[str]) -> list[str]:
    """Texts that may be keys: around every key and window by hours and days, and nonsense."""
    found = {"", "x", "2024-13-01", "2024-1-5", "2024-02-30", "0000-00-00", " 2024-02-01", *around}
    steps = [timedelta(hours=h) for h in (-1, 1, 2)] + [timedelta(days=d) for d in (-1, 1, 7)]
    steps += [timedelta(minutes=m) for m in (1, 15, 30)]
    for key in around:
        found |= {key + " ", key + "+0000", key + "-0500", key + "-0400"}
        try:
            at = datetime.strptime(key, definition.fmt)
        except ValueError:
            continue
        found |= {(at + step).strftime(definition.fmt) for step in steps}
    return sorted(found)


@pytest.mark.parametrize("name", TIME)
def test_time_windows_are_called_as_in_dagster(name: str) -> None:
    """A key is what Dagster lists *and* takes: it takes more than it lists (half past of a full hour)."""
    definition, when = TIME[name]
    now = datetime.fromisoformat(when).replace(tzinfo=timezone.utc)
    ours = decode_partitions(definitions.describe_partitions(definition))
    keys = PartitionKeys(now.timestamp())
    with context.partition_loading_context(now):
        listed = list(definition.get_partition_keys())
        texts = candidates(definition, [*listed, definition.start.strftime(definition.fmt)])
        taken = {text for text in texts if definition.has_partition_key(text)}
        last = definition.get_last_partition_key()
    there = {text for text in texts if keys.problem(ours, text) is None}
    assert there == taken & set(listed)
    assert list(keys.every(ours) or ()) == listed
    assert keys.last(ours) == last
    assert all(keys.follows(ours, b, a) for a, b in pairwise(listed))


def test_what_is_no_key_yet_becomes_one_when_it_says() -> None:
    for definition, when in TIME.values():
        now = datetime.fromisoformat(when).replace(tzinfo=timezone.utc)
        ours = decode_partitions(definitions.describe_partitions(definition))
        keys = PartitionKeys(now.timestamp())
        with context.partition_loading_context(now):
            listed = list(definition.get_partition_keys())
        texts = candidates(definition, [*listed, definition.start.strftime(definition.fmt)])
        waiting = {text: p.ready for text in texts if (p := keys.problem(ours, text)) and p.ready is not None}
        for text, ready in waiting.items():
            with context.partition_loading_context(datetime.fromtimestamp(ready, timezone.utc)):
                assert definition.has_partition_key(text), (text, definition)
            with context.partition_loading_context(datetime.fromtimestamp(ready - 1, timezone.utc)):
                assert not definition.has_partition_key(text), (text, definition)


warnings.simplefilter("ignore")  # what is beta in Dagster may be used; pytest puts the filters back
DAILY = dg.DailyPartitionsDefinition("2024-01-03")
ABC = dg.StaticPartitionsDefinition(["a", "b", "c"])
XYZ = dg.StaticPartitionsDefinition(["a", "x", "y"])
WEEKLY = dg.WeeklyPartitionsDefinition("2024-01-01")
MONTHLY = dg.MonthlyPartitionsDefinition("2023-12-01")
HOURLY = dg.HourlyPartitionsDefinition("2024-01-30-00:00")
DAY_ABC = dg.MultiPartitionsDefinition({"day": DAILY, "abc": ABC})
WEEK_XYZ = dg.MultiPartitionsDefinition({"week": WEEKLY, "xyz": XYZ})
TIMES, SAME, SINGLE = (
    dg.TimeWindowPartitionMapping,
    dg.IdentityPartitionMapping(),
    dg.MultiToSingleDimensionPartitionMapping,
)
DIMENSIONS = dg.MultiPartitionMapping(
    {
        "day": dg.DimensionPartitionMapping("week", TIMES()),
        "abc": dg.DimensionPartitionMapping("xyz", dg.StaticPartitionMapping({"a": "a", "b": ["x", "y"]})),
    }
)
DAY_ONLY = dg.MultiPartitionMapping({"day": dg.DimensionPartitionMapping("week", TIMES())})

MAPPINGS = {
    "the same": (SAME, DAILY, DAILY),
    "the same days of another start": (TIMES(), DAILY, dg.DailyPartitionsDefinition("2024-01-20")),
    "days to weeks": (TIMES(), DAILY, WEEKLY),
    "days to weeks from Thursday on": (TIMES(), DAILY, dg.WeeklyPartitionsDefinition("2024-01-01", day_offset=4)),
    "days to months": (TIMES(), DAILY, MONTHLY),
    "days to months from the tenth on": (TIMES(), DAILY, dg.MonthlyPartitionsDefinition("2023-12-01", day_offset=10)),
    "weeks to months": (TIMES(), WEEKLY, MONTHLY),
    "months to days": (TIMES(), MONTHLY, DAILY),
    "weeks to days": (TIMES(), WEEKLY, DAILY),
    "hours to days": (TIMES(), HOURLY, DAILY),
    "days to hours": (TIMES(), DAILY, HOURLY),
    "days from noon on": (TIMES(), DAILY, window("0 12 * * *", "2024-01-03")),
    "days to days that end": (TIMES(), DAILY, dg.DailyPartitionsDefinition("2024-01-10", "2024-01-20")),
    "the day before": (TIMES(start_offset=-1, end_offset=-1), DAILY, DAILY),
    "the last seven days": (TIMES(start_offset=-6), DAILY, DAILY),
    "the day after": (TIMES(start_offset=1, end_offset=1), DAILY, DAILY),
    "two weeks": (TIMES(start_offset=-1), DAILY, WEEKLY),
    "in New York": (
        TIMES(),
        dg.HourlyPartitionsDefinition("2024-01-30-00:00", timezone=NEW_YORK),
        dg.DailyPartitionsDefinition("2024-01-30", timezone=NEW_YORK),
    ),
    "static": (dg.StaticPartitionMapping({"a": ["x", "y"], "b": "a"}), ABC, XYZ),
    "static, by name": (SAME, ABC, XYZ),
    "all": (dg.AllPartitionMapping(), ABC, XYZ),
    "all days": (dg.AllPartitionMapping(), ABC, DAILY),
    "the last": (dg.LastPartitionMapping(), ABC, XYZ),
    "the last day": (dg.LastPartitionMapping(), DAILY, ABC),
    "one": (dg.SpecificPartitionsPartitionMapping(["b"]), ABC, XYZ),
    "two dimensions to the days": (SINGLE(), DAY_ABC, DAILY),
    "two dimensions to the letters": (SINGLE("abc"), DAY_ABC, ABC),
    "two dimensions to weeks": (SINGLE(), DAY_ABC, WEEKLY),
    "days to two dimensions": (SINGLE(), DAILY, DAY_ABC),
    "letters to two dimensions": (SINGLE("abc"), ABC, DAY_ABC),
    "days to two dimensions of weeks": (SINGLE(), DAILY, WEEK_XYZ),
    "dimension by dimension": (DIMENSIONS, DAY_ABC, WEEK_XYZ),
    "one dimension, all of the other": (DAY_ONLY, DAY_ABC, WEEK_XYZ),
    "the same two dimensions": (SAME, DAY_ABC, DAY_ABC),
}  # fmt: skip


@pytest.mark.parametrize("name", MAPPINGS)
def test_what_is_below_a_partition_is_what_dagster_says(name: str) -> None:
    mapping, up, down = MAPPINGS[name]
    now = datetime(2024, 2, 6, 5, 0, tzinfo=timezone.utc)
    keys = PartitionKeys(now.timestamp())
    above, below = (decode_partitions(definitions.describe_partitions(one)) for one in (up, down))
    how = decode_mapping(mappings.describe_mapping(mapping))
    parent = Asset("up", ("up",), "", partitions=above)
    child = Asset("down", ("down",), "", partitions=below, parents=("up",), mappings=(("up", how),))
    with context.partition_loading_context(now):
        every = [str(key) for key in up.get_partition_keys()]
        assert list(keys.every(above) or ()) == every
        seen = set()
        for key in every[:: max(1, len(every) // 40)] + every[-2:]:
            subset = up.empty_subset().with_partition_keys([key])
            theirs = mapping.get_downstream_partitions_for_partitions(subset, up, down)
            found = partitions_below(parent, child, key, keys)
            assert found.unknown is None
            ours = {one for one in found.partitions if one and keys.problem(below, one) is None}
            assert ours == set(theirs.get_partition_keys()), key
            seen |= ours
    assert seen


def test_a_mapping_of_ones_own_is_left_to_dagster() -> None:
    class Own(dg.PartitionMapping):
        """Some other rule."""

    Own.__abstractmethods__ = frozenset()  # type: ignore[misc]
    how = decode_mapping(mappings.describe_mapping(Own()))
    assert (how.kind, how.name) == ("other", "Own")
