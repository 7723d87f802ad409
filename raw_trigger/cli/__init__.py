"""The command line: one file per verb, no decisions, one place where errors become words and exit codes.

A verb imports what it uses when it is called: nobody waits for what another verb needs.
"""

from __future__ import annotations

import gc
import io
import sys
from typing import NoReturn

_NEW_OBJECTS = 100_000
"""How many new ones there may be before those in cycles are looked for."""


def main() -> NoReturn:
    """Run the command line and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As stderr has it: a name may hold what the terminal's encoding does not.
        sys.stdout.reconfigure(errors="backslashreplace")
    # The changes of a plan stay until the end. Looking through them again and again is a fifth of the whole.
    gc.set_threshold(_NEW_OBJECTS)
    from raw_trigger.cli.app import app

    app(prog_name="raw-trigger")
    sys.exit(0)
