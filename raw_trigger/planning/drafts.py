"""The targets of a plan while it is made. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.mapping.rules import Match, RuleBook
from raw_trigger.model.assets import Asset, Catalog
from raw_trigger.model.changes import ChangeSet, Entry
from raw_trigger.model.plan import Action, Disk, Options, Origin, Target
from raw_trigger.model.record import UNKNOWN, Record
from raw_trigger.planning.asked import is_wanted, path_filter
from raw_trigger.planning.files import Files
from raw_trigger.planning.lineage import Lineage


@dataclass(slots=True)
class Draft:
    """Holds a target while the plan is being made.

    ``via`` are its paths, each with the targets that the path itself feeds and this one is made for;
    ``reads`` are those of them that it is made from directly, not through something above it;
    ``due`` are those of its paths that it does not reflect, ``asked`` says that it was not narrowed away;
    ``alone`` that it was asked for, but nothing of what it is made from; ``joins`` that it reflects
    everything, and is made only because one function makes it with what does not.
    """

    target: Target
    origin: Origin
    via: dict[bytes, frozenset[Target]] = field(default_factory=dict)
    reads: set[bytes] = field(default_factory=set)
    due: set[bytes] = field(default_factory=set)
    action: Action = "materialize"
    reason: str | None = None
    settles: bool = False
    living: bool = False
    on_delete: str = "auto"
    dimensions: tuple[str, ...] = ()
    ready: float | None = None
    waits: bool = False
    unknown: bool = False
    asked: bool = True
    alone: bool = False
    joins: bool = False
    held: bool = False
    after: set[Target] = field(default_factory=set)
    above: set[Target] = field(default_factory=set)

    @property
    def paths(self) -> list[bytes]:
        """Returns the changed paths that it is made from."""
        return list(self.via)


class Drafts:
    """Holds the targets of a plan while it is made, and what the passes decide by.

    Args:
        record: What the changes are compared with; None: nothing is known to reflect anything.
        made: What runs even where deletions leave nothing to make it from.

    Attributes:
        waiting: What is fed by changed paths that are not on disk as desired, and so are not in its draft.
    """

    def __init__(
        self,
        changes: ChangeSet,
        rules: RuleBook,
        options: Options,
        disk: Disk,
        files: Files,
        record: Record | None,
        made: Collection[Target],
    ) -> None:
        self.rules = rules
        self.catalog: Catalog | None = rules.catalog
        self.options = options
        self.disk = disk
        self.files = files
        self.record = record
        self.made = made
        self.keys = PartitionKeys(options.now)
        self.lineage = Lineage(rules.catalog, options.downstream, options.now)
        wanted = path_filter(options.narrowing.paths, rules)
        ordered = sorted(changes.changes, key=lambda change: change.path)
        self.changes = {change.path: change for change in ordered if wanted(change.path)}
        self.before = changes.recorded
        self.clauses: dict[bytes, Match] = {}
        self._rows: dict[bytes, frozenset[Target] | None] = {}
        self._differing: dict[tuple[bytes, Entry | None], frozenset[Target] | None] = {}
        self.by_target: dict[Target, Draft] = {}
        self.waiting: set[Target] = set()
        self.reflecting: list[Draft] = []
        self.lost: set[Target] = set()
        self.warnings: list[str] = []
        self.said: list[tuple[Target, str]] = []
        self.errors: list[str] = []

    def asset(self, key: str) -> Asset | None:
        """Returns the asset of the key; None if it is not known, or the project was not asked."""
        return None if self.catalog is None else self.catalog.assets.get(key)

    def is_wanted(self, target: Target) -> bool:
        """Says whether it was asked for by its key and its partition."""
        return is_wanted(target, self.options.narrowing, self.catalog, self.keys)

    def feed(self, draft: Draft, path: bytes, via: frozenset[Target]) -> None:
        """Adds a path to a draft, as one that it is due for unless it reflects its content.

        Args:
            via: The targets that the path itself feeds, through which it feeds this one.
        """
        draft.via[path] = draft.via[path] | via if path in draft.via else via
        if path not in draft.due and not self.reflects(draft.target, path, via):
            draft.due.add(path)

    def reflects(self, target: Target, path: bytes, via: frozenset[Target]) -> bool:
        """Says whether the target has been made from all of the path's content that counts for it."""
        change, record, match = self.changes[path], self.record, self.clauses.get(path)
        if record is None or self.before is not None:
            return False
        reflected = record.reflected(path, target.text, change.old)
        if reflected == change.new or match is None or reflected == UNKNOWN:
            return reflected == change.new
        key = (path, reflected)
        if key not in self._differing:
            affected = self.files.compare(path, match, reflected, change.new)
            unknown = affected.problem is not None or affected.missing is not None or affected.alone
            self._differing[key] = None if unknown else frozenset(affected.targets)
        differing = self._differing[key]
        return differing is not None and via.isdisjoint(differing)

    def fed_below(self, target: Target, via: Mapping[bytes, frozenset[Target]], reason: str) -> Draft:
        """Returns a draft of a target that these paths feed through others."""
        draft = Draft(target, "downstream", reason=reason)
        for path, through in via.items():
            self.feed(draft, path, through)
        return draft

    def rows_of(self, path: bytes) -> frozenset[Target] | None:
        """Returns what the rows of a changed file feed; None where they do not tell it, or cannot be read."""
        if path not in self._rows:
            match, new = self.clauses.get(path), self.changes[path].new
            told = None if match is None or not match.by_row else self.files.compare(path, match, None, new)
            known = told is not None and told.problem is None and told.missing is None
            self._rows[path] = frozenset(told.targets) if told is not None and known else None
        return self._rows[path]

    def oid(self, path: bytes) -> str | None:
        """Returns the id of the content that is there at a changed path; None: it is deleted."""
        new = self.changes[path].new
        return None if new is None else new.oid
