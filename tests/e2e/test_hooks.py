"""The hooks as git calls them, in a real project with a real Dagster instance."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from raw_trigger.hooks.projects import find_projects, is_seen
from tests.e2e.operations import Operation, Workshop, begin, judge, natively
from tests.support.forks import Program
from tests.support.project import StandInProject
from tests.support.tables import Project

Make = Callable[..., Project]
R = "data/1_raw/"


@pytest.fixture
def tmp_path(one_place: Path) -> Path:
    return one_place


@pytest.fixture
def shop(project: Make) -> Project:
    """Two tables, each from its file, recorded as they are; hooks installed."""
    made = project(a=["a.csv"], b=["b.csv"])
    assert made.tool("install").returncode == 0
    assert made.tool("adopt").returncode == 0
    return made


def try_commit(project: Project, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return project.try_git("commit", "-q", "-m", "change", *args, env=env)


def without_heavy_modules(project: Project, *args: str) -> bool:
    """Whether a command, which has something to tell, imports nothing that takes its time."""
    code = (
        "import sys; from raw_trigger.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules.keys() & {'sqlalchemy', 'dagster', 'rich'}, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, cwd=project.top, capture_output=True, text=True, check=True)
    assert "raw/a" in done.stdout
    return done.stderr == "\n"


def pending(project: Project) -> list[str]:
    plan = project.plan()
    return [t["asset"] for t in plan["targets"]]  # type: ignore[index, attr-defined]


@pytest.mark.dagster
def test_a_commit_materializes_what_is_made_from_its_file_and_nothing_else(shop: Project) -> None:
    shop.stage({R + "a.csv": "2"})
    done = try_commit(shop)
    assert done.returncode == 0, done.stderr
    assert "M data/1_raw/a.csv → raw/a" in done.stderr
    assert "1 materialized in" in done.stderr
    assert done.stderr.count("raw-trigger pre-commit") == 1
    assert "post-commit" not in done.stderr
    assert shop.materialized() == ["raw/a"]
    assert pending(shop) == []
    assert shop.git("diff", "--name-only", "refs/raw-trigger/local", "HEAD", "--", "data/1_raw") == ""


def test_a_commit_without_raw_data_says_and_runs_nothing(shop: Project) -> None:
    shop.stage({"README": "x"})
    done = try_commit(shop)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert shop.materialized() == []


def test_a_failed_asset_refuses_the_commit_until_its_file_is_mended(shop: Project) -> None:
    head = shop.git("rev-parse", "HEAD")
    shop.stage({R + "a.csv": "broken", R + "b.csv": "2"})
    for _ in range(2):
        done = try_commit(shop)
        assert done.returncode == 1
        assert "ValueError: a.csv line 1: 'broken' is not a number" in done.stderr
        assert "the commit is refused" in done.stderr
        assert shop.git("rev-parse", "HEAD") == head
    assert shop.materialized() == ["raw/b"]
    assert pending(shop) == ["raw/a"]
    for command in ("status", "diff", f"explain {R}a.csv", "explain raw/a"):
        said = shop.tool(*command.split()).stdout
        [line] = [line for line in said.splitlines() if "✘" in line]
        words = r"failed (just now|\d+ min ago): ValueError: a.csv line 1: 'broken' is not a number \("
        assert re.search(words, line), line
        [run] = re.findall("`raw-trigger (history [0-9a-f]{8})`", line)
        assert "'broken' is not a number" in shop.tool(*run.split()).stdout
    assert without_heavy_modules(shop, "diff", "--format", "json")
    shop.stage({R + "a.csv": "mended"})
    assert "✘" not in shop.tool("status").stdout, "this content was not tried"
    assert try_commit(shop).returncode == 0
    assert shop.materialized() == ["raw/a"]


def test_no_verify_leaves_it_to_post_commit(shop: Project) -> None:
    shop.stage({R + "a.csv": "2"})
    done = try_commit(shop, "--no-verify")
    assert "raw-trigger post-commit" in done.stderr
    assert shop.materialized() == ["raw/a"]


def test_a_skipped_hook_loses_nothing(shop: Project) -> None:
    shop.stage({R + "a.csv": "2"})
    done = try_commit(shop, RAW_TRIGGER_SKIP="1")
    assert done.stderr.splitlines() == [
        "raw-trigger: pre-commit skipped (RAW_TRIGGER_SKIP=1)",
        "raw-trigger: post-commit skipped (RAW_TRIGGER_SKIP=1)",
    ]
    assert shop.materialized() == []
    shop.stage({R + "b.csv": "2"})
    done = try_commit(shop)
    assert (done.returncode, done.stderr.count("materialized in")) == (0, 1), done.stderr
    assert "2 materialized in" in done.stderr
    assert "post-commit" not in done.stderr
    assert shop.materialized() == ["raw/a", "raw/b"]


def test_what_a_commit_takes_along_cannot_refuse_it(shop: Project) -> None:
    """Nor an edit of a file that it does not bring; and what failed by itself is not tried again."""
    shop.stage({R + "a.csv": "broken"})
    assert try_commit(shop, RAW_TRIGGER_SKIP="1").returncode == 0
    shop.stage({R + "b.csv": "2"})
    done = try_commit(shop)
    assert done.returncode == 0, done.stderr
    assert "ValueError: a.csv line 1: 'broken' is not a number" in done.stderr
    assert "it stays pending: mend it, then `raw-trigger run`" in done.stderr
    assert "refused" not in done.stderr
    assert done.stderr.count("materialized") == 1, "post-commit tries nothing again"
    assert (shop.materialized(), pending(shop)) == (["raw/b"], ["raw/a"])
    shop.stage({R + "b.csv": "3"})
    done = try_commit(shop)
    still = "raw/a: it still fails with this content: `raw-trigger run` tries again"
    told = [line for line in done.stderr.splitlines() if "raw/a" in line or "a.csv" in line]
    assert told == [f"warning: {still}", f"raw-trigger post-commit: {still}"]
    assert (done.returncode, shop.materialized(), pending(shop)) == (0, ["raw/b"], ["raw/a"])
    shop.write({R + "a.csv": "edited"})
    shop.stage({R + "b.csv": "broken"})
    done = try_commit(shop)
    assert (done.returncode, "is refused" in done.stderr) == (1, True)
    shop.stage({R + "b.csv": "4"})
    assert try_commit(shop).returncode == 0
    assert shop.materialized() == ["raw/b"]


def test_a_push_is_refused_by_what_it_brings_and_by_nothing_else(project: Make) -> None:
    shop = project(config="hooks: {pre-push: run}\n", a=["a.csv"], b=["b.csv"])
    origin = shop.top.parent / "origin.git"
    shop.git("init", "-q", "--bare", str(origin))
    shop.git("remote", "add", "origin", str(origin))
    assert shop.tool("install").returncode == 0
    assert shop.tool("adopt").returncode == 0
    shop.git("push", "-q", "origin", "main", "main:old")
    shop.git("branch", "before")
    shop.git("checkout", "-q", "-b", "side")
    shop.stage({R + "b.csv": "side"})
    assert try_commit(shop, RAW_TRIGGER_SKIP="1").returncode == 0
    shop.git("checkout", "-q", "main")
    shop.stage({R + "a.csv": "broken"})
    assert try_commit(shop, RAW_TRIGGER_SKIP="1").returncode == 0
    done = shop.try_git("push", "origin", "main")
    assert done.returncode == 1
    assert "ValueError: a.csv line 1: 'broken' is not a number" in done.stdout
    assert "raw-trigger: the push is refused; `git push --no-verify` pushes all the same" in done.stdout
    runs = shop.tool("history").stdout.count("\n")
    done = shop.try_git("push", "origin", "main")
    assert done.returncode == 1
    assert "it still fails with this content" in done.stdout
    assert shop.tool("history").stdout.count("\n") == runs, "it is not run again"
    for refs in ([":old"], ["before"], ["side"]):
        done = shop.try_git("push", "origin", *refs)
        assert done.returncode == 0, done.stderr
        assert ("data/1_raw/b.csv → dirty" in done.stdout) == (refs == ["side"])
        assert ("`git switch side`, then `raw-trigger run`, makes it" in done.stdout) == (refs == ["side"])
    assert shop.materialized() == []
    shop.git("checkout", "-q", "side")
    shop.stage({R + "b.csv": "more"})
    assert try_commit(shop, RAW_TRIGGER_SKIP="1").returncode == 0
    assert shop.try_git("push", "origin", "side").returncode == 0
    assert shop.materialized() == ["raw/b"]


def test_an_unstaged_edit_of_a_planned_file_stops_the_commit(shop: Project) -> None:
    shop.stage({R + "a.csv": "staged"})
    shop.write({R + "a.csv": "edited", R + "b.csv": "edited"})
    done = try_commit(shop)
    assert done.returncode == 1
    assert "M data/1_raw/a.csv → dirty: the file on disk is not what is staged" in done.stderr
    assert "stage them with `git add`" in done.stderr
    assert shop.materialized() == []
    shop.git("add", R + "a.csv")
    assert try_commit(shop).returncode == 0
    assert shop.materialized() == ["raw/a"]
    assert pending(shop) == ["raw/b"]


def test_a_staged_deletion_of_a_file_that_is_still_there(shop: Project) -> None:
    shop.git("rm", "-q", "--cached", R + "a.csv")
    done = try_commit(shop)
    assert done.returncode == 1
    assert "it is deleted in what is staged, but still on disk" in done.stderr


def test_a_deletion_is_told_and_settled(shop: Project) -> None:
    shop.stage({R + "a.csv": None})
    done = try_commit(shop)
    assert done.returncode == 0
    assert "is deleted and nothing else feeds it: its last materialization is now stale" in done.stderr
    assert shop.materialized() == []
    assert shop.plan()["changes"] == []


def test_what_a_run_read_is_what_is_recorded(project: Make) -> None:
    shop = project(both=["both/a.csv", "both/b.csv"], config="assets: [{path: 'both/*', asset: raw/both}]\n")
    shop.tool("install")
    shop.tool("adopt")
    shop.stage({R + "both/a.csv": "2"})
    shop.write({R + "both/b.csv": "not yet staged"})
    assert try_commit(shop).returncode == 0
    assert shop.materialized() == ["raw/both"]
    shop.git("add", "-A")
    done = try_commit(shop)
    assert done.returncode == 0
    assert shop.materialized() == [], "the run had read this very content"
    shop.git("revert", "--no-edit", "HEAD")
    assert shop.materialized() == ["raw/both"]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, program: Program) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("native"), program)


@natively
def test_operations(workshop: Workshop, operation: Operation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each operation of git nothing is missed, and nothing is materialized that should not be."""

    def install(made: StandInProject) -> None:
        begin(made)
        assert made.tool("install").returncode == 0

    judge(workshop.anew(monkeypatch, install), operation)


