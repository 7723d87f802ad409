"""``raw-planner learn``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from raw_trigger.cli import completing
from raw_trigger.cli.session import (
    Environment,
    PlainFormat,
    PlainFormatOption,
    tell_stderr,
    text_renderer,
    workspace_of,
    write,
)

if TYPE_CHECKING:
    from raw_trigger.learn import Ran
    from raw_trigger.model.outcome import TargetOutcome
    from raw_trigger.model.plan import Plan
    from raw_trigger.planner import Planner


def learn(
    context: typer.Context,
    asset: Annotated[
        list[str] | None,
        typer.Option(
            "--asset",
            metavar="KEY",
            help="Only this asset; else all raw ones.",
            autocompletion=completing.assets,
        ),
    ] = None,
    partition: Annotated[
        list[str] | None,
        typer.Option(
            "--partition",
            metavar="KEY",
            help="Only this partition of the asset.",
            autocompletion=completing.partitions,
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every asset, also those that are made from others.")
    ] = False,
    watch_runs: Annotated[
        bool, typer.Option("--watch-runs", help="Run nothing: use what earlier runs read.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Materialize them without asking.")] = False,
    write_: Annotated[bool, typer.Option("--write", help="Write the file, too.")] = False,
    form: PlainFormatOption = PlainFormat.text,
    environment: Environment = None,
) -> None:
    """Materialize raw assets, see which files they read, and propose the rules that are missing."""
    from raw_trigger import learn as learning
    from raw_trigger.errors import UsageError
    from raw_trigger.planner import Planner
    from raw_trigger.render.learned import as_json, remarks

    if watch_runs and (partition or everything):
        raise UsageError("--watch-runs runs nothing", "leave --partition and --all away")
    planner = Planner(workspace_of(context, environment))
    ran = None
    if not watch_runs:
        planned = learning.plan(
            planner, learning.Asked(tuple(asset or ()), tuple(partition or ()), everything)
        )
        if not yes and not _wanted(planned):
            tell_stderr("nothing was run; `--asset KEY` runs only some, `--watch-runs` none")
            return
        ran = _run(planner, planned, form)
    readings = learning.known(planner, None if ran is None else ran.outcome, asset or [])
    found = learning.learned(planner.workspace, planner.catalog.known(), readings)
    written = write_ and bool(found.diff)
    if written:
        learning.write(planner.workspace, found)
        if ran is not None:
            learning.record(Planner(workspace_of(context, environment)), found, ran)
    if form is PlainFormat.json:
        write([json.dumps(as_json(found, None if ran is None else ran.outcome, written), indent=1) + "\n"])
    else:
        write([found.diff])
        for line in remarks(found, written, ran, planner.workspace.environment):
            tell_stderr(line)
    for warning in planner.warnings:
        tell_stderr(f"warning: {warning}")
    if ran is not None and ran.outcome.status in ("failed", "partial"):
        raise typer.Exit(1)


def _wanted(planned: Plan) -> bool:
    """Says whether the user wants to run this: only the user knows what the assets do besides reading.

    Raises:
        UsageError: there is nobody to ask.
    """
    from raw_trigger.errors import UsageError
    from raw_trigger.render.learned import announcement, listed
    from raw_trigger.render.words import harmless

    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            f"{announcement(planned, 'learn would materialize')}, and nobody is there to be asked",
            "`--yes` runs them, `--asset KEY` only some, `--watch-runs` none",
        )
    head, *assets = listed(planned)
    tell_stderr(head)
    for line in assets:
        typer.echo(harmless(line), err=True)
    try:
        return typer.confirm("Materialize them now?", default=False, err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None


def _run(planner: Planner, planned: Plan, form: PlainFormat) -> Ran:
    from raw_trigger import learn as learning
    from raw_trigger.launch.local import LocalLauncher
    from raw_trigger.render.learned import announcement

    workspace = planner.workspace
    launcher = LocalLauncher(workspace.project, workspace.locks)
    tell_stderr(f"{announcement(planned, 'materializing')}, to see what is read")
    with text_renderer(workspace.repo.top, stderr=True).progress(0) as finished:
        if form is PlainFormat.text:
            finished.expect(len(planned.actionable))

        def on_target(done: TargetOutcome) -> None:
            if form is PlainFormat.text:
                finished(done)

        return learning.run(planner, launcher, planned, waiting=tell_stderr, on_target=on_target)
