"""What is recorded of launches that were killed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

import pytest

from raw_trigger.model.changes import Entry
from raw_trigger.model.history import BatchRecord, LaunchRecord, Owner, TargetRecord
from raw_trigger.model.plan import Target
from raw_trigger.model.record import Verdict
from raw_trigger.settling import Attempt, settlement

PATH = b"data/1_raw/c.csv"
A, B = "concepts|A", "concepts|B"


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


def verdict(oid: str, *targets: str) -> Verdict:
    return Verdict(Entry("100644", oid), frozenset(targets), frozenset(targets))


@pytest.mark.parametrize("made", [1001.0, None], ids=["made", "cut off"])
@pytest.mark.parametrize(
    ("verdicts", "others"),
    [({}, set()), ({PATH: verdict("2" * 40, B)}, {B}), ({PATH: verdict("2" * 40, A, B)}, {B})],
    ids=["as recorded", "but for another row", "another version of it"],
)
def test_a_file_that_is_another_one_by_now(
    made: float | None, verdicts: Mapping[bytes, Verdict], others: set[str]
) -> None:
    """Also where nothing that counts for the target differs from what was recorded before."""
    found = settlement([attempt(made)], verdicts, feeding=lambda _: [PATH], changed_at=lambda _: 1005.0)
    assert found.certain == {}
    assert found.unknown == {PATH: {A, *others}}


def test_a_file_that_is_what_it_was() -> None:
    verdicts = {PATH: verdict("1" * 40, A)}
    found = settlement([attempt(1001.0)], verdicts, feeding=lambda _: [PATH], changed_at=lambda _: 900.0)
    assert (found.certain, found.unknown) == (verdicts, {})
