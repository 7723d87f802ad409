"""The marker of what was last looked at, which the hooks compare HEAD with before they start anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from raw_trigger.install.atomic import replace_file
from raw_trigger.repo.pointers import DVC_FOLDER, folders_above

_OPTIONS = ("-c", "core.quotePath=true", "--literal-pathspecs", "ls-tree", "--full-tree")
_POINTERS = (b".dvc", b'.dvc"', b"\tdvc.lock", b"/dvc.lock", b'/dvc.lock"')
"""Ends of git's lines; names that it quotes end in a quote."""


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
    return (*_OPTIONS, revision, "--", *wanted, *config)


def pointers_command(roots: Sequence[str], revision: str = "HEAD") -> tuple[str, ...] | None:
    """The same for what stands in the folders above the roots, of which :func:`only_pointers` counts.

    None where there are no such folders.
    """
    folders = [folder or "." for folder in folders_above(roots)]
    if not folders:
        return None
    return (*_OPTIONS, revision, "--", *folders)


def only_pointers(listed: bytes) -> bytes:
    """The lines of files that may be DVC's; ``hooks/raw-trigger.sh`` takes the same."""
    return b"".join(
        line + b"\n" for line in listed.split(b"\n") if b" blob " in line and line.endswith(_POINTERS)
    )


def uses_dvc(top: Path, roots: Sequence[str]) -> bool:
    """Whether a pointer file in a folder above a root can be one."""
    return any((top / folder / DVC_FOLDER).is_dir() for folder in folders_above(roots))


def seen_now(
    top: Path,
    roots: Sequence[str],
    config_files: Sequence[str],
    run: Callable[[Sequence[str]], bytes | None],
    revision: str = "HEAD",
) -> bytes | None:
    """What the marker would hold now; None if git does not say.

    Args:
        run: Gives what git says to these arguments, None if it fails.
    """
    told = run(seen_command(roots, config_files, revision))
    command = pointers_command(roots, revision) if told is not None and uses_dvc(top, roots) else None
    if told is None or command is None:
        return told
    listed = run(command)
    return None if listed is None else told + only_pointers(listed)


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
    if any((b"\t" + name).endswith(_POINTERS) for name in gone):
        return True
    present = [line for line in now if not line.endswith(_POINTERS)]
    return bool(gone) and ("." in wanted or len(present) < len(wanted))


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
