"""Recognizes a folder with a Dagster project."""

from __future__ import annotations

import re
from pathlib import Path

from raw_trigger.documents import read_text

NAMES = ("pyproject.toml", "workspace.yaml", "workspace.yml")
"""The files that ``dagster dev`` reads."""

_SECTION = r"^[ \t]*\[tool\.%s\][^\n]*\n(.*?)(?=^[ \t]*\[|\Z)"


def has_project(folder: Path) -> bool:
    """Says whether ``dagster dev`` would find something to load in the folder."""
    if any((folder / name).is_file() for name in NAMES[1:]):
        return True
    dagster, dg = _sections(folder)
    return bool(re.search(r"^[ \t]*(module_name|modules)\b", dagster, re.MULTILINE)) or bool(dg)


def module_of(folder: Path) -> str | None:
    """Returns the one module that ``pyproject.toml`` names; None if it names none or Dagster finds it out."""
    dagster, dg = _sections(folder)
    named = _value(dagster, "module_name")
    if named is not None or dagster or re.search(r"^[ \t]*autoload_defs[ \t]*=[ \t]*true", dg, re.MULTILINE):
        return named
    root = _value(dg, "root_module")
    return _value(dg, "code_location_target_module") or (None if root is None else f"{root}.definitions")


def _sections(folder: Path) -> tuple[str, str]:
    """Returns the text of ``[tool.dagster]`` and ``[tool.dg.project]`` in ``pyproject.toml``."""
    text = read_text(folder / NAMES[0]) + "\n"
    found = (
        re.search(_SECTION % name, text, re.MULTILINE | re.DOTALL) for name in ("dagster", r"dg\.project")
    )
    dagster, dg = ("" if one is None else one[1] for one in found)
    return dagster, dg


def _value(section: str, key: str) -> str | None:
    found = re.search(rf"^[ \t]*{key}[ \t]*=[ \t]*[\"']([^\"']+)", section, re.MULTILINE)
    return None if found is None else found[1]
