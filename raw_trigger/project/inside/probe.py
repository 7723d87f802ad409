"""Sends the asset graph of the project, and what the code looked at while it loaded."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any, NoReturn

from .channel import Channel, read_request
from .errors import error_of, is_installed
from .session import start
from .watch import Watch


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    start(request)
    from . import graph
    from .compat import VERSION
    from .compat.loading import load_repositories
    from .source.names import Sources

    project = request["project"]
    watch = Watch()
    sys.addaudithook(watch.hook)
    watch.active = True
    repositories = load_repositories(project)
    sources = Sources(project["top"], lambda path: not is_installed(path))
    document = graph.describe(sources, repositories, request.get("run_configs") or [])
    watch.active = False
    watched = watch.result(project)
    return {
        "version": 1,
        "dagster": VERSION,
        "python": platform.python_version(),
        **document,
        "code": watched.pop("outside"),
        "watched": watched,
        "libraries": sorted(
            entry
            for entry in sys.path
            if entry.endswith(("site-packages", "dist-packages")) and Path(entry).is_dir()
        ),
    }


def main() -> NoReturn:
    """Reads a request, answers it, and exits without waiting for threads of user code."""
    request = read_request()
    channel = Channel(request["channel"])
    code = 0
    try:
        channel.send(_answer(request))
    except (Exception, SystemExit) as error:
        channel.send({"error": error_of(error)})
        code = 3
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
