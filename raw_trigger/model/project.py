"""How the user's Dagster project is found and run, as configured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DagsterOptions:
    """Holds the ``dagster:`` section of ``raw-trigger.yaml``. Paths are relative to the project folder.

    Without any target (``module_name``, ``python_file``, ``package_name`` and ``workspace`` empty) the
    project is what ``dagster dev`` would find in the folder. ``python`` is ``auto``, the path of an
    interpreter, or a command that starts one. ``home`` takes precedence over ``.env`` and ``$DAGSTER_HOME``.
    """

    module_name: tuple[str, ...] = ()
    python_file: tuple[str, ...] = ()
    package_name: tuple[str, ...] = ()
    workspace: tuple[str, ...] = ()
    attribute: str | None = None
    working_directory: str | None = None
    python: str | tuple[str, ...] = "auto"
    home: str | None = None
