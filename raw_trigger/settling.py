"""Launches whose process was killed: what Dagster had finished is found in its event log, so that it is not
run again.

A target counts as finished only where it is certain from which contents it was made. Where that is not so it
becomes pending, whatever is on disk by now.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from raw_trigger.bookkeeping import open_ledger
from raw_trigger.errors import LedgerError, ProjectError
from raw_trigger.feeding import Feeding
from raw_trigger.ledger import Ledger, owner_alive
from raw_trigger.ledger.documents import owner_of
from raw_trigger.model.changes import NOTHING, Entry
from raw_trigger.model.history import HistoryFilter, LaunchRecord, Owner, TargetRecord
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import Plan, Target
from raw_trigger.model.record import Verdict
from raw_trigger.project.project import DagsterRun
from raw_trigger.promotion import promote
from raw_trigger.repo.repository import Repository
from raw_trigger.survey import Survey
from raw_trigger.workspace import Workspace

FORGOTTEN = timedelta(days=7)
"""A launch of which nobody can tell whether it still runs is given up after this time."""
_TICK = 0.05
"""Seconds by which a file system's clock can be behind ours."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A target of an interrupted launch.

    ``made`` is when it was materialized, in seconds since 1970; None: it was cut off, or a check of it did
    not pass. A report leaves no trace that could be told from another's, and is cheap to repeat.
    ``begun`` says whether Dagster had come to it and may have made something.
    """

    launch: LaunchRecord
    record: TargetRecord
    run_id: str | None
    made: float | None
    begun: bool = True


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to be recorded of interrupted launches.

    ``unknown`` are paths and their targets of which nobody knows what they reflect, ``certain`` those with
    targets of which it is known.
    """

    unknown: Mapping[bytes, frozenset[str]]
    certain: Mapping[bytes, Verdict]


def settle(survey: Survey, warn: Callable[[str], None]) -> None:
    """Record what launches had finished whose process was killed; what else they were for is pending.

    Args:
        warn: Told if that could not be found out.

    Raises:
        RecordError: it cannot be written; to run anything would be in vain.
    """
    workspace = survey.workspace
    if has_interrupted(workspace) is False:
        return
    ledger = open_ledger(workspace)
    try:
        launches = interrupted(ledger, workspace.environment)
        if not launches:
            return
        found = workspace.project.materialized(run_ids(launches))
        every = attempts(launches, found)
        tried = last_word(ledger, every)
        if not reads_here(workspace):
            tried = [replace(attempt, made=None) for attempt in tried]
        survey.look_again()
        if tried and survey.record is not None:
            _record(survey, tried)
        for launch in launches:
            done, told = outcomes(launch, every)
            ledger.finish(launch.launch_id, done, ended=datetime.now(timezone.utc), told=told)
    except (LedgerError, ProjectError) as error:
        warn(f"what an interrupted run had finished is not known and may run again: {error.line}")


def _record(survey: Survey, tried: Sequence[Attempt]) -> None:
    repo = survey.workspace.repo
    paths = {path for attempt in tried for path, _ in attempt.record.files}
    begun = [attempt for attempt in tried if attempt.begun]
    made = survey.recorder(paths).after({attempt.record.target for attempt in begun})
    rules = survey.rules(survey.known_catalog())
    with survey.contents(NOTHING, rules) as contents:
        feeding = Feeding(repo, survey.tracked, NOTHING, rules, contents)
        found = settlement(
            begun,
            made.verdicts,
            feeding=lambda target: [path for path, _ in feeding.paths(target)],
            changed_at=lambda path: last_change(repo, path),
        )
    unknown = dict(found.unknown)
    for path, targets in disproved(tried, made.whole).items():
        unknown[path] = unknown.get(path, frozenset()) | targets
    promote(survey, found.certain, made.whole, unsure=unknown)