def test_a_branch_that_is_checked_out_is_only_told(shop: Project) -> None:
    shop.git("checkout", "-q", "-b", "side")
    shop.stage({R + "b.csv": "2"})
    assert try_commit(shop, RAW_TRIGGER_SKIP="1").returncode == 0
    shop.git("checkout", "-q", "main")
    done = shop.try_git("checkout", "-q", "side")
    assert done.returncode == 0
    assert "run `raw-trigger run` to materialize them" in done.stderr + done.stdout
    assert shop.materialized() == []


def test_the_first_commit_of_a_repository(project: Make) -> None:
    shop = project(a=["a.csv"])
    shop.git("update-ref", "-d", "HEAD")
    assert shop.tool("install").returncode == 0
    done = try_commit(shop)
    assert done.returncode == 0, done.stderr
    assert shop.materialized() == ["raw/a"]


@pytest.mark.parametrize(
    "args", [["-a"], ["--", R + "a.csv"], ["--only", R + "a.csv"], ["--include", R + "a.csv"]]
)
def test_every_way_to_say_what_is_committed(shop: Project, args: list[str]) -> None:
    shop.write({R + "a.csv": "2"})
    done = try_commit(shop, *args)
    assert done.returncode == 0, done.stderr
    assert shop.materialized() == ["raw/a"]
    assert pending(shop) == []


