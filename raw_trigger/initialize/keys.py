"""Finds partition keys in the names of files."""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from raw_trigger.initialize.values import as_pattern, as_template, is_text, words_of
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.mapping.patterns import BUILT_IN, built_in
from raw_trigger.model.assets import Partitions

_MOST_KEYS = 20
"""The most keys that a pattern spells out."""

Shape = tuple[str, str, tuple[tuple[str | None, str], ...]]
"""A pattern, the same pattern with its keys spelt out, and the partition's templates by dimension."""

_STAMP = re.compile(
    r"(?<!\d)(?P<Y>(?:19|20)\d\d)(?:(?P<m_>[-_./]?)(?P<m>0[1-9]|1[0-2])"
    r"(?:(?P<d_>[-_./]?)(?P<d>0[1-9]|[12]\d|3[01])"
    r"(?:(?P<H_>[-_T ./]?)(?P<H>[01]\d|2[0-3])(?:(?P<M_>[-_:.]?)(?P<M>[0-5]\d))?)?)?)?(?!\d)"
)

_FIELDS = {"Y": "year", "m": "month", "d": "day", "H": "hour", "M": "minute"}


@dataclass(frozen=True, slots=True)
class _Cut:
    """Holds the part of a path that is the key of one dimension.

    ``strict`` is the pattern with the keys spelt out.
    """

    start: int
    end: int
    pattern: str
    strict: str
    key: str


def dimensions(partitions: Partitions | None) -> tuple[tuple[str | None, Partitions], ...]:
    """Returns the dimensions by name; the only one of a simple definition has None."""
    if partitions is None:
        return ()
    return partitions.dimensions if partitions.kind == "multi" else ((None, partitions),)


def cuts(name: str, partitions: Partitions | None) -> Iterator[tuple[Shape, tuple[str, ...], str]]:
    """Yields every way to read partition keys out of a name, with the remaining words and the suffix.

    Without partitions a date is read all the same.
    """
    if not is_text(name):
        return
    suffix = built_in(name)["suffix"]
    if suffix and any(posixpath.basename(name) in one.keys for _, one in dimensions(partitions)):
        suffix = ""  # the whole name is a key
    body = name[: len(name) - len(suffix)]
    if partitions is None:
        choices = [list(_moments(body, None, "date"))]
    else:
        choices = [list(_of_dimension(body, name, one)) for name, one in dimensions(partitions)]
    for chosen in itertools.product(*choices):
        ordered = sorted(chosen, key=lambda cut: cut.start)
        if any(one.end > other.start for one, other in itertools.pairwise(ordered)):
            continue
        loose = _assembled(body, ordered, lambda cut: cut.pattern) + as_pattern(suffix)
        strict = _assembled(body, ordered, lambda cut: cut.strict) + as_pattern(suffix)
        keys = tuple((d, cut.key) for (d, _), cut in zip(dimensions(partitions), chosen, strict=False))
        rest = body
        for cut in reversed(ordered):
            rest = f"{rest[: cut.start]}/{rest[cut.end :]}"
        words = tuple(w for part in rest.split("/") if (w := words_of(part)))
        yield (loose, strict, keys), words, words_of(suffix)


def _assembled(body: str, cuts: Sequence[_Cut], pattern: Callable[[_Cut], str]) -> str:
    out, at = "", 0
    for cut in cuts:
        out += as_pattern(body[at : cut.start]) + pattern(cut)
        at = cut.end
    return out + as_pattern(body[at:])


def _of_dimension(body: str, dimension: str | None, one: Partitions) -> Iterator[_Cut]:
    fits = dimension is not None and dimension.isidentifier()
    capture = dimension if fits and dimension not in (*_FIELDS.values(), *BUILT_IN) else None
    if one.kind == "time":
        yield from _moments(body, one, capture or "date")
    elif one.kind == "static":
        yield from _named(body, frozenset(one.keys), capture or "name")
    elif one.kind == "dynamic":
        yield from _named(body, None, capture or "name")
        if one.keys:  # a known key may end the name, as in orders_acme.csv
            yield from _named(body, frozenset(one.keys), capture or "name", whole=False)


