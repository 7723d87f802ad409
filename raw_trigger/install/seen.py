"""The marker of what was last looked at, which the hooks compare HEAD with before they start anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from raw_trigger.install.atomic import replace_file


def pathspecs(roots: Sequence[str], config_files: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The raw roots and the configuration files as git is asked about them.

    A slash at a root's end would make git list what is in the folder instead of the folder.
    """
    return tuple(root.rstrip("/") or "." for root in roots), tuple(config_files)


def seen_command(
    roots: Sequence[str], config_files: Sequence[str], revision: str = "HEAD"
) -> tuple[str, ...]:
    """Arguments of the git command whose output the marker holds; ``hooks/raw-trigger.sh`` runs the same.

    Args:
        roots: Raw roots relative to the repository's top.
        config_files: The configuration files, relative to the same.
        revision: The commit that was looked at.
    """
    wanted, config = pathspecs(roots, config_files)
    options = ("-c", "core.quotePath=true", "--literal-pathspecs", "ls-tree", "--full-tree")
    return (*options, revision, "--", *wanted, *config)


def seen_file(git_dir: Path) -> Path:
    """Where the marker of a working tree is; ``git_dir`` is that working tree's own."""
    return git_dir / "raw-trigger" / "seen"


def is_touched(listing: bytes, everything: bytes, seen: bytes | None, wanted: Sequence[str]) -> bool:
    """Whether anything of one project is not as it was last looked at.

    Args:
        listing: What :func:`seen_command` gives for the project.
        everything: The same for all projects together.
        seen: The marker.
        wanted: The project's roots and configuration files.
    """
    if seen is None:
        return True
    now, known = set(listing.splitlines()), set(seen.splitlines())
    if now - known:
        return True
    # What is gone may be this project's where it lacks something.
    gone = _names(known) - _names(everything.splitlines())
    return bool(gone) and ("." in wanted or len(now) < len(wanted))


def _names(lines: Iterable[bytes]) -> set[bytes]:
    return {line.partition(b"\t")[2] for line in lines}


def read_seen(git_dir: Path) -> bytes | None:
    """The marker's content; None where nothing was looked at yet."""
    try:
        return seen_file(git_dir).read_bytes()
    except FileNotFoundError:
        return None


def forget_seen(git_dir: Path) -> None:
    """Have the next hook look, whatever was looked at before."""
    with suppress(OSError):
        seen_file(git_dir).unlink()


def write_seen(git_dir: Path, content: bytes) -> None:
    """Write the marker: exactly the output of :func:`seen_command`.

    Where it cannot be written the next hooks look for themselves, which only takes them longer.
    """
    path = seen_file(git_dir)
    try:
        path.parent.mkdir(exist_ok=True)
        replace_file(path, content, 0o644)
    except OSError:
        # An older one would say of what was there before that nothing came since.
        forget_seen(git_dir)
