"""The recorded tree: what the assets of an environment reflect, as a git tree behind one ref.

``refs/raw-trigger/<environment>`` points straight at a tree that holds the raw files, under
their full paths, as they were last materialized. Beside them, in ``.raw-trigger/``, stand the
exceptions, one small file for each path whose targets reflect different contents, these contents,
the launches whose outcome is not known, the rules in force with the code and the Dagster instance
that they are about, the data that DVC has, and once more those raw files of which it is only
assumed that they were materialized. Moving the ref is one compare-and-swap.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from raw_trigger.documents import MOST_JSON
from raw_trigger.errors import ROOM, GitError, RecordError
from raw_trigger.model.changes import DVC_MODE, FILE_MODE, SUBMODULE_MODE, Entry, show, to_bytes
from raw_trigger.model.record import UNKNOWN, Fed, Launch, Learnt, Record, Reflected, Results
from raw_trigger.record.data import DATA, FOLDER, Edits, damaged, edit, place, placed
from raw_trigger.record.data import entries_at as data_at
from raw_trigger.record.texts import (
    ASSUMED,
    CODE,
    CONTENTS,
    EXCEPTIONS,
    INSTANCE,
    LAUNCHES,
    OWN,
    RULES,
    TEXTS,
    exception_path,
    exception_text,
    is_own,
    launch_of,
    launch_text,
    read_exception,
    read_launch,
    read_line,
    read_rules,
)
from raw_trigger.repo import diff
from raw_trigger.repo.git import words
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.trees import TREE_MODE, found_at, rewrite, stored

PREFIX = "refs/raw-trigger/"
_READ: dict[tuple[Path, str], Record] = {}
"""What was read of trees, by their ids: one command asks for the same record a dozen times."""
_READ_AT_MOST = 8
_TRIES = 50
_PAUSE = 0.05
"""Seconds between two tries, at most: another promotion takes about as long."""


class PointerFiles(Protocol):
    """Keeps the pointer files of a record in step with its data: each has all the data that it names."""

    def watched(self, tree: str) -> Sequence[str]:
        """Returns the raw roots, and the pointer files beside and above them that the tree has."""

    def points(self, path: bytes, *versions: Entry | None) -> bool:
        """Says whether the path is that of a pointer file in one of these versions."""

    def followed(self, tree: str, moved: Edits, wanted: Edits) -> Edits:
        """Returns further edits of a recorded tree that are needed after these files have changed."""


def read(repo: Repository, environment: str) -> Record | None:
    """Returns what is recorded for the environment; None if nothing is.

    Raises:
        RecordError: the ref is there but names no recorded tree.
    """
    ref = PREFIX + environment
    # Twice, because another command may have recorded the first one after it was looked for.
    for _ in range(2):
        found = _read(repo, ref)
        if found is not None:
            return found
        exists = repo.git.attempt("show-ref", "--verify", "--quiet", ref).returncode == 0
        if not exists and not os.path.lexists(repo.common_dir / ref):
            return None
    raise damaged(ref, "does not name a tree of this repository")


def read_tree(repo: Repository, tree: str) -> Record | None:
    """Returns what a recorded tree says that no ref names; None if it is not here.

    Raises:
        RecordError: it is no recorded tree.
    """
    return _read(repo, tree)


def _read(repo: Repository, name: str) -> Record | None:
    [named] = repo.objects.look(name)
    if named is None or named.kind != "tree":
        return None
    tree = named.oid
    known = _READ.get((repo.common_dir, tree))
    if known is not None:
        return known
    try:
        found = _READ[repo.common_dir, tree] = _understood(repo, tree)
    except (GitError, ValueError) as error:
        said = error.message if isinstance(error, GitError) else str(error)
        raise damaged(name, f"cannot be read: {said}") from error
    while len(_READ) > _READ_AT_MOST:
        del _READ[next(iter(_READ))]
    return found


def _understood(repo: Repository, tree: str) -> Record:
    """The record of a tree that may come from anybody.

    Raises:
        ValueError: it is damaged, or a newer version's; the text says where.
        GitError: git cannot read it.
    """
    own = _own_entries(repo, tree)
    texts = [own[path] for path in TEXTS if path in own]
    files: dict[bytes, Entry] = {}
    for path in (EXCEPTIONS.encode(), LAUNCHES.encode()):
        if path in own:
            files |= _below(repo, path, own[path])
    for path, entry in files.items():
        if entry.mode != FILE_MODE:
            raise ValueError(f"{show(path)} has the mode {entry.mode}")
    blobs = [entry.oid for entry in (*texts, *files.values())]
    if sum(_sizes(repo, blobs)) > MOST_JSON:
        raise ValueError(f"what is in {FOLDER} is larger than {MOST_JSON >> 20} MB")
    read = iter(repo.objects.contents(blobs))
    told = {path: next(read) for path in TEXTS if path in own}
    exceptions: dict[bytes, Reflected] = {}
    launches: dict[str, Launch] = {}
    for path, text in zip(files, read, strict=True):
        try:
            if path.startswith(EXCEPTIONS.encode()):
                about, reflected = read_exception(path, text)
                exceptions[about] = reflected
            else:
                launch_id = launch_of(path)
                launches[launch_id] = read_launch(text)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{show(path)}: {error}") from error
    rules, data, assumed = (own.get(name.encode()) for name in (RULES, DATA, ASSUMED))
    return Record(
        tree,
        exceptions,
        None if rules is None else read_rules(told[RULES.encode()]),
        launches,
        read_line(INSTANCE, told),
        None if data is None else data.oid,
        None if assumed is None else assumed.oid,
        code=read_line(CODE, told),
    )


def _own_entries(repo: Repository, tree: str) -> dict[bytes, Entry]:
    """What is in our own folder of a recorded tree.

    Raises:
        ValueError: it is nothing that this version writes.
    """
    name = FOLDER.encode()
    folder = repo.objects.tree(tree, (name,)).get(name)
    if folder is not None and folder.mode != TREE_MODE:
        raise ValueError(f"{FOLDER} is no folder")
    own = {} if folder is None else _below(repo, name, folder)
    for path, entry in own.items():
        if path not in OWN:
            said = "is not known to this version of raw-trigger; is there a newer one?"
            raise ValueError(f"{show(path)} {said}")
        if entry.mode != (FILE_MODE if path in TEXTS else TREE_MODE):
            raise ValueError(f"{show(path)} has the mode {entry.mode}")
    return own


def _below(repo: Repository, path: bytes, folder: Entry) -> dict[bytes, Entry]:
    """What is in a folder, not below it."""
    return {path + b"/" + name: entry for name, entry in repo.objects.tree(folder.oid).items()}


def _sizes(repo: Repository, blobs: Sequence[str]) -> list[int]:
    """How many bytes these contents have.

    Raises:
        ValueError: one is not here.
    """
    sizes = []
    for oid, found in zip(blobs, repo.objects.look(*blobs), strict=True):
        if found is None:
            raise ValueError(f"the object {oid} is missing")
        sizes.append(found.size)
    return sizes


def environments(repo: Repository) -> dict[str, str]:
    """Returns every recorded environment and its tree's id."""
    out = repo.git.run("for-each-ref", "--format=%(refname) %(objectname)", PREFIX)
    pairs = (show(line).split(" ") for line in out.splitlines())
    return {ref.removeprefix(PREFIX): oid for ref, oid in pairs}


