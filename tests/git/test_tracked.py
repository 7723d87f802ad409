"""Data that DVC has is planned under its own path, and recorded with its pointer file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from raw_trigger.adopt import adopt
from raw_trigger.arguments import Words, understood
from raw_trigger.documents import MOST_TEXT
from raw_trigger.dvc.pointer_files import PointerFiles
from raw_trigger.errors import DocumentError, UsageError
from raw_trigger.explain import AssetExplanation, Explainer, PathExplanation
from raw_trigger.hooks.event import hook_events
from raw_trigger.initialize import draft, find_place, look
from raw_trigger.learn.learning import learned
from raw_trigger.model.changes import Entry
from raw_trigger.model.outcome import Reads
from raw_trigger.model.plan import Target
from raw_trigger.model.record import Learnt, Results
from raw_trigger.reads import Reading
from raw_trigger.record import moving, successors
from raw_trigger.record import results as travelling
from raw_trigger.render.json import render
from tests.support.dvc import DvcRepo, R, entry, folder_list, lock, md5, pointer, shown


@pytest.fixture
def dvc(tmp_path: Path) -> DvcRepo:
    top = tmp_path / "repo"
    top.mkdir()
    return DvcRepo(top)


def two(dvc: DvcRepo, a: str, b: str) -> None:
    dvc.data({"a.csv": a, "b.csv": b})
    dvc.commit({R + "a.csv.dvc": pointer("a.csv", a), R + "b.csv.dvc": pointer("b.csv", b)})


def test_a_pointer_is_its_data(dvc: DvcRepo) -> None:
    two(dvc, "1\n", "1\n")
    dvc.git("add", "-A")
    dvc.commit()
    dvc.adopt()
    assert dvc.settled()
    two(dvc, "2\n", "1\n")
    plan = dvc.plan()
    assert shown(plan) == ["M a.csv a"]
    change = json.loads("".join(render(plan)))["changes"][0]
    assert (change["old_oid"], change["new_oid"], change["content"]) == (md5("1\n"), md5("2\n"), "dvc")
    assert dvc.run().made == ["a"]
    assert dvc.settled()
    assert dvc.run().made == []


def test_what_dvc_writes_beside_the_identity_is_no_change(dvc: DvcRepo) -> None:
    two(dvc, "1\n", "1\n")
    dvc.git("add", "-A")
    dvc.commit()
    dvc.adopt()
    text = pointer("a.csv", "1\n")
    dvc.commit({R + "a.csv.dvc": text.replace("  path", "  desc: the first\n  path") + "meta: {by: me}\n"})
    assert shown(dvc.plan()) == []
    assert dvc.run().made == []
    assert dvc.settled(), "it is recorded all the same"


def two_stages(dvc: DvcRepo) -> None:
    """Two stages in one dvc.lock above the root, recorded."""
    dvc.data({"a.csv": "1", "b.csv": "1"})
    dvc.git("add", "-A")
    dvc.commit({"data/dvc.lock": lock(a="1", b="1")})
    dvc.adopt()


def both_change(dvc: DvcRepo) -> None:
    dvc.data({"a.csv": "2", "b.csv": "2"})
    dvc.commit({"data/dvc.lock": lock(a="2", b="2")})


def test_the_pointers_of_one_file_each_reflect_what_they_reflect(dvc: DvcRepo) -> None:
    """Two stages in one dvc.lock above the root: one of them fails."""
    two_stages(dvc)
    both_change(dvc)
    dvc.failing = frozenset({"b"})
    assert dvc.run().made == ["a"]
    assert (dvc.held(), dvc.record().kept) == ({"a.csv": md5("2"), "b.csv": md5("1")}, {})
    again = dvc.run()
    assert (again.made, shown(again.plan)) == ([], ["M b.csv b"])
    held = dvc.held()
    adopt(dvc.trigger().planner, dvc.record().tree)
    assert (dvc.held(), shown(dvc.plan())) == (held, ["M b.csv b"]), "a record is another one's base"
    # While it waits, the other one goes on.
    dvc.data({"a.csv": "3"})
    dvc.commit({"data/dvc.lock": lock(a="3", b="2")})
    assert dvc.run().made == ["a"]
    dvc.failing = frozenset()
    assert dvc.run().made == ["b"]
    assert dvc.settled()


def test_narrowed_to_one_of_two(dvc: DvcRepo) -> None:
    two_stages(dvc)
    both_change(dvc)
    assert dvc.run(paths=("a.csv",)).made == ["a"]
    assert shown(dvc.plan()) == ["M b.csv b"]
    assert dvc.adopt("HEAD", "b.csv") == 1
    assert shown(dvc.plan()) == []
    assert dvc.settled()


@pytest.mark.parametrize(
    ("word", "paths"),
    [
        ("data/1_raw/a.csv", ["data/1_raw/a.csv"]),
        ("a.csv", ["data/1_raw/a.csv"]),
        (
            "data/dvc.lock",
            ["data/1_raw/a.csv", "data/1_raw/a.csv/**", "data/1_raw/b.csv", "data/1_raw/b.csv/**"],
        ),
        ("data/1_raw/gone.csv", None),
    ],
)
def test_words_for_what_dvc_has(dvc: DvcRepo, word: str, paths: list[str] | None) -> None:
    two_stages(dvc)
    dvc.write({R + "a.csv": None})
    both_change(dvc)
    if paths is None:
        with pytest.raises(UsageError, match="is no revision, no raw file and no asset"):
            understood(dvc.trigger().planner, Words((word,)), dvc.top)
    else:
        assert set(understood(dvc.trigger().planner, Words((word,)), dvc.top).narrowing.paths) >= set(paths)


def test_rules_for_the_pointer_itself(dvc: DvcRepo) -> None:
    dvc.data({"a.csv": "1"})
    dvc.write(
        {"raw-trigger.yaml": "root: data/1_raw\nassets: [{path: '{name}.csv.dvc', asset: 'old_{name}'}]\n"}
    )
    dvc.git("add", "-A")
    dvc.commit({R + "a.csv.dvc": pointer("a.csv", "1")})
    assert shown(dvc.plan("HEAD~0")) == []
    dvc.adopt()
    dvc.data({"a.csv": "2"})
    dvc.commit({R + "a.csv.dvc": pointer("a.csv", "2")})
    assert shown(dvc.plan()) == ["M a.csv old_a"]
    # A rule for the data is newer, and comes first.
    rules = "assets: [{path: '{name}.csv.dvc', asset: 'old_{name}'}, {path: a.csv, asset: a}]\n"
    dvc.write({"raw-trigger.yaml": "root: data/1_raw\n" + rules})
    assert shown(dvc.plan()) == ["M a.csv a"]


def test_data_that_git_was_given_too(dvc: DvcRepo) -> None:
    """By accident, with its pointer file left there: it is git's that counts, for as long as git has it."""
    two(dvc, "1", "1")
    dvc.git("add", "-A")
    dvc.commit()
    dvc.adopt()
    dvc.git("add", "-f", R + "a.csv")
    dvc.commit()
    assert dvc.run().made == ["a"]
    assert shown(dvc.plan()) == []
    two(dvc, "1", "2")
    assert dvc.run().made == ["b"]
    assert shown(dvc.plan()) == []
    dvc.git("rm", "-q", "--cached", R + "a.csv")
    dvc.commit()
    assert dvc.run().made == ["a"]
    assert dvc.settled()


