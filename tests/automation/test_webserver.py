"""A whole deployment of Dagster, webserver and daemon, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.automation.test_checks import CHECKED, DEFINITIONS
from tests.automation.test_daemon import RUNNING, Daemon
from tests.support.forks import Program
from tests.support.postgres import postgres_server
from tests.support.ticking import Ticking

PYTHON = Path(sys.prefix) / "deployment/bin/python"
RUNS = "{ runsOrError { ... on Runs { results { status repositoryOrigin { repositoryLocationName } } } } }"
CHECKS = """
{ assetNodeOrError(assetKey: {path: ["a"]}) { ... on AssetNode { assetChecksOrError { ... on AssetChecks {
  checks { name executionForLatestMaterialization { status evaluation { description } } }
} } } } }
"""
DRY_RUN = """
mutation { sensorDryRun(cursor: null, selectorData: {
  repositoryLocationName: "definitions.py", repositoryName: "__repository__", sensorName: "raw_sensor"
}) { ... on DryRunInstigationTick { evaluationResult { skipReason error { message } } } } }
"""


class Deployed(Ticking):
    definitions = DEFINITIONS


class Deployment(Daemon):
    """What ``raw-trigger ui`` starts."""

    def start(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options = ["--", "-h", "127.0.0.1", "-p", f"{self.port}"]
        with self.log.open("a") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "raw_trigger", "ui", *options],
                cwd=self.shop.top,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def asked(self, query: str) -> Any:
        """What a page would show."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            data=json.dumps({"query": query}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found
        return found["data"]


@pytest.fixture(params=["sqlite", "postgresql"])
def deployed(
    request: pytest.FixtureRequest, tmp_path: Path, program: Program
) -> Iterator[tuple[Ticking, Deployment]]:
    shop = Deployed(tmp_path / "work", program)
    shop.home = tmp_path / "home"
    shop.home.mkdir()
    shop.top.mkdir()
    shop.git("init", "-q", "-b", "main")
    if request.param == "postgresql":
        storage = request.getfixturevalue("storage")()
        (shop.home / "dagster.yaml").write_text(
            f"storage: {{postgres: {{postgres_url: {json.dumps(storage)}}}}}\n"
        )
    dagster = {"python": str(PYTHON), "python_file": "definitions.py", "home": str(shop.home)}
    shop.lay_again(RUNNING + CHECKED, dagster=dagster)
    done = shop.tool("adopt")
    assert done.returncode == 0, done.stderr
    running = Deployment(shop)
    yield shop, running
    running.kill()


@pytest.fixture(scope="module")
def storage() -> Iterator[Callable[[], str]]:
    with postgres_server() as database:
        yield lambda: database().replace("+psycopg:", "+psycopg2:")


@pytest.mark.soak
def test_pages_and_runs(deployed: tuple[Ticking, Deployment]) -> None:
    shop, running = deployed
    made: list[str] = []
    for content in ("2\n", "1\n", "2\n"):
        shop.raw(a=content, part__x=content, ext=content)
        running.await_record()
        made += shop.made()
    assert made == ["a", "part|x", "under"] * 3
    shop.raw(a="bad\n", b="2\n")
    running.await_all(lambda: told(running).get("recorded_is_current") == ("FAILED", FAILED))
    assert shop.made() == ["a", "b"]
    shop.raw(a="3\n")
    running.await_record()
    reflected = {"recorded_is_current": ("SUCCEEDED", "it reflects its raw files"), "files_present": ONE}
    running.await_all(lambda: told(running) == reflected)
    tick = running.asked(DRY_RUN)["sensorDryRun"]["evaluationResult"]
    assert tick == {"skipReason": "every raw file is reflected", "error": None}
    shop.raw(part__x="by hand\n")
    shop.tool("run")
    running.await_record()
    runs = running.asked(RUNS)["runsOrError"]["results"]
    assert {one["repositoryOrigin"]["repositoryLocationName"] for one in runs} == {"definitions.py"}
    assert [one["status"] for one in runs].count("FAILURE") == 1


ONE = ("SUCCEEDED", "there are raw files")
FAILED = "a: it failed with this content"


def told(running: Deployment) -> dict[str, tuple[str, str]]:
    """What the asset's page shows of its checks."""
    found = running.asked(CHECKS)["assetNodeOrError"]["assetChecksOrError"]["checks"]
    last = {one["name"]: one["executionForLatestMaterialization"] for one in found}
    done = {name: one for name, one in last.items() if one is not None and one["evaluation"] is not None}
    return {name: (one["status"], one["evaluation"]["description"]) for name, one in done.items()}
