"""The README says what is there: every command, option, key and promise of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from raw_trigger.config import load_config
from raw_trigger.config.messages import keys
from raw_trigger.config.schema import ConfigModel, DagsterModel, HooksModel, RuleModel
from tests.conftest import REPOSITORY_TOP

ACTION = REPOSITORY_TOP / ".github/actions/raw-trigger"
README = (REPOSITORY_TOP / "README.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    """The fenced blocks of one language."""
    return [part.split("\n```", 1)[0] for part in README.split(f"```{kind}\n")[1:]]


def help_of(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "raw_trigger", *command, "--help"],
        check=True,
        capture_output=True,
        text=True,
        env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"},
    )
    return done.stdout


def panels() -> dict[str, list[str]]:
    """The groups of commands, each with its commands."""
    found: dict[str, list[str]] = {}
    for line in help_of().splitlines():
        if line.startswith("╭─ "):
            found[line.strip("╭─╮ ")] = []
        elif line.startswith("│ ") and line[2] != " ":
            list(found.values())[-1].append(line.split()[1])
    return {name: commands for name, commands in found.items() if name != "Options"}


def commands() -> list[str]:
    """Those for people, and the one for other programs' hooks."""
    return [name for names in panels().values() for name in names] + ["hook"]


def test_the_help_is_grouped_and_has_no_types_of_flags() -> None:
    assert list(panels()) == ["To start with", "Every day", "On CI"]
    assert panels()["Every day"] == [
        "diff", "run", "wait", "cancel", "status", "explain", "history", "check", "watch", "ui",
    ]  # fmt: skip
    shown = help_of() + help_of("diff") + help_of("hook")
    assert "<bool>" not in shown
    assert "--exit-code" in shown
    assert "--help" in shown


def test_every_command_is_documented_and_every_documented_one_is_there() -> None:
    table = README.split("## Commands")[1].split("\n\n")[1]
    documented = {word.split()[0] for word in table.replace("raw-trigger ", "").split("`")[1::2]}
    assert documented >= set(commands())
    assert documented - {"raw-trigger.yaml", "raw-trigger[dagster]"} <= set(commands())


@pytest.mark.parametrize("command", ["diff", "run", "init", "ci", "learn", "watch"])
def test_every_option_is_documented(command: str) -> None:
    options = {word.rstrip(",.") for word in help_of(command).split() if word.startswith("--")}
    missing = {option for option in options - {"--help"} if option not in README}
    assert missing == set()


def test_the_configuration_of_the_readme_is_correct_and_complete(tmp_path: Path) -> None:
    [example] = [block for block in blocks("yaml") if block.startswith("root:")]
    path = tmp_path / "raw-trigger.yaml"
    path.write_text(example)
    config = load_config(path, tmp_path)
    assert len(config.rules) == 7
    for model in (ConfigModel, DagsterModel, HooksModel, RuleModel):
        for key in keys(model):
            assert f"{key}:" in example, f"{key} is not in the README's example"


def test_the_entry_for_pre_commit_names_hooks_that_are_there() -> None:
    [entry] = [yaml.safe_load(block) for block in blocks("yaml") if "default_install_hook_types" in block]
    manifest = yaml.safe_load((REPOSITORY_TOP / ".pre-commit-hooks.yaml").read_text())
    named = {hook["id"] for hook in entry["repos"][0]["hooks"]}
    stages = {hook["id"]: hook["stages"] for hook in manifest}
    assert named <= set(stages)
    assert {stage for hook in named for stage in stages[hook]} == set(entry["default_install_hook_types"])


def test_the_inputs_and_outputs_of_the_action_are_documented() -> None:
    action = yaml.safe_load((ACTION / "action.yml").read_text("utf-8"))
    text = (ACTION / "README.md").read_text("utf-8")
    for name, one in action["inputs"].items():
        default = f"`{one['default']}`" if one.get("default") else ""
        assert f"| `{name}` | {default} | {one['description']} |\n" in text
    for name, one in action["outputs"].items():
        assert f"| `{name}` | {one['description']} |\n" in text
