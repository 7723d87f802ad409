"""The workflows and the action fit together: what no linter looks at."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raw_trigger.ci import outputs
from raw_trigger.initialize.workflow import deployment_workflow, workflow
from tests.ci import runner, steps
from tests.ci.ground import RULES, Ground, R
from tests.ci.plans import plan_of
from tests.ci.test_job import START
from tests.e2e.test_documents import blocks

PINS = {
    "actions/checkout": "3d3c42e5aac5ba805825da76410c181273ba90b1",
    "actions/setup-python": "5fda3b95a4ea91299a34e894583c3862153e4b97",
    "astral-sh/setup-uv": "20cfd1bf945f4377ade1205e4dbc17946fc9a30d",
    "actions/cache": "27d5ce7f107fe9357f9df03efb73ab90386fccae",
    "actions/upload-artifact": "bbbca2ddaa5d8feaa63e36b76fdaad77386f024f",
    "actions/download-artifact": "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c",
}
"""The commits that were looked at."""
OWN = "$/.github/actions/raw-trigger"
ACTION = steps.load(steps.ACTION / "action.yml")
RAW_DATA = steps.load(steps.WORKFLOWS / "raw-data.yml")
USERS = steps.load(workflow("app", "app/other.yaml", "pip install -e .", "main"))
DEPLOYMENTS = steps.load(deployment_workflow("app", "app/other.yaml", "main"))
FILES = {
    "action.yml": ACTION,
    **{file.name: steps.load(file) for file in sorted(steps.WORKFLOWS.glob("*.yml"))},
    "init --github": USERS,
    "init --github --launcher graphql": DEPLOYMENTS,
}


def steps_of(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All steps of an action or of a workflow's jobs."""
    yield from document.get("runs", {}).get("steps", ())
    for job in document.get("jobs", {}).values():
        yield from job.get("steps", ())


def strings(value: object) -> Iterator[str]:
    """All strings in it."""
    if isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


def test_what_is_given_to_the_action_are_inputs_of_it() -> None:
    calls = [step for document in FILES.values() for step in steps_of(document) if step.get("uses") == OWN]
    assert len(calls) == 3
    for call in calls:
        assert set(call["with"]) <= set(ACTION["inputs"])
    given = {name for call in calls for name in call["with"]}
    assert set(ACTION["inputs"]) - given == {"token", "install", "cache"}


@pytest.mark.parametrize("launcher", ["local", "graphql"])
def test_what_is_given_to_the_workflow_are_inputs_of_it(launcher: str) -> None:
    job = (USERS if launcher == "local" else DEPLOYMENTS)["jobs"]["raw-data"]
    assert job["uses"].partition("@")[0].endswith("/.github/workflows/raw-data.yml")
    called = RAW_DATA["on"]["workflow_call"]
    assert set(job["with"]) <= set(called["inputs"])
    assert {name for name, one in called["inputs"].items() if one.get("required")} <= set(job["with"])
    assert set(job["secrets"]) <= set(called["secrets"])
    needed: dict[str, str] = {}
    for one in RAW_DATA["jobs"].values():
        needed |= {name: level for name, level in one["permissions"].items() if needed.get(name) != "write"}
    assert job["permissions"] == needed, "GitHub refuses to call a workflow that wants more"


@pytest.mark.parametrize(
    ("ref", "given"),
    [
        ("refs/heads/it's", "production"),
        ("refs/heads/other", "review"),
        ("refs/pull/2/merge", "review"),
        ("refs/heads/gh-readonly-queue/main/pr-1", "review"),
    ],
)
def test_a_pull_request_does_not_write_where_the_branch_does(ref: str, given: str) -> None:
    [job] = steps.load(workflow("", "raw-trigger.yaml", "x", "it's"))["jobs"].values()
    known = {"RAW_TRIGGER_ENVIRONMENT": "production", "RAW_TRIGGER_PULL_REQUEST": "review"}
    text = job["secrets"]["environment"]
    for secrets, expected in (
        (known, given),
        ({**known, "RAW_TRIGGER_PULL_REQUEST": ""}, given.replace("review", "")),
    ):
        contexts = {"github": {"ref": ref}, "secrets": secrets}
        assert steps.Expressions(contexts).fill(text) == expected


def test_a_pull_request_gets_no_token_for_a_deployment() -> None:
    """It shows what it would make, without the Dagster project; only the job that materializes gets the token."""
    plan, raw_data = DEPLOYMENTS["jobs"].values()
    conditions = {
        event: [
            steps.Expressions({"github": {"event_name": event}}).fill(f"${{{{ {job['if']} }}}}")
            for job in (plan, raw_data)
        ]
        for event in ("pull_request", "push", "workflow_dispatch")
    }
    assert conditions == {
        "pull_request": ["true", "false"],
        "push": ["false", "true"],
        "workflow_dispatch": ["false", "true"],
    }
    assert "secrets" not in str(plan)
    assert raw_data["secrets"] == {"environment": "DAGSTER_TOKEN=${{ secrets.DAGSTER_TOKEN }}"}
    [checkout, call] = plan["steps"]
    assert call["uses"].partition("@")[0].endswith("/.github/actions/raw-trigger")
    assert set(call["with"]) <= set(ACTION["inputs"])
    assert (call["with"]["mode"], call["with"]["no-catalog"]) == ("plan", True)
    assert checkout["uses"] in str(RAW_DATA)
    given = [job for job in RAW_DATA["jobs"].values() if "secrets" in str(job) or "extras" in str(job)]
    assert given == [RAW_DATA["jobs"]["materialize"]]


