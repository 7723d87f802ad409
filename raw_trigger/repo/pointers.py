"""Reads small files in git that stand for content elsewhere: those of Git LFS and git-annex."""

from __future__ import annotations

import re
from dataclasses import dataclass

LFS_SIZE = 1024
"""The most bytes of a Git LFS pointer: Git LFS reads no further."""

CRYPT = b"\0GITCRYPT\0"
"""The first bytes of a file that git-crypt has encrypted."""

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


@dataclass(frozen=True, slots=True)
class LfsPointer:
    """Holds the SHA-256 of the content, and its size in bytes."""

    oid: str
    size: int


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
