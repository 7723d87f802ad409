"""Reads objects of one repository, through a git process that is kept open.

Git looks up a ref, and an object that it does not know, anew with every question. But it keeps what it knows
of a commit's parents, which a fetch may change in a shallow clone: so nothing is asked here that follows
history.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import cache
from typing import IO, Literal, NamedTuple

from raw_trigger.errors import GitError
from raw_trigger.model.changes import Entry
from raw_trigger.repo.git import Git
from raw_trigger.repo.talk import Talk

_KINDS = frozenset((b"blob", b"tree", b"commit", b"tag"))
_AT_ONCE = 4096
"""Bytes of questions that are asked before their answers are read: a pipe takes at least as many."""
_UNKNOWN_OPTION = 129

_What = Literal["info", "contents"]
_OPTIONS: dict[_What, str] = {"info": "--batch-check", "contents": "--batch"}


class Found(NamedTuple):
    """Holds what an object is: its id, its kind as git names it, and its size in bytes."""

    oid: str
    kind: str
    size: int


_Answer = tuple[Found, bytes] | None


class Objects:
    """Reads objects of one repository.

    It may be used from several threads. The processes end when it is closed or no longer needed, with this
    process at the latest.

    Args:
        offline: Whether an object at which git stops, as it is not allowed to fetch it, counts as missing.
    """

    def __init__(self, git: Git, *, offline: bool = False) -> None:
        self._git = git
        self._offline = offline
        self._lock = threading.Lock()
        self._talks: dict[str, Talk] = {}
        self._knows_both = True

    def look(self, *names: str) -> list[Found | None]:
        """Returns what these objects are; None for one that is not here.

        Args:
            names: Ids and refs; also with ``^{tree}`` or ``^{commit}`` behind.

        Raises:
            GitError: git cannot tell.
        """
        return [None if answer is None else answer[0] for answer in self._answers("info", names)]

    def contents(self, oids: Sequence[str]) -> list[bytes]:
        """Returns the contents of these objects, in their order.

        Raises:
            GitError: one is missing or damaged.
        """
        found = []
        for oid, answer in zip(oids, self._answers("contents", oids), strict=True):
            if answer is None:
                raise GitError(f"the object {oid} is missing", "see `git fsck`")
            found.append(answer[1])
        return found

    def tree(self, name: str, wanted: Collection[bytes] | None = None) -> dict[bytes, Entry]:
        """Returns the entries of a tree, or of a commit's, by their names.

        Args:
            wanted: The names that are asked for; None: all.

        Raises:
            GitError: it is not here, or damaged.
        """
        [answer] = self._answers("contents", [f"{name}^{{tree}}"])
        if answer is None:
            raise GitError(f"the tree {name} is not in the object database", "see `git fsck`")
        found, data = answer
        entries: dict[bytes, Entry] = {}
        end = 0
        for match in _entry(len(found.oid) // 2).finditer(data):
            mode, entry, oid = match.groups()
            if match.start() != end:
                break
            end = match.end()
            if wanted is None or entry in wanted:
                entries[entry] = Entry(mode.decode().zfill(6), oid.hex())
        if end != len(data):
            raise GitError(f"the tree {found.oid} is damaged", "see `git fsck`")
        return entries

    def close(self) -> None:
        """Closes the processes; the next question starts others."""
        with self._lock:
            self._hang_up()

    def _answers(self, what: _What, names: Sequence[str]) -> list[_Answer]:
        questions = [os.fsencode(name) for name in names]
        if any(b"\n" in question for question in questions):
            raise GitError("no object has a line break in its name")
        answers: list[_Answer] = []
        with self._lock:
            try:
                while len(answers) < len(questions):
                    asked = _first(questions[len(answers) :])
                    told = self._told(what, asked)
                    answers += told
                    if len(told) < len(asked) and not self._is_too_old():
                        # Git stops at what is damaged or cannot be fetched. Or somebody has killed it.
                        self._hang_up()
                        answers.append(self._alone(what, asked[len(told)]))
            except BaseException:
                # The answer that was not read would be taken for the next one's.
                self._hang_up()
                raise
        return answers

    def _told(self, what: _What, questions: Sequence[bytes]) -> list[_Answer]:
        """Returns the answers up to the question at which git stops."""
        talk = self._talk(what)
        command = f"{what} ".encode() if self._knows_both else b""
        answers: list[_Answer] = []
        with suppress(BrokenPipeError, EOFError):
            talk.stdin.write(b"".join(command + question + b"\n" for question in questions))
            talk.stdin.flush()
            for _ in questions:
                answers.append(_answer(talk.stdout, what))
        return answers

    def _talk(self, what: _What) -> Talk:
        option = "--batch-command" if self._knows_both else _OPTIONS[what]
        talk = self._talks.get(option)
        if talk is None or not talk.goes_on:
            if talk is not None:
                talk.end()
            talk = self._talks[option] = Talk(self._git, "cat-file", option)
        return talk

    def _is_too_old(self) -> bool:
        """Says whether git has not understood: before 2.36 it needs a process for each kind of question."""
        if self._knows_both and self._talks["--batch-command"].status() == _UNKNOWN_OPTION:
            self._hang_up()
            self._knows_both = False
            return True
        return False

    def _alone(self, what: _What, question: bytes) -> _Answer:
        """Asks a process of its own, to learn why git has stopped."""
        args = ("cat-file", _OPTIONS[what])
        if self._offline:
            done = self._git.attempt(*args, stdin=question + b"\n")
            out = done.stdout if done.returncode == 0 else question + b" missing\n"
        else:
            out = self._git.run(*args, stdin=question + b"\n")
        head, _, rest = out.partition(b"\n")
        found = _found(head)
        return None if found is None else (found, rest[: found.size] if what == "contents" else b"")

    def _hang_up(self) -> None:
        for talk in self._talks.values():
            talk.end()
        self._talks.clear()


def _first(questions: Sequence[bytes]) -> Sequence[bytes]:
    """Returns as many of the questions as git can be asked at once, at least one."""
    room = _AT_ONCE
    for number, question in enumerate(questions):
        room -= len("contents ") + len(question) + 1
        if room < 0:
            return questions[: max(number, 1)]
    return questions


def _answer(stream: IO[bytes], what: _What) -> _Answer:
    head = stream.readline()
    if not head.endswith(b"\n"):
        raise EOFError
    found = _found(head[:-1])
    if found is None:
        return None
    if what == "info":
        return found, b""
    data = stream.read(found.size + 1)
    if len(data) <= found.size or not data.endswith(b"\n"):
        raise EOFError
    return found, data[:-1]


def _found(head: bytes) -> Found | None:
    fields = head.split(b" ")
    if len(fields) != 3 or fields[1] not in _KINDS:  # noqa: PLR2004
        return None
    return Found(fields[0].decode(), fields[1].decode(), int(fields[2]))


@cache
def _entry(width: int) -> re.Pattern[bytes]:
    """Returns what an entry of a tree looks like; ids have this many bytes."""
    return re.compile(rb"([0-7]+) ([^\0]+)\0(.{%d})" % width, re.DOTALL)
