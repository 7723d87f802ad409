"""The asset graph of one code location, as a webserver tells it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from raw_trigger.errors import DeploymentError, UnreachableError
from raw_trigger.model.assets import Catalog
from raw_trigger.project.catalog import decode
from raw_trigger.remote.mappings import with_mappings
from raw_trigger.remote.partitions import definition_of
from raw_trigger.remote.server import Server, shown

COMMIT = "raw_commit"
"""The metadata by which an asset, or what was made of it, tells the commit that its code is from."""

_WORKSPACE = """{ version
  workspaceOrError { __typename ... on Error { message } ... on Workspace { locationEntries {
    name updatedTimestamp displayMetadata { key value }
    locationOrLoadError { __typename ... on Error { message } ... on RepositoryLocation {
      repositories { name pipelines { name } } } } } } }
  assets: __type(name: "AssetNode") { fields { name } }
  partitions: __type(name: "PartitionDefinition") { fields { name } }
}"""
_NODES = """query($repository: RepositorySelector!) { repositoryOrError(repositorySelector: $repository) {
  __typename ... on Error { message } ... on Repository { assetNodes {
    assetKey { path } isExecutable isObservable %s groupName graphName opNames jobNames %s
    configField { isRequired } backfillPolicy { maxPartitionsPerRun policyType }
    partitionDefinition { description type name %s
      dimensionTypes { name type description dynamicPartitionsDefinitionName } }
    dependencies { asset { assetKey { path } } partitionMapping { className description } }
    metadataEntries { __typename label ... on TextMetadataEntry { text } ... on PathMetadataEntry { path }
      ... on UrlMetadataEntry { url } ... on JsonMetadataEntry { jsonString } }
    assetChecksOrError { ... on AssetChecks { checks { name } } }
  } } } }"""
_FEW = """first: partitionKeyConnection(limit: 2, ascending: true) { results }
    last: partitionKeyConnection(limit: 2, ascending: false) { results }"""
_BY_DIMENSION = (
    "assetNodes(group: $g%d, assetKeys: $k%d) { dimensions: partitionKeysByDimension { name partitionKeys } }"
)
_SUBSET = "query($job: PipelineSelector!) { pipelineOrError(params: $job) { __typename } }"
_AT_ONCE = 100
"""Questions that one request asks."""
_MOST_VALUES = 50
"""Texts of one piece of metadata that are looked at."""
_OWN_JOB = "__ASSET_JOB"
_HINT = "write the name of one of them as dagster.location"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Says where in a deployment an asset is made: the repository, and the jobs that make it."""

    repository: str
    jobs: frozenset[str]

    @property
    def own_jobs(self) -> frozenset[str]:
        """Returns the jobs that Dagster makes for assets."""
        return frozenset(job for job in self.jobs if job.startswith(_OWN_JOB))


@dataclass(frozen=True, slots=True)
class Location:
    """Holds a code location of a deployment.

    Attributes:
        loaded: When the webserver loaded it, in seconds since 1970 by its clock.
        commit: The commit that its code is from; None: it does not tell.
        jobs: Its named jobs, each with its repository.
    """

    name: str
    loaded: float
    commit: str | None
    catalog: Catalog
    places: Mapping[str, Place]
    jobs: Mapping[str, str]


def locate(server: Server, wanted: str | None) -> Mapping[str, Any]:
    """Returns what the webserver says of a code location, and what it understands.

    Raises:
        DeploymentError: there is none of this name, or it is not loaded.
    """
    answer = server.ask(_WORKSPACE)
    found = answer["workspaceOrError"]
    if found["__typename"] != "Workspace":
        raise DeploymentError(f"{server.url} cannot tell its code locations: {shown(found.get('message'))}")
    entries = {str(one["name"]): one for one in found["locationEntries"]}
    names = ", ".join(sorted(entries)) or "none at all"
    if wanted is None and len(entries) != 1:
        raise DeploymentError(f"{server.url} has {len(entries)} code locations: {names}", _HINT)
    name = next(iter(entries)) if wanted is None else wanted
    if name not in entries:
        raise DeploymentError(f"{server.url} has no code location '{name}'; it has {names}", _HINT)
    state = entries[name]["locationOrLoadError"]
    if state is None:
        raise UnreachableError(f"{server.url} is still loading the code location '{name}'", "try again")
    if state["__typename"] != "RepositoryLocation":
        raise DeploymentError(
            f"{server.url} could not load the code location '{name}': {shown(state.get('message'))}",
            "mend it there, and have it loaded again",
        )
    return {**answer, "entry": entries[name]}


