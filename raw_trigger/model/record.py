"""What the assets of an environment reflect, as far as we know."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from raw_trigger.model.changes import DVC_MODE, FILE_MODE, Entry, to_bytes
from raw_trigger.model.owner import Owner
from raw_trigger.model.rules import agree, takes_over

UNKNOWN = Entry("000000", "0" * 40)
"""In a content's place: nobody knows what is reflected. No content equals it, nor that a path is gone."""

EVERY = "*"
"""In a target's place: everything that a path feeds. No asset key has this character."""

Reflected = Mapping[str, "Entry | None"]
"""Target, as text → the content that it reflects; None: that the path is gone; or :data:`UNKNOWN`."""

Fed = Mapping[bytes, frozenset[str]]
"""Path → targets, as text; :data:`EVERY` among them stands for all of them."""

Again = Literal["new rule", "unknown", "other content"]
"""Edited rules newly feed the targets from the path, nobody knows what they reflect of it, or they reflect
another content.
"""

_FORGOTTEN = timedelta(days=35)
"""A workflow of GitHub's lasts no longer."""
_NONE: Mapping[bytes, Reflected] = MappingProxyType({})
_CONTENT = re.compile(r"(?:(100755|120000|160000) )?([0-9a-f]{40}|[0-9a-f]{64})|([0-9a-f]{32}(?:\.dir)?)")
"""An object's id, with its mode if that is no plain file's; or an id of DVC's."""


def content_text(entry: Entry | None) -> str | None:
    """Returns a content as it is written; None: the path is gone."""
    if entry is None or entry == UNKNOWN or entry.mode in (FILE_MODE, DVC_MODE):
        return None if entry is None else entry.oid
    return f"{entry.mode} {entry.oid}"


def read_content(value: object) -> Entry | None:
    """Returns what :func:`content_text` wrote.

    Raises:
        ValueError: it did not.
    """
    if value is None:
        return None
    found = _CONTENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{str(value)[:100]!r} is no content")
    mode, oid, md5 = found.groups()
    if md5 is not None:
        return Entry(DVC_MODE, md5)
    return Entry(mode or FILE_MODE, oid) if oid.strip("0") else UNKNOWN


@dataclass(frozen=True, slots=True)
class Launch:
    """Describes a launch whose outcome is not recorded yet: nobody knows what its targets reflect.

    Attributes:
        paths: The paths, each with the targets.
        face: Who launched it.
        started: When, in ISO 8601.
        owner: Its process; None: it is a job of CI. Such a launch stays known when another has taken all of
            its paths, so that a job of it that comes later knows that.
        contested: Those of the paths and targets of which another launch, begun before this one, has made
            something meanwhile.
        submitted: Whether a daemon or a deployment carries it out, so that it goes on without its owner.
        top: The working tree whose files it reads; empty: not known.
        commit: The commit whose files it reads, in a deployment; empty: it reads those of ``top``.
        moment: When it began by the clock of the file system, in seconds since 1970; None: not known.
    """

    paths: Fed
    face: str = ""
    started: str = ""
    owner: Owner | None = None
    contested: Fed = field(default_factory=dict)
    submitted: bool = False
    top: str = ""
    commit: str = ""
    moment: float | None = None

    @property
    def targets(self) -> frozenset[str]:
        """Returns the targets of all its paths."""
        return frozenset[str]().union(*self.paths.values())

    def of(self, targets: frozenset[str]) -> Launch:
        """Returns the launch as if it were for these targets only."""
        paths = {path: names & targets for path, names in self.paths.items()}
        return replace(self, paths={path: names for path, names in paths.items() if names})

    def is_recent(self, newer: Launch) -> bool:
        """Returns whether a job of it on CI may still come after this launch began."""
        if self.owner is not None or not (self.started and newer.started):
            return False
        began, now = datetime.fromisoformat(self.started), datetime.fromisoformat(newer.started)
        return now - began < _FORGOTTEN

    def has(self, path: bytes, target: str) -> bool:
        """Returns whether nobody but this launch may say what the target reflects of the path."""
        return not self.paths.get(path, frozenset()).isdisjoint((target, EVERY))

    def is_alone(self, path: bytes, target: str) -> bool:
        """Returns whether nobody else has made the target from the path meanwhile."""
        return self.has(path, target) and target not in self.contested.get(path, frozenset())


