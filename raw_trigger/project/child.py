"""Runs one of the programs of :mod:`raw_trigger.project.inside` in the user's interpreter."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from raw_trigger.errors import ProjectError
from raw_trigger.project.interpreter import Interpreter
from raw_trigger.repo.environment import scrubbed

PROGRAMS = Path(__file__).resolve().parent / "inside" / "__main__.py"
GRACE_SECONDS = 2.0
"""Seconds after an interruption until we signal the child: usually the terminal has signalled it."""
PATIENCE_SECONDS = 30.0
"""Seconds that an interrupted child may take to close its run; Dagster needs up to four."""
KEEP_LOGS = 20
_ENDED = b'{"event": "process-ended"}'


class Child:
    """Runs one of the programs, which imports what it needs and then waits for its request.

    The answers come through a named pipe: some programs that start an interpreter close inherited
    descriptors. Its output goes to ``log``. The end of the block ends a program that got no request.

    Raises:
        ProjectError: it cannot be started.
    """

    def __init__(
        self, program: str, directory: Path, interpreter: Interpreter, environ: Mapping[str, str], log: Path
    ) -> None:
        command = [*interpreter.command, str(PROGRAMS), program]
        self._told = False
        self._folder = Path(tempfile.mkdtemp(prefix="raw-trigger-"))
        try:
            self._channel = self._folder / "answers"
            os.mkfifo(self._channel, 0o600)
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    command,
                    cwd=directory,
                    env=child_environment(interpreter, environ),
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
        except BaseException as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise ProjectError(f"cannot start {interpreter.named}: {error.strerror}") from error
            raise

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if not self._told:
                self._process.kill()
                self._process.communicate()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def converse(self, request: Mapping[str, Any], on_document: Callable[[dict[str, Any]], None]) -> int:
        """Sends the request, and passes on each JSON document of the answer.

        Returns:
            The exit code; if negative, the signal that killed the child.

        Raises:
            KeyboardInterrupt: we were interrupted or terminated, and the child has closed its run.
        """
        whole = {**request, "channel": str(self._channel), "patience": PATIENCE_SECONDS}
        body = json.dumps(whole).encode("ascii")
        reading = os.open(self._channel, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        # We hold a writing end too, so that the pipe does not end before or between its other writers.
        writing = os.open(self._channel, os.O_WRONLY | os.O_CLOEXEC)
        os.set_blocking(reading, True)
        with os.fdopen(reading, "rb") as answers:
            self._told = True
            return _converse(self._process, body, answers, writing, on_document)


def child_environment(interpreter: Interpreter, environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment as if the interpreter's own virtual environment were the active one."""
    out = scrubbed(environ)
    foreign = out.pop("VIRTUAL_ENV", None)
    venv = interpreter.venv
    path = out.get("PATH", os.defpath).split(os.pathsep)
    if foreign is not None:
        path = [one for one in path if one != str(Path(foreign, "bin"))]
    if venv is not None:
        out["VIRTUAL_ENV"] = str(venv)
        path = [str(venv / "bin"), *(one for one in path if one != str(venv / "bin"))]
    out["PATH"] = os.pathsep.join(path)
    return out


def _converse(
    child: subprocess.Popen[bytes],
    body: bytes,
    answers: Any,
    writing: int,
    on_document: Callable[[dict[str, Any]], None],
) -> int:
    def feed() -> None:
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError), child.stdin:
            child.stdin.write(body)

    def wait() -> None:
        child.wait()
        # Written after everything of the child's, which may end in the middle of a line.
        with contextlib.suppress(BrokenPipeError):  # we were interrupted, and nobody reads any more
            os.write(writing, b"\n" + _ENDED + b"\n")
        os.close(writing)

    waiting = threading.Thread(target=wait, daemon=True)
    unfed = [threading.Thread(target=feed, daemon=True)]
    with _passing_on_termination(child):
        waiting.start()
        interrupted: BaseException | None = None
        while True:
            try:
                while unfed:  # in here, as the child may do anything from now on, and we may be interrupted
                    unfed.pop().start()
                if _read(answers, on_document):
                    break
            except BaseException as error:
                if interrupted is not None:
                    child.kill()
                interrupted = interrupted or error
                if not isinstance(error, KeyboardInterrupt):
                    child.terminate()
                threading.Thread(target=_hurry, args=(child,), daemon=True).start()
        waiting.join()
    if interrupted is not None:
        raise interrupted
    return child.returncode


def _read(answers: Any, on_document: Callable[[dict[str, Any]], None]) -> bool:
    for line in answers:
        if line.rstrip(b"\n") == _ENDED:
            return True
        if line.strip():
            try:
                document = json.loads(line)
            except (ValueError, RecursionError):
                continue  # cut off, because the child was killed, or written by the project's code
            on_document(document)
    return True


def _hurry(child: subprocess.Popen[bytes]) -> None:
    for seconds, action in ((GRACE_SECONDS, child.terminate), (PATIENCE_SECONDS, child.kill)):
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(seconds)
            return
        action()


@contextlib.contextmanager
def _passing_on_termination(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Passes a SIGTERM on to the child; when it has closed its run, we are interrupted too.

    The end of the terminal (SIGHUP) acts like Ctrl-C, which reaches the child as well.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        received.append(number)
        child.terminate()

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    wanted = {signal.SIGTERM: pass_on, signal.SIGHUP: interrupt}
    # A handler that the caller has set stays: `watch` stops after the run. `nohup` ignores the second.
    handlers = {
        number: handler for number, handler in wanted.items() if signal.getsignal(number) is signal.SIG_DFL
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            raise KeyboardInterrupt


def new_log(cache_dir: Path) -> Path:
    """Returns an empty log file for the next child, and deletes all but the newest few.

    It is a temporary file if the folder cannot be written.
    """
    folder = cache_dir / "logs"
    now = time.time()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03d}"
    log = folder / f"{stamp}-{os.getpid()}-{threading.get_ident() % 100000}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        old = sorted(folder.glob("*.log"), key=lambda path: path.name)
        for path in old[: max(0, len(old) - KEEP_LOGS + 1)]:
            path.unlink(missing_ok=True)
        log.touch()
    except OSError:
        handle, name = tempfile.mkstemp(prefix="raw-trigger-", suffix=".log")
        os.close(handle)
        return Path(name)
    return log
