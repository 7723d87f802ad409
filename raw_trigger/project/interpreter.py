"""Finds the Python that has the user's Dagster.

The interpreter that runs us is often another one: under pre-commit it is an isolated environment. If the disk
shows for certain whether an environment has Dagster, nothing is started; otherwise its interpreter is asked.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from raw_trigger.documents import read_text
from raw_trigger.errors import ProjectError

ASK_SECONDS = 30
NAME_IT = "name the interpreter in raw-trigger.yaml: `dagster: {python: .venv/bin/python}`"
"""What to do if the wrong interpreter, or none, was found."""
NAME_ANOTHER = "`dagster: {python: .venv/bin/python}` in raw-trigger.yaml names another"
_NONE_OF_ITS_OWN = "as the project has no environment with Dagster"
_FIND = "import importlib.util as u, sys; sys.exit(u.find_spec('dagster') is None)"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Holds a command that starts Python, and why it was chosen.

    ``asked`` is the tool that had to be asked for it; None if none had to.
    """

    command: tuple[str, ...]
    why: str
    asked: str | None = None

    @property
    def named(self) -> str:
        """Returns the command and why it was chosen, for a message."""
        return f"{' '.join(self.command)} ({self.why})"

    @property
    def venv(self) -> Path | None:
        """Returns its virtual environment if it is a single program in one; else None."""
        if len(self.command) != 1:
            return None
        prefix = _prefix(Path(self.command[0]))
        return prefix if (prefix / "pyvenv.cfg").is_file() else None


def find_interpreter(
    configured: str | list[str] | tuple[str, ...],
    project_dir: Path,
    top: Path,
    environ: Mapping[str, str],
    known: Interpreter | None = None,
) -> Interpreter:
    """Returns the interpreter for the project.

    Args:
        configured: ``auto``, a path (relative to ``project_dir``), or a command.
        project_dir: The project's folder, absolute.
        top: The last folder above it in which a ``.venv`` counts.
        environ: For ``VIRTUAL_ENV``, ``CONDA_PREFIX``, ``UV_PROJECT_ENVIRONMENT`` and ``PATH``.
        known: An earlier answer that still holds as far as the caller knows. It saves asking a tool again:
            poetry takes a second.

    Raises:
        ProjectError: no interpreter has Dagster (the message lists where it was looked for), or the
            configured one does not exist, cannot be executed, or has no Dagster.
    """
    if configured == "auto":
        return _discover(project_dir, top, environ, known)
    if isinstance(configured, str):
        return _configured_path(configured, project_dir, environ, known)
    return _configured_command(tuple(configured), project_dir, environ)


def _configured_path(
    configured: str, project_dir: Path, environ: Mapping[str, str], known: Interpreter | None
) -> Interpreter:
    path = project_dir / Path(configured).expanduser()
    if os.sep not in configured and not path.exists():
        found = shutil.which(configured, path=environ.get("PATH"))
        path = Path(found) if found else path
    where = f"dagster.python: {path}"
    if path.is_dir():  # an environment was named, not its program
        path = path / "bin" / "python"
    if not path.exists():
        raise ProjectError(f"{where} does not exist", NAME_IT)
    if path.is_dir() or not os.access(path, os.X_OK):
        raise ProjectError(f"{where} cannot be executed", NAME_IT)
    if not _was(known, path) and not has_dagster(path):
        raise ProjectError(f"{where} has no dagster installed", NAME_IT)
    return Interpreter((str(path),), "configured as dagster.python")


def _configured_command(
    command: tuple[str, ...], project_dir: Path, environ: Mapping[str, str]
) -> Interpreter:
    if not command:
        raise ProjectError("dagster.python is an empty command", NAME_IT)
    first = command[0]
    if os.sep in first:
        program = project_dir / Path(first).expanduser()
        if not os.access(program, os.X_OK) or program.is_dir():
            raise ProjectError(f"dagster.python: {program} does not exist or cannot be executed", NAME_IT)
        return Interpreter((str(program), *command[1:]), "configured as dagster.python")
    found = shutil.which(first, path=environ.get("PATH"))
    if found is None:
        raise ProjectError(f"dagster.python: there is no program {first!r} on PATH", NAME_IT)
    return Interpreter((found, *command[1:]), "configured as dagster.python")


