"""A repository whose assets a deployment makes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Repo
from tests.support.deployment import AT_ONCE, Deployment
from tests.support.forks import Program, Started

ROOT = "data/1_raw"
CODE = Path(__file__).with_name("shop.py")
RULES = """
{path: a.csv, asset: a}
{path: b.csv, asset: b}
{path: checked.csv, asset: checked}
{path: "part/{p}.csv", asset: part, partition: "{p}"}
{path: "dyn/{p}.csv", asset: dyn, partition: "{p}"}
{path: "daily/{p:%Y-%m-%d}.csv", asset: daily, partition: "{p}"}
{path: "ranged/{p:%Y-%m-%d}.csv", asset: ranged, partition: "{p}"}
{path: left.csv, asset: left}
{path: ext.csv, asset: ext}
{path: "job/*", job: nightly, run_config: {ops: {work: {config: {files: "{paths}"}}}}}
"""
OTHER = """
import dagster as dg
@dg.asset
def a(): return 1
@dg.asset
def elsewhere(): return 1
defs = dg.Definitions(assets=[a, elsewhere])
"""
Document = dict[str, Any]


class Shop(Repo):
    """A working tree whose assets a deployment makes, and what they have really read."""

    def __init__(self, top: Path, program: Program, deployment: Deployment) -> None:
        super().__init__(top)
        self.program, self.deployment = program, deployment
        self._told = len(self.truth())

    def configure(
        self, rules: str = RULES, launcher: str = "graphql", ci: Document | None = None, **dagster: Any
    ) -> None:
        """Write ``raw-trigger.yaml``."""
        if launcher == "graphql":
            dagster = {"url": self.deployment.url, "location": "shop", "files": "here", **dagster}
        listed = "".join(f"  - {line}\n" for line in rules.strip().splitlines())
        told = "".join(
            f"  {name}: {json.dumps(value)}\n" for name, value in dagster.items() if value is not None
        )
        self.write(
            {
                "raw-trigger.yaml": f"launcher: {launcher}\nci: {json.dumps(ci)}\ndagster:\n{told}assets:\n{listed}"
            }
        )

    def raw(self, files: Mapping[str, str | None]) -> None:
        self.write({f"{ROOT}/{name}": content for name, content in files.items()})

    def tool(self, *args: str, **environ: str) -> Any:
        """Run raw-trigger as a user does."""
        return self.start(*args, **environ).wait()

    def start(self, *args: str, **environ: str) -> Started:
        return self.program.start(*args, cwd=self.top, env={**self.environ(), **environ})

    def environ(self) -> dict[str, str]:
        return {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "SHOP": str(self.top)}

    def asked(self, *args: str, **environ: str) -> Document:
        """The JSON that a command writes."""
        done = self.tool(*args, "--format", "json", **environ)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    def pending(self) -> list[str]:
        """What a plan would make, or waits for."""
        found = self.asked("diff")["targets"]
        names = [one["asset"] + (f"|{one['partition']}" if one["partition"] else "") for one in found]
        return sorted(names)

    def truth(self) -> list[Document]:
        file = self.top.parent / "truth.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def go_on(self) -> None:
        """End what content holds: ``held``."""
        (self.top.parent / "go").touch()

    def last_read(self, target: str) -> Document:
        """What the target read when it was made last."""
        return [one for one in self.truth() if one["target"] == target][-1]["read"]  # type: ignore[no-any-return]

    def made(self) -> list[str]:
        """What was made, or tried, since this was last asked, sorted."""
        new = self.truth()[self._told :]
        self._told += len(new)
        return sorted(one["target"] for one in new)


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the deployment of these tests reads: the folders ``work`` beside the definitions have the raw files."""
    folder = tmp_path_factory.mktemp("ground")
    for place in (folder, folder / "deployed"):
        (place / "work").mkdir(parents=True)
        shutil.copyfile(CODE, place / "definitions.py")
    (folder / "other.py").write_text(OTHER)
    return folder


@pytest.fixture(scope="session")
def deployment(ground: Path, new_home: Callable[[Path], Path]) -> Iterator[Deployment]:
    """A webserver whose runs begin at once."""
    home = new_home(ground / "home")
    (home / "dagster.yaml").write_text(AT_ONCE)
    locations = {
        "shop": ground / "definitions.py",
        "other": ground / "other.py",
        "deployed": ground / "deployed/definitions.py",
        "graph": CODE.with_name("graph.py"),
    }
    found = Deployment(home, locations, environ={"DAGSTER_DISABLE_TELEMETRY": "1"})
    found.start("webserver")
    yield found
    found.stop()


@pytest.fixture
def shop(ground: Path, deployment: Deployment, program: Program) -> Iterator[Shop]:
    """A new repository at the place that the deployment reads."""
    top = ground / "work"
    found = Shop(top, program, deployment)
    found.git("init", "-q", "-b", "main")
    found.configure()
    found.raw({"keep.txt": "1"})
    found.git("add", "-A")
    found.git("commit", "-q", "-m", "one")
    done = found.tool("adopt")
    assert done.returncode == 0, done.stderr
    yield found
    shutil.rmtree(top)
    top.mkdir()
    (top.parent / "go").unlink(missing_ok=True)
