"""Schedules: the raw files on a cadence, and a job with its configuration in a file."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from raw_trigger.automation import build_job_schedule, build_raw_schedule
from tests.automation.test_sensor import QUIET
from tests.support.ticking import CODE, Ticking

AT = datetime(2026, 2, 3, 1, tzinfo=timezone.utc)


@dg.op(config_schema={"table": str, "limit": dg.Field(int, is_required=False)})
def load(context) -> None:  # type: ignore[no-untyped-def]
    context.log.info(context.op_config)


@dg.job
def trustee() -> None:
    load()


def ticked(schedule: Any, instance: Any, repository: Any = None) -> Any:
    """What a tick of a daemon comes to."""
    repository = repository or dg.Definitions(jobs=[trustee], schedules=[schedule]).get_repository_def()
    context = dg.ScheduleEvaluationContext(
        instance_ref=instance.get_ref(),
        scheduled_execution_time=AT,
        repository_name=repository.name,
        schedule_name=schedule.name,
        log_key=["ticks", schedule.name, "1"],
        repository_def=repository,
    )
    with context:
        return schedule.evaluate_tick(context)


@pytest.fixture
def instance(tmp_path: Path) -> Any:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as opened:
        yield opened


CONFIG = "ops: {load: {config: {table: prices}}}\n"


def test_a_nightly_job_with_its_configuration_in_a_file(tmp_path: Path, instance: Any) -> None:
    """The file is read at each tick."""
    file = tmp_path / "nightly.yaml"
    schedule = build_job_schedule(trustee, "0 3 * * *", "Europe/Berlin", file)
    assert (schedule.name, schedule.cron_schedule, schedule.execution_timezone) == (
        "trustee_schedule",
        "0 3 * * *",
        "Europe/Berlin",
    )
    for table in ("prices", "rates"):
        file.write_text(CONFIG.replace("prices", table))
        [request] = ticked(schedule, instance).run_requests
        assert request.run_config == {"ops": {"load": {"config": {"table": table}}}}
        assert request.run_key == f"trustee_schedule:{AT.isoformat()}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ops: {load: [\n", "nightly.yaml:2:1: "),
        ("- 1\n", "nightly.yaml:1:1: this is no mapping"),
        ("ops: {load: {config: {tabel: x}}}\n", "nightly.yaml:1:23: job 'trustee' does not take it: "),
        ("ops:\n  load:\n    config: {table: 3}\n", "nightly.yaml:3:14: job 'trustee' does not take it: "),
        ("opps: {}\n", "nightly.yaml:1:1: job 'trustee' does not take it: "),
        ("a: 1\na: 2\n", "nightly.yaml:2:1: the name 'a' is there twice"),
        ("ops:\n\tload: {}\n", "nightly.yaml:2:1: a tab cannot be used here"),
        ("ops: @load\n", "nightly.yaml:1:6: '@' cannot begin a text"),
        (None, "nightly.yaml: it cannot be read: No such file or directory"),
    ],
)
def test_an_error_in_the_file_is_a_skip(tmp_path: Path, instance: Any, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "nightly.yaml").write_text(text)
    schedule = build_job_schedule(trustee, "0 3 * * *", run_config=tmp_path / "nightly.yaml")
    found = ticked(schedule, instance)
    assert not found.run_requests
    assert f"{tmp_path}/{said}" in found.skip_message


def test_a_configuration_that_is_computed(instance: Any) -> None:
    def at(moment: datetime) -> dict[str, Any]:
        return {"ops": {"load": {"config": {"table": f"prices_{moment:%Y%m%d}"}}}}

    [request] = ticked(build_job_schedule(trustee, "0 3 * * *", run_config=at), instance).run_requests
    assert request.run_config["ops"]["load"]["config"]["table"] == "prices_20260203"


def test_the_switch(instance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped, running = dg.DefaultScheduleStatus.STOPPED, dg.DefaultScheduleStatus.RUNNING
    config = {"ops": {"load": {"config": {"table": "x"}}}}
    assert build_raw_schedule().default_status == stopped
    monkeypatch.setenv("RAW_SCHEDULE_ENABLED", "true")
    assert build_raw_schedule().default_status == running
    schedule = build_job_schedule(trustee, "0 3 * * *", run_config=config)
    assert ticked(schedule, instance).run_requests
    monkeypatch.setenv("RAW_SCHEDULE_ENABLED", "false")
    assert ticked(schedule, instance).skip_message == "RAW_SCHEDULE_ENABLED is false"
    monkeypatch.setenv("RAW_SCHEDULE_ENABLED", "perhaps")
    assert build_raw_schedule().default_status == stopped, "the code location loads"
    assert ticked(schedule, instance).skip_message.startswith("RAW_SCHEDULE_ENABLED is 'perhaps'")


@pytest.mark.parametrize("value", ["a while", "nan", "inf", "-1"])
def test_a_wrong_time_to_settle(shop: Ticking, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("RAW_SCAN_COOLDOWN_SEC", value)
    shop.lay_again(CODE.replace(", settle=0", ""))
    assert shop.tick().skip_message.startswith(f"RAW_SCAN_COOLDOWN_SEC is '{value}'")


def test_the_cadence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert build_raw_schedule().cron_schedule == "*/5 * * * *"
    monkeypatch.setenv("RAW_SCAN_CRON", "0 * * * *")
    assert build_raw_schedule().cron_schedule == "0 * * * *"
    assert build_raw_schedule(cron_schedule="1 * * * *").cron_schedule == "1 * * * *"


def test_a_cadence_that_is_none(shop: Ticking, instance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAW_SCAN_CRON", "0 99 * * *")
    schedule = build_raw_schedule()
    assert schedule.cron_schedule == "*/5 * * * *", "the code location loads"
    said = ticked(schedule, instance, shop.repository).skip_message
    assert said.startswith("RAW_SCAN_CRON is '0 99 * * *'")


@pytest.mark.skipif(dg.__version__.startswith("1.7."), reason="Dagster 1.7 has no job of all assets")
def test_the_raw_files_on_a_cadence(shop: Ticking) -> None:
    shop.lay_again(
        CODE.replace("SENSORS = [", "RAW_SCHEDULE = build_raw_schedule(project=HERE, settle=0)\nSENSORS = [")
    )
    schedule = sys_module(shop).RAW_SCHEDULE
    shop.raw(a="2\n", ext="2\n", dyn__new="1\n")
    with shop.instance() as opened:
        found = ticked(schedule, opened, shop.repository)
        assert opened.get_dynamic_partitions("names") == ["new"]
    shop.carry_out(found.run_requests)
    assert shop.made() == ["a", "dyn|new", "under"]
    with shop.instance() as opened:
        assert ticked(schedule, opened, shop.repository).skip_message == QUIET
    assert shop.plan()["targets"] == []


def sys_module(shop: Ticking) -> Any:
    import sys

    return sys.modules[shop._module]
