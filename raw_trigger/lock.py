"""One lock for each environment: a second command waits, and says for whom.

If raw-trigger is killed, the process that runs the project's assets can go on. So that process holds its own
lock, beside the environment's.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from raw_trigger.errors import ROOM, RawTriggerError
from raw_trigger.model.owner import named

if TYPE_CHECKING:
    from filelock import BaseFileLock

PATIENCE = 3600.0
"""Seconds to wait: longer than most runs take, short enough to notice one that hangs."""
_PAUSE = 0.05
"""Seconds between two looks at a lock."""


class LockError(RawTriggerError):
    """Says that another command holds the environment's lock and does not release it."""


@contextmanager
def locked(
    folder: Path, environment: str, face: str, waiting: Callable[[str], None], patience: float = PATIENCE
) -> Iterator[None]:
    """Holds the environment's lock for the block.

    A process that is gone blocks nobody, but whatever it had started is waited for: when the block begins
    nothing works on the environment.

    Args:
        folder: The folder of the locks, shared by all worktrees of the repository.
        face: The holder's name, for others to read.
        waiting: Called before a wait, with whom this waits for.
        patience: Seconds to wait.

    Raises:
        LockError: the lock was not free in time, or the folder cannot be written.
    """
    from filelock import FileLock

    lock = FileLock(folder / f"{environment}.lock")
    try:
        _acquire(lock, folder, environment, face, waiting, patience)
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):
                _owner(folder, environment).unlink()
        lock.release()


def _owner(folder: Path, environment: str) -> Path:
    """Returns the file that names the lock's holder."""
    return folder / f"{environment}.json"


def _acquire(
    lock: BaseFileLock,
    folder: Path,
    environment: str,
    face: str,
    waiting: Callable[[str], None],
    patience: float,
) -> None:
    from filelock import Timeout

    owner, runner = _owner(folder, environment), runner_lock(folder, environment)
    deadline = time.monotonic() + patience
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting(f"waiting for {_holder(owner)}, which is at work on '{environment}'")
            lock.acquire(timeout=patience)
        if not _is_free(runner):
            waiting(f"waiting for what {_holder(owner)} had started on '{environment}' before it was killed")
            _await_end(runner, deadline)
        with suppress(OSError):
            owner.write_text(json.dumps({"face": face, "pid": os.getpid()}))
    except Timeout as error:
        long = f"has been at work on '{environment}' for longer than {patience:.0f} s"
        how = long if patience else f"is at work on '{environment}'"
        raise LockError(
            f"{_holder(owner)} {how}",
            "let it end, or stop it, then run `raw-trigger run`",
        ) from error
    except OSError as error:
        raise LockError(f"{lock.lock_file} cannot be locked: {error.strerror}", ROOM) from error


def _await_end(runner: Path, deadline: float) -> None:
    from filelock import Timeout

    while not _is_free(runner):
        if time.monotonic() > deadline:
            raise Timeout(str(runner))
        time.sleep(_PAUSE)


def runner_lock(folder: Path, environment: str) -> Path:
    """Returns the file that a process which runs assets for the environment has locked with ``lockf``.

    Args:
        folder: The folder of the locks.
    """
    return folder / f"{environment}.runner"


def _is_free(path: Path) -> bool:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        return False
    finally:
        os.close(handle)  # which releases the lock
    return True


def _holder(owner: Path) -> str:
    try:
        known = json.loads(owner.read_text())
        return named(known["face"], known["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return "another raw-trigger"