@pytest.mark.parametrize("then", ["back", "less", "nothing"])
def test_one_of_two_and_then_something_else(dvc: DvcRepo, then: str) -> None:
    """The pointer file is as it was recorded, or names less than was made, or is gone."""
    two_stages(dvc)
    both_change(dvc)
    dvc.failing = frozenset({"b"})
    assert dvc.run().made == ["a"]
    dvc.failing = frozenset()
    dvc.data({"a.csv": "1" if then == "back" else None, "b.csv": None if then == "nothing" else "1"})
    files = {"back": lock(a="1", b="1"), "less": lock(b="1"), "nothing": None}
    dvc.commit({"data/dvc.lock": files[then]})
    expected = {"back": ["M a.csv a"], "less": ["D a.csv a"], "nothing": ["D a.csv a", "D b.csv b"]}
    assert shown(dvc.plan()) == expected[then]
    dvc.run()
    assert shown(dvc.plan()) == []
    assert dvc.settled()


def test_what_is_recorded_without_its_pointer_file_is_not_lost(dvc: DvcRepo) -> None:
    """Another run recorded another version meanwhile, or the file could not be stored."""
    two_stages(dvc)
    new = {path: Learnt(Entry("dvc", md5("2"))) for path in (f"{R}a.csv".encode(), f"{R}c.csv".encode())}
    moving.promote(
        dvc.open(), "local", Results("", new), pointer_files=PointerFiles(dvc.open(), ["data/1_raw"])
    )
    assert shown(dvc.plan()) == ["M a.csv a", "D c.csv c"]
    assert dvc.run().made == ["a"]
    assert shown(dvc.plan()) == []
    assert dvc.settled()


