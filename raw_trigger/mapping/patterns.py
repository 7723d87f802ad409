"""Path patterns with captures.

``*`` and ``?`` stay inside one path segment, ``**`` crosses them, ``[…]`` is a class, ``{name}`` captures one
or more characters of one segment, ``{name:REGEX}`` and ``{name:%Y-%m-%d}`` constrain it, ``{{`` and ``}}``
are literal braces. Matching is case-sensitive and on the exact bytes: a path is decoded with surrogate
escapes, which is one to one. A capture that occurs twice has to be the same both times.

Matching takes time linear in the length of the path: a pull request can bring any name. Python's own engine
is used if nothing in the pattern makes it backtrack, else that of ``linear.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from raw_trigger.mapping.linear import NotLinearError, Program, loops

BUILT_IN = frozenset({"path", "stem", "suffix", "parent"})
"""Names that every template knows; no capture can have one of them."""

_DATE_PARTS = {
    "Y": r"\d{4}",
    "m": r"\d{2}",
    "d": r"\d{2}",
    "H": r"\d{2}",
    "M": r"\d{2}",
    "S": r"\d{2}",
    "j": r"\d{3}",
    "y": r"\d{2}",
    "f": r"\d{1,6}",
    "b": r"[^\W\d_]{3}",
    "B": r"[^\W\d_]+",
    "%": "%",
}

_TWICE = (
    "a name that is there twice would have to be tried in too many ways here; "
    "give the second another name, or the first a constraint of fixed length"
)

_NO_REGEX = (re.error, OverflowError, RecursionError)
"""The errors of :func:`re.compile`: no expression, too large a number, too deep a nesting."""


class PatternError(ValueError):
    """Says why a pattern or template cannot be understood; ``offset`` is the place in its text, from 0."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class _Linear:
    """Captures by the linear engine; its program is compiled when a path first needs it."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._program: Program | None = None

    def __call__(self, path: str) -> dict[str, str] | None:
        if self._program is None:
            self._program = Program(self._source)
        return self._program.match(path)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Holds a compiled pattern. ``runs`` are the plain texts before, between and behind its wildcards."""

    text: str
    names: frozenset[str]
    runs: tuple[str, ...]
    _captures: Callable[[str], dict[str, str] | None]
    _dates: tuple[tuple[str, str], ...] = ()
    _bounded: tuple[str, ...] = ()
    _longest: str = ""

    @property
    def literal(self) -> str | None:
        """Returns the only path that it matches, None if it has a wildcard."""
        return self.runs[0] if len(self.runs) == 1 else None

    def match(self, path: str) -> dict[str, str] | None:
        """Returns the captures if the whole of ``path`` (relative to its raw root) matches; else None."""
        # Of many rules most have nothing to do with a path, which costs little to see.
        if not (path.startswith(self.runs[0]) and path.endswith(self.runs[-1]) and self._longest in path):
            return None
        captures = self._captures(path)
        if captures is None:
            return None
        if any("/" in captures[name] for name in self._bounded):
            return None
        for name, form in self._dates:
            try:
                if "%Y" in form or "%y" in form:
                    datetime.strptime(captures[name], form)
                else:
                    # Without a year 29 February is valid: 2000 has one, Python's default 1900 has not.
                    datetime.strptime(f"2000 {captures[name]}", f"%Y {form}")
            except ValueError:
                return None
        return captures


def compile_pattern(text: str) -> Pattern:
    """Compiles a pattern of ``raw-trigger.yaml``.

    Raises:
        PatternError: a brace or bracket is not closed, a name is no identifier, reserved or constrained
            twice, or a date or regular expression is wrong.
    """
    return _Compiler(text, captures=True).compile()


def compile_glob(text: str) -> Pattern:
    """Compiles a glob of asset metadata or a command, in which braces stand for themselves.

    Raises:
        PatternError: a bracket is not closed.
    """
    return _Compiler(text, captures=False).compile()


def _by_python(regex: re.Pattern[str]) -> Callable[[str], dict[str, str] | None]:
    def captures(path: str) -> dict[str, str] | None:
        found = regex.fullmatch(path)
        return None if found is None else found.groupdict()

    return captures


