"""Shares the record of an environment through the repository itself.

It is fetched from origin before a run, and published after it by the one job that has all results.

A launch is marked there before it begins, and its results take the mark's place: each is one
compare-and-swap on origin's ref. Where others published meanwhile, the results are put onto what they
recorded, target by target. Where two launches made a target at the same time, from contents that differ,
nobody knows which of them came last, so it is pending again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from raw_trigger.errors import RecordError
from raw_trigger.model.changes import DVC_MODE, SUBMODULE_MODE, Entry
from raw_trigger.model.record import EVERY, UNKNOWN, Launch, Learnt, Record, Results
from raw_trigger.record import successors
from raw_trigger.record import tree as recorded_tree
from raw_trigger.record.data import FOLDER
from raw_trigger.record.results import united
from raw_trigger.repo import diff, publishing
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.trees import TREE_MODE, rewrite

_TRIES = 30
_PAUSE = 0.1
"""Seconds between two tries, at most, times the number of tries: another publication takes about a second."""

Fed = Mapping[bytes, frozenset[str]]
PointerFilesOf = Callable[[Repository], successors.PointerFiles]


@dataclass(frozen=True, slots=True)
class Publication:
    """Says what became of a publication.

    Attributes:
        status: ``done``: origin has it; ``refused``: origin can be read, but does not let us write;
            ``unreachable``: it could not be reached. In both of these cases the record is here only.
        tree: The recorded tree.
        pending: Targets of paths of which nobody knows what they reflect: others touched the path too, its
            content is nowhere to be had, or the run itself was not sure. They are planned again.
        words: Git's own, where it is not done.
    """

    status: Literal["done", "refused", "unreachable"]
    tree: str | None
    pending: Fed = field(default_factory=dict)
    words: str = ""


def fetch(repo: Repository, environment: str, remote: str, token: str | None = None) -> Record | None:
    """Takes over what is recorded on the remote; None, and nothing recorded here either, if nothing is.

    Args:
        remote: Its name or URL.
        token: See :func:`raw_trigger.repo.publishing.connected`.

    Raises:
        GitError: the remote cannot be read.
        RecordError: its ref names no recorded tree; the local record is left alone then.
    """
    return _fetch(publishing.connected(repo, remote, token), environment, remote)


def begin(
    repo: Repository,
    environment: str,
    remote: str,
    launch_id: str,
    launch: Launch,
    first: str | None,
    *,
    pointer_files: PointerFilesOf,
    token: str | None = None,
) -> Publication:
    """Records on the remote and here that nobody knows what a launch makes until it is over.

    Args:
        first: What is taken for recorded where nothing is; None: what is recorded was read. Should another be
            the first meanwhile, nobody knows what reflects the launch's files: the other may have taken them
            for made.
        pointer_files: Makes what knows the pointer files of a repository.

    Raises:
        RecordError: as of :func:`publish`.
        GitError: git cannot read or write this repository.
    """

    def begun(start: Record) -> str:
        if not launch.paths:
            return start.tree
        is_others = first is not None and start.tree != first
        unknown = dict.fromkeys(launch.paths, frozenset({EVERY})) if is_others else {}
        return successors.begun(repo, start, launch_id, launch, unknown=unknown)

    return _moved(publishing.connected(repo, remote, token), environment, remote, first, pointer_files, begun)


def publish(
    repo: Repository,
    environment: str,
    remote: str,
    results: Sequence[Results],
    *,
    pointer_files: PointerFilesOf,
    token: str | None = None,
) -> Publication:
    """Publishes what a launch came to, on top of what is recorded on the remote by now.

    Where nothing is recorded there, what was planned with is published with it.

    Args:
        results: Of every job of the launch.
        pointer_files: Makes what knows the pointer files of a repository.

    Raises:
        RecordError: the remote's ref names no recorded tree, is moved by others again and again, or what was
            planned with is not here.
        GitError: git cannot read or write this repository.
    """
    repo = publishing.connected(repo, remote, token)
    said = united(results)
    told = _with_contents(repo, remote, said)
    done = _moved(
        repo,
        environment,
        remote,
        told.planned_with,
        pointer_files,
        lambda start: successors.promoted(repo, start, told, pointer_files=pointer_files(repo)),
    )
    recorded = None if done.tree is None else recorded_tree.read_tree(repo, done.tree)
    return done if recorded is None else replace(done, pending=_unsettled(repo, said, recorded))


def _moved(
    repo: Repository,
    environment: str,
    remote: str,
    first: str | None,
    pointer_files: PointerFilesOf,
    after: Callable[[Record], str],
) -> Publication:
    """Moves the remote's record to the tree that is made of it, however often others move it meanwhile."""
    ref = recorded_tree.PREFIX + environment
    try:
        for tries in range(1, _TRIES + 1):
            latest = _fetch(repo, environment, remote)
            tree = after(latest or _first(repo, remote, first or repo.empty_tree, pointer_files))
            if latest is not None and tree == latest.tree:
                return Publication("done", tree)
            pushed = publishing.push(repo, remote, ref, tree, latest.tree if latest else None)
            if pushed.status != "moved":
                publishing.keep(repo, ref, tree)
                return Publication(pushed.status, tree, words=pushed.words)
            time.sleep(random.uniform(0, _PAUSE * tries))
    except publishing.UnreachableError as error:
        return Publication("unreachable", publishing.local(repo, ref), words=error.message)
    raise RecordError(
        f"{ref} on {remote} is being moved by others all the time ({pushed.words})",
        "what ran is still pending: run the workflow again, one run at a time (`concurrency:`)",
    )


