"""Shows the whole thing in a throwaway repository, with nothing simulated.

The example project is copied, committed and materialized; the hooks are installed as a user would install
them; then five things are done to the repository, four with plain git, one without. After each, the demo asks
Dagster's own event log what was materialized, and compares that with what should have been.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from raw_trigger.errors import GitError, ProjectError, UsageError
from raw_trigger.model.plan import Target
from raw_trigger.resources import resource

Say = Callable[[str], None]

OLDEST_DAGSTER = (1, 8)
"""The first version that takes an ``AssetSpec`` in ``Definitions(assets=…)``, as the example has it."""


@dataclass(frozen=True, slots=True)
class Act:
    """Holds one thing that was done, and whether it had the intended effect.

    ``expected`` and ``seen`` are the targets that Dagster materialized or was told of, sorted, as ``key`` or
    ``key|partition``; something that ran twice is listed twice. ``problems`` are sentences about what went
    wrong.
    """

    title: str
    expected: tuple[str, ...]
    seen: tuple[str, ...]
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Says whether everything was as intended."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Says what became of the demo. Everything is below ``folder`` and stays there.

    The first act is the start, with everything materialized once; if that fails there are no others.
    """

    folder: Path
    repository: Path
    dagster_home: Path
    acts: tuple[Act, ...]

    @property
    def ok(self) -> bool:
        """Says whether all acts took place and every one was as intended."""
        return len(self.acts) == 1 + len(ACTS) and all(act.ok for act in self.acts)


def run_demo(folder: Path | None = None, *, say: Say) -> DemoResult:
    """Builds the throwaway repository, goes through the acts, and leaves everything where it is.

    Args:
        folder: The folder to build it in, new or empty; None for a new temporary one.
        say: Called with each line to show, without its newline.

    Raises:
        UsageError: ``folder`` is not empty.
        ProjectError: this interpreter has no Dagster, or one that is too old for the example.
        GitError: there is no git, or it could not build the repository.
    """
    _require_dagster()
    stage = _Stage(_prepared(folder), say)
    stage.build()

    acts = [_start(stage)]
    if acts[0].ok:
        acts += [act(stage) for act in ACTS]
    result = DemoResult(stage.folder, stage.repository, stage.home, tuple(acts))
    _farewell(result, say)
    return result


def _start(stage: _Stage) -> Act:
    stage.title("The start: everything is materialized once, then the hooks are installed")
    days = (f"2025-03-0{day}" for day in range(3, 8))
    expected = [
        *(Target("raw/sales", day) for day in days),
        *map(Target, ("raw/customers", "raw/returns", "raw/products", "raw/categories")),
        Target("reference/exchange_rates"),
        Target("suppliers/price_list"),
        Target("margins"),  # depends on the price list, which comes from outside
    ]
    ran = stage.run("raw-trigger", "run", "--all")
    seen = stage.materialized()
    installed = stage.run("raw-trigger", "install")
    return stage.judge(expected, seen, [ran.should_succeed(), installed.should_succeed()])


def _one_file(stage: _Stage) -> Act:
    stage.title("1. One raw file of many is changed: its asset is materialized, and no other")
    stage.edit("data/1_raw/customers.csv", "4,Diego Ruiz,ES,45", "4,Diego Ruiz,PT,45")
    commit = stage.run("git", "commit", "-am", "Diego has moved to Portugal")
    return stage.judge([Target("raw/customers")], stage.materialized(), [commit.should_succeed()])


def _no_raw_file(stage: _Stage) -> Act:
    stage.title("2. No raw file is changed: nothing runs")
    stage.edit("README.md", "# A web shop", "# The web shop")
    commit = stage.run("git", "commit", "-am", "It is the only one")
    return stage.judge([], stage.materialized(), [commit.should_succeed()])


def _merge(stage: _Stage) -> Act:
    stage.title("3. A colleague's branch is merged: the one day it corrects is materialized")
    stage.colleague_corrects("data/1_raw/sales/2025-03-05.csv", "1007,4,TEA-01,1,", "1007,4,TEA-01,2,")
    merge = stage.run("git", "merge", "--no-edit", "corrected-sales")
    return stage.judge([Target("raw/sales", "2025-03-05")], stage.materialized(), [merge.should_succeed()])


