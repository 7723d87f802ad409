"""One table of what may happen to targets, with each launcher: plans and outcomes are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.remote.conftest import CODE, Document, Shop
from tests.support.forks import dagster_environment

FILES = {
    "a.csv": "bad\n",
    "b.csv": "1\n",
    "checked.csv": "0\n",
    "part/x.csv": "1\n",
    "part/z.csv": "1\n",
    "dyn/new.csv": "1\n",
    "daily/2026-11-01.csv": "1\n",
    "daily/2199-01-01.csv": "1\n",
    "ranged/2026-11-01.csv": "1\n",
    "ranged/2026-11-02.csv": "1\n",
    "ranged/2026-11-04.csv": "1\n",
    "left.csv": "1\n",
    "ext.csv": "1\n",
    "job/one.txt": "1\n",
    "job/two.txt": "1\n",
    "unknown.csv": "1\n",
}
MENDED: dict[str, str | None] = {
    "a.csv": "2\n",
    "b.csv": None,
    "checked.csv": "0 warn\n",
    "dyn/new.csv": "bad\n",
    "left.csv": None,
    "part/x.csv": "2\n",
    "part/y.csv": "2\n",
}


@pytest.fixture(params=["local", "graphql"])
def both(
    request: pytest.FixtureRequest, shop: Shop, new_home: Callable[[Path], Path], tmp_path: Path
) -> Shop:
    if request.param == "local":
        python, home = str(dagster_environment() / "bin/python"), str(new_home(tmp_path / "home"))
        shop.configure(launcher="local", python=python, python_file=str(CODE), home=home)
        assert shop.tool("adopt").returncode == 0
    return shop


def told(document: Document) -> dict[str, str]:
    """What became of each target, in a word and the first line of its error."""
    found = {}
    for one in document["outcome"]["targets"]:
        name = one["asset"] + (f"|{one['partition']}" if one["partition"] else "")
        error = (one["error"] or "").split("\n")[0]
        found[name] = f"{one['status']}: {error}" if error else one["status"]
    return found


def skipped(document: Document) -> dict[str, str]:
    return {
        one["asset"] + (f"|{one['partition']}" if one["partition"] else ""): one["reason"]
        for one in document["targets"]
        if one["action"] == "skip"
    }


def test_the_same_plans_and_the_same_outcomes(both: Shop) -> None:
    both.raw(FILES)
    first = both.asked("run", "--wait")
    assert told(first) == {
        "a": "failed: ValueError: cannot read {'a.csv': 'bad\\n'}",
        "b": "success",
        "checked": "failed: asset check no_zero failed: there is a zero",
        "daily|2026-11-01": "success",
        "dyn|new": "success",
        "ext": "success",
        "job:nightly": "success",
        "left": "success",
        "part|x": "success",
        "ranged|2026-11-01": "success",
        "ranged|2026-11-02": "success",
        "ranged|2026-11-04": "success",
        "right": "success",
        "under": "success",
    }
    assert skipped(first) == {
        "daily|2199-01-01": "'2199-01-01' is no partition yet: its window ends 2199-01-02 00:00 UTC",
        "part|z": "it has no partition 'z'",
    }
    ranges = ["ranged|2026-11-01..2026-11-02", "ranged|2026-11-04..2026-11-04"]
    one_by_one = ["a", "b", "checked", "daily|2026-11-01", "dyn|new", "job:nightly", "left+right", "part|x"]
    assert both.made() == [*one_by_one, *ranges, "under"]
    assert both.pending() == ["a", "checked", "daily|2199-01-01", "part|z"]

    both.raw(MENDED)
    second = both.asked("run", "--wait")
    assert told(second) == {
        "a": "success",
        "checked": "success",
        "dyn|new": "failed: ValueError: cannot read {'dyn/new.csv': 'bad\\n'}",
        "part|x": "success",
        "part|y": "success",
    }
    assert skipped(second) == {
        "b": "data/1_raw/b.csv is deleted and nothing else feeds it: its last materialization is now stale",
        "daily|2199-01-01": "'2199-01-01' is no partition yet: its window ends 2199-01-02 00:00 UTC",
        "left": "data/1_raw/left.csv is deleted and nothing else feeds it: its last materialization is now stale",
        "part|z": "it has no partition 'z'",
    }
    assert both.made() == ["a", "checked", "dyn|new", "part|x", "part|y"]
    assert both.pending() == ["daily|2199-01-01", "dyn|new", "part|z"]
    assert both.asked("run", "--wait")["outcome"]["targets"][0]["asset"] == "dyn"
    assert both.made() == ["dyn|new"]
