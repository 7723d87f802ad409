"""Maps a path to its targets: by the rules of the file, then by asset metadata, then by convention.

Junk feeds nothing, unless a rule of the file names junk itself.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from raw_trigger.errors import ConfigError
from raw_trigger.mapping.clauses import Affected, Clause
from raw_trigger.mapping.jobs import RunConfig, compile_run_config, marked
from raw_trigger.mapping.junk import junk
from raw_trigger.mapping.patterns import (
    BUILT_IN,
    Pattern,
    PatternError,
    Template,
    built_in,
    compile_glob,
    compile_pattern,
    compile_template,
)
from raw_trigger.model.assets import JOB, Asset, Catalog
from raw_trigger.model.changes import Entry, show
from raw_trigger.model.plan import Target
from raw_trigger.model.rules import same_file
from raw_trigger.model.settings import Config, PartitionText, Position, Rows, Rule

CONVENTION = "convention"
RAW = "raw"
"""The key prefix or group of assets that are mapped by their names."""


@dataclass(frozen=True, slots=True)
class Match:
    """Holds the rule that decided about a path, and the targets that the path feeds.

    ``rule`` is ``raw-trigger.yaml:14``, ``metadata of …``, ``convention`` or, for junk, ``no data (~$*)``.
    ``clause`` says what of the content counts; None: every byte. If each row has a partition of its own, the
    ``targets`` have none: the content tells their partitions. ``dimensions`` are those by which the rule
    gives the partition; empty if it gives the whole key.
    """

    rule: str
    targets: tuple[Target, ...] = ()
    ignore: bool = False
    on_delete: str | None = None
    clause: Clause | None = None
    dimensions: tuple[str, ...] = ()

    @property
    def by_row(self) -> bool:
        """Says whether the content tells which partitions the path feeds."""
        return self.clause is not None and self.clause.partition is not None


Compare = Callable[[bytes, Match, Entry | None, Entry | None], Affected]
"""Tells what two versions of a path make of its targets, where its rule says what of the content counts."""


class RuleBook:
    """Maps paths by all rules in force. Without a catalog it knows only those of the file.

    Args:
        top: The repository's top, absolute, for metadata that names absolute paths.
        pointer_of: Returns the file in git that stands for a path; its rules count if no rule knows the path.
        links_to: Returns the links that lead to a path: what they feed, the path feeds.

    Raises:
        ConfigError: a pattern or template of the file cannot be understood.
    """

    def __init__(
        self,
        config: Config,
        catalog: Catalog | None,
        top: str,
        pointer_of: Callable[[bytes], bytes | None] = lambda _: None,
        links_to: Callable[[bytes], Sequence[bytes]] = lambda _: (),
    ) -> None:
        self._pointer_of = pointer_of
        self._links_to = links_to
        self.roots = tuple("" if root == "." else root + "/" for root in config.roots)
        self.catalog = catalog
        self._file = _FileRules(config.rules)
        self._metadata = _MetadataRules(_named_paths(config, catalog, top))
        self._convention = _Convention(_raw_keys(catalog, self._metadata.assets))
        self._below = None if catalog is None else _Below.of(catalog, config.downstream)
        self._described: str | None = None
        self._lacks_catalog = False

    def describe(self) -> str:
        """Returns everything that decides what a path feeds, as text to compare with or to map by again."""
        if self._described is None:
            self._described = self._as_text()
        return self._described

    def _as_text(self) -> str:
        file = [_told(one.rule) for one in self._file.rules]
        catalog = None
        if self.catalog is not None:
            assert self._below is not None
            below = asdict(self._below)
            catalog = {"paths": self._metadata.named, "raw": self._convention.keys, "below": below}
        document = {"version": 1, "roots": self.roots, "rules": file, "catalog": catalog}
        return json.dumps(document, indent=1, sort_keys=True) + "\n"

    def same_file(self, text: str) -> bool:
        """Says whether :meth:`describe` wrote this text of the same rules of the file, by any catalog."""
        return same_file(text, self.describe())

    def _beside(self, before: RuleBook) -> None:
        """Completes earlier rules: what their description lacks is taken from these."""
        before._pointer_of, before._links_to = self._pointer_of, self._links_to
        if before._lacks_catalog:
            before._metadata, before._convention = self._metadata, self._convention
            before._below = self._below

    @classmethod
    def described(cls, text: str) -> RuleBook:
        """Returns the rules that :meth:`describe` wrote; if another version did, they map nothing."""
        unknown = cls(Config(roots=()), None, "")
        try:
            document = json.loads(text)
            nowhere = Position("", 0, 0)
            rules = tuple(
                Rule(
                    path=one["path"],
                    assets=tuple(one["assets"]),
                    ignore=one["ignore"],
                    partition=_partition(one["partition"]),
                    on_delete=None,
                    position=nowhere,
                    asset_positions=(nowhere,) * len(one["assets"]),
                    fingerprint=one.get("fingerprint"),
                    rows=_rows(one.get("rows")),
                    run_config=one.get("run_config"),
                )
                for one in document["rules"]
            )
            if document["version"] != 1:
                return unknown
            book = cls(Config(roots=(), rules=rules), None, "")
            book.roots = tuple(document["roots"])
            book._lacks_catalog = document["catalog"] is None
            if document["catalog"] is not None:
                book._metadata = _MetadataRules([(path, key) for path, key in document["catalog"]["paths"]])
                book._convention = _Convention([tuple(parts) for parts in document["catalog"]["raw"]])
                below = document["catalog"].get("below")
                if below is not None:
                    book._below = _Below(
                        int(below["levels"]), dict(below["children"]), dict(below["together"])
                    )
        except (ValueError, KeyError, TypeError, ConfigError):
            return unknown
        return book

    def newly_mapped(self, before: RuleBook, paths: Iterable[bytes]) -> dict[bytes, Match]:
        """Returns the targets that these paths feed by these rules and did not feed by the rules ``before``.

        If another part of the content counts than before, this is everything that the path feeds.
        """
        found = {}
        self._beside(before)
        for path in paths:
            now, then = self.match(path), before.match(path)
            if now is None:
                continue
            same = then is not None and then.clause == now.clause
            old = set(then.targets) if then is not None and same else set()
            new = tuple(target for target in now.targets if target not in old)
            if new:
                found[path] = replace(now, targets=new)
        return found

    def taken_away(self, before: RuleBook, paths: Iterable[bytes]) -> list[bytes]:
        """Returns those of the paths from which something was made before, and nothing is any more."""
        self._beside(before)
        found = []
        for path in paths:
            then, now = before.match(path), self.match(path)
            if then is not None and not then.ignore and (now is None or now.ignore):
                found.append(path)
        return found

    def were_mapped(self, before: RuleBook, paths: Iterable[bytes]) -> bool:
        """Says whether something was made from one of the paths by the rules ``before``."""
        self._beside(before)
        return any(then is not None and then.targets for then in map(before.match, paths))

    def newly_reached(self, before: RuleBook, paths: Iterable[bytes]) -> dict[bytes, frozenset[str]]:
        """Returns the assets that by these rules are made with or from these paths', and were not ``before``.

        One that was made of them before, but not in every way in which it is now, is among them. Only assets
        count that a path fed before: an asset that it newly feeds brings its own along.
        """
        found: dict[bytes, frozenset[str]] = {}
        self._beside(before)
        if self._below is None or before._below is None or self._below == before._below:
            return found
        for path in paths:
            now, then = self.match(path), before.match(path)
            if now is None or then is None:
                continue
            both = {target.asset for target in now.targets} & {target.asset for target in then.targets}
            new = self._below.newly_reached(before._below, both)
            if new:
                found[path] = new
        return found

    def below(self, assets: Iterable[str]) -> frozenset[str]:
        """Returns what is made with these assets, and downstream as far as `downstream:` goes."""
        return frozenset() if self._below is None else self._below.reached(assets)

    def edited(self, before: RuleBook, paths: Iterable[bytes]) -> dict[bytes, tuple[Match, Match]]:
        """Returns the paths of which another part of the content counts than by the rules ``before``.

        Each has the match of then and the match of now.
        """
        self._beside(before)
        matches = ((path, before.match(path), self.match(path)) for path in paths)
        return {
            path: (then, now)
            for path, then, now in matches
            if then is not None and now is not None and then.clause != now.clause
        }

    def relative(self, path: bytes) -> str | None:
        """Returns the path relative to its raw root; None if it is under none."""
        text = show(path)
        for root in self.roots:
            if text.startswith(root):
                return text[len(root) :]
        return None

    def match(self, path: bytes) -> Match | None:
        """Returns the match that decides about the path.

        None if no rule knows the path, nor the file that stands for it, nor a link that leads to it.
        """
        found = self._match(path)
        pointer = self._pointer_of(path) if found is None else None
        found = found if pointer is None else self._match(pointer)
        for link in self._links_to(path):
            behind = self._match(link)
            if behind is not None and behind.targets:
                found = _joined(found, behind, show(link))
        return found

    def _match(self, path: bytes) -> Match | None:
        relative = self.relative(path)
        if relative is None:
            return None
        # The root distinguishes runs of a job; with a single root it would only make their names longer.
        root = "" if len(self.roots) == 1 else show(path)[: -len(relative)]
        further = "" if root == self.roots[0] else root.rstrip("/")
        found = self._file.match(relative, further)
        if found is not None:
            return found
        kind = junk(relative)
        if kind is not None:
            return Match(f"no data ({kind})", ignore=True)
        return self._metadata.match(show(path)) or self._convention.match(relative)

    def feeds(self, path: bytes) -> bool:
        """Says whether anything is made from the path."""
        match = self.match(path)
        return match is not None and bool(match.targets)

    @property
    def looks_inside_any(self) -> bool:
        """Says whether the content of some path decides what is affected."""
        return self._file.any_clause

    def looks_inside(self, path: bytes) -> bool:
        """Says whether the path's content decides what is affected."""
        if not self.looks_inside_any:
            return False
        match = self.match(path)
        return match is not None and match.clause is not None

    @property
    def configures_runs(self) -> bool:
        """Says whether a rule of the file configures the runs of a job."""
        return any(one.rule.run_config is not None for one in self._file.rules)

    def unknown_assets(self) -> list[tuple[Position, str]]:
        """Returns the assets that the file's rules name outright and the catalog lacks."""
        if self.catalog is None:
            return []
        return [(at, key) for at, key in self._file.literal_assets() if not self.catalog.has(key)]

    def job_run(
        self, paths: Sequence[bytes], there: Sequence[bytes], *, commit: str, top: str
    ) -> tuple[str | None, dict[str, Any]]:
        """Returns the partition key and the run configuration of a job that is launched for these paths.

        Args:
            paths: All paths of one target.
            there: Those of them that still exist: ``{paths}``.
            commit: The value of ``{commit}``.
            top: The repository's top, absolute.
        """
        files = [self.relative(path) or "" for path in there]
        names = (self.relative(path) or "" for path in (paths[0], *self._links_to(paths[0])))
        first, rule, captures = next(
            (name, *decided)
            for name in names
            if (decided := self._file.deciding(name)) is not None and decided[0].run_config is not None
        )
        assert rule.run_config is not None
        values = {**built_in(first), **captures}
        root = show(paths[0])[: -len(self.relative(paths[0]) or "")].rstrip("/")
        of_run = {"root": f"{top}/{root}".rstrip("/"), "commit": commit}
        partition = None if rule.partition is None else rule.partition.expand(values)
        return partition, rule.run_config.filled({**values, **of_run}, files)

    def overlaps(self, paths: Iterable[bytes]) -> dict[tuple[Position, Position], list[bytes]]:
        """Returns the paths that a rule of the file matches in vain, because a rule before it decides.

        They are grouped by the positions of these two rules.
        """
        found: dict[tuple[Position, Position], list[bytes]] = {}
        for path in paths:
            relative = self.relative(path)
            decided = None if relative is None else self._file.deciding(relative)
            if relative is None or decided is None:
                continue
            first = decided[0].rule
            for other in self._file.matching(relative):
                if other is not first:
                    found.setdefault((other.position, first.position), []).append(path)
        return found

    def unused_rules(self, paths: Iterable[bytes]) -> list[Rule]:
        """Returns the rules of the file that decide about none of the paths."""
        unused = {rule.rule.position.line: rule.rule for rule in self._file.rules}
        for path in paths:
            pointer = self._pointer_of(path)
            names = (self.relative(one) for one in (path, pointer) if one is not None)
            found = (self._file.deciding(name) for name in names if name is not None)
            decided = next((one for one in found if one is not None), None)
            if decided is not None:
                unused.pop(decided[0].rule.position.line, None)
        return list(unused.values())