def _named(body: str, keys: frozenset[str] | None, capture: str, *, whole: bool = True) -> Iterator[_Cut]:
    """Yields where a key stands: the stem or a folder (``whole``), or the beginning or end of the stem."""
    strict = f"{{{capture}}}"
    if keys is not None and len(keys) <= _MOST_KEYS and not any(set(key) & set("%{}") for key in keys):
        one_of = "|".join(re.sub(r"([\\.^$*+?|()\[\]])", r"\\\1", key) for key in sorted(keys))
        strict = f"{{{capture}:{one_of}}}"
    for start, end in _spans(body, whole=whole, ends=keys is not None):
        if keys is None or body[start:end] in keys:
            yield _Cut(start, end, f"{{{capture}}}", strict, f"{{{capture}}}")


def _spans(body: str, *, whole: bool, ends: bool) -> Iterator[tuple[int, int]]:
    stem = body.rfind("/") + 1
    if whole:
        yield stem, len(body)
    at = 0
    for part in body.split("/")[:-1] if whole else ():
        yield at, at + len(part)
        at += len(part) + 1
    for mark in re.finditer(r"[-_. ]", body[stem:]) if ends else ():
        yield stem, stem + mark.start()
        yield stem + mark.end(), len(body)


def _moments(body: str, definition: Partitions | None, capture: str) -> Iterator[_Cut]:
    """Yields where a date stands that has the parts in which the partitions differ."""
    for found in _STAMP.finditer(body):
        separators: dict[str, str | None] = found.groupdict()
        parts = [(separators.get(d + "_") or "", d) for d in _FIELDS if found[d] is not None]
        made = _moment(parts, definition, capture)
        if made is not None:
            yield _Cut(found.start(), found.end(), made[0], made[0], made[1])


def _moment(
    parts: Sequence[tuple[str, str]], definition: Partitions | None, capture: str
) -> tuple[str, str] | None:
    """Returns the pattern of a date and the template of its key; None if the date lacks what the key needs.

    Args:
        parts: The separators and directives of the date in the file's name.
    """
    fixed = {} if definition is None else _fixed(definition)
    wanted = "".join(sep + "%" + d for sep, d in parts) if definition is None else _wanted(definition)
    if wanted is None:
        return None
    together, form = 0, ""
    for n, (separator, directive) in enumerate(parts, 1):
        form += f"{separator}%{directive}"
        if "/" in form or directive in fixed or not wanted.startswith(form):
            break
        together = n if n > 1 else 0
    whole = "".join(f"{separator}%{d}" for separator, d in parts[:together])
    pattern = f"{{{capture}:{whole}}}" if together else ""
    for separator, directive in parts[together:]:
        pattern += f"{as_pattern(separator)}{{{_FIELDS[directive]}:%{directive}}}"
    key = f"{{{capture}}}" if together else ""
    there = {directive for _, directive in parts}
    for plain, directive in re.findall(r"([^%]+)|%(.)", wanted[len(whole) :]):
        if plain:
            key += as_template(plain)
        elif directive in fixed:
            key += fixed[directive]
        elif directive in there:
            key += f"{{{_FIELDS[directive]}}}"
        else:
            return None
    return pattern, key


def _wanted(definition: Partitions) -> str | None:
    """Returns the format of the keys; None if it consists of more than numbers."""
    form = definition.format or ""
    return form if form and set(re.findall(r"%(.)", form)) <= {*_FIELDS, "S"} else None


def _fixed(definition: Partitions) -> dict[str, str]:
    """Returns the directives that, by the schedule, have the same value in every key, with that value."""
    fixed = {"S": "00"}
    schedule = (definition.cron or "").split()
    if len(schedule) == 5:  # noqa: PLR2004
        minute, hour, day, month, weekday = schedule
        for directive, value in (("M", minute), ("H", hour), ("d", day), ("m", month)):
            if value.isdecimal() and (directive not in "dm" or weekday == "*"):
                fixed[directive] = f"{int(value):02}"
    return fixed


def is_key(keys: PartitionKeys, definition: Partitions, key: str) -> bool | None:
    """Says whether the definition has the key; None for a moment that is no key of it."""
    problem = keys.problem(definition, key)
    if problem is None:
        return True
    return None if problem.of_time else False
