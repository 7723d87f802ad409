"""What each CI event compares, with whole and with cut-off histories: missed, forbidden and extra files.

Every row is a real repository with an origin of its own, cloned as the runners clone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from raw_trigger.ci.event import CiEvent, read_event
from raw_trigger.ci.sides import event_base, event_head, event_origin
from raw_trigger.errors import EventError, GitError, UsageError
from raw_trigger.model.changes import Base, Desired
from raw_trigger.model.settings import MergeGroup
from raw_trigger.repo import diff
from raw_trigger.repo.fetching import Origin
from raw_trigger.repo.repository import Repository
from raw_trigger.revisions import from_arguments
from tests.ci.world import GONE, ROOT, World, of_clone, payload
from tests.conftest import Repo

LINE = "A: a=1 b=1 | B<A: a=2 | C<B: c=1 | D<C: b=2"
PULL = "A: a=1 | B<A: b=1 | P<A: p=1 | M<B,P: p=1"
UPDATED = "A: a=1 | B<A: b=1 | P<A: p=1 | Q<P,B: b=1 | C<B: c=1 | M<C,Q: p=1"
LONG = "A: a=1 b=1 | " + " | ".join(f"{n}<{'A' if n == 1 else n - 1}: a={n}" for n in range(1, 121))
LONG_SIDES = (
    LONG
    + " | P<1: p=1 | "
    + " | ".join(f"p{n}<{'P' if n == 1 else f'p{n - 1}'}: q={n}" for n in range(1, 71))
)


@dataclass(frozen=True)
class Row:
    """One event.

    Attributes:
        at: What is checked out: the ref below ``refs/`` and the commit.
        expected: Every file that has to be found: ``+added ~modified -deleted``; None: nothing to do.
        forbidden: Files that the usual mistake for this event adds.
        reason: What the reason has to say.
        branch: The branch whose state it is.
        warning: What a warning has to say; none may be there otherwise.
    """

    name: str
    history: str
    refs: Mapping[str, str]
    at: tuple[str, str]
    expected: str | None
    forbidden: str = ""
    reason: str = ""
    warning: str | None = None
    event: str = "push"
    payload: Mapping[str, Any] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    gitlab: bool = False
    base: str | None = None
    head: str | None = None
    depths: tuple[int, ...] = (1, 0)
    object_format: str = "sha1"
    old_server: bool = False
    branch: str | None = None
    queue: MergeGroup = "previous"


def push(name: str, history: str, before: str, after: str, expected: str | None, **more: Any) -> Row:
    """A push to ``branch``; ``main`` is at ``main`` (default: what was pushed)."""
    branch, main = more.get("branch", "main"), more.pop("main", after)
    more.setdefault("branch", branch)
    ref = f"refs/heads/{branch}"
    fields = {"created": before == "ZEROS", "forced": more.pop("forced", False)}
    document = payload("push_branch_created", ref=ref, before=f"{{{before}}}", after=f"{{{after}}}", **fields)
    refs = {f"heads/{branch}": after, **({"heads/main": main} if main else {}), **more.pop("refs", {})}
    variables = {"GITHUB_REF": ref, "GITHUB_SHA": f"{{{after}}}"}
    at = more.pop("at", (f"heads/{branch}", after))
    return Row(name, history, refs, at, expected, payload=document, variables=variables, **more)


def pull(name: str, history: str, main: str, tip: str, expected: str, **more: Any) -> Row:
    """A pull request whose merge is M and whose payload names A as the base, however far that moved on."""
    fields = {
        "pull_request__number": 12,
        "pull_request__base__ref": "main",
        "pull_request__base__sha": "{A}",
        "pull_request__head__sha": f"{{{tip}}}",
        **more.pop("fields", {}),
    }
    refs = {"heads/main": main, "pull/12/head": tip, "pull/12/merge": "M", **more.pop("refs", {})}
    variables = {"GITHUB_REF": "refs/pull/12/merge", "GITHUB_SHA": "{M}", **more.pop("variables", {})}
    given: dict[str, Any] = {
        "event": "pull_request",
        "at": ("pull/12/merge", "M"),
        "depths": (1, 2, 0),
        **more,
    }
    document = payload("pull_request_synchronize", **fields)
    return Row(name, history, refs, expected=expected, payload=document, variables=variables, **given)


def at_branch(name: str, event: str, history: str, tip: str, expected: str, **more: Any) -> Row:
    """A run by hand or by the clock, of main."""
    variables = {"GITHUB_REF": "refs/heads/main", "GITHUB_SHA": f"{{{tip}}}"}
    given: dict[str, Any] = {
        "payload": payload("workflow_dispatch"),
        "refs": {"heads/main": tip},
        "branch": "main",
        "at": ("heads/main", tip),
        **more,
    }
    return Row(name, history, expected=expected, event=event, variables=variables, **given)


def tag(name: str, history: str, tip: str, tags: Mapping[str, str], expected: str, **more: Any) -> Row:
    """v2 is pushed on ``tip``."""
    refs = {"heads/main": tip, "tags/v2": tip, **{f"tags/{t}": c for t, c in tags.items()}}
    variables = {"GITHUB_REF": "refs/tags/v2", "GITHUB_SHA": f"{{{tip}}}"}
    document = payload("push_tag_created", ref="refs/tags/v2", after=f"{{{tip}}}")
    given: dict[str, Any] = {"payload": document, **more}
    return Row(name, history, refs, ("tags/v2", tip), expected, variables=variables, **given)


def gitlab(
    name: str, source: str, history: str, refs: Mapping[str, str], at: tuple[str, str], **more: Any
) -> Row:
    """A GitLab pipeline. ``variables`` are its ``CI_…``, without the prefix."""
    own = {f"CI_{key}": value for key, value in more.pop("variables").items()}
    common = {
        "GITLAB_CI": "true",
        "CI_PIPELINE_SOURCE": source,
        "CI_COMMIT_SHA": f"{{{at[1]}}}",
        "CI_COMMIT_BEFORE_SHA": "{ZEROS}",
        "CI_DEFAULT_BRANCH": "main",
        "CI_PROJECT_PATH": "group/project",
    }
    more.setdefault("branch", own.get("CI_COMMIT_BRANCH"))
    return Row(f"gitlab {name}", history, refs, at, gitlab=True, variables={**common, **own}, **more)


def merge_request(name: str, history: str, at: tuple[str, str], kind: str, expected: str, **more: Any) -> Row:
    own = {
        "MERGE_REQUEST_IID": "12",
        "MERGE_REQUEST_EVENT_TYPE": kind,
        "MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "MERGE_REQUEST_PROJECT_PATH": "group/project",
        "MERGE_REQUEST_SOURCE_PROJECT_PATH": "group/project",
        **more.pop("variables"),
    }
    given = {"heads/main": "B", "merge-requests/12/head": "P", "merge-requests/12/merge": "M"}
    refs = more.pop("refs", given)
    return gitlab(name, "merge_request_event", history, refs, at, variables=own, expected=expected, **more)


MERGE_GROUP = Row(
    "merge group",
    PULL,
    {"heads/main": "A", "heads/gh-readonly-queue/main/pr-104": "M"},
    ("heads/gh-readonly-queue/main/pr-104", "M"),
    "+p",
    forbidden="a b",
    event="merge_group",
    payload=payload(
        "merge_group",
        merge_group__base_ref="refs/heads/main",
        merge_group__base_sha="{B}",
        merge_group__head_sha="{M}",
    ),
    variables={"GITHUB_REF": "refs/heads/gh-readonly-queue/main/pr-104", "GITHUB_SHA": "{M}"},
    reason="the entry before in the merge queue of main",
)

ROWS = [
    push("push of two commits", LINE, "B", "D", "+c ~b", forbidden="a", reason="what main held before"),
    push("push of a merge", PULL, "B", "M", "+p", forbidden="b"),
    push(
        "push of an octopus",
        "A: a=1 | P<A: p=1 | Q<A: q=1 | O<A,P,Q: p=1 q=1",
        "A",
        "O",
        "+p +q",
        forbidden="a",
    ),
    push("push that takes itself back", "A: a=1 | B<A: a=2 | C<B: a=1", "A", "C", "", forbidden="a"),
    push("push of many commits", LONG + " | Z<120: z=1", "A", "Z", "~a +z", forbidden="b"),
    push("push in a SHA-256 repository", LINE, "B", "D", "+c ~b", object_format="sha256"),
    push("push, nothing by id", LINE, "B", "D", "+c ~b", old_server=True),
    push("push of many commits, nothing by id", LONG, "A", "120", "~a", forbidden="b", old_server=True),
    push(
        "first push of a branch",
        "A: a=1 | B<A: b=1 | S<A: s=1 | T<S: a=2",
        "ZEROS",
        "T",
        "+s ~a",
        branch="topic",
        main="B",
        forbidden="b",
        reason="this is the first push of topic, so what it has since it left main counts",
    ),
    push(
        "first push of a branch that main was merged into",
        "A: a=1 | B<A: b=1 | S<A: s=1 | T<S,B: b=1 | U<T: u=1",
        "ZEROS",
        "U",
        "+s +u",
        branch="topic",
        main="B",
        forbidden="a b",
    ),
    push(
        "first push of a long branch from long ago",
        LONG_SIDES,
        "ZEROS",
        "p70",
        "+p +q",
        branch="topic",
        main="120",
        forbidden="a b",
    ),
    push(
        "first push of a long branch, nothing by id",
        LONG_SIDES,
        "ZEROS",
        "p70",
        "+p +q",
        branch="topic",
        main="120",
        forbidden="a b",
        old_server=True,
    ),
    push(
        "first push of a branch, run again after its merge",
        PULL + " | N<M: b=2",
        "ZEROS",
        "P",
        "+p",
        branch="topic",
        main="N",
        forbidden="a b",
    ),
    push("first push of a branch that is main", LINE, "ZEROS", "D", "", branch="topic", forbidden="a b c"),
    push(
        "first push of a branch of another history",
        "A: a=1 | X: x=1 | Y<X: y=1",
        "ZEROS",
        "Y",
        "+x +y",
        branch="topic",
        main="A",
        forbidden="a",
        reason="no history in common with main: all files",
    ),
    push(
        "first push of a branch, and there is no main",
        LINE,
        "ZEROS",
        "D",
        "+a +b +c",
        branch="topic",
        main=None,
        reason="origin has no branch main: all files",
    ),
    push(
        "first push of main", LINE, "ZEROS", "D", "+a +b +c", reason="main is the default branch: all files"
    ),
    push("first push of main, a lone root commit", "A: a=1", "ZEROS", "A", "+a", reason="all files"),
    push(
        "forced push of main",
        "A: a=1 | O<A: o=1 | N<A: n=1",
        "O",
        "N",
        "-o +n",
        forced=True,
        forbidden="a",
        reason="which was forced",
    ),
    push("forced push back to an older commit", LINE, "C", "A", "~a -c", forced=True, forbidden="b"),
    push(
        "forced push of main, the old tip is gone",
        LINE,
        "GONE",
        "D",
        "+a +b +c",
        forced=True,
        reason="held before this push, and main is the default branch: all files",
    ),
    push(
        "forced push of main, nothing by id",
        "A: a=1 | O<A: o=1 | N<A: n=1",
        "O",
        "N",
        "+a +n",
        forced=True,
        old_server=True,
        reason="held before this push, and main is the default branch: all files",
    ),
    push(
        "forced push of a branch, the old tip is gone",
        "A: a=1 | B<A: b=1 | N<A: n=1 | O<N: o=1",
        "GONE",
        "O",
        "+n +o",
        forced=True,
        branch="topic",
        main="B",
        forbidden="a b",
        reason="held before this push, so what it has since it left main counts",
    ),
    Row(
        "branch deleted",
        LINE,
        {"heads/main": "D"},
        ("heads/main", "D"),
        None,
        payload=payload("push_tag_deleted", ref="refs/heads/topic", before="{C}"),
        variables={"GITHUB_REF": "refs/heads/main", "GITHUB_SHA": "{D}"},
        reason="topic was deleted: there is nothing to do",
    ),
    Row(
        "tag deleted",
        LINE,
        {"heads/main": "D"},
        ("heads/main", "D"),
        None,
        payload=payload("push_tag_deleted"),
        variables={"GITHUB_REF": "refs/heads/main", "GITHUB_SHA": "{D}"},
        reason="simple-tag was deleted: there is nothing to do",
    ),
    push(
        "push, and main has moved on and is checked out",
        LINE,
        "A",
        "B",
        "~a ~b +c",
        at=("heads/main", "D"),
        refs={"heads/main": "D"},
    ),
    push(
        "push, and neither it nor the last commit of main is checked out",
        LINE,
        "A",
        "B",
        "~a +c",
        at=("heads/other", "C"),
        refs={"heads/main": "D", "heads/other": "C"},
        main="D",
        warning="is checked out, not",
        branch=None,
    ),
    pull(
        "pull request",
        PULL,
        "B",
        "P",
        "+p",
        forbidden="b",
        reason="main, which the pull request is merged into",
    ),
    pull("pull request, nothing by id", PULL, "B", "P", "+p", forbidden="b", old_server=True),
    pull("pull request that main was merged into", UPDATED, "C", "Q", "+p", forbidden="a b c"),
    pull(
        "pull request, main has moved on since",
        PULL + " | N<B: b=2 n=1",
        "N",
        "P",
        "+p",
        forbidden="b n",
    ),
    pull(
        "pull request, its head checked out",
        PULL,
        "B",
        "P",
        "+p",
        at=("pull/12/head", "P"),
        forbidden="b",
        reason="the pull request's own last commit is checked out",
    ),
    pull(
        "pull request, its head checked out again after its merge",
        UPDATED + " | N<M: n=1",
        "N",
        "Q",
        "+p",
        at=("pull/12/head", "Q"),
        forbidden="a b c n",
    ),
    pull(
        "pull request, its head checked out again after main was moved on to it",
        PULL + " | Q<P: q=1",
        "P",
        "P",
        "+p",
        at=("pull/12/head", "P"),
        forbidden="a b",
    ),
    pull(
        "pull request that main was merged into, its head checked out",
        UPDATED,
        "C",
        "Q",
        "+p",
        at=("pull/12/head", "Q"),
        forbidden="a b c",
    ),
    pull(
        "pull request, something else checked out",
        PULL + " | X<P: x=1",
        "B",
        "P",
        "+p +x",
        at=("heads/other", "X"),
        refs={"heads/other": "X"},
        forbidden="b",
        reason="neither the pull request's merge nor its last commit",
        warning="is checked out, not",
    ),
    pull(
        "pull request, merged",
        PULL,
        "M",
        "P",
        "+p",
        fields={"action": "closed", "pull_request__merged": True},
        variables={"GITHUB_REF": "refs/heads/main"},
        at=("heads/main", "M"),
        forbidden="b",
    ),
    pull(
        "pull request, squashed",
        "A: a=1 | P<A: p=1 | Q<P: q=1 | M<A: p=1 q=1",
        "M",
        "Q",
        "+p +q",
        fields={"action": "closed", "pull_request__merged": True},
        variables={"GITHUB_REF": "refs/heads/main"},
        at=("heads/main", "M"),
        forbidden="a",
        reason="main when the pull request was last updated",
    ),
    *(
        pull(
            f"pull_request_target that checks the pull request out{of}",
            PULL,
            "B",
            "P",
            "+p",
            event="pull_request_target",
            variables={"GITHUB_REF": "refs/heads/main", "GITHUB_SHA": "{B}"},
            at=("pull/12/head", "P"),
            fields=fields,
            forbidden="b",
            warning=warning,
            depths=(1,),
        )
        for of, fields, warning in (
            (" of a fork", {"pull_request__head__repo": None}, "may be a stranger's code"),
            ("", {}, None),
        )
    ),
    pull(
        "pull_request_target that only looks",
        PULL,
        "B",
        "P",
        "+p",
        event="pull_request_target",
        variables={"GITHUB_REF": "refs/heads/main", "GITHUB_SHA": "{B}"},
        at=("heads/main", "B"),
        head="{P}",
        forbidden="b",
    ),
    pull("review of a pull request", PULL, "B", "P", "+p", event="pull_request_review", forbidden="b"),
    MERGE_GROUP,
    replace(
        MERGE_GROUP,
        name="merge group, against main",
        expected="+b +p",
        forbidden="a",
        queue="target",
        reason="an entry of the merge queue of main, so what it has since it left main counts",
    ),
    at_branch(
        "dispatch",
        "workflow_dispatch",
        LINE,
        "D",
        "+a +b +c",
        reason="a run by workflow_dispatch has no range of its own, and main is the default branch: all files",
    ),
    at_branch("dispatch of a merge", "workflow_dispatch", PULL, "M", "+a +b +p", reason="all files"),
    at_branch("dispatch of a root commit", "workflow_dispatch", "A: a=1", "A", "+a", reason="all files"),
    *(
        Row(
            f"{event} on a branch{what}",
            UPDATED,
            {"heads/main": main, "heads/topic": "Q"},
            at,
            "+p",
            forbidden="a b c",
            event=event,
            payload=payload("workflow_dispatch"),
            variables={"GITHUB_REF": f"refs/heads/{of}", "GITHUB_SHA": f"{{{sha}}}"},
            reason=f"a run by {event} has no range of its own, so what it has since it left main counts",
            **more,
        )
        for event, what, main, at, of, sha, more in (
            ("workflow_dispatch", "", "C", ("heads/topic", "Q"), "topic", "Q", {"branch": "topic"}),
            (
                "workflow_dispatch",
                " after its merge",
                "M",
                ("heads/topic", "Q"),
                "topic",
                "Q",
                {"branch": "topic"},
            ),
            (
                "repository_dispatch",
                " that it checks out",
                "C",
                ("heads/topic", "Q"),
                "main",
                "C",
                {"warning": "is checked out, not"},
            ),
            (
                "schedule",
                " that it checks out",
                "C",
                ("heads/topic", "Q"),
                "main",
                "C",
                {"warning": "is checked out, not"},
            ),
        )
    ),
    at_branch(
        "dispatch that checks out an old commit of main",
        "workflow_dispatch",
        LINE,
        "D",
        "+a +b +c",
        at=("heads/old", "C"),
        refs={"heads/main": "D", "heads/old": "C"},
        reason="it is on main already: all files",
        warning="nor the last commit of main",
        branch=None,
    ),
    at_branch(
        "dispatch with a base",
        "workflow_dispatch",
        LINE,
        "D",
        "+c ~b",
        forbidden="a",
        payload=payload("workflow_dispatch", inputs={"base": "{B}"}),
        reason="the base that was given",
    ),
    at_branch("schedule", "schedule", LINE, "D", "+a +b +c", reason="a run by schedule"),
    at_branch("repository_dispatch", "repository_dispatch", LINE, "D", "+a +b +c", reason="all files"),
    at_branch("base given as an id", "issue_comment", LINE, "D", "+c ~b", base="{B}", forbidden="a"),
    at_branch(
        "base given as a branch",
        "push",
        LINE,
        "D",
        "+c ~b",
        base="old",
        refs={"heads/main": "D", "heads/old": "B"},
        payload=payload("push_branch_created", ref="refs/heads/main"),
    ),
    at_branch(
        "base given as a tag",
        "schedule",
        LINE,
        "D",
        "+c ~b",
        base="old",
        refs={"heads/main": "D", "tags/old^": "B"},
    ),
    at_branch(
        "base and head given",
        "schedule",
        LINE,
        "D",
        "~a +c",
        base="{A}",
        head="{C}",
        forbidden="b",
        branch=None,
    ),
    *(
        Row(
            f"base given as {base}",
            UPDATED + " | D<C: c=2",
            {"heads/main": "D", "heads/topic": "Q", "tags/v1": "D", "tags/v2^": "D"},
            ("heads/topic", "Q"),
            "+p",
            forbidden="a b c",
            base=base,
            event="workflow_dispatch",
            payload=payload("workflow_dispatch"),
            variables={"GITHUB_REF": "refs/heads/topic", "GITHUB_SHA": "{Q}"},
            reason="the base that was given is",
            branch="topic",
            depths=(1,),
        )
        for base in (
            "main",
            "origin/main",
            "heads/main",
            "refs/heads/main",
            "refs/remotes/origin/main",
            "remotes/origin/main",
            "refs/tags/v1",
            "tags/v1",
            "v1",
            "v2",
            "refs/tags/v2",
            "v2^{commit}",
            "{D}",
            "{D:9}",
            "{C:9}",
            "main~1",
            "origin/main^",
            "v2^0",
        )
    ),
    *(
        at_branch(
            f"base given as {base}", "schedule", LINE, "D", "+c ~b", base=base, forbidden="a", depths=(1,)
        )
        for base in ("HEAD~2", "HEAD^^", "@~2", "main~2", "{B}", "{B:7}", "{C}^")
    ),
    at_branch("base given as the second parent", "schedule", PULL, "M", "+b", base="HEAD^2", forbidden="a p"),
    at_branch(
        "base given that is of another history",
        "schedule",
        "A: a=1 | X: x=1 | Y<X: y=1",
        "Y",
        "-a +x +y",
        base="other",
        refs={"heads/main": "Y", "heads/other": "A"},
    ),
    tag(
        "tag", LINE, "D", {"v1": "B"}, "+c ~b", forbidden="a", reason="the previous tag on the history of v2"
    ),
    tag("tag after an annotated one", LINE, "D", {"v1^": "B"}, "+c ~b", forbidden="a"),
    tag("tag, nothing by id", LINE, "D", {"v1": "B"}, "+c ~b", forbidden="a", old_server=True),
    tag("tag with another on the same commit", LINE, "D", {"latest": "D", "v1": "C"}, "~b", forbidden="a c"),
    tag("tag after two", LINE, "D", {"v0": "A", "v1": "C"}, "~b", forbidden="a c"),
    tag("tag after a long time", LONG, "120", {"v1": "1"}, "~a", forbidden="b"),
    tag(
        "tag, an older one on another branch",
        PULL + " | X<A: x=1",
        "M",
        {"v1": "A", "x1": "X"},
        "+b +p",
        forbidden="x a",
    ),
    tag("tag, the previous one on a merged branch", PULL, "M", {"v1": "P"}, "+b", forbidden="a"),
    tag("first tag", LINE, "D", {}, "+a +b +c", reason="v2 is the first tag on its history: all files"),
    tag("first tag of its history", LINE + " | X: x=1", "D", {"x1": "X"}, "+a +b +c", reason="all files"),
    tag(
        "release",
        LINE,
        "D",
        {"v1^": "B"},
        "+c ~b",
        event="release",
        forbidden="a",
        payload=payload("release_published", release__tag_name="v2"),
    ),
    at_branch(
        "workflow_run",
        "workflow_run",
        LINE,
        "D",
        "+a +b +c",
        payload=payload("workflow_run", workflow_run__head_sha="{D}"),
        reason="main is the default branch: all files",
    ),
    *(
        Row(
            f"workflow_run that checks the run's commit out{of}",
            PULL,
            {"heads/main": "B", "heads/topic": "P"},
            ("heads/topic", "P"),
            "+p",
            forbidden="a b",
            event="workflow_run",
            payload=payload("workflow_run", workflow_run__head_sha="{P}", **fields),
            variables={"GITHUB_REF": "refs/heads/main", "GITHUB_SHA": "{B}"},
            reason="so what it has since it left main counts",
            branch=branch,
            warning=warning,
        )
        for of, fields, branch, warning in (
            (
                " of a fork",
                {"workflow_run__event": "pull_request", "workflow_run__head_repository": None},
                None,
                "may be a stranger's code",
            ),
            (" of one's own", {"workflow_run__event": "pull_request"}, None, None),
            (
                " of a push",
                {"workflow_run__event": "push", "workflow_run__head_branch": "topic"},
                "topic",
                None,
            ),
        )
    ),
    Row(
        "workflow_run that checks out a push to main, which has moved on since",
        LINE,
        {"heads/main": "D"},
        ("heads/main", "C"),
        "+a +b +c",
        event="workflow_run",
        payload=payload(
            "workflow_run",
            workflow_run__head_sha="{C}",
            workflow_run__event="push",
            workflow_run__head_branch="main",
        ),
        variables={"GITHUB_REF": "refs/heads/main", "GITHUB_SHA": "{D}"},
        reason="main is the default branch: all files",
        branch="main",
    ),
    Row(
        "workflow_run that checks out a commit of which nothing can be told",
        LINE,
        {"heads/main": "D"},
        ("heads/topic", "C"),
        "+a +b +c",
        event="workflow_run",
        payload=payload("workflow_run", workflow_run__head_sha="{C}", workflow_run__event="pull_request"),
        variables={"GITHUB_REF": "refs/heads/main", "GITHUB_SHA": "{D}"},
        reason="it is on main already: all files",
        depths=(1,),
    ),
    gitlab(
        "push",
        "push",
        LINE,
        {"heads/main": "D"},
        ("heads/main", "D"),
        variables={"COMMIT_BEFORE_SHA": "{B}", "COMMIT_BRANCH": "main"},
        expected="+c ~b",
        forbidden="a",
    ),
    gitlab(
        "first push of a branch",
        "push",
        PULL + " | Q<P: q=1",
        {"heads/main": "B", "heads/topic": "Q"},
        ("heads/topic", "Q"),
        variables={"COMMIT_BRANCH": "topic"},
        expected="+p +q",
        forbidden="a b",
    ),
    gitlab(
        "forced push, the old tip is gone",
        "push",
        PULL,
        {"heads/main": "B", "heads/topic": "P"},
        ("heads/topic", "P"),
        variables={"COMMIT_BRANCH": "topic", "COMMIT_BEFORE_SHA": "{GONE}"},
        expected="+p",
        forbidden="a b",
        reason="origin does not give deaddead",
    ),
    gitlab(
        "schedule",
        "schedule",
        LINE,
        {"heads/main": "D"},
        ("heads/main", "D"),
        variables={"COMMIT_BRANCH": "main"},
        expected="+a +b +c",
        reason="main is the default branch: all files",
    ),
    *(
        gitlab(
            f"{source} on a branch",
            source,
            UPDATED,
            {"heads/main": "C", "heads/topic": "Q"},
            ("heads/topic", "Q"),
            variables={"COMMIT_BRANCH": "topic"},
            expected="+p",
            forbidden="a b c",
            reason="so what it has since it left main counts",
            depths=(1,),
        )
        for source in ("web", "api", "trigger", "pipeline", "schedule", "parent_pipeline", "external")
    ),
    gitlab(
        "tag",
        "push",
        LINE,
        {"heads/main": "D", "tags/v1^": "B", "tags/v2^": "D"},
        ("tags/v2", "D"),
        variables={"COMMIT_TAG": "v2"},
        expected="+c ~b",
        forbidden="a",
    ),
    gitlab(
        "pull request of another system's",
        "external_pull_request_event",
        UPDATED,
        {"heads/main": "C", "heads/topic": "Q"},
        ("heads/topic", "Q"),
        variables={
            "COMMIT_BRANCH": "topic",
            "EXTERNAL_PULL_REQUEST_IID": "12",
            "EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME": "main",
            "EXTERNAL_PULL_REQUEST_TARGET_BRANCH_SHA": "{A}",
            "EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY": "group/project",
            "EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY": "group/project",
        },
        expected="+p",
        forbidden="a b c",
        branch=None,
        reason="the pull request's own last commit is checked out",
        depths=(1,),
    ),
    merge_request(
        "merge request",
        PULL,
        ("merge-requests/12/head", "P"),
        "detached",
        "+p",
        variables={"MERGE_REQUEST_DIFF_BASE_SHA": "{A}"},
        forbidden="b",
    ),
    merge_request(
        "merged results",
        PULL,
        ("merge-requests/12/merge", "M"),
        "merged_result",
        "+p",
        variables={
            "MERGE_REQUEST_DIFF_BASE_SHA": "{A}",
            "MERGE_REQUEST_TARGET_BRANCH_SHA": "{B}",
            "MERGE_REQUEST_SOURCE_BRANCH_SHA": "{P}",
        },
        forbidden="b",
    ),
    *(
        merge_request(
            f"merge train, {queue}",
            PULL,
            ("merge-requests/12/train", "M"),
            "merge_train",
            expected,
            variables={"MERGE_REQUEST_TARGET_BRANCH_SHA": "{A}", "MERGE_REQUEST_SOURCE_BRANCH_SHA": "{P}"},
            refs={"heads/main": "A", "merge-requests/12/train": "M"},
            forbidden="a",
            queue=queue,
        )
        for queue, expected in (("previous", "+p"), ("target", "+b +p"))
    ),
    Row(
        "by hand, anywhere",
        LINE,
        {"heads/main": "D"},
        ("heads/main", "D"),
        "~a",
        base="{A}",
        head="{B}",
        event="",
        gitlab=True,
        forbidden="b c",
    ),
]


@dataclass(frozen=True)
class Sides:
    """What an event compares where nothing is recorded; ``base`` is None where there is nothing to do."""

    base: Base | None
    desired: Desired
    reason: str
    branch: str | None
    checked_out: bool
    warnings: tuple[str, ...]


def event_sides(repo: Repository, event: CiEvent, queue: MergeGroup = "previous") -> Sides:
    origin = event_origin(repo, event)
    head = event_head(origin, event)
    if head.gone is not None:
        return Sides(None, head.desired, head.gone, head.branch, head.checked_out, head.warnings)
    base, more = event_base(origin, event, head, queue=queue)
    return Sides(base, head.desired, base.reason, head.branch, head.checked_out, (*head.warnings, *more))


def prepared(row: Row, folder: Path, depth: int) -> tuple[World, Repo, dict[str, str]]:
    world = World(folder, row.history, row.refs, row.object_format)
    clone = world.clone(*row.at, depth)
    if row.old_server:
        # The first protocol's servers give only what a ref names.
        clone.git("config", "protocol.version", "0")
    if row.gitlab:
        environ = {**os.environ, **world.filled(row.variables)}
    else:
        environ = world.environ(row.event, row.payload, **row.variables)
    return world, clone, environ


def found_files(repo: Repository, sides: Sides) -> set[str]:
    """What differs, as ``+added ~modified -deleted``."""
    assert sides.base is not None
    assert sides.desired.oid is not None
    changes = diff.between_trees(repo, sides.base.oid or repo.empty_tree, sides.desired.oid, (ROOT,))
    letters = {"added": "+", "modified": "~", "deleted": "-"}
    return {letters[c.status] + c.path.decode().removeprefix(f"{ROOT}/") for c in changes}


@pytest.mark.parametrize(
    ("row", "depth"),
    [pytest.param(row, depth, id=f"{row.name}-{depth or 'full'}") for row in ROWS for depth in row.depths],
)
def test_every_event_finds_its_files(row: Row, depth: int, tmp_path: Path) -> None:
    """Missed: not found. Forbidden: what the usual mistake adds. Extra: anything else. The clone stays as it was."""
    world, clone, environ = prepared(row, tmp_path, depth)
    before = of_clone(clone)
    event = read_event(environ, base=world.filled(row.base), head=world.filled(row.head))
    repo = clone.open()
    sides = event_sides(repo, event, row.queue)
    assert row.reason in sides.reason
    assert sides.branch == row.branch
    assert [w for w in sides.warnings if row.warning is None or row.warning not in w] == []
    assert bool(sides.warnings) is (row.warning is not None)
    assert sides.checked_out is (row.head is None)
    if row.expected is None:
        assert sides.base is None
    else:
        found, expected = found_files(repo, sides), set(row.expected.split())
        forbidden = {word for word in found if word[1:] in row.forbidden.split()}
        verdict = {"missed": expected - found, "forbidden": forbidden, "extra": found - expected - forbidden}
        assert verdict == {"missed": set(), "forbidden": set(), "extra": set()}, sides.reason
    assert of_clone(clone) == before


def read(world: World, event: str, document: Mapping[str, Any] | None, **variables: str) -> Any:
    given = {"GITHUB_REF": "refs/heads/main", "GITHUB_SHA": "a" * 40, **variables}
    return read_event(world.environ(event, document, **given))


@pytest.fixture
def line(tmp_path: Path) -> World:
    return World(tmp_path, LINE, {"heads/main": "D"})


PUSHED = {"ref": "refs/heads/main", "before": "b" * 40, "after": "a" * 40}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "is no JSON object"),
        ("null", "is no JSON object"),
        ("[" * 100_000, "is not JSON"),
        ("\udcff", "is not JSON"),
        ("{}", "has no text at `ref`"),
        ('{"ref": 1}', "has no text at `ref`"),
        ('{"ref": "main"}', "is no ref"),
        ('{"ref": "refs/heads/a b"}', "is no name that git allows"),
        ('{"ref": "refs/heads/main", "before": "HEAD", "after": ""}', "`before` is no id of a commit"),
        ('{"ref": "refs/heads/main", "before": "--upload-pack=x"}', "has no text at `after`|is no id"),
    ],
)
def test_a_payload_that_cannot_be_believed(line: World, text: str | None, said: str) -> None:
    environ = line.environ("push", None, GITHUB_REF="refs/heads/main", GITHUB_SHA="a" * 40)
    if text is not None:
        Path(environ["GITHUB_EVENT_PATH"]).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(EventError, match=said) as caught:
        read_event(environ)
    assert caught.value.hint
    assert caught.value.exit_code == 3


HOSTILE = [
    "--upload-pack=touch x",
    "$(touch x)\n::error::x",
    "a\nb",
    "a..b",
    "a:b",
    "a b",
    "+refs/heads/*:refs/heads/*",
    "\x1b[31m",
    "x.lock",
    "",
    "a/../b",
    "x" * 5000,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_git_does_not_allow_is_an_error(line: World, name: str) -> None:
    document = payload("pull_request_synchronize", pull_request__base__ref=name)
    with pytest.raises(EventError, match="is no name that git allows") as caught:
        read(line, "pull_request", document)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300
    with pytest.raises(EventError, match=r"no name that git allows|no ref"):
        read(line, "push", {**PUSHED, "ref": f"refs/heads/{name}"})


@pytest.mark.parametrize(
    "name", ["$(touch_x)", "`touch_x`", "a;touch_x", "größe", "a'b\"c", "&touch_x&", "{B}", "%0A"]
)
def test_a_name_that_git_allows_reaches_no_shell(tmp_path: Path, name: str) -> None:
    world = World(tmp_path, PULL, {f"heads/{name}": "B", "pull/12/head": "P", "pull/12/merge": "M"})
    ids = {"pull_request__base__sha": world.ids["A"], "pull_request__head__sha": world.ids["P"]}
    clone = world.clone("pull/12/head", "P", 1)
    document = payload("pull_request_synchronize", **ids)
    document["pull_request"]["base"]["ref"] = name
    world.ids.clear()
    environ = world.environ("pull_request", document, GITHUB_REF="refs/pull/12/merge", GITHUB_SHA="a" * 40)
    before = of_clone(clone)
    sides = event_sides(clone.open(), read_event(environ))
    assert found_files(clone.open(), sides) == {"+p"}
    assert name in sides.reason
    assert of_clone(clone) == before


def test_names_that_are_not_needed_are_not_looked_at(line: World) -> None:
    """The branch of a fork is called what its owner likes; it is nothing to us."""
    document = payload("pull_request_synchronize")
    document["pull_request"]["head"]["ref"] = "--upload-pack=$(touch x)\n::error::"
    document["pull_request"]["title"] = "`touch x`"
    event = read(line, "pull_request", document)
    assert "touch" not in repr(event)


@pytest.mark.parametrize("event", ["issue_comment", "watch", "deployment", "x" * 5000, "new\nline"])
def test_an_event_that_tells_no_range_is_an_error(line: World, event: str) -> None:
    clone = line.clone("heads/main", "D", 1)
    happened = read(line, event, payload("issue_comment"))
    with pytest.raises(EventError, match="does not tell what changed") as caught:
        event_sides(clone.open(), happened)
    assert "--base" in (caught.value.hint or "")
    assert "\n" not in caught.value.message


def test_pull_request_target_says_what_it_takes(tmp_path: Path) -> None:
    world = World(tmp_path, PULL, {"heads/main": "B", "pull/12/head": "P"})
    clone = world.clone("heads/main", "B", 1)
    ids = {"pull_request__base__sha": "{A}", "pull_request__head__sha": "{P}"}
    document = payload("pull_request_synchronize", pull_request__base__ref="main", **ids)
    event = read(world, "pull_request_target", document, GITHUB_SHA="{B}")
    with pytest.raises(EventError, match="holds nothing of the pull request") as caught:
        event_sides(clone.open(), event)
    assert "on: pull_request" in (caught.value.hint or "")


def test_no_ci_system_and_no_base(line: World) -> None:
    clone = line.clone("heads/main", "D", 1)
    with pytest.raises(UsageError, match="this CI system is not known here") as caught:
        event_sides(clone.open(), read_event({}))
    assert caught.value.exit_code == 2
    assert "--base" in (caught.value.hint or "")


def test_a_base_that_is_not_there(line: World) -> None:
    clone = line.clone("heads/main", "D", 1)
    for base in ("nowhere", GONE, "--upload-pack=x", "HEAD~9", "HEAD^2", "a\nb", "a*", "beef"):
        with pytest.raises(UsageError, match="revision"):
            event_sides(clone.open(), read_event({}, base=base))


@pytest.mark.parametrize(
    ("head", "fork"),
    [
        ({"full_name": "stranger/Hello-World"}, True),
        (None, True),
        ({"full_name": "Codertocat/Hello-World"}, False),
    ],
)
def test_a_fork_is_known(line: World, head: Mapping[str, str] | None, fork: bool) -> None:
    event = read(line, "pull_request", payload("pull_request_synchronize", pull_request__head__repo=head))
    assert event.from_fork is fork
    assert event.number == 2
    assert event.branch is None


def test_which_branch_an_event_is_of(line: World) -> None:
    """A pull request, a merge queue and a tag are no branch's state: nothing may be recorded for one."""
    pr, group = payload("pull_request_synchronize"), payload("merge_group")
    assert read(line, "push", {**PUSHED, "ref": "refs/heads/main"}).branch == "main"
    assert read(line, "schedule", payload("workflow_dispatch")).branch == "main"
    assert read(line, "pull_request_target", pr).branch is None
    assert read(line, "merge_group", group).branch is None
    assert read(line, "release", payload("release_published")).branch is None
    assert read(line, "delete", {**payload("workflow_dispatch"), "ref": "topic"}).branch is None
    assert read(line, "push", {**PUSHED, "ref": "refs/tags/v1"}, GITHUB_REF="refs/tags/v1").branch is None


