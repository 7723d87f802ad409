"""Finds the files that the code of an asset names, in its source: nothing of it is run.

Texts are put together as the code would: constants, f-strings, paths, module constants, the variables of a
factory, the arguments of the project's helpers. What only a run could tell becomes a :data:`HOLE`. The result
is a hint for people: whatever is not understood is left out.
"""

from __future__ import annotations

import ast
import enum
import glob
import itertools
import os
import posixpath
import re
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

HOLE = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Replaces text that is unknown before the code runs."""
KEY = "\N{INTERLINEAR ANNOTATION ANCHOR}"
"""Replaces the key of the partition that is made."""

MOST_NAMES = 60
"""The most names of an asset: more name no file in particular."""
_MOST_TEXTS = 100
_MOST_STEPS = 20_000
_MOST_CALLS = 5
_LONGEST = 300
_SECONDS = 2.0
"""Seconds for all assets of a project: a hint must not make loading it slow."""

_TOKEN = re.compile(rf"[\w{HOLE}{KEY}@+~$./*?-]*[\w{HOLE}{KEY}*]\.\w{{1,10}}(?![\w.])")
_QUOTED = re.compile(r"'([^'\n]+)'|\"([^\"\n]+)\"")
_SPEC = re.compile(r"%[-#0 +]*\d*(?:\.\d+)?[a-zA-Z]|%\(\w+\)[a-zA-Z]")
_FIELD = re.compile(r"\{[^{}]*\}")
_SAME = ("resolve", "absolute", "expanduser", "as_posix", "strip", "__str__", "__fspath__", "items", "values",
         "keys", "copy")  # fmt: skip
_LISTED = (list, tuple, set, frozenset)
_AS_IT_IS = (str, os.fspath, os.fsdecode, os.path.abspath, os.path.realpath, os.path.expanduser,
             os.path.normpath, sorted, list, tuple, set, iter, reversed, next, enumerate)  # fmt: skip


class _Texts(list):  # type: ignore[type-arg]
    """Holds the alternatives of one text."""


class _Thing:
    """Holds an object that exists."""

    def __init__(self, value: Any) -> None:
        self.value = value


UNKNOWN = _Texts([HOLE])
Value = Any


class Sources:
    """Reads the source of functions.

    Args:
        top: The repository's top: paths below it are given relative to it, with a ``/`` in front.
        is_own: Says whether a file belongs to the project and not to an installed package.
    """

    def __init__(self, top: str, is_own: Callable[[str], bool]) -> None:
        self._tops = sorted({top, os.path.realpath(top)})
        self._is_own = is_own
        self._until = time.monotonic() + _SECONDS
        self._modules: dict[str, dict[int, ast.AST]] = {}
        self._known: dict[int, tuple[Any, list[str]]] = {}

    def names(self, function: Any) -> list[str]:
        """Returns texts that may name files, in a function and in the project's functions that it calls."""
        if id(function) not in self._known:
            found: list[str] = []
            try:
                if time.monotonic() < self._until:
                    walk = _Walk(self)
                    walk.function(function, {}, 0)
                    found = list(dict.fromkeys(itertools.chain.from_iterable(map(self.as_names, walk.noted))))
            except Exception:  # (an unknown decorator, source that is gone: only a hint is missing then)
                found = []
            self._known[id(function)] = (function, found[:MOST_NAMES])
        return self._known[id(function)][1]

    def as_names(self, text: str) -> Iterator[str]:
        """Yields the text if it may be the name of a file, or the names in it if it is longer."""
        quoted = [one or other for one, other in _QUOTED.findall(text)]
        parts = (
            quoted + _TOKEN.findall(_QUOTED.sub(" ", text)) if quoted or re.search(r"[\s`,;()]", text) else []
        )
        if not quoted:
            parts.append(text)
        for part in parts:
            name = self._relative(part)
            if name is not None:
                yield name

    def _relative(self, text: str) -> str | None:
        """Returns the name relative to the top; None if it is no file's name."""
        if len(text) > _LONGEST or "\n" in text or ("://" in text and not text.startswith("file:")):
            return None
        text = re.sub(r"^file:(//)?", "", text)
        absolute = text.startswith("/")
        name = posixpath.normpath(text)
        while name.startswith("../"):
            name = name[3:]
        if absolute:
            inside = [top for top in self._tops if name.startswith(top + "/")]
            name = name[len(max(inside, key=len)) :] if inside else posixpath.basename(name)
        body, suffix = posixpath.splitext(name)
        if not re.search(r"[^\W_]", body.replace(HOLE, "")) or not (
            "/" in name or re.search("[a-zA-Z]", suffix)
        ):
            return None
        return name

    def tree(self, function: Any) -> ast.AST | None:
        """Returns the definition of a function of the project; None if it is not the project's."""
        code = getattr(function, "__code__", None)
        if code is None or not self._is_own(os.path.abspath(code.co_filename)):  # noqa: PTH100
            return None
        file = code.co_filename
        if file not in self._modules:
            self._modules[file] = {}
            tree = ast.parse(Path(file).read_bytes())
            for node in ast.walk(tree):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    for line in (node.lineno, *(one.lineno for one in node.decorator_list)):
                        self._modules[file].setdefault(line, node)
        return self._modules[file].get(code.co_firstlineno)


