"""The sensor that looks at the raw files, and the one for named jobs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

from raw_trigger.automation.settings import AT_ONCE, INTERVAL, folder, status
from raw_trigger.automation.tick import Wanted, evaluate


def build_raw_sensor(
    *,
    name: str = "raw_sensor",
    project: str | os.PathLike[str] | None = None,
    environment: str | None = None,
    branches: Sequence[str] = (),
    minimum_interval_seconds: int = INTERVAL,
    settle: float | None = None,
    most: int = AT_ONCE,
    default_status: dg.DefaultSensorStatus | None = None,
) -> dg.SensorDefinition:
    """Returns a sensor that materializes the assets whose raw files have changed, and nothing else.

    What it does is what `raw-trigger run` does, on the same record: neither repeats what the other has made.

    Args:
        name: The sensor's name.
        project: A folder of the project; None: the folder in which Dagster was started.
        environment: The environment that is recorded; None: as raw-trigger.yaml says.
        branches: The branches whose files are materialized; empty: whichever is checked out.
        minimum_interval_seconds: Seconds between two ticks.
        settle: Seconds for which a file must have been left alone; None: `$RAW_SCAN_COOLDOWN_SEC`, else 3.
        most: The most runs that one tick asks for.
        default_status: Whether it runs without being switched on; None: as `$RAW_SCHEDULE_ENABLED` says.
    """
    wanted = Wanted(folder(project), environment, tuple(branches), settle, most=most)

    return _sensor(
        wanted,
        name=name,
        asset_selection=dg.AssetSelection.all(),
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=status(default_status, dg.DefaultSensorStatus),
        description="Materializes the assets whose raw files have changed.",
    )


def build_raw_job_sensor(
    *,
    jobs: Iterable[Any],
    name: str = "raw_job_sensor",
    project: str | os.PathLike[str] | None = None,
    environment: str | None = None,
    branches: Sequence[str] = (),
    minimum_interval_seconds: int = INTERVAL,
    settle: float | None = None,
    most: int = AT_ONCE,
    default_status: dg.DefaultSensorStatus | None = None,
) -> dg.SensorDefinition:
    """Returns a sensor that launches the named jobs whose rules match changed raw files.

    A sensor is for assets or for jobs; the other arguments are those of :func:`build_raw_sensor`.

    Args:
        jobs: The jobs that rules name with `job:`; instead of a single one its name will do.
    """
    jobs = list(jobs)
    names = frozenset(one if isinstance(one, str) else one.name for one in jobs)
    wanted = Wanted(folder(project), environment, tuple(branches), settle, most=most, jobs=names)
    targets = {"job_name": jobs[0]} if len(jobs) == 1 and isinstance(jobs[0], str) else {"jobs": jobs}
    if any(isinstance(one, str) for one in targets.get("jobs", ())):
        raise dg.DagsterInvalidDefinitionError(
            f"{name}: Dagster takes several jobs by their definitions only; give these, or a sensor to each"
        )

    return _sensor(
        wanted,
        name=name,
        **targets,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=status(default_status, dg.DefaultSensorStatus),
        description="Launches the jobs whose raw files have changed.",
    )


def _sensor(wanted: Wanted, **settings: Any) -> dg.SensorDefinition:
    """The sensor with these settings of Dagster's."""

    def raw_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        tick = evaluate(context, wanted, "sensor")
        if not tick.requests:
            return dg.SkipReason(tick.told)
        context.log.info(tick.told)
        return dg.SensorResult(
            run_requests=list(tick.requests), dynamic_partitions_requests=list(tick.partitions)
        )

    return dg.sensor(**settings)(raw_sensor)
