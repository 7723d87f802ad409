"""``raw-trigger forget``."""

from __future__ import annotations

import typer

from raw_trigger.cli.session import Assets, Environment, PartitionRanges, Paths, planner_of, text_renderer


def forget(
    context: typer.Context,
    asset: Assets = None,
    path: Paths = None,
    partition: PartitionRanges = None,
    environment: Environment = None,
) -> None:
    """Record that it is not known what was materialized, so that it is pending: the opposite of adopt.

    Without options that is everything. Nothing is run, and Dagster keeps what it has.
    """
    from raw_trigger import adopt as adopting
    from raw_trigger.render.words import plural

    planner = planner_of(context, environment=environment, assets=asset, paths=path, partitions=partition)
    forgotten = adopting.forget(planner)
    what = "what" if asset or path or partition else "everything that"
    text = text_renderer()
    text.say(
        f"'{planner.workspace.environment}' has forgotten {what} was made from "
        f"{plural(len(forgotten), 'file')}; `raw-trigger run` makes it again:"
    )
    text.files(forgotten)
