"""What became of a plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from raw_trigger.model.plan import Plan, Target

TargetStatus = Literal["success", "failed", "skipped", "submitted"]
OutcomeStatus = Literal["success", "failed", "partial", "submitted", "nothing"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One evaluation of an asset check."""

    name: str
    passed: bool
    severity: Literal["ERROR", "WARN"]
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Reads:
    """Which raw files were opened while a target was made. Paths are relative to the repository's top.

    Args:
        step: What made it in its run; what one function makes has one step.
        files: What its process read.
        unsure: What was read by another process, such as a child of the step, or a stranger.
        folders: What it listed.
        complete: Whether nothing else can have been read.
        around: What may have been read for it outside of its step: while the project was loaded, by others.
    """

    step: str
    files: tuple[bytes, ...] = ()
    unsure: tuple[bytes, ...] = ()
    folders: tuple[bytes, ...] = ()
    complete: bool = True
    around: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetOutcome:
    """What became of one target. ``seconds`` is None where no step ran, ``reads`` where nobody watched."""

    target: Target
    status: TargetStatus
    run_id: str | None = None
    seconds: float | None = None
    error: str | None = None
    checks: tuple[CheckResult, ...] = ()
    reads: Reads | None = None

    @property
    def refuted(self) -> bool:
        """Whether it was made, but is not what it should be: a check of severity ERROR failed."""
        return any(not check.passed and check.severity == "ERROR" for check in self.checks)

    @property
    def own_error(self) -> str | None:
        """The error, unless it only says that one of the checks failed, which speaks for itself."""
        error = self.error or ""
        told = (f"asset check {check.name} failed" for check in self.checks if not check.passed)
        return None if error.startswith(tuple(told)) else self.error


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of all of them. ``log`` is the file that holds what user code printed."""

    status: OutcomeStatus
    targets: tuple[TargetOutcome, ...] = ()
    run_ids: tuple[str, ...] = ()
    seconds: float = 0.0
    log: str | None = None


def summarize(targets: tuple[TargetOutcome, ...]) -> OutcomeStatus:
    """The status of a whole launch from those of its targets."""
    states = {t.status for t in targets}
    if not states:
        return "nothing"
    if "submitted" in states and "failed" not in states:
        return "submitted"
    if states <= {"success"}:
        return "success"
    return "partial" if "success" in states else "failed"


def judged(plan: Plan, outcome: Outcome, *, missing: bool = False) -> Outcome:
    """The outcome; it is no success where the plan has errors, or a file had to wait.

    Args:
        missing: Whether of a part of the plan nobody knows what became of it.
    """
    if outcome.status == "submitted" or not (missing or plan.errors or plan.waiting):
        return outcome
    some = any(one.status == "success" for one in outcome.targets)
    return replace(outcome, status="partial" if some else "failed")
