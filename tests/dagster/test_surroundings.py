"""The user's modules, output, environment and Dagster home stay the user's."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from raw_trigger.errors import ProjectError
from raw_trigger.lock import locked
from raw_trigger.project.child import PROGRAMS
from tests.dagster.sandbox import batch


@pytest.fixture(scope="module")
def sandbox_factory(sandbox_factory):
    """With interpreters that are started, not forked: processes and what they find around them matter here."""

    def make(*args, **environ):
        found = sandbox_factory(*args, **environ)
        found.python = sys.executable
        return found

    return make


SIMPLE = "import dagster as dg\n@dg.asset\ndef a(): ...\n"


@pytest.mark.parametrize(
    "environ", [pytest.param({}, marks=pytest.mark.soak), {"PYTHONSAFEPATH": "1"}], ids=["plain", "safe path"]
)
def test_no_module_of_the_users_is_hidden(sandbox_factory, environ):
    """Neither while loading nor when an asset's body imports."""
    package = PROGRAMS.parent
    names = sorted({path.stem for path in package.rglob("[!_]*.py")} | {"compat"})
    sandbox = sandbox_factory(
        {
            "defs.py": f"""
                import importlib, sys
                import dagster as dg, probe, session, inside
                def look(names):
                    assert [importlib.import_module(name).MINE for name in names] == names
                    assert {str(package)!r} not in sys.path
                    assert "raw_trigger" not in sys.modules
                    assert not sys.argv[1:]
                look({names[::2]})
                @dg.asset
                def a(): look({["inside", "inside.runner", *names]})
                defs = dg.Definitions([a])
            """,
            **{f"{name}.py": f"MINE = {name!r}\n" for name in names},
            "inside/__init__.py": "MINE = 'inside'\n",
            "inside/runner.py": "MINE = 'inside.runner'\n",
        },
        **environ,
    )
    assert list(sandbox.project(module_name=("defs",)).catalog().assets) == ["a"]
    assert sandbox.run(batch(1, "a"), project=sandbox.project(module_name=("defs",))).statuses == {
        "a": "success"
    }


def test_pythonpath_of_the_user_is_kept(sandbox_factory):
    sandbox = sandbox_factory({"defs.py": "import elsewhere\n" + SIMPLE, "lib/elsewhere.py": ""})
    sandbox.environ["PYTHONPATH"] = str(sandbox.folder / "lib")
    assert sandbox.project(python_file=("defs.py",)).catalog().assets


@pytest.mark.soak
def test_an_interpreter_command_that_closes_descriptors(sandbox_factory):
    """What `uv run` and `conda run` are like: a program that starts another one."""
    sandbox = sandbox_factory(
        {"defs.py": SIMPLE, "wrap.py": "import subprocess, sys\nsys.exit(subprocess.call(sys.argv[1:]))\n"}
    )
    python = (sys.executable, str(sandbox.folder / "wrap.py"), sys.executable)
    project = sandbox.project(python_file=("defs.py",), python=python)
    assert list(project.catalog().assets) == ["a"]
    assert sandbox.run(batch(1, "a"), project=project).statuses == {"a": "success"}


def test_the_environment_of_user_code(sandbox_factory):
    sandbox = sandbox_factory(
        {
            "defs.py": """
                import dagster as dg, os
                @dg.asset
                def a():
                    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_CONFIG_KEY_0", "PYTHONHOME", "RAW_TRIGGER_TOKEN",
                                 "DAGSTER_HOME", "GIT_AUTHOR_NAME", "VIRTUAL_ENV", "MINE"):
                        print("ENV", name, os.environ.get(name))
                    print("PATH", os.environ["PATH"].split(":")[0])
            """
        },
        GIT_DIR="/x",
        GIT_INDEX_FILE="/x/index",
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0="a.b",
        GIT_CONFIG_VALUE_0="c",
        GIT_AUTHOR_NAME="Me",
        VIRTUAL_ENV="/foreign",
        MINE="yes",
        RAW_TRIGGER_TOKEN="secret",
    )
    sandbox.environ["PATH"] = "/foreign/bin:" + sandbox.environ["PATH"]
    log = sandbox.run(batch(1, "a")).log
    seen = dict(line.split(" ")[1:] for line in log.splitlines() if line.startswith("ENV "))
    in_venv = Path(sys.prefix, "pyvenv.cfg").exists()
    assert seen == {
        "GIT_DIR": "None",
        "GIT_INDEX_FILE": "None",
        "GIT_CONFIG_KEY_0": "None",
        "PYTHONHOME": "None",
        "DAGSTER_HOME": str(sandbox.folder.parent / "home"),
        "GIT_AUTHOR_NAME": "Me",
        "VIRTUAL_ENV": sys.prefix if in_venv else "None",
        "MINE": "yes",
        "RAW_TRIGGER_TOKEN": "None",
    }
    assert "PATH /foreign/bin" not in log


