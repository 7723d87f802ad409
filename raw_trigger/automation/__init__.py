"""Sensors, schedules and asset checks of raw files, for Dagster's definitions."""

from raw_trigger.automation.checks import build_raw_checks
from raw_trigger.automation.definitions import with_raw_trigger
from raw_trigger.automation.quality import Finding, build_raw_quality_sensor
from raw_trigger.automation.schedule import build_job_schedule, build_raw_schedule
from raw_trigger.automation.sensor import build_raw_job_sensor, build_raw_sensor

__all__ = [
    "Finding",
    "build_job_schedule",
    "build_raw_checks",
    "build_raw_job_sensor",
    "build_raw_quality_sensor",
    "build_raw_schedule",
    "build_raw_sensor",
    "with_raw_trigger",
]
