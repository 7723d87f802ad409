"""Tells how versions of a file affect its targets, if a rule has a ``fingerprint`` or ``rows``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from raw_trigger.errors import TableError
from raw_trigger.mapping.clauses import Affected, Clause
from raw_trigger.mapping.rules import Match
from raw_trigger.model.changes import Change, ChangeSet, Entry, show
from raw_trigger.model.rows import RowCounts
from raw_trigger.repo.repository import Repository

if TYPE_CHECKING:
    from raw_trigger.content.counting import Counting
    from raw_trigger.content.tables import Form

Told = dict[tuple[object, ...], Affected]

_NOT_HERE = "its content is not here, so nothing tells what changed in it"
_EVERYTHING = "the content that it is compared with is not here, so everything in it counts"
_NO_TABLE = "what it is compared with cannot be read as a table, so everything in it counts"
_LINK = (
    "it is a symbolic link, whose rows git does not know: put the file itself there, or say its partition "
    "with `partition:` instead of `rows:`"
)
_ALIKE = {
    "text": "only its line ends differ",
    "json": "only its formatting differs",
    "table": "only the order or the writing of its rows differs",
}


class Contents:
    """Compares the contents of a change set's files, for as long as the block lasts.

    Args:
        told: Earlier answers by the same rules, so that large files are read once.
    """

    def __init__(self, repo: Repository, changes: ChangeSet, told: Told) -> None:
        self._repo = repo
        self._changes = changes
        self._told = told
        self._open = ExitStack()
        self._counting: Counting | None = None

    def __enter__(self) -> Contents:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __call__(self, path: bytes, match: Match, old: Entry | None, new: Entry | None) -> Affected:
        """Returns the targets for which something that counts differs; None stands for no file."""
        assert match.clause is not None
        key = (path, match.rule, match.targets, old, new)
        if key in self._told:
            return self._told[key]
        change = Change(path, old, new)
        by_rows = match.clause.rows is not None
        # A target does not reflect the recorded content yet, which may never have been read by rows.
        new_to_it = by_rows and new is not None and old == new
        alone = self(path, match, None, new) if new_to_it else Affected()
        if alone.problem is not None:
            return Affected(problem=alone.problem, place=alone.place)
        found = (self._rows if by_rows else self._fingerprint)(change, match, match.clause)
        if found.missing is None and found.note is None:  # missing content may arrive later
            self._told[key] = found
        return found

    def _fingerprint(self, change: Change, match: Match, clause: Clause) -> Affected:
        assert clause.fingerprint is not None
        same = self._counter.unchanged(change, clause.fingerprint)
        if same:
            return Affected(nothing=_ALIKE.get(clause.fingerprint))
        return Affected(match.targets, note=_EVERYTHING if same is None else None)

    def _rows(self, change: Change, match: Match, clause: Clause) -> Affected:
        from raw_trigger.content.rows import Keyed

        assert clause.rows is not None
        keyed = Keyed(clause.rows.key, clause.rows.columns, clause.columns)
        form = self._form(change.path, clause)
        try:
            found = self._counter.compare(change, keyed, form)
        except TableError as error:
            if error.side == "old":
                return self._against_nothing(change, match, f"{_NO_TABLE} ({error.what})")
            # On one line: the problem becomes part of a longer message.
            problem = "; ".join(filter(None, (error.what, error.hint)))
            return Affected(problem=problem, place=error.place)
        if found is None:
            return self._not_here(change, match)
        if found.counts == RowCounts(0, 0, 0):
            return Affected(counts=found.counts, nothing=self._no_row(change, clause))
        targets, complete = clause.targets(match.targets, found.captures)
        incomplete = None if complete else self._incomplete(change, match, clause)
        if incomplete is not None:
            return incomplete
        return Affected(targets, found.counts, None if targets else "the rows that differ name no partition")

    def _not_here(self, change: Change, match: Match) -> Affected:
        """Returns the answer if one of the contents is missing."""
        if match.by_row and change.new is not None and change.new.content == "symlink":
            return Affected(problem=_LINK, place=show(change.path))
        if change.old is not None and (change.new is None or self._counter.is_here(change.path, change.new)):
            return self._against_nothing(change, match, _EVERYTHING)
        return Affected(missing=_NOT_HERE) if match.by_row else Affected(match.targets)

    def _incomplete(self, change: Change, match: Match, clause: Clause) -> Affected | None:
        """Returns the problem if a row names no partition; None if only the old version has such a row."""
        if change.new is None:
            return None
        if change.old is not None:
            found = self(change.path, match, None, change.new)
            return None if found.problem is None else found
        columns = ", ".join(clause.columns)
        problem = f"a row has no value in {columns}, which its partition is named by; give it one"
        return Affected(problem=problem, place=show(change.path))

    def _against_nothing(self, change: Change, match: Match, why: str) -> Affected:
        """Returns the answer without the old side: not knowing means everything."""
        if change.new is None:
            return Affected(missing=why) if match.by_row else Affected(match.targets, note=why)
        found = self(change.path, match, None, change.new)
        if found.problem is not None or found.missing is not None:
            return found
        return Affected(found.targets, found.counts, note=why, alone=True)

    def _no_row(self, change: Change, clause: Clause) -> str:
        assert clause.rows is not None
        if clause.rows.columns is None:
            return "no row differs, only their order or how they are written"
        named = ", ".join(dict.fromkeys((*clause.rows.key, *clause.columns, *clause.rows.columns)))
        plain = self._counter.counts([change]).get(change.path)
        return f"no row differs in {named}" + ("" if plain is None else f"; in all columns: {plain.text}")

    @property
    def _counter(self) -> Counting:
        if self._counting is None:
            from raw_trigger.content.counting import Counting

            self._counting = self._open.enter_context(Counting(self._repo, self._changes))
        return self._counting

    def _form(self, path: bytes, clause: Clause) -> Form:
        from raw_trigger.content.counting import form_of

        assert clause.rows is not None
        return form_of(path, clause.rows.delimiter, clause.rows.encoding)
