"""``raw-trigger schema``."""

from __future__ import annotations

from importlib.resources import files

import typer


def schema() -> None:
    """Print the JSON Schema of raw-trigger.yaml, for editors."""
    shipped = files("raw_trigger.config").joinpath("raw-trigger.schema.json")
    typer.echo(shipped.read_text(encoding="utf-8"), nl=False)
