"""The component that a project of components gets the sensor and the schedule from."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from raw_trigger.automation.component import RawTrigger

# Dagster's own, of what it calls in pydantic.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def built(yaml: str, root: Path) -> dict[str, Any]:
    """The sensors and schedules of a `defs.yaml`, by name."""
    component = RawTrigger.resolve_from_yaml(yaml)
    defs = component.build_defs(SimpleNamespace(project_root=root))
    return {one.name: one for one in (*(defs.sensors or ()), *(defs.schedules or ()))}


def test_by_default_there_is_a_sensor(tmp_path: Path) -> None:
    found = built("{}", tmp_path)
    assert list(found) == ["raw_sensor"]
    assert found["raw_sensor"].default_status == dg.DefaultSensorStatus.STOPPED


def test_everything(tmp_path: Path) -> None:
    found = built(
        """
        project: data
        branches: [main]
        sensor: {minimum_interval_seconds: 10, running: true}
        schedule: {cron_schedule: "0 2 * * *", execution_timezone: Asia/Shanghai}
        """,
        tmp_path,
    )
    sensor, schedule = found["raw_sensor"], found["raw_schedule"]
    assert (sensor.minimum_interval_seconds, sensor.default_status) == (10, dg.DefaultSensorStatus.RUNNING)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", "Asia/Shanghai")


def test_what_it_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="senser"):
        built("senser: {}", tmp_path)


def test_dg_finds_it() -> None:
    found = entry_points(group="dagster_dg_cli.registry_modules")
    assert [one.value for one in found if one.name == "raw_trigger"] == ["raw_trigger.automation.component"]
