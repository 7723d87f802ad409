"""A project and a launcher without Dagster, in the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from raw_trigger.config import load_config
from raw_trigger.launch.base import Order, Report
from raw_trigger.model.assets import Asset, Catalog
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.planner import Planner, Wishes
from raw_trigger.repo.repository import Repository
from raw_trigger.trigger import Trigger
from raw_trigger.workspace.workspace import Workspace

Assets = Mapping[str, Asset]


class PretendedProject:
    """A Dagster project that defines these assets, and the job ``nightly``.

    Args:
        edited: Its code is another one than what the cache has is of.
        new: Assets that the cache does not know yet.
    """

    files = "here"
    commit = None

    def __init__(self, directory: Path, assets: Assets, *, edited: bool = False, new: Iterable[Asset] = ()):
        self.directory = directory
        self.assets, self.edited = assets, edited
        self.new = {asset.key: asset for asset in new}
        self.loaded = 0
        """How often it was loaded."""

    def home(self) -> Path:
        return self.directory / ".git/raw-trigger/dagster_home"

    @property
    def shown(self) -> str:
        return str(self.home())

    def catalog(self, fresh: bool = False) -> Catalog:
        fresh = fresh or self.edited
        self.loaded += fresh
        assets = {**self.assets, **self.new} if fresh else self.assets
        return Catalog(assets, fresh=fresh, jobs={"nightly": "here"})


def opened(top: Path, project: PretendedProject | Assets, wishes: Wishes | None = None) -> Trigger:
    """What runs the assets of the repository at ``top``, configured as its file says."""
    repo, config = Repository.discover(top), load_config(top / "raw-trigger.yaml", top)
    stands_in = project if isinstance(project, PretendedProject) else PretendedProject(top, project)
    return Trigger(Planner(Workspace(repo, config, stands_in, "local"), wishes))  # type: ignore[arg-type]


class PretendedLauncher:
    """A launcher that makes nothing.

    Args:
        failing: Targets or assets that fail, and what is made from them with them.
        meanwhile: What happens while it runs.
    """

    submits = False

    def __init__(self, failing: Collection[str] = (), meanwhile: Callable[[], object] = lambda: None) -> None:
        self.failing, self.meanwhile = failing, meanwhile
        self.ran: list[str] = []
        self.made: list[str] = []

    def ready(self) -> AbstractContextManager[None]:
        return nullcontext()

    def launch(
        self,
        prepare: Callable[[], Order],
        on_target: Callable[[TargetOutcome], None],
        on_batch: Callable[[int], None],
    ) -> Report:
        order = prepare()
        self.meanwhile()
        bad = set()
        for planned in sorted(order.plan.actionable, key=lambda one: one.batch):
            target = planned.target
            self.ran.append(target.text)
            if {target.text, target.asset} & {*self.failing} or bad & {*planned.after}:
                bad.add(target)
            else:
                self.made.append(target.text)
            on_target(TargetOutcome(target, "failed" if target in bad else "success"))
        return Report()


class NoLauncher(PretendedLauncher):
    """A launcher that is not to be asked."""

    def launch(self, *_: object) -> Report:
        raise AssertionError("there is nothing to launch")
