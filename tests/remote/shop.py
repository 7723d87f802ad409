"""The definitions of the deployments in these tests; ``work`` beside it, or ``$SHOP``, has the raw files."""

import json
import os
import pathlib
import time

import dagster as dg

SHOP = pathlib.Path(os.environ.get("SHOP") or pathlib.Path(__file__).parent / "work")
RAW = SHOP / "data/1_raw"
DEPLOYED = SHOP / "../commit"
COMMIT = {"raw_commit": DEPLOYED.read_text()} if DEPLOYED.exists() else {}
"""The commit that the code is from, where a deployment tells it."""


def note(target, content):
    with (SHOP / "../truth.jsonl").open("a") as file:
        file.write(json.dumps({"target": target, "read": content}) + "\n")


def read(context, *names):
    """What an asset reads, for the truth; content may make it slow, or fail."""
    partition = context.partition_key if context.has_partition_key else None
    content = {name: (RAW / name).read_text() if (RAW / name).exists() else None for name in names}
    key = "+".join(sorted("/".join(one.path) for one in context.selected_asset_keys))
    note(key + (f"|{partition}" if partition else ""), content)
    if "slow" in str(content):
        time.sleep(5)
    until = time.monotonic() + 60
    while "held" in str(content) and not (SHOP / "../go").exists() and time.monotonic() < until:
        time.sleep(0.1)
    if "bad" in str(content):
        raise ValueError(f"cannot read {content}")


@dg.asset(metadata=COMMIT)
def a(context):
    read(context, "a.csv")


@dg.asset
def b(context):
    read(context, "b.csv")
    context.add_output_metadata(COMMIT)


@dg.asset
def pair(context):
    read(context, "pair/x.csv", "pair/y.csv")


@dg.asset(deps=[a])
def child(context):
    read(context)


@dg.asset(group_name="checked")
def checked(context):
    read(context, "checked.csv")


@dg.asset_check(asset=checked)
def no_zero():
    words = (RAW / "checked.csv").read_text()
    severity = dg.AssetCheckSeverity.WARN if "warn" in words else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(passed="0" not in words, severity=severity, description="there is a zero")


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["x", "y"]))
def part(context):
    read(context, f"part/{context.partition_key}.csv")


@dg.asset(partitions_def=dg.DynamicPartitionsDefinition(name="names"))
def dyn(context):
    read(context, f"dyn/{context.partition_key}.csv")


DAYS = dg.DailyPartitionsDefinition("2026-01-01")


@dg.asset(partitions_def=DAYS)
def daily(context):
    read(context, f"daily/{context.partition_key}.csv")


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def ranged(context) -> None:
    keys = context.partition_key_range
    for key in DAYS.get_partition_keys_in_range(keys):
        (RAW / f"ranged/{key}.csv").read_text()
    note(f"ranged|{keys.start}..{keys.end}", {})


@dg.multi_asset(specs=[dg.AssetSpec("left"), dg.AssetSpec("right")])
def both(context):
    read(context, "left.csv")
    yield dg.MaterializeResult(asset_key="left")
    yield dg.MaterializeResult(asset_key="right")


@dg.asset(deps=["ext"])
def under(context):
    read(context, "ext.csv")


class Sheets(dg.Config):
    files: list[str]


@dg.op
def work(config: Sheets):
    note("job:nightly", {"files": config.files})


@dg.job(executor_def=dg.in_process_executor)
def nightly():
    work()


SENSORS = []
if "SENSOR" in os.environ:
    from raw_trigger.automation import build_raw_sensor

    running = dg.DefaultSensorStatus.RUNNING
    SENSORS = [build_raw_sensor(project=SHOP, settle=0, minimum_interval_seconds=2, default_status=running)]

defs = dg.Definitions(
    assets=[a, b, pair, child, checked, part, dyn, daily, ranged, both, under, dg.AssetSpec("ext")],
    asset_checks=[no_zero],
    jobs=[nightly],
    sensors=SENSORS,
    executor=dg.in_process_executor,
)
