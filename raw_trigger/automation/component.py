"""The component for Dagster's projects of components (`dg`, Dagster 1.11 or later)."""

# Without `from __future__ import annotations`: Dagster reads the fields' types, not their names (1.11, 1.13).

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Optional

import dagster as dg

from raw_trigger.automation.checks import build_raw_checks
from raw_trigger.automation.quality import INTERVAL as QUALITY_INTERVAL
from raw_trigger.automation.quality import MAX_DROP, build_raw_quality_sensor
from raw_trigger.automation.schedule import build_raw_schedule
from raw_trigger.automation.sensor import build_raw_job_sensor, build_raw_sensor
from raw_trigger.automation.settings import AT_ONCE, CRON, INTERVAL


class RawSensorModel(dg.Model):  # type: ignore[misc]
    """Describes the sensor: see ``build_raw_sensor``."""

    minimum_interval_seconds: int = INTERVAL
    settle: Optional[float] = None  # noqa: UP045
    most: int = AT_ONCE
    running: bool = False


class RawScheduleModel(dg.Model):  # type: ignore[misc]
    """Describes the schedule: see ``build_raw_schedule``."""

    cron_schedule: str = CRON
    execution_timezone: Optional[str] = None  # noqa: UP045
    settle: Optional[float] = None  # noqa: UP045
    most: int = AT_ONCE
    running: bool = False


class RawQualityModel(dg.Model):  # type: ignore[misc]
    """Describes the sensor that tells of suspicious data: see ``build_raw_quality_sensor``."""

    assets: Optional[list[str]] = None  # noqa: UP045
    max_drop: float = MAX_DROP
    max_age_hours: Optional[float] = None  # noqa: UP045
    minimum_interval_seconds: int = QUALITY_INTERVAL
    running: bool = False


@dataclass
class RawTrigger(dg.Component, dg.Resolvable):  # type: ignore[misc]
    """Adds what materializes the assets of changed raw files, and what tells of them.

    Attributes:
        project: The folder of raw-trigger.yaml, relative to the project's root; None: that root.
        environment: The environment that is recorded; None: as raw-trigger.yaml says.
        branches: The branches whose files are materialized; empty: whichever is checked out.
        sensor: The sensor; None: there is none.
        schedule: The schedule; None: there is none.
        jobs: The jobs that rules name with `job:`; each gets a sensor, with the settings of ``sensor``.
        checks: The keys of the assets that get asset checks: see ``build_raw_checks``.
        quality: The sensor that tells of suspicious data; None: there is none.
    """

    project: Optional[str] = None  # noqa: UP045
    environment: Optional[str] = None  # noqa: UP045
    branches: list[str] = field(default_factory=list)
    sensor: Optional[RawSensorModel] = field(default_factory=RawSensorModel)  # noqa: UP045
    schedule: Optional[RawScheduleModel] = None  # noqa: UP045
    jobs: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    quality: Optional[RawQualityModel] = None  # noqa: UP045

    def build_defs(self, context: Any) -> dg.Definitions:
        """Returns the sensors, the schedule and the checks."""
        root = Path(context.project_root)
        where: dict[str, Any] = {
            "project": root if self.project is None else root / self.project,
            "environment": self.environment,
        }
        return dg.Definitions(
            sensors=[*self._sensors(where), *self._quality(where)],
            schedules=[*self._schedules(where)],
            asset_checks=[build_raw_checks(self.checks, **where)] if self.checks else [],
        )

    def _sensors(self, where: dict[str, Any]) -> Iterator[dg.SensorDefinition]:
        how = self.sensor or RawSensorModel()
        settings = {
            **where,
            "branches": self.branches,
            "minimum_interval_seconds": how.minimum_interval_seconds,
            "settle": how.settle,
            "most": how.most,
            "default_status": dg.DefaultSensorStatus.RUNNING if how.running else None,
        }
        if self.sensor is not None:
            yield build_raw_sensor(**settings)
        for job in self.jobs:
            yield build_raw_job_sensor(jobs=[job], name=f"raw_job_sensor_{job}", **settings)

    def _schedules(self, where: dict[str, Any]) -> Iterator[dg.ScheduleDefinition]:
        how = self.schedule
        if how is not None:
            yield build_raw_schedule(
                **where,
                branches=self.branches,
                cron_schedule=how.cron_schedule,
                execution_timezone=how.execution_timezone,
                settle=how.settle,
                most=how.most,
                default_status=dg.DefaultScheduleStatus.RUNNING if how.running else None,
            )

    def _quality(self, where: dict[str, Any]) -> Iterator[dg.SensorDefinition]:
        how = self.quality
        if how is not None:
            yield build_raw_quality_sensor(
                project=where["project"],
                assets=None if how.assets is None else [one.split("/") for one in how.assets],
                max_drop=how.max_drop,
                max_age=None if how.max_age_hours is None else timedelta(hours=how.max_age_hours),
                minimum_interval_seconds=how.minimum_interval_seconds,
                default_status=dg.DefaultSensorStatus.RUNNING if how.running else None,
            )
