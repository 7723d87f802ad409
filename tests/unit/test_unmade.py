"""What was made without what it is made from is told, with the way on."""

from __future__ import annotations

import pytest

from raw_trigger.model.outcome import Lack
from raw_trigger.model.plan import Target
from raw_trigger.unmade import warnings

FED = frozenset({Target("raw/day", "1"), Target("raw/whole")})


@pytest.mark.parametrize(
    ("lacks", "failed", "told"),
    [
        ([], True, []),
        (
            [Lack("api", ("1", "2", "3", "4", "5"), "many", "sum")],
            False,
            [
                "never materialized here, and too many to be made first: api|1, api|2, api|3 and 2 more, which"
                " sum is made from; Dagster's UI or `dagster asset materialize --select api` makes it"
            ],
        ),
        (
            [Lack("api", ("6",), "failed", "week"), Lack("api", ("6", "7"), "failed", "month")],
            False,
            [
                "never materialized here, and not tried again as it failed: api|6, api|7, which week is made"
                " from; Dagster's UI or `dagster asset materialize --select api` makes it"
            ],
        ),
        # One has a file, and that of the other is still to come, which is told where something failed.
        (
            [Lack("raw/day", ("1", "2"), "fed", "week"), Lack("raw/whole", (None,), "fed", "week")],
            True,
            [
                "never materialized here: raw/day|1, which week is made from; `raw-trigger run --all --asset"
                " raw/day` makes it",
                "never materialized here: raw/day|2, which week is made from; its file is still to come",
                "never materialized here: raw/whole, which week is made from; `raw-trigger run --all --asset"
                " raw/whole` makes it",
            ],
        ),
        ([Lack("raw/day", ("2",), "fed", "week")], False, []),
        (
            [Lack(f"api_{n}", (None,), "many", "sum") for n in range(7)],
            False,
            [
                *(
                    f"never materialized here, and too many to be made first: api_{n}, which sum is made from;"
                    f" Dagster's UI or `dagster asset materialize --select api_{n}` makes it"
                    for n in range(5)
                ),
                "2 more assets were never materialized here",
            ],
        ),
    ],
)
def test_what_is_told(lacks: list[Lack], failed: bool, told: list[str]) -> None:
    assert warnings(lacks, FED, failed=failed) == told
