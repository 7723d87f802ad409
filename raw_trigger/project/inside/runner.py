"""Materializes and reports the targets of the request, and sends the outcome of each."""

from __future__ import annotations

import contextlib
import gc
import signal
import time
from typing import TYPE_CHECKING

from . import interruption
from .channel import Channel, read_request
from .errors import error_of
from .interruption import Interrupted
from .reading import Reading
from .session import refuse_home, start
from .targets import Document

if TYPE_CHECKING:
    from .project import Project

LOAD_FAILED = 3
LOADED_OBJECTS = 100_000
"""So many new objects are allocated, while the project loads, before Python searches for cycles."""


def main() -> int:
    """Reads a request, carries it out, and sends events.

    Returns:
        0 when every batch was handled, whatever the outcome of its targets.
    """
    # Importing Dagster takes most of the time until the request comes. If it fails, it fails again where that
    # is reported.
    with contextlib.suppress(Exception):
        from . import batches  # noqa: F401
    request = read_request()
    channel = Channel(request["channel"])
    interruption.heed_signals()
    try:
        reading = Reading(request.get("reading"))
        try:
            interruption.hold(request.get("lock"))
            # Looked at after the lock: whoever finds the lock free then knows that nothing more will run.
            if not channel.is_read():
                return 128 + signal.SIGTERM
            interruption.watch(channel, request["patience"])
            project = _load(request, channel, reading)
        except (Exception, SystemExit) as error:
            channel.send({"event": "load-failed", "error": error_of(error)})
            return LOAD_FAILED
        from .batches import carry_out

        carry_out(request, channel, project, reading)
        channel.send({"event": "done"})
        project.instance.dispose()
    except Interrupted as interrupted:
        return 128 + int(interrupted.args[0])
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _load(request: Document, channel: Channel, reading: Reading) -> Project:
    """Loads Dagster and the project, and opens the instance."""
    began = time.monotonic()
    thresholds = gc.get_threshold()
    # Loaded objects stay alive; searching them for cycles would take a tenth of the time.
    gc.set_threshold(LOADED_OBJECTS)
    start(request)
    from .compat import VERSION
    from .compat.loading import load_repositories
    from .project import Project, prepared_instance

    try:
        instance = prepared_instance()
    except Exception as error:
        refuse_home(error)
        raise
    reading.start()
    project = Project(instance, load_repositories(request["project"]))
    gc.freeze()
    gc.set_threshold(*thresholds)
    seconds = round(time.monotonic() - began, 3)
    channel.send({"event": "loaded", "seconds": seconds, "dagster": VERSION})
    return project
