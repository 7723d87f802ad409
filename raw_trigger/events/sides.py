"""What a CI event compares where nothing is recorded: which base, and why that one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from raw_trigger.errors import EventError, GitError, UsageError
from raw_trigger.events.ci import CiEvent, Kind
from raw_trigger.model.changes import Base, Desired
from raw_trigger.repo.fetching import Origin
from raw_trigger.repo.repository import Repository

_FULL_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_RECORD = "or run with an `--environment` whose record is the base"


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared. ``base`` is None where there is nothing to do; ``reason`` says why, in any case.

    Attributes:
        checked_out: Whether the desired side is HEAD, so that Dagster reads those very files.
        of_event: Whether it is the commit that the system started the job for. Only then does it stand
            for the branch that the event names.
        warnings: What the user should be told besides.
    """

    base: Base | None
    desired: Desired
    reason: str
    checked_out: bool = True
    of_event: bool = True
    warnings: tuple[str, ...] = ()


def event_sides(repo: Repository, event: CiEvent) -> Sides:
    """What an event compares where nothing is recorded. What the clone lacks is fetched.

    Desired is what is checked out, unless the event was given another head.

    Raises:
        UsageError: a given revision is unknown, or nothing is checked out.
        EventError: the event does not tell what changed.
        GitError: origin cannot be reached, or does not give what is needed.
    """
    refs = [
        event.ref,
        *(f"refs/heads/{b}" for b in (event.base_ref, event.branch, event.default_branch) if b),
    ]
    origin = Origin(repo, tuple(dict.fromkeys(ref for ref in refs if ref)))
    head = repo.head()
    if head is None or head.commit is None:
        raise UsageError("nothing is checked out here", "check the repository out before raw-trigger runs")
    name, oid = "HEAD", head.commit
    if event.given_head:
        name, oid = event.given_head, _commit(origin, event.given_head)
    finder = _Finder(origin, event, oid)
    base = finder.base()
    of_event = oid == event.sha
    if base is not None and not event.given_head and oid not in (event.sha, event.head_sha) and event.sha:
        finder.warnings.append(f"{_short(oid)} is checked out, not {_short(event.sha)}, which the job is for")
    return Sides(
        base,
        Desired("revision", name, oid),
        f"{finder.ref} was deleted: there is nothing to do" if base is None else base.reason,
        checked_out=oid == head.commit,
        of_event=of_event,
        warnings=tuple(finder.warnings),
    )


