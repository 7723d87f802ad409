"""What a rule says of the content decides what a change is about: rows, line ends, formatting."""

from __future__ import annotations

import csv
import gzip
import io
import os
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from raw_trigger.adopt import adopt
from raw_trigger.ci.annotations import remarks
from raw_trigger.model.plan import Narrowing
from raw_trigger.planner import Wishes
from raw_trigger.render import words
from raw_trigger.revisions import from_arguments
from tests.conftest import REPOSITORY_TOP, SOAK, Repo
from tests.support.one_rule import ROWS, START, Ground
from tests.support.pretended import NoLauncher


@pytest.fixture
def concepts(repo: Repo) -> Ground:
    return Ground(repo, f"asset: concepts, {ROWS}", "c.csv", START)


TABLES: Mapping[str, tuple[str, list[str]]] = {
    "a row": ("id,active,note\nA,1,x\nB,0,x\nC,1,x\n", ["concepts|B"]),
    "a row that counts and one that does not": ("id,active,note\nA,1,y\nB,0,x\nC,1,x\n", ["concepts|B"]),
    "a row more": ("id,active,note\nA,1,x\nB,1,x\nC,1,x\nD,1,x\n", ["concepts|D"]),
    "a row less": ("id,active,note\nA,1,x\nC,1,x\n", ["concepts|B"]),
    "another key": ("id,active,note\nA,1,x\nB,1,x\nE,1,x\n", ["concepts|C", "concepts|E"]),
    "a missing cell is not an empty one": ("id,active,note\nA,1,x\nB\nC,\n", ["concepts|B", "concepts|C"]),
    "an unread column": ("id,active,note\nA,1,y\nB,1,z\nC,1,x\n", []),
    "another order": ("note,active,id\nx,1,C\nx,1,B\nx,1,A\n", []),
    "a new column": ("id,active,note,more\nA,1,x,1\nB,1,x,2\nC,1,x,3\n", []),
    "only quotes and line ends": ('"id","active","note"\r\n"A",1,x\r\nB,"1",x\r\nC,1,"x"\r\n', []),
    "another delimiter": ("id;active;note\nA;1;x\nB;1;x\nC;1;x\n", []),
}


@pytest.mark.parametrize(("content", "due"), TABLES.values(), ids=TABLES)
def test_a_row_gives_its_partition(concepts: Ground, content: str, due: list[str]) -> None:
    concepts.write(content)
    assert concepts.due() == due
    ran, _ = concepts.run()
    assert ran == due
    assert concepts.plan().changes == ()


def test_nothing_that_counts_is_said_with_its_numbers(concepts: Ground) -> None:
    concepts.write("id,active,note\nA,1,y\nB,1,z\nC,1,x\n")
    (change,) = concepts.plan().changes
    assert change.disposition == "unchanged"
    assert change.reason == "no row differs in id, active; in all columns: ~2"


