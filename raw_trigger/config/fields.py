"""The types of the values in ``raw-trigger.yaml``: what each accepts, and its part of the JSON Schema.

The error of a validator reads ``what is wrong; what to do``. The message that the user sees puts the key and
the written value before it.
"""

from __future__ import annotations

import re
import shlex
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    WithJsonSchema,
)

from raw_trigger.config.problems import did_you_mean
from raw_trigger.model.settings import ENVIRONMENT_HINT, ENVIRONMENT_NAME, HookAction, PushAction

_LEDGER = re.compile(r"sqlite|(sqlite|duckdb|postgresql)(\+[a-z0-9_]+)?://.*")
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SPACE = 0x20
TEXT, LIST, MAPPING = "<text>", "<list>", "<mapping>"
"""Parts of an error's location that are no keys: they say which form of a value was meant."""

MAX_TEXT = 4096
"""Characters in a path, key or name: as many as Linux takes in a path."""

_MAX_DEPTH = 1000
_MAX_BATCH = 100_000


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("contains a NUL character; remove it")
    return value


def _one_or_more(value: object) -> object:
    return value if isinstance(value, list | dict) else [value]


def _ledger(value: str) -> str:
    if not _LEDGER.fullmatch(value):
        raise ValueError("is no database; use sqlite, or an SQLAlchemy URL such as duckdb:///runs.duckdb")
    return value


