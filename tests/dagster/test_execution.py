"""What becomes of targets in real runs, and what Dagster knows of it afterwards."""

from __future__ import annotations

import uuid

import pytest

from raw_trigger.model.outcome import CheckResult
from raw_trigger.project import BatchFinished, BatchStarted, Loaded
from tests.dagster.sandbox import batch, target

DEFS = """
    import dagster as dg
    ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
    print("noise while loading")
    static = dg.StaticPartitionsDefinition(["eu", "us"])
    days = dg.DailyPartitionsDefinition("2024-01-05")
    files = dg.DynamicPartitionsDefinition(name="files")

    @dg.asset(key_prefix="raw")
    def good():
        print('{"event": "target", "status": "noise"}')
        import lazily
        return lazily.VALUE
    @dg.asset(key_prefix="raw")
    def bad():
        try:
            int("x")
        except ValueError as error:
            raise RuntimeError("sales.csv line 3: 'x' is no number") from error
    @dg.asset(deps=[bad])
    def below(): ...
    @dg.asset(deps=[below])
    def far_below(): ...
    @dg.asset
    def other(): ...

    @dg.asset
    def checked(): return 1
    @dg.asset_check(asset=checked)
    def has_rows(): return dg.AssetCheckResult(passed=False, description="0 rows", severity=ERROR)
    @dg.asset_check(asset=checked)
    def is_new(): return dg.AssetCheckResult(passed=True)
    @dg.asset
    def warned(): return 1
    @dg.asset_check(asset=warned)
    def is_big(): return dg.AssetCheckResult(passed=False, severity=WARN, metadata={"rows": 3})
    @dg.asset
    def uncheckable(): return 1
    @dg.asset_check(asset=uncheckable)
    def breaks(): raise OSError("no disk")
    @dg.asset
    def gate(): return 1
    @dg.asset_check(asset=gate, blocking=True)
    def shut(): return dg.AssetCheckResult(passed=False, description="shut")
    @dg.asset(deps=[gate])
    def behind_gate(): ...

    @dg.asset(partitions_def=static)
    def region(context): ...
    @dg.asset(partitions_def=static, deps=[region])
    def region_below(context): ...
    @dg.asset(partitions_def=days)
    def day(): ...
    @dg.asset(partitions_def=files)
    def by_file(context): context.log.info(context.partition_key)
    @dg.asset(partitions_def=dg.MultiPartitionsDefinition({"region": static, "day": days}))
    def both(): ...
    @dg.asset(partitions_def=dg.MultiPartitionsDefinition({"region": static, "file": files}))
    def both_dynamic(): ...

    at_once = dg.BackfillPolicy.single_run()
    @dg.asset(partitions_def=days, backfill_policy=at_once)
    def series(context) -> None:
        assert list(context.partition_keys) == ["2024-01-06", "2024-01-07", "2024-01-08"]
    @dg.asset(partitions_def=days, backfill_policy=at_once, deps=[series])
    def series_below() -> None: ...
    @dg.asset(partitions_def=days, backfill_policy=at_once)
    def torn(context) -> None: assert "2024-01-07" not in context.partition_keys, "on the seventh"
    @dg.asset(partitions_def=static, backfill_policy=dg.BackfillPolicy.multi_run(2))
    def pairs(context) -> None: assert len(context.partition_keys) == 2
    @dg.asset(partitions_def=days, backfill_policy=at_once)
    def gap(context) -> None: assert len(context.partition_keys) == 1

    @dg.multi_asset(outs={"left": dg.AssetOut(), "right": dg.AssetOut()})
    def pair(): return 1, 2
    @dg.multi_asset(outs={n: dg.AssetOut(is_required=False) for n in ("first", "second")}, can_subset=True)
    def half(context):
        yield dg.Output(1, "first")
        if "second" in context.op_execution_context.selected_output_names:
            raise ValueError("half way")
    @dg.op
    def one(): return 1
    @dg.op
    def breaks_inside(value): raise KeyError("inner")
    @dg.op
    def last(value): return value
    @dg.graph_asset
    def from_graph(): return last(breaks_inside(one()))
    tries = []
    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
    def flaky():
        tries.append(1)
        if len(tries) == 1: raise ValueError("first time")

    class Sheet(dg.Config):
        number: int
    @dg.asset
    def configured(config: Sheet): assert config.number == 3
    @dg.asset
    def not_configured(config: Sheet): ...
    @dg.asset
    def leaves(): raise SystemExit(3)

    def fail_with(message):
        try: raise ValueError(message)
        except ValueError as error: raise dg.RetryRequested(max_retries=0) from error
    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
    def tired(): raise ValueError("line 4")
    @dg.asset
    def again(): fail_with("line 5")
    @dg.asset
    def deliberate(): raise dg.Failure("line 6")
    @dg.asset
    def wordless(): raise dg.Failure(metadata={"rows": 3})
    class DagsterishError(Exception): ...
    @dg.asset
    def derived():
        try: raise ValueError("inner")
        except ValueError as error: raise DagsterishError("line 7") from error
    @dg.asset
    def refused():
        try: raise ValueError("inner")
        except ValueError as error: raise dg.DagsterInvariantViolationError("line 8") from error

    class Broken(dg.ConfigurableResource):
        def setup_for_execution(self, context): raise OSError("no route to host")
    class Database(dg.ConfigurableResource):
        url: str
    class Store(dg.IOManager):
        def handle_output(self, context, output): raise OSError("disk full")
        def load_input(self, context): ...
    @dg.io_manager
    def no_store(): raise OSError("no bucket")
    @dg.asset
    def needs_broken(broken: Broken): ...
    @dg.asset
    def needs_broken_too(broken: Broken): ...
    @dg.asset
    def needs_database(database: Database): ...
    @dg.asset(deps=[needs_database])
    def below_database(): ...
    @dg.asset(deps=[below_database])
    def far_below_database(broken: Broken): ...
    @dg.asset(io_manager_key="store")
    def stored(): return 1
    @dg.asset(io_manager_key="no_store")
    def nowhere_stored(): return 1
    ran_free = []
    @dg.asset
    def free():
        ran_free.append(1)
        assert len(ran_free) == 1
    @dg.asset(deps=[free])
    def free_below(): ...

    @dg.observable_source_asset
    def seen(): return dg.DataVersion("1")

    defs = dg.Definitions(
        [series, series_below, torn, pairs, gap, good, bad, below, far_below, other, checked, warned, uncheckable, gate, behind_gate, region,
         region_below, day, by_file, both, both_dynamic, pair, half, from_graph, flaky, configured,
         leaves, seen, tired, again, deliberate, wordless, derived, refused, needs_broken, needs_broken_too,
         needs_database, below_database, far_below_database, stored, nowhere_stored, free, free_below, not_configured,
         dg.AssetSpec("outside", partitions_def=None), dg.AssetSpec("sighted"),
         dg.AssetSpec("parts", partitions_def=static)],
        asset_checks=[has_rows, is_new, is_big, breaks, shut],
        resources={"broken": Broken(), "database": Database(url=dg.EnvVar("NOT_SET")), "store": Store(),
                   "no_store": no_store})
"""
FIRST_RUN = str(uuid.uuid4())
APART = str(uuid.uuid4())


