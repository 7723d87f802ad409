"""The models of ``raw-trigger.yaml`` and its JSON Schema. The descriptions are the reference of the keys.

A key without a value counts as left out. After a change run ``python -m raw_trigger.config.schema``, which
writes the shipped schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from raw_trigger.config.fields import (
    AssetKey,
    AssetKeys,
    BatchSize,
    Columns,
    Command,
    Delimiter,
    Downstream,
    Encoding,
    Environment,
    HeaderName,
    Hook,
    LedgerUrl,
    Modules,
    Partition,
    PathPattern,
    PushHook,
    Python,
    Roots,
    Text,
    Texts,
    VariableName,
    WebUrl,
)
from raw_trigger.model import settings as values
from raw_trigger.model.project import Files

SCHEMA_FILE = Path(__file__).with_name("raw-trigger.schema.json")

_DEFAULT = values.Config()


class Section(BaseModel):
    """Describes a mapping with a fixed set of keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {key: value for key, value in data.items() if value is not None or key not in known}


class DagsterModel(Section):
    """Says where the Dagster project is and how it is run."""

    module_name: Modules = Field(
        default=[],
        description="Python module, or list of modules, that holds the definitions, such as"
        " my_project.definitions. Without any of module_name, python_file, package_name and workspace:"
        " what `dagster dev` would find in the folder of this file.",
    )
    python_file: Texts = Field(
        default=[],
        description="Python file, or list of files, that holds the definitions; relative to this file.",
    )
    package_name: Modules = Field(
        default=[], description="Python package, or list of packages, that holds the definitions."
    )
    workspace: Texts = Field(
        default=[],
        description="Workspace file, or list of workspace files, of Dagster; relative to this file.",
    )
    attribute: Text | None = Field(
        default=None,
        description="The variable or function that holds the definitions, if a module has several.",
    )
    working_directory: Text | None = Field(
        default=None,
        description="Folder in which you would call `dagster dev`, relative to this file; by default the"
        " folder of this file. Of a src folder, modules are loaded from it, but the code runs one folder up.",
    )
    python: Python = Field(
        default="auto",
        description="The interpreter that has Dagster: auto (looked for in the active and in local"
        " environments), the path of an interpreter, or a command as a list such as [uv, run, python].",
    )
    home: Text | None = Field(
        default=None,
        description="Folder of the Dagster instance; by default $DAGSTER_HOME, else a private one under"
        " the git directory.",
    )
    url: WebUrl | None = Field(
        default=None,
        description="Address of the webserver of a Dagster deployment, for launcher: graphql, such as"
        " https://dagster.example.com or https://example.dagster.cloud/prod.",
    )
    token_env: VariableName | None = Field(
        default=None,
        description="Name of the environment variable that has the token for the deployment; by default"
        " DAGSTER_CLOUD_API_TOKEN for Dagster+, and none for any other.",
    )
    token_header: HeaderName | None = Field(
        default=None,
        description="Header that takes the token: Authorization (as a bearer token) by default,"
        " Dagster-Cloud-Api-Token for Dagster+.",
    )
    location: Text | None = Field(
        default=None, description="Name of the deployment's code location; needed if it has several."
    )
    files: Files | None = Field(
        default=None,
        description="Whose files the deployment reads: here (this working tree, on a disk that both see) or"
        " commit (those of the commit that its code is from, which it has to tell). Without it nobody knows"
        " from which contents something was made, and nothing is recorded.",
    )


