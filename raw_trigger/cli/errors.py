"""The one place where an error becomes a message and an exit code."""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from raw_trigger import __version__
from raw_trigger.errors import ROOM, RawTriggerError

BUG = 70
INTERRUPTED = 130

_REFUSALS = frozenset(
    (
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
    )
)
"""Errors of the system that are no bug of ours: no rights, no room, a broken disk."""

P = ParamSpec("P")
R = TypeVar("R")


def handled(verb: Callable[P, R]) -> Callable[P, R]:
    """Returns the command so that it shows errors to the user and raises nothing but :class:`typer.Exit`."""

    @functools.wraps(verb)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return verb(*args, **kwargs)
        except RawTriggerError as error:
            tell(error)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            echo_stderr("raw-trigger: interrupted; what had succeeded is recorded")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader of our output has ended (`| head`), so nobody would read a message.
            _give_up_stdout()
            raise typer.Exit(0) from None
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _REFUSALS:
                tell(_refused(error))
                raise typer.Exit(RawTriggerError.exit_code) from None
            echo_stderr(f"raw-trigger: this is a bug; {_logged(error)}")
            raise typer.Exit(BUG) from None

    return wrapper


def tell(error: RawTriggerError) -> None:
    """Prints the error to stderr."""
    echo_stderr(sentence(error))


def echo_stderr(text: str) -> None:
    """Prints lines to stderr, broken to fit if it is a terminal."""
    if sys.stderr is not None and sys.stderr.isatty():
        # Imported here: only a terminal needs it, and the import takes time.
        from rich.console import Console
        from rich.text import Text

        from raw_trigger.render.terminal import fitted

        console = Console(stderr=True)
        text = "\n".join(piece.plain for line in text.split("\n") for piece in fitted(Text(line), console))
        # Not with click, which bypasses rich's replacement of stderr and so breaks its bars.
        print(text, file=sys.stderr, flush=True)
    else:
        typer.echo(text, err=True)


def sentence(error: RawTriggerError) -> str:
    """Returns the message, the detail and the hint of an error; no name in them adds a line."""
    from raw_trigger.render.words import harmless

    first, *further = error.lines
    said = [f"raw-trigger: {first}", *further]
    if error.detail:
        said += [f"  | {line}" for line in error.detail.rstrip().splitlines()]
    if error.hint is not None:
        said.append(f"  {error.hint}")
    return "\n".join(map(harmless, said))


def _refused(error: OSError) -> RawTriggerError:
    if error.filename is not None:
        return RawTriggerError(f"{os.fsdecode(error.filename)} cannot be used: {error.strerror}", ROOM)
    if error.errno == errno.ENOSPC:
        _give_up_stdout()
        return RawTriggerError(f"the output cannot be written: {error.strerror}")
    return RawTriggerError(f"the system refused what is needed: {error.strerror}")


def _give_up_stdout() -> None:
    """Redirects the buffered output to nowhere; Python would fail to write it again when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _logged(error: Exception) -> str:
    import tempfile
    import traceback

    from raw_trigger.model.settings import without_passwords

    try:
        handle, path = tempfile.mkstemp(prefix="raw-trigger-bug-", suffix=".log")
        with os.fdopen(handle, "w") as file:
            file.write(
                f"raw-trigger {__version__}, Python {sys.version}\n{without_passwords(repr(sys.argv))}\n"
            )
            file.write(without_passwords(traceback.format_exc()))
    except OSError as problem:
        said = without_passwords(repr(error))
        return f"its traceback cannot be written ({problem.strerror}): {said}"
    return f"its traceback is in {path}"
