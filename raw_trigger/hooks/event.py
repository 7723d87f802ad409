"""Tells what a git hook compares. No set of hooks sees every change, so all but pre-commit look at HEAD."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from raw_trigger.dvc.tracked import Tracked
from raw_trigger.errors import RawTriggerError, UsageError
from raw_trigger.model.changes import INDEX, Base, Desired
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository, Revision
from raw_trigger.revisions import recorded, revision_base, revision_desired
from raw_trigger.workspace.workspace import Workspace

NAMES = ("pre-commit", "post-commit", "post-merge", "post-rewrite", "post-checkout", "pre-push")


@dataclass(frozen=True, slots=True)
class HookEvent:
    """Holds the two sides that a hook compares.

    ``name`` is the hook whose work it is: if a rebase has nothing to pick, post-rewrite does not come, and
    the post-checkout at its beginning takes its place. ``starts_anew`` says that the working tree was just
    made: its assets are taken to reflect HEAD.

    Attributes:
        staged: The paths that the commit brings. Other pending paths are done with it, but cannot refuse it.
            None if this is no commit.
        pushed: The paths that a pushed commit brings which is not checked out: only these are looked at, and
            what the disk lacks of them is only reported. None otherwise.
    """

    name: str
    base: Base
    desired: Desired
    staged: frozenset[bytes] | None = None
    pushed: frozenset[bytes] | None = None
    starts_anew: bool = False

    @property
    def refuses(self) -> bool:
        """Says whether git obeys the hook's exit code, so that a failure stops what the user is doing."""
        return self.name in ("pre-commit", "pre-push")


def hook_events(
    workspace: Workspace, name: str, args: Sequence[str], stdin: bytes, environ: Mapping[str, str]
) -> tuple[HookEvent, ...]:
    """Returns what the hook compares: several commits for a push, otherwise one event or none.

    Args:
        args: The arguments that git passed to the hook.
        stdin: The input that git wrote to it (post-rewrite: lines of ``old new``; pre-push: a line for each
            ref).
        environ: pre-commit passes some arguments as variables instead.

    Raises:
        UsageError: there is no such hook.
    """
    repo = workspace.repo
    if name not in NAMES:
        raise UsageError(f"there is no hook '{name}'", f"the hooks are {', '.join(NAMES)}")
    if name == "post-checkout" and _is_file_checkout(args, environ):
        return ()
    head = repo.head()
    if name == "pre-push":
        return tuple(_pushed(workspace, head, args, stdin, environ))
    command = args[0] if args else environ.get("PRE_COMMIT_REWRITE_COMMAND", "")
    if repo.hooks_busy():
        if name == "post-checkout" and _nothing_to_pick(repo):
            name, args = "post-rewrite", ("rebase",)
        elif (name, command) != ("post-rewrite", "rebase"):
            return ()
    if name == "pre-commit":
        return tuple(_staged(workspace, head))
    if head is None:
        return ()
    base = _base(workspace, lambda: _before(workspace, name, args, stdin, environ))
    anew = name == "post-checkout" and not _checked_out_from(args, environ).strip("0")
    return (HookEvent(name, base, revision_desired(head), starts_anew=anew),)


def _staged(workspace: Workspace, head: Revision | None) -> Iterator[HookEvent]:
    repo, desired = workspace.repo, Desired("index", INDEX)
    old = repo.empty_tree if head is None else head.tree
    watched = Tracked(repo, workspace.roots).watched(old, desired)
    staged = frozenset(c.path for c in diff.to_index(repo, old, watched))
    if staged:
        tip = Base("empty", "nothing", None, "") if head is None else revision_base(head, "")
        yield HookEvent("pre-commit", _base(workspace, lambda: tip), desired, staged)


