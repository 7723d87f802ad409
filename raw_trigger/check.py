"""Finds what is wrong with the rules, compared with the Dagster project and the files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from raw_trigger.mapping.clauses import Affected
from raw_trigger.mapping.formats import no_text
from raw_trigger.mapping.partitions import KeyProblem, PartitionKeys, target_problem
from raw_trigger.mapping.rules import RAW, Compare, Match, RuleBook, unknown_asset
from raw_trigger.model.assets import Catalog
from raw_trigger.model.changes import Entry, show
from raw_trigger.model.plan import Target

SHOWN = 5
"""The most partitions without a file that are named."""

Severity = Literal["error", "warning", "note"]
_RANKS = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """Holds one finding. ``where`` is ``raw-trigger.yaml:14:5``, a path or an asset key.

    A note is no fault: the first rule that matches decides, not every day has a file, and what cannot be read
    of an asset is rarely needed.
    """

    severity: Severity
    where: str
    message: str


def check(
    rules: RuleBook,
    catalog: Catalog,
    files: Mapping[bytes, Entry],
    config_file: str | None,
    compare: Compare = lambda _path, match, _old, _new: Affected(match.targets),
    *,
    now: float | None = None,
    hooks: str | None = None,
    unseen: Sequence[Finding] = (),
    elsewhere: Sequence[str] = (),
    config_problems: Callable[[Sequence[tuple[str, Mapping[str, Any]]]], list[str | None]] = lambda _: [],
) -> list[Finding]:
    """Returns everything that is wrong or uncovered: errors, warnings, notes, each sorted by place.

    Args:
        catalog: A freshly loaded catalog.
        files: Every raw file.
        config_file: The configuration's name, for places in it; None if there is none.
        compare: Reads a file if its rule needs its content.
        now: Seconds since 1970; None: every time window counts as past.
        hooks: What is wrong with the installed hooks; None if nothing.
        unseen: Findings on what git does not see.
        elsewhere: Sentences on code that was loaded from another checkout.
        config_problems: Asks Dagster what is wrong with run configurations of jobs.
    """
    paths = list(files)
    matches = {path: rules.match(path) for path in paths}
    inside = {
        path: compare(path, match, None, files[path])
        for path, match in matches.items()
        if match is not None and match.clause is not None
    }
    fed = {
        path: inside[path].targets if match.by_row else match.targets
        for path, match in matches.items()
        if match is not None
    }
    unknown = rules.unknown_assets()
    keys = PartitionKeys(now)
    found = [
        *(Finding("error", str(at), unknown_asset(key, catalog)) for at, key in unknown),
        *(Finding("error", told.place, told.problem) for told in inside.values() if told.problem is not None),
        *_targets(matches, fed, catalog, frozenset(key for _, key in unknown), keys),
        *(
            Finding("warning", str(rule.position), f"no file matches '{rule.path}'")
            for rule in rules.unused_rules(paths)
        ),
        *(Finding("warning", show(p), "no asset is made from it") for p, m in matches.items() if m is None),
        *_not_looked_into(matches),
        *_unfed(matches, catalog),
        *_unconfigured(fed, catalog),
        *_misconfigured(rules, matches, catalog, config_problems),
        *_overlaps(rules, paths),
        *_without_file(fed, catalog, keys),
        *(Finding("warning", "the Dagster project", message) for message in elsewhere),
        *(Finding("note", key, message) for key, message in catalog.unread),
        *unseen,
    ]
    if hooks is not None:
        found.append(Finding("warning", "git hooks", hooks))
    if not paths:
        roots = ", ".join(root.rstrip("/") or "." for root in rules.roots)
        found.append(Finding("warning", config_file or roots, f"there is no raw file under {roots}"))
    return sorted(found, key=lambda f: (_RANKS.index(f.severity), _place(f.where), f.message))


def _place(where: str) -> tuple[str, int, int]:
    name, *numbers = where.rsplit(":", 2)
    if len(numbers) == 2 and all(n.isdigit() for n in numbers):  # noqa: PLR2004
        return name, int(numbers[0]), int(numbers[1])
    return where, 0, 0


def _targets(
    matches: Mapping[bytes, Match | None],
    fed: Mapping[bytes, tuple[Target, ...]],
    catalog: Catalog,
    named: frozenset[str],
    keys: PartitionKeys,
) -> Iterator[Finding]:
    """Yields targets that cannot exist, each once for a rule.

    A partition whose time window is still open is no fault; one in the future may be none.

    Args:
        named: Unknown assets that were reported already.
    """
    said = set()
    for path, match in matches.items():
        if match is None:
            continue
        for target in fed[path]:
            if target.asset in named or (target.job is not None and catalog.has(target.asset)):
                continue
            asset = catalog.assets.get(target.asset)
            if asset is None:
                problem: KeyProblem | None = KeyProblem(unknown_asset(target.asset, catalog))
            else:
                problem = target_problem(asset, target.partition, keys, match.dimensions)
            if problem is None or problem.begun:
                continue
            message = problem.message if asset is None else f"asset '{asset.key}': {problem.message}"
            if (match.rule, message) not in said:
                said.add((match.rule, message))
                severity: Severity = "error" if problem.ready is None else "warning"
                yield Finding(severity, show(path), f"{message} ({match.rule})")


def _unfed(matches: dict[bytes, Match | None], catalog: Catalog) -> Iterator[Finding]:
    fed = {target.asset for match in matches.values() if match is not None for target in match.targets}
    for key, asset in sorted(catalog.assets.items()):
        raw = asset.group == RAW or asset.parts[0] == RAW
        if raw and not asset.parents and key not in fed:
            yield Finding("warning", key, "no raw file feeds it")


def _not_looked_into(matches: Mapping[bytes, Match | None]) -> Iterator[Finding]:
    """Yields files without text whose rule has a fingerprint for text."""
    for path, match in matches.items():
        clause, what = None if match is None else match.clause, no_text(show(path))
        if match is not None and clause is not None and what is not None and clause.fingerprint != "bytes":
            by_rows = clause.rows is not None
            asked = "rows:" if by_rows else f"fingerprint: {clause.fingerprint}"
            so = "; give it a rule without" if by_rows else ", so any change of it counts"
            message = f"`{asked}` ({match.rule}) cannot look into it: it is {what}{so}"
            yield Finding("error" if by_rows else "warning", show(path), message)


def _unconfigured(fed: Mapping[bytes, tuple[Target, ...]], catalog: Catalog) -> Iterator[Finding]:
    """Yields assets that no run can make, since nothing gives them their configuration."""
    for key in sorted({target.asset for targets in fed.values() for target in targets}):
        if key in catalog.assets and catalog.assets[key].needs_config:
            message = (
                "it cannot be run without a configuration, and nothing gives it one: give its Config (or its"
                " resources) defaults, or make a job of it and map its files to that, with 'run_config'"
            )
            yield Finding("error", key, message)


def _misconfigured(
    rules: RuleBook,
    matches: Mapping[bytes, Match | None],
    catalog: Catalog,
    config_problems: Callable[[Sequence[tuple[str, Mapping[str, Any]]]], list[str | None]],
) -> Iterator[Finding]:
    """Yields rules whose run configuration does not fit their job, tried for the first file of each rule."""
    first: dict[str, tuple[bytes, str]] = {}
    for path, match in matches.items():
        for target in () if match is None else match.targets:
            if match is not None and target.job is not None and catalog.has(target.asset):
                first.setdefault(match.rule, (path, target.job))
    asked = [(job, rules.job_run([path], [path], commit="", top="/")[1]) for path, job in first.values()]
    for rule, problem in zip(first, config_problems(asked) if asked else [], strict=False):
        if problem is not None:
            job = first[rule][1]
            yield Finding("error", rule, f"job '{job}' does not take this run configuration: {problem}")


def _overlaps(rules: RuleBook, paths: Iterable[bytes]) -> Iterator[Finding]:
    """Yields rules that match files about which an earlier rule decides."""
    for (lower, upper), hidden in rules.overlaps(paths).items():
        what = "a file that it matches is" if len(hidden) == 1 else f"{len(hidden)} files that it matches are"
        named = show(hidden[0]) + (", …" if len(hidden) > 1 else "")
        yield Finding("note", str(lower), f"{what} decided by line {upper.line} before it: {named}")


def _without_file(
    fed: Mapping[bytes, tuple[Target, ...]], catalog: Catalog, keys: PartitionKeys
) -> Iterator[Finding]:
    """Yields assets of which files feed some partitions, but not these."""
    partitions: dict[str, set[str | None]] = {}
    for targets in fed.values():
        for target in targets:
            partitions.setdefault(target.asset, set()).add(target.partition)
    for key, named in sorted(partitions.items()):
        definition = catalog.assets[key].partitions if key in catalog.assets else None
        every = None if definition is None else keys.every(definition)
        listed = [] if every is None else list(every)
        missing = [partition for partition in listed if partition not in named]
        if missing and None not in named:
            shown = ", ".join(missing[:SHOWN]) + (", …" if len(missing) > SHOWN else "")
            yield Finding("note", key, f"no file for {len(missing)} of {len(listed)} partitions: {shown}")
