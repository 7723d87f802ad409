"""What differs, on real repositories with everything git allows in a path."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from raw_trigger.errors import GitError, UsageError
from raw_trigger.model.changes import Change
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository
from tests.conftest import Repo

ROOTS = ("data/1_raw",)
R = "data/1_raw/"

HOSTILE = [
    b"plain.csv",
    b"with space.csv",
    b'"quoted".csv',
    b"new\nline.csv",
    b"tab\t.csv",
    b"carriage return\r",
    b"back\\slash.csv",
    b"-dash.csv",
    b":(glob)*.csv",
    b"\xff\xfe.csv",
    "größe.csv".encode(),
    b"$(touch x).csv",
    b"%0A::error::.csv",
]


@pytest.fixture(autouse=True, params=["mtime_size", "content_hash"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether git's stat data is trusted must not matter."""
    monkeypatch.setenv("RAW_SCAN_HASH_MODE", request.param)
    return str(request.param)


def seen(changes: tuple[Change, ...]) -> dict[bytes, str]:
    return {c.path.removeprefix(R.encode()): c.status for c in changes}


def sides(repo: Repo, base: str) -> dict[str, tuple[Change, ...]]:
    """The diff from ``base`` to HEAD, index and working tree, which have to agree when all is committed."""
    opened = repo.open()
    return {
        "revision": diff.between_trees(opened, base, "HEAD", ROOTS),
        "index": diff.to_index(opened, base, ROOTS),
        "worktree": diff.to_worktree(opened, base, ROOTS),
    }


def test_every_kind_of_change_is_seen_alike_from_all_sides(repo: Repo) -> None:
    base = repo.commit({R + "kept": "1", R + "changed": "1", R + "gone": "only here", "outside": "1"})
    repo.commit({R + "changed": "2", R + "new": "new", R + "gone": None, "outside": "2"})
    expected = {b"changed": "modified", b"new": "added", b"gone": "deleted"}
    for side, changes in sides(repo, base).items():
        assert seen(changes) == expected, side


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(repo: Repo, name: bytes) -> None:
    base = repo.commit({"README": "x"})
    path = R.encode() + name
    repo.write({path: "uncommitted"})
    opened = repo.open()
    [change] = diff.to_worktree(opened, base, ROOTS)
    assert (change.path, change.status) == (path, "added")
    repo.commit({path: "content"})
    assert {side: [c.path for c in found] for side, found in sides(repo, base).items()} == {
        "revision": [path],
        "index": [path],
        "worktree": [path],
    }
    repo.write({path: "edited"})
    [change] = diff.to_worktree(opened, "HEAD", ROOTS)
    assert change.status == "modified"
    assert change.new is not None
    assert change.new.oid == repo.git("hash-object", "--", os.fsdecode(path))


@pytest.mark.parametrize(
    "setting",
    [
        "diff.noprefix=true",
        "diff.mnemonicPrefix=true",
        "diff.renames=copies",
        "diff.external=false",
        "diff.relative=true",
        "diff.ignoreSubmodules=all",
        "diff.orderFile=/dev/null",
        "core.quotePath=true",
        "status.showUntrackedFiles=no",
        "core.pager=false",
    ],
)
def test_user_settings_change_nothing(repo: Repo, setting: str) -> None:
    base = repo.commit({R + "a": "same content\n", R + "b": "1"})
    repo.git("config", *setting.split("=", 1))
    repo.commit({R + "a": None, R + "moved": "same content\n", R + "b": "2"})
    repo.write({R + "untracked": "x"})
    expected = {b"a": "deleted", b"moved": "added", b"b": "modified"}
    found = sides(repo, base)
    assert seen(found["revision"]) == seen(found["index"]) == expected
    assert seen(found["worktree"]) == {**expected, b"untracked": "added"}


def test_a_rename_is_known_by_its_very_content(repo: Repo) -> None:
    base = repo.commit({R + "x/a.csv": "a", R + "x/b.csv": "a", R + "old": "1\n2\n3\n"})
    repo.commit({R + "x/a.csv": None, R + "y/a.csv": "a", R + "old": None, R + "new": "1\n2\n3\n4\n"})
    changes = diff.between_trees(repo.open(), base, "HEAD", ROOTS)
    assert {c.path: c.old_path for c in changes if c.old_path} == {
        b"data/1_raw/y/a.csv": b"data/1_raw/x/a.csv"
    }


