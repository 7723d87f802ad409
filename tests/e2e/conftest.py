"""Projects in real repositories, with the hooks as a user has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.tables import GRAPH, Pretended, Project, write_project


@pytest.fixture(scope="session")
def graphs() -> dict[str, bytes]:
    """The asset graph of each ``definitions.py`` that was loaded at the one place."""
    return {}


@pytest.fixture
def one_place(tmp_path_factory: pytest.TempPathFactory, graphs: dict[str, bytes]) -> Iterator[Path]:
    """A ``tmp_path`` that is the same for one test after the other, none of which may leave a process there.

    The asset graph is cached by the paths it came from, and loading it takes Dagster two seconds.
    """
    place = tmp_path_factory.getbasetemp() / "place"
    place.mkdir()
    yield place
    definitions, graph = place / "project/definitions.py", place / "project" / GRAPH
    if definitions.is_file() and graph.is_file():
        graphs[definitions.read_text()] = graph.read_bytes()
    place.rename(tmp_path_factory.mktemp("left") / "place")


@pytest.fixture
def project(
    project_class: type[Project],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    new_home: Callable[[Path], Path],
    graphs: dict[str, bytes],
) -> Callable[..., Project]:
    """Makes a committed project, see :func:`write_project`."""

    def make(config: str | None = None, **assets: list[str]) -> Project:
        home = tmp_path / "dagster_home"
        if project_class is Pretended:
            home.mkdir()
        else:
            new_home(home)
        monkeypatch.setenv("DAGSTER_HOME", str(home))
        made = project_class(tmp_path / "project", home)
        write_project(made, config, **assets)
        graph = graphs.get((made.top / "definitions.py").read_text())
        if graph is not None and project_class is Project:
            made.write({GRAPH: graph})
        return made

    return make