def _pushed(
    workspace: Workspace, head: Revision | None, args: Sequence[str], stdin: bytes, environ: Mapping[str, str]
) -> Iterator[HookEvent]:
    """Yields the commits that a push brings, HEAD first; for a tag its commit, for a deletion nothing."""
    repo = workspace.repo
    told = [line.split(" ") for line in os.fsdecode(stdin).splitlines()]
    refs = [(line[0], line[1], line[3]) for line in told if len(line) == 4]  # noqa: PLR2004
    if not told and "PRE_COMMIT_TO_REF" in environ:
        name = environ.get("PRE_COMMIT_LOCAL_BRANCH", "HEAD")
        refs = [(name, environ["PRE_COMMIT_TO_REF"], environ.get("PRE_COMMIT_FROM_REF", ""))]
    elif not told and not args:
        # Called by hand: git would name the remote, even if nothing is pushed.
        refs = [("HEAD", "HEAD", "")]
    found: dict[str, tuple[Revision, str]] = {}
    for name, oid, before in refs:
        if not oid.strip("0"):
            continue
        with suppress(UsageError):  # a tag may name the content of a file, such as somebody's key
            revision = repo.resolve(oid)[0]
            if revision.commit is not None:
                short = name.removeprefix("refs/heads/").removeprefix("refs/tags/")
                found.setdefault(revision.commit, (replace(revision, name=short), before))
    if head is None:
        return
    if head.commit in found:
        del found[str(head.commit)]
        base = _base(workspace, lambda: _before(workspace, "pre-push", args, b"", environ))
        yield HookEvent("pre-push", base, revision_desired(head))
    for revision, before in found.values():
        old = _known_to_the_remote(repo, revision, before)
        desired = revision_desired(revision)
        watched = Tracked(repo, workspace.roots).watched(old, desired)
        paths = frozenset(c.path for c in diff.between_trees(repo, old, str(desired.oid), watched))
        if paths:
            yield HookEvent(
                "pre-push", _base(workspace, lambda: revision_base(head, "")), desired, pushed=paths
            )


def _known_to_the_remote(repo: Repository, revision: Revision, before: str) -> str:
    """Returns the commit that a pushed one is compared with: the present one of the remote's branch.

    For a new branch, or if that commit is not here, it is where the history left HEAD's.
    """
    if before.strip("0"):
        with suppress(RawTriggerError):
            return repo.resolve(before)[0].tree
    return repo.merge_base(str(revision.commit), "HEAD") or repo.empty_tree


def _base(workspace: Workspace, before: Callable[[], Base]) -> Base:
    found = recorded(workspace.repo, workspace.environment)
    return found or replace(before(), reason="nothing is recorded yet, so what was there before is taken")


def _nothing_to_pick(repo: Repository) -> bool:
    """Says whether a rebase is about to end where it begins: by a fast-forward, or with no commit left."""
    folder = repo.git_dir / "rebase-merge"
    todo = folder / "git-rebase-todo"
    # After it stopped somewhere, a checkout is one of the user.
    return (
        folder.is_dir()
        and not (todo.exists() and todo.stat().st_size)
        and not (folder / "stopped-sha").exists()
    )


def _is_file_checkout(args: Sequence[str], environ: Mapping[str, str]) -> bool:
    return (args[2] if len(args) > 2 else environ.get("PRE_COMMIT_CHECKOUT_TYPE", "1")) == "0"  # noqa: PLR2004


def _checked_out_from(args: Sequence[str], environ: Mapping[str, str]) -> str:
    return args[0] if args else environ.get("PRE_COMMIT_FROM_REF", "")


def _before(
    workspace: Workspace, name: str, args: Sequence[str], stdin: bytes, environ: Mapping[str, str]
) -> Base:
    """Returns where the branch was before the event: needed only while nothing is recorded."""
    candidates: list[str] = []
    if name == "post-checkout":
        old = _checked_out_from(args, environ)
        candidates.append(old if old.strip("0") else "HEAD")
    elif name == "post-merge":
        candidates += ["ORIG_HEAD", "HEAD@{1}", "HEAD^1"]
    elif name == "post-rewrite":
        rewritten = stdin.split()
        candidates += ["ORIG_HEAD"] if (args[:1] or [""])[0] == "rebase" else []
        candidates += [rewritten[0].decode()] if rewritten else []
        candidates += ["HEAD@{1}"]
    else:
        candidates += ["HEAD@{1}", "HEAD^1"]
    for candidate in candidates:
        try:
            return revision_base(workspace.repo.resolve(candidate)[0], "")
        except RawTriggerError:
            # Git fails on `HEAD@{1}` if the branch's log has one entry.
            continue
    return Base("empty", "nothing", None, "")
