"""Finds where the file belongs and what it is about, and writes it: the disk access of ``init``."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from raw_trigger import __version__
from raw_trigger.config.loader import NAMES
from raw_trigger.config.parsing import parse
from raw_trigger.dvc.tracked import Tracked
from raw_trigger.errors import ConfigError, ProjectError, RawTriggerError, UsageError
from raw_trigger.initialize.drafting import draft
from raw_trigger.initialize.finding import code
from raw_trigger.initialize.keys import dimensions
from raw_trigger.initialize.projects import find_project, named_project, relative
from raw_trigger.initialize.values import DATA, Findings, folders_of, joined, shown, words_of
from raw_trigger.install import hooks_folder
from raw_trigger.install.framework import framework_entries, install_advice
from raw_trigger.mapping.rules import RAW
from raw_trigger.model.assets import Catalog, Partitions
from raw_trigger.model.changes import Entry, is_pointer, show, to_bytes
from raw_trigger.model.project import DagsterOptions
from raw_trigger.model.settings import Config
from raw_trigger.project import Busy, DagsterProject
from raw_trigger.project.presence import has_project
from raw_trigger.repo.repository import Repository

PRE_COMMIT = ".pre-commit-config.yaml"

_ROOTS = (*Config().roots, "data/raw", "data/01_raw", "data/0_raw", "raw", "raw_data", "data")
"""Usual names of the raw root, below the project folder, best first."""

_NO_DATA_FOLDERS = frozenset({"doc", "docs", "fixtures", "node_modules", "test", "tests"})

_MOST_ROOTS = 9
"""The most folders that the user is asked to choose from."""


@dataclass(frozen=True, slots=True)
class Place:
    """Says where the file goes and what its root may be.

    ``folder`` is relative to the repository's top, ``""`` for the top itself; so is ``start``, the folder in
    which the command was started. ``listed`` are the files that git knows or does not ignore, ``tracked``
    those that DVC's pointer files stand for. ``roots`` are the candidates relative to ``folder``, best first.
    ``certain`` says that the first of them is the default root, or the one that the user named.
    """

    folder: str
    file: Path
    options: DagsterOptions
    listed: tuple[bytes, ...]
    roots: tuple[str, ...]
    certain: bool
    start: str = ""
    tracked: tuple[bytes, ...] = ()


def find_place(
    repo: Repository,
    start: Path,
    *,
    config_file: Path | None = None,
    root: Path | None = None,
    options: DagsterOptions | None = None,
    ask: bool = True,
) -> Place:
    """Returns where the file belongs and which Dagster project it is about.

    It goes into the folder of the project, or the folder above that has the raw data.

    Args:
        start: The folder the command was started in; what the user named is relative to it.
        config_file: The file to write; None if the user did not name it.
        root: The raw root; None if the user did not name it.
        options: The Dagster project; None if the user did not name it.
        ask: Whether the project will be loaded.

    Raises:
        UsageError: there is a configuration already, the root cannot be one, or there are several projects.
    """
    top, start = repo.top.resolve(), start.resolve()
    listed = _listed(repo)
    pointers, tracked = _tracked(repo, listed)
    listed = tuple(path for path in listed if path not in pointers)
    names = [show(path) for path in (*listed, *tracked)]
    named = options or DagsterOptions()
    _require_there(named, start)
    where = relative(start, top)
    if named == DagsterOptions():
        project = find_project(top, start, names, ask=ask)
    else:
        project = named_project(named, names, top, start)
    if config_file is not None:
        home = (start / config_file).parent.resolve()
        if not home.is_relative_to(top):
            raise UsageError(f"{config_file} is outside the repository {top}")
        file = home / config_file.name
    else:
        named_root = None if root is None else relative((start / root).resolve(), top)
        home = top / _home(where if project is None else project.folder, names, named_root)
        file = home / NAMES[0]
    _require_new(file, top, named=config_file is not None)
    folder = relative(home, top)
    if root is None:
        below = [name[len(folder) + 1 :] for name in names if name.startswith(folder + "/")]
        roots = _candidates(below if folder else names)
    else:
        roots = (_named_root(start / root, home),)
    return Place(
        folder,
        file,
        DagsterOptions() if project is None else project.options(folder),
        listed,
        roots,
        certain=root is not None or roots[:1] == _ROOTS[:1],
        start=where,
        tracked=tracked,
    )


def look(
    repo: Repository,
    place: Place,
    root: str,
    environ: Mapping[str, str],
    *,
    ask: bool = True,
    busy: Busy = nullcontext,
) -> Findings:
    """Returns the files below the root and the assets of the Dagster project.

    Args:
        root: One of the place's roots.
        ask: Whether to load the Dagster project.
        busy: Entered while Dagster starts.

    Raises:
        UsageError: git ignores the root, or its name cannot stand in the file.
        ProjectError: the project cannot be found or loaded.
    """
    full = joined(place.folder, root)
    prefix = b"" if full == "." else to_bytes(full + "/")
    there = (path for path in place.listed if path.startswith(prefix))
    here = {path for path in there if os.path.lexists(os.fsencode(repo.top) + b"/" + path)}
    files = tuple(sorted(here | {path for path in place.tracked if path.startswith(prefix)}))
    if not files and _ignored(repo, full):
        raise UsageError(
            f"git ignores {full}, so nobody can tell what changes in it",
            "take it out of .gitignore, or name another folder with --root",
        )
    file = place.file.relative_to(repo.top.resolve()).as_posix()
    findings = Findings(file, place.folder, root, str(repo.top), files, None, place.options)
    try:
        parse(draft(replace(findings, files=())).text.encode(), file)
    except (ConfigError, UnicodeEncodeError) as error:
        raise UsageError(f"{shown(full)} cannot be the raw root: {error}", "rename the folder") from error
    return replace(findings, catalog=_catalog(repo, place, environ, busy)) if ask else findings


def _catalog(repo: Repository, place: Place, environ: Mapping[str, str], busy: Busy) -> Catalog:
    home = repo.top / place.folder
    project = DagsterProject(
        directory=home,
        options=place.options,
        default_home=repo.private_dir / "dagster_home",
        cache_dir=repo.private_dir / "cache",
        top=repo.top,
        environ=environ,
        busy=busy,
    )
    try:
        return _with_keys(project, project.catalog(fresh=True))
    except ProjectError as error:
        hint = error.hint
        if place.options == DagsterOptions() and not has_project(home):
            hint = "name it: `raw-trigger -m my_project.definitions init`, or `-f` with a file"
        elif "relative import" in error.message and place.options.python_file:
            names = [show(path) for path in place.listed]
            file = posixpath.normpath(posixpath.join(place.folder, place.options.python_file[0]))
            module = code(file, "from . import one", names).module
            hint = f"name it by its module: `raw-trigger -m {module} init`" if module else hint
        hint = f"{hint}; " if hint else ""
        hint += "`raw-trigger init --no-catalog` writes the file without the Dagster project"
        raise ProjectError(error.message, hint, error.detail) from error


def _with_keys(project: DagsterProject, catalog: Catalog) -> Catalog:
    """Returns the catalog with the keys of dynamic partitions that the instance has."""
    parts = {part for one in catalog.assets.values() for _, part in dimensions(one.partitions)}
    keys = project.dynamic_keys(sorted({part.name for part in parts if part.kind == "dynamic" and part.name}))

    def filled(one: Partitions) -> Partitions:
        if one.kind == "dynamic":
            return replace(one, keys=tuple(keys.get(one.name or "", ())))
        return replace(one, dimensions=tuple((name, filled(part)) for name, part in one.dimensions))

    assets = {
        key: one if one.partitions is None else replace(one, partitions=filled(one.partitions))
        for key, one in catalog.assets.items()
    }
    return replace(catalog, assets=assets)


def _tracked(repo: Repository, listed: Sequence[bytes]) -> tuple[set[bytes], tuple[bytes, ...]]:
    """Returns DVC's readable pointer files, and the files that they stand for, as far as known."""
    pointers = [path for path in listed if is_pointer(path)]
    if not pointers:
        return set(), ()
    tracked = Tracked(repo, (".",))
    # The id is never looked up: only what is on disk counts.
    seen = tracked.paths([(path, Entry("100644", "0" * 40)) for path in pointers])
    found = {path: entry for path, entry in seen if path not in pointers}
    read = set(pointers) - {path for path, _ in seen}
    return read, tuple(sorted(path for path, entry in found.items() if not entry.is_folder))


