"""Of which targets of killed launches it is known from what they were made."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from raw_trigger.attempts import Attempt, certain
from raw_trigger.model.changes import Base, Change, Desired, Entry
from raw_trigger.model.history import BatchRecord, LaunchRecord, TargetRecord
from raw_trigger.model.owner import Owner
from raw_trigger.model.plan import Plan, PlannedChange, PlannedTarget, Target

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
