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
    """What a `defs.yaml` defines, by name."""
    component = RawTrigger.resolve_from_yaml(yaml)
    defs = component.build_defs(SimpleNamespace(project_root=root))
    return {one.name: one for one in (*defs.sensors, *defs.schedules)} | {
        key.to_user_string(): one for one in defs.asset_checks for key in one.check_keys
    }


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
        jobs: [nightly]
        checks: [sales, external/rates]
        quality: {max_drop: 0.2, max_age_hours: 36, running: true}
        """,
        tmp_path,
    )
    sensor, schedule = found["raw_sensor"], found["raw_schedule"]
    assert (sensor.minimum_interval_seconds, sensor.default_status) == (10, dg.DefaultSensorStatus.RUNNING)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", "Asia/Shanghai")
    job, quality = found["raw_job_sensor_nightly"], found["raw_quality_sensor"]
    assert job.job_name == "nightly"
    assert (job.minimum_interval_seconds, job.default_status) == (10, dg.DefaultSensorStatus.RUNNING)
    assert quality.default_status == dg.DefaultSensorStatus.RUNNING
    assert sorted(name for name in found if ":" in name) == [
        f"{asset}:{check}"
        for asset in ("external/rates", "sales")
        for check in ("files_present", "recorded_is_current")
    ]


def test_a_job_needs_no_other_sensor(tmp_path: Path) -> None:
    found = built("{sensor: null, jobs: [nightly]}", tmp_path)
    assert list(found) == ["raw_job_sensor_nightly"]
    assert found["raw_job_sensor_nightly"].default_status == dg.DefaultSensorStatus.STOPPED


def test_what_it_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="senser"):
        built("senser: {}", tmp_path)


def test_dg_finds_it() -> None:
    found = entry_points(group="dagster_dg_cli.registry_modules")
    assert [one.value for one in found if one.name == "raw_trigger"] == ["raw_trigger.automation.component"]
