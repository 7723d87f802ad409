"""A world to be checked from outside: repositories, worktrees, instances, and what every asset has really read.

The oracle knows nothing of the package: it maps paths by tables of its own, and takes what was read from the
stand-in's log. A step is a value, so that a series of them can be played again, and be made shorter.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.support import sensing
from tests.support.forks import Program, Started, sensor
from tests.support.project import FILE, KEPT, ROOT, SHAPED, StandInProject, name, pending
from tests.support.waiting import wait_for

PATHS = (*SHAPED, "up.csv", "down.csv", "side.csv", "rows.csv", "text.csv", "note.txt")
CONTENTS = ("id,v,w\n1,1,1\n", "id,v,w\n1,2,1\n", "id,v,w\n1,1,2\n", "id,v,w\r\n1,1,1\r\n")
"""The third differs from the first in a column, the last in its line ends."""


def blob(content: str) -> str:
    data = content.encode()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


A, B, C, D = map(blob, CONTENTS)
Canon = Mapping[str | None, str | None]
BY_ROWS: Canon = {C: A, D: A}
BY_TEXT: Canon = {D: A}


@dataclass(frozen=True)
class Rule:
    """A line of the configuration, and what it means: the first that matches decides."""

    text: str
    pattern: str
    feeds: tuple[str, ...]
    canon: Canon = field(default_factory=dict)


@dataclass(frozen=True)
class Rules:
    """A configuration."""

    downstream: str | int
    rules: tuple[Rule, ...]


TXT = Rule('{path: "**/*.txt", ignore: true}', r".*\.txt", ())
PAIR = Rule("{path: pair.csv, assets: [a, b]}", r"pair\.csv", ("a", "b"))
ALONE = Rule("{path: pair.csv, asset: a}", r"pair\.csv", ("a",))
FOLDER = Rule('{path: "folder/**", asset: sum}', r"folder/.+", ("sum",))
FOLDER_TOO = Rule('{path: "folder/**", assets: [b, sum]}', r"folder/.+", ("b", "sum"))
FOLDER_OFF = Rule('{path: "folder/**", ignore: true}', r"folder/.+", ())
EXT = Rule("{path: ext.csv, asset: ext}", r"ext\.csv", ("ext",))
PART_X = Rule('{path: "part/{p}.csv", asset: part, partition: "{p}"}', r"part/x\.csv", ("part|x",))
PART_Y = Rule("", r"part/y\.csv", ("part|y",))
LEFT = Rule("{path: left.csv, asset: raw/left}", r"left\.csv", ("raw/left",))
RIGHT = Rule("{path: right.csv, asset: raw/right}", r"right\.csv", ("raw/right",))
UP = Rule("{path: up.csv, asset: up}", r"up\.csv", ("up",))
DOWN = Rule("{path: down.csv, asset: down}", r"down\.csv", ("down",))
SIDE = Rule("{path: side.csv, asset: side}", r"side\.csv", ("side",))
ROWS = Rule("{path: rows.csv, asset: rows, rows: {key: id, columns: [v]}}", r"rows\.csv", ("rows",), BY_ROWS)
ROWS_OFF = Rule("{path: rows.csv, asset: rows}", r"rows\.csv", ("rows",))
TEXT = Rule("{path: text.csv, asset: text, fingerprint: text}", r"text\.csv", ("text",), BY_TEXT)
TEXT_OFF = Rule("{path: text.csv, assets: [text, a]}", r"text\.csv", ("text", "a"))
ALWAYS = (EXT, PART_X, PART_Y, LEFT, RIGHT, UP, DOWN, SIDE)
RULES = (
    Rules("auto", (TXT, PAIR, FOLDER, ROWS, TEXT, *ALWAYS)),
    Rules("all", (TXT, PAIR, FOLDER, ROWS, TEXT, *ALWAYS)),
    Rules("all", (TXT, ALONE, FOLDER_TOO, ROWS_OFF, TEXT_OFF, *ALWAYS)),
    Rules(1, (FOLDER_OFF, PAIR, ROWS_OFF, TEXT, *ALWAYS)),
    Rules("none", (TXT, FOLDER_TOO, ALONE, ROWS, TEXT_OFF, *ALWAYS)),
)

MATES = ("raw/left", "raw/right")
_BASE: dict[str, dict[str, Any]] = {
    "a": {"checks": ["sound"]},
    "b": {},
    "sum": {},
    "raw/left": {"set": MATES},
    "raw/right": {"set": MATES},
    "ext": {"external": True},
    "child": {"parents": ["ext"]},
    "part": {"partitions": ["x", "y"]},
    "up": {},
    "down": {"parents": ["up"]},
    "side": {"parents": ["up"]},
    "last": {"parents": ["down", "side", "text"]},
    "rows": {},
    "text": {},
}
CODES = (
    {**_BASE, "raw/conv": {}},
    _BASE,
    {**_BASE, "raw/conv": {}, "more": {"parents": ["up"]}, "grand": {"parents": ["child"]}},
    {**_BASE, "text": {"parents": ["up"]}},
)
"""What the project's code defines; ``raw/conv`` is mapped by convention."""
KEYS = sorted({key for code in CODES for key in code})

