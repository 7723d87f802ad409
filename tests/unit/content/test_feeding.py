"""What waits because something made from it also reads a file that is not here."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from raw_trigger.content.feeding import lacking
from raw_trigger.model.plan import Target
from raw_trigger.planning.lineage import Lineage
from tests.unit.conftest import REGIONS, book, catalog, rule

ASSETS = catalog(
    both={},
    regions={"partitions": REGIONS},
    above={"kind": "external"},
    child={"parents": ("above", "other")},
    other={"kind": "external"},
    left={"execution_set": ("left", "right")},
    right={"execution_set": ("left", "right")},
)
BOOK = book(
    rule("regions/{r}", "regions", partition="{r}"),
    rule("{name}/**", "{name}"),
    assets=ASSETS,
)


def paths(names: Iterable[str]) -> list[bytes]:
    return [f"data/1_raw/{name}".encode() for name in names]


@pytest.mark.parametrize(
    ("changed", "absent", "downstream", "expected"),
    [
        ("both/a", "both/b both/c", "auto", "both/b both/c"),
        ("both/a", "both/a", "auto", ""),  # it waits for itself
        ("both/a", "right/a", "auto", ""),
        ("left/a", "right/a", "auto", "right/a"),
        ("regions/eu", "regions/us", "auto", ""),
        ("above/a", "other/a", "auto", "other/a"),  # `child` reads both
        ("above/a", "other/a", "none", ""),
        ("nothing/a", "both/a", "auto", ""),
    ],
)
def test_what_waits_for_another_file(changed: str, absent: str, downstream: str, expected: str) -> None:
    def made(target: Target) -> list[Target]:
        return Lineage(ASSETS, downstream).made_from(target)

    found = lacking(paths([changed]), paths(absent.split()), BOOK, made)
    assert [list(one) for one in found.values()] == ([paths(expected.split())] if expected else [])
