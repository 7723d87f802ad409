"""Fetches missing objects from origin, and changes nothing else of the clone.

Runners clone one commit deep, so the commit to compare with is usually missing. Two trees can be compared
without any history between them: a commit fetched by its id, without the contents of its files, is enough.
History is fetched only if it is asked about.

Only the object database is written: no ref, no tag, no ``FETCH_HEAD``, no configuration. Git writes
``.git/shallow`` where a fetch is cut off, and with ``--filter`` a clone that lists such a commit there is
damaged: a later ``git fetch --unshallow`` believes that its contents are there (seen with git 2.39). So the
file is restored after each fetch, and this object remembers where its history is cut off.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from raw_trigger.errors import GitError, UsageError
from raw_trigger.repo.git import words
from raw_trigger.repo.repository import Repository

REMOTE = "origin"

ONLY_OBJECTS = (
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
)
"""No tags, no FETCH_HEAD, no gc, no submodules. Objects are fetched by id, so no branch follows them."""

NETWORK = (
    "-c",
    "fetch.writeCommitGraph=false",
    # Git gives up on a server that hangs after a minute.
    "-c",
    "http.lowSpeedLimit=1",
    "-c",
    "http.lowSpeedTime=60",
)
"""Settings for every command that talks to a remote."""

_SETTINGS = ("-c", f"remote.{REMOTE}.followRemoteHEAD=never", *NETWORK)

_TREES_ONLY = ("-c", f"remote.{REMOTE}.promisor=true", "-c", f"remote.{REMOTE}.partialclonefilter=blob:none")
"""Given on the command line, these keep `fetch --filter` from writing them into the configuration."""

_FULL_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHORT_ID = re.compile(r"[0-9a-f]{4,63}")
_REVISION = re.compile(r"([^-\x00-\x20\x7f~^:?*\[\\][^\x00-\x20\x7f~^:?*\[\\]*)((?:[~^]\d*|\^\{commit\})*)")
"""A name that git allows for a ref, or an id, and the steps from there; see `git help revisions`."""

_DEPTHS = (50, 500, 5000, 2147483647)
"""The depths of history that are fetched one after the other; the last is git's number for "all of it"."""


@dataclass(frozen=True, slots=True)
class Tip:
    """Holds a branch's last commit. ``stale`` says why origin could not be asked; None if it could."""

    oid: str
    stale: str | None = None


