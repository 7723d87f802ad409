"""What sensors and schedules do unless they are told otherwise: by arguments or environment variables."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from raw_trigger.errors import UsageError
from raw_trigger.project.inside.compat.jobs import is_cron

INTERVAL = 30
"""Seconds between two ticks of a sensor."""
AT_ONCE = 25
"""The most runs of one tick: the daemon takes more than a second for each, and does nothing else then."""
CRON = "*/5 * * * *"


def folder(project: str | os.PathLike[str] | None) -> Path | None:
    """Returns the folder of the project; None: that in which Dagster was started."""
    return None if project is None else Path(project).expanduser()


def cron() -> str:
    """Returns when a schedule looks: what `$RAW_SCAN_CRON` says, else every five minutes.

    Raises:
        UsageError: the variable is no cron schedule.
    """
    text = os.environ.get("RAW_SCAN_CRON", "").strip()
    if text and not is_cron(text):
        raise UsageError(f"RAW_SCAN_CRON is {text!r}", f"write a cron schedule such as '{CRON}'")
    return text or CRON


def tick_seconds(face: str) -> float:
    """Returns for how many seconds Dagster's daemon waits for a tick: 60 unless its variables say otherwise.

    After that it takes the tick for failed, while the function goes on (1.7 to 1.13).

    Args:
        face: ``sensor`` or ``schedule``.
    """
    names = (f"DAGSTER_{face.upper()}_GRPC_TIMEOUT_SECONDS", "DAGSTER_GRPC_TIMEOUT_SECONDS")
    found = next((text for name in names if (text := os.environ.get(name))), "60")
    return float(found) if found.isdecimal() else 60.0


def status(given: Any, statuses: Any) -> Any:
    """Returns whether something runs without being switched on.

    Args:
        given: What the code says; None: `$RAW_SCHEDULE_ENABLED`.
        statuses: Dagster's, of sensors or of schedules.
    """
    with suppress(UsageError):  # the code location has to load; its ticks say so
        return given or (statuses.RUNNING if enabled() else statuses.STOPPED)
    return statuses.STOPPED


def enabled() -> bool | None:
    """Returns what `$RAW_SCHEDULE_ENABLED` says; None: nothing, so that Dagster's UI decides.

    Raises:
        UsageError: it is neither true nor false.
    """
    text = os.environ.get("RAW_SCHEDULE_ENABLED", "").strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    if text:
        raise UsageError(f"RAW_SCHEDULE_ENABLED is {text!r}", "write true or false")
    return None
