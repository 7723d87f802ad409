"""Writes the entry for the pre-commit framework, and for prek, which reads the same file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from raw_trigger import __version__
from raw_trigger.documents import MOST_TEXT, load_yaml, read_bytes, read_yaml
from raw_trigger.errors import UsageError
from raw_trigger.install.atomic import replace_file
from raw_trigger.install.native import HOOKS

REPOSITORY = "https://github.com/raw-trigger/raw-trigger"
IDS = tuple("raw-trigger" if name == "pre-commit" else f"raw-trigger-{name}" for name in HOOKS)
"""The ids in ``.pre-commit-hooks.yaml``, one for each stage."""

_TYPES = tuple(name for name in HOOKS if name != "pre-push")


def framework_entries(rev: str, repository: str = REPOSITORY) -> str:
    """Returns the ``repos:`` entry of a ``.pre-commit-config.yaml``, as YAML text without indentation.

    Args:
        rev: Tag or commit to install.
        repository: Where the framework clones it from.
    """
    hooks = "".join(f"    - id: {name}\n" for name in IDS)
    return f"- repo: {_scalar(repository)}\n  rev: {_scalar(rev)}\n  hooks:\n{hooks}"


def install_advice() -> str:
    """Returns the command that installs all types of hooks: by default the framework installs only one."""
    return f"run: pre-commit install {' '.join(f'-t {name}' for name in _TYPES)}"


def add_to_precommit_config(path: Path, rev: str | None = None, repository: str = REPOSITORY) -> bool:
    """Adds our entry to the end of ``repos`` in a ``.pre-commit-config.yaml``, or writes a new file.

    The rest of the file stays as it is, comments included.

    Args:
        path: The file.
        rev: Tag or commit; None for this version's tag.
        repository: Where the framework clones it from.

    Returns:
        False if one of our hooks is there already.

    Raises:
        UsageError: the file cannot be read, or has no list of ``repos`` to add to.
    """
    entry = framework_entries(rev or f"v{__version__}", repository)
    if not path.exists():
        replace_file(path, ("repos:\n" + _indented(entry, 2)).encode(), 0o644)
        return True
    try:
        data = read_bytes(path, MOST_TEXT)
        text = data.decode("utf-8")
        before, root = read_yaml(data)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}", "mend it, then try again") from error
    if not isinstance(before, dict) or not isinstance(before.get("repos", 0), list | None):
        raise UsageError(
            f"{path} has no list of repos",
            "a pre-commit configuration begins with `repos:`; see `pre-commit sample-config`",
        )
    if any(_is_ours(repo, repository) for repo in before["repos"] or []):
        return False
    assert isinstance(root, yaml.MappingNode)
    key, repos = next((k, v) for k, v in root.value if k.value == "repos")
    after = _inserted(text, key, repos, entry)
    expected = {**before, "repos": [*(before["repos"] or []), *load_yaml(entry.encode())]}
    if not _reads_as(after, expected):
        raise UsageError(
            f"{path} is written in a way that cannot be added to", "add this to its repos", detail=entry
        )
    target = path.resolve()
    replace_file(target, after.encode(), target.stat().st_mode & 0o7777)
    return True


def _reads_as(text: str, expected: Any) -> bool:
    try:
        return bool(load_yaml(text.encode()) == expected)
    except ValueError:
        return False


def _is_ours(repo: Any, repository: str) -> bool:
    if not isinstance(repo, dict):
        return False
    hooks = repo.get("hooks") or []
    ids = {hook.get("id") for hook in hooks if isinstance(hook, dict)}
    return repo.get("repo") == repository or not ids.isdisjoint(IDS)


def _inserted(text: str, key: yaml.Node, repos: yaml.Node, entry: str) -> str:
    """Returns the text with the entry in it. The list has to be in block style or empty."""
    lines = text.splitlines(keepends=True)
    newline = "\r\n" if lines[0].endswith("\r\n") else "\n"
    if isinstance(repos, yaml.SequenceNode) and repos.value:
        column = repos.start_mark.column
        line = _with_comments(lines, _last_line(repos.value[-1]), column)
    else:
        column, line = 2, key.end_mark.line
        bare = lines[line]
        lines[line] = bare[: key.end_mark.column] + bare[key.end_mark.column :].replace(" []", "", 1)
    if not lines[line].endswith("\n"):
        lines[line] += newline
    lines.insert(line + 1, _indented(entry, column).replace("\n", newline))
    return "".join(lines)


def _with_comments(lines: list[str], line: int, column: int) -> int:
    """Returns the number of the last comment line after ``line`` that is indented deeper than the list."""
    last = line
    for number in range(line + 1, len(lines)):
        rest = lines[number].lstrip()
        if rest.startswith("#") and len(lines[number]) - len(rest) > column:
            last = number
        elif rest:
            break
    return last


def _last_line(node: yaml.Node) -> int:
    """Returns the number of the last line that a node covers.

    For YAML a list or mapping in block style ends where the next node begins, so its last part decides.
    """
    if isinstance(node, yaml.ScalarNode) or (isinstance(node, yaml.CollectionNode) and node.flow_style):
        block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
        return int(node.end_mark.line) - (1 if block and node.end_mark.column == 0 else 0)
    last = node.value[-1] if node.value else None
    if last is None:
        return int(node.start_mark.line)
    return max(map(_last_line, last)) if isinstance(last, tuple) else _last_line(last)


def _indented(entry: str, column: int) -> str:
    return "".join(" " * column + line for line in entry.splitlines(keepends=True))


def _scalar(value: str) -> str:
    """Returns a YAML scalar that is read as this very text: a revision may look like a number."""
    try:
        plain = bool(value) and load_yaml(value.encode()) == value
    except ValueError:
        plain = False
    return value if plain else "'" + value.replace("'", "''") + "'"
