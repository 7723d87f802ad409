"""Keeps the token for the repository from the project's code."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from contextlib import suppress

from raw_trigger.repo.environment import TOKEN

_PR_SET_DUMPABLE = 4
"""See prctl(2)."""


def take_token(environ: MutableMapping[str, str]) -> str | None:
    """Take the token out of the environment, and let no other process look into this one from now on.

    What a process was started with stays in ``/proc/PID/environ``, which any process of the same user reads,
    as it reads its memory. On Linux both are closed here to all but a root that is not in a container.
    Elsewhere, and for what started this process, only steps of their own help (``ci --step``).
    """
    token = environ.pop(TOKEN, "") or None
    if token is not None and sys.platform == "linux":
        # Some builds of Python have no ctypes.
        with suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return token
