"""Which process something belongs to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Owner:
    """Identifies a process, also later and on other machines.

    Attributes:
        host: The machine.
        namespace: Within what ``pid`` counts, where the system has such a thing.
        pid: Its number.
        started: Tells it from a later process with the same number.
    """

    host: str
    namespace: str
    pid: int
    started: str


def named(face: str, pid: int) -> str:
    """Returns how a message names who is at work: the command or the hook, and its process."""
    return f"raw-trigger {'run' if face == 'cli' else face} (process {pid})"


def of_run(face: str, run_id: str | None) -> str:
    """Returns how a message names who makes what was submitted: the run, and who asked for it."""
    return f"the {face}" if run_id is None else f"run {run_id[:8]} of the {face}"


def making(who: str) -> str:
    """Returns the reason of a target that others are making."""
    return f"{who} is making it"
