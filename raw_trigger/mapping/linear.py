"""Matches regular expressions in time linear in the length of the text, for any expression and text.

Python's own engine tries one way after the other, and a name of 200 underscores has more ways through
``{a}_{b}_{c}_{d}_{e}`` than there is time for. Here no place of the expression is tried twice at one place of
the text: a try that failed once fails again, unless the expression looks back. So expressions that look back
are refused. The ways are tried in Python's order, so the same one wins.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

if sys.version_info >= (3, 11):
    from re import _constants as sre
    from re import _parser as parser
else:
    import sre_constants as sre
    import sre_parse as parser

LARGEST = 1000
"""The most steps of an expression, with its repetitions written out."""

_FEW = 64
"""The most alternatives that are left to Python's own engine."""

_MANY = 100
_DEEPEST = 50

_ONE = (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN)
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT)
_SETS = {
    sre.CATEGORY_DIGIT: r"\d",
    sre.CATEGORY_NOT_DIGIT: r"\D",
    sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S",
    sre.CATEGORY_WORD: r"\w",
    sre.CATEGORY_NOT_WORD: r"\W",
}
_PLACES = {
    sre.AT_BEGINNING: "^",
    sre.AT_BEGINNING_STRING: r"\A",
    sre.AT_END: "$",
    sre.AT_END_STRING: r"\Z",
    sre.AT_BOUNDARY: r"\b",
    sre.AT_NON_BOUNDARY: r"\B",
}
_NO_SLASH = [(sre.ASSERT_NOT, (1, [(sre.LITERAL, ord("/"))]))]
_BACKWARDS = (
    "a reference to what matched before cannot be matched in linear time",
    "name the capture and write it twice, {name}…{name}",
)
_AROUND = (
    "an expression that looks ahead or behind cannot be matched in linear time",
    "match what is wanted, and put a rule before this one for what is not",
)
_POSSESSIVE = (
    "an atomic group or possessive repeat cannot be matched in linear time",
    "leave out its '+' or '?>'",
)
_REFUSED = {
    "GROUPREF": _BACKWARDS,
    "GROUPREF_EXISTS": _BACKWARDS,
    "ASSERT": _AROUND,
    "ASSERT_NOT": _AROUND,
    "ATOMIC_GROUP": _POSSESSIVE,
    "POSSESSIVE_REPEAT": _POSSESSIVE,
}


class NotLinearError(ValueError):
    """Says why an expression cannot be matched in linear time, and what to write instead."""


def _parsed(text: str) -> Any:
    return parser.parse(text, re.DOTALL)


def loops(text: str) -> int:
    """Returns how often an expression repeats a character any number of times.

    A part that can match in more ways than this number shows, such as a repeated group, counts as many.

    Raises:
        re.error: the text is no expression (and OverflowError, RecursionError).
        NotLinearError: it cannot be matched in linear time.
    """
    tree = _parsed(text)
    if _size(tree) > LARGEST:
        raise NotLinearError(
            f"with its repetitions written out it is longer than {LARGEST} characters; repeat less"
        )
    found, ways = 0, 1
    for op, value in tree:
        if op in _REPEATS and _single(value[2]):
            found += value[0] != value[1]
        elif op is sre.BRANCH and all(inner in _ONE for branch in value[1] for inner, _ in branch):
            ways *= len(value[1])
        elif op not in _ONE:
            return _MANY
    return found if ways <= _FEW else _MANY


def _single(body: Any) -> bool:
    """Says whether the expression matches exactly one character."""
    return len(body) == 1 and body[0][0] in _ONE


