"""``raw-trigger wait`` and ``raw-trigger cancel``."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Annotated

import typer

from raw_trigger.cli.session import (
    Environment,
    PlainFormat,
    PlainFormatOption,
    planner_of,
    tell_stderr,
    text_renderer,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from raw_trigger.model.outcome import TargetOutcome
    from raw_trigger.planner import Planner

FACE = "wait"
_TO_END = 120.0
"""Seconds in which runs that were told to end do so, as a rule."""


def wait(
    context: typer.Context,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="Wait no longer than this.")
    ] = None,
    form: PlainFormatOption = PlainFormat.text,
    environment: Environment = None,
) -> None:
    """Wait for what was handed over to a daemon or a deployment, and record what it came to."""
    planner = planner_of(context, environment=environment)
    _follow(planner, form, math.inf if timeout is None else timeout)


def cancel(
    context: typer.Context, form: PlainFormatOption = PlainFormat.text, environment: Environment = None
) -> None:
    """End the runs that were handed over to a deployment; what they had made is recorded."""
    from raw_trigger.render.words import printable

    planner = planner_of(context, environment=environment)
    done = _known(planner)
    for run_id in sorted(set(planner.runs.values())):
        problem = planner.workspace.project.cancel(run_id)
        what = "canceled" if problem is None else f"cannot be canceled: {printable(problem)}"
        tell_stderr(f"run {run_id[:8]}: {what}")
    _follow(planner, form, _TO_END, done, quiet=True)


def _known(planner: Planner) -> list[TargetOutcome]:
    """What has ended by now; the planner knows the runs of the rest then.

    Raises:
        ProjectError: they cannot be known.
    """
    from raw_trigger import launches
    from raw_trigger.lock import locked

    workspace = planner.workspace
    with locked(workspace.locks, workspace.environment, FACE, tell_stderr):
        planner.look_again()
        found = launches.settle_surely(planner, planner.warnings.append)
        planner.look_again()
    return found


def _follow(
    planner: Planner,
    form: PlainFormat,
    patience: float,
    done: Sequence[TargetOutcome] | None = None,
    *,
    quiet: bool = False,
) -> None:
    """Waits, and tells of every target; exits 1 if one failed.

    Args:
        done: What has ended already; None: it is looked at first.
        quiet: Not to say whom this waits for; that something was canceled is no failure then.

    Raises:
        RawTriggerError: something is still being made when the patience is over.
    """
    from raw_trigger import launches
    from raw_trigger.errors import RawTriggerError
    from raw_trigger.lock import locked
    from raw_trigger.model.outcome import Outcome, summarize
    from raw_trigger.model.text import sample

    workspace, began = planner.workspace, time.monotonic()
    outcomes: list[TargetOutcome] = []
    text = text_renderer(workspace.repo.top)
    with text.progress(0) as progress:

        def finished(one: TargetOutcome) -> None:
            outcomes.append(one)
            if form is PlainFormat.text:
                progress(one)

        for one in done or ():
            finished(one)
        is_over = launches.await_submitted(
            planner,
            planner.warnings.append,
            (lambda _: None) if quiet else tell_stderr,
            patience=patience,
            known=done is not None,
            finished=finished,
            alone=lambda: locked(workspace.locks, workspace.environment, FACE, tell_stderr),
        )
    ended = tuple(outcomes)
    run_ids = tuple(dict.fromkeys(one.run_id for one in ended if one.run_id is not None))
    outcome = Outcome(summarize(ended), ended, run_ids, time.monotonic() - began)
    if form is PlainFormat.json:
        from raw_trigger.render.json import render_outcome

        write(render_outcome(workspace.environment, outcome))
    elif ended:
        text.outcome(None, outcome)
    elif is_over:
        text.say(f"Nothing is under way for '{workspace.environment}'.")
    _warn(planner, ended, tell_stderr)
    if not is_over:
        record = planner.record
        marks = {} if record is None else record.launches
        names = sorted({name for one in marks.values() if one.submitted for name in one.targets})
        raise RawTriggerError(
            f"still being made after {time.monotonic() - began:.0f} s: {sample(names)}",
            "`raw-trigger wait` goes on waiting, `raw-trigger cancel` ends the runs",
        )
    if any(one.status in ("failed", "skipped") and not (quiet and one.canceled) for one in ended):
        raise typer.Exit(1)


def _warn(planner: Planner, ended: tuple[TargetOutcome, ...], warn: Callable[[str], None]) -> None:
    from raw_trigger.model.text import sample

    doubtful = sorted(one.target.text for one in ended if one.unsteady)
    if doubtful:
        planner.warnings.append(f"made, and nobody knows from what, so it stays pending: {sample(doubtful)}")
    for warning in planner.warnings:
        warn(f"warning: {warning}")