def test_every_input_is_used_and_every_output_is_there() -> None:
    used = set(re.findall(r"inputs\.([\w-]+)", " ".join(strings(ACTION["runs"]))))
    assert used == set(ACTION["inputs"])
    assert set(ACTION["outputs"]) == set(outputs.outputs(plan_of([]))) == set(outputs.UNKNOWN)
    for name, output in ACTION["outputs"].items():
        assert f"steps.run.outputs.{name} " in output["value"]
    called = RAW_DATA["on"]["workflow_call"]
    used = set(re.findall(r"inputs\.([\w-]+)", " ".join(strings([RAW_DATA["jobs"], RAW_DATA["env"]]))))
    assert used == set(called["inputs"])
    for output in called["outputs"].values():
        [(job, name)] = re.findall(r"jobs\.(\w+)\.outputs\.(\w+) ", output["value"])
        assert name in RAW_DATA["jobs"][job]["outputs"]


def test_outputs_of_steps_and_jobs_are_read_from_where_they_are() -> None:
    for job in RAW_DATA["jobs"].values():
        ids = {step.get("id"): step for step in job["steps"]}
        text = " ".join(strings(job))
        for step, name in re.findall(r"steps\.(\w+)\.outputs\.([\w-]+)", text):
            assert ids[step]["uses"] == OWN
            assert name in ACTION["outputs"]
        for needed, name in re.findall(r"needs\.(\w+)\.outputs\.([\w-]+)", text):
            assert needed in job["needs"]
            assert name in RAW_DATA["jobs"][needed]["outputs"]
        for needed in re.findall(r"needs\.(\w+)\.result", text):
            assert needed in job["needs"]


@pytest.mark.parametrize("name", FILES)
def test_third_party_actions_are_pinned(name: str) -> None:
    for step in steps_of(FILES[name]):
        if "uses" in step and step["uses"] != OWN and not step["uses"].startswith("raw-trigger/"):
            action, _, commit = step["uses"].partition("@")
            assert PINS[action] == commit


@pytest.mark.parametrize("name", FILES)
def test_no_expression_is_in_a_script(name: str) -> None:
    for step in steps_of(FILES[name]):
        assert "${{" not in step.get("run", "")


