"""What a user gets wrong: a clear message, what to do, the right exit code, and nothing changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raw_trigger.cli.app import app
from tests.conftest import Repo
from tests.support.forks import tool
from tests.support.tables import Project, write_project

Make = Callable[..., Project]
R = "data/1_raw/"


@pytest.fixture
def tmp_path(one_place: Path) -> Path:
    return one_place


def everything(repo: Repo) -> tuple[object, ...]:
    """What must not change: the index, HEAD, every ref, the files' names and contents."""
    index = repo.top / ".git/index"
    files = sorted(p for p in repo.top.rglob("*") if ".git" not in p.parts and "__pycache__" not in p.parts)
    contents = [(str(p), p.read_bytes() if p.is_file() else os.path.lexists(p)) for p in files]
    refs = repo.git("for-each-ref", check=False)
    return index.exists() and index.read_bytes(), repo.git("rev-parse", "HEAD", check=False), refs, contents


BROKEN = "from dagster import Definitions\nimport not_there_at_all\ndefs = Definitions()\n"

TABLE = [
    # what is written first, the command, its exit code, words it says
    ({}, "diff nowhere", 2, ["'nowhere' is no revision, no raw file and no asset", "git log --oneline"]),
    ({}, "diff HEAD~9 HEAD", 2, ["the revision 'HEAD~9' is not here"]),
    ({}, "diff HEAD HEAD HEAD", 2, ["two revisions at most"]),
    ({}, "diff --staged HEAD HEAD", 2, ["--staged compares with the index"]),
    ({}, "diff --downstream far", 2, ["--downstream is auto, none, all or a number", "'far'"]),
    ({}, "diff --all --asset raw/q", 2, ["asset 'raw/q' is not in the Dagster project"]),
    ({}, "diff --all HEAD..HEAD", 2, ["--all compares with nothing"]),
    ({}, "diff --path [", 2, ["--path '[': '[' is not closed by ']'"]),
    ({}, "adopt --path [", 2, ["--path '[': '[' is not closed by ']'"]),
    ({}, "diff --environment a..b", 2, ["the environment 'a..b' cannot be part of a git ref"]),
    ({}, "run --environment \udcff", 2, ["the environment '\\udcff' cannot be part of a git ref"]),
    ({}, "-C definitions.py diff", 3, ["definitions.py is no folder"]),
    ({}, "run --format yaml", 2, ["yaml"]),
    ({}, "explain nothing", 2, ["'nothing' is neither a raw file nor an asset"]),
    ({}, "explain definitions.py", 2, ["'definitions.py' is no raw file (the raw roots are data/1_raw)"]),
    ({}, "adopt nowhere", 2, ["the revision 'nowhere' is not here"]),
    ({}, "hook no-such-hook", 2, ["there is no hook 'no-such-hook'"]),
    ({}, "--config missing.yaml diff", 2, ["there is no file", "missing.yaml"]),
    ({}, "--config /nonexistent diff", 2, ["there is no file /nonexistent"]),
    ({}, "--config ../outside.yaml diff", 2, ["outside the repository"]),
    (
        {"raw-trigger.yaml": "root: data/none\n"},
        "diff",
        2,
        ["the raw root 'data/none' is not there", "`root:`"],
    ),
    ({"raw-trigger.yaml": "a: [\n"}, "diff", 2, ["raw-trigger.yaml:2:1: "]),
    ({"raw-trigger.yaml": b"\xff\xfe\x00"}, "diff", 2, ["raw-trigger.yaml:1:1: "]),
    ({"raw-trigger.yaml": "asets: []\n"}, "run", 2, ["raw-trigger.yaml:1:1: ", "did you mean 'assets'?"]),
    (
        {"raw-trigger.yaml": "assets:\n  - path: a.csv\n    asset: raw/aa\n", R + "a.csv": "2"},
        "run",
        2,
        ["raw-trigger.yaml:3:12: asset 'raw/aa' is not in the Dagster project; did you mean 'raw/a'?"],
    ),
    (
        {"raw-trigger.yaml": 'assets:\n  - path: "{x.csv"\n    asset: raw/a\n', R + "a.csv": "2"},
        "diff",
        2,
        ["raw-trigger.yaml:2:11: '{' is not closed by '}'"],
    ),
    (
        {"raw-trigger.yaml": 'assets:\n  - path: "{x}.csv"\n    asset: "raw/z{x}"\n', R + "a.csv": "2"},
        "run",
        1,
        ["data/1_raw/a.csv: raw-trigger.yaml:2: asset 'raw/za' is not in the Dagster project"],
    ),
    (
        {"definitions.py": BROKEN, R + "a.csv": "2"},
        "diff",
        3,
        ["No module named 'not_there_at_all'", "definitions.py", "line 2"],
    ),
    (
        {"definitions.py": "raise ValueError('\\x1b[31mred\\x07\\nsecond line')", R + "a.csv": "2"},
        "diff",
        3,
        ["ValueError: red\\x07", "| second line"],
    ),
    (
        {"raw-trigger.yaml": "dagster: {python: /nowhere/python}\n", R + "a.csv": "2"},
        "diff",
        3,
        ["/nowhere/python"],
    ),
    (
        {"raw-trigger.yaml": "dagster: {module_name: no.such.module}\n", R + "a.csv": "2"},
        "run",
        3,
        ["ModuleNotFoundError: No module named 'no'"],
    ),
]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the project of the table is: made by the first row, and put back after each."""
    return tmp_path_factory.mktemp("wrong")


@pytest.fixture
def wronged(project_class: type[Project], kept: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv("DAGSTER_HOME", str(kept / "dagster_home"))
    monkeypatch.setenv("NO_COLOR", "1")
    made = project_class(kept / "project", kept / "dagster_home")
    if not made.top.exists():
        (kept / "outside.yaml").write_text("")
        made.home.mkdir()
        write_project(made, a=["a.csv"])
        assert made.tool("adopt").returncode == 0
    monkeypatch.chdir(made.top)
    yield made
    made.git("checkout", "-q", "--", ".")
    made.git("clean", "-q", "-fd")


@pytest.mark.parametrize(
    ("files", "command", "code", "words"),
    [
        *(pytest.param(*row, id=f"{row[1]}-{row[3][0][:30]}") for row in TABLE),
        pytest.param(
            {"pyproject.toml": "", R + "a.csv": "2"},
            "diff",
            3,
            ["no Dagster project here"],
            id="diff-no Dagster project here",
            marks=pytest.mark.dagster,
        ),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_changed(
    wronged: Project, files: dict[str, str | bytes], command: str, code: int, words: list[str]
) -> None:
    """In the process of the tests: another Python for each row takes its time, and tells no more."""
    wronged.write(files)
    before = everything(wronged)
    done = CliRunner().invoke(app, command.split(), prog_name="raw-trigger")
    told = done.stderr + done.stdout
    assert done.exit_code == code, told
    assert isinstance(done.exception, SystemExit)
    flat = " ".join(told.replace("│", " ").split())
    for word in words:
        assert word in flat
    assert "Traceback (most recent call last)" not in done.stderr.replace("  | ", "")
    assert "\x1b" not in told
    assert everything(wronged) == before


def test_where_there_is_no_repository(tmp_path: Path) -> None:
    for command in ("diff", "run", "status", "check", "install", "init", "adopt", "hook pre-commit"):
        done = tool(tmp_path, *command.split())
        assert done.returncode == 3, (command, done.stderr)
        assert "is not in a git repository" in done.stderr
        assert "git init" in done.stderr
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "bare")], check=True)
    done = tool(tmp_path / "bare", "diff")
    assert done.returncode == 3
    assert "bare repository" in done.stderr


def test_an_interpreter_without_dagster(project: Make, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "empty")], check=True)
    made = project(config=f"dagster: {{python: {tmp_path}/empty/bin/python}}\n", a=["a.csv"])
    made.write({R + "a.csv": "2"})
    done = made.tool("diff")
    assert done.returncode == 3
    assert "dagster" in done.stderr
    assert "Traceback" not in done.stderr


def test_before_the_first_commit(project: Make) -> None:
    made = project(a=["a.csv"])
    made.git("update-ref", "-d", "HEAD")
    done = made.tool("diff")
    assert done.returncode == 0
    assert "nothing is recorded and there is no commit yet: every file is new" in done.stdout
    assert made.tool("diff", "HEAD").returncode == 2
    assert made.tool("adopt").returncode == 2
    assert made.tool("run").returncode == 0
    assert made.materialized() == ["raw/a"]
    assert made.plan()["changes"] == []


HOSTILE = [
    b"new\nline.csv",
    b'"q".csv',
    b"\xff.csv",
    b"-rf.csv",
    b"$(touch x).csv",
    b"\x1b[31m.csv",
    b"::error::.csv",
]


def test_hostile_names_go_all_the_way(project: Make) -> None:
    made = project(config="assets: [{path: '**', asset: raw/a}]\n", a=["a.csv"])
    made.tool("install")
    made.tool("adopt")
    made.stage({R.encode() + name: "1" for name in HOSTILE})
    plan = made.plan()
    changes = plan["changes"]
    assert isinstance(changes, list)
    paths = [c["path"].encode("utf-8", "surrogateescape") for c in changes]
    assert paths == sorted(R.encode() + name for name in HOSTILE)
    for form in ("text", "markdown"):
        out = made.tool("diff", "--format", form).stdout
        assert "\x1b" not in out
        assert len([line for line in out.splitlines() if "csv" in line and "line" in line]) == 1
    done = made.try_git("commit", "-q", "-m", "x")
    assert done.returncode == 0, done.stderr
    assert made.materialized() == ["raw/a"]
    assert made.plan()["changes"] == []
    assert not (made.top / "x").exists()


def test_a_submodule_and_a_symlink_under_the_root(project: Make, tmp_path: Path) -> None:
    made = project(config="assets: [{path: 'link.csv', asset: raw/a}]\n", a=["a.csv"])
    other = Repo(tmp_path / "other")
    other.top.mkdir()
    other.git("init", "-q")
    other.commit({"f": "1"})
    made.tool("install")
    made.tool("adopt")
    made.git("submodule", "add", "-q", str(other.top), R + "sub")
    (made.top / R / "link.csv").symlink_to("a.csv")
    made.git("add", "-A")
    plan = made.plan()
    kinds = {c["path"]: (c["content"], c["disposition"]) for c in plan["changes"]}  # type: ignore[attr-defined]
    assert kinds == {
        R + "link.csv": ("symlink", "planned"),
        R + "sub": ("submodule", "unmapped"),
    }
    done = made.try_git("commit", "-q", "-m", "x")
    assert done.returncode == 0, done.stderr
    assert "nothing is made from data/1_raw/sub" in done.stderr
    assert made.materialized() == ["raw/a"]
    assert made.plan()["changes"] == []


def test_a_file_that_became_a_folder(project: Make) -> None:
    made = project(
        config="assets: [{path: 'x', asset: raw/a}, {path: 'x/*', asset: raw/b}]\n", a=["a.csv"], b=["b.csv"]
    )
    made.stage({R + "x": "file"})
    made.commit()
    made.tool("install")
    made.tool("adopt")
    made.write({R + "x": None})
    made.write({R + "x/y": "1"})
    made.git("add", "-A")
    done = made.try_git("commit", "-q", "-m", "x")
    assert done.returncode == 0, done.stderr
    assert made.materialized() == ["raw/a", "raw/b"], "a.csv still feeds raw/a by convention"
    assert made.plan()["changes"] == []


@pytest.mark.soak
@pytest.mark.dagster
def test_a_git_directory_that_takes_no_files(project: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = project(a=["a.csv"])
    made.tool("adopt")
    made.write({R + "a.csv": "2"})
    shutil.rmtree(made.top / ".git/raw-trigger")
    made.write({".git/raw-trigger": "a file"})
    done = made.tool("diff")
    assert (done.returncode, done.stderr) == (0, "")
    assert "raw/a" in done.stdout
    assert made.tool("install").returncode == 0
    done = made.tool("run")
    assert done.returncode == 3
    assert "cannot be locked" in done.stderr
    done = made.try_git("commit", "-q", "-a", "--no-verify", "-m", "x")
    assert done.returncode == 0
    assert "cannot be locked" in done.stderr
    assert "bug" not in done.stderr
    made.write({R + "a.csv": "3"})
    monkeypatch.delenv("DAGSTER_HOME")
    done = made.tool("diff")
    assert done.returncode == 3
    assert "'local' is recorded for the Dagster instance at" in done.stderr
    made.git("update-ref", "-d", "refs/raw-trigger/local")
    done = made.tool("run", "--all")
    assert (done.returncode, "Traceback" in done.stderr) == (3, False)
    assert ".git/raw-trigger" in done.stderr


def test_an_output_that_takes_no_more(project: Make) -> None:
    made = project(a=["a.csv"])
    made.write({R + "a.csv": "2"})
    for command in ("diff", "diff --format json", "run"):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "raw_trigger", *command.split()],
                cwd=made.top,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 3
        assert done.stderr == "raw-trigger: the output cannot be written: No space left on device\n"
    assert made.materialized() == []


@pytest.mark.soak
@pytest.mark.dagster
def test_an_output_that_takes_ascii_only(project: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = project(config="assets: [{path: '*', asset: raw/a}]\n", a=["a.csv"])
    made.inside = ("env",)  # a process of its own: what Python reads when it starts is what this is about
    made.tool("adopt")
    made.write({R + "größe.csv": "1"})
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    for command in ("diff", "diff --format markdown", "explain data/1_raw/größe.csv", "run"):
        done = made.tool(*command.split())
        assert (done.returncode, done.stderr) == (0, ""), command
    assert "data/1_raw/gr\\xf6\\xdfe.csv" in made.tool("explain", "data/1_raw/größe.csv").stdout


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    script = f'rmdir "$PWD"; exec {sys.executable} -m raw_trigger "$@"'
    for arguments in (["diff"], ["-C", "sub", "diff"]):
        (tmp_path / "gone").mkdir()
        done = subprocess.run(
            ["sh", "-c", script, "sh", *arguments],
            cwd=tmp_path / "gone",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 3
        assert done.stderr.startswith("raw-trigger: the folder this was started in is gone\n")


def test_an_environment_whose_name_is_no_text(project: Make) -> None:
    made = project(a=["a.csv"])
    made.tool("adopt")
    made.git("update-ref", b"refs/raw-trigger/\xff", "HEAD^{tree}")
    made.git("update-ref", "refs/raw-trigger/a\u2028b", "HEAD^{tree}")
    assert made.tool("status").returncode == 0
    done = made.tool("status", "--format", "json")
    assert done.returncode == 0, done.stderr
    names = [one["name"] for one in json.loads(done.stdout)["environments"]]
    assert names == ["a\u2028b", "local", "\udcff"]


def test_a_configuration_that_is_a_link(project: Make, tmp_path: Path) -> None:
    made = project(a=["a.csv"])
    link = made.top / "raw-trigger.yaml"
    for target, words in (
        ("raw-trigger.yaml", "raw-trigger.yaml:1:1: cannot be read: Too many levels of symbolic links"),
        ("gone.yaml", "raw-trigger.yaml:1:1: cannot be read: No such file or directory"),
    ):
        link.symlink_to(target)
        for options in ([], ["--config", "raw-trigger.yaml"]):
            done = made.tool(*options, "diff")
            assert done.returncode == 2
            assert done.stderr.startswith(f"raw-trigger: {words}")
        link.unlink()
    (tmp_path / "outside.yaml").write_text("environment: elsewhere\n")
    link.symlink_to(tmp_path / "outside.yaml")
    assert made.plan()["environment"] == "elsewhere"


def test_a_ledger_that_is_something_else(project: Make) -> None:
    made = project(a=["a.csv"])
    made.tool("adopt")
    made.write({R + "a.csv": "2", ".git/raw-trigger/ledger.sqlite": "name,amount\n" * 1000})
    done = made.tool("run")
    assert done.returncode == 0
    assert "is damaged or no sqlite database" in done.stderr
    assert "move it away and a new one is begun" in done.stderr
    assert made.materialized() == ["raw/a"]
    assert made.plan()["changes"] == []
    (made.top / ".git/raw-trigger/ledger.sqlite").unlink()
    assert made.tool("run").returncode == 0
    assert made.materialized() == []


MEDDLING = """
import subprocess
from pathlib import Path
from dagster import AssetKey, Definitions, asset

