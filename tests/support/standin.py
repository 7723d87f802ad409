"""Stands in for an interpreter with Dagster: answers the probe's, the runner's and settle's requests in 20 ms.

Configured as ``dagster: {python: [python3, -IS, …/standin.py, CONTROL], python_file: definitions.json}``. What
is about git, the record and hooks is tested with it; what is about Dagster is tested with Dagster, and
``tests/dagster/test_standin.py`` compares what both say of the same project.

The definitions are Python in the words of ``words.py``, or a JSON file of the project: ``{"assets": {"raw/a": {…}}, "jobs": {"name": "here"}}``. An asset
has, all optional: ``parents``, ``partitions`` (a list of keys, or ``{"dynamic": NAME}``), ``external``, ``group``,
``set`` (the assets that its step makes, itself included), ``metadata``, ``checks``.

CONTROL is a folder outside of the repository with

``behaviour.json``
    What goes wrong: a list of ``{"target": "raw/a|2026-01-31", "when": WHEN, "do": DO, "arg": …, "times": 1}``.
    The target may be an asset, or ``*``; without ``times`` it goes wrong always. WHEN is one of ``load`` (nothing is
    loaded yet), ``before`` (nothing was read yet), ``read`` (nothing was materialized yet), ``materialized``,
    ``check`` (the step has ended well), ``told`` and ``end`` (nothing is left to be done). DO is ``fail``, ``exit``,
    ``kill``, ``kill all`` (what has started it too), ``interrupt`` (as Ctrl-C does), ``interrupt self``, ``print``, ``write`` (ARG: path
    → content or null), ``run`` (ARG: a command of the shell), ``await`` (ARG: a file that somebody else makes).

``truth.jsonl``
    The truth, to judge by: for every target that was materialized what was then on disk below the raw roots.

``starts``
    One line for each time that it was started: the program that it was to run.

The Dagster instance is ``events.jsonl`` and ``dynamic.json`` in the folder of ``$DAGSTER_HOME``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import FrameType
from typing import Any

Document = dict[str, Any]
VERSION = "1.11.0"
ROOTS = ("data/1_raw",)
LOAD_FAILED = 3
PATIENCE_SECONDS = 60
LOOK_SECONDS = 0.2
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


class InjectedError(Exception):
    """What the asset's code raises."""


class InterruptedRunError(BaseException):
    """A signal arrived; the value is its number."""


def _on_signal(number: int, frame: FrameType | None) -> None:
    raise InterruptedRunError(number)


class Channel:
    """Where answers go."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        os.set_blocking(self.fd, True)

    def send(self, document: Document) -> None:
        """Also to nobody: an interrupted run is closed all the same."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.fd, json.dumps(document).encode("ascii") + b"\n")

    def is_read(self) -> bool:
        try:
            os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True


class Place:
    """Everything that lies somewhere: the project, its definitions, the instance, the control folder."""

    def __init__(self, control: Path, inside: Path, request: Document) -> None:
        self.control, self.inside = control, inside
        project = request["project"]
        self.top, self.folder = project["top"], project["directory"]
        names = project["module_name"] or re.findall(
            'module_name = "(.*)"', text(Path(self.folder, "pyproject.toml"))
        )
        files = project["python_file"] or [
            str(Path(self.folder, f"{name.replace('.', '/')}.py")) for name in names
        ]
        self.file = files[0] if files else str(Path(self.folder, "definitions.py"))
        self.module = names[0] if names else Path(self.file).stem
        named = request["home"] or os.environ.get("DAGSTER_HOME")
        self.home = Path(named or request["default_home"])
        if named is None:
            self.home.mkdir(parents=True, exist_ok=True)

    def definitions(self) -> Document:
        if self.file.endswith(".json"):
            found: Document = json.loads(Path(self.file).read_text())
            return found
        loaded: Document = module("words", Path(__file__).parent).load(
            self.module, Path(self.file), Path(self.folder)
        )
        return loaded

    def error(self, problem: BaseException) -> Document:
        """What the user's code raised, as the probe and the runner tell it."""
        if isinstance(problem, InjectedError) or self.file.endswith(".json"):
            return raised(str(problem))
        trace = problem.__traceback__
        while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(self.folder):
            trace = trace.tb_next
        told: Document = module("errors", self.inside).error_of(problem.with_traceback(trace))
        return told

    # The instance

    def remember(self, **event: Any) -> None:
        append(self.home / "events.jsonl", {**event, "time": time.time()})

    def events(self) -> list[Document]:
        return lines(self.home / "events.jsonl")

    def dynamic(self, name: str) -> list[str]:
        return self._dynamic().get(name, [])

    def _dynamic(self) -> dict[str, list[str]]:
        with contextlib.suppress(FileNotFoundError):
            found: dict[str, list[str]] = json.loads((self.home / "dynamic.json").read_text())
            return found
        return {}

    def set_dynamic(self, name: str, keys: list[str]) -> None:
        (self.home / "dynamic.json").write_text(json.dumps({**self._dynamic(), name: keys}))

    # The truth

    def disk(self) -> dict[str, str]:
        """Every raw file → its blob's id; a link by what it names."""
        found = {}
        for root in ROOTS:
            for file in Path(self.top, root).rglob("*"):
                if file.is_symlink() or file.is_file():
                    content = os.fsencode(file.readlink()) if file.is_symlink() else file.read_bytes()
                    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
                    found[str(file.relative_to(self.top))] = blob
        return found

    def tell(self, target: str, how: str, run: str | None, read: dict[str, str] | None) -> None:
        truth = {
            "target": target,
            "how": how,
            "run": run,
            "read": read,
            "home": str(self.home),
            "top": self.top,
        }
        append(self.control / "truth.jsonl", {**truth, "time": time.time()})