@pytest.mark.parametrize("form", ["gz", "jsonl", "tsv", "latin-1"])
def test_other_forms(repo: Repo, form: str) -> None:
    rows = [("id", "n"), ("A", "ä"), ("B", "ö")]
    edited = [*rows[:2], ("B", "ü")]

    def text(table: list[tuple[str, str]]) -> bytes:
        if form == "jsonl":
            return b"".join(f'{{"n": "{n}", "id": "{key}"}}\n'.encode() for key, n in table[1:])
        lines = "".join(f"{key}{chr(9) if form == 'tsv' else ','}{n}\n" for key, n in table)
        if form == "gz":
            return gzip.compress(lines.encode())
        return lines.encode("latin-1" if form == "latin-1" else "utf-8")

    name = {"gz": "c.csv.gz", "jsonl": "c.jsonl", "tsv": "c.tsv", "latin-1": "c.csv"}[form]
    more = ", encoding: latin-1" if form == "latin-1" else ""
    ground = Ground(
        repo, f"asset: concepts, rows: {{key: id, partition: '{{id}}-{{stem}}'{more}}}", name, text(rows)
    )
    ground.write(text(edited))
    assert ground.due() == [f"concepts|B-{Path(name).stem}"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,active\nA,1\nA,2\n", ":3: the key id is not unique"),
        ("id,active\n,1\n", ":2: the key id has no value"),
        ("name,active\nA,1\n", ": there is no column 'id'"),
    ],
    ids=["twice", "missing", "no such column"],
)
def test_a_key_that_is_none_is_an_error(concepts: Ground, content: str, message: str) -> None:
    concepts.write(content)
    plan = concepts.plan()
    (error,) = plan.errors
    assert error.startswith(f"data/1_raw/c.csv{message}")
    assert error.endswith(" (raw-trigger.yaml:2)")
    (remark,) = remarks(plan)
    line = message[1:2] if message[1:2].isdigit() else None
    assert (remark.path, remark.line) == (b"data/1_raw/c.csv", line and int(line))
    # The error is told once; the file's line sends there.
    assert words.lines(plan)[0].fate == "concepts: not planned, see the error"
    assert plan.pending
    concepts.run()
    concepts.write("id,active,note\nA,1,x\nB,1,x\nC,2,x\n")
    assert concepts.due() == ["concepts|C"]


@pytest.mark.parametrize("before", ["asset: whole", "asset: concepts, partition: A"])
@pytest.mark.parametrize("after", [f"asset: concepts, {ROWS}", "asset: whole, rows: {key: id}"])
def test_a_rule_is_edited_for_a_table_that_is_recorded_with_a_key_that_is_none(
    repo: Repo, before: str, after: str
) -> None:
    ground = Ground(repo, before, "c.csv", "id,active,note\nA,1,x\nA,2,x\nC,1,x\n")
    ground.rule(after)
    for _ in range(2):
        plan = ground.plan()
        assert plan.errors[0].startswith("data/1_raw/c.csv:3: the key id is not unique: 'A'")
        assert plan.pending
        assert ground.run()[0] == []
    ground.write(START)
    due = ["concepts|A", "concepts|B", "concepts|C"] if "partition" in after else ["whole"]
    assert ground.due() == due
    ground.run(due[0])
    assert ground.due() == due[:1]
    ground.run()
    assert ground.plan().changes == ()


def test_what_is_recorded_cannot_be_read_as_a_table_at_all(repo: Repo) -> None:
    ground = Ground(repo, "asset: whole", "c.csv", b"\x1f\x8b" + START.encode())
    ground.rule(f"asset: concepts, {ROWS}")
    assert ground.plan().errors[0].startswith("data/1_raw/c.csv: cannot be unpacked")
    ground.write(START)
    plan = ground.plan()
    assert [one.target.text for one in plan.actionable] == ["concepts|A", "concepts|B", "concepts|C"]
    assert plan.warnings[0].startswith(
        "data/1_raw/c.csv: what it is compared with cannot be read as a table, so everything in it counts "
        "(cannot be unpacked"
    )
    ground.run("concepts|B")
    assert ground.due() == ["concepts|B"]
    ground.run()
    assert ground.plan().changes == ()


def test_only_the_failed_partition_runs_again(concepts: Ground) -> None:
    concepts.write("id,active,note\nA,2,x\nB,2,x\nC,1,x\n")
    concepts.run("concepts|B")
    assert concepts.due() == ["concepts|B"]
    # Another row of the same file: what A reflects has not changed since.
    concepts.write("id,active,note\nA,2,x\nB,2,x\nC,2,x\n")
    assert concepts.due() == ["concepts|B", "concepts|C"]
    concepts.write("id,active,note\nA,2,x\nB,1,x\nC,1,x\n")
    assert concepts.due() == []
    concepts.run()
    assert concepts.plan().changes == ()
    concepts.write(START)
    assert concepts.due() == ["concepts|A"]


def test_what_ran_is_taken_back(concepts: Ground) -> None:
    concepts.write("id,active,note\nA,2,x\nB,2,x\nC,1,x\n")
    concepts.run("concepts|B")
    concepts.write(START)
    assert concepts.due() == ["concepts|A"]


