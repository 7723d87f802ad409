"""The part of a file's content that counts, if a rule says that not every byte does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from raw_trigger.mapping.patterns import Template
from raw_trigger.model.plan import Target
from raw_trigger.model.rows import RowCounts
from raw_trigger.model.settings import Fingerprint, Rows


@dataclass(frozen=True, slots=True)
class Clause:
    """Holds the ``rows:`` or ``fingerprint:`` of the rule that decides about one path.

    Attributes:
        partition: The partition that a row feeds; None: a row that counts feeds all targets of the path.
        values: The captures of the path, for ``partition``.
    """

    rows: Rows | None
    fingerprint: Fingerprint | None
    partition: Template | None
    values: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """Returns the columns that ``partition`` names."""
        names = () if self.partition is None else self.partition.names
        return tuple(sorted(name for name in names if name not in self.values))

    def targets(
        self, targets: Sequence[Target], found: Iterable[Sequence[str | None]]
    ) -> tuple[tuple[Target, ...], bool]:
        """Returns the targets that rows feed.

        Args:
            targets: The targets of the path, without a partition if rows have theirs.
            found: The values of :attr:`columns` of each row.

        Returns:
            The targets, sorted; whether each row has a value in every column that its partition names.
        """
        if self.partition is None:
            return tuple(targets), True
        columns, keys, complete = self.columns, set(), True
        for cells in found:
            row = {name: cell for name, cell in zip(columns, cells, strict=True) if cell}
            if len(row) == len(columns):
                keys.add(self.partition.expand({**row, **self.values}))
            else:
                complete = False
        return tuple(Target(one.asset, key) for one in targets for key in sorted(keys)), complete


@dataclass(frozen=True, slots=True)
class Affected:
    """Says how two versions of a file affect the targets that it feeds.

    Attributes:
        targets: The targets for which something that counts differs.
        counts: The rows that count; None if no rows were compared.
        nothing: Why no target is affected; None if one is.
        problem: What has to be corrected in the file first, and how; None if nothing.
        place: Where in the file (``data/1_raw/a.csv:3``).
        missing: Why the content is not available; None if it is.
        note: What the user should know of how this was found out; None if nothing.
        alone: Only the new version is known: targets of rows that it no longer has are missing.
    """

    targets: tuple[Target, ...] = ()
    counts: RowCounts | None = None
    nothing: str | None = None
    problem: str | None = None
    place: str = ""
    missing: str | None = None
    note: str | None = None
    alone: bool = False
