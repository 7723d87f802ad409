"""``raw-trigger ui``."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from raw_trigger.cli.session import Environment, tell_stderr, workspace_of


def ui(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- OPTION...]", help="Options of `dagster dev`, such as `-- -p 3001`."),
    ] = None,
    environment: Environment = None,
) -> None:
    """Start `dagster dev` with the interpreter of the project and the recorded Dagster home."""
    from raw_trigger.errors import ProjectError

    workspace = workspace_of(context, environment)
    command, environ = workspace.project.dev(tuple(arguments or ()))
    tell_stderr(f"DAGSTER_HOME={environ['DAGSTER_HOME']}")
    os.chdir(workspace.project.folder)
    try:
        os.execvpe(command[0], command, environ)
    except OSError as error:
        raise ProjectError(f"cannot start {command[0]}: {error.strerror}") from error