# Discovery ---------------------------------------------------------------------------------------

_Look = tuple[str, Callable[[], "Path | None"], "str | None"]
"""A name, a way to get the program (None: there is none), and the tool that it has to ask."""


def _discover(
    project_dir: Path, top: Path, environ: Mapping[str, str], known: Interpreter | None
) -> Interpreter:
    looked: list[str] = []
    looks = [(look, look[0]) for look in _candidates(project_dir, top, environ)]
    looks += [(look, f"{look[0]}, {_NONE_OF_ITS_OWN}") for look in _last_resorts(environ)]
    for (name, get, tool), why in looks:
        if tool is not None and known is not None and known.asked == tool and Path(known.command[0]).exists():
            return known
        python = get()
        if python is None:
            continue
        if not python.exists():
            looked.append(f"{name}: {python} does not exist")
        elif python == Path(sys.executable):
            if _we_have_dagster():
                return Interpreter((str(python),), why)
            looked.append(f"{name}: {python} has no dagster")
        elif _was(known, python) or has_dagster(python):
            return Interpreter((str(python),), why, tool)
        else:
            looked.append(f"{name}: {python} has no dagster")
    raise ProjectError("no Python with dagster was found; looked at", NAME_IT, detail="\n".join(looked))


def _candidates(project_dir: Path, top: Path, environ: Mapping[str, str]) -> Iterator[_Look]:
    active = environ.get("VIRTUAL_ENV")
    if active:
        yield "the active virtual environment", lambda: Path(active, "bin", "python"), None
    folders = [project_dir, *(one for one in project_dir.parents if one == top or top in one.parents)]
    for folder in folders:
        venv = folder / ".venv"
        if venv.is_dir():
            yield f"{venv}", lambda venv=venv: venv / "bin" / "python", None  # type: ignore[misc]
    for folder in folders:
        for marker, name, get, tool in _MARKERS:
            if (folder / marker).is_file():
                yield (
                    f"{name} ({folder / marker})",
                    lambda get=get, folder=folder: get(folder, environ),  # type: ignore[misc]
                    tool,
                )
    conda = environ.get("CONDA_PREFIX")
    if conda:
        yield "the active conda environment", lambda: Path(conda, "bin", "python"), None


def _last_resorts(environ: Mapping[str, str]) -> Iterator[_Look]:
    """Yields the interpreters that were not made for the project."""
    yield "the Python that runs raw-trigger", lambda: Path(sys.executable), None
    # On a CI runner the project is often installed into the only Python.
    for program in ("python", "python3"):
        found = shutil.which(program, path=environ.get("PATH"))
        if found is not None and Path(found) != Path(sys.executable):
            yield f"{program} on PATH", lambda found=found: Path(found), None  # type: ignore[misc]


def _uv(folder: Path, environ: Mapping[str, str]) -> Path | None:
    return folder / environ.get("UV_PROJECT_ENVIRONMENT", ".venv") / "bin" / "python"


def _poetry(folder: Path, environ: Mapping[str, str]) -> Path | None:
    return _ask(("poetry", "env", "info", "--executable"), folder, environ)


def _pdm(folder: Path, environ: Mapping[str, str]) -> Path | None:
    remembered = read_text(folder / ".pdm-python").strip()
    if remembered:
        return Path(remembered)
    return _ask(("pdm", "info", "--python"), folder, environ)


def _pixi(folder: Path, environ: Mapping[str, str]) -> Path | None:
    name = environ.get("PIXI_ENVIRONMENT_NAME", "default")
    return folder / ".pixi" / "envs" / name / "bin" / "python"