def _is_content(path: bytes) -> bool:
    """Whether a path of the recorded tree is one of its files, or of DVC's data."""
    return not is_own(path) or path.startswith(f"{DATA}/".encode())


def raw_tree(repo: Repository, tree: str, roots: Sequence[str]) -> str:
    """Returns a tree with nothing of ``tree`` but its raw roots, under their full paths."""
    if "." in roots:
        return rewrite(repo, tree, {FOLDER.encode(): None})
    edits: dict[bytes, Entry | None] = dict(found_at(repo, tree, map(to_bytes, roots)))
    return rewrite(repo, repo.empty_tree, edits)


def adopt(
    repo: Repository,
    environment: str,
    tree: str,
    rules: str,
    old: Record | None,
    data: Mapping[bytes, Entry] = MappingProxyType({}),
    instance: str | None = None,
) -> bool:
    """Records a whole tree as what everything is assumed to reflect.

    Args:
        tree: Holds the raw files only.
        rules: The rules in force, as text: what they newly feed later on is pending then.
        old: The record that it takes the place of.
        data: What DVC has: see :meth:`raw_trigger.dvc.tracked.Tracked.to_record`.
        instance: The Dagster instance whose assets do; None: not known.

    Returns:
        Whether it is recorded; False: others have moved the ref meanwhile.

    Raises:
        RecordError: the ref cannot be written.
    """
    width = len(repo.empty_tree)
    if data:
        tree = rewrite(repo, tree, dict(edit(path, entry, width) for path, entry in data.items()))
    texts = {RULES.encode(): rules}
    if instance is not None:
        texts[INSTANCE.encode()] = instance + "\n"
    # What others make meanwhile comes after whatever is said now.
    left = {} if old is None else {key: one for key, one in old.launches.items() if one.submitted}
    texts |= {f"{LAUNCHES}/{key}.json".encode(): launch_text(one) for key, one in left.items()}
    edits = stored(repo, texts)
    assumed = tree if old is None else _assumed_beside(repo, tree, old)
    if assumed != repo.empty_tree:
        edits[ASSUMED.encode()] = Entry(TREE_MODE, assumed)
    return _move(repo, environment, rewrite(repo, tree, edits), old)


def _assumed_beside(repo: Repository, tree: str, old: Record) -> str:
    """The files of ``tree`` that are assumed once it takes the place of ``old``: what ran did run."""
    changes = diff.between_trees(repo, old.tree, tree, ())
    edits = {change.path: change.new for change in changes if _is_content(change.path)}
    doubtful = list(old.doubtful)
    edits |= placed(repo, data_at(repo, tree, doubtful), beside=False)
    edits |= diff.entries_at(repo, tree, doubtful)
    return rewrite(repo, old.assumed or repo.empty_tree, edits)


