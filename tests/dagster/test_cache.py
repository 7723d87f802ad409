"""A catalog is loaded again exactly when something that it depends on has changed."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from raw_trigger.errors import ProjectError
from tests.support.forks import dagster_environment

FILES = {
    "defs.py": """
        import csv, pathlib
        import dagster as dg
        from helper import name
        try:
            import local_settings
        except ImportError:
            local_settings = None
        here = pathlib.Path(__file__).parent
        names = sorted(p.stem for p in (here / "data").iterdir())
        with open("names.csv") as f:
            names += [row[0] for row in csv.reader(f)]
        if local_settings: names.append("local")
        def make(n):
            @dg.asset(name=n)
            def a(): ...
            return a
        defs = dg.Definitions([make(n) for n in [name, *names]])
    """,
    "helper.py": "name = 'helped'\n",
    "names.csv": "listed\n",
    "data/one.csv": "",
}
ASSETS = ["helped", "listed", "one"]
LONG_AGO = time.time() - 3600


class Counted:
    """A project whose interpreter notes when it is started."""

    def __init__(self, sandbox) -> None:
        self.sandbox = sandbox
        self.folder: Path = sandbox.folder
        self.cache = self.folder.parent / "cache" / "catalog.json"
        self.notes = self.folder.parent / "starts"
        python = self.folder.parent / "python"
        python.write_text(
            f'#!/bin/sh\necho "$*" >> {self.notes}\nexec {dagster_environment()}/bin/python "$@"\n'
        )
        python.chmod(0o755)
        self.project = sandbox.project(python_file=("defs.py",), python=str(python))
        self.age()

    def age(self) -> None:
        for path in self.folder.rglob("*"):
            os.utime(path, (LONG_AGO, LONG_AGO))

    def starts(self) -> int:
        """How often Dagster was loaded since the last call."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        self.notes.write_text("")
        return sum(line.endswith(" probe") for line in lines)

    def catalog(self, **options):
        found = self.project.catalog(**options)
        return sorted(found.assets), found.fresh, self.starts()


@pytest.fixture(scope="module")
def counted(sandbox_factory):
    made = Counted(sandbox_factory(FILES))
    assert made.catalog() == (ASSETS, True, 1)
    return made


HIT = (ASSETS, False, 0)


def test_a_hit_starts_no_process_at_all(counted):
    assert counted.catalog() == HIT
    counted.notes.write_text("")
    counted.catalog()
    assert counted.notes.read_text() == ""
    assert counted.catalog(fresh=True) == (ASSETS, True, 1)


def test_what_does_not_matter(counted):
    """A touch, files that the project did not look at, bytecode, editors' droppings."""
    os.utime(counted.folder / "helper.py")
    (counted.folder / "README.md").write_text("hello")
    (counted.folder / "__pycache__").mkdir(exist_ok=True)
    (counted.folder / "other_folder").mkdir(exist_ok=True)
    (counted.folder / ".helper.py.swp").write_text("")
    assert counted.catalog() == HIT
    before = counted.cache.read_bytes()
    assert counted.catalog() == HIT
    assert counted.cache.read_bytes() == before  # too soon to tell: not worth a write


def test_what_the_content_told_is_kept(counted, monkeypatch):
    """Once the stamps can be trusted again, they are: the next time nothing is read."""
    os.utime(counted.folder / "helper.py")
    monkeypatch.setattr("raw_trigger.project.catalog.RACY_NS", 0)
    before = counted.cache.read_bytes()
    assert counted.catalog() == HIT
    assert counted.cache.read_bytes() != before
    monkeypatch.setattr("raw_trigger.project.catalog._digest", lambda path: pytest.fail(f"{path} was read"))
    assert counted.catalog() == HIT


EDITS = {
    "imported module": ("helper.py", "name = 'helped_more'\n", ["helped_more", "listed", "one"]),
    "same size and time": ("names.csv", "LISTED\n", ["LISTED", "helped", "one"]),
    "file read while loading": ("names.csv", "listed\nagain\n", ["again", "helped", "listed", "one"]),
    "new file in a listed folder": ("data/two.csv", "", ["helped", "listed", "one", "two"]),
    "module that was missing": ("local_settings.py", "", ["helped", "listed", "local", "one"]),
    "project file": ("pyproject.toml", "[project]\nname = 'x'\n", ASSETS),
    ".env": (".env", "A=1\n", ASSETS),
}


