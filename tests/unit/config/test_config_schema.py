"""The JSON Schema that ships for editors."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml

from raw_trigger.config import schema
from raw_trigger.config.messages import keys
from raw_trigger.model import settings as values

RULE = "assets:\n  - "


def shipped() -> Any:
    return json.loads(schema.SCHEMA_FILE.read_text(encoding="utf-8"))


def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(shipped())
    return jsonschema.Draft202012Validator(shipped())


def test_it_is_current() -> None:
    """The shipped file is what the models say."""
    current = schema.SCHEMA_FILE.read_text(encoding="utf-8") == schema.render()
    assert current, "regenerate it: python -m raw_trigger.config.schema"


def test_every_key_is_described() -> None:
    """The descriptions are the reference of the keys."""
    parts = [shipped(), *shipped()["$defs"].values()]
    missing = [
        name for part in parts for name, key in part["properties"].items() if not key.get("description")
    ]
    assert missing == []
    assert sum(len(part["properties"]) for part in parts) == 15 + 2 + 13 + 6 + 5 + 10


def test_the_hooks_are_those_of_the_values() -> None:
    """The model and the defaults name the same hooks."""
    assert keys(schema.HooksModel) == list(values.DEFAULT_HOOKS)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "root:\nhooks:\n",
        "root: [a, b]\ndownstream: 2\nbatch_size: 3\n",
        "dagster: {url: https://x/prod, token_env: A_1, token_header: X-Key, files: commit}\nlauncher: graphql\n",
        "dagster: {python: [uv, run, python], module_name: [a, b.c]}\n",
        "hooks: {pre-push: off, post-merge: notify, post-commit: background}\n",
        RULE + "{path: a, asset: b, partition: {x: y}, ignore: false}\n",
        RULE + "{path: a, ignore: true}\n",
        RULE + "{path: a, assets: [b, c], on_delete: fail}\n",
        "environment: pr-12\n",
        "on_failure: notify-send failed\n",
        "on_failure: [sh, -c, 'notify-send failed']\n",
    ],
)
def test_it_accepts(text: str) -> None:
    """What the loader accepts, also as a reader of YAML 1.1 understands it."""
    validator().validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "rot: a\n",
        "root: 3\n",
        "root: []\n",
        "root: ''\n",
        "downstream: 0\n",
        "downstream: some\n",
        "batch_size: 1.5\n",
        "hooks: {pre-commit: sometimes}\n",
        "hooks: {commit: run}\n",
        "hooks: {pre-push: background}\n",
        "environment: a/b\n",
        "environment: a..b\n",
        "environment: a.lock\n",
        "ledger: mysql://x\n",
        "on_failure: []\n",
        "on_failure: true\n",
        RULE + "{path: a}\n",
        RULE + "{asset: a}\n",
        RULE + "{path: a, asset: b, assets: [c]}\n",
        RULE + "{path: a, asset: b, ignore: true}\n",
        RULE + "{path: a, ignore: false}\n",
        RULE + "{path: a, asset: [b]}\n",
        RULE + "{path: a, asset: b, partition: {}}\n",
    ],
)
def test_it_rejects(text: str) -> None:
    """What the loader refuses for its shape."""
    assert not validator().is_valid(yaml.safe_load(text))
