"""``raw-trigger check``."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Annotated

import typer

from raw_trigger.cli.session import PlainFormat, PlainFormatOption, planner_of, text_renderer, write


def check(
    context: typer.Context,
    form: PlainFormatOption = PlainFormat.text,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
) -> None:
    """Compare the rules with the Dagster project and the files."""
    from raw_trigger import check as checking
    from raw_trigger import checkouts
    from raw_trigger.content.feeding import desired_paths
    from raw_trigger.errors import ConfigError
    from raw_trigger.install import missing_warning
    from raw_trigger.model.changes import NOTHING
    from raw_trigger.unseen import unseen
    from raw_trigger.workspace.places import require_own_environment

    planner = planner_of(context)
    workspace = planner.workspace
    require_own_environment(
        workspace.repo, workspace.config, [n for n, _ in workspace.config.ci_environments]
    )
    catalog = planner.catalog.fresh()
    rules = planner.rules(catalog)
    files = dict(desired_paths(workspace.repo, planner.tracked, NOTHING.desired))
    hooks = missing_warning(workspace.repo.top, workspace.repo.git_dir)
    beside = unseen(workspace.repo, workspace.roots, files, planner.links.texts())
    with planner.contents(NOTHING, rules) as contents:
        found = checking.check(
            rules,
            catalog,
            files,
            workspace.config.file,
            contents,
            now=time.time(),
            hooks=hooks,
            unseen=beside,
            elsewhere=checkouts.others(catalog.code, workspace.repo.top),
            config_problems=workspace.project.config_problems,
        )
    if form is PlainFormat.json:
        write([json.dumps([dataclasses.asdict(finding) for finding in found], indent=1) + "\n"])
    else:
        text_renderer().findings(found, len(files), len(catalog.assets))
    wrong = ("error", "warning") if strict else ("error",)
    if any(finding.severity in wrong for finding in found):
        raise typer.Exit(ConfigError.exit_code)
