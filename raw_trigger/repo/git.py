"""Runs git. Nothing else in the package does.

Paths and output are bytes; ``-z`` is used everywhere. Pathspecs are literal.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from raw_trigger.errors import ROOM, GitError
from raw_trigger.repo.environment import TOKEN

_NO_INDEX = os.devnull + ".none"
"""An index file that does not exist: a command that does not need the index must not read it."""

_REFUSALS = tuple(
    os.strerror(number).encode()
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO)
)

_MISLEADING = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_PREFIX",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_LITERAL_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)


class Git:
    """Runs git in one repository, with every setting of the caller's environment that matters made explicit.

    Args:
        cwd: Where commands run; the top of the working tree once that is known.
        environ: The caller's environment. A hook's ``GIT_INDEX_FILE`` counts for commands that read the
            index.
        git_dir: Absolute git directory; None while it still has to be discovered.
    """

    def __init__(self, cwd: Path, environ: Mapping[str, str], git_dir: Path | None = None) -> None:
        self.cwd = cwd
        self.environ = dict(environ)
        # Git runs programs of the user: filters, and those that fetch content.
        self.environ.pop(TOKEN, None)
        self.environ.update(LC_ALL="C", GIT_OPTIONAL_LOCKS="0", GIT_TERMINAL_PROMPT="0")
        if git_dir is not None:
            for name in _MISLEADING:
                self.environ.pop(name, None)
            self.environ["GIT_DIR"] = str(git_dir)
            self.environ["GIT_WORK_TREE"] = str(cwd)
            if "GIT_INDEX_FILE" in self.environ:
                self.environ["GIT_INDEX_FILE"] = str(cwd / self.environ["GIT_INDEX_FILE"])

    def attempt(
        self,
        *args: str | bytes,
        stdin: bytes | None = None,
        index: bool | Path = False,
        literal: bool = True,
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs ``git ARGS`` and returns the finished process, whatever its exit code.

        Args:
            stdin: Its input; None means nothing.
            index: Whether the command may read the index; a path is that of another one.
            literal: Whether to pass ``--literal-pathspecs``, which not every command takes.

        Raises:
            GitError: git cannot be started here, or an argument cannot be passed to a process.
        """
        environ = self.environ
        if index is not True:
            environ = {**environ, "GIT_INDEX_FILE": str(index or _NO_INDEX)}
        try:
            return subprocess.run(
                ["git", *(["--literal-pathspecs"] if literal else []), *args],
                cwd=self.cwd,
                env=environ,
                input=b"" if stdin is None else stdin,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise self._not_started(error) from error
        except ValueError as error:
            raise GitError(f"cannot be passed to git: {error}") from error

    def _not_started(self, error: OSError) -> GitError:
        if not os.path.lexists(self.cwd):
            return GitError(f"the folder {self.cwd} is not there")
        if isinstance(error, NotADirectoryError):
            return GitError(f"{self.cwd} is no folder")
        if isinstance(error, FileNotFoundError):
            return GitError("git is not installed or not on PATH", "install git 2.30 or later")
        return GitError(f"git cannot be started in {self.cwd}: {error.strerror}")

    def run(self, *args: str | bytes, stdin: bytes | None = None, index: bool | Path = False) -> bytes:
        """Runs ``git ARGS`` and returns its standard output.

        Raises:
            GitError: it failed; the message contains git's own words.
        """
        done = self.attempt(*args, stdin=stdin, index=index)
        if done.returncode != 0:
            raise failed(_name(args), done.returncode, done.stderr)
        return done.stdout

    def line(self, *args: str | bytes) -> str | None:
        """Returns the first line of the output; None if the command failed."""
        done = self.attempt(*args)
        return None if done.returncode != 0 else os.fsdecode(done.stdout.split(b"\n", 1)[0])

    def open(self, *args: str, quiet: bool = False) -> subprocess.Popen[bytes]:
        """Starts a git command that is talked to over its pipes; ``quiet`` drops its messages.

        Raises:
            GitError: git cannot be started here.
        """
        try:
            return subprocess.Popen(
                ["git", *args],
                cwd=self.cwd,
                env={**self.environ, "GIT_INDEX_FILE": _NO_INDEX},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL if quiet else subprocess.PIPE,
            )
        except OSError as error:
            raise self._not_started(error) from error


def failed(command: str, code: int, stderr: bytes) -> GitError:
    """Returns the error that a git command ended with.

    Args:
        code: Its exit code; if negative, the signal that killed it.
    """
    if code < 0:
        # A limit on the size of files (`ulimit -f`) kills git without a message.
        return GitError(f"git {command} was killed: {signal.strsignal(-code)}", ROOM)
    refused = any(word in stderr for word in _REFUSALS)
    return GitError(f"git {command} failed: {words(stderr)}", ROOM if refused else None)


def words(stderr: bytes) -> str:
    """Returns git's message on one line, without its ``fatal:``."""
    said = " ".join(stderr.decode("utf-8", "replace").split())
    return said.removeprefix("fatal: ").removeprefix("error: ") or "it gave no reason"


def _name(args: Sequence[str | bytes]) -> str:
    words = [str(a) for a in args]
    settings = {i + 1 for i, word in enumerate(words) if word == "-c"}
    return next((w for i, w in enumerate(words) if not w.startswith("-") and i not in settings), "")


def quoted(paths: Iterable[bytes]) -> bytes:
    """Returns paths, one a line, as git's ``--stdin-paths`` reads them, quoted if necessary.

    Git takes a carriage return at the end of a line for a part of the line's end.
    """
    lines = []
    for path in paths:
        if path[:1] == b'"' or b"\n" in path or b"\r" in path:
            escaped = path.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
            escaped = escaped.replace(b"\n", b"\\n").replace(b"\r", b"\\r")
            path = b'"' + escaped + b'"'  # noqa: PLW2901
        lines.append(path)
    return b"\n".join(lines) + b"\n" if lines else b""
