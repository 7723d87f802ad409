"""The record of an environment, shared through origin. Real repositories, real servers."""

from __future__ import annotations

import json
import os
import random
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from raw_trigger.dvc.pointer_files import PointerFiles
from raw_trigger.errors import GitError, RecordError
from raw_trigger.model.changes import Entry
from raw_trigger.model.record import EVERY, UNKNOWN, Launch, Learnt, Record, Results
from raw_trigger.record import moving
from raw_trigger.record import origin as sharing
from raw_trigger.record import tree as recorded_tree
from raw_trigger.record.results import dumps, loads, united
from raw_trigger.repo import diff, publishing
from raw_trigger.repo.repository import Repository
from tests.ci.smart_http import serving
from tests.conftest import REPOSITORY_TOP, Repo

ROOTS = ("data/1_raw",)
POINTER_FILES = partial(PointerFiles, roots=ROOTS)
RULES, OTHER_RULES = (f'{{"version": 1, "rules": [], "roots": ["{name}"]}}' for name in "ab")
FILE_RULES = RULES[:-1] + ', "catalog": null}'
"""What is known of the rules where the Dagster project is not asked."""
REF = "refs/raw-trigger/production"
A, B, C, D = (f"data/1_raw/{name}.csv".encode() for name in "abcd")
OLD = {A: "a1\n", B: "b1\n", C: "c1\n"}


class Origin:
    """A bare repository that runs publish to, and the clone that commits are pushed from."""

    def __init__(self, tmp_path: Path, *init: str) -> None:
        self.tmp_path = tmp_path
        self.bare = Repo(tmp_path / "origin.git")
        self.bare.top.mkdir()
        self.bare.git("init", "-q", "--bare", *init)
        self.url = self.bare.top.as_uri()
        self.work = Repo(tmp_path / "work")
        self.work.top.mkdir()
        self.bare.git("config", "uploadpack.allowFilter", "true")
        self.work.git("init", "-q", *init)
        self.work.git("remote", "add", "origin", self.url)
        self.base = self.push({**OLD, "code.py": "pass\n"})

    def push(self, files: Mapping[str | bytes, str | bytes | None]) -> str:
        commit = self.work.commit(files)
        self.work.git("push", "-q", "origin", "HEAD:refs/heads/main")
        return commit

    def clone(self, name: str, *options: str, url: str | None = None) -> Run:
        """A runner's checkout: one commit deep."""
        top = self.tmp_path / name
        options = options or ("--depth=1", "--no-tags")
        self.work.git("clone", "-q", *options, url or self.url, str(top))
        return Run(Repo(top))

    def recorded(self) -> dict[bytes, str]:
        """The record on origin: path → content."""
        out = self.bare.git("ls-tree", "-r", "-z", "--name-only", REF)
        return {
            os.fsencode(path): self.bare.git("cat-file", "blob", f"{REF}:{path}") + "\n"
            for path in out.split("\0")
            if path and not path.startswith(".raw-trigger/")
        }

    def record(self) -> Record:
        """The record on origin, read in a fresh clone of one commit."""
        run = self.clone(f"reader-{random.random()}")
        found = sharing.fetch(run.repo, "production", "origin")
        assert found is not None
        return found


