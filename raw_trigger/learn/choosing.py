"""What has to be materialized to learn what the assets read. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from raw_trigger.errors import UsageError
from raw_trigger.initialize.keys import cuts, dimensions, is_key
from raw_trigger.initialize.values import Compiled, Proposal
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.mapping.rules import RAW, unknown_asset
from raw_trigger.model.assets import Asset, Catalog
from raw_trigger.model.plan import Target

KEYS = 2
"""How many partitions of an asset are materialized: one alone does not tell what all of them read."""
_MOST_NAMES = 5000


def choose(catalog: Catalog, asked: Sequence[str], names: Sequence[str]) -> tuple[list[Target], list[str]]:
    """The targets, and why some assets have none.

    Args:
        asked: Asset keys; none: every asset that looks like a raw one.
        names: The raw files, relative to their root: they tell which partitions have one.

    Raises:
        UsageError: an asset is not in the project, or has no code.
    """
    for key in asked:
        if key not in catalog.assets:
            raise UsageError(unknown_asset(key, catalog), "an asset key's parts are joined by '/'")
        if catalog.assets[key].kind != "materializable":
            raise UsageError(f"'{key}' has no code that could read anything", "name the asset that reads it")
    chosen = asked or [key for key, asset in sorted(catalog.assets.items()) if _looks_raw(asset)]
    targets: list[Target] = []
    notes = []
    for key in dict.fromkeys(chosen):
        asset = catalog.assets[key]
        if asset.partitions is None:
            targets.append(Target(key))
            continue
        found = keys_of(asset, names)
        targets += [Target(key, partition) for partition in found]
        if not found:
            notes.append(
                f"`{key}` is not run: no file's name tells one of its partitions; run one,"
                " then `raw-trigger learn --watch-runs`"
            )
    return targets, notes


def keys_of(asset: Asset, names: Sequence[str]) -> list[str]:
    """A few partition keys that files are named after; of a static definition at least its first ones."""
    definition = asset.partitions
    if definition is None or any(part.kind in ("dynamic", "other") for _, part in dimensions(definition)):
        return []
    known = PartitionKeys()
    found: dict[str, None] = {}
    for name in names[:: len(names) // _MOST_NAMES + 1]:
        found.update(dict.fromkeys(sorted(keys_told(asset, name, known))))
    if definition.kind == "static":
        ordered = sorted(definition.keys, key=lambda key: key not in found)
        return ordered[:KEYS]
    return sorted(found)[-KEYS:]


def keys_told(asset: Asset, name: str, known: PartitionKeys) -> set[str]:
    """The partition keys that a file may be named after."""
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
    """The partition key of these dimensions (None: the only one), as Dagster writes it."""
    return "|".join(value for _, value in sorted(values.items(), key=lambda one: one[0] or ""))


def _looks_raw(asset: Asset) -> bool:
    raw = not asset.parents or asset.group == RAW or asset.parts[0] == RAW
    return raw and asset.kind == "materializable"
