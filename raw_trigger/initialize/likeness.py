"""Compares the names of files and assets."""

from __future__ import annotations

import difflib
import posixpath
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from raw_trigger.initialize.values import as_template, is_text, words_of
from raw_trigger.mapping.patterns import built_in
from raw_trigger.model.assets import Asset

CLOSE = 0.8
"""The likeness from which two names count as nearly the same; 1 is equal."""

LIKENESS = (
    "Path and suffix are the asset's key.",
    "The path is the asset's key.",
    "Stem and suffix are the asset's name.",
    "The stem is the asset's name.",
    "Without its suffixes the name is the asset's.",
    "The asset's key ends with the path.",
)

_PACKED = frozenset({".br", ".bz2", ".gz", ".lz4", ".snappy", ".xz", ".zip", ".zst"})


def is_packed(name: str) -> bool:
    """Says whether a compressed file has a suffix before its last one, as ``a.csv.gz`` has."""
    parts = built_in(name)
    return parts["suffix"].lower() in _PACKED and bool(built_in(parts["stem"])["suffix"])


def named_parts(name: str) -> dict[str, str]:
    """Returns the parts of a name; the two suffixes of a compressed file are one."""
    parts = built_in(name)
    if is_packed(name):
        inner = built_in(parts["stem"])
        return {**parts, "stem": inner["stem"], "suffix": inner["suffix"] + parts["suffix"]}
    return parts


class Shared:
    """Knows the words that all, or all but a few, of some names begin or end with.

    Args:
        names: Words joined by ``_``.
    """

    def __init__(self, names: Sequence[str]) -> None:
        words = [name.split("_") for name in names]
        self._first = _shared(words)
        self._last = _shared([one[::-1] for one in words])[::-1]

    def off(self, name: str) -> str:
        """Returns the name without the shared words; the whole name if nothing would be left."""
        words = name.split("_")
        start = len(self._first) if words[: len(self._first)] == self._first else 0
        end = len(words) - (len(self._last) if self._last and words[-len(self._last) :] == self._last else 0)
        return "_".join(words[start:end] if start < end else words)


def _shared(words: Sequence[Sequence[str]]) -> list[str]:
    found: list[str] = []
    while True:
        left = [one for one in words if list(one[: len(found)]) == found and len(one) > len(found) + 1]
        counts = Counter(one[len(found)] for one in left)
        word, count = max(counts.items(), key=lambda one: one[1], default=("", 0))
        if count < 2 or count * 3 < len(words) * 2:  # noqa: PLR2004
            return found
        found.append(word)


def file_names(name: str, root: str = ".") -> tuple[tuple[str, ...], ...]:
    """Returns the names that the asset of a file may have, for each of the likenesses."""
    parts = built_in(name)
    stem, whole = words_of(parts["stem"]), words_of(parts["stem"] + parts["suffix"])
    bare = words_of(named_parts(name)["stem"]) if is_packed(name) else ""
    below = [] if root == "." else root.split("/")
    ends = tuple(words_of("/".join([*below[n:], name])) for n in range(len(below)))
    last = ((whole,), (stem,), (bare,), ends)
    if not parts["parent"]:
        return (), (), *last
    return (
        (words_of(name),),
        (words_of(f"{parts['parent']}/{parts['stem']}"),),
        (whole,),
        (stem,),
        (bare,),
        ends,
    )


def asset_names(asset: Asset) -> tuple[set[str], ...]:
    """Returns the names that the file of an asset may have, for each of the likenesses."""
    whole = {words_of(asset.key), words_of("/".join(asset.parts[1:] or asset.parts))}
    last = {words_of(asset.parts[-1])}
    words = words_of(asset.key).split("_")
    ends = {"_".join(words[n:]) for n in range(len(words) - 1)}
    return whole, whole, last, last, last, ends


def in_common(one: str, other: str) -> tuple[tuple[str, str], tuple[str, str]] | None:
    """Returns the parts of a name before and behind the longest words that both names share.

    None if they share no words or spell them differently.
    """
    words = [list(re.finditer(r"[^\W_]+", text)) for text in (one, other)]
    plain = [[word[0].casefold() for word in some] for some in words]
    found = difflib.SequenceMatcher(None, plain[0], plain[1], autojunk=False).find_longest_match()
    if not found.size:
        return None
    starts = (words[0][found.a].start(), words[1][found.b].start())
    ends = (words[0][found.a + found.size - 1].end(), words[1][found.b + found.size - 1].end())
    if one[starts[0] : ends[0]] != other[starts[1] : ends[1]]:
        return None
    return (one[: starts[0]], one[ends[0] :]), (other[: starts[1]], other[ends[1] :])


def nearest(name: str, assets: Sequence[Asset]) -> list[str]:
    """Returns those of the assets whose prefix has most words in common with the file's folder."""
    folder = set(words_of(posixpath.dirname(name)).split("_"))

    def common(asset: Asset) -> int:
        return len(folder & set(words_of("/".join(asset.parts[:-1])).split("_")) - {""})

    most = max(map(common, assets), default=0)
    return [asset.key for asset in assets if common(asset) == most]


def template_of(key: str, parts: Mapping[str, str]) -> str | None:
    """Returns the key as a template of the file's parts; None if the key spells them differently."""
    prefix, _, last = key.rpartition("/")
    extension = parts["suffix"].removeprefix(".")
    known = {parts["stem"]: "{stem}", f"{parts['stem']}_{extension}": "{stem}_" + as_template(extension)}
    if last not in known or not is_text(parts["parent"] + parts["suffix"]):
        return None
    return f"{as_template(prefix)}/{known[last]}" if prefix else known[last]


def likeness(name: str, asset: Asset) -> float:
    """Returns how like the names are, from 0 to 1; :data:`CLOSE` if one has all words of the other."""
    _, _, (whole,), (stem,), *_ = file_names(name)
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
    """Says whether the words of a path besides its partition name the asset.

    Args:
        exact: They have to be the asset's name; otherwise one word in common is enough.
    """
    last = words_of(asset.parts[-1])
    if exact:
        names = {*rest, *("_".join(rest[i:]) for i in range(len(rest)))}
        return bool({*names, *(f"{name}_{suffix}" for name in names)} & {last, words_of(asset.key)})
    return not (set(last.split("_")) - {""}).isdisjoint("_".join(rest).split("_"))