class Run:
    """A workflow run in a clone: what it planned with, and what it came to."""

    def __init__(self, clone: Repo) -> None:
        self.clone = clone
        self.repo = clone.open()
        self.planned_with = ""
        self.first: str | None = None
        self.launch: str | None = None
        self.config = (clone.top / ".git/config").read_bytes()

    def begin(self, base: str | None = None) -> Record | None:
        """Fetch the record; where there is none, take the event's base for it as a run does."""
        found = sharing.fetch(self.repo, "production", "origin")
        if found is None and base is not None:
            if self.clone.try_git("cat-file", "-e", base).returncode:
                self.fetch_trees(base)
            tree = recorded_tree.raw_tree(self.repo, base, ROOTS)
            assert moving.adopt(self.repo, "production", tree, FILE_RULES, None)
            found = recorded_tree.read(self.repo, "production")
            self.first = None if found is None else found.tree
        self.planned_with = found.tree if found else ""
        return found

    def fetch_trees(self, commit: str) -> None:
        """What a run fetches of its base: no contents of files, and the shallow file as it was."""
        shallow = self.clone.top / ".git/shallow"
        before = shallow.read_bytes()
        settings = ("-c", "remote.origin.promisor=true", "-c", "remote.origin.partialclonefilter=blob:none")
        options = ("--quiet", "--no-write-fetch-head", "--depth=1", "--filter=blob:none")
        self.clone.git(*settings, "fetch", *options, "origin", commit)
        shallow.write_bytes(before)

    def entry(self, path: bytes) -> Entry | None:
        return diff.entries_at(self.repo, "HEAD", [path]).get(path)

    def mark(self, *paths: bytes) -> sharing.Publication:
        """Say that a launch for these paths begins."""
        self.launch = f"launch-{self.clone.top.name}"
        launch = Launch(dict.fromkeys(paths, frozenset({EVERY})), "ci", "2026-01-31T00:00:00+00:00")
        done = sharing.begin(
            self.repo, "production", "origin", self.launch, launch, self.first, pointer_files=POINTER_FILES
        )
        self.planned_with = done.tree or ""
        return done

    def learnt(self, path: bytes, targets: str = "x", made: str | None = None) -> Learnt:
        done = targets if made is None else made
        entry = self.entry(path)
        return Learnt(entry, frozenset(targets.split()), dict.fromkeys(done.split(), entry))

    def results(self, *paths: bytes, **more: object) -> Results:
        """Everything that these paths feed succeeded."""
        learnt = {path: self.learnt(path) for path in paths}
        own = {
            "planned_with": self.planned_with,
            "learnt": learnt,
            "launch": self.launch,
            "made": dict.fromkeys("xyz", self.planned_with),
        }
        return Results(**{**own, **more})  # type: ignore[arg-type]

    def publish(self, *results: Results, token: str | None = None) -> sharing.Publication:
        return sharing.publish(
            self.repo, "production", "origin", list(results), pointer_files=POINTER_FILES, token=token
        )


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path)


def test_a_first_publication_and_the_run_after_it(origin: Origin) -> None:
    """What failed is still to do, what succeeded is not, whatever has been pushed since."""
    origin.push({A: "a2\n", B: "b2\n", C: None, "code.py": "code\n"})
    run = origin.clone("one")
    run.begin(origin.base)
    done = run.publish(run.results(A, C))
    assert (done.status, done.pending, done.words) == ("done", {}, "")
    assert origin.recorded() == {A: "a2\n", B: "b1\n"}
    assert origin.bare.git("rev-parse", REF) == done.tree == run.clone.git("rev-parse", REF)
    origin.push({D: "d1\n"})
    again = origin.clone("two")
    found = again.begin(origin.base)
    assert found == Record(done.tree or "", rules=FILE_RULES, assumed=found.assumed)
    changes = diff.between_trees(again.repo, found.tree, "HEAD", ROOTS)
    assert [change.path for change in changes] == [B, D]
    assert again.publish(again.results(B, D)).status == "done"
    assert diff.between_trees(again.repo, REF, "HEAD", ROOTS) == ()
    assert again.publish(again.results(B, D)).status == "done", "a re-run has nothing to move"


def test_nothing_but_the_one_ref_is_touched(origin: Origin) -> None:
    origin.work.git("tag", "-a", "-m", "t", "v1")
    origin.work.git(
        "push", "-q", "origin", "v1", "HEAD:refs/heads/other", "HEAD^{tree}:refs/raw-trigger/staging"
    )
    origin.push({A: "a2\n"})
    run = origin.clone("one")
    run.clone.git("config", "push.followTags", "true")
    run.clone.git("config", "fetch.prune", "true")
    run.clone.git("tag", "-a", "-m", "mine", "mine")
    hook = run.clone.top / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    before = run.clone.git("for-each-ref")
    on_origin = origin.bare.git("for-each-ref")
    kept = {p.name: p.read_bytes() for p in (run.clone.top / ".git").iterdir() if p.is_file()}
    run.begin(origin.base)
    run.publish(run.results(A))
    sharing.fetch(run.repo, "production", "origin")
    run.clone.git("update-ref", "-d", REF)
    assert run.clone.git("for-each-ref") == before
    assert {p.name: p.read_bytes() for p in (run.clone.top / ".git").iterdir() if p.is_file()} == kept
    origin.bare.git("update-ref", "-d", REF)
    assert origin.bare.git("for-each-ref") == on_origin


