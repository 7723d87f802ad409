"""What was made by other rules than those that are recorded: nothing is lost when these come back.

Rules are edited, and what runs is not recorded under them: there is an error in the plan, or the project was not
asked, or somebody said it, or the run was killed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.faces import silent
from tests.support.forks import Program
from tests.support.jobs import CI, Jobs
from tests.support.project import StandInProject

Assets = dict[str, dict[str, Any]]
TWO: Assets = {"a": {}, "sum": {}, "b": {}}
BELOW: Assets = {"a": {}, "sum": {"parents": ["a"]}, "b": {}}
BOTH, ALONE = "{path: a.csv, assets: [a, sum]}", "{path: a.csv, asset: a}"
B = "{path: b.csv, asset: b}"


@pytest.fixture
def shop(standin: Callable[..., StandInProject]) -> StandInProject:
    """Two targets of one file, and another file."""
    project = standin()
    project.define(TWO)
    project.configure(f"{BOTH}\n{B}")
    project.commit_raw({"a.csv": "1", "b.csv": "id,v\n1,1\n"})
    assert project.tool("run", "--all").returncode == 0
    project.made()
    return project


def stray(project: StandInProject) -> None:
    """Nothing is made from a file, which is an error."""
    project.configure(f"{ALONE}\n{B}", unmapped="fail")
    project.raw({"stray.txt": "1"})


def twice_the_key(project: StandInProject) -> None:
    project.configure(f"{ALONE}\n{{path: b.csv, asset: b, rows: {{key: id}}}}")
    project.raw({"b.csv": "id,v\n1,1\n1,2\n"})


def forbidden_deletion(project: StandInProject) -> None:
    project.configure(f"{ALONE}\n{{path: b.csv, asset: b, on_delete: fail}}")
    project.raw({"b.csv": None})


def none(project: StandInProject) -> None:
    project.configure(f"{ALONE}\n{B}")


@pytest.mark.parametrize(
    ("trouble", "command"),
    [
        (stray, "run"),
        (twice_the_key, "run"),
        (forbidden_deletion, "run"),
        (none, "run --no-catalog"),
        (none, "run"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_a_target_that_a_rule_left_out_meanwhile(
    shop: StandInProject, trouble: Callable[[StandInProject], None], command: str
) -> None:
    trouble(shop)
    shop.raw({"a.csv": "2"})
    shop.tool(*command.split())
    assert shop.made() == ["a"]
    shop.configure(f"{BOTH}\n{B}")
    assert silent(shop, "sum", "a.csv") == []


@pytest.mark.parametrize("command", ["adopt --path a.csv", "adopt --no-catalog", "adopt", "run"])
def test_a_target_that_a_rule_left_out_while_nothing_ran(shop: StandInProject, command: str) -> None:
    """Somebody says that everything is made, or the file is ignored: of the target that is left out, nobody does."""
    shop.configure(B if command != "run" else f"{{path: a.csv, ignore: true}}\n{B}")
    if command == "adopt --path a.csv":
        shop.configure(f"{ALONE}\n{B}")
    shop.commit_raw({"a.csv": "2"})
    assert shop.tool(*command.split()).returncode == 0
    assert shop.made() == []
    shop.configure(f"{BOTH}\n{B}")
    assert silent(shop, "sum", "a.csv") == []


def test_a_target_that_a_rule_left_out_while_a_run_was_killed(shop: StandInProject) -> None:
    shop.configure(f"{ALONE}\n{B}")
    shop.raw({"a.csv": "2", "b.csv": "id,v\n1,2\n"})
    shop.behave({"target": "b", "when": "read", "do": "kill all", "times": 1})
    assert shop.tool("run").returncode < 0
    assert shop.made() == ["a"]
    assert shop.pending() == ["b"]
    shop.configure(f"{BOTH}\n{B}")
    assert silent(shop, "sum", "a.csv") == []


def test_a_target_that_the_code_left_out_meanwhile(shop: StandInProject) -> None:
    shop.define(BELOW)
    shop.configure(f"{ALONE}\n{B}", downstream="all", unmapped="fail")
    assert shop.tool("run").returncode == 0
    shop.define(TWO)
    shop.raw({"a.csv": "2", "stray.txt": "1"})
    shop.made()
    assert shop.tool("run").returncode == 1
    assert shop.made() == ["a"]
    shop.define(BELOW)
    assert silent(shop, "sum", "a.csv") == []


@pytest.mark.parametrize("how", ["rule", "code"])
def test_what_is_new_beside_an_error_is_made_once(shop: StandInProject, how: str) -> None:
    settings: dict[str, Any] = {"unmapped": "fail", "downstream": "all"}
    shop.configure(f"{ALONE}\n{B}", **settings)
    assert shop.tool("run").returncode == 0
    if how == "rule":
        shop.configure(f"{BOTH}\n{B}", **settings)
    else:
        shop.define(BELOW)
    shop.raw({"stray.txt": "1"})
    assert shop.tool("run").returncode == 1
    assert shop.made() == ["sum"]
    assert shop.tool("run").returncode == 1
    shop.raw({"stray.txt": None})
    assert shop.tool("run").returncode == 0
    assert shop.made() == []


@pytest.mark.parametrize("runs", [False, True])
def test_a_rule_that_is_wrong_for_a_while(shop: StandInProject, runs: bool) -> None:
    """Its files are an error meanwhile. It costs nothing, unless something is made by the wrong rules."""
    shop.configure(f"{{path: 'A.csv', assets: [a, sum]}}\n{B}", unmapped="fail")
    shop.raw({"a.csv": "2", **({"b.csv": "id,v\n1,2\n"} if runs else {})})
    assert shop.tool("run").returncode == 1
    assert shop.made() == (["b"] if runs else [])
    shop.raw({"a.csv": "1"})
    shop.configure(f"{BOTH}\n{B}", unmapped="fail")
    assert shop.tool("run").returncode == 0
    assert shop.made() == (["a", "sum"] if runs else [])


def test_what_is_made_by_a_wrong_rule_reads_other_files(shop: StandInProject) -> None:
    """Nobody knows by that rule that it read another content of a file, which is then as before."""
    both = "{path: '[ab].csv', asset: sum}"
    shop.configure(both, unmapped="fail")
    assert shop.tool("run").returncode == 0
    shop.configure("{path: b.csv, asset: sum}", unmapped="fail")
    shop.raw({"a.csv": "2", "b.csv": "2"})
    shop.made()
    assert shop.tool("run").returncode == 1
    assert shop.made() == ["sum"]
    shop.configure(both, unmapped="fail")
    shop.raw({"a.csv": "1"})
    assert silent(shop, "sum", "a.csv") == []


def test_ci_and_a_target_that_a_rule_left_out_meanwhile(tmp_path: Path, program: Program) -> None:
    jobs = Jobs(tmp_path, program)
    project = jobs.project
    project.define(TWO)
    project.configure(BOTH, ci={"environments": CI})
    jobs.job(jobs.push_raw({"a.csv": "0"}))
    jobs.job(jobs.push_raw({"a.csv": "1"}))
    project.configure(ALONE, ci={"environments": CI}, unmapped="fail")
    project.made()
    assert jobs.job(jobs.push_raw({"a.csv": "2", "stray.txt": "1"})).code == 1
    assert project.made() == ["a"]
    project.configure(BOTH, ci={"environments": CI})
    assert jobs.job(jobs.push_raw({"stray.txt": None})).code == 0
    assert project.made() == ["sum"]