class _Compiler:
    def __init__(self, text: str, *, captures: bool) -> None:
        self.text = text
        self.braces = captures
        self.at = 0
        self.regex: list[str] = []
        self.runs = [""]
        self.names: set[str] = set()
        self.dates: list[tuple[str, str]] = []
        self.bounded: list[str] = []
        self.open = 0
        """Counts parts of any length in the present segment."""
        self.ways = 0
        """Counts parts of any length that make a backtracking engine try earlier parts again and again."""
        self.depths = 0
        self.twice: int | None = None

    def compile(self) -> Pattern:
        while self.at < len(self.text):
            self._token()
        source = "".join(self.regex)
        try:
            regex = re.compile(source, re.DOTALL)
        except _NO_REGEX as error:
            raise PatternError(f"the pattern is no valid expression: {error}", 0) from error
        names = frozenset(self.names)
        if self.twice is not None and self.ways > 1:
            raise PatternError(_TWICE, self.twice)
        captures = _Linear(source) if self.ways and self.twice is None else _by_python(regex)
        runs, longest = tuple(self.runs), max(self.runs, key=len)
        return Pattern(self.text, names, runs, captures, tuple(self.dates), tuple(self.bounded), longest)

    def _token(self) -> None:
        text, at = self.text, self.at
        char = text[at]
        if text.startswith("**", at):
            self._stars()
        elif char == "*":
            self._any_length()
            self._wild("[^/]*", 1)
        elif char == "?":
            self._wild("[^/]", 1)
        elif char == "[":
            self._class()
        elif self.braces and text[at : at + 2] in ("{{", "}}"):
            self._plain(char, 2)
        elif self.braces and char == "{":
            self._capture()
        elif self.braces and char == "}":
            raise PatternError("'}' closes nothing; write '}}' for the character itself", at)
        else:
            self._plain(char, 1)

    def _any_length(self) -> None:
        """Counts a part of any length: two in one segment can share it in many ways."""
        self.ways += self.open > 0
        self.open += 1

    def _plain(self, char: str, width: int) -> None:
        if char == "/":
            self.open = 0
        self.regex.append(re.escape(char))
        self.runs[-1] += char
        self.at += width

    def _wild(self, regex: str, width: int) -> None:
        self.regex.append(regex)
        self.runs.append("")
        self.at += width

    def _stars(self) -> None:
        end = self.at
        while self.text.startswith("*", end):
            end += 1
        begins = self.at == 0 or self.text[self.at - 1] == "/"
        if begins and self.text.startswith("/", end):
            self.ways += self.depths > 0
            self.depths += 1
            self._wild("(?:.*/)?", end + 1 - self.at)
        elif begins and end == len(self.text):
            self._wild(".+", end - self.at)
        else:
            self.ways += 1
            self._any_length()
            self._wild(".*", end - self.at)

    def _class(self) -> None:
        start = self.at + 1
        negated = self.text[start : start + 1] in ("!", "^")
        start += negated
        end = self.text.find("]", start + 1)
        if end < 0:
            raise PatternError("'[' is not closed by ']'; write '[[]' for the character itself", self.at)
        members = re.sub(r"([\\\[\]^&~|])", r"\\\1", self.text[start:end])
        regex = f"(?!/)[{'^' if negated else ''}{members}]"
        try:
            re.compile(regex)
        except re.error as error:
            raise PatternError(f"'{self.text[self.at : end + 1]}' is no class: {error}", self.at) from error
        self._wild(regex, end + 1 - self.at)

    def _capture(self) -> None:
        end = self._closing()
        name, colon, constraint = self.text[self.at + 1 : end].partition(":")
        if not name.isidentifier():
            raise PatternError(f"{name!r} is no name for a capture; write '{{{{' for a brace itself", self.at)
        if name in BUILT_IN:
            raise PatternError(f"'{name}' always stands for the path's own {name}; take another", self.at)
        if name in self.names:
            if colon:
                raise PatternError(f"'{name}' is constrained twice; write the second as {{{name}}}", self.at)
            self.twice = self.at
            self._wild(f"(?P={name})", end + 1 - self.at)
            return
        self.names.add(name)
        if not colon:
            self._any_length()
        inner = self._constraint(name, constraint) if colon else "[^/]+"
        self._wild(f"(?P<{name}>{inner})", end + 1 - self.at)

    def _constraint(self, name: str, constraint: str) -> str:
        if not constraint:
            raise PatternError(f"'{name}:' has no constraint", self.at)
        if "%" in constraint:
            self.dates.append((name, constraint))
            return self._date(constraint)
        try:
            re.compile(constraint)
            self.ways += loops(constraint)
        except _NO_REGEX as error:
            raise PatternError(f"{constraint!r} is no regular expression: {error}", self.at) from error
        except NotLinearError as error:
            raise PatternError(f"{constraint!r}: {error}", self.at) from error
        self.bounded.append(name)
        return f"(?:{constraint})"

    def _date(self, form: str) -> str:
        out = []
        seen = set()
        chars = iter(form)
        for char in chars:
            if char != "%":
                out.append(re.escape(char))
                continue
            directive = next(chars, "")
            if directive not in _DATE_PARTS:
                known = " ".join(f"%{d}" for d in _DATE_PARTS)
                raise PatternError(f"'%{directive}' is not known here; known are {known}", self.at)
            if directive in seen:
                raise PatternError(f"'%{directive}' occurs twice in one date", self.at)
            if directive in "Bf":
                self._any_length()
            if directive != "%":
                seen.add(directive)
            out.append(_DATE_PARTS[directive])
        return "".join(out)

    def _closing(self) -> int:
        depth = 0
        at = self.at
        while at < len(self.text):
            char = self.text[at]
            if char == "\\":
                at += 1
            elif char == "{":
                depth += 1
            elif char == "}":
                depth -= 1
                if depth == 0:
                    return at
            at += 1
        raise PatternError("'{' is not closed by '}'; write '{{' for the character itself", self.at)


