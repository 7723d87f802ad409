"""Whether a folder holds a Dagster project."""

from __future__ import annotations

import re
from pathlib import Path


def has_project(folder: Path) -> bool:
    """Whether ``dagster dev`` would find something to load in the folder."""
    if any((folder / name).is_file() for name in ("workspace.yaml", "workspace.yml", "dg.toml")):
        return True
    try:
        text = (folder / "pyproject.toml").read_text("utf-8", "replace")
    except OSError:
        return False
    return re.search(r"^[ \t]*\[tool\.(dagster|dg)\b", text, re.MULTILINE) is not None
