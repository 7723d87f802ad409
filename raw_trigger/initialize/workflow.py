"""Writes the GitHub workflow of a user's repository, which calls the reusable one of this project."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from raw_trigger import __version__
from raw_trigger.config.loader import NAMES
from raw_trigger.errors import RawTriggerError, UsageError
from raw_trigger.initialize.looking import create
from raw_trigger.initialize.text import scalar
from raw_trigger.initialize.values import joined
from raw_trigger.install.framework import REPOSITORY
from raw_trigger.model.settings import LauncherName, folder_name
from raw_trigger.repo.repository import Repository
from raw_trigger.workspace.places import all_places

FILE = Path(".github/workflows/raw-data.yml")
ENVIRONMENT = "production"
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"

_INSTALLS = (
    ("uv.lock", "pip install uv && uv sync --frozen"),
    ("poetry.lock", "pip install poetry && poetry install"),
    ("pdm.lock", "pip install pdm && pdm sync"),
    ("requirements.txt", "pip install -r requirements.txt"),
    ("pyproject.toml", "pip install -e ."),
    ("setup.py", "pip install -e ."),
)
"""The command that installs a project, by a file in its folder; the first that exists decides."""


def install_command(folder: str, names: Collection[str]) -> str:
    """Returns the shell command that installs the project.

    Args:
        folder: The project folder relative to the repository's top, ``""`` for the top itself.
        names: The repository's files.
    """
    known = set(names)
    return next((how for file, how in _INSTALLS if joined(folder, file) in known), "pip install dagster")


def default_branch(repo: Repository) -> str:
    """Returns the branch that pull requests go to, as far as this clone knows.

    This is origin's default branch, else the one that is checked out.
    """
    remote = repo.git.line("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
    if remote is not None and remote.startswith("origin/"):
        return remote.removeprefix("origin/")
    return repo.git.line("symbolic-ref", "--quiet", "--short", "HEAD") or "main"


def workflow(folder: str, config: str, install: str, branch: str, environment: str = ENVIRONMENT) -> str:
    """Returns the workflow's text.

    Args:
        folder: The project folder, ``""`` for the top.
        config: The configuration's path, relative to the repository's top.
        install: The command of :func:`install_command`.
        branch: The branch whose pushes are recorded.
        environment: The environment that they record.
    """
    here = "github.ref == 'refs/heads/{}'".format(branch.replace("'", "''"))
    secret = f"{here} && secrets.RAW_TRIGGER_ENVIRONMENT || secrets.RAW_TRIGGER_PULL_REQUEST"
    repository = REPOSITORY.removeprefix("https://github.com/")
    name = config.rpartition("/")[2]
    own = "" if name == "raw-trigger.yaml" else f"      config: {scalar(name)}\n"
    place = f"      working-directory: {scalar(folder)}\n" if folder else ""
    return f"""\
# Materializes only the assets that are made from raw files which a pull request or push changes.
# Pushes to {branch} record what they materialized in this repository, refs/raw-trigger/{environment}.
# In branch protection require the job `raw-data / result`.
name: raw data

on:
  pull_request:
  merge_group:
  push:
    branches: [{scalar(branch)}]
  workflow_dispatch:
    inputs:
      base:
        description: A revision to compare with, instead of the record
        type: string
        default: ""

permissions: {{}}

jobs:
  raw-data:
    uses: {repository}/.github/workflows/raw-data.yml@v{__version__}
    permissions:
      contents: write # to push the record; only the last job uses it
      pull-requests: write # to keep one comment up to date; the same
    with:
      base: ${{{{ inputs.base }}}}
      install: {scalar(install)}
      jobs: 4 # at most so many materialize at the same time
{place}{own}\
    secrets:
      # Lines NAME=value for the Dagster project, such as DAGSTER_HOME or the passwords of its storage. A pull
      # request gets others, or none: it must not write to the storage of {branch}.
      environment: ${{{{ {secret} }}}}
"""


def deployment_workflow(folder: str, config: str, branch: str, environment: str = ENVIRONMENT) -> str:
    """Returns the workflow's text where a deployment makes the assets; :func:`workflow` has the arguments.

    A pull request only shows what it would make: it must not write where the branch does, and its files are
    not on the deployment.
    """
    repository = REPOSITORY.removeprefix("https://github.com/")
    name = config.rpartition("/")[2]
    own = "" if name == "raw-trigger.yaml" else f"config: {scalar(name)}"
    place = f"working-directory: {scalar(folder)}" if folder else ""
    of_step = "".join(f"          {line}\n" for line in (place, own) if line)
    of_job = "".join(f"      {line}\n" for line in (place, own) if line)
    return f"""\