def test_a_folder_that_becomes_a_file_and_back(repo: Repo) -> None:
    base = repo.commit({R + "x/a": "1", R + "x/b": "2"})
    repo.write({R + "x/a": None, R + "x/b": None})
    (repo.top / R / "x").rmdir()
    folder_gone = repo.commit({R + "x": "file"})
    expected = {b"x": "added", b"x/a": "deleted", b"x/b": "deleted"}
    assert {k: seen(v) for k, v in sides(repo, base).items()} == dict.fromkeys(
        ("revision", "index", "worktree"), expected
    )
    repo.write({R + "x": None})
    repo.write({R + "x/a": "1"})
    assert seen(diff.to_worktree(repo.open(), folder_gone, ROOTS)) == {b"x": "deleted", b"x/a": "added"}


def test_symlinks_modes_and_submodules(repo: Repo, tmp_path: Path) -> None:
    other = Repo(tmp_path / "other")
    other.top.mkdir()
    other.git("init", "-q")
    other.commit({"f": "1"})
    base = repo.commit({R + "file": "1", R + "script": "1"})
    (repo.top / R / "file").unlink()
    (repo.top / R / "file").symlink_to("script")
    (repo.top / R / "script").chmod(0o755)
    worktree = seen(diff.to_worktree(repo.open(), base, ROOTS))
    repo.git("submodule", "add", "-q", str(other.top), R + "sub")
    repo.commit({}, "-a")
    expected = {b"file": "type-changed", b"script": "modified", b"sub": "added"}
    assert worktree == {b"file": "type-changed", b"script": "modified"}
    for side, changes in sides(repo, base).items():
        assert seen(changes) == expected, side
        assert {c.new.content for c in changes if c.new} == {"symlink", "blob", "submodule"}
    submodule = Repo(repo.top / R / "sub")
    submodule.write({"f": "dirty"})
    assert diff.to_worktree(repo.open(), "HEAD", ROOTS) == ()
    tip = submodule.commit({"f": "2"})
    [change] = diff.to_worktree(repo.open(), "HEAD", ROOTS)
    assert change.new is not None
    assert change.new.oid == tip


@pytest.mark.parametrize("honoured", [True, False])
def test_an_untracked_file_has_the_mode_that_git_will_give_it(repo: Repo, honoured: bool) -> None:
    """Where every file is executable, as on many shares, git is told not to look."""
    base = repo.commit({R + "kept": "1"})
    repo.git("config", "core.fileMode", str(honoured).lower())
    repo.write({R + "new": "1"})
    (repo.top / R / "new").chmod(0o755)
    untracked = diff.to_worktree(repo.open(), base, ROOTS)
    repo.git("add", "-A")
    assert untracked == diff.to_index(repo.open(), base, ROOTS)


def test_a_touch_and_a_change_taken_back_are_no_change(repo: Repo) -> None:
    base = repo.commit({R + "a": "1\n"})
    os.utime(repo.top / R / "a", (1, 1))
    assert diff.to_worktree(repo.open(), base, ROOTS) == ()
    repo.stage({R + "a": "2\n"})
    repo.write({R + "a": "1\n"})
    assert diff.to_worktree(repo.open(), base, ROOTS) == ()
    assert seen(diff.to_worktree(repo.open(), None, ROOTS)) == {b"a": "modified"}


def test_a_change_that_the_disk_does_not_tell(repo: Repo, how: str) -> None:
    """A network drive may keep neither times nor inodes."""
    file = repo.top / R / "a"
    base = repo.commit({R + "a": "1\n"})
    os.utime(file, (1, 1))
    repo.git("update-index", "--refresh")
    repo.git("config", "core.trustctime", "false")
    with file.open("r+") as opened:
        opened.write("2")
    os.utime(file, (1, 1))
    expected = {b"a": "modified"} if how == "content_hash" else {}
    assert seen(diff.to_worktree(repo.open(), base, ROOTS)) == expected


def test_what_git_was_told_not_to_look_at(repo: Repo) -> None:
    base = repo.commit({R + "a": "1\n", R + "b": "1\n"})
    repo.git("update-index", "--skip-worktree", R + "a")
    repo.git("update-index", "--assume-unchanged", R + "b")
    repo.write({R + "a": None, R + "b": "2\n"})
    assert diff.to_worktree(repo.open(), base, ROOTS) == ()


def test_ignored_and_untracked_files(repo: Repo) -> None:
    base = repo.commit({".gitignore": "*.tmp\n", R + "a": "1"})
    repo.write({R + "b.tmp": "x", R + "c": "x"})
    repo.git("rm", "-q", "--cached", R + "a")
    assert seen(diff.to_worktree(repo.open(), base, ROOTS)) == {b"c": "added"}
    assert seen(diff.to_index(repo.open(), base, ROOTS)) == {b"a": "deleted"}


