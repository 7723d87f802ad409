"""A repository whose raw data DVC has, written by hand: pointer files, the data, and DVC's cache."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from raw_trigger.adopt import adopt
from raw_trigger.model.assets import Asset, Partitions
from raw_trigger.model.changes import show
from raw_trigger.model.plan import Narrowing, Plan
from raw_trigger.model.record import Record
from raw_trigger.planner import Wishes
from raw_trigger.record import tree as recorded_tree
from raw_trigger.revisions import from_arguments
from raw_trigger.trigger import Trigger
from tests.conftest import Repo
from tests.support.pretended import PretendedLauncher, PretendedProject, opened

R = "data/1_raw/"
RULES = """\
root: data/1_raw
environment: local
assets:
  - {path: "{name}.csv", asset: "{name}"}
  - {path: "{name}.csv.dvc", asset: "old_{name}"}
  - {path: "folder/{name}.txt", asset: "{name}"}
"""
CATALOG = {key: Asset(key, (key,), "here") for key in ("a", "b", "c", "old_a", "old_b", "whole")}
CATALOG["keyed"] = Asset("keyed", ("keyed",), "here", partitions=Partitions("dynamic", name="keys"))


def md5(content: str) -> str:
    return hashlib.md5(content.encode()).hexdigest()


def folder_list(files: Mapping[str, str]) -> str:
    """What DVC keeps of a folder."""
    listed = [{"md5": md5(files[name]), "relpath": name} for name in sorted(files)]
    return json.dumps(listed, sort_keys=True)


def entry(path: str, content: str | Mapping[str, str]) -> str:
    """One of a pointer file's outs."""
    if isinstance(content, str):
        return f"- md5: {md5(content)}\n  size: {len(content)}\n  hash: md5\n  path: {path}\n"
    return f"- md5: {md5(folder_list(content))}.dir\n  nfiles: {len(content)}\n  hash: md5\n  path: {path}\n"


def pointer(path: str, content: str | Mapping[str, str]) -> str:
    """A ``.dvc`` file."""
    return "outs:\n" + entry(path, content)


def lock(**outs: str) -> str:
    """A ``dvc.lock`` beside the folder of raw data, of one stage for each file."""
    stages = "".join(
        f"  {name}:\n    cmd: make\n    outs:\n"
        + "".join(f"    {line}\n" for line in entry(f"1_raw/{name}.csv", content).splitlines())
        for name, content in outs.items()
    )
    return f"schema: '2.0'\nstages:\n{stages}"


@dataclass(frozen=True)
class Ran:
    """The plan, and what was materialized."""

    plan: Plan
    made: list[str]
    trigger: Trigger


class DvcRepo(Repo):
    """``failing`` are assets that fail; ``edited``: the code is another one than what the cache has is of."""

    def __init__(self, top: Path, algorithm: str = "sha1") -> None:
        super().__init__(top)
        self.failing: frozenset[str] = frozenset()
        self.edited = False
        self.git("init", "-q", f"--object-format={algorithm}")
        self.write(
            {
                "raw-trigger.yaml": RULES,
                ".dvc/config": "",
                ".gitignore": "/.dvc/cache\n/data/1_raw/*\n!/data/1_raw/*.dvc\n!/data/1_raw/*.git\n!/data/1_raw/keep.txt\n",
                R + "keep.txt": "",
            }
        )

    def data(self, files: Mapping[str, str | None]) -> None:
        """The data itself, relative to the root."""
        self.write({R + path: content for path, content in files.items()})

    def cache(self, files: Mapping[str, str]) -> None:
        """Put the list of a folder into DVC's cache."""
        text = folder_list(files)
        name = md5(text)
        self.write({f".dvc/cache/files/md5/{name[:2]}/{name[2:]}.dir": text})

    def cache_file(self, content: str) -> None:
        """Put a file into DVC's cache."""
        name = md5(content)
        self.write({f".dvc/cache/files/md5/{name[:2]}/{name[2:]}": content})

    def forget(self) -> None:
        """A machine whose cache is empty."""
        shutil.rmtree(self.top / ".dvc/cache", ignore_errors=True)

    def trigger(self, *paths: str) -> Trigger:
        project = PretendedProject(self.top, CATALOG, edited=self.edited)
        return opened(self.top, project, Wishes(Narrowing(paths=paths)))

    def plan(self, *revisions: str, launching: bool = False, everything: bool = False) -> Plan:
        trigger = self.trigger()
        base, desired = from_arguments(trigger.workspace.repo, "local", revisions, everything=everything)
        return trigger.planner.plan(trigger.planner.detect(base, desired), launching=launching)

    def run(
        self,
        *revisions: str,
        paths: tuple[str, ...] = (),
        meanwhile: Callable[[], object] = lambda: None,
        everything: bool = False,
    ) -> Ran:
        trigger = self.trigger(*paths)
        launcher = PretendedLauncher(self.failing, meanwhile)
        base, desired = from_arguments(trigger.workspace.repo, "local", revisions, everything=everything)
        with trigger.planned(base, desired, face="cli") as plan:
            trigger.run(plan, launcher, face="cli")
        return Ran(plan, sorted(launcher.made), trigger)

    def adopt(self, revision: str = "HEAD", *globs: str) -> int:
        return len(adopt(self.trigger().planner, self.git("rev-parse", f"{revision}^{{tree}}"), globs))

    def record(self) -> Record:
        found = recorded_tree.read(self.open(), "local")
        assert found is not None
        return found

    def held(self) -> dict[str, str]:
        """The data that is recorded below the root, by DVC's ids; a folder's list as ``.dir``."""
        told = self.git("ls-tree", "-r", self.record().tree, "--", f".raw-trigger/dvc/{R}").splitlines()
        links = (line.split(maxsplit=3) for line in told)
        return {
            path.removeprefix(f".raw-trigger/dvc/{R}"): oid[:32]
            for mode, kind, oid, path in links
            if (mode, kind) == ("160000", "commit")
        }

    def settled(self) -> bool:
        """Whether the record is just what HEAD has, pointer files and all."""
        there = self.git("ls-tree", "-r", "HEAD", "--", "data")
        return self.git("ls-tree", "-r", self.record().tree, "--", "data") == there and not self.record().kept


def shown(plan: Plan) -> list[str]:
    """The changes in short: letter, path, disposition where that is not planned, targets."""
    found = []
    for one in plan.changes:
        fate = ",".join(t.text for t in one.targets) if one.disposition == "planned" else one.disposition
        found.append(f"{one.change.status[0].upper()} {show(one.change.path).removeprefix(R)} {fate}")
    return found
