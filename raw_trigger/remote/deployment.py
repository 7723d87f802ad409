"""A deployment of Dagster: its code location, its runs, and what can be asked of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote

from raw_trigger.errors import DeploymentError
from raw_trigger.model.assets import Asset, Catalog
from raw_trigger.model.text import sample
from raw_trigger.project.inside.past import (
    BACKFILL,
    BATCH_TAG,
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
)
from raw_trigger.project.messages import RunBatch
from raw_trigger.remote import runs
from raw_trigger.remote.graph import Location, locate, read_location
from raw_trigger.remote.runs import RemoteRun
from raw_trigger.remote.server import RefusedError, Server, shown, understood

Parts = tuple[str, ...]

_QUEUE = "QUEUED_RUN_COORDINATOR"
_FILLS = "BACKFILL"
_HEARTBEAT = 60.0
"""Seconds after which a daemon has given a sign of life again: it does every half minute."""
_BEAT = 3.0
_HEALTH = """{ instance { runQueuingSupported
  daemonHealth { allDaemonStatuses { daemonType required healthy lastHeartbeatTime } } } }"""
_LAUNCH = """mutation($run: ExecutionParams!) { launchRun(executionParams: $run) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on Error { message }
  ... on RunConfigValidationInvalid { errors { message } } } }"""
_BACKFILL = """mutation($backfill: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfill) { __typename
  ... on LaunchBackfillSuccess { backfillId } ... on Error { message } } }"""
_CANCEL_BACKFILL = """mutation($backfill: String!) { cancelPartitionBackfill(backfillId: $backfill) {
  __typename ... on Error { message } } }"""
_KEYS = (
    "query($assets: [AssetKeyInput!]) { assetNodes(assetKeys: $assets) { assetKey { path } partitionKeys } }"
)
_VERSION = "dagster/data_version"
_REPORTED = """query($assets: [AssetKeyInput!], $partitions: [String!]) { assetNodes(assetKeys: $assets) {
  events: %s(partitions: $partitions, limit: 1) { tags { key value } } } }"""
_ADD = """mutation($repository: RepositorySelector!, $name: String!, $key: String!) { addDynamicPartition(
  repositorySelector: $repository, partitionsDefName: $name, partitionKey: $key) {
  __typename ... on Error { message } } }"""
_DELETE = """mutation($repository: RepositorySelector!, $name: String!, $keys: [String!]!) {
  deleteDynamicPartitions(repositorySelector: $repository, partitionsDefName: $name, partitionKeys: $keys) {
  __typename ... on Error { message } } }"""
_CANCEL = """mutation($run: String!) { terminateRun(runId: $run) { __typename
  ... on TerminateRunFailure { message } ... on Error { message } } }"""
_VALID = """query($job: PipelineSelector!, $config: RunConfigData) {
  isPipelineConfigValid(pipeline: $job, mode: "default", runConfigData: $config) { __typename
  ... on RunConfigValidationInvalid { errors { message } } ... on Error { message } } }"""


_read_location = understood(read_location)


class Deployment:
    """Asks a deployment, of one code location.

    Args:
        wanted: The code location; None: the only one.

    Attributes:
        fills: Whether its daemon makes the runs of backfills, as far as was looked.
    """

    def __init__(self, server: Server, wanted: str | None = None) -> None:
        self.fills = False
        self._server = server
        self._wanted = wanted
        self._keys: dict[Parts, frozenset[str]] = {}

    @property
    def url(self) -> str:
        """Returns its address."""
        return self._server.url

    @cached_property
    def location(self) -> Location:
        """Returns the code location as it was when it was first asked for.

        Raises:
            DeploymentError: it cannot be had.
        """
        return _read_location(self._server, self._wanted)

    @understood
    def look_again(self) -> None:
        """Reads the code location again if the webserver has loaded it again.

        Raises:
            DeploymentError: it cannot be had; what is known stays known.
        """
        loaded = locate(self._server, self._wanted)["entry"]["updatedTimestamp"]
        if "location" not in self.__dict__ or loaded != self.location.loaded:
            self.__dict__["location"] = _read_location(self._server, self._wanted)
        self._keys.clear()

    @property
    def catalog(self) -> Catalog:
        """Returns the asset graph of the code location."""
        return self.location.catalog

    # Before something is sent

    def require_health(self) -> None:
        """Raises an error where runs would be queued for ever.

        Raises:
            DeploymentError: the daemon that takes them from the queue is not there.
        """
        worry = self.worry()
        if worry is not None:
            raise DeploymentError(
                f"{worry}: runs would stay queued, and nothing was sent",
                "start `dagster-daemon run` there, then do it again; nothing that is pending is lost",
            )

    @understood
    def worry(self) -> str | None:
        """Returns what is wrong with the daemon that takes runs from the queue; None: nothing is.

        Dagster calls it healthy for half an hour after its last sign of life. One that is some minutes old by
        the webserver's clock is watched for until the next one would be due: the two may have other clocks.
        """
        state = self._queue()
        if state is None:
            return None
        if not state["healthy"]:
            return f"the daemon of {self.url} is not at work"
        last, until = state["lastHeartbeatTime"], time.monotonic() + _HEARTBEAT
        age = self._server.now() - (last or 0.0)
        if age < _HEARTBEAT:
            return None
        while time.monotonic() < until:
            time.sleep(_BEAT)
            state = self._queue()
            if state is None or state["lastHeartbeatTime"] != last:
                return None
        return f"the daemon of {self.url} gave its last sign of life {age / 60:.0f} min ago"

    def _queue(self) -> Mapping[str, Any] | None:
        """The state of the daemon that takes runs from the queue; None: no run needs it."""
        instance = self._server.ask(_HEALTH)["instance"]
        daemons = instance["daemonHealth"]["allDaemonStatuses"]
        self.fills = any(one["daemonType"] == _FILLS and one["healthy"] for one in daemons)
        queue: Mapping[str, Any] | None = next((one for one in daemons if one["daemonType"] == _QUEUE), None)
        needs = instance["runQueuingSupported"] and queue is not None and queue["required"]
        return queue if needs else None

    @understood
    def knows(self, run_ids: Collection[str]) -> bool:
        """Says whether it has one of these runs."""
        return runs.has_any(self._server, run_ids)

    @understood
    def unfinished(self) -> list[RemoteRun]:
        """Returns all runs that have not ended, whoever has launched them."""
        return runs.unfinished(self._server)

    @understood
    def lacks_partition(self, asset: Asset, key: str) -> bool:
        """Says whether an asset has no such partition there, as far as that is not a dynamic one."""
        if asset.partitions is None or _dynamic_parts(asset, ""):
            return False
        if asset.parts not in self._keys:
            for node in self._server.ask(_KEYS, assets=[{"path": list(asset.parts)}])["assetNodes"]:
                self._keys[tuple(node["assetKey"]["path"])] = frozenset(node["partitionKeys"])
        return key not in self._keys.get(asset.parts, frozenset())

    # Runs

    @understood
    def launch(self, batch: RunBatch, tags: Mapping[str, str], first: Iterable[Parts] = ()) -> str:
        """Returns the id of the run that makes a batch.

        Args:
            batch: What it makes: every key has to be one of the deployment's.
            tags: Of the run.
            first: Further assets that it makes.

        Raises:
            RefusedError: there will be none.
            UnreachableError: it is not known whether there will be one.
        """
        assets = [*dict.fromkeys((*first, *(one.asset for one in batch.targets)))]
        selector = self._selector(batch.job, assets)
        tags = {**tags, **batch.tags}
        keys = list(dict.fromkeys(one.partition for one in batch.targets if one.partition is not None))
        if batch.is_range:
            tags |= {RANGE_START_TAG: keys[0], RANGE_END_TAG: keys[-1]}
        elif batch.partition is not None:
            tags[PARTITION_TAG] = batch.partition
        params = {
            "selector": selector,
            "mode": "default",
            "runConfigData": dict(batch.run_config),
            "executionMetadata": {"tags": _as_tags(tags)},
        }
        found = self._server.tell(_LAUNCH, run=params)["launchRun"]
        if found["__typename"] != "LaunchRunSuccess":
            raise RefusedError(f"{self.url} refuses the run: {_said(found)}")
        return str(found["run"]["runId"])

    @understood
    def backfill(self, batches: Sequence[RunBatch], tags: Mapping[str, str]) -> str:
        """Returns the id of the backfill that makes batches of the same assets, each in another partition.

        Raises:
            RefusedError: there will be none.
            UnreachableError: it is not known whether there will be one.
        """
        assets = list(dict.fromkeys(one.asset for one in batches[0].targets))
        self._selector(None, assets)
        count = batches[0].tags[BATCH_TAG].partition("/")[2]
        params = {
            "assetSelection": [{"path": list(parts)} for parts in assets],
            "partitionNames": [one.partition for one in batches],
            "tags": _as_tags({**tags, BATCH_TAG: f"{BACKFILL}/{count}"}),
        }
        found = self._server.tell(_BACKFILL, backfill=params)["launchPartitionBackfill"]
        if found["__typename"] != "LaunchBackfillSuccess":
            raise RefusedError(f"{self.url} refuses the backfill: {_said(found)}")
        return str(found["backfillId"])

    def _selector(self, job: str | None, assets: Sequence[Parts]) -> dict[str, Any]:
        location = self.location
        if job is not None:
            if job not in location.jobs:
                raise RefusedError(f"the code location '{location.name}' has no job '{job}'")
            return _named(location, location.jobs[job], job)
        names = ["/".join(parts) for parts in assets]
        missing = [name for name in names if name not in location.places]
        if missing:
            raise RefusedError(f"the code location '{location.name}' has no asset {sample(missing)}")
        places = [location.places[name] for name in names]
        jobs = frozenset.intersection(*(place.own_jobs for place in places))
        if len({place.repository for place in places}) > 1 or not jobs:
            raise RefusedError(
                f"no job of the code location '{location.name}' makes {sample(names)} together"
            )
        selection = [{"path": list(parts)} for parts in assets]
        return {**_named(location, places[0].repository, min(jobs)), "assetSelection": selection}

    @understood
    def launched(self, launch: str) -> list[RemoteRun]:
        """Returns the runs of a launch, oldest first."""
        return runs.launched(self._server, launch)

    @understood
    def documents(self, launches: Iterable[str]) -> dict[str, dict[str, dict[str, Any]]]:
        """Returns what became of launches: see :func:`raw_trigger.remote.runs.documents`."""
        names = list(launches)
        while names:
            self.look_again()
            before = self.location.loaded
            found = runs.documents(self._server, self.location, names)
            self.look_again()
            if self.location.loaded == before:
                return found
        return {}

    @understood
    def cancel(self, run_id: str) -> str | None:
        """Cancels a run, or a backfill; returns why it could not be ended, None if it was."""
        if "-" not in run_id:  # a run's id is a UUID
            found = self._server.tell(_CANCEL_BACKFILL, backfill=run_id)["cancelPartitionBackfill"]
            return None if found["__typename"] == "CancelBackfillSuccess" else _said(found)
        found = self._server.tell(_CANCEL, run=run_id)["terminateRun"]
        return None if found["__typename"] == "TerminateRunSuccess" else _said(found)

    @understood
    def config_problem(self, job: str, run_config: Mapping[str, Any]) -> str | None:
        """Returns what is wrong with the configuration of a job; None if nothing is, or there is no job."""
        location = self.location
        if job not in location.jobs:
            return None
        named = _named(location, location.jobs[job], job)
        found = self._server.ask(_VALID, job=named, config=dict(run_config))["isPipelineConfigValid"]
        return None if found["__typename"] == "PipelineConfigValidationValid" else _said(found)

    # What needs no run

    @understood
    def report(
        self, asset: Asset, partition: str | None, version: str, metadata: Mapping[str, Any], kind: str
    ) -> None:
        """Reports that an asset without code has other data.

        Args:
            kind: ``materialization`` or ``observation``.

        Raises:
            DeploymentError: it was not reported, as far as is known.
        """
        if any("/" in part or part in (".", "..") or not part.isprintable() for part in asset.parts):
            raise RefusedError(
                f"the webserver takes no report about {asset.key!r}: its address cannot name it"
            )
        path = "/".join(quote(part, safe="") for part in asset.parts)
        document: dict[str, Any] = {"data_version": version, "metadata": dict(metadata)}
        if partition is not None:
            document["partition"] = partition
        self._server.post(f"/report_asset_{kind}/{path}", document)
        # Whatever stands before the webserver may have answered.
        query = _REPORTED % ("assetObservations" if kind == "observation" else "assetMaterializations")
        partitions = None if partition is None else [partition]
        nodes = self._server.ask(query, assets=[{"path": list(asset.parts)}], partitions=partitions)[
            "assetNodes"
        ]
        told = [
            tag["value"]
            for node in nodes
            for one in node["events"]
            for tag in one["tags"]
            if tag["key"] == _VERSION
        ]
        if version not in told:
            raise DeploymentError(
                f"{self.url} was told of {asset.key}, and does not know it", "see dagster.url"
            )

    @understood
    def add_partitions(self, asset: Asset, key: str) -> None:
        """Adds the key to the dynamic definitions of an asset, where it is not there yet.

        Raises:
            RefusedError: it cannot be added.
        """
        for name, part in _dynamic_parts(asset, key):
            selector = _repository(self.location, asset)
            found = self._server.tell(_ADD, repository=selector, name=name, key=part)["addDynamicPartition"]
            if found["__typename"] not in ("AddDynamicPartitionSuccess", "DuplicateDynamicPartitionError"):
                raise RefusedError(f"{self.url} does not take the partition '{part}': {_said(found)}")

    @understood
    def delete_partition(self, asset: Asset, key: str) -> None:
        """Deletes a key of an asset's dynamic definition.

        Raises:
            RefusedError: it cannot be deleted.
        """
        name = None if asset.partitions is None else asset.partitions.name
        selector = _repository(self.location, asset)
        found = self._server.tell(_DELETE, repository=selector, name=name, keys=[key])[
            "deleteDynamicPartitions"
        ]
        if found["__typename"] != "DeleteDynamicPartitionsSuccess":
            raise RefusedError(f"{self.url} does not delete the partition '{key}': {_said(found)}")

    # What it knows

    @understood
    def never_materialized(self, assets: Collection[Parts]) -> list[Parts]:
        """Returns those of the assets that were never materialized."""
        made = runs.latest_runs(self._server, assets)
        return [parts for parts in assets if parts not in made]

    @understood
    def dynamic_keys(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Returns the keys of dynamic definitions, by their names."""
        found: dict[str, list[str]] = {}
        for name in names:
            having = [one for one in self.catalog.assets.values() if _has_only(one, name)]
            keys = [{"path": list(one.parts)} for one in having[:1]]
            nodes = self._server.ask(_KEYS, assets=keys)["assetNodes"] if keys else []
            found[name] = [str(key) for node in nodes for key in node["partitionKeys"]]
        return found


