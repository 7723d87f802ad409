"""``raw-trigger demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Where to build it; default: a new temporary folder."),
    ] = None,
) -> None:
    """Show the whole thing in a throwaway repository with a real Dagster project."""
    from raw_trigger.demo import run_demo

    result = run_demo(folder, say=typer.echo)
    if not result.ok:
        raise typer.Exit(1)
