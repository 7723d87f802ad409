"""Reads a YAML text into plain data and remembers where each value was written.

A scalar is read by its text, with the types of YAML 1.2: in ``pre-push: off``, ``off`` is a word and no
boolean. A scalar that YAML 1.1 reads as a date or an unusual number becomes a :class:`Doubtful`, because
editors and other tools would not read it as text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from raw_trigger.config.problems import Problem, Problems, quoted
from raw_trigger.model.settings import Position

MAX_VALUES = 100_000
"""The most values of a file, with aliases written out: a few lines of aliases can stand for 10⁹ values."""

_CORE = "tag:yaml.org,2002:"
_SCALARS = {_CORE + name for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge")}
_KINDS = {"int": "a number", "float": "a number", "timestamp": "a date", "bool": "true or false"}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DIGITS = 18
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Holds a scalar that some YAML readers do not take for text."""

    text: str


class Document:
    """Holds one parsed file and the position of each of its values.

    ``data`` is made of dict, list, str, int, bool, None and :class:`Doubtful`.

    Args:
        text: The file's text.
        file: Its name for positions.
        problems: Receives the problems after which the rest can still be read.

    Raises:
        ConfigError: the text is not YAML, or is too large to be read safely.
    """

    def __init__(self, text: str, file: str, problems: Problems) -> None:
        self.file = file
        self._problems = problems
        self._entries: dict[int, dict[str, tuple[Node, Node]]] = {}
        self._data: dict[int, Any] = {}
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()
        self._merged = 0
        start = Position(file, 1, 1)
        try:
            self._root = yaml.compose(text, Loader=yaml.SafeLoader)
            self.data = None if self._root is None else self._convert(self._root)
        except yaml.YAMLError as error:
            from raw_trigger.config.syntax import explain

            raise problems.fatal(explain(error, text, file)) from error
        except RecursionError as error:
            raise problems.fatal(Problem(start, "nested too deeply", "flatten it")) from error
        except (ValueError, OverflowError) as error:
            # PyYAML passes numbers in escapes and directives to chr() and int() without a check.
            message = "not valid YAML: an escape or version number is out of range"
            raise problems.fatal(Problem(start, message, "look for \\U and %YAML")) from error

    def at(self, location: Location) -> Position:
        """Returns the position of the value, or of the nearest value around it that exists."""
        return self._position(self._walk(location)[1])

    def key_at(self, location: Location) -> Position:
        """Returns the position of the value's key."""
        return self._position(self._walk(location)[0])

    def written(self, location: Location) -> str:
        """Returns the value in words for a message.

        These are its quoted text, ``a list``, ``a mapping`` or ``nothing``.
        """
        node = self._walk(location)[1]
        if isinstance(node, ScalarNode):
            return "nothing" if self._data.get(id(node), "") is None else quoted(node.value)
        return "a list" if isinstance(node, SequenceNode) else "a mapping"

    def kind(self, location: Location) -> str | None:
        """Returns the type of a scalar that is not text, such as ``a date``; None for anything else."""
        node = self._walk(location)[1]
        return _KINDS.get(node.tag.removeprefix(_CORE)) if isinstance(node, ScalarNode) else None

    def flow(self, location: Location) -> bool:
        """Says whether the value is a list or mapping in brackets.

        It often was meant as a text that begins with a bracket.
        """
        node = self._walk(location)[1]
        return isinstance(node, MappingNode | SequenceNode) and bool(node.flow_style)

    def _walk(self, location: Location) -> tuple[Node, Node]:
        assert self._root is not None
        key = value = self._root
        for part in location:
            if isinstance(value, MappingNode) and part in self._entries[id(value)]:
                key, value = self._entries[id(value)][str(part)]
            elif isinstance(value, SequenceNode) and isinstance(part, int) and part < len(value.value):
                key = value = value.value[part]
        return key, value

    def _position(self, node: Node) -> Position:
        return Position(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _problem(self, node: Node, message: str, hint: str) -> None:
        self._problems.add(Problem(self._position(node), message, hint))

    def _convert(self, node: Node) -> Any:
        """Returns the node as data.

        An alias gives the same object again, so the work is linear in the length of the text.
        """
        if id(node) in self._open:
            raise self._problems.fatal(
                Problem(self._position(node), "this contains itself by an alias", "write it out")
            )
        if id(node) not in self._data:
            self._open.add(id(node))
            if isinstance(node, MappingNode):
                data: Any = self._mapping(node)
            elif isinstance(node, SequenceNode):
                data = [self._convert(item) for item in node.value]
                self._measure(node, node.value)
            else:
                data = self._scalar(node)
                self._sizes[id(node)] = 1
            self._known_tag(node)
            self._data[id(node)] = data
            self._open.discard(id(node))
        return self._data[id(node)]

    def _measure(self, node: Node, children: list[Node]) -> None:
        size = 1 + sum(self._sizes[id(child)] for child in children)
        self._sizes[id(node)] = size
        self._bounded(node, size)

    def _bounded(self, node: Node, size: int) -> None:
        if size > MAX_VALUES:
            message = f"more than {MAX_VALUES} values, counting each alias as what it stands for"
            raise self._problems.fatal(
                Problem(self._position(node), message, "use fewer aliases or patterns")
            )

    def _mapping(self, node: MappingNode) -> dict[str, Any]:
        entries: dict[str, tuple[Node, Node]] = {}
        merges: list[Node] = []
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._problem(key, "a key has to be text", "quote it if it begins with '{' or '['")
            elif not self._whole(key):
                continue
            elif key.tag == _CORE + "merge":
                merges.append(value)
            elif key.value in entries:
                line = entries[key.value][0].start_mark.line + 1
                self._problem(key, f"key {quoted(key.value)} is already on line {line}", "remove one of them")
            else:
                entries[key.value] = (key, value)
        data = {name: self._convert(value) for name, (_, value) in entries.items()}
        for value in merges:
            self._merge(value, entries, data)
        self._entries[id(node)] = entries
        self._measure(node, [value for _, value in entries.values()])
        return data

    def _merge(self, value: Node, entries: dict[str, tuple[Node, Node]], data: dict[str, Any]) -> None:
        for source in value.value if isinstance(value, SequenceNode) else [value]:
            if not isinstance(source, MappingNode):
                self._problem(
                    source, "'<<' takes a mapping or a list of them", "give it an alias of a mapping"
                )
                continue
            merged = self._convert(source)
            self._merged += len(merged)
            self._bounded(source, self._merged)
            for name, pair in self._entries[id(source)].items():
                if name not in entries:
                    entries[name] = pair
                    data[name] = merged[name]

    def _scalar(self, node: Node) -> Any:
        text: str = node.value
        if not self._whole(node):
            return _REPLACEMENT
        tag = node.tag.removeprefix(_CORE)
        if tag == "null":
            return None
        if tag == "bool":
            # on, off, yes and no are booleans in YAML 1.1 only.
            return {"true": True, "false": False}.get(text.lower(), text)
        if tag == "int" and _INTEGER.fullmatch(text):
            # Python refuses to convert thousands of digits; every limit of ours is far below 10¹⁸.
            return int(text) if len(text) <= _DIGITS else 10**_DIGITS * (-1 if text[0] == "-" else 1)
        return Doubtful(text) if tag in _KINDS else text

    def _whole(self, node: Node) -> bool:
        """Says whether the node's text is free of surrogates, and adds a problem if not.

        Escapes can write surrogates, which neither a file name in UTF-8 nor a terminal can hold.
        """
        try:
            node.value.encode()
        except UnicodeEncodeError:
            self._problem(node, f"{quoted(node.value)} holds half a character", "write the whole character")
            return False
        return True

    def _known_tag(self, node: Node) -> None:
        known = {
            MappingNode: {_CORE + "map"},
            SequenceNode: {_CORE + "seq"},
            ScalarNode: _SCALARS,
        }[type(node)]
        if node.tag not in known:
            tag = node.tag.replace(_CORE, "!!")
            self._problem(node, f"tag {quoted(tag)} has no meaning here", "remove it")
