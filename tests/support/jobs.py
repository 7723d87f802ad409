"""Jobs of workflows, in fresh clones of an origin, with the stand-in for Dagster."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.ci.ground import Ground, Job, pushed
from tests.ci.world import ZEROS
from tests.conftest import Repo
from tests.support.forks import Program
from tests.support.project import StandInProject

CI = {"production": ["main"]}


class Jobs(Ground):
    """An origin, the desk that is pushed from, and the runners."""

    def __init__(self, top: Path, program: Program) -> None:
        control = top / "control"
        control.mkdir(parents=True)
        self.desk = self.project = StandInProject(top / "desk", control, program)  # type: ignore[assignment]
        self.top, self.home, self.cache, self.jobs = top, top / "dagster_home", top / "cache", 0
        self.home.mkdir()
        self.venv = Path(sys.prefix)
        self.origin = Repo(top / "origin.git")
        self.origin.top.mkdir()
        self.origin.git("init", "-q", "--bare", "-b", "main")
        self.origin.git("config", "uploadpack.allowFilter", "true")
        self.project.top.mkdir()
        self.project.git("init", "-q", "-b", "main")
        self.project.git("remote", "add", "origin", self.origin.top.as_uri())

    def push_raw(self, files: Mapping[str, str | None]) -> dict[str, Any]:
        """Commit these raw files and all there is, push it; returns the event's payload."""
        before = self.project.try_git("rev-parse", "--quiet", "--verify", "HEAD").stdout.strip() or ZEROS
        self.project.commit_raw(files)
        self.project.git("push", "-q", "origin", "HEAD:refs/heads/main")
        return pushed(before, self.project.git("rev-parse", "HEAD"))

    def step(self, clone: Repo, environ: Mapping[str, str], *args: str) -> Job:
        """``raw-trigger ci`` in a clone that is there."""
        done = self.project.program.run("ci", *args, cwd=clone.top, env=environ)
        self.keep(clone)
        log = done.stdout + done.stderr
        assert "Traceback" not in log, log
        return Job(done.returncode, log.encode("utf-8", "surrogateescape"), Path(environ["RUNNER_TEMP"]))

    def matrix(self, event: Mapping[str, Any]) -> Matrix:
        """The plan job of a workflow."""
        return Matrix(self, event)


class Matrix:
    """The jobs of the shipped workflow for one event: plan (at once), batches, record."""

    def __init__(self, jobs: Jobs, event: Mapping[str, Any]) -> None:
        self.jobs, self.event = jobs, event
        self.folder = jobs.top / f"artifacts-{jobs.jobs}"
        self.folder.mkdir()
        self.number = str(jobs.jobs + 100)
        self.plan = self._job("--mode=plan", "--no-catalog", "--matrix=4")
        assert self.plan.code == 0, self.plan.text
        self.batches = [one["batch"] for one in self.plan.json("matrix")["include"]]

    def _job(self, *args: str) -> Job:
        files = [f"--plan-file={self.folder / 'plan.json'}"]
        if "--mode=plan" not in args:
            files.append(f"--results={self.folder / 'results'}")
        return self.jobs.job(self.event, *args, *files, GITHUB_RUN_ID=self.number)

    def run(self) -> list[Job]:
        """The jobs of the matrix."""
        return [self.run_batch(batch) for batch in self.batches]

    def run_batch(self, batch: str) -> Job:
        """One job of the matrix."""
        return self._job("--mode=run", f"--batch={batch}")

    def record(self) -> Job:
        """The last job."""
        return self._job("--mode=record")
