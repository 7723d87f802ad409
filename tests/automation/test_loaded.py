"""What a tick knows of the project is what every other face knows of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from raw_trigger.automation import build_raw_job_sensor
from raw_trigger.automation.loaded import loaded_workspace
from raw_trigger.model.assets import Catalog
from raw_trigger.workspace.workspace import open_workspace
from tests.automation.test_sensor import QUIET, asked
from tests.support.forks import dagster_environment
from tests.support.ticking import CODE, RULES, Ticking


def plain(catalog: Catalog) -> Any:
    """Without what depends on where it was loaded."""
    assets = {key: replace(asset, location="") for key, asset in catalog.assets.items()}
    return assets, sorted(catalog.jobs), catalog.unread, catalog.dagster_version


def test_the_catalog_is_that_of_the_project(shop: Ticking) -> None:
    with shop.instance() as instance:
        workspace = loaded_workspace(
            shop.top, environment=None, repository=shop.repository, instance=instance
        )
        assert plain(workspace.project.catalog()) == plain(open_workspace(shop.top).project.catalog())
        assert workspace.project.home() == shop.home


def test_faces_do_not_take_each_others_rules_for_edited_ones(shop: Ticking) -> None:
    def rules() -> str:
        return shop.git("show", "refs/raw-trigger/local:.raw-trigger/rules")

    before = rules()
    for content, by_hand in (("2\n", True), ("3\n", False)):
        shop.raw(a=content)
        if by_hand:
            assert shop.tool("run").returncode == 0
        else:
            shop.carry_out(shop.tick().run_requests)
        assert shop.tick().skip_message == QUIET
        assert rules() == before
    assert shop.made() == ["a", "a"]


def test_code_that_was_edited_after_it_was_loaded(shop: Ticking) -> None:
    """A code server that is not reloaded plans by the old code, and its runs load the new one."""
    assert shop.tick().skip_message == QUIET
    shop.raw(a="2\n")
    file, later = shop.top / "definitions.py", time.time() + 10
    before = file.read_text()
    file.write_text(before + "# edited\n")
    os.utime(file, (later, later))
    result = shop.tick()
    assert result.run_requests == []
    assert "was edited after it was loaded here: reload the code location" in result.skip_message
    file.write_text(before)
    assert asked(shop.tick()) == ["a"], "as when a branch is left and checked out again"


def test_another_instance_than_the_recorded_one(
    shop: Ticking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as that of `dagster dev` without $DAGSTER_HOME."""
    shop.raw(a="2\n")
    other = tmp_path / "other"
    shop.home.rename(other)
    shop.home = other
    result = shop.tick()
    assert result.run_requests == []
    assert f"not at {other}" in result.skip_message


def test_where_there_is_no_repository(shop: Ticking) -> None:
    shop.lay_again(CODE.replace("project=HERE", "project='/'"))
    result = shop.tick()
    assert result.run_requests == []
    assert "repository" in result.skip_message


def test_a_configuration_that_is_wrong(shop: Ticking) -> None:
    shop.write({"raw-trigger.yaml": "assets: 3\n"})
    assert shop.tick().skip_message.startswith("raw-trigger.yaml:1:9: ")


def test_only_some_branches(shop: Ticking) -> None:
    shop.lay_again(CODE.replace("settle=0)", "settle=0, branches=['main'])"))
    shop.git("checkout", "-q", "-b", "trial")
    shop.raw(a="2\n")
    assert shop.tick().skip_message == "'trial' is checked out, and only main is materialized"
    shop.git("checkout", "-q", "--detach")
    assert shop.tick().skip_message == "no branch is checked out, and only main is materialized"
    shop.git("checkout", "-q", "-B", "main")
    assert asked(shop.tick()) == ["a"]


def test_during_a_rebase(shop: Ticking) -> None:
    shop.raw(a="2\n")
    (shop.top / ".git/rebase-merge").mkdir()
    assert shop.tick().skip_message == "git is in the middle of a rebase"


def test_a_file_that_is_still_being_written(shop: Ticking) -> None:
    """Holds what is made from it, and nothing else."""
    shop.lay_again(CODE.replace("settle=0)", "settle=1.5)"))
    time.sleep(1.6)
    shop.raw(a="2\n", b="2\n")
    assert shop.tick().skip_message.startswith("a: data/1_raw/a.csv is still being written; b: ")
    time.sleep(1.6)
    shop.raw(b="3\n")
    assert asked(shop.tick()) == ["a"]


