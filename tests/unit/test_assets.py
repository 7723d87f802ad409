"""What the asset graph tells of itself."""

from __future__ import annotations

from raw_trigger.model.assets import Asset, Catalog, Partitions

DAYS = Partitions("static", keys=("a",))


def test_partitioned_assets_above_are_found_by_way_of_partitioned_ones() -> None:
    assets = [
        Asset("top", ("top",), "here", partitions=DAYS),
        Asset("whole", ("whole",), "here", parents=("top",)),
        Asset("middle", ("middle",), "here", partitions=DAYS, parents=("top", "middle", "gone")),
        Asset("below", ("below",), "here", partitions=DAYS, parents=("whole", "middle")),
        Asset("aside", ("aside",), "here", partitions=DAYS, parents=("whole",)),
    ]
    catalog = Catalog({asset.key: asset for asset in assets})
    assert catalog.partitioned_above(["below"]) == {"middle", "top"}
    assert catalog.partitioned_above(["aside", "unknown"]) == set()
