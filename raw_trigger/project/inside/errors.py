"""Errors as the answers tell them: the words and the frames that are the user's."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import traceback
from functools import cache
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).resolve().parent)
MAX_FRAMES = 12
MAX_LINES = 60
_FILE = re.compile(r'File "([^"]+)"')


class RefusedError(Exception):
    """Says why the request cannot be served; no traceback is wanted."""


class HomeRefusedError(RefusedError):
    """Says that the instance's folder cannot be read or written."""


class ProjectNotFoundError(RefusedError):
    """Says that nothing here tells what to load."""


class UnfitError(Exception):
    """Says why the request does not fit the project."""


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
    if isinstance(chosen, RefusedError):
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
    """Says whether a file is Dagster's, also where Dagster is installed from a folder of its own."""
    file = getattr(sys.modules.get("dagster"), "__file__", None)
    return file is not None and path.startswith(_folder(file))


@cache
def _folder(file: str) -> str:
    return str(Path(file).resolve().parent) + os.sep