def unknown_asset(key: str, catalog: Catalog) -> str:
    """Returns the sentence that the asset is unknown, with the nearest known name."""
    kind, names = "asset", list(catalog.assets)
    if key.startswith(JOB):
        kind, names, key = "job", list(catalog.jobs), key[len(JOB) :]
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    return f"{kind} '{key}' is not in {catalog.place}" + (f"; did you mean '{near[0]}'?" if near else "")


def target_named(name: str, catalog: Catalog) -> Target | None:
    """Returns the asset or job of a name, or a partition of it, ``KEY|PARTITION``; None if there is none."""
    key, bar, partition = name.partition("|")
    for asset, of in ((name, None), (key, partition if bar else None)):
        if catalog.has(asset):
            return Target(asset, of)
        if catalog.has(JOB + asset):
            return Target(JOB + asset, of)
    return None


def _joined(own: Match | None, behind: Match, link: str) -> Match:
    """Returns the match of a path that feeds targets itself and through a link."""
    if own is None or not own.targets:
        return replace(behind, rule=f"{behind.rule}, through the link {link}")
    if any(target.job is not None for target in behind.targets):
        return own  # a job's run has one configuration for all of its files
    one, other = own.clause, behind.clause
    if (one and (one.rows, one.fingerprint)) != (other and (other.rows, other.fingerprint)):
        if own.by_row or behind.by_row:
            return own  # the rows for one say nothing about the partitions of the other
        own = replace(own, clause=None)
    return replace(own, targets=tuple(dict.fromkeys((*own.targets, *behind.targets))))