class HooksModel(Section):
    """Says what each git hook does: run, background, notify (only say what is pending) or off.

    With background the hook starts the run in another process and does not wait for it.
    """

    pre_commit: Hook = Field(
        default=values.DEFAULT_HOOKS["pre-commit"],
        alias="pre-commit",
        description="Before a commit; a failure refuses it. run, background (nothing is refused:"
        " post-commit does it in the background), notify (say what is pending) or off.",
    )
    post_commit: Hook = Field(
        default=values.DEFAULT_HOOKS["post-commit"],
        alias="post-commit",
        description="After a commit. run, background (do not wait for it), notify (say what is pending) or"
        " off. By default background if pre-commit is background.",
    )
    post_merge: Hook = Field(
        default=values.DEFAULT_HOOKS["post-merge"],
        alias="post-merge",
        description="After a merge or pull. run, background (do not wait for it), notify (say what is"
        " pending) or off.",
    )
    post_rewrite: Hook = Field(
        default=values.DEFAULT_HOOKS["post-rewrite"],
        alias="post-rewrite",
        description="After a rebase or an amended commit. run, background (do not wait for it), notify (say"
        " what is pending) or off.",
    )
    post_checkout: Hook = Field(
        default=values.DEFAULT_HOOKS["post-checkout"],
        alias="post-checkout",
        description="After a branch was checked out. run, background (do not wait for it), notify (say what"
        " is pending) or off.",
    )
    pre_push: PushHook = Field(
        default=values.DEFAULT_PRE_PUSH,
        alias="pre-push",
        description="Before a push; a failure refuses it. run, notify (say what is pending) or off.",
    )


class CiModel(Section):
    """Says what holds on a CI runner only."""

    environments: dict[str, Texts] = Field(
        default={},
        description="Environment → the branch, or list of branches, whose pushes record it, such as"
        " production: [main]. * and ? stay inside one part of a branch's name, ** crosses /.",
    )
    merge_group: values.MergeGroup = Field(
        default=_DEFAULT.merge_group,
        description="The commit that an entry of a merge queue is compared with: previous (the entry before"
        " it) or target (the branch that the queue merges into).",
    )


class RowsModel(Section):
    """Says which rows of a CSV, TSV or JSON Lines file count: those that come, go, or differ in a column."""

    key: Columns = Field(
        description="Column, or list of columns, that identifies a row; each value is there once and none is"
        " missing."
    )
    columns: Columns | None = Field(
        default=None,
        description="Columns that count besides the key; by default all. A row that differs only in other"
        " columns materializes nothing.",
    )
    partition: Partition | None = Field(
        default=None,
        description="Partition key that a row feeds, such as {symbol}: names of columns, and what the path"
        " captures. Only the partitions of rows that count are materialized. Without it any such row"
        " materializes the asset.",
    )
    delimiter: Delimiter | None = Field(
        default=None, description="The character between cells; by default it is detected."
    )
    encoding: Encoding | None = Field(
        default=None, description="The encoding of the text, such as latin-1; by default UTF-8."
    )