@dataclass(frozen=True, slots=True)
class Learnt:
    """Holds what somebody came to know of one path.

    Attributes:
        entry: Its content; None: it is gone.
        targets: Everything that it feeds. Where that is nothing, it is settled by looking at it, but for what
            it once fed; None: not everything is known.
        reflects: What some of them reflect of it now.
        equivalent: What others reflect, which differs from ``entry`` in nothing that counts for them.
    """

    entry: Entry | None
    targets: frozenset[str] | None = frozenset()
    reflects: Reflected = field(default_factory=dict)
    equivalent: Reflected = field(default_factory=dict)

    @classmethod
    def unknown(cls, targets: Iterable[str]) -> Learnt:
        """Returns that it is unknown what these targets reflect of the path; the rest stays as recorded."""
        return cls(None, None, dict.fromkeys(targets, UNKNOWN))

    @property
    def ran(self) -> bool:
        """Says whether everything that the path feeds was made from it."""
        return bool(self.targets) and self.targets == self._made

    @property
    def differs_in_nothing(self) -> bool:
        """Says whether the targets that were not made from it differ from it in nothing that counts."""
        return self.targets is not None and self.targets <= self._made | self.equivalent.keys()

    @property
    def _made(self) -> frozenset[str]:
        return frozenset(name for name, told in self.reflects.items() if told == self.entry)

    def after(self, recorded: Entry | None, seen: Reflected) -> tuple[Entry | None, Reflected]:
        """Returns the path's entry and its exceptions, from those before.

        Args:
            recorded: The path's entry in the tree.
            seen: Its exceptions.
        """
        if self.targets is None:
            now = {**seen, **self.reflects}
        else:
            rest = UNKNOWN if EVERY in seen else recorded
            now = {**{name: seen.get(name, rest) for name in self.targets}, **self.reflects}
            if all(told == self.entry or self._is_equivalent(name, told) for name, told in now.items()):
                return self.entry, {} if self.targets or EVERY not in seen else {EVERY: UNKNOWN}
        return recorded, {name: told for name, told in sorted(now.items()) if told != recorded}

    def _is_equivalent(self, target: str, told: Entry | None) -> bool:
        return target not in self.reflects and target in self.equivalent and self.equivalent[target] == told


@dataclass(frozen=True, slots=True)
class Results:
    """Holds what a run came to, or `adopt`, `forget` or a batch on CI; it can travel between jobs.

    Attributes:
        planned_with: Id of the recorded tree that was planned with.
        learnt: What is known of each path now.
        launch: Whose outcome this is: nothing is unknown any more because of it.
        made: What it has made, as text, each with the recorded tree that this was planned with: others may
            have made it at the same time.
        rules_before: The rules that ``planned_with`` was recorded under; None: none were recorded.
        rules: The rules in force, as ``RuleBook.describe`` gives them; None: not to be recorded.
        edited: What nobody knows any more because the rules are not those from before.
        code: The project's code that ``rules`` were read from; None: not known.
        in_flight: Targets of the launch, as text, of which nobody knows yet what became of them.
    """

    planned_with: str
    learnt: Mapping[bytes, Learnt] = field(default_factory=dict)
    launch: str | None = None
    made: Mapping[str, str] = field(default_factory=dict)
    rules_before: str | None = None
    rules: str | None = None
    edited: Fed = field(default_factory=dict)
    code: str | None = None
    in_flight: frozenset[str] = frozenset()

    @property
    def is_about_targets(self) -> bool:
        """Says whether a target may have been made: by these rules, whatever others have recorded."""
        return bool(self.made) or any(one.reflects for one in self.learnt.values())


def edited_between(record: Record, seen: Record) -> dict[bytes, frozenset[str]]:
    """Returns what nobody knows any more of a record because edited rules read it otherwise."""
    found = {}
    for path, told in seen.kept.items():
        before = record.kept.get(path, {})
        new = frozenset(n for n, value in told.items() if value == UNKNOWN and before.get(n) != UNKNOWN)
        if new:
            found[path] = new
    return found