def push_event(world: World, before: str, after: str = "D") -> Any:
    return read(
        world, "push", {**PUSHED, "before": before, "after": world.ids[after]}, GITHUB_SHA=world.ids[after]
    )


def test_nothing_checked_out(line: World, repo: Repo) -> None:
    with pytest.raises(UsageError, match="nothing is checked out"):
        event_sides(repo.open(), push_event(line, line.ids["A"]))


def test_an_origin_that_cannot_be_reached_is_an_error(line: World) -> None:
    """Not "nothing changed", and not "the commit is gone"."""
    clone = line.clone("heads/main", "D", 1)
    line.origin.top.rename(line.folder / "elsewhere")
    plain, forced = push_event(line, line.ids["A"]), replace(push_event(line, GONE), forced=True)
    for event in (plain, forced):
        with pytest.raises(GitError, match="origin cannot be reached") as caught:
            event_sides(clone.open(), replace(event, default_branch="main"))
        assert "fetch-depth: 0" in (caught.value.hint or "")


def test_what_is_here_needs_no_network(line: World) -> None:
    clone = line.clone("heads/main", "D", 0)
    line.origin.top.rename(line.folder / "elsewhere")
    sides = event_sides(clone.open(), push_event(line, line.ids["B"]))
    assert found_files(clone.open(), sides) == {"+c", "~b"}


