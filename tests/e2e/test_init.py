"""`raw-trigger init` in real repositories with projects of Dagster, with and without a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Repo
from tests.support.forks import tool
from tests.support.tables import instance

pytestmark = pytest.mark.usefixtures("project_class")

DEFINITIONS = """
from dagster import AssetSpec, DailyPartitionsDefinition, Definitions, StaticPartitionsDefinition, asset

def table(key, **rest):
    parts = key.split("/")
    @asset(name=parts[-1], key_prefix=parts[:-1] or None, **rest)
    def made(): ...
    return made

days = DailyPartitionsDefinition("2025-01-01")
regions = StaticPartitionsDefinition(["eu", "us"])

@asset(deps=[["raw", "sales"]], partitions_def=days)
def report(): ...

defs = Definitions([
    table("raw/customers"),
    table("raw/sales", partitions_def=days),
    table("shops/turnover", partitions_def=regions),
    table("crm/contact_list"),
    table("raw/never_there"),
    *[table(f"raw_source/{name}_csv") for name in ("concepts", "labels", "units")],
    AssetSpec(["supplier", "prices"], metadata={"path": "data/1_raw/in/prices.xlsx"}),
    table("a/odd"), table("b/odd"),
    report,
])
"""
PROJECT = {
    "pyproject.toml": '[tool.dagster]\nmodule_name = "definitions"\n',
    "definitions.py": DEFINITIONS,
    ".gitignore": "__pycache__/\n",
}
SMALL = {
    "pyproject.toml": '[tool.dagster]\nmodule_name = "defs"\n',
    "defs.py": (
        "from dagster import Definitions, asset\n"
        "@asset(key_prefix='raw')\ndef a(): ...\n"
        "defs = Definitions([a])\n"
    ),
    ".gitignore": "__pycache__/\n",
}  # fmt: skip
FILES: dict[str | bytes, str | bytes | None] = {
    f"data/1_raw/{name}": "1\n"
    for name in (
        *("customers.csv", "in/prices.xlsx", "tables/concepts.csv", "tables/labels.csv", "tables/units.csv"),
        *("sales/2025-03-03.csv", "sales/2025-03-04.csv", "turnover/eu.json", "turnover/us.json"),
        *("contacts_list.csv", ".gitkeep", "notes.txt", "new\nline.csv", 'quote"{brace}.csv', "odd.csv"),
    )
}
GENERATED = r"""
# Which Dagster assets are made from which raw files. `raw-trigger explain PATH` shows what decides
# about a file, `raw-trigger check` compares this file with the assets and the files, and
# `raw-trigger learn` proposes rules from what the assets read.
# An editor completes and checks it with the schema: raw-trigger schema > raw-trigger.schema.json

root: data/1_raw

# The Dagster project is what `dagster dev` finds in this folder. To name another one:
# dagster:
#   module_name: my_project.definitions  # or python_file, package_name, workspace
#   python: .venv/bin/python             # by default it is looked for

# Everything else has a default; the schema describes every key.

# These files need no rule: an asset names its file in its metadata, or has its name and the key
# prefix or group `raw` (the convention).
#   customers.csv   → raw/customers    convention
#   in/prices.xlsx  → supplier/prices  metadata

# Paths are relative to the root; the first rule that matches decides.
assets:
  # Guess: The names are alike.
  - path: contacts_list.csv
    asset: crm/contact_list

  # Named after the asset and its partitions. 2 files.
  - path: "sales/{date:%Y-%m-%d}.csv"
    asset: raw/sales
    partition: "{date}"
  - path: "turnover/{name}.json"
    asset: shops/turnover
    partition: "{name}"

  # Stem and suffix are the asset's name. 3 files.
  - path: "tables/*.csv"
    asset: "raw_source/{stem}_csv"

  # Nothing is made from these files. Give each an asset, or ignore it:
  # - path: "caf?.csv"  # "caf\xe9.csv"
  #   asset: KEY
  # - path: "new\x0aline.csv"
  #   asset: KEY
  # - path: odd.csv
  #   asset: a/odd  # or b/odd
  # - path: "quote\"{{brace}}.csv"
  #   asset: KEY
  # - path: notes.txt
  #   ignore: true

