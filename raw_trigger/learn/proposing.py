"""Derives rules from what was read: names, globs for whole folders, templates for names that repeat. Pure.

A pattern is proposed only if it matches, of the existing files, those that were read and no others. Files of
partitions that did not run count as read if they match the pattern of those that did.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from raw_trigger.initialize.keys import Shape, cuts, dimensions, is_key
from raw_trigger.initialize.values import Compiled, Proposal, as_pattern, as_template, is_text, shown
from raw_trigger.learn.choosing import joined_key
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.mapping.patterns import built_in
from raw_trigger.model.assets import Asset, Catalog
from raw_trigger.model.text import sample

GENERAL = 3
"""So many files have to fit a pattern before it counts as more than chance."""


@dataclass(frozen=True, slots=True)
class NewRule:
    """Holds a rule, its pattern and templates as the file spells them, and the names that it is for."""

    path: str
    assets: tuple[str, ...]
    names: tuple[str, ...]
    partition: tuple[tuple[str | None, str], ...] = ()
    many: bool = False


@dataclass(slots=True)
class Wanted:
    """Says which files have to feed which assets. Names are relative to the root.

    Args:
        catalog: The assets.
        names: Every raw file.
        readers: Name → asset → the partitions that read it (None: the asset has none).
        folders: Folders that were listed, by asset; ``""`` is the root itself.
        ran: The partitions that ran, by asset.
    """

    catalog: Catalog
    names: tuple[str, ...]
    readers: dict[str, dict[str, set[str | None]]] = field(default_factory=dict)
    folders: dict[str, set[str]] = field(default_factory=dict)
    ran: dict[str, set[str | None]] = field(default_factory=dict)


def by_name(rule: NewRule) -> list[NewRule]:
    """Returns one rule for each name of a rule without partitions."""
    compiled = [Compiled(Proposal(rule.path, asset, "")) for asset in rule.assets]
    return [
        NewRule(as_pattern(name), tuple(as_template(one.target(name)[0]) for one in compiled), (name,))
        for name in rule.names
    ]


def propose(wanted: Wanted) -> tuple[list[NewRule], list[str]]:
    """Returns the rules, single names first, and sentences about what no rule can express."""
    return _Proposing(wanted).run()


class _Proposing:
    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.rules: list[NewRule] = []
        self.notes: list[str] = []
        self.known = PartitionKeys()
        self.by_place: dict[tuple[str, str], list[str]] = {}
        for name in wanted.names:
            parts = built_in(name)
            self.by_place.setdefault((parts["parent"], parts["suffix"]), []).append(name)

    def run(self) -> tuple[list[NewRule], list[str]]:
        plain: dict[tuple[str, ...], list[str]] = {}
        parted: dict[tuple[str, ...], dict[str, str]] = {}
        shared: dict[str, list[str]] = {}
        for name, readers in sorted(self.wanted.readers.items()):
            assets = tuple(sorted(readers))
            partitions = {partition for found in readers.values() for partition in found}
            if not is_text(name):
                self.notes.append(f"{shown(name)} is no UTF-8, so no rule can name it: {_feeds(assets)}")
            elif partitions == {None}:
                plain.setdefault(assets, []).append(name)
            elif len(partitions) == 1 and None not in partitions and len(self._definitions(assets)) == 1:
                parted.setdefault(assets, {})[name] = str(*partitions)
            elif None in partitions or len(self._definitions(assets)) > 1:
                self.notes.append(
                    f"{shown(name)}: a rule gives all its assets one partition: {_feeds(assets)}"
                )
            else:
                shared.setdefault(", ".join(f"`{one}`" for one in assets), []).append(name)
        for who, names in shared.items():
            shortly = sample([shown(name) for name in names], 3)
            self.notes.append(f"{shortly}: read by several partitions of {who}, and a rule gives a file one")
        self._templates(plain)
        for assets, names in plain.items():
            self._plain(assets, names)
        for assets, keys in parted.items():
            self._partitions(assets, keys)
        return sorted(self.rules, key=lambda one: (one.many, one.path)), self.notes

    def _definitions(self, assets: Iterable[str]) -> set[str]:
        return {repr(self.wanted.catalog.assets[one].partitions) for one in assets}

    # Without partitions

    def _templates(self, plain: dict[tuple[str, ...], list[str]]) -> None:
        """Proposes one rule for files of a folder that each feed an asset of their name.

        It takes these files out of ``plain``.
        """
        groups: dict[tuple[str, str, str, str], dict[str, str]] = {}
        for assets, names in plain.items():
            if len(assets) == len(names) == 1:
                parts = built_in(names[0])
                head, _, last = assets[0].rpartition("/")
                before, found, after = last.partition(parts["stem"])
                if found:
                    prefix = f"{head}/{before}" if head else before
                    place = (parts["parent"], parts["suffix"], prefix, after)
                    groups.setdefault(place, {})[names[0]] = assets[0]
        for (parent, suffix, prefix, after), members in groups.items():
            if len(members) < GENERAL:
                continue
            stems = [built_in(name)["stem"] for name in members]
            end = _common([stem[:0:-1] for stem in stems])[::-1]
            begin = _common([stem[:-1] for stem in stems])
            folder = as_pattern(f"{parent}/" if parent else "")
            for a, b in (("", ""), ("", end), (begin, "")):
                path = f"{folder}{as_pattern(a)}{{name}}{as_pattern(b + suffix)}"
                asset = as_template(prefix + a) + "{name}" + as_template(b + after)
                if self._exact(Proposal(path, asset, ""), members):
                    self.rules.append(NewRule(path, (asset,), tuple(sorted(members)), many=True))
                    for name, key in members.items():
                        plain[key,].remove(name)
                    break

    def _exact(self, proposal: Proposal, members: Mapping[str, str]) -> bool:
        try:
            compiled = Compiled(proposal)
        except ValueError:
            return False
        taken = compiled.among(dict.fromkeys(self.wanted.names))
        return set(taken) == set(members) and all(compiled.target(n)[0] == members[n] for n in taken)

    def _plain(self, assets: tuple[str, ...], names: Sequence[str]) -> None:
        """Proposes one glob for each folder that was read as a whole, and a name for every other file."""
        templates = tuple(map(as_template, assets))
        rest = set(names)
        for path, taken in self._globs(assets, names):
            if rest.issuperset(taken):
                self.rules.append(NewRule(path, templates, tuple(sorted(taken)), many=True))
                rest -= taken
        self.rules += [NewRule(as_pattern(name), templates, (name,)) for name in sorted(rest)]

    def _globs(self, assets: tuple[str, ...], names: Sequence[str]) -> Iterator[tuple[str, set[str]]]:
        """Yields patterns of folders in which every file with one suffix was read, the widest first."""
        read = set(names)
        listed = {folder for asset in assets for folder in self.wanted.folders.get(asset, ())}
        for folder in sorted(listed, key=lambda one: (one.count("/"), one)):
            below = [name for name in self.wanted.names if _is_below(name, folder)]
            for suffix in sorted({built_in(name)["suffix"] for name in below}):
                found = {name for name in below if built_in(name)["suffix"] == suffix}
                # A pattern without a suffix also matches the files that have one.
                whole = found <= read and (suffix or len(found) == len(below))
                if whole and len({posixpath.dirname(name) for name in found}) > 1:
                    yield as_pattern(f"{folder}/" if folder else "") + "**/*" + as_pattern(suffix), found
        for (parent, suffix), members in sorted(self.by_place.items()):
            if read.issuperset(members) and (parent in listed or len(members) >= GENERAL):
                path = as_pattern(f"{parent}/" if parent else "") + "*" + as_pattern(suffix)
                if suffix or read.issuperset(n for n in self.wanted.names if posixpath.dirname(n) == parent):
                    yield path, set(members)

    # With partitions

    def _partitions(self, assets: tuple[str, ...], keys: Mapping[str, str]) -> None:
        """Proposes patterns that give each file its partition, and a name for every other file."""
        asset = self.wanted.catalog.assets[assets[0]]
        templates = tuple(map(as_template, assets))
        rest = dict(keys)
        for loose, strict, partition in self._shapes(asset, keys):
            for path in (loose, strict):
                taken = self._taken(asset, assets, Proposal(path, assets[0], "", partition), rest)
                if taken:
                    names = tuple(sorted(taken))
                    self.rules.append(NewRule(path, templates, names, partition, many=True))
                    rest = {name: key for name, key in rest.items() if name not in taken}
                    break
        for name, key in sorted(rest.items()):
            names_of = [one for one, _ in dimensions(asset.partitions)]
            texts = key.split("|") if len(names_of) > 1 else [key]
            ordered = sorted(names_of, key=lambda one: one or "")
            literal = tuple((one, as_template(text)) for one, text in zip(ordered, texts, strict=False))
            self.rules.append(NewRule(as_pattern(name), templates, (name,), literal))

    def _shapes(self, asset: Asset, keys: Mapping[str, str]) -> list[Shape]:
        found: Counter[Shape] = Counter()
        for name, key in keys.items():
            for shape, _, _ in cuts(name, asset.partitions):
                try:
                    values = Compiled(Proposal(shape[0], "", "", shape[2])).target(name)[1]
                except ValueError:
                    continue
                if joined_key(values) == key:
                    found[shape] += 1
        return [shape for shape, _ in found.most_common()]

    def _taken(
        self, asset: Asset, assets: tuple[str, ...], proposal: Proposal, keys: Mapping[str, str]
    ) -> set[str]:
        """Returns the files whose partition the pattern tells; none if it tells a wrong one."""
        try:
            compiled = Compiled(proposal)
        except ValueError:
            return set()
        taken = set()
        seen = {partition for one in assets for partition in self.wanted.ran.get(one, ())}
        for name in compiled.among(dict.fromkeys(self.wanted.names)):
            values = compiled.target(name)[1]
            key = joined_key(values)
            if name in keys:
                if keys[name] != key:
                    return set()
                taken.add(name)
            elif name in self.wanted.readers or key in seen or not self._is_key(asset, values):
                return set()
        return taken

    def _is_key(self, asset: Asset, values: Mapping[str | None, str]) -> bool:
        """Says whether these are keys, or moments before the first or after the last key."""
        parts = dimensions(asset.partitions)
        return all(is_key(self.known, part, values.get(one, "")) is not False for one, part in parts)


def _common(texts: Sequence[str]) -> str:
    """Returns the beginning that all texts share."""
    first, last = min(texts), max(texts)
    return next((first[:i] for i in range(len(first)) if first[i] != last[i]), first)


def _is_below(name: str, folder: str) -> bool:
    return not folder or name.startswith(f"{folder}/")


def _feeds(assets: Sequence[str]) -> str:
    return "it feeds " + sample([f"`{one}`" for one in assets], 3)
