"""What the commands share: options, the workspace, output."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from raw_trigger.cli import completing
from raw_trigger.cli.errors import echo_stderr
from raw_trigger.model.text import sample

if TYPE_CHECKING:
    from raw_trigger.model.changes import Base, Desired
    from raw_trigger.model.history import Failure
    from raw_trigger.model.outcome import Outcome
    from raw_trigger.model.plan import Plan
    from raw_trigger.planner import Planner
    from raw_trigger.render.text import TextRenderer
    from raw_trigger.repo.repository import Repository
    from raw_trigger.workspace.places import Place
    from raw_trigger.workspace.workspace import Workspace


_NAMED = "raw_trigger.named"


LEGEND = (
    "Signs: A added, M modified, D deleted, R renamed, T of another type, = the same but not made as it is; "
    "✔ made, ✘ failed, – skipped, … handed over."
)
"""The meaning of the signs."""


class Format(str, Enum):
    """Says how results are written."""

    text = "text"
    json = "json"
    markdown = "markdown"


class PlainFormat(str, Enum):
    """Says how results that are no plan are written."""

    text = "text"
    json = "json"


Revisions = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[REV | A B | A..B | A...B] [--] [PATH | ASSET]...",
        help="What to compare, as for `git diff`; default: what is recorded. Then raw files, folders, globs, "
        "assets or KEY|PARTITION: nothing else is looked at.",
        autocompletion=completing.assets,
    ),
]
Staged = Annotated[bool, typer.Option("--staged", help="Compare with what is staged.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to write the result.")]
PlainFormatOption = Annotated[PlainFormat, typer.Option("--format", help="How to write the result.")]
Assets = Annotated[
    list[str] | None,
    typer.Option(
        "--asset",
        metavar="KEY",
        help="Only this asset.",
        autocompletion=completing.assets,
    ),
]
Paths = Annotated[list[str] | None, typer.Option("--path", metavar="GLOB", help="Only these files.")]
PartitionRanges = Annotated[
    list[str] | None,
    typer.Option(
        "--partition",
        metavar="KEY|A..B",
        help="Only this partition, or those from A to B.",
        autocompletion=completing.partitions,
    ),
]
Everything = Annotated[bool, typer.Option("--all", help="Every file, whatever is recorded.")]
Downstream = Annotated[str | None, typer.Option(metavar="none|all|N", help="How far to go downstream.")]
Environment = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Whose record to use.",
        autocompletion=completing.environments,
    ),
]
NoCatalog = Annotated[
    bool, typer.Option("--no-catalog", help="Plan by the file's rules alone, without the Dagster project.")
]


@dataclass(frozen=True, slots=True)
class Globals:
    """Holds the options before the command.

    Attributes:
        found: The repository and the project that they mean; None if they were not looked up yet.
    """

    config: Path | None
    directory: Path
    module_name: tuple[str, ...] = ()
    python_file: tuple[str, ...] = ()
    workspace: tuple[str, ...] = ()
    project: Path | None = None
    found: tuple[Repository, Place] | None = None

    def arguments(self) -> list[str]:
        """Returns the same options for another process, whose working directory may differ."""
        one = [("-C", str(self.directory))]
        one += [] if self.config is None else [("--config", str(self.config))]
        one += [] if self.project is None else [("--project", str(self.project))]
        named = (("-m", self.module_name), ("-f", self.python_file), ("-w", self.workspace))
        one += [(option, value) for option, values in named for value in values]
        return [word for pair in one for word in pair]


def workspace_of(context: typer.Context, environment: str | None = None) -> Workspace:
    """Returns the workspace that the command was started in.

    Raises:
        UsageError: it could be several.
    """
    from raw_trigger.workspace.places import several
    from raw_trigger.workspace.workspace import open_place

    chosen: Globals = context.obj
    if chosen.found is None:
        repo, places = found_from(chosen)
        if len(places) > 1:
            raise several(places)
        chosen = dataclasses.replace(chosen, found=(repo, places[0]))
    assert chosen.found is not None
    return waited_for(as_named(chosen, open_place(*chosen.found, environment=environment)))


def choose_by_path(context: typer.Context, names: Sequence[str]) -> None:
    """Selects the one project of several that contains all of these files."""
    chosen: Globals = context.obj
    repo, places = found_from(chosen)
    found = places if len(places) == 1 else _that_holds(repo, places, names, chosen.directory)
    if found:
        context.obj = dataclasses.replace(chosen, found=(repo, found[0]))


def _that_holds(
    repo: Repository, places: Sequence[Place], names: Sequence[str], start: Path
) -> Sequence[Place]:
    """Returns the one of several projects that contains all of these files; empty if there is none."""
    from raw_trigger.workspace.places import that_holds

    top, start = repo.top.resolve(), start.resolve()
    paths = [Path(os.path.relpath(start / name, top)).as_posix() for name in names]
    place = that_holds(places, paths)
    return [] if place is None else [place]


def history_of(context: typer.Context) -> Workspace:
    """Returns a workspace whose history contains that of all projects: they usually share one.

    Raises:
        UsageError: they do not, and no project was named.
    """
    from raw_trigger.workspace.workspace import open_place

    chosen: Globals = context.obj
    repo, places = found_from(chosen)
    if len(places) > 1:
        every = [open_place(repo, place) for place in places]
        if all(one.config.ledger == "sqlite" for one in every):
            return every[0]
    return workspace_of(context)


def found_from(chosen: Globals) -> tuple[Repository, Sequence[Place]]:
    """Returns the repository and the projects that a command is about."""
    from raw_trigger.repo.repository import Repository
    from raw_trigger.workspace.workspace import places_of

    repo = Repository.discover(chosen.directory)
    return repo, places_of(repo, chosen.directory, config_file=chosen.config, folder=chosen.project)


def each_project(verb: Callable[..., None]) -> Callable[..., None]:
    """Returns the command so that it runs for each project that it is about, one after the other.

    An error in one project does not keep the others from it; the worst exit code is that of the whole. A
    result that is one document, and a record that was named, belong to one project: with several the command
    is refused.
    """

    @functools.wraps(verb)
    def wrapper(context: typer.Context, **options: Any) -> None:
        chosen: Globals = context.obj
        repo, places = found_from(chosen)
        if len(places) > 1:
            words = (*(options.get("revisions") or ()), *context.meta.get(_NAMED, ()))
            files = [word for word in words if word and os.path.lexists(chosen.directory / word)]
            places = (files and _that_holds(repo, places, files, chosen.directory)) or places
        if len(places) == 1:
            context.obj = dataclasses.replace(chosen, found=(repo, places[0]))
            verb(context, **options)
            return
        form = options.get("form")
        named = chosen.module_name or chosen.python_file or chosen.workspace
        if (form is not None and form.value != "text") or options.get("environment") or named:
            from raw_trigger.workspace.places import several

            raise several(places)
        from raw_trigger.render.words import printable

        worst = 0
        for number, place in enumerate(places):
            typer.echo(f"{printable(place.name)}:" if number == 0 else f"\n{printable(place.name)}:")
            sys.stdout.flush()
            context.obj = dataclasses.replace(chosen, found=(repo, place))
            worst = max(worst, _exit_code(verb, context, options))
        if worst:
            raise typer.Exit(worst)

    return wrapper


def _exit_code(verb: Callable[..., None], context: typer.Context, options: dict[str, Any]) -> int:
    from raw_trigger.cli.errors import tell
    from raw_trigger.errors import RawTriggerError

    try:
        verb(context, **options)
    except RawTriggerError as error:
        tell(error)
        return error.exit_code
    except typer.Exit as ended:
        return ended.exit_code
    return 0


def as_named(chosen: Globals, opened: Workspace) -> Workspace:
    """Returns the workspace with the Dagster project that the options name, if they name one."""
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


def waited_for(opened: Workspace) -> Workspace:
    """Returns the workspace with a spinner while its Dagster project is being loaded."""
    return dataclasses.replace(opened, project=dataclasses.replace(opened.project, busy=busy))


def planner_of(
    context: typer.Context,
    *,
    environment: str | None = None,
    assets: list[str] | None = None,
    paths: list[str] | None = None,
    partitions: list[str] | None = None,
    downstream: str | None = None,
    no_catalog: bool = False,
) -> Planner:
    """Returns a planner with the command's wishes."""
    from raw_trigger.model.plan import Narrowing
    from raw_trigger.planner import Planner, Wishes

    narrowing = Narrowing(tuple(assets or ()), globs(paths), ranges(partitions))
    wishes = Wishes(narrowing, depth(downstream), not no_catalog)
    return Planner(workspace_of(context, environment), wishes)


