"""Stories in which a change was lost or made twice, each as short as it gets.

With real git, real hooks and the real command line; the stand-in for Dagster says what was really read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.faces import silent
from tests.support.forks import Program
from tests.support.jobs import CI, Jobs
from tests.support.project import ROOT, StandInProject

Standin = Callable[..., StandInProject]
Assets = dict[str, dict[str, Any]]


A: Assets = {"a": {"checks": ["sound"]}}
A_CSV = "{path: a.csv, asset: a}"


@pytest.fixture
def begun(standin: Standin) -> Callable[..., StandInProject]:
    """Makes a project whose files are made, and recorded so."""

    def make(assets: Assets, rules: str, files: dict[str, str], **settings: Any) -> StandInProject:
        project = standin()
        project.define(assets)
        project.configure(rules, **settings)
        project.commit_raw(dict.fromkeys(files, "") | files)
        done = project.tool("run", "--all")
        assert done.returncode == 0, done.stderr
        project.made()
        return project

    return make


Begun = Callable[..., StandInProject]


@pytest.mark.parametrize(
    ("when", "do"),
    [
        ("materialized", "fail"),
        ("check", "fail"),
        ("check", "kill"),
        ("materialized", "interrupt"),
    ],
)
def test_what_fails_after_it_was_materialized(begun: Begun, when: str, do: str) -> None:
    """L1: the file is changed back, Dagster has the other content."""
    project = begun(A, A_CSV, {"a.csv": "1"})
    project.raw({"a.csv": "2"})
    project.behave({"target": "a", "when": when, "do": do, "times": 1})
    assert project.tool("run").returncode in (1, 3, 130)
    assert project.made() == ["a"]
    project.raw({"a.csv": "1"})
    assert silent(project, "a", "a.csv") == []
    project.tool("run")
    assert project.made() == ["a"]


def test_a_report_that_fails_after_it_was_stored(begun: Begun) -> None:
    """L1: an external asset's, which leaves no trace that could be told from another's."""
    ext: Assets = {"ext": {"external": True}}
    project = begun(ext, "{path: ext.csv, asset: ext}", {"ext.csv": "1"})
    project.raw({"ext.csv": "2"})
    project.behave({"target": "ext", "when": "materialized", "do": "fail", "times": 1})
    assert project.tool("run").returncode == 1
    assert project.made() == ["ext"]
    project.raw({"ext.csv": "1"})
    assert silent(project, "ext", "ext.csv") == []
    project.tool("run")
    assert project.made() == ["ext"]


@pytest.fixture
def jobs(tmp_path: Path, program: Program) -> Jobs:
    """An origin with one asset that is made from one file, and recorded."""
    made = Jobs(tmp_path, program)
    made.project.define({"a": {}, "b": {}})
    made.project.configure("{path: a.csv, asset: a}\n{path: b.csv, asset: b}", ci={"environments": CI})
    made.push_raw({"a.csv": "0", "b.csv": "0"})
    done = made.job(made.push_raw({"a.csv": "1", "b.csv": "1"}))
    assert (done.code, made.project.made()) == (0, ["a", "b"]), done.text
    return made


def test_a_workflow_that_is_cut_off_before_its_last_job(jobs: Jobs) -> None:
    """L2: what its batches made is changed back by the next push."""
    cut_off = jobs.matrix(jobs.push_raw({"a.csv": "2"}))
    cut_off.run()
    assert jobs.project.made() == ["a"]
    done = jobs.job(jobs.push_raw({"a.csv": "1"}))
    assert (done.code, jobs.project.made()) == (0, ["a"]), done.text


def test_a_batch_that_left_no_results(jobs: Jobs) -> None:
    """L2: its runner was lost, the other batches and the last job were not."""
    cut_off = jobs.matrix(jobs.push_raw({"a.csv": "2", "b.csv": "2"}))
    [one, _] = cut_off.run()
    lost = min((cut_off.folder / "results").iterdir())
    lost.unlink()
    assert (one.code, jobs.project.made()) == (0, ["a", "b"])
    cut_off.record()
    done = jobs.job(jobs.push_raw({"a.csv": "1", "b.csv": "1"}))
    assert (done.code, jobs.project.made()) == (0, ["a", "b"]), done.text


def test_one_job_that_is_killed(jobs: Jobs) -> None:
    """L2: without a plan of its own."""
    jobs.project.behave({"target": "a", "when": "told", "do": "kill all", "times": 1})
    assert jobs.job(jobs.push_raw({"a.csv": "2"})).code != 0
    assert jobs.project.made() == ["a"]
    done = jobs.job(jobs.push_raw({"a.csv": "1"}))
    assert (done.code, jobs.project.made()) == (0, ["a"]), done.text


def test_after_a_kill_every_face_says_so(begun: Begun) -> None:
    """L3: ``run`` knows it better than the others."""
    project = begun(A, A_CSV, {"a.csv": "1"})
    project.raw({"a.csv": "2"})
    project.behave({"target": "a", "when": "materialized", "do": "kill all", "times": 1})
    assert project.tool("run").returncode < 0
    project.raw({"a.csv": "1"})
    assert silent(project, "a", "a.csv") == []
    project.tool("run")
    killed = json.loads(project.tool("history", "--limit", "2", "--format", "json").stdout)["runs"][1]
    assert killed["error"] == "the process that ran it was killed, or the machine went down"


@pytest.mark.parametrize(
    ("away", "back"),
    [
        ("git stash -q", "git stash pop -q"),
        ("git switch -q other", "git switch -q main"),
        ("printf 3 >data/1_raw/a.csv", "printf 2 >data/1_raw/a.csv"),
    ],
)
def test_a_file_that_is_another_one_while_a_run_is_on(begun: Begun, away: str, back: str) -> None:
    """L4: and then as it was before."""
    project = begun({"a": {}, "b": {}}, f"{A_CSV}\n{{path: b.csv, asset: b}}", {"a.csv": "1", "b.csv": "1"})
    project.git("branch", "other")
    project.raw({"a.csv": "2"})
    if "switch" in away:
        project.git("commit", "-q", "-am", "two")
    project.behave(
        {"target": "a", "when": "before", "do": "run", "arg": away, "times": 1},
        {"target": "a", "when": "told", "do": "run", "arg": back, "times": 1},
    )
    done = project.tool("run")
    assert (done.returncode, project.made()) == (0, ["a"]), done.stderr
    assert silent(project, "a", "a.csv") == []
    project.tool("run")
    assert project.made() == ["a"]
    assert project.pending() == []


@pytest.mark.parametrize("now", ["1", None], ids=["new", "gone"])
def test_a_file_that_is_new_or_gone_but_for_a_while(begun: Begun, now: str | None) -> None:
    """L4: what is not recorded, or not there, can be touched too."""
    before = None if now else "1"
    files = {"x.csv": "1", "y.csv": before or ""}
    project = begun({"sum": {}}, '{path: "*.csv", asset: sum}', files)
    if now:
        project.raw({"y.csv": None})
        project.tool("run")
        project.git("add", "-A")
        project.git("commit", "-q", "-m", "gone")
        project.made()
    project.raw({"y.csv": now})
    project.behave(
        {"target": "sum", "when": "before", "do": "run", "arg": "git stash -q -u", "times": 1},
        {"target": "sum", "when": "told", "do": "run", "arg": "git stash pop -q", "times": 1},
    )
    done = project.tool("run")
    assert (done.returncode, project.made()) == (0, ["sum"]), done.stderr
    assert silent(project, "sum", "y.csv") == []
    project.tool("run")
    assert project.made() == ["sum"]
    assert project.pending() == []


@pytest.mark.parametrize("now", ["2", None], ids=["modified", "gone"])
def test_a_file_that_is_another_one_while_a_run_is_on_that_is_killed(begun: Begun, now: str | None) -> None:
    """L4: and as it was before the run by the time that this is found out."""
    project = begun({"sum": {}}, '{path: "*.csv", asset: sum}', {"x.csv": "1", "y.csv": "1"})
    project.raw({"y.csv": now})
    project.behave(
        {"target": "sum", "when": "before", "do": "run", "arg": "git stash -q", "times": 1},
        {"target": "sum", "when": "told", "do": "run", "arg": "git stash pop -q", "times": 1},
        {"target": "*", "when": "end", "do": "kill all", "times": 1},
    )
    assert project.tool("run").returncode < 0
    assert project.made() == ["sum"]
    project.tool("run")
    assert project.made() == ["sum"]
    assert project.pending() == []


def test_another_instance_is_an_error(begun: Begun, tmp_path: Path) -> None:
    """L5: the record speaks of the instance that it was made with."""
    other = tmp_path / "other home"
    other.mkdir()
    project = begun(A, A_CSV, {"a.csv": "1"})
    first = str(project.top / ".git/raw-trigger/dagster_home")
    project.raw({"a.csv": "2"})
    for command in (["run"], ["diff"], ["diff", "--exit-code"], ["status"], ["forget"], ["run", "--all"]):
        done = project.tool(*command, DAGSTER_HOME=str(other))
        assert done.returncode in (2, 3), (command, done.stdout)
        assert (first in done.stderr, str(other) in done.stderr) == (True, True), done.stderr
    assert project.made() == []
    assert project.pending() == ["a"]
    project.raw({"a.csv": "1"})
    assert project.pending() == [], "nothing was forgotten"


def test_a_worktree_with_an_instance_of_its_own(begun: Begun) -> None:
    """L5: ``environment: local`` names one record for both."""
    project = begun(A, A_CSV, {"a.csv": "1"}, environment="local")
    project.git("worktree", "add", "-q", "-b", "linked", "../linked")
    linked = StandInProject(project.top.parent / "linked", project.control, project.program)
    linked.raw({"a.csv": "2"})
    done = linked.tool("run")
    if done.returncode in (2, 3):
        assert str(project.top) in done.stderr
        return
    # Or a record of its own, as without that setting.
    project.raw({"a.csv": "2"})
    assert silent(project, "a", "a.csv") == []


def test_an_asset_that_is_made_while_what_is_made_from_it_is_due(begun: Begun) -> None:
    """``explain`` speaks of the asset that was asked for, as ``diff`` and ``status`` do."""
    assets: Assets = {"one": {}, "two": {}, "sum": {"parents": ["one", "two"]}}
    rules = "{path: one.csv, asset: one}\n{path: two.csv, asset: two}"
    project = begun(assets, rules, {"one.csv": "1", "two.csv": "1"}, downstream="all")
    project.behave({"target": "two", "when": "read", "do": "fail"})
    project.raw({"one.csv": "2", "two.csv": "2"})
    project.tool("run")
    project.behave()
    assert project.pending() == ["sum", "two"]
    told = {}
    for asset in assets:
        [found] = json.loads(project.tool("explain", asset, "--format", "json").stdout)
        told[asset] = {Path(one["path"]).name: one["pending"] for one in found["files"]}
    assert told == {
        "one": {"one.csv": False},
        "two": {"two.csv": True},
        "sum": {"one.csv": True, "two.csv": True},
    }


def test_a_rule_that_is_taken_away_and_given_back(begun: Begun) -> None:
    """L6: while the file is deleted."""
    rules = f"{A_CSV}\n{{path: x.csv, asset: a}}"
    project = begun(A, rules, {"a.csv": "1", "x.csv": "1"})
    project.configure(f"{A_CSV}\n{{path: x.csv, ignore: true}}")
    project.raw({"x.csv": None})
    assert project.tool("run").returncode == 0
    assert project.made() == []
    project.configure(rules)
    assert silent(project, "a", "x.csv") == []
    project.tool("run")
    assert project.made() == ["a"]
    assert project.pending() == []


def test_rows_that_are_read_by_another_rule(begun: Begun) -> None:
    """L6: the first run with it fails, then the file is deleted."""

    def rules(column: str) -> str:
        rows = f"rows: {{key: id, partition: '{{{column}}}'}}"
        return f'{{path: x.csv, asset: part, {rows}}}\n{{path: y.csv, asset: part, partition: "2"}}'

    project = begun({"part": {"partitions": ["1", "2"]}}, rules("id"), {"x.csv": "id,v\n1,2\n", "y.csv": "1"})
    project.configure(rules("v"))
    project.behave({"target": "part", "when": "read", "do": "fail", "times": 1})
    assert project.tool("run").returncode == 1
    project.raw({"x.csv": None})
    assert silent(project, "part|2", "x.csv") == []
    project.tool("run")
    assert "part|2" in project.made()


@pytest.mark.parametrize("content", ["1", "2"])
def test_a_target_with_a_file_of_its_own_that_is_newly_below_another(standin: Standin, content: str) -> None:
    """L6: ``downstream:`` is edited, and the target's own file newly feeds what is below it."""
    project = standin()
    project.define({**UP, "last": {"parents": ["down"]}})
    project.configure(UP_CSV, downstream="none")
    project.commit_raw({"up.csv": "1", "down.csv": "1"})
    project.tool("adopt")
    project.tool("install")
    project.configure(UP_CSV, downstream="all")
    project.raw({"up.csv": content})
    assert {"down", "last"} <= set(project.pending())
    project.tool("run")
    assert {"down", "last"} <= set(project.made())


