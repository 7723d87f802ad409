"""Whatever a person does with git and however runs end: nothing is lost, nothing runs twice.

The gate takes the same steps every time. ``make soak`` takes others, as many as ``RAW_TRIGGER_SOAK`` says.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.conftest import REPOSITORY_TOP, SOAK
from tests.git.machine import CONTENTS, PATHS, ROOT, RULES, TARGETS, Mischief, World, start

STEPS = 25
EXAMPLES = 8
HALVES = 2
"""Two tests, so that two processes share the work."""

paths = st.sampled_from(list(PATHS))
contents = st.sampled_from(CONTENTS)
branches = st.sampled_from(["main", "one", "two"])


class Machine(RuleBasedStateMachine):
    """Steps between which the promises have to hold."""

    folder: Path
    numbers: Iterator[int]
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        top = self.folder / f"repo-{next(self.numbers)}"
        shutil.copytree(self.folder / "template", top, symlinks=True)
        self.world = World(top)
        self.serial = 0

    def teardown(self) -> None:
        shutil.rmtree(self.world.top)

    @initialize(adopted=st.booleans())
    def begin(self, adopted: bool) -> None:
        if adopted:
            self.world.adopt("HEAD")

    # Files

    @rule(path=paths, content=contents)
    def edit(self, path: str, content: str) -> None:
        self.world.write(path, content)

    @rule(path=paths, content=contents)
    def edit_and_run(self, path: str, content: str) -> None:
        self.world.write(path, content)
        self.run()

    @rule(path=paths)
    def delete(self, path: str) -> None:
        self.world.write(path, None)

    @rule(old=paths, new=paths)
    def rename(self, old: str, new: str) -> None:
        file = self.world.file(old)
        if old != new and file.is_file():
            content = file.read_text()
            self.world.write(old, None)
            self.world.write(new, content)

    @rule(path=paths)
    def touch(self, path: str) -> None:
        if self.world.file(path).is_file():
            self.world.file(path).touch()

    @rule(content=contents)
    def folder_becomes_file(self, content: str) -> None:
        self.world.write("folder", content)

    @rule(content=contents)
    def file_becomes_folder(self, content: str) -> None:
        self.world.write("folder/x.csv", content)

    @rule(number=st.integers(0, 3), committed=st.booleans())
    def edit_rules(self, number: int, committed: bool) -> None:
        if self.world.busy():
            return
        self.world.use_rules(number)
        if committed:
            done = self.world.try_git("commit", "-q", "-m", "rules", "--", "raw-trigger.yaml")
            if done.returncode == 0:
                self.world.hook("post-commit")

    # Commits

    @rule(path=paths)
    def stage(self, path: str) -> None:
        self.world.try_git("add", "-A", "--", f"{ROOT}/{path}")

    @rule()
    def stage_all(self) -> None:
        self.world.try_git("add", "-A")

    @rule(everything=st.booleans())
    def commit(self, everything: bool) -> None:
        """With its hooks."""
        if everything:
            self.world.try_git("add", "-A")
        if self.unmerged():
            return
        if self.world.hook("pre-commit"):
            self._committed()

    @rule(everything=st.booleans(), attended=st.booleans())
    def commit_without(self, everything: bool, attended: bool) -> None:
        """With ``--no-verify``, or with no hooks at all."""
        if everything:
            self.world.try_git("add", "-A")
        self._committed(attended=attended)

    def _committed(self, *args: str, attended: bool = True) -> None:
        self.serial += 1
        done = self.world.try_git("commit", "-q", "-m", f"{self.serial}", *args)
        if done.returncode == 0 and attended:
            self.world.hook("post-commit")

    @rule()
    def amend(self) -> None:
        if self.world.busy() or self.unmerged():
            return
        old = self.world.git("rev-parse", "HEAD")
        if self.world.hook("pre-commit"):
            self._committed("--amend", "--allow-empty")
            new = self.world.git("rev-parse", "HEAD")
            self.world.hook("post-rewrite", "amend", stdin=f"{old} {new}\n")

    # Branches

    @rule(branch=branches)
    def switch(self, branch: str) -> None:
        if self.world.busy():
            return
        old = self.world.git("rev-parse", "HEAD")
        known = self.world.try_git("rev-parse", "-q", "--verify", f"refs/heads/{branch}").returncode == 0
        args = [branch] if known else ["-b", branch]
        if self.world.try_git("checkout", "-q", *args).returncode == 0:
            self.world.hook("post-checkout", old, self.world.git("rev-parse", "HEAD"), "1")

    @rule(branch=branches, how=st.sampled_from(["", "--no-ff", "--squash", "--no-commit"]), path=paths)
    def merge(self, branch: str, how: str, path: str) -> None:
        if self.world.busy():
            return
        before = self.world.git("rev-parse", "HEAD")
        done = self.world.try_git("merge", "-q", *([how] if how else []), branch)
        if self._conflicted():
            return
        moved = self.world.git("rev-parse", "HEAD") != before
        if done.returncode == 0 and (moved or how == "--squash"):
            self.world.hook("post-merge", "1" if how == "--squash" else "0")

    def unmerged(self) -> list[str]:
        """The paths of the index whose conflict is not resolved."""
        records = self.world.git("ls-files", "-u", "-z").split("\0")[:-1]
        return sorted({record.split("\t", 1)[1] for record in records})

    def _conflicted(self) -> bool:
        """Whether there is a conflict; that of the rules is resolved at once, as ours."""
        names = self.unmerged()
        if "raw-trigger.yaml" in names:
            (self.world.top / "raw-trigger.yaml").write_text(RULES[self.world.rules][0])
            self.world.git("add", "raw-trigger.yaml")
        return bool(names)

    @precondition(lambda self: self.world.busy())
    @rule(ours=st.booleans())
    def resolve(self, ours: bool) -> None:
        """Take one side of every conflict and commit, with the hooks."""
        world = self.world
        for _ in range(10):
            if not world.busy():
                break
            self._conflicted()
            for path in self.unmerged():
                side = world.try_git("checkout", "--ours" if ours else "--theirs", "--", path)
                if side.returncode != 0:
                    world.try_git("rm", "-q", "-f", "--", path)
                world.try_git("add", "-A", "--", path)
            rebasing = (world.top / ".git" / "rebase-merge").exists()
            if rebasing:
                done = world.try_git("-c", "core.editor=true", "rebase", "--continue")
                if done.returncode != 0 and not self.unmerged():
                    world.try_git("rebase", "--skip")
                if not world.busy():
                    world.hook("post-rewrite", "rebase")
                continue
            if world.hook("pre-commit"):
                self._committed("--allow-empty")
            break

    @precondition(lambda self: self.world.busy())
    @rule()
    def abort(self) -> None:
        for name in ("merge", "cherry-pick", "revert", "rebase"):
            self.world.try_git(name, "--abort")

    @rule(branch=branches)
    def rebase(self, branch: str) -> None:
        if self.world.busy():
            return
        old = self.world.git("rev-parse", "HEAD")
        done = self.world.try_git("rebase", "-q", branch)
        if self._conflicted():
            return
        if done.returncode != 0:
            self.world.try_git("rebase", "--abort")
        elif self.world.git("rev-parse", "HEAD") != old:
            self.world.hook("post-checkout", old, self.world.git("rev-parse", branch), "1")
            self.world.hook("post-rewrite", "rebase")

    @rule(branch=branches, verb=st.sampled_from(["cherry-pick", "revert"]))
    def pick(self, branch: str, verb: str) -> None:
        if self.world.busy():
            return
        if self.world.try_git("rev-parse", "-q", "--verify", f"{branch}~1").returncode != 0:
            return
        args = ["--no-edit"] if verb == "revert" else []
        done = self.world.try_git(verb, *args, branch)
        if self._conflicted():
            return
        if done.returncode == 0:
            self.world.hook("post-commit")
        else:
            self.world.try_git(verb, "--abort")

    @rule(back=st.integers(0, 2))
    def reset(self, back: int) -> None:
        self.world.try_git("reset", "-q", "--hard", f"HEAD~{back}")

    @rule()
    def stash(self) -> None:
        self.world.try_git("stash", "push", "-q", "-u")

    @rule()
    def unstash(self) -> None:
        if self.world.try_git("stash", "pop", "-q").returncode != 0:
            self._conflicted()

    # raw-trigger

    @rule()
    def run(self) -> None:
        """And once more: after a success there is nothing left to do."""
        done = self.world.run()
        if not isinstance(done, tuple):
            return
        plan, outcome = done
        if outcome.status in ("success", "nothing") and not plan.waiting and not plan.errors:
            if self.world.interfered:
                return
            launches = self.world.launches
            self.world.run()
            assert self.world.launches == launches, "a second run started something"

    @rule(one=st.sampled_from(TARGETS))
    def run_asset(self, one: str) -> None:
        self.world.run(one.split("|", maxsplit=1)[0])

    @rule(revision=st.sampled_from(["HEAD", "HEAD~1"]))
    def adopt(self, revision: str) -> None:
        if self.world.try_git("rev-parse", "-q", "--verify", revision).returncode == 0:
            self.world.adopt(revision)

    @rule(failing=st.sets(st.sampled_from(TARGETS), max_size=3))
    def fail(self, failing: set[str]) -> None:
        self.world.failing = frozenset(failing)

    @rule(
        after=st.integers(0, 3),
        write=st.none() | st.tuples(paths, st.none() | contents),
        end=st.sampled_from([None, "interrupt", "killed", "raised"]),
    )
    def trouble(self, after: int, write: tuple[str, str | None] | None, end: str | None) -> None:
        """In the next launch."""
        if write is not None or end is not None:
            self.world.mischief = Mischief(after, write, end)

    # The promises

    @invariant()
    def nothing_is_lost(self) -> None:
        type(self).steps += 1
        self.world.judge()

    @invariant()
    def nothing_runs_twice(self) -> None:
        assert not self.world.complaints, f"ran though they reflected everything: {self.world.complaints}"


@pytest.mark.parametrize("half", range(HALVES))
def test_nothing_is_lost_and_nothing_runs_twice(half: int, tmp_path: Path) -> None:
    if SOAK:
        take_steps(half, tmp_path)
        return
    # Hypothesis also draws what it finds in the modules that are imported by then: in a process of its own
    # the steps are the same whatever was tested before.
    code = "import sys; from tests.git.test_machine import *; take_steps(int(sys.argv[1]), Path(sys.argv[2]))"
    command = [sys.executable, "-c", code, str(half), str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY_TOP, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stderr


def take_steps(half: int, folder: Path) -> None:
    """Half of the series, in repositories below a folder."""
    template = start(folder / "template")
    assert template.top.exists()
    # Another class, another series of steps: they are derived from its name.
    machine = type(f"Machine{half}", (Machine,), {"folder": folder, "numbers": itertools.count(), "steps": 0})
    chosen = settings(
        max_examples=(SOAK or EXAMPLES * HALVES) // HALVES,
        stateful_step_count=STEPS * (2 if SOAK else 1),
        derandomize=not SOAK,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        print_blob=bool(SOAK),
    )
    try:
        run_state_machine_as_test(machine, settings=chosen)
    finally:
        print(f"{machine.steps} steps")  # type: ignore[attr-defined]


# The known bugs, each as small as it gets


@pytest.fixture
def world(tmp_path: Path) -> World:
    return start(tmp_path / "repo")


def newly_mapped(world: World) -> None:
    """A recorded file that feeds nothing feeds `ext` (above `child`) and `raw/left` (with `raw/right`) now."""
    world.write("loose.dat", "1\n")
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "loose")
    world.adopt("HEAD")
    world.use_rules(3)


def test_what_is_below_a_newly_fed_external_asset_is_due(world: World) -> None:
    newly_mapped(world)
    world.judge()


def test_the_mate_of_a_newly_fed_asset_stays_due_when_it_fails(world: World) -> None:
    newly_mapped(world)
    world.failing = frozenset({"raw/right"})
    world.run()
    assert "raw/right" in {one.target.text for one in world.plan(world.workspace()).actionable}


def test_a_mate_that_failed_with_the_files_of_both(world: World) -> None:
    """What it missed of the other's file is forgotten with its own."""
    world.adopt("HEAD")
    world.write("left.csv", "1\n")
    world.write("right.csv", "1\n")
    world.failing = frozenset({"raw/right"})
    world.run()
    world.write("right.csv", None)
    world.judge()


