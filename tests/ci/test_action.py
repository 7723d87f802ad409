"""The composite action, its steps executed as the runner does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.ci import steps
from tests.ci.ground import Ground, R
from tests.ci.test_job import OUTPUTS, START, wait_for

PROGRAMS = Path(sys.executable).parent
"""Holds raw-trigger, uv, and a Python that has Dagster."""


STEPS = [
    "Install raw-trigger",
    "Keep the asset graph",
    "Fetch what is compared with",
    "raw-trigger",
    "Record what was materialized",
]


def act(ground: Ground, event: dict[str, Any], **inputs: Any) -> steps.Ran:
    """The action in a fresh clone; ``_`` in a name is ``-``."""
    clone = ground.checkout(event)
    environ = steps.with_path(ground.environ(event, clone.top.name), PROGRAMS)
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    done = steps.run_action({"install": "none", **given}, environ, clone.top)
    ground.keep(clone)
    return done


@pytest.mark.soak
@pytest.mark.dagster
def test_plan_run_and_record(ground: Ground) -> None:
    """What the shipped workflow does, input by input."""
    event = ground.push({f"{R}a.csv": "a 2\n"})
    plan, results = ground.top / "runner-x/plan.json", ground.top / "runner-x/results"
    done = act(ground, event, mode="plan", no_catalog=True, matrix=2, plan=plan)
    assert (done.code, done.ran) == (0, ["Install raw-trigger", "Fetch what is compared with", "raw-trigger"])
    assert steps.parsed(done.outputs) == {
        "changed": True,
        "changed-files": [f"{R}a.csv"],
        "assets": ["raw/a"],
        "targets": [{"asset": "raw/a", "partition": None}],
        "matrix": {"include": [{"batch": "1/1", "name": "raw/a"}]},
        "batches": 1,
        "incomplete": [],
    }
    assert (done.outputs["plan"], done.outputs["head"]) == (str(plan), event["after"])
    done = act(ground, event, mode="run", batch="1/1", plan=plan, results=results)
    assert (done.code, done.outputs["outcome"]) == (0, "success")
    assert done.ran == STEPS[:-1]
    assert (ground.ran(), ground.recorded()) == (["raw/a"], START), "what the plan has marked"
    done = act(ground, event, mode="record", plan=plan, results=results, cache=False)
    assert (done.code, ground.recorded()) == (0, START | {"a.csv": "a 2"})


def test_the_code_of_the_project_never_sees_the_token(ground: Ground) -> None:
    """Not in its own environment, and not in what any process above it was started with.

    The code of the ground looks for `…TOKEN=secret`, when it is loaded and when it runs.
    """
    event = ground.push({f"{R}a.csv": "a 2\n", f"{R}b.csv": "b broken\n"})
    done = act(ground, event, token="secret")
    assert (done.code, done.outputs["outcome"], done.ran) == (1, "partial", STEPS), done.log.decode()
    assert (ground.ran(), ground.recorded()) == (["raw/a"], START | {"a.csv": "a 2"})
    assert [c.properties["file"] for c in done.commands if c.name == "error"] == [f"{R}b.csv"]
    # Also of a plan with the asset graph, whose comment another step has to put.
    done = act(ground, event, token="secret", mode="plan", comment=True)
    assert (done.code, done.outputs["assets"], done.ran) == (0, '["raw/b"]', STEPS), done.log.decode()


def test_the_step_that_works_refuses_a_token(ground: Ground) -> None:
    event = ground.push({f"{R}a.csv": "a 2\n"})
    clone = ground.checkout(event)
    environ = ground.environ(event, clone.top.name)
    work = ground.step(clone, {**environ, "RAW_TRIGGER_TOKEN": "secret"}, "--step=work")
    assert (work.code, "RAW_TRIGGER_TOKEN is set" in work.text) == (2, True)
    work = ground.step(clone, environ, "--step=work")
    assert (work.code, "begin with `raw-trigger ci --step fetch` in the same job" in work.text) == (2, True)
    assert ground.step(clone, environ, "--step=fetch").code == 0
    clone.git("switch", "-q", "--orphan", "other")
    clone.commit({"x": "x"})
    work = ground.step(clone, environ, "--step=work")
    assert (work.code, "another commit was checked out since" in work.text) == (2, True)


OTHER = """
root: raw
assets:
  - {path: "{name}.csv", asset: "raw/{name}"}
