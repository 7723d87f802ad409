"""Series of steps over tables whose rows name partitions: what is due is what differs from what was read."""

from __future__ import annotations

import random

import pytest

from raw_trigger.adopt import adopt
from raw_trigger.errors import RawTriggerError
from raw_trigger.model.plan import Narrowing
from raw_trigger.planner import Wishes
from raw_trigger.revisions import from_arguments
from tests.conftest import SOAK, Repo
from tests.support.one_rule import Ground
from tests.support.pretended import PretendedLauncher

KEYS = ("A", "B", "C")
FILES = ("f", "g", "h")
RULE = "assets: [concepts, seen], rows: {key: id, columns: [id, active], partition: '{id}'}"
ASSETS = ("concepts", "seen", "child", "all")
Row = tuple[str, ...]


class World:
    """``read`` is, by file and key, what counts of the rows that each target read when it last succeeded;
    None: nobody knows. ``broken`` are files with a key twice.
    """

    def __init__(self, repo: Repo, seed: int) -> None:
        self.random = random.Random(seed)
        self.files: dict[str, dict[str, list[str]]] = {}
        self.broken: set[str] = set()
        self.read: dict[str, dict[tuple[str, str], Row | None]] = {}
        self.log: list[str] = []
        self.ground = Ground(repo, RULE, "*.csv", "id,active,note\n")
        (repo.top / "data/1_raw/*.csv").unlink()
        self.files["f"] = {key: ["0", "0"] for key in KEYS}
        self.write()
        self.commit()
        self.adopt()

    # What is there

    def write(self) -> None:
        folder = self.ground.repo.top / "data/1_raw"
        self.broken &= self.files.keys()
        for name in FILES:
            path = folder / f"{name}.csv"
            if name not in self.files:
                path.unlink(missing_ok=True)
                continue
            rows = [",".join((key, *cells)) for key, cells in self.files[name].items()]
            if name in self.broken:
                rows += ["A,5,5", "A,6,6"]
            path.write_text("\n".join(["id,active,note", *rows, ""]))

    def seen(self) -> dict[tuple[str, str], Row]:
        """What counts, of the tables that can be read."""
        return {
            (name, key): (cells[0],)
            for name, rows in self.files.items()
            if name not in self.broken
            for key, cells in rows.items()
        }

    def names(self) -> list[str]:
        return ["all", *(f"{asset}|{key}" for asset in ASSETS if asset != "all" for key in KEYS)]

    def part(self, target: str) -> dict[tuple[str, str], Row]:
        key = target.partition("|")[2]
        return {at: row for at, row in self.seen().items() if key in ("", at[1])}

    # What is due

    def due(self) -> tuple[set[str], set[str]]:
        """What has to be due, and what may be."""
        sure: set[str] = set()
        maybe: set[str] = set()
        for target in self.names():
            now, then = self.part(target), self.read.get(target, {})
            for at in {*now, *then}:
                if at[0] in self.broken:
                    continue
                if at in then and then[at] is None:  # nobody knows
                    (sure if at in now else maybe).add(target)
                elif now.get(at) != then.get(at):
                    sure.add(target)
        return sure, maybe | sure

    # Steps

    def edit(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            rows = self.files.setdefault(self.random.choice(FILES), {})
            key = self.random.choice(KEYS)
            if self.random.random() < 0.25:
                rows.pop(key, None)
            else:
                rows[key] = [self.random.choice("01"), self.random.choice("01")]

    def drop(self) -> None:
        self.files.pop(self.random.choice(FILES), None)

    def rename(self) -> None:
        one, other = self.random.sample(FILES, 2)
        if one in self.files:
            self.files[other] = self.files.pop(one)
            self.broken = {{one: other, other: one}.get(name, name) for name in self.broken}

    def spoil(self) -> None:
        self.broken ^= {self.random.choice(FILES)}

    def commit(self) -> None:
        self.ground.repo.git("add", "-A")
        self.ground.repo.git("commit", "-q", "--allow-empty", "-m", "step")
        self.committed = {name: {k: list(c) for k, c in rows.items()} for name, rows in self.files.items()}
        self.committed_broken = set(self.broken)

    def reset(self) -> None:
        self.files = {name: {k: list(c) for k, c in rows.items()} for name, rows in self.committed.items()}
        self.broken = set(self.committed_broken)

    def collect(self) -> None:
        """What targets reflect is kept, though no commit may have it."""
        self.ground.repo.git("gc", "-q", "--prune=now")

    def adopt(self) -> None:
        self.commit()
        self.broken = set()
        self.write()
        self.commit()
        adopt(self.ground.trigger().planner, self.ground.repo.git("rev-parse", "HEAD^{tree}"))
        self.read = {target: dict(self.part(target)) for target in self.names()}

    def adopt_one(self) -> None:
        self.commit()
        name = self.random.choice(FILES)
        if self.broken:
            return
        adopt(
            self.ground.trigger().planner, self.ground.repo.git("rev-parse", "HEAD^{tree}"), (f"{name}.csv",)
        )
        for target in self.names():
            read = {at: row for at, row in self.read.get(target, {}).items() if at[0] != name}
            self.read[target] = read | {at: row for at, row in self.part(target).items() if at[0] == name}

    def run(self) -> None:
        names = self.names()
        failing = set(self.random.sample(names, min(len(names), self.random.choice((0, 0, 1, 2, 3)))))
        narrowing = self.random.choice(
            (
                Narrowing(),
                Narrowing(),
                Narrowing(paths=("f.csv",)),
                Narrowing(assets=(self.random.choice(ASSETS),)),
                Narrowing(partitions=(("A", "A"),)),
            )
        )
        self.launch(narrowing, failing)

    def launch(self, narrowing: Narrowing, failing: set[str]) -> list[str]:
        trigger, launcher = self.ground.trigger(Wishes(narrowing)), PretendedLauncher(failing)
        self.log.append(f"run {narrowing} failing {failing}")
        base, desired = from_arguments(trigger.workspace.repo, "local", [])
        with trigger.planned(base, desired, face="cli") as plan:
            trigger.run(plan, launcher, face="cli")
        ran, made = launcher.ran, launcher.made
        self.log.append(f"made {made} of {ran}")
        _, maybe = self.due()
        assert set(ran) <= maybe, f"for nothing: {set(ran) - maybe}"
        for target in made:
            kept = self.read.get(target, {})
            unknown: dict[tuple[str, str], Row | None] = {
                at: None
                for at in {*kept, *((n, k) for n in self.broken for k in KEYS)}
                if at[0] in self.broken
            }
            key = target.partition("|")[2]
            self.read[target] = {
                **self.part(target),
                **{a: r for a, r in unknown.items() if key in ("", a[1])},
            }
        return ran

    def judge(self) -> None:
        plan = self.ground.plan()
        due = {one.target.text for one in plan.actionable}
        sure, maybe = self.due()
        assert sure <= due, f"lost: {sure - due}"
        assert due <= maybe, f"for nothing: {due - maybe}"


def series(repo: Repo, seed: int, steps: int = 14) -> None:
    world = World(repo, seed)
    try:
        for _ in range(steps):
            step = world.random.choice(
                (world.edit,) * 6
                + (world.run,) * 6
                + (world.drop, world.rename, world.spoil, world.commit, world.reset, world.adopt_one)
                + ((world.collect,) if seed % 3 == 0 else ())
            )
            world.log.append(step.__name__)
            step()
            world.write()
            world.log.append(f"  files {world.files} broken {world.broken}")
            world.judge()
        world.broken = set()
        world.write()
        world.launch(Narrowing(), set())
        assert world.launch(Narrowing(), set()) == []
        assert not world.due()[0]
    except (AssertionError, RawTriggerError) as error:
        raise AssertionError("\n".join((f"seed {seed}: {error}", *world.log[-12:]))) from error


@pytest.mark.parametrize("seed", range(SOAK // 10 or 3))
def test_nothing_is_lost_and_nothing_runs_twice(repo: Repo, seed: int) -> None:
    series(repo, seed)
