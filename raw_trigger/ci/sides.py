"""Finds the head and the base of a CI job's event. The base counts while nothing is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from raw_trigger.ci.event import CiEvent, Kind
from raw_trigger.errors import EventError, GitError, UsageError
from raw_trigger.model.changes import Base, Desired
from raw_trigger.model.settings import MergeGroup
from raw_trigger.repo.fetching import Origin
from raw_trigger.repo.repository import Repository

_RECORD = "or run with an `--environment` whose record is the base"


@dataclass(frozen=True, slots=True)
class Head:
    """Holds the commit that the assets should reflect.

    Attributes:
        checked_out: Whether it is HEAD, so that Dagster reads those very files.
        branch: The branch whose state it is, and for which it may be recorded; None if it is no branch's or
            unknown.
        gone: Why there is nothing to do; None if there is.
        warnings: What the user should know besides.
    """

    desired: Desired
    checked_out: bool = True
    branch: str | None = None
    gone: str | None = None
    warnings: tuple[str, ...] = ()


def event_origin(repo: Repository, event: CiEvent) -> Origin:
    """Returns origin with the refs that the event's job may need."""
    refs = [
        event.ref,
        *(f"refs/heads/{b}" for b in (event.base_ref, event.branch, event.default_branch) if b),
    ]
    return Origin(repo, tuple(dict.fromkeys(ref for ref in refs if ref)))


def event_head(origin: Origin, event: CiEvent) -> Head:
    """Returns the head of an event: the checked-out commit, unless another head was given.

    Raises:
        UsageError: a given revision is unknown, or nothing is checked out.
        EventError: the checked-out commit is not that of the event.
    """
    head = origin.repo.head()
    if head is None or head.commit is None:
        raise UsageError("nothing is checked out here", "check the repository out before raw-trigger runs")
    name, oid = "HEAD", head.commit
    if event.given_head:
        name, oid = event.given_head, origin.revision(event.given_head)
    desired, checked_out = Desired("revision", name, oid), oid == head.commit
    if event.deleted:
        ref = event.branch or event.tag or event.ref or "the ref"
        return Head(desired, checked_out, gone=f"{ref} was deleted: there is nothing to do")
    if event.kind == "pull-request" and event.privileged and oid == event.sha:
        raise EventError(
            f"{event.name} checks out {event.base_ref}, which holds nothing of the pull request",
            "use `on: pull_request`; to look without running anything: --mode plan --head "
            f"{event.head_sha}. Do not check the pull request out here: its code would get your secrets",
        )
    told = []
    if event.privileged and event.from_fork and oid != event.sha and not event.given_head:
        told.append(
            f"{event.name} has this repository's secrets, and what is checked out may be a stranger's code"
        )
    branch = _branch(origin, event, oid)
    if not event.given_head and branch is None and event.sha and oid not in (event.sha, event.head_sha):
        tip = f", nor the last commit of {event.branch}" if event.branch else ""
        told.append(f"{_short(oid)} is checked out, not {_short(event.sha)}, which the job is for{tip}")
    return Head(desired, checked_out, branch, warnings=tuple(told))


def _branch(origin: Origin, event: CiEvent, oid: str) -> str | None:
    """Returns the branch whose state the commit is: the event's, or one that ends with it on origin."""
    if event.kind != "workflow-run":
        known = {event.sha: event.branch}
    else:
        # A `workflow_run` job is for the default branch, whatever the run before it was for.
        known = {event.head_sha: event.branch, event.sha: event.default_branch}
    if oid in known:
        return known[oid]
    for branch in dict.fromkeys(branch for branch in known.values() if branch):
        with suppress(GitError):
            tip = origin.tip(branch)
            if tip is not None and tip.stale is None and tip.oid == oid:
                return branch
    return None


def event_base(
    origin: Origin, event: CiEvent, head: Head, *, queue: MergeGroup = "previous"
) -> tuple[Base, tuple[str, ...]]:
    """Returns the base of an event if nothing is recorded, and remarks for the user.

    It fetches what the clone lacks.

    Args:
        queue: The base of an entry of a merge queue.

    Raises:
        UsageError: a given revision is unknown.
        EventError: the event does not tell what changed.
        GitError: origin cannot be reached, or does not give what is needed.
    """
    assert head.desired.oid is not None
    finder = _Finder(origin, event, head.desired.oid, head.branch, queue)
    base = finder.base()
    return base, tuple(finder.warnings)


