"""What every launcher gets and returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from raw_trigger.errors import RawTriggerError
from raw_trigger.model.assets import Catalog
from raw_trigger.model.outcome import Lack, TargetOutcome
from raw_trigger.model.plan import Plan, Target
from raw_trigger.project import Watching


@dataclass(frozen=True, slots=True)
class Order:
    """Holds a plan and the settings of its runs.

    ``run_ids`` are the ids of the Dagster runs by batch, chosen before they start. ``data_versions`` and
    ``metadata`` are for the targets that are reported, ``jobs`` the partition key and the run configuration
    of named jobs. ``watching`` makes the runs report the files that they read; None: they do not. ``fed``
    are the upstream targets that existing files feed. Only the plan decides about their assets: none of them
    is made first.
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
    fed: frozenset[Target] = frozenset()


@dataclass(frozen=True, slots=True)
class Report:
    """Says how a launch ended. ``problem`` is set if it ended before every target had its outcome.

    ``lacks``: parents of targets that were never made and were not made first either. ``warnings``: what the
    user should know of the runs.
    """

    run_ids: tuple[str, ...] = ()
    log: str | None = None
    problem: RawTriggerError | None = None
    lacks: tuple[Lack, ...] = ()
    warnings: tuple[str, ...] = ()


class Launcher(Protocol):
    """Carries out an order, and reports every finished target at once.

    Attributes:
        submits: Whether others make the targets, so that it may report them as ``submitted``.
    """

    submits: bool

    def ready(self) -> AbstractContextManager[None]:
        """Begins slow preparations in the background; the launch follows inside the block.

        An error in the preparations becomes an error of the launch.
        """
        ...

    def launch(
        self,
        prepare: Callable[[], Order],
        on_target: Callable[[TargetOutcome], None],
        on_batch: Callable[[int], None],
    ) -> Report:
        """Materializes and reports what the plan says, batch after batch; goes on after a failure.

        Args:
            prepare: Gives the order. Called once, when everything has been set going that takes its time;
                nothing is run before.
            on_batch: Told the number of a batch before anything of it can have been made.
        """
        ...