def _broken_file(stage: _Stage) -> Act:
    stage.title("4. A raw file is broken: the commit is refused, in the words of the asset that reads it")
    path = "data/1_raw/customers.csv"
    head = stage.git("rev-parse", "HEAD")
    stage.edit(path, "3,Chloé Martin,FR,28", "3,Chloé Martin,FR,abc")
    commit = stage.run("git", "commit", "-am", "Chloé had her birthday")
    seen = stage.materialized()
    problems = [
        commit.should_fail_with("customers.csv line 4: 'abc' is not a whole number (column age)"),
        None if stage.git("rev-parse", "HEAD") == head else "HEAD has moved, expected no new commit",
    ]
    stage.say("  The file is put back, and nothing is left to do:")
    restored = stage.run("git", "checkout", "HEAD", "--", path)
    pending = stage.run("raw-trigger", "diff", "--exit-code")
    problems += [restored.should_succeed(), pending.should_succeed()]
    return stage.judge([], (*seen, *stage.materialized()), problems)


def _dropped_file(stage: _Stage) -> Act:
    stage.title("5. A file is written without a commit: a sensor of Dagster's daemon sees it, for one run")
    code = "webshop/definitions.py"
    stage.edit(
        code,
        "from webshop import",
        "from raw_trigger.automation import build_raw_sensor\nfrom webshop import",
    )
    checks = "    asset_checks=["
    stage.edit(code, checks, f"    sensors=[build_raw_sensor(minimum_interval_seconds=5)],\n{checks}")
    added = stage.run("git", "commit", "-am", "A sensor looks, too")
    with stage.daemon():
        stage.edit("data/1_raw/returns.csv", "1009,2025-03-07,9.50", "1009,2025-03-07,9.90")
        recorded = stage.wait_until_nothing_is_pending()
    told = stage.run("raw-trigger", "history", "--limit", "1")
    stage.say("  It is committed, and the hook has nothing left to do:")
    commit = stage.run("git", "commit", "-am", "The refund was higher")
    problems = [added.should_succeed(), recorded, told.should_succeed(), commit.should_succeed()]
    return stage.judge([Target("raw/returns")], stage.materialized(), problems)


ACTS: tuple[Callable[[_Stage], Act], ...] = (_one_file, _no_raw_file, _merge, _broken_file, _dropped_file)
_DAEMON_PATIENCE = 120
"""Seconds until what a daemon is to do has to be done."""


@dataclass(frozen=True, slots=True)
class _Ran:
    command: str
    code: int
    output: str

    def should_succeed(self) -> str | None:
        return None if self.code == 0 else f"`{self.command}` exited with {self.code}, expected 0"

    def should_fail_with(self, sentence: str) -> str | None:
        if self.code == 0:
            return f"`{self.command}` exited with 0, expected it to be refused"
        # Compared without line breaks: they depend on the terminal's width.
        if sentence not in " ".join(self.output.split()):
            return f"`{self.command}` was refused without saying: {sentence}"
        return None


