"""Small disks of a project's own: full, or read-only, without anybody outside noticing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_DISK = """
set -e
mkdir "$0.disk"
mount -t tmpfs -o "size=$1" none "$0.disk"
cp -a "$0/." "$0.disk"
mount --move "$0.disk" "$0"
rmdir "$0.disk"
"""


class Disk:
    """One folder that is a file system of its own."""

    def __init__(self, mounts: Mounts, folder: Path) -> None:
        self._mounts = mounts
        self.folder = folder

    @property
    def filler(self) -> Path:
        """What takes the room."""
        return self.folder / "filler"

    def fill(self) -> None:
        """Leave not a single block."""
        self._mounts.sh('head -c 1G /dev/zero >"$0" 2>/dev/null; ! echo >"$0.more" 2>/dev/null', self.filler)

    def free(self) -> None:
        """Take away what it was filled with."""
        self._mounts.sh('rm -f "$0" "$0.more"', self.filler)

    def protect(self) -> None:
        """Make it read-only, also for root."""
        self._mounts.sh('mount -o remount,ro "$0"', self.folder)

    def release(self) -> None:
        """Make it writable again."""
        self._mounts.sh('mount -o remount,rw "$0"', self.folder)


class Mounts:
    """A mount namespace for as long as the block lasts. What is mounted in it only its commands see."""

    def __init__(self, pid: int, *, user: bool) -> None:
        self.root = Path(f"/proc/{pid}/root")
        own = ("--user", "--preserve-credentials") if user else ()
        self._enter = ("nsenter", "--target", str(pid), "--mount", *own)

    def inside(self, folder: Path) -> tuple[str, ...]:
        """What stands before a command that is to run in it, in this folder."""
        return (*self._enter, "sh", "-c", 'cd "$0" && exec "$@"', str(folder))

    def sh(self, script: str, *args: str | Path) -> None:
        """Run a few words of shell in it."""
        done = subprocess.run(
            [*self._enter, "sh", "-c", script, *map(str, args)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def disk(self, folder: Path, size: str = "16m") -> Disk:
        """Make the folder, with what is in it, a file system of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        self.sh(_DISK, folder, size)
        return Disk(self, folder)


@contextmanager
def mounts() -> Iterator[Mounts]:
    """Skips the test, and says why, where nothing may be mounted."""
    user = os.geteuid() != 0
    flags = ["--user", "--map-root-user"] if user else []
    try:
        holder = subprocess.Popen(
            ["unshare", *flags, "--mount", "--propagation", "private", "sh", "-c", "echo made && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError:
        pytest.skip("a small disk cannot be made here: unshare (util-linux) is not installed")
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stderr is not None
    try:
        if holder.stdout.readline() != "made\n":
            pytest.skip(f"a small disk cannot be made here: {holder.stderr.read().strip()}")
        made = Mounts(holder.pid, user=user)
        yield made
    finally:
        holder.communicate()