def _require_there(options: DagsterOptions, start: Path) -> None:
    for option, names in (("-f", options.python_file), ("-w", options.workspace)):
        for name in names:
            if not (start / name).is_file():
                raise UsageError(f"{option} {name}: there is no such file", f"it is looked for in {start}")


def _listed(repo: Repository) -> tuple[bytes, ...]:
    """Returns every file that git knows or does not ignore, without hashing any."""
    out = repo.git.run("ls-files", "-z", "-c", "-o", "--exclude-standard", index=True)
    return tuple(sorted({path for path in out.split(b"\0")[:-1] if not path.endswith(b"/")}))


def _ignored(repo: Repository, folder: str) -> bool:
    """Says whether git ignores the files in the folder; ``check-ignore`` takes no literal paths."""
    options = ("-o", "-i", "--exclude-standard", "--directory")
    return bool(repo.git.run("ls-files", "-z", *options, "--", folder, index=True))


def _home(project: str, names: Sequence[str], root: str | None) -> str:
    """Returns the folder of the project or the one above that has the raw data, relative to the top."""
    above = [project]
    while above[-1]:
        above.append(posixpath.dirname(above[-1]))
    if root is not None:
        return next((folder for folder in above if f"{root}/".startswith(f"{folder}/" if folder else "")), "")
    folders = {parent for name in names for parent in folders_of(name)}
    ranks = {
        folder: next((n for n, one in enumerate(_ROOTS) if joined(folder, one) in folders), len(_ROOTS))
        for folder in above
    }
    best = min(above, key=lambda folder: ranks[folder])
    if ranks[best] < len(_ROOTS):
        return best
    for folder in above:
        below = [name[len(folder) + 1 :] if folder else name for name in names if _is_below(name, folder)]
        if _candidates(below):
            return folder
    return project


