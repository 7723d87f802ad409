"""Translates the models' errors into the words of somebody who wrote the file."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ValidationError

from raw_trigger.config.document import Document, Location
from raw_trigger.config.fields import LIST, MAPPING, TEXT
from raw_trigger.config.problems import Problem, Problems, did_you_mean, quoted
from raw_trigger.config.schema import CiModel, ConfigModel, DagsterModel, HooksModel, RowsModel, RuleModel

_LATER_KEYS = frozenset({"workers"})
_EXAMPLES = {"environments": "production: [main]"}
_NOT_YET = "is not known to this version of raw-trigger yet"
_SECTIONS: dict[str, type[BaseModel]] = {
    "ci": CiModel,
    "dagster": DagsterModel,
    "hooks": HooksModel,
    "assets": RuleModel,
    "rows": RowsModel,
}


def add_all(error: ValidationError, document: Document, problems: Problems) -> None:
    """Adds every error of the models as a problem of the file."""
    for details in error.errors(include_url=False):
        problems.add(_problem(dict(details), document))


def _problem(details: dict[str, Any], document: Document) -> Problem:
    location: Location = tuple(details["loc"])
    if details["type"] == "extra_forbidden":
        return _unknown_key(location, document)
    message, hint = _words(details, location, document)
    return Problem(document.at(location), message, hint)


def _unknown_key(location: Location, document: Document) -> Problem:
    key = str(location[-1])
    section = next((str(part) for part in reversed(location[:-1]) if part in _SECTIONS), None)
    at = document.key_at(location)
    if key in _LATER_KEYS:
        return Problem(at, f"{quoted(key)} {_NOT_YET}", "remove it")
    model = ConfigModel if section is None else _SECTIONS[section]
    message = f"unknown key {quoted(key)}" + (f" in '{section}'" if section else "")
    known = keys(model)
    places: list[tuple[str, type[BaseModel]]] = [("", ConfigModel), *_SECTIONS.items()]
    for name, other in places:
        if key in keys(other):
            where = f"in '{name}'" if name else "at the left margin"
            return Problem(at, message, f"it belongs {where}")
    return Problem(at, message, did_you_mean(key, known, "known are"))


def keys(model: type[BaseModel]) -> list[str]:
    """Returns the keys of a section as the file spells them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _words(details: dict[str, Any], location: Location, document: Document) -> tuple[str, str]:
    named = [part for part in location if isinstance(part, str) and part not in (TEXT, LIST, MAPPING)]
    name = " ".join(named[-2:] if "partition" in named[:-1] else named[-1:])
    written = document.written(location)
    match details["type"]:
        case "missing":
            rows = "rows" in location
            of = "which column tells the rows apart" if rows else "which files it is for"
            words = f"{'rows' if rows else 'this rule'} has no {quoted(name)}", f"say {of}"
        case "value_error":
            message, _, hint = str(details["ctx"]["error"]).partition("; ")
            words = f"{name} {written} {message}", hint
        case "literal_error":
            words = _choice(name, written, details)
        case "string_type":
            words = _no_text(name, written, location, document)
        case "bool_type":
            words = f"{name} is true or false, not {written}", "write true, or remove the key"
        case "list_type":
            words = _no_list(name, written)
        case "model_type" | "dict_type":
            words = _no_mapping(name, written)
        case "string_too_short":
            words = f"{name} is empty", "write a text or remove the key"
        case "too_short":
            words = f"{name} is empty", "name at least one or remove the key"
        case "string_too_long":
            words = f"{name} is longer than {details['ctx']['max_length']} characters", "shorten it"
        case _:
            words = f"{name} {written} is not possible: {details['msg']}", "correct it"
    return words


def _choice(name: str, written: str, details: dict[str, Any]) -> tuple[str, str]:
    options, value = re.findall(r"'([^']*)'", details["ctx"]["expected"]), details["input"]
    if not isinstance(value, str):
        return f"{name} {written} is not possible", f"use one of {', '.join(options)}"
    return f"{name} {written} is not known", did_you_mean(value, options, "use one of")


def _no_text(name: str, written: str, location: Location, document: Document) -> tuple[str, str]:
    kind = document.kind(location)
    if kind is not None:
        return f"{name} {written} is read as {kind} where text is wanted", f'quote it: "{written[1:-1]}"'
    if name == "asset" and written == "a list":
        return "asset has to be text, not a list", "for several write 'assets'"
    if document.flow(location):
        return f"{name} has to be text, not {written}", "put a text that begins with a bracket in quotes"
    return f"{name} has to be text, not {written}", "write one text"


def _no_list(name: str, written: str) -> tuple[str, str]:
    if name == "assets" and written.startswith("'"):
        return f"assets has to be a list, not {written}", f"write assets: [{written[1:-1]}]"
    if name == "assets":
        return f"assets has to be a list, not {written}", "begin each entry with '- ' on a line of its own"
    return f"{name} has to be text or a list, not {written}", "write one text, or several in brackets"


def _no_mapping(name: str, written: str) -> tuple[str, str]:
    if not name:
        return f"the file has to be keys with values, not {written}", "begin with 'root: data/1_raw'"
    if name == "assets":
        return f"a rule has to be keys with values, not {written}", "begin it with 'path: …'"
    example = f"{keys(_SECTIONS[name])[0]}: …" if name in _SECTIONS else _EXAMPLES.get(name, "key: …")
    return f"{name} has to be keys with values, not {written}", f"write them below it, such as '{example}'"