class _Stage:
    """Holds the throwaway repository; nothing else changes it."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.folder = folder
        self.repository = folder / "webshop"
        self.home = folder / "dagster_home"
        self.say = say
        self._colleague = folder / "colleague"
        self._environment = _environment(self.home)
        self._title = ""
        self._seen_up_to = -1

    def build(self) -> None:
        """Copies the example and commits it. The colleague clones it before anything else happens."""
        self.home.mkdir()
        (self.home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
        _copy(resource("examples") / "webshop", self.repository)
        _pin(self.repository / "raw-trigger.yaml", python=sys.executable, home=str(self.home))

        # The user's templates may contain hooks; with an empty template there are only ours.
        self.git("init", "--quiet", "--template=", ".")
        self.git("symbolic-ref", "HEAD", "refs/heads/main")
        self._introduce("raw-trigger demo", self.repository)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "The shop")
        self.git("clone", "--quiet", "--template=", str(self.repository), str(self._colleague))
        self._introduce("A colleague", self._colleague)

    def title(self, text: str) -> None:
        self._title = text
        self.say("")
        self.say(text)
        self.say("")

    def edit(self, path: str, old: str, new: str, *, where: Path | None = None) -> None:
        """Replaces ``old`` in a file by ``new`` and shows the line before and after."""
        file = (where or self.repository) / path
        text = file.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise ValueError(f"{path} has {old!r} {text.count(old)} times")
        file.write_text(text.replace(old, new), encoding="utf-8")
        self.say(f"  {path}")
        line = next(line for line in text.splitlines() if old in line)
        self.say(f"    - {line}")
        for written in line.replace(old, new).splitlines():
            self.say(f"    + {written}")

    def colleague_corrects(self, path: str, old: str, new: str) -> None:
        """Makes the same edit in a clone without hooks; it arrives as the branch ``corrected-sales``."""
        self.say("  on the branch corrected-sales:")
        self.edit(path, old, new, where=self._colleague)
        self.git("checkout", "--quiet", "-b", "corrected-sales", where=self._colleague)
        self.git(
            "commit", "--quiet", "--all", "--message", "An order was entered wrong", where=self._colleague
        )
        self.git("push", "--quiet", "origin", "corrected-sales", where=self._colleague)
        shutil.rmtree(self._colleague)

    def git(self, *arguments: str, where: Path | None = None) -> str:
        """Runs git without showing it.

        Raises:
            GitError: it failed.
        """
        ran = _ran(["git", *arguments], where or self.repository, self._environment)
        if ran.returncode:
            raise GitError(f"`{shlex.join(ran.args)}` failed in the demo's repository: {ran.stderr.strip()}")
        return ran.stdout.strip()

    def run(self, *command: str) -> _Ran:
        """Runs a command in the repository, and shows it as typed and its output as it comes."""
        typed = shlex.join(command)
        self.say(f"  $ {typed}")
        actual = _own(command)
        lines = []
        with subprocess.Popen(
            actual,
            cwd=self.repository,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                lines.append(line)
                self.say(f"    {line.rstrip()}")
        return _Ran(typed, process.returncode, "".join(lines))

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """Has Dagster's daemon running inside the block, with its sensors switched on."""
        self.say("  $ RAW_SCHEDULE_ENABLED=true dagster-daemon run &")
        with (self.home / "daemon.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dagster._daemon", "run"],
                cwd=self.repository,
                env={**self._environment, "RAW_SCHEDULE_ENABLED": "true"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            before = signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                yield
            finally:
                signal.signal(signal.SIGTERM, before)
                process.terminate()
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def wait_until_nothing_is_pending(self) -> str | None:
        """Returns, once everything is recorded, None; what is wrong if that takes too long."""
        command = _own(("raw-trigger", "diff", "--exit-code"))
        until = time.monotonic() + _DAEMON_PATIENCE
        while time.monotonic() < until:
            ran = _ran(command, self.repository, self._environment)
            if ran.returncode != 1:
                return None if ran.returncode == 0 else f"`raw-trigger diff` failed: {ran.stderr.strip()}"
            time.sleep(1)
        log = (self.home / "daemon.log").read_text(encoding="utf-8", errors="replace")
        return f"it is still pending after {_DAEMON_PATIENCE} s; the daemon says: {log[-1000:]}"

    def materialized(self) -> tuple[str, ...]:
        """Returns what was added to Dagster's event log since the last call."""
        ran = subprocess.run(
            [sys.executable, "-c", _EVENT_LOG, str(self._seen_up_to)],
            cwd=self.home,
            env=self._environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if ran.returncode:
            raise ProjectError(
                "Dagster's event log cannot be read",
                f"look at it with DAGSTER_HOME={shlex.quote(str(self.home))} dagster dev",
                detail=ran.stderr.strip(),
            )
        answer = json.loads(ran.stdout)
        self._seen_up_to = max(self._seen_up_to, answer["up_to"])
        return tuple(Target(*target).text for target in answer["targets"])

    def judge(self, expected: Iterable[Target], seen: tuple[str, ...], problems: Iterable[str | None]) -> Act:
        """Compares the assets that ran with those that should have run, and shows the result."""
        wanted = tuple(sorted(target.text for target in expected))
        seen = tuple(sorted(seen))
        found = [problem for problem in problems if problem]
        if seen != wanted:
            found.append(f"Dagster ran {_listed(seen)}, expected {_listed(wanted)}")
        self.say("")
        self.say(f"  Dagster's event log: {_listed(seen)}")
        for problem in found:
            self.say(f"  not as it should be: {problem}")
        return Act(self._title, wanted, seen, tuple(found))

    def _introduce(self, name: str, where: Path) -> None:
        settings = {
            "user.name": name,
            "user.email": "demo@example.invalid",
            "commit.gpgsign": "false",
            "core.autocrlf": "false",
        }
        for setting, value in settings.items():
            self.git("config", setting, value, where=where)


# Runs in a process of its own: Dagster takes half a second to import, and keeps
# connections open that the hooks would have to wait for.
_EVENT_LOG = """
import json, sys
from dagster import DagsterInstance

after = up_to = int(sys.argv[1])
targets = []
with DagsterInstance.get() as instance:
    for key in instance.all_asset_keys():
        for record in instance.fetch_materializations(key, limit=1000).records:
            if record.storage_id <= after:
                break
            up_to = max(up_to, record.storage_id)
            targets.append(["/".join(key.path), record.partition_key])
print(json.dumps({"up_to": up_to, "targets": targets}))
"""


def _require_dagster() -> None:
    hint = "pip install 'raw-trigger[dagster]'"
    if importlib.util.find_spec("dagster") is None:
        raise ProjectError("the demo needs Dagster, and this interpreter has none", hint)
    version = importlib.metadata.version("dagster")
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST_DAGSTER:
        oldest = ".".join(map(str, OLDEST_DAGSTER))
        raise ProjectError(
            f"the demo needs Dagster {oldest} or later, and this interpreter has {version}",
            f"pip install --upgrade 'dagster>={oldest}'",
        )


def _prepared(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="raw-trigger-demo-")).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except OSError as error:
        raise UsageError(f"the demo cannot be built in {folder}: {error.strerror}") from error
    if occupied:
        raise UsageError(f"{folder} is not empty", "name a folder that is new or empty")
    return folder.resolve()


def _environment(home: Path) -> dict[str, str]:
    """Returns the environment of this process, changed so that demo and user do not affect each other."""
    theirs = ("GIT_", "RAW_TRIGGER_", "PRE_COMMIT")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    environment |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "DAGSTER_HOME": str(home),
        "PYTHONIOENCODING": "utf-8",
    }
    package = Path(__file__).resolve().parent.parent
    if package.name not in ("site-packages", "dist-packages"):
        # A checkout: commands in the demo's repository would not find the package.
        found = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(package), found)))
    return environment