def _size(tree: Iterable[Any], depth: int = 0) -> int:
    """Returns the number of steps that :class:`Program` makes of it.

    Raises:
        NotLinearError: its groups are nested too deeply.
    """
    if depth > _DEEPEST:
        raise NotLinearError(f"groups in more than {_DEEPEST} groups; flatten it")
    size = 0
    for op, value in tree:
        if op in _ONE or op is sre.AT:
            size += 1
        elif op is sre.SUBPATTERN:
            size += _size(value[3], depth + 1)
        elif op is sre.BRANCH:
            size += sum(1 + _size(branch, depth + 1) for branch in value[1])
        elif op in _REPEATS:
            low, high, body = value
            times = max(int(low), 1) if high is sre.MAXREPEAT else int(high)
            size += (_size(body, depth + 1) + 1) * times
        else:
            why, instead = _REFUSED[str(op)]
            raise NotLinearError(f"{why}; {instead}")
    return size


class Program:
    """Holds a compiled expression. Its only lookahead is that no ``/`` comes next."""

    def __init__(self, text: str) -> None:
        tree = _parsed(text)
        self._names = {number: name for name, number in tree.state.groupdict.items()}
        self._steps: list[tuple[str, Any]] = []
        self._compile(tree, re.DOTALL)
        self._add("end", None)
        self._steps = [self._hastened(at) for at in range(len(self._steps))]

    def match(self, text: str) -> dict[str, str] | None:
        """Returns what the named groups matched, if the whole text matches; else None."""
        steps, width = self._steps, len(text) + 1
        came: dict[int, int] = {}
        runs = _Runs(text)
        ways = [(0, -1)]
        while ways:
            state, before = ways.pop()
            while state >= 0:
                at, place = divmod(state, width)
                kind, value = steps[at]
                if kind == "run":
                    end = runs.next_end(at, place, *value)
                    if end >= 0:
                        came[state] = before
                        ways.append((state, before))
                elif state in came:
                    break
                else:
                    came[state] = before
                    if kind == "end" and place == len(text):
                        return self._captures(text, came, state)
                    if kind == "ways":
                        ways += [(to * width + place, state) for to in value[:0:-1]]
                        at = value[0] - 1
                    end = _end(kind, value, text, place)
                before = state
                state = -1 if end < 0 else (at + 1) * width + end
        return None

    def _captures(self, text: str, came: dict[int, int], state: int) -> dict[str, str]:
        ends: dict[str, int] = {}
        found: dict[str, str] = {}
        while state >= 0:
            at, place = divmod(state, len(text) + 1)
            kind, value = self._steps[at]
            if kind == "group" and value[0] not in found:
                # This goes backwards: a group's end comes first, and its last round counts.
                if value[1]:
                    ends.setdefault(value[0], place)
                else:
                    found[value[0]] = text[place : ends[value[0]]]
            state = came[state]
        return found

    def _add(self, kind: str, value: Any) -> int:
        self._steps.append((kind, value))
        return len(self._steps) - 1

    def _hastened(self, at: int) -> tuple[str, Any]:
        """Returns the step; a run gets the text that has to follow it, so that it can skip other ends."""
        kind, value = self._steps[at]
        if kind != "run":
            return kind, value
        following = at + 1
        while self._steps[following][0] == "group":
            following += 1
        then = self._steps[following]
        return kind, (*value, then[1] if then[0] == "text" else "")

    def _compile(self, tree: Iterable[Any], flags: int) -> None:
        text = ""
        for op, value in (*tree, (None, None)):
            if op is sre.LITERAL and not flags & re.IGNORECASE:
                text += chr(value)
                continue
            if text:
                self._add("text", text)
                text = ""
            if op in _ONE:
                self._add("one", _is_one(_as_text(op, value), flags))
            elif op is sre.AT:
                self._add("place", re.compile(_PLACES[value], flags).match)
            elif op is sre.SUBPATTERN:
                group, more, less, body = value
                name = self._names.get(group)
                if name is not None:
                    self._add("group", (name, False))
                self._compile(body, (flags | more) & ~less)
                if name is not None:
                    self._add("group", (name, True))
            elif op is sre.BRANCH:
                self._branches(value[1], flags)
            elif op in _REPEATS:
                self._repeat(value, op is sre.MAX_REPEAT, flags)
            elif op is not None:
                assert [(op, (value[0], list(value[1])))] == _NO_SLASH
                self._add("place", re.compile("(?!/)").match)

    def _branches(self, branches: list[Iterable[Any]], flags: int) -> None:
        fork = self._add("ways", [])
        ends = []
        for branch in branches:
            self._steps[fork][1].append(len(self._steps))
            self._compile(branch, flags)
            ends.append(self._add("ways", []))
        for end in ends:
            self._steps[end][1].append(len(self._steps))

    def _repeat(self, value: Any, greedy: bool, flags: int) -> None:
        low, high, body = value
        endless = high is sre.MAXREPEAT
        if endless and greedy and _single(body):
            self._add("run", (re.compile(f"{_as_text(*body[0])}*", flags).match, int(low)))
            return
        leave: list[list[int]] = []
        for time in range(max(low, 1) if endless else int(high)):
            if time >= low:
                leave.append(self._fork(greedy))
            begin = len(self._steps)
            self._compile(body, flags)
        if endless:
            # Forks after a round, not before it: like Python, it leaves after a round that took nothing.
            leave.append(self._fork(greedy, begin))
        for fork in leave:
            fork[fork.index(-1)] = len(self._steps)

    def _fork(self, greedy: bool, on: int | None = None) -> list[int]:
        """Adds a step that goes on or leaves (-1 for now), the preferred way first.

        Args:
            on: Where it goes on; None for the next step.
        """
        ways = [len(self._steps) + 1 if on is None else on, -1]
        self._add("ways", ways if greedy else ways[::-1])
        value: list[int] = self._steps[-1][1]
        return value