def test_adopting_one_path_leaves_what_is_due_of_another(concepts: Ground) -> None:
    concepts.write("id,active,note\nA,2,x\nB,2,x\nC,1,x\n")
    concepts.run("concepts|B")
    concepts.write(START)
    assert concepts.due() == ["concepts|A"]
    adopt(concepts.trigger().planner, concepts.repo.git("rev-parse", "HEAD^{tree}"), ("other.csv",))
    assert concepts.due() == ["concepts|A"]


def test_nothing_differs_between_what_is_compared_but_something_is_recorded(concepts: Ground) -> None:
    """What is recorded is another content than either of them."""
    edited = START.replace("A,1", "A,2")
    concepts.write(edited)
    concepts.repo.git("commit", "-qam", "what counts")
    concepts.write(edited.replace("x", "y"))
    concepts.repo.git("commit", "-q", "--allow-empty", "-am", "what does not")
    due = concepts.due()
    trigger = concepts.trigger()
    workspace = trigger.workspace
    base, desired = from_arguments(workspace.repo, "local", ["HEAD~1", "HEAD"])
    with trigger.planned(base, desired, face="cli") as plan:
        assert [one.disposition for one in plan.changes] == ["unchanged"]
        trigger.run(plan, NoLauncher(), face="cli")
    assert concepts.due() == due != []


def test_what_another_one_records_before_a_plan_with_nothing_to_run_is_settled(concepts: Ground) -> None:
    """The plan was made from another record: it says nothing of what the assets reflect now."""
    looked_at = START.replace("x", "y")
    concepts.write(looked_at)
    trigger = concepts.trigger()
    base, desired = from_arguments(trigger.workspace.repo, "local", [])
    with trigger.planned(base, desired, face="cli") as plan:
        assert [one.disposition for one in plan.changes] == ["unchanged"]
        concepts.write(START.replace("A,1", "A,2"))
        assert concepts.run()[0] == ["concepts|A"]
        assert trigger.run(plan, NoLauncher(), face="cli").status == "nothing"
        assert trigger.results is None
    concepts.write(looked_at)
    assert concepts.due() == ["concepts|A"]


def test_below_an_external_asset(repo: Repo) -> None:
    ground = Ground(repo, f"asset: seen, {ROWS}", "c.csv", START)
    ground.write("id,active,note\nA,2,x\nB,2,x\nC,1,x\n")
    both = ["all", "child|A", "child|B", "seen|A", "seen|B"]
    assert ground.due() == both
    ground.run("child|B")
    assert ground.due() == ["child|B"]
    ground.write("id,active,note\nA,2,x\nB,2,x\nC,3,x\n")
    assert ground.due() == ["all", "child|B", "child|C", "seen|C"]
    ground.run()
    assert ground.plan().changes == ()


@pytest.mark.parametrize("rule", ["partition: A", ROWS], ids=["a partition", "rows"])
@pytest.mark.parametrize("failed", ["child|A", "all"])
@pytest.mark.parametrize(
    ("narrowing", "asked"),
    [
        (Narrowing(assets=("child",)), {"child|A"}),
        (Narrowing(assets=("all",)), {"all"}),
        (Narrowing(partitions=(("A", "A"),)), {"child|A", "all"}),
        (Narrowing(assets=("concepts",)), set()),
        (Narrowing(partitions=(("B", "B"),)), set()),
    ],
    ids=["child", "all", "A", "concepts", "B"],
)
def test_what_failed_downstream_and_a_narrowed_run(
    repo: Repo, rule: str, failed: str, narrowing: Narrowing, asked: set[str]
) -> None:
    """It is made where it was asked for, though what it is made from was not; else it stays due."""
    ground = Ground(repo, f"asset: seen, {rule}", "c.csv", START)
    ground.write("id,active,note\nA,2,x\nB,1,x\nC,1,x\n")
    ground.run(failed)
    ran, _ = ground.run(wishes=Wishes(narrowing))
    assert ran == ([failed] if failed in asked else [])
    assert ground.due() == ([] if failed in asked else [failed])