def promote(
    repo: Repository,
    environment: str,
    results: Results,
    *,
    pointer_files: PointerFiles | None = None,
    only_on: str | None = None,
    assume: bool = False,
) -> bool:
    """Records what somebody came to know.

    Args:
        pointer_files: Needed where some of the paths are DVC's, or its files.
        only_on: The recorded tree that this is about; nothing is recorded on any other. None: what others
            have recorded meanwhile is kept beside it.
        assume: Nothing ran: somebody said that the targets reflect this.

    Returns:
        Whether it is recorded.

    Raises:
        RecordError: it cannot be written, others moved it again and again, or it is there no more.
    """

    def after(old: Record) -> str:
        return promoted(repo, old, results, pointer_files=pointer_files, assume=assume)

    return _moved_by(repo, environment, after, only_on)


def kept_contents(repo: Repository, learnt: Mapping[bytes, Learnt]) -> dict[bytes, Learnt]:
    """Returns what was learnt once the contents that only the disk has are in the object database.

    Of a file that is another one by now nobody knows what its targets reflect.
    """
    stored = diff.store(repo, {path: one.entry for path, one in learnt.items() if one.targets is not None})
    return {
        path: one if one.targets is None or path in stored else Learnt.unknown(one.reflects)
        for path, one in learnt.items()
    }


def begin(repo: Repository, environment: str, launch_id: str, launch: Launch, instance: str | None) -> None:
    """Records that nobody knows what the targets of a launch reflect, before it begins.

    Args:
        instance: The Dagster instance that it is for; None: not known.

    Raises:
        RecordError: it cannot be written, or others moved it again and again.
    """
    _moved_by(repo, environment, lambda old: begun(repo, old, launch_id, launch, instance))


def begun(
    repo: Repository,
    old: Record,
    launch_id: str,
    launch: Launch,
    instance: str | None = None,
    unknown: Fed = MappingProxyType({}),
) -> str:
    """Returns the tree that :func:`begin` makes of the record ``old``. No ref is moved.

    Args:
        unknown: Targets of paths of which nobody knows what they reflect, whatever becomes of the launch.
    """
    new = old.forgetting(unknown).launching(launch_id, launch)
    return rewrite(repo, old.tree, _own_edits(repo, old, replace(new, instance=instance or old.instance)))


def _moved_by(
    repo: Repository, environment: str, after: Callable[[Record], str], only_on: str | None = None
) -> bool:
    """Moves the record to the tree that is made of it, however often others move it meanwhile.

    Args:
        only_on: The recorded tree that is moved; no other one is. None: any.
    """
    for _ in range(_TRIES):
        old = read(repo, environment)
        if only_on is not None and (old is None or old.tree != only_on):
            return False
        if old is None:
            raise no_more(environment)
        if _move(repo, environment, after(old), old):
            return True
        time.sleep(random.uniform(0, _PAUSE))
    lock = repo.common_dir / f"{PREFIX}{environment}.lock"
    if lock.exists():
        raise RecordError(
            f"git cannot move {PREFIX}{environment}: {lock} is there",
            "if no git command is at work here, one was killed: delete that file",
        )
    raise RecordError(
        f"{PREFIX}{environment} is being moved by others all the time", "run `raw-trigger run` again"
    )


def no_more(environment: str) -> RecordError:
    """Returns the error of a record that somebody has deleted meanwhile."""
    return RecordError(
        f"nothing is recorded for '{environment}' any more",
        "run everything with `raw-trigger run --all`, or record with `raw-trigger adopt REV`",
    )


def promoted(
    repo: Repository,
    old: Record,
    results: Results,
    *,
    pointer_files: PointerFiles | None = None,
    assume: bool = False,
) -> str:
    """Returns the tree that :func:`promote` makes of the record ``old``. No ref is moved."""
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


def at(repo: Repository, record: Record, paths: Sequence[bytes]) -> dict[bytes, Entry]:
    """Returns what is recorded at these paths, whether git or DVC has it there."""
    there = diff.entries_at(repo, record.tree, paths)
    return there if record.data is None else {**data_at(repo, record.tree, paths), **there}


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


def _move(repo: Repository, environment: str, new: str, old: Record | None) -> bool:
    """Move the ref from ``old`` to the tree ``new``; False if it stands elsewhere by now."""
    if old is not None and old.tree == new:
        return True
    ref = PREFIX + environment
    refused = repo.refs.move(ref, new, None if old is None else old.tree)
    if refused is None:
        return True
    if b"File exists" in refused:
        # Another promotion has the ref's lock file at this very moment.
        return False
    now = read(repo, environment)
    if (now.tree if now else None) != (old.tree if old else None):
        return False
    raise RecordError(f"{ref} cannot be written: {words(refused)}", ROOM)