# Assets that depend on no other, and that no raw file feeds:
#   a/odd
#   b/odd
#   raw/never_there
"""
SAID = r"""wrote raw-trigger.yaml
  10 files in data/1_raw mapped: 2 without a rule, 8 by 4 rules
  1 file ignored: no data
  look at 1 rule marked `Guess` in the file
  without an asset: "caf\xe9.csv", "new\nline.csv", notes.txt, odd.csv, quote"{brace}.csv
  without a file: a/odd, b/odd, raw/never_there
not done: the git hooks; to do it: raw-trigger install
`raw-trigger learn` runs the assets, sees which files they read, and proposes the rules.
Next: look at raw-trigger.yaml and commit it; then `raw-trigger run --all`,
or, if the assets are up to date with the files as they are committed, `raw-trigger adopt`.
never materialized: crm/contact_list, raw/customers, raw/sales, raw_source/concepts_csv, raw_source/labels_csv and 2 more; `raw-trigger run --all` does it
"""


def run(cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return tool(cwd, *args, COLUMNS="200")


def at_terminal(cwd: Path, *args: str, answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Run it at a pseudo-terminal and answer each question as it comes; returns exit code and output."""
    handle, terminal = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "raw_trigger", *args],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    shown, waiting = "", list(answers)
    while select.select([handle], [], [], 30)[0]:
        try:
            shown += os.read(handle, 4096).decode().replace("\r\n", "\n")
        except OSError:
            break
        if waiting and waiting[0][0] in shown:
            os.write(handle, waiting.pop(0)[1].encode())
    else:
        child.kill()
    os.close(handle)
    code = child.wait()
    assert not waiting, shown
    return code, shown


def findings(cwd: Path) -> list[tuple[str, str]]:
    done = run(cwd, "check", "--format", "json")
    assert done.returncode in (0, 2), done.stderr
    return [(f["severity"], f["where"]) for f in json.loads(done.stdout)]


def test_the_whole_file(repo: Repo) -> None:
    repo.commit({**PROJECT, **FILES, b"data/1_raw/caf\xe9.csv": "1\n"})
    done = run(repo.top, "init")
    assert (done.returncode, done.stderr) == (0, "")
    assert (repo.top / "raw-trigger.yaml").read_text() == GENERATED[1:]
    assert repo.git("status", "--porcelain") == "?? raw-trigger.yaml"
    assert done.stdout == SAID
    assert findings(repo.top) == [
        ("warning", "data/1_raw/caf\udce9.csv"),
        ("warning", "data/1_raw/new\nline.csv"),
        ("warning", "data/1_raw/notes.txt"),
        ("warning", "data/1_raw/odd.csv"),
        ("warning", 'data/1_raw/quote"{brace}.csv'),
        ("warning", "raw/never_there"),
        ("note", "raw/sales"),
    ]
    planned = json.loads(run(repo.top, "diff", "--all", "--format", "json").stdout)
    assert [t["asset"] for t in planned["targets"] if t["action"] == "skip"] == []
    assert len({t["asset"] for t in planned["targets"]}) == 8


DYNAMIC = """
import dagster as dg

def files(name, definition):
    @dg.asset(key_prefix="in", name=name, partitions_def=dg.DynamicPartitionsDefinition(name=definition))
    def made(): ...
    return made

defs = dg.Definitions([files("visits", "shops"), files("wages", "releases")])
"""


