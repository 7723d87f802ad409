"""Finds the projects of a repository: one for each ``raw-trigger.yaml``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from raw_trigger.config import Config, find_config, load_config
from raw_trigger.config.loader import NAMES
from raw_trigger.errors import ConfigError, UsageError
from raw_trigger.model.settings import folder_name, own_environment
from raw_trigger.project.presence import has_project
from raw_trigger.repo.git import failed
from raw_trigger.repo.repository import Repository

_DEFAULT = Path("data", "1_raw")


@dataclass(frozen=True, slots=True)
class Place:
    """Holds a project's folder relative to the repository's top (``""`` for the top) and its configuration.

    ``file`` is absolute, None if the defaults apply. ``single`` says that the user named it or that it is the
    only project, so that messages need not name it.
    """

    folder: str
    file: Path | None = None
    single: bool = False

    @property
    def name(self) -> str:
        """Returns the project's name, which ``--project`` takes."""
        return self.folder or "."


def all_places(repo: Repository) -> tuple[Place, ...]:
    """Returns every project of the repository, by folder; none if there is no configuration.

    These are the projects whose configuration is tracked or not ignored, and with them one at the top that
    needs no configuration.

    Raises:
        GitError: git cannot tell.
    """
    # Of two configurations in a folder either will do: opening it raises an error that names both.
    files: dict[str, Path | None] = {
        name.rpartition("/")[0]: repo.top / name for name in _listed(repo, untracked=True)
    }
    if files and "" not in files and _is_default(repo.top):
        files[""] = None
    return tuple(Place(folder, files[folder], single=len(files) == 1) for folder in sorted(files))


def named_place(repo: Repository, named: Path) -> Place:
    """Returns the project that ``--project`` names.

    Args:
        named: Its folder.

    Raises:
        UsageError: there is none.
    """
    top, home = repo.top.resolve(), named.resolve()
    if not home.is_dir() or not home.is_relative_to(top):
        raise UsageError(f"--project: {named} is not a folder of this repository")
    file = find_config(home, top)
    place = Place(_relative(home, top), None if file is None or file.parent != home else file, single=True)
    if place.file is None and not (home / _DEFAULT).is_dir():
        raise UsageError(f"--project: {place.name} has neither {NAMES[0]} nor {_DEFAULT.as_posix()}")
    return place


def places_from(repo: Repository, start: Path) -> tuple[Place, ...]:
    """Returns the projects that a command started in a folder is about.

    This is the nearest project at or above the folder, else those below it, else the defaults.

    Raises:
        GitError: git cannot tell.
        ConfigError: a folder has two configurations.
    """
    top, start = repo.top.resolve(), start.resolve()
    start = start if start.is_relative_to(top) else top
    found = find_config(start, top)
    if found is not None:
        return (Place(_relative(found.parent, top), found, single=True),)
    nearest = next((folder for folder in _upwards(start, top) if (folder / _DEFAULT).is_dir()), top)
    if nearest == top and not _is_default(top):
        inside = _relative(start, top)
        further = [place for place in all_places(repo) if not inside or _is_below(place.folder, inside)]
        if further:
            return tuple(replace(place, single=len(further) == 1) for place in further)
    return (Place(_relative(nearest, top), single=True),)


def that_holds(places: Sequence[Place], paths: Sequence[str]) -> Place | None:
    """Returns the innermost of several projects that contains all of these paths; None if there is none.

    Args:
        paths: Relative to the repository's top.
    """
    deepest = sorted(places, key=lambda place: len(place.folder), reverse=True)
    found = {
        next((place for place in deepest if not place.folder or _is_below(path, place.folder)), None)
        for path in paths
    }
    return found.pop() if len(found) == 1 else None


def several(places: Sequence[Place], hint: str | None = None) -> UsageError:
    """Returns the error that asks the user to name one project."""
    named = ", ".join(place.name for place in places)
    return UsageError(
        f"there are {len(places)} projects here: {named}",
        hint or f"name one of them: raw-trigger --project {places[-1].name} …",
    )


def require_own_environment(repo: Repository, config: Config, names: Sequence[str]) -> None:
    """Raises an error if another project of the repository names one of these environments as its own.

    Two projects with one environment would take each other's record for theirs.

    Raises:
        ConfigError: another project does.
    """
    for other in _others(repo, config):
        taken = [name for name in names if name in _named(other)]
        if taken:
            end = folder_name(config.folder) if config.folder else "top"
            raise ConfigError(
                f"{config.file}: the environment '{taken[0]}' is also that of {other.file}, and each project "
                "has a record of its own",
                f"give it another name in one of the two, such as {taken[0]}-{end}",
            )


