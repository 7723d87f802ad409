"""Everything at once, for definitions that are written by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from raw_trigger.automation.checks import build_raw_checks
from raw_trigger.automation.quality import build_raw_quality_sensor
from raw_trigger.automation.schedule import build_raw_schedule
from raw_trigger.automation.sensor import build_raw_job_sensor, build_raw_sensor
from raw_trigger.automation.settings import INTERVAL


def with_raw_trigger(
    defs: dg.Definitions,
    *,
    jobs: Iterable[Any] = (),
    checks: Iterable[Any] = (),
    cron_schedule: str | None = None,
    execution_timezone: str | None = None,
    quality: bool = False,
    minimum_interval_seconds: int = INTERVAL,
    default_status: dg.DefaultSensorStatus | None = None,
    **options: Any,
) -> dg.Definitions:
    """Returns the definitions with a sensor for their assets, and what else is asked for.

    Args:
        jobs: The jobs that rules name with `job:`, for a sensor of theirs.
        checks: The assets that get the two checks of :func:`build_raw_checks`.
        cron_schedule: When a schedule looks, beside the sensor; it needs Dagster 1.8.
        execution_timezone: The time zone of that; None: UTC.
        quality: Whether there is the sensor of :func:`build_raw_quality_sensor`, too.
        minimum_interval_seconds: Between two ticks of the sensors for assets and for jobs.
        default_status: Of sensors and schedule; None: as `$RAW_SCHEDULE_ENABLED` says.
        options: ``project``, ``environment``, ``branches``, ``settle``, ``most``: of ``build_raw_sensor``.
    """
    jobs, checks = list(jobs), list(checks)
    where = {name: options.get(name) for name in ("project", "environment")}
    how = {
        **options,
        "minimum_interval_seconds": minimum_interval_seconds,
        "default_status": default_status,
    }
    sensors = [build_raw_sensor(**how)]
    sensors += [build_raw_job_sensor(jobs=jobs, **how)] if jobs else []
    if quality:
        sensors.append(build_raw_quality_sensor(project=where["project"], default_status=default_status))
    schedules = []
    if cron_schedule is not None:
        schedules.append(
            build_raw_schedule(
                cron_schedule=cron_schedule,
                execution_timezone=execution_timezone,
                default_status=default_status and dg.DefaultScheduleStatus(default_status.value),
                **options,
            )
        )
    more = dg.Definitions(
        sensors=sensors,
        schedules=schedules,
        asset_checks=[build_raw_checks(checks, **where)] if checks else [],
    )
    return dg.Definitions.merge(defs, more)
