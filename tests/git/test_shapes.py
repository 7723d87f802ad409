"""Every shape of three assets and two files: what is changed, made in part, fails, and is changed back.

The oracle: what every asset last read, and what its parents had read by then. The gate takes a sample, the same one
every time; ``make soak`` takes all of them.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SOAK
from tests.support.forks import Program
from tests.support.project import ROOT, StandInProject

SAMPLE = 8
HALVES = 2

ASSETS = ("one", "two", "three")
EDGES = (("one", "two"), ("one", "three"), ("two", "three"))
FILES = ("x.csv", "y.csv")


@dataclass(frozen=True)
class Case:
    """A story.

    Attributes:
        edges: Which assets are made from which.
        fed: The asset that ``y.csv`` feeds; ``x.csv`` feeds the first.
        gone: Whether ``y.csv`` is deleted in place of edited.
        asset: The one that is asked for, if one is.
        fails: The one that fails meanwhile, and when.
        back: The files that are changed back then.
    """

    edges: tuple[tuple[str, str], ...]
    fed: str
    gone: bool
    asset: str | None
    fails: tuple[str, str] | None
    back: tuple[str, ...]


def cases() -> Iterator[Case]:
    shapes = [edges for n in range(4) for edges in itertools.combinations(EDGES, n)]
    fails = [None, *((one, when) for one in ASSETS for when in ("read", "materialized"))]
    backs = [(), ("x.csv",), ("y.csv",), FILES]
    for parts in itertools.product(shapes, ASSETS, (False, True), (None, *ASSETS), fails, backs):
        yield Case(*parts)


class Shape:
    """A project of one shape, and what its assets were made from."""

    def __init__(self, folder: Path, program: Program, case: Case) -> None:
        (folder / "control").mkdir(parents=True)
        self.case = case
        self.parents = {one: [up for up, down in case.edges if down == one] for one in ASSETS}
        self.direct = {"x.csv": "one", "y.csv": case.fed}
        self.project = StandInProject(folder / "project", folder / "control", program)
        self.project.top.mkdir()
        self.project.git("init", "-q")
        self.project.define({one: {"parents": up} for one, up in self.parents.items()})
        rules = "\n".join(f"{{path: {file}, asset: {one}}}" for file, one in self.direct.items())
        self.project.configure(rules, downstream="all")
        self.project.commit_raw(dict.fromkeys(FILES, "1"))
        self.run("--all")

    def run(self, *args: str) -> Any:
        return self.project.tool("run", *args)

    def feeds(self, file: str, asset: str) -> bool:
        return self.direct[file] == asset or any(self.feeds(file, up) for up in self.parents[asset])

    def due(self) -> dict[str, str]:
        """The assets that were made from another content than what is there, and its file."""
        states: dict[str, Mapping[str, Any]] = {}
        for line in self.project.truth():
            above = {up: states.get(up) for up in self.parents[line["target"]]}
            states[line["target"]] = {"own": line["read"], "above": above}
        # On disk, as the stand-in sees it.
        here = {file: self.project.git("hash-object", f"{ROOT}/{file}") for file in FILES if self.there(file)}
        found = {}
        for file, asset in itertools.product(FILES, ASSETS):
            # What a deletion leaves with nothing to do is left as it is.
            living = any(self.direct[one] == self.direct[file] for one in here)
            if not self.feeds(file, asset) or not (file in here or living):
                continue
            if not self._reflects(states.get(asset), asset, file, here.get(file)):
                found[asset] = file
        return found

    def there(self, file: str) -> bool:
        return (self.project.top / ROOT / file).exists()

    def _reflects(self, state: Mapping[str, Any] | None, asset: str, file: str, now: str | None) -> bool:
        if state is None:
            return False
        if self.direct[file] == asset and state["own"].get(f"{ROOT}/{file}") != now:
            return False
        above = [up for up in self.parents[asset] if self.feeds(file, up)]
        return all(self._reflects(state["above"][up], up, file, now) for up in above)

    def judge(self) -> None:
        pending = self.project.pending()
        lost = {asset: file for asset, file in self.due().items() if asset not in pending}
        assert not lost, f"{self.case}: lost {lost}, pending {pending}"


def tell(folder: Path, program: Program, case: Case) -> None:
    """Take a story to its end; nothing is lost on the way, and nothing is left to do."""
    shape = Shape(folder, program, case)
    project = shape.project
    project.raw({"x.csv": "2", "y.csv": None if case.gone else "2"})
    shape.judge()
    if case.fails is not None:
        target, when = case.fails
        project.behave({"target": target, "when": when, "do": "fail"})
    shape.run(*(() if case.asset is None else ("--asset", case.asset)))
    project.behave()
    shape.judge()
    project.raw(dict.fromkeys(case.back, "1"))
    shape.judge()
    done = shape.run()
    assert done.returncode == 0, f"{case}: {done.stdout}"
    assert (shape.due(), project.pending()) == ({}, []), case


@pytest.mark.parametrize("half", range(HALVES))
def test_nothing_is_lost_in_any_shape(half: int, tmp_path: Path, program: Program) -> None:
    every = list(cases())
    kept = random.Random(SOAK or 1).sample(every, min(SOAK, len(every)) or SAMPLE)
    for number, case in enumerate(kept[half::HALVES]):
        tell(tmp_path / str(number), program, case)
