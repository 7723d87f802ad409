"""Tells what is recorded though it did not run here, and what Dagster has never made."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from raw_trigger.content.feeding import desired_paths
from raw_trigger.model.changes import NOTHING, WORKTREE, Desired
from raw_trigger.model.plan import Target
from raw_trigger.model.record import Assumptions
from raw_trigger.planner import Planner


def assumptions(planner: Planner) -> Assumptions:
    """Returns what is recorded only because adopt, install or a first hook said so.

    Raises:
        RecordError: the record cannot be read.
    """
    record = planner.record
    if record is None or record.assumed is None:
        return Assumptions()
    said = planner.tracked.files(record.assumed, recorded=True)
    now = dict(planner.tracked.files(record.tree))
    files = {path: frozenset((entry.oid, now.get(path, entry).oid)) for path, entry in said}
    made = {target.text: contents for target, contents in planner.history.made().items()}
    return Assumptions(files, made)


def fed_files(planner: Planner, among: Container[bytes] | None = None) -> Iterator[tuple[bytes, Target]]:
    """Yields the raw files that are there with everything that is made from each, downstream included.

    Args:
        among: Only these files; None: all.
    """
    catalog = planner.catalog.known()
    rules = planner.rules(catalog)
    lineage = planner.plain().lineage(rules)
    made: dict[Target, list[Target]] = {}

    def made_of(target: Target) -> list[Target]:
        wanted = rules.below([target.asset])
        every = lineage.made_from(target) if wanted else [target]
        return [one for one in every if one == target or one.asset in wanted]

    with planner.contents(NOTHING, rules) as contents:
        for path, entry in desired_paths(planner.workspace.repo, planner.tracked, NOTHING.desired):
            match = rules.match(path) if among is None or path in among else None
            if match is None:
                continue
            for target in contents(path, match, None, entry).targets if match.by_row else match.targets:
                if target not in made:
                    made[target] = made_of(target)
                yield from ((path, one) for one in made[target])


def never_made(planner: Planner, paths: Iterable[bytes] | None = None) -> tuple[str, ...]:
    """Returns the assets that are made from raw files and that Dagster has never materialized.

    Args:
        paths: The raw files; None: all that are there.

    Raises:
        ProjectError: the project cannot be loaded, or the instance not be used.
    """
    if paths is None:
        here = Desired("worktree", WORKTREE)
        paths = [path for path, _ in desired_paths(planner.workspace.repo, planner.tracked, here)]
    catalog = planner.catalog.known()
    rules = planner.rules(catalog)
    matches = map(rules.match, paths)
    fed = {target.asset for match in matches if match is not None for target in match.targets}
    mapped = (catalog.assets[key] for key in sorted((fed | rules.below(fed)) & catalog.assets.keys()))
    assets = [asset for asset in mapped if asset.kind == "materializable"]
    return planner.workspace.project.never_materialized(assets)