def read_location(server: Server, wanted: str | None) -> Location:
    """Returns a code location of a deployment, with its asset graph.

    Args:
        wanted: Its name; None: the only one.

    Raises:
        DeploymentError: it cannot be had.
    """
    about = locate(server, wanted)
    entry = about["entry"]
    name = str(entry["name"])
    repositories = entry["locationOrLoadError"]["repositories"]
    nodes: dict[tuple[str, ...], tuple[str, Document]] = {}
    for repository in repositories:
        for node in _nodes(server, name, repository["name"], about):
            parts = tuple(node["assetKey"]["path"])
            if parts not in nodes or _kind(node) == "materializable":
                nodes[parts] = (repository["name"], node)
    jobs = {
        job["name"]: one["name"]
        for one in repositories
        for job in one["pipelines"]
        if not job["name"].startswith(_OWN_JOB)
    }
    catalog = _catalog(server, name, nodes, jobs, about)
    places = {
        "/".join(parts): Place(repository, frozenset(node["jobNames"]))
        for parts, (repository, node) in nodes.items()
    }
    return Location(name, entry["updatedTimestamp"], _commit(entry, nodes.values()), catalog, places, jobs)


def _nodes(server: Server, location: str, repository: str, about: Mapping[str, Any]) -> list[Document]:
    has, has_partition = _fields(about["assets"]), _fields(about["partitions"])
    optional = (
        "isMaterializable" * ("isMaterializable" in has),
        _FEW * ("partitionKeyConnection" in has),
        "fmt" * ("fmt" in has_partition),
    )
    query = _NODES % optional
    selector = {"repositoryLocationName": location, "repositoryName": repository}
    found = server.ask(query, repository=selector)["repositoryOrError"]
    if found["__typename"] != "Repository":
        raise DeploymentError(
            f"{server.url} cannot tell the assets of '{location}': {shown(found.get('message'))}"
        )
    return list(found["assetNodes"])


def _fields(described: Mapping[str, Any] | None) -> frozenset[str]:
    return frozenset(one["name"] for one in (described or {}).get("fields") or ())


def _kind(node: Document) -> str:
    if node.get("isMaterializable", node["isExecutable"] and not node["isObservable"]):
        return "materializable"
    return "observable" if node["isObservable"] else "external"


# The catalog


def _catalog(
    server: Server,
    location: str,
    nodes: Mapping[tuple[str, ...], tuple[str, Document]],
    jobs: Mapping[str, str],
    about: Mapping[str, Any],
) -> Catalog:
    definitions, numbers = _definitions(server, location, nodes)
    together = _made_together(server, location, nodes)
    assets = []
    for parts, (_, node) in sorted(nodes.items()):
        assets.append(
            {
                "key": list(parts),
                "location": location,
                "group": node["groupName"],
                "kind": _kind(node),
                "partitions": numbers.get(parts),
                "parents": sorted(one["asset"]["assetKey"]["path"] for one in node["dependencies"]),
                "execution_set": [list(one) for one in together.get(parts, ())],
                "metadata": [[one["label"], text] for one in node["metadataEntries"] for text in _texts(one)],
                "checks": [one["name"] for one in node["assetChecksOrError"].get("checks", ())],
                "mappings": [],
                "per_run": _per_run(node["backfillPolicy"]),
                "needs_config": bool((node["configField"] or {}).get("isRequired")),
            }
        )
    document = {
        "dagster": about["version"],
        "partitions": definitions,
        "assets": assets,
        "jobs": dict.fromkeys(jobs, location),
        "unread": [],
        "code": [],
    }
    place = f"the code location '{location}' of {server.url}"
    catalog = replace(decode(document, fresh=True), place=place)
    dependencies = {"/".join(parts): node["dependencies"] for parts, (_, node) in nodes.items()}
    return replace(catalog, assets={**catalog.assets, **with_mappings(server, catalog, dependencies)})


def _per_run(policy: Document | None) -> int:
    """How many partitions one run may make; 0: any number."""
    if policy is None or policy["policyType"] == "MULTI_RUN":
        return int((policy or {}).get("maxPartitionsPerRun") or 1)
    return 0