FOLDER = {"a.txt": "1", "b.txt": "1", "c.txt": "1"}
ODD = (
    *(".gitattributes", ".gitmodules", ".GIT/x", "git~1", "GITMOD~1", "gi7eba~1", "a/.git./x", "x\\.git"),
    *(".dir", "%2E", ".g\u200cit", "\u200c.git", "~1234567", ".gitignore", "a/..b", "ä.csv"),
)


def folder(dvc: DvcRepo, files: dict[str, str], *, cached: bool = True) -> None:
    if cached:
        dvc.cache(files)
    shutil.rmtree(dvc.top / R / "folder", ignore_errors=True)
    dvc.data({f"folder/{name}": content for name, content in files.items()})
    dvc.commit({R + "folder.dvc": pointer("folder", files)})


def test_a_folder_by_its_files(dvc: DvcRepo) -> None:
    dvc.git("add", "-A")
    folder(dvc, FOLDER)
    dvc.adopt()
    after = {"a.txt": "2", "b.txt": "2", "c.txt": "1"}
    folder(dvc, after)
    assert shown(dvc.plan()) == ["M folder/a.txt a", "M folder/b.txt b"]
    dvc.failing = frozenset({"b"})
    assert dvc.run().made == ["a"]
    assert dvc.held() == {f"folder/{name}.txt": md5(told) for name, told in zip("abc", "211", strict=True)}
    assert dvc.run().made == []
    folder(dvc, {"a.txt": "2", "c.txt": "1"})
    assert shown(dvc.plan()) == ["D folder/b.txt b"]
    folder(dvc, {"a.txt": "2", "b.txt": "2", "c.txt": "3"})
    dvc.failing = frozenset()
    assert dvc.run().made == ["b", "c"]
    assert dvc.settled()
    assert sorted(dvc.held()) == ["folder/.dir", "folder/a.txt", "folder/b.txt", "folder/c.txt"]


def test_narrowed_to_one_file_of_a_folder(dvc: DvcRepo) -> None:
    dvc.git("add", "-A")
    folder(dvc, FOLDER)
    dvc.adopt()
    folder(dvc, {"a.txt": "2", "b.txt": "2", "c.txt": "1"})
    assert dvc.run(paths=("folder/a.txt",)).made == ["a"]
    assert dvc.run().made == ["b"]
    assert dvc.settled()


def test_a_folder_whose_files_are_not_known(dvc: DvcRepo) -> None:
    dvc.git("add", "-A")
    folder(dvc, FOLDER)
    dvc.adopt()
    folder(dvc, {"a.txt": "2", "b.txt": "1"})
    dvc.forget()
    # What is on disk is what DVC names, and what was there before was kept with the record.
    assert shown(dvc.plan()) == ["M folder/a.txt a", "D folder/c.txt c"]
    dvc.data({"folder/a.txt": "edited"})
    for launching in (False, True):
        plan = dvc.plan(launching=launching)
        assert shown(plan) == ["M folder missing-content"]
    assert dvc.run().made == []
    assert not dvc.settled()
    dvc.data({"folder/a.txt": "2"})
    assert dvc.run().made == ["a"]
    assert dvc.settled()