@pytest.mark.parametrize("asked", [["--downstream", "none"], ["--asset", "other", "--downstream", "none"]])
def test_an_edited_rule_and_a_run_that_does_not_go_downstream(begun: Begun, asked: list[str]) -> None:
    """L6: the rules are recorded as they are, not as they are asked for this once."""
    rules = "{path: up.csv, asset: up}\n{path: other.csv, asset: other}"
    project = begun({**UP, "other": {}}, rules, {"up.csv": "1", "other.csv": "1"}, downstream="none")
    project.configure(rules, downstream="all")
    project.tool("run", *asked)
    assert project.pending() == ["down"]


def test_an_asset_that_is_added_for_a_file_that_is_there(begun: Begun) -> None:
    """L7: every face finds it, not ``explain`` alone."""
    project = begun({"raw/a": {}}, "", {"a.csv": "1", "b.csv": "1"})
    project.define({"raw/a": {}, "raw/b": {}})
    project.git("commit", "-q", "-am", "code")
    assert silent(project, "raw/b", "b.csv") == []
    project.tool("run")
    assert project.made() == ["raw/b"]
    assert project.pending() == []


@pytest.mark.parametrize("how", ["metadata", "below", "in the same step"])
def test_an_asset_that_is_added_in_another_way(begun: Begun, how: str) -> None:
    """L7: because of its metadata, of what it is made from, of what it is made with."""
    project = begun({"a": {}}, A_CSV, {"a.csv": "1"}, downstream="all")
    step = {"set": ["a", "new"]}
    project.define(
        {
            "metadata": {"a": {}, "new": {"metadata": [["path", f"{ROOT}/a.csv"]], "parents": ["a"]}},
            "below": {"a": {}, "new": {"parents": ["a"]}},
            "in the same step": {"a": step, "new": step},
        }[how]
    )
    project.git("commit", "-q", "-am", "code")
    assert silent(project, "new", "a.csv") == []
    project.tool("run")
    assert "new" in project.made()
    assert project.pending() == []


