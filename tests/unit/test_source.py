"""Which names of files are read off the source of an asset, without running it."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from raw_trigger.model.assets import HOLE, KEY
from raw_trigger.project.inside.source.names import MOST_NAMES, Sources


def loaded(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


HEAD = '''
import enum, glob, os, json, functools
import os.path as osp
from dataclasses import dataclass
from pathlib import Path

RAW = Path(__file__).parent / "data" / "1_raw"
TEXT = "data/1_raw"
FILES = {"orders": "crm/orders.csv", "people": "crm/people.csv"}
LIST = ["one.csv", "two.csv"]
PAIRS = [("x", "left.csv"), ("y", "right.csv")]
class Settings:
    root = "data/1_raw"
    @property
    def never(self): raise RuntimeError
settings = Settings()
class Kind(enum.Enum):
    A = "kind_a.csv"
def read(path): return open(path).read()
def raw(name, suffix=".csv"): return RAW / f"{name}{suffix}"
def load(name):
    """Not docs.csv."""
    return read(raw(name))
def spell(function):
    @functools.wraps(function)
    def inner(*args, **kwargs): return function(*args, **kwargs)
    return inner
'''
R = "/data/1_raw/"
NAMES: dict[str, tuple[str, list[str]]] = {
    # the function's body, what it names
    "a constant": ("read('orders.csv')", ["orders.csv"]),
    "a relative path": ("read('../data/1_raw/orders.csv')", ["data/1_raw/orders.csv"]),
    "pathlib": ("(RAW / 'crm' / 'orders.csv').read_text()", [R + "crm/orders.csv"]),
    "joinpath, parents": (
        "Path(__file__).parents[0].joinpath('data', 'a.csv').resolve().open()", ["/data/a.csv"]
    ),
    "os.path": ("open(osp.join(TEXT, 'crm', 'a.csv'))", ["data/1_raw/crm/a.csv"]),
    "an f-string": ("read(f'{TEXT}/a.csv')", ["data/1_raw/a.csv"]),
    "what only a run knows": (
        "read(RAW / 'days' / f'{context.partition_key}.csv')", [f"{R}days/{KEY}.csv"]
    ),
    "a part of the key": (
        "day = context.partition_key\nread(RAW / 'days' / day[:4] / f'{day}.csv')", [f"{R}days/{KEY}/{KEY}.csv"]
    ),
    "format and %": (
        "read('{}/{}.csv'.format(TEXT, day)), read(TEXT + '/%s_%d.csv' % (day, 3))",
        ["data/1_raw", f"data/1_raw/{HOLE}_{HOLE}.csv"],
    ),
    "a variable": ("path = RAW / 'a.csv'\nif context:\n    read(path)", [R + "a.csv"]),
    "a helper": ("load('orders')", [R + "orders.csv"]),
    "a helper with a named argument": ("read(raw(suffix='.json', name='a'))", [R + "a.json"]),
    "a dictionary": ("read(RAW / FILES['orders'])", [R + "crm/orders.csv"]),
    "a key that only a run knows": (
        "read(RAW / FILES[context.partition_key])", [R + "crm/orders.csv", R + "crm/people.csv"]
    ),
    "a loop": ("for one in LIST:\n    read(RAW / one)", ["one.csv", "two.csv", R + "one.csv", R + "two.csv"]),
    "a loop over pairs": (
        "for name, file in PAIRS:\n    read(RAW / file)", [R + "left.csv", R + "right.csv"]
    ),
    "a loop over a dictionary": (
        "[read(RAW / file) for name, file in FILES.items()]",
        ["crm/orders.csv", "crm/people.csv", R + "crm/orders.csv", R + "crm/people.csv"],
    ),
    "glob": (
        "[one for one in (RAW / 'notes').glob('*.txt')], glob.glob(TEXT + '/**/*.json')",
        [R + "notes/*.txt", "data/1_raw/**/*.json"],
    ),
    "listdir": ("os.listdir(RAW / 'notes')", [R + "notes/*"]),
    "a setting": ("read(settings.root + '/a.csv')", ["data/1_raw/a.csv"]),
    "an enumeration": ("read(RAW / Kind.A.value)", [R + "kind_a.csv"]),
    "SQL": (
        "execute(f\"create table t as select * from read_csv('{TEXT}/a.csv') join 'b c.parquet'\")",
        ["data/1_raw/a.csv", "b c.parquet"],
    ),
    "the environment": ("read(os.getenv('NOT_THERE_AT_ALL', 'here') + '/a.csv')", ["here/a.csv"]),
    "an alternative": ("read(RAW / ('a.csv' if day else 'b.csv'))", [R + "a.csv", R + "b.csv"]),
    "a default": ("", ["default.csv"]),
    "what it writes": (
        "open('out.csv', 'w').write('x.csv')\ntable.to_csv(RAW / 'out.csv')\nPath('o.csv').write_text('')", []
    ),
    "what is no file": (
        "log('orders'), log('.csv'), log('https://a.b/c.csv'), log('*'), log(2.0), log('v2.0'), settings.never",
        [],
    ),
    "a docstring": ("'''Loads docs.csv.'''\n1 + 1", []),
    "a name with a space": ("read(RAW / 'my data.csv')", [R + "my data.csv", "data.csv"]),
}  # fmt: skip


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return tmp_path / "repo"


def names(repo: Path, code: str) -> list[str]:
    repo.mkdir(exist_ok=True)
    (repo / "defs.py").write_text(code)
    found: Any = loaded("code_of_an_asset", repo / "defs.py").made
    reader = Sources(str(repo), lambda path: path.startswith(str(repo)))
    return list(reader.names(found))


@pytest.mark.parametrize(("body", "expected"), NAMES.values(), ids=NAMES)
def test_names(repo: Path, body: str, expected: list[str]) -> None:
    default = "" if body else ", file='default.csv'"
    body = textwrap.indent(body or "read(file)", "    ")
    code = f"{HEAD}\n@spell\ndef made(context, day=None{default}):\n{body}\n"
    assert sorted(names(repo, code)) == sorted(expected)


def test_a_factory_closes_over_the_name(repo: Path) -> None:
    code = f"""{HEAD}
