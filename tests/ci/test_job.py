"""`raw-trigger ci` as a process in fresh clones of an origin, as the runners start it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.ci import steps
from tests.ci.ground import CODE, CONVENTION, RULES, Ground, Job, R, command, names, pushed
from tests.ci.plans import NASTY
from tests.ci.test_comment import GitHub, github  # noqa: F401
from tests.ci.world import ZEROS, payload
from tests.conftest import Repo
from tests.e2e.test_documents import blocks
from tests.support.waiting import wait_for

START = {"a.csv": "a.csv 1", "b.csv": "b.csv 1", "c.csv": "c.csv 1", "seen.csv": "seen.csv 1"}
OUTPUTS = {
    "changed",
    "changed-files",
    "assets",
    "targets",
    "selection",
    "matrix",
    "batches",
    "plan",
    "outcome",
    "base",
    "head",
    "incomplete",
}
LISTS = ("changed-files", "assets", "targets", "incomplete")


def refs(*environments: str) -> list[str]:
    return ["refs/heads/main", *(f"refs/raw-trigger/{name}" for name in environments)]


class Matrix:
    """The jobs of the shipped workflow: plan, batches, result. What goes from one to another is artifacts."""

    def __init__(self, ground: Ground, event: dict[str, Any], *plan_options: str, jobs: int = 4) -> None:
        self.ground, self.event = ground, event
        self.artifacts = ground.top / "runner-artifacts"
        shutil.rmtree(self.artifacts, ignore_errors=True)
        self.artifacts.mkdir()
        self.plan_file = self.artifacts / "raw-trigger-plan.json"
        options = ("--no-catalog", *plan_options)
        self.plan = ground.job(
            event, "--mode=plan", f"--plan-file={self.plan_file}", f"--matrix={jobs}", *options
        )
        self.batches = {one["name"]: one["batch"] for one in self.plan.json("matrix")["include"]}
        assert len(self.batches) == int(self.plan.outputs["batches"])

    def run(self, name: str, *options: str, **variables: str) -> Job:
        """One job of the matrix."""
        files = (f"--plan-file={self.plan_file}", f"--results={self.artifacts / 'results'}")
        return self.ground.job(
            self.event, "--mode=run", f"--batch={self.batches[name]}", *files, *options, **variables
        )

    def record(self, *options: str, **variables: str) -> Job:
        files = (f"--plan-file={self.plan_file}", f"--results={self.artifacts / 'results'}")
        return self.ground.job(self.event, "--mode=record", *files, *options, **variables)


# Pushes


def test_without_an_environment_nothing_is_recorded(ground: Ground) -> None:
    event = ground.push({"raw-trigger.yaml": None, f"{R}a.csv": "a 2\n"})
    done = ground.job(event)
    assert (done.code, ground.ran(), ground.refs()) == (0, ["raw/a"], refs())
    assert "base  " in done.text
    assert "what main held before this push" in done.text


def test_rows_of_a_shallow_clone(ground: Ground) -> None:
    """The content before the push is fetched, so that one row is one partition."""
    rule = "assets: [{path: a.csv, asset: raw/a, rows: {key: id, partition: '{id}'}}]\n"
    ground.push({"raw-trigger.yaml": rule, f"{R}a.csv": "id,n\nA,1\nB,1\n"})
    event = ground.push({f"{R}a.csv": "id,n\nA,1\nB,2\n"})
    done = ground.job(event, "--mode=plan", "--no-catalog")
    assert done.json("targets") == [{"asset": "raw/a", "partition": "B"}]


def test_a_branch_that_records_nothing_leaves_the_record_alone(ground: Ground) -> None:
    event = ground.push({f"{R}a.csv": "a 2\n"}, branch="other")
    assert ground.job(event, "--mode=plan").outputs["assets"] == '["raw/a"]'
    assert ground.refs() == ["refs/heads/main", "refs/heads/other"]


def test_pushes_one_after_the_other(ground: Ground) -> None:
    """The first one's record is what the next one begins with; a failure is made good by an unrelated push;
    a re-run does nothing; an old commit's re-run takes nothing back.
    """
    first = ground.push({f"{R}a.csv": "a 2\n"})
    done = ground.job(first, depth=0, RAW_TRIGGER_TOKEN="secret")
    assert (done.code, ground.ran(), ground.recorded()) == (0, ["raw/a"], START | {"a.csv": "a 2"})
    assert ground.refs() == refs("production")
    assert "'production' has no record yet" in done.text
    assert {name: done.outputs[name] for name in ("changed", "assets", "selection", "outcome")} == {
        "changed": "true",
        "assets": '["raw/a"]',
        "selection": "raw/a",
        "outcome": "success",
    }

    second = ground.push({f"{R}a.csv": "a 3\n", f"{R}b.csv": "b broken\n"})
    done = ground.job(second)
    assert (done.code, ground.ran(), done.outputs["outcome"]) == (1, ["raw/a"], "partial")
    assert ground.recorded() == START | {"a.csv": "a 3"}
    [told] = done.told("error")
    assert told.startswith(f"{R}b.csv: raw/b failed: ValueError: b.csv line 1: 'broken' is not a number")

    ground.push({"README.md": "not seen by any run: it was cancelled\n", f"{R}b.csv": "b 3\n"})
    third = ground.push({f"{R}c.csv": "c 2\n"})
    done = ground.job(third)
    assert (done.code, ground.ran()) == (0, ["raw/b", "raw/c"])
    assert ground.recorded() == {**START, "a.csv": "a 3", "b.csv": "b 3", "c.csv": "c 2"}
    tip = ground.origin.git("rev-parse", "refs/raw-trigger/production")

    again = ground.job(third)
    assert (again.code, ground.ran(), again.outputs["changed"]) == (0, [], "false")
    assert again.outputs["outcome"] == "nothing"
    old = ground.job(first)
    assert (old.code, ground.ran(), old.outputs["changed"]) == (0, [], "false")
    assert "main has moved on" in " ".join(old.told("warning"))
    assert ground.origin.git("rev-parse", "refs/raw-trigger/production") == tip


def test_a_first_run_that_never_began_is_made_good(ground: Ground) -> None:
    """The project did not even load, and nothing was recorded before."""
    ground.job(ground.push({f"{R}a.csv": "a 2\n", "definitions.py": "import nothing_that_is_there\n"}))
    assert ground.recorded() == START
    done = ground.job(ground.push({"definitions.py": CODE}), "--mode=plan", "--no-catalog")
    assert done.json("assets") == ["raw/a"]


def test_a_check_that_failed_is_one_error(ground: Ground) -> None:
    done = ground.job(ground.push({f"{R}a.csv": "a odd\n"}))
    assert (done.code, done.told("error")) == (1, [f"{R}a.csv: raw/a: check plausible failed: that is odd"])
    assert done.summary.count("that is odd") == 1


@pytest.mark.parametrize("depth", [0, 1])
def test_a_deleted_branch_is_nothing_to_do(ground: Ground, depth: int) -> None:
    gone = ground.push({f"{R}a.csv": "a 2\n"}, branch="gone")
    ground.desk.git("push", "-q", "origin", ":gone")
    event = pushed(gone["after"], ZEROS, "gone")
    plan = ground.top / "runner-artifacts/plan.json"
    done = ground.job(event, "--mode=plan", "--matrix=4", f"--plan-file={plan}", depth=depth)
    assert (done.code, ground.refs()) == (0, refs())
    assert "gone was deleted: there is nothing to do" in done.text
    assert done.outputs.keys() == OUTPUTS
    assert (done.outputs["changed"], done.outputs["batches"], done.outputs["plan"]) == (
        "false",
        "0",
        str(plan),
    )
    assert json.loads(plan.read_text())["matrix"] == []
    files = (f"--plan-file={plan}", f"--results={ground.top / 'none'}")
    recorded = ground.job(event, "--mode=record", *files, depth=depth)
    assert (recorded.code, recorded.outputs["outcome"]) == (0, "nothing")


def test_a_base_that_is_not_needed_is_not_asked_for(ground: Ground) -> None:
    """With a record an event that tells no range works, also on a system that nobody knows."""
    event = ground.push({f"{R}a.csv": "a 2\n"})
    plan = ("--mode=plan", "--no-catalog")
    comment = {"GITHUB_EVENT_NAME": "issue_comment"}
    assert ground.job(event, *plan, **comment).code == 3
    start = ground.desk.git("rev-parse", "HEAD~1^{tree}")
    ground.desk.git("push", "-q", "origin", f"{start}:refs/raw-trigger/production")
    done = ground.job(event, *plan, **comment)
    assert (done.code, done.json("assets"), done.told("warning")) == (0, ["raw/a"], [])
    nowhere = {"GITHUB_ACTIONS": "", "GITHUB_EVENT_NAME": ""}
    done = ground.job(event, *plan, "--environment=production", **nowhere)
    assert (done.code, "data/1_raw/a.csv" in done.text) == (0, True), done.text
    done = ground.job(event, *plan, "--environment=other", **nowhere)
    assert (done.code, "or run with an `--environment` whose record is the base" in done.text) == (2, True)


def test_the_last_commit_of_the_branch_stands_for_it(ground: Ground) -> None:
    """actions/checkout with `ref: main`, when main has moved on since the push."""
    old = ground.push({f"{R}a.csv": "a 2\n"})
    new = ground.push({f"{R}b.csv": "b 2\n"})
    other = ground.push({f"{R}c.csv": "c 2\n"}, branch="other")
    clone = ground.clone("refs/heads/main", new["after"])
    done = ground.step(clone, ground.environ(old, clone.top.name), "--step=fetch")
    assert (done.code, done.told("warning"), ground.recorded()) == (0, [], START)
    assert "record  refs/raw-trigger/production" in done.text
    clone = ground.clone("refs/heads/other", other["after"])
    done = ground.step(clone, ground.environ(old, clone.top.name), "--step=fetch")
    said = "record  nothing: what is checked out is not the last commit of main"
    assert (done.code, said in done.text) == (0, True), done.text
    done = ground.step(clone, ground.environ(other, clone.top.name), "--step=fetch")
    said = "record  nothing: `ci: environments:` names none for the branch other"
    assert (done.code, said in done.text) == (0, True), done.text


def test_what_a_merge_queue_is_compared_with(ground: Ground) -> None:
    ground.begin(RULES.replace("ci: {", "ci: {merge_group: target, "))
    main = ground.desk.git("rev-parse", "HEAD")
    queue = "gh-readonly-queue/main/pr-2"
    base = ground.push({f"{R}a.csv": "a 2\n"}, branch="gh-readonly-queue/main/pr-1")
    head = ground.push({f"{R}b.csv": "b 2\n"}, branch=queue)
    assert head["before"] == ZEROS
    event = payload(
        "merge_group",
        merge_group__base_ref="refs/heads/main",
        merge_group__base_sha=base["after"],
        merge_group__head_sha=head["after"],
    )
    clone = ground.clone(f"refs/heads/{queue}", head["after"])
    variables = {"GITHUB_EVENT_NAME": "merge_group", "GITHUB_SHA": head["after"]}
    environ = {**ground.environ(head, clone.top.name), **variables}
    Path(environ["GITHUB_EVENT_PATH"]).write_text(json.dumps(event))
    done = ground.step(clone, environ, "--mode=plan", "--no-catalog")
    assert (done.json("assets"), done.outputs["base"]) == (["raw/a", "raw/b"], main)


@pytest.mark.soak
@pytest.mark.parametrize("clause", ["fingerprint: text", "rows: {key: id}"])
def test_a_deletion_that_comes_with_an_edited_clause_is_not_lost(ground: Ground, clause: str) -> None:
    """The very run of the push that edits the clause and deletes the file fails; the next one sees the deletion."""
    rules = RULES.replace('asset: "raw/{name}"', 'asset: "raw/{name}", on_delete: materialize')
    ground.begin(rules)
    tables = {f"{R}{name}.csv": "id\n1\n" for name in ("a", "b", "c", "seen")}
    assert ground.job(ground.push(tables)).code == 0
    assert ground.ran() == ["raw/a", "raw/b", "raw/c", "report"]
    edited = rules.replace("on_delete", f"{clause}, on_delete")
    done = ground.job(ground.push({"raw-trigger.yaml": edited, f"{R}a.csv": None}))
    assert (done.code, ground.ran()) == (1, ["raw/b", "raw/c", "report"]), done.text
    done = ground.job(ground.push({"README.md": "x\n"}), "--mode=plan", "--no-catalog")
    assert done.json("targets") == [{"asset": "raw/a", "partition": None}], done.text


# Batches


@pytest.mark.soak
@pytest.mark.dagster
def test_batches_of_which_one_fails_and_one_is_missing(ground: Ground) -> None:
    """Three clones; then the failed jobs are run again, as the button in GitHub's page does."""
    jobs = Matrix(
        ground, ground.push({f"{R}a.csv": "a 2\n", f"{R}b.csv": "b broken\n", f"{R}c.csv": "c 2\n"})
    )
    assert (jobs.plan.code, ground.ran(), ground.recorded()) == (0, [], START)
    assert sorted(jobs.batches) == ["raw/a", "raw/b", "raw/c"]
    begun = ground.origin.git("for-each-ref")
    assert jobs.run("raw/a").code == 0
    failed = jobs.run("raw/b")
    assert (failed.code, len(failed.told("error"))) == (1, 1)
    assert (ground.ran(), ground.origin.git("for-each-ref")) == (["raw/a"], begun), (
        "only jobs without its code write"
    )
    done = jobs.record()
    number = jobs.batches["raw/c"].partition("/")[0]
    assert (done.code, ground.recorded()) == (1, START | {"a.csv": "a 2"})
    assert f"Batch {number} left no results: it failed, or was cancelled." in " ".join(done.told("warning"))
    assert done.outputs["outcome"] == "partial"

    assert jobs.run("raw/c").code == 0
    assert (jobs.record().code, ground.recorded()) == (1, START | {"a.csv": "a 2", "c.csv": "c 2"})
    assert ground.ran() == ["raw/c"]
    again = Matrix(ground, ground.push({f"{R}b.csv": "b 3\n"}))
    assert again.plan.json("assets") == ["raw/b"]


