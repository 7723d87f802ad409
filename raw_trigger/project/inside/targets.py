"""A target as the request names it: the parts of an asset's key, and perhaps a partition key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Document = dict[str, Any]
Identity = tuple[tuple[str, ...], "str | None"]
"""The parts of the asset's key, and the partition key."""


def identity(target: Document) -> Identity:
    """Returns what names a target."""
    return tuple(target["asset"]), target["partition"]


def predecessors(target: Document) -> list[Identity]:
    """Returns the targets that have to be made before this one."""
    return [(tuple(parts), key) for parts, key in target.get("after") or ()]


def joined(parts: Iterable[str]) -> str:
    """Returns an asset's key as a person reads it."""
    return "/".join(parts)
