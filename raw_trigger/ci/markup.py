"""Writes text from strangers into Markdown that GitHub renders, so that it only means itself.

Besides Markdown and HTML, GitHub turns addresses into links, ``@name`` into mentions (which notify) and
``#1`` into references (which show up in other issues), after it has resolved entities. An empty HTML comment
inside such a word prevents that; inside ``<code>`` GitHub looks for neither mentions nor references.
"""

from __future__ import annotations

import re

_ESCAPED = frozenset('\\`*_{}[]<>()#!|~&$:@"')
_BREAKING = frozenset("@#")
_WWW = re.compile(r"(?i)(?<=www)\.")


def text(value: str) -> str:
    """Returns text for a line of Markdown or a table cell. It must not begin the line."""
    out = []
    for char in value:
        if char in _BREAKING:
            out.append(f"&#{ord(char)};<!-- -->")
        elif char in _ESCAPED:
            out.append(f"&#{ord(char)};")
        elif char.isprintable():
            out.append(char)
        else:
            out.append("\N{REPLACEMENT CHARACTER}" if not char.isspace() else " ")
    return _WWW.sub("&#46;", "".join(out))


def code(value: str) -> str:
    """Returns a name in ``<code>``: a span of backticks cannot hold every name in a table."""
    return f"<code>{text(value)}</code>"


def preformatted(value: str) -> str:
    """Returns lines of text as an HTML block; it has to begin a line and needs an empty line before it."""
    kept = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in value)
    escaped = "".join(f"&#{ord(c)};" if c in '&<>@#$`"' else c for c in kept)
    return f"<pre>{escaped}</pre>"


def link(label: str, url: str) -> str:
    """Returns a link, or only its label if the address is not a plain one."""
    if not re.fullmatch(r"https?://[A-Za-z0-9_./:?&=%~+-]+", url):
        return text(label)
    return f"[{text(label)}]({url})"


def cut(value: str, most: int) -> str:
    """Returns at most so many characters, without the middle of a longer text: both ends tell something."""
    if len(value) <= most:
        return value
    tail = most // 2
    return f"{value[: most - tail - 1]}…{value[-tail:]}"


class Page:
    """Collects Markdown that never gets longer than ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[str] = []
        self._size = 0

    @property
    def left(self) -> int:
        """Returns the number of bytes that still fit."""
        return self._limit - self._size

    def add(self, part: str) -> bool:
        """Adds a part whole, or not at all if it does not fit."""
        size = len(part.encode("utf-8", "surrogatepass"))
        if size > self.left:
            return False
        self._parts.append(part)
        self._size += size
        return True

    def __str__(self) -> str:
        return "".join(self._parts)
