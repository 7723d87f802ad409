"""Where `raw-trigger ci` is tried: one project and its origin for each module."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ci.ground import Ground
from tests.support.forks import dagster_environment
from tests.support.project import environment
from tests.support.tables import Pretended, Project


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """With the stand-in for Dagster."""
    top = tmp_path_factory.mktemp("ground")
    (top / "dagster_home").mkdir()
    return Ground(top, environment(top / "pretended"), top / "dagster_home", Pretended)


@pytest.fixture(scope="module")
def real_place(tmp_path_factory: pytest.TempPathFactory, new_home: Callable[[Path], Path]) -> Ground:
    """With Dagster itself."""
    top = tmp_path_factory.mktemp("ground")
    return Ground(top, dagster_environment(), new_home(top / "dagster_home"), Project)


@pytest.fixture
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    """Assets raw/a to raw/c of a file each, a check of raw/a, and report below the external raw/seen."""
    is_real = request.node.get_closest_marker("dagster") is not None
    place: Ground = request.getfixturevalue("real_place" if is_real else "place")
    place.begin()
    yield place
    for temp in place.top.glob("runner-*"):
        shutil.rmtree(temp)
