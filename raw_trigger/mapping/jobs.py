"""A named job of the Dagster project as the target of a path, and its run configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raw_trigger.mapping.patterns import PatternError, Template, compile_template

OF_THE_RUN = frozenset({"paths", "root", "commit"})
"""Names in a run configuration that stand for something of the run, not of a path."""
LIST = "{paths}"


@dataclass(frozen=True, slots=True)
class RunConfig:
    """The ``run_config:`` of a rule, its texts compiled.

    Paths that give it the same values are one run; ``names`` are those that it uses of what a path gives.
    """

    value: Any
    names: frozenset[str]

    def key(self, values: Mapping[str, str]) -> str | None:
        """What tells the runs of the job apart; None: there is one for all paths."""
        return "|".join(values[name] for name in sorted(self.names)) if self.names else None

    def filled(self, values: Mapping[str, str], paths: Sequence[str]) -> dict[str, Any]:
        """The configuration of one run.

        Args:
            values: What its paths have in common, and ``root`` and ``commit``.
            paths: Its paths, relative to the root.
        """
        filled: dict[str, Any] = _filled(self.value, values, list(paths))
        return filled


def compile_run_config(text: str, known: frozenset[str]) -> RunConfig:
    """Compile the JSON text of a run configuration.

    Raises:
        PatternError: a name in it is known neither of the path nor of the run.
    """
    value = _compiled(json.loads(text), known | OF_THE_RUN)
    used = frozenset[str]().union(*(template.names for template in _templates(value)))
    return RunConfig(value, used - OF_THE_RUN)


def _compiled(value: Any, known: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: _compiled(one, known) for name, one in value.items()}
    if isinstance(value, list):
        return [_compiled(one, known) for one in value]
    if not isinstance(value, str):
        return value
    template = compile_template(value, known)
    if "paths" in template.names and value != LIST:
        raise PatternError(f"'{LIST}' becomes a list, so it has to be the whole text", 0)
    return template


def _templates(value: Any) -> Iterator[Template]:
    if isinstance(value, Template):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _templates(one)


def _filled(value: Any, values: Mapping[str, str], paths: list[str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(one, values, paths) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, values, paths) for one in value]
    if not isinstance(value, Template):
        return value
    return paths if "paths" in value.names else value.expand(values)
