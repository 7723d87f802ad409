"""Finds the raw files that the code of assets names. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from raw_trigger.initialize.values import folders_of
from raw_trigger.model.assets import HOLE, KEY, Asset

NAMED, LISTED, KEYED, SHAPED, FOLDER, ANY = 5, 5, 4, 3, 2, 1
"""How surely code names a file: by its name; with ``*``; with the partition's key in it; with a part that
only a run knows; by its folder alone; by its suffix alone.
"""

_MOST_MATCHES = 5_000_000
"""The most comparisons of a name with a pattern: they take a few seconds."""


class Coded:
    """Knows the raw files and finds those that code names.

    Args:
        names: The files, relative to the root.
        root: Relative to the repository's top; ``.`` is the top itself.
    """

    def __init__(self, names: Sequence[str], root: str) -> None:
        self._root = "" if root == "." else root
        self._full = {name: posixpath.join(self._root, name) for name in names}
        self._by_base: dict[str, list[str]] = {}
        self._below: dict[str, list[str]] = {}
        for name in names:
            self._by_base.setdefault(posixpath.basename(name), []).append(name)
            for folder in folders_of(name):
                self._below.setdefault(folder, []).append(name)
        self._known: dict[str, dict[str, int]] = {}
        self._left = _MOST_MATCHES

    def readers(self, assets: Iterable[Asset]) -> dict[str, dict[str, int]]:
        """Returns for each file the assets whose code names it most surely, and how surely."""
        found: dict[str, dict[str, int]] = {}
        for asset in assets:
            for name, surely in self._of(asset).items():
                found.setdefault(name, {})[asset.key] = surely
        best = {name: max(readers.values()) for name, readers in found.items()}
        return {
            name: {key: surely for key, surely in readers.items() if surely == best[name]}
            for name, readers in found.items()
        }

    def _of(self, asset: Asset) -> dict[str, int]:
        found: dict[str, int] = {}
        vague: list[dict[str, int]] = []
        for text in asset.named:
            if text not in self._known:
                self._known[text] = self._matching(text)
            matching = self._known[text]
            if not text.startswith("/") and len(matching) > 1 and set(matching.values()) == {NAMED}:
                vague.append(matching)  # several folders have a file of this name
                continue
            for name, surely in matching.items():
                found[name] = max(surely, found.get(name, 0))
        for matching in vague:
            if not any(found.get(name) == NAMED for name in matching):
                found |= {name: FOLDER for name in matching if name not in found}
        if any(surely > FOLDER for surely in found.values()):
            # A folder that the code joins with names stands for the files of these names only.
            found = {name: surely for name, surely in found.items() if surely != FOLDER}
        return found

    def _matching(self, text: str) -> dict[str, int]:
        anchored = text.startswith("/")
        text = text.lstrip("/")
        if text.startswith((HOLE, KEY)) and not anchored:
            rest = text.lstrip(HOLE + KEY).lstrip("/")  # a folder that only a run knows
            text = rest if "/" in text or rest in self._by_base else text
        if not re.search(rf"[*?{HOLE}{KEY}]", text):
            found = {
                name: NAMED
                for name in self._by_base.get(posixpath.basename(text), ())
                if self._is(self._full[name], text, anchored)
            }
            return found or dict.fromkeys(self._in_folder(text, anchored), FOLDER)
        surely = self._surely(text, anchored)
        if not surely:
            return {}
        pattern = re.compile(("" if anchored else "(?:.*/)?") + _regex(text), re.DOTALL)
        self._left -= len(self._full)
        if self._left < 0:
            return {}
        return {name: surely for name, full in self._full.items() if pattern.fullmatch(full)}

    def _is(self, full: str, text: str, anchored: bool) -> bool:
        return full == text or (not anchored and full.endswith(f"/{text}"))

    def _in_folder(self, text: str, anchored: bool) -> Iterator[str]:
        if not anchored and "/" not in text:
            return
        for folder, names in self._below.items():
            if self._is(posixpath.join(self._root, folder), text, anchored):
                yield from names

    def _surely(self, text: str, anchored: bool) -> int:
        """Returns how good a pattern is; little or nothing if it names only a folder or a suffix."""
        folder, last = posixpath.split(text)
        body = posixpath.splitext(last)[0]
        kind = KEYED if KEY in text else SHAPED if HOLE in text else LISTED
        if re.search(r"[^\W_]", re.sub(f"[{HOLE}{KEY}]", "", body)):
            return kind
        within = folder.removeprefix(self._root).strip("/") if anchored else folder
        if not anchored and self._root and f"/{self._root}".endswith(f"/{folder}"):
            within = ""
        if re.search(r"[^\W_]", re.sub(f"[{HOLE}{KEY}]", "", within)):
            return kind
        if kind == SHAPED:
            return ANY if folder else 0
        return kind if folder else 0


def _regex(text: str) -> str:
    """Returns a pattern of code as a regular expression; ``**`` is any folders."""
    out = ""
    for piece in re.findall(rf"\*\*/|\*+|\?|[{HOLE}{KEY}]+|[^*?{HOLE}{KEY}]+", text):
        if piece == "**/":
            out += "(?:[^/]+/)*"
        elif piece[0] == "*":
            out += "[^/]*"
        elif piece == "?":
            out += "[^/]"
        elif piece[0] in (HOLE, KEY):
            out += "[^/]+"
        else:
            out += re.escape(piece)
    return out


def as_glob(text: str, root: str) -> str | None:
    """Returns a pattern of code relative to the root; None if it leads elsewhere or is no glob."""
    prefix = "/" if root == "." else f"/{root}/"
    if not text.startswith(prefix) or re.search(rf"[{HOLE}{KEY}\[\]{{}}]", text):
        return None
    return text[len(prefix) :]


def mentioned(assets: Mapping[str, Asset], names: Sequence[str]) -> dict[str, tuple[str, bool]]:
    """Returns for each file the one asset that mentions its name, and whether in the metadata.

    Else the description mentions it. Only names that a single file has count.
    """
    by_base: dict[str, list[str]] = {}
    for name in names:
        by_base.setdefault(posixpath.basename(name), []).append(name)
    found: dict[str, dict[str, bool]] = {}
    for key, asset in assets.items():
        texts = [(text, True) for _, text in asset.metadata] + [(text, False) for text in asset.told]
        for text, certain in texts:
            base = posixpath.basename(text.rstrip("/"))
            if "." in base and len(by_base.get(base, ())) == 1:
                of = found.setdefault(by_base[base][0], {})
                of[key] = of.get(key, False) or certain
    return {name: next(iter(keys.items())) for name, keys in found.items() if len(keys) == 1}