def test_a_folder_that_was_adopted_unseen(dvc: DvcRepo) -> None:
    """Nobody knew its files then; one of those that are made from it now fails, and its file goes."""
    dvc.git("add", "-A")
    folder(dvc, FOLDER, cached=False)
    dvc.data({f"folder/{name}": None for name in FOLDER})
    dvc.adopt()
    assert dvc.held() == {"folder/.dir": md5(folder_list(FOLDER))}
    folder(dvc, {"a.txt": "1", "b.txt": "2"})
    assert shown(dvc.plan()) == ["M folder/a.txt a", "M folder/b.txt b"]
    dvc.failing = frozenset({"b"})
    assert dvc.run().made == ["a"]
    folder(dvc, {"a.txt": "1"})
    assert shown(dvc.plan()) == ["D folder/b.txt b"]
    dvc.failing = frozenset()
    dvc.run()
    assert dvc.settled()
    # And taken as a whole again.
    folder(dvc, FOLDER)
    dvc.forget()
    dvc.data({f"folder/{name}": None for name in FOLDER})
    assert shown(dvc.plan()) == ["M folder missing-content"]
    assert dvc.adopt("HEAD", "folder") == 1
    assert dvc.held() == {"folder/.dir": md5(folder_list(FOLDER))}
    assert dvc.settled()


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_record_goes_to_a_server_that_checks_objects(tmp_path: Path, algorithm: str) -> None:
    """Names that git refuses in trees are in a folder of DVC's, and come back as they were."""
    top, server, other = tmp_path / "repo", tmp_path / "server", tmp_path / "other"
    top.mkdir()
    dvc = DvcRepo(top, algorithm)
    dvc.write({"raw-trigger.yaml": "root: data/1_raw\nassets: [{path: 'folder/**', asset: whole}]\n"})
    files = dict.fromkeys(ODD, "1")
    dvc.git("add", "-A")
    folder(dvc, files)
    dvc.adopt()
    assert dvc.settled()
    dvc.git("init", "-q", "--bare", f"--object-format={algorithm}", str(server))
    for setting in ("transfer.fsckObjects", "receive.fsckObjects"):
        dvc.git("-C", str(server), "config", setting, "true")
    dvc.git("push", "-q", str(server), "refs/raw-trigger/local")
    dvc.git("init", "-q", f"--object-format={algorithm}", str(other))
    dvc.git("-C", str(other), "config", "transfer.fsckObjects", "true")
    dvc.git("-C", str(other), "fetch", "-q", str(server), "refs/raw-trigger/local:refs/raw-trigger/local")
    dvc.git("-C", str(other), "fsck", "--strict", "--no-dangling")
    odd = sorted(set(ODD) - {".gitattributes", ".gitignore"})
    folder(dvc, {**files, **dict.fromkeys(odd, "2")})
    dvc.forget()
    assert shown(dvc.plan()) == [f"M folder/{name} whole" for name in sorted(odd, key=str.encode)]


def test_a_folder_with_more_than_dvc_knows(dvc: DvcRepo) -> None:
    dvc.git("add", "-A")
    folder(dvc, FOLDER)
    dvc.adopt()
    folder(dvc, {**FOLDER, "a.txt": "2"})
    dvc.write({".dvcignore": "*.log\n"})
    dvc.data({"folder/x.log": "", "folder/deep/new.txt": "1"})
    plan = dvc.plan(launching=True)
    assert shown(plan) == ["M folder/a.txt dirty"]
    assert plan.waiting[0].reason == f"has files that DVC does not know, deep/new.txt: dvc add {R}folder"
    dvc.data({"folder/deep/new.txt": None})
    assert dvc.run().made == ["a"]


@pytest.mark.parametrize("name", ["data/1_raw.dvc", "data/all.dvc", "data.dvc"])
def test_a_pointer_beside_or_above_the_root(dvc: DvcRepo, name: str) -> None:
    """The whole root is DVC's: git has nothing there."""
    dvc.write({".gitignore": "/.dvc/cache\n/data/1_raw\n", R + "keep.txt": None})
    dvc.git("add", "-A")
    dvc.commit()
    if name == "data.dvc":
        place, inside = "data", "1_raw/folder/"
        dvc.write({".gitignore": "/.dvc/cache\n/data\n"})
    else:
        place, inside = "1_raw", "folder/"

    def put(a: str, b: str) -> None:
        files = {f"{inside}a.txt": a, f"{inside}b.txt": b}
        dvc.cache(files)
        dvc.data({"folder/a.txt": a, "folder/b.txt": b})
        dvc.commit({name: pointer(place, files), ".gitignore": (dvc.top / ".gitignore").read_text()})

    put("1", "1")
    dvc.adopt()
    assert shown(dvc.plan()) == []
    put("1", "2")
    assert shown(dvc.plan()) == ["M folder/b.txt b"]
    assert dvc.run().made == ["b"]
    assert dvc.run().made == []
    assert dvc.git("ls-tree", "-r", "--name-only", dvc.record().tree, "--", name) == name
    dvc.commit({"other.dvc": pointer("elsewhere", "x")})
    assert shown(dvc.plan()) == []


