"""Runs the steps of a composite action, or `run:` steps of a job, as GitHub's runner does.

Only the expressions that this project's files hold are understood; another one is an error.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.ci import runner
from tests.conftest import REPOSITORY_TOP

ACTION = REPOSITORY_TOP / ".github/actions/raw-trigger"
WORKFLOWS = REPOSITORY_TOP / ".github/workflows"


class _Loader(yaml.SafeLoader):
    """YAML without the booleans of version 1.1: `on` is a key of every workflow."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:bool"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def load(file: Path | str) -> dict[str, Any]:
    """A workflow or an action, from its file or its text."""
    text = file.read_text("utf-8") if isinstance(file, Path) else file
    return dict(yaml.load(text, _Loader))


def text_of(value: object) -> str:
    """A value as it becomes an input or a variable."""
    return (
        {True: "true", False: "false", None: ""}.get(value, str(value))
        if not isinstance(value, str)
        else value
    )  # type: ignore[call-overload,no-any-return]


@dataclass
class Ran:
    """What the steps came to."""

    code: int = 0
    log: bytes = b""
    outputs: dict[str, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    @property
    def commands(self) -> list[runner.Command]:
        return runner.commands(self.log)


class Expressions:
    """Expressions over contexts of plain strings."""

    def __init__(self, contexts: Mapping[str, Any]) -> None:
        self.contexts = contexts

    def fill(self, text: str) -> str:
        """The text with every ``${{ … }}`` in it replaced."""
        return re.sub(r"\$\{\{(.*?)\}\}", lambda found: text_of(self.value(found[1])), text)

    def value(self, expression: str) -> Any:  # noqa: PLR0911
        """What it comes to: `a || b`, `a && b`, `a == b`, `a != b`, `!a`, a name or a literal."""
        text = expression.strip()
        if text.startswith("(") and text.endswith(")") and ")" not in text[:-1]:
            return self.value(text[1:-1])
        for operator in ("||", "&&"):
            left, found, right = _split(text, operator)
            if found:
                first = self.value(left)
                return (first or self.value(right)) if operator == "||" else (first and self.value(right))
        for operator in ("==", "!="):
            left, found, right = _split(text, operator)
            if found:
                return (self.value(left) == self.value(right)) is (operator == "==")
        if text.startswith("!"):
            return not self.value(text[1:])
        if re.fullmatch(r"'[^']*'", text):
            return text[1:-1]
        if text in ("true", "false"):
            return text == "true"
        if re.fullmatch(r"\d+", text):
            return int(text)
        if re.fullmatch(r"hashFiles\('[^()]*'\)", text):
            return "0" * 64
        if re.fullmatch(r"[a-z]+(\.[\w-]+)+", text):
            found_value: Any = self.contexts
            for name in text.split("."):
                found_value = (found_value or {}).get(name)
            return "" if found_value is None else found_value
        raise NotImplementedError(text)


def _split(text: str, operator: str) -> tuple[str, str, str]:
    """At the operator, if it is there outside of quotes and parentheses."""
    depth, quoted = 0, False
    for position, char in enumerate(text):
        quoted ^= char == "'"
        depth += (char == "(") - (char == ")") if not quoted else 0
        if not quoted and not depth and text.startswith(operator, position):
            return text[:position], operator, text[position + len(operator) :]
    return text, "", ""


def run_action(inputs: Mapping[str, Any], environ: Mapping[str, str], workspace: Path) -> Ran:
    """The action with these inputs (`with:`); `uses:` steps are only looked at.

    Raises:
        AssertionError: an input is none of the action's.
    """
    action = load(ACTION / "action.yml")
    assert set(inputs) <= set(action["inputs"])
    github = {"github": {"token": environ.get("TOKEN", ""), "action_path": str(ACTION)}}
    defaults = {name: text_of(one.get("default")) for name, one in action["inputs"].items()}
    defaults = {name: Expressions(github).fill(value) for name, value in defaults.items()}
    given = {**defaults, **{name: text_of(value) for name, value in inputs.items()}}
    contexts: dict[str, Any] = {**github, "inputs": given, "steps": {}, "runner": {"os": "Linux"}}
    done = Ran()
    for step in action["runs"]["steps"]:
        if done.code:
            break
        if "if" in step and not Expressions(contexts).value(step["if"]):
            continue
        done.ran.append(step.get("name") or step["run"])
        if "uses" in step:
            for value in step.get("with", {}).values():
                assert Expressions(contexts).fill(text_of(value)).strip()
            continue
        code, log, outputs = run_step(step, contexts, environ, workspace)
        done.code, done.log = code, done.log + log
        if "id" in step:
            contexts["steps"][step["id"]] = {"outputs": outputs}
    done.outputs = {
        name: Expressions(contexts).fill(output["value"]) for name, output in action["outputs"].items()
    }
    return done


def prepare(
    step: Mapping[str, Any], contexts: Mapping[str, Any], environ: Mapping[str, str], workspace: Path
) -> tuple[list[str], dict[str, str], Path]:
    """The process of a `run:` step: its arguments, variables and folder."""
    assert step.get("shell", "bash") == "bash"
    assert "${{" not in step["run"]
    expressions = Expressions(contexts)
    temp = Path(environ["RUNNER_TEMP"])
    count = len(list(temp.glob("*.sh")))
    script, output = temp / f"{count}.sh", temp / f"output-{count}"
    script.write_text(step["run"])
    output.touch()
    own = {name: expressions.fill(text_of(value)) for name, value in step.get("env", {}).items()}
    folder = workspace / expressions.fill(text_of(step.get("working-directory", ".")))
    arguments = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
    return arguments, {**environ, "GITHUB_OUTPUT": str(output), **own}, folder


def run_step(
    step: Mapping[str, Any], contexts: Mapping[str, Any], environ: Mapping[str, str], workspace: Path
) -> tuple[int, bytes, dict[str, str]]:
    """Exit code, log and outputs of a `run:` step."""
    arguments, variables, folder = prepare(step, contexts, environ, workspace)
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout, runner.outputs(Path(variables["GITHUB_OUTPUT"]).read_bytes())


def with_path(environ: Mapping[str, str], *folders: Path) -> dict[str, str]:
    """These folders first on PATH."""
    return {**environ, "PATH": os.pathsep.join([*map(str, folders), environ["PATH"]])}


def parsed(outputs: Mapping[str, str]) -> dict[str, Any]:
    """The outputs that are JSON."""
    names = ("changed", "changed-files", "assets", "targets", "matrix", "batches", "incomplete")
    return {name: json.loads(outputs[name]) for name in names}
