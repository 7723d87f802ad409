"""How many rows of a table differ between two versions of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Rows that came, went and changed. Of a new file all are added, of a deleted one all removed."""

    added: int = 0
    removed: int = 0
    changed: int = 0

    @property
    def text(self) -> str:
        """``+3 −1 ~2``, without what is nothing; ``no row`` where all is."""
        signs = (("+", self.added), ("\N{MINUS SIGN}", self.removed), ("~", self.changed))
        return " ".join(f"{sign}{count}" for sign, count in signs if count) or "no row"
