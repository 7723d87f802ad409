"""What ran without opening its files, and code that lies in another checkout."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from raw_trigger.checkouts import is_plain, others
from raw_trigger.model.outcome import Reads, TargetOutcome
from raw_trigger.model.plan import Target
from raw_trigger.reads import unopened, unopened_warnings
from tests.unit.conftest import book, catalog, plan, rule

RAW = "data/1_raw/"
RULES = book(
    rule("a*.csv", "a"),
    rule("b.csv", "b"),
    assets=catalog(a={}, b={}, child={"parents": ("a",)}, outside={"kind": "external"}),
)


def data(names: str) -> tuple[bytes, ...]:
    return tuple(f"{RAW}{name}".encode() for name in names.split())


@pytest.mark.parametrize(
    ("changed", "reads", "found"),
    [
        ("~a.csv", Reads("a"), ["a"]),
        ("~a.csv", Reads("a", files=data("b.csv")), ["a"]),
        ("~a.csv -a2.csv", Reads("a"), ["a"]),
        ("~a.csv", None, []),
        ("~a.csv", Reads("a", complete=False), []),
        ("~a.csv", Reads("a", files=data("a.csv")), []),
        ("~a.csv", Reads("a", unsure=data("a.csv")), []),
        ("~a.csv", Reads("a", around=data("a.csv")), []),
        # Its code is the right one where it reads or lists what else feeds it.
        ("~a.csv", Reads("a", files=data("a2.csv")), []),
        ("~a.csv", Reads("a", folders=(b"data/1_raw",)), []),
        # A file that is gone cannot be opened, and of a link nobody sees it.
        ("-a.csv", Reads("a"), []),
        ("~a.csv ~a_link.csv", Reads("a"), []),
    ],
)
def test_what_opened_none_of_its_files(changed: str, reads: Reads | None, found: list[str]) -> None:
    made = plan(RULES, *changed.split(), downstream="all")
    outcomes = {
        planned.target: TargetOutcome(planned.target, "success", "1", reads=Reads("child"))
        for planned in made.targets
    }
    outcomes[Target("a")] = TargetOutcome(Target("a"), "success", "1", reads=reads)
    gone = data(" ".join(word[1:] for word in changed.split() if word[0] == "-"))
    kinds = dict.fromkeys(gone, None) | {data("a_link.csv")[0]: False}
    told = unopened(made, outcomes, RULES, lambda path: kinds.get(path, True))
    assert [target.text for target in told] == found


def test_what_failed_and_what_others_of_the_run_read_is_not_said_to_be_unopened() -> None:
    made = plan(RULES, "~a.csv")
    failed = {Target("a"): TargetOutcome(Target("a"), "failed", "1", reads=Reads("a"))}
    assert unopened(made, failed, RULES, lambda _: True) == {}
    kept = {
        Target("a"): TargetOutcome(Target("a"), "success", "1", reads=Reads("a")),
        Target("b"): TargetOutcome(Target("b"), "success", "1", reads=Reads("b", files=data("a.csv"))),
    }
    assert unopened(made, kept, RULES, lambda _: True) == {}


def test_an_observation_may_look_at_the_time_of_a_file() -> None:
    made = plan(RULES, "~a.csv")
    assert RULES.catalog is not None
    seen = replace(RULES.catalog.assets["a"], kind="observable")
    rules = book(rule("a*.csv", "a"), assets=replace(RULES.catalog, assets={"a": seen}))
    read = {Target("a"): TargetOutcome(Target("a"), "success", "1", reads=Reads("a"))}
    assert unopened(made, read, rules, lambda _: True) == {}


def test_only_a_few_are_told() -> None:
    told = unopened_warnings({Target(f"a{n}"): data("1 2 3 4") for n in range(7)})
    assert told[0] == (
        "`a0` ran but did not open data/1_raw/1, data/1_raw/2, data/1_raw/3 and 1 more, so it is not recorded as"
        " made from any of them: does its code read another folder? `raw-trigger adopt --path` records files that need"
        " not be opened"
    )
    assert (len(told), told[-1]) == (6, "2 more never opened their files and are not recorded")


def test_code_from_another_checkout(tmp_path: Path) -> None:
    here, other, library = (tmp_path / name for name in ("side", "main", "library"))
    for folder, git in ((here, False), (other, True), (library, True)):
        (folder / "src").mkdir(parents=True)
        (folder / ".git").mkdir() if git else (folder / ".git").write_text("gitdir: elsewhere\n")
    for file in (here / "src/shop.py", other / "src/shop.py", library / "src/tool.py"):
        file.write_text("")
    code = [str(folder / "src" / name) for folder, name in ((here, "shop.py"), (library, "tool.py"))]
    assert others(code, here) == []
    told = others([*code, str(other / "src/shop.py"), str(other / "src/more.py")], here)
    assert told == [
        f"the code is loaded from {other}/src/shop.py, another checkout than {here}: it reads the files there."
        " Make an environment here, with the project installed in it (`uv sync`, or `python -m venv .venv` and"
        " `.venv/bin/pip install -e .`), and deactivate the other one"
    ]


def test_what_is_a_plain_file(tmp_path: Path) -> None:
    for name in ("a.csv", "b.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "link.csv").symlink_to("a.csv")
    (tmp_path / "folder").mkdir()
    (tmp_path / "linked").symlink_to("folder")
    (tmp_path / "folder" / "c.csv").write_text("")
    os.symlink(tmp_path, tmp_path / "top")  # noqa: PTH211
    names = ("a.csv", "folder/c.csv", "b.py", "link.csv", "folder", "linked/c.csv", "gone")
    kinds = [is_plain(tmp_path / "top", name.encode()) for name in names]
    assert kinds == [True, True, False, False, False, False, None]
