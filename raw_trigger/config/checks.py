"""Finds contradictions between values of a configuration that are each valid alone."""

from __future__ import annotations

from typing import Any

from raw_trigger.config.document import Document
from raw_trigger.config.fields import MAX_TEXT, hook_action
from raw_trigger.config.problems import Problem, Problems, quoted
from raw_trigger.mapping.formats import READABLE, no_text
from raw_trigger.mapping.patterns import PatternError, compile_glob, compile_pattern
from raw_trigger.model.settings import DEFAULT_ROOT, ENVIRONMENT_HINT, ENVIRONMENT_NAME, Position, below

_TARGETS = ("asset", "assets", "job", "ignore")
_DEPLOYMENT = ("url", "token_env", "token_header", "location", "files")


def check(document: Document, folder: str, problems: Problems) -> None:
    """Adds a problem for each contradiction between the values of a configuration.

    These are roots inside each other, rules with no meaning or two, and hooks that leave their work to a hook
    that does not do it. The check reads the plain data, not the models, so that its problems are reported
    together with those of the models.
    """
    data = document.data
    if not isinstance(data, dict):
        return
    roots = _roots(data.get("root"))
    _overlaps(roots, document, problems)
    _put_off(data.get("hooks"), document, problems)
    _deployment(data, document, problems)
    prefixes = _Prefixes(roots, folder)
    _environments(data.get("ci"), document, problems)
    rules = data.get("assets")
    for i, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, dict):
            _pattern(i, rule.get("path"), document, problems)
            _meaning(i, rule, document, problems)
            _beginning(i, rule, prefixes, document, problems)


def _environments(ci: Any, document: Document, problems: Problems) -> None:
    """Adds problems for names that no git ref can contain, and for branches that record two environments."""
    found = ci.get("environments") if isinstance(ci, dict) else None
    owners: dict[str, str] = {}
    for name, branches in found.items() if isinstance(found, dict) else ():
        at = ("ci", "environments", name)
        if not ENVIRONMENT_NAME.fullmatch(name):
            message = f"the environment {quoted(name)} cannot be part of a git ref"
            problems.add(Problem(document.key_at(at), message, ENVIRONMENT_HINT))
        for branch in branches if isinstance(branches, list) else [branches]:
            _glob(branch, document.at(at), problems)
            owner = owners.setdefault(branch, name) if isinstance(branch, str) else name
            if owner != name:
                message = f"the branch {quoted(branch)} already records {quoted(owner)}"
                problems.add(Problem(document.at(at), message, "keep it in one environment"))


def _glob(branch: Any, at: Position, problems: Problems) -> None:
    try:
        compile_glob(branch if isinstance(branch, str) else "")
    except PatternError as error:
        problems.add(Problem(at, f"the branch {quoted(branch)} is no pattern: {error.message}", "correct it"))


def _roots(value: Any) -> list[str | None]:
    """Returns the normalised roots, with None in the place of each that is invalid."""
    if value is None:
        return [DEFAULT_ROOT]
    items = value if isinstance(value, list) else [value]
    return [_normal(item) if isinstance(item, str) and 0 < len(item) <= MAX_TEXT else None for item in items]


def _normal(root: str) -> str:
    return "/".join(part for part in root.split("/") if part not in ("", ".")) or "."


def _overlaps(roots: list[str | None], document: Document, problems: Problems) -> None:
    seen: set[str] = set()
    inside: dict[str, str] = {}
    for i, root in enumerate(roots):
        if root is None:
            continue
        problem = ""
        if root in seen:
            problem = "is there twice"
        else:
            above = _upwards(root)
            outer = next((folder for folder in above if folder in seen), None)
            if outer is not None:
                problem = f"is inside root {quoted(outer)}"
            elif root in inside:
                problem = f"contains root {quoted(inside[root])}"
            seen.add(root)
            inside.update((folder, root) for folder in above if folder not in inside)
        if problem:
            message = f"root {quoted(root)} {problem}"
            problems.add(Problem(document.at(("root", i)), message, "keep one of them"))


def _upwards(root: str) -> list[str]:
    """Returns the folder itself and every folder above it."""
    if root == ".":
        return ["."]
    parts = root.split("/")
    return ["/".join(parts[:n]) for n in range(len(parts), 0, -1)] + ["."]


def _put_off(hooks: Any, document: Document, problems: Problems) -> None:
    """Adds a problem if pre-commit leaves its work to a post-commit that does not do it.

    Nothing can go on in the background before a commit exists, so `pre-commit: background` needs post-commit.
    """
    if not isinstance(hooks, dict) or hooks.get("pre-commit") != "background":
        return
    after = hook_action(hooks.get("post-commit", "background"))
    if after in ("run", "notify", "off"):
        message = f"pre-commit 'background' leaves its work to post-commit, which is {quoted(str(after))}"
        at = document.at(("hooks", "post-commit"))
        problems.add(Problem(at, message, "write 'post-commit: background', or leave it out"))


