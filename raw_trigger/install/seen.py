"""The marker: what was last looked at. A hook compares HEAD with it before it starts anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from raw_trigger.dvc.outs import DVC_FOLDER, folders_above
from raw_trigger.install.atomic import replace_file

_OPTIONS = ("-c", "core.quotePath=true", "--literal-pathspecs", "ls-tree", "--full-tree")
_POINTERS = (b".dvc", b'.dvc"', b"\tdvc.lock", b"/dvc.lock", b'/dvc.lock"')
"""Ends of the lines of ``ls-tree``; a name that git quotes ends in a quote."""


def pathspecs(roots: Sequence[str], config_files: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the raw roots and the configuration files as pathspecs.

    With a slash at a root's end git would list the content of the folder instead of the folder.
    """
    return tuple(root.rstrip("/") or "." for root in roots), tuple(config_files)


def seen_command(
    roots: Sequence[str], config_files: Sequence[str], revision: str = "HEAD"
) -> tuple[str, ...]:
    """Returns the arguments of the git command whose output the marker holds.

    ``hooks/raw-trigger.sh`` runs the same command.

    Args:
        roots: Raw roots relative to the repository's top.
        config_files: The configuration files, relative to the same.
        revision: The commit that was looked at.
    """
    wanted, config = pathspecs(roots, config_files)
    return (*_OPTIONS, revision, "--", *wanted, *config)


def pointers_command(roots: Sequence[str], revision: str = "HEAD") -> tuple[str, ...] | None:
    """Returns the same for the folders above the roots, whose DVC files :func:`only_pointers` selects.

    None if there are no such folders.
    """
    folders = [folder or "." for folder in folders_above(roots)]
    if not folders:
        return None
    return (*_OPTIONS, revision, "--", *folders)


def only_pointers(listed: bytes) -> bytes:
    """Returns the lines of files that may be DVC's; ``hooks/raw-trigger.sh`` selects the same."""
    return b"".join(
        line + b"\n" for line in listed.split(b"\n") if b" blob " in line and line.endswith(_POINTERS)
    )


def uses_dvc(top: Path, roots: Sequence[str]) -> bool:
    """Says whether a folder above a root belongs to DVC, so that its pointer files count."""
    return any((top / folder / DVC_FOLDER).is_dir() for folder in folders_above(roots))


def seen_now(
    top: Path,
    roots: Sequence[str],
    config_files: Sequence[str],
    run: Callable[[Sequence[str]], bytes | None],
    revision: str = "HEAD",
) -> bytes | None:
    """Returns the marker's present content; None if git fails.

    Args:
        run: Returns git's output for these arguments, None if it fails.
    """
    told = run(seen_command(roots, config_files, revision))
    command = pointers_command(roots, revision) if told is not None and uses_dvc(top, roots) else None
    if told is None or command is None:
        return told
    listed = run(command)
    return None if listed is None else told + only_pointers(listed)


def seen_file(git_dir: Path) -> Path:
    """Returns the path of a working tree's marker; ``git_dir`` is that working tree's own."""
    return git_dir / "raw-trigger" / "seen"


def is_touched(listing: bytes, everything: bytes, seen: bytes | None, wanted: Sequence[str]) -> bool:
    """Says whether anything of one project differs from when it was last looked at.

    Args:
        listing: The output of :func:`seen_command` for the project.
        everything: The same for all projects together.
        seen: The marker; None if there is none.
        wanted: The project's roots and configuration files.
    """
    if seen is None:
        return True
    now, known = set(listing.splitlines()), set(seen.splitlines())
    if now - known:
        return True
    # A path that is gone may have been this project's if one of its paths is missing.
    gone = _names(known) - _names(everything.splitlines())
    if any((b"\t" + name).endswith(_POINTERS) for name in gone):
        return True
    present = [line for line in now if not line.endswith(_POINTERS)]
    return bool(gone) and ("." in wanted or len(present) < len(wanted))


def _names(lines: Iterable[bytes]) -> set[bytes]:
    return {line.partition(b"\t")[2] for line in lines}


def read_seen(git_dir: Path) -> bytes | None:
    """Returns the marker's content; None if nothing was looked at yet."""
    try:
        return seen_file(git_dir).read_bytes()
    except FileNotFoundError:
        return None


def forget_seen(git_dir: Path) -> None:
    """Deletes the marker, so that the next hook looks at everything."""
    with suppress(OSError):
        seen_file(git_dir).unlink()


def write_seen(git_dir: Path, content: bytes) -> None:
    """Writes the marker: exactly the output of :func:`seen_command`.

    If it cannot be written, the next hooks take longer: they look for themselves.
    """
    path = seen_file(git_dir)
    try:
        path.parent.mkdir(exist_ok=True)
        replace_file(path, content, 0o644)
    except OSError:
        # After a switch back to the state that the old marker describes, hooks would see nothing to do.
        forget_seen(git_dir)