def _is_below(name: str, folder: str) -> bool:
    return not folder or name.startswith(f"{folder}/")


def _require_new(file: Path, top: Path, *, named: bool) -> None:
    for path in (file,) if named else (file.with_name(name) for name in NAMES):
        if os.path.lexists(path):
            raise UsageError(
                f"{path.relative_to(top)} is there already; nothing was changed",
                "`raw-trigger check` says what it lacks; to begin anew, remove it first",
            )


def _named_root(root: Path, home: Path) -> str:
    root = root.resolve()
    if not root.is_dir():
        raise UsageError(f"--root: {root} is not a folder", "put the raw files there first")
    if not root.is_relative_to(home):
        raise UsageError(
            f"--root: {root} is not below {home}, where raw-trigger.yaml would be written",
            "choose a folder above both: `raw-trigger --config FOLDER/raw-trigger.yaml init --root …`",
        )
    return root.relative_to(home).as_posix()


def _candidates(names: Sequence[str]) -> tuple[str, ...]:
    """Returns folders that look like raw data, by their names or because they hold mostly data files."""
    every: Counter[str] = Counter()
    data: Counter[str] = Counter()
    for name in names:
        is_data = posixpath.splitext(name)[1].lower() in DATA
        for folder in folders_of(name):
            every[folder] += 1
            data[folder] += is_data
    possible = [folder for folder in data if data[folder] and _may_be_root(folder)]
    usual = [root for root in _ROOTS if root in possible]
    raw = sorted(f for f in possible if RAW in words_of(posixpath.basename(f)).split("_"))
    full = {f for f in possible if data[f] * 4 >= every[f] * 3}
    outer = sorted((f for f in full if posixpath.dirname(f) not in full), key=lambda f: (-data[f], f))
    found = list(dict.fromkeys([*usual, *raw, *outer]))
    # Of two folders, one in the other, the inner one is a candidate only if its name says that it is raw.
    kept = [f for f in found if f in usual or f in raw or not any(_inside(f, o) for o in found if o != f)]
    # A folder whose data all lies in an earlier candidate inside it would be the same choice again.
    kept = [
        f
        for n, f in enumerate(kept)
        if not any(o.startswith(f"{f}/") and data[o] == data[f] for o in kept[:n])
    ]
    return tuple(kept[:_MOST_ROOTS])


def _may_be_root(folder: str) -> bool:
    parts = folder.split("/")
    printable = folder.isprintable() and not any(char in folder for char in "*?\\")
    return printable and _NO_DATA_FOLDERS.isdisjoint(parts) and not any(p[0] in ".~" for p in parts)


def _inside(folder: str, other: str) -> bool:
    return folder.startswith(other + "/") or other.startswith(folder + "/")


def create(file: Path, text: str) -> None:
    """Writes the file if there is none.

    Raises:
        UsageError: the file exists.
        RawTriggerError: it cannot be written.
    """
    data = text.encode()
    try:
        with file.open("xb") as opened:
            opened.write(data)
    except FileExistsError as error:
        raise UsageError(f"{file} is there already; nothing was changed") from error
    except OSError as error:
        raise RawTriggerError(
            f"{file} cannot be written: {error.strerror}", "see who owns the folder"
        ) from error


@dataclass(frozen=True, slots=True)
class Offer:
    """Describes a further step that init can take.

    ``otherwise`` says how the user can take it, ``file`` where it is done.
    """

    name: Literal["hooks", "pre-commit", "github"]
    what: str
    question: str
    default: bool
    otherwise: str
    file: Path


def offers(repo: Repository) -> tuple[Offer, ...]:
    """Returns what to offer: the hooks, and a workflow if the repository seems to be on GitHub."""
    return (*_hooks(repo), *_workflows(repo))


def _workflows(repo: Repository) -> tuple[Offer, ...]:
    origin = repo.git.line("config", "--get", "remote.origin.url") or ""
    folder = repo.top / ".github/workflows"
    if (folder / "raw-data.yml").exists() or not (folder.is_dir() or "github.com" in origin):
        return ()
    question = "Write a GitHub workflow that materializes what a pull request or push changes?"
    how = "raw-trigger init --github"
    return (Offer("github", "the GitHub workflow", question, False, how, folder / "raw-data.yml"),)


def _hooks(repo: Repository) -> tuple[Offer, ...]:
    """Returns the offer of git's own hooks, or of the pre-commit framework's if it is in use."""
    framework = repo.top / PRE_COMMIT
    there = framework.exists()
    hooks = Offer(
        "hooks",
        "the git hooks",
        "Install the git hooks, so that changed raw files are materialized on commit and merge?",
        not there,
        "raw-trigger install",
        hooks_folder(repo.top, repo.git_dir),
    )
    if not there:
        return (hooks,)
    entries = framework_entries(f"v{__version__}")
    by_hand = f"add to its repos\n{entries}and {install_advice()}"
    what = f"the entry in {PRE_COMMIT}"
    return (Offer("pre-commit", what, f"Add raw-trigger to {PRE_COMMIT}?", True, by_hand, framework), hooks)
