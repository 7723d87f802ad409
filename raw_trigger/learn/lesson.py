"""Compares what was read with the rules, and adds the missing ones to the file. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from raw_trigger.config.parsing import parse
from raw_trigger.errors import ConfigError
from raw_trigger.initialize.text import unlike_root
from raw_trigger.initialize.values import Findings, shown
from raw_trigger.learn.choosing import keys_told
from raw_trigger.learn.editing import inserted, lines_of, new_file
from raw_trigger.learn.outdated import without_outdated
from raw_trigger.learn.proposing import NewRule, Wanted, by_name, propose
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.mapping.rules import CONVENTION, Match, RuleBook
from raw_trigger.model.assets import Catalog
from raw_trigger.model.changes import is_pointer, show
from raw_trigger.model.plan import Target
from raw_trigger.model.settings import Config
from raw_trigger.model.text import sample
from raw_trigger.reads import Reading, fed_by


class Lesson:
    """Compares what was read with the rules. Pure.

    Args:
        config: The present configuration.
        top: The repository's top.
        files: Every raw file that git sees.
        readings: What was read.
        pointer_of: Returns DVC's pointer file that stands for a file; None if there is none.

    Attributes:
        notes: What the user should know; complete after :meth:`text`.
    """

    def __init__(
        self,
        config: Config,
        catalog: Catalog,
        top: str,
        files: Sequence[bytes],
        readings: Sequence[Reading],
        pointer_of: Callable[[bytes], bytes | None] = lambda _: None,
    ) -> None:
        self.config = config
        self.catalog = catalog
        self.top = top
        self._pointer_of = pointer_of
        self.book = self._book(config)
        self.names = {path: str(self.book.relative(path)) for path in files}
        self.notes: list[str] = []
        self.wanted = Wanted(catalog, tuple(self.names.values()))
        self._before = {path: self.book.match(path) for path in files}
        self._keys = PartitionKeys()
        self._read: dict[bytes, set[Target]] = {}
        self._look(readings)
        self._unread(readings)

    def _book(self, config: Config) -> RuleBook:
        return RuleBook(config, self.catalog, self.top, self._pointer_of)

    def _look(self, readings: Sequence[Reading]) -> None:
        """Collects which assets have to be fed by which files, beyond what the rules say."""
        wanted = self.wanted
        fed: dict[bytes, frozenset[str] | None] = {}
        ignored: dict[tuple[str, str], None] = {}
        for one in readings:
            asset = one.target.asset
            if not one.partial:
                wanted.ran.setdefault(asset, set()).add(one.target.partition)
            for folder in one.reads.folders:
                relative = self.book.relative(folder + b"/")
                if relative is not None:
                    wanted.folders.setdefault(asset, set()).add(relative.strip("/"))
            for path in {*one.reads.files, *one.reads.unsure} & self.names.keys():
                self._read.setdefault(path, set()).update(replace(one.target, asset=a) for a in one.assets)
                if path not in fed:
                    fed[path] = fed_by(self.book, path, self.config.downstream)
                already = fed[path]
                match = self._before[path]
                if already is None:
                    assert match is not None
                    if match.ignore:
                        ignored[match.rule, show(path)] = None
                elif already.isdisjoint(one.assets) and not self._of_another(one, self.names[path]):
                    readers = wanted.readers.setdefault(self.names[path], {})
                    readers.setdefault(asset, set()).add(one.target.partition)
        for (rule, path_), who in self._by(ignored, readings).items():
            self.notes.append(f"{rule} ignores {shown(path_)}, which `{who}` reads")
        for path, match in self._before.items():
            if match is not None and self.names[path] in wanted.readers:
                self._keep(path, match)

    def _by(
        self, ignored: Iterable[tuple[str, str]], readings: Sequence[Reading]
    ) -> dict[tuple[str, str], str]:
        readers: dict[str, str] = {}
        for one in readings:
            for path in (*one.reads.files, *one.reads.unsure):
                readers.setdefault(show(path), one.target.asset)
        return {key: readers[key[1]] for key in ignored}

    def _of_another(self, one: Reading, name: str) -> bool:
        """Says whether the file is named after another of the partitions that ran together."""
        if not one.together:
            return False
        told = keys_told(self.catalog.assets[one.target.asset], name, self._keys).intersection(one.together)
        return bool(told) and one.target.partition not in told

    def _keep(self, path: bytes, match: Match) -> None:
        """Keeps the path's present assets, except one that the convention names and that did not read it."""
        name = self.names[path]
        if match.clause is not None or match.on_delete is not None:
            readers = sorted(self.wanted.readers.pop(name))
            keys = sample([f"`{key}`" for key in readers], 3)
            if match.by_row and any(self.catalog.assets[key].partitions is None for key in readers):
                why = f"{match.rule} maps the rows of {shown(name)} to partitions"
                self.notes.append(f"{why}: no rule can say that {keys} reads all of it")
                return
            self.notes.append(f"{match.rule} says more of {shown(name)} than its assets: add {keys} there")
            return
        for target in match.targets:
            misled = target.asset in self.wanted.ran and target not in self._read.get(path, ())
            if match.rule != CONVENTION or not misled:
                self.wanted.readers[name].setdefault(target.asset, set()).add(target.partition)

    def _unread(self, readings: Sequence[Reading]) -> None:
        """Notes the paths that are mapped to a target and that it did not read."""
        read: dict[Target, set[bytes]] = {}
        for one in readings:
            if one.reads.complete and not one.partial:
                for asset in one.assets:
                    target = replace(one.target, asset=asset)
                    read.setdefault(target, set()).update((*one.reads.files, *one.reads.unsure))
        found: dict[tuple[str, str], list[str]] = {}
        for path, match in self._before.items():
            if match is None or match.by_row or is_pointer(path):
                continue
            if self.names[path] in self.wanted.readers and match.rule == CONVENTION:
                continue
            for target in match.targets:
                if target in read and path not in read[target]:
                    found.setdefault((match.rule, target.asset), []).append(shown(self.names[path]))
        for (rule, asset), names in found.items():
            self.notes.append(f"{rule}: `{asset}` did not read {sample(names, 3)}")

    def text(self, before: str | None, file: str) -> tuple[list[NewRule], str | None]:
        """Returns the rules and the file with them; None if there are none, or the user has to add them."""
        rules, notes = propose(self.wanted)
        self.notes += notes
        kept = [one for one in map(self._unlike_roots, rules) if self._can_stand(one, file)]
        while kept:
            after = self._written(before, kept)
            config = None if after is None else _parsed(after, file)
            if config is None or not self._same_else(config, len(kept)):
                self.notes += [_by_hand(rule, "add it by hand") for rule in kept]
                return [], None
            wrong = self._wrong(config, kept)
            if not wrong and after is not None:
                return kept, self._told(after, config)
            plain = [rule for rule in wrong if rule.many and not rule.partition]
            self.notes += [
                _by_hand(rule, "among the other rules it would say something else")
                for rule in wrong
                if rule not in plain
            ]
            kept = sorted(
                [
                    *(rule for rule in kept if rule not in wrong),
                    *(one for rule in plain for one in map(self._unlike_roots, by_name(rule))),
                ],
                key=lambda one: (one.many, one.path),
            )
        return [], None

    def _told(self, after: str, config: Config) -> str:
        """Returns the file without those comments of ``init`` that the new rules made wrong."""
        book = self._book(config)
        now = {path: book.match(path) for path in self.names}
        mapped = {path: match.targets for path, match in now.items() if match is not None}
        old = {path: match.targets for path, match in self._before.items() if match is not None}
        return without_outdated(
            after,
            unmapped=[name for path, name in self.names.items() if path not in mapped],
            ruled=[self.names[path] for path, targets in mapped.items() if old.get(path) != targets],
            fed={target.asset for targets in mapped.values() for target in targets},
        )

    def _unlike_roots(self, rule: NewRule) -> NewRule:
        folder = self.config.folder
        path = rule.path
        for root in self.config.roots:
            below = root[len(folder) + 1 :] if folder and root != folder else root
            path = unlike_root(path, Findings("", folder, below or ".", self.top, ()))
        return replace(rule, path=path)

    def _can_stand(self, rule: NewRule, file: str) -> bool:
        text = new_file(self._root(), [rule])
        if _parsed(text, file) is not None:
            return True
        self.notes.append(_by_hand(rule, "it cannot stand in the file"))
        return False

    def _root(self) -> str:
        root, folder = self.config.roots[0], self.config.folder
        return root[len(folder) + 1 :] or "." if folder else root

    def _written(self, before: str | None, rules: Sequence[NewRule]) -> str | None:
        if before is None:
            return new_file(self._root(), rules)
        places: dict[int | None, list[NewRule]] = {}
        for rule in rules:
            places.setdefault(self._place(rule), []).append(rule)
        return inserted(before, places)

    def _place(self, rule: NewRule) -> int | None:
        """Returns the number of the first rule that decides about one of the names now; None if none does."""
        numbers = {one.position.short: number for number, one in enumerate(self.config.rules)}
        names = set(rule.names)
        deciding = (
            numbers.get(match.rule)
            for path, match in self._before.items()
            if match is not None and self.names[path] in names
        )
        return min((number for number in deciding if number is not None), default=None)

    def _same_else(self, config: Config, more: int) -> bool:
        mine = self.config
        plain = replace(config, rules=(), digest="", file=mine.file)
        return plain == replace(mine, rules=(), digest="") and len(config.rules) == len(mine.rules) + more

    def _wrong(self, config: Config, rules: Sequence[NewRule]) -> list[NewRule]:
        """Returns the new rules that, in the new file, map a path differently than it was read."""
        book = self._book(config)
        by_text = {(rule.path, rule.partition): rule for rule in rules}
        by_place = {
            one.position.short: by_text.get((one.path, _pairs(one.partition))) for one in config.rules
        }
        wrong: dict[NewRule, None] = {}
        for path, old in self._before.items():
            match, name = book.match(path), self.names[path]
            readers = self.wanted.readers.get(name)
            rule = None if match is None else by_place.get(match.rule)
            found = set() if match is None else set(match.targets)
            if rule is None:
                continue
            if readers is not None:
                good = found == {Target(a, p) for a, some in readers.items() for p in some}
            else:  # a partition that was not run
                good = bool(rule.partition) and (old is None or old.rule == CONVENTION)
            if not good:
                wrong[rule] = None
        return list(wrong)


def _pairs(partition: object) -> tuple[tuple[str | None, str], ...]:
    if partition is None:
        return ()
    if isinstance(partition, str):
        return ((None, partition),)
    return tuple((str(name), str(text)) for name, text in partition)  # type: ignore[attr-defined]


def _parsed(text: str, file: str) -> Config | None:
    try:
        return parse(text.encode(), file)
    except (ConfigError, UnicodeEncodeError):
        return None


def _by_hand(rule: NewRule, why: str) -> str:
    return f"{why}: " + " ".join(line.strip() for line in lines_of(rule))
