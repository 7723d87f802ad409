"""``raw-trigger ci``: what the GitHub action calls."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raw_trigger.cli.session import Downstream, Environment, NoCatalog, depth, text_renderer, workspace_of
from raw_trigger.errors import RawTriggerError, UsageError

if TYPE_CHECKING:
    from raw_trigger.ci.job import Done, Request, Situation
    from raw_trigger.model.plan import Plan


class Mode(str, Enum):
    """What a job is there for."""

    plan = "plan"
    run = "run"
    record = "record"


def ci(
    context: typer.Context,
    mode: Annotated[Mode, typer.Option(help="Say what would be done, do it, or record it.")] = Mode.run,
    base: Annotated[str | None, typer.Option(metavar="REV", help="Compare with this revision.")] = None,
    head: Annotated[
        str | None, typer.Option(metavar="REV", help="Plan for this revision instead of what is checked out.")
    ] = None,
    environment: Environment = None,
    downstream: Downstream = None,
    no_catalog: NoCatalog = False,
    matrix: Annotated[
        int | None, typer.Option(metavar="N", help="Split the plan into N batches at most.")
    ] = None,
    batch: Annotated[
        str | None, typer.Option(metavar="I/N", help="Do only this batch of the plan file.")
    ] = None,
    plan_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The plan as JSON: written, or read with --batch.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="For what the batches come to.")
    ] = None,
    comment: Annotated[bool, typer.Option("--comment", help="Keep a comment on the pull request.")] = False,
) -> None:
    """Plan or run what an event on a CI system changed."""
    from raw_trigger.ci.job import Request, attend
    from raw_trigger.launch.local import LocalLauncher
    from raw_trigger.survey import Wishes

    workspace = workspace_of(context, environment)
    if no_catalog and mode is not Mode.plan:
        raise UsageError(f"--no-catalog is for --mode plan: {mode.value} needs the Dagster project")
    if batch is not None and (mode is not Mode.run or plan_file is None or results is None):
        raise UsageError("--batch goes with --mode run, --plan-file FILE and --results FOLDER")
    if mode is Mode.record and (plan_file is None or results is None):
        raise UsageError("--mode record needs --plan-file FILE and --results FOLDER")
    request = Request(
        mode=mode.value,
        plan_file=plan_file or workspace.repo.private_dir / "plan.json",
        environment=environment,
        base=base,
        head=head,
        most=matrix,
        batch=batch,
        results=results,
        token=os.environ.get("RAW_TRIGGER_TOKEN") or None,
    )
    text = text_renderer()
    progress = text.progress(0)

    def told(found: Situation) -> None:
        side = "nothing" if found.base is None else found.base.name
        text.say(("base  ", "bold"), f"{side}: {found.reason}")
        text.say(("head  ", "bold"), f"{found.desired.name} {(found.desired.oid or '')[:12]}")
        for warning in found.warnings:
            text.say(("warning: ", "yellow"), warning)

    def planned(plan: Plan) -> None:
        text.plan(plan, brief=mode is not Mode.plan)
        progress.expect(len(plan.actionable))

    with _log():
        with progress as finished:
            done = attend(
                workspace,
                request,
                os.environ,
                Wishes(downstream=depth(downstream), use_catalog=not no_catalog),
                LocalLauncher(workspace.project, workspace.locks),
                on_situation=told,
                on_plan=planned,
                on_target=finished,
                waiting=text.say,
            )
        if done.outcome is not None and done.plan is not None and done.plan.changes:
            text.outcome(done.plan, done.outcome)
        for batch_number in done.missing:
            text.say(("batch ", "red"), f"{batch_number} left no results: it failed, or was cancelled")
        for warning in done.warnings:
            text.say(("warning: ", "yellow"), warning)
    _publish(done, request, comment)
    if done.failed:
        raise typer.Exit(1)


@contextmanager
def _log() -> Iterator[None]:
    """The job's log, in which no file name can pass for a command of the runner's; errors included."""
    from raw_trigger.ci.annotations import Annotation, commands, stopped

    on_github = os.environ.get("GITHUB_ACTIONS") == "true"
    try:
        with stopped(sys.stdout) if on_github else nullcontext():
            yield
    except RawTriggerError as error:
        if on_github:
            for line in commands([Annotation("error", "raw-trigger", str(error))]):
                typer.echo(line)
        raise


def _publish(done: Done, request: Request, comment: bool) -> None:
    """What GitHub shows of it: outputs, summary, annotations, the comment."""
    if done.situation.event.system != "github":
        return
    from raw_trigger.ci import github

    for line in github.publish(done, request, os.environ, comment=comment):
        typer.echo(line)
