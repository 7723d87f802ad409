"""Repositories whose Dagster is the stand-in: real git, real hooks, the real command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conftest import Repo
from tests.support.forks import Program, Started

ROOT = "data/1_raw"
KEPT = "keep.txt"
"""Never deleted, so that the raw root is always there."""
SHAPED = (
    "pair.csv",
    "folder/x.csv",
    "folder/y.csv",
    "folder",
    "conv.csv",
    "left.csv",
    "right.csv",
    "ext.csv",
    "part/x.csv",
    "part/y.csv",
)
"""Files of every shape that machines play with: of two assets, of one folder, which may be a file too, mapped by
convention, of one function, of an asset without code, of a partition.
"""
STANDIN = Path(__file__).with_name("standin.py")
FILE = "definitions.json"
Document = dict[str, Any]


class StandInProject(Repo):
    """A working tree with a project in it, and what its assets have really read.

    Args:
        control: What the stand-in is told, and where it writes what was read; it may be shared by clones.
        program: Runs the commands.
    """

    def __init__(self, top: Path, control: Path, program: Program) -> None:
        super().__init__(top)
        self.control = control
        self.program = program
        self._told = 0

    def configuration(self, rules: str = "", **settings: Any) -> str:
        """The text of ``raw-trigger.yaml``: ``rules`` are lines below ``assets:``."""
        command = [sys.executable, "-IS", str(STANDIN), str(self.control)]
        dagster = {"python": command, "python_file": FILE}
        lines = [f"{name}: {json.dumps(value)}" for name, value in {"dagster": dagster, **settings}.items()]
        listed = "".join(f"  - {line}\n" for line in rules.strip().splitlines())
        return "\n".join(lines) + "\n" + (f"assets:\n{listed}" if listed else "")

    def configure(self, rules: str = "", **settings: Any) -> None:
        """Write ``raw-trigger.yaml``."""
        self.write({"raw-trigger.yaml": self.configuration(rules, **settings)})

    def define(self, assets: Mapping[str, Document], **more: Any) -> None:
        """Write the definitions."""
        self.write({FILE: json.dumps({"assets": assets, **more}, indent=1)})

    def behave(self, *steps: Document) -> None:
        """Say what goes wrong from now on; see ``standin.py``."""
        (self.control / "behaviour.json").write_text(json.dumps(steps))

    def raw(self, files: Mapping[str, str | None]) -> None:
        """Write, or delete, files below the raw root."""
        self.write({f"{ROOT}/{name}": content for name, content in files.items()})

    def commit_raw(self, files: Mapping[str, str | None], *args: str) -> None:
        """Commit all there is and these files below the raw root, with the hooks."""
        self.raw(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change", *args)

    # raw-trigger

    def environ(self, **more: str) -> dict[str, str]:
        return {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", **more}

    def tool(self, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run raw-trigger as a user does."""
        return self.start(*args, **environ).wait()

    def start(self, *args: str, **environ: str) -> Started:
        """Start raw-trigger."""
        return self.program.start(*args, cwd=self.top, env=self.environ(**environ))

    def plan(self, *args: str, **environ: str) -> Document:
        """What ``raw-trigger diff --format json`` says."""
        done = self.tool("diff", "--format", "json", *args, **environ)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    def pending(self, *args: str, **environ: str) -> list[str]:
        """The targets that ``raw-trigger diff`` would make."""
        return pending(self.plan(*args, **environ))

    # The truth

    def truth(self) -> list[Document]:
        """What was materialized, in order, and what was then on disk."""
        file = self.control / "truth.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def made(self) -> list[str]:
        """The targets that were materialized since this was last asked, sorted."""
        new = self.truth()[self._told :]
        self._told += len(new)
        return sorted(one["target"] for one in new)


def environment(folder: Path) -> Path:
    """A virtual environment whose interpreter is the stand-in: what is said to it is in ``folder/control``."""
    control = folder / "control"
    control.mkdir(parents=True)
    packages = folder / "lib/python3/site-packages/dagster"
    packages.mkdir(parents=True)
    (packages / "__init__.py").touch()
    (folder / "pyvenv.cfg").touch()
    (folder / "bin").mkdir()
    python = folder / "bin/python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {STANDIN} {control} "$@"\n')
    python.chmod(0o755)
    return folder


def pending(plan: Document) -> list[str]:
    """The targets that a plan, as JSON, would make."""
    return [name(one) for one in plan["targets"] if one["action"] != "skip"]


def name(target: Document) -> str:
    """The text of a target of a plan as JSON."""
    partition = target["partition"]
    return str(target["asset"]) + ("" if partition is None else f"|{partition}")
