"""``raw-trigger diff``."""

from __future__ import annotations

from typing import Annotated

import typer

from raw_trigger.cli import run as run_verb
from raw_trigger.cli.session import (
    Assets,
    Downstream,
    Environment,
    Everything,
    Format,
    FormatOption,
    NoCatalog,
    PartitionRanges,
    Paths,
    Revisions,
    Staged,
    asked_of,
    planner_of,
    settle_launches,
    show,
)


def diff(
    context: typer.Context,
    revisions: Revisions = None,
    staged: Staged = False,
    form: FormatOption = Format.text,
    asset: Assets = None,
    path: Paths = None,
    partition: PartitionRanges = None,
    everything: Everything = False,
    downstream: Downstream = None,
    environment: Environment = None,
    no_catalog: NoCatalog = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 if anything is pending.")] = False,
    run: Annotated[bool, typer.Option("--run", help="The same as `raw-trigger run`.")] = False,
) -> None:
    """Show what changed and what it would materialize."""
    planner = planner_of(
        context,
        environment=environment,
        assets=asset,
        paths=path,
        partitions=partition,
        downstream=downstream,
        no_catalog=no_catalog,
    )
    settle_launches(planner)
    planner, base, desired = asked_of(context, planner, revisions, staged=staged, everything=everything)
    if run:
        run_verb.carry_out(planner, base, desired, form)
        return
    plan = planner.counted(planner.plan(planner.detect(base, desired)))
    failures = planner.history.failures() if form is Format.text and plan.actionable else ()
    show(plan, None, form, failures)
    if exit_code and plan.pending:
        raise typer.Exit(1)