def test_first_use_takes_what_was_there_before_the_commit(project: Make) -> None:
    shop = project(a=["a.csv"], b=["b.csv"])
    shop.tool("install")
    shop.git("update-ref", "-d", "refs/raw-trigger/local")
    shop.stage({R + "a.csv": "broken"})
    done = try_commit(shop)
    assert done.returncode == 1
    assert "nothing is recorded yet, so what was there before is taken" in done.stderr
    assert shop.git("diff", "--name-only", "refs/raw-trigger/local", "HEAD", "--", "data/1_raw") == ""
    assert pending(shop) == ["raw/a"]


def test_off_and_notify(project: Make) -> None:
    shop = project(config="hooks: {pre-commit: off, post-commit: notify}\n", a=["a.csv"])
    shop.tool("install")
    shop.tool("adopt")
    shop.stage({R + "a.csv": "broken"})
    done = try_commit(shop)
    assert done.returncode == 0
    assert "pre-commit" not in done.stderr
    assert "raw-trigger post-commit" in done.stderr
    assert "run `raw-trigger run` to materialize them" in done.stderr
    assert shop.materialized() == []


def test_a_configuration_that_cannot_be_read_refuses_a_commit_of_raw_files(shop: Project) -> None:
    shop.write({"raw-trigger.yaml": "nonsense: 1\n", R + "a.csv": "a\n2\n"})
    done = shop.try_git("commit", "-qam", "change")
    assert done.returncode == 1
    assert "raw-trigger.yaml:1:1: " in done.stderr
    assert "the commit is refused" in done.stderr


