"""Series of steps over data that DVC has: what is due is what differs from what was read, and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from raw_trigger.errors import RawTriggerError
from tests.conftest import SOAK
from tests.git.dvc_kit import DvcRepo, R, lock, pointer

ASSETS = ("a", "b", "c")
CONTENTS = ("1", "2", "3")


class World:
    """``read`` is what each asset read when it last succeeded."""

    def __init__(self, dvc: DvcRepo, seed: int) -> None:
        self.dvc = dvc
        self.random = random.Random(seed)
        self.files = {f"{name}.csv": "1" for name in ASSETS} | {f"folder/{name}.txt": "1" for name in ASSETS}
        self.commit()
        dvc.git("add", "-A")
        dvc.commit()
        dvc.adopt()
        self.read = {name: self.fed(name) for name in ASSETS}

    def fed(self, name: str) -> dict[str, str]:
        return {
            path: text for path, text in self.files.items() if path in (f"{name}.csv", f"folder/{name}.txt")
        }

    def commit(self) -> None:
        """Two files are a pipeline's, one has a pointer file, and so has the folder."""
        files = self.files
        members = {path.removeprefix("folder/"): text for path, text in files.items() if "/" in path}
        for path in (self.dvc.top / R / "folder").glob("*"):
            path.unlink()
        self.dvc.data(files)
        self.dvc.cache(members)
        self.dvc.commit(
            {
                "data/dvc.lock": lock(a=files["a.csv"], b=files["b.csv"]),
                R + "c.csv.dvc": pointer("c.csv", files["c.csv"]),
                R + "folder.dvc": pointer("folder", members),
            }
        )

    # Steps

    def edit(self) -> None:
        for path in self.random.sample(sorted(self.files), self.random.randint(1, 3)):
            self.files[path] = self.random.choice(CONTENTS)
        self.commit()

    def drop(self) -> None:
        self.files.pop(f"folder/{self.random.choice(ASSETS[:2])}.txt", None)
        self.commit()

    def forget(self) -> None:
        """What was in the folder before is known from the record alone."""
        self.dvc.forget()

    def run(self) -> None:
        self.dvc.failing = frozenset(self.random.sample(ASSETS, self.random.choice((0, 0, 1, 2))))
        paths = self.random.choice(((), (), ("a.csv",), ("folder/*",), ("folder/b.txt", "c.csv")))
        done = self.dvc.run(paths=paths)
        for name in done.made:
            assert self.fed(name) != self.read[name], f"{name} is made again for nothing"
            self.read[name] = self.fed(name)

    def judge(self) -> None:
        due = {target.target.text for target in self.dvc.plan(launching=True).actionable}
        stale = {name for name in ASSETS if self.fed(name) != self.read[name]}
        assert stale <= due, f"lost: {stale - due}"


@pytest.mark.parametrize("seed", range(SOAK // 20 or 2))
def test_nothing_is_lost_and_nothing_runs_twice(tmp_path: Path, seed: int) -> None:
    top = tmp_path / "repo"
    top.mkdir()
    world = World(DvcRepo(top), seed)
    for _ in range(14):
        often = (world.edit, world.run)
        step = world.random.choice((*often, *often, *often, world.drop, world.forget))
        try:
            step()
        except RawTriggerError as error:
            raise AssertionError(f"{step.__name__}: {error}") from error
        world.judge()
    world.dvc.failing = frozenset()
    world.dvc.run()
    assert world.dvc.run().made == []
    assert world.dvc.settled()
