"""Row counts of changes in real repositories."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from raw_trigger.content import counting
from raw_trigger.content.counting import Counting
from raw_trigger.content.rows import Keyed
from raw_trigger.errors import TableError
from raw_trigger.model.changes import INDEX, WORKTREE, Base, Change, ChangeSet, Desired
from raw_trigger.model.rows import RowCounts
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository
from tests.conftest import REPOSITORY_TOP, SOAK, Repo

BASE = Base("revision", "old", None, "")
HISTORIES = Path(os.environ.get("RAW_TRIGGER_HISTORIES", REPOSITORY_TOP.parent / "shared" / "histories"))


def between(repo: Repository, old: str, new: str) -> ChangeSet:
    trees = [revision.tree for revision in repo.resolve(old, new)]
    return ChangeSet(BASE, Desired("revision", new), diff.between_trees(repo, *trees, ["data"]))


def on_disk(repo: Repository) -> ChangeSet:
    changes = diff.to_worktree(repo, repo.resolve("HEAD")[0].tree, ["data"])
    return ChangeSet(BASE, Desired("worktree", WORKTREE), changes)


def counted(repo: Repository, changes: ChangeSet) -> dict[bytes, tuple[int, int, int]]:
    with Counting(repo, changes) as count:
        return {path: (n.added, n.removed, n.changed) for path, n in count.counts().items()}


def only(changes: ChangeSet) -> Change:
    [change] = changes.changes
    return change


def test_between_commits(repo: Repo) -> None:
    repo.commit(
        {
            "data/a.csv": "id,v\n1,x\n2,y\n",
            "data/gone.TSV": "id\tv\n1\tx\n",
            "data/moved.csv": "id\n1\n2\n3\n",
            "data/mode.csv": "id\n1\n",
            "data/note.txt": "x\n",
            b"data/\xff\n.jsonl": '{"id": 1}\n',
            "data/large.csv": "id,v\n" + "".join(f"{i},{i * 7919}\n" for i in range(150_000)),
        }
    )
    repo.git("mv", "data/moved.csv", "data/elsewhere.csv")
    (repo.top / "data/mode.csv").chmod(0o755)
    repo.commit(
        {
            "data/a.csv": "id,v\n2,z\n3,x\n1,x\n",
            "data/gone.TSV": None,
            "data/mode.csv": "id\n1\n",
            "data/note.txt": "y\n",
            b"data/\xff\n.jsonl": '{"id": 2}\n',
            "data/large.csv": "id,v\n" + "".join(f"{i},{i * 7919}\n" for i in range(1, 150_002)),
        }
    )
    opened = repo.open()
    assert counted(opened, between(opened, "HEAD~1", "HEAD")) == {
        b"data/a.csv": (1, 0, 1),
        b"data/gone.TSV": (0, 1, 0),
        b"data/moved.csv": (0, 3, 0),
        b"data/elsewhere.csv": (3, 0, 0),
        b"data/mode.csv": (0, 0, 0),
        b"data/\xff\n.jsonl": (1, 1, 0),
        b"data/large.csv": (2, 1, 0),
    }


@pytest.mark.parametrize("attributes", ["", "*.csv text eol=lf\n", "*.csv filter=upper\n"])
def test_the_working_tree_counts_as_git_would_store_it(repo: Repo, attributes: str) -> None:
    repo.git("config", "filter.upper.clean", "tr a-z A-Z")
    repo.commit({".gitattributes": attributes, "data/a.csv": "ID,V\n1,X\n2,Y\n"})
    repo.write({"data/a.csv": "ID,V\r\n1,X\r\n2,Z\r\n", 'data/"new\n.csv': "ID\n1\n"})
    if "upper" in attributes:
        repo.write({"data/a.csv": "id,v\n1,x\n2,z\n"})
    opened = repo.open()
    before = sorted((repo.top / ".git/objects").rglob("*"))
    changes = on_disk(opened)
    assert counted(opened, changes) == {b"data/a.csv": (0, 0, 1), b'data/"new\n.csv': (1, 0, 0)}
    with Counting(opened, changes) as count:
        found = count.compare(changes.changes[-1], Keyed(("ID",), captures=("ID",)))
    assert found is not None
    assert (found.counts, found.captures) == (RowCounts(0, 0, 1), (("2",),))
    assert sorted((repo.top / ".git/objects").rglob("*")) == before, "nothing is put into the repository"


def test_a_repository_whose_path_git_has_to_be_told_in_quotes(tmp_path: Path) -> None:
    top = tmp_path / 'a:b "c'
    top.mkdir()
    made = Repo(top)
    made.git("init", "-q")
    made.commit({"data/a.csv": "id\n1\n"})
    made.write({"data/a.csv": "id\n1\n2\n"})
    opened = made.open()
    assert counted(opened, on_disk(opened)) == {b"data/a.csv": (1, 0, 0)}


def test_a_file_that_has_changed_since(repo: Repo) -> None:
    repo.commit({"data/a.csv": "id\n1\n", "data/b.csv": "id\n1\n"})
    repo.write({"data/a.csv": "id\n1\n7\n", "data/b.csv": "id\n1\n2\n"})
    opened = repo.open()
    changes = on_disk(opened)
    repo.write({"data/a.csv": "id\n1\n7\n3\n"})
    assert counted(opened, changes) == {b"data/b.csv": (1, 0, 0)}
    repo.write({"data/a.csv": None})
    assert counted(opened, changes) == {b"data/b.csv": (1, 0, 0)}


def test_the_index(repo: Repo) -> None:
    repo.commit({"data/a.csv": "id\n1\n"})
    repo.stage({"data/a.csv": "id\n1\n2\n"})
    repo.write({"data/a.csv": "something else"})
    opened = repo.open()
    changes = diff.to_index(opened, opened.resolve("HEAD")[0].tree, ["data"])
    assert counted(opened, ChangeSet(BASE, Desired("index", INDEX), changes)) == {b"data/a.csv": (1, 0, 0)}


def test_what_is_no_file(repo: Repo) -> None:
    repo.commit({"data/a.csv": "id\n1\n"})
    (repo.top / "data/a.csv").unlink()
    (repo.top / "data/a.csv").symlink_to("b.csv")
    repo.git("add", "-A")
    repo.git("commit", "-qm", "link")
    opened = repo.open()
    changes = between(opened, "HEAD~1", "HEAD")
    assert only(changes).status == "type-changed"
    assert counted(opened, changes) == {}
    with Counting(opened, changes) as count:
        assert count.compare(only(changes), Keyed(("id",))) is None
        assert count.unchanged(only(changes), "table") is False


def test_blobs_that_a_partial_clone_lacks_are_not_fetched(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"data/a.csv": "id\n1\n", "data/b.csv": "id\n1\n"})
    repo.commit({"data/a.csv": "id\n1\n2\n", "data/b.csv": "id\n1\n2\n", "data/c.csv": "id\n1\n"})
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("config", "uploadpack.allowAnySHA1InWant", "true")
    top = tmp_path / "clone"
    repo.git("clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{repo.top}", str(top))
    clone = Repo(top)
    opened = clone.open()
    changes = between(opened, "HEAD~1", "HEAD")
    assert len(changes.changes) == 3
    assert counted(opened, changes) == {}
    with Counting(opened, changes) as count:
        assert count.compare(changes.changes[0], Keyed(("id",))) is None
        assert count.unchanged(changes.changes[0], "table") is None
    assert "missing" not in clone.git("cat-file", "-p", "HEAD:data/c.csv"), "fetched by git itself"
    assert counted(opened, changes) == {b"data/c.csv": (1, 0, 0)}


def test_limits_are_for_what_nobody_asked_for(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = "id\n1\n", "id\n" + "".join(f"{i}\n" for i in range(100))
    repo.commit({"data/0.txt": ""})
    repo.commit({"data/a.csv": large, "data/b.csv": small, "data/c.csv": small})
    opened = repo.open()
    changes = between(opened, "HEAD~1", "HEAD")
    monkeypatch.setattr(counting, "FILE_LIMIT", 100)
    assert counted(opened, changes) == {b"data/b.csv": (1, 0, 0), b"data/c.csv": (1, 0, 0)}
    monkeypatch.setattr(counting, "TOTAL_LIMIT", len(small))
    assert counted(opened, changes) == {b"data/b.csv": (1, 0, 0)}
    with Counting(opened, changes) as count:
        found = count.compare(changes.changes[0], Keyed(("id",)))
    assert found is not None and found.counts == RowCounts(100, 0, 0)


def test_what_cannot_be_read_is_left_out_unless_it_was_asked_for(repo: Repo) -> None:
    repo.commit({"data/a.csv.gz": b"\x1f\x8b broken", "data/b.csv": "id\n1\n"})
    repo.commit({"data/a.csv.gz": b"\x1f\x8b worse", "data/b.csv": "id\n1\n1\n"})
    opened = repo.open()
    changes = between(opened, "HEAD~1", "HEAD")
    assert counted(opened, changes) == {b"data/b.csv": (1, 0, 0)}
    with Counting(opened, changes) as count:
        with pytest.raises(TableError, match=r"^data/a\.csv\.gz: cannot be unpacked"):
            count.compare(changes.changes[0], Keyed(("id",)))
        with pytest.raises(
            TableError, match=r"^data/b\.csv:3: the key id is not unique: '1' is in lines 2 and 3"
        ):
            count.compare(changes.changes[1], Keyed(("id",)))


def test_damaged_content_is_not_counted(repo: Repo) -> None:
    repo.commit({"data/a.csv": "id\n" + "1\n" * 1_000_000})
    repo.commit({"data/a.csv": "id\n2\n"})
    opened = repo.open()
    changes = between(opened, "HEAD~1", "HEAD")
    old = only(changes).old
    assert old is not None
    file = repo.top / ".git/objects" / old.oid[:2] / old.oid[2:]
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-200])
    assert counted(opened, changes) == {}
    with Counting(opened, changes) as count:
        assert count.compare(only(changes), Keyed(("id",))) is None


def test_fingerprints_of_two_versions(repo: Repo) -> None:
    repo.commit({"data/a.json": '{"a": 1, "b": 2}', "data/b.txt": "x\n", "data/c.json": "1"})
    repo.commit({"data/a.json": '{"b":2,"a":1}\n', "data/b.txt": "x\r\n", "data/c.json": None})
    opened = repo.open()
    changes = between(opened, "HEAD~1", "HEAD")
    with Counting(opened, changes) as count:
        a, b, c = changes.changes
        assert [count.unchanged(a, "json"), count.unchanged(a, "text")] == [True, False]
        assert [count.unchanged(b, "text"), count.unchanged(b, "bytes")] == [True, False]
        assert count.unchanged(c, "json") is False


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
@pytest.mark.parametrize("storage", [None, "elsewhere"])
def test_lfs_files_count_by_what_their_pointers_stand_for(repo: Repo, storage: str | None) -> None:
    repo.git("lfs", "install", "--local")
    if storage is not None:
        repo.git("config", "lfs.storage", storage)
    repo.commit({".gitattributes": "*.csv filter=lfs -text\n", "data/a.csv": "id,v\n1,x\n2,y\n"})
    repo.commit({"data/a.csv": "id,v\n1,x\n2,z\n3,x\n"})
    opened = repo.open()
    assert "git-lfs" in repo.git("cat-file", "-p", "HEAD:data/a.csv")
    changes = between(opened, "HEAD~1", "HEAD")
    assert counted(opened, changes) == {b"data/a.csv": (1, 0, 1)}
    repo.write({"data/a.csv": "id,v\n1,x\n"})
    assert counted(opened, on_disk(opened)) == {b"data/a.csv": (0, 2, 0)}
    shutil.rmtree(repo.top / ".git" / (storage or "lfs") / "objects")
    assert counted(opened, changes) == {}


def slowly(old: list[dict[str, str]], new: list[dict[str, str]], key: str) -> tuple[RowCounts, set[str]]:
    """Each row's counterpart, by looking through all of the others."""
    added = [row for row in new if not any(other.get(key) == row[key] for other in old)]
    removed = [row for row in old if not any(other.get(key) == row.get(key) for other in new)]
    changed = [row for row in new if any(o.get(key) == row[key] and o != row for o in old)]
    names = {row[key] for row in (*added, *removed, *changed)}
    return RowCounts(len(added), len(removed), len(changed)), names


