"""Compares what was read with what the rules say. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from raw_trigger.mapping.rules import RuleBook
from raw_trigger.model.changes import show
from raw_trigger.model.outcome import Reads, TargetOutcome
from raw_trigger.model.plan import Plan, Target
from raw_trigger.planning.lineage import Lineage

MOST_WARNINGS = 5
_MOST_PATHS = 3

Missed = Mapping[tuple[str, ...], tuple[bytes, ...]]
"""Asset keys, those of one function together → the files that they read without a rule."""


def fed_by(rules: RuleBook, path: bytes, downstream: str | int) -> frozenset[str] | None:
    """Returns the assets that a change of the path starts.

    None if that is unknown or does not matter: the path is ignored by a rule of the file, or launches a job.
    """
    match = rules.match(path)
    if match is None:
        return frozenset()
    if match.ignore or any(target.job is not None for target in match.targets):
        return None
    lineage = Lineage(rules.catalog, downstream)
    return frozenset(one.asset for target in match.targets for one in lineage.made_from(target))


def by_step(outcomes: Iterable[TargetOutcome]) -> list[tuple[tuple[str, ...], list[Reads]]]:
    """Returns the assets that each step of a run made, and what it read."""
    steps: dict[tuple[str | None, str], tuple[dict[str, None], list[Reads]]] = {}
    for outcome in outcomes:
        if outcome.reads is not None:
            assets, reads = steps.setdefault((outcome.run_id, outcome.reads.step), ({}, []))
            assets[outcome.target.asset] = None
            reads.append(outcome.reads)
    return [(tuple(assets), reads) for assets, reads in steps.values()]


def missed(outcomes: Iterable[TargetOutcome], rules: RuleBook, downstream: str | int) -> Missed:
    """Returns the edges that the rules miss: files that a step read and that feed none of its assets.

    Only what the step's own process read counts: of other reads it is unknown for which asset they were.
    """
    found: dict[tuple[str, ...], set[bytes]] = {}
    known: dict[bytes, frozenset[str] | None] = {}
    for assets, reads in by_step(outcomes):
        for path in (path for one in reads for path in one.files):
            if path not in known:
                known[path] = fed_by(rules, path, downstream)
            fed = known[path]
            if fed is not None and fed.isdisjoint(assets):
                found.setdefault(assets, set()).add(path)
    return {assets: tuple(sorted(paths)) for assets, paths in found.items()}


def unopened(
    plan: Plan,
    outcomes: Mapping[Target, TargetOutcome],
    rules: RuleBook,
    is_plain: Callable[[bytes], bool | None],
) -> dict[Target, tuple[bytes, ...]]:
    """Returns the targets that succeeded although their step opened none of their files, with these files.

    The code may read another checkout. A target is left out if a file can have been read unseen: by another
    process, while the project was loaded, through a link, or by its name alone.

    Args:
        is_plain: Says whether the path is a file of this very name, whose opening would be seen; None if it
            is gone.
    """
    opened: set[bytes] = set()
    for reads in (one.reads for one in outcomes.values() if one.reads is not None):
        opened.update(reads.files, reads.unsure, reads.around)
    fed: dict[bytes, frozenset[str]] = {}

    def feeds(path: bytes, asset: str) -> bool:
        if path not in fed:
            match = rules.match(path)
            fed[path] = frozenset(target.asset for target in match.targets) if match else frozenset()
        return asset in fed[path]

    found = {}
    for planned in plan.targets:
        outcome = outcomes.get(planned.target)
        read = None if outcome is None or outcome.status != "success" else outcome.reads
        asset = None if rules.catalog is None else rules.catalog.assets.get(planned.target.asset)
        # An observation may look only at a file's time stamp.
        if asset is None or asset.kind != "materializable" or read is None or not read.complete:
            continue
        own = tuple(path for path in planned.paths if feeds(path, planned.target.asset))
        kinds = {path: is_plain(path) for path in own}
        there = tuple(path for path, kind in kinds.items() if kind)
        listed = {path.rpartition(b"/")[0] for path in there}.intersection(read.folders)
        others = (path for path in (*read.files, *read.unsure) if feeds(path, planned.target.asset))
        if (
            there
            and False not in kinds.values()
            and not listed
            and opened.isdisjoint(there)
            and not any(others)
        ):
            found[planned.target] = there
    return found


def unread(paths: Sequence[bytes]) -> str:
    """Returns a sentence that says that a target did not read these files."""
    more = len(paths) - _MOST_PATHS
    names = ", ".join(map(show, paths[:_MOST_PATHS])) + (f" and {more} more" if more > 0 else "")
    none = "it" if len(paths) == 1 else "any of them"
    return f"ran but did not open {names}, so it is not recorded as made from {none}"


def unopened_warnings(found: Mapping[Target, tuple[bytes, ...]]) -> list[str]:
    """Returns one sentence for each of the first few such targets."""
    told = [
        f"`{target.text}` {unread(paths)}: does its code read another folder?"
        " `raw-trigger adopt --path` records files that need not be opened"
        for target, paths in list(found.items())[:MOST_WARNINGS]
    ]
    rest = len(found) - MOST_WARNINGS
    return told + ([f"{rest} more never opened their files and are not recorded"] if rest > 0 else [])


def warnings(found: Missed, visible: Callable[[Sequence[bytes]], set[bytes]]) -> list[str]:
    """Returns one sentence for each of the first few functions that read files which do not feed them.

    Args:
        visible: Returns which of some paths git sees: a change of any other goes unnoticed, whatever the
            rules.
    """
    if not found:
        return []
    seen = visible(sorted({path for paths in found.values() for path in paths}))
    told = []
    for assets, paths in found.items():
        shown = [show(path) for path in paths if path in seen]
        if shown:
            more = len(shown) - _MOST_PATHS
            names = ", ".join(shown[:_MOST_PATHS]) + (f" and {more} more" if more > 0 else "")
            who = "`, `".join(assets[:_MOST_PATHS]) + ("` …" if len(assets) > _MOST_PATHS else "`")
            does, it = "does" if len(shown) == 1 else "do", "it" if len(assets) == 1 else "them"
            told.append(
                f"`{who} read {names}, which {does} not feed {it} by any rule: add a rule, or run"
                " `raw-trigger learn --watch-runs`"
            )
    rest = len(told) - MOST_WARNINGS
    return told[:MOST_WARNINGS] + ([f"{rest} more read files that do not feed them"] if rest > 0 else [])
