"""Reports public docstrings that do not begin with a verb in the third person. Part of ``make lint``.

Ruff sees to the rest of the first line (D205, D400). Its D401 wants the imperative, numpydoc's SS05 any word
that does not look like the third person: neither can ask for it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import raw_trigger
from raw_trigger.cli.app import app

PACKAGE = Path(raw_trigger.__file__).parent
COMMANDS = {f"cli:{command.name}" for command in app.registered_commands}
"""Their docstrings are help texts, which speak to the user in the imperative."""
VERBS = """
    Adds Appends Asks Begins Breaks Brings Builds Cancels Carries Chooses Closes Collects Combines Compares
    Compiles Connects Decides Deletes Describes Does Enters Explains Extracts Fetches Finds Follows
    Handles Hears Has Holds Identifies Installs Keeps Knows Leaves Loads Makes Maps Marks Materializes Moves
    Notes Opens Prints Proposes Publishes Raises Reads Records Remembers Removes Repeats Replaces Reports
    Returns Runs Says Selects Sends Shows Starts Stores Takes Tells Turns Warns Watches Writes Yields
"""
"""Add verbs, but none that is a common plural (Names, Changes, Results). "Records of …" does not pass either."""


def faults(source: str, file: str) -> Iterator[str]:
    """Yields a line for each docstring of a public class, function or method that begins otherwise."""
    for name, node in _public(ast.parse(source).body):
        words = (ast.get_docstring(node) or "").split()
        first = " ".join(words[: 2 if words[1:2] == ["of"] else 1]).rstrip(",")
        if words and first not in VERBS.split() and f"{file.partition('/')[0]}:{name}" not in COMMANDS:
            rule = "begin it with a verb in the third person (tests/docstrings.py lists them)"
            yield f"raw_trigger/{file}:{node.lineno}: the docstring of {name} begins with {first!r}; {rule}"


def _public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, f"{node.name}.")


if __name__ == "__main__":
    found = [
        fault
        for path in sorted(PACKAGE.rglob("*.py"))
        for fault in faults(path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).as_posix())
    ]
    sys.exit("\n".join(found) or None)