def test_an_asset_that_is_added_and_ci(tmp_path: Path, program: Program) -> None:
    """L7: the push of the code makes it."""
    jobs = Jobs(tmp_path, program)
    jobs.project.define({"raw/a": {}})
    jobs.project.configure(ci={"environments": CI})
    jobs.push_raw({"a.csv": "0", "b.csv": "0"})
    jobs.job(jobs.push_raw({"a.csv": "1"}))
    assert jobs.project.made() == ["raw/a"]
    jobs.project.define({"raw/a": {}, "raw/b": {}})
    done = jobs.job(jobs.push_raw({}))
    assert (done.code, jobs.project.made()) == (0, ["raw/b"]), done.text


def test_an_asset_that_is_added_and_a_workflow(tmp_path: Path, program: Program) -> None:
    """L7: whose planning job does not load the project."""
    jobs = Jobs(tmp_path, program)
    jobs.project.define({"raw/a": {}})
    jobs.project.configure(ci={"environments": CI})
    jobs.push_raw({"a.csv": "0", "b.csv": "0"})
    jobs.job(jobs.push_raw({"a.csv": "1"}))
    assert jobs.project.made() == ["raw/a"]
    jobs.project.define({"raw/a": {}, "raw/b": {}})
    workflow = jobs.matrix(jobs.push_raw({}))
    workflow.run()  # and is cut off before its last job
    assert jobs.project.made() == ["raw/b"]
    again = jobs.matrix(jobs.push_raw({}))
    again.run()
    again.record()
    assert jobs.project.made() == ["raw/b"]
    assert jobs.matrix(jobs.push_raw({})).batches == []
    jobs.project.write({"README.md": "of no asset"})
    assert jobs.matrix(jobs.push_raw({})).batches == []


