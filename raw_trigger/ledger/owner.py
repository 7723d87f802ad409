"""Says which process a launch belongs to, and whether that process still exists."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from raw_trigger.model.owner import Owner

_PROC = Path("/proc")
_START_FIELD = 19
"""Index in /proc/PID/stat after the name: (22) starttime of proc(5), in clock ticks since the boot."""


def this_process() -> Owner:
    """Returns the calling process as an owner."""
    return process(os.getpid())


def process(pid: int) -> Owner:
    """Returns a running process of this machine as an owner."""
    return Owner(socket.gethostname(), _namespace(), pid, _started(pid) or "")


def owner_alive(owner: Owner) -> bool | None:
    """Says whether the process still exists; None if that cannot be told from here.

    It cannot be told of a process of another machine or container, or of a user whose processes are hidden.
    """
    if (owner.host, owner.namespace) != (socket.gethostname(), _namespace()):
        return None
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    started = _started(owner.pid)
    if started is None or (started and not owner.started):
        return None
    return started == owner.started != ""


def _namespace() -> str:
    """Returns our PID namespace: a container numbers its processes on its own."""
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Returns when a process was started, as a text to compare; "" if it has ended, None if unknown."""
    if not (_PROC / "self" / "stat").exists():
        return _started_by_ps(pid)
    try:
        # The name stands in parentheses and may itself contain some: the last one ends it.
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b") ")[2].split()
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # A zombie has ended; only its parent has not waited for it yet.
    return "" if fields[0] in (b"Z", b"X") else f"{boot}/{fields[_START_FIELD].decode()}"


def _started_by_ps(pid: int) -> str | None:
    done = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, started = done.stdout.strip().partition(" ")
    if done.returncode != 0 or not state:
        return None
    return "" if state.startswith("Z") else started.strip()
