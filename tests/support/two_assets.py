"""A repository with assets, planned and run without Dagster."""

from __future__ import annotations

import os
from collections.abc import Callable

from raw_trigger.model.assets import Asset
from raw_trigger.model.plan import Plan
from raw_trigger.revisions import from_arguments
from raw_trigger.trigger import Trigger
from tests.conftest import Repo
from tests.support.pretended import PretendedLauncher, opened

R = "data/1_raw/"
CATALOG = {key: Asset(key, (key,), "here") for key in ("a", "b")}
RULES = "assets: [{path: 'a*', asset: a}, {path: 'sub', asset: b}, {path: 'b*', asset: b}]\n"


class Ground(Repo):
    """A repository with two assets, and something recorded."""

    def trigger(self) -> Trigger:
        return opened(self.top, CATALOG)

    def plan(self, *arguments: str, launching: bool = True) -> Plan:
        trigger = self.trigger()
        names = [name for name in arguments if name != "--staged"]
        repo = trigger.workspace.repo
        base, desired = from_arguments(repo, "local", names, staged="--staged" in arguments)
        return trigger.planner.plan(trigger.planner.detect(base, desired), launching=launching)

    def waiting(self, *arguments: str, launching: bool = True) -> dict[str, tuple[str, str | None]]:
        """What is not planned, and why."""
        plan = self.plan(*arguments, launching=launching)
        assert not plan.actionable or plan.waiting
        return {
            os.fsdecode(one.change.path).removeprefix(R): (one.disposition, one.reason)
            for one in plan.changes
            if one.disposition != "planned"
        }

    def run(self, during: Callable[[], None] = lambda: None) -> list[str]:
        """What ran, and succeeded."""
        trigger, launcher = self.trigger(), PretendedLauncher(meanwhile=during)
        base, desired = from_arguments(trigger.workspace.repo, "local", [])
        with trigger.planned(base, desired, face="cli") as plan:
            trigger.run(plan, launcher, face="cli")
        return launcher.ran
