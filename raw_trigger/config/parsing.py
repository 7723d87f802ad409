"""Turns the bytes of ``raw-trigger.yaml`` into a :class:`Config`: the slow way, with YAML and the models."""

from __future__ import annotations

import codecs
import hashlib
import json
import math
import posixpath
from typing import Any, cast

from pydantic import ValidationError

from raw_trigger.config import checks, messages
from raw_trigger.config.document import Document, Doubtful, Location
from raw_trigger.config.problems import Problem, Problems
from raw_trigger.config.schema import ConfigModel, DagsterModel, HooksModel, RowsModel, RuleModel
from raw_trigger.model.assets import JOB
from raw_trigger.model.project import DagsterOptions
from raw_trigger.model.settings import Config, HookAction, PartitionText, Position, Rows, Rule, below


def parse(data: bytes, shown: str) -> Config:
    """Returns the configuration that the bytes contain.

    Args:
        data: The file's bytes.
        shown: Its path relative to the repository's top, with ``/``.

    Raises:
        ConfigError: one line for each problem, each beginning with ``shown:line:column:``.
    """
    problems = Problems()
    document = Document(_decode(data, shown, problems), shown, problems)
    folder = posixpath.dirname(shown)
    checks.check(document, folder, problems)
    try:
        model = ConfigModel.model_validate({} if document.data is None else document.data)
    except ValidationError as error:
        messages.add_all(error, document, problems)
        raise problems.error() from error
    if problems:
        raise problems.error()
    return Config(
        file=shown,
        folder=folder,
        roots=tuple(below(folder, root) for root in model.root),
        dagster=_dagster(model.dagster),
        launcher=model.launcher,
        environment=model.environment,
        downstream=cast(Any, model.downstream),
        on_delete=model.on_delete,
        unmapped=model.unmapped,
        report_as=model.report_as,
        batch_size=model.batch_size,
        fetch=model.fetch,
        on_failure=None if model.on_failure is None else tuple(model.on_failure),
        ledger=model.ledger,
        ci_environments=tuple((name, tuple(found)) for name, found in model.ci.environments.items()),
        merge_group=model.ci.merge_group,
        hooks=_hooks(model.hooks),
        rules=tuple(_rule(i, rule, document) for i, rule in enumerate(model.assets)),
        digest=hashlib.sha256(data).hexdigest(),
    )


def _decode(data: bytes, shown: str, problems: Problems) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        at = Position(shown, 1, 1)
        raise problems.fatal(Problem(at, "the file is UTF-16", "save it as UTF-8"))
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        before = data[data.rfind(b"\n", 0, error.start) + 1 : error.start]
        at = Position(shown, line, len(before.decode()) + 1)
        wrong = f"byte 0x{data[error.start]:02X} is not UTF-8"
        raise problems.fatal(Problem(at, wrong, "save the file as UTF-8")) from error


def _dagster(model: DagsterModel) -> DagsterOptions:
    return DagsterOptions(
        module_name=tuple(model.module_name),
        python_file=tuple(model.python_file),
        package_name=tuple(model.package_name),
        workspace=tuple(model.workspace),
        attribute=model.attribute,
        working_directory=model.working_directory,
        python=model.python if isinstance(model.python, str) else tuple(model.python),
        home=model.home,
        url=model.url,
        token_env=model.token_env,
        token_header=model.token_header,
        location=model.location,
        files=model.files,
    )


def _hooks(model: HooksModel) -> dict[str, HookAction]:
    actions: dict[str, HookAction] = model.model_dump(by_alias=True)
    if actions["pre-commit"] == "background" and "post_commit" not in model.model_fields_set:
        actions["post-commit"] = "background"
    return actions


def _rule(i: int, model: RuleModel, document: Document) -> Rule:
    at = ("assets", i)
    partition = model.partition
    if model.job is not None:
        assets, positions = [JOB + model.job], [document.at((*at, "job"))]
    elif model.asset is not None:
        assets, positions = [model.asset], [document.at((*at, "asset"))]
    else:
        assets = model.assets or []
        positions = [document.at((*at, "assets", n)) for n in range(len(assets))]
    return Rule(
        path=model.path,
        assets=tuple(assets),
        ignore=model.ignore,
        partition=_partition(partition),
        on_delete=model.on_delete,
        position=document.at((*at, "path")),
        asset_positions=tuple(positions),
        partition_position=None if partition is None else document.at((*at, "partition")),
        fingerprint=model.fingerprint,
        rows=None if model.rows is None else _rows(model.rows, document, (*at, "rows", "partition")),
        run_config=None if model.job is None else json.dumps(_plain(model.run_config or {})),
    )


def _plain(value: Any) -> Any:
    """Returns the value as JSON has it: an unquoted scalar that looks like a number becomes one."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, Doubtful):
        try:
            number = float(value.text)
        except ValueError:
            return value.text
        return number if math.isfinite(number) else value.text
    return value


def _rows(model: RowsModel, document: Document, partition: Location) -> Rows:
    return Rows(
        key=tuple(model.key),
        columns=None if model.columns is None else tuple(model.columns),
        partition=_partition(model.partition),
        delimiter=model.delimiter,
        encoding=model.encoding,
        partition_position=None if model.partition is None else document.at(partition),
    )


def _partition(value: str | dict[str, str] | None) -> PartitionText | None:
    return tuple(value.items()) if isinstance(value, dict) else value