def test_a_change_taken_back_while_the_run_is_on(world: World) -> None:
    """It was read before it was taken back."""
    world.adopt("HEAD")
    world.write("folder/x.csv", "1\n")
    world.mischief = Mischief(3, ("folder/x.csv", "0\n"))
    world.run()
    world.judge()


def test_a_change_made_while_the_run_is_on_and_taken_back_later(world: World) -> None:
    """It was made before it was read."""
    world.adopt("HEAD")
    world.write("folder/y.csv", "1\n")
    world.mischief = Mischief(0, ("folder/x.csv", "1\n"))
    world.run()
    world.write("folder/x.csv", "0\n")
    world.judge()


def test_what_succeeded_beside_what_still_fails_is_not_made_again(world: World) -> None:
    """The hooks leave the one that failed alone, and so its mate, which reflects everything."""
    world.adopt("HEAD")
    world.write("left.csv", "1\n")
    world.failing = frozenset({"raw/left"})
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "left")
    world.hook("post-commit")
    world.hook("post-commit")
    assert world.launches == 1
    assert not world.complaints


def test_a_deletion_that_left_nothing_on_disk_was_read_all_the_same(world: World) -> None:
    """HEAD still has the folder's other file, so `sum` is made; it finds neither."""
    world.adopt("HEAD")
    world.write("folder/x.csv", None)
    world.write("folder/y.csv", "0\n")
    world.run()
    world.write("folder/y.csv", None)
    world.hook("post-commit")
    world.judge()
    launches = world.launches
    world.hook("post-commit")
    assert world.launches == launches
    world.write("folder/y.csv", "0\n")
    world.judge()


