"""An origin with a Dagster project in it, and jobs of workflows in fresh clones, as GitHub's runners do them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.ci import runner
from tests.ci.world import ZEROS, payload
from tests.conftest import Repo
from tests.support.forks import program
from tests.support.tables import Project

R = "data/1_raw/"
RULES = """
ci: {environments: {production: [main]}}
assets:
  - {path: "{name}.csv", asset: "raw/{name}"}
"""
CONVENTION = "ci: {environments: {production: [main]}}\n"
CODE = """
import os
import time
from pathlib import Path
from dagster import AssetCheckResult, AssetCheckSeverity, AssetKey, AssetSpec, Definitions, asset, asset_check

RAW = Path(__file__).parent / "data" / "1_raw"

def shown(pid):
    # What the process and those above it show of the token.
    while pid:
        for name in ("environ", "cmdline"):
            try:
                if b"N=secret" in Path(f"/proc/{pid}/{name}").read_bytes():
                    yield f"{pid}/{name}"
            except OSError:
                pass
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return
        pid = int(status.partition("PPid:")[2].split()[0])

if found := list(shown(os.getpid())):
    raise RuntimeError(f"the token is shown to the project's code: {found}")

def table(name):
    @asset(key=AssetKey(["raw", name]))
    def loaded():
        text = (RAW / f"{name}.csv").read_text()
        if "broken" in text:
            raise ValueError(f"{name}.csv line 1: 'broken' is not a number")
        if "slow" in text:
            Path(os.environ["RUNNER_TEMP"], f"{name}-is-running").touch()
            time.sleep(60)
        return text
    return loaded

A, B, C = table("a"), table("b"), table("c")
SEEN = AssetSpec(["raw", "seen"])

@asset_check(asset=A)
def plausible():
    good = "odd" not in (RAW / "a.csv").read_text()
    return AssetCheckResult(passed=good, severity=AssetCheckSeverity.ERROR, description="that is odd")

@asset(deps=[SEEN])
def report():
    pass

