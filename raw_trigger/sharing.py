"""The record of an environment, shared through the repository itself: fetched from origin before a run, and
published after it by the one job that has all results.

Publishing is one compare-and-swap on origin's ref. Where another run published meanwhile, the results are
put onto what it recorded, path by path. Of a path that both touched, what is certain is recorded: the same
content is no conflict, and where the contents differ nobody knows which came last, so it is pending again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from raw_trigger import state
from raw_trigger.errors import RecordError
from raw_trigger.mapping.rules import agree
from raw_trigger.model.changes import DVC_MODE, SUBMODULE_MODE, Entry
from raw_trigger.model.record import Record, Reflected, Results, Verdict
from raw_trigger.repo import diff, publishing
from raw_trigger.repo.dvc_entries import FOLDER
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.tracked import Tracked
from raw_trigger.repo.trees import TREE_MODE, rewrite
from raw_trigger.results import united

_TRIES = 30
_PAUSE = 0.1
"""Seconds between two tries, at most, times the number of tries: another publication takes about a second."""

Fed = Mapping[bytes, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Publication:
    """What became of a publication.

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
    """Take over what is recorded on the remote; None, and nothing recorded here either, if nothing is.

    Args:
        remote: Its name or URL.
        token: See :func:`raw_trigger.repo.publishing.connected`.

    Raises:
        GitError: the remote cannot be read.
        RecordError: its ref names no recorded tree; the local record is left alone then.
    """
    return _fetch(publishing.connected(repo, remote, token), environment, remote)


def publish(
    repo: Repository,
    environment: str,
    remote: str,
    results: Iterable[Results],
    *,
    roots: Sequence[str],
    token: str | None = None,
) -> Publication:
    """Put what a run came to onto what is recorded on the remote, and record it there and here.

    Where nothing is recorded there, what was planned with is published with it.

    Args:
        results: Of every job of the run.
        roots: The raw roots.

    Raises:
        RecordError: the remote's ref names no recorded tree, is moved by others again and again, or what was
            planned with is not here.
        GitError: git cannot read or write this repository.
    """
    repo = publishing.connected(repo, remote, token)
    ref = state.PREFIX + environment
    try:
        runs = [_with_contents(repo, remote, one) for one in united(results)]
        for tries in range(1, _TRIES + 1):
            latest = _fetch(repo, environment, remote)
            if not runs:
                return Publication("done", latest.tree if latest else None)
            start = latest or _first(repo, remote, runs[0].planned_with, roots)
            tree, pending = _applied(repo, remote, start, runs, roots)
            if latest is not None and tree == latest.tree:
                return Publication("done", tree, pending)
            pushed = publishing.push(repo, remote, ref, tree, latest.tree if latest else None)
            if pushed.status != "moved":
                publishing.keep(repo, ref, tree)
                return Publication(pushed.status, tree, pending, pushed.words)
            time.sleep(random.uniform(0, _PAUSE * tries))
    except publishing.UnreachableError as error:
        return Publication("unreachable", publishing.local(repo, ref), words=error.message)
    raise RecordError(
        f"{ref} on {remote} is being moved by others all the time ({pushed.words})",
        "what ran is still pending: run the workflow again, one run at a time (`concurrency:`)",
    )


def _fetch(repo: Repository, environment: str, remote: str) -> Record | None:
    ref = state.PREFIX + environment
    before = publishing.local(repo, ref)
    if publishing.fetch(repo, remote, ref) is None:
        return None
    try:
        return state.read(repo, environment)
    except RecordError as error:
        publishing.keep(repo, ref, before)
        raise RecordError(
            f"{error.message} (fetched from {remote})",
            f"delete it there with `git push {remote} --delete {ref}`; the next run then begins anew",
        ) from error


@dataclass(frozen=True, slots=True)
class Side:
    """A record, and what its tree holds at the paths that matter."""

    record: Record
    entries: Mapping[bytes, Entry]

    def at(self, path: bytes) -> tuple[Entry | None, Reflected]:
        """What is recorded of the path."""
        return self.entries.get(path), self.record.exceptions.get(path, {})


@dataclass(frozen=True, slots=True)
class Merged:
    """What is to be promoted, as :func:`raw_trigger.state.promote` takes it."""

    verdicts: Mapping[bytes, Verdict]
    seen: Record | None
    unsure: Fed


