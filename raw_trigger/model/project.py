"""How the user's Dagster project is found and run, as configured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Files = Literal["here", "commit"]
"""Which files a deployment reads: those of this disk, or those of the commit that its code is from."""


@dataclass(frozen=True, slots=True)
class DagsterOptions:
    """Holds the ``dagster:`` section of ``raw-trigger.yaml``. Paths are relative to the project folder.

    Without any target (``module_name``, ``python_file``, ``package_name`` and ``workspace`` empty) the
    project is what ``dagster dev`` would find in the folder. ``python`` is ``auto``, the path of an
    interpreter, or a command that starts one. ``home`` takes precedence over ``.env`` and ``$DAGSTER_HOME``.

    ``url`` is the address of a deployment's webserver. ``token_env`` is the variable that has the token for
    it, ``token_header`` the header that takes it (None: the usual one). ``location`` is the deployment's code
    location; None: it has only one. ``files`` are those that it reads; None: nobody knows.
    """

    module_name: tuple[str, ...] = ()
    python_file: tuple[str, ...] = ()
    package_name: tuple[str, ...] = ()
    workspace: tuple[str, ...] = ()
    attribute: str | None = None
    working_directory: str | None = None
    python: str | tuple[str, ...] = "auto"
    home: str | None = None
    url: str | None = None
    token_env: str | None = None
    token_header: str | None = None
    location: str | None = None
    files: Files | None = None