@pytest.mark.parametrize("first", ["older", "newer"])
def test_two_workflows_at_once_for_one_file(jobs: Jobs, first: str) -> None:
    """L8: the older one leaves the file to the newer one, in whatever order they are recorded."""
    older = jobs.matrix(jobs.push_raw({"a.csv": "2"}))
    newer = jobs.matrix(jobs.push_raw({"a.csv": "3"}))
    newer.run()
    [left] = older.run()
    assert (left.code, "a workflow that began later makes" in left.text) == (3, True)
    assert jobs.project.made() == ["a"]
    for run in (older, newer) if first == "older" else (newer, older):
        run.record()
    done = jobs.job(jobs.push_raw({}))
    assert (done.code, jobs.project.made()) == (0, []), done.text


def test_a_workflow_that_goes_on_after_a_later_one_has_recorded(jobs: Jobs) -> None:
    """And is cancelled before its last job: nobody would know what came last."""
    older = jobs.matrix(jobs.push_raw({"a.csv": "2"}))
    newer = jobs.matrix(jobs.push_raw({"a.csv": "3"}))
    newer.run()
    assert newer.record().code == 0
    assert [one.code for one in older.run()] == [3]
    done = jobs.job(jobs.push_raw({}))
    assert (done.code, jobs.project.made()) == (0, ["a"]), done.text


