"""The files of a record, and what their rows feed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from raw_trigger.content.compared import Contents
from raw_trigger.dvc.tracked import Tracked
from raw_trigger.mapping.rules import Match, RuleBook
from raw_trigger.model.changes import DVC_MODE, Base, Change, ChangeSet, Desired, Entry
from raw_trigger.model.plan import Target
from raw_trigger.model.record import Record
from raw_trigger.record import tree as recorded_tree
from raw_trigger.repo.repository import Repository


class RecordedFiles:
    """Knows the files of a record, DVC's among them; see :class:`raw_trigger.record.rules.RecordedFiles`.

    Args:
        contents: Compares the contents of changes, by the rules that are given.
    """

    def __init__(
        self,
        repo: Repository,
        tracked: Tracked,
        record: Record,
        contents: Callable[[ChangeSet, RuleBook], Contents],
    ) -> None:
        self._repo = repo
        self._tracked = tracked
        self._record = record
        self._contents = contents

    def every(self) -> dict[bytes, Entry]:
        """Returns all files."""
        return dict(self._tracked.files(self._record.tree))

    def at(self, paths: Sequence[bytes]) -> dict[bytes, Entry]:
        """Returns the files at these paths."""
        entries = recorded_tree.at(self._repo, self._record, paths)
        data = (path for path, entry in entries.items() if entry.mode == DVC_MODE)
        self._tracked.find(self._record.tree, data)
        return entries

    def fed(
        self, rules: RuleBook, matches: Mapping[bytes, Match], files: Mapping[bytes, Entry]
    ) -> dict[bytes, tuple[Target, ...]]:
        """Returns what these files feed, as their rows tell where rules ask for that."""
        by_row = tuple(Change(path, files[path], None) for path, match in matches.items() if match.by_row)
        recorded = ChangeSet(Base("recorded", "", None, ""), Desired("revision", ""), by_row)
        with self._contents(recorded, rules) as contents:
            # As what is gone: nobody can mend any more what was recorded.
            told = {
                path: contents(path, match, files[path], None)
                for path, match in matches.items()
                if match.by_row
            }
            return {
                path: told[path].targets if path in told and told[path].missing is None else match.targets
                for path, match in matches.items()
            }
