"""What ``--partition`` asks for and nothing answers to."""

from __future__ import annotations

import pytest

from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.model.assets import Partitions
from raw_trigger.planning.asked import no_key
from tests.unit.conftest import DAILY, REGIONS, catalog

ASSETS = catalog(
    days={"partitions": DAILY}, also_days={"partitions": DAILY}, regions={"partitions": REGIONS}, plain={}
)
DYNAMIC = catalog(names={"partitions": Partitions("dynamic", name="names")}, regions={"partitions": REGIONS})


@pytest.mark.parametrize(
    ("ends", "assets", "expected"),
    [
        (("2026-01-02", "2026-01-02"), (), None),
        (("2999-01-02", "2999-01-02"), (), None),
        (("eu", "eu"), (), None),
        (
            ("2026-01-02", "uss"),
            (),
            "no asset has a partition 'uss' (also_days: it has no partition 'uss': it is not written as %Y-%m-%d; "
            "regions: it has no partition 'uss'; did you mean 'us'?)",
        ),
        (
            ("2025-01-02", "2026-01-02"),
            ("days",),
            "no asset that is asked for has a partition '2025-01-02' "
            "(days: it has no partition '2025-01-02': its first one begins 2026-01-01 00:00 UTC)",
        ),
        (("eu", "eu"), ("plain",), "no asset that is asked for has a partition 'eu': none is partitioned"),
    ],
)
def test_a_key_that_no_definition_has(
    ends: tuple[str, str], assets: tuple[str, ...], expected: str | None
) -> None:
    assert no_key([ends], assets, ASSETS, PartitionKeys(0)) == expected


def test_a_dynamic_definition_may_have_any_key() -> None:
    assert no_key([("mars", "mars")], (), DYNAMIC, PartitionKeys()) is None
