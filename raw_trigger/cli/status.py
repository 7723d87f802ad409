"""``raw-trigger status``."""

from __future__ import annotations

import json

import typer

from raw_trigger.cli.session import (
    Environment,
    PlainFormat,
    PlainFormatOption,
    text_renderer,
    trigger_of,
    write,
)


def status(
    context: typer.Context, form: PlainFormatOption = PlainFormat.text, environment: Environment = None
) -> None:
    """Show what is pending, in every environment that has a record, and what is at work in the background."""
    from raw_trigger.status import status_of

    trigger = trigger_of(context, environment=environment)
    found = status_of(trigger)
    if form is PlainFormat.json:
        write([json.dumps(found.as_json(), indent=1) + "\n"])
    else:
        text_renderer().status(found)
