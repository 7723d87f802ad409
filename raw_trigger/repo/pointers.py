"""Reads small files in git that stand for content elsewhere: those of Git LFS, git-annex and DVC."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from raw_trigger.documents import load_yaml
from raw_trigger.model.changes import DVC_LOCK, show, to_bytes

LFS_SIZE = 1024
"""The most bytes of a Git LFS pointer: Git LFS reads no further."""

CRYPT = b"\0GITCRYPT\0"
"""The first bytes of a file that git-crypt has encrypted."""

DVC_FOLDER = ".dvc"
"""The folder that makes the folder above it a DVC project."""

_END = rb"\r?\n(?:\r?\n)*"
_EXTENSIONS = rb"(?:ext-[0-9]-\w\S* [^\n]*" + _END + rb")*"
_LFS = re.compile(
    _EXTENSIONS
    + rb"version (?:https://git-lfs\.github\.com/spec/v1|https://hawser\.github\.com/spec/v1|http://git-media\.io/v/2)"
    + (_END + _EXTENSIONS)
    + rb"oid sha256:([0-9a-f]{64})"
    + (_END + _EXTENSIONS)
    + rb"size ([0-9]+)"
)
_ANNEX = re.compile(rb"(?:(?:\.\./)*\.git(?:/[^\n]*)?)?/annex/objects/[^\n]*--[^\n]*")
_NOTES = frozenset({"desc", "type", "labels", "meta", "remote", "push", "persist"})
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True, slots=True)
class LfsPointer:
    """Holds the SHA-256 of the content, and its size in bytes."""

    oid: str
    size: int


@dataclass(frozen=True, slots=True)
class DvcOut:
    """Describes one file or folder that a ``.dvc`` file stands for.

    Attributes:
        path: Relative to the repository's top, exact bytes.
        md5: Of the content, or of the list of a folder's files; None if DVC identifies it otherwise.
        size: In bytes, all files of a folder together; None if unknown.
        folder: Whether it is a folder.
        identity: The MD5, else a digest of DVC's other identification; it differs for another content.
        as_unix: Whether DVC may have converted line ends to Unix's before it hashed text, as before version
            3.
    """

    path: bytes
    md5: str | None
    size: int | None
    folder: bool
    as_unix: bool
    identity: str


def folders_above(roots: Iterable[str]) -> list[str]:
    """Returns the folders above the raw roots, with a slash at the end; the top is the empty text."""
    found = set()
    for root in roots:
        parts = root.split("/")[:-1]
        for length in range(len(parts) + 1) if root != "." else ():
            found.add("".join(part + "/" for part in parts[:length]))
    return sorted(found)


def escaped(folder: str) -> str:
    """Returns the folder, escaped for a glob pattern of git."""
    return "".join("\\" + char if char in "*?[\\" else char for char in folder)


def lfs_pointer(content: bytes) -> LfsPointer | None:
    """Returns the pointer; None if this is content.

    Git LFS reads more than it writes: line ends of Windows, blank lines, the addresses of its forerunners.
    See https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md and ``lfs/pointer.go`` there.
    """
    match = _LFS.fullmatch(content.strip())
    return None if match is None else LfsPointer(match[1].decode(), int(match[2]))


def is_annex_pointer(begin: bytes) -> bool:
    """Says whether a file that begins so is a git-annex pointer whose content is not here.

    This is an unlocked file, or a locked one where git cannot make links. See
    https://git-annex.branchable.com/internals/pointer_file.
    """
    return _ANNEX.match(begin) is not None


def dvc_outs(
    content: bytes, path: bytes, wdirs: Mapping[str, str] = MappingProxyType({})
) -> tuple[DvcOut, ...]:
    """Returns the files and folders that a ``.dvc`` file or ``dvc.lock`` stands for.

    Files outside the repository and files that DVC leaves to git (``cache: false``) are left out.

    Args:
        path: Of the file, relative to the repository's top.
        wdirs: Stage of a ``dvc.lock`` → the folder that its paths are relative to.

    Raises:
        ValueError: it cannot be read as such a file; the text says why.

    See https://dvc.org/doc/user-guide/project-structure/dvc-files.
    """
    document = load_yaml(content)
    if not isinstance(document, dict):
        raise ValueError("it is no mapping")  # noqa: TRY004
    folder = posixpath.dirname(show(path))
    stages = {"": document}
    if path.rpartition(b"/")[2] == DVC_LOCK:
        # Version 1 of the format had the stages at the left margin.
        listed = document.get("stages", document)
        found_stages = listed.items() if isinstance(listed, dict) else ()
        stages = {str(name): stage for name, stage in found_stages if isinstance(stage, dict)}
    found = (
        # A stage made by `foreach` or `matrix` has a name such as `train@first`.
        _out(out, posixpath.join(folder, str(stage.get("wdir", wdirs.get(name.partition("@")[0], ".")))))
        for name, stage in stages.items()
        for out in (stage["outs"] if isinstance(stage.get("outs"), list) else ())
        if isinstance(out, dict)
    )
    return tuple(out for out in found if out is not None)


def stage_folders(content: bytes) -> dict[str, str]:
    """Returns the working folders of the stages in a ``dvc.yaml``: its ``dvc.lock`` does not name them."""
    try:
        stages = load_yaml(content)["stages"]
        each = {str(name): stage.get("do", stage) for name, stage in stages.items()}
        return {name: str(stage["wdir"]) for name, stage in each.items() if "wdir" in stage}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _out(out: dict[str, object], folder: str) -> DvcOut | None:
    name = out.get("path")
    if not isinstance(name, str) or not name or out.get("cache") is False or "://" in name:
        return None
    path = posixpath.normpath(posixpath.join(folder, name))
    if path.startswith(("/", "../")):
        return None
    md5, size = out.get("md5"), out.get("size")
    known = md5 if isinstance(md5, str) and _MD5.fullmatch(md5) else None
    return DvcOut(
        path=to_bytes(path),
        md5=known,
        size=size if isinstance(size, int) else None,
        folder=(known is not None and known.endswith(".dir")) or "nfiles" in out,
        as_unix=out.get("hash") != "md5",
        identity=known or _digest(out),
    )


def _digest(out: dict[str, object]) -> str:
    """Returns a digest of everything except what a person writes about the file."""
    told = {key: value for key, value in out.items() if key not in _NOTES}
    return hashlib.sha1(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:32]
