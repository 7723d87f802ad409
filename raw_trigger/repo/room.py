"""Finds out before a run whether the object database can be written at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from raw_trigger.errors import ROOM, GitError
from raw_trigger.repo.repository import Repository

_BLOCK = b"\0" * 4096


def require_room(repo: Repository) -> None:
    """Raises an error if a run could not be recorded; writes one block and deletes it to find out.

    Free space and permissions do not tell: there are quotas, limits, and root.

    Raises:
        GitError: nothing can be written.
    """
    objects = repo.git.environ.get("GIT_OBJECT_DIRECTORY")
    folder = repo.top / objects if objects else repo.common_dir / "objects"
    try:
        # Git deletes a file of this name itself, in case this process is killed just now.
        handle, name = tempfile.mkstemp(prefix="tmp_obj_", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_BLOCK)
        finally:
            with suppress(OSError):
                Path(name).unlink()
    except OSError as error:
        raise GitError(
            f"nothing was run, as it could not be recorded: git cannot write {folder}: {error.strerror}",
            ROOM,
        ) from error
