"""Chooses what to materialize to learn what the assets read. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from raw_trigger.errors import UsageError
from raw_trigger.initialize.keys import cuts, dimensions, is_key
from raw_trigger.initialize.values import Compiled, Proposal
from raw_trigger.mapping.partitions import PartitionKeys, target_problem
from raw_trigger.mapping.rules import RAW, unknown_asset
from raw_trigger.model.assets import Asset, Catalog
from raw_trigger.model.plan import Target

KEYS = 2
"""The partitions of an asset that are materialized: from one alone no pattern can be told."""
_MOST_NAMES = 5000


@dataclass(frozen=True, slots=True)
class Asked:
    """Says which targets the user wants to run.

    Attributes:
        assets: Asset keys; none: every asset that looks like a raw one.
        partitions: Partitions of those assets; none: a few that have a file.
        everything: Every asset, also one that is made from other assets.
    """

    assets: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    everything: bool = False


def choose(
    catalog: Catalog,
    asked: Asked,
    names: Sequence[str],
    mapped: Mapping[str, Sequence[str]] = MappingProxyType({}),
    now: float | None = None,
) -> tuple[list[Target], list[str]]:
    """Returns the targets to run, and notes why some assets have none.

    Args:
        names: The raw files, relative to their root: their names tell which partitions may have one.
        mapped: Asset → the partitions that files are mapped to. Such an asset runs for no others.
        now: Seconds since 1970. A partition whose time window is still open does not count. None: all are
            past.

    Raises:
        UsageError: an asset is not in the project, or has no code; or no asset has such a partition.
    """
    if asked.everything and asked.assets:
        raise UsageError("--all is every asset", "leave --asset or --all away")
    if asked.partitions and not asked.assets:
        # Any text is a key of a dynamic definition: a run would add it.
        raise UsageError("--partition is for the partitions of an asset", "name it with --asset")
    for key in asked.assets:
        if key not in catalog.assets:
            raise UsageError(unknown_asset(key, catalog), "an asset key's parts are joined by '/'")
        if catalog.assets[key].kind != "materializable":
            raise UsageError(f"'{key}' has no code that could read anything", "name the asset that reads it")
    able = [key for key, asset in sorted(catalog.assets.items()) if asset.kind == "materializable"]
    raw = [key for key in able if _looks_raw(catalog.assets[key])]
    chosen = asked.assets or (able if asked.everything else raw)
    targets: list[Target] = []
    notes = []
    known = PartitionKeys(now)
    wrong: dict[str, str] = {}
    for key in dict.fromkeys(chosen):
        asset = catalog.assets[key]
        if asset.partitions is None:
            targets.append(Target(key))
            continue
        problems = {one: target_problem(asset, one, known) for one in asked.partitions}
        wrong |= {one: f"{key}: {problem.message}" for one, problem in problems.items() if problem}
        found = [one for one, problem in problems.items() if problem is None]
        if not asked.partitions:
            found = _some(asset, mapped.get(key, ()), known) or keys_of(asset, names, known)
        targets += [Target(key, partition) for partition in found]
        if not found and not asked.partitions:
            notes.append(
                f"`{key}` is not run: no file's name tells one of its partitions; name one with --partition"
            )
    for one in asked.partitions:
        if all(target.partition != one for target in targets):
            raise UsageError(f"no asset that is run has a partition '{one}'", wrong.get(one))
    if not asked.assets and len(able) > len(chosen):
        left = len(able) - len(chosen)
        what = "1 asset that is made from others is" if left == 1 else f"{left} assets made from others are"
        notes.append(f"{what} not run; `--all` runs every asset, `--asset KEY` one")
    return targets, notes


def _some(asset: Asset, mapped: Sequence[str], known: PartitionKeys) -> list[str]:
    """Returns the last of these keys that are partitions."""
    found: list[str] = []
    for key in sorted(set(mapped), reverse=True):
        if len(found) == KEYS:
            break
        if target_problem(asset, key, known) is None:
            found.append(key)
    return found[::-1]


def keys_of(asset: Asset, names: Sequence[str], known: PartitionKeys) -> list[str]:
    """Returns a few partition keys that files are named after.

    Of a static definition these are at least its first ones.
    """
    definition = asset.partitions
    if definition is None or any(part.kind in ("dynamic", "other") for _, part in dimensions(definition)):
        return []
    found: dict[str, None] = {}
    for name in names[:: len(names) // _MOST_NAMES + 1]:
        found.update(dict.fromkeys(sorted(keys_told(asset, name, known))))
    if definition.kind == "static":
        ordered = sorted(definition.keys, key=lambda key: key not in found)
        return ordered[:KEYS]
    return sorted(found)[-KEYS:]


def keys_told(asset: Asset, name: str, known: PartitionKeys) -> set[str]:
    """Returns the partition keys that a file may be named after."""
    definition = asset.partitions
    found = set()
    if definition is not None:
        for (path, _, partition), _, _ in cuts(name, definition):
            try:
                values = Compiled(Proposal(path, "", "", partition)).target(name)[1]
            except ValueError:
                continue
            if all(is_key(known, part, values.get(one, "")) for one, part in dimensions(definition)):
                found.add(joined_key(values))
    return found


def joined_key(values: dict[str | None, str]) -> str:
    """Returns the partition key of these dimensions as Dagster writes it.

    Args:
        values: The key of each dimension; None names the only dimension.
    """
    return "|".join(value for _, value in sorted(values.items(), key=lambda one: one[0] or ""))


def _looks_raw(asset: Asset) -> bool:
    raw = not asset.parents or asset.group == RAW or asset.parts[0] == RAW
    return raw and asset.kind == "materializable"