"""


@pytest.mark.soak
def test_every_input_arrives(ground: Ground) -> None:
    """Also where it holds what a shell or an option would take for its own."""
    evil = "x $(touch pwned) `touch pwned` ; touch pwned\n::error::forged"
    event = ground.push({"conf/other.yaml": OTHER, "conf/raw/x.csv": "x\n"})
    done = act(ground, event, mode="plan", base=evil)
    assert (done.code, done.outputs["changed"], done.outputs["outcome"]) == (2, "null", "failed")
    assert "$(touch pwned)" in done.log.decode()
    assert [c.data for c in done.commands if c.data == "forged"] == []
    for name, value, said in (
        ("environment", "-x y", "-x y"),
        ("downstream", "some", "--downstream is auto, none, all or a number of levels, not 'some'"),
        ("matrix", 300, "--matrix 300: there can be 1 to 256 batches"),
        ("batch", "1/2", "--batch goes with --mode run"),
        ("config", "gone.yaml", "gone.yaml"),
    ):
        done = act(ground, event, mode="plan", **{name: value})
        assert (done.code, said in done.log.decode()) == (2, True), (name, done.log.decode())
        assert steps.parsed(done.outputs)["changed"] is (False if name == "matrix" else None)
    done = act(ground, event, mode="plan", config="other.yaml", working_directory="conf", no_catalog=True)
    assert (done.code, done.outputs["assets"]) == (0, '["raw/x"]'), done.log.decode()
    assert not (ground.top / "runner-work/pwned").exists()


@pytest.mark.parametrize(
    ("inputs", "code", "said"),
    [
        ({"install": "conda"}, 2, "the input 'install' is auto, uv, pip or none"),
        ({"no_catalog": "yes"}, 2, "the input 'no-catalog' is true or false"),
        ({"comment": "1"}, 2, "the input 'comment' is true or false"),
        ({"mode": "look"}, 2, None),
        ({"working_directory": "/"}, 3, "the input 'working-directory' names no folder of a repository; "),
    ],
)
def test_bad_values(ground: Ground, inputs: dict[str, str], code: int, said: str | None) -> None:
    """They are told, and every output that is JSON can be read all the same."""
    event = {"ref": "refs/heads/main", "before": "0" * 40, "after": ground.desk.git("rev-parse", "HEAD")}
    done = act(ground, {**event, "deleted": False}, **inputs)
    assert done.code == code
    assert steps.parsed(done.outputs)["changed"] is None
    assert done.outputs.keys() == OUTPUTS
    assert [c.data.startswith(said) for c in done.commands] == ([True] if said else [])


def test_a_cancelled_step_is_the_program_itself(ground: Ground) -> None:
    """The runner sends its signal to the step's process, and to no other."""
    event = ground.push({f"{R}a.csv": "a 2\n", f"{R}b.csv": "b slow\n"})
    clone = ground.checkout(event)
    environ = steps.with_path(ground.environ(event, clone.top.name), PROGRAMS)
    action = steps.load(steps.ACTION / "action.yml")
    inputs = {name: steps.text_of(one.get("default")) for name, one in action["inputs"].items()}
    contexts = {
        "github": {"action_path": str(steps.ACTION)},
        "inputs": {**inputs, "token": ""},
        "steps": {"install": {"outputs": {"program": str(PROGRAMS / "raw-trigger")}}},
    }
    fetch, work, publish = (one for one in action["runs"]["steps"] if "STEP" in one.get("env", {}))
    assert steps.run_step(fetch, contexts, environ, clone.top)[0] == 0
    arguments, variables, folder = steps.prepare(work, contexts, environ, clone.top)
    child = subprocess.Popen(
        arguments, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for((Path(environ["RUNNER_TEMP"]) / "b-is-running").exists, child)
    time.sleep(0.1)
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 130
    assert (ground.ran(), ground.recorded()) == (["raw/a"], START)
    assert publish["if"].startswith("always() && ")
    assert steps.run_step(publish, contexts, environ, clone.top)[0] == 0
    assert ground.recorded() == START | {"a.csv": "a 2"}


PACKAGE = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """
import zipfile

FILES = {
    "METADATA": "Metadata-Version: 2.1\\nName: raw-trigger\\nVersion: 0\\n",
    "WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "entry_points.txt": "[console_scripts]\\nraw-trigger = os:getcwd\\n",
    "RECORD": "",
}

def build_wheel(folder, settings=None, metadata=None):
    with zipfile.ZipFile(f"{folder}/raw_trigger-0-py3-none-any.whl", "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(f"raw_trigger-0.dist-info/{name}", text)
    return "raw_trigger-0-py3-none-any.whl"
"""


@pytest.mark.parametrize(
    "how", [*(pytest.param(one, marks=pytest.mark.soak) for one in ("auto", "uv")), "pip"]
)
def test_installed_beside_the_project(ground: Ground, how: str, tmp_path: Path) -> None:
    """Into an environment of its own, without Dagster; what lies about in the repository has no say in it."""
    event = ground.push({"pip.py": "boom", "venv.py": "boom", "uv.toml": "boom", ".python-version": "3.8\n"})
    clone = ground.checkout(event)
    environ = ground.environ(event, clone.top.name)
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        environ.pop(name, None)
    source = str(steps.ACTION)
    if how == "pip":
        # Building and installing the real one takes pip a minute.
        source = str(tmp_path / "package/.github/actions/raw-trigger")
        shutil.copytree(steps.ACTION, source)
        (tmp_path / "package/pyproject.toml").write_text(PACKAGE)
        (tmp_path / "package/backend.py").write_text(BACKEND)
    tools = tmp_path / "tools"
    tools.mkdir()
    if how != "pip":
        (tools / "uv").symlink_to(PROGRAMS / "uv")
    environ["PATH"] = os.pathsep.join([str(tools), "/usr/local/bin", "/usr/bin", "/bin"])
    action = steps.load(steps.ACTION / "action.yml")
    contexts = {
        "github": {"action_path": source},
        "inputs": {"install": how, "working-directory": "."},
    }
    code, log, outputs = steps.run_step(action["runs"]["steps"][0], contexts, environ, clone.top)
    assert code == 0, log.decode()
    program = Path(environ["RUNNER_TEMP"]) / "raw-trigger/bin/raw-trigger"
    assert outputs == {"program": str(program), "catalog": f"{clone.top}/.git/raw-trigger/cache"}
    assert os.access(program, os.X_OK)
    assert not list(program.parent.parent.glob("lib/python3*/site-packages/dagster"))
    if how == "pip":
        return
    began = time.monotonic()
    again = steps.run_step(action["runs"]["steps"][0], contexts, environ, clone.top)
    assert (again[0], again[2]) == (0, outputs)
    assert time.monotonic() - began < 60
    # The project's Dagster is on PATH, as after actions/setup-python.
    run = {**contexts, "steps": {"install": {"outputs": outputs}}}
    defaults = {name: steps.text_of(one.get("default")) for name, one in action["inputs"].items()}
    run["inputs"] = {**defaults, "install": how, "mode": "plan", "token": ""}
    fetch, work, _ = (one for one in action["runs"]["steps"] if "STEP" in one.get("env", {}))
    (clone.top / R / "c.csv").write_text("not committed\n")
    environ = steps.with_path(environ, PROGRAMS)
    assert steps.run_step(fetch, run, environ, clone.top)[0] == 0
    code, log, outputs = steps.run_step(work, run, environ, clone.top)
    assert (code, outputs["changed"]) == (0, "false"), log.decode()
