"""The recorded tree: what the assets of an environment reflect, as a git tree behind one ref.

``refs/raw-trigger/<environment>`` points straight at a tree that holds the raw files, under
their full paths, as they were last materialized. Beside them, in ``.raw-trigger/``, stand the
exceptions, one small file for each path whose targets reflect different contents, these contents,
the rules in force, the data that DVC has, and once more those raw files of which it is only
assumed that they were materialized. Moving the ref is one compare-and-swap.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from raw_trigger.documents import MOST_JSON, load_json
from raw_trigger.errors import ROOM, GitError, RecordError
from raw_trigger.mapping.rules import takes_over
from raw_trigger.model.changes import DVC_MODE, Entry, is_below, show, to_bytes
from raw_trigger.model.record import Record, Reflected, Verdict, is_content
from raw_trigger.repo import diff
from raw_trigger.repo.dvc_entries import DATA, FOLDER, damaged, edit
from raw_trigger.repo.dvc_entries import entries_at as data_at
from raw_trigger.repo.git import quoted, words
from raw_trigger.repo.pointer_files import followed, placed, points
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.tracked import Tracked
from raw_trigger.repo.trees import TREE_MODE, rewrite

PREFIX = "refs/raw-trigger/"
_EXCEPTIONS = f"{FOLDER}/exceptions"
_CONTENTS = f"{FOLDER}/contents"
_RULES = f"{FOLDER}/rules"
_ASSUMED = f"{FOLDER}/assumed"
_FILE = "100644"
_OWN = frozenset(name.encode() for name in (_EXCEPTIONS, _CONTENTS, _RULES, DATA, _ASSUMED))
"""What this version knows the meaning of; what else a record holds was written by a newer one."""
_CONTENT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{32}(\.dir)?")
"""An object's id, or one of DVC's."""
_TRIES = 50
_PAUSE = 0.05
"""Seconds between two tries, at most: another promotion takes about as long."""


def read(repo: Repository, environment: str) -> Record | None:
    """What is recorded for the environment; None if nothing is.

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
    """What a recorded tree says that no ref names; None if it is not here.

    Raises:
        RecordError: it is no recorded tree.
    """
    return _read(repo, tree)


