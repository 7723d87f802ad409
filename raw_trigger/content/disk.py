"""Compares files on disk with the content that Dagster should read."""

from __future__ import annotations

import os
import shlex
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from raw_trigger.content.absent import Absent, absent, commands, left_out, may_lack
from raw_trigger.content.feeding import desired_paths, lacking
from raw_trigger.dvc.tracked import Out, Tracked
from raw_trigger.mapping.rules import RuleBook
from raw_trigger.model.changes import Change, ChangeSet, Entry, show
from raw_trigger.model.plan import Disk, Target
from raw_trigger.planning.deletions import shown
from raw_trigger.repo import diff
from raw_trigger.repo.listing import Listing
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.submodules import checked_out, edited

Feeds = Callable[[bytes], bool]
"""Says whether anything is made from a path."""


def obstacles(
    repo: Repository,
    tracked: Tracked,
    changes: ChangeSet,
    listing: Listing,
    rules: RuleBook,
    made_from: Callable[[Target], Iterable[Target]],
) -> Disk:
    """Returns what on disk stands in the way of the changes: in their own place, or beside them.

    Args:
        listing: Of what :meth:`Tracked.watched` says of both sides.
        made_from: Returns the targets that are made when a target is.
    """
    if not changes.changes:
        return Disk()
    sparse, opens = left_out(repo, listing), may_lack(repo)
    disk = _in_the_way(repo, tracked, changes, listing, sparse, rules.feeds)
    if not (sparse or opens or tracked.in_use):
        return disk
    gone = {}
    for path, entry in desired_paths(repo, tracked, changes.desired):
        found = _left_out(repo, tracked, sparse, path, entry)
        if found is None and opens and entry.content != "dvc":
            found = absent(repo, path, entry.mode)
        # Nobody can fetch what a link to nowhere stands for; what reads it may know that.
        if found is not None and found.tool is not None:
            gone[path] = found
    free = (change.path for change in changes.changes if disk.obstacle(change.path) is None)
    lacks = lacking(free, gone, rules, made_from)
    told = {
        path: f"what is made from it also reads {shown(others)}, whose content is not here: "
        f"{commands(gone[one] for one in others)}"
        for path, others in lacks.items()
    }
    return replace(disk, missing={**disk.missing, **told}, lacks=lacks)


def _left_out(
    repo: Repository, tracked: Tracked, sparse: Mapping[bytes, Absent], path: bytes, entry: Entry
) -> Absent | None:
    """Says why git or DVC has put nothing into the path's place; None if one has. It is not opened."""
    out = tracked.out(path) if entry.content == "dvc" else None
    name = path if out is None else out.pointer
    if name in sparse:
        return sparse[name]
    if out is None or os.path.lexists(_full(repo, path)):
        return None
    from raw_trigger.dvc.data import fetched_by

    return Absent("DVC's data is not here", fetched_by(repo, out.dvc), out.dvc.path)


def _in_the_way(
    repo: Repository,
    tracked: Tracked,
    changes: ChangeSet,
    listing: Listing,
    sparse: Mapping[bytes, Absent],
    feeds: Feeds,
) -> Disk:
    """Returns the changed paths that Dagster would not read as desired, each with the reason.

    Args:
        listing: Of what :meth:`Tracked.watched` says of both sides.
        sparse: The files that a sparse checkout leaves out.
        feeds: Asked before large contents are read.
    """
    changed = {change.path: change for change in changes.changes}
    dirty: dict[bytes, str] = {}
    desired = changes.desired
    watched = tracked.watched(changes.base.oid, desired)
    name = {"index": "what is staged", "worktree": "what git knows"}.get(desired.kind, desired.name)
    missing, hidden = {}, diff.hidden(repo, watched, listing)
    if desired.kind != "worktree":
        raw = diff.to_worktree(repo, None if desired.kind == "index" else desired.oid, watched, listing)
        differs = {change.path for change in (*tracked.anew().changes(raw, desired.oid)[0], *raw)}
        other = (
            p for p in changed if p in differs or ((o := tracked.out(p)) is not None and o.path in differs)
        )
        # The reason for a submodule is more exact, and comes below.
        dirty |= {
            path: f"the file on disk is not {name}" for path in other if not _is_module(repo, changed[path])
        }
    dirty |= still_there(repo, changes, name)
    for path in changed if hidden else ():
        pointer = tracked.pointer_of(path)
        behind = path if path in hidden else pointer if pointer in hidden else None
        if behind is None or hidden[behind][0].content == "submodule":
            continue
        if behind in sparse:
            missing[path] = sparse[behind].reason
        else:
            dirty[path] = (
                "git is told not to look at it (assume-unchanged or sparse); on disk it is different"
            )
    known = {**missing, **dirty}
    unreadable = not_the_content(
        repo, tracked, changes, listing, lambda path: path not in known and feeds(path)
    )
    missing |= {path: reason for path, reason in unreadable.missing.items() if path not in known}
    return Disk({**dirty, **unreadable.dirty}, missing)