def test_filters_decide_what_a_file_on_disk_is(repo: Repo) -> None:
    base = repo.commit({".gitattributes": "*.csv text eol=crlf\n", R + "a.csv": "1\n2\n"})
    repo.write({R + "a.csv": "1\r\n2\r\n"})
    assert diff.to_worktree(repo.open(), base, ROOTS) == ()


def test_nothing_of_the_users_is_touched(repo: Repo) -> None:
    base = repo.commit({R + "a": "1", R + "b": "1"})
    os.utime(repo.top / R / "a", (1, 1))
    repo.stage({R + "b": "2"})
    repo.write({R + "c": "3"})
    index = repo.top / ".git/index"
    before = (index.read_bytes(), index.stat().st_mtime_ns, repo.git("rev-parse", "HEAD"))
    sides(repo, base)
    assert (index.read_bytes(), index.stat().st_mtime_ns, repo.git("rev-parse", "HEAD")) == before


def test_another_index_is_honoured(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    base = repo.commit({R + "a": "1", R + "b": "1"})
    repo.stage({R + "a": "2"})
    (repo.top / ".git/other").write_bytes((repo.top / ".git/index").read_bytes())
    repo.stage({R + "b": "2"})
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/other")
    assert seen(diff.to_index(repo.open(), base, ROOTS)) == {b"a": "modified"}


def test_an_intended_and_an_unmerged_file(repo: Repo) -> None:
    base = repo.commit({R + "a": "1"})
    repo.write({R + "new": "x"})
    repo.git("add", "-N", R + "new")
    assert seen(diff.to_worktree(repo.open(), base, ROOTS)) == {b"new": "added"}
    repo.git("rm", "-q", "--cached", R + "new")
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({R + "a": "side"})
    repo.git("checkout", "-q", "main")
    repo.commit({R + "a": "main"})
    assert repo.try_git("merge", "side").returncode != 0
    assert b"a" in seen(diff.to_worktree(repo.open(), "HEAD", ROOTS))


def test_sha256_linked_worktrees_and_first_commits(tmp_path: Path) -> None:
    top = tmp_path / "sha256"
    top.mkdir()
    repo = Repo(top)
    repo.git("init", "-q", "--object-format=sha256")
    opened = repo.open()
    assert opened.head() is None
    repo.write({R + "a": "1"})
    (repo.top / R / "link").symlink_to("a")
    assert seen(diff.to_worktree(opened, opened.empty_tree, ROOTS)) == {b"a": "added", b"link": "added"}
    repo.commit({R + "a": "1", R + "link": b"x"})
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "side")
    linked = Repository.discover(tmp_path / "linked")
    assert linked.worktree_name == "linked"
    assert opened.worktree_name is None
    assert linked.shared_dir == opened.shared_dir
    assert diff.to_worktree(linked, "HEAD", ROOTS) == ()


def test_where_there_is_no_working_tree(tmp_path: Path, repo: Repo) -> None:
    with pytest.raises(GitError, match="not in a git repository"):
        Repository.discover(tmp_path)
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "bare")], check=True)
    with pytest.raises(GitError, match="bare repository"):
        Repository.discover(tmp_path / "bare")
    with pytest.raises(GitError, match="inside the git directory"):
        Repository.discover(repo.top / ".git")
    with pytest.raises(GitError, match="is not there"):
        Repository.discover(tmp_path / "nowhere")
    repo.write({"file": "x"})
    with pytest.raises(GitError, match="file is no folder"):
        Repository.discover(repo.top / "file")


def test_a_repository_whose_path_has_newlines(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "one\n.git\n" / "two\r\n")
    (repo.top / "sub").mkdir(parents=True)
    repo.git("init", "-q")
    for found in (repo.open(), Repository.discover(repo.top / "sub")):
        assert (found.top, found.git_dir, found.common_dir) == (
            repo.top,
            repo.top / ".git",
            repo.top / ".git",
        )
    base = repo.commit({"README": "x"})
    repo.write({R + "a": "1"})
    assert seen(diff.to_worktree(repo.open(), base, ROOTS)) == {b"a": "added"}


@pytest.mark.parametrize("name", ["nowhere", "HEAD~99", "", "a\nb", "HEAD:file", "--all", "-x"])
def test_a_revision_that_is_not_there(repo: Repo, name: str) -> None:
    repo.commit({"file": "1"})
    with pytest.raises(UsageError):
        repo.open().resolve(name)


def test_revisions(repo: Repo) -> None:
    first = repo.commit({R + "a": "1"})
    repo.git("tag", "-a", "v1", "-m", "x")
    second = repo.commit({R + "a": "2"})
    found = repo.open().resolve("v1", "HEAD", "HEAD^{tree}", "HEAD:data")
    assert [r.commit for r in found] == [first, second, None, None]
    assert found[2].tree == repo.git("rev-parse", "HEAD^{tree}")
