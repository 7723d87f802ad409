"""Removes the comments of ``init`` that new rules made wrong. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from raw_trigger.documents import load_yaml
from raw_trigger.initialize.text import DOUBTFUL, NO_RULE, UNFED, UNMAPPED
from raw_trigger.initialize.values import shown
from raw_trigger.mapping.patterns import compile_pattern

_RULE = re.compile(r"\s*# - (\{.*|path: .*)")
_MORE = re.compile(r"\s*# +(and \d+ more\b.*)")


def without_outdated(
    text: str, *, unmapped: Collection[str], ruled: Collection[str], fed: Collection[str]
) -> str:
    """Returns the text without the outdated entries of ``init``'s lists; any other comment stays.

    Args:
        unmapped: The names of files that no rule maps now.
        ruled: The names of files that new rules decide about.
        fed: The assets that a file feeds now.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.split(newline)
    keys = {shown(key) for key in fed}
    names = {shown(name) for name in ruled}
    lines = _listed(lines, UNMAPPED, 2, lambda entry: _is_ruled(entry, ruled, unmapped))
    lines = _listed(lines, (DOUBTFUL,), 1, lambda entry: _is_ruled(entry, ruled, unmapped))
    lines = _listed(lines, (UNFED,), 1, lambda entry: _item(entry) in keys)
    lines = _listed(lines, (NO_RULE[-1],), 1, lambda entry: not names.isdisjoint(_files(entry)), len(NO_RULE))
    return newline.join(lines)


def _listed(
    lines: Sequence[str],
    heads: Sequence[str],
    size: int,
    wrong: Callable[[Sequence[str]], bool],
    head: int = 1,
) -> list[str]:
    """Returns the lines without the wrong entries below a heading, and without it if none is left.

    Args:
        heads: The headings to look for; the first that is found counts.
        size: Lines of one entry.
        head: Lines of the heading, of which ``heads`` has the last.
    """
    at = next((n for n, line in enumerate(lines) if line.strip() in heads), None)
    if at is None:
        return list(lines)
    end = at + 1
    while end < len(lines) and lines[end].strip().startswith("#"):
        end += 1
    kept: list[str] = []
    entries = 0
    n = at + 1
    while n < end:
        more = 1 if _MORE.fullmatch(lines[n]) else size
        entry = lines[n : min(n + more, end)]
        if not wrong(entry):
            kept += entry
            entries += 1
        n += more
    if entries:
        return [*lines[: at + 1], *kept, *lines[end:]]
    first = at + 1 - head
    # Drops one of the two empty lines that were around the list.
    if first > 0 and not lines[first - 1].strip():
        first -= 1
    return [*lines[:first], *lines[end:]]


def _is_ruled(entry: Sequence[str], ruled: Collection[str], unmapped: Collection[str]) -> bool:
    """Says whether a commented rule, left for the user to complete, is for files that have a rule now."""
    found = _RULE.fullmatch(entry[0])
    try:
        value = load_yaml(found[1].encode())["path"] if found else None
        pattern = compile_pattern(value) if isinstance(value, str) else None
    except ValueError:  # a PatternError is one, too
        return False
    if pattern is None or any(pattern.match(name) is not None for name in unmapped):
        return False
    return any(pattern.match(name) is not None for name in ruled)


def _item(entry: Sequence[str]) -> str:
    return entry[0].strip().lstrip("#").strip()


def _files(entry: Sequence[str]) -> list[str]:
    """Returns the names in a line such as ``a.csv, b.csv  → raw/a  convention``."""
    return _item(entry).partition("→")[0].strip().split(", ")
