"""Series of steps over data that DVC has: what is due is what differs from what was read, and nothing else."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from raw_trigger.dvc.pointer_files import PointerFiles
from raw_trigger.errors import RawTriggerError
from raw_trigger.model.changes import Base, Change, Desired, Entry, show
from raw_trigger.model.record import Learnt, Results
from raw_trigger.record import moving
from tests.conftest import SOAK
from tests.support.dvc import DvcRepo, R, lock, md5, pointer

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
        there = {name: files.get(f"{name}.csv") for name in ASSETS}
        members = {path.removeprefix("folder/"): text for path, text in files.items() if "/" in path}
        for pattern in ("folder/*", "*.csv"):
            for path in (self.dvc.top / R).glob(pattern):
                path.unlink()
        self.dvc.data(files)
        self.dvc.cache(members)
        self.dvc.git("rm", "-q", "-r", "--ignore-unmatch", "data/dvc.lock", R + "*.dvc")
        pointers = {
            "data/dvc.lock": self.lock(there),
            R + "c.csv.dvc": None if there["c"] is None else pointer("c.csv", there["c"]),
            R + "folder.dvc": pointer("folder", members) if members else None,
        }
        self.dvc.commit({path: text for path, text in pointers.items() if text is not None})

    @staticmethod
    def lock(there: dict[str, str | None]) -> str | None:
        outs = {name: text for name in "ab" if (text := there[name]) is not None}
        return lock(**outs) if outs else None

    # Steps

    def edit(self) -> None:
        for path in self.random.sample(sorted(self.files), self.random.randint(1, 3)):
            self.files[path] = self.random.choice(CONTENTS)
        self.commit()

    def drop(self) -> None:
        """Something else stays that the asset is made from."""
        name = self.random.choice(ASSETS)
        if len(self.fed(name)) > 1:
            del self.files[self.random.choice(sorted(self.fed(name)))]
        self.commit()

    def put(self) -> None:
        name = self.random.choice(ASSETS)
        self.files |= {f"{name}.csv": "1", f"folder/{name}.txt": "2"}
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
        for path, names in (
            ("data/dvc.lock", ("a.csv", "b.csv")),
            (R + "c.csv.dvc", ("c.csv",)),
            (R + "folder.dvc", ("folder/",)),
        ):
            sides = (
                self.dvc.try_git("rev-parse", f"{side}:{path}") for side in (self.dvc.record().tree, "HEAD")
            )
            ids = {done.stdout if done.returncode == 0 else None for done in sides}
            if len(ids) == 1:
                held = {name: oid for name, oid in self.dvc.held().items() if name.startswith(names)}
                held.pop("folder/.dir", None)
                wanted = {name: md5(text) for name, text in self.files.items() if name.startswith(names)}
                assert held == wanted, f"{path} is recorded, but not all that it names"


@pytest.mark.parametrize("seed", range(SOAK // 20 or 2))
def test_nothing_is_lost_and_nothing_runs_twice(tmp_path: Path, seed: int) -> None:
    top = tmp_path / "repo"
    top.mkdir()
    world = World(DvcRepo(top), seed)
    for _ in range(14):
        often = (world.edit, world.run)
        step = world.random.choice((*often, *often, *often, world.drop, world.put, world.forget))
        try:
            step()
        except RawTriggerError as error:
            raise AssertionError(f"{step.__name__}: {error}") from error
        world.judge()
    world.dvc.failing = frozenset()
    world.dvc.run()
    assert world.dvc.run().made == []
    assert world.dvc.settled()


class Versions:
    """Versions of the data, each with its files behind pointer files of its own; what is recorded is a mix."""

    def __init__(self, dvc: DvcRepo, seed: int) -> None:
        self.dvc = dvc
        self.random = random.Random(seed)
        self.recorded: dict[str, str] = {}

    def commit(self, *both: tuple[str, ...]) -> dict[str, str]:
        """A version, with what git or DVC knows each of its files by."""
        ids: dict[str, str] = {}
        # What git has counts where both have it.
        behind: dict[str, dict[str, str]] = {"lock": {}, "dvc": {}, "git": {}}
        for name in "abcd":
            places = self.random.choice((("lock",), ("lock",), ("dvc",), ("git",), (), *both))
            for where in places:
                behind[where][name] = self.random.choice(CONTENTS)
        members = {
            f"{name}.txt": self.random.choice(CONTENTS) for name in ASSETS if self.random.random() < 0.7
        }
        self.dvc.cache(members)
        self.dvc.git("rm", "-q", "-r", "--cached", "--ignore-unmatch", "data")
        shutil.rmtree(self.dvc.top / "data")
        self.dvc.write(
            {R + f"{name}.csv.dvc": pointer(f"{name}.csv", text) for name, text in behind["dvc"].items()}
        )
        self.dvc.write({R + f"{name}.csv": text for name, text in behind["git"].items()})
        self.dvc.write({R + "keep.txt": ""})
        if behind["lock"]:
            self.dvc.write({"data/dvc.lock": lock(**behind["lock"])})
        if members or self.random.random() < 0.5:
            self.dvc.write({R + "folder.dvc": pointer("folder", members)})
        self.dvc.git("add", "-f", "data")
        self.dvc.git("commit", "-q", "--allow-empty", "-m", "x")
        for where, files in behind.items():
            for name, text in files.items():
                path = f"{R}{name}.csv"
                ids[path] = self.dvc.git("rev-parse", f"HEAD:{path}") if where == "git" else md5(text)
        return ids | {f"{R}folder/{name}": md5(text) for name, text in members.items()}

    def look(self, desired: dict[str, str]) -> tuple[list[Change], dict[bytes, Entry | None]]:
        """What is seen to differ is what differs."""
        base = Base("recorded", "", self.dvc.record().tree, "")
        found = self.dvc.trigger().planner.detect(
            base, Desired("revision", "HEAD", self.dvc.git("rev-parse", "HEAD"))
        )
        seen = {show(one.path): (one.old and one.old.oid, one.new and one.new.oid) for one in found.changes}
        wanted = {path: (self.recorded.get(path), desired.get(path)) for path in {*self.recorded, *desired}}
        # Of what git was given beside the same pointer file nobody says what it was.
        given = {path for path, (old, new) in wanted.items() if old and new and len(new) == 40}
        assert {path: (None if path in given else old, new) for path, (old, new) in seen.items()} == {
            path: (None if path in given else old, new) for path, (old, new) in wanted.items() if old != new
        }
        return list(found.changes), dict(found.pointers)

    def record(self, changes: list[Change], pointers: dict[bytes, Entry | None], share: float) -> None:
        """Some of it, and perhaps not all of its pointer files."""
        chosen = [one for one in changes if self.random.random() < share]
        files = {
            path: Learnt(one) for path, one in pointers.items() if self.random.random() < 0.8 or share > 1
        }
        learnt = {one.path: Learnt(one.new) for one in chosen}
        moving.promote(
            self.dvc.open(),
            "local",
            Results("", {**learnt, **files}),
            pointer_files=PointerFiles(self.dvc.open(), ["data/1_raw"]),
        )
        for one in chosen:
            if one.new is None:
                del self.recorded[show(one.path)]
            else:
                self.recorded[show(one.path)] = one.new.oid


@pytest.mark.parametrize("seed", range(SOAK // 10 or 2))
def test_what_is_seen_to_differ_is_what_differs(tmp_path: Path, seed: int) -> None:
    """Whatever was recorded of whatever version."""
    top = tmp_path / "repo"
    top.mkdir()
    dvc = DvcRepo(top)
    dvc.git("add", "-A")
    versions = Versions(dvc, seed)
    versions.recorded = versions.commit()
    dvc.adopt()
    for _ in range(8):
        desired = versions.commit(("dvc", "git"))
        versions.record(*versions.look(desired), versions.random.choice((0.3, 0.7, 1.0, 2.0)))
        versions.look(desired)
    versions.record(*versions.look(desired), 2.0)
    assert versions.recorded == desired
    assert versions.look(desired)[0] == []
