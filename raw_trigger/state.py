"""The recorded tree: what the assets of an environment reflect, as a git tree behind one ref.

``refs/raw-trigger/<environment>`` points straight at a tree that holds the raw files, under
their full paths, as they were last materialized. Beside them, in ``.raw-trigger/``, stand the
exceptions, one small file for each path whose targets reflect different contents, these contents,
the rules in force, what files were in DVC's folders, and once more those raw files of which it is only
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
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from raw_trigger.documents import MOST_JSON, load_json
from raw_trigger.errors import ROOM, GitError, RecordError
from raw_trigger.mapping.rules import takes_over
from raw_trigger.model.changes import DVC_MODE, Entry, is_below, show, to_bytes
from raw_trigger.model.record import Record, Reflected, Verdict, is_content
from raw_trigger.repo import diff
from raw_trigger.repo.git import quoted, words
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.tracked import Out, Tracked
from raw_trigger.repo.trees import TREE_MODE, rewrite

PREFIX = "refs/raw-trigger/"
FOLDER = ".raw-trigger"
_EXCEPTIONS = f"{FOLDER}/exceptions"
_CONTENTS = f"{FOLDER}/contents"
_RULES = f"{FOLDER}/rules"
_FOLDERS = f"{FOLDER}/folders"
_ASSUMED = f"{FOLDER}/assumed"
_FILE = "100644"
_OWN = frozenset(name.encode() for name in (_EXCEPTIONS, _CONTENTS, _RULES, _FOLDERS, _ASSUMED))
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
    raise _damaged(ref, "does not name a tree of this repository")


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
        raise _damaged(name, f"cannot be read: {said}") from error


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
    assumed = own.get(_ASSUMED.encode())
    return Record(tree, found, told, assumed=None if assumed is None else assumed.oid)


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


def kept(repo: Repository, tree: str, folder: str) -> dict[str, str] | None:
    """The files of a folder of DVC's as they were recorded, by its id: later no cache may have the list."""
    done = repo.git.attempt("cat-file", "blob", f"{tree}:{_FOLDERS}/{folder}.json")
    if done.returncode != 0:
        return None
    try:
        files = load_json(done.stdout)
        if not isinstance(files, dict) or not all(map(is_below, files)):
            raise ValueError("it is no list of files")  # noqa: TRY301
        if not all(isinstance(md5, str) for md5 in files.values()):
            raise ValueError("it has a file without a content")  # noqa: TRY301
    except ValueError as error:
        what = f"cannot be read: {_FOLDERS}/{folder}.json: {error}"
        raise _damaged(f"{PREFIX}ENVIRONMENT", what) from error
    return files


def _keep(repo: Repository, folders: Mapping[str, Mapping[str, str]]) -> dict[bytes, Entry | None]:
    return {
        f"{_FOLDERS}/{folder}.json".encode(): _store(repo, json.dumps(files, sort_keys=True, indent=1) + "\n")
        for folder, files in folders.items()
    }


def environments(repo: Repository) -> dict[str, str]:
    """Every recorded environment and its tree's id."""
    out = repo.git.run("for-each-ref", "--format=%(refname) %(objectname)", PREFIX)
    pairs = (show(line).split(" ") for line in out.splitlines())
    return {ref.removeprefix(PREFIX): oid for ref, oid in pairs}


def named(repo: Repository, *environments: str) -> dict[str, str]:
    """Those of the environments that are recorded, each with its tree's id."""
    refs = [PREFIX + environment for environment in environments]
    out = repo.git.run("for-each-ref", "--format=%(refname) %(objectname)", *refs)
    pairs = (show(line).split(" ") for line in out.splitlines())
    return {ref.removeprefix(PREFIX): oid for ref, oid in pairs if ref in refs}


def take_over(repo: Repository, environment: str, tree: str) -> None:
    """Record for an environment that has no record yet what was recorded under another name.

    Raises:
        RecordError: it cannot be written.
    """
    _move(repo, environment, tree, None)


def is_own(path: bytes) -> bool:
    """Whether a path of the recorded tree is no raw file."""
    return path.startswith(FOLDER.encode() + b"/")


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
    folders: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> bool:
    """Record a whole tree as what everything is assumed to reflect; False if the ref was moved meanwhile.

    Args:
        tree: Holds the raw files only.
        rules: The rules in force, as text: what they newly feed later on is pending then.
        old: The record that it takes the place of.
        folders: The files of DVC's folders, by their ids.

    Raises:
        RecordError: the ref cannot be written.
    """
    edits = {**_keep(repo, folders), _RULES.encode(): _store(repo, rules)}
    assumed = tree if old is None else _assumed_beside(repo, tree, old)
    if assumed != repo.empty_tree:
        edits[_ASSUMED.encode()] = Entry(TREE_MODE, assumed)
    return _move(repo, environment, rewrite(repo, tree, edits), old)