def _definitions(
    server: Server, location: str, nodes: Mapping[tuple[str, ...], tuple[str, Document]]
) -> tuple[list[Document], dict[tuple[str, ...], int]]:
    """The partitions definitions, each once, and which of them each asset has."""
    asked: dict[tuple[str, ...], tuple[str, Document]] = {}
    alike: dict[str, tuple[str, ...]] = {}
    for parts, (repository, node) in sorted(nodes.items()):
        told = node["partitionDefinition"]
        if told is None or told["type"] == "DYNAMIC" or _ends_told(node):
            continue
        if alike.setdefault(json.dumps(told, sort_keys=True), parts) == parts:
            group = {
                "groupName": node["groupName"],
                "repositoryName": repository,
                "repositoryLocationName": location,
            }
            asked[parts] = (_BY_DIMENSION, group)
    found = dict(zip(asked, _ask_all(server, asked), strict=True))
    definitions: list[Document] = []
    numbers: dict[tuple[str, ...], int] = {}
    for parts, (_, node) in sorted(nodes.items()):
        told = node["partitionDefinition"]
        if told is None:
            continue
        one = alike.get(json.dumps(told, sort_keys=True))
        by_dimension = (
            {} if one is None else {d["name"]: d["partitionKeys"] for d in found[one][0]["dimensions"]}
        )
        keys: Sequence[str] = by_dimension.get("default", ())
        if _ends_told(node):
            keys = list(dict.fromkeys([*node["first"]["results"], *reversed(node["last"]["results"])]))
        definition = definition_of(told, keys, by_dimension)
        if definition not in definitions:
            definitions.append(definition)
        numbers[parts] = definitions.index(definition)
    return definitions, numbers


def _ends_told(node: Document) -> bool:
    """Whether the first and the last keys of time windows were told."""
    return node["partitionDefinition"]["type"] == "TIME_WINDOW" and node.get("first") is not None


def _ask_all(server: Server, asked: Mapping[tuple[str, ...], tuple[str, Document]]) -> Iterator[Any]:
    """The answers to many small questions, each about an asset and its group, in few requests."""
    rest = iter(asked.items())
    while chunk := list(islice(rest, _AT_ONCE)):
        declared, questions = list[str](), list[str]()
        variables: Document = {}
        for n, (parts, (question, group)) in enumerate(chunk):
            declared.append(f"$g{n}: AssetGroupSelector, $k{n}: [AssetKeyInput!]")
            questions.append(f"a{n}: {question % (n, n)}")
            variables |= {f"g{n}": group, f"k{n}": [{"path": list(parts)}]}
        answer = server.ask(f"query({', '.join(declared)}) {{ {' '.join(questions)} }}", **variables)
        yield from (answer[f"a{n}"] for n in range(len(chunk)))


def _made_together(
    server: Server, location: str, nodes: Mapping[tuple[str, ...], tuple[str, Document]]
) -> dict[tuple[str, ...], Sequence[tuple[str, ...]]]:
    """What can only be made together: of the assets of one function, Dagster is asked for one alone."""
    makers: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for parts, (repository, node) in nodes.items():
        makers_of = node["graphName"] or ",".join(node["opNames"])
        if makers_of and _kind(node) == "materializable":
            makers.setdefault((repository, makers_of), []).append(parts)
    found: dict[tuple[str, ...], Sequence[tuple[str, ...]]] = {}
    for (repository, _), members in makers.items():
        jobs = sorted(job for job in nodes[members[0]][1]["jobNames"] if job.startswith(_OWN_JOB))
        if len(members) == 1 or not jobs:
            continue
        job = {
            "repositoryLocationName": location,
            "repositoryName": repository,
            "pipelineName": jobs[0],
            "assetSelection": [{"path": list(members[0])}],
        }
        # Each in a request of its own: in one, Dagster 1.13 gives every question the first one's answer.
        if server.ask(_SUBSET, job=job)["pipelineOrError"]["__typename"] == "InvalidSubsetError":
            found |= dict.fromkeys(members, sorted(members))
    return found


def _texts(entry: Document) -> list[str]:
    """The texts in a piece of metadata that may name files."""
    if entry.get("jsonString") is None:
        found = next((entry[name] for name in ("text", "path", "url") if entry.get(name)), None)
        return [] if found is None else [str(found)]
    try:
        return list(islice(_strings(json.loads(entry["jsonString"])), _MOST_VALUES))
    except ValueError:
        return []


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


# The commit


def _commit(entry: Document, nodes: Iterable[tuple[str, Document]]) -> str | None:
    """The commit that the location says its code is from: Dagster+ does, else its image's tag or an asset."""
    told = {one["key"]: str(one["value"]) for one in entry["displayMetadata"]}
    found = {
        str(one["text"])
        for _, node in nodes
        for one in node["metadataEntries"]
        if one["label"] == COMMIT and one.get("text")
    }
    if len(found) == 1:
        return commit_in(found.pop())
    if found:
        return None
    return commit_in(told.get("commit_hash", "")) or commit_of_image(told.get("image", ""))


_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def commit_in(text: str) -> str | None:
    """Returns the text if it may be the name of a commit."""
    return text if _COMMIT.fullmatch(text) else None


def commit_of_image(image: str) -> str | None:
    """Returns the commit that the tag of an image names: ``registry/shop:1a2b3c4``."""
    name, colon, tag = image.partition("@")[0].rpartition(":")
    return commit_in(tag) if colon and name and "/" not in tag else None
