"""What a hook compares, and what becomes of git's own command where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raw_trigger.cli import hook
from raw_trigger.cli.app import app
from raw_trigger.hooks.event import hook_events
from raw_trigger.lock import LockError
from raw_trigger.workspace.workspace import open_workspace
from tests.conftest import Repo

R = "data/1_raw/"
ZEROS = "0" * 40
GONE = "1" * 40


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """``main`` with two commits of raw files, ``side`` with one, ``code`` with none; a tag on each of main's."""
    (tmp_path / "repo").mkdir()
    made = Repo(tmp_path / "repo")
    made.git("init", "-q", "-b", "main")
    made.commit({"raw-trigger.yaml": "root: data/1_raw\n", R + "a": "1", R + "b": "1"})
    made.git("tag", "-a", "-m", "old", "old")
    made.git("checkout", "-q", "-b", "code")
    made.commit({"code": "1"})
    made.git("checkout", "-q", "-b", "side", "main")
    made.commit({R + "a": "side"})
    made.git("checkout", "-q", "main")
    made.commit({R + "b": "2"})
    made.git("tag", "-a", "-m", "new", "new")
    return made


HERE = ("HEAD", None)
PUSHES: dict[str, tuple[str, list[tuple[str, list[str] | None]]]] = {
    "HEAD": ("refs/heads/main main refs/heads/main old", [HERE]),
    "by another name": ("HEAD main refs/heads/other 0", [HERE]),
    "the tag of HEAD": ("refs/tags/new new refs/tags/new 0", [HERE]),
    "with its tag": ("refs/tags/new new refs/tags/new 0|refs/heads/main main refs/heads/main old", [HERE]),
    "a deletion": ("(delete) 0 refs/heads/side side", []),
    "up to date": ("", []),
    "an older tag": ("refs/tags/old old refs/tags/old 0", []),
    "a new branch": ("refs/heads/side side refs/heads/side 0", [("side", ["a"])]),
    "a branch without raw data": ("refs/heads/code code refs/heads/code 0", []),
    "a branch that the remote has": ("refs/heads/side side refs/heads/side side", []),
    "another base": ("refs/heads/side side refs/heads/main main", [("side", ["a", "b"])]),
    "a base that is not here": (f"refs/heads/side side refs/heads/side {GONE}", [("side", ["a"])]),
    "a part of HEAD": ("refs/heads/old old^{} refs/heads/main 0", []),
    "several": (
        "refs/heads/side side refs/heads/side 0|(delete) 0 refs/heads/x side|HEAD main refs/heads/main 0",
        [HERE, ("side", ["a"])],
    ),
    "a tag of a file": ("refs/tags/key main:raw-trigger.yaml refs/tags/key 0", []),
    "what is no commit": ("refs/raw-trigger/local main^{tree} refs/raw-trigger/local 0", []),
}


@pytest.mark.parametrize(("lines", "expected"), PUSHES.values(), ids=PUSHES)
def test_a_push_is_about_what_is_pushed(
    repo: Repo, lines: str, expected: list[tuple[str, list[str] | None]]
) -> None:
    def oid(name: str) -> str:
        if name in ("0", GONE):
            return ZEROS if name == "0" else name
        return repo.git("rev-parse", name)

    told = [line.split(" ") for line in lines.split("|") if line]
    stdin = "".join(f"{ref} {oid(new)} {remote} {oid(old)}\n" for ref, new, remote, old in told)
    workspace = open_workspace(repo.top)
    events = hook_events(workspace, "pre-push", ("origin", "url"), stdin.encode(), {})
    assert [
        (
            event.desired.name,
            None if event.pushed is None else sorted(p.decode()[len(R) :] for p in event.pushed),
        )
        for event in events
    ] == expected
    assert all(event.refuses for event in events)


def test_a_push_through_a_framework_and_by_hand(repo: Repo) -> None:
    workspace = open_workspace(repo.top)
    environ = {
        "PRE_COMMIT_TO_REF": repo.git("rev-parse", "side"),
        "PRE_COMMIT_FROM_REF": repo.git("rev-parse", "old^{}"),
        "PRE_COMMIT_LOCAL_BRANCH": "refs/heads/side",
    }
    [event] = hook_events(workspace, "pre-push", (), b"", environ)
    assert (event.desired.name, event.pushed) == ("side", {b"data/1_raw/a"})
    [event] = hook_events(workspace, "pre-push", (), b"", {})
    assert (event.desired.name, event.pushed) == ("HEAD", None)


def broken_configuration(repo: Repo, _: pytest.MonkeyPatch) -> None:
    repo.write({"raw-trigger.yaml": "nonsense: 1\n"})


