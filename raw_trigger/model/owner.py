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
