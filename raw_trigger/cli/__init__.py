"""The command line: one file for each command, no decisions, one place where errors become exit codes.

Each command does its imports when it is called, so that no command waits for the imports of another.
"""

from __future__ import annotations

import gc
import io
import sys
from typing import NoReturn

_NEW_OBJECTS = 100_000
"""So many new objects are allocated before Python searches for cycles."""

_INTERRUPTED = 130


def main() -> NoReturn:
    """Runs the command line and exits."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As for stderr: a file name may contain characters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    # A plan's changes live until the end; searching them for cycles took a fifth of the time of a large plan.
    gc.set_threshold(_NEW_OBJECTS)
    try:
        from raw_trigger.cli.app import app

        app(prog_name="raw-trigger")
    except KeyboardInterrupt:  # before a command began, which has words of its own
        sys.stderr.write("raw-trigger: interrupted\n")
        sys.exit(_INTERRUPTED)
    sys.exit(0)
