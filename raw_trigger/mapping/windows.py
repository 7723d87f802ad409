"""The time windows of a partitions definition: the ticks of its cron schedule and their keys.

The rules are Dagster's, read in its source and compared with it in ``tests/dagster/test_partitions.py``: a
window goes from one tick to the next; its key is its start, written in the definition's format. A schedule
that repeats every hour follows UTC: an hour that the local clock skips has no window, one that comes twice
has two, the second with its UTC offset after the key. Any other schedule follows the local clock: a skipped
time is the end of the gap, one that comes twice is the later one.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timezone, tzinfo
from itertools import islice

from raw_trigger.model.assets import Partitions

_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?")
_Range = tuple[int, int, dict[str, int]]
_RANGES: tuple[_Range, ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: n for n, name in enumerate(_MONTHS, 1)}),
    (0, 7, {name: n for n, name in enumerate(_WEEKDAYS)}),
)
_HORIZON = 9 * 366
"""Days (or more) in which a schedule has at least one tick: 29 February can be eight years away."""
_DAY = 86_400
_LAST_DAY = date(9998, 12, 31).toordinal()
_FEW = 4
"""The most ticks in a day for which a page of :class:`Ticks` is a whole year."""
_SHIFTED_HOURS = frozenset({1, 2, 3})
"""The only hours that Dagster expects to be skipped or to come twice."""


@dataclass(frozen=True, slots=True)
class Cron:
    """Holds a cron schedule of five fields, without the extensions (``L``, ``#``, ``W``) of some programs."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None

    @property
    def hourly(self) -> bool:
        """Says whether it repeats every hour."""
        return len(self.hours) == 24  # noqa: PLR2004

    def on(self, day: date) -> bool:
        """Says whether it ticks on that day. Of given days of month and week either is enough."""
        if day.month not in self.months:
            return False
        if self.days is None and self.weekdays is None:
            return True
        of_month = self.days is not None and day.day in self.days
        return of_month or (self.weekdays is not None and day.isoweekday() % 7 in self.weekdays)


def parse_cron(text: str) -> Cron | None:
    """Returns the schedule; None if it uses something unknown here."""
    fields = _MACROS.get(text.strip().lower(), text).split()
    if len(fields) != len(_RANGES):
        return None
    parsed = [_field(field, *limits) for field, limits in zip(fields, _RANGES, strict=True)]
    if None in parsed:
        return None
    minutes, hours, days, months, weekdays = (values or frozenset() for values in parsed)
    return Cron(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=None if len(days) == 31 else days,  # noqa: PLR2004
        months=months,
        weekdays=None if len(every := frozenset(day % 7 for day in weekdays)) == 7 else every,  # noqa: PLR2004
    )


def _field(text: str, low: int, high: int, names: dict[str, int]) -> frozenset[int] | None:
    values: set[int] = set()
    for part in text.lower().split(","):
        match = _PART.fullmatch(part)
        if match is None:
            return None
        first, last, step = match.group("first", "last", "step")
        try:
            start = low if first is None else names[first] if first in names else int(first)
            if last is not None:
                end = names[last] if last in names else int(last)
            else:
                end = start if first is not None and step is None else high
        except ValueError:
            return None
        if not low <= start <= end <= high or (step is not None and not int(step)):
            return None
        values.update(range(start, end + 1, int(step or 1)))
    return frozenset(values)


class Ticks:
    """Knows when a schedule ticks in one time zone; kept by day, or by year if ticks are few."""

    def __init__(self, cron: Cron, zone: tzinfo) -> None:
        self._cron = cron
        self._zone = zone
        self._by_year = len(cron.hours) * len(cron.minutes) <= _FEW
        self._pages: dict[int, tuple[list[float], list[datetime]]] = {}

    def _page_of(self, moment: float) -> int:
        day = datetime.fromtimestamp(moment, self._zone).date()
        return day.year if self._by_year else day.toordinal()

    def _page(self, number: int) -> tuple[list[float], list[datetime]]:
        """Returns the moments and the ticks of a page, in order."""
        known = self._pages.get(number)
        if known is None:
            if self._by_year:
                first, last = date(number, 1, 1).toordinal(), date(number, 12, 31).toordinal()
            else:
                first = last = number
            days = map(date.fromordinal, range(first, last + 1))
            ticks = [tick for day in days if self._cron.on(day) for tick in self._of(day)]
            known = self._pages[number] = ([tick.timestamp() for tick in ticks], ticks)
        return known

    def _of(self, day: date) -> list[datetime]:
        found: dict[float, datetime] = {}
        for hour in self._cron.hours:
            for minute in self._cron.minutes:
                local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self._zone)
                for tick in self._instances(local):
                    found.setdefault(tick.timestamp(), tick)
        return [tick for _, tick in sorted(found.items())]

    def _instances(self, local: datetime) -> tuple[datetime, ...]:
        """Returns when that local time occurs on the day: once, never or twice."""
        later = local.replace(fold=1)
        if local.utcoffset() == later.utcoffset():
            return (local,)
        skipped = later.timestamp() < local.timestamp()
        if self._cron.hourly:
            return () if skipped else (local, later)
        if local.hour not in _SHIFTED_HOURS:
            return (local,)
        if skipped:
            whole = local.replace(minute=0)
            return (datetime.fromtimestamp(whole.timestamp(), self._zone),)
        return (later,)

    def since(self, moment: float) -> Iterator[datetime]:
        """Yields the ticks at this moment (seconds since 1970) and after it."""
        page, quiet = self._page_of(moment - _DAY), 0
        while quiet < _HORIZON and page < (9999 if self._by_year else _LAST_DAY):
            moments, ticks = self._page(page)
            quiet = 0 if ticks else quiet + 1
            for at in range(bisect_left(moments, moment), len(ticks)):
                yield ticks[at]
            page += 1

    def until(self, moment: float) -> Iterator[datetime]:
        """Yields the ticks at this moment and before it, the latest first."""
        page, quiet = self._page_of(moment + _DAY), 0
        while quiet < _HORIZON and page > 1:
            moments, ticks = self._page(page)
            quiet = 0 if ticks else quiet + 1
            for at in range(bisect_right(moments, moment) - 1, -1, -1):
                yield ticks[at]
            page -= 1

    def has(self, moment: float) -> bool:
        """Says whether it ticks at that very moment."""
        found = next(self.since(moment), None)
        return found is not None and found.timestamp() == moment