def test_a_file_that_had_to_wait_is_no_success(ground: Ground) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    done = ground.job(ground.push({f"{R}a.csv": "a 2\n", f"{R}b.csv": pointer}))
    assert (done.code, ground.ran(), done.outputs["outcome"]) == (1, ["raw/a"], "partial")


def test_results_that_nobody_left(ground: Ground) -> None:
    jobs = Matrix(ground, ground.push({f"{R}a.csv": "a 2\n", f"{R}b.csv": "b 2\n"}))
    done = jobs.record()
    assert (done.code, done.outputs["outcome"], ground.recorded()) == (1, "failed", START)
    assert done.summary.startswith("### Raw data: Nothing was run.\n")
    assert done.told("warning") == [
        "raw-trigger: None of the 2 batches left results: they failed, or were cancelled."
    ]


@pytest.mark.dagster
def test_a_first_workflow_of_which_nothing_is_left(ground: Ground) -> None:
    """Every batch was cancelled, or the job that plans failed: the next push makes it good all the same."""
    jobs = Matrix(ground, ground.push({f"{R}a.csv": "a 2\n"}))
    assert (jobs.record().code, ground.recorded()) == (1, START)
    ground.origin.git("update-ref", "-d", "refs/raw-trigger/production")
    jobs.plan_file.unlink()
    done = jobs.record()
    assert (done.code, ground.recorded()) == (1, START)
    assert "There is no plan" in " ".join(done.told("warning"))
    assert Matrix(ground, ground.push({"README.md": "x\n"})).plan.json("assets") == ["raw/a"]