def module(name: str, folder: Path) -> Any:
    """One of the modules that lie nowhere where Python looks."""
    if name not in sys.modules:
        loader = SourceFileLoader(name, str(folder / f"{name}.py"))
        specified = importlib.util.spec_from_loader(name, loader)
        assert specified is not None
        sys.modules[name] = importlib.util.module_from_spec(specified)
        loader.exec_module(sys.modules[name])
    return sys.modules[name]


def text(file: Path) -> str:
    """Of a file, if it is there."""
    return file.read_text() if file.exists() else ""


def append(file: Path, document: Document) -> None:
    fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, json.dumps(document).encode() + b"\n")
    os.close(fd)


def lines(file: Path) -> list[Document]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines()]


def parts(key: str) -> list[str]:
    return key.split("/")


def name_of(target: Document) -> str:
    key = "/".join(target["asset"])
    return key if target["partition"] is None else f"{key}|{target['partition']}"


def plain(message: str) -> Document:
    return {"message": message, "cls": None, "traceback": None}


def raised(message: str) -> Document:
    return {"message": f"ValueError: {message}", "cls": "ValueError", "traceback": f"ValueError: {message}"}


# The probe ---------------------------------------------------------------------------------------


def probe(place: Place, request: Document, channel: Channel) -> int:
    """Describe the definitions as the probe does."""
    try:
        found = place.definitions()
    except (Exception, SystemExit) as error:
        is_text = place.file.endswith(".json")
        channel.send({"error": raised(f"{place.file}: {error}") if is_text else place.error(error)})
        return LOAD_FAILED
    partitions: list[Document] = []
    assets = []
    for key, one in sorted(found["assets"].items()):
        number = None
        if "partitions" in one:
            given = one["partitions"]
            document = {"kind": "static", "keys": given} if isinstance(given, list) else given
            if "dynamic" in document:
                document = {"kind": "dynamic", "name": given["dynamic"]}
            if document not in partitions:
                partitions.append(document)
            number = partitions.index(document)
        assets.append(
            {
                "key": parts(key),
                "location": "here",
                "group": one.get("group", "default"),
                "kind": "external" if one.get("external") else "materializable",
                "partitions": number,
                "parents": sorted(map(parts, one.get("parents", []))),
                "execution_set": sorted(map(parts, one.get("set", []))),
                "metadata": one.get("metadata", []),
                "checks": one.get("checks", []),
                "mappings": [],
                "per_run": 1,
                "needs_config": False,
            }
        )
    channel.send(
        {
            "version": 1,
            "dagster": VERSION,
            "python": "3.11.0",
            "assets": assets,
            "partitions": partitions,
            "jobs": found.get("jobs", {}),
            "unread": [],
            "problems": [None for _ in request.get("run_configs") or []],
            "code": [],
            "watched": {"files": sorted(found.get("files", [place.file])), "folders": [], "modules": []},
            "libraries": [],
        }
    )
    return 0


