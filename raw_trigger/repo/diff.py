"""Lists the differences between two trees, the index and the working tree, below the raw roots.

There is no similarity search for renames: it depends on settings and needs contents. Only a file with exactly
the same content counts as renamed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from raw_trigger.model.changes import DVC_MODE, SUBMODULE_MODE, SYMLINK_MODE, Change, Desired, Entry
from raw_trigger.repo.git import quoted
from raw_trigger.repo.hashing import hashed
from raw_trigger.repo.listing import Listing
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.submodules import checked_out, edited
from raw_trigger.repo.trees import TREE_MODE, found_at

_FLAGS = (
    "-r",
    "-z",
    "--raw",
    "--no-abbrev",
    "--no-renames",
    "--no-ext-diff",
    "--no-relative",
    "--ignore-submodules=dirty",
)
"""Renames, external diffs, relative paths and submodules can all be set in a user's configuration."""


class _Raw(NamedTuple):
    """Holds one record of ``--raw -z``: modes, ids (zeros: unknown or no file), status letter, path."""

    old_mode: str
    new_mode: str
    old_oid: str
    new_oid: str
    status: str
    path: bytes


def between(
    repo: Repository, old: str, desired: Desired, roots: Sequence[str], listing: Listing | None = None
) -> tuple[Change, ...]:
    """Returns what differs from tree ``old`` to what is desired.

    Args:
        listing: Taken where it is of the same roots; else what is on disk is listed again.
    """
    if desired.kind == "revision":
        assert desired.oid is not None
        return between_trees(repo, old, desired.oid, roots)
    if desired.kind == "index":
        return to_index(repo, old, roots)
    same = listing is not None and listing.roots == tuple(roots)
    return to_worktree(repo, old, roots, listing if same else None)


def between_trees(repo: Repository, old: str, new: str, roots: Sequence[str]) -> tuple[Change, ...]:
    """Returns what differs from tree ``old`` to tree ``new``. The cost grows with the differences only."""
    if old == new:
        return ()
    out = repo.git.run("diff-tree", *_FLAGS, old, new, "--", *roots)
    return pair_renames(Change(r.path, _old(r), _new(r)) for r in _records(out))


def to_index(repo: Repository, old: str, roots: Sequence[str]) -> tuple[Change, ...]:
    """Returns what differs from tree ``old`` to the index (the hook's own index if one is set).

    A path with an unresolved merge conflict has an id of zeros on the new side.
    """
    flags = ("--cached", "--ita-invisible-in-index", *_FLAGS)
    out = repo.git.run("diff-index", *flags, old, "--", *roots, index=True)
    return pair_renames(Change(r.path, _old(r), _new(r)) for r in _records(out))


def to_worktree(
    repo: Repository, old: str | None, roots: Sequence[str], listing: Listing | None = None
) -> tuple[Change, ...]:
    """Returns what differs from tree ``old`` (None: from the index) to the files on disk.

    Untracked files that are not ignored count as added. Git hashes a file only if the index cannot vouch for
    it.

    Args:
        listing: Of the same roots; None: it is asked for.
    """
    command = ("diff-files",) if old is None else ("diff-index",)
    revision = () if old is None else (old,)
    out = repo.git.run(*command, *_FLAGS, *revision, "--", *roots, index=True)
    old_entries: dict[bytes, Entry | None] = {}
    new_modes: dict[bytes, str] = {}
    plain: dict[bytes, Entry] = {}
    unmerged = set()
    for record in _records(out):
        if record.status == "U":
            unmerged.add(record.path)
            continue
        old_entries.setdefault(record.path, _old(record))
        if record.status == "D":
            continue
        new_modes[record.path] = record.new_mode
        if record.new_oid.strip("0"):
            plain[record.path] = Entry(record.new_mode, record.new_oid)
    listing = listing or Listing(repo, roots)
    for path, entry in _alike(repo, roots, listing) if repo.reads_all else ():
        old_entries.setdefault(path, entry)
        new_modes.setdefault(path, entry.mode)
    for path in listing.untracked:
        old_entries.setdefault(path, None)
        new_modes.setdefault(path, "")
    for path in unmerged:
        old_entries.setdefault(path, None)
        new_modes.setdefault(path, "")
    unknown = [path for path in new_modes if path not in plain]
    disk = {**plain, **_on_disk(repo, unknown, new_modes, write=False)}
    changes = (Change(p, o, disk.get(p)) for p, o in old_entries.items())
    return pair_renames(c for c in changes if c.old != c.new)


