"""Work that a hook leaves to a background process: which process does it, and what became of it.

There is one such process for each working tree, because it reconciles the record with that tree's HEAD. A
commit that is made meanwhile needs no second process, but must not be missed either: see :func:`start`. What
is pending does not depend on any of this: the record decides it.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from raw_trigger.errors import RawTriggerError
from raw_trigger.install.atomic import replace_file
from raw_trigger.ledger import owner_alive, process, this_process
from raw_trigger.model.owner import Owner
from raw_trigger.repo.environment import scrubbed, without_git
from raw_trigger.repo.repository import Repository

KEEP_LOGS = 10
PATIENCE = 30.0
"""Seconds to wait for another hook that is recording its process, which takes a few milliseconds."""
_HEARING = 10.0
"""Seconds that a failure command gets. One that takes longer, such as a window, goes on by itself."""
_SUMMARY = 4000
"""The most characters of a summary: a variable of the environment may not have any length."""

State = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Job:
    """Describes the last work that was left to a background process.

    ``waiting``: the process has not looked at HEAD yet. ``again``: HEAD moved after it had. ``message`` says
    what was left undone. Times are in UTC.
    """

    state: State
    face: str
    owner: Owner
    log: str
    started: datetime
    again: bool = False
    ended: datetime | None = None
    message: str | None = None

    @property
    def fate(self) -> Literal["waiting", "running", "done", "failed", "lost"]:
        """Returns the state as far as it is known now; ``lost`` if the process is gone without an end."""
        if self.state in ("waiting", "running") and not owner_alive(self.owner):
            return "lost"
        return self.state


def start(repo: Repository, face: str, command: Callable[[Path], Sequence[str]]) -> tuple[Job, bool]:
    """Has HEAD reconciled by a background process.

    A process that exists and has not looked at HEAD yet is enough. If it has looked, it is told to look
    again; it checks for that while it records that it has ended. Both happen under one lock, so no commit
    falls between them. A process that is gone is replaced.

    Args:
        face: The hook.
        command: Returns the command to start, given the path of the log for its output.

    Returns:
        The job, and whether this call started its process.

    Raises:
        RawTriggerError: the folder cannot be written, or nothing can be started.
    """
    with _held(repo):
        job = read(repo)
        if job is not None and job.fate in ("waiting", "running"):
            if job.state == "running":
                _write(repo, replace(job, again=True))
            return job, False
        log = _new_log(repo, face)
        with log.open("ab") as output:
            # In its own session it survives the terminal. It inherits none of our pipes, for which git would
            # wait, nor the index of this one commit.
            child = subprocess.Popen(
                command(log),
                cwd=repo.top,
                env=_environment(repo),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        job = Job("waiting", face, process(child.pid), str(log), datetime.now(timezone.utc))
        _write(repo, job)
        return job, True


def work(
    repo: Repository,
    face: str,
    log: Path,
    reconcile: Callable[[], str | None],
    failed: Callable[[Job], None],
) -> None:
    """Does the work of the background process: reconciles HEAD, and again while it moved meanwhile.

    Args:
        reconcile: Returns what is left undone by now, None if nothing. It raises only what another try
            would raise too.
        failed: Called with the job if something was left undone at the end.

    Raises:
        RawTriggerError: the folder cannot be written.
    """
    me = this_process()
    with _held(repo):
        job = read(repo)
        if job is not None and job.owner != me and job.fate in ("waiting", "running"):
            # Started by hand, or by a hook that was killed before it had recorded this process.
            _write(repo, replace(job, again=True))
            return
        mine = Job("running", face, me, str(log), datetime.now(timezone.utc))
        _write(repo, mine)
    ended, message = None, None
    while ended is None:
        try:
            message = reconcile()
        except BaseException as error:
            said = "interrupted" if isinstance(error, KeyboardInterrupt) else f"a bug: {type(error).__name__}"
            said = said if message is None else f"{message}; {said}"
            ended = _finished(repo, mine, said, goes_on=False)
            if ended is not None:
                failed(ended)
            raise
        ended = _finished(repo, mine, message)
    if ended.state == "failed":
        failed(ended)


def _finished(repo: Repository, mine: Job, message: str | None, *, goes_on: bool = True) -> Job | None:
    """Records how the work ended; if HEAD has to be looked at again, records that and returns None."""
    state: State = "done" if message is None else "failed"
    with _held(repo):
        job = read(repo)
        if job is None or job.owner != mine.owner:
            # Another hook took this job for lost and has replaced it. It still ends.
            return replace(mine, state=state, message=message)
        if job.again and goes_on:
            _write(repo, replace(mine, message=message))
            return None
        ended = replace(mine, state=state, ended=datetime.now(timezone.utc), message=message)
        _write(repo, ended)
        return ended


def notify(command: Sequence[str], folder: Path, job: Job, summary: str) -> str | None:
    """Starts a command of the user, which gets what was left undone.

    Args:
        folder: The folder it is started in.
        summary: What it gets on its standard input and in its environment.

    Returns:
        What went wrong with the command, None if nothing. Its failure has no other effect.
    """
    told = {
        "RAW_TRIGGER_SUMMARY": summary[:_SUMMARY],
        "RAW_TRIGGER_HOOK": job.face,
        "RAW_TRIGGER_LOG": job.log,
    }
    try:
        with Path(job.log).open("ab") as output:
            child = subprocess.Popen(
                command,
                cwd=folder,
                env={**scrubbed(os.environ), **told},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        child.communicate(f"{summary}\n".encode("utf-8", "backslashreplace"), _HEARING)
    except subprocess.TimeoutExpired:
        return None
    except OSError as error:
        return f"cannot be started: {error.strerror}"
    return f"ended with exit code {child.returncode}" if child.returncode else None


def read(repo: Repository) -> Job | None:
    """Returns the last job; None if there was none, or its file cannot be read."""
    try:
        known = json.loads((_folder(repo) / "job.json").read_bytes())
        return Job(
            state=known["state"],
            face=known["face"],
            owner=Owner(**known["owner"]),
            log=known["log"],
            started=datetime.fromisoformat(known["started"]),
            again=known["again"],
            ended=None if known["ended"] is None else datetime.fromisoformat(known["ended"]),
            message=known["message"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def at_work(repo: Repository) -> bool:
    """Says whether there is a process that has not ended."""
    job = read(repo)
    return job is not None and job.fate in ("waiting", "running")


def take_untold(repo: Repository) -> Job | None:
    """Returns a failed or lost job that was not reported yet, and marks it as reported; else None.

    Raises:
        RawTriggerError: the folder cannot be written.
    """
    if not _untold(repo).exists():
        return None
    with _held(repo):
        job = read(repo)
        if job is not None and job.fate in ("waiting", "running"):
            return None
        _untold(repo).unlink(missing_ok=True)
        return job if job is not None and job.fate in ("failed", "lost") else None


def _write(repo: Repository, job: Job) -> None:
    document = asdict(job)
    for name in ("started", "ended"):
        document[name] = document[name] and document[name].isoformat()
    replace_file(_folder(repo) / "job.json", json.dumps(document, indent=1).encode() + b"\n", 0o644)
    # hooks/raw-trigger.sh reads this file: the process that has to end first, or none.
    mark = _untold(repo)
    if job.state == "done":
        mark.unlink(missing_ok=True)
    else:
        pid = "" if job.state == "failed" else str(job.owner.pid)
        replace_file(mark, f"{pid}\n".encode(), 0o644)


def _folder(repo: Repository) -> Path:
    # Each working tree has its own HEAD and so its own work, even if it shares the record with others.
    return repo.private_dir / "background"


def _untold(repo: Repository) -> Path:
    return _folder(repo) / "untold"


@contextmanager
def _held(repo: Repository) -> Iterator[None]:
    """Holds the lock of everything that is read and written here, for a moment only."""
    from filelock import FileLock, Timeout

    folder = _folder(repo)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock", timeout=PATIENCE):
            yield
    except Timeout as error:
        raise RawTriggerError(
            f"{error.lock_file} has been held for {PATIENCE:.0f} s", "see which process has it open"
        ) from error
    except OSError as error:
        where = folder if error.filename is None else error.filename
        raise RawTriggerError(
            f"nothing can go on in the background: {where}: {error.strerror}", "see who may write there"
        ) from error


def _environment(repo: Repository) -> Mapping[str, str]:
    # GIT_DIR and GIT_WORK_TREE name the repository: with --git-dir it is not found from its working tree.
    named = {"GIT_DIR": str(repo.git_dir), "GIT_WORK_TREE": str(repo.top)}
    return {**without_git(os.environ), **named}


def _new_log(repo: Repository, face: str) -> Path:
    folder = repo.private_dir / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    old = sorted(folder.glob("*.log"), key=lambda path: path.name)
    for path in old[: max(0, len(old) - KEEP_LOGS + 1)]:
        with suppress(OSError):
            path.unlink()
    now = time.time()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03d}"
    return folder / f"{stamp}-{face}.log"