_EVERY_LEVEL = 1 << 30


@dataclass(frozen=True, slots=True)
class _Below:
    """Says which assets are made from one that files feed: ``levels`` levels of ``children``.

    What one function makes is made ``together``.
    """

    levels: int
    children: Mapping[str, Sequence[str]]
    together: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, catalog: Catalog, downstream: str | int) -> _Below:
        levels = {"none": 0, "auto": 1, "all": _EVERY_LEVEL}.get(str(downstream), downstream)
        children: dict[str, list[str]] = {}
        for key, below in catalog.children.items() if levels else ():
            parent = catalog.assets.get(key)
            if downstream != "auto" or (parent is not None and parent.kind != "materializable"):
                children[key] = sorted(below)
        sets = ((key, asset.execution_set) for key, asset in catalog.assets.items())
        return cls(int(levels), children, {key: sorted(mates) for key, mates in sets if mates})

    def reached(self, assets: Iterable[str], levels: int | None = None) -> frozenset[str]:
        known = set(assets)
        found: set[str] = set()
        frontier = self._with_mates(known)
        for _ in range(self.levels if levels is None else levels):
            found |= frontier
            frontier = self._with_mates(c for key in frontier for c in self.children.get(key, ())) - found
            if not frontier:
                break
        return frozenset((found | frontier) - known)

    def newly_reached(self, before: _Below, assets: Iterable[str]) -> frozenset[str]:
        """What is made of the assets, one of them or below them, in a way that was not there before."""
        known = set(assets)
        within = known | self.reached(known)
        above = known | self.reached(known, self.levels - 1) if self.levels else set()
        new = set(within - before.reached(known) - known)
        for key in above:
            new |= within.intersection(self.children.get(key, ())) - set(before.children.get(key, ()))
        frontier = new
        while frontier:
            children = (child for key in frontier & above for child in self.children.get(key, ()))
            frontier = within & self._with_mates((*frontier, *children)) - new
            new |= frontier
        return frozenset(new)

    def _with_mates(self, assets: Iterable[str]) -> set[str]:
        return {mate for key in assets for mate in (key, *self.together.get(key, ()))}