def test_at_most_so_many_runs(shop: Ticking) -> None:
    shop.lay_again(CODE.replace("settle=0)", "settle=0, most=2)"))
    shop.raw(a="2\n", part__x="2\n", part__y="2\n")
    assert len(shop.ticked()) == 2
    assert len(shop.ticked()) == 1
    assert shop.tick().skip_message == QUIET


def test_what_is_made_from_what_was_never_made(shop: Ticking) -> None:
    """Its parent, which no file feeds, is made first, by the same run."""
    code = CODE.replace(
        "@dg.asset\ndef b(context)",
        "@dg.asset\ndef top(context): read(context)\n@dg.asset(deps=[top])\ndef b(context)",
    ).replace("ASSETS = [a, b,", "ASSETS = [a, top, b,")
    shop.lay_again(code)
    shop.raw(b="2\n")
    assert asked(shop.tick()) == ["b+top"]


def test_a_project_of_which_nothing_is_recorded(shop: Ticking) -> None:
    shop.git("update-ref", "-d", "refs/raw-trigger/local")
    assert shop.tick().skip_message == "nothing is recorded yet, so HEAD is taken as what is materialized"


def test_rules_for_a_job_that_has_no_sensor(shop: Ticking) -> None:
    shop.lay_again(rules=RULES.replace("nightly", "other"))
    shop.write({"data/1_raw/job/x.txt": "1\n"})
    assert "other" in shop.tick().skip_message


def lay_with_raw_trigger(shop: Ticking, options: str) -> None:
    """Definitions without sensors, to which these things are added."""
    code = CODE.replace("build_raw_sensor\n", "build_raw_sensor, with_raw_trigger\n").replace(
        "SENSORS = [", "SENSORS = []\nUNUSED = ["
    )
    shop.lay_again(code)
    added = f"defs = with_raw_trigger(defs, {options}, project=HERE, settle=0)\n"
    shop.write({"definitions.py": (shop.top / "definitions.py").read_text() + added})
    shop.load()


def test_definitions_with_everything(shop: Ticking) -> None:
    """In one line."""
    lay_with_raw_trigger(shop, "jobs=[nightly]")
    assert sorted(one.name for one in shop.repository.sensor_defs) == ["raw_job_sensor", "raw_sensor"]
    shop.raw(a="2\n")
    assert asked(shop.tick()) == ["a"]


@pytest.mark.skipif(dg.__version__.startswith("1.7."), reason="Dagster 1.7 has no job of all assets")
def test_definitions_with_all_that_there_is(shop: Ticking) -> None:
    lay_with_raw_trigger(
        shop,
        """jobs=["nightly"], checks=[a, "ext"], cron_schedule="0 2 * * *", execution_timezone="Europe/Berlin",
        quality=True, minimum_interval_seconds=10, default_status=dg.DefaultSensorStatus.RUNNING""",
    )
    repository = shop.repository
    sensors = {one.name: one.minimum_interval_seconds for one in repository.sensor_defs}
    assert sensors == {"raw_job_sensor": 10, "raw_sensor": 10, "raw_quality_sensor": 600}
    [schedule] = repository.schedule_defs
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", "Europe/Berlin")
    assert {one.default_status.value for one in (*repository.sensor_defs, schedule)} == {"RUNNING"}
    assert len(repository.asset_graph.asset_check_keys) == 4
    shop.raw(a="2\n")
    assert asked(shop.tick()) == ["a"]


def test_several_jobs_by_their_names(shop: Ticking) -> None:
    with pytest.raises(dg.DagsterInvalidDefinitionError, match="by their definitions"):
        build_raw_job_sensor(jobs=["nightly", "hourly"])


def test_a_root_that_is_away_for_a_moment(shop: Ticking) -> None:
    """Such as that of a disk which is not mounted: its files are not deleted."""
    raw, away = shop.top / "data/1_raw", shop.top.parent / "away"
    raw.rename(away)
    assert shop.tick().skip_message == "the raw root data/1_raw is not there"
    away.rename(raw)
    assert shop.tick().skip_message == QUIET
    assert shop.made() == []


