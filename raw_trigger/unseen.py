"""Finds files under the raw roots that git does not see, or sees with other content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from raw_trigger.check import Finding
from raw_trigger.mapping.junk import junk
from raw_trigger.model.changes import SUBMODULE_MODE, Entry, show
from raw_trigger.repo.links import hops
from raw_trigger.repo.repository import Repository

_SHOWN = 20
"""The most places of one kind that are named; nobody reads more."""


def unseen(
    repo: Repository, roots: Sequence[str], files: Mapping[bytes, Entry], links: Mapping[bytes, bytes]
) -> list[Finding]:
    """Returns findings on ignored data, other repositories, submodules, and where links lead.

    Args:
        files: Every raw file.
        links: Every link under the roots, and its text.
    """
    found = [*_ignored(repo, roots, files), *_repositories(repo, roots), *_submodules(files)]
    return [*found, *_links(roots, files, links)]


def _ignored(repo: Repository, roots: Sequence[str], files: Mapping[bytes, Entry]) -> Iterator[Finding]:
    flags = ("--others", "--ignored", "--exclude-standard", "--directory", "-z")
    listed = repo.git.run("ls-files", *flags, "--", *roots, index=True).split(b"\0")[:-1]
    # Git also ignores DVC's data, which is known from DVC's pointer files.
    split = (path.split(b"/") for path in files)
    known = {b"/".join(parts[:i]) for parts in split for i in range(len(parts) + 1)}
    data = (path for path in listed if path.rstrip(b"/") not in known and not _is_junk(path))
    for path in islice(_outermost(data), _SHOWN):
        yield Finding("note", show(path), "git ignores it, so nothing is made from it (git check-ignore -v)")


def _outermost(paths: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the outermost paths: git also lists the files of a folder if only some patterns ignore them."""
    folder = None
    for path in sorted(paths):
        if folder is None or not path.startswith(folder):
            folder = path if path.endswith(b"/") else None
            yield path


def _is_junk(path: bytes) -> bool:
    return junk(show(path) + ("x" if path.endswith(b"/") else "")) is not None


def _repositories(repo: Repository, roots: Sequence[str]) -> Iterator[Finding]:
    listed = repo.git.run("ls-files", "--others", "--exclude-standard", "-z", "--", *roots, index=True)
    for path in islice((one for one in listed.split(b"\0") if one.endswith(b"/")), _SHOWN):
        yield Finding("warning", show(path), "a repository of its own, into which git does not look")


def _submodules(files: Mapping[bytes, Entry]) -> Iterator[Finding]:
    modules = (path for path, entry in files.items() if entry.mode == SUBMODULE_MODE)
    for path in islice(modules, _SHOWN):
        yield Finding("note", show(path), "a submodule: it is one raw file, which changes with its commit")


def _links(
    roots: Sequence[str], files: Mapping[bytes, Entry], links: Mapping[bytes, bytes]
) -> Iterator[Finding]:
    within = tuple(b"" if root == "." else root.encode("utf-8", "surrogateescape") + b"/" for root in roots)
    for link, text in islice(sorted(links.items()), _SHOWN):
        if b"annex/objects/" in text:
            continue
        way = hops(link, links)
        place = way[-1] if way else text
        if place in files or any(path.startswith(place + b"/") for path in files):
            message = f"a link to {show(place)}: an edit of that counts for the link, too"
            yield Finding("note", show(link), message)
        elif not way or not place.startswith(within):
            message = f"a link to {show(place)}, which is under no raw root: nothing sees when that is edited"
            yield Finding("warning", show(link), message)
