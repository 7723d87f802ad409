"""Asset checks that tell whether raw files are there, and whether their assets reflect them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from raw_trigger.automation.loaded import workspace_here
from raw_trigger.automation.settings import folder
from raw_trigger.content.feeding import desired_paths
from raw_trigger.errors import RawTriggerError
from raw_trigger.model.changes import NOTHING, show
from raw_trigger.model.plan import Plan, Target
from raw_trigger.model.text import sample
from raw_trigger.planner import Planner
from raw_trigger.project.inside.compat.instance import current_checks, report_check
from raw_trigger.project.inside.past import OWN_CHECKS
from raw_trigger.unattended import Hold
from raw_trigger.workspace.workspace import Workspace

PRESENT, CURRENT = "files_present", "recorded_is_current"
_DESCRIPTIONS = {
    PRESENT: "There are raw files that it is made from.",
    CURRENT: "It reflects all raw files that it is made from, or is being made.",
}
_OURS = "raw-trigger"
"""The metadata that tells these checks from others of the same name: whose files they are about."""


@dataclass(frozen=True, slots=True)
class Result:
    """Holds what one check of an asset came to, and the same in words.

    ``is_passing_by`` says that it will be another one soon, as the asset is being made.
    """

    asset: str
    check: str
    passed: bool
    told: str
    is_passing_by: bool = False


def build_raw_checks(
    assets: Iterable[Any],
    *,
    project: str | os.PathLike[str] | None = None,
    environment: str | None = None,
) -> dg.AssetChecksDefinition:
    """Returns two checks for each of the assets: `files_present` and `recorded_is_current`.

    The sensor and the schedule of the same project and environment report them without a run, as soon as a
    result is another one; for external assets, too. Runs of raw-trigger leave them out; any other run of the
    assets executes them. A failure warns, and keeps nothing from being made.

    Args:
        assets: Assets, or their keys.
        project: A folder of the project; None: the folder in which Dagster was started.
        environment: The environment that is recorded; None: as raw-trigger.yaml says.
    """
    start = folder(project)
    given = [assets] if isinstance(assets, str) else assets
    keys = sorted({key for one in given for key in _keys(one)}, key=lambda key: list(key.path))
    about = {"project": None if start is None else str(start), "environment": environment}
    specs = [
        dg.AssetCheckSpec(check, asset=key, description=text, metadata={_OURS: about})
        for key in keys
        for check, text in _DESCRIPTIONS.items()
    ]

    # Dagster reads annotations, and does not understand them as text.
    def raw_checks(context):  # type: ignore[no-untyped-def]
        if "raw_launch" in context.run.tags:
            return  # what is read now would count as read by the assets, and is not recorded yet
        wanted = context.selected_asset_check_keys
        names = {"/".join(one.asset_key.path) for one in wanted}
        for result in _looked(start or Path.cwd(), environment, names):
            key = dg.AssetKey(result.asset.split("/"))
            if dg.AssetCheckKey(key, result.check) in wanted:
                yield dg.AssetCheckResult(
                    passed=result.passed,
                    asset_key=key,
                    check_name=result.check,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=result.told,
                )

    # Definitions want a name for each.
    told = hashlib.sha256(repr((keys, about)).encode()).hexdigest()[:8]
    return dg.multi_asset_check(name=f"{OWN_CHECKS}_{told}", specs=specs, can_subset=True)(raw_checks)


def _keys(asset: Any) -> Iterable[dg.AssetKey]:
    if isinstance(asset, str):
        return [dg.AssetKey(asset.split("/"))]
    return getattr(asset, "keys", None) or [dg.AssetKey.from_coercible(getattr(asset, "key", asset))]


def _looked(start: Path, environment: str | None, assets: Set[str]) -> Iterator[Result]:
    """What the checks come to, for somebody who knows nothing yet."""
    try:
        planner = Planner(workspace_here(start, environment))
        yield from results(planner, planner.pending(), assets, {}, ())
    except RawTriggerError as error:
        for asset in sorted(assets):
            yield from (Result(asset, check, False, error.line) for check in _DESCRIPTIONS)


def own_checks(repository: Any) -> Mapping[Any, Mapping[str, str | None]]:
    """Returns the keys of these checks in a repository, each with whose files it is about."""
    graph = repository.asset_graph
    named = (one for one in graph.asset_check_keys if one.name in _DESCRIPTIONS)
    found = {one: (graph.get_check_spec(one).metadata or {}).get(_OURS) for one in named}
    return {one: getattr(about, "value", about) for one, about in found.items() if about is not None}


def report(
    planner: Planner,
    plan: Plan,
    holds: Mapping[str, Hold],
    moving: Collection[Target],
    own: Mapping[Any, Mapping[str, str | None]],
    instance: Any,
) -> None:
    """Reports, without a run, the checks about these files whose result is not the one that was told last.

    Args:
        plan: What the working tree differs in from what is recorded.
        holds: The targets, as text, that have to wait.
        moving: Those that are about to be made.
        own: As of :func:`own_checks`.
    """
    mine: dict[tuple[str | None, str | None], bool] = {}
    keys = []
    for key, about in own.items():
        whose = (about["project"], about["environment"])
        if whose not in mine:
            mine[whose] = _is_about(planner.workspace, *whose)
        keys += [key] if mine[whose] else []
    if not keys:
        return
    known = current_checks(instance, keys)
    by_name = {("/".join(one.asset_key.path), one.name): one for one in keys}
    for result in results(planner, plan, {asset for asset, _ in by_name}, holds, moving):
        key = by_name.get((result.asset, result.check))
        if key is None or result.is_passing_by:
            continue
        if known.get(key) != (result.passed, result.told):
            report_check(instance, key, passed=result.passed, description=result.told)


def _is_about(workspace: Workspace, project: str | None, environment: str | None) -> bool:
    """Whether this is the workspace that a check is about."""
    try:
        other = workspace_here(Path(project or Path.cwd()), environment)
    except RawTriggerError:
        return False
    other.repo.close()
    here = (workspace.repo.git_dir, workspace.config.folder, workspace.environment)
    return (other.repo.git_dir, other.config.folder, other.environment) == here


def results(
    planner: Planner, plan: Plan, assets: Set[str], holds: Mapping[str, Hold], moving: Collection[Target]
) -> Iterator[Result]:
    """Yields what the two checks of each asset come to; :func:`report` has the other arguments.

    Args:
        assets: Their keys.
    """
    coming = _coming(planner, plan, holds, moving)
    left, made = _left(planner, plan, holds, coming), {one.asset for one in coming}
    fed = _fed(planner, assets)
    for asset in sorted(assets):
        told = "there are raw files" if asset in fed else "no raw file feeds it"
        yield Result(asset, PRESENT, asset in fed, told, asset in made)
        why = left.get(asset, [])
        if planner.record is None:
            why = [f"nothing is recorded for '{plan.environment}'"]
        words = sample(why) if why else "it reflects its raw files" if asset in fed else told
        yield Result(asset, CURRENT, not why, words, asset in made and not why)


def _fed(planner: Planner, assets: Set[str]) -> Set[str]:
    """Those of the assets that are made from a raw file that is there; no file is read for it."""
    rules = planner.known_rules()
    found: set[str] = set()
    direct: set[str] = set()
    for path, _ in desired_paths(planner.workspace.repo, planner.tracked, NOTHING.desired):
        match = rules.match(path)
        new = set() if match is None else {one.asset for one in match.targets} - direct
        if new:
            direct |= new
            found |= new | rules.below(new)
        if found >= assets:
            break
    return found & assets


def _coming(
    planner: Planner, plan: Plan, holds: Mapping[str, Hold], moving: Collection[Target]
) -> Set[Target]:
    """What is being made, or will be as soon as what it waits for is made, or written."""
    at_work = planner.at_work
    coming = {
        one.target
        for one in plan.targets
        if one.target.text in at_work or not planner.unsettled.isdisjoint(one.feeds)
    }
    coming |= {*moving}
    waiting = [one for one in plan.targets if one.held and one.target.text not in holds]
    more = coming
    while more:
        more = {one.target for one in waiting if not coming.isdisjoint(one.above)} - coming
        coming |= more
    return coming


def _left(
    planner: Planner, plan: Plan, holds: Mapping[str, Hold], coming: Set[Target]
) -> Mapping[str, Sequence[str]]:
    """What nobody is about to make, in words, by asset."""
    found: dict[str, list[str]] = {}
    for one in plan.targets:
        if one.target in coming or one.settles or one.waits:
            continue
        hold = holds.get(one.target.text)
        why = (one.reason if hold is None else hold.reason) or "it is pending"
        found.setdefault(one.target.asset, []).append(f"{one.target.text}: {why}")
    for change in plan.changes:
        if change.waits or change.unreadable:
            for target in change.targets:
                words = f"{target.text}: {show(change.change.path)} {change.reason}"
                found.setdefault(target.asset, []).append(words)
    rules = planner.known_rules()
    for asset in [*found]:
        for below in rules.below([asset]) - found.keys():
            found[below] = [f"{below}: {asset} does not reflect its raw files"]
    return found