def _unsettled(repo: Repository, told: Results, recorded: Record) -> dict[bytes, frozenset[str]]:
    """What nobody knows of the record though the results say it."""
    entries = diff.entries_at(repo, recorded.tree, list(told.learnt))
    recorded = replace(recorded, launches={})  # what others are at work on, they will tell of
    found = {
        path: frozenset(
            name
            for name, value in one.reflects.items()
            if value != UNKNOWN and recorded.reflected(path, name, entries.get(path)) == UNKNOWN
        )
        for path, one in told.learnt.items()
    }
    return {path: names for path, names in found.items() if names}


def _fetch(repo: Repository, environment: str, remote: str) -> Record | None:
    ref = recorded_tree.PREFIX + environment
    before = publishing.local(repo, ref)
    if publishing.fetch(repo, remote, ref) is None:
        return None
    try:
        return recorded_tree.read(repo, environment)
    except RecordError as error:
        publishing.keep(repo, ref, before)
        raise RecordError(
            f"{error.message} (fetched from {remote})",
            f"delete it there with `git push {remote} --delete {ref}`; the next run then begins anew",
        ) from error


def _recorded(repo: Repository, remote: str, tree: str) -> Record | None:
    """The recorded tree of this id, from the remote where it is not here any more."""
    found = recorded_tree.read_tree(repo, tree)
    if found is None:
        publishing.obtain(repo, remote, [tree])
        found = recorded_tree.read_tree(repo, tree)
    return found


def _first(repo: Repository, remote: str, tree: str, pointer_files: PointerFilesOf) -> Record:
    """The record that was planned with, ready to be published: nothing but raw files, their contents here."""
    planned_with = _recorded(repo, remote, tree)
    if planned_with is None:
        raise RecordError(
            f"the tree {tree} that was planned with is neither here nor on {remote}",
            "record its base before the results are published: `raw-trigger ci` does with the same event",
        )
    watched = pointer_files(repo).watched(tree)
    raw = recorded_tree.raw_tree(repo, tree, watched)
    own = repo.git.run("ls-tree", "-z", "--full-tree", tree, "--", FOLDER)
    if own:
        raw = rewrite(repo, raw, {FOLDER.encode(): Entry(TREE_MODE, own.split()[2].split(b"\t")[0].decode())})
    # A base that was fetched to be compared with came without the contents of its files.
    head = repo.head()
    changes = diff.between_trees(repo, head.tree if head else repo.empty_tree, raw, watched)
    wanted = {change.new for change in changes if change.new is not None}
    lacking = _absent(repo, remote, wanted)
    if lacking:
        raise RecordError(
            f"the contents of {len(lacking)} files of the base are neither here nor given by {remote}",
            "clone all of it: `fetch-depth: 0` with actions/checkout",
        )
    return replace(planned_with, tree=raw)


def _with_contents(repo: Repository, remote: str, results: Results) -> Results:
    """The results, where nobody knows what reflects contents that are nowhere: no tree can name them."""
    lacking = _absent(repo, remote, {one.entry for one in results.learnt.values() if one.entry is not None})
    learnt = {
        path: Learnt.unknown(one.reflects) if one.entry in lacking else one
        for path, one in results.learnt.items()
        if one.entry not in lacking or one.reflects
    }
    return replace(results, learnt=learnt) if lacking else results


def _absent(repo: Repository, remote: str, entries: Iterable[Entry]) -> set[Entry]:
    """Which of these files' contents are neither here nor given by the remote."""
    wanted = {entry for entry in entries if entry.mode not in (SUBMODULE_MODE, DVC_MODE)}
    lacking = _no_blobs(repo, wanted)
    if lacking:
        publishing.obtain(repo, remote, sorted({entry.oid for entry in lacking}))
        lacking = _no_blobs(repo, lacking)
    return lacking


def _no_blobs(repo: Repository, entries: set[Entry]) -> set[Entry]:
    if not entries:
        return set()
    ordered = sorted(entries, key=lambda entry: entry.oid)
    asked = "".join(f"{entry.oid}\n" for entry in ordered).encode()
    out = repo.git.run("cat-file", "--batch-check=%(objecttype)", stdin=asked).splitlines()
    return {entry for entry, kind in zip(ordered, out, strict=True) if kind != b"blob"}