@pytest.fixture(scope="module")
def sandbox(sandbox_factory):
    return sandbox_factory({"defs.py": DEFS, "lazily.py": "VALUE = 4\n"})


@pytest.fixture(scope="module")
def ran(sandbox):
    """All of it in one process; the tests look at the pieces."""
    return sandbox.run(
        batch(1, "raw/good", "raw/bad", "below", "far_below", "other", "flaky",
              run_id=FIRST_RUN, tags={"raw_batch": "1/9"}),
        batch(2, "checked", "warned", "uncheckable", "gate", "behind_gate", "seen"),
        batch(3, "region|eu", "region_below|eu", "left", "right", partition="eu"),
        batch(4, "region|mars", "region_below|mars", partition="mars"),
        batch(5, "by_file|new.csv", "both_dynamic|other.csv|us"),
        batch(6, "day|2024-01-06", partition="2024-01-06"),
        batch(7, "day|2024-01-04", "both|2024-01-05|us"),
        batch(8, "configured", run_config={"ops": {"configured": {"config": {"number": 3}}}}),
        batch(9, "first", "second", "from_graph", "leaves"),
        batch(
            10,
            target("outside", data_version="abc123", metadata={"commit": "c0ffee", "size": 12}),
            target("parts|eu", data_version="p1"),
            target("sighted", data_version="s1", report_as="observation"),
            "not/there",
            kind="report",
        ),
        batch(11, "both_dynamic|gone.csv|us"),
        batch(12, "by_file|gone.csv", "by_file|never.csv", "region|asia", kind="delete-partition"),
        batch(13, *(f"{key}|2024-01-0{n}" for key in ("series", "series_below") for n in (6, 7, 8)), is_range=True),
        batch(14, "torn|2024-01-07", "torn|2024-01-08", is_range=True),
        batch(15, "pairs|eu", "pairs|us", is_range=True),
        batch(16, "gap|2024-01-06", "gap|2024-01-08", is_range=True),
        batch(17, "tired", "again", "deliberate", "wordless", "derived", "refused", "stored"),
        batch(18, "needs_database", "far_below_database", "not_configured", "free_below", "needs_broken_too",
              target("below_database", after=["needs_database"]), "nowhere_stored", "free", "needs_broken",
              run_id=APART),
        trigger="raw-trigger/test",
    )  # fmt: skip


