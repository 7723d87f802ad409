"""Prints the asset graph of the project as one JSON document. Runs by path in the user's interpreter."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Python puts this folder first on sys.path; nothing in it may hide a module of the user.
sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != HERE]

import contextlib  # noqa: E402
import importlib.util  # noqa: E402
import os  # noqa: E402
import platform  # noqa: E402
from collections.abc import Callable  # noqa: E402
from contextlib import suppress  # noqa: E402
from types import ModuleType  # noqa: E402
from typing import Any  # noqa: E402

NOISE = frozenset({".venv", ".git", "__pycache__", "site-packages", "dist-packages", "node_modules"})
MOST_TOLD = 20
"""The most names from a description: with more of them it is not about the asset's source."""
SEARCHERS = ("<frozen importlib", "/importlib/", "/pkg_resources/")
"""Code that lists the folders of sys.path to find modules and installed packages."""
HEARD = frozenset(("open", "os.listdir", "os.scandir"))
PROJECT_FILES = (
    "pyproject.toml",
    "workspace.yaml",
    "workspace.yml",
    "setup.cfg",
    "setup.py",
    "dg.toml",
    ".env",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "pixi.lock",
    "requirements.txt",
)


def _session() -> ModuleType:
    spec = importlib.util.spec_from_file_location("_raw_trigger_session", HERE / "session.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["_raw_trigger_session"] = module
    spec.loader.exec_module(module)
    return module


class Watch:
    """Collects what the code looks at while it loads.

    These are files it reads, folders it lists, and folders it searches for modules.
    """

    def __init__(self) -> None:
        self.active = False
        self.read: set[Any] = set()
        self.written: set[Any] = set()
        self.listed: set[Any] = set()
        self.searched: set[Any] = set()

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        """Handles an audit event.

        Python calls this for every event, so the common case returns first.
        """
        if not self.active or event not in HEARD:
            return
        # An error here would be raised in the watched code.
        with suppress(Exception):
            self._hear(event, args)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = args
            if isinstance(path, int):
                return
            writes = flags & (os.O_WRONLY | os.O_RDWR) if isinstance(flags, int) else False
            if writes or (isinstance(mode, str) and mode.strip("rbtU")):
                self.written.add(path)
            else:
                self.read.add(path)
        else:
            path = args[0]
            if isinstance(path, int):
                return
            caller = sys._getframe(2).f_code.co_filename
            searching = any(name in caller for name in SEARCHERS)
            (self.searched if searching else self.listed).add("." if path is None else path)

    def result(self, session: ModuleType, project: dict[str, Any]) -> dict[str, list[str]]:
        """Returns the absolute paths that the code looked at.

        These are ``files``, ``folders``, ``modules`` (folders in which only modules count), and ``outside``,
        code that is neither the repository's nor installed.
        """
        directory = project["directory"]
        named = {directory, project.get("top") or directory}
        roots = named | {os.path.realpath(root) for root in named}  # the code may use both names
        home = os.environ["DAGSTER_HOME"] + os.sep

        def inside(path: str) -> bool:
            if path.startswith(home) or session.is_installed(path):
                return False
            for root in roots:
                if path == root or path.startswith(root + os.sep):
                    return NOISE.isdisjoint(Path(path[len(root) :]).parts)
            return False

        def below(paths: set[Any]) -> set[str]:
            return {path for path in map(_absolute, paths) if inside(path)}

        files = {
            path
            for path in below(self.read) - below(self.written)
            if not path.endswith(".pyc") and not Path(path).is_dir()
        }
        own = str(HERE) + os.sep
        outside = set()
        for module in list(sys.modules.values()):
            name = None
            with suppress(Exception):  # a lazy module that fails when it is asked
                name = getattr(module, "__file__", None)
            if isinstance(name, str):
                path = _absolute(name)
                if not session.is_installed(path) and not path.startswith(own):
                    files.add(path)
                    if not any(path.startswith(root + os.sep) for root in roots):
                        outside.add(path)
        files.update(str(Path(root, name)) for root in named for name in PROJECT_FILES)
        files.update(_absolute(name) for name in project["workspace"])
        config = Path(sys.prefix, "pyvenv.cfg")
        if config.exists():
            files.add(str(config))
        return {
            "files": sorted(files),
            "folders": sorted(below(self.listed)),
            "modules": sorted(below(self.searched)),
            "outside": sorted(outside),
        }


def _absolute(path: Any) -> str:
    return os.path.abspath(os.fsdecode(path))  # noqa: PTH100  (a link is watched under its own name)


def _names(compat: ModuleType, sources: Any, repo: Any, node: Any) -> dict[str, list[str]]:
    """Returns texts that may name files, from the code of an asset and from its description."""
    found: dict[str, list[str]] = {}
    if node.kind == "materializable":
        with contextlib.suppress(Exception):  # only a hint is missing then
            named = [name for one in compat.functions(repo, node.key) for name in sources.names(one)]
            found["named"] = list(dict.fromkeys(named))
    with contextlib.suppress(Exception):
        told = sources.as_names(compat.description(repo, node.key) or "")
        found["told"] = list(dict.fromkeys(told))[:MOST_TOLD]
    return {kind: names for kind, names in found.items() if names}


def _assets(
    session: ModuleType,
    compat: ModuleType,
    sources: Any,
    repositories: list[tuple[str, Any]],
    run_configs: list[Any],
) -> dict[str, Any]:
    """Returns every asset once: if several locations name it, the one that can execute it counts.

    Args:
        run_configs: Jobs, each with a configuration to check.
    """
    chosen: dict[Any, tuple[str, Any, Any]] = {}
    parents: dict[Any, set[Any]] = {}
    for location, repo in repositories:
        for node in compat.nodes(repo):
            parents.setdefault(node.key, set()).update(node.parents)
            known = chosen.get(node.key)
            if known is None or compat.KIND_RANK[known[1].kind] < compat.KIND_RANK[node.kind]:
                chosen[node.key] = (location, node, repo)
    definitions: list[Any] = []
    numbers: dict[int, int] = {}
    described: list[dict[str, Any]] = []
    unread: list[list[Any]] = []

    def read(key: Any, what: str, ask: Callable[[Any], Any], value: Any, instead: Any) -> Any:
        """What an asset can do without must not keep all others from being read."""
        try:
            return ask(value)
        except Exception as error:
            unread.append([list(key.path), f"{what} cannot be read: {session.error_of(error)['message']}"])
            return instead

    def other(value: Any) -> dict[str, Any]:
        return {"kind": "other", "name": type(value).__name__}

    def number(key: Any, definition: Any) -> int | None:
        if definition is None:
            return None
        if id(definition) not in numbers:
            definitions.append(definition)  # keeps it alive, so that no other object gets its id
            document = read(key, "its partitions", compat.describe_partitions, definition, other(definition))
            if document["kind"] == "other":  # two of them cannot be compared
                document["name"] += f" {len(described)}"
            if document not in described:
                described.append(document)
            numbers[id(definition)] = described.index(document)
        return numbers[id(definition)]

    unconfigured: dict[int, Any] = {}

    def needs_config(key: Any) -> bool:
        _, node, repo = chosen[key]
        if node.kind != "materializable":
            return False
        if id(repo) not in unconfigured:
            unconfigured[id(repo)] = compat.unconfigured_resources(repo)
        return bool(compat.needs_config(repo, key, unconfigured[id(repo)]))

    assets = []
    for key in sorted(chosen, key=lambda key: list(key.path)):
        location, node, repo = chosen[key]
        metadata = [
            [name, text]
            for name, value in node.metadata.items()
            for text in read(key, f"its metadata {name!r}", compat.texts, value, [])
        ]
        mappings = []
        for parent, how in sorted(node.mappings.items(), key=lambda one: list(one[0].path)):
            what = f"its partition mapping from {'/'.join(parent.path)}"
            described_how = read(key, what, compat.describe_mapping, how, other(how))
            mappings.append([list(parent.path), described_how])
        assets.append(
            {
                "key": list(key.path),
                "location": location,
                "group": node.group,
                "kind": node.kind,
                "partitions": number(key, node.partitions),
                "parents": sorted(list(parent.path) for parent in parents[key] if parent != key),
                "execution_set": sorted(list(other.path) for other in node.execution_set)
                if len(node.execution_set) > 1
                else [],
                "metadata": metadata,
                "checks": list(node.checks),
                "mappings": mappings,
                "per_run": node.per_run,
                **_names(compat, sources, repo, node),
                "needs_config": read(key, "its configuration", needs_config, key, False),
            }
        )
    problems = []
    for job, run_config in run_configs:
        repo = next((repo for _, repo in repositories if job in compat.job_names(repo)), None)
        problems.append(None if repo is None else compat.config_problem(repo, job, run_config))
    jobs = {name: location for location, repo in reversed(repositories) for name in compat.job_names(repo)}
    return {"assets": assets, "partitions": described, "jobs": jobs, "unread": unread, "problems": problems}


def main() -> None:
    """Reads a request, answers it, and exits without waiting for threads of user code."""
    session = _session()
    request = session.read_request()
    channel = session.Channel(request["channel"])
    code = 0
    try:
        compat = session.start(request)
        watch = Watch()
        sys.addaudithook(watch.hook)
        watch.active = True
        repositories = compat.load_repositories(request["project"])
        sources = session.sibling("source").Sources(
            request["project"]["top"], lambda path: not session.is_installed(path)
        )
        document = _assets(session, compat, sources, repositories, request.get("run_configs") or [])
        watch.active = False
        watched = watch.result(session, request["project"])
        channel.send(
            {
                "version": 1,
                "dagster": compat.VERSION,
                "python": platform.python_version(),
                **document,
                "code": watched.pop("outside"),
                "watched": watched,
                "libraries": sorted(
                    entry
                    for entry in sys.path
                    if entry.endswith(("site-packages", "dist-packages")) and Path(entry).is_dir()
                ),
            }
        )
    except (Exception, SystemExit) as error:
        channel.send({"error": session.error_of(error)})
        code = 3
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
