"""A repository with assets, planned and run without Dagster."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from raw_trigger.config import load_config
from raw_trigger.launch.base import Order, Report
from raw_trigger.model.assets import Asset, Catalog
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import Plan
from raw_trigger.planner import Planner
from raw_trigger.repo.repository import Repository
from raw_trigger.revisions import from_arguments
from raw_trigger.trigger import Trigger
from raw_trigger.workspace.workspace import Workspace
from tests.conftest import Repo

R = "data/1_raw/"
CATALOG = {key: Asset(key, (key,), "here") for key in ("a", "b")}
RULES = "assets: [{path: 'a*', asset: a}, {path: 'sub', asset: b}, {path: 'b*', asset: b}]\n"


class Project:
    """Stands in for the Dagster project."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def home(self) -> Path:
        return Path("/home")

    def catalog(self, fresh: bool = False) -> Catalog:
        return Catalog(CATALOG, fresh=fresh)


class Ground(Repo):
    """A repository with two assets, and something recorded."""

    def trigger(self) -> Trigger:
        opened = Repository.discover(self.top)
        config = load_config(self.top / "raw-trigger.yaml", self.top)
        return Trigger(Planner(Workspace(opened, config, Project(self.top), "local")))  # type: ignore[arg-type]

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
        trigger, launcher = self.trigger(), self.launcher(during)
        base, desired = from_arguments(trigger.workspace.repo, "local", [])
        with trigger.planned(base, desired, face="cli") as plan:
            trigger.run(plan, launcher, face="cli")
        return launcher.ran

    def launcher(self, during: Callable[[], None]) -> Pretended:
        """One that makes nothing, and does something meanwhile."""
        return Pretended(during)


class Pretended:
    """A launcher that makes nothing. ``ran`` is what it was asked for."""

    def __init__(self, during: Callable[[], None]) -> None:
        self.during = during
        self.ran: list[str] = []

    def launch(
        self,
        prepare: Callable[[], Order],
        on_target: Callable[[TargetOutcome], None],
        on_batch: Callable[[int], None],
    ) -> Report:
        for planned in prepare().plan.actionable:
            self.ran.append(planned.target.text)
            on_target(TargetOutcome(planned.target, "success"))
        self.during()
        return Report()

    def ready(self) -> AbstractContextManager[None]:
        return nullcontext()
