"""Draws partitions as a grid of signs at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from raw_trigger.coverage import Cell, CellState, Grid
from raw_trigger.mapping.partitions import SEPARATOR
from raw_trigger.render import words

SIGNS: dict[CellState, tuple[str, str]] = {
    "recorded": ("\N{BLACK SQUARE}", "green"),
    "assumed": ("\N{SQUARE WITH LOWER RIGHT DIAGONAL HALF BLACK}", "green"),
    "pending": ("\N{WHITE SQUARE}", "yellow"),
    "failed": ("\N{HEAVY BALLOT X}", "red"),
    "no file": ("\N{MIDDLE DOT}", "dim"),
    "no partition": ("?", "red"),
}
NAMED = 12
"""The most partitions that are written with their names; more are drawn as signs only."""
_WIDEST = 62
_FEWEST = 10

Line = list["str | tuple[str, str]"]


def lines(grid: Grid, width: int | None = None) -> Iterator[Line]:
    """Yields the asset with its counts, then a line for each group of partitions.

    Args:
        width: The columns of the terminal; None if there is no terminal.
    """
    counts = ", ".join(f"{count} {state}" for state in SIGNS if (count := grid.counts.get(state)))
    total = words.plural(len(grid.cells), "partition")
    yield [(words.printable(grid.asset), "bold"), f"  {total}: {counts}" if grid.cells else f"  {total}"]
    few = len(grid.cells) <= NAMED
    named = [cell for cell in grid.cells if few or cell.state == "no partition"]
    drawn = [] if few else [cell for cell in grid.cells if cell.state != "no partition"]
    longest = max((len(words.printable(cell.partition)) for cell in drawn), default=0)
    most = _WIDEST if width is None else min(_WIDEST, max(width - longest - 3, _FEWEST))
    rows = [(label, list(cells)) for label, cells in _rows(grid, drawn, most)]
    if grid.definition.kind == "multi" and rows:
        across = [cell.partition.partition(SEPARATOR)[2] for cell in rows[0][1]]
        yield [("  from left to right: ", "dim"), words.printable(", ".join(across))]
    column = max((len(label) for label, _ in rows), default=0)
    for label, cells in rows:
        yield [f"  {label:{column}} ", *(SIGNS[cell.state] for cell in cells)]
    for cell in named:
        yield ["  ", SIGNS[cell.state], f" {words.printable(cell.partition)}", _why(cell)]


def legend() -> Line:
    """Returns the signs with their meaning."""
    signs: Line = []
    for state, sign in SIGNS.items():
        signs += [sign, f" {state}  "]
    return signs


def _why(cell: Cell) -> tuple[str, str]:
    return ("" if cell.state == "recorded" else f"  {cell.state}", "dim")


def _rows(grid: Grid, drawn: Sequence[Cell], most: int) -> Iterator[tuple[str, Sequence[Cell]]]:
    """Yields groups of at most ``most`` cells; time windows are grouped by month or day."""
    for label, group in groupby(drawn, key=lambda cell: _group(grid, cell.partition)):
        cells = list(group)
        for start in range(0, len(cells), most):
            part = cells[start : start + most]
            first = part[0].partition
            yield words.printable(label if label and start == 0 else "" if label else first), part


def _group(grid: Grid, key: str) -> str:
    """Returns the beginning that the keys of one line share."""
    if grid.definition.kind == "multi":
        return key.partition(SEPARATOR)[0]
    if grid.definition.kind != "time":
        return ""
    return key.removesuffix(":00").rstrip("0123456789").rstrip("-:/ T_") or key
