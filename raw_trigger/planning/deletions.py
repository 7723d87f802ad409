"""Decides how to treat a target whose changed files are all deleted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from raw_trigger.model.assets import Asset, Catalog
from raw_trigger.model.changes import show
from raw_trigger.model.plan import Action, Target

Feeds = Callable[[Target], bool]
"""Says whether some remaining file feeds the target."""

_SHOWN = 3
STALE = "its last materialization is now stale"


@dataclass(frozen=True, slots=True)
class Deletion:
    """Says what is done, and why.

    ``stale`` says that something outdated is left behind; ``error`` is set if the deletion is forbidden.
    """

    action: Action
    reason: str | None
    stale: bool = False
    error: str | None = None


def shown(paths: Sequence[bytes]) -> str:
    """Returns the first few paths, for a message."""
    return ", ".join(show(path) for path in paths[:_SHOWN]) + (" …" if len(paths) > _SHOWN else "")


def on_deletion(
    policy: str, asset: Asset, target: Target, gone: str, *, feeds: Feeds, catalog: Catalog
) -> Deletion:
    """Returns the effect of the deletion.

    Args:
        policy: ``on_delete`` of the rule, or of the configuration.
        gone: The paths, for a message.
        feeds: Called only if the answer matters: it maps all files.
    """
    external = asset.kind != "materializable"
    if policy == "fail":
        return _failing(target, gone)
    if policy == "skip":
        return _stale(f"{gone} is deleted and nothing else feeds it")
    if policy == "report" or (external and policy != "delete-partition"):
        return Deletion("report", "deleted")
    if policy == "materialize" or feeds(target):
        return Deletion("report" if external else "materialize", "a file that fed it is deleted")
    if policy == "delete-partition" or _is_dynamic(asset):
        return _without_partition(asset, target, gone, feeds, catalog)
    return _stale(f"{gone} is deleted and nothing else feeds it")


def on_job_deletion(policy: str, target: Target, gone: str) -> Deletion:
    """Returns the effect of the deletion on a job: only a rule can launch it for a deleted file."""
    if policy == "fail":
        return _failing(target, gone)
    if policy == "materialize":
        return Deletion("materialize", None)
    return Deletion("skip", f"{gone} is deleted: what the job made from it is now stale", stale=True)


def _failing(target: Target, gone: str) -> Deletion:
    error = f"{gone} is deleted, and on_delete is fail for {target.text}"
    return Deletion("skip", "deleted, and on_delete is fail", error=error)


def _without_partition(asset: Asset, target: Target, gone: str, feeds: Feeds, catalog: Catalog) -> Deletion:
    if not _is_dynamic(asset):
        kind = "it has no partitions" if asset.partitions is None else "its partitions are not dynamic"
        return _stale(f"{gone} is deleted, but {kind}")
    # All assets with this definition share the key: deleting it deletes their partitions too.
    for key, other in sorted(catalog.assets.items()):
        if other.partitions == asset.partitions and feeds(Target(key, target.partition)):
            return _stale(
                f"{gone} is deleted, but partition '{target.partition}' stays: a file feeds it in {key}"
            )
    return Deletion("delete-partition", f"{gone} is deleted and nothing else feeds it")


def _is_dynamic(asset: Asset) -> bool:
    return asset.partitions is not None and asset.partitions.kind == "dynamic"


def _stale(why: str) -> Deletion:
    return Deletion("skip", f"{why}: {STALE}", stale=True)
