"""``raw-trigger status``."""

from __future__ import annotations

import json

import typer

from raw_trigger.cli.session import Environment, Format, FormatOption, text_renderer, trigger_of, write


def status(context: typer.Context, form: FormatOption = Format.text, environment: Environment = None) -> None:
    """Show what is pending, in every environment that has a record."""
    from raw_trigger.status import status_of

    trigger = trigger_of(context, environment=environment)
    found = status_of(trigger)
    if form is Format.json:
        write([json.dumps(found.as_json(), indent=1) + "\n"])
    else:
        text_renderer().status(found)