class _Finder:
    """Finds the base of one event. ``warnings`` collects what the user should know besides."""

    def __init__(
        self, origin: Origin, event: CiEvent, head: str, branch: str | None, queue: MergeGroup
    ) -> None:
        self.origin = origin
        self.event = event
        self.head = head
        self.branch = branch
        self.queue = queue
        self.warnings: list[str] = []

    @property
    def ref(self) -> str:
        """Returns the ref as a person calls it."""
        event = self.event
        return event.branch or event.tag or event.ref or "the ref"

    def base(self) -> Base:
        """Returns what is compared with."""
        if self.event.given_base:
            return self._given(self.event.given_base)
        ways: Mapping[Kind, Callable[[], Base]] = {
            "push": self._push,
            "tag": self._tag,
            "pull-request": self._pull_request,
            "merge-group": self._merge_group,
            "manual": self._manual,
            "workflow-run": self._workflow_run,
            "unknown": self._unknown,
        }
        return ways[self.event.kind]()

    def _given(self, name: str) -> Base:
        """Returns a given commit of HEAD's own history; for one of another branch, where HEAD left it."""
        oid = self.origin.revision(name)
        reason = "the base that was given"
        found = self.origin.common(oid, self.head)
        if found is None or found == oid:
            return Base("revision", name, oid, reason)
        self._need(found)
        return Base("revision", f"the merge base of {name} and HEAD", found, f"{reason} is {name}")

    def _push(self) -> Base:
        event = self.event
        if event.before is None:
            if event.name == "parent_pipeline":
                why = "the parent pipeline does not say what was there before"
            else:
                why = f"this is the first push of {self.ref}"
            return self._since_default(why, self.event.branch)
        # After a forced push the old commit is in no history, so searching would fetch all of it in vain.
        if self.origin.obtain(event.before, searching=not event.forced):
            forced = ", which was forced" if event.forced else ""
            return self._revision(event.before, f"what {self.ref} held before this push{forced}")
        before = f"{_short(event.before)}, which {self.ref} held before this push"
        return self._since_default(f"origin does not give {before}", self.event.branch)

    def _since_default(self, why: str, branch: str | None) -> Base:
        """Returns where the branch left the default branch; for the default branch itself all files count.

        Args:
            branch: None if it is unknown.
        """
        default = self.event.default_branch or self.origin.default_branch()
        if default is None:
            return _everything(f"{why}, and origin has no default branch")
        if branch == default:
            return _everything(f"{why}, and {branch} is the default branch")
        base = self._since(default, why)
        if base.oid == self.head and branch is None:
            return _everything(f"{why}, and it is on {default} already")
        return base

    def _since(self, branch: str, why: str) -> Base:
        tip = self.origin.tip(branch)
        if tip is None:
            return _everything(f"{why}, and origin has no branch {branch}")
        if tip.stale is not None:
            self.warnings.append(f"{branch} is taken as it was when this clone was made: {tip.stale}")
        found = self.origin.fork_point(self.head, tip.oid)
        if found == self.head and self.event.base_sha is not None and self.origin.obtain(self.event.base_sha):
            # The branch has moved on to this very commit since; the event says where it was before.
            found = self.origin.merge_base(self.event.base_sha, self.head)
        if found is None:
            return _everything(f"{why}, and it has no history in common with {branch}")
        self._need(found)
        own = (
            "it has no commits of its own"
            if found == self.head
            else f"what it has since it left {branch} counts"
        )
        reason = f"{why}, so {own}"
        return Base("revision", f"the merge base of {branch} and HEAD", found, reason)

    def _tag(self) -> Base:
        tags = self.origin.tags()
        found = self.origin.nearest(self.head, tags)
        if found is None:
            return _everything(f"{self.ref} is the first tag on its history")
        self._need(found)
        name = ", ".join(tags[found])
        return Base("revision", name, found, f"the previous tag on the history of {self.event.tag or 'HEAD'}")

    def _pull_request(self) -> Base:
        event, parents = self.event, self.origin.parents(self.head)
        assert event.base_ref is not None
        if event.merged and self.head != event.head_sha and len(parents) < 2:  # noqa: PLR2004
            # Squashed or rebased: nothing tells how many of the commits belong to the pull request.
            assert event.base_sha is not None
            self._need(event.base_sha)
            return self._revision(event.base_sha, f"{event.base_ref} when the pull request was last updated")
        merge = self.head != event.head_sha and (
            (event.merges and self.head == event.sha) or event.head_sha in parents[1:]
        )
        if merge and len(parents) > 1:
            self._need(parents[0])
            return self._revision(parents[0], f"{event.base_ref}, which the pull request is merged into here")
        if self.head == event.head_sha:
            why = "the pull request's own last commit is checked out, not its merge"
        else:
            why = "neither the pull request's merge nor its last commit is checked out"
        return self._since(event.base_ref, why)

    def _merge_group(self) -> Base:
        base, target, queue = self.event.base_sha, self.event.base_ref, self.queue
        if self.event.system == "gitlab":
            # In a merge train the commit is a merge into the entry before, except for fast-forward merges.
            parents = self.origin.parents(self.head)
            base, queue = (parents[0], queue) if len(parents) > 1 else (None, "target")
        if queue == "target" and target is not None:
            return self._since(target, f"this is an entry of the merge queue of {target}")
        if base is None:
            raise EventError("the merge group says no base", _GIVE)
        self._need(base)
        return self._revision(
            base, f"the entry before in the merge queue of {target}, or {target} where it is the first"
        )

    def _manual(self) -> Base:
        run = f"a run by {self.event.name}" if self.event.name else "this run"
        return self._since_default(f"{run} has no range of its own", self.branch)

    def _workflow_run(self) -> Base:
        event = self.event
        if self.head != event.head_sha or self.head == event.sha:
            return self._manual()
        return self._since_default("the commit of the run before this one is checked out", event.branch)

    def _unknown(self) -> Base:
        if self.event.system == "other":
            raise UsageError(
                "nothing is recorded, and this CI system is not known here: nothing tells what changed",
                f"say it: raw-trigger ci --base REVISION [--head REVISION]; {_RECORD}",
            )
        name = self.event.name or "without a name"
        raise EventError(f"the event {name[:80]!a} does not tell what changed", _GIVE)

    def _need(self, oid: str) -> None:
        if not self.origin.obtain(oid):
            raise GitError(
                f"{oid}, which is needed to compare, is not here, and origin does not give it",
                "clone all of it: `fetch-depth: 0` with actions/checkout, `GIT_DEPTH: 0` on GitLab",
            )

    def _revision(self, oid: str, reason: str) -> Base:
        return Base("revision", _short(oid), oid, reason)


_GIVE = f"give the base by hand: raw-trigger ci --base REVISION; {_RECORD}"


def _everything(why: str) -> Base:
    return Base("empty", "nothing", None, f"{why}: all files are taken")


def _short(oid: str) -> str:
    return oid[:12]
