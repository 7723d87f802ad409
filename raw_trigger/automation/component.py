"""The component for Dagster's projects of components (`dg`, Dagster 1.11 or later)."""

# Without `from __future__ import annotations`: Dagster reads the fields' types, not their names (1.11, 1.13).

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import dagster as dg

from raw_trigger.automation.schedule import build_raw_schedule
from raw_trigger.automation.sensor import build_raw_sensor
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


@dataclass
class RawTrigger(dg.Component, dg.Resolvable):  # type: ignore[misc]
    """Adds the sensors and the schedule that materialize what is made from changed raw files.

    Attributes:
        project: The folder of raw-trigger.yaml, relative to the project's root; None: that root.
        environment: The environment that is recorded; None: as raw-trigger.yaml says.
        branches: The branches whose files are materialized; empty: whichever is checked out.
        sensor: The sensor; None: there is none.
        schedule: The schedule; None: there is none.
    """

    project: Optional[str] = None  # noqa: UP045
    environment: Optional[str] = None  # noqa: UP045
    branches: list[str] = field(default_factory=list)
    sensor: Optional[RawSensorModel] = field(default_factory=RawSensorModel)  # noqa: UP045
    schedule: Optional[RawScheduleModel] = None  # noqa: UP045

    def build_defs(self, context: Any) -> dg.Definitions:
        """Returns the sensor and the schedule."""
        root = Path(context.project_root)
        common: dict[str, Any] = {
            "project": root if self.project is None else root / self.project,
            "environment": self.environment,
            "branches": self.branches,
        }
        sensors, schedules = [], []
        if self.sensor is not None:
            sensors.append(
                build_raw_sensor(
                    **common,
                    minimum_interval_seconds=self.sensor.minimum_interval_seconds,
                    settle=self.sensor.settle,
                    most=self.sensor.most,
                    default_status=dg.DefaultSensorStatus.RUNNING if self.sensor.running else None,
                )
            )
        if self.schedule is not None:
            schedules.append(
                build_raw_schedule(
                    **common,
                    cron_schedule=self.schedule.cron_schedule,
                    execution_timezone=self.schedule.execution_timezone,
                    settle=self.schedule.settle,
                    most=self.schedule.most,
                    default_status=dg.DefaultScheduleStatus.RUNNING if self.schedule.running else None,
                )
            )
        return dg.Definitions(sensors=sensors, schedules=schedules)