def test_renamed_deleted_and_given_to_git(dvc: DvcRepo) -> None:
    two(dvc, "1", "1")
    dvc.git("add", "-A")
    dvc.commit()
    dvc.adopt()
    dvc.data({"a.csv": None, "c.csv": "1"})
    dvc.commit({R + "a.csv.dvc": None, R + "c.csv.dvc": pointer("c.csv", "1")})
    plan = dvc.plan()
    assert shown(plan) == ["D a.csv a", "A c.csv c"]
    assert [planned.change.old_path for planned in plan.changes] == [None, f"{R}a.csv".encode()]
    assert dvc.run().made == ["c"]
    assert dvc.settled()
    # The data stays behind where only the pointer is taken away.
    dvc.commit({R + "b.csv.dvc": None})
    assert shown(dvc.plan(launching=True)) == ["D b.csv dirty"]
    dvc.git("add", "-f", R + "b.csv")
    dvc.commit()
    assert shown(dvc.plan()) == ["M b.csv b"]
    assert dvc.run().made == ["b"]
    assert dvc.settled()
    dvc.git("rm", "-q", "--cached", R + "b.csv")
    dvc.commit({R + "b.csv.dvc": pointer("b.csv", "1")})
    assert shown(dvc.plan()) == ["M b.csv b"]
    assert dvc.run().made == ["b"]
    assert dvc.settled()


def test_content_that_is_not_here(dvc: DvcRepo) -> None:
    two(dvc, "1", "1")
    dvc.git("add", "-A")
    dvc.commit()
    dvc.adopt()
    two(dvc, "2", "2")
    dvc.data({"a.csv": "3", "b.csv": None})
    plan = dvc.plan(launching=True)
    assert [(show, one.reason) for show, one in zip(shown(plan), plan.changes, strict=True)] == [
        ("M a.csv missing-content", f"{R}a.csv has other content than DVC's: dvc pull {R}a.csv"),
        ("M b.csv missing-content", f"{R}b.csv is not here: dvc pull {R}b.csv"),
    ]
    assert dvc.run().made == []
    assert shown(dvc.plan()) == shown(plan), "diff says the same"


def test_data_that_changed_while_it_was_read(dvc: DvcRepo) -> None:
    two(dvc, "1", "1")
    dvc.git("add", "-A")
    dvc.commit()
    dvc.adopt()
    two(dvc, "2", "2")
    assert dvc.run(meanwhile=lambda: dvc.data({"a.csv": "3"})).made == ["a", "b"]
    dvc.data({"a.csv": "2"})
    assert dvc.run().made == ["a"]
    assert dvc.settled()


def test_a_pointer_in_a_conflict(dvc: DvcRepo) -> None:
    two(dvc, "1", "1")
    dvc.git("add", "-A")
    dvc.commit()
    dvc.adopt()
    dvc.git("checkout", "-q", "-b", "one")
    two(dvc, "2", "1")
    dvc.git("checkout", "-q", "main")
    two(dvc, "3", "1")
    assert dvc.try_git("merge", "-q", "one").returncode == 1
    assert dvc.run().made == []
    dvc.git("checkout", "--ours", "--", R + "a.csv.dvc")
    dvc.commit({R + "a.csv.dvc": (dvc.top / R / "a.csv.dvc").read_text()})
    assert "a" in dvc.run().made


def test_a_pointer_file_of_the_whole_root_that_cannot_be_read(dvc: DvcRepo) -> None:
    """Not to know what it stands for is not that all of it is gone."""
    dvc.write({".gitignore": "/.dvc/cache\n/data/1_raw\n", R + "keep.txt": None})
    dvc.cache({"folder/a.txt": "1"})
    dvc.data({"folder/a.txt": "1"})
    dvc.git("add", "-A")
    dvc.commit({"data/1_raw.dvc": pointer("1_raw", {"folder/a.txt": "1"})})
    dvc.adopt()
    dvc.commit({"data/1_raw.dvc": "<<<<<<< HEAD\nouts: []\n"})
    with pytest.raises(DocumentError) as caught:
        dvc.plan()
    assert caught.value.message.startswith("data/1_raw.dvc cannot be read as a file of DVC's: ")
    dvc.write({"data/1_raw.dvc": "#" * (MOST_TEXT + 1)})
    with pytest.raises(DocumentError, match="it is larger than 4 MB"):
        dvc.plan()