@dataclass(frozen=True, slots=True)
class _FileRule:
    rule: Rule
    where: str
    pattern: Pattern
    assets: tuple[Template, ...]
    partition: Template | None
    row_partition: Template | None
    run_config: RunConfig | None
    always: Match | None = None
    """Its match of every path if that is always the same; else None."""

    @property
    def varies(self) -> bool:
        """Says whether its match depends on the path."""
        if self.run_config is not None or self.looks_inside:
            return True
        templates = self.assets if self.partition is None else (*self.assets, self.partition)
        return any(template.names for template in templates)

    @property
    def looks_inside(self) -> bool:
        return self.rule.rows is not None or self.rule.fingerprint not in (None, "bytes")

    def match(self, relative: str, captures: dict[str, str], root: str = "") -> Match:
        if self.always is not None:
            return self.always
        rule = self.rule
        if rule.ignore:
            return Match(self.where, ignore=True, on_delete=rule.on_delete)
        values = {**built_in(relative), **captures}
        partition = None if self.partition is None else self.partition.expand(values)
        if self.run_config is not None:
            # Each partition has a run of its own.
            partition = self.run_config.key(values, partition, root if self.run_config.by_root else "")
        targets = tuple(Target(key, partition) for key in sorted({a.expand(values) for a in self.assets}))
        clause = None
        if self.looks_inside:
            clause = Clause(rule.rows, rule.fingerprint, self.row_partition, values)
        return Match(self.where, targets, False, rule.on_delete, clause, _dimensions(rule))


