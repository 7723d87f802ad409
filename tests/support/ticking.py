"""A project with a sensor on real Dagster: ticks are evaluated here, and a daemon's part is played by hand."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conftest import Repo
from tests.support.forks import Program, Started, dagster_environment

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = "data/1_raw"
Document = dict[str, Any]

CODE = """
import json, os, pathlib, time
import dagster as dg
from raw_trigger.automation import build_job_schedule, build_raw_job_sensor, build_raw_schedule, build_raw_sensor

HERE = pathlib.Path(__file__).parent
RAW = HERE / "data/1_raw"

def read(context, *names):
    '''What an asset reads, for the truth; content that says so makes it fail.'''
    partition = context.partition_key if context.has_partition_key else None
    content = {name: (RAW / name).read_text() if (RAW / name).exists() else None for name in names}
    key = "/".join(context.asset_key.path)
    with open(HERE / "../truth.jsonl", "a") as file:
        file.write(json.dumps({"target": key + (f"|{partition}" if partition else ""), "read": content}) + "\\n")
    if "slow" in str(content):
        time.sleep(4)
    if "bad" in str(content):
        raise ValueError(f"cannot read {content}")

@dg.asset
def a(context): read(context, "a.csv")
@dg.asset
def b(context): read(context, "b.csv")
@dg.asset(deps=[a])
def child(context): read(context)
@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["x", "y"]))
def part(context): read(context, f"part/{context.partition_key}.csv")
@dg.asset(partitions_def=dg.DynamicPartitionsDefinition(name="names"))
def dyn(context): read(context, f"dyn/{context.partition_key}.csv")
@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-01-01"), deps=[part])
def daily(context): read(context, f"daily/{context.partition_key}.csv")
ext = dg.SourceAsset("ext") if dg.__version__.startswith("1.7.") else dg.AssetSpec("ext")
@dg.asset(deps=["ext"])
def under(context): read(context, "ext.csv")
@dg.op
def work(context):
    with open(HERE / "../truth.jsonl", "a") as file:
        file.write(json.dumps({"target": "job:nightly", "read": {}}) + "\\n")
@dg.job
def nightly(): work()

