"""What the assets of an environment reflect, as far as we know."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, TypeGuard

from raw_trigger.model.changes import Entry

Reflected = Mapping[str, "str | None"]
"""Target, as text → object id of the content that it reflects; None: it never saw the path; an id of zeros:
nobody knows."""

Again = Literal["new rule", "unknown", "other content"]
"""The targets never saw the path, nobody knows what they reflect of it, or they reflect another content."""

_NONE: Mapping[bytes, Reflected] = MappingProxyType({})


def is_content(oid: str | None) -> TypeGuard[str]:
    """Whether an object id of :data:`Reflected` is that of some content."""
    return oid is not None and bool(oid.strip("0"))


@dataclass(frozen=True, slots=True)
class Record:
    """The recorded tree, read.

    The entry at a path of ``tree`` is what all targets of the path reflect, but for those that
    ``exceptions`` has for it. ``rules`` are the rules in force when it was written, as
    ``RuleBook.describe`` gives them; None if they were not recorded. ``data`` is the tree of what DVC has;
    None: it has nothing. ``assumed`` is a tree of those of the
    files that somebody said to be materialized, and that not everything was made from here; None: of none.
    """

    tree: str
    exceptions: Mapping[bytes, Reflected] = field(default_factory=lambda: _NONE)
    rules: str | None = None
    data: str | None = None
    assumed: str | None = None

    def apart(self, path: bytes) -> Reflected:
        """The exceptions of a path that is planned."""
        return self.exceptions.get(path, {})

    def again(self, path: bytes, targets: Iterable[str]) -> Again:
        """Why these targets are due of a path whose content is as recorded."""
        seen = self.apart(path)
        values = {seen[name] for name in targets if name in seen}
        if any(map(is_content, values)):
            return "other content"
        return "unknown" if values - {None} else "new rule"

    def reflects(self, path: bytes, target: str, recorded: Entry | None, desired: Entry | None) -> bool:
        """Whether the target has been made from just this content of the path.

        Args:
            target: The target as text.
            recorded: The entry of the path in the tree.
            desired: What it should reflect; None: that the path is gone.
        """
        seen = self.apart(path)
        if target not in seen:
            return recorded == desired
        return seen[target] == (None if desired is None else desired.oid)

    def with_new_targets(self, feeds: Mapping[bytes, Iterable[str]]) -> Record:
        """The same record where these paths feed further targets, which have seen nothing of them yet."""
        if not feeds:
            return self
        exceptions = dict(self.exceptions)
        for path, targets in feeds.items():
            exceptions[path] = {**exceptions.get(path, {}), **dict.fromkeys(targets)}
        return replace(self, exceptions=exceptions)

    def with_other_contents(self, path: bytes, before: Collection[str], renamed: Collection[str]) -> Record:
        """The same record where something else of the path's content counts now than when its targets saw it.

        Of those it is not known what they reflect of that; what is no longer there may be in them.

        Args:
            before: The assets that it fed before; none of what it newly feeds has seen anything of it.
            renamed: The assets whose partitions it names otherwise now: these have seen nothing of it either.
        """
        unknown = "0" * len(self.tree)

        def now(name: str, oid: str | None) -> str | None:
            asset = name.partition("|")[0]
            if asset in renamed:
                return None if is_content(oid) else oid
            return unknown if oid is not None or asset in before else None

        told = {name: now(name, oid) for name, oid in self.exceptions.get(path, {}).items()}
        return replace(self, exceptions={**self.exceptions, path: told}) if told else self


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is recorded because somebody said so, and did not run here.

    Attributes:
        files: The assumed files, each with the ids of its content when that was said, and as recorded now:
            they may differ in what does not count.
        made: The targets that were made here, each with the contents that it was last made for.
    """

    files: Mapping[bytes, frozenset[str]] = field(default_factory=dict)
    made: Mapping[str, Mapping[bytes, str | None]] = field(default_factory=dict)

    def covers(self, path: bytes, target: str) -> bool:
        """Returns whether it is only assumed that the target reflects the file."""
        contents = self.made.get(target)
        if path not in self.files or contents is None:
            return path in self.files
        return path in contents and contents[path] not in self.files[path]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run came to for one path.

    ``targets`` is everything that the path feeds, ``succeeded`` what of it reflects ``entry`` now
    (None: that the path is gone). ``alike`` are those that reflect another content which differs from it
    in nothing that counts for them. A path without targets is settled by looking at it.
    """

    entry: Entry | None
    targets: frozenset[str] = frozenset()
    succeeded: frozenset[str] = frozenset()
    alike: frozenset[str] = frozenset()

    @property
    def ran(self) -> bool:
        """Whether everything that the path feeds was made from it."""
        return bool(self.targets) and self.targets <= self.succeeded

    @property
    def is_alike(self) -> bool:
        """Whether everything that was not made from it reflects what differs in nothing that counts."""
        return self.targets <= self.succeeded | self.alike

    def judge(self, recorded: Entry | None, seen: Reflected) -> tuple[Entry | None, Reflected]:
        """The path's entry and exceptions after the run, from those before it.

        Args:
            recorded: The path's entry in the tree.
            seen: Its exceptions.
        """
        if self.is_alike:
            return self.entry, {}
        default = None if recorded is None else recorded.oid
        now = None if self.entry is None else self.entry.oid
        if all(name in seen and seen[name] == now for name in self.targets - self.succeeded - self.alike):
            return self.entry, {}
        after = {name: now if name in self.succeeded else seen.get(name, default) for name in self.targets}
        return recorded, {name: oid for name, oid in sorted(after.items()) if oid != default}


@dataclass(frozen=True, slots=True)
class Results:
    """What one run came to, as a value that can travel from one job to another.

    Attributes:
        planned_with: Id of the recorded tree that was planned with.
        verdicts: For each path what its targets reflect now.
        unsure: For a path the targets of which nobody knows what they reflect of it.
        rules: The rules in force, as ``RuleBook.describe`` gives them; None: not to be recorded.
        newly_fed: For a path the targets that it feeds by these rules, and did not by those recorded, or did
            with another clause: nobody knows what these reflect until a verdict says so.
        planned: For a path everything that was to be made from it. To be given where nothing had been
            recorded and the event's own base was taken for it: then only this tells what is still to do,
            should another run have recorded another base meanwhile.
    """

    planned_with: str
    verdicts: Mapping[bytes, Verdict] = field(default_factory=dict)
    unsure: Mapping[bytes, frozenset[str]] = field(default_factory=dict)
    rules: str | None = None
    newly_fed: Mapping[bytes, frozenset[str]] = field(default_factory=dict)
    planned: Mapping[bytes, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        record: Record,
        seen: Record | None,
        verdicts: Mapping[bytes, Verdict],
        unsure: Mapping[bytes, frozenset[str]],
        planned: Mapping[bytes, frozenset[str]] = MappingProxyType({}),
    ) -> Results:
        """What a run came to.

        Args:
            record: The record as it was read before planning.
            seen: The same under today's rules, as it was planned with; None: they are not in force.
        """
        newly_fed = {}
        for path, reflected in seen.exceptions.items() if seen is not None else ():
            before = record.exceptions.get(path, {})
            edited = {
                name for name, oid in reflected.items() if not is_content(oid) and before.get(name) != oid
            }
            new = frozenset(reflected) - frozenset(before) | edited
            if new:
                newly_fed[path] = new
        rules = None if seen is None else seen.rules
        return cls(record.tree, dict(verdicts), dict(unsure), rules, newly_fed, dict(planned))
