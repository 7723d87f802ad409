"""What a terminal needs and a file does not: lines that fit, and a spinner while the user waits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

_NARROWEST = 20
_HANGING = 2
"""The additional indent of a line's continuation."""


def is_screen(console: Console) -> bool:
    """Says whether the console is a terminal that can be drawn on."""
    # With FORCE_COLOR rich takes a file for a terminal.
    return console.is_interactive and console.file.isatty()


@contextmanager
def spinner(text: str) -> Iterator[None]:
    """Shows a text with a spinner on stderr during the block, if stderr is a terminal."""
    console = Console(stderr=True)
    # If rich has replaced stderr, another spinner or a bar is moving already.
    if not is_screen(console) or hasattr(sys.stderr, "rich_proxied_file"):
        yield
        return
    with console.status(Text(f"{text} …", no_wrap=True, overflow="ellipsis")):
        yield


def fitted(line: Text, console: Console) -> Iterator[Text]:
    """Breaks a line that is too long for the terminal, with a hanging indent; without one it stays."""
    if not is_screen(console) or line.cell_len <= console.width:
        yield line
        return
    width = max(console.width, _NARROWEST)
    line.expand_tabs(console.tab_size)
    indent = _indent(line)
    rest = line[indent:]
    # At least half of the width is for the text, even if the indent is deep.
    indent, hanging = min(indent, width // 2), min(indent + _HANGING, width // 2)
    while rest:
        # Only the part that can fit is wrapped: wrapping the whole rest each time would be quadratic.
        piece = rest[: width + 1].wrap(console, width - indent)[0]
        piece.rstrip()
        yield Text(" " * indent).append_text(piece)
        rest = rest[len(piece) :]
        rest = rest[_indent(rest) :]
        indent = hanging


def _indent(line: Text) -> int:
    return len(line) - len(line.plain.lstrip(" "))