def test_an_edited_configuration_reaches_the_hooks(shop: Project) -> None:
    shop.commit({"raw-trigger.yaml": "root: data/other\n"})
    shop.stage({"data/other/a.csv": "1"})
    done = try_commit(shop)
    assert "raw-trigger pre-commit" in done.stderr
    assert shop.materialized() == ["raw/a"]


@pytest.mark.parametrize("program_is_there", [True, False])
def test_a_project_below_the_top(
    project: Make, program_is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = project(a=["a.csv"])
    (shop.top / "app").mkdir()
    for name in ("definitions.py", "pyproject.toml", "data"):
        shop.git("mv", name, "app")
    shop.commit({"app/raw-trigger.yaml": "unmapped: ignore\n"})
    assert shop.tool("-C", "app", "install").returncode == 0
    assert shop.tool("-C", "app", "adopt").returncode == 0
    if not program_is_there:
        shared = shop.top / ".git/hooks/raw-trigger.sh"
        shared.write_text(re.sub(r"\[ -x .* \]", "false", shared.read_text()))
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    for content in ("2", "3"):
        shop.stage({"app/data/1_raw/a.csv": content})
        done = try_commit(shop)
        assert done.returncode == 0, done.stderr
        assert shop.materialized() == ["raw/a"]
        shop.commit({"README": content})
        assert shop.materialized() == []


def test_a_linked_worktree_has_a_record_of_its_own_where_its_assets_are(
    project: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = project(a=["a.csv"])
    monkeypatch.delenv("DAGSTER_HOME")
    shop.tool("install")
    shop.tool("adopt")
    linked = Project(shop.top.parent / "linked", shop.home)
    shop.git("worktree", "add", "-q", str(linked.top), "-b", "side")
    assert shop.git("for-each-ref", "--format=%(refname)", "refs/raw-trigger").split() == [
        "refs/raw-trigger/local",
        "refs/raw-trigger/local-linked",
    ]
    linked.stage({R + "a.csv": "2"})
    done = try_commit(linked)
    assert done.returncode == 0, done.stderr
    assert "raw/a" in done.stderr
    assert shop.plan()["changes"] == []
    assert (shop.top / ".git/worktrees/linked/raw-trigger/dagster_home/events.jsonl").is_file()


@pytest.mark.parametrize("skip", [{"RAW_TRIGGER_SKIP": "1"}, {}])
def test_a_first_commit_that_no_hook_looked_at_is_not_taken_as_done(
    project: Make, skip: dict[str, str]
) -> None:
    shop = project(a=["a.csv"], b=["b.csv"])
    shop.git("update-ref", "-d", "HEAD")
    shop.git("reflog", "expire", "--expire=all", "--all")
    assert shop.tool("install").returncode == 0
    done = try_commit(shop, "--no-verify", **skip)
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stderr
    shop.stage({R + "b.csv": "2"})
    assert try_commit(shop).returncode == 0
    assert set(shop.materialized()) == {"raw/a", "raw/b"}
    assert pending(shop) == []


@pytest.mark.dagster
def test_of_a_path_that_feeds_two_only_the_failed_one_is_run_again(project: Make) -> None:
    config = "assets: [{path: a.csv, assets: [raw/a, raw/b]}]\n"
    shop = project(config=config, a=["a.csv", "more.csv"], b=["b.csv", "a.csv"])
    shop.tool("adopt")
    shop.write({R + "a.csv": "2", R + "b.csv": "broken"})
    done = shop.tool("run")
    assert done.returncode == 1
    assert done.stderr == (
        "raw-trigger: warning: `raw/a` read data/1_raw/more.csv, which does not feed it by any rule:"
        " add a rule, or run `raw-trigger learn --watch-runs`\n"
    )
    assert shop.materialized() == ["raw/a"]
    assert pending(shop) == ["raw/b"]
    shop.write({R + "b.csv": "b.csv\n"})
    assert shop.tool("run").returncode == 0
    assert shop.materialized() == ["raw/b"]
    assert pending(shop) == []


def test_what_a_narrowed_run_left_out_is_still_pending(project: Make) -> None:
    shop = project(a=["a.csv"], b=["b.csv"])
    shop.tool("adopt")
    shop.write({R + "a.csv": "2", R + "b.csv": None})
    assert shop.tool("run", "raw/a").returncode == 0
    assert shop.materialized() == ["raw/a"]
    done = shop.tool("run", "data/1_raw/a.csv", "--asset", "raw/a")
    assert done.stdout == (
        "Nothing to do: 1 changed raw file, but none that was asked for.\n"
        "warning: nothing is pending of raw/a, data/1_raw/a.csv; `--all` takes what is recorded too\n"
    )
    assert [c["path"] for c in shop.plan()["changes"]] == [R + "b.csv"]  # type: ignore[attr-defined]
    done = shop.tool("diff", "--path", "typo.csv")
    assert done.stdout == (
        "Nothing to do: 1 changed raw file, but none that was asked for.\n"
        "warning: nothing is pending of typo.csv; `--all` takes what is recorded too\n"
    )


def test_an_edited_rule_brings_back_what_it_newly_maps(project: Make) -> None:
    shop = project(a=["a.csv"], b=["b.csv"])
    shop.tool("install")
    shop.commit({R + "new.csv": "1"})
    assert shop.plan()["changes"] == []
    done = shop.tool("diff", "--format", "json")
    shop.commit({"raw-trigger.yaml": "assets: [{path: new.csv, asset: raw/b}]\n"})
    assert shop.materialized() == ["raw/b"], done.stdout
    assert pending(shop) == []
    shop.write({"raw-trigger.yaml": "assets: [{path: new.csv, assets: [raw/a, raw/b]}]\n"})
    [change] = shop.plan()["changes"]  # type: ignore[misc]
    assert (change["status"], change["path"]) == ("remapped", R + "new.csv")
    assert shop.tool("run").returncode == 0
    assert shop.materialized() == ["raw/a"]
    assert pending(shop) == []


def test_a_file_that_becomes_a_folder_while_its_asset_fails(project: Make) -> None:
    config = "on_delete: materialize\nassets: [{path: x, asset: raw/a}, {path: 'x/*', asset: raw/b}]\n"
    shop = project(config=config, a=["a.csv"], b=["b.csv"])
    shop.commit({R + "x": "file"})
    shop.tool("adopt")
    shop.write({R + "x": None, R + "a.csv": "broken"})
    shop.write({R + "x/y": "1"})
    assert shop.tool("run").returncode == 1
    assert "raw/a" in pending(shop)
    shop.write({R + "a.csv": "a.csv\n"})
    assert shop.tool("run").returncode == 0
    assert "raw/a" in shop.materialized()
    assert pending(shop) == []


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("--assume-unchanged", "git is told not to look at it"),
        ("--skip-worktree", "git is told not to look at it"),
    ],
)
def test_what_git_is_told_not_to_look_at_is_not_taken_for_what_it_says(
    project: Make, mark: str, words: str
) -> None:
    shop = project(config="assets: [{path: '*', asset: raw/a}]\n", a=["a.csv"])
    shop.commit({R + "b.csv": "1"})
    shop.tool("adopt")
    shop.git("update-index", mark, R + "b.csv")
    shop.write({R + "b.csv": "local", R + "a.csv": "2"})
    assert shop.tool("run").returncode == 0
    assert shop.git("cat-file", "-p", f"refs/raw-trigger/local:{R}b.csv") == "local"
    done = shop.tool("run")
    assert done.returncode == 1
    assert words in done.stdout
    assert shop.materialized() == ["raw/a"]


