"""A repository with the hooks installed, and a program in raw-trigger's place that writes down its calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from raw_trigger.install import ShimSettings, hooks_folder, install_hooks, seen_now, write_seen
from tests.conftest import Repo

RAW = "data/1_raw/a.csv"
ROOTS = ("data/1_raw",)

_STAND_IN = """\
import json, os, sys
call = {{
    "argv": sys.argv[1:],
    "stdin": sys.stdin.buffer.read().decode(),
    "cwd": os.getcwd(),
    "env": {{k: v for k, v in os.environ.items() if k.startswith("GIT_")}},
}}
with open({log!r}, "a") as file:
    file.write(json.dumps(call) + "\\n")
sys.exit({status})
"""


class Hooked(Repo):
    """A working tree whose hooks start the stand-in."""

    def __init__(self, top: Path, tools: Path, settings: ShimSettings | None = None) -> None:
        super().__init__(top)
        self.log = tools / "calls.jsonl"
        self.program = tools / "stand in.py"
        self.answer(0)
        command = (sys.executable, "-I", "-S", str(self.program))
        self.settings = settings or ShimSettings(command, ROOTS, ("raw-trigger.yaml",))

    def answer(self, status: int) -> None:
        """Let the program end with this status from now on."""
        self.program.write_text(_STAND_IN.format(log=str(self.log), status=status))

    @property
    def git_dir(self) -> Path:
        return Path(self.git("rev-parse", "--absolute-git-dir"))

    @property
    def hooks(self) -> Path:
        return hooks_folder(self.top)

    def install(self, **changed: Any) -> None:
        self.settings = replace(self.settings, **changed)
        install_hooks(self.top, self.git_dir, self.hooks, self.settings)

    def look(self) -> None:
        """What the program does once it has looked: moves the marker to HEAD, and forget the calls."""

        def run(args: Sequence[str]) -> bytes:
            return subprocess.run(["git", *args], cwd=self.top, capture_output=True, check=True).stdout

        now = seen_now(self.top, self.settings.roots, self.settings.config_files, run)
        assert now is not None
        write_seen(self.git_dir, now)
        self.log.unlink(missing_ok=True)

    def calls(self) -> list[dict[str, Any]]:
        """The calls since the last time this was asked."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().splitlines()
        self.log.unlink()
        return [json.loads(line) for line in lines]

    def started(self) -> list[str]:
        """The hooks that started the program, in order."""
        calls = self.calls()
        assert all(call["argv"][0] == "hook" for call in calls)
        return [call["argv"][1] for call in calls]

    def hook(self, name: str, content: str, mode: int = 0o755) -> Path:
        """A hook of someone else's."""
        path = self.hooks / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(mode)
        return path


def hooked(top: Path, tools: Path, *init: str, **changed: Any) -> Hooked:
    """A repository with one raw file and another one committed, hooks installed, and all of it looked at."""
    top.mkdir(parents=True, exist_ok=True)
    tools.mkdir(parents=True, exist_ok=True)
    made = Hooked(top, tools)
    made.git("init", "-q", *init)
    made.commit({RAW: "1\n", "other": "1\n"})
    made.install(**changed)
    made.look()
    return made


def snapshot(folder: Path) -> dict[str, tuple[str, bytes, int]]:
    """Every file of a folder: kind, content or target, permissions."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = ("link", os.fsencode(path.readlink()), 0)
        elif path.is_file():
            found[str(path.relative_to(folder))] = ("file", path.read_bytes(), path.stat().st_mode & 0o7777)
    return found