def disproved(tried: Iterable[Attempt], whole: Plan) -> dict[bytes, frozenset[str]]:
    """Returns what the record says targets reflect though a launch that was to make it never came to them.

    That was an assumption, or outdated: nobody makes a target again without a reason.

    Args:
        whole: A plan of every path of the attempts, whatever reflects it.
    """
    if whole.record is None:
        return {}
    found: dict[bytes, frozenset[str]] = {}
    changes = {planned.change.path: planned.change for planned in whole.changes}
    for attempt in tried:
        name = attempt.record.target.text
        for path, oid in attempt.record.files if not attempt.begun else ():
            seen = whole.record.apart(path)
            if path in changes and oid == (seen[name] if name in seen else _oid(changes[path].old)):
                found[path] = found.get(path, frozenset()) | {name}
    return found


def has_interrupted(workspace: Workspace) -> bool | None:
    """Whether the ledger has an open launch whose process is gone; None if finding that out costs more."""
    if workspace.config.ledger != "sqlite":
        return None
    import sqlite3

    path = workspace.repo.shared_dir / "ledger.sqlite"
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path)) as database:
            query = "SELECT args_json FROM ingestion_runs WHERE status = 'started' AND provider = 'git'"
            rows = [json.loads(text) for (text,) in database.execute(query)]
        return any(
            args["environment"] == workspace.environment
            and not args.get("submitted")
            and _is_gone(owner_of(args), datetime.fromisoformat(args["launched_at"]))
            for args in rows
        )
    except (sqlite3.Error, ValueError, KeyError, TypeError):
        return None


def interrupted(ledger: Ledger, environment: str) -> list[LaunchRecord]:
    """The open launches whose process is gone, the oldest first.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    return [
        launch
        for launch in ledger.open_launches(environment)
        if not any(batch.submitted for batch in launch.batches) and _is_gone(launch.owner, launch.started)
    ]


def _is_gone(owner: Owner, started: datetime) -> bool:
    alive = owner_alive(owner)
    return not alive if alive is not None else datetime.now(timezone.utc) - started > FORGOTTEN


def run_ids(launches: Iterable[LaunchRecord]) -> list[str]:
    """The Dagster runs of the launches. Reports have none: they are cheap and can be repeated."""
    return [
        batch.dagster_run_id
        for launch in launches
        for batch in launch.batches
        if batch.dagster_run_id is not None
    ]


def attempts(launches: Iterable[LaunchRecord], found: Mapping[str, DagsterRun]) -> list[Attempt]:
    """Every target, in the order of the launches.

    Args:
        found: What Dagster knows of their runs.
    """
    out: list[Attempt] = []
    for launch in launches:
        for batch in launch.batches:
            run_id = batch.dagster_run_id
            if run_id is None:
                out.extend(Attempt(launch, record, None, None) for record in batch.targets)
                continue
            run = found.get(run_id, DagsterRun(None))
            times = {Target(one.asset, one.partition): one.time for one in run.materialized}
            for record in batch.targets:
                begun, made = _came_to(record.target, run, times)
                out.append(Attempt(launch, record, run_id, made, begun))
    return out


def _came_to(target: Target, run: DagsterRun, times: Mapping[Target, float]) -> tuple[bool, float | None]:
    """Whether the run had begun with the target, and when it was made."""
    if target.job is not None:  # it stands for its run as a whole
        return run.broken_off or run.succeeded is not None, run.succeeded
    made = times.get(target)
    passed = target.asset not in run.failed_checks
    return made is not None or target.asset in run.cut_off, made if passed else None


def last_word(ledger: Ledger, tried: Sequence[Attempt]) -> list[Attempt]:
    """Those of the attempts after which no other launch has made the target.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    if not tried:
        return []
    environment = tried[0].launch.environment
    last = {attempt.record.target: attempt for attempt in tried}
    since = min(attempt.launch.started for attempt in last.values())
    for run in ledger.runs(HistoryFilter(status=None, since=since, limit=None)):
        for past in run.targets:
            attempt = last.get(past.target)
            later = attempt is not None and run.started > attempt.launch.started
            if later and past.status == "success" and run.environment == environment:
                del last[past.target]
    return list(last.values())


def reads_here(workspace: Workspace) -> bool:
    """Whether the environment's launches read the files of this very working tree, not of another one's."""
    repo = workspace.repo
    if not any((repo.common_dir / "worktrees").glob("*")):
        return True
    own = "local" if repo.worktree_name is None else f"local-{repo.worktree_name}"
    by_default = workspace.config.environment is None and workspace.project.has_private_home()
    return by_default and workspace.environment == own