def test_rules_edited_after_the_very_first_run(world: World) -> None:
    world.write("pair.csv", "1\n")
    world.run()
    world.use_rules(2)
    world.judge()


def test_rules_committed_after_the_very_first_run(world: World) -> None:
    """What a path newly feeds runs at once."""
    world.write("pair.csv", "1\n")
    world.run()
    world.use_rules(1)
    world.git("commit", "-q", "-m", "rules", "--", "raw-trigger.yaml")
    world.hook("post-commit")
    assert world.read["folder/x.csv", "b"] == world.disk()["folder/x.csv"]
    assert not world.complaints


def test_rules_edited_after_the_very_first_hook(world: World) -> None:
    world.write("folder/y.csv", "2\n")
    world.git("add", "-A")
    assert world.hook("pre-commit")
    world.git("commit", "-q", "-m", "y")
    world.hook("post-commit")
    world.use_rules(1)
    world.judge()


@pytest.mark.parametrize("way_out", ["abort", "ours"])
def test_a_conflict_that_was_read_and_then_went_away(world: World, way_out: str) -> None:
    """`sum` runs for another file of its folder, and reads the conflict's markers too."""
    world.adopt("HEAD")
    world.git("checkout", "-q", "-b", "one")
    world.write("folder/x.csv", "1\n")
    world.git("commit", "-q", "-a", "-m", "1")
    world.git("checkout", "-q", "main")
    world.write("folder/x.csv", "2\n")
    world.git("commit", "-q", "-a", "-m", "2")
    world.run()
    assert world.try_git("merge", "-q", "one").returncode == 1
    world.write("folder/y.csv", "1\n")
    world.run()
    if way_out == "abort":
        world.git("merge", "--abort")
    else:
        world.git("checkout", "--ours", "--", f"{ROOT}/folder/x.csv")
        world.git("add", "-A")
    world.judge()


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 3\n"