def test_rules_edited_for_files_that_dvc_has(dvc: DvcRepo) -> None:
    dvc.git("add", "-A")
    folder(dvc, FOLDER)
    dvc.adopt()
    dvc.write(
        {
            "raw-trigger.yaml": "root: data/1_raw\nassets: [{path: 'folder/{name}.txt', asset: '{name}'},"
            " {path: 'x', asset: a}, {path: 'folder/*', asset: whole}]\n"
        }
    )
    assert shown(dvc.plan()) == []
    dvc.write({"raw-trigger.yaml": "root: data/1_raw\nassets: [{path: 'folder/*', asset: whole}]\n"})
    assert [t.target.text for t in dvc.plan().actionable] == ["whole"]
    assert dvc.run().made == ["whole"]
    assert dvc.settled()


TABLES = {"a.csv": "id,v\nA,1\nB,1\n", "b.csv": "id,v\nC,1\n"}


def by_rows(dvc: DvcRepo) -> None:
    """A rule begins to read a recorded folder's files by their rows while nothing of them is here."""
    dvc.write({"raw-trigger.yaml": "root: data/1_raw\nassets: [{path: 'folder/*', asset: whole}]\n"})
    dvc.git("add", "-A")
    folder(dvc, TABLES)
    dvc.adopt()
    dvc.forget()
    dvc.data(dict.fromkeys((f"folder/{name}" for name in TABLES), None))
    rules = "assets: [{path: 'folder/*', asset: keyed, rows: {key: id, partition: '{id}'}}]\n"
    dvc.write({"raw-trigger.yaml": "root: data/1_raw\n" + rules})
    for _ in range(2):
        assert shown(dvc.plan()) == ["R folder/a.csv missing-content", "R folder/b.csv missing-content"]
        assert dvc.run().made == []


def test_a_rule_that_reads_a_folder_by_rows_while_nothing_of_it_is_here(dvc: DvcRepo) -> None:
    by_rows(dvc)
    dvc.data({f"folder/{name}": text for name, text in TABLES.items()})
    assert [one.target.text for one in dvc.plan().actionable] == ["keyed|A", "keyed|B", "keyed|C"]
    dvc.failing = frozenset({"keyed"})
    assert dvc.run().made == []
    dvc.failing = frozenset()
    assert dvc.run().made == ["keyed|A", "keyed|B", "keyed|C"]
    assert dvc.settled()


def test_a_rule_that_reads_a_folder_by_rows_which_never_comes(dvc: DvcRepo) -> None:
    """The next version of the folder does; of the file that differs nothing can be compared."""
    by_rows(dvc)
    folder(dvc, {**TABLES, "b.csv": "id,v\nD,1\n"})
    assert dvc.run().made == ["keyed|A", "keyed|B", "keyed|D"]
    assert dvc.run().made == []
    assert dvc.settled()


def test_results_go_from_job_to_job(dvc: DvcRepo) -> None:
    """Each of two jobs does one of two stages; a third one, which has no data, puts it together."""
    two_stages(dvc)
    before = dvc.record()
    both_change(dvc)
    told: list[Results] = []
    for name in ("a", "b"):
        results = dvc.run("HEAD~1", "HEAD", paths=(f"{name}.csv",)).trigger.results
        assert results is not None
        told.append(travelling.loads(travelling.dumps(results), name, ["data/1_raw"]))
        moving.adopt(dvc.open(), "local", before.tree, before.rules or "", dvc.record())
    (dvc.top / R / "a.csv").unlink()
    for results, moves in ((told[:1], False), (told, True)):
        united = travelling.united(results)
        tree = successors.promoted(
            dvc.open(), before, united, pointer_files=PointerFiles(dvc.open(), ["data/1_raw"])
        )
        same = dvc.git("rev-parse", f"{tree}:data/dvc.lock") == dvc.git("rev-parse", "HEAD:data/dvc.lock")
        assert same == moves


