"""What is found, what is proposed, and how a name is written as a pattern, a template or a comment."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
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
"""Suffixes of files that hold data more often than not."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found. ``file`` and ``files`` are relative to the top, ``root`` to ``folder``."""

    file: str
    folder: str
    root: str
    top: str
    files: tuple[bytes, ...]
    catalog: Catalog | None = None
    options: DagsterOptions = field(default_factory=DagsterOptions)


@dataclass(frozen=True, slots=True)
class Proposal:
    """One rule, its pattern and templates as they stand in the file.

    ``asset`` None means ``ignore``, ``also`` are further assets that are made from the same files;
    ``many`` says that the path is a pattern, not the name of one file; ``doubt`` why it stands in the file as
    a comment only.
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
    """The file's text and what it comes to. File names are relative to the root.

    ``found`` is how many files need no rule, ``ruled`` and ``ignored`` how many the rules decide
    about. ``problems`` are files whose own metadata or name leads to what cannot be materialized.
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
    """A proposal that can be held against names."""

    def __init__(self, proposal: Proposal) -> None:
        self.proposal = proposal
        self.pattern: Pattern = compile_pattern(proposal.path)
        self._asset = None if proposal.asset is None else self._template(proposal.asset)
        self._partition = [(dimension, self._template(text)) for dimension, text in proposal.partition]

    def also(self, name: str) -> list[str]:
        """The further asset keys of a name that matches."""
        values = {**built_in(name), **(self.pattern.match(name) or {})}
        return [self._template(text).expand(values) for text in self.proposal.also]

    def _template(self, text: str) -> Template:
        return compile_template(text, self.pattern.names)

    def among(self, names: Mapping[str, object]) -> list[str]:
        """Those of the names that match."""
        if self.pattern.literal is not None:
            return [self.pattern.literal] if self.pattern.literal in names else []
        return [name for name in names if self.pattern.match(name) is not None]

    def target(self, name: str) -> tuple[str, dict[str | None, str]]:
        """The asset key and the partition key, by dimension (None: the only one), of a name that matches."""
        values = {**built_in(name), **(self.pattern.match(name) or {})}
        assert self._asset is not None
        return self._asset.expand(values), {d: t.expand(values) for d, t in self._partition}


def problem_of(match: Match, catalog: Catalog, keys: PartitionKeys) -> str | None:
    """Why a target of the match cannot be materialized, whatever moment it is for; None if all can."""
    for target in match.targets:
        asset = catalog.assets.get(target.asset)
        if asset is None:
            return f"{shown(target.asset)} ({kind_of(match)}): it is not there"
        if match.by_row:  # the content tells the keys
            continue
        problem = target_problem(asset, target.partition, keys, match.dimensions)
        if problem is not None and not problem.of_time:
            return f"{shown(target.asset)} ({kind_of(match)}): {problem.message}"
    return None


def kind_of(match: Match) -> str:
    """``metadata`` or ``convention``; of a rule of the file its place."""
    return CONVENTION if match.rule == CONVENTION else match.rule.split(" ", 1)[0]


@lru_cache(maxsize=100_000)
def words_of(text: str) -> str:
    """Letters and digits in lower case, everything else one ``_``."""
    return "_".join(re.findall(r"[^\W_]+", text.casefold()))


def folders_of(name: str) -> Iterator[str]:
    """The folders above a file, the outermost first."""
    at = name.find("/")
    while at > 0:
        yield name[:at]
        at = name.find("/", at + 1)


def joined(folder: str, path: str) -> str:
    """A path relative to a folder, made relative to what the folder is relative to."""
    return posixpath.normpath(f"{folder}/{path}") if folder else path


def as_pattern(name: str) -> str:
    """The pattern that matches this very name."""
    doubled = name.replace("{", "{{").replace("}", "}}")
    return re.sub(r"[\[*?]", lambda found: f"[{found[0]}]", doubled)


def as_template(text: str) -> str:
    """The template that gives this very text."""
    return text.replace("{", "{{").replace("}", "}}")


def is_odd(char: str) -> bool:
    """Whether it stands for a byte that is no UTF-8."""
    return "\udc80" <= char <= "\udcff"


def is_text(name: str) -> bool:
    """Whether a name is UTF-8, so that YAML can hold it."""
    return not any(map(is_odd, name))


def escaped(char: str) -> str:
    """The character between double quotes in YAML."""
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004


def shown(name: str) -> str:
    """A name in a comment: on one line, odd bytes and characters escaped."""
    if name.isprintable() and name == name.strip():
        return name
    return '"' + "".join(f"\\x{ord(c) - 0xDC00:02x}" if is_odd(c) else escaped(c) for c in name) + '"'


def sample(items: Sequence[str], most: int = 3) -> str:
    """The first few, and how many more there are."""
    more = len(items) - most
    return ", ".join(items[:most]) + (f" and {more} more" if more > 0 else "")