class _Walk:
    """Walks through one function and the functions that it calls. ``noted`` are the texts that it uses."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.noted: dict[str, None] = {}
        self.steps = 0

    def function(self, function: Any, arguments: dict[str, Value], depth: int) -> Value:
        """Walks through a function; returns what it returns."""
        for _ in range(_MOST_CALLS):
            function = getattr(function, "__wrapped__", function)
        tree = self.sources.tree(function)
        if tree is None or depth > _MOST_CALLS:
            return UNKNOWN
        scope = _Scope(self, function, depth)
        scope.arguments(tree.args, arguments)  # type: ignore[attr-defined]
        scope.block(tree.body)  # type: ignore[attr-defined]
        return _union(scope.returned)

    def note(self, value: Value) -> None:
        """Keeps a value that is used as a text."""
        for text in _texts(value):
            if text not in (HOLE, KEY) and len(self.noted) < _MOST_TEXTS * 5:
                self.noted[text] = None


class _Scope:
    def __init__(self, walk: _Walk, function: Any, depth: int) -> None:
        self.walk = walk
        self.depth = depth
        self.locals: dict[str, Value] = {}
        self.outer: dict[str, Any] = dict(getattr(function, "__globals__", {}))
        names = function.__code__.co_freevars
        for name, cell in zip(names, function.__closure__ or ()):  # noqa: B905  (Python 3.9)
            try:
                self.outer[name] = cell.cell_contents
            except ValueError:
                continue
        self.hints = dict(getattr(function, "__annotations__", {}))
        self.defaults = _defaults(function)
        self.returned: list[Value] = []

    def arguments(self, args: ast.arguments, given: dict[str, Value]) -> None:
        """Binds the parameters."""
        names = [one.arg for one in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
        for name in names:
            if name in given:
                self.locals[name] = given[name]
            elif name in self.defaults:
                self.locals[name] = _value(self.defaults[name])
            else:
                hint = self.hints.get(name)
                hint = self.outer.get(hint) if isinstance(hint, str) else hint
                self.locals[name] = _Thing(hint) if isinstance(hint, type) else UNKNOWN
        for one in (args.vararg, args.kwarg):
            if one is not None:
                self.locals[one.arg] = UNKNOWN

    # Statements

    def block(self, body: list[ast.stmt]) -> None:
        for one in body:
            self.statement(one)

    def statement(self, one: Any) -> None:  # noqa: PLR0912
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inner = _Scope.__new__(_Scope)
            inner.__dict__.update(self.__dict__, locals=dict(self.locals), returned=[], defaults={}, hints={})
            inner.arguments(one.args, {})
            inner.block(one.body)
        elif isinstance(one, ast.Expr):
            if not isinstance(one.value, ast.Constant):  # a docstring may name anything
                self.use(one.value)
        elif isinstance(one, ast.Return):
            if one.value is not None:
                self.returned.append(self.use(one.value))
        elif isinstance(one, ast.Assign):
            value = self.use(one.value)
            for target in one.targets:
                self.bind(target, value)
        elif isinstance(one, ast.AnnAssign):
            if one.value is not None:
                self.bind(one.target, self.use(one.value))
        elif isinstance(one, ast.AugAssign):
            value = self.use(one.value)
            if isinstance(one.target, ast.Name):
                self.locals[one.target.id] = _product([self.name(one.target.id), value], "".join)
        elif isinstance(one, (ast.For, ast.AsyncFor)):
            self.bind(one.target, _elements(self.use(one.iter)), several=True)
            self.block(one.body + one.orelse)
        elif isinstance(one, (ast.Import, ast.ImportFrom)):
            self.imports(one)
        else:
            for field in ("test", "subject", "exc"):
                inner_ = getattr(one, field, None)
                if inner_ is not None:
                    self.use(inner_)
            for item in getattr(one, "items", ()):
                value = self.use(item.context_expr)
                if item.optional_vars is not None:
                    self.bind(item.optional_vars, value)
            for field in ("body", "orelse", "finalbody"):
                self.block(getattr(one, field, []))
            for handler in (*getattr(one, "handlers", ()), *getattr(one, "cases", ())):
                self.block(handler.body)

    def imports(self, one: Any) -> None:
        """Binds an import in a function, as far as other code has imported it by now."""
        for alias in one.names:
            if isinstance(one, ast.Import):
                top = alias.name.split(".")[0]
                module = sys.modules.get(alias.name if alias.asname else top)
                self.locals[alias.asname or top] = UNKNOWN if module is None else _Thing(module)
                continue
            name = one.module or ""
            if one.level:
                package = str(self.outer.get("__package__") or "").split(".")
                name = ".".join([*package[: len(package) - one.level + 1], *([name] if name else [])])
            module = sys.modules.get(name)
            self.locals[alias.asname or alias.name] = (
                _value(vars(module).get(alias.name)) if module else UNKNOWN
            )

    def bind(self, target: Any, value: Value, *, several: bool = False) -> None:
        if isinstance(target, ast.Name):
            known = self.locals.get(target.id)
            joined = [known, value] if known is not None and not several else [value]
            self.locals[target.id] = value if isinstance(value, _Thing) else _known(_union(joined))
        elif isinstance(target, (ast.Tuple, ast.List)):
            for n, one in enumerate(target.elts):
                part = value
                if isinstance(value, _Pairs):
                    part = _Texts(value.sides[n]) if n < len(value.sides) else UNKNOWN
                self.bind(one, part, several=several)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, value)

    # Expressions

    def use(self, node: Any) -> Value:
        """Returns the value of an expression whose value is used, and notes it."""
        value = self.value(node)
        self.walk.note(value)
        return value

    def name(self, name: str) -> Value:
        if name in self.locals:
            return self.locals[name]
        if name in self.outer:
            return _value(self.outer[name])
        builtins = self.outer.get("__builtins__", {})
        builtins = builtins if isinstance(builtins, dict) else vars(builtins)
        return _Thing(builtins[name]) if name in builtins else UNKNOWN

    def value(self, node: Any) -> Value:  # noqa: PLR0911, PLR0912
        self.walk.steps += 1
        if self.walk.steps > _MOST_STEPS:
            raise OverflowError
        if isinstance(node, ast.Constant):
            return _Texts([str(node.value)]) if isinstance(node.value, (str, int, float)) else UNKNOWN
        if isinstance(node, ast.Name):
            return self.name(node.id)
        if isinstance(node, ast.JoinedStr):
            return _product([self.value(one) for one in node.values], "".join)
        if isinstance(node, ast.FormattedValue):
            value = self.value(node.value)
            return UNKNOWN if node.format_spec is not None else _as_text(value)
        if isinstance(node, ast.BinOp):
            return self.operator(node)
        if isinstance(node, ast.Attribute):
            return _attribute(self.value(node.value), node.attr)
        if isinstance(node, ast.Subscript):
            return self.item(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.IfExp):
            self.use(node.test)
            return _union([self.value(node.body), self.value(node.orelse)])
        if isinstance(node, ast.BoolOp):
            return _union([self.value(one) for one in node.values])
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return _union([self.value(one) for one in node.elts])
        if isinstance(node, ast.Dict):
            keys = [self.value(one) for one in node.keys if one is not None]
            return _Pairs([_texts(_union(keys)), _texts(_union([self.value(one) for one in node.values]))])
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            for one in node.generators:
                self.bind(one.target, _elements(self.use(one.iter)), several=True)
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
            return _product([left, right], _join)
        if isinstance(node.op, ast.Add):
            return _product([left, right], "".join)
        if isinstance(node.op, ast.Mod):
            self.walk.note(right)
            single = (
                _texts(right) if len(_texts(right)) == 1 and not isinstance(node.right, ast.Tuple) else [HOLE]
            )
            return _Texts([_SPEC.sub(lambda _: single[0], text) for text in _texts(left)])
        self.walk.note(left)
        self.walk.note(right)
        return UNKNOWN

    def item(self, node: ast.Subscript) -> Value:
        if isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
            base, up = self.value(node.value.value), self.value(node.slice)
            if len(_texts(up)) == 1 and _texts(up)[0].isdecimal():
                for _ in range(min(int(_texts(up)[0]) + 1, 20)):
                    base = _Texts([posixpath.dirname(text) for text in _texts(base)])
                return base
        whole, key = self.value(node.value), _texts(self.value(node.slice))
        if (
            isinstance(whole, _Thing)
            and isinstance(whole.value, Mapping)
            and len(key) == 1
            and key[0] in whole.value
        ):
            return _value(whole.value[key[0]])
        if isinstance(whole, _Thing) and isinstance(whole.value, Mapping):
            return UNKNOWN if whole.value is os.environ else _elements(_Thing(list(whole.value.values())))
        if isinstance(whole, _Pairs):
            return _Texts(whole.sides[1])
        return _elements(whole)

    def call(self, node: ast.Call) -> Value:  # noqa: PLR0911, PLR0912
        method = node.func.attr if isinstance(node.func, ast.Attribute) else None
        if method is not None and method.startswith(("to_", "write", "save", "sink_")):
            return UNKNOWN  # a file that is written, not read
        called = self.value(node.func)
        function = called.value if isinstance(called, _Thing) else None
        if _is_open_to_write(function, method, node):
            return UNKNOWN
        args = [self.value(one) for one in node.args]
        named = {one.arg: self.value(one.value) for one in node.keywords if one.arg is not None}
        if _is(function, _AS_IT_IS):
            return args[0] if args else UNKNOWN
        if isinstance(function, type) and issubclass(function, PurePath):
            return _product(args, _join)
        if _is(function, (os.path.join, posixpath.join)):
            return _product(args, _join)
        if function is os.path.dirname:
            return _folder(args[0])
        if _is(function, (os.listdir, os.scandir, os.walk)):
            return _product([*args[:1], _Texts(["*"])], _join)
        if _is(function, (glob.glob, glob.iglob)):
            return args[0]
        if args and (function is os.getenv or _is_environment(function)):
            there = [os.environ[one] for one in _texts(args[0]) if one in os.environ]
            return _Texts(there) if there else _union(args[1:])
        if isinstance(function, types.FunctionType):
            if function.__name__ == "file_relative_path" and len(args) > 1:
                return _product([_folder(args[0]), args[1]], _join)
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
        if isinstance(base, _Thing):
            return _of_dictionary(base, method, args)
        if method in _SAME:
            return base
        make = _METHODS.get(method)
        if make is not None and (args or method == "iterdir"):
            return _product(*make(base, args))
        if method == "format":
            for one in args:
                self.walk.note(one)
            fill = {name: _texts(one)[0] for name, one in named.items() if len(_texts(one)) == 1}
            if len(args) == 1 and len(_texts(args[0])) == 1:
                fill[""] = fill["0"] = _texts(args[0])[0]
            return _Texts([_FIELD.sub(lambda m: fill.get(m[0][1:-1], HOLE), text) for text in _texts(base)])
        self.walk.note(base)
        return None


def _of_dictionary(base: Any, method: str, args: list[Value]) -> Value:
    if not isinstance(base, _Pairs):
        if type(base.value) is not dict:
            return None
        if method == "get" and args and len(_texts(args[0])) == 1:
            return _value(base.value.get(_texts(args[0])[0]))
        base = _Pairs([_texts(_Thing(list(side))) for side in (base.value, base.value.values())])
    sides = {"items": base, "keys": _Texts(base.sides[0]), "values": _Texts(base.sides[1])}
    return sides.get(method, _Texts(base.sides[1]) if method == "get" else None)


def _folder(base: Value) -> Value:
    return _Texts([posixpath.dirname(text) for text in _texts(base)])


_METHODS: dict[str, Callable[[Any, list[Any]], tuple[list[Any], Callable[[Any], str]]]] = {
    "joinpath": lambda base, args: ([base, *args], _join),
    "glob": lambda base, args: ([base, args[0]], _join),
    "rglob": lambda base, args: ([base, _Texts(["**"]), args[0]], _join),
    "iterdir": lambda base, _: ([base, _Texts(["*"])], _join),
    "with_name": lambda base, args: ([_folder(base), args[0]], _join),
    "with_suffix": lambda base, args: (
        [_Texts([posixpath.splitext(text)[0] for text in _texts(base)]), args[0]],
        "".join,
    ),
}


class _Pairs(_Thing):
    """Holds a dictionary as its keys and its values."""

    def __init__(self, sides: list[list[str]]) -> None:
        super().__init__(None)
        self.sides = sides


def _defaults(function: Any) -> dict[str, Any]:
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    return {**dict(zip(names[len(names) - len(defaults) :], defaults)), **(function.__kwdefaults__ or {})}  # noqa: B905


def _value(value: Any) -> Value:
    if isinstance(value, enum.Enum):
        return _Thing(value)
    if isinstance(value, str):
        return _Texts([value])
    if isinstance(value, PurePath):
        return _Texts([str(value)])
    if isinstance(value, bool) or value is None:
        return UNKNOWN
    if isinstance(value, int):
        return _Texts([str(value)])
    return _Thing(value)


def _texts(value: Value) -> list[str]:
    if isinstance(value, _Texts):
        return value
    if isinstance(value, _Pairs):
        return [text for side in value.sides for text in side][:_MOST_TEXTS]
    held = value.value
    if isinstance(held, enum.Enum):
        return [held._value_] if isinstance(held, str) else [HOLE]
    if isinstance(held, dict):
        held = list(held.values())
    if isinstance(held, _LISTED):
        found = [str(one) for one in held if isinstance(one, (str, PurePath))]
        return found if 0 < len(found) <= _MOST_TEXTS else [HOLE]
    return [HOLE]


def _as_text(value: Value) -> Value:
    return value if isinstance(value, _Texts) else _Texts(_texts(value))


def _elements(value: Value) -> Value:
    """Returns what a loop over the value gives."""
    if isinstance(value, _Thing) and not isinstance(value, _Pairs):
        held = value.value
        if isinstance(held, dict):
            return _Texts(_texts(_value(list(held))))
        if isinstance(held, _LISTED) and held and all(isinstance(one, _LISTED) for one in held):
            wide = min(len(one) for one in held)
            columns = [_texts(_Thing([list(one)[n] for one in held])) for n in range(wide)]
            return _Pairs(columns)
        return _Texts(_texts(value))
    return value


def _known(value: Value) -> Value:
    """Returns the value without its unknown alternatives, if any is known."""
    known = [text for text in _texts(value) if text != HOLE]
    return _Texts(known) if known else value


def _union(values: list[Value]) -> Value:
    if len(values) == 1:
        return values[0]
    found = list(dict.fromkeys(text for one in values for text in _texts(one)))
    return _Texts(found[:_MOST_TEXTS]) if found else UNKNOWN


def _product(values: list[Value], join: Callable[[Any], str]) -> Value:
    choices = [_texts(one) for one in values]
    size = 1
    for one in choices:
        size *= len(one)
    if size > _MOST_TEXTS:
        choices = [one if len(one) == 1 else [HOLE] for one in choices]
    return _Texts([join(list(one)) for one in itertools.product(*choices)])


def _join(parts: list[str]) -> str:
    return posixpath.join(*parts) if parts else ""


_PARTS: dict[str, Callable[[str], str]] = {
    "parent": posixpath.dirname,
    "name": posixpath.basename,
    "stem": lambda text: posixpath.splitext(posixpath.basename(text))[0],
}


def _attribute(value: Value, name: str) -> Value:  # noqa: PLR0911
    """Returns an attribute, looked up without running a property."""
    if name in ("partition_key", "partition_keys", "keys_by_dimension", "asset_partition_key"):
        return _Texts([KEY])
    if isinstance(value, _Texts):
        part = _PARTS.get(name)
        return UNKNOWN if part is None else _Texts([part(text) for text in value])
    held = value.value
    if isinstance(held, enum.Enum):
        return _value(held._value_ if name == "value" else held._name_)
    if isinstance(held, types.ModuleType):
        return _value(vars(held).get(name))
    if held is os.environ:
        return _Thing(getattr(held, name, None))
    if isinstance(held, type):  # a configuration that is not given has its default
        fields = getattr(held, "model_fields", None)
        fields = fields if isinstance(fields, dict) else vars(held).get("__fields__")  # (Pydantic 1)
        if isinstance(fields, dict) and name in fields:
            return _value(getattr(fields[name], "default", None))
    for holder in (*_own_vars(held), *_class_vars(held)):
        found = holder.get(name)
        if isinstance(found, (str, PurePath, *_LISTED, dict, enum.Enum)):
            return _value(found)
    return UNKNOWN


def _own_vars(held: Any) -> list[Mapping[str, Any]]:
    try:
        return [object.__getattribute__(held, "__dict__")]
    except AttributeError:
        return []


def _class_vars(held: Any) -> list[Mapping[str, Any]]:
    owner = held if isinstance(held, type) else type(held)
    return [vars(one) for one in owner.__mro__ if one is not object]


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
