"""``raw-trigger init``."""

from __future__ import annotations

import typer


def init(context: typer.Context) -> None:
    """Look at the repository and write raw-trigger.yaml."""
    raise typer.Exit(2)