def settle_launches(planner: Planner) -> None:
    """Records what runs had finished that were killed or submitted, so that it is not shown as pending.

    Nothing happens where another command is at work: it does that itself.
    """
    record = planner.record
    if record is None or not record.launches or not planner.wishes.use_catalog:
        return
    # Imported here: hardly ever is there one.
    from raw_trigger import launches
    from raw_trigger.lock import LockError, locked

    workspace = planner.workspace
    if not launches.are_to_settle(record.launches):
        return
    with (
        suppress(LockError),
        locked(workspace.locks, workspace.environment, "status", lambda _: None, patience=0),
    ):
        planner.look_again()
        launches.settle(planner, tell_stderr)


def ranges(partitions: list[str] | None) -> tuple[tuple[str, str], ...]:
    """Returns the first and the last key of each ``--partition``.

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
    """Returns the globs of ``--path``.

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


class _WithPlainFlags:
    """Shows no type beside an option that takes no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        found: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in found:
            if getattr(param, "is_flag", False) and param.metavar is None:
                param.metavar = ""
        return found


class Command(_WithPlainFlags, TyperCommand):
    """Shows its flags without a type in its help."""


class Group(_WithPlainFlags, TyperGroup):
    """Shows the commands in the order in which they were added."""


class TakesNames(Command):
    """Reads words before ``--`` as revisions or names, words after it as names."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[_NAMED] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)


