"""What of a file's content counts, where a rule says that not every byte does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from raw_trigger.mapping.patterns import Template
from raw_trigger.model.changes import Entry
from raw_trigger.model.plan import Target
from raw_trigger.model.rows import RowCounts
from raw_trigger.model.settings import Fingerprint, Rows


@dataclass(frozen=True, slots=True)
class Clause:
    """The ``rows:`` or ``fingerprint:`` of the rule that decides about one path.

    Attributes:
        partition: What a row feeds; None: a row that counts is for all targets of the path.
        values: What the path captures, for ``partition``.
    """

    rows: Rows | None
    fingerprint: Fingerprint | None
    partition: Template | None
    values: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that ``partition`` names."""
        names = () if self.partition is None else self.partition.names
        return tuple(sorted(name for name in names if name not in self.values))

    def targets(
        self, targets: Sequence[Target], found: Iterable[Sequence[str | None]]
    ) -> tuple[tuple[Target, ...], bool]:
        """What rows feed.

        Args:
            targets: What the path feeds, without a partition where rows have theirs.
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
    """What two versions of a file make of the targets that it feeds.

    Attributes:
        targets: Those for which something that counts differs.
        counts: The rows that count; None: no rows were compared.
        nothing: Why nothing is affected, in words; None: something is.
        problem: What has to be mended in the file before it can be told, and how.
        place: Where in it (``data/1_raw/a.csv:3``).
        missing: Why the content cannot be had.
        note: What the user should know of how it was told.
        alone: The new version is known only: what the other one had besides is not among the targets.
    """

    targets: tuple[Target, ...] = ()
    counts: RowCounts | None = None
    nothing: str | None = None
    problem: str | None = None
    place: str = ""
    missing: str | None = None
    note: str | None = None
    alone: bool = False


def at_content(entry: Entry | None, oid: str | None) -> Entry | None:
    """The entry where the path holds another content; None stands for no file."""
    return None if oid is None else Entry("100644" if entry is None else entry.mode, oid)