HERE = Path(__file__).parent

@asset(key=AssetKey(["raw", "a"]))
def a():
    (HERE / "data" / "1_raw" / "a.csv").read_text()
    subprocess.run(["sh", HERE / "then.sh"], cwd=HERE, check=True)

@asset(key=AssetKey(["raw", "b"]))
def b():
    (HERE / "data" / "1_raw" / "b.csv").read_text()

defs = Definitions(assets=[a, b])
"""


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        pytest.param(
            "git update-ref refs/raw-trigger/local $(git rev-parse HEAD^{tree}:other)",
            0,
            marks=[pytest.mark.soak, pytest.mark.dagster],
        ),
        ("git update-ref -d refs/raw-trigger/local", 3),
        ("echo garbage >.git/refs/raw-trigger/local", 3),
    ],
    ids=["moved", "deleted", "garbage"],
)
def test_a_record_that_somebody_harms_while_a_run_is_on(project: Make, harm: str, code: int) -> None:
    made = project(a=["a.csv"], b=["b.csv"])
    made.commit({"definitions.py": MEDDLING, ".gitignore": "__pycache__/\nthen.sh\n"})
    made.commit({"other/data/1_raw/b.csv": "other"})
    made.tool("adopt")
    made.write({R + "a.csv": "2", "then.sh": harm})
    done = made.tool("run")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code:
        gone = "nothing is recorded for 'local' any more" in done.stderr
        assert gone or "refs/raw-trigger/local does not name a tree of this repository" in done.stderr
        assert "raw-trigger run --all" in done.stderr
        made.git("update-ref", "-d", "refs/raw-trigger/local", check=False)
        (made.top / ".git/refs/raw-trigger/local").unlink(missing_ok=True)
        made.tool("adopt")
    assert made.materialized() == ["raw/a"]
    made.write({"then.sh": "true"})
    if code:
        return
    changed = [change["path"] for change in made.plan()["changes"]]  # type: ignore[attr-defined]
    assert changed == [R + "a.csv", R + "b.csv"], "another record knows nothing of this launch"
    assert made.tool("run").returncode == 0
    assert made.materialized() == ["raw/a", "raw/b"]
    assert made.plan()["changes"] == []
