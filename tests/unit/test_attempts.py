"""Of which targets of killed launches it is known from what they were made."""

from __future__ import annotations

import time
from datetime import datetime, timezone

import pytest

from raw_trigger.launch.attempts import Attempt, certain, ending, from_mark
from raw_trigger.model.changes import Base, Change, Desired, Entry
from raw_trigger.model.history import BatchRecord, LaunchRecord, TargetRecord
from raw_trigger.model.owner import Owner
from raw_trigger.model.plan import Plan, PlannedChange, PlannedTarget, Target
from raw_trigger.model.record import Launch
from raw_trigger.project.project import DagsterRun, Materialized

PATH = b"data/1_raw/c.csv"


def attempt(made: float | None) -> Attempt:
    record = TargetRecord(Target("concepts", "A"), "materializable", "materialize", ((PATH, "1" * 40),))
    launch = LaunchRecord(
        launch_id="launch",
        environment="local",
        face="cli",
        git_sha=None,
        fingerprint="",
        batches=(BatchRecord("row", 1, "run", "materialize", (record,)),),
        log=None,
        owner=Owner("host", "", 1, ""),
        started=datetime.fromtimestamp(1000, timezone.utc),
    )
    return Attempt(launch, record, "run", made)


def plan(**contents: str) -> Plan:
    """What is on disk other than recorded, and what it feeds."""
    changes = tuple(
        PlannedChange(Change(PATH, Entry("100644", "0" * 39 + "1"), Entry("100644", oid)), "planned")
        for oid in contents.values()
    )
    targets = (
        (PlannedTarget(Target("concepts", "A"), "materialize", "raw", 1, feeds=(PATH,)),) if changes else ()
    )
    return Plan("local", Base("recorded", "", "tree", ""), Desired("worktree", ""), changes, targets)


@pytest.mark.parametrize(
    ("made", "on_disk", "changed", "known"),
    [
        (1001.0, plan(), 1005.0, False),
        (1001.0, plan(disk="2" * 40), 1005.0, False),
        (1001.0, plan(disk="2" * 40), 900.0, False),
        (1001.0, plan(disk="1" * 40), 900.0, True),
        (1001.0, plan(disk="1" * 40), 1000.5, False),
        (1001.0, plan(disk="1" * 40), 1005.0, False),
        (None, plan(disk="1" * 40), 900.0, False),
    ],
    ids=[
        "as recorded",
        "another version",
        "another one, older",
        "what it was",
        "written meanwhile",
        "written later, and perhaps meanwhile",
        "cut off",
    ],
)
def test_of_what_it_is_known_from_what_it_was_made(
    made: float | None, on_disk: Plan, changed: float, *, known: bool
) -> None:
    found = certain([attempt(made)], on_disk, feeding=lambda _: [PATH], changed_at=lambda _: changed)
    assert found == ({Target("concepts", "A")} if known else set())


def test_a_launch_that_the_ledger_has_lost() -> None:
    """Its mark and its runs tell: what no run has made is waited for, and unknown when it is given up."""
    names = frozenset({"part|x", "part|y", "a"})
    mark = Launch({PATH: names}, "sensor", "2026-11-20T12:00:00+00:00", submitted=True)
    runs = {
        1: DagsterRun("SUCCESS", (Materialized("part", "x", 1001.0, 1000.0),), run_id="one"),
        2: DagsterRun("STARTED", (Materialized("part", "y", 1001.0, 1000.0),), run_id="two"),
    }
    found = ending(from_mark("launch", mark, runs), runs)
    assert [(one.name, one.run_id, one.made) for one in found.tried] == [("part|x", "one", 1001.0)]
    assert found.in_flight == {Target("part", "y"): "two", Target("a"): None}
    found = ending(from_mark("launch", mark, runs), runs, lost=True)
    assert [(one.name, one.made, one.begun) for one in found.tried] == [
        ("part|x", 1001.0, True),
        ("a", None, True),
    ]


def test_runs_that_are_not_over() -> None:
    now = time.time()
    assert DagsterRun("FAILURE", ended=now).has_ended
    assert not DagsterRun("FAILURE", ended=now, retries=True).has_ended, "Dagster tries it again"
    assert DagsterRun("FAILURE", ended=now - 3600, retries=True).has_ended, "its daemon is down"
    assert not DagsterRun("STARTED").has_ended
    assert not DagsterRun(None).has_ended
