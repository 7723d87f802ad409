"""The door to the user's Dagster project."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raw_trigger.documents import read_text
from raw_trigger.errors import ProjectError
from raw_trigger.model.assets import Asset, Catalog
from raw_trigger.model.outcome import CheckResult
from raw_trigger.model.project import DagsterOptions, Files
from raw_trigger.project import catalog as cache
from raw_trigger.project.interpreter import Interpreter, find_interpreter

if TYPE_CHECKING:  # the planning path needs none of them
    from raw_trigger.project.messages import Identity, RunBatch, RunnerEvent

REQUEST_VERSION = 1

_RETRY_SECONDS = 600.0
"""For so long a new run is waited for where Dagster said that it will try again: its daemon may be down."""

Execute = Callable[
    [
        "Sequence[RunBatch]",
        "Callable[[RunnerEvent], None]",
        Mapping[str, str],
        "Path | None",
        "Watching | None",
    ],
    "ExecutionResult",
]
"""Carries batches out; its arguments are those of :meth:`DagsterProject.execute`."""
Busy = Callable[[str], AbstractContextManager[object]]
"""Called with the name of something that takes time, and entered for as long as it does."""


@dataclass(frozen=True, slots=True)
class Watching:
    """Holds the folders in which runs are watched for the files that they read.

    Args:
        roots: Folders, relative to the repository's top.
        thorough: Whether to watch everything, even if that is slow in a tree of many folders.
    """

    roots: tuple[str, ...]
    thorough: bool = False


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """Says how an execution ended.

    Args:
        log: The output of user code.
        exit_code: The runner's; if negative, the signal that killed it.
        problem: Set if it ended before every target had an event.
        untold: The targets without an event; nothing is known of them.
    """

    log: Path
    exit_code: int
    problem: ProjectError | None = None
    untold: tuple[Identity, ...] = ()


@dataclass(frozen=True, slots=True)
class Materialized:
    """Holds a materialization of Dagster's event log; times are in seconds since 1970.

    ``began`` is when its step began; None if that is not in the log. ``overtaken`` says that another run has
    made it since, or may still be making it.
    """

    asset: str
    partition: str | None
    time: float
    began: float | None = None
    overtaken: bool = False


@dataclass(frozen=True, slots=True)
class DagsterRun:
    """Holds what Dagster's event log says of a run. Assets are keys in their text form.

    Args:
        status: Dagster's word, such as ``STARTED``; None if it does not know the run.
        run_id: Its id; of several runs of a batch that of the last one.
        began: When its first step began, in seconds since 1970; None if none has.
        ended: When it ended, in seconds since 1970; None if it has not.
        retries: Whether Dagster said that it will try it again.
        error: What ended it outside of its steps.
        errors: Assets, each with the error of its step.
        materialized: The assets and partitions that finished steps made.
        failed_checks: Assets with a check of severity ERROR that failed or was not evaluated.
        checks: These checks, by asset.
        cut_off: Assets that were being made when the run broke off.
        succeeded: When the whole run had succeeded, in seconds since 1970; None if it did not.
        broken_off: Whether the run began and broke off, in a step or between two of them.
        is_remote: Whether it ran where the clock may be another one.
        commit: The commit whose files a remote run has read; None: it is not known.
        partition: Of one of the runs of a backfill, what it makes; the assets are ``selection``.
    """

    status: str | None
    materialized: tuple[Materialized, ...] = ()
    failed_checks: frozenset[str] = frozenset()
    cut_off: frozenset[str] = frozenset()
    succeeded: float | None = None
    broken_off: bool = False
    run_id: str | None = None
    began: float | None = None
    ended: float | None = None
    retries: bool = False
    error: str | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, tuple[CheckResult, ...]] = field(default_factory=dict)
    is_remote: bool = False
    commit: str | None = None
    partition: str | None = None
    selection: frozenset[str] = frozenset()

    @property
    def has_ended(self) -> bool:
        """Says whether nothing more can come of it: where Dagster said that it tries again, after a while."""
        is_over = self.status in ("SUCCESS", "FAILURE", "CANCELED")
        waits = self.retries and (self.ended is None or time.time() - self.ended < _RETRY_SECONDS)
        return is_over and not waits

    @property
    def was_canceled(self) -> bool:
        """Says whether somebody has ended it."""
        return self.status == "CANCELED"


@dataclass(frozen=True)
class DagsterProject:
    """Asks and runs the Dagster project in a folder.

    Args:
        directory: The folder, absolute, that the options are relative to.
        options: The configuration of the project.
        default_home: The instance if neither the options nor ``.env`` nor the environment name one.
        cache_dir: The folder of the catalog and the logs.
        top: The repository's top folder.
        environ: The caller's environment.
        busy: Entered while planning waits for Dagster. Batches report their progress by events instead.
    """

    directory: Path
    options: DagsterOptions
    default_home: Path
    cache_dir: Path
    top: Path
    environ: Mapping[str, str] = field(repr=False)
    busy: Busy = field(default=nullcontext, repr=False, compare=False)

    def catalog(self, fresh: bool = False) -> Catalog:
        """Returns the asset graph.

        Args:
            fresh: Whether to load the project even if the cache is valid.

        Raises:
            ProjectError: there is no interpreter, or the project does not load (``detail`` holds the
                traceback).
        """
        request = self._request()
        cached = None if fresh else cache.read(self.cache_dir)
        if cached is not None:
            interpreter = self.interpreter(cached.interpreter)
            found = cache.valid_catalog(cached, self.cache_dir, request, interpreter)
            if found is not None:
                return found
        options = self.options
        names = (options.module_name, options.python_file, options.package_name, options.workspace)
        named = ", ".join(name for each in names for name in each)
        with self.busy(f"loading the Dagster project{f' {named}' if named else ''}"):
            return self._load(request, self.interpreter())

    def config_problems(self, run_configs: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str | None]:
        """Returns what Dagster finds wrong with each configuration of a job; None for one that is right.

        Args:
            run_configs: Names of jobs, each with a run configuration.

        Raises:
            ProjectError: there is no interpreter, or the project does not load.
        """
        if not run_configs:
            return []
        request = {**self._request(), "run_configs": [[job, dict(one)] for job, one in run_configs]}
        problems: list[str | None] = self._ask(request, self.interpreter())["problems"]
        return problems

    @contextmanager
    def starting(self) -> Iterator[Execute]:
        """Starts the interpreter, which imports Dagster while the batches are prepared; gives what runs them.

        Raises:
            ProjectError: there is no interpreter, or it cannot be started.
        """
        from raw_trigger.project.child import Child, new_log
        from raw_trigger.project.execution import run_batches

        cached = cache.read(self.cache_dir)
        interpreter = self.interpreter(cached.interpreter if cached is not None else None)
        log = new_log(self.cache_dir)
        with Child("runner", self.folder, interpreter, self.environ, log) as child:

            def execute(
                batches: Sequence[RunBatch],
                on_event: Callable[[RunnerEvent], None],
                tags: Mapping[str, str],
                lock: Path | None,
                watching: Watching | None,
            ) -> ExecutionResult:
                reading = None if watching is None else {"top": str(self.top), **asdict(watching)}
                request = {
                    **self._request(),
                    "tags": dict(tags),
                    "lock": None if lock is None else str(lock),
                    "reading": reading,
                    "batches": [batch.as_json() for batch in batches],
                }
                code, problem, untold = run_batches(
                    child, request, batches, interpreter, log=log, on_event=on_event
                )
                return ExecutionResult(log, code, problem, untold)

            yield execute

    def execute(
        self,
        batches: Sequence[RunBatch],
        on_event: Callable[[RunnerEvent], None],
        tags: Mapping[str, str] | None = None,
        lock: Path | None = None,
        watching: Watching | None = None,
    ) -> ExecutionResult:
        """Carries out the batches in order, in one process of the project's interpreter.

        Args:
            batches: What to materialize and report.
            on_event: Called, in this thread, for every event as it arrives.
            tags: For every run.
            lock: A file that the process keeps locked while it exists.
            watching: Where to watch which files are read; None for nowhere.

        Raises:
            ProjectError: there is no interpreter, or the project does not load. Nothing has run then.
            KeyboardInterrupt: interrupted; Dagster has closed its run, and its events have been passed on.
        """
        with self.starting() as execute:
            return execute(batches, on_event, tags or {}, lock, watching)

    def dev(self, arguments: Sequence[str] = ()) -> tuple[list[str], dict[str, str]]:
        """Returns the command of `dagster dev`, to be started in :attr:`folder`, and its environment.

        The instance is made first: webserver and daemon, which begin together, would both make its tables.

        Args:
            arguments: Further ones.

        Raises:
            ProjectError: there is no interpreter, or the project does not load.
        """
        from raw_trigger.project.child import child_environment

        self.execute([], lambda _: None)
        interpreter, options = self.interpreter(), self.options
        command = [*interpreter.command, "-m", "dagster", "dev"]
        for option, names in (
            ("-m", options.module_name),
            ("-f", tuple(map(self._absolute, options.python_file))),
            ("--package-name", options.package_name),
            ("-w", tuple(map(self._absolute, options.workspace))),
        ):
            command += [word for name in names for word in (option, name)]
        for option, one in (("-a", options.attribute), ("-d", options.working_directory)):
            command += [] if one is None else [option, self._absolute(one) if option == "-d" else one]
        environ = child_environment(interpreter, self.environ)
        return [*command, *arguments], {**environ, "DAGSTER_HOME": str(self.home())}

    def materialized(self, run_ids: Sequence[str]) -> Mapping[str, DagsterRun]:
        """Returns what the instance knows of these runs, without loading the project's code.

        Further runs of the same batch, which continue the first one, count too.

        Raises:
            ProjectError: there is no interpreter, or the instance cannot be used.
        """
        if not run_ids:
            return {}
        answer = self._ask_instance(run_ids=list(run_ids))
        return {run_id: _run_of(document) for run_id, document in answer["runs"].items()}

    def submitted(self, launches: Sequence[str]) -> Mapping[str, Mapping[int, DagsterRun]]:
        """Returns what the instance knows of the runs of launches that were submitted, by their batches.

        The runs of a backfill have negative numbers: it is their partitions that tell the batches.

        Raises:
            ProjectError: there is no interpreter, or the instance cannot be used.
        """
        if not launches:
            return {}
        answer = self._ask_instance(launches=list(launches))
        return {
            launch: {
                int(number): _run_of(one)
                for number, one in batches.items()
                if number.removeprefix("-").isdecimal()
            }
            for launch, batches in answer["launches"].items()
        }

    def cancel(self, run_id: str) -> str | None:
        """Cancels a run that was submitted; returns why it could not be ended, None if it was.

        Raises:
            ProjectError: there is nobody to tell.
        """
        return "its daemon is not a deployment of launcher: graphql; its page in Dagster ends it"

    def dynamic_keys(self, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Returns the instance's keys of these dynamic definitions, without loading the project's code.

        Raises:
            ProjectError: there is no interpreter, or the instance cannot be used.
        """
        if not names or not self._has_instance():
            return {}
        found: Mapping[str, Sequence[str]] = self._ask_instance(dynamic=list(names))["dynamic"]
        return found

    def never_materialized(self, assets: Sequence[Asset]) -> tuple[str, ...]:
        """Returns the assets that the instance never materialized, without loading the project's code.

        Raises:
            ProjectError: there is no interpreter, or the instance cannot be used.
        """
        if not assets or not self._has_instance():
            return tuple(asset.key for asset in assets)
        answer = self._ask_instance(assets=[list(asset.parts) for asset in assets])
        never = set(map(tuple, answer["never"]))
        return tuple(asset.key for asset in assets if asset.parts in never)

    def _ask_instance(self, **wanted: list[Any]) -> Mapping[str, Any]:
        from raw_trigger.project.child import Child, new_log
        from raw_trigger.project.execution import load_error, silence

        cached = cache.read(self.cache_dir)
        interpreter = self.interpreter(cached.interpreter if cached is not None else None)
        log = new_log(self.cache_dir)
        request = {**self._request(), "run_ids": [], "launches": [], "dynamic": [], "assets": [], **wanted}
        answers: list[dict[str, Any]] = []
        with (
            self.busy("asking the Dagster instance"),
            Child("settle", self.folder, interpreter, self.environ, log) as child,
        ):
            code = child.converse(request, answers.append)
        if not answers:
            raise silence(code, interpreter, log, "before it had read Dagster's event log")
        if "error" in answers[0]:
            raise load_error(answers[0]["error"], interpreter, log)
        return answers[0]

    def interpreter(self, known: Interpreter | None = None) -> Interpreter:
        """Returns the interpreter that loads the project.

        Raises:
            ProjectError: there is none.
        """
        for folder in (self.directory, self.folder):
            if not folder.is_dir():
                raise ProjectError(f"the project's folder {folder} does not exist")
        # A configured path is relative to the configuration's folder.
        start = self.folder if self.options.python == "auto" else self.directory
        return find_interpreter(self.options.python, start, self.top, self.environ, known)

    @property
    def folder(self) -> Path:
        """Returns the folder in which to call ``dagster dev``: the working directory, or above a ``src``."""
        if self.options.working_directory is None:
            return self.directory
        working = Path(self._absolute(self.options.working_directory))
        return working.parent if working.name == "src" else working

    def has_private_home(self) -> bool:
        """Says whether the instance is :attr:`default_home`, because nothing names another one."""
        return not (self.options.home or self._env_file_home() or self.environ.get("DAGSTER_HOME"))

    def home(self) -> Path:
        """Returns the folder of the Dagster instance; if ``.env`` names it, Dagster has the last word."""
        named = self._configured_home() or self._env_file_home() or self.environ.get("DAGSTER_HOME")
        return Path(named).expanduser() if named else self.default_home

    @property
    def files(self) -> Files | None:
        """Returns whose files the assets are made from: those of this disk, of a commit, or nobody knows."""
        return "here"

    @property
    def commit(self) -> str | None:
        """Returns the commit whose files the assets are made from; None: they are made from others."""
        return None

    def knows(self, run_ids: Sequence[str]) -> bool:
        """Says whether it is the instance of one of these runs, as far as that can be asked."""
        return False

    def worry(self) -> str | None:
        """Returns why nothing may come of what was submitted, for a person; None: nothing is wrong."""
        return None

    @property
    def shown(self) -> str:
        """Returns where the Dagster instance is, for a person."""
        return str(self.home())

    def _has_instance(self) -> bool:
        """Whether there is an instance yet: else it knows nothing."""
        return self.home().is_dir()

    def _configured_home(self) -> str | None:
        home = self.options.home
        return None if home is None else self._absolute(home)

    def _absolute(self, path: str) -> str:
        return os.path.normpath(self.directory / Path(path).expanduser())

    def _env_file_home(self) -> str | None:
        found = None
        for line in read_text(self.folder / ".env").splitlines():
            name, equals, value = line.strip().removeprefix("export ").partition("=")
            if equals and name.strip() == "DAGSTER_HOME":
                found = value.strip().strip("'\"") or None
        return found

    def _request(self) -> dict[str, Any]:
        options = self.options

        def paths(names: tuple[str, ...]) -> list[str]:
            return [self._absolute(name) for name in names]

        working = options.working_directory
        return {
            "version": REQUEST_VERSION,
            "project": {
                "directory": str(self.folder),
                "top": str(self.top),
                "module_name": list(options.module_name),
                "python_file": paths(options.python_file),
                "package_name": list(options.package_name),
                "workspace": paths(options.workspace),
                "attribute": options.attribute,
                "working_directory": None if working is None else self._absolute(working),
            },
            "home": self._configured_home(),
            "default_home": str(self.default_home),
        }

    def _load(self, request: Mapping[str, Any], interpreter: Interpreter) -> Catalog:
        began = time.time_ns()
        answer = self._ask(request, interpreter)
        cache.remember(self.cache_dir, request, interpreter, answer, began)
        return cache.decode(answer, fresh=True)

    def _ask(self, request: Mapping[str, Any], interpreter: Interpreter) -> dict[str, Any]:
        """Returns the probe's answer.

        Raises:
            ProjectError: the project does not load.
        """
        from raw_trigger.project.child import Child, new_log
        from raw_trigger.project.execution import load_error, silence

        log = new_log(self.cache_dir)
        answers: list[dict[str, Any]] = []
        with Child("probe", self.folder, interpreter, self.environ, log) as child:
            code = child.converse(request, answers.append)
        if not answers:
            raise silence(code, interpreter, log, "before it had loaded the Dagster project")
        if "error" in answers[0]:
            raise load_error(answers[0]["error"], interpreter, log)
        return answers[0]


