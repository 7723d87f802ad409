"""Whatever is done and however it ends: no target reflects less than the record says, none is made twice.

Real git, hooks and command line; the stand-in for Dagster says what every target really read. The gate takes the
same steps every time, ``make soak`` others: ``RAW_TRIGGER_SOAK`` says how many series of them. Half of them are with a
sensor and a daemon.

A series that loses something is printed; ``checker.shorten`` leaves out of it what is not needed.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.conftest import SOAK
from tests.git.checker import draw_steps, play
from tests.support.forks import Program

SERIES = 1
STEPS = 20
HALVES = 2
"""Two tests, so that two processes share the work."""


@pytest.mark.parametrize("half", range(HALVES))
def test_nothing_is_lost_whatever_is_done(half: int, tmp_path: Path, program: Program) -> None:
    seeds = range(half, SOAK // 10, HALVES) if SOAK else range(half, SERIES * HALVES, HALVES)
    offset = random.randrange(10**6) if SOAK else 0
    for seed in seeds:
        steps = draw_steps(offset + seed, STEPS * (2 if SOAK else 1), sensed=half == 1)
        play(tmp_path / "world", program, offset + seed, steps)