def test_a_file_that_git_ignores_now_but_is_still_there(project: Make) -> None:
    shop = project(config="on_delete: materialize\n", a=["a.csv"])
    shop.tool("adopt")
    shop.git("rm", "-q", "--cached", R + "a.csv")
    shop.write({".gitignore": f"__pycache__/\n{R}a.csv\n"})
    done = shop.tool("run")
    assert done.returncode == 1
    assert "it is deleted in what git knows, but still on disk" in done.stdout
    assert shop.materialized() == []


def test_an_intended_file_does_not_stop_a_commit_of_others(shop: Project) -> None:
    shop.write({R + "later.csv": ""})
    shop.git("add", "-N", R + "later.csv")
    shop.stage({R + "a.csv": "2"})
    done = try_commit(shop)
    assert done.returncode == 0, done.stderr


def test_a_folder_that_becomes_a_link(project: Make) -> None:
    shop = project(config="assets: [{path: '**', asset: raw/a}]\n", a=["a.csv"])
    shop.commit({R + "x/y": "1", "other/y": "1"})
    shop.tool("install")
    shop.git("rm", "-q", "-r", R + "x")
    (shop.top / R / "x").symlink_to("../../other")
    shop.git("add", R + "x")
    done = try_commit(shop)
    assert done.returncode == 0, done.stderr
    assert shop.materialized() == ["raw/a"]
    assert pending(shop) == []