def test_entries_of_one_pointer_file(dvc: DvcRepo) -> None:
    """Several outs in one file, one of them taken over by another."""
    dvc.data({"a.csv": "1", "b.csv": "1"})
    dvc.git("add", "-A")
    dvc.commit({R + "both.dvc": "outs:\n" + entry("a.csv", "1") + entry("b.csv", "1")})
    dvc.adopt()
    dvc.commit({R + "both.dvc": pointer("b.csv", "1"), R + "a.csv.dvc": pointer("a.csv", "1")})
    assert shown(dvc.plan()) == []
    assert dvc.run().made == []
    assert dvc.settled()


def test_rows_of_data_that_dvc_has(dvc: DvcRepo) -> None:
    """Read from DVC's cache, or from the disk."""
    rules = "root: data/1_raw\nassets: [{path: a.csv, asset: a, rows: {key: id, columns: [v]}}]\n"
    dvc.write({"raw-trigger.yaml": rules})
    first, second = "id,v,w\n1,x,x\n", "id,v,w\n1,x,y\n"
    dvc.cache_file(first)
    dvc.data({"a.csv": first})
    dvc.git("add", "-A")
    dvc.commit({R + "a.csv.dvc": pointer("a.csv", first)})
    dvc.adopt()
    dvc.data({"a.csv": second})
    dvc.commit({R + "a.csv.dvc": pointer("a.csv", second)})
    assert shown(dvc.plan()) == ["M a.csv unchanged"]
    dvc.forget()
    assert shown(dvc.plan()) == ["M a.csv a"]
    assert dvc.run().made == ["a"]
    assert dvc.settled()


def test_what_pre_commit_looks_at(dvc: DvcRepo) -> None:
    """A pointer file beside the root is staged, and what is under the root is planned."""
    files = {"folder/a.txt": "1"}
    dvc.cache(files)
    dvc.write({".gitignore": "/.dvc/cache\n/data/1_raw\n", R + "keep.txt": None})
    dvc.data(files)
    dvc.git("add", "-A")
    dvc.commit({"data/1_raw.dvc": pointer("1_raw", files)})
    dvc.adopt()
    dvc.stage({"other.dvc": pointer("other", "1")})
    assert hook_events(dvc.trigger().workspace, "pre-commit", (), b"", {}), "nobody knows yet"
    dvc.commit()
    assert hook_events(dvc.trigger().workspace, "pre-commit", (), b"", {}) == ()
    files = {"folder/a.txt": "2"}
    dvc.cache(files)
    dvc.data(files)
    dvc.stage({"data/1_raw.dvc": pointer("1_raw", files)})
    trigger = dvc.trigger()
    [event] = hook_events(trigger.workspace, "pre-commit", (), b"", {})
    plan = trigger.planner.plan(
        trigger.planner.detect(event.base, event.desired, event.staged), launching=True
    )
    assert shown(plan) == ["M folder/a.txt a"]
    dvc.write({"data/1_raw.dvc": pointer("1_raw", {"folder/a.txt": "3"})})
    trigger = dvc.trigger()
    plan = trigger.planner.plan(
        trigger.planner.detect(event.base, event.desired, event.staged), launching=True
    )
    assert shown(plan) == ["M folder/a.txt dirty"], "the pointer file on disk is another one than is staged"


def test_what_one_of_two_assets_does_not_reflect_is_explained_as_pending(dvc: DvcRepo) -> None:
    two = "root: data/1_raw\nassets: [{path: keep.txt, assets: [a, b]}]\n"
    dvc.write({"raw-trigger.yaml": two, R + "keep.txt": "1"})
    dvc.git("add", "-A")
    dvc.commit()
    dvc.adopt()
    told = []
    for content, failing, runs in (("2", "b", True), ("1", "", False), ("1", "", True)):
        dvc.write({R + "keep.txt": content})
        dvc.failing = frozenset(failing)
        if runs:
            dvc.run()
        # Changed back, it is as recorded, but not what `a` was made from.
        found = Explainer(dvc.trigger().planner).explain(R + "keep.txt", dvc.top)
        assert isinstance(found, PathExplanation)
        told.append(found.pending)
    assert told == [True, True, False]


def test_what_an_edited_rule_newly_feeds_is_explained_as_pending(dvc: DvcRepo) -> None:
    dvc.write({R + "keep.txt": "1"})
    dvc.git("add", "-A")
    dvc.commit()
    told = []
    for names in ("a", "a, b"):
        dvc.write(
            {"raw-trigger.yaml": f"root: data/1_raw\nassets: [{{path: keep.txt, assets: [{names}]}}]\n"}
        )
        if names == "a":
            dvc.adopt()
        found = Explainer(dvc.trigger().planner).explain(R + "keep.txt", dvc.top)
        assert isinstance(found, PathExplanation)
        told.append(found.pending)
    assert told == [False, True]


