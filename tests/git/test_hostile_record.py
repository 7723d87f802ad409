"""A record that came from anybody: what is damaged in it is an error before anything runs, with the way out."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from raw_trigger.adopt import adopt
from raw_trigger.cli.app import app
from raw_trigger.dvc.tracked import Tracked
from raw_trigger.errors import RecordError
from raw_trigger.mapping.rules import RuleBook
from raw_trigger.record import moving
from raw_trigger.record import tree as recorded_tree
from tests.conftest import Repo
from tests.support.two_assets import RULES, Ground

REF = "refs/raw-trigger/local"
OID = "1" * 40
FILE, LINK, TREE, MODULE = "100644", "120000", "040000", "160000"
NEVER: object = object()


def exception(path: str = "data/1_raw/a", targets: object = NEVER, **more: object) -> tuple[str, str]:
    """An exception's file and what is in it."""
    name = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
    told = {"path": path, "targets": {"a": OID} if targets is NEVER else targets, **more}
    return f"exceptions/{name}.json", json.dumps(told)


NAME = exception()[0]
NOW = "2026-01-31T00:00:00+00:00"
KINDS = {
    "exception no JSON": (NAME, FILE, "{", f"{NAME}: Expecting property name"),
    "exception no UTF-8": (NAME, FILE, b"\xff", f"{NAME}: 'utf-8' codec"),
    "exception a list": (NAME, FILE, "[]", f"{NAME}: it is no object of a path and targets"),
    "exception empty": (NAME, FILE, "", f"{NAME}: Expecting value"),
    "exception too deep": (NAME, FILE, "[" * 100_000, f"{NAME}: it is nested too deeply"),
    "exception with a number": (NAME, FILE, "9" * 5000, f"{NAME}: Exceeds the limit"),
    "exception NaN": (NAME, FILE, "NaN", f"{NAME}: NaN is no number"),
    "a name twice": (
        NAME,
        FILE,
        '{"path": "data/1_raw/a", "path": "b"}',
        f"{NAME}: the name 'path' is there twice",
    ),
    "no path": (NAME, FILE, '{"targets": {}}', f"{NAME}: it is no object of a path and targets"),
    "no targets": (NAME, FILE, '{"path": "data/1_raw/a"}', f"{NAME}: it is no object of a path and targets"),
    "further names": (NAME, FILE, exception(by="x")[1], f"{NAME}: it is no object of a path and targets"),
    "path a number": (NAME, FILE, '{"path": 1, "targets": {}}', f"{NAME}: '1' is no path of a file"),
    **{
        f"path {path!r}": (exception(path)[0], FILE, exception(path)[1], "is no path of a file")
        for path in (
            "",
            "/etc/passwd",
            "../a",
            "data/../../a",
            "a//b",
            "a/",
            "./a",
            "a\0b",
            "\ud800",
            "\udfff",
            ".raw-trigger/rules",
        )
    },
    "path of another name": (NAME, FILE, exception("data/1_raw/b")[1], f"{NAME}: it is about another path"),
    **{
        f"targets {targets!r:.30}": (
            *exception(targets=targets)[:1],
            FILE,
            exception(targets=targets)[1],
            "is no content",
        )
        for targets in (
            [],
            "a",
            None,
            {"a": 1},
            {"a": ""},
            {"a": "HEAD"},
            {"a": "1" * 39},
            {"a": "A" * 40},
            {"a": [OID]},
            {"a": OID + "\n"},
            {"a": True},
            {"a": "1" * 32 + ".file"},
        )
    },
    "exception a link": (NAME, LINK, "x", f"{NAME} has the mode 120000"),
    "exception a submodule": (NAME, MODULE, OID, f"{NAME} has the mode 160000"),
    "exception in a folder": (f"{NAME}/x", FILE, "x", f"{NAME} has the mode 040000"),
    "exception of no UTF-8 name": (b"exceptions/\xff.json", FILE, exception()[1], "it is about another path"),
    "exceptions a file": ("exceptions", FILE, "x", "exceptions has the mode 100644"),
    "exceptions a submodule": ("exceptions", MODULE, OID, "exceptions has the mode 160000"),
    "contents a file": ("contents", FILE, "x", "contents has the mode 100644"),
    "data of DVC's a link": ("dvc", LINK, "x", "dvc has the mode 120000"),
    "rules a link": ("rules", LINK, "x", "rules has the mode 120000"),
    "rules a folder": ("rules/x", FILE, "x", "rules has the mode 040000"),
    "rules a submodule": ("rules", MODULE, OID, "rules has the mode 160000"),
    "rules no JSON": ("rules", FILE, "{", "rules: Expecting property name"),
    "rules no UTF-8": ("rules", FILE, b"\xff\xff\xff", "rules: 'utf-"),
    "rules a list": ("rules", FILE, "[]", "rules: it has no list of rules"),
    "rules of a newer version": (
        "rules",
        FILE,
        '{"version": 2, "rules": []}',
        "rules: its version is 2, not 1",
    ),
    "rules too deep": ("rules", FILE, "[" * 100_000, "rules: it is nested too deeply"),
    **{
        f"launch {document!r:.40}": (
            "launches/one.json",
            FILE,
            json.dumps(
                {"face": "cli", "started": NOW, "owner": None, "unknown": [], "contested": []} | document
            )
            if isinstance(document, dict)
            else document,
            "launches/one.json: ",
        )
        for document in (
            "",
            "[]",
            '"x"',
            "{}",
            {"started": "yesterday"},
            {"started": "2026-01-31T00:00:00"},
            {"started": 1},
            {"owner": "me"},
            {"owner": {"host": "h"}},
            {"owner": {"host": "h", "namespace": "", "pid": "x", "started": ""}},
            {"unknown": None},
            {"unknown": "x"},
            {"unknown": [1]},
            {"unknown": [{"targets": ["a"], "paths": ["../x"]}]},
            {"unknown": [{"targets": 1, "paths": []}]},
            {"contested": {"targets": []}},
        )
    },
    "launch of another name": ("launches/one", FILE, "{}", "it is not named after a launch"),
    "instance no UTF-8": ("instance", FILE, b"\xff", "codec can't decode"),
    "something newer": (
        "marks/x",
        FILE,
        "x",
        "marks is not known to this version of raw-trigger; is there a newer one?",
    ),
    "own folder a file": (None, FILE, "x", ".raw-trigger is no folder"),
    "own folder a link": (None, LINK, "x", ".raw-trigger is no folder"),
    "own folder a submodule": (None, MODULE, OID, ".raw-trigger is no folder"),
}


