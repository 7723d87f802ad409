"""Tells whether a text is a key of a partitions definition, and if not, why.

If only Dagster could tell (a user's own class, a schedule that is not understood here), the text counts as a
key: the run has the last word.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import product
from typing import TYPE_CHECKING

from raw_trigger.model.assets import Asset, Partitions

if TYPE_CHECKING:
    from raw_trigger.mapping.windows import TimeWindows

SEPARATOR = "|"
"""Separates the parts of a key of several dimensions, which are in the order of the dimensions' names."""
_FORBIDDEN = ("...", "\a", "\b", "\f", "\n", "\r", "\t", "\v", "\0")
"""Texts that Dagster allows in no key."""


@dataclass(frozen=True, slots=True)
class KeyProblem:
    """Says why a text is no key.

    ``ready`` is the moment (seconds since 1970) at which it becomes one, None if it never does; ``begun``
    says that its window has begun by now; ``of_time`` says that only the moment it names is wrong.
    """

    message: str
    ready: float | None = None
    of_time: bool = False
    begun: bool = False


class PartitionKeys:
    """Knows the keys of definitions at one moment, and remembers its answers.

    Args:
        now: Seconds since 1970; None: every window counts as past.

    Attributes:
        memo: A cache for callers; its keys use the identity of definitions.
    """

    def __init__(self, now: float | None = None) -> None:
        self.now = now
        self._windows: dict[int, tuple[Partitions, TimeWindows | None]] = {}
        self.memo: dict[object, object] = {}
        self._static: dict[int, tuple[Partitions, dict[str, int]]] = {}

    def problem(self, definition: Partitions, key: str) -> KeyProblem | None:
        """Returns why the definition lacks this key; None if it has it, as far as known without Dagster."""
        if definition.kind == "static":
            return self._not_static(definition, key)
        if definition.kind == "time":
            return self._not_time(definition, key)
        if definition.kind == "multi":
            return self._not_multi(definition, key)
        return _not_text(key)

    def windows(self, definition: Partitions) -> TimeWindows | None:
        """Returns the definition's windows; None if they are not understood here."""
        known = self._windows.get(id(definition))
        if known is None:
            from raw_trigger.mapping.windows import TimeWindows

            try:
                windows = TimeWindows(definition) if definition.kind == "time" else None
            except (ValueError, OverflowError):
                windows = None
            known = self._windows[id(definition)] = (definition, windows)
        return known[1]

    def follows(self, definition: Partitions, key: str, other: str) -> bool:
        """Says whether the key is the next after the other; False if that is unknown."""
        if definition.kind == "static":
            positions = self._positions(definition)
            return key in positions and positions[key] - 1 == positions.get(other)
        windows = self.windows(definition)
        return windows is not None and windows.follows(key, other)

    def within(self, definition: Partitions | None, key: str, first: str, last: str) -> bool:
        """Says whether the key is between two others, both included.

        Without an order, it has to be one of the two.
        """
        if definition is None or definition.kind not in ("static", "time"):
            return key in (first, last)
        if any(self.problem(definition, end) is not None for end in (first, last)):
            return key in (first, last)
        low, at, high = (self.order(definition, one) for one in (first, key, last))
        return low <= at <= high  # type: ignore[operator]

    def order(self, definition: Partitions, key: str) -> float | str:
        """Returns the value by which keys of a static or time definition are sorted."""
        if definition.kind == "static":
            return self._positions(definition).get(key, -1)
        windows = self.windows(definition)
        start = None if windows is None else windows.start_of(key)
        return key if start is None else start.timestamp()

    def every(self, definition: Partitions) -> Iterator[str] | None:
        """Returns all keys in their order; None if only Dagster knows them."""
        if definition.kind == "static":
            return iter(definition.keys)
        if definition.kind == "multi":
            parts = [self.every(one) for _, one in definition.dimensions]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            return (SEPARATOR.join(chosen) for chosen in product(*known))
        windows = self.windows(definition)
        return None if windows is None or self.now is None else self._past(windows)

    def last(self, definition: Partitions) -> str | None:
        """Returns the last key; None if there is none or only Dagster knows it."""
        if definition.kind == "static":
            return definition.keys[-1] if definition.keys else None
        windows = self.windows(definition)
        if windows is None or self.now is None:
            return None
        latest = self.now if windows.end is None else min(self.now, windows.end)
        newest = next(windows.starts_until(latest), None)
        ahead = None if newest is None else windows.shifted(newest, max(windows.offset, 0))
        for start in windows.starts_until(latest if ahead is None else ahead.timestamp()):
            if start.timestamp() < windows.start:
                break
            if self._is_there(windows, start):
                return windows.key(start)
        return None

    def _past(self, windows: TimeWindows) -> Iterator[str]:
        for start in windows.starts(windows.start):
            if not self._is_there(windows, start):
                return
            yield windows.key(start)

    def _is_there(self, windows: TimeWindows, start: datetime) -> bool:
        past = self.now is None or windows.ready(start).timestamp() <= self.now
        return past and windows.within(start)

    # By kind

    def _positions(self, definition: Partitions) -> dict[str, int]:
        known = self._static.get(id(definition))
        if known is None:
            positions = {key: n for n, key in enumerate(definition.keys)}
            known = self._static[id(definition)] = (definition, positions)
        return known[1]

    def _not_static(self, definition: Partitions, key: str) -> KeyProblem | None:
        if key in self._positions(definition):
            return None
        near = difflib.get_close_matches(key, definition.keys, n=1, cutoff=0.6)
        return KeyProblem(f"it has no partition '{key}'" + (f"; did you mean '{near[0]}'?" if near else ""))

    def _not_time(self, definition: Partitions, key: str) -> KeyProblem | None:
        windows = self.windows(definition)
        if windows is None:
            return None
        missing = f"it has no partition '{key}'"
        start = windows.start_of(key)
        if start is None:
            return KeyProblem(f"{missing}: {_unparsed(windows, definition, key)}", of_time=True)
        moment = start.timestamp()
        if moment < windows.start:
            return KeyProblem(f"{missing}: its first one begins {_first(windows)}", of_time=True)
        if not windows.within(start):
            assert windows.end is not None
            return KeyProblem(f"{missing}: it ends {_shown(windows, windows.end)}", of_time=True)
        ready = windows.ready(start)
        if self.now is None or ready.timestamp() <= self.now:
            return None
        when = _shown(windows, ready.timestamp())
        why = f"its window ends {when}" if windows.offset == 0 else f"it is one from {when} on"
        message = f"'{key}' is no partition yet: {why}"
        return KeyProblem(message, ready.timestamp(), of_time=True, begun=moment <= self.now)

    def _not_multi(self, definition: Partitions, key: str) -> KeyProblem | None:
        parts = key.split(SEPARATOR)
        names = [name for name, _ in definition.dimensions]
        if len(parts) != len(names):
            return KeyProblem(
                f"'{key}' is none of its partitions: they have the dimensions {', '.join(names)}"
            )
        found = [
            (name, problem)
            for (name, one), part in zip(definition.dimensions, parts, strict=True)
            if (problem := self.problem(one, part)) is not None
        ]
        if not found:
            return None
        # The problem of a part that never becomes a key comes first, else that of the last to become one.
        name, worst = max(found, key=lambda one: float("inf") if one[1].ready is None else one[1].ready)
        of_time = all(problem.of_time for _, problem in found)
        return KeyProblem(f"dimension {name}: {worst.message}", worst.ready, of_time, worst.begun)


