"""A whole deployment of Dagster, webserver and daemon, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.automation.test_checks import CHECKED, DEFINITIONS
from tests.automation.test_daemon import RUNNING, Daemon, commit_while_it_runs, there_and_back_again
from tests.support.forks import Program
from tests.support.postgres import postgres_server
from tests.support.programs import started
from tests.support.ticking import Ticking

PYTHON = Path(sys.prefix) / "deployment/bin/python"
RUNS = "{ runsOrError { ... on Runs { results { status repositoryOrigin { repositoryLocationName } } } } }"
CHECKS = """
{ assetNodeOrError(assetKey: {path: ["a"]}) { ... on AssetNode { assetChecksOrError { ... on AssetChecks {
  checks { name executionForLatestMaterialization { status evaluation { description } } }
} } } } }
"""
UNFINISHED = """
{ runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED]}) { ... on Runs { results { runId } } } }
"""
CANCEL = """
mutation { terminateRun(runId: "%s", terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY) { __typename } }
"""
DRY_RUN = """
mutation { sensorDryRun(cursor: null, selectorData: {
  repositoryLocationName: "definitions.py", repositoryName: "__repository__", sensorName: "raw_sensor"
}) { ... on DryRunInstigationTick { evaluationResult { skipReason error { message } } } } }
"""


FRAGILE = """
@dg.asset
def b(context):
    read(context, "b.csv")
    if (HERE / "broken").exists():
        raise ValueError("it is broken")
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
        command = [sys.executable, "-m", "raw_trigger", "ui", *options]
        self.process = started(command, self.shop.top, self.log)

    def answers(self) -> bool:
        """Whether its pages can be had."""
        try:
            return bool(self.asked("{ version }"))
        except OSError:
            return False

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
    code = RUNNING.replace('\n@dg.asset\ndef b(context): read(context, "b.csv")\n', FRAGILE)
    shop.lay_again(code + CHECKED, dagster=dagster)
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
    there_and_back_again(running)
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


@pytest.mark.soak
def test_a_commit_while_the_run_is_in_flight(deployed: tuple[Ticking, Deployment]) -> None:
    commit_while_it_runs(deployed[1])


@pytest.mark.soak
def test_what_fails_is_tried_again_after_a_pause(deployed: tuple[Ticking, Deployment]) -> None:
    shop, running = deployed
    (shop.top / "broken").touch()
    shop.raw(b="2\n")
    running.await_all(lambda: bool(shop.truth()))
    (shop.top / "broken").unlink()
    running.await_record()
    running.await_all(lambda: shop.history()[0]["status"] == "success")
    assert shop.made() == ["b", "b"]
    again, first = shop.history()
    pause = datetime.fromisoformat(again["started_at"]) - datetime.fromisoformat(first["ended_at"])
    assert timedelta(seconds=59) < pause < timedelta(seconds=90)
    assert first["status"] == "failed"


@pytest.mark.soak
def test_a_deployment_that_is_killed_again_and_again(deployed: tuple[Ticking, Deployment]) -> None:
    """Nothing is lost: what it had begun is made by the next one."""
    shop, running = deployed
    for number in range(4):
        shop.raw(a=f"{number} slow\n", b=f"{number}\n", part__x=f"{number}\n", ext=f"{number}\n")
        time.sleep(8 + 2 * number)
        running.kill()
        running.start()
    running.await_all(running.answers)
    for one in running.asked(UNFINISHED)["runsOrError"]["results"]:  # those that are dead
        running.asked(CANCEL % one["runId"])
    shop.age_history(200)
    # What somebody has canceled waits for another content. A tick that was killed may have been heard: for ten
    # minutes its runs are waited for.
    shop.raw(a="9\n", b="9\n", part__x="9\n", ext="9\n")
    running.await_record(800)
    for target, file in (("a", "a"), ("b", "b"), ("part|x", "part/x"), ("under", "ext")):
        assert shop.last_read(target) == {f"{file}.csv": "9\n"}
    assert shop.plan()["targets"] == []


ONE = ("SUCCEEDED", "there are raw files")
FAILED = "a: it failed with this content"


def told(running: Deployment) -> dict[str, tuple[str, str]]:
    """What the asset's page shows of its checks."""
    found = running.asked(CHECKS)["assetNodeOrError"]["assetChecksOrError"]["checks"]
    last = {one["name"]: one["executionForLatestMaterialization"] for one in found}
    done = {name: one for name, one in last.items() if one is not None and one["evaluation"] is not None}
    return {name: (one["status"], one["evaluation"]["description"]) for name, one in done.items()}
