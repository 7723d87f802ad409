"""The command line: one file per verb, no decisions, one place where errors become words and exit codes.

A verb imports what it uses when it is called: nobody waits for what another verb needs.
"""

from __future__ import annotations

import io
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As stderr has it: a name may hold what the terminal's encoding does not.
        sys.stdout.reconfigure(errors="backslashreplace")
    from raw_trigger.cli.app import app

    app(prog_name="raw-trigger")
    sys.exit(0)