ASSETS = [a, b, child, part, dyn, daily, ext, under]
SENSORS = [build_raw_sensor(project=HERE, settle=0), build_raw_job_sensor(jobs=[nightly], project=HERE, settle=0)]
"""
DEFINITIONS = "defs = dg.Definitions(assets=ASSETS, jobs=[nightly], sensors=SENSORS)\n"
RULES = """
{path: a.csv, asset: a}
{path: b.csv, asset: b}
{path: "part/{p}.csv", asset: part, partition: "{p}"}
{path: "dyn/{p}.csv", asset: dyn, partition: "{p}"}
{path: "daily/{p:%Y-%m-%d}.csv", asset: daily, partition: "{p}"}
{path: ext.csv, asset: ext}
{path: "job/**", job: nightly}
"""
FILES = {
    f"{ROOT}/{name}": "1\n" for name in ("a.csv", "b.csv", "part/x.csv", "part/y.csv", "ext.csv", "keep.txt")
}


class Ticking(Repo):
    """A working tree whose definitions are loaded into this process too, and their instance.

    Dagster's home is raw-trigger's own.

    Args:
        program: Runs commands of raw-trigger.
    """

    definitions = DEFINITIONS
    """What is written after the code."""

    def __init__(self, top: Path, program: Program) -> None:
        super().__init__(top)
        self.home, self.program = top / ".git/raw-trigger/dagster_home", program
        self.repository: Any = None
        self._module = ""
        self._told = self._ticks = 0

    @classmethod
    def copied(cls, kept: Path, top: Path, program: Program) -> Self:
        """One that begins as another, which was laid before."""
        shutil.copytree(kept, top)
        found = cls(top, program)
        found.load()
        return found

    def lay(self, code: str = CODE, rules: str = RULES, **settings: Any) -> None:
        """Write everything, commit it and adopt it, and load the code."""
        self.lay_again(code, rules, **settings)
        self.adopt()

    def lay_again(self, code: str = CODE, rules: str = RULES, **settings: Any) -> None:
        """Write everything, commit it, and load the code."""
        listed = "".join(f"  - {line}\n" for line in rules.strip().splitlines())
        python = str(dagster_environment() / "bin/python")
        dagster = {"python": python, "python_file": "definitions.py"}
        lines = [f"{name}: {json.dumps(value)}" for name, value in {"dagster": dagster, **settings}.items()]
        text = "\n".join(lines) + f"\nassets:\n{listed}"
        self.write(
            {**FILES, "definitions.py": textwrap.dedent(code) + self.definitions, "raw-trigger.yaml": text}
        )
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "start")
        self.load()

    def adopt(self) -> None:
        """Record HEAD as made, without a process that loads the project."""
        from raw_trigger.adopt import adopt
        from raw_trigger.automation.loaded import loaded_workspace
        from raw_trigger.planner import Planner

        with self.instance() as instance:
            workspace = loaded_workspace(
                self.top, environment=None, repository=self.repository, instance=instance
            )
            adopt(Planner(workspace), "HEAD")

    def load(self) -> None:
        """Load the code as a new code server does."""
        from raw_trigger.automation import loaded

        if self.repository is not None:
            del sys.modules[self._module]
        loaded._SEEN.clear()
        loaded._BEGAN = time.time()
        name = self._module = f"definitions_{uuid.uuid4().hex}"
        spec = importlib.util.spec_from_file_location(name, self.top / "definitions.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.repository = module.defs.get_repository_def()

    def raw(self, **files: str | None) -> None:
        """Write, or delete, files below the raw root: ``a=``, ``part__x=``."""
        self.write({f"{ROOT}/{name.replace('__', '/')}.csv": content for name, content in files.items()})

    # Dagster

    @contextmanager
    def instance(self) -> Iterator[Any]:
        """Dagster's instance."""
        from dagster import DagsterInstance

        with DagsterInstance.from_config(str(self.home)) as opened:
            yield opened

    def tick(self, sensor: str = "raw_sensor", *, dry: bool = False) -> Any:
        """What one tick of the daemon comes to."""
        from dagster import SensorEvaluationContext

        self._ticks += 1
        with self.instance() as instance:
            key = [self.repository.name, sensor, f"{self._ticks}"]
            context = SensorEvaluationContext(
                instance_ref=instance.get_ref(),
                last_tick_completion_time=None,
                last_run_key=None,
                cursor=None,
                log_key=None if dry else key,
                repository_name=self.repository.name,
                repository_def=self.repository,
                sensor_name=sensor,
            )
            with context:
                return self.repository.get_sensor_def(sensor).evaluate_tick(context)

    def carry_out(self, requests: Sequence[Any]) -> list[str]:
        """Make the runs, as the daemon and its run launcher do; returns their ids."""
        from raw_trigger.project.inside.compat.runs import execute
        from raw_trigger.project.inside.past import RANGE_END_TAG, RANGE_START_TAG

        made = []
        with self.instance() as instance:
            for one in requests:
                ends = (one.tags.get(RANGE_START_TAG), one.tags.get(RANGE_END_TAG))
                made.append(str(uuid.uuid4()))
                execute(
                    self.repository,
                    instance,
                    keys=list(one.asset_selection) if one.asset_selection else one.job_name,
                    partition=ends if ends[0] else one.partition_key,
                    run_id=made[-1],
                    tags=dict(one.tags),
                    run_config=dict(one.run_config),
                    listener=lambda _: None,
                )
        return made

    def ticked(self, sensor: str = "raw_sensor") -> list[str]:
        """Tick, and make what is asked for; returns what was made."""
        self.carry_out(self.tick(sensor).run_requests or ())
        return self.made()

    def change_runs(self, do: Callable[[Any], object]) -> None:
        """Do something to the instance."""
        with self.instance() as instance:
            do(instance)

    # raw-trigger and the truth

    def tool(self, *args: str) -> Any:
        """Run raw-trigger as a user does."""
        return self.start(*args).wait()

    def start(self, *args: str) -> Started:
        """Start raw-trigger."""
        return self.program.start(*args, cwd=self.top, env=self.environ())

    def environ(self) -> dict[str, str]:
        import os

        return {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}

    def plan(self) -> Document:
        """What ``raw-trigger diff --format json`` says."""
        done = self.tool("diff", "--format", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    def last_read(self, target: str) -> Document:
        """What the target read when it was made last."""
        return [one for one in self.truth() if one["target"] == target][-1]["read"]  # type: ignore[no-any-return]

    def truth(self) -> list[Document]:
        """What was made, or tried, in order, and what it read."""
        file = self.top.parent / "truth.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def made(self) -> list[str]:
        """The targets that were made, or tried, since this was last asked, sorted."""
        found = [one["target"] for one in self.truth()]
        new, self._told = found[self._told :], len(found)
        return sorted(new)

    def history(self, *args: str) -> list[Document]:
        """What ``raw-trigger history --format json`` says."""
        done = self.tool("history", "--format", "json", *args)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["runs"]  # type: ignore[no-any-return]

    def age_history(self, seconds: float) -> None:
        """Make all that is in the ledger happen earlier."""
        import sqlite3
        from datetime import datetime, timedelta

        def earlier(text: str | None) -> str | None:
            return text and (datetime.fromisoformat(text) - timedelta(seconds=seconds)).isoformat(" ")

        file = self.top / ".git/raw-trigger/ledger.sqlite"
        if not file.exists():
            return
        with sqlite3.connect(file) as ledger:
            ledger.create_function("earlier", 1, earlier)
            for table in ("ingestion_runs", "ingestion_run_assets"):
                ledger.execute(
                    f"UPDATE {table} SET started_at = earlier(started_at), ended_at = earlier(ended_at)"
                )

    def submit(self, request: Any, status: Any) -> str:
        """Make a run that is not carried out, in this state; returns its id."""
        with self.instance() as instance:
            job = self.repository.get_implicit_job_def_for_assets(list(request.asset_selection))
            run = instance.create_run_for_job(
                job,
                asset_selection=frozenset(request.asset_selection),
                tags={
                    **request.tags,
                    **({"dagster/partition": key} if (key := request.partition_key) else {}),
                },
                status=status,
            )
            return str(run.run_id)