def test_failed_jobs_that_are_run_again(jobs: Jobs) -> None:
    """The workflow's own last job has recorded, and its plan is as it was."""
    jobs.project.behave({"target": "a", "when": "read", "do": "fail", "times": 1})
    failed = jobs.matrix(jobs.push_raw({"a.csv": "2"}))
    failed.run()
    assert failed.record().code == 1
    assert [one.code for one in failed.run()] == [0]
    assert failed.record().code == 0
    assert jobs.project.made() == ["a"]
    assert jobs.job(jobs.push_raw({})).code == 0
    assert jobs.project.made() == []


@pytest.mark.parametrize("first", ["older", "newer"])
def test_two_workflows_at_once_for_two_files(jobs: Jobs, first: str) -> None:
    """L8: the asset is made from both, by the newer one, which finds the older one's file undone."""
    jobs.project.configure('{path: "*.csv", asset: a}', ci={"environments": CI})
    jobs.job(jobs.push_raw({}))
    older = jobs.matrix(jobs.push_raw({"a.csv": "2"}))
    newer = jobs.matrix(jobs.push_raw({"b.csv": "2"}))
    newer.run()
    assert [one.code for one in older.run()] == [3]
    for run in (older, newer) if first == "older" else (newer, older):
        run.record()
    assert jobs.project.made() == ["a", "a"]
    assert jobs.project.truth()[-1]["read"].keys() == {f"{ROOT}/a.csv", f"{ROOT}/b.csv"}
    done = jobs.job(jobs.push_raw({}))
    assert (done.code, jobs.project.made()) == (0, []), done.text


def test_two_first_workflows_at_once(tmp_path: Path, program: Program) -> None:
    """L8: where nothing is recorded yet none takes the plan of the other for done."""
    jobs = Jobs(tmp_path, program)
    jobs.project.define({"a": {}, "b": {}})
    jobs.project.configure("{path: a.csv, asset: a}\n{path: b.csv, asset: b}", ci={"environments": CI})
    jobs.push_raw({"a.csv": "1", "b.csv": "1"})
    older = jobs.matrix(jobs.push_raw({"a.csv": "2"}))
    newer = jobs.matrix(jobs.push_raw({"b.csv": "2"}))
    newer.run()
    assert newer.record().code == 0
    del older  # cancelled: its batches never began
    done = jobs.job(jobs.push_raw({}))
    assert (done.code, jobs.project.made()) == (0, ["a", "b"]), done.text


UP: Assets = {"up": {}, "down": {"parents": ["up"]}}
UP_CSV = "{path: up.csv, asset: up}\n{path: down.csv, asset: down}"