# What the instance knows -------------------------------------------------------------------------


def settle(place: Place, request: Document, channel: Channel) -> int:
    """Tell what the instance knows of runs, dynamic keys, and what was never materialized."""
    events = place.events()
    made = {event["asset"] for event in events if event["type"] == "made"}
    channel.send(
        {
            "version": 1,
            "runs": {run: past_run(events, run) for run in request["run_ids"]},
            "launches": {launch: submitted(events, launch) for launch in request["launches"]},
            "dynamic": {name: place.dynamic(name) for name in request["dynamic"]},
            "never": [key for key in request["assets"] if "/".join(key) not in made],
        }
    )
    return 0


def submitted(events: list[Document], launch: str) -> Document:
    """What the runs of a launch did that somebody has submitted: the stand-in itself submits nothing."""
    runs = {event["batch"]: event["run"] for event in events if event.get("launch") == launch}
    return {batch: past_run(events, run) for batch, run in runs.items()}


def past_run(events: list[Document], run: str) -> Document:
    """What one run did, and those that went on with what was left of its batch."""
    further = [event["run"] for event in events if event["type"] == "run" and event["first"] == run]
    found = [one_run([event for event in events if event["run"] == one]) for one in (run, *further)]
    lists = ("materialized", "failed_checks", "cut_off", "errors")
    began = [one["began"] for one in found if one["began"] is not None]
    return {
        "run_id": (run, *further)[-1],
        "status": [one["status"] for one in found][-1],
        "began": min(began, default=None),
        "ended": found[-1]["ended"],
        "retries": False,
        "error": None,
        "succeeded": found[-1]["succeeded"],
        "broken_off": any(one["broken_off"] for one in found),
        **{name: [item for one in found for item in one[name]] for name in lists},
    }


def one_run(own: list[Document]) -> Document:
    """What one run did, from its events."""
    of = {asset: event["step"] for event in own if event["type"] == "step" for asset in event["assets"]}
    ended = {event["step"]: event["success"] for event in own if event["type"] == "step ended"}
    made = {event["asset"]: event for event in own if event["type"] == "made"}
    checks = {
        (asset, one): False for event in own if event["type"] == "run" for asset, one in event["checks"]
    }
    checks.update({(e["asset"], e["check"]): e["passed"] for e in own if e["type"] == "check"})
    told = {(e["asset"], e["check"]): e for e in own if e["type"] == "check"}
    runs = [event for event in own if event["type"] in ("run", "run ended")]
    status = runs[-1].get("status", "STARTED") if runs else None
    open_steps = set(of.values()) - ended.keys()

    def is_whole(asset: str) -> bool:
        """Of several assets of one step each is whole on its own."""
        return list(of.values()).count(of[asset]) > 1 or ended.get(of[asset], False)

    whole = [asset for asset in made if is_whole(asset)]
    cut = {asset for asset, step in of.items() if step in open_steps} | made.keys()
    return {
        "status": status,
        "succeeded": runs[-1]["time"] if status == "SUCCESS" else None,
        "broken_off": bool(open_steps) or (bool(of) and status not in ENDED),
        "began": min((event["time"] for event in own if event["type"] == "step"), default=None),
        "ended": runs[-1]["time"] if status in ENDED else None,
        "errors": [],
        "materialized": [
            {
                "asset": parts(key),
                "partition": made[key]["partition"],
                "time": made[key]["time"],
                "began": next(e["time"] for e in own if e["type"] == "step" and e["step"] == of[key]),
            }
            for key in whole
        ],
        "failed_checks": [
            {
                "asset": parts(k),
                "check": check,
                "message": told.get((k, check), {}).get("message"),
                "evaluated": (k, check) in told,
            }
            for (k, check), passed in checks.items()
            if not passed
        ],
        "cut_off": [parts(key) for key in sorted(cut - set(whole))],
    }


# The runner --------------------------------------------------------------------------------------


