"""Replaces changes of DVC's pointer files by the changes of the files that these stand for.

Plans and records are about the files that Dagster reads, under their own paths, with DVC's MD5 as the id of
their content. A commit has only the pointer files; a record holds the data, and a pointer file only if it has
all the data that this names.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raw_trigger.documents import MOST_TEXT, read_bytes
from raw_trigger.dvc.outs import DVC_FOLDER, DvcOut, dvc_outs, escaped, folders_above, stage_folders
from raw_trigger.errors import DocumentError
from raw_trigger.model.changes import (
    DVC_LOCK,
    DVC_MODE,
    DVC_SUFFIX,
    Change,
    Desired,
    Entry,
    is_pointer,
    show,
    to_bytes,
)
from raw_trigger.record.data import DATA, FOLDER, Held, held, parents
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository

_BATCH = 2000
_NOBODYS = "0" * 32
_OWN = f"{FOLDER}/".encode()
_LARGE = bytes(MOST_TEXT + 1)


@dataclass(frozen=True, slots=True)
class Out:
    """Holds a file or folder under a raw root that a pointer file stands for.

    Attributes:
        path: The path in a record: its own, or the raw root if the folder contains that.
    """

    path: bytes
    pointer: bytes
    dvc: DvcOut

    @property
    def entry(self) -> Entry:
        """Returns the entry of the file or of the folder as a whole."""
        return Entry(DVC_MODE, self.dvc.identity)

    def of(self, entry: Entry) -> Out:
        """Returns the folder as it was in this version."""
        return replace(self, dvc=replace(self.dvc, md5=entry.oid, identity=entry.oid, folder=True))

    @property
    def is_partly_recorded(self) -> bool:
        """Says whether the pointer file is from a record that lacks data of every version of it."""
        return self.dvc.identity.startswith(_NOBODYS)


Outs = Mapping[bytes, Out]


class Tracked:
    """Reads the pointer files of one repository, and keeps their content.

    Args:
        roots: The raw roots.
        obtain: Fetches contents that a shallow clone lacks.
        recorded: Returns the recorded tree, which knows the files of folders.
    """

    def __init__(
        self,
        repo: Repository,
        roots: Sequence[str],
        obtain: Callable[[list[str]], None] = lambda _: None,
        recorded: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._recorded = recorded
        self._obtain = obtain
        self._repo = repo
        self._roots = tuple(roots)
        self._prefixes = tuple(b"" if root == "." else os.fsencode(root) + b"/" for root in roots)
        self._parsed: dict[tuple[bytes, str], Outs | None] = {}
        self._wrong: dict[tuple[bytes, str], str] = {}
        self._members: dict[tuple[bytes, str], dict[bytes, Entry]] = {}
        self._holds: dict[str, Held | None] = {}
        self._seen: dict[bytes, Out] = {}

    # Where pointer files are

    def watched(self, *sides: str | Desired | None) -> tuple[str, ...]:
        """Returns the raw roots, and the pointer files beside and above them that one of the sides has.

        Args:
            sides: Trees, commits or desired states.
        """
        folders = self._folders()
        if not folders:
            return self._roots
        found: set[str] = set()
        for side in sides:
            if isinstance(side, str):
                found.update(self._in_tree(side, folders))
            elif side is not None and side.oid is not None:
                found.update(self._in_tree(side.oid, folders))
            elif side is not None:
                found.update(self._in_index(folders))
                if side.kind == "worktree":
                    found.update(self._on_disk(folders))
        return (*self._roots, *sorted(found))

    @property
    def in_use(self) -> bool:
        """Says whether the repository has data in DVC."""
        return bool(self._folders())

    def _folders(self) -> list[str]:
        """Returns the folders above the roots, each with a slash at the end; none if DVC is not in use."""
        found = folders_above(self._roots)
        return found if any((self._repo.top / folder / DVC_FOLDER).is_dir() for folder in found) else []

    def _in_tree(self, tree: str, folders: Sequence[str]) -> Iterator[str]:
        further = [folder for folder in folders if folder]
        asked = [()] if "" in folders else []
        for paths in (*asked, *([("--", *further)] if further else [])):
            for record in self._repo.git.run("ls-tree", "-z", "--full-tree", tree, *paths).split(b"\0"):
                meta, _, path = record.partition(b"\t")
                if b" blob " in meta and is_pointer(path):
                    yield os.fsdecode(path)

    def _in_index(self, folders: Sequence[str]) -> Iterator[str]:
        names = ("*.dvc", "dvc.lock")
        specs = [f":(top,glob){escaped(folder)}{name}" for folder in folders for name in names]
        done = self._repo.git.attempt("ls-files", "-z", "--", *specs, index=True, literal=False)
        yield from (os.fsdecode(path) for path in done.stdout.split(b"\0") if path)

    def _on_disk(self, folders: Sequence[str]) -> Iterator[str]:
        for folder in folders:
            try:
                with os.scandir(self._repo.top / folder) as listed:
                    yield from (
                        folder + one.name
                        for one in listed
                        if is_pointer(os.fsencode(one.name)) and one.is_file()
                    )
            except OSError:
                continue

    # What they stand for

    def pointer_of(self, path: bytes) -> bytes | None:
        """Returns the pointer file that stands for the path, as far as one was read."""
        out = self.out(path)
        return None if out is None else out.pointer

    def out(self, path: bytes) -> Out | None:
        """Returns the file or folder that the path is or is in, as last read from a pointer file."""
        name = around(path, self._seen)
        return None if name is None else self._seen[name]

    def anew(self) -> Tracked:
        """Returns an object for the same repository that has read nothing yet."""
        return Tracked(self._repo, self._roots, self._obtain, self._recorded)

    def changes(
        self, raw: Sequence[Change], old: str | None, new: str | None = None, *, beside: bool = False
    ) -> tuple[tuple[Change, ...], Mapping[bytes, Entry | None]]:
        """Replaces the changes of pointer files by the changes of the files that they stand for.

        Args:
            old: The tree or commit that was compared. A record's own files are left out.
            new: The one that it was compared with; None: none.
            beside: Whether to keep what was read before.

        Returns:
            The changes, and the pointer files that differ, as they are on the new side.
        """
        if not beside:
            self._seen.clear()
        raw = tuple(change for change in raw if not change.path.startswith(_OWN))
        pointers = [change for change in raw if is_pointer(change.path)]
        if not pointers:
            return raw, {}
        self._read((change.path, change.old) for change in pointers if change.old is not None)
        self._read(((change.path, change.new) for change in pointers if change.new is not None), disk=True)
        found = {change.path: replace(change, old_path=None) for change in raw}
        differ: dict[bytes, Entry | None] = {}
        olds: dict[bytes, Out] = {}
        news: dict[bytes, Out] = {}
        for change in pointers:
            was, now = self.outs(change.path, change.old), self.outs(change.path, change.new)
            inside = self._is_under_root(change.path)
            if not inside and change.new is not None:
                self._need(change.path, change.new)
            if inside and ((not was and not now) or not self.is_readable(change.path, change.new)):
                continue
            del found[change.path]
            differ[change.path] = change.new
            olds.update(was)
            news.update(now)
        if not differ:
            return raw, {}
        self._seen.update({**olds, **news})
        before, after = self._files(olds, old), self._files(news, new)
        kept = self._named_by_others(old, [name for name in olds if around(name, news) is None], differ)
        before = {path: entry for path, entry in before.items() if around(path, kept) is None}
        differences = list(_differences(before, after))
        lone = [one.path for one in differences if one.path not in found]
        same = {} if old is None else diff.entries_at(self._repo, old, lone)
        for one in differences:
            # If git itself has a file at the path, that file counts.
            git = found.get(one.path)
            old_entry = git.old if git is not None and git.old is not None else one.old
            new_entry = git.new if git is not None and git.new is not None else one.new
            if one.path not in same:
                found[one.path] = Change(one.path, old_entry, new_entry)
        changes = (change for change in found.values() if change.old != change.new)
        return diff.pair_renames(changes), differ

    def _named_by_others(
        self, tree: str | None, names: Sequence[bytes], differ: Collection[bytes]
    ) -> set[bytes]:
        """Returns the names for which an unchanged pointer file stands, too."""
        found = {} if tree is None else self.beside(tree, names)
        others = {name for pointer, outs in found.items() if pointer not in differ for name in outs}
        return {name for name in names if around(name, others) is not None}

    def _files(self, outs: Outs, tree: str | None) -> dict[bytes, Entry]:
        """Returns the files that these stand for; in a recorded tree only those that it holds."""
        holds = None if tree is None else self._held(tree)
        found: dict[bytes, Entry] = {}
        for path, entry in () if holds is None else holds.files.items():
            name = around(path, outs)
            if name is not None:
                found.update(self._whole(outs[name].of(entry)) if entry.is_folder else {path: entry})
        for out in outs.values() if holds is None else ():
            found.update(self._whole(out))
        return found

    def _whole(self, out: Out) -> dict[bytes, Entry]:
        """Returns the files, or the folder itself if its files are unknown."""
        members = self.members(out)
        return {out.path: out.entry} if members is None else members

    def files(self, tree: str, *, recorded: bool = False) -> list[tuple[bytes, Entry]]:
        """Returns every raw file of a tree, with DVC's files in place of the pointer files.

        Args:
            recorded: Whether the tree is a record, which holds DVC's data itself.
        """
        listed = diff.all_paths(self._repo, tree, () if recorded else (*self.watched(tree), DATA))
        holds = held(listed) or (Held() if recorded else None)
        return self.paths((one for one in listed if not one[0].startswith(_OWN)), holds)

    def paths(
        self, listed: Iterable[tuple[bytes, Entry]], holds: Held | None = None
    ) -> list[tuple[bytes, Entry]]:
        """Returns the files, with DVC's files in place of the pointer files.

        Args:
            holds: The data of DVC in the recorded tree; None: it is not a record.
        """
        listed = list(listed)
        pointers = [(path, entry) for path, entry in listed if is_pointer(path)]
        if not pointers and holds is None:
            return listed
        self._read(pointers, disk=True)
        found = dict(listed)
        for path, entry in pointers:
            outs = self.outs(path, entry) if self._is_under_root(path) else self._need(path, entry)
            if outs or not self._is_under_root(path):
                del found[path]
            for out in outs.values():
                # An earlier call for changes may know the newer version.
                self._seen.setdefault(out.path, out)
                for name, member in self._named(out).items() if holds is None else ():
                    found.setdefault(name, member)
        for path, entry in () if holds is None else holds.files.items():
            for name, member in self._by_name(path, entry).items():
                found.setdefault(name, member)
        return sorted(found.items())

    def outs(self, path: bytes, entry: Entry | None) -> Outs:
        """Returns what a version of a pointer file stands for under the roots, by its path in a record."""
        if entry is None:
            return {}
        if (path, entry.oid) not in self._parsed:
            self._read([(path, entry)])
        return self._parsed[path, entry.oid] or {}

    def _need(self, path: bytes, entry: Entry) -> Outs:
        """Returns what a pointer file beside or above the roots stands for.

        Such a file is no raw file itself. If it could be skipped, its earlier files would count as deleted.

        Raises:
            DocumentError: it cannot be read.
        """
        outs = self.outs(path, entry)
        if (path, entry.oid) in self._wrong:
            raise DocumentError(
                f"{show(path)} cannot be read as a file of DVC's: {self._wrong[path, entry.oid]}",
                "mend it, or write it anew with `dvc add` or `dvc commit`; nothing is recorded before",
            )
        return outs

    def is_readable(self, path: bytes, entry: Entry | None) -> bool:
        """Says whether the version can be read as a pointer file, or is gone.

        A file with conflict markers is neither.
        """
        self.outs(path, entry)
        return entry is None or self._parsed[path, entry.oid] is not None

    def find(self, tree: str, paths: Iterable[bytes]) -> None:
        """Reads the pointer files of a tree that stand for these paths, for paths without one so far."""
        left = [path for path in paths if self.out(path) is None]
        for outs in self.naming(tree, left).values():
            self._seen = {**outs, **self._seen}

    def naming(self, tree: str, paths: Sequence[bytes]) -> dict[bytes, Outs]:
        """Returns the pointer files of a tree that stand for these paths, with all that they stand for."""
        found = self.beside(tree, paths)
        known = {name for outs in found.values() for name in outs}
        if all(around(path, known) is not None for path in paths):
            return found
        return self._naming(diff.all_paths(self._repo, tree, self.watched(tree)), paths)

    def beside(self, tree: str, paths: Sequence[bytes]) -> dict[bytes, Outs]:
        """Returns the pointer files that stand for these paths and lie where DVC's own commands put them."""
        names = {DVC_LOCK} if paths else set()
        for path in paths:
            names.add(path + DVC_SUFFIX)
            for folder in parents(path):
                names |= {folder + DVC_SUFFIX, folder + b"/" + DVC_LOCK}
        return self._naming(diff.entries_at(self._repo, tree, sorted(names)).items(), paths)

    def _naming(self, listed: Iterable[tuple[bytes, Entry]], paths: Sequence[bytes]) -> dict[bytes, Outs]:
        pointers = [(path, entry) for path, entry in listed if is_pointer(path)]
        self._read(pointers)
        wanted = {name for path in paths for name in (path, *parents(path))}
        each = ((path, self.outs(path, entry)) for path, entry in pointers)
        return {path: outs for path, outs in each if not wanted.isdisjoint(outs)}

    def to_record(self, tree: str) -> dict[bytes, Entry]:
        """Returns the data behind a tree's pointer files as a record has it; of a record all its data."""
        asked = (*self.watched(tree), DATA)
        out = self._repo.git.run("ls-tree", "-r", "-z", "--full-tree", tree, "--", *asked)
        if b".dvc\0" not in out and DVC_LOCK + b"\0" not in out:
            return {}  # saves parsing the listing of a million files
        listed = diff.listed(out)
        holds = held(listed)
        if holds is not None:
            return {**holds.files, **holds.lists}
        pointers = [one for one in listed if is_pointer(one[0])]
        self._read(pointers)
        found: dict[bytes, Entry] = {}
        for path, entry in pointers:
            for one in self.outs(path, entry).values():
                found.update(self.members(one) or {})
                if self.members(one) is None or one.entry.is_folder:
                    found[one.path] = one.entry
        return found

    def members(self, out: Out) -> dict[bytes, Entry] | None:
        """Returns the files by path; None if nobody knows the files of the folder."""
        if out.is_partly_recorded:
            return {}
        if not out.dvc.folder:
            return {out.path: out.entry}
        from raw_trigger.dvc.data import listing

        key = (out.path, out.entry.oid)
        if key not in self._members:
            names = listing(self._repo, out.dvc)
            if names is None:
                return self._recorded_members(out)
            files = ((out.dvc.path + b"/" + to_bytes(name), md5) for name, md5 in names.items())
            inside = out.path + b"/"
            self._members[key] = {p: Entry(DVC_MODE, md5) for p, md5 in files if p.startswith(inside)}
        return self._members[key]

    def _recorded_members(self, out: Out) -> dict[bytes, Entry] | None:
        tree = self._recorded()
        holds = None if tree is None else self._held(tree)
        if holds is None or holds.lists.get(out.path) != out.entry:
            return None
        return {path: entry for path, entry in holds.files.items() if _below(out.path)(path)}

    def _held(self, tree: str) -> Held | None:
        if tree not in self._holds:
            self._holds[tree] = held(diff.all_paths(self._repo, tree, (DATA,)))
        return self._holds[tree]

    def _named(self, out: Out) -> dict[bytes, Entry]:
        """Returns the files; if they are unknown those on disk, or the folder itself."""
        members = self.members(out)
        return self._by_name(out.path, out.entry) if members is None else members

    def _by_name(self, path: bytes, entry: Entry) -> dict[bytes, Entry]:
        """Returns the files of a folder on disk, without contents: nobody knows which should be there."""
        if not entry.is_folder:
            return {path: entry}
        start = len(os.fsencode(self._repo.top)) + 1
        folder = os.fsencode(self._repo.top) + b"/" + path
        found = (os.path.join(above, name) for above, _, names in os.walk(folder) for name in names)  # noqa: PTH118
        return dict.fromkeys((name[start:] for name in found), entry.unlisted) or {path: entry}

    def _is_under_root(self, path: bytes) -> bool:
        return path.startswith(self._prefixes)

    def _read(self, pointers: Iterable[tuple[bytes, Entry]], *, disk: bool = False) -> None:
        """Reads the pointer files that were not read yet.

        Args:
            disk: Whether to read from disk if git lacks the content.
        """
        wanted = [one for one in dict.fromkeys(pointers) if (one[0], one[1].oid) not in self._parsed]
        for start in range(0, len(wanted), _BATCH):
            some = wanted[start : start + _BATCH]
            oids = list(dict.fromkeys(entry.oid for _, entry in some))
            texts = _contents(self._repo, oids)
            if len(texts) < len(oids) and not disk:
                self._obtain([oid for oid in oids if oid not in texts])
                texts = _contents(self._repo, oids)
            for path, entry in some:
                text = texts.get(entry.oid)
                if text is None and disk:
                    text = _on_disk(self._repo, path)
                self._parsed[path, entry.oid] = self._parse(path, entry, text)

    def _parse(self, path: bytes, entry: Entry, text: bytes | None) -> Outs | None:
        if text is None:
            return None
        try:
            return self._placed(path, dvc_outs(text, path, self._wdirs(path)))
        except ValueError as error:
            self._wrong[path, entry.oid] = str(error)
            return None

    def _wdirs(self, pointer: bytes) -> Mapping[str, str]:
        """Returns the folders of the stages of a ``dvc.lock``, from the ``dvc.yaml`` on disk."""
        folder, _, name = pointer.rpartition(b"/")
        text = (
            _on_disk(self._repo, folder + b"/dvc.yaml" if folder else b"dvc.yaml")
            if name == DVC_LOCK
            else None
        )
        return {} if text is None else stage_folders(text)

    def _placed(self, pointer: bytes, outs: Iterable[DvcOut]) -> dict[bytes, Out]:
        found: dict[bytes, Out] = {}
        for dvc in outs:
            for root, prefix in zip(self._roots, self._prefixes, strict=True):
                name = os.fsencode(root)
                if dvc.path.startswith(prefix) or dvc.path == name:
                    found[dvc.path] = Out(dvc.path, pointer, dvc)
                elif dvc.folder and prefix.startswith(dvc.path + b"/"):
                    found[name] = Out(name, pointer, dvc)
        return found