def _read(repo: Repository, name: str) -> Record | None:
    out = repo.git.run("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=to_bytes(f"{name}\n"))
    tree, *kind = show(out).split()
    if kind != ["tree"]:
        return None
    try:
        return _understood(repo, tree)
    except (GitError, ValueError) as error:
        said = error.message if isinstance(error, GitError) else str(error)
        raise damaged(name, f"cannot be read: {said}") from error


def _understood(repo: Repository, tree: str) -> Record:
    """The record of a tree that may come from anybody.

    Raises:
        ValueError: it is damaged, or a newer version's; the text says where.
        GitError: git cannot read it.
    """
    own = _listed(repo, tree, FOLDER, f"{FOLDER}/")
    folder = own.pop(FOLDER.encode(), None)
    if folder is not None and folder.mode != TREE_MODE:
        raise ValueError(f"{FOLDER} is no folder")
    for path, entry in own.items():
        if path not in _OWN:
            said = "is not known to this version of raw-trigger; is there a newer one?"
            raise ValueError(f"{show(path)} {said}")
        if entry.mode != (_FILE if path == _RULES.encode() else TREE_MODE):
            raise ValueError(f"{show(path)} has the mode {entry.mode}")
    rules, exceptions = own.get(_RULES.encode()), own.get(_EXCEPTIONS.encode())
    files = {} if exceptions is None else _listed(repo, exceptions.oid)
    for path, entry in files.items():
        if entry.mode != _FILE:
            raise ValueError(f"{_EXCEPTIONS}/{show(path)} has the mode {entry.mode}")
    blobs = [entry.oid for entry in (*([rules] if rules else []), *files.values())]
    if sum(_sizes(repo, blobs)) > MOST_JSON:
        raise ValueError(f"what is in {FOLDER} is larger than {MOST_JSON >> 20} MB")
    texts = iter(diff.contents(repo.git, blobs))
    told = None if rules is None else _told_rules(next(texts))
    found = dict(_exception(path, text) for path, text in zip(files, texts, strict=True))
    data, assumed = own.get(DATA.encode()), own.get(_ASSUMED.encode())
    return Record(
        tree,
        found,
        told,
        data=None if data is None else data.oid,
        assumed=None if assumed is None else assumed.oid,
    )


def _listed(repo: Repository, tree: str, *paths: str) -> dict[bytes, Entry]:
    """What is in a folder, not below it; or at these paths."""
    asked = ("--", *paths) if paths else ()
    return dict(diff.listed(repo.git.run("ls-tree", "-z", "--full-tree", tree, *asked)))


def _sizes(repo: Repository, blobs: Sequence[str]) -> list[int]:
    """How many bytes these contents have.

    Raises:
        ValueError: one is not here.
    """
    asked = "".join(f"{oid}\n" for oid in blobs).encode()
    out = repo.git.run("cat-file", "--batch-check=%(objectsize)", stdin=asked) if blobs else b""
    found = out.splitlines()
    missing = next((oid for oid, size in zip(blobs, found, strict=True) if not size.isdigit()), None)
    if missing is not None:
        raise ValueError(f"the object {missing} is missing")
    return [int(size) for size in found]


def _told_rules(text: bytes) -> str:
    try:
        document = load_json(text)
        if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
            raise ValueError("it has no list of rules")  # noqa: TRY301, TRY004
        if document.get("version") != 1:
            raise ValueError(f"its version is {document.get('version')!r}, not 1")  # noqa: TRY301
        return text.decode()
    except ValueError as error:
        raise ValueError(f"{_RULES}: {error}") from error


def _exception(name: bytes, text: bytes) -> tuple[bytes, Reflected]:
    try:
        document = load_json(text)
        if not isinstance(document, dict) or document.keys() != {"path", "targets"}:
            raise ValueError("it is no object of a path and targets")  # noqa: TRY301
        path, targets = document["path"], document["targets"]
        if not isinstance(path, str) or not is_below(path) or is_own(to_bytes(path)):
            raise ValueError(f"{str(path)[:200]!r} is no path of a file")  # noqa: TRY301
        if _name(to_bytes(path)) != f"{_EXCEPTIONS}/".encode() + name:
            raise ValueError("it is about another path than it is named after")  # noqa: TRY301
        if not isinstance(targets, dict) or not all(map(_is_reflected, targets.values())):
            raise ValueError("its targets are no contents")  # noqa: TRY301
    except ValueError as error:
        raise ValueError(f"{_EXCEPTIONS}/{show(name)}: {error}") from error
    return to_bytes(path), targets


def _is_reflected(oid: object) -> bool:
    return oid is None or (isinstance(oid, str) and _CONTENT.fullmatch(oid) is not None)


def environments(repo: Repository) -> dict[str, str]:
    """Every recorded environment and its tree's id."""
    out = repo.git.run("for-each-ref", "--format=%(refname) %(objectname)", PREFIX)
    pairs = (show(line).split(" ") for line in out.splitlines())
    return {ref.removeprefix(PREFIX): oid for ref, oid in pairs}


def is_own(path: bytes) -> bool:
    """Whether a path of the recorded tree is no raw file."""
    return path.startswith(FOLDER.encode() + b"/")


def _is_content(path: bytes) -> bool:
    """Whether a path of the recorded tree is one of its files, or of DVC's data."""
    return not is_own(path) or path.startswith(f"{DATA}/".encode())


def raw_tree(repo: Repository, tree: str, roots: Sequence[str]) -> str:
    """A tree that holds nothing of ``tree`` but its raw roots, under their full paths."""
    if "." in roots:
        return rewrite(repo, tree, {FOLDER.encode(): None})
    out = repo.git.run("ls-tree", "-z", "--full-tree", tree, "--", *roots)
    edits: dict[bytes, Entry | None] = {}
    for record in out.split(b"\0")[:-1]:
        meta, path = record.split(b"\t", 1)
        mode, _, oid = meta.decode().split(" ")
        edits[path] = Entry(mode, oid)
    return rewrite(repo, repo.empty_tree, edits)


def adopt(
    repo: Repository,
    environment: str,
    tree: str,
    rules: str,
    old: Record | None,
    data: Mapping[bytes, Entry] = MappingProxyType({}),
) -> bool:
    """Record a whole tree as what everything is assumed to reflect; False if the ref was moved meanwhile.

    Args:
        tree: Holds the raw files only.
        rules: The rules in force, as text: what they newly feed later on is pending then.
        old: The record that it takes the place of.
        data: What DVC has: see :meth:`raw_trigger.repo.tracked.Tracked.to_record`.

    Raises:
        RecordError: the ref cannot be written.
    """
    width = len(repo.empty_tree)
    if data:
        tree = rewrite(repo, tree, dict(edit(path, entry, width) for path, entry in data.items()))
    edits: dict[bytes, Entry | None] = {_RULES.encode(): _store(repo, rules)}
    assumed = tree if old is None else _assumed_beside(repo, tree, old)
    if assumed != repo.empty_tree:
        edits[_ASSUMED.encode()] = Entry(TREE_MODE, assumed)
    return _move(repo, environment, rewrite(repo, tree, edits), old)


def _assumed_beside(repo: Repository, tree: str, old: Record) -> str:
    """The files of ``tree`` that are assumed once it takes the place of ``old``: what ran did run."""
    changes = diff.between_trees(repo, old.tree, tree, ())
    edits = {change.path: change.new for change in changes if _is_content(change.path)}
    edits |= placed(repo, data_at(repo, tree, list(old.exceptions)), beside=False)
    edits |= diff.entries_at(repo, tree, list(old.exceptions))
    return rewrite(repo, old.assumed or repo.empty_tree, edits)


def promote(
    repo: Repository,
    environment: str,
    verdicts: Mapping[bytes, Verdict],
    seen: Record | None = None,
    unsure: Mapping[bytes, Iterable[str]] = MappingProxyType({}),
    *,
    roots: Sequence[str] = (),
    only_on: str | None = None,
    assume: bool = False,
) -> bool:
    """Record what a run came to, path by path.

    Args:
        verdicts: For each path what its targets reflect now.
        seen: The record as it was planned with: its rules, and the exceptions that came in with them,
            are recorded too.
        unsure: For a path the targets of which nobody knows what they reflect of it.
        roots: The raw roots; needed where some of the paths are DVC's, or its files.
        only_on: The recorded tree that this is about; nothing is recorded on any other. None: what others
            have recorded meanwhile is kept beside it.
        assume: Nothing ran: somebody said that the targets reflect this.

    Returns:
        Whether it is recorded.

    Raises:
        RecordError: it cannot be written, others moved it again and again, or it is there no more.
    """
    for _ in range(_TRIES):
        old = read(repo, environment)
        if only_on is not None and (old is None or old.tree != only_on):
            return False
        if old is None:
            raise no_more(environment)
        new = promoted(repo, old, verdicts, seen, unsure, roots=roots, assume=assume)
        if new is None or _move(repo, environment, new, old):
            return True
        time.sleep(random.uniform(0, _PAUSE))
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
    verdicts: Mapping[bytes, Verdict],
    seen: Record | None = None,
    unsure: Mapping[bytes, Iterable[str]] = MappingProxyType({}),
    *,
    roots: Sequence[str] = (),
    assume: bool = False,
) -> str | None:
    """The tree that :func:`promote` makes of the record ``old``; None if nothing changes. No ref is moved."""
    recorded = at(repo, old, list(verdicts)) if verdicts else {}
    tracked = Tracked(repo, roots)
    pointers = {
        path: one.entry
        for path, one in verdicts.items()
        if points(tracked, path, one.entry, recorded.get(path))
    }
    files = {path: verdict for path, verdict in verdicts.items() if path not in pointers}
    moved, edits = _edits(repo, old, files, recorded, seen, unsure)
    holds = old.data is not None
    edits |= placed(repo, moved, beside=holds)
    is_data = any(one is not None and one.mode == DVC_MODE for one in moved.values())
    if pointers or is_data or (moved and holds):
        edits |= followed(repo, tracked, old.tree, moved, pointers, partial(_stored, repo))
    edits |= _assumptions(repo, old, files, moved, assume=assume)
    return rewrite(repo, old.tree, edits) if edits else None


