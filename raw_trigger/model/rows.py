"""How many rows of a table differ between two versions of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Holds how many rows came, went and changed; all rows of a new file came, all of a deleted one went."""

    added: int = 0
    removed: int = 0
    changed: int = 0

    @property
    def text(self) -> str:
        """Returns ``+3 −1 ~2`` without the zeros; ``no row`` if all are zero."""
        signs = (("+", self.added), ("\N{MINUS SIGN}", self.removed), ("~", self.changed))
        return " ".join(f"{sign}{count}" for sign, count in signs if count) or "no row"