def _assumed_beside(repo: Repository, tree: str, old: Record) -> str:
    """The files of ``tree`` that are assumed once it takes the place of ``old``: what ran did run."""
    changes = diff.between_trees(repo, old.tree, tree, ())
    edits = {change.path: change.new for change in changes if not is_own(change.path)}
    edits |= diff.entries_at(repo, tree, list(old.exceptions))
    return rewrite(repo, old.assumed or repo.empty_tree, edits)


def promote(
    repo: Repository,
    environment: str,
    verdicts: Mapping[bytes, Verdict],
    seen: Record | None = None,
    unsure: Mapping[bytes, Iterable[str]] = MappingProxyType({}),
    *,
    pointers: Mapping[bytes, Entry | None] = MappingProxyType({}),
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
        pointers: Pointer files that stand for some of the paths, as they are to be recorded once all that
            they stand for is whole; until then the verdicts about that are exceptions.
        roots: The raw roots; needed with ``pointers``.
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
        new = promoted(repo, old, verdicts, seen, unsure, pointers=pointers, roots=roots, assume=assume)
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
    pointers: Mapping[bytes, Entry | None] = MappingProxyType({}),
    roots: Sequence[str] = (),
    assume: bool = False,
) -> str | None:
    """The tree that :func:`promote` makes of the record ``old``; None if nothing changes. No ref is moved."""
    behind = _Pointers(repo, roots, old, verdicts, pointers)
    edits = _edits(repo, old, verdicts, seen, unsure, behind)
    edits |= _assumptions(repo, old, verdicts, edits, behind, assume=assume)
    return rewrite(repo, old.tree, edits) if edits else None


def _edits(
    repo: Repository,
    old: Record,
    verdicts: Mapping[bytes, Verdict],
    seen: Record | None,
    unsure: Mapping[bytes, Iterable[str]],
    pointers: _Pointers,
) -> dict[bytes, Entry | None]:
    """The paths of the tree that have to change."""
    before: dict[bytes, Reflected] = dict(old.exceptions)
    after = dict(before)
    unknown = "0" * len(repo.empty_tree)
    edited = seen is not None and takes_over(seen.rules, old.rules)
    if seen is not None:
        for path, reflected in seen.exceptions.items():
            # What edited rules have made of it is not known of the record yet.
            anew = {name: oid for name, oid in reflected.items() if edited and not is_content(oid)}
            after[path] = {**reflected, **before.get(path, {}), **anew}
    after |= pointers.exceptions(after)
    edits: dict[bytes, Entry | None] = {}
    whole = set()
    for path, verdict in verdicts.items():
        entry, exceptions = verdict.judge(pointers.recorded.get(path), after.get(path, {}))
        if entry == verdict.entry:
            whole.add(path)
        if entry != pointers.files.get(path) and (entry is None or entry.mode != DVC_MODE):
            edits[path] = entry
        after[path] = exceptions
    moved = pointers.moved(whole)
    edits |= moved
    after |= {path: {} for path in moved}
    for path in pointers.held(moved) & whole:
        entry = verdicts[path].entry
        after[path] = dict.fromkeys(verdicts[path].targets, None if entry is None else entry.oid)
    folders = pointers.folders(moved, before, after)
    edits |= {f"{_FOLDERS}/{folder}.json".encode(): None for folder, files in folders.items() if not files}
    edits |= _keep(repo, {folder: files for folder, files in folders.items() if files})
    for path, targets in unsure.items():
        # None would say that they reflect the path's absence.
        after[path] = {**after.get(path, {}), **dict.fromkeys(targets, unknown)}
    changed = {path: told for path, told in after.items() if told != before.get(path, {})}
    edits |= {_name(path): None for path, told in changed.items() if not told}
    edits |= _stored(repo, {_name(path): _text(path, told) for path, told in changed.items() if told})
    edits |= _contents(repo, before, after)
    if seen is not None and seen.rules is not None and edited:
        edits[_RULES.encode()] = _store(repo, seen.rules)
    return edits


def _assumptions(
    repo: Repository,
    old: Record,
    verdicts: Mapping[bytes, Verdict],
    edits: Mapping[bytes, Entry | None],
    pointers: _Pointers,
    *,
    assume: bool,
) -> dict[bytes, Entry | None]:
    """What changes among the assumed files: one goes once everything was made from it, or it moved on."""
    moved = {path: entry for path, entry in edits.items() if not is_own(path)}
    if assume:
        now: Mapping[bytes, Entry | None] = moved
    elif old.assumed is None:
        return {}
    else:
        made = {path for path, verdict in verdicts.items() if verdict.ran}
        # What differs in nothing that counts takes nothing away from what was said of it.
        same = {path for path, verdict in verdicts.items() if verdict.is_alike} - made
        gone = (path for path, entry in moved.items() if entry is None or path not in same)
        now = dict.fromkeys([*gone, *made, *pointers.all_in(made)])
    return {f"{_ASSUMED}/".encode() + path: entry for path, entry in now.items()}


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