def at(repo: Repository, record: Record, paths: Sequence[bytes]) -> dict[bytes, Entry]:
    """Returns what is recorded at these paths, whether git or DVC has it there."""
    there = diff.entries_at(repo, record.tree, paths)
    return there if record.data is None else {**data_at(repo, record.tree, paths), **there}


def _edits(
    repo: Repository,
    old: Record,
    verdicts: Mapping[bytes, Verdict],
    recorded: Mapping[bytes, Entry],
    seen: Record | None,
    unsure: Mapping[bytes, Iterable[str]],
) -> tuple[dict[bytes, Entry | None], dict[bytes, Entry | None]]:
    """The files that become others, and what else of the tree has to change."""
    before: dict[bytes, Reflected] = dict(old.exceptions)
    after = dict(before)
    unknown = "0" * len(repo.empty_tree)
    edited = seen is not None and takes_over(seen.rules, old.rules)
    if seen is not None:
        for path, reflected in seen.exceptions.items():
            # What edited rules have made of it is not known of the record yet.
            anew = {name: oid for name, oid in reflected.items() if edited and not is_content(oid)}
            after[path] = {**reflected, **before.get(path, {}), **anew}
    moved: dict[bytes, Entry | None] = {}
    for path, verdict in verdicts.items():
        entry, after[path] = verdict.judge(recorded.get(path), after.get(path, {}))
        if entry != recorded.get(path):
            moved[path] = entry
    for path, targets in unsure.items():
        # None would say that they reflect the path's absence.
        after[path] = {**after.get(path, {}), **dict.fromkeys(targets, unknown)}
    changed = {path: told for path, told in after.items() if told != before.get(path, {})}
    edits: dict[bytes, Entry | None] = {_name(path): None for path, told in changed.items() if not told}
    edits |= _stored(repo, {_name(path): _text(path, told) for path, told in changed.items() if told})
    edits |= _contents(repo, before, after)
    if seen is not None and seen.rules is not None and edited:
        edits[_RULES.encode()] = _store(repo, seen.rules)
    return moved, edits