@pytest.fixture(scope="module")
def plan_errors(sandbox):
    """Batches that no run can come of, each followed by one that is fine."""
    return sandbox.run(
        batch(1, "configured"),
        batch(2, "left"),
        batch(3, "raw/nowhere", "outside", "region", "raw/good"),
        batch(4, "raw/bad"),
        batch(5, target("other", after=["raw/bad"]), target("left", after=["raw/bad"]), "right"),
        batch(7, "raw/good"),
        batch(8, "by_file|x", "by_file|y", target("both|2024-01-05|eu", after=["by_file|y"])),
        batch(9, "by_file|\udcff", "by_file|z", "both_dynamic|\udcff|us", partition="z"),
        batch(6, target("region|us", after=["other"]), target("region_below|us", after=["region|us"])),
    )  # fmt: skip


def test_all_is_told_of_once(ran):
    assert ran.result.problem is None
    assert ran.result.untold == ()
    assert ran.result.exit_code == 0
    assert isinstance(ran.events[0], Loaded)
    told = [(e.asset, e.partition) for e in ran.targets]
    assert len(told) == len(set(told)) == 64


def test_a_failure_keeps_nothing_else_from_running(ran):
    assert {key: ran.statuses[key] for key in ("raw/good", "raw/bad", "below", "far_below", "other")} == {
        "raw/good": "success",
        "raw/bad": "failed",
        "below": "skipped",
        "far_below": "skipped",
        "other": "success",
    }
    assert ran.target("below").error.message == "upstream raw/bad failed"
    assert ran.target("far_below").error.message == "upstream below failed"
    assert ran.target("flaky").status == "success"


def test_the_error_is_the_loaders_own(ran, sandbox):
    error = ran.target("raw/bad").error
    assert error.cls == "RuntimeError"
    assert error.message == "RuntimeError: sales.csv line 3: 'x' is no number"
    assert error.traceback.startswith(f'  File "{sandbox.folder}/defs.py", line ')
    assert error.traceback.endswith("\n" + error.message)
    assert error.traceback.count("File ") == 1


def test_events_arrive_while_the_run_is_on(ran):
    first = [event for event in ran.events if getattr(event, "batch", None) == 1]
    assert first[0] == BatchStarted(1, FIRST_RUN)
    assert isinstance(first[-1], BatchFinished)
    assert first[-1].success is False
    assert all(event.run_id == FIRST_RUN for event in first)
    assert ran.target("raw/good").seconds > 0
    assert ran.target("below").seconds is None


def test_checks(ran):
    assert ran.target("checked").status == "failed"
    assert ran.target("checked").error.message == "asset check has_rows failed: 0 rows"
    assert ran.target("checked").checks == (
        CheckResult("has_rows", False, "ERROR", "0 rows"),
        CheckResult("is_new", True, "ERROR", None),
    )
    assert ran.target("warned").status == "success"
    assert ran.target("warned").checks == (CheckResult("is_big", False, "WARN", "rows: 3"),)
    assert ran.target("uncheckable").error.message == "asset check breaks failed: OSError: no disk"
    assert ran.target("gate").error.message == "asset check shut failed: shut"
    assert ran.target("behind_gate").status == "skipped"
    assert ran.target("behind_gate").error.message == "upstream gate failed"


def test_partitions(ran):
    assert ran.statuses["region|eu"] == ran.statuses["region_below|eu"] == "success"
    assert ran.statuses["left"] == ran.statuses["right"] == "success"
    assert ran.target("region", "eu").run_id == ran.target("left").run_id
    assert ran.statuses["day|2024-01-06"] == "success"
    assert ran.statuses["both|2024-01-05|us"] == "success"
    assert ran.statuses["both_dynamic|other.csv|us"] == "success"


def test_an_unknown_key_is_skipped_without_a_run(ran):
    for key in ("region|mars", "region_below|mars"):
        found = ran.target(*key.split("|"))
        assert (found.status, found.run_id) == ("skipped", None)
    assert ran.target("region", "mars").error.message == "'mars' is no partition of region"
    assert ran.target("day", "2024-01-04").error.message == "'2024-01-04' is no partition of day"
    assert not [e for e in ran.events if isinstance(e, BatchStarted) and e.batch == 4]


