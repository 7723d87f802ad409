"""``raw-trigger run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from raw_trigger.cli.session import (
    Assets,
    Downstream,
    Environment,
    Everything,
    Format,
    FormatOption,
    NoCatalog,
    Paths,
    Revisions,
    Staged,
    show,
    text_renderer,
    trigger_of,
)

if TYPE_CHECKING:
    from raw_trigger.model.plan import Plan
    from raw_trigger.trigger import Trigger


def run(
    context: typer.Context,
    revisions: Revisions = None,
    staged: Staged = False,
    form: FormatOption = Format.text,
    asset: Assets = None,
    path: Paths = None,
    everything: Everything = False,
    downstream: Downstream = None,
    environment: Environment = None,
    no_catalog: NoCatalog = False,
) -> None:
    """Materialize what changed, and record it."""
    from raw_trigger.events.revisions import from_arguments

    trigger = trigger_of(
        context,
        environment=environment,
        assets=asset,
        paths=path,
        downstream=downstream,
        no_catalog=no_catalog,
    )
    workspace = trigger.workspace
    base, desired = from_arguments(
        workspace.repo, workspace.environment, revisions or [], staged=staged, everything=everything
    )
    plan = trigger.plan(trigger.detect(base, desired), launching=True)
    carry_out(trigger, plan, form)


def carry_out(trigger: Trigger, plan: Plan, form: Format, *, face: str = "cli") -> None:
    """Run the plan and show what becomes of it; exits 1 if something failed or had to wait."""
    from raw_trigger.launch.local import LocalLauncher

    launcher = LocalLauncher(trigger.workspace.project)
    if form is not Format.text:
        outcome = trigger.run(plan, launcher, face=face)
        show(plan, outcome, form)
    else:
        text = text_renderer()
        text.plan(plan, brief=True)
        with text.progress(len(plan.actionable)) as finished:
            outcome = trigger.run(plan, launcher, face=face, on_target=finished)
        if plan.changes:
            text.outcome(outcome)
    if outcome.status in ("failed", "partial") or plan.errors or plan.waiting:
        raise typer.Exit(1)
