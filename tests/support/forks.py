"""Runs raw-trigger's command line, and the projects' Dagster, in processes forked from one that has imported it.

They are processes like any other, with arguments, an environment, a working directory and three files of their own;
they only do not wait for Python's imports: 0.2 s, and more than a second for Dagster. ``folder/raw-trigger`` stands in
for the installed script: what is installed in a repository's hooks calls it. :func:`dagster_environment` is a virtual
environment whose interpreter has Dagster imported.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import io
import json
import os
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

_F = TypeVar("_F", bound="Forks")
_CLIENT = """\
#!{python} -IS
import json, os, signal, socket, struct, sys
if {only!r} not in ("", *sys.argv[1:2]):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
passed_on = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
door = socket.socket(socket.AF_UNIX)
door.connect({door!r})
body = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(door, [struct.pack("!I", len(body))], [0, 1, 2])
door.sendall(body)
pid = struct.unpack("!i", door.recv(4))[0]
for number in passed_on:
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, lambda number, _: os.kill(pid, number))
signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
code = struct.unpack("!i", door.recv(4))[0]
if code < 0:
    if -code in passed_on:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""
_TOP = Path(__file__).resolve().parents[2]
_INSIDE = str(_TOP / "raw_trigger/project/inside/__main__.py")


class Forks:
    """Processes that are forked from one. To be used as a context manager.

    Args:
        door: A socket, with a short name.
        kind: What they become: see :data:`_KINDS`.
    """

    def __init__(self, door: Path, *kind: str) -> None:
        self._door = str(door)
        self._server = _started(self._door, *kind)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()
        self._server.communicate()

    def start(self, *args: str, cwd: Path, env: Mapping[str, str]) -> Started:
        """Start one; ``env`` is its whole environment."""
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        door = socket.socket(socket.AF_UNIX)
        door.connect(self._door)
        body = json.dumps([args, str(cwd), dict(env)]).encode()
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123
            files = [nothing.fileno(), out.fileno(), err.fileno()]
            socket.send_fds(door, [struct.pack("!I", len(body))], files)
        door.sendall(body)
        return Started(args, door, out, err)

    def run(self, *args: str, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run one; ``env`` is its whole environment."""
        return self.start(*args, cwd=cwd, env=env).wait()


class Program(Forks):
    """The program, ready to be started.

    Args:
        folder: A folder of its own, with a short name.
    """

    def __init__(self, folder: Path) -> None:
        self.script = folder / "raw-trigger"
        door = folder / "door"
        _write_client(self.script, str(door))
        # What install takes for the interpreter's own folder, and what goes on in the background is started with.
        python = folder / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        super().__init__(door, "program", str(self.script))


@functools.cache
def program() -> Program:
    """The program, ready for as long as this process lives."""
    return _kept(Program)


@functools.cache
def sensor() -> Forks:
    """The ticks and runs of :mod:`tests.support.sensing`, ready for as long as this process lives."""
    return _kept(lambda folder: Forks(folder / "door", "sensor"))


def _kept(make: Callable[[Path], _F]) -> _F:
    folder = tempfile.TemporaryDirectory()
    made = make(Path(folder.name))

    def end() -> None:
        made.__exit__()
        folder.cleanup()

    atexit.register(end)
    return made


def _write_client(script: Path, door: str, only: str = "") -> None:
    script.write_text(_CLIENT.format(python=sys.executable, door=door, only=only))
    script.chmod(0o755)


def _started(*args: str) -> subprocess.Popen[bytes]:
    """The process to fork from, once it has imported everything."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.forks", *args], cwd=_TOP, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return server


@functools.cache
def dagster_environment() -> Path:
    """A virtual environment like this one, for projects, which loses no time with importing Dagster."""
    folder = tempfile.TemporaryDirectory()
    made, ours = Path(folder.name), Path(sys.prefix)
    (made / "bin").mkdir()
    shutil.copyfile(ours / "pyvenv.cfg", made / "pyvenv.cfg")
    (made / "lib").symlink_to(ours / "lib")
    for program in (ours / "bin").iterdir():
        if not program.name.startswith("python"):
            (made / "bin" / program.name).symlink_to(program)
    door = str(made / "door")
    _write_client(made / "bin/python", door, _INSIDE)
    (made / "bin/python3").symlink_to("python")
    server = _started(door, "interpreter")

    def end() -> None:
        server.kill()
        server.communicate()
        folder.cleanup()

    atexit.register(end)
    return made


