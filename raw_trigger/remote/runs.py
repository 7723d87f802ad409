"""What a webserver tells of runs, in the words of ``project/inside/past.py``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from raw_trigger.errors import DeploymentError
from raw_trigger.project.inside.errors import plain_error
from raw_trigger.project.inside.past import (
    BACKFILL,
    BATCH_TAG,
    ENDED,
    LAUNCH_TAG,
    OWN_CHECKS,
    PARTITION_TAG,
    RANGE_START_TAG,
    RETRY_TAG,
    PastRun,
    together,
)
from raw_trigger.remote.graph import COMMIT, Location, commit_in, commit_of_image
from raw_trigger.remote.server import Server, shown

Document = dict[str, Any]
Parts = tuple[str, ...]
_Part = tuple[str | None, frozenset[Parts] | None]
"""What a run of a backfill makes: a partition, of these assets."""

_RUNS = """query($filter: RunsFilter!, $cursor: String) {
  runsOrError(filter: $filter, cursor: $cursor, limit: 200) {
  __typename ... on Error { message } ... on Runs { results {
    runId status jobName creationTime endTime tags { key value } assetSelection { path } } } } }"""
_EVENTS = """query($run: ID!, $cursor: String) { logsForRun(runId: $run, afterCursor: $cursor, limit: 1000) {
  __typename ... on Error { message } ... on EventConnection { cursor hasMore events { __typename
    ... on MessageEvent { timestamp stepKey }
    ... on AssetMaterializationPlannedEvent { planned: assetKey { path } }
    ... on MaterializationEvent { partition made: assetKey { path }
      metadataEntries { label ... on TextMetadataEntry { text } } }
    ... on AssetCheckEvaluationPlannedEvent { checkName expected: assetKey { path } }
    ... on AssetCheckEvaluationEvent {
      evaluation { success checkName severity description assetKey { path } } }
    ... on ExecutionStepFailureEvent {
      error { ...Told cause { ...Told cause { ...Told cause { ...Told } } } } }
    ... on RunFailureEvent { error { ...Told cause { ...Told } } } } } } }
  fragment Told on PythonError { message className stack }"""
_LATEST = """query($assets: [AssetKeyInput!], $partitions: [String!]) { assetNodes(assetKeys: $assets) {
  assetKey { path } latestMaterializationByPartition(partitions: $partitions) { runId partition } } }"""
_LATEST_WHOLE = """query($assets: [AssetKeyInput!]) { assetNodes(assetKeys: $assets) {
  assetKey { path } assetMaterializations(limit: 1) { runId } } }"""
_BACKFILLS = """{ partitionBackfillsOrError(limit: 100) { __typename ... on Error { message }
  ... on PartitionBackfills { results {
    id status partitionNames assetSelection { path } tags { key value } error { message } } } } }"""
_OVER = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")
_KINDS = {
    "AssetMaterializationPlannedEvent": "ASSET_MATERIALIZATION_PLANNED",
    "MaterializationEvent": "ASSET_MATERIALIZATION",
    "AssetCheckEvaluationPlannedEvent": "ASSET_CHECK_EVALUATION_PLANNED",
    "AssetCheckEvaluationEvent": "ASSET_CHECK_EVALUATION",
    "ExecutionStepStartEvent": "STEP_START",
    "ExecutionStepSuccessEvent": "STEP_SUCCESS",
    "ExecutionStepSkippedEvent": "STEP_SKIPPED",
    "ExecutionStepFailureEvent": "STEP_FAILURE",
    "RunFailureEvent": "PIPELINE_FAILURE",
}
_KEYS = ("planned", "made", "expected", "assetKey")
"""What the key of an asset is called in a question: GraphQL forbids one name for two types."""
_UNFINISHED = ("QUEUED", "NOT_STARTED", "MANAGED", "STARTING", "STARTED", "CANCELING")
_PAGE = 200
_IMAGE_TAG = "dagster/image"
"""Dagster's own, on the runs of Docker and Kubernetes: the image that the run's process is from."""


class _Key(NamedTuple):
    path: tuple[str, ...]


class _Error(NamedTuple):
    message: str
    cls_name: str | None
    stack: list[str]
    cause: Any


@dataclass(frozen=True, slots=True)
class RemoteRun:
    """Holds a run as the webserver lists it.

    Attributes:
        selection: The assets that it is to make; None: all of its job.
        created: When it was made, in seconds since 1970 by the webserver's clock.
    """

    run_id: str
    status: str
    job: str
    created: float
    ended: float | None
    tags: Mapping[str, str]
    selection: frozenset[tuple[str, ...]] | None

    @property
    def has_ended(self) -> bool:
        """Says whether nothing more comes of it."""
        return self.status in ENDED

    @property
    def batch(self) -> str:
        """Returns the number of its batch in its launch, as text; empty for a run of no launch."""
        return self.tags.get(BATCH_TAG, "").partition("/")[0]

    def makes(self, parts: tuple[str, ...], partition: str | None, jobs: frozenset[str]) -> bool:
        """Says whether it may make an asset.

        Args:
            jobs: Those that the asset is in.
        """
        if parts not in self.selection if self.selection is not None else self.job not in jobs:
            return False
        # What has no partitions is made whatever the run's partition is.
        return partition is None or self.tags.get(PARTITION_TAG) == partition or RANGE_START_TAG in self.tags


def launched(server: Server, launch: str) -> list[RemoteRun]:
    """Returns the runs of a launch, oldest first."""
    return list(_listed(server, {"tags": [{"key": LAUNCH_TAG, "value": launch}]}))[::-1]


def unfinished(server: Server) -> list[RemoteRun]:
    """Returns all runs of a deployment that have not ended."""
    return list(_listed(server, {"statuses": list(_UNFINISHED)}))


def has_any(server: Server, run_ids: Iterable[str]) -> bool:
    """Says whether the deployment has one of these runs."""
    return next(_listed(server, {"runIds": list(run_ids)}), None) is not None


def _listed(server: Server, wanted: Mapping[str, Any]) -> Iterator[RemoteRun]:
    cursor = None
    while True:
        found = server.ask(_RUNS, filter=wanted, cursor=cursor)["runsOrError"]
        if found["__typename"] != "Runs":
            raise DeploymentError(f"{server.url} cannot tell its runs: {shown(found.get('message'))}")
        for one in found["results"]:
            chosen = one["assetSelection"]
            yield RemoteRun(
                one["runId"],
                one["status"],
                one["jobName"],
                one["creationTime"],
                one["endTime"],
                {tag["key"]: tag["value"] for tag in one["tags"]},
                None if not chosen else frozenset(tuple(key["path"]) for key in chosen),
            )
        if len(found["results"]) < _PAGE or found["results"][-1]["runId"] == cursor:
            return
        cursor = found["results"][-1]["runId"]


def documents(server: Server, location: Location, launches: Iterable[str]) -> dict[str, dict[str, Document]]:
    """Returns what became of the runs of launches, by the numbers of their batches.

    What another run has made since, or may still be making, is no longer known to be what the run made of it.
    """
    found: dict[str, dict[str, Document]] = {}
    busy: list[RemoteRun] | None = None
    backfills = _backfills(server)  # looked at first: the runs that they make meanwhile are heard of
    for launch in launches:
        batches: dict[str, list[Document]] = {}
        filled: dict[_Part, list[Document]] = {}
        for run in launched(server, launch):
            if run.has_ended and busy is None:
                busy = unfinished(server)
            document = _document(server, location, run, busy or [])
            if run.batch == BACKFILL:
                filled.setdefault((run.tags.get(PARTITION_TAG), run.selection), []).append(document)
            else:
                batches.setdefault(run.batch, []).append(document)
        requested = _requested(backfills, launch)
        filled |= {part: [one] for part, one in requested.items() if part not in filled}
        for n, ((partition, selection), runs) in enumerate(filled.items(), 1):
            told = {"partition": partition, "selection": sorted(selection or ())}
            batches[str(-n)] = [{**one, **told} for one in runs]
        found[launch] = {
            # Those of several runs that read other files are not known apart.
            number: {**runs[-1], **together(runs), "commit": _only({one["commit"] for one in runs})}
            for number, runs in batches.items()
        }
    return found


def _backfills(server: Server) -> list[Document]:
    """The newest backfills of a deployment."""
    found = server.ask(_BACKFILLS)["partitionBackfillsOrError"]
    if found["__typename"] != "PartitionBackfills":
        raise DeploymentError(f"{server.url} cannot tell its backfills: {shown(found.get('message'))}")
    return list(found["results"])


def _requested(backfills: Iterable[Document], launch: str) -> dict[_Part, Document]:
    """What the backfills of a launch are to make, each as a run that is not there yet, or will not be."""
    requested: dict[_Part, Document] = {}
    for one in backfills:
        if {"key": LAUNCH_TAG, "value": launch} not in one["tags"]:
            continue
        past = PastRun()
        if one["error"] is not None:
            past.error = plain_error(one["error"]["message"].strip())
        status = one["status"] if one["status"] == "CANCELED" else "FAILURE"
        known = past.document(status if one["status"] in _OVER else "QUEUED", None)
        document = {**known, "run_id": one["id"], "ended": None, "retries": False, "commit": None}
        selection = frozenset(tuple(key["path"]) for key in one["assetSelection"] or ())
        requested |= dict.fromkeys(((key, selection) for key in one["partitionNames"] or ()), document)
    return requested


def _document(server: Server, location: Location, run: RemoteRun, busy: Sequence[RemoteRun]) -> Document:
    past, told = PastRun(), set[str]()
    for event in _events(server, run.run_id) if run.has_ended else ():
        kind = _KINDS.get(event["__typename"])
        if kind is not None and not (event["stepKey"] or "").startswith(OWN_CHECKS):
            past.on_event(_event(event, kind))
        told |= {
            one["text"]
            for one in event.get("metadataEntries", ())
            if one["label"] == COMMIT and one.get("text")
        }
    retries = run.status == "FAILURE" and run.tags.get(RETRY_TAG) == "true"
    document = past.document(run.status, run.ended)
    mine: dict[str | None, list[tuple[str, ...]]] = {}
    for one in document["materialized"]:
        mine.setdefault(one["partition"], []).append(tuple(one["asset"]))
    latest = _latest(server, mine) if mine else {}
    for one in document["materialized"]:
        parts, partition = tuple(one["asset"]), one["partition"]
        place = location.places.get("/".join(parts))
        jobs = frozenset() if place is None else place.jobs
        one["overtaken"] = latest.get((parts, partition), run.run_id) != run.run_id or any(
            other.makes(parts, partition, jobs) for other in busy
        )
    return {
        "run_id": run.run_id,
        "ended": run.ended,
        "retries": retries,
        "commit": _commit(location, run, told),
        **document,
    }


def _commit(location: Location, run: RemoteRun, told: set[str]) -> str | None:
    """The commit whose files the run has read: what it made says so, its image, or where it is from.

    That has to be as it was loaded before the run was made: else another one may have been there meanwhile.
    """
    if told:
        return commit_in(_only(told) or "")
    image = commit_of_image(run.tags.get(_IMAGE_TAG, ""))
    if image is not None:
        return image
    return location.commit if location.loaded <= run.created else None


def _only(names: set[Any]) -> Any:
    """The one that there is; None if there are several."""
    return names.pop() if len(names) == 1 else None


def _events(server: Server, run_id: str) -> Iterator[Document]:
    cursor = None
    while True:
        found = server.ask(_EVENTS, run=run_id, cursor=cursor)["logsForRun"]
        if found["__typename"] != "EventConnection":
            raise DeploymentError(
                f"{server.url} cannot tell of run {run_id[:8]}: {shown(found.get('message'))}"
            )
        yield from found["events"]
        if not found["hasMore"] or found["cursor"] == cursor:
            return
        cursor = found["cursor"]


def _event(event: Document, kind: str) -> Document:
    about = event.get("evaluation") or event
    out: Document = {"type": kind, "step": event["stepKey"], "time": float(event["timestamp"]) / 1000}
    key = next((about[name] for name in _KEYS if about.get(name) is not None), None)
    if key is not None:
        out["asset"] = _Key(tuple(key["path"]))
    if kind == "ASSET_MATERIALIZATION":
        out["partition"] = event["partition"]
    if kind.startswith("ASSET_CHECK"):
        out["check"] = about["checkName"]
        out["passed"], out["severity"] = about.get("success"), about.get("severity")
        out["message"] = about.get("description")
    if kind in ("STEP_FAILURE", "PIPELINE_FAILURE"):
        out["error"] = _error(event.get("error"))
    return out


def _error(told: Document | None) -> _Error | None:
    if told is None:
        return None
    return _Error(told["message"], told["className"], list(told["stack"]), _error(told.get("cause")))


def _latest(
    server: Server, made: Mapping[str | None, Sequence[tuple[str, ...]]]
) -> dict[tuple[tuple[str, ...], str | None], str]:
    """The runs that made these assets last, by partitions."""
    found: dict[tuple[tuple[str, ...], str | None], str] = {}
    by_assets: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for partition, assets in made.items():
        if partition is not None:
            by_assets.setdefault(tuple(assets), []).append(partition)
    for assets, partitions in by_assets.items():
        keys = [{"path": list(parts)} for parts in assets]
        for node in server.ask(_LATEST, assets=keys, partitions=partitions)["assetNodes"]:
            for one in node["latestMaterializationByPartition"]:
                if one is not None:
                    found[tuple(node["assetKey"]["path"]), one["partition"]] = one["runId"]
    if None in made:
        found |= {(parts, None): run for parts, run in latest_runs(server, made[None]).items()}
    return found


def latest_runs(server: Server, assets: Iterable[Parts]) -> dict[Parts, str]:
    """Returns the run that made each of these assets last, whatever the partition, if one did."""
    keys = [{"path": list(parts)} for parts in assets]
    nodes = server.ask(_LATEST_WHOLE, assets=keys)["assetNodes"] if keys else []
    return {
        tuple(node["assetKey"]["path"]): one["runId"]
        for node in nodes
        for one in node["assetMaterializations"]
    }
