"""The quality sensor tells of suspicious data, each time once, and changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from raw_trigger.automation import Finding, build_raw_quality_sensor
from tests.support.ticking import FILES, Ticking


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["x", "y"]))
def part() -> None: ...


@dg.asset
def whole() -> None: ...


@dg.asset_check(asset=whole)
def sound() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False)


class Sensor:
    """A quality sensor that is ticked by hand, and what it has told."""

    def __init__(self, shop: Ticking, instance: Any, **options: Any) -> None:
        self.told: list[str] = []
        self.instance = instance
        self.sensor = build_raw_quality_sensor(
            project=shop.top, alert=lambda one: self.told.append(f"{one.subject} {one.text}"), **options
        )
        self.repository = dg.Definitions(
            assets=[part, whole], asset_checks=[sound], sensors=[self.sensor]
        ).get_repository_def()
        self.cursor: str | None = None

    def made(self, asset: str, rows: int, partition: str | None = None) -> None:
        event = dg.AssetMaterialization(asset, partition=partition, metadata={"dagster/row_count": rows})
        self.instance.report_runless_asset_event(event)

    def news(self) -> list[str]:
        """What the next tick tells for the first time."""
        context = dg.SensorEvaluationContext(
            instance_ref=self.instance.get_ref(),
            last_tick_completion_time=None,
            last_run_key=None,
            cursor=self.cursor,
            repository_name=self.repository.name,
            repository_def=self.repository,
            sensor_name=self.sensor.name,
        )
        before = len(self.told)
        with context:
            self.cursor = self.sensor.evaluate_tick(context).cursor
        return self.told[before:]


@pytest.fixture(autouse=True)
def rows(shop: Ticking) -> None:
    """Every file has one."""
    shop.write({name: "id\n1\n" for name in FILES if name.endswith(".csv")})


@pytest.fixture
def quality(shop: Ticking) -> Any:
    with shop.instance() as instance:
        yield Sensor(shop, instance)


def test_rows_of_assets(quality: Sensor) -> None:
    assert quality.news() == []
    quality.made("whole", 100)
    quality.made("part", 100, "x")
    quality.made("part", 10, "y")
    assert quality.news() == [], "the partitions are not compared with each other"
    quality.made("whole", 60)
    assert quality.news() == []
    quality.made("whole", 20)
    quality.made("part", 0, "y")
    told = ["part has no rows in y", "whole has 20 rows, and had 60 before"]
    assert quality.news() == told
    assert quality.news() == [], "each is told once"
    quality.made("part", 40, "x")
    assert quality.news() == ["part has 40 rows in x, and had 100 before"]


def test_a_failed_check(quality: Sensor) -> None:
    dg.materialize([whole, sound], instance=quality.instance)
    assert quality.news() == ["whole failed its check sound"]
    assert quality.news() == []
    dg.materialize([whole, sound], instance=quality.instance)
    assert quality.news() == ["whole failed its check sound"], "another run"


def test_what_was_not_made_for_too_long(shop: Ticking) -> None:
    with shop.instance() as instance:
        quality = Sensor(shop, instance, max_age=timedelta(0), assets=["whole"])
        quality.made("whole", 1)
        quality.made("part", 1, "x")
        [told] = quality.news()
        assert told.startswith("whole was made 0:00:00 ago, which is more than 0:00:00")


def test_raw_files_without_rows(shop: Ticking, quality: Sensor) -> None:
    shop.raw(a="", b="id,name\n", part__x="id,name\n1,x\n")
    shop.write({"data/1_raw/note.txt": "", "data/1_raw/.gitignore": "junk.csv\n", "data/1_raw/junk.csv": ""})
    assert quality.news() == ["data/1_raw/a.csv has no rows", "data/1_raw/b.csv has no rows"]
    assert quality.news() == []
    shop.raw(b="id,name\n1,x\n")
    assert quality.news() == []
    shop.raw(b="id,name\n")
    assert quality.news() == ["data/1_raw/b.csv has no rows"]


def test_without_a_callable_it_is_in_the_log() -> None:
    assert build_raw_quality_sensor().name == "raw_quality_sensor"
    assert Finding("a", "no rows", "has no rows", "1").text == "has no rows"
