"""What targets have read is kept, and compared only where git sees it."""

from __future__ import annotations

from pathlib import Path

from raw_trigger.model.changes import to_bytes
from raw_trigger.model.outcome import Reads, TargetOutcome
from raw_trigger.model.plan import Target
from raw_trigger.reads import readings, recall, remember, visible
from tests.conftest import Repo


def outcome(text: str, *names: str, step: str | None = None, run_id: str = "1") -> TargetOutcome:
    key, bar, partition = text.partition("|")
    reads = Reads(step or text, tuple(map(to_bytes, names)), unsure=(b"u",), folders=(b"f",), complete=False)
    return TargetOutcome(Target(key, partition if bar else None), "success", run_id, reads=reads)


def test_what_was_read_is_kept_until_the_target_is_made_again(tmp_path: Path) -> None:
    opened = tmp_path / "cache"
    assert recall(opened) == []
    first = readings(
        [
            outcome("a", "p.csv", "\udcff", step="one"),
            outcome("b", "p.csv", "\udcff", step="one"),
            outcome("parted|eu", "q.csv"),
            TargetOutcome(Target("raw/x"), "failed", reads=Reads("x", (b"x.csv",))),
        ]
    )
    assert [(one.target.text, one.assets) for one in first] == [
        ("a", ("a", "b")),
        ("b", ("a", "b")),
        ("parted|eu", ("parted",)),
        ("raw/x", ("raw/x",)),
    ]
    assert [one.together for one in first] == [(), (), (), ()]
    assert [one.partial for one in first] == [False, False, False, True]
    ranged = readings([outcome("parted|eu", step="one"), outcome("parted|us", step="one")])
    assert [one.together for one in ranged] == [("eu", "us")] * 2
    remember(opened, ranged)
    assert recall(opened) == ranged
    (opened / "reads.json").unlink()
    remember(opened, first)
    assert recall(opened) == first
    again = readings([outcome("a", "r.csv", run_id="2")])
    remember(opened, again)
    assert recall(opened) == [*first[1:], *again]
    # What fails may not have got to all that it reads.
    failed = TargetOutcome(Target("a"), "failed", reads=Reads("one", (b"s.csv",)))
    remember(opened, readings([failed]))
    assert [(one.reads.files, one.partial) for one in recall(opened)[-1:]] == [((b"r.csv", b"s.csv"), False)]
    (opened / "reads.json").write_text("{")
    assert recall(opened) == []


def test_what_git_sees(repo: Repo) -> None:
    repo.commit({"known": "", b"\xff *": "", ".gitignore": "ignored\nknown_and_ignored\n"})
    repo.write({"new": "", "ignored": "", "known_and_ignored": ""})
    repo.git("add", "-f", "known_and_ignored")
    seen = visible(repo.open(), [b"known", b"\xff *", b"new", b"ignored", b"known_and_ignored", b"nowhere"])
    assert seen == {b"known", b"\xff *", b"new", b"known_and_ignored"}
