"""Reads the words after ``diff`` and ``run``: revisions, then files, folders, globs or assets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from raw_trigger.content.feeding import desired_paths
from raw_trigger.errors import ProjectError, UsageError
from raw_trigger.mapping.patterns import PatternError, compile_glob
from raw_trigger.mapping.rules import target_named, unknown_asset
from raw_trigger.model.changes import Base, Desired, is_pointer, show, to_bytes
from raw_trigger.model.plan import Narrowing, Target
from raw_trigger.planner import Planner
from raw_trigger.revisions import from_arguments, is_revision
from raw_trigger.workspace.roots import spellings

_GLOB = re.compile(r"[*?\[]")
_REVISION = re.compile(r"(?!job:|\.{0,2}/).*([~^:]|@\{|\.\.)|[0-9a-f]{7,64}\Z")
"""Words that look like a revision and hardly like anything else."""


@dataclass(frozen=True, slots=True)
class Words:
    """Holds the words as written; ``named`` are those after ``--``, None without it."""

    first: tuple[str, ...]
    named: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Holds what the words mean: the two sides, and the wanted part of the plan."""

    base: Base
    desired: Desired
    narrowing: Narrowing


def understood(
    planner: Planner, words: Words, start: Path, *, staged: bool = False, everything: bool = False
) -> Asked:
    """Returns what the words mean. A word that is both a revision and a file is an error, as in git.

    Args:
        start: The folder that the command was started in.
        staged: Compare with the index.
        everything: Compare with nothing.

    Raises:
        UsageError: a word is neither, or could be both.
        ProjectError: the project does not load, so it is unknown whether a word is an asset.
    """
    repo, environment = planner.workspace.repo, planner.workspace.environment

    def sides(revisions: Sequence[str]) -> tuple[Base, Desired]:
        return from_arguments(repo, environment, revisions, staged=staged, everything=everything)

    revisions, names = words.first, words.named
    if names is not None:
        return _Reader(planner, start, *sides(revisions)).asked(names)
    here = [_is_here(planner, word, start) for word in revisions]
    count = here.index(True) if True in here else len(revisions)
    if count < len(revisions) and is_revision(repo, revisions[count]):
        raise UsageError(
            f"'{revisions[count]}' is both a revision and a raw file or folder",
            f"say which with `--`: `{revisions[count]} --` is the revision, `-- {revisions[count]}` the file",
        )
    try:
        base, desired = sides(revisions[:count])
    except UsageError:
        known = [is_revision(repo, word) for word in revisions[:count]]
        if all(known):
            raise
        count = known.index(False)
        base, desired = sides(revisions[:count])
    return _Reader(planner, start, base, desired, sides).asked(revisions[count:])


def _is_here(planner: Planner, word: str, start: Path) -> bool:
    """Says whether the word is a raw file, or a folder in, of or above raw files, as seen from here."""
    workspace = planner.workspace
    if not word or not os.path.lexists(start / word):
        return False
    found = spellings(workspace.repo, (), word, start)
    return bool(found) and _concerns(found[0], workspace.roots)


def _concerns(path: str, roots: Sequence[str]) -> bool:
    """Says whether the path is a raw root, below one or above one."""
    return any(_is_below(path, root) or _is_below(root, path) for root in roots)


def _is_below(path: str, above: str) -> bool:
    return above in (".", path) or path.startswith(f"{above}/")


