"""Builds git trees from other trees by changing single paths, without an index."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

from raw_trigger.model.changes import FILE_MODE, SUBMODULE_MODE, Entry
from raw_trigger.repo.git import failed, quoted
from raw_trigger.repo.repository import Repository

TREE_MODE = "040000"


def rewrite(
    repo: Repository, tree: str, edits: Mapping[bytes, Entry | None], left_out: set[bytes] | None = None
) -> str:
    """Returns ``tree`` with every path of ``edits`` set to its entry, or removed if that is None.

    An entry may be a whole subtree (mode ``040000``). Only trees along the edited paths are read and written.
    A path cannot be a file and a folder at once: if an edit would make it so, what is there unedited wins,
    and the edit is left out.

    Args:
        left_out: Takes the paths of these edits.

    Raises:
        GitError: a tree is missing, or the object database cannot be written.
    """
    if not edits:
        return tree
    root = _Node()
    for path, entry in edits.items():
        node = root
        for part in path.split(b"/"):
            node = node.children.setdefault(part, _Node())
        node.edited, node.entry = True, entry
    with _Trees(repo) as trees:
        built = _build(trees, tree, root, b"", set() if left_out is None else left_out)
    return built or repo.empty_tree


class _Node:
    __slots__ = ("children", "edited", "entry")

    def __init__(self) -> None:
        self.children: dict[bytes, _Node] = {}
        self.edited = False
        self.entry: Entry | None = None


def _build(trees: _Trees, tree: str | None, node: _Node, at: bytes, left_out: set[bytes]) -> str | None:
    entries = {} if tree is None else trees.read(tree)
    for name, child in node.children.items():
        present, path = entries.get(name), at + name
        if present is not None and present.mode != TREE_MODE and not child.edited:
            left_out.update(_added(child, path))
            continue
        below = present.oid if present is not None and present.mode == TREE_MODE else None
        if child.children:
            below = _build(trees, below, child, path + b"/", left_out)
        if child.edited and child.entry is not None and (below is None or child.entry.mode == TREE_MODE):
            entries[name] = child.entry
        elif below is not None:
            entries[name] = Entry(TREE_MODE, below)
            if child.entry is not None:
                left_out.add(path)
        elif child.edited or child.children:
            entries.pop(name, None)
    return trees.write(entries) if entries else None


def _added(node: _Node, path: bytes) -> Iterator[bytes]:
    if node.entry is not None:
        yield path
    for name, child in node.children.items():
        yield from _added(child, path + b"/" + name)


class _Trees:
    """Reads and writes trees for as long as the block lasts."""

    def __init__(self, repo: Repository) -> None:
        self._objects = repo.objects
        self._written: list[str] = []
        self._writer = repo.git.open("mktree", "-z", "--batch", "--missing")

    def __enter__(self) -> _Trees:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _, said = self._writer.communicate()
        if error is not None and not isinstance(error, BrokenPipeError):
            return
        # Git prints the id even if it could not write the tree.
        if error is not None or self._writer.returncode != 0 or None in self._objects.look(*self._written):
            raise failed("mktree", self._writer.returncode, said) from error

    def read(self, oid: str) -> dict[bytes, Entry]:
        return self._objects.tree(oid)

    def write(self, entries: Mapping[bytes, Entry]) -> str:
        stdin, stdout = self._writer.stdin, self._writer.stdout
        assert stdin is not None and stdout is not None
        for name, entry in entries.items():
            kind = "tree" if entry.mode == TREE_MODE else "commit" if entry.mode == SUBMODULE_MODE else "blob"
            stdin.write(f"{entry.mode} {kind} {entry.oid}\t".encode() + name + b"\0")
        stdin.write(b"\0")
        stdin.flush()
        oid = stdout.readline().decode().strip()
        if not oid:
            raise BrokenPipeError
        self._written.append(oid)
        return oid


def found_at(repo: Repository, tree: str, paths: Iterable[bytes]) -> dict[bytes, Entry]:
    """Returns what a tree, or a commit's, has at these paths, folders too; a missing path is left out.

    Raises:
        GitError: a tree is missing.
    """
    wanted: dict[bytes, set[bytes]] = {}
    for path in paths:
        folder, _, name = path.rpartition(b"/")
        wanted.setdefault(folder, set()).add(name)
    found: dict[bytes, Entry] = {}
    folders: dict[bytes, str | None] = {b"": tree}
    for folder, names in wanted.items():
        oid = _folder(repo, folder, folders)
        if oid is not None:
            start = folder + b"/" if folder else b""
            found |= {start + name: entry for name, entry in repo.objects.tree(oid, names).items()}
    return found


def _folder(repo: Repository, path: bytes, known: dict[bytes, str | None]) -> str | None:
    """Returns the tree of a folder; None if there is none."""
    parts = path.split(b"/") if path else []
    for depth in range(1, len(parts) + 1):
        folder, above = b"/".join(parts[:depth]), b"/".join(parts[: depth - 1])
        if folder not in known:
            tree, name = known[above], parts[depth - 1]
            entry = None if tree is None else repo.objects.tree(tree, (name,)).get(name)
            known[folder] = entry.oid if entry is not None and entry.mode == TREE_MODE else None
    return known[path]


def stored(repo: Repository, texts: Mapping[bytes, str]) -> dict[bytes, Entry | None]:
    """Writes many texts into the object database, by one process."""
    if not texts:
        return {}
    with tempfile.TemporaryDirectory(prefix="raw-trigger-") as folder:
        files = [Path(folder, str(number)) for number in range(len(texts))]
        for file, text in zip(files, texts.values(), strict=True):
            file.write_text(text, encoding="utf-8")
        names = quoted([os.fsencode(file) for file in files])
        out = repo.git.run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names)
    oids = out.decode().split()
    return {name: Entry(FILE_MODE, oid) for name, oid in zip(texts, oids, strict=True)}