def test_a_branch_as_the_clone_remembers_it(tmp_path: Path) -> None:
    """An older main makes more files count, never fewer; it is said."""
    world = World(tmp_path, PULL, {"heads/main": "B", "heads/topic": "P"})
    clone = world.clone("heads/topic", "P", 0)
    world.origin.top.rename(world.folder / "elsewhere")
    document = payload("push_branch_created", ref="refs/heads/topic", after=world.ids["P"])
    event = read(world, "push", document, GITHUB_SHA=world.ids["P"], GITHUB_REF="refs/heads/topic")
    sides = event_sides(clone.open(), event)
    assert found_files(clone.open(), sides) == {"+p"}
    assert "main is taken as it was when this clone was made" in sides.warnings[0]


def test_a_shallow_clone_can_be_completed_afterwards(tmp_path: Path) -> None:
    """A later step's `git fetch --unshallow` has to get the contents that were not fetched here."""
    world = World(
        tmp_path, "A: a=1 | B<A: a=2 | C<B: a=3 | D<C: a=4 | P<A: p=1", {"heads/main": "D", "heads/p": "P"}
    )
    clone = world.clone("heads/main", "D", 1)
    repo = clone.open()
    origin = Origin(repo)
    assert origin.obtain(world.ids["B"])
    assert origin.obtain(world.ids["P"])
    assert origin.merge_base(world.ids["D"], world.ids["P"]) == world.ids["A"]
    clone.git("fetch", "-q", "--unshallow")
    clone.git("gc", "-q", "--prune=now")
    clone.git("fsck", "--strict")
    assert clone.git("log", "--format=%H").split() == [world.ids[c] for c in "DCBA"]
    assert clone.git("show", f"{world.ids['B']}:{ROOT}/a") == "2"