def record(repo: Repo, name: str | bytes | None, mode: str, content: str | bytes) -> None:
    """Record a tree with a file of data and one thing more."""
    repo.commit({"data/1_raw/a": "1"})
    path = b".raw-trigger" + (
        b"" if name is None else b"/" + (name.encode() if isinstance(name, str) else name)
    )
    oid = content
    if mode != MODULE:
        file = repo.top.parent / "content"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        oid = repo.git("hash-object", "-w", "--no-filters", str(file))
    repo.git("read-tree", "HEAD")
    line = f"{mode} {oid}\t".encode() + path + b"\0"
    subprocess.run(["git", "update-index", "-z", "--index-info"], input=line, cwd=repo.top, check=True)
    repo.git("update-ref", REF, repo.git("write-tree"))
    repo.git("read-tree", "HEAD")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_damaged_is_told_with_the_way_out(repo: Repo, kind: str) -> None:
    name, mode, content, said = KINDS[kind]
    record(repo, name, mode, content)
    with pytest.raises(RecordError) as caught:
        recorded_tree.read(repo.open(), "local")
    assert caught.value.message.startswith(f"{REF} cannot be read: .raw-trigger"), caught.value.message
    assert said in caught.value.message
    assert caught.value.hint is not None and f"git update-ref -d {REF}" in caught.value.hint


def name_a_commit(repo: Repo) -> str:
    return repo.git("rev-parse", "HEAD")


def name_a_blob(repo: Repo) -> str:
    return repo.git("rev-parse", "HEAD:data/1_raw/a")


def name_a_tag(repo: Repo) -> str:
    repo.git("tag", "-a", "-m", "x", "t", "HEAD^{tree}")
    return repo.git("rev-parse", "t")


def name_an_exception(repo: Repo) -> str:
    record(repo, *KINDS["path '../a'"][:3])
    return repo.git("rev-parse", REF)


@pytest.mark.parametrize("make", [name_a_commit, name_a_blob, name_a_tag, name_an_exception])
def test_every_command_says_so_before_anything_runs(repo: Repo, make: Callable[[Repo], str]) -> None:
    repo.commit({"data/1_raw/a": "1", "raw-trigger.yaml": "assets: [{path: a, asset: a}]\n"})
    repo.git("update-ref", REF, make(repo))
    before = repo.git("for-each-ref")
    for command in ("diff", "run", "status", "adopt --no-catalog"):
        done = CliRunner().invoke(app, ["-C", str(repo.top), *command.split()])
        assert done.exit_code == 3, (command, done.output)
        assert REF in done.stderr and f"git update-ref -d {REF}" in done.stderr, (command, done.stderr)
    assert repo.git("for-each-ref") == before


def test_rules_that_this_version_refuses_are_none_that_are_known(repo: Repo) -> None:
    """A version before may have recorded them: what they fed is not known then, which is everything."""
    rule = {"path": "{p:(?!x).*}", "assets": ["a"], "ignore": False, "partition": None}
    text = json.dumps({"version": 1, "roots": ["data/1_raw/"], "rules": [rule], "catalog": None})
    record(repo, "rules", FILE, text)
    found = recorded_tree.read(repo.open(), "local")
    assert found is not None and found.rules == text
    assert RuleBook.described(text).match(b"data/1_raw/a") is None


@pytest.mark.parametrize(
    ("name", "mode"), [("data/1_raw/x", FILE), ("%2E%2E/x", MODULE), ("data/%2Fx", MODULE), ("a/%00", MODULE)]
)
def test_data_of_dvcs_that_is_none(repo: Repo, name: str, mode: str) -> None:
    record(repo, f"dvc/{name}", mode, OID if mode == MODULE else "x")
    with pytest.raises(RecordError, match=r"cannot be read: \.raw-trigger/dvc/") as caught:
        Tracked(repo.open(), ("data/1_raw",)).files(REF)
    assert caught.value.hint is not None and "git update-ref -d" in caught.value.hint


def test_a_lock_of_the_ref_that_was_left_behind(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that is killed leaves it. The error names it."""
    monkeypatch.setattr(moving, "_PAUSE", 0.0)
    ground = Ground(repo.top)
    ground.commit({"raw-trigger.yaml": RULES, "data/1_raw/a.csv": "1"})
    adopt(ground.trigger().planner, "HEAD")
    repo.git("config", "core.filesRefLockTimeout", "0")
    lock = repo.top / f".git/{REF}.lock"
    lock.touch()
    ground.write({"data/1_raw/a.csv": "2"})
    with pytest.raises(RecordError, match=rf"git cannot move {REF}: {lock} is there") as error:
        ground.run()
    assert "delete that file" in str(error.value.hint)
    lock.unlink()
    assert ground.run() == ["a"]
