"""A named job of the Dagster project as the target of a path, and its run configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from raw_trigger.mapping.patterns import PatternError, Template, compile_template

OF_THE_RUN = frozenset({"paths", "root", "commit"})
"""Names in a run configuration that stand for a property of the run, not of a path."""
LIST = "{paths}"


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Holds the ``run_config:`` of a rule, with its texts compiled.

    Paths that give it the same values share a run. ``names`` are the values of a path that it uses;
    ``by_root`` says that it uses a value that differs between raw roots. ``mark`` distinguishes it from the
    configuration of an earlier rule for the same job.
    """

    value: Any
    names: frozenset[str]
    by_root: bool = False
    mark: str = ""

    def key(self, values: Mapping[str, str], partition: str | None, root: str = "") -> str | None:
        """Returns what distinguishes the runs of the job; None if all paths share one.

        Args:
            values: The values of the path.
            partition: The run's partition.
            root: The path's raw root; empty for the first.
        """
        parts = [_escaped(values[name]) for name in sorted(self.names)]
        parts += [f"{mark}{_escaped(text)}" for mark, text in (("#", self.mark), ("@", root)) if text]
        return "|".join(parts if partition is None else [partition, *parts]) or None

    def filled(self, values: Mapping[str, str], paths: Sequence[str]) -> dict[str, Any]:
        """Returns the configuration of one run.

        Args:
            values: The values that its paths share, and ``root`` and ``commit``.
            paths: Its paths, relative to the root.
        """
        filled: dict[str, Any] = _filled(self.value, values, list(paths))
        return filled


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def compile_run_config(text: str, known: frozenset[str]) -> RunConfig:
    """Compiles the JSON text of a run configuration.

    Raises:
        PatternError: a name in it is a value of neither the path nor the run.
    """
    value = _compiled(json.loads(text), known | OF_THE_RUN)
    used = frozenset[str]().union(*(template.names for template in _templates(value)))
    return RunConfig(value, used - OF_THE_RUN, not used.isdisjoint({"paths", "root", "path"}))


def marked(configs: Sequence[tuple[str, str, RunConfig]]) -> list[RunConfig]:
    """Returns the run configurations, marked if an earlier rule has another one for the same job.

    Args:
        configs: In the order of their rules: the job as the rule names it, and a text of everything that
            makes its runs.
    """
    any_name = any("{" in job for job, _, _ in configs)  # such a name may become that of another rule's job
    first: dict[str, str] = {}
    return [
        config
        if first.setdefault("" if any_name else job, text) == text
        else replace(config, mark=hashlib.sha256(text.encode()).hexdigest()[:8])
        for job, text, config in configs
    ]


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
