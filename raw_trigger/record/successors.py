"""The tree that comes after a record, once somebody came to know something. No ref is moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from raw_trigger.model.changes import DVC_MODE, FILE_MODE, SUBMODULE_MODE, Entry
from raw_trigger.model.record import UNKNOWN, Fed, Launch, Learnt, Record, Reflected, Results
from raw_trigger.record.data import Edits, place, placed
from raw_trigger.record.texts import (
    ASSUMED,
    CODE,
    CONTENTS,
    INSTANCE,
    LAUNCHES,
    RULES,
    exception_path,
    exception_text,
    launch_text,
)
from raw_trigger.record.tree import at
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.trees import rewrite, stored


class PointerFiles(Protocol):
    """Keeps the pointer files of a record in step with its data: each has all the data that it names."""

    def watched(self, tree: str) -> Sequence[str]:
        """Returns the raw roots, and the pointer files beside and above them that the tree has."""

    def points(self, path: bytes, *versions: Entry | None) -> bool:
        """Says whether the path is that of a pointer file in one of these versions."""

    def followed(self, tree: str, moved: Edits, wanted: Edits) -> Edits:
        """Returns further edits of a recorded tree that are needed after these files have changed."""


def begun(
    repo: Repository,
    old: Record,
    launch_id: str,
    launch: Launch,
    instance: str | None = None,
    unknown: Fed = MappingProxyType({}),
) -> str:
    """Returns the tree that :func:`raw_trigger.record.moving.begin` makes of the record ``old``.

    Args:
        unknown: Targets of paths of which nobody knows what they reflect, whatever becomes of the launch.
    """
    new = old.forgetting(unknown).launching(launch_id, launch)
    return rewrite(repo, old.tree, _own_edits(repo, old, replace(new, instance=instance or old.instance)))


def promoted(
    repo: Repository,
    old: Record,
    results: Results,
    *,
    pointer_files: PointerFiles | None = None,
    assume: bool = False,
) -> str:
    """Returns the tree that :func:`raw_trigger.record.moving.promote` makes of the record ``old``."""
    recorded = at(repo, old, list(results.learnt))
    pointers = {
        path: one.entry
        for path, one in results.learnt.items()
        if pointer_files is not None and pointer_files.points(path, one.entry, recorded.get(path))
    }
    learnt = {path: one for path, one in results.learnt.items() if path not in pointers}
    places = {place(path): path for path in learnt} | {path: path for path in learnt}
    left_out: set[bytes] = set()
    while True:
        files = replace(results, learnt=learnt)
        new, moved = old.after(files, recorded)
        edits = _own_edits(repo, old, new) | placed(repo, moved, beside=old.data is not None)
        is_data = any(one is not None and one.mode == DVC_MODE for one in moved.values())
        is_about_data = pointers or is_data or (moved and old.data is not None)
        if pointer_files is not None and is_about_data:
            edits |= pointer_files.followed(old.tree, moved, pointers)
        edits |= _assumptions(repo, old, files, moved, assume=assume)
        tree = rewrite(repo, old.tree, edits, left_out)
        blocked = {places[path] for path in left_out if path in places}
        if not any(learnt[path].targets for path in blocked):
            return tree
        # A file cannot stand where a folder stays, nor below a file: single targets reflect it all the same.
        learnt |= {path: _apart(learnt[path]) for path in blocked}
        left_out.clear()


def _apart(learnt: Learnt) -> Learnt:
    return replace(learnt, targets=None, reflects=dict.fromkeys(learnt.targets or (), learnt.entry))


def _own_edits(repo: Repository, old: Record, new: Record) -> dict[bytes, Entry | None]:
    """What changes in our own folder of the tree."""
    edits: dict[bytes, Entry | None] = {}
    texts: dict[bytes, str] = {}
    for path in old.kept.keys() | new.kept.keys():
        told = new.kept.get(path, {})
        if not told:
            edits[exception_path(path)] = None
        elif told != old.kept.get(path, {}):
            texts[exception_path(path)] = exception_text(path, told)
    for launch_id in old.launches.keys() | new.launches.keys():
        name = f"{LAUNCHES}/{launch_id}.json".encode()
        launch = new.launches.get(launch_id)
        if launch is None:
            edits[name] = None
        elif launch != old.launches.get(launch_id):
            texts[name] = launch_text(launch)
    if new.rules is not None and new.rules != old.rules:
        texts[RULES.encode()] = new.rules
    if new.instance is not None and new.instance != old.instance:
        texts[INSTANCE.encode()] = new.instance + "\n"
    if new.code is not None and new.code != old.code:
        texts[CODE.encode()] = new.code + "\n"
    return edits | _contents(repo, old.kept, new.kept) | stored(repo, texts)


def _assumptions(
    repo: Repository, old: Record, results: Results, moved: Mapping[bytes, Entry | None], *, assume: bool
) -> dict[bytes, Entry | None]:
    """What changes among the assumed files: one goes once everything was made from it, or it moved on."""
    if assume:
        now = moved
    elif old.assumed is None:
        return {}
    else:
        made = {path for path, one in results.learnt.items() if one.ran}
        # What differs in nothing that counts takes nothing away from what was said of it.
        same = {path for path, one in results.learnt.items() if one.differs_in_nothing} - made
        gone = (path for path, entry in moved.items() if entry is None or path not in same)
        now = dict.fromkeys([*gone, *made])
    placed_now = placed(repo, now, beside=old.data is not None)
    return {f"{ASSUMED}/".encode() + path: entry for path, entry in placed_now.items()}


def _contents(
    repo: Repository, before: Mapping[bytes, Reflected], after: Mapping[bytes, Reflected]
) -> dict[bytes, Entry | None]:
    """What keeps the contents of exceptions from being collected as garbage: they may be in no other tree."""
    was, now = _oids(before), _oids(after)
    edits: dict[bytes, Entry | None] = {f"{CONTENTS}/{oid}".encode(): None for oid in was - now}
    new = sorted(now - was)
    if not new:
        return edits
    here = (found.oid for found in repo.objects.look(*new) if found is not None and found.kind == "blob")
    return edits | {f"{CONTENTS}/{oid}".encode(): Entry(FILE_MODE, oid) for oid in here}


def _oids(exceptions: Mapping[bytes, Reflected]) -> set[str]:
    """The contents that are objects of this repository: neither DVC's nor a submodule's."""
    told = {entry for reflected in exceptions.values() for entry in reflected.values() if entry is not None}
    return {entry.oid for entry in told if entry != UNKNOWN and entry.mode not in (DVC_MODE, SUBMODULE_MODE)}
