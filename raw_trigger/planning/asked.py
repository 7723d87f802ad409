"""Tells what is asked for by asset, partition or path, and what to say if nothing matches. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable, Sequence

from raw_trigger.errors import ConfigError, UsageError
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.mapping.patterns import compile_glob
from raw_trigger.mapping.rules import RuleBook, unknown_asset
from raw_trigger.model.assets import JOB, Catalog, Partitions
from raw_trigger.model.changes import show
from raw_trigger.model.plan import Narrowing, Target
from raw_trigger.model.text import sample

Range = tuple[str, str]
"""The first and the last key; the same key twice for a single one."""

_SHOWN = 5
_PROBLEMS = 3


def is_wanted(target: Target, narrowing: Narrowing, catalog: Catalog | None, keys: PartitionKeys) -> bool:
    """Says whether it was asked for by its key and its partition."""
    asset, ranges = None if catalog is None else catalog.assets.get(target.asset), narrowing.partitions
    if ranges:
        definition, key = (None if asset is None else asset.partitions), target.partition
        if key is None or not any(keys.within(definition, key, *ends) for ends in ranges):
            return False
    wanted = set(narrowing.assets)
    mates = asset.execution_set if asset is not None else ()
    return not wanted or target.asset in wanted or not wanted.isdisjoint(mates)


def path_filter(globs: Sequence[str], rules: RuleBook) -> Callable[[bytes], bool]:
    """Returns a test for paths that one of the globs matches: the whole path, or from its root on."""
    if not globs:
        return lambda _: True
    patterns = [compile_glob(glob) for glob in globs]

    def wanted(path: bytes) -> bool:
        names = (show(path), rules.relative(path) or "")
        return any(p.match(name) is not None for p in patterns for name in names)

    return wanted


def require_known(rules: RuleBook, catalog: Catalog, narrowing: Narrowing, keys: PartitionKeys) -> None:
    """Raises an error where a rule, or who asks, names something that is not in the project.

    Raises:
        ConfigError: a rule names an asset that is not there.
        UsageError: an asset, or a partition, that is asked for is not there.
    """
    unknown = [f"{position}: {unknown_asset(key, catalog)}" for position, key in rules.unknown_assets()]
    if unknown:
        lines = "\n".join(line.replace("\n", "\\n") for line in unknown)
        raise ConfigError(lines, "`raw-trigger check` lists the assets there are", listed=True)
    for key in narrowing.assets:
        if not catalog.has(key):
            raise UsageError(unknown_asset(key, catalog), "an asset key's parts are joined by '/'")
    assets = bool(narrowing.assets) and not any(key.startswith(JOB) for key in narrowing.assets)
    # Any text may tell the runs of a job apart.
    if narrowing.partitions and (assets or not rules.configures_runs):
        wrong = no_key(narrowing.partitions, narrowing.assets, catalog, keys)
        if wrong is not None:
            raise UsageError(wrong, "`raw-trigger status --partitions` draws those there are")


def no_key(
    ranges: Sequence[Range], assets: Collection[str], catalog: Catalog, keys: PartitionKeys
) -> str | None:
    """Returns what is wrong with the first key that no definition has; None if each may be a key.

    Args:
        assets: The assets that are asked for; empty for all.
    """
    definitions = {
        key: asset.partitions
        for key, asset in sorted(catalog.assets.items())
        if asset.partitions is not None and (not assets or key in assets)
    }
    for text in dict.fromkeys(end for ends in ranges for end in ends):
        problems = {key: keys.problem(one, text) for key, one in definitions.items()}
        if any(problem is None or problem.ready is not None for problem in problems.values()):
            continue
        said: dict[str, str] = {}
        for key, problem in problems.items():
            if problem is not None:
                said.setdefault(problem.message, key)
        told = [f"{key}: {message}" for message, key in said.items()]
        more = f"; and {len(told) - _PROBLEMS} more" if len(told) > _PROBLEMS else ""
        why = f" ({'; '.join(told[:_PROBLEMS])}{more})" if told else ": none is partitioned"
        return f"no asset{' that is asked for' if assets else ''} has a partition '{text}'{why}"
    return None


def none_due(assets: Sequence[str], globs: Sequence[str]) -> str:
    """Returns a sentence that nothing is pending among the names asked for."""
    return f"nothing is pending of {sample([*assets, *globs])}; `--all` takes what is recorded too"


def left_behind(asset: str, above: Sequence[str]) -> str:
    """Returns the sentence for targets that are pending only together with others."""
    which = sample(above)
    how = " ".join(f"--asset {shlex.quote(key)}" for key in above[:_SHOWN])
    return f"{asset} is pending, but only with {which}, which it is made from: add `{how}`"


def unfed(asset: str, above: Sequence[str]) -> str:
    """Returns the sentence for an asset that no file feeds.

    Args:
        above: The assets upstream of it that files feed.
    """
    if not above:
        what = f"{asset}, nor what it is made from"
        return f"no raw file feeds {what}: give it a rule, or materialize it in Dagster"
    how = " ".join(f"--asset {shlex.quote(key)}" for key in above[:_SHOWN])
    return (
        f"no raw file feeds {asset}, but {sample(above)}, which it is made from: "
        f"`raw-trigger run --all {how} --downstream all` makes it, too"
    )


def fed_above(asset: str, catalog: Catalog, fed: Collection[str]) -> list[str]:
    """Returns the nearest assets upstream of an asset that files feed."""
    found: set[str] = set()
    seen, frontier = {asset}, [asset]
    while frontier:
        one = catalog.assets.get(frontier.pop())
        for key in one.parents if one is not None else ():
            if key in fed:
                found.add(key)
            elif key not in seen:
                seen.add(key)
                frontier.append(key)
    return sorted(found)


def unmet(
    ranges: Iterable[Range], planned: Iterable[tuple[Partitions | None, str | None]], keys: PartitionKeys
) -> list[str]:
    """Returns a sentence for each range that contains nothing planned, with the keys that are planned.

    Args:
        planned: The partition of each target, and its definition.
    """
    of = {key: definition for definition, key in planned if key is not None}
    said = []
    for first, last in ranges:
        if any(keys.within(definition, key, first, last) for key, definition in of.items()):
            continue
        asked = f"'{first}'" if first == last else f"'{first}'..'{last}'"
        there = sorted(of)
        which = f"pending are {sample(there)}" if there else "no partition is pending"
        said.append(
            f"nothing is pending for the partition {asked}: {which}; `--all` takes what is recorded too"
        )
    return said
