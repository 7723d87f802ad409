"""Sees through DVC's pointer files: in the place of their changes, the changes of what they stand for.

Git and the record hold the pointer files themselves. What is planned are the files that Dagster reads, under
their own paths, with DVC's MD5 as the id of their content. A folder is shown by its files where DVC's cache
has the list of them, and is recorded as a whole: what is recorded does not depend on a cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raw_trigger.documents import MOST_TEXT, read_bytes
from raw_trigger.errors import DocumentError
from raw_trigger.model.changes import (
    DVC_LOCK,
    DVC_MODE,
    DVC_SUFFIX,
    Change,
    Desired,
    Entry,
    Pointed,
    is_pointer,
    show,
    to_bytes,
)
from raw_trigger.model.record import Reflected, is_content
from raw_trigger.repo import diff
from raw_trigger.repo.pointers import DVC_FOLDER, DvcOut, dvc_outs, escaped, folders_above, stage_folders
from raw_trigger.repo.repository import Repository

_BATCH = 2000
_LARGE = bytes(MOST_TEXT + 1)


@dataclass(frozen=True, slots=True)
class Out:
    """A file or folder under a raw root that a pointer file stands for.

    Attributes:
        path: Where it is recorded: its own path, or the raw root where it is a folder around that.
    """

    path: bytes
    pointer: bytes
    dvc: DvcOut

    @property
    def entry(self) -> Entry:
        """It as a whole."""
        return Entry(DVC_MODE, self.dvc.identity)


Outs = Mapping[bytes, Out]


class Tracked:
    """The pointer files of one repository; what was read of them is kept.

    Args:
        roots: The raw roots.
        obtain: Fetches contents that a shallow clone lacks.
        kept: Gives the list of a folder's files by its id, where it was kept with the record.
    """

    def __init__(
        self,
        repo: Repository,
        roots: Sequence[str],
        obtain: Callable[[list[str]], None] = lambda _: None,
        kept: Callable[[str], Mapping[str, str] | None] = lambda _: None,
    ) -> None:
        self._kept = kept
        self._obtain = obtain
        self._repo = repo
        self._roots = tuple(roots)
        self._prefixes = tuple(b"" if root == "." else os.fsencode(root) + b"/" for root in roots)
        self._parsed: dict[tuple[bytes, str], Outs | None] = {}
        self._wrong: dict[tuple[bytes, str], str] = {}
        self._lists: dict[str, Mapping[str, str]] = {}
        self._shown: dict[bytes, Out] = {}
        self._entries: dict[bytes, Entry | None] = {}

    # Where pointer files are

    def watched(self, *sides: str | Desired | None) -> tuple[str, ...]:
        """The raw roots, and the pointer files beside and above them that one of the sides has.

        Args:
            sides: Trees or commits, or what is desired.
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

    def _folders(self) -> list[str]:
        """The folders above the roots, with a slash at the end, where DVC is in use at all."""
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
        """The pointer file that stands for the path, where one was seen."""
        out = self._shown.get(path)
        return None if out is None else out.pointer

    def out_of(self, path: bytes) -> bytes:
        """The path under which it is recorded."""
        out = self._shown.get(path)
        return path if out is None else out.path

    def out(self, path: bytes) -> Out | None:
        """What was last seen at the path, if a pointer file stands for it."""
        return self._shown.get(path)

    def entry(self, path: bytes) -> Entry | None:
        """What was last seen there."""
        return self._entries.get(path)

    def anew(self) -> Tracked:
        """One that has seen nothing yet."""
        return Tracked(self._repo, self._roots, self._obtain, self._kept)

    def changes(
        self, raw: Sequence[Change], *, beside: bool = False
    ) -> tuple[tuple[Change, ...], tuple[Pointed, ...]]:
        """The changes with those of what pointer files stand for in the place of the files' own.

        Args:
            beside: Whether what was seen before is not forgotten.
        """
        if not beside:
            self._shown.clear()
            self._entries.clear()
        pointers = [change for change in raw if is_pointer(change.path)]
        if not pointers:
            return tuple(raw), ()
        self._read((change.path, change.old) for change in pointers if change.old is not None)
        self._read(((change.path, change.new) for change in pointers if change.new is not None), disk=True)
        found = {change.path: replace(change, old_path=None) for change in raw}
        sides: list[tuple[Change, Outs, Outs]] = []
        olds: dict[bytes, Out] = {}
        news: dict[bytes, Out] = {}
        for change in pointers:
            old, new = self.outs(change.path, change.old), self.outs(change.path, change.new)
            inside = self._is_under_root(change.path)
            if not inside and change.new is not None:
                self._need(change.path, change.new)
            if inside and ((not old and not new) or not self.is_readable(change.path, change.new)):
                continue
            del found[change.path]
            sides.append((change, old, new))
            olds.update(old)
            news.update(new)
        if not sides:
            return tuple(raw), ()
        shown: dict[bytes, set[bytes]] = {}
        for path in sorted({*olds, *news}):
            for one in self._difference(olds.get(path), news.get(path)):
                shown.setdefault(path, set()).add(one.path)
                # Where git itself has a file there, it is the file that counts.
                git = found.get(one.path)
                old_entry = git.old if git is not None and git.old is not None else one.old
                new_entry = git.new if git is not None and git.new is not None else one.new
                found[one.path] = Change(one.path, old_entry, new_entry)
        pointed = []
        for change, old, new in sides:
            outs = {
                path: _entry(news.get(path))
                for path in sorted({*old, *new})
                if _entry(olds.get(path)) != _entry(news.get(path))
            }
            paths = {path: frozenset(shown.get(path, ())) for path in outs}
            pointed.append(Pointed(change.path, change.new, outs, paths))
        changes = (change for change in found.values() if change.old != change.new)
        return diff.pair_renames(changes), tuple(pointed)

    def paths(self, listed: Iterable[tuple[bytes, Entry]]) -> list[tuple[bytes, Entry]]:
        """The files with those that pointer files stand for in the place of these."""
        listed = list(listed)
        pointers = [(path, entry) for path, entry in listed if is_pointer(path)]
        if not pointers:
            return listed
        self._read(pointers, disk=True)
        found = dict(listed)
        for path, entry in pointers:
            outs = self.outs(path, entry) if self._is_under_root(path) else self._need(path, entry)
            if outs or not self._is_under_root(path):
                del found[path]
            for out in outs.values():
                for name, member in self._named(out).items():
                    found.setdefault(name, member)
        return sorted(found.items())

    def outs(self, path: bytes, entry: Entry | None) -> Outs:
        """What a version of a pointer file stands for under the roots, by where it is recorded."""
        if entry is None:
            return {}
        if (path, entry.oid) not in self._parsed:
            self._read([(path, entry)])
        return self._parsed[path, entry.oid] or {}

    def _need(self, path: bytes, entry: Entry) -> Outs:
        """What a pointer file beside or above the roots stands for: unlike one of the raw files it is nothing
        else, and what it stood for before would be taken for deleted.

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
        """Whether the version of a pointer file is one, or gone; in a conflict it is neither."""
        self.outs(path, entry)
        return entry is None or self._parsed[path, entry.oid] is not None

    def at(self, tree: str, paths: Iterable[bytes]) -> dict[bytes, Entry]:
        """What a tree has at these paths: files, or what its pointer files stand for as a whole."""
        files, outs = self._at(tree, paths)
        return {**files, **{path: out.entry for path, out in outs.items()}}

    def files_at(self, tree: str, paths: Iterable[bytes]) -> dict[bytes, dict[bytes, Entry]]:
        """The files that a tree has at each of these paths: one, or those of a folder of DVC's."""
        files, outs = self._at(tree, paths)
        found = {path: {path: entry} for path, entry in files.items()}
        return {**found, **{path: self._named(out) for path, out in outs.items()}}

    def _at(self, tree: str, paths: Iterable[bytes]) -> tuple[dict[bytes, Entry], dict[bytes, Out]]:
        wanted = list(paths)
        found = diff.entries_at(self._repo, tree, wanted)
        left = [path for path in wanted if path not in found]
        beside = diff.entries_at(self._repo, tree, [path + DVC_SUFFIX for path in left])
        outs = self._of(beside.items())
        if any(path not in outs for path in left):
            listed = diff.all_paths(self._repo, tree, self.watched(tree))
            outs |= self._of((path, entry) for path, entry in listed if is_pointer(path))
        there = {path: outs[path] for path in left if path in outs}
        for out in there.values():
            self._named(out)
        return found, there

    def recorded(
        self, tree: str, paths: Iterable[bytes], pointers: Iterable[bytes]
    ) -> tuple[dict[bytes, Entry], dict[bytes, Entry]]:
        """What a tree has at these paths, of which some are what one of the pointer files stands for.

        Returns:
            Everything, and what of it are files.
        """
        named = list(pointers)
        files = diff.entries_at(self._repo, tree, [*paths, *named])
        outs = self._of((path, files[path]) for path in named if path in files)
        return {**{path: out.entry for path, out in outs.items()}, **files}, files

    def _of(self, pointers: Iterable[tuple[bytes, Entry]]) -> dict[bytes, Out]:
        listed = list(pointers)
        self._read(listed)
        return {path: out for name, entry in listed for path, out in self.outs(name, entry).items()}

    def translated(
        self, tree: str, exceptions: Mapping[bytes, Reflected], changed: Collection[bytes]
    ) -> dict[bytes, Reflected] | None:
        """Recorded exceptions by the files that are planned; None where they are the same.

        Args:
            tree: The recorded tree.
            changed: The paths that differ from it.
        """
        here = diff.entries_at(self._repo, tree, list(exceptions))
        seen = {out.path for out in self._shown.values()}
        lacking = [path for path in exceptions if path not in here and path not in seen]
        if lacking:
            self.at(tree, lacking)
        found: dict[bytes, Reflected] = {}
        for path, reflected in exceptions.items():
            outs = self.outs(path, here.get(path)) if is_pointer(path) else {}
            for out in outs.values():
                self._named(out)
            for name, told in self.by_out(outs, path, reflected).items() if outs else ((path, reflected),):
                for file, each in self._by_file(name, told, changed).items():
                    # What is said of the data itself is younger than what was said of its pointer file.
                    first, second = (each, found.get(file, {})) if outs else (found.get(file, {}), each)
                    found[file] = {**first, **second}
        return None if found == exceptions else found

    def by_out(self, outs: Outs, pointer: bytes, reflected: Reflected) -> dict[bytes, Reflected]:
        """What was recorded of a pointer file itself, said of what it stands for."""
        found: dict[bytes, dict[str, str | None]] = {path: {} for path in outs}
        for target, oid in reflected.items():
            then = self.outs(pointer, Entry("100644", oid)) if is_content(oid) else {}
            for path in outs:
                nothing = None if is_content(oid) else oid
                found[path][target] = then[path].dvc.identity if path in then else nothing
        return dict(found)

    def _by_file(
        self, path: bytes, reflected: Reflected, changed: Collection[bytes]
    ) -> dict[bytes, Reflected]:
        """What targets reflect of each file, from what they reflect of a folder as a whole.

        Only of files that changed, or of which one of the targets reflects another content.
        """
        out = next((out for out in self._shown.values() if out.path == path and out.dvc.folder), None)
        if out is None:
            return {path: reflected}
        now = self._members(out) or {path: out.entry}
        then = {target: self._listed(out, oid) for target, oid in reflected.items()}
        found: dict[bytes, Reflected] = {}
        before = (name for files in then.values() if files is not None for name in files)
        for name in {*now, *before, *(one for one in changed if self.out_of(one) == path)}:
            self._shown.setdefault(name, out)
            told: dict[str, str | None] = {}
            for target, oid in reflected.items():
                files = then[target]
                told[target] = oid if files is None else files[name].oid if name in files else None
            same = now[name].oid if name in now else None
            if name in changed or any(oid != same for oid in told.values()):
                found[name] = told
        return found

    def _listed(self, out: Out, oid: str | None) -> dict[bytes, Entry] | None:
        """The files of an older version of a folder; None if they are not known."""
        if oid is None or not oid.endswith(".dir"):
            return None
        return self._members(replace(out, dvc=replace(out.dvc, md5=oid, identity=oid)))

    def _difference(self, old: Out | None, new: Out | None) -> Iterator[Change]:
        if _entry(old) == _entry(new):
            return
        one = new or old
        assert one is not None
        before = {} if old is None else self._members(old)
        after = {} if new is None else self._members(new)
        if after is None or (before is None and new is None):
            self._note(one.path, one, _entry(new))
            yield Change(one.path, _entry(old), _entry(new))
            return
        unknown = Entry(DVC_MODE, "0" * 32)
        for path in sorted({*(before or {}), *after}):
            there = path in after
            out = new if there and new is not None else old or new
            assert out is not None
            self._note(path, out, after.get(path))
            was = unknown if before is None else before.get(path)
            if was != after.get(path):
                yield Change(path, was, after.get(path))

    def _named(self, out: Out) -> dict[bytes, Entry]:
        """The files, noted; the folder itself where they are not known."""
        members = self._members(out)
        if members is None:
            members = self._by_name(out) or {out.path: out.entry}
        for path, entry in members.items():
            # What has changed is known better.
            if path not in self._shown:
                self._note(path, out, entry)
        return members

    def _by_name(self, out: Out) -> dict[bytes, Entry]:
        """The files as they are on disk, where nobody knows what should be there."""
        folder = os.fsencode(self._repo.top) + b"/" + out.path
        entry = Entry(DVC_MODE, out.dvc.identity.removesuffix(".dir"))
        found = (os.path.join(above, name) for above, _, names in os.walk(folder) for name in names)  # noqa: PTH118
        start = len(os.fsencode(self._repo.top)) + 1
        return {path[start:]: entry for path in found}

    def _members(self, out: Out) -> dict[bytes, Entry] | None:
        if not out.dvc.folder:
            return {out.path: out.entry}
        listed = self.listed(out.dvc)
        if listed is None:
            return None
        found = {out.dvc.path + b"/" + to_bytes(name): Entry(DVC_MODE, md5) for name, md5 in listed.items()}
        inside = b"" if out.path == b"." else out.path + b"/"
        return {path: entry for path, entry in found.items() if path.startswith(inside)}

    def listed(self, dvc: DvcOut) -> Mapping[str, str] | None:
        """The files of a folder by their paths in it, with their MD5; None if nobody knows."""
        from raw_trigger.repo.dvc import listing

        if dvc.identity not in self._lists:
            here = listing(self._repo, dvc)
            found = self._kept(dvc.identity) if here is None else here
            if found is None:
                return None
            self._lists[dvc.identity] = found
        return self._lists[dvc.identity]

    def folders(self, tree: str) -> dict[str, Mapping[str, str]]:
        """The files of every folder that the pointer files of a tree stand for, as far as they are known."""
        if not self._folders() and not (self._repo.top / DVC_FOLDER).is_dir():
            return {}
        watched = self.watched(tree)
        pointers = ((p, e) for p, e in diff.all_paths(self._repo, tree, watched) if is_pointer(p))
        outs = [out.dvc for out in self._of(pointers).values() if out.dvc.folder]
        known = {dvc.identity: self.listed(dvc) for dvc in outs}
        return {name: files for name, files in known.items() if files is not None}

    def _note(self, path: bytes, out: Out, entry: Entry | None) -> None:
        self._shown[path] = out
        self._entries[path] = entry

    def _is_under_root(self, path: bytes) -> bool:
        return path.startswith(self._prefixes)

    def _read(self, pointers: Iterable[tuple[bytes, Entry]], *, disk: bool = False) -> None:
        """Read what was not read yet.

        Args:
            disk: Whether what git does not have is what is on disk.
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
        """Where the stages of a ``dvc.lock`` work, as it is today."""
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


def _entry(out: Out | None) -> Entry | None:
    return None if out is None else out.entry


def _contents(repo: Repository, wanted: Sequence[str]) -> dict[str, bytes]:
    """The contents of the blobs that are here; of one that is too large to be read, as much as tells so."""
    asked = "".join(f"{oid}\n" for oid in wanted).encode()
    lines = repo.git.run("cat-file", "--batch-check", stdin=asked).decode().splitlines()
    sizes = {o: int(line.split(" ")[2]) for o, line in zip(wanted, lines, strict=True) if " blob " in line}
    here = [oid for oid, size in sizes.items() if size <= MOST_TEXT]
    large = (oid for oid, size in sizes.items() if size > MOST_TEXT)
    return {**dict(zip(here, diff.contents(repo.git, here), strict=True)), **dict.fromkeys(large, _LARGE)}


def _on_disk(repo: Repository, path: bytes) -> bytes | None:
    try:
        return read_bytes(Path(os.fsdecode(os.fsencode(repo.top) + b"/" + path)), MOST_TEXT)
    except ValueError:
        return _LARGE
    except OSError:
        return None
