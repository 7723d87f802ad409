"""What runs in the user's interpreter knows the standard library, Dagster and its neighbours only."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import raw_trigger

INSIDE = Path(raw_trigger.__file__).parent / "project" / "inside"
SCRIPTS = sorted(INSIDE.glob("*.py"))


def test_it_is_no_package_that_could_be_imported_by_name() -> None:
    assert {script.name for script in SCRIPTS} >= {"probe.py", "runner.py"}
    assert not (INSIDE / "__init__.py").exists()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_what_it_imports(script: Path) -> None:
    """Python 3.9 has to understand it too: Dagster 1.5 runs there."""
    tree = ast.parse(script.read_text("utf-8"), feature_version=(3, 9))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add((node.module or "").split(".")[0])
    foreign = names - set(sys.stdlib_module_names) - {"dagster", "dagster_shared"}
    assert foreign <= {path.stem for path in SCRIPTS}