@pytest.mark.dagster
@pytest.mark.soak
def test_only_what_the_instance_knows_is_taken_for_a_dynamic_key(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any name "fits" a dynamic definition, and running everything adds it to the user's instance."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").touch()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with instance(home) as opened:
        opened.add_dynamic_partitions("shops", ["north", "south"])
    files = ("north_2025.csv", "south_2025.csv", "west_2025.csv", "all wages/b.xlsx")
    repo.commit({**SMALL, "defs.py": DYNAMIC, **{f"data/1_raw/{name}": "1\n" for name in files}})
    done = run(repo.top, "init")
    assert done.returncode == 0, done.stderr
    text = (repo.top / "raw-trigger.yaml").read_text()
    assert (
        text.partition("assets:\n")[2]
        == """\
  # Guess: The names fit its partitions. 3 files.
  - path: "{name}_2025.csv"
    asset: in/visits
    partition: "{name}"

  # Any name could be a key of dynamic partitions; nothing says that these are. If so, use:
  # - {path: "all wages/{name}.xlsx", asset: in/wages, partition: "{name}"}  # 1 file; releases has no keys yet

# Assets that depend on no other, and that no raw file feeds:
#   in/wages
"""
    )


def test_a_written_file_is_never_touched(repo: Repo) -> None:
    repo.commit({**SMALL, "data/1_raw/a.csv": "1\n"})
    for name in ("raw-trigger.yaml", "raw-trigger.yml"):
        repo.write({name: "# mine\n"})
        done = run(repo.top, "init", "--yes")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"raw-trigger: {name} is there already; nothing was changed\n")
        assert repo.git("status", "--porcelain") == f"?? {name}"
        assert not list((repo.top / ".git").glob("hooks/raw-trigger*"))
        repo.write({name: None})
    (repo.top / "raw-trigger.yaml").symlink_to("nowhere")
    assert run(repo.top, "init").returncode == 2
    assert not (repo.top / "nowhere").exists()


def test_yes_installs_the_hooks_and_they_work(repo: Repo) -> None:
    repo.commit({**SMALL, "data/1_raw/a.csv": "1\n"})
    done = run(repo.top, "init", "--yes")
    assert done.returncode == 0, done.stderr
    assert "created  " in done.stdout
    assert "not done" not in done.stdout
    repo.git("add", "-A")
    assert repo.try_git("commit", "-m", "init").returncode == 0
    repo.stage({"data/1_raw/a.csv": "2\n"})
    committed = repo.try_git("commit", "-m", "data")
    assert committed.returncode == 0
    assert "raw/a" in committed.stdout + committed.stderr


def test_where_there_is_pre_commit_it_is_used(repo: Repo) -> None:
    repo.commit({**SMALL, "data/1_raw/a.csv": "1\n", ".pre-commit-config.yaml": "repos: []  # mine\n"})
    done = run(repo.top, "init", "--yes")
    assert done.returncode == 0, done.stderr
    assert "wrote .pre-commit-config.yaml; then run: pre-commit install -t pre-commit" in done.stdout
    assert "not done: the git hooks; to do it: raw-trigger install\n" in done.stdout
    assert "- id: raw-trigger-post-merge\n" in (repo.top / ".pre-commit-config.yaml").read_text()
    assert not list((repo.top / ".git").glob("hooks/raw-trigger*"))