def test_a_stale_target_below_a_changed_one(begun: Begun) -> None:
    """L9: its own file is deleted, what it is made from has changed."""
    project = begun(UP, UP_CSV, {"up.csv": "1", "down.csv": "1"}, downstream="all")
    project.raw({"up.csv": "2", "down.csv": None})
    project.tool("run")
    assert project.made() == ["down", "up"]
    assert project.pending() == []


DIAMOND: Assets = {"one": {}, "two": {}, "child": {"parents": ["one", "two"]}}
DIAMOND_CSV = "{path: one.csv, asset: one}\n{path: two.csv, asset: two}"


@pytest.mark.parametrize(("back", "again"), [("one.csv", []), ("two.csv", ["child", "one", "two"])])
def test_a_child_of_a_new_and_an_old_parent(begun: Begun, back: str, again: list[str]) -> None:
    """L9: it is made from two and the old one, then one of the two is changed back."""
    project = begun(DIAMOND, DIAMOND_CSV, {"one.csv": "1", "two.csv": "1"}, downstream="all")
    project.raw({"one.csv": "2", "two.csv": "2"})
    project.tool("run", "--asset", "two")
    assert project.made() == ["child", "two"]
    project.raw({back: "1"})
    project.tool("run")
    assert project.made() == again
    assert project.pending() == []


def test_a_file_that_git_forgets_and_the_disk_keeps(begun: Begun) -> None:
    """L10: ``git rm --cached`` of a file that is ignored from now on."""
    project = begun({"sum": {}}, '{path: "*.csv", asset: sum}', {"x.csv": "1", "y.csv": "1"})
    project.git("rm", "-q", "--cached", f"{ROOT}/x.csv")
    project.write({".gitignore": f"{ROOT}/x.csv\n"})
    project.commit_raw({"y.csv": "2"})
    project.tool("run")
    assert project.made() == ["sum"]
    project.raw({"x.csv": None})
    assert silent(project, "sum", "x.csv") == []
    project.tool("run")
    assert project.made() == ["sum"]


def test_an_uncommitted_edit_in_a_submodule(begun: Begun, standin: Standin) -> None:
    """L10: the asset was made because of another file."""
    theirs = standin("theirs")
    theirs.commit({"x.csv": "1"})
    project = standin()
    project.define({"sum": {}})
    project.configure('{path: "sub", asset: sum}\n{path: y.csv, asset: sum}')
    project.git("submodule", "--quiet", "add", str(theirs.top), f"{ROOT}/sub")
    project.commit_raw({"y.csv": "1"})
    assert project.tool("run", "--all").returncode == 0
    project.raw({"sub/x.csv": "2", "y.csv": "2"})
    project.tool("run")
    assert project.made() == ["sum", "sum"]
    project.raw({"sub/x.csv": "1"})
    assert silent(project, "sum", "sub") == []


@pytest.mark.parametrize("become", ["folder", "executable"])
def test_a_file_that_becomes_another_kind(begun: Begun, become: str) -> None:
    """L11: one of two targets fails; the other is not made again and again."""
    project = begun(
        {"a": {}, "b": {}},
        '{path: thing, assets: [a, b]}\n{path: "thing/**", assets: [a, b]}',
        {"thing": "1"},
    )
    if become == "folder":
        project.raw({"thing": None})
        project.raw({"thing/x": "2"})
    else:
        (project.top / ROOT / "thing").chmod(0o755)
    project.behave({"target": "b", "when": "read", "do": "fail"})
    project.tool("run")
    assert project.made() == ["a"]
    project.tool("run")
    assert project.made() == []


TEXT = "{path: a.csv, asset: a, fingerprint: text}"
ROWS = "{path: a.csv, asset: a, rows: {key: id, columns: [v]}}"
TABLE = "id,v\n1,1\n"