def test_exceptions_and_rules_travel(origin: Origin) -> None:
    origin.push({A: "a2\n", B: "b2\n"})
    run = origin.clone("one")
    run.begin(origin.base)
    half = {A: run.learnt(A, "x y", "x"), B: run.learnt(B)}
    run.publish(run.results(learnt=half, rules=RULES, edited={C: frozenset("z")}))
    found = origin.record()
    assert (found.kept, found.rules) == ({A: {"x": run.entry(A)}, C: {"z": UNKNOWN}}, RULES)
    after = origin.clone("two")
    after.begin()
    after.publish(after.results(learnt={A: after.learnt(A, "x y", "y")}, rules_before=RULES, rules=RULES))
    found = origin.record()
    assert (found.kept, found.rules) == ({C: {"z": UNKNOWN}}, RULES)
    assert origin.recorded() == {A: "a2\n", B: "b2\n", C: "c1\n"}


def published(origin: Origin) -> None:
    """A record that is there already."""
    run = origin.clone("publisher")
    run.begin(origin.base)
    assert run.publish(run.results()).status == "done"


@pytest.mark.parametrize("first_time", [True, False])
def test_two_runs_at_once_merge_path_by_path(origin: Origin, first_time: bool) -> None:
    if not first_time:
        published(origin)
    origin.push({A: "a2\n"})
    one = origin.clone("one")
    origin.push({B: "b2\n", C: None})
    two = origin.clone("two")
    one.begin(origin.base)
    two.begin(origin.base)
    one.mark(A)
    two.mark(B, C)
    assert one.publish(one.results(A)).pending == {}
    assert two.publish(two.results(B, C)).pending == {}
    assert origin.recorded() == {A: "a2\n", B: "b2\n"}
    assert (origin.record().kept, origin.record().launches) == ({}, {})


@pytest.mark.parametrize("last", ["one", "two"])
@pytest.mark.parametrize(
    ("theirs", "ours"), [("a2\n", "a3\n"), (None, "a3\n"), ("a2\n", None), ("a2\n", "a1\n")]
)
def test_a_path_that_both_touched_differently_is_pending(
    origin: Origin, theirs: str | None, ours: str | None, last: str
) -> None:
    """Whatever is desired next: nobody knows which of them came last."""
    published(origin)
    origin.push({A: theirs, B: "b2\n"})
    one = origin.clone("one")
    origin.push({A: ours, C: "c2\n"})
    two = origin.clone("two")
    one.begin()
    two.begin()
    one.mark(A, B)
    two.mark(A, C)
    runs = [(one, one.results(A, B)), (two, two.results(A, C))]
    for run, results in runs if last == "two" else runs[::-1]:
        done = run.publish(results)
    assert (done.status, done.pending) == ("done", {A: {"x"}})
    assert (origin.recorded()[B], origin.recorded()[C]) == ("b2\n", "c2\n")
    found = origin.record()
    recorded = diff.entries_at(run.repo, found.tree, [A]).get(A)
    assert (found.reflected(A, "x", recorded), found.launches) == (UNKNOWN, {})


def test_the_same_content_twice_is_no_conflict(origin: Origin) -> None:
    """Of two runs with the same content, what either of them made counts."""
    published(origin)
    origin.push({A: "a2\n", B: "b2\n", C: None})
    one, two = origin.clone("one"), origin.clone("two")
    one.begin()
    two.begin()
    one.mark(A, B, C)
    two.mark(A, B, C)
    one.publish(one.results(learnt={A: one.learnt(A), B: one.learnt(B, "x y", "x"), C: one.learnt(C)}))
    done = two.publish(two.results(learnt={A: two.learnt(A), B: two.learnt(B, "x y", "y"), C: two.learnt(C)}))
    assert done.pending == {}
    assert origin.recorded() == {A: "a2\n", B: "b2\n"}
    assert origin.record().kept == {}


def test_a_target_that_both_made_from_other_contents_is_pending(origin: Origin) -> None:
    """Of what only the second one made, there is no doubt."""
    published(origin)
    origin.push({A: "a2\n"})
    one = origin.clone("one")
    origin.push({A: "a3\n"})
    two = origin.clone("two")
    one.begin()
    two.begin()
    one.mark(A)
    two.mark(A)
    one.publish(one.results(learnt={A: one.learnt(A, "x y", "x")}))
    done = two.publish(two.results(learnt={A: two.learnt(A, "x y", "x y")}))
    assert done.pending == {A: {"x"}}
    assert origin.record().kept == {A: {"x": UNKNOWN, "y": two.entry(A)}}
    assert origin.recorded()[A] == "a1\n"


