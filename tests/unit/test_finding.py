"""Which Dagster project `init` finds in which repository, where its file goes and what stands in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raw_trigger.errors import UsageError
from raw_trigger.initialize import find_place
from raw_trigger.model.project import DagsterOptions
from raw_trigger.repo.repository import Repository
from tests.conftest import Repo

DEFS = "import dagster as dg\n\ndefs = dg.Definitions()\n"
TOML = '[project]\nname = "x"\n\n[tool.dagster]\nmodule_name = "shop.definitions"  # here\n'
DG = '[tool.dg]\ndirectory_type = "project"\n\n[tool.dg.project]\nroot_module = "shop"\n'
DATA = {"data/1_raw/a.csv": "1\n"}

FOUND: dict[str, tuple[dict[str, str], list[str], str, dict[str, Any]]] = {
    # files, where it is started and what is named, the folder of the file, what stands in it
    "at the top": ({"pyproject.toml": TOML, **DATA}, [], "", {}),
    "below, with its data": (
        {"app/pyproject.toml": TOML, "app/data/1_raw/a.csv": "1\n"}, [], "app", {}
    ),
    "below, the data at the top": (
        {"orchestration/pyproject.toml": TOML, **DATA},
        [],
        "",
        {"module_name": ("shop.definitions",), "working_directory": "orchestration"},
    ),
    "the same, started there": (
        {"orchestration/pyproject.toml": TOML, **DATA},
        ["-C", "orchestration"],
        "",
        {"module_name": ("shop.definitions",), "working_directory": "orchestration"},
    ),
    "the same, started in the data": (
        {"orchestration/pyproject.toml": TOML, **DATA},
        ["-C", "data"],
        "",
        {"module_name": ("shop.definitions",), "working_directory": "orchestration"},
    ),
    "seeds of dbt are not the raw data": (
        {"dagster_project/pyproject.toml": TOML, "dagster_project/dbt/seeds/b.csv": "1\n", **DATA},
        [],
        "",
        {"module_name": ("shop.definitions",), "working_directory": "dagster_project"},
    ),
    "dg": (
        {"orchestration/pyproject.toml": DG, **DATA},
        [],
        "",
        {"module_name": ("shop.definitions",), "working_directory": "orchestration"},
    ),
    "dg that finds the definitions itself": (
        {"orchestration/pyproject.toml": DG + "autoload_defs = true\n", **DATA},
        [],
        "",
        {"working_directory": "orchestration"},
    ),
    "a workspace of dg holds no definitions of its own": (
        {
            "pyproject.toml": '[tool.dg]\ndirectory_type = "workspace"\n[[tool.dg.workspace.projects]]\npath = "projects/shop"\n',
            "projects/shop/pyproject.toml": DG,
            **DATA,
        },
        [],
        "",
        {"module_name": ("shop.definitions",), "working_directory": "projects/shop"},
    ),
    "workspace.yaml": (
        {"orchestration/workspace.yaml": "load_from: []\n", **DATA}, [], "", {"working_directory": "orchestration"}
    ),
    "an example is not the project": (
        {"examples/pyproject.toml": TOML, "orchestration/pyproject.toml": DG, **DATA},
        [],
        "",
        {"module_name": ("shop.definitions",), "working_directory": "orchestration"},
    ),
    "a file": ({"defs.py": DEFS, **DATA}, [], "", {"python_file": ("defs.py",)}),
    "a file with another name": ({"flows.py": DEFS, **DATA}, [], "", {"python_file": ("flows.py",)}),
    "a file in a folder": ({"etl/defs.py": DEFS, **DATA}, [], "", {"python_file": ("etl/defs.py",)}),
    "a file that imports what is beside it": (
        {"etl/defs.py": f"from assets import a\n{DEFS}", "etl/assets.py": "", **DATA},
        [],
        "",
        {"python_file": ("etl/defs.py",), "working_directory": "etl"},
    ),
    "a package": (
        {"etl/__init__.py": "", "etl/definitions.py": DEFS, **DATA}, [], "", {"module_name": ("etl.definitions",)}
    ),
    "a package without __init__.py": (
        {"etl/definitions.py": f"from etl.assets import a\n{DEFS}", "etl/assets.py": "", **DATA},
        [],
        "",
        {"module_name": ("etl.definitions",)},
    ),
    "a relative import without __init__.py": (
        {"code/etl/definitions.py": f"from . import assets\n{DEFS}", "code/etl/assets.py": "", **DATA},
        [],
        "",
        {"module_name": ("etl.definitions",), "working_directory": "code"},
    ),
    "src": (
        {"src/etl/__init__.py": "", "src/etl/definitions.py": DEFS, "pyproject.toml": "[project]\n", **DATA},
        [],
        "",
        {"module_name": ("etl.definitions",), "working_directory": "src"},
    ),
    "src, the module named": (
        {"src/etl/__init__.py": "", "src/etl/definitions.py": DEFS, **DATA},
        ["-m", "etl.definitions"],
        "",
        {"module_name": ("etl.definitions",), "working_directory": "src"},
    ),
    "src, the module named in it": (
        {"src/etl/__init__.py": "", "src/etl/definitions.py": DEFS, **DATA},
        ["-C", "src", "-m", "etl.definitions"],
        "",
        {"module_name": ("etl.definitions",), "working_directory": "src"},
    ),
    "src of a project below": (
        {"app/src/etl/__init__.py": DEFS, "app/setup.py": "", **DATA},
        [],
        "",
        {"module_name": ("etl",), "working_directory": "app/src"},
    ),
    "a module that is installed": (
        {**DATA}, ["-m", "elsewhere.definitions"], "", {"module_name": ("elsewhere.definitions",)}
    ),
    "a module that is there twice, the nearer one": (
        {"a/etl/defs.py": DEFS, "b/etl/defs.py": DEFS, **DATA},
        ["-C", "b", "-m", "etl.defs"],
        "",
        {"module_name": ("etl.defs",), "working_directory": "b"},
    ),
    "a file named from where it is": (
        {"app/defs.py": DEFS, **DATA},
        ["-C", "app", "-f", "defs.py"],
        "",
        {"python_file": ("app/defs.py",), "working_directory": "app"},
    ),
    "setup.py and a package, as dagster scaffolded them": (
        {
            "dagster_project/setup.py": "",
            "dagster_project/dagster_project/__init__.py": "from .definitions import defs as defs\n",
            "dagster_project/dagster_project/definitions.py": DEFS,
            "dagster_project/dagster_project_tests/__init__.py": "",
            **DATA,
        },
        [],
        "",
        {"module_name": ("dagster_project.definitions",), "working_directory": "dagster_project"},
    ),
    "what a project takes in is a part of it": (
        {
            "etl/__init__.py": "",
            "etl/definitions.py": "@definitions\ndef defs(): ...\n",
            "etl/defs/sales/defs.py": DEFS,
            **DATA,
        },
        [],
        "",
        {"module_name": ("etl.definitions",)},
    ),
    "nothing": ({"etl/code.py": "x = 1\n", **DATA}, [], "", {}),
}  # fmt: skip


def place(repo: Repo, arguments: list[str], **more: Any) -> Any:
    named = dict(zip(arguments[::2], arguments[1::2], strict=True))
    options = DagsterOptions(
        module_name=tuple(named[one] for one in ("-m",) if one in named),
        python_file=tuple(named[one] for one in ("-f",) if one in named),
    )
    start = repo.top / named.get("-C", ".")
    return find_place(Repository.discover(start), start, options=options, **more)


@pytest.mark.parametrize(("files", "arguments", "folder", "options"), FOUND.values(), ids=FOUND)
def test_found(
    repo: Repo, files: dict[str, str], arguments: list[str], folder: str, options: dict[str, Any]
) -> None:
    repo.write(files)
    found = place(repo, arguments)
    assert (found.folder, found.options) == (folder, DagsterOptions(**options))
    assert found.roots[0] == "data/1_raw"


SEVERAL: dict[str, tuple[dict[str, str], list[str], str, list[str]]] = {
    "projects": (
        {"a/pyproject.toml": TOML, "b c/workspace.yaml": ""},
        [],
        "there are several Dagster projects: a, b c",
        ["raw-trigger -C a init", "raw-trigger -C 'b c' init"],
    ),
    "seen from elsewhere": (
        {"a/pyproject.toml": TOML, "b/workspace.yaml": "", "data/1_raw/x.csv": ""},
        ["-C", "data"],
        "there are several Dagster projects: a, b",
        ["raw-trigger -C ../a init", "raw-trigger -C ../b init"],
    ),
    "files": (
        {"one/defs.py": DEFS, "two/__init__.py": "", "two/defs.py": DEFS},
        [],
        "there are several Dagster projects: one/defs.py, two/defs.py",
        ["raw-trigger -f one/defs.py init", "raw-trigger -m two.defs init"],
    ),
    "modules of one name": (
        {f"{one}/etl/{name}": DEFS for one in "ab" for name in ("__init__.py",)},
        [],
        "there are several Dagster projects: a/etl/__init__.py, b/etl/__init__.py",
        ["raw-trigger -C a -m etl init", "raw-trigger -C b -m etl init"],
    ),
}


@pytest.mark.parametrize(("files", "arguments", "message", "commands"), SEVERAL.values(), ids=SEVERAL)
def test_of_several_each_is_named_with_the_command_that_chooses_it(
    repo: Repo, files: dict[str, str], arguments: list[str], message: str, commands: list[str]
) -> None:
    repo.write({"data/1_raw/a.csv": "1\n", **files})
    with pytest.raises(UsageError) as caught:
        place(repo, arguments)
    assert caught.value.message == message
    assert caught.value.hint == "\n  ".join(["choose one:", *(f"`{one}`" for one in commands)])
    assert place(repo, arguments, ask=False).options == DagsterOptions()
    for command in commands:  # no circle: each of them finds the one that it names
        words = command.replace("'b c'", "b_c").replace("-C ../", "-C ").split()[1:-1]
        assert place(repo, [word.replace("b_c", "b c") for word in words]) is not None


def test_a_root_that_is_named_is_below_the_file(repo: Repo) -> None:
    repo.write({"app/pyproject.toml": TOML, "app/data/1_raw/b.csv": "", "landing/a.csv": ""})
    found = place(repo, ["-C", "app"], root=Path("../landing"))
    assert (found.folder, found.roots) == ("", ("landing",))
    assert found.options == DagsterOptions(module_name=("shop.definitions",), working_directory="app")