@pytest.mark.dagster
def test_conventions_are_left_to_the_batches(ground: Ground) -> None:
    """By the rules alone nothing is known of these files; a job with the catalog decides."""
    ground.begin(CONVENTION)
    jobs = Matrix(ground, ground.push({f"{R}a.csv": "a 2\n", f"{R}what.csv": "nobody's\n"}), jobs=1)
    assert (jobs.plan.code, jobs.plan.json("assets"), len(jobs.batches)) == (0, [], 1)
    assert sorted(jobs.plan.json("changed-files")) == [f"{R}a.csv", f"{R}what.csv"]
    done = jobs.run(*jobs.batches)
    assert (done.code, ground.ran()) == (0, ["raw/a"])
    assert [told.partition(": ")[0] for told in done.told("warning")] == [f"{R}what.csv"]
    assert jobs.record().code == 0
    assert ground.recorded() == START | {"a.csv": "a 2", "what.csv": "nobody's"}


def test_what_is_below_an_external_asset_goes_with_it(ground: Ground) -> None:
    jobs = Matrix(ground, ground.push({f"{R}seen.csv": "seen 2\n", f"{R}c.csv": "c 2\n"}))
    assert sorted(jobs.batches) == ["raw/c", "raw/seen"]
    assert jobs.plan.json("targets") == [
        {"asset": "raw/c", "partition": None},
        {"asset": "raw/seen", "partition": None},
    ]
    done = jobs.run("raw/seen")
    assert (done.code, names(done.json("targets"))) == (0, ["raw/seen", "report"])
    assert (jobs.record().code, ground.ran()) == (1, ["report"])
    assert ground.recorded() == START | {"seen.csv": "seen 2"}


