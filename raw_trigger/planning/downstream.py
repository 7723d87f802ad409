"""Tells which partitions of an asset are made from a partition of an upstream one.

The rules are those of Dagster's partition mappings, compared with Dagster in
``tests/dagster/test_partitions.py``. Keys whose time window is still open are included: they will be made
once they are partitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, product

from raw_trigger.mapping.partitions import SEPARATOR, PartitionKeys
from raw_trigger.model.assets import Asset, PartitionMapping, Partitions

MOST = 400
"""The most partitions that are made because of one that changed: somewhat more than a year of days."""

IDENTITY = PartitionMapping("identity")
ALL = PartitionMapping("all")
TIME = PartitionMapping("time")
SINGLE = PartitionMapping("single")


@dataclass(frozen=True, slots=True)
class Below:
    """Holds the partitions (None: the asset has none), or says why they are unknown."""

    partitions: tuple[str | None, ...] = ()
    unknown: str | None = None


class _UnknownError(Exception):
    """Says that only Dagster knows the partitions, or that there are too many."""


def partitions_below(parent: Asset, child: Asset, partition: str | None, keys: PartitionKeys) -> Below:
    """Returns the partitions of the child that are made from this one of the parent.

    Args:
        partition: A partition of the parent; None if it has none.
    """
    above, below = parent.partitions, child.partitions
    if below is None and (above is None or not child.mappings):
        return Below((None,))
    told = next((mapping for key, mapping in child.mappings if key == parent.key), None)
    asked = (id(told), id(above), id(below), partition)
    known = keys.memo.get(asked)
    if not isinstance(known, Below):
        known = keys.memo[asked] = _below(told or inferred(above, below), above, below, partition, keys)
    return known


def _below(
    mapping: PartitionMapping,
    above: Partitions | None,
    below: Partitions | None,
    partition: str | None,
    keys: PartitionKeys,
) -> Below:
    if partition is None and above is not None:
        return Below(unknown="no partition is given")
    try:
        found = tuple(islice(_mapped(mapping, above, below, partition, keys), MOST + 1))
    except _UnknownError as error:
        return Below(unknown=str(error))
    if len(found) > MOST:
        return Below(unknown=f"more than {MOST} of its partitions are made from it")
    return Below(tuple(dict.fromkeys(found)))


def inferred(above: Partitions | None, below: Partitions | None) -> PartitionMapping:
    """Returns the mapping that Dagster takes if none is given."""
    if above is None or below is None:
        return ALL
    if above == below:
        return IDENTITY
    if (above.kind == "multi") != (below.kind == "multi"):
        return SINGLE
    return TIME if above.kind == below.kind == "time" else IDENTITY


def _mapped(
    mapping: PartitionMapping,
    above: Partitions | None,
    below: Partitions | None,
    key: str | None,
    keys: PartitionKeys,
) -> Iterator[str | None]:
    if mapping.kind in ("last", "specific") and above is not None:
        hit = key in mapping.keys if mapping.kind == "specific" else key == _last(above, keys)
        return iter(_every(below, keys) if hit else ())
    if below is None:
        return iter((None,))
    if above is None or key is None or mapping.kind == "all":
        return iter(_every(below, keys))
    return iter(_of_key(mapping, above, below, key, keys))


def _of_key(
    mapping: PartitionMapping, above: Partitions, below: Partitions, key: str, keys: PartitionKeys
) -> Iterable[str | None]:
    if mapping.kind == "identity":
        if above.kind != below.kind:
            raise _UnknownError("it is partitioned differently")
        return (key,)
    if mapping.kind == "static":
        return next((downs for up, downs in mapping.pairs if up == key), ())
    if mapping.kind == "time":
        return _windows(mapping, above, below, key, keys)
    if mapping.kind == "single":
        return _single(mapping, above, below, key, keys)
    if mapping.kind == "multi":
        return _multi(mapping, above, below, key, keys)
    raise _UnknownError(f"only {mapping.name or 'Dagster'} knows which of its partitions are made from it")


def _every(below: Partitions | None, keys: PartitionKeys) -> Iterable[str | None]:
    if below is None:
        return (None,)
    found = keys.every(below)
    if found is None:
        raise _UnknownError("all of its partitions are made from it, and only Dagster knows them")
    return found


def _last(above: Partitions, keys: PartitionKeys) -> str | None:
    if above.kind not in ("static", "time") or (above.kind == "time" and keys.windows(above) is None):
        raise _UnknownError("it is made from the last partition, and only Dagster knows that")
    return keys.last(above)


def _windows(
    mapping: PartitionMapping, above: Partitions, below: Partitions, key: str, keys: PartitionKeys
) -> Iterator[str]:
    """Yields the windows that overlap this one's; the offsets count in windows of the child."""
    up, down = keys.windows(above), keys.windows(below)
    if up is None or down is None or up.zone_name != down.zone_name:
        raise _UnknownError("only Dagster knows its time windows")
    start = up.start_of(key)
    if start is None:
        return
    overlapping = down.overlapping(start.timestamp(), up.end_of(start).timestamp())
    if not overlapping:
        return
    first = down.shifted(overlapping[0], -mapping.end_offset)
    last = down.shifted(overlapping[-1], -mapping.start_offset)
    if first is None or last is None:
        return
    for tick in down.starts(first.timestamp()):
        if tick.timestamp() > last.timestamp() or (down.end is not None and tick.timestamp() >= down.end):
            return
        if down.within(tick):
            yield down.key(tick)


