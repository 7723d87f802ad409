"""Reads the event of a CI job from the CI system's variables and payload, without trusting them.

A stranger who opens a pull request can choose a branch's name and fields of the payload. An id has to look
like one, and a name has to be one that git allows; nothing else of a payload is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from raw_trigger.documents import load_json, read_bytes
from raw_trigger.errors import EventError

System = Literal["github", "gitlab", "other"]
Kind = Literal["push", "tag", "pull-request", "merge-group", "manual", "workflow-run", "unknown"]

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NO_NAME = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^/|/$|\.$|\.lock$|\.lock/|^\.|/\.")
"""The characters that git does not allow in a ref; see `git check-ref-format`."""

_PULL_REQUEST = ("pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment")
_MANUAL = ("workflow_dispatch", "repository_dispatch", "schedule")
_GITLAB_PUSH = ("push", "parent_pipeline")
_GITLAB_MANUAL = (
    "schedule",
    "web",
    "webide",
    "api",
    "trigger",
    "pipeline",
    "chat",
    "external",
    "container_registry_push",
    "ondemand_dast_scan",
    "ondemand_dast_validation",
    "security_orchestration_policy",
)


@dataclass(frozen=True, slots=True)
class CiEvent:
    """Holds an event, as far as it matters for what is compared.

    Attributes:
        name: The system's name of it: ``push``, ``pull_request``, ``schedule`` …; empty if there is none.
        kind: The way in which base and head are found.
        sha: The commit that the system started the job for (``GITHUB_SHA``, ``CI_COMMIT_SHA``).
        ref: ``refs/heads/main``, ``refs/tags/v1``, ``refs/pull/12/merge``.
        branch: The branch that was pushed to, or that a manual or scheduled run is for. None for pull
            requests and merge queues: their content is no branch's state yet.
        before: The commit of the ref before a push; None if the push created it.
        after: The commit after the push; None if the push deleted the ref.
        base_ref: The branch that a pull request or merge group is to be merged into.
        base_sha: The id that the payload gives for it, which for a pull request may be an old one.
        head_sha: The last commit of a pull request, a merge group, or the run before a ``workflow_run``.
        merged: Whether a pull request was closed by merging it.
        merges: Whether ``sha`` is a merge commit that the system made of both sides of a pull request.
        from_fork: Whether the content comes from another repository, or may do so.
        privileged: Whether the job has this repository's secrets although the content may be a stranger's.
        given_base: Named by hand, instead of what the event says.
        given_head: Named by hand, instead of the commit that is checked out.
    """

    system: System
    name: str
    kind: Kind
    sha: str | None = None
    ref: str | None = None
    branch: str | None = None
    tag: str | None = None
    default_branch: str | None = None
    before: str | None = None
    after: str | None = None
    forced: bool = False
    deleted: bool = False
    number: int | None = None
    base_ref: str | None = None
    base_sha: str | None = None
    head_sha: str | None = None
    merged: bool = False
    merges: bool = False
    from_fork: bool = False
    privileged: bool = False
    repository: str | None = None
    head_repository: str | None = None
    given_base: str | None = None
    given_head: str | None = None


def read_event(environ: Mapping[str, str], *, base: str | None = None, head: str | None = None) -> CiEvent:
    """Returns the event, from the runner's variables and the payload that they name.

    Args:
        base: A revision to compare with, given by hand; empty counts as not given.
        head: A revision to look at instead of the one that is checked out; empty counts as not given.

    Raises:
        EventError: the payload is missing or unreadable, or says what it cannot say.
    """
    given = {"given_base": base or None, "given_head": head or None}
    if environ.get("GITHUB_ACTIONS") == "true" or environ.get("GITHUB_EVENT_NAME"):
        return _github(environ, given)
    if environ.get("GITLAB_CI"):
        return _gitlab(environ, given)
    return CiEvent("other", "", "unknown", given_base=base or None, given_head=head or None)


# GitHub


def _github(environ: Mapping[str, str], given: Mapping[str, str | None]) -> CiEvent:
    name = environ.get("GITHUB_EVENT_NAME", "")
    payload = _Payload.read(environ.get("GITHUB_EVENT_PATH", ""))
    ref = _ref(environ.get("GITHUB_REF", ""), "GITHUB_REF")
    fields: dict[str, Any] = {
        "sha": _id(environ.get("GITHUB_SHA", ""), "GITHUB_SHA"),
        "ref": ref,
        "branch": _below("refs/heads/", ref),
        "tag": _below("refs/tags/", ref),
        "default_branch": payload.name("repository", "default_branch"),
        "repository": environ.get("GITHUB_REPOSITORY") or None,
        **given,
    }
    kind, more = _github_kind(name)
    fields.update(more(payload))
    if kind == "manual" and fields["given_base"] is None:
        fields["given_base"] = payload.text("inputs", "base") or None
    if kind in ("push", "manual") and fields["tag"] is not None:
        kind = "tag"
    return CiEvent("github", name, kind, **fields)


def _github_kind(name: str) -> tuple[Kind, Callable[[_Payload], dict[str, Any]]]:
    if name in _PULL_REQUEST:
        return "pull-request", lambda payload: {
            **_github_pull_request(payload),
            "privileged": name == "pull_request_target",
            "merges": name != "pull_request_target",
        }
    if name in _MANUAL:
        return "manual", _nothing_more
    known: dict[str, tuple[Kind, Callable[[_Payload], dict[str, Any]]]] = {
        "push": ("push", _github_push),
        "create": ("push", _nothing_more),
        "delete": ("push", _github_delete),
        "merge_group": ("merge-group", _github_merge_group),
        "release": ("tag", _github_release),
        "workflow_run": ("workflow-run", _github_workflow_run),
    }
    return known.get(name, ("unknown", _nothing_more))


def _nothing_more(_: _Payload) -> dict[str, Any]:
    return {}


def _github_push(payload: _Payload) -> dict[str, Any]:
    ref = _ref(payload.required("ref"), "the payload's `ref`")
    deleted = payload.true("deleted")
    return {
        "ref": ref,
        # After a branch is deleted, GITHUB_REF names the default branch.
        "branch": _below("refs/heads/", ref),
        "tag": _below("refs/tags/", ref),
        "before": _id(payload.required("before"), "the payload's `before`"),
        "after": _id(payload.required("after"), "the payload's `after`"),
        "forced": payload.true("forced"),
        "deleted": deleted,
    }


def _github_delete(payload: _Payload) -> dict[str, Any]:
    folder = "tags" if payload.text("ref_type") == "tag" else "heads"
    ref = _ref(f"refs/{folder}/{payload.required('ref')}", "the payload's `ref`")
    # GITHUB_REF names the default branch.
    return {"ref": ref, "branch": None, "tag": None, "deleted": True}


def _github_pull_request(payload: _Payload) -> dict[str, Any]:
    base_repository = payload.text("pull_request", "base", "repo", "full_name")
    # The head's repository is null when the fork was deleted.
    head_repository = payload.text("pull_request", "head", "repo", "full_name")
    number = payload.at("pull_request", "number")
    return {
        "branch": None,
        "tag": None,
        "number": number if type(number) is int and number > 0 else None,
        "base_ref": _name(payload.required("pull_request", "base", "ref"), "the pull request's base"),
        "base_sha": _id(payload.required("pull_request", "base", "sha"), "the pull request's base"),
        "head_sha": _id(payload.required("pull_request", "head", "sha"), "the pull request's head"),
        "merged": payload.true("pull_request", "merged"),
        "from_fork": head_repository is None or head_repository != base_repository,
        "head_repository": head_repository,
    }


def _github_merge_group(payload: _Payload) -> dict[str, Any]:
    return {
        "branch": None,
        "base_ref": _below(
            "refs/heads/", _ref(payload.required("merge_group", "base_ref"), "the merge group")
        ),
        "base_sha": _id(payload.required("merge_group", "base_sha"), "the merge group's base"),
        "head_sha": _id(payload.required("merge_group", "head_sha"), "the merge group's head"),
    }


def _github_release(payload: _Payload) -> dict[str, Any]:
    return {"branch": None, "tag": _name(payload.required("release", "tag_name"), "the release's tag")}


def _github_workflow_run(payload: _Payload) -> dict[str, Any]:
    repository = payload.text("workflow_run", "repository", "full_name") or payload.text(
        "repository", "full_name"
    )
    head_repository = payload.text("workflow_run", "head_repository", "full_name")
    from_fork = head_repository is None or head_repository != repository
    branch = payload.text("workflow_run", "head_branch")
    ours = not from_fork and payload.text("workflow_run", "event") == "push" and branch
    return {
        "branch": _name(branch, "the workflow run's branch") if ours and branch else None,
        "head_sha": _id(payload.required("workflow_run", "head_sha"), "the workflow run's head"),
        "from_fork": from_fork,
        "head_repository": head_repository,
        "privileged": True,
    }


# GitLab


def _gitlab(environ: Mapping[str, str], given: Mapping[str, str | None]) -> CiEvent:
    name = environ.get("CI_PIPELINE_SOURCE", "")
    tag = _name(environ["CI_COMMIT_TAG"], "CI_COMMIT_TAG") if environ.get("CI_COMMIT_TAG") else None
    branch = (
        _name(environ["CI_COMMIT_BRANCH"], "CI_COMMIT_BRANCH") if environ.get("CI_COMMIT_BRANCH") else None
    )
    default = environ.get("CI_DEFAULT_BRANCH")
    fields: dict[str, Any] = {
        "sha": _id(environ.get("CI_COMMIT_SHA", ""), "CI_COMMIT_SHA"),
        "ref": f"refs/tags/{tag}" if tag else f"refs/heads/{branch}" if branch else None,
        "branch": branch,
        "tag": tag,
        "default_branch": _name(default, "CI_DEFAULT_BRANCH") if default else None,
        "repository": environ.get("CI_PROJECT_PATH") or None,
        **given,
    }
    kind: Kind = "unknown"
    # A child pipeline of a merge request has the variables of a merge request too.
    if environ.get("CI_MERGE_REQUEST_IID"):
        fields.update(_gitlab_merge_request(environ))
        train = environ.get("CI_MERGE_REQUEST_EVENT_TYPE") == "merge_train"
        kind = "merge-group" if train else "pull-request"
    elif environ.get("CI_EXTERNAL_PULL_REQUEST_IID"):
        kind = "pull-request"
        fields.update(_gitlab_external_pull_request(environ))
    elif tag:
        kind = "tag"
    elif name in _GITLAB_PUSH:
        kind = "push"
        before = environ.get("CI_COMMIT_BEFORE_SHA", "")
        fields.update(before=_id(before, "CI_COMMIT_BEFORE_SHA"), after=fields["sha"])
    elif name in _GITLAB_MANUAL:
        kind = "manual"
    return CiEvent("gitlab", name, kind, **fields)


def _gitlab_merge_request(environ: Mapping[str, str]) -> dict[str, Any]:
    number = environ["CI_MERGE_REQUEST_IID"]
    which = {"merged_result": "merge", "merge_train": "train"}
    ref = which.get(environ.get("CI_MERGE_REQUEST_EVENT_TYPE", ""), "head")
    merges = ref != "head"
    source = environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or ("" if merges else environ["CI_COMMIT_SHA"])
    base = environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_SHA" if merges else "CI_MERGE_REQUEST_DIFF_BASE_SHA")
    head_repository = environ.get("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH") or None
    target = environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "")
    return {
        "ref": f"refs/merge-requests/{number}/{ref}" if number.isdecimal() else None,
        "branch": None,
        "number": int(number) if number.isdecimal() else None,
        "base_ref": _name(target, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
        "base_sha": _id(base, "the merge request's base") if base else None,
        "head_sha": _id(source, "the merge request's source") if source else None,
        "merges": merges,
        "from_fork": head_repository is None
        or head_repository != environ.get("CI_MERGE_REQUEST_PROJECT_PATH"),
        "head_repository": head_repository,
    }


def _gitlab_external_pull_request(environ: Mapping[str, str]) -> dict[str, Any]:
    """Returns the fields of a GitHub pull request, whose own last commit is checked out."""
    about = "CI_EXTERNAL_PULL_REQUEST_"
    target, base = (environ.get(f"{about}TARGET_BRANCH_{what}", "") for what in ("NAME", "SHA"))
    source, into = (environ.get(f"{about}{side}_REPOSITORY") for side in ("SOURCE", "TARGET"))
    number = environ[f"{about}IID"]
    return {
        "branch": None,
        "number": int(number) if number.isdecimal() else None,
        "base_ref": _name(target, f"{about}TARGET_BRANCH_NAME"),
        "base_sha": _id(base, f"{about}TARGET_BRANCH_SHA") if base else None,
        "head_sha": _id(environ["CI_COMMIT_SHA"], "CI_COMMIT_SHA"),
        "from_fork": source is None or source != into,
        "head_repository": source,
    }


# What may be believed


class _Payload:
    """Reads single fields of a webhook's JSON, and believes no other."""

    def __init__(self, document: Mapping[str, Any], path: str) -> None:
        self._document = document
        self._path = path

    @classmethod
    def read(cls, path: str) -> _Payload:
        if not path:
            raise EventError(
                "GITHUB_EVENT_PATH is not set, so it cannot be told what changed",
                "run this in a step of a GitHub workflow, and pass the variable on to a container",
            )
        try:
            document = load_json(read_bytes(Path(path)))
        except OSError as error:
            raise EventError(
                f"the event's payload cannot be read: {path}: {error.strerror}",
                "GITHUB_EVENT_PATH names it; in a container the folder has to be mounted",
            ) from error
        except ValueError as error:
            raise EventError(f"the event's payload {path} is not JSON: {error}", _ANEW) from error
        if not isinstance(document, dict):
            raise EventError(f"the event's payload {path} is no JSON object", _ANEW)
        return cls(document, path)

    def at(self, *keys: str) -> Any:
        value: Any = self._document
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def true(self, *keys: str) -> bool:
        return self.at(*keys) is True

    def text(self, *keys: str) -> str | None:
        value = self.at(*keys)
        return value if isinstance(value, str) else None

    def required(self, *keys: str) -> str:
        value = self.text(*keys)
        if value is None:
            raise EventError(f"the event's payload {self._path} has no text at `{'.'.join(keys)}`", _ANEW)
        return value

    def name(self, *keys: str) -> str | None:
        value = self.text(*keys)
        return None if value is None else _name(value, f"the payload's `{'.'.join(keys)}`")


_ANEW = "run the workflow again; if it stays, give the base by hand: raw-trigger ci --base REVISION"


def _id(text: str, what: str) -> str | None:
    """Returns the id; None if it is all zeros, which stands for no commit."""
    if not _ID.fullmatch(text):
        raise EventError(f"{what} is no id of a commit: {text[:80]!a}", _ANEW)
    return text if text.strip("0") else None


def _name(text: str, what: str) -> str:
    if not text or len(text) > 1000 or _NO_NAME.search(text) or text.startswith("-"):  # noqa: PLR2004
        raise EventError(f"{what} is no name that git allows: {text[:80]!a}", _ANEW)
    return text


def _ref(text: str, what: str) -> str | None:
    if not text:
        return None
    if not text.startswith("refs/"):
        raise EventError(f"{what} is no ref: {text[:80]!a}", _ANEW)
    return _name(text, what)


def _below(prefix: str, ref: str | None) -> str | None:
    return ref.removeprefix(prefix) if ref is not None and ref.startswith(prefix) else None
