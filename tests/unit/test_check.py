"""What `check` says of the project, beside what it says of the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from raw_trigger.check import Finding, check
from raw_trigger.model.changes import Entry
from raw_trigger.model.settings import Rows
from tests.unit.conftest import book, catalog, rule

FILES = {b"data/1_raw/a.csv": Entry("100644", "1" * 40)}


def test_an_asset_that_nothing_configures() -> None:
    project = catalog(a={"needs_config": True}, b={"needs_config": True})
    assert check(book(rule("a.csv", "a"), assets=project), project, FILES, None) == [
        Finding(
            "error",
            "a",
            "it cannot be run without a configuration, and nothing gives it one: give its Config (or its"
            " resources) defaults, or make a job of it and map its files to that, with 'run_config'",
        )
    ]


def test_a_run_configuration_that_its_job_does_not_take() -> None:
    project = replace(catalog(), jobs={"load": "here"})
    config = '{"ops": {"read": {"config": {"file": "{path}"}}}}'
    rules = book(rule("*.csv", "job:load", run_config=config), assets=project)
    asked: list[tuple[str, Mapping[str, Any]]] = []

    def problems(run_configs: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str | None]:
        asked.extend(run_configs)
        return ["no op is called 'read'"]

    files = {**FILES, b"data/1_raw/b.csv": Entry("100644", "2" * 40)}
    assert check(rules, project, files, None, config_problems=problems) == [
        Finding(
            "error",
            "raw-trigger.yaml:1",
            "job 'load' does not take this run configuration: no op is called 'read'",
        )
    ]
    assert asked == [("load", {"ops": {"read": {"config": {"file": "a.csv"}}}})]


def test_what_could_not_be_read_of_an_asset_is_a_note() -> None:
    project = replace(catalog(a={}), unread=(("a", "its metadata 'x' cannot be read: OSError: gone"),))
    assert check(book(rule("a.csv", "a"), assets=project), project, FILES, None) == [
        Finding("note", "a", "its metadata 'x' cannot be read: OSError: gone")
    ]


def test_files_that_hold_no_text_though_their_rule_looks_into_them() -> None:
    assets = catalog(raw__a={}, raw__b={})
    rules = book(
        rule("a/*", "raw/a", fingerprint="table"),
        rule("b/*", "raw/b", rows=Rows(("id",))),
        rule("c/*", "raw/b", fingerprint="bytes"),
        assets=assets,
    )
    names = ("a/x.XLSX", "a/y.csv", "b/x.parquet", "c/x.xls")
    files = {f"data/1_raw/{name}".encode(): Entry("100644", "0") for name in names}
    assert check(rules, assets, files, "raw-trigger.yaml") == [
        Finding(
            "error",
            "data/1_raw/b/x.parquet",
            "`rows:` (raw-trigger.yaml:2) cannot look into it: it is Parquet; give it a rule without",
        ),
        Finding(
            "warning",
            "data/1_raw/a/x.XLSX",
            "`fingerprint: table` (raw-trigger.yaml:1) cannot look into it: it is Excel, so any change of it counts",
        ),
    ]
