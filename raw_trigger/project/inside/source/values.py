"""Values before the code runs: a text with its alternatives, an object that exists, a dictionary."""

from __future__ import annotations

import enum
import itertools
import os
import posixpath
import types
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

HOLE = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Replaces text that is unknown before the code runs."""
KEY = "\N{INTERLINEAR ANNOTATION ANCHOR}"
"""Replaces the key of the partition that is made."""
MOST_TEXTS = 100
_LISTED = (list, tuple, set, frozenset)


class Texts(list[str]):
    """Holds the alternatives of one text."""


class Thing:
    """Holds an object that exists."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Pairs(Thing):
    """Holds a dictionary as its keys and its values."""

    def __init__(self, sides: list[list[str]]) -> None:
        super().__init__(None)
        self.sides = sides


UNKNOWN = Texts([HOLE])
Value = Any


def value_of(value: Any) -> Value:
    """Returns an object of the running interpreter as a value."""
    if isinstance(value, enum.Enum):
        return Thing(value)
    if isinstance(value, str):
        return Texts([value])
    if isinstance(value, PurePath):
        return Texts([str(value)])
    if isinstance(value, bool) or value is None:
        return UNKNOWN
    if isinstance(value, int):
        return Texts([str(value)])
    return Thing(value)


def texts_of(value: Value) -> list[str]:
    """Returns the texts that a value may be, or the texts in it; a hole if there are none."""
    if isinstance(value, Texts):
        return value
    if isinstance(value, Pairs):
        return [text for side in value.sides for text in side][:MOST_TEXTS]
    held = value.value
    if isinstance(held, enum.Enum):
        return [held._value_] if isinstance(held, str) else [HOLE]
    if isinstance(held, dict):
        held = list(held.values())
    if isinstance(held, _LISTED):
        found = [str(one) for one in held if isinstance(one, (str, PurePath))]
        return found if 0 < len(found) <= MOST_TEXTS else [HOLE]
    return [HOLE]


def as_text(value: Value) -> Value:
    """Returns the value as an f-string takes it."""
    return value if isinstance(value, Texts) else Texts(texts_of(value))


def elements_of(value: Value) -> Value:
    """Returns what a loop over the value gives."""
    if isinstance(value, Thing) and not isinstance(value, Pairs):
        held = value.value
        if isinstance(held, dict):
            return Texts(texts_of(value_of(list(held))))
        if isinstance(held, _LISTED) and held and all(isinstance(one, _LISTED) for one in held):
            wide = min(len(one) for one in held)
            columns = [texts_of(Thing([list(one)[n] for one in held])) for n in range(wide)]
            return Pairs(columns)
        return Texts(texts_of(value))
    return value


def without_unknown(value: Value) -> Value:
    """Returns the value without its unknown alternatives, if any is known."""
    known = [text for text in texts_of(value) if text != HOLE]
    return Texts(known) if known else value


def union(values: list[Value]) -> Value:
    """Returns a value that is one of these."""
    if len(values) == 1:
        return values[0]
    found = list(dict.fromkeys(text for one in values for text in texts_of(one)))
    return Texts(found[:MOST_TEXTS]) if found else UNKNOWN


def product(values: list[Value], join: Callable[[Any], str]) -> Value:
    """Returns the texts that all combinations of these values' texts make; holes if they are too many."""
    choices = [texts_of(one) for one in values]
    size = 1
    for one in choices:
        size *= len(one)
    if size > MOST_TEXTS:
        choices = [one if len(one) == 1 else [HOLE] for one in choices]
    return Texts([join(list(one)) for one in itertools.product(*choices)])


def as_path(parts: list[str]) -> str:
    """Returns the path of these parts; empty if there are none."""
    return posixpath.join(*parts) if parts else ""


def folder_of(base: Value) -> Value:
    """Returns the folder of a path."""
    return Texts([posixpath.dirname(text) for text in texts_of(base)])


_PARTS: dict[str, Callable[[str], str]] = {
    "parent": posixpath.dirname,
    "name": posixpath.basename,
    "stem": lambda text: posixpath.splitext(posixpath.basename(text))[0],
}


def attribute_of(value: Value, name: str) -> Value:  # noqa: PLR0911
    """Returns an attribute, looked up without running a property."""
    if name in ("partition_key", "partition_keys", "keys_by_dimension", "asset_partition_key"):
        return Texts([KEY])
    if isinstance(value, Texts):
        part = _PARTS.get(name)
        return UNKNOWN if part is None else Texts([part(text) for text in value])
    held = value.value
    if isinstance(held, enum.Enum):
        return value_of(held._value_ if name == "value" else held._name_)
    if isinstance(held, types.ModuleType):
        return value_of(vars(held).get(name))
    if held is os.environ:
        return Thing(getattr(held, name, None))
    if isinstance(held, type):  # a configuration that is not given has its default
        fields = getattr(held, "model_fields", None)
        fields = fields if isinstance(fields, dict) else vars(held).get("__fields__")  # (Pydantic 1)
        if isinstance(fields, dict) and name in fields:
            return value_of(getattr(fields[name], "default", None))
    for holder in (*_own_vars(held), *_class_vars(held)):
        found = holder.get(name)
        if isinstance(found, (str, PurePath, *_LISTED, dict, enum.Enum)):
            return value_of(found)
    return UNKNOWN


def _own_vars(held: Any) -> list[Mapping[str, Any]]:
    try:
        return [object.__getattribute__(held, "__dict__")]
    except AttributeError:
        return []


def _class_vars(held: Any) -> list[Mapping[str, Any]]:
    owner = held if isinstance(held, type) else type(held)
    return [vars(one) for one in owner.__mro__ if one is not object]


def of_dictionary(base: Any, method: str, args: list[Value]) -> Value:
    """Returns the result of a dictionary's method; None if it is no dictionary, or any other method."""
    if not isinstance(base, Pairs):
        if type(base.value) is not dict:
            return None
        if method == "get" and args and len(texts_of(args[0])) == 1:
            return value_of(base.value.get(texts_of(args[0])[0]))
        base = Pairs([texts_of(Thing(list(side))) for side in (base.value, base.value.values())])
    sides = {"items": base, "keys": Texts(base.sides[0]), "values": Texts(base.sides[1])}
    return sides.get(method, Texts(base.sides[1]) if method == "get" else None)


METHODS: dict[str, Callable[[Any, list[Any]], tuple[list[Any], Callable[[Any], str]]]] = {
    "joinpath": lambda base, args: ([base, *args], as_path),
    "glob": lambda base, args: ([base, args[0]], as_path),
    "rglob": lambda base, args: ([base, Texts(["**"]), args[0]], as_path),
    "iterdir": lambda base, _: ([base, Texts(["*"])], as_path),
    "with_name": lambda base, args: ([folder_of(base), args[0]], as_path),
    "with_suffix": lambda base, args: (
        [Texts([posixpath.splitext(text)[0] for text in texts_of(base)]), args[0]],
        "".join,
    ),
}
