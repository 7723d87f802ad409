"""Finds the files that feed a target, and the data version that their contents give it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from functools import cached_property

from raw_trigger.dvc.tracked import Tracked
from raw_trigger.mapping.clauses import Affected
from raw_trigger.mapping.rules import Compare, Match, RuleBook
from raw_trigger.model.changes import Change, ChangeSet, Desired, Entry, show
from raw_trigger.model.plan import PlannedTarget, Target
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository


class Feeding:
    """Finds the files of the desired side by target; all are listed and mapped once, when first needed.

    Args:
        compare: Tells the targets of a file whose rows name partitions.
    """

    def __init__(
        self,
        repo: Repository,
        tracked: Tracked,
        changes: ChangeSet,
        rules: RuleBook,
        compare: Compare,
    ) -> None:
        self._compare = compare
        self._repo = repo
        self._tracked = tracked
        self._changes = changes
        self._rules = rules
        self._rows: dict[bytes, frozenset[Target]] = {}

    def compare(self, path: bytes, match: Match, old: Entry | None, new: Entry | None) -> Affected:
        """Tells how two versions of a path affect its targets."""
        return self._compare(path, match, old, new)

    def feeds(self, target: Target) -> bool:
        """Says whether some remaining file feeds the target."""
        return bool(self.paths(target))

    def paths(self, target: Target) -> list[tuple[bytes, Entry]]:
        """Returns the files that feed the target."""
        asset = Target(target.asset)
        by_row = [
            (path, entry)
            for path, entry, match in self._by_row.get(asset, ())
            if target == asset or target in self._rows_of(path, entry, match)
        ]
        return [*self._by_target.get(target, ()), *by_row]

    def fed(self) -> frozenset[str]:
        """Returns the assets that existing files feed, in any partition."""
        return frozenset(target.asset for _, _, match in self._mapped for target in match.targets)

    def of(self, assets: Set[str]) -> frozenset[Target]:
        """Returns the targets among these assets that read existing files.

        If rows name the partitions, the target is the asset without a partition.
        """
        catalog = self._rules.catalog
        if catalog is None:
            return frozenset()
        found: set[Target] = set()
        for target in {target for _, _, match in self._mapped for target in match.targets}:
            # The children of an external asset read its file.
            for key in catalog.readers(target.asset):
                if key in assets:
                    whole = catalog.assets[key].partitions is None
                    found.add(Target(key, None if whole else target.partition))
        return frozenset(found)

    def _rows_of(self, path: bytes, entry: Entry, match: Match) -> frozenset[Target]:
        if path not in self._rows:
            self._rows[path] = frozenset(self._compare(path, match, None, entry).targets)
        return self._rows[path]

    @cached_property
    def _by_target(self) -> dict[Target, list[tuple[bytes, Entry]]]:
        found: dict[Target, list[tuple[bytes, Entry]]] = {}
        for path, entry, match in self._mapped:
            for target in () if match.by_row else match.targets:
                found.setdefault(target, []).append((path, entry))
        return found

    @cached_property
    def _by_row(self) -> dict[Target, list[tuple[bytes, Entry, Match]]]:
        found: dict[Target, list[tuple[bytes, Entry, Match]]] = {}
        for path, entry, match in self._mapped:
            for target in match.targets if match.by_row else ():
                found.setdefault(target, []).append((path, entry, match))
        return found

    @cached_property
    def _mapped(self) -> list[tuple[bytes, Entry, Match]]:
        gone = {change.path for change in self._changes.changes if change.new is None}
        paths = desired_paths(self._repo, self._tracked, self._changes.desired)
        matched = ((path, entry, self._rules.match(path)) for path, entry in paths if path not in gone)
        return [(path, entry, match) for path, entry, match in matched if match is not None]


def lacking(
    changed: Iterable[bytes],
    absent: Iterable[bytes],
    rules: RuleBook,
    made_from: Callable[[Target], Iterable[Target]],
) -> dict[bytes, tuple[bytes, ...]]:
    """Returns the changed paths whose targets also read missing files, each with these files.

    Args:
        absent: Files whose content is not here.
        made_from: Returns the targets that are made when a target is.
    """
    read: dict[str, list[tuple[str | None, bytes]]] = {}
    for path, match in _matches(absent, rules):
        for target in match.targets:
            asset = None if rules.catalog is None else rules.catalog.assets.get(target.asset)
            if rules.catalog is not None and asset is not None and asset.kind != "materializable":
                # A report reads no file, but the asset's children do.
                for key in rules.catalog.children.get(asset.key, ()):
                    read.setdefault(key, []).append((None, path))
            else:
                read.setdefault(target.asset, []).append((target.partition, path))
    found = {}
    for path, match in _matches(changed, rules) if read else ():
        made = {one for target in match.targets for one in made_from(target)}
        lacks = {
            other
            for one in made
            for partition, other in read.get(one.asset, ())
            if partition is None or one.partition in (None, partition)
        }
        if lacks - {path}:
            found[path] = tuple(sorted(lacks - {path}))
    return found


def _matches(paths: Iterable[bytes], rules: RuleBook) -> Iterator[tuple[bytes, Match]]:
    for path in paths:
        match = rules.match(path)
        if match is not None:
            yield path, match


def desired_paths(repo: Repository, tracked: Tracked, desired: Desired) -> list[tuple[bytes, Entry]]:
    """Returns every raw file of the desired side."""
    if desired.kind == "revision" and desired.oid is not None:
        return tracked.files(desired.oid)
    watched = tracked.watched(desired)
    listed = (diff.index_paths if desired.kind == "index" else diff.worktree_paths)(repo, watched)
    return tracked.paths(listed)


def content_of(
    target: PlannedTarget,
    changed: Mapping[bytes, Change],
    feeding: Iterable[tuple[bytes, Entry]],
    desired: Desired,
) -> tuple[str, dict[str, str | int]]:
    """Returns the data version of a reported target, and what its event says about the files.

    The version is the blob's id if one file feeds it, a digest of all ids if several do.
    """
    entries: dict[bytes, Entry] = dict(feeding)
    for path in target.paths:
        new = changed[path].new if path in changed else None
        if new is None:
            entries.pop(path, None)
        else:
            entries[path] = new
    names = [show(path).encode("utf-8", "replace").decode() for path in sorted(entries)[:5]]
    metadata: dict[str, str | int] = {"raw_files": len(entries), "raw_paths": ", ".join(names)}
    if desired.oid is not None:
        metadata["raw_commit"] = desired.oid
    if not entries:
        return "deleted", metadata
    if len(entries) == 1:
        return next(iter(entries.values())).oid, metadata
    digest = hashlib.sha256()
    for path, entry in sorted(entries.items()):
        digest.update(path + b"\0" + entry.oid.encode() + b"\0")
    return digest.hexdigest(), metadata
