"""What the state machine drives: a real repository, and what its assets have really read.

The oracle knows nothing of the package's rules and records: it maps paths by tables of its own,
and remembers what each target last read with success.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from raw_trigger.adopt import adopt
from raw_trigger.config import Config, load_config
from raw_trigger.errors import RawTriggerError
from raw_trigger.hooks.event import hook_events
from raw_trigger.hooks.run import run_hook
from raw_trigger.launch.base import Order, Report
from raw_trigger.model.assets import Asset, Partitions
from raw_trigger.model.changes import Entry
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import Narrowing, Plan
from raw_trigger.planner import Planner, Wishes
from raw_trigger.record import tree as recorded_tree
from raw_trigger.repo.repository import Repository
from raw_trigger.revisions import from_arguments
from raw_trigger.trigger import Listener, Trigger
from raw_trigger.workspace.workspace import Workspace
from tests.support.pretended import PretendedProject
from tests.support.project import KEPT, ROOT, SHAPED

PATHS = (*SHAPED, "note.txt", "folder/note.txt", "loose.dat")
CONTENTS = ("0\n", "1\n", "2\n")


def _asset(key: str, **more: object) -> Asset:
    return Asset(key, tuple(key.split("/")), "here", **more)  # type: ignore[arg-type]


_PAIR = ("raw/left", "raw/right")
CATALOG = {
    asset.key: asset
    for asset in (
        _asset("a"),
        _asset("b"),
        _asset("sum"),
        _asset("raw/conv"),
        _asset("raw/left", execution_set=_PAIR),
        _asset("raw/right", execution_set=_PAIR),
        _asset("ext", kind="external"),
        _asset("child", parents=("ext",)),
        _asset("part", partitions=Partitions("static", ("x", "y"))),
    )
}
TARGETS = ("a", "b", "sum", "raw/conv", "raw/left", "raw/right", "ext", "child", "part|x", "part|y")

_HEAD = f"root: {ROOT}\nenvironment: local\nassets:\n"
Table = tuple[tuple[str, tuple[str, ...]], ...]
"""Regular expression → what it feeds; the first that matches decides; nothing: ignored."""

_CONVENTION: Table = (
    (r"(.*/)?conv(\.\w+)?", ("raw/conv",)),
    (r"(.*/)?left(\.\w+)?", ("raw/left",)),
    (r"(.*/)?right(\.\w+)?", ("raw/right",)),
)
_PARTS: Table = ((r"part/x\.csv", ("part|x",)), (r"part/y\.csv", ("part|y",)))
_PARTS_TEXT = '  - {path: "part/{p}.csv", asset: part, partition: "{p}"}\n'

RULES: tuple[tuple[str, Table], ...] = (
    (
        _HEAD
        + '  - {path: "**/*.txt", ignore: true}\n  - {path: pair.csv, assets: [a, b]}\n'
        + '  - {path: "folder/**", asset: sum}\n  - {path: ext.csv, asset: ext}\n'
        + _PARTS_TEXT,
        (
            (r".*\.txt", ()),
            (r"pair\.csv", ("a", "b")),
            (r"folder/.+", ("sum",)),
            (r"ext\.csv", ("ext",)),
            *_PARTS,
        ),
    ),
    (
        _HEAD
        + '  - {path: "**/*.txt", ignore: true}\n  - {path: pair.csv, asset: a}\n'
        + '  - {path: "folder/**", assets: [b, sum]}\n  - {path: ext.csv, asset: ext}\n'
        + _PARTS_TEXT,
        (
            (r".*\.txt", ()),
            (r"pair\.csv", ("a",)),
            (r"folder/.+", ("b", "sum")),
            (r"ext\.csv", ("ext",)),
            *_PARTS,
        ),
    ),
    (
        _HEAD
        + '  - {path: "folder/**", ignore: true}\n  - {path: "*.txt", asset: sum}\n'
        + "  - {path: pair.csv, assets: [a, b, raw/conv]}\n  - {path: ext.csv, asset: ext}\n"
        + _PARTS_TEXT,
        (
            (r"folder/.+", ()),
            (r"[^/]*\.txt", ("sum",)),
            (r"pair\.csv", ("a", "b", "raw/conv")),
            (r"ext\.csv", ("ext",)),
            *_PARTS,
        ),
    ),
    (
        _HEAD
        + '  - {path: "**/*.txt", ignore: true}\n  - {path: pair.csv, assets: [a, b]}\n'
        + '  - {path: "folder/**", asset: sum}\n  - {path: ext.csv, asset: ext}\n'
        + "  - {path: loose.dat, assets: [ext, raw/left]}\n"
        + _PARTS_TEXT,
        (
            (r".*\.txt", ()),
            (r"pair\.csv", ("a", "b")),
            (r"folder/.+", ("sum",)),
            (r"ext\.csv", ("ext",)),
            (r"loose\.dat", ("ext", "raw/left")),
            *_PARTS,
        ),
    ),
)


def direct(rules: int, path: str) -> tuple[str, ...]:
    """What the path feeds by its rule."""
    for pattern, targets in (*RULES[rules][1], *_CONVENTION):
        if re.fullmatch(pattern, path):
            return targets
    return ()


def made_with(target: str) -> tuple[str, ...]:
    """The target and everything that has to be made when it is due."""
    return {"ext": ("ext", "child"), "raw/left": _PAIR, "raw/right": _PAIR}.get(target, (target,))


def feeds(rules: int, path: str) -> frozenset[str]:
    """All that is made from the path."""
    return frozenset(made for target in direct(rules, path) for made in made_with(target))


def blob(content: bytes) -> str:
    """Git's id of the content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class KilledError(RawTriggerError):
    """The launch ended before its end."""


