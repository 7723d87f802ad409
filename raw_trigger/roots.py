"""Whether there is anything to see below the raw roots: an empty answer about nowhere would be a lie."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from raw_trigger.errors import UsageError
from raw_trigger.model.changes import show
from raw_trigger.model.settings import Config
from raw_trigger.repo.repository import Repository


def require_roots(
    repo: Repository, config: Config, trees: Sequence[str], elsewhere: Callable[[], bool] = lambda: False
) -> None:
    """Make sure that git can see the raw roots.

    Args:
        trees: The trees or commits that are looked at.
        elsewhere: Asked where git has nothing under a root: whether files there are told of elsewhere.

    Raises:
        UsageError: a root is nowhere, behind a link, in another repository, or ignored by git.
    """
    for root in config.roots:
        _require_visible(repo.top, root)
    missing = list(config.roots)
    for tree in trees:
        if missing:
            out = repo.git.run("ls-tree", "-z", "--name-only", "--full-tree", tree, "--", *missing)
            there = {show(name) for name in out.split(b"\0")}
            missing = [root for root in missing if root not in there and root != "."]
    if missing and elsewhere():
        return
    for root in missing:
        where = config.file or "there is no raw-trigger.yaml, so the default applies"
        if not os.path.lexists(repo.top / root):
            raise UsageError(
                f"the raw root '{root}' is not there ({where})",
                "put the raw files there, or set `root:` in raw-trigger.yaml",
            )
        if repo.git.attempt("check-ignore", "-q", "--", root, index=True, literal=False).returncode == 0:
            raise UsageError(
                f"git ignores the raw root '{root}' ({where})", "see `git check-ignore -v " + root + "`"
            )


def _require_visible(top: Path, root: str) -> None:
    """Git looks neither behind symbolic links nor into other repositories."""
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
