"""Programs that run on beside a test."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def started(
    args: Sequence[str], cwd: Path, log: Path, environ: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A program in a session of its own, so that it can be killed with all that it starts.

    Args:
        log: What it prints is added to this file.
    """
    with log.open("ab") as out:
        return subprocess.Popen(
            args, cwd=cwd, env=environ, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
