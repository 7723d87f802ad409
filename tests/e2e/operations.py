"""Every operation of git that moves raw data, and what the hooks are to make of it: one table.

Each starts from the same repository: ``a.csv`` to ``d.csv``, and from each of them one asset. The branches::

    start ── a ours ── c ours          main, checked out; its files are what is recorded
      │                   └─ b ahead   ahead
      ├─ b side                        side
      ├─ d third                       third
      ├─ b and c clash                 clash, which conflicts with main
      └─ README                        quiet, without raw data of its own

``origin`` is a bare repository with the same branches. An interpreter stands in for Dagster.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import SOAK
from tests.support.forks import Program
from tests.support.project import StandInProject

R = "data/1_raw/"

_WORDS = """
put() { printf '%s\\n' "$2" >"data/1_raw/$1.csv"; git add "data/1_raw/$1.csv"; }
edit() { printf '%s\\n' "$2" >"data/1_raw/$1.csv"; }
tool() { "$PROGRAM" "$@"; }
fails() { if "$@"; then echo "did not fail: $*" >&2; exit 1; fi; }
"""

_BRANCHES = """
git init -q && git add -A && git commit -q -m start && git tag start
git switch -q -c side && put b side && git commit -q -m 'b side'
git switch -q -c third start && put d third && git commit -q -m 'd third'
git switch -q -c clash start && put b clash && put c clash && git commit -q -m 'b and c clash'
git switch -q -c quiet start && echo quiet >README && git add README && git commit -q -m README
git switch -q main
put a ours && git commit -q -m 'a ours'
put c ours && git commit -q -m 'c ours'
git switch -q -c ahead && put b ahead && git commit -q -m 'b ahead'
git switch -q main
git clone -q --bare . ../origin.git && git remote add origin ../origin.git
"""


@dataclass(frozen=True)
class Operation:
    """One row.

    Attributes:
        script: What is done, in sh, with the hooks at work.
        hooks: The assets they materialize by its end, each as often as it is listed.
        pending: What is still to be done then, because no hook saw it or the one that did only tells.
        then: The next trigger, which makes that good.
        prepare: What is done before, behind the hooks' back.
    """

    name: str
    script: str
    hooks: str = ""
    pending: str = ""
    then: str = "git commit -q --allow-empty -m next"
    prepare: str = ":"


_REWORD = "GIT_EDITOR=true GIT_SEQUENCE_EDITOR='sed -i s/^pick/reword/' git rebase -q -i"

OPERATIONS = (
    # Commits
    Operation("commit", "put a new; git commit -q -m x", "a"),
    Operation("commit without raw data", "echo x >README; git add README; git commit -q -m x"),
    Operation("commit -a", "edit a new; git commit -q -a -m x", "a"),
    Operation("commit -p", "edit a new; edit b new; printf 'y\\nn\\n' | git commit -q -p -m x; git restore .", "a"),
    Operation("commit PATH", "edit a new; git commit -q -m x data/1_raw/a.csv", "a"),
    Operation("root commit", "git checkout -q --orphan root; put a new; git commit -q -m x", "a"),
    Operation("commit -n", "put a new; git commit -q -n -m x", "a"),
    Operation("commit --amend", "put b new; git commit -q --amend --no-edit", "b"),
    Operation("commit --amend of the message", "git commit -q --amend -m x"),
    # Merges
    Operation("merge, fast-forward", "git merge -q ahead", "b"),
    Operation("pull, fast-forward", "git pull -q origin ahead", "b"),
    Operation("pull --rebase without local commits", "git pull -q --rebase origin ahead", "b"),
    Operation("merge", "git merge -q --no-edit side", "b"),
    Operation("merge, octopus", "git merge -q --no-edit side third", "b d"),
    Operation("pull", "git pull -q --no-rebase --no-edit origin side", "b"),
    Operation("merge with a conflict, commit", "fails git merge -q clash; put c new; git commit -q --no-edit", "b c"),
    Operation(
        "merge with a conflict, --continue",
        "fails git merge -q clash; put c new; GIT_EDITOR=true git merge --continue",
        "b c",
    ),
    Operation("merge --no-commit", "git merge -q --no-commit side; git commit -q --no-edit", "b"),
    Operation("merge --squash", "git merge -q --squash side; git commit -q -m x", "b"),
    Operation("merge, already up to date", "git merge -q start"),
    # Rebases
    Operation("rebase", "git rebase -q side", "b"),
    Operation("pull --rebase", "git pull -q --rebase origin side", "b"),
    Operation(
        "rebase with a conflict",
        "fails git rebase -q clash; put c new; GIT_EDITOR=true git rebase --continue",
        "b c",
    ),
    Operation("rebase, fast-forward", "git rebase -q ahead", "b"),
    Operation(
        "rebase that drops all its commits",
        "git rebase -q ahead",
        "b c",
        prepare="git switch -q -c twin start; put a ours; git commit -q -m 'a twin'; tool adopt",
    ),
    Operation("rebase --abort", "fails git rebase -q clash; git rebase --abort"),
    Operation("rebase --apply", "git rebase -q --apply side", "b"),
    Operation(
        "rebase --apply of commits without raw data",
        "git rebase -q --apply side",
        "b",
        prepare="git switch -q quiet; tool adopt",
    ),
    # Its post-checkout is that of any checkout, and nothing comes after it.
    Operation("rebase --apply, fast-forward", "git rebase -q --apply ahead", "", "b", "tool run"),
    Operation("rebase -i, reword", f"{_REWORD} side", "b"),
    Operation(
        "rebase -i, reword of what came later",
        f"{_REWORD} side",
        "b",
        prepare="put a newer; git commit -q -m newer; tool adopt",
    ),
    Operation("rebase -i, squash", "GIT_EDITOR=true GIT_SEQUENCE_EDITOR='sed -i 2s/^pick/squash/' git rebase -q -i side", "b"),
    Operation("rebase -i, drop", "GIT_SEQUENCE_EDITOR='sed -i 1s/^pick/drop/' git rebase -q -i side", "a b"),
    Operation(
        "rebase -i, edit",
        "GIT_SEQUENCE_EDITOR='sed -i 1s/^pick/edit/' git rebase -q -i side; "
        "put d new; git commit -q --amend --no-edit; put d newer; git commit -q -m x; "
        "GIT_EDITOR=true git rebase --continue",
        "b d",
    ),
    Operation(
        "rebase -i, edit and a look elsewhere",
        "GIT_SEQUENCE_EDITOR='sed -i 2s/^pick/edit/' git rebase -q -i side; "
        "git checkout -q ahead; git checkout -q -; GIT_EDITOR=true git rebase --continue",
        "b",
    ),
    # No pick comes after what is dropped at the end.
    Operation("rebase -i, drop of the last", "GIT_SEQUENCE_EDITOR='sed -i 2s/^pick/drop/' git rebase -q -i start", "c"),
    # One commit at a time
    Operation("cherry-pick", "git cherry-pick side", "b"),
    Operation(
        "cherry-pick with a conflict",
        "fails git cherry-pick clash; put c new; GIT_EDITOR=true git cherry-pick --continue",
        "b c",
    ),
    Operation("revert", "git revert --no-edit HEAD", "c"),
    Operation("am", "git format-patch -q -1 --stdout side | git am -q", "", "b"),
    # Checkouts
    Operation("checkout", "git checkout -q side", "", "a b c", "tool run"),
    Operation("switch", "git switch -q ahead", "", "b", "tool run"),
    Operation("checkout -b", "git checkout -q -b new"),
    Operation("switch -c", "git switch -q -c new"),
    Operation("there and back", "git checkout -q side; git checkout -q main"),
    Operation("checkout of a file", "git checkout -q side data/1_raw/b.csv", "", "b", "git commit -q -m x"),
    Operation("restore of a file", "git restore -s side data/1_raw/b.csv", "", "b", "git commit -q -a -m x"),
    Operation("worktree add", "git worktree add -q ../linked side"),
    Operation(
        "clone",
        "mkdir ../template; cp -R .git/hooks ../template; git clone -q -b side --template=../template . ../clone; "
        "git -C ../clone diff --exit-code refs/raw-trigger/local HEAD -- data/1_raw",
    ),
    # What fires no hook
    Operation("reset --hard", "git reset -q --hard ahead", "", "b"),
    Operation("stash push", "git stash push -q", "", "a", "tool run", prepare="edit a new; tool run"),
    Operation("stash pop", "edit a new; git stash push -q; git stash pop -q", "", "a", "git commit -q -a -m x"),
    Operation("update-ref", "git update-ref HEAD ahead; git restore -SW .", "", "b"),
    Operation("fetch", "git fetch -q origin"),
    Operation("push", "git push -q origin main:new side"),
)  # fmt: skip

_THROUGH_A_FRAMEWORK = frozenset(("rebase",))
"""One hook after the other. `make soak` takes the rest too: they call the same hooks in other numbers,
and a framework takes its time for each.
"""

natively = pytest.mark.parametrize("operation", OPERATIONS, ids=[o.name for o in OPERATIONS])
_SOME = [o for o in OPERATIONS if SOAK or o.name in _THROUGH_A_FRAMEWORK]
through_a_framework = pytest.mark.parametrize("operation", _SOME, ids=[o.name for o in _SOME])


class Workshop:
    """The repository that each operation starts from: made once, and put back at the same place each time.

    At the same place, because the asset graph is cached by the paths it came from.
    """

    def __init__(self, folder: Path, program: Program) -> None:
        self._work, self._kept = folder / "work", folder / "kept"
        for name in ("control", "home"):
            (folder / name).mkdir()
        self.home = folder / "home"
        self.project = StandInProject(self._work / "project", folder / "control", program)

    def anew(
        self, monkeypatch: pytest.MonkeyPatch, install: Callable[[StandInProject], None]
    ) -> StandInProject:
        """The repository as it was once ``install`` had installed the hooks; nothing materialized since."""
        monkeypatch.setenv("DAGSTER_HOME", str(self.home))
        if not self._kept.exists():
            self._make(install)
        else:
            shutil.rmtree(self._work)
            shutil.copytree(self._kept, self._work, symlinks=True)
        self.project.made()
        return self.project

    def _make(self, install: Callable[[StandInProject], None]) -> None:
        project = self.project
        project.top.mkdir(parents=True)
        names = "abcd"
        project.write({f"{R}{n}.csv": "start\n" for n in names})
        project.define({f"raw/{n}": {} for n in names})
        project.configure()
        install(project)
        run(project, "tool adopt", hooks=False)
        self._work.parent.mkdir(exist_ok=True)
        shutil.copytree(self._work, self._kept, symlinks=True)


def begin(project: StandInProject) -> None:
    """The branches, committed from the files that are there."""
    run(project, _BRANCHES, hooks=False)


def run(project: StandInProject, script: str, *, hooks: bool = True) -> str:
    """What the script, which has to succeed, says."""
    off = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.hooksPath", "GIT_CONFIG_VALUE_0": os.devnull}
    done = subprocess.run(
        ["sh", "-e", "-c", _WORDS + script],
        cwd=project.top,
        env={**os.environ, "PROGRAM": str(project.program.script), "NO_COLOR": "1", **({} if hooks else off)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}"
    return done.stdout


def judge(project: StandInProject, operation: Operation) -> None:
    """Fails where anything was missed, materialized that should not be, or materialized once more."""
    run(project, operation.prepare, hooks=False)
    project.made()
    said = run(project, operation.script)
    assert project.made() == _assets(operation.hooks), said
    if operation.pending:
        said = run(project, operation.then)
        assert project.made() == _assets(operation.pending), said
    again = project.tool("run")
    assert (again.returncode, project.made()) == (0, []), again.stdout + again.stderr
    assert project.git("diff", "--name-only", "refs/raw-trigger/local", "HEAD", "--", R) == ""


def _assets(names: str) -> list[str]:
    return [f"raw/{name}" for name in names.split()]
