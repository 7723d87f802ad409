"""Moves the recorded tree: what somebody came to know is one compare-and-swap of its ref."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from raw_trigger.errors import ROOM, RecordError
from raw_trigger.model.changes import Entry
from raw_trigger.model.record import Launch, Learnt, Record, Results
from raw_trigger.record.data import DATA, edit, placed
from raw_trigger.record.data import entries_at as data_at
from raw_trigger.record.successors import PointerFiles, begun, promoted
from raw_trigger.record.texts import (
    ASSUMED,
    INSTANCE,
    LAUNCHES,
    RULES,
    is_own,
    launch_text,
)
from raw_trigger.record.tree import PREFIX, read
from raw_trigger.repo import diff
from raw_trigger.repo.git import words
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.trees import TREE_MODE, rewrite, stored

_TRIES = 50
_PAUSE = 0.05
"""Seconds between two tries, at most: another promotion takes about as long."""


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


def _is_content(path: bytes) -> bool:
    """Whether a path of the recorded tree is one of its files, or of DVC's data."""
    return not is_own(path) or path.startswith(f"{DATA}/".encode())


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