class RuleModel(Section):
    """Maps a path pattern to exactly one of asset, assets, job and ignore."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["asset"], "properties": {"asset": {"type": "string"}}},
                {"required": ["assets"], "properties": {"assets": {"type": "array"}}},
                {"required": ["job"], "properties": {"job": {"type": "string"}}},
                {"required": ["ignore"], "properties": {"ignore": {"const": True}}},
            ]
        }
    )

    path: PathPattern = Field(
        description="Pattern of paths relative to the root. * and ? stay inside one folder, ** crosses"
        " folders, {name} captures a text, {name:REGEX} and {name:%Y-%m-%d} one of that form."
    )
    asset: AssetKey | None = Field(
        default=None, description="Key of the asset that the file feeds, parts joined by /; may use {name}."
    )
    assets: AssetKeys | None = Field(
        default=None, description="Keys of the assets, where the file feeds several; may use {name}."
    )
    job: Text | None = Field(
        default=None, description="Name of the job that is launched instead; may use {name}."
    )
    run_config: dict[str, Any] | None = Field(
        default=None,
        description="Run configuration of the job. Texts may use {name}, {path} (relative to the root),"
        " {root} (the root's absolute path) and {commit}; the text {paths} becomes the list of all paths."
        " Files that give it the same values are one run.",
    )
    partition: Partition | None = Field(
        default=None,
        description="Partition key that the file feeds, such as {date}; for several dimensions a mapping of"
        " dimension to key.",
    )
    rows: RowsModel | None = Field(
        default=None, description="For a table: which rows count, and which partition each row feeds."
    )
    fingerprint: values.Fingerprint | None = Field(
        default=None,
        description="The part of the content that counts: bytes (everything), text (all but line ends), json"
        " (all but formatting and the order of names) or table (all but the order of rows and columns).",
    )
    ignore: bool = Field(default=False, description="true: a change of such a file materializes nothing.")
    on_delete: values.OnDelete | None = Field(
        default=None,
        description="What the deletion of such a file does, if not what the top-level on_delete says.",
    )


class ConfigModel(Section):
    """Says which Dagster assets are materialized when which raw files change."""

    root: Roots = Field(
        default=[values.DEFAULT_ROOT],
        description="Folder of the raw data, or a list of folders, relative to the folder of this file.",
    )
    dagster: DagsterModel = Field(
        default_factory=DagsterModel, description="How the Dagster project is found and run."
    )
    launcher: values.LauncherName = Field(
        default=_DEFAULT.launcher,
        description="What carries plans out: local (the project's interpreter, on this machine) or graphql"
        " (the Dagster deployment at dagster.url).",
    )
    environment: Environment | None = Field(
        default=None, description="Name of the record of what was materialized here; local by default."
    )
    ci: CiModel = Field(default_factory=CiModel, description="What continuous integration records.")
    downstream: Downstream = Field(
        default=_DEFAULT.downstream,
        description="Which assets that depend on a changed one are materialized too: auto (direct children"
        " of external assets, none of others), none, all, or a number of levels.",
    )
    on_delete: values.OnDelete = Field(
        default=_DEFAULT.on_delete,
        description="What the deletion of a file does: materialize its asset again, report it,"
        " delete-partition (of a dynamic definition, where no other file feeds it), skip it with a warning,"
        " fail, or auto (materialize if other files feed the asset, report external assets, delete a dynamic"
        " partition, else skip).",
    )
    unmapped: values.Unmapped = Field(
        default=_DEFAULT.unmapped, description="What happens for a changed file that belongs to no asset."
    )
    report_as: values.ReportAs = Field(
        default=_DEFAULT.report_as, description="The event that is reported for a changed external asset."
    )
    batch_size: BatchSize = Field(
        default=_DEFAULT.batch_size, description="How many assets one Dagster run materializes at most."
    )
    fetch: bool = Field(
        default=_DEFAULT.fetch,
        description="true: before a run, missing content (Git LFS, git-annex, submodules, DVC) is fetched,"
        " for the files of that run only.",
    )
    on_failure: Command | None = Field(
        default=None,
        description="A command that is started when background work failed: text that is split into words"
        " as a shell does, or a list of words. It runs without a shell in the folder of this file and gets a"
        " summary on its standard input and in $RAW_TRIGGER_SUMMARY.",
    )
    ledger: LedgerUrl = Field(
        default=_DEFAULT.ledger,
        description="Where the history of runs is kept: sqlite (a file under the git directory), or an"
        " SQLAlchemy URL of an SQLite, DuckDB or PostgreSQL database.",
    )
    hooks: HooksModel = Field(default_factory=HooksModel, description="What each git hook does.")
    assets: list[RuleModel] = Field(
        default_factory=list,
        description="Rules from paths to assets. The first rule that matches a path decides. An asset whose"
        " metadata or key names its file needs no rule.",
    )


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of ``raw-trigger.yaml``."""
    schema = ConfigModel.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        part.pop("title", None)
        for name, field in part["properties"].items():
            field.pop("title", None)
            if name not in part.get("required", ()):
                part["properties"][name] = _nullable(field)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "raw-trigger.yaml",
        **schema,
    }


def _nullable(field: dict[str, Any]) -> dict[str, Any]:
    """Returns the field's schema, changed to allow a key without a value."""
    notes: dict[str, Any] = {key: field[key] for key in ("description", "default") if key in field}
    rest = {key: value for key, value in field.items() if key not in notes}
    options = next(iter(rest.values())) if set(rest) in ({"anyOf"}, {"oneOf"}) else [rest]
    null = {"type": "null"}
    return {**notes, "anyOf": options if null in options else [*options, null]}


def render() -> str:
    """Returns the text of the shipped schema file."""
    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(render(), encoding="utf-8")