def test_a_full_clone_stays_a_full_one(tmp_path: Path) -> None:
    world = World(tmp_path, "A: a=1 | O<A: o=1 | P<O: p=1 | N<A: n=1", {"heads/main": "N"})
    clone = world.clone("heads/main", "N", 0)
    assert Origin(clone.open()).obtain(world.ids["P"])
    assert clone.git("rev-parse", "--is-shallow-repository") == "false"
    assert clone.git("log", "--format=%H", world.ids["P"]).split() == [world.ids[c] for c in "POA"]
    assert clone.git("show", f"{world.ids['P']}:{ROOT}/o") == "1"


def test_a_second_command_knows_what_the_first_one_left(tmp_path: Path) -> None:
    """The first leaves commits here whose parents are not; the second has to find their history all the same."""
    world = World(tmp_path, LONG_SIDES, {"heads/main": "120", "heads/topic": "p70"})
    clone = world.clone("heads/topic", "p70", 1)
    assert Origin(clone.open()).obtain(world.ids["120"])
    for _ in range(2):
        assert Origin(clone.open()).merge_base(world.ids["p70"], world.ids["120"]) == world.ids["1"]


def test_only_trees_and_then_single_contents_are_fetched(tmp_path: Path) -> None:
    line = World(tmp_path, "A: a=old c=1 | B<A: a=2", {"heads/main": "B"})
    clone = line.clone("heads/main", "B", 1)
    origin = Origin(clone.open())
    before = of_clone(clone)
    assert origin.obtain(line.ids["A"])
    old = clone.git("rev-parse", f"{line.ids['A']}:{ROOT}/a")
    kept = clone.git("rev-parse", f"HEAD:{ROOT}/c")
    with pytest.raises(GitError, match="is missing"):
        clone.open().objects.contents([old])
    origin.fetch_blobs([old, kept, old])
    assert clone.open().objects.contents([old, kept]) == [b"old", b"1"]
    assert of_clone(clone) == before
    with pytest.raises(GitError, match="does not give the contents"):
        origin.fetch_blobs([GONE])
    line.origin.top.rename(line.folder / "elsewhere")
    origin.fetch_blobs([old])
    with pytest.raises(GitError, match="cannot be reached"):
        origin.fetch_blobs([GONE])


