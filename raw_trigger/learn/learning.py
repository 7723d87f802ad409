"""The use case: materialize and see what is read, or take what was seen; then hold the rules against it."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raw_trigger.config.loader import NAMES
from raw_trigger.config.parsing import parse
from raw_trigger.errors import RawTriggerError, UsageError
from raw_trigger.events.revisions import EMPTY, recorded
from raw_trigger.feeding import desired_paths
from raw_trigger.install.atomic import replace_file
from raw_trigger.launch.base import Launcher
from raw_trigger.learn.choosing import Asked, choose
from raw_trigger.learn.lesson import Lesson
from raw_trigger.learn.proposing import NewRule
from raw_trigger.lock import locked
from raw_trigger.mapping.rules import Match, RuleBook, unknown_asset
from raw_trigger.model.assets import Catalog
from raw_trigger.model.changes import NOTHING, Change, Entry, show
from raw_trigger.model.outcome import Outcome, TargetOutcome
from raw_trigger.model.plan import Plan, Target
from raw_trigger.model.settings import Config
from raw_trigger.planning import Options, make_plan
from raw_trigger.reads import Reading, recall
from raw_trigger.repo.tracked import Tracked
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


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a run, and the raw files as they were before it.

    ``first``: nothing was recorded yet, so what ran is all that is recorded now.
    """

    outcome: Outcome
    files: Mapping[bytes, Entry]
    first: bool


# Running ---------------------------------------------------------------------------------------------------


def plan(trigger: Trigger, asked: Asked) -> Plan:
    """What would be materialized.

    Raises:
        UsageError: an asset is not in the project, has no code or no such partition; or there is none.
    """
    files = dict(desired_paths(trigger.workspace.repo, trigger.tracked, NOTHING.desired))
    rules = trigger.rules(trigger.catalog())
    names = [rules.relative(path) or show(path) for path in files]
    targets, notes = choose(trigger.catalog(), asked, names, _mapped(rules, files), time.time())
    trigger.warnings += notes
    return _plan(trigger, targets)


def run(
    trigger: Trigger,
    launcher: Launcher,
    made: Plan,
    *,
    waiting: Callable[[str], None],
    on_target: Callable[[TargetOutcome], None] = lambda _: None,
) -> Ran:
    """Materialize what was planned, whatever is recorded of it; what ran is recorded like any other run.

    Where nothing is recorded, nothing else counts as materialized.

    Args:
        made: By :func:`plan`.
        waiting: Told whom this waits for.

    Raises:
        RawTriggerError: nothing could be run, or not be recorded.
    """
    from raw_trigger import settling

    workspace = trigger.workspace
    with locked(workspace.locks, workspace.environment, FACE, waiting):
        settling.settle(trigger, trigger.warnings.append)
        trigger.look_again()
        files = dict(desired_paths(workspace.repo, trigger.tracked, NOTHING.desired))
        base = recorded(workspace.repo, workspace.environment) or EMPTY
        outcome = trigger.run(replace(made, base=base), launcher, face=FACE, on_target=on_target)
        return Ran(outcome, files, first=base == EMPTY)


def _mapped(rules: RuleBook, paths: Iterable[bytes]) -> dict[str, list[str]]:
    """Asset → its partitions that these files are mapped to."""
    found: dict[str, list[str]] = {}
    for match in map(rules.match, paths):
        for target in () if match is None else match.targets:
            if target.partition is not None:
                found.setdefault(target.asset, []).append(target.partition)
    return found


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
    if not targets:
        raise UsageError("there is no asset to materialize", "name one with --asset")
    options = Options(
        environment=workspace.environment,
        downstream="none",
        batch_size=workspace.config.batch_size,
        now=time.time(),
    )
    rules = _Everything(workspace.config, trigger.catalog(), str(workspace.repo.top), targets)
    made = make_plan(replace(NOTHING, changes=(_NOWHERE,)), rules, options)
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
    recalled = recall(trigger.workspace.project.cache_dir)
    if outcome is None:
        if not recalled:
            raise UsageError(
                "nothing was materialized here yet since it is watched what is read",
                "let a hook or `raw-trigger run` do so, or leave --watch-runs away",
            )
        made = {one.target for one in recalled}
    else:
        made = {one.target for one in outcome.targets if one.status in ("success", "failed")}
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
    tracked = Tracked(workspace.repo, config.roots)
    files = [name for name, _ in desired_paths(workspace.repo, tracked, NOTHING.desired)]
    top = str(workspace.repo.top)
    before = None if data is None else data.decode()
    lesson = Lesson(config, catalog, top, files, readings, tracked.pointer_of)
    rules, after = lesson.text(before, file)
    return Learned(file, tuple(readings), tuple(rules), tuple(lesson.notes), before, after)


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


def record(trigger: Trigger, found: Learned, ran: Ran) -> None:
    """Record, under the rules that are written now, what those reflect that ran: they need not run again.

    Args:
        trigger: One that knows the new rules.

    Raises:
        RecordError: it cannot be written.
    """
    names = {name for rule in found.rules for name in rule.names}
    rules = trigger.rules(trigger.known_catalog())
    # What DVC has is recorded by its pointer files, and may be a whole folder: that is left to the next run.
    files = ((path, entry) for path, entry in ran.files.items() if entry.content != "dvc")
    before = {path: entry for path, entry in files if rules.relative(path) in names}
    made = {one.target for one in ran.outcome.targets if one.status == "success"}
    with locked(trigger.workspace.locks, trigger.workspace.environment, FACE, lambda _: None):
        trigger.record_made(made, before)
