"""Which partitions are recorded, pending, failed or without a file, and filling a range of them."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from raw_trigger.adopt import adopt
from raw_trigger.check import check
from raw_trigger.coverage import Grid, grids
from raw_trigger.errors import UsageError
from raw_trigger.model.assets import Asset, Partitions
from raw_trigger.model.changes import NOTHING, Base, Desired
from raw_trigger.model.plan import Narrowing
from raw_trigger.planner import Wishes
from raw_trigger.render.text import TextRenderer
from raw_trigger.repo import diff
from raw_trigger.trigger import Trigger
from tests.conftest import Repo
from tests.support.pretended import opened

DAYS = Partitions(
    "time", format="%Y-%m-%d", start="2026-01-01", end="2026-02-04", cron="0 0 * * *", timezone="UTC"
)
REGIONS = Partitions("static", ("eu", "us"))
BOTH = Partitions("multi", dimensions=(("day", DAYS), ("region", REGIONS)))
CATALOG = {
    asset.key: asset
    for asset in (
        Asset("days", ("days",), "here", partitions=DAYS),
        Asset("regions", ("regions",), "here", partitions=REGIONS),
        Asset("names", ("names",), "here", partitions=Partitions("dynamic", name="names")),
        Asset("both", ("both",), "here", partitions=BOTH),
        Asset("plain", ("plain",), "here"),
    )
}
RULES = """\
assets:
  - {path: "days/{d}.csv", asset: days, partition: "{d}"}
  - {path: "regions/{r}.csv", asset: regions, partition: "{r}"}
  - {path: "names/{n}.csv", asset: names, partition: "{n}"}
  - {path: "both/{r}/{d}.csv", asset: both, partition: {day: "{d}", region: "{r}"}}
  - {path: "names/*.csv", ignore: true}
"""
R = "data/1_raw/"


def trigger(repo: Repo, narrowing: Narrowing | None = None) -> Trigger:
    return opened(repo.top, CATALOG, Wishes(narrowing or Narrowing()))


@pytest.fixture
def shop(repo: Repo) -> Repo:
    """Days 1 to 5 of January and one of February, of which the 2nd changed, the 4th is new and the 3rd gone."""
    days = [*(f"days/2026-01-0{day}.csv" for day in (1, 2, 3, 5)), "days/2026-02-03.csv"]
    others = ["regions/eu.csv", "regions/mars.csv", "names/a.csv", "both/eu/2026-01-02.csv"]
    repo.commit({"raw-trigger.yaml": RULES, **{R + name: "1\n" for name in (*days, *others)}})
    adopt(trigger(repo).planner, repo.git("rev-parse", "HEAD^{tree}"))
    repo.write({R + "days/2026-01-02.csv": "2\n", R + "days/2026-01-04.csv": "1\n", R + "names/b.csv": "1\n"})
    repo.write({R + "days/2026-01-03.csv": None})
    return repo


def shown(found: list[Grid]) -> list[str]:
    out = io.StringIO()
    TextRenderer(Console(file=out, highlight=False, markup=False, emoji=False, soft_wrap=True)).grids(found)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_grid(shop: Repo) -> None:
    found = grids(trigger(shop).planner)
    days = ["◪□·□◪" + "·" * 26, "··◪"]
    assert [line for line in shown(found) if not line.startswith("  2026-01-0")] == [
        "both  68 partitions: 1 assumed, 67 no file",
        "  from left to right: eu, us",
        *(f"  2026-01-{day} ··" for day in range(10, 32)),
        *(f"  2026-02-0{day} ··" for day in range(1, 4)),
        "days  34 partitions: 3 assumed, 2 pending, 29 no file",
        f"  2026-01 {days[0]}",
        f"  2026-02 {days[1]}",
        "names  2 partitions: 1 assumed, 1 pending",
        "  ◪ a  assumed",
        "  □ b  pending",
        "regions  3 partitions: 1 assumed, 1 no file, 1 no partition",
        "  ◪ eu  assumed",
        "  · us  no file",
        "  ? mars  no partition",
        "■ recorded  ◪ assumed  □ pending  ✘ failed  · no file  ? no partition",
        "assumed: recorded, not run here; `raw-trigger run --all --asset KEY` makes them",
    ]


def test_one_asset_as_values(shop: Repo) -> None:
    (grid,) = grids(trigger(shop).planner, ["names"])
    assert grid.as_json() == {
        "asset": "names",
        "partitions": [{"partition": "a", "state": "assumed"}, {"partition": "b", "state": "pending"}],
    }
    with pytest.raises(UsageError, match="asset 'plain' is not partitioned"):
        grids(trigger(shop).planner, ["plain"])
    with pytest.raises(UsageError, match="did you mean 'names'"):
        grids(trigger(shop).planner, ["nams"])


@pytest.mark.parametrize(
    ("ends", "due"),
    [
        (("2026-01-04", "2026-01-04"), ["days|2026-01-04"]),
        (("2026-01-01", "2026-01-31"), ["days|2026-01-02", "days|2026-01-04"]),
        (("b", "b"), ["names|b"]),
        (("2026-03-01", "2026-03-02"), []),
    ],
)
def test_a_range_of_partitions(shop: Repo, ends: tuple[str, str], due: list[str]) -> None:
    narrowed = trigger(shop, Narrowing(partitions=(ends,)))
    from raw_trigger.revisions import from_arguments

    base, desired = from_arguments(narrowed.workspace.repo, "local", [])
    plan = narrowed.planner.plan(narrowed.planner.detect(base, desired))
    assert [one.target.text for one in plan.actionable] == due
    told = [warning for warning in plan.warnings if warning.startswith("nothing is pending")]
    assert bool(told) == (not due)
    assert all("pending are 2026-01-02, 2026-01-03, 2026-01-04, b; `--all`" in warning for warning in told), (
        told
    )
    assert not any(one.settles for one in plan.targets if one.reason == "not asked for")


def test_a_partition_that_no_asset_has(shop: Repo) -> None:
    """Also where nothing has changed."""
    narrowed = trigger(shop, Narrowing(assets=("days",), partitions=(("nope", "nope"),)))
    head = Desired("revision", "HEAD", shop.git("rev-parse", "HEAD"))
    base = Base("revision", "HEAD", head.oid, "")
    with pytest.raises(
        UsageError, match=r"no asset that is asked for has a partition 'nope' .*not written as"
    ):
        narrowed.planner.plan(narrowed.planner.detect(base, head))


def test_what_check_says_of_coverage(shop: Repo) -> None:
    looking = trigger(shop).planner
    rules = looking.rules(looking.catalog.fresh())
    files = dict(diff.worktree_paths(looking.workspace.repo, looking.workspace.roots))
    with looking.contents(NOTHING, rules) as contents:
        found = check(rules, looking.catalog.fresh(), files, "raw-trigger.yaml", contents, now=time.time())
    notes = [f"{one.where}: {one.message}" for one in found if one.severity == "note"]
    assert notes == [
        "both: no file for 67 of 68 partitions: 2026-01-01|eu, 2026-01-01|us, 2026-01-02|us, 2026-01-03|eu, "
        "2026-01-03|us, …",
        "days: no file for 29 of 34 partitions: 2026-01-03, 2026-01-06, 2026-01-07, 2026-01-08, 2026-01-09, …",
        "raw-trigger.yaml:6:12: 2 files that it matches are decided by line 4 before it: "
        "data/1_raw/names/a.csv, …",
        "regions: no file for 1 of 2 partitions: us",
    ]
    assert [one.message for one in found if one.severity == "error"] == [
        "asset 'regions': it has no partition 'mars' (raw-trigger.yaml:3)"
    ]
