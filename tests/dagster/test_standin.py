"""The stand-in interpreter says what Dagster says: the same requests to both, and all that they answer."""

from __future__ import annotations

import json
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from raw_trigger.project.child import Child
from raw_trigger.project.interpreter import Interpreter
from raw_trigger.project.messages import RunBatch
from tests.dagster.sandbox import batch, target
from tests.support.forks import dagster_environment
from tests.support.project import FILE, STANDIN

Document = dict[str, Any]

CODE = """
import os, signal
import dagster as dg

def end(how):
    os.kill(os.getpid(), how)
    signal.pause()

@dg.asset(key_prefix="raw", group_name="here", metadata={"path": "data/1_raw/good.csv"})
def good(): return 1
@dg.asset
def bad(): raise ValueError("injected")
@dg.asset(deps=[bad])
def below(): ...
@dg.asset
def late():
    yield dg.MaterializeResult()
    raise ValueError("injected")
@dg.multi_asset(specs=[dg.AssetSpec("left"), dg.AssetSpec("right")])
def torn():
    yield dg.MaterializeResult(asset_key="left")
    raise ValueError("injected")
@dg.asset
def fine(): ...
@dg.asset_check(asset=fine)
def sound(): return dg.AssetCheckResult(passed=True)
@dg.asset
def unfit(): ...
@dg.asset_check(asset=unfit)
def unsound(): return dg.AssetCheckResult(passed=False, description="injected", severity=dg.AssetCheckSeverity.ERROR)
@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["x", "y"]))
def part(): ...
@dg.asset(partitions_def=dg.DynamicPartitionsDefinition(name="names"))
def dyn(): ...
@dg.asset(deps=["ext"])
def under(): ...
@dg.asset(deps=[good])
def between(): ...
@dg.asset(deps=[between])
def far(): ...
@dg.asset
def dead(): end(signal.SIGKILL)
@dg.asset
def interrupted(): end(signal.SIGINT)
@dg.asset
def half():
    yield dg.MaterializeResult()
    end(signal.SIGKILL)
@dg.asset
def dying(): ...
@dg.asset_check(asset=dying)
def deadly(): end(signal.SIGKILL)

defs = dg.Definitions(
    assets=[good, bad, below, late, torn, fine, unfit, part, dyn, dead, interrupted, half, dying, dg.AssetSpec("ext"),
            under, between, far],
    asset_checks=[sound, unsound, deadly],
)
"""
PAIR = ["left", "right"]
DEFINITIONS = {
    "assets": {
        "raw/good": {"group": "here", "metadata": [["path", "data/1_raw/good.csv"]]},
        "below": {"parents": ["bad"]},
        "left": {"set": PAIR},
        "right": {"set": PAIR},
        "fine": {"checks": ["sound"]},
        "unfit": {"checks": ["unsound"]},
        "part": {"partitions": ["x", "y"]},
        "dyn": {"partitions": {"dynamic": "names"}},
        "dying": {"checks": ["deadly"]},
        "ext": {"external": True},
        "under": {"parents": ["ext"]},
        "between": {"parents": ["raw/good"]},
        "far": {"parents": ["between"]},
        **{name: {} for name in ("bad", "late", "dead", "interrupted", "half")},
    },
    # Dagster makes it of all assets.
    "jobs": {"__ASSET_JOB": "definitions.py"},
}
BEHAVIOUR = [
    {"target": "bad", "when": "read", "do": "fail"},
    {"target": "late", "when": "materialized", "do": "fail"},
    {"target": "left", "when": "materialized", "do": "fail"},
    {"target": "unfit", "when": "check", "do": "fail"},
    {"target": "dead", "when": "read", "do": "kill"},
    {"target": "half", "when": "materialized", "do": "kill"},
    {"target": "dying", "when": "check", "do": "kill"},
    # Here without the process above, which is the test's.
    {"target": "interrupted", "when": "read", "do": "interrupt self"},
]
ENDS = {"dead": "fine", "half": "raw/good", "dying": None, "interrupted": "raw/good"}
"""What ends the runner → a target that it was to make after that."""
RUNS: dict[object, str] = {
    name: str(uuid.uuid5(uuid.NAMESPACE_OID, str(name))) for name in (*range(1, 11), *ENDS)
}
SKIPS = target("below", after=["bad"])
BATCHES = (
    batch(1, "raw/good", "bad", SKIPS, "late", "left", "right", "fine", "unfit", run_id=RUNS[1]),
    batch(2, "part|x", "fine", partition="x", run_id=RUNS[2]),
    batch(3, "part|x", "part|y", run_id=RUNS[3]),
    batch(4, "dyn|k", partition="k", run_id=RUNS[4]),
    batch(5, "ext", kind="report"),
    batch(6, "dyn|k", kind="delete-partition"),
    batch(8, "far", run_id=RUNS[8]),
    batch(9, "below", run_id=RUNS[9], fed=(("bad",),)),
    batch(10, "unfit", run_id=RUNS[10]),
    batch(7, "part|z", "nowhere", partition="z", run_id=RUNS[7]),
)