@dataclass
class Origin:
    """Fetches from the remote that a clone came from.

    Args:
        refs: Refs of origin whose history contains the commits that will be asked for. If a server refuses to
            give a commit by its id, it is looked for in their history.
    """

    repo: Repository
    refs: Sequence[str] = ()
    _cut: bytes | None = field(init=False)
    _advertised: dict[str, str | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._cut = _read(self._shallow_file)

    @property
    def shallow(self) -> bool:
        """Says whether the clone's history is cut off."""
        return bool(_read(self._shallow_file))

    @property
    def _shallow_file(self) -> Path:
        return self.repo.common_dir / "shallow"

    # Commits and contents

    def has(self, oid: str) -> bool:
        """Says whether the commit is here, with its tree."""
        out = self.repo.git.run("cat-file", "--batch-check", stdin=f"{oid}^{{tree}}\n".encode())
        return not out.endswith(b" missing\n")

    def parents(self, oid: str) -> tuple[str, ...]:
        """Returns the commit's parents as it names them, even if the history is cut off there.

        Raises:
            GitError: the commit is not here.
        """
        head = self.repo.git.run("cat-file", "commit", oid).split(b"\n\n", 1)[0]
        return tuple(line[7:].decode() for line in head.split(b"\n") if line.startswith(b"parent "))

    def obtain(self, oid: str, *, searching: bool = True) -> bool:
        """Fetches the commit and its trees if they are not here; in a shallow clone without file contents.

        Args:
            searching: Whether to look for a commit that origin does not give by its id in the history of
                :attr:`refs`.

        Returns:
            False if origin does not have the commit any more, or does not give it.

        Raises:
            GitError: origin cannot be reached.
        """
        if self.has(oid) or self._fetch([oid], depth=1):
            return True
        self._require_reachable()
        if not searching:
            return False
        return any(self._fetch_refs(depth) and self.has(oid) for depth in self._depths())

    def fetch_blobs(self, oids: Iterable[str]) -> None:
        """Fetches the contents of single files that are not here, in one request.

        Raises:
            GitError: origin cannot be reached, or does not give them.
        """
        wanted = list(dict.fromkeys(oids))
        if not wanted:
            return
        out = self.repo.git.run("cat-file", "--batch-check", stdin="".join(f"{o}\n" for o in wanted).encode())
        missing = [line.split(b" ")[0] for line in out.splitlines() if line.endswith(b" missing")]
        if not missing:
            return
        command = ("-c", "fetch.negotiationAlgorithm=noop", "fetch", *ONLY_OBJECTS, "--filter=blob:none")
        stdin = b"".join(oid + b"\n" for oid in missing)
        with self._lent_shallow():
            done = self.repo.git.attempt(
                *_SETTINGS, *_TREES_ONLY, *command, "--stdin", REMOTE, stdin=stdin, literal=False
            )
        if done.returncode != 0:
            self._require_reachable()
            raise GitError(f"{REMOTE} does not give the contents of single files: {words(done.stderr)}")

    # Branches and tags

    def tip(self, branch: str) -> Tip | None:
        """Returns the branch's last commit and fetches it; None if origin has no such branch.

        If origin cannot be asked, this is what the clone remembers.

        Raises:
            GitError: origin cannot be reached and the clone remembers nothing.
        """
        ref = f"refs/heads/{branch}"
        try:
            self._ask(ref)
        except GitError as error:
            remembered = self.repo.git.line(
                "rev-parse", "--verify", f"refs/remotes/{REMOTE}/{branch}^{{commit}}"
            )
            if remembered is None:
                raise
            return Tip(remembered, error.message)
        oid = self._advertised[ref]
        if oid is None:
            return None
        if not self.obtain(oid, searching=False):
            raise GitError(f"{REMOTE} does not give {oid}, which it has at {ref}", "run it again")
        return Tip(oid)

    def revision(self, name: str) -> str:
        """Returns the commit, or else the tree, that a revision names here or on origin, and fetches it.

        On origin it is looked for under every name that git knows it by in a clone: ``main``,
        ``origin/main``, ``refs/tags/v1``, ``v1~2``, an id or the beginning of one.

        Raises:
            UsageError: neither knows it.
            GitError: origin cannot be reached.
        """
        if _FULL_ID.fullmatch(name):
            self.obtain(name)
        found = self._local(name) or self._elsewhere(name)
        if found is not None:
            return found
        known = self.repo.resolve(name)[0]
        return known.commit or known.tree

    def _local(self, name: str) -> str | None:
        try:
            known = self.repo.resolve(name)[0]
        except UsageError:
            return None
        return known.commit or known.tree

    def _elsewhere(self, name: str) -> str | None:
        """Returns the commit of a revision that this clone does not know; None if origin does not either."""
        parts = _REVISION.fullmatch(name)
        if parts is None:
            return None
        stem, steps = parts.groups()
        oid = self._local(stem) if steps else None
        oid = oid or self._advertised_as(stem) or self._abbreviated(stem)
        return oid if oid is None or not steps else self._behind(oid, steps)

    def _advertised_as(self, name: str) -> str | None:
        """Returns the commit of origin's ref of that name, and fetches it; None if there is none."""
        short = name.removeprefix("refs/").removeprefix("remotes/").removeprefix(f"{REMOTE}/")
        refs = [f"refs/{name.removeprefix('refs/')}", f"refs/heads/{name}", f"refs/tags/{name}"]
        refs += [f"refs/heads/{short}"] if short != name else []
        refs = [spelled for ref in refs for spelled in (f"{ref}^{{}}", ref)]
        self._ask(*refs)
        oid = next((oid for ref in refs if (oid := self._advertised[ref]) is not None), None)
        return oid if oid is not None and self.obtain(oid, searching=False) else None

    def _abbreviated(self, text: str) -> str | None:
        """Returns the commit whose id begins so; None if there is none.

        It is looked for at origin's refs and in the history of HEAD and :attr:`refs`.
        """
        if not _SHORT_ID.fullmatch(text):
            return None
        named = {line[: line.index("\t")] for line in self._ls_remote() if line.startswith(text)}
        for one in named:
            self.obtain(one, searching=False)
        found = self._local(text)
        head = self.repo.head()
        if head is None or head.commit is None or not self._cut:
            return found
        self._ask(*self.refs)
        tips = [oid for ref in self.refs if (oid := self._advertised[ref]) is not None]
        for depth in self._depths():
            if found is not None:
                break
            self._deepen((head.commit, *tips), depth)
            found = self._local(text)
        return found

    def _behind(self, oid: str, steps: str) -> str | None:
        """Returns the commit that ``steps`` such as ``~2^2`` lead to; None if they lead nowhere."""
        depth = 1 + sum(int(number or 1) for number in re.findall(r"~(\d*)|\^(?!\{)", steps))
        for deepen in (False, True):
            if deepen:
                self._deepen((oid,), depth)
            with self._own_cut() as options:
                asked = f"{oid}{steps}^{{commit}}"
                found = self.repo.git.line(*options, "rev-parse", "--verify", "--quiet", asked)
            if found is not None:
                return found if self.obtain(found) else None
        return None

    def default_branch(self) -> str | None:
        """Returns the branch that origin's HEAD names; None if it names none.

        Raises:
            GitError: origin cannot be reached.
        """
        for line in self._ls_remote("--symref", "HEAD"):
            if line.startswith("ref: refs/heads/") and line.endswith("\tHEAD"):
                return line[len("ref: refs/heads/") : -len("\tHEAD")]
        return None

    def tags(self) -> dict[str, list[str]]:
        """Returns the sorted names of origin's tags by commit; an annotated tag counts for its commit.

        Raises:
            GitError: origin cannot be reached.
        """
        tagged: dict[str, str] = {}
        for line in self._ls_remote("--tags"):
            oid, _, ref = line.partition("\t")
            name = ref.removeprefix("refs/tags/")
            # The line of an annotated tag is followed by that of its commit, which replaces it.
            tagged[name.removesuffix("^{}")] = oid
        found: dict[str, list[str]] = {}
        for name in sorted(tagged):
            found.setdefault(tagged[name], []).append(name)
        return found

    # History

    def common(self, oid: str, head: str) -> str | None:
        """Returns where the history of ``head`` left that of ``oid``; None if they share none.

        A tree has no history.

        Raises:
            GitError: the history that is needed cannot be fetched.
        """
        if oid == head:
            return head
        if self.repo.resolve(oid)[0].commit is None:
            return None
        return self.merge_base(oid, head)

    def merge_base(self, a: str, b: str) -> str | None:
        """Returns the best common ancestor of two commits that are here; None if they have none.

        Raises:
            GitError: the history that is needed cannot be fetched.
        """
        for depth in (0, *self._depths()):
            if depth:
                self._deepen((a, b), depth)
            # A cut in the part that the two do not share may hide a better common ancestor.
            if self._whole(a, b):
                with self._own_cut() as options:
                    return self.repo.git.line(*options, "merge-base", a, b)
        raise self._cut_off()

    def fork_point(self, head: str, tip: str) -> str | None:
        """Returns where ``head`` left the branch that ends at ``tip``, even if it was merged into it since.

        Returns:
            ``head`` itself if it is on the branch's own line, the first parents of ``tip``; None if they have
            no history in common.

        Raises:
            GitError: the history that is needed cannot be fetched.
        """
        found = self.merge_base(tip, head)
        if found != head or tip == head:
            return found
        out = self._list("--parents", tip, f"^{head}") or ""
        before_merge = _before_merge(head, tip, [line.split() for line in out.splitlines()])
        return head if before_merge == head else self.merge_base(before_merge, head)

    def nearest(self, start: str, among: Collection[str]) -> str | None:
        """Returns the commit of ``among`` that is the fewest steps behind ``start``; None if there is none.

        ``start`` itself does not count.

        Raises:
            GitError: the history that is needed cannot be fetched.
        """
        wanted = set(among) - {start}
        if not wanted:
            return None
        for depth in (0, *self._depths()):
            if depth:
                self._deepen((start,), depth)
            out = self._list("--parents", start)
            if out is not None:
                parents = {first: rest for first, *rest in (line.split() for line in out.splitlines())}
                found, known = _nearest(start, parents, wanted, self._cuts())
                if known:
                    return found
        raise self._cut_off()

    def _whole(self, a: str, b: str) -> bool:
        """Says whether all history is here that the two commits do not share."""
        out = self._list(f"{a}...{b}")
        return out is not None and self._cuts().isdisjoint(out.split())

    def _cuts(self) -> set[str]:
        return set((self._cut or b"").decode().split())

    def _list(self, *args: str) -> str | None:
        """Returns the output of ``git rev-list``; None if an earlier cut-off fetch left commits out."""
        with self._own_cut() as options:
            done = self.repo.git.attempt(*options, "rev-list", *args)
        return done.stdout.decode() if done.returncode == 0 else None

    @contextmanager
    def _own_cut(self) -> Iterator[tuple[str, str]]:
        """Gives the options with which git takes the history to end where this object's fetches ended."""
        if not self._cut:
            yield "--shallow-file", ""
            return
        with tempfile.NamedTemporaryFile(prefix="raw-trigger-shallow-") as file:
            file.write(self._cut)
            file.flush()
            yield "--shallow-file", file.name

    def _depths(self) -> Sequence[int]:
        return _DEPTHS if self._cut else (0,)

    def _deepen(self, starts: Sequence[str], depth: int) -> None:
        if self._fetch(starts, depth=depth):
            return
        self._require_reachable()
        self._fetch_refs(depth)

    def _fetch_refs(self, depth: int) -> bool:
        """Fetches the tips of :attr:`refs` that origin has: no server refuses these."""
        self._ask(*self.refs)
        tips = [oid for ref in self.refs if (oid := self._advertised[ref]) is not None]
        return bool(tips) and self._fetch(dict.fromkeys(tips), depth=depth)

    def _cut_off(self) -> GitError:
        return GitError(
            f"the history of this clone is cut off, and {REMOTE} does not give the rest of it",
            "clone all of it: `fetch-depth: 0` with actions/checkout, `GIT_DEPTH: 0` on GitLab",
        )

    # The wire

    def _fetch(self, wants: Iterable[str], *, depth: int) -> bool:
        """Fetches these commits; in a full clone with their whole history, so that it stays a full one."""
        limits = [f"--depth={depth}"] if self._cut else []
        settings = list(_SETTINGS)
        if self.shallow:
            limits.append("--filter=blob:none")
            settings += _TREES_ONLY
        with self._lent_shallow():
            done = self.repo.git.attempt(
                *settings, "fetch", *ONLY_OBJECTS, *limits, REMOTE, *wants, literal=False
            )
        return done.returncode == 0

    @contextmanager
    def _lent_shallow(self) -> Iterator[None]:
        """Lets git see and write ``.git/shallow`` as this object knows it; restores the file afterwards."""
        before = _read(self._shallow_file)
        _write(self._shallow_file, before, self._cut)
        try:
            yield
        finally:
            self._cut = _read(self._shallow_file)
            _write(self._shallow_file, self._cut, before)

    def _ask(self, *refs: str) -> None:
        """Reads what origin has at these refs."""
        unknown = [ref for ref in refs if ref not in self._advertised]
        if not unknown:
            return
        found = {}
        for line in self._ls_remote(*unknown):
            oid, _, ref = line.partition("\t")
            found[ref] = oid
        self._advertised.update({ref: found.get(ref) for ref in unknown})

    def _require_reachable(self) -> None:
        """Raises an error if a fetch failed because origin cannot be reached, and not because it refused.

        Raises:
            GitError: origin cannot be reached.
        """
        self._ls_remote("HEAD")

    def _ls_remote(self, *args: str) -> list[str]:
        options = [arg for arg in args if arg.startswith("-")]
        patterns = [arg for arg in args if not arg.startswith("-")]
        done = self.repo.git.attempt(*_SETTINGS, "ls-remote", *options, REMOTE, *patterns, literal=False)
        if done.returncode != 0:
            raise GitError(
                f"{REMOTE} cannot be reached: {words(done.stderr)}",
                "what is missing here has to be fetched: give the job access to the repository, "
                "or clone all of it (`fetch-depth: 0` with actions/checkout, `GIT_DEPTH: 0` on GitLab)",
            )
        return done.stdout.decode("utf-8", "surrogateescape").splitlines()


def _before_merge(head: str, tip: str, commits: Sequence[Sequence[str]]) -> str:
    """Returns the last commit on the first-parent line behind ``tip`` that does not contain ``head``.

    Args:
        commits: The commits of ``tip`` that ``head`` lacks, each followed by its parents.

    Returns:
        ``head`` if it is on that line itself.
    """
    parents = {commit: behind for commit, *behind in commits}
    children: dict[str, list[str]] = {}
    for commit, behind in parents.items():
        for parent in behind:
            children.setdefault(parent, []).append(commit)
    holding, found = {head}, [head]
    while found:
        new = [child for child in children.get(found.pop(), ()) if child not in holding]
        holding.update(new)
        found += new
    at = tip
    while at != head and at in holding:
        at = parents[at][0]
    return at


def _nearest(
    start: str, parents: Mapping[str, Sequence[str]], wanted: Collection[str], cut: Collection[str]
) -> tuple[str | None, bool]:
    """Returns the wanted commit fewest steps behind ``start``, and whether the cuts leave that certain."""
    level, seen = [start], {start}
    while level:
        found = sorted(oid for oid in level if oid in wanted)
        if found:
            return found[0], True
        if any(oid in cut for oid in level):
            return None, False
        behind = dict.fromkeys(parent for oid in level for parent in parents.get(oid, ()))
        level = [oid for oid in behind if oid not in seen]
        seen.update(level)
    return None, True


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Path, old: bytes | None, new: bytes | None) -> None:
    if old == new:
        return
    if not new:
        path.unlink(missing_ok=True)
        return
    other = path.with_name(f"shallow.raw-trigger-{os.getpid()}")
    other.write_bytes(new)
    other.replace(path)
