"""Says in words which parents Dagster never made, so that targets were made without them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Literal

from raw_trigger.model.outcome import Lack
from raw_trigger.model.plan import Target
from raw_trigger.model.text import sample

_MOST_WARNINGS = 5
_MOST_PARTITIONS = 3

_WHY: dict[Literal["fed", "many", "failed"], str] = {
    "fed": "never materialized here",
    "many": "never materialized here, and too many to be made first",
    "failed": "never materialized here, and not tried again as it failed",
}


def warnings(lacks: Iterable[Lack], fed: Set[Target], *, failed: bool) -> list[str]:
    """Returns one sentence for each asset and reason, and only a few of them.

    An asset that raw files feed is reported if its file is there. A file that is still to come is usual: its
    asset is reported only after a failure, which it may have caused.

    Args:
        fed: The targets that present files feed.
        failed: Whether a target failed.
    """
    found: dict[tuple[str, str, bool], tuple[Lack, dict[str | None, None]]] = {}
    for lack in lacks:
        for partition in lack.partitions:
            has_file = Target(lack.asset, partition) in fed
            if lack.why != "fed" or has_file or failed:
                key = (lack.asset, lack.why, has_file)
                found.setdefault(key, (lack, {}))[1][partition] = None
    told = [
        f"{_WHY[lack.why]}: {_named(asset, list(partitions))}, which {lack.below} is made from; "
        + _way_on(asset, lack.why, has_file)
        for (asset, _, has_file), (lack, partitions) in found.items()
    ]
    rest = len(told) - _MOST_WARNINGS
    more = [f"{rest} more assets were never materialized here"] if rest > 0 else []
    return told[:_MOST_WARNINGS] + more


def _named(asset: str, partitions: list[str | None]) -> str:
    return sample([Target(asset, partition).text for partition in partitions], _MOST_PARTITIONS)


def _way_on(asset: str, why: str, has_file: bool) -> str:
    if why != "fed":
        return f"Dagster's UI or `dagster asset materialize --select {asset}` makes it"
    if has_file:
        return f"`raw-trigger run --all --asset {asset}` makes it"
    return "its file is still to come"