@pytest.mark.parametrize("rule", [TEXT, ROWS])
@pytest.mark.parametrize("how", ["forgotten", "another parent", "deeper"])
def test_what_is_made_from_a_file_that_is_looked_into(begun: Begun, rule: str, how: str) -> None:
    """Nobody knows what it reflects of the file, which itself differs in nothing."""
    new = how == "another parent"
    below: dict[str, Any] = {"down": {"parents": ["b"] if new else ["a"]}}
    project = begun(
        {"a": {}, "b": {}, **below},
        f"{rule}\n{{path: b.csv, asset: b}}",
        {"a.csv": TABLE, "b.csv": "1"},
        downstream="none" if how == "deeper" else "all",
    )
    if how == "forgotten":
        project.tool("forget", "--asset", "down")
    elif new:
        project.define({"a": {}, "b": {}, "down": {"parents": ["a", "b"]}})
    else:
        project.configure(f"{rule}\n{{path: b.csv, asset: b}}", downstream="all")
    assert project.pending() == ["down"]
    assert project.tool("run").returncode == 0
    assert project.made() == ["down"]
    assert project.pending() == []


@pytest.mark.parametrize("rule", [TEXT, ROWS])
@pytest.mark.parametrize("how", ["fail", "kill all"])
@pytest.mark.parametrize("who", ["a", "down"])
def test_a_run_of_everything_that_goes_wrong_and_a_file_that_is_looked_into(
    begun: Begun, rule: str, how: str, who: str
) -> None:
    """What was only assumed of it is refuted."""
    project = begun({"a": {}, "down": {"parents": ["a"]}}, rule, {"a.csv": TABLE}, downstream="all")
    project.tool("adopt")
    project.behave({"target": who, "when": "read", "do": how, "times": 1})
    assert project.tool("run", "--all").returncode != 0
    project.behave()
    assert who in project.pending()


def test_a_deletion_while_another_file_that_feeds_it_waits(begun: Begun) -> None:
    """It was made from both; and the other one is there, though not in the commit."""
    project = begun({"a": {}}, "{path: '*.csv', asset: a}", {"y.csv": "1"})
    project.raw({"x.csv": "1"})
    project.tool("run")
    project.tool("install")
    assert project.made() == ["a"]
    project.git("rm", "-q", f"{ROOT}/y.csv")
    project.try_git("commit", "-q", "-m", "without y")
    project.commit_raw({})
    project.tool("run")
    assert project.made() == ["a"]
    assert project.pending() == []


def test_an_asset_that_is_new_and_fails_in_a_workflow(tmp_path: Path, program: Program) -> None:
    """The next workflow makes it, whatever is pushed."""
    jobs = Jobs(tmp_path, program)
    jobs.project.define({"raw/a": {}})
    jobs.project.configure("{path: a.csv, asset: raw/a}", ci={"environments": CI}, downstream="all")
    jobs.push_raw({"a.csv": "0"})
    jobs.job(jobs.push_raw({"a.csv": "1"}))
    assert jobs.project.made() == ["raw/a"]
    jobs.project.define({"raw/a": {}, "down": {"parents": ["raw/a"]}})
    jobs.project.behave({"target": "down", "when": "read", "do": "fail", "times": 1})
    first = jobs.matrix(jobs.push_raw({}))
    first.run()
    first.record()
    assert jobs.project.made() == []
    second = jobs.matrix(jobs.push_raw({}))
    second.run()
    second.record()
    assert jobs.project.made() == ["down"]
    assert jobs.matrix(jobs.push_raw({})).batches == []


OLDER = "{path: a.csv, asset: a}\n{path: b.csv, asset: b}"
NEWER = "{path: a.csv, assets: [a, sum]}\n{path: b.csv, assets: [b, sum]}"


def begun_workflows(jobs: Jobs) -> None:
    """Have an origin with files of which everything is made by the older rules."""
    jobs.project.define({"a": {}, "b": {}, "sum": {}})
    jobs.project.configure(OLDER, ci={"environments": CI})
    assert jobs.job(jobs.push_raw({"a.csv": "0", "b.csv": "0"})).code == 0


