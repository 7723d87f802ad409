"""Waits for what another process does."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable


def wait_for(
    condition: Callable[[], object],
    child: subprocess.Popen[bytes] | None = None,
    seconds: float = 60,
) -> None:
    """Until it is so, as long as the child lives that brings it about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert child is None or child.poll() is None, "it ended before"
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)
