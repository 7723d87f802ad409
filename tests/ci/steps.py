"""Runs the steps of a composite action, or `run:` steps of a job, as GitHub's runner does.

Only the expressions that this project's files hold are understood; another one is an error.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.ci import runner
from tests.ci.ground import Ground
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
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


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

    def value(self, expression: str) -> Any:  # noqa: PLR0911, PLR0912
        """What it comes to: `a || b`, `a && b`, `a == b`, `a != b`, `!a`, a name or a literal."""
        text = expression.strip()
        for operator in ("||", "&&"):
            left, found, right = _split(text, operator)
            if found:
                first = self.value(left)
                return (first or self.value(right)) if operator == "||" else (first and self.value(right))
        for operator in ("==", "!="):
            left, found, right = _split(text, operator)
            if found:
                return (self.value(left) == self.value(right)) is (operator == "==")
        if text.startswith("("):
            return self.value(text[1:-1])
        if text in ("always()", "cancelled()"):
            return text == "always()"
        if text.startswith("!"):
            return not self.value(text[1:])
        if re.fullmatch(r"'([^']|'')*'", text):
            return text[1:-1].replace("''", "'")
        if text in ("true", "false"):
            return text == "true"
        if re.fullmatch(r"\d+", text):
            return int(text)
        if re.fullmatch(r"hashFiles\('[^()]*'\)", text):
            return "0" * 64
        if re.fullmatch(r"[a-zA-Z]+(\.[\w-]+)+", text):
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
        known = contexts["steps"].setdefault(step.get("id", ""), {"outcome": "skipped"})
        condition = step.get("if", "true")
        if (done.code and "always()" not in condition) or not Expressions(contexts).value(condition):
            continue
        done.ran.append(step.get("name") or step["run"])
        if "uses" in step:
            for value in step.get("with", {}).values():
                assert Expressions(contexts).fill(text_of(value)).strip()
            continue
        code, log, outputs = run_step(step, contexts, environ, workspace)
        done.code, done.log = done.code or code, done.log + log
        known |= {"outcome": "failure" if code else "success", "outputs": outputs}
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


class Workflow:
    """Runs the jobs of a workflow that was called with inputs, one after the other.

    A checkout is a clone of the ground's origin, artifacts are folders, and the action is carried out.
    """

    def __init__(self, ground: Ground, document: Mapping[str, Any], artifacts: Path) -> None:
        self.ground, self.document, self.artifacts = ground, document, artifacts
        self.logs: dict[str, bytes] = {}

    def run(
        self,
        event: Mapping[str, Any],
        inputs: Mapping[str, Any],
        secrets: Mapping[str, str],
        lost: Collection[str] = (),
    ) -> dict[str, str]:
        """Job → its result.

        Args:
            lost: Jobs, as ``materialize 1``, that are cancelled before they leave anything.
        """
        shutil.rmtree(self.artifacts, ignore_errors=True)
        self.artifacts.mkdir()
        self.logs = {}
        declared = self.document["on"]["workflow_call"]["inputs"]
        assert set(inputs) <= set(declared)
        contexts: dict[str, Any] = {
            "inputs": {**{name: one.get("default") for name, one in declared.items()}, **inputs},
            "github": {"event_name": "pull_request" if "pull_request" in event else "push"},
            "secrets": secrets,
            "needs": {},
        }
        contexts["env"] = {
            name: Expressions(contexts).fill(value) for name, value in self.document["env"].items()
        }
        for name, job in self.document["jobs"].items():
            needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            contexts["needs"] = {one: contexts["needs"][one] for one in needs} | contexts["needs"]
            good = all(contexts["needs"][one]["result"] == "success" for one in needs)
            wanted = Expressions(contexts).value(job["if"]) if "if" in job else True
            if not (wanted and (good or job.get("if") == "always()")):
                contexts["needs"][name] = {"result": "skipped", "outputs": {}}
                continue
            results, values = [], {}
            for index, cell in enumerate(self._cells(job, contexts)):
                if f"{name} {index + 1}" in lost:
                    results.append("cancelled")
                    continue
                own = {**contexts, "matrix": cell, "strategy": {"job-index": index}}
                code, values = self._job(f"{name} {index + 1}", job, own, event)
                results.append("failure" if code else "success")
            worst = next((bad for bad in ("failure", "cancelled") if bad in results), "success")
            contexts["needs"][name] = {"result": worst, "outputs": values}
        return {name: one["result"] for name, one in contexts["needs"].items()}

    def _cells(self, job: Mapping[str, Any], contexts: Mapping[str, Any]) -> list[dict[str, str]]:
        """What the matrix of a job holds; GitHub fails for an empty one."""
        if "strategy" not in job:
            return [{}]
        found = re.fullmatch(r"\$\{\{ fromJSON\((.*)\) \}\}", job["strategy"]["matrix"])
        assert found
        cells = json.loads(Expressions(contexts).value(found[1]))["include"]
        assert cells
        return list(cells)

    def _job(
        self, name: str, job: Mapping[str, Any], contexts: dict[str, Any], event: Mapping[str, Any]
    ) -> tuple[int, dict[str, str]]:
        clone = self.ground.checkout(event)
        environ = self.ground.environ(event, clone.top.name)
        environ.pop("DAGSTER_HOME")
        temp = Path(environ["RUNNER_TEMP"])
        (temp / "env").touch()
        environ["GITHUB_ENV"] = str(temp / "env")
        # setup-python, and raw-trigger where the action finds it.
        environ = with_path(environ, Path(sys.executable).parent)
        contexts |= {"steps": {}, "runner": {"os": "Linux", "temp": str(temp)}}
        failed = 0
        for step in job["steps"]:
            condition = step.get("if", "").removeprefix("${{").removesuffix("}}")
            always = "always()" in condition or "cancelled()" in condition
            if (failed and not always) or (condition and not Expressions(contexts).value(condition)):
                continue
            environ |= runner.outputs((temp / "env").read_bytes())
            given = {
                key: Expressions(contexts).fill(text_of(value)) for key, value in step.get("with", {}).items()
            }
            code, log, outputs = self._step(step, given, contexts, environ, clone.top)
            failed = failed or code
            self.logs[name] = self.logs.get(name, b"") + log
            if "id" in step:
                contexts["steps"][step["id"]] = {"outputs": outputs}
        self.ground.keep(clone)
        values = {key: Expressions(contexts).fill(value) for key, value in job.get("outputs", {}).items()}
        return failed, values

    def _step(
        self,
        step: Mapping[str, Any],
        given: Mapping[str, str],
        contexts: Mapping[str, Any],
        environ: Mapping[str, str],
        workspace: Path,
    ) -> tuple[int, bytes, dict[str, str]]:
        uses = step.get("uses", "").partition("@")[0]
        if uses == "actions/upload-artifact":
            source = Path(given["path"])
            if source.exists():
                put = self.artifacts / given["name"]
                files = [source] if source.is_file() else source.iterdir()
                put.mkdir()
                for file in files:
                    if file.is_dir():
                        shutil.copytree(file, put / file.name)
                    else:
                        shutil.copy(file, put)
            else:
                assert given["if-no-files-found"] == "ignore", source
        elif uses == "actions/download-artifact":
            assert given.get("merge-multiple") == "true" or "name" in given
            for folder in self.artifacts.glob(given.get("name") or given["pattern"]):
                shutil.copytree(folder, given["path"], dirs_exist_ok=True)
        elif uses.startswith("$/"):
            done = run_action(given, environ, workspace)
            return done.code, done.log, done.outputs
        elif "run" in step:
            return run_step(step, contexts, environ, workspace)
        else:
            assert uses in ("actions/checkout", "actions/setup-python")
        return 0, b"", {}


def with_path(environ: Mapping[str, str], *folders: Path) -> dict[str, str]:
    """These folders first on PATH."""
    return {**environ, "PATH": os.pathsep.join([*map(str, folders), environ["PATH"]])}


def parsed(outputs: Mapping[str, str]) -> dict[str, Any]:
    """The outputs that are JSON."""
    names = ("changed", "changed-files", "assets", "targets", "matrix", "batches", "incomplete")
    return {name: json.loads(outputs[name]) for name in names}