def _alike(repo: Repository, roots: Sequence[str], listing: Listing) -> list[tuple[bytes, Entry]]:
    """The files of the index that git looks at; what it does not report is as it is there."""
    left_out = {one.path for one in listing.special if one.unwatched or one.stage}
    return [(path, entry) for path, entry in index_paths(repo, roots) if path not in left_out]


def pair_renames(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Returns the changes sorted by path; an added path has the deleted path with the same content as origin.

    A deleted path is the origin of at most one added path, preferably of one with the same file name.
    """
    ordered = sorted(changes, key=lambda c: c.path)
    gone: dict[Entry, list[bytes]] = {}
    for change in ordered:
        if change.new is None and change.old is not None:
            gone.setdefault(change.old, []).append(change.path)
    if not gone:
        return tuple(ordered)
    out = []
    for change in ordered:
        origins = gone.get(change.new) if change.old is None and change.new is not None else None
        if not origins:
            out.append(change)
            continue
        name = change.path.rsplit(b"/", 1)[-1]
        origin = next((p for p in origins if p.rsplit(b"/", 1)[-1] == name), origins[0])
        origins.remove(origin)
        out.append(Change(change.path, change.old, change.new, origin))
    return tuple(out)


def all_paths(repo: Repository, tree: str, roots: Sequence[str]) -> list[tuple[bytes, Entry]]:
    """Returns every file of ``tree`` below the roots."""
    out = repo.git.run("ls-tree", "-r", "-z", "--full-tree", tree, "--", *roots)
    return listed(out)


def listed(out: bytes) -> list[tuple[bytes, Entry]]:
    """Returns the entries that ``git ls-tree -z`` has printed."""
    found = []
    for record in out.split(b"\0")[:-1]:
        meta, path = record.split(b"\t", 1)
        mode, _, oid = meta.decode().split(" ")
        found.append((path, Entry(mode, oid)))
    return found


def entries_at(repo: Repository, tree: str, paths: Sequence[bytes]) -> dict[bytes, Entry]:
    """Returns the entries of ``tree`` at these paths, without folders and missing paths."""
    found = found_at(repo, tree, paths)
    return {path: entry for path, entry in found.items() if entry.mode != TREE_MODE}


def index_paths(repo: Repository, roots: Sequence[str]) -> list[tuple[bytes, Entry]]:
    """Returns every file of the index below the roots."""
    out = repo.git.run("ls-files", "-s", "-z", "--", *roots, index=True)
    found = []
    for record in out.split(b"\0")[:-1]:
        meta, path = record.split(b"\t", 1)
        mode, oid, _ = meta.decode().split(" ")
        found.append((path, Entry(mode, oid)))
    return found


def worktree_paths(repo: Repository, roots: Sequence[str]) -> list[tuple[bytes, Entry]]:
    """Returns every file on disk below the roots that git knows or does not ignore."""
    found: dict[bytes, Entry] = dict(index_paths(repo, roots))
    for change in to_worktree(repo, None, roots):
        if change.new is None:
            found.pop(change.path, None)
        else:
            found[change.path] = change.new
    return sorted(found.items())


def hidden(
    repo: Repository, roots: Sequence[str], listing: Listing | None = None
) -> dict[bytes, tuple[Entry, Entry | None]]:
    """Returns the files that differ on disk from the index, but that git does not report.

    These are files marked assume-unchanged or skip-worktree (a sparse checkout), at which git does not look,
    and submodules with edits, of which git compares the commit only.

    Args:
        listing: Of the same roots; None: it is asked for.

    Returns:
        Path → the entry in the index, and that on disk; an id of zeros if that has none.
    """
    marked: dict[bytes, Entry] = {}
    unclean: dict[bytes, tuple[Entry, Entry | None]] = {}
    for path, entry, _, unwatched in (listing or Listing(repo, roots)).special:
        if unwatched:
            marked[path] = entry
        elif entry.mode == SUBMODULE_MODE and checked_out(repo, path) and edited(repo, path) is not None:
            unclean[path] = entry, Entry(entry.mode, "0" * len(entry.oid))
    disk = _on_disk(repo, marked, {path: entry.mode for path, entry in marked.items()}, write=False)
    differ = {path: (entry, disk.get(path)) for path, entry in marked.items() if disk.get(path) != entry}
    return {**differ, **unclean}


def store(repo: Repository, entries: Mapping[bytes, Entry | None]) -> dict[bytes, Entry | None]:
    """Writes into the object database the blobs of these entries that only the working tree has.

    Returns:
        The entries whose object is there now. A file that has changed since is left out.
    """
    nowhere = (SUBMODULE_MODE, DVC_MODE)
    blobs = sorted({e.oid for e in entries.values() if e is not None and e.mode not in nowhere})
    missing = {oid for oid, found in zip(blobs, repo.objects.look(*blobs), strict=True) if found is None}
    if not missing:
        return dict(entries)
    absent = [p for p, e in entries.items() if e is not None and e.oid in missing]
    written = _on_disk(repo, absent, {p: e.mode for p, e in entries.items() if e is not None}, write=True)
    lost = {p for p in absent if written.get(p) != entries[p]}
    return {p: e for p, e in entries.items() if p not in lost}


def _records(out: bytes) -> Iterator[_Raw]:
    fields = iter(out.split(b"\0"))
    for meta in fields:
        if not meta:
            return
        old_mode, new_mode, old_oid, new_oid, status = meta[1:].decode().split(" ")
        yield _Raw(old_mode, new_mode, old_oid, new_oid, status[0], next(fields))


def _old(record: _Raw) -> Entry | None:
    known = record.status != "A" and record.old_oid.strip("0")
    return Entry(record.old_mode, record.old_oid) if known else None


def _new(record: _Raw) -> Entry | None:
    return None if record.status == "D" else Entry(record.new_mode, record.new_oid)


def _on_disk(
    repo: Repository, paths: Iterable[bytes], modes: dict[bytes, str], *, write: bool
) -> dict[bytes, Entry]:
    """Returns the entries that git would make of these paths, without those at which there is no file."""
    top = os.fsencode(repo.top)
    found: dict[bytes, Entry] = {}
    regular: dict[bytes, int] = {}
    for path in paths:
        full = top + b"/" + path
        try:
            status = os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if modes[path] == SUBMODULE_MODE and stat.S_ISDIR(status.st_mode):
            commit = checked_out(repo, path)
            if commit is not None:
                found[path] = Entry(SUBMODULE_MODE, commit)
        elif stat.S_ISLNK(status.st_mode):
            found[path] = Entry(SYMLINK_MODE, link_oid(repo, os.readlink(full), write=write))  # noqa: PTH115
        elif stat.S_ISREG(status.st_mode):
            if modes[path] not in ("100644", "100755"):
                executable = status.st_mode & stat.S_IXUSR and repo.tells_modes
                modes[path] = "100755" if executable else "100644"
            regular[path] = status.st_size
    if regular and write:
        out = repo.git.run("hash-object", "-w", "--stdin-paths", stdin=quoted([*regular]), index=True)
        oids = dict(zip(regular, out.decode().split(), strict=True))
    else:
        oids = hashed(repo, regular) if regular else {}
    return {**found, **{path: Entry(modes[path], oid) for path, oid in oids.items()}}


def link_oid(repo: Repository, target: bytes, *, write: bool = False) -> str:
    """Returns the id of a link's blob."""
    if write:
        return repo.git.run("hash-object", "-w", "--stdin", "--no-filters", stdin=target).decode().strip()
    algorithm = hashlib.sha256 if len(repo.empty_tree) > 40 else hashlib.sha1  # noqa: PLR2004
    return algorithm(b"blob %d\0" % len(target) + target).hexdigest()