def test_a_users_settings_for_fetch_change_nothing(line: World) -> None:
    line.origin.git("tag", "v1", line.ids["A"])
    clone = line.clone("heads/main", "D", 1)
    for setting in (
        "fetch.prune=true",
        "fetch.pruneTags=true",
        "remote.origin.tagOpt=--tags",
        "remote.origin.prune=true",
        "fetch.recurseSubmodules=true",
        "fetch.writeCommitGraph=true",
        "gc.auto=1",
        "core.logAllRefUpdates=always",
        "transfer.fsckObjects=true",
    ):
        clone.git("config", *setting.split("=", 1))
    clone.git("tag", "mine")
    before = of_clone(clone)
    sides = event_sides(clone.open(), push_event(line, line.ids["A"]))
    assert found_files(clone.open(), sides) == {"~a", "~b", "+c"}
    assert Origin(clone.open()).tip("main")
    assert of_clone(clone) == before


def test_a_partial_clone(line: World) -> None:
    """actions/checkout with `filter: blob:none`."""
    clone = Repo(line.folder / "partial")
    line.origin.git("clone", "-q", "--filter=blob:none", line.url, str(clone.top))
    line.origin.git("update-ref", "refs/heads/main", line.ids["D"])
    before = of_clone(clone)
    sides = event_sides(clone.open(), push_event(line, line.ids["B"]))
    assert found_files(clone.open(), sides) == {"+c", "~b"}
    assert of_clone(clone) == before


