"""Asset checks that tell whether raw files are there, and whether their assets reflect them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from raw_trigger.assumed import fed_files
from raw_trigger.automation.loaded import workspace_here
from raw_trigger.automation.settings import folder
from raw_trigger.errors import RawTriggerError
from raw_trigger.model.changes import show
from raw_trigger.model.plan import Plan, Target
from raw_trigger.model.text import sample
from raw_trigger.planner import Planner
from raw_trigger.project.inside.compat.instance import current_checks, report_check
from raw_trigger.unattended import Hold

PRESENT, CURRENT = "files_present", "recorded_is_current"
_DESCRIPTIONS = {
    PRESENT: "The raw files that it is made from are there.",
    CURRENT: "It reflects all raw files that it is made from, or is being made.",
}
_OURS = "raw-trigger"
"""The metadata that tells these checks from others of the same name."""


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
    name: str = "raw_checks",
    project: str | os.PathLike[str] | None = None,
    environment: str | None = None,
) -> dg.AssetChecksDefinition:
    """Returns two checks for each of the assets: `files_present` and `recorded_is_current`.

    Sensors and schedules of raw-trigger report them without a run as soon as a result is another one; for
    external assets, too. They are executable as well, and take part in the runs of their assets. A failure
    warns, and keeps nothing from being made.

    Args:
        assets: Assets, or their keys.
        name: The name of what executes them.
        project: A folder of the project; None: the folder in which Dagster was started.
        environment: The environment that is recorded; None: as raw-trigger.yaml says.
    """
    start = folder(project)
    keys = [key for one in assets for key in (getattr(one, "keys", None) or [_key(one)])]
    specs = [
        dg.AssetCheckSpec(check, asset=key, description=text, metadata={_OURS: True})
        for key in keys
        for check, text in _DESCRIPTIONS.items()
    ]

    # Dagster reads annotations, and does not understand them as text.
    def raw_checks(context):  # type: ignore[no-untyped-def]
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

    return dg.multi_asset_check(name=name, specs=specs, can_subset=True)(raw_checks)


def _key(asset: Any) -> dg.AssetKey:
    return dg.AssetKey.from_coercible(getattr(asset, "key", asset))


def _looked(start: Path, environment: str | None, assets: Set[str]) -> Iterator[Result]:
    """What the checks come to, for somebody who knows nothing yet."""
    try:
        planner = Planner(workspace_here(start, environment))
        yield from results(planner, planner.pending(), assets, {}, ())
    except RawTriggerError as error:
        for asset in sorted(assets):
            yield from (Result(asset, check, False, error.line) for check in _DESCRIPTIONS)


def report(
    planner: Planner,
    plan: Plan,
    holds: Mapping[str, Hold],
    moving: Collection[Target],
    *,
    repository: Any,
    instance: Any,
) -> None:
    """Reports, without a run, the checks of the repository whose result is not the one that was told last.

    Args:
        plan: What the working tree differs in from what is recorded.
        holds: The targets, as text, that have to wait.
        moving: Those that are about to be made.
    """
    graph = repository.asset_graph
    ours = [one for one in graph.asset_check_keys if one.name in _DESCRIPTIONS and _is_ours(repository, one)]
    if not ours:
        return
    known = current_checks(instance, ours)
    by_name = {("/".join(one.asset_key.path), one.name): one for one in ours}
    for result in results(planner, plan, {asset for asset, _ in by_name}, holds, moving):
        key = by_name.get((result.asset, result.check))
        if key is None or result.is_passing_by:
            continue
        if known.get(key) != (result.passed, result.told):
            report_check(instance, key, passed=result.passed, description=result.told)


def _is_ours(repository: Any, key: Any) -> bool:
    spec = repository.asset_graph.get_check_spec(key)
    return _OURS in (spec.metadata or {})


def results(
    planner: Planner, plan: Plan, assets: Set[str], holds: Mapping[str, Hold], moving: Collection[Target]
) -> Iterator[Result]:
    """Yields what the two checks of each asset come to; :func:`report` has the other arguments.

    Args:
        assets: Their keys.
    """
    files = Counter(asset for asset, _ in {(t.asset, path) for path, t in fed_files(planner)})
    gone: dict[str, set[bytes]] = {}
    contents = plan.contents
    for one in plan.targets:
        gone.setdefault(one.target.asset, set()).update(path for path in one.paths if contents[path] is None)
    coming = _coming(planner, plan, holds, moving)
    left, made = _left(plan, holds, coming), {one.asset for one in coming}
    for asset in sorted(assets):
        number, missing = files[asset], sorted(map(show, gone.get(asset, ())))
        told = "no raw file feeds it" if number == 0 else f"{number} raw file{'s' if number > 1 else ''}"
        told += f"; gone since it was made: {sample(missing)}" if missing else ""
        yield Result(asset, PRESENT, number > 0 and not missing, told, asset in made)
        why = left.get(asset, [])
        if planner.record is None:
            why = [f"nothing is recorded for '{plan.environment}'"]
        words = sample(why) if why else "it reflects its raw files"
        yield Result(asset, CURRENT, not why, words, asset in made and not why)


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


def _left(plan: Plan, holds: Mapping[str, Hold], coming: Set[Target]) -> Mapping[str, Sequence[str]]:
    """What nobody is about to make, in words, by asset."""
    found: dict[str, list[str]] = {}
    for one in plan.targets:
        if one.target in coming or one.settles or one.waits:
            continue
        hold = holds.get(one.target.text)
        why = (one.reason if hold is None else hold.reason) or "it is pending"
        found.setdefault(one.target.asset, []).append(f"{one.target.text}: {why}")
    for change in plan.waiting:
        for target in change.targets:
            words = f"{target.text}: {show(change.change.path)} {change.reason}"
            found.setdefault(target.asset, []).append(words)
    return found
