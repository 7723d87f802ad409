"""The content of ``raw-trigger.yaml``, as frozen values. Nothing here reads a file or needs a library."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from raw_trigger.model.project import DagsterOptions

OnDelete = Literal["auto", "materialize", "report", "delete-partition", "skip", "fail"]
Unmapped = Literal["warn", "ignore", "fail"]
ReportAs = Literal["materialization", "observation"]
HookAction = Literal["run", "background", "notify", "off"]
LauncherName = Literal["local", "graphql"]
MergeGroup = Literal["previous", "target"]
Fingerprint = Literal["bytes", "text", "json", "table"]
PushAction = Literal["run", "notify", "off"]
"""Without ``background``: after the push it could not refuse it any more."""

ENVIRONMENT_NAME = re.compile(r"(?!.*\.\.)(?!.*\.lock$)(?!.*\.$)[A-Za-z0-9][A-Za-z0-9._-]*")
"""The form of an environment's name, which is part of a git ref."""

ENVIRONMENT_HINT = (
    "use letters, digits, '.', '_' and '-', beginning with a letter or digit, without '..' and not ending"
    " in '.' or '.lock'"
)

LOCAL: Literal["local"] = "local"
"""The environment of the project at the top, if its file names none."""

DEPLOYMENT: Literal["deployment"] = "deployment"
"""The same where a deployment makes the assets: the assets there are others."""

DEFAULT_ROOT = "data/1_raw"

DEFAULT_PRE_PUSH: PushAction = "off"
DEFAULT_HOOKS: Mapping[str, HookAction] = {
    "pre-commit": "run",
    "post-commit": "run",
    "post-merge": "run",
    "post-rewrite": "run",
    "post-checkout": "notify",
    "pre-push": DEFAULT_PRE_PUSH,
}


_USER = re.compile(r"(?<=://)([^:/@]*?)(:|%3a).*@", re.IGNORECASE | re.DOTALL)
_USER_IN_TEXT = re.compile(r"(?<=://)([^:/@\s'\"]*?)(:|%3a)[^\n'\"]*@", re.IGNORECASE)
_PARAMETER = re.compile(r"((?:pass|pwd|secret|token|apikey)[\w.-]{0,30}(?:=|%3d))[^&#\s'\"]*", re.IGNORECASE)
_PLAIN = re.compile(r"\w(?:[\w-]*\w)?", re.ASCII)
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Position:
    """Holds a place in a file. ``file`` is relative to the repository's top; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    @property
    def short(self) -> str:
        """Returns ``file:line``."""
        return f"{self.file}:{self.line}"


PartitionText = str | tuple[tuple[str, str], ...]
"""A template of a partition key, or (dimension, template) pairs as written."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Says which rows of a table count: the ``rows:`` of a rule.

    ``key`` are the columns that identify a row, ``columns`` those that count besides it (None: all),
    ``partition`` is the template of the partition that a row feeds (None: any row that counts feeds the whole
    target). ``delimiter`` and ``encoding`` are None if they have to be detected.
    """

    key: tuple[str, ...]
    columns: tuple[str, ...] | None = None
    partition: PartitionText | None = None
    delimiter: str | None = None
    encoding: str | None = None
    partition_position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """Holds one entry of ``assets:``, its pattern and templates still as text.

    ``path`` is relative to the root. ``assets`` are key templates, empty for an ignored path. ``on_delete``
    is None if the configuration's applies. ``position`` is that of the path; ``asset_positions`` has one for
    each of ``assets``. ``fingerprint`` says what of the content counts (None: every byte), ``rows`` which
    rows of a table. For a named job the only "asset" is ``job:NAME``, and ``run_config`` the JSON text of its
    configuration.
    """

    path: str
    assets: tuple[str, ...]
    ignore: bool
    partition: PartitionText | None
    on_delete: OnDelete | None
    position: Position
    asset_positions: tuple[Position, ...]
    partition_position: Position | None = None
    fingerprint: Fingerprint | None = None
    rows: Rows | None = None
    run_config: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Holds the whole configuration, with its defaults.

    ``file``, ``folder`` (the project folder, ``""`` for the top) and ``roots`` are relative to the
    repository's top, with ``/`` and without a trailing one; a root that is the top itself is ``.``.
    ``environment`` is None if the file names none. ``downstream`` is a word or a number of levels.
    ``on_failure`` is a command, word by word; None if there is none. ``ci_environments`` are pairs of an
    environment and the patterns of the branches that record it on CI. ``merge_group`` says what an entry of a
    merge queue is compared with. ``launcher`` says what carries plans out: the project's interpreter here, or
    a deployment of Dagster. ``digest`` is the SHA-256 of the file's bytes in hexadecimal, ``""`` without
    a file.
    """

    file: str | None = None
    folder: str = ""
    roots: tuple[str, ...] = (DEFAULT_ROOT,)
    dagster: DagsterOptions = field(default_factory=DagsterOptions)
    launcher: LauncherName = "local"
    environment: str | None = None
    downstream: Literal["auto", "none", "all"] | int = "auto"
    on_delete: OnDelete = "auto"
    unmapped: Unmapped = "warn"
    report_as: ReportAs = "materialization"
    batch_size: int = 200
    fetch: bool = False
    on_failure: tuple[str, ...] | None = None
    ci_environments: tuple[tuple[str, tuple[str, ...]], ...] = ()
    merge_group: MergeGroup = "previous"
    hooks: Mapping[str, HookAction] = field(default_factory=lambda: dict(DEFAULT_HOOKS))
    ledger: str = "sqlite"
    rules: tuple[Rule, ...] = ()
    digest: str = ""


