"""Small Dagster projects in temporary folders, run by the Python that runs the tests."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raw_trigger.model.project import DagsterOptions
from raw_trigger.project import DagsterProject, ExecutionResult, RunBatch, RunTarget, TargetFinished
from raw_trigger.project.messages import RunnerEvent
from tests.support.forks import dagster_environment


@dataclass
class Ran:
    """An execution and everything it told."""

    result: ExecutionResult
    events: list[RunnerEvent]

    def target(self, asset: str, partition: str | None = None) -> TargetFinished:
        """The only event of that target."""
        found = [e for e in self.targets if e.asset == asset and e.partition == partition]
        assert len(found) == 1, (asset, partition, self.targets, self.log)
        return found[0]

    @property
    def targets(self) -> list[TargetFinished]:
        return [event for event in self.events if isinstance(event, TargetFinished)]

    @property
    def statuses(self) -> dict[str, str]:
        return {
            e.asset if e.partition is None else f"{e.asset}|{e.partition}": e.status for e in self.targets
        }

    @property
    def log(self) -> str:
        return self.result.log.read_text()


@dataclass
class Sandbox:
    """A folder with a project in it."""

    folder: Path
    environ: dict[str, str]
    options: DagsterOptions = field(default_factory=DagsterOptions)
    python: str = field(default_factory=lambda: str(dagster_environment() / "bin/python"))

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    def project(self, **options: Any) -> DagsterProject:
        options.setdefault("python", self.python)
        return DagsterProject(
            directory=self.folder,
            options=DagsterOptions(**options),
            default_home=self.folder.parent / "home",
            cache_dir=self.folder.parent / "cache",
            top=self.folder,
            environ=self.environ,
        )

    def run(self, *batches: RunBatch, project: DagsterProject | None = None, **tags: str) -> Ran:
        events: list[RunnerEvent] = []
        project = project or self.project(python_file=("defs.py",))
        result = project.execute(batches, events.append, tags)
        return Ran(result, events)

    def dagster(self, code: str, home: Path | None = None, python: str = sys.executable) -> Any:
        """The value of ``out`` after the code has run beside a Dagster instance named ``instance``."""
        script = "import json, dagster as dg\ninstance = dg.DagsterInstance.get()\n" + textwrap.dedent(code)
        answer = subprocess.run(
            [python, "-W", "ignore", "-c", script + "\nprint(json.dumps(out))"],
            env={**self.environ, "DAGSTER_HOME": str(home or self.folder.parent / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout.splitlines()[-1])


def batch(number: int, *targets: str | RunTarget, **options: Any) -> RunBatch:
    """A batch of targets, given as ``raw/sales`` or ``raw/sales|2026-01-31``."""
    return RunBatch(number, tuple(t if isinstance(t, RunTarget) else target(t) for t in targets), **options)


def target(text: str, after: Sequence[str] = (), **options: Any) -> RunTarget:
    """A target from its text."""
    parts, partition = identity(text)
    return RunTarget(parts, partition, after=tuple(identity(one) for one in after), **options)


def identity(text: str) -> tuple[tuple[str, ...], str | None]:
    key, bar, partition = text.partition("|")
    return tuple(key.split("/")), partition if bar else None