@pytest.mark.parametrize("name", ["nightly", "job:nightly"])
def test_a_job_is_explained_as_an_asset_is(dvc: DvcRepo, name: str) -> None:
    dvc.write({"raw-trigger.yaml": "root: data/1_raw\nassets: [{path: keep.txt, job: nightly}]\n"})
    dvc.git("add", "-A")
    found = Explainer(dvc.trigger().planner).explain(name, dvc.top)
    assert isinstance(found, AssetExplanation)
    assert (found.asset, found.kind) == ("job:nightly", "job")
    assert [(file.path, file.targets) for file in found.files] == [(R + "keep.txt", (Target("job:nightly"),))]


def test_a_table_without_rows_is_explained(dvc: DvcRepo) -> None:
    rows = "rows: {key: k, partition: '{k}'}"
    dvc.write({"raw-trigger.yaml": f"root: data/1_raw\nassets: [{{path: keep.txt, asset: keyed, {rows}}}]\n"})
    told = []
    for content in ("k\n1\n", "k\n"):
        dvc.write({R + "keep.txt": content})
        found = Explainer(dvc.trigger().planner).explain(R + "keep.txt", dvc.top)
        assert isinstance(found, PathExplanation)
        told.append((found.targets, found.reason))
    assert told == [((Target("keyed", "1"),), None), ((), "nothing, as it has no row")]


@pytest.mark.parametrize("edited", [False, True])
def test_that_nothing_is_made_from_a_file_is_told_once(dvc: DvcRepo, edited: bool) -> None:
    """Also where the project was loaded because its code was edited."""
    dvc.git("add", "-A")
    dvc.commit()
    dvc.adopt()
    dvc.write({R + "keep.txt": "2"})
    dvc.edited = edited
    assert shown(dvc.run().plan) == ["M keep.txt unmapped"]
    assert shown(dvc.plan()) == []


def test_rules_are_drafted_and_learned_for_the_data_itself(dvc: DvcRepo) -> None:
    """Not for the pointer files; also for what is not here."""
    (dvc.top / "raw-trigger.yaml").unlink()
    (dvc.top / R / "keep.txt").unlink()
    folder = {"folder/a.txt": "1", "folder/b.txt": "2"}
    dvc.write({"data/1_raw.dvc": pointer("1_raw", folder), R + "a.csv.dvc": pointer("a.csv", "1")})
    dvc.cache(folder)
    # The cache is where it is configured to be.
    (dvc.top / ".dvc/cache").rename(dvc.top / "elsewhere")
    dvc.write({".dvc/config": "[cache]\n    dir = ../elsewhere\n"})
    repo = dvc.open()
    place = find_place(repo, dvc.top)
    assert place.roots[0] == "data/1_raw"
    found = draft(look(repo, place, "data/1_raw", {}, ask=False))
    assert set(found.leftover) == {"a.csv", "folder/a.txt", "folder/b.txt"}

    dvc.write({"raw-trigger.yaml": "assets:\n  - path: '**/b.txt'\n    asset: b\n"})
    seen = Reads("a", (b"data/1_raw/a.csv", b"data/1_raw/folder/a.txt"))
    workspace = dvc.trigger().workspace
    catalog = workspace.project.catalog()
    told = learned(workspace, catalog, [Reading(Target("a"), ("a",), seen)])
    assert [rule.path for rule in told.rules] == ["a.csv", "folder/a.txt"]


def test_explained(dvc: DvcRepo) -> None:
    two(dvc, "1", "1")
    dvc.git("add", "-A")
    dvc.commit()
    dvc.adopt()
    dvc.write(
        {"raw-trigger.yaml": "root: data/1_raw\nassets: [{path: '{name}.csv.dvc', asset: 'old_{name}'}]\n"}
    )
    for name in ("a.csv", "a.csv.dvc"):
        told = Explainer(dvc.trigger().planner).explain(R + name, dvc.top)
        assert isinstance(told, PathExplanation)
        assert (told.path, told.targets, told.pending) == (f"{R}a.csv", (Target("old_a"),), True)
        assert told.recorded_oid == told.oid == md5("1")