def _assumptions(
    repo: Repository,
    old: Record,
    verdicts: Mapping[bytes, Verdict],
    moved: Mapping[bytes, Entry | None],
    *,
    assume: bool,
) -> dict[bytes, Entry | None]:
    """What changes among the assumed files: one goes once everything was made from it, or it moved on."""
    if assume:
        now = moved
    elif old.assumed is None:
        return {}
    else:
        made = {path for path, verdict in verdicts.items() if verdict.ran}
        # What differs in nothing that counts takes nothing away from what was said of it.
        same = {path for path, verdict in verdicts.items() if verdict.is_alike} - made
        gone = (path for path, entry in moved.items() if entry is None or path not in same)
        now = dict.fromkeys([*gone, *made])
    holds = old.data is not None
    return {f"{_ASSUMED}/".encode() + path: one for path, one in placed(repo, now, beside=holds).items()}


def _contents(
    repo: Repository, before: Mapping[bytes, Reflected], after: Mapping[bytes, Reflected]
) -> dict[bytes, Entry | None]:
    """What keeps the contents of exceptions from being collected as garbage: they may be in no other tree."""
    was, now = _oids(before), _oids(after)
    edits: dict[bytes, Entry | None] = {f"{_CONTENTS}/{oid}".encode(): None for oid in was - now}
    new = sorted(now - was)
    if not new:
        return edits
    # DVC's ids are no objects, and a submodule's is none of this repository.
    asked = "".join(f"{oid}\n" for oid in new).encode()
    kinds = repo.git.run("cat-file", "--batch-check=%(objecttype)", stdin=asked).splitlines()
    here = (oid for oid, kind in zip(new, kinds, strict=True) if kind == b"blob")
    return edits | {f"{_CONTENTS}/{oid}".encode(): Entry(_FILE, oid) for oid in here}


def _oids(exceptions: Mapping[bytes, Reflected]) -> set[str]:
    return {oid for reflected in exceptions.values() for oid in reflected.values() if is_content(oid)}


def _move(repo: Repository, environment: str, new: str, old: Record | None) -> bool:
    """Move the ref from ``old`` to the tree ``new``; False if it stands elsewhere by now."""
    if old is not None and old.tree == new:
        return True
    ref = PREFIX + environment
    done = repo.git.attempt("update-ref", "--no-deref", ref, new, old.tree if old else "")
    if done.returncode == 0:
        return True
    if b"File exists" in done.stderr:
        # Another promotion has the ref's lock file at this very moment.
        return False
    now = read(repo, environment)
    if (now.tree if now else None) != (old.tree if old else None):
        return False
    raise RecordError(f"{ref} cannot be written: {words(done.stderr)}", ROOM)


def _name(path: bytes) -> bytes:
    return f"{_EXCEPTIONS}/{hashlib.sha256(path).hexdigest()}.json".encode()


def _text(path: bytes, exceptions: Reflected) -> str:
    return json.dumps({"path": show(path), "targets": exceptions}, sort_keys=True, indent=1) + "\n"


def _store(repo: Repository, text: str) -> Entry:
    out = repo.git.run("hash-object", "-w", "--stdin", "--no-filters", stdin=text.encode())
    return Entry(_FILE, out.decode().strip())


def _stored(repo: Repository, texts: Mapping[bytes, str]) -> dict[bytes, Entry | None]:
    """Many texts at once, by one process."""
    if not texts:
        return {}
    with tempfile.TemporaryDirectory(prefix="raw-trigger-") as folder:
        files = [Path(folder, str(number)) for number in range(len(texts))]
        for file, text in zip(files, texts.values(), strict=True):
            file.write_text(text, encoding="utf-8")
        names = quoted([os.fsencode(file) for file in files])
        out = repo.git.run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names)
    oids = out.decode().split()
    return {name: Entry(_FILE, oid) for name, oid in zip(texts, oids, strict=True)}
