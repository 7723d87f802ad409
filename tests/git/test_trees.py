"""Trees rebuilt path by path are those that git itself makes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raw_trigger.errors import GitError, RecordError
from raw_trigger.model.changes import Entry
from raw_trigger.model.owner import Owner
from raw_trigger.model.record import UNKNOWN, Launch, Learnt, Record, Results
from raw_trigger.record import moving
from raw_trigger.record import tree as recorded_tree
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.trees import rewrite
from tests.conftest import Repo

names = st.sampled_from([b"a", b"b", b"a.b", b"a-", b"\xff", b"x y"])
paths = st.lists(names, min_size=1, max_size=3).map(b"/".join)


def blob(repo: Repo, text: str) -> Entry:
    (repo.top / "blob").write_text(text)
    return Entry("100644", repo.git("hash-object", "-w", "blob"))


def rules(number: int) -> str:
    return json.dumps({"version": 1, "roots": [f"{number}/"], "rules": [], "catalog": None})


def listed(repo: Repo, tree: str) -> dict[bytes, str]:
    out = repo.git("ls-tree", "-r", "-z", tree).encode("utf-8", "surrogateescape")
    rows = (row.split(b"\t", 1) for row in out.split(b"\0") if row)
    return {path: meta.decode().split()[2] for meta, path in rows}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.dictionaries(paths, st.sampled_from(["1", "2", None]), max_size=5), max_size=4))
def test_edits_give_the_tree_they_say(repo: Repo, steps: list[dict[bytes, str | None]]) -> None:
    entries: dict[str | None, Entry | None] = {None: None, "1": blob(repo, "1"), "2": blob(repo, "2")}
    opened = repo.open()
    tree = opened.empty_tree
    for step in steps:
        before = listed(repo, tree)
        tree = rewrite(opened, tree, {p: entries[v] for p, v in step.items()})
        after = listed(repo, tree)
        for path, oid in before.items():
            if path not in step and not any(
                path.startswith(p + b"/") or p.startswith(path + b"/") for p in step
            ):
                assert after[path] == oid
        for path, value in step.items():
            wanted = entries[value]
            if wanted is None:
                assert path not in after
            else:
                blocked = any(p.startswith(path + b"/") or path.startswith(p + b"/") for p in after)
                assert after.get(path) == wanted.oid or blocked
        assert repo.git("fsck", "--strict", "--no-dangling", tree) == ""


def test_what_others_have_below_a_path_is_not_lost(repo: Repo) -> None:
    repo.commit({"x/a": "1", "x/b": "1"})
    entry = blob(repo, "file")
    tree = rewrite(repo.open(), "HEAD^{tree}", {b"x/a": None, b"x": entry})
    assert set(listed(repo, tree)) == {b"x/b"}
    tree = rewrite(repo.open(), "HEAD^{tree}", {b"x/a": None, b"x/b": None, b"x": entry})
    assert listed(repo, tree) == {b"x": entry.oid}


def learn(repo: Repository, learnt: Mapping[bytes, Learnt]) -> None:
    """Record what nobody is at work on."""
    moving.promote(repo, "local", Results("", learnt))


def test_promotion_takes_just_the_roots(repo: Repo) -> None:
    repo.commit({"data/1_raw/a": "1", "data/2_out/b": "2", "code.py": "3"})
    opened = repo.open()
    [head] = opened.resolve("HEAD")
    tree = recorded_tree.raw_tree(opened, head.tree, ("data/1_raw", "missing"))
    assert set(listed(repo, tree)) == {b"data/1_raw/a"}
    assert recorded_tree.read(opened, "local") is None
    assert moving.adopt(opened, "local", tree, rules(1), None)
    found = recorded_tree.read(opened, "local")
    assert found is not None
    assert found == Record(found.tree, rules=rules(1), assumed=tree)
    assert recorded_tree.raw_tree(opened, found.tree, ("data/1_raw",)) == tree
    assert not moving.adopt(
        opened, "local", recorded_tree.raw_tree(opened, head.tree, ("code.py",)), rules(1), None
    )
    learn(opened, {b"data/1_raw/b": Learnt(blob(repo, "b"))})
    new = recorded_tree.environments(opened)["local"]
    assert set(listed(repo, new)) == {
        b"data/1_raw/a",
        b"data/1_raw/b",
        b".raw-trigger/assumed/data/1_raw/a",
        b".raw-trigger/rules",
    }
    assert (
        repo.git("diff", "--name-only", "refs/raw-trigger/local", "HEAD", "--", "data/1_raw")
        == "data/1_raw/b"
    )


def test_what_its_targets_reflect_differently_is_an_exception(repo: Repo) -> None:
    repo.commit({"data/1_raw/a": "1"})
    opened = repo.open()
    [head] = opened.resolve("HEAD")
    moving.adopt(opened, "local", recorded_tree.raw_tree(opened, head.tree, ("data/1_raw",)), rules(1), None)
    old, new = blob(repo, "1"), blob(repo, "2")
    both = frozenset({"raw/a", "raw/b|2026-01-31"})
    path = b"data/1_raw/a"

    def recorded() -> Record:
        found = recorded_tree.read(opened, "local")
        assert found is not None
        return found

    one, other = (dict.fromkeys(names, new) for names in (["raw/a"], ["raw/b|2026-01-31"]))
    learn(opened, {path: Learnt(new, both, one)})
    assert recorded().kept == {path: one}
    assert diff.entries_at(opened, recorded().tree, [path])[path] == old
    assert recorded().reflected(path, "raw/a", old) == new
    assert recorded().reflected(path, "raw/b|2026-01-31", old) == old

    learn(opened, {path: Learnt(old, both, dict.fromkeys(both, old))})
    assert recorded() == replace(recorded(), kept={}, rules=rules(1))

    edited = {path: frozenset({"raw/c"})}
    moving.promote(opened, "local", Results("", rules_before=rules(1), rules=rules(2), edited=edited))
    assert (recorded().kept, recorded().rules) == ({path: {"raw/c": UNKNOWN}}, rules(2))
    learn(opened, {b"data/1_raw/x": Learnt(new, both, other)})
    assert recorded().kept == {path: {"raw/c": UNKNOWN}, b"data/1_raw/x": other}
    learn(opened, {path: Learnt(old), b"data/1_raw/x": Learnt(None)})
    assert recorded().kept == {}
    assert set(listed(repo, recorded().tree)) == {path, b".raw-trigger/rules"}


def test_a_launch_stands_in_the_record_until_it_is_over(repo: Repo) -> None:
    repo.commit({"data/1_raw/a": "1", "data/1_raw/b": "1"})
    opened, paths = repo.open(), (b"data/1_raw/a", b"data/1_raw/b", b"data/1_raw/caf\xe9")
    moving.adopt(opened, "local", recorded_tree.raw_tree(opened, "HEAD", ("data/1_raw",)), rules(1), None)
    owner = Owner("host", "pid:[1]", 17, "boot/3")
    launch = Launch(
        dict.fromkeys(paths, frozenset({"raw/a", "raw/b|x"})),
        "post-commit",
        "2026-01-31T00:00:00+00:00",
        owner,
        {paths[0]: frozenset({"raw/a"})},
    )
    for instance in (None, "home"):
        moving.begin(opened, "local", "launch-1", replace(launch, contested={}), instance)
    found = recorded_tree.read(opened, "local")
    assert found is not None
    assert (found.launches, found.instance) == ({"launch-1": replace(launch, contested={})}, "home")
    assert repo.git("diff", "--name-only", "refs/raw-trigger/local", "HEAD", "--", "data/1_raw") == ""
    moving.promote(opened, "local", Results(found.tree, launch="launch-1"))
    found = recorded_tree.read(opened, "local")
    assert found is not None
    assert (found.launches, found.kept, found.instance) == ({}, {}, "home")


@pytest.mark.parametrize("first", ["data/1_raw/x", "data/1_raw/x/y"])
def test_a_file_that_takes_the_place_of_a_folder(repo: Repo, first: str) -> None:
    """What one of them feeds is made, what the other feeds fails."""
    second = {"data/1_raw/x": "data/1_raw/x/y", "data/1_raw/x/y": "data/1_raw/x"}[first]
    repo.commit({first: "1"})
    opened = repo.open()
    moving.adopt(opened, "local", recorded_tree.raw_tree(opened, "HEAD", ("data/1_raw",)), rules(1), None)
    new = blob(repo, "2")
    learnt = Learnt(new, frozenset({"b"}), {"b": new})
    learn(opened, {first.encode(): Learnt(None, frozenset({"a"})), second.encode(): learnt})
    found = recorded_tree.read(opened, "local")
    assert found is not None
    assert found.reflected(second.encode(), "b", None) == new
    assert diff.entries_at(opened, found.tree, [first.encode()])
    learn(opened, {first.encode(): Learnt(None, frozenset({"a"}), {"a": None}), second.encode(): learnt})
    found = recorded_tree.read(opened, "local")
    assert found is not None
    assert found.kept == {}
    assert set(listed(repo, found.tree)) == {second.encode(), b".raw-trigger/rules"}


@pytest.mark.parametrize("garbage", ["HEAD", "HEAD:data/1_raw/a", "file"])
def test_a_ref_that_is_no_record(repo: Repo, garbage: str) -> None:
    repo.commit({"data/1_raw/a": "1"})
    opened = repo.open()
    if garbage == "file":
        (repo.top / ".git/refs/raw-trigger").mkdir()
        (repo.top / ".git/refs/raw-trigger/local").write_text("garbage\n")
    else:
        repo.git("update-ref", "refs/raw-trigger/local", repo.git("rev-parse", garbage))
    with pytest.raises(RecordError, match="refs/raw-trigger/local does not name a tree"):
        recorded_tree.read(opened, "local")


def test_two_at_once_lose_nothing(repo: Repo) -> None:
    repo.commit({"data/1_raw/a": "1"})
    opened = repo.open()
    moving.adopt(opened, "local", repo.open().empty_tree, rules(1), None)
    entries = [blob(repo, str(i)) for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        futures = [
            pool.submit(learn, opened, {f"data/1_raw/{i}".encode(): Learnt(entry)})
            for i, entry in enumerate(entries)
        ]
    for future in futures:
        future.result()
    found = recorded_tree.read(opened, "local")
    assert found is not None
    assert len(listed(repo, found.tree)) == 12 + 1


def test_one_target_after_the_other_makes_a_path_whole(repo: Repo) -> None:
    """What failed at first succeeds later, with the same content."""
    repo.commit({"data/1_raw/a": "1"})
    opened = repo.open()
    moving.adopt(opened, "local", recorded_tree.raw_tree(opened, "HEAD", ("data/1_raw",)), rules(1), None)
    new, both, path = blob(repo, "2"), frozenset({"raw/a", "raw/b"}), b"data/1_raw/a"
    learn(opened, {path: Learnt(new, both, {"raw/a": new})})
    learn(opened, {path: Learnt(new, both, {"raw/b": new})})
    found = recorded_tree.read(opened, "local")
    assert found is not None
    assert (found.kept, listed(repo, found.tree)[path]) == ({}, new.oid)


@pytest.mark.parametrize("recorded", ["1", None])
def test_what_nobody_knows_is_pending_whatever_is_desired(repo: Repo, recorded: str | None) -> None:
    """Also where the path is gone: a target that has read something of it does not reflect that."""
    repo.commit({"data/1_raw/a": recorded or "1"})
    opened, path = repo.open(), b"data/1_raw/a"
    moving.adopt(opened, "local", recorded_tree.raw_tree(opened, "HEAD", ("data/1_raw",)), rules(1), None)
    if recorded is None:
        learn(opened, {path: Learnt(None)})
    learn(opened, {path: Learnt(None, None, {"raw/a": UNKNOWN})})
    found = recorded_tree.read(opened, "local")
    assert found is not None
    entry = diff.entries_at(opened, found.tree, [path]).get(path)
    for desired in (blob(repo, "1"), blob(repo, "2"), None):
        assert found.reflected(path, "raw/a", entry) != desired


def test_a_folder_that_git_cannot_write_is_an_error(repo: Repo) -> None:
    """`git mktree` says nothing of it but on stderr, tells the folder's id and goes on."""
    repo.commit({"a": "1"})
    blob = repo.git("rev-parse", "HEAD:a")
    opened = repo.open()
    entry = Entry("100644", blob)
    objects = repo.top / ".git/objects"
    for name in map(b"%d".__mod__, range(9)):  # one of them has its place free: fewer objects are there
        tree = hashlib.sha1(b"tree 29\0" + b"100644 " + name + b"\0" + bytes.fromhex(blob)).hexdigest()
        if not (objects / tree[:2]).exists():
            break
    (objects / tree[:2]).write_text("in the way of the folder's tree alone")
    with pytest.raises(GitError, match="git mktree failed: "):
        rewrite(opened, opened.empty_tree, {b"folder/" + name: entry, b"b": entry})