def target_problem(
    asset: Asset, partition: str | None, keys: PartitionKeys, dimensions: tuple[str, ...] = ()
) -> KeyProblem | None:
    """Returns why the asset has no such partition; None if it has.

    Args:
        partition: None for an asset without partitions.
        dimensions: The dimensions by which a rule gives the partition; empty if it gives the whole key.
    """
    definition = asset.partitions
    if definition is None:
        if partition is None:
            return None
        return KeyProblem(f"it is not partitioned, but the rule gives the partition '{partition}'")
    if partition is None:
        return KeyProblem("it is partitioned: its rule has to say `partition:`")
    has = sorted(name for name, _ in definition.dimensions)
    if dimensions and list(dimensions) != has:
        own = f"its dimensions are {', '.join(has)}" if has else "it has only one dimension"
        return KeyProblem(f"{own}, but the rule gives the partition by {', '.join(dimensions)}")
    return keys.problem(definition, partition)


def _not_text(key: str) -> KeyProblem | None:
    if not key:
        return KeyProblem("a partition's key cannot be empty")
    found = [text for text in _FORBIDDEN if text in key]
    if found:
        return KeyProblem(f"{key!r} cannot be a partition: Dagster allows no {found[0]!r} in a key")
    try:
        key.encode()
    except UnicodeEncodeError:
        return KeyProblem(f"{key!r} cannot be a partition: it is no text")
    return None


def _unparsed(windows: TimeWindows, definition: Partitions, key: str) -> str:
    """Returns why no window has this key."""
    try:
        written = windows.key(datetime.fromtimestamp(windows.parse(key), windows.zone))
    except (ValueError, OverflowError):
        return f"it is not written as {windows.format}"
    if written != key:
        near = windows.start_of(written)
        if near is not None:
            return f"it would be written '{written}'"
    return f"no window begins then, the schedule is {definition.cron}"


def _first(windows: TimeWindows) -> str:
    first = next(windows.starts(windows.start), None)
    return _shown(windows, windows.start if first is None else first.timestamp())


def _shown(windows: TimeWindows, moment: float) -> str:
    local = datetime.fromtimestamp(moment, timezone.utc).astimezone(windows.zone)
    return f"{local:%Y-%m-%d %H:%M} {windows.zone_name}"
