"""``raw-trigger watch``."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raw_trigger.cli.session import Environment, Globals, tell_stderr, workspace_of

if TYPE_CHECKING:
    from raw_trigger.launch.base import Launcher
    from raw_trigger.planner import Planner

_VARIABLES = ("DAGSTER_HOME", "PATH", "RAW_BATCH_SIZE", "RAW_SCAN_HASH_MODE", "RAW_STATE_DIR")
"""What a unit takes over from the shell that it was printed in."""
_LOG_BYTES, _LOG_FILES = 1_000_000, 3


def watch(
    context: typer.Context,
    settle: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="How long a file must have been left alone. [default: $RAW_SCAN_COOLDOWN_SEC, else 3]",
        ),
    ] = None,
    every: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=1, help="Look so often even if the system tells of no change."),
    ] = 60.0,
    polling: Annotated[
        bool,
        typer.Option("--polling", help="Look at all files again and again: network drives, some containers."),
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write there, not to the terminal; 1 MB, then a new one."),
    ] = None,
    print_unit: Annotated[
        bool, typer.Option("--print-unit", help="Print a systemd user unit that keeps watching, and exit.")
    ] = False,
    environment: Environment = None,
) -> None:
    """Materialize raw files whenever they change, until it is stopped."""
    from raw_trigger.launch.choosing import launcher_for
    from raw_trigger.planner import Planner
    from raw_trigger.unattended import settle_time
    from raw_trigger.watch import Wakeups, Watching, stamped, unit
    from raw_trigger.watch import watch as keep_watching

    workspace, quiet = workspace_of(context, environment), settle_time(settle)
    if print_unit:
        variables = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
        command = _command(context.obj, quiet, every, polling, environment, log)
        typer.echo(unit(command, str(Path.cwd()), variables), nl=False)
        return

    def again() -> Planner:
        return Planner(workspace_of(context, environment))

    def launcher(planner: Planner) -> Launcher:
        return launcher_for(planner.workspace.project, planner.workspace.locks)

    wakeups = Wakeups()
    say = stamped(_plainly if log is None else _rotating(log))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopping(number, wakeups.stop))
    if log is not None:
        tell_stderr(f"watching {', '.join(workspace.roots)}; what happens is written to {log}")
    keep_watching(again, launcher, Watching(quiet, every, polling), wakeups, say)


def _stopping(number: int, stop: Callable[[], None]) -> Callable[..., None]:
    """Stops after the run that is on; a second signal does what it always does."""

    def stopping(*_: object) -> None:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
        stop()

    return stopping


def _plainly(text: str) -> None:
    typer.echo(text)
    sys.stdout.flush()


def _rotating(file: Path) -> Callable[[str], None]:
    """Returns what writes lines into a file, of which a few old ones are kept."""
    import logging
    from logging.handlers import RotatingFileHandler

    from raw_trigger.errors import ROOM, UsageError

    try:
        handler = RotatingFileHandler(file, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}", ROOM) from error
    logger = logging.Logger("raw-trigger watch")
    logger.addHandler(handler)
    return logger.info


def _command(
    chosen: Globals, settle: float, every: float, polling: bool, environment: str | None, log: Path | None
) -> str:
    """The command line that watches in the same way."""
    words = [sys.argv[0] if Path(sys.argv[0]).is_absolute() else sys.executable]
    words += [] if Path(sys.argv[0]).is_absolute() else ["-m", "raw_trigger"]
    words += [*chosen.arguments(), "watch", "--settle", f"{settle:g}", "--every", f"{every:g}"]
    words += ["--polling"] if polling else []
    words += [] if environment is None else ["--environment", environment]
    words += [] if log is None else ["--log", str(log.absolute())]
    return shlex.join(words)