def test_a_real_history_of_companies(tmp_path: Path) -> None:
    """Each commit's counts and keys are those that an independent comparison finds."""
    bundle = HISTORIES / "sp500-constituents.bundle"
    if not bundle.exists():
        pytest.skip(f"{bundle} is not there; name its folder in RAW_TRIGGER_HISTORIES")
    top = tmp_path / "history"
    subprocess.run(["git", "clone", "-q", bundle, "-b", "main", top], check=True)
    opened = Repo(top).open()
    commits = Repo(top).git("rev-list", "--reverse", "--first-parent", "HEAD").split()
    path = "data/1_raw/constituents.csv"

    def rows(commit: str) -> tuple[list[str], list[dict[str, str]]]:
        text = Repo(top).try_git("show", f"{commit}:{path}").stdout.removeprefix("\ufeff")
        reader = csv.DictReader(io.StringIO(text))
        found = list(reader)
        return list(reader.fieldnames or []), found

    seen: Counter[str] = Counter()
    for before, after in list(pairwise(commits))[:: 1 if SOAK else 3]:
        changes = between(opened, before, after)
        change = next((c for c in changes.changes if c.path == path.encode()), None)
        if change is None:
            continue
        (_, old), (header, new) = rows(before), rows(after)
        keys = [row["Symbol"] for row in new]
        with Counting(opened, changes) as count:
            unasked = count.counts()[change.path]
            if len(set(keys)) < len(keys) or not all(keys):
                seen["refused"] += 1
                with pytest.raises(TableError, match="the key Symbol"):
                    count.compare(change, Keyed(("Symbol",)))
                continue
            found = count.compare(change, Keyed(("Symbol",), captures=("Symbol",)))
        assert found is not None
        olds = [row.get("Symbol") for row in old]
        if len(set(olds)) < len(olds):
            seen["old not unique"] += 1
            continue
        wanted, names = slowly(old, new, "Symbol")
        assert (found.counts, {capture[0] for capture in found.captures}) == (wanted, names), after
        if header[0] == "Symbol":
            assert unasked == wanted, after
        seen["compared"] += 1
    print(dict(seen))
    assert seen["compared"] > (100 if SOAK else 33)
