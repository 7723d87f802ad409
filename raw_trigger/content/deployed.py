"""What a deployment that reads a commit's files would not read as desired."""

from __future__ import annotations

from raw_trigger.dvc.tracked import Tracked
from raw_trigger.model.changes import ChangeSet, Entry
from raw_trigger.model.plan import Disk
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository

_UNTOLD = "the deployment does not tell which commit it holds, see `dagster: files` in the README"


def undeployed(repo: Repository, tracked: Tracked, changes: ChangeSet, commit: str | None) -> Disk:
    """Returns the changed paths at which a commit has another content than the desired one, with the reasons.

    Args:
        commit: The name of the commit that the deployment holds; None: it does not tell.
    """
    held = None if commit is None else commit_here(repo, commit)
    if held is None:
        away = f"the deployment holds commit {commit}, which is not in this repository: `git fetch`"
        return Disk({change.path: _UNTOLD if commit is None else away for change in changes.changes})
    wanted: dict[bytes, tuple[bytes, Entry | None]] = {}
    for change in changes.changes:
        pointer = tracked.pointer_of(change.path)
        if pointer is None or pointer == change.path:
            wanted[change.path] = (change.path, change.new)
        else:  # git knows nothing of the data but its pointer file
            wanted[change.path] = (pointer, changes.pointers.get(pointer, _UNCHANGED))
    head = repo.head()
    paths = sorted({path for path, _ in wanted.values()})
    there = diff.entries_at(repo, held, paths)
    committed = {} if head is None or head.commit is None else diff.entries_at(repo, head.commit, paths)
    dirty = {}
    for path, (file, told) in wanted.items():
        entry = committed.get(file) if told is _UNCHANGED else told
        if entry == there.get(file):
            continue
        is_committed = changes.desired.kind == "revision" or entry == committed.get(file)
        dirty[path] = (
            f"the deployment holds commit {held[:12]}, with another version of it: deploy this one"
            if is_committed
            else "it is not committed, and the deployment reads commits"
        )
    return Disk(dirty)


_UNCHANGED = Entry("", "")


def commit_here(repo: Repository, name: str) -> str | None:
    """Returns the id of a commit of this repository; None if there is none of this name."""
    done = repo.git.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return done.stdout.decode().strip() if done.returncode == 0 else None
