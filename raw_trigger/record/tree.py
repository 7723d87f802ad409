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
from collections.abc import Sequence
from pathlib import Path

from raw_trigger.documents import MOST_JSON
from raw_trigger.errors import GitError
from raw_trigger.model.changes import FILE_MODE, Entry, show, to_bytes
from raw_trigger.model.record import Launch, Record, Reflected
from raw_trigger.record.data import DATA, FOLDER, damaged
from raw_trigger.record.data import entries_at as data_at
from raw_trigger.record.texts import (
    ASSUMED,
    CODE,
    EXCEPTIONS,
    INSTANCE,
    LAUNCHES,
    OWN,
    RULES,
    TEXTS,
    launch_of,
    read_exception,
    read_launch,
    read_line,
    read_rules,
)
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.trees import TREE_MODE, found_at, rewrite

PREFIX = "refs/raw-trigger/"
_READ: dict[tuple[Path, str], Record] = {}
"""What was read of trees, by their ids: one command asks for the same record a dozen times."""
_READ_AT_MOST = 8


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


def raw_tree(repo: Repository, tree: str, roots: Sequence[str]) -> str:
    """Returns a tree with nothing of ``tree`` but its raw roots, under their full paths."""
    if "." in roots:
        return rewrite(repo, tree, {FOLDER.encode(): None})
    edits: dict[bytes, Entry | None] = dict(found_at(repo, tree, map(to_bytes, roots)))
    return rewrite(repo, repo.empty_tree, edits)


def at(repo: Repository, record: Record, paths: Sequence[bytes]) -> dict[bytes, Entry]:
    """Returns what is recorded at these paths, whether git or DVC has it there."""
    there = diff.entries_at(repo, record.tree, paths)
    return there if record.data is None else {**data_at(repo, record.tree, paths), **there}
