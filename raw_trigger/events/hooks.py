"""What a git hook compares. No set of hooks sees every change, so all but pre-commit just look at HEAD."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from raw_trigger.errors import RawTriggerError, UsageError
from raw_trigger.events.revisions import recorded, revision_base, revision_desired
from raw_trigger.model.changes import INDEX, Base, Desired
from raw_trigger.repo import diff
from raw_trigger.repo.repository import Repository
from raw_trigger.repo.tracked import Tracked
from raw_trigger.workspace import Workspace

NAMES = ("pre-commit", "post-commit", "post-merge", "post-rewrite", "post-checkout", "pre-push")


@dataclass(frozen=True, slots=True)
class HookEvent:
    """The two sides, and for pre-commit the paths that are staged: it looks at no others.

    ``name`` is the hook whose work it is: where a rebase has nothing to pick, post-rewrite does not
    come, and the post-checkout at its beginning takes its place. ``starts_anew`` says that the working
    tree was just made: its assets are taken to reflect HEAD.
    """

    name: str
    base: Base
    desired: Desired
    only: frozenset[bytes] | None = None
    starts_anew: bool = False

    @property
    def refuses(self) -> bool:
        """Whether git heeds the hook's exit code, so that a failure stops what the user is doing."""
        return self.name in ("pre-commit", "pre-push")


def hook_event(
    workspace: Workspace, name: str, args: Sequence[str], stdin: bytes, environ: Mapping[str, str]
) -> HookEvent | None:
    """What the hook is to compare; None if it has nothing to look at.

    Args:
        args: What git passed to the hook.
        stdin: What git wrote to it (post-rewrite: lines of ``old new``).
        environ: pre-commit passes some arguments as variables instead.

    Raises:
        UsageError: there is no such hook.
    """
    repo = workspace.repo
    if name not in NAMES:
        raise UsageError(f"there is no hook '{name}'", f"the hooks are {', '.join(NAMES)}")
    if name == "post-checkout" and _is_file_checkout(args, environ):
        return None
    head = repo.head()
    command = args[0] if args else environ.get("PRE_COMMIT_REWRITE_COMMAND", "")
    if repo.hooks_busy():
        if name == "post-checkout" and _nothing_to_pick(repo):
            name, args = "post-rewrite", ("rebase",)
        elif name != "pre-push" and (name, command) != ("post-rewrite", "rebase"):
            return None
    if name == "pre-commit":
        old = repo.empty_tree if head is None else head.tree
        watched = Tracked(repo, workspace.roots).watched(old, Desired("index", INDEX))
        staged = frozenset(c.path for c in diff.to_index(repo, old, watched))
        if not staged:
            return None
        tip = Base("empty", "nothing", None, "") if head is None else revision_base(head, "")
        return HookEvent(name, _base(workspace, lambda: tip), Desired("index", INDEX), staged)
    if head is None:
        return None
    base = _base(workspace, lambda: _before(workspace, name, args, stdin, environ))
    anew = name == "post-checkout" and not _checked_out_from(args, environ).strip("0")
    return HookEvent(name, base, revision_desired(head), starts_anew=anew)


def _base(workspace: Workspace, before: Callable[[], Base]) -> Base:
    found = recorded(workspace.repo, workspace.environment)
    return found or replace(before(), reason="nothing is recorded yet, so what was there before is taken")


def _nothing_to_pick(repo: Repository) -> bool:
    """Whether a rebase is about to end where it begins: it fast-forwards, or has dropped all its commits."""
    folder = repo.git_dir / "rebase-merge"
    todo = folder / "git-rebase-todo"
    # Once it has stopped somewhere, a checkout is the user's own.
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
    """Where the branch stood before the event: needed only while nothing is recorded."""
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
            # `HEAD@{1}` of a branch with one entry is an error of its own.
            continue
    return Base("empty", "nothing", None, "")
