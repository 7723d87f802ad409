"""``raw-trigger adopt``."""

from __future__ import annotations

from typing import Annotated

import typer

from raw_trigger.cli.session import Environment, NoCatalog, Paths, globs, text_renderer, trigger_of


def adopt(
    context: typer.Context,
    revision: Annotated[str, typer.Argument(metavar="[REV]", help="Whose files to record.")] = "HEAD",
    path: Paths = None,
    environment: Environment = None,
    no_catalog: NoCatalog = False,
) -> None:
    """Record a revision's files as materialized, without running anything."""
    from raw_trigger.repo.commits import headline

    trigger = trigger_of(context, environment=environment, no_catalog=no_catalog)
    [found] = trigger.workspace.repo.resolve(revision)
    count = trigger.adopt(found.tree, globs(path))
    files = "1 file" if count == 1 else f"{count} files"
    name = revision if found.commit is None else headline(trigger.workspace.repo, found.commit)
    text = text_renderer()
    text.say(f"'{trigger.workspace.environment}' now reflects {name}: the record changed in {files}.")