BEHAVIOURS = {
    "before": ("read", "fail"),
    "late": ("materialized", "fail"),
    "check": ("check", "fail"),
    "exit": ("materialized", "exit"),
    "killed": ("read", "kill"),
    "killed late": ("materialized", "kill"),
    "killed in a check": ("check", "kill"),
    "all killed": ("read", "kill all"),
    "all killed late": ("materialized", "kill all"),
    "all killed at the end": ("end", "kill all"),
    "interrupted": ("read", "interrupt"),
    "interrupted late": ("materialized", "interrupt"),
}
"""What goes wrong → when, and what."""

Step = tuple[Any, ...]


class LossError(AssertionError):
    """A promise is broken."""


@dataclass(frozen=True)
class State:
    """What a target was made from: what was on disk, and what its parents were made from then.

    Attributes:
        assumed: What it was said to reflect, by path.
        unseen: What git did not look at when it was made.
    """

    own: Mapping[str, str] | None = None
    parents: Mapping[str, State] = field(default_factory=dict)
    assumed: Mapping[str, str | None] = field(default_factory=dict)
    unseen: frozenset[str] = frozenset()


NEVER = State()


class World:
    """A repository, its linked worktree, and what each target was last made from."""

    def __init__(self, folder: Path, program: Program) -> None:
        self.folder = folder
        self.home, self.other = folder / "home", folder / "other home"
        control = folder / "control"
        for one in (self.home, self.other, control):
            one.mkdir()
        self.main = StandInProject(folder / "repo", control, program)
        self.linked = StandInProject(folder / "linked", control, program)
        self.control = control
        self.states: dict[str, State] = {}
        self.read_lines = 0
        self.rules, self.code = 0, 0
        self.trace: list[str] = []
        self.steps = 0
        self.held: _Held | None = None
        self.unheard = False
        """Whether somebody asked for a run that will never be made."""

    # The repository

    def start(self, adopted: bool) -> None:
        """A committed project, its hooks, and a record of one kind or the other."""
        main = self.main
        main.top.mkdir()
        self.git("init", "-q", "-b", "main")
        self.git("config", "gc.auto", "0")
        (main.top / ".git/info").mkdir(exist_ok=True)
        (main.top / ".git/info/exclude").write_text("")
        main.write({".gitattributes": "raw-trigger.yaml -merge\n"})
        self.set_rules(0)
        self.set_code(0)
        for path in (
            "pair.csv",
            "folder/x.csv",
            "left.csv",
            "ext.csv",
            "part/x.csv",
            "up.csv",
            "down.csv",
            KEPT,
        ):
            self.write(path, CONTENTS[0])
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "start")
        if adopted:
            self.adopt("HEAD")
        else:
            self.tool("run", "--all")
        self.tool("install")
        self.git("worktree", "add", "-q", "-b", "linked", str(self.linked.top))
        self.judge(random.Random(0))

    def environ(self) -> dict[str, str]:
        return {"DAGSTER_HOME": str(self.home)}

    def git(self, *args: str, where: StandInProject | None = None) -> str:
        done = self.try_git(*args, where=where)
        if done.returncode:
            raise AssertionError(f"git {args}: {done.stdout}{done.stderr}")
        return done.stdout.strip("\n")

    def try_git(self, *args: str, where: StandInProject | None = None) -> subprocess.CompletedProcess[str]:
        done = (where or self.main).try_git(*args, env=self.environ())
        self.note(f"git {' '.join(args)}", done)
        return done

    def tool(
        self, *args: str, where: StandInProject | None = None, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        done = (where or self.main).tool(*args, **{**self.environ(), **environ})
        self.note(f"raw-trigger {' '.join(args)}", done)
        return done

    def note(self, what: str, done: subprocess.CompletedProcess[str]) -> None:
        """Nothing may be a bug, whatever is done."""
        said = done.stdout + done.stderr
        self.trace.append(f"  $ {what} → {done.returncode}\n{said}")
        if done.returncode == 70 or "Traceback" in said:
            raise LossError(f"a bug in {what}: {said}")

    def write(self, path: str, content: str | None, where: StandInProject | None = None) -> None:
        """Write a file, in the place of whatever folder or file is in its way; None deletes it."""
        file = (where or self.main).top / ROOT / path
        if content is None:
            if file.is_file():
                file.unlink()
            return
        if file.is_dir():
            shutil.rmtree(file)
        if file.parent.is_file():
            file.parent.unlink()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode())

    def disk(self) -> dict[str, str]:
        """Every raw file that is there → its blob's id."""
        root = self.main.top / ROOT
        return {
            str(file.relative_to(root)): blob(file.read_bytes().decode())
            for file in root.rglob("*")
            if file.is_file()
        }

    def listed(self, tree: str) -> dict[str, str]:
        """Every raw file of a tree."""
        out = self.git("ls-tree", "-r", "-z", "--full-tree", tree, "--", ROOT)
        records = [record.split("\t") for record in out.split("\0")[:-1]]
        return {path[len(ROOT) + 1 :]: meta.split(" ")[2] for meta, path in records}

    def set_rules(self, number: int) -> None:
        one = RULES[number]
        text = "\n".join(rule.text for rule in one.rules if rule.text)
        self.main.configure(text, environment="local", downstream=one.downstream)

    def set_code(self, number: int) -> None:
        self.main.define(CODES[number])

    def notice(self) -> None:
        """The rules and the code are those on disk, whoever put them there."""
        text = (self.main.top / "raw-trigger.yaml").read_text()
        rules = next(n for n, one in enumerate(RULES) if self._text(one) == text)
        defined = json.loads((self.main.top / FILE).read_text())["assets"]
        code = next(n for n, one in enumerate(CODES) if json.loads(json.dumps(one)) == defined)
        self.rules, self.code = rules, code

    def _text(self, one: Rules) -> str:
        text = "\n".join(rule.text for rule in one.rules if rule.text)
        return self.main.configuration(text, environment="local", downstream=one.downstream)

    # The oracle

    def rule(self, path: str) -> Rule | None:
        return next((r for r in RULES[self.rules].rules if re.fullmatch(r.pattern, path, re.DOTALL)), None)

    def named(self, path: str) -> set[str]:
        """The targets that a path is mapped to."""
        rule = self.rule(path)
        if rule is None:
            found = {"raw/conv"} if re.fullmatch(r"(.*/)?conv(\.\w+)?", path) else set()
        else:
            found = set(rule.feeds)
        return {target for target in found if target.partition("|")[0] in CODES[self.code]}

    def direct(self, path: str) -> set[str]:
        """The targets that a path is mapped to, with what is made with them."""
        return self.together(self.named(path))

    def together(self, targets: set[str]) -> set[str]:
        """The targets with what is made with them."""
        return targets | set(MATES) if targets & set(MATES) else targets

    def children(self, target: str) -> set[str]:
        code = CODES[self.code]
        return {key for key, one in code.items() if target in one.get("parents", ())}

    def levels(self) -> int:
        """How far down what is made from something is made too."""
        depth = RULES[self.rules].downstream
        return {"auto": 0, "all": 9, "none": 0}.get(str(depth), 1)

    def fed(self, path: str) -> set[str]:
        """Every target of a path."""
        return self.made_from(self.named(path))

    def made_from(self, targets: set[str]) -> set[str]:
        """The targets, what is made with them, and what is made from them."""
        found = self.together(targets)
        level = set(found)
        for _ in range(self.levels()):
            level = {child for target in level for child in self.children(target)}
            found |= level
        if RULES[self.rules].downstream == "auto" and "ext" in found:
            found |= self.children("ext")
        return found

    def through(self, target: str, path: str) -> set[str]:
        """The parents by which a path feeds a target."""
        fed = self.fed(path)
        parents = set(CODES[self.code].get(target, {}).get("parents", ())) & fed
        if RULES[self.rules].downstream == "auto":
            return parents & {"ext"}
        if self.levels() == 1:
            return parents & self.direct(path)
        return parents if self.levels() else set()

    def same(self, path: str, one: str | None, two: str | None) -> bool:
        rule = self.rule(path)
        canon: Canon = {} if rule is None else rule.canon
        return canon.get(one, one) == canon.get(two, two)

    def reflects(self, state: State, target: str, path: str, now: str | None) -> bool:
        """Whether what a target was made from is what is there now."""
        if path in state.assumed and self.same(path, state.assumed[path], now):
            return True
        if state.own is None:
            return now is None
        if target in self.direct(path) and not self.same(path, state.own.get(path), now):
            return False
        return all(
            self.reflects(state.parents.get(parent, NEVER), parent, path, now)
            for parent in self.through(target, path)
        )

    def absorb(self) -> list[str]:
        """Take in what was materialized since; the targets."""
        lines = self.main.truth()
        new, self.read_lines = lines[self.read_lines :], len(lines)
        made = []
        unseen = frozenset(self.ignored(self.main) | self.ignored(self.linked)) if new else frozenset()
        for line in new:
            if line["home"] != str(self.home):
                continue
            target = line["target"]
            own = {path[len(ROOT) + 1 :]: oid for path, oid in line["read"].items()}
            above = CODES[self.code].get(target, {}).get("parents", ())
            known = self.states
            if self.held is not None and line["run"] == self.held.run and not self.held.went_on:
                known, self.held.went_on = self.held.states, True
            parents = {parent: known.get(parent, NEVER) for parent in above}
            self.states[target] = State(own, parents, unseen=unseen)
            made.append(target)
        return made

    def adopt(self, revision: str) -> None:
        if self.tool("adopt", revision).returncode == 0:
            self.absorb()
            files = self.listed(revision)
            for target in {target for path in (*PATHS, KEPT) for target in self.fed(path)}:
                assumed = {p: files.get(p) for p in (*PATHS, KEPT) if target in self.fed(p)}
                self.states[target] = replace(self.states.get(target, NEVER), assumed=assumed)

    def settled(self, path: str, target: str, files: Mapping[str, str]) -> bool:
        """Whether a deletion leaves nothing to do: nothing that is left feeds what it fed the target by."""
        living = {one for left in files.keys() - self.ignored(self.main) for one in self.named(left)} | {
            "ext"
        }
        return not any(target in self.made_from({one}) for one in self.named(path) & living)

    def ignored(self, where: StandInProject) -> set[str]:
        """The files on disk that git does not look at."""
        if not (self.main.top / ".git/info/exclude").read_text():
            return set()
        found = self.git("ls-files", "-z", "-o", "-i", "--exclude-standard", "--", ROOT, where=where).split(
            "\0"
        )
        return {path[len(ROOT) + 1 :] for path in found}

    def due(self, files: Mapping[str, str]) -> dict[str, list[str]]:
        """Target → the paths of which it was made from another content."""
        found: dict[str, list[str]] = {}
        ignored = self.ignored(self.main)
        for path in (*PATHS, KEPT):
            now = files.get(path)
            for target in sorted(self.fed(path)):
                state = self.states.get(target, NEVER)
                if self.reflects(state, target, path, now):
                    continue
                if now is None and (path in state.unseen or self.settled(path, target, files)):
                    continue
                if path in ignored:
                    continue
                found.setdefault(target, []).append(path)
        return found

    # Judging

    def judge(self, draw: random.Random) -> list[str]:
        """Nothing is lost; every face says the same. Returns what is to be done."""
        self.absorb()
        self.notice()
        todo = self._judge_disk()
        if draw.random() < 0.3:
            self._judge_faces(draw, todo)
        # It touches what a run at work may have read.
        if draw.random() < 0.4 and self.held is None:
            self._judge_otherwise(draw.choice(CONTENTS))
        return todo

    def _judge_disk(self) -> list[str]:
        files = self.disk()
        plan = self._plan()
        todo, waiting, coming = pending(plan), waiting_paths(plan), in_flight(plan)
        if coming and not (self.held or self.unheard or self.asked() or self.dangling()):
            raise LossError(f"nobody makes {coming}")
        for target, paths in self.due(files).items():
            if target not in (*todo, *coming) and not set(paths) <= waiting:
                raise LossError(f"lost: {target} of {paths}; planned are {todo}, waiting {waiting}")
        return todo

    def _plan(self) -> dict[str, Any]:
        done = self.tool("diff", "--format", "json")
        if done.returncode:
            raise LossError(f"diff fails: {done.stderr}")
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    def _judge_faces(self, draw: random.Random, todo: Sequence[str]) -> None:
        status = json.loads(self.tool("status", "--format", "json").stdout)
        said = sorted(map(name, status["targets"]))
        if said != sorted(todo):
            raise LossError(f"status says {said}, diff says {sorted(todo)}")
        code = self.tool("diff", "--exit-code").returncode
        if todo and code != 1:
            raise LossError(f"diff --exit-code says {code}, diff says {todo}")
        files = self.disk()
        due = self.due(files)
        if due:
            target = draw.choice(sorted(due))
            # Of what is gone, and was settled as such, nothing is there to be explained.
            path = draw.choice([one for one in due[target] if one in files] or due[target])
            done = self.tool("explain", f"{ROOT}/{path}", "--format", "json")
            unheard = path not in files and "neither a raw file nor" in done.stderr
            if not unheard and not any(one["pending"] for one in json.loads(done.stdout or "[]")):
                raise LossError(f"explain says nothing of {path}, of which {target} has another content")

    def _judge_otherwise(self, content: str) -> None:
        """What would be pending if all files had this content? So a wrong record shows at once."""
        before = {path: (self.main.top / ROOT / path).read_bytes() for path in self.disk()}
        for path in before:
            self.write(path, content)
        try:
            self._judge_disk()
        finally:
            for path, old in before.items():
                (self.main.top / ROOT / path).write_bytes(old)

    def run(self, *args: str, where: StandInProject | None = None, **environ: str) -> None:
        """Run, and once more: nothing is made twice."""
        self.notice()
        disturbed = self.disturbed()
        done = self.tool("run", *args, where=where, **environ)
        made = self.absorb()
        if disturbed or args or where or environ or done.returncode not in (0, 1):
            return
        plan = self._plan()
        if done.returncode == 0 and not waiting_paths(plan) and pending(plan):
            raise LossError(f"after a success {pending(plan)} are pending")
        starts = self.starts()
        failed = set(self.failed_of(done))
        self.tool("run")
        again = set(self.absorb())
        if done.returncode == 0 and not waiting_paths(plan) and self.starts() != starts:
            raise LossError("a second run has started the interpreter")
        excused = failed | {mate for mate in MATES if failed & set(MATES)}
        if twice := again & set(made) - excused:
            raise LossError(f"made twice: {twice}; {failed} failed")

    # The sensor and the daemon

    def asked(self) -> list[dict[str, Any]]:
        """What the sensor has asked for, and has no run yet."""
        return sensing.requests(self.home)

    def dangling(self) -> list[str]:
        """The runs of the sensor that have not ended, and whose process is gone."""
        return [one for one in sensing.running(self.home) if self.held is None or one != self.held.run]

    def tick(self, how: str = "") -> None:
        self.unheard = how == "die" or (self.unheard and how != "late")
        done = sensor().run("tick", str(self.control), how, cwd=self.main.top, env=self._environ())
        self.note(f"tick {how}", done)
        self.absorb()

    def start_run(self, number: int, run: str, gate: str = "") -> Started:
        """Make the run of a request, as the daemon does."""
        args = ("run", str(self.control), str(number), run, gate)
        return sensor().start(*args, cwd=self.main.top, env=self._environ())

    def make(self, number: int) -> None:
        run = str(uuid.uuid4())
        self.note(f"daemon makes {number}, run {run[:8]}", self.start_run(number, run).wait())
        self.absorb()

    def hold(self, number: int) -> None:
        """Make a run that waits when it has read something."""
        run, asked = str(uuid.uuid4()), self.asked()[number]["batch"]["targets"]
        targets = {name({**one, "asset": "/".join(one["asset"])}) for one in asked}
        gate = self.control / f"{run}.gate"
        held = _Held(run, gate, self.start_run(number, run, str(gate)), targets, dict(self.states))
        wait_for(lambda: gate.with_suffix(".reached").exists() or held.process.has_ended())
        self.held = held
        self.trace.append(f"  $ daemon makes {number}, run {run[:8]}, which waits")

    def go_on(self) -> None:
        if self.held is not None:
            self.held.gate.touch()
            self.note("it goes on", self.held.process.wait())
            self.absorb()
            self.held = None

    def end_runs(self, status: str) -> None:
        """Of those whose process is gone."""
        sensing.end(self.home, status, alive=None if self.held is None else self.held.run)

    def drain(self) -> None:
        """The daemon makes everything."""
        self.go_on()
        while self.asked():
            self.make(0)
        self.end_runs("FAILURE")

    def _environ(self) -> dict[str, str]:
        return self.main.environ(**self.environ())

    def sense(self) -> None:
        """The sensor looks until there is nothing to do: nothing is made twice."""
        self.drain()
        self.tick()
        self.notice()
        disturbed, made = self.disturbed(), Counter[str]()
        for _ in range(9):
            before = self.read_lines
            self.drain()
            made.update({line["target"] for line in self.main.truth()[before:]})
            self.tick()
            if not self.asked():
                break
        else:
            raise LossError("the sensor comes to no end")
        twice = [target for target, times in made.items() if times > 1]
        if twice and not disturbed:
            raise LossError(f"made twice by the sensor: {twice}")

    def disturbed(self) -> bool:
        """Whether something is to happen in the next launch."""
        file = self.control / "behaviour.json"
        return file.exists() and any(one.get("times") for one in json.loads(file.read_text()))

    def failed_of(self, done: subprocess.CompletedProcess[str]) -> list[str]:
        """The targets that a run says have failed."""
        return re.findall(r"^ *✘ (\S+)", done.stdout, re.MULTILINE)

    def starts(self) -> int:
        """How often the runner was started."""
        return (self.control / "starts").read_text().split().count("runner")

    def busy(self) -> bool:
        names = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge")
        return any((self.main.top / ".git" / name).exists() for name in names)


