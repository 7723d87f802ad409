"""A commit of one raw file is planned once, and looked at before and after the run."""

from __future__ import annotations

import pytest

import raw_trigger.planner
import raw_trigger.working_tree
from raw_trigger.adopt import adopt
from raw_trigger.hooks.event import hook_events
from raw_trigger.hooks.run import run_hook
from raw_trigger.planning.plan import make_plan
from raw_trigger.trigger import Listener
from tests.conftest import Repo
from tests.git.trigger_kit import RULES, Ground, R


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
    workspace, launcher = ground.trigger().workspace, ground.launcher(lambda: None)
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
