"""Searches for rules, the surest first. Pure."""

from __future__ import annotations

import itertools
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from raw_trigger.initialize.coded import ANY, FOLDER, KEYED, Coded, as_glob, mentioned
from raw_trigger.initialize.keys import Shape, cuts, dimensions, is_key
from raw_trigger.initialize.likeness import (
    CLOSE,
    LIKENESS,
    Shared,
    asset_names,
    file_names,
    has_to_do,
    in_common,
    is_packed,
    likeness,
    named_parts,
    nearest,
    template_of,
)
from raw_trigger.initialize.values import (
    Compiled,
    Proposal,
    as_pattern,
    as_template,
    folders_of,
    is_text,
    kind_of,
    problem_of,
    shown,
    words_of,
)
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.mapping.patterns import built_in
from raw_trigger.mapping.rules import RAW, Match
from raw_trigger.model.assets import Asset, Catalog, Partitions
from raw_trigger.model.text import sample

_NOT_DATA = ("**/README*",)

_GENERAL = 3
"""So many files have to fit a template before it counts as more than chance."""

_CODE = "The asset's code names the file."
_CODE_LIST = "The asset's code lists these files."
_CODE_FOLDER = "The asset's code names the folder."
_CODE_KEYS = "The asset's code or metadata names them, with its partition in the name."

_MOST_READERS = 8
"""If more assets name one file, they hardly all read it."""

_SAMPLE = 5000
"""The names that the patterns of an asset are searched in; what is found has to fit all names."""

_SHAPES = 5
"""The most patterns of an asset; each has to fit at least one in so many of its files."""

_COMPARED = 200_000
"""The most pairs of names that are compared letter by letter: a second or two."""


