"""A sensor, and the part of Dagster's daemon, for projects whose Dagster is the stand-in.

The tick is raw-trigger's own; what it asks for waits in ``requests.jsonl`` in the instance's folder until somebody
plays the daemon. Both run in processes forked from one that has imported Dagster: see
:func:`tests.support.forks.sensor`.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from raw_trigger import launches
from raw_trigger.automation.loaded import workspace_here
from raw_trigger.automation.requests import RequestLauncher
from raw_trigger.automation.tick import Wanted, look
from raw_trigger.errors import RawTriggerError
from raw_trigger.launch.base import Order, Report
from raw_trigger.launch.batches import outcome_of, run_batches
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import PlannedTarget, Target
from raw_trigger.project.messages import TargetFinished, parse_event
from tests.support import standin
from tests.support.project import FILE

INSIDE = Path(launches.__file__).parent / "project/inside"
PATIENCE_SECONDS = 60
Document = dict[str, Any]


def requests(home: Path) -> list[Document]:
    """What was asked for and has no run yet."""
    return standin.lines(home / "requests.jsonl")


class _Channel:
    """What the runner tells is heard here."""

    def __init__(self, on_target: Callable[[TargetOutcome], None] = lambda _: None) -> None:
        self.on_target = on_target

    def send(self, document: Mapping[str, Any]) -> None:
        event = parse_event(document)
        if isinstance(event, TargetFinished):
            self.on_target(outcome_of(event))

    def is_read(self) -> bool:
        return True


class _Launcher(RequestLauncher):
    """As the real one, but for what it asks, and of whom."""

    def __init__(self, place: standin.Place) -> None:
        self.place = place
        self.own_checks, self.instance, self.dry = {}, None, False
        self.requests, self.partitions = [], []
        self.asked: list[Document] = []

    def takes(self, target: PlannedTarget) -> bool:
        return True

    def put_first(self, order: Order, repeats: object, most: int) -> Mapping[Target, str]:
        return {}

    def launch(
        self,
        prepare: Callable[[], Order],
        on_target: Callable[[TargetOutcome], None],
        on_batch: Callable[[int], None],
    ) -> Report:
        order = prepare()
        runner = standin.Runner(self.place, {}, _Channel(on_target))  # type: ignore[arg-type]
        runner.assets = self.place.definitions()["assets"]
        for batch in run_batches(order):
            on_batch(batch.number)
            if batch.kind in ("report", "delete-partition"):
                runner._at_once(batch.as_json())
                continue
            self.asked.append({"launch": order.tags["raw_launch"], "batch": batch.as_json()})
            for one in batch.targets:
                on_target(TargetOutcome(Target("/".join(one.asset), one.partition), "submitted"))
        return Report()


class _Marked(standin.Place):
    """Marks what happens in a run with what it was asked for by."""

    marks: Mapping[str, str] = {}

    def remember(self, **event: Any) -> None:
        super().remember(**event, **self.marks)


class _Daemon(standin.Runner):
    """Makes the run of one request. ``gate`` is a file that it waits for, once it has read something."""

    gate: Path | None = None

    def misbehave(self, when: str, target: Document | None = None) -> None:
        if when == "read" and self.gate is not None:
            gate, self.gate = self.gate, None
            gate.with_suffix(".reached").touch()
            until = time.monotonic() + PATIENCE_SECONDS
            while not gate.exists() and time.monotonic() < until:
                time.sleep(0.01)
        super().misbehave(when, target)

    def _end(self, how: str) -> None:
        """Nobody waits for this process who could die with it."""
        super()._end({"kill all": "kill", "interrupt": "interrupt self"}.get(how, how))


def _place(control: Path) -> _Marked:
    top = str(Path.cwd())
    project = {"top": top, "directory": top, "module_name": [], "python_file": [str(Path(top, FILE))]}
    return _Marked(control, INSIDE, {"project": project, "home": None})


def _tick(control: Path, how: str) -> None:
    """One tick of the sensor.

    Args:
        how: ``late``: long after what was asked for before; ``die``: nobody hears what it asks for.
    """
    if how == "late":
        launches.RUNLESS = timedelta(0)
    try:
        workspace = workspace_here(Path.cwd(), None)
        launcher = _Launcher(_place(control))
        with closing(workspace.repo):
            print(look(Wanted(settle=0), workspace, launcher, face="sensor", warn=print).told)
    except RawTriggerError as error:
        print(error.line)
    else:
        for one in launcher.asked if how != "die" else ():
            standin.append(launcher.place.home / "requests.jsonl", one)


def _run(control: Path, number: int, run: str, gate: Path | None) -> None:
    """Make the run of one of the requests."""
    place = _place(control)
    waiting = requests(place.home)
    asked = waiting.pop(number)
    (place.home / "requests.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in waiting))
    batch = asked["batch"]
    place.marks = {"launch": asked["launch"], "batch": str(batch["number"])}
    daemon = _Daemon(place, {}, _Channel())  # type: ignore[arg-type]
    daemon.gate = gate
    daemon.assets = place.definitions()["assets"]
    if not all("/".join(one["asset"]) in daemon.assets for one in batch["targets"]):
        place.remember(type="run", run=run, first=None, checks=[])
        place.remember(type="run ended", run=run, first=None, status="FAILURE")
        return
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, standin._on_signal)
    try:
        daemon._run(batch, run, None, batch["targets"])
    except standin.InterruptedRunError as interrupted:
        sys.exit(128 + int(interrupted.args[0]))


def be(args: list[str]) -> None:
    """Be the process that was asked for: ``tick CONTROL HOW`` or ``run CONTROL NUMBER RUN GATE``."""
    control = Path(args[1])
    if args[0] == "tick":
        _tick(control, args[2])
    else:
        _run(control, int(args[2]), args[3], Path(args[4]) if args[4] else None)
    sys.exit(0)


def running(home: Path) -> dict[str, Document]:
    """The runs of requests that have not ended, each with what it is marked with."""
    events = standin.lines(home / "events.jsonl")
    ended = {event["run"] for event in events if event["type"] == "run ended"}
    return {
        event["run"]: {"launch": event["launch"], "batch": event["batch"]}
        for event in events
        if event["type"] == "run" and "launch" in event and event["run"] not in ended
    }


def end(home: Path, status: str, *, alive: str | None = None) -> None:
    """End the runs of requests that have not ended, as run monitoring does, or who cancels them.

    Args:
        alive: The run that is really at work.
    """
    for run, marks in running(home).items():
        if run != alive:
            last = {"type": "run ended", "run": run, "first": None, "status": status, "time": time.time()}
            standin.append(home / "events.jsonl", {**last, **marks})
