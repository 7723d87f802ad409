"""Keeps a git process open that is talked to."""

from __future__ import annotations

import os
import subprocess
import weakref
from contextlib import suppress

from raw_trigger.repo.git import Git


class Talk:
    """Holds one process that is talked to.

    It ends with :meth:`end`, when it is no longer needed, and with this process at the latest.

    Args:
        tells: Whether it is asked for its :meth:`last_words`, and is to end what it has begun.
    """

    def __init__(self, git: Git, *args: str, tells: bool = False) -> None:
        self._process = git.open(*args, quiet=not tells)
        assert self._process.stdin is not None and self._process.stdout is not None
        self.stdin, self.stdout = self._process.stdin, self._process.stdout
        self._owner = os.getpid()
        self.end = weakref.finalize(self, _end, self._process, None if tells else self._owner)

    @property
    def goes_on(self) -> bool:
        """Says whether it can be asked: an interrupt ends it too, and a fork has it from its parent."""
        return self._owner == os.getpid() and self._process.poll() is None

    def status(self) -> int:
        """Returns the exit status of the process, which has ended."""
        return self._process.wait()

    def last_words(self) -> tuple[int, bytes]:
        """Returns the exit status of the process and its messages, once it has ended."""
        with suppress(OSError):
            self.stdin.close()
        said = b"" if self._process.stderr is None else self._process.stderr.read()
        return self._process.wait(), said


def _end(process: subprocess.Popen[bytes], killer: int | None) -> None:
    if os.getpid() == killer:
        # It only reads; and it may be fetching, and not see that nobody listens any more.
        process.kill()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    process.wait()
