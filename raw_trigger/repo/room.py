"""Whether the object database takes anything at all: better known before a run than after it."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from raw_trigger.errors import ROOM, GitError
from raw_trigger.repo.repository import Repository

_BLOCK = b"\0" * 4096


def require_room(repo: Repository) -> None:
    """Make sure that what a run comes to can be recorded, by writing one block and taking it away.

    Free space and permissions do not tell: there are quotas, limits, and root.

    Raises:
        GitError: nothing can be written.
    """
    objects = repo.git.environ.get("GIT_OBJECT_DIRECTORY")
    folder = repo.top / objects if objects else repo.common_dir / "objects"
    try:
        # Git takes such a file away itself, should this process be killed just now.
        handle, name = tempfile.mkstemp(prefix="tmp_obj_", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_BLOCK)
        finally:
            with suppress(OSError):
                Path(name).unlink()
    except OSError as error:
        raise GitError(
            f"nothing was run, as it could not be recorded: git's {folder} takes no files: {error.strerror}",
            ROOM,
        ) from error
