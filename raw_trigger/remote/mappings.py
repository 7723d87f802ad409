"""How the partitions of assets are made from those of others, as far as a webserver tells it."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.model.assets import Asset, Catalog, PartitionMapping
from raw_trigger.planning.downstream import ALL, inferred, partitions_below
from raw_trigger.remote.server import Server

Document = dict[str, Any]

_PREVIEW = (
    "assetBackfillPreview(params: $p%d) {"
    " assetKey { path } partitions { partitionKeys ranges { start end } } }"
)
_OFFSETS = re.compile(r"offsetted by (-?\d+) and (-?\d+) partitions")
_AT_ONCE = 100
"""Questions that one request asks."""


def with_mappings(
    server: Server, catalog: Catalog, dependencies: Mapping[str, Sequence[Document]]
) -> dict[str, Asset]:
    """Returns the assets whose partitions are made from those of others, with how.

    Of a mapping without settings (all partitions, the last one) the webserver tells nothing, as if Dagster
    inferred it. So it is asked what it would make of one partition. An asset without partitions is made
    whatever the partition was.

    Args:
        dependencies: What the webserver tells of each asset's parents.
    """
    told: dict[str, dict[str, PartitionMapping]] = {}
    open_yet: list[tuple[Asset, Asset]] = []
    for key, above in dependencies.items():
        child = catalog.assets[key]
        for one in above:
            parent = catalog.assets.get("/".join(one["asset"]["assetKey"]["path"]))
            if parent is None or parent.partitions is None:
                continue
            how = None if one["partitionMapping"] is None else _mapping(one["partitionMapping"])
            if how is not None:
                told.setdefault(child.key, {})[parent.key] = how
            elif child.partitions is not None and parent.kind == child.kind == "materializable":
                open_yet.append((parent, child))
    for (parent, child), how in zip(open_yet, _tried(server, open_yet), strict=True):
        told.setdefault(child.key, {})[parent.key] = how
    return {
        key: replace(catalog.assets[key], mappings=tuple(sorted(found.items(), key=lambda one: one[0])))
        for key, found in told.items()
    }


def _mapping(told: Document) -> PartitionMapping | None:
    """A mapping that has settings; None: what the deployment makes of it has to be seen."""
    kind, words = told["className"], told["description"]
    try:
        if kind == "TimeWindowPartitionMapping":
            offsets = _OFFSETS.search(words)
            start, end = (0, 0) if offsets is None else map(int, offsets.groups())
            return PartitionMapping("time", start_offset=start, end_offset=end)
        if kind == "SpecificPartitionsPartitionMapping":
            keys = ast.literal_eval(words[words.index("[") :])
            return PartitionMapping("specific", keys=tuple(map(str, keys)))
        if kind == "StaticPartitionMapping":
            pairs = ast.literal_eval(words[words.index("{") :])
            every = (
                (up, (down,) if isinstance(down, str) else tuple(sorted(down))) for up, down in pairs.items()
            )
            return PartitionMapping("static", pairs=tuple(every))
    except (ValueError, SyntaxError, TypeError, AttributeError):
        return None
    return None


def _tried(server: Server, edges: Iterable[tuple[Asset, Asset]]) -> Iterator[PartitionMapping]:
    """How the children are made from partitions of their parents, as far as one example of each tells."""
    keys = PartitionKeys(time.time())
    rest = iter(edges)
    while chunk := list(islice(rest, _AT_ONCE)):
        examples = [_example(parent, keys) for parent, _ in chunk]
        declared, questions = list[str](), list[str]()
        variables: Document = {}
        for n, ((parent, child), example) in enumerate(zip(chunk, examples, strict=True)):
            if example is not None:
                declared.append(f"$p{n}: AssetBackfillPreviewParams!")
                questions.append(f"a{n}: {_PREVIEW % n}")
                selection = [{"path": list(one.parts)} for one in (parent, child)]
                variables[f"p{n}"] = {"partitionNames": [example], "assetSelection": selection}
        answer: Mapping[str, Any] = {}
        if questions:
            answer = server.ask(f"query({', '.join(declared)}) {{ {' '.join(questions)} }}", **variables)
        for n, ((parent, child), example) in enumerate(zip(chunk, examples, strict=True)):
            seen = None if example is None else _seen(answer[f"a{n}"], child)
            yield _that_fits(parent, child, example, seen, keys)


def _example(parent: Asset, keys: PartitionKeys) -> str | None:
    assert parent.partitions is not None
    every = keys.every(parent.partitions)
    return None if every is None else next(iter(every), None)


def _seen(preview: Iterable[Document], child: Asset) -> tuple[frozenset[str] | None, bool]:
    """The partitions of a child that would be made, and whether these are ranges' first and last ones.

    None: nothing of it would be made.
    """
    for one in preview:
        if tuple(one["assetKey"]["path"]) == child.parts:
            told = one["partitions"] or {"ranges": None, "partitionKeys": ()}
            if told["ranges"] is None:
                return frozenset(told["partitionKeys"] or ()), False
            return frozenset(end for each in told["ranges"] for end in (each["start"], each["end"])), True
    return None, False


def _that_fits(
    parent: Asset,
    child: Asset,
    example: str | None,
    seen: tuple[frozenset[str] | None, bool] | None,
    keys: PartitionKeys,
) -> PartitionMapping:
    for how in (inferred(parent.partitions, child.partitions), ALL, PartitionMapping("last")):
        if example is None or seen is None:
            break
        below = partitions_below(parent, replace(child, mappings=((parent.key, how),)), example, keys)
        if below.unknown is not None:
            continue
        expected = [one for one in below.partitions if one is not None]
        ends = {expected[0], expected[-1]} if seen[1] and expected else set(expected)
        if ends == (seen[0] or set()) and (seen[0] is None) == (not below.partitions):
            return how
    return PartitionMapping("other", name="the deployment")