def _web_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        named = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, named = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not named:
        raise ValueError("is no web address; write one that begins with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("has a user's name or a password in it; name a variable in 'token_env' instead")
    if parts.query or parts.fragment or any(char.isspace() or ord(char) < _SPACE for char in value):
        raise ValueError("has more than an address and a path; write it without '?', '#' and spaces")
    return value


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError("is no name of an environment variable; write its name, not the token itself")
    return value


def _header(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise ValueError("is no name of a header; write one such as Authorization")
    return value


def _environment(value: str) -> str:
    if not ENVIRONMENT_NAME.fullmatch(value):
        raise ValueError(f"cannot be part of a git ref; {ENVIRONMENT_HINT}")
    return value


def _delimiter(value: str) -> str:
    if len(value) != 1 or value in '"\r\n':
        raise ValueError('is no delimiter; write one character, such as ";" or "\\t"')
    return value


def _command(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        what = str(error).lower()
        raise ValueError(
            f"cannot be split into words ({what}); close it, or write a list of words"
        ) from error


def _encoding(value: str) -> str:
    try:
        "a".encode(value)
    except (LookupError, UnicodeError) as error:
        raise ValueError("is no encoding of text that Python knows; write for example latin-1") from error
    return value


def _root(value: str) -> str:
    parts = [part for part in value.split("/") if part not in ("", ".")]
    if value.startswith(("/", "~")):
        raise ValueError("is absolute; write it relative to the folder of this file")
    if "\\" in value:
        raise ValueError("contains a backslash; separate folders with '/'")
    if ".." in parts:
        raise ValueError("contains '..'; put raw-trigger.yaml into a folder above all raw data")
    if ".git" in parts:
        raise ValueError("is inside git's own folder; name a folder of the working tree")
    if any(char in value for char in "*?"):
        raise ValueError("is a folder, not a pattern; name the folder and put patterns under 'assets'")
    return "/".join(parts) or "."


def _module(value: str) -> str:
    if not all(part.isidentifier() for part in value.split(".")) or value.endswith(".py"):
        raise ValueError("is no dotted module name; for a file use 'python_file'")
    return value


def _asset_key(value: str) -> str:
    if "" in value.split("/"):
        raise ValueError("has an empty part; write the parts of the key with one '/' between them")
    return value


def _pattern(value: str) -> str:
    outside = _outside_braces(value)
    parts = outside.split("/")
    if outside.startswith("/"):
        raise ValueError("is absolute; paths are relative to the root")
    if ".." in parts:
        raise ValueError("contains '..'; paths are relative to the root and stay below it")
    if outside.endswith("/"):
        raise ValueError("ends in '/'; for all files of the folder write '**' after it")
    if "" in parts or "." in parts:
        raise ValueError("has a part that is empty or '.', so no file can match; remove it")
    return value


def _outside_braces(value: str) -> str:
    """Returns the pattern with each ``{…}`` shortened to ``{}``.

    The regular expression inside may hold dots and slashes.
    """
    out, depth = [], 0
    for char in value:
        depth += char == "{"
        if depth == 0 or (depth == 1 and char in "{}"):
            out.append(char)
        depth -= char == "}" and depth > 0
    return "".join(out)


def _count(words: tuple[str, ...], maximum: int) -> PlainValidator:
    numbers = f"a whole number from 1 to {maximum}"

    def check(value: object) -> object:
        if isinstance(value, str) and value in words:
            return value
        if isinstance(value, str) and value.isdecimal():
            raise ValueError("is text; write the number without quotes")
        if isinstance(value, str) and words:
            raise ValueError(f"is not known; {did_you_mean(value, words, f'use {numbers}, or')}")
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
            raise ValueError(f"is not possible; use {', '.join(words)}{' or ' * bool(words)}{numbers}")
        return value

    return PlainValidator(check)


def _count_schema(words: tuple[str, ...], maximum: int) -> WithJsonSchema:
    number = {"type": "integer", "minimum": 1, "maximum": maximum}
    return WithJsonSchema({"anyOf": [{"enum": list(words)}, number]} if words else number)


def hook_action(value: object) -> object:
    """Returns the hook's action that a value stands for; any other value unchanged."""
    if isinstance(value, bool):
        return "run" if value else "off"
    return {"on": "run", "yes": "run", "no": "off", "off": "off"}.get(str(value).lower(), value)


def _push_action(value: object) -> object:
    if value == "background":
        raise ValueError("could not refuse the push any more; use run, notify or off")
    return hook_action(value)


def _shape(value: object) -> str:
    return LIST if isinstance(value, list) else MAPPING if isinstance(value, dict) else TEXT


Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_text)]
TextList = Annotated[list[Text], Field(min_length=1)]
Texts = Annotated[TextList, BeforeValidator(_one_or_more, json_schema_input_type=Text | TextList)]
Environment = Annotated[
    Text,
    AfterValidator(_environment),
    WithJsonSchema({"type": "string", "pattern": f"^{ENVIRONMENT_NAME.pattern}$"}),
]
LedgerUrl = Annotated[
    Text,
    AfterValidator(_ledger),
    WithJsonSchema({"type": "string", "pattern": f"^{_LEDGER.pattern}$"}),
]
WebUrl = Annotated[
    Text, AfterValidator(_web_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})
]
VariableName = Annotated[
    Text, AfterValidator(_variable), WithJsonSchema({"type": "string", "pattern": f"^{_VARIABLE.pattern}$"})
]
HeaderName = Annotated[
    Text, AfterValidator(_header), WithJsonSchema({"type": "string", "pattern": f"^{_HEADER.pattern}$"})
]
RootPath = Annotated[Text, AfterValidator(_root)]
RootList = Annotated[list[RootPath], Field(min_length=1)]
Roots = Annotated[RootList, BeforeValidator(_one_or_more, json_schema_input_type=RootPath | RootList)]
ModuleName = Annotated[Text, AfterValidator(_module)]
ModuleList = Annotated[list[ModuleName], Field(min_length=1)]
Modules = Annotated[ModuleList, BeforeValidator(_one_or_more, json_schema_input_type=ModuleName | ModuleList)]
Python = Annotated[
    Annotated[Text, Tag(TEXT)] | Annotated[TextList, Tag(LIST)],
    Discriminator(lambda value: LIST if _shape(value) == LIST else TEXT),
]
AssetKey = Annotated[Text, AfterValidator(_asset_key)]
Command = Annotated[TextList, BeforeValidator(_command, json_schema_input_type=Text | TextList)]
Columns = Annotated[TextList, BeforeValidator(_one_or_more, json_schema_input_type=Text | TextList)]
Delimiter = Annotated[str, AfterValidator(_delimiter), WithJsonSchema({"type": "string", "maxLength": 1})]
Encoding = Annotated[Text, AfterValidator(_encoding)]
AssetKeys = Annotated[list[AssetKey], Field(min_length=1)]
PathPattern = Annotated[Text, AfterValidator(_pattern)]
Partition = Annotated[
    Annotated[Text, Tag(TEXT)] | Annotated[dict[str, Text], Field(min_length=1), Tag(MAPPING)],
    Discriminator(lambda value: MAPPING if _shape(value) == MAPPING else TEXT),
]
Downstream = Annotated[
    str | int,
    _count(("auto", "none", "all"), _MAX_DEPTH),
    _count_schema(("auto", "none", "all"), _MAX_DEPTH),
]
BatchSize = Annotated[int, _count((), _MAX_BATCH), _count_schema((), _MAX_BATCH)]
# Editors that read YAML 1.1 check `off` against the schema as false.
Hook = Annotated[
    HookAction,
    BeforeValidator(hook_action),
    WithJsonSchema({"enum": ["run", "background", "notify", "off", True, False]}),
]
PushHook = Annotated[
    PushAction,
    BeforeValidator(_push_action),
    WithJsonSchema({"enum": ["run", "notify", "off", True, False]}),
]
