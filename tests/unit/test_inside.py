"""The package that runs in the user's interpreter knows the standard library, Dagster and its own files only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import raw_trigger
from raw_trigger.project.catalog import _scripts
from raw_trigger.project.child import PROGRAMS

PACKAGE = Path(raw_trigger.__file__).parent
INSIDE = PROGRAMS.parent
FILES = sorted(INSIDE.rglob("*.py"))
NAMES = [path.relative_to(INSIDE).as_posix() for path in FILES]


def imports(file: Path, version: tuple[int, int] = (3, 10)) -> Iterator[tuple[int, str]]:
    """Yields the level and the name of each import."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"), feature_version=version)):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def test_its_programs_are_there() -> None:
    assert {"__main__.py", "__init__.py", "probe.py", "runner.py", "settle.py"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_it_imports(name: str) -> None:
    """Python 3.9 has to understand it too: Dagster 1.5 runs there."""
    found = list(imports(INSIDE / name, (3, 9)))
    absolute = {module.split(".")[0] for level, module in found if not level}
    assert absolute <= set(sys.stdlib_module_names) | {"dagster", "dagster_shared"}
    assert max((level for level, _ in found), default=0) <= len(Path(name).parts)


def test_no_file_has_the_name_of_a_library() -> None:
    """Python puts the folder on its path before the first line of it runs."""
    assert not {path.stem for path in INSIDE.glob("*.py")} & set(sys.stdlib_module_names)


def test_nothing_else_imports_it() -> None:
    """It would import Dagster into the hook's own interpreter; sensors are loaded where Dagster is.

    What becomes of a run is the same for who asks a webserver.
    """
    with_dagster = {INSIDE, PACKAGE / "automation"}
    others = [path for path in PACKAGE.rglob("*.py") if with_dagster.isdisjoint(path.parents)]
    inside = INSIDE.relative_to(PACKAGE.parent).as_posix().replace("/", ".")
    found = {name for path in others for _, name in imports(path) if name.startswith(inside)}
    shared = {"past", "errors"}
    assert found == {f"{inside}.{one}" for one in shared}
    needed = {name.rpartition(".")[2] for one in shared for _, name in imports(INSIDE / f"{one}.py")}
    assert needed <= {*sys.stdlib_module_names, *shared}


def test_the_catalog_depends_on_all_of_it() -> None:
    assert sorted(map(Path, _scripts())) == FILES


@pytest.mark.parametrize("program", ["probe", "runner", "settle"])
def test_a_program_asks_for_dagster_only_when_it_has_a_request(program: str) -> None:
    """Whoever started it may have found that there is nothing to do; there is no Dagster here."""
    command = [sys.executable, "-IS", str(PROGRAMS), program]
    done = subprocess.run(command, input=b"", capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
