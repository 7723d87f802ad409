"""Collects what is wrong in a file, so that all of it is reported at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from raw_trigger.errors import ConfigError
from raw_trigger.model.settings import Position, without_password

MAX_SHOWN = 100
_MAX_QUOTED = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """Says what is wrong, where, and what to do about it."""

    position: Position
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.position}: {self.message}; {self.hint}"


class Problems:
    """Collects the problems of one file."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, problem: Problem) -> None:
        """Adds a problem; the search goes on."""
        self._found.append(problem)

    def error(self) -> ConfigError:
        """Returns one error with the first ``MAX_SHOWN`` problems, in the order of the file."""
        found = sorted(self._found, key=lambda p: (p.position.line, p.position.column, p.message))
        # The name of the file, or of a folder that it is in, may hold the end of a line.
        lines = list(dict.fromkeys(_escaped(str(problem)) for problem in found))
        more = len(lines) - MAX_SHOWN
        if more > 0:
            lines[MAX_SHOWN:] = [_escaped(f"{found[0].position.file}: and {more} more like these")]
        return ConfigError("\n".join(lines), listed=True)

    def fatal(self, problem: Problem) -> ConfigError:
        """Returns the error for a problem after which no other can be found."""
        self.add(problem)
        return self.error()


def quoted(text: str) -> str:
    """Returns the text in single quotes on one line, shortened, with unprintable characters escaped."""
    if "://" in text:
        text = without_password(text)
    short = text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 1] + "…"
    return f"'{_escaped(short)}'"


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def did_you_mean(word: str, known: Iterable[str], label: str) -> str:
    """Returns the hint for an unknown word: the nearest known one, else all of them after ``label``."""
    options = list(known)
    near = difflib.get_close_matches(word.lower()[:_MAX_QUOTED], options, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"{label} {', '.join(options)}"
