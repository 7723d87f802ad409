"""Whether a file and an asset have one name."""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Mapping, Sequence

from raw_trigger.initialize.values import as_template, is_text, words_of
from raw_trigger.mapping.patterns import built_in
from raw_trigger.model.assets import Asset

CLOSE = 0.8
"""From which likeness on two names count as nearly the same; 1 is equal."""

LIKENESS = (
    "Path and suffix are the asset's key.",
    "The path is the asset's key.",
    "Stem and suffix are the asset's name.",
    "The stem is the asset's name.",
)


def file_names(name: str) -> tuple[str, str, str, str]:
    """What a file may be called, one for each of the likenesses."""
    parts = built_in(name)
    stem, whole = words_of(parts["stem"]), words_of(parts["stem"] + parts["suffix"])
    if not parts["parent"]:
        return "", "", whole, stem
    return words_of(name), words_of(f"{parts['parent']}/{parts['stem']}"), whole, stem


def asset_names(asset: Asset) -> tuple[set[str], set[str], set[str], set[str]]:
    """What the file of an asset may be called, in the same order."""
    whole = {words_of(asset.key), words_of("/".join(asset.parts[1:] or asset.parts))}
    last = {words_of(asset.parts[-1])}
    return whole, whole, last, last


def nearest(name: str, assets: Sequence[Asset]) -> list[str]:
    """Of assets with one name, those whose prefix has most in common with the folder."""
    folder = set(words_of(posixpath.dirname(name)).split("_"))

    def common(asset: Asset) -> int:
        return len(folder & set(words_of("/".join(asset.parts[:-1])).split("_")) - {""})

    most = max(map(common, assets), default=0)
    return [asset.key for asset in assets if common(asset) == most]


def template_of(key: str, parts: Mapping[str, str]) -> str | None:
    """The key as a template of the file's parts; None if its spelling differs."""
    prefix, _, last = key.rpartition("/")
    extension = parts["suffix"].removeprefix(".")
    known = {parts["stem"]: "{stem}", f"{parts['stem']}_{extension}": "{stem}_" + as_template(extension)}
    if last not in known or not is_text(parts["parent"] + parts["suffix"]):
        return None
    return f"{as_template(prefix)}/{known[last]}" if prefix else known[last]


def likeness(name: str, asset: Asset) -> float:
    """How like the names are, from 0 to 1; where one has all words of the other it is :data:`CLOSE`."""
    _, _, whole, stem = file_names(name)
    last = words_of(asset.parts[-1])
    ours, theirs = set(stem.split("_")), set(last.split("_"))
    if (ours <= theirs or theirs <= ours) and any(map(str.isalpha, "".join(ours & theirs))):
        return CLOSE
    ratios = []
    for text in {whole, stem}:
        matcher = difflib.SequenceMatcher(None, text, last, autojunk=False)
        if matcher.real_quick_ratio() >= CLOSE and matcher.quick_ratio() >= CLOSE:
            ratios.append(matcher.ratio())
    return max(ratios, default=0)


def has_to_do(asset: Asset, rest: Sequence[str], suffix: str, *, exact: bool) -> bool:
    """Whether what is left of a path without its partition names the asset, or shares a word with it."""
    last = words_of(asset.parts[-1])
    if exact:
        names = {*rest, *("_".join(rest[i:]) for i in range(len(rest)))}
        return bool({*names, *(f"{name}_{suffix}" for name in names)} & {last, words_of(asset.key)})
    return not (set(last.split("_")) - {""}).isdisjoint("_".join(rest).split("_"))
