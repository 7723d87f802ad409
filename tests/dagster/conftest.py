"""Fixtures for real Dagster projects."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import pytest

from tests.dagster.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox_factory(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Sandbox]:
    """Makes a :class:`Sandbox` with these files; they may be shared by a whole module."""

    def make(files: Mapping[str, str], **environ: str) -> Sandbox:
        base = tmp_path_factory.mktemp("sandbox").resolve()
        (base / "project").mkdir()
        (base / "user").mkdir()
        clean = {"PATH": os.environ["PATH"], "HOME": str(base / "user"), "LC_ALL": "C.UTF-8", **environ}
        sandbox = Sandbox(base / "project", clean)
        sandbox.write(files)
        return sandbox

    return make
