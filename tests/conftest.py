"""Real git repositories, kept apart from the machine's own configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from raw_trigger.repo.repository import Repository
from tests.support import forks
from tests.support.forks import Program

if TYPE_CHECKING:
    from tests.support.project import StandInProject
    from tests.support.tables import Project

SOAK = int(os.environ.get("RAW_TRIGGER_SOAK", "0"))
"""How long `make soak` is to try; 0 in the gate."""
REPOSITORY_TOP = Path(__file__).resolve().parent.parent
# How long an example takes says how busy the machine is.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
_FOREIGN = ("GIT_", "DAGSTER_", "RAW_TRIGGER_", "PRE_COMMIT", "VIRTUAL_ENV")


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees the machine's HOME, git settings or Dagster instance."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(_FOREIGN) and name not in ("RAW_TRIGGER_DAGSTER_PYTHONS", "RAW_TRIGGER_HISTORIES"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_TEMPLATE_DIR", "")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    (home / ".gitconfig").write_text(
        "[user]\nname = Test\nemail = test@example.com\n[init]\ndefaultBranch = main\n"
        '[protocol "file"]\nallow = always\n[advice]\ndetachedHead = false\n'
    )
    yield


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Makes a Dagster home at a path, with the databases that Dagster takes a second to make."""
    kept = tmp_path_factory.mktemp("kept") / "dagster_home"

    def make(at: Path) -> Path:
        if not kept.exists():
            from dagster import DagsterInstance

            kept.mkdir()
            (kept / "dagster.yaml").touch()
            with DagsterInstance.from_config(str(kept)) as opened:
                opened.get_runs(limit=1)
                opened.all_asset_keys()
        shutil.copytree(kept, at)
        return at

    return make


@pytest.fixture(scope="session")
def program() -> Program:
    """The command line without the time that Python's imports take."""
    return forks.program()


class Repo:
    """A git repository for tests: short words for what a person does with it.

    ``inside`` stands before every command: see ``tests/e2e/disks.py``.
    """

    inside: tuple[str, ...] = ()

    def __init__(self, top: Path) -> None:
        self.top = top

    def git(self, *args: str | bytes, check: bool = True, env: Mapping[str, str] | None = None) -> str:
        done = self.try_git(*args, env=env)
        if check and done.returncode != 0:
            raise AssertionError(f"git {args} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout.strip("\n")

    def try_git(
        self, *args: str | bytes, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.inside, "git", *args],
            cwd=self.top,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def write(self, files: Mapping[str | bytes, str | bytes | None]) -> None:
        """Write files; None deletes one."""
        for name, content in files.items():
            path = Path(os.fsdecode(os.fsencode(self.top) + b"/" + os.fsencode(name)))
            if content is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.encode() if isinstance(content, str) else content)

    def stage(self, files: Mapping[str | bytes, str | bytes | None]) -> None:
        self.write(files)
        for name in files:
            self.git("--literal-pathspecs", "add", "-A", "--", name)

    def commit(self, files: Mapping[str | bytes, str | bytes | None] | None = None, *args: str) -> str:
        """Write, stage and commit files; returns the commit's id."""
        self.stage(files or {})
        self.git("commit", "-q", "--allow-empty", "-m", "change", *args)
        return self.git("rev-parse", "HEAD")

    def open(self) -> Repository:
        return Repository.discover(self.top)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """An empty git repository."""
    top = tmp_path / "repo"
    top.mkdir()
    made = Repo(top)
    made.git("init", "-q")
    return made


@pytest.fixture
def standin(tmp_path: Path, program: Program) -> Callable[..., StandInProject]:
    """Makes a repository with a project that the stand-in interpreter runs: all of them have one truth."""
    from tests.support.project import StandInProject

    def make(name: str = "project") -> StandInProject:
        control = tmp_path / "control"
        control.mkdir(exist_ok=True)
        made = StandInProject(tmp_path / name, control, program)
        made.top.mkdir()
        made.git("init", "-q")
        return made

    return make


@pytest.fixture
def project_class(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> type[Project]:
    """What the projects of a test are; those of one that is marked ``dagster`` have Dagster itself."""
    from tests.support.project import environment
    from tests.support.tables import Pretended, Project

    if request.node.get_closest_marker("dagster") is not None:
        monkeypatch.setenv("VIRTUAL_ENV", str(forks.dagster_environment()))
        return Project
    monkeypatch.setenv("VIRTUAL_ENV", str(environment(tmp_path / "pretended")))
    return Pretended


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to `make soak` what is its, and let the replays of histories begin first: with them at the end,
    one worker waits for the other.
    """
    if not SOAK:
        left = [item for item in items if item.get_closest_marker("soak") is not None]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
    long = [item for item in items if item.path.name == "test_history.py"]
    rest = [item for item in items if item not in long]
    # Each of the two workers starts with one half of the list.
    items[:] = [*long[:1], *rest[: len(rest) // 2], *long[1:], *rest[len(rest) // 2 :]]
