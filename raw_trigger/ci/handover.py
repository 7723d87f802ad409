"""Hands results on between the steps of one job: the steps that fetch, work and publish.

Only the first and the last step have the token, and these run none of the project's code. That code may have
changed the file, so the last step finds out for itself what may be recorded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raw_trigger.documents import load_json, read_bytes
from raw_trigger.errors import UsageError
from raw_trigger.model.changes import Base, Desired, show, to_bytes
from raw_trigger.model.record import Results
from raw_trigger.model.settings import folder_name
from raw_trigger.record import results as travelling
from raw_trigger.repo.repository import Repository

_AGAIN = "begin with `raw-trigger ci --step fetch` in the same job"


@dataclass(frozen=True, slots=True)
class Comment:
    """Holds a comment for the pull request; ``create`` says whether to write one if there is none."""

    body: str
    create: bool


@dataclass(frozen=True, slots=True)
class Handover:
    """Holds what is handed on.

    Attributes:
        commit: What was checked out when it was found out what to compare.
        base: None where there is nothing to do.
        unrecorded: Why it is not recorded; None if it is.
        only: The paths that are looked at; None: all.
        launch: The launch that was begun; None: it was not.
        results: What the run came to, once it is over; None if there is nothing to record.
    """

    commit: str
    environment: str
    base: Base | None
    desired: Desired
    reason: str
    unrecorded: str | None = None
    only: frozenset[bytes] | None = None
    warnings: tuple[str, ...] = ()
    launch: str | None = None
    results: Results | None = None
    comment: Comment | None = None


def place(repo: Repository, folder: str) -> Path:
    """Returns the file of the project in this folder."""
    return repo.private_dir / f"ci-{folder_name(folder) if folder else 'top'}.json"


def write(handed: Handover, file: Path) -> None:
    """Writes the file."""
    base, desired, comment = handed.base, handed.desired, handed.comment
    document = {
        "version": 1,
        "commit": handed.commit,
        "environment": handed.environment,
        "base": base and {"kind": base.kind, "name": base.name, "oid": base.oid, "reason": base.reason},
        "target": {"kind": desired.kind, "name": desired.name, "oid": desired.oid},
        "reason": handed.reason,
        "unrecorded": handed.unrecorded,
        "only": None if handed.only is None else sorted(map(show, handed.only)),
        "warnings": handed.warnings,
        "launch": handed.launch,
        "results": None if handed.results is None else json.loads(travelling.dumps(handed.results)),
        "comment": comment and {"body": comment.body, "create": comment.create},
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document), "ascii")


def read(file: Path, repo: Repository, roots: Sequence[str]) -> Handover:
    """Returns the content that :func:`write` wrote.

    Raises:
        UsageError: the step before was left out, or was for another commit.
        RecordError: the file contains something that cannot be recorded.
    """
    try:
        document = load_json(read_bytes(file))
    except FileNotFoundError:
        raise UsageError("no earlier step has found out what is to be done", _AGAIN) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}", _AGAIN) from error
    try:
        handed = _read(document, file, roots)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file} is not what an earlier step wrote: {error!r}", _AGAIN) from None
    head = repo.head()
    if head is None or head.commit != handed.commit:
        raise UsageError("another commit was checked out since the step that fetches", _AGAIN)
    return handed


def leave(file: Path, repo: Repository, roots: Sequence[str], **known: Any) -> None:
    """Adds to what is handed on."""
    write(replace(read(file, repo, roots), **known), file)


def _read(document: Any, file: Path, roots: Sequence[str]) -> Handover:
    if document["version"] != 1:
        raise ValueError("it is of another version")
    base, desired, comment = document["base"], document["target"], document["comment"]
    only, kept = document["only"], document["results"]
    return Handover(
        commit=document["commit"],
        environment=document["environment"],
        base=None if base is None else Base(base["kind"], base["name"], base["oid"], base["reason"]),
        desired=Desired(desired["kind"], desired["name"], desired["oid"]),
        reason=document["reason"],
        unrecorded=document["unrecorded"],
        only=None if only is None else frozenset(map(to_bytes, only)),
        warnings=tuple(document["warnings"]),
        launch=None if document["launch"] is None else str(document["launch"]),
        results=None if kept is None else travelling.loads(json.dumps(kept), file.name, roots),
        comment=None if comment is None else Comment(str(comment["body"]), comment["create"] is True),
    )
