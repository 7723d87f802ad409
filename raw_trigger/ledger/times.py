"""Reads points in time: those of partitions, and those that a person writes."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from raw_trigger.errors import UsageError
from raw_trigger.model.assets import Partitions

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,6})([mhdw])")


def parse_since(text: str, now: datetime) -> datetime:
    """Returns the point in time that `2d`, `2026-11-20` or `2026-11-20T08:00` means.

    Args:
        now: The present with a time zone, which is also that of a date without one.

    Raises:
        UsageError: the text is no such point.
    """
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        # Python 3.10 does not know the Z of UTC.
        moment = datetime.fromisoformat(re.sub("Z$", "+00:00", text))
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=now.tzinfo)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since {text!r} is no point in time", "write 30m, 12h, 2d, 1w, or a date such as 2026-11-20"
        ) from None


def partition_time(partitions: Partitions | None, key: str | None) -> datetime | None:
    """Returns when the partition of a key begins, in UTC; None if its definition is not by time.

    Of a key with several dimensions the first dimension by time counts.
    """
    if partitions is None or key is None:
        return None
    if partitions.kind == "multi":
        # Dagster joins the parts in the order of the dimensions' names.
        named = sorted(partitions.dimensions, key=lambda dimension: dimension[0])
        parts = key.split("|")
        pairs = zip((definition for _, definition in named), parts, strict=False)
        times = (partition_time(definition, part) for definition, part in pairs)
        return next((moment for moment in times if moment is not None), None)
    if partitions.kind != "time" or partitions.format is None:
        return None
    try:
        moment = datetime.strptime(key, partitions.format)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(partitions.timezone or "UTC"))
        return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError, ZoneInfoNotFoundError):
        return None
