"""The values of expressions."""

from __future__ import annotations

import ast
import glob
import os
import posixpath
import re
import types
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Protocol

from .values import (
    HOLE,
    METHODS,
    UNKNOWN,
    Pairs,
    Texts,
    Thing,
    Value,
    as_path,
    as_text,
    attribute_of,
    elements_of,
    folder_of,
    of_dictionary,
    product,
    texts_of,
    union,
    value_of,
    without_unknown,
)

_MOST_STEPS = 20_000
_SPEC = re.compile(r"%[-#0 +]*\d*(?:\.\d+)?[a-zA-Z]|%\(\w+\)[a-zA-Z]")
_FIELD = re.compile(r"\{[^{}]*\}")
_SAME = ("resolve", "absolute", "expanduser", "as_posix", "strip", "__str__", "__fspath__", "items", "values",
         "keys", "copy")  # fmt: skip
_AS_IT_IS = (str, os.fspath, os.fsdecode, os.path.abspath, os.path.realpath, os.path.expanduser,
             os.path.normpath, sorted, list, tuple, set, iter, reversed, next, enumerate)  # fmt: skip


class Calls(Protocol):
    """Reads the functions that are called, and keeps the texts that are used."""

    steps: int

    def function(self, function: Any, arguments: dict[str, Value], depth: int) -> Value:
        """Returns what a function returns, and notes what it uses."""

    def note(self, value: Value) -> None:
        """Keeps a value that is used as a text."""


