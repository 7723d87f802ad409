"""Where `raw-trigger ci` is tried: one project and its origin for each module."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ci.ground import Ground


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, new_home: Callable[[Path], Path]) -> Ground:
    return Ground(tmp_path_factory.mktemp("ground"), new_home)


@pytest.fixture
def ground(place: Ground) -> Iterator[Ground]:
    """Assets raw/a to raw/c of a file each, a check of raw/a, and report below the external raw/seen."""
    place.begin()
    yield place
    for temp in place.top.glob("runner-*"):
        shutil.rmtree(temp)