# Has a Dagster deployment materialize only the assets that are made from raw files which a push changes, and
# shows on pull requests what that will be. The Dagster project is not installed: the deployment has it.
# Pushes to {branch} record what they materialized in this repository, refs/raw-trigger/{environment}.
# The deployment has to hold the commit before: put `workflow_call:` in the place of `push:`, and call this
# from the workflow that deploys it, in a job that `needs:` that one.
name: raw data

on:
  pull_request:
  push:
    branches: [{scalar(branch)}]
  workflow_dispatch:
    inputs:
      base:
        description: A revision to compare with, instead of the record
        type: string
        default: ""

permissions: {{}}

jobs:
  plan:
    if: github.event_name == 'pull_request'
    runs-on: ubuntu-latest
    permissions:
      contents: read # to fetch what is compared with
      pull-requests: write # to keep one comment up to date
    steps:
      - uses: {CHECKOUT}
        with:
          persist-credentials: false
      - uses: {repository}/.github/actions/raw-trigger@v{__version__}
        with:
          mode: plan
          no-catalog: true
          comment: true
{of_step}\
  raw-data:
    if: github.event_name != 'pull_request'
    uses: {repository}/.github/workflows/raw-data.yml@v{__version__}
    permissions:
      contents: write # to push the record; only the last job uses it
      pull-requests: write # the same, on pull requests
    with:
      base: ${{{{ inputs.base }}}}
      extras: graphql
      install: "true" # a command that does nothing: nothing of the project runs here
      jobs: 1 # the deployment says how much runs at the same time
{of_job}\
    secrets:
      # The token for the deployment; only the job that waits for its runs gets it. In raw-trigger.yaml, under
      # `dagster:`, `token_env: DAGSTER_TOKEN` names it.
      environment: DAGSTER_TOKEN=${{{{ secrets.DAGSTER_TOKEN }}}}
"""


def environments(branch: str, environment: str = ENVIRONMENT) -> str:
    """Returns the part of ``raw-trigger.yaml`` that has pushes to the branch recorded."""
    return f"ci:\n  environments: {{{environment}: [{scalar(branch)}]}}\n"


def create_workflow(repo: Repository, config: Path, launcher: LauncherName) -> tuple[Path, str | None]:
    """Writes the workflow, and adds to the configuration which branch records the environment on CI.

    Args:
        config: The project's ``raw-trigger.yaml``.
        launcher: What makes the assets.

    Returns:
        The workflow's file, and the text that the user has to add to the configuration, or None.

    Raises:
        RawTriggerError: there is such a workflow already, or a file cannot be written.
    """
    shown = config.resolve().relative_to(repo.top.resolve()).as_posix()
    folder = shown.rpartition("/")[0]
    names = repo.git.run("ls-files", "-z", "-c", "-o", "--exclude-standard", index=True)
    install = install_command(folder, os.fsdecode(names).split("\0"))
    branch = default_branch(repo)
    file = repo.top / FILE
    environment = ENVIRONMENT
    if len(all_places(repo)) > 1:
        # One workflow serves all projects, but each has a record of its own.
        environment = f"{ENVIRONMENT}-{folder_name(folder)}" if folder else ENVIRONMENT
        if os.path.lexists(file):
            raise UsageError(
                f"{file} is there already; nothing was changed",
                "with `working-directory: .` in it, and no `config:`, it is for every project of the"
                f" repository; add to {config.name}:\n  {environments(branch, environment).strip()}",
            )
        folder, shown = "", NAMES[0]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RawTriggerError(f"{file.parent} cannot be made: {error.strerror}") from error
    create(
        file,
        deployment_workflow(folder, shown, branch, environment)
        if launcher == "graphql"
        else workflow(folder, shown, install, branch, environment),
    )
    return file, None if _added(config, branch, environment) else environments(branch, environment)


def _added(config: Path, branch: str, environment: str) -> bool:
    """Adds the branch to a configuration without a `ci:` key; False if another one does not name it."""
    try:
        text = config.read_text(encoding="utf-8")
        if re.search(r"(?m)^[\"']?ci[\"']?\s*:", text):
            return environment in text
        line = "" if text.endswith("\n") or not text else "\n"
        with config.open("a", encoding="utf-8") as opened:
            opened.write(f"{line}\n# The branches that record on CI what they materialized.\n")
            opened.write(environments(branch, environment))
    except OSError as error:
        raise RawTriggerError(f"{config} cannot be written: {error.strerror}") from error
    return True
