"""Splits a plan into batches for several runners. Pure.

Two plans are involved: one decides how many runners there will be, often by the rules alone, and each runner
makes its own with the whole catalog. Both are cut along their components: files and targets that have to be
done in one place. The first plan gives every changed *path* to a batch; a runner takes the components of its
own plan whose smallest path was given to its batch. So each component is done exactly once, even if the
second plan has connections that the first one lacked.
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raw_trigger.documents import load_json
from raw_trigger.errors import UsageError
from raw_trigger.model.assets import Catalog
from raw_trigger.model.changes import show, to_bytes
from raw_trigger.model.plan import NO_CATALOG, Plan, PlannedChange, PlannedTarget, Target
from raw_trigger.model.text import sample
from raw_trigger.render import words

MOST_BATCHES = 256
"""The most jobs that GitHub makes of a matrix (its documentation of usage limits)."""

_KEY = "matrix"
_NAME_LENGTH = 60
_AGAIN = "run `raw-trigger ci --mode plan --matrix N` again and hand on the plan file that it writes"


@dataclass(frozen=True, slots=True)
class Batch:
    """Says what one runner does. ``number`` counts from 1; ``weight`` is the expected time in seconds.

    ``targets`` are those with something to do, as far as the plan knows them.
    """

    number: int
    name: str
    paths: tuple[bytes, ...]
    targets: tuple[Target, ...]
    weight: float


LOOK = Batch(1, "what is new in the code", (), (), 0.0)
"""A batch without files: its job loads the project, and makes what that newly makes from recorded files."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Says which batch every changed path was given to; ``count`` is the number of batches.

    ``launch`` is the launch that all of them are a part of; None: what they do is not recorded.
    """

    count: int
    numbers: Mapping[bytes, int]
    launch: str | None = None


@dataclass(frozen=True, slots=True)
class Component:
    """Holds paths, sorted, and targets that have to be done in one place."""

    paths: tuple[bytes, ...]
    targets: tuple[PlannedTarget, ...]
    changes: tuple[PlannedChange, ...]

    @property
    def undecided(self) -> int:
        """Returns how many of its files need a plan with the catalog to know their targets."""
        return sum(planned.reason == NO_CATALOG for planned in self.changes)

    @property
    def actionable(self) -> tuple[PlannedTarget, ...]:
        """Returns the targets with something to do."""
        return tuple(planned for planned in self.targets if planned.action != "skip")

    @property
    def pending(self) -> bool:
        """Says whether a runner has anything to do for it."""
        waiting = any(planned.disposition in ("dirty", "missing-content") for planned in self.changes)
        return bool(self.actionable or self.undecided or waiting)


def components(plan: Plan, catalog: Catalog | None = None) -> list[Component]:
    """Returns the plan's components, in the order of their smallest paths.

    A target belongs together with its paths, with the targets that it waits for and, if the catalog is known,
    with the other assets of its function.
    """
    union = _Union()
    for planned in plan.changes:
        union.find(planned.change.path)
        if planned.disposition == "planned":
            for target in planned.targets:
                union.join(planned.change.path, target)
    for due in plan.targets:
        for path in due.paths:
            union.join(path, due.target)
        for before in due.after:
            union.join(before, due.target)
        asset = None if catalog is None else catalog.assets.get(due.target.asset)
        for key in () if asset is None else asset.execution_set:
            union.join(Target(key, due.target.partition), due.target)
    changes: dict[object, list[PlannedChange]] = {}
    for planned in sorted(plan.changes, key=lambda p: p.change.path):
        changes.setdefault(union.find(planned.change.path), []).append(planned)
    targets: dict[object, list[PlannedTarget]] = {}
    for due in plan.targets:
        targets.setdefault(union.find(due.target), []).append(due)
    return [
        Component(tuple(p.change.path for p in members), tuple(targets.get(root, ())), tuple(members))
        for root, members in changes.items()
    ]


def assign(
    plan: Plan, most: int, seconds: Mapping[str, float], *, catalog: Catalog | None = None
) -> tuple[Batch, ...]:
    """Returns at most so many batches of about the same weight; none if nothing is pending.

    No batch is empty. Every changed path is in exactly one batch and every component in one piece. A path
    that no rule covers is a component of its own if the catalog was left out: a runner decides what it stands
    for.

    Args:
        seconds: How long each target, by its text, took lately. One that is missing takes the mean of its
            asset's other partitions, else of all, else 1.

    Raises:
        UsageError: GitHub would not take so many batches.
    """
    if not 1 <= most <= MOST_BATCHES:
        raise UsageError(
            f"--matrix {most}: there can be 1 to {MOST_BATCHES} batches", "give the number of runners to use"
        )
    pieces = components(plan, catalog) if plan.pending else []
    if not pieces:
        return ()
    expected = _Durations(seconds)
    work = [(expected.of(piece), piece) for piece in pieces if piece.pending]
    finished = [piece for piece in pieces if not piece.pending]
    work.sort(key=lambda weighted: (-weighted[0], weighted[1].paths[0]))
    # Longest first: the longest batch is at most a third above the best possible (Graham, 1969).
    bins: list[list[Component]] = [[] for _ in range(max(1, min(most, len(work))))]
    loads = [(0.0, 0, number) for number in range(len(bins))]
    weights = [0.0] * len(bins)
    for weight, piece in work:
        load, count, number = heapq.heappop(loads)
        bins[number].append(piece)
        weights[number] = load + weight
        heapq.heappush(loads, (load + weight, count + 1, number))
    bins[0] += finished
    return tuple(
        _batch(number, pieces, weight)
        for number, (pieces, weight) in enumerate(zip(bins, weights, strict=True), start=1)
    )


def share(
    plan: Plan, assigned: Assignment, number: int, *, catalog: Catalog | None = None
) -> frozenset[bytes]:
    """Returns the paths whose components this batch has to do.

    The shares of all numbers are disjoint and together hold every changed path, whichever plan was assigned.
    A component counts as its smallest path that was assigned; the first batch does one that has none.

    Raises:
        UsageError: there is no batch of this number.
    """
    if not 1 <= number <= assigned.count:
        raise UsageError(f"there is no batch {number}: the plan file has {assigned.count}", _AGAIN)
    numbers = assigned.numbers
    return frozenset(
        path
        for piece in components(plan, catalog)
        if next((numbers[path] for path in piece.paths if path in numbers), 1) == number
        for path in piece.paths
    )


def include(batches: Sequence[Batch]) -> str:
    """Returns the value for ``strategy.matrix`` as JSON: objects with ``batch`` (``1/3``) and ``name``.

    A job with an empty matrix fails on GitHub: ask first whether there is a batch at all.
    """
    return json.dumps(
        {"include": [{"batch": f"{b.number}/{len(batches)}", "name": b.name} for b in batches]},
        ensure_ascii=True,
    )


def number_of(batch: str, assigned: Assignment) -> int:
    """Returns the number of a batch that is named as in the matrix, ``1/3``.

    Raises:
        UsageError: the name is no such name, or not one of this assignment.
    """
    number, slash, count = batch.partition("/")
    if not (slash and _is_number(number) and _is_number(count)):
        raise UsageError(
            f"{words.printable(batch)} is no batch", "write it as in the matrix output, e.g. 1/3"
        )
    if int(count) != assigned.count or not 1 <= int(number) <= assigned.count:
        raise UsageError(f"batch {batch} is not in the plan file, which has {assigned.count}", _AGAIN)
    return int(number)


def with_matrix(
    document: Iterable[str], batches: Iterable[Batch], launch: str | None = None
) -> Iterator[str]:
    """Yields the pieces of a plan's JSON document with two more keys.

    These are ``launch``, and ``matrix``, the paths of every batch.
    """
    held = ""
    for piece in document:
        yield held
        held = piece
    end = held.rfind("}")
    yield held[:end] + f',\n "launch": {json.dumps(launch)},\n "{_KEY}": ['
    separator = "\n  "
    for batch in batches:
        yield separator + json.dumps({"batch": batch.number, "paths": [show(path) for path in batch.paths]})
        separator = ",\n  "
    yield "]" + held[end:]


def read_assignment(document: str | bytes) -> Assignment:
    """Returns the assignment that :func:`with_matrix` wrote.

    Raises:
        UsageError: the text is no plan file, has no batches or contradicts itself.
    """
    try:
        found = load_json(document)
    except ValueError as error:
        raise _unreadable(f"it is no JSON ({error})") from None
    if not isinstance(found, dict) or found.get("version") != 1:
        raise _unreadable("it is no JSON object of version 1")
    if not isinstance(found.get(_KEY), list):
        raise _unreadable(f"it has no list '{_KEY}'")
    numbers: dict[bytes, int] = {}
    for position, item in enumerate(found[_KEY], start=1):
        where = f"{_KEY}[{position - 1}]"
        if not isinstance(item, dict) or type(item.get("batch")) is not int or item["batch"] != position:
            raise _unreadable(f"{where} is not batch {position}")
        paths = item.get("paths")
        if not isinstance(paths, list) or not (paths or len(found[_KEY]) == 1):
            raise _unreadable(f"{where} has no list of paths")
        for text in paths:
            path = _path(text)
            if path is None:
                raise _unreadable(f"{where} has something in its list that is no path")
            if path in numbers:
                raise _unreadable(f"{words.printable(path)} is in it twice")
            numbers[path] = position
    launch = found.get("launch")
    if launch is not None and not isinstance(launch, str):
        raise _unreadable("its launch has no name")
    return Assignment(len(found[_KEY]), numbers, launch)


def _path(text: Any) -> bytes | None:
    if not isinstance(text, str) or not text or "\0" in text:
        return None
    try:
        return to_bytes(text)
    except UnicodeEncodeError:
        return None


def _unreadable(why: str) -> UsageError:
    return UsageError(f"the plan file cannot be used: {why}", _AGAIN)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(MOST_BATCHES))


def _batch(number: int, pieces: Sequence[Component], weight: float) -> Batch:
    targets = [planned.target for piece in pieces for planned in piece.actionable]
    paths = [path for piece in pieces for path in piece.paths]
    return Batch(number, _name(targets, paths), tuple(sorted(paths)), tuple(targets), weight)


def _name(targets: Sequence[Target], paths: Iterable[bytes]) -> str:
    assets = list(dict.fromkeys(target.asset for target in targets))
    if len(assets) == 1 and len(targets) > 1:
        return f"{_short(assets[0])} ({words.plural(len(targets), 'partition')})"
    names: Sequence[str | bytes] = assets or [path.rpartition(b"/")[2] for path in paths]
    if len(targets) == 1:
        return _short(targets[0].text)
    return sample([_short(name) for name in names], 1)


def _short(name: str | bytes) -> str:
    text = words.printable(name)
    return text if len(text) <= _NAME_LENGTH else text[: _NAME_LENGTH - 1] + "…"


class _Durations:
    """Knows how long targets are expected to take."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._known = {text: took for text, took in seconds.items() if math.isfinite(took) and took >= 0}
        by_asset: dict[str, list[float]] = {}
        for text, took in self._known.items():
            by_asset.setdefault(text.partition("|")[0], []).append(took)
        self._assets = {asset: _mean(values) for asset, values in by_asset.items()}
        self._mean = _mean(self._known.values()) if self._known else 1.0

    def of(self, piece: Component) -> float:
        """Returns the seconds of a component; a file whose targets are not known counts as one target."""
        return sum(map(self._of_target, piece.actionable)) + piece.undecided * self._mean

    def _of_target(self, planned: PlannedTarget) -> float:
        text = planned.target.text
        return self._known.get(text, self._assets.get(text.partition("|")[0], self._mean))


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known)


class _Union:
    """Holds disjoint sets of hashable items."""

    def __init__(self) -> None:
        self._parents: dict[object, object] = {}

    def find(self, item: object) -> object:
        parents = self._parents
        root = item
        while (above := parents.setdefault(root, root)) != root:
            root = above
        while item != root:
            parents[item], item = root, parents[item]
        return root

    def join(self, one: object, other: object) -> None:
        first, second = self.find(one), self.find(other)
        if first != second:
            self._parents[first] = second
