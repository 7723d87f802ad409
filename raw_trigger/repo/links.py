"""Follows links under the raw roots to raw files: an edit of such a file is an edit of the link too."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
from collections.abc import Mapping, Sequence
from contextlib import suppress

from raw_trigger.errors import GitError
from raw_trigger.model.changes import SYMLINK_MODE, WORKTREE, Desired, Entry, show, to_bytes
from raw_trigger.repo import diff
from raw_trigger.repo.listing import Listing
from raw_trigger.repo.repository import Repository

_HOPS = 40
"""The most links that are followed one after the other: as many as Linux follows."""


class Links:
    """Knows where the links of the desired side lead; they are read when first needed."""

    def __init__(self, repo: Repository, roots: Sequence[str]) -> None:
        self._repo = repo
        self._roots = tuple(roots)
        self._side = Desired("worktree", WORKTREE)
        self._listing = Listing(repo, roots)
        self._leading: Mapping[bytes, tuple[bytes, ...]] | None = None

    def look_at(self, desired: Desired, listing: Listing) -> None:
        """Takes the side that is asked about from now on, with the listing of the index and the disk."""
        self._side, self._listing, self._leading = desired, listing, None

    def to(self, path: bytes) -> tuple[bytes, ...]:
        """Returns the links that lead to the file, or to a folder above it."""
        if self._leading is None:
            self._leading = leading(self.texts())
        if not self._leading:
            return ()
        found: list[bytes] = []
        end = len(path)
        while end > 0:
            found += self._leading.get(path[:end], ())
            end = path.rfind(b"/", 0, end)
        return tuple(one for one in dict.fromkeys(found) if one != path)

    def texts(self) -> dict[bytes, bytes]:
        """Returns every link of the side under the roots, with its text."""
        repo, side = self._repo, self._side
        if side.kind == "revision" and side.oid is not None:
            return _at(repo, side.oid, self._roots)
        links = {one.path: one.entry for one in self._listing.special if one.entry.mode == SYMLINK_MODE}
        if side.kind == "index":
            return _texts(repo, links)
        found = {path: _on_disk(repo, path) for path in (*links, *self._listing.untracked)}
        return {path: text for path, text in found.items() if text is not None}


def leading(texts: Mapping[bytes, bytes]) -> dict[bytes, tuple[bytes, ...]]:
    """Returns for each place the links that lead there. Pure.

    Args:
        texts: Each link, relative to the repository's top, and its text.
    """
    found: dict[bytes, dict[bytes, None]] = {}
    for link in sorted(texts):
        for place in hops(link, texts):
            found.setdefault(place, {})[link] = None
    return {place: tuple(links) for place, links in found.items()}


def hops(link: bytes, texts: Mapping[bytes, bytes]) -> list[bytes]:
    """Returns where a link leads inside the repository, and every further link on the way. Pure."""
    found: list[bytes] = []
    place = _next(link, texts[link])
    while place is not None and len(found) < _HOPS:
        parts = place.split(b"/")
        heads = (b"/".join(parts[:i]) for i in range(1, len(parts) + 1))
        head = next((one for one in heads if one in texts), None)
        if head is None:
            return [*found, place]
        found.append(head)
        further = _next(head, texts[head])
        place = None if further is None else posixpath.normpath(further + place[len(head) :])
    return found


def _next(link: bytes, text: bytes) -> bytes | None:
    """Returns where one link leads; None if it leads out of the repository."""
    place = posixpath.normpath(posixpath.join(posixpath.dirname(link), text))
    return None if place.startswith((b"/", b"../")) or place in (b"..", b".") else place


def _on_disk(repo: Repository, path: bytes) -> bytes | None:
    """Returns the text of a link on disk; None if there is none."""
    try:
        return os.readlink(os.fsencode(repo.top) + b"/" + path)  # noqa: PTH115
    except OSError:
        return None


def _texts(repo: Repository, links: Mapping[bytes, Entry]) -> dict[bytes, bytes]:
    """Returns the texts of links: read from disk if the disk has the same as git, else from git."""
    found: dict[bytes, bytes] = {}
    lacking: dict[bytes, str] = {}
    for path, entry in links.items():
        text = _on_disk(repo, path)
        if text is not None and diff.link_oid(repo, text) == entry.oid:
            found[path] = text
        else:
            lacking[path] = entry.oid
    with suppress(GitError):  # a partial clone may lack them
        found |= dict(zip(lacking, repo.objects.contents(list(lacking.values())), strict=True))
    return found


def _at(repo: Repository, tree: str, roots: Sequence[str]) -> dict[bytes, bytes]:
    """Returns the links of a tree; only entries that differ from the tree of the last call are read."""
    name = hashlib.sha256("\0".join(roots).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    file = repo.private_dir / "cache" / f"links-{name}.json"
    known: dict[bytes, bytes] = {}
    links: dict[bytes, Entry] | None = None
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, GitError):
        document = json.loads(file.read_bytes())
        kept = {to_bytes(path): to_bytes(text) for path, text in document["links"].items()}
        if document["tree"] == tree:
            return kept
        changes = diff.between_trees(repo, document["tree"], tree, roots)
        gone = {change.path for change in changes}
        known = {path: text for path, text in kept.items() if path not in gone}
        new = {change.path: change.new for change in changes if change.new is not None}
        links = {path: entry for path, entry in new.items() if entry.mode == SYMLINK_MODE}
    if links is None:
        links = _all_at(repo, tree, roots)
    found = known | _texts(repo, links)
    shown = {show(path): show(text) for path, text in found.items()}
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps({"tree": tree, "links": shown}))
        temporary.replace(file)
    return found


def _all_at(repo: Repository, tree: str, roots: Sequence[str]) -> dict[bytes, Entry]:
    """Returns every link of an unknown tree. Most trees have none, and their modes say so."""
    listing = ("ls-tree", "-r", "-z", "--full-tree")
    # A git before 2.36 knows no formats.
    modes = repo.git.attempt(*listing, "--format=%(objectmode)", tree, "--", *roots)
    if modes.returncode == 0 and SYMLINK_MODE.encode() not in modes.stdout:
        return {}
    out, begin = repo.git.run(*listing, tree, "--", *roots), SYMLINK_MODE.encode() + b" "
    lines = (line.split(b"\t", 1) for line in out.split(b"\0") if line.startswith(begin))
    return {path: Entry(SYMLINK_MODE, meta.split(b" ")[2].decode()) for meta, path in lines}