@dataclass(frozen=True, slots=True)
class Record:
    """Holds the recorded tree, read.

    Attributes:
        tree: Its id. The entry at a path is what all targets of the path reflect, but for the exceptions.
        kept: The exceptions as they stand in the tree.
        rules: The rules in force when it was written, as ``RuleBook.describe`` gives them; None if they
            were not recorded.
        launches: The launches whose outcome is not known, by their ids.
        instance: The Dagster instance of whose assets it speaks; None: of any.
        data: The tree of the files that DVC has; None: it has none.
        assumed: A tree of those of the files that somebody said to be materialized, and that not everything
            was made from here; None: of none.
        fresh: Paths that feed something by edited rules, as :meth:`under` has seen.
        code: The id of the project's code that the rules were read from; None: not known.
    """

    tree: str
    kept: Mapping[bytes, Reflected] = field(default_factory=lambda: _NONE)
    rules: str | None = None
    launches: Mapping[str, Launch] = field(default_factory=dict)
    instance: str | None = None
    data: str | None = None
    assumed: str | None = None
    fresh: frozenset[bytes] = frozenset()
    code: str | None = None
    _marked: dict[bytes, dict[str, Entry | None]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        marked: dict[bytes, dict[str, Entry | None]] = {}
        for launch in self.launches.values():
            for path, targets in launch.paths.items():
                marked.setdefault(path, {}).update(dict.fromkeys(targets, UNKNOWN))
        object.__setattr__(self, "_marked", marked)

    @property
    def doubtful(self) -> Collection[bytes]:
        """Returns the paths that not all targets reflect as they are recorded."""
        return self.kept.keys() | self._marked.keys()

    def in_doubt(self, roots: Iterable[str]) -> list[bytes]:
        """Returns the doubtful paths below these raw roots.

        What a record still says of other folders, which were raw roots once, is nobody's business.
        """
        tops = [to_bytes(root) for root in roots]
        return [
            path
            for path in self.doubtful
            if any(top in (b".", path) or path.startswith(top + b"/") for top in tops)
        ]

    def exceptions_of(self, path: bytes) -> Reflected:
        """Returns what single targets reflect of the path where that is not the recorded content."""
        kept, marked = self.kept.get(path, {}), self._marked.get(path)
        return {**kept, **marked} if marked else kept

    def reflected(self, path: bytes, target: str, recorded: Entry | None) -> Entry | None:
        """Returns the content of the path that a target reflects.

        Args:
            target: The target as text.
            recorded: The entry of the path in the tree.
        """
        seen = self.exceptions_of(path)
        return UNKNOWN if EVERY in seen else seen.get(target, recorded)

    def again(self, path: bytes, targets: Iterable[str]) -> Again:
        """Says why these targets are due of a path whose content is as recorded."""
        seen = self.exceptions_of(path)
        if any(seen.get(name, UNKNOWN) not in (None, UNKNOWN) for name in targets):
            return "other content"
        return "new rule" if path in self.fresh else "unknown"

    def without(self, launch_id: str | None) -> Record:
        """Returns the record as if this launch had never begun."""
        if launch_id not in self.launches:
            return self
        return replace(self, launches={key: one for key, one in self.launches.items() if key != launch_id})

    def forgetting(self, unknown: Mapping[bytes, Iterable[str]]) -> Record:
        """Returns the record where nobody knows what these targets reflect of these paths."""
        kept = dict(self.kept)
        for path, targets in unknown.items():
            kept[path] = {**kept.get(path, {}), **dict.fromkeys(targets, UNKNOWN)}
        return replace(self, kept=kept) if unknown else self

    def under(self, rules: str | None, edited: Mapping[bytes, Iterable[str]]) -> Record:
        """Returns the record as edited rules read it.

        Args:
            rules: These rules; None: they are not to be recorded.
            edited: Paths, and targets that they feed by these rules and did not before, or not in this way:
                nobody knows what these reflect.
        """
        known = self.forgetting(edited)
        return replace(known, rules=rules or self.rules, fresh=self.fresh | edited.keys())

    def launching(self, launch_id: str, launch: Launch) -> Record:
        """Returns the record where nobody knows what the targets of a launch reflect until it has ended.

        What earlier launches left unknown of its targets is its own business from now on.
        """
        asked = launch.targets - {EVERY}
        paths, kept = dict(launch.paths), dict(self.kept)
        launches = {}
        for key, other in self.launches.items():
            left: dict[bytes, frozenset[str]] = {}
            for path, targets in other.paths.items():
                taken = targets if key == launch_id or EVERY in paths.get(path, ()) else targets & asked
                if taken:
                    paths[path] = paths.get(path, frozenset()) | taken
                    if key != launch_id:  # whatever becomes of this launch
                        kept[path] = {**kept.get(path, {}), **dict.fromkeys(taken, UNKNOWN)}
                if targets - taken:
                    left[path] = targets - taken
            if left or other.is_recent(launch):
                launches[key] = replace(other, paths=left)
        contested = self.launches[launch_id].contested if launch_id in self.launches else {}
        launches[launch_id] = replace(launch, paths=paths, contested=contested)
        return replace(self, kept=kept, launches=launches)

    def after(
        self, results: Results, entries: Mapping[bytes, Entry]
    ) -> tuple[Record, dict[bytes, Entry | None]]:
        """Returns the record after somebody came to know something, and the entries of the paths that moved.

        Others may have recorded something since the results were planned. What is certain of a target is
        recorded: where two launches made it at the same time, nobody knows which of them came last.

        Args:
            entries: The recorded entries of the paths that the results are about.
        """
        same_rules = results.rules_before == self.rules or agree(results.rules, self.rules)
        record = self
        # Under rules that others have recorded meanwhile, they know what these newly feed.
        if same_rules and (self.rules == results.rules_before or takes_over(results.rules, self.rules)):
            rules = results.rules if takes_over(results.rules, self.rules) else None
            record = replace(self.under(rules, results.edited), code=results.code or self.code)
        mine = None if results.launch is None else record.launches.get(results.launch)
        kept, others = dict(record.kept), dict(record.launches)
        moved: dict[bytes, Entry | None] = {}
        for path, learnt in results.learnt.items():
            recorded, seen = entries.get(path), kept.get(path, {})
            told = dict(learnt.reflects)
            for name, value in learnt.reflects.items():
                if name not in results.made:
                    continue
                rival = next(
                    (k for k, one in others.items() if one is not mine and one.has(path, name)), None
                )
                alone = results.made[name] == self.tree or (mine is not None and mine.is_alone(path, name))
                if rival is not None:  # the same content would be no conflict
                    others[rival] = _contested(others[rival], path, name)
                elif not alone and value != (UNKNOWN if EVERY in seen else seen.get(name, recorded)):
                    told[name] = UNKNOWN
            # By others' rules other targets may be made from it.
            targets = learnt.targets if same_rules else None
            entry, kept[path] = replace(learnt, targets=targets, reflects=told).after(recorded, seen)
            if entry != recorded:
                moved[path] = entry
            if results.launch is None and path in self._marked:
                # What others make meanwhile comes after whatever is said now.
                others = {
                    key: one if one.submitted else _without(one, path, learnt) for key, one in others.items()
                }
        if results.launch is not None:
            left = others.pop(results.launch, Launch({})).of(results.in_flight)
            if left.paths:
                others[results.launch] = left
        kept = {path: seen for path, seen in kept.items() if seen}
        others = {key: one for key, one in others.items() if one.paths or (one.owner is None and one.started)}
        return replace(record, kept=kept, launches=others, fresh=frozenset()), moved


def _without(launch: Launch, path: bytes, learnt: Learnt) -> Launch:
    """The launch without what somebody else has said of its path since."""
    is_all = learnt.targets is not None and learnt.targets <= learnt.reflects.keys()
    told = learnt.reflects.keys() | ({EVERY} if is_all else set())
    left = launch.paths.get(path, frozenset()) - told
    paths = {one: names for one, names in launch.paths.items() if one != path}
    return replace(launch, paths={**paths, path: left} if left else paths)


def _contested(launch: Launch, path: bytes, target: str) -> Launch:
    names = launch.contested.get(path, frozenset()) | {target}
    return replace(launch, contested={**launch.contested, path: names})


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Holds what is recorded because somebody said so, and did not run here.

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