def asked_of(
    context: typer.Context,
    planner: Planner,
    words: list[str] | None,
    *,
    staged: bool,
    everything: bool,
) -> tuple[Planner, Base, Desired]:
    """Returns a planner limited to the words on the command line, and the two sides to compare."""
    from raw_trigger.arguments import Words, understood

    given = Words(tuple(words or ()), context.meta.get(_NAMED))
    asked = understood(planner, given, context.obj.directory, staged=staged, everything=everything)
    same = asked.narrowing == planner.wishes.narrowing
    return planner if same else planner.narrowed(asked.narrowing), asked.base, asked.desired


def depth(downstream: str | None) -> str | int | None:
    """Returns ``--downstream`` as the configuration has it: a word or a number.

    Raises:
        UsageError: it is neither.
    """
    if downstream is None or downstream in ("auto", "none", "all"):
        return downstream
    if downstream.isdecimal():
        return int(downstream)
    from raw_trigger.errors import UsageError

    raise UsageError(f"--downstream is auto, none, all or a number of levels, not '{downstream}'")


def text_renderer(top: Path | None = None, *, stderr: bool = False) -> TextRenderer:
    """Returns a renderer for stdout (or stderr), in colour if that is a terminal.

    Args:
        top: The folder that paths are shown relative to; None shows them as they are.
    """
    from rich.console import Console

    from raw_trigger.render.text import TextRenderer

    return TextRenderer(
        Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True), top
    )


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Shows a spinner and the name of a slow operation, if stderr is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    # Imported here: only a terminal needs it, and the import takes time.
    from raw_trigger.render.terminal import spinner

    with spinner(what):
        yield


def tell_never_made(planner: Planner, paths: Iterable[bytes] | None = None) -> None:
    """Writes which assets are or will be recorded as made although Dagster never materialized them.

    Args:
        paths: The raw files that this is about; None for all.
    """
    from raw_trigger.assumed import never_made
    from raw_trigger.errors import ProjectError
    from raw_trigger.render import words

    text = text_renderer()
    try:
        with busy("asking Dagster what it has materialized"):
            never = never_made(planner, paths)
    except ProjectError as error:
        text.say(("whether Dagster has materialized it is not known: ", "yellow"), error.message)
        return
    if never:
        named = sample([words.printable(key) for key in never])
        text.say(("never materialized: ", "yellow"), named, "; `raw-trigger run --all` does it")


def tell_stderr(line: str) -> None:
    """Writes one line about what is going on to stderr; no file name in it can make it two."""
    from raw_trigger.render.words import harmless

    echo_stderr(f"raw-trigger: {harmless(line)}")


def write(pieces: Iterable[str]) -> None:
    """Writes pieces to stdout as they come."""
    for piece in pieces:
        sys.stdout.write(piece)
    sys.stdout.flush()


def show(plan: Plan, outcome: Outcome | None, form: Format, failures: Sequence[Failure] = ()) -> None:
    """Writes a plan, and its outcome if there is one, in this format.

    Text shows no outcome, but the failures of earlier runs.
    """
    if form is Format.json:
        from raw_trigger.render.json import render

        write(render(plan, outcome))
    elif form is Format.markdown:
        from raw_trigger.render.markdown import render as render_markdown

        write(render_markdown(plan, outcome))
    else:
        text_renderer().plan(plan, failures=failures)