def merge(results: Results, before: Side | None, now: Side) -> Merged:
    """The results of a run, where others may have recorded something since it was planned.

    Args:
        before: What it was planned with; None: not known any more.
        now: What is recorded.
    """
    unmoved = before is not None and before.record.tree == now.record.tree
    theirs, ours = now.record.rules, results.rules
    # Under other rules a path has other targets: what is whole by ours may not be by theirs. Their rules
    # stay in force, and the next plan compares them with its own.
    same_rules = unmoved or agree(theirs, ours)
    verdicts: dict[bytes, Verdict] = {}
    pending: dict[bytes, frozenset[str]] = {}
    for path, verdict in results.verdicts.items():
        if unmoved or (
            same_rules and _agree(verdict.entry, before.at(path) if before else None, now.at(path))
        ):
            verdicts[path] = verdict
        elif verdict.targets:
            pending[path] = verdict.targets
    for path, targets in results.planned.items():
        if not unmoved and (before is None or before.at(path) != now.at(path)):
            verdict = verdicts.get(path, Verdict(None))
            left = targets - verdict.succeeded - verdict.alike
            if left:
                pending[path] = pending.get(path, frozenset()) | left
    seen = None
    if same_rules:
        newly_fed = {} if theirs is not None and theirs == ours else results.newly_fed
        # Not None: that would say that they reflect the path's absence, and a deletion would be lost.
        unknown = "0" * len(now.record.tree)
        exceptions = {path: dict.fromkeys(targets, unknown) for path, targets in newly_fed.items()}
        seen = Record(now.record.tree, exceptions, ours)
    for path, targets in results.unsure.items():
        pending[path] = pending.get(path, frozenset()) | targets
    return Merged(verdicts, seen, pending)


def _agree(
    ours: Entry | None, before: tuple[Entry | None, Reflected] | None, now: tuple[Entry | None, Reflected]
) -> bool:
    """Whether others left the path alone or, as far as they touched it, came to the same content."""
    if before == now:
        return True
    entry, exceptions = now
    old_entry, old_exceptions = before if before is not None else (None, {})
    fresh = {name: oid for name, oid in exceptions.items() if old_exceptions.get(name, "") != oid}
    settled = old_exceptions.keys() - exceptions.keys()
    if (before is None or entry != old_entry or settled) and entry != ours:
        return False
    return ours is not None and all(oid == ours.oid for oid in fresh.values()) if fresh else True


def _applied(
    repo: Repository, remote: str, start: Record, runs: Iterable[Results], roots: Sequence[str]
) -> tuple[str, dict[bytes, frozenset[str]]]:
    """The tree that these results make of a record."""
    record, pending = start, dict[bytes, frozenset[str]]()
    for run in runs:
        paths = sorted({*run.verdicts, *run.planned})
        now = Side(record, state.at(repo, record, paths))
        before: Side | None = now
        if run.planned_with != record.tree:
            known = _recorded(repo, remote, run.planned_with)
            before = None if known is None else Side(known, state.at(repo, known, paths))
        merged = merge(run, before, now)
        tree = state.promoted(repo, record, merged.verdicts, merged.seen, merged.unsure, roots=roots)
        for path, targets in merged.unsure.items():
            pending[path] = pending.get(path, frozenset()) | targets
        if tree is not None:
            again = state.read_tree(repo, tree)
            assert again is not None
            record = again
    return record.tree, pending


def _recorded(repo: Repository, remote: str, tree: str) -> Record | None:
    """The recorded tree of this id, from the remote where it is not here any more."""
    found = state.read_tree(repo, tree)
    if found is None:
        publishing.obtain(repo, remote, [tree])
        found = state.read_tree(repo, tree)
    return found


def _first(repo: Repository, remote: str, tree: str, roots: Sequence[str]) -> Record:
    """The record that was planned with, ready to be published: nothing but raw files, their contents here."""
    planned_with = _recorded(repo, remote, tree)
    if planned_with is None:
        raise RecordError(
            f"the tree {tree} that was planned with is neither here nor on {remote}",
            "record its base before the results are published: `raw-trigger ci` does with the same event",
        )
    watched = Tracked(repo, roots).watched(tree)
    raw = state.raw_tree(repo, tree, watched)
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
    """The results without verdicts about contents that are nowhere to be had: no tree can name them."""
    entries = (verdict.entry for verdict in results.verdicts.values())
    lacking = _absent(repo, remote, {entry for entry in entries if entry is not None})
    if not lacking:
        return results
    unsure = dict(results.unsure)
    kept = {}
    for path, verdict in results.verdicts.items():
        if verdict.entry not in lacking:
            kept[path] = verdict
        elif verdict.succeeded:
            unsure[path] = unsure.get(path, frozenset()) | verdict.succeeded
    return replace(results, verdicts=kept, unsure=unsure)


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
