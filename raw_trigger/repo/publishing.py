"""One ref, carried from a remote to here and back.

Nothing else is touched: no other ref, no tag, no ``FETCH_HEAD``, no configuration, no hook. Nobody is ever
asked for credentials.

A ref is fetched with all that its tree holds. In a clone one commit deep that is little: the server leaves
out what the checked-out commit has, so what comes is the old contents of the files that differ (measured
with git 2.39: 40 files of 500 kB, one of them changed: 508 kB). ``--filter=blob:none`` would spare these too,
but a ref that holds a tree with missing blobs makes ``git gc`` and ``git repack`` fail in a clone whose
configuration names no promisor.

A push sends what none of the refs that the remote names holds, as far as they are here. So the very first
publication of a tree from such a clone sends all raw data once if the branch has moved on meanwhile (the same
files: 19 MB instead of nothing); every later one sends what differs from the record.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from raw_trigger.errors import GitError
from raw_trigger.repo.fetching import NETWORK, ONLY_OBJECTS
from raw_trigger.repo.git import words
from raw_trigger.repo.repository import Repository

_FETCH = ("fetch", *ONLY_OBJECTS, "--no-prune", "--refmap=")
_PUSH = (
    "push",
    "--porcelain",
    "--no-progress",
    "--no-verify",
    "--no-follow-tags",
    "--no-signed",
    "--recurse-submodules=no",
)
_DENIED = re.compile(
    r"\b40[13]\b|permission|denied|not permitted|not allowed|forbidden|unauthori[sz]ed|authentication failed"
    r"|could not read (username|password)|read.only|not enabled|not exported|protected",
    re.IGNORECASE,
)
"""How servers, ssh and git itself say no to somebody they understand well; seen where a push ends early."""
_BUSY = re.compile(
    r"cannot lock ref|unable to (create|lock)|failed to update ref|already exists", re.IGNORECASE
)
_SECRET = re.compile(r"(?<=//)[^/@\s']+@")


class UnreachableError(GitError):
    """The remote cannot be reached, or does not let us read."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a push.

    ``moved``: the remote's ref is not what was expected, or is being moved right now; ``refused``: the remote
    can be read, but says no; ``unreachable``: everything else. ``words`` are git's own.
    """

    status: Literal["done", "moved", "refused", "unreachable"]
    words: str = ""


def connected(repo: Repository, remote: str, token: str | None = None) -> Repository:
    """The same repository, talking to remotes without ever asking a person.

    Args:
        remote: Its name or URL.
        token: What proves our identity to an http(s) remote in place of whatever the clone is configured
            with: ``user:password``, or a token alone as GitHub takes it. It travels in the environment, so
            the process list does not show it.
    """
    environ = dict(repo.git.environ)
    # An empty GIT_ASKPASS keeps git from all three programs it could ask with.
    environ.update(GIT_ASKPASS="", SSH_ASKPASS_REQUIRE="never", GCM_INTERACTIVE="never")
    if "GIT_SSH" not in environ:
        ssh = environ.get("GIT_SSH_COMMAND") or repo.git.line("config", "core.sshCommand") or "ssh"
        if PurePosixPath(ssh.split(maxsplit=1)[0].strip("'\"")).name == "ssh":
            environ["GIT_SSH_COMMAND"] = f"{ssh} -o BatchMode=yes"
    url = repo.git.line("ls-remote", "--get-url", remote) or remote
    if token and url.startswith(("http://", "https://")):
        key = f"http.{_without_user(url)}.extraheader"
        login = token if ":" in token else f"x-access-token:{token}"
        header = f"AUTHORIZATION: basic {base64.b64encode(login.encode()).decode()}"
        # The empty value takes back the header that actions/checkout may have left: two of them are refused.
        _configure(environ, [(key, ""), (key, header)])
    return Repository(repo.top, repo.git_dir, repo.common_dir, environ)


def fetch(repo: Repository, remote: str, ref: str) -> str | None:
    """Make the local ref what the remote's is.

    What the remote says is what counts: its value is taken, whatever was here, and a ref that it does not
    have is deleted here.

    Args:
        repo: As :func:`connected` gives it.

    Returns:
        The ref's object id; None if the remote does not have it.

    Raises:
        UnreachableError: the remote cannot be read.
        GitError: the ref is there, but cannot be fetched.
    """
    done = repo.git.attempt(*NETWORK, *_FETCH, remote, f"+{ref}:{ref}", literal=False)
    if done.returncode == 0:
        return local(repo, ref)
    # The exit code is the same for a ref that is not there and for a server that is not there.
    if _there(repo, remote, ref) is None:
        keep(repo, ref, None)
        return None
    raise GitError(f"{ref} cannot be fetched from {remote}: {_said(done.stderr)}")


def obtain(repo: Repository, remote: str, oids: Iterable[str]) -> None:
    """Fetch single objects that are not here, as far as the remote gives them by id.

    Raises:
        UnreachableError: the remote cannot be read.
    """
    stdin = "".join(f"{oid}\n" for oid in oids).encode()
    done = repo.git.attempt(*NETWORK, *_FETCH, "--stdin", remote, stdin=stdin, literal=False)
    if done.returncode != 0:
        _there(repo, remote, "HEAD")


def push(repo: Repository, remote: str, ref: str, new: str, old: str | None) -> Pushed:
    """Move the remote's ref to the object ``new``, or leave it alone.

    Args:
        repo: As :func:`connected` gives it.
        old: What it must be; None: it must not be there.
    """
    lease = f"--force-with-lease={ref}:{old or ''}"
    done = repo.git.attempt(*NETWORK, *_PUSH, lease, remote, f"{new}:{ref}", literal=False)
    if done.returncode == 0:
        return Pushed("done")
    reports = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.startswith("!\t")]
    report = reports[0].rsplit("\t", 1)[-1] if reports else ""
    said = "; ".join(part for part in (report, _said(done.stderr)) if part)
    if report.startswith("[rejected]"):
        return Pushed("moved", said)
    try:
        there = _there(repo, remote, ref)
    except UnreachableError as error:
        return Pushed("refused" if _DENIED.search(said) else "unreachable", said or error.message)
    if there == new:
        # It got there, only the answer did not get here.
        return Pushed("done")
    if there != old or (report and _BUSY.search(said)):
        return Pushed("moved", said)
    return Pushed("refused" if report or _DENIED.search(said) else "unreachable", said)


def local(repo: Repository, ref: str) -> str | None:
    """What the ref is here."""
    return repo.git.line("rev-parse", "--verify", "--quiet", ref)


def keep(repo: Repository, ref: str, oid: str | None) -> None:
    """Set the ref here, whatever it was; None: it shall not be there.

    Raises:
        GitError: it cannot be written.
    """
    if local(repo, ref) != oid:
        repo.git.run("update-ref", "--no-deref", *(("-d", ref) if oid is None else (ref, oid)))


def _there(repo: Repository, remote: str, ref: str) -> str | None:
    """What the ref is on the remote."""
    done = repo.git.attempt(*NETWORK, "ls-remote", remote, ref, literal=False)
    if done.returncode != 0:
        raise UnreachableError(
            f"{remote} cannot be read: {_said(done.stderr)}",
            f"see whether `git ls-remote {remote}` works here; a private repository needs a token",
        )
    pairs = (line.split("\t") for line in done.stdout.decode("utf-8", "surrogateescape").splitlines())
    return next((oid for oid, name in pairs if name == ref), None)


def _configure(environ: dict[str, str], pairs: list[tuple[str, str]]) -> None:
    """Add settings for git and its children, behind those that the environment already has."""
    count = int(environ.get("GIT_CONFIG_COUNT") or 0)
    for at, (key, value) in enumerate(pairs, count):
        environ[f"GIT_CONFIG_KEY_{at}"], environ[f"GIT_CONFIG_VALUE_{at}"] = key, value
    environ["GIT_CONFIG_COUNT"] = str(count + len(pairs))


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1]).geturl()


def _said(stderr: bytes) -> str:
    return _SECRET.sub("", words(stderr))
