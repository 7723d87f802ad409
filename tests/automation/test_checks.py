"""The asset checks of raw files: reported by ticks without a run, and executed in runs."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
import pytest

from raw_trigger.automation import build_raw_checks
from tests.support.forks import Program
from tests.support.ticking import CODE, Ticking

PRESENT, CURRENT = "files_present", "recorded_is_current"
ASSETS = ("a", "child", "part", "ext")
CHECKED = """
from raw_trigger.automation import build_raw_checks
@dg.asset_check(asset=b, name="files_present")
def own(): return dg.AssetCheckResult(passed=True, description="not raw-trigger's")
CHECKS = [build_raw_checks([a, child, part, "ext"], project=HERE), own]
"""
DEFINITIONS = "defs = dg.Definitions(assets=ASSETS, jobs=[nightly], sensors=SENSORS, asset_checks=CHECKS)\n"


class Checked(Ticking):
    """Looks at the checks too."""

    definitions = DEFINITIONS

    def told(self, asset: str) -> dict[str, tuple[bool, str]]:
        """The newest evaluation of each check."""
        keys = [dg.AssetCheckKey(dg.AssetKey(asset), name) for name in (PRESENT, CURRENT)]
        with self.instance() as instance:
            found = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
        events = {key.name: one.event.dagster_event.event_specific_data for key, one in found.items()}
        done = {name: one for name, one in events.items() if hasattr(one, "passed")}
        return {name: (one.passed, one.description) for name, one in done.items()}

    def evaluations(self) -> int:
        """How often any check was told."""
        keys = (dg.AssetCheckKey(dg.AssetKey(one), name) for one in ASSETS for name in (PRESENT, CURRENT))
        with self.instance() as instance:
            log = instance.event_log_storage
            return sum(len(log.get_asset_check_execution_history(key, limit=100)) for key in keys)


@pytest.fixture(scope="session")
def kept_checked(kept: Path, tmp_path_factory: pytest.TempPathFactory, program: Program) -> Path:
    """A repository in which everything is recorded as made, to be copied."""
    found = Checked.copied(kept, tmp_path_factory.mktemp("checked") / "work", program)
    found.lay(CODE + CHECKED, downstream="all")
    return found.top


@pytest.fixture
def checked(tmp_path: Path, kept_checked: Path, program: Program) -> Checked:
    return Checked.copied(kept_checked, tmp_path / "work", program)


CURRENTLY = (True, "it reflects its raw files")


def test_they_are_told_without_a_run_when_they_change(checked: Checked) -> None:
    checked.tick()
    fine = {PRESENT: (True, "there are raw files"), CURRENT: CURRENTLY}
    assert checked.told("a") == checked.told("child") == checked.told("ext") == fine
    assert checked.told("part")[PRESENT] == (True, "there are raw files")
    assert checked.told("b") == {}, "a check of the same name that is not ours"
    assert checked.evaluations() == 8
    checked.tick()
    assert checked.evaluations() == 8, "nothing is told twice"


def test_a_failure_is_told_and_what_is_being_made_is_not(checked: Checked) -> None:
    checked.tick()
    checked.raw(a="bad\n")
    asked = checked.tick().run_requests
    assert checked.told("a")[CURRENT] == CURRENTLY, "it is about to be made"
    checked.carry_out(asked)
    assert checked.told("a") == {}, "planned, and not executed"
    checked.tick()
    assert checked.told("a")[CURRENT] == (False, "a: it failed with this content")
    assert checked.told("child")[CURRENT] == (False, "child: it failed with this content")
    before = checked.evaluations()
    checked.tick()
    assert checked.evaluations() == before
    checked.raw(a="2\n")
    checked.carry_out(checked.tick().run_requests)
    checked.tick()
    assert checked.told("a")[CURRENT] == checked.told("child")[CURRENT] == CURRENTLY


def test_told_again_after_a_materialization(checked: Checked) -> None:
    """Dagster's pages take an older evaluation for one of older data."""
    checked.tick()
    with checked.instance() as instance:
        dg.materialize([dg.asset(name="a")(lambda: None)], instance=instance)
    before = checked.evaluations()
    time.sleep(1.1)  # SQLite keeps no fractions of the second
    checked.tick()
    assert checked.evaluations() == before + 2
    checked.tick()
    assert checked.evaluations() == before + 2