def _deployment(data: dict[str, Any], document: Document, problems: Problems) -> None:
    """Adds problems for a launcher without a deployment, and for a deployment that nothing is launched on."""
    dagster = data.get("dagster")
    given = [key for key, value in dagster.items() if value is not None] if isinstance(dagster, dict) else []
    named = [key for key in _DEPLOYMENT if key in given]
    if data.get("launcher") == "graphql":
        if "url" not in given:
            message = "launcher 'graphql' needs the address of a deployment"
            at = document.at(("launcher",))
            problems.add(Problem(at, message, "write it under 'dagster' as 'url', or remove the launcher"))
    elif named and data.get("launcher") in (None, "local"):
        at = document.key_at(("dagster", named[0]))
        problems.add(
            Problem(
                at, f"{named[0]!r} is only for launcher: graphql", "add 'launcher: graphql', or remove it"
            )
        )


def _pattern(i: int, path: Any, document: Document, problems: Problems) -> None:
    try:
        compile_pattern(path if isinstance(path, str) and len(path) <= MAX_TEXT else "")
    except PatternError as error:
        at = document.at(("assets", i, "path"))
        problems.add(Problem(at, error.message, "see 'Patterns' in the README"))


def _meaning(i: int, rule: dict[str, Any], document: Document, problems: Problems) -> None:
    given = [key for key in _TARGETS if rule.get(key) is not None]
    if rule.get("ignore") is False:
        given.remove("ignore")
    if not given:
        message = "this rule says nothing about its files"
        problems.add(
            Problem(document.at(("assets", i)), message, "give it 'asset', 'assets', 'job' or 'ignore: true'")
        )
    for key in given[1:]:
        at = document.key_at(("assets", i, key))
        problems.add(Problem(at, f"this rule has {given[0]!r} and {key!r}", "keep one of them"))
    if given == ["ignore"]:
        for key in ("partition", "on_delete", "rows", "fingerprint"):
            if rule.get(key) is not None:
                at = document.key_at(("assets", i, key))
                problems.add(Problem(at, f"an ignored path has no use for {key!r}", "remove it"))
    if rule.get("run_config") is not None and rule.get("job") is None:
        at = document.key_at(("assets", i, "run_config"))
        problems.add(Problem(at, "'run_config' without 'job'", "name the job, or remove it"))
    rows = rule.get("rows")
    if isinstance(rows, dict) and rows.get("partition") is not None and rule.get("job") is not None:
        at = document.key_at(("assets", i, "rows"))
        problems.add(Problem(at, "a job has no partition for each row", "remove 'partition' from 'rows'"))
    if isinstance(rows, dict) and rows.get("partition") is not None and rule.get("partition") is not None:
        at = document.key_at(("assets", i, "partition"))
        message = "this rule has a partition for the file and one for each row"
        problems.add(Problem(at, message, "keep the one in 'rows': it may use what the path captures too"))
    path, fingerprint = rule.get("path"), rule.get("fingerprint")
    for key in [key for key, value in (("rows", rows), ("fingerprint", fingerprint)) if value is not None]:
        what = no_text(path) if isinstance(path, str) and fingerprint != "bytes" else None
        if what is not None:
            message = f"{key!r} cannot look into such files: they are {what}"
            hint = f"remove it, then any change of the file counts; {READABLE}"
            problems.add(Problem(document.key_at(("assets", i, key)), message, hint))
    if rows is not None and rule.get("fingerprint") is not None:
        at = document.key_at(("assets", i, "fingerprint"))
        problems.add(Problem(at, "this rule has 'rows' and 'fingerprint'", "keep one of them"))


class _Prefixes:
    """Knows how a path can repeat its root: as written, or from the repository's top."""

    def __init__(self, roots: list[str | None], folder: str) -> None:
        named = [root for root in roots if root is not None and root != "."]
        self._known = {name for root in named for name in (root, below(folder, root))}
        self._lengths = sorted({len(name) for name in self._known}, reverse=True)

    def strip(self, path: str) -> str | None:
        """Returns the path without its leading root; None if it does not begin with one."""
        for n in self._lengths:
            if path[n : n + 1] in ("", "/") and path[:n] in self._known:
                return path[n + 1 :]
        return None


def _beginning(
    i: int, rule: dict[str, Any], prefixes: _Prefixes, document: Document, problems: Problems
) -> None:
    path = rule.get("path")
    rest = prefixes.strip(path) if isinstance(path, str) else None
    if rest is not None:
        message = f"path {quoted(str(path))} begins with the root, but paths are relative to it"
        hint = f"write {quoted(rest or '**')}"
        problems.add(Problem(document.at(("assets", i, "path")), message, hint))