def table(name, *paths):
    def made():
        for path in paths:
            read(RAW / path)
        return load(name)
    return made
made = table("orders", "a.csv", "b/c.csv")
"""
    assert sorted(names(repo, code)) == sorted(
        [R + "a.csv", R + "b/c.csv", R + "orders.csv", "a.csv", "b/c.csv"]
    )


def test_the_default_of_a_configuration(repo: Path) -> None:
    pytest.importorskip("dagster")
    code = f"""{HEAD}
import dagster as dg
class Config(dg.Config):
    file: str = "configured.csv"
def made(config: Config):
    read(RAW / config.file)
"""
    assert names(repo, code) == [R + "configured.csv"]


@pytest.mark.parametrize(
    "code",
    [
        "made = len",
        "made = lambda: open('a.csv')",
        "class Made:\n    def __call__(self): open('a.csv')\nmade = Made()",
        "exec('def made(): open(1)')",
        "def made():\n    return made()",
        "def made(a=[]):\n    for a in a:\n        a += made(a)\n    return [a for a in a]",
        "def made():\n    return " + "(" * 60 + "1" + ")" * 60,
        "async def made(*, a, **b):\n    match a:\n        case 1: pass\n    del b",
    ],
)
def test_whatever_is_not_understood_is_left_out(repo: Path, code: str) -> None:
    assert names(repo, code) == []


def test_what_grows_without_end_is_cut(repo: Path) -> None:
    code = "def made():\n    x = 'a'\n" + "    x = x + x\n" * 40 + "    open(x + '.csv')\n"
    assert len(names(repo, code)) < MOST_NAMES