@pytest.mark.soak
def test_the_garbage_collector_is_the_users_again(sandbox_factory):
    sandbox = sandbox_factory(
        {
            "defs.py": """
                import dagster as dg, gc
                @dg.asset
                def a(): print("GC", gc.isenabled(), gc.get_threshold())
            """
        }
    )
    assert f"GC True {gc.get_threshold()}" in sandbox.run(batch(1, "a")).log


# The Dagster home -----------------------------------------------------------------------------------


def history(home: Path) -> bool:
    return (home / "history" / "runs.db").exists()


@pytest.mark.soak
def test_the_home_is_the_options_then_env_file_then_environment(sandbox_factory):
    sandbox = sandbox_factory({"defs.py": SIMPLE})
    homes = {name: sandbox.folder.parent / name for name in ("options", "env_file", "environment", "home")}
    for name in ("options", "env_file", "environment"):
        homes[name].mkdir()

    def used(**options) -> list[str]:
        project = sandbox.project(python_file=("defs.py",), **options)
        sandbox.run(batch(1, "a"), project=project)
        found = [name for name, home in homes.items() if history(home)]
        assert [project.home()] == [homes[name] for name in found]
        assert project.has_private_home() == (found == ["home"])
        for name in found:
            subprocess.run(["rm", "-r", str(homes[name] / "history")], check=True)
        return found

    assert used() == ["home"]
    sandbox.environ["DAGSTER_HOME"] = str(homes["environment"])
    assert used() == ["environment"]
    sandbox.write({".env": f"A=1\nexport DAGSTER_HOME='{homes['env_file']}'\n"})
    assert used() == ["env_file"]
    assert used(home="../options") == ["options"]


@pytest.mark.parametrize(
    ("home", "message"),
    [
        ("relative", "DAGSTER_HOME must be an absolute path, it is 'relative'"),
        ("/no/such/folder", "DAGSTER_HOME is '/no/such/folder', and there is no such folder"),
    ],
)
def test_an_impossible_home(sandbox_factory, home, message):
    sandbox = sandbox_factory({"defs.py": SIMPLE}, DAGSTER_HOME=home)
    with pytest.raises(ProjectError) as caught:
        sandbox.run(batch(1, "a"))
    assert caught.value.message == message
    with pytest.raises(ProjectError, match=r"^DAGSTER_HOME "):
        sandbox.project(python_file=("defs.py",)).catalog()


# Ends ---------------------------------------------------------------------------------------------

SLOW = """
    import dagster as dg, os, pathlib, signal, time
    @dg.asset
    def done(): ...
    @dg.asset(deps=[done])
    def killed(): os.kill(os.getpid(), signal.SIGKILL)
    @dg.asset
    def slow():
        pathlib.Path("started").touch()
        time.sleep(60)
    @dg.asset(deps=[slow])
    def later(): ...
"""


def test_a_killed_runner_is_never_a_success(sandbox_factory):
    ran = sandbox_factory({"defs.py": SLOW}).run(batch(1, "done", "killed"), batch(2, "later"))
    assert ran.statuses == {"done": "success"}
    assert ran.result.exit_code == -signal.SIGKILL
    assert ran.result.untold == ((("killed",), None), (("later",), None))
    assert "was killed by signal 9 before 2 of its targets" in ran.result.problem.message
    assert str(ran.result.log) in ran.result.problem.hint


