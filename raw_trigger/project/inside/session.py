"""The surroundings of Dagster: the project's folder, its environment, the instance's folder."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from .errors import HomeRefusedError, RefusedError


def start(request: dict[str, Any]) -> None:
    """Enters the project's folder, imports Dagster and sets ``$DAGSTER_HOME``.

    Raises:
        RefusedError: ``DAGSTER_HOME`` is relative or does not exist, or the default one cannot be made.
        ImportError: there is no Dagster here, or it cannot be imported.
    """
    warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    directory = request["project"]["directory"]
    os.chdir(directory)
    from .compat.loading import env_file

    os.environ.update(env_file(directory))
    os.environ["DAGSTER_HOME"] = _home(request)


def _home(request: dict[str, Any]) -> str:
    source = "dagster.home" if request["home"] else "DAGSTER_HOME"
    given = request["home"] or os.environ.get("DAGSTER_HOME")
    if given:
        home = Path(given).expanduser()
        if not home.is_absolute():
            raise RefusedError(f"{source} must be an absolute path, it is {given!r}")
        if not home.is_dir():
            raise RefusedError(f"{source} is {given!r}, and there is no such folder")
        return str(home)
    home = Path(request["default_home"])
    try:
        home.mkdir(parents=True, exist_ok=True)
        (home / "dagster.yaml").touch()  # Dagster warns if there is none
    except OSError as error:
        raise HomeRefusedError(f"the Dagster home {home} cannot be made: {error.strerror}") from error
    return str(home)


def refuse_home(error: Exception) -> None:
    """Raises an error if the system, or SQLite for it, refuses the instance's folder; otherwise does nothing.

    Raises:
        HomeRefusedError: the folder cannot be used.
    """
    import sqlite3

    cause = getattr(error, "orig", None) or error  # what SQLAlchemy wraps
    if isinstance(cause, (OSError, sqlite3.OperationalError)):
        said = getattr(cause, "strerror", None) or str(cause)
        raise HomeRefusedError(
            f"the Dagster home {os.environ['DAGSTER_HOME']} cannot be used: {said}"
        ) from error
