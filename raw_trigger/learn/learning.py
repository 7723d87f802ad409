"""The use case: materialize and see what is read, or take what was seen; then hold the rules against it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raw_trigger.config.loader import NAMES
from raw_trigger.config.parsing import parse
from raw_trigger.edges import fed_by
from raw_trigger.errors import ConfigError, RawTriggerError, UsageError
from raw_trigger.events.revisions import from_arguments
from raw_trigger.initialize.text import unlike_root
from raw_trigger.initialize.values import Findings, sample, shown
from raw_trigger.install.atomic import replace_file
from raw_trigger.launch.base import Launcher
from raw_trigger.learn.choosing import choose
from raw_trigger.learn.editing import inserted, lines_of, new_file
from raw_trigger.learn.proposing import NewRule, Wanted, propose
from raw_trigger.lock import locked
from raw_trigger.mapping.rules import CONVENTION, Match, RuleBook, unknown_asset
from raw_trigger.model.assets import Catalog
from raw_trigger.model.changes import Change, ChangeSet, Entry, show, to_bytes
from raw_trigger.model.outcome import Outcome, TargetOutcome
from raw_trigger.model.plan import Plan, Target
from raw_trigger.model.settings import Config
from raw_trigger.planning import Options, make_plan
from raw_trigger.reads import Reading, recall
from raw_trigger.repo import diff
from raw_trigger.trigger import Trigger
from raw_trigger.workspace import Workspace

FACE = "learn"
_NOWHERE = Change(b"", None, Entry("100644", ""))


@dataclass(frozen=True, slots=True)
class Learned:
    """What follows from what was read.

    ``file`` is the configuration, relative to the repository's top. ``before`` and ``after`` are its text;
    None: it is not there. ``notes`` say what no rule can say, or what is mapped and was not read.
    """

    file: str
    readings: tuple[Reading, ...]
    rules: tuple[NewRule, ...]
    notes: tuple[str, ...]
    before: str | None
    after: str | None

    @property
    def diff(self) -> str:
        """The change as a unified diff; empty: there is none."""
        if self.after is None or self.after == self.before:
            return ""
        old, new = ((text or "").splitlines(keepends=True) for text in (self.before, self.after))
        origin = "/dev/null" if self.before is None else f"a/{self.file}"
        out = []
        for line in difflib.unified_diff(old, new, origin, f"b/{self.file}"):
            out.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
        return "".join(out)


# Running ---------------------------------------------------------------------------------------------------


def run(
    trigger: Trigger,
    launcher: Launcher,
    assets: Sequence[str],
    *,
    waiting: Callable[[str], None],
    planned: Callable[[Plan], None] = lambda _: None,
    on_target: Callable[[TargetOutcome], None] = lambda _: None,
) -> Outcome:
    """Materialize assets, whatever is recorded of them; what ran is recorded like any other run.

    Args:
        assets: Their keys; none: all that look like raw ones.
        waiting: Told whom this waits for.
        planned: Told what will be run.

    Raises:
        RawTriggerError: nothing could be run, or not be recorded.
    """
    from raw_trigger import settling

    workspace = trigger.workspace
    names = [show(path) for path, _ in diff.worktree_paths(workspace.repo, workspace.roots)]
    rules = trigger.rules(trigger.catalog())
    relative = [rules.relative(to_bytes(name)) or name for name in names]
    targets, notes = choose(trigger.catalog(), assets, relative)
    trigger.warnings += notes
    with locked(workspace.locks, workspace.environment, FACE, waiting):
        settling.settle(trigger, trigger.warnings.append)
        trigger.look_again()
        plan = _plan(trigger, targets)
        planned(plan)
        return trigger.run(plan, launcher, face=FACE, on_target=on_target)


class _Everything(RuleBook):
    """Rules by which any path feeds these targets."""

    def __init__(self, config: Config, catalog: Catalog, top: str, targets: Sequence[Target]) -> None:
        super().__init__(config, catalog, top)
        self._targets = tuple(targets)

    def match(self, path: bytes) -> Match:
        """The targets."""
        return Match(FACE, self._targets)


def _plan(trigger: Trigger, targets: Sequence[Target]) -> Plan:
    workspace = trigger.workspace
    base, desired = from_arguments(workspace.repo, workspace.environment, [])
    options = Options(
        environment=workspace.environment, downstream="none", batch_size=workspace.config.batch_size
    )
    rules = _Everything(workspace.config, trigger.catalog(), str(workspace.repo.top), targets)
    made = make_plan(ChangeSet(base, desired, (_NOWHERE,)), rules, options)
    # No file has changed: that they are run is because somebody wants to see it.
    unpathed = tuple(replace(target, paths=(), reason="to see what it reads") for target in made.targets)
    return replace(made, changes=(), targets=unpathed)


def known(trigger: Trigger, outcome: Outcome | None, assets: Sequence[str]) -> list[Reading]:
    """What was read by the targets of a run, or (None) by all when they were last made.

    Args:
        assets: Only these; none: all.

    Raises:
        UsageError: an asset is not in the project, or nothing was made here since this is looked at.
    """
    catalog = trigger.known_catalog()
    for key in assets:
        if key not in catalog.assets:
            raise UsageError(unknown_asset(key, catalog), "an asset key's parts are joined by '/'")
    recalled = recall(trigger.workspace.repo)
    if outcome is None:
        if not recalled:
            raise UsageError(
                "nothing was materialized here yet since it is watched what is read",
                "let a hook or `raw-trigger run` do so, or leave --watch-runs away",
            )
        made = {one.target for one in recalled}
    else:
        made = {one.target for one in outcome.targets if one.status == "success"}
    wanted = set(assets or catalog.assets)
    return [
        one for one in recalled if one.target in made and one.target.asset in wanted & catalog.assets.keys()
    ]


# Learning --------------------------------------------------------------------------------------------------


def learned(workspace: Workspace, catalog: Catalog, readings: Sequence[Reading]) -> Learned:
    """The rules that these readings lack, as they would stand in the file.

    Raises:
        ConfigError: the file is wrong, or was made so meanwhile.
    """
    config = workspace.config
    file = config.file or (f"{config.folder}/{NAMES[0]}" if config.folder else NAMES[0])
    path = workspace.repo.top / file
    data = path.read_bytes() if config.file is not None else None
    if data is not None:
        config = parse(data, file)
    files = [name for name, _ in diff.worktree_paths(workspace.repo, config.roots)]
    top = str(workspace.repo.top)
    before = None if data is None else data.decode()
    lesson = Lesson(config, catalog, top, files, readings)
    rules, after = lesson.text(before, file)
    return Learned(file, tuple(readings), tuple(rules), tuple(lesson.notes), before, after)


class Lesson:
    """Holds what was read against the rules. Pure.

    Args:
        config: The file as it is.
        top: The repository's top.
        files: Every raw file that git sees.
        readings: What was read.

    Attributes:
        notes: What people should know; complete after :meth:`text`.
    """

    def __init__(
        self, config: Config, catalog: Catalog, top: str, files: Sequence[bytes], readings: Sequence[Reading]
    ) -> None:
        self.config = config
        self.catalog = catalog
        self.top = top
        self.book = RuleBook(config, catalog, top)
        self.names = {path: str(self.book.relative(path)) for path in files}
        self.notes: list[str] = []
        self.wanted = Wanted(catalog, tuple(self.names.values()))
        self._before = {path: self.book.match(path) for path in files}
        self._look(readings)
        self._unread(readings)

    def _look(self, readings: Sequence[Reading]) -> None:
        """Fill in what has to feed what, beside what the rules say already."""
        wanted = self.wanted
        fed: dict[bytes, frozenset[str] | None] = {}
        ignored: dict[tuple[str, str], None] = {}
        for one in readings:
            asset = one.target.asset
            wanted.ran.setdefault(asset, set()).add(one.target.partition)
            for folder in one.reads.folders:
                relative = self.book.relative(folder + b"/")
                if relative is not None:
                    wanted.folders.setdefault(asset, set()).add(relative.strip("/"))
            for path in {*one.reads.files, *one.reads.unsure} & self.names.keys():
                if path not in fed:
                    fed[path] = fed_by(self.book, path, self.config.downstream)
                already = fed[path]
                match = self._before[path]
                if already is None:
                    assert match is not None
                    ignored[match.rule, show(path)] = None
                elif already.isdisjoint(one.assets):
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

    def _keep(self, path: bytes, match: Match) -> None:
        """What fed the path already goes on to do so, but for a name that was seen to mislead."""
        name = self.names[path]
        if match.clause is not None or match.on_delete is not None:
            keys = sample([f"`{key}`" for key in sorted(self.wanted.readers.pop(name))])
            self.notes.append(f"{match.rule} says more of {shown(name)} than its assets: add {keys} there")
            return
        for target in match.targets:
            if match.rule != CONVENTION or target.asset not in self.wanted.ran:
                self.wanted.readers[name].setdefault(target.asset, set()).add(target.partition)

    def _unread(self, readings: Sequence[Reading]) -> None:
        """Say what is mapped to a target and was not read for it."""
        read: dict[Target, set[bytes]] = {}
        for one in readings:
            if one.reads.complete:
                for asset in one.assets:
                    target = replace(one.target, asset=asset)
                    read.setdefault(target, set()).update((*one.reads.files, *one.reads.unsure))
        found: dict[tuple[str, str], list[str]] = {}
        for path, match in self._before.items():
            if match is None or match.by_row or path.endswith(b".dvc"):
                continue
            if self.names[path] in self.wanted.readers and match.rule == CONVENTION:
                continue
            for target in match.targets:
                if target in read and path not in read[target]:
                    found.setdefault((match.rule, target.asset), []).append(shown(self.names[path]))
        for (rule, asset), names in found.items():
            self.notes.append(f"{rule}: `{asset}` did not read {sample(names)}")

    def text(self, before: str | None, file: str) -> tuple[list[NewRule], str | None]:
        """The rules, and the file with them; None: there are none, or they have to be added by hand."""
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
            if not wrong:
                return kept, after
            self.notes += [
                _by_hand(rule, "among the other rules it would say something else") for rule in wrong
            ]
            kept = [rule for rule in kept if rule not in wrong]
        return [], None

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
        """The first of the rules that decides about one of the names by now."""
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
        """The new rules that, in the file as it will be, map something else than was read."""
        book = RuleBook(config, self.catalog, self.top)
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


def write(workspace: Workspace, found: Learned) -> Path:
    """Make the file what was proposed, in one step.

    Raises:
        RawTriggerError: it changed since, or cannot be written.
    """
    path = workspace.repo.top / found.file
    try:
        now = path.read_bytes().decode() if path.exists() else None
        if now != found.before:
            raise RawTriggerError(f"{found.file} has changed meanwhile; it was not touched", "run this again")
        mode = 0o644 if now is None else path.stat().st_mode & 0o777
        assert found.after is not None
        replace_file(Path(os.path.realpath(path)), found.after.encode(), mode)
    except OSError as error:
        raise RawTriggerError(
            f"{path} cannot be written: {error.strerror}", "see who owns the folder"
        ) from error
    return path
