"""The words of Dagster that the projects of tests are written in, for an interpreter that has no Dagster.

The stand-in gives it to the project's code as the module ``dagster``. The code really runs, so what a test's assets
read, print and raise is what they would under Dagster; what is missing here ends in an ``ImportError``.
``tests/dagster/test_standin.py`` runs the same code under both.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

Document = dict[str, Any]


class AssetKey:
    def __init__(self, path: Any) -> None:
        self.path = [path] if isinstance(path, str) else list(path)

    @property
    def text(self) -> str:
        return "/".join(self.path)


class AssetSpec:
    def __init__(
        self,
        key: Any,
        *,
        deps: Iterable[Any] = (),
        metadata: Document | None = None,
        group_name: str = "default",
        partitions_def: Any = None,
    ) -> None:
        self.key = _key(key)
        self.document: Document = {
            "group": group_name,
            "metadata": [[name, value] for name, value in (metadata or {}).items()],
            "parents": [_key(one) for one in deps],
        }
        if partitions_def is not None:
            self.document["partitions"] = partitions_def.document


class AssetsDefinition:
    """One step, and the assets that it makes."""

    def __init__(self, function: Callable[..., Any], specs: list[AssetSpec]) -> None:
        self.function, self.specs = function, specs
        self.key = AssetKey(specs[0].key.split("/"))


class AssetCheckSeverity(enum.Enum):
    ERROR = "ERROR"
    WARN = "WARN"


class AssetCheckResult:
    def __init__(
        self,
        *,
        passed: bool,
        severity: AssetCheckSeverity = AssetCheckSeverity.ERROR,
        description: str | None = None,
    ) -> None:
        self.passed, self.severity, self.description = passed, severity, description


class MaterializeResult:
    def __init__(self, *, asset_key: Any = None) -> None:
        self.key = None if asset_key is None else _key(asset_key)


class StaticPartitionsDefinition:
    def __init__(self, keys: Iterable[str]) -> None:
        self.document = list(keys)


class DynamicPartitionsDefinition:
    def __init__(self, *, name: str) -> None:
        self.document = {"dynamic": name}


class DailyPartitionsDefinition:
    def __init__(self, start_date: str, *, end_date: str | None = None) -> None:
        def midnight(day: str) -> str:
            return f"{day}T00:00:00+00:00"

        self.document = {
            "kind": "time",
            "exclusions": [],
            "format": "%Y-%m-%d",
            "start": midnight(start_date),
            "end": midnight(end_date) if end_date else None,
            "cron": "0 0 * * *",
            "timezone": "UTC",
            "end_offset": 0,
        }


class Definitions:
    def __init__(self, assets: Iterable[Any] = (), *, asset_checks: Iterable[Any] = ()) -> None:
        self.assets: dict[str, Document] = {}
        for one in assets:
            specs = [one] if isinstance(one, AssetSpec) else one.specs
            for spec in specs:
                kind = {"external": True} if one is spec else {"function": one.function}
                together = {"set": [mate.key for mate in specs]} if len(specs) > 1 else {}
                self.assets[spec.key] = {**spec.document, **kind, **together}
        for check in asset_checks:
            found = self.assets[check.asset]
            found["checks"] = sorted([*found.get("checks", ()), check.name])
            found.setdefault("check_functions", {})[check.name] = check.function
        # Dagster knows what is only named as a parent.
        for parent in [one for asset in self.assets.values() for one in asset["parents"]]:
            self.assets.setdefault(parent, {"external": True, "parents": []})


def asset(function: Callable[..., Any] | None = None, **rest: Any) -> Any:
    """The decorator, with and without arguments."""
    if function is None:
        return lambda given: asset(given, **rest)
    key, prefix = rest.pop("key", None), rest.pop("key_prefix", None) or []
    name = rest.pop("name", None) or function.__name__
    if key is None:
        key = [*([prefix] if isinstance(prefix, str) else prefix), name]
    return AssetsDefinition(function, [AssetSpec(key, **rest)])


def multi_asset(*, specs: Iterable[AssetSpec]) -> Any:
    """The decorator."""
    return lambda function: AssetsDefinition(function, list(specs))


def asset_check(*, asset: Any) -> Any:
    """The decorator."""
    return lambda function: SimpleNamespace(asset=_key(asset), name=function.__name__, function=function)


def call(function: Callable[..., Any], partition: str | None) -> Any:
    """Call what an asset or a check is made with."""
    wanted = list(inspect.signature(function).parameters)
    assert wanted in ([], ["context"]), f"{function.__name__} takes what the stand-in does not have: {wanted}"
    return function(*[SimpleNamespace(partition_key=partition) for _ in wanted])


def load(name: str, file: Path, folder: Path) -> Document:
    """The definitions in a module of a project.

    Args:
        name: The module's.
        file: Where it is.
        folder: What imports are looked for in.
    """
    sys.modules["dagster"] = sys.modules[__name__]
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    module = importlib.import_module(name)
    [found] = [one for one in vars(module).values() if isinstance(one, Definitions)]
    return {"assets": found.assets, "files": _files(folder) | {str(file)}}


def _files(folder: Path) -> set[str]:
    """The project's modules that were imported."""
    modules: list[ModuleType] = list(sys.modules.values())
    named = [getattr(module, "__file__", None) for module in modules]
    return {file for file in named if file is not None and Path(file).is_relative_to(folder)}


def _key(one: Any) -> str:
    """The text of a key, of whatever has one."""
    if isinstance(one, AssetSpec):
        return one.key
    if isinstance(one, AssetsDefinition):
        one = one.key
    return one.text if isinstance(one, AssetKey) else AssetKey(one).text