class Expressions:
    """Tells the values of expressions, from the variables of a function that is not run.

    Args:
        depth: How many calls of the project's functions lead here.
        outer: The variables that it finds around the function.
    """

    def __init__(self, walk: Calls, depth: int, outer: dict[str, Any]) -> None:
        self.walk = walk
        self.depth = depth
        self.outer = outer
        self.locals: dict[str, Value] = {}

    def use(self, node: Any) -> Value:
        """Returns the value of an expression whose value is used, and notes it."""
        value = self.value(node)
        self.walk.note(value)
        return value

    def name(self, name: str) -> Value:
        if name in self.locals:
            return self.locals[name]
        if name in self.outer:
            return value_of(self.outer[name])
        builtins = self.outer.get("__builtins__", {})
        builtins = builtins if isinstance(builtins, dict) else vars(builtins)
        return Thing(builtins[name]) if name in builtins else UNKNOWN

    def bind(self, target: Any, value: Value, *, several: bool = False) -> None:
        if isinstance(target, ast.Name):
            known = self.locals.get(target.id)
            joined = [known, value] if known is not None and not several else [value]
            self.locals[target.id] = value if isinstance(value, Thing) else without_unknown(union(joined))
        elif isinstance(target, (ast.Tuple, ast.List)):
            for n, one in enumerate(target.elts):
                part = value
                if isinstance(value, Pairs):
                    part = Texts(value.sides[n]) if n < len(value.sides) else UNKNOWN
                self.bind(one, part, several=several)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, value)

    def value(self, node: Any) -> Value:  # noqa: PLR0911, PLR0912
        self.walk.steps += 1
        if self.walk.steps > _MOST_STEPS:
            raise OverflowError
        if isinstance(node, ast.Constant):
            return Texts([str(node.value)]) if isinstance(node.value, (str, int, float)) else UNKNOWN
        if isinstance(node, ast.Name):
            return self.name(node.id)
        if isinstance(node, ast.JoinedStr):
            return product([self.value(one) for one in node.values], "".join)
        if isinstance(node, ast.FormattedValue):
            value = self.value(node.value)
            return UNKNOWN if node.format_spec is not None else as_text(value)
        if isinstance(node, ast.BinOp):
            return self.operator(node)
        if isinstance(node, ast.Attribute):
            return attribute_of(self.value(node.value), node.attr)
        if isinstance(node, ast.Subscript):
            return self.item(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.IfExp):
            self.use(node.test)
            return union([self.value(node.body), self.value(node.orelse)])
        if isinstance(node, ast.BoolOp):
            return union([self.value(one) for one in node.values])
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return union([self.value(one) for one in node.elts])
        if isinstance(node, ast.Dict):
            keys = [self.value(one) for one in node.keys if one is not None]
            return Pairs([texts_of(union(keys)), texts_of(union([self.value(one) for one in node.values]))])
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            for one in node.generators:
                self.bind(one.target, elements_of(self.use(one.iter)), several=True)
            if isinstance(node, ast.DictComp):
                self.use(node.key)
                return self.value(node.value)
            return self.value(node.elt)
        if isinstance(node, ast.NamedExpr):
            value = self.use(node.value)
            self.bind(node.target, value)
            return value
        if isinstance(node, (ast.Await, ast.Starred, ast.Yield, ast.YieldFrom)):
            return UNKNOWN if node.value is None else self.value(node.value)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.use(child)
        return UNKNOWN

    def operator(self, node: ast.BinOp) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.op, ast.Div):
            return product([left, right], as_path)
        if isinstance(node.op, ast.Add):
            return product([left, right], "".join)
        if isinstance(node.op, ast.Mod):
            self.walk.note(right)
            single = (
                texts_of(right)
                if len(texts_of(right)) == 1 and not isinstance(node.right, ast.Tuple)
                else [HOLE]
            )
            return Texts([_SPEC.sub(lambda _: single[0], text) for text in texts_of(left)])
        self.walk.note(left)
        self.walk.note(right)
        return UNKNOWN

    def item(self, node: ast.Subscript) -> Value:
        if isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
            base, up = self.value(node.value.value), self.value(node.slice)
            if len(texts_of(up)) == 1 and texts_of(up)[0].isdecimal():
                for _ in range(min(int(texts_of(up)[0]) + 1, 20)):
                    base = Texts([posixpath.dirname(text) for text in texts_of(base)])
                return base
        whole, key = self.value(node.value), texts_of(self.value(node.slice))
        if (
            isinstance(whole, Thing)
            and isinstance(whole.value, Mapping)
            and len(key) == 1
            and key[0] in whole.value
        ):
            return value_of(whole.value[key[0]])
        if isinstance(whole, Thing) and isinstance(whole.value, Mapping):
            return UNKNOWN if whole.value is os.environ else elements_of(Thing(list(whole.value.values())))
        if isinstance(whole, Pairs):
            return Texts(whole.sides[1])
        return elements_of(whole)

    def call(self, node: ast.Call) -> Value:  # noqa: PLR0911, PLR0912
        method = node.func.attr if isinstance(node.func, ast.Attribute) else None
        if method is not None and method.startswith(("to_", "write", "save", "sink_")):
            return UNKNOWN  # a file that is written, not read
        called = self.value(node.func)
        function = called.value if isinstance(called, Thing) else None
        if _is_open_to_write(function, method, node):
            return UNKNOWN
        args = [self.value(one) for one in node.args]
        named = {one.arg: self.value(one.value) for one in node.keywords if one.arg is not None}
        if _is(function, _AS_IT_IS):
            return args[0] if args else UNKNOWN
        if isinstance(function, type) and issubclass(function, PurePath):
            return product(args, as_path)
        if _is(function, (os.path.join, posixpath.join)):
            return product(args, as_path)
        if function is os.path.dirname:
            return folder_of(args[0])
        if _is(function, (os.listdir, os.scandir, os.walk)):
            return product([*args[:1], Texts(["*"])], as_path)
        if _is(function, (glob.glob, glob.iglob)):
            return args[0]
        if args and (function is os.getenv or _is_environment(function)):
            there = [os.environ[one] for one in texts_of(args[0]) if one in os.environ]
            return Texts(there) if there else union(args[1:])
        if isinstance(function, types.FunctionType):
            if function.__name__ == "file_relative_path" and len(args) > 1:
                return product([folder_of(args[0]), args[1]], as_path)
            for one in (*args, *named.values()):
                self.walk.note(one)
            names = function.__code__.co_varnames[: function.__code__.co_argcount]
            given = {**dict(zip(names, args)), **named}  # noqa: B905
            return self.walk.function(function, given, self.depth + 1)
        if method is not None and function is None:
            made = self.method(node.func.value, method, args, named)  # type: ignore[attr-defined]
            if made is not None:
                return made
        for one in (*args, *named.values()):
            self.walk.note(one)
        return UNKNOWN

    def method(self, owner: Any, method: str, args: list[Value], named: dict[str, Value]) -> Value:
        """Returns the result of a method of a text, a path or a dictionary; None for any other."""
        base = self.value(owner)
        if isinstance(base, Thing):
            return of_dictionary(base, method, args)
        if method in _SAME:
            return base
        make = METHODS.get(method)
        if make is not None and (args or method == "iterdir"):
            return product(*make(base, args))
        if method == "format":
            for one in args:
                self.walk.note(one)
            fill = {name: texts_of(one)[0] for name, one in named.items() if len(texts_of(one)) == 1}
            if len(args) == 1 and len(texts_of(args[0])) == 1:
                fill[""] = fill["0"] = texts_of(args[0])[0]
            return Texts([_FIELD.sub(lambda m: fill.get(m[0][1:-1], HOLE), text) for text in texts_of(base)])
        self.walk.note(base)
        return None


def _is(value: Any, those: tuple[Any, ...]) -> bool:
    return any(value is one for one in those)


def _is_environment(function: Any) -> bool:
    """Says whether the function is ``os.environ.get``."""
    return isinstance(function, types.MethodType) and function.__self__ is os.environ


def _is_open_to_write(function: Any, method: str | None, node: ast.Call) -> bool:
    if function is not open and method != "open":
        return False
    modes = [*node.args[1 if function is open else 0 :][:1]]
    modes += [one.value for one in node.keywords if one.arg == "mode"]
    return any(isinstance(one, ast.Constant) and bool(set(str(one.value)) & set("wax")) for one in modes)
