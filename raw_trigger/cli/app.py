"""The commands and the options that go before them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from raw_trigger import __version__
from raw_trigger.cli import (
    adopt,
    check,
    ci,
    demo,
    diff,
    explain,
    forget,
    history,
    hook,
    init,
    install,
    learn,
    run,
    schema,
    status,
    ui,
    wait,
    watch,
)
from raw_trigger.cli.errors import handled
from raw_trigger.cli.session import LEGEND, Command, Globals, Group, TakesNames, each_project
from raw_trigger.errors import RawTriggerError

app = typer.Typer(
    help="Materialize exactly the Dagster assets whose raw files changed in git.",
    no_args_is_help=True,
    cls=Group,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"raw-trigger {__version__}")
        raise typer.Exit


@app.callback()
@handled
def options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The configuration file. Default: the nearest raw-trigger.yaml."),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option("-C", "--directory", metavar="FOLDER", help="Work as if started in this folder."),
    ] = None,
    project: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Only the project in this folder, of several.")
    ] = None,
    module_name: Annotated[
        list[str] | None, typer.Option("-m", "--module-name", metavar="MODULE", help="As for `dagster dev`.")
    ] = None,
    python_file: Annotated[
        list[str] | None, typer.Option("-f", "--python-file", metavar="FILE", help="As for `dagster dev`.")
    ] = None,
    workspace: Annotated[
        list[str] | None, typer.Option("-w", "--workspace", metavar="FILE", help="As for `dagster dev`.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Reads the options that go before every command."""
    context.obj = Globals(
        config=None if config is None else _absolute(config),
        directory=_absolute(directory or Path()),
        module_name=tuple(module_name or ()),
        python_file=tuple(python_file or ()),
        workspace=tuple(workspace or ()),
        project=None if project is None else _absolute(project),
    )


def _absolute(path: Path) -> Path:
    try:
        return path.absolute()
    except FileNotFoundError:
        raise RawTriggerError("the folder this was started in is gone", "go to one that is there") from None


_START, _EVERY_DAY, _CI = "To start with", "Every day", "On CI"
_COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    _START: (
        init.init,
        install.install,
        install.uninstall,
        learn.learn,
        each_project(adopt.adopt),
        each_project(forget.forget),
        schema.schema,
        demo.demo,
    ),
    _EVERY_DAY: (
        each_project(diff.diff),
        each_project(run.run),
        each_project(wait.wait),
        each_project(wait.cancel),
        each_project(status.status),
        explain.explain,
        history.history,
        each_project(check.check),
        watch.watch,
        ui.ui,
    ),
    _CI: (ci.ci,),
}
for panel, verbs in _COMMANDS.items():
    for verb in verbs:
        kind = TakesNames if verb.__name__ in ("diff", "run") else Command
        signs = LEGEND if verb.__name__ in ("diff", "run", "status") else None
        app.command(verb.__name__, cls=kind, rich_help_panel=panel, epilog=signs)(handled(verb))
# Hidden: git's hooks call it, users do not.
app.command("hook", cls=Command, hidden=True, context_settings={"ignore_unknown_options": True})(
    hook.gently(handled(hook.hook))
)