@dataclass
class _Held:
    """A run that waits.

    Attributes:
        targets: What it makes.
        states: What its first target is made from.
        went_on: Whether that is known.
    """

    run: str
    gate: Path
    process: Started
    targets: set[str]
    states: Mapping[str, State]
    went_on: bool = False


def in_flight(plan: Mapping[str, Any]) -> list[str]:
    """The targets that somebody is making, and what waits for them."""
    reasons = {name(one): one["reason"] or "" for one in plan["targets"] if one["action"] == "skip"}
    return [target for target, reason in reasons.items() if re.search(r" making it$|^it waits for ", reason)]


def waiting_paths(plan: Mapping[str, Any]) -> set[str]:
    """The raw files that cannot be run for now."""
    return {
        change["path"][len(ROOT) + 1 :]
        for change in plan["changes"]
        if change["disposition"] in ("dirty", "missing-content")
    }


# Steps -------------------------------------------------------------------------------------------


def draw_steps(seed: object, count: int, *, sensed: bool = False) -> list[Step]:
    """A series of steps; those of a seed are always the same.

    Args:
        sensed: Whether there is a sensor, too.
    """
    draw = random.Random(str(seed))
    path, content = (lambda: draw.choice(PATHS)), (lambda: draw.choice(CONTENTS))
    branch = lambda: draw.choice(("main", "one", "two"))  # noqa: E731
    kinds: dict[str, tuple[float, Callable[[], Step]]] = {
        "edit": (12, lambda: (path(), content())),
        "delete": (4, lambda: (path(),)),
        "rename": (2, lambda: (path(), path())),
        "restore": (2, lambda: (path(),)),
        "commit": (9, lambda: (draw.choice(("", "", "--no-verify")),)),
        "commit_path": (3, lambda: (path(),)),
        "stage": (2, lambda: (path(),)),
        "amend": (2, tuple),
        "reset": (2, lambda: (draw.choice(("--hard", "--soft", "--mixed")), draw.choice(("HEAD", "HEAD~1")))),
        "switch": (4, lambda: (branch(),)),
        "merge": (2, lambda: (branch(),)),
        "stash": (2, tuple),
        "pop": (2, tuple),
        "run": (10, tuple),
        "run_asset": (5, lambda: (draw.choice(KEYS),)),
        "run_path": (2, lambda: (path(),)),
        "run_below": (2, lambda: (draw.choice(KEYS), draw.choice(("all", "none", "1")))),
        "adopt": (1, lambda: (draw.choice(("HEAD", "HEAD~1")),)),
        "forget": (1, lambda: (draw.choice(KEYS),)),
        "use_rules": (3, lambda: (draw.randrange(len(RULES)),)),
        "use_code": (2, lambda: (draw.randrange(len(CODES)),)),
        "fail": (3, lambda: tuple(sorted(draw.sample(KEYS, draw.randrange(4))))),
        "trouble": (8, lambda: (draw.choice(list(BEHAVIOURS)), draw.choice(("*", draw.choice(KEYS))))),
        "meanwhile": (2, lambda: (path(), draw.choice((None, *CONTENTS)))),
        "stashed_meanwhile": (2, tuple),
        "elsewhere": (3, lambda: (path(), content())),
        "other_instance": (1, lambda: (path(), content())),
        "mode": (1, lambda: (path(),)),
        "ignore": (2, lambda: (path(),)),
        "look_again": (1, tuple),
    }
    if sensed:
        kinds |= {
            "tick": (14, lambda: (draw.choice(("", "", "", "", "late", "die")),)),
            "daemon": (10, lambda: (draw.random(),)),
            "hold": (6, lambda: (draw.random(),)),
            "edit_held": (8, lambda: (draw.random(), content())),
            "go_on": (6, tuple),
            "cancel": (2, lambda: (draw.random(),)),
            "monitor": (3, tuple),
            "sense": (4, tuple),
        }
    names = list(kinds)
    weights = [kinds[kind][0] for kind in names]
    return [(kind, *kinds[kind][1]()) for kind in draw.choices(names, weights, k=count)]


