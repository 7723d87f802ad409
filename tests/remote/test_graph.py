"""A webserver tells the graph that the project has; and what it cannot tell is left to the deployment."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.model.assets import Catalog
from raw_trigger.model.project import DagsterOptions
from raw_trigger.planning.downstream import partitions_below
from raw_trigger.project import DagsterProject
from raw_trigger.remote.graph import Location, read_location
from raw_trigger.remote.server import Server
from tests.support.deployment import Deployment

FILE = Path(__file__).with_name("graph.py")


@pytest.fixture(scope="module")
def known(
    tmp_path_factory: pytest.TempPathFactory, deployment: Deployment
) -> Iterator[tuple[Catalog, Location]]:
    """What the project tells, and what a webserver does."""
    folder = tmp_path_factory.mktemp("graph")
    (folder / "home").mkdir()
    options = DagsterOptions(python_file=(str(FILE),), python=sys.executable, home=str(folder / "home"))
    project = DagsterProject(folder, options, folder / "home", folder / "cache", folder, {})
    with closing(Server(DagsterOptions(url=deployment.url), {})) as server:
        yield project.catalog(), read_location(server, "graph")


def test_the_assets(known: tuple[Catalog, Location]) -> None:
    project, location = known
    told = location.catalog
    assert told.assets.keys() == project.assets.keys()
    for key, mine in project.assets.items():
        other = told.assets[key]
        assert sorted(other.execution_set) == sorted(mine.execution_set), key
        plain = {
            "location": "",
            "mappings": (),
            "partitions": None,
            "named": (),
            "told": (),
            "execution_set": (),
        }
        assert replace(other, **plain) == replace(mine, **plain), key  # type: ignore[arg-type]
    assert (location.name, location.jobs, dict(told.jobs)) == (
        "graph",
        {"nightly": "__repository__"},
        {"nightly": "graph"},
    )


UNTOLD = {"over", "late"}
"""Windows that have an end, or begin at an hour: the webserver leaves it out, and is asked before a run."""


def test_the_partitions(known: tuple[Catalog, Location]) -> None:
    project, location = known
    now = 1795600000.0  # 25 November 2026
    for key, mine in project.assets.items():
        other = location.catalog.assets[key].partitions
        assert (other is None) == (mine.partitions is None), key
        if mine.partitions is None or other is None or key in UNTOLD:
            continue
        assert other.kind == mine.partitions.kind, key
        keys = PartitionKeys(now)
        every = keys.every(mine.partitions)
        assert (None if every is None else list(every)) == (
            None if (told := keys.every(other)) is None else list(told)
        ), key
    for key in UNTOLD:
        told = location.catalog.assets[key].partitions
        assert told is not None and PartitionKeys(now).problem(told, "2026-11-20") is None


def test_the_mappings(known: tuple[Catalog, Location]) -> None:
    """By what they make of the parents' partitions."""
    project, location = known
    keys, count = PartitionKeys(1795600000.0), 0
    for key, mine in project.assets.items():
        for parent, _ in mine.mappings:
            above = project.assets[parent]
            if above.partitions is None or mine.partitions is None:  # then every partition counts
                continue
            every = [*(keys.every(above.partitions) or ())]
            for example in (*every[:3], every[-1]):
                told = partitions_below(above, location.catalog.assets[key], example, keys)
                assert told == partitions_below(above, mine, example, keys), (key, parent, example)
                count += 1
    assert count == 7 * 4
