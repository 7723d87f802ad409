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
    show,
    trigger_of,
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
    trigger = trigger_of(
        context,
        environment=environment,
        assets=asset,
        paths=path,
        partitions=partition,
        downstream=downstream,
        no_catalog=no_catalog,
    )
    trigger, base, desired = asked_of(context, trigger, revisions, staged=staged, everything=everything)
    if run:
        run_verb.carry_out(trigger, base, desired, form)
        return
    plan = trigger.counted(trigger.plan(trigger.detect(base, desired)))
    failures = trigger.failures() if form is Format.text and plan.actionable else ()
    show(plan, None, form, failures)
    if exit_code and plan.pending:
        raise typer.Exit(1)
