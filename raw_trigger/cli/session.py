"""What the verbs share: their options, the workspace, the output."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from raw_trigger.model.changes import Base, Desired
    from raw_trigger.model.outcome import Outcome
    from raw_trigger.model.plan import Plan
    from raw_trigger.render.text import TextRenderer
    from raw_trigger.trigger import Trigger
    from raw_trigger.workspace import Workspace


class Format(str, Enum):
    """How results are written."""

    text = "text"
    json = "json"
    markdown = "markdown"


class PlainFormat(str, Enum):
    """How results that are no plan are written."""

    text = "text"
    json = "json"


Revisions = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[REV | A B | A..B | A...B]", help="As for `git diff`. Default: what is recorded."
    ),
]
Staged = Annotated[bool, typer.Option("--staged", help="Compare with what is staged.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to write the result.")]
PlainFormatOption = Annotated[PlainFormat, typer.Option("--format", help="How to write the result.")]
Assets = Annotated[list[str] | None, typer.Option("--asset", metavar="KEY", help="Only this asset.")]
Paths = Annotated[list[str] | None, typer.Option("--path", metavar="GLOB", help="Only these files.")]
PartitionRanges = Annotated[
    list[str] | None,
    typer.Option("--partition", metavar="KEY|A..B", help="Only this partition, or those from A to B."),
]
Everything = Annotated[bool, typer.Option("--all", help="Every file, whatever is recorded.")]
Downstream = Annotated[str | None, typer.Option(metavar="none|all|N", help="How far to go downstream.")]
Environment = Annotated[str | None, typer.Option(metavar="NAME", help="Whose record to use.")]
NoCatalog = Annotated[
    bool, typer.Option("--no-catalog", help="Plan by the file's rules alone, without the Dagster project.")
]


@dataclass(frozen=True, slots=True)
class Globals:
    """The options before the verb."""

    config: Path | None
    directory: Path
    module_name: tuple[str, ...] = ()
    python_file: tuple[str, ...] = ()
    workspace: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """The same options for another process, which may be started elsewhere."""
        one = [("-C", str(self.directory))]
        one += [] if self.config is None else [("--config", str(self.config))]
        named = (("-m", self.module_name), ("-f", self.python_file), ("-w", self.workspace))
        one += [(option, value) for option, values in named for value in values]
        return [word for pair in one for word in pair]


def workspace_of(context: typer.Context, environment: str | None = None) -> Workspace:
    """The workspace the command was started in."""
    from raw_trigger.workspace import open_workspace

    chosen: Globals = context.obj
    opened = open_workspace(chosen.directory, config_file=chosen.config, environment=environment)
    if not (chosen.module_name or chosen.python_file or chosen.workspace):
        return opened
    options = dataclasses.replace(
        opened.project.options,
        module_name=chosen.module_name,
        python_file=chosen.python_file,
        workspace=chosen.workspace,
        package_name=(),
        attribute=None,
    )
    return dataclasses.replace(opened, project=dataclasses.replace(opened.project, options=options))


def trigger_of(
    context: typer.Context,
    *,
    environment: str | None = None,
    assets: list[str] | None = None,
    paths: list[str] | None = None,
    partitions: list[str] | None = None,
    downstream: str | None = None,
    no_catalog: bool = False,
) -> Trigger:
    """A trigger with the command's wishes."""
    from raw_trigger.model.plan import Narrowing
    from raw_trigger.survey import Wishes
    from raw_trigger.trigger import Trigger

    narrowing = Narrowing(tuple(assets or ()), globs(paths), ranges(partitions))
    wishes = Wishes(narrowing, depth(downstream), not no_catalog)
    return Trigger(workspace_of(context, environment), wishes)


def ranges(partitions: list[str] | None) -> tuple[tuple[str, str], ...]:
    """``--partition`` as it is planned with: the first and the last key of each.

    Raises:
        UsageError: a range has only one end.
    """
    from raw_trigger.errors import UsageError

    found = []
    for text in partitions or ():
        first, dots, last = text.partition("..")
        if dots and not (first and last):
            raise UsageError(f"--partition '{text}' has only one end", "write A..B, or one key")
        found.append((first, last) if dots else (text, text))
    return tuple(found)


def globs(paths: list[str] | None) -> tuple[str, ...]:
    """``--path`` as it is planned with.

    Raises:
        UsageError: one of them is no glob.
    """
    from raw_trigger.errors import UsageError
    from raw_trigger.mapping.patterns import PatternError, compile_glob

    for glob in paths or ():
        try:
            compile_glob(glob)
        except PatternError as error:
            raise UsageError(f"--path '{glob}': {error.message}") from error
    return tuple(paths or ())


def sides_of(
    trigger: Trigger, revisions: list[str] | None, *, staged: bool, everything: bool
) -> tuple[Base, Desired]:
    """What the command compares."""
    from raw_trigger.events.revisions import from_arguments

    workspace = trigger.workspace
    return from_arguments(
        workspace.repo, workspace.environment, revisions or [], staged=staged, everything=everything
    )


def depth(downstream: str | None) -> str | int | None:
    """``--downstream`` as the configuration knows it.

    Raises:
        UsageError: it is neither a word nor a number.
    """
    if downstream is None or downstream in ("auto", "none", "all"):
        return downstream
    if downstream.isdecimal():
        return int(downstream)
    from raw_trigger.errors import UsageError

    raise UsageError(f"--downstream is auto, none, all or a number of levels, not '{downstream}'")


def text_renderer(*, stderr: bool = False) -> TextRenderer:
    """A renderer for stdout (or stderr), in colour where that is a terminal."""
    from rich.console import Console

    from raw_trigger.render.text import TextRenderer

    return TextRenderer(Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True))


def tell_stderr(line: str) -> None:
    """One line about what is going on, apart from the results."""
    typer.echo(f"raw-trigger: {line}", err=True)


def write(pieces: Iterable[str]) -> None:
    """Write pieces to stdout as they come."""
    for piece in pieces:
        sys.stdout.write(piece)
    sys.stdout.flush()


def show(plan: Plan, outcome: Outcome | None, form: Format) -> None:
    """Write a plan, and its outcome if there is one, in the format asked for; text shows the plan only."""
    if form is Format.json:
        from raw_trigger.render.json import render

        write(render(plan, outcome))
    elif form is Format.markdown:
        from raw_trigger.render.markdown import render as render_markdown

        write(render_markdown(plan, outcome))
    else:
        text_renderer().plan(plan)
