"""Writes workflow commands of GitHub Actions, and prints text that may look like one.

The runner takes a line for a command if it begins with ``::name …::`` after white space, or holds
``##[name]`` anywhere (actions/runner, ActionCommand.cs, TryParseV2 and TryParse).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TextIO

from raw_trigger.ci.markup import cut
from raw_trigger.model.changes import show
from raw_trigger.model.outcome import Outcome, TargetOutcome
from raw_trigger.model.plan import NO_CATALOG, Plan, Target
from raw_trigger.model.text import sample
from raw_trigger.render import words

Level = Literal["error", "warning"]
_Failure = tuple[str, tuple[bytes, ...]]
"""An error, and the files that feed the targets which failed with it."""

MOST = 10
"""GitHub shows at most so many errors and so many warnings of one step."""

_MESSAGE = 3000
_TITLE = 120
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


@dataclass(frozen=True, slots=True)
class Annotation:
    """Holds one remark, on a file if there is one. ``path`` is relative to the repository's top."""

    level: Level
    title: str
    message: str
    path: bytes | None = None
    line: int | None = None


def remarks(plan: Plan, outcome: Outcome | None = None, *, unmapped: bool = True) -> Iterator[Annotation]:
    """Yields errors on the files whose targets failed, and warnings on files that the user should look at.

    Args:
        unmapped: Whether to warn of files that belong to no asset.
    """
    yield from _plan_errors(plan)
    if outcome is not None:
        feeding = {planned.target: planned.paths for planned in plan.targets}
        failed: dict[_Failure, list[str]] = {}
        for done in outcome.targets:
            failure = _failure(done, feeding)
            if failure is not None:
                failed.setdefault(failure, []).append(words.printable(done.target.text))
        for done in outcome.targets:
            failure = _failure(done, feeding)
            if failure in failed:  # assets of one function fail together: that is one remark
                yield _failed(failure, failed.pop(failure))
            yield from _checks(done, feeding.get(done.target, ()))
    for warning in plan.warnings:
        yield Annotation("warning", "raw-trigger", warning)
    if not unmapped or plan.errors:
        return
    for planned in plan.changes:
        if planned.disposition == "unmapped" and planned.reason != NO_CATALOG:
            message = f"{planned.reason or 'no asset is made from it'}; add a rule or `ignore: true`"
            yield Annotation("warning", "nothing is made from this file", message, planned.change.path)


def commands(annotations: Iterable[Annotation], most: int = MOST) -> list[str]:
    """Returns the lines to print, errors first.

    Args:
        most: The most lines of each level; if there are more remarks, the last line counts the rest.
    """
    known = list(annotations)
    lines: list[str] = []
    for level in ("error", "warning"):
        some = [remark for remark in known if remark.level == level]
        kept = some if len(some) <= most else some[: most - 1]
        lines += map(_command, kept)
        if len(kept) < len(some):
            more = (
                f"… and {words.plural(len(some) - len(kept), f'more {level}')}: see the summary of the step"
            )
            lines.append(_line(level, {"title": "raw-trigger"}, more))
    return lines


@contextmanager
def stopped(stream: TextIO, word: str | None = None) -> Iterator[None]:
    """Keeps the runner from taking lines for commands during the block.

    The runner reads both standard streams in no certain order, so print to one of them only.

    Args:
        word: The word that ends it; None for a random one.
    """
    token = word or f"raw-trigger-{secrets.token_hex(16)}"
    stream.write(f"::stop-commands::{token}\n")
    stream.flush()
    try:
        yield
    finally:
        # Begins with a newline: on a line that was left open the command would not count.
        stream.write(f"\n::{token}::\n")
        stream.flush()


def escape_data(value: str) -> str:
    """Returns a command's text so that the runner reads back exactly this one."""
    return "".join(_DATA.get(char, char) for char in value)


def escape_property(value: str) -> str:
    """Returns the value of a property so that the runner reads back exactly this one."""
    return "".join(_PROPERTY.get(char, char) for char in value)


def _plan_errors(plan: Plan) -> Iterator[Annotation]:
    unmapped = [p.change.path for p in plan.changes if p.disposition == "unmapped"] if plan.errors else []
    by_start = {show(path): path for path in unmapped}
    for error in plan.errors:
        # The planner begins an error about a file with its name, which may contain colons, and a line.
        path, line, message = None, None, error
        for found in re.finditer(": ", error):
            start = error[: found.start()]
            name, _, number = start.rpartition(":")
            if start in by_start:
                path, message = by_start[start], error[found.end() :]
            elif name in by_start and number.isdecimal():
                path, line, message = by_start[name], int(number), error[found.end() :]
            if path is not None:
                break
        yield Annotation("error", "raw-trigger cannot plan this", message, path, line)


def _failure(done: TargetOutcome, feeding: Mapping[Target, Sequence[bytes]]) -> _Failure | None:
    if done.status != "failed" or (done.refuted and not done.own_error):
        return None
    error = (done.own_error or "no reason is known: see the log").strip()
    return error, tuple(feeding.get(done.target, ()))


def _failed(failure: _Failure, names: Sequence[str]) -> Annotation:
    error, paths = failure
    path, line = _culprit(error, paths)
    others = [words.printable(other) for other in paths if other != path]
    made = f"\nIt is also made from {sample(others)}" if others else ""
    return Annotation("error", f"{sample(names, 3)} failed", cut(error, _MESSAGE) + made, path, line)


def _checks(done: TargetOutcome, paths: Sequence[bytes]) -> Iterator[Annotation]:
    name = words.printable(done.target.text)
    for check in done.checks:
        if not check.passed:
            level: Level = "error" if check.severity == "ERROR" else "warning"
            message = check.message or "the check gives no reason"
            yield Annotation(
                level, f"{name}: check {check.name} failed", message, paths[0] if paths else None
            )


def _culprit(error: str, paths: Sequence[bytes]) -> tuple[bytes | None, int | None]:
    """Returns the file that the error names, else the first one, and the line if it follows the name."""
    for path in paths:
        for name in (show(path), show(path).rpartition("/")[2]):
            found = re.search(
                rf"(?<![\w.-]){re.escape(name)}(?![\w-])(\W{{1,3}}(?:line )?(\d{{1,7}})\b)?", error
            )
            if found:
                return path, int(found[2]) if found[2] else None
    return (paths[0] if paths else None), None


def _command(remark: Annotation) -> str:
    message = words.harmless(cut(remark.message, _MESSAGE + 1000), lines=True)
    properties = {}
    if remark.path is not None and _can_be_named(remark.path):
        properties["file"] = show(remark.path)
        if remark.line is not None:
            properties["line"] = str(remark.line)
    elif remark.path is not None:
        message = f"{cut(words.printable(remark.path), _MESSAGE)}: {message}"
    # The title is last: the runner strips white space from the end of the properties.
    properties["title"] = cut(words.harmless(remark.title), _TITLE)
    return _line(remark.level, properties, message)


def _can_be_named(path: bytes) -> bool:
    """Says whether the runner would read back the very same path: UTF-8 that does not begin with ``=``."""
    try:
        return not path.decode().startswith("=")
    except UnicodeDecodeError:
        return False


def _line(level: str, properties: dict[str, str], message: str) -> str:
    named = ",".join(f"{name}={escape_property(value)}" for name, value in properties.items())
    return f"::{level} {named}::{escape_data(message)}"