def tool(cwd: Path, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run raw-trigger as a user does in a folder, without colours."""
    return program().run(*args, cwd=cwd, env={**os.environ, "NO_COLOR": "1", **environ})


class Started:
    """A command that runs."""

    def __init__(self, args: tuple[str, ...], door: socket.socket, out: object, err: object) -> None:
        self._args, self._door, self._files = args, door, (out, err)

    def told(self) -> str:
        """What it has written to stderr so far; it goes on writing at its own place in the file."""
        return os.pread(self._files[1].fileno(), 1 << 20, 0).decode()  # type: ignore[attr-defined]

    def has_ended(self) -> bool:
        """Whether nothing is left to wait for."""
        try:
            return len(self._door.recv(8, socket.MSG_PEEK | socket.MSG_DONTWAIT)) == 8
        except BlockingIOError:
            return False

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(struct.unpack("!i", self._door.recv(4, socket.MSG_PEEK | socket.MSG_WAITALL))[0], number)

    def kill(self) -> None:
        """Kill it."""
        self.send(signal.SIGKILL)
        self.wait()

    def wait(self) -> subprocess.CompletedProcess[str]:
        """What became of it."""
        code = struct.unpack("!ii", self._door.recv(8, socket.MSG_WAITALL))[1]
        self._door.close()
        said = []
        for file in self._files:
            file.seek(0)  # type: ignore[attr-defined]
            said.append(file.read().decode("utf-8", "surrogateescape"))  # type: ignore[attr-defined]
            file.close()  # type: ignore[attr-defined]
        return subprocess.CompletedProcess(self._args, code, *said)


def _serve(door: str, become: Callable[[list[str]], None]) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(door)
    listener.listen(64)
    ended, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    children: dict[int, socket.socket] = {}
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(ended, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj is ended:
                ended.recv(64)
                _reap(children, selector)
                continue
            if key.fileobj is not listener:  # who asked was killed
                selector.unregister(key.fileobj)
                for pid in [pid for pid, asked in children.items() if asked is key.fileobj]:
                    os.kill(pid, signal.SIGKILL)
                continue
            asked, _ = listener.accept()
            head, files, _, _ = socket.recv_fds(asked, 4, 3)
            body = b""
            while len(body) < struct.unpack("!I", head)[0]:
                body += asked.recv(1 << 20)
            pid = os.fork()
            if pid == 0:
                for other in (listener, ended, wake, asked, *children.values()):
                    other.close()
                _be(files, become, *json.loads(body))
            for file in files:
                os.close(file)
            children[pid] = asked
            with contextlib.suppress(BrokenPipeError):
                asked.sendall(struct.pack("!i", pid))
            selector.register(asked, selectors.EVENT_READ)


def _reap(children: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in children:
                with children.pop(pid) as asked, contextlib.suppress(BrokenPipeError):
                    with contextlib.suppress(KeyError):
                        selector.unregister(asked)
                    asked.sendall(struct.pack("!i", os.waitstatus_to_exitcode(status)))


def _be(
    files: list[int], become: Callable[[list[str]], None], args: list[str], cwd: str, env: dict[str, str]
) -> None:
    """Be the process that was asked for."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        time.tzset()
        become(args)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _command_line(script: str) -> Callable[[list[str]], None]:
    """Imports raw-trigger, and returns what is its command line then."""
    _import_all()
    sys.executable = str(Path(script).with_name("python"))

    def become(args: list[str]) -> None:
        sys.argv = [script, *args]
        import raw_trigger.cli

        raw_trigger.cli.main()

    return become


def _interpreter() -> Callable[[list[str]], None]:
    """Imports Dagster, and returns what is an interpreter then that runs a file."""
    import gc

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import dagster._core.workspace.load_target  # noqa: F401
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]
    path = sys.path[1:]  # without the folder that this was started in
    gc.freeze()

    def become(args: list[str]) -> None:
        given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:] = [str(Path(args[0]).parent), *(one for one in given if one), *path]
        sys.argv = args
        main = types.ModuleType("__main__")
        main.__file__ = args[0]
        sys.modules["__main__"] = main
        exec(compile(Path(args[0]).read_bytes(), args[0], "exec"), main.__dict__)

    return become


def _sensor() -> Callable[[list[str]], None]:
    """Imports raw-trigger and Dagster, and returns what is a tick or a run then."""
    import gc

    _import_all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tests.support import sensing
    gc.freeze()
    return sensing.be


_KINDS: Mapping[str, Callable[..., Callable[[list[str]], None]]] = {
    "program": _command_line,
    "interpreter": _interpreter,
    "sensor": _sensor,
}
"""What imports all that is needed, by the name of what is forked from it then."""


def _import_all() -> None:
    import gc
    import importlib
    import pkgutil

    import raw_trigger

    for module in pkgutil.walk_packages(raw_trigger.__path__, "raw_trigger."):
        if not {"inside", "__main__", "automation"} & set(module.name.split(".")):
            importlib.import_module(module.name)
    import git  # noqa: F401
    import pydantic  # noqa: F401
    import rich.console  # noqa: F401
    import sqlalchemy.dialects.sqlite  # noqa: F401
    import yaml  # noqa: F401
    from filelock import FileLock  # noqa: F401

    from raw_trigger.cli.app import app

    # What the command line imports and builds when it is called.
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        app(["--version"])
    gc.freeze()


if __name__ == "__main__":
    _serve(sys.argv[1], _KINDS[sys.argv[2]](*sys.argv[3:]))