def test_a_batch_of_two_definitions_is_split(ran):
    runs = [e.run_id for e in ran.events if isinstance(e, BatchStarted) and e.batch == 5]
    assert len(runs) == len(set(runs)) == 2
    assert {
        ran.target("by_file", "new.csv").run_id,
        ran.target("both_dynamic", "other.csv|us").run_id,
    } == set(runs)


def test_multi_assets_graphs_and_observables(ran):
    assert ran.target("first").status == "success"
    assert ran.target("second").error.message == "ValueError: half way"
    assert ran.target("from_graph").error.message == "KeyError: 'inner'"
    assert ran.target("leaves").error.message == "SystemExit: 3"
    assert ran.target("seen").status == "success"
    assert ran.target("configured").status == "success"


def test_what_user_code_prints_is_in_the_log(ran):
    assert "noise while loading" in ran.log
    assert '{"event": "target", "status": "noise"}' in ran.log


def test_reports(ran):
    assert ran.target("outside").status == ran.target("parts", "eu").status == "success"
    assert ran.target("sighted").status == "success"
    assert ran.target("not/there").status == "failed"
    assert ran.target("not/there").error.message == "not/there is not in the Dagster project"


def test_ranges(ran):
    """One run makes them all and each is told of; where they are no range it is one run for each."""
    runs = {
        n: [e.run_id for e in ran.events if isinstance(e, BatchStarted) and e.batch == n]
        for n in range(13, 17)
    }
    assert {n: len(ids) for n, ids in runs.items()} == {13: 1, 14: 1, 15: 1, 16: 2}
    told = {e.asset: [o for o in ran.targets if o.asset == e.asset] for e in ran.targets if e.batch in runs}
    states = {key: [(one.partition, one.status) for one in ones] for key, ones in told.items()}
    days = [(f"2024-01-0{n}", "success") for n in (6, 7, 8)]
    assert states["series"] == states["series_below"] == days
    assert states["torn"] == [("2024-01-07", "failed"), ("2024-01-08", "failed")]
    assert ran.target("torn", "2024-01-08").error.message == "AssertionError: on the seventh"
    assert states["pairs"] == [("eu", "success"), ("us", "success")]
    assert states["gap"] == [("2024-01-06", "success"), ("2024-01-08", "success")]


def test_partitions_are_deleted(ran):
    assert ran.statuses["both_dynamic|gone.csv|us"] == "success"
    assert ran.statuses["by_file|gone.csv"] == ran.statuses["by_file|never.csv"] == "success"
    assert ran.target("by_file", "gone.csv").run_id is None
    assert ran.target("region", "asia").error.message == "the partitions of region are not dynamic"


def test_what_dagster_knows_afterwards(ran, sandbox):
    out = sandbox.dagster(
        f"""
        run = instance.get_run_by_id({FIRST_RUN!r})
        def last(key):
            m = instance.get_latest_materialization_event(dg.AssetKey(key)).asset_materialization
            metadata = {{k: v.value for k, v in m.metadata.items()}}
            return [m.tags.get("dagster/data_version"), m.partition, metadata]
        seen = instance.fetch_observations(dg.AssetKey("sighted"), limit=1).records[0].asset_observation
        region = instance.get_latest_materialization_event(dg.AssetKey("region"))
        out = dict(
            status=run.status.value, tags=dict(run.tags), outside=last("outside"), parts=last("parts"),
            observed=seen.tags["dagster/data_version"],
            files=sorted(instance.get_dynamic_partitions("files")),
            region_tag=instance.get_run_by_id(region.run_id).tags["dagster/partition"],
            unknown=instance.has_asset_key(dg.AssetKey(["not", "there"])),
            origin=[run.remote_job_origin.location_name, run.remote_job_origin.job_name],
            listed=[one.run_id for one in instance.get_runs(dg.RunsFilter(
                tags={{".dagster/repository": "__repository__@defs.py"}}), limit=100)],
        )
        """
    )
    assert out["status"] == "FAILURE"
    assert out["origin"] == ["defs.py", "__ASSET_JOB"], "pages link to it, and can execute it again"
    assert FIRST_RUN in out["listed"]
    assert out["tags"]["dagster/max_retries"] == "0", "a daemon would, and nobody would record it"
    assert out["tags"]["trigger"] == "raw-trigger/test"
    assert out["tags"]["raw_batch"] == "1/9"
    assert out["outside"] == ["abc123", None, {"commit": "c0ffee", "size": 12}]
    assert out["parts"][:2] == ["p1", "eu"]
    assert out["observed"] == "s1"
    assert out["files"] == ["new.csv", "other.csv"]
    assert out["region_tag"] == "eu"
    assert out["unknown"] is False