def _as_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": tags[key]} for key in sorted(tags)]


def _named(location: Location, repository: str, job: str) -> dict[str, Any]:
    return {"repositoryLocationName": location.name, "repositoryName": repository, "pipelineName": job}


def _repository(location: Location, asset: Asset) -> dict[str, str]:
    repository = location.places[asset.key].repository
    return {"repositoryLocationName": location.name, "repositoryName": repository}


def _said(found: Mapping[str, Any]) -> str:
    """What a webserver says is wrong."""
    several = [str(one["message"]) for one in found.get("errors") or ()]
    return shown("; ".join(several) or str(found.get("message") or found["__typename"]))


def _has_only(asset: Asset, name: str) -> bool:
    return (
        asset.partitions is not None and asset.partitions.kind == "dynamic" and asset.partitions.name == name
    )


def _dynamic_parts(asset: Asset, key: str) -> list[tuple[str, str]]:
    """The names of an asset's dynamic definitions, each with its part of a key."""
    definition = asset.partitions
    if definition is None:
        return []
    if definition.kind == "dynamic":
        return [(definition.name or "", key)]
    parts = key.split("|")
    return [
        (one.name or "", parts[n] if n < len(parts) else "")
        for n, (_, one) in enumerate(definition.dimensions)
        if one.kind == "dynamic"
    ]
