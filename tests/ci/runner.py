"""What GitHub's runner reads out of a file of outputs and out of a job's log.

Written after actions/runner: FileCommandManager.cs (EnvFileKeyValuePairs; on Linux only LF ends a line),
ActionCommand.cs (TryParseV2, TryParse, the escape mappings in their order) and ActionCommandManager.cs
(stop-commands). .NET reads both as UTF-8, with U+FFFD for what is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

REGISTERED = [
    "stop-commands",
    "set-env",
    "set-output",
    "save-state",
    "add-mask",
    "add-path",
    "add-matcher",
    "remove-matcher",
    "debug",
    "warning",
    "error",
    "notice",
    "group",
    "endgroup",
    "echo",
]
DATA = (("\r", "%0D"), ("\n", "%0A"), ("%", "%25"))
PROPERTY = (("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C"), ("%", "%25"))
OLD = ((";", "%3B"), ("\r", "%0D"), ("\n", "%0A"), ("]", "%5D"), ("%", "%25"))


@dataclass(frozen=True)
class Command:
    name: str
    properties: dict[str, str]
    data: str


def outputs(content: bytes) -> dict[str, str]:
    lines = content.decode("utf-8", "replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    found: dict[str, str] = {}
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            name, _, found[name] = line.partition("=")
        elif heredoc >= 0:
            name, _, delimiter = line.partition("<<")
            if not name or not delimiter:
                raise ValueError(f"Invalid format '{line}'")
            value = []
            while lines[position] != delimiter:
                value.append(lines[position])
                position += 1
            position += 1
            found[name] = "\n".join(value)
        else:
            raise ValueError(f"Invalid format '{line}'")
    return found


def commands(log: bytes) -> list[Command]:
    """The commands in a log, those that stop and resume left out."""
    known = set(REGISTERED)
    found = []
    token: str | None = None
    text = log.decode("utf-8", "replace")
    for line in re.split(r"\r\n|\r|\n", text):
        command = _parse(line, known) or _parse_old(line, known)
        if command is None:
            continue
        if token is not None:
            if command.name.lower() == token.lower():
                known.discard(token)
                token = None
        elif command.name.lower() == "stop-commands":
            token = command.data
            known.add(token)
        else:
            found.append(command)
    assert token is None, "the log ends while commands are stopped"
    return found


def _known(name: str, registered: set[str]) -> bool:
    return name.lower() in {one.lower() for one in registered}


def _parse(line: str, registered: set[str]) -> Command | None:
    line = line.lstrip()
    end = line.find("::", 2)
    if not line.startswith("::") or end < 0:
        return None
    name, space, rest = line[2:end].partition(" ")
    if not _known(name, registered):
        return None
    properties = _properties(rest.strip(), ",", PROPERTY) if space else {}
    return Command(name, properties, _unescape(line[end + 2 :], DATA))


def _parse_old(line: str, registered: set[str]) -> Command | None:
    start = line.find("##[")
    end = line.find("]", start)
    if start < 0 or end < 0:
        return None
    name, space, rest = line[start + 3 : end].partition(" ")
    if not _known(name, registered):
        return None
    properties = _properties(rest, ";", OLD) if space else {}
    return Command(name, properties, _unescape(line[end + 1 :], OLD))


def _properties(text: str, separator: str, mappings: tuple[tuple[str, str], ...]) -> dict[str, str]:
    found = {}
    for one in text.split(separator):
        name, _, value = one.lstrip("=").partition("=")
        # String.Split with RemoveEmptyEntries drops separators at the beginning of the rest, too.
        if value.lstrip("="):
            found[name] = _unescape(value.lstrip("="), mappings)
    return found


def _unescape(text: str, mappings: tuple[tuple[str, str], ...]) -> str:
    for char, escaped in mappings:
        text = text.replace(escaped, char)
    return text