class Runner:
    """Carries the batches of one request out, in order."""

    def __init__(self, place: Place, request: Document, channel: Channel) -> None:
        self.place = place
        self.request = request
        self.channel = channel
        self.states: dict[tuple[str, str | None], str] = {}
        self.failed_here: set[str] = set()
        """In the present run."""

    def run_all(self) -> int:
        """Everything; returns the exit code."""
        lock = self.request.get("lock")
        if lock is not None:
            fcntl.lockf(os.open(lock, os.O_RDWR | os.O_CREAT, 0o666), fcntl.LOCK_SH)
        if not self.channel.is_read():
            return 128 + signal.SIGTERM
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            self.misbehave("load")
            self.assets = self.place.definitions()["assets"]
        except (Exception, SystemExit) as error:
            self.channel.send({"event": "load-failed", "error": self.place.error(error)})
            return LOAD_FAILED
        self.channel.send({"event": "loaded", "seconds": 0.0, "dagster": VERSION})
        for batch in self.request["batches"]:
            if batch["kind"] in ("report", "delete-partition"):
                self._at_once(batch)
            else:
                self._materialize(batch)
        self.misbehave("end")
        self.channel.send({"event": "done"})
        return 0

    def _watch(self) -> None:
        """End this process once what started it was killed. In a thread."""
        while self.channel.is_read():
            time.sleep(LOOK_SECONDS)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)  # type: ignore[arg-type]

    # What goes wrong

    def misbehave(self, when: str, target: Document | None = None) -> None:
        """What was asked for at this moment."""
        file = self.place.control / "behaviour.json"
        with contextlib.suppress(FileNotFoundError):
            asked = json.loads(file.read_text())
            names = {"*"} if target is None else {"*", name_of(target), "/".join(target["asset"])}
            for one in asked:
                if one["when"] != when or one.get("target", "*") not in names or one.get("times") == 0:
                    continue
                if "times" in one:
                    one["times"] -= 1
                    file.write_text(json.dumps(asked))
                self._do(one["do"], one.get("arg"))

    def _do(self, what: str, arg: Any) -> None:
        if what == "fail":
            raise InjectedError(arg or "injected")
        if what == "print":
            print(arg, flush=True)
        elif what == "write":
            for path, content in arg.items():
                file = Path(self.place.top, path)
                if content is None:
                    file.unlink(missing_ok=True)
                else:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(content)
        elif what == "run":
            subprocess.run(["sh", "-e", "-c", arg], cwd=self.place.top, stdin=subprocess.DEVNULL, check=True)
        elif what == "await":
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not Path(arg).exists() and time.monotonic() < deadline:
                time.sleep(0.01)
        else:
            self._end(what)

    def _end(self, how: str) -> None:
        if how == "exit":
            os._exit(7)
        number = signal.SIGINT if how.startswith("interrupt") else signal.SIGKILL
        if how in ("interrupt", "kill all"):
            os.kill(os.getppid(), number)
        os.kill(os.getpid(), number)
        time.sleep(PATIENCE_SECONDS)  # the signal ends it

    # Batches

    def _tell(
        self,
        number: int,
        target: Document,
        status: str,
        error: Document | None = None,
        *,
        run: str | None = None,
        seconds: float | None = None,
        checks: list[Document] | None = None,
        tried: bool = False,
    ) -> None:
        self.states["/".join(target["asset"]), target["partition"]] = status
        if status != "success":
            self.failed_here.add("/".join(target["asset"]))
        self.channel.send(
            {
                "event": "target",
                "batch": number,
                "asset": target["asset"],
                "partition": target["partition"],
                "status": status,
                "run_id": run,
                "seconds": seconds,
                "error": error,
                "checks": checks or [],
                "reads": None,
                "materialized": tried or self._is_made(run, target),
                "first": target.get("first", False),
            }
        )

    def _is_made(self, run: str | None, target: Document) -> bool:
        """Whether there is a materialization of it from the run."""
        own = (event for event in self.place.events() if run is not None and event["run"] == run)
        made = ((event["asset"], event["partition"]) for event in own if event["type"] == "made")
        return ("/".join(target["asset"]), target["partition"]) in made

    @contextlib.contextmanager
    def _bracket(self, number: int, run: str | None) -> Iterator[list[str]]:
        statuses: list[str] = []
        ended = False
        self.channel.send({"event": "batch-started", "batch": number, "run_id": run})
        try:
            yield statuses
            ended = True
        finally:
            success = ended and set(statuses) <= {"success"}
            done = {
                "event": "batch-finished",
                "batch": number,
                "run_id": run,
                "success": success,
                "seconds": 0.0,
            }
            self.channel.send(done)

    def _failed_above(self, target: Document) -> str | None:
        for key, partition in target.get("after") or ():
            if self.states.get(("/".join(key), partition)) in ("failed", "skipped"):
                return "/".join(key)
        return None

    def _at_once(self, batch: Document) -> None:
        """Reports, and partitions that are deleted: no runs."""
        with self._bracket(batch["number"], None) as statuses:
            for target in batch["targets"]:
                error, status, key, tried = None, "success", "/".join(target["asset"]), False
                above = self._failed_above(target)
                if above is not None:
                    status, error = "skipped", plain(f"upstream {above} failed")
                elif key not in self.assets:
                    status, error = "failed", plain(f"{key} is not in the Dagster project")
                else:
                    try:
                        self.misbehave("before", target)
                        tried = True
                        self._do_at_once(batch["kind"], key, target)
                        self.misbehave("materialized", target)
                    except InjectedError as problem:
                        status, error = "failed", raised(str(problem))
                statuses.append(status)
                self._tell(batch["number"], target, status, error, tried=tried and status == "failed")

    def _do_at_once(self, kind: str, key: str, target: Document) -> None:
        if kind == "report":
            self.place.tell(name_of(target), "reported", None, self.place.disk())
            made = {"asset": key, "partition": target["partition"], "step": key}
            self.place.remember(type="made", run=None, first=None, **made)
        else:
            name = self.assets[key]["partitions"]["dynamic"]
            left = [one for one in self.place.dynamic(name) if one != target["partition"]]
            self.place.set_dynamic(name, left)
            self.place.tell(name_of(target), "deleted", None, {})

    def _materialize(self, batch: Document) -> None:
        possible = [one for one in batch["targets"] if self._is_possible(batch, one)]
        given = batch["run_id"]
        run: str | None = given
        for turn in self._turns(self._never_made(batch, possible), possible):
            waiting = turn
            while waiting:
                ready = self._ready(waiting)
                waiting = [target for target in waiting if target not in ready]
                if ready[0].get("first"):
                    self._run(batch, str(uuid.uuid4()), None, ready)
                else:
                    self._run(batch, run or str(uuid.uuid4()), None if run else given, ready)
                    run = None

    def _never_made(self, batch: Document, targets: list[Document]) -> list[Document]:
        """What the targets are made from, however far up, and the instance has never made."""
        if batch["kind"] == "job":
            return []
        made = {event["asset"] for event in self.place.events() if event["type"] == "made"}
        fed = {"/".join(key) for key in batch["fed"]}
        asked = {"/".join(one["asset"]) for other in self.request["batches"] for one in other["targets"]}
        found: dict[str, Document] = {}

        def look(key: str) -> None:
            for parent in sorted(self.assets[key].get("parents", ())):
                above = self.assets[parent]
                if above.get("external") or "partitions" in above or parent in made | asked | found.keys():
                    continue
                if parent in fed:
                    left = {"asset": parts(parent), "partitions": [None], "why": "fed", "below": parts(key)}
                    self.channel.send({"event": "left", **left})
                    continue
                look(parent)
                after = [[parts(one), None] for one in self.assets[parent].get("parents", ()) if one in found]
                found[parent] = {"asset": parts(parent), "partition": None, "after": after, "first": True}

        for target in targets:
            look("/".join(target["asset"]))
        return list(found.values())

    def _turns(self, first: list[Document], targets: list[Document]) -> list[list[Document]]:
        """What is made first and the targets, each after what it is made from."""
        turns: list[list[Document]] = []
        for step in self._steps([*first, *targets]) if first else [targets]:
            if turns and bool(turns[-1][0].get("first")) == bool(step[0].get("first")):
                turns[-1] += step
            else:
                turns.append(list(step))
        return turns

    def _is_possible(self, batch: Document, target: Document) -> bool:
        """Whether there is such an asset and partition; if not this is told."""
        key, partition = "/".join(target["asset"]), target["partition"]
        if batch["kind"] == "job":
            return True
        if key not in self.assets:
            self._tell(batch["number"], target, "failed", plain(f"{key} is not in the Dagster project"))
            return False
        keys = self.assets[key].get("partitions")
        if isinstance(keys, list) and partition not in keys:
            problem = plain(f"{partition!r} is no partition of {key}")
            self._tell(batch["number"], target, "skipped", problem)
            return False
        return True

    def _ready(self, waiting: list[Document]) -> list[Document]:
        """What goes into the next run, one partition at most: nothing that waits for what does not."""
        left = {name_of(target) for target in waiting}

        def waits_for(target: Document, others: set[str]) -> bool:
            after = {
                f"{'/'.join(k)}|{p}" if p is not None else "/".join(k) for k, p in target.get("after") or ()
            }
            return bool(after & others)

        free = [target for target in waiting if not waits_for(target, left - {name_of(target)})] or waiting
        key = next((one["partition"] for one in free if one["partition"] is not None), None)
        chosen = [one for one in waiting if one["partition"] in (None, key)]
        while True:
            outside = left - {name_of(one) for one in chosen}
            fitting = [one for one in chosen if not waits_for(one, outside)]
            if fitting == chosen:
                return chosen
            chosen = fitting

    def _steps(self, targets: list[Document]) -> list[list[Document]]:
        """In the order of the graph; those of one step together."""
        ordered: list[list[Document]] = []
        left = list(targets)
        while left:
            names = {"/".join(one["asset"]) for one in left}
            # As Dagster does, which makes an op of each.
            for target in sorted(left, key=lambda one: "__".join(one["asset"])):
                key = "/".join(target["asset"])
                mates = set(self.assets.get(key, {}).get("set", ())) or {key}
                step = [one for one in left if "/".join(one["asset"]) in mates]
                above = {
                    parent
                    for one in step
                    for parent in (
                        *self.assets.get("/".join(one["asset"]), {}).get("parents", ()),
                        *("/".join(after) for after, _ in one.get("after") or ()),
                    )
                }
                if not (above - mates) & names:
                    break
            ordered.append(step)
            left = [one for one in left if one not in step]
        return ordered

    def _run(self, batch: Document, run: str, first: str | None, targets: list[Document]) -> None:
        number, remember = batch["number"], self.place.remember
        checks = [
            ["/".join(one["asset"]), check]
            for one in targets
            for check in self.assets.get("/".join(one["asset"]), {}).get("checks", ())
        ]
        self.failed_here = set()
        with self._bracket(number, run) as statuses:
            remember(type="run", run=run, first=first, checks=checks)
            left = self._steps(targets)
            try:
                while left:
                    self._step(batch, run, first, left[0], statuses)
                    left.pop(0)
            except InterruptedRunError:
                for target in (one for step in left for one in step):
                    if (("/".join(target["asset"])), target["partition"]) not in self.states:
                        self._tell(number, target, "skipped", plain("interrupted before it ran"), run=run)
                remember(type="run ended", run=run, first=first, status="FAILURE")
                raise
            # A check that fails ends no run.
            steps = [
                one["success"]
                for one in self.place.events()
                if one["type"] == "step ended" and one["run"] == run
            ]
            ended = "SUCCESS" if all(steps) and "skipped" not in statuses else "FAILURE"
            remember(type="run ended", run=run, first=first, status=ended)

    def _step(
        self, batch: Document, run: str, first: str | None, step: list[Document], statuses: list[str]
    ) -> None:
        number, of, failed = batch["number"], {"run": run, "first": first}, {}
        if batch["kind"] != "job":
            for target in step:
                key = "/".join(target["asset"])
                bad = [one for one in self.assets.get(key, {}).get("parents", ()) if one in self.failed_here]
                above = self._failed_above(target) or next(iter(bad), None)
                if above is not None:
                    failed[key] = ("skipped", plain(f"upstream {above} failed"))
        if failed:  # what runs as a whole goes as a whole
            why = next(iter(failed.values()))
            for target in step:
                statuses.append(why[0])
                self._tell(number, target, *failed.get("/".join(target["asset"]), why), run=run)
            return
        if not self.channel.is_read():  # what started this one was killed
            raise InterruptedRunError(signal.SIGTERM)
        name = name_of(step[0])
        assets = ["/".join(one["asset"]) for one in step]
        self.place.remember(type="step", step=name, assets=assets, **of)
        made: list[Document] = []
        error = None
        try:
            for target, read in self._finished(step):
                self._make(target, name, run, first, read)
                made.append(target)
                self.misbehave("materialized", target)
        except Exception as problem:
            error = self.place.error(problem)
        except InterruptedRunError:
            self.place.remember(type="step ended", step=name, success=False, **of)
            for target in step:
                is_made = target in made and len(step) > 1
                why = None if is_made else plain("interrupted while it ran")
                self._tell(number, target, "success" if is_made else "failed", why, run=run, seconds=0.0)
            raise
        self.place.remember(type="step ended", step=name, success=error is None, **of)
        for target in step:
            is_made = target in made and (error is None or len(step) > 1)
            status, why, results = "success" if is_made else "failed", None if is_made else error, []
            if is_made:
                why, results = self._check(target, number, run, first)
                status = "success" if why is None else "failed"
            statuses.append(status)
            self._tell(number, target, status, why, run=run, seconds=0.0, checks=results)
            self.misbehave("told", target)

    def _finished(self, step: list[Document]) -> Iterator[tuple[Document, dict[str, str]]]:
        """Each target of a step as it is finished, and what was on disk when it was begun."""
        function = self.assets.get("/".join(step[0]["asset"]), {}).get("function")
        if function is None:
            for target in step:
                self.misbehave("before", target)
                read = self.place.disk()
                self.misbehave("read", target)
                yield target, read
            return
        for target in step:
            self.misbehave("before", target)
        read = self.place.disk()
        for target in step:
            self.misbehave("read", target)
        result = module("words", Path(__file__).parent).call(function, step[0]["partition"])
        if not isinstance(result, Iterator):
            yield from ((target, read) for target in step)
            return
        for one in result:
            keys = [step[0]["asset"]] if one.key is None else [parts(one.key)]
            yield from ((target, read) for target in step if target["asset"] in keys)

    def _make(self, target: Document, step: str, run: str, first: str | None, read: dict[str, str]) -> None:
        key = "/".join(target["asset"])
        given = self.assets.get(key, {}).get("partitions")
        if isinstance(given, dict) and target["partition"] not in self.place.dynamic(given["dynamic"]):
            self.place.set_dynamic(
                given["dynamic"], [*self.place.dynamic(given["dynamic"]), target["partition"]]
            )
        made = {"asset": key, "partition": target["partition"], "step": step}
        # The truth first: an asset has written its data before Dagster hears of it.
        self.place.tell(name_of(target), "materialized", run, read)
        self.place.remember(type="made", run=run, first=first, **made)

    def _check(
        self, target: Document, number: int, run: str, first: str | None
    ) -> tuple[Document | None, list[Document]]:
        """The error of a check that failed, and what all of them said."""
        key, results, why = "/".join(target["asset"]), [], None
        for check in self.assets.get(key, {}).get("checks", ()):
            passed, severity, message = True, "ERROR", None
            try:
                self.misbehave("check", target)
                function = self.assets[key].get("check_functions", {}).get(check)
                if function is not None:
                    said = module("words", Path(__file__).parent).call(function, target["partition"])
                    passed, severity, message = said.passed, said.severity.name, said.description
            except Exception as problem:
                passed, message = False, str(problem)
            except InterruptedRunError:
                why = plain(f"asset check {check} failed: interrupted while it ran")
                self._tell(number, target, "failed", why, run=run, seconds=0.0)
                raise
            if not passed and severity == "ERROR":
                why = why or plain(f"asset check {check} failed: {message or 'no description'}")
            # Of those with another severity the instance knows nothing that matters.
            fine = passed or severity != "ERROR"
            told = {"asset": key, "check": check, "passed": fine, "message": message}
            self.place.remember(type="check", run=run, first=first, **told)
            results.append({"name": check, "passed": passed, "severity": severity, "message": message})
        return why, results


def main() -> int:
    """Answer one request."""
    control, program = Path(sys.argv[1]), sys.argv[3]
    with (control / "starts").open("a") as starts:
        starts.write(f"{program}\n")
    asked = sys.stdin.buffer.read()
    if not asked:
        return 0  # whoever started this has changed its mind, or is gone
    request = json.loads(asked)
    channel, place = Channel(request["channel"]), Place(control, Path(sys.argv[2]).parent, request)
    os.chdir(request["project"]["directory"])
    if program == "probe":
        return probe(place, request, channel)
    if program == "settle":
        return settle(place, request, channel)
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, _on_signal)
    try:
        return Runner(place, request, channel).run_all()
    except InterruptedRunError as interrupted:
        return 128 + int(interrupted.args[0])


if __name__ == "__main__":
    sys.exit(main())