@dataclass(frozen=True, slots=True)
class Template:
    """Holds a text with ``{name}`` in it, such as an asset key or a partition key."""

    text: str
    names: frozenset[str]
    _parts: tuple[tuple[str, str | None], ...]

    @property
    def literal(self) -> str | None:
        """Returns its only text; None if it names a capture."""
        return "".join(plain for plain, _ in self._parts) if not self.names else None

    def expand(self, values: Mapping[str, str]) -> str:
        """Returns the text with every name replaced by its value."""
        return "".join([plain + (values[name] if name else "") for plain, name in self._parts])


def compile_template(text: str, known: frozenset[str] | set[str] | None) -> Template:
    """Compiles a template whose names are captures of its pattern (``known``) or :data:`BUILT_IN`.

    Args:
        known: None: any name will do, such as that of a column.

    Raises:
        PatternError: a brace is not closed or a name is unknown.
    """
    parts: list[tuple[str, str | None]] = []
    plain, at = "", 0
    while at < len(text):
        char = text[at]
        if text[at : at + 2] in ("{{", "}}"):
            plain, at = plain + char, at + 2
        elif char == "{":
            end = text.find("}", at)
            if end < 0:
                raise PatternError("'{' is not closed by '}'", at)
            name = text[at + 1 : end]
            if known is not None and name not in known and name not in BUILT_IN:
                names = ", ".join(f"{{{n}}}" for n in sorted({*known, *BUILT_IN}))
                raise PatternError(f"'{{{name}}}' is not captured by the path; known are {names}", at)
            parts.append((plain, name))
            plain, at = "", end + 1
        elif char == "}":
            raise PatternError("'}' closes nothing; write '}}' for the character itself", at)
        else:
            plain, at = plain + char, at + 1
    parts.append((plain, None))
    return Template(text, frozenset(n for _, n in parts if n is not None), tuple(parts))


def built_in(path: str) -> dict[str, str]:
    """Returns the values of :data:`BUILT_IN` for a path relative to its root.

    The parent of ``a.csv`` is empty.
    """
    parent, _, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    return {"path": path, "stem": stem, "suffix": dot + suffix, "parent": parent}