def not_the_content(
    repo: Repository, tracked: Tracked, changes: ChangeSet, listing: Listing, feeds: Feeds = lambda _: True
) -> Disk:
    """Returns the changed paths at which something else than content is on disk, each with the reason.

    These are conflicts, pointers, links that lead nowhere, and submodules that are not checked out or were
    edited.
    """
    changed = {change.path: change.new for change in changes.changes if change.new is not None}
    if not changed:
        return Disk()
    unmerged = {one.path for one in listing.special if one.stage}
    dirty, missing, wrong = {}, {}, _Wrong(repo)
    for path, entry in changed.items():
        out = tracked.out(path) if entry.content == "dvc" else None
        if path in unmerged or (out is not None and out.pointer in unmerged):
            dirty[path] = "its merge conflict is not resolved"
        elif not feeds(path):
            continue
        elif out is None:
            lacks = absent(repo, path, entry.mode)
            if lacks is not None:
                missing[path] = lacks.reason
            elif entry.content == "submodule" and (reason := _edits(repo, path, entry)) is not None:
                dirty[path] = reason
        else:
            # DVC records a folder as a whole, so it is here as a whole or not at all.
            reasons = wrong.of(out)
            if reasons[0] is not None:
                missing[path] = reasons[0]
            elif reasons[1] is not None:
                dirty[path] = reasons[1]
    return Disk(dirty, missing)


def still_there(repo: Repository, changes: ChangeSet, name: str) -> dict[bytes, str]:
    """Returns the deleted paths at which there is a file all the same, for assets to read, with the reason.

    Args:
        name: What they are deleted in.
    """
    gone = (change for change in changes.changes if change.new is None)
    reason = f"it is deleted in {name}, but still on disk"
    return {change.path: reason for change in gone if _is_there(repo, change)}


class _Wrong:
    """Says what is wrong with files and folders of DVC, and looks at each once."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo
        self._found: dict[tuple[bytes, str], tuple[str | None, str | None]] = {}

    def of(self, out: Out) -> tuple[str | None, str | None]:
        """Returns why its content is not here, and why there is more than its content; None if neither."""
        key = (out.dvc.path, out.dvc.identity)
        if key not in self._found:
            from raw_trigger.dvc.data import missing_content, unknown_files

            missing = missing_content(self._repo, out.dvc)
            self._found[key] = missing, None if missing else unknown_files(self._repo, out.dvc)
        return self._found[key]


def _edits(repo: Repository, path: bytes, entry: Entry) -> str | None:
    """Returns how a submodule on disk differs from the commit; None if it does not."""
    commit, quoted = checked_out(repo, path), shlex.quote(show(path))
    if entry.oid.strip("0") and commit != entry.oid:
        return (
            f"{(commit or 'nothing')[:12]} of the submodule is checked out, not {entry.oid[:12]}: "
            f"git submodule update {quoted}, or git add {quoted}"
        )
    changed = edited(repo, path)
    if changed is None:
        return None
    return (
        f"the submodule has edits that are not committed, of {show(changed)}: commit them, or put them away "
        f"with git -C {quoted} stash --include-untracked"
    )


def _is_module(repo: Repository, change: Change) -> bool:
    """Says whether a submodule should be at the path, and no file is there instead."""
    wanted = change.new is not None and change.new.content == "submodule"
    return wanted and not _is_file(repo, change.path)


def _is_there(repo: Repository, change: Change) -> bool:
    """Says whether a deleted path is still on disk. Git leaves a submodule's folder there."""
    if change.old is not None and change.old.content == "submodule":
        return os.path.lexists(_full(repo, change.path) + b"/.git")
    return _is_file(repo, change.path)