def _copy(source: Path, to: Path) -> None:
    """Copies only the content of files: the permissions of an installed package may forbid edits."""
    for file in sorted(source.rglob("*")):
        path = file.relative_to(source)
        if file.is_file() and not {"__pycache__", ".venv"}.intersection(path.parts):
            (to / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to / path)


def _pin(config: Path, **settings: str) -> None:
    """Sets keys of the configuration's ``dagster`` section, so that it still works after the demo.

    In the user's own shell another virtual environment may be active, and ``DAGSTER_HOME`` may be unset or
    name the real one.
    """
    text = config.read_text(encoding="utf-8")
    for key, value in settings.items():
        lines = re.findall(rf"^  {key}:.*$", text, flags=re.MULTILINE)
        if len(lines) != 1:
            raise ValueError(f"the example's {config.name} has {len(lines)} lines for {key}, expected one")
        # Every JSON string is a YAML string, so any path can be written like this.
        text = text.replace(lines[0], f"  {key}: {json.dumps(value, ensure_ascii=False)}")
    config.write_text(text, encoding="utf-8")


def _own(command: tuple[str, ...]) -> list[str]:
    """The command with this very program: the one on PATH may be another version, or missing."""
    own = command[0] == "raw-trigger"
    return [sys.executable, "-m", "raw_trigger", *command[1:]] if own else [*command]


def _ran(command: list[str], where: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=where,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise GitError("git was not found", "install git, or put it on PATH") from error


def _listed(targets: tuple[str, ...]) -> str:
    return ", ".join(targets) or "nothing"


def _farewell(result: DemoResult, say: Say) -> None:
    say("")
    failed = [act for act in result.acts if not act.ok]
    say("Everything was as it should be." if result.ok else f"Not as it should be: {len(failed)}")
    say(f"The repository is yours to play with: {shlex.quote(str(result.repository))}")
    dagster = "dagster" if shutil.which("dagster") else shlex.join([sys.executable, "-m", "dagster"])
    say("What was materialized, in Dagster's own pages:")
    if importlib.util.find_spec("dagster_webserver") is None:
        say(f"  {shlex.join([sys.executable, '-m', 'pip', 'install', 'dagster-webserver'])}")
    home, repository = (shlex.quote(str(path)) for path in (result.dagster_home, result.repository))
    say(f"  cd {repository}; DAGSTER_HOME={home} {dagster} dev")
    say(f"It can go at any time: rm -r {shlex.quote(str(result.folder))}")