@pytest.mark.parametrize(
    "name", [name for name, one in FILES.items() if any("run" in s for s in steps_of(one))]
)
def test_shellcheck_likes_the_scripts(name: str, tmp_path: Path) -> None:
    program = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    assert program is not None
    for number, step in enumerate(steps_of(FILES[name])):
        if "run" in step:
            (tmp_path / f"{number}.sh").write_text(f"#!/bin/bash\nset -e -o pipefail\n{step['run']}\n")
    done = subprocess.run(
        [program, *map(str, sorted(tmp_path.iterdir()))], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_jobs() -> None:
    """The last one waits for all, runs whatever became of them, and is the only one that may write."""
    jobs = RAW_DATA["jobs"]
    assert RAW_DATA["permissions"] == {}
    assert {name: job.get("needs", []) for name, job in jobs.items()} == {
        "plan": [],
        "materialize": "plan",
        "result": ["plan", "materialize"],
    }
    assert jobs["result"]["if"] == "always()"
    writing = {name for name, job in jobs.items() if "write" in job["permissions"].values()}
    assert writing == {"result"}
    for job in jobs.values():
        [checkout] = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
        assert checkout["with"]["persist-credentials"] is False
    # A script of the user's, or code from a pull request, runs in no job that may write.
    ours = {"bash -euo pipefail -c", "inputs.install", "secrets.environment"}
    assert not [
        text
        for text in strings(jobs["result"]["steps"])
        for word in ours
        if word in text and "==" not in text
    ]


def test_the_token_is_given_to_no_step_that_starts_the_projects_code() -> None:
    given = {
        one["env"]["STEP"]: one["env"].get("RAW_TRIGGER_TOKEN")
        for one in ACTION["runs"]["steps"]
        if "STEP" in one.get("env", {})
    }
    record = "${{ inputs.mode == 'record' && inputs.token || '' }}"
    assert given == {
        "fetch": "${{ inputs.token }}",
        "${{ inputs.mode == 'record' && 'all' || 'work' }}": record,
        "publish": "${{ inputs.token }}",
    }
    others = [text for text in strings(ACTION["runs"]) if "token" in text and text not in given.values()]
    assert others == []
    # Nor does a clone keep one, in the examples that people copy.
    for block in blocks("yaml"):
        assert block.count("actions/checkout@") == block.count("persist-credentials: false")


def test_artifacts_are_fetched_as_they_were_left() -> None:
    left, fetched = [], []
    for step in steps_of(RAW_DATA):
        if "upload-artifact" in step.get("uses", ""):
            left.append(step["with"]["name"].partition("${{")[0])
        elif "download-artifact" in step.get("uses", ""):
            fetched.append((step["with"].get("name") or step["with"]["pattern"]).rstrip("*"))
    assert sorted(left) == ["raw-trigger-plan", "raw-trigger-results-"]
    assert sorted(fetched) == ["raw-trigger-plan", "raw-trigger-plan", "raw-trigger-results-"]


def test_projects_of_one_repository_do_not_cancel_each_other() -> None:
    group = RAW_DATA["concurrency"]["group"]
    for part in (
        "github.workflow",
        "inputs.working-directory",
        "inputs.config",
        "inputs.environment",
        "github.ref",
    ):
        assert f"${{{{ {part} }}}}" in group


def script(job: str, name: str) -> dict[str, Any]:
    [step] = [step for step in RAW_DATA["jobs"][job]["steps"] if step.get("name") == name]
    return dict(step)


@pytest.mark.parametrize(
    ("plan", "materialize", "good"),
    [
        ("success", "success", True),
        ("success", "skipped", True),
        ("success", "failure", False),
        ("success", "cancelled", False),
        ("failure", "skipped", False),
        ("cancelled", "skipped", False),
        ("skipped", "skipped", False),
    ],
)
def test_the_result_is_that_of_all_jobs(plan: str, materialize: str, good: bool, tmp_path: Path) -> None:
    contexts = {"needs": {"plan": {"result": plan}, "materialize": {"result": materialize}}}
    environ = {"RUNNER_TEMP": str(tmp_path), "PATH": "/usr/bin:/bin"}
    step = script("result", "Every job has done its part")
    assert step["if"] == "always()"
    assert (steps.run_step(step, contexts, environ, tmp_path)[0] == 0) == good


def test_the_environment_of_the_project(tmp_path: Path) -> None:
    """Lines become variables, their values are masked, and what is none is told without being shown."""
    secret = "DAGSTER_HOME=/x\r\n# a note\n\nURL=a=b%0A::error::c $(touch pwned)\nEMPTY=\nhunter2\n"
    (tmp_path / "env").touch()
    environ = {"RUNNER_TEMP": str(tmp_path), "PATH": "/usr/bin:/bin", "GITHUB_ENV": str(tmp_path / "env")}
    step = script("materialize", "The environment of the Dagster project")
    code, log, _ = steps.run_step(step, {"secrets": {"environment": secret}}, environ, tmp_path)
    assert (code, b"hunter2" in log) == (0, False)
    url = "a=b%0A::error::c $(touch pwned)"
    assert runner.outputs((tmp_path / "env").read_bytes()) == {"DAGSTER_HOME": "/x", "URL": url, "EMPTY": ""}
    assert [(c.name, c.data) for c in runner.commands(log)] == [
        ("add-mask", "/x"),
        ("add-mask", url),
        ("warning", "line 6 of the secret 'environment' is not NAME=value"),
    ]
    assert not (tmp_path / "pwned").exists()


def test_the_whole_workflow(place: Ground) -> None:
    """One push after the other, each made good by the next one, whatever became of its jobs."""
    place.begin()
    jobs = steps.Workflow(place, RAW_DATA, place.top / "artifacts")
    secrets = {"environment": f"DAGSTER_HOME={place.home}"}

    def run(event: dict[str, Any], *lost: str, **inputs: Any) -> str:
        results = jobs.run(event, {"install": "true", **inputs}, secrets, lost)
        return " ".join(results.values())

    event = place.push({f"{R}a.csv": "a 2\n", f"{R}b.csv": "b broken\n", f"{R}c.csv": "c 2\n"})
    assert run(event, "materialize 3") == "success failure failure"
    assert (place.ran(), place.recorded()) == (["raw/a"], START | {"a.csv": "a 2"})
    assert b"3 left no results" in jobs.logs["result 1"]

    event = place.push({"raw-trigger.yaml": RULES + "nonsense: 1\n", f"{R}b.csv": "b 2\n"})
    assert run(event) == "failure skipped failure"

    event = place.push({"raw-trigger.yaml": RULES})
    assert run(event, jobs=1) == "success success success", jobs.logs
    assert (place.ran(), place.recorded()) == (
        ["raw/b", "raw/c"],
        START | {"a.csv": "a 2", "b.csv": "b 2", "c.csv": "c 2"},
    )
    assert run(event) == "success skipped success"
    event = place.pull_request({f"{R}a.csv": "a 3\n"}, pull_request__head__repo=None)
    assert run(event, jobs=1, comment=False) == "success success success", jobs.logs
    assert place.ran() == ["raw/a"]
    assert place.recorded() == START | {"a.csv": "a 2", "b.csv": "b 2", "c.csv": "c 2"}
