from __future__ import annotations

import json

import pytest

from raw_trigger.errors import ConfigError
from raw_trigger.mapping.rules import RuleBook
from tests.unit.conftest import book, rule


def job(path: str, config: object, **more: object) -> object:
    return rule(path, "job:load", run_config=json.dumps(config), **more)


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({}, ["job:load"]),
        ({"a": "{paths}", "b": "{root} {commit}"}, ["job:load"]),
        ({"a": ["{path}"]}, ["job:load|eu/a.csv"]),
        ({"a": {"{name}": "{name} {region}"}}, ["job:load|a|eu"]),
        ({"a": "{{name}}", "b": 1, "c": None, "d": 0.5, "e": True}, ["job:load"]),
    ],
)
def test_what_tells_its_runs_apart(config: object, names: list[str]) -> None:
    found = book(job("{region}/{name}.csv", config)).match(b"data/1_raw/eu/a.csv")  # type: ignore[arg-type]
    assert found is not None
    assert [target.text for target in found.targets] == names


def test_rules_that_launch_one_job_otherwise_are_told_apart() -> None:
    rules = book(job("a/*", {"sheet": 0}), job("b/*", {"sheet": 1}), job("c/*", {"sheet": 1}))  # type: ignore[arg-type]
    a, b, c = (rules.match(f"data/1_raw/{name}/x".encode()) for name in "abc")
    assert a is not None
    assert b is not None
    assert c is not None
    assert b.targets == c.targets != a.targets
    for name, sheet in (("a", 0), ("b", 1)):
        path = f"data/1_raw/{name}/x".encode()
        assert rules.job_run([path], [path], commit="", top="/") == (None, {"sheet": sheet})


def test_the_configuration_of_a_run() -> None:
    config = {"files": "{paths}", "at": "{root}/{region}", "{x}": ["{commit}", "{{}}", 1, None, {"b": True}]}
    rules = book(job("{region}/*.csv", config, partition="{region}"))  # type: ignore[arg-type]
    paths = [b"data/1_raw/eu/a.csv", b"data/1_raw/eu/b.csv"]
    assert rules.job_run(paths, paths[1:], commit="c0ffee", top="/top") == (
        "eu",
        {
            "files": ["eu/b.csv"],
            "at": "/top/data/1_raw/eu",
            "{x}": ["c0ffee", "{}", 1, None, {"b": True}],
        },
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{nme}", "'{nme}' is not captured by the path; known are"),
        ("all of {paths}", "'{paths}' becomes a list, so it has to be the whole text"),
        ("{", "'{' is not closed"),
    ],
)
def test_a_text_that_cannot_be_filled(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        book(job("{name}.csv", {"ops": [{"config": text}]}))  # type: ignore[arg-type]
    assert message in caught.value.message


def _targets(rules: RuleBook, *paths: str) -> list[str]:
    matches = [rules.match(path.encode()) for path in paths]
    return [target.text for match in matches if match is not None for target in match.targets]


@pytest.mark.parametrize(
    ("rules", "paths"),
    [
        ([job("a/*", {"x": 1}), job("b/*", {"x": 2})], ["a/1", "b/1"]),
        ([job("a/*", {}, partition="eu"), job("b/{x}", {"x": "{x}"})], ["a/1", "b/eu"]),
        ([job("{x}/{y}", {"x": "{x}", "y": "{y}"})], ["a|b/c", "a/b|c"]),
        ([job("{x}/{y}", {"x": "{x}", "y": "{y}"})], ["a\\/b", "a/\\|b"]),
    ],
    ids=["two configurations", "a partition and a value", "a separator in a name", "a backslash in a name"],
)
def test_what_is_configured_otherwise_is_another_run(rules: list[object], paths: list[str]) -> None:
    found = _targets(book(*rules), *(f"data/1_raw/{path}" for path in paths))  # type: ignore[arg-type]
    assert len(set(found)) == 2


def test_the_same_configuration_is_one_run() -> None:
    rules = book(job("a/*", {"x": "{paths}"}), job("b/*", {"x": "{paths}"}))  # type: ignore[arg-type]
    assert _targets(rules, "data/1_raw/a/1", "data/1_raw/b/1") == ["job:load"] * 2


def test_the_first_of_two_keeps_its_name() -> None:
    rules = book(job("a/*", {"x": 1}), job("b/*", {"x": 2}))  # type: ignore[arg-type]
    assert _targets(rules, "data/1_raw/a/1") == ["job:load"]


def test_each_root_has_a_run_of_its_own_where_its_name_is_asked_for() -> None:
    paths = ("data/1_raw/1", "more/1")
    asked = book(job("*", {"x": "{paths}", "y": "{root}"}), roots=("data/1_raw", "more"))  # type: ignore[arg-type]
    assert _targets(asked, *paths) == ["job:load", "job:load|@more"]
    assert asked.job_run([b"more/1"], [b"more/1"], commit="c", top="/top")[1]["y"] == "/top/more"
    unasked = book(job("*", {}), roots=("data/1_raw", "more"))  # type: ignore[arg-type]
    assert _targets(unasked, *paths) == ["job:load"] * 2