def _failed_checks(documents: Sequence[Mapping[str, Any]]) -> dict[str, tuple[CheckResult, ...]]:
    found: dict[str, tuple[CheckResult, ...]] = {}
    for one in documents:
        key = "/".join(one["asset"])
        if one["evaluated"]:
            found[key] = (*found.get(key, ()), CheckResult(one["check"], False, "ERROR", one["message"]))
    return found


def _run_of(document: Mapping[str, Any]) -> DagsterRun:
    from raw_trigger.project.messages import parse_error

    def words(document: Mapping[str, Any] | None) -> str | None:
        error = parse_error(document)
        return None if error is None else error.words

    return DagsterRun(
        status=document["status"],
        materialized=tuple(
            Materialized(
                "/".join(one["asset"]),
                one["partition"],
                one["time"],
                one["began"],
                one.get("overtaken", False),
            )
            for one in document["materialized"]
        ),
        failed_checks=frozenset("/".join(one["asset"]) for one in document["failed_checks"]),
        cut_off=frozenset("/".join(parts) for parts in document["cut_off"]),
        checks=_failed_checks(document["failed_checks"]),
        succeeded=document["succeeded"],
        broken_off=document["broken_off"],
        run_id=document["run_id"],
        began=document["began"],
        ended=document["ended"],
        retries=document["retries"],
        is_remote="commit" in document,
        commit=document.get("commit"),
        partition=document.get("partition"),
        selection=frozenset("/".join(parts) for parts in document.get("selection", ())),
        error=words(document["error"]),
        errors={
            **{
                "/".join(
                    one["asset"]
                ): f"asset check {one['check']} {'failed' if one['evaluated'] else 'was not evaluated'}"
                + (f": {one['message']}" if one["message"] else "")
                for one in document["failed_checks"]
            },
            **{"/".join(one["asset"]): words(one["error"]) or "" for one in document["errors"]},
        },
    )