def partly(pointer: bytes, named: Mapping[bytes, bool]) -> str:
    """Returns the text of a pointer file for a record that has only some of this data, of any version.

    Args:
        named: Paths, each with whether it is a folder.
    """
    folder = posixpath.dirname(show(pointer)) or "."
    outs = [
        {"md5": _NOBODYS + (".dir" if is_folder else ""), "path": posixpath.relpath(show(path), folder)}
        for path, is_folder in sorted(named.items())
    ]
    told = {"outs": outs, "wdir": "."}
    is_lock = pointer.rpartition(b"/")[2] == DVC_LOCK
    return json.dumps({"stages": {"": told}} if is_lock else told, indent=1) + "\n"


def around(path: bytes, names: Collection[bytes]) -> bytes | None:
    """Returns which of these names the path is, or is in; None if none."""
    return next((name for name in (path, *parents(path)) if name in names), None) if names else None


def _differences(before: dict[bytes, Entry], after: dict[bytes, Entry]) -> Iterator[Change]:
    """Yields the differences of the two sides.

    If a side does not know the files of a folder, the folder differs as a whole, or its files have unknown
    contents.
    """
    for folder, _ in _folders(after):
        if any(map(inside := _below(folder), before)):
            before = {path: one for path, one in before.items() if not inside(path)}
            before[folder] = Entry(DVC_MODE, _NOBODYS)
    for folder, entry in _folders(before):
        members = list(filter(_below(folder), after))
        if members:
            before = {**before, **dict.fromkeys(members, entry.unlisted)}
            del before[folder]
    for path in sorted({*before, *after}):
        if before.get(path) != after.get(path):
            yield Change(path, before.get(path), after.get(path))


def _below(folder: bytes) -> Callable[[bytes], bool]:
    return lambda path: path.startswith(folder + b"/")


def _folders(files: Mapping[bytes, Entry]) -> list[tuple[bytes, Entry]]:
    return [(path, entry) for path, entry in files.items() if entry.is_folder]


def _contents(repo: Repository, wanted: Sequence[str]) -> dict[str, bytes]:
    """Returns the contents of blobs that are here; for too large ones just enough to see that."""
    looked = zip(wanted, repo.objects.look(*wanted), strict=True)
    sizes = {oid: found.size for oid, found in looked if found is not None and found.kind == "blob"}
    here = [oid for oid, size in sizes.items() if size <= MOST_TEXT]
    large = (oid for oid, size in sizes.items() if size > MOST_TEXT)
    return {**dict(zip(here, repo.objects.contents(here), strict=True)), **dict.fromkeys(large, _LARGE)}


def _on_disk(repo: Repository, path: bytes) -> bytes | None:
    try:
        return read_bytes(Path(os.fsdecode(os.fsencode(repo.top) + b"/" + path)), MOST_TEXT)
    except ValueError:
        return _LARGE
    except OSError:
        return None
