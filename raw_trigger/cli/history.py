"""``raw-trigger history``."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from raw_trigger.cli import completing
from raw_trigger.cli.session import history_of, text_renderer, write


class HistoryFormat(str, Enum):
    """Says how the history is written."""

    text = "text"
    json = "json"


class RunState(str, Enum):
    """Says which values `--status` takes."""

    success = "success"
    failed = "failed"
    started = "started"


def history(
    context: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="All about one run or launch, by the beginning of its id or of Dagster's run id.",
            autocompletion=completing.runs,
        ),
    ] = None,
    form: Annotated[HistoryFormat, typer.Option("--format", help="How to write the result.")] = (
        HistoryFormat.text
    ),
    asset: Annotated[
        str | None,
        typer.Option(
            "--asset",
            metavar="KEY",
            help="Only runs of this asset.",
            autocompletion=completing.assets,
        ),
    ] = None,
    status: Annotated[RunState | None, typer.Option("--status", help="Only runs that ended so.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="Such as 2d, 12h or 2026-11-20.")
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", metavar="N", min=1, help="So many runs, and what else belongs to their launches."
        ),
    ] = 20,
) -> None:
    """Show what was run, when, for which files, and what became of it."""
    from datetime import datetime

    from raw_trigger.bookkeeping import open_ledger
    from raw_trigger.errors import UsageError
    from raw_trigger.ledger import owner_alive, parse_since
    from raw_trigger.model.history import HistoryFilter
    from raw_trigger.render import history as render

    if run is not None and (asset or status or since):
        raise UsageError("a RUN and filters exclude each other")
    workspace = history_of(context)
    ledger, text = open_ledger(workspace), text_renderer(workspace.repo.top)
    if run is not None:
        found = ledger.run(run)
    else:
        found = ledger.runs(
            HistoryFilter(
                asset=asset,
                status=None if status is None else status.value,
                since=None if since is None else parse_since(since, datetime.now().astimezone()),
                limit=limit,
            )
        )
    alive = {one.launch_id: owner_alive(one.owner) for one in found if one.status == "started"}
    if form is HistoryFormat.json:
        write(render.as_json(found, alive))
    elif run is not None:
        render.details(text, found, alive)
    elif found:
        render.overview(text, found, alive)
    else:
        text.say("No such run." if asset or status or since else "Nothing has run yet.")