@pytest.mark.parametrize("rule", ["partition: A", ROWS], ids=["a partition", "rows"])
@pytest.mark.parametrize("wishes", [Wishes(downstream="none"), Wishes(use_catalog=False)], ids=["none", "no"])
def test_what_failed_downstream_and_a_run_that_does_not_look_there(
    repo: Repo, rule: str, wishes: Wishes
) -> None:
    ground = Ground(repo, f"asset: seen, {rule}", "c.csv", START)
    ground.write("id,active,note\nA,2,x\nB,1,x\nC,1,x\n")
    repo.git("commit", "-qam", "edited")
    ground.run("all")
    assert ground.run(wishes=wishes)[0] == []
    assert ground.due() == ["all"]
    adopt(ground.trigger(wishes).planner, repo.git("rev-parse", "HEAD^{tree}"), ("other.csv",))
    assert ground.due() == ["all"]


def test_what_is_downstream_reflects_what_nothing_above_it_does(repo: Repo) -> None:
    ground = Ground(repo, f"asset: seen, {ROWS}", "*.csv", START)
    raw = repo.top / "data/1_raw"
    (raw / "*.csv").rename(raw / "c.csv")
    ground.run()
    (raw / "c.csv").write_text(START.replace("A,1", "A,2"))
    (raw / "other.csv").write_text("id,active,note\nB,1,x\n")
    assert ground.run(wishes=Wishes(Narrowing(partitions=(("A", "A"),))))[0] == ["all", "child|A", "seen|A"]
    (raw / "other.csv").write_text("id,active,note\n")
    assert ground.due() == ["all"]
    ground.run()
    assert ground.plan().changes == ()


def test_what_was_asked_for_does_not_run_before_what_it_is_made_from(repo: Repo) -> None:
    ground = Ground(repo, f"asset: seen, {ROWS}", "c.csv", START)
    ground.write("id,active,note\nA,2,x\nB,1,x\nC,1,x\n")
    ran, _ = ground.run(wishes=Wishes(Narrowing(assets=("child",))))
    assert ran == []
    assert ground.due() == ["all", "child|A", "seen|A"]


def test_what_is_made_downstream_of_a_table_that_could_not_be_read(repo: Repo) -> None:
    """It may have read it all the same: with the table mended it is made again."""
    ground = Ground(repo, f"asset: seen, {ROWS}", "*.csv", START)
    raw = repo.top / "data/1_raw"
    (raw / "*.csv").rename(raw / "c.csv")
    ground.run()
    (raw / "other.csv").write_text("id,active,note\nA,1,x\n")
    (raw / "c.csv").write_text(START + "A,1,x\n")
    ran, _ = ground.run()
    assert ran == ["all", "child|A", "seen|A"]
    (raw / "c.csv").write_text(START)
    assert ground.due() == ran


def test_without_a_partition_any_row_is_for_the_asset(repo: Repo) -> None:
    ground = Ground(repo, "asset: whole, rows: {key: [id, active], columns: [id]}", "c.csv", START)
    ground.write(START.replace("x", "y"))
    assert ground.due() == []
    ground.write(START.replace("A,1", "A,2"))
    assert ground.due() == ["whole"]
    ground.run("whole")
    assert ground.due() == ["whole"]
    ground.write(START.replace("x", "z"))
    assert ground.due() == []


def test_a_changed_clause_replans_the_path(concepts: Ground) -> None:
    concepts.rule("asset: concepts, rows: {key: id, columns: [note], partition: '{id}'}")
    assert concepts.due() == ["concepts|A", "concepts|B", "concepts|C"]
    concepts.run("concepts|B")
    assert concepts.due() == ["concepts|B"]
    concepts.run()
    assert concepts.plan().changes == ()


BY_NOTE = "asset: concepts, rows: {key: id, columns: [note], partition: '{id}'}"


