"""The asset graph of the user's Dagster project, as far as planning needs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

JOB = "job:"
"""Begins the name of a job where an asset's key could be; no key should begin so."""

HOLE = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Replaces, in a file's name, text that only a run knows."""
KEY = "\N{INTERLINEAR ANNOTATION ANCHOR}"
"""Replaces, in a file's name, the key of the partition that is made."""

AssetKind = Literal["materializable", "observable", "external"]


@dataclass(frozen=True, slots=True)
class Partitions:
    """Describes a partitions definition. Two assets share one exactly if these are equal.

    ``keys`` is known for static definitions only: time windows grow, and dynamic keys are in the instance,
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
    """Says which partitions of an asset are made from which of an upstream one, as a mapping of Dagster.

    Args:
        keys: Of ``specific``: the upstream partitions that everything is made from.
        pairs: Of ``static``: each upstream partition and its downstream ones.
        start_offset: Of ``time``: by how many of the asset's own windows the upstream span begins later.
        end_offset: The same for its end.
        dimension: Of ``single``: the dimension on the side that has several.
        dimensions: Of ``multi``: an upstream dimension, the downstream one, and how they are mapped.
        name: Of ``other``: the name of Dagster's class.
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
    """Describes one asset. Keys are in their text form, parts joined by ``/``; ``parts`` keeps the exact key.

    ``metadata`` is the definition metadata whose values are text, paths or URLs. ``execution_set`` are the
    keys that can only be materialized together with this one. ``mappings`` say how its partitions are made
    from a parent's, if Dagster was asked. ``partitions_per_run`` is how many of its partitions one run may
    make (0: any number). ``named`` are texts in its code that may name files, with ``*`` for listed names and
    :data:`HOLE` and :data:`KEY` for parts that only a run knows; one that begins with ``/`` is relative to
    the repository's top. ``told`` are such texts in its description. ``needs_config`` says that it cannot be
    made without a run configuration.
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
    """Holds the whole asset graph. ``fresh`` says that it was loaded just now, not taken from a cache."""

    assets: Mapping[str, Asset] = field(default_factory=dict)
    fresh: bool = True
    dagster_version: str | None = None
    jobs: Mapping[str, str] = field(default_factory=dict)
    """The named jobs, each with its code location."""
    unread: tuple[tuple[str, str], ...] = ()
    """Assets, each with what could not be read of it and is left out."""
    code: tuple[str, ...] = ()
    """The code files that were loaded from outside the repository, without installed packages."""
    place: str = "the Dagster project"
    """What it is the graph of, for a person."""

    def has(self, key: str) -> bool:
        """Says whether there is such an asset, or such a job (``job:NAME``)."""
        return key in self.assets or (key.startswith(JOB) and key[len(JOB) :] in self.jobs)

    def made_above(self, keys: Iterable[str]) -> frozenset[str]:
        """Returns the assets with code that these are made from, by way of such ones, however far up.

        What is made together with one of them counts as well.
        """
        found: set[str] = set()
        left = list(keys)
        for key in left:  # it grows
            for parent in self.assets[key].parents if key in self.assets else ():
                above = self.assets.get(parent)
                if above is not None and above.kind == "materializable":
                    new = {parent, *above.execution_set} - found
                    found |= new
                    left += new
        return frozenset(found)

    def readers(self, key: str) -> Sequence[str]:
        """Returns whose code reads the files of an asset: its own, or its children's where it has none."""
        asset = self.assets.get(key)
        return (key,) if asset is None or asset.kind == "materializable" else self.children.get(key, ())

    @cached_property
    def children(self) -> Mapping[str, Sequence[str]]:
        """Returns the sorted keys of the direct children by asset key."""
        out: dict[str, list[str]] = {}
        for key in sorted(self.assets):
            for parent in self.assets[key].parents:
                out.setdefault(parent, []).append(key)
        return out