def test_a_run_that_is_cut_off_leaves_what_it_was_for_unknown(origin: Origin) -> None:
    """Also where the next push takes the change back; that one takes over, and it is settled."""
    published(origin)
    origin.push({A: "a2\n"})
    one = origin.clone("one")
    one.begin()
    one.mark(A)
    origin.push({A: "a1\n"})
    two = origin.clone("two")
    found = two.begin()
    assert found is not None
    assert (found.reflected(A, "x", two.entry(A)), list(found.doubtful)) == (UNKNOWN, [A])
    two.mark(A)
    assert two.publish(two.results(A)).pending == {}
    assert (origin.record().kept, [one.paths for one in origin.record().launches.values()]) == ({}, [{}])
    # It was slow, not dead.
    assert one.publish(one.results(A)).pending == {A: {"x"}}


def test_other_rules_meanwhile(origin: Origin) -> None:
    """A path that is whole by the rules of one run need not be whole by those of the other."""
    published(origin)
    origin.push({A: "a2\n", B: "b2\n"})
    one, two, three = (origin.clone(name) for name in ("one", "two", "three"))
    for run in (one, two, three):
        run.begin()
    one.mark(A)
    two.mark(B)
    one.publish(one.results(A, rules=RULES, edited={C: frozenset("z")}))
    one.begin()
    one.mark(C)
    whole = {C: one.learnt(C, "x z")}
    assert one.publish(one.results(learnt=whole, rules_before=RULES, rules=RULES)).pending == {}
    assert (origin.record().kept, origin.record().rules) == ({}, RULES)
    assert two.publish(two.results(B, rules=OTHER_RULES, edited={C: frozenset("q")})).pending == {}
    found = origin.record()
    assert (found.rules, found.kept) == (RULES, {B: {"x": two.entry(B)}})
    assert origin.recorded() == {A: "a2\n", B: "b1\n", C: "c1\n"}
    three.mark(B)
    assert three.publish(three.results(B, rules=RULES, edited={C: frozenset("z")})).pending == {}
    assert origin.record().kept == {}, "C has been made by the same rules since"


def test_nobody_takes_the_plan_of_another_first_run_for_done(origin: Origin) -> None:
    """Nothing is recorded yet; the second push's run takes for granted what the first one's fails to make."""
    first = origin.push({A: "a2\n", B: "b2\n"})
    one = origin.clone("one")
    origin.push({C: "c2\n"})
    two = origin.clone("two")
    one.begin(origin.base)
    two.begin(first)
    two.mark(C)
    one.mark(A, B)
    two.publish(two.results(C))
    one.publish(one.results(learnt={A: one.learnt(A)}))
    found = origin.record()
    assert found.reflected(B, "x", one.entry(B)) == UNKNOWN
    assert found.reflected(A, "x", one.entry(A)) == one.entry(A)


_PUBLISH = """
import sys
from functools import partial
from pathlib import Path
from raw_trigger.dvc.pointer_files import PointerFiles
from raw_trigger.record import origin as sharing
from raw_trigger.repo.repository import Repository
from raw_trigger.record.results import loads
repo = Repository.discover(Path(sys.argv[1]))
results = loads(sys.stdin.read(), "stdin", ["data/1_raw"])
sys.stdout.write("ready\\n")
sys.stdout.flush()
files = partial(PointerFiles, roots=["data/1_raw"])
done = sharing.publish(repo, "production", "origin", [results], pointer_files=files)
print(done.status, len(done.pending))
"""


def test_processes_that_publish_at_the_same_time(origin: Origin) -> None:
    """Six runs, each with a path of its own, one that all made alike, and none of them waits for another."""
    published(origin)
    own = {f"data/1_raw/{at}.csv".encode(): f"{at}\n" for at in range(6)}
    origin.push({**own, A: "a2\n"})
    runs = [origin.clone(f"run-{at}") for at in range(6)]
    for run, path in zip(runs, own, strict=True):
        run.begin()
        run.mark(path, A)
    texts = [dumps(run.results(path, A)) for run, path in zip(runs, own, strict=True)]

    def publish(at: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", _PUBLISH, str(runs[at].clone.top)],
            input=texts[at],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY_TOP)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()[-1]

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(publish, range(6))) == ["done 0"] * 6
    assert origin.recorded() == {**OLD, **own, A: "a2\n"}


