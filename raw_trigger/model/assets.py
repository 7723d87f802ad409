"""The asset graph of the user's Dagster project, as far as planning needs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

JOB = "job:"
"""Stands before the name of a job where an asset's key could stand; no key should begin with it."""

HOLE = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands in the name of a file for text that only a run knows."""
KEY = "\N{INTERLINEAR ANNOTATION ANCHOR}"
"""Stands in the name of a file for the key of the partition that is made."""

AssetKind = Literal["materializable", "observable", "external"]


@dataclass(frozen=True, slots=True)
class Partitions:
    """A partitions definition. Two assets share one exactly if these are equal.

    ``keys`` is known for static definitions only: time windows grow and dynamic keys live in the instance,
    which ``init`` asks for them. ``exclusions`` are the starts of time windows that are left out, as cron
    schedules or as moments in ISO 8601.
    """

    kind: Literal["static", "time", "dynamic", "multi", "other"]
    keys: tuple[str, ...] = ()
    name: str | None = None
    format: str | None = None
    start: str | None = None
    end: str | None = None
    cron: str | None = None
    timezone: str | None = None
    end_offset: int = 0
    exclusions: tuple[str, ...] = ()
    dimensions: tuple[tuple[str, Partitions], ...] = ()


@dataclass(frozen=True, slots=True)
class PartitionMapping:
    """Which partitions of an asset are made from which ones of one above it, as Dagster's class of the name.

    Args:
        keys: Of ``specific``: the partitions above that everything is made from.
        pairs: Of ``static``: each partition above and those below it.
        start_offset: Of ``time``: by how many windows of the asset's own the span above begins later.
        end_offset: The same for its end.
        dimension: Of ``single``: the dimension of the one of the two that has several.
        dimensions: Of ``multi``: a dimension above, the one below, and how they are mapped.
        name: Of ``other``: the name of the class.
    """

    kind: Literal["identity", "all", "last", "specific", "static", "time", "single", "multi", "other"]
    keys: tuple[str, ...] = ()
    pairs: tuple[tuple[str, tuple[str, ...]], ...] = ()
    start_offset: int = 0
    end_offset: int = 0
    dimension: str | None = None
    dimensions: tuple[tuple[str, str, PartitionMapping], ...] = ()
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset. Keys are in their text form, parts joined by ``/``; ``parts`` keeps the exact key.

    ``metadata`` holds the definition metadata whose values are text, paths or URLs;
    ``execution_set`` the keys that can only be materialized together with this one;
    ``mappings`` how its partitions are made from those of a parent, where Dagster was asked for it;
    ``partitions_per_run`` how many of its partitions one run may make (0: any number);
    ``named`` what may be names of files in its code, with ``*`` for what is listed and :data:`HOLE` and
    :data:`KEY` for what only a run knows (one that begins with ``/`` is relative to the repository's top),
    and ``told`` the same in its description; ``needs_config`` whether it cannot be made without a run
    configuration.
    """

    key: str
    parts: tuple[str, ...]
    location: str
    kind: AssetKind = "materializable"
    group: str | None = None
    partitions: Partitions | None = None
    parents: tuple[str, ...] = ()
    execution_set: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    checks: tuple[str, ...] = ()
    mappings: tuple[tuple[str, PartitionMapping], ...] = ()
    partitions_per_run: int = 1
    named: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    needs_config: bool = False


@dataclass(frozen=True)
class Catalog:
    """The whole asset graph. ``fresh`` says that it was loaded just now, not taken from a cache."""

    assets: Mapping[str, Asset] = field(default_factory=dict)
    fresh: bool = True
    dagster_version: str | None = None
    jobs: Mapping[str, str] = field(default_factory=dict)
    """The named jobs, each with its code location."""
    unread: tuple[tuple[str, str], ...] = ()
    """Assets, and what of them could not be read and is left out."""
    code: tuple[str, ...] = ()
    """The files of code that were loaded from elsewhere than the repository, without installed packages."""

    def has(self, key: str) -> bool:
        """Whether there is such an asset, or such a job (``job:NAME``)."""
        return key in self.assets or (key.startswith(JOB) and key[len(JOB) :] in self.jobs)

    def partitioned_above(self, keys: Iterable[str]) -> frozenset[str]:
        """The partitioned assets that these are made from, by way of such ones, however far up."""
        found: set[str] = set()
        left = list(keys)
        for key in left:  # it grows
            for parent in self.assets[key].parents if key in self.assets else ():
                above = self.assets.get(parent)
                if parent not in found and above is not None and above.partitions is not None:
                    found.add(parent)
                    left.append(parent)
        return frozenset(found)

    @cached_property
    def children(self) -> Mapping[str, Sequence[str]]:
        """Asset key → keys of the assets that depend on it directly, sorted."""
        out: dict[str, list[str]] = {}
        for key in sorted(self.assets):
            for parent in self.assets[key].parents:
                out.setdefault(parent, []).append(key)
        return out
