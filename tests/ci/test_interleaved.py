"""Workflows that are planned, run, recorded, cancelled and run again in any order: in the end all reflects main.

Jobs in fresh clones of an origin; the stand-in for Dagster says what every target really read.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SOAK
from tests.support.forks import Program
from tests.support.jobs import CI, Jobs, Matrix
from tests.support.project import ROOT

SERIES, STEPS = 1, 9

FILES = ("a.csv", "b.csv", "up.csv", "ext.csv")
_BELOW = {"up.csv": {"up", "down"}, "ext.csv": {"ext", "child"}}
FED = (
    {"a.csv": {"a", "sum"}, "b.csv": {"b", "sum"}, **_BELOW},
    {"a.csv": {"a", "b"}, "b.csv": {"sum"}, **_BELOW},
)
"""By either rules."""
ABOVE = {"down": "up", "child": "ext"}
DEFINITIONS: dict[str, dict[str, Any]] = {
    "a": {},
    "b": {},
    "sum": {},
    "up": {},
    "down": {"parents": ["up"]},
    "ext": {"external": True},
    "child": {"parents": ["ext"]},
}
RULES = (
    """
{path: a.csv, assets: [a, sum]}
{path: b.csv, assets: [b, sum]}
{path: up.csv, asset: up}
{path: ext.csv, asset: ext}
""",
    """
{path: a.csv, assets: [a, b]}
{path: b.csv, asset: sum}
{path: up.csv, asset: up}
{path: ext.csv, asset: ext}
""",
)
Event = dict[str, Any]


class Server:
    """An origin, its workflows, and what each target was last made from."""

    def __init__(self, folder: Path, program: Program, seed: object) -> None:
        self.draw = random.Random(f"{seed}")
        self.jobs = Jobs(folder, program)
        self.open: list[tuple[Matrix, list[str]]] = []
        self.done: list[Matrix] = []
        self.trace: list[str] = [f"seed {seed}"]
        self.events: list[Event] = []
        self.unseen: dict[tuple[str, str], int] = {}
        """Files and targets of which only one of the rules knows, with how much was made when they were edited."""
        self.jobs.project.define(DEFINITIONS)
        self.configure(0)
        self.pushed(dict.fromkeys(FILES, "0"))
        self.pushed(dict.fromkeys(FILES, "1"))
        self.job()

    def configure(self, rules: int) -> None:
        self.rules = rules
        self.jobs.project.configure(RULES[rules], ci={"environments": CI}, downstream="all")

    def pushed(self, files: Mapping[str, str | None]) -> None:
        self.event = self.jobs.push_raw(files)
        self.events.append(self.event)

    # What happens

    def edit_rules(self) -> None:
        made = len(self.jobs.project.truth())
        for file in FILES:
            self.unseen |= {(file, target): made for target in FED[0][file] ^ FED[1][file]}
        self.configure(1 - self.rules)
        self.pushed({})

    def push(self) -> None:
        file = self.draw.choice((*FILES, "a.csv", "b.csv"))
        at = self.jobs.project.top / ROOT / file
        old = at.read_text() if at.exists() else None
        new = [content for content in ("1", "2", "1", "2", None) if content != old]
        self.pushed({file: self.draw.choice(new)})

    def plan(self) -> None:
        matrix = self.jobs.matrix(self.event)
        self.open.append((matrix, list(matrix.batches)))

    def batch(self) -> None:
        """The next job of a workflow."""
        if self.open:
            matrix, left = self.draw.choice(self.open)
            if left:
                matrix.run_batch(left.pop(self.draw.randrange(len(left))))

    def record(self) -> None:
        """The last job of a workflow, whose batches have run or were lost."""
        if self.open:
            one = self.draw.choice(self.open)
            self.open.remove(one)
            self.done.append(one[0])
            one[0].record()

    def cancel(self) -> None:
        if self.open:
            self.open.remove(self.draw.choice(self.open))

    def again(self) -> None:
        """All jobs of a workflow but the first, of an older commit."""
        if self.done:
            matrix = self.draw.choice(self.done)
            matrix.run()
            matrix.record()

    def old(self) -> None:
        """A workflow of one job, of an older commit, that is run again."""
        self.jobs.job(self.draw.choice(self.events))

    def overlap(self) -> None:
        """Two workflows, one after the other or mixed, recorded in any order."""
        for _ in range(2):
            self.push()
            self.plan()
        for _ in range(9):
            self.batch()
        for _ in range(2):
            self.record()

    def job(self) -> None:
        """A workflow of one job."""
        self.jobs.job(self.event)

    def killed(self) -> None:
        when = self.draw.choice(("read", "materialized", "told", "end"))
        self.jobs.project.behave({"target": "*", "when": when, "do": "kill all", "times": 1})
        self.job()
        self.jobs.project.behave()

    def fail(self) -> None:
        """From now on."""
        failing = self.draw.sample(sorted(DEFINITIONS), self.draw.randrange(3))
        self.jobs.project.behave(*({"target": one, "when": "read", "do": "fail"} for one in failing))

    def take(self) -> None:
        kinds = {"push": 7, "plan": 6, "batch": 8, "record": 4, "again": 1, "job": 2, "fail": 1}
        kinds |= {"cancel": 2, "killed": 2, "overlap": 3, "edit_rules": 2, "old": 2}
        kind = self.draw.choices(list(kinds), list(kinds.values()))[0]
        self.trace.append(kind)
        getattr(self, kind)()

    # The promises

    def judge(self) -> None:
        """Once all is over, a workflow of main leaves nothing to do."""
        while self.open:
            self.trace.append("the end")
            self.batch() if any(left for _, left in self.open) else self.record()
        self.jobs.project.behave()
        self.pushed({})
        done = self.jobs.job(self.event)
        assert done.code == 0, done.text
        lost = self.unlike(self.files("HEAD"))
        assert not lost, f"{self.trace}: lost: {lost}\n{done.text}"
        self.jobs.project.made()
        again = self.jobs.job(self.event)
        assert (again.code, self.jobs.project.made()) == (0, []), f"{self.trace}: twice\n{again.text}"

    def ask(self) -> None:
        """What would be made if all files had one content? So a wrong record shows at once."""
        if self.open:
            return
        project = self.jobs.project
        project.git("fetch", "-q", "origin", "+refs/raw-trigger/*:refs/raw-trigger/*")
        project.raw(dict.fromkeys(FILES, self.draw.choice(("1", "2"))))
        project.git("add", "-A")
        lost = self.unlike(self.files(project.git("write-tree")))
        planned = project.pending("--environment", "production", DAGSTER_HOME=str(self.jobs.home))
        project.git("reset", "-q", "--hard")
        lost = {target: file for target, file in lost.items() if target not in planned}
        assert not lost, f"{self.trace}: lost: {lost}"

    def files(self, tree: str) -> dict[str, str]:
        """The raw files of a tree."""
        listed = self.jobs.project.git("ls-tree", "-r", tree, f"{ROOT}/").splitlines()
        return {line.split("\t")[1]: line.split()[2] for line in listed}

    def unlike(self, here: Mapping[str, str]) -> dict[str, str]:
        """The targets that were made from another content than this, and its file."""
        own: dict[str, Mapping[str, str]] = {}
        of_parent: dict[str, Mapping[str, str]] = {}
        last: dict[str, int] = {}
        for number, line in enumerate(self.jobs.project.truth()):
            target = line["target"]
            last[target] = number
            own[target] = line["read"]
            of_parent[target] = own.get(ABOVE.get(target, target), {})
        found, fed = {}, FED[self.rules]
        for file in FILES:
            path = f"{ROOT}/{file}"
            for target in fed[file]:
                # A target of which all files are gone is left as it is.
                if path not in here and not any(
                    f"{ROOT}/{one}" in here for one in FILES if target in fed[one]
                ):
                    continue
                # What is gone, and was nobody's of the rules by which that was recorded, nobody can tell of.
                if path not in here and self.unseen.get((file, target), 0) > last.get(target, 0):
                    continue
                if target in own and of_parent[target].get(path) != here.get(path):
                    found[target] = file
        return found


def play(folder: Path, program: Program, seed: object, steps: int) -> None:
    """A series of steps in a world of their own."""
    server = Server(folder, program, seed)
    for _ in range(steps):
        server.take()
        server.ask()
    server.judge()


@pytest.mark.parametrize("seed", range(SOAK // 10 or SERIES))
def test_nothing_is_lost_between_workflows(seed: int, tmp_path: Path, program: Program) -> None:
    offset = random.randrange(10**6) if SOAK else 0
    play(tmp_path / "world", program, offset + seed, STEPS * (2 if SOAK else 1))
