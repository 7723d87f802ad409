"""The values that init passes around, and how a name becomes a pattern, a template or a comment."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from raw_trigger.mapping.partitions import PartitionKeys, target_problem
from raw_trigger.mapping.patterns import Pattern, Template, built_in, compile_pattern, compile_template
from raw_trigger.mapping.rules import CONVENTION, Match
from raw_trigger.model.assets import Catalog
from raw_trigger.model.project import DagsterOptions

DATA = frozenset(
    f".{suffix}"
    for suffix in (
        *("avro", "csv", "feather", "geojson", "gz", "json", "jsonl", "ndjson", "ods", "orc", "parquet"),
        *("tsv", "txt", "xls", "xlsx", "xml", "zip", "zst"),
    )
)
"""Suffixes of files that usually hold data."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Holds the findings. ``file`` and ``files`` are relative to the top, ``root`` to ``folder``."""

    file: str
    folder: str
    root: str
    top: str
    files: tuple[bytes, ...]
    catalog: Catalog | None = None
    options: DagsterOptions = field(default_factory=DagsterOptions)


@dataclass(frozen=True, slots=True)
class Proposal:
    """Holds one rule, its pattern and templates as the file spells them.

    ``asset`` None means ``ignore``; ``also`` are further assets that are made from the same files. ``many``
    says that the path is a pattern, not the name of one file. ``doubt`` is the reason why the rule is only a
    comment; None if it is none.
    """

    path: str
    asset: str | None
    why: str
    partition: tuple[tuple[str | None, str], ...] = ()
    many: bool = True
    guess: bool = False
    doubt: str | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """Holds the file's text and its result. File names are relative to the root.

    ``found`` is the number of files that need no rule; ``ruled`` and ``ignored`` are the numbers of those
    that the rules map and ignore. ``problems`` are files whose own metadata or name leads to what cannot be
    materialized.
    """

    text: str
    found: int = 0
    ruled: int = 0
    ignored: int = 0
    rules: int = 0
    guesses: int = 0
    leftover: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    unfed: tuple[str, ...] = ()


class Compiled:
    """Holds a proposal, compiled to be matched with names."""

    def __init__(self, proposal: Proposal) -> None:
        self.proposal = proposal
        self.pattern: Pattern = compile_pattern(proposal.path)
        self._asset = None if proposal.asset is None else self._template(proposal.asset)
        self._partition = [(dimension, self._template(text)) for dimension, text in proposal.partition]

    def also(self, name: str) -> list[str]:
        """Returns the further asset keys of a name that matches."""
        values = {**built_in(name), **(self.pattern.match(name) or {})}
        return [self._template(text).expand(values) for text in self.proposal.also]

    def _template(self, text: str) -> Template:
        return compile_template(text, self.pattern.names)

    def among(self, names: Mapping[str, object]) -> list[str]:
        """Returns those of the names that match."""
        if self.pattern.literal is not None:
            return [self.pattern.literal] if self.pattern.literal in names else []
        return [name for name in names if self.pattern.match(name) is not None]

    def target(self, name: str) -> tuple[str, dict[str | None, str]]:
        """Returns the asset key and the partition key of a name that matches.

        The partition key is given by dimension (None: the only one).
        """
        values = {**built_in(name), **(self.pattern.match(name) or {})}
        assert self._asset is not None
        return self._asset.expand(values), {d: t.expand(values) for d, t in self._partition}


def problem_of(match: Match, catalog: Catalog, keys: PartitionKeys) -> str | None:
    """Returns why a target of the match can never be materialized; None if all can at some moment."""
    for target in match.targets:
        asset = catalog.assets.get(target.asset)
        if asset is None:
            return f"{shown(target.asset)} ({kind_of(match)}): it is not there"
        if match.by_row:  # the content has the keys
            continue
        problem = target_problem(asset, target.partition, keys, match.dimensions)
        if problem is not None and not problem.of_time:
            return f"{shown(target.asset)} ({kind_of(match)}): {problem.message}"
    return None


def kind_of(match: Match) -> str:
    """Returns ``metadata``, ``convention``, or the position of a rule of the file."""
    return CONVENTION if match.rule == CONVENTION else match.rule.split(" ", 1)[0]


@lru_cache(maxsize=100_000)
def words_of(text: str) -> str:
    """Returns the text in lower case with ``_`` between its runs of letters and digits."""
    return "_".join(re.findall(r"[^\W_]+", text.casefold()))


def folders_of(name: str) -> Iterator[str]:
    """Yields the folders above a file, the outermost first."""
    at = name.find("/")
    while at > 0:
        yield name[:at]
        at = name.find("/", at + 1)


def joined(folder: str, path: str) -> str:
    """Returns a path that is relative to a folder relative to that folder's base."""
    return posixpath.normpath(f"{folder}/{path}") if folder else path


def as_pattern(name: str) -> str:
    """Returns the pattern that matches this very name."""
    doubled = name.replace("{", "{{").replace("}", "}}")
    return re.sub(r"[\[*?]", lambda found: f"[{found[0]}]", doubled)


def as_template(text: str) -> str:
    """Returns the template that gives this very text."""
    return text.replace("{", "{{").replace("}", "}}")


def is_odd(char: str) -> bool:
    """Says whether the character stands for a byte that is not UTF-8."""
    return "\udc80" <= char <= "\udcff"


def is_text(name: str) -> bool:
    """Says whether a name is UTF-8, so that YAML can hold it."""
    return not any(map(is_odd, name))


def escaped(char: str) -> str:
    """Returns the character as it stands between double quotes in YAML."""
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004


def shown(name: str) -> str:
    """Returns a name for a comment: on one line, with odd bytes and characters escaped."""
    if name.isprintable() and name == name.strip():
        return name
    return '"' + "".join(f"\\x{ord(c) - 0xDC00:02x}" if is_odd(c) else escaped(c) for c in name) + '"'