class _FileRules:
    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = _marked([_compile(rule) for rule in rules])
        self.any_clause = any(rule.rows or rule.fingerprint for rule in rules)
        self._literal: dict[str, int] = {}
        self._wild: dict[str, list[int]] = {}
        """By what each begins with: most of many rules are never asked about a path."""
        self._about_junk = {i for i, rule in enumerate(rules) if junk(rule.path) is not None}
        for i, rule in enumerate(self.rules):
            if rule.pattern.literal is None:
                self._wild.setdefault(rule.pattern.runs[0], []).append(i)
            else:
                self._literal.setdefault(rule.pattern.literal, i)
        self._lengths = sorted({len(beginning) for beginning in self._wild})

    def deciding(self, relative: str) -> tuple[_FileRule, dict[str, str]] | None:
        """Returns the first rule that matches: the literal one, unless a wildcard stands before it.

        Junk is matched only by a rule about junk: whoever writes ``*.xlsx`` does not think of it.
        """
        literal = self._literal.get(relative, len(self.rules))
        beginnings = (relative[:length] for length in self._lengths if length <= len(relative))
        wild = [self._wild[one] for one in beginnings if one in self._wild]
        is_junk = bool(wild) and junk(relative) is not None
        for i in wild[0] if len(wild) == 1 else sorted(chain.from_iterable(wild)):
            if i > literal:
                break
            if is_junk and i not in self._about_junk:
                continue
            captures = self.rules[i].pattern.match(relative)
            if captures is not None:
                return self.rules[i], captures
        return (self.rules[literal], {}) if literal < len(self.rules) else None

    def match(self, relative: str, root: str = "") -> Match | None:
        decided = self.deciding(relative)
        if decided is None:
            return None
        rule, captures = decided
        return rule.match(relative, captures, root)

    def matching(self, relative: str) -> Iterable[Rule]:
        """Returns every rule that matches, whichever decides."""
        is_junk = junk(relative) is not None
        those = (one for i, one in enumerate(self.rules) if not is_junk or i in self._about_junk)
        return (one.rule for one in those if one.pattern.match(relative) is not None)

    def literal_assets(self) -> Iterable[tuple[Position, str]]:
        for rule in self.rules:
            for template, position in zip(rule.assets, rule.rule.asset_positions, strict=True):
                if template.literal is not None:
                    yield position, template.literal


