"""``raw-trigger run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

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
    show,
    tell_stderr,
    text_renderer,
)

if TYPE_CHECKING:
    from raw_trigger.model.changes import Base, Desired
    from raw_trigger.planner import Planner

FACE = "cli"


def run(
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
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed last time.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for what a Dagster deployment makes (launcher: graphql).")
    ] = False,
) -> None:
    """Materialize what changed, and record it."""
    planner = planner_of(
        context,
        environment=environment,
        assets=asset,
        paths=path,
        partitions=partition,
        downstream=downstream,
        no_catalog=no_catalog,
    )
    planner, base, desired = asked_of(context, planner, revisions, staged=staged, everything=everything)
    carry_out(planner.only_failed() if failed else planner, base, desired, form, wait=wait)


def carry_out(planner: Planner, base: Base, desired: Desired, form: Format, *, wait: bool = False) -> None:
    """Carries out the command and shows the outcome; exits 1 if something failed or had to wait."""
    from raw_trigger.launch.choosing import launcher_for
    from raw_trigger.model.outcome import judged
    from raw_trigger.render import words
    from raw_trigger.trigger import Trigger

    trigger, workspace = Trigger(planner), planner.workspace
    launcher = launcher_for(workspace.project, workspace.locks, wait=wait, say=tell_stderr)
    with trigger.planned(
        base, desired, face=FACE, waiting=tell_stderr, ready=launcher.ready, patient=wait
    ) as plan:
        if form is not Format.text:
            outcome = judged(plan, trigger.run(plan, launcher, face=FACE))
            show(planner.counted(plan), outcome, form)
        else:
            text = text_renderer(workspace.repo.top)
            text.plan(planner.counted(plan), brief=True)
            with text.progress(len(plan.actionable)) as finished:
                outcome = judged(plan, trigger.run(plan, launcher, face=FACE, on_target=finished))
            if words.asked(plan):
                text.outcome(plan, outcome)
    for warning in planner.warnings:
        tell_stderr(f"warning: {warning}")
    if outcome.status in ("failed", "partial"):
        raise typer.Exit(1)
