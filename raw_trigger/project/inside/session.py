"""What all scripts need besides Dagster: request, answer channel, home, error texts."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import os
import re
import sys
import sysconfig
import traceback
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = str(Path(__file__).resolve().parent)
MAX_FRAMES = 12
MAX_LINES = 60
_KNOCK = os.O_WRONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_FILE = re.compile(r'File "([^"]+)"')


class RefusedError(Exception):
    """Says why the request cannot be served; no traceback is wanted."""


class HomeRefusedError(RefusedError):
    """Says that the instance's folder cannot be read or written."""


def read_request() -> dict[str, Any]:
    """Returns the request from standard input."""
    text = sys.stdin.buffer.read()
    if not text:
        raise SystemExit(0)  # the process that started this needs it no more, or is gone
    request: dict[str, Any] = json.loads(text)
    if request.get("version") != 1:
        raise SystemExit("request version 1 expected")
    return request


class Channel:
    """Sends answers apart from the output of user code. ``gone`` says that nobody reads them any more.

    Args:
        path: A named pipe, in a folder of its own. Its reader deletes both, unless the reader is killed.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.gone = False
        try:
            # Without O_NONBLOCK the open would wait for a reader.
            self._fd = os.open(path, _KNOCK)
            os.set_blocking(self._fd, True)
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ENOENT):
                raise
            self._fd = -1
            self._leave()

    def is_read(self) -> bool:
        """Says whether a process has the other end open.

        Every system supports this test; ``poll`` differs between them.
        """
        if self.gone:
            return False
        try:
            os.close(os.open(self._path, _KNOCK))
        except OSError as error:
            if error.errno == errno.ENXIO:
                self._leave()
                return False
        return True

    def _leave(self) -> None:
        self.gone = True
        with contextlib.suppress(OSError):
            Path(self._path).unlink()
            Path(self._path).parent.rmdir()

    def send(self, document: dict[str, Any]) -> None:
        """Writes one document as one line."""
        rest = memoryview(json.dumps(document).encode("ascii") + b"\n")
        try:
            while rest and not self.gone:
                rest = rest[os.write(self._fd, rest) :]
        except BrokenPipeError:
            self._leave()


def start(request: dict[str, Any]) -> ModuleType:
    """Enters the project's folder, imports Dagster and sets ``$DAGSTER_HOME``.

    Raises:
        RefusedError: ``DAGSTER_HOME`` is relative or does not exist, or the default one cannot be made.
        ImportError: there is no Dagster here, or it cannot be imported.
    """
    warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    directory = request["project"]["directory"]
    os.chdir(directory)
    compat = sibling("compat")
    os.environ.update(compat.env_file(directory))
    os.environ["DAGSTER_HOME"] = _home(request)
    return compat


def sibling(name: str) -> ModuleType:
    """Returns a script beside this one, imported under a name that no user module has."""
    private = f"_raw_trigger_{name}"
    spec = importlib.util.spec_from_file_location(private, Path(HERE, f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[private] = module
    spec.loader.exec_module(module)
    return module


def _home(request: dict[str, Any]) -> str:
    source = "dagster.home" if request["home"] else "DAGSTER_HOME"
    given = request["home"] or os.environ.get("DAGSTER_HOME")
    if given:
        home = Path(given).expanduser()
        if not home.is_absolute():
            raise RefusedError(f"{source} must be an absolute path, it is {given!r}")
        if not home.is_dir():
            raise RefusedError(f"{source} is {given!r}, and there is no such folder")
        return str(home)
    home = Path(request["default_home"])
    try:
        home.mkdir(parents=True, exist_ok=True)
        (home / "dagster.yaml").touch()  # Dagster warns if there is none
    except OSError as error:
        raise HomeRefusedError(f"the Dagster home {home} cannot be made: {error.strerror}") from error
    return str(home)


def refuse_home(error: Exception) -> None:
    """Raises an error if the system, or SQLite for it, refuses the instance's folder; otherwise does nothing.

    Raises:
        HomeRefusedError: the folder cannot be used.
    """
    import sqlite3

    cause = getattr(error, "orig", None) or error  # what SQLAlchemy wraps
    if isinstance(cause, (OSError, sqlite3.OperationalError)):
        said = getattr(cause, "strerror", None) or str(cause)
        raise HomeRefusedError(
            f"the Dagster home {os.environ['DAGSTER_HOME']} cannot be used: {said}"
        ) from error


# Errors ------------------------------------------------------------------------------------------


def error_of(error: BaseException, whole: bool = True) -> dict[str, Any]:
    """Returns a live exception as ``message``, ``cls`` and ``traceback``: the user's own, without wrappers.

    Args:
        error: The exception that was raised.
        whole: Whether to give all frames if none is the user's.
    """
    chosen = error
    while chosen.__cause__ is not None and _is_wrapper(
        _qualified(chosen), traceback.format_list(traceback.extract_tb(chosen.__traceback__)[-1:])
    ):
        chosen = chosen.__cause__
    if isinstance(chosen, SyntaxError):
        # The frames of a syntax error end in the importer; the place is in the error itself.
        frames = traceback.format_list(traceback.extract_tb(chosen.__traceback__))
        frames.append("".join(traceback.format_exception_only(type(chosen), chosen)[:-1]))
    else:
        frames = traceback.format_list(traceback.extract_tb(chosen.__traceback__))
    text = str(chosen)
    name = type(chosen).__name__
    message = f"{name}: {text}" if text else name
    if isinstance(chosen, RefusedError) or name == "ProjectNotFoundError":
        return {"message": text, "cls": name, "traceback": None}
    if not whole and not any(_is_own(frame) for frame in frames):
        return {"message": message, "cls": name, "traceback": None}
    return {"message": message, "cls": name, "traceback": shortened(frames, message)}


def error_of_info(info: Any) -> dict[str, Any]:
    """Returns the same for Dagster's serialized form (``message``, ``stack``, ``cls_name``, ``cause``)."""
    chosen = info
    while chosen.cause is not None and (
        (chosen.cls_name or "") in _RETRIES or _is_wrapper(chosen.message, chosen.stack[-1:])
    ):
        chosen = chosen.cause
    message = _DAGSTERS.sub(r"\1", chosen.message.strip())
    if chosen.cls_name == "Failure":  # one without a description
        message = message[: -len(": None")] if message.endswith(": None") else message
    return {"message": message, "cls": chosen.cls_name, "traceback": shortened(chosen.stack, message)}


