"""Projects with a sensor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.forks import Program
from tests.support.ticking import Ticking


@pytest.fixture(scope="session")
def kept(
    tmp_path_factory: pytest.TempPathFactory, new_home: Callable[[Path], Path], program: Program
) -> Path:
    """A repository in which everything is recorded as made, to be copied: adopting asks the project."""
    found = Ticking(tmp_path_factory.mktemp("kept") / "work", program)
    found.top.mkdir()
    found.git("init", "-q")
    found.home.parent.mkdir()
    new_home(found.home)
    found.lay()
    return found.top


@pytest.fixture
def shop(tmp_path: Path, kept: Path, program: Program) -> Ticking:
    """Everything is recorded as made."""
    return Ticking.copied(kept, tmp_path / "work", program)
