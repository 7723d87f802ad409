"""Puts what targets reflect into the record: first the contents, then the tree that names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from raw_trigger import state
from raw_trigger.model.changes import Entry
from raw_trigger.model.plan import Plan
from raw_trigger.model.record import Record, Verdict
from raw_trigger.recording import by_out
from raw_trigger.repo import diff
from raw_trigger.survey import Survey


@dataclass(frozen=True, slots=True)
class Promoted:
    """What was recorded, by where it is recorded; see :class:`raw_trigger.model.record.Results`."""

    verdicts: Mapping[bytes, Verdict]
    unsure: Mapping[bytes, frozenset[str]]
    pointers: Mapping[bytes, Entry | None]


def promote(
    survey: Survey,
    verdicts: Mapping[bytes, Verdict],
    whole: Plan,
    seen: Record | None = None,
    unsure: Mapping[bytes, frozenset[str]] = MappingProxyType({}),
    *,
    shown: Iterable[bytes] = (),
    only_on: str | None = None,
) -> Promoted | None:
    """Record what files' targets reflect now. What is not on disk any more as it was read is left out.

    Args:
        whole: Everything that was looked at.
        seen: As :func:`raw_trigger.state.promote` takes it.
        unsure: For a file the targets of which nobody knows what they reflect of it.
        shown: Further paths that some targets do not reflect.
        only_on: As :func:`raw_trigger.state.promote` takes it.

    Returns:
        None: others have moved the record meanwhile.

    Raises:
        RecordError: it cannot be written.
    """
    workspace = survey.workspace
    told, files = survey.as_recorded(verdicts, whole, shown)
    entries = {path: verdict.entry for path, verdict in told.items()}
    stored = diff.store(workspace.repo, {**entries, **files})
    made = Promoted(
        {path: verdict for path, verdict in told.items() if path in stored},
        by_out(unsure, survey.tracked),
        {path: entry for path, entry in files.items() if path in stored},
    )
    done = state.promote(
        workspace.repo,
        workspace.environment,
        made.verdicts,
        seen,
        made.unsure,
        pointers=made.pointers,
        roots=workspace.roots,
        only_on=only_on,
    )
    return made if done else None
