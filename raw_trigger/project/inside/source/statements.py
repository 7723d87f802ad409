"""The statements of a function, and the functions that it calls."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from typing import Any

from .expressions import Expressions
from .values import (
    HOLE,
    KEY,
    MOST_TEXTS,
    UNKNOWN,
    Thing,
    Value,
    elements_of,
    product,
    texts_of,
    union,
    value_of,
)

MOST_CALLS = 5


class Walk:
    """Reads one function and the functions that it calls. ``noted`` are the texts that they use.

    Args:
        tree_of: Returns the definition of a function of the project; None for any other.
    """

    def __init__(self, tree_of: Callable[[Any], ast.AST | None]) -> None:
        self._tree_of = tree_of
        self.noted: dict[str, None] = {}
        self.steps = 0

    def function(self, function: Any, arguments: dict[str, Value], depth: int) -> Value:
        """Returns what a function returns, and notes what it uses."""
        for _ in range(MOST_CALLS):
            function = getattr(function, "__wrapped__", function)
        tree = self._tree_of(function)
        if tree is None or depth > MOST_CALLS:
            return UNKNOWN
        scope = Scope(self, function, depth)
        scope.arguments(tree.args, arguments)  # type: ignore[attr-defined]
        scope.block(tree.body)  # type: ignore[attr-defined]
        return union(scope.returned)

    def note(self, value: Value) -> None:
        """Keeps a value that is used as a text."""
        for text in texts_of(value):
            if text not in (HOLE, KEY) and len(self.noted) < MOST_TEXTS * 5:
                self.noted[text] = None


class Scope(Expressions):
    """Reads the statements of one function."""

    def __init__(self, walk: Walk, function: Any, depth: int) -> None:
        super().__init__(walk, depth, dict(getattr(function, "__globals__", {})))
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
        """Makes the parameters known."""
        names = [one.arg for one in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
        for name in names:
            if name in given:
                self.locals[name] = given[name]
            elif name in self.defaults:
                self.locals[name] = value_of(self.defaults[name])
            else:
                hint = self.hints.get(name)
                hint = self.outer.get(hint) if isinstance(hint, str) else hint
                self.locals[name] = Thing(hint) if isinstance(hint, type) else UNKNOWN
        for one in (args.vararg, args.kwarg):
            if one is not None:
                self.locals[one.arg] = UNKNOWN

    def block(self, body: list[ast.stmt]) -> None:
        for one in body:
            self.statement(one)

    def statement(self, one: Any) -> None:  # noqa: PLR0912
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inner = Scope.__new__(Scope)
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
                self.locals[one.target.id] = product([self.name(one.target.id), value], "".join)
        elif isinstance(one, (ast.For, ast.AsyncFor)):
            self.bind(one.target, elements_of(self.use(one.iter)), several=True)
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
        """Makes an import in a function known, as far as other code has imported it by now."""
        for alias in one.names:
            if isinstance(one, ast.Import):
                top = alias.name.split(".")[0]
                module = sys.modules.get(alias.name if alias.asname else top)
                self.locals[alias.asname or top] = UNKNOWN if module is None else Thing(module)
                continue
            name = one.module or ""
            if one.level:
                package = str(self.outer.get("__package__") or "").split(".")
                name = ".".join([*package[: len(package) - one.level + 1], *([name] if name else [])])
            module = sys.modules.get(name)
            self.locals[alias.asname or alias.name] = (
                value_of(vars(module).get(alias.name)) if module else UNKNOWN
            )


def _defaults(function: Any) -> dict[str, Any]:
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    return {**dict(zip(names[len(names) - len(defaults) :], defaults)), **(function.__kwdefaults__ or {})}  # noqa: B905
