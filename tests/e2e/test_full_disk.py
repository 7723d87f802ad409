"""A disk that is full or read-only: it is told, nothing is lost, and nothing that was recorded runs again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.disks import Disk, Mounts, mounts
from tests.support.tables import Project

Make = Callable[..., Project]
R = "data/1_raw/"

TELLING = """
import subprocess
from pathlib import Path
from dagster import AssetKey, Definitions, asset

HERE = Path(__file__).parent

def table(name):
    @asset(key=AssetKey(["raw", name]))
    def loaded():
        with (HERE / "made").open("a") as file:
            file.write(name)
        if name == "a" and (HERE / "then.sh").exists():
            subprocess.run(["sh", "then.sh"], cwd=HERE, check=False)
        return (HERE / "data" / "1_raw" / f"{name}.csv").read_text()
    return loaded

defs = Definitions(assets=[table("a"), table("b")])
"""
A_PROCESS = ("env",)
"""A command of a process's own: one that is forked from another is in that one's mounts and has files for pipes."""
LEDGER = "only history depends on the ledger, nothing that is pending; see `ledger:` and RAW_STATE_DIR"
ROOM = "make room on that disk, or see who may write there, and do it again; nothing that is pending is lost"


@pytest.fixture
def project_class(
    request: pytest.FixtureRequest, project_class: type[Project], monkeypatch: pytest.MonkeyPatch
) -> type[Project]:
    """With an interpreter that the program itself starts: it sees the same disks, and has its limits."""
    if request.node.get_closest_marker("dagster") is not None:
        monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    return project_class


@pytest.fixture
def small() -> Iterator[Mounts]:
    with mounts() as made:
        yield made


def shop_of(project: Make, config: str | None = None) -> Project:
    """Two files to be run. Its assets say in ``made`` that they ran; one of them then runs ``then.sh``."""
    shop = project(config=config, a=["a.csv"], b=["b.csv"])
    shop.inside = A_PROCESS
    shop.commit({"definitions.py": TELLING, ".gitignore": "__pycache__/\nmade\nthen.sh\n"})
    assert shop.tool("adopt").returncode == 0
    shop.write({R + "a.csv": "2", R + "b.csv": "2"})
    return shop


def made(shop: Project) -> str:
    """What ran, in its order."""
    log = shop.top / "made"
    return log.read_text() if log.exists() else ""


def healed(shop: Project, ran: str) -> None:
    """Now that nothing is in the way any more, the next run ends with everything made and recorded."""
    (shop.top / "then.sh").unlink(missing_ok=True)
    done = shop.tool("run")
    assert done.returncode == 0, done.stderr
    assert shop.plan()["changes"] == []
    assert made(shop) == ran, "what was recorded, or what Dagster has finished, is not run again"
    assert "Nothing to do" in shop.tool("run").stdout
    assert shop.git("fsck", "--connectivity-only", "--no-dangling") == ""
    assert shop.git("cat-file", "-p", f"refs/raw-trigger/local:{R}a.csv") == "2"


FULL, READ_ONLY = "No space left on device", "Read-only file system"


BEFORE: dict[str, tuple[str, int, list[str], str, str]] = {
    "git": (".git", 3, ["{problem}", ROOM], "", "ab"),
    "objects": (
        ".git/objects",
        3,
        ["nothing was run, as it could not be recorded: git cannot write {folder}: {problem}", ROOM],
        "",
        "ab",
    ),
    "ledger": (
        "books",
        0,
        ["warning: the run is not in the history: the ledger {folder}/l.sqlite", LEDGER],
        "ab",
        "ab",
    ),
    "dagster": ("../dagster_home", 3, ["the Dagster home {folder} cannot be used: ", ROOM], "", "ab"),
}
IN_THE_GATE = (("objects", READ_ONLY), ("ledger", FULL))
"""The others differ little from these, from a commit while the Dagster home is full, or from a run meanwhile."""


@pytest.mark.parametrize(
    ("how", "where", "code", "words", "ran", "then"),
    [
        pytest.param(
            how,
            *row,
            id=f"{name}-{how}",
            marks=[
                *([] if (name, how) in IN_THE_GATE else [pytest.mark.soak]),
                *([pytest.mark.dagster] if name == "dagster" else []),
            ],
        )
        for name, row in BEFORE.items()
        for how in (FULL, READ_ONLY)
    ],
)
def test_before_the_run(
    project: Make, small: Mounts, how: str, where: str, code: int, words: list[str], ran: str, then: str
) -> None:
    shop = shop_of(project, "ledger: sqlite:///books/l.sqlite\n")
    disk = obstacle(shop, small, where)
    (disk.fill if how == FULL else disk.protect)()
    assert shop.tool("diff").returncode == 0
    done = shop.tool("run")
    assert done.returncode == code, done.stderr
    for word in words:
        assert word.format(problem=how, folder=disk.folder) in done.stderr
    assert "Traceback" not in done.stderr
    assert "  |" not in done.stderr
    assert made(shop) == ran
    (disk.free if how == FULL else disk.release)()
    healed(shop, then)


@pytest.mark.parametrize(
    ("where", "code", "words", "then"),
    [
        (".git", 3, ["git hash-object failed: ", FULL, ROOM], "ab"),
        pytest.param(
            ".git/objects", 3, ["git hash-object failed: ", FULL, ROOM], "ab", marks=pytest.mark.soak
        ),
        ("books", 0, ["warning: how the run ended is not in the history: ", "disk is full", LEDGER], "ab"),
        pytest.param("../dagster_home", 1, [], "aab", marks=[pytest.mark.soak, pytest.mark.dagster]),
    ],
    ids=["git", "objects", "ledger", "dagster"],
)
def test_while_the_run_is_on(
    project: Make, small: Mounts, where: str, code: int, words: list[str], then: str
) -> None:
    """What Dagster had finished is not run again, as its event log still tells of it."""
    shop = shop_of(project, "ledger: sqlite:///books/l.sqlite\n")
    disk = obstacle(shop, small, where)
    shop.write({"then.sh": f"head -c 1G /dev/zero >'{disk.filler}' 2>/dev/null\n"})
    done = shop.tool("run")
    assert done.returncode == code, done.stderr
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    disk.free()
    healed(shop, then)


def obstacle(shop: Project, small: Mounts, where: str) -> Disk:
    disk = small.disk(Path(os.path.normpath(shop.top / where)))
    shop.inside = small.inside(shop.top)
    return disk


@pytest.mark.soak
@pytest.mark.dagster
def test_a_commit_while_the_dagster_home_is_full(project: Make, small: Mounts) -> None:
    shop = shop_of(project)
    assert shop.tool("install").returncode == 0
    for database in shop.home.rglob("*.db"):
        database.unlink()  # it is the first use that writes at once
    disk = obstacle(shop, small, "../dagster_home")
    disk.fill()
    done = shop.try_git("commit", "-q", "-a", "-m", "x")
    assert done.returncode == 1
    assert f"the Dagster home {disk.folder} cannot be used: database or disk is full" in done.stderr
    assert "git commit --no-verify" in done.stderr
    disk.free()
    assert shop.try_git("commit", "-q", "-a", "-m", "x").returncode == 0
    assert made(shop) == "ab"
    assert shop.plan()["changes"] == []


@pytest.mark.parametrize("recorded", [True, pytest.param(False, marks=pytest.mark.soak)])
def test_what_else_writes_says_so_too(project: Make, small: Mounts, recorded: bool) -> None:
    shop = shop_of(project)
    if not recorded:
        shop.git("update-ref", "-d", "refs/raw-trigger/local")
    disk = obstacle(shop, small, ".git")
    disk.protect()
    done = shop.tool("install")
    assert done.returncode == 3
    assert READ_ONLY in done.stderr
    assert "make room on that disk" in done.stderr
    assert "core.hooksPath" not in done.stderr
    assert "what ran" not in done.stderr
    shop.write({R + "a.csv": "3"})
    disk.release()
    shop.commit({R + "a.csv": "2"})
    disk.protect()
    done = shop.tool("adopt")
    assert done.returncode == 3
    assert READ_ONLY in done.stderr
    assert ROOM in done.stderr
    assert done.stderr.count("\n") == 2
    disk.release()
    assert shop.tool("adopt").returncode == 0
    assert shop.tool("install").returncode == 0
    assert shop.git("fsck", "--connectivity-only", "--no-dangling") == ""


LIMIT = """
read -r _ _ _ tool _ </proc/$PPID/stat
prlimit --fsize=100 --pid "$tool"
"""


@pytest.mark.soak
@pytest.mark.parametrize("when", ["before", "while"])
@pytest.mark.dagster
def test_a_limit_on_the_size_of_files(project: Make, when: str) -> None:
    """As of ``ulimit -f``; it kills git without a word. Nothing has to be mounted for it."""
    shop = shop_of(project)
    if when == "while":
        shop.write({"then.sh": LIMIT})
    limit = ("prlimit", "--fsize=100") if when == "before" else ()
    shop.write({R + "a.csv": os.urandom(500).hex()})
    shop.inside = limit or A_PROCESS
    done = shop.tool("run")
    shop.inside = A_PROCESS
    assert done.returncode == 3
    told = done.stderr.splitlines()
    if when == "before":
        assert told[0].endswith(f"git cannot write {shop.top}/.git/objects: File too large")
    else:
        assert told[0] == "raw-trigger: git hash-object was killed: File size limit exceeded"
    assert told[1:] == ["  " + ROOM]
    shop.write({R + "a.csv": "2"})
    healed(shop, "ab" if when == "before" else "aba")


@pytest.mark.soak
@pytest.mark.dagster
def test_hooks_that_cannot_be_written_refuse_no_commit(project: Make, small: Mounts) -> None:
    """Nor one that edits the configuration, which they would be told of."""
    shop = project("", a=["a.csv"])
    shop.inside = A_PROCESS
    hook = shop.top / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho theirs >&2\n")
    hook.chmod(0o755)
    assert shop.tool("install").returncode == 0
    disk = small.disk(shop.top / ".git/hooks")
    shop.inside = small.inside(shop.top)
    disk.protect()
    refused = f"the hooks folder {shop.top}/.git/hooks cannot be written: Read-only file system"
    hint = "make room on that disk, or mount it writable, then run `raw-trigger install` again"
    done = shop.tool("uninstall")
    assert (done.returncode, done.stderr) == (3, f"raw-trigger: {refused}\n  {hint}\n")
    shop.stage({R + "a.csv": "2", "raw-trigger.yaml": "hooks: {post-merge: off}\n"})
    done = shop.try_git("commit", "-q", "-m", "x")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("theirs\n")
    assert "1 materialized" in done.stderr
    assert f"raw-trigger: warning: {refused}; {hint}" in done.stderr
    assert "is refused" not in done.stderr
