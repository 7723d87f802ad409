"""Writes a whole file or nothing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Replaces ``path`` in one step by a regular file with this content and mode.

    Raises:
        OSError: the folder does not exist or is not writable.
    """
    handle, name = tempfile.mkstemp(prefix=".raw-trigger-", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
