"""Reads the pointer files of DVC: which files and folders they stand for."""

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

DVC_FOLDER = ".dvc"
"""The folder that makes the folder above it a DVC project."""

_NOTES = frozenset({"desc", "type", "labels", "meta", "remote", "push", "persist"})
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


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
