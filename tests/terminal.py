"""A terminal of so many columns, and what a person sees on it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyte

ROWS = 24
_PATIENCE = 120.0
_WITHOUT = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


class Seen:
    """What a command left on the terminal.

    Attributes:
        lines: Everything, from the first line on, also what has scrolled away; without what is empty at the
            end.
        raw: The bytes as they came.
        returncode: The command's.
    """

    def __init__(self, raw: bytes, columns: int, returncode: int) -> None:
        screen = pyte.HistoryScreen(columns, ROWS, history=100_000, ratio=1)
        pyte.ByteStream(screen).feed(raw)
        above = ["".join(line[x].data for x in range(columns)) for line in screen.history.top]
        self.lines = "\n".join(line.rstrip() for line in (*above, *screen.display)).rstrip().split("\n")
        self.raw = raw
        self.returncode = returncode


def at_terminal(
    command: Sequence[str], *, columns: int, cwd: Path, env: Mapping[str, str] | None = None
) -> Seen:
    """Run a command whose input, output and errors are one terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in _WITHOUT}
    with subprocess.Popen(
        command,
        cwd=cwd,
        env={**kept, "TERM": "xterm-256color", **(env or {})},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        raw = b""
        while select.select([ours], [], [], _PATIENCE)[0]:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # nobody has it open any more
                break
            if not piece:
                break
            raw += piece
        else:
            process.kill()
    os.close(ours)
    return Seen(raw, columns, process.returncode)