def _single(
    mapping: PartitionMapping, above: Partitions, below: Partitions, key: str, keys: PartitionKeys
) -> Iterable[str | None]:
    """Returns the partitions if only one side has dimensions, one of which is the other side's definition."""
    several, other = (above, below) if above.kind == "multi" else (below, above)
    number = _dimension(mapping.dimension, several, other)
    if number is None or other.kind == "multi":
        raise _UnknownError("it is partitioned differently")
    dimension = several.dimensions[number][1]
    inner = IDENTITY if dimension == other else TIME
    if several is above:
        parts = key.split(SEPARATOR)
        return _of_key(inner, dimension, below, parts[number], keys) if number < len(parts) else ()
    choices = [_every(one, keys) for _, one in below.dimensions]
    choices[number] = _of_key(inner, above, dimension, key, keys)
    return _joined(choices)


def _dimension(name: str | None, several: Partitions, other: Partitions) -> int | None:
    """Returns the dimension that belongs to the definition: the equal one, else the only one of time."""
    named = [n for n, (one, _) in enumerate(several.dimensions) if name in (None, one)]
    same = [n for n in named if several.dimensions[n][1] == other]
    timed = [n for n in named if several.dimensions[n][1].kind == other.kind == "time"]
    found = same or timed
    return found[0] if len(found) == 1 else None


def _multi(
    mapping: PartitionMapping, above: Partitions, below: Partitions, key: str, keys: PartitionKeys
) -> Iterable[str]:
    """Returns the partitions dimension by dimension; one that is not mapped is made from all keys."""
    parts = dict(zip((name for name, _ in above.dimensions), key.split(SEPARATOR), strict=False))
    ups, downs = dict(above.dimensions), dict(below.dimensions)
    chosen: dict[str, Iterable[str | None]] = {}
    for up, down, inner in mapping.dimensions:
        if up not in ups or down not in downs or up not in parts:
            raise _UnknownError("it is partitioned differently")
        chosen[down] = _mapped(inner, ups[up], downs[down], parts[up], keys)
    return _joined([chosen[name] if name in chosen else _every(one, keys) for name, one in below.dimensions])


def _joined(choices: list[Iterable[str | None]]) -> Iterator[str]:
    """Returns every combination of the first ``MOST`` choices."""
    bounded = [list(islice(choice, MOST + 1)) for choice in choices]
    return (SEPARATOR.join(part or "" for part in parts) for parts in product(*bounded))
