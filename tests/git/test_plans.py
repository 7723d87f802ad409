"""A commit of one raw file is planned once, and looked at before and after the run."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import raw_trigger.planner
import raw_trigger.working_tree
from raw_trigger.adopt import adopt
from raw_trigger.hooks.event import hook_events
from raw_trigger.hooks.run import run_hook
from raw_trigger.planning.plan import make_plan
from raw_trigger.revisions import from_arguments
from raw_trigger.trigger import Listener
from tests.conftest import Repo
from tests.support.pretended import PretendedLauncher
from tests.support.two_assets import RULES, Ground, R


@pytest.mark.parametrize("name", ["pre-commit", "post-commit"])
def test_plans_of_one_commit(repo: Repo, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ground = Ground(repo.top)
    ground.commit({"raw-trigger.yaml": RULES, R + "a.csv": "1\n", R + "b.csv": "1\n"})
    adopt(ground.trigger().planner, "HEAD")
    ground.write({R + "a.csv": "2\n"})
    ground.git("add", "-A")
    if name == "post-commit":
        ground.git("commit", "-q", "-m", "change")
    made = []

    def counted(*args: object, **more: object) -> object:
        made.append(args)
        return make_plan(*args, **more)  # type: ignore[arg-type]

    for module in (raw_trigger.planner, raw_trigger.working_tree):
        monkeypatch.setattr(module, "make_plan", counted)
    workspace, launcher = ground.trigger().workspace, PretendedLauncher()
    [event] = hook_events(workspace, name, (), b"", {})
    run_hook(
        workspace,
        name,
        event,
        environ={},
        launcher=launcher,
        listener=Listener(),
        detached=lambda _: ["false"],
    )
    assert launcher.ran == ["a"]
    assert len(made) <= 3


def test_what_another_process_has_finished_while_this_one_waited(repo: Repo, tmp_path: Path) -> None:
    """Its launch is no interrupted one, though what was read before it ended has its mark."""
    ground = Ground(repo.top)
    ground.commit({"raw-trigger.yaml": RULES, R + "a.csv": "1\n"})
    adopt(ground.trigger().planner, "HEAD")
    ground.write({R + "a.csv": "2\n"})
    begun, go_on = tmp_path / "begun", tmp_path / "go on"

    def during() -> None:
        begun.touch()
        while not go_on.exists():
            time.sleep(0.01)

    other = os.fork()
    if not other:
        ground.run(during)
        os._exit(0)
    while not begun.exists():
        time.sleep(0.01)
    trigger = ground.trigger()
    assert trigger.planner.record is not None
    assert trigger.planner.record.launches
    go_on.touch()
    assert os.waitpid(other, 0)[1] == 0
    base, desired = from_arguments(trigger.workspace.repo, "local", [])
    with trigger.planned(base, desired, face="cli") as plan:
        assert not plan.actionable
