"""``raw-trigger explain``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from raw_trigger.cli import completing
from raw_trigger.cli.session import (
    Environment,
    PlainFormat,
    PlainFormatOption,
    choose_by_path,
    planner_of,
    settle_launches,
    text_renderer,
    write,
)


def explain(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH|ASSET|JOB...",
            help="Raw files, asset keys, jobs, or partitions: KEY|PARTITION.",
            autocompletion=completing.assets,
        ),
    ],
    form: PlainFormatOption = PlainFormat.text,
    environment: Environment = None,
) -> None:
    """Say which rule maps a file to which assets, and whether they reflect it."""
    from raw_trigger.explain import Explainer

    choose_by_path(context, names)
    planner = planner_of(context, environment=environment)
    settle_launches(planner)
    explainer = Explainer(planner)
    found = [explainer.explain(name, Path(context.obj.directory)) for name in names]
    if form is PlainFormat.json:
        write([json.dumps([dataclasses.asdict(item) for item in found], indent=1) + "\n"])
    else:
        text_renderer(planner.workspace.repo.top).explanations(found, planner.history.failures())
