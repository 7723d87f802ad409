"""Compares what targets read with what the rules say, and keeps it, beside the project's catalog."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from raw_trigger.documents import load_json, read_bytes
from raw_trigger.install.atomic import replace_file
from raw_trigger.mapping.rules import RuleBook
from raw_trigger.model.changes import show, to_bytes
from raw_trigger.model.outcome import Reads, TargetOutcome
from raw_trigger.model.plan import Plan, Target
from raw_trigger.model.text import sample
from raw_trigger.planning.lineage import Lineage
from raw_trigger.repo.repository import Repository

VERSION = 1
FILE = "reads.json"
MOST_PATHS = 200_000
"""The most paths that are kept: a few tens of megabytes. The targets made longest ago are dropped first."""
_ARGUMENTS = 400
_MOST_WARNINGS = 5
_MOST_NAMED = 3
Missed = Mapping[tuple[str, ...], tuple[bytes, ...]]
"""Asset keys, those of one function together → the files that they read without a rule."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Holds what a target read, and the assets that the same step made.

    ``together`` are the partitions that the step made at once: it is unknown for which of them a file was
    read. ``partial`` says that the step failed, so that it may read more.
    """

    target: Target
    assets: tuple[str, ...]
    reads: Reads
    together: tuple[str, ...] = ()
    partial: bool = False


def readings(outcomes: Iterable[TargetOutcome]) -> list[Reading]:
    """Returns what was read for each target that was made, or that failed."""
    steps: dict[tuple[str | None, str], dict[str, None]] = {}
    ranges: dict[tuple[str | None, str], dict[str, None]] = {}
    made = [one for one in outcomes if one.reads is not None and one.status in ("success", "failed")]
    for one in made:
        assert one.reads is not None
        steps.setdefault((one.run_id, one.reads.step), {})[one.target.asset] = None
        if one.target.partition is not None:
            ranges.setdefault((one.run_id, one.reads.step), {})[one.target.partition] = None
    found = []
    for one in made:
        assert one.reads is not None
        step = one.run_id, one.reads.step
        together = tuple(ranges.get(step, ())) if len(ranges.get(step, ())) > 1 else ()
        reads = replace(one.reads, around=())
        found.append(Reading(one.target, tuple(steps[step]), reads, together, partial=one.status == "failed"))
    return found


def recall(folder: Path) -> list[Reading]:
    """Returns what every target read when it was last made here, those made longest ago first.

    Args:
        folder: The folder of the project's catalog.
    """
    try:
        document = load_json(read_bytes(folder / FILE))
        if document["version"] != VERSION:
            return []
        return [
            Reading(
                Target(one["asset"], one["partition"]),
                tuple(one["assets"]),
                _reads(one),
                tuple(one["together"]),
                bool(one.get("partial")),
            )
            for one in document["targets"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def remember(folder: Path, new: Sequence[Reading]) -> None:
    """Stores readings in place of earlier ones of the same targets; of failed ones in addition to them.

    Only people use it, so an error of the disk is ignored.
    """
    if not new:
        return
    known = {one.target: one for one in recall(folder)}
    if all(known.get(one.target) == one for one in new):
        return
    for one in new:
        before = known.pop(one.target, None)
        known[one.target] = one if before is None or not one.partial else _joined(before, one)
    kept, room = [], MOST_PATHS
    for one in reversed(known.values()):
        room -= len(one.reads.files) + len(one.reads.unsure) + len(one.reads.folders)
        if room < 0:
            break
        kept.append(one)
    document = {"version": VERSION, "targets": [_as_json(one) for one in reversed(kept)]}
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / FILE, json.dumps(document).encode() + b"\n", 0o644)


def _joined(one: Reading, other: Reading) -> Reading:
    files, unsure, folders = (
        tuple(sorted({*getattr(one.reads, kind), *getattr(other.reads, kind)}))
        for kind in ("files", "unsure", "folders")
    )
    reads = replace(one.reads, files=files, unsure=unsure, folders=folders)
    return replace(one, reads=reads)


def visible(repo: Repository, paths: Sequence[bytes]) -> set[bytes]:
    """Returns the paths that git knows or does not ignore."""
    found: set[bytes] = set()
    for at in range(0, len(paths), _ARGUMENTS):
        some = paths[at : at + _ARGUMENTS]
        out = repo.git.run("ls-files", "-z", "-c", "-o", "--exclude-standard", "--", *some, index=True)
        found.update(out.split(b"\0")[:-1])
    return found & set(paths)


def _as_json(one: Reading) -> dict[str, object]:
    reads = one.reads
    return {
        "asset": one.target.asset,
        "partition": one.target.partition,
        "assets": list(one.assets),
        "together": list(one.together),
        "partial": one.partial,
        "step": reads.step,
        "files": [show(path) for path in reads.files],
        "unsure": [show(path) for path in reads.unsure],
        "folders": [show(path) for path in reads.folders],
        "complete": reads.complete,
    }


def _reads(one: Mapping[str, list[str]]) -> Reads:
    files, unsure, folders = (tuple(map(to_bytes, one[kind])) for kind in ("files", "unsure", "folders"))
    return Reads(str(one["step"]), files, unsure, folders, bool(one["complete"]))


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
    names = sample([show(path) for path in paths], _MOST_NAMED)
    none = "it" if len(paths) == 1 else "any of them"
    return f"ran but did not open {names}, so it is not recorded as made from {none}"


def unopened_warnings(found: Mapping[Target, tuple[bytes, ...]]) -> list[str]:
    """Returns one sentence for each of the first few such targets."""
    told = [
        f"`{target.text}` {unread(paths)}: does its code read another folder?"
        " `raw-trigger adopt --path` records files that need not be opened"
        for target, paths in list(found.items())[:_MOST_WARNINGS]
    ]
    rest = len(found) - _MOST_WARNINGS
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
            names = sample(shown, _MOST_NAMED)
            who = "`, `".join(assets[:_MOST_NAMED]) + ("` …" if len(assets) > _MOST_NAMED else "`")
            does, it = "does" if len(shown) == 1 else "do", "it" if len(assets) == 1 else "them"
            told.append(
                f"`{who} read {names}, which {does} not feed {it} by any rule: add a rule, or run"
                " `raw-trigger learn --watch-runs`"
            )
    rest = len(told) - _MOST_WARNINGS
    return told[:_MOST_WARNINGS] + ([f"{rest} more read files that do not feed them"] if rest > 0 else [])
