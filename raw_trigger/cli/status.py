"""``raw-trigger status``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from raw_trigger.cli.session import (
    Assets,
    Environment,
    PlainFormat,
    PlainFormatOption,
    planner_of,
    settle_launches,
    text_renderer,
    write,
)

if TYPE_CHECKING:
    from raw_trigger.planner import Planner


def status(
    context: typer.Context,
    form: PlainFormatOption = PlainFormat.text,
    partitions: Annotated[
        bool, typer.Option("--partitions", help="Draw which partitions are recorded, pending, failed.")
    ] = False,
    asset: Assets = None,
    environment: Environment = None,
) -> None:
    """Show what is pending, in every environment that has a record, and what is at work in the background."""
    from raw_trigger.errors import UsageError
    from raw_trigger.status import status_of

    planner = planner_of(context, environment=environment)
    settle_launches(planner)
    if partitions:
        _grids(planner, tuple(asset or ()), form)
        return
    if asset:
        raise UsageError("--asset is for the partitions of an asset", "add --partitions")
    found = status_of(planner)
    if form is PlainFormat.json:
        write([json.dumps(found.as_json(), indent=1) + "\n"])
    else:
        failures = planner.history.failures() if found.plan.actionable else ()
        text_renderer(planner.workspace.repo.top).status(found, failures)


def _grids(planner: Planner, assets: tuple[str, ...], form: PlainFormat) -> None:
    from raw_trigger.coverage import grids

    found = grids(planner, assets)
    if form is PlainFormat.json:
        document = {"version": 1, "environment": planner.workspace.environment}
        listed = [grid.as_json() for grid in found]
        write([json.dumps({**document, "assets": listed}, indent=1) + "\n"])
    else:
        text_renderer().grids(found)