def environments_of_others(repo: Repository, config: Config) -> Callable[[str], bool]:
    """Returns a function that says whether an environment belongs to another project of this repository.

    Raises:
        GitError: git cannot tell.
    """
    others = list(_others(repo, config))
    named = {name for other in others for name in _named(other)}
    local = {own_environment(other) for other in others if other.environment is None}
    own = {*_named(config), own_environment(config)}

    def is_foreign(name: str) -> bool:
        return name not in own and (name in named or name.partition("--")[0] in local)

    return is_foreign


def _named(config: Config) -> list[str]:
    return [
        *([config.environment] if config.environment else []),
        *(name for name, _ in config.ci_environments),
    ]


def _others(repo: Repository, config: Config) -> Iterator[Config]:
    for name in _listed(repo, untracked=False):
        if name != config.file:
            # Whoever works with the other project gets its error.
            with suppress(ConfigError):
                yield load_config(repo.top / name, repo.top, repo.shared_dir / "cache")


def _listed(repo: Repository, *, untracked: bool) -> list[str]:
    """Returns the configurations on disk, relative to the top."""
    further = ("-o", "--exclude-standard") if untracked else ()
    wanted = [f":(top,glob)**/{name}" for name in NAMES]
    done = repo.git.attempt("ls-files", "-z", "-c", *further, "--", *wanted, index=True, literal=False)
    if done.returncode != 0:
        raise failed("ls-files", done.returncode, done.stderr)
    names = sorted({os.fsdecode(name) for name in done.stdout.split(b"\0")[:-1]})
    return [name for name in names if os.path.lexists(repo.top / name)]


def staged_configurations(repo: Repository, *further: str) -> dict[str, bytes]:
    """Returns the configurations that differ between HEAD and the index, with their content in the index.

    Args:
        further: Other names of configurations, relative to the top.

    Raises:
        GitError: git cannot tell.
    """
    head = repo.head()
    wanted = [*(f":(top,glob)**/{name}" for name in NAMES), *(f":(top,literal){name}" for name in further)]
    options = ("-z", "--cached", "--no-renames", "--diff-filter=d", "--ita-invisible-in-index")
    tree = repo.empty_tree if head is None else head.tree
    done = repo.git.attempt("diff-index", *options, tree, "--", *wanted, index=True, literal=False)
    if done.returncode != 0:
        raise failed("diff-index", done.returncode, done.stderr)
    fields = done.stdout.split(b"\0")[:-1]
    found = {}
    for meta, name in zip(fields[::2], fields[1::2], strict=True):
        _, mode, _, oid, _ = meta.decode().split(" ")
        if mode.startswith("100"):  # the index has no content of what a link leads to
            found[os.fsdecode(name)] = repo.git.run("cat-file", "blob", oid)
    return found


def _is_default(top: Path) -> bool:
    """Says whether there is a project at the top that needs no configuration."""
    return (top / _DEFAULT).is_dir() and has_project(top)


def _relative(folder: Path, top: Path) -> str:
    return "" if folder == top else folder.relative_to(top).as_posix()


def _upwards(start: Path, top: Path) -> Iterator[Path]:
    for folder in (start, *start.parents):
        yield folder
        if folder == top:
            return


def _is_below(folder: str, above: str) -> bool:
    return folder == above or folder.startswith(f"{above}/")


_OWN = "git:"


def named_instance(repo: Repository, home: Path) -> str:
    """Returns what a record names the Dagster instance with this home by.

    One in the git directory is named from there: the repository may be moved.
    """
    real = home.resolve()
    common = repo.common_dir.resolve()
    return f"{_OWN}{real.relative_to(common)}" if real.is_relative_to(common) else str(real)


def is_address(name: str) -> bool:
    """Says whether an instance is named by the address of its webserver."""
    return name.startswith(("http://", "https://"))


def shown_instance(repo: Repository, name: str) -> str:
    """Returns the home of an instance that :func:`named_instance` has named."""
    return str(repo.common_dir / name.removeprefix(_OWN)) if name.startswith(_OWN) else name