def _is_file(repo: Repository, path: bytes) -> bool:
    """Says whether a file is at this very path: one behind a linked folder is another file."""
    full = _full(repo, path)
    if not os.path.lexists(full) or stat.S_ISDIR(os.lstat(full).st_mode):
        return False
    folder = os.path.dirname(full)  # noqa: PTH120
    inside = os.path.realpath(os.fsencode(repo.top))
    return os.path.realpath(folder) == os.path.join(inside, os.path.dirname(path)).rstrip(b"/")  # noqa: PTH118, PTH120


def _full(repo: Repository, path: bytes) -> bytes:
    return os.fsencode(repo.top) + b"/" + path


def moment(repo: Repository) -> int:
    """Returns the file system's own time, in nanoseconds: its clock is coarser than the system's."""
    with tempfile.NamedTemporaryFile(dir=repo.git_dir, prefix="raw-trigger-") as file:
        return os.fstat(file.fileno()).st_ctime_ns


def touched_since(repo: Repository, roots: Sequence[str], since: int, gone: Iterable[bytes]) -> list[bytes]:
    """Returns the files under the roots that were written, renamed or put in place after a :func:`moment`.

    Their content may be as before: whoever read them meanwhile may have read another one. The time of the
    last change of an inode is what no program sets.

    Args:
        gone: Paths that are not there, and may have been meanwhile: those in whose folder something was put
            or taken away are touched too.
    """
    top = os.fsencode(repo.top) + b"/"
    starts = [_full(repo, os.fsencode(root)) if root != "." else top.rstrip(b"/") for root in roots]
    folders = [(start, _folders_moved(start, top) > since) for start in starts]
    found = [path for path in gone if _folder_changed(top + path) > since]
    while folders:
        try:
            folder, was_moved = folders.pop()
            was_moved = was_moved or _moved(folder) > since
            with os.scandir(folder) as listed:
                for one in listed:
                    if one.is_dir(follow_symlinks=False):
                        if one.name != b".git":
                            folders.append((one.path, was_moved))
                    elif was_moved or _changed(one.path) > since:
                        found.append(one.path.removeprefix(top))
        except OSError:
            continue
    return found


def last_change(repo: Repository, path: bytes) -> float:
    """Returns when a file was last changed or renamed, or may have been taken away, in seconds since 1970.

    Of a folder, which is a submodule, the newest file counts.
    """
    full = _full(repo, path)
    found = [_changed(full), _folders_moved(full, os.fsencode(repo.top) + b"/")]
    for folder, folders, names in os.walk(full):
        found += (_changed(os.path.join(folder, name)) for name in (*folders, *names))  # noqa: PTH118
    return max(found) / 1e9


def _changed(path: bytes) -> int:
    """When the file, what a link leads to, or the folder of what is gone was last changed, in nanoseconds."""
    try:
        own = os.lstat(path)
    except OSError:
        return _folder_changed(path)
    changed = own.st_ctime_ns
    if stat.S_ISLNK(own.st_mode):
        with suppress(OSError):
            changed = max(changed, os.stat(path).st_ctime_ns)  # noqa: PTH116
    return changed


def _folders_moved(path: bytes, top: bytes) -> int:
    """When one of the folders above a path was last renamed, in nanoseconds, as far as that shows."""
    found = 0
    while (path := path.rpartition(b"/")[0]).startswith(top):
        found = max(found, _moved(path))
    return found


def _moved(folder: bytes) -> int:
    """When a folder was last renamed, in nanoseconds; 0 where what was put into it since hides that.

    To rename it changes the time of its inode alone: its files are as they were, and so are their times.
    """
    try:
        own = os.lstat(folder)
    except OSError:
        return 0
    return own.st_ctime_ns if own.st_ctime_ns > own.st_mtime_ns else 0


def _folder_changed(path: bytes) -> int:
    """When something was last put into a path's nearest folder, or taken away, in nanoseconds."""
    while path:
        path = path.rpartition(b"/")[0]
        try:
            return os.lstat(path).st_ctime_ns
        except OSError:
            continue
    return 0