def _compile(rule: Rule) -> _FileRule:
    where = rule.position
    try:
        pattern = compile_pattern(rule.path)
        templates = []
        for asset, position in zip(rule.assets, rule.asset_positions, strict=True):
            where = position
            templates.append(compile_template(asset, pattern.names))
        partition = None
        if rule.partition is not None:
            where = rule.partition_position or rule.position
            partition = compile_template(_partition_text(rule.partition), pattern.names)
        row_partition = None
        if rule.rows is not None and rule.rows.partition is not None:
            where = rule.rows.partition_position or rule.position
            row_partition = compile_template(_partition_text(rule.rows.partition), None)
        where = rule.position
        run_config = None
        if rule.run_config is not None:
            where = rule.asset_positions[0]
            run_config = compile_run_config(rule.run_config, pattern.names | BUILT_IN)
    except PatternError as error:
        raise ConfigError(f"{where}: {error.message}", "see 'Patterns' in the README") from error
    compiled = _FileRule(
        rule, rule.position.short, pattern, tuple(templates), partition, row_partition, run_config
    )
    return compiled if compiled.varies else replace(compiled, always=compiled.match("", {}))


def _marked(rules: list[_FileRule]) -> list[_FileRule]:
    """Returns the rules, with a mark on those that launch the same job with another configuration."""
    jobs = [rule for rule in rules if rule.run_config is not None]
    told = [
        (rule.rule.assets[0], json.dumps([rule.rule.run_config, rule.rule.partition]), rule.run_config)
        for rule in jobs
        if rule.run_config is not None
    ]
    found = {id(rule): config for rule, config in zip(jobs, marked(told), strict=True)}
    return [replace(rule, run_config=found.get(id(rule))) for rule in rules]


def _told(rule: Rule) -> dict[str, object]:
    """Returns the parts of a rule that decide which targets a path feeds.

    Keys of later versions are left out if they are not used, so that the text stays the same.
    """
    told: dict[str, object] = {
        "path": rule.path,
        "assets": rule.assets,
        "partition": rule.partition,
        "ignore": rule.ignore,
    }
    if rule.fingerprint not in (None, "bytes"):
        told["fingerprint"] = rule.fingerprint
    if rule.rows is not None:
        rows = asdict(rule.rows)
        del rows["partition_position"]
        told["rows"] = rows
    if rule.run_config is not None:
        told["run_config"] = rule.run_config
    return told


def _rows(told: Mapping[str, Any] | None) -> Rows | None:
    if told is None:
        return None
    columns = told["columns"]
    return Rows(
        key=tuple(told["key"]),
        columns=None if columns is None else tuple(columns),
        partition=_partition(told["partition"]),
        delimiter=told["delimiter"],
        encoding=told["encoding"],
    )


def _partition(value: object) -> PartitionText | None:
    """Returns a partition template as it was before it was written as JSON."""
    if value is None or isinstance(value, str):
        return value
    return tuple((str(name), str(text)) for name, text in value)  # type: ignore[attr-defined]


def _partition_text(partition: PartitionText) -> str:
    """Returns the template of the whole key: its parts ordered by the dimensions' names, as in Dagster."""
    if isinstance(partition, str):
        return partition
    return "|".join(value for _, value in sorted(partition))


def _dimensions(rule: Rule) -> tuple[str, ...]:
    """Returns the dimensions by which a rule gives the partition."""
    partition = rule.partition if rule.rows is None or rule.rows.partition is None else rule.rows.partition
    if partition is None or isinstance(partition, str):
        return ()
    return tuple(sorted(name for name, _ in partition))


