"""The use case: observe what a run reads, or recall what runs read, and compare the rules with it."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raw_trigger.adopt import record_made
from raw_trigger.config.loader import NAMES
from raw_trigger.config.parsing import parse
from raw_trigger.content.feeding import desired_paths
from raw_trigger.dvc.tracked import Tracked
from raw_trigger.errors import RawTriggerError, UsageError
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
from raw_trigger.model.plan import Options, Plan, Target
from raw_trigger.model.settings import Config
from raw_trigger.planner import Planner
from raw_trigger.planning.plan import make_plan
from raw_trigger.reads import Reading, recall
from raw_trigger.revisions import EMPTY, recorded
from raw_trigger.trigger import Trigger
from raw_trigger.workspace.workspace import Workspace

FACE = "learn"
_NOWHERE = Change(b"", None, Entry("100644", ""))


@dataclass(frozen=True, slots=True)
class Learned:
    """Holds what follows from the files that assets read.

    ``file`` is the configuration, relative to the repository's top. ``before`` and ``after`` are its text;
    None if the file does not exist. ``notes`` say what no rule can express, and what is mapped but was not
    read.
    """

    file: str
    readings: tuple[Reading, ...]
    rules: tuple[NewRule, ...]
    notes: tuple[str, ...]
    before: str | None
    after: str | None

    @property
    def diff(self) -> str:
        """Returns the change as a unified diff; empty if there is none."""
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
    """Holds the outcome of a run and the raw files as they were before it.

    ``first`` says that nothing was recorded before, so that the record knows this run alone.
    """

    outcome: Outcome
    files: Mapping[bytes, Entry]
    first: bool


# Running ---------------------------------------------------------------------------------------------------


def plan(planner: Planner, asked: Asked) -> Plan:
    """Returns the plan of a run that shows what assets read.

    Raises:
        UsageError: an asset is not in the project, or has no code or no such partition; or there is none.
    """
    files = dict(desired_paths(planner.workspace.repo, planner.tracked, NOTHING.desired))
    rules = planner.rules(planner.catalog.fresh())
    names = [rules.relative(path) or show(path) for path in files]
    targets, notes = choose(planner.catalog.fresh(), asked, names, _mapped(rules, files), time.time())
    planner.warnings += notes
    return _plan(planner, targets)


def run(
    planner: Planner,
    launcher: Launcher,
    made: Plan,
    *,
    waiting: Callable[[str], None],
    on_target: Callable[[TargetOutcome], None] = lambda _: None,
) -> Ran:
    """Materializes the plan, even what is recorded as done, and records it like any other run.

    If nothing was recorded before, nothing else counts as materialized.

    Args:
        made: A plan of :func:`plan`.
        waiting: Called with the owner of the lock that this waits for.

    Raises:
        RawTriggerError: nothing could be run or recorded.
    """
    from raw_trigger import launches

    workspace = planner.workspace
    with locked(workspace.locks, workspace.environment, FACE, waiting):
        launches.settle(planner, planner.warnings.append)
        planner.look_again()
        files = dict(desired_paths(workspace.repo, planner.tracked, NOTHING.desired))
        base = recorded(workspace.repo, workspace.environment) or EMPTY
        trigger = Trigger(planner, thorough=True)
        outcome = trigger.run(replace(made, base=base), launcher, face=FACE, on_target=on_target)
        return Ran(outcome, files, first=base == EMPTY)


def _mapped(rules: RuleBook, paths: Iterable[bytes]) -> dict[str, list[str]]:
    """Returns the partitions of each asset that these files are mapped to."""
    found: dict[str, list[str]] = {}
    for match in map(rules.match, paths):
        for target in () if match is None else match.targets:
            if target.partition is not None:
                found.setdefault(target.asset, []).append(target.partition)
    return found


class _Everything(RuleBook):
    """Maps any path to the same targets."""

    def __init__(self, config: Config, catalog: Catalog, top: str, targets: Sequence[Target]) -> None:
        super().__init__(config, catalog, top)
        self._targets = tuple(targets)

    def match(self, path: bytes) -> Match:
        """Returns the targets."""
        return Match(FACE, self._targets)


def _plan(planner: Planner, targets: Sequence[Target]) -> Plan:
    workspace = planner.workspace
    if not targets:
        raise UsageError("there is no asset to materialize", "name one with --asset")
    options = Options(
        environment=workspace.environment,
        downstream="none",
        batch_size=workspace.config.batch_size,
        now=time.time(),
    )
    rules = _Everything(workspace.config, planner.catalog.fresh(), str(workspace.repo.top), targets)
    made = make_plan(replace(NOTHING, changes=(_NOWHERE,)), rules, options)
    # No file has changed, so the targets have none: the user wants to see what they read.
    unpathed = tuple(replace(target, paths=(), reason="to see what it reads") for target in made.targets)
    return replace(made, changes=(), targets=unpathed)


def known(planner: Planner, outcome: Outcome | None, assets: Sequence[str]) -> list[Reading]:
    """Returns what the targets of a run read; without a run, what all read when they last ran.

    Args:
        outcome: The outcome of that run; None without one.
        assets: Only these; none: all.

    Raises:
        UsageError: an asset is not in the project, or nothing that was watched ran here yet.
    """
    catalog = planner.catalog.known()
    for key in assets:
        if key not in catalog.assets:
            raise UsageError(unknown_asset(key, catalog), "an asset key's parts are joined by '/'")
    recalled = recall(planner.workspace.project.cache_dir)
    if outcome is None:
        if not recalled:
            raise UsageError(
                "no run here was watched for what it reads yet",
                "run something with a hook or `raw-trigger run`, or leave --watch-runs away",
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
    """Returns the rules that these readings lack, and the file with them.

    Raises:
        ConfigError: the file is wrong, perhaps since a moment ago.
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
    """Writes the proposed text into the file, in one step.

    Raises:
        RawTriggerError: the file changed since, or cannot be written.
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


def record(planner: Planner, found: Learned, ran: Ran) -> None:
    """Records under the new rules that the targets which ran reflect their files: they need not run again.

    Args:
        planner: One that was made after the new rules were written.

    Raises:
        RecordError: the record cannot be written.
    """
    names = {name for rule in found.rules for name in rule.names}
    rules = planner.known_rules()
    # DVC's data is recorded by its pointer file, which may stand for a whole folder: the next run records it.
    files = ((path, entry) for path, entry in ran.files.items() if entry.content != "dvc")
    before = {path: entry for path, entry in files if rules.relative(path) in names}
    made = {one.target for one in ran.outcome.targets if one.status == "success"}
    with locked(planner.workspace.locks, planner.workspace.environment, FACE, lambda _: None):
        record_made(planner, made, before)