@pytest.mark.parametrize("changed", [False, True])
def test_what_also_reads_a_pointer_waits(world: World, changed: bool) -> None:
    """Otherwise it is made from the pointer, and that is recorded as good."""
    if changed:
        world.adopt("HEAD")
    world.write("folder/x.csv", POINTER)
    world.write("part/x.csv", POINTER)
    (world.top / ROOT / "folder/.gitattributes").write_text("*.dat filter=lfs\n")
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "pointers")
    if not changed:
        world.adopt("HEAD")
    world.write("folder/y.csv", "1\n")
    world.write("part/y.csv", "1\n")
    world.run()
    assert world.read["part/y.csv", "part|y"] == world.disk()["part/y.csv"]
    plan = world.plan(world.workspace())
    [waiting] = [one for one in plan.waiting if one.change.path == f"{ROOT}/folder/y.csv".encode()]
    assert waiting.absent == (f"{ROOT}/folder/x.csv".encode(),)
    assert waiting.reason == (
        f"what is made from it also reads {ROOT}/folder/x.csv, whose content is not here: "
        f"git lfs pull --include={ROOT}/folder/x.csv"
    )
    assert ("folder/y.csv", "sum") not in world.read
    world.write("folder/x.csv", "0\n")
    world.run()
    assert world.read["folder/y.csv", "sum"] == world.disk()["folder/y.csv"]
    world.judge()


def test_a_pointer_that_was_read_and_then_went_away(world: World) -> None:
    """The same with the pointer of a file that Git LFS did not fetch."""
    world.adopt("HEAD")
    world.write("folder/x.csv", POINTER)
    world.write("folder/y.csv", "1\n")
    world.run()
    world.write("folder/x.csv", "0\n")
    world.judge()
