"""What a launcher sets going before it has an order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raw_trigger.errors import ProjectError
from raw_trigger.launch.base import Order
from raw_trigger.launch.local import LocalLauncher
from raw_trigger.model.settings import DagsterOptions
from raw_trigger.project import DagsterProject


def test_a_project_that_cannot_be_started_is_an_error_of_the_launch(tmp_path: Path) -> None:
    """Whoever gets ready has a plan to show first."""
    nowhere = tmp_path / "nowhere"
    project = DagsterProject(nowhere, DagsterOptions(), tmp_path, tmp_path, tmp_path, os.environ)
    launcher = LocalLauncher(project, None)
    shown = []

    def prepare() -> Order:
        raise AssertionError("there is nothing to prepare it for")

    with launcher.ready():
        shown.append("the plan")
        with pytest.raises(ProjectError, match="nowhere does not exist"):
            launcher.launch(prepare, lambda _: None, lambda _: None)
    assert shown == ["the plan"]
