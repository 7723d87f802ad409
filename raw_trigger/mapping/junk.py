"""Files that programs leave beside the data, from which no asset is made."""

from __future__ import annotations

import fnmatch
import re

FILES = (
    *(".gitignore", ".gitattributes", ".gitkeep", ".keep", ".dvcignore"),
    *("~$*", ".~lock.*#"),  # an open document of Office or LibreOffice
    *(".DS_Store", "._*", ".localized", "Thumbs.db", "ehthumbs.db", "desktop.ini", ".directory"),
    *("*~", ".*.sw[a-p]", "*.swp", "#*#", ".#*"),  # an open file of an editor
    *(".nfs*", ".fuse_hidden*", "*.crdownload"),
)
"""Patterns of their names, as of a shell."""

FOLDERS = (
    *("__MACOSX", ".AppleDouble", ".Spotlight-V100", ".Trashes", ".fseventsd", "@eaDir", "$RECYCLE.BIN"),
    *(".ipynb_checkpoints", "__pycache__", ".idea", ".vscode"),
)
"""Folders in which everything is junk."""

# Windows and macOS do not distinguish upper and lower case.
_NAMES = re.compile("|".join(f"({fnmatch.translate(one)})" for one in FILES), re.IGNORECASE)


def junk(path: str) -> str | None:
    """Returns the pattern that makes a file, or a rule's pattern, one of junk; None if it is about data.

    Args:
        path: Relative to the raw root.
    """
    folder, _, name = path.rpartition("/")
    found = _NAMES.fullmatch(name)
    if found is not None:
        return FILES[(found.lastindex or 1) - 1]
    return next((f"{one}/" for one in FOLDERS if f"/{one}/" in f"/{folder}/"), None) if folder else None