class _MetadataRules:
    """Maps assets whose definition metadata names a path, a folder or a glob under a root."""

    def __init__(self, named: list[tuple[str, str]]) -> None:
        self.named = named
        self.assets: set[str] = set()
        self._paths: dict[str, list[str]] = {}
        self._globs: list[tuple[Pattern, str]] = []
        for path, key in named:
            self._add(path, key)

    def _add(self, path: str, key: str) -> None:
        self.assets.add(key)
        self._paths.setdefault(path, []).append(key)
        if any(char in path for char in "*?["):
            try:
                self._globs.append((compile_glob(path), key))
            except PatternError:
                return

    def match(self, path: str) -> Match | None:
        keys: set[str] = set()
        end = len(path)
        while end > 0:
            keys.update(self._paths.get(path[:end], ()))
            end = path.rfind("/", 0, end)
        if "." in self._paths:
            keys.update(self._paths["."])
        keys.update(key for glob, key in self._globs if glob.match(path) is not None)
        if not keys:
            return None
        named = sorted(keys)
        return Match(f"metadata of {', '.join(named)}", tuple(Target(key) for key in named))


def _named_paths(config: Config, catalog: Catalog | None, top: str) -> list[tuple[str, str]]:
    """Returns every path under a root that an asset's metadata names, with the asset's key."""
    found = []
    for key, asset in sorted(catalog.assets.items() if catalog else ()):
        for _, value in asset.metadata:
            path = _under_root(value, config, top)
            if path is not None:
                found.append((path, key))
    return found


def _raw_keys(catalog: Catalog | None, taken: set[str]) -> list[tuple[str, ...]]:
    """Returns the keys of the assets that are mapped by their names."""
    assets = sorted(catalog.assets.items() if catalog else ())
    return [asset.parts for key, asset in assets if key not in taken and _is_raw(asset)]


def _under_root(value: str, config: Config, top: str) -> str | None:
    """Returns the path that a metadata value names, relative to the top; None if it is under no root."""
    if not value or "\n" in value:
        return None
    if value.startswith("file:"):
        value = _of_url(value)
    if value.startswith("/"):
        candidates = [value.removeprefix(top + "/")] if value.startswith(top + "/") else []
    else:
        candidates = [f"{config.folder}/{value}" if config.folder else value, value]
    for candidate in candidates:
        path = PurePosixPath(candidate)
        if ".." in path.parts:
            path = _collapse(path)
        text = str(path)
        if any(root in (".", text) or text.startswith(root + "/") for root in config.roots):
            return text
    return None


def _of_url(url: str) -> str:
    """Returns the path of a ``file:`` URL. A ``?`` is one of a glob: such a URL has no query."""
    rest = url.removeprefix("file:").split("#", 1)[0]
    if rest.startswith("//"):
        rest = "/" + rest[2:].partition("/")[2].lstrip("/")  # the first part is a host's name, or empty
    return unquote(rest, errors="surrogateescape")


def _collapse(path: PurePosixPath) -> PurePosixPath:
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


class _Convention:
    """Maps assets of key prefix or group ``raw``: the whole key is the path, or its last part the stem."""

    def __init__(self, keys: list[tuple[str, ...]]) -> None:
        self.keys = keys
        self._by_path: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for parts in keys:
            key = "/".join(parts)
            below = parts[1:] if parts[0] == RAW and len(parts) > 1 else parts
            for path in {key, "/".join(below)}:
                self._by_path.setdefault(path, []).append(key)
            self._by_stem.setdefault(parts[-1], []).append(key)

    def match(self, relative: str) -> Match | None:
        parts = built_in(relative)
        whole = f"{parts['parent']}/{parts['stem']}" if parts["parent"] else parts["stem"]
        keys = self._by_path.get(relative) or self._by_path.get(whole) or self._by_stem.get(parts["stem"])
        if not keys:
            return None
        return Match(CONVENTION, tuple(Target(key) for key in keys))


def _is_raw(asset: Asset) -> bool:
    return asset.group == RAW or (asset.parts[0] == RAW and len(asset.parts) > 1)
