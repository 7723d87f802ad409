"""What became of a plan, as a whole."""

from __future__ import annotations

import pytest

from raw_trigger.model.changes import Base, Change, Desired, Entry
from raw_trigger.model.outcome import Outcome, OutcomeStatus, TargetOutcome, TargetStatus, judged, summarize
from raw_trigger.model.plan import Disposition, Plan, PlannedChange, Target
from raw_trigger.render import words


@pytest.mark.parametrize(
    ("became", "left", "error", "missing", "expected"),
    [
        ("success", "planned", False, False, "success"),
        ("", "ignored", False, False, "nothing"),
        ("submitted", "dirty", False, False, "submitted"),
        ("success", "dirty", False, False, "partial"),
        ("success", "missing-content", False, False, "partial"),
        ("", "missing-content", False, False, "failed"),
        ("success failed", "planned", False, False, "partial"),
        ("failed", "dirty", False, False, "failed"),
        ("success", "unmapped", True, False, "partial"),
        ("", "unmapped", True, False, "failed"),
        ("success", "planned", False, True, "partial"),
        ("", "planned", False, True, "failed"),
    ],
)
def test_what_leaves_something_undone_is_no_success(
    became: str, left: Disposition, error: bool, missing: bool, expected: OutcomeStatus
) -> None:
    """So that the status is never ``success`` or ``nothing`` where the command exits with 1."""
    states: list[TargetStatus] = became.split()  # type: ignore[assignment]
    done = tuple(TargetOutcome(Target(f"raw/{n}"), state) for n, state in enumerate(states))
    planned = PlannedChange(Change(b"data/1_raw/x.csv", None, Entry("100644", "1" * 40)), left)
    base, desired = Base("empty", "nothing", None, ""), Desired("revision", "HEAD", "a" * 40)
    plan = Plan("local", base, desired, (planned,), errors=("no",) if error else ())
    outcome = judged(plan, Outcome(summarize(done), done), missing=missing)
    assert outcome.status == expected
    assert (words.summary(plan, outcome) == "Nothing was run.") is (became == "")