@pytest.mark.parametrize(
    ("files", "install"),
    [
        pytest.param({}, '"pip install -e ."', marks=pytest.mark.soak),
        pytest.param(
            {"requirements.txt": "dagster\n"}, '"pip install -r requirements.txt"', marks=pytest.mark.soak
        ),
        ({"uv.lock": "", "requirements.txt": ""}, '"pip install uv && uv sync --frozen"'),
    ],
)
def test_github_writes_a_workflow_too(repo: Repo, files: dict[str | bytes, str], install: str) -> None:
    repo.commit({**SMALL, **files, "data/1_raw/a.csv": "1\n"})
    done = run(repo.top, "init", "--github")
    assert done.returncode == 0, done.stderr
    written = repo.top / ".github/workflows/raw-data.yml"
    assert "wrote .github/workflows/raw-data.yml\n" in done.stdout
    assert f"      install: {install}\n      jobs: 4" in written.read_text()
    assert "    branches: [main]\n" in written.read_text()
    assert (repo.top / "raw-trigger.yaml").read_text().endswith("ci:\n  environments: {production: [main]}\n")
    assert run(repo.top, "diff").returncode == 0
    schema = ["--builtin-schema", "vendor.github-workflows", str(written)]
    assert subprocess.run([sys.executable, "-m", "check_jsonschema", *schema], check=False).returncode == 0
    again = run(repo.top, "init", "--github")
    assert again.returncode == 2
    assert "is there already; nothing was changed" in again.stderr


def test_github_for_a_project_below_the_top_that_has_a_configuration(repo: Repo) -> None:
    files = {f"app/{name}": text for name, text in SMALL.items()}
    repo.commit({**files, "app/raw-trigger.yaml": "ci: {environments: {staging: [dev]}}"})
    done = run(repo.top, "-C", "app", "init", "--github")
    assert done.returncode == 0, done.stderr
    text = (repo.top / ".github/workflows/raw-data.yml").read_text()
    assert "      working-directory: app\n" in text
    assert done.stdout.endswith(
        "  add to raw-trigger.yaml, so that CI records what it materialized:\n"
        "ci:\n  environments: {production: [main]}\n"
    )
    assert repo.git("status", "--porcelain") == "?? .github/"


@pytest.mark.parametrize("configured", [True, False])
def test_github_for_a_deployment(repo: Repo, configured: bool) -> None:
    dagster = "launcher: graphql\ndagster: {url: https://x/prod, files: commit}\n" if configured else ""
    repo.commit({"raw-trigger.yaml": dagster, "data/1_raw/a.csv": "1\n"})
    done = run(repo.top, "init", "--github", *([] if configured else ["--launcher", "graphql"]))
    assert done.returncode == 0, done.stderr
    written = repo.top / ".github/workflows/raw-data.yml"
    assert "      extras: graphql\n" in written.read_text()
    schema = ["--builtin-schema", "vendor.github-workflows", str(written)]
    assert subprocess.run([sys.executable, "-m", "check_jsonschema", *schema], check=False).returncode == 0
    advice = "launcher: graphql\ndagster: {url: https://…, token_env: DAGSTER_TOKEN, files: commit}\n"
    assert (advice in done.stdout) == (not configured)
    assert ("say `token_env: DAGSTER_TOKEN`" in done.stdout) == configured
    assert (repo.top / "raw-trigger.yaml").read_text().endswith("ci:\n  environments: {production: [main]}\n")


def test_a_workflow_is_offered_where_there_are_others(repo: Repo) -> None:
    repo.commit({**SMALL, "data/1_raw/a.csv": "1\n", ".github/workflows/other.yml": "on: push\n"})
    done = run(repo.top, "init")
    assert "not done: the GitHub workflow; to do it: raw-trigger init --github\n" in done.stdout


def test_without_a_terminal_it_only_says_how(repo: Repo) -> None:
    repo.commit({**SMALL, "data/1_raw/a.csv": "1\n", ".pre-commit-config.yaml": "repos: []\n"})
    done = run(repo.top, "init")
    assert done.returncode == 0
    assert "not done: the entry in .pre-commit-config.yaml; to do it: add to its repos\n" in done.stdout
    assert "  - id: raw-trigger\n" in done.stdout
    assert repo.git("status", "--porcelain") == "?? raw-trigger.yaml"


