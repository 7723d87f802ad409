"""Runs one of the programs ``probe``, ``runner`` and ``settle`` in the user's interpreter.

It is started by its path, as ``python …/inside/__main__.py runner``.
"""

from __future__ import annotations

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120
# Python puts this folder first on sys.path; nothing in it may hide a module of the user.
sys.path[:] = [entry for entry in sys.path if not entry or os.path.realpath(entry) != HERE]

NAME = "_raw_trigger_inside"
"""The name of this package in the user's interpreter."""


def main() -> int:
    """Loads the package and runs the program that the only argument names."""
    import importlib.util

    program = sys.argv.pop()  # code of the user's may look at the arguments
    spec = importlib.util.spec_from_file_location(
        NAME,
        os.path.join(HERE, "__init__.py"),  # noqa: PTH118
        submodule_search_locations=[HERE],
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules[NAME] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    return int(importlib.import_module(f"{NAME}.{program}").main())


# A process that multiprocessing has spawned imports this file, under another name.
if __name__ == "__main__":
    sys.exit(main())
