"""What holds of every plan, whatever changed and by whatever rules."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from raw_trigger.model.changes import Base, Change, ChangeSet, Desired, Entry
from raw_trigger.model.plan import Options, Plan
from raw_trigger.planning.plan import make_plan
from tests.unit.conftest import REGIONS, book, catalog, rule

ASSETS = catalog(
    raw__users={"group": "raw"},
    raw__left={"execution_set": ("raw/left", "raw/right")},
    raw__right={"execution_set": ("raw/left", "raw/right")},
    raw__regions={"partitions": REGIONS},
    seen={"kind": "external"},
    report={"parents": ("seen", "raw/users")},
)
RULES = [
    rule("**/*.txt", ignore=True),
    rule("both/*.csv", "raw/left", "raw/users"),
    rule("regions/{r}.csv", "raw/regions", partition="{r}"),
    rule("*.parquet", "seen"),
    rule("**/right.csv", "raw/right"),
]
PATHS = [
    "users.csv",
    "left.csv",
    "both/a.csv",
    "both/b.csv",
    "regions/eu.csv",
    "regions/us.csv",
    "regions/mars.csv",
    "x.parquet",
    "y.parquet",
    "deep/down/right.csv",
    "deep/right.txt",
    "nobody's.csv",
]
trees = st.dictionaries(st.sampled_from(PATHS), st.integers(0, 3), max_size=8)
some_rules = st.lists(st.sampled_from(RULES), max_size=5)
options = st.builds(
    Options,
    environment=st.just("local"),
    downstream=st.sampled_from(["auto", "none", "all", 1]),
    on_delete=st.just("materialize"),
    batch_size=st.integers(1, 3),
)


def between(old: dict[str, int], new: dict[str, int]) -> ChangeSet:
    def entry(tree: dict[str, int], path: str) -> Entry | None:
        return Entry("100644", f"{tree[path]:040x}") if path in tree else None

    changes = (
        Change(f"data/1_raw/{path}".encode(), entry(old, path), entry(new, path))
        for path in sorted({*old, *new})
        if entry(old, path) != entry(new, path)
    )
    return ChangeSet(Base("empty", "", None, ""), Desired("worktree", ":WORKTREE:"), tuple(changes))


def targets(plan: Plan) -> set[str]:
    return {one.target.text for one in plan.targets}


@given(some_rules, options, trees, trees, st.randoms())
def test_it_is_the_same_in_whatever_order(
    rules: list[object], chosen: Options, old: dict[str, int], new: dict[str, int], random: object
) -> None:
    changes = between(old, new)
    shuffled = list(changes.changes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    known = book(*rules, assets=ASSETS)  # type: ignore[arg-type]
    one = make_plan(changes, known, chosen)
    other = make_plan(ChangeSet(changes.base, changes.desired, tuple(shuffled)), known, chosen)
    assert other == one


@given(some_rules, options, st.lists(trees, min_size=2, max_size=5))
def test_a_history_in_steps_comes_to_the_same_as_the_whole(
    rules: list[object], chosen: Options, history: list[dict[str, int]]
) -> None:
    """But for what is taken back on the way, which only the steps see."""
    known = book(*rules, assets=ASSETS)  # type: ignore[arg-type]
    whole = between(history[0], history[-1])
    steps = [between(old, new) for old, new in pairwise(history)]
    on_the_way = {change.path: change for step in steps for change in step.changes}
    ends = {change.path for change in whole.changes}
    taken_back = ChangeSet(
        whole.base, whole.desired, tuple(change for path, change in on_the_way.items() if path not in ends)
    )
    in_steps = set[str]().union(*(targets(make_plan(step, known, chosen)) for step in steps))
    at_once = targets(make_plan(whole, known, chosen))
    assert in_steps == at_once | targets(make_plan(taken_back, known, chosen))
