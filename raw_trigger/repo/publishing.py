"""Carries one ref from a remote to here and back.

Nothing else is touched: no other ref, no tag, no ``FETCH_HEAD``, no configuration, no hook. Nobody is ever
asked for credentials.

A ref is fetched with all that its tree holds. In a clone one commit deep that is little: the server leaves
out what the checked-out commit has, and sends the old contents of the files that differ (measured with git
2.39: 40 files of 500 kB, one of them changed: 508 kB). ``--filter=blob:none`` would spare these too, but a
ref to a tree with missing blobs makes ``git gc`` and ``git repack`` fail in a clone whose configuration names
no promisor.

A push sends what the refs on the remote lack, as far as these refs are known here. So the very first push
from such a clone sends all raw data once if the branch has moved on meanwhile (the same files: 19 MB instead
of nothing); every later one sends what differs from the record.
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
"""The words with which servers, ssh and git refuse a push that they understood."""
_BUSY = re.compile(
    r"cannot lock ref|unable to (create|lock)|failed to update ref|already exists", re.IGNORECASE
)
_SECRET = re.compile(r"(?<=//)[^/@\s']+@")


class UnreachableError(GitError):
    """Says that the remote cannot be reached, or does not let us read."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """Says how a push ended.

    ``moved``: the remote's ref is not the expected one, or is being moved right now; ``refused``: the remote
    can be read, but refuses; ``unreachable``: everything else. ``words`` are git's own.
    """

    status: Literal["done", "moved", "refused", "unreachable"]
    words: str = ""


def connected(repo: Repository, remote: str, token: str | None = None) -> Repository:
    """Returns the same repository, set up to talk to remotes without ever asking a person.

    Args:
        remote: Its name or URL.
        token: The credentials for an http(s) remote in place of those that the clone is configured with:
            ``user:password``, or a token alone as GitHub takes it. It is passed in the environment, so that
            the process list does not show it. None: the clone's own.
    """
    environ = dict(repo.git.environ)
    # An empty GIT_ASKPASS keeps git from all three programs that it could ask with.
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
        # The empty value removes the header that actions/checkout may have left: GitHub refuses two of them.
        _configure(environ, [(key, ""), (key, header)])
    return Repository(repo.top, repo.git_dir, repo.common_dir, environ)


def fetch(repo: Repository, remote: str, ref: str) -> str | None:
    """Moves the local ref to where the remote's is.

    The remote decides: its value replaces any other, and a ref that it does not have is deleted here.

    Args:
        repo: A repository of :func:`connected`.

    Returns:
        The ref's object id; None if the remote does not have it.

    Raises:
        UnreachableError: the remote cannot be read.
        GitError: the remote has the ref, but it cannot be fetched.
    """
    done = repo.git.attempt(*NETWORK, *_FETCH, remote, f"+{ref}:{ref}", literal=False)
    if done.returncode == 0:
        return local(repo, ref)
    # Git's exit code is the same for a missing ref and an unreachable server.
    if _there(repo, remote, ref) is None:
        keep(repo, ref, None)
        return None
    raise GitError(f"{ref} cannot be fetched from {remote}: {_said(done.stderr)}")


def obtain(repo: Repository, remote: str, oids: Iterable[str]) -> None:
    """Fetches single objects that are not here, as far as the remote gives them by id.

    Raises:
        UnreachableError: the remote cannot be read.
    """
    stdin = "".join(f"{oid}\n" for oid in oids).encode()
    done = repo.git.attempt(*NETWORK, *_FETCH, "--stdin", remote, stdin=stdin, literal=False)
    if done.returncode != 0:
        _there(repo, remote, "HEAD")


def push(repo: Repository, remote: str, ref: str, new: str, old: str | None) -> Pushed:
    """Moves the remote's ref to the object ``new``, or leaves it as it is.

    Args:
        repo: A repository of :func:`connected`.
        old: The object that the ref must have; None: it must not exist.
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
        # The push arrived; only its answer was lost.
        return Pushed("done")
    if there != old or (report and _BUSY.search(said)):
        return Pushed("moved", said)
    return Pushed("refused" if report or _DENIED.search(said) else "unreachable", said)


def local(repo: Repository, ref: str) -> str | None:
    """Returns the object id of the ref here; None if there is no such ref."""
    return repo.git.line("rev-parse", "--verify", "--quiet", ref)


def keep(repo: Repository, ref: str, oid: str | None) -> None:
    """Moves the ref here to the object; None deletes it.

    Raises:
        GitError: it cannot be written.
    """
    if local(repo, ref) != oid:
        repo.git.run("update-ref", "--no-deref", *(("-d", ref) if oid is None else (ref, oid)))


def _there(repo: Repository, remote: str, ref: str) -> str | None:
    """Returns the object id of the ref on the remote; None if it does not have it."""
    done = repo.git.attempt(*NETWORK, "ls-remote", remote, ref, literal=False)
    if done.returncode != 0:
        raise UnreachableError(
            f"{remote} cannot be read: {_said(done.stderr)}",
            f"see whether `git ls-remote {remote}` works here; a private repository needs a token",
        )
    pairs = (line.split("\t") for line in done.stdout.decode("utf-8", "surrogateescape").splitlines())
    return next((oid for oid, name in pairs if name == ref), None)


def _configure(environ: dict[str, str], pairs: list[tuple[str, str]]) -> None:
    """Adds settings for git and its children, after those that the environment already has."""
    count = int(environ.get("GIT_CONFIG_COUNT") or 0)
    for at, (key, value) in enumerate(pairs, count):
        environ[f"GIT_CONFIG_KEY_{at}"], environ[f"GIT_CONFIG_VALUE_{at}"] = key, value
    environ["GIT_CONFIG_COUNT"] = str(count + len(pairs))


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1]).geturl()


def _said(stderr: bytes) -> str:
    return _SECRET.sub("", words(stderr))