@pytest.mark.parametrize(
    ("content", "due"),
    [(None, "ABC"), (START.replace("B,1,x\n", ""), "ABC"), (START + "D,1,x\n", "ABCD")],
    ids=["the file", "a row", "nothing"],
)
def test_a_changed_clause_and_what_goes_with_it(concepts: Ground, content: str | None, due: str) -> None:
    """What its partitions have seen is not known by the new clause, but they have seen something."""
    concepts.rule(BY_NOTE)
    concepts.write(content)
    assert {one.target.text for one in concepts.plan().actionable} == {f"concepts|{key}" for key in due}


def test_a_changed_clause_after_a_failure(concepts: Ground) -> None:
    """What reflects the very content is made again too, and stays due if it fails then."""
    concepts.write(START.replace(",1,", ",2,") + "D,1,x\n")
    concepts.run("concepts|B")
    concepts.rule(BY_NOTE)
    assert concepts.run("concepts|A")[0] == [f"concepts|{key}" for key in "ABCD"]
    assert concepts.due() == ["concepts|A"]
    concepts.run()
    assert concepts.plan().changes == ()


def test_a_changed_clause_of_a_file_that_is_not_wholly_recorded(repo: Repo) -> None:
    ground = Ground(repo, f"asset: concepts, {ROWS}", "*.csv", "id,active,note\n")
    (repo.top / "data/1_raw/other.csv").write_text("id,active,note\nA,1,x\nB,1,x\n")
    ground.run("concepts|B")
    ground.rule(BY_NOTE)
    assert ground.due() == ["concepts|A", "concepts|B"]


def test_a_new_asset_of_a_rule_is_planned_for_all_its_rows(concepts: Ground) -> None:
    concepts.rule(f"assets: [concepts, seen], {ROWS}")
    assert [name for name in concepts.due() if name.startswith("seen")] == ["seen|A", "seen|B", "seen|C"]
    assert not [name for name in concepts.due() if name.startswith("concepts")]


def test_a_rule_is_edited_while_the_recorded_content_is_not_here(repo: Repo) -> None:
    """Which partitions its rows feed is told when it comes; until then the path waits."""
    ground = Ground(repo, "asset: whole", "c.csv", START)
    oid = repo.git("rev-parse", "HEAD:data/1_raw/c.csv")
    file = repo.top / ".git/objects" / oid[:2] / oid[2:]
    content = file.read_bytes()
    file.unlink()
    ground.rule(f"asset: concepts, {ROWS}")
    (change,) = ground.plan().changes
    assert change.disposition == "missing-content"
    ground.run()
    (change,) = ground.plan().changes
    assert change.disposition == "missing-content"
    file.write_bytes(content)
    assert ground.due() == ["concepts|A", "concepts|B", "concepts|C"]
    ground.run("concepts|B")
    assert ground.due() == ["concepts|B"]
    ground.run()
    assert ground.plan().changes == ()


def test_a_deleted_table(concepts: Ground) -> None:
    """Nothing else has its rows: what its partitions were made from is gone."""
    concepts.write(None)
    plan = concepts.plan()
    assert {one.target.text for one in plan.targets} == {"concepts|A", "concepts|B", "concepts|C"}


def test_a_table_that_becomes_a_link(concepts: Ground) -> None:
    """Nobody can fetch its rows: that is said, and the rows wait until they can be read again."""
    file = concepts.repo.top / "data/1_raw/c.csv"
    file.unlink()
    (concepts.repo.top / "data/other.csv").write_text(START)
    file.symlink_to("../other.csv")
    [error] = concepts.plan().errors
    assert error.startswith("data/1_raw/c.csv: it is a symbolic link")
    assert concepts.run()[0] == []
    file.unlink()
    concepts.write(START.replace("B,1", "B,2"))
    assert concepts.due() == ["concepts|B"]