class _Finder:
    """Finds the base of one event. ``warnings`` collects what should be said besides."""

    def __init__(self, origin: Origin, event: CiEvent, head: str) -> None:
        self.origin = origin
        self.event = event
        self.head = head
        self.warnings: list[str] = []

    @property
    def ref(self) -> str:
        """The ref as a person calls it."""
        event = self.event
        return event.branch or event.tag or event.ref or "the ref"

    def base(self) -> Base | None:
        """What is compared with; None if there is nothing to do."""
        if self.event.given_base:
            oid = _commit(self.origin, self.event.given_base)
            return Base("revision", self.event.given_base, oid, "the base that was given")
        if self.event.deleted:
            return None
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

    def _push(self) -> Base:
        event = self.event
        if event.before is None:
            if event.name == "parent_pipeline":
                why = "the parent pipeline does not say what was there before"
            else:
                why = f"this is the first push of {self.ref}"
            return self._since_default(why)
        # A forced push leaves the old commit in no history.
        if self.origin.obtain(event.before, searching=not event.forced):
            forced = ", which was forced" if event.forced else ""
            return self._revision(event.before, f"what {self.ref} held before this push{forced}")
        before = f"{_short(event.before)}, which {self.ref} held before this push"
        return self._since_default(f"origin does not give {before}")

    def _since_default(self, why: str) -> Base:
        """Everything since the branch left the default branch; of the default branch itself all files."""
        default = self.event.default_branch or self.origin.default_branch()
        if default is None:
            return _everything(f"{why}, and origin has no default branch")
        if self.event.branch == default:
            return _everything(f"{why}, the default branch")
        return self._since(default, why)

    def _since(self, branch: str, why: str) -> Base:
        tip = self.origin.tip(branch)
        if tip is None:
            return _everything(f"{why}, and origin has no branch {branch}")
        if tip.stale is not None:
            self.warnings.append(f"{branch} is taken as it was when this clone was made: {tip.stale}")
        found = self.origin.fork_point(self.head, tip.oid)
        if found == self.head and self.event.base_sha is not None and self.origin.obtain(self.event.base_sha):
            # The branch was moved on to this very commit since; the event knows where it was before.
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
        if event.privileged and self.head == event.sha:
            raise EventError(
                f"{event.name} checks out {event.base_ref}, which holds nothing of the pull request",
                "use `on: pull_request`; to look without running anything: --mode plan --head "
                f"{event.head_sha}. Do not check the pull request out here: its code would get your secrets",
            )
        self._warn_of_strangers()
        if event.merged and self.head != event.head_sha and len(parents) < 2:  # noqa: PLR2004
            # Squashed or rebased: nothing tells how many of the commits are its own.
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
        base = self.event.base_sha
        if base is None:
            raise EventError("the merge group says no base", _GIVE)
        self._need(base)
        return self._revision(base, f"what the merge group is put upon ({self.event.base_ref})")

    def _manual(self) -> Base:
        parents = self.origin.parents(self.head)
        run = f"a run by {self.event.name}" if self.event.name else "this run"
        if not parents:
            return _everything(f"{run} has no range of its own and the commit no parent")
        self._need(parents[0])
        which = "the first parent of the merge" if len(parents) > 1 else "the parent of the commit"
        return self._revision(parents[0], f"{which}: {run} has no range of its own, and nothing is recorded")

    def _workflow_run(self) -> Base:
        event = self.event
        if self.head != event.head_sha or self.head == event.sha:
            return self._manual()
        self._warn_of_strangers()
        if event.branch is not None and event.branch == event.default_branch:
            return self._manual()
        default = event.default_branch or self.origin.default_branch()
        why = "the commit of the run before this one is checked out"
        base = _everything(why) if default is None else self._since(default, why)
        if base.oid == self.head:
            return _everything(f"{why}, and it is on {default} already")
        return base

    def _unknown(self) -> Base:
        name = self.event.name or "without a name"
        raise EventError(f"the event {name[:80]!a} does not tell what changed", _GIVE)

    def _warn_of_strangers(self) -> None:
        if self.event.privileged and not self.event.given_head:
            self.warnings.append(
                f"{self.event.name} has this repository's secrets, "
                "and what is checked out may be a stranger's code"
            )

    def _need(self, oid: str) -> None:
        if not self.origin.obtain(oid):
            raise GitError(
                f"{oid}, which is needed to compare, is not here, and origin does not give it",
                "clone all of it: `fetch-depth: 0` with actions/checkout, `GIT_DEPTH: 0` on GitLab",
            )

    def _revision(self, oid: str, reason: str) -> Base:
        return Base("revision", _short(oid), oid, reason)


_GIVE = f"give the base by hand: raw-trigger ci --base REVISION; {_RECORD}"


def _commit(origin: Origin, name: str) -> str:
    """The commit or tree a given revision names, here or on origin."""
    repo = origin.repo
    if _FULL_ID.fullmatch(name):
        origin.obtain(name)
    else:
        try:
            repo.resolve(name)
        except UsageError:
            tip = None if name.startswith("-") else origin.named(name)
            if tip is not None:
                return tip
    found = repo.resolve(name)[0]
    return found.commit or found.tree


def _everything(why: str) -> Base:
    return Base("empty", "nothing", None, f"{why}: all files are taken")


def _short(oid: str) -> str:
    return oid[:12]