def two_configurations(repo: Repo, _: pytest.MonkeyPatch) -> None:
    repo.write({"raw-trigger.yml": ""})


def no_interpreter(repo: Repo, _: pytest.MonkeyPatch) -> None:
    repo.write(
        {
            "raw-trigger.yaml": "hooks: {pre-push: run}\ndagster: {python: /nowhere/python}\n",
            "pyproject.toml": "[tool.dagster]\nmodule_name = 'x'\n",
        }
    )


def raising(kind: type[BaseException], *args: object) -> Callable[[Repo, pytest.MonkeyPatch], None]:
    def install(_: Repo, patch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise kind(*args)  # a new one: its traceback keeps the repository open

        patch.setattr(hook, "_projects", fail)

    return install


TROUBLE: dict[str, tuple[Callable[[Repo, pytest.MonkeyPatch], None], int, str]] = {
    "configuration": (broken_configuration, 2, "raw-trigger.yaml:1:1: unknown key 'nonsense'"),
    "two of them": (two_configurations, 2, "raw-trigger.yml"),
    "interpreter": (no_interpreter, 3, "/nowhere/python"),
    "lock": (raising(LockError, "held", "wait"), 3, "raw-trigger: held\n  wait\n"),
    "bug": (raising(ZeroDivisionError), 70, "this is a bug"),
    "disk": (raising(OSError, 28, "No space left on device", "x"), 3, "x cannot be used"),
    "interruption": (raising(KeyboardInterrupt), 130, "interrupted"),
}


@pytest.mark.parametrize(("trouble", "status", "words"), TROUBLE.values(), ids=TROUBLE)
def test_what_comes_after_git_has_no_say_in_it(
    repo: Repo,
    trouble: Callable[[Repo, pytest.MonkeyPatch], None],
    status: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error of ours is told, and git's own command goes on; a commit and a push are refused by it."""
    repo.git("update-ref", "refs/raw-trigger/local", repo.git("rev-parse", "old^{tree}"))
    repo.stage({R + "a": "2"})
    trouble(repo, monkeypatch)
    head = repo.git("rev-parse", "HEAD")
    for name, *args in (
        ("post-checkout", head, head, "1"),
        ("post-merge", "0"),
        ("post-commit",),
        ("post-rewrite", "amend"),
        ("pre-commit",),
        ("pre-push", "origin", "url"),
    ):
        lines = f"HEAD {head} refs/heads/main {ZEROS}\n"
        done = CliRunner().invoke(app, ["-C", str(repo.top), "hook", name, *args], input=lines)
        assert words in done.stderr, (name, done.output)
        assert done.exit_code == (0 if name.startswith("post-") else status), name
        assert ("is refused; `git" in done.output) == name.startswith("pre-"), name


WRONG = "nonsense: 1\n"
STAGED: dict[str, tuple[dict[str, str], dict[str, str], bool]] = {
    "broken": ({"raw-trigger.yaml": WRONG}, {}, True),
    "broken, and mended on disk only": ({"raw-trigger.yaml": WRONG}, {"raw-trigger.yaml": ""}, True),
    "of a new project": ({"app/raw-trigger.yml": WRONG}, {}, True),
    "too large": ({"raw-trigger.yaml": "#" * 1024 * 1024 + "\n"}, {"raw-trigger.yaml": ""}, True),
    "sound": ({"raw-trigger.yaml": "unmapped: ignore\n"}, {}, False),
    "nothing": ({"other": "1"}, {}, False),
    "broken elsewhere": ({"raw-trigger.yaml": ""}, {"other.yaml": WRONG}, False),
}


@pytest.mark.parametrize(("staged", "disk", "refused"), STAGED.values(), ids=STAGED)
def test_a_configuration_is_looked_at_as_it_is_staged(
    repo: Repo, staged: dict[str, str], disk: dict[str, str], refused: bool
) -> None:
    """With the words with which the next commit of raw data would be refused."""
    repo.git("update-ref", "refs/raw-trigger/local", "HEAD^{tree}")
    repo.stage({**staged})
    repo.write({**disk})
    done = CliRunner().invoke(app, ["-C", str(repo.top), "hook", "pre-commit"])
    assert done.exit_code == (2 if refused else 0), done.output
    assert ("the commit is refused" in done.output) == refused
    if refused and not disk:
        repo.git("commit", "-q", "-m", "all the same")
        [name] = staged
        repo.stage({f"{name.rpartition('raw-trigger.y')[0]}{R}new": "1"})
        again = CliRunner().invoke(app, ["-C", str(repo.top), "hook", "pre-commit"])
        assert (again.output, again.exit_code) == (done.output, 2)
