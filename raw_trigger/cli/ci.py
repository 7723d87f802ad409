"""``raw-trigger ci``: what the GitHub action calls."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from raw_trigger.cli.errors import sentence
from raw_trigger.cli.session import (
    Downstream,
    Environment,
    Globals,
    NoCatalog,
    depth,
    text_renderer,
    workspace_of,
)
from raw_trigger.errors import RawTriggerError, UsageError

if TYPE_CHECKING:
    from subprocess import Popen

    from raw_trigger.ci.comparison import Comparison, Request
    from raw_trigger.ci.job import JobResult
    from raw_trigger.model.plan import Plan
    from raw_trigger.workspace.places import Place
    from raw_trigger.workspace.workspace import Workspace


class Mode(str, Enum):
    """Says what a job does."""

    plan = "plan"
    run = "run"
    record = "record"


class Step(str, Enum):
    """Says which part of the job this process does."""

    all = "all"
    fetch = "fetch"
    work = "work"
    publish = "publish"


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
        Path | None, typer.Option(metavar="FOLDER", help="For the results of the batches.")
    ] = None,
    comment: Annotated[bool, typer.Option("--comment", help="Keep a comment on the pull request.")] = False,
    step: Annotated[
        Step, typer.Option(help="Only this part of it: the project's code runs in `work`, without a token.")
    ] = Step.all,
) -> None:
    """Plan or run what an event on a CI system changed."""
    from raw_trigger.ci import github
    from raw_trigger.ci.secrecy import take_token
    from raw_trigger.repo.environment import TOKEN
    from raw_trigger.workspace.places import several

    # Here and not in the child processes: with several projects these run the projects' code.
    token = take_token(os.environ)
    places = _several(context.obj)
    if places:
        if batch is not None or environment is not None:
            raise several(places, "a batch, and an environment, are of one project: name it with --project")
        given = (
            ("mode", mode.value),
            ("base", base),
            ("head", head),
            ("downstream", downstream),
            ("matrix", matrix),
            ("results", results),
            ("step", step.value),
        )
        words = [f"--{name}={value}" for name, value in given if value is not None]
        words += [f"--{name}" for name, on in (("no-catalog", no_catalog), ("comment", comment)) if on]
        written = mode is not Mode.record and _says(step)
        environ = os.environ if token is None else {**os.environ, TOKEN: token}
        codes = _each(context.obj, places, words, plan_file, environ, written=written, says=_says(step))
        # If the fetch for one project fails, the others still run; the work of that one fails.
        if code := min(codes) if step is Step.fetch else max(codes):
            raise typer.Exit(code)
        return
    on_github = github.here(os.environ)
    if on_github and _says(step):
        github.begin(os.environ)
    known = _Known()

    def asked() -> Request:
        from raw_trigger.ci.comparison import Request

        if no_catalog and mode is not Mode.plan:
            raise UsageError(f"--no-catalog is for --mode plan: {mode.value} needs the Dagster project")
        if batch is not None and (mode is not Mode.run or plan_file is None or results is None):
            raise UsageError("--batch goes with --mode run, --plan-file FILE and --results FOLDER")
        if mode is Mode.record and (plan_file is None or results is None):
            raise UsageError("--mode record needs --plan-file FILE and --results FOLDER")
        if mode is Mode.record and step is not Step.all:
            raise UsageError("--mode record has no steps: it runs none of the project's code")
        if step is Step.work and token is not None:
            raise UsageError(
                f"--step work runs the project's code without a token, but {TOKEN} is set",
                "set it only for --step fetch and --step publish",
            )
        known.workspace = workspace_of(context, environment)
        plan, found = _own(known.workspace, mode, plan_file, results, batch)
        return Request(
            mode=mode.value,
            plan_file=plan,
            environment=environment,
            base=base,
            head=head,
            most=matrix,
            batch=batch,
            results=found,
            project=None if context.obj.project is None else known.workspace.config.folder or ".",
            token=token,
            step=step.value,
        )

    try:
        with _log() if on_github else nullcontext(), _ended_once():
            known.request = asked()
            done = _attended(known, downstream, not no_catalog)
    except _ToldError as told:
        error = told.error
        for line in github.publish_error(
            sentence(error).removeprefix("raw-trigger: "),
            known.comparison,
            known.plan,
            known.request,
            os.environ,
            comment=comment,
        ):
            typer.echo(line)
        raise typer.Exit(error.exit_code) from None
    if on_github and step is Step.publish:
        for line in github.publish_rest(done, known.request, os.environ):
            typer.echo(line)
    elif on_github and _says(step):
        for line in github.publish(done, known.request, os.environ, comment=comment):
            typer.echo(line)
    if done.failed:
        raise typer.Exit(1)


def _says(step: Step) -> bool:
    """Says whether this step reports the result, in outputs and a summary."""
    return step in (Step.all, Step.work)


def _several(chosen: Globals) -> tuple[Place, ...]:
    """Returns the projects that the job is about if there are several; else none."""
    from raw_trigger.repo.repository import Repository
    from raw_trigger.workspace.places import all_places

    if chosen.config is not None or chosen.project is not None:
        return ()
    try:
        repo = Repository.discover(chosen.directory)
    except RawTriggerError:
        # The caller will raise the same error.
        return ()
    if chosen.directory.resolve() != repo.top.resolve():
        return ()
    places = all_places(repo)
    return places if len(places) > 1 else ()


def _own(
    workspace: Workspace, mode: Mode, plan_file: Path | None, results: Path | None, batch: str | None
) -> tuple[Path, Path | None]:
    """Returns the plan file and the results folder of this project, which may be one of several."""
    from raw_trigger.ci.several import own_plan, own_results, take_plan
    from raw_trigger.workspace.places import Place

    if plan_file is None:
        return workspace.repo.private_dir / "plan.json", results
    place = Place(workspace.config.folder)
    if (mode is Mode.record or batch is not None) and take_plan(plan_file, place):
        return own_plan(plan_file, place), None if results is None else own_results(results, place)
    return plan_file, results


def _each(
    chosen: Globals,
    places: Sequence[Place],
    words: Sequence[str],
    plan_file: Path | None,
    environ: Mapping[str, str],
    *,
    written: bool,
    says: bool,
) -> list[int]:
    """Runs each project in its own process, and combines the results.

    Args:
        words: The arguments of this command, without the plan file.
        environ: For these processes.
        written: Whether plans are written, not read.
        says: Whether outputs are left.

    Returns:
        Their exit codes.
    """
    import tempfile

    from raw_trigger.ci import github, outputs
    from raw_trigger.ci.several import merged, own_plan, read_outputs, write_plans
    from raw_trigger.install import program
    from raw_trigger.repo.repository import Repository

    if says and github.here(os.environ):
        github.begin(os.environ)
    top = Repository.discover(chosen.directory).top
    codes, found = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number, place in enumerate(places):
            output = Path(folder) / str(number)
            output.touch()
            command = [*program(), "-C", str(top), "--project", str(top / place.folder), "ci", *words]
            if plan_file is not None:
                file = own_plan(plan_file, place) if written else plan_file
                if written:
                    file.unlink(missing_ok=True)
                command.append(f"--plan-file={file}")
            codes.append(_run_out(command, output, environ))
            found.append((place, read_outputs(output.read_text("utf-8", "replace"))))
    if plan_file is not None and written:
        write_plans(plan_file, places)
    there = plan_file is not None and plan_file.exists()
    values = merged(found, str(plan_file) if there else "")
    if says and (name := os.environ.get("GITHUB_OUTPUT")):
        outputs.write(values, Path(name))
    return codes


def _run_out(command: Sequence[str], output: Path, environ: Mapping[str, str]) -> int:
    """Runs the command to its end, with its outputs in their own file; returns its exit code."""
    import subprocess

    if "GITHUB_OUTPUT" in environ:
        environ = {**environ, "GITHUB_OUTPUT": str(output)}
    sys.stdout.flush()
    with _passed_on() as begun:
        child = subprocess.Popen(command, env=environ)
        begun(child)
        return child.wait()


@dataclass
class _Known:
    """Holds what is known so far."""

    workspace: Workspace | None = None
    request: Request | None = None
    comparison: Comparison | None = None
    plan: Plan | None = None


def _attended(known: _Known, downstream: str | None, use_catalog: bool) -> JobResult:
    """Does the job, and prints its progress."""
    from raw_trigger.ci.job import run_job
    from raw_trigger.launch.choosing import launcher_for
    from raw_trigger.planner import Wishes
    from raw_trigger.record.tree import PREFIX
    from raw_trigger.trigger import Listener

    workspace, request = known.workspace, known.request
    assert workspace is not None
    assert request is not None
    text = text_renderer()
    progress = text.progress(0)

    def told(found: Comparison) -> None:
        known.comparison = found
        if request.project is not None:
            text.say(("project  ", "bold"), request.project)
        side = "nothing" if found.base is None else found.base.name
        text.say(("base  ", "bold"), f"{side}: {found.reason}")
        text.say(("head  ", "bold"), f"{found.desired.name} {(found.desired.oid or '')[:12]}")
        if request.mode != "plan" and request.batch is None and found.base is not None:
            ref = f"{PREFIX}{found.workspace.environment}"
            text.say(("record  ", "bold"), f"nothing: {found.unrecorded}" if found.unrecorded else ref)
        for warning in found.warnings:
            text.say(("warning: ", "yellow"), warning)

    def planned(plan: Plan) -> None:
        known.plan = plan
        text.plan(plan, brief=request.mode != "plan")
        progress.expect(len(plan.actionable))

    with progress as finished:
        done = run_job(
            workspace,
            request,
            os.environ,
            Wishes(downstream=depth(downstream), use_catalog=use_catalog),
            launcher_for(workspace.project, workspace.locks, wait=True, say=text.say),
            on_comparison=told,
            listener=Listener(planned, finished, text.say),
        )
        if request.mode == "record" and done.outcome is not None:
            progress.expect(len(done.outcome.targets))
            for one in done.outcome.targets:
                finished(one)
    for batch in done.batches:
        text.say(("batch ", "bold"), f"{batch.number}/{len(done.batches)}  {batch.name}")
    if done.outcome is not None and done.plan.changes:
        text.outcome(done.plan, done.outcome)
    if done.unplanned:
        text.say(("no plan: ", "red"), "the job that was to make it failed, or was cancelled")
    for lost in done.missing:
        text.say((lost, "red"))
    for warning in done.warnings:
        text.say(("warning: ", "yellow"), warning)
    return done


class _ToldError(Exception):
    """Carries an error that the user has already seen."""

    def __init__(self, error: RawTriggerError) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def _log() -> Iterator[None]:
    """Writes the job's log, errors included, so that no file name in it acts as a command of the runner.

    Raises:
        _ToldError: an error ended the block.
    """
    from raw_trigger.ci.annotations import stopped

    with stopped(sys.stdout):
        try:
            yield
        except RawTriggerError as error:
            # Not to stderr: `::stop-commands::` on stdout may be read after it.
            typer.echo(sentence(error))
            raise _ToldError(error) from error


@contextmanager
def _passed_on() -> Iterator[Callable[[Popen[bytes]], None]]:
    """Passes signals on to the child process that is registered with the value of this block.

    The child decides how it ends; then this process ends too.
    """
    children: list[Popen[bytes]] = []
    ended = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal ended
        ended = True
        for child in children:
            child.send_signal(signal.SIGINT)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, end) for number in numbers]
    try:
        yield children.append
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    if ended:
        raise KeyboardInterrupt


@contextmanager
def _ended_once() -> Iterator[None]:
    """Lets the first signal end the work, and ignores further ones while the outcome is recorded.

    GitHub sends SIGINT, after 7.5 seconds SIGTERM, and kills 2.5 seconds later (actions/runner,
    ProcessInvoker.cs); other systems begin with SIGTERM.
    """
    ended = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal ended
        if not ended:
            ended = True
            raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
