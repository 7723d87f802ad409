"""What every launcher is given and gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from raw_trigger.errors import RawTriggerError
from raw_trigger.model.assets import Catalog
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import Plan, Target
from raw_trigger.project import Watching


@dataclass(frozen=True, slots=True)
class Order:
    """A plan and what the runs are to carry with them.

    ``run_ids`` are the ids of the Dagster runs by batch, chosen before they start; ``data_versions``
    and ``metadata`` are for the targets that are reported, ``jobs`` the partition key and the run
    configuration of those that are named jobs. ``watching``: what is read there is told. ``fed``: the assets
    above that raw files feed, of which the plan says all that is to be made.
    """

    plan: Plan
    catalog: Catalog
    tags: Mapping[str, str]
    run_ids: Mapping[int, str] = field(default_factory=dict)
    data_versions: Mapping[Target, str] = field(default_factory=dict)
    metadata: Mapping[Target, Mapping[str, str | int]] = field(default_factory=dict)
    report_as: str = "materialization"
    jobs: Mapping[Target, tuple[str | None, Mapping[str, Any]]] = field(default_factory=dict)
    watching: Watching | None = None
    fed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Report:
    """How a launch ended. ``problem`` is set if it ended before every target had its outcome."""

    run_ids: tuple[str, ...] = ()
    log: str | None = None
    problem: RawTriggerError | None = None


class Launcher(Protocol):
    """Carries out an order; every finished target is told at once."""

    def ready(self) -> AbstractContextManager[None]:
        """Set going what takes its time, in the background, for an order that is given inside the block. What
        goes wrong with it is an error of the launch.
        """
        ...

    def launch(self, prepare: Callable[[], Order], on_target: Callable[[TargetOutcome], None]) -> Report:
        """Materialize and report what the plan says, batch after batch; go on after a failure.

        Args:
            prepare: Gives the order. Called once, when everything has been set going that takes its time;
                nothing is run before.
        """
        ...