class TimeWindows:
    """Knows the windows of one definition.

    Raises:
        ValueError: its schedule, format or time zone is not understood here.
    """

    def __init__(self, definition: Partitions) -> None:
        cron = parse_cron(definition.cron or "")
        excluded = [parse_cron(text) for text in definition.exclusions if not _is_moment(text)]
        if cron is None or definition.format is None or definition.start is None or None in excluded:
            raise ValueError(f"schedule {definition.cron!r}")
        self.format = definition.format
        self.zone = _zone(definition.timezone or "UTC")
        self.zone_name = definition.timezone or "UTC"
        self.hourly = cron.hourly
        self.start = _moment(definition.start, self.zone)
        self.end = None if definition.end is None else _moment(definition.end, self.zone)
        self.offset = definition.end_offset
        self.ticks = Ticks(cron, self.zone)
        self._excluded = [Ticks(one, self.zone) for one in excluded if one is not None]
        self._excluded_moments = {
            _moment(text, self.zone) for text in definition.exclusions if _is_moment(text)
        }
        self._starts: dict[str, datetime | None] = {}
        self._ends: dict[float, datetime] = {}

    # Keys

    def key(self, start: datetime) -> str:
        """Returns the key of the window that begins then."""
        second = self.hourly and "%z" not in self.format and start.fold == 1
        ambiguous = second and start.utcoffset() != start.replace(fold=0).utcoffset()
        return start.strftime(self.format + "%z" if ambiguous else self.format)

    def parse(self, key: str) -> float:
        """Returns the moment that a key names, in seconds since 1970; no window need begin then.

        Raises:
            ValueError: it does not have the format.
        """
        try:
            moment = datetime.strptime(key, self.format)
        except ValueError:
            if "%z" in self.format:
                raise
            moment = datetime.strptime(key, self.format + "%z")
        return (moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).timestamp()

    def start_of(self, key: str) -> datetime | None:
        """Returns when the window of a key begins; None if no window has the key."""
        if key not in self._starts:
            try:
                # The next tick adds parts that the format leaves out, such as the hour.
                found = next(self.starts(self.parse(key)), None)
            except (ValueError, OverflowError):
                found = None
            self._starts[key] = None if found is None or self.key(found) != key else found
        return self._starts[key]

    # Windows

    def starts(self, moment: float) -> Iterator[datetime]:
        """Returns when windows begin, from this moment on, even outside of the definition's start and end."""
        return (tick for tick in self.ticks.since(moment) if not self._is_excluded(tick))

    def starts_until(self, moment: float) -> Iterator[datetime]:
        """Returns when windows begin, at this moment and before it, the latest first."""
        return (tick for tick in self.ticks.until(moment) if not self._is_excluded(tick))

    def end_of(self, start: datetime) -> datetime:
        """Returns when the window that begins then ends, even if it is excluded."""
        moment = start.timestamp()
        known = self._ends.get(moment)
        if known is None:
            # The default is for the end of the calendar, where there is no further tick.
            known = self._ends[moment] = next(islice(self.ticks.since(moment), 1, 2), start)
        return known

    def within(self, start: datetime) -> bool:
        """Says whether a window is neither before the definition's start nor after its end."""
        if start.timestamp() < self.start:
            return False
        return self.end is None or self.end_of(start).timestamp() <= self.end

    def ready(self, start: datetime) -> datetime:
        """Returns when the window becomes a partition: its end or, with an offset, the end of another one."""
        moment = start.timestamp()
        if self.offset > 0:
            earlier = list(islice(self.starts_until(moment), self.offset + 1))[-1]
            return self.end_of(earlier)
        later = list(islice(self.starts(moment), -self.offset + 1))[-1]
        return self.end_of(later)

    def overlapping(self, start: float, end: float) -> list[datetime]:
        """Returns when the windows begin that overlap a span of time."""
        first = next(self.starts_until(start), None)
        found = [] if first is None or self.end_of(first).timestamp() <= start else [first]
        for tick in self.starts(start):
            if tick.timestamp() >= end:
                break
            if first is None or tick.timestamp() != first.timestamp():
                found.append(tick)
        return found

    def shifted(self, start: datetime, by: int) -> datetime | None:
        """Returns the start of the window that many places later or earlier; None if there is none."""
        moment = start.timestamp()
        ticks = self.starts(moment) if by > 0 else self.starts_until(moment)
        return next(islice(ticks, abs(by), None), None)

    def follows(self, key: str, other: str) -> bool:
        """Says whether the window of the key is the next after that of the other."""
        start, before = self.start_of(key), self.start_of(other)
        after = None if before is None else self.shifted(before, 1)
        return start is not None and after is not None and start.timestamp() == after.timestamp()

    def _is_excluded(self, tick: datetime) -> bool:
        moment = tick.timestamp()
        return moment in self._excluded_moments or any(ticks.has(moment) for ticks in self._excluded)


def _is_moment(text: str) -> bool:
    return "T" in text and text[:4].isdigit()


def _moment(text: str, zone: tzinfo) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return timezone.utc
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError as error:
        raise ValueError(f"time zone {name!r}") from error
