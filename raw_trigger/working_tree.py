"""What runs read, before and after them, compared with the record: what is on disk, or in a commit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from raw_trigger.content.disk import moment, not_the_content, still_there, touched_since
from raw_trigger.model.changes import WORKTREE, Base, Change, ChangeSet, Desired
from raw_trigger.model.plan import Disk, Plan, Target
from raw_trigger.planner import Planner
from raw_trigger.planning.plan import make_plan
from raw_trigger.record import tree as recorded_tree
from raw_trigger.repo import diff


class DiskTree:
    """Compares what is on disk with the record, under today's rules.

    Args:
        planner: Whose wishes do not matter here.
        further: Paths to be looked at even if they are as recorded.
        without: A launch that is looked at as if it had never begun.
    """

    def __init__(
        self, planner: Planner, further: Collection[bytes] = (), *, without: str | None = None
    ) -> None:
        planner = self._planner = planner.plain()
        assert planner.record is not None
        self._further = further
        self._rules = planner.known_rules()
        self._record = planner.record_under(self._rules, planner.record.without(without))
        self._began = moment(planner.workspace.repo)

    @property
    def moment(self) -> float:
        """Returns when this was made by the file system's clock, in seconds since 1970."""
        return self._began / 1e9

    def now(self) -> ChangeSet:
        """Returns what differs from the record now, also where git was told not to look."""
        planner, record = self._planner, self._record
        base, here = Base("recorded", "", record.tree, ""), Desired("worktree", WORKTREE)
        listing, roots = planner.listed(base, here).read(), planner.workspace.roots
        seen = planner.detect(base, here, listing=listing)
        own = listing if listing.roots == roots else None
        seen = seen.overlaid(diff.hidden(planner.workspace.repo, roots, own))
        seen = planner.with_paths(seen, record, self._further)
        return planner.with_exceptions(seen, record, self._rules)

    def touched(self, seen: ChangeSet) -> Mapping[bytes, Change]:
        """Returns the paths that were written to since this was made, even if they are as before."""
        workspace = self._planner.workspace
        gone = [change.path for change in seen.changes if change.new is None]
        paths = touched_since(workspace.repo, workspace.roots, self._began, gone)
        known = {change.path: replace(change, old_path=None) for change in seen.changes}
        further = [path for path in paths if path not in known and self._rules.feeds(path)]
        recorded = recorded_tree.at(workspace.repo, self._record, further)
        found = {path: Change(path, entry, entry) for path, entry in recorded.items()}
        return found | {path: known[path] for path in paths if path in known}

    def plan(self, seen: ChangeSet, made: Collection[Target]) -> Plan:
        """Returns the plan for what is there; see :func:`raw_trigger.planning.plan.make_plan`."""
        planner, rules = self._planner, self._rules
        disk = self._unread(seen)
        with planner.feeding(seen, rules, self._record) as files:
            return make_plan(
                seen,
                rules,
                planner.options(),
                disk=disk,
                files=files,
                record=self._record,
                made=made,
            )

    def _unread(self, seen: ChangeSet) -> Disk:
        planner = self._planner
        repo = planner.workspace.repo
        disk = not_the_content(repo, planner.tracked, seen, planner.listing, self._rules.feeds)
        # Git may have been told to ignore it, and to forget it.
        return replace(disk, dirty={**disk.dirty, **still_there(repo, seen, "what git knows")})

    def below(self, target: Target) -> Callable[[Target], bool]:
        """Returns a test for being the target or made from it."""
        return self._planner.lineage(self._rules).test_of(target)


class CommitTree(DiskTree):
    """Compares the files of a commit, which a deployment holds, with the record.

    Args:
        commit: Its id.
    """

    def __init__(
        self,
        planner: Planner,
        commit: str,
        further: Collection[bytes] = (),
        *,
        without: str | None = None,
    ) -> None:
        super().__init__(planner, further, without=without)
        self._commit = commit

    def now(self) -> ChangeSet:
        """Returns what differs from the record in the commit."""
        planner, record = self._planner, self._record
        base = Base("recorded", "", record.tree, "")
        seen = planner.detect(base, Desired("revision", self._commit[:12], self._commit))
        seen = planner.with_paths(seen, record, self._further)
        return planner.with_exceptions(seen, record, self._rules)

    def touched(self, seen: ChangeSet) -> Mapping[bytes, Change]:
        """Returns nothing: a commit is what it is."""
        return {}

    def _unread(self, seen: ChangeSet) -> Disk:
        return Disk()
