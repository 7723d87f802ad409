"""What became of a plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from raw_trigger.model.plan import Plan, Target

TargetStatus = Literal["success", "failed", "skipped", "submitted"]
Why = Literal["fed", "many", "failed"]
_UNSTEADY = "nobody knows from which content: it stays pending"
OutcomeStatus = Literal["success", "failed", "partial", "submitted", "nothing"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Holds one evaluation of an asset check."""

    name: str
    passed: bool
    severity: Literal["ERROR", "WARN"]
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Reads:
    """Says which raw files were opened while a target was made. Paths are relative to the repository's top.

    Args:
        step: The step of the run that made it; the assets of one function share a step.
        files: The files that the step's process read.
        unsure: The files that another process read, such as a child of the step, or a stranger.
        folders: The folders that it listed.
        complete: Whether nothing else can have been read.
        around: The files that may have been read for it outside of its step: while the project was loaded, or
            by others.
    """

    step: str
    files: tuple[bytes, ...] = ()
    unsure: tuple[bytes, ...] = ()
    folders: tuple[bytes, ...] = ()
    complete: bool = True
    around: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Lack:
    """Describes an asset that targets need and that the Dagster instance has never materialized.

    ``partitions`` holds None for an asset without any; ``below`` is a target that is made from it. It was not
    made first because raw files feed it (``fed``), because there were too many (``many``), or because that
    had ``failed`` while some of its partitions exist.
    """

    asset: str
    partitions: tuple[str | None, ...]
    why: Why
    below: str


@dataclass(frozen=True, slots=True)
class TargetOutcome:
    """Says what became of one target. ``seconds`` is None if no step ran, ``reads`` if nobody watched.

    ``materialized`` says that Dagster has a materialization of it from this run, however it ended.
    ``first``: the target is not in the plan, but one that is is made from it, and it was never made here.
    ``canceled`` says that somebody ended its run, ``unsteady`` that its files were touched while it was made.
    """

    target: Target
    status: TargetStatus
    run_id: str | None = None
    seconds: float | None = None
    error: str | None = None
    checks: tuple[CheckResult, ...] = ()
    reads: Reads | None = None
    materialized: bool = False
    first: bool = False
    canceled: bool = False
    unsteady: bool = False

    @property
    def reason(self) -> str | None:
        """Says why it is there at all, where the plan does not; or that it stays pending all the same."""
        if not self.first:
            return _UNSTEADY if self.unsteady and self.status == "success" else None
        made = "made first" if self.status == "success" else "could not be made first"
        return f"{made}: never materialized here"

    @property
    def refuted(self) -> bool:
        """Says whether it was made, but a check of severity ERROR failed."""
        return any(not check.passed and check.severity == "ERROR" for check in self.checks)

    @property
    def own_error(self) -> str | None:
        """Returns the error; None if it only says that one of the checks failed, which is shown anyway."""
        error = self.error or ""
        told = (f"asset check {check.name} failed" for check in self.checks if not check.passed)
        return None if error.startswith(tuple(told)) else self.error


@dataclass(frozen=True, slots=True)
class Outcome:
    """Says what became of a plan. ``log`` is the file with the output of user code."""

    status: OutcomeStatus
    targets: tuple[TargetOutcome, ...] = ()
    run_ids: tuple[str, ...] = ()
    seconds: float = 0.0
    log: str | None = None


def summarize(targets: tuple[TargetOutcome, ...]) -> OutcomeStatus:
    """Returns the status of a whole launch from those of its targets."""
    states = {t.status for t in targets}
    if not states:
        return "nothing"
    if "submitted" in states and "failed" not in states:
        return "submitted"
    if states <= {"success"}:
        return "success"
    return "partial" if "success" in states else "failed"


def judged(plan: Plan, outcome: Outcome, *, missing: bool = False) -> Outcome:
    """Returns the outcome, which is no success if the plan has errors or a file had to wait.

    Args:
        missing: Whether a part of the plan has no known outcome.
    """
    if outcome.status == "submitted" or not (missing or plan.errors or plan.waiting):
        return outcome
    some = any(one.status == "success" for one in outcome.targets)
    return replace(outcome, status="partial" if some else "failed")
