"""Text from strangers in Markdown that GitHub renders: it only ever means itself.

Beyond Markdown and HTML, GitHub makes links of addresses, mentions (which notify) of ``@name`` and references
(which show up in other issues) of ``#1``, and does so after entities are resolved. An empty HTML comment
inside such a word keeps it from being one; inside ``<code>`` mentions and references are not looked for.
"""

from __future__ import annotations

import re

_ESCAPED = frozenset('\\`*_{}[]<>()#!|~&$:@"')
_BREAKING = frozenset("@#")
_WWW = re.compile(r"(?i)(?<=www)\.")


def text(value: str) -> str:
    """Text as a piece of one line of Markdown, also in a table cell. It must not begin the line."""
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
    """The same in ``<code>``, for names. (A span of backticks cannot hold every name in a table.)"""
    return f"<code>{text(value)}</code>"


def preformatted(value: str) -> str:
    """Lines of text as an HTML block; it has to begin a line and needs an empty line before it."""
    kept = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in value)
    escaped = "".join(f"&#{ord(c)};" if c in '&<>@#$`"' else c for c in kept)
    return f"<pre>{escaped}</pre>"


def link(label: str, url: str) -> str:
    """A link, or only its label where the address is not a plain one."""
    if not re.fullmatch(r"https?://[A-Za-z0-9_./:?&=%~+-]+", url):
        return text(label)
    return f"[{text(label)}]({url})"


def cut(value: str, most: int) -> str:
    """At most so many characters: of a longer text the middle is left out, as both ends tell something."""
    if len(value) <= most:
        return value
    tail = most // 2
    return f"{value[: most - tail - 1]}…{value[-tail:]}"


class Page:
    """Markdown that never gets longer than ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[str] = []
        self._size = 0

    @property
    def left(self) -> int:
        """How many bytes there is room for."""
        return self._limit - self._size

    def add(self, part: str) -> bool:
        """Add a part whole, or not at all if there is no room for it."""
        size = len(part.encode("utf-8", "surrogatepass"))
        if size > self.left:
            return False
        self._parts.append(part)
        self._size += size
        return True

    def __str__(self) -> str:
        return "".join(self._parts)