@pytest.mark.parametrize(("how", "tip"), [("one job", "as recorded"), ("matrix", "of other code")])
def test_an_older_workflow_that_is_run_again(how: str, tip: str, tmp_path: Path, program: Program) -> None:
    """Its rules are older than the record's: these stay, or the next push makes what is new once more."""
    jobs = Jobs(tmp_path, program)
    begun_workflows(jobs)
    old = jobs.push_raw({"a.csv": "1"})
    assert jobs.job(old).code == 0
    jobs.project.configure(NEWER, ci={"environments": CI})
    assert jobs.job(jobs.push_raw({})).code == 0
    assert sorted(jobs.project.made()) == ["a", "a", "b", "sum"]
    if tip == "of other code":
        jobs.project.write({"helper.py": "x = 1\n"})
        jobs.push_raw({})
    if how == "matrix":
        again = jobs.matrix(old)
        again.run()
        assert again.record().code == 0
    else:
        assert jobs.job(old).code == 0
    assert jobs.job(jobs.push_raw({})).code == 0
    assert jobs.project.made() == []


def test_an_older_workflow_with_something_to_do_that_is_run_again(tmp_path: Path, program: Program) -> None:
    """What it makes it makes by its own rules: what these do not know is made again by the newer ones."""
    jobs = Jobs(tmp_path, program)
    begun_workflows(jobs)
    jobs.project.behave({"target": "a", "when": "read", "do": "fail"})
    old = jobs.push_raw({"a.csv": "1"})
    assert jobs.job(old).code == 1
    jobs.project.configure(NEWER, ci={"environments": CI})
    assert jobs.job(jobs.push_raw({"b.csv": "1"})).code == 1
    made = jobs.project.made()
    assert sorted(set(made)) == ["a", "b", "sum"]
    jobs.project.behave()
    assert jobs.job(old).code == 0
    assert jobs.project.made() == ["a"]
    assert jobs.job(jobs.push_raw({})).code == 0
    assert jobs.project.made() == ["sum"]


def test_an_older_workflow_that_makes_something_by_its_older_rules(tmp_path: Path, program: Program) -> None:
    """It reads another file, too, in an older state; only the newer rules know that it does."""
    jobs = Jobs(tmp_path, program)
    begun_workflows(jobs)
    old = jobs.push_raw({"a.csv": "1"})
    jobs.project.configure("{path: a.csv, assets: [a, b]}\n{path: b.csv, asset: b}", ci={"environments": CI})
    assert jobs.job(jobs.push_raw({"a.csv": "2"})).code == 0
    jobs.push_raw({"b.csv": "1"})
    jobs.project.made()
    assert jobs.job(old).code == 0
    assert jobs.job(jobs.push_raw({"b.csv": "0"})).code == 0
    assert jobs.project.truth()[-1]["read"][f"{ROOT}/a.csv"] == jobs.project.git(
        "rev-parse", f"HEAD:{ROOT}/a.csv"
    )


def test_a_plan_of_another_commit(jobs: Jobs) -> None:
    """What it was for is not what is here."""
    old = jobs.matrix(jobs.push_raw({"a.csv": "2"}))
    new = jobs.matrix(jobs.push_raw({"a.csv": "3"}))
    for name in ("--mode=record", "--mode=run"):
        batch = ["--batch=1/1"] if name == "--mode=run" else []
        done = jobs.job(
            new.event, name, *batch, f"--plan-file={old.folder}/plan.json", f"--results={old.folder}/results"
        )
        assert done.code == 2
        assert "is for another commit" in done.text
    assert jobs.project.made() == []


def test_a_record_that_is_deleted_before_the_last_job(jobs: Jobs) -> None:
    """What failed is not taken for made by the next push, which would begin anew with its own base."""
    jobs.project.behave({"target": "b", "when": "read", "do": "fail", "times": 1})
    workflow = jobs.matrix(jobs.push_raw({"a.csv": "2", "b.csv": "2"}))
    workflow.run()
    jobs.origin.git("update-ref", "-d", "refs/raw-trigger/production")
    workflow.record()
    assert jobs.project.made() == ["a"]
    done = jobs.job(jobs.push_raw({}))
    assert (done.code, jobs.project.made()) == (0, ["b"]), done.text


def test_a_file_that_nothing_is_made_from_beside_a_run(begun: Begun) -> None:
    """It is looked at once, and no run makes that undone."""
    project = begun({"a": {}}, A_CSV, {"a.csv": "1"})
    project.raw({"a.csv": "2", "what.txt": "1"})
    assert project.tool("run").returncode == 0
    assert json.loads(project.tool("diff", "--format", "json").stdout)["changes"] == []
