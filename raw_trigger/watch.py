"""Materializes what is made from raw files whenever they have changed and settled, until it is stopped."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from raw_trigger.errors import ROOM, RawTriggerError, UsageError
from raw_trigger.launch.base import Launcher
from raw_trigger.lock import LockError
from raw_trigger.model.outcome import Outcome, TargetOutcome
from raw_trigger.planner import Planner
from raw_trigger.revisions import from_arguments
from raw_trigger.trigger import Trigger
from raw_trigger.unattended import Hold, planned, remarks, stays_away
from raw_trigger.workspace.workspace import Workspace

FACE = "watch"
_AGAIN = 5.0
"""Seconds until the next look where something stands in the way: its end may wake nobody."""
_SOON = 0.2
"""Seconds by which a look comes later than what it waits for."""


@dataclass(frozen=True, slots=True)
class Watching:
    """Says how to watch.

    Attributes:
        settle: Seconds for which a file must have been left alone.
        every: Seconds after which is looked in any case: no system tells of every change (NFS, links).
        polling: Whether to look at the files again and again, where the system tells of nothing.
    """

    settle: float
    every: float
    polling: bool


@dataclass(slots=True)
class Wakeups:
    """Tells the one that looks that a file has changed, or that it should stop."""

    _event: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)

    def wake(self) -> None:
        """Starts the next look."""
        self._event.set()

    def stop(self, *_: object) -> None:
        """Makes the watching end, after the run that is on."""
        self.stopped.set()
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Returns when a file has changed, or after so long: whether to look."""
        self._event.wait(seconds)
        self._event.clear()
        return not self.stopped.is_set()


@contextmanager
def only_one(workspace: Workspace) -> Iterator[None]:
    """Keeps a second one from watching the same environment for the block.

    Raises:
        LockError: there is one.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(workspace.locks / f"{workspace.environment}.watch.lock")
    try:
        workspace.locks.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LockError(
            f"'{workspace.environment}' is being watched already", "one is enough: it sees every change"
        ) from error
    except OSError as error:
        raise LockError(f"{lock.lock_file} cannot be locked: {error.strerror}", ROOM) from error
    try:
        yield
    finally:
        lock.release()


def watch(
    again: Callable[[], Planner],
    launcher: Callable[[Planner], Launcher],
    how: Watching,
    wakeups: Wakeups,
    say: Callable[[str], None],
) -> None:
    """Keeps looking and materializing until it is stopped. What goes wrong is said, and tried again later.

    Args:
        again: Returns a planner of its own for each look: rules and code may have been edited.
        launcher: Returns what carries its plans out.
        wakeups: Whoever it is stopped by.
        say: Told one line at a time.

    Raises:
        RawTriggerError: there is nothing to be watched, or somebody else does.
    """
    first = again()
    workspace = first.workspace
    with only_one(workspace), _awake(workspace, how, wakeups):
        say(f"watching {', '.join(workspace.roots)} for '{workspace.environment}'")
        told, pause = "", 0.0
        warned: set[str] = set()
        while wakeups.wait(pause):
            warnings: set[str] = set()

            def warn(text: str, known: set[str] = warned, new: set[str] = warnings) -> None:
                new.add(text)
                if text not in known:
                    say(f"warning: {text}")

            try:
                said, holds = look(again(), launcher, how.settle, say, warn)
            except RawTriggerError as error:
                said, holds = f"error: {error.line}", {"": Hold(error.line, _AGAIN)}
            if said and said != told:
                say(said)
            told, warned = said, warnings
            pause = min([how.every, *(one.seconds + _SOON for one in holds.values() if one.seconds)])
        say("stopped")


def look(
    planner: Planner,
    launcher: Callable[[Planner], Launcher],
    settle: float,
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> tuple[str, Mapping[str, Hold]]:
    """Materializes what is due and has settled.

    Args:
        say: Told what happens.
        warn: Told what the user should know, again and again as long as it is so.

    Returns:
        What is to be said of it, empty if nothing; and what has to wait.
    """
    workspace = planner.workspace
    reason = stays_away(workspace, settle)
    if reason is not None:
        return reason, {"": Hold(reason, _AGAIN)}
    base, desired = from_arguments(workspace.repo, workspace.environment, [])
    plan, holds = planned(planner, base, desired, settle)
    waits = [f"{name}: {one.reason}" for name, one in sorted(holds.items())]
    if not plan.actionable and not plan.held and not plan.changes:
        return "", holds
    trigger, runs = Trigger(planner), launcher(planner)
    with trigger.planned(base, desired, face=FACE, waiting=say, ready=runs.ready) as plan:
        for one in plan.actionable:
            say(f"{one.action} {one.target.text}" + (f" ({one.reason})" if one.reason else ""))
        outcome = trigger.run(plan, runs, face=FACE, on_target=lambda done: say(told_of(done)))
    for warning in (*remarks(plan), *trigger.warnings):
        warn(warning)
    return "; ".join([*_ended(outcome), *waits]), holds


def told_of(done: TargetOutcome) -> str:
    """Returns the outcome of a target in one line."""
    seconds = "" if done.seconds is None else f" in {done.seconds:.1f} s"
    error = f": {done.error.splitlines()[0]}" if done.error else ""
    return f"{done.target.text} {done.status}{seconds}{error}"


def _ended(outcome: Outcome) -> list[str]:
    return [] if outcome.status == "nothing" else [f"{outcome.status} in {outcome.seconds:.1f} s"]


@contextmanager
def _awake(workspace: Workspace, how: Watching, wakeups: Wakeups) -> Iterator[None]:
    """Wakes up for the block whenever something below a raw root changes."""
    try:
        from watchfiles import watch as changes
    except ImportError:
        raise UsageError(
            "watching needs the package watchfiles", "pip install 'raw-trigger[watch]'"
        ) from None
    roots = [str(workspace.repo.top / root) for root in workspace.roots]
    # A root that is removed and made again is not seen any more by who watches the root itself.
    above = sorted({str(Path(root).parent) for root in roots if Path(root).parent.is_dir()})

    def is_raw(_: object, path: str) -> bool:
        return any(path == root or path.startswith(root + os.sep) for root in roots)

    def listen() -> None:
        for _ in changes(
            *above,
            watch_filter=is_raw,
            stop_event=wakeups.stopped,
            raise_interrupt=False,
            force_polling=how.polling or None,
            ignore_permission_denied=True,
        ):
            wakeups.wake()

    thread = threading.Thread(target=listen, name="raw-trigger watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        wakeups.stop()
        thread.join(timeout=5)


def unit(command: str, folder: str, variables: Mapping[str, str]) -> str:
    """Returns a systemd unit of the user's that keeps watching.

    Args:
        command: The command line, as a shell takes it.
        folder: The working directory.
        variables: Of its environment.
    """
    environment = "".join(f'Environment="{name}={value}"\n' for name, value in sorted(variables.items()))
    return f"""[Unit]
Description=raw-trigger watch in {folder}

[Service]
WorkingDirectory={folder}
{environment}ExecStart={command}
Restart=on-failure
RestartSec=10
KillMode=mixed
TimeoutStopSec=3600

[Install]
WantedBy=default.target
"""


def stamped(say: Callable[[str], None]) -> Callable[[str], None]:
    """Returns what says the same with the time in front."""
    return lambda text: say(f"{time.strftime('%H:%M:%S')} {text}")