# Permissions


TOKENS = {"may write": "w", "may read": "r"}


@pytest.fixture
def private(origin: Origin) -> Iterator[str]:
    with serving(origin.tmp_path, writers={"w"}, readers={"r"}) as server:
        origin.bare.git("config", "http.receivepack", "true")
        yield server.url + "/origin.git"


def private_clone(origin: Origin, url: str, name: str = "private") -> Run:
    """What actions/checkout leaves with ``persist-credentials: false``: a clone without any credentials."""
    run = origin.clone(name)
    run.clone.git("remote", "set-url", "origin", url)
    return Run(run.clone)


def test_a_token_lets_write_and_is_nowhere_to_be_seen(origin: Origin, private: str) -> None:
    origin.push({A: "a2\n"})
    run = private_clone(origin, private)
    with pytest.raises(GitError, match="cannot be read"):
        run.begin(origin.base)
    assert run.publish(run.results()).status == "unreachable"
    tree = recorded_tree.raw_tree(run.repo, "HEAD", ROOTS)
    trace = origin.tmp_path / "trace"
    traced = Repository.discover(
        run.clone.top, {**os.environ, "GIT_TRACE": str(trace), "GIT_TRACE_SETUP": "1"}
    )
    done = sharing.publish(
        traced, "production", "origin", [Results(tree)], pointer_files=POINTER_FILES, token="w"
    )
    assert (done.status, done.tree) == ("done", tree)
    assert origin.recorded()[A] == "a2\n"
    assert "push" in trace.read_text()
    assert "basic" not in trace.read_text().lower(), "it is an argument of some process"
    assert (run.clone.top / ".git/config").read_bytes() == run.config
    assert sharing.fetch(run.repo, "production", "origin", "r") == Record(tree)


def test_git_is_not_given_the_variable_that_holds_the_token(origin: Origin) -> None:
    """It runs filters and programs that fetch content; what it needs of the token is the header."""
    top = origin.clone("one").clone.top
    repo = Repository.discover(top, {**os.environ, "RAW_TRIGGER_TOKEN": "secret"})
    assert repo.git.line("-c", "alias.shown=!echo ${RAW_TRIGGER_TOKEN-nothing}", "shown") == "nothing"


def test_a_token_takes_the_place_of_what_checkout_left(origin: Origin, private: str) -> None:
    """actions/checkout leaves a header for the whole server; two of them are refused."""
    run = private_clone(origin, private)
    server = private.removesuffix("origin.git")
    run.clone.git("config", f"http.{server}.extraheader", "AUTHORIZATION: basic eDpy")
    tree = recorded_tree.raw_tree(run.repo, "HEAD", ROOTS)
    refused = run.publish(Results(tree))
    assert (refused.status, "403" in refused.words) == ("refused", True)
    assert run.publish(Results(tree), token="w").status == "done"
    assert run.publish(Results(tree), token="x-access-token:w").status == "done"


def _denied(origin: Origin) -> None:
    hook = origin.bare.top / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'refs are protected here' >&2\nexit 1\n")
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("way", ["read-only token", "anonymous", "no service", "pre-receive", "hidden"])
def test_without_permission_the_record_stays_here(origin: Origin, way: str) -> None:
    """What git says is handed on; origin has what it had."""
    origin.push({A: "a2\n"})
    token = None
    with serving(origin.tmp_path, writers={"w"}, readers={"r"}, anonymous=True) as server:
        run = origin.clone("one")
        if way in ("read-only token", "anonymous", "no service"):
            origin.bare.git("config", "http.receivepack", str(way != "no service").lower())
            run.clone.git("remote", "set-url", "origin", server.url + "/origin.git")
            token = {"read-only token": "r", "no service": "w"}.get(way)
        elif way == "pre-receive":
            _denied(origin)
        else:
            origin.bare.git("config", "receive.hideRefs", "refs/raw-trigger")
        run.begin(origin.base)
        done = run.publish(run.results(A), token=token)
        kept = run.clone.git("rev-parse", REF)
        assert run.begin() is None, "origin decides: nothing is recorded there"
    said = {
        "read-only token": "403",
        "anonymous": "could not read Username",
        "no service": "403",
        "pre-receive": "refs are protected here",
        "hidden": "deny updating a hidden ref",
    }
    assert (done.status, said[way] in done.words) == ("refused", True), done.words
    assert origin.bare.try_git("rev-parse", "--verify", REF).returncode != 0
    assert kept == done.tree


