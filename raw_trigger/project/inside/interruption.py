"""How the runner ends early: a signal, or nobody reads its answers any more."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from types import FrameType

from .channel import Channel
from .errors import RefusedError

LOOK_SECONDS = 0.5
"""Seconds between two looks for the process that started this one."""


class Interrupted(KeyboardInterrupt):
    """Says that a signal arrived; the value is its number."""


def heed_signals() -> None:
    """Raises :class:`Interrupted` in the main thread from now on when a signal wants this process to end."""
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, _on_signal)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` has it
        signal.signal(signal.SIGHUP, _on_hangup)


def _on_signal(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)


def _on_hangup(number: int, frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGTERM)  # Dagster handles SIGTERM


def hold(path: str | None) -> int | None:
    """Takes the lock that says that a run is on: the process that started us may be killed meanwhile.

    Returns:
        The handle that keeps the lock; it is held until this process ends, but not by its forks.

    Raises:
        RefusedError: the file cannot be locked.
    """
    if path is None:
        return None
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        fcntl.lockf(lock, fcntl.LOCK_SH)
    except OSError as error:
        raise RefusedError(f"{path} cannot be locked: {error.strerror}") from error
    return lock


def watch(channel: Channel, patience: float) -> None:
    """Watches in the background: ends this process as SIGTERM would, once nobody reads its answers.

    Then its parent was killed.

    Args:
        patience: Seconds that this process may take to close its run before it is killed.
    """
    threading.Thread(target=_watch, args=(channel, patience), daemon=True).start()


def _watch(channel: Channel, patience: float) -> None:
    while channel.is_read():
        time.sleep(LOOK_SECONDS)
    # To the main thread: a signal for the process can arrive in another thread, and then wakes no sleep.
    signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)  # type: ignore[arg-type]
    time.sleep(patience)
    os.kill(os.getpid(), signal.SIGKILL)