def test_a_pre_commit_file_that_cannot_be_added_to_is_left(repo: Repo) -> None:
    repo.commit({**SMALL, "data/1_raw/a.csv": "1\n", ".pre-commit-config.yaml": "fail_fast: [\n"})
    done = run(repo.top, "init", "--yes")
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
    assert repo.git("status", "--porcelain") == "?? raw-trigger.yaml"
    assert "Next: " in done.stdout


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"defs.py": "import not_there_at_all\n"}, ["not_there_at_all", "  | ", "init --no-catalog"]),
        pytest.param(
            {"pyproject.toml": None, "defs.py": "assets = []\n"},
            ["no Dagster project here", "name it: `raw-trigger -m my_project.definitions init`"],
            marks=[pytest.mark.soak, pytest.mark.dagster],
        ),
    ],
)
def test_a_project_that_does_not_load(
    repo: Repo, files: dict[str | bytes, str | bytes | None], words: list[str]
) -> None:
    repo.commit({**SMALL, "data/1_raw/a.csv": "1\n"})
    repo.commit(files)
    done = run(repo.top, "init", "--yes")
    assert (done.returncode, done.stdout) == (3, "")
    assert [word for word in words if word not in done.stderr] == [], done.stderr
    assert repo.git("status", "--porcelain") == ""
    done = run(repo.top, "init", "--no-catalog")
    assert done.returncode == 0, done.stderr
    assert "  # - path: a.csv\n  #   asset: KEY\n" in (repo.top / "raw-trigger.yaml").read_text()


def test_a_project_below_the_top(repo: Repo) -> None:
    repo.commit({f"app/{name}": text for name, text in {**SMALL, "data/1_raw/a.csv": "1\n"}.items()})
    (repo.top / "app/src").mkdir()
    done = run(repo.top / "app/src", "init")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "wrote app/raw-trigger.yaml\n  1 file in data/1_raw mapped: 1 without a rule\n"
    )
    assert findings(repo.top / "app/src") == []


MONOREPO = {
    "orchestration/pyproject.toml": '[tool.dagster]\nmodule_name = "shop.definitions"\n',
    "orchestration/.env": "CURRENCY=EUR\n",
    "orchestration/shop/__init__.py": "",
    "orchestration/shop/definitions.py": """
import os
from pathlib import Path
from dagster import Definitions, asset

@asset(key_prefix="raw")
def prices():
    assert os.environ["CURRENCY"] == "EUR"
    return Path("../data/1_raw/prices.csv").read_text()

defs = Definitions([prices])
""",
    "data/1_raw/prices.csv": "1\n",
    ".gitignore": "__pycache__/\n",
}