class _Reader:
    """Finds out what names mean.

    Args:
        sides: Raises what is wrong with a word as a revision; None if it cannot be one.
    """

    def __init__(
        self,
        planner: Planner,
        start: Path,
        base: Base,
        desired: Desired,
        sides: Callable[[Sequence[str]], object] | None = None,
    ) -> None:
        self._planner = planner
        self._repo = planner.workspace.repo
        self._roots = planner.workspace.roots
        self._start = start
        self._base, self._desired, self._sides = base, desired, sides

    def asked(self, names: Sequence[str]) -> Asked:
        narrowing = self._planner.wishes.narrowing
        paths, targets = list(narrowing.paths), []
        for name in names:
            globs = self._globs(name)
            target = self._target(name, certain=not globs)
            if globs and target is not None:
                raise UsageError(
                    f"'{name}' is both a raw file or folder and an asset",
                    f"say which: `--path '{globs[-1]}'` or `--asset '{target.asset}'`",
                )
            if not globs and target is None:
                raise self._unknown(name)
            paths += globs
            targets += [] if target is None else [target]
        assets = dict.fromkeys((*narrowing.assets, *(target.asset for target in targets)))
        keys = dict.fromkeys(target.partition for target in targets if target.partition is not None)
        if keys and {Target(asset, key) for asset in assets for key in keys} != {*targets}:
            raise UsageError(
                "these are partitions of several assets", "name those of one, or use --asset and --partition"
            )
        partitions = (*narrowing.partitions, *((key, key) for key in keys))
        return Asked(
            self._base,
            self._desired,
            replace(narrowing, assets=tuple(assets), paths=tuple(paths), partitions=partitions),
        )

    @cached_property
    def _known(self) -> frozenset[bytes]:
        """Returns every raw file that differs between the two sides or that the second side has."""
        planner = self._planner
        changed = planner.detect(self._base, self._desired).changes
        there = desired_paths(self._repo, planner.tracked, self._desired)
        return frozenset((*(change.path for change in changed), *(path for path, _ in there)))

    def _globs(self, name: str) -> tuple[str, ...]:
        paths = spellings(self._repo, self._roots, name, self._start) if name else ()
        return next((globs for path in paths if (globs := tuple(self._globs_of(path)))), ())

    def _globs_of(self, path: str) -> Iterator[str]:
        """Yields globs for the file or folder at the path; else the path, if it is a glob that matches."""
        raw, full = to_bytes(path), self._repo.top / path
        if os.path.lexists(full):
            if is_pointer(raw):
                tracked = self._planner.tracked
                outs = filter(None, map(tracked.out, self._known))
                for inside in sorted({out.path for out in outs if out.pointer == raw}):
                    yield from _whole(show(inside))
            if full.is_dir() and not full.is_symlink() and _concerns(path, self._roots):
                yield from _whole(path)
            elif any(_is_below(path, root) for root in self._roots):
                yield _escaped(path)
        elif raw in self._known or any(one.startswith(raw + b"/") for one in self._known):
            yield from _whole(path)
        elif _GLOB.search(path):
            try:
                pattern = compile_glob(path)
            except PatternError:
                return
            if any(pattern.match(show(one)) is not None for one in self._known):
                yield path

    def _target(self, name: str, *, certain: bool) -> Target | None:
        """Returns the asset, job or partition of that name; None if there is none.

        Args:
            certain: Whether the name can be nothing else, so that the project as it is now decides.
        """
        planner = self._planner
        if not planner.wishes.use_catalog:
            return None
        looks_like_revision = self._sides is not None and _REVISION.match(name) is not None
        try:
            found = target_named(name, planner.catalog.known())
            if found is None and certain and not looks_like_revision:
                found = target_named(name, planner.catalog.fresh())
        except ProjectError:
            if certain and not looks_like_revision:
                raise
            return None
        return found

    def _unknown(self, name: str) -> UsageError:
        if self._sides is not None and _REVISION.match(name) is not None:
            self._sides([name])
        if self._sides is not None and is_revision(self._repo, name):
            return UsageError(f"the revision '{name}' comes after a name", "write revisions first")
        paths = spellings(self._repo, (), name, self._start) if name else ()
        if any(os.path.lexists(self._repo.top / path) for path in paths):
            return UsageError(
                f"'{name}' is no raw file (the raw roots are {', '.join(self._roots)})",
                "name a file below one of them that git does not ignore",
            )
        planner = self._planner
        asset = f": {unknown_asset(name, planner.catalog.known())}" if planner.wishes.use_catalog else ""
        kinds = "no raw file and no asset" if self._sides is None else "no revision, no raw file and no asset"
        return UsageError(
            f"'{name}' is {kinds}{asset}",
            "`raw-trigger check` lists what there is"
            if self._sides is None
            else "see `git log --oneline` and `git branch -a`",
        )


def _whole(path: str) -> tuple[str, ...]:
    """Returns globs for a file or folder and everything in it."""
    return ("**",) if path == "." else (_escaped(path), f"{_escaped(path)}/**")


def _escaped(path: str) -> str:
    return _GLOB.sub(lambda found: f"[{found.group()}]", path)
