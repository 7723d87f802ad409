"""An origin with a history drawn in one line, and clones of it as the runners make them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.conftest import Repo

ROOT = "data/1_raw"
PAYLOADS = Path(__file__).parent / "payloads"
GONE = "dead" * 10
ZEROS = "0" * 40


class World:
    """An origin on a local server path, that may be asked as GitHub may: by id, and for trees only.

    Args:
        history: Commits as ``A: a=1 b=1 | B<A: a=2 b=- | M<B,P: p=1``: name, parents, files below the
            raw root (``-`` deletes). A merge has its first parent's files and those it names.
        refs: Ref below ``refs/`` → commit; ``tags/v1^`` is an annotated tag.
    """

    def __init__(
        self, folder: Path, history: str, refs: Mapping[str, str], object_format: str = "sha1"
    ) -> None:
        self.folder = folder
        self.object_format = object_format
        self.origin = Repo(folder / "origin.git")
        self.origin.top.mkdir(parents=True)
        self.origin.git("init", "-q", "--bare", "-b", "main", f"--object-format={object_format}")
        self.origin.git("config", "uploadpack.allowFilter", "true")
        self.ids = self._import(history)
        for ref, name in refs.items():
            if ref.endswith("^"):
                self.origin.git("tag", "-a", "-m", "x", ref[len("tags/") : -1], self.ids[name])
            else:
                self.origin.git("update-ref", f"refs/{ref}", self.ids[name])

    def _import(self, history: str) -> dict[str, str]:
        marks: dict[str, int] = {}
        stream = []
        for drawn in history.split("|"):
            head, _, files = drawn.partition(":")
            name, _, parents = head.strip().partition("<")
            marks[name] = len(marks) + 1
            stream += [
                f"commit refs/drawn/{name}",
                f"mark :{marks[name]}",
                f"committer Test <test@example.com> {1_700_000_000 + 60 * marks[name]} +0000",
                f"data {len(name)}\n{name}",
            ]
            for i, parent in enumerate(p for p in parents.split(",") if p):
                stream.append(f"{'merge' if i else 'from'} :{marks[parent]}")
            for file in files.split():
                path, _, content = file.partition("=")
                if content == "-":
                    stream.append(f"D {ROOT}/{path}")
                else:
                    stream.append(f"M 100644 inline {ROOT}/{path}\ndata {len(content)}\n{content}")
            stream.append("")
        exported = self.folder / "marks"
        subprocess.run(
            ["git", "fast-import", "--quiet", f"--export-marks={exported}"],
            cwd=self.origin.top,
            input="\n".join(stream).encode() + b"\n",
            check=True,
        )
        by_mark = dict(line.split() for line in exported.read_text().splitlines())
        drawn_refs = "".join(f"delete refs/drawn/{name}\n" for name in marks)
        subprocess.run(
            ["git", "update-ref", "--stdin"], cwd=self.origin.top, input=drawn_refs.encode(), check=True
        )
        return {name: by_mark[f":{mark}"] for name, mark in marks.items()}

    @property
    def url(self) -> str:
        return self.origin.top.as_uri()

    def clone(self, ref: str, name: str, depth: int, where: str = "clone") -> Repo:
        """What actions/checkout makes (v4 to v7 do the same): ``depth`` 0 is ``fetch-depth: 0``.

        Args:
            ref: What is checked out, below ``refs/``.
            name: The commit that it then was.
        """
        clone = Repo(self.folder / where)
        clone.top.mkdir()
        clone.git("init", "-q", "-b", "main", f"--object-format={self.object_format}")
        clone.git("remote", "add", "origin", self.url)
        oid = self.ids[name]
        kind, _, short = ref.partition("/")
        local = {"heads": f"refs/remotes/origin/{short}", "tags": f"refs/tags/{short}"}.get(
            kind, f"refs/remotes/{ref}"
        )
        wants = [f"+{oid}:{local}"]
        if depth == 0:
            wants = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
            if kind not in ("heads", "tags"):
                wants.append(f"+{oid}:{local}")
        limit = [f"--depth={depth}"] if depth else []
        clone.git("fetch", "-q", "--no-tags", "--prune", "--no-recurse-submodules", *limit, "origin", *wants)
        branch = ["-B", short] if kind == "heads" else ["--detach"]
        clone.git("checkout", "-q", "--force", *branch, oid)
        return clone

    def environ(self, event: str, payload: Mapping[str, Any] | None, **variables: str) -> dict[str, str]:
        """A GitHub runner's variables, with commit names in braces replaced by their ids."""
        path = self.folder / "event.json"
        if payload is not None:
            path.write_text(json.dumps(self.filled(payload)))
        given = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(path),
            "GITHUB_REPOSITORY": "Codertocat/Hello-World",
            **variables,
        }
        return {**os.environ, **self.filled(given)}

    def filled(self, value: Any) -> Any:
        """``{A}`` replaced by A's id, ``{A:9}`` by how it begins, everywhere in it."""
        if isinstance(value, str):
            value = re.sub(r"\{(\w+):(\d+)\}", lambda found: self.ids[found[1]][: int(found[2])], value)
            for name, oid in {**self.ids, "GONE": GONE, "ZEROS": ZEROS}.items():
                value = value.replace("{" + name + "}", oid)
            return value
        if isinstance(value, Mapping):
            return {key: self.filled(item) for key, item in value.items()}
        return value


def payload(file: str, **changes: Any) -> dict[str, Any]:
    """A stored payload with these fields set; ``__`` in a name goes one level down."""
    document = json.loads((PAYLOADS / f"{file}.json").read_text())
    for name, value in {"repository__default_branch": "main", **changes}.items():
        *above, last = name.split("__")
        at = document
        for key in above:
            at = at[key]
        assert last in at, f"{file} has no {name}"
        at[last] = value
    return dict(document)


def of_clone(repo: Repo) -> dict[str, bytes]:
    """Everything that a command must leave alone: the working tree and all of ``.git`` but its objects."""
    return dict(_files(repo.top))


def _files(top: Path) -> Iterable[tuple[str, bytes]]:
    for path in sorted(top.rglob("*")):
        name = path.relative_to(top).as_posix()
        if path.is_file() and not name.startswith(".git/objects/"):
            yield name, path.read_bytes()
