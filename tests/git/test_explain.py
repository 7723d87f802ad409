"""What explain says of files, assets, partitions and jobs, and what it asks Dagster for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from raw_trigger.adopt import adopt, forget
from raw_trigger.errors import UsageError
from raw_trigger.explain import AssetExplanation, Explainer, PathExplanation
from raw_trigger.model.assets import Asset, Partitions
from raw_trigger.model.plan import Narrowing
from raw_trigger.planner import Wishes
from raw_trigger.render import words
from raw_trigger.revisions import from_arguments
from raw_trigger.trigger import Trigger
from tests.conftest import Repo
from tests.support.pretended import PretendedProject, opened

REGIONS = Partitions("static", ("eu", "us"))
CATALOG = {
    asset.key: asset
    for asset in (
        Asset("raw/a", ("raw", "a"), "here"),
        Asset("regions", ("regions",), "here", partitions=REGIONS),
        Asset("lonely", ("lonely",), "here"),
    )
}
NEW = Asset("raw/new", ("raw", "new"), "here")
RULES = """\
assets:
  - {path: "regions/{r}.csv", asset: regions, partition: "{r}"}
  - {path: "off/*", ignore: true}
"""
R = "data/1_raw/"


@pytest.fixture
def shop(repo: Repo) -> Repo:
    names = ("a.csv", "new.csv", "regions/eu.csv", "regions/us.csv", "regions/mars.csv", "off/x", "odd.txt")
    repo.commit({"raw-trigger.yaml": RULES, **{R + name: "1\n" for name in names}})
    return repo


def explained(repo: Repo, *names: str) -> tuple[Sequence[PathExplanation | AssetExplanation], int]:
    """What is said, and how often the project was loaded for it."""
    trigger = trigger_of(repo)
    explainer = Explainer(trigger.planner)
    found = [explainer.explain(name, repo.top) for name in names]
    return found, trigger.workspace.project.loaded  # type: ignore[attr-defined]


def trigger_of(repo: Repo, narrowing: Narrowing | None = None) -> Trigger:
    """Of a project whose cache does not know the newest asset yet."""
    project = PretendedProject(repo.top, CATALOG, new=[NEW])
    return opened(repo.top, project, Wishes(narrowing or Narrowing()))


@pytest.mark.parametrize(
    ("name", "loaded"),
    [
        (R + "a.csv", 0),
        (R + "off/x", 0),
        (R + "regions/eu.csv", 0),
        ("raw/a", 0),
        (R + "new.csv", 1),
        (R + "odd.txt", 1),
        (R + "regions/mars.csv", 1),
        ("raw/new", 1),
        ("lonely", 1),
    ],
)
def test_only_what_is_not_there_makes_it_load_the_project(name: str, loaded: int, shop: Repo) -> None:
    found, times = explained(shop, R + "a.csv", name)
    assert times == loaded
    feeds = {R + "new.csv": ["raw/new"], "raw/new": ["raw/new"], "raw/a": ["raw/a"]}
    if name in feeds:
        [one] = found[1:]
        paths = one.files if isinstance(one, AssetExplanation) else [one]
        assert [target.text for path in paths for target in path.targets] == feeds[name]


def test_what_nobody_knows_is_an_error_of_the_project_as_it_is_now(shop: Repo) -> None:
    with pytest.raises(UsageError, match="did you mean 'raw/new'"):
        explained(shop, "raw/newt")


def files(found: PathExplanation | AssetExplanation) -> list[tuple[str, list[str]]]:
    assert isinstance(found, AssetExplanation)
    return [(one.path.removeprefix(R), [target.text for target in one.targets]) for one in found.files]


def test_a_partition_is_explained_by_its_own_files(shop: Repo) -> None:
    shop.commit(
        {
            R + "by-row.csv": "id,r\n1,eu\n2,us\n",
            R + "more.csv": "id,r\n1,eu\n",
            "raw-trigger.yaml": RULES
            + '  - {path: "*row.csv", asset: regions, rows: {key: id, partition: "{r}"}}\n'
            + '  - {path: "more.csv", asset: regions, rows: {key: id, partition: "{r}"}}\n'
            + "  - {path: 'a.csv', job: nightly}\n",
        }
    )
    [us, eu, whole, job, short] = explained(
        shop, "regions|us", "regions|eu", "regions", "job:nightly", "nightly"
    )[0]
    assert files(us) == [("by-row.csv", ["regions|us"]), ("regions/us.csv", ["regions|us"])]
    assert [path for path, _ in files(eu)] == ["by-row.csv", "more.csv", "regions/eu.csv"]
    assert len(files(whole)) == 5, "the one that no partition is for, too"
    assert files(job) == files(short) == [("a.csv", ["job:nightly"])]
    assert [one.asset for one in (us, whole, job) if isinstance(one, AssetExplanation)] == [
        "regions|us",
        "regions",
        "job:nightly",
    ]
    with pytest.raises(UsageError, match="has a partition 'mars'"):
        explained(shop, "regions|mars")


def test_a_file_that_did_not_change_says_why_it_is_pending(shop: Repo) -> None:
    def said(trigger: Trigger) -> tuple[list[str], list[str | None]]:
        base, desired = from_arguments(trigger.workspace.repo, "local", [])
        plan = trigger.planner.plan(trigger.planner.detect(base, desired))
        lines = [f"{line.letter} {line.path.removeprefix(R)}: {line.note}" for line in words.lines(plan)]
        found = (
            Explainer(trigger.planner).explain(R + name, shop.top) for name in ("a.csv", "regions/eu.csv")
        )
        return lines, [one.again for one in found if isinstance(one, PathExplanation)]

    adopt(trigger_of(shop).planner, shop.git("rev-parse", "HEAD^{tree}"))
    assert said(trigger_of(shop)) == ([], [None, None])
    shop.write({"raw-trigger.yaml": RULES + "  - {path: a.csv, assets: [raw/a, lonely]}\n"})
    assert said(trigger_of(shop)) == (["= a.csv: same file, new rule"], ["new rule", None])
    forget(trigger_of(shop, Narrowing(assets=("regions",), partitions=(("eu", "eu"),))).planner)
    assert said(trigger_of(shop)) == (
        ["= a.csv: same file, new rule", "= regions/eu.csv: same file, not known to be made"],
        ["new rule", "unknown"],
    )
    shop.write({R + "a.csv": "2\n"})
    assert said(trigger_of(shop))[0][0] == "M a.csv: "


def test_a_file_that_is_deleted_says_what_is_stale(shop: Repo) -> None:
    adopt(trigger_of(shop).planner, shop.git("rev-parse", "HEAD^{tree}"))
    (shop.top / R / "a.csv").unlink()
    found = Explainer(trigger_of(shop).planner).explain(R + "a.csv", shop.top)
    assert isinstance(found, PathExplanation)
    gone = f"{R}a.csv is deleted and nothing else feeds it: its last materialization is now stale"
    assert (found.pending, found.kept) == (False, (f"raw/a: {gone}",))
