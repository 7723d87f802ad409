"""Explains YAML syntax errors to somebody who writes path patterns."""

from __future__ import annotations

import yaml
from yaml.error import MarkedYAMLError
from yaml.reader import ReaderError

from raw_trigger.config.problems import Problem, quoted
from raw_trigger.model.settings import Position

_QUOTE = "put the whole text in double quotes"
_CLOSING = {"{": "brace", "[": "bracket", '"': "quote", "'": "quote"}

_PLAIN = {
    "mapping values are not allowed here": (
        "':' is not allowed here",
        "check the indentation, and quote a text that contains ': '",
    ),
    "but found another document": ("a second document begins here", "keep one document and remove this line"),
    "could not find expected ':'": ("a key without ':' before this", "write 'key: value'"),
}


def explain(error: yaml.YAMLError, text: str, file: str) -> Problem:
    """Returns the problem that the parser met, with its most frequent cause."""
    if isinstance(error, ReaderError):
        before = text[: error.position]
        column = len(before) - before.rfind("\n")
        at = Position(file, before.count("\n") + 1, column)
        return Problem(at, f"character U+{error.character:04X} is not allowed in YAML", "remove it")
    if not isinstance(error, MarkedYAMLError):
        return Problem(Position(file, 1, 1), f"not valid YAML: {error}", "correct it")
    begun = error.context == "while scanning an alias" or _unclosed(error)
    mark = error.context_mark if begun else error.problem_mark or error.context_mark
    at = Position(file, 1, 1) if mark is None else Position(file, mark.line + 1, mark.column + 1)
    lines = text.splitlines()
    line = "" if mark is None or mark.line >= len(lines) else lines[mark.line]
    return Problem(at, *_words(error, line))


def _unclosed(error: MarkedYAMLError) -> str:
    """Returns ``quote`` or ``bracket`` if one was not closed, else an empty text."""
    problem = error.problem or ""
    if error.context == "while scanning a quoted scalar" and problem == "found unexpected end of stream":
        return "quote"
    return "bracket" if problem.startswith(("expected ',' or ']'", "expected ',' or '}'")) else ""


def _words(error: MarkedYAMLError, line: str) -> tuple[str, str]:
    problem = error.problem or "it cannot be understood"
    value = line.partition(":")[2].strip()
    broken = value.startswith(("{", "[", '"', "'")) and problem.startswith("expected <block end>")
    words = f"not valid YAML: {problem}", "check the indentation, brackets and quotes above"
    mark = error.problem_mark
    found = "" if mark is None else line[mark.column : mark.column + 1]
    if problem in _PLAIN:
        words = _PLAIN[problem]
    elif problem.endswith(" is there twice"):
        words = problem, "keep one of them"
    elif "\\t" in problem or (problem.startswith("found character") and found == "\t"):
        words = "a tab cannot be used here", "indent with spaces"
    elif problem.startswith("found undefined alias"):
        name = problem.removeprefix("found undefined alias ")
        words = f"there is no anchor {name}", f"if '*' begins a pattern, {_QUOTE}"
    elif error.context == "while scanning an alias":
        words = "'*' begins an alias in YAML", f"if it begins a pattern, {_QUOTE}"
    elif problem.startswith("found character"):
        words = f"{found!r} cannot begin a text", _QUOTE
    elif _unclosed(error) == "quote":
        words = "the quote that begins here is not closed", "close it"
    elif _unclosed(error) == "bracket":
        words = (
            "the bracket that begins here is not closed, or a ',' is missing in it",
            "write [a, b] or {a: b}",
        )
    elif broken:
        words = f"{quoted(value)} goes on after its closing {_CLOSING[value[0]]}", _QUOTE
    return words
