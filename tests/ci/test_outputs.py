"""The outputs, read back as the runner and Dagster read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dagster import AssetKey, AssetOut, AssetSelection, Definitions, multi_asset
from hypothesis import given

from raw_trigger.ci import matrix, outputs
from raw_trigger.model.changes import show, to_bytes
from raw_trigger.model.outcome import Outcome
from raw_trigger.model.plan import PlannedChange, PlannedTarget, Target
from tests.ci import runner
from tests.ci.plans import ALL, change, hostile, paths, plan_of
from tests.unit.conftest import book, catalog, plan, rule

ASSETS = catalog(raw__a={}, raw__b={}, out={"kind": "external"}, child={"parents": ("out",)})
BOOK = book(rule("a.csv", "raw/a"), rule("b.csv", "raw/b"), rule("out", "out"), rule("*.txt"), assets=ASSETS)


def written(values: dict[str, str], tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "outputs"
    file.unlink(missing_ok=True)
    outputs.write(values, file)
    return runner.outputs(file.read_bytes())


def test_every_output(tmp_path: Path) -> None:
    made = plan(BOOK, "~a.csv", "-b.csv", "+out", "+note.txt", "+unknown")
    batches = matrix.assign(made, 2, {})
    values = outputs.outputs(
        made, batches=batches, outcome=Outcome("partial"), plan_file="/tmp/plan.json", head="c0ffee"
    )
    assert written(values, tmp_path) == {
        "changed": "true",
        "changed-files": json.dumps(
            [f"data/1_raw/{name}" for name in ("a.csv", "b.csv", "note.txt", "out", "unknown")]
        ),
        "assets": '["child", "out", "raw/a"]',
        "targets": '[{"asset": "child", "partition": null}, {"asset": "out", "partition": null}, '
        '{"asset": "raw/a", "partition": null}]',
        "selection": "child,raw/a",
        "matrix": '{"include": [{"batch": "1/2", "name": "child and 1 more"}, {"batch": "2/2", "name": "raw/a"}]}',
        "batches": "2",
        "plan": "/tmp/plan.json",
        "outcome": "partial",
        "base": "a",
        "head": "c0ffee",
        "incomplete": "[]",
    }


def test_nothing_changed(tmp_path: Path) -> None:
    """Every list is one, also an empty one."""
    values = written(outputs.outputs(plan(BOOK)), tmp_path)
    assert {k: values[k] for k in ("changed", "changed-files", "assets", "targets", "matrix", "batches")} == {
        "changed": "false",
        "changed-files": "[]",
        "assets": "[]",
        "targets": "[]",
        "matrix": '{"include": []}',
        "batches": "0",
    }
    assert values["selection"] == values["outcome"] == ""


def assert_read_back(names: list[bytes], tmp_path: Path) -> None:
    made, outcome = hostile(names)
    batches = matrix.assign(made, 4, {})
    values = outputs.outputs(
        made, batches=batches, outcome=outcome, plan_file=show(names[0]), base=show(names[0])
    )
    read = written(values, tmp_path)
    assert read.keys() == values.keys()
    assert [to_bytes(text) for text in json.loads(read["changed-files"])] == sorted(dict.fromkeys(names))
    assert json.loads(read["assets"]) == sorted({t.target.asset for t in made.targets})
    assert len(json.loads(read["targets"])) == len(made.targets)
    assert len(json.loads(read["matrix"])["include"]) == len(batches)
    for name in ("changed-files", "assets", "targets", "matrix", "incomplete"):
        assert read[name].isascii() and read[name].isprintable()
    assert (read["changed"], read["outcome"]) == ("true", outcome.status)


@pytest.mark.parametrize("name", ALL, ids=lambda name: repr(name[:40]))
def test_names_that_mean_harm(name: bytes, tmp_path: Path) -> None:
    assert_read_back([name], tmp_path)


@given(paths)
def test_any_name(tmp_path_factory: pytest.TempPathFactory, path: bytes) -> None:
    assert_read_back([path], tmp_path_factory.getbasetemp())


def test_an_open_line_before(tmp_path: Path) -> None:
    """What an earlier command of the step left without an end does not swallow the first output."""
    file = tmp_path / "outputs"
    file.write_text("mine=1\nother=2")
    outputs.write({"changed": "true"}, file)
    outputs.write({"plan": "p"}, file)
    assert runner.outputs(file.read_bytes()) == {"mine": "1", "other": "2", "changed": "true", "plan": "p"}


def test_a_delimiter_in_the_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = iter(["known", "known", "other"])
    monkeypatch.setattr(outputs.secrets, "token_hex", lambda _: next(words))
    value = "raw_trigger_known\nchanged=false"
    assert written({"changed": value}, tmp_path) == {"changed": value}


def test_too_much_for_an_output(tmp_path: Path) -> None:
    """Lists are cut between two items, the selection is left out, the matrix keeps all batches; it is said."""
    target = [Target(f"raw/{n:06}") for n in range(9000)]
    made = plan_of(
        [PlannedChange(change(b"d/%05d\xff" % n), "planned", targets=(t,)) for n, t in enumerate(target)],
        [PlannedTarget(t, "materialize", "raw", 1, None, (b"d/%05d\xff" % n,)) for n, t in enumerate(target)],
    )
    batches = [matrix.Batch(n, "\N{PILE OF POO}" * 60, (), (), 0) for n in range(1, 257)]
    values = outputs.outputs(made, batches=batches)
    assert sum(map(len, values.values())) * 2 < 1_000_000
    files = json.loads(values["changed-files"])
    assert files == [show(b"d/%05d\xff" % n) for n in range(len(files))]
    assert 4000 < len(files) < 9000
    assert len(json.loads(values["matrix"])["include"]) == 256
    assert values["selection"] == ""
    assert json.loads(values["incomplete"]) == ["changed-files", "assets", "targets", "selection"]
    assert outputs.explain_incomplete(values) == (
        "outputs cut off at 90,000 characters: changed-files, assets, targets; left empty, because it is too "
        "long or Dagster has no way to write one of the keys: selection. The plan file has everything"
    )


KEYS = [
    *("raw/a", "raw/b", "a.b", "and", "or", "not", "sinks", "null", "key", "job", "a-b", "0", "__x", ".a"),
    *("a b", "a:b", "a=b", "é/ü", "a[0]", "a?b", "a+b", "+a", "*", "a'b", "a(b)", "$(x)", "`x`", "%0A", "-x"),
    *("a|b", "tag:x", "a*b", "axb", "a\nb", "a\\b", 'a"b', "a,b"),
]
UNSAYABLE = {"*", "a*b", "a\nb", "a\\b", 'a"b', "a,b"}


def test_dagster_reads_the_selection() -> None:
    """As its command line does it, key by key and all at once; None just where no text would do."""

    @multi_asset(
        outs={
            f"o{n}": AssetOut(key=AssetKey(key.split("/")), is_required=False) for n, key in enumerate(KEYS)
        },
        can_subset=True,
    )
    def many():  # type: ignore[no-untyped-def]
        raise NotImplementedError

    graph = Definitions(assets=[many]).resolve_asset_graph()

    def read(keys: list[str]) -> set[str] | None:
        text = outputs.selection(keys)
        if text is None:
            return None
        return {k.to_user_string() for k in AssetSelection.from_coercible(text.split(",")).resolve(graph)}

    assert {key: read([key]) for key in KEYS} == {key: None if key in UNSAYABLE else {key} for key in KEYS}
    sayable = [key for key in KEYS if key not in UNSAYABLE]
    assert read(sayable) == set(sayable)
    assert read([*sayable, "a,b"]) is None