@dataclass
class Place:
    """A project, with the one interpreter or the other."""

    folder: Path
    interpreter: Interpreter
    project: Document

    def ask(self, program: str, **request: Any) -> tuple[int, list[Document]]:
        answers: list[Document] = []
        whole = {
            "version": 1,
            "project": self.project,
            "home": None,
            "default_home": str(self.folder / "home"),
            **request,
        }
        log = self.folder / "log"
        with Child(program, self.folder, self.interpreter, os.environ, log) as child:
            code = child.converse(whole, answers.append)
        return code, answers

    def run(self, *batches: RunBatch) -> tuple[int, list[Document]]:
        asked = [one.as_json() for one in batches]
        return self.ask("runner", batches=asked, tags={}, lock=str(self.folder / "lock"), reading=None)

    def settle(self, runs: Iterable[str]) -> Document:
        assets = [key.split("/") for key in DEFINITIONS["assets"]]
        wanted = {"run_ids": list(runs), "launches": [], "dynamic": ["names"], "assets": assets}
        _, [answer] = self.ask("settle", **wanted)
        return answer


@dataclass(frozen=True)
class Places:
    """The same project in Dagster, and in the stand-in as a description and as the same code."""

    dagster: Place
    stand_ins: tuple[Place, ...]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, new_home: Callable[[Path], Path]) -> Places:
    made = []
    for name, file, text in (
        ("dagster", "definitions.py", CODE),
        ("description", FILE, json.dumps(DEFINITIONS)),
        ("code", "definitions.py", CODE),
    ):
        folder = tmp_path_factory.mktemp(name)
        (folder / file).write_text(text)
        (folder / "behaviour.json").write_text(json.dumps(BEHAVIOUR if name == "description" else []))
        command = (str(dagster_environment() / "bin/python"),)
        if name == "dagster":
            new_home(folder / "home")
        else:
            command = (sys.executable, "-IS", str(STANDIN), str(folder))
        project = {
            "directory": str(folder),
            "top": str(folder),
            "python_file": [str(folder / file)],
            **{option: [] for option in ("module_name", "package_name", "workspace")},
            **dict.fromkeys(("attribute", "working_directory")),
        }
        made.append(Place(folder, Interpreter(command, "test"), project))
    return Places(made[0], tuple(made[1:]))


def told(documents: Iterable[Document]) -> list[Any]:
    """What was told, in an order of its own; without what may differ."""
    return sorted((plain(one) for one in documents), key=json.dumps)


def plain(value: Any, key: str = "") -> Any:
    """Without times, versions and words."""
    if key in ("seconds", "dagster", "python", "traceback", "time", "succeeded", "began", "ended"):
        return type(value).__name__
    if key == "message" and value is not None and "injected" in value:
        return "injected"
    if key == "run_id" and value is not None and value not in RUNS.values():
        return "another"
    if isinstance(value, Mapping):
        return {name: plain(one, name) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def test_the_graph(places: Places) -> None:
    (_, [there]) = places.dagster.ask("probe", run_configs=[])
    ours = {"watched", "libraries", "code", "python", "dagster", "jobs"}
    for asset in there["assets"]:
        asset.pop("named", None), asset.pop("told", None)
        asset["location"] = "here"
    for place in places.stand_ins:
        (_, [here]) = place.ask("probe", run_configs=[])
        assert there.keys() == here.keys()
        assert there["watched"].keys() - {"outside"} == here["watched"].keys()
        assert {k: there[k] for k in there.keys() - ours} == {k: here[k] for k in here.keys() - ours}


def test_runs_and_what_the_instance_knows_of_them(places: Places) -> None:
    code, there = places.dagster.run(*BATCHES)
    runs = [RUNS[number] for number in range(1, 11)]
    settled = told([place_settled(places.dagster, runs)])
    for place in places.stand_ins:
        code_here, here = place.run(*BATCHES)
        assert (code, told(there)) == (code_here, told(here))
        assert settled == told([place_settled(place, runs)])


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("half", marks=pytest.mark.soak),
        "dying",
        pytest.param("dead", marks=pytest.mark.soak),
        "interrupted",
    ],
)
def test_the_end_of_the_process(places: Places, how: str) -> None:
    """What was told until then, and what the instance knows of it."""
    after = [] if ENDS[how] is None else [ENDS[how]]
    last = batch(1, how, *after, run_id=RUNS[how])
    code, there = places.dagster.run(last)
    assert code == (128 + signal.SIGINT if how == "interrupted" else -signal.SIGKILL)
    settled = told([place_settled(places.dagster, [RUNS[how]])])
    for place in places.stand_ins:
        code_here, here = place.run(last)
        assert (code, told(there)) == (code_here, told(here))
        assert settled == told([place_settled(place, [RUNS[how]])])


def place_settled(place: Place, runs: list[str]) -> Document:
    """What the instance says, its lists in an order of their own; the stand-in does not remember errors."""
    answer = place.settle(runs)
    for run in answer["runs"].values():
        run |= {"error": None, "errors": []}
        for name in ("materialized", "failed_checks", "cut_off"):
            run[name] = sorted(run[name], key=lambda one: json.dumps(plain(one)))
    return {**answer, "never": sorted(answer["never"])}
