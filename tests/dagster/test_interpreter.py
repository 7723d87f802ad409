"""Which Python is taken for the project, read off folders that look like environments."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from raw_trigger.errors import ProjectError
from raw_trigger.project.interpreter import Interpreter, find_interpreter, has_dagster

OURS = Path(sys.executable)


def venv(folder: Path, *, dagster: str | None = "package", system: bool = False) -> Path:
    """A folder laid out as a virtual environment; returns its python, which cannot be started."""
    site = folder / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = /usr\ninclude-system-site-packages = {str(system).lower()}\n")
    (site / "_virtualenv.pth").write_text("import _virtualenv")
    if dagster == "package":
        (site / "dagster").mkdir()
        (site / "dagster" / "__init__.py").touch()
    elif dagster == "path":
        source = folder / "checkout"
        (source / "dagster").mkdir(parents=True)
        (source / "dagster" / "__init__.py").touch()
        (site / "checkout.pth").write_text(f"{source}\n")
    elif dagster == "finder":
        (site / "__editable__.dagster-1.0.pth").write_text("import __editable___dagster_finder")
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    return python


NO_OTHER = "as the project has no environment with Dagster"


@pytest.fixture
def top(tmp_path):
    (tmp_path / "top" / "project").mkdir(parents=True)
    return tmp_path / "top"


def find(top: Path, configured="auto", known=None, **environ: str) -> Interpreter:
    return find_interpreter(configured, top / "project", top, {"PATH": "/usr/bin:/bin", **environ}, known)


def test_the_order(top, tmp_path):
    ours = find(top)
    assert ours == Interpreter((str(OURS),), f"the Python that runs raw-trigger, {NO_OTHER}")
    conda = venv(tmp_path / "conda")
    active = {"CONDA_PREFIX": str(tmp_path / "conda")}
    assert find(top, **active).command == (str(conda),)
    above = venv(top / ".venv")
    assert find(top, **active) == Interpreter((str(above),), f"{top}/.venv")
    own = venv(top / "project" / ".venv")
    assert find(top, **active).command == (str(own),)
    shell = venv(tmp_path / "shell")
    assert find(top, **active, VIRTUAL_ENV=str(tmp_path / "shell")) == Interpreter(
        (str(shell),), "the active virtual environment"
    )


def test_a_venv_above_the_top_is_not_looked_at(top, tmp_path):
    venv(tmp_path / ".venv")
    assert find(top).command == (str(OURS),)


def test_the_environment_of_a_hook_framework_is_passed_over(top, tmp_path):
    venv(tmp_path / "pre-commit", dagster=None)
    own = venv(top / ".venv")
    assert find(top, VIRTUAL_ENV=str(tmp_path / "pre-commit")).command == (str(own),)


@pytest.mark.parametrize("kind", ["package", "path", "finder"])
def test_dagster_is_seen_however_it_is_installed(tmp_path, kind):
    assert has_dagster(venv(tmp_path / "v", dagster=kind))


def test_dagster_is_not_seen_where_it_is_not(tmp_path):
    assert not has_dagster(venv(tmp_path / "v", dagster=None))


def test_lib64(tmp_path):
    python = venv(tmp_path / "v")
    (tmp_path / "v" / "lib").rename(tmp_path / "v" / "lib64")
    assert has_dagster(python)


def test_in_doubt_the_interpreter_is_asked(tmp_path):
    python = venv(tmp_path / "v", dagster=None, system=True)
    assert not has_dagster(python)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    assert has_dagster(python)


def test_lock_files(top):
    (top / "pixi.lock").touch()
    pixi = venv(top / ".pixi" / "envs" / "default")
    assert find(top).why == f"pixi ({top}/pixi.lock)"
    assert find(top).command == (str(pixi),)
    (top / "project" / "pdm.lock").touch()
    pdm = venv(top / "elsewhere")
    (top / "project" / ".pdm-python").write_text(f"{pdm}\n")
    assert find(top).command == (str(pdm),)
    (top / "project" / "uv.lock").touch()
    uv = venv(top / "project" / "uv-env")
    assert find(top, UV_PROJECT_ENVIRONMENT="uv-env").command == (str(uv),)


def test_poetry_is_asked_once(top, tmp_path):
    python = venv(tmp_path / "poetry-env")
    (top / "poetry.lock").touch()
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "poetry").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\necho {python}\n')
    (tools / "poetry").chmod(0o755)
    path = f"{tools}:/usr/bin:/bin"
    found = find(top, PATH=path)
    assert found == Interpreter((str(python),), f"poetry ({top}/poetry.lock)", "poetry")
    assert (tmp_path / "asked").read_text() == "env info --executable\n"
    assert find(top, known=found, PATH=path) == found
    assert (tmp_path / "asked").read_text() == "env info --executable\n"


def test_a_named_conda_environment(top, tmp_path):
    (top / "environment.yml").write_text("name: shop  # ours\ndependencies: []\n")
    python = venv(tmp_path / "miniconda" / "envs" / "shop")
    assert find(top, CONDA_EXE=str(tmp_path / "miniconda" / "bin" / "conda")).command == (str(python),)


def test_none_at_all(top, tmp_path, monkeypatch):
    venv(tmp_path / "active", dagster=None)
    venv(top / ".venv", dagster=None)
    (top / "uv.lock").touch()
    monkeypatch.setattr("raw_trigger.project.interpreter._we_have_dagster", lambda: False)
    with pytest.raises(ProjectError) as caught:
        find(top, VIRTUAL_ENV=str(tmp_path / "active"), UV_PROJECT_ENVIRONMENT="gone", PATH="/nowhere")
    assert caught.value.message == "no Python with dagster was found; looked at"
    assert caught.value.detail == (
        f"the active virtual environment: {tmp_path}/active/bin/python has no dagster\n"
        f"{top}/.venv: {top}/.venv/bin/python has no dagster\n"
        f"uv ({top}/uv.lock): {top}/gone/bin/python does not exist\n"
        f"the Python that runs raw-trigger: {OURS} has no dagster"
    )
    assert "dagster: {python:" in caught.value.hint


def test_the_one_on_path_is_the_last_to_be_looked_at(top, tmp_path, monkeypatch):
    """As on a runner, where the project is installed into the Python of actions/setup-python."""
    python = venv(tmp_path / "hosted")
    path = f"{venv(tmp_path / 'empty', dagster=None).parent}:{python.parent}"
    assert find(top, PATH=str(python.parent)).command == (str(OURS),)
    monkeypatch.setattr("raw_trigger.project.interpreter._we_have_dagster", lambda: False)
    assert find(top, PATH=str(python.parent)) == Interpreter((str(python),), f"python on PATH, {NO_OTHER}")
    (python.parent / "python").rename(python.parent / "python3")
    assert find(top, PATH=path).why == f"python3 on PATH, {NO_OTHER}"


def test_configured(top, tmp_path):
    python = venv(top / "project" / "env")
    assert find(top, "env/bin/python") == Interpreter((str(python),), "configured as dagster.python")
    assert find(top, "env").command == (str(python),)
    assert find(top, str(python)).command == (str(python),)
    assert find(top, ("env", "python"), PATH="/usr/bin:/bin").command == ("/usr/bin/env", "python")
    assert find(top, ["./env/bin/python", "-X", "dev"]).command == (
        str(top / "project/env/bin/python"),
        "-X",
        "dev",
    )


@pytest.mark.parametrize(
    ("configured", "message"),
    [
        ("nowhere/python", "nowhere/python does not exist"),
        ("notes.txt", "notes.txt cannot be executed"),
        ("bare/bin/python", "bare/bin/python has no dagster installed"),
        (("no-such-program", "run"), "there is no program 'no-such-program' on PATH"),
        (("./nowhere", "run"), "nowhere does not exist or cannot be executed"),
        ((), "dagster.python is an empty command"),
    ],
)
def test_configured_wrongly(top, configured, message):
    (top / "project" / "notes.txt").touch()
    venv(top / "project" / "bare", dagster=None)
    with pytest.raises(ProjectError) as caught:
        find(top, configured)
    assert caught.value.message.endswith(message)
    assert caught.value.hint


def test_a_command_without_dagster_is_told_by_the_project(sandbox_factory):
    sandbox = sandbox_factory({"defs.py": ""})
    project = sandbox.project(python_file=("defs.py",), python=(sys.executable, "-S", "-I"))
    with pytest.raises(ProjectError, match="has no dagster installed"):
        project.catalog()
