"""What the asset graph tells of itself."""

from __future__ import annotations

import pytest

from raw_trigger.model.assets import Asset, Catalog

CATALOG = Catalog(
    {
        asset.key: asset
        for asset in (
            Asset("top", ("top",), "here"),
            Asset("aside", ("aside",), "here", parents=("further",)),
            Asset("further", ("further",), "here"),
            Asset("middle", ("middle",), "here", parents=("top", "gone"), execution_set=("aside", "middle")),
            Asset("outside", ("outside",), "here", kind="external", parents=("hidden",)),
            Asset("hidden", ("hidden",), "here"),
            Asset("below", ("below",), "here", parents=("outside", "middle")),
        )
    }
)


@pytest.mark.parametrize(
    ("asset", "above"),
    [("below", "aside further middle top"), ("middle", "top"), ("outside", "hidden"), ("unknown", "")],
)
def test_what_code_makes_above_an_asset(asset: str, above: str) -> None:
    """What is made together is made from all of its parents; nothing is made of what is outside of Dagster."""
    assert CATALOG.made_above([asset]) == set(above.split())


@pytest.mark.parametrize(("asset", "readers"), [("middle", "middle"), ("outside", "below"), ("gone", "gone")])
def test_who_reads_the_file_of_an_asset(asset: str, readers: str) -> None:
    assert list(CATALOG.readers(asset)) == readers.split()
