"""Keeps the token for the repository from the project's code."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from contextlib import suppress

from raw_trigger.repo.environment import TOKEN

_PR_SET_DUMPABLE = 4
"""See prctl(2)."""


def take_token(environ: MutableMapping[str, str]) -> str | None:
    """Takes the token out of the environment and hides this process from others; None if there is no token.

    The environment that a process was started with stays in ``/proc/PID/environ``, which any process of the
    same user can read, as it can read the memory. On Linux both are closed to all but a root outside of any
    container. Elsewhere, and for the process that started this one, only steps of their own help (``ci
    --step``).
    """
    token = environ.pop(TOKEN, "") or None
    if token is not None and sys.platform == "linux":
        # Some builds of Python have no ctypes.
        with suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return token
