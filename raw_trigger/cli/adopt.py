"""``raw-trigger adopt``."""

from __future__ import annotations

from typing import Annotated

import typer

from raw_trigger.cli.session import (
    Environment,
    NoCatalog,
    Paths,
    globs,
    planner_of,
    tell_never_made,
    text_renderer,
)


def adopt(
    context: typer.Context,
    revision: Annotated[str, typer.Argument(metavar="[REV]", help="Whose files to record.")] = "HEAD",
    path: Paths = None,
    environment: Environment = None,
    no_catalog: NoCatalog = False,
) -> None:
    """Record a revision's files as materialized, without running anything."""
    from raw_trigger import adopt as adopting
    from raw_trigger.render.words import plural
    from raw_trigger.repo.commits import headline

    planner = planner_of(context, environment=environment, no_catalog=no_catalog)
    [found] = planner.workspace.repo.resolve(revision)
    adopted = adopting.adopt(planner, found.tree, globs(path))
    if path is not None and not adopted:
        adopting.require_files(planner, found.tree, globs(path))
    name = revision if found.commit is None else headline(planner.workspace.repo, found.commit)
    text = text_renderer()
    files = plural(len(adopted), "file")
    if path is None:
        text.say(f"'{planner.workspace.environment}' now reflects {name}: the record changed in {files}.")
    elif adopted:
        text.say(f"'{planner.workspace.environment}' now reflects {files} as of {name}:")
        text.files(adopted)
    else:
        text.say(f"'{planner.workspace.environment}' reflects these files as of {name} already.")
    if adopted and not no_catalog:
        tell_never_made(planner, None if path is None else adopted)