class _Pointers:
    """The pointer files behind some of the verdicts, as they are recorded and as they are to be."""

    def __init__(
        self,
        repo: Repository,
        roots: Sequence[str],
        old: Record,
        verdicts: Mapping[bytes, Verdict],
        pointers: Mapping[bytes, Entry | None],
    ) -> None:
        self._tracked = Tracked(repo, roots, kept=lambda folder: kept(repo, old.tree, folder))
        self._new = pointers
        self.recorded: Mapping[bytes, Entry] = {}
        self.files: Mapping[bytes, Entry] = {}
        if verdicts or pointers:
            self.recorded, self.files = self._tracked.recorded(old.tree, verdicts, pointers)
        self._desired = {out.path: out.entry for path in pointers for out in self._outs(path, pointers[path])}

    def exceptions(self, recorded: Mapping[bytes, Reflected]) -> dict[bytes, Reflected]:
        """What was recorded of the files themselves, said of what they stand for."""
        found: dict[bytes, Reflected] = {}
        for pointer in self._new.keys() & recorded.keys():
            outs = self._tracked.outs(pointer, self.files.get(pointer))
            for path, told in self._tracked.by_out(outs, pointer, recorded[pointer]).items():
                found[path] = {**told, **recorded.get(path, {})}
            found[pointer] = {}
        return found

    def _outs(self, path: bytes, entry: Entry | None) -> Iterable[Out]:
        return self._tracked.outs(path, entry).values()

    def _differing(self, path: bytes) -> set[bytes]:
        """What the file stands for, before or after, and what is another one after it."""
        named = {o.path for e in (self.files.get(path), self._new[path]) for o in self._outs(path, e)}
        # What is git's file on both sides is none of this one's business.
        named -= self.files.keys() - self._desired.keys()
        return {name for name in named if self.recorded.get(name) != self._desired.get(name)}

    def all_in(self, made: Collection[bytes]) -> list[bytes]:
        """The files all of whose data is among ``made``."""
        return [
            path
            for path, entry in self._new.items()
            if {out.path for out in self._outs(path, entry)} <= set(made)
        ]

    def moved(self, whole: Collection[bytes]) -> dict[bytes, Entry | None]:
        """The files that are to be recorded: all that they stand for is whole. Data that git had goes."""
        found: dict[bytes, Entry | None] = {}
        for path, entry in self._new.items():
            if self._differing(path) <= set(whole):
                if self.files.get(path) != entry:
                    found[path] = entry
                found |= {o.path: None for o in self._outs(path, entry) if o.path in self.files}
        return found

    def folders(
        self,
        moved: Mapping[bytes, Entry | None],
        before: Mapping[bytes, Reflected],
        after: Mapping[bytes, Reflected],
    ) -> dict[str, Mapping[str, str] | None]:
        """The files of folders that something reflects now; None of those that nothing does any more.

        Args:
            before: The exceptions as they were.
            after: As they will be.
        """
        now: dict[str, Out] = {}
        gone: set[str] = set()
        for path, new in self._new.items():
            for entry in {self.files.get(path), new}:
                for out in self._outs(path, entry):
                    stays = entry == (new if path in moved else self.files.get(path))
                    told = {oid for oid in after.get(out.path, {}).values() if oid is not None}
                    gone.update(oid for oid in before.get(out.path, {}).values() if oid is not None)
                    for name in (*told, *([out.dvc.identity] if stays else ())):
                        if name.endswith(".dir"):
                            now[name] = out
                    gone.add(out.dvc.identity)
        left = (name for name in gone - now.keys() if name.endswith(".dir"))
        found: dict[str, Mapping[str, str] | None] = dict.fromkeys(left)
        for name, out in now.items():
            files = self._tracked.listed(replace(out.dvc, md5=name, identity=name))
            if files is not None:
                found[name] = files
        return found

    def held(self, moved: Collection[bytes]) -> set[bytes]:
        """What is another one now, but whose file stays as it is recorded."""
        staying = (path for path in self._new if path not in moved)
        return {name for path in staying for name in self._differing(path)}


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


def _damaged(ref: str, what: str) -> RecordError:
    return RecordError(
        f"{ref} {what}",
        f"delete it with `git update-ref -d {ref}` and record anew with `raw-trigger adopt REV`, or run "
        "everything with `raw-trigger run --all`",
    )
