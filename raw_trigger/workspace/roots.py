"""Makes sure that git sees the raw roots: an empty answer about a missing folder would be wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from raw_trigger.errors import UsageError
from raw_trigger.mapping.rules import RuleBook
from raw_trigger.model.changes import SUBMODULE_MODE, show, to_bytes
from raw_trigger.model.record import Record
from raw_trigger.model.settings import Config
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.trees import found_at


def require_roots(
    repo: Repository,
    config: Config,
    trees: Sequence[str],
    elsewhere: Callable[[], bool] = lambda: False,
    record: Callable[[], Record | None] = lambda: None,
) -> None:
    """Raises an error unless git can see the raw roots.

    A root that is empty by now is accepted: git keeps no empty folders.

    Args:
        trees: The trees or commits that are looked at.
        elsewhere: Called if git has nothing under a root: says whether something else knows files there.
        record: Called then: returns the record.

    Raises:
        UsageError: a root is missing and never existed, behind a link, in another repository, or ignored by
            git.
    """
    for root in config.roots:
        _require_visible(repo.top, root)
    missing = list(config.roots)
    for tree in trees:
        if missing:
            there = found_at(repo, tree, map(to_bytes, missing))
            missing = [root for root in missing if to_bytes(root) not in there and root != "."]
    if missing and elsewhere():
        return
    for root in missing:
        where = config.file or "there is no raw-trigger.yaml, so the default applies"
        _require_no_submodule(repo, root)
        if not os.path.lexists(repo.top / root):
            if _was_there(repo, root, record()):
                continue
            raise UsageError(
                f"the raw root '{root}' is not there ({where})",
                "put the raw files there, or set `root:` in raw-trigger.yaml",
            )
        if repo.git.attempt("check-ignore", "-q", "--", root, index=True, literal=False).returncode == 0:
            raise UsageError(
                f"git ignores the raw root '{root}' ({where})", "see `git check-ignore -v " + root + "`"
            )


def _was_there(repo: Repository, root: str, record: Record | None) -> bool:
    """Says whether the root is known from before: then its last file was deleted, and it is not misspelt."""
    rules = None if record is None else record.rules
    if record is not None and (rules is None or root + "/" in RuleBook.described(rules).roots):
        return True
    return bool(repo.git.line("rev-list", "-1", "HEAD", "--", root))


def _require_no_submodule(repo: Repository, root: str) -> None:
    """Raises an error if the root is in a submodule that is not checked out."""
    parts = PurePosixPath(root).parts
    above = ["/".join(parts[:i]) for i in range(1, len(parts) + 1)]
    for path, entry in diff.index_paths(repo, above):
        if entry.mode == SUBMODULE_MODE and show(path) in above:
            raise UsageError(
                f"the raw root '{root}' is in the submodule '{show(path)}', which is not checked out here",
                f"check it out (git submodule update --init {show(path)}) and run raw-trigger there: "
                f"raw-trigger -C {show(path)} …",
            )


def _require_visible(top: Path, root: str) -> None:
    """Raises an error if the root is behind a link or in another repository, where git does not look."""
    parts = PurePosixPath(root).parts
    for i in range(1, len(parts) + 1):
        folder = top.joinpath(*parts[:i])
        shown = "/".join(parts[:i])
        if folder.is_symlink():
            raise UsageError(
                f"the raw root '{root}' is behind the symbolic link '{shown}', where git does not look",
                f"name the folder that it leads to, {os.path.realpath(folder)}, if it is in this repository",
            )
        if root != "." and (folder / ".git").exists():
            raise UsageError(
                f"the raw root '{root}' is in another repository, '{shown}': git does not look there",
                f"run raw-trigger there: raw-trigger -C {shown} …",
            )


def spellings(repo: Repository, roots: Sequence[str], name: str, start: Path) -> tuple[str, ...]:
    """Returns the paths that a name may mean, relative to the repository's top.

    The name may be relative to where the command was started, to the top, or to a raw root.
    """
    top = os.path.realpath(repo.top)
    folder, last = os.path.split(os.path.normpath(os.path.join(os.path.realpath(start), name)))  # noqa: PTH118
    here = os.path.relpath(os.path.join(os.path.realpath(folder), last), top)  # noqa: PTH118
    others = () if os.path.isabs(name) else (name, *(f"{root}/{name}" for root in roots))  # noqa: PTH117
    every = (os.path.normpath(path) for path in (here, *others))
    return tuple(dict.fromkeys(path for path in every if path != ".." and not path.startswith("../")))
