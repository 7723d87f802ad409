"""What a terminal needs that a file does not: lines that fit, and something that moves while one waits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

_NARROWEST = 20
_HANGING = 2
"""By how much the rest of a line is indented more than its beginning."""


def is_screen(console: Console) -> bool:
    """Says whether somebody looks at it, and it can be drawn on."""
    # Rich takes a file for a terminal where FORCE_COLOR is set.
    return console.is_interactive and console.file.isatty()


@contextmanager
def spinner(text: str) -> Iterator[None]:
    """Shows a text on stderr that something moves beside, for the block, where that is a screen."""
    console = Console(stderr=True)
    # Where rich stands in for stderr something moves already.
    if not is_screen(console) or hasattr(sys.stderr, "rich_proxied_file"):
        yield
        return
    with console.status(Text(f"{text} …", no_wrap=True, overflow="ellipsis")):
        yield


def fitted(line: Text, console: Console) -> Iterator[Text]:
    """Breaks a line that is too long for the screen, if it is one; what follows has a hanging indent."""
    if not is_screen(console) or line.cell_len <= console.width:
        yield line
        return
    width = max(console.width, _NARROWEST)
    line.expand_tabs(console.tab_size)
    indent = _indent(line)
    rest = line[indent:]
    # However deep it is, half of the screen is for the text.
    indent, hanging = min(indent, width // 2), min(indent + _HANGING, width // 2)
    while rest:
        # What is further on than a line is long does not count for this one.
        piece = rest[: width + 1].wrap(console, width - indent)[0]
        piece.rstrip()
        yield Text(" " * indent).append_text(piece)
        rest = rest[len(piece) :]
        rest = rest[_indent(rest) :]
        indent = hanging


def _indent(line: Text) -> int:
    return len(line) - len(line.plain.lstrip(" "))