def default_config(folder: str = "") -> Config:
    """Returns the configuration that applies without a file.

    Args:
        folder: The project folder relative to the repository's top, ``""`` for the top.
    """
    return Config(folder=folder, roots=(below(folder, DEFAULT_ROOT),))


def own_environment(config: Config, worktree: str | None = None) -> str:
    """Returns the environment of a project whose file names none; no other project here has the same.

    Args:
        worktree: The name of a linked worktree whose assets are stored on their own; None for any other.
    """
    if config.launcher == "graphql":
        return f"{DEPLOYMENT}.{folder_name(config.folder)}" if config.folder else DEPLOYMENT
    return local_environment(config.folder, worktree)


def local_environment(folder: str, worktree: str | None = None) -> str:
    """Returns the environment of a project whose assets are made here, and whose file names none.

    Args:
        folder: The project folder relative to the repository's top, ``""`` for the top.
        worktree: The name of a linked worktree whose assets are stored on their own; None for any other.
    """
    if not folder:
        return LOCAL if worktree is None else f"{LOCAL}-{worktree}"
    name = f"{LOCAL}.{folder_name(folder)}"
    return name if worktree is None else f"{name}--{worktree}"


def is_of_worktree(environment: str, worktree: str) -> bool:
    """Says whether :func:`local_environment` gives this environment for that linked worktree."""
    project, _, name = environment.partition("--")
    below = project.startswith(f"{LOCAL}.") and name == worktree
    return below or environment == local_environment("", worktree)


def folder_name(folder: str) -> str:
    """Returns a name for a project folder in a git ref or file name: different for different folders.

    A dot replaces the slash. If the folder has other characters, or would read as another folder, a digest
    makes the name unique.
    """
    parts = folder.split("/")
    plain = all(_PLAIN.fullmatch(part) for part in parts) and parts[-1] != "lock"
    if plain and "--" not in folder and len(folder) <= _LONGEST:
        return ".".join(parts)
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", folder).strip("-")[:_LONGEST] or "folder"
    return f"{readable}-{hashlib.sha256(folder.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def below(folder: str, path: str) -> str:
    """Returns a normalised path relative to ``folder`` as one relative to the repository's top."""
    if not folder:
        return path
    return folder if path == "." else f"{folder}/{path}"


def without_password(url: str) -> str:
    """Returns the URL of a database without its password, wherever that is."""
    return _PARAMETER.sub(r"\1***", _USER.sub(r"\1:***@", url))


def without_passwords(text: str) -> str:
    """Returns a text without what looks like passwords in URLs."""
    return _PARAMETER.sub(r"\1***", _USER_IN_TEXT.sub(r"\1:***@", text)) if "://" in text else text
