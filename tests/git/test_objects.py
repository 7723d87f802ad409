"""Objects are read through processes that are kept open, and the answers are those of fresh ones."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from raw_trigger.errors import GitError
from raw_trigger.repo.objects import Objects
from raw_trigger.repo.trees import found_at, rewrite, stored
from tests.conftest import Repo


@pytest.fixture(params=["as it is", "before 2.36"])
def git(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Notes how git is called; an old one does not know `--batch-command`. Returns the notes."""
    notes = tmp_path / "calls"
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    old = 'case "$*" in *--batch-command*) exit 129 ;; esac\n' if request.param != "as it is" else ""
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho "$*" >>"{notes}"\n{old}exec "{real}" "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    return notes


def children() -> set[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=,comm=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split(None, 1) for line in listed.splitlines())
    return {int(pid) for pid, name in rows if name.startswith("git")}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No process outlives what has asked it."""
    yield
    gc.collect()
    assert children() == set()


def test_many_questions_are_two_processes_at_most(repo: Repo, git: Path) -> None:
    repo.commit({f"folder {n}/{n}": f"{n}\n" * n for n in range(300)})
    objects = repo.open().objects
    head = repo.git("rev-parse", "HEAD")
    git.unlink()
    paths = [f"folder {n}/{n}".encode() for n in range(300)]
    found = found_at(opened := repo.open(), head, paths)
    oids = [found[path].oid for path in paths]
    assert opened.objects.contents(oids) == [f"{n}\n".encode() * n for n in range(300)]
    looked = opened.objects.look(*oids, "HEAD", "refs/heads/none", "0" * 40, "x" * 5000, "a blob 1")
    assert [one.size for one in looked[:300] if one is not None] == [len(f"{n}\n") * n for n in range(300)]
    assert looked[300] == (head, "commit", len(repo.git("cat-file", "commit", "HEAD")) + 1)
    assert looked[301:] == [None, None, None, None]
    calls = [line for line in git.read_text().splitlines() if line.startswith("cat-file --")]
    assert len(calls) <= 3
    objects.close()


def test_what_others_write_meanwhile_is_seen(repo: Repo, git: Path) -> None:
    first = repo.commit({"a": "1"})
    objects = repo.open().objects
    blob = "da8c4da2bc9a3a2b4a8a5b0a9c2cd0b6e2d5a4ab"
    assert [one and one.oid for one in objects.look("HEAD", blob)] == [first, None]
    second = repo.commit({"a": "2"})
    oid = repo.git("rev-parse", "HEAD:a")
    repo.git("gc", "-q", "--prune=now")
    assert objects.contents([oid]) == [b"2"]
    assert [one and one.oid for one in objects.look("HEAD")] == [second]
    repo.git("update-ref", "refs/x", f"{first}^{{tree}}")
    [tree] = objects.look("refs/x")
    assert tree is not None
    assert tree.kind == "tree"
    assert objects.tree("refs/x") == objects.tree(first)


def test_a_process_that_is_killed_is_replaced(repo: Repo, git: Path) -> None:
    repo.commit({"a": "1"})
    objects = repo.open().objects
    before = objects.look("HEAD")
    for pid in children():
        os.kill(pid, signal.SIGINT)
    assert objects.look("HEAD") == before
    for pid in children():
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
    assert objects.look("HEAD") == before


def test_an_answer_that_was_not_waited_for_is_not_taken_for_the_next(
    repo: Repo, git: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.commit({"a": "1", "b": "22"})
    one, other = (repo.git("rev-parse", f"HEAD:{name}") for name in "ab")
    objects = repo.open().objects
    objects.contents([one])

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("raw_trigger.repo.objects._answer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            objects.contents([one])
    assert objects.contents([other, one]) == [b"22", b"1"]


def test_threads_do_not_get_each_others_answers(repo: Repo, git: Path) -> None:
    repo.commit({str(n): f"{n}" for n in range(50)})
    objects = repo.open().objects
    oids = {n: repo.git("rev-parse", f"HEAD:{n}") for n in range(50)}
    with ThreadPoolExecutor(8) as pool:
        asked = [n for _ in range(10) for n in oids]
        told = list(pool.map(lambda n: objects.contents([oids[n]]), asked))
    assert told == [[f"{n}".encode()] for n in asked]


def test_what_is_damaged_says_so_and_ends_nothing(repo: Repo, git: Path) -> None:
    repo.commit({"a": "1", "b": "2"})
    bad, good = (repo.git("rev-parse", f"HEAD:{name}") for name in "ab")
    file = repo.top / ".git/objects" / bad[:2] / bad[2:]
    file.chmod(0o644)
    file.write_bytes(zlib.compress(b"blob 999\0" + os.urandom(999))[:500])
    objects = repo.open().objects
    with pytest.raises(GitError, match="git cat-file failed: .*" + bad):
        objects.contents([good, bad, good])
    assert objects.contents([good]) == [b"2"]
    with pytest.raises(GitError, match="is missing"):
        objects.contents(["1" * 40])
    with pytest.raises(GitError, match=f"the tree {good} is not in the object database"):
        objects.tree(good)
    with pytest.raises(GitError, match="line break"):
        objects.look("a\nb")


def test_a_repository_of_the_other_format(tmp_path: Path, git: Path) -> None:
    made = Repo(tmp_path / "sha256")
    made.top.mkdir()
    made.git("init", "-q", "--object-format=sha256")
    made.commit({"x/a": "1"})
    opened = made.open()
    [entry] = stored(opened, {b"x/b": "2"}).values()
    tree = rewrite(opened, "HEAD", {b"x/b": entry, b"x/a": None})
    assert len(tree) == 64
    assert found_at(opened, tree, [b"x/b", b"x", b"x/a", b"y/z"]).keys() == {b"x", b"x/b"}
    assert opened.objects.contents([entry.oid]) == [b"2"]
    assert len(opened.empty_tree) == 64


def test_it_ends_with_the_process_that_asks(repo: Repo) -> None:
    """Also where that still has it when it ends, and where a fork of it ends first."""
    repo.commit({"a": "1"})
    code = (
        "import os, sys; from pathlib import Path; from raw_trigger.repo.repository import Repository\n"
        "repo = Repository.discover(Path.cwd()); head = repo.head()\n"
        "if os.fork() == 0:\n"
        "    assert repo.head() == head; sys.exit()\n"
        "assert os.wait()[1] == 0 and repo.head() == head and head is not None\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code],
        cwd=repo.top,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_that_is_gone_is_an_error(repo: Repo) -> None:
    repo.commit({"a": "1"})
    opened = repo.open()
    objects = Objects(opened.git)
    repo.top.rename(repo.top.with_name("elsewhere"))
    with pytest.raises(GitError, match="is not there"):
        objects.look("HEAD")
