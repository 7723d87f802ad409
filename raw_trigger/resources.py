"""Finds the files that ship with the package: the hook shims and the example project."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """Returns the path of a shipped file or folder, in the installed wheel or at the top of a checkout."""
    packaged = _PACKAGE / "_shipped" / name
    return packaged if packaged.exists() else _PACKAGE.parent / name