def test_what_is_not_settled_is_not_recorded(shop: Ticking) -> None:
    """A file that is deleted for a moment, and a configuration that is half saved."""
    shop.lay_again(CODE.replace("settle=0)", "settle=1)"))
    time.sleep(1.1)
    assert shop.tick().skip_message == QUIET
    shop.raw(a=None)
    shop.tick()
    shop.raw(a="1\n")
    rules = (shop.top / "raw-trigger.yaml").read_text()
    shop.write({"raw-trigger.yaml": rules.partition("assets:")[0]})
    assert shop.tick().skip_message == "raw-trigger.yaml is still being written"
    shop.write({"raw-trigger.yaml": rules})
    time.sleep(1.1)
    assert shop.tick().skip_message == QUIET
    shop.raw(a=None)
    time.sleep(1.1)
    shop.tick()
    shop.raw(a="1\n")
    time.sleep(1.1)
    assert asked(shop.tick()) == ["a"], "it was deleted, and came back"


def test_a_module_from_the_future(shop: Ticking) -> None:
    later = time.time() + 86400
    os.utime(shop.top / "definitions.py", (later, later))
    shop.load()
    shop.raw(a="2\n")
    assert asked(shop.tick()) == ["a"]


def test_the_message_names_what_is_left(shop: Ticking) -> None:
    shop.write({"data/1_raw/dyn/a\tb.csv": "1\n", "data/1_raw/job/x.txt": "1\n"})
    told = shop.tick().skip_message
    assert "cannot be a partition" in told
    assert "job:nightly: a sensor of build_raw_job_sensor asks for it" in told


@pytest.mark.soak
def test_a_worktree_with_a_home_of_its_own(
    shop: Ticking, new_home: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Has an environment of its own, for the daemon as for the hooks: Dagster names the home to the one only."""
    shop.git("worktree", "add", "-q", "../other", "-b", "other")
    other = Ticking(shop.top.parent / "other", shop.program)
    other.home = shop.top / ".git/worktrees/other/raw-trigger/dagster_home"
    other.home.parent.mkdir(parents=True, exist_ok=True)
    new_home(other.home)
    other.load()
    monkeypatch.setenv("DAGSTER_HOME", str(other.home))
    other.adopt()
    other.raw(a="2\n")
    other.carry_out(other.tick().run_requests)
    assert other.tick().skip_message == QUIET
    monkeypatch.delenv("DAGSTER_HOME")
    assert other.plan()["environment"] == "local-other"
    assert other.plan()["targets"] == []
    assert shop.plan()["targets"] == []


ELSEWHERE = """
import dagster as dg
@dg.asset
def elsewhere(): open(__file__.replace("one.py", "data/1_raw/else.csv")).read()
defs = dg.Definitions(assets=[elsewhere])
"""
BELOW = """
@dg.asset(deps=["elsewhere"])
def below(context): read(context)
ASSETS.append(below)
"""


@pytest.mark.parametrize("pyproject", [None, '[project]\nname = "shop"\nversion = "1"\n'])
def test_an_asset_of_another_code_location(shop: Ticking, pyproject: str | None) -> None:
    """Here it is only named: it is neither reported as an external one nor tried in vain."""
    locations = "load_from:\n  - python_file: one.py\n  - python_file: definitions.py\n"
    shop.write({"one.py": ELSEWHERE, "workspace.yaml": locations, "data/1_raw/else.csv": "1\n"})
    if pyproject is not None:
        shop.write({"pyproject.toml": pyproject})
    python = str(dagster_environment() / "bin/python")
    shop.lay_again(CODE + BELOW, RULES + "{path: else.csv, asset: elsewhere}\n", dagster={"python": python})
    assert shop.tool("adopt").returncode == 0
    assert shop.tick().skip_message == QUIET
    shop.write({"data/1_raw/else.csv": "2\n"})
    for _ in range(2):
        result = shop.tick()
        assert result.run_requests == []
        assert result.skip_message == "elsewhere: a sensor of its own code location asks for it"
    assert shop.history() == []
    assert shop.tool("run").returncode == 0
    assert shop.tick().skip_message == QUIET