@pytest.mark.dagster
def test_the_project_below_and_the_data_at_the_top(repo: Repo) -> None:
    """Everything is as where `dagster dev` is called: relative paths, `.env`, the interpreter."""
    repo.commit(MONOREPO)
    done = run(repo.top, "init")
    assert done.returncode == 0, done.stderr
    assert (
        "\ndagster:\n  module_name: shop.definitions\n  working_directory: orchestration\n"
        in (repo.top / "raw-trigger.yaml").read_text()
    )
    done = run(repo.top, "run", "--all")
    assert (done.returncode, "1 materialized" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.soak
@pytest.mark.parametrize(
    "arguments",
    [["-m", "shop.definitions", "init"], ["-C", "src", "-m", "shop.definitions", "init"], ["init"]],
)
@pytest.mark.dagster
def test_a_module_below_src_that_is_not_installed(repo: Repo, arguments: list[str]) -> None:
    code = SMALL["defs.py"].replace("def a(): ...", "def a(): open('data/1_raw/a.csv')")
    repo.commit({"src/shop/__init__.py": "", "src/shop/definitions.py": code, "data/1_raw/a.csv": "1\n"})
    done = run(repo.top, *arguments)
    assert done.returncode == 0, done.stderr
    done = run(repo.top, "run", "--all")
    assert (done.returncode, "1 materialized" in done.stdout) == (0, True), done.stdout + done.stderr


def test_a_named_project_is_written_down(repo: Repo) -> None:
    repo.commit({**SMALL, "pyproject.toml": "", "data/1_raw/a.csv": "1\n"})
    done = run(repo.top, "-f", "defs.py", "init")
    assert done.returncode == 0, done.stderr
    assert "\ndagster:\n  python_file: defs.py\n" in (repo.top / "raw-trigger.yaml").read_text()
    assert findings(repo.top) == []


ROOTS = [
    # files, arguments, exit code, the root that is written or words of the error
    (["data/raw/a.csv", "notes/b.csv"], ["--yes"], 0, "root: data/raw"),
    (["stuff/a.csv"], [], 0, "root: stuff"),
    (["stuff/a.csv", "more/b.csv"], [], 2, "several folders may hold the raw data: more, stuff"),
    (["stuff/a.csv", "more/b.csv"], ["--root", "stuff"], 0, "root: stuff"),
    (["stuff/a.csv", "data/1_raw/b.csv"], [], 0, "root: data/1_raw"),
    (["a b/#1/x.csv"], ["--root", "a b/#1"], 0, 'root: "a b/#1"'),
    (["src/x.py"], [], 2, "no folder here looks like raw data"),
    (["data/1_raw/a.csv"], ["--root", "none"], 2, "is not a folder"),
    (["data/1_raw/a.csv"], ["--root", ".."], 2, "is not below"),
    (["x/a.csv", "y/b.csv"], ["--root", "x", "--root", "y"], 2, "--root is given more than once"),
    (["data/1_raw/a.csv"], ["--root", "secret"], 2, "git ignores secret"),
    (["what?/a.csv"], ["--root", "what?"], 2, "cannot be the raw root"),
]


@pytest.mark.parametrize(("files", "arguments", "code", "words"), ROOTS)
def test_the_root(repo: Repo, files: list[str], arguments: list[str], code: int, words: str) -> None:
    repo.commit({**SMALL, **dict.fromkeys(files, "1\n"), ".gitignore": "__pycache__/\nsecret/\n"})
    repo.write({"secret/s.csv": "1\n"})
    done = run(repo.top, "init", "--no-catalog", *arguments)
    assert done.returncode == code, done.stderr
    if code == 0:
        assert words in (repo.top / "raw-trigger.yaml").read_text().splitlines()
    else:
        assert words in done.stderr
        assert repo.git("status", "--porcelain") == ""


def test_at_a_terminal_it_asks(repo: Repo) -> None:
    repo.commit({**SMALL, "stuff/a.csv": "1\n", "more/b.csv": "1\n"})
    code, shown = at_terminal(
        repo.top,
        "init",
        answers=[
            ("Which folder holds the raw data? [1]: ", "7\n"),
            ("a number from 1 to 2", "2\n"),
            ("on commit and merge? [Y/n]: ", "n\n"),
        ],
    )
    assert code == 0, shown
    assert "  1  more\n  2  stuff\n" in shown
    assert "root: stuff\n" in (repo.top / "raw-trigger.yaml").read_text()
    assert "not done: the git hooks; to do it: raw-trigger install\n" in shown
    assert not list((repo.top / ".git").glob("hooks/raw-trigger*"))


def test_enter_takes_what_is_offered(repo: Repo) -> None:
    repo.commit({**SMALL, "data/1_raw/a.csv": "1\n"})
    code, shown = at_terminal(repo.top, "init", answers=[("on commit and merge? [Y/n]: ", "\n")])
    assert code == 0, shown
    assert (repo.top / ".git/hooks/raw-trigger.sh").exists()


def test_the_end_of_input_at_a_question(repo: Repo) -> None:
    repo.commit({**SMALL, "stuff/a.csv": "1\n", "more/b.csv": "1\n"})
    code, _ = at_terminal(repo.top, "init", answers=[("Which folder holds the raw data? [1]: ", "\x04")])
    assert code == 130
    assert repo.git("status", "--porcelain") == ""
