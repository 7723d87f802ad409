"""What the planner asks of the files themselves."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from raw_trigger.mapping.clauses import Affected
from raw_trigger.mapping.rules import Match
from raw_trigger.model.changes import Entry
from raw_trigger.model.plan import Target


class Files(Protocol):
    """Says what is in the files, and which of them there are. Asked only where the answer matters."""

    def compare(self, path: bytes, match: Match, old: Entry | None, new: Entry | None) -> Affected:
        """Tells how two versions of a path affect its targets, where a rule says what of them counts."""

    def feeds(self, target: Target) -> bool:
        """Says whether a file that is there feeds the target."""

    def fed(self) -> Collection[str]:
        """Returns the assets that files feed which are there, in any partition."""


class NoFiles:
    """Takes every change for one that counts, and knows of no other file."""

    def compare(self, path: bytes, match: Match, old: Entry | None, new: Entry | None) -> Affected:
        """Returns all targets of the path."""
        return Affected(match.targets)

    def feeds(self, target: Target) -> bool:
        """Returns False."""
        return False

    def fed(self) -> Collection[str]:
        """Returns nothing."""
        return ()
