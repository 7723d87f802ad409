"""Parents that were never made, in partitions that the run of their child cannot have, are made first."""

from __future__ import annotations

import dagster as dg
import pytest

from raw_trigger import unattended
from tests.automation.test_sensor import QUIET, asked
from tests.support.ticking import CODE, RULES, Ticking

MONTHS = """
months, quarters = dg.StaticPartitionsDefinition(["m1", "m2"]), dg.StaticPartitionsDefinition(["q1", "q2"])
of_quarter = dg.StaticPartitionMapping({"m1": "q1", "m2": "q1"})

def fails(context):
    if (HERE / f"fail {context.partition_key}").exists():
        raise ValueError("no data of that month")

@dg.asset
def seed(context): read(context)
@dg.asset(partitions_def=months, deps=[seed])
def month(context):
    read(context)
    fails(context)
@dg.asset(partitions_def=months, deps=[month])
def tidy(context): read(context)
@dg.asset(partitions_def=quarters, deps=[dg.AssetDep(tidy, partition_mapping=of_quarter)])
def quarter(context): read(context, f"quarter/{context.partition_key}.csv")
@dg.asset(partitions_def=quarters, deps=[dg.AssetDep(tidy, partition_mapping=of_quarter)])
def other(context): read(context, f"other/{context.partition_key}.csv")

ASSETS = [a, b, child, part, dyn, daily, ext, under, seed, month, tidy, quarter, other]
"""
RULES_TOO = """
{path: "quarter/{p}.csv", asset: quarter, partition: "{p}"}
{path: "other/{p}.csv", asset: other, partition: "{p}"}
"""


@pytest.fixture
def shop(shop: Ticking) -> Ticking:
    """With parents that were never made."""
    code = CODE.replace("\nASSETS = [a, b, child, part, dyn, daily, ext, under]\n", MONTHS)
    shop.lay_again(code, RULES.rstrip() + RULES_TOO)
    return shop


def rounds(shop: Ticking, most: int = 6) -> list[list[str]]:
    """What ticks ask for until one asks for nothing; everything is made."""
    found = []
    while len(found) < most:
        result = shop.tick()
        if not result.run_requests:
            break
        found.append(asked(result))
        shop.carry_out(result.run_requests)
    return found


def test_one_after_the_other(shop: Ticking) -> None:
    shop.raw(quarter__q1="1\n")
    assert rounds(shop) == [["month+seed+tidy|m1"], ["month+tidy|m2"], ["quarter|q1"]]
    assert shop.tick().skip_message == QUIET
    shop.raw(other__q1="1\n")
    assert rounds(shop) == [["other|q1"]], "they are made by now"


def test_what_is_needed_twice_is_made_once(shop: Ticking) -> None:
    shop.raw(quarter__q1="1\n", other__q1="1\n")
    assert rounds(shop)[:2] == [["month+seed+tidy|m1"], ["month+tidy|m2"]]
    made = shop.made()
    assert sorted(set(made)) == made
    assert {"quarter|q1", "other|q1"} <= {*made}


def test_what_is_being_made_is_waited_for(shop: Ticking) -> None:
    shop.raw(quarter__q1="1\n")
    [request] = shop.tick().run_requests
    run_id = shop.submit(request, dg.DagsterRunStatus.STARTED)
    result = shop.tick()
    assert not result.run_requests
    assert result.skip_message == "quarter|q1: it waits for month|m1, which was never made"
    shop.change_runs(lambda instance: instance.report_run_canceled(instance.get_run_by_id(run_id)))
    assert rounds(shop) == [["quarter|q1"]], "as `run` does: it may not need all of it"


def test_one_that_fails(shop: Ticking, capfd: pytest.CaptureFixture[str]) -> None:
    (shop.top / "fail m2").touch()
    shop.raw(quarter__q1="1\n")
    assert rounds(shop) == [["month+seed+tidy|m1"], ["month+tidy|m2"], ["quarter|q1"]]
    said = capfd.readouterr().err
    assert (
        "never materialized here, and not tried again as it failed: tidy|m2, which quarter is made from"
        in said
    )
    assert shop.tick().skip_message == QUIET
    (shop.top / "fail m2").unlink()
    shop.raw(quarter__q1="2\n")
    assert rounds(shop) == [["quarter|q1"]], "one that failed may be a month without data"


def test_it_is_tried_again_with_its_child(shop: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    for month in ("m1", "m2"):
        (shop.top / f"fail {month}").touch()
    shop.raw(quarter__q1="bad\n")
    assert rounds(shop) == [
        ["month+seed+tidy|m1"],
        ["month+tidy|m2"],
        ["quarter|q1"],
    ]
    assert "failed with this content" in shop.tick().skip_message
    monkeypatch.setattr(unattended, "_FIRST_PAUSE", 0.0)
    again = [["month+tidy|m1", "month+tidy|m2"], ["quarter|q1"]]
    assert rounds(shop, most=2) == again
    for month in ("m1", "m2"):
        (shop.top / f"fail {month}").unlink()
    shop.raw(quarter__q1="2\n")
    assert rounds(shop) == again


def test_not_more_than_the_most(shop: Ticking) -> None:
    shop.lay_again(
        (shop.top / "definitions.py")
        .read_text()
        .partition("defs = ")[0]
        .replace("settle=0)", "settle=0, most=1)"),
        RULES.rstrip() + RULES_TOO,
    )
    shop.raw(quarter__q1="1\n", a="2\n")
    assert [len(one) for one in rounds(shop)] == [1, 1, 1, 1]


def test_only_shown_nothing_is_asked_for_first(shop: Ticking) -> None:
    shop.raw(quarter__q1="1\n")
    assert asked(shop.tick(dry=True)) == ["quarter|q1"]