def test_the_last_file_is_gone(checked: Checked) -> None:
    checked.raw(a=None)
    checked.tick()
    assert checked.told("a")[PRESENT] == (False, "no raw file feeds it")


def test_a_run_that_nobody_records_leaves_it_pending(checked: Checked) -> None:
    """Materialized in the UI: the record does not know of it."""
    checked.raw(a="2\n")
    requests = [dg.RunRequest(asset_selection=[dg.AssetKey("a")])]
    checked.carry_out(requests)
    assert checked.told("a")[CURRENT] == (False, "a: it is pending")
    assert checked.tool("run").returncode == 0
    checked.tick()
    assert checked.told("a")[CURRENT] == CURRENTLY


def test_an_asset_that_fails_beside_one_that_does_not(checked: Checked) -> None:
    """Runs of ours leave the checks out: they would be skipped for both, and read files for both."""
    checked.raw(a="bad\n", b="2\n", ext="2\n")
    requests = checked.tick().run_requests
    assert "raw_trigger_checks" not in str([one.asset_check_keys for one in requests])
    checked.carry_out(requests)
    assert checked.made() == ["a", "b", "under"]
    assert checked.tick().skip_message.startswith("a: it failed with this content: again in")
    assert checked.told("a")[CURRENT] == (False, "a: it failed with this content")


def test_what_is_made_by_hand_reads_its_own_files_only(checked: Checked) -> None:
    checked.raw(a="2\n", b="2\n", part__x="2\n")
    done = checked.tool("run")
    assert (done.returncode, checked.made()) == (0, ["a", "b", "child", "part|x"])
    assert "feed" not in done.stderr


def test_a_deletion_that_may_not_be_one(checked: Checked) -> None:
    checked.lay_again((CODE + CHECKED).replace("settle=0", "settle=60"))
    checked.raw(part__x=None)
    assert "is still being written" in checked.tick().skip_message
    assert checked.told("part") == {}, "until it is known"


@pytest.mark.parametrize(("sensor", "number"), [("raw_job_sensor", 0), ("raw_sensor", 8)])
def test_one_sensor_tells(checked: Checked, sensor: str, number: int) -> None:
    checked.tick(sensor)
    assert checked.evaluations() == number


def test_another_environment_or_project(checked: Checked) -> None:
    for other in ('environment="zz"', 'project=HERE / ".."'):
        checked.lay_again(CODE + CHECKED.replace("project=HERE", other))
        checked.tick()
        assert checked.evaluations() == 0, other


def test_what_stands_in_the_way(checked: Checked) -> None:
    """Also of what is made from that."""
    checked.lay_again(CODE + CHECKED, downstream="all", on_delete="fail")
    checked.adopt()
    checked.raw(a=None)
    checked.tick()
    assert not checked.told("a")[CURRENT][0]
    assert checked.told("child")[CURRENT] == (False, "child: a does not reflect its raw files")


def test_they_never_refuse_a_run(checked: Checked) -> None:
    """As errors they would refuse the very run that makes them true."""
    checked.raw(a="2\n", part__x=None)
    done = checked.tool("run")
    assert done.returncode == 0, done.stderr
    assert checked.plan()["targets"] == []


def test_what_cannot_be_known_is_told(checked: Checked) -> None:
    checked.write({"raw-trigger.yaml": "nonsense: 1\n"})
    checked.carry_out([dg.RunRequest(asset_selection=[dg.AssetKey("b"), dg.AssetKey("a")])])
    passed, told = checked.told("a")[CURRENT]
    assert not passed
    assert "raw-trigger.yaml:1" in told


def test_keys_are_what_dagster_takes_for_them() -> None:
    @dg.multi_asset(specs=[dg.AssetSpec("x"), dg.AssetSpec(["y", "z"])])
    def two(): ...  # type: ignore[no-untyped-def]

    definition = dg.AssetSpec(["one", "two"])
    found = list(build_raw_checks([two, definition, "q", "t/u", dg.AssetKey(["r", "s"])]).check_keys)
    assert {"/".join(one.asset_key.path) for one in found} == {"x", "y/z", "one/two", "q", "t/u", "r/s"}
    assert [one.asset_key.path for one in build_raw_checks("ab").check_keys] == [["ab"], ["ab"]]