def test_a_killed_probe_is_an_error(sandbox_factory):
    sandbox = sandbox_factory({"defs.py": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"})
    with pytest.raises(ProjectError, match="was killed by signal 9 before it had loaded"):
        sandbox.project(python_file=("defs.py",)).catalog()


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.soak),
        pytest.param(signal.SIGHUP, marks=pytest.mark.soak),
    ],
)
def test_an_interruption_closes_the_run(sandbox_factory, number):
    """The run is marked as failed, its events arrive, nothing after it runs, then we are interrupted."""
    sandbox = sandbox_factory({"defs.py": SLOW})
    script = sandbox.folder.parent / "caller.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import signal, sys
            from pathlib import Path
            from tests.dagster.sandbox import Sandbox, batch
            # Whatever started the tests may ignore it, as a shell does for what it runs in the background.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            sandbox = Sandbox(Path({str(sandbox.folder)!r}), {sandbox.environ!r}, python=sys.executable)
            def tell(event):
                print(type(event).__name__, getattr(event, "asset", ""), getattr(event, "status", ""))
            batches = [batch(1, "slow", "later"), batch(2, "done")]
            try:
                sandbox.project(python_file=("defs.py",)).execute(batches, tell)
            except KeyboardInterrupt:
                print("interrupted")
            """
        )
    )
    top = Path(__file__).resolve().parents[2]
    caller = subprocess.Popen(
        [sys.executable, str(script)],
        env={**sandbox.environ, "PYTHONPATH": str(top)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    started = sandbox.folder / "started"
    for _ in range(1200):
        if started.exists():
            break
        time.sleep(0.05)
    time.sleep(0.3)  # What is interrupted is the asset, not what Dagster does around it.
    # A terminal signals the whole group; SIGTERM usually comes to the parent alone.
    caller.send_signal(number) if number == signal.SIGTERM else os.killpg(caller.pid, number)
    out, _ = caller.communicate(timeout=120)
    assert out.splitlines() == [
        "Loaded  ",
        "BatchStarted  ",
        "TargetFinished slow failed",
        "TargetFinished later skipped",
        "BatchFinished  ",
        "interrupted",
    ]
    assert sandbox.dagster("out = [run.status.value for run in instance.get_runs()]") == ["FAILURE"]


def test_a_runner_without_its_parent_that_does_not_end_is_killed(sandbox_factory):
    """Until then it is waited for."""
    sandbox = sandbox_factory(
        {
            "defs.py": """
                import dagster as dg, os, pathlib, time
                @dg.asset
                def stubborn():
                    pathlib.Path("new").write_text(str(os.getpid()))
                    os.rename("new", "started")
                    while True:
                        try:
                            time.sleep(60)
                        except BaseException:
                            pathlib.Path("told").touch()
            """
        }
    )
    locks = sandbox.folder.parent / "locks"
    locks.mkdir()
    script = sandbox.folder.parent / "caller.py"
    script.write_text(
        textwrap.dedent(
            f"""
            from pathlib import Path
            from raw_trigger.lock import runner_lock
            from raw_trigger.project import child
            import sys
            from tests.dagster.sandbox import Sandbox, batch
            child.PATIENCE_SECONDS = 1
            sandbox = Sandbox(Path({str(sandbox.folder)!r}), {sandbox.environ!r}, python=sys.executable)
            lock = runner_lock(Path({str(locks)!r}), "local")
            sandbox.project(python_file=("defs.py",)).execute([batch(1, "stubborn")], print, lock=lock)
            """
        )
    )
    top = Path(__file__).resolve().parents[2]
    caller = subprocess.Popen([sys.executable, script], env={**sandbox.environ, "PYTHONPATH": str(top)})
    started = sandbox.folder / "started"
    while not started.exists():
        assert caller.poll() is None
        time.sleep(0.05)
    caller.kill()
    caller.wait()
    runner = started.read_text()
    told: list[str] = []
    with locked(locks, "local", "test", told.append, patience=120):
        ended = subprocess.run(
            ["ps", "-o", "stat=", "-p", runner], capture_output=True, text=True, check=False
        )
    assert ended.stdout.strip()[:1] in ("", "Z")
    assert told == ["waiting for what another raw-trigger had started on 'local' before it was killed"]
    assert (sandbox.folder / "told").exists()


def test_a_runner_whose_parent_is_gone_already_runs_nothing(sandbox_factory):
    sandbox = sandbox_factory({"defs.py": "import pathlib\npathlib.Path('loaded').touch()\n" + SIMPLE})
    folder = sandbox.folder.parent / "pipe"
    folder.mkdir()
    os.mkfifo(folder / "answers")
    request = {
        **sandbox.project(python_file=("defs.py",))._request(),
        "batches": [batch(1, "a").as_json()],
        "channel": str(folder / "answers"),
        "patience": 1,
    }
    done = subprocess.run(
        [sys.executable, PROGRAMS, "runner"],
        cwd=sandbox.folder,
        env=sandbox.environ,
        input=json.dumps(request).encode(),
        timeout=120,
        check=False,
    )
    assert done.returncode == 128 + signal.SIGTERM
    assert not (sandbox.folder / "loaded").exists()
    assert not folder.exists()


def test_only_the_newest_logs_are_kept(sandbox_factory):
    from raw_trigger.project.child import KEEP_LOGS, new_log

    cache = sandbox_factory({}).folder / "cache"
    for _ in range(KEEP_LOGS + 5):
        new_log(cache).touch()
        time.sleep(0.002)
    assert len(list((cache / "logs").iterdir())) == KEEP_LOGS
