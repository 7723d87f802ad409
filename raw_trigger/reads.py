"""Keeps what targets read when they were last made, beside the project's catalog."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from raw_trigger.documents import load_json, read_bytes
from raw_trigger.install.atomic import replace_file
from raw_trigger.model.changes import show, to_bytes
from raw_trigger.model.outcome import Reads, TargetOutcome
from raw_trigger.model.plan import Target
from raw_trigger.repo.repository import Repository

VERSION = 1
FILE = "reads.json"
MOST_PATHS = 200_000
"""The most paths that are kept: a few tens of megabytes. The targets made longest ago are dropped first."""
_ARGUMENTS = 400


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