@pytest.mark.parametrize(
    ("asset", "message"),
    [
        ("tired", "ValueError: line 4"),
        ("again", "ValueError: line 5"),
        ("deliberate", "Failure: line 6"),
        ("wordless", "Failure"),
        ("derived", "defs.DagsterishError: line 7"),
        ("refused", "DagsterInvariantViolationError: line 8"),
        ("stored", "OSError: disk full"),
    ],
)
def test_the_error_is_the_assets_own(ran, asset, message):
    error = ran.target(asset).error
    assert error.message == message
    assert error.traceback.count("File ") <= 2, error.traceback


def test_what_keeps_a_run_from_beginning_is_charged_to_nothing_else(ran, sandbox):
    told = {event.asset: event for event in ran.targets if event.batch == 18}
    first_lines = {
        asset: None if event.error is None else event.error.message.splitlines()[0].partition(" for ")[0]
        for asset, event in told.items()
    }
    assert first_lines == {
        "needs_broken": "OSError: no route to host",
        "needs_broken_too": "OSError: no route to host",
        "nowhere_stored": "OSError: no bucket",
        "needs_database": "DagsterInvalidConfigError: Error in config",
        "not_configured": "DagsterInvalidConfigError: Error in config",
        "below_database": "upstream needs_database failed",
        "far_below_database": "OSError: no route to host",
        "free": None,
        "free_below": None,
    }
    started = [event.run_id for event in ran.events if isinstance(event, BatchStarted) and event.batch == 18]
    assert started[0] == APART
    assert len(started) == len(set(started)) <= 14


def test_errors_before_a_run_exists(plan_errors):
    ran = plan_errors
    assert ran.result.problem is None
    assert ran.target("configured").status == "failed"
    assert ran.target("configured").error.cls == "DagsterInvalidConfigError"
    assert ran.target("configured").error.traceback is None
    assert [e.error.cls for e in ran.targets if e.asset == "left" and e.batch == 2] == [
        "DagsterInvalidSubsetError"
    ]
    assert ran.target("raw/nowhere").error.message == "raw/nowhere is not in the Dagster project"
    assert ran.target("outside").error.message == "outside is external, it can only be reported"
    assert ran.target("region").error.message == "region is partitioned, no partition is given"
    assert [e.status for e in ran.targets if e.asset == "raw/good"] == ["success", "success"]


def test_what_comes_after_a_failure_of_an_earlier_batch(plan_errors):
    ran = plan_errors
    assert ran.target("other").error.message == "upstream raw/bad failed"
    assert ran.target("region", "us").error.message == "upstream other failed"
    assert ran.target("region_below", "us").error.message == "upstream region failed"
    # a multi-asset that runs as a whole is left as a whole
    assert [
        (e.status, e.error.message) for e in ran.targets if e.batch == 5 and e.asset in ("left", "right")
    ] == [
        ("skipped", "upstream raw/bad failed"),
        ("skipped", "upstream raw/bad failed"),
    ]


def test_one_batch_with_several_keys_and_an_order_across_runs(plan_errors):
    told = [(e.asset, e.partition, e.status) for e in plan_errors.targets if e.batch == 8]
    assert told == [
        ("by_file", "x", "success"),
        ("by_file", "y", "success"),
        ("both", "2024-01-05|eu", "success"),
    ]
    assert len({e.run_id for e in plan_errors.targets if e.batch == 8}) == 3


def test_a_partition_key_that_is_no_text_keeps_nothing_else_from_running(plan_errors):
    told = {e.partition: e for e in plan_errors.targets if e.batch == 9}
    assert {key: one.status for key, one in told.items()} == {
        "\udcff": "failed",
        "z": "success",
        "\udcff|us": "failed",
    }
    assert told["\udcff"].error.message.startswith(
        "'\\udcff' cannot be a partition of by_file: UnicodeEncodeError: "
    )


def test_a_private_home_makes_no_noise(ran, sandbox):
    assert (sandbox.folder.parent / "home" / "dagster.yaml").read_text() == ""
    assert "dagster.yaml) found" not in ran.log


def test_runners_at_once_in_a_fresh_home(sandbox_factory):
    from threading import Thread

    sandbox = sandbox_factory({"defs.py": "import dagster as dg\n@dg.asset\ndef a(): ...\n"})
    statuses = []
    threads = [Thread(target=lambda: statuses.append(sandbox.run(batch(1, "a")).statuses)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [{"a": "success"}] * 4
