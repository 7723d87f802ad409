"""The asset graph of one code location, as a webserver tells it."""

from __future__ import annotations

import ast
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from raw_trigger.errors import DeploymentError, UnreachableError
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.model.assets import Asset, Catalog, PartitionMapping
from raw_trigger.planning.downstream import ALL, inferred, partitions_below
from raw_trigger.project.catalog import decode
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
_PREVIEW = (
    "assetBackfillPreview(params: $p%d) {"
    " assetKey { path } partitions { partitionKeys ranges { start end } } }"
)
_SUBSET = "query($job: PipelineSelector!) { pipelineOrError(params: $job) { __typename } }"
_OFFSETS = re.compile(r"offsetted by (-?\d+) and (-?\d+) partitions")
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
        policy = node["backfillPolicy"]
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
                "per_run": (policy["maxPartitionsPerRun"] or 0)
                if policy is not None and policy["policyType"] == "SINGLE_RUN"
                else 1
                if policy is None
                else policy["maxPartitionsPerRun"] or 1,
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
    return replace(catalog, assets={**catalog.assets, **_with_mappings(server, catalog, nodes)})


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


# Partition mappings


def _with_mappings(
    server: Server, catalog: Catalog, nodes: Mapping[tuple[str, ...], tuple[str, Document]]
) -> dict[str, Asset]:
    """The assets whose partitions are made from those of others, with how.

    Of a mapping without settings (all partitions, the last one) the webserver tells nothing, as if Dagster
    inferred it. So it is asked what it would make of one partition. An asset without partitions is made
    whatever the partition was.
    """
    told: dict[str, dict[str, PartitionMapping]] = {}
    open_yet: list[tuple[Asset, Asset]] = []
    for parts, (_, node) in nodes.items():
        child = catalog.assets["/".join(parts)]
        for one in node["dependencies"]:
            parent = catalog.assets.get("/".join(one["asset"]["assetKey"]["path"]))
            if parent is None or parent.partitions is None:
                continue
            how = None if one["partitionMapping"] is None else _mapping(one["partitionMapping"])
            if how is not None:
                told.setdefault(child.key, {})[parent.key] = how
            elif child.partitions is not None and parent.kind == child.kind == "materializable":
                open_yet.append((parent, child))
    for (parent, child), how in zip(open_yet, _tried(server, open_yet), strict=True):
        told.setdefault(child.key, {})[parent.key] = how
    return {
        key: replace(catalog.assets[key], mappings=tuple(sorted(found.items(), key=lambda one: one[0])))
        for key, found in told.items()
    }


def _mapping(told: Document) -> PartitionMapping | None:
    """A mapping that has settings; None: what the deployment makes of it has to be seen."""
    kind, words = told["className"], told["description"]
    try:
        if kind == "TimeWindowPartitionMapping":
            offsets = _OFFSETS.search(words)
            start, end = (0, 0) if offsets is None else map(int, offsets.groups())
            return PartitionMapping("time", start_offset=start, end_offset=end)
        if kind == "SpecificPartitionsPartitionMapping":
            keys = ast.literal_eval(words[words.index("[") :])
            return PartitionMapping("specific", keys=tuple(map(str, keys)))
        if kind == "StaticPartitionMapping":
            pairs = ast.literal_eval(words[words.index("{") :])
            every = (
                (up, (down,) if isinstance(down, str) else tuple(sorted(down))) for up, down in pairs.items()
            )
            return PartitionMapping("static", pairs=tuple(every))
    except (ValueError, SyntaxError, TypeError, AttributeError):
        return None
    return None


def _tried(server: Server, edges: Iterable[tuple[Asset, Asset]]) -> Iterator[PartitionMapping]:
    """How the children are made from partitions of their parents, as far as one example of each tells."""
    keys = PartitionKeys(time.time())
    rest = iter(edges)
    while chunk := list(islice(rest, _AT_ONCE)):
        examples = [_example(parent, keys) for parent, _ in chunk]
        declared, questions = list[str](), list[str]()
        variables: Document = {}
        for n, ((parent, child), example) in enumerate(zip(chunk, examples, strict=True)):
            if example is not None:
                declared.append(f"$p{n}: AssetBackfillPreviewParams!")
                questions.append(f"a{n}: {_PREVIEW % n}")
                selection = [{"path": list(one.parts)} for one in (parent, child)]
                variables[f"p{n}"] = {"partitionNames": [example], "assetSelection": selection}
        answer: Mapping[str, Any] = {}
        if questions:
            answer = server.ask(f"query({', '.join(declared)}) {{ {' '.join(questions)} }}", **variables)
        for n, ((parent, child), example) in enumerate(zip(chunk, examples, strict=True)):
            seen = None if example is None else _seen(answer[f"a{n}"], child)
            yield _that_fits(parent, child, example, seen, keys)


def _example(parent: Asset, keys: PartitionKeys) -> str | None:
    assert parent.partitions is not None
    every = keys.every(parent.partitions)
    return None if every is None else next(iter(every), None)


def _seen(preview: Iterable[Document], child: Asset) -> tuple[frozenset[str] | None, bool]:
    """The partitions of a child that would be made, and whether these are ranges' first and last ones.

    None: nothing of it would be made.
    """
    for one in preview:
        if tuple(one["assetKey"]["path"]) == child.parts:
            told = one["partitions"] or {"ranges": None, "partitionKeys": ()}
            if told["ranges"] is None:
                return frozenset(told["partitionKeys"] or ()), False
            return frozenset(end for each in told["ranges"] for end in (each["start"], each["end"])), True
    return None, False


def _that_fits(
    parent: Asset,
    child: Asset,
    example: str | None,
    seen: tuple[frozenset[str] | None, bool] | None,
    keys: PartitionKeys,
) -> PartitionMapping:
    for how in (inferred(parent.partitions, child.partitions), ALL, PartitionMapping("last")):
        if example is None or seen is None:
            break
        below = partitions_below(parent, replace(child, mappings=((parent.key, how),)), example, keys)
        if below.unknown is not None:
            continue
        expected = [one for one in below.partitions if one is not None]
        ends = {expected[0], expected[-1]} if seen[1] and expected else set(expected)
        if ends == (seen[0] or set()) and (seen[0] is None) == (not below.partitions):
            return how
    return PartitionMapping("other", name="the deployment")


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
