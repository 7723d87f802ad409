"""The hooks beside those of husky, lefthook and simple-git-hooks, the real ones, and in folders of others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from raw_trigger.install import missing, missing_warning, uninstall_hooks
from tests.support.hooked import RAW, Hooked, hooked, snapshot

pytestmark = pytest.mark.soak

TOOLS = ("husky@9", "lefthook@2", "simple-git-hooks@2")


def installed(folder: Path, *tools: str) -> Path:
    """Returns the folder of some packages."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not here")
    (folder / "package.json").write_text("{}")
    # Their own installation would look for a repository.
    subprocess.run([npm, "install", "--silent", "--ignore-scripts", *tools], cwd=folder, check=True)
    return folder / "node_modules"


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("npm"), *TOOLS)


@pytest.fixture
def repo(tmp_path: Path, node_modules: Path) -> Hooked:
    made = hooked(tmp_path / "repo", tmp_path / "tools")
    uninstall_hooks(made.hooks)
    (made.top / "node_modules").symlink_to(node_modules)
    made.commit({".gitignore": "node_modules\nran\n"})
    return made


def tool(repo: Hooked, name: str, *args: str) -> None:
    program = repo.top / "node_modules/.bin" / name
    done = subprocess.run([program, *args], cwd=repo.top, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def ran(repo: Hooked) -> str:
    path = repo.top / "ran"
    text = path.read_text() if path.exists() else ""
    path.unlink(missing_ok=True)
    return text


def commit_raw(repo: Hooked, content: str) -> tuple[str, list[str]]:
    """What the other tool's hook did, and which of ours started the program."""
    repo.stage({RAW: content})
    done = repo.try_git("commit", "-m", content)
    assert done.returncode == 0, done.stderr
    return ran(repo), repo.started()


REST = ("post-commit", "post-merge", "post-rewrite", "post-checkout")
OURS = ["pre-commit", "post-commit"]


def lefthook_says(repo: Hooked, word: str, *hooks: str) -> None:
    commands = {"commands": {"a": {"run": f"echo {word} >>ran"}}}
    repo.write({"lefthook.yml": json.dumps(dict.fromkeys(hooks, commands))})


def simple_git_hooks_say(repo: Hooked, word: str) -> None:
    repo.write({"package.json": json.dumps({"simple-git-hooks": {"pre-commit": f"echo {word} >>ran"}})})


def test_husky(repo: Hooked) -> None:
    repo.install()
    repo.write({".husky/pre-commit": 'echo "husky $0" >>ran\n'})
    tool(repo, "husky")
    assert "core.hooksPath has git run the hooks in" in str(missing_warning(repo.top, repo.git_dir))
    assert commit_raw(repo, "a") == ("husky .husky/pre-commit\n", [])
    before = snapshot(repo.hooks)
    for content in ("b", "c"):
        repo.install()
        assert missing_warning(repo.top, repo.git_dir) is None
        assert commit_raw(repo, content) == ("husky .husky/pre-commit\n", OURS)
        tool(repo, "husky")  # as every `npm install` does
        assert missing(repo.hooks) == ("pre-commit", *REST)
    repo.install()
    uninstall_hooks(repo.hooks, repo.git_dir)
    assert snapshot(repo.hooks) == before
    assert repo.git("status", "--porcelain", "-uall", "--ignored=no") == "?? .husky/pre-commit"
    assert missing_warning(repo.top, repo.git_dir) is None


def test_lefthook(repo: Hooked) -> None:
    lefthook_says(repo, "one", "pre-commit")
    tool(repo, "lefthook", "install")
    repo.install()
    assert commit_raw(repo, "a") == ("one\n", OURS)
    # It notices an edit of its file in its own hook, and puts its hooks in the place of ours.
    lefthook_says(repo, "two", "pre-commit", "post-commit")
    os.utime(repo.top / "lefthook.yml", (0, 0))
    assert commit_raw(repo, "b") == ("two\ntwo\n", ["pre-commit"])
    assert missing(repo.hooks) == ("pre-commit", "post-commit")
    for content in ("c", "d"):
        repo.install()
        assert missing(repo.hooks) == ()
        assert commit_raw(repo, content) == ("two\ntwo\n", OURS)
        tool(repo, "lefthook", "install", "--force")


def test_simple_git_hooks(repo: Hooked) -> None:
    repo.install()
    for word in ("one", "two"):
        simple_git_hooks_say(repo, word)
        tool(repo, "simple-git-hooks")
        # It takes away every hook that it has no command for.
        assert missing(repo.hooks) == ("pre-commit", *REST)
        assert commit_raw(repo, word) == (f"{word}\n", [])
        repo.install()
        assert commit_raw(repo, f"{word} again") == (f"{word}\n", OURS)


def test_husky_8(repo: Hooked, tmp_path: Path) -> None:
    """Its hooks read a file beside them, and are in git."""
    (repo.top / "node_modules").unlink()
    (repo.top / "node_modules").symlink_to(installed(tmp_path, "husky@8"))
    repo.write({"package.json": "{}"})
    tool(repo, "husky", "install")
    tool(repo, "husky", "add", ".husky/pre-commit", 'echo "husky $(basename "$0")" >>ran')
    repo.commit({".husky/pre-commit": (repo.top / ".husky/pre-commit").read_text()})
    (repo.top / ".husky/pre-commit").chmod(0o755)
    repo.commit({"other": "2"})
    before = snapshot(repo.hooks)
    ran(repo)
    assert commit_raw(repo, "a") == ("husky pre-commit\n", [])
    for content in ("b", "c"):
        repo.install()
        assert missing_warning(repo.top, repo.git_dir) is None
        assert commit_raw(repo, content) == ("husky pre-commit\n", OURS)
        tool(repo, "husky", "install")
    uninstall_hooks(repo.hooks, repo.git_dir)
    assert snapshot(repo.hooks) == before
    assert commit_raw(repo, "d") == ("husky pre-commit\n", [])


def test_husky_4(repo: Hooked, tmp_path: Path) -> None:
    """It has a hook of every name, each of which reads two files beside it."""
    (repo.top / "node_modules").unlink()
    shutil.copytree(installed(tmp_path, "husky@4"), repo.top / "node_modules", symlinks=True)
    hooks = {"pre-commit": "echo $0 >>ran", "commit-msg": "echo msg $HUSKY_GIT_PARAMS >>ran"}
    repo.write(
        {"package.json": json.dumps({"husky": {"hooks": {**hooks, "post-commit": "echo post >>ran"}}})}
    )

    def husky(what: str) -> None:
        subprocess.run(
            ["node", "husky", what],
            cwd=repo.top / "node_modules/husky",
            env={**os.environ, "INIT_CWD": str(repo.top), "npm_config_user_agent": "npm/9"},
            check=True,
        )

    husky("install")
    before = snapshot(repo.hooks)
    first = commit_raw(repo, "a")
    assert first[0].endswith("msg .git/COMMIT_EDITMSG\npost\n")
    for content in ("b", "c"):
        repo.install()
        assert commit_raw(repo, content) == (first[0], OURS)
        husky("install")
        assert missing(repo.hooks) == ()
    uninstall_hooks(repo.hooks, repo.git_dir)
    assert snapshot(repo.hooks).keys() == before.keys(), "in each of them is when husky wrote it"
    assert commit_raw(repo, "d") == first


def test_a_folder_of_all_repositories(repo: Hooked, tmp_path: Path) -> None:
    """What is there is called as before, here and in a repository that knows nothing of it."""
    shared = tmp_path / "hooks of all"
    shared.mkdir()
    repo.git("config", "--global", "core.hooksPath", str(shared))
    theirs = shared / "pre-commit"
    theirs.write_text('#!/bin/sh\necho "$(basename "$0")" >>ran\n')
    theirs.chmod(0o755)
    other = Hooked(tmp_path / "other", tmp_path / "tools")
    other.top.mkdir()
    other.git("init", "-q")
    before = snapshot(shared)
    repo.install()
    assert repo.hooks == shared
    assert commit_raw(repo, "a") == ("pre-commit\n", OURS)
    other.commit({"README": "x"})
    assert (ran(other), other.started()) == ("pre-commit\n", [])
    uninstall_hooks(repo.hooks, repo.git_dir)
    assert snapshot(shared) == before
    assert commit_raw(repo, "b") == ("pre-commit\n", [])
