"""Shows a plan, its progress and its outcome to a person at a terminal, or as plain lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.text import Text

from raw_trigger.check import Finding
from raw_trigger.coverage import Grid
from raw_trigger.explain import AssetExplanation, PathExplanation
from raw_trigger.model.changes import to_bytes
from raw_trigger.model.history import Failure
from raw_trigger.model.outcome import Outcome, TargetOutcome
from raw_trigger.model.plan import Plan, PlannedTarget, Target
from raw_trigger.model.text import from_nothing, sample
from raw_trigger.render import grid, words
from raw_trigger.render.progress import Progress
from raw_trigger.render.terminal import fitted, is_screen
from raw_trigger.status import Status

_STYLES = {"A": "green", "M": "yellow", "D": "red", "T": "magenta", "R": "cyan", "=": "blue"}
_SIGNS = {
    "success": ("✔", "green"),
    "failed": ("✘", "red"),
    "skipped": ("–", "yellow"),
    "submitted": ("…", "cyan"),
}
_ERROR_LINES = 12
_MOST_KEPT = 5
_MOST_FAILURES = 3
_MOST_FILES = 20
UNRECORDED = (
    "Nothing is recorded yet: `raw-trigger run --all` materializes everything; if that is done already, "
    "`raw-trigger adopt` records it."
)


class TextRenderer:
    """Writes to one console. Without a terminal long lines stay whole, for grep.

    Args:
        top: The folder that paths are shown relative to; None shows them as they are.
    """

    def __init__(self, console: Console, top: Path | None = None) -> None:
        self._console = console
        self._top = top

    def within(self, top: Path) -> TextRenderer:
        """Returns a renderer for the same console that shows paths relative to another folder."""
        return TextRenderer(self._console, top)

    def say(self, *parts: str | tuple[str, str]) -> None:
        """Writes one line of plain or ``(text, style)`` parts."""
        safe = [words.harmless(p) if isinstance(p, str) else (words.harmless(p[0]), p[1]) for p in parts]
        for line in fitted(Text.assemble(*safe), self._console):
            self._console.print(line, soft_wrap=True)

    def near(self, text: str) -> str:
        """Returns the text with its paths relative to the repository's top."""
        return text if self._top is None else text.replace(f"{self._top}/", "")

    def plan(
        self, plan: Plan, *, brief: bool = False, asleep: bool = True, failures: Iterable[Failure] = ()
    ) -> None:
        """Writes the changed files with an arrow to their assets, and what will run or why not.

        Args:
            asleep: Whether to say which files wait for a time window to end.
            failures: Failures of earlier runs; shown with a target that is planned again for the same
                content.
        """
        if not words.asked(plan):
            self.say(f"{words.nothing(plan)}.")
            if plan.base.reason:
                self.say(("  " + plan.base.reason, "dim"))
            self.warnings(plan)
            return
        shown, sleeping = words.lines(plan), words.asleep(plan)
        if brief:
            shown = words.without_failing(plan, shown)
        if shown or sleeping is None:
            self.say(
                (f"{words.plural(len(shown), 'raw file')} changed", "bold"), f"  {words.comparison(plan)}"
            )
        if plan.base.reason:
            self.say(("  " + plan.base.reason, "dim"))
        for line in shown:
            style = "" if line.planned.disposition == "planned" else "dim"
            self.say(
                "  ",
                (line.letter, _STYLES[line.letter]),
                f" {line.name}",
                (" → ", "dim"),
                (line.fate, style),
                (f"  {line.rows}" if line.rows else "", "dim"),
                (f"  {line.note}" if line.note else "", "dim"),
            )
        left_out = words.not_asked(plan)
        if left_out:
            self.say((f"  {left_out} more changed, but not asked for", "dim"))
        if asleep and sleeping is not None:
            self.say((sleeping if not shown else f"  {sleeping}", "dim"))
        if not brief:
            self._targets(plan, words.failed_before(plan, failures))
        self.warnings(plan, listed=not brief)

    def warnings(self, plan: Plan, *, listed: bool = False) -> None:
        """Writes notes on the plan, and advice.

        Args:
            listed: Whether the skipped targets were listed with their reasons.
        """
        for error in plan.errors:
            self.say(("error: ", "bold red"), words.printable(error))
        for warning in words.remarks(plan, listed=listed):
            self.say(("warning: ", "yellow"), words.printable(warning))
        known = {one.change.path for one in plan.unmapped}
        unmapped = [words.printable(p.change.path) for p in words.asked(plan) if p.change.path in known]
        if unmapped and not plan.errors:
            self.say(("warning: ", "yellow"), from_nothing(unmapped))

    def _targets(self, plan: Plan, failed: Mapping[Target, Failure]) -> None:
        todo = words.todo(plan)
        if todo:
            self.say((words.doing([one.target for one in todo]), "bold"))
        for group in words.by_asset(todo):
            self._group((f"  {words.action(group[0])} ", ""), group, "bold")
            self._failures([failed[one.target] for one in group if one.target in failed], len(group) > 1)
        skipped = words.skipped(plan)
        looked_at = {target.target for target, eye in skipped if eye}
        for group in words.by_asset(target for target, _ in skipped):
            eye = any(one.target in looked_at for one in group)
            self._group(("  skip ", "yellow" if eye else "dim"), group, "")

    def _group(self, action: tuple[str, str], group: Sequence[PlannedTarget], style: str) -> None:
        """Writes one target, or several partitions of one asset."""
        target, keys = group[0].target, words.partitions(group)
        name = words.printable(target.asset if keys else target.text)
        self.say(action, (name, style), f"  {keys}" if keys else "", _why(group[0].reason))

    def files(self, files: Mapping[bytes, Iterable[str]]) -> None:
        """Writes the first few files, each with an arrow to its targets, and how many more there are."""
        for path in sorted(files)[:_MOST_FILES]:
            targets = sample([words.printable(one) for one in sorted(files[path])])
            self.say("  ", words.printable(path), (" → ", "dim"), targets or "nothing")
        if len(files) > _MOST_FILES:
            self.say((f"  … and {words.plural(len(files) - _MOST_FILES, 'file')} more", "dim"))

    def _failures(self, failures: Sequence[Failure], named: bool) -> None:
        """Writes the first few known failures of the partitions of one asset."""
        for one in failures[:_MOST_FAILURES]:
            self._failure("      ", one, f"{words.printable(one.target.partition or '')} " if named else "")
        if len(failures) > _MOST_FAILURES:
            self.say((f"      … and {len(failures) - _MOST_FAILURES} more that failed", "dim"))

    def _failure(self, indent: str, one: Failure, subject: str = "") -> None:
        sign, style = _SIGNS[one.status]
        self.say(
            indent, (sign, style), f" {subject}", self.near(words.failure(one, datetime.now(timezone.utc)))
        )

    def target(self, done: TargetOutcome, errors: words.Errors) -> None:
        """Writes one finished target.

        Args:
            errors: The errors that were written before.
        """
        sign, style = _SIGNS[done.status]
        seconds = "" if done.seconds is None else f"  {done.seconds:.1f} s"
        reason = "" if done.reason is None else f"  {done.reason}"
        self.say("  ", (sign, style), f" {words.printable(done.target.text)}", (f"{seconds}{reason}", "dim"))
        for check in done.checks:
            if not check.passed:
                style = "red" if check.severity == "ERROR" else "yellow"
                message = f": {check.message}" if check.message else ""
                self.say("      ", (f"check {check.name} failed", style), message)
        if done.own_error:
            for line in _shortened(self.near(errors.words(done.target, done.own_error)).splitlines()):
                self.say("      ", (line, "red" if done.status == "failed" else "dim"))

    def outcome(self, plan: Plan | None, outcome: Outcome) -> None:
        """Writes the last line, and where the log is if something failed.

        Args:
            plan: What was carried out; None: what others had carried out.
        """
        style = "bold green" if outcome.status in ("success", "nothing", "submitted") else "bold red"
        later = outcome.status == "submitted"
        self.say((words.summary(plan, outcome), style), "; `raw-trigger wait` waits for it" if later else "")
        if outcome.log is not None and outcome.status in ("failed", "partial"):
            self.say(("what it printed: ", "dim"), self.near(outcome.log))

    def progress(self, expected: int) -> Progress:
        """Returns a progress that writes the targets of a run as they finish."""
        errors = words.Errors()
        return Progress(lambda done: self.target(done, errors), self._console, expected)

    def status(self, status: Status, failures: Iterable[Failure] = ()) -> None:
        """Writes what is pending here, and how far every environment's record is from HEAD."""
        plan = status.plan
        self.say(("HEAD ", "dim"), words.printable(status.head or "there is no commit yet"))
        recorded = any(e.name == plan.environment for e in status.environments)
        if not plan.changes and recorded:
            self.say((f"'{plan.environment}' reflects every raw file.", "green"))
        else:
            self.plan(plan, failures=failures)
        if status.assumed:
            named = sample([words.printable(target.text) for target in status.assumed])
            self.say(
                ("assumed, not run here: ", "yellow"),
                named,
                "; `raw-trigger run --all` makes it",
            )
        if not recorded:
            self.say(UNRECORDED)
        if status.job is not None:
            style = "bold red" if status.job.fate in ("failed", "lost") else "cyan"
            self.say((self.near(words.background(status.job)), style))
        if status.hooks is not None:
            self.say(("git hooks: ", "bold red"), words.printable(self.near(status.hooks)))
        for environment in status.environments:
            if environment.name != plan.environment:
                behind = words.plural(environment.behind, "raw file") if environment.behind else "no raw file"
                self.say(f"'{environment.name}' differs from HEAD in {behind}")

    def grids(self, found: Sequence[Grid]) -> None:
        """Writes the partitions of each asset, and the meaning of the signs."""
        if not found:
            self.say("No file feeds a partitioned asset.")
            return
        width = self._console.width if is_screen(self._console) else None
        for one in found:
            for line in grid.lines(one, width):
                self.say(*line)
        self.say(*grid.legend())
        if any(one.counts.get("assumed") for one in found):
            self.say("assumed: recorded, not run here; `raw-trigger run --all --asset KEY` makes them")

    def findings(self, findings: Sequence[Finding], files: int, assets: int) -> None:
        """Writes the findings of `check`."""
        for finding in findings:
            style = {"error": "bold red", "warning": "yellow"}.get(finding.severity, "dim")
            where = words.printable(finding.where)
            self.say(f"{where}: ", (finding.severity, style), f": {words.printable(finding.message)}")
        errors = sum(f.severity == "error" for f in findings)
        looked = f"{words.plural(files, 'raw file')} and {words.plural(assets, 'asset')} looked at"
        if findings:
            warnings = words.plural(sum(f.severity == "warning" for f in findings), "warning")
            self.say(f"{words.plural(errors, 'error')}, {warnings}; {looked}")
        else:
            self.say(("All is well: ", "green"), looked)

    def explanations(
        self, explanations: Sequence[PathExplanation | AssetExplanation], failures: Sequence[Failure] = ()
    ) -> None:
        """Writes the answers of `explain`."""
        for item in explanations:
            if isinstance(item, PathExplanation):
                self._path(item, failures)
                continue
            kind = item.kind if item.kind == "job" else f"{item.kind} asset"
            partitioned = ", partitioned" if item.partitioned else ""
            group = f", group {item.group}" if item.group else ""
            self.say((words.printable(item.asset), "bold"), f"  {kind}{group}{partitioned}")
            if item.behind:
                self.say("  made from ", sample([words.printable(key) for key in item.behind]))
            elif not item.files:
                self.say("  no raw file feeds it")
            for file in item.files:
                self._path(file, failures, indent="  ")

    def _path(self, item: PathExplanation, failures: Sequence[Failure], indent: str = "") -> None:
        self.say(indent, (words.printable(item.path), "bold"))
        feeds = ", ".join(words.printable(t.text) for t in item.targets)
        further = ", ".join(words.printable(t.text) for t in item.downstream)
        states = {None: "nothing is recorded yet", True: "pending", False: "recorded as materialized"}
        state = states[item.pending] if item.targets else "nothing is made from it"
        if item.again is not None:
            state = f"{state}: {words.AGAIN[item.again]}"
        rows = [
            ("rule", item.rule or "none"),
            ("feeds", feeds or item.reason or "nothing"),
            ("but", item.reason if feeds else ""),
            *(("but", words.printable(why)) for why in item.kept[:_MOST_KEPT]),
            ("", f"… and {len(item.kept) - _MOST_KEPT} more" if len(item.kept) > _MOST_KEPT else ""),
            ("then", further),
            ("recorded", (item.recorded_oid or "never")[:12] if item.pending is not None else ""),
            ("on disk", (item.oid or "gone")[:12]),
            ("state", state),
        ]
        for name, value in rows:
            if value:
                self.say(f"{indent}  ", (f"{name:<9}", "dim"), value)
        version, made = (to_bytes(item.path), item.oid), {*item.targets, *item.downstream}
        for one in failures if item.pending else ():
            if one.target in made and version in one.files:
                self._failure(f"{indent}  ", one, f"{words.printable(one.target.text)} ")


def _why(reason: str | None) -> tuple[str, str]:
    return (f"  ({reason})" if reason else "", "dim")


def _shortened(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_ERROR_LINES]
    if len(lines) > _ERROR_LINES:
        yield f"… {len(lines) - _ERROR_LINES} more lines"