@dataclass
class Mischief:
    """What goes wrong in the next launch: after ``after`` targets.

    ``write`` are a path and content that somebody saves meanwhile, ``end`` how it ends early.
    """

    after: int = 0
    write: tuple[str, str | None] | None = None
    end: str | None = None


@dataclass
class World:
    """A repository, and what each target read of each path when it last succeeded (None: it was not there)."""

    top: Path
    rules: int = 0
    failing: frozenset[str] = frozenset()
    mischief: Mischief | None = None
    read: dict[tuple[str, str], str | None] = field(default_factory=dict)
    declared: dict[str, str] = field(default_factory=dict)
    doubtful: set[tuple[str, str]] = field(default_factory=set)
    settled: set[tuple[str, str]] = field(default_factory=set)
    known: bool = False
    interfered: bool = False
    launches: int = 0
    complaints: list[str] = field(default_factory=list)

    # git and files, as a person uses them

    def try_git(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *args],
            cwd=self.top,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def git(self, *args: str) -> str:
        done = self.try_git(*args)
        assert done.returncode == 0, f"git {args}: {done.stdout}{done.stderr}"
        return done.stdout.strip("\n")

    def file(self, path: str) -> Path:
        return self.top / ROOT / path

    def write(self, path: str, content: str | None) -> None:
        """Write a file, in the place of whatever folder or file is in its way; None deletes it."""
        file = self.file(path)
        if content is None:
            if file.is_file():
                file.unlink()
            return
        if file.is_dir():
            shutil.rmtree(file)
        if file.parent.is_file():
            file.parent.unlink()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def disk(self) -> dict[str, str]:
        """Every raw file that is there → its blob's id."""
        found = {}
        root = str(self.top / ROOT)
        for folder, _, names in os.walk(root):
            for name in names:
                full = f"{folder}/{name}"
                with open(full, "rb") as file:  # noqa: PTH123
                    found[full[len(root) + 1 :]] = blob(file.read())
        return found

    def listed(self, tree: str) -> dict[str, str]:
        """Every raw file of a tree."""
        out = self.git("ls-tree", "-r", "-z", "--full-tree", tree, "--", ROOT)
        records = [record.split("\t") for record in out.split("\0")[:-1]]
        return {path[len(ROOT) + 1 :]: meta.split(" ")[2] for meta, path in records}

    def busy(self) -> bool:
        """Whether git is in the middle of something."""
        names = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge")
        return any((self.top / ".git" / name).exists() for name in names)

    # The oracle

    def set_rules(self, number: int) -> None:
        """Take other rules for granted.

        What a path feeds no more is not known when it comes back; what it newly feeds has to run,
        even if the first use took everything as reflected.
        """
        for path in (*PATHS, KEPT):
            self.doubtful |= {(path, target) for target in feeds(self.rules, path) ^ feeds(number, path)}
        self.rules = number

    def use_rules(self, number: int) -> None:
        """Write other rules into the file."""
        (self.top / "raw-trigger.yaml").write_text(RULES[number][0])
        self.notice_rules()

    def notice_rules(self) -> None:
        """The rules are those on disk, whoever put them there: a checkout too."""
        file = self.top / "raw-trigger.yaml"
        texts = [text for text, _ in RULES]
        number = texts.index(file.read_text())
        if number != self.rules:
            self.set_rules(number)

    def declare(self, tree: str | None, *, strict: bool) -> None:
        """Everything reflects the tree.

        Args:
            strict: Only what is fed by today's rules; otherwise what is fed by later ones too.
        """
        files = {} if tree is None else self.listed(tree)
        self.read = {(p, t): oid for p, oid in files.items() for t in feeds(self.rules, p)}
        self.declared = {} if strict else files
        self.doubtful = set()
        self.settled = set()
        self.known = True

    def reflected(self, path: str, target: str) -> str | None:
        """What the target really reflects of the path."""
        return self.read.get((path, target), self.declared.get(path))

    def paths_of(self, target: str) -> list[str]:
        """Every path that ever fed the target, or could."""
        return [path for path in (*PATHS, KEPT) if target in feeds(self.rules, path)]

    # raw-trigger

    configurations: ClassVar[dict[str, Config]] = {}

    def configuration(self, text: str) -> Config:
        """What the text of the file says: parsed once, because every step of the machine asks."""
        if text not in self.configurations:
            self.configurations[text] = load_config(self.top / "raw-trigger.yaml", self.top)
        return self.configurations[text]

    def workspace(self) -> Workspace:
        repo = Repository.discover(self.top)
        config = self.configuration((self.top / "raw-trigger.yaml").read_text())
        project = PretendedProject(self.top, CATALOG)
        return Workspace(repo, config, project, "local")  # type: ignore[arg-type]

    def surroundings(self) -> dict[str, bytes]:
        """What no command may change: the index, HEAD, and every ref but ours."""
        git_dir = self.top / ".git"
        found = {}
        for name in ("index", "HEAD", "packed-refs", "ORIG_HEAD", "MERGE_HEAD", "logs/HEAD"):
            path = git_dir / name
            if path.exists():
                found[name] = path.read_bytes()
        for path in (git_dir / "refs").rglob("*"):
            name = str(path.relative_to(git_dir))
            if path.is_file() and not name.startswith(recorded_tree.PREFIX):
                found[name] = path.read_bytes()
        return found

    def tool(self, action: Callable[[Workspace], object]) -> object:
        """Do something with raw-trigger; errors, interrupts and kills are told as values."""
        self.notice_rules()
        before = self.surroundings()
        files = self.disk()
        quiet = self.mischief is None
        try:
            return action(self.workspace())
        except (RawTriggerError, KeyboardInterrupt) as error:
            return error
        finally:
            self.mischief = None
            assert self.surroundings() == before, "raw-trigger changed the index, HEAD or a ref"
            assert not quiet or self.disk() == files, "raw-trigger changed files"

    def plan(self, workspace: Workspace) -> Plan:
        """What ``raw-trigger diff`` says, with what stands in the way."""
        trigger = Trigger(Planner(workspace))
        base, desired = from_arguments(workspace.repo, workspace.environment, [])
        return trigger.planner.plan(trigger.planner.detect(base, desired), launching=True)

    def run(self, *assets: str) -> object:
        """``raw-trigger run``: (plan, outcome), or the error."""

        def action(workspace: Workspace) -> object:
            trigger = Trigger(Planner(workspace, Wishes(Narrowing(assets))))
            base, desired = from_arguments(workspace.repo, workspace.environment, [])
            self.interfered = False
            with trigger.planned(base, desired, face="cli") as plan:
                return plan, trigger.run(plan, self, face="cli")

        return self.tool(action)

    def hook(self, name: str, *args: str, stdin: str = "") -> bool:
        """What git's hook does; whether git may go on."""

        def action(workspace: Workspace) -> object:
            return [
                run_hook(
                    workspace,
                    name,
                    event,
                    environ=os.environ,
                    launcher=self,
                    listener=Listener(),
                    detached=lambda log: ["false", str(log)],
                )
                for event in hook_events(workspace, name, args, stdin.encode(), os.environ)
            ]

        done = self.tool(action)
        return isinstance(done, list) and not any(one.failed for one in done)

    def adopt(self, revision: str) -> None:
        tree = self.git("rev-parse", f"{revision}^{{tree}}")
        done = self.tool(lambda workspace: adopt(Planner(workspace), tree))
        assert isinstance(done, dict), done
        self.declare(tree, strict=True)

    # The launcher

    submits: ClassVar[bool] = False

    def ready(self) -> AbstractContextManager[None]:
        return nullcontext()

    def launch(
        self,
        prepare: Callable[[], Order],
        on_target: Callable[[TargetOutcome], None],
        on_batch: Callable[[int], None],
    ) -> Report:
        """Read what is on disk, target after target, as assets would."""
        self.launches += 1
        order = prepare()
        if not self.known:
            # First use: the event's own base is what everything reflects.
            self.declare(order.plan.base.oid, strict=False)
        self._needless(order)
        bad: set[str] = set()
        told: set[str] = set()
        mischief = self.mischief
        self.interfered = mischief is not None and mischief.write is not None
        meddled = self._meddled_with(mischief)
        planned_names = {planned.target.text for planned in order.plan.actionable}
        self.doubtful |= {
            (path, name) for name in planned_names for path in self.paths_of(name) if path in meddled
        }
        for number, planned in enumerate(
            sorted(order.plan.actionable, key=lambda t: (t.batch, len(t.after)))
        ):
            on_batch(planned.batch)
            if mischief is not None and mischief.after == number:
                ended = self._meddle(mischief, order, planned.batch, told)
                if ended is not None:
                    return ended
            name = planned.target.text
            told.add(name)
            if any(above.text in bad for above in planned.after):
                bad.add(name)
                on_target(TargetOutcome(planned.target, "skipped"))
            elif name in self.failing:
                bad.add(name)
                on_target(TargetOutcome(planned.target, "failed", error="injected"))
            else:
                files = self.disk()
                for path in self.paths_of(name):
                    self.read[path, name] = files.get(path)
                    if path not in meddled:
                        self.doubtful.discard((path, name))
                    self.settled.discard((path, name))
                on_target(TargetOutcome(planned.target, "success"))
        if mischief is not None and mischief.write is not None and mischief.after >= 3:
            self.write(*mischief.write)
        return Report()

    def _meddled_with(self, mischief: Mischief | None) -> set[str]:
        """What may have been another one for a moment where somebody saves or deletes a file.

        That is the file itself, even with the content that it had, and what is gone from a folder in which
        something is put or taken away.
        """
        if mischief is None or mischief.write is None:
            return set()
        written, files = Path(mischief.write[0]), self.disk()
        gone = (Path(one) for one in (*PATHS, KEPT) if one not in files)
        return {str(written)} | {
            str(one) for one in gone if one.parent in written.parents or written in one.parents
        }

    def _meddle(self, mischief: Mischief, order: Order, batch: int, told: set[str]) -> Report | None:
        """Something goes wrong after these targets, in this batch."""
        if mischief.end is not None:
            # Nobody knows whether they were begun.
            begun = {one.target.text for one in order.plan.actionable if one.batch == batch} - told
            self.doubtful |= {(path, one) for one in begun for path in self.paths_of(one)}
        if mischief.write is not None:
            self.write(*mischief.write)
        if mischief.end == "interrupt":
            raise KeyboardInterrupt
        if mischief.end == "raised":
            raise KilledError("raised")
        return Report(problem=KilledError("killed")) if mischief.end == "killed" else None

    def _needless(self, order: Order) -> None:
        """Complain of targets that reflect everything already."""
        files = self.disk()
        planned = {target.target.text for target in order.plan.actionable}

        def due(name: str) -> bool:
            return any(
                files.get(path) != self.reflected(path, name) or (path, name) in self.doubtful | self.settled
                for path in self.paths_of(name)
            )

        for name in planned:
            excuse = {mate for other in planned - {name} if name in made_with(other) for mate in [other]}
            if not due(name) and not any(due(other) for other in excuse):
                self.complaints.append(name)

    # Judging

    def judge(self) -> None:
        """Nothing is lost, and the record claims nothing that was not read."""
        if not self.known:
            return
        self.notice_rules()
        before = self.surroundings()
        plan = self.plan(self.workspace())
        assert self.surroundings() == before
        assert plan.base.kind == "recorded", "the record is gone"
        files = self.disk()
        todo = {target.target.text for target in plan.actionable}
        waiting = {os.fsdecode(one.change.path)[len(ROOT) + 1 :] for one in plan.waiting}
        for path in (*PATHS, KEPT):
            now = files.get(path)
            for target in sorted(feeds(self.rules, path)):
                had = self.reflected(path, target)
                if now == had or target in todo or path in waiting:
                    continue
                if now is None and ((path, target) in self.doubtful or self._settled(path, target, files)):
                    continue
                if now is None and waiting & set(self.paths_of(target)):
                    continue
                raise AssertionError(
                    f"lost: {target} has {had} of {path}, on disk is {now}; {describe(plan)}"
                )
        self._judge_record(plan)

    def _settled(self, path: str, target: str, files: Mapping[str, str]) -> bool:
        """Whether a deletion leaves nothing to do: nothing that is left feeds what it fed."""
        through = [one for one in direct(self.rules, path) if target in made_with(one)]
        living = {one for left in files for one in direct(self.rules, left)}
        return all(one != "ext" and one not in living for one in through)

    def _judge_record(self, plan: Plan) -> None:
        assert plan.record is not None
        tree = self.listed(plan.record.tree)
        for path in (*PATHS, KEPT):
            here = None if path not in tree else Entry("100644", tree[path])
            for target in sorted(feeds(self.rules, path)):
                entry = plan.record.reflected(f"{ROOT}/{path}".encode(), target, here)
                claimed = None if entry is None else entry.oid
                had = self.reflected(path, target)
                if claimed is None and had is not None:
                    # A deletion that was skipped with a warning: it runs when the file comes back.
                    self.settled.add((path, target))
                # An id of zeros claims nothing: nobody knows.
                if claimed is not None and claimed.strip("0") and claimed != had:
                    raise AssertionError(f"recorded: {target} has {claimed} of {path}, but read {had}")


def describe(plan: Plan) -> str:
    """A plan in one line."""
    changes = [f"{os.fsdecode(c.change.path)}:{c.disposition}" for c in plan.changes]
    targets = [f"{t.target.text}:{t.action}" for t in plan.targets]
    return f"plan {changes} {targets}"


def start(top: Path) -> World:
    """A committed repository with one file at every other path."""
    top.mkdir(parents=True)
    world = World(top)
    world.git("init", "-q")
    world.git("config", "gc.auto", "0")
    (top / "raw-trigger.yaml").write_text(RULES[0][0])
    (top / ".gitattributes").write_text("raw-trigger.yaml -merge\n")
    for path in ("pair.csv", "folder/x.csv", "left.csv", "ext.csv", "part/x.csv", "note.txt", KEPT):
        world.write(path, "0\n")
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "start")
    return world