def _conda(folder: Path, environ: Mapping[str, str]) -> Path | None:
    """Returns the Python of the environment that ``environment.yml`` names, below the installed conda."""
    program = environ.get("CONDA_EXE") or shutil.which("conda", path=environ.get("PATH"))
    if not program:
        return None
    for file in ("environment.yml", "environment.yaml"):
        if not (folder / file).is_file():
            continue
        for line in read_text(folder / file).splitlines():
            if line.startswith("name:"):
                name = line[len("name:") :].split("#")[0].strip().strip("'\"")
                return Path(program).parent.parent / "envs" / name / "bin" / "python"
    return None


_MARKERS: tuple[tuple[str, str, Callable[[Path, Mapping[str, str]], Path | None], str | None], ...] = (
    ("uv.lock", "uv", _uv, None),
    ("poetry.lock", "poetry", _poetry, "poetry"),
    ("pdm.lock", "pdm", _pdm, "pdm"),
    ("pixi.lock", "pixi", _pixi, None),
    ("pixi.toml", "pixi", _pixi, None),
    ("environment.yml", "conda", _conda, None),
    ("environment.yaml", "conda", _conda, None),
)


def _ask(command: tuple[str, ...], folder: Path, environ: Mapping[str, str]) -> Path | None:
    import subprocess

    if shutil.which(command[0], path=environ.get("PATH")) is None:
        return None
    try:
        answer = subprocess.run(
            command,
            cwd=folder,
            env=dict(environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=ASK_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    path = answer.stdout.strip()
    return Path(path) if answer.returncode == 0 and path.startswith(os.sep) else None


# Is Dagster there? -------------------------------------------------------------------------------


def _was(known: Interpreter | None, python: Path) -> bool:
    return known is not None and known.command == (str(python),)


def has_dagster(python: Path) -> bool:
    """Says whether this interpreter can import Dagster; starts it only if the disk does not show it."""
    prefix = _prefix(python)
    folders = [
        *prefix.glob("lib/python3*/site-packages"),
        *prefix.glob("lib64/python3*/site-packages"),
    ]
    if any(_holds_dagster(folder) for folder in folders):
        return True
    config = prefix / "pyvenv.cfg"
    if config.is_file() and folders and not _sees_system(config):
        return False
    return _asked(python)


def _prefix(python: Path) -> Path:
    return python.absolute().parent.parent  # not resolved: a venv's python is a link out of it


def _holds_dagster(folder: Path) -> bool:
    if (folder / "dagster" / "__init__.py").is_file():
        return True
    for pth in folder.glob("*.pth"):
        if "dagster" in pth.name:  # an editable install whose finder is code
            return True
        for line in read_text(pth).splitlines():
            is_path = line.strip() and not line.startswith(("#", "import ", "import\t"))
            if is_path and (folder / line.strip() / "dagster" / "__init__.py").is_file():
                return True
    return False


def _sees_system(config: Path) -> bool:
    for line in read_text(config).splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "include-system-site-packages":
            return value.strip().lower() == "true"
    return False


def _asked(python: Path) -> bool:
    import subprocess

    from raw_trigger.repo.environment import scrubbed

    environ = scrubbed(os.environ)
    environ.pop("VIRTUAL_ENV", None)
    try:
        answer = subprocess.run(
            [str(python), "-c", _FIND],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=ASK_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def _we_have_dagster() -> bool:
    import importlib.util

    return importlib.util.find_spec("dagster") is not None


def interpreter_from_json(text: object) -> Interpreter | None:
    """Returns an interpreter from a cache; None if the value is none."""
    if isinstance(text, list) and len(text) == 3 and isinstance(text[0], list):  # noqa: PLR2004
        return Interpreter(tuple(text[0]), text[1], text[2])
    return None


def interpreter_as_json(interpreter: Interpreter) -> list[object]:
    """Returns the form that :func:`interpreter_from_json` reads."""
    return json.loads(json.dumps([interpreter.command, interpreter.why, interpreter.asked]))  # type: ignore[no-any-return]