@pytest.mark.parametrize("kind", ["link", "submodule", "ignored"])
def test_a_root_that_git_cannot_see_through(project: Make, kind: str) -> None:
    shop = project(config="root: seen/raw\n", a=["a.csv"])
    if kind == "link":
        (shop.top / "other/raw").mkdir(parents=True)
        (shop.top / "seen").symlink_to("other")
    elif kind == "ignored":
        shop.write({"seen/raw/a.csv": "1", ".gitignore": "seen/\n"})
    else:
        shop.write({"seen/raw/a.csv": "1"})
        shop.git("init", "-q", "seen")
    done = shop.tool("diff")
    assert done.returncode == 2, done.stdout
    assert "'seen/raw'" in done.stderr


def test_staged_conflicts_are_said(shop: Project) -> None:
    shop.git("checkout", "-q", "-b", "side")
    shop.stage({R + "a.csv": "side"})
    try_commit(shop, RAW_TRIGGER_SKIP="1")
    shop.git("checkout", "-q", "main")
    shop.stage({R + "a.csv": "main"})
    try_commit(shop, RAW_TRIGGER_SKIP="1")
    assert shop.try_git("merge", "side").returncode != 0
    done = shop.tool("diff", "--staged")
    assert "dirty: its merge conflict is not resolved" in done.stdout


def test_after_a_rebase_a_commit_without_raw_data_starts_nothing(shop: Project) -> None:
    shop.git("checkout", "-q", "-b", "side")
    shop.stage({R + "b.csv": "from the side"})
    assert try_commit(shop).returncode == 0
    shop.git("checkout", "-q", "main")
    shop.commit({R + "a.csv": "from main"})
    shop.git("checkout", "-q", "side")
    shop.git("rebase", "-q", "main")
    assert is_seen(find_projects(shop.top))


def test_branches_on_which_there_is_nothing_to_look_at(project: Make) -> None:
    """Git has done its work, and what is recorded is about other branches."""
    shop = project("", a=["a.csv"])
    assert shop.tool("install").returncode == 0
    assert shop.tool("adopt", "--no-catalog").returncode == 0
    broken = {"raw-trigger.yaml": "rots: a\nhoks: {}\n"}
    unreadable = (
        "the raw data is not looked at: raw-trigger.yaml:1:1: unknown key 'rots'; did you mean 'root'? "
        "(and 1 more: `raw-trigger check`)"
    )
    shop.git("checkout", "-q", "--orphan", "pages")
    shop.git("rm", "-rfq", ".")
    told = []

    def git(*args: str, files: dict[str, str | None] | None = None) -> None:
        shop.stage(files or {})
        done = shop.try_git(*args)
        assert done.returncode == 0, done.stderr
        told.append(done.stderr.removeprefix("raw-trigger: ").rstrip("\n"))

    git("commit", "-q", "-m", "x", files={"index.html": "x"})
    git("commit", "-q", "-m", "x", files={"index.html": "y"})
    git("checkout", "-q", "main")
    git("checkout", "-q", "pages")
    git("commit", "-q", "--no-verify", "-m", "x", files={R + "a.csv": "2"})
    git("checkout", "-q", "-b", "broken")
    git("commit", "-q", "--no-verify", "-m", "x", files=broken)
    git("checkout", "-q", "pages")
    git("checkout", "-q", "broken")
    nothing = "there is no Dagster project here, so the raw data is not looked at"
    assert told == [
        *[""] * 4,
        f"post-commit: {nothing}",
        "",
        f"post-commit: {unreadable}",
        "",  # it was said of these files, on this branch
        f"post-checkout: {unreadable}",
    ]
    assert shop.materialized() == []
