"""A deployment of Dagster on loopback: a webserver, and a daemon if runs are queued."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.programs import started

AT_ONCE = "run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}\n"
"""Runs need no daemon that takes them from a queue."""
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Deployment:
    """A webserver, and a daemon, of their own.

    Args:
        home: The folder of the instance, with its dagster.yaml.
        locations: The code locations, each with its file.
        python: Has Dagster's webserver.
        environ: What these processes have beside the test's environment.
        cwd: Where they work; None: in the folder above the home.
    """

    def __init__(
        self,
        home: Path,
        locations: Mapping[str, Path],
        *,
        python: str = sys.executable,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.cwd = cwd or home.parent
        self.home, self.python = home, python
        self.environ = {**os.environ, "DAGSTER_HOME": str(home), **(environ or {})}
        self.port = free_port()
        self.log = home.parent / "deployment.log"
        self.workspace = home.parent / "workspace.yaml"
        self.programs: dict[str, subprocess.Popen[bytes]] = {}
        self.define(locations)

    def define(self, locations: Mapping[str, Path]) -> None:
        """What a webserver that is started from now on has."""
        files = [
            {"python_file": {"relative_path": str(file), "location_name": name}}
            for name, file in locations.items()
        ]
        self.workspace.write_text(json.dumps({"load_from": files}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *names: str) -> None:
        """Start the ``webserver``, the ``daemon``, or both; returns when they are at work."""
        commands: dict[str, Sequence[str]] = {
            "webserver": ("dagster_webserver", "-h", "127.0.0.1", "-p", str(self.port)),
            "daemon": ("dagster._daemon", "run"),
        }
        for name in names:
            command = [self.python, "-m", *commands[name], "-w", str(self.workspace)]
            self.programs[name] = started(command, self.cwd, self.log, self.environ)
        if "webserver" in names:
            self.await_all(self.answers)
        if "daemon" in names:
            self.await_all(self.has_daemon)

    def stop(self, *names: str) -> None:
        """End them with all that they have started, as the machine's end does."""
        for name in names or list(self.programs):
            program = self.programs.pop(name)
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()

    def answers(self) -> bool:
        try:
            return bool(self.asked("{ version }"))
        except OSError:
            return False

    def has_daemon(self) -> bool:
        found = self.asked("{ instance { daemonHealth { allDaemonStatuses { daemonType healthy } } } }")
        states = {
            one["daemonType"]: one["healthy"]
            for one in found["instance"]["daemonHealth"]["allDaemonStatuses"]
        }
        return bool(states["QUEUED_RUN_COORDINATOR"] and states["BACKFILL"])

    def asked(self, query: str, **variables: Any) -> Any:
        """What the webserver answers."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found
        return found["data"]

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the oldest first, with their tags."""
        found = self.asked("{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }")
        runs = [
            {**one, "tags": {tag["key"]: tag["value"] for tag in one["tags"]}}
            for one in found["runsOrError"]["results"]
        ]
        return runs[::-1]

    def await_runs(self, count: int) -> None:
        """Until so many runs have ended."""
        self.await_all(lambda: sum(one["status"] in ENDED for one in self.runs()) >= count)

    def await_all(self, condition: Callable[[], bool], seconds: float = 90) -> None:
        until = time.monotonic() + seconds
        while not condition():
            for program in self.programs.values():
                assert program.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < until, self.log.read_text()[-3000:]
            time.sleep(0.1)