@pytest.mark.parametrize("where", ["file:///nowhere/origin.git", "http://127.0.0.1:1/origin.git", "nowhere"])
def test_an_origin_that_is_not_there_is_no_empty_record(origin: Origin, where: str) -> None:
    published(origin)
    run = origin.clone("one")
    before = run.begin()
    run.clone.git("remote", "set-url", "origin", where)
    with pytest.raises(GitError, match="origin cannot be read"):
        sharing.fetch(run.repo, "production", "origin")
    assert recorded_tree.read(run.repo, "production") == before
    done = run.publish(run.results(A))
    assert (done.status, bool(done.words)) == ("unreachable", True)


def test_nobody_is_asked_for_a_password(
    origin: Origin, private: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by the askpass programs nor by ssh, which is told so."""
    asked = origin.tmp_path / "asked"
    program = origin.tmp_path / "ask"
    program.write_text(f'#!/bin/sh\necho "$0 $@" >> {asked}\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("GIT_ASKPASS", str(program))
    monkeypatch.setenv("SSH_ASKPASS", str(program))
    run = private_clone(origin, private)
    run.clone.git("config", "core.askPass", str(program))
    with pytest.raises(GitError):
        run.begin()
    assert not asked.exists()
    ssh = origin.tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >> {asked}\necho "Permission denied (publickey)." >&2\nexit 255\n')
    ssh.chmod(0o755)
    run.clone.git("remote", "set-url", "origin", "git@example.invalid:o/r.git")
    run.clone.git("config", "core.sshCommand", f"{ssh} -i key")
    with pytest.raises(GitError, match="Permission denied"):
        sharing.fetch(Repository.discover(run.clone.top), "production", "origin")
    assert "-i key" in asked.read_text()
    assert "BatchMode=yes" in asked.read_text()


# What is on origin, and what is here


def test_a_ref_that_names_no_recorded_tree(origin: Origin) -> None:
    run = origin.clone("one")
    run.begin(origin.base)
    before = run.clone.git("rev-parse", REF)
    origin.bare.git("update-ref", REF, "main")
    for call in (run.begin, lambda: run.publish(run.results())):
        with pytest.raises(RecordError, match=r"does not name a tree .*origin") as caught:
            call()
        assert f"git push origin --delete {REF}" in (caught.value.hint or "")
        assert run.clone.git("rev-parse", REF) == before
    assert origin.bare.git("rev-parse", REF) == origin.base


def test_sha256(tmp_path: Path) -> None:
    origin = Origin(tmp_path, "--object-format=sha256")
    origin.push({A: "a2\n"})
    run = origin.clone("one")
    run.begin(origin.base)
    text = dumps(run.results(A))
    assert run.publish(loads(text, "results.json", ROOTS)).status == "done"
    assert origin.recorded()[A] == "a2\n"


CLONES = {
    "one commit": ("--depth=1", "--no-tags"),
    "whole": ("--no-tags",),
    "partial": ("--depth=1", "--filter=blob:none", "--no-checkout"),
}


@pytest.mark.parametrize("clone", CLONES)
def test_every_kind_of_clone(origin: Origin, clone: str) -> None:
    """In a partial clone too the record is complete on origin, and the next one reads it."""
    origin.push({A: "a2\n", B: "b2\n"})
    run = origin.clone("one", *CLONES[clone])
    run.begin(origin.base)
    run.publish(run.results(learnt={A: run.learnt(A, "x y", "x")}, rules=RULES))
    assert (run.clone.top / ".git/config").read_bytes() == run.config
    after = origin.clone("two", *CLONES[clone])
    found = after.begin()
    assert found is not None
    assert (set(found.kept), found.rules) == ({A}, RULES)
    assert after.publish(after.results(A, B)).status == "done"
    assert origin.recorded() == {**OLD, A: "a2\n", B: "b2\n"}
    origin.bare.git("fsck", "--strict")
    after.clone.git("gc", "-q")


def test_the_raw_data_is_not_downloaded_again(origin: Origin) -> None:
    """Of ten large files one differs from the record: that one comes, and nothing goes up but a tree or two."""
    chance = random.Random(4)
    large = {f"data/1_raw/{at}.bin": chance.randbytes(200_000) for at in range(10)}
    origin.push(large)
    publisher = origin.clone("first")
    publisher.begin("HEAD")
    publisher.publish(publisher.results())
    origin.push({"data/1_raw/0.bin": chance.randbytes(200_000)})
    run = origin.clone("one")

    def size() -> int:
        return sum(p.stat().st_size for p in (run.clone.top / ".git/objects").rglob("*") if p.is_file())

    before = size()
    run.begin()
    assert 200_000 < size() - before < 250_000
    with serving(origin.tmp_path, writers={"w"}) as server:
        run.clone.git("remote", "set-url", "origin", server.url + "/origin.git")
        assert run.publish(run.results(b"data/1_raw/0.bin"), token="w").status == "done"
        assert 0 < server.received < 20_000


# Results


def test_results_travel_as_a_file(origin: Origin) -> None:
    run = origin.clone("one")
    run.begin(origin.base)
    odd = b"data/1_raw/\xff\n\"$(x)'::error::.csv"
    entry = run.entry(A)
    results = Results(
        run.planned_with,
        {
            A: Learnt(entry, frozenset({"x", "y|2026-01-31"}), {"x": entry}, {"y|2026-01-31": None}),
            odd: Learnt(None),
            B: Learnt(Entry("120000", "a" * 40), None, {"x": UNKNOWN}),
        },
        "launch",
        {"x": "c" * 40},
        "rules before",
        "rules",
        {A: frozenset({"new"})},
    )
    text = dumps(results)
    assert text.isascii()
    assert loads(text, "results.json", ROOTS) == results
    assert loads(text.encode(), "results.json", (".",)) == results


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, "Expecting value"),
        ([], "the document is"),
        ({"version": 2}, "its version is 2"),
        ({"planned_with": "HEAD"}, "'HEAD' is not an object id"),
        ({"planned_with": "0" * 40}, "is not an object id"),
        ({"planned_with": None}, "None is not an object id"),
        ({"rules": 1}, "rules is 1"),
        ({"launch": 1}, "the launch is 1"),
        ({"learnt": {}}, "what was learnt is"),
        ({"learnt": [1]}, "one of its paths is 1"),
        ({"path": "data/2_out/a"}, "under no raw root"),
        ({"path": "data/1_raw/../../x"}, "not a path of a repository"),
        ({"path": "data/1_raw/.Git/x"}, "not a path of a repository"),
        ({"path": "data/1_raw//x"}, "not a path of a repository"),
        ({"path": "/data/1_raw/x"}, "not a path of a repository"),
        ({"path": "data/1_raw/\0"}, "not a path of a repository"),
        ({"path": "data/1_raw/\ud800"}, "surrogates not allowed"),
        ({"path": None}, "a path is None"),
        ({"content": f"040000 {'a' * 40}"}, "is no content"),
        ({"content": []}, "is no content"),
        ({"content": "--upload-pack=x"}, "is no content"),
        ({"content": "0" * 40}, "is not known"),
        ({"targets": "x"}, "targets is 'x'"),
        ({"reflects": {"other": None}}, "a target that is none of it"),
        ({"reflects": {"x": "HEAD"}}, "is no content"),
        ({"equivalent": {"other": None}}, "a target that is none of it"),
        ({"edited": [{"path": "x", "targets": []}]}, "under no raw root"),
        ({"edited": "x"}, "what was edited is 'x'"),
    ],
)
def test_a_file_that_holds_something_else(change: object, said: str) -> None:
    learnt = {"path": "data/1_raw/a", "content": "a" * 40, "targets": ["x"], "reflects": {}, "equivalent": {}}
    document = json.loads(dumps(Results("b" * 40)))
    if isinstance(change, dict):
        learnt.update({name: value for name, value in change.items() if name in learnt})
        document["learnt"] = [learnt]
        document.update({name: value for name, value in change.items() if name not in learnt})
    text = "" if change is None else json.dumps(document if isinstance(change, dict) else change)
    with pytest.raises(RecordError, match=r"results-1\.json does not hold the results") as caught:
        loads(text, "results-1.json", ROOTS)
    assert said in caught.value.message
    assert caught.value.hint


def test_a_missing_key_and_a_path_that_is_there_twice() -> None:
    document = json.loads(dumps(Results("b" * 40, {A: Learnt(None)})))
    document["learnt"] *= 2
    with pytest.raises(RecordError, match="is there twice"):
        loads(json.dumps(document), "r", ROOTS)
    del document["edited"]
    document["learnt"] = []
    with pytest.raises(RecordError, match="'edited' is missing"):
        loads(json.dumps(document), "r", ROOTS)


def test_what_several_jobs_came_to() -> None:
    one, other = Entry("100644", "1" * 40), Entry("100644", "2" * 40)
    both = frozenset("xy")
    unsure = Learnt(None, None, {"x": UNKNOWN})
    jobs = [
        Results(
            "a" * 40, {A: Learnt(one, both, {"x": one}), B: Learnt(one, both, {"x": one}), D: unsure}, "l"
        ),
        Results(
            "b" * 40,
            {
                A: Learnt(one, both, {"y": one}, {"x": other}),
                B: Learnt(other, both, {"y": other}),
                C: Learnt(None),
                D: Learnt(one, both, {"y": one}),
            },
            "l",
            edited={C: frozenset("x")},
        ),
    ]
    assert united(jobs) == Results(
        "a" * 40,
        {
            A: Learnt(one, both, {"x": one, "y": one}),
            B: Learnt(None, None, {"x": UNKNOWN, "y": UNKNOWN}),
            C: Learnt(None),
            D: Learnt(one, both, {"x": UNKNOWN, "y": one}),
        },
        "l",
        edited={C: frozenset("x")},
    )


def test_jobs_that_planned_with_different_records(origin: Origin) -> None:
    """Another run published between the starts of two jobs."""
    published(origin)
    origin.push({A: "a2\n", B: "b2\n", C: "c2\n"})
    one, two, other = (origin.clone(name) for name in ("one", "two", "other"))
    one.begin()
    one.mark(A, B)
    other.begin()
    other.mark(C)
    other.publish(other.results(C))
    two.begin()
    two.launch = one.launch
    assert one.planned_with != two.planned_with
    assert two.publish(one.results(A), two.results(B)).pending == {}
    assert origin.recorded() == {A: "a2\n", B: "b2\n", C: "c2\n"}


def test_contents_that_are_nowhere_are_not_recorded(origin: Origin) -> None:
    """A file that only the job's disk had, and an id that is a tree's."""
    published(origin)
    origin.push({A: "a2\n"})
    run = origin.clone("one")
    run.begin()
    x = frozenset("x")
    nowhere, no_file = Entry("100644", "1" * 40), Entry("100644", run.planned_with)
    lost = {B: Learnt(nowhere, x, {"x": nowhere}), C: Learnt(no_file, x, {"x": no_file})}
    done = run.publish(run.results(learnt={A: run.learnt(A), **lost}))
    assert (done.status, done.pending) == ("done", {B: x, C: x})
    assert origin.recorded() == {A: "a2\n", B: "b1\n", C: "c1\n"}


def test_a_base_that_nobody_knows(origin: Origin) -> None:
    run = origin.clone("one")
    with pytest.raises(RecordError, match="neither here nor on origin"):
        run.publish(Results("1" * 40))


def test_only_raw_files_are_published(origin: Origin) -> None:
    """Whatever tree the results of a job name."""
    run = origin.clone("one")
    assert run.publish(Results(run.clone.git("rev-parse", "HEAD^{tree}"))).status == "done"
    assert origin.recorded() == OLD


def test_a_push_is_told_from_one_that_came_too_late(origin: Origin) -> None:
    run = origin.clone("one")
    repo = publishing.connected(run.repo, "origin")
    old, new = (run.clone.git("rev-parse", name) for name in ("HEAD^{tree}", "HEAD:data"))
    ref = "refs/raw-trigger/pr-1"
    assert publishing.push(repo, "origin", ref, old, None).status == "done"
    assert publishing.push(repo, "origin", ref, new, None).status == "moved"
    assert publishing.push(repo, "origin", ref, new, old).status == "done"
    lock = origin.bare.top / (ref + ".lock")
    lock.touch()
    assert publishing.push(repo, "origin", ref, old, new).status == "moved"
    lock.unlink()
    assert publishing.fetch(repo, "origin", ref) == new
    origin.bare.git("update-ref", "-d", ref)
    assert publishing.push(repo, "origin", ref, old, new).status == "moved"
    assert publishing.fetch(repo, "origin", ref) is None
    assert run.clone.try_git("rev-parse", "--verify", ref).returncode != 0