def plain_error(message: str) -> dict[str, Any]:
    """Returns an error of ours, which has no traceback."""
    return {"message": message, "cls": None, "traceback": None}


def shortened(frames: list[str], message: str) -> str:
    """Returns only the user's own frames and the message; all frames if none is the user's."""
    own = [frame for frame in frames if _is_own(frame)]
    lines = "".join(own[-MAX_FRAMES:] or frames[-2 * MAX_FRAMES :]).rstrip("\n").split("\n")
    return "\n".join([*lines[-MAX_LINES:], message])


_RETRIES = ("RetryRequested", "RetryRequestedFromPolicy")
"""Errors that say how often something was tried, instead of what went wrong."""
_DAGSTERS = re.compile(r"\Adagster(?:_shared)?\.(?:\w+\.)*(\w+)\b")
"""Dagster's own errors, by the module of their class; a user's subclass is in another module."""


def _qualified(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def _is_wrapper(qualified: str, last: list[str]) -> bool:
    """Says whether Dagster raised the error because of another one: then its words are not the user's.

    Args:
        last: The frame that raised it.
    """
    return _DAGSTERS.match(qualified) is not None and not any(map(_is_own, last))


def _is_own(frame: str) -> bool:
    match = _FILE.search(frame)
    if match is None:
        return False
    path = match.group(1)
    return not (path.startswith(("<", HERE)) or is_installed(path))


_LIBRARIES = tuple(
    {
        str(Path(found)) + os.sep
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
        for found in [sysconfig.get_path(name)]
        if found
    }
)


def is_installed(path: str) -> bool:
    """Says whether a file belongs to the interpreter or its installed packages, by its absolute path."""
    return (
        path.startswith(_LIBRARIES)
        or f"{os.sep}site-packages{os.sep}" in path
        or f"{os.sep}dist-packages{os.sep}" in path
        or _is_dagster(path)
    )


def _is_dagster(path: str) -> bool:
    compat = sys.modules.get("_raw_trigger_compat")
    home = getattr(compat, "HOME_OF_DAGSTER", None)
    return home is not None and path.startswith(home + os.sep)
