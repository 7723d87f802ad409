"""Trees rebuilt path by path are those that git itself makes."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raw_trigger import state
from raw_trigger.model.changes import Entry
from raw_trigger.repo.trees import rewrite
from tests.conftest import Repo

names = st.sampled_from([b"a", b"b", b"a.b", b"a-", b"\xff", b"x y"])
paths = st.lists(names, min_size=1, max_size=3).map(b"/".join)


def blob(repo: Repo, text: str) -> Entry:
    (repo.top / "blob").write_text(text)
    return Entry("100644", repo.git("hash-object", "-w", "blob"))


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
                assert after.get(path) == wanted.oid or any(p.startswith(path + b"/") for p in after)
        assert repo.git("fsck", "--strict", "--no-dangling", tree) == ""


def test_what_others_have_below_a_path_is_not_lost(repo: Repo) -> None:
    repo.commit({"x/a": "1", "x/b": "1"})
    entry = blob(repo, "file")
    tree = rewrite(repo.open(), "HEAD^{tree}", {b"x/a": None, b"x": entry})
    assert set(listed(repo, tree)) == {b"x/b"}
    tree = rewrite(repo.open(), "HEAD^{tree}", {b"x/a": None, b"x/b": None, b"x": entry})
    assert listed(repo, tree) == {b"x": entry.oid}


def test_promotion_takes_just_the_roots(repo: Repo) -> None:
    repo.commit({"data/1_raw/a": "1", "data/2_out/b": "2", "code.py": "3"})
    opened = repo.open()
    [head] = opened.resolve("HEAD")
    tree = state.raw_tree(opened, head.tree, ("data/1_raw", "missing"))
    assert set(listed(repo, tree)) == {b"data/1_raw/a"}
    assert state.read(opened, "local") is None
    assert state.write(opened, "local", tree, None)
    assert not state.write(opened, "local", tree, None)
    assert state.read(opened, "local") == tree
    new = state.promote(opened, "local", {b"data/1_raw/b": blob(repo, "b")})
    assert set(listed(repo, new)) == {b"data/1_raw/a", b"data/1_raw/b"}
    assert state.environments(opened) == {"local": new}
    assert (
        repo.git("diff", "--name-only", "refs/raw-trigger/local", "HEAD", "--", "data/1_raw")
        == "data/1_raw/b"
    )