@pytest.mark.parametrize("key", ["A...B", "M\udcfcller"], ids=["not allowed", "no text"])
def test_a_row_that_goes_and_never_was_a_partition(repo: Repo, key: str) -> None:
    """While it is there it stays to be mended; once it is gone there is nothing to do for it."""
    bad = f"{key},1,x\n".encode(errors="surrogateescape")
    ground = Ground(repo, f"asset: concepts, {ROWS}", "c.csv", START.encode() + bad)
    ground.write(START.replace("C,1", "C,2"))
    assert ground.run()[0] == ["concepts|C"]
    assert ground.plan().changes == ()
    ground.write(START + "A...C,1,x\n")
    assert ground.run()[0] == ["concepts|C"]
    assert ground.plan().pending


def test_a_row_that_moves_to_another_file(repo: Repo) -> None:
    ground = Ground(repo, f"asset: concepts, {ROWS}", "*.csv", START)
    raw = repo.top / "data/1_raw"
    (raw / "*.csv").unlink()
    (raw / "other.csv").write_text("id,active,note\nA,1,x\n")
    due = ground.due()
    assert "concepts|A" in due


def test_the_content_that_it_is_compared_with_is_gone(concepts: Ground) -> None:
    oid = concepts.repo.git("rev-parse", "HEAD:data/1_raw/c.csv")
    concepts.write("id,active,note\nA,2,x\nB,1,x\nC,1,x\n")
    git = concepts.repo.top / ".git/objects" / oid[:2] / oid[2:]
    git.unlink()
    plan = concepts.plan()
    assert [one.target.text for one in plan.actionable] == ["concepts|A", "concepts|B", "concepts|C"]
    assert any("is not here" in warning for warning in plan.warnings)


def test_what_a_failure_left_to_compare_with_is_kept(concepts: Ground) -> None:
    """By the record, where only some of the targets reflect it: no commit has it."""
    repo, ref = concepts.repo, "refs/raw-trigger/local"
    concepts.write("id,active,note\nA,2,x\nB,2,x\nC,1,x\nD,1,x\n")
    concepts.run("concepts|A")
    one = repo.git("hash-object", "data/1_raw/c.csv")
    concepts.write("id,active,note\nA,2,x\nB,2,y\nC,2,x\nD,1,x\n")
    concepts.run("concepts|A")
    other = repo.git("hash-object", "data/1_raw/c.csv")
    kept = repo.git("ls-tree", "-r", "--name-only", ref, ".raw-trigger/contents").split()
    assert kept == [f".raw-trigger/contents/{oid}" for oid in sorted([one, other])]
    concepts.write("id,active,note\nA,2,x\nB,2,z\nC,2,x\n")
    due = ["concepts|A", "concepts|D"]
    assert concepts.due() == due
    repo.git("gc", "-q", "--prune=now")
    repo.git("fsck", "--strict")
    assert concepts.due() == due
    concepts.run()
    assert concepts.plan().changes == ()
    left = repo.git(
        "ls-tree", "-r", "--name-only", ref, ".raw-trigger/rules", ".raw-trigger/contents", "data"
    )
    assert left == ".raw-trigger/rules\ndata/1_raw/c.csv"


def test_what_a_failure_left_to_compare_with_is_gone(concepts: Ground) -> None:
    """As in what an older version recorded: what is not known to be reflected is due."""
    concepts.write("id,active,note\nA,2,x\nB,2,x\nC,1,x\nD,1,x\n")
    concepts.run("concepts|A")
    oid = concepts.repo.git("hash-object", "data/1_raw/c.csv")
    concepts.write("id,active,note\nA,2,x\nC,1,x\n")
    (concepts.repo.top / ".git/objects" / oid[:2] / oid[2:]).unlink()
    assert concepts.due() == ["concepts|A", "concepts|B", "concepts|D"]
    concepts.run()
    assert concepts.plan().changes == ()


