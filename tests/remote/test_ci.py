"""A job of CI has a deployment make what a push changes: no Dagster project is there, and no Dagster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.remote.conftest import RULES
from tests.remote.test_commits import Deployed, deployed

__all__ = ["deployed"]


class Runner:
    """Jobs in fresh clones of an origin."""

    def __init__(self, shop: Deployed, folder: Path) -> None:
        self.shop, self.folder, self.jobs = shop, folder, 0
        self.origin = folder / "origin.git"
        shop.git("init", "-q", "--bare", "-b", "main", str(self.origin))
        shop.git("remote", "add", "origin", str(self.origin))

    def push(self, files: dict[str, str | None]) -> str:
        """Commit, push and deploy them."""
        commit = self.shop.commit_raw(files)
        self.shop.git("push", "-q", "origin", "main")
        self.shop.deploy()
        return commit

    def job(self, *args: str, **environ: str) -> Any:
        """A job of the workflow for a push to main."""
        self.jobs += 1
        clone = self.folder / f"clone-{self.jobs}"
        self.shop.git("clone", "-q", str(self.origin), str(clone))
        commit, before = self.shop.git("rev-parse", "HEAD"), self.shop.git("rev-parse", "HEAD~1")
        event = self.folder / f"event-{self.jobs}.json"
        event.write_text(
            json.dumps({"ref": "refs/heads/main", "before": before, "after": commit, "commits": []})
        )
        github = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_SHA": commit,
            "GITHUB_WORKSPACE": str(clone),
        }
        return self.shop.program.start(
            *("-C", str(clone), "ci", *args), cwd=clone, env={**self.shop.environ(), **github, **environ}
        ).wait()

    def recorded(self, path: str) -> str | None:
        done = self.shop.try_git("--git-dir", str(self.origin), "show", f"refs/raw-trigger/production:{path}")
        return done.stdout if done.returncode == 0 else None


@pytest.fixture
def runner(deployed: Deployed, tmp_path: Path) -> Runner:
    found = Runner(deployed, tmp_path)
    deployed.configure(
        RULES, location="deployed", files="commit", ci={"environments": {"production": ["main"]}}
    )
    found.push({})
    return found


def test_one_job(runner: Runner) -> None:
    runner.push({"a.csv": "1\n", "b.csv": "1\n"})
    done = runner.job()
    assert done.returncode == 0, done.stdout + done.stderr
    assert runner.shop.made() == ["a", "b"]
    assert runner.recorded("data/1_raw/a.csv") == "1\n"
    assert runner.job().returncode == 0
    assert runner.shop.made() == []


@pytest.mark.soak
def test_what_fails_stays_pending_and_fails_the_job(runner: Runner) -> None:
    runner.push({"a.csv": "bad\n", "b.csv": "1\n"})
    done = runner.job()
    assert done.returncode == 1
    assert "ValueError: cannot read {'a.csv': 'bad\\n'}" in done.stdout
    assert (runner.recorded("data/1_raw/a.csv"), runner.recorded("data/1_raw/b.csv")) == (None, "1\n")
    runner.shop.made()
    runner.push({"a.csv": "2\n"})
    assert runner.job().returncode == 0
    assert runner.shop.made() == ["a"]


@pytest.mark.soak
def test_the_jobs_of_the_workflow(runner: Runner, tmp_path: Path) -> None:
    """Only the one that materializes asks the deployment: the first and the last have no token."""
    environments = {"environments": {"production": ["main"]}}
    runner.shop.configure(RULES, location="deployed", files="commit", token_env="TOKEN", ci=environments)
    runner.push({"a.csv": "1\n", "part/x.csv": "1\n"})
    plan, results = tmp_path / "plan.json", tmp_path / "results"
    first = runner.job("--mode", "plan", "--no-catalog", "--matrix", "1", "--plan-file", str(plan))
    assert first.returncode == 0, first.stdout
    done = ["--plan-file", str(plan), "--results", str(results)]
    second = runner.job("--mode", "run", "--batch", "1/1", *done, TOKEN="it")
    assert second.returncode == 0, second.stdout + second.stderr
    third = runner.job("--mode", "record", *done)
    assert third.returncode == 0, third.stdout
    assert runner.shop.made() == ["a", "part|x"]
    assert runner.recorded("data/1_raw/part/x.csv") == "1\n"


@pytest.mark.soak
def test_what_the_deployment_does_not_hold_waits(runner: Runner) -> None:
    shop = runner.shop
    held = shop.git("rev-parse", "HEAD")
    shop.commit_raw({"a.csv": "1\n"})
    shop.git("push", "-q", "origin", "main")
    done = runner.job()
    assert done.returncode == 1
    assert (
        f"the deployment holds commit {held[:12]}, with another version of it: deploy this one" in done.stdout
    )
    assert (shop.made(), runner.recorded("data/1_raw/a.csv")) == ([], None)
    shop.deploy()
    assert runner.job().returncode == 0
    assert shop.made() == ["a"]


def test_a_disk_that_is_thrown_away(runner: Runner) -> None:
    runner.shop.configure(
        RULES, location="deployed", files="here", ci={"environments": {"production": ["main"]}}
    )
    runner.push({"a.csv": "1\n"})
    done = runner.job()
    assert done.returncode == 2
    assert "`files: here` says that the deployment reads this disk" in done.stdout