@pytest.mark.parametrize(("name", "text", "assets"), EDITS.values(), ids=EDITS)
def test_what_matters(counted, name, text, assets):
    path = counted.folder / name
    before = path.read_text() if path.exists() else None
    kept = counted.cache.read_bytes()
    path.write_text(text)
    if path.suffix != ".py":  # Python itself would take the old bytecode
        os.utime(path, (LONG_AGO, LONG_AGO))
    try:
        assert counted.catalog() == (assets, True, 1)
    finally:
        path.unlink() if before is None else path.write_text(before)
        counted.age()
        counted.cache.write_bytes(kept)
    assert counted.catalog() == HIT


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda text: "", marks=pytest.mark.soak),
        lambda text: text[:1000],
        pytest.param(lambda text: "[]", marks=pytest.mark.soak),
        pytest.param(lambda text: "{}", marks=pytest.mark.soak),
        lambda text: '{"version": 1}',
        lambda text: text.replace('"kind":"materializable"', '"mind":0'),
        pytest.param(lambda text: text.replace('"files":{', '"files":3,"x":{'), marks=pytest.mark.soak),
        pytest.param(
            lambda text: text.replace('"libraries":{', '"libraries":null,"x":{'), marks=pytest.mark.soak
        ),
    ],
)
def test_a_damaged_cache_is_a_miss(counted, damage):
    counted.cache.write_text(damage(counted.cache.read_text()))
    assert counted.catalog() == (ASSETS, True, 1)
    assert counted.catalog() == HIT


def test_other_options_and_an_upgraded_library_are_misses(counted):
    document = json.loads(counted.cache.read_text())
    (library,) = [path for path in document["libraries"] if Path(path).is_relative_to(sys.prefix)]
    document["libraries"][library][1] -= 1
    counted.cache.write_text(json.dumps(document))
    assert counted.catalog() == (ASSETS, True, 1)
    other = counted.sandbox.project(
        python_file=("defs.py",), attribute="defs", python=counted.project.options.python
    )
    assert other.catalog().fresh


def test_a_project_reached_through_a_link(sandbox_factory):
    sandbox = sandbox_factory(FILES)
    link = sandbox.folder.parent / "link"
    link.symlink_to(sandbox.folder)
    sandbox.folder = link
    counted = Counted(sandbox)
    assert counted.catalog() == (ASSETS, True, 1)
    assert counted.catalog() == HIT
    (link / "data" / "two.csv").write_text("")
    assert counted.catalog() == ([*ASSETS, "two"], True, 1)


def test_an_edit_while_loading_is_not_cached(sandbox_factory):
    sandbox = sandbox_factory(
        {
            "defs.py": """
                import dagster as dg, helper, pathlib, subprocess
                subprocess.run(["touch", "helper.py"], check=True)
                defs = dg.Definitions()
            """,
            "helper.py": "",
        }
    )
    project = sandbox.project(python_file=("defs.py",))
    assert project.catalog().fresh
    assert project.catalog().fresh


def test_a_failed_load_is_not_cached_and_the_old_catalog_not_used(sandbox_factory):
    counted = Counted(sandbox_factory(FILES))
    counted.catalog()
    (counted.folder / "helper.py").write_text("name = 1/0\n")
    with pytest.raises(ProjectError, match="ZeroDivisionError"):
        counted.catalog()
    (counted.folder / "helper.py").write_text(FILES["helper.py"])
    assert counted.catalog()[0] == ASSETS


def test_an_unwritable_cache_is_no_error(sandbox_factory):
    sandbox = sandbox_factory({"defs.py": "import dagster as dg\ndefs = dg.Definitions()\n"})
    (sandbox.folder.parent / "cache" / "catalog.json").mkdir(parents=True)
    assert sandbox.project(python_file=("defs.py",)).catalog().fresh
    assert sorted(p.name for p in (sandbox.folder.parent / "cache").iterdir()) == ["catalog.json", "logs"]
