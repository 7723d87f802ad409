"""Several projects in one repository: planned by one job, each materialized by jobs of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from raw_trigger.ci import outputs
from raw_trigger.ci.several import merged, own_plan, read_outputs, take_plan, write_plans
from raw_trigger.errors import UsageError
from raw_trigger.workspace.places import Place
from tests.ci import steps
from tests.ci.ground import Ground
from tests.support.tables import DEFINITIONS

A, B, TOP = Place("services/a"), Place("b"), Place("")


def values(**changed: str) -> dict[str, str]:
    known = {"changed": "false", "outcome": "", "head": "h", "base": "a", "incomplete": "[]"}
    return {**outputs.UNKNOWN, **known, **{name.replace("_", "-"): value for name, value in changed.items()}}


def test_outputs_of_several_as_those_of_one() -> None:
    one = values(
        changed="true",
        changed_files='["services/a/x", "services/a/\\udcff"]',
        assets='["raw/x"]',
        targets='[{"asset": "raw/x", "partition": null}]',
        selection="raw/x",
        matrix='{"include": [{"batch": "1/2", "name": "n"}, {"batch": "2/2", "name": "m"}]}',
        batches="2",
    )
    other = values(
        changed="true",
        changed_files='["b/x"]',
        assets='["raw/x"]',
        targets='[{"asset": "raw/x", "partition": "1"}]',
        selection="raw/x",
        matrix='{"include": [{"batch": "1/1", "name": "n"}]}',
        batches="1",
        base="b",
    )
    both = merged([(A, one), (B, other)], "plan.json")
    assert both == {
        "changed": "true",
        "changed-files": '["b/x", "services/a/x", "services/a/\\udcff"]',
        "assets": '["raw/x"]',
        "targets": '[{"asset": "raw/x", "partition": null, "project": "services/a"}, '
        '{"asset": "raw/x", "partition": "1", "project": "b"}]',
        "selection": "",
        "matrix": '{"include": [{"batch": "1/2", "name": "services/a: n", "project": "services/a"}, '
        '{"batch": "2/2", "name": "services/a: m", "project": "services/a"}, '
        '{"batch": "1/1", "name": "b: n", "project": "b"}]}',
        "batches": "3",
        "plan": "plan.json",
        "outcome": "",
        "base": "",
        "head": "h",
        "incomplete": '["selection"]',
    }
    assert merged([(A, values()), (B, other)], "")["selection"] == "raw/x"


@pytest.mark.parametrize(
    ("changed", "outcomes", "expected"),
    [
        (["false", "false"], ["nothing", "nothing"], ("false", "nothing")),
        (["true", "false"], ["success", "nothing"], ("true", "success")),
        (["true", "true"], ["success", "failed"], ("true", "partial")),
        (["true", "true"], ["failed", "nothing"], ("true", "failed")),
        (["false", "null"], ["nothing", "failed"], ("null", "failed")),
        (["true", "true"], ["partial", "success"], ("true", "partial")),
    ],
)
def test_what_became_of_them(changed: list[str], outcomes: list[str], expected: tuple[str, str]) -> None:
    every = [values(changed=c, outcome=o) for c, o in zip(changed, outcomes, strict=True)]
    both = merged(list(zip((A, B), every, strict=True)), "")
    assert (both["changed"], both["outcome"]) == expected


def test_a_project_of_which_nothing_is_known_is_not_taken_for_unchanged() -> None:
    assert merged([(A, values()), (B, {})], "")["changed"] == "null"
    assert "changed-files" in json.loads(merged([(A, values()), (B, {})], "")["incomplete"])


def test_more_batches_than_github_makes_jobs() -> None:
    cells = json.dumps({"include": [{"batch": f"{n}/200", "name": "n"} for n in range(200)]})
    with pytest.raises(UsageError, match="there are 400 batches"):
        merged([(A, values(matrix=cells)), (B, values(matrix=cells))], "")


def test_outputs_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "output"
    first, second = values(base="old\n<<x"), values(base="new\nraw_trigger_0\n\n")
    outputs.write(first, file)
    outputs.write(second, file)
    assert read_outputs(file.read_text()) == second


def test_plans_are_put_together_and_taken_out(tmp_path: Path) -> None:
    whole = tmp_path / "plan.json"
    assert not take_plan(whole, A)
    own_plan(whole, A).write_text('{"version": 1, "changes": ["\\udcff"]}')
    assert not write_plans(whole, [A, TOP])
    own_plan(whole, TOP).write_text("{}")
    assert write_plans(whole, [A, TOP])
    for place in (A, TOP):
        own_plan(whole, place).unlink()
        assert take_plan(whole, place)
    assert json.loads(own_plan(whole, A).read_text()) == {"version": 1, "changes": ["\udcff"]}
    with pytest.raises(UsageError, match="no plan for the project b"):
        take_plan(whole, B)
    own_plan(whole, TOP).write_text('{"version": 1, "matrix": []}')
    assert not take_plan(own_plan(whole, TOP), TOP), "the plan of a single project"


def project(folder: str, name: str) -> dict[str | bytes, str | bytes | None]:
    return {
        f"{folder}/definitions.py": DEFINITIONS % f"table({name!r}, '{name}.csv')",
        f"{folder}/pyproject.toml": '[tool.dagster]\nmodule_name = "definitions"\n',
        f"{folder}/raw-trigger.yaml": f"ci: {{environments: {{production-{name}: [main]}}}}\n"
        'assets: [{path: "{name}.csv", asset: "raw/{name}"}]\n',
        f"{folder}/data/1_raw/{name}.csv": "1\n",
    }


@pytest.mark.soak
def test_the_whole_workflow(place: Ground) -> None:
    """What one project fails with is not the other's, and each is made good by itself."""
    place.begin()
    names = ("definitions.py", "pyproject.toml", "raw-trigger.yaml")
    gone: dict[str | bytes, str | bytes | None] = dict.fromkeys(names)
    place.push({**gone, **project("services/x", "x"), **project("y", "y")})
    jobs = steps.Workflow(place, steps.load(steps.WORKFLOWS / "raw-data.yml"), place.top / "artifacts")

    def run(event: dict[str, Any]) -> str:
        given = {"install": "true", "working-directory": ".", "jobs": 1}
        return " ".join(jobs.run(event, given, {"environment": f"DAGSTER_HOME={place.home}"}).values())

    def recorded(name: str, folder: str) -> str:
        ref = f"refs/raw-trigger/production-{name}:{folder}/data/1_raw/{name}.csv"
        return place.origin.git("cat-file", "blob", ref)

    event = place.push({"services/x/data/1_raw/x.csv": "2\n", "y/data/1_raw/y.csv": "broken\n"})
    assert run(event) == "success failure failure", jobs.logs
    assert place.ran() == ["raw/x"]
    assert (recorded("x", "services/x"), recorded("y", "y")) == ("2", "1")

    event = place.push({"y/data/1_raw/y.csv": "2\n"})
    assert run(event) == "success success success", jobs.logs
    assert place.ran() == ["raw/y"]
    assert (recorded("x", "services/x"), recorded("y", "y")) == ("2", "2")
    assert "materialize 2" not in jobs.logs


OUTER = """
import os
import sys
from pathlib import Path
from raw_trigger.cli.ci import _run_out
try:
    _run_out([sys.executable, "-c", sys.argv[1]], Path("unused"), os.environ)
except KeyboardInterrupt:
    print("and then the whole", flush=True)
"""
INNER = """
import signal, time
def end(*_):
    print("the one at work ends first", flush=True)
    raise SystemExit
signal.signal(signal.SIGINT, end)
print("ready", flush=True)
time.sleep(60)
"""


def test_a_job_that_is_cancelled_lets_the_project_at_work_record_what_it_has_done() -> None:
    with subprocess.Popen([sys.executable, "-c", OUTER, INNER], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.stdout.read() == "the one at work ends first\nand then the whole\n"
