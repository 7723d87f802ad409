"""Partitions definitions, from what a webserver tells of them: a sentence, a format, and some of the keys.

What its sentence leaves out (at which hour or on which day a window begins, where the windows end) is taken
from the keys, and what does not fit these is left to the deployment: it has the last word on every key.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.project.catalog import decode_partitions

Document = dict[str, Any]

_SENTENCE = re.compile(
    r"(?P<schedule>.+), starting (?P<start>.+?) (?P<zone>\S+)\."
    r"(?: End offsetted by (?P<offset>-?\d+) partitions?\.)?"
)
"""How Dagster describes time windows (``TimeWindowPartitionsDefinition.__str__``, 1.7 to 1.13)."""
_FORMATS = {"Hourly": "%Y-%m-%d-%H:%M"}
_USUAL = "%Y-%m-%d"
"""Dagster's own formats; versions before 1.11 do not tell a definition's."""
_SCHEDULES = {
    "Hourly": "{at.minute} * * * *",
    "Daily": "{at.minute} {at.hour} * * *",
    "Weekly": "{at.minute} {at.hour} * * {weekday}",
    "Monthly": "{at.minute} {at.hour} {at.day} * *",
}


def time_windows(sentence: str, form: str | None, keys: Sequence[str], now: float | None = None) -> Document:
    """Returns the definition of time windows; one that only the deployment understands if the keys say so.

    Args:
        sentence: Dagster's description.
        form: The format of the keys; None: not told.
        keys: The first ones and the last ones, in their order.
        now: Seconds since 1970; None: the present.
    """
    unknown: Document = {"kind": "other", "name": sentence}
    found = _SENTENCE.fullmatch(sentence.strip())
    if found is None or not keys:
        return unknown
    schedule, zone = found["schedule"], found["zone"]
    form = form or _FORMATS.get(schedule, _USUAL)
    try:
        first = datetime.strptime(keys[0], form)
        start = datetime.strptime(found["start"], form)
    except ValueError:
        return unknown
    cron = _SCHEDULES.get(schedule, schedule).format(at=first, weekday=first.isoweekday() % 7)
    document: Document = {
        "kind": "time",
        "format": form,
        "start": start.isoformat(),
        "end": None,
        "cron": cron,
        "timezone": zone,
        "end_offset": int(found["offset"] or 0),
        "exclusions": [],
    }
    return document if _fits(document, keys, now or time.time()) else unknown


def _fits(document: Document, keys: Sequence[str], now: float) -> bool:
    """Whether the windows are those whose keys these are, from the first one to about the last one."""
    definition, known = decode_partitions(document), PartitionKeys(now)
    windows = known.windows(definition)
    last = known.last(definition)
    if windows is None or last is None:
        return False
    starts = [windows.start_of(key) for key in keys]
    first = next(windows.starts(windows.start), None)
    if None in starts or first is None or windows.key(first) != keys[0]:
        return False
    # Another clock, or an hour that the sentence leaves out, may put the last one off. Windows with an end,
    # however, may have had their last one long ago.
    return keys[-1] == last or known.follows(definition, last, keys[-1])


def definition_of(
    node: Mapping[str, Any], keys: Sequence[str], by_dimension: Mapping[str, Sequence[str]]
) -> Document:
    """Returns the partitions definition of an asset as JSON.

    Args:
        node: The webserver's ``partitionDefinition``.
        keys: Of a static definition all keys, of time windows the first and the last ones.
        by_dimension: The keys of each of several dimensions.
    """
    kind, sentence = node["type"], str(node["description"])
    if kind == "STATIC":
        return {"kind": "static", "keys": list(keys)}
    if kind == "TIME_WINDOW":
        return time_windows(sentence, node.get("fmt"), keys)
    if kind == "DYNAMIC" and node["name"]:
        return {"kind": "dynamic", "name": node["name"]}
    if kind == "MULTIPARTITIONED":
        parts = []
        for one in sorted(node["dimensionTypes"], key=lambda one: str(one["name"])):
            alone = {**one, "name": one["dynamicPartitionsDefinitionName"], "dimensionTypes": []}
            parts.append([one["name"], definition_of(alone, by_dimension.get(one["name"], ()), {})])
        return {"kind": "multi", "dimensions": parts}
    return {"kind": "other", "name": sentence}