def _end(kind: str, value: Any, text: str, place: int) -> int:
    """Returns where a step with only one way ends; -1 if it does not match."""
    if kind == "text":
        return place + len(value) if text.startswith(value, place) else -1
    if kind == "one":
        return place + 1 if place < len(text) and value(text[place]) else -1
    if kind == "place":
        return -1 if value(text, place) is None else place
    return -1 if kind == "end" else place


class _Runs:
    """Finds the ends of repetitions of one character, the last first, each of them only once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._spans: dict[int, tuple[int, int]] = {}
        self._below: dict[tuple[int, int], int] = {}

    def next_end(self, at: int, place: int, run: Any, least: int, then: str) -> int:
        """Returns the last end that was not tried yet and is followed by ``then``; -1 if there is none.

        Args:
            at: Which repetition.
            place: Where it begins.
            run: Matches as much as there is.
            least: The fewest characters that it takes.
        """
        last = self._last(at, place, run)
        first, below = place + least, self._below.get((at, last), last + 1)
        end = self._text.rfind(then, first, below - 1 + len(then)) if first < below else -1
        self._below[at, last] = min(below, first) if end < 0 else end
        return end

    def _last(self, at: int, place: int, run: Any) -> int:
        low, last = self._spans.get(at, (-1, -1))
        if low <= place <= last:
            return last
        # Characters that are known to be one run are not matched again: that would not be linear.
        if place > last or run(self._text, place, low).end() < low:
            last = run(self._text, place).end()
        self._spans[at] = (place, last)
        return last


def _as_text(op: Any, value: Any) -> str:
    """Returns the text of an expression for one character, from the parser's form."""
    if op is sre.ANY:
        return "."
    if op is sre.LITERAL:
        return f"[{_char(value)}]"
    if op is sre.NOT_LITERAL:
        return f"[^{_char(value)}]"
    members = []
    for kind, member in value:
        if kind is sre.NEGATE:
            members.append("^")
        elif kind is sre.RANGE:
            members.append(f"{_char(member[0])}-{_char(member[1])}")
        else:
            members.append(_char(member) if kind is sre.LITERAL else _SETS[member])
    return f"[{''.join(members)}]"


def _char(code: int) -> str:
    return f"\\U{code:08x}"


def _is_one(text: str, flags: int) -> Callable[[str], bool]:
    match = re.compile(text, flags).match
    known: dict[str, bool] = {}

    def is_one(char: str) -> bool:
        found = known.get(char)
        if found is None:
            found = known[char] = match(char) is not None
        return found

    return is_one