class Player:
    """Takes steps in a world; after each of them the promises hold."""

    def __init__(self, world: World, seed: object) -> None:
        self.world = world
        self.draw = random.Random(f"{seed} judged")
        self.serial = 0
        self.failing: tuple[str, ...] = ()

    def take(self, step: Step) -> None:
        self.world.trace.append(f"# {step}")
        self.world.notice()
        getattr(self, step[0])(*step[1:])
        self._resolve()
        self.world.steps += 1
        self.world.judge(self.draw)

    def finish(self) -> None:
        """In the end everything comes good."""
        self.fail()
        self.look_again()
        self.world.trace.append("# the end")
        self.world.drain()
        self.world.tick("late")
        self.world.drain()
        for _ in range(2):
            done = self.world.tool("run")
        todo = self.world.judge(self.draw)
        if done.returncode or todo:
            raise LossError(
                f"the last run does not succeed: {done.returncode}, {todo} {done.stdout}{done.stderr}"
            )

    def _resolve(self) -> None:
        world = self.world
        if world.busy():
            world.try_git("merge", "--abort")
        if world.git("ls-files", "-u"):
            world.git("checkout", "-f", "HEAD")
            world.git("reset", "-q", "--hard")
        top = world.main.top
        for file, write in (("raw-trigger.yaml", world.set_rules), (FILE, world.set_code)):
            text = (top / file).read_text() if (top / file).exists() else "<<<<"
            if "<<<<" in text:
                write(0)
        (top / ROOT).mkdir(parents=True, exist_ok=True)

    # Files

    def edit(self, path: str, content: str) -> None:
        self.world.write(path, content)

    def delete(self, path: str) -> None:
        self.world.write(path, None)

    def rename(self, old: str, new: str) -> None:
        file = self.world.main.top / ROOT / old
        if old != new and file.is_file():
            content = file.read_bytes().decode()
            self.world.write(old, None)
            self.world.write(new, content)

    def restore(self, path: str) -> None:
        self.world.try_git("checkout", "-q", "HEAD", "--", f"{ROOT}/{path}")

    def mode(self, path: str) -> None:
        file = self.world.main.top / ROOT / path
        if file.is_file():
            file.chmod(0o644 if os.access(file, os.X_OK) else 0o755)

    def ignore(self, path: str) -> None:
        """Git forgets a file, the disk keeps it."""
        with (self.world.main.top / ".git/info/exclude").open("a") as file:
            file.write(f"/{ROOT}/{path}\n")
        self.world.try_git("rm", "-r", "-q", "--cached", "--", f"{ROOT}/{path}")

    def look_again(self) -> None:
        (self.world.main.top / ".git/info/exclude").write_text("")

    # Git

    def commit(self, how: str) -> None:
        self.serial += 1
        self.world.git("add", "-A")
        self.world.try_git("commit", "-q", "-m", str(self.serial), *([how] if how else self._impatient()))

    def _impatient(self) -> list[str]:
        """Where something is in flight nobody waits for it, who could be the one that makes it."""
        world = self.world
        coming = world.held or world.unheard or world.asked() or world.dangling()
        return ["--no-verify"] if coming else []

    def commit_path(self, path: str) -> None:
        self.world.try_git("commit", "-q", *self._impatient(), "-m", path, "--", f"{ROOT}/{path}")

    def stage(self, path: str) -> None:
        self.world.try_git("add", "-A", "--", f"{ROOT}/{path}")

    def amend(self) -> None:
        self.world.git("add", "-A")
        how = ("--amend", "-m", "amended", "--allow-empty", *self._impatient())
        self.world.try_git("commit", "-q", *how)

    def reset(self, how: str, to: str) -> None:
        self.world.try_git("reset", "-q", how, to)

    def switch(self, branch: str) -> None:
        known = self.world.try_git("rev-parse", "-q", "--verify", f"refs/heads/{branch}").returncode == 0
        self.world.try_git("switch", "-q", *([] if known else ["-c"]), branch)

    def merge(self, branch: str) -> None:
        self.world.try_git("merge", "-q", "--no-edit", "-X", "ours", branch)

    def stash(self) -> None:
        self.world.try_git("stash", "-q", "-u")

    def pop(self) -> None:
        self.world.try_git("stash", "pop", "-q")

    # raw-trigger

    def run(self) -> None:
        self.world.run()

    def run_asset(self, key: str) -> None:
        self.world.run("--asset", key)

    def run_below(self, key: str, depth: str) -> None:
        self.world.run("--asset", key, "--downstream", depth)

    def run_path(self, path: str) -> None:
        self.world.run("--path", path)

    def adopt(self, revision: str) -> None:
        if self.world.try_git("rev-parse", "-q", "--verify", revision).returncode == 0:
            self.world.adopt(revision)

    def forget(self, key: str) -> None:
        world = self.world
        if world.tool("forget", "--asset", key).returncode == 0:
            world.absorb()
            for target in world.states:
                if target.partition("|")[0] == key:
                    world.states[target] = NEVER

    def use_rules(self, number: int) -> None:
        self.world.set_rules(number)

    def use_code(self, number: int) -> None:
        self.world.set_code(number)

    # The sensor and the daemon

    def tick(self, how: str) -> None:
        self.world.tick(how)

    def _number(self, which: float) -> int | None:
        """One of the requests."""
        if not self.world.asked():
            self.world.tick()
        count = len(self.world.asked())
        return int(which * count) if count else None

    def daemon(self, which: float) -> None:
        number = self._number(which)
        if number is not None:
            self.world.make(number)

    def hold(self, which: float) -> None:
        number = self._number(which)
        if number is not None and self.world.held is None:
            self.world.hold(number)

    def edit_held(self, which: float, content: str) -> None:
        """A file of a run that has read it, maybe."""
        if self.world.held is not None:
            fed = [path for path in PATHS if self.world.fed(path) & self.world.held.targets]
            if fed:
                self.world.write(fed[int(which * len(fed))], content)

    def go_on(self) -> None:
        self.world.go_on()

    def cancel(self, which: float) -> None:
        """Of the run that waits, or of one that has not begun."""
        world, number = self.world, self._number(which)
        if world.held is not None:
            world.held.process.kill()
            world.held = None
            world.end_runs("CANCELED")
        elif number is not None:
            world.main.behave({"target": "*", "when": "before", "do": "kill", "times": 1})
            world.make(number)
            world.end_runs("CANCELED")
            self._behave()

    def monitor(self) -> None:
        self.world.end_runs("FAILURE")

    def sense(self) -> None:
        self.world.sense()

    # What goes wrong

    def fail(self, *keys: str) -> None:
        self.failing = keys
        self._behave()

    def _behave(self, *more: dict[str, Any]) -> None:
        always = [{"target": key, "when": "read", "do": "fail"} for key in self.failing]
        self.world.main.behave(*always, *more)

    def trouble(self, how: str, target: str) -> None:
        """At the next launch."""
        when, do = BEHAVIOURS[how]
        self._behave({"target": target, "when": when, "do": do, "times": 1})

    def meanwhile(self, path: str, content: str | None) -> None:
        """Somebody saves a file."""
        written = {f"{ROOT}/{path}": content}
        if (self.world.main.top / ROOT / path).is_dir() or "folder" in path:
            return
        self._behave({"target": "*", "when": "before", "do": "write", "arg": written, "times": 1})

    def stashed_meanwhile(self) -> None:
        self._behave(
            {"target": "*", "when": "before", "do": "run", "arg": "git stash -q -u || true", "times": 1},
            {"target": "*", "when": "end", "do": "run", "arg": "git stash pop -q || true", "times": 1},
        )

    def elsewhere(self, path: str, content: str) -> None:
        """In the linked worktree, which has the same instance and the same record."""
        linked = self.world.linked
        for file in ("raw-trigger.yaml", FILE):
            shutil.copy(self.world.main.top / file, linked.top / file)
        self.world.write(path, content, linked)
        self.world.run(where=linked)

    def other_instance(self, path: str, content: str) -> None:
        self.world.write(path, content)
        self.world.run(DAGSTER_HOME=str(self.world.other))


def play(folder: Path, program: Program, seed: object, steps: Sequence[Step]) -> World:
    """Take the steps in a world of their own.

    Raises:
        LossError: A promise is broken; what was done stands in it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    world = World(folder, program)
    player = Player(world, seed)
    try:
        world.start(adopted=random.Random(str(seed)).random() < 0.5)
        for step in steps:
            player.take(step)
        player.finish()
    except LossError as error:
        raise LossError("\n".join([*world.trace, f"seed {seed}, {world.steps} steps", str(error)])) from error
    shutil.rmtree(folder)
    return world


def shorten(folder: Path, program: Program, seed: object, steps: list[Step]) -> list[Step]:
    """Leave out what is not needed for a loss."""

    def loses(some: list[Step]) -> str:
        try:
            play(folder, program, seed, some)
        except AssertionError as error:
            return str(error.__cause__ or error).split(":")[0]
        return ""

    kind = loses(steps)
    size = max(1, len(steps) // 2)
    while True:
        at = 0
        while at < len(steps):
            left = steps[:at] + steps[at + size :]
            if kind and loses(left) == kind:
                steps = left
            else:
                at += size
        if size == 1:
            return steps
        size //= 2