def test_what_is_recorded_beside_the_files_is_no_raw_file(repo: Repo) -> None:
    """Where the whole repository is the raw root, and a rule for everything comes in."""
    ground = Ground(repo, f"asset: concepts, {ROWS}", "c.csv", START)
    head = (repo.top / "raw-trigger.yaml").read_text()
    ground.write(START.replace("A,1", "A,2").replace("B,1", "B,2"))
    config = "root: .\n" + head.replace("'c.csv'", "data/1_raw/c.csv")
    (repo.top / "raw-trigger.yaml").write_text(config)
    adopt(ground.trigger().planner, repo.git("rev-parse", "HEAD^{tree}"))
    ground.run("concepts|A")
    (repo.top / "raw-trigger.yaml").write_text(config + "  - {path: '**', asset: whole}\n")
    paths = {one.change.path for one in ground.plan().changes}
    assert paths == {b"data/1_raw/c.csv", b"raw-trigger.yaml"}


@pytest.mark.parametrize(
    ("fingerprint", "name", "old", "same", "other"),
    [
        ("text", "a.txt", "a\nb\n", "a\r\nb", "a\nc\n"),
        ("json", "a.json", '{"a": 1, "b": [1]}', '{\n "b": [1],\n "a": 1}\n', '{"a": 1, "b": [2]}'),
        ("table", "a.csv", "a,b\n1,2\n3,4\n", "b;a\n4;3\n2;1\n", "a,b\n1,2\n3,5\n"),
        ("bytes", "a.txt", "a\n", "a\n", "a\r\n"),
    ],
)
def test_a_fingerprint(repo: Repo, fingerprint: str, name: str, old: str, same: str, other: str) -> None:
    ground = Ground(repo, f"asset: whole, fingerprint: {fingerprint}", name, old)
    ground.write(same)
    assert ground.due() == []
    ground.write(other)
    assert ground.due() == ["whole"]
    ground.run("whole")
    assert ground.due() == ["whole"]
    ground.run()
    assert ground.plan().changes == ()


HISTORIES = Path(os.environ.get("RAW_TRIGGER_HISTORIES", REPOSITORY_TOP.parent / "shared" / "histories"))
NEWEST = None if SOAK else 10
"""How many commits the gate looks at."""


def test_a_real_history_of_companies(repo: Repo, tmp_path: Path) -> None:
    """The partitions that are due are those whose rows differ from what they last ran with, failures or not."""
    bundle = HISTORIES / "sp500-constituents.bundle"
    if not bundle.exists():
        pytest.skip(f"{bundle} is not there; name its folder in RAW_TRIGGER_HISTORIES")
    subprocess.run(["git", "clone", "-q", bundle, "-b", "main", tmp_path / "history"], check=True)
    history = Repo(tmp_path / "history")
    name = "data/1_raw/constituents.csv"
    texts = [
        history.try_git("show", f"{commit}:{name}").stdout
        for commit in history.git("rev-list", "--reverse", "--first-parent", "HEAD", "--", name).split()
    ][-(NEWEST or 0) :]

    def rows(text: str) -> dict[str, dict[str, str]] | None:
        """The rows by their symbol; None where that is no key."""
        listed = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
        found = {row.get("Symbol") or "": row for row in listed}
        return found if len(found) == len(listed) and "" not in found else None

    first = next(i for i, text in enumerate(texts) if rows(text) is not None)
    rule = "asset: concepts, rows: {key: Symbol, partition: '{Symbol}'}"
    ground = Ground(repo, rule, "constituents.csv", texts[first])
    reflected: dict[str, dict[str, str]] = dict(rows(texts[first]) or {})
    failures = compared = 0
    for number, text in enumerate(texts[first + 1 :]):
        ground.write(text)
        now = rows(text)
        if now is None:
            assert ground.plan().errors
            continue
        due = {s for s in {*reflected, *now} if reflected.get(s) != now.get(s)}
        failing = {s for s in due if zlib.crc32(f"{number} {s}".encode()) % 4 == 0}
        ran, _ = ground.run(*(f"concepts|{symbol}" for symbol in failing))
        assert set(ran) == {f"concepts|{symbol}" for symbol in due}, number
        assert len(ran) == len(set(ran))
        for symbol in due - failing:
            if symbol in now:
                reflected[symbol] = now[symbol]
            else:
                del reflected[symbol]
        failures += len(failing)
        compared += 1
    assert compared > len(texts) // 2
    assert failures