def test_a_commit_that_the_job_made_itself(tmp_path: Path) -> None:
    """Origin does not know it; the history below it comes by the refs of the event."""
    world = World(tmp_path, UPDATED, {"heads/main": "C", "pull/12/head": "Q", "pull/12/merge": "M"})
    clone = world.clone("pull/12/head", "Q", 1)
    clone.commit({f"{ROOT}/made": "1"})
    ids = {"pull_request__base__sha": "{A}", "pull_request__head__sha": "{Q}"}
    document = payload("pull_request_synchronize", pull_request__base__ref="main", **ids)
    event = read(world, "pull_request", document, GITHUB_REF="refs/pull/12/merge", GITHUB_SHA="{M}")
    sides = event_sides(clone.open(), event)
    assert found_files(clone.open(), sides) == {"+made", "+p"}
    assert sides.branch is None


def test_a_branch_deleted_by_the_event_of_that_name(line: World) -> None:
    document = {**payload("workflow_dispatch"), "ref": "topic", "ref_type": "branch"}
    sides = event_sides(line.clone("heads/main", "D", 1).open(), read(line, "delete", document))
    assert sides.base is None
    assert sides.reason == "refs/heads/topic was deleted: there is nothing to do"


@pytest.mark.parametrize("depth", [1, 0])
@pytest.mark.parametrize("given", ["main...HEAD", "origin/main...", "v1...topic", "refs/tags/v1...{Q}"])
def test_the_merge_base_of_a_diff_in_a_shallow_clone(given: str, depth: int, tmp_path: Path) -> None:
    world = World(tmp_path, UPDATED, {"heads/main": "C", "heads/topic": "Q", "tags/v1^": "C"})
    clone = world.clone("heads/topic", "Q", depth)
    before = of_clone(clone)
    if depth == 0:
        given = given.replace("main...HEAD", "origin/main...HEAD")
    base, desired = from_arguments(clone.open(), "local", [world.filled(given)])
    assert (base.oid, desired.oid) == (world.ids["B"], world.ids["Q"])
    assert of_clone(clone) == before


def test_a_parent_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """The commit that is checked out was thrown away on origin while the job was waiting."""
    world = World(tmp_path, PULL, {"heads/main": "B", "pull/12/merge": "M"})
    clone = world.clone("pull/12/merge", "M", 1)
    world.origin.git("update-ref", "-d", "refs/pull/12/merge")
    world.origin.git("update-ref", "refs/heads/main", world.ids["A"])
    world.origin.git("gc", "-q", "--prune=now")
    ids = {"pull_request__base__sha": "{A}", "pull_request__head__sha": "{P}"}
    document = payload("pull_request_synchronize", pull_request__base__ref="main", **ids)
    event = read(world, "pull_request", document, GITHUB_REF="refs/pull/12/merge", GITHUB_SHA="{M}")
    with pytest.raises(GitError, match="origin does not give it") as caught:
        event_sides(clone.open(), event)
    assert "fetch-depth: 0" in (caught.value.hint or "")
