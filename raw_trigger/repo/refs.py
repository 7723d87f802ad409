"""Moves refs, through a git process that is kept open."""

from __future__ import annotations

import threading
from contextlib import suppress

from raw_trigger.repo.git import Git
from raw_trigger.repo.talk import Talk

_DONE = [b"start: ok\n", b"prepare: ok\n", b"commit: ok\n"]


class Refs:
    """Moves refs of one repository. It may be used from several threads."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._lock = threading.Lock()
        self._talk: Talk | None = None

    def move(self, ref: str, new: str, old: str | None) -> bytes | None:
        """Moves a ref if it stands where it is said to.

        Args:
            old: Where it stands; None: nowhere, it is made.

        Returns:
            What git says of why it has not; None if it has.

        Raises:
            GitError: git cannot be started here.
        """
        change = f"create {ref} {new}" if old is None else f"update {ref} {new} {old}"
        with self._lock:
            begun, refused = self._moved(change)
            if not begun:  # an interrupt, or somebody, has ended it before
                _, refused = self._moved(change)
        return refused

    def _moved(self, change: str) -> tuple[bool, bytes | None]:
        """Returns whether git has begun with it, and why it has not done it; None if it has."""
        talk = self._talk
        if talk is None or not talk.goes_on:
            self.close()
            talk = Talk(self._git, "update-ref", "--stdin", tells=True)
        # Until the last answer is read it is no process for another question.
        self._talk = None
        answers: list[bytes] = []
        with suppress(BrokenPipeError):
            talk.stdin.write(f"start\noption no-deref\n{change}\nprepare\ncommit\n".encode())
            talk.stdin.flush()
            for _ in _DONE:
                answers.append(talk.stdout.readline())
        if answers == _DONE:
            self._talk = talk
            return True, None
        _, said = talk.last_words()
        talk.end()
        return answers[:1] == _DONE[:1], said

    def close(self) -> None:
        """Closes the process; the next move starts another."""
        if self._talk is not None:
            self._talk.end()
        self._talk = None