class Search:
    """Finds rules, the surest first. A file that a rule takes is not searched again."""

    def __init__(self, catalog: Catalog, found: Mapping[str, Match | None], root: str = ".") -> None:
        self.catalog = catalog
        self._root = root
        self._keys = PartitionKeys()
        self.mapped: dict[str, Match] = {}
        self.broken: dict[str, str] = {}
        self.needing: list[str] = []
        self.unsure: dict[str, tuple[str, ...]] = {}
        self._doubtful: list[Proposal] = []
        self._proposals: list[Proposal] = []
        self._claims: dict[str, set[str]] = {}
        self._vaguely: set[str] = set()
        for name, match in found.items():
            problem = None if match is None else problem_of(match, catalog, self._keys)
            if match is not None and problem is None:
                self.mapped[name] = match
                continue
            self.needing.append(name)
            if match is not None and problem is not None:
                self.broken[name] = problem
                self._claims[name] = (
                    {t.asset for t in match.targets} if kind_of(match) == "metadata" else set()
                )
        self._open = dict.fromkeys(self.needing)
        fed = {target.asset for match in self.mapped.values() for target in match.targets}
        self._fed = fed
        self._unfed = {k: a for k, a in sorted(catalog.assets.items()) if k not in fed and _is_source(a)}

    def run(self) -> None:
        """Finds all proposals."""
        for pattern in _NOT_DATA:
            self._try(Proposal(pattern, None, "No data."))
        self._coded()
        self._split(dynamic=False)
        self._same_name()
        self._mentioned()
        self._apart()
        self._folders()
        self._dated()
        # A definition that lists its keys is surer than a dynamic one, which takes any.
        self._split(dynamic=False, guess=True, whole=True)
        self._split(dynamic=True)
        self._split(dynamic=False, guess=True)
        self._split(dynamic=True, guess=True)
        self._similar()

    def ordered(self) -> list[Proposal]:
        """Returns the proposals: single files first, then patterns as they were found, then ignored files."""
        return sorted(self._proposals, key=lambda p: (p.asset is None, p.many))

    def doubtful(self) -> list[tuple[Proposal, list[str]]]:
        """Returns proposals that may be right for files without any other, and these files."""
        left, found = dict(self._open), []
        for proposal in self._doubtful:
            names = Compiled(proposal).among(left)
            for name in names:
                del left[name]
            if names:
                found.append((proposal, names))
        return found

    def _try(self, proposal: Proposal) -> bool:
        """Takes the proposal if its assets and partitions exist and it disturbs no other; False if not."""
        try:
            compiled = Compiled(proposal)
        except ValueError:
            return False
        taken = compiled.among(self._open)
        if not taken or compiled.among(self.mapped):
            return False
        if proposal.asset is not None:
            outside = self._outside(compiled, taken)
            if outside is None or len(outside) == len(taken):
                return False
            why = f"{proposal.why} {_count(taken)}" if proposal.many else proposal.why
            if outside:
                why += f" Not among its partitions: {sample([*map(shown, outside)], 3)}."
            proposal = replace(proposal, why=why)
        for name in taken:
            del self._open[name]
            self.unsure.pop(name, None)
            if proposal.asset is not None:
                for key in (compiled.target(name)[0], *compiled.also(name)):
                    self._unfed.pop(key, None)
        self._proposals.append(proposal)
        return True

    def _outside(self, compiled: Compiled, names: Iterable[str]) -> list[str] | None:
        """Returns the names whose moment is no partition; None if one leads to a missing asset or key."""
        outside = []
        for name in names:
            key, parts = compiled.target(name)
            asset = self.catalog.assets.get(key)
            if asset is None or (asset.partitions is None) != (not parts):
                return None
            also = [self.catalog.assets.get(other) for other in compiled.also(name)]
            if any(one is None or one.partitions != asset.partitions for one in also):
                return None
            fits = [is_key(self._keys, part, parts.get(n, "")) for n, part in dimensions(asset.partitions)]
            if False in fits:
                return None
            if None in fits:
                outside.append(name)
        return outside

    # By what code names

    def _coded(self) -> None:
        """Proposes files that the code of assets names, for these assets."""
        able = [asset for asset in self.catalog.assets.values() if asset.kind == "materializable"]
        coded = Coded(list(self._open), self._root)
        plain: dict[tuple[str, ...], dict[str, int]] = {}
        for name, readers in coded.readers(able).items():
            every = set(readers).union(*(self.catalog.assets[key].execution_set for key in readers))
            parted = {key for key in every if self.catalog.assets[key].partitions is not None}
            surely = max(readers.values())
            if parted == every:
                if not self._claims.get(name):
                    self._claims[name] = every
                if surely < KEYED:
                    self._vaguely.add(name)
            elif parted or len(every) > _MOST_READERS:
                self.unsure.setdefault(name, tuple(sorted(every)))
            elif surely > ANY:
                plain.setdefault(tuple(sorted(every)), {})[name] = surely
        alone = {name: keys[0] for keys, names in plain.items() if len(keys) == 1 for name in names}
        self._templates(alone, _CODE)
        for keys, names in plain.items():
            self._listed(keys, names)
        rest = {name: (keys, surely) for keys, names in plain.items() for name, surely in names.items()}
        for name in sorted(rest.keys() & self._open):
            keys, surely = rest[name]
            (first, *also) = map(as_template, keys)
            why, guess = (_CODE, False) if surely > FOLDER else (_CODE_FOLDER, True)
            if is_text(name):
                made = Proposal(as_pattern(name), first, why, many=False, guess=guess, also=tuple(also))
                self._try(made)

    def _listed(self, keys: tuple[str, ...], names: Mapping[str, int]) -> None:
        """Proposes one pattern for files that the code lists with it, or whose folder it names."""
        if len(names) == 1:
            return
        (first, *also) = map(as_template, keys)
        named = {text for key in keys for text in self.catalog.assets[key].named if "*" in text}
        globs = {as_glob(text, self._root) for text in named}
        paths = [(path, _CODE_LIST, False) for path in sorted(filter(None, globs))]
        folders = Counter(f for name, surely in names.items() if surely == FOLDER for f in folders_of(name))
        paths += [
            (f"{as_pattern(folder)}/**", _CODE_FOLDER, True)
            for folder, count in sorted(folders.items())
            if count >= _GENERAL and is_text(folder)
        ]
        for path, why, guess in paths:
            proposal = Proposal(path, first, why, guess=guess, also=tuple(also))
            try:
                taken = Compiled(proposal).among(self._open)
            except ValueError:
                continue
            if len(taken) > 1 and names.keys() >= set(taken):
                self._try(proposal)

    def _templates(self, chosen: Mapping[str, str], why: str) -> None:
        """Proposes one pattern where files and their assets differ in the same part of their names."""
        groups: dict[tuple[str, str, str, str], list[str]] = {}
        for name, key in chosen.items():
            parts = named_parts(name)
            head, _, last = key.rpartition("/")
            same = in_common(parts["stem"], last)
            if same is None or not is_text(name):
                continue
            (before, after), (key_before, key_after) = same
            path = f"{as_pattern(parts['parent'] + '/' if parts['parent'] else '')}{as_pattern(before)}"
            prefix = f"{head}/{key_before}" if head else key_before
            groups.setdefault((path, as_pattern(after + parts["suffix"]), prefix, key_after), []).append(name)
        for (path, end, prefix, after), names in groups.items():
            if len(names) >= _GENERAL:
                asset = f"{as_template(prefix)}{{name}}{as_template(after)}"
                proposal = Proposal(f"{path}{{name}}{end}", asset, why)
                if set(Compiled(proposal).among(self._open)) == set(names):
                    self._try(proposal)

    def _mentioned(self) -> None:
        """Proposes files whose name stands in the metadata or the description of one asset."""
        found = mentioned(self._unfed, list(self._open))
        for name, (key, certain) in found.items():
            if self.catalog.assets[key].partitions is None and key in self._unfed:
                where = "metadata" if certain else "description"
                self._literal(name, key, f"The asset's {where} has its name.", guess=not certain)

    # By name

    def _apart(self) -> None:
        """Proposes files and assets whose names are equal without the words that most of them share."""
        assets: dict[str, list[str]] = {}
        shared = Shared([words_of(key.rpartition("/")[2]) for key in self._siblings()])
        for key, asset in self._unfed.items():
            if asset.partitions is None:
                assets.setdefault(shared.off(words_of(asset.parts[-1])), []).append(key)
        folders: dict[tuple[str, str], list[str]] = {}
        for name in (*self._open, *self.mapped):
            parts = named_parts(name)
            folders.setdefault((parts["parent"], parts["suffix"]), []).append(words_of(parts["stem"]))
        of_folder = {place: Shared(stems) for place, stems in folders.items()}
        found: dict[str, list[str]] = {}
        for name in self._open:
            parts = named_parts(name)
            words = words_of(parts["stem"])
            bare = of_folder[parts["parent"], parts["suffix"]].off(words)
            for one in dict.fromkeys((bare, words)):
                if one in assets:
                    found.setdefault(one, []).append(name)
                    break
        chosen = {}
        for one, names in found.items():
            if len(names) == len(assets[one]) == 1:
                chosen[names[0]] = assets[one][0]
            else:
                self.unsure |= {name: tuple(assets[one]) for name in names if name not in self.unsure}
        why = "Apart from what all of them share, the names are the same."
        self._templates(chosen, why)
        for name, key in chosen.items():
            if name in self._open:
                self._literal(name, key, why, guess=len(chosen) < _GENERAL)

    def _siblings(self) -> list[str]:
        """Returns the assets that may be made from files."""
        return [key for key, asset in self.catalog.assets.items() if _is_source(asset)]

    def _same_name(self) -> None:
        """Proposes files and assets of the same name, the nearest likeness first."""
        called = {name: file_names(name, self._root) for name in self._open}
        for rank, why in enumerate(LIKENESS):
            by_name: dict[str, list[str]] = {}
            for key, asset in self._unfed.items():
                if asset.partitions is None:
                    for text in asset_names(asset)[rank] - {""}:
                        by_name.setdefault(text, []).append(key)
            chosen: dict[str, str] = {}
            for name in self._open:
                like = [key for text in called[name][rank] for key in by_name.get(text, ())]
                if not like:
                    continue
                keys = nearest(name, [self.catalog.assets[key] for key in dict.fromkeys(like)])
                if len(keys) == 1:
                    chosen[name] = keys[0]
                elif keys:
                    self.unsure[name] = tuple(keys)
            self._generalized(chosen, why)
            several = Counter(chosen.values())
            for name, key in chosen.items():
                if name in self._open:
                    self._literal(name, key, why, guess=several[key] > 1)

    def _generalized(self, chosen: Mapping[str, str], why: str) -> None:
        """Proposes one pattern where many files of a folder follow one template."""
        groups: dict[tuple[str, str, str], int] = Counter(
            (parts["parent"], parts["suffix"], template)
            for name, key in chosen.items()
            if (parts := built_in(name)) and (template := template_of(key, parts)) is not None
        )
        self._templates({name: key for name, key in chosen.items() if is_packed(name)}, why)
        for (parent, suffix, template), count in groups.items():
            if count >= _GENERAL:
                path = as_pattern(f"{parent}/" if parent else "") + "*" + as_pattern(suffix)
                self._try(Proposal(path, template, why))

    def _literal(self, name: str, key: str, why: str, *, guess: bool = False) -> None:
        if is_text(name):
            self._try(Proposal(as_pattern(name), as_template(key), why, many=False, guess=guess))

    def _folders(self) -> None:
        """Proposes folders with the name of an asset."""
        named: dict[str, list[str]] = {}
        for key, asset in self._unfed.items():
            if asset.partitions is None:
                named.setdefault(words_of(asset.parts[-1]), []).append(key)
        for folder in sorted(
            {f for n in self._open for f in folders_of(n)}, key=lambda f: (-f.count("/"), f)
        ):
            keys = named.get(words_of(posixpath.basename(folder)) or "/", [])
            if len(keys) == 1 and keys[0] in self._unfed and is_text(folder):
                why = "The folder has the asset's name."
                self._try(Proposal(f"{as_pattern(folder)}/**", as_template(keys[0]), why))

    def _dated(self) -> None:
        """Proposes files of one asset without partitions that differ only in their date."""
        for key, asset in list(self._unfed.items()):
            if asset.partitions is None:
                why = "Apart from the date, the name is the asset's."
                shapes = self._shapes(asset, exact=True)
                for path, _, _ in _most_frequent(shapes):
                    if key in self._unfed:
                        self._try(Proposal(path, as_template(key), why))

    def _similar(self) -> None:
        """Proposes pairs of nearly the same name that are each other's nearest."""
        assets = {k: a for k, a in self._unfed.items() if a.partitions is None}
        if len(assets) * len(self._open) > _COMPARED:
            return
        scores = {
            (name, key): score
            for name in self._open
            for key, asset in assets.items()
            if (score := likeness(name, asset)) >= CLOSE
        }
        best: dict[tuple[int, str], float] = {}
        for pair, score in scores.items():
            for side in enumerate(pair):
                best[side] = max(best.get(side, 0), score)
        mutual = [p for p, score in scores.items() if score == best[0, p[0]] == best[1, p[1]]]
        times = Counter(itertools.chain.from_iterable(enumerate(pair) for pair in mutual))
        for name, key in mutual:
            if times[0, name] == times[1, key] == 1:
                self._literal(name, key, "The names are alike.", guess=True)
            else:
                self.unsure[name] = tuple(dict.fromkeys((*self.unsure.get(name, ()), key)))

    # By partition

    def _split(self, *, dynamic: bool, guess: bool = False, whole: bool = False) -> None:
        """Proposes files that are the partitions of one asset.

        Args:
            dynamic: Whether of assets whose keys can be any text, or of the others.
            guess: Also of assets with another name.
            whole: Only if all files of one shape are partitions.
        """
        claimed = {key for name in self._open for key in self._claims.get(name, ())} - self._fed
        assets = [
            asset
            for key, asset in self.catalog.assets.items()
            if (key in self._unfed or key in claimed)
            and asset.partitions is not None
            and dynamic == any(part.kind == "dynamic" for _, part in dimensions(asset.partitions))
        ]
        alone = len(assets) == 1 and not whole
        found = {asset.key: self._shapes(asset, exact=not guess, alone=alone) for asset in assets}
        wanted = Counter(path for shapes in found.values() for path in {path for path, _, _ in shapes})
        for key, shapes in found.items():
            for path, strict, partition in _most_frequent(shapes):
                if guess and wanted[path] > 1:
                    continue
                why = (
                    "The names fit its partitions." if guess else "Named after the asset and its partitions."
                )
                for pattern in (path,) if whole else (path, strict):
                    proposal = Proposal(pattern, as_template(key), why, partition, guess=guess)
                    proposal = self._with_others(proposal, key)
                    doubt = self._doubt(proposal, self.catalog.assets[key])
                    if doubt is not None:
                        self._doubtful.append(replace(proposal, doubt=doubt))
                    elif self._try(proposal):
                        break

    def _with_others(self, proposal: Proposal, key: str) -> Proposal:
        """Returns the proposal for all assets with the same partitions whose code names these files."""
        try:
            names = Compiled(proposal).among(self._open)
        except ValueError:
            return proposal
        claims = [self._claims.get(name) or set() for name in names]
        if not claims or not all(key in one for one in claims):
            return proposal
        partitions = self.catalog.assets[key].partitions
        others = set.intersection(*claims) - self._fed
        every = sorted(one for one in others if self.catalog.assets[one].partitions == partitions)
        first, *also = map(as_template, every or [key])
        return replace(proposal, asset=first, why=_CODE_KEYS, also=tuple(also))

    def _doubt(self, proposal: Proposal, asset: Asset) -> str | None:
        """Returns why these names may be no keys of dynamic partitions; None if something says they are."""
        parts = [part for part in dimensions(asset.partitions) if part[1].kind == "dynamic"]
        if not parts:
            return None
        try:
            compiled = Compiled(proposal)
        except ValueError:
            return None
        names = compiled.among(self._open)
        for dimension, part in parts:
            told = {compiled.target(name)[1].get(dimension, "") for name in names}
            known = told.intersection(part.keys)
            if part.keys and len(known) * 2 < len(told) and len(known) < len(part.keys):
                return f"its keys are other ones: {sample([*map(shown, part.keys)], 3)}"
            vague = proposal.guess or not self._vaguely.isdisjoint(names)
            if not part.keys and vague and not _is_named(part, proposal.path):
                return f"{shown(part.name or asset.key)} has no keys yet"
        return None

    def _shapes(self, asset: Asset, *, exact: bool, alone: bool = False) -> Counter[Shape]:
        """Returns the patterns that read partition keys out of names which have to do with the asset."""
        last = words_of(asset.parts[-1])
        names = list(self._open)
        found: Counter[Shape] = Counter()
        for name in names[:: len(names) // _SAMPLE + 1]:
            claimed = self._claims.get(name)
            if claimed and asset.key not in claimed:
                continue
            if not claimed and exact and last not in words_of(name):
                continue
            for shape, rest, suffix in cuts(name, asset.partitions):
                named = claimed or has_to_do(asset, rest, suffix, exact=exact)
                if named or (not exact and (alone or _is_known(name, shape, asset))):
                    found[shape] += 1
        return found


def _most_frequent(shapes: Counter[Shape]) -> list[Shape]:
    """Returns the few shapes that most names have; none if each name has a shape of its own."""
    return [shape for shape, n in shapes.most_common(_SHAPES) if n * _SHAPES >= shapes.total()]


def _count(names: Sequence[str]) -> str:
    return "1 file." if len(names) == 1 else f"{len(names)} files."


def _is_known(name: str, shape: Shape, asset: Asset) -> bool:
    """Says whether the keys that the shape reads out of the name are in dynamic definitions."""
    keys = {one: part.keys for one, part in dimensions(asset.partitions) if part.keys}
    if not any(part.kind == "dynamic" and part.keys for _, part in dimensions(asset.partitions)):
        return False
    try:
        told = Compiled(Proposal(shape[0], "", "", shape[2])).target(name)[1]
    except ValueError:
        return False
    return all(told.get(one) in known for one, known in keys.items())


def _is_named(part: Partitions, path: str) -> bool:
    """Says whether the pattern contains the name of the definition, in the singular or the plural."""
    name = words_of(part.name or "").removesuffix("s")
    words = [words_of(one).removesuffix("s") for one in re.split(r"/|\{[^}]*\}", path)]
    return bool(name) and name in words


def _is_source(asset: Asset) -> bool:
    return not asset.parents or asset.group == RAW or asset.parts[0] == RAW
