"""One lock for each environment: whoever runs holds it, whoever comes second waits and says for whom."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from raw_trigger.errors import RawTriggerError

PATIENCE = 3600.0
"""How long to wait, in seconds: longer than most runs, short enough to notice one that hangs."""


class LockError(RawTriggerError):
    """Another command holds the environment's lock and does not let go."""


@contextmanager
def locked(
    folder: Path, environment: str, face: str, waiting: Callable[[str], None], patience: float = PATIENCE
) -> Iterator[None]:
    """Hold the environment's lock for the block. The lock of a process that is gone blocks nobody.

    Args:
        folder: Where the locks are, shared by all worktrees of the repository.
        face: Who holds it, for others to read.
        waiting: Told whom this waits for, before it does.
        patience: How long to wait, in seconds.

    Raises:
        LockError: it was not had in time, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    path = folder / f"{environment}.lock"
    owner = folder / f"{environment}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting(f"waiting for {_holder(owner)}, which is at work on '{environment}'")
            lock.acquire(timeout=patience)
        with suppress(OSError):
            owner.write_text(json.dumps({"face": face, "pid": os.getpid()}))
    except Timeout as error:
        raise LockError(
            f"{_holder(owner)} has been at work on '{environment}' for longer than {patience:.0f} s",
            "let it end, or stop it, then run `raw-trigger run`",
        ) from error
    except OSError as error:
        raise LockError(f"{path} cannot be locked: {error.strerror}", "see who may write there") from error
    try:
        yield
    finally:
        lock.release()


def _holder(owner: Path) -> str:
    try:
        known = json.loads(owner.read_text())
        return f"raw-trigger {known['face']} (process {known['pid']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another raw-trigger"
