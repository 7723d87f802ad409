"""Puts what targets reflect into the record: first the contents, then the tree that names them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from raw_trigger import state
from raw_trigger.model.plan import Plan
from raw_trigger.model.record import Record, Verdict
from raw_trigger.repo import diff
from raw_trigger.survey import Survey


def promote(
    survey: Survey,
    verdicts: Mapping[bytes, Verdict],
    whole: Plan,
    seen: Record | None = None,
    unsure: Mapping[bytes, frozenset[str]] = MappingProxyType({}),
    *,
    only_on: str | None = None,
) -> dict[bytes, Verdict] | None:
    """Record what files' targets reflect now. What is not on disk any more as it was read is left out.

    Args:
        whole: Everything that was looked at.
        seen: As :func:`raw_trigger.state.promote` takes it.
        unsure: For a file the targets of which nobody knows what they reflect of it.
        only_on: As :func:`raw_trigger.state.promote` takes it.

    Returns:
        What was recorded; None: others have moved the record meanwhile.

    Raises:
        RecordError: it cannot be written.
    """
    workspace = survey.workspace
    told = {**verdicts, **pointers(whole)}
    stored = diff.store(workspace.repo, {path: verdict.entry for path, verdict in told.items()})
    made = {path: verdict for path, verdict in told.items() if path in stored}
    done = state.promote(
        workspace.repo, workspace.environment, made, seen, unsure, roots=workspace.roots, only_on=only_on
    )
    return made if done else None


def pointers(plan: Plan) -> dict[bytes, Verdict]:
    """Returns DVC's files that differ, which are recorded as soon as the data is that they stand for."""
    return {path: Verdict(entry) for path, entry in plan.pointers.items()}