@pytest.mark.soak
def test_unmapped_files_that_fail(ground: Ground) -> None:
    ground.begin(RULES + "unmapped: fail\n")
    event = ground.push({f"{R}notes.txt": "x\n", f"{R}a.csv": "a 2\n"})
    jobs = Matrix(ground, event, jobs=1)
    assert jobs.plan.code == 0, "by the rules alone nobody can tell"
    done = jobs.run(*jobs.batches)
    assert (done.code, ground.ran()) == (1, ["raw/a"])
    assert [told.partition(": ")[0] for told in done.told("error")] == [f"{R}notes.txt"]
    done = jobs.record()
    assert (done.code, ground.recorded()) == (1, START | {"a.csv": "a 2"})
    assert [told.partition(": ")[0] for told in done.told("error")] == [f"{R}notes.txt"]
    again = ground.job(event)
    assert (again.code, ground.ran(), again.json("changed-files")) == (1, [], [f"{R}notes.txt"])


# Pull requests


@pytest.mark.parametrize("depth", [0, 1])
def test_a_pull_request_is_compared_with_its_base_and_not_recorded(ground: Ground, depth: int) -> None:
    event = ground.pull_request({f"{R}a.csv": "a 2\n"})
    before = ground.refs()
    done = ground.job(event, "--mode=plan", "--no-catalog", depth=depth)
    assert (done.code, done.json("assets"), ground.refs()) == (0, ["raw/a"], before)
    assert "main, which the pull request is merged into here" in done.text