def settlement(
    tried: Sequence[Attempt],
    verdicts: Mapping[bytes, Verdict],
    *,
    feeding: Callable[[Target], Iterable[bytes]],
    changed_at: Callable[[bytes], float | None],
) -> Settlement:
    """What the attempts came to.

    Args:
        tried: One for each target.
        verdicts: What would be recorded now if all of them had succeeded with what is on disk.
        feeding: The files on disk that a target is made from.
        changed_at: When a path was last changed, in seconds since 1970; None: it is not there.
    """
    fed: dict[str, set[bytes]] = {}
    for path, verdict in verdicts.items():
        for name in verdict.succeeded:
            fed.setdefault(name, set()).add(path)
    relatives = _relatives(tried)

    def is_known(attempt: Attempt, path: bytes, files: Mapping[bytes, str | None]) -> bool:
        """Whether what is at the path now was there when the target was made."""
        started, changed = attempt.launch.started.timestamp() - _TICK, changed_at(path)
        if path not in files:
            return changed is not None and changed < started
        if path not in verdicts or _oid(verdicts[path].entry) != files[path]:
            return False
        return changed is None or attempt.made is None or not started <= changed <= attempt.made

    def is_certain(attempt: Attempt) -> bool:
        if attempt.made is None:
            return False
        files = dict(attempt.record.files)
        # What is downstream was made from the files of what is above it, which the launch was for too.
        near = {path for target in relatives(attempt) for path in feeding(target)}
        return all(
            is_known(attempt, path, files)
            for path in {*files, *near, *fed.get(attempt.record.target.text, ())}
        )

    certain = {attempt.record.target.text for attempt in tried if is_certain(attempt)}
    unknown = {path: verdict.succeeded - certain for path, verdict in verdicts.items()}
    for attempt in tried:
        # By what of a file counts nothing may differ any more from what was recorded before.
        files = attempt.record.files if attempt.record.target.text not in certain else ()
        for path, _ in files:
            unknown[path] = unknown.get(path, frozenset()) | {attempt.record.target.text}
    kept = {
        path: replace(verdict, succeeded=verdict.succeeded & certain)
        for path, verdict in verdicts.items()
        if verdict.succeeded & certain
    }
    return Settlement({path: rest for path, rest in unknown.items() if rest}, kept)


def _relatives(tried: Iterable[Attempt]) -> Callable[[Attempt], set[Target]]:
    """The targets that a launch was to make from one of the same files, the attempt's own among them."""
    by_file: dict[tuple[str, bytes], set[Target]] = {}
    for launch in {attempt.launch.launch_id: attempt.launch for attempt in tried}.values():
        for batch in launch.batches:
            for record in batch.targets:
                for path, _ in record.files:
                    by_file.setdefault((launch.launch_id, path), set()).add(record.target)

    def relatives(attempt: Attempt) -> set[Target]:
        files = (path for path, _ in attempt.record.files)
        found = (by_file[attempt.launch.launch_id, path] for path in files)
        return {attempt.record.target}.union(*found)

    return relatives


def outcomes(
    launch: LaunchRecord, tried: Iterable[Attempt]
) -> tuple[list[TargetOutcome], dict[Target, datetime]]:
    """What the ledger is told of an interrupted launch, and when each target was made."""
    made = {
        attempt.record.target: (attempt.run_id, datetime.fromtimestamp(attempt.made, timezone.utc))
        for attempt in tried
        if attempt.launch.launch_id == launch.launch_id and attempt.made is not None
    }
    done = [TargetOutcome(target, "success", run_id) for target, (run_id, _) in made.items()]
    return done, {target: moment for target, (_, moment) in made.items()}


def last_change(repo: Repository, path: bytes) -> float | None:
    """When a file's content or name was last changed, in seconds since 1970; None if it is not there."""
    try:
        status = os.lstat(os.fsencode(repo.top) + b"/" + path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    # What is in a folder (a submodule) can change without it.
    return float("inf") if stat.S_ISDIR(status.st_mode) else status.st_ctime


def _oid(entry: Entry | None) -> str | None:
    return None if entry is None else entry.oid
