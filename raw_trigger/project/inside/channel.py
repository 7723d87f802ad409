"""The request that a program gets, and the channel of its answers."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

_KNOCK = os.O_WRONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)


def read_request() -> dict[str, Any]:
    """Returns the request from standard input."""
    text = sys.stdin.buffer.read()
    if not text:
        raise SystemExit(0)  # the process that started this needs it no more, or is gone
    request: dict[str, Any] = json.loads(text)
    if request.get("version") != 1:
        raise SystemExit("request version 1 expected")
    return request


class Channel:
    """Sends answers apart from the output of user code. ``gone`` says that nobody reads them any more.

    Args:
        path: A named pipe, in a folder of its own. Its reader deletes both, unless the reader is killed.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.gone = False
        try:
            # Without O_NONBLOCK the open would wait for a reader.
            self._fd = os.open(path, _KNOCK)
            os.set_blocking(self._fd, True)
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ENOENT):
                raise
            self._fd = -1
            self._leave()

    def is_read(self) -> bool:
        """Says whether a process has the other end open.

        Every system supports this test; ``poll`` differs between them.
        """
        if self.gone:
            return False
        try:
            os.close(os.open(self._path, _KNOCK))
        except OSError as error:
            if error.errno == errno.ENXIO:
                self._leave()
                return False
        return True

    def _leave(self) -> None:
        self.gone = True
        with contextlib.suppress(OSError):
            Path(self._path).unlink()
            Path(self._path).parent.rmdir()

    def send(self, document: dict[str, Any]) -> None:
        """Writes one document as one line."""
        rest = memoryview(json.dumps(document).encode("ascii") + b"\n")
        try:
            while rest and not self.gone:
                rest = rest[os.write(self._fd, rest) :]
        except BrokenPipeError:
            self._leave()