def test_a_fork_gets_no_comment(ground: Ground) -> None:
    event = ground.pull_request({f"{R}a.csv": "a 2\n"}, pull_request__head__repo=None)
    done = ground.job(event, "--mode=plan", "--no-catalog", "--comment", RAW_TRIGGER_TOKEN="secret")
    assert (done.code, len(done.told("warning"))) == (0, 1)
    assert "no comment on the pull request: it comes from another repository" in done.told("warning")[0]


def test_the_comment_of_a_pull_request(ground: Ground, github: GitHub) -> None:  # noqa: F811
    """One, kept up to date, also by a job that an error ends; the branch's own runs have none."""
    api = {
        "GITHUB_API_URL": github.url,
        "GITHUB_GRAPHQL_URL": f"{github.url}/graphql",
        "GITHUB_REPOSITORY": "o/r",
    }
    plan = ("--mode=plan", "--no-catalog", "--comment")
    event = ground.pull_request({f"{R}a.csv": "a 2\n"}, pull_request__number=7)
    assert ground.job(event, *plan, RAW_TRIGGER_TOKEN="secret", **api).told("warning") == []
    [comment] = github.comments
    assert "1 changed file, 1 asset to materialize or report" in comment["body"]
    event = ground.pull_request({"definitions.py": "boom\n"}, pull_request__number=7)
    done = ground.job(event, "--mode=plan", "--comment", RAW_TRIGGER_TOKEN="secret", **api)
    assert (done.code, len(github.comments)) == (3, 1)
    assert "### Raw data: failed" in comment["body"]
    assert "NameError" in comment["body"]
    done = ground.job(ground.push({f"{R}a.csv": "a 3\n"}), *plan, RAW_TRIGGER_TOKEN="secret", **api)
    assert (done.code, len(github.comments), done.told("warning")) == (0, 1, [])


