"""What one job of a CI workflow was asked for, and what it compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from raw_trigger.ci.event import CiEvent, read_event
from raw_trigger.ci.sides import Head, event_base, event_head, event_origin
from raw_trigger.dvc.tracked import Tracked
from raw_trigger.errors import GitError, UsageError
from raw_trigger.mapping.patterns import compile_glob
from raw_trigger.model.changes import Base, Desired
from raw_trigger.record import origin as shared
from raw_trigger.render import words
from raw_trigger.repo import diff, publishing
from raw_trigger.repo.fetching import REMOTE, Origin
from raw_trigger.revisions import recorded
from raw_trigger.workspace.places import require_own_environment
from raw_trigger.workspace.workspace import Workspace

Mode = Literal["plan", "run", "record"]
Step = Literal["all", "fetch", "work", "publish"]


@dataclass(frozen=True, slots=True)
class Request:
    """Says what the job was asked for.

    Attributes:
        environment: The environment whose record is compared with and kept; None: the one that the
            configuration names for the branch.
        most: The most batches of the plan; None: it is not split.
        batch: The batch of the plan file that this job does, such as ``1/3``; None: all of the plan.
        plan_file: The file that the plan is written to; a job that does a batch or records results reads it.
            If it is missing where results are recorded, the job that was to plan failed.
        results: The folder for the results of the batches.
        project: The project's folder if there are several.
        token: For fetching from and pushing to origin.
        step: The part that this process does. Only ``work`` may start the project's code, and it has no
            token.
    """

    mode: Mode
    plan_file: Path
    step: Step = "all"
    environment: str | None = None
    base: str | None = None
    head: str | None = None
    most: int | None = None
    batch: str | None = None
    results: Path | None = None
    project: str | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Says what the event means in this repository.

    Attributes:
        base: None if there is nothing to do; ``reason`` says why.
        unrecorded: Why what runs is not recorded; None if it is.
        only: The paths that are looked at, as the branch has later commits by now; None: all.
        launch: The launch that was begun on origin; None: it was not.
    """

    event: CiEvent
    workspace: Workspace
    base: Base | None
    desired: Desired
    reason: str
    unrecorded: str | None = None
    only: frozenset[bytes] | None = None
    warnings: tuple[str, ...] = ()
    launch: str | None = None

    @property
    def records(self) -> bool:
        """Says whether what runs is recorded."""
        return self.unrecorded is None


def compare(workspace: Workspace, request: Request, environ: Mapping[str, str]) -> Comparison:
    """Returns the event and the two sides to compare; fetches what the clone lacks.

    Raises:
        RawTriggerError: the event or a side cannot be found out.
    """
    event = read_event(environ, base=request.base, head=request.head)
    repo = publishing.connected(workspace.repo, REMOTE, request.token)
    origin = event_origin(repo, event)
    head = event_head(origin, event)
    told = head.warnings
    if not head.checked_out and request.mode == "run":
        raise UsageError(
            "--head names a commit that is not checked out, so Dagster would read the files of another one",
            "check that commit out, or use `--mode plan`",
        )
    if head.gone is not None:
        return Comparison(event, workspace, None, head.desired, head.gone, head.gone, None, told)
    environment = request.environment or _environment(workspace, head)
    queue = workspace.config.merge_group
    if environment is None:
        base, more = event_base(origin, event, head, queue=queue)
        why = _unrecorded(event, head)
        return Comparison(event, workspace, base, head.desired, base.reason, why, None, (*told, *more))
    workspace = replace(workspace, environment=environment)
    shared.fetch(workspace.repo, environment, REMOTE, request.token)
    # Outside of a known CI system, --base stands for the event: it does not replace the record.
    instead = event.given_base is not None and event.system != "other"
    known = None if instead else recorded(workspace.repo, environment)
    if known is None:
        base, more = event_base(origin, event, head, queue=queue)
        reason = base.reason if instead else f"{base.reason}; '{environment}' has no record yet"
        base = replace(base, reason=reason)
        return Comparison(event, workspace, base, head.desired, reason, None, None, (*told, *more))
    reason = f"what is recorded as materialized in '{environment}'"
    known = replace(known, reason=reason)
    found = Comparison(event, workspace, known, head.desired, reason, warnings=told)
    return found if head.branch is None or not head.checked_out else _not_back(found, origin, head.branch)


def _environment(workspace: Workspace, head: Head) -> str | None:
    """Returns the environment that the configuration names for the branch; None for anything else."""
    if head.branch is None or not head.checked_out:
        return None
    for name, patterns in workspace.config.ci_environments:
        if any(compile_glob(pattern).match(head.branch) is not None for pattern in patterns):
            require_own_environment(workspace.repo, workspace.config, (name,))
            return name
    return None


def _unrecorded(event: CiEvent, head: Head) -> str:
    """Returns why what runs is not recorded if no environment is given."""
    if head.branch is not None:
        return f"`ci: environments:` names none for the branch {words.printable(head.branch)}"
    kinds = {"pull-request": "a pull request", "merge-group": "a merge queue", "tag": "a tag"}
    if event.kind in kinds:
        return f"{kinds[event.kind]} is no branch's state; --environment names one for it"
    if event.sha is None:
        return "no --environment is given"
    if not head.checked_out:
        return "another commit is checked out"
    if event.branch is None:
        return "what is checked out is no branch's state; --environment names one for it"
    return f"what is checked out is not the last commit of {words.printable(event.branch)}"


def _not_back(found: Comparison, origin: Origin, branch: str) -> Comparison:
    """Returns the comparison with no more than the paths that a commit may still change.

    That matters where it is no longer its branch's last one: the run of a later commit may have been quicker,
    and an old workflow can be run again. A file that is recorded as the branch has it now must not go back to
    its older content.
    """
    try:
        tip = origin.tip(branch)
        if tip is None or tip.oid == found.desired.oid or not origin.obtain(tip.oid):
            return found
    except GitError:
        return found
    workspace = found.workspace
    assert found.base is not None
    assert found.base.oid is not None
    tracked = Tracked(workspace.repo, workspace.roots)
    watched = tracked.watched(found.base.oid, tip.oid)
    differ = diff.between_trees(workspace.repo, found.base.oid, tip.oid, watched)
    behind, _ = tracked.changes(differ, found.base.oid, tip.oid)
    note = f"{branch} has moved on to {tip.oid[:12]}: a file that is recorded as it is there is left"
    only = frozenset(change.path for change in behind)
    return replace(found, only=only, warnings=(*found.warnings, note))