defs = Definitions(assets=[A, B, C, SEEN, report], asset_checks=[plausible])
"""
PULL = 2
"""The number of the pull request in the stored payload."""


@dataclass(frozen=True)
class Job:
    """What a job left: its exit code, its log, and the files that the runner reads."""

    code: int
    log: bytes
    temp: Path

    @cached_property
    def outputs(self) -> dict[str, str]:
        return runner.outputs((self.temp / "output").read_bytes())

    @cached_property
    def summary(self) -> str:
        return (self.temp / "summary").read_text("utf-8")

    @cached_property
    def commands(self) -> list[runner.Command]:
        return runner.commands(self.log)

    def told(self, level: str) -> list[str]:
        """The annotations of one level, as ``file: title: text``."""
        return [
            ": ".join(v for v in (c.properties.get("file"), c.properties.get("title"), c.data) if v)
            for c in self.commands
            if c.name == level
        ]

    @property
    def text(self) -> str:
        return self.log.decode("utf-8", "replace")

    def json(self, output: str) -> Any:
        return json.loads(self.outputs[output])


class Ground:
    """One folder for all tests of a module: on a runner a repository is always cloned to the same place,
    so the asset graph that one job kept is good for the next one (``actions/cache``).

    Args:
        venv: The virtual environment of the project.
        home: That of Dagster, made.
        kind: With what the project runs.
    """

    def __init__(self, top: Path, venv: Path, home: Path, kind: type[Project]) -> None:
        self.top, self.venv, self.home = top, venv, home
        self.cache = top / "cache"
        self.origin = Repo(top / "origin.git")
        self.desk = kind(top / "desk", self.home)
        self.jobs = 0

    def begin(self, config: str = RULES) -> None:
        """A fresh origin, with a first commit on main."""
        for folder in (self.origin.top, self.desk.top, *self.top.glob("runner-*")):
            shutil.rmtree(folder, ignore_errors=True)
        self.origin.top.mkdir()
        self.origin.git("init", "-q", "--bare", "-b", "main")
        self.origin.git("config", "uploadpack.allowFilter", "true")
        self.desk.top.mkdir()
        self.desk.git("init", "-q", "-b", "main")
        self.desk.git("remote", "add", "origin", self.origin.top.as_uri())
        code = {"definitions.py": CODE, "pyproject.toml": '[tool.dagster]\nmodule_name = "definitions"\n'}
        raw = {f"{R}{name}": f"{name} 1\n" for name in ("a.csv", "b.csv", "c.csv", "seen.csv")}
        self.push({**code, **raw, ".gitignore": "__pycache__/\n", "raw-trigger.yaml": config})
        self.desk.materialized()

    def push(self, files: Mapping[str | bytes, str | bytes | None], branch: str = "main") -> dict[str, Any]:
        """Commit and push; returns the payload of the event."""
        known = self.desk.try_git("rev-parse", "--quiet", "--verify", f"refs/remotes/origin/{branch}")
        before = known.stdout.strip() or ZEROS
        after = self.desk.commit(files)
        self.desk.git("push", "-q", "origin", f"HEAD:refs/heads/{branch}")
        return pushed(before, after, branch)

    def pull_request(self, files: Mapping[str | bytes, str | bytes | None], **fields: Any) -> dict[str, Any]:
        """Commit on a branch, push it and its merge; returns the payload of the event."""
        base = self.desk.git("rev-parse", "origin/main")
        known = self.desk.try_git("rev-parse", "--quiet", "--verify", "refs/remotes/origin/changes")
        self.desk.git("switch", "-q", "--detach", known.stdout.strip() or base)
        head = self.desk.commit(files)
        self.desk.git("push", "-q", "--force", "origin", "HEAD:refs/heads/changes")
        self.desk.git("switch", "-q", "--detach", base)
        self.desk.git("merge", "-q", "--no-ff", "-m", "merge", head)
        self.desk.git("push", "-q", "--force", "origin", f"HEAD:refs/pull/{PULL}/merge")
        self.desk.git("switch", "-q", "main")
        base_of = {"pull_request__base__sha": base, "pull_request__base__ref": "main"}
        return payload("pull_request_synchronize", pull_request__head__sha=head, **base_of, **fields)

    def clone(self, ref: str, commit: str, depth: int = 1, where: str = "runner-work") -> Repo:
        """What actions/checkout makes; ``depth`` 0 is ``fetch-depth: 0``."""
        clone = Repo(self.top / where)
        shutil.rmtree(clone.top, ignore_errors=True)
        clone.top.mkdir()
        clone.git("init", "-q", "-b", "main")
        clone.git("remote", "add", "origin", self.origin.top.as_uri())
        local = ref.replace("refs/heads/", "refs/remotes/origin/").replace("refs/pull/", "refs/remotes/pull/")
        wants = [f"+{commit}:{local}"]
        if depth == 0:
            every = "+refs/heads/*:refs/remotes/origin/*"
            wants = [every] if ref.startswith("refs/heads/") else [every, *wants]
        clone.git("fetch", "-q", "--no-tags", *([f"--depth={depth}"] if depth else []), "origin", *wants)
        clone.git("checkout", "-q", "--force", "--detach", commit)
        return clone

    def environ(self, event: Mapping[str, Any], where: str, **variables: str) -> dict[str, str]:
        """The variables of a step: what GitHub sets for the event, and files for what the step says."""
        self.jobs += 1
        temp = self.top / f"runner-temp-{self.jobs}"
        temp.mkdir()
        for name in ("output", "summary"):
            (temp / name).touch()
        (temp / "event.json").write_text(json.dumps(event))
        name, ref, sha = _of_event(event, self.origin)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "CI_", "GITLAB_"))}
        return {
            **clean,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": str(temp / "event.json"),
            "GITHUB_OUTPUT": str(temp / "output"),
            "GITHUB_REF": ref,
            "GITHUB_REPOSITORY": "Codertocat/Hello-World",
            "GITHUB_RUN_ID": "17",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": sha,
            "GITHUB_STEP_SUMMARY": str(temp / "summary"),
            "GITHUB_WORKFLOW": "raw data",
            "GITHUB_WORKSPACE": str(self.top / where),
            "RUNNER_TEMP": str(temp),
            "DAGSTER_HOME": str(self.home),
            "VIRTUAL_ENV": str(self.venv),
            **variables,
        }

    def job(
        self,
        event: Mapping[str, Any],
        *args: str,
        depth: int = 1,
        where: str = "runner-work",
        **variables: str,
    ) -> Job:
        """``raw-trigger ci`` in a fresh clone, for an event."""
        clone = self.checkout(event, depth, where)
        return self.step(clone, self.environ(event, where, **variables), *args)

    def checkout(self, event: Mapping[str, Any], depth: int = 1, where: str = "runner-work") -> Repo:
        """A fresh clone as actions/checkout makes it for an event, with the asset graph that was kept."""
        _, ref, sha = _of_event(event, self.origin)
        clone = self.clone(ref, sha, depth, where)
        self.restore(clone)
        return clone

    def step(self, clone: Repo, environ: Mapping[str, str], *args: str) -> Job:
        """``raw-trigger ci`` in a clone that is there.

        One that is given a token is a process with an environment of its own, which the project's code looks for.
        """
        if "RAW_TRIGGER_TOKEN" not in environ:
            forked = program().run("ci", *args, cwd=clone.top, env=environ)
            code, log = forked.returncode, (forked.stdout + forked.stderr).encode("utf-8", "surrogateescape")
        else:
            done = subprocess.run(
                [*bounded(), *command(*args)],
                cwd=clone.top,
                env={**environ, **({} if self.venv.name == "pretended" else {"VIRTUAL_ENV": sys.prefix})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
            code, log = done.returncode, done.stdout
        self.keep(clone)
        assert b"Traceback" not in log, log.decode()
        return Job(code, log, Path(environ["RUNNER_TEMP"]))

    def restore(self, clone: Repo) -> None:
        """What actions/cache does before a step."""
        if self.cache.is_dir():
            shutil.copytree(self.cache, clone.top / ".git/raw-trigger/cache", dirs_exist_ok=True)

    def keep(self, clone: Repo) -> None:
        """What actions/cache does at the end of a job."""
        made = clone.top / ".git/raw-trigger/cache"
        if made.is_dir():
            shutil.copytree(made, self.cache, dirs_exist_ok=True)

    def ran(self) -> list[str]:
        """What was materialized since this was last asked."""
        return [key for key in self.desk.materialized() if key != "raw/seen"]

    def recorded(self, environment: str = "production") -> dict[str, str] | None:
        """The raw files as origin has them recorded, exceptions left out; None if nothing is."""
        ref = f"refs/raw-trigger/{environment}"
        if self.origin.try_git("rev-parse", "--quiet", "--verify", ref).returncode:
            return None
        names = self.origin.git("ls-tree", "-r", "-z", "--name-only", ref, R).split("\0")
        return {
            name[len(R) :]: self.origin.git("cat-file", "blob", f"{ref}:{name}") for name in names if name
        }

    def refs(self) -> list[str]:
        """The refs of origin."""
        return self.origin.git("for-each-ref", "--format=%(refname)").splitlines()


def pushed(before: str, after: str, branch: str = "main") -> dict[str, Any]:
    """The payload of a push."""
    known = {"created": before == ZEROS, "deleted": after == ZEROS}
    at = {"ref": f"refs/heads/{branch}", "before": before, "after": after}
    return payload("push_branch_created", **at, **known)


def command(*args: str) -> list[str]:
    """``raw-trigger ci`` as a process."""
    return [sys.executable, "-m", "raw_trigger", "ci", *args]


def bounded() -> list[str]:
    """What starts a process that may look into none which does not let it, as on a runner; for root."""
    return ["setpriv", "--bounding-set=-sys_ptrace,-sys_admin,-perfmon"] if os.geteuid() == 0 else []


def _of_event(event: Mapping[str, Any], origin: Repo) -> tuple[str, str, str]:
    """Its name, GITHUB_REF and GITHUB_SHA."""
    if "pull_request" in event:
        ref = f"refs/pull/{event['number']}/merge"
        return "pull_request", ref, origin.git("rev-parse", ref)
    if "before" in event and event["deleted"]:
        # GitHub gives the default branch then.
        return "push", "refs/heads/main", origin.git("rev-parse", "main")
    if "before" in event:
        return "push", event["ref"], event["after"]
    return "workflow_dispatch", event["ref"], origin.git("rev-parse", event["ref"])


def names(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The asset keys of the output ``targets``."""
    return [target["asset"] for target in found]