def test_an_environment_for_a_pull_request(ground: Ground) -> None:
    """What has passed is not done again, by a re-run or after the next commit of the pull request."""
    pr = ("--environment=pr-2",)
    event = ground.pull_request({f"{R}a.csv": "a 2\n", f"{R}b.csv": "b broken\n"})
    assert ground.job(event, *pr).code == 1
    assert (ground.ran(), ground.recorded("pr-2")) == (["raw/a"], START | {"a.csv": "a 2"})
    assert ground.recorded() is None
    assert ground.job(event, "--mode=plan", *pr).json("assets") == ["raw/b"]
    event = ground.pull_request({f"{R}b.csv": "b 2\n"})
    assert (ground.job(event, *pr).code, ground.ran()) == (0, ["raw/b"])
    assert ground.job(event, "--mode=plan", *pr).outputs["changed"] == "false"


# What may not work


@pytest.mark.dagster
def test_without_permission_to_write_the_outcome_counts(ground: Ground) -> None:
    hook = ground.origin.top / "hooks/update"
    event = ground.push({f"{R}a.csv": "a 2\n", f"{R}b.csv": "b broken\n"})
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ncase $1 in refs/raw-trigger/*) echo 'not permitted' >&2; exit 1 ;; esac\n")
    hook.chmod(0o755)
    done = ground.job(event)
    assert (done.code, done.outputs["outcome"], ground.refs()) == (1, "partial", refs())
    event = ground.push({f"{R}c.csv": "c 2\n"})
    done = ground.job(event)
    assert (done.code, done.outputs["outcome"], ground.refs()) == (0, "success", refs())
    assert ground.ran() == ["raw/a", "raw/c"], "the event's own range"
    [warning] = [told for told in done.told("warning") if "is not recorded" in told]
    assert "give the job `contents: write`" in warning


def test_an_origin_that_cannot_be_reached(ground: Ground) -> None:
    event = ground.push({f"{R}a.csv": "a 2\n"})
    clone = ground.checkout(event)
    clone.git("remote", "set-url", "origin", (ground.top / "gone.git").as_uri())
    done = ground.step(clone, ground.environ(event, clone.top.name))
    assert (done.code, ground.ran(), done.outputs["changed"]) == (3, [], "null")
    [error] = done.told("error")
    assert "gone.git" in error
    assert error.removeprefix("raw-trigger: ").splitlines()[0] in done.text
    assert "gone.git" in done.summary


def test_no_outputs_are_missing_however_it_ends(ground: Ground) -> None:
    """An expression in a later job that is told `always()` reads them: not knowing is neither yes nor no."""
    good = ground.push({"README.md": "x\n"})
    bad = ground.push({"raw-trigger.yaml": RULES + "::error::x: 1\n"})
    unloadable = ground.push({"raw-trigger.yaml": RULES, "definitions.py": "boom\n", f"{R}a.csv": "a 2\n"})
    nothing, wrong, known = ground.job(good), ground.job(bad), ground.job(unloadable)
    rest = ground.job(good, "--batch=1/1")
    assert [one.code for one in (nothing, wrong, known, rest)] == [0, 2, 3, 2]
    assert [one.outputs["changed"] for one in (nothing, wrong, known, rest)] == [
        "false",
        "null",
        "null",
        "null",
    ]
    assert [one.outputs["outcome"] for one in (nothing, wrong, known, rest)] == ["nothing", *3 * ["failed"]]
    for one in (nothing, wrong, known, rest):
        assert one.outputs.keys() == OUTPUTS
        assert one.json("changed") in (True, False, None)
        assert all(isinstance(one.json(name), list) for name in LISTS)
        assert one.json("matrix") == {"include": []}
        assert one.summary.startswith("### Raw data: ")
        assert len(one.told("error")) == (one is not nothing)
    assert "matrix" in wrong.json("incomplete")
    assert [c for c in wrong.commands if c.data == "x"] == []


@pytest.mark.parametrize(
    "numbers", [pytest.param([signal.SIGTERM], marks=pytest.mark.soak), [signal.SIGINT, signal.SIGTERM]]
)
def test_a_cancelled_job_has_published_what_had_succeeded(
    ground: Ground, numbers: list[signal.Signals]
) -> None:
    event = ground.push({f"{R}a.csv": "a 2\n", f"{R}b.csv": "b slow\n"})
    clone = ground.checkout(event)
    environ = ground.environ(event, clone.top.name)
    temp = Path(environ["RUNNER_TEMP"])
    with (temp / "log").open("wb") as log:
        child = subprocess.Popen(
            command(), cwd=clone.top, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        wait_for((temp / "b-is-running").exists, child)
        for number in numbers:
            child.send_signal(number)
            time.sleep(0.2)
        assert child.wait(60) == 130
    done = Job(130, (temp / "log").read_bytes(), temp)
    assert (ground.ran(), ground.recorded()) == (["raw/a"], START | {"a.csv": "a 2"})
    assert done.outputs["outcome"] == "failed"
    assert "Traceback" not in done.text


def test_two_runs_at_once(ground: Ground) -> None:
    """The second one begins in the middle of the very first one: it finds a record, and both are put together."""
    one = ground.push({f"{R}a.csv": "a 2\n"})
    two = ground.push({f"{R}b.csv": "b 2\n"})
    with ThreadPoolExecutor() as pool:
        first = pool.submit(ground.job, one, where="runner-1")
        wait_for(lambda: ground.recorded() is not None or first.done())
        second = pool.submit(ground.job, two, where="runner-2")
        assert (first.result().code, second.result().code) == (0, 0)
    assert set(ground.ran()) == {"raw/a", "raw/b"}
    assert ground.recorded() == START | {"a.csv": "a 2", "b.csv": "b 2"}
    assert ground.job(two, "--mode=plan", "--no-catalog").outputs["changed"] == "false"


# What strangers write

HOSTILE = [name.replace(b"/", b"_") for name in NASTY if len(name) < 256] + [
    b"n" * 255,
    b"-x",
    b"\xff\n::error::y",
]


def test_file_names_that_mean_harm(ground: Ground) -> None:
    """Through the real command: every name comes back out of the outputs, and nothing else is believed."""
    paths = sorted({os.fsencode(R) + name for name in HOSTILE})
    event = ground.push(dict.fromkeys(paths, "x\n"))
    done = ground.job(event, "--mode=plan", "--no-catalog", "--matrix=3")
    assert (done.code, done.outputs.keys()) == (0, OUTPUTS)
    assert [os.fsencode(path) for path in found(done)] == paths
    [warning] = done.commands
    assert warning.data.startswith("outputs left empty, because"), "there is no selection of such keys"
    full = ground.job(event, "--mode=plan")  # which says that there are no such assets
    assert [os.fsencode(path) for path in found(full)] == paths
    assert (full.code, {c.name for c in full.commands if c != warning}) == (1, {"error"})
    for job in (done, full):
        assert len(job.summary.encode()) < 1 << 20
        assert "<script" not in job.summary
        assert b"\x1b" not in job.log
    assert not (ground.top / "runner-work/pwned").exists()


def found(job: Job) -> list[str]:
    """The output ``changed-files``, as Python names files."""
    return [
        name.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        for name in job.json("changed-files")
    ]


# Elsewhere


def gitlab(ground: Ground, event: dict[str, Any], **variables: str) -> dict[str, str]:
    """The variables of a GitLab job for a push."""
    environ = ground.environ(event, "runner-work")
    return {
        **{name: value for name, value in environ.items() if not name.startswith(("GITHUB_", "RUNNER_"))},
        "GITLAB_CI": "true",
        "CI_PIPELINE_SOURCE": "push",
        "CI_COMMIT_BRANCH": "main",
        "CI_COMMIT_SHA": event["after"],
        "CI_COMMIT_BEFORE_SHA": event["before"],
        "CI_DEFAULT_BRANCH": "main",
        "CI_PROJECT_PATH": "group/project",
        **variables,
    }


def script(ground: Ground, lines: list[str], clone: Repo, environ: dict[str, str]) -> tuple[int, str]:
    """A script of the README's, with the raw-trigger that is tested."""
    path = os.pathsep.join([str(Path(sys.executable).parent), environ["PATH"]])
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(lines)],
        cwd=clone.top,
        env={**environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    ground.keep(clone)
    return done.returncode, done.stdout.decode()


def test_the_job_for_gitlab_in_the_readme(ground: Ground) -> None:
    [job] = [steps.load(block)["raw-data"] for block in blocks("yaml") if ".gitlab-ci.yml" in block]
    lines = [line for line in job["script"] if not line.startswith("pip install")]
    assert lines == ["raw-trigger ci"]
    event = ground.push({f"{R}a.csv": "a 2\n"})
    code, log = script(ground, lines, ground.checkout(event), gitlab(ground, event))
    assert (code, ground.ran(), "::" in log) == (0, ["raw/a"], False)
    assert ground.recorded() == START | {"a.csv": "a 2"}
    code, log = script(ground, lines, ground.checkout(event), gitlab(ground, event))
    assert (code, ground.ran()) == (0, [])


def test_the_three_steps_of_the_readme_on_a_system_that_nobody_knows(ground: Ground) -> None:
    [block] = [block for block in blocks("sh") if "--mode record" in block]
    lines = [line.partition("  #")[0].replace("1/3", "1/1") for line in block.splitlines()]
    lines = [
        line.replace("raw-trigger ci", "raw-trigger ci --base HEAD~1 --environment staging") for line in lines
    ]
    event = ground.push({f"{R}a.csv": "a 2\n"})
    environ = {name: v for name, v in gitlab(ground, event).items() if not name.startswith(("GITLAB_", "CI"))}
    code, log = script(ground, lines, ground.checkout(event, depth=0), environ)
    assert (code, ground.ran()) == (0, ["raw/a"]), log
    assert "batch 1/1  raw/a" in log
    assert ground.recorded("staging") == START | {"a.csv": "a 2"}
    # With the record, what was given stands back; and what is for one environment is not recorded for another.
    code, log = script(ground, lines[:1], ground.checkout(event, depth=0), environ)
    assert (code, "Nothing to do" in log) == (0, True), log
    other = [lines[0], lines[2].replace("staging", "other")]
    code, log = script(ground, other, ground.checkout(event, depth=0), environ)
    assert "plan.json is for the environment 'staging', this job for 'other'" in log
    assert (code, ground.recorded("other")) == (2, None)
